/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a question to steps and variables. For every field of every layer on the walk there is one rule here,
 * by what the field means and where on the walk it is asked; the first field that needs a thing makes its
 * variable.
 */
#include "explain/question.h"

#include "explain/joint.h"
#include "explain/walks.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

struct builder {
    struct explain_problem *p;
    const struct explain_question *q;
    unsigned party;
    const struct explain_end *local, *remote; /* seen from this party */
    struct explain_notes *notes;
    const char **error;
    int err;
    /* where the current field stands */
    uint32_t step;
    const struct explain_walk_step *at;
    const struct engine_field *field;
};

const char *explain_op_name(enum explain_op op)
{
    static const char *const names[] = {"connect", "accept", "listen", "bind", "packet"};

    return names[op];
}

void explain_note(struct explain_problem *p, struct explain_notes *n, const char *line)
{
    const char **more;

    if (n == NULL || line == NULL)
        return;
    for (uint32_t i = 0; i < n->count; i++) {
        if (strcmp(n->lines[i], line) == 0)
            return;
    }
    if (n->count == n->room) {
        more = explain_alloc(&p->arena, (n->room + 16) * sizeof *more);
        if (more == NULL)
            return;
        if (n->count != 0)
            memcpy(more, n->lines, n->count * sizeof *more);
        n->lines = more;
        n->room += 16;
    }
    n->lines[n->count++] = line;
}

static void note(struct builder *b, const char *line)
{
    explain_note(b->p, b->notes, line);
}

static bool outgoing(const struct explain_question *q)
{
    return q->op == EXPLAIN_CONNECT || (q->op == EXPLAIN_PACKET && q->direction != 'i');
}

/* ---- variables ------------------------------------------------------------------------------- */

/* Names of the second party's things are marked, so that they are variables of their own. */
static const char *own_name(const struct builder *b, const char *name)
{
    return b->party == 0 ? name : explain_printf(&b->p->arena, "PEER %s", name);
}

static uint32_t add_var(struct builder *b, struct explain_var *v)
{
    uint32_t i;

    if (v->name == NULL || b->p->arena.failed)
        return UINT32_MAX;
    i = explain_find_var(b->p, v->name);
    return i != UINT32_MAX ? i : explain_add_var(b->p, v);
}

/* One value, known. */
static uint32_t known_var(struct builder *b, const char *name, const struct explain_value *value,
                          const char *why)
{
    struct explain_var v = {.name = name, .party = b->party, .given = true, .why = why};
    struct explain_class *c = explain_candidate(b->p, &v);

    if (c == NULL)
        return UINT32_MAX;
    for (unsigned s = 0; s < EXPLAIN_SLOTS; s++)
        c->v[s] = *value;
    return add_var(b, &v);
}

static struct explain_value number(const struct builder *b, UINT64 n)
{
    struct explain_value v = {0};

    v.value.type = b->field->data_type;
    switch (v.value.type) {
    case FWP_UINT8:
        v.value.uint8 = (UINT8)n;
        break;
    case FWP_UINT16:
        v.value.uint16 = (UINT16)n;
        break;
    case FWP_UINT32:
        v.value.uint32 = (UINT32)n;
        break;
    default:
        v.value.uint64 = explain_copy(&b->p->arena, &n, sizeof n);
        break;
    }
    return v;
}

static uint32_t known_number(struct builder *b, const char *name, UINT64 n, const char *why)
{
    struct explain_value v = number(b, n);

    return known_var(b, name, &v, why);
}

static uint32_t known_empty(struct builder *b, const char *name, const char *why)
{
    struct explain_value v = {0};

    return known_var(b, name, &v, why);
}

static uint32_t unknown_var(struct builder *b, const char *name, unsigned rank, bool may_be_empty,
                            const struct explain_values *preferred)
{
    FWP_DATA_TYPE t = b->field->data_type;
    bool token = t == FWP_TOKEN_ACCESS_INFORMATION_TYPE || t == FWP_TOKEN_INFORMATION_TYPE;
    struct explain_var v = {.name = name,
                            .party = b->party,
                            .rank = rank,
                            .may_be_empty = may_be_empty,
                            .generate = token ? explain_generate_tokens : explain_generate_values,
                            .ctx = preferred};

    return add_var(b, &v);
}

/* An ordinary number for what is unknown, so that examples look ordinary. */
static const struct explain_values *ordinary(struct builder *b, UINT64 n)
{
    struct explain_values *out = explain_alloc(&b->p->arena, sizeof *out);
    FWP_VALUE0 *first = explain_alloc(&b->p->arena, sizeof *first);

    if (b->p->arena.failed)
        return NULL;
    *first = number(b, n).value;
    *out = (struct explain_values){first, 1, NULL, 0};
    return out;
}

/* ---- --set ----------------------------------------------------------------------------------- */

static bool names_field(const struct engine_layer *layer, const struct engine_field *field, const char *name)
{
    return explain_field_find(layer, name) == field;
}

/* The setting that applies to the current field, read; NULL: none. A setting for a layer wins. */
static const struct explain_value *setting(struct builder *b, bool *for_layer, bool *soft)
{
    const struct engine_layer *layer = b->p->steps[b->step].layer;
    struct explain_setting *found = NULL;
    struct explain_value *value;
    const char *error;
    int err;

    *for_layer = false;
    for (uint32_t i = 0; i < b->q->setting_count; i++) {
        struct explain_setting *s = &b->q->settings[i];

        if ((s->layer != NULL && s->layer != layer) || !names_field(layer, b->field, s->field))
            continue;
        if (found == NULL || s->layer != NULL)
            found = s;
    }
    if (found == NULL)
        return NULL;
    found->used = true;
    *for_layer = found->layer != NULL;
    *soft = found->soft;
    value = explain_alloc(&b->p->arena, sizeof *value);
    err = value == NULL ? -ENOMEM : explain_value_parse(&b->p->arena, b->field, found->text, value, &error);
    if (err == 0)
        return value;
    if (err == -EINVAL)
        *b->error = explain_printf(&b->p->arena, "--set %s: %s", found->field, error);
    b->err = err;
    return NULL;
}

/* ---- the rules ------------------------------------------------------------------------------- */

static uint32_t address_var(struct builder *b, bool local)
{
    const struct explain_end *end = local ? b->local : b->remote, *other = local ? b->remote : b->local;
    const struct explain_question *q = b->q;
    struct explain_address_ctx *ctx = explain_alloc(&b->p->arena, sizeof *ctx);
    bool group = q->protocol != 6 && (q->direction == 'f' || outgoing(q) != local);
    bool bind_only = q->op == EXPLAIN_BIND || q->op == EXPLAIN_LISTEN;
    struct explain_var v = {.name = own_name(b, local ? "LOCAL ADDRESS" : "REMOTE ADDRESS"),
                            .party = b->party,
                            .rank = local ? 12 : 10,
                            .generate = explain_generate_address,
                            .ctx = ctx,
                            .given = end->address_known};

    if (ctx == NULL)
        return UINT32_MAX;
    ctx->family = q->family;
    ctx->known = end->address_known;
    ctx->address = end->address;
    ctx->other_known = !bind_only && other->address_known;
    ctx->other = other->address;
    ctx->may_be_group = group && !bind_only;
    if (local && bind_only && end->wildcard)
        ctx->bound = BOUND_WILDCARD;
    else if (local && bind_only && end->address_known && !end->maybe_wildcard)
        ctx->bound = BOUND_EXPLICIT;
    if (ctx->known)
        v.given = ctx->bound != BOUND_UNKNOWN || !local;
    return add_var(b, &v);
}

static uint32_t port_var(struct builder *b, bool local)
{
    const struct explain_question *q = b->q;
    const struct explain_end *end = local ? b->local : b->remote;
    const char *name = own_name(b, local ? "LOCAL PORT" : "REMOTE PORT");
    bool known = local ? q->icmp_type_known : q->icmp_code_known;

    if (explain_is_icmp(q->protocol, q->family) && b->at->part != AT_BIND) { /* MATCH-19 */
        if (known)
            return known_number(b, name, local ? q->icmp_type : q->icmp_code, NULL);
        return unknown_var(b, name, local ? 20 : 22, false,
                           ordinary(b, local ? (q->family == '6' ? 128 : 8) : 0));
    }
    if (!explain_has_ports(q->protocol)) {
        note(b, "the protocol has no ports: they are indicated as 0");
        return known_number(b, own_name(b, local ? "NO LOCAL PORT" : "NO REMOTE PORT"), 0, NULL);
    }
    if (end->port_known)
        return known_number(b, name, end->port, NULL);
    return unknown_var(b, name, local ? 20 : 14, false, ordinary(b, 50000));
}

/* --set ALE_PACKAGE_ID narrows whose program it is: the token must fit. */
static bool package_setting(struct builder *b, struct explain_subject_ctx *ctx)
{
    for (uint32_t i = 0; i < b->q->setting_count; i++) {
        struct explain_setting *s = &b->q->settings[i];
        const struct engine_field *field;
        struct explain_value v;
        const char *error;

        if (s->layer != NULL || strstr(s->field, "ALE_PACKAGE_ID") == NULL)
            continue;
        field = explain_field_find(engine_layer_by_id(FWPS_LAYER_ALE_AUTH_CONNECT_V4), s->field);
        if (field == NULL || explain_value_parse(&b->p->arena, field, s->text, &v, &error) != 0 ||
            v.value.type != FWP_SID)
            continue; /* source_with_settings() tells */
        s->used = true;
        if (v.value.sid->SubAuthorityCount > 1) {
            ctx->kind = SUBJECT_ANY;
            ctx->package = v.value.sid;
        } else {
            ctx->kind = b->q->assume == EXPLAIN_ASSUME_PLAIN ? SUBJECT_ORDINARY : SUBJECT_PROGRAM;
        }
        return true;
    }
    return false;
}

static uint32_t subject_var(struct builder *b)
{
    const struct explain_question *q = b->q;
    struct explain_subject_ctx *ctx = explain_alloc(&b->p->arena, sizeof *ctx);
    struct explain_var v = {.name = own_name(b, "USER"),
                            .party = b->party,
                            .rank = 2,
                            .generate = explain_generate_subject,
                            .ctx = ctx};
    TOKEN_ACCESS_INFORMATION info;
    struct explain_class *c;

    if (ctx == NULL)
        return UINT32_MAX;
    if (b->party == 0 && q->token == NULL && package_setting(b, ctx))
        return add_var(b, &v);
    if (q->token == NULL || b->party != 0) {
        const char *why = NULL;

        ctx->kind = SUBJECT_ANY;
        if (q->app != NULL || q->assume == EXPLAIN_ASSUME_PLAIN)
            ctx->kind = explain_plain_subject(&b->p->arena, q->app, &why);
        if (q->assume != EXPLAIN_ASSUME_PLAIN && ctx->kind != SUBJECT_SYSTEM)
            ctx->kind = SUBJECT_ANY;
        else
            note(b, why);
        return add_var(b, &v);
    }
    v.generate = NULL;
    v.given = true;
    c = explain_candidate(b->p, &v);
    if (c == NULL)
        return UINT32_MAX;
    memcpy(&info, q->token->value.tokenAccessInformation->data, sizeof info);
    c->v[0] = c->v[2] = *q->token;
    c->v[1].value.type = FWP_SID;
    c->v[1].value.sid = explain_alloc(&b->p->arena, SECURITY_MAX_SID_SIZE);
    if (c->v[1].value.sid == NULL)
        return UINT32_MAX;
    if (info.PackageSid != NULL) {
        memcpy(c->v[1].value.sid, info.PackageSid, security_sid_size(info.PackageSid));
        c->tag = TAG_APPCONTAINER;
    } else {
        security_sid_parse("S-1-0-0", c->v[1].value.sid, SECURITY_MAX_SID_SIZE);
    }
    return add_var(b, &v);
}

static uint32_t app_var(struct builder *b)
{
    const struct explain_question *q = b->q;
    struct explain_value v = {.value = {.type = FWP_BYTE_BLOB_TYPE}};

    if (q->app == NULL)
        return unknown_var(b, own_name(b, "PROGRAM"), 4, false, NULL);
    v.value.byteBlob = (FWP_BYTE_BLOB *)q->app;
    return known_var(b, own_name(b, "PROGRAM"), &v, NULL);
}

static uint32_t interface_var(struct builder *b, enum explain_meaning meaning)
{
    static const char *const names[] = {"LOCAL INTERFACE", "ARRIVAL INTERFACE", "NEXT-HOP INTERFACE"};
    struct explain_interface_ctx *ctx = explain_alloc(&b->p->arena, sizeof *ctx);
    const char *name = names[meaning - MEANS_LOCAL_INTERFACE];
    struct explain_var v = {
        .party = b->party, .rank = 30, .generate = explain_generate_interface, .ctx = ctx};

    if (ctx == NULL)
        return UINT32_MAX;
    if (b->at->part == AT_BIND) {
        name = "BOUND INTERFACE";
        ctx->may_be_empty = true;
    }
    /* MATCH-12: what arrives only with a reauthorization */
    if (b->at->part == AT_AUTH && ((meaning == MEANS_ARRIVAL_INTERFACE && b->at->direction == 'o') ||
                                   (meaning == MEANS_NEXTHOP_INTERFACE && b->at->direction == 'i'))) {
        ctx->absent = true;
        note(b, meaning == MEANS_ARRIVAL_INTERFACE
                    ? "an initial authorization of an outbound connection has no arrival interface"
                    : "an initial authorization of an inbound connection has no next-hop interface");
    }
    v.name = own_name(b, name);
    v.given = ctx->absent;
    return add_var(b, &v);
}

/* ---- flags ----------------------------------------------------------------------------------- */

static void constrain_flags(struct builder *b, uint32_t flags, bool program)
{
    struct explain_problem *p = b->p;
    const struct explain_end *l = b->local, *r = b->remote;
    bool bound = b->at->part == AT_BIND;
    uint64_t arg = bound ? EXPLAIN_LOCAL_BOUND : 0;

    if (!bound && r->address_known && !explain_is_loopback(&r->address))
        arg |= EXPLAIN_LOCAL_DECIDES;
    explain_add_constraint(p, flags, address_var(b, true), explain_flags_with_local, arg);
    if (!bound)
        explain_add_constraint(p, flags, address_var(b, false), explain_flags_with_remote,
                               l->address_known && !explain_is_loopback(&l->address));
    if (arg & EXPLAIN_LOCAL_DECIDES && !l->address_known)
        note(b, "the remote address is taken to be another machine's (give the same LOCAL for a loopback "
                "connection)");
    if (!program)
        return;
    explain_add_constraint(p, flags, subject_var(b), explain_flags_with_subject,
                           b->q->assume == EXPLAIN_ASSUME_PLAIN);
}

static uint32_t flags_var(struct builder *b)
{
    const struct explain_question *q = b->q;
    struct explain_flags_ctx *ctx = explain_alloc(&b->p->arena, sizeof *ctx);
    struct explain_var v = {.party = b->party, .rank = 40, .generate = explain_generate_flags, .ctx = ctx};
    bool program = b->at->part == AT_AUTH;
    uint32_t i;

    if (ctx == NULL || b->at->part == AT_FORWARD)
        return ctx == NULL ? UINT32_MAX : known_number(b, "FLAGS of a forwarded packet", 0, NULL);
    v.name = own_name(b, explain_printf(&b->p->arena, "FLAGS %u", b->step));
    ctx->free = FWP_CONDITION_FLAG_IS_LOOPBACK;
    if (program)
        ctx->free |=
            FWP_CONDITION_FLAG_IS_APPCONTAINER_LOOPBACK | FWP_CONDITION_FLAG_IS_NON_APPCONTAINER_LOOPBACK;
    if (b->at->part == AT_BIND) {
        ctx->free |= FWP_CONDITION_FLAG_IS_WILDCARD_BIND;
        if (q->op == EXPLAIN_CONNECT)
            ctx->free |= FWP_CONDITION_FLAG_IS_IMPLICIT_BIND;
        if (!explain_has_ports(q->protocol))
            ctx->free |= FWP_CONDITION_FLAG_IS_RAW_ENDPOINT;
    }
    note(b, "flags that a plain, initial classification does not have are taken as clear (IS_REAUTHORIZE, "
            "IS_IPSEC_SECURED, IS_FRAGMENT, IS_CONNECTION_REDIRECTED ...)");
    i = add_var(b, &v);
    if (i != UINT32_MAX)
        constrain_flags(b, i, program);
    return i;
}

/* ---- one field ------------------------------------------------------------------------------- */

static struct explain_source at_slot(uint32_t var, uint32_t slot)
{
    return (struct explain_source){var, slot};
}

static struct explain_source other_field(struct builder *b)
{
    const struct explain_field *e = explain_field_of(b->field);
    const char *name = explain_field_short(b->field);

    if (strncmp(name, "RESERVED", 8) == 0) /* another thing in each layer */
        name = explain_printf(&b->p->arena, "%s %u", name, b->step);
    return at_slot(unknown_var(b, own_name(b, name), 45, e->may_be_empty, NULL), 0);
}

static struct explain_source source_of(struct builder *b)
{
    const struct explain_field *e = explain_field_of(b->field);
    bool bound = b->at->part == AT_BIND;

    switch (e->meaning) {
    case MEANS_PROTOCOL:
        return at_slot(known_number(b, "PROTOCOL", b->q->protocol, NULL), 0);
    case MEANS_LOCAL_ADDRESS:
        return at_slot(address_var(b, true), bound ? ADDRESS_BOUND_SLOT : ADDRESS_SLOT);
    case MEANS_LOCAL_ADDRESS_TYPE:
        return at_slot(address_var(b, true), bound ? ADDRESS_BOUND_TYPE_SLOT : ADDRESS_TYPE_SLOT);
    case MEANS_REMOTE_ADDRESS:
        return at_slot(address_var(b, false), ADDRESS_SLOT);
    case MEANS_SOURCE_ADDRESS:
        return at_slot(address_var(b, true), ADDRESS_SLOT);
    case MEANS_DESTINATION_ADDRESS:
        return at_slot(address_var(b, false), ADDRESS_SLOT);
    case MEANS_DESTINATION_ADDRESS_TYPE:
        return at_slot(address_var(b, b->at->direction == 'i'), ADDRESS_TYPE_SLOT);
    case MEANS_LOCAL_PORT:
        return at_slot(port_var(b, true), 0);
    case MEANS_REMOTE_PORT:
        return at_slot(port_var(b, false), 0);
    case MEANS_ORIGINAL_ICMP_TYPE:
        if (explain_is_icmp(b->q->protocol, b->q->family))
            return at_slot(port_var(b, true), 0);
        return at_slot(known_empty(b, "NO ICMP TYPE", NULL), 0);
    case MEANS_DIRECTION:
        return at_slot(known_number(b, b->at->direction == 'i' ? "DIRECTION in" : "DIRECTION out",
                                    b->at->direction == 'i' ? FWP_DIRECTION_INBOUND : FWP_DIRECTION_OUTBOUND,
                                    NULL),
                       0);
    case MEANS_FLAGS:
        return at_slot(flags_var(b), 0);
    case MEANS_APP:
    case MEANS_ORIGINAL_APP: /* nothing was redirected */
        return at_slot(app_var(b), 0);
    case MEANS_USER:
        if (b->field->data_type != FWP_TOKEN_ACCESS_INFORMATION_TYPE)
            return other_field(b);
        return at_slot(subject_var(b), 0);
    case MEANS_PACKAGE:
        return at_slot(subject_var(b), 1);
    case MEANS_PACKAGE_FAMILY:
        return at_slot(subject_var(b), 2);
    case MEANS_REMOTE_IDENTITY:
    case MEANS_SECURITY_REALM:
        note(b, "no IPsec: the remote user, the remote machine and the security realm are not indicated");
        return at_slot(known_empty(b, "NO IPSEC", NULL), 0);
    case MEANS_REAUTHORIZE_REASON:
        return at_slot(known_number(b, "NO REAUTHORIZATION", 0, NULL), 0);
    case MEANS_PROMISCUOUS:
        note(b, "the bind is an ordinary one, not SIO_RCVALL");
        return at_slot(known_number(b, "NOT PROMISCUOUS", 0, NULL), 0);
    case MEANS_PROFILE:
        return at_slot(unknown_var(b, "PROFILE", 6, false, ordinary(b, 1)), 0);
    case MEANS_INTERFACE_PROFILE:
        return at_slot(
            unknown_var(b, own_name(b, explain_field_short(b->field)), 8, e->may_be_empty, ordinary(b, 1)),
            0);
    case MEANS_LOCAL_INTERFACE:
    case MEANS_ARRIVAL_INTERFACE:
    case MEANS_NEXTHOP_INTERFACE:
        return at_slot(interface_var(b, e->meaning), (uint32_t)(e->part - PART_LUID));
    case MEANS_OTHER:
        break;
    }
    return other_field(b);
}

/* What is set is set, whatever would have followed from the operation. Interfaces and packages keep what goes
 * with them consistent. */
static struct explain_source source_with_settings(struct builder *b)
{
    const struct explain_field *e = explain_field_of(b->field);
    bool for_layer, soft;
    const struct explain_value *value = setting(b, &for_layer, &soft);
    struct explain_source s;
    const char *name;

    if (b->err != 0)
        return at_slot(UINT32_MAX, 0);
    if (value == NULL)
        return source_of(b);
    if (!for_layer && value->value.type != FWP_EMPTY && e->part != PART_NONE) {
        s = source_of(b);
        if (s.var != UINT32_MAX && (!soft || !b->p->vars[s.var].given))
            b->p->vars[s.var].fixed[s.slot] = value;
        return s;
    }
    if (!for_layer && e->meaning == MEANS_PACKAGE && value->value.type == FWP_SID && b->q->token == NULL)
        return at_slot(subject_var(b), 1);
    if (!for_layer && e->meaning == MEANS_PROFILE) {
        name = explain_printf(&b->p->arena, "SET %s", explain_field_short(b->field));
        return at_slot(known_var(b, name, value, NULL), 0);
    }
    name = for_layer ? explain_printf(&b->p->arena, "SET %s %u", explain_field_short(b->field), b->step)
                     : explain_printf(&b->p->arena, "SET %s %d", explain_field_short(b->field),
                                      b->field->data_type);
    return at_slot(known_var(b, name, value, NULL), 0);
}

static int add_step(struct builder *b, const struct engine_layer *layer)
{
    b->step = explain_add_step(b->p, layer, b->at->stage, b->party);
    if (b->step == UINT32_MAX)
        return -ENOMEM;
    for (UINT16 i = 0; i < layer->field_count; i++) {
        struct explain_source s;

        b->field = &layer->fields[i];
        s = source_with_settings(b);
        if (b->err != 0 || s.var == UINT32_MAX)
            return b->err != 0 ? b->err : -ENOMEM;
        b->p->steps[b->step].source[i] = s;
        if (b->p->vars[s.var].field[s.slot] == NULL)
            b->p->vars[s.var].field[s.slot] = b->field;
    }
    return 0;
}

static int take_assumptions(struct builder *b)
{
    const struct explain_question *q = b->q;

    b->p->assumptions = q->callouts;
    b->p->assumption_count = q->callout_count;
    b->p->others_continue = q->assume == EXPLAIN_ASSUME_PLAIN;
    b->p->use_builtin = q->assume == EXPLAIN_ASSUME_DEFAULT;
    if (q->assume == EXPLAIN_ASSUME_PLAIN)
        note(b, "callouts of the machine are taken to decide nothing (--assume plain)");
    return 0;
}

int explain_classify_add(struct explain_problem *p, const struct engine_layer *layer,
                         const struct explain_value *const *values)
{
    struct explain_question none = {0};
    struct builder b = {.p = p, .q = &none};

    b.step = explain_add_step(p, layer, "classify", 0);
    if (b.step == UINT32_MAX)
        return -ENOMEM;
    for (UINT16 i = 0; i < layer->field_count; i++) {
        const struct explain_field *e = explain_field_of(&layer->fields[i]);
        const char *name = explain_field_short(&layer->fields[i]);
        bool unbound =
            e->meaning == MEANS_LOCAL_ADDRESS &&
            (strstr(layer->name, "_RESOURCE_") != NULL || strstr(layer->name, "_LISTEN_") != NULL ||
             strstr(layer->name, "_REDIRECT_") != NULL || strstr(layer->name, "_CLOSURE_") != NULL);
        uint32_t var;

        b.field = &layer->fields[i];
        if (explain_find_var(p, name) != UINT32_MAX)
            name = explain_printf(&p->arena, "%s %u", name, (unsigned)i);
        var = values[i] != NULL ? known_var(&b, name, values[i], NULL)
                                : unknown_var(&b, name, e->meaning != MEANS_OTHER ? 20 : 45,
                                              e->may_be_empty || unbound, NULL);
        if (var == UINT32_MAX)
            return -ENOMEM;
        p->steps[b.step].source[i] = at_slot(var, 0);
        p->vars[var].field[0] = b.field;
    }
    return 0;
}

int explain_question_add(struct explain_problem *p, const struct explain_question *q, unsigned party,
                         struct explain_notes *notes, const char **error)
{
    struct builder b = {.p = p, .q = q, .party = party, .notes = notes, .error = error};
    size_t count;
    const struct explain_walk_step *walk = explain_walk(q, &count, error);
    int err;

    *error = walk != NULL ? NULL : *error;
    if (walk == NULL)
        return -EINVAL;
    b.local = &q->local;
    b.remote = &q->remote;
    err = take_assumptions(&b);
    for (size_t i = 0; i < count && err == 0; i++) {
        char name[64];
        const struct engine_layer *layer;

        snprintf(name, sizeof name, "%s_V%c", walk[i].layer, q->family);
        layer = engine_layer_by_name(name);
        if (layer == NULL)
            return -EINVAL;
        b.at = &walk[i];
        err = add_step(&b, layer);
    }
    if (q->local.address_known && q->remote.address_known && q->op <= EXPLAIN_ACCEPT &&
        (explain_is_loopback(&q->remote.address) ||
         explain_same_address(&q->local.address, &q->remote.address)))
        note(&b, q->op == EXPLAIN_CONNECT
                     ? "a loopback connection: its other end is asked about by itself (accept)"
                     : "a loopback connection: its other end is asked about by itself (connect)");
    if (err == 0 && q->op != EXPLAIN_BIND && q->op != EXPLAIN_LISTEN && q->direction != 'f')
        explain_add_constraint(p, address_var(&b, true), address_var(&b, false), explain_local_with_remote,
                               0);
    return p->arena.failed ? -ENOMEM : err;
}

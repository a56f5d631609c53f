/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The things of a question - the ends, the program, its user, interfaces, flags - as variables. Each is made
 * by the first field that needs it and found by its name afterwards, so that all fields of all layers share
 * it.
 */
#include "explain/builder.h"

#include "explain/joint.h"

#include <string.h>

void build_note(struct builder *b, const char *line)
{
    explain_note(b->p, b->notes, line);
}

static bool outgoing(const struct explain_question *q)
{
    return q->op == EXPLAIN_CONNECT || (q->op == EXPLAIN_PACKET && q->direction != 'i');
}

/* ---- variables ------------------------------------------------------------------------------- */

/* Names of the second party's things are marked, so that they are variables of their own. */
const char *build_own_name(const struct builder *b, const char *name)
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
uint32_t build_known_var(struct builder *b, const char *name, const struct explain_value *value,
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

uint32_t build_known_number(struct builder *b, const char *name, UINT64 n, const char *why)
{
    struct explain_value v = number(b, n);

    return build_known_var(b, name, &v, why);
}

uint32_t build_known_empty(struct builder *b, const char *name, const char *why)
{
    struct explain_value v = {0};

    return build_known_var(b, name, &v, why);
}

uint32_t build_unknown_var(struct builder *b, const char *name, unsigned rank, bool may_be_empty,
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
const struct explain_values *build_ordinary(struct builder *b, UINT64 n)
{
    struct explain_values *out = explain_alloc(&b->p->arena, sizeof *out);
    FWP_VALUE0 *first = explain_alloc(&b->p->arena, sizeof *first);

    if (b->p->arena.failed)
        return NULL;
    *first = number(b, n).value;
    *out = (struct explain_values){first, 1, NULL, 0};
    return out;
}

/* ---- ends, programs, interfaces
 * ------------------------------------------------------------------------------- */

uint32_t build_address_var(struct builder *b, bool local)
{
    const struct explain_end *end = local ? b->local : b->remote, *other = local ? b->remote : b->local;
    const struct explain_question *q = b->q;
    struct explain_address_ctx *ctx = explain_alloc(&b->p->arena, sizeof *ctx);
    bool group = q->protocol != 6 && (q->direction == 'f' || outgoing(q) != local);
    bool bind_only = q->op == EXPLAIN_BIND || q->op == EXPLAIN_LISTEN;
    struct explain_var v = {.name = build_own_name(b, local ? "LOCAL ADDRESS" : "REMOTE ADDRESS"),
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

uint32_t build_port_var(struct builder *b, bool local)
{
    const struct explain_question *q = b->q;
    const struct explain_end *end = local ? b->local : b->remote;
    const char *name = build_own_name(b, local ? "LOCAL PORT" : "REMOTE PORT");
    bool known = local ? q->icmp_type_known : q->icmp_code_known;

    if (explain_is_icmp(q->protocol, q->family) && b->at->part != AT_BIND) { /* MATCH-19 */
        if (known)
            return build_known_number(b, name, local ? q->icmp_type : q->icmp_code, NULL);
        return build_unknown_var(b, name, local ? 20 : 22, false,
                                 build_ordinary(b, local ? (q->family == '6' ? 128 : 8) : 0));
    }
    if (!explain_has_ports(q->protocol)) {
        build_note(b, "the protocol has no ports: they are indicated as 0");
        return build_known_number(b, build_own_name(b, local ? "NO LOCAL PORT" : "NO REMOTE PORT"), 0, NULL);
    }
    if (end->port_known)
        return build_known_number(b, name, end->port, NULL);
    return build_unknown_var(b, name, local ? 20 : 14, false, build_ordinary(b, 50000));
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

uint32_t build_subject_var(struct builder *b)
{
    const struct explain_question *q = b->q;
    struct explain_subject_ctx *ctx = explain_alloc(&b->p->arena, sizeof *ctx);
    struct explain_var v = {.name = build_own_name(b, "USER"),
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
            build_note(b, why);
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

uint32_t build_app_var(struct builder *b)
{
    const struct explain_question *q = b->q;
    struct explain_value v = {.value = {.type = FWP_BYTE_BLOB_TYPE}};

    if (q->app == NULL)
        return build_unknown_var(b, build_own_name(b, "PROGRAM"), 4, false, NULL);
    v.value.byteBlob = (FWP_BYTE_BLOB *)q->app;
    return build_known_var(b, build_own_name(b, "PROGRAM"), &v, NULL);
}

uint32_t build_interface_var(struct builder *b, enum explain_meaning meaning)
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
        build_note(b, meaning == MEANS_ARRIVAL_INTERFACE
                          ? "an initial authorization of an outbound connection has no arrival interface"
                          : "an initial authorization of an inbound connection has no next-hop interface");
    }
    v.name = build_own_name(b, name);
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
    explain_add_constraint(p, flags, build_address_var(b, true), explain_flags_with_local, arg);
    if (!bound)
        explain_add_constraint(p, flags, build_address_var(b, false), explain_flags_with_remote,
                               l->address_known && !explain_is_loopback(&l->address));
    if (arg & EXPLAIN_LOCAL_DECIDES && !l->address_known)
        build_note(b,
                   "the remote address is taken to be another machine's (give the same LOCAL for a loopback "
                   "connection)");
    if (!program)
        return;
    explain_add_constraint(p, flags, build_subject_var(b), explain_flags_with_subject,
                           b->q->assume == EXPLAIN_ASSUME_PLAIN);
}

uint32_t build_flags_var(struct builder *b)
{
    const struct explain_question *q = b->q;
    struct explain_flags_ctx *ctx = explain_alloc(&b->p->arena, sizeof *ctx);
    struct explain_var v = {.party = b->party, .rank = 40, .generate = explain_generate_flags, .ctx = ctx};
    bool program = b->at->part == AT_AUTH;
    uint32_t i;

    if (ctx == NULL || b->at->part == AT_FORWARD)
        return ctx == NULL ? UINT32_MAX : build_known_number(b, "FLAGS of a forwarded packet", 0, NULL);
    v.name = build_own_name(b, explain_printf(&b->p->arena, "FLAGS %u", b->step));
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
    build_note(b,
               "flags that a plain, initial classification does not have are taken as clear (IS_REAUTHORIZE, "
               "IS_IPSEC_SECURED, IS_FRAGMENT, IS_CONNECTION_REDIRECTED ...)");
    i = add_var(b, &v);
    if (i != UINT32_MAX)
        constrain_flags(b, i, program);
    return i;
}

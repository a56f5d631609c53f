/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a question to steps. For every field of every layer on the walk there is one rule here, by what the
 * field means and where on the walk it is asked; the things that the rules name are made in things.c.
 */
#include "explain/builder.h"

#include "explain/joint.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

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
    return at_slot(build_unknown_var(b, build_own_name(b, name), 45, e->may_be_empty, NULL), 0);
}

static struct explain_source source_of(struct builder *b)
{
    const struct explain_field *e = explain_field_of(b->field);
    bool bound = b->at->part == AT_BIND;

    switch (e->meaning) {
    case MEANS_PROTOCOL:
        return at_slot(build_known_number(b, "PROTOCOL", b->q->protocol, NULL), 0);
    case MEANS_LOCAL_ADDRESS:
        return at_slot(build_address_var(b, true), bound ? ADDRESS_BOUND_SLOT : ADDRESS_SLOT);
    case MEANS_LOCAL_ADDRESS_TYPE:
        return at_slot(build_address_var(b, true), bound ? ADDRESS_BOUND_TYPE_SLOT : ADDRESS_TYPE_SLOT);
    case MEANS_REMOTE_ADDRESS:
        return at_slot(build_address_var(b, false), ADDRESS_SLOT);
    case MEANS_SOURCE_ADDRESS:
        return at_slot(build_address_var(b, true), ADDRESS_SLOT);
    case MEANS_DESTINATION_ADDRESS:
        return at_slot(build_address_var(b, false), ADDRESS_SLOT);
    case MEANS_DESTINATION_ADDRESS_TYPE:
        return at_slot(build_address_var(b, b->at->direction == 'i'), ADDRESS_TYPE_SLOT);
    case MEANS_LOCAL_PORT:
        return at_slot(build_port_var(b, true), 0);
    case MEANS_REMOTE_PORT:
        return at_slot(build_port_var(b, false), 0);
    case MEANS_ORIGINAL_ICMP_TYPE:
        if (explain_is_icmp(b->q->protocol, b->q->family))
            return at_slot(build_port_var(b, true), 0);
        return at_slot(build_known_empty(b, "NO ICMP TYPE", NULL), 0);
    case MEANS_DIRECTION:
        return at_slot(build_known_number(
                           b, b->at->direction == 'i' ? "DIRECTION in" : "DIRECTION out",
                           b->at->direction == 'i' ? FWP_DIRECTION_INBOUND : FWP_DIRECTION_OUTBOUND, NULL),
                       0);
    case MEANS_FLAGS:
        return at_slot(build_flags_var(b), 0);
    case MEANS_APP:
    case MEANS_ORIGINAL_APP: /* nothing was redirected */
        return at_slot(build_app_var(b), 0);
    case MEANS_USER:
        if (b->field->data_type != FWP_TOKEN_ACCESS_INFORMATION_TYPE)
            return other_field(b);
        return at_slot(build_subject_var(b), 0);
    case MEANS_PACKAGE:
        return at_slot(build_subject_var(b), 1);
    case MEANS_PACKAGE_FAMILY:
        return at_slot(build_subject_var(b), 2);
    case MEANS_REMOTE_IDENTITY:
    case MEANS_SECURITY_REALM:
        build_note(b,
                   "no IPsec: the remote user, the remote machine and the security realm are not indicated");
        return at_slot(build_known_empty(b, "NO IPSEC", NULL), 0);
    case MEANS_REAUTHORIZE_REASON:
        return at_slot(build_known_number(b, "NO REAUTHORIZATION", 0, NULL), 0);
    case MEANS_PROMISCUOUS:
        build_note(b, "the bind is an ordinary one, not SIO_RCVALL");
        return at_slot(build_known_number(b, "NOT PROMISCUOUS", 0, NULL), 0);
    case MEANS_PROFILE:
        return at_slot(build_unknown_var(b, "PROFILE", 6, false, build_ordinary(b, 1)), 0);
    case MEANS_INTERFACE_PROFILE:
        return at_slot(build_unknown_var(b, build_own_name(b, explain_field_short(b->field)), 8,
                                         e->may_be_empty, build_ordinary(b, 1)),
                       0);
    case MEANS_LOCAL_INTERFACE:
    case MEANS_ARRIVAL_INTERFACE:
    case MEANS_NEXTHOP_INTERFACE:
        return at_slot(build_interface_var(b, e->meaning), (uint32_t)(e->part - PART_LUID));
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
        return at_slot(build_subject_var(b), 1);
    if (!for_layer && e->meaning == MEANS_PROFILE) {
        name = explain_printf(&b->p->arena, "SET %s", explain_field_short(b->field));
        return at_slot(build_known_var(b, name, value, NULL), 0);
    }
    name = for_layer ? explain_printf(&b->p->arena, "SET %s %u", explain_field_short(b->field), b->step)
                     : explain_printf(&b->p->arena, "SET %s %d", explain_field_short(b->field),
                                      b->field->data_type);
    return at_slot(build_known_var(b, name, value, NULL), 0);
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
        build_note(b, "callouts of the machine are taken to decide nothing (--assume plain)");
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
        var = values[i] != NULL ? build_known_var(&b, name, values[i], NULL)
                                : build_unknown_var(&b, name, e->meaning != MEANS_OTHER ? 20 : 45,
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
        build_note(&b, q->op == EXPLAIN_CONNECT
                           ? "a loopback connection: its other end is asked about by itself (accept)"
                           : "a loopback connection: its other end is asked about by itself (connect)");
    if (err == 0 && q->op != EXPLAIN_BIND && q->op != EXPLAIN_LISTEN && q->direction != 'f')
        explain_add_constraint(p, build_address_var(&b, true), build_address_var(&b, false),
                               explain_local_with_remote, 0);
    return p->arena.failed ? -ENOMEM : err;
}

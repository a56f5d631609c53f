/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The report on an export's recorded endpoints: counts, then the endpoints, those that were not definitely
 * permitted first in text. explain/endpoints.h says how the two directions are put together.
 */
#include "cli/print_endpoints.h"

#include <errno.h>
#include <string.h>

static const char *address_text(struct explain_arena *a, const FWP_VALUE0 *v)
{
    if (v->type == FWP_UINT32)
        return explain_v4_text(a, v->uint32);
    return v->type == FWP_BYTE_ARRAY16_TYPE ? explain_v6_text(a, v->byteArray16->byteArray16) : "";
}

static json_t *side_json(const struct explain_state *s, struct explain_arena *a,
                         const struct explain_endpoint_side *side)
{
    json_t *o = json_object();

    json_object_set_new(o, "operation", json_string(explain_op_name(side->op)));
    json_object_set_new(o, "verdict", json_string(explain_verdict_name(side->verdict)));
    json_object_set_new(o, "layer", side->layer != NULL ? json_string(side->layer) : json_null());
    json_object_set_new(o, "filter", filter_json(s, a, side->filter_id));
    json_object_set_new(o, "depends", side->depends != NULL ? json_string(side->depends) : json_null());
    return o;
}

static json_t *endpoint_json(const struct explain_state *s, struct explain_arena *a,
                             const struct explain_endpoint_result *r)
{
    const struct policy_endpoint *e = r->endpoint;
    json_t *o = json_object(), *sides = json_array();

    json_object_set_new(o, "id", json_integer((json_int_t)e->id));
    json_object_set_new(o, "line", json_integer((json_int_t)e->line));
    json_object_set_new(o, "verdict", json_string(explain_verdict_name(r->verdict)));
    json_object_set_new(o, "protocol", json_integer(e->protocol));
    json_object_set_new(o, "local_address", json_string(address_text(a, &e->local_address)));
    json_object_set_new(o, "local_port", json_integer(e->local_port));
    json_object_set_new(o, "remote_address", json_string(address_text(a, &e->remote_address)));
    json_object_set_new(o, "remote_port", json_integer(e->remote_port));
    json_object_set_new(o, "program", json_string(r->program));
    for (unsigned i = 0; i < r->side_count; i++)
        json_array_append_new(sides, side_json(s, a, &r->sides[i]));
    json_object_set_new(o, "asked", sides);
    json_object_set_new(o, "pair", r->pair >= 0 ? json_integer(r->pair) : json_null());
    json_object_set_new(o, "pair_possible", r->pair >= 0 ? json_boolean(r->pair_possible) : json_null());
    return o;
}

static int tell_json(const struct explain_state *s, struct explain_arena *a,
                     const struct explain_endpoints *all)
{
    json_t *o = json_object(), *list = json_array();

    json_object_set_new(o, "permitted", json_integer(all->permitted));
    json_object_set_new(o, "depends", json_integer(all->depends));
    json_object_set_new(o, "blocked", json_integer(all->blocked));
    json_object_set_new(o, "undecided", json_integer(all->undecided));
    json_object_set_new(o, "loopback_pairs", json_integer(all->pairs));
    json_object_set_new(o, "loopback_pairs_possible", json_integer(all->pairs_possible));
    for (uint32_t i = 0; i < all->count; i++)
        json_array_append_new(list, endpoint_json(s, a, &all->results[i]));
    json_object_set_new(o, "endpoints", list);
    return print_json(o, true);
}

static void tell_one(const struct explain_state *s, struct explain_arena *a,
                     const struct explain_endpoint_result *r)
{
    const struct policy_endpoint *e = r->endpoint;
    const char *name = strrchr(r->program, '\\');

    printf("%-9s %s  protocol %u, %s port %u, peer %s port %u\n", explain_verdict_name(r->verdict),
           name != NULL ? name + 1 : r->program, e->protocol, address_text(a, &e->local_address),
           e->local_port, address_text(a, &e->remote_address), e->remote_port);
    for (unsigned i = 0; i < r->side_count; i++) {
        const struct explain_endpoint_side *side = &r->sides[i];
        const FWPM_FILTER0 *f = explain_state_filter(s, side->filter_id);

        printf("            %s: %s", explain_op_name(side->op), explain_verdict_name(side->verdict));
        if (side->depends != NULL)
            printf(" on %s", side->depends);
        else if (f != NULL)
            printf(" by \"%s\" (filter %llu) at %s", explain_utf8(a, f->displayData.name),
                   (unsigned long long)side->filter_id, side->layer);
        else if (side->layer != NULL)
            printf(" implicitly at %s", side->layer);
        putchar('\n');
    }
    if (r->pair >= 0 && !r->pair_possible)
        puts("            the other end of this loopback connection cannot be permitted together with it");
}

int print_endpoints(const struct explain_state *s, struct explain_arena *a,
                    const struct explain_question *like, bool json, bool verbose)
{
    static const enum explain_verdict order[] = {EXPLAIN_BLOCKED, EXPLAIN_CONTRADICTION, EXPLAIN_UNDECIDED,
                                                 EXPLAIN_DEPENDS, EXPLAIN_PERMITTED};
    struct explain_endpoints all;
    const char *error;
    int err = explain_endpoints(s, a, like, &all, &error);

    if (err != 0)
        return complain(err == -EPROTO   ? EXIT_INTERNAL
                        : err == -ENOMEM ? EXIT_OS_ERROR
                                         : EXIT_DATA_ERROR,
                        "%s", error != NULL ? error : strerror(-err));
    if (json) {
        int status = tell_json(s, a, &all);

        return status != EXIT_PERMITTED ? status : all.blocked != 0 ? EXIT_BLOCKED : EXIT_PERMITTED;
    }
    printf("%u endpoints: %u permitted, %u depend, %u blocked\n", all.count, all.permitted, all.depends,
           all.blocked);
    if (all.pairs != 0)
        printf("%u loopback connections with both ends recorded: %u possible together\n", all.pairs,
               all.pairs_possible);
    for (unsigned k = 0; k < sizeof order / sizeof order[0]; k++) {
        for (uint32_t i = 0; i < all.count; i++) {
            if (all.results[i].verdict == order[k] && (order[k] != EXPLAIN_PERMITTED || verbose))
                tell_one(s, a, &all.results[i]);
        }
    }
    return all.blocked != 0 ? EXIT_BLOCKED : EXIT_PERMITTED;
}

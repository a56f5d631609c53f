/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scratch: a lane's room for classifications, and in it each layer's plan: what the filters of one version of the layer,
 * under one state of the callouts, need to know and whom they ask. Made when the layer is asked, again when either is another
 * (plan_of(), of indicate.h). The lane's worker's alone, or of who has the turn.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/indicate.h"

int scratch_create(struct host *h, struct scratch **out)
{
    struct scratch *room = aligned_alloc(_Alignof(struct scratch), sizeof(*room));

    if (room == NULL)
        return -ENOMEM;
    memset(room, 0, sizeof(*room));
    room->host = h;
    if (values_prepare(room, &h->config) != 0)
        goto fail;
    inspect_prepare(room);
    for (unsigned i = 0; i < LEVELS; i++)
        if (ndis_packet_create(&room->packets[i]) != 0)
            goto fail;
    *out = room;
    return 0;

fail:
    scratch_destroy(room);
    return -ENOMEM;
}

void scratch_destroy(struct scratch *room)
{
    if (room == NULL)
        return;
    for (unsigned i = 0; i < LEVELS; i++)
        ndis_packet_destroy(room->packets[i]);
    for (unsigned i = 0; i < ENGINE_LAYER_COUNT; i++)
        for (unsigned level = 0; level < KEPT_LEVELS; level++)
            for (unsigned in = 0; in < 2; in++)
                free(room->kept[level][i][in]);
    recall_destroy(room);
    free(room->overrides);
    free(room);
}

/* ---- what a layer's filters need ------------------------------------------------------------------------
 */

static bool assumed(const struct host_config *c, const GUID *callout)
{
    for (size_t i = 0; i < c->assumption_count; i++)
        if (memcmp(&c->assumptions[i].callout_key, callout, sizeof(*callout)) == 0)
            return true;
    return false;
}

static void plan_filter(struct plan *plan, const struct host_config *c, const struct engine_filter *f)
{
    const struct engine_filter_desc *desc = engine_filter_desc(f);
    FWP_ACTION_TYPE action = desc->fwps->action.type;
    UINT16 fields[ENGINE_MAX_FIELDS];
    size_t n = engine_filter_fields(f, fields, ENGINE_MAX_FIELDS);

    for (size_t i = 0; i < n; i++)
        plan->tested |= 1ULL << fields[i];
    if (!(action & FWP_ACTION_FLAG_CALLOUT))
        return;
    plan->callouts = true;
    if (engine_callout_state(c->engine, &desc->callout_key) == ENGINE_CALLOUT_REGISTERED)
        plan->ours = true;
    if (action == FWP_ACTION_CALLOUT_INSPECTION || assumed(c, &desc->callout_key) ||
        engine_callout_state(c->engine, &desc->callout_key) != ENGINE_CALLOUT_FOREIGN)
        return; /* ARB-19: whatever an inspection says */
    if (plan->foreign_count == MAX_FOREIGN)
        plan->many = true;
    else
        plan->foreign[plan->foreign_count++] = f;
}

static void make_plan(struct plan *plan, const struct host *h, const struct prepared *prepared,
                      const struct engine_snapshot *snapshot, UINT16 layer)
{
    const struct engine_filter *const *filters;
    UINT64 generation = engine_callout_generation(h->config.engine);
    size_t n = engine_snapshot_filters(snapshot, layer, &filters);

    *plan = (struct plan){.layer = layer,
                          .prepared = prepared,
                          .version = engine_snapshot_layer_version(snapshot, layer),
                          .count = (UINT32)n,
                          .generation = generation};
    for (size_t i = 0; i < n; i++)
        plan_filter(plan, &h->config, filters[i]);
    plan->steady = !plan->callouts && values_are_steady(prepared, plan->tested);
    plan->alone = plan->ours && n == 1 && plan->foreign_count == 0 && !plan->many;
    plan->only = n == 1 ? engine_filter_fwps(filters[0])->filterId : 0;
    plan->inspects = plan->alone && engine_inspects(snapshot, layer, &plan->inspector);
}

void plan_again(struct scratch *room, const struct engine_snapshot *snapshot, UINT16 layer)
{
    make_plan(&room->plan[layer], room->host, &room->prepared[layer], snapshot, layer);
}

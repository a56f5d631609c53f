/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reasons of whynot.h, read off a judged world and the filter itself.
 */
#include "explain/whynot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const char *explain_not_applied(const FWPM_FILTER0 *f)
{
    if (f->flags & FWPM_FILTER_FLAG_BOOTTIME)
        return "boot-time";
    return f->flags & FWPM_FILTER_FLAG_DISABLED ? "disabled" : NULL;
}

int explain_find_filters(const struct explain_state *s, struct explain_arena *a, const char *text,
                         const FWPM_FILTER0 *const **out)
{
    const FWPM_FILTER0 **found = explain_alloc(a, (s->filter_count + 1) * sizeof *found);
    int count = 0;
    UINT64 id;
    GUID key;

    if (found == NULL)
        return -ENOMEM;
    *out = found;
    if (explain_parse_number(text, UINT64_MAX, &id)) {
        found[0] = explain_state_filter(s, id);
        return found[0] != NULL;
    }
    if (engine_guid_parse(text, &key) == 0) {
        for (UINT32 i = 0; i < s->filter_count; i++) {
            if (memcmp(&s->filters[i]->filterKey, &key, sizeof key) == 0)
                found[count++] = s->filters[i];
        }
        return count;
    }
    for (UINT32 i = 0; i < s->filter_count; i++) {
        const char *name = explain_utf8(a, s->filters[i]->displayData.name);

        if (name != NULL && strcasecmp(name, text) == 0)
            found[count++] = s->filters[i];
    }
    return a->failed ? -ENOMEM : count;
}

static const struct engine_filter *find_in_layer(struct explain_problem *p, uint32_t step, UINT64 id)
{
    const struct engine_snapshot *snapshot = engine_pin(p->state->reader);
    const struct engine_filter *const *filters, *found = NULL;
    size_t n = engine_snapshot_filters(snapshot, p->steps[step].layer->id, &filters);

    for (size_t i = 0; i < n && found == NULL; i++) {
        if (engine_filter_fwps(filters[i])->filterId == id)
            found = filters[i];
    }
    engine_unpin(p->state->reader); /* the problem's pin keeps it */
    return found;
}

static int list_failing(struct explain_problem *p, const struct explain_world *w,
                        const struct engine_filter *f, struct explain_why_not *out)
{
    const struct engine_layer *layer = p->steps[out->step].layer;
    const struct explain_requirement *all;
    int n = explain_requirements(&p->arena, layer, engine_filter_fwps(f), &all);

    if (n < 0)
        return n;
    out->failing = explain_alloc(&p->arena, ((size_t)n + 1) * sizeof *out->failing);
    if (out->failing == NULL)
        return -ENOMEM;
    for (int i = 0; i < n; i++) {
        const struct explain_value *v = explain_world_value(p, w, out->step, all[i].field);

        if (engine_filter_field_match(f, all[i].field, &v->value) == ENGINE_MATCH_YES)
            continue;
        out->failing[out->failing_count++] = (struct explain_failing){
            all[i].words, all[i].raw, explain_value_words(&p->arena, &layer->fields[all[i].field], v)};
    }
    return 0;
}

/* It matched: what became of it? */
static void find_fate(const struct explain_world *w, const GUID *sublayer, struct explain_why_not *out)
{
    const struct explain_step_result *r = &w->steps[out->step];
    bool asked = false;

    out->other = 0;
    for (uint32_t i = 0; i < r->match_count; i++)
        asked = asked || r->matches[i].filter_id == out->filter->filterId;
    for (uint32_t i = 0; i < r->sublayer_count && !asked; i++) {
        if (memcmp(&r->sublayers[i].key, sublayer, sizeof *sublayer) == 0)
            out->other = r->sublayers[i].filter_id;
    }
    if (!asked) {
        out->reason = WHY_NOT_SHADOWED;
    } else if (r->filter_id == out->filter->filterId) {
        out->reason = WHY_IT_DID;
    } else {
        out->reason = WHY_NOT_CONTINUED;
        for (uint32_t i = 0; i < r->sublayer_count; i++) {
            if (r->sublayers[i].filter_id == out->filter->filterId)
                out->reason = WHY_NOT_OVERRULED;
        }
        out->other = r->filter_id;
    }
}

int explain_why_not(struct explain_problem *p, const struct explain_world *w, const FWPM_FILTER0 *filter,
                    struct explain_why_not **out)
{
    struct explain_why_not *all = explain_alloc(&p->arena, (p->step_count + 1) * sizeof *all);
    int count = 0, err;

    if (all == NULL)
        return -ENOMEM;
    *out = all;
    all[0] = (struct explain_why_not){.filter = filter, .step = UINT32_MAX};
    all[0].reason = explain_not_applied(filter) != NULL ? WHY_NOT_APPLIED : WHY_NOT_ELSEWHERE;
    if (all[0].reason == WHY_NOT_APPLIED)
        return 1;
    for (uint32_t s = 0; s < p->step_count; s++) {
        const struct engine_filter *f;
        struct explain_why_not *one = &all[count];

        if (memcmp(p->steps[s].layer->key, &filter->layerKey, sizeof(GUID)) != 0)
            continue;
        *one = (struct explain_why_not){.filter = filter, .step = s, .reason = WHY_NOT_APPLIED};
        count++;
        f = find_in_layer(p, s, filter->filterId);
        if (f == NULL)
            continue;
        err = list_failing(p, w, f, one);
        if (err != 0)
            return err;
        one->reason = WHY_NOT_CONDITION;
        if (one->failing_count == 0)
            find_fate(w, &engine_filter_desc(f)->sublayer_key, one);
    }
    return count != 0 ? count : 1;
}

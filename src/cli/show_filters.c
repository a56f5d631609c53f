/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir show filters: which filters are wanted, and a line or an object for each.
 */
#include "cli/show.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- matching -------------------------------------------------------------------------------- */

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);

    return n >= m && strcasecmp(text + n - m, end) == 0 &&
           (n == m || text[n - m - 1] == '\\' || end[0] == '\\');
}

/* Does some condition on one of these fields admit the value? */
static bool admits(struct show *w, const FWPM_FILTER0 *f, const char *const *fields, const char *text)
{
    const struct engine_layer *layer = engine_layer_by_key(&f->layerKey);

    for (UINT32 i = 0; layer != NULL && i < f->numFilterConditions; i++) {
        const FWPM_FILTER_CONDITION0 *c = &f->filterCondition[i];
        int index = engine_layer_field(layer, &c->fieldKey);
        struct explain_value v;
        const char *error;

        for (const char *const *name = fields; index >= 0 && *name != NULL; name++) {
            const struct engine_field *field = &layer->fields[index];

            if (strcmp(explain_field_short(field), *name) == 0 &&
                explain_value_parse(&w->a, field, text, &v, &error) == 0 && v.value.type != FWP_EMPTY &&
                engine_match(c->matchType, &c->conditionValue, &v.value))
                return true;
        }
    }
    return false;
}

static bool names_app(struct show *w, const FWPM_FILTER0 *f, const char *text)
{
    for (UINT32 i = 0; i < f->numFilterConditions; i++) {
        const FWPM_FILTER_CONDITION0 *c = &f->filterCondition[i];

        if (memcmp(&c->fieldKey, &FWPM_CONDITION_ALE_APP_ID, sizeof(GUID)) == 0 &&
            c->conditionValue.type == FWP_BYTE_BLOB_TYPE &&
            ends_with(explain_blob_text(&w->a, NULL, c->conditionValue.byteBlob), text))
            return true;
    }
    return false;
}

static bool filter_matches_one(struct show *w, const FWPM_FILTER0 *f, const struct match *m)
{
    static const char *const ports[] = {"IP_LOCAL_PORT", "IP_REMOTE_PORT", NULL};
    static const char *const addresses[] = {"IP_LOCAL_ADDRESS", "IP_REMOTE_ADDRESS", "IP_SOURCE_ADDRESS",
                                            "IP_DESTINATION_ADDRESS", NULL};
    static const char *const protocols[] = {"IP_PROTOCOL", NULL};
    struct explain_arena *a = &w->a;
    UINT64 id;

    if (strcmp(m->key, "app") == 0)
        return names_app(w, f, m->value);
    if (strcmp(m->key, "port") == 0)
        return admits(w, f, ports, m->value);
    if (strcmp(m->key, "address") == 0)
        return admits(w, f, addresses, m->value);
    if (strcmp(m->key, "protocol") == 0)
        return admits(w, f, protocols, m->value);
    if (strcmp(m->key, "name") == 0)
        return show_contains(explain_utf8(a, f->displayData.name), m->value);
    if (strcmp(m->key, "id") == 0)
        return explain_parse_number(m->value, UINT64_MAX, &id) && id == f->filterId;
    if (strcmp(m->key, "key") == 0)
        return show_contains(show_key_text(w, &f->filterKey), m->value);
    if (strcmp(m->key, "action") == 0)
        return show_contains(explain_action_name(f->action.type), m->value);
    if (strcmp(m->key, "sublayer") == 0)
        return show_contains(explain_sublayer_name(w->s, a, &f->subLayerKey), m->value) ||
               show_contains(explain_guid_text(a, ENGINE_GUID_SUBLAYER, &f->subLayerKey), m->value);
    if (strcmp(m->key, "provider") == 0)
        return f->providerKey != NULL &&
               (show_contains(explain_provider_name(w->s, a, f->providerKey), m->value) ||
                show_contains(explain_guid_text(a, ENGINE_GUID_PROVIDER, f->providerKey), m->value));
    if (strcmp(m->key, "callout") == 0)
        return f->action.type & FWP_ACTION_FLAG_CALLOUT &&
               (show_contains(explain_callout_name(w->s, a, &f->action.calloutKey), m->value) ||
                show_contains(explain_guid_text(a, ENGINE_GUID_CALLOUT, &f->action.calloutKey), m->value));
    return show_contains(explain_guid_text(a, ENGINE_GUID_LAYER, &f->layerKey), m->value);
}

static bool filter_matches(struct show *w, const FWPM_FILTER0 *f)
{
    for (unsigned i = 0; i < w->match_count; i++) {
        if (!filter_matches_one(w, f, &w->matches[i]))
            return false;
    }
    return true;
}

/* ---- filters --------------------------------------------------------------------------------- */

static UINT64 weight_of(const FWPM_FILTER0 *f)
{
    const FWP_VALUE0 *v = &f->effectiveWeight;

    return v->type == FWP_UINT64 && v->uint64 != NULL ? *v->uint64 : 0;
}

static int requirements(struct show *w, const FWPM_FILTER0 *f, const struct engine_layer *layer,
                        const struct explain_requirement **all)
{
    FWPS_FILTER3 shell = {.filterCondition = explain_alloc(&w->a, (f->numFilterConditions + 1) *
                                                                      sizeof *shell.filterCondition)};

    for (UINT32 i = 0; shell.filterCondition != NULL && i < f->numFilterConditions; i++) {
        int index = engine_layer_field(layer, &f->filterCondition[i].fieldKey);

        if (index >= 0)
            shell.filterCondition[shell.numFilterConditions++] =
                (FWPS_FILTER_CONDITION0){.fieldId = (UINT16)index,
                                         .matchType = f->filterCondition[i].matchType,
                                         .conditionValue = f->filterCondition[i].conditionValue};
    }
    return explain_requirements(&w->a, layer, &shell, all);
}

static const char *action_text(struct show *w, const FWPM_FILTER0 *f)
{
    if (!(f->action.type & FWP_ACTION_FLAG_CALLOUT))
        return explain_action_name(f->action.type);
    return explain_printf(&w->a, "%s %s", explain_action_name(f->action.type),
                          explain_callout_name(w->s, &w->a, &f->action.calloutKey));
}

static void filter_row(struct show *w, const FWPM_FILTER0 *f, const struct engine_layer *layer)
{
    const FWPM_SUBLAYER0 *sublayer = explain_state_sublayer(w->s, &f->subLayerKey);
    const struct explain_requirement *all;
    struct explain_text conditions = {0};
    int n = requirements(w, f, layer, &all);
    const char *out = explain_not_applied(f);
    const char *name = explain_utf8(&w->a, f->displayData.name);
    const char *cells[7];

    if (out != NULL)
        explain_addf(&conditions, "(%s) ", out);
    for (int i = 0; i < n; i++)
        explain_addf(&conditions, "%s%s", i != 0 ? " & " : "", all[i].raw);
    cells[0] = explain_printf(&w->a, "%llu", (unsigned long long)f->filterId);
    cells[1] = strncmp(layer->name, "FWPM_LAYER_", 11) == 0 ? layer->name + 11 : layer->name;
    cells[2] = explain_printf(&w->a, "%u %s", sublayer != NULL ? sublayer->weight : 0,
                              explain_sublayer_name(w->s, &w->a, &f->subLayerKey));
    cells[3] = explain_printf(&w->a, "%016llx", (unsigned long long)weight_of(f));
    cells[4] = action_text(w, f);
    cells[5] = name;
    cells[6] = conditions.data != NULL ? explain_strdup(&w->a, conditions.data) : "";
    table_row(&w->table, cells);
    explain_text_free(&conditions);
}

static void filter_object(struct show *w, const FWPM_FILTER0 *f, const struct engine_layer *layer)
{
    const FWPM_SUBLAYER0 *sublayer = explain_state_sublayer(w->s, &f->subLayerKey);
    json_t *o = json_object(), *conditions = json_array();
    const struct explain_requirement *all;
    int n = requirements(w, f, layer, &all);

    json_object_set_new(o, "id", json_integer((json_int_t)f->filterId));
    json_object_set_new(o, "key", json_string(show_key_text(w, &f->filterKey)));
    json_object_set_new(o, "name", json_string(explain_utf8(&w->a, f->displayData.name)));
    json_object_set_new(o, "description", json_string(explain_utf8(&w->a, f->displayData.description)));
    json_object_set_new(o, "layer", json_string(layer->name));
    json_object_set_new(o, "sublayer", show_key_json(w, ENGINE_GUID_SUBLAYER, &f->subLayerKey));
    json_object_set_new(o, "sublayer_name", json_string(explain_sublayer_name(w->s, &w->a, &f->subLayerKey)));
    json_object_set_new(o, "sublayer_weight",
                        sublayer != NULL ? json_integer(sublayer->weight) : json_null());
    json_object_set_new(o, "provider", show_key_json(w, ENGINE_GUID_PROVIDER, f->providerKey));
    json_object_set_new(o, "weight",
                        json_string(explain_printf(&w->a, "0x%016llx", (unsigned long long)weight_of(f))));
    json_object_set_new(o, "action", json_string(explain_action_name(f->action.type)));
    json_object_set_new(o, "callout",
                        f->action.type & FWP_ACTION_FLAG_CALLOUT
                            ? show_key_json(w, ENGINE_GUID_CALLOUT, &f->action.calloutKey)
                            : json_null());
    json_object_set_new(o, "flags", json_string(explain_filter_flags(&w->a, f->flags)));
    json_object_set_new(o, "applied", json_boolean(explain_not_applied(f) == NULL));
    for (int i = 0; i < n; i++) {
        json_t *c = json_object();

        json_object_set_new(c, "field", json_string(layer->fields[all[i].field].name));
        json_object_set_new(c, "words", json_string(all[i].words));
        json_object_set_new(c, "raw", json_string(all[i].raw));
        json_array_append_new(conditions, c);
    }
    json_object_set_new(o, "conditions", conditions);
    json_array_append_new(w->list, o);
}

static void one_filter(struct show *w, const FWPM_FILTER0 *f, const struct engine_layer *layer)
{
    if (f == NULL || !filter_matches(w, f))
        return;
    if (w->json)
        filter_object(w, f, layer);
    else
        filter_row(w, f, layer);
}

/* Those that the engine does not ask, heaviest first. */
static int by_weight(const void *x, const void *y)
{
    const FWPM_FILTER0 *a = *(FWPM_FILTER0 *const *)x, *b = *(FWPM_FILTER0 *const *)y;
    UINT64 wa = weight_of(a), wb = weight_of(b);

    if (wa != wb)
        return wa < wb ? 1 : -1;
    return a->filterId < b->filterId ? 1 : -1;
}

static void rest_of_layer(struct show *w, const struct engine_layer *layer,
                          const struct engine_filter *const *seen, size_t seen_count)
{
    const FWPM_FILTER0 **rest = explain_alloc(&w->a, (w->s->filter_count + 1) * sizeof *rest);
    size_t count = 0;

    for (UINT32 i = 0; rest != NULL && i < w->s->filter_count; i++) {
        const FWPM_FILTER0 *f = w->s->filters[i];
        bool asked = memcmp(&f->layerKey, layer->key, sizeof(GUID)) != 0;

        for (size_t k = 0; k < seen_count && !asked; k++)
            asked = engine_filter_fwps(seen[k])->filterId == f->filterId;
        if (!asked)
            rest[count++] = f;
    }
    if (count != 0)
        qsort(rest, count, sizeof *rest, by_weight);
    for (size_t i = 0; i < count; i++)
        one_filter(w, rest[i], layer);
}

void show_filters(struct show *w)
{
    static const char *const heads[] = {"ID", "LAYER", "SUBLAYER", "WEIGHT", "ACTION", "NAME", "CONDITIONS"};
    const struct engine_snapshot *snapshot = engine_pin(w->s->reader);

    w->table.columns = 7;
    table_row(&w->table, heads);
    for (UINT16 id = 0; id < ENGINE_LAYER_COUNT; id++) {
        const struct engine_layer *layer = engine_layer_by_id(id);
        const struct engine_filter *const *filters;
        size_t n;

        if (layer == NULL || (w->layer != NULL && w->layer != layer))
            continue;
        n = engine_snapshot_filters(snapshot, id, &filters);
        for (size_t i = 0; i < n; i++)
            one_filter(w, explain_state_filter(w->s, engine_filter_fwps(filters[i])->filterId), layer);
        rest_of_layer(w, layer, filters, n);
    }
    engine_unpin(w->s->reader);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir show: the objects of a state, sorted as the engine sees them: layers by id, in each the filters in the
 * order in which they are asked, then those that take no part (boot-time, disabled).
 */
#include "cli/options.h"
#include "cli/show.h"

#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: weir show filters|sublayers|callouts|providers|layers --state FILE [OPTIONS]\n"
    "\n"
    "  --layer LAYER      only this layer's filters, callouts, or itself\n"
    "  --match KEY=VALUE  only filters for which this holds; several: all of them. KEY is one of\n"
    "                       app       a condition on the program names it (path, or its end)\n"
    "                       port      a condition on a port admits it\n"
    "                       address   a condition on an address admits it\n"
    "                       protocol  a condition on the protocol admits it (tcp, udp, a number)\n"
    "                       name, id, key, action, sublayer, provider, callout, layer   part of it, in any "
    "case\n"
    "                     for other objects: name, key, provider, layer\n"
    "  --json             as JSON (doc/json.md)\n";

bool show_contains(const char *text, const char *part)
{
    return text != NULL && strcasestr(text, part) != NULL;
}

const char *show_key_text(struct show *w, const GUID *key)
{
    char text[ENGINE_GUID_TEXT];

    return explain_strdup(&w->a, engine_guid_format(key, text));
}

json_t *show_key_json(struct show *w, enum engine_guid_kind kind, const GUID *key)
{
    return key != NULL ? json_string(explain_guid_text(&w->a, kind, key)) : json_null();
}

/* Other objects: by name, key, provider, layer. */
static bool object_matches(const struct show *w, const char *name, const char *key, const char *provider,
                           const char *layer)
{
    for (unsigned i = 0; i < w->match_count; i++) {
        const struct match *m = &w->matches[i];
        const char *text = strcmp(m->key, "name") == 0       ? name
                           : strcmp(m->key, "key") == 0      ? key
                           : strcmp(m->key, "provider") == 0 ? provider
                           : strcmp(m->key, "layer") == 0    ? layer
                                                             : NULL;

        if (!show_contains(text, m->value))
            return false;
    }
    return true;
}

/* ---- the other kinds ------------------------------------------------------------------------- */

static int by_sublayer_weight(const void *x, const void *y)
{
    const FWPM_SUBLAYER0 *a = *(FWPM_SUBLAYER0 *const *)x, *b = *(FWPM_SUBLAYER0 *const *)y;

    return (a->weight < b->weight) - (a->weight > b->weight);
}

static UINT32 count_filters(const struct show *w, const GUID *sublayer, const GUID *layer,
                            const GUID *callout, const GUID *provider)
{
    UINT32 n = 0;

    for (UINT32 i = 0; i < w->s->filter_count; i++) {
        const FWPM_FILTER0 *f = w->s->filters[i];

        n += (sublayer != NULL && memcmp(&f->subLayerKey, sublayer, sizeof(GUID)) == 0) ||
             (layer != NULL && memcmp(&f->layerKey, layer, sizeof(GUID)) == 0) ||
             (callout != NULL && f->action.type & FWP_ACTION_FLAG_CALLOUT &&
              memcmp(&f->action.calloutKey, callout, sizeof(GUID)) == 0) ||
             (provider != NULL && f->providerKey != NULL &&
              memcmp(f->providerKey, provider, sizeof(GUID)) == 0);
    }
    return n;
}

static void show_sublayers(struct show *w)
{
    static const char *const heads[] = {"WEIGHT", "FILTERS", "SUBLAYER", "PROVIDER", "NAME"};
    FWPM_SUBLAYER0 **all = explain_copy(&w->a, w->s->sublayers, (w->s->sublayer_count + 1) * sizeof *all);

    w->table.columns = 5;
    table_row(&w->table, heads);
    if (all == NULL)
        return;
    qsort(all, w->s->sublayer_count, sizeof *all, by_sublayer_weight);
    for (UINT32 i = 0; i < w->s->sublayer_count; i++) {
        const FWPM_SUBLAYER0 *x = all[i];
        const char *key = explain_guid_text(&w->a, ENGINE_GUID_SUBLAYER, &x->subLayerKey);
        const char *provider =
            x->providerKey != NULL ? explain_guid_text(&w->a, ENGINE_GUID_PROVIDER, x->providerKey) : "";
        const char *name = explain_utf8(&w->a, x->displayData.name);
        UINT32 filters = count_filters(w, &x->subLayerKey, NULL, NULL, NULL);
        const char *cells[] = {explain_printf(&w->a, "%u", x->weight), explain_printf(&w->a, "%u", filters),
                               key, provider, name};
        json_t *o;

        if (!object_matches(w, name, key, provider, NULL))
            continue;
        table_row(&w->table, cells);
        o = json_object();
        json_object_set_new(o, "key", json_string(key));
        json_object_set_new(o, "name", json_string(name));
        json_object_set_new(o, "description", json_string(explain_utf8(&w->a, x->displayData.description)));
        json_object_set_new(o, "weight", json_integer(x->weight));
        json_object_set_new(o, "provider", show_key_json(w, ENGINE_GUID_PROVIDER, x->providerKey));
        json_object_set_new(o, "flags", json_integer(x->flags));
        json_object_set_new(o, "filters", json_integer(filters));
        json_array_append_new(w->list, o);
    }
}

static const char *builtin_text(const struct policy_builtin_callout *b)
{
    static const char *const texts[] = {"depends", "permit", "block", "continue"};

    return b != NULL ? texts[b->answer] : "";
}

static void show_callouts(struct show *w)
{
    static const char *const heads[] = {"ID", "FILTERS", "ASSUMED", "LAYER", "CALLOUT", "NAME"};

    w->table.columns = 6;
    table_row(&w->table, heads);
    for (UINT32 i = 0; i < w->s->callout_count; i++) {
        const FWPM_CALLOUT0 *x = w->s->callouts[i];
        const char *key = explain_guid_text(&w->a, ENGINE_GUID_CALLOUT, &x->calloutKey);
        const char *layer = explain_guid_text(&w->a, ENGINE_GUID_LAYER, &x->applicableLayer);
        const char *name = explain_utf8(&w->a, x->displayData.name);
        const char *provider =
            x->providerKey != NULL ? explain_guid_text(&w->a, ENGINE_GUID_PROVIDER, x->providerKey) : "";
        const struct policy_builtin_callout *builtin = policy_builtin_callout(&x->calloutKey);
        UINT32 filters = count_filters(w, NULL, NULL, &x->calloutKey, NULL);
        const char *cells[] = {explain_printf(&w->a, "%u", x->calloutId),
                               explain_printf(&w->a, "%u", filters),
                               builtin_text(builtin),
                               layer,
                               key,
                               name};
        json_t *o;

        if ((w->layer != NULL && memcmp(w->layer->key, &x->applicableLayer, sizeof(GUID)) != 0) ||
            !object_matches(w, name, key, provider, layer))
            continue;
        table_row(&w->table, cells);
        o = json_object();
        json_object_set_new(o, "id", json_integer(x->calloutId));
        json_object_set_new(o, "key", json_string(key));
        json_object_set_new(o, "name", json_string(name));
        json_object_set_new(o, "description", json_string(explain_utf8(&w->a, x->displayData.description)));
        json_object_set_new(o, "layer", json_string(layer));
        json_object_set_new(o, "provider", show_key_json(w, ENGINE_GUID_PROVIDER, x->providerKey));
        json_object_set_new(o, "assumed", builtin != NULL ? json_string(builtin_text(builtin)) : json_null());
        json_object_set_new(o, "why", builtin != NULL ? json_string(builtin->why) : json_null());
        json_object_set_new(o, "filters", json_integer(filters));
        json_array_append_new(w->list, o);
    }
}

static void show_providers(struct show *w)
{
    static const char *const heads[] = {"FILTERS", "SERVICE", "PROVIDER", "NAME"};

    w->table.columns = 4;
    table_row(&w->table, heads);
    for (UINT32 i = 0; i < w->s->provider_count; i++) {
        const FWPM_PROVIDER0 *x = w->s->providers[i];
        const char *key = explain_guid_text(&w->a, ENGINE_GUID_PROVIDER, &x->providerKey);
        const char *name = explain_utf8(&w->a, x->displayData.name);
        const char *service = explain_utf8(&w->a, x->serviceName);
        UINT32 filters = count_filters(w, NULL, NULL, NULL, &x->providerKey);
        const char *cells[] = {explain_printf(&w->a, "%u", filters), service, key, name};
        json_t *o;

        if (!object_matches(w, name, key, key, NULL))
            continue;
        table_row(&w->table, cells);
        o = json_object();
        json_object_set_new(o, "key", json_string(key));
        json_object_set_new(o, "name", json_string(name));
        json_object_set_new(o, "description", json_string(explain_utf8(&w->a, x->displayData.description)));
        json_object_set_new(o, "service", x->serviceName != NULL ? json_string(service) : json_null());
        json_object_set_new(o, "flags", json_integer(x->flags));
        json_object_set_new(o, "filters", json_integer(filters));
        json_array_append_new(w->list, o);
    }
}

static void show_layers(struct show *w)
{
    static const char *const heads[] = {"ID", "FILTERS", "FIELDS", "LAYER", "NAME"};

    w->table.columns = 5;
    table_row(&w->table, heads);
    for (UINT16 id = 0; id < ENGINE_LAYER_COUNT; id++) {
        const struct engine_layer *x = engine_layer_by_id(id);
        json_t *o, *fields;
        UINT32 filters;

        if (x == NULL || (w->layer != NULL && w->layer != x) ||
            !object_matches(w, x->display_name, x->name, NULL, x->name))
            continue;
        filters = count_filters(w, NULL, x->key, NULL, NULL);
        table_row(&w->table,
                  (const char *[]){explain_printf(&w->a, "%u", id), explain_printf(&w->a, "%u", filters),
                                   explain_printf(&w->a, "%u", x->field_count), x->name, x->display_name});
        o = json_object();
        fields = json_array();
        json_object_set_new(o, "id", json_integer(id));
        json_object_set_new(o, "layer", json_string(x->name));
        json_object_set_new(o, "key", json_string(show_key_text(w, x->key)));
        json_object_set_new(o, "name", json_string(x->display_name));
        json_object_set_new(o, "filters", json_integer(filters));
        for (UINT16 i = 0; i < x->field_count; i++) {
            json_t *f = json_object();

            json_object_set_new(f, "field", json_string(x->fields[i].name != NULL ? x->fields[i].name : ""));
            json_object_set_new(f, "type",
                                json_string(engine_constant_name("FWP_DATA_TYPE", x->fields[i].data_type)));
            json_array_append_new(fields, f);
        }
        json_object_set_new(o, "fields", fields);
        json_array_append_new(w->list, o);
    }
}

/* ---- the command ----------------------------------------------------------------------------- */

static const struct kind {
    const char *name;
    void (*show)(struct show *w);
    const char *keys; /* that --match takes */
} kinds[] = {
    {"filters", show_filters,
     " app port address protocol name id key action sublayer provider callout layer "},
    {"sublayers", show_sublayers, " name key provider "},
    {"callouts", show_callouts, " name key provider layer "},
    {"providers", show_providers, " name key provider "},
    {"layers", show_layers, " name key layer "},
};

static int add_match(struct show *w, char *text)
{
    char *equals = strchr(text, '=');

    if (equals == NULL || equals == text)
        return complain_usage("show", "--match %s: expected KEY=VALUE", text);
    if (w->match_count == MAX_MATCHES)
        return complain_usage("show", "more than %d --match", MAX_MATCHES);
    *equals = '\0';
    w->matches[w->match_count++] = (struct match){text, equals + 1};
    return EXIT_PERMITTED;
}

static int parse_options(int argc, char **argv, struct show *w, struct shared_options *o)
{
    enum { LAYER = 256, MATCH };
    static const struct option longs[] = {
        SHARED_STATE,
        SHARED_JSON,
        {"layer", required_argument, NULL, LAYER},
        {"match", required_argument, NULL, MATCH},
        SHARED_END,
    };
    int c, status = EXIT_PERMITTED;

    opterr = 0;
    while (status == EXIT_PERMITTED && (c = getopt_long(argc, argv, ":h", longs, NULL)) != -1) {
        if (c == MATCH) {
            status = add_match(w, optarg);
        } else if (c == LAYER) {
            w->layer = engine_layer_by_name(optarg);
            if (w->layer == NULL)
                status = complain_usage("show", "no layer is called '%s'", optarg);
        } else {
            status = shared_option("show", c, argv, o, usage);
        }
    }
    w->json = o->json;
    return status;
}

static int find_kind(int argc, char **argv, const struct show *w, const struct kind **out)
{
    *out = NULL;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0] && argc - optind == 1; i++) {
        if (strcmp(argv[optind], kinds[i].name) == 0)
            *out = &kinds[i];
    }
    if (*out == NULL)
        return complain_usage("show", "expected one of filters, sublayers, callouts, providers, layers%s%s",
                              argc > optind ? ", found " : "", argc > optind ? argv[argc - 1] : "");
    for (unsigned i = 0; i < w->match_count; i++) {
        char word[64];

        snprintf(word, sizeof word, " %s ", w->matches[i].key);
        if (strstr((*out)->keys, word) == NULL)
            return complain_usage("show", "--match %s: %s have no such key; there are%s", w->matches[i].key,
                                  (*out)->name, (*out)->keys);
    }
    return EXIT_PERMITTED;
}

int cmd_show(int argc, char **argv)
{
    struct show w = {0};
    struct explain_state *s = NULL;
    const struct kind *kind = NULL;
    struct shared_options o = {0};
    int status = parse_options(argc, argv, &w, &o);

    if (status != EXIT_PERMITTED)
        return status < 0 ? EXIT_PERMITTED : status;
    status = find_kind(argc, argv, &w, &kind);
    if (status == EXIT_PERMITTED)
        status = load_state("show", o.state, &s);
    if (status == EXIT_PERMITTED) {
        w.s = s;
        w.table.a = &w.a;
        w.list = json_array();
        kind->show(&w);
        if (w.a.failed)
            status = complain(EXIT_OS_ERROR, "out of memory");
        else if (w.json)
            status = print_json(json_incref(w.list), true);
        else
            table_print(&w.table, stdout);
        json_decref(w.list);
    }
    explain_state_close(s);
    explain_arena_free(&w.a);
    return status;
}

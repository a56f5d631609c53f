/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What filters are called. Looked up in the bfe once each, kept until the end in an arena: as many as there
 * are filters that a run names, so bounded by its policies.
 *
 * A table by id with open addressing; after report_names_forget() entries are read again when they are asked
 * for, and the old ones stay in the arena.
 */
#include <errno.h>
#include <stdlib.h>

#include "internal.h"

struct entry {
    struct report_filter f;
    UINT64 generation; /* known to be right in this one */
};

struct report_names {
    struct bfe *bfe;
    struct bfe_session *session;
    struct explain_arena arena;
    struct entry **slots; /* by id; a power of two */
    size_t room, count;
    UINT64 generation;
};

int report_names_create(struct bfe *b, struct report_names **out)
{
    static const struct bfe_caller kernel = {.kernel = true};
    struct report_names *n = calloc(1, sizeof *n);

    *out = NULL;
    if (n == NULL)
        return -ENOMEM;
    n->bfe = b;
    n->room = 256;
    n->slots = calloc(n->room, sizeof(struct entry *));
    if (n->slots == NULL || bfe_session_open(b, &kernel, NULL, &n->session) != STATUS_SUCCESS) {
        int err = n->slots == NULL ? -ENOMEM : -EIO;

        report_names_destroy(n);
        return err;
    }
    *out = n;
    return 0;
}

void report_names_destroy(struct report_names *n)
{
    if (n == NULL)
        return;
    if (n->session != NULL)
        bfe_session_close(n->session);
    free(n->slots);
    explain_arena_free(&n->arena);
    free(n);
}

void report_names_forget(struct report_names *n)
{
    n->generation++;
}

/* ---- reading a filter --------------------------------------------------------------------------------- */

static const char *orempty(const char *text)
{
    return text != NULL ? text : "";
}

static const char *sublayer_name(struct report_names *n, const GUID *key)
{
    FWPM_SUBLAYER0 *s;
    const char *name = "";

    if (bfe_sublayer_get(n->session, key, &s) == STATUS_SUCCESS) {
        name = orempty(explain_utf8(&n->arena, s->displayData.name));
        bfe_free(s);
    }
    return name;
}

static const char *callout_name(struct report_names *n, const GUID *key)
{
    FWPM_CALLOUT0 *c;
    const char *name = "";

    if (bfe_callout_get(n->session, key, 0, &c) == STATUS_SUCCESS) {
        name = orempty(explain_utf8(&n->arena, c->displayData.name));
        bfe_free(c);
    }
    return name;
}

/* The filter's conditions as the engine would number them, in words. */
static void read_conditions(struct report_names *n, const FWPM_FILTER0 *f, struct report_filter *out)
{
    const struct engine_layer *layer = engine_layer_by_key(&f->layerKey);
    FWPS_FILTER_CONDITION0 *c = calloc(f->numFilterConditions + 1, sizeof *c);
    FWPS_FILTER3 as = {.numFilterConditions = f->numFilterConditions, .filterCondition = c};
    const struct explain_requirement *all;
    const char **words;
    int count;

    if (layer == NULL || c == NULL)
        goto out;
    for (UINT32 i = 0; i < f->numFilterConditions; i++) {
        int field = engine_layer_field(layer, &f->filterCondition[i].fieldKey);

        if (field < 0)
            goto out;
        c[i].fieldId = (UINT16)field;
        c[i].matchType = f->filterCondition[i].matchType;
        c[i].conditionValue = f->filterCondition[i].conditionValue;
    }
    count = explain_requirements(&n->arena, layer, &as, &all);
    words = count > 0 ? explain_alloc(&n->arena, (size_t)count * sizeof *words) : NULL;
    if (words == NULL)
        goto out;
    for (int i = 0; i < count; i++)
        words[i] = all[i].words;
    out->conditions = words;
    out->condition_count = (size_t)count;
out:
    free(c);
}

static struct report_filter *read_filter(struct report_names *n, UINT64 id)
{
    struct entry *e = explain_alloc(&n->arena, sizeof *e);
    struct explain_arena *a = &n->arena;
    char key[ENGINE_GUID_TEXT];
    FWPM_FILTER0 *f;

    if (e == NULL)
        return NULL;
    e->generation = n->generation;
    e->f = (struct report_filter){
        .id = id, .key = "", .name = "", .layer = "", .action = "", .sublayer = "", .sublayer_name = ""};
    if (bfe_filter_get(n->session, NULL, id, &f) != STATUS_SUCCESS)
        return &e->f;
    e->f.guid = f->filterKey;
    e->f.key = orempty(explain_strdup(a, engine_guid_format(&f->filterKey, key)));
    e->f.name = orempty(explain_utf8(a, f->displayData.name));
    e->f.layer = orempty(explain_guid_text(a, ENGINE_GUID_LAYER, &f->layerKey));
    e->f.action = orempty(explain_action_name(f->action.type));
    e->f.sublayer = orempty(explain_guid_text(a, ENGINE_GUID_SUBLAYER, &f->subLayerKey));
    e->f.sublayer_name = sublayer_name(n, &f->subLayerKey);
    if (f->providerKey != NULL)
        e->f.provider = explain_guid_text(a, ENGINE_GUID_PROVIDER, f->providerKey);
    if (f->action.type & FWP_ACTION_FLAG_CALLOUT) {
        e->f.callout = explain_guid_text(a, ENGINE_GUID_CALLOUT, &f->action.calloutKey);
        e->f.callout_name = callout_name(n, &f->action.calloutKey);
    }
    read_conditions(n, f, &e->f);
    bfe_free(f);
    return &e->f;
}

/* ---- the table ----------------------------------------------------------------------------------------- */

static size_t place(const struct report_names *n, UINT64 id)
{
    return (size_t)(id * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (n->room - 1);
}

static bool grow(struct report_names *n)
{
    struct entry **before = n->slots;
    size_t room = n->room;

    if (n->count * 2 < n->room)
        return true;
    n->slots = calloc(room * 2, sizeof(struct entry *));
    if (n->slots == NULL) {
        n->slots = before;
        return n->count + 1 < n->room;
    }
    n->room = room * 2;
    for (size_t i = 0; i < room; i++) {
        size_t at = before[i] != NULL ? place(n, before[i]->f.id) : 0;

        while (before[i] != NULL && n->slots[at] != NULL)
            at = (at + 1) & (n->room - 1);
        if (before[i] != NULL)
            n->slots[at] = before[i];
    }
    free(before);
    return true;
}

const struct report_filter *report_names_filter(struct report_names *n, UINT64 id)
{
    struct report_filter *f;
    struct entry *e;
    size_t at;

    if (id == 0 || !grow(n))
        return NULL;
    for (at = place(n, id); n->slots[at] != NULL && n->slots[at]->f.id != id;)
        at = (at + 1) & (n->room - 1);
    e = n->slots[at];
    if (e != NULL && e->generation == n->generation)
        return &e->f;
    f = read_filter(n, id);
    if (f == NULL)
        return NULL;
    n->count += e == NULL;
    n->slots[at] = (struct entry *)f; /* its first member */
    return f;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Enumerations (OBJ-34). A handle is a snapshot: creating it notes references to the objects that are there,
 * that the caller may read and that the template admits; pages copy them out, whatever happened meanwhile.
 *
 * Handles are on their session's list and are looked for there before anything of them is touched, so that a
 * bad handle is an error and nothing else. Guarded by bfe's mutex.
 */
#include <stdlib.h>
#include <string.h>

#include "bfe/outer.h"
#include "bfe/template.h"

struct bfe_enum {
    struct bfe_enum *next;
    enum bfe_kind kind;
    size_t count, at;
    union {
        void **rows;
        struct bfe_object **objects;
        const struct engine_layer **layers;
        FWPM_SESSION0 **sessions;
        struct net_event **events;
    };
};

static void rows_free(struct bfe_enum *e)
{
    for (size_t i = 0; i < e->count; i++) {
        if (e->kind == BFE_NET_EVENT)
            net_event_unref(e->events[i]);
        else if (e->kind != BFE_LAYER && e->kind != BFE_SESSION)
            bfe_object_unref(e->objects[i]);
    }
    if (e->kind == BFE_SESSION)
        bfe_free(e->sessions); /* one block, rows and all */
    else
        free(e->rows);
}

/* ---- taking the snapshot ---------------------------------------------------------------------- */

static UINT64 weight_of(const struct bfe_object *o)
{
    const FWP_VALUE0 *w = &o->filter->effectiveWeight;

    return w->type == FWP_UINT64 && w->uint64 ? *w->uint64 : 0;
}

/* Highest weight first; of equal ones the newer (OBJ-33). */
static int by_weight(const void *a, const void *b)
{
    const struct bfe_object *x = *(struct bfe_object *const *)a, *y = *(struct bfe_object *const *)b;
    UINT64 wx = weight_of(x), wy = weight_of(y);

    if (wx != wy)
        return wx > wy ? -1 : 1;
    return x->id > y->id ? -1 : x->id < y->id;
}

/* Only the terminating filter with the highest weight stays. */
static void keep_best_terminating(struct bfe_enum *e)
{
    size_t best = e->count;

    for (size_t i = 0; i < e->count && best == e->count; i++)
        if (e->objects[i]->filter->action.type & FWP_ACTION_FLAG_TERMINATING)
            best = i;
    for (size_t i = 0; i < e->count; i++)
        if (i != best)
            bfe_object_unref(e->objects[i]);
    if (best < e->count)
        e->objects[0] = e->objects[best];
    e->count = best < e->count ? 1 : 0;
}

static NTSTATUS take_objects(struct bfe_session *s, struct bfe_enum *e, const struct template *t)
{
    struct bfe_table *table = &s->bfe->tables[e->kind];
    UINT32 flags = template_flags(t);

    e->objects = calloc(table->count + 1, sizeof(struct bfe_object *));
    if (!e->objects)
        return STATUS_NO_MEMORY;
    for (struct bfe_object *o = table->first; o; o = o->next)
        if (template_matches(t, o) && bfe_may(s, e->kind, o, FWPM_ACTRL_READ) == STATUS_SUCCESS)
            e->objects[e->count++] = bfe_object_ref(o);
    if (flags & (FWP_FILTER_ENUM_FLAG_SORTED | FWP_FILTER_ENUM_FLAG_BEST_TERMINATING_MATCH))
        qsort(e->objects, e->count, sizeof(struct bfe_object *), by_weight);
    if (flags & FWP_FILTER_ENUM_FLAG_BEST_TERMINATING_MATCH)
        keep_best_terminating(e);
    return STATUS_SUCCESS;
}

static NTSTATUS take_layers(struct bfe_session *s, struct bfe_enum *e)
{
    e->layers = calloc(ENGINE_LAYER_COUNT, sizeof(const struct engine_layer *));
    if (!e->layers)
        return STATUS_NO_MEMORY;
    for (UINT16 id = 0; id < ENGINE_LAYER_COUNT; id++) {
        const struct engine_layer *layer = engine_layer_by_id(id);
        if (layer && bfe_may_layer(s, layer, FWPM_ACTRL_READ) == STATUS_SUCCESS)
            e->layers[e->count++] = layer;
    }
    return STATUS_SUCCESS;
}

static NTSTATUS take_sessions(struct bfe_session *s, struct bfe_enum *e)
{
    const void **source;
    size_t count = 0;

    for (struct bfe_session *one = s->bfe->sessions; one; one = one->next)
        count++;
    source = calloc(count + 1, sizeof(void *));
    if (!source)
        return STATUS_NO_MEMORY;
    count = 0;
    for (struct bfe_session *one = s->bfe->sessions; one; one = one->next)
        if (!one->closing && !one->aborted)
            source[count++] = one->desc;
    e->sessions = (FWPM_SESSION0 **)bfe_copy_array(BFE_SESSION, source, count);
    free(source);
    if (!e->sessions)
        return STATUS_NO_MEMORY;
    e->count = count;
    return STATUS_SUCCESS;
}

static NTSTATUS take(struct bfe_session *s, struct bfe_enum *e, const void *tmpl)
{
    struct template *t = NULL;
    NTSTATUS status;

    if (e->kind == BFE_NET_EVENT)
        return bfe_events_snapshot(s, tmpl, &e->events, &e->count);
    status = template_create(e->kind, tmpl, true, &t);
    if (status != STATUS_SUCCESS)
        return status;
    if (e->kind == BFE_LAYER)
        status = take_layers(s, e);
    else if (e->kind == BFE_SESSION)
        status = take_sessions(s, e);
    else
        status = take_objects(s, e, t);
    template_destroy(t);
    return status;
}

NTSTATUS bfe_enum_create(struct bfe_session *s, enum bfe_kind kind, const void *tmpl, struct bfe_enum **out)
{
    struct bfe_enum *e;
    NTSTATUS status;

    if ((unsigned)kind >= BFE_KINDS)
        return STATUS_INVALID_PARAMETER;
    e = calloc(1, sizeof(*e));
    if (!e)
        return STATUS_NO_MEMORY;
    e->kind = kind;
    status = bfe_enter_read(s);
    if (status != STATUS_SUCCESS) {
        free(e);
        return status;
    }
    if (kind == BFE_NET_EVENT)
        status = bfe_outside_txn(s);
    if (status ==
        STATUS_SUCCESS) /* sessions belong to the engine (access-control, "WFP Required Access Rights") */
        status = bfe_access_check_container(s, kind == BFE_SESSION ? BFE_SECURED_ENGINE : (unsigned)kind,
                                            FWPM_ACTRL_ENUM);
    if (status == STATUS_SUCCESS)
        status = take(s, e, tmpl);
    if (status == STATUS_SUCCESS) {
        e->next = s->enums;
        s->enums = e;
        *out = e;
    }
    bfe_leave_read(s);
    if (status != STATUS_SUCCESS)
        free(e);
    return status;
}

/* ---- pages ------------------------------------------------------------------------------------ */

/* Where the session's list points to this handle; NULL when it does not. e may be anything. */
static struct bfe_enum **find(struct bfe_session *s, const struct bfe_enum *e)
{
    for (struct bfe_enum **at = &s->enums; *at; at = &(*at)->next)
        if (*at == e)
            return at;
    return NULL;
}

NTSTATUS bfe_enum_check(struct bfe_session *s, enum bfe_kind kind, const struct bfe_enum *e)
{
    NTSTATUS status = bfe_enter(s);

    if (status != STATUS_SUCCESS)
        return status;
    struct bfe_enum **at = find(s, e);
    status = at && (*at)->kind == kind ? STATUS_SUCCESS : STATUS_INVALID_HANDLE;
    bfe_leave(s);
    return status;
}

static void **copy_layers(const struct engine_layer *const *layers, size_t count)
{
    struct description {
        FWPM_LAYER0 shell;
        FWPM_FIELD0 fields[ENGINE_MAX_FIELDS];
    } *all = calloc(count, sizeof(*all));
    const void **shells = calloc(count, sizeof(void *));
    void **copies = NULL;

    if (all && shells) {
        for (size_t i = 0; i < count; i++) {
            bfe_layer_describe(layers[i], &all[i].shell, all[i].fields);
            shells[i] = &all[i].shell;
        }
        copies = bfe_copy_array(BFE_LAYER, shells, count);
    }
    free(shells);
    free(all);
    return copies;
}

static void **copy_objects(enum bfe_kind kind, struct bfe_object *const *objects, size_t count)
{
    const void **source = calloc(count, sizeof(void *));
    void **copies = NULL;

    if (source) {
        for (size_t i = 0; i < count; i++)
            source[i] = objects[i]->data;
        copies = bfe_copy_array(kind, source, count);
    }
    free(source);
    return copies;
}

/* The next page of net events in the form of FWPM_NET_EVENT<version>; what it cannot hold is passed over. */
static void **copy_events(struct bfe_enum *e, UINT32 requested, unsigned version, size_t *taken,
                          size_t *passed)
{
    struct net_event **fitting = calloc(e->count - e->at + 1, sizeof(struct net_event *));
    void **copies;

    *taken = *passed = 0;
    if (!fitting)
        return NULL;
    while (e->at + *passed < e->count && *taken < requested) {
        struct net_event *one = e->events[e->at + (*passed)++];
        if (net_event_fits(one, version))
            fitting[(*taken)++] = one;
    }
    copies = net_event_copy_array(fitting, *taken, version);
    free(fitting);
    return copies;
}

static NTSTATUS next_page(struct bfe_enum *e, UINT32 requested, unsigned version, void ***entries,
                          UINT32 *returned)
{
    size_t left = e->count - e->at, count = left < requested ? left : requested, passed = count;
    void **page = NULL;

    if (!count)
        return STATUS_SUCCESS;
    switch (e->kind) {
    case BFE_NET_EVENT:
        page = copy_events(e, requested, version, &count, &passed);
        break;
    case BFE_LAYER:
        page = copy_layers(e->layers + e->at, count);
        break;
    case BFE_SESSION:
        page = bfe_copy_array(BFE_SESSION, (const void *const *)e->sessions + e->at, count);
        break;
    default:
        page = copy_objects(e->kind, e->objects + e->at, count);
    }
    if (!page)
        return STATUS_NO_MEMORY;
    e->at += passed;
    *entries = page;
    *returned = (UINT32)count;
    return STATUS_SUCCESS;
}

static NTSTATUS next(struct bfe_session *s, struct bfe_enum *e, UINT32 requested, unsigned version,
                     void ***entries, UINT32 *returned)
{
    NTSTATUS status;

    if (!entries || !returned)
        return STATUS_FWP_NULL_POINTER;
    *entries = NULL;
    *returned = 0;
    status = bfe_enter(s);
    if (status != STATUS_SUCCESS)
        return status;
    status = find(s, e) ? next_page(e, requested, version, entries, returned) : STATUS_INVALID_HANDLE;
    bfe_leave(s);
    return status;
}

NTSTATUS bfe_enum_next(struct bfe_session *s, struct bfe_enum *e, UINT32 requested, void ***entries,
                       UINT32 *returned)
{
    return next(s, e, requested, BFE_NET_EVENT_NEWEST, entries, returned);
}

NTSTATUS bfe_net_event_next(struct bfe_session *s, struct bfe_enum *e, unsigned version, UINT32 requested,
                            void ***entries, UINT32 *returned)
{
    return version <= BFE_NET_EVENT_NEWEST ? next(s, e, requested, version, entries, returned)
                                           : STATUS_INVALID_PARAMETER;
}

NTSTATUS bfe_enum_destroy(struct bfe_session *s, struct bfe_enum *e)
{
    NTSTATUS status = bfe_enter(s);

    if (status != STATUS_SUCCESS)
        return status;
    struct bfe_enum **at = find(s, e);
    if (at) {
        *at = e->next;
        rows_free(e);
        free(e);
    }
    bfe_leave(s);
    return at ? STATUS_SUCCESS : STATUS_INVALID_HANDLE;
}

void bfe_enums_drop(struct bfe_session *s)
{
    while (s->enums) {
        struct bfe_enum *e = s->enums;
        s->enums = e->next;
        rows_free(e);
        free(e);
    }
}

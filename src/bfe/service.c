/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of the service: created, perhaps booting for a while, running, stopped, started again (OBJ-03, 12,
 * 27, 29).
 *
 *   BOOTING: only boot-time filters act; no sessions.      bfe_create(boot) --> BOOTING --bfe_start-->
 * RUNNING RUNNING: built-in and persistent objects are there.    RUNNING --bfe_stop--> STOPPED --bfe_start-->
 * RUNNING STOPPED: nothing is; sessions are aborted.
 *
 * Start and stop are transactions like any other: the tables are emptied and filled under the undo log and
 * applied in one piece, so that the engine goes from the one set of filters to the other at once.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bfe/callouts.h"
#include "bfe/check.h"
#include "bfe/filter.h"
#include "bfe/store.h"

#define FIRST_ID 1

/* ---- built-in objects ------------------------------------------------------------------------- */

#define NAME_MAX_CHARS 256

/* The tables' names are ASCII. */
static WCHAR *widen(const char *s, WCHAR out[NAME_MAX_CHARS])
{
    size_t i = 0;

    if (s == NULL || *s == 0)
        return NULL;
    for (; s[i] != 0 && i < NAME_MAX_CHARS - 1; i++)
        out[i] = (unsigned char)s[i];
    out[i] = 0;
    return out;
}

static bool autostart(const struct bfe *b, const WCHAR *service)
{
    return service == NULL || *service == 0 || b->config.service_autostart == NULL ||
           b->config.service_autostart(b->config.ctx, service);
}

static NTSTATUS link_new(struct bfe *b, struct bfe_adding *a, const void *src, const GUID *key, UINT64 id,
                         const void *sd, size_t sd_size)
{
    struct bfe_object *o = bfe_make(a, src, key, id);
    NTSTATUS status = STATUS_SUCCESS;

    if (o == NULL)
        return STATUS_NO_MEMORY;
    if (sd != NULL) {
        o->sd = bfe_sd_create(sd, sd_size);
        if (o->sd == NULL)
            status = STATUS_NO_MEMORY;
    }
    if (status == STATUS_SUCCESS && a->kind == BFE_FILTER)
        status = bfe_filter_prepare(b, o);
    if (status != STATUS_SUCCESS) {
        bfe_object_unref(o);
        return status;
    }
    return bfe_link(b, o);
}

/* What the tables say of a built-in object, as an object. */
struct builtin_text {
    WCHAR name[NAME_MAX_CHARS], service[NAME_MAX_CHARS];
};

static FWPM_PROVIDER0 builtin_provider(const struct bfe *b, const struct engine_builtin_provider *p,
                                       struct builtin_text *t)
{
    FWPM_PROVIDER0 out = {.providerKey = *p->key, .serviceName = widen(p->service, t->service)};

    out.displayData.name = widen(p->display_name != NULL ? p->display_name : p->name, t->name);
    if (!autostart(b, out.serviceName))
        out.flags |= FWPM_PROVIDER_FLAG_DISABLED;
    return out;
}

static FWPM_SUBLAYER0 builtin_sublayer(const struct engine_builtin_sublayer *l, struct builtin_text *t)
{
    FWPM_SUBLAYER0 out = {.subLayerKey = *l->key, .weight = l->weight};

    out.displayData.name = widen(l->display_name != NULL ? l->display_name : l->name, t->name);
    out.providerKey = (GUID *)l->provider; /* copied, not written */
    return out;
}

static NTSTATUS add_builtins(struct bfe *b)
{
    const struct engine_builtin_provider *p;
    const struct engine_builtin_sublayer *l;
    size_t providers = engine_builtin_providers(&p), sublayers = engine_builtin_sublayers(&l);
    NTSTATUS status = STATUS_SUCCESS;
    struct builtin_text text;

    for (size_t i = 0; i < providers && status == STATUS_SUCCESS; i++) {
        struct bfe_adding a = {.kind = BFE_PROVIDER, .lifetime = BFE_BUILTIN};
        FWPM_PROVIDER0 src = builtin_provider(b, &p[i], &text);

        status = link_new(b, &a, &src, &src.providerKey, 0, NULL, 0);
    }
    for (size_t i = 0; i < sublayers && status == STATUS_SUCCESS; i++) {
        struct bfe_adding a = {.kind = BFE_SUBLAYER, .lifetime = BFE_BUILTIN};
        FWPM_SUBLAYER0 src = builtin_sublayer(&l[i], &text);

        if (src.providerKey != NULL)
            a.ref[BFE_REF_PROVIDER] = bfe_find(b, BFE_PROVIDER, src.providerKey);
        status = link_new(b, &a, &src, &src.subLayerKey, 0, NULL, 0);
    }
    return status;
}

NTSTATUS bfe_restore_builtins(struct bfe_session *s)
{
    const struct engine_builtin_provider *p;
    const struct engine_builtin_sublayer *l;
    size_t providers = engine_builtin_providers(&p), sublayers = engine_builtin_sublayers(&l);
    NTSTATUS status = STATUS_SUCCESS;
    struct builtin_text text;

    if (s == NULL)
        return STATUS_FWP_NULL_POINTER;
    for (size_t i = 0; i < providers && status == STATUS_SUCCESS; i++) {
        FWPM_PROVIDER0 src = builtin_provider(s->bfe, &p[i], &text);

        status = bfe_restore_provider(s, &src);
    }
    for (size_t i = 0; i < sublayers && status == STATUS_SUCCESS; i++) {
        FWPM_SUBLAYER0 src = builtin_sublayer(&l[i], &text);

        status = bfe_restore_sublayer(s, &src);
    }
    return status;
}

/* ---- persistent objects ----------------------------------------------------------------------- */

/* Persistent objects refer to persistent and built-in ones only, all of which are loaded before them; a
 * built-in one that a newer table no longer has leaves an empty reference, as in an import. */
static struct bfe_object *lookup(struct bfe *b, enum bfe_kind kind, const GUID *key)
{
    return key == NULL ? NULL : bfe_find(b, kind, key);
}

static bool provider_disabled(const struct bfe_object *provider)
{
    return provider != NULL && (provider->provider->flags & FWPM_PROVIDER_FLAG_DISABLED) != 0;
}

static NTSTATUS load_record(void *ctx, const struct bfe_record *r)
{
    struct bfe *b = ctx;
    struct bfe_adding a = {.kind = r->kind, .lifetime = BFE_PERSISTENT};
    FWPM_PROVIDER0 provider;
    FWPM_FILTER0 filter;

    switch (r->kind) {
    case BFE_PROVIDER:
        provider = *(const FWPM_PROVIDER0 *)r->data;
        provider.flags &= ~(UINT32)FWPM_PROVIDER_FLAG_DISABLED;
        if (!autostart(b, provider.serviceName))
            provider.flags |= FWPM_PROVIDER_FLAG_DISABLED;
        return link_new(b, &a, &provider, &provider.providerKey, 0, r->sd, r->sd_size);
    case BFE_PROVIDER_CONTEXT: {
        const FWPM_PROVIDER_CONTEXT3 *c = r->data;

        a.ref[BFE_REF_PROVIDER] = lookup(b, BFE_PROVIDER, c->providerKey);
        if (r->id >= b->next_context_id)
            b->next_context_id = r->id + 1;
        return link_new(b, &a, c, &c->providerContextKey, r->id, r->sd, r->sd_size);
    }
    case BFE_SUBLAYER: {
        const FWPM_SUBLAYER0 *l = r->data;

        a.ref[BFE_REF_PROVIDER] = lookup(b, BFE_PROVIDER, l->providerKey);
        return link_new(b, &a, l, &l->subLayerKey, 0, r->sd, r->sd_size);
    }
    case BFE_CALLOUT: {
        const FWPM_CALLOUT0 *c = r->data;

        a.ref[BFE_REF_PROVIDER] = lookup(b, BFE_PROVIDER, c->providerKey);
        if (r->id >= b->next_callout_id)
            b->next_callout_id = (UINT32)r->id + 1;
        return link_new(b, &a, c, &c->calloutKey, r->id, r->sd, r->sd_size);
    }
    default:
        filter = *(const FWPM_FILTER0 *)r->data;
        a.ref[BFE_REF_PROVIDER] = lookup(b, BFE_PROVIDER, filter.providerKey);
        a.ref[BFE_REF_SUBLAYER] = lookup(b, BFE_SUBLAYER, &filter.subLayerKey);
        a.ref[BFE_REF_CALLOUT] = lookup(b, BFE_CALLOUT, &filter.action.calloutKey);
        if ((filter.flags & FWPM_FILTER_FLAG_HAS_PROVIDER_CONTEXT) != 0)
            a.ref[BFE_REF_CONTEXT] = lookup(b, BFE_PROVIDER_CONTEXT, &filter.providerContextKey);
        filter.flags &= ~(UINT32)FWPM_FILTER_FLAG_DISABLED;
        if (provider_disabled(a.ref[BFE_REF_PROVIDER]))
            filter.flags |= FWPM_FILTER_FLAG_DISABLED; /* OBJ-27 */
        if (r->id >= b->next_filter_id)
            b->next_filter_id = r->id + 1;
        return link_new(b, &a, &filter, &filter.filterKey, r->id, r->sd, r->sd_size);
    }
}

static NTSTATUS load_store(struct bfe *b)
{
    static const enum bfe_kind order[] = {BFE_PROVIDER, BFE_PROVIDER_CONTEXT, BFE_SUBLAYER, BFE_CALLOUT,
                                          BFE_FILTER};
    NTSTATUS status = STATUS_SUCCESS;

    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]) && status == STATUS_SUCCESS; i++)
        status = bfe_store_each(b->store, order[i], load_record, b);
    return status;
}

/* ---- states -------------------------------------------------------------------------------------------- */

/* From whatever is there to what `state` has, in one change. On failure everything is as it was. */
static int change_state(struct bfe *b, enum bfe_service state)
{
    enum bfe_service before = b->service;
    NTSTATUS status;

    b->service = BFE_STOPPED; /* built-in objects may go */
    status = bfe_unlink_all(b);
    b->service = state;
    if (status == STATUS_SUCCESS && state != BFE_STOPPED)
        status = add_builtins(b);
    if (status == STATUS_SUCCESS && state != BFE_STOPPED)
        status = load_store(b);
    if (status == STATUS_SUCCESS)
        status = bfe_txn_apply(b, NULL, BFE_APPLY_SERVICE);
    if (status == STATUS_SUCCESS)
        return 0;
    bfe_log_undo(b, 0);
    b->service = before;
    return status == STATUS_NO_MEMORY ? -ENOMEM : -EINVAL;
}

int bfe_stop(struct bfe *b)
{
    int rc = 0;

    rt_mutex_lock(b->mutex);
    if (b->service != BFE_STOPPED) {
        bfe_state_publish(b, FWPM_SERVICE_STOP_PENDING);
        bfe_sessions_abort(b);
        rc = change_state(b, BFE_STOPPED);
        bfe_state_publish(b, rc == 0 ? FWPM_SERVICE_STOPPED : FWPM_SERVICE_RUNNING);
        rt_cond_broadcast(b->changed);
    }
    rt_mutex_unlock(b->mutex);
    return rc;
}

int bfe_start(struct bfe *b)
{
    int rc = 0;

    rt_mutex_lock(b->mutex);
    if (b->service != BFE_RUNNING) {
        bfe_state_publish(b, FWPM_SERVICE_START_PENDING);
        rc = change_state(b, BFE_RUNNING);
        bfe_state_publish(b, rc == 0 ? FWPM_SERVICE_RUNNING : FWPM_SERVICE_STOPPED);
    }
    rt_mutex_unlock(b->mutex);
    return rc;
}

int bfe_create(struct engine *engine, const struct bfe_config *config, struct bfe **out)
{
    struct bfe *b;
    int rc = -ENOMEM;

    b = calloc(1, sizeof(*b));
    if (b == NULL)
        return -ENOMEM;
    b->engine = engine;
    if (config != NULL)
        b->config = *config;
    b->clock = b->config.clock != NULL ? b->config.clock : rt_clock_real();
    b->store = b->config.store;
    b->service = BFE_STOPPED;
    b->next_filter_id = b->next_context_id = b->next_callout_id = FIRST_ID;
    if (rt_mutex_create(&b->mutex) != 0 || rt_cond_create(b->clock, &b->changed) != 0 ||
        bfe_tables_create(b) != 0)
        goto out;
    if (b->store == NULL) {
        if (bfe_store_create(&b->store) != 0)
            goto out;
        b->own_store = true;
    }
    rc = bfe_callouts_create(b);
    if (rc == 0)
        rc = bfe_outer_create(b);
    if (rc != 0)
        goto out;
    rt_mutex_lock(b->mutex);
    rc = change_state(b, b->config.boot ? BFE_BOOTING : BFE_RUNNING);
    rt_mutex_unlock(b->mutex);
    if (rc == 0) {
        *out = b;
        return 0;
    }
out:
    bfe_destroy(b);
    return rc;
}

void bfe_destroy(struct bfe *b)
{
    if (b == NULL)
        return;
    while (b->sessions != NULL) {
        if (!b->sessions->orphan)
            bfe_session_close(b->sessions);
        else
            bfe_session_destroy(b->sessions); /* no memory when its time had come: its objects go now */
    }
    if (b->service != BFE_STOPPED)
        bfe_stop(b); /* the engine may live on */
    bfe_callouts_destroy(b);
    bfe_outer_destroy(b);
    bfe_tables_destroy(b);
    free(b->log);
    if (b->own_store)
        bfe_store_destroy(b->store);
    rt_cond_destroy(b->changed);
    rt_mutex_destroy(b->mutex);
    free(b);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Import: objects as another machine had them, inside a write transaction of a kernel session (bfe.h).
 *
 * Ids, weights and flags are taken as recorded. What the source refers to but does not list is accepted: the
 * key stays in the object, the reference is empty; one that comes later in the source is found at commit
 * (bfe_restore_resolve). Built-in objects are there already: what the record says of them takes the place
 * of what we knew.
 */
#include <string.h>

#include "bfe/check.h"
#include "bfe/filter.h"

static bool is_callout_action(FWP_ACTION_TYPE type)
{
    return type == FWP_ACTION_CALLOUT_TERMINATING || type == FWP_ACTION_CALLOUT_INSPECTION ||
           type == FWP_ACTION_CALLOUT_UNKNOWN;
}

/* Imports are a kernel session's, inside its explicit write transaction; the mutex is held on success. */
static NTSTATUS enter(struct bfe_session *s, const void *object, size_t *mark)
{
    NTSTATUS status;

    if (s == NULL || object == NULL)
        return STATUS_FWP_NULL_POINTER;
    status = bfe_enter_write(s, mark);
    if (status != STATUS_SUCCESS)
        return status;
    status = !s->caller.kernel         ? STATUS_FWP_KM_CLIENTS_ONLY
             : s->txn != BFE_TXN_WRITE ? STATUS_FWP_NO_TXN_IN_PROGRESS
                                       : STATUS_SUCCESS;
    return status == STATUS_SUCCESS ? status : bfe_leave_write(s, *mark, status);
}

static struct bfe_object *find(struct bfe *b, enum bfe_kind kind, const GUID *key)
{
    return key == NULL ? NULL : bfe_find(b, kind, key);
}

/* What the documented struct says it refers to, as far as it is there. */
static void find_refs(struct bfe *b, const struct bfe_object *o, struct bfe_object *ref[BFE_REFS])
{
    memset(ref, 0, BFE_REFS * sizeof(ref[0]));
    ref[BFE_REF_PROVIDER] = find(b, BFE_PROVIDER, o->provider_key);
    if (o->kind != BFE_FILTER)
        return;
    ref[BFE_REF_SUBLAYER] = find(b, BFE_SUBLAYER, &o->filter->subLayerKey);
    if (is_callout_action(o->filter->action.type))
        ref[BFE_REF_CALLOUT] = find(b, BFE_CALLOUT, &o->filter->action.calloutKey);
    if ((o->filter->flags & FWPM_FILTER_FLAG_HAS_PROVIDER_CONTEXT) != 0)
        ref[BFE_REF_CONTEXT] = find(b, BFE_PROVIDER_CONTEXT, &o->filter->providerContextKey);
}

static UINT16 sublayer_weight(const struct bfe_object *filter)
{
    return filter->ref[BFE_REF_SUBLAYER] != NULL ? filter->ref[BFE_REF_SUBLAYER]->sublayer->weight : 0;
}

NTSTATUS bfe_restore_resolve(struct bfe *b, struct bfe_object *o)
{
    struct bfe_object *ref[BFE_REFS];
    struct engine_filter *before;
    bool changed = false;
    NTSTATUS status;

    find_refs(b, o, ref);
    for (int r = 0; r < BFE_REFS; r++) {
        if (o->ref[r] != NULL || ref[r] == NULL)
            continue;
        o->ref[r] = ref[r];
        ref[r]->users++;
        changed = true;
    }
    /* Made without its callout's id, or its sublayer's weight as it is now? */
    if (o->running == NULL ||
        (!changed && engine_filter_fwps(o->running)->subLayerWeight == sublayer_weight(o)))
        return STATUS_SUCCESS;
    before = o->running;
    o->running = NULL;
    status = bfe_filter_prepare(b, o);
    if (status == STATUS_SUCCESS)
        engine_filter_unref(before);
    else
        o->running = before; /* the commit fails, and may be tried again */
    return status;
}

/* Dynamic objects' sessions are not here, so theirs live like static ones. */
static NTSTATUS restore(struct bfe_session *s, enum bfe_kind kind, const void *src, const GUID *key,
                        UINT64 id, bool persistent)
{
    struct bfe *b = s->bfe;
    struct bfe_adding a = {.session = s, .kind = kind, .lifetime = persistent ? BFE_PERSISTENT : BFE_STATIC};
    struct bfe_object *o;
    NTSTATUS status;

    if (bfe_guid_is_zero(key))
        return STATUS_FWP_INVALID_PARAMETER;
    if (bfe_find(b, kind, key) != NULL || (id != 0 && bfe_find_id(b, kind, id) != NULL))
        return STATUS_FWP_ALREADY_EXISTS;
    o = bfe_make(&a, src, key, id);
    if (o == NULL)
        return STATUS_NO_MEMORY;
    o->restored = true;
    find_refs(b, o, o->ref);
    if (kind == BFE_FILTER) {
        status = bfe_filter_prepare(b, o);
        if (status != STATUS_SUCCESS) {
            bfe_object_unref(o);
            return status;
        }
    }
    return bfe_link(b, o);
}

/* Do filters from before this transaction stand in the sublayer? They run with the weight that it has. */
static bool in_use_before(struct bfe *b, const struct bfe_object *sublayer)
{
    if (sublayer->users == 0)
        return false;
    for (const struct bfe_object *o = b->tables[BFE_FILTER].first; o != NULL; o = o->next) {
        if (o->ref[BFE_REF_SUBLAYER] == sublayer && !o->fresh)
            return true;
    }
    return false;
}

/* A built-in object that the source lists too: what the source says of it holds, and it stays built in. A
 * sublayer whose weight filters already run with stays as it is. */
static NTSTATUS merge_builtin(struct bfe *b, struct bfe_object *ours, const void *src)
{
    void *block;

    if (ours->kind == BFE_SUBLAYER && ours->sublayer->weight != ((const FWPM_SUBLAYER0 *)src)->weight &&
        in_use_before(b, ours))
        return STATUS_SUCCESS;
    block = bfe_copy(ours->kind, src);
    return block == NULL ? STATUS_NO_MEMORY : bfe_change_data(b, ours, block);
}

static struct bfe_object *builtin(struct bfe *b, enum bfe_kind kind, const GUID *key)
{
    struct bfe_object *o = bfe_find(b, kind, key);

    return o != NULL && o->lifetime == BFE_BUILTIN && !o->fresh ? o : NULL;
}

NTSTATUS bfe_restore_provider(struct bfe_session *s, const FWPM_PROVIDER0 *p)
{
    struct bfe_object *ours;
    NTSTATUS status;
    size_t mark;

    status = enter(s, p, &mark);
    if (status != STATUS_SUCCESS)
        return status;
    ours = builtin(s->bfe, BFE_PROVIDER, &p->providerKey);
    if (ours != NULL)
        status = merge_builtin(s->bfe, ours, p);
    else
        status =
            restore(s, BFE_PROVIDER, p, &p->providerKey, 0, (p->flags & FWPM_PROVIDER_FLAG_PERSISTENT) != 0);
    return bfe_leave_write(s, mark, status);
}

NTSTATUS bfe_restore_provider_context(struct bfe_session *s, const FWPM_PROVIDER_CONTEXT3 *c)
{
    NTSTATUS status;
    size_t mark;

    status = enter(s, c, &mark);
    if (status != STATUS_SUCCESS)
        return status;
    if (c->providerContextId >= s->bfe->next_context_id)
        s->bfe->next_context_id = c->providerContextId + 1;
    return bfe_leave_write(s, mark,
                           restore(s, BFE_PROVIDER_CONTEXT, c, &c->providerContextKey, c->providerContextId,
                                   (c->flags & FWPM_PROVIDER_CONTEXT_FLAG_PERSISTENT) != 0));
}

NTSTATUS bfe_restore_sublayer(struct bfe_session *s, const FWPM_SUBLAYER0 *l)
{
    struct bfe_object *ours;
    NTSTATUS status;
    size_t mark;

    status = enter(s, l, &mark);
    if (status != STATUS_SUCCESS)
        return status;
    ours = builtin(s->bfe, BFE_SUBLAYER, &l->subLayerKey);
    if (ours != NULL)
        status = merge_builtin(s->bfe, ours, l);
    else
        status =
            restore(s, BFE_SUBLAYER, l, &l->subLayerKey, 0, (l->flags & FWPM_SUBLAYER_FLAG_PERSISTENT) != 0);
    return bfe_leave_write(s, mark, status);
}

NTSTATUS bfe_restore_callout(struct bfe_session *s, const FWPM_CALLOUT0 *c)
{
    NTSTATUS status;
    size_t mark;

    status = enter(s, c, &mark);
    if (status != STATUS_SUCCESS)
        return status;
    if (c->calloutId >= s->bfe->next_callout_id)
        s->bfe->next_callout_id = c->calloutId + 1;
    return bfe_leave_write(s, mark,
                           restore(s, BFE_CALLOUT, c, &c->calloutKey, c->calloutId,
                                   (c->flags & FWPM_CALLOUT_FLAG_PERSISTENT) != 0));
}

NTSTATUS bfe_restore_filter(struct bfe_session *s, const FWPM_FILTER0 *f)
{
    NTSTATUS status;
    size_t mark;

    status = enter(s, f, &mark);
    if (status != STATUS_SUCCESS)
        return status;
    if (f->effectiveWeight.type != FWP_UINT64 || f->effectiveWeight.uint64 == NULL || f->filterId == 0)
        return bfe_leave_write(s, mark, STATUS_FWP_INVALID_PARAMETER);
    if (f->filterId >= s->bfe->next_filter_id)
        s->bfe->next_filter_id = f->filterId + 1;
    return bfe_leave_write(
        s, mark,
        restore(s, BFE_FILTER, f, &f->filterKey, f->filterId,
                (f->flags & (FWPM_FILTER_FLAG_PERSISTENT | FWPM_FILTER_FLAG_BOOTTIME)) != 0));
}

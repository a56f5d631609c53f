/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happens to the objects when a transaction is applied: the net changes of the log are worked out,
 * written to the store, given to the engine in one piece (OBJ-11) and announced (OBJ-35).
 *
 * The order makes each step that can fail reversible by the ones before it:
 *   late references -> store prepare -> foreign callouts -> engine commit | no failure beyond this |
 *   store commit -> publish -> log release
 */
#include <stdlib.h>

#include "bfe/callouts.h"
#include "bfe/core.h"
#include "bfe/filter.h"
#include "bfe/store.h"

/* Whoever refers to others goes first. */
static const enum bfe_kind dependency_order[] = {BFE_FILTER, BFE_CALLOUT, BFE_PROVIDER_CONTEXT, BFE_SUBLAYER,
                                                 BFE_PROVIDER};
#define STORED_KINDS (sizeof(dependency_order) / sizeof(dependency_order[0]))

/* An imported object may have come before what it refers to: look again, now that all is there. */
static NTSTATUS resolve_late_references(struct bfe *b)
{
    for (size_t i = 0; i < b->log_count; i++) {
        struct bfe_object *o = b->log[i].object;

        if (b->log[i].op == BFE_UNDO_ADD && o->linked && o->restored) {
            NTSTATUS status = bfe_restore_resolve(b, o);

            if (status != STATUS_SUCCESS)
                return status;
        }
    }
    return STATUS_SUCCESS;
}

/* What the log comes to. An object that was both added and deleted is in neither kind of change. */
static size_t net_changes(const struct bfe *b, struct bfe_change *changes)
{
    size_t n = 0;

    for (size_t i = 0; i < b->log_count; i++) {
        struct bfe_object *o = b->log[i].object;

        if (b->log[i].op == BFE_UNDO_ADD && o->linked)
            changes[n++] = (struct bfe_change){.kind = o->kind, .added = true, .object = o};
        else if (b->log[i].op == BFE_UNDO_DELETE && !o->fresh)
            changes[n++] = (struct bfe_change){.kind = o->kind, .added = false, .object = o};
    }
    return n;
}

static NTSTATUS engine_apply(struct bfe *b, const struct bfe_change *changes, size_t count)
{
    struct engine_txn *t = NULL;
    int rc = 0;

    /* Removals first: an imported filter may come back under the id it had. */
    for (int adding = 0; adding < 2 && rc == 0; adding++) {
        for (size_t i = 0; i < count && rc == 0; i++) {
            struct engine_filter *f = changes[i].object->running;

            if (f == NULL || changes[i].added != (adding == 1))
                continue;
            if (t == NULL)
                rc = engine_txn_begin(b->engine, &t);
            if (rc == 0)
                rc = adding == 1
                         ? engine_txn_add(t, f)
                         : engine_txn_remove(t, engine_filter_desc(f)->layer_id, changes[i].object->id);
        }
    }
    if (t == NULL)
        return rc == 0 ? STATUS_SUCCESS : STATUS_NO_MEMORY;
    if (rc != 0)
        engine_txn_abort(t);
    else
        rc = engine_txn_commit(t);
    return rc == 0 ? STATUS_SUCCESS : STATUS_NO_MEMORY;
}

/* Imported callouts belong to the machine they came from: the engine must not take them for unregistered. */
static bool is_foreign_callout(const struct bfe_change *c)
{
    return c->kind == BFE_CALLOUT && c->object->restored;
}

static NTSTATUS mark_foreign(struct bfe *b, const struct bfe_change *changes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!changes[i].added || !is_foreign_callout(&changes[i]))
            continue;
        if (engine_callout_set_foreign(b->engine, &changes[i].object->key, true) == 0)
            continue;
        while (i-- > 0) {
            if (changes[i].added && is_foreign_callout(&changes[i]))
                engine_callout_set_foreign(b->engine, &changes[i].object->key, false);
        }
        return STATUS_NO_MEMORY;
    }
    return STATUS_SUCCESS;
}

static void unmark_foreign(struct bfe *b, const struct bfe_change *changes, size_t count, bool added)
{
    for (size_t i = 0; i < count; i++) {
        if (changes[i].added == added && is_foreign_callout(&changes[i]))
            engine_callout_set_foreign(b->engine, &changes[i].object->key, false);
    }
}

/* Where a callout applies is known from the commit of its management half on (ALE-13); a deleted half says
 * nothing. A commit that then fails leaves a place that nobody can observe: no filter names the callout yet.
 */
static NTSTATUS place_callouts(struct bfe *b, const struct bfe_change *changes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct engine_layer *layer;

        if (changes[i].kind != BFE_CALLOUT)
            continue;
        layer = engine_layer_by_key(&changes[i].object->callout->applicableLayer);
        if (engine_callout_place(b->engine, &changes[i].object->key,
                                 changes[i].added && layer != NULL ? layer->id : ENGINE_ANY_LAYER) != 0)
            return STATUS_NO_MEMORY;
    }
    return STATUS_SUCCESS;
}

NTSTATUS bfe_txn_apply(struct bfe *b, struct bfe_session *s, enum bfe_apply how)
{
    struct bfe_change one, *changes = &one;
    struct bfe_store_txn *saved = NULL;
    NTSTATUS status;
    size_t count;

    if (b->log_count == 0)
        return STATUS_SUCCESS;
    if (b->log_count > 1) {
        changes = malloc(b->log_count * sizeof(*changes));
        if (changes == NULL)
            return STATUS_NO_MEMORY;
    }
    status = resolve_late_references(b);
    if (status != STATUS_SUCCESS)
        goto out;
    count = net_changes(b, changes);
    if (how == BFE_APPLY_SAVE) {
        status = bfe_store_prepare(b->store, b->log, b->log_count, &saved);
        if (status != STATUS_SUCCESS)
            goto out;
    }
    status = mark_foreign(b, changes, count);
    if (status == STATUS_SUCCESS)
        status = place_callouts(b, changes, count);
    for (size_t i = 0; i < count && status == STATUS_SUCCESS; i++) {
        if (changes[i].added && changes[i].kind == BFE_FILTER)
            bfe_callouts_tell_added(b, changes[i].object, true);
    }
    if (status == STATUS_SUCCESS) {
        status = engine_apply(b, changes, count);
        if (status != STATUS_SUCCESS)
            unmark_foreign(b, changes, count, true);
    }
    if (status != STATUS_SUCCESS) {
        bfe_store_abort(saved);
        goto out;
    }
    unmark_foreign(b, changes, count, false);
    bfe_store_commit(saved);
    bfe_changes_publish(b, s, changes, count);
    bfe_log_release(b);
    bfe_callouts_tell_deleted(b);
out:
    if (changes != &one)
        free(changes);
    return status;
}

NTSTATUS bfe_txn_drop_owned(struct bfe *b, struct bfe_session *s)
{
    NTSTATUS status = STATUS_SUCCESS;

    for (size_t k = 0; k < STORED_KINDS && status == STATUS_SUCCESS; k++) {
        for (struct bfe_object *o = s->owned_first, *next; o != NULL && status == STATUS_SUCCESS; o = next) {
            next = o->owned_next;
            if (o->kind == dependency_order[k])
                status = bfe_unlink(b, o);
        }
    }
    if (status == STATUS_SUCCESS)
        status = bfe_txn_apply(b, s, BFE_APPLY_SAVE);
    if (status != STATUS_SUCCESS)
        bfe_log_undo(b, 0);
    return status;
}

NTSTATUS bfe_unlink_all(struct bfe *b)
{
    NTSTATUS status = STATUS_SUCCESS;

    for (size_t k = 0; k < STORED_KINDS && status == STATUS_SUCCESS; k++) {
        for (struct bfe_object *o = b->tables[dependency_order[k]].first, *next;
             o != NULL && status == STATUS_SUCCESS; o = next) {
            next = o->next;
            status = bfe_unlink(b, o);
        }
    }
    return status;
}

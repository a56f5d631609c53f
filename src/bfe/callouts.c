/* SPDX-License-Identifier: Apache-2.0 */
/*
 * callouts: what bfe tells registered callouts, and the run-time ids that both halves of a callout share.
 *
 *   filter added      ADD at the call, may refuse (OBJ-39, LIFE-09); at commit, for who asked (LIFE-14)
 *   ... undone        DELETE, if ADD was sent
 *   filter removed    engine commit --> the last classify that could see it returns --> DELETE (LIFE-13)
 *
 * notifyFn runs with the mutex held (LIFE-15); a management call from inside it is answered with
 * STATUS_POSSIBLE_DEADLOCK and reported, where Windows would hang.
 *
 * DELETE comes on the committing thread if no classify can see the filter any more by then, else on a thread
 * of our own that waits until none can (engine_departed_wait()); bfe_callouts_settle() waits for both. A committer
 * that is itself inside a classify is the usual reason for the second.
 */
#include <stdlib.h>
#include <string.h>

#include "bfe/callouts.h"
#include "ledger/ledger.h"

struct bfe_callout_id {
    GUID key;
    UINT32 id;
    bool held; /* bfe_callout_hold() */
};

struct bfe_callouts {
    struct bfe_callout_id *ids; /* of registered callouts */
    size_t id_count, id_capacity;
    _Atomic uintptr_t notifying; /* rt_self() of who is in a notifyFn; 0: nobody */
    struct rt_thread *sweeper;   /* ended or about to, unless `sweeping` */
    bool sweeping;
};

int bfe_callouts_create(struct bfe *b)
{
    b->callouts = calloc(1, sizeof(*b->callouts));
    if (b->callouts == NULL)
        return -ENOMEM;
    engine_keep_departed(b->engine);
    return 0;
}

void bfe_callouts_destroy(struct bfe *b)
{
    if (b->callouts == NULL)
        return;
    rt_thread_join(b->callouts->sweeper);
    free(b->callouts->ids);
    free(b->callouts);
}

/* ---- ids -------------------------------------------------------------------------------------------------
 */

/* By key; without one by id. */
static struct bfe_callout_id *find(struct bfe_callouts *c, const GUID *key, UINT32 id)
{
    for (size_t i = 0; i < c->id_count; i++) {
        if (key != NULL ? memcmp(&c->ids[i].key, key, sizeof(*key)) == 0 : c->ids[i].id == id)
            return &c->ids[i];
    }
    return NULL;
}

static bool id_taken(struct bfe *b, UINT32 id)
{
    for (size_t i = 0; i < b->callouts->id_count; i++) {
        if (b->callouts->ids[i].id == id)
            return true;
    }
    return id == 0 || bfe_find_id(b, BFE_CALLOUT, id) != NULL;
}

UINT32 bfe_callout_new_id(struct bfe *b, const GUID *key)
{
    const struct bfe_callout_id *known = find(b->callouts, key, 0);
    UINT32 id;

    if (known != NULL && bfe_find_id(b, BFE_CALLOUT, known->id) == NULL)
        return known->id;
    do
        id = b->next_callout_id++;
    while (id_taken(b, id));
    return id;
}

static struct bfe_callout_id *make_entry(struct bfe *b, const GUID *key)
{
    struct bfe_callouts *c = b->callouts;
    const struct bfe_object *o = bfe_find(b, BFE_CALLOUT, key);

    if (c->id_count == c->id_capacity) {
        size_t capacity = c->id_capacity != 0 ? c->id_capacity * 2 : 8;
        struct bfe_callout_id *ids = realloc(c->ids, capacity * sizeof(*ids));

        if (ids == NULL)
            return NULL;
        c->ids = ids;
        c->id_capacity = capacity;
    }
    c->ids[c->id_count] =
        (struct bfe_callout_id){.key = *key, .id = o != NULL ? (UINT32)o->id : bfe_callout_new_id(b, key)};
    return &c->ids[c->id_count++];
}

NTSTATUS bfe_callout_hold(struct bfe *b, const GUID *key, UINT32 id, bool make, struct bfe_callout_entry *out)
{
    NTSTATUS status = STATUS_SUCCESS;
    struct bfe_callout_id *e;

    if (bfe_callouts_would_deadlock(b))
        return STATUS_POSSIBLE_DEADLOCK;
    rt_mutex_lock(b->mutex);
    e = find(b->callouts, key, id);
    out->made = e == NULL;
    if (e == NULL && !make)
        status = STATUS_FWP_CALLOUT_NOT_FOUND;
    else if (e == NULL && (e = make_entry(b, key)) == NULL)
        status = STATUS_NO_MEMORY;
    else if (e->held)
        status = STATUS_FWP_IN_USE;
    if (status == STATUS_SUCCESS) {
        e->held = true;
        out->key = e->key;
        out->id = e->id;
    }
    rt_mutex_unlock(b->mutex);
    return status;
}

void bfe_callout_release(struct bfe *b, const GUID *key, bool forget)
{
    struct bfe_callout_id *e;

    rt_mutex_lock(b->mutex);
    e = find(b->callouts, key, 0);
    if (e != NULL) {
        e->held = false;
        if (forget)
            *e = b->callouts->ids[--b->callouts->id_count];
    }
    rt_mutex_unlock(b->mutex);
}

/* ---- notifications ---------------------------------------------------------------------------------------
 */

static NTSTATUS notify(struct bfe *b, struct engine_filter *f, FWPS_CALLOUT_NOTIFY_TYPE type, bool commit,
                       bool *told)
{
    uintptr_t before = b->callouts->notifying;
    NTSTATUS status;

    b->callouts->notifying = rt_self();
    status = engine_filter_notify(b->engine, f, type, commit, told);
    b->callouts->notifying = before;
    return status;
}

bool bfe_callouts_notifying(struct bfe *b)
{
    return b->callouts != NULL && b->callouts->notifying == rt_self();
}

bool bfe_callouts_would_deadlock(struct bfe *b)
{
    if (rt_left()) /* a test's notifyFn failed an assertion: the mutex is held for ever, and that is no driver's fault */
        return true;
    if (!bfe_callouts_notifying(b))
        return false;
    ledger_report(LEDGER_BUGCHECK, NULL,
                  "a management function was called from notifyFn, where its lock is held");
    return true;
}

NTSTATUS bfe_callouts_tell_added(struct bfe *b, struct bfe_object *o, bool commit)
{
    bool told = false;
    NTSTATUS status;

    if (o->running == NULL)
        return STATUS_SUCCESS;
    status = notify(b, o->running, FWPS_CALLOUT_NOTIFY_ADD_FILTER, commit, &told);
    if (!NT_SUCCESS(status) && !commit)
        return STATUS_FWP_CALLOUT_NOTIFICATION_FAILED;
    o->told |= told;
    return STATUS_SUCCESS;
}

void bfe_callouts_tell_undone(struct bfe *b, struct bfe_object *o)
{
    if (o->running != NULL && o->told)
        notify(b, o->running, FWPS_CALLOUT_NOTIFY_DELETE_FILTER, false, NULL);
    o->told = false;
}

/* Mutex held. Whether there are more that some classify may still see. */
static bool tell_departed(struct bfe *b)
{
    struct engine_filter *f;
    bool more;

    while ((f = engine_departed(b->engine, &more)) != NULL) {
        notify(b, f, FWPS_CALLOUT_NOTIFY_DELETE_FILTER, false, NULL);
        engine_filter_unref(f);
    }
    return more;
}

static void sweep(void *arg)
{
    struct bfe *b = arg;

    rt_mutex_lock(b->mutex);
    while (tell_departed(b)) {
        rt_mutex_unlock(b->mutex);
        engine_departed_wait(b->engine);
        rt_mutex_lock(b->mutex);
    }
    b->callouts->sweeping = false;
    rt_cond_broadcast(b->changed);
    rt_mutex_unlock(b->mutex);
}

void bfe_callouts_tell_deleted(struct bfe *b)
{
    struct bfe_callouts *c = b->callouts;

    if (c == NULL || !tell_departed(b) || c->sweeping)
        return;
    rt_thread_join(c->sweeper); /* it has done its work: sweeping is false */
    c->sweeper = NULL;
    c->sweeping = rt_thread_start("bfe-deleted", sweep, b, &c->sweeper) == 0;
}

void bfe_callouts_settle(struct bfe *b)
{
    rt_mutex_lock(b->mutex);
    if (rt_carried()->in_classify == 0 && b->callouts->notifying != rt_self()) {
        bfe_callouts_tell_deleted(b);
        while (b->callouts->sweeping)
            rt_cond_wait(b->changed, b->mutex, RT_FOREVER);
    }
    rt_mutex_unlock(b->mutex);
}

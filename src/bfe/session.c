/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions and the transaction lock: who may look, who may change, who waits how long (OBJ-01..10).
 *
 * Every call of the room passes through here. The states are in internal.h; this file is the only one that
 * changes `writer`, `readers`, a session's `txn` and its life. What a transaction does to the objects is in
 * txn.c.
 */
#include <stdlib.h>
#include <string.h>

#include "bfe/callouts.h"
#include "bfe/core.h"

#define NS_PER_MS        1000000ull
#define DEFAULT_WAIT_MS  15000u                       /* OBJ-09 */
#define USER_HOLD_NS     (3600ull * 1000 * NS_PER_MS) /* OBJ-10 */
#define WAIT_INFINITE_MS 0xffffffffu

/* ---- the lock ----------------------------------------------------------------------------------------- */

static bool lock_is_free(const struct bfe *b)
{
    return b->writer == NULL && b->readers == 0;
}

/* Somebody let go: closed sessions whose objects had to stay go first, then the waiters may look. */
static void lock_released(struct bfe *b)
{
    for (struct bfe_session *s = b->sessions, *next; s != NULL && lock_is_free(b); s = next) {
        next = s->next;
        if (s->orphan && bfe_txn_drop_owned(b, s) == STATUS_SUCCESS)
            bfe_session_destroy(s); /* else no memory: again at the next release */
    }
    rt_cond_broadcast(b->changed);
}

/* Ends the transaction of s, undoing it if it wrote. */
static void end_transaction(struct bfe_session *s, enum bfe_txn_state state)
{
    struct bfe *b = s->bfe;

    if (s->txn == BFE_TXN_WRITE) {
        bfe_log_undo(b, 0);
        b->writer = NULL;
    } else if (s->txn == BFE_TXN_READ) {
        b->readers--;
    }
    s->txn = state;
    lock_released(b);
}

static bool holds(const struct bfe_session *s)
{
    return s->txn == BFE_TXN_READ || s->txn == BFE_TXN_WRITE;
}

/* Forcibly aborts whoever has held the lock for too long. Returns when the next one is due. */
static UINT64 expire_holders(struct bfe *b)
{
    UINT64 now = rt_clock_now(b->clock), next_due = RT_FOREVER;

    for (struct bfe_session *s = b->sessions, *next; s != NULL; s = next) {
        next = s->next;
        if (!holds(s))
            continue;
        if (s->txn_deadline <= now) {
            end_transaction(s, BFE_TXN_EXPIRED);
            return expire_holders(b); /* orphans may have left the list */
        }
        if (s->txn_deadline < next_due)
            next_due = s->txn_deadline;
    }
    return next_due;
}

enum want { WANT_READ, WANT_WRITE, WANT_READ_TXN };

static bool can_have(const struct bfe *b, enum want want)
{
    switch (want) {
    case WANT_WRITE:
        return lock_is_free(b);
    case WANT_READ_TXN:
        return b->writer == NULL && b->waiting_writers == 0;
    default:
        return b->writer == NULL;
    }
}

/* Is the session in a state to make calls, and does its transaction still run? Mutex held. */
static NTSTATUS check_session(struct bfe_session *s)
{
    if (s->closing || s->aborted)
        return STATUS_FWP_SESSION_ABORTED;
    if (holds(s) && s->txn_deadline <= rt_clock_now(s->bfe->clock))
        end_transaction(s, BFE_TXN_EXPIRED);
    if (s->txn == BFE_TXN_EXPIRED) {
        s->txn = BFE_TXN_EXPIRED_TOLD;
        return STATUS_FWP_TXN_ABORTED;
    }
    return STATUS_SUCCESS;
}

/* Waits until a session without a transaction can have the lock. Mutex held, given up meanwhile; a second
 * thread of the session may have begun or ended a transaction when this returns, so the caller looks again.
 */
static NTSTATUS wait_for_lock(struct bfe_session *s, enum want want)
{
    struct bfe *b = s->bfe;
    UINT64 deadline, due;
    NTSTATUS status;

    if (can_have(b, want))
        return STATUS_SUCCESS;
    deadline = s->wait_ns == RT_FOREVER ? RT_FOREVER : rt_clock_now(b->clock) + s->wait_ns;
    s->busy++;
    if (want == WANT_WRITE)
        b->waiting_writers++;
    for (;;) {
        status = check_session(s);
        if (status != STATUS_SUCCESS || s->txn != BFE_TXN_NONE || can_have(b, want))
            break;
        due = expire_holders(b);
        if (can_have(b, want))
            break;
        if (rt_clock_now(b->clock) >= deadline) {
            status = STATUS_FWP_TIMEOUT;
            break;
        }
        rt_cond_wait(b->changed, b->mutex, due < deadline ? due : deadline);
    }
    if (want == WANT_WRITE)
        b->waiting_writers--;
    s->busy--;
    if (s->closing || b->waiting_writers == 0)
        rt_cond_broadcast(b->changed);
    return status;
}

/* ---- entering and leaving --------------------------------------------------------------------- */

NTSTATUS bfe_enter(struct bfe_session *s)
{
    NTSTATUS status;

    if (bfe_callouts_would_deadlock(s->bfe))
        return STATUS_POSSIBLE_DEADLOCK;
    rt_mutex_lock(s->bfe->mutex);
    status = s->closing || s->aborted ? STATUS_FWP_SESSION_ABORTED : STATUS_SUCCESS;
    if (status != STATUS_SUCCESS)
        rt_mutex_unlock(s->bfe->mutex);
    return status;
}

void bfe_leave(struct bfe_session *s)
{
    rt_mutex_unlock(s->bfe->mutex);
}

/* Common to both: with status success the session has, or is in a transaction that has, what it wants. */
static NTSTATUS enter(struct bfe_session *s, enum want want)
{
    NTSTATUS status;

    if (bfe_callouts_would_deadlock(s->bfe))
        return STATUS_POSSIBLE_DEADLOCK;
    rt_mutex_lock(s->bfe->mutex);
    do {
        status = check_session(s);
        if (status == STATUS_SUCCESS && s->txn == BFE_TXN_EXPIRED_TOLD)
            status = STATUS_FWP_TXN_ABORTED;
        else if (status == STATUS_SUCCESS && s->txn == BFE_TXN_READ && want == WANT_WRITE)
            status = STATUS_FWP_INCOMPATIBLE_TXN; /* OBJ-08 */
        if (status != STATUS_SUCCESS || s->txn != BFE_TXN_NONE)
            break;
        status = wait_for_lock(s, want);
    } while (status == STATUS_SUCCESS && (s->txn != BFE_TXN_NONE || !can_have(s->bfe, want)));
    if (status != STATUS_SUCCESS)
        rt_mutex_unlock(s->bfe->mutex);
    return status;
}

NTSTATUS bfe_enter_read(struct bfe_session *s)
{
    return enter(s, WANT_READ);
}

void bfe_leave_read(struct bfe_session *s)
{
    rt_mutex_unlock(s->bfe->mutex);
}

NTSTATUS bfe_enter_write(struct bfe_session *s, size_t *mark)
{
    NTSTATUS status = enter(s, WANT_WRITE);

    if (status == STATUS_SUCCESS)
        *mark = s->bfe->log_count;
    return status;
}

NTSTATUS bfe_leave_write(struct bfe_session *s, size_t mark, NTSTATUS status)
{
    if (status == STATUS_SUCCESS && s->txn != BFE_TXN_WRITE)
        status = bfe_txn_apply(s->bfe, s, BFE_APPLY_SAVE); /* undoes on failure */
    if (status != STATUS_SUCCESS)
        bfe_log_undo(s->bfe, mark);
    rt_mutex_unlock(s->bfe->mutex);
    return status;
}

/* ---- transactions ------------------------------------------------------------------------------------- */

NTSTATUS bfe_txn_begin(struct bfe_session *s, UINT32 flags)
{
    bool read_only = (flags & FWPM_TXN_READ_ONLY) != 0;
    enum want want = read_only ? WANT_READ_TXN : WANT_WRITE;
    NTSTATUS status;
    struct bfe *b;

    if (s == NULL)
        return STATUS_FWP_NULL_POINTER;
    if ((flags & ~(UINT32)FWPM_TXN_READ_ONLY) != 0)
        return STATUS_FWP_INVALID_FLAGS;
    b = s->bfe;
    if (bfe_callouts_would_deadlock(b))
        return STATUS_POSSIBLE_DEADLOCK;
    rt_mutex_lock(b->mutex);
    status = check_session(s);
    if (status == STATUS_SUCCESS)
        status =
            bfe_may(s, BFE_ENGINE, NULL, read_only ? FWPM_ACTRL_BEGIN_READ_TXN : FWPM_ACTRL_BEGIN_WRITE_TXN);
    if (status == STATUS_SUCCESS && s->txn == BFE_TXN_EXPIRED_TOLD)
        s->txn = BFE_TXN_NONE;
    while (status == STATUS_SUCCESS) {
        if (s->txn != BFE_TXN_NONE)
            status = STATUS_FWP_TXN_IN_PROGRESS; /* OBJ-04 */
        else if (can_have(b, want))
            break;
        else
            status = wait_for_lock(s, want);
    }
    if (status == STATUS_SUCCESS) {
        s->txn = read_only ? BFE_TXN_READ : BFE_TXN_WRITE;
        s->txn_deadline = s->caller.kernel ? RT_FOREVER : rt_clock_now(b->clock) + USER_HOLD_NS;
        if (read_only)
            b->readers++;
        else
            b->writer = s;
    }
    rt_mutex_unlock(b->mutex);
    return status;
}

NTSTATUS bfe_txn_commit(struct bfe_session *s)
{
    NTSTATUS status;

    if (s == NULL)
        return STATUS_FWP_NULL_POINTER;
    if (bfe_callouts_would_deadlock(s->bfe))
        return STATUS_POSSIBLE_DEADLOCK;
    rt_mutex_lock(s->bfe->mutex);
    status = check_session(s);
    if (s->txn == BFE_TXN_EXPIRED_TOLD) {
        status = STATUS_FWP_TXN_ABORTED;
        s->txn = BFE_TXN_NONE;
    } else if (status == STATUS_SUCCESS && s->txn == BFE_TXN_NONE) {
        status = STATUS_FWP_NO_TXN_IN_PROGRESS;
    } else if (status == STATUS_SUCCESS) {
        /* A commit that fails for want of memory leaves the transaction open: retry, or give up (OBJ-06). */
        if (s->txn == BFE_TXN_WRITE)
            status = bfe_txn_apply(s->bfe, s, BFE_APPLY_SAVE);
        if (status == STATUS_SUCCESS)
            end_transaction(s, BFE_TXN_NONE); /* the log is empty now: undoes nothing */
    }
    rt_mutex_unlock(s->bfe->mutex);
    return status;
}

NTSTATUS bfe_txn_abort(struct bfe_session *s)
{
    NTSTATUS status;

    if (s == NULL)
        return STATUS_FWP_NULL_POINTER;
    if (bfe_callouts_would_deadlock(s->bfe))
        return STATUS_POSSIBLE_DEADLOCK;
    rt_mutex_lock(s->bfe->mutex);
    if (s->txn == BFE_TXN_EXPIRED_TOLD) { /* the client has heard and tidies up */
        s->txn = BFE_TXN_NONE;
        status = STATUS_SUCCESS;
    } else {
        status = check_session(s);
        if (status == STATUS_FWP_TXN_ABORTED)
            s->txn = BFE_TXN_NONE;
        else if (status == STATUS_SUCCESS && s->txn == BFE_TXN_NONE)
            status = STATUS_FWP_NO_TXN_IN_PROGRESS;
        else if (status == STATUS_SUCCESS)
            end_transaction(s, BFE_TXN_NONE);
    }
    rt_mutex_unlock(s->bfe->mutex);
    return status;
}

/* ---- life of a session --------------------------------------------------------------------------------- */

static bool session_key_in_use(const struct bfe *b, const GUID *key)
{
    for (const struct bfe_session *s = b->sessions; s != NULL; s = s->next) {
        if (memcmp(&s->desc->sessionKey, key, sizeof(*key)) == 0)
            return true;
    }
    return false;
}

static NTSTATUS session_describe(struct bfe *b, struct bfe_session *s, const FWPM_SESSION0 *given)
{
    static const GUID none;
    FWPM_SESSION0 d = {0};

    if (given != NULL)
        d = *given;
    if ((d.flags & ~(UINT32)FWPM_SESSION_FLAG_DYNAMIC) != 0)
        return STATUS_FWP_INVALID_FLAGS;
    if (d.txnWaitTimeoutInMSec == 0)
        d.txnWaitTimeoutInMSec = DEFAULT_WAIT_MS;
    d.processId = s->caller.process_id;
    d.sid = (SID *)s->caller.sid; /* copied, not written */
    d.username = (WCHAR *)s->caller.user_name;
    d.kernelMode = s->caller.kernel;
    if (memcmp(&d.sessionKey, &none, sizeof(none)) == 0) {
        do
            bfe_guid_generate(b, &d.sessionKey);
        while (session_key_in_use(b, &d.sessionKey));
    } else if (session_key_in_use(b, &d.sessionKey)) {
        return STATUS_FWP_ALREADY_EXISTS;
    }
    s->desc = bfe_copy(BFE_SESSION, &d);
    if (s->desc == NULL)
        return STATUS_NO_MEMORY;
    s->dynamic = (d.flags & FWPM_SESSION_FLAG_DYNAMIC) != 0;
    s->wait_ns = d.txnWaitTimeoutInMSec == WAIT_INFINITE_MS ? RT_FOREVER : d.txnWaitTimeoutInMSec * NS_PER_MS;
    return STATUS_SUCCESS;
}

NTSTATUS bfe_session_open(struct bfe *b, const struct bfe_caller *caller, const FWPM_SESSION0 *session,
                          struct bfe_session **out)
{
    struct bfe_session *s;
    NTSTATUS status;

    if (b == NULL || caller == NULL || out == NULL)
        return STATUS_FWP_NULL_POINTER;
    if (bfe_callouts_would_deadlock(b))
        return STATUS_POSSIBLE_DEADLOCK;
    s = calloc(1, sizeof(*s));
    if (s == NULL)
        return STATUS_NO_MEMORY;
    s->bfe = b;
    s->caller = *caller;
    rt_mutex_lock(b->mutex);
    status = b->service == BFE_RUNNING ? session_describe(b, s, session) : STATUS_DEVICE_NOT_READY;
    if (status == STATUS_SUCCESS)
        status = bfe_may(s, BFE_ENGINE, NULL, FWPM_ACTRL_OPEN);
    if (status == STATUS_SUCCESS) {
        s->caller.sid = s->desc->sid;
        s->caller.user_name = s->desc->username;
        s->next = b->sessions;
        if (s->next != NULL)
            s->next->prev = s;
        b->sessions = s;
        *out = s;
    } else {
        bfe_free(s->desc);
        free(s);
    }
    rt_mutex_unlock(b->mutex);
    return status;
}

/* Out of the list and freed. What it still owns (only when the whole bfe is torn down without memory to do it
 * in order) has no owner from now on. Mutex held. */
void bfe_session_destroy(struct bfe_session *s)
{
    for (struct bfe_object *o = s->owned_first; o != NULL; o = o->owned_next)
        o->owner = NULL;
    *(s->prev == NULL ? &s->bfe->sessions : &s->prev->next) = s->next;
    if (s->next != NULL)
        s->next->prev = s->prev;
    bfe_free(s->desc);
    free(s);
}

void bfe_session_cancel(struct bfe_session *s)
{
    rt_mutex_lock(s->bfe->mutex);
    s->closing = true;
    rt_cond_broadcast(s->bfe->changed);
    rt_mutex_unlock(s->bfe->mutex);
}

NTSTATUS bfe_session_close(struct bfe_session *s)
{
    struct bfe *b;

    if (s == NULL)
        return STATUS_SUCCESS; /* OBJ-03 */
    b = s->bfe;
    if (bfe_callouts_would_deadlock(b))
        return STATUS_POSSIBLE_DEADLOCK;
    rt_mutex_lock(b->mutex);
    s->closing = true;
    rt_cond_broadcast(b->changed);
    while (s->busy > 0)
        rt_cond_wait(b->changed, b->mutex, RT_FOREVER);
    if (holds(s))
        end_transaction(s, BFE_TXN_NONE); /* OBJ-01 */
    rt_mutex_unlock(b->mutex);

    bfe_subscriptions_drop(s);

    rt_mutex_lock(b->mutex);
    bfe_enums_drop(s);
    /* What another's transaction has deleted of it is in that one's log, and comes back if it is undone. */
    bool may_own =
        s->owned_first != NULL || (b->writer != NULL && (s->desc->flags & FWPM_SESSION_FLAG_DYNAMIC) != 0);
    if (may_own && (!lock_is_free(b) || bfe_txn_drop_owned(b, s) != STATUS_SUCCESS))
        s->orphan = true;
    else
        bfe_session_destroy(s);
    rt_mutex_unlock(b->mutex);
    return STATUS_SUCCESS;
}

/* The service stops: no transaction survives, each session learns of it at its next call. Mutex held. */
void bfe_sessions_abort(struct bfe *b)
{
    for (struct bfe_session *s = b->sessions; s != NULL; s = s->next)
        s->aborted = true;
    if (b->writer != NULL) {
        bfe_log_undo(b, 0);
        b->writer = NULL;
    }
    b->readers = 0;
    for (struct bfe_session *s = b->sessions; s != NULL; s = s->next)
        s->txn = BFE_TXN_NONE;
}

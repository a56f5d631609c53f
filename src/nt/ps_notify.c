/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Routines that drivers want called when processes come and go, in the order in which they were registered,
 * at PASSIVE_LEVEL and in their driver's context.
 *
 * A routine that is being called has `calls` > 0 and stays in the list; whoever takes it out waits until no
 * call is under way (except one on its own stack: that one would wait for itself). k->lock guards the list.
 */
#include <stdlib.h>

#include "nt/fault.h"
#include "nt/internal.h"

#define ROUTINES_MAX 64

enum kind { PLAIN, EX };

struct nt_notify {
    struct nt_notify *next; /* k->notify */
    struct rt_context *context;
    enum kind kind;
    union {
        PCREATE_PROCESS_NOTIFY_ROUTINE plain;
        PCREATE_PROCESS_NOTIFY_ROUTINE_EX ex;
        uintptr_t any;
    } routine;
    unsigned calls;
    uintptr_t caller; /* rt_self() of the newest */
    bool removed;
};

/* Under k->lock. The next that can be called after `after` (NULL: the first). */
static struct nt_notify *next_of(struct nt *k, struct nt_notify *after)
{
    struct nt_notify *n = after == NULL ? k->notify : after->next;

    while (n != NULL && n->removed)
        n = n->next;
    return n;
}

static void call(struct nt_notify *n, struct nt_process *p, PS_CREATE_NOTIFY_INFO *info)
{
    HANDLE id = (HANDLE)(uintptr_t)p->id;
    struct nt_entered was = nt_enter(n->context, PASSIVE_LEVEL);

    if (n->kind == PLAIN)
        n->routine.plain((HANDLE)(uintptr_t)p->parent, id, info != NULL);
    else
        n->routine.ex((PEPROCESS)p, id, info);
    nt_leave(was, "a process notify routine");
}

static void sweep(struct nt *k)
{
    for (struct nt_notify **at = &k->notify, *n; (n = *at) != NULL;) {
        if (!n->removed || n->calls != 0) {
            at = &n->next;
            continue;
        }
        *at = n->next;
        free(n);
    }
}

static void call_all(struct nt *k, struct nt_process *p, PS_CREATE_NOTIFY_INFO *info)
{
    struct nt_notify *n = NULL;

    rt_mutex_lock(k->lock);
    while ((n = next_of(k, n)) != NULL) {
        n->calls++;
        n->caller = rt_self();
        rt_mutex_unlock(k->lock);
        call(n, p, info);
        rt_mutex_lock(k->lock);
        n->calls--;
        rt_cond_broadcast(k->notify_done);
    }
    rt_mutex_unlock(k->lock);
}

NTSTATUS nt_notify_created(struct nt *k, struct nt_process *p)
{
    UNICODE_STRING image = {.Buffer = p->image};
    size_t n = 0;
    PS_CREATE_NOTIFY_INFO info = {
        .Size = sizeof(info),
        .ParentProcessId = (HANDLE)(uintptr_t)p->parent,
        .CreatingThreadId = {(HANDLE)(uintptr_t)p->parent, NULL},
        .ImageFileName = &image,
        .CreationStatus = STATUS_SUCCESS,
    };

    while (p->image[n] != 0 && n < MAXUSHORT / sizeof(WCHAR) - 1)
        n++;
    image.Length = (USHORT)(n * sizeof(WCHAR));
    image.MaximumLength = (USHORT)(image.Length + sizeof(WCHAR));
    info.FileOpenNameAvailable = 1;
    call_all(k, p, &info);
    return info.CreationStatus;
}

void nt_notify_exited(struct nt *k, struct nt_process *p)
{
    call_all(k, p, NULL);
}

void nt_notify_forget(struct nt_driver *d)
{
    rt_mutex_lock(d->k->lock);
    for (struct nt_notify *n = d->k->notify; n != NULL; n = n->next)
        n->removed = n->removed || n->context == d->context;
    sweep(d->k);
    rt_mutex_unlock(d->k->lock);
}

void nt_notify_destroy(struct nt *k)
{
    struct nt_notify *n;

    while ((n = k->notify) != NULL) {
        k->notify = n->next;
        free(n);
    }
    rt_cond_destroy(k->notify_done);
}

static NTSTATUS add(struct nt *k, enum kind kind, uintptr_t routine, const void *site)
{
    struct nt_notify *n = calloc(1, sizeof(*n)), **at;
    unsigned count = 0;

    if (n == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    n->context = rt_current();
    n->kind = kind;
    n->routine.any = routine;
    rt_mutex_lock(k->lock);
    if (k->notify_done == NULL && rt_cond_create(k->clock, &k->notify_done) != 0)
        count = ROUTINES_MAX;
    for (at = &k->notify; *at != NULL; at = &(*at)->next) {
        if ((*at)->removed)
            continue;
        count++;
        if ((*at)->kind == kind && (*at)->routine.any == routine)
            count = ROUTINES_MAX;
    }
    if (count < ROUTINES_MAX)
        *at = n;
    rt_mutex_unlock(k->lock);
    if (count >= ROUTINES_MAX) {
        free(n);
        return STATUS_INVALID_PARAMETER;
    }
    ledger_open(LEDGER_CALLBACK, routine, 0, "process notify routine", site);
    return STATUS_SUCCESS;
}

static NTSTATUS take_out(struct nt *k, enum kind kind, uintptr_t routine, const void *site)
{
    struct nt_notify *n;

    rt_mutex_lock(k->lock);
    for (n = k->notify; n != NULL; n = n->next) {
        if (!n->removed && n->kind == kind && n->routine.any == routine)
            break;
    }
    if (n == NULL) {
        rt_mutex_unlock(k->lock);
        return STATUS_PROCEDURE_NOT_FOUND;
    }
    n->removed = true;
    rt_waits_for("a process notify routine to return");
    while (n->calls > (n->caller == rt_self() ? 1u : 0u))
        rt_cond_wait(k->notify_done, k->lock, RT_FOREVER);
    rt_waits_for(NULL);
    sweep(k);
    rt_mutex_unlock(k->lock);
    ledger_close(LEDGER_CALLBACK, routine, site);
    return STATUS_SUCCESS;
}

static NTSTATUS change(enum kind kind, uintptr_t routine, BOOLEAN remove, const void *site)
{
    struct nt *k = nt_current();

    if (k == NULL)
        return STATUS_INVALID_DEVICE_STATE;
    if (routine == 0)
        return STATUS_INVALID_PARAMETER;
    return remove ? take_out(k, kind, routine, site) : add(k, kind, routine, site);
}

NTSTATUS PsSetCreateProcessNotifyRoutine(PCREATE_PROCESS_NOTIFY_ROUTINE NotifyRoutine, BOOLEAN Remove)
{
    if (!Remove)
        NT_FAIL_STATUS(PsSetCreateProcessNotifyRoutine);
    NT_IRQL_MAX(PASSIVE_LEVEL);
    return change(PLAIN, (uintptr_t)NotifyRoutine, Remove, NT_SITE);
}

NTSTATUS PsSetCreateProcessNotifyRoutineEx(PCREATE_PROCESS_NOTIFY_ROUTINE_EX NotifyRoutine, BOOLEAN Remove)
{
    if (!Remove)
        NT_FAIL_STATUS(PsSetCreateProcessNotifyRoutineEx);
    NT_IRQL_MAX(PASSIVE_LEVEL);
    return change(EX, (uintptr_t)NotifyRoutine, Remove, NT_SITE);
}

NTSTATUS PsSetCreateProcessNotifyRoutineEx2(PSCREATEPROCESSNOTIFYTYPE NotifyType, PVOID NotifyInformation,
                                            BOOLEAN Remove)
{
    if (!Remove)
        NT_FAIL_STATUS(PsSetCreateProcessNotifyRoutineEx2);
    NT_IRQL_MAX(PASSIVE_LEVEL);
    if (NotifyType != PsCreateProcessNotifySubsystems)
        return STATUS_INVALID_PARAMETER;
    return change(EX, (uintptr_t)NotifyInformation, Remove, NT_SITE);
}

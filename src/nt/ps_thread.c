/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads. Every thread that asks who it is gets a struct nt_thread, which is what a driver sees as PETHREAD
 * and PKTHREAD. It carries that (rt_carried()), with the number of the kernel that it is of: who asks again takes no
 * lock. One that works for several kernels in turn finds its entries in their tables, by rt_self(), under k->lock. A
 * thread that the kernel did not start (a lane of the host, a test program's) is never told to end: its entry stays
 * until another thread with the same rt_self() comes, which has another number.
 *
 * System threads (PsCreateSystemThread):
 *
 *   PsCreateSystemThread --> runs its routine --returns, or PsTerminateSystemThread--> signalled --> joined
 *
 * PsTerminateSystemThread() unwinds to the bottom of the thread's stack, where a thread whose routine returns
 * comes by as well. The end counts for the driver (nt_driver_ended) when none of its code is on the stack any
 * more; nt_threads_reap() then joins it, so that it has left this library too.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdlib.h>

#include "nt/fault.h"
#include "nt/internal.h"

#define FIRST_THREAD_ID 8

struct nt_own_thread {
    struct nt_own_thread *next; /* k->own */
    struct rt_thread *rt;
    void (*fn)(void *arg);
    void *arg;
};

struct _OBJECT_TYPE ob_type_thread = {.name = "Thread"};

static unsigned bucket_number(uintptr_t self)
{
    return (self >> 4) * 0x9e3779b97f4a7c15ull >> 58;
}

static struct nt_thread **bucket_of(struct nt *k, uintptr_t self)
{
    return &k->threads[bucket_number(self)];
}

static struct nt_thread *thread_make(struct nt *k)
{
    struct nt_thread *t = ob_create(&ob_type_thread, sizeof(*t));

    if (t == NULL)
        return NULL;
    nt_header_init(&t->header, NT_THREAD, 0);
    InitializeListHead(&t->mutants);
    t->k = k;
    return t;
}

/* The calling thread's, of this kernel. */
static void carry(const struct nt *k, struct nt_thread *t)
{
    rt_carried()->nt_thread = t;
    rt_carried()->nt_kernel = k->number;
}

/* Under k->lock: in the table as the calling thread. */
static void thread_enter(struct nt *k, struct nt_thread *t)
{
    struct nt_thread **bucket;

    t->self = rt_self();
    t->id = FIRST_THREAD_ID + 4 * k->next_thread_id;
    t->processor = (uint16_t)(k->next_thread_id++ % k->processors);
    bucket = bucket_of(k, t->self);
    t->next = *bucket;
    *bucket = t;
    if (rt_carried()->nt_self == 0)
        rt_carried()->nt_self = rt_number();
    t->whose = rt_carried()->nt_self;
    carry(k, t);
}

/* Not asked last by the calling thread: of another kernel, or nobody yet. */
static __attribute__((noinline)) struct nt_thread *find_or_make(struct nt *k)
{
    struct rt_carried *carried = rt_carried();
    uintptr_t self = rt_self();
    struct nt_thread *t, *stale = NULL;

    rt_mutex_lock(k->lock);
    for (struct nt_thread **at = bucket_of(k, self); (t = *at) != NULL; at = &t->next) {
        if (t->self != self)
            continue;
        if (t->whose == carried->nt_self)
            goto out;
        *at = t->next;
        stale = t; /* of a thread that is no more */
        break;
    }
    t = thread_make(k);
    if (t != NULL)
        thread_enter(k, t);
out:
    if (t != NULL)
        carry(k, t);
    rt_mutex_unlock(k->lock);
    if (stale != NULL)
        ob_dereference(stale);
    return t;
}

struct nt_thread *nt_thread_current(struct nt *k)
{
    const struct rt_carried *carried = rt_carried();

    return carried->nt_thread != NULL && carried->nt_kernel == k->number ? carried->nt_thread
                                                                         : find_or_make(k);
}

/* ---- the kernel's own -----------------------------------------------------------------------------------
 */
static void own_main(void *arg)
{
    struct nt_own_thread *own = arg;

    rt_set_current(NULL); /* whoever started it works for somebody; it works for nobody yet */
    own->fn(own->arg);
}

int nt_thread_start(struct nt *k, const char *name, void (*fn)(void *arg), void *arg)
{
    struct nt_own_thread *own = calloc(1, sizeof(*own));
    int rc;

    if (own == NULL)
        return -ENOMEM;
    own->fn = fn;
    own->arg = arg;
    rt_mutex_lock(k->lock);
    rc = rt_thread_start(name, own_main, own, &own->rt);
    if (rc == 0) {
        own->next = k->own;
        k->own = own;
    }
    rt_mutex_unlock(k->lock);
    if (rc != 0)
        free(own);
    return rc;
}

void nt_threads_join(struct nt *k)
{
    struct nt_own_thread *own;

    while ((own = k->own) != NULL) {
        k->own = own->next;
        rt_thread_join(own->rt);
        free(own);
    }
}

void nt_threads_destroy(struct nt *k)
{
    struct nt_thread *t;

    for (unsigned i = 0; i < NT_THREAD_BUCKETS; i++) {
        while ((t = k->threads[i]) != NULL) {
            k->threads[i] = t->next;
            ob_dereference(t);
        }
    }
}

/* ---- system threads -------------------------------------------------------------------------------------
 */
/* Mutexes that a thread did not give back: whoever waits for them gets them. */
static void abandon_mutexes(struct nt *k, struct nt_thread *t)
{
    rt_mutex_lock(k->dispatch);
    while (!IsListEmpty(&t->mutants)) {
        KMUTANT *m = CONTAINING_RECORD(RemoveHeadList(&t->mutants), KMUTANT, MutantListEntry);

        m->OwnerThread = NULL;
        m->Abandoned = TRUE;
        __atomic_store_n(&m->Header.SignalState, 1, __ATOMIC_RELAXED);
        nt_header_signalled(k, &m->Header);
        rt_mutex_unlock(k->dispatch);
        ledger_close(LEDGER_LOCK, (uintptr_t)m, NULL);
        nt_bug(THREAD_TERMINATE_HELD_MUTEX, NULL, (const void *)(uintptr_t)t->routine,
               "a system thread ends and holds a mutex");
        rt_mutex_lock(k->dispatch);
    }
    rt_mutex_unlock(k->dispatch);
}

static void thread_leave(struct nt *k, struct nt_thread *t)
{
    rt_mutex_lock(k->lock);
    for (struct nt_thread **at = bucket_of(k, t->self); *at != NULL; at = &(*at)->next) {
        if (*at == t) {
            *at = t->next;
            break;
        }
    }
    rt_mutex_unlock(k->lock);
    rt_carried()->nt_thread = NULL;
}

static void system_main(void *arg)
{
    struct nt_thread *t = arg;
    struct rt_carried *carried = rt_carried();
    struct nt *k = t->k;
    jmp_buf unwind;

    rt_mutex_lock(k->lock);
    thread_enter(k, t);
    ob_reference(t); /* the table's */
    rt_mutex_unlock(k->lock);
    t->unwind = &unwind;
    if (setjmp(unwind) == 0) {
        (void)nt_begins("thread", (const void *)(uintptr_t)t->routine);
        t->routine(t->argument);
    }
    carried->doing = NULL;
    t->unwind = NULL;
    if (carried->irql != PASSIVE_LEVEL)
        nt_note((const void *)(uintptr_t)t->routine, "a system thread ends at IRQL %u", carried->irql);
    carried->irql = PASSIVE_LEVEL;
    abandon_mutexes(k, t);
    rt_set_current(NULL);
    thread_leave(k, t);
    ob_dereference(t); /* the table's; system_threads has one still */
    if (t->driver->party != NULL)
        ledger_close_for(t->driver->party, LEDGER_THREAD, (uintptr_t)t);
    rt_mutex_lock(k->dispatch);
    __atomic_store_n(&t->header.SignalState, 1, __ATOMIC_RELAXED);
    nt_header_signalled(k, &t->header);
    t->ended = true;
    nt_driver_ended_locked(t->driver);
    rt_mutex_unlock(k->dispatch);
}

bool nt_threads_reap(struct nt *k)
{
    struct nt_thread *ended = NULL, *t;
    bool others;

    rt_mutex_lock(k->lock);
    rt_mutex_lock(k->dispatch);
    for (struct nt_thread **at = &k->system_threads; (t = *at) != NULL;) {
        if (!t->ended) {
            at = &t->next_system;
            continue;
        }
        *at = t->next_system;
        t->next_system = ended;
        ended = t;
    }
    others = k->system_threads != NULL;
    rt_mutex_unlock(k->dispatch);
    rt_mutex_unlock(k->lock);
    while ((t = ended) != NULL) {
        ended = t->next_system;
        rt_thread_join(t->rt);
        t->rt = NULL;
        ob_dereference(t);
    }
    return others;
}

NTSTATUS PsCreateSystemThread(PHANDLE ThreadHandle, ULONG DesiredAccess, POBJECT_ATTRIBUTES ObjectAttributes,
                              HANDLE ProcessHandle, CLIENT_ID *ClientId, PKSTART_ROUTINE StartRoutine,
                              PVOID StartContext)
{
    struct nt_driver *d = nt_driver_current();
    const void *site = NT_SITE;
    struct nt_thread *t;
    NTSTATUS status;
    struct nt *k;
    int rc;

    NT_FAIL_STATUS(PsCreateSystemThread);
    (void)DesiredAccess;
    (void)ProcessHandle;
    NT_IRQL_MAX(PASSIVE_LEVEL);
    if (d == NULL)
        return STATUS_INVALID_DEVICE_STATE;
    k = d->k;
    nt_threads_reap(k);
    t = thread_make(k);
    if (t == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    t->driver = d;
    t->routine = StartRoutine;
    t->argument = StartContext;
    t->exit_status = STATUS_SUCCESS;
    t->process = NT_SYSTEM_PROCESS;
    status = ob_handle_open(k, t, ObjectAttributes == NULL ? 0 : ObjectAttributes->Attributes, ThreadHandle);
    if (!NT_SUCCESS(status)) {
        ob_dereference(t);
        return status;
    }
    nt_driver_began(d);
    ledger_open(LEDGER_THREAD, (uintptr_t)t, 0, NULL, site);
    /* It waits for k->lock before it does anything, so that t->rt and the list are there first. */
    rt_mutex_lock(k->lock);
    rc = rt_thread_start("system thread", system_main, t, &t->rt);
    if (rc == 0) {
        t->next_system = k->system_threads;
        k->system_threads = t;
        if (ClientId != NULL)
            *ClientId = (CLIENT_ID){(HANDLE)(uintptr_t)NT_SYSTEM_PROCESS,
                                    (HANDLE)(uintptr_t)(FIRST_THREAD_ID + 4 * k->next_thread_id)};
    }
    rt_mutex_unlock(k->lock);
    if (rc != 0) {
        if (d->party != NULL)
            ledger_close_for(d->party, LEDGER_THREAD, (uintptr_t)t);
        nt_driver_ended(d);
        ob_handle_close(k, *ThreadHandle);
        ob_dereference(t);
        *ThreadHandle = NULL;
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    ledger_open(LEDGER_HANDLE, (uintptr_t)*ThreadHandle, 0, "thread", site);
    rt_point();
    return STATUS_SUCCESS;
}

NTSTATUS PsTerminateSystemThread(NTSTATUS ExitStatus)
{
    struct nt *k = nt_current();
    struct nt_thread *t = k == NULL ? NULL : nt_thread_current(k);

    NT_IRQL_MAX(PASSIVE_LEVEL);
    if (t == NULL || t->unwind == NULL)
        return STATUS_INVALID_PARAMETER; /* not a system thread */
    t->exit_status = ExitStatus;
    longjmp(*(jmp_buf *)t->unwind, 1);
}

/* ---- who is it? -----------------------------------------------------------------------------------------
 */
static struct nt_thread *current(void)
{
    struct nt *k = nt_current();

    return k == NULL ? NULL : nt_thread_current(k);
}

PETHREAD PsGetCurrentThread(VOID)
{
    return (PETHREAD)current();
}

PKTHREAD KeGetCurrentThread(VOID)
{
    return (PKTHREAD)current();
}

HANDLE PsGetCurrentThreadId(VOID)
{
    const struct nt_thread *t = current();

    return t == NULL ? NULL : (HANDLE)(uintptr_t)t->id;
}

HANDLE PsGetThreadId(PETHREAD Thread)
{
    return (HANDLE)(uintptr_t)((struct nt_thread *)Thread)->id;
}

HANDLE PsGetThreadProcessId(PETHREAD Thread)
{
    const struct nt_thread *t = (struct nt_thread *)Thread;

    return (HANDLE)(uintptr_t)(t->process == 0 ? NT_SYSTEM_PROCESS : t->process);
}

BOOLEAN PsIsSystemThread(PETHREAD Thread)
{
    return ((struct nt_thread *)Thread)->routine != NULL;
}

NTSTATUS PsGetThreadExitStatus(PETHREAD Thread)
{
    const struct nt_thread *t = (struct nt_thread *)Thread;

    return __atomic_load_n(&t->header.SignalState, __ATOMIC_RELAXED) > 0 ? t->exit_status : STATUS_PENDING;
}

NTSTATUS PsLookupThreadByThreadId(HANDLE ThreadId, PETHREAD *Thread)
{
    struct nt *k = nt_current();
    NTSTATUS status = STATUS_INVALID_CID;

    NT_FAIL_STATUS(PsLookupThreadByThreadId);
    NT_IRQL_MAX(APC_LEVEL);
    if (k == NULL)
        return STATUS_INVALID_CID;
    rt_mutex_lock(k->lock);
    for (unsigned i = 0; i < NT_THREAD_BUCKETS && status != STATUS_SUCCESS; i++) {
        for (struct nt_thread *t = k->threads[i]; t != NULL; t = t->next) {
            if (t->id == (uint64_t)(uintptr_t)ThreadId && ob_reference_unless_gone(t)) {
                *Thread = (PETHREAD)t;
                status = STATUS_SUCCESS;
                break;
            }
        }
    }
    rt_mutex_unlock(k->lock);
    if (status == STATUS_SUCCESS)
        ledger_open(LEDGER_OBJECT_REFERENCE, (uintptr_t)*Thread, 0, "thread", NT_SITE);
    return status;
}

/* ---- priorities: written down, and nobody's order changes ---------------------------------------------- */
LONG KeSetBasePriorityThread(PKTHREAD Thread, LONG Increment)
{
    struct nt_thread *t = (struct nt_thread *)Thread;
    LONG was = t->base_increment;

    NT_IRQL_MAX(PASSIVE_LEVEL);
    t->base_increment = Increment;
    return was;
}

KPRIORITY KeSetPriorityThread(PKTHREAD Thread, KPRIORITY Priority)
{
    struct nt_thread *t = (struct nt_thread *)Thread;
    KPRIORITY was = t->priority;

    NT_IRQL_MAX(PASSIVE_LEVEL);
    t->priority = Priority;
    return was;
}

KPRIORITY KeQueryPriorityThread(PKTHREAD Thread)
{
    return ((struct nt_thread *)Thread)->priority;
}

/* ---- regions without APCs: there are none, but they must be left as often as entered ------------------- */
VOID KeEnterCriticalRegion(VOID)
{
    struct nt_thread *t = current();

    if (t != NULL)
        t->no_apcs++;
}

VOID KeLeaveCriticalRegion(VOID)
{
    struct nt_thread *t = current();

    if (t == NULL)
        return;
    if (t->no_apcs == 0)
        nt_bug(APC_INDEX_MISMATCH, NULL, NT_SITE, "KeLeaveCriticalRegion: the thread is in none");
    else
        t->no_apcs--;
}

VOID KeEnterGuardedRegion(VOID)
{
    struct nt_thread *t = current();

    if (t != NULL)
        t->no_special_apcs++;
}

VOID KeLeaveGuardedRegion(VOID)
{
    struct nt_thread *t = current();

    if (t == NULL)
        return;
    if (t->no_special_apcs == 0)
        nt_bug(APC_INDEX_MISMATCH, NULL, NT_SITE, "KeLeaveGuardedRegion: the thread is in none");
    else
        t->no_special_apcs--;
}

BOOLEAN KeAreApcsDisabled(VOID)
{
    const struct nt_thread *t = current();

    return t != NULL && (t->no_apcs != 0 || t->no_special_apcs != 0);
}

BOOLEAN KeAreAllApcsDisabled(VOID)
{
    const struct nt_thread *t = current();

    return rt_carried()->irql >= APC_LEVEL || (t != NULL && t->no_special_apcs != 0);
}

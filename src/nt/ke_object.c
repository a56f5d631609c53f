/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events, semaphores and mutexes: what changes their state and so lets those go who wait (ke_wait.c has how).
 * A thread without a driver changes the state alone: nobody of its kernel can wait.
 */
#include "nt/internal.h"

/* ---- events ---------------------------------------------------------------------------------------------
 */
VOID KeInitializeEvent(PRKEVENT Event, EVENT_TYPE Type, BOOLEAN State)
{
    nt_header_init(&Event->Header,
                   Type == SynchronizationEvent ? NT_EVENT_SYNCHRONIZATION : NT_EVENT_NOTIFICATION,
                   State != 0);
}

static bool is_event(const KEVENT *e, const char *function, const void *site)
{
    if (e->Header.Type == NT_EVENT_NOTIFICATION || e->Header.Type == NT_EVENT_SYNCHRONIZATION)
        return true;
    nt_bug(IRQL_NOT_LESS_OR_EQUAL, NULL, site, "%s: the event was never initialised", function);
    return false;
}

int32_t nt_event_set(struct nt *k, KEVENT *event)
{
    int32_t was;

    rt_mutex_lock(k->dispatch);
    was = nt_state(&event->Header);
    nt_state_set(&event->Header, 1);
    nt_header_signalled(k, &event->Header);
    rt_mutex_unlock(k->dispatch);
    return was;
}

/* Wait promises that a wait follows at once; there is no processor to keep, so it means nothing here. */
LONG KeSetEvent(PRKEVENT Event, KPRIORITY Increment, BOOLEAN Wait)
{
    struct nt *k = nt_current();

    (void)Increment;
    if (Wait)
        NT_IRQL_MAX(APC_LEVEL);
    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (!is_event(Event, __func__, NT_SITE))
        return 0;
    rt_point();
    if (k == NULL)
        return __atomic_exchange_n(&Event->Header.SignalState, 1, __ATOMIC_SEQ_CST);
    return nt_event_set(k, Event);
}

LONG KePulseEvent(PRKEVENT Event, KPRIORITY Increment, BOOLEAN Wait)
{
    struct nt *k = nt_current();
    int32_t was;

    (void)Increment;
    (void)Wait;
    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (!is_event(Event, __func__, NT_SITE))
        return 0;
    rt_point();
    if (k == NULL)
        return __atomic_exchange_n(&Event->Header.SignalState, 0, __ATOMIC_SEQ_CST);
    rt_mutex_lock(k->dispatch);
    was = nt_state(&Event->Header);
    nt_state_set(&Event->Header, 1);
    nt_header_signalled(k, &Event->Header);
    nt_state_set(&Event->Header, 0);
    rt_mutex_unlock(k->dispatch);
    return was;
}

static LONG reset(KEVENT *e)
{
    struct nt *k = nt_current();
    int32_t was;

    rt_point();
    if (k == NULL)
        return __atomic_exchange_n(&e->Header.SignalState, 0, __ATOMIC_SEQ_CST);
    rt_mutex_lock(k->dispatch);
    was = nt_state(&e->Header);
    nt_state_set(&e->Header, 0);
    rt_mutex_unlock(k->dispatch);
    return was;
}

VOID KeClearEvent(PRKEVENT Event)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (is_event(Event, __func__, NT_SITE))
        reset(Event);
}

LONG KeResetEvent(PRKEVENT Event)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    return is_event(Event, __func__, NT_SITE) ? reset(Event) : 0;
}

LONG KeReadStateEvent(PRKEVENT Event)
{
    rt_point();
    return nt_state(&Event->Header);
}

/* ---- semaphores -----------------------------------------------------------------------------------------
 */
VOID KeInitializeSemaphore(PRKSEMAPHORE Semaphore, LONG Count, LONG Limit)
{
    nt_header_init(&Semaphore->Header, NT_SEMAPHORE, Count);
    Semaphore->Limit = Limit;
}

LONG KeReleaseSemaphore(PRKSEMAPHORE Semaphore, KPRIORITY Increment, LONG Adjustment, BOOLEAN Wait)
{
    struct nt *k = nt_current();
    bool over;
    LONG was;

    (void)Increment;
    (void)Wait;
    NT_IRQL_MAX(DISPATCH_LEVEL);
    rt_point();
    if (k != NULL)
        rt_mutex_lock(k->dispatch);
    was = nt_state(&Semaphore->Header);
    over = Adjustment <= 0 || was > Semaphore->Limit - Adjustment;
    if (!over) {
        nt_state_set(&Semaphore->Header, was + Adjustment);
        if (k != NULL)
            nt_header_signalled(k, &Semaphore->Header);
    }
    if (k != NULL)
        rt_mutex_unlock(k->dispatch);
    if (over) /* Windows raises STATUS_SEMAPHORE_LIMIT_EXCEEDED */
        nt_bug(KMODE_EXCEPTION_NOT_HANDLED, NULL, NT_SITE,
               "KeReleaseSemaphore: %d more than %d of a limit of %d", Adjustment, was, Semaphore->Limit);
    return was;
}

LONG KeReadStateSemaphore(PRKSEMAPHORE Semaphore)
{
    rt_point();
    return nt_state(&Semaphore->Header);
}

/* ---- mutexes --------------------------------------------------------------------------------------------
 */
VOID KeInitializeMutex(PRKMUTEX Mutex, ULONG Level)
{
    (void)Level;
    nt_header_init(&Mutex->Header, NT_MUTANT, 1);
    InitializeListHead(&Mutex->MutantListEntry);
    Mutex->OwnerThread = NULL;
    Mutex->Abandoned = FALSE;
    Mutex->ApcDisable = 1;
}

LONG KeReleaseMutex(PRKMUTEX Mutex, BOOLEAN Wait)
{
    struct nt *k = nt_current();
    struct nt_thread *me = k == NULL ? NULL : nt_thread_current(k);
    bool mine;
    LONG was;

    (void)Wait;
    NT_IRQL_MAX(DISPATCH_LEVEL);
    rt_point();
    if (k == NULL) {
        was = nt_state(&Mutex->Header);
        nt_state_set(&Mutex->Header, was + 1);
        return was;
    }
    rt_mutex_lock(k->dispatch);
    was = nt_state(&Mutex->Header);
    mine = me != NULL && Mutex->OwnerThread == (struct _KTHREAD *)me;
    rt_mutex_unlock(k->dispatch);
    if (!mine) { /* Windows raises STATUS_MUTANT_NOT_OWNED */
        nt_bug(KMODE_EXCEPTION_NOT_HANDLED, NULL, NT_SITE,
               "KeReleaseMutex: the calling thread does not own the mutex");
        return was;
    }
    if (was == 0)
        ledger_close(LEDGER_LOCK, (uintptr_t)Mutex, NT_SITE);
    rt_mutex_lock(k->dispatch);
    nt_state_set(&Mutex->Header, was + 1);
    if (was == 0) {
        RemoveEntryList(&Mutex->MutantListEntry);
        Mutex->OwnerThread = NULL;
        nt_header_signalled(k, &Mutex->Header);
    }
    rt_mutex_unlock(k->dispatch);
    return was;
}

LONG KeReadStateMutex(PRKMUTEX Mutex)
{
    rt_point();
    return nt_state(&Mutex->Header);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Timers that the system allocates: a KTIMER with a DPC that calls back.
 *
 *   ExAllocateTimer --> idle <--ExSetTimer, expired, ExCancelTimer--> set --ExDeleteTimer--> going --> gone
 *
 * `going`: another DPC stands behind the last call of the callback in the same queue; it tells who asked for
 * it (DeleteCallback, or who waits in ExDeleteTimer) and frees the timer.
 */
#include <stdlib.h>

#include "nt/fault.h"
#include "nt/internal.h"

#define UNITS_A_MS 10000

struct _EX_TIMER {
    KTIMER timer; /* first: a driver may wait for it */
    KDPC expired, gone;
    PEXT_CALLBACK callback;
    PVOID context;
    PEXT_DELETE_CALLBACK deleted;
    PVOID deleted_context;
    KEVENT *waiter; /* of who waits in ExDeleteTimer() */
};

static VOID on_expired(PKDPC dpc, PVOID context, PVOID one, PVOID two)
{
    struct _EX_TIMER *t = context;
    struct nt_begun begun;

    (void)dpc;
    (void)one;
    (void)two;
    if (t->callback != NULL) {
        begun = nt_begins("timer", (const void *)(uintptr_t)t->callback);
        t->callback(t, t->context);
        nt_ended(begun);
    }
}

static VOID on_gone(PKDPC dpc, PVOID context, PVOID one, PVOID two)
{
    struct _EX_TIMER *t = context;
    KEVENT *waiter = t->waiter;

    (void)dpc;
    (void)one;
    (void)two;
    if (t->deleted != NULL)
        t->deleted(t->deleted_context);
    free(t);
    if (waiter != NULL)
        KeSetEvent(waiter, IO_NO_INCREMENT, FALSE);
}

PEX_TIMER ExAllocateTimer(PEXT_CALLBACK Callback, PVOID CallbackContext, ULONG Attributes)
{
    struct _EX_TIMER *t;

    NT_FAIL_NULL(ExAllocateTimer);
    NT_IRQL_MAX(DISPATCH_LEVEL);
    t = calloc(1, sizeof(*t));
    if (t == NULL)
        return NULL;
    KeInitializeTimerEx(&t->timer,
                        (Attributes & EX_TIMER_NOTIFICATION) != 0 ? NotificationTimer : SynchronizationTimer);
    KeInitializeDpc(&t->expired, on_expired, t);
    KeInitializeDpc(&t->gone, on_gone, t);
    KeSetTargetProcessorDpc(&t->expired, 0); /* one queue for both, so that they keep their order */
    KeSetTargetProcessorDpc(&t->gone, 0);
    t->callback = Callback;
    t->context = CallbackContext;
    ledger_open(LEDGER_OBJECT_REFERENCE, (uintptr_t)t, 0, "timer of ExAllocateTimer", NT_SITE);
    return t;
}

BOOLEAN ExSetTimer(PEX_TIMER Timer, LONGLONG DueTime, LONGLONG Period, PEXT_SET_PARAMETERS Parameters)
{
    LARGE_INTEGER due = {.QuadPart = DueTime};

    (void)Parameters;
    NT_IRQL_MAX(DISPATCH_LEVEL);
    return nt_timer_set(&Timer->timer, due, (ULONG)((Period + UNITS_A_MS - 1) / UNITS_A_MS), &Timer->expired,
                        __func__, NT_SITE);
}

BOOLEAN ExCancelTimer(PEX_TIMER Timer, PVOID Parameters)
{
    (void)Parameters;
    NT_IRQL_MAX(DISPATCH_LEVEL);
    return KeCancelTimer(&Timer->timer);
}

/* Cancel FALSE with a timer that is set is allowed for one that will never be: it is cancelled too. */
BOOLEAN ExDeleteTimer(PEX_TIMER Timer, BOOLEAN Cancel, BOOLEAN Wait, PEXT_DELETE_PARAMETERS Parameters)
{
    BOOLEAN was;
    KEVENT gone;

    (void)Cancel;
    NT_IRQL_MAX(Wait ? APC_LEVEL : DISPATCH_LEVEL);
    if (!ledger_close(LEDGER_OBJECT_REFERENCE, (uintptr_t)Timer, NT_SITE))
        return FALSE;
    was = KeCancelTimer(&Timer->timer);
    if (Parameters != NULL) {
        Timer->deleted = Parameters->DeleteCallback;
        Timer->deleted_context = Parameters->DeleteContext;
    }
    if (Wait) {
        KeInitializeEvent(&gone, NotificationEvent, FALSE);
        Timer->waiter = &gone;
    }
    if (!KeInsertQueueDpc(&Timer->gone, NULL, NULL)) { /* a thread without a driver */
        free(Timer);
        return was;
    }
    if (Wait)
        KeWaitForSingleObject(&gone, Executive, KernelMode, FALSE, NULL);
    return was;
}

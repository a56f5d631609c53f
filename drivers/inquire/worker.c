/* SPDX-License-Identifier: Apache-2.0 */
/* inquire's worker thread: asks the policy, waits for its answers, carries them out (inquire.h). */
#include "inquire.h"

static struct inquiry *take_first(LIST_ENTRY *list, ULONGLONG now)
{
    KLOCK_QUEUE_HANDLE held;
    struct inquiry *first = NULL;

    KeAcquireInStackQueuedSpinLock(&inquire.lock, &held);
    if (!IsListEmpty(list)) {
        first = CONTAINING_RECORD(list->Flink, struct inquiry, link);
        if (first->due <= now)
            RemoveEntryList(&first->link);
        else
            first = NULL;
    }
    KeReleaseInStackQueuedSpinLock(&held);
    return first;
}

/* The answer is found by the reauthorization, which may come, and free the inquiry, before this returns. */
static void complete_connect(struct inquiry *inquiry)
{
    HANDLE completion = inquiry->completion;
    KLOCK_QUEUE_HANDLE held;

    inquiry->due = KeQueryInterruptTime() + (ULONGLONG)STALE_MS * 10000;
    KeAcquireInStackQueuedSpinLock(&inquire.lock, &held);
    InsertTailList(&inquire.completing, &inquiry->link);
    KeReleaseInStackQueuedSpinLock(&held);
    FwpsCompleteOperation(completion, NULL);
}

/* First completed, then injected: the first packet comes back to the classify and authorizes the flow
 * (PEND-28). */
static void complete_accept(struct inquiry *inquiry)
{
    NET_BUFFER_LIST *first = NULL;

    if (inquiry->permitted && !IsListEmpty(&inquiry->packets))
        first = CONTAINING_RECORD(inquiry->packets.Flink, struct packet, link)->clone;
    FwpsCompleteOperation(inquiry->completion, first);
    if (inquiry->permitted)
        inquiry_inject(inquiry);
    inquiry_free(inquiry);
}

static void carry_out(struct inquiry *inquiry)
{
    switch (inquiry->kind) {
    case INQUIRY_CONNECT:
        complete_connect(inquiry);
        return;
    case INQUIRY_ACCEPT:
        complete_accept(inquiry);
        return;
    case INQUIRY_PACKET:
        if (inquiry->permitted)
            inquiry_inject(inquiry);
        else if (inquiry->flow != 0 && !inquire.worker.closing)
            FwpsFlowAbort(inquiry->flow);
        inquiry_free(inquiry);
        return;
    }
}

static void answer(ULONGLONG now, BOOLEAN refuse_all)
{
    struct inquiry *inquiry;

    while ((inquiry = take_first(&inquire.asked, now)) != NULL) {
        inquiry->permitted =
            (BOOLEAN)(!refuse_all && policy_permits(&inquire.policy, &inquiry->path, inquiry->inbound));
        carry_out(inquiry);
    }
}

static void send_authorized(void)
{
    struct inquiry *inquiry;

    while ((inquiry = take_first(&inquire.authorized, (ULONGLONG)-1)) != NULL) {
        inquiry_inject(inquiry);
        inquiry_free(inquiry);
    }
}

static void drop_stale(ULONGLONG now)
{
    struct inquiry *inquiry;

    while ((inquiry = take_first(&inquire.completing, now)) != NULL)
        inquiry_free(inquiry);
}

/* How long nothing is to be done, as KeWaitForSingleObject() takes it; FALSE: until there is work. The lists
 * are in order of time, since what is put at an end has the same delay. */
static BOOLEAN until_next(LARGE_INTEGER *time)
{
    KLOCK_QUEUE_HANDLE held;
    ULONGLONG due = (ULONGLONG)-1, stale, now;

    KeAcquireInStackQueuedSpinLock(&inquire.lock, &held);
    if (!IsListEmpty(&inquire.asked))
        due = CONTAINING_RECORD(inquire.asked.Flink, struct inquiry, link)->due;
    if (!IsListEmpty(&inquire.completing)) {
        stale = CONTAINING_RECORD(inquire.completing.Flink, struct inquiry, link)->due;
        due = stale < due ? stale : due;
    }
    KeReleaseInStackQueuedSpinLock(&held);
    if (due == (ULONGLONG)-1)
        return FALSE;
    now = KeQueryInterruptTime();
    time->QuadPart = due > now ? -(LONGLONG)(due - now) : 0;
    return TRUE;
}

static void NTAPI work(void *context)
{
    UNREFERENCED_PARAMETER(context);
    while (!inquire.worker.closing) {
        LARGE_INTEGER time;
        BOOLEAN timed = until_next(&time);

        KeWaitForSingleObject(&inquire.worker.work, Executive, KernelMode, FALSE, timed ? &time : NULL);
        answer(KeQueryInterruptTime(), FALSE);
        send_authorized();
        drop_stale(KeQueryInterruptTime());
    }
    PsTerminateSystemThread(STATUS_SUCCESS);
}

NTSTATUS worker_start(void)
{
    return thread_start(&inquire.worker, work);
}

void worker_stop(void)
{
    thread_stop(&inquire.worker);
    worker_drain();
}

void worker_drain(void)
{
    answer((ULONGLONG)-1, TRUE);
    send_authorized();
    drop_stale((ULONGLONG)-1);
}

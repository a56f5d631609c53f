/* SPDX-License-Identifier: Apache-2.0 */
/* redirect's worker thread: decides what was pended (inside.h). */
#include "inside.h"

#define MS 10000u /* of interrupt time */

void request_pend(struct request *request)
{
    KLOCK_QUEUE_HANDLE held;

    request->due = KeQueryInterruptTime() + (ULONGLONG)redirect.delay_ms * MS;
    KeAcquireInStackQueuedSpinLock(&redirect.lock, &held);
    InsertTailList(&redirect.pended, &request->link);
    KeReleaseInStackQueuedSpinLock(&held);
    thread_wake(&redirect.worker);
}

/* The oldest, if it is due. All wait equally long, so no other is due before it. */
static struct request *take(ULONGLONG now)
{
    struct request *request = NULL;
    KLOCK_QUEUE_HANDLE held;

    KeAcquireInStackQueuedSpinLock(&redirect.lock, &held);
    if (!IsListEmpty(&redirect.pended)) {
        request = CONTAINING_RECORD(redirect.pended.Flink, struct request, link);
        if (request->due > now)
            request = NULL;
        else
            RemoveEntryList(&request->link);
    }
    KeReleaseInStackQueuedSpinLock(&held);
    return request;
}

/* What is acquired is applied, and before the completion (RED-08, RED-16). */
static void change(struct request *request)
{
    void *data;

    if (!NT_SUCCESS(FwpsAcquireWritableLayerDataPointer(request->handle, request->asker.filter, 0, &data,
                                                        &request->out)))
        return;
    if (request->asker.bind)
        bind_change(data);
    else
        connect_change(data, &request->asker);
    FwpsApplyModifiedLayerData(request->handle, data, FWPS_CLASSIFY_FLAG_REAUTHORIZE_IF_MODIFIED_BY_OTHERS);
}

static void complete(struct request *request)
{
    request->out.actionType = FWP_ACTION_PERMIT;
    request->out.rights |= FWPS_RIGHT_ACTION_WRITE;
    FwpsCompleteClassify(request->handle, 0, &request->out);
    FwpsReleaseClassifyHandle(request->handle);
    ExFreePoolWithTag(request, REQUEST_TAG);
}

static BOOLEAN until_next(LARGE_INTEGER *time)
{
    ULONGLONG now = KeQueryInterruptTime(), due = 0;
    KLOCK_QUEUE_HANDLE held;

    KeAcquireInStackQueuedSpinLock(&redirect.lock, &held);
    if (!IsListEmpty(&redirect.pended))
        due = CONTAINING_RECORD(redirect.pended.Flink, struct request, link)->due;
    KeReleaseInStackQueuedSpinLock(&held);
    time->QuadPart = due > now ? -(LONGLONG)(due - now) : 0;
    return (BOOLEAN)(due != 0);
}

static void NTAPI work(void *context)
{
    UNREFERENCED_PARAMETER(context);
    while (!redirect.worker.closing) {
        struct request *request;
        LARGE_INTEGER time;
        BOOLEAN timed = until_next(&time);

        KeWaitForSingleObject(&redirect.worker.work, Executive, KernelMode, FALSE, timed ? &time : NULL);
        while (!redirect.worker.closing && (request = take(KeQueryInterruptTime())) != NULL) {
            change(request);
            complete(request);
        }
    }
    PsTerminateSystemThread(STATUS_SUCCESS);
}

NTSTATUS worker_start(void)
{
    return thread_start(&redirect.worker, work);
}

void worker_stop(void)
{
    thread_stop(&redirect.worker);
    worker_drain();
}

void worker_drain(void)
{
    struct request *request;

    while ((request = take((ULONGLONG)-1)) != NULL)
        complete(request);
}

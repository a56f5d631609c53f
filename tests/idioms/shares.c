/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pended classify that several hold: connects to port 80 are pended at CONNECT_REDIRECT, and a timer (20 ms), a work item
 * and the driver's end each may settle it: whoever is first completes the classify, whoever is last gives the handle
 * back. The work item leads the connection to port 8080.
 *
 *   classify: acquire handle, acquire writable data, pend     users: the list, the timer, the work item
 *      work item, where the port is 80: the data are changed  -- apply, complete
 *      timer: it has taken too long                           -- apply as it was, complete
 *      unload                                                 -- apply as it was, complete
 *   share_release(): the last one: FwpsReleaseClassifyHandle, memory
 *
 * The work item takes 5 ms, or, with the parameter Slow, 50 ms: the timer comes first.
 */
#include <initguid.h>

#include "../../drivers/common/callouts.h"
#include "../../drivers/common/parameters.h"

#define SHARES_TAG 'rahS'

struct share {
    LIST_ENTRY link;
    volatile LONG users, settled;
    UINT64 handle;
    FWPS_CONNECT_REQUEST *request;
    FWPS_CLASSIFY_OUT out; /* of the classify: what it was given is not there later */
    KTIMER late;
    KDPC too_late;
    PIO_WORKITEM work;
};

static struct {
    DEVICE_OBJECT *device;
    KSPIN_LOCK lock;
    LIST_ENTRY shares;
    volatile LONG count, led, timed_out, gone;
    KEVENT none;
    ULONG slow;
} shares;

static void share_release(struct share *s)
{
    if (InterlockedDecrement(&s->users) != 0)
        return;
    FwpsReleaseClassifyHandle(s->handle);
    IoFreeWorkItem(s->work);
    ExFreePoolWithTag(s, SHARES_TAG);
    if (InterlockedDecrement(&shares.count) == 0)
        KeSetEvent(&shares.none, IO_NO_INCREMENT, FALSE);
}

static void take_out(struct share *s)
{
    KLOCK_QUEUE_HANDLE held;
    BOOLEAN in;

    KeAcquireInStackQueuedSpinLock(&shares.lock, &held);
    in = (BOOLEAN)!IsListEmpty(&s->link);
    RemoveEntryList(&s->link);
    InitializeListHead(&s->link);
    KeReleaseInStackQueuedSpinLock(&held);
    if (in)
        share_release(s);
}

/* The first one: what it says is what becomes of it. FALSE: another was first. */
static BOOLEAN settle(struct share *s, USHORT port)
{
    if (InterlockedExchange(&s->settled, 1) != 0)
        return FALSE;
    if (port != 0)
        ((SOCKADDR_IN *)(void *)&s->request->remoteAddressAndPort)->sin_port = RtlUshortByteSwap(port);
    FwpsApplyModifiedLayerData(s->handle, s->request, 0);
    s->out.actionType = FWP_ACTION_PERMIT;
    s->out.rights |= FWPS_RIGHT_ACTION_WRITE;
    FwpsCompleteClassify(s->handle, 0, &s->out);
    take_out(s);
    return TRUE;
}

static KDEFERRED_ROUTINE shares_too_late;
static IO_WORKITEM_ROUTINE shares_decided;

VOID NTAPI shares_too_late(KDPC *dpc, PVOID context, PVOID unused1, PVOID unused2)
{
    struct share *s = context;

    UNREFERENCED_PARAMETER(dpc);
    UNREFERENCED_PARAMETER(unused1);
    UNREFERENCED_PARAMETER(unused2);
    if (settle(s, 0))
        InterlockedIncrement(&shares.timed_out);
    share_release(s);
}

VOID NTAPI shares_decided(DEVICE_OBJECT *device, PVOID context)
{
    struct share *s = context;
    LARGE_INTEGER pause;

    UNREFERENCED_PARAMETER(device);
    pause.QuadPart = shares.slow ? -50 * 10000 : -5 * 10000;
    KeDelayExecutionThread(KernelMode, FALSE, &pause);
    if (settle(s, 8080))
        InterlockedIncrement(&shares.led);
    if (KeCancelTimer(&s->late))
        share_release(s); /* the timer's */
    share_release(s);
}

static struct share *share_make(const void *context, const FWPS_FILTER *filter, FWPS_CLASSIFY_OUT *out)
{
    struct share *s = ExAllocatePool2(POOL_FLAG_NON_PAGED, sizeof *s, SHARES_TAG);
    NTSTATUS status;

    if (s == NULL)
        return NULL;
    s->work = IoAllocateWorkItem(shares.device);
    if (s->work == NULL)
        goto no_work;
    if (!NT_SUCCESS(FwpsAcquireClassifyHandle((void *)(ULONG_PTR)context, 0, &s->handle)))
        goto no_handle;
    status = FwpsAcquireWritableLayerDataPointer(s->handle, filter->filterId, 0, (PVOID *)&s->request, out);
    if (NT_SUCCESS(status)) {
        status = FwpsPendClassify(s->handle, filter->filterId, 0, out);
        if (NT_SUCCESS(status))
            return s;
        FwpsApplyModifiedLayerData(s->handle, s->request, 0);
    }
    FwpsReleaseClassifyHandle(s->handle);
no_handle:
    IoFreeWorkItem(s->work);
no_work:
    ExFreePoolWithTag(s, SHARES_TAG);
    return NULL;
}

static void NTAPI connects(const FWPS_INCOMING_VALUES *values, const FWPS_INCOMING_METADATA_VALUES *metadata,
                           void *layer_data, const void *context, const FWPS_FILTER *filter,
                           UINT64 flow_context, FWPS_CLASSIFY_OUT *out)
{
    const UINT16 port = values->incomingValue[FWPS_FIELD_ALE_CONNECT_REDIRECT_V4_IP_REMOTE_PORT].value.uint16;
    const FWPS_CONNECT_REQUEST *is = layer_data;
    KLOCK_QUEUE_HANDLE held;
    LARGE_INTEGER due;
    struct share *s;

    UNREFERENCED_PARAMETER(metadata);
    UNREFERENCED_PARAMETER(flow_context);
    if ((out->rights & FWPS_RIGHT_ACTION_WRITE) == 0)
        return;
    out->actionType = FWP_ACTION_PERMIT;
    if (port != 80 || is->previousVersion != NULL) /* it was asked about already */
        return;
    s = share_make(context, filter, out);
    if (s == NULL) {
        out->actionType = FWP_ACTION_PERMIT;
        out->rights |= FWPS_RIGHT_ACTION_WRITE;
        return;
    }
    s->out = *out;
    s->users = 3;
    KeInitializeTimer(&s->late);
    KeInitializeDpc(&s->too_late, shares_too_late, s);
    InterlockedIncrement(&shares.count);
    KeAcquireInStackQueuedSpinLock(&shares.lock, &held);
    InsertTailList(&shares.shares, &s->link);
    KeReleaseInStackQueuedSpinLock(&held);
    due.QuadPart = -20 * 10000; /* 20 ms */
    KeSetTimer(&s->late, due, &s->too_late);
    IoQueueWorkItem(s->work, shares_decided, DelayedWorkQueue, s);
    out->actionType = FWP_ACTION_BLOCK;
    out->rights &= ~FWPS_RIGHT_ACTION_WRITE;
}

/* One, referred to; NULL: there is none. */
static struct share *find(void)
{
    struct share *found = NULL;
    KLOCK_QUEUE_HANDLE held;

    KeAcquireInStackQueuedSpinLock(&shares.lock, &held);
    if (!IsListEmpty(&shares.shares))
        found = CONTAINING_RECORD(shares.shares.Flink, struct share, link);
    if (found != NULL)
        InterlockedIncrement(&found->users);
    KeReleaseInStackQueuedSpinLock(&held);
    return found;
}

static void not_wanted(struct share *s)
{
    if (settle(s, 0))
        InterlockedIncrement(&shares.gone);
    if (KeCancelTimer(&s->late))
        share_release(s);
    share_release(s);
}

static const struct callout_layer layers[] = {
    {FWPS_LAYER_ALE_CONNECT_REDIRECT_V4, &FWPM_LAYER_ALE_CONNECT_REDIRECT_V4, connects, IPPROTO_TCP},
};
static struct callout_set callouts = {
    .base = {0x0f6e2d94, 0x83ab, 0x4e17, {0xb2, 0x5c, 0x40, 0x9d, 0x71, 0x8e, 0x36, 0x00}},
    .name = L"Shares",
    .action = FWP_ACTION_CALLOUT_TERMINATING,
    .layers = layers,
    .count = ARRAYSIZE(layers),
};

DRIVER_INITIALIZE DriverEntry;
static DRIVER_UNLOAD Unload;

static VOID NTAPI Unload(DRIVER_OBJECT *driver)
{
    struct share *s;

    UNREFERENCED_PARAMETER(driver);
    callouts_stop(&callouts);
    while ((s = find()) != NULL)
        not_wanted(s);
    if (InterlockedDecrement(&shares.count) != 0)
        KeWaitForSingleObject(&shares.none, Executive, KernelMode, FALSE, NULL);
    DbgPrint("shares: led %d, timed out %d, gone %d\n", shares.led, shares.timed_out, shares.gone);
    IoDeleteDevice(shares.device);
}

NTSTATUS NTAPI DriverEntry(DRIVER_OBJECT *driver, UNICODE_STRING *path)
{
    HANDLE key = parameters_open(path);
    NTSTATUS status;

    shares.slow = parameter_number(key, L"Slow", 0);
    parameters_close(key);
    KeInitializeSpinLock(&shares.lock);
    InitializeListHead(&shares.shares);
    KeInitializeEvent(&shares.none, NotificationEvent, FALSE);
    shares.count = 1; /* the driver's own */
    driver->DriverUnload = Unload;
    status =
        IoCreateDevice(driver, 0, NULL, FILE_DEVICE_NETWORK, FILE_DEVICE_SECURE_OPEN, FALSE, &shares.device);
    if (!NT_SUCCESS(status))
        return status;
    status = callouts_start(&callouts, shares.device);
    if (!NT_SUCCESS(status))
        IoDeleteDevice(shares.device);
    return status;
}

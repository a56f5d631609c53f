/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program decides what a stream becomes: what TCP connections with port 80 at one end carry is cloned and blocked, and a
 * program reads it (a read that waits is an inverted call, in a cancel-safe queue) and writes what is to go on.
 *
 *   classify --tap_take()--> held --read--> shown --write--> decided --FwpsStreamInjectAsync--> injected() frees it
 *            (BLOCK; from MOST bytes on DEFER)                       in order, whatever order decisions come in
 *
 * read: struct taps_record and the bytes, of the oldest that was not shown yet. write: struct taps_record whose verdict is
 * TAPS_PASS, TAPS_REPLACE (the bytes follow) or TAPS_DROP. When the program closes the device, and when the driver goes,
 * all that is held goes on as it came, and everything later passes.
 *
 * The lock guards the lists, the counts and the flags; no function of the filtering platform is called under it. One thread at
 * a time injects (`injecting`): decisions come from several, and order is what counts.
 */
#include <initguid.h>
#include <ntddk.h>

#include <fwpsk.h>

#include <fwpmk.h>

#include "../../drivers/common/callouts.h"
#include "../../drivers/common/lists.h"
#include "hosted.h"

#define TAPS_TAG 'spaT'
#define MOST     0x8000 /* bytes of all connections that are held */

struct tap {
    LIST_ENTRY link;
    UINT64 id, flow;
    UINT32 callout, stream_flags;
    UINT16 layer;
    BOOLEAN shown, taken, decided; /* taken: by the thread that decides it */
    NET_BUFFER_LIST
    *list; /* a clone, or with mdl one of the driver's own; NULL: nothing goes on but the flags */
    MDL *mdl;
    UCHAR *bytes;
    SIZE_T size;
    LONG lists; /* that have not come back */
};

/* A stream whose sender waits until less is held. */
struct deferred {
    LIST_ENTRY link;
    UINT64 flow;
    UINT32 callout;
    UINT16 layer;
};

static struct {
    DEVICE_OBJECT *device;
    HANDLE injection;
    struct list_pool lists;
    KSPIN_LOCK lock;
    LIST_ENTRY held, deferred;
    SIZE_T waiting;
    UINT64 last;
    BOOLEAN open, injecting, closing;
    volatile LONG out; /* injections that have not come back */
    IO_CSQ csq;
    KSPIN_LOCK irps_lock;
    LIST_ENTRY irps;
} taps;

static UNICODE_STRING device_name = RTL_CONSTANT_STRING(L"\\Device\\Taps");
static UNICODE_STRING link_name = RTL_CONSTANT_STRING(L"\\DosDevices\\Taps");

/* ---- reads that wait ----------------------------------------------------------------------------------- */

static IO_CSQ_INSERT_IRP queue_insert;
static IO_CSQ_REMOVE_IRP queue_remove;
static IO_CSQ_PEEK_NEXT_IRP queue_peek;
static IO_CSQ_ACQUIRE_LOCK queue_lock;
static IO_CSQ_RELEASE_LOCK queue_unlock;
static IO_CSQ_COMPLETE_CANCELED_IRP queue_cancelled;

static VOID NTAPI queue_insert(IO_CSQ *csq, IRP *irp)
{
    UNREFERENCED_PARAMETER(csq);
    InsertTailList(&taps.irps, &irp->Tail.Overlay.ListEntry);
}

static VOID NTAPI queue_remove(IO_CSQ *csq, IRP *irp)
{
    UNREFERENCED_PARAMETER(csq);
    RemoveEntryList(&irp->Tail.Overlay.ListEntry);
}

static PIRP NTAPI queue_peek(IO_CSQ *csq, IRP *irp, PVOID context)
{
    LIST_ENTRY *next = irp == NULL ? taps.irps.Flink : irp->Tail.Overlay.ListEntry.Flink;

    UNREFERENCED_PARAMETER(csq);
    for (; next != &taps.irps; next = next->Flink) {
        IRP *found = CONTAINING_RECORD(next, IRP, Tail.Overlay.ListEntry);

        if (context == NULL || IoGetCurrentIrpStackLocation(found)->FileObject == context)
            return found;
    }
    return NULL;
}

static VOID NTAPI queue_lock(IO_CSQ *csq, PKIRQL irql)
{
    UNREFERENCED_PARAMETER(csq);
    KeAcquireSpinLock(&taps.irps_lock, irql);
}

static VOID NTAPI queue_unlock(IO_CSQ *csq, KIRQL irql)
{
    UNREFERENCED_PARAMETER(csq);
    KeReleaseSpinLock(&taps.irps_lock, irql);
}

static NTSTATUS finish(IRP *irp, NTSTATUS status, ULONG_PTR bytes)
{
    irp->IoStatus.Status = status;
    irp->IoStatus.Information = bytes;
    IoCompleteRequest(irp, IO_NETWORK_INCREMENT);
    return status;
}

static VOID NTAPI queue_cancelled(IO_CSQ *csq, IRP *irp)
{
    UNREFERENCED_PARAMETER(csq);
    finish(irp, STATUS_CANCELLED, 0);
}

/* ---- injecting ----------------------------------------------------------------------------------------- */

static void tap_free(struct tap *tap)
{
    if (tap->mdl != NULL)
        IoFreeMdl(tap->mdl);
    ExFreePoolWithTag(tap->bytes, TAPS_TAG);
    ExFreePoolWithTag(tap, TAPS_TAG);
}

static void lists_let_go(struct tap *tap, NET_BUFFER_LIST *list, BOOLEAN dispatch_level)
{
    if (tap->mdl != NULL)
        FwpsFreeNetBufferList(list);
    else
        FwpsDiscardClonedStreamData(list, 0, dispatch_level);
}

static void NTAPI injected(void *context, NET_BUFFER_LIST *list, BOOLEAN dispatch_level)
{
    struct tap *tap = context;

    NET_BUFFER_LIST_NEXT_NBL(list) = NULL; /* each of a chain comes back by itself */
    lists_let_go(tap, list, dispatch_level);
    if (InterlockedDecrement(&tap->lists) != 0)
        return;
    tap_free(tap);
    InterlockedDecrement(&taps.out);
}

static void NTAPI end_injected(void *context, NET_BUFFER_LIST *list, BOOLEAN dispatch_level)
{
    UNREFERENCED_PARAMETER(context);
    UNREFERENCED_PARAMETER(list);
    UNREFERENCED_PARAMETER(dispatch_level);
}

static void inject(struct tap *tap)
{
    const UINT32 ends = FWPS_STREAM_FLAG_RECEIVE_DISCONNECT | FWPS_STREAM_FLAG_SEND_DISCONNECT;

    if (tap->list == NULL) { /* nothing but, perhaps, the end */
        if ((tap->stream_flags & ends) != 0)
            FwpsStreamInjectAsync(taps.injection, NULL, 0, tap->flow, tap->callout, tap->layer,
                                  tap->stream_flags, NULL, 0, end_injected, NULL);
        tap_free(tap);
        return;
    }
    for (NET_BUFFER_LIST *list = tap->list; list != NULL; list = NET_BUFFER_LIST_NEXT_NBL(list))
        tap->lists++;
    InterlockedIncrement(&taps.out);
    if (NT_SUCCESS(FwpsStreamInjectAsync(taps.injection, NULL, 0, tap->flow, tap->callout, tap->layer,
                                         tap->stream_flags, tap->list, tap->size, injected, tap)))
        return;
    lists_let_go(tap, tap->list, FALSE); /* the connection has gone */
    tap_free(tap);
    InterlockedDecrement(&taps.out);
}

/* The oldest of its flow and direction that is decided. */
static struct tap *next_decided(void)
{
    for (LIST_ENTRY *at = taps.held.Flink; at != &taps.held; at = at->Flink) {
        struct tap *tap = CONTAINING_RECORD(at, struct tap, link);
        BOOLEAN first = tap->decided;

        for (LIST_ENTRY *before = taps.held.Flink; first && before != at; before = before->Flink) {
            const struct tap *other = CONTAINING_RECORD(before, struct tap, link);

            first = (BOOLEAN)(other->flow != tap->flow ||
                              ((other->stream_flags ^ tap->stream_flags) & FWPS_STREAM_FLAG_SEND) != 0);
        }
        if (first)
            return tap;
    }
    return NULL;
}

/* Those who wait may send again. */
static void continue_all(void)
{
    KLOCK_QUEUE_HANDLE held;

    for (;;) {
        struct deferred *d = NULL;

        KeAcquireInStackQueuedSpinLock(&taps.lock, &held);
        if (taps.waiting < MOST && !IsListEmpty(&taps.deferred))
            d = CONTAINING_RECORD(RemoveHeadList(&taps.deferred), struct deferred, link);
        KeReleaseInStackQueuedSpinLock(&held);
        if (d == NULL)
            return;
        FwpsStreamContinue(d->flow, d->callout, d->layer, FWPS_STREAM_FLAG_RECEIVE);
        ExFreePoolWithTag(d, TAPS_TAG);
    }
}

/* What another thread decides meanwhile it takes along. */
static void go_on(void)
{
    KLOCK_QUEUE_HANDLE held;
    struct tap *tap;

    KeAcquireInStackQueuedSpinLock(&taps.lock, &held);
    if (taps.injecting) {
        KeReleaseInStackQueuedSpinLock(&held);
        return;
    }
    taps.injecting = TRUE;
    while ((tap = next_decided()) != NULL) {
        RemoveEntryList(&tap->link);
        taps.waiting -= tap->size;
        KeReleaseInStackQueuedSpinLock(&held);
        inject(tap);
        KeAcquireInStackQueuedSpinLock(&taps.lock, &held);
    }
    taps.injecting = FALSE;
    KeReleaseInStackQueuedSpinLock(&held);
    continue_all();
}

/* Nobody decides any more. */
static void let_all_go(void)
{
    KLOCK_QUEUE_HANDLE held;

    KeAcquireInStackQueuedSpinLock(&taps.lock, &held);
    taps.open = FALSE;
    for (LIST_ENTRY *at = taps.held.Flink; at != &taps.held; at = at->Flink) {
        struct tap *tap = CONTAINING_RECORD(at, struct tap, link);

        tap->shown = TRUE;
        tap->decided |= !tap->taken;
    }
    KeReleaseInStackQueuedSpinLock(&held);
    go_on();
}

/* ---- what the program reads ---------------------------------------------------------------------------- */

/* NULL: nothing that fits is there to be shown. FALSE in *fits: it does not. */
static struct tap *show(ULONG room, UCHAR *to, BOOLEAN *fits)
{
    struct tap *found = NULL;
    KLOCK_QUEUE_HANDLE held;

    *fits = TRUE;
    KeAcquireInStackQueuedSpinLock(&taps.lock, &held);
    for (LIST_ENTRY *at = taps.held.Flink; at != &taps.held && found == NULL; at = at->Flink) {
        struct tap *tap = CONTAINING_RECORD(at, struct tap, link);

        if (!tap->shown)
            found = tap;
    }
    if (found != NULL && room < sizeof(struct taps_record) + found->size) {
        *fits = FALSE;
        found = NULL;
    }
    if (found != NULL) {
        struct taps_record record = {0};

        found->shown = TRUE;
        record.id = found->id;
        record.flow = found->flow;
        record.size = (UINT32)found->size;
        record.sent = (UINT8)((found->stream_flags & FWPS_STREAM_FLAG_SEND) != 0);
        record.end = (UINT8)((found->stream_flags &
                              (FWPS_STREAM_FLAG_RECEIVE_DISCONNECT | FWPS_STREAM_FLAG_SEND_DISCONNECT)) != 0);
        RtlCopyMemory(to, &record, sizeof record);
        RtlCopyMemory(to + sizeof record, found->bytes, found->size);
    }
    KeReleaseInStackQueuedSpinLock(&held);
    return found;
}

/* Completes one, if there is something for it. FALSE: not yet. */
static BOOLEAN answer(IRP *irp)
{
    const ULONG room = IoGetCurrentIrpStackLocation(irp)->Parameters.Read.Length;
    UCHAR *to = irp->AssociatedIrp.SystemBuffer;
    struct taps_record record;
    BOOLEAN fits;

    if (show(room, to, &fits) == NULL) {
        if (fits)
            return FALSE;
        finish(irp, STATUS_BUFFER_TOO_SMALL, 0);
        return TRUE;
    }
    RtlCopyMemory(&record, to, sizeof record);
    finish(irp, STATUS_SUCCESS, sizeof record + record.size);
    return TRUE;
}

/* Reads that wait get what has come. */
static void answer_all(void)
{
    IRP *irp;

    while ((irp = IoCsqRemoveNextIrp(&taps.csq, NULL)) != NULL)
        if (!answer(irp)) {
            IoCsqInsertIrp(&taps.csq, irp, NULL);
            break;
        }
}

static DRIVER_DISPATCH reads, writes, opens;

static NTSTATUS NTAPI reads(DEVICE_OBJECT *device, IRP *irp)
{
    UNREFERENCED_PARAMETER(device);
    if (IoGetCurrentIrpStackLocation(irp)->Parameters.Read.Length < sizeof(struct taps_record))
        return finish(irp, STATUS_BUFFER_TOO_SMALL, 0);
    IoCsqInsertIrp(&taps.csq, irp, NULL); /* marks it pending */
    answer_all();
    return STATUS_PENDING;
}

/* ---- what the program writes --------------------------------------------------------------------------- */

/* Other bytes in the place of the clone. FALSE: no memory. */
static BOOLEAN replace(struct tap *tap, const UCHAR *bytes, ULONG size)
{
    UCHAR *copy = ExAllocatePool2(POOL_FLAG_NON_PAGED, size, TAPS_TAG);
    NET_BUFFER_LIST *list;
    MDL *mdl;

    if (copy == NULL)
        return FALSE;
    RtlCopyMemory(copy, bytes, size);
    mdl = IoAllocateMdl(copy, size, FALSE, FALSE, NULL);
    if (mdl != NULL) {
        MmBuildMdlForNonPagedPool(mdl);
        if (NT_SUCCESS(FwpsAllocateNetBufferAndNetBufferList(taps.lists.handle, 0, 0, mdl, 0, size, &list))) {
            if (tap->list != NULL)
                FwpsDiscardClonedStreamData(tap->list, 0, FALSE);
            ExFreePoolWithTag(tap->bytes, TAPS_TAG);
            tap->bytes = copy;
            tap->list = list;
            tap->mdl = mdl;
            return TRUE;
        }
        IoFreeMdl(mdl);
    }
    ExFreePoolWithTag(copy, TAPS_TAG);
    return FALSE;
}

static NTSTATUS decide(const struct taps_record *record, const UCHAR *bytes, ULONG size)
{
    struct tap *tap = NULL;
    KLOCK_QUEUE_HANDLE held;
    BOOLEAN done = TRUE;

    KeAcquireInStackQueuedSpinLock(&taps.lock, &held);
    for (LIST_ENTRY *at = taps.held.Flink; at != &taps.held && tap == NULL; at = at->Flink) {
        struct tap *other = CONTAINING_RECORD(at, struct tap, link);

        if (other->id == record->id && other->shown && !other->taken && !other->decided)
            tap = other;
    }
    if (tap != NULL)
        tap->taken = TRUE;
    KeReleaseInStackQueuedSpinLock(&held);
    if (tap == NULL)
        return STATUS_NOT_FOUND;
    if (record->verdict == TAPS_REPLACE)
        done = replace(tap, bytes, size);
    else if (record->verdict == TAPS_DROP && tap->list != NULL) {
        FwpsDiscardClonedStreamData(tap->list, 0, FALSE);
        tap->list = NULL;
    }
    KeAcquireInStackQueuedSpinLock(&taps.lock, &held);
    if (tap->mdl != NULL) {
        taps.waiting = taps.waiting - tap->size + size;
        tap->size = size;
    }
    tap->decided = TRUE;
    KeReleaseInStackQueuedSpinLock(&held);
    go_on();
    return done ? STATUS_SUCCESS : STATUS_INSUFFICIENT_RESOURCES;
}

static NTSTATUS NTAPI writes(DEVICE_OBJECT *device, IRP *irp)
{
    const ULONG size = IoGetCurrentIrpStackLocation(irp)->Parameters.Write.Length;
    const UCHAR *from = irp->AssociatedIrp.SystemBuffer;
    struct taps_record record;
    NTSTATUS status;

    UNREFERENCED_PARAMETER(device);
    if (size < sizeof record)
        return finish(irp, STATUS_INVALID_PARAMETER, 0);
    RtlCopyMemory(&record, from, sizeof record);
    if (record.verdict == TAPS_REPLACE && size == sizeof record)
        return finish(irp, STATUS_INVALID_PARAMETER, 0);
    status = decide(&record, from + sizeof record, size - (ULONG)sizeof record);
    return finish(irp, status, NT_SUCCESS(status) ? size : 0);
}

static NTSTATUS NTAPI opens(DEVICE_OBJECT *device, IRP *irp)
{
    IO_STACK_LOCATION *stack = IoGetCurrentIrpStackLocation(irp);
    KLOCK_QUEUE_HANDLE held;
    IRP *waits;

    UNREFERENCED_PARAMETER(device);
    if (stack->MajorFunction == IRP_MJ_CREATE) {
        KeAcquireInStackQueuedSpinLock(&taps.lock, &held);
        taps.open = TRUE;
        KeReleaseInStackQueuedSpinLock(&held);
    } else if (stack->MajorFunction == IRP_MJ_CLEANUP) {
        while ((waits = IoCsqRemoveNextIrp(&taps.csq, stack->FileObject)) != NULL)
            finish(waits, STATUS_CANCELLED, 0);
        let_all_go();
    }
    return finish(irp, STATUS_SUCCESS, 0);
}

/* ---- streams ------------------------------------------------------------------------------------------- */

static struct tap *tap_take(FWPS_STREAM_DATA *data)
{
    struct tap *tap = ExAllocatePool2(POOL_FLAG_NON_PAGED, sizeof *tap, TAPS_TAG);
    SIZE_T copied = 0;

    if (tap == NULL)
        return NULL;
    tap->size = data->dataLength;
    tap->bytes = ExAllocatePool2(POOL_FLAG_NON_PAGED, tap->size + 1, TAPS_TAG);
    if (tap->bytes == NULL)
        goto fail;
    if (tap->size != 0)
        FwpsCopyStreamDataToBuffer(data, tap->bytes, tap->size, &copied);
    if (copied == tap->size &&
        (tap->size == 0 || NT_SUCCESS(FwpsCloneStreamData(data, NULL, NULL, 0, &tap->list))))
        return tap;
    ExFreePoolWithTag(tap->bytes, TAPS_TAG);
fail:
    ExFreePoolWithTag(tap, TAPS_TAG);
    return NULL;
}

/* The driver goes, and nothing is under way any more that later data must come behind. */
static BOOLEAN is_let_go(void)
{
    KLOCK_QUEUE_HANDLE held;
    BOOLEAN go;

    KeAcquireInStackQueuedSpinLock(&taps.lock, &held);
    go = (BOOLEAN)(taps.closing && !taps.injecting && IsListEmpty(&taps.held) && taps.out == 0);
    KeReleaseInStackQueuedSpinLock(&held);
    return go;
}

/* Is too much held? Then the stream is continued when it is less. */
static BOOLEAN defer(const FWPS_INCOMING_VALUES *values, const FWPS_INCOMING_METADATA_VALUES *metadata,
                     const FWPS_FILTER *filter)
{
    struct deferred *d = ExAllocatePool2(POOL_FLAG_NON_PAGED, sizeof *d, TAPS_TAG);
    KLOCK_QUEUE_HANDLE held;
    BOOLEAN full;

    if (d == NULL)
        return FALSE;
    d->flow = metadata->flowHandle;
    d->callout = filter->action.calloutId;
    d->layer = values->layerId;
    KeAcquireInStackQueuedSpinLock(&taps.lock, &held);
    full = (BOOLEAN)(taps.open && taps.waiting >= MOST);
    if (full)
        InsertTailList(&taps.deferred, &d->link);
    KeReleaseInStackQueuedSpinLock(&held);
    if (!full)
        ExFreePoolWithTag(d, TAPS_TAG);
    return full;
}

static void NTAPI classify(const FWPS_INCOMING_VALUES *values, const FWPS_INCOMING_METADATA_VALUES *metadata,
                           void *layer_data, const void *context, const FWPS_FILTER *filter,
                           UINT64 flow_context, FWPS_CLASSIFY_OUT *out)
{
    const UINT16 port =
        values
            ->incomingValue[values->layerId == FWPS_LAYER_STREAM_V4 ? FWPS_FIELD_STREAM_V4_IP_REMOTE_PORT
                                                                    : FWPS_FIELD_STREAM_V6_IP_REMOTE_PORT]
            .value.uint16;
    const UINT32 aborts = FWPS_STREAM_FLAG_RECEIVE_ABORT | FWPS_STREAM_FLAG_SEND_ABORT;
    FWPS_STREAM_CALLOUT_IO_PACKET *io = layer_data;
    FWPS_STREAM_DATA *data = io->streamData;
    KLOCK_QUEUE_HANDLE held;
    struct tap *tap;

    UNREFERENCED_PARAMETER(context);
    UNREFERENCED_PARAMETER(flow_context);
    io->streamAction = FWPS_STREAM_ACTION_NONE;
    out->actionType = FWP_ACTION_PERMIT;
    if (port != 80 || (data->flags & aborts) != 0)
        return;
    if (is_let_go()) {
        io->streamAction = FWPS_STREAM_ACTION_ALLOW_CONNECTION;
        return;
    }
    if ((data->flags & FWPS_STREAM_FLAG_RECEIVE) != 0 && defer(values, metadata, filter)) {
        io->streamAction = FWPS_STREAM_ACTION_DEFER;
        out->actionType = FWP_ACTION_NONE;
        return;
    }
    tap = tap_take(data);
    if (tap == NULL) {
        io->streamAction = FWPS_STREAM_ACTION_DROP_CONNECTION;
        out->actionType = FWP_ACTION_NONE;
        return;
    }
    tap->flow = metadata->flowHandle;
    tap->callout = filter->action.calloutId;
    tap->layer = values->layerId;
    tap->stream_flags = data->flags;
    KeAcquireInStackQueuedSpinLock(&taps.lock, &held);
    tap->id = ++taps.last;
    tap->shown = tap->decided = !taps.open; /* nobody is there: it goes on behind what was held */
    taps.waiting += tap->size;
    InsertTailList(&taps.held, &tap->link);
    KeReleaseInStackQueuedSpinLock(&held);
    out->actionType = FWP_ACTION_BLOCK;
    go_on();
    answer_all();
}

static const struct callout_layer layers[] = {
    {FWPS_LAYER_STREAM_V4, &FWPM_LAYER_STREAM_V4, classify, 0},
    {FWPS_LAYER_STREAM_V6, &FWPM_LAYER_STREAM_V6, classify, 0},
};
static struct callout_set callouts = {
    .base = {0x5a4e77b0, 0x91c3, 0x4d28, {0x8e, 0x1f, 0x63, 0x20, 0xd7, 0x9a, 0x41, 0x00}},
    .name = L"Taps",
    .action = FWP_ACTION_CALLOUT_UNKNOWN,
    .layers = layers,
    .count = ARRAYSIZE(layers),
};

/* ---- begin and end ------------------------------------------------------------------------------------- */

DRIVER_INITIALIZE DriverEntry;
static DRIVER_UNLOAD Unload;

static void close_all(void)
{
    if (taps.injection != NULL)
        FwpsInjectionHandleDestroy(taps.injection);
    if (taps.lists.ndis != NULL)
        lists_free(&taps.lists);
    IoDeleteSymbolicLink(&link_name);
    IoDeleteDevice(taps.device);
}

/* What is injected is the callout's as long as it is under way: it goes when nothing is. */
static VOID NTAPI Unload(DRIVER_OBJECT *driver)
{
    LARGE_INTEGER pause;
    BOOLEAN idle = FALSE;

    UNREFERENCED_PARAMETER(driver);
    taps.closing = TRUE;
    pause.QuadPart = -10000; /* 1 ms */
    while (!idle) {
        let_all_go();
        KeDelayExecutionThread(KernelMode, FALSE, &pause);
        idle = is_let_go();
    }
    callouts_stop(&callouts);
    close_all();
}

NTSTATUS NTAPI DriverEntry(DRIVER_OBJECT *driver, UNICODE_STRING *path)
{
    NTSTATUS status;

    UNREFERENCED_PARAMETER(path);
    KeInitializeSpinLock(&taps.lock);
    KeInitializeSpinLock(&taps.irps_lock);
    InitializeListHead(&taps.held);
    InitializeListHead(&taps.irps);
    InitializeListHead(&taps.deferred);
    IoCsqInitialize(&taps.csq, queue_insert, queue_remove, queue_peek, queue_lock, queue_unlock,
                    queue_cancelled);
    driver->DriverUnload = Unload;
    driver->MajorFunction[IRP_MJ_CREATE] = opens;
    driver->MajorFunction[IRP_MJ_CLEANUP] = opens;
    driver->MajorFunction[IRP_MJ_CLOSE] = opens;
    driver->MajorFunction[IRP_MJ_READ] = reads;
    driver->MajorFunction[IRP_MJ_WRITE] = writes;
    status = IoCreateDevice(driver, 0, &device_name, FILE_DEVICE_NETWORK, FILE_DEVICE_SECURE_OPEN, FALSE,
                            &taps.device);
    if (!NT_SUCCESS(status))
        return status;
    taps.device->Flags |= DO_BUFFERED_IO;
    status = IoCreateSymbolicLink(&link_name, &device_name);
    if (NT_SUCCESS(status))
        status = lists_create(&taps.lists, driver);
    if (NT_SUCCESS(status))
        status = FwpsInjectionHandleCreate(AF_UNSPEC, FWPS_INJECTION_TYPE_STREAM, &taps.injection);
    if (NT_SUCCESS(status))
        status = callouts_start(&callouts, taps.device);
    if (!NT_SUCCESS(status))
        close_all();
    return status;
}

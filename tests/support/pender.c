/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver that is linked into tests (pender.h), as a driver author would write it: DriverEntry, a device, callouts
 * and filters of a dynamic session, one thread.
 *
 *   classify --pend--> list --thread, when it is due--> FwpsCompleteOperation0 --> classify again (REAUTHORIZE): answer
 *                                                  \--> an accept or a datagram: its clone is injected
 */
#include <ntddk.h>
#include <fwpsk.h>
#include <fwpmk.h>

#include "kit.h"
#include "pender.h"
#include "rt/rt.h"

#define TAG 0x646e6550 /* "Pend" */

struct operation {
    LIST_ENTRY link;
    HANDLE context;
    ULONGLONG due;
    NET_BUFFER_LIST *clone; /* NULL: there was no packet */
    BOOLEAN inbound;
    ADDRESS_FAMILY family;
    UINT32 interface_index, subinterface_index, compartment;
    UINT64 endpoint;
    UINT8 remote[16];
};

struct state {
    struct pender is;
    DEVICE_OBJECT *device;
    struct rt_context *context; /* whose calls are the driver's */
    HANDLE engine, injection;
    UINT32 ids[8];
    ULONG registered;
    KSPIN_LOCK lock;
    LIST_ENTRY waiting;
    struct kit_thread thread;
    BOOLEAN going;
    volatile LONG asked, asked_again;
};

static struct state *loaded; /* the last one */
static struct pender wanted; /* by the next DriverEntry */

static const struct place {
    unsigned at;
    UINT16 layer;
    const GUID *key;
    UINT16 flags, interface_index, subinterface_index, remote;
} places[] = {
#define PLACE(bit, layer, remote, index, sub)                                                                \
    {                                                                                                        \
        bit, FWPS_LAYER_##layer, &FWPM_LAYER_##layer, FWPS_FIELD_##layer##_FLAGS, index, sub, remote         \
    }
#define CONNECTION(bit, layer)                                                                               \
    PLACE(bit, layer, FWPS_FIELD_##layer##_IP_REMOTE_ADDRESS, FWPS_FIELD_##layer##_INTERFACE_INDEX,          \
          FWPS_FIELD_##layer##_SUB_INTERFACE_INDEX)
    CONNECTION(PENDER_CONNECT, ALE_AUTH_CONNECT_V4),
    CONNECTION(PENDER_CONNECT, ALE_AUTH_CONNECT_V6),
    CONNECTION(PENDER_ACCEPT, ALE_AUTH_RECV_ACCEPT_V4),
    CONNECTION(PENDER_ACCEPT, ALE_AUTH_RECV_ACCEPT_V6),
    PLACE(PENDER_BIND, ALE_RESOURCE_ASSIGNMENT_V4, 0, 0, 0),
    PLACE(PENDER_BIND, ALE_RESOURCE_ASSIGNMENT_V6, 0, 0, 0),
    PLACE(PENDER_LISTEN, ALE_AUTH_LISTEN_V4, 0, 0, 0),
    PLACE(PENDER_LISTEN, ALE_AUTH_LISTEN_V6, 0, 0, 0),
};

static const struct place *place_of(UINT16 layer)
{
    for (ULONG i = 0; i < ARRAYSIZE(places); i++)
        if (places[i].layer == layer)
            return &places[i];
    return NULL;
}

/* ---- packets --------------------------------------------------------------------------------------------------- */

static BOOLEAN is_six(UINT16 layer)
{
    return (BOOLEAN)(layer == FWPS_LAYER_ALE_AUTH_CONNECT_V6 || layer == FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V6);
}

static void keep_packet(struct operation *o, const struct place *p, const FWPS_INCOMING_VALUES0 *values,
                        const FWPS_INCOMING_METADATA_VALUES0 *metadata, NET_BUFFER_LIST *nbl)
{
    const FWPS_INCOMING_VALUE0 *value = values->incomingValue;
    ULONG back = 0;

    o->inbound = (BOOLEAN)(p->at == PENDER_ACCEPT);
    o->family = is_six(p->layer) ? AF_INET6 : AF_INET;
    o->interface_index = value[p->interface_index].value.uint32;
    o->subinterface_index = value[p->subinterface_index].value.uint32;
    o->compartment = (UINT32)metadata->compartmentId;
    o->endpoint = metadata->transportEndpointHandle;
    if (o->family == AF_INET) {
        UINT32 remote = RtlUlongByteSwap(value[p->remote].value.uint32);

        RtlCopyMemory(o->remote, &remote, sizeof remote);
    } else {
        RtlCopyMemory(o->remote, value[p->remote].value.byteArray16->byteArray16, 16);
    }
    if (o->inbound)
        back = metadata->ipHeaderSize + metadata->transportHeaderSize;
    if (back != 0 && NdisRetreatNetBufferDataStart(NET_BUFFER_LIST_FIRST_NB(nbl), back, 0, NULL) != 0)
        return;
    (void)FwpsAllocateCloneNetBufferList0(nbl, NULL, NULL, 0, &o->clone);
    if (back != 0)
        NdisAdvanceNetBufferDataStart(NET_BUFFER_LIST_FIRST_NB(nbl), back, FALSE, NULL);
}

static void operation_free(struct operation *o)
{
    if (o->clone != NULL)
        FwpsFreeCloneNetBufferList0(o->clone, 0);
    ExFreePoolWithTag(o, TAG);
}

static void NTAPI injected(void *context, NET_BUFFER_LIST *nbl, BOOLEAN dispatch)
{
    (void)nbl;
    (void)dispatch;
    operation_free(context);
}

static void inject(struct state *s, struct operation *o)
{
    FWPS_TRANSPORT_SEND_PARAMS0 to = {.remoteAddress = o->remote};
    NTSTATUS status;

    if (o->clone == NULL || s->is.block)
        status = STATUS_UNSUCCESSFUL;
    else if (o->inbound)
        status = FwpsInjectTransportReceiveAsync0(s->injection, NULL, NULL, 0, o->family,
                                                  (COMPARTMENT_ID)o->compartment, o->interface_index,
                                                  o->subinterface_index, o->clone, injected, o);
    else
        status = FwpsInjectTransportSendAsync0(s->injection, NULL, o->endpoint, 0, &to, o->family,
                                               (COMPARTMENT_ID)o->compartment, o->clone, injected, o);
    if (!NT_SUCCESS(status))
        operation_free(o);
}

/* ---- completing ------------------------------------------------------------------------------------------------ */

static void complete(struct state *s, struct operation *o)
{
    FwpsCompleteOperation0(o->context, o->inbound ? o->clone : NULL);
    inject(s, o);
}

static struct operation *take_due(struct state *s, BOOLEAN all, LARGE_INTEGER *wait)
{
    const ULONGLONG now = KeQueryInterruptTime();
    struct operation *o = NULL;
    KIRQL irql;

    KeAcquireSpinLock(&s->lock, &irql);
    wait->QuadPart = 0;
    if (!IsListEmpty(&s->waiting) && (all || s->going || s->is.how == PENDER_LATER)) {
        o = CONTAINING_RECORD(s->waiting.Flink, struct operation, link);
        if (!all && !s->going && o->due > now) {
            wait->QuadPart = -(LONGLONG)(o->due - now);
            o = NULL;
        } else {
            RemoveEntryList(&o->link);
        }
    }
    KeReleaseSpinLock(&s->lock, irql);
    return o;
}

static void NTAPI work(void *context)
{
    struct state *s = context;
    struct operation *o;
    LARGE_INTEGER wait;

    while (!kit_thread_closes(&s->thread)) {
        while ((o = take_due(s, FALSE, &wait)) != NULL)
            complete(s, o);
        KeWaitForSingleObject(&s->thread.work, Executive, KernelMode, FALSE,
                              wait.QuadPart != 0 ? &wait : NULL);
    }
    while ((o = take_due(s, TRUE, &wait)) != NULL)
        complete(s, o);
    PsTerminateSystemThread(STATUS_SUCCESS);
}

/* ---- the callout ----------------------------------------------------------------------------------------------- */

static void decide(const struct state *s, FWPS_CLASSIFY_OUT0 *out)
{
    out->actionType = s->is.block ? FWP_ACTION_BLOCK : FWP_ACTION_PERMIT;
    if (s->is.block)
        out->rights &= ~(UINT32)FWPS_RIGHT_ACTION_WRITE;
}

static NTSTATUS pend(struct state *s, const struct place *p, const FWPS_INCOMING_VALUES0 *values,
                     const FWPS_INCOMING_METADATA_VALUES0 *metadata, NET_BUFFER_LIST *nbl)
{
    struct operation *o = ExAllocatePool2(POOL_FLAG_NON_PAGED, sizeof *o, TAG);
    NTSTATUS status;
    KIRQL irql;

    if (o == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    status = FwpsPendOperation0(metadata->completionHandle, &o->context);
    if (!NT_SUCCESS(status)) {
        operation_free(o);
        return status;
    }
    if (nbl != NULL)
        keep_packet(o, p, values, metadata, nbl);
    o->due = KeQueryInterruptTime() + (ULONGLONG)s->is.delay_ms * 10000;
    if (s->is.how == PENDER_NOW) {
        complete(s, o);
        return status;
    }
    KeAcquireSpinLock(&s->lock, &irql);
    InsertTailList(&s->waiting, &o->link);
    KeReleaseSpinLock(&s->lock, irql);
    KeSetEvent(&s->thread.work, IO_NO_INCREMENT, FALSE);
    return status;
}

static void NTAPI classify(const FWPS_INCOMING_VALUES0 *values,
                           const FWPS_INCOMING_METADATA_VALUES0 *metadata, void *layer_data,
                           const void *classify_context, const FWPS_FILTER3 *filter, UINT64 flow_context,
                           FWPS_CLASSIFY_OUT0 *out)
{
    struct state *s = (struct state *)(ULONG_PTR)filter->context;
    const struct place *p = place_of(values->layerId);
    FWPS_PACKET_INJECTION_STATE injection = FWPS_PACKET_NOT_INJECTED;

    (void)classify_context;
    (void)flow_context;
    if ((out->rights & FWPS_RIGHT_ACTION_WRITE) == 0)
        return;
    if (layer_data != NULL)
        injection = FwpsQueryPacketInjectionState0(s->injection, layer_data, NULL);
    if ((values->incomingValue[p->flags].value.uint32 & FWP_CONDITION_FLAG_IS_REAUTHORIZE) != 0 ||
        injection == FWPS_PACKET_INJECTED_BY_SELF || injection == FWPS_PACKET_PREVIOUSLY_INJECTED_BY_SELF) {
        InterlockedIncrement(&s->asked_again);
        decide(s, out);
        return;
    }
    InterlockedIncrement(&s->asked);
    if (s->is.how == PENDER_NEVER_PENDS) {
        decide(s, out);
        return;
    }
    out->actionType = FWP_ACTION_BLOCK;
    out->rights &= ~(UINT32)FWPS_RIGHT_ACTION_WRITE;
    if (NT_SUCCESS(pend(s, p, values, metadata, layer_data)))
        out->flags |= FWPS_CLASSIFY_OUT_FLAG_ABSORB;
}

/* ---- life ------------------------------------------------------------------------------------------------------ */

static NTSTATUS add(struct state *s, const struct place *p)
{
    const struct kit_callout what = {
        .device = s->device,
        .engine = s->engine,
        .name = (const WCHAR *)u"pender",
        .key = {0x6ad2c2a6, 0x63b4, 0x4f3e, {0x9d, 0x51, 0x22, 0x60, 0x5c, 0x17, 0xe0, (UINT8)p->layer}},
        .layer = p->key,
        .action = FWP_ACTION_CALLOUT_TERMINATING,
        .classify = classify,
        .context = (ULONG_PTR)s};
    NTSTATUS status = kit_callout_add(&what, &s->ids[s->registered]);

    s->registered += s->ids[s->registered] != 0;
    return status;
}

static void stop(struct state *s)
{
    kit_thread_end(&s->thread);
    if (s->engine != NULL)
        FwpmEngineClose0(s->engine);
    while (s->registered != 0)
        (void)FwpsCalloutUnregisterById0(s->ids[--s->registered]);
    if (s->injection != NULL)
        (void)FwpsInjectionHandleDestroy0(s->injection);
    IoDeleteDevice(s->device);
}

static void NTAPI unload(DRIVER_OBJECT *driver)
{
    struct state *s = driver->DeviceObject->DeviceExtension;

    if (loaded == s)
        loaded = NULL;
    stop(s);
}

static NTSTATUS NTAPI driver_entry(DRIVER_OBJECT *driver, UNICODE_STRING *path)
{
    FWPM_SESSION0 session = {.flags = FWPM_SESSION_FLAG_DYNAMIC};
    DEVICE_OBJECT *device;
    struct state *s;
    NTSTATUS status;

    (void)path;
    status = IoCreateDevice(driver, sizeof *s, NULL, FILE_DEVICE_NETWORK, 0, FALSE, &device);
    if (!NT_SUCCESS(status))
        return status;
    s = device->DeviceExtension;
    RtlZeroMemory(s, sizeof *s);
    s->is = wanted;
    s->device = device;
    s->context = rt_current();
    KeInitializeSpinLock(&s->lock);
    InitializeListHead(&s->waiting);
    driver->DriverUnload = unload;
    status = FwpsInjectionHandleCreate0(AF_UNSPEC, FWPS_INJECTION_TYPE_TRANSPORT, &s->injection);
    if (NT_SUCCESS(status))
        status = kit_thread_start(&s->thread, work, s);
    if (NT_SUCCESS(status))
        status = FwpmEngineOpen0(NULL, RPC_C_AUTHN_WINNT, NULL, &session, &s->engine);
    for (ULONG i = 0; NT_SUCCESS(status) && i < ARRAYSIZE(places); i++)
        if ((s->is.at & places[i].at) != 0)
            status = add(s, &places[i]);
    if (!NT_SUCCESS(status)) {
        stop(s);
        return status;
    }
    loaded = s;
    return status;
}

/* ---- the test's side ------------------------------------------------------------------------------------------- */

struct weir_driver *pender_load(struct weir *w, const struct pender *what)
{
    wanted = *what;
    return weir_driver_with(w, &(struct weir_driver_config){.entry = driver_entry, .name = "pender"});
}

void pender_go(void)
{
    struct rt_context *before = rt_set_current(loaded->context);

    loaded->going = TRUE;
    KeSetEvent(&loaded->thread.work, IO_NO_INCREMENT, FALSE);
    rt_set_current(before);
}

unsigned pender_asked(void)
{
    return (unsigned)loaded->asked;
}

unsigned pender_asked_again(void)
{
    return (unsigned)loaded->asked_again;
}

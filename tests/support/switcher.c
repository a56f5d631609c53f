/* SPDX-License-Identifier: Apache-2.0 */
/* The driver of virtual switches (switcher.h). */
#include <string.h>

#include <ntddk.h>
#include <ntddndis.h>
#include <fwpsk.h>
#include <fwpmk.h>

#include "kit.h"
#include "switcher.h"

#define TAG 0x74697753 /* "Swit" */

struct switcher_plan switcher_plans[SWITCHER_MOST];
struct switcher_answers switcher_answers;

static DEVICE_OBJECT *device;
static HANDLE engine, pool, injection;
static UINT32 ids[SWITCHER_MOST], subscription;
static KTIMER timer;
static KDPC dpc;

static const struct place {
    const char *name;
    UINT16 layer, vm, id;
    const GUID *key;
    bool ethernet;
} places[] = {
#define PLACE(name, layer, ethernet)                                                                         \
    {                                                                                                        \
        name, FWPS_LAYER_##layer, FWPS_FIELD_##layer##_VSWITCH_SOURCE_VM_ID,                                 \
            FWPS_FIELD_##layer##_VSWITCH_ID, &FWPM_LAYER_##layer, ethernet                                   \
    }
    PLACE("IN", INGRESS_VSWITCH_ETHERNET, true),       PLACE("OUT", EGRESS_VSWITCH_ETHERNET, true),
    PLACE("IN4", INGRESS_VSWITCH_TRANSPORT_V4, false), PLACE("OUT4", EGRESS_VSWITCH_TRANSPORT_V4, false),
    PLACE("IN6", INGRESS_VSWITCH_TRANSPORT_V6, false), PLACE("OUT6", EGRESS_VSWITCH_TRANSPORT_V6, false),
};

static const struct place *place_of(UINT16 layer, const char *name)
{
    for (unsigned i = 0; i < ARRAYSIZE(places); i++)
        if (name != NULL ? strcmp(places[i].name, name) == 0 : places[i].layer == layer)
            return &places[i];
    return NULL;
}

/* ---- frames -------------------------------------------------------------------------------------------- */

struct parcel {
    struct switcher_plan *plan;
    NET_BUFFER_LIST *nbl;
    MDL *mdl; /* NULL: a clone */
    PIO_WORKITEM item;
    NDIS_SWITCH_PORT_ID port;
    NDIS_SWITCH_NIC_INDEX nic;
    FWP_BYTE_BLOB id;
    UINT8 id_bytes[512];
    UCHAR bytes[];
};

static void parcel_free(struct parcel *p)
{
    if (p->nbl != NULL && p->mdl == NULL)
        FwpsFreeCloneNetBufferList0(p->nbl, 0);
    else if (p->nbl != NULL)
        FwpsFreeNetBufferList0(p->nbl);
    if (p->mdl != NULL)
        IoFreeMdl(p->mdl);
    if (p->item != NULL)
        IoFreeWorkItem(p->item);
    ExFreePoolWithTag(p, TAG);
}

static void NTAPI injected(void *context, NET_BUFFER_LIST *nbl, BOOLEAN dispatch_level)
{
    struct parcel *p = context;

    (void)dispatch_level;
    p->plan->status = NET_BUFFER_LIST_STATUS(nbl);
    (void)InterlockedIncrement((volatile LONG *)&p->plan->completed); /* on a thread of the host's */
    parcel_free(p);
}

static void let_go(struct parcel *p)
{
    NTSTATUS status = FwpsInjectvSwitchEthernetIngressAsync0(injection, NULL, 0, NULL, &p->id, p->port,
                                                             p->nic, p->nbl, injected, p);

    if (!NT_SUCCESS(status)) {
        p->plan->status = status;
        parcel_free(p);
    }
}

static IO_WORKITEM_ROUTINE switcher_works;

static void switcher_works(DEVICE_OBJECT *object, void *context)
{
    (void)object;
    let_go(context);
}

static void take(struct switcher_plan *plan, const FWPS_INCOMING_METADATA_VALUES0 *metadata,
                 const FWP_BYTE_BLOB *id, NET_BUFFER_LIST *nbl)
{
    NET_BUFFER *nb = NET_BUFFER_LIST_FIRST_NB(nbl);
    const ULONG size = NET_BUFFER_DATA_LENGTH(nb);
    struct parcel *p = ExAllocatePool2(POOL_FLAG_NON_PAGED, sizeof *p + size, TAG);
    const size_t length = plan->find != NULL ? strlen(plan->find) : 0;
    NTSTATUS status;
    UCHAR *bytes;

    if (p == NULL)
        return;
    p->plan = plan;
    p->port = metadata->vSwitchSourcePortId;
    p->nic = metadata->vSwitchSourceNicIndex;
    memcpy(p->id_bytes, id->data, id->size);
    p->id = (FWP_BYTE_BLOB){id->size, p->id_bytes};
    p->item = plan->later ? IoAllocateWorkItem(device) : NULL;
    if (plan->act == SWITCHER_CLONES) {
        status = FwpsAllocateCloneNetBufferList0(nbl, NULL, NULL, 0, &p->nbl);
    } else {
        bytes = NdisGetDataBuffer(nb, size, p->bytes, 1, 0);
        if (bytes != p->bytes)
            memcpy(p->bytes, bytes, size);
        for (ULONG at = 0; length != 0 && at + length <= size; at++)
            if (memcmp(p->bytes + at, plan->find, length) == 0)
                memcpy(p->bytes + at, plan->write, length);
        p->mdl = IoAllocateMdl(p->bytes, size, FALSE, FALSE, NULL);
        if (p->mdl != NULL)
            MmBuildMdlForNonPagedPool(p->mdl);
        status = p->mdl == NULL
                     ? STATUS_INSUFFICIENT_RESOURCES
                     : FwpsAllocateNetBufferAndNetBufferList0(pool, 0, 0, p->mdl, 0, size, &p->nbl);
    }
    if (!NT_SUCCESS(status) || (plan->later && p->item == NULL)) {
        plan->status = status;
        parcel_free(p);
    } else if (plan->later) {
        IoQueueWorkItem(p->item, switcher_works, DelayedWorkQueue, p);
    } else {
        let_go(p);
    }
}

static void keep(uint16_t out[64], const FWP_BYTE_BLOB *blob)
{
    memset(out, 0, 64 * sizeof *out);
    if (blob != NULL && blob->size < 64 * sizeof *out)
        memcpy(out, blob->data, blob->size);
}

static void NTAPI classify(const FWPS_INCOMING_VALUES0 *values,
                           const FWPS_INCOMING_METADATA_VALUES0 *metadata, void *layer_data,
                           const void *classify_context, const FWPS_FILTER3 *filter, UINT64 flow_context,
                           FWPS_CLASSIFY_OUT0 *out)
{
    struct switcher_plan *plan = &switcher_plans[filter->context];
    const struct place *place = place_of(values->layerId, NULL);
    const FWP_VALUE0 *vm = &values->incomingValue[place->vm].value;
    const bool again = (metadata->l2Flags & FWPS_L2_INCOMING_FLAG_RECLASSIFY_MULTI_DESTINATION) != 0;

    (void)classify_context;
    (void)flow_context;
    if ((out->rights & FWPS_RIGHT_ACTION_WRITE) == 0)
        return;
    out->actionType = FWP_ACTION_CONTINUE;
    if (layer_data == NULL)
        return;
    if (FwpsQueryPacketInjectionState0(injection, layer_data, NULL) != FWPS_PACKET_NOT_INJECTED) {
        plan->own++;
        return;
    }
    if (plan->to != 0 && plan->to != metadata->vSwitchDestinationPortId)
        return;
    plan->seen++;
    plan->again += again;
    plan->source = metadata->vSwitchSourcePortId;
    plan->destination = metadata->vSwitchDestinationPortId;
    plan->nic_index = metadata->vSwitchSourceNicIndex;
    keep(plan->vm, vm->type == FWP_BYTE_BLOB_TYPE ? vm->byteBlob : NULL);
    if (plan->act == SWITCHER_LOOKS)
        return;
    out->actionType = FWP_ACTION_BLOCK;
    out->rights &= ~(UINT32)FWPS_RIGHT_ACTION_WRITE;
    if (plan->act != SWITCHER_BLOCKS)
        out->flags |= FWPS_CLASSIFY_OUT_FLAG_ABSORB;
    if (plan->act >= SWITCHER_CLONES && place->ethernet && !again) /* one of many: OTH-12 */
        take(plan, metadata, values->incomingValue[place->id].value.byteBlob, layer_data);
}

/* ---- events -------------------------------------------------------------------------------------------- */

static void name(uint16_t out[64], const IF_COUNTED_STRING *s)
{
    const FWP_BYTE_BLOB blob = {s->Length, (UINT8 *)s->String};

    keep(out, &blob);
}

static void NTAPI completes(KDPC *object, void *context, void *first, void *second)
{
    (void)object;
    (void)first;
    (void)second;
    FwpsvSwitchNotifyComplete0(context, switcher_answers.with, 0, NULL);
}

static NTSTATUS answer(FWPS_VSWITCH_EVENT_TYPE type, const NDIS_SWITCH_PARAMETERS *vswitch, void *completion)
{
    struct switcher_answers *a = &switcher_answers;
    LARGE_INTEGER due = {.QuadPart = -10000LL * a->after_ms};

    a->told[type]++;
    name(a->name, &vswitch->SwitchName);
    if (a->status[type] != STATUS_PENDING || a->silent)
        return a->status[type];
    if (a->after_ms == 0) {
        FwpsvSwitchNotifyComplete0(completion, a->with, 0, NULL);
        return STATUS_PENDING;
    }
    KeInitializeDpc(&dpc, completes, completion);
    KeSetTimer(&timer, due, &dpc);
    return STATUS_PENDING;
}

static NTSTATUS NTAPI on_switch(void *context, FWPS_VSWITCH_EVENT_TYPE type,
                                const NDIS_SWITCH_PARAMETERS *vswitch, const NDIS_SWITCH_PORT_ARRAY *ports,
                                const NDIS_SWITCH_NIC_ARRAY *nics)
{
    (void)context;
    switcher_answers.ports = ports->NumElements;
    switcher_answers.nics = nics->NumElements;
    for (ULONG i = 0; i < ports->NumElements; i++)
        switcher_answers.port = NDIS_SWITCH_PORT_AT_ARRAY_INDEX(ports, i)->PortId;
    for (ULONG i = 0; i < nics->NumElements; i++)
        name(switcher_answers.nic, &NDIS_SWITCH_NIC_AT_ARRAY_INDEX(nics, i)->NicName);
    return answer(type, vswitch, NULL);
}

static NTSTATUS NTAPI on_port(void *context, void *completion, FWPS_VSWITCH_EVENT_TYPE type,
                              const NDIS_SWITCH_PARAMETERS *vswitch, const NDIS_SWITCH_PORT_PARAMETERS *port)
{
    (void)context;
    switcher_answers.port = port->PortId;
    return answer(type, vswitch, completion);
}

static NTSTATUS NTAPI on_nic(void *context, void *completion, FWPS_VSWITCH_EVENT_TYPE type,
                             const NDIS_SWITCH_PARAMETERS *vswitch, const NDIS_SWITCH_NIC_PARAMETERS *nic)
{
    (void)context;
    switcher_answers.port = nic->PortId;
    switcher_answers.nic_state = (unsigned)nic->NicState;
    name(switcher_answers.nic, &nic->NicName);
    name(switcher_answers.vm, &nic->VmName);
    memcpy(switcher_answers.mac, nic->CurrentMacAddress, 6);
    return answer(type, vswitch, completion);
}

/* ---- life ---------------------------------------------------------------------------------------------- */

static NTSTATUS add(UINT32 n)
{
    const struct place *place = place_of(0, switcher_plans[n].at);
    const struct kit_callout what = {
        .device = device,
        .engine = engine,
        .name = (const WCHAR *)u"switcher",
        .key = {0x6f3f21d9, 0x0b47, 0x4a0e, {0xb1, 0x55, 0x8c, 0x02, 0x73, 0x9d, 0x14, (UINT8)n}},
        .layer = place->key,
        .action = FWP_ACTION_CALLOUT_UNKNOWN,
        .classify = classify,
        .context = n};

    return kit_callout_add(&what, &ids[n]);
}

static NTSTATUS make_handles(void)
{
    static const FWPS_VSWITCH_EVENT_DISPATCH_TABLE0 table = {
        .vSwitchLifetimeNotifyFn = on_switch,
        .vSwitchPortEventNotifyFn = on_port,
        .vSwitchInterfaceEventNotifyFn = on_nic,
    };
    NET_BUFFER_LIST_POOL_PARAMETERS parameters = {
        .Header = {.Type = NDIS_OBJECT_TYPE_DEFAULT,
                   .Revision = NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1,
                   .Size = NDIS_SIZEOF_NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1},
        .fAllocateNetBuffer = TRUE,
        .PoolTag = TAG};
    NTSTATUS status =
        FwpsInjectionHandleCreate0(AF_UNSPEC, FWPS_INJECTION_TYPE_VSWITCH_TRANSPORT, &injection);

    KeInitializeTimer(&timer);
    if (NT_SUCCESS(status))
        status = FwpsvSwitchEventsSubscribe0(NULL, NULL, 0, NULL, &table, &subscription);
    pool = NdisAllocateNetBufferListPool(NULL, &parameters);
    return NT_SUCCESS(status) && pool == NULL ? STATUS_INSUFFICIENT_RESOURCES : status;
}

static void NTAPI unload(DRIVER_OBJECT *driver)
{
    (void)driver;
    FwpsvSwitchEventsUnsubscribe0(subscription, 0, NULL);
    KeCancelTimer(&timer);
    KeFlushQueuedDpcs();
    FwpmEngineClose0(engine);
    for (unsigned i = 0; i < ARRAYSIZE(ids); i++)
        if (switcher_plans[i].at != NULL)
            (void)FwpsCalloutUnregisterById0(ids[i]);
    (void)FwpsInjectionHandleDestroy0(injection);
    NdisFreeNetBufferListPool(pool);
    IoDeleteDevice(device);
}

static int32_t switcher_entry(DRIVER_OBJECT *driver, UNICODE_STRING *path)
{
    FWPM_SESSION0 session = {.flags = FWPM_SESSION_FLAG_DYNAMIC};
    NTSTATUS status;

    (void)path;
    driver->DriverUnload = unload;
    status = IoCreateDevice(driver, 0, NULL, FILE_DEVICE_NETWORK, 0, FALSE, &device);
    if (NT_SUCCESS(status))
        status = make_handles();
    if (NT_SUCCESS(status))
        status = FwpmEngineOpen0(NULL, RPC_C_AUTHN_WINNT, NULL, &session, &engine);
    for (UINT32 i = 0; i < SWITCHER_MOST; i++)
        if (NT_SUCCESS(status) && switcher_plans[i].at != NULL)
            status = add(i);
    return status;
}

struct weir_driver *switcher_load(struct weir *w, const struct switcher_plan *plans, size_t count)
{
    memset(switcher_plans, 0, sizeof switcher_plans);
    memset(&switcher_answers, 0, sizeof switcher_answers);
    if (count != 0)
        memcpy(switcher_plans, plans, count * sizeof *plans);
    return weir_driver_with(w, &(struct weir_driver_config){.entry = switcher_entry, .name = "switcher"});
}

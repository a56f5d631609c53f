/* SPDX-License-Identifier: Apache-2.0 */
/* The driver at the MAC layers (framer.h). */
#include <string.h>

#include <ntddk.h>
#include <fwpsk.h>
#include <fwpmk.h>

#include "framer.h"
#include "kit.h"

#define TAG 0x6d617246 /* "Fram" */

struct framer_plan framer_plans[FRAMER_MOST];

static DEVICE_OBJECT *device;
static HANDLE engine, pool, injection;
static UINT32 ids[FRAMER_MOST];

static const struct place {
    const char *name;
    UINT16 layer, l2_flags, interface;
    const GUID *key;
    bool inbound, native;
} places[] = {
#define PLACE(name, layer, inbound, native)                                                                  \
    {                                                                                                        \
        name, FWPS_LAYER_##layer, FWPS_FIELD_##layer##_L2_FLAGS, FWPS_FIELD_##layer##_INTERFACE_INDEX,       \
            &FWPM_LAYER_##layer, inbound, native                                                             \
    }
    PLACE("IN", INBOUND_MAC_FRAME_ETHERNET, true, false),
    PLACE("IN_NATIVE", INBOUND_MAC_FRAME_NATIVE, true, true),
    PLACE("OUT", OUTBOUND_MAC_FRAME_ETHERNET, false, false),
    PLACE("OUT_NATIVE", OUTBOUND_MAC_FRAME_NATIVE, false, true),
};

static const struct place *place_of(UINT16 layer, const char *name)
{
    for (unsigned i = 0; i < ARRAYSIZE(places); i++)
        if (name != NULL ? strcmp(places[i].name, name) == 0 : places[i].layer == layer)
            return &places[i];
    return NULL;
}

/* ---- a frame of its own, or a clone -------------------------------------------------------------------- */

struct parcel {
    struct framer_plan *plan;
    NET_BUFFER_LIST *nbl;
    MDL *mdl; /* NULL: a clone */
    PIO_WORKITEM item;
    UINT16 layer;
    bool receive;
    IF_INDEX interface;
    ULONG size;
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
    p->plan->completed++;
    p->plan->status = NET_BUFFER_LIST_STATUS(nbl);
    parcel_free(p);
}

static void let_go(struct parcel *p)
{
    NTSTATUS status =
        p->receive
            ? FwpsInjectMacReceiveAsync0(injection, NULL, 0, p->layer, p->interface, 0, p->nbl, injected, p)
            : FwpsInjectMacSendAsync0(injection, NULL, 0, p->layer, p->interface, 0, p->nbl, injected, p);

    if (!NT_SUCCESS(status)) {
        p->plan->status = status;
        parcel_free(p);
    }
}

static IO_WORKITEM_ROUTINE framer_works;

static void framer_works(DEVICE_OBJECT *object, void *context)
{
    (void)object;
    let_go(context);
}

static void write_over(const struct framer_plan *plan, struct parcel *p)
{
    const size_t size = plan->find != NULL ? strlen(plan->find) : 0;

    for (ULONG at = 0; size != 0 && at + size <= p->size; at++)
        if (memcmp(p->bytes + at, plan->find, size) == 0)
            memcpy(p->bytes + at, plan->write, size);
}

/* The frame, whole, is nbl's data. */
static void take(struct framer_plan *plan, const struct place *place, NET_BUFFER_LIST *nbl,
                 IF_INDEX interface)
{
    NET_BUFFER *nb = NET_BUFFER_LIST_FIRST_NB(nbl);
    const ULONG size = NET_BUFFER_DATA_LENGTH(nb);
    struct parcel *p = ExAllocatePool2(POOL_FLAG_NON_PAGED, sizeof *p + size, TAG);
    NTSTATUS status;
    UCHAR *bytes, mac[6];

    if (p == NULL)
        return;
    p->plan = plan;
    p->layer = plan->act == FRAMER_ANSWERS ? FWPS_LAYER_OUTBOUND_MAC_FRAME_ETHERNET : place->layer;
    p->receive = place->inbound && plan->act != FRAMER_ANSWERS;
    p->interface = interface;
    p->size = size;
    p->item = plan->later ? IoAllocateWorkItem(device) : NULL;
    if (plan->act == FRAMER_CLONES) {
        status = FwpsAllocateCloneNetBufferList0(nbl, NULL, NULL, 0, &p->nbl);
    } else {
        bytes = NdisGetDataBuffer(nb, size, p->bytes, 1, 0);
        if (bytes != p->bytes)
            memcpy(p->bytes, bytes, size);
        if (plan->act == FRAMER_ANSWERS) {
            memcpy(mac, p->bytes, 6);
            memcpy(p->bytes, p->bytes + 6, 6);
            memcpy(p->bytes + 6, mac, 6);
        }
        write_over(plan, p);
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
        IoQueueWorkItem(p->item, framer_works, DelayedWorkQueue, p);
    } else {
        let_go(p);
    }
}

/* ---- classifying --------------------------------------------------------------------------------------- */

static void look(struct framer_plan *plan, const struct place *place, const FWPS_INCOMING_VALUES0 *values,
                 NET_BUFFER_LIST *nbl)
{
    NET_BUFFER *nb = NET_BUFFER_LIST_FIRST_NB(nbl);
    const ULONG size = NET_BUFFER_DATA_LENGTH(nb), kept = size < FRAMER_KEPT ? size : FRAMER_KEPT;
    const UCHAR *bytes = NdisGetDataBuffer(nb, kept, plan->bytes, 1, 0);

    if (bytes != plan->bytes)
        memcpy(plan->bytes, bytes, kept);
    plan->size = size;
    plan->l2_flags = values->incomingValue[place->l2_flags].value.uint32;
    if (place->native)
        return;
    plan->ether_type = values
                           ->incomingValue[place->inbound ? FWPS_FIELD_INBOUND_MAC_FRAME_ETHERNET_ETHER_TYPE
                                                          : FWPS_FIELD_OUTBOUND_MAC_FRAME_ETHERNET_ETHER_TYPE]
                           .value.uint16;
    plan->vlan = values
                     ->incomingValue[place->inbound ? FWPS_FIELD_INBOUND_MAC_FRAME_ETHERNET_VLAN_ID
                                                    : FWPS_FIELD_OUTBOUND_MAC_FRAME_ETHERNET_VLAN_ID]
                     .value.uint16;
}

/* Ether type of the frame, behind a tag if it has one. */
static UINT16 type_of(NET_BUFFER *nb)
{
    UCHAR room[18] = {0}, *h;
    const ULONG size = NET_BUFFER_DATA_LENGTH(nb) < 18 ? NET_BUFFER_DATA_LENGTH(nb) : 18;

    h = NdisGetDataBuffer(nb, size, room, 1, 0);
    if (size == 18 && h[12] == 0x81 && h[13] == 0)
        return (UINT16)(h[16] << 8 | h[17]);
    return (UINT16)(h[12] << 8 | h[13]);
}

static void NTAPI classify(const FWPS_INCOMING_VALUES0 *values,
                           const FWPS_INCOMING_METADATA_VALUES0 *metadata, void *layer_data,
                           const void *classify_context, const FWPS_FILTER3 *filter, UINT64 flow_context,
                           FWPS_CLASSIFY_OUT0 *out)
{
    struct framer_plan *plan = &framer_plans[filter->context];
    const struct place *place = place_of(values->layerId, NULL);
    const ULONG back =
        FWPS_IS_L2_METADATA_FIELD_PRESENT(metadata, FWPS_L2_METADATA_FIELD_ETHERNET_MAC_HEADER_SIZE)
            ? metadata->ethernetMacHeaderSize
            : 0;
    NET_BUFFER_LIST *nbl = layer_data;
    NET_BUFFER *nb;

    (void)classify_context;
    (void)flow_context;
    if ((out->rights & FWPS_RIGHT_ACTION_WRITE) == 0)
        return;
    out->actionType = FWP_ACTION_CONTINUE;
    if (nbl == NULL)
        return;
    if (FwpsQueryPacketInjectionState0(injection, nbl, NULL) != FWPS_PACKET_NOT_INJECTED) {
        plan->own++;
        return;
    }
    nb = NET_BUFFER_LIST_FIRST_NB(nbl);
    if (back != 0 && NdisRetreatNetBufferDataStart(nb, back, 0, NULL) != NDIS_STATUS_SUCCESS)
        return;
    if (plan->type == 0 || type_of(nb) == plan->type) {
        plan->seen++;
        plan->front = back;
        look(plan, place, values, nbl);
        if (plan->act == FRAMER_BLOCKS || plan->act == FRAMER_LOSES || plan->act == FRAMER_CLONES ||
            plan->act == FRAMER_COPIES) {
            out->actionType = FWP_ACTION_BLOCK;
            out->rights &= ~(UINT32)FWPS_RIGHT_ACTION_WRITE;
            if (plan->act != FRAMER_BLOCKS)
                out->flags |= FWPS_CLASSIFY_OUT_FLAG_ABSORB;
        }
        if (plan->act >= FRAMER_CLONES)
            take(plan, place, nbl, values->incomingValue[place->interface].value.uint32);
    }
    if (back != 0)
        NdisAdvanceNetBufferDataStart(nb, back, FALSE, NULL);
}

/* ---- life ---------------------------------------------------------------------------------------------- */

static NTSTATUS add(UINT32 n)
{
    const struct place *place = place_of(0, framer_plans[n].at);
    const struct kit_callout what = {
        .device = device,
        .engine = engine,
        .name = (const WCHAR *)u"framer",
        .key = {0x1d7a5c20, 0x52bb, 0x4c11, {0x8e, 0x1f, 0x27, 0x90, 0x4d, 0x3e, 0x61, (UINT8)n}},
        .layer = place->key,
        .action = FWP_ACTION_CALLOUT_UNKNOWN,
        .classify = classify,
        .context = n};

    return kit_callout_add(&what, &ids[n]);
}

static NTSTATUS make_handles(void)
{
    NET_BUFFER_LIST_POOL_PARAMETERS parameters = {
        .Header = {.Type = NDIS_OBJECT_TYPE_DEFAULT,
                   .Revision = NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1,
                   .Size = NDIS_SIZEOF_NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1},
        .fAllocateNetBuffer = TRUE,
        .PoolTag = TAG};

    pool = NdisAllocateNetBufferListPool(NULL, &parameters);
    return pool == NULL ? STATUS_INSUFFICIENT_RESOURCES
                        : FwpsInjectionHandleCreate0(AF_UNSPEC, FWPS_INJECTION_TYPE_L2, &injection);
}

static void NTAPI unload(DRIVER_OBJECT *driver)
{
    (void)driver;
    FwpmEngineClose0(engine);
    for (unsigned i = 0; i < ARRAYSIZE(ids); i++)
        if (framer_plans[i].at != NULL)
            (void)FwpsCalloutUnregisterById0(ids[i]);
    (void)FwpsInjectionHandleDestroy0(injection);
    NdisFreeNetBufferListPool(pool);
    IoDeleteDevice(device);
}

static int32_t framer_entry(DRIVER_OBJECT *driver, UNICODE_STRING *path)
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
    for (UINT32 i = 0; i < FRAMER_MOST; i++)
        if (NT_SUCCESS(status) && framer_plans[i].at != NULL)
            status = add(i);
    return status;
}

struct weir_driver *framer_load(struct weir *w, const struct framer_plan *plans, size_t count)
{
    memset(framer_plans, 0, sizeof framer_plans);
    memcpy(framer_plans, plans, count * sizeof *plans);
    return weir_driver_with(w, &(struct weir_driver_config){.entry = framer_entry, .name = "framer"});
}

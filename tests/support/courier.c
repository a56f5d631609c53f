/* SPDX-License-Identifier: Apache-2.0 */
/* The driver that takes packets and lets others go (courier.h). */
#include <stdio.h>
#include <string.h>

#include <ntddk.h>
#include <fwpsk.h>
#include <fwpmk.h>

#include "courier.h"
#include "kit.h"
#include "wire/wire.h"

#define TAG        0x72756f43 /* "Cour" */
#define IP6_HEADER 40u

struct courier_errand courier_errands[COURIER_MOST];

static DEVICE_OBJECT *device;
static HANDLE engine, pool, transport, network[2]; /* [1]: IPv6 */
static UINT32 ids[2 * COURIER_MOST];

/* ---- layers -------------------------------------------------------------------------------------------- */

static const struct place {
    const char *name;
    UINT16 layer, local, remote, direction, interface;
    const GUID *key;
    bool six, datagram;
} places[] = {
#define PLACE(name, layer, six)                                                                              \
    {                                                                                                        \
        name, FWPS_LAYER_##layer, FWPS_FIELD_##layer##_IP_LOCAL_ADDRESS,                                     \
            FWPS_FIELD_##layer##_IP_REMOTE_ADDRESS, 0, FWPS_FIELD_##layer##_INTERFACE_INDEX,                 \
            &FWPM_LAYER_##layer, six, false                                                                  \
    }
    {"DD", FWPS_LAYER_DATAGRAM_DATA_V4, FWPS_FIELD_DATAGRAM_DATA_V4_IP_LOCAL_ADDRESS,
     FWPS_FIELD_DATAGRAM_DATA_V4_IP_REMOTE_ADDRESS, FWPS_FIELD_DATAGRAM_DATA_V4_DIRECTION,
     FWPS_FIELD_DATAGRAM_DATA_V4_INTERFACE_INDEX, &FWPM_LAYER_DATAGRAM_DATA_V4, false, true},
    {"DD", FWPS_LAYER_DATAGRAM_DATA_V6, FWPS_FIELD_DATAGRAM_DATA_V6_IP_LOCAL_ADDRESS,
     FWPS_FIELD_DATAGRAM_DATA_V6_IP_REMOTE_ADDRESS, FWPS_FIELD_DATAGRAM_DATA_V6_DIRECTION,
     FWPS_FIELD_DATAGRAM_DATA_V6_INTERFACE_INDEX, &FWPM_LAYER_DATAGRAM_DATA_V6, true, true},
    PLACE("OT", OUTBOUND_TRANSPORT_V4, false),
    PLACE("OT", OUTBOUND_TRANSPORT_V6, true),
    PLACE("OI", OUTBOUND_IPPACKET_V4, false),
    PLACE("OI", OUTBOUND_IPPACKET_V6, true),
    PLACE("II", INBOUND_IPPACKET_V4, false),
    PLACE("II", INBOUND_IPPACKET_V6, true),
};

static const struct place *place_of(const char *name, bool six)
{
    for (unsigned i = 0; i < ARRAYSIZE(places); i++)
        if (strcmp(places[i].name, name) == 0 && places[i].six == six)
            return &places[i];
    return NULL;
}

/* As it stands in a packet. */
static void put_address(bool six, const union wire_addr *a, UINT8 out[16])
{
    memcpy(out, a->v6, 16);
    for (unsigned n = 0; !six && n < 4; n++)
        out[n] = (UINT8)(a->v4 >> (24 - 8 * n));
}

static void address_of(bool six, const FWP_VALUE0 *value, UINT8 out[16])
{
    union wire_addr a = {0};

    if (six)
        memcpy(a.v6, value->byteArray16->byteArray16, 16);
    else
        a.v4 = value->uint32;
    put_address(six, &a, out);
}

static bool parse(const char *text, bool six, UINT8 out[16])
{
    union wire_addr a;
    unsigned bits;

    if (text == NULL || wire_addr_parse(text, &a, &bits) != (six ? 6 : 4))
        return false;
    put_address(six, &a, out);
    return true;
}

/* ---- a packet of its own ------------------------------------------------------------------------------- */

struct parcel {
    struct courier_errand *errand;
    NET_BUFFER_LIST *nbl;
    MDL *mdl;
    PIO_WORKITEM item;
    bool six, receive, whole; /* whole: from the IP header on */
    UINT8 local[16], remote[16];
    UINT64 endpoint;
    FWPS_TRANSPORT_SEND_PARAMS1 args;
    IF_INDEX interface;
    UINT8 protocol;
    ULONG ip, size; /* the IP header's size; of all */
    UCHAR bytes[];
};

static void put_16(UCHAR *to, ULONG value)
{
    to[0] = (UCHAR)(value >> 8);
    to[1] = (UCHAR)value;
}

/* Addresses, lengths and sums as they are to be. */
static void mend(struct parcel *p)
{
    const UINT8 *source = p->receive ? p->remote : p->local, *target = p->receive ? p->local : p->remote;
    const unsigned n = p->six ? 16 : 4;
    UCHAR *body = p->bytes + p->ip, pseudo[40] = {0};
    const ULONG size = p->size - p->ip, at = p->protocol == WIRE_PROTOCOL_UDP   ? 6
                                             : p->protocol == WIRE_PROTOCOL_TCP ? 16
                                                                                : 2;
    UINT16 sum;

    if (p->ip != 0 && p->six) {
        put_16(p->bytes + 4, p->size - IP6_HEADER);
        memcpy(p->bytes + 8, source, 16);
        memcpy(p->bytes + 24, target, 16);
    } else if (p->ip != 0) {
        put_16(p->bytes + 2, p->size);
        memcpy(p->bytes + 12, source, 4);
        memcpy(p->bytes + 16, target, 4);
        put_16(p->bytes + 10, 0);
        put_16(p->bytes + 10, wire_fold(wire_sum(p->bytes, p->ip, 0)));
    }
    if (p->errand->unmended || size < at + 2)
        return;
    memcpy(pseudo, source, n);
    memcpy(pseudo + n, target, n);
    put_16(pseudo + 2 * n, size >> 16);
    put_16(pseudo + 2 * n + 2, size);
    pseudo[2 * n + 7] = p->protocol;
    put_16(body + at, 0);
    sum = wire_fold(
        wire_sum(body, size, p->protocol == WIRE_PROTOCOL_ICMP ? 0 : wire_sum(pseudo, 2 * n + 8, 0)));
    put_16(body + at, sum == 0 && p->protocol == WIRE_PROTOCOL_UDP ? 0xffff : sum);
}

static void write_over(struct parcel *p)
{
    const size_t size = p->errand->find != NULL ? strlen(p->errand->find) : 0;

    for (ULONG at = p->ip; size != 0 && at + size <= p->size; at++)
        if (memcmp(p->bytes + at, p->errand->find, size) == 0)
            memcpy(p->bytes + at, p->errand->write, size);
}

static void parcel_free(struct parcel *p)
{
    if (p->nbl != NULL)
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
    p->errand->completed++;
    p->errand->status = NET_BUFFER_LIST_STATUS(nbl);
    parcel_free(p);
}

static void let_go(struct parcel *p)
{
    const ADDRESS_FAMILY family = p->six ? AF_INET6 : AF_INET;
    NTSTATUS status;

    if (p->whole && !p->receive)
        status = FwpsInjectNetworkSendAsync0(network[p->six], NULL, 0, UNSPECIFIED_COMPARTMENT_ID, p->nbl,
                                             injected, p);
    else if (!p->receive)
        status = FwpsInjectTransportSendAsync1(transport, NULL, p->endpoint, 0, &p->args, family,
                                               UNSPECIFIED_COMPARTMENT_ID, p->nbl, injected, p);
    else if (p->whole)
        status = FwpsInjectNetworkReceiveAsync0(network[p->six], NULL, 0, UNSPECIFIED_COMPARTMENT_ID,
                                                p->interface, 0, p->nbl, injected, p);
    else
        status =
            FwpsInjectTransportReceiveAsync0(transport, NULL, NULL, 0, family, UNSPECIFIED_COMPARTMENT_ID,
                                             p->interface, 0, p->nbl, injected, p);
    if (!NT_SUCCESS(status)) {
        p->errand->status = status;
        parcel_free(p);
    }
}

static IO_WORKITEM_ROUTINE courier_works;

static void courier_works(DEVICE_OBJECT *object, void *context)
{
    (void)object;
    let_go(context);
}

/* ---- classifying --------------------------------------------------------------------------------------- */

/* The packet that is classified, copied from its IP header (`back` bytes before its data) or from its data on. Room for an
 * IP header is kept in front where an answer to it is to be received. */
static struct parcel *copy_of(NET_BUFFER_LIST *nbl, ULONG back, ULONG front)
{
    NET_BUFFER *nb = NET_BUFFER_LIST_FIRST_NB(nbl);
    struct parcel *p = NULL;
    ULONG size;
    UCHAR *bytes;

    if (back != 0 && NdisRetreatNetBufferDataStart(nb, back, 0, NULL) != NDIS_STATUS_SUCCESS)
        return NULL;
    size = NET_BUFFER_DATA_LENGTH(nb);
    p = ExAllocatePool2(POOL_FLAG_NON_PAGED, sizeof *p + front + size, TAG);
    bytes = p != NULL ? NdisGetDataBuffer(nb, size, p->bytes + front, 1, 0) : NULL;
    if (bytes != NULL && bytes != p->bytes + front)
        memcpy(p->bytes + front, bytes, size);
    if (back != 0)
        NdisAdvanceNetBufferDataStart(nb, back, FALSE, NULL);
    if (p != NULL)
        p->size = front + size;
    return p;
}

/* An IP header before it, and what is the other way round in an answer. */
static void turn_around(struct parcel *p, ULONG front)
{
    UCHAR *body = p->bytes + front, port[2];

    p->ip = front;
    p->receive = true;
    p->bytes[0] = p->six ? 0x60 : 0x45;
    p->bytes[p->six ? 6 : 9] = p->protocol;
    p->bytes[p->six ? 7 : 8] = 64;
    if (p->protocol == WIRE_PROTOCOL_UDP) {
        memcpy(port, body, 2);
        memcpy(body, body + 2, 2);
        memcpy(body + 2, port, 2);
    } else if (p->protocol == WIRE_PROTOCOL_ICMP) {
        body[0] = 0;
    } else {
        body[0] = 129;
    }
}

static UINT8 protocol_of(const struct parcel *p, const FWPS_INCOMING_METADATA_VALUES0 *metadata,
                         const FWPS_INCOMING_VALUES0 *values, const struct place *place)
{
    (void)metadata;
    if (place->datagram)
        return values
            ->incomingValue[place->six ? FWPS_FIELD_DATAGRAM_DATA_V6_IP_PROTOCOL
                                       : FWPS_FIELD_DATAGRAM_DATA_V4_IP_PROTOCOL]
            .value.uint8;
    if (p->ip != 0)
        return p->bytes[p->six ? 6 : 9];
    return values
        ->incomingValue[place->six ? FWPS_FIELD_OUTBOUND_TRANSPORT_V6_IP_PROTOCOL
                                   : FWPS_FIELD_OUTBOUND_TRANSPORT_V4_IP_PROTOCOL]
        .value.uint8;
}

static void take(struct courier_errand *e, const struct place *place, const FWPS_INCOMING_VALUES0 *values,
                 const FWPS_INCOMING_METADATA_VALUES0 *metadata, NET_BUFFER_LIST *nbl)
{
    const bool inbound = e->inbound || strcmp(e->at, "II") == 0, whole = e->at[1] == 'I' || inbound;
    const ULONG front = e->answers ? (place->six ? IP6_HEADER : 20) : 0;
    const ULONG back = !inbound          ? 0
                       : place->datagram ? metadata->ipHeaderSize + metadata->transportHeaderSize
                                         : metadata->ipHeaderSize;
    struct parcel *p = copy_of(nbl, back, front);
    ULONG size;

    if (p == NULL)
        return;
    p->errand = e;
    p->six = place->six;
    p->receive = inbound;
    p->ip = whole ? metadata->ipHeaderSize : 0;
    p->whole = e->at[1] == 'I';
    if (whole && p->ip == 0) /* OI: its header stands in the packet */
        p->ip = p->six ? IP6_HEADER : (p->bytes[0] & 15u) * 4;
    address_of(p->six, &values->incomingValue[place->local].value, p->local);
    address_of(p->six, &values->incomingValue[place->remote].value, p->remote);
    p->interface = values->incomingValue[place->interface].value.uint32;
    p->protocol = protocol_of(p, metadata, values, place);
    size = p->size - front - p->ip;
    e->largest = size > e->largest ? size : e->largest;
    e->smallest = e->smallest == 0 || size < e->smallest ? size : e->smallest;
    (void)parse(e->becomes, p->six, p->remote);
    (void)parse(e->from, p->six, p->local);
    if (e->answers)
        turn_around(p, front);
    write_over(p);
    mend(p);
    p->endpoint = metadata->transportEndpointHandle;
    p->args.remoteAddress = p->remote;
    p->mdl = IoAllocateMdl(p->bytes, p->size, FALSE, FALSE, NULL);
    p->item = e->later ? IoAllocateWorkItem(device) : NULL;
    if (p->mdl != NULL)
        MmBuildMdlForNonPagedPool(p->mdl);
    if (p->mdl == NULL || (e->later && p->item == NULL) ||
        !NT_SUCCESS(FwpsAllocateNetBufferAndNetBufferList0(pool, 0, 0, p->mdl, 0, p->size, &p->nbl)))
        parcel_free(p);
    else if (e->later)
        IoQueueWorkItem(p->item, courier_works, DelayedWorkQueue, p);
    else
        let_go(p);
}

static void NTAPI classify(const FWPS_INCOMING_VALUES0 *values,
                           const FWPS_INCOMING_METADATA_VALUES0 *metadata, void *layer_data,
                           const void *classify_context, const FWPS_FILTER3 *filter, UINT64 flow_context,
                           FWPS_CLASSIFY_OUT0 *out)
{
    struct courier_errand *e = &courier_errands[filter->context];
    const struct place *place = NULL;
    UINT8 remote[16] = {0}, wanted[16] = {0};

    (void)classify_context;
    (void)flow_context;
    for (unsigned i = 0; i < ARRAYSIZE(places); i++)
        if (places[i].layer == values->layerId)
            place = &places[i];
    if ((out->rights & FWPS_RIGHT_ACTION_WRITE) == 0)
        return;
    out->actionType = FWP_ACTION_CONTINUE;
    if (layer_data == NULL ||
        FwpsQueryPacketInjectionState0(transport, layer_data, NULL) != FWPS_PACKET_NOT_INJECTED)
        return; /* its own */
    if (place->datagram &&
        (values->incomingValue[place->direction].value.uint32 == FWP_DIRECTION_INBOUND) != e->inbound)
        return;
    address_of(place->six, &values->incomingValue[place->remote].value, remote);
    if (e->remote != NULL && (!parse(e->remote, place->six, wanted) || memcmp(remote, wanted, 16) != 0))
        return;
    out->actionType = FWP_ACTION_BLOCK;
    out->flags |= FWPS_CLASSIFY_OUT_FLAG_ABSORB;
    out->rights &= ~(UINT32)FWPS_RIGHT_ACTION_WRITE;
    e->taken++;
    if (!e->loses)
        take(e, place, values, metadata, layer_data);
}

/* ---- life ---------------------------------------------------------------------------------------------- */

static NTSTATUS add(UINT32 number, bool six)
{
    const struct place *place = place_of(courier_errands[number].at, six);
    const UINT32 n = 2 * number + six;
    const struct kit_callout what = {
        .device = device,
        .engine = engine,
        .name = (const WCHAR *)u"courier",
        .key = {0x0c0e7a11, 0x3d52, 0x4f7b, {0x9a, 0x44, 0x1e, 0x08, 0x6c, 0xb3, 0x27, (UINT8)n}},
        .layer = place->key,
        .action = FWP_ACTION_CALLOUT_UNKNOWN,
        .classify = classify,
        .context = number};

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
    NTSTATUS status = FwpsInjectionHandleCreate0(AF_UNSPEC, FWPS_INJECTION_TYPE_TRANSPORT, &transport);

    if (NT_SUCCESS(status))
        status = FwpsInjectionHandleCreate0(AF_INET, FWPS_INJECTION_TYPE_NETWORK, &network[0]);
    if (NT_SUCCESS(status))
        status = FwpsInjectionHandleCreate0(AF_INET6, FWPS_INJECTION_TYPE_NETWORK, &network[1]);
    pool = NdisAllocateNetBufferListPool(NULL, &parameters);
    return NT_SUCCESS(status) && pool == NULL ? STATUS_INSUFFICIENT_RESOURCES : status;
}

static void NTAPI unload(DRIVER_OBJECT *driver)
{
    (void)driver;
    FwpmEngineClose0(engine);
    for (unsigned i = 0; i < ARRAYSIZE(ids); i++)
        if (courier_errands[i / 2].at != NULL)
            (void)FwpsCalloutUnregisterById0(ids[i]);
    (void)FwpsInjectionHandleDestroy0(transport);
    for (unsigned six = 0; six < 2; six++)
        (void)FwpsInjectionHandleDestroy0(network[six]);
    NdisFreeNetBufferListPool(pool);
    IoDeleteDevice(device);
}

static int32_t courier_entry(DRIVER_OBJECT *driver, UNICODE_STRING *path)
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
    for (UINT32 i = 0; i < COURIER_MOST; i++)
        for (unsigned six = 0; six < 2; six++)
            if (NT_SUCCESS(status) && courier_errands[i].at != NULL)
                status = add(i, six);
    return status;
}

struct weir_driver *courier_load(struct weir *w, const struct courier_errand *errands, size_t count)
{
    memset(courier_errands, 0, sizeof courier_errands);
    memcpy(courier_errands, errands, count * sizeof *errands);
    return weir_driver_with(w, &(struct weir_driver_config){.entry = courier_entry, .name = "courier"});
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vswitch: frames through virtual switches. These layers stand beside the host's own: nothing of flows, endpoints or
 * ALE is here, so a classification is made without a scene: values by the fields' keys (chosen once, when the
 * first switch is added), metadata, and the packet as an ndis_frame.
 *
 *   vswitch_walk() --each layer--> ask(): values, metadata, the list at its offset (PKT-08) -> engine_classify
 *
 * A frame that nobody filters costs a look at whether the layer has filters. One worker at a time: the host's turn.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/vswitch.h"
#include "host/walk.h"
#include "ledger/ledger.h"

#define DESTINATIONS 64u

enum meaning {
    IS_EMPTY,
    IS_MAC_SOURCE,
    IS_MAC_SOURCE_TYPE,
    IS_MAC_DESTINATION,
    IS_MAC_DESTINATION_TYPE,
    IS_ETHER_TYPE,
    IS_VLAN,
    IS_TENANT,
    IS_SWITCH,
    IS_NETWORK_TYPE,
    IS_SOURCE_NIC,
    IS_SOURCE_NIC_TYPE,
    IS_SOURCE_VM,
    IS_DESTINATION_NIC,
    IS_DESTINATION_NIC_TYPE,
    IS_DESTINATION_VM,
    IS_L2_FLAGS,
    IS_COMPARTMENT,
    IS_IP_SOURCE,
    IS_IP_DESTINATION,
    IS_PROTOCOL,
    IS_SOURCE_PORT,
    IS_DESTINATION_PORT,
};

static const struct {
    const GUID *key;
    UINT8 is;
} meanings[] = {
    {&FWPM_CONDITION_MAC_SOURCE_ADDRESS, IS_MAC_SOURCE},
    {&FWPM_CONDITION_MAC_SOURCE_ADDRESS_TYPE, IS_MAC_SOURCE_TYPE},
    {&FWPM_CONDITION_MAC_DESTINATION_ADDRESS, IS_MAC_DESTINATION},
    {&FWPM_CONDITION_MAC_DESTINATION_ADDRESS_TYPE, IS_MAC_DESTINATION_TYPE},
    {&FWPM_CONDITION_ETHER_TYPE, IS_ETHER_TYPE},
    {&FWPM_CONDITION_VLAN_ID, IS_VLAN},
    {&FWPM_CONDITION_VSWITCH_TENANT_NETWORK_ID, IS_TENANT},
    {&FWPM_CONDITION_VSWITCH_ID, IS_SWITCH},
    {&FWPM_CONDITION_VSWITCH_NETWORK_TYPE, IS_NETWORK_TYPE},
    {&FWPM_CONDITION_VSWITCH_SOURCE_INTERFACE_ID, IS_SOURCE_NIC},
    {&FWPM_CONDITION_VSWITCH_SOURCE_INTERFACE_TYPE, IS_SOURCE_NIC_TYPE},
    {&FWPM_CONDITION_VSWITCH_SOURCE_VM_ID, IS_SOURCE_VM},
    {&FWPM_CONDITION_VSWITCH_DESTINATION_INTERFACE_ID, IS_DESTINATION_NIC},
    {&FWPM_CONDITION_VSWITCH_DESTINATION_INTERFACE_TYPE, IS_DESTINATION_NIC_TYPE},
    {&FWPM_CONDITION_VSWITCH_DESTINATION_VM_ID, IS_DESTINATION_VM},
    {&FWPM_CONDITION_L2_FLAGS, IS_L2_FLAGS},
    {&FWPM_CONDITION_COMPARTMENT_ID, IS_COMPARTMENT},
    {&FWPM_CONDITION_IP_SOURCE_ADDRESS, IS_IP_SOURCE},
    {&FWPM_CONDITION_IP_DESTINATION_ADDRESS, IS_IP_DESTINATION},
    {&FWPM_CONDITION_IP_PROTOCOL, IS_PROTOCOL},
    {&FWPM_CONDITION_IP_SOURCE_PORT, IS_SOURCE_PORT},
    {&FWPM_CONDITION_IP_DESTINATION_PORT, IS_DESTINATION_PORT},
};

enum place { IN_ETHERNET, OUT_ETHERNET, IN_4, IN_6, OUT_4, OUT_6, PLACES };
static const UINT16 layer_ids[PLACES] = {
    [IN_ETHERNET] = FWPS_LAYER_INGRESS_VSWITCH_ETHERNET, [OUT_ETHERNET] = FWPS_LAYER_EGRESS_VSWITCH_ETHERNET,
    [IN_4] = FWPS_LAYER_INGRESS_VSWITCH_TRANSPORT_V4,    [IN_6] = FWPS_LAYER_INGRESS_VSWITCH_TRANSPORT_V6,
    [OUT_4] = FWPS_LAYER_EGRESS_VSWITCH_TRANSPORT_V4,    [OUT_6] = FWPS_LAYER_EGRESS_VSWITCH_TRANSPORT_V6,
};

struct host_vswitch {
    struct host_vswitch *next;
    struct host_vswitch_desc desc;
    bool gone;
    struct host_vswitch_port *ports; /* desc.port_count of them; changed with the turn */
    size_t room;
};

struct vswitches {
    struct host_vswitch *first, **end;
    struct vswitch_events *events;
    UINT8 is[PLACES][ENGINE_MAX_FIELDS]; /* enum meaning */
};

/* ---- life --------------------------------------------------------------------------------------------------- */

static UINT8 meaning_of(const GUID *key)
{
    for (size_t i = 0; i < ARRAYSIZE(meanings); i++)
        if (memcmp(meanings[i].key, key, sizeof(*key)) == 0)
            return meanings[i].is;
    return IS_EMPTY;
}

int vswitches_create(struct host *h)
{
    struct vswitches *v = calloc(1, sizeof(*v));

    if (v == NULL)
        return -ENOMEM;
    h->vswitches = v;
    v->end = &v->first;
    for (unsigned place = 0; place < PLACES; place++) {
        const struct engine_layer *layer = engine_layer_by_id(layer_ids[place]);

        for (UINT16 i = 0; i < layer->field_count; i++)
            v->is[place][i] = meaning_of(layer->fields[i].key);
    }
    return vswitch_events_create(h, &v->events);
}

void vswitches_destroy(struct host *h)
{
    struct vswitches *v = h->vswitches;

    if (v == NULL)
        return;
    for (struct host_vswitch *s = v->first, *next; s != NULL; s = next) {
        next = s->next;
        free(s->ports);
        free(s);
    }
    if (v->events != NULL)
        vswitch_events_destroy(v->events);
    free(v);
    h->vswitches = NULL;
}

struct vswitch_events *vswitch_events_of(const struct host *h)
{
    return h->vswitches->events;
}

struct host_vswitch *host_vswitch_by_id(const struct host *h, const FWP_BYTE_BLOB *id)
{
    struct host_vswitch *v = id != NULL ? h->vswitches->first : NULL;

    while (v != NULL && (__atomic_load_n(&v->gone, __ATOMIC_RELAXED) || v->desc.id->size != id->size ||
                         memcmp(v->desc.id->data, id->data, id->size) != 0))
        v = v->next;
    return v;
}

static const struct host_vswitch_port *port_of(const struct host_vswitch *v, UINT32 id)
{
    for (size_t i = 0; i < v->desc.port_count; i++)
        if (v->ports[i].id == id)
            return &v->ports[i];
    return NULL;
}

static int add_port(struct host_vswitch *v, const struct host_vswitch_port *port)
{
    if (port_of(v, port->id) != NULL)
        return -EEXIST;
    if (v->desc.port_count == v->room) {
        const size_t room = v->room != 0 ? 2 * v->room : 8;
        struct host_vswitch_port *more = realloc(v->ports, room * sizeof(*more));

        if (more == NULL)
            return -ENOMEM;
        v->ports = more;
        v->room = room;
    }
    v->ports[v->desc.port_count++] = *port;
    return 0;
}

int host_vswitch_add(struct host *h, const struct host_vswitch_desc *desc, struct host_vswitch **out)
{
    struct vswitches *all = h->vswitches;
    struct host_vswitch *v;

    if (desc->id == NULL || desc->id->size == 0)
        return -EINVAL;
    if (host_vswitch_by_id(h, desc->id) != NULL)
        return -EEXIST;
    v = calloc(1, sizeof(*v));
    if (v == NULL)
        return -ENOMEM;
    v->desc = *desc;
    v->desc.port_count = 0;
    v->desc.ports = NULL;
    for (size_t i = 0; i < desc->port_count; i++) {
        const int result = add_port(v, &desc->ports[i]);

        if (result != 0) {
            free(v->ports);
            free(v);
            return result == -EEXIST ? -EINVAL : result;
        }
    }
    {
        TURN_OF(&h->lanes[0]);

        *all->end = v;
        all->end = &v->next;
    }
    *out = v;
    return 0;
}

int host_vswitch_port_add(struct host *h, struct host_vswitch *v, const struct host_vswitch_port *port)
{
    TURN_OF(&h->lanes[0]);

    return add_port(v, port);
}

int host_vswitch_port_remove(struct host *h, struct host_vswitch *v, UINT32 id)
{
    TURN_OF(&h->lanes[0]);
    struct host_vswitch_port *p = (struct host_vswitch_port *)port_of(v, id);

    if (p == NULL)
        return -ENOENT;
    v->desc.port_count--;
    memmove(p, p + 1, (size_t)(v->ports + v->desc.port_count - p) * sizeof(*p));
    return 0;
}

void host_vswitch_remove(struct host *h, struct host_vswitch *v)
{
    TURN_OF(&h->lanes[0]);

    __atomic_store_n(&v->gone, true, __ATOMIC_RELAXED);
    v->desc.port_count = 0;
    v->desc.destinations = NULL;
    v->desc.deliver = NULL;
}

/* ---- one question ------------------------------------------------------------------------------------------- */

struct passing {
    struct host *h;
    const struct host_vswitch *v;
    const struct vswitch_walk *w;
    struct wire_packet packet;
    struct ndis_frame *frame;                             /* made when a callout may look */
    const struct host_vswitch_port *source, *destination; /* NULL: none of the switch's; none yet */
    unsigned copy;                                        /* which one: from 0 */
};

static void put(FWP_VALUE0 *v, FWP_DATA_TYPE type, UINT32 x)
{
    v->type = type;
    switch (type) {
    case FWP_UINT8:
        v->uint8 = (UINT8)x;
        break;
    case FWP_UINT16:
        v->uint16 = (UINT16)x;
        break;
    default:
        v->uint32 = x;
        break;
    }
}

static void put_blob(FWP_VALUE0 *v, const FWP_BYTE_BLOB *blob)
{
    v->type = blob != NULL ? FWP_BYTE_BLOB_TYPE : FWP_EMPTY;
    v->byteBlob = (FWP_BYTE_BLOB *)blob;
}

static void put_mac(FWP_VALUE0 *v, const struct passing *p, bool source, bool type)
{
    static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    const uint8_t *mac = p->packet.frame + (source ? 6 : 0);

    if (type) {
        put(v, FWP_UINT8,
            memcmp(mac, broadcast, 6) == 0 ? DlBroadcast
            : mac[0] & 1                   ? DlMulticast
                                           : DlUnicast);
        return;
    }
    v->type = FWP_BYTE_ARRAY6_TYPE;
    v->byteArray6 = (FWP_BYTE_ARRAY6 *)mac;
}

static void put_address(FWP_VALUE0 *v, uint8_t version, const union wire_addr *a)
{
    if (version == 4) {
        put(v, FWP_UINT32, a->v4);
        return;
    }
    v->type = FWP_BYTE_ARRAY16_TYPE;
    v->byteArray16 = (FWP_BYTE_ARRAY16 *)a->v6;
}

static UINT32 l2_flags(const struct passing *p)
{
    UINT32 x = FWP_CONDITION_L2_IS_NATIVE_ETHERNET;

    if (p->packet.fault != WIRE_OK)
        x |= FWP_CONDITION_L2_IS_MALFORMED_PACKET;
    if (p->packet.fragment)
        x |= FWP_CONDITION_L2_IS_IP_FRAGMENT_GROUP;
    if (p->source != NULL && p->source->vm_id != NULL && p->destination != NULL &&
        p->destination->vm_id != NULL)
        x |= FWP_CONDITION_L2_IS_VM2VM;
    return x;
}

static void put_nic(FWP_VALUE0 *v, const struct host_vswitch_port *port, unsigned what)
{
    v->type = FWP_EMPTY;
    if (port == NULL)
        return;
    if (what == 0)
        put_blob(v, port->nic_id);
    else if (what == 1)
        put(v, FWP_UINT8, port->nic_type);
    else
        put_blob(v, port->vm_id);
}

static void fill(FWP_VALUE0 *v, const struct passing *p, enum meaning is)
{
    const struct wire_packet *w = &p->packet;
    const struct host_vswitch_desc *d = &p->v->desc;
    const bool ports = w->reached == WIRE_TRANSPORT &&
                       (w->protocol == WIRE_PROTOCOL_TCP || w->protocol == WIRE_PROTOCOL_UDP);

    v->type = FWP_EMPTY;
    v->uint64 = NULL;
    switch (is) {
    case IS_MAC_SOURCE:
    case IS_MAC_SOURCE_TYPE:
        put_mac(v, p, true, is == IS_MAC_SOURCE_TYPE);
        break;
    case IS_MAC_DESTINATION:
    case IS_MAC_DESTINATION_TYPE:
        put_mac(v, p, false, is == IS_MAC_DESTINATION_TYPE);
        break;
    case IS_ETHER_TYPE:
        put(v, FWP_UINT16, w->ether_type);
        break;
    case IS_VLAN:
        put(v, FWP_UINT16, w->vlan == WIRE_NO_VLAN ? 0 : w->vlan & 0xfff);
        break;
    case IS_TENANT:
        put(v, FWP_UINT32, d->tenant_network_id);
        break;
    case IS_SWITCH:
        put_blob(v, d->id);
        break;
    case IS_NETWORK_TYPE:
        put(v, FWP_UINT8, d->network_type);
        break;
    case IS_SOURCE_NIC:
    case IS_SOURCE_NIC_TYPE:
    case IS_SOURCE_VM:
        put_nic(v, p->source, is - IS_SOURCE_NIC);
        break;
    case IS_DESTINATION_NIC:
    case IS_DESTINATION_NIC_TYPE:
    case IS_DESTINATION_VM:
        put_nic(v, p->destination, is - IS_DESTINATION_NIC);
        break;
    case IS_L2_FLAGS:
        put(v, FWP_UINT32, l2_flags(p));
        break;
    case IS_COMPARTMENT:
        put(v, FWP_UINT32, d->compartment != 0 ? d->compartment : 1);
        break;
    case IS_IP_SOURCE:
        put_address(v, w->version, &w->source);
        break;
    case IS_IP_DESTINATION:
        put_address(v, w->version, &w->destination);
        break;
    case IS_PROTOCOL:
        put(v, FWP_UINT8, w->protocol);
        break;
    case IS_SOURCE_PORT:
        if (ports)
            put(v, FWP_UINT16, w->source_port);
        break;
    case IS_DESTINATION_PORT:
        if (ports)
            put(v, FWP_UINT16, w->destination_port);
        break;
    case IS_EMPTY:
        break;
    }
}

static void describe(const struct passing *p, const struct engine_layer *layer,
                     FWPS_INCOMING_METADATA_VALUES0 *m)
{
    UINT32 has = FWPS_L2_METADATA_FIELD_ETHERNET_MAC_HEADER_SIZE |
                 FWPS_L2_METADATA_FIELD_VSWITCH_SOURCE_PORT_ID |
                 FWPS_L2_METADATA_FIELD_VSWITCH_SOURCE_NIC_INDEX;

    memset(m, 0, sizeof(*m));
    m->ethernetMacHeaderSize = p->packet.reached >= WIRE_LINK ? p->packet.ip_at : 14;
    m->vSwitchSourcePortId = p->w->source_port;
    m->vSwitchSourceNicIndex = p->w->nic_given     ? p->w->source_nic
                               : p->source != NULL ? p->source->nic_index
                                                   : 0;
    if (p->destination != NULL) {
        has |= FWPS_L2_METADATA_FIELD_VSWITCH_DESTINATION_PORT_ID;
        m->vSwitchDestinationPortId = p->destination->id;
        if (p->copy > 0)
            m->l2Flags |= FWPS_L2_INCOMING_FLAG_RECLASSIFY_MULTI_DESTINATION; /* OTH-12 */
    }
    m->currentL2MetadataValues = has & layer->l2_metadata; /* no packet contexts are given out (OTH-13) */
    if ((m->currentL2MetadataValues & FWPS_L2_METADATA_FIELD_ETHERNET_MAC_HEADER_SIZE) == 0)
        m->ethernetMacHeaderSize = 0;
}

/* The packet from its Ethernet or its IP header on. NULL: out of memory. */
static NET_BUFFER_LIST *show(struct passing *p, bool ethernet)
{
    struct ndis_frame *f = p->frame;

    if (f == NULL) {
        f = ndis_frame_take(p->h->frames, p->w->bytes, p->w->size,
                            p->packet.reached >= WIRE_LINK ? p->packet.ip_at : 0);
        if (f == NULL)
            return NULL;
        if (p->w->origin == NULL) {
            (void)ndis_frame_root(f, p->w->number);
            ndis_frame_stem(f, NULL, p->w->history);
        } else {
            ndis_frame_stem(f, p->w->origin, p->w->history);
        }
        p->frame = f;
    }
    return ndis_frame_show(f, 0, ethernet ? 0 : p->packet.ip_at, p->w->size, p->h->config.knobs.split_mdl);
}

static void tell(const struct passing *p, const struct engine_layer *layer, const struct engine_request *q,
                 const struct engine_verdict *verdict, bool out)
{
    const struct host_observer *o = &p->h->config.observer;
    const struct host_answer answer = {.verdict = *verdict};
    const struct host_event event = {
        .number = rt_add(&p->h->next_event, 1, __ATOMIC_RELAXED),
        .frame = p->w->number,
        .time_ns = p->h->now_ns,
        .cause = HOST_CAUSE_INITIAL,
        .layer = layer,
        .request = q,
        .answer = &answer,
        .packet_direction = out ? FWP_DIRECTION_OUTBOUND : FWP_DIRECTION_INBOUND,
        .packet = q->layer_data,
    };

    if (o->classified != NULL && (!o->decisions_only || verdict->action == FWP_ACTION_BLOCK))
        o->classified(o->ctx, &event);
}

/* One layer. False: it ends here. */
static bool ask(struct passing *p, enum place place, struct host_vswitch_outcome *out)
{
    struct engine_reader *reader = p->h->lanes[0].reader;
    const struct engine_snapshot *snapshot = engine_pin(reader);
    const struct engine_layer *layer = engine_layer_by_id(layer_ids[place]);
    const struct engine_filter *const *filters;
    FWPS_INCOMING_VALUE0 value[ENGINE_MAX_FIELDS];
    FWPS_INCOMING_VALUES0 values = {layer->id, layer->field_count, value};
    FWPS_INCOMING_METADATA_VALUES0 metadata;
    struct engine_request q = {.values = &values,
                               .metadata = &metadata,
                               .assumptions = p->h->config.assumptions,
                               .assumption_count = p->h->config.assumption_count,
                               .irql = DISPATCH_LEVEL};
    struct engine_verdict verdict;
    bool passes = true;
    NTSTATUS status;

    if (engine_snapshot_filters(snapshot, layer->id, &filters) == 0) {
        engine_unpin(reader);
        return true;
    }
    for (UINT16 i = 0; i < layer->field_count; i++)
        fill(&value[i].value, p, (enum meaning)p->h->vswitches->is[place][i]);
    describe(p, layer, &metadata);
    q.layer_data = show(p, place == IN_ETHERNET || place == OUT_ETHERNET);
    host_count_worker(&p->h->lanes[0].classified);
    status = engine_classify_pinned(reader, snapshot, &q, &verdict);
    if (NT_SUCCESS(status))
        tell(p, layer, &q, &verdict, place == OUT_ETHERNET || place == OUT_4 || place == OUT_6);
    if (!NT_SUCCESS(status) || verdict.action == FWP_ACTION_BLOCK) {
        passes = false;
        out->fate =
            NT_SUCCESS(status) && (verdict.flags & ENGINE_VERDICT_ABSORB) != 0 ? HOST_ABSORBED : HOST_BLOCKED;
        out->layer = layer;
        out->filter_id = NT_SUCCESS(status) ? verdict.filter_id : 0;
        if (p->w->source_port == 0)
            ledger_report(
                LEDGER_NOTE, NULL,
                "a virtual switch's frame from port 0 was blocked: it is the switch's own, and trusted");
    }
    engine_unpin(reader);
    return passes;
}

static bool has_transport(const struct passing *p, const struct host_vswitch_port *port)
{
    return p->packet.version != 0 && p->packet.reached >= WIRE_NETWORK &&
           (port == NULL || !port->bypasses_transport);
}

/* ---- the way ------------------------------------------------------------------------------------------------ */

static unsigned all_others(const struct host_vswitch *v, UINT32 source, UINT32 *ports, unsigned most)
{
    unsigned n = 0;

    for (size_t i = 0; i < v->desc.port_count && n < most; i++)
        if (v->ports[i].id != source)
            ports[n++] = v->ports[i].id;
    return n;
}

static void goes_out(struct passing *p, struct host_vswitch_outcome *out)
{
    const struct host_vswitch_desc *d = &p->v->desc;
    struct host_vswitch_outcome each;
    UINT32 ports[DESTINATIONS];
    const uint8_t *bytes;
    uint32_t size;
    unsigned n;

    n = d->destinations != NULL ? d->destinations(d->ctx, &p->packet, p->w->source_port, ports, DESTINATIONS)
                                : all_others(p->v, p->w->source_port, ports, DESTINATIONS);
    for (unsigned i = 0; i < n && i < DESTINATIONS; i++) {
        p->destination = port_of(p->v, ports[i]);
        if (p->destination == NULL)
            continue;
        p->copy = out->copies++;
        if (!ask(p, OUT_ETHERNET, &each) ||
            (has_transport(p, p->destination) && !ask(p, p->packet.version == 4 ? OUT_4 : OUT_6, &each)))
            continue;
        out->delivered++;
        bytes = p->w->bytes;
        size = p->w->size;
        if (p->frame != NULL) /* what callouts left of it */
            bytes = ndis_frame_bytes(p->frame, &size);
        if (d->deliver != NULL)
            d->deliver(d->ctx, p->w->number, ports[i], bytes, size);
    }
}

void vswitch_walk(struct host *h, struct host_vswitch *v, const struct vswitch_walk *w,
                  struct host_vswitch_outcome *out)
{
    struct passing p = {.h = h, .v = v, .w = w, .source = port_of(v, w->source_port)};

    *out = (struct host_vswitch_outcome){.fate = HOST_PASSED};
    wire_parse(WIRE_LINK_ETHERNET, w->bytes, w->size, w->size, &p.packet);
    if (p.packet.mac_at == UINT32_MAX) { /* not even a header */
        out->fate = HOST_IGNORED;
        return;
    }
    if (!v->gone && ask(&p, IN_ETHERNET, out) &&
        (!has_transport(&p, p.source) || ask(&p, p.packet.version == 4 ? IN_4 : IN_6, out)))
        goes_out(&p, out);
    if (p.frame != NULL)
        out->kept = ndis_frame_done(p.frame);
}

void host_vswitch_frame(struct host *h, struct host_vswitch *v, const struct host_vswitch_frame *f,
                        struct host_vswitch_outcome *out)
{
    const struct vswitch_walk w = {
        .bytes = f->bytes, .size = f->size, .number = f->number, .source_port = f->source_port};

    host_advance(h, f->time_ns);
    TURN_OF(&h->lanes[0]);

    vswitch_walk(h, v, &w, out);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Section 16: virtual switches, where a datapath has one: what is seen at ingress and egress (OTH-08, 12), what goes in
 * again (INJ-01, 30), packet contexts (OTH-13). (Events: oth_vswitch_events.c.) */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fwpmk.h"
#include "fwpsk.h"

#include "host/host_vswitch.h"
#include "packet_lab.h"
#include "wire/wire.h"

#define BLOB(name, text) static const FWP_BYTE_BLOB name = {sizeof(text) - 1, (UINT8 *)(text)}
BLOB(switch_id, "the switch");
BLOB(other_id, "another one");
BLOB(nic_a, "nic a");
BLOB(nic_b, "nic b");
BLOB(nic_c, "nic c");
BLOB(vm_a, "vm a");
BLOB(vm_b, "vm b");

/* Ports 1 and 2 are of virtual machines, 3 is the outside's, 4 a trunk. */
static const struct host_vswitch_port four[] = {
    {.id = 1, .nic_index = 5, .nic_type = 2, .nic_id = &nic_a, .vm_id = &vm_a},
    {.id = 2, .nic_index = 6, .nic_type = 2, .nic_id = &nic_b, .vm_id = &vm_b},
    {.id = 3, .nic_index = 1, .nic_type = 0, .nic_id = &nic_c},
    {.id = 4, .bypasses_transport = true},
};

struct call {
    UINT16 layer;
    UINT32 source_port, destination_port, l2, l2_flags, header, flags;
    UINT16 nic_index;
    const FWP_BYTE_BLOB *switch_id, *source_nic, *source_vm, *destination_nic, *destination_vm;
    UINT8 source_type, network_type;
    UINT32 tenant, offset;
    FWPS_PACKET_INJECTION_STATE state;
};

struct lab {
    struct packet_lab p;
    struct host_vswitch *v;
    UINT32 to[8]; /* where the next frame goes */
    unsigned to_count;
    struct {
        UINT32 port;
        UINT64 number;
        uint8_t bytes[512];
        uint32_t size;
    } got[16];
    unsigned got_count;
    struct call calls[32];
    unsigned call_count;
    HANDLE handle;
    struct host_vswitch_outcome outcome;
    UINT64 number;
    uint8_t frame[512];
    size_t size;
    /* what callouts do */
    UINT16 block_at, take_at;
    UINT32 block_port; /* at egress; 0: any */
    NET_BUFFER_LIST *taken[8];
    unsigned taken_count;
};

static unsigned destinations(void *ctx, const struct wire_packet *p, UINT32 source, UINT32 *ports,
                             unsigned most)
{
    struct lab *l = ctx;

    (void)p;
    (void)source;
    for (unsigned i = 0; i < l->to_count && i < most; i++)
        ports[i] = l->to[i];
    return l->to_count;
}

static void deliver(void *ctx, UINT64 number, UINT32 port, const uint8_t *frame, uint32_t size)
{
    struct lab *l = ctx;

    assert_true(l->got_count < 16 && size <= sizeof(l->got[0].bytes));
    l->got[l->got_count].port = port;
    l->got[l->got_count].number = number;
    l->got[l->got_count].size = size;
    memcpy(l->got[l->got_count++].bytes, frame, size);
}

static int begin(void **state)
{
    struct lab *l = calloc(1, sizeof(*l));
    const struct host_vswitch_desc desc = {.id = &switch_id,
                                           .network_type = 1,
                                           .tenant_network_id = 77,
                                           .ports = four,
                                           .port_count = 4,
                                           .destinations = destinations,
                                           .deliver = deliver,
                                           .ctx = l};

    assert_non_null(l);
    packet_lab_open(&l->p, NULL, false);
    assert_int_equal(host_vswitch_add(l->p.d.host.host, &desc, &l->v), 0);
    assert_int_equal(FwpsInjectionHandleCreate0(AF_UNSPEC, FWPS_INJECTION_TYPE_VSWITCH_TRANSPORT, &l->handle),
                     STATUS_SUCCESS);
    *state = l;
    return 0;
}

static int end(void **state)
{
    struct lab *l = *state;

    packet_lab_settle(&l->p);
    assert_int_equal(FwpsInjectionHandleDestroy0(l->handle), STATUS_SUCCESS);
    packet_lab_close(&l->p);
    free(l);
    return 0;
}

/* ---- callouts ---------------------------------------------------------------------------------------------- */

static const FWP_VALUE0 *value(const struct driver_lab_call *c, const GUID *key)
{
    const int at = engine_layer_field(engine_layer_by_id(c->values->layerId), key);
    static const FWP_VALUE0 none = {.type = FWP_EMPTY};

    return at >= 0 ? &c->values->incomingValue[at].value : &none;
}

static const FWP_BYTE_BLOB *blob(const struct driver_lab_call *c, const GUID *key)
{
    const FWP_VALUE0 *v = value(c, key);

    return v->type == FWP_BYTE_BLOB_TYPE ? v->byteBlob : NULL;
}

static void classify(struct driver_lab_script *s, const struct driver_lab_call *c)
{
    struct lab *l = s->ctx;
    struct call *to = &l->calls[l->call_count++];

    assert_true(l->call_count < 32);
    assert_int_equal(rt_carried()->irql, DISPATCH_LEVEL);
    *to = (struct call){.layer = c->values->layerId,
                        .source_port = c->metadata->vSwitchSourcePortId,
                        .destination_port = c->metadata->vSwitchDestinationPortId,
                        .l2 = c->metadata->currentL2MetadataValues,
                        .l2_flags = c->metadata->l2Flags,
                        .header = c->metadata->ethernetMacHeaderSize,
                        .nic_index = c->metadata->vSwitchSourceNicIndex,
                        .flags = value(c, &FWPM_CONDITION_L2_FLAGS)->uint32,
                        .switch_id = blob(c, &FWPM_CONDITION_VSWITCH_ID),
                        .source_nic = blob(c, &FWPM_CONDITION_VSWITCH_SOURCE_INTERFACE_ID),
                        .source_vm = blob(c, &FWPM_CONDITION_VSWITCH_SOURCE_VM_ID),
                        .destination_nic = blob(c, &FWPM_CONDITION_VSWITCH_DESTINATION_INTERFACE_ID),
                        .destination_vm = blob(c, &FWPM_CONDITION_VSWITCH_DESTINATION_VM_ID),
                        .source_type = value(c, &FWPM_CONDITION_VSWITCH_SOURCE_INTERFACE_TYPE)->uint8,
                        .network_type = value(c, &FWPM_CONDITION_VSWITCH_NETWORK_TYPE)->uint8,
                        .tenant = value(c, &FWPM_CONDITION_VSWITCH_TENANT_NETWORK_ID)->uint32,
                        .offset = NET_BUFFER_DATA_OFFSET(NET_BUFFER_LIST_FIRST_NB(c->packet)),
                        .state = FwpsQueryPacketInjectionState0(l->handle, c->packet, NULL)};
    c->out->actionType = FWP_ACTION_PERMIT;
    if (to->layer == l->block_at && (l->block_port == 0 || to->destination_port == l->block_port)) {
        c->out->actionType = FWP_ACTION_BLOCK;
    } else if (to->layer == l->take_at && to->state == FWPS_PACKET_NOT_INJECTED) {
        if ((to->l2_flags & FWPS_L2_INCOMING_FLAG_RECLASSIFY_MULTI_DESTINATION) == 0)
            assert_int_equal(
                FwpsAllocateCloneNetBufferList0(c->packet, NULL, NULL, 0, &l->taken[l->taken_count++]),
                STATUS_SUCCESS);
        c->out->actionType = FWP_ACTION_BLOCK;
        c->out->flags |= FWPS_CLASSIFY_OUT_FLAG_ABSORB;
    }
}

static const struct {
    const GUID *layer;
    UINT16 id;
} layers[] = {
    {&FWPM_LAYER_INGRESS_VSWITCH_ETHERNET, FWPS_LAYER_INGRESS_VSWITCH_ETHERNET},
    {&FWPM_LAYER_EGRESS_VSWITCH_ETHERNET, FWPS_LAYER_EGRESS_VSWITCH_ETHERNET},
    {&FWPM_LAYER_INGRESS_VSWITCH_TRANSPORT_V4, FWPS_LAYER_INGRESS_VSWITCH_TRANSPORT_V4},
    {&FWPM_LAYER_INGRESS_VSWITCH_TRANSPORT_V6, FWPS_LAYER_INGRESS_VSWITCH_TRANSPORT_V6},
    {&FWPM_LAYER_EGRESS_VSWITCH_TRANSPORT_V4, FWPS_LAYER_EGRESS_VSWITCH_TRANSPORT_V4},
    {&FWPM_LAYER_EGRESS_VSWITCH_TRANSPORT_V6, FWPS_LAYER_EGRESS_VSWITCH_TRANSPORT_V6},
};

/* A callout with a filter at this vSwitch layer. */
static void listen(struct lab *l, UINT16 layer)
{
    struct driver_lab_script *s = SCRIPT(&l->p.d, .then = classify, .ctx = l);
    FWPM_CALLOUT0 callout = {.displayData = {(WCHAR *)u"watcher", NULL}};
    FWPM_FILTER0 filter;
    unsigned at = 0;

    while (layers[at].id != layer)
        at++;
    assert_int_equal(driver_lab_register(&l->p.d, s), STATUS_SUCCESS);
    callout.calloutKey = s->key;
    callout.applicableLayer = *layers[at].layer;
    assert_int_equal(FwpmCalloutAdd0(l->p.d.engine, &callout, NULL, NULL), STATUS_SUCCESS);
    filter = bfe_lab_filter(layers[at].layer, FWP_ACTION_CALLOUT_TERMINATING);
    filter.action.calloutKey = s->key;
    assert_int_equal(FwpmFilterAdd0(l->p.d.engine, &filter, NULL, &s->filter_id), STATUS_SUCCESS);
}

static void listen_everywhere(struct lab *l)
{
    for (unsigned i = 0; i < 6; i++)
        listen(l, layers[i].id);
}

/* From a port to others (0 ends them). */
static void send(struct lab *l, UINT32 from, const UINT32 *to, const struct packet *p)
{
    l->size = packet_build(p, l->frame, sizeof(l->frame));
    l->to_count = l->got_count = l->call_count = 0;
    while (to[l->to_count] != 0) {
        l->to[l->to_count] = to[l->to_count];
        l->to_count++;
    }
    host_vswitch_frame(l->p.d.host.host, l->v,
                       &(struct host_vswitch_frame){.bytes = l->frame,
                                                    .size = (uint32_t)l->size,
                                                    .number = ++l->number,
                                                    .time_ns = l->p.d.host.now_ns + l->number,
                                                    .source_port = from},
                       &l->outcome);
}
#define SEND(l, from, to, ...) send((l), (from), (const UINT32[]){to, 0}, &(struct packet){__VA_ARGS__})
#define TO(...)                __VA_ARGS__

static void assert_layers(const struct lab *l, unsigned count, const UINT16 *expected)
{
    assert_int_equal(l->call_count, count);
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(l->calls[i].layer, expected[i]);
}
#define LAYERS(l, ...)                                                                                       \
    assert_layers((l), sizeof((UINT16[]){__VA_ARGS__}) / sizeof(UINT16), (UINT16[]){__VA_ARGS__})

static void is_blob(const FWP_BYTE_BLOB *got, const FWP_BYTE_BLOB *expected)
{
    if (expected == NULL) {
        assert_null(got);
        return;
    }
    assert_non_null(got);
    assert_int_equal(got->size, expected->size);
    assert_memory_equal(got->data, expected->data, expected->size);
}

/* ---- OTH-08 ------------------------------------------------------------------------------------------------ */

static void OTH_08_a_frame_is_seen_at_ingress_and_at_egress(void **state)
{
    struct lab *l = *state;
    const struct call *in = &l->calls[0], *in4 = &l->calls[1], *out = &l->calls[2], *out4 = &l->calls[3];

    listen_everywhere(l);
    SEND(l, 1, TO(2), .vlan = 9, .dport = 53);
    LAYERS(l, FWPS_LAYER_INGRESS_VSWITCH_ETHERNET, FWPS_LAYER_INGRESS_VSWITCH_TRANSPORT_V4,
           FWPS_LAYER_EGRESS_VSWITCH_ETHERNET, FWPS_LAYER_EGRESS_VSWITCH_TRANSPORT_V4);
    assert_int_equal(l->outcome.fate, HOST_PASSED);
    assert_int_equal(l->outcome.copies, 1);
    assert_int_equal(l->outcome.delivered, 1);
    assert_int_equal(l->got_count, 1);
    assert_int_equal(l->got[0].port, 2);
    assert_int_equal(l->got[0].number, l->number);
    assert_int_equal(l->got[0].size, l->size);
    assert_memory_equal(l->got[0].bytes, l->frame, l->size);
    /* who it is from: everywhere */
    for (unsigned i = 0; i < 4; i++) {
        const struct call *c = &l->calls[i];

        assert_int_equal(c->source_port, 1);
        assert_int_equal(c->nic_index, 5);
        is_blob(c->switch_id, &switch_id);
        is_blob(c->source_nic, &nic_a);
        is_blob(c->source_vm, &vm_a);
        assert_int_equal(c->source_type, 2);
        assert_int_equal(c->network_type, 1);
        assert_int_equal(c->tenant, 77);
        assert_int_equal(c->l2 & (FWPS_L2_METADATA_FIELD_VSWITCH_SOURCE_PORT_ID |
                                  FWPS_L2_METADATA_FIELD_VSWITCH_SOURCE_NIC_INDEX),
                         FWPS_L2_METADATA_FIELD_VSWITCH_SOURCE_PORT_ID |
                             FWPS_L2_METADATA_FIELD_VSWITCH_SOURCE_NIC_INDEX);
        assert_int_equal(c->l2 & FWPS_L2_METADATA_FIELD_VSWITCH_PACKET_CONTEXT, 0);
    }
    /* whom for: at egress */
    assert_int_equal(in->l2 & FWPS_L2_METADATA_FIELD_VSWITCH_DESTINATION_PORT_ID, 0);
    assert_int_equal(in4->l2 & FWPS_L2_METADATA_FIELD_VSWITCH_DESTINATION_PORT_ID, 0);
    assert_int_equal(out->l2 & FWPS_L2_METADATA_FIELD_VSWITCH_DESTINATION_PORT_ID,
                     FWPS_L2_METADATA_FIELD_VSWITCH_DESTINATION_PORT_ID);
    assert_int_equal(out4->destination_port, 2);
    is_blob(out->destination_nic, &nic_b);
    is_blob(out4->destination_vm, &vm_b);
    assert_int_equal(out->flags, FWP_CONDITION_L2_IS_NATIVE_ETHERNET | FWP_CONDITION_L2_IS_VM2VM);
    assert_int_equal(in->flags, FWP_CONDITION_L2_IS_NATIVE_ETHERNET);
    /* where the data begin: PKT-08 */
    assert_int_equal(in->offset, 0);
    assert_int_equal(in->header, 18);
    assert_int_equal(in->l2 & FWPS_L2_METADATA_FIELD_ETHERNET_MAC_HEADER_SIZE, 1);
    assert_int_equal(in4->offset, 18);
    assert_int_equal(in4->l2 & FWPS_L2_METADATA_FIELD_ETHERNET_MAC_HEADER_SIZE, 0);
    assert_int_equal(out->offset, 0);
    assert_int_equal(out4->offset, 18);
}

static void OTH_08_transport_layers_see_IP_and_not_every_port(void **state)
{
    struct lab *l = *state;

    listen_everywhere(l);
    SEND(l, 1, TO(2), .ether_type = 0x0806, .no_transport = true, .data = "ARP");
    LAYERS(l, FWPS_LAYER_INGRESS_VSWITCH_ETHERNET, FWPS_LAYER_EGRESS_VSWITCH_ETHERNET);
    SEND(l, 1, TO(3), .src = "fd00::2", .dst = "fd00::1", .dport = 53);
    LAYERS(l, FWPS_LAYER_INGRESS_VSWITCH_ETHERNET, FWPS_LAYER_INGRESS_VSWITCH_TRANSPORT_V6,
           FWPS_LAYER_EGRESS_VSWITCH_ETHERNET, FWPS_LAYER_EGRESS_VSWITCH_TRANSPORT_V6);
    assert_int_equal(l->calls[2].flags & FWP_CONDITION_L2_IS_VM2VM, 0); /* to the outside */
    is_blob(l->calls[2].destination_vm, NULL);
    /* a port in trunk or private VLAN mode */
    SEND(l, 4, TO(2), .dport = 53);
    LAYERS(l, FWPS_LAYER_INGRESS_VSWITCH_ETHERNET, FWPS_LAYER_EGRESS_VSWITCH_ETHERNET,
           FWPS_LAYER_EGRESS_VSWITCH_TRANSPORT_V4);
    SEND(l, 1, TO(4), .dport = 53);
    LAYERS(l, FWPS_LAYER_INGRESS_VSWITCH_ETHERNET, FWPS_LAYER_INGRESS_VSWITCH_TRANSPORT_V4,
           FWPS_LAYER_EGRESS_VSWITCH_ETHERNET);
    assert_int_equal(l->outcome.delivered, 1);
}

static void OTH_08_filters_decide_there_as_elsewhere(void **state)
{
    struct lab *l = *state;
    FWPM_FILTER0 f = bfe_lab_filter(&FWPM_LAYER_EGRESS_VSWITCH_ETHERNET, FWP_ACTION_BLOCK);
    FWPM_FILTER_CONDITION0 c = {
        .fieldKey = FWPM_CONDITION_VSWITCH_DESTINATION_INTERFACE_ID,
        .matchType = FWP_MATCH_EQUAL,
        .conditionValue = {.type = FWP_BYTE_BLOB_TYPE, .byteBlob = (FWP_BYTE_BLOB *)&nic_b}};
    FWPM_FILTER0 g = bfe_lab_filter(&FWPM_LAYER_INGRESS_VSWITCH_TRANSPORT_V4, FWP_ACTION_BLOCK);
    FWPM_FILTER_CONDITION0 d = {.fieldKey = FWPM_CONDITION_IP_DESTINATION_PORT,
                                .matchType = FWP_MATCH_EQUAL,
                                .conditionValue = {.type = FWP_UINT16, .uint16 = 53}};
    UINT64 id;

    f.filterCondition = &c;
    f.numFilterConditions = 1;
    assert_int_equal(FwpmFilterAdd0(l->p.d.engine, &f, NULL, NULL), STATUS_SUCCESS);
    SEND(l, 1, TO(2, 3), .dport = 80);
    assert_int_equal(l->outcome.fate, HOST_PASSED);
    assert_int_equal(l->outcome.copies, 2);
    assert_int_equal(l->got_count, 1);
    assert_int_equal(l->got[0].port, 3);
    g.filterCondition = &d;
    g.numFilterConditions = 1;
    assert_int_equal(FwpmFilterAdd0(l->p.d.engine, &g, NULL, &id), STATUS_SUCCESS);
    SEND(l, 1, TO(3), .dport = 53);
    assert_int_equal(l->outcome.fate, HOST_BLOCKED);
    assert_int_equal(l->outcome.layer->id, FWPS_LAYER_INGRESS_VSWITCH_TRANSPORT_V4);
    assert_int_equal(l->outcome.filter_id, id);
    assert_int_equal(l->outcome.copies, 0);
}

/* Without a datapath that has a switch nothing is indicated there. */
static void OTH_08_the_hosts_own_frames_do_not_pass_a_switch(void **state)
{
    struct lab *l = *state;

    listen_everywhere(l);
    LAB_IN(&l->p.d.host, .dport = 53, .data = "question");
    LAB_OUT(&l->p.d.host, .sport = 53, .dport = 5353, .data = "answer");
    assert_int_equal(l->call_count, 0);
}

static void OTH_08_a_trusted_port_that_is_blocked_is_reported(void **state)
{
    struct lab *l = *state;

    listen(l, FWPS_LAYER_INGRESS_VSWITCH_ETHERNET);
    l->block_at = FWPS_LAYER_INGRESS_VSWITCH_ETHERNET;
    SEND(l, 1, TO(2), .dport = 53);
    assert_int_equal(l->p.d.found[LEDGER_NOTE], 0);
    SEND(l, 0, TO(2), .dport = 53);
    assert_int_equal(l->outcome.fate, HOST_BLOCKED);
    assert_int_equal(l->p.d.found[LEDGER_NOTE], 1);
}

static void OTH_08_switches_are_told_apart(void **state)
{
    struct lab *l = *state;
    struct host *h = l->p.d.host.host;
    struct host_vswitch_desc desc = {.id = &switch_id, .ports = four, .port_count = 4};
    const struct host_vswitch_port twice[] = {{.id = 1}, {.id = 1}};
    struct host_vswitch *other;

    assert_int_equal(host_vswitch_add(h, &desc, &other), -EEXIST);
    desc.id = NULL;
    assert_int_equal(host_vswitch_add(h, &desc, &other), -EINVAL);
    desc.id = &other_id;
    desc.ports = twice;
    desc.port_count = 2;
    assert_int_equal(host_vswitch_add(h, &desc, &other), -EINVAL);
    desc.ports = four;
    desc.port_count = 4;
    assert_int_equal(host_vswitch_add(h, &desc, &other), 0);
    assert_ptr_equal(host_vswitch_by_id(h, &other_id), other);
    assert_ptr_equal(host_vswitch_by_id(h, &switch_id), l->v);
    assert_null(host_vswitch_by_id(h, &nic_a));
}

/* ---- OTH-12 ------------------------------------------------------------------------------------------------ */

/* The documented way: the first copy is cloned and goes in again, the others are absorbed. */
static void OTH_12_later_copies_are_marked(void **state)
{
    struct lab *l = *state;

    listen(l, FWPS_LAYER_EGRESS_VSWITCH_ETHERNET);
    SEND(l, 1, TO(2, 3, 4), .mac_dst = (const uint8_t *)"\xff\xff\xff\xff\xff\xff", .dport = 53);
    assert_int_equal(l->call_count, 3);
    assert_int_equal(l->got_count, 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(l->calls[i].destination_port, 2 + i);
        assert_int_equal(l->calls[i].l2_flags,
                         i == 0 ? 0 : FWPS_L2_INCOMING_FLAG_RECLASSIFY_MULTI_DESTINATION);
    }
    l->take_at = FWPS_LAYER_EGRESS_VSWITCH_ETHERNET;
    SEND(l, 1, TO(2, 3, 4), .mac_dst = (const uint8_t *)"\xff\xff\xff\xff\xff\xff", .dport = 53);
    assert_int_equal(l->taken_count, 1);
    assert_int_equal(l->got_count, 0);
    assert_true(l->outcome.kept);
    assert_int_equal(FwpsInjectvSwitchEthernetIngressAsync0(l->handle, NULL, 0, NULL, &switch_id, 1, 5,
                                                            l->taken[0], packet_lab_completed, &l->p),
                     STATUS_SUCCESS);
    packet_lab_settle(&l->p);
    assert_int_equal(l->p.completed, 1);
    assert_int_equal(l->got_count, 3);
    assert_int_equal(l->got[2].number, l->number); /* of the frame that it stems from */
    assert_int_equal(l->p.released_count, 1);
}

/* ---- injection --------------------------------------------------------------------------------------------- */

static void INJ_10_what_goes_in_again_passes_the_whole_switch(void **state)
{
    struct lab *l = *state;

    listen_everywhere(l);
    l->take_at = FWPS_LAYER_INGRESS_VSWITCH_ETHERNET;
    SEND(l, 1, TO(2), .dport = 53);
    assert_int_equal(l->outcome.fate, HOST_ABSORBED);
    l->call_count = 0;
    assert_int_equal(FwpsInjectvSwitchEthernetIngressAsync0(l->handle, (HANDLE)9, 0, NULL, &switch_id, 1, 8,
                                                            l->taken[0], packet_lab_completed, &l->p),
                     STATUS_SUCCESS);
    packet_lab_settle(&l->p);
    LAYERS(l, FWPS_LAYER_INGRESS_VSWITCH_ETHERNET, FWPS_LAYER_INGRESS_VSWITCH_TRANSPORT_V4,
           FWPS_LAYER_EGRESS_VSWITCH_ETHERNET, FWPS_LAYER_EGRESS_VSWITCH_TRANSPORT_V4);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(l->calls[i].state, FWPS_PACKET_INJECTED_BY_SELF);
        assert_int_equal(l->calls[i].nic_index, 8); /* as it was told */
    }
    assert_int_equal(l->got_count, 1);
    assert_memory_equal(l->got[0].bytes, l->frame, l->size);
    assert_int_equal(l->p.emitted_count, 0); /* it leaves by its switch */
    assert_int_equal(l->p.d.found[LEDGER_NOTE], 0);
}

static void INJ_30_a_chain_into_a_switch_is_completed_list_by_list(void **state)
{
    struct lab *l = *state;
    NET_BUFFER_LIST *first, *second;

    listen(l, FWPS_LAYER_INGRESS_VSWITCH_ETHERNET);
    SEND(l, 1, TO(2), .dport = 53);
    first = packet_lab_own(&l->p, l->frame, l->size, 0);
    second = packet_lab_own(&l->p, l->frame, 12, 0); /* not even a header */
    NET_BUFFER_LIST_NEXT_NBL(first) = second;
    l->got_count = 0;
#define INJECT(handle, id, list, fn)                                                                         \
    FwpsInjectvSwitchEthernetIngressAsync0((handle), NULL, 0, NULL, (id), 1, 5, (list), (fn), &l->p)
    assert_int_equal(INJECT(l->p.l2, &switch_id, first, packet_lab_completed),
                     STATUS_FWP_INJECT_HANDLE_STALE);
    assert_int_equal(INJECT(l->handle, &other_id, first, packet_lab_completed), STATUS_INVALID_PARAMETER);
    assert_int_equal(INJECT(l->handle, &switch_id, first, NULL), STATUS_FWP_NULL_POINTER);
    assert_int_equal(INJECT(l->handle, &switch_id, first, packet_lab_completed), STATUS_SUCCESS);
    packet_lab_settle(&l->p);
    assert_int_equal(l->p.completed, 2);
    assert_int_equal(l->p.statuses[0], STATUS_SUCCESS);
    assert_int_equal(l->p.statuses[1], STATUS_INVALID_PARAMETER);
    assert_int_equal(l->got_count, 1);
}

/* ---- OTH-13 ------------------------------------------------------------------------------------------------ */

static void OTH_13_packet_contexts_are_nothing(void **state)
{
    struct lab *l = *state;

    FwpsReferencevSwitchPacketContext0(NULL);
    FwpsReferencevSwitchPacketContext0((HANDLE)1);
    FwpsDereferencevSwitchPacketContext0((HANDLE)2);
    for (unsigned i = 0; i < LEDGER_FAULTS; i++)
        assert_int_equal(l->p.d.found[i], 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(OTH_08_a_frame_is_seen_at_ingress_and_at_egress),
        TEST(OTH_08_transport_layers_see_IP_and_not_every_port),
        TEST(OTH_08_filters_decide_there_as_elsewhere),
        TEST(OTH_08_the_hosts_own_frames_do_not_pass_a_switch),
        TEST(OTH_08_a_trusted_port_that_is_blocked_is_reported),
        TEST(OTH_08_switches_are_told_apart),
        TEST(OTH_12_later_copies_are_marked),
        TEST(INJ_10_what_goes_in_again_passes_the_whole_switch),
        TEST(INJ_30_a_chain_into_a_switch_is_completed_list_by_list),
        TEST(OTH_13_packet_contexts_are_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

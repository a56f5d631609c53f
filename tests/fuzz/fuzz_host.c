/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes a host: the input is a program of a small policy and of steps: frames that are sound and then
 * damaged at chosen places, socket calls, changes of policy, time; and the last frame's bytes, injected at a MAC layer
 * or given to a virtual switch. The frames share few addresses and ports, so that they meet the same flows.
 *
 * Held after each frame: one fate a frame, nothing beyond the limits, an outcome that is fully told; each injection is
 * completed, and emitted or lost as often as it has packets. The
 * whole program is run twice, with another seed of the hash, and must tell the same both times.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../support/packets.h"
#include "host/host_inject.h"
#include "host/host_vswitch.h"
#include "host/internal.h"
#include "ndis/nbl.h"
#include "stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SOCKETS 4
#define RULES   8

struct run {
    struct stream s;
    struct engine *engine;
    struct host *host;
    struct host_endpoint *sockets[SOCKETS];
    UINT64 rules[RULES];
    UINT16 layers[RULES];
    UINT64 next_id, now, frame, told;
    struct host_vswitch *vswitch;
    HANDLE l2;
    NDIS_HANDLE pool;
    UINT64 accepted, completed, out, lost;
    size_t size; /* of the last frame, in bytes[] */
    uint8_t bytes[2048];
};

static void mix(struct run *r, UINT64 x)
{
    r->told = (r->told ^ x) * 0x9e3779b97f4a7c15ull;
    r->told ^= r->told >> 29;
}

static void on_classified(void *ctx, const struct host_event *e)
{
    struct run *r = ctx;

    engine_request_complete(e->request);
    REQUIRE(e->request->values->valueCount == e->layer->field_count);
    mix(r, e->layer->id);
    mix(r, e->flow_id);
    mix(r, e->answer->verdict.filter_id);
    mix(r, (UINT64)e->cause);
    if (e->request->metadata != NULL)
        mix(r, e->request->metadata->currentMetadataValues);
    if (e->packet != NULL) {
        uint8_t start[64];
        size_t n = ndis_packet_read(e->packet, start, sizeof(start));

        for (size_t i = 0; i < n; i++)
            mix(r, start[i]);
    }
}

static void on_flow(void *ctx, enum host_flow_change change, const struct host_flow_info *f)
{
    mix(ctx, (UINT64)change << 32 | (UINT64)f->end);
    mix(ctx, f->id);
}

static void on_stream(void *ctx, UINT64 flow_id, bool out, const uint8_t *bytes, uint32_t size, uint32_t lost)
{
    mix(ctx, flow_id ^ (UINT64)out << 63 ^ lost);
    for (uint32_t i = 0; i < size; i++)
        mix(ctx, bytes[i]);
}

static void on_reassembled(void *ctx, UINT64 frame, const uint8_t *packet, uint32_t size)
{
    mix(ctx, frame);
    for (uint32_t i = 0; i < size; i++)
        mix(ctx, packet[i]);
}

static bool listening(void *ctx, uint8_t version, uint8_t protocol, const union wire_addr *local, UINT16 port)
{
    (void)ctx;
    (void)version;
    (void)protocol;
    (void)local;
    return port != 3;
}

/* ---- policy ------------------------------------------------------------------------------------------- */

static void add_rule(struct run *r)
{
    enum host_layer role = (enum host_layer)take_below(&r->s, LAYER_ROLES);
    uint8_t how = take8(&r->s), field = take8(&r->s), value = take8(&r->s);
    UINT16 id = (how & 4) != 0 && layer_discard_id(role, 4) != 0xffff
                    ? layer_discard_id(role, how & 8 ? 6 : 4)
                    : layer_id(role, how & 8 ? 6 : 4);
    const struct engine_layer *layer = engine_layer_by_id(id);
    UINT64 weight = r->next_id;
    FWPS_FILTER_CONDITION0 c = {.fieldId = (UINT16)(field % layer->field_count),
                                .matchType = FWP_MATCH_EQUAL};
    FWPS_FILTER3 fwps = {.filterId = r->next_id,
                         .weight = {.type = FWP_UINT64, .uint64 = &weight},
                         .subLayerWeight = 1,
                         .filterCondition = &c,
                         .numFilterConditions = how & 1,
                         .action = {.type = how & 2 ? FWP_ACTION_PERMIT : FWP_ACTION_BLOCK}};
    struct engine_filter_desc desc = {.layer_id = id, .fwps = &fwps, .sublayer_seq = 1};
    unsigned slot = (unsigned)(r->next_id % RULES);
    struct engine_filter *f;
    struct engine_txn *t;

    c.conditionValue.type = layer->fields[c.fieldId].data_type;
    if (c.conditionValue.type > FWP_UINT32 || c.conditionValue.type == FWP_EMPTY)
        fwps.numFilterConditions = 0;
    else
        c.conditionValue.uint32 = value;
    if (engine_filter_create(&desc, &f) != 0)
        return;
    REQUIRE(engine_txn_begin(r->engine, &t) == 0);
    if (r->rules[slot] != 0)
        REQUIRE(engine_txn_remove(t, r->layers[slot], r->rules[slot]) == 0);
    REQUIRE(engine_txn_add(t, f) == 0);
    REQUIRE(engine_txn_commit(t) == 0);
    engine_filter_unref(f);
    r->rules[slot] = r->next_id++;
    r->layers[slot] = id;
}

/* ---- frames ------------------------------------------------------------------------------------------- */

static void check(struct run *r, const struct host_outcome *o)
{
    struct host_counts c;
    UINT64 sum = 0;

    REQUIRE(o->fate < HOST_FATES && o->note < HOST_NOTES);
    REQUIRE(o->fate != HOST_BLOCKED || o->reason == FWPS_DISCARD_FIREWALL_POLICY);
    REQUIRE(o->fate != HOST_STACK || o->layer != NULL);
    REQUIRE(o->fate != HOST_CONSEQUENCE || o->note != HOST_NOTE_NONE);
    host_counts(r->host, &c);
    for (int i = 0; i < HOST_FATES; i++)
        sum += c.fates[i];
    REQUIRE(sum == c.frames && c.frames == r->frame);
    REQUIRE(c.flows_live <= 16 && c.endpoints_live <= 16);
    mix(r, (UINT64)o->fate << 32 | (UINT64)o->note << 24 | o->reason);
    mix(r, o->flow_id);
    mix(r, o->filter_id);
}

static void frame(struct run *r)
{
    static const char *const v4[] = {"10.0.0.1",  "10.0.0.2",        "10.0.0.3", "127.0.0.1",
                                     "224.0.0.1", "255.255.255.255", "0.0.0.0",  "192.0.2.1"};
    static const char *const v6[] = {"fd00::1", "fd00::2",  "fe80::1", "::1",
                                     "ff02::1", "ff02::fb", "::",      "fd00::3"};
    static const uint8_t protocols[] = {
        WIRE_PROTOCOL_TCP, WIRE_PROTOCOL_TCP,  WIRE_PROTOCOL_TCP,  WIRE_PROTOCOL_UDP,
        WIRE_PROTOCOL_UDP, WIRE_PROTOCOL_ICMP, WIRE_PROTOCOL_ICMP, 47};
    static const uint8_t macs[2][6] = {{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}};
    uint8_t a = take8(&r->s), b = take8(&r->s), c = take8(&r->s), d = take8(&r->s), e = take8(&r->s);
    bool six = (a & 1) != 0, out = (a & 2) != 0;
    struct packet quoted = {.src = out ? "10.0.0.2" : "10.0.0.1",
                            .dst = out ? "10.0.0.1" : "10.0.0.2",
                            .sport = (uint16_t)(1 + (d & 3)),
                            .dport = (uint16_t)(1 + (d >> 2 & 3)),
                            .fill = 8};
    struct packet p = {.link = (a & 0xc0) == 0xc0 ? PACKET_RAW : PACKET_ETHERNET,
                       .protocol = protocols[b & 7],
                       .src = six ? v6[out ? 0 : b >> 3 & 7] : v4[out ? 0 : b >> 3 & 7],
                       .dst = six ? v6[out ? b >> 3 & 7 : 0] : v4[out ? b >> 3 & 7 : 0],
                       .mac_src = macs[!out],
                       .mac_dst = macs[out],
                       .sport = (uint16_t)(1 + (c & 3)),
                       .dport = (uint16_t)(1 + (c >> 2 & 3)),
                       .tcp_flags = d & 0x3f,
                       .seq = 1000 + (uint32_t)(e & 31) * 3,
                       .ack = 1000 + (uint32_t)(e >> 5) * 12,
                       .icmp_type = (uint8_t)(six ? 126 + (d & 7) : d & 15),
                       .icmp_id = c & 3,
                       .id = e & 3,
                       .fill = (size_t)(c >> 4) * 5};
    struct wire_packet w;
    struct host_frame f = {.packet = &w, .interface_index = (a & 0x20) != 0 ? 2 : 1};
    struct host_outcome o;
    uint32_t captured;
    unsigned damage;
    uint8_t *copy;
    size_t n;

    if (six && p.icmp_type < 128)
        p.icmp_type = 1;
    if (!six && (p.icmp_type == 3 || p.icmp_type == 11) && p.protocol == WIRE_PROTOCOL_ICMP)
        p.quotes = &quoted;
    if ((a & 0x10) != 0 && p.fill >= 16 && p.quotes == NULL)
        n = packet_fragment(&p, (size_t)(e & 4) * 4, (size_t)(e & 8) + 16, r->bytes, sizeof(r->bytes));
    else
        n = packet_build(&p, r->bytes, sizeof(r->bytes));
    damage = take8(&r->s);
    for (unsigned i = 0; i < (damage & 3); i++) {
        uint8_t at = take8(&r->s);

        r->bytes[at % n] = take8(&r->s);
    }
    r->size = n;
    captured = (damage & 0x80) != 0 ? (uint32_t)take8(&r->s) : (uint32_t)n;
    if (captured > n)
        captured = (uint32_t)n;
    f.way = (damage & 0x40) != 0 ? HOST_WAY_UNKNOWN : out ? HOST_WAY_OUT : HOST_WAY_IN;
    copy = malloc(captured + 1); /* so that a byte too far is found */
    REQUIRE(copy != NULL);
    memcpy(copy, r->bytes, captured);
    wire_parse(packet_link_type(p.link), copy, captured, (uint32_t)n, &w);
    r->now += 1000000ull * (damage >> 2 & 15);
    f.number = ++r->frame;
    f.time_ns = r->now;
    host_prefetch(r->host, &f, 1);
    host_frame(r->host, &f, &o);
    free(copy);
    check(r, &o);
}

/* ---- frames of drivers, and of a virtual switch -------------------------------------------------------- */

static void on_emit(void *ctx, const struct host_emitted *e)
{
    struct run *r = ctx;
    struct wire_packet w;

    if (!e->frame) /* fragments that waited as a group */
        return;
    r->out++;
    /* In one piece, and an Ethernet's still. */
    wire_parse(WIRE_LINK_ETHERNET, e->link, e->link_size + e->size, e->link_size + e->size, &w);
    REQUIRE(e->bytes == e->link + e->link_size);
    REQUIRE(w.mac_at == 0 && w.version == e->version);
    mix(r, e->size);
    mix(r, e->flow_id);
}

static void on_lost(void *ctx, const struct host_emitted *e, const struct host_outcome *how)
{
    struct run *r = ctx;

    r->lost += e->frame;
    mix(r, how->fate);
}

static void NTAPI on_complete(void *context, NET_BUFFER_LIST *list, BOOLEAN dispatch)
{
    MDL *mdl = NET_BUFFER_FIRST_MDL(NET_BUFFER_LIST_FIRST_NB(list));
    void *bytes = MmGetMdlVirtualAddress(mdl);
    struct run *r = context;

    (void)dispatch;
    r->completed++;
    mix(r, (UINT64)NET_BUFFER_LIST_STATUS(list));
    ndis_nbl_free(list, NDIS_MADE_OWN, NDIS_BY_FWPS, NULL);
    IoFreeMdl(mdl);
    free(bytes);
}

static NET_BUFFER_LIST *list_of(struct run *r, size_t size)
{
    uint8_t *copy = malloc(size + 1);
    NET_BUFFER_LIST *list;
    MDL *mdl;

    REQUIRE(copy != NULL);
    memcpy(copy, r->bytes, size);
    mdl = IoAllocateMdl(copy, (ULONG)(size + 1), FALSE, FALSE, NULL);
    REQUIRE(mdl != NULL);
    MmBuildMdlForNonPagedPool(mdl);
    list = ndis_nbl_own(r->pool, 0, 0, true, mdl, 0, size, NDIS_BY_FWPS, NULL);
    REQUIRE(list != NULL);
    return list;
}

/* One or two of the last frame, cut perhaps, at any MAC layer. */
static void inject(struct run *r, uint8_t how)
{
    static const UINT16 layers[4] = {
        FWPS_LAYER_INBOUND_MAC_FRAME_NATIVE, FWPS_LAYER_INBOUND_MAC_FRAME_ETHERNET,
        FWPS_LAYER_OUTBOUND_MAC_FRAME_ETHERNET, FWPS_LAYER_OUTBOUND_MAC_FRAME_NATIVE};
    const uint8_t a = take8(&r->s);
    size_t size = r->size;
    struct host_injection what = {.kind = (how & 2) != 0 ? HOST_INJECT_MAC_SEND : HOST_INJECT_MAC_RECEIVE,
                                  .handle = r->l2,
                                  .layer = layers[how & 3],
                                  .interface_index = a & 3,
                                  .complete = on_complete,
                                  .complete_context = r};

    if ((a & 0x80) != 0 && size > (a >> 2 & 31))
        size = a >> 2 & 31;
    if (size == 0)
        return;
    what.list = list_of(r, size);
    if ((a & 0x40) != 0)
        what.list->Next = list_of(r, size);
    r->accepted += 1 + ((a & 0x40) != 0);
    REQUIRE(host_inject(r->host, &what) == STATUS_SUCCESS);
    REQUIRE(r->completed == r->accepted); /* in the caller */
    REQUIRE(r->out + r->lost == r->accepted);
}

static void through_switch(struct run *r, uint8_t how)
{
    struct host_vswitch_outcome o;
    struct host_vswitch_frame f = {.bytes = r->bytes,
                                   .size = (uint32_t)r->size,
                                   .number = r->frame,
                                   .time_ns = r->now,
                                   .source_port = how};
    uint8_t *copy;

    if (r->size == 0)
        return;
    if (how == 7)
        f.size = f.size < 20 ? f.size : 20;
    copy = malloc(f.size);
    REQUIRE(copy != NULL);
    f.bytes = memcpy(copy, r->bytes, f.size);
    host_vswitch_frame(r->host, r->vswitch, &f, &o);
    REQUIRE(o.delivered <= o.copies && o.copies <= 3 && !o.kept);
    REQUIRE((o.fate == HOST_BLOCKED) == (o.layer != NULL));
    mix(r, o.delivered);
    mix(r, o.filter_id);
    free(copy);
}

/* ---- the program -------------------------------------------------------------------------------------- */

static void socket_call(struct run *r)
{
    unsigned n = take_below(&r->s, SOCKETS);
    uint8_t how = take8(&r->s);
    struct host_socket s = {.version = how & 1 ? 6 : 4,
                            .protocol = how & 2 ? WIRE_PROTOCOL_TCP : WIRE_PROTOCOL_UDP,
                            .dual_stack = (how & 4) != 0,
                            .raw = (how & 8) != 0,
                            .port = (UINT16)(1 + (how >> 4 & 3))};
    union wire_addr group = {.zero = {0}};

    if (r->sockets[n] == NULL) {
        if (!NT_SUCCESS(host_bind(r->host, &s, &r->sockets[n])))
            r->sockets[n] = NULL;
        return;
    }
    switch (how & 7) {
    case 0:
    case 1:
        host_close(r->host, r->sockets[n]);
        r->sockets[n] = NULL;
        break;
    case 2:
    case 3:
        (void)host_listen(r->host, r->sockets[n]);
        break;
    case 4:
        (void)host_reclassify(r->host, r->sockets[n]);
        break;
    default:
        (void)wire_addr_parse(how & 0x40 ? "224.0.0.1" : "ff02::1", &group, NULL);
        (void)host_membership(r->host, r->sockets[n], &group, (how & 0x80) != 0);
    }
}

static void add_address(struct run *r, UINT32 interface, const char *text)
{
    union wire_addr a;
    unsigned bits;
    uint8_t version = wire_addr_parse(text, &a, &bits);

    REQUIRE(host_address_add(r->host, interface, version, &a, bits, false) == 0);
}

static UINT64 play(const uint8_t *data, size_t size, UINT64 seed)
{
    static const struct host_interface_desc one = {
        .name = "one", .luid = 1, .index = 1, .type = 6, .mac = {2, 0, 0, 0, 0, 1}, .forwarding = true};
    struct host_interface_desc two = {.name = "two", .luid = 2, .index = 2, .type = 6};
    struct run *r = calloc(1, sizeof(*r));
    struct host_config config = {.limits = {.flows = 16,
                                            .endpoints = 16,
                                            .fragment_bytes = 4096,
                                            .datagrams = 4,
                                            .stream_bytes = 4096,
                                            .segments_a_flow = 4},
                                 .observer = {.ctx = r,
                                              .classified = on_classified,
                                              .flow = on_flow,
                                              .stream = on_stream,
                                              .reassembled = on_reassembled},
                                 .listening = listening,
                                 .emit = on_emit,
                                 .lost = on_lost,
                                 .ctx = r,
                                 .seed = seed};
    static const FWP_BYTE_BLOB id = {1, (UINT8 *)"s"}, nic = {1, (UINT8 *)"n"};
    const struct host_vswitch_port ports[3] = {{.id = 1, .nic_id = &nic, .vm_id = &nic},
                                               {.id = 2, .nic_id = &nic},
                                               {.id = 3, .bypasses_transport = true}};
    const struct host_vswitch_desc desc = {.id = &id, .ports = ports, .port_count = 3};
    const NET_BUFFER_LIST_POOL_PARAMETERS pool = {
        .Header = {NDIS_OBJECT_TYPE_DEFAULT, NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1,
                   NDIS_SIZEOF_NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1},
        .fAllocateNetBuffer = TRUE,
    };
    uint8_t knobs;
    UINT64 told;

    REQUIRE(r != NULL);
    r->s = (struct stream){data, size};
    r->next_id = 1;
    knobs = take8(&r->s);
    config.knobs = (struct host_knobs){.shorten_idle = knobs & 1,
                                       .forward_ip_layers = knobs >> 1 & 1,
                                       .fragment_grouping = knobs >> 2 & 1,
                                       .mapped_v6 = knobs >> 3 & 1,
                                       .l2_layers = knobs >> 4 & 1,
                                       .verify_checksums = knobs >> 5 & 1,
                                       .split_mdl = knobs >> 6 & 1 ? 3 : 0,
                                       .inject_in_caller = true};
    two.weak_host_receive = two.weak_host_send = knobs >> 7 & 1;
    REQUIRE(engine_create(&r->engine) == 0);
    config.engine = r->engine;
    REQUIRE(host_create(&config, &r->host) == 0);
    REQUIRE(host_interface_add(r->host, &one) == 0);
    REQUIRE(host_interface_add(r->host, &two) == 0);
    add_address(r, 1, "10.0.0.1/24");
    add_address(r, 1, "fd00::1/64");
    add_address(r, 2, "10.0.0.3/24");
    REQUIRE(host_vswitch_add(r->host, &desc, &r->vswitch) == 0);
    REQUIRE(host_injection_create(r->host, 0, FWPS_INJECTION_TYPE_L2, &r->l2) == STATUS_SUCCESS);
    r->pool = NdisAllocateNetBufferListPool(NULL, &pool);
    REQUIRE(r->pool != NULL);
    while (r->s.size != 0 && r->frame < 512) {
        uint8_t op = take8(&r->s);

        switch (op & 15) {
        case 0:
            add_rule(r);
            break;
        case 1:
            socket_call(r);
            break;
        case 2:
            r->now += 250000000ull * (op >> 4) * (op >> 4);
            host_advance(r->host, r->now);
            break;
        case 3:
            host_set_profile(r->host, 1, op >> 4);
            break;
        case 4:
            inject(r, op >> 4);
            break;
        case 5:
            through_switch(r, op >> 4);
            break;
        default:
            frame(r);
        }
    }
    if (knobs & 1)
        host_shutdown(r->host);
    told = r->told;
    for (unsigned i = 0; i < SOCKETS; i++)
        if (r->sockets[i] != NULL && (knobs & 1) == 0)
            host_close(r->host, r->sockets[i]);
    REQUIRE(host_injection_destroy(r->host, r->l2) == STATUS_SUCCESS);
    host_destroy(r->host);
    NdisFreeNetBufferListPool(r->pool);
    engine_destroy(r->engine);
    free(r);
    return told;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    REQUIRE(play(data, size, 1) == play(data, size, 2));
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The input is a sequence of events for a host with callouts at BR, CR and EC: packets, binds, closes, aborts, time, and
 * fragments, ICMP errors, what the callouts do with their classify handles, right or wrong: acquire, write anything, apply with any pointer, pend,
 * complete, release, in any order, of any indication that ever was, within the classify and later. What must hold: nothing
 * is read or written that is not there; a handle that was released and completed names nothing; no step that the table does
 * not know; and after all was completed and released nothing waits and nothing is left.
 */
#include <stdint.h>

#include "host/host_redirect.h"
#include "host/host.h"
#include "stream.h"

#define HANDLES 24
#define SOCKETS 4

struct held {
    UINT64 handle;
    UINT64 filter;
    void *data;
    bool bind;
    bool mine, pended; /* what is owed: a release, a completion */
};

static struct world {
    struct engine *engine;
    struct host *host;
    struct stream *input;
    struct held of[HANDLES];
    struct host_endpoint *sockets[SOCKETS];
    HANDLE redirect;
    unsigned depth;
    UINT64 now_ms, frame, next_filter;
} w;

static struct held *any(void)
{
    return &w.of[take_below(w.input, HANDLES)];
}

static void scribble(const struct held *k)
{
    FWPS_CONNECT_REQUEST0 *r = k->data;

    if (k->data == NULL)
        return;
    if (k->bind) {
        SOCKADDR_IN *in = (SOCKADDR_IN *)&((FWPS_BIND_REQUEST0 *)k->data)->localAddressAndPort;

        in->sin_port = take16(w.input);
        if (take8(w.input) & 1)
            in->sin_addr.S_un.S_addr = (take8(w.input) & 1) ? 0x0100000a : (UINT32)take16(w.input);
        if (take8(w.input) == 7)
            in->sin_family = take8(w.input);
        return;
    }
    ((SOCKADDR_IN *)&r->remoteAddressAndPort)->sin_port = take16(w.input);
    if (take8(w.input) & 1)
        ((SOCKADDR_IN *)&r->remoteAddressAndPort)->sin_addr.S_un.S_addr = 0x0000000a | (UINT32)take8(w.input)
                                                                                           << 24;
    if (take8(w.input) == 7)
        ((SOCKADDR_IN *)&r->localAddressAndPort)->sin_port = take16(w.input);
    if (take8(w.input) == 7)
        r->remoteAddressAndPort.ss_family = take8(w.input);
    if (take8(w.input) & 1) {
        r->localRedirectTargetPID = 7;
        r->localRedirectHandle = w.redirect;
    }
    if (take8(w.input) == 7)
        r->previousVersion = (void *)(uintptr_t)take16(w.input);
}

static void one_call(void)
{
    static int nowhere;
    const FWPS_CLASSIFY_OUT0 out = {.actionType = take8(w.input) & 1 ? FWP_ACTION_PERMIT : FWP_ACTION_BLOCK};
    struct held *k = any();
    void *data;

    switch (take_below(w.input, 7)) {
    case 0:
        if (host_classify_pend(w.host, k->handle, k->filter) == STATUS_SUCCESS)
            k->pended = true;
        break;
    case 1:
        if (host_classify_writable(w.host, k->handle, k->filter, &data, NULL) == STATUS_SUCCESS)
            k->data = data;
        break;
    case 2: { /* what was acquired is good until the indication is over, which is not known here: only just acquired */
        if (host_classify_writable(w.host, k->handle, k->filter, &data, NULL) != STATUS_SUCCESS)
            break;
        k->data = data;
        scribble(k);
        (void)host_classify_apply(w.host, k->handle, take8(w.input) & 1 ? data : &nowhere,
                                  take8(w.input) & 1);
        k->data = NULL;
        break;
    }
    case 3:
        (void)host_classify_apply(w.host, k->handle, &nowhere, take8(w.input));
        break;
    case 4: {
        const UINT32 faults =
            host_classify_complete(w.host, k->handle, take8(w.input) % 4 == 0 ? NULL : &out);

        if (k->pended)
            REQUIRE((faults & (HOST_CLASSIFY_NO_HANDLE | HOST_CLASSIFY_NOT_PENDED | HOST_CLASSIFY_TWICE)) ==
                    0);
        k->pended = false;
        break;
    }
    default: {
        const UINT32 faults = host_classify_release(w.host, k->handle);

        if (k->mine)
            REQUIRE(faults == 0);
        k->mine = false;
        break;
    }
    }
}

static void NTAPI classify(const FWPS_INCOMING_VALUES0 *values, const FWPS_INCOMING_METADATA_VALUES0 *m,
                           void *layer_data, const void *context, const FWPS_FILTER3 *filter, UINT64 flow,
                           FWPS_CLASSIFY_OUT0 *out)
{
    struct held *k = any();

    (void)m;
    (void)layer_data;
    (void)flow;
    out->actionType = FWP_ACTION_PERMIT;
    if (w.depth++ < 4 && !k->mine && !k->pended) {
        REQUIRE(host_classify_acquire(w.host, context, &k->handle) == STATUS_SUCCESS);
        k->mine = true;
        k->filter = filter->filterId;
        k->bind = values->layerId == FWPS_LAYER_ALE_BIND_REDIRECT_V4;
        k->data = NULL;
        for (unsigned n = take_below(w.input, 6); n != 0; n--)
            one_call();
    }
    w.depth--;
    if (take8(w.input) % 4 == 0)
        out->actionType = FWP_ACTION_BLOCK;
}

static const UINT16 layers[] = {FWPS_LAYER_ALE_BIND_REDIRECT_V4, FWPS_LAYER_ALE_CONNECT_REDIRECT_V4,
                                FWPS_LAYER_ALE_ENDPOINT_CLOSURE_V4, FWPS_LAYER_ALE_CONNECT_REDIRECT_V4};

static void add_filter(UINT16 layer, UINT32 callout)
{
    UINT64 weight = callout;
    FWPS_FILTER3 fwps = {.filterId = w.next_filter++,
                         .weight = {.type = FWP_UINT64, .uint64 = &weight},
                         .subLayerWeight = (UINT16)callout,
                         .action = {.type = FWP_ACTION_CALLOUT_TERMINATING, .calloutId = callout}};
    struct engine_filter_desc desc = {.layer_id = layer,
                                      .fwps = &fwps,
                                      .callout_key = {.Data1 = callout},
                                      .sublayer_key = {.Data1 = callout}};
    struct engine_filter *f;
    struct engine_txn *x;

    REQUIRE(engine_filter_create(&desc, &f) == 0);
    REQUIRE(engine_txn_begin(w.engine, &x) == 0);
    REQUIRE(engine_txn_add(x, f) == 0);
    REQUIRE(engine_txn_commit(x) == 0);
    engine_filter_unref(f);
}

static void open_world(struct stream *input)
{
    static const GUID provider = {.Data1 = 1};
    const struct host_interface_desc i = {.name = "one", .luid = 1, .index = 1, .type = 6};
    const union wire_addr local = {.v4 = 0x0a000001};
    struct host_config config = {.start_ns = 1000000000ull};

    memset(&w, 0, sizeof(w));
    w.input = input;
    w.now_ms = 1000;
    w.next_filter = 1;
    REQUIRE(engine_create(&w.engine) == 0);
    for (UINT32 n = 0; n < sizeof(layers) / sizeof(layers[0]); n++) {
        const struct engine_callout c = {.key = {.Data1 = n + 1},
                                         .version = 3,
                                         .classify.v3 = classify,
                                         .id = n + 1,
                                         .layer_id = layers[n]};

        REQUIRE(engine_callout_register(w.engine, &c) == 0);
        add_filter(layers[n], n + 1);
    }
    config.engine = w.engine;
    config.knobs.redirect_block_enforced = take8(input) & 1;
    config.live = take8(input) & 1;
    REQUIRE(host_create(&config, &w.host) == 0);
    REQUIRE(host_interface_add(w.host, &i) == 0);
    REQUIRE(host_address_add(w.host, 1, 4, &local, 24, false) == 0);
    REQUIRE(host_redirect_handle_create(w.host, &provider, &w.redirect) == STATUS_SUCCESS);
}

static void put16(uint8_t *at, unsigned v)
{
    at[0] = (uint8_t)(v >> 8);
    at[1] = (uint8_t)v;
}

static void give(const uint8_t *bytes, unsigned size, bool in, struct wire_packet *wire,
                 struct host_outcome *out)
{
    wire_parse(WIRE_LINK_RAW, bytes, size, size, wire);
    host_frame(w.host,
               &(struct host_frame){.packet = wire,
                                    .number = ++w.frame,
                                    .time_ns = ++w.now_ms * 1000000,
                                    .interface_index = 1,
                                    .way = in ? HOST_WAY_IN : HOST_WAY_OUT},
               out);
}

static void ip_header(uint8_t *b, bool in, unsigned protocol, unsigned size)
{
    b[0] = 0x45;
    put16(b + 2, size);
    b[8] = 64;
    b[9] = (uint8_t)protocol;
    b[12] = b[16] = 10;
    b[15] = in ? 2 : 1;
    b[19] = in ? 1 : 2;
}

/* A fragment of a few, or an ICMP error that quotes what may have been sent; what is not needed comes from the input. */
static void part(unsigned n, unsigned how)
{
    const bool in = how & 1, quotes = how & 2;
    const unsigned local = 5000 + n % 3, remote = 80 + n / 3 % 2;
    const unsigned size = quotes ? 28 + 20 + take8(w.input) % 40 : 20 + 8 * (1 + take8(w.input) % 6);
    struct host_outcome out;
    struct wire_packet wire;
    uint8_t b[88] = {0}, *transport = b + (quotes ? 48 : 20);

    for (unsigned i = 20; i < size; i++)
        b[i] = take8(w.input);
    ip_header(b, in, quotes ? WIRE_PROTOCOL_ICMP : WIRE_PROTOCOL_UDP, size);
    if (quotes) {
        b[20] = 3;
        ip_header(b + 28, !in, n & 8 ? WIRE_PROTOCOL_TCP : WIRE_PROTOCOL_UDP, 28 + take8(w.input));
        put16(b + 34, how & 4 ? 0x2000 | how >> 5 : 0);
        put16(b + 32, n % 4);
    } else {
        put16(b + 4, n % 4);
        put16(b + 6, (how & 4 ? 0x2000u : 0u) | how >> 5);
    }
    if (transport + 8 <= b + size && how >> 5 == 0) {
        put16(transport, in != quotes ? remote : local);
        put16(transport + 2, in != quotes ? local : remote);
    }
    put16(b + 10, wire_fold(wire_sum(b, 20, 0)));
    give(b, size, in, &wire, &out);
    if (out.changed != NULL) {
        struct wire_packet changed;

        wire_parse(WIRE_LINK_RAW, out.changed, size, size, &changed);
        REQUIRE(changed.reached >= WIRE_NETWORK && !changed.ip_checksum_wrong);
        REQUIRE(changed.fragment_offset == wire.fragment_offset && changed.ip_flags == wire.ip_flags);
    }
    (void)host_redirect_undo(w.host, b, size);
}

static void packet(unsigned n, unsigned how)
{
    const bool tcp = n & 1, in = how & 1;
    const unsigned local = 5000 + n / 2 % 3, remote = 80 + n / 8 % 2, size = tcp ? 40 : 28;
    struct host_outcome out;
    struct wire_packet wire;
    uint8_t b[40] = {0x45, [8] = 64, [9] = tcp ? 6 : 17};

    put16(b + 2, size);
    b[12] = b[16] = 10;
    b[15] = in ? 2 : 1;
    b[19] = in ? 1 : 2;
    put16(b + 10, wire_fold(wire_sum(b, 20, 0)));
    put16(b + 20, in ? remote : local);
    put16(b + 22, in ? local : remote);
    if (tcp) {
        b[32] = 0x50;
        b[33] = (uint8_t)(how & 2 ? 0x02 : how & 4 ? 0x04 : 0x10);
        b[27] = (uint8_t)(how >> 3);
    } else {
        put16(b + 24, 8);
    }
    give(b, size, in, &wire, &out);
    if (out.changed != NULL) { /* it has the frame's size, and is sound */
        struct wire_packet changed;

        wire_parse(WIRE_LINK_RAW, out.changed, size, size, &changed);
        REQUIRE(changed.reached == WIRE_TRANSPORT && !changed.ip_checksum_wrong);
        (void)host_redirect_undo(w.host, out.changed, size);
    }
}

static void socket(unsigned n, unsigned how)
{
    const struct host_socket s = {.version = 4,
                                  .protocol = how & 1 ? WIRE_PROTOCOL_TCP : WIRE_PROTOCOL_UDP,
                                  .port = (UINT16)(5000 + n % 3)};
    struct host_endpoint *e = w.sockets[n];

    if (e == NULL) {
        (void)host_bind(w.host, &s, &w.sockets[n]);
        return;
    }
    w.sockets[n] = NULL;
    host_close(w.host, e);
}

static void close_world(void)
{
    struct host_redirect_counts c;
    struct host_counts h;

    for (unsigned n = 0; n < SOCKETS; n++)
        if (w.sockets[n] != NULL)
            host_close(w.host, w.sockets[n]);
    host_shutdown(w.host);
    for (unsigned turn = 0; turn < 64; turn++) /* a completion may be followed by another pend */
        for (unsigned i = 0; i < HANDLES; i++) {
            const FWPS_CLASSIFY_OUT0 out = {.actionType = FWP_ACTION_PERMIT};

            if (w.of[i].pended) {
                w.of[i].pended = false;
                REQUIRE((host_classify_complete(w.host, w.of[i].handle, &out) & HOST_CLASSIFY_NO_HANDLE) ==
                        0);
            }
            if (w.of[i].mine) {
                w.of[i].mine = false;
                REQUIRE(host_classify_release(w.host, w.of[i].handle) == 0);
            }
        }
    host_redirect_counts(w.host, &c);
    REQUIRE(c.handles == 0);
    REQUIRE(c.pended == 0);
    REQUIRE(c.closing == 0);
    host_counts(w.host, &h);
    REQUIRE(h.impossible == 0);
    host_destroy(w.host);
    engine_destroy(w.engine);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct stream s = {data, size < 2048 ? size : 2048};

    open_world(&s);
    while (stream_more(&s)) {
        const unsigned what = take8(&s), detail = take8(&s);

        switch (what % 8) {
        case 0:
        case 1:
            one_call();
            break;
        case 2:
            socket(detail % SOCKETS, what >> 3);
            break;
        case 3:
            w.now_ms += detail & 4 ? 70000 : 25000;
            host_advance(w.host, w.now_ms * 1000000);
            break;
        case 4:
            (void)host_flow_abort(w.host, detail % 8 + 1);
            break;
        case 5:
            part(what >> 3, detail);
            break;
        default:
            packet(what >> 3, detail);
        }
    }
    close_world();
    return 0;
}

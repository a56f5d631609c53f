/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stream layer under calls that the input decides: bytes, ends and resets fed both ways, callouts that answer
 * anything (what makes sense and what does not), clone, inject and continue at any time with any flags, filters that go
 * and come, flows that are aborted. Nothing breaks, memory is given back, each accepted list is completed once, and
 * where no callout edits what comes out is what was fed.
 */
#include "fwpmk.h"
#include "fwpsk.h"

#include "api/api.h"
#include "host/host_inject.h"
#include "host/host_stream.h"
#include "ledger/ledger.h"
#include "stream.h"
#include "wire/wire.h"

#define CALLOUTS 3
#define LISTS    64

struct player {
    struct engine_filter *filter;
    bool present, plain; /* plain: it only waits and permits */
    NET_BUFFER_LIST *kept[LISTS];
    SIZE_T kept_size[LISTS];
    unsigned kept_count;
};

static struct world {
    struct stream *in;
    struct engine *engine;
    struct host *host;
    struct api_context *api;
    HANDLE handle;
    UINT64 flow;
    struct player players[CALLOUTS];
    unsigned accepted, completed, depth;
    uint64_t fed[2], out[2];
    bool ended[2], over[2], edits;
} w;

static void NTAPI completed(void *context, NET_BUFFER_LIST *nbl, BOOLEAN dispatch)
{
    (void)dispatch;
    REQUIRE(context == &w && nbl != NULL);
    w.completed++;
    FwpsFreeCloneNetBufferList0(nbl, 0);
}

static void bytes_out(void *ctx, UINT64 flow, bool out, const uint8_t *bytes, uint32_t size, UINT32 flags)
{
    (void)ctx;
    if (flow != w.flow)
        return;
    for (uint32_t i = 0; i < size && !w.edits; i++)
        REQUIRE(bytes[i] == (uint8_t)(w.out[out] + i));
    w.out[out] += size;
    REQUIRE(!w.ended[out] || size == 0);
    w.ended[out] = w.ended[out] || (flags & HOST_STREAM_END) != 0;
}

static const struct host_stream_sink sink = {.bytes = bytes_out};

static unsigned length(const NET_BUFFER_LIST *chain)
{
    unsigned n = 0;

    for (; chain != NULL; chain = NET_BUFFER_LIST_NEXT_NBL(chain))
        n++;
    return n;
}

/* Injects a chain, or gives it up. */
static void inject(unsigned p, NET_BUFFER_LIST *chain, SIZE_T size)
{
    static const UINT32 flags[8] = {FWPS_STREAM_FLAG_RECEIVE,
                                    FWPS_STREAM_FLAG_SEND,
                                    FWPS_STREAM_FLAG_RECEIVE | FWPS_STREAM_FLAG_RECEIVE_DISCONNECT,
                                    FWPS_STREAM_FLAG_SEND | FWPS_STREAM_FLAG_SEND_DISCONNECT,
                                    0,
                                    FWPS_STREAM_FLAG_RECEIVE | FWPS_STREAM_FLAG_SEND,
                                    FWPS_STREAM_FLAG_RECEIVE_DISCONNECT,
                                    FWPS_STREAM_FLAG_RECEIVE | FWPS_STREAM_FLAG_RECEIVE_PUSH};
    const unsigned lists = length(chain);
    NTSTATUS status;

    if (w.depth > 6) {
        FwpsDiscardClonedStreamData0(chain, 0, FALSE);
        return;
    }
    w.edits = true;
    w.accepted += lists;
    status =
        FwpsStreamInjectAsync0(w.handle, NULL, 0, w.flow + (take8(w.in) == 0), 1 + p, FWPS_LAYER_STREAM_V4,
                               flags[take_below(w.in, 8)], chain, size + (take8(w.in) == 0), completed, &w);
    if (status != STATUS_SUCCESS) {
        w.accepted -= lists;
        FwpsDiscardClonedStreamData0(chain, 0, FALSE);
    }
}

static void give(unsigned p)
{
    struct player *x = &w.players[p];

    if (x->kept_count == 0) {
        if (take_below(w.in, 4) == 0)
            inject(p, NULL, 0);
        return;
    }
    x->kept_count--;
    if (take_below(w.in, 4) == 0)
        FwpsDiscardClonedStreamData0(x->kept[x->kept_count], 0, FALSE);
    else
        inject(p, x->kept[x->kept_count], x->kept_size[x->kept_count]);
}

static void keep(struct player *x, FWPS_STREAM_DATA0 *data)
{
    if (x->kept_count == LISTS)
        return;
    if (FwpsCloneStreamData0(data, NULL, NULL, 0, &x->kept[x->kept_count]) == STATUS_SUCCESS)
        x->kept_size[x->kept_count++] = data->dataLength;
}

static void continue_it(unsigned p)
{
    (void)FwpsStreamContinue0(w.flow, 1 + p, FWPS_LAYER_STREAM_V4,
                              take8(w.in) < 240 ? FWPS_STREAM_FLAG_RECEIVE : FWPS_STREAM_FLAG_SEND);
}

static void NTAPI classify(const FWPS_INCOMING_VALUES0 *values,
                           const FWPS_INCOMING_METADATA_VALUES0 *metadata, void *layer_data,
                           const void *context, const FWPS_FILTER3 *filter, UINT64 flow_context,
                           FWPS_CLASSIFY_OUT0 *out)
{
    static const FWP_ACTION_TYPE actions[6] = {
        FWP_ACTION_PERMIT, FWP_ACTION_BLOCK, FWP_ACTION_CONTINUE, FWP_ACTION_NONE, 0, 0x1234};
    const unsigned p = filter->action.calloutId - 1;
    FWPS_STREAM_CALLOUT_IO_PACKET0 *io = layer_data;
    FWPS_STREAM_DATA0 *data = io->streamData;
    struct player *x = &w.players[p];
    uint8_t some[16];
    SIZE_T copied;

    (void)values;
    (void)metadata;
    (void)context;
    (void)flow_context;
    FwpsCopyStreamDataToBuffer0(data, some, sizeof(some), &copied);
    REQUIRE(copied == (data->dataLength < sizeof(some) ? data->dataLength : sizeof(some)));
    for (SIZE_T i = 1; i < copied && !w.edits; i++)
        REQUIRE(some[i] == (uint8_t)(some[0] + i));
    out->actionType = FWP_ACTION_PERMIT;
    if (!stream_more(w.in)) /* what is left goes through */
        return;
    if (x->plain) {
        io->streamAction =
            take_below(w.in, 3) == 0 ? FWPS_STREAM_ACTION_NEED_MORE_DATA : FWPS_STREAM_ACTION_NONE;
        io->countBytesRequired = io->streamAction != FWPS_STREAM_ACTION_NONE ? take8(w.in) : 0;
        io->countBytesEnforced = take_below(w.in, 8);
        return;
    }
    w.edits = true;
    w.depth++;
    switch (take_below(w.in, 10)) {
    case 0:
        keep(x, data);
        break;
    case 1:
        give(p);
        break;
    case 2:
        continue_it(p);
        break;
    case 3:
        if (take8(w.in) < 8)
            (void)FwpsFlowAbort0(w.flow);
        break;
    case 4:
        if (take8(w.in) < 16)
            FwpsDiscardClonedStreamData0(data->netBufferListChain, 0, FALSE);
        break;
    default:
        break;
    }
    w.depth--;
    out->actionType = actions[take_below(w.in, 6)];
    io->streamAction =
        take_below(w.in, 3) != 0 ? FWPS_STREAM_ACTION_NONE : (FWPS_STREAM_ACTION_TYPE)take_below(w.in, 7);
    if (io->streamAction == FWPS_STREAM_ACTION_DROP_CONNECTION && take8(w.in) > 16)
        io->streamAction = FWPS_STREAM_ACTION_NONE;
    io->countBytesRequired = take_below(w.in, 4) == 0 ? take16(w.in) : 0;
    io->countBytesEnforced = take_below(w.in, 3) == 0 ? take8(w.in) : 0;
}

/* ---- the world */

static void filter(unsigned p, bool present)
{
    static const FWP_ACTION_TYPE types[CALLOUTS] = {
        FWP_ACTION_CALLOUT_UNKNOWN, FWP_ACTION_CALLOUT_TERMINATING, FWP_ACTION_CALLOUT_INSPECTION};
    UINT64 weight = 9 - p;
    FWPS_FILTER3 fwps = {.filterId = 1 + p,
                         .weight = {.type = FWP_UINT64, .uint64 = &weight},
                         .subLayerWeight = (UINT16)(p == 0 ? 9 : 1),
                         .action = {.type = types[p], .calloutId = 1 + p}};
    struct engine_filter_desc d = {.layer_id = FWPS_LAYER_STREAM_V4,
                                   .fwps = &fwps,
                                   .callout_key = {.Data1 = 1 + p},
                                   .sublayer_key = {.Data1 = p == 0},
                                   .sublayer_seq = p == 0};
    struct engine_filter *f = NULL;
    struct engine_txn *t;

    if (w.players[p].present == present)
        return;
    REQUIRE(engine_txn_begin(w.engine, &t) == 0);
    if (present) {
        REQUIRE(engine_filter_create(&d, &f) == 0);
        REQUIRE(engine_txn_add(t, f) == 0);
    } else {
        REQUIRE(engine_txn_remove(t, FWPS_LAYER_STREAM_V4, 1 + p) == 0);
    }
    REQUIRE(engine_txn_commit(t) == 0);
    if (f != NULL)
        engine_filter_unref(f);
    w.players[p].present = present;
}

static void flow_seen(void *ctx, enum host_flow_change change, const struct host_flow_info *f)
{
    (void)ctx;
    if (change == HOST_FLOW_CREATED)
        w.flow = f->id;
}

static void segment(bool out, uint8_t flags, uint32_t seq, uint32_t ack, uint64_t number)
{
    const uint8_t here[4] = {10, 0, 0, 1}, there[4] = {10, 0, 0, 2};
    struct host_outcome outcome;
    struct wire_packet p;
    struct host_frame f;
    uint8_t b[40] = {0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6, 0x26, 0xcd};

    memcpy(b + 12, out ? here : there, 4);
    memcpy(b + 16, out ? there : here, 4);
    memcpy(b + 20, out ? "\xc3\x50\x00\x50" : "\x00\x50\xc3\x50", 4);
    b[27] = (uint8_t)seq;
    b[31] = (uint8_t)ack;
    b[32] = 0x50;
    b[33] = flags;
    b[34] = 0xff;
    wire_parse_ip(b, sizeof(b), sizeof(b), &p);
    f = (struct host_frame){.packet = &p,
                            .interface_index = 1,
                            .way = out ? HOST_WAY_OUT : HOST_WAY_IN,
                            .number = number,
                            .time_ns = number};
    host_frame(w.host, &f, &outcome);
    REQUIRE(outcome.fate == HOST_PASSED);
}

static void open_world(void)
{
    const struct host_interface_desc i = {.name = "one", .luid = 1, .index = 1, .type = 6};
    const union wire_addr local = {.v4 = 0x0a000001};
    struct host_config config = {
        .streams = HOST_STREAM_SOCKETS, .stream_sink = &sink, .observer = {.flow = flow_seen}};
    const uint8_t shape = take8(w.in);

    config.limits.stream_buffer = (shape & 1) != 0 ? 64 : 0;
    config.limits.streams_bytes = (shape & 2) != 0 ? 100 : 0;
    config.knobs.split_list = (shape & 4) != 0 ? 3 : 0;
    config.knobs.split_mdl = (shape & 8) != 0 ? 3 : 0;
    config.knobs.stream_need_new = (shape & 16) != 0;
    config.knobs.inject_in_caller = true;
    config.knobs.trust_checksums = true;
    REQUIRE(engine_create(&w.engine) == 0);
    config.engine = w.engine;
    REQUIRE(host_create(&config, &w.host) == 0);
    REQUIRE(host_interface_add(w.host, &i) == 0);
    REQUIRE(host_address_add(w.host, 1, 4, &local, 24, false) == 0);
    REQUIRE(api_context_create(&(struct api_config){.engine = w.engine, .host = w.host}, &w.api) == 0);
    api_set_current(w.api);
    REQUIRE(FwpsInjectionHandleCreate0(AF_UNSPEC, FWPS_INJECTION_TYPE_STREAM, &w.handle) == STATUS_SUCCESS);
    for (unsigned p = 0; p < CALLOUTS; p++) {
        const struct engine_callout c = {.key = {.Data1 = 1 + p},
                                         .flags = p == 1 ? FWP_CALLOUT_FLAG_ALLOW_MID_STREAM_INSPECTION : 0,
                                         .version = 3,
                                         .classify.v3 = classify,
                                         .id = 1 + p,
                                         .layer_id = FWPS_LAYER_STREAM_V4,
                                         .context = api_rt(w.api)};

        REQUIRE(engine_callout_register(w.engine, &c) == 0);
        w.players[p].plain = (shape >> 5 & 1) != 0;
        if (p == 0 || (shape >> 6 & 1) != 0)
            filter(p, true);
    }
    segment(true, WIRE_TCP_SYN, 1, 0, 1);
    segment(false, WIRE_TCP_SYN | WIRE_TCP_ACK, 1, 2, 2);
    segment(true, WIRE_TCP_ACK, 2, 2, 3);
}

static void feed(bool out)
{
    const uint8_t what = take8(w.in);
    const uint32_t size = what % 64;
    uint8_t bytes[64];
    UINT32 flags = (what & 0x80) != 0 ? HOST_STREAM_PUSH : 0;

    if ((what & 0x40) != 0) {
        const uint8_t more = take8(w.in);

        flags |= more < 16     ? HOST_STREAM_END
                 : more == 255 ? HOST_STREAM_ABORT
                 : more > 250  ? HOST_STREAM_URGENT
                               : 0;
    }
    if (w.over[out])
        return;
    w.over[out] = (flags & (HOST_STREAM_END | HOST_STREAM_ABORT)) != 0;
    for (uint32_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(w.fed[out] + i);
    if (host_stream_feed(w.host, w.flow, out, bytes, size, flags, NULL) == STATUS_SUCCESS)
        w.fed[out] += size;
    REQUIRE(w.edits || w.out[out] <= w.fed[out]);
}

static void close_world(void)
{
    struct host_stream_counts c;

    for (int out = 0; out < 2; out++)
        if (!w.over[out])
            (void)host_stream_feed(w.host, w.flow, out, NULL, 0, HOST_STREAM_END, NULL);
    for (int out = 0; out < 2; out++)
        REQUIRE(w.edits || w.out[out] == w.fed[out]);
    host_shutdown(w.host);
    host_stream_counts(w.host, &c);
    REQUIRE(c.waiting == 0);
    for (unsigned p = 0; p < CALLOUTS; p++)
        while (w.players[p].kept_count != 0)
            FwpsDiscardClonedStreamData0(w.players[p].kept[--w.players[p].kept_count], 0, FALSE);
    REQUIRE(FwpsInjectionHandleDestroy0(w.handle) == STATUS_SUCCESS);
    REQUIRE(w.completed == w.accepted);
    api_set_current(NULL);
    api_context_destroy(w.api);
    host_destroy(w.host);
    engine_destroy(w.engine);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct stream in = {data, size < 2048 ? size : 2048};

    memset(&w, 0, sizeof(w));
    w.in = &in;
    open_world();
    while (stream_more(&in)) {
        const uint8_t op = take8(&in);

        if (op < 160)
            feed(op & 1);
        else if (op < 200)
            give(op % CALLOUTS);
        else if (op < 230)
            continue_it(op % CALLOUTS);
        else if (op < 250) {
            filter(op % CALLOUTS, (op & 1) != 0);
            w.edits = w.edits || !w.players[0].plain;
        } else if (op == 255)
            (void)FwpsFlowAbort0(w.flow), w.edits = true;
    }
    close_world();
    return 0;
}

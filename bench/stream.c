/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stream layer: bytes a second through a callout that looks at them, and through one that edits them, beside
 * memcpy() of the same bytes; what an idle stream takes.
 *
 * Bytes are fed by host_stream_feed() in pieces of one size, out of 4 MiB that no first cache holds, and come out at a
 * sink that counts them. The peer copies the same pieces from the same place to another. Callouts: "permits" looks at
 * nothing; "looks" goes through the MDLs with memchr() for a byte that is not there; "edits" takes 8 bytes out of each
 * piece and puts 12 others in their place, in line. Interleaved pass by pass.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fwpsk.h"

#include "api/api.h"
#include "bench.h"
#include "host/host_inject.h"
#include "host/host_stream.h"
#include "ledger/ledger.h"

#define PASSES 15
#define BYTES  (4u << 20)
#define IDLE   100000u
#define START  1000000000ull

enum part { PERMITS, LOOKS, EDITS, PARTS };

static struct engine *engine;
static struct host *host;
static struct api_context *api;
static enum part part;
static uint64_t came_out, frame_number, flow;
static HANDLE handle;
static NDIS_HANDLE pool;
static uint8_t insert[12] = "twelve bytes";
static MDL *insert_mdl;
static bool edited;

static void NTAPI completed(void *context, NET_BUFFER_LIST *nbl, BOOLEAN dispatch)
{
    (void)context;
    (void)dispatch;
    FwpsFreeNetBufferList0(nbl);
}

static void look(const FWPS_STREAM_DATA0 *d)
{
    for (NET_BUFFER_LIST *l = d->netBufferListChain; l != NULL; l = NET_BUFFER_LIST_NEXT_NBL(l))
        for (MDL *m = NET_BUFFER_CURRENT_MDL(NET_BUFFER_LIST_FIRST_NB(l)); m != NULL; m = m->Next)
            if (memchr(MmGetSystemAddressForMdlSafe(m, NormalPagePriority), 0xff, MmGetMdlByteCount(m)) !=
                NULL)
                bench_die("a byte was found that is not there");
}

static void edit(UINT32 callout, FWPS_STREAM_CALLOUT_IO_PACKET0 *io, FWPS_CLASSIFY_OUT0 *out)
{
    NET_BUFFER_LIST *nbl;

    edited = !edited;
    if (!edited) {
        out->actionType = FWP_ACTION_PERMIT;
        return;
    }
    if (FwpsAllocateNetBufferAndNetBufferList0(pool, 0, 0, insert_mdl, 0, sizeof(insert), &nbl) !=
            STATUS_SUCCESS ||
        FwpsStreamInjectAsync0(handle, NULL, 0, flow, callout, FWPS_LAYER_STREAM_V4, FWPS_STREAM_FLAG_SEND,
                               nbl, sizeof(insert), completed, NULL) != STATUS_SUCCESS)
        bench_die("it cannot be injected");
    out->actionType = FWP_ACTION_BLOCK;
    io->countBytesEnforced = 8;
}

static void NTAPI classify(const FWPS_INCOMING_VALUES0 *values,
                           const FWPS_INCOMING_METADATA_VALUES0 *metadata, void *data, const void *context,
                           const FWPS_FILTER3 *filter, UINT64 flow_context, FWPS_CLASSIFY_OUT0 *out)
{
    FWPS_STREAM_CALLOUT_IO_PACKET0 *io = data;

    (void)values;
    (void)metadata;
    (void)context;
    (void)flow_context;
    out->actionType = FWP_ACTION_PERMIT;
    if (part == LOOKS)
        look(io->streamData);
    else if (part == EDITS)
        edit(filter->action.calloutId, io, out);
}

static void bytes_out(void *ctx, UINT64 id, bool out, const uint8_t *bytes, uint32_t size, UINT32 flags)
{
    (void)ctx;
    (void)id;
    (void)out;
    (void)bytes;
    (void)flags;
    came_out += size;
}

static const struct host_stream_sink sink = {.bytes = bytes_out};

static void flow_seen(void *ctx, enum host_flow_change change, const struct host_flow_info *f)
{
    (void)ctx;
    if (change == HOST_FLOW_CREATED)
        flow = f->id;
}

static void filter(void)
{
    UINT64 weight = 1;
    FWPS_FILTER3 fwps = {.filterId = 1,
                         .weight = {.type = FWP_UINT64, .uint64 = &weight},
                         .subLayerWeight = 1,
                         .action = {.type = FWP_ACTION_CALLOUT_TERMINATING, .calloutId = 1}};
    struct engine_filter_desc d = {
        .layer_id = FWPS_LAYER_STREAM_V4, .fwps = &fwps, .callout_key = {.Data1 = 1}};
    const struct engine_callout c = {.key = {.Data1 = 1},
                                     .version = 3,
                                     .classify.v3 = classify,
                                     .id = 1,
                                     .layer_id = FWPS_LAYER_STREAM_V4,
                                     .context = api_rt(api)};
    struct engine_filter *f;
    struct engine_txn *t;

    if (engine_callout_register(engine, &c) != 0 || engine_filter_create(&d, &f) != 0 ||
        engine_txn_begin(engine, &t) != 0 || engine_txn_add(t, f) != 0 || engine_txn_commit(t) != 0)
        bench_die("no memory");
    engine_filter_unref(f);
}

/* A segment of connection n, without data. */
static void segment(uint32_t n, bool out, uint8_t flags, uint32_t seq, uint32_t ack)
{
    const uint32_t peer = 0x0b000000 + (n >> 4), here = 0x0a000001;
    const uint16_t port = (uint16_t)(40000 + (n & 15));
    struct host_outcome outcome;
    struct wire_packet w;
    struct host_frame f;
    uint8_t b[40] = {0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6};
    uint32_t sum = 0;

    for (int i = 0; i < 4; i++) {
        b[12 + i] = (uint8_t)((out ? here : peer) >> (24 - 8 * i));
        b[16 + i] = (uint8_t)((out ? peer : here) >> (24 - 8 * i));
        b[24 + i] = (uint8_t)(seq >> (24 - 8 * i));
        b[28 + i] = (uint8_t)(ack >> (24 - 8 * i));
    }
    for (int i = 0; i < 2; i++) {
        b[20 + i] = (uint8_t)((out ? port : 80) >> (8 - 8 * i));
        b[22 + i] = (uint8_t)((out ? 80 : port) >> (8 - 8 * i));
    }
    b[32] = 0x50;
    b[33] = flags;
    b[34] = 0xff;
    for (int i = 0; i < 20; i += 2)
        sum += (uint32_t)(b[i] << 8 | b[i + 1]);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = ~(sum + (sum >> 16)) & 0xffff;
    b[10] = (uint8_t)(sum >> 8);
    b[11] = (uint8_t)sum;
    wire_parse_ip(b, sizeof(b), sizeof(b), &w);
    frame_number++;
    f = (struct host_frame){.packet = &w,
                            .interface_index = 1,
                            .way = out ? HOST_WAY_OUT : HOST_WAY_IN,
                            .number = frame_number,
                            .time_ns = START + frame_number * 1000};
    host_frame(host, &f, &outcome);
    if (outcome.fate != HOST_PASSED)
        bench_die("a segment is %s", host_fate_name(outcome.fate));
}

static void connect_to(uint32_t n)
{
    segment(n, true, WIRE_TCP_SYN, 100, 0);
    segment(n, false, WIRE_TCP_SYN | WIRE_TCP_ACK, 200, 101);
    segment(n, true, WIRE_TCP_ACK, 101, 201);
}

static void feed(const uint8_t *bytes, uint32_t size)
{
    if (host_stream_feed(host, flow, true, bytes, size, 0, NULL) != STATUS_SUCCESS)
        bench_die("it cannot be fed");
}

static double pass(enum part p, const uint8_t *bytes, uint32_t piece)
{
    double start;

    part = p;
    edited = false;
    came_out = 0;
    start = bench_cpu_ns();
    for (uint32_t at = 0; at + piece <= BYTES; at += piece)
        feed(bytes + at, piece);
    start = bench_cpu_ns() - start;
    host_inject_drain(host);
    if (came_out != (uint64_t)(BYTES / piece) * (piece + (p == EDITS ? 4 : 0)))
        bench_die("%llu bytes came out", (unsigned long long)came_out);
    return start;
}

static double copies(uint8_t *to, const uint8_t *bytes, uint32_t piece)
{
    const double start = bench_cpu_ns();

    for (uint32_t at = 0; at + piece <= BYTES; at += piece) {
        memcpy(to + at, bytes + at, piece);
        __asm__ volatile("" : : "r"(to + at) : "memory");
    }
    return bench_cpu_ns() - start;
}

static void throughput(uint32_t piece)
{
    static const char *const names[PARTS] = {"permits", "looks", "edits"};
    uint8_t *bytes = malloc(BYTES), *to = malloc(BYTES);
    double ns[PARTS + 1][PASSES], ratio[PARTS][PASSES];
    const double total = (double)(BYTES / piece * piece);

    if (bytes == NULL || to == NULL)
        bench_die("no memory");
    memset(bytes, 'a', BYTES);
    memset(to, 'b', BYTES);
    for (int i = 0; i < PASSES; i++) {
        ns[PARTS][i] = copies(to, bytes, piece);
        for (enum part p = PERMITS; p < PARTS; p++) {
            ns[p][i] = pass(p, bytes, piece);
            ratio[p][i] = ns[p][i] / ns[PARTS][i];
        }
    }
    printf("  %6u  memcpy %6.2f GB/s", piece, total / bench_median(ns[PARTS], PASSES));
    for (enum part p = PERMITS; p < PARTS; p++)
        printf("   %s %6.2f GB/s (%.1f memcpy)", names[p], total / bench_median(ns[p], PASSES),
               bench_median(ratio[p], PASSES));
    printf("\n");
    free(bytes);
    free(to);
}

static void idle(void)
{
    struct host_stream_counts c;
    const uint8_t some[100] = {0};
    const size_t before = bench_heap_bytes();

    /* A stream is there from its connection's first segments on. */
    for (uint32_t n = 1; n <= IDLE; n++)
        connect_to(n);
    for (uint32_t n = 1; n <= IDLE; n++) {
        flow = n + 1;
        feed(some, sizeof(some));
    }
    host_stream_counts(host, &c);
    if (c.streams < IDLE)
        bench_die("there are %llu streams", (unsigned long long)c.streams);
    printf("  %u idle streams: %zu bytes each with their connections, %llu of them by the host's count of "
           "streams\n",
           IDLE, (bench_heap_bytes() - before) / IDLE, (unsigned long long)(c.memory / c.streams));
}

int main(void)
{
    const NET_BUFFER_LIST_POOL_PARAMETERS parameters = {
        .Header = {NDIS_OBJECT_TYPE_DEFAULT, NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1,
                   NDIS_SIZEOF_NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1},
        .fAllocateNetBuffer = TRUE,
    };
    const struct host_interface_desc i = {.name = "one", .luid = 1, .index = 1, .type = 6};
    const union wire_addr local = {.v4 = 0x0a000001};
    struct ledger_config ledger = {.mode = LEDGER_COUNT, .clock = rt_clock_real()};
    struct host_config config = {.start_ns = START,
                                 .streams = HOST_STREAM_SOCKETS,
                                 .stream_sink = &sink,
                                 .observer = {.flow = flow_seen}};
    struct ledger *books;

    if (engine_create(&engine) != 0)
        bench_die("no memory");
    config.engine = engine;
    if (host_create(&config, &host) != 0 || host_interface_add(host, &i) != 0 ||
        host_address_add(host, 1, 4, &local, 24, false) != 0 || ledger_create(&ledger, &books) != 0 ||
        api_context_create(&(struct api_config){.engine = engine, .host = host}, &api) != 0)
        bench_die("no memory");
    api_rt(api)->party = ledger_party_add(books, "driver");
    api_set_current(api);
    filter();
    pool = NdisAllocateNetBufferListPool(NULL, &parameters);
    insert_mdl = IoAllocateMdl(insert, sizeof(insert), FALSE, FALSE, NULL);
    if (pool == NULL || insert_mdl == NULL ||
        FwpsInjectionHandleCreate0(AF_UNSPEC, FWPS_INJECTION_TYPE_STREAM, &handle) != STATUS_SUCCESS)
        bench_die("no memory");
    MmBuildMdlForNonPagedPool(insert_mdl);
    connect_to(0);
    printf("stream data in pieces of so many bytes\n");
    throughput(1460);
    throughput(16384);
    throughput(65536);
    idle();
    FwpsInjectionHandleDestroy0(handle);
    NdisFreeNetBufferListPool(pool);
    IoFreeMdl(insert_mdl);
    api_set_current(NULL);
    api_context_destroy(api);
    host_destroy(host);
    engine_destroy(engine);
    ledger_destroy(books);
    return 0;
}

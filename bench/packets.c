/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets as callouts see them: what looking costs, and what taking and giving back costs.
 *
 *   inspection   a UDP datagram at DATAGRAM_DATA with one filter that matches: an inspection callout that
 * looks at the data, against the same filter without one (PERMIT). The bytes are copied for the first callout
 *                of a frame: it is in the figure, and beside it the same where another has looked already.
 *   reinjection  clone + absorb + reinject of a datagram, against a plain copy of the packet: its
 * walk as a frame of its own, with the bytes copied by the callout into memory that it allocates. Twice: alone in the process, as
 *                in a simulated world without locked instructions (rt/alone.h), and beside another thread.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fwpmk.h"
#include "fwpsk.h"

#include "bench.h"
#include "host/host_inject.h"
#include "host/internal.h"
#include "ws2def.h"
#include "wire/wire.h"

#define PASSES  41
#define PACKETS 4096

enum doing { DOING_NOTHING, DOING_LOOK, DOING_COPY, DOING_TAKE };

static enum doing doing;
static HANDLE handle;
static struct host *host;
static unsigned emitted;
static uint64_t sum;
static uint8_t *kept;

static void NTAPI completed(void *context, NET_BUFFER_LIST *nbl, BOOLEAN dispatch)
{
    (void)context;
    (void)dispatch;
    ndis_nbl_free(nbl, NDIS_MADE_CLONE, NDIS_BY_FWPS, NULL);
}

static void take(NET_BUFFER_LIST *packet, FWPS_CLASSIFY_OUT0 *out)
{
    NET_BUFFER_LIST *clone;
    struct host_injection what = {.kind = HOST_INJECT_TRANSPORT_RECEIVE,
                                  .handle = handle,
                                  .family = AF_INET,
                                  .interface_index = 1,
                                  .complete = completed};

    if (host_injection_state(host, handle, packet, NULL) == FWPS_PACKET_INJECTED_BY_SELF)
        return;
    NdisRetreatNetBufferListDataStart(packet, 28, 0, NULL, NULL);
    clone = ndis_nbl_clone(packet, NULL, NULL, false, NDIS_BY_FWPS, NULL);
    NdisAdvanceNetBufferListDataStart(packet, 28, FALSE, NULL);
    what.list = clone;
    if (clone == NULL || host_inject(host, &what) != STATUS_SUCCESS)
        bench_die("an injection was not accepted");
    out->actionType = FWP_ACTION_BLOCK;
    out->flags |= FWPS_CLASSIFY_OUT_FLAG_ABSORB;
    out->rights &= ~(UINT32)FWPS_RIGHT_ACTION_WRITE;
}

static void NTAPI classify(const FWPS_INCOMING_VALUES0 *values,
                           const FWPS_INCOMING_METADATA_VALUES0 *metadata, void *layer_data,
                           const void *classify_context, const FWPS_FILTER1 *filter, UINT64 flow_context,
                           FWPS_CLASSIFY_OUT0 *out)
{
    NET_BUFFER_LIST *packet = layer_data;
    NET_BUFFER *nb = packet != NULL ? NET_BUFFER_LIST_FIRST_NB(packet) : NULL;

    (void)values;
    (void)metadata;
    (void)classify_context;
    (void)filter;
    (void)flow_context;
    out->actionType = FWP_ACTION_PERMIT;
    if (nb == NULL)
        return;
    if (doing == DOING_LOOK) {
        const uint8_t *p = NdisGetDataBuffer(nb, 1, NULL, 1, 0);

        sum += p != NULL ? *p : 0;
    } else if (doing == DOING_COPY) {
        free(kept);
        kept = malloc(NET_BUFFER_DATA_LENGTH(nb));
        sum += kept != NULL ? ndis_nb_read(nb, 0, kept, NET_BUFFER_DATA_LENGTH(nb)) : 0;
    } else if (doing == DOING_TAKE) {
        take(packet, out);
    }
}

static void emit(void *ctx, const struct host_emitted *e)
{
    (void)ctx;
    emitted++;
    sum += e->bytes[0];
}

/* ---- one lab --------------------------------------------------------------------------------------------
 */

struct lab {
    struct engine *engine;
    struct host *host;
    uint8_t frame[1514];
    struct wire_packet packet;
    uint32_t size;
    UINT64 number, now_ns;
};

static const GUID callout_key = {1, 2, 3, {4, 5, 6, 7, 8, 9, 10, 11}};

/* One filter that tests the local port; its action is a permit or a callout. */
static void add_filter(struct lab *l, FWP_ACTION_TYPE action)
{
    FWPS_FILTER_CONDITION0 condition = {.fieldId = FWPS_FIELD_DATAGRAM_DATA_V4_IP_LOCAL_PORT,
                                        .matchType = FWP_MATCH_EQUAL,
                                        .conditionValue = {.type = FWP_UINT16, .uint16 = 53}};
    UINT64 weight = 1;
    const FWPS_FILTER3 fwps = {.filterId = 1,
                               .weight = {.type = FWP_UINT64, .uint64 = &weight},
                               .numFilterConditions = 1,
                               .filterCondition = &condition,
                               .action = {.type = action, .calloutId = 1}};
    struct engine_filter_desc desc = {.layer_id = FWPS_LAYER_DATAGRAM_DATA_V4, .fwps = &fwps};
    struct engine_filter *f;
    struct engine_txn *t;

    if (action & FWP_ACTION_FLAG_CALLOUT)
        desc.callout_key = callout_key;
    if (engine_filter_create(&desc, &f) != 0 || engine_txn_begin(l->engine, &t) != 0 ||
        engine_txn_add(t, f) != 0 || engine_txn_commit(t) != 0)
        bench_die("a filter was not taken");
    engine_filter_unref(f);
}

static void put16(uint8_t *p, unsigned v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

/* 10.0.0.2:5353 -> 10.0.0.1:53, with so many bytes of data. */
static void make_frame(struct lab *l, unsigned data)
{
    static const uint8_t head[] = {2, 0, 0, 0,  0,  1, 2, 0,  0, 0, 0, 2,  8, 0, 0x45, 0,    0,    0, 0,
                                   1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 2, 10, 0, 0, 1,    0x14, 0xe9, 0, 53};
    uint8_t *ip = l->frame + 14;

    memcpy(l->frame, head, sizeof(head));
    put16(ip + 2, 28 + data);
    put16(ip + 24, 8 + data);
    put16(ip + 10, wire_fold(wire_sum(ip, 20, 0)));
    for (unsigned i = 0; i < data; i++)
        ip[28 + i] = (uint8_t)i;
    l->size = 14 + 28 + data;
    wire_parse(WIRE_LINK_ETHERNET, l->frame, l->size, l->size, &l->packet);
    if (l->packet.reached != WIRE_TRANSPORT)
        bench_die("the frame is wrong");
}

static void lab_open(struct lab *l, FWP_ACTION_TYPE action, unsigned data)
{
    const struct host_interface_desc ethernet = {.name = "e", .luid = 1, .index = 1, .type = 6};
    const struct engine_callout callout = {.key = callout_key,
                                           .version = 1,
                                           .classify.v1 = classify,
                                           .id = 1,
                                           .layer_id = FWPS_LAYER_DATAGRAM_DATA_V4};
    struct host_config config = {.emit = emit, .lends_bytes = true}; /* as a replay has it */
    union wire_addr us;
    unsigned bits;

    memset(l, 0, sizeof(*l));
    if (engine_create(&l->engine) != 0)
        bench_die("no engine");
    if (action != 0)
        add_filter(l, action);
    if (engine_callout_register(l->engine, &callout) != 0)
        bench_die("no callout");
    config.engine = l->engine;
    wire_addr_parse("10.0.0.1", &us, &bits);
    if (host_create(&config, &l->host) != 0 || host_interface_add(l->host, &ethernet) != 0 ||
        host_address_add(l->host, 1, 4, &us, 24, false) != 0)
        bench_die("no host");
    make_frame(l, data);
    l->now_ns = 1000000000;
}

static void lab_close(struct lab *l)
{
    host_destroy(l->host);
    engine_destroy(l->engine);
}

/* ns a frame of PACKETS of them; what is injected is walked within the measured time, on this thread. */
static double run(struct lab *l, enum doing what)
{
    struct host_frame f = {.packet = &l->packet, .interface_index = 1, .way = HOST_WAY_IN};
    struct host_outcome out;
    double start;

    doing = what;
    host = l->host;
    emitted = 0;
    start = bench_cpu_ns();
    for (unsigned i = 0; i < PACKETS; i++) {
        f.number = ++l->number;
        f.time_ns = l->now_ns += 1000;
        host_frame(l->host, &f, &out);
    }
    start = (bench_cpu_ns() - start) / PACKETS;
    if (what == DOING_TAKE ? emitted != PACKETS || out.fate != HOST_ABSORBED : out.fate != HOST_PASSED)
        bench_die("the packets went another way than they were to go");
    return start;
}

/* ---- the figures ------------------------------------------------------------------------------------------
 */

static void inspection(unsigned data)
{
    double with[PASSES], without[PASSES], more[PASSES];
    struct lab a, b;

    lab_open(&a, FWP_ACTION_PERMIT, data);
    lab_open(&b, FWP_ACTION_CALLOUT_INSPECTION, data);
    for (int pass = 0; pass < PASSES; pass++) {
        (void)run(&a, DOING_NOTHING);
        without[pass] = run(&a, DOING_NOTHING);
        (void)run(&b, DOING_LOOK);
        with[pass] = run(&b, DOING_LOOK);
        more[pass] = with[pass] - without[pass];
    }
    printf("inspection, %4u bytes: %.0f ns a frame without, %.0f with, %.0f ns more (target 30)\n", data,
           bench_median(without, PASSES), bench_median(with, PASSES), bench_median(more, PASSES));
    lab_close(&a);
    lab_close(&b);
}

/* The injector is another thread: its time counts, so the walk is asked for in the caller. */
static void reinjection(unsigned data, const char *company)
{
    double plain[PASSES], taken[PASSES], walked[PASSES], ratio[PASSES];
    struct lab a, b;

    lab_open(&a, FWP_ACTION_CALLOUT_TERMINATING, data);
    lab_open(&b, FWP_ACTION_CALLOUT_TERMINATING, data);
    b.host->config.knobs.inject_in_caller = true;
    host = b.host;
    if (host_injection_create(b.host, AF_INET, FWPS_INJECTION_TYPE_TRANSPORT, &handle) != STATUS_SUCCESS)
        bench_die("no handle");
    for (int pass = 0; pass < PASSES; pass++) {
        (void)run(&a, DOING_COPY);
        plain[pass] = run(&a, DOING_COPY);
        walked[pass] = run(&a, DOING_NOTHING);
        (void)run(&b, DOING_TAKE);
        taken[pass] = run(&b, DOING_TAKE);
        ratio[pass] = taken[pass] / plain[pass];
    }
    printf("reinjection, %4u bytes%s: %.0f ns a frame that is seen, %.0f copied, %.0f cloned, absorbed and "
           "injected: "
           "%.2f times the copy (target 3)\n",
           data, company, bench_median(walked, PASSES), bench_median(plain, PASSES),
           bench_median(taken, PASSES), bench_median(ratio, PASSES));
    host_injection_destroy(b.host, handle);
    lab_close(&a);
    lab_close(&b);
}

static void *waits(void *until)
{
    pthread_mutex_lock(until);
    pthread_mutex_unlock(until);
    return NULL;
}

int main(void)
{
    static pthread_mutex_t until = PTHREAD_MUTEX_INITIALIZER;
    pthread_t other;

    inspection(64);
    inspection(1400);
    reinjection(64, "");
    reinjection(1400, "");
    pthread_mutex_lock(&until);
    if (pthread_create(&other, NULL, waits, &until) != 0)
        bench_die("no thread");
    reinjection(64, ", beside a thread");
    reinjection(1400, ", beside a thread");
    pthread_mutex_unlock(&until);
    pthread_join(other, NULL);
    free(kept);
    return sum == 42 ? 1 : 0; /* what was read is used */
}

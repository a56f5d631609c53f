/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What pending and completing an accept costs the host, beside the barest bookkeeping there can be.
 *
 * N datagrams of N peers are pended at RECV_ACCEPT. A batch completes BATCH random ones (nothing is asked
 * again there: PEND-24), then their datagrams come once more and are pended once more. Bookkeeping is
 *
 *   the calls of FwpsCompleteOperation0, timed alone
 *   + the datagrams with a callout that pends - the same ones with a callout that absorbs and pends nothing
 *
 * Completed accepts are ended several at a time (src/host/ale_backlog.c); BATCH is a multiple of how many, so all of it
 * is in the first line.
 *
 * The second line is FwpsPendOperation0 and what the host does when the classify returns; reading the
 * datagram, finding its flow and asking the callout are on both sides. So that they weigh the same there, the
 * flows are fetched by host_prefetch() before, untimed, as a replay does: what a completion finds cold is all
 * in its own time, on the other side nothing is. Bare: records of 200 bytes out of a hash and into it, BATCH
 * by BATCH in the same order. "Step by step" is the same with one for BATCH and nothing fetched, the
 * absorbed datagram taken off. Interleaved pass by pass. Then a million pended at once and completed in
 * random order. All this with the ledger's counters, as on live traffic; then the first again with the full
 * ledger, on threads and in a simulated world, as in a replay.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fwpsk.h"

#include "api/api.h"
#include "bench.h"
#include "host/host.h"
#include "ledger/ledger.h"
#include "rt/rt.h"

#define PASSES 64
#define BATCH  512u
#define STEPS  16384u /* of a pass: batches */
#define DRAWS  (16 * STEPS)
#define START  1000000000ull

struct record {
    struct record *next;
    uint64_t key;
    uint64_t state[23];
};

struct lab {
    struct engine *engine;
    struct host *host;
    struct api_context *api;
    struct ledger *ledger;
    HANDLE *contexts; /* by peer */
    uint32_t *draws;  /* no peer twice in a batch */
    struct record *slab, *free, **buckets;
    size_t mask;
    uint64_t now, frame;
};

static struct lab *lab;
static HANDLE *handed; /* where the next context goes */
static bool pends;

static void NTAPI classify(const FWPS_INCOMING_VALUES0 *values,
                           const FWPS_INCOMING_METADATA_VALUES0 *metadata, void *packet, const void *context,
                           const FWPS_FILTER3 *filter, UINT64 flow_context, FWPS_CLASSIFY_OUT0 *out)
{
    (void)values;
    (void)packet;
    (void)context;
    (void)filter;
    (void)flow_context;
    if (pends && FwpsPendOperation0(metadata->completionHandle, handed) != STATUS_SUCCESS)
        bench_die("it cannot be pended");
    out->actionType = FWP_ACTION_BLOCK;
    out->flags |= FWPS_CLASSIFY_OUT_FLAG_ABSORB;
    out->rights &= ~(UINT32)FWPS_RIGHT_ACTION_WRITE;
}

/* A datagram of peer n to port 53 of 10.0.0.1; parsed into *w, whose bytes are b's. */
static void datagram(uint32_t n, uint8_t b[28], struct wire_packet *w, struct host_frame *f)
{
    uint32_t address = 0x0b000000 + (n >> 4), sum = 0;
    uint16_t port = (uint16_t)(40000 + (n & 15));

    memcpy(b, (const uint8_t[]){0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0}, 12);
    for (int i = 0; i < 4; i++)
        b[12 + i] = (uint8_t)(address >> (24 - 8 * i));
    memcpy(b + 16, (const uint8_t[]){10, 0, 0, 1, (uint8_t)(port >> 8), (uint8_t)port, 0, 53, 0, 8, 0, 0},
           12);
    for (int i = 0; i < 20; i += 2)
        sum += (uint32_t)(b[i] << 8 | b[i + 1]);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = ~(sum + (sum >> 16)) & 0xffff;
    b[10] = (uint8_t)(sum >> 8);
    b[11] = (uint8_t)sum;
    wire_parse_ip(b, 28, 28, w);
    *f = (struct host_frame){
        .packet = w, .interface_index = 1, .way = HOST_WAY_IN, .number = ++lab->frame, .time_ns = lab->now};
}

static void arrives(uint32_t n, HANDLE *where)
{
    struct host_outcome outcome;
    struct wire_packet w;
    struct host_frame f;
    uint8_t bytes[28];

    datagram(n, bytes, &w, &f);
    handed = where;
    host_frame(lab->host, &f, &outcome);
    if (outcome.fate != (pends ? HOST_HELD : HOST_ABSORBED))
        bench_die("peer %u: its datagram is %s", n, host_fate_name(outcome.fate));
}

/* Fetches the flows of a batch: only the caches are another afterwards. */
static void fetch(const uint32_t *draws)
{
    enum { FEW = 32 };
    struct wire_packet packets[FEW];
    struct host_frame frames[FEW];
    uint8_t bytes[FEW][28];

    for (unsigned at = 0; at < BATCH; at += FEW) {
        for (unsigned i = 0; i < FEW; i++)
            datagram(draws[at + i], bytes[i], &packets[i], &frames[i]);
        host_prefetch(lab->host, frames, FEW);
    }
}

static void filter_at(UINT16 layer)
{
    UINT64 weight = 1;
    FWPS_FILTER3 fwps = {.filterId = 1,
                         .weight = {.type = FWP_UINT64, .uint64 = &weight},
                         .subLayerWeight = 1,
                         .action = {.type = FWP_ACTION_CALLOUT_TERMINATING, .calloutId = 1}};
    struct engine_filter_desc d = {.layer_id = layer, .fwps = &fwps, .callout_key = {.Data1 = 1}};
    const struct engine_callout c = {.key = {.Data1 = 1},
                                     .version = 3,
                                     .classify.v3 = classify,
                                     .id = 1,
                                     .layer_id = layer,
                                     .context = api_rt(lab->api)};
    struct engine_filter *f;
    struct engine_txn *t;

    if (engine_callout_register(lab->engine, &c) != 0 || engine_filter_create(&d, &f) != 0 ||
        engine_txn_begin(lab->engine, &t) != 0 || engine_txn_add(t, f) != 0 || engine_txn_commit(t) != 0)
        bench_die("no memory");
    engine_filter_unref(f);
}

static void draw(struct lab *l, size_t n)
{
    uint32_t *peers = malloc(n * sizeof(*peers));

    if (peers == NULL)
        bench_die("no memory");
    for (uint32_t i = 0; i < n; i++)
        peers[i] = i;
    for (size_t k = 0; k < DRAWS; k++) { /* the batch's are in front */
        size_t at = k % BATCH, from = at + (size_t)rand() % (n - at);
        uint32_t drawn = peers[from];

        peers[from] = peers[at];
        l->draws[k] = peers[at] = drawn;
    }
    free(peers);
}

static void lab_open(struct lab *l, size_t n, enum ledger_mode mode)
{
    const struct host_interface_desc i = {.name = "one", .luid = 1, .index = 1, .type = 6};
    const union wire_addr local = {.v4 = 0x0a000001};
    struct ledger_config ledger = {.mode = mode, .clock = rt_clock_real()};
    struct host_config config = {.start_ns = START, .limits.flows = (uint32_t)(n + n / 4)};
    struct api_config api;
    size_t buckets = 1;

    *l = (struct lab){.now = START};
    lab = l;
    while (buckets < n)
        buckets *= 2;
    l->mask = buckets - 1;
    if (engine_create(&l->engine) != 0)
        bench_die("no memory");
    config.engine = l->engine;
    if (host_create(&config, &l->host) != 0 || host_interface_add(l->host, &i) != 0 ||
        host_address_add(l->host, 1, 4, &local, 24, false) != 0 || ledger_create(&ledger, &l->ledger) != 0)
        bench_die("no memory");
    api = (struct api_config){.engine = l->engine, .host = l->host};
    if (api_context_create(&api, &l->api) != 0)
        bench_die("no memory");
    api_rt(l->api)->party = ledger_party_add(l->ledger, "driver");
    api_set_current(l->api);
    filter_at(FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V4);
    l->contexts = calloc(n, sizeof(*l->contexts));
    l->draws = calloc(DRAWS, sizeof(*l->draws));
    l->slab = calloc(n + 1, sizeof(*l->slab));
    l->buckets = calloc(buckets, sizeof(*l->buckets));
    if (l->contexts == NULL || l->draws == NULL || l->slab == NULL || l->buckets == NULL)
        bench_die("no memory");
    for (size_t k = n + 1; k-- > 0;) {
        l->slab[k].next = l->free;
        l->free = &l->slab[k];
    }
    srand(1);
    draw(l, n);
}

static void lab_close(struct lab *l)
{
    api_set_current(NULL);
    api_context_destroy(l->api);
    host_destroy(l->host);
    engine_destroy(l->engine);
    ledger_destroy(l->ledger);
    free(l->contexts);
    free(l->draws);
    free(l->slab);
    free(l->buckets);
}

static struct record **bucket(struct lab *l, uint64_t key)
{
    return &l->buckets[(key * 0x9e3779b97f4a7c15u >> 32) & l->mask];
}

static void bare_add(struct lab *l, uint64_t key)
{
    struct record *r = l->free, **at = bucket(l, key);

    l->free = r->next;
    r->key = r->state[0] = key;
    r->next = *at;
    *at = r;
}

static void bare_take(struct lab *l, uint64_t key)
{
    struct record **at = bucket(l, key), *r;

    while ((*at)->key != key)
        at = &(*at)->next;
    r = *at;
    *at = r->next;
    r->next = l->free;
    l->free = r;
}

static double bare_pass(struct lab *l, const uint32_t *draws)
{
    double start = bench_cpu_ns();

    for (size_t at = 0; at < STEPS; at += BATCH) {
        for (size_t i = 0; i < BATCH; i++)
            bare_take(l, draws[at + i]);
        for (size_t i = 0; i < BATCH; i++)
            bare_add(l, draws[at + i]);
    }
    return (bench_cpu_ns() - start) / STEPS;
}

/* Of one pass, a step: completing; the datagrams. Which context is whose is the driver's to keep: untimed. */
static void batches(struct lab *l, const uint32_t *draws, double *completed, double *arrived)
{
    HANDLE contexts[BATCH];
    double start;

    *completed = *arrived = 0;
    for (size_t at = 0; at < STEPS; at += BATCH, draws += BATCH) {
        for (size_t i = 0; i < BATCH; i++)
            contexts[i] = l->contexts[draws[i]];
        if (pends) {
            start = bench_cpu_ns();
            for (size_t i = 0; i < BATCH; i++)
                FwpsCompleteOperation0(contexts[i], NULL);
            *completed += bench_cpu_ns() - start;
        }
        fetch(draws);
        start = bench_cpu_ns();
        for (size_t i = 0; i < BATCH; i++)
            arrives(draws[i], &contexts[i]);
        *arrived += bench_cpu_ns() - start;
        for (size_t i = 0; i < BATCH; i++)
            l->contexts[draws[i]] = contexts[i];
    }
    *completed /= STEPS;
    *arrived /= STEPS;
}

static double steps(struct lab *l, const uint32_t *draws)
{
    double start = bench_cpu_ns();

    for (size_t i = 0; i < STEPS; i++) {
        if (pends)
            FwpsCompleteOperation0(l->contexts[draws[i]], NULL);
        arrives(draws[i], &l->contexts[draws[i]]);
    }
    return (bench_cpu_ns() - start) / STEPS;
}

static void use(struct lab *l, bool pending)
{
    lab = l;
    pends = pending;
    api_set_current(l->api);
}

static void measure(size_t n, enum ledger_mode mode)
{
    double completed[PASSES], pended[PASSES], absorbed[PASSES], both[PASSES], bare[PASSES], ratio[PASSES];
    double stepped[PASSES], nothing;
    struct lab a, p;

    lab_open(&a, n, mode);
    lab_open(&p, n, mode);
    for (int way = 0; way < 2; way++) {
        use(way ? &p : &a, way);
        for (uint32_t i = 0; i < n; i++) {
            arrives(i, &lab->contexts[i]);
            bare_add(lab, i);
        }
    }
    for (unsigned k = 0; k < PASSES; k++) {
        const uint32_t *draws = p.draws + 2 * k * STEPS % DRAWS; /* the same on both sides */
        const uint32_t *next = draws + STEPS;

        use(&a, false);
        batches(&a, draws, &nothing, &absorbed[k]);
        bare[k] = bare_pass(&a, draws);
        stepped[k] = -steps(&a, next);
        use(&p, true);
        batches(&p, draws, &completed[k], &pended[k]);
        stepped[k] += steps(&p, next);
        both[k] = completed[k] + pended[k] - absorbed[k];
        ratio[k] = both[k] / bare[k];
        pended[k] -= absorbed[k];
    }
    printf("%7zu outstanding: bookkeeping %.0f ns (pended %.0f, completed %.0f); bare %.0f ns; "
           "ratio %.2f; step by step %.0f ns; absorbed alone %.0f ns\n",
           n, bench_median(both, PASSES), bench_median(pended, PASSES), bench_median(completed, PASSES),
           bench_median(bare, PASSES), bench_median(ratio, PASSES), bench_median(stepped, PASSES),
           bench_median(absorbed, PASSES));
    use(&p, true);
    for (uint32_t i = 0; i < n; i++)
        FwpsCompleteOperation0(p.contexts[i], NULL);
    lab_close(&p);
    use(&a, false);
    lab_close(&a);
}

static void million(void)
{
    const uint32_t n = 1000000;
    double start, pended, completed;
    uint32_t *order;
    struct lab l;

    lab_open(&l, n, LEDGER_COUNT);
    order = malloc(n * sizeof(*order));
    if (order == NULL)
        bench_die("no memory");
    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = (uint32_t)((unsigned)rand() % (i + 1));

        order[i] = order[at];
        order[at] = i;
    }
    pends = true;
    start = bench_cpu_ns();
    for (uint32_t i = 0; i < n; i++)
        arrives(i, &l.contexts[i]);
    pended = (bench_cpu_ns() - start) / n;
    start = bench_cpu_ns();
    for (uint32_t i = 0; i < n; i++)
        FwpsCompleteOperation0(l.contexts[order[i]], NULL);
    completed = (bench_cpu_ns() - start) / n;
    printf("%7u at once: datagram, flow and pend %.0f ns, completed in random order %.0f ns each\n", n,
           pended, completed);
    free(order);
    lab_close(&l);
}

static void full(void)
{
    measure(4000, LEDGER_FULL);
    measure(262144, LEDGER_FULL);
}

int main(void)
{
    struct rt_sim *world;

    measure(4000, LEDGER_COUNT);
    measure(262144, LEDGER_COUNT);
    million();
    printf("with the full ledger:\n");
    full();
    printf("with the full ledger, in a simulated world:\n");
    if (rt_sim_create(&(struct rt_sim_config){0}, &world) != 0)
        bench_die("no memory");
    rt_sim_enter(world);
    full();
    rt_sim_leave(world);
    rt_sim_destroy(world);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A lane's worker and its visitors at the same time: one thread brings frames, moves the clock, binds and
 * closes, adds interfaces and addresses; others complete what a callout pended, set and remove contexts,
 * abort flows, ask for reauthorization, change a network's category, list, count. Run under TSan. What must
 * hold at the end: every pend was completed once, every context was called back once, no state was left by a
 * road that there is not.
 */
#include <stdarg.h>
#include <stddef.h>
#include <sched.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "host/host.h"
#include "packets.h"
#include "rt/rt.h"

#define QUEUE  4096
#define FRAMES 12000
#define RECENT 8 /* few: what is meddled with is what frames are being asked about */

static struct {
    struct engine *engine;
    struct host *host;
    struct rt_mutex *lock;
    HANDLE waiting[QUEUE];
    unsigned first, last;
    UINT64 flows[RECENT]; /* ids seen by the callout, to be touched by others */
    atomic_uint pended, completed, associated, deleted, seen;
    atomic_bool stop;
} t;

/*
 * What is read or written with the lane not held collides in the few instructions between leaving the lane
 * and entering it: there every thread dawdles at random. The linker leads all of libweir's unlocks here
 * (tests/meson.build).
 */
void __real_rt_mutex_unlock(struct rt_mutex *m);
void __wrap_rt_mutex_unlock(struct rt_mutex *m);

void __wrap_rt_mutex_unlock(struct rt_mutex *m)
{
    static _Thread_local unsigned seed;
    const struct timespec nap = {.tv_nsec = 1000};

    __real_rt_mutex_unlock(m);
    seed = seed * 1664525u + 1013904223u;
    if (seed >> 29 == 0)
        nanosleep(&nap, NULL);
    else if (seed >> 29 == 1)
        sched_yield();
}

static void NTAPI classify(const FWPS_INCOMING_VALUES0 *values, const FWPS_INCOMING_METADATA_VALUES0 *m,
                           void *layer_data, const void *context, const FWPS_FILTER3 *filter, UINT64 flow,
                           FWPS_CLASSIFY_OUT0 *out)
{
    unsigned n = atomic_fetch_add(&t.seen, 1);
    HANDLE c;

    (void)values;
    (void)layer_data;
    (void)context;
    (void)filter;
    (void)flow;
    out->actionType = FWP_ACTION_PERMIT;
    if (m->currentMetadataValues & FWPS_METADATA_FIELD_FLOW_HANDLE) {
        rt_mutex_lock(t.lock);
        t.flows[n % RECENT] = m->flowHandle;
        rt_mutex_unlock(t.lock);
    }
    if (!(m->currentMetadataValues & FWPS_METADATA_FIELD_COMPLETION_HANDLE) || n % 3 == 0)
        return;
    rt_mutex_lock(t.lock);
    if (t.last - t.first < QUEUE && host_pend(t.host, m->completionHandle, &c) == STATUS_SUCCESS) {
        t.waiting[t.last++ % QUEUE] = c;
        atomic_fetch_add(&t.pended, 1);
        out->actionType = FWP_ACTION_BLOCK;
        out->rights &= ~(UINT32)FWPS_RIGHT_ACTION_WRITE;
        out->flags |= FWPS_CLASSIFY_OUT_FLAG_ABSORB;
    }
    rt_mutex_unlock(t.lock);
}

static void NTAPI flow_deleted(UINT16 layer_id, UINT32 callout_id, UINT64 context)
{
    (void)layer_id;
    (void)callout_id;
    (void)context;
    atomic_fetch_add(&t.deleted, 1);
}

static bool complete_one(void)
{
    HANDLE c = NULL;

    rt_mutex_lock(t.lock);
    if (t.first != t.last)
        c = t.waiting[t.first++ % QUEUE];
    rt_mutex_unlock(t.lock);
    if (c == NULL)
        return false;
    if (host_complete(t.host, c) == STATUS_SUCCESS)
        atomic_fetch_add(&t.completed, 1);
    return true;
}

static void completer(void *arg)
{
    (void)arg;
    while (!atomic_load(&t.stop))
        complete_one();
}

static void count_endpoint(void *ctx, const struct host_endpoint_info *e)
{
    *(UINT64 *)ctx += e->id != 0;
}

static UINT64 a_flow(unsigned n)
{
    UINT64 flow;

    rt_mutex_lock(t.lock);
    flow = t.flows[n % RECENT];
    rt_mutex_unlock(t.lock);
    return flow;
}

static void meddler(void *arg)
{
    struct host_counts counts;
    UINT64 any = 0;

    (void)arg;
    for (unsigned n = 0; !atomic_load(&t.stop); n++) {
        UINT64 flow = a_flow(n);

        if (flow != 0 &&
            host_flow_associate(t.host, flow, FWPS_LAYER_ALE_AUTH_CONNECT_V4, 1, 5) == STATUS_SUCCESS)
            atomic_fetch_add(&t.associated, 1);
        if (n % 3 == 0)
            host_flow_remove(t.host, flow, FWPS_LAYER_ALE_AUTH_CONNECT_V4, 1);
        if (n % 31 == 0)
            host_reauthorize(t.host, FWP_CONDITION_REAUTHORIZE_REASON_SOCKET_PROPERTY_CHANGED);
        if (n % 7 == 0)
            host_set_profile(t.host, 1, n / 7 % 3);
        if (n % 97 == 0) {
            host_counts(t.host, &counts);
            any += counts.frames;
        }
        if (n % 211 == 0)
            host_endpoints(t.host, count_endpoint, &any);
    }
}

/* Ends what the worker is about to go on with. */
static void aborter(void *arg)
{
    const struct timespec nap = {.tv_nsec = 20000};

    (void)arg;
    for (unsigned n = 0; !atomic_load(&t.stop); n++) {
        host_flow_abort(t.host, a_flow(n));
        nanosleep(&nap, NULL);
    }
}

static void filter_at(UINT16 layer, UINT64 id, UINT32 callout)
{
    UINT64 weight = id;
    FWPS_FILTER3 fwps = {.filterId = id,
                         .weight = {.type = FWP_UINT64, .uint64 = &weight},
                         .subLayerWeight = 1,
                         .action = {.type = FWP_ACTION_CALLOUT_TERMINATING, .calloutId = callout}};
    struct engine_filter_desc desc = {.layer_id = layer, .fwps = &fwps, .callout_key = {.Data1 = callout}};
    struct engine_filter *f;
    struct engine_txn *x;

    assert_int_equal(engine_filter_create(&desc, &f), 0);
    assert_int_equal(engine_txn_begin(t.engine, &x), 0);
    assert_int_equal(engine_txn_add(x, f), 0);
    assert_int_equal(engine_txn_commit(x), 0);
    engine_filter_unref(f);
}

static void register_at(UINT16 layer, UINT32 id)
{
    const struct engine_callout c = {.key = {.Data1 = id},
                                     .version = 3,
                                     .classify.v3 = classify,
                                     .id = id,
                                     .layer_id = layer,
                                     .flow_delete = flow_deleted};

    assert_int_equal(engine_callout_register(t.engine, &c), 0);
    filter_at(layer, id, id);
}

static void feed(unsigned n, UINT64 now)
{
    static const uint8_t flags[] = {WIRE_TCP_SYN, WIRE_TCP_SYN | WIRE_TCP_ACK, WIRE_TCP_ACK, WIRE_TCP_RST};
    const unsigned r = (n * 2654435761u + 12345u) >> 8;
    struct packet p = {.sport = (UINT16)(4000 + r % 2), .dport = (UINT16)(53 + r / 2 % 2)};
    bool in = r / 4 % 3 == 1;
    struct host_outcome out;
    struct wire_packet w;
    uint8_t frame[256];

    p.src = in ? "10.0.0.2" : "10.0.0.1";
    p.dst = in ? "10.0.0.1" : "10.0.0.2";
    if (r / 12 % 3 == 0) {
        p.protocol = WIRE_PROTOCOL_TCP;
        p.tcp_flags = flags[r / 36 % 4];
        p.seq = n / 20;
    }
    packet_parse(&p, frame, sizeof(frame), &w);
    host_frame(t.host,
               &(struct host_frame){.packet = &w,
                                    .number = n + 1,
                                    .time_ns = now,
                                    .interface_index = 1,
                                    .way = in ? HOST_WAY_IN : HOST_WAY_OUT},
               &out);
}

/* Interfaces and addresses come while others look for some. */
static void more_places(unsigned n)
{
    const struct host_interface_desc i = {.name = "more", .luid = 2 + n, .index = 2 + n, .type = 6};

    assert_int_equal(host_interface_add(t.host, &i), 0);
    for (uint32_t k = 0; k < 4; k++) {
        const union wire_addr a = {.v4 = 0x0b000000 + (n << 8) + k};

        assert_int_equal(host_address_add(t.host, 2 + n, 4, &a, 20 + k, k == 3), 0);
    }
}

static void visitors_at_work(void **state)
{
    const struct host_interface_desc i = {.name = "one", .luid = 1, .index = 1, .type = 6};
    const union wire_addr local = {.v4 = 0x0a000001};
    const struct host_socket s = {.version = 4, .protocol = WIRE_PROTOCOL_UDP, .port = 4001};
    struct host_config config = {.start_ns = 1000000000};
    struct rt_thread *threads[4];
    struct host_endpoint *e = NULL;
    struct host_counts counts;

    (void)state;
    memset(&t, 0, sizeof(t));
    assert_int_equal(rt_mutex_create(&t.lock), 0);
    assert_int_equal(engine_create(&t.engine), 0);
    register_at(FWPS_LAYER_ALE_AUTH_CONNECT_V4, 1);
    register_at(FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V4, 2);
    register_at(FWPS_LAYER_ALE_RESOURCE_ASSIGNMENT_V4, 3);
    config.engine = t.engine;
    assert_int_equal(host_create(&config, &t.host), 0);
    assert_int_equal(host_interface_add(t.host, &i), 0);
    assert_int_equal(host_address_add(t.host, 1, 4, &local, 24, false), 0);
    assert_int_equal(rt_thread_start("complete1", completer, NULL, &threads[0]), 0);
    assert_int_equal(rt_thread_start("complete2", completer, NULL, &threads[1]), 0);
    assert_int_equal(rt_thread_start("meddle", meddler, NULL, &threads[2]), 0);
    assert_int_equal(rt_thread_start("abort", aborter, NULL, &threads[3]), 0);
    for (unsigned n = 0; n < FRAMES; n++) {
        feed(n, 1000000000ull + n * 20000000ull);
        if (n % 100 == 50)
            more_places(n / 100);
        if (n % 300 == 100 && e == NULL)
            host_bind(t.host, &s, &e);
        if (n % 300 == 250 && e != NULL) {
            host_close(t.host, e);
            e = NULL;
        }
    }
    atomic_store(&t.stop, true);
    for (unsigned n = 0; n < 4; n++)
        rt_thread_join(threads[n]);
    if (e != NULL)
        host_close(t.host, e);
    while (complete_one())
        ;
    host_shutdown(t.host);
    assert_int_equal(atomic_load(&t.pended), atomic_load(&t.completed));
    assert_int_equal(atomic_load(&t.associated), atomic_load(&t.deleted));
    assert_true(atomic_load(&t.pended) > 100 && atomic_load(&t.associated) > 10);
    host_counts(t.host, &counts);
    assert_int_equal(counts.impossible, 0);
    assert_int_equal(counts.flows_live, 0);
    host_destroy(t.host);
    engine_destroy(t.engine);
    rt_mutex_destroy(t.lock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(visitors_at_work)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

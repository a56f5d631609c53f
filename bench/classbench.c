/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ClassBench rules as filters against DPDK's rte_acl: same rules, same packets, one call at a time.
 *
 *   bench_classbench [--quick] [set ...]       default: acl1 and fw1 at 1k, 10k, 100k
 *
 * Ours is a whole classify: values filled in from the packet, index, arbitration, verdict. Before anything is
 * timed, every packet's result is compared: filter of each sublayer against rule of each category.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "acl_peer.h"
#include "dpdk.h"
#include "bench.h"
#include "engine/index.h"
#include "engine/internal.h"

#define PASSES 9
#define GROUPS 8

struct ours {
    struct engine *engine;
    struct engine_reader *reader;
    FWPS_INCOMING_VALUE0 values[ENGINE_MAX_FIELDS];
    FWPS_INCOMING_VALUES0 incoming;
    struct engine_request request;
    double build_seconds;
    size_t groups;
    struct engine_index_stats stats;
};

static void ours_open(struct ours *o, const struct bench_set *s, size_t groups)
{
    const struct engine_layer *layer = engine_layer_by_id(BENCH_RULE_LAYER);

    memset(o, 0, sizeof(*o));
    o->groups = groups;
    o->engine = bench_rules_engine(s, groups, &o->build_seconds);
    if (engine_reader_create(o->engine, &o->reader) != 0)
        bench_die("no reader");
    for (UINT32 i = 0; i < layer->field_count; i++)
        o->values[i].value = (FWP_VALUE0){.type = layer->fields[i].data_type};
    o->values[FWPS_FIELD_OUTBOUND_TRANSPORT_V4_IP_LOCAL_INTERFACE].value.type = FWP_EMPTY;
    o->incoming = (FWPS_INCOMING_VALUES0){BENCH_RULE_LAYER, layer->field_count, o->values};
    o->request.values = &o->incoming;
    engine_index_stats(engine_pin(o->reader)->layers[BENCH_RULE_LAYER]->index, &o->stats);
    engine_unpin(o->reader);
}

static void ours_close(struct ours *o)
{
    engine_reader_destroy(o->reader);
    engine_destroy(o->engine);
}

static inline void fill(struct ours *o, const struct bench_packet *p)
{
    o->values[FWPS_FIELD_OUTBOUND_TRANSPORT_V4_IP_LOCAL_ADDRESS].value.uint32 = p->of[BENCH_SRC];
    o->values[FWPS_FIELD_OUTBOUND_TRANSPORT_V4_IP_REMOTE_ADDRESS].value.uint32 = p->of[BENCH_DST];
    o->values[FWPS_FIELD_OUTBOUND_TRANSPORT_V4_IP_LOCAL_PORT].value.uint16 = (UINT16)p->of[BENCH_SPORT];
    o->values[FWPS_FIELD_OUTBOUND_TRANSPORT_V4_IP_REMOTE_PORT].value.uint16 = (UINT16)p->of[BENCH_DPORT];
    o->values[FWPS_FIELD_OUTBOUND_TRANSPORT_V4_IP_PROTOCOL].value.uint8 = (UINT8)p->of[BENCH_PROTO];
}

static double ours_pass(struct ours *o, const struct bench_set *s, uint64_t *sum)
{
    struct engine_verdict v;
    uint64_t all = 0;
    double start = bench_cpu_ns();

    for (size_t i = 0; i < s->packet_count; i++) {
        fill(o, &s->packets[i]);
        engine_classify(o->reader, &o->request, &v);
        all += v.filter_id;
    }
    *sum += all;
    return (bench_cpu_ns() - start) / (double)s->packet_count;
}

/* ---- equal results --------------------------------------------------------------------------------- */

static void note_sublayer(void *ctx, const struct engine_sublayer_result *r)
{
    size_t *rules = ctx;

    rules[r->key->Data1 - 1] =
        r->filter != NULL ? (size_t)engine_filter_fwps(r->filter)->filterId - 1 : SIZE_MAX;
}

static void verify(struct ours *o, const struct bench_set *s, struct acl_peer *peer)
{
    size_t mine[GROUPS], theirs[GROUPS];
    struct engine_trace trace = {.ctx = mine, .sublayer = note_sublayer};
    struct engine_verdict v;

    for (size_t i = 0; i < s->packet_count; i++) {
        memset(mine, 0xff, sizeof(mine));
        fill(o, &s->packets[i]);
        o->request.trace = &trace;
        engine_classify(o->reader, &o->request, &v);
        o->request.trace = NULL;
        if (peer != NULL)
            acl_peer_best(peer, i, theirs);
        for (size_t g = 0; g < o->groups; g++) {
            if (peer != NULL ? theirs[g] != mine[g]
                             : i % 97 == 0 && bench_set_linear(s, &s->packets[i], o->groups, g) != mine[g])
                bench_die("%s: packet %zu, group %zu: our filter %zd, not the peer's %zd", s->name, i, g,
                          (ssize_t)mine[g], peer != NULL ? (ssize_t)theirs[g] : -2);
        }
    }
}

/* ---- measuring ------------------------------------------------------------------------------------- */

static const char *const way_names[ACL_WAYS] = {"scalar", "sse", "avx2", "avx512x32"};

static void compare(const struct bench_set *s, size_t groups, bool with_peer, int passes)
{
    double us[PASSES], them[PASSES], ratio[PASSES];
    struct acl_peer *peer = NULL;
    uint64_t sum = 0;
    struct ours o;

    ours_open(&o, s, groups);
#ifdef BENCH_HAVE_DPDK
    if (with_peer)
        peer = acl_peer_create(s, (unsigned)groups);
#else
    (void)with_peer;
#endif
    verify(&o, s, peer);
    printf("%-11s %zu sublayer%s, %zu rules: ", s->name, groups, groups > 1 ? "s" : "", s->rule_count);
    for (int i = 0; i < passes; i++) {
        ours_pass(&o, s, &sum); /* each to find its own data in the caches */
        us[i] = ours_pass(&o, s, &sum);
#ifdef BENCH_HAVE_DPDK
        if (peer != NULL)
            acl_peer_pass(peer, ACL_SCALAR, 1, &sum);
        them[i] = peer != NULL ? acl_peer_pass(peer, ACL_SCALAR, 1, &sum) : us[i];
#else
        them[i] = us[i];
#endif
        ratio[i] = us[i] / them[i];
    }
    printf("weir %.0f ns", bench_median(us, (size_t)passes));
    if (peer == NULL) {
        printf(" (no peer; results equal a linear scan's)\n");
    } else {
        printf(", rte_acl %.0f ns, ratio %.2f\n", bench_median(them, (size_t)passes),
               bench_median(ratio, (size_t)passes));
        printf("            rte_acl in batches of 32:");
#ifdef BENCH_HAVE_DPDK
        for (int w = 0; w < ACL_WAYS; w++) {
            if (!acl_peer_has(peer, (enum acl_way)w))
                continue;
            for (int i = 0; i < 3; i++)
                them[i] = acl_peer_pass(peer, (enum acl_way)w, 32, &sum);
            printf(" %s %.0f", way_names[w], bench_median(them, 3));
        }
#endif
        printf(" ns\n");
    }
    printf("            memory: index %.0f KiB", (double)o.stats.bytes / 1024);
#ifdef BENCH_HAVE_DPDK
    if (peer != NULL)
        printf(", rte_acl %.0f KiB", (double)acl_peer_bytes(peer) / 1024);
#endif
    printf("; build: commit %.2f ms (%.0f filters/s)", o.build_seconds * 1e3,
           (double)s->rule_count / o.build_seconds);
#ifdef BENCH_HAVE_DPDK
    if (peer != NULL)
        printf(", rte_acl %.2f ms", acl_peer_build_seconds(peer) * 1e3);
#endif
    printf("; %s, %s, %u cells, %u classes, %u blocks  [%" PRIx64 "]\n", o.stats.kernel,
           o.stats.columns ? "columns" : "flat", o.stats.cells, o.stats.classes, o.stats.blocks,
           (uint64_t)(sum & 0xf));
    fflush(stdout);
#ifdef BENCH_HAVE_DPDK
    if (peer != NULL)
        acl_peer_destroy(peer);
#endif
    ours_close(&o);
}

int main(int argc, char **argv)
{
    static const char *const all[] = {"acl1_1k",  "fw1_1k",    "ipc1_1k",  "acl1_10k", "fw1_10k",
                                      "ipc1_10k", "acl1_100k", "fw1_100k", "ipc1_100k"};
    const char *sets[32];
    size_t count = 0;
    bool peer = true;
    int passes = PASSES;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--quick") == 0)
            passes = 3;
        else if (strcmp(argv[i], "--no-peer") == 0)
            peer = false;
        else if (count < 32)
            sets[count++] = argv[i];
    }
    if (count == 0)
        for (; count < sizeof(all) / sizeof(all[0]); count++)
            sets[count] = all[count];
#ifdef BENCH_HAVE_DPDK
    if (peer)
        bench_dpdk_start(argv[0], 6144, false);
#else
    peer = false;
    printf("rte_acl is not here (libdpdk-dev): no ratios\n");
#endif
    for (size_t i = 0; i < count; i++) {
        struct bench_set s;

        if (!bench_set_load(sets[i], &s)) {
            printf("%-11s is not on this machine\n", sets[i]);
        } else {
            compare(&s, 1, peer, passes);
            compare(&s, GROUPS, peer, passes);
        }
        bench_set_free(&s);
    }
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a replay's time goes: each stage alone over the same capture, so many ns a packet.
 *
 *   read      capture_next()
 *   parse     + wire_parse()
 *   flow      flow_table_find_many() of each TCP and UDP packet's flow, in batches, all flows being there
 *   host      host_frame(): flows, TCP, order of layers, authorization; no filter anywhere
 *   policy    the same under a real machine's policy, programs and profile known
 *   write     capture_write() of every packet
 *
 * and of the classifications under that policy: at each layer how many a packet, and what one costs the
 * engine, asked again in place, with the values that the host made (the caches are warm). CPU time of the
 * thread; each stage three times, the median.
 *
 * usage: bench_replay_stages CAPTURE STATE
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "bfe/bfe.h"
#include "datapath/capture.h"
#include "host/flow_table.h"
#include "host/host.h"
#include "policy/policy.h"
#include "security/security.h"
#include "wire/wire.h"

#define PASSES  3
#define BATCH   32
#define LOCAL   0x0a000002u
#define AGAIN   16 /* times that a classification is asked again */
#define SAMPLES 64 /* one in so many is */

static const char *input;
static uint64_t packets;

/* ---- reading and parsing ----------------------------------------------------------------------------- */

enum stage { READ, PARSE, WRITE };

static double read_all(enum stage stage)
{
    struct capture_error error;
    struct capture *c;
    struct capture_writer *w = NULL;
    struct capture_packet p;
    struct wire_packet x;
    char path[] = "/tmp/weir-stages-XXXXXX";
    uint64_t kept = 0;

    if (capture_open(input, &c, &error) != 0)
        bench_die("%s", error.text);
    if (stage == WRITE && (close(mkstemp(path)), capture_writer_open(path, &w, &error) != 0))
        bench_die("%s", error.text);
    double start = bench_cpu_ns();
    for (packets = 0; capture_next(c, &p, &error) == 1; packets++) {
        if (stage == READ)
            kept += p.bytes[0];
        if (stage == PARSE) {
            wire_parse(WIRE_LINK_ETHERNET, p.bytes, p.captured, p.length, &x);
            kept += x.source_port;
        }
        if (stage == WRITE && capture_write(w, c, &p, NULL) != 0)
            bench_die("%s cannot be written", path);
    }
    if (stage == WRITE) {
        if (capture_writer_close(w, true) != 0)
            bench_die("%s cannot be written", path);
        unlink(path);
    }
    double took = bench_cpu_ns() - start;
    capture_close(c);
    if (kept == 1) /* so that nothing is left out */
        puts("");
    return took / (double)packets;
}

/* ---- flows ------------------------------------------------------------------------------------------- */

static bool key_of(const struct wire_packet *x, struct host_flow_key *key)
{
    if (x->reached != WIRE_TRANSPORT || x->version != 4)
        return false;
    bool out = x->source.v4 == LOCAL;
    memset(key, 0, sizeof(*key));
    key->local = out ? x->source : x->destination;
    key->remote = out ? x->destination : x->source;
    key->local_port = out ? x->source_port : x->destination_port;
    key->remote_port = out ? x->destination_port : x->source_port;
    key->version = 4;
    key->protocol = x->protocol;
    key->compartment = 1;
    return true;
}

/* Each packet's flow is found, all being there. */
static double flows(uint32_t *count)
{
    struct capture_error error;
    struct capture *c;
    struct capture_packet p;
    struct wire_packet x;
    struct flow_table *t;
    struct host_flow_key *keys = malloc(packets * sizeof(*keys));
    const struct host_flow_key *batch[BATCH];
    struct host_flow *found[BATCH];
    uint64_t n = 0, hits = 0;

    if (keys == NULL || flow_table_create(1u << 22, 1, &t) != 0 || capture_open(input, &c, &error) != 0)
        bench_die("out of memory");
    while (n < packets && capture_next(c, &p, &error) == 1) {
        wire_parse(WIRE_LINK_ETHERNET, p.bytes, p.captured, p.length, &x);
        if (!key_of(&x, &keys[n]))
            continue;
        if (flow_table_find(t, &keys[n]) == NULL && flow_table_add(t, &keys[n]) == NULL)
            bench_die("no room for flows");
        n++;
    }
    double start = bench_cpu_ns();
    for (uint64_t i = 0; i + BATCH <= n; i += BATCH) {
        for (unsigned k = 0; k < BATCH; k++)
            batch[k] = &keys[i + k];
        flow_table_find_many(t, batch, BATCH, found);
        for (unsigned k = 0; k < BATCH; k++)
            hits += found[k] != NULL;
    }
    double took = bench_cpu_ns() - start;
    if (hits != n / BATCH * BATCH)
        bench_die("flows got lost");
    *count = flow_table_count(t);
    flow_table_destroy(t);
    capture_close(c);
    free(keys);
    return took / (double)n;
}

/* ---- the host ---------------------------------------------------------------------------------------- */

struct layer_cost {
    const struct engine_layer *layer;
    uint64_t count, empty, asked;
    double ns;
};

struct stages {
    struct engine *engine;
    struct engine_reader *reader;
    struct layer_cost layers[256];
    uint64_t events;
    struct host_owner owner;
};

static const struct host_owner *owner_of(void *ctx, UINT64 time_ns, uint8_t version, uint8_t protocol,
                                         const union wire_addr *local, UINT16 local_port,
                                         const union wire_addr *remote, UINT16 remote_port)
{
    (void)time_ns, (void)version, (void)protocol, (void)local, (void)local_port, (void)remote,
        (void)remote_port;
    return &((struct stages *)ctx)->owner;
}

/* Asks now and then again, to see what it costs. */
static void classified(void *ctx, const struct host_event *e)
{
    struct stages *s = ctx;
    struct layer_cost *l = &s->layers[e->layer->id];
    struct engine_verdict v;

    l->layer = e->layer;
    l->count++;
    l->empty += e->empty;
    if (e->empty || e->request == NULL || s->events++ % SAMPLES != 0)
        return;
    struct engine_request q = *e->request;
    q.trace = NULL;
    q.supposed = true;
    (void)engine_classify(s->reader, &q, &v);
    double start = bench_cpu_ns();
    for (int i = 0; i < AGAIN; i++)
        (void)engine_classify(s->reader, &q, &v);
    l->ns += bench_cpu_ns() - start;
    l->asked += AGAIN;
}

static double host_all(struct stages *s, bool watch, struct host_counts *counts)
{
    struct capture_error error;
    struct capture *c;
    struct capture_packet p;
    static struct wire_packet x[BATCH];
    static struct host_frame f[BATCH];
    struct host_config config = {
        .engine = s->engine, .owner_of = owner_of, .ctx = s, .unknown = HOST_THING_LUID | HOST_THING_INDEX};
    const struct host_interface_desc desc = {.name = "bench", .index = 1, .type = 6, .profile = 2};
    const union wire_addr local = {.v4 = LOCAL};
    struct host *h;
    struct host_outcome o;
    unsigned n;

    if (watch)
        config.observer = (struct host_observer){.ctx = s, .classified = classified};
    if (capture_open(input, &c, &error) != 0)
        bench_die("%s", error.text);
    config.start_ns = 1700000000ull * 1000000000;
    if (host_create(&config, &h) != 0 || host_interface_add(h, &desc) != 0 ||
        host_address_add(h, 1, 4, &local, 24, false) != 0)
        bench_die("no host");
    double took = 0;
    do {
        for (n = 0; n < BATCH && capture_next(c, &p, &error) == 1; n++) {
            wire_parse(WIRE_LINK_ETHERNET, p.bytes, p.captured, p.length, &x[n]);
            f[n] = (struct host_frame){
                .packet = &x[n], .number = p.number, .time_ns = p.time_ns, .interface_index = 1};
        }
        double start = bench_cpu_ns();
        host_prefetch(h, f, n);
        for (unsigned i = 0; i < n; i++)
            host_frame(h, &f[i], &o);
        took += bench_cpu_ns() - start;
    } while (n == BATCH);
    host_counts(h, counts);
    host_destroy(h);
    capture_close(c);
    return took / (double)packets;
}

static void print(const char *what, enum stage stage, double less)
{
    double ns[PASSES];

    for (int i = 0; i < PASSES; i++)
        ns[i] = read_all(stage);
    printf("  %-28s %6.0f ns a packet\n", what, bench_median(ns, PASSES) - less);
}

static int by_cost(const void *a, const void *b)
{
    const struct layer_cost *x = a, *y = b;
    double p = x->asked == 0 ? 0 : x->ns / (double)x->asked * (double)(x->count - x->empty);
    double q = y->asked == 0 ? 0 : y->ns / (double)y->asked * (double)(y->count - y->empty);

    return (p < q) - (p > q);
}

static void with_policy(struct stages *s, const char *state, double empty)
{
    struct policy_error error = {0};
    struct security_token *token;
    struct policy *policy;
    struct bfe *bfe;
    FWP_BYTE_BLOB *app;
    struct host_counts counts;
    UINT64 user[SECURITY_MAX_SID_SIZE / sizeof(UINT64) + 1];
    double ns[PASSES];

    if (engine_create(&s->engine) != 0 || bfe_create(s->engine, NULL, &bfe) != 0)
        bench_die("no bfe");
    if (policy_load_file(bfe, state, &policy, &error) != 0)
        bench_die("%s", error.text);
    if (engine_reader_create(s->engine, &s->reader) != 0 ||
        security_sid_parse("S-1-5-20", (SID *)user, sizeof(user)) != 0 ||
        security_token_create(&(struct security_token_spec){.user = (SID *)user}, &token) != 0 ||
        engine_app_id_from_path("\\device\\harddiskvolume3\\windows\\system32\\svchost.exe", &app) != 0)
        bench_die("no owner");
    s->owner = (struct host_owner){
        .unknown = HOST_THING_PROCESS, .app_id = app, .token = security_token_blob(token)};
    for (int i = 0; i < PASSES; i++)
        ns[i] = host_all(s, false, &counts);
    double full = bench_median(ns, PASSES);
    printf("  %-28s %6.0f ns a packet: %.0f more\n", "host under the policy", full, full - empty);
    printf("    of 1,000 packets: passed %.0f, ignored %.0f, blocked %.0f, consequence %.0f, stack %.0f\n",
           (double)counts.fates[HOST_PASSED] * 1000 / (double)packets,
           (double)counts.fates[HOST_IGNORED] * 1000 / (double)packets,
           (double)counts.fates[HOST_BLOCKED] * 1000 / (double)packets,
           (double)counts.fates[HOST_CONSEQUENCE] * 1000 / (double)packets,
           (double)counts.fates[HOST_STACK] * 1000 / (double)packets);
    (void)host_all(s, true, &counts);
    qsort(s->layers, sizeof(s->layers) / sizeof(s->layers[0]), sizeof(s->layers[0]), by_cost);
    for (size_t i = 0; i < sizeof(s->layers) / sizeof(s->layers[0]); i++) {
        const struct layer_cost *l = &s->layers[i];

        if (l->layer == NULL)
            continue;
        printf("    %-44s %6.3f a packet", l->layer->name, (double)l->count / (double)packets);
        if (l->asked != 0)
            printf(", %5.0f ns each, %5.1f ns a packet\n", l->ns / (double)l->asked,
                   l->ns / (double)l->asked * (double)(l->count - l->empty) / (double)packets);
        else
            printf(", no filters\n");
    }
    engine_reader_destroy(s->reader);
    free(app);
    security_token_destroy(token);
    policy_free(policy);
    bfe_destroy(bfe);
    engine_destroy(s->engine);
}

int main(int argc, char **argv)
{
    static struct stages s;
    struct host_counts counts;
    uint32_t flow_count = 0;
    double ns[PASSES], bare;

    if (argc != 3)
        bench_die("usage: bench_replay_stages CAPTURE STATE");
    input = argv[1];
    for (int i = 0; i < PASSES; i++)
        ns[i] = read_all(READ);
    bare = bench_median(ns, PASSES);
    printf("%s: %" PRIu64 " packets\n  %-28s %6.0f ns a packet\n", input, packets, "read", bare);
    print("parse", PARSE, bare);
    print("write", WRITE, bare);
    for (int i = 0; i < PASSES; i++)
        ns[i] = flows(&flow_count);
    printf("  %-28s %6.0f ns a packet (%u flows, batches of %d)\n", "find the flow", bench_median(ns, PASSES),
           flow_count, BATCH);

    if (engine_create(&s.engine) != 0)
        bench_die("no engine");
    s.owner.unknown = HOST_THING_PROCESS;
    for (int i = 0; i < PASSES; i++)
        ns[i] = host_all(&s, false, &counts);
    double empty = bench_median(ns, PASSES);
    printf("  %-28s %6.0f ns a packet: flows, order of layers; no filter\n", "host", empty);
    engine_destroy(s.engine);
    with_policy(&s, argv[2], empty);
    return 0;
}

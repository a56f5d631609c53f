/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a change of policy costs: one filter more at layers of 400 and 10,000 filters, by the engine alone and
 * through bfe (check, store, weigh, commit), with nobody reading and with a reader that classifies all the
 * time; and a bulk of filters in one transaction.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "bfe/bfe.h"
#include "samples.h"

#define ADDS 400

/* ---- a reader beside the writer ---------------------------------------------------------------------- */

struct beside {
    struct engine *engine;
    UINT16 layer;
    pthread_t thread;
    atomic_bool stop;
    uint64_t classifies;
    double seconds; /* its own CPU time */
};

static void *read_on(void *arg)
{
    struct beside *b = arg;
    struct engine_reader *r;
    struct samples *s;
    double start;

    if (engine_reader_create(b->engine, &r) != 0)
        bench_die("no reader");
    s = samples_create(engine_pin(r)->layers[b->layer], 9);
    engine_unpin(r);
    start = bench_cpu_ns();
    for (unsigned i = 0; !atomic_load_explicit(&b->stop, memory_order_relaxed); i++) {
        unsigned k = i % (SAMPLE_ENDPOINTS * SAMPLE_PACKETS);
        struct engine_request q = {.values = &s->packets[k].incoming,
                                   .cache = &s->caches[k / SAMPLE_PACKETS]};
        struct engine_verdict v;

        engine_classify(r, &q, &v);
        b->classifies++;
    }
    b->seconds = (bench_cpu_ns() - start) / 1e9;
    samples_destroy(s);
    engine_reader_destroy(r);
    return NULL;
}

static void beside_start(struct beside *b, struct engine *e, UINT16 layer)
{
    memset(b, 0, sizeof(*b));
    b->engine = e;
    b->layer = layer;
    if (pthread_create(&b->thread, NULL, read_on, b) != 0)
        bench_die("no thread");
}

static void beside_stop(struct beside *b)
{
    atomic_store(&b->stop, true);
    pthread_join(b->thread, NULL);
}

/* ---- reports ----------------------------------------------------------------------------------------- */

static void report(const char *what, size_t filters, double *us, size_t n, const struct beside *b)
{
    bench_sort(us, n);
    printf("  %-34s %6zu filters: median %.1f us, p99 %.1f us, most %.1f us", what, filters,
           bench_percentile(us, n, 0.5), bench_percentile(us, n, 0.99), us[n - 1]);
    if (b != NULL)
        printf("; the reader beside: %.0f ns a classify", b->seconds * 1e9 / (double)b->classifies);
    printf("\n");
    fflush(stdout);
}

/* ---- the engine alone -------------------------------------------------------------------------------- */

struct source { /* of filters: made up, or ClassBench rules */
    uint64_t seed;
    const struct bench_set *set;
    size_t next;
    UINT16 layer;
};

static struct engine_filter *take(struct source *s)
{
    s->next++;
    if (s->set == NULL)
        return sample_filter(&s->seed, s->next);
    return bench_rule_filter(s->set, s->next - 1, 1);
}

static struct engine *filled(struct source *s, size_t count, double *seconds)
{
    struct engine *e;
    struct engine_txn *t;
    double start;

    if (engine_create(&e) != 0 || engine_txn_begin(e, &t) != 0)
        bench_die("no engine");
    for (size_t i = 0; i < count; i++) {
        struct engine_filter *f = take(s);

        engine_txn_add(t, f);
        engine_filter_unref(f);
    }
    start = bench_cpu_ns();
    if (engine_txn_commit(t) != 0)
        bench_die("no commit");
    *seconds = (bench_cpu_ns() - start) / 1e9;
    return e;
}

static void add_one_by_one(struct engine *e, struct source *s, double *us)
{
    for (size_t i = 0; i < ADDS; i++) {
        struct engine_filter *f = take(s);
        UINT64 id = engine_filter_fwps(f)->filterId;
        struct engine_txn *t;
        double start = bench_cpu_ns();

        if (engine_txn_begin(e, &t) != 0 || engine_txn_add(t, f) != 0 || engine_txn_commit(t) != 0)
            bench_die("no commit");
        us[i] = (bench_cpu_ns() - start) / 1e3;
        engine_filter_unref(f);
        /* the layer keeps its size: every other one goes again, untimed */
        if (i % 2 && (engine_txn_begin(e, &t) != 0 || engine_txn_remove(t, s->layer, id) != 0 ||
                      engine_txn_commit(t) != 0))
            bench_die("no removal");
    }
}

static void engine_alone(struct source *s, size_t count, const char *what)
{
    double us[ADDS], seconds;
    struct engine *e = filled(s, count, &seconds);
    struct beside b;

    printf("  %-34s %6zu filters: commit of all %.2f ms, %.0f filters/s\n", what, count, seconds * 1e3,
           (double)count / seconds);
    add_one_by_one(e, s, us);
    report("... one more", count, us, ADDS, NULL);
    beside_start(&b, e, s->layer);
    add_one_by_one(e, s, us);
    beside_stop(&b);
    report("... one more, a reader beside", count, us, ADDS, &b);
    engine_destroy(e);
}

/* ---- through bfe ------------------------------------------------------------------------------------- */

struct machine {
    struct engine *engine;
    struct bfe *bfe;
    struct bfe_session *session;
};

static void machine_open(struct machine *m)
{
    static WCHAR name[] = u"bench";
    struct bfe_caller caller = {.kernel = true};

    if (engine_create(&m->engine) != 0 || bfe_create(m->engine, NULL, &m->bfe) != 0 ||
        bfe_session_open(m->bfe, &caller, NULL, &m->session) != STATUS_SUCCESS)
        bench_die("no bfe");
    for (UINT32 i = 0; i < 6; i++) {
        FWPM_SUBLAYER0 l = {.displayData.name = name, .weight = (UINT16)(6 - i)};

        l.subLayerKey.Data1 = i + 1;
        if (bfe_sublayer_add(m->session, &l, NULL, 0) != STATUS_SUCCESS)
            bench_die("no sublayer");
    }
}

static void machine_close(struct machine *m)
{
    bfe_session_close(m->session);
    bfe_destroy(m->bfe);
    engine_destroy(m->engine);
}

static UINT64 machine_add(struct machine *m, const struct engine_filter *f)
{
    static WCHAR name[] = u"bench";
    const FWPS_FILTER3 *s = engine_filter_fwps(f);
    const struct engine_layer *layer = engine_layer_by_id(engine_filter_desc(f)->layer_id);
    FWPM_FILTER_CONDITION0 c[32];
    UINT64 weight = *s->weight.uint64, id = 0;
    FWPM_FILTER0 out = {.displayData.name = name,
                        .layerKey = *layer->key,
                        .filterCondition = c,
                        .numFilterConditions = s->numFilterConditions,
                        .action.type = s->action.type};
    NTSTATUS status;

    for (UINT32 i = 0; i < s->numFilterConditions; i++)
        c[i] =
            (FWPM_FILTER_CONDITION0){*layer->fields[s->filterCondition[i].fieldId].key,
                                     s->filterCondition[i].matchType, s->filterCondition[i].conditionValue};
    out.subLayerKey = engine_filter_desc(f)->sublayer_key;
    out.weight = (FWP_VALUE0){.type = FWP_UINT64, .uint64 = &weight};
    status = bfe_filter_add(m->session, &out, NULL, 0, &id);
    if (status != STATUS_SUCCESS)
        bench_die("bfe_filter_add: %x", (unsigned)status);
    return id;
}

static void machine_one_by_one(struct machine *m, struct source *s, double *us)
{
    for (size_t i = 0; i < ADDS; i++) {
        struct engine_filter *f = take(s);
        double start = bench_cpu_ns();
        UINT64 id = machine_add(m, f);

        us[i] = (bench_cpu_ns() - start) / 1e3;
        engine_filter_unref(f);
        if (i % 2 && bfe_filter_delete(m->session, NULL, id) != STATUS_SUCCESS)
            bench_die("no removal");
    }
}

static void through_bfe(size_t count)
{
    struct source s = {.seed = 3, .layer = SAMPLE_LAYER};
    struct engine_filter **filters = calloc(count, sizeof(*filters));
    double us[ADDS], start, seconds;
    struct machine m;
    struct beside b;

    machine_open(&m);
    for (size_t i = 0; i < count; i++)
        filters[i] = take(&s);
    start = bench_cpu_ns();
    if (bfe_txn_begin(m.session, 0) != STATUS_SUCCESS)
        bench_die("no transaction");
    for (size_t i = 0; i < count; i++)
        machine_add(&m, filters[i]);
    if (bfe_txn_commit(m.session) != STATUS_SUCCESS)
        bench_die("no commit");
    seconds = (bench_cpu_ns() - start) / 1e9;
    printf("  %-34s %6zu filters: all in one transaction %.2f ms, %.0f filters/s\n", "bfe, made up", count,
           seconds * 1e3, (double)count / seconds);
    machine_one_by_one(&m, &s, us);
    report("... one more", count, us, ADDS, NULL);
    beside_start(&b, m.engine, SAMPLE_LAYER);
    machine_one_by_one(&m, &s, us);
    beside_stop(&b);
    report("... one more, a reader beside", count, us, ADDS, &b);
    for (size_t i = 0; i < count; i++)
        engine_filter_unref(filters[i]);
    free(filters);
    machine_close(&m);
}

int main(void)
{
    static const char *const sets[] = {"acl1_10k", "fw1_10k"};

    for (size_t n = 400; n <= 10000; n *= 25) {
        struct source s = {.seed = 3, .layer = SAMPLE_LAYER};

        engine_alone(&s, n, "engine, made up");
    }
    for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
        struct source s = {.layer = BENCH_RULE_LAYER};
        struct bench_set set;

        if (!bench_set_load(sets[i], &set)) {
            printf("  %s is not on this machine\n", sets[i]);
            continue;
        }
        s.set = &set;
        engine_alone(&s, set.rule_count - 2 * ADDS, sets[i]);
        bench_set_free(&set);
    }
    for (size_t n = 400; n <= 10000; n *= 25)
        through_bfe(n);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

static double clock_ns(clockid_t id)
{
    struct timespec t;

    clock_gettime(id, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

double bench_cpu_ns(void)
{
    return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

double bench_wall_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

static int compare_double(const void *pa, const void *pb)
{
    const double *a = pa, *b = pb;

    return (*a > *b) - (*a < *b);
}

void bench_sort(double *a, size_t n)
{
    qsort(a, n, sizeof(*a), compare_double);
}

double bench_median(double *a, size_t n)
{
    bench_sort(a, n);
    return bench_percentile(a, n, 0.5);
}

double bench_percentile(const double *sorted, size_t n, double p)
{
    size_t at = (size_t)(p * (double)(n - 1) + 0.5);

    return n != 0 ? sorted[at] : 0;
}

void bench_die(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

size_t bench_heap_bytes(void)
{
    struct mallinfo2 m = mallinfo2();

    return m.uordblks + m.hblkhd;
}

/* ---- ClassBench ------------------------------------------------------------------------------------ */

static const char *shared_path(const char *folder, const char *name, const char *suffix, char *out,
                               size_t size)
{
    const char *shared = getenv("WEIR_SHARED"), *root = getenv("WEIR_ROOT");

    if (shared != NULL)
        snprintf(out, size, "%s/data/%s/%s%s", shared, folder, name, suffix);
    else
        snprintf(out, size, "%s/../shared/data/%s/%s%s", root != NULL ? root : ".", folder, name, suffix);
    return out;
}

const char *bench_state_path(const char *name, char *out, size_t size)
{
    return shared_path("states", name, "", out, size);
}

static FILE *open_xz(const char *name, const char *suffix)
{
    char path[512], command[640];

    shared_path("classbench", name, suffix, path, sizeof(path));
    if (access(path, R_OK) != 0)
        return NULL;
    snprintf(command, sizeof(command), "xz -dc '%s'", path);
    return popen(command, "r");
}

static void *grown(void *array, size_t count, size_t each)
{
    if (count != 0 && (count < 1024 || (count & (count - 1)) != 0))
        return array;
    array = realloc(array, (count != 0 ? 2 * count : 1024) * each);
    if (array == NULL)
        bench_die("no memory");
    return array;
}

static uint32_t prefix_mask(unsigned prefix)
{
    return prefix == 0 ? 0 : ~0u << (32 - prefix);
}

static bool read_rule(const char *line, struct bench_rule *r)
{
    unsigned a[4], b[4], sl, sh, dl, dh, proto, mask;

    if (sscanf(line, "@%u.%u.%u.%u/%u %u.%u.%u.%u/%u %u : %u %u : %u %x/%x", &a[0], &a[1], &a[2], &a[3],
               &r->src_prefix, &b[0], &b[1], &b[2], &b[3], &r->dst_prefix, &sl, &sh, &dl, &dh, &proto,
               &mask) != 16)
        return false;
    r->low[BENCH_SRC] = (a[0] << 24 | a[1] << 16 | a[2] << 8 | a[3]) & prefix_mask(r->src_prefix);
    r->high[BENCH_SRC] = r->low[BENCH_SRC] | ~prefix_mask(r->src_prefix);
    r->low[BENCH_DST] = (b[0] << 24 | b[1] << 16 | b[2] << 8 | b[3]) & prefix_mask(r->dst_prefix);
    r->high[BENCH_DST] = r->low[BENCH_DST] | ~prefix_mask(r->dst_prefix);
    r->low[BENCH_SPORT] = sl;
    r->high[BENCH_SPORT] = sh;
    r->low[BENCH_DPORT] = dl;
    r->high[BENCH_DPORT] = dh;
    r->low[BENCH_PROTO] = mask != 0 ? proto : 0;
    r->high[BENCH_PROTO] = mask != 0 ? proto : 255;
    return true;
}

static bool read_packet(const char *line, struct bench_packet *p)
{
    return sscanf(line, "%u %u %u %u %u", &p->of[0], &p->of[1], &p->of[2], &p->of[3], &p->of[4]) == 5;
}

bool bench_set_load(const char *name, struct bench_set *s)
{
    FILE *rules = open_xz(name, ".xz"), *trace = open_xz(name, ".trace.xz");
    char line[512];

    memset(s, 0, sizeof(*s));
    snprintf(s->name, sizeof(s->name), "%s", name);
    while (rules != NULL && fgets(line, sizeof(line), rules) != NULL) {
        s->rules = grown(s->rules, s->rule_count, sizeof(*s->rules));
        s->rule_count += read_rule(line, &s->rules[s->rule_count]);
    }
    while (trace != NULL && fgets(line, sizeof(line), trace) != NULL) {
        s->packets = grown(s->packets, s->packet_count, sizeof(*s->packets));
        s->packet_count += read_packet(line, &s->packets[s->packet_count]);
    }
    if (rules != NULL)
        pclose(rules);
    if (trace != NULL)
        pclose(trace);
    return s->rule_count != 0 && s->packet_count != 0;
}

void bench_set_free(struct bench_set *s)
{
    free(s->rules);
    free(s->packets);
}

size_t bench_set_linear(const struct bench_set *s, const struct bench_packet *p, size_t groups, size_t group)
{
    for (size_t i = group; i < s->rule_count; i += groups) {
        const struct bench_rule *r = &s->rules[i];
        bool all = true;

        for (int k = 0; k < BENCH_DIMENSIONS; k++)
            all &= p->of[k] >= r->low[k] && p->of[k] <= r->high[k];
        if (all)
            return i;
    }
    return SIZE_MAX;
}

/* ---- an engine full of filters --------------------------------------------------------------------- */

/* Adds one port condition, unless it holds for every port. */
static UINT32 add_port(FWPS_FILTER_CONDITION0 *c, UINT16 field, uint32_t low, uint32_t high,
                       FWP_RANGE0 *range)
{
    if (low == 0 && high == 65535)
        return 0;
    *c = (FWPS_FILTER_CONDITION0){.fieldId = field, .matchType = FWP_MATCH_EQUAL};
    c->conditionValue.type = FWP_UINT16;
    c->conditionValue.uint16 = (UINT16)low;
    if (low == high)
        return 1;
    range->valueLow = (FWP_VALUE0){.type = FWP_UINT16, .uint16 = (UINT16)low};
    range->valueHigh = (FWP_VALUE0){.type = FWP_UINT16, .uint16 = (UINT16)high};
    c->matchType = FWP_MATCH_RANGE;
    c->conditionValue.type = FWP_RANGE_TYPE;
    c->conditionValue.rangeValue = range;
    return 1;
}

static UINT32 add_prefix(FWPS_FILTER_CONDITION0 *c, UINT16 field, uint32_t address, unsigned prefix,
                         FWP_V4_ADDR_AND_MASK *mask)
{
    if (prefix == 0)
        return 0;
    *mask = (FWP_V4_ADDR_AND_MASK){address, prefix_mask(prefix)};
    *c = (FWPS_FILTER_CONDITION0){.fieldId = field, .matchType = FWP_MATCH_EQUAL};
    c->conditionValue.type = FWP_V4_ADDR_MASK;
    c->conditionValue.v4AddrMask = mask;
    return 1;
}

struct engine_filter *bench_rule_filter(const struct bench_set *s, size_t rule, size_t groups)
{
    const struct bench_rule *r = &s->rules[rule];
    FWPS_FILTER_CONDITION0 c[BENCH_DIMENSIONS];
    FWP_V4_ADDR_AND_MASK mask[2];
    FWP_RANGE0 range[2];
    UINT64 weight = s->rule_count - rule;
    FWPS_FILTER3 f = {.filterId = rule + 1, .action.type = FWP_ACTION_PERMIT, .filterCondition = c};
    struct engine_filter_desc d = {.layer_id = BENCH_RULE_LAYER, .fwps = &f};
    struct engine_filter *out;
    UINT32 n = 0;

    n += add_prefix(&c[n], FWPS_FIELD_OUTBOUND_TRANSPORT_V4_IP_LOCAL_ADDRESS, r->low[BENCH_SRC],
                    r->src_prefix, &mask[0]);
    n += add_prefix(&c[n], FWPS_FIELD_OUTBOUND_TRANSPORT_V4_IP_REMOTE_ADDRESS, r->low[BENCH_DST],
                    r->dst_prefix, &mask[1]);
    n += add_port(&c[n], FWPS_FIELD_OUTBOUND_TRANSPORT_V4_IP_LOCAL_PORT, r->low[BENCH_SPORT],
                  r->high[BENCH_SPORT], &range[0]);
    n += add_port(&c[n], FWPS_FIELD_OUTBOUND_TRANSPORT_V4_IP_REMOTE_PORT, r->low[BENCH_DPORT],
                  r->high[BENCH_DPORT], &range[1]);
    if (r->low[BENCH_PROTO] == r->high[BENCH_PROTO]) {
        c[n] = (FWPS_FILTER_CONDITION0){.fieldId = FWPS_FIELD_OUTBOUND_TRANSPORT_V4_IP_PROTOCOL};
        c[n].conditionValue.type = FWP_UINT8;
        c[n++].conditionValue.uint8 = (UINT8)r->low[BENCH_PROTO];
    }
    f.numFilterConditions = n;
    f.weight = (FWP_VALUE0){.type = FWP_UINT64, .uint64 = &weight};
    f.subLayerWeight = (UINT16)(groups - rule % groups);
    d.sublayer_key.Data1 = (UINT32)(rule % groups) + 1;
    d.sublayer_seq = rule % groups;
    if (engine_filter_create(&d, &out) != 0)
        bench_die("rule %zu of %s is no filter", rule, s->name);
    return out;
}

struct engine *bench_rules_engine(const struct bench_set *s, size_t groups, double *seconds)
{
    struct engine *e;
    struct engine_txn *t;
    double start;

    if (engine_create(&e) != 0 || engine_txn_begin(e, &t) != 0)
        bench_die("no engine");
    for (size_t i = 0; i < s->rule_count; i++) {
        struct engine_filter *f = bench_rule_filter(s, i, groups);

        if (engine_txn_add(t, f) != 0)
            bench_die("no memory");
        engine_filter_unref(f);
    }
    start = bench_cpu_ns();
    if (engine_txn_commit(t) != 0)
        bench_die("the commit failed");
    if (seconds != NULL)
        *seconds = (bench_cpu_ns() - start) / 1e9;
    return e;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the benchmarks share: CPU time, medians, rule sets and traces of packets, filters in a few lines.
 *
 * Times are CPU time of the thread (other work on the machine disturbs caches, not the clock). What is
 * compared runs interleaved, pass by pass, and a ratio is the median of the passes' ratios.
 */
#ifndef WEIR_BENCH_H
#define WEIR_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/engine.h"

double bench_cpu_ns(void); /* of this thread */
double bench_wall_ns(void);
void bench_sort(double *a, size_t n);
double bench_median(double *a, size_t n); /* sorts */
double bench_percentile(const double *sorted, size_t n, double p);
void bench_die(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
size_t bench_heap_bytes(void); /* allocated by malloc now */

/* ---- ClassBench ------------------------------------------------------------------------------------ */

enum { BENCH_SRC, BENCH_DST, BENCH_SPORT, BENCH_DPORT, BENCH_PROTO, BENCH_DIMENSIONS };

struct bench_rule { /* first in the list is the most important */
    uint32_t low[BENCH_DIMENSIONS], high[BENCH_DIMENSIONS];
    unsigned src_prefix, dst_prefix;
};

struct bench_packet {
    uint32_t of[BENCH_DIMENSIONS];
};

struct bench_set {
    char name[32];
    struct bench_rule *rules;
    size_t rule_count;
    struct bench_packet *packets;
    size_t packet_count;
};

/* Reads <shared>/classbench/<name>.xz and its trace. false: not on this machine. */
bool bench_set_load(const char *name, struct bench_set *s);
void bench_set_free(struct bench_set *s);
/* The first rule that matches, or SIZE_MAX; of those with rule % groups == group. */
size_t bench_set_linear(const struct bench_set *s, const struct bench_packet *p, size_t groups, size_t group);

/* <shared>/states/<name>, whether or not it exists. */
const char *bench_state_path(const char *name, char *out, size_t size);

/* ---- an engine full of filters --------------------------------------------------------------------- */

#define BENCH_RULE_LAYER FWPS_LAYER_OUTBOUND_TRANSPORT_V4

/* A rule as a filter at BENCH_RULE_LAYER: id is rule + 1, sublayer weight is groups - rule % groups. */
struct engine_filter *bench_rule_filter(const struct bench_set *s, size_t rule, size_t groups);
/* All rules in one commit; *seconds: of the commit alone (may be NULL). */
struct engine *bench_rules_engine(const struct bench_set *s, size_t groups, double *seconds);

#endif

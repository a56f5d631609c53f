/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_acl.h>
#include <rte_vect.h>

#include "acl_peer.h"
#include "dpdk.h"

/* What rte_acl looks at: network order, two ports in one 4-byte input. */
struct tuple {
    uint8_t proto, pad[3];
    uint32_t src, dst;
    uint16_t sport, dport;
};

enum { PROTO, SRC, DST, SPORT, DPORT, FIELDS };
RTE_ACL_RULE_DEF(rule, FIELDS);

struct acl_peer {
    struct rte_acl_ctx *ctx;
    struct tuple *tuples;
    const uint8_t **data;
    uint32_t *results;
    size_t count, rules;
    unsigned categories;
    double build_seconds;
    size_t bytes;
};

static const struct rte_acl_field_def fields[FIELDS] = {
    {RTE_ACL_FIELD_TYPE_BITMASK, sizeof(uint8_t), PROTO, 0, offsetof(struct tuple, proto)},
    {RTE_ACL_FIELD_TYPE_MASK, sizeof(uint32_t), SRC, 1, offsetof(struct tuple, src)},
    {RTE_ACL_FIELD_TYPE_MASK, sizeof(uint32_t), DST, 2, offsetof(struct tuple, dst)},
    {RTE_ACL_FIELD_TYPE_RANGE, sizeof(uint16_t), SPORT, 3, offsetof(struct tuple, sport)},
    {RTE_ACL_FIELD_TYPE_RANGE, sizeof(uint16_t), DPORT, 3, offsetof(struct tuple, dport)},
};

static void fill_rule(struct rule *out, const struct bench_rule *r, size_t i, size_t count,
                      unsigned categories)
{
    memset(out, 0, sizeof(*out));
    out->data.category_mask = 1u << (i % categories);
    out->data.priority = (int32_t)(count - i);
    out->data.userdata = (uint32_t)i + 1;
    out->field[PROTO].value.u8 = (uint8_t)r->low[BENCH_PROTO];
    out->field[PROTO].mask_range.u8 = r->low[BENCH_PROTO] == r->high[BENCH_PROTO] ? 0xff : 0;
    out->field[SRC].value.u32 = r->low[BENCH_SRC];
    out->field[SRC].mask_range.u32 = r->src_prefix;
    out->field[DST].value.u32 = r->low[BENCH_DST];
    out->field[DST].mask_range.u32 = r->dst_prefix;
    out->field[SPORT].value.u16 = (uint16_t)r->low[BENCH_SPORT];
    out->field[SPORT].mask_range.u16 = (uint16_t)r->high[BENCH_SPORT];
    out->field[DPORT].value.u16 = (uint16_t)r->low[BENCH_DPORT];
    out->field[DPORT].mask_range.u16 = (uint16_t)r->high[BENCH_DPORT];
}

static void build(struct acl_peer *p, const struct bench_set *s)
{
    struct rte_acl_config config = {.num_categories = p->categories, .num_fields = FIELDS};
    struct rte_acl_param param = {.name = s->name,
                                  .socket_id = 0,
                                  .rule_size = RTE_ACL_RULE_SZ(FIELDS),
                                  .max_rule_num = (uint32_t)s->rule_count};
    struct rule *rules = calloc(s->rule_count, sizeof(*rules));
    size_t before = bench_dpdk_bytes();
    double start;

    memcpy(config.defs, fields, sizeof(fields));
    for (size_t i = 0; i < s->rule_count; i++)
        fill_rule(&rules[i], &s->rules[i], i, s->rule_count, p->categories);
    p->ctx = rte_acl_create(&param);
    start = bench_cpu_ns();
    if (p->ctx == NULL ||
        rte_acl_add_rules(p->ctx, (const struct rte_acl_rule *)(const void *)rules,
                          (uint32_t)s->rule_count) != 0 ||
        rte_acl_build(p->ctx, &config) != 0)
        bench_die("rte_acl does not take %s", s->name);
    p->build_seconds = (bench_cpu_ns() - start) / 1e9;
    p->bytes = bench_dpdk_bytes() - before;
    free(rules);
}

struct acl_peer *acl_peer_create(const struct bench_set *s, unsigned categories)
{
    struct acl_peer *p = calloc(1, sizeof(*p));

    p->categories = categories;
    p->count = s->packet_count;
    p->rules = s->rule_count;
    p->tuples = calloc(p->count, sizeof(*p->tuples));
    p->data = calloc(p->count, sizeof(*p->data));
    p->results = calloc(p->count * 8, sizeof(*p->results));
    for (size_t i = 0; i < p->count; i++) {
        const uint32_t *v = s->packets[i].of;

        p->tuples[i] = (struct tuple){(uint8_t)v[BENCH_PROTO],
                                      {0},
                                      htonl(v[BENCH_SRC]),
                                      htonl(v[BENCH_DST]),
                                      htons((uint16_t)v[BENCH_SPORT]),
                                      htons((uint16_t)v[BENCH_DPORT])};
        p->data[i] = (const uint8_t *)&p->tuples[i];
    }
    build(p, s);
    return p;
}

void acl_peer_destroy(struct acl_peer *p)
{
    rte_acl_free(p->ctx);
    free(p->tuples);
    free(p->data);
    free(p->results);
    free(p);
}

double acl_peer_build_seconds(const struct acl_peer *p)
{
    return p->build_seconds;
}

size_t acl_peer_bytes(const struct acl_peer *p)
{
    return p->bytes;
}

static const enum rte_acl_classify_alg ways[ACL_WAYS] = {
    [ACL_SCALAR] = RTE_ACL_CLASSIFY_SCALAR,
    [ACL_SSE] = RTE_ACL_CLASSIFY_SSE,
    [ACL_AVX2] = RTE_ACL_CLASSIFY_AVX2,
    [ACL_AVX512] = RTE_ACL_CLASSIFY_AVX512X32,
};

bool acl_peer_has(struct acl_peer *p, enum acl_way way)
{
    return rte_acl_set_ctx_classify(p->ctx, ways[way]) == 0;
}

double acl_peer_pass(struct acl_peer *p, enum acl_way way, unsigned batch, uint64_t *sum)
{
    uint64_t all = 0;
    double start;

    if (!acl_peer_has(p, way))
        bench_die("rte_acl has no way %d here", way);
    start = bench_cpu_ns();
    for (size_t i = 0; i < p->count; i += batch) {
        uint32_t n = p->count - i < batch ? (uint32_t)(p->count - i) : batch;

        rte_acl_classify(p->ctx, p->data + i, p->results, n, p->categories);
        all += p->results[0];
    }
    *sum += all;
    return (bench_cpu_ns() - start) / (double)p->count;
}

void acl_peer_best(struct acl_peer *p, size_t packet, size_t *rules)
{
    uint32_t results[RTE_ACL_MAX_CATEGORIES] = {0};

    rte_acl_classify(p->ctx, p->data + packet, results, 1, p->categories);
    for (unsigned i = 0; i < p->categories; i++)
        rules[i] = results[i] != 0 ? results[i] - 1 : SIZE_MAX;
}

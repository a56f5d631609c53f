/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index on ClassBench rule sets (1k, 10k; 100k for a few packets) against a scan of the rules themselves:
 * the first rule that matches, and every rule that does.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "index_lab.h"
#include "skip.h"

enum { SRC, DST, SPORT, DPORT, PROTO, DIMENSIONS };

struct rule {
    UINT32 low[DIMENSIONS], high[DIMENSIONS];
};

struct set {
    struct rule *rules;
    UINT32 (*packets)[DIMENSIONS];
    UINT32 rule_count, packet_count;
    struct engine_layer_snapshot *ls;
};

static const UINT16 field_of[DIMENSIONS] = {
    FWPS_FIELD_OUTBOUND_TRANSPORT_V4_IP_LOCAL_ADDRESS, FWPS_FIELD_OUTBOUND_TRANSPORT_V4_IP_REMOTE_ADDRESS,
    FWPS_FIELD_OUTBOUND_TRANSPORT_V4_IP_LOCAL_PORT,    FWPS_FIELD_OUTBOUND_TRANSPORT_V4_IP_REMOTE_PORT,
    FWPS_FIELD_OUTBOUND_TRANSPORT_V4_IP_PROTOCOL,
};
static const FWP_DATA_TYPE type_of[DIMENSIONS] = {FWP_UINT32, FWP_UINT32, FWP_UINT16, FWP_UINT16, FWP_UINT8};
static const UINT32 greatest[DIMENSIONS] = {UINT32_MAX, UINT32_MAX, 65535, 65535, 255};

static void put(FWP_VALUE0 *v, int k, UINT32 n)
{
    *v = (FWP_VALUE0){.type = type_of[k]};
    if (k == PROTO)
        v->uint8 = (UINT8)n;
    else if (type_of[k] == FWP_UINT16)
        v->uint16 = (UINT16)n;
    else
        v->uint32 = n;
}

/* Every condition as a range: prefixes are ranges, too. */
static struct engine_filter *filter_of(const struct rule *r, UINT64 id)
{
    FWPS_FILTER_CONDITION0 c[DIMENSIONS];
    FWP_RANGE0 range[DIMENSIONS];
    UINT64 weight = 1;
    FWPS_FILTER3 s = {.filterId = id, .filterCondition = c, .action.type = FWP_ACTION_PERMIT};
    struct engine_filter_desc d = {.layer_id = FWPS_LAYER_OUTBOUND_TRANSPORT_V4, .fwps = &s};
    struct engine_filter *f = NULL;

    s.weight = (FWP_VALUE0){.type = FWP_UINT64, .uint64 = &weight};
    for (int k = 0; k < DIMENSIONS; k++) {
        FWPS_FILTER_CONDITION0 *at = &c[s.numFilterConditions];

        if (r->low[k] == 0 && r->high[k] == greatest[k])
            continue;
        put(&range[k].valueLow, k, r->low[k]);
        put(&range[k].valueHigh, k, r->high[k]);
        *at = (FWPS_FILTER_CONDITION0){.fieldId = field_of[k], .matchType = FWP_MATCH_RANGE};
        at->conditionValue.type = FWP_RANGE_TYPE;
        at->conditionValue.rangeValue = &range[k];
        s.numFilterConditions++;
    }
    assert_int_equal(engine_filter_create(&d, &f), 0);
    return f;
}

static FILE *open_xz(const char *path)
{
    char command[640];

    snprintf(command, sizeof(command), "xz -dc '%s'", path);
    return popen(command, "r");
}

static UINT32 mask_of(unsigned prefix)
{
    return prefix == 0 ? 0 : ~0u << (32 - prefix);
}

static void read_rules(struct set *s, const char *path)
{
    FILE *f = open_xz(path);
    char line[512];

    s->rules = calloc(120000, sizeof(*s->rules));
    while (fgets(line, sizeof(line), f) != NULL) {
        struct rule *r = &s->rules[s->rule_count];
        unsigned a[4], b[4], p, q, proto, mask;

        if (sscanf(line, "@%u.%u.%u.%u/%u %u.%u.%u.%u/%u %u : %u %u : %u %x/%x", &a[0], &a[1], &a[2], &a[3],
                   &p, &b[0], &b[1], &b[2], &b[3], &q, &r->low[SPORT], &r->high[SPORT], &r->low[DPORT],
                   &r->high[DPORT], &proto, &mask) != 16)
            continue;
        r->low[SRC] = (a[0] << 24 | a[1] << 16 | a[2] << 8 | a[3]) & mask_of(p);
        r->high[SRC] = r->low[SRC] | ~mask_of(p);
        r->low[DST] = (b[0] << 24 | b[1] << 16 | b[2] << 8 | b[3]) & mask_of(q);
        r->high[DST] = r->low[DST] | ~mask_of(q);
        r->low[PROTO] = mask != 0 ? proto : 0;
        r->high[PROTO] = mask != 0 ? proto : 255;
        s->rule_count++;
    }
    pclose(f);
}

static void read_packets(struct set *s, const char *path)
{
    FILE *f = open_xz(path);
    char line[256];

    s->packets = calloc(60000, sizeof(*s->packets));
    while (fgets(line, sizeof(line), f) != NULL && s->packet_count < 60000) {
        UINT32 *p = s->packets[s->packet_count];

        s->packet_count += sscanf(line, "%u %u %u %u %u", &p[0], &p[1], &p[2], &p[3], &p[4]) == 5;
    }
    pclose(f);
}

static bool rule_holds(const struct rule *r, const UINT32 *p)
{
    bool all = true;

    for (int k = 0; k < DIMENSIONS; k++)
        all &= p[k] >= r->low[k] && p[k] <= r->high[k];
    return all;
}

static void compare_packet(const struct set *s, const UINT32 *p)
{
    FWPS_INCOMING_VALUE0 values[ENGINE_MAX_FIELDS] = {{{0}}};
    struct engine_cursor c;
    UINT32 from = 0;

    for (int k = 0; k < DIMENSIONS; k++)
        put(&values[field_of[k]].value, k, p[k]);
    engine_index_begin(s->ls, values, NULL, &c);
    for (;;) {
        UINT32 want = from, got = engine_index_next(&c, from);

        while (want < s->rule_count && !rule_holds(&s->rules[want], p))
            want++;
        if (want == s->rule_count) {
            assert_int_equal(got, ENGINE_NO_POSITION);
            return;
        }
        assert_int_equal(got, want);
        from = want + 1;
    }
}

/* With every form that the thresholds allow, and every kernel. */
static void run(const char *name, UINT32 packets)
{
    static const struct engine_layer_delta none = {0};
    char path[512], rules[64], trace[64];
    struct set s = {0};

    snprintf(rules, sizeof(rules), "data/classbench/%s.xz", name);
    snprintf(trace, sizeof(trace), "data/classbench/%s.trace.xz", name);
    SHARED_OR_SKIP(rules, path);
    read_rules(&s, path);
    SHARED_OR_SKIP(trace, path);
    read_packets(&s, path);
    assert_true(s.rule_count > 500 && s.packet_count > 500);
    for (int form = 0; form < 4; form++) {
        struct engine_index_config config = engine_index_defaults;
        struct index_lab lab = {.layer = engine_layer_by_id(FWPS_LAYER_OUTBOUND_TRANSPORT_V4)};
        struct engine_filter **filters = calloc(s.rule_count, sizeof(*filters));

        config.kernel = form == 1 ? ENGINE_INDEX_PORTABLE : form == 2 ? ENGINE_INDEX_AVX2 : ENGINE_INDEX_BEST;
        if (form == 3) {
            config.flat_max = 100;
            config.block_columns = 7;
            config.combine_max = 200;
        }
        for (UINT32 i = 0; i < s.rule_count; i++)
            filters[i] = filter_of(&s.rules[i], i + 1);
        s.ls = index_lab_snapshot(&lab, filters, s.rule_count);
        s.ls->sublayer_count = 1 + form % 2;
        for (UINT32 i = 0; i < s.rule_count; i++)
            engine_filter_unref(filters[i]);
        free(filters);
        assert_int_equal(engine_index_build_with(&config, NULL, s.ls, &none), 0);
        for (UINT32 i = 0; i < packets; i++)
            compare_packet(&s, s.packets[(size_t)i * s.packet_count / packets]);
        engine_index_destroy(s.ls->index);
        index_lab_snapshot_free(s.ls);
    }
    free(s.rules);
    free(s.packets);
}

static void acl1_1k(void **state)
{
    (void)state;
    run("acl1_1k", 2000);
}

static void fw1_1k(void **state)
{
    (void)state;
    run("fw1_1k", 2000);
}

static void acl1_10k(void **state)
{
    (void)state;
    run("acl1_10k", 500);
}

static void fw1_10k(void **state)
{
    (void)state;
    run("fw1_10k", 500);
}

static void acl1_100k(void **state)
{
    (void)state;
    run("acl1_100k", 40);
}

static void fw1_100k(void **state)
{
    (void)state;
    run("fw1_100k", 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(acl1_1k), cmocka_unit_test(fw1_1k),    cmocka_unit_test(acl1_10k),
        cmocka_unit_test(fw1_10k), cmocka_unit_test(acl1_100k), cmocka_unit_test(fw1_100k),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers against brute force: random small policies at one layer, some fields known, some not. The brute
 * force knows nothing of classes: it has a list of values for each field that holds every border of every
 * condition the policies are made of, and asks the naive engine about all of their combinations and all
 * answers of callouts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "explain/explain.h"

#define LAYER FWPS_LAYER_ALE_AUTH_CONNECT_V4

static uint64_t next_random(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint32_t below(uint64_t *state, uint32_t n)
{
    return (uint32_t)(next_random(state) % n);
}

/* A field, the values that conditions on it use, and the values that the brute force tries. */
static const struct {
    const char *field;
    const char *conditions[10]; /* as values are written; sd: a descriptor; a-b: a range; a/n: a mask */
    const char *universe[48];
} fields[] = {
    {"IP_PROTOCOL",
     {"1", "6", "17", "6-17", "1-6"},
     {"0",  "1",  "2",  "3",  "4",  "5",  "6",  "7",  "8",  "9",  "10", "11", "12", "13", "14", "15",
      "16", "17", "18", "19", "20", "21", "22", "23", "24", "25", "26", "27", "28", "29", "30", "31",
      "32", "33", "34", "35", "36", "37", "38", "39", "48", "49", "54", "55", "63", "255"}},
    {"IP_REMOTE_PORT",
     {"80", "443", "80-443", "1024-65535", "0-79"},
     {"0", "1", "79", "80", "81", "442", "443", "444", "1023", "1024", "1025", "65535"}},
    {"IP_REMOTE_ADDRESS",
     {"10.0.0.1", "10.0.0.0/8", "10.0.0.0/30", "10.0.0.1-10.0.0.9", "0.0.0.0/0"},
     {"0.0.0.0", "9.255.255.255", "10.0.0.0", "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.9",
      "10.0.0.10", "10.255.255.255", "11.0.0.0", "255.255.255.255"}},
    {"FLAGS",
     {"1", "4", "5", "0x400000", "0x400001"},
     {"0",        "1",        "4",        "5",        "0x400000", "0x400001", "0x400004",
      "0x400005", "2",        "3",        "6",        "7",        "0x400002", "0x400003",
      "0x400006", "0x400007", "0x800000", "0x800001", "0x800004", "0x800005"}},
    {"ALE_APP_ID",
     {"\\a\\x.exe", "\\b\\y.exe", "hex:790065000000"},
     {"\\a\\x.exe", "\\b\\y.exe", "\\c\\z.exe", "hex:3f003f005c0061005c0078002e006500780065000000",
      "hex:790065000000", "\\q\\w\\a\\x.exe", "\\q\\b\\y.exe", "\\?\\ye",
      "hex:5c0061005c0078002e0065007800650000000000"}},
    {"ALE_PACKAGE_ID", {"S-1-0-0", "S-1-15-2-1-2-3"}, {"S-1-0-0", "S-1-15-2-1-2-3", "S-1-15-2-9-9-9"}},
    {"ALE_USER_ID",
     {"sd:D:(A;;CC;;;WD)", "sd:D:(A;;CC;;;SY)", "sd:D:(A;;CC;;;S-1-5-80-1-2-3-4-5)", "sd:D:(A;;CC;;;BA)",
      "sd:D:(D;;CC;;;S-1-5-80-1-2-3-4-5)(A;;CC;;;AU)", "sd:D:(A;;CC;;;S-1-15-3-1)(A;;CC;;;WD)"},
     {"S-1-5-21-9-9-9-1001", "S-1-5-18", "S-1-5-19", "S-1-5-20", "S-1-5-80-1-2-3-4-5",
      "{\"user\":\"S-1-5-21-9-9-9-1001\",\"groups\":[\"WD\",\"AU\",\"BA\"]}",
      "{\"user\":\"S-1-5-21-9-9-9-1001\",\"package\":\"S-1-15-2-1-2-3\"}",
      "{\"user\":\"S-1-5-21-9-9-9-1001\",\"package\":\"S-1-15-2-1-2-3\",\"capabilities\":[\"S-1-15-3-1\"]}"}},
};
#define FIELDS (sizeof fields / sizeof fields[0])

struct lab {
    struct explain_state s;
    struct explain_arena values; /* of the universe, parsed once */
    const struct engine_layer *layer;
    const struct engine_field *field[FIELDS];
    struct explain_value universe[FIELDS][48];
    unsigned universe_count[FIELDS];
    GUID callouts[2];
    UINT64 next_id;
};

static void parse(struct lab *l, unsigned f, const char *text, struct explain_value *out)
{
    const char *error;

    assert_int_equal(explain_value_parse(&l->values, l->field[f], text, out, &error), 0);
}

static int set_up(void **state)
{
    struct lab *l = calloc(1, sizeof *l);

    assert_non_null(l);
    assert_int_equal(engine_create(&l->s.engine), 0);
    assert_int_equal(engine_reader_create(l->s.engine, &l->s.reader), 0);
    l->layer = engine_layer_by_id(LAYER);
    for (unsigned f = 0; f < FIELDS; f++) {
        l->field[f] = explain_field_find(l->layer, fields[f].field);
        assert_non_null(l->field[f]);
        for (unsigned i = 0; i < 48 && fields[f].universe[i] != NULL; i++)
            parse(l, f, fields[f].universe[i], &l->universe[f][l->universe_count[f]++]);
    }
    for (unsigned i = 0; i < 2; i++) {
        l->callouts[i].Data1 = 0xca110000u + i;
        assert_int_equal(engine_callout_set_foreign(l->s.engine, &l->callouts[i], true), 0);
    }
    *state = l;
    return 0;
}

static int tear_down(void **state)
{
    struct lab *l = *state;

    engine_reader_destroy(l->s.reader);
    engine_destroy(l->s.engine);
    explain_arena_free(&l->values);
    free(l);
    return 0;
}

/* A condition's value from its text. */
static void condition_value(struct explain_arena *a, const struct engine_field *field, const char *text,
                            FWP_CONDITION_VALUE0 *out)
{
    const char *dash = strchr(text, '-'), *slash = strchr(text, '/'), *error;
    struct explain_value v, high;

    if (strncmp(text, "sd:", 3) == 0) {
        void *sd;
        size_t size;

        assert_int_equal(security_sddl_parse(text + 3, &sd, &size, NULL), 0);
        out->type = FWP_SECURITY_DESCRIPTOR_TYPE;
        out->sd = explain_alloc(a, sizeof *out->sd);
        out->sd->data = explain_copy(a, sd, size);
        out->sd->size = (UINT32)size;
        free(sd);
        return;
    }
    if (slash != NULL) {
        unsigned bits = (unsigned)atoi(slash + 1);

        assert_int_equal(
            explain_value_parse(a, field, explain_strndup(a, text, (size_t)(slash - text)), &v, &error), 0);
        out->type = FWP_V4_ADDR_MASK;
        out->v4AddrMask = explain_alloc(a, sizeof *out->v4AddrMask);
        *out->v4AddrMask =
            (FWP_V4_ADDR_AND_MASK){v.value.uint32, bits == 0 ? 0 : ~UINT32_C(0) << (32 - bits)};
        return;
    }
    if (dash != NULL && field->data_type != FWP_SID && field->data_type != FWP_BYTE_BLOB_TYPE) {
        assert_int_equal(
            explain_value_parse(a, field, explain_strndup(a, text, (size_t)(dash - text)), &v, &error), 0);
        assert_int_equal(explain_value_parse(a, field, dash + 1, &high, &error), 0);
        out->type = FWP_RANGE_TYPE;
        out->rangeValue = explain_alloc(a, sizeof *out->rangeValue);
        *out->rangeValue = (FWP_RANGE0){v.value, high.value};
        return;
    }
    assert_int_equal(explain_value_parse(a, field, text, &v, &error), 0);
    out->type = v.value.type;
    out->uint64 = v.value.uint64;
}

static unsigned text_count(const char *const *texts, unsigned most)
{
    unsigned n = 0;

    while (n < most && texts[n] != NULL)
        n++;
    return n;
}

static struct engine_filter *random_filter(struct lab *l, struct explain_arena *a, uint64_t *seed)
{
    static const FWP_ACTION_TYPE actions[] = {FWP_ACTION_PERMIT,
                                              FWP_ACTION_PERMIT,
                                              FWP_ACTION_BLOCK,
                                              FWP_ACTION_BLOCK,
                                              FWP_ACTION_CALLOUT_TERMINATING,
                                              FWP_ACTION_CALLOUT_UNKNOWN,
                                              FWP_ACTION_CALLOUT_INSPECTION};
    FWPS_FILTER_CONDITION0 conditions[4] = {0};
    UINT64 weight = next_random(seed) % 8;
    uint32_t sublayer = below(seed, 3);
    FWPS_FILTER3 fwps = {.filterId = ++l->next_id,
                         .weight = {.type = FWP_UINT64, .uint64 = &weight},
                         .subLayerWeight = (UINT16)sublayer,
                         .filterCondition = conditions,
                         .action = {.type = actions[below(seed, 7)]}};
    struct engine_filter_desc desc = {
        .layer_id = LAYER, .fwps = &fwps, .sublayer_key = {.Data1 = sublayer + 1}};
    struct engine_filter *out;

    fwps.flags = below(seed, 4) == 0 ? FWPS_FILTER_FLAG_CLEAR_ACTION_RIGHT : 0;
    fwps.flags |= below(seed, 8) == 0 ? FWPS_FILTER_FLAG_PERMIT_IF_CALLOUT_UNREGISTERED : 0;
    if (fwps.action.type & FWP_ACTION_FLAG_CALLOUT) { /* the third is registered nowhere */
        uint32_t which = below(seed, 3);

        desc.callout_key = which < 2 ? l->callouts[which] : (GUID){.Data1 = 0xdead};
        fwps.action.calloutId = 1 + which;
    }
    for (uint32_t n = below(seed, 5); fwps.numFilterConditions < n;) {
        uint32_t f = below(seed, FIELDS);
        FWPS_FILTER_CONDITION0 *c = &conditions[fwps.numFilterConditions];

        c->fieldId = l->field[f]->index;
        c->matchType = (FWP_MATCH_TYPE)below(seed, FWP_MATCH_TYPE_MAX);
        condition_value(a, l->field[f],
                        fields[f].conditions[below(seed, text_count(fields[f].conditions, 10))],
                        &c->conditionValue);
        /* a number's bits are tested where the brute force has the combinations */
        if ((f == 1 || f == 2) && c->matchType >= FWP_MATCH_FLAGS_ALL_SET &&
            c->matchType <= FWP_MATCH_FLAGS_NONE_SET)
            continue;
        if (engine_condition_check(l->field[f], c->matchType, &c->conditionValue) == STATUS_SUCCESS)
            fwps.numFilterConditions++;
        else if (below(seed, 3) == 0)
            break;
    }
    desc.filter_key.Data1 = (UINT32)l->next_id;
    assert_int_equal(engine_filter_create(&desc, &out), 0);
    return out;
}

/* One policy, a few questions to it. */
struct question {
    struct explain_value empty;
    const struct explain_value *values[ENGINE_MAX_FIELDS];
    unsigned unknown[FIELDS], unknown_count;
};

static bool naive_blocks(struct lab *l, const struct question *q, const unsigned *at, const uint32_t *answers)
{
    static const FWP_ACTION_TYPE actions[] = {FWP_ACTION_CONTINUE, FWP_ACTION_PERMIT, FWP_ACTION_BLOCK};
    FWPS_INCOMING_VALUE0 incoming[ENGINE_MAX_FIELDS] = {0};
    FWPS_INCOMING_VALUES0 in = {LAYER, l->layer->field_count, incoming};
    struct engine_assumption assumptions[2];
    struct engine_request request = {.values = &in, .assumptions = assumptions, .assumption_count = 2};
    struct engine_verdict verdict;

    for (unsigned i = 0; i < 2; i++)
        assumptions[i] = (struct engine_assumption){l->callouts[i], actions[answers[i]]};
    for (UINT16 i = 0; i < l->layer->field_count; i++)
        incoming[i].value = q->values[i] != NULL ? q->values[i]->value : (FWP_VALUE0){0};
    for (unsigned i = 0; i < q->unknown_count; i++)
        incoming[l->field[q->unknown[i]]->index].value = l->universe[q->unknown[i]][at[i]].value;
    assert_int_equal(engine_classify_naive(l->s.reader, &request, &verdict), STATUS_SUCCESS);
    return verdict.action == FWP_ACTION_BLOCK;
}

static void brute_force(struct lab *l, const struct question *q, bool *permit, bool *block)
{
    unsigned at[FIELDS] = {0}, i;

    *permit = *block = false;
    do {
        for (uint32_t answers = 0; answers < 9; answers++) {
            if (naive_blocks(l, q, at, (uint32_t[]){answers % 3, answers / 3}))
                *block = true;
            else
                *permit = true;
        }
        for (i = 0; i < q->unknown_count && ++at[i] == l->universe_count[q->unknown[i]]; i++)
            at[i] = 0;
    } while (i < q->unknown_count && !(*permit && *block));
}

static void ask(struct lab *l, uint64_t *seed)
{
    struct question q = {0};
    struct explain_problem p;
    struct explain_answer answer;
    const char *error = NULL;
    bool permit, block;

    for (UINT16 i = 0; i < l->layer->field_count; i++)
        q.values[i] = &q.empty;
    for (unsigned f = 0; f < FIELDS; f++) {
        bool unknown = q.unknown_count < 3 && below(seed, 2);

        q.values[l->field[f]->index] = unknown ? NULL : &l->universe[f][below(seed, l->universe_count[f])];
        if (unknown)
            q.unknown[q.unknown_count++] = f;
    }
    assert_int_equal(explain_problem_begin(&l->s, &p), 0);
    p.use_builtin = false;
    assert_int_equal(explain_classify_add(&p, l->layer, q.values), 0);
    assert_int_equal(explain_problem_build(&p, &error), 0);
    if (explain_answer(&p, EXPLAIN_BUDGET, &answer, &error) != 0)
        fail_msg("%s", error);
    brute_force(l, &q, &permit, &block);
    assert_int_equal(answer.verdict, permit && block ? EXPLAIN_DEPENDS
                                     : permit        ? EXPLAIN_PERMITTED
                                                     : EXPLAIN_BLOCKED);
    if (permit && block) {
        assert_false(answer.permit->blocked);
        assert_true(answer.block->blocked);
        assert_true(answer.depend_count > 0);
        for (uint32_t v = 0; v < p.var_count; v++) { /* they differ in what they name, and in nothing else */
            bool named = false;

            for (uint32_t i = 0; i < answer.depend_count; i++)
                named = named || answer.depends[i] == v;
            assert_int_equal(answer.permit->classes[v] != answer.block->classes[v], named);
        }
    }
    explain_problem_end(&p);
}

static void answers_equal_brute_force(void **state)
{
    struct lab *l = *state;
    uint64_t seed = 4711;

    for (unsigned policy = 0; policy < 130; policy++) {
        struct engine_txn *t;
        struct explain_arena a = {0};
        struct engine_filter *filters[10];
        uint32_t n = 1 + below(&seed, 10);

        assert_int_equal(engine_txn_begin(l->s.engine, &t), 0);
        for (uint32_t i = 0; i < n; i++) {
            filters[i] = random_filter(l, &a, &seed);
            assert_int_equal(engine_txn_add(t, filters[i]), 0);
        }
        assert_int_equal(engine_txn_commit(t), 0);
        for (unsigned i = 0; i < 6; i++)
            ask(l, &seed);
        assert_int_equal(engine_txn_begin(l->s.engine, &t), 0);
        for (uint32_t i = 0; i < n; i++) {
            assert_int_equal(engine_txn_remove(t, LAYER, engine_filter_fwps(filters[i])->filterId), 0);
            engine_filter_unref(filters[i]);
        }
        assert_int_equal(engine_txn_commit(t), 0);
        explain_arena_free(&a);
    }
}

/* port EQUAL 443 permits, port NOT_EQUAL 443 permits, and a block behind both: there is no port that is
 * blocked. */
static void complementary_conditions_are_no_dependence(void **state)
{
    struct lab *l = *state;
    struct engine_filter *filters[3];
    struct engine_txn *t;
    struct explain_problem p;
    struct explain_answer answer;
    const struct explain_value *values[ENGINE_MAX_FIELDS] = {NULL};
    const char *error = NULL;

    assert_int_equal(engine_txn_begin(l->s.engine, &t), 0);
    for (unsigned i = 0; i < 3; i++) {
        UINT64 weight = 3 - i;
        FWPS_FILTER_CONDITION0 c = {.fieldId = l->field[1]->index,
                                    .matchType = i == 0 ? FWP_MATCH_EQUAL : FWP_MATCH_NOT_EQUAL,
                                    .conditionValue = {.type = FWP_UINT16, .uint16 = 443}};
        FWPS_FILTER3 fwps = {.filterId = 900 + i,
                             .weight = {.type = FWP_UINT64, .uint64 = &weight},
                             .numFilterConditions = i < 2,
                             .filterCondition = &c,
                             .action = {.type = i < 2 ? FWP_ACTION_PERMIT : FWP_ACTION_BLOCK}};
        struct engine_filter_desc desc = {.layer_id = LAYER, .fwps = &fwps, .filter_key = {.Data1 = 900 + i}};

        assert_int_equal(engine_filter_create(&desc, &filters[i]), 0);
        assert_int_equal(engine_txn_add(t, filters[i]), 0);
    }
    assert_int_equal(engine_txn_commit(t), 0);
    assert_int_equal(explain_problem_begin(&l->s, &p), 0);
    assert_int_equal(explain_classify_add(&p, l->layer, values), 0);
    assert_int_equal(explain_problem_build(&p, &error), 0);
    assert_int_equal(explain_answer(&p, EXPLAIN_BUDGET, &answer, &error), 0);
    assert_int_equal(answer.verdict, EXPLAIN_PERMITTED);
    explain_problem_end(&p);
    assert_int_equal(engine_txn_begin(l->s.engine, &t), 0);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(engine_txn_remove(t, LAYER, 900 + i), 0);
        engine_filter_unref(filters[i]);
    }
    assert_int_equal(engine_txn_commit(t), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_equal_brute_force),
        cmocka_unit_test(complementary_conditions_are_no_dependence),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}

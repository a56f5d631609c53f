/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random small policies at one layer, for explain's differential tests (explain_lab.h).
 */
#include "support/explain_lab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

uint64_t lab_random(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint32_t lab_below(uint64_t *state, uint32_t n)
{
    return (uint32_t)(lab_random(state) % n);
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
_Static_assert(sizeof fields / sizeof fields[0] == LAB_FIELDS, "as the header says");

static void parse(struct explain_lab *l, unsigned f, const char *text, struct explain_value *out)
{
    const char *error;

    assert_int_equal(explain_value_parse(&l->values, l->field[f], text, out, &error), 0);
}

int lab_set_up(void **state)
{
    struct explain_lab *l = calloc(1, sizeof *l);

    assert_non_null(l);
    assert_int_equal(engine_create(&l->s.engine), 0);
    assert_int_equal(engine_reader_create(l->s.engine, &l->s.reader), 0);
    l->layer = engine_layer_by_id(LAB_LAYER);
    for (unsigned f = 0; f < LAB_FIELDS; f++) {
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

int lab_tear_down(void **state)
{
    struct explain_lab *l = *state;

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

struct engine_filter *lab_random_filter(struct explain_lab *l, struct explain_arena *a, uint64_t *seed)
{
    static const FWP_ACTION_TYPE actions[] = {FWP_ACTION_PERMIT,
                                              FWP_ACTION_PERMIT,
                                              FWP_ACTION_BLOCK,
                                              FWP_ACTION_BLOCK,
                                              FWP_ACTION_CALLOUT_TERMINATING,
                                              FWP_ACTION_CALLOUT_UNKNOWN,
                                              FWP_ACTION_CALLOUT_INSPECTION};
    FWPS_FILTER_CONDITION0 conditions[4] = {0};
    UINT64 weight = lab_random(seed) % 8;
    uint32_t sublayer = lab_below(seed, 3);
    FWPS_FILTER3 fwps = {.filterId = ++l->next_id,
                         .weight = {.type = FWP_UINT64, .uint64 = &weight},
                         .subLayerWeight = (UINT16)sublayer,
                         .filterCondition = conditions,
                         .action = {.type = actions[lab_below(seed, 7)]}};
    struct engine_filter_desc desc = {
        .layer_id = LAB_LAYER, .fwps = &fwps, .sublayer_key = {.Data1 = sublayer + 1}};
    struct engine_filter *out;

    fwps.flags = lab_below(seed, 4) == 0 ? FWPS_FILTER_FLAG_CLEAR_ACTION_RIGHT : 0;
    fwps.flags |= lab_below(seed, 8) == 0 ? FWPS_FILTER_FLAG_PERMIT_IF_CALLOUT_UNREGISTERED : 0;
    if (fwps.action.type & FWP_ACTION_FLAG_CALLOUT) { /* the third is registered nowhere */
        uint32_t which = lab_below(seed, 3);

        desc.callout_key = which < 2 ? l->callouts[which] : (GUID){.Data1 = 0xdead};
        fwps.action.calloutId = 1 + which;
    }
    for (uint32_t n = lab_below(seed, 5); fwps.numFilterConditions < n;) {
        uint32_t f = lab_below(seed, LAB_FIELDS);
        FWPS_FILTER_CONDITION0 *c = &conditions[fwps.numFilterConditions];

        c->fieldId = l->field[f]->index;
        c->matchType = (FWP_MATCH_TYPE)lab_below(seed, FWP_MATCH_TYPE_MAX);
        condition_value(a, l->field[f],
                        fields[f].conditions[lab_below(seed, text_count(fields[f].conditions, 10))],
                        &c->conditionValue);
        /* a number's bits are tested where the brute force has the combinations */
        if ((f == 1 || f == 2) && c->matchType >= FWP_MATCH_FLAGS_ALL_SET &&
            c->matchType <= FWP_MATCH_FLAGS_NONE_SET)
            continue;
        if (engine_condition_check(l->field[f], c->matchType, &c->conditionValue) == STATUS_SUCCESS)
            fwps.numFilterConditions++;
        else if (lab_below(seed, 3) == 0)
            break;
    }
    desc.filter_key.Data1 = (UINT32)l->next_id;
    assert_int_equal(engine_filter_create(&desc, &out), 0);
    return out;
}

static bool naive_blocks(struct explain_lab *l, const struct lab_question *q, const unsigned *at,
                         const uint32_t *answers)
{
    static const FWP_ACTION_TYPE actions[] = {FWP_ACTION_CONTINUE, FWP_ACTION_PERMIT, FWP_ACTION_BLOCK};
    FWPS_INCOMING_VALUE0 incoming[ENGINE_MAX_FIELDS] = {0};
    FWPS_INCOMING_VALUES0 in = {LAB_LAYER, l->layer->field_count, incoming};
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

void lab_brute_force(struct explain_lab *l, const struct lab_question *q, bool *permit, bool *block)
{
    unsigned at[LAB_FIELDS] = {0}, i;

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

void lab_random_question(struct explain_lab *l, uint64_t *seed, struct lab_question *q)
{
    *q = (struct lab_question){0};
    for (UINT16 i = 0; i < l->layer->field_count; i++)
        q->values[i] = &q->empty;
    for (unsigned f = 0; f < LAB_FIELDS; f++) {
        bool unknown = q->unknown_count < 3 && lab_below(seed, 2);

        q->values[l->field[f]->index] =
            unknown ? NULL : &l->universe[f][lab_below(seed, l->universe_count[f])];
        if (unknown)
            q->unknown[q->unknown_count++] = f;
    }
}

uint32_t lab_random_policy(struct explain_lab *l, struct explain_arena *a, uint64_t *seed,
                           struct engine_filter *filters[LAB_FILTERS])
{
    uint32_t n = 1 + lab_below(seed, LAB_FILTERS);
    struct engine_txn *t;

    assert_int_equal(engine_txn_begin(l->s.engine, &t), 0);
    for (uint32_t i = 0; i < n; i++) {
        filters[i] = lab_random_filter(l, a, seed);
        assert_int_equal(engine_txn_add(t, filters[i]), 0);
    }
    assert_int_equal(engine_txn_commit(t), 0);
    return n;
}

void lab_remove_policy(struct explain_lab *l, struct engine_filter *const *filters, uint32_t n)
{
    struct engine_txn *t;

    assert_int_equal(engine_txn_begin(l->s.engine, &t), 0);
    for (uint32_t i = 0; i < n; i++) {
        assert_int_equal(engine_txn_remove(t, LAB_LAYER, engine_filter_fwps(filters[i])->filterId), 0);
        engine_filter_unref(filters[i]);
    }
    assert_int_equal(engine_txn_commit(t), 0);
}

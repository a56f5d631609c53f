/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "index_lab.h"

/* ---- chance ---------------------------------------------------------------------------------------- */

UINT64 index_lab_random(struct index_lab *l)
{
    UINT64 x = l->seed += 0x9e3779b97f4a7c15ULL; /* splitmix64 */

    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
    return x ^ x >> 31;
}

UINT32 index_lab_below(struct index_lab *l, UINT32 n)
{
    return (UINT32)(index_lab_random(l) % n);
}

static bool once_in(struct index_lab *l, UINT32 n)
{
    return index_lab_below(l, n) == 0;
}

/* ---- the pools ------------------------------------------------------------------------------------- */

static const char *const sid_texts[INDEX_LAB_POOL] = {
    "S-1-0-0",      "S-1-1-0",
    "S-1-5-32-544", "S-1-5-11",
    "S-1-15-2-1",   "S-1-5-21-1-2-3-1001",
    "S-1-15-3-1",   "S-1-5-80-1-2-3-4-5",
};

static const char *const sddl_texts[INDEX_LAB_POOL] = {
    "D:(A;;CC;;;WD)",
    "D:(A;;CC;;;BA)",
    "D:(A;;CC;;;S-1-5-21-1-2-3-1001)",
    "D:(D;;CC;;;S-1-5-21-1-2-3-1001)(A;;CC;;;WD)",
    "D:(A;;CC;;;S-1-15-3-1)(A;;CC;;;WD)",
    "D:(A;;CC;;;AU)",
    "D:",
    "D:(XA;;CC;;;WD;(WIN://SYSAPPID Contains \"name\"))",
};

static const char *const token_texts[INDEX_LAB_TOKENS] = {
    "{\"user\": \"S-1-5-21-1-2-3-1001\", \"groups\": [\"S-1-1-0\", \"S-1-5-11\"]}",
    "{\"user\": \"S-1-5-21-1-2-3-1002\", \"groups\": [\"S-1-1-0\"]}",
    "{\"user\": \"S-1-5-18\", \"groups\": [\"S-1-5-32-544\", \"S-1-1-0\", \"S-1-5-11\"]}",
    "{\"user\": \"S-1-5-21-1-2-3-1001\"}",
    "{\"user\": \"S-1-5-21-1-2-3-1003\", \"groups\": [\"S-1-1-0\", \"S-1-5-80-1-2-3-4-5\"]}",
    "{\"user\": \"S-1-5-7\", \"groups\": [\"S-1-5-32-544\"]}",
};

/* Numbers near each other, so that ranges and masks cut between them. */
static UINT64 some_number(struct index_lab *l)
{
    UINT64 base[] = {0,
                     1,
                     6,
                     17,
                     80,
                     443,
                     1023,
                     0x0a000000,
                     0x0a0000ff,
                     0xc0a80101,
                     0x100000000ULL,
                     UINT64_MAX,
                     0xffff,
                     255,
                     0x7fffffff,
                     0x80000000};
    UINT64 n = base[index_lab_below(l, sizeof(base) / sizeof(base[0]))];

    if (once_in(l, 3))
        n += index_lab_below(l, 5);
    if (once_in(l, 8))
        n = index_lab_random(l);
    if (once_in(l, 8))
        n ^= 1ULL << index_lab_below(l, 64);
    return n;
}

void index_lab_open(struct index_lab *l, UINT16 layer_id, UINT64 seed)
{
    memset(l, 0, sizeof(*l));
    l->layer = engine_layer_by_id(layer_id);
    l->seed = seed;
    for (unsigned f = 0; f < ENGINE_MAX_FIELDS; f++)
        for (unsigned i = 0; i < INDEX_LAB_POOL; i++)
            l->numbers[f][i] = some_number(l);
    for (unsigned i = 0; i < INDEX_LAB_POOL; i++) {
        size_t size;
        void *sd;

        for (unsigned k = 0; k < 16; k++)
            l->arrays[i].byteArray16[k] =
                once_in(l, 4) ? (UINT8)index_lab_random(l) : (UINT8)(k == 0 ? 0xfe : 0);
        l->blobs[i] = (FWP_BYTE_BLOB){2 * index_lab_below(l, INDEX_LAB_LONGEST / 2), l->blob_bytes[i]};
        for (unsigned k = 0; k < l->blobs[i].size; k++)
            l->blob_bytes[i][k] = k % 2 ? 0 : (UINT8)("abc"[index_lab_below(l, 3)]);
        if (once_in(l, 2) && l->blobs[i].size >= 2)
            l->blob_bytes[i][l->blobs[i].size - 2] = 0;
        assert_int_equal(security_sid_parse(sid_texts[i], (SID *)l->sids[i], sizeof(l->sids[i])), 0);
        assert_int_equal(security_sddl_parse(sddl_texts[i], &sd, &size, NULL), 0);
        l->descriptors[i] = (FWP_BYTE_BLOB){(UINT32)size, sd};
    }
    for (unsigned i = 0; i < INDEX_LAB_TOKENS; i++) {
        char *error = NULL;

        assert_int_equal(
            security_token_from_json(token_texts[i], strlen(token_texts[i]), &l->tokens[i], &error), 0);
    }
    for (unsigned i = 0; i < 2; i++) {
        l->token_sids[i].Sid = (SID *)l->sids[1 + i];
        l->token_sids[i].Attributes = 4; /* enabled */
        l->information[i] = (FWP_TOKEN_INFORMATION){.sidCount = 1, .sids = &l->token_sids[i]};
    }
}

void index_lab_close(struct index_lab *l)
{
    for (unsigned i = 0; i < INDEX_LAB_POOL; i++)
        free(l->descriptors[i].data);
    for (unsigned i = 0; i < INDEX_LAB_TOKENS; i++)
        security_token_destroy(l->tokens[i]);
}

/* ---- values ---------------------------------------------------------------------------------------- */

static UINT64 pool_number(struct index_lab *l, unsigned field)
{
    return once_in(l, 6) ? some_number(l) : l->numbers[field][index_lab_below(l, INDEX_LAB_POOL)];
}

static FWP_BYTE_ARRAY16 pool_array(struct index_lab *l)
{
    FWP_BYTE_ARRAY16 a = l->arrays[index_lab_below(l, INDEX_LAB_POOL)];

    if (once_in(l, 4))
        a.byteArray16[index_lab_below(l, 16)] ^= (UINT8)(1u << index_lab_below(l, 8));
    return a;
}

/* A value of the type; storage for what it points to is the field's in v. */
static FWP_VALUE0 make_value(struct index_lab *l, struct index_lab_values *v, unsigned field,
                             FWP_DATA_TYPE type)
{
    FWP_VALUE0 out = {.type = type};
    UINT64 n = pool_number(l, field);
    FWP_BYTE_ARRAY16 a = pool_array(l);
    unsigned k = index_lab_below(l, INDEX_LAB_POOL);

    switch (type) {
    case FWP_UINT8:
        out.uint8 = (UINT8)n;
        break;
    case FWP_UINT16:
        out.uint16 = (UINT16)n;
        break;
    case FWP_UINT32:
        out.uint32 = (UINT32)n;
        break;
    case FWP_UINT64:
        v->wide[field] = n;
        out.uint64 = &v->wide[field];
        break;
    case FWP_BYTE_ARRAY16_TYPE:
        v->array16[field] = a;
        out.byteArray16 = &v->array16[field];
        break;
    case FWP_BYTE_ARRAY6_TYPE:
        memcpy(v->array6[field].byteArray6, a.byteArray16, 6);
        out.byteArray6 = &v->array6[field];
        break;
    case FWP_BYTE_BLOB_TYPE:
        out.byteBlob = &l->blobs[k];
        break;
    case FWP_SID:
        out.sid = (SID *)l->sids[k];
        break;
    case FWP_TOKEN_ACCESS_INFORMATION_TYPE:
        out.tokenAccessInformation =
            (FWP_BYTE_BLOB *)(uintptr_t)security_token_blob(l->tokens[index_lab_below(l, INDEX_LAB_TOKENS)]);
        break;
    case FWP_TOKEN_INFORMATION_TYPE:
        out.tokenInformation = &l->information[k % 2];
        break;
    default:
        out.type = FWP_EMPTY;
        break;
    }
    return out;
}

void index_lab_values(struct index_lab *l, struct index_lab_values *v)
{
    static const FWP_DATA_TYPE types[] = {FWP_UINT8,
                                          FWP_UINT16,
                                          FWP_UINT32,
                                          FWP_UINT64,
                                          FWP_BYTE_BLOB_TYPE,
                                          FWP_SID,
                                          FWP_TOKEN_ACCESS_INFORMATION_TYPE,
                                          FWP_TOKEN_INFORMATION_TYPE,
                                          FWP_BYTE_ARRAY16_TYPE};

    memset(v, 0, sizeof(*v));
    for (unsigned f = 0; f < l->layer->field_count; f++) {
        FWP_DATA_TYPE type = l->layer->fields[f].data_type;

        if (once_in(l, 8))
            type = FWP_EMPTY;
        else if (once_in(l, 40))
            type = types[index_lab_below(l, sizeof(types) / sizeof(types[0]))];
        v->of[f].value = make_value(l, v, f, type);
        if (once_in(l, 60) && type != FWP_UINT8 && type != FWP_UINT16 && type != FWP_UINT32)
            v->of[f].value.uint64 = NULL;
    }
}

/* ---- filters --------------------------------------------------------------------------------------- */

struct operand {
    FWP_RANGE0 range;
    FWP_V4_ADDR_AND_MASK v4;
    FWP_V6_ADDR_AND_MASK v6;
    struct index_lab_values low, high;
};

static void make_range(struct index_lab *l, const struct engine_field *field, struct operand *o)
{
    FWP_VALUE0 a = make_value(l, &o->low, field->index, field->data_type);
    FWP_VALUE0 b = make_value(l, &o->high, field->index, field->data_type);

    o->range = (FWP_RANGE0){a, b};
    if (engine_condition_check(field, FWP_MATCH_RANGE,
                               &(FWP_CONDITION_VALUE0){.type = FWP_RANGE_TYPE, .rangeValue = &o->range}) !=
        STATUS_SUCCESS)
        o->range = (FWP_RANGE0){b, a};
}

static FWP_CONDITION_VALUE0 make_operand(struct index_lab *l, const struct engine_field *field,
                                         FWP_MATCH_TYPE match, struct operand *o)
{
    FWP_CONDITION_VALUE0 c = {0};
    FWP_VALUE0 v = make_value(l, &o->low, field->index, field->data_type);
    bool token = field->data_type == FWP_TOKEN_ACCESS_INFORMATION_TYPE ||
                 field->data_type == FWP_TOKEN_INFORMATION_TYPE;

    if (once_in(l, 12)) {
        c.type = FWP_EMPTY;
    } else if (match == FWP_MATCH_RANGE) {
        make_range(l, field, o);
        c.type = FWP_RANGE_TYPE;
        c.rangeValue = &o->range;
    } else if (token) {
        c.type = FWP_SECURITY_DESCRIPTOR_TYPE;
        c.sd = &l->descriptors[index_lab_below(l, INDEX_LAB_POOL)];
    } else if (field->type == FWPM_FIELD_IP_ADDRESS && field->data_type == FWP_UINT32 && once_in(l, 2)) {
        UINT32 prefix = index_lab_below(l, 33);

        o->v4 = (FWP_V4_ADDR_AND_MASK){v.uint32, prefix != 0 ? ~0u << (32 - prefix) : 0};
        c.type = FWP_V4_ADDR_MASK;
        c.v4AddrMask = &o->v4;
    } else if (field->type == FWPM_FIELD_IP_ADDRESS && field->data_type == FWP_BYTE_ARRAY16_TYPE &&
               once_in(l, 2)) {
        memcpy(o->v6.addr, v.byteArray16->byteArray16, 16);
        o->v6.prefixLength = (UINT8)index_lab_below(l, 129);
        c.type = FWP_V6_ADDR_MASK;
        c.v6AddrMask = &o->v6;
    } else {
        memcpy(&c, &v, sizeof(v));
    }
    if (match >= FWP_MATCH_FLAGS_ALL_SET && match <= FWP_MATCH_FLAGS_NONE_SET && c.type == FWP_UINT32 &&
        !once_in(l, 4))
        c.uint32 &= 0x45; /* few bits, that press together */
    return c;
}

/* Adds 1..3 conditions on one field. */
static UINT32 make_conditions(struct index_lab *l, const struct engine_field *field,
                              FWPS_FILTER_CONDITION0 *c, struct operand *o)
{
    UINT32 want = once_in(l, 3) ? 1 + index_lab_below(l, 3) : 1, n = 0;

    for (unsigned tries = 0; n < want && tries < 40; tries++) {
        FWP_MATCH_TYPE match =
            once_in(l, 3) ? FWP_MATCH_EQUAL : (FWP_MATCH_TYPE)index_lab_below(l, FWP_MATCH_TYPE_MAX);

        c[n] = (FWPS_FILTER_CONDITION0){.fieldId = field->index, .matchType = match};
        c[n].conditionValue = make_operand(l, field, match, &o[n]);
        if (engine_condition_check(field, match, &c[n].conditionValue) == STATUS_SUCCESS)
            n++;
    }
    return n;
}

struct engine_filter *index_lab_filter(struct index_lab *l)
{
    FWPS_FILTER_CONDITION0 c[24];
    struct operand *o = calloc(24, sizeof(*o));
    UINT64 weight = index_lab_below(l, 8);
    FWPS_FILTER3 s = {.filterId = ++l->next_id, .filterCondition = c, .action.type = FWP_ACTION_PERMIT};
    struct engine_filter_desc d = {.layer_id = l->layer->id, .fwps = &s};
    UINT32 fields = index_lab_below(l, 4);
    struct engine_filter *f = NULL;

    s.weight = (FWP_VALUE0){.type = FWP_UINT64, .uint64 = &weight};
    for (UINT32 i = 0; i < fields && l->layer->field_count != 0; i++) {
        /* the first fields of a layer are its addresses and ports: these more often */
        UINT32 most = once_in(l, 2) && l->layer->field_count > 8 ? 8 : l->layer->field_count;

        s.numFilterConditions += make_conditions(l, &l->layer->fields[index_lab_below(l, most)],
                                                 c + s.numFilterConditions, o + s.numFilterConditions);
    }
    assert_int_equal(engine_filter_create(&d, &f), 0);
    free(o);
    return f;
}

/* ---- snapshots ------------------------------------------------------------------------------------- */

struct engine_layer_snapshot *index_lab_snapshot(struct index_lab *l, struct engine_filter *const *filters,
                                                 UINT32 count)
{
    struct engine_layer_snapshot *ls = calloc(1, sizeof(*ls));

    *ls = (struct engine_layer_snapshot){
        .layer = l->layer, .version = ++l->version, .count = count, .field_count = l->layer->field_count};
    ls->filters = calloc(count, sizeof(*ls->filters));
    for (UINT32 i = 0; i < count; i++)
        ls->filters[i] = engine_filter_ref(filters[i]);
    return ls;
}

void index_lab_snapshot_free(struct engine_layer_snapshot *ls)
{
    if (ls == NULL)
        return;
    for (UINT32 i = 0; i < ls->count; i++)
        engine_filter_unref((struct engine_filter *)(uintptr_t)ls->filters[i]);
    free(ls->filters);
    free(ls);
}

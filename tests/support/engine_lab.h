/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A laboratory of one layer for tests of the engine: filters in one line each, values by name, callouts that
 * do what a script says and remember what they saw. Every classify is done twice, by the index and by the
 * naive walk, with and without a trace, and all must agree.
 */
#ifndef WEIR_TESTS_ENGINE_LAB_H
#define WEIR_TESTS_ENGINE_LAB_H

#include "engine/engine.h"
#include "security/security.h"

#define LAB_CONDITIONS 16
#define LAB_SUBLAYERS  16

/* What a callout does, given to its filter as context; and what it saw. */
struct lab_script {
    FWP_ACTION_TYPE action; /* written when `act` */
    bool act;
    bool clear_write, set_write;
    UINT32 flags;                                                /* OR-ed into classifyOut->flags */
    void (*also)(struct lab_script *s, FWPS_CLASSIFY_OUT0 *out); /* anything else, at the end */
    void *ctx;
    /* seen */
    int calls;
    FWPS_CLASSIFY_OUT0 shown;
    const FWPS_INCOMING_VALUES0 *values;
    const FWPS_INCOMING_METADATA_VALUES0 *metadata;
    void *layer_data;
    const void *classify_context;
    const FWPS_FILTER3 *filter;
    UINT64 flow_context;
    unsigned version;
    int order; /* the how-manieth call of the classify this was, from 1 */
};

struct lab_filter {
    UINT16 sublayer; /* its weight; the lab's sublayers have one key a weight */
    UINT64 weight;
    FWP_ACTION_TYPE action;
    UINT16 flags;
    const GUID *callout;
    struct lab_script *script;
    UINT64 id; /* 0: next */
    UINT32 condition_count;
    FWPS_FILTER_CONDITION0 conditions[LAB_CONDITIONS];
};

struct lab_sublayer {
    UINT16 weight;
    UINT64 filter_id; /* that ended it, 0: none */
    FWP_ACTION_TYPE action, running;
    UINT32 rights;
    bool took_effect;
};

struct lab {
    struct engine *engine;
    struct engine_reader *reader;
    const struct engine_layer *layer;
    FWPS_INCOMING_VALUE0 values[ENGINE_MAX_FIELDS];
    FWPS_INCOMING_VALUES0 incoming;
    struct engine_request request;
    UINT64 next_id;
    /* of the last classify */
    struct engine_verdict verdict;
    struct lab_sublayer sublayers[LAB_SUBLAYERS];
    unsigned sublayer_count;
    UINT64 asked[64]; /* filter ids in the order in which they answered */
    enum engine_answer answers[64];
    bool substitutes[64];
    unsigned asked_count;
    UINT32 conduct; /* of all callouts, OR-ed */
};

/* All values are zero of their type, FWP_EMPTY where they are behind a pointer. */
void lab_open(struct lab *l, UINT16 layer_id);
void lab_close(struct lab *l);

UINT64 lab_add(struct lab *l, const struct lab_filter *f); /* its id; committed */
void lab_remove(struct lab *l, UINT64 id);
void lab_clear(struct lab *l); /* all filters go */

/* Registers the scripted callout, of version 0..3. */
void lab_register(struct lab *l, const GUID *key, unsigned version, UINT32 flags);

/* The field of a condition key; fails the test when the layer has none. */
UINT16 lab_field(const struct lab *l, const GUID *key);
FWP_VALUE0 *lab_value(struct lab *l, const GUID *key);

FWPS_FILTER_CONDITION0 lab_condition(const struct lab *l, const GUID *key, FWP_MATCH_TYPE match,
                                     FWP_CONDITION_VALUE0 value);

/* Classifies; l->verdict and the trace are left in the lab. */
const struct engine_verdict *lab_classify(struct lab *l);

/* Does a filter with these conditions match the lab's values? Adds it alone, classifies, removes it. */
bool lab_matches(struct lab *l, const FWPS_FILTER_CONDITION0 *conditions, UINT32 count);
bool lab_matches_one(struct lab *l, const GUID *key, FWP_MATCH_TYPE match, FWP_CONDITION_VALUE0 value);

#define LAB_U8(x)  ((FWP_CONDITION_VALUE0){.type = FWP_UINT8, .uint8 = (x)})
#define LAB_U16(x) ((FWP_CONDITION_VALUE0){.type = FWP_UINT16, .uint16 = (x)})
#define LAB_U32(x) ((FWP_CONDITION_VALUE0){.type = FWP_UINT32, .uint32 = (x)})
#define LAB_EMPTY  ((FWP_CONDITION_VALUE0){.type = FWP_EMPTY})
#define LAB_V4(a, m)                                                                                         \
    ((FWP_CONDITION_VALUE0){.type = FWP_V4_ADDR_MASK, .v4AddrMask = &(FWP_V4_ADDR_AND_MASK){(a), (m)}})

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of the index: random filters and values of one layer that meet each other often, all match types
 * on all data types, and layer snapshots put together by hand, so that the index is asked alone.
 */
#ifndef WEIR_TESTS_INDEX_LAB_H
#define WEIR_TESTS_INDEX_LAB_H

#include "engine/index.h"
#include "security/security.h"

#define INDEX_LAB_POOL    8
#define INDEX_LAB_TOKENS  6
#define INDEX_LAB_LONGEST 64

struct index_lab {
    const struct engine_layer *layer;
    UINT64 seed;
    UINT64 next_id;
    UINT64 version;
    UINT64 numbers[ENGINE_MAX_FIELDS][INDEX_LAB_POOL]; /* values that come up again and again */
    FWP_BYTE_ARRAY16 arrays[INDEX_LAB_POOL];
    UINT8 blob_bytes[INDEX_LAB_POOL][INDEX_LAB_LONGEST];
    FWP_BYTE_BLOB blobs[INDEX_LAB_POOL];
    UINT8 sids[INDEX_LAB_POOL][SECURITY_MAX_SID_SIZE];
    FWP_BYTE_BLOB descriptors[INDEX_LAB_POOL];
    struct security_token *tokens[INDEX_LAB_TOKENS];
    SID_AND_ATTRIBUTES token_sids[2];
    FWP_TOKEN_INFORMATION information[2];
};

/* Values of a layer and what they point to. */
struct index_lab_values {
    FWPS_INCOMING_VALUE0 of[ENGINE_MAX_FIELDS];
    UINT64 wide[ENGINE_MAX_FIELDS];
    FWP_BYTE_ARRAY16 array16[ENGINE_MAX_FIELDS];
    FWP_BYTE_ARRAY6 array6[ENGINE_MAX_FIELDS];
};

void index_lab_open(struct index_lab *l, UINT16 layer_id, UINT64 seed);
void index_lab_close(struct index_lab *l);
UINT64 index_lab_random(struct index_lab *l);
/* 0 .. n-1 */
UINT32 index_lab_below(struct index_lab *l, UINT32 n);
struct engine_filter *index_lab_filter(struct index_lab *l);
void index_lab_values(struct index_lab *l, struct index_lab_values *v);

/* A snapshot of these filters, without sublayers; each of them takes a reference more. The index is the
 * caller's. */
struct engine_layer_snapshot *index_lab_snapshot(struct index_lab *l, struct engine_filter *const *filters,
                                                 UINT32 count);
void index_lab_snapshot_free(struct engine_layer_snapshot *ls);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values to classify with at a layer full of filters: endpoints (a program, its user's token, its package)
 * with a few packets each, drawn so that most meet filters: what a random filter asks for is mostly there.
 */
#ifndef WEIR_BENCH_SAMPLES_H
#define WEIR_BENCH_SAMPLES_H

#include "engine/internal.h"
#include "security/security.h"

#define SAMPLE_ENDPOINTS 32
#define SAMPLE_PACKETS   8 /* an endpoint */
#define SAMPLE_TOKENS    5

struct sample_packet {
    FWPS_INCOMING_VALUE0 of[ENGINE_MAX_FIELDS];
    UINT64 wide[ENGINE_MAX_FIELDS];
    FWP_BYTE_ARRAY16 array16[ENGINE_MAX_FIELDS];
    FWP_BYTE_ARRAY6 array6[ENGINE_MAX_FIELDS];
    FWPS_INCOMING_VALUES0 incoming;
};

struct samples {
    uint64_t seed;
    struct security_token *tokens[SAMPLE_TOKENS];
    UINT8 no_package[SECURITY_MAX_SID_SIZE];
    struct sample_packet packets[SAMPLE_ENDPOINTS * SAMPLE_PACKETS];
    struct engine_class_cache caches[SAMPLE_ENDPOINTS];
};

uint64_t sample_random(uint64_t *seed);
struct samples *samples_create(const struct engine_layer_snapshot *ls, uint64_t seed);
void samples_destroy(struct samples *s);

/* A layer as real machines have them, made up: 364 filters on 14 fields in 6 sublayers at
 * ALE_AUTH_RECV_ACCEPT_V4. More than 364: the same mixture. */
#define SAMPLE_LAYER FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V4
struct engine_filter *sample_filter(uint64_t *seed, UINT64 id);

#endif

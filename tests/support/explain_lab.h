/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random small policies at one layer, some fields known, some not, and the answers by brute force. The brute
 * force knows nothing of classes: it has a list of values for each field that holds every border of every
 * condition the policies are made of, and asks the naive engine about all of their combinations and all
 * answers of callouts.
 */
#ifndef WEIR_TESTS_EXPLAIN_LAB_H
#define WEIR_TESTS_EXPLAIN_LAB_H

#include "explain/explain.h"

#define LAB_LAYER   FWPS_LAYER_ALE_AUTH_CONNECT_V4
#define LAB_FIELDS  7
#define LAB_FILTERS 10

struct explain_lab {
    struct explain_state s;
    struct explain_arena values; /* of the universe, parsed once */
    const struct engine_layer *layer;
    const struct engine_field *field[LAB_FIELDS];
    struct explain_value universe[LAB_FIELDS][48];
    unsigned universe_count[LAB_FIELDS];
    GUID callouts[2]; /* foreign */
    UINT64 next_id;
};

/* A question: NULL in values is unknown. */
struct lab_question {
    struct explain_value empty;
    const struct explain_value *values[ENGINE_MAX_FIELDS];
    unsigned unknown[LAB_FIELDS], unknown_count; /* indexes into the lab's fields */
};

uint64_t lab_random(uint64_t *state);
uint32_t lab_below(uint64_t *state, uint32_t n);
/* cmocka's group set-up and tear-down; *state is the struct explain_lab. */
int lab_set_up(void **state);
int lab_tear_down(void **state);

struct engine_filter *lab_random_filter(struct explain_lab *l, struct explain_arena *a, uint64_t *seed);
/* Up to LAB_FILTERS of them, committed; the number. */
uint32_t lab_random_policy(struct explain_lab *l, struct explain_arena *a, uint64_t *seed,
                           struct engine_filter *filters[LAB_FILTERS]);
void lab_remove_policy(struct explain_lab *l, struct engine_filter *const *filters, uint32_t n);
void lab_random_question(struct explain_lab *l, uint64_t *seed, struct lab_question *q);
/* Can it be permitted, can it be blocked? */
void lab_brute_force(struct explain_lab *l, const struct lab_question *q, bool *permit, bool *block);

#endif

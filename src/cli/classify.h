/* SPDX-License-Identifier: Apache-2.0 */
/* weir classify: what its single way and its batches share. */
#ifndef WEIR_CLI_CLASSIFY_H
#define WEIR_CLI_CLASSIFY_H

#include "cli/options.h"

struct classify_options {
    struct shared_options shared;
    const char *batch;
};

struct classify {
    const struct explain_state *s;
    const struct classify_options *o;
    struct explain_assumption settled[MAX_CALLOUTS]; /* --callout */
    uint32_t settled_count;
    struct engine_assumption *assumptions; /* of all callouts of the state, for the direct way */
    size_t assumption_count;
};

/* A problem with what is assumed of callouts. 0 or -ENOMEM. */
int classify_begin(const struct classify *c, struct explain_problem *p);

/* 0; -ENOMEM, -E2BIG, -EPROTO, with *error in the problem's arena. */
int classify_solve(struct explain_problem *p, const struct engine_layer *layer,
                   const struct explain_value *const *values, struct explain_answer *answer,
                   const char **error);

/* --batch: an exit status. */
int classify_batch(const struct classify *c, int argc, char **argv);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * answer: what a problem comes to. PERMITTED if no assignment of what is unknown blocks it, BLOCKED if none
 * permits it, DEPENDS if there is one of each: then both are shown, as near to each other as could be found,
 * and differ exactly in what the answer depends on. Every world shown was judged by engine_classify_naive().
 */
#ifndef WEIR_EXPLAIN_ANSWER_H
#define WEIR_EXPLAIN_ANSWER_H

#include "explain/problem.h"

enum explain_verdict {
    EXPLAIN_PERMITTED,
    EXPLAIN_BLOCKED,
    EXPLAIN_DEPENDS,
    EXPLAIN_UNDECIDED,     /* the search ran out of its budget before it could prove an answer */
    EXPLAIN_CONTRADICTION, /* what was given cannot be true together */
};
const char *explain_verdict_name(enum explain_verdict v);

/* A filter that matched and was asked, and what it said. */
struct explain_match {
    UINT64 filter_id;
    enum engine_answer answer;
    bool substitute; /* its callout is not registered (OBJ-22) */
};

struct explain_sublayer_result {
    GUID key;
    UINT16 weight;
    UINT64 filter_id; /* that ended it; 0: none */
    FWP_ACTION_TYPE action, running;
    UINT32 rights;
    bool took_effect;
    uint32_t first_match, match_count; /* into the step's matches */
};

struct explain_step_result {
    bool blocked;
    UINT64 filter_id; /* that decided; 0: none, the implicit permit */
    UINT32 flags;     /* ENGINE_VERDICT_* */
    UINT32 rights;
    struct explain_sublayer_result *sublayers;
    uint32_t sublayer_count;
    struct explain_match *matches;
    uint32_t match_count;
};

/* One assignment, judged. */
struct explain_world {
    uint32_t *classes; /* one a variable */
    bool blocked;
    uint32_t decisive; /* the step that decides: the first that blocks; else the one that authorizes */
    struct explain_step_result *steps;
};

struct explain_answer {
    enum explain_verdict verdict;
    struct explain_world *permit, *block; /* NULL: there is none */
    uint32_t *depends;                    /* variables, the most telling first */
    uint32_t depend_count;
    bool free; /* something unknown is tested by a filter in question: the world shown is one of several */
    uint64_t nodes; /* of the search */
};

#define EXPLAIN_BUDGET 200000u /* nodes: a few seconds at worst */

/* 0; -ENOMEM; -EPROTO: the naive engine judged otherwise than the search, *error says where (a bug of ours).
 */
int explain_answer(struct explain_problem *p, uint64_t budget, struct explain_answer *out,
                   const char **error);

/* Judges one assignment by the naive engine, with its trace. */
int explain_world_judge(struct explain_problem *p, const uint32_t *classes, struct explain_world *out,
                        const char **error);

/* One classification of known values, with its trace in the arena; naive: by the naive walk, else by the
 * index. 0, -ENOMEM, -EPROTO (the values are not the layer's). */
int explain_judge_values(const struct explain_state *state, struct explain_arena *a,
                         const FWPS_INCOMING_VALUES0 *in, const struct engine_assumption *assumptions,
                         size_t assumption_count, bool naive, struct explain_step_result *out);
FWP_ACTION_TYPE explain_callout_action(enum solve_callout_class class);

/* The value that a step's field has in a world. */
const struct explain_value *explain_world_value(const struct explain_problem *p,
                                                const struct explain_world *w, uint32_t step, UINT16 field);

/* Is the variable unknown, and tested by a filter that is still in question? */
bool explain_var_matters(const struct explain_problem *p, uint32_t var);

#endif

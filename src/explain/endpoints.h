/* SPDX-License-Identifier: Apache-2.0 */
/*
 * endpoints: a state export lists connections that existed when it was written. Windows had permitted each,
 * so each is a question whose answer is known: BLOCKED would be a bug of ours.
 *
 * The export does not say who opened a connection. Both directions are asked; that one of them was permitted
 * is certain, which one is not. So an endpoint counts as PERMITTED  when connect or accept is permitted
 * whatever is unknown, BLOCKED    when neither can be permitted, DEPENDS    otherwise. An endpoint without a
 * peer is asked about its listen (TCP) or its bind. The two ends of one loopback connection must be possible
 * together: one connects, the other accepts, in one world; else both count as BLOCKED.
 */
#ifndef WEIR_EXPLAIN_ENDPOINTS_H
#define WEIR_EXPLAIN_ENDPOINTS_H

#include "explain/answer.h"
#include "explain/question.h"

struct explain_endpoint_side {
    enum explain_op op;
    enum explain_verdict verdict;
    UINT64 filter_id;    /* that decided in the world shown; 0: none */
    const char *layer;   /* where */
    const char *depends; /* DEPENDS: what on, for people; else NULL */
};

struct explain_endpoint_result {
    const struct policy_endpoint *endpoint;
    enum explain_verdict verdict;
    struct explain_endpoint_side sides[2];
    unsigned side_count;
    const char *program;
    int64_t pair; /* the other end of the same loopback connection: its place in the list, or -1 */
    bool pair_possible;
};

struct explain_endpoints {
    struct explain_endpoint_result *results;
    uint32_t count, permitted, depends, blocked, undecided;
    uint32_t pairs, pairs_possible;
};

/* template: assume and callouts are taken from it. 0, -ENOMEM, -EPROTO, -EINVAL with *error. */
int explain_endpoints(const struct explain_state *state, struct explain_arena *a,
                      const struct explain_question *like, struct explain_endpoints *out, const char **error);

/* "ALE_USER_ID, callout {...}": what an answer depends on. */
const char *explain_depends_text(struct explain_arena *a, const struct explain_problem *p,
                                 const struct explain_answer *answer);

#endif

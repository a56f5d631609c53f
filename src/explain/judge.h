/* SPDX-License-Identifier: Apache-2.0 */
/*
 * judge: answers the host's questions where a capture does not know all that filters ask (host_judge).
 *
 *   question --> match vector --> known? --------------------------> one engine_classify() --> answer
 *                                   | no                                  ^
 *                                   +--> problem, solved --> world -------+
 *
 * The unknown fields' values, and the answers of foreign callouts that nobody settled, are searched for
 * exactly as `weir classify` does. One answer for all of them: that is the answer. Two: the classification
 * DEPENDS, and is carried out as was chosen. Either way a world is picked - values that make it so - and the
 * engine classifies with them, once, as it would have: registered callouts run, and the event log hears of
 * one verdict, with the filter that decides it in that world.
 *
 * Solving costs milliseconds, so worlds are remembered: by layer, version of the policy, what is unknown, and
 * what each filter of the layer says of the known values (all that an answer can hang on). Bounded; the
 * oldest are given up. One thread.
 */
#ifndef WEIR_EXPLAIN_JUDGE_H
#define WEIR_EXPLAIN_JUDGE_H

#include "explain/question.h"
#include "host/host.h"

struct explain_judge;

struct explain_judge_config {
    const struct explain_state *state;         /* its engine is the host's; outlives the judge */
    const struct explain_assumption *callouts; /* --callout; outlive the judge */
    uint32_t callout_count;
    enum explain_assume assume;
    bool block;      /* what depends is carried out as blocked; else as permitted */
    uint32_t worlds; /* remembered at most; 0: 4,096 */
};

struct explain_judge_counts {
    UINT64 asked, solved, undecided; /* undecided: the search's budget ended; taken as depending */
};

/* 0 or -ENOMEM. */
int explain_judge_create(const struct explain_judge_config *config, struct explain_judge **out);
void explain_judge_destroy(struct explain_judge *j);
/* struct host_judge's function; ctx is the judge. STATUS_SUCCESS; STATUS_NO_MEMORY; what engine_classify()
 * says; STATUS_INTERNAL_ERROR: the engine judged a world otherwise than the search (a bug of ours). */
NTSTATUS explain_judge(void *ctx, struct engine_reader *r, const struct host_question *q,
                       struct host_answer *a);
/* host_judge.forgets. */
const UINT64 *explain_judge_forgets(const struct explain_judge *j);
void explain_judge_counts(const struct explain_judge *j, struct explain_judge_counts *out);

#endif

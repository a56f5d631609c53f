/* SPDX-License-Identifier: Apache-2.0 */
/* recall.c's door, for indicate.c: answers that are given once more. By the lane's worker alone, the policy pinned. */
#ifndef WEIR_HOST_RECALL_H
#define WEIR_HOST_RECALL_H

#include "host/indicate.h"

#define RECALL_CLASSES 3

/* What tells a question from others at its layer. */
struct recall_key {
    UINT32 context; /* 0: it has no key, and its answer is not kept */
    UINT32 classes[RECALL_CLASSES];
    UINT32 kind; /* the protocol; the type of the remote address, where it is tested */
};

struct recalled {
    struct recall_key key;
    UINT32 callout; /* of the filter behind a block; 0: it has none */
    bool judged;
    bool sets; /* `options`: what the host's own callouts set (ALE-10) */
    struct ale_options options;
    struct host_answer answer; /* answer.supposed: where somebody met is to be shown them */
    GUID depends_on_callout;   /* answer.depends_on_callout points here, or is NULL */
    UINT64 unknown;            /* fields, as the observer is told */
    UINT64 forgets;            /* the judge's, of answer.supposed_values: */
    UINT32 met_count;          /* inspections, which are to be asked each time */
    struct engine_meeting met[ENGINE_MEETINGS];
};
/* It is another's, who keeps it longer. */
static inline void recalled_copy(struct recalled *to, const struct recalled *from)
{
    *to = *from;
    if (to->answer.depends_on_callout != NULL)
        to->answer.depends_on_callout = &to->depends_on_callout;
}

/* What its inspections are to be shown is no longer there. */
static inline bool recalled_is_forgotten(const struct scene *s, const struct recalled *known)
{
    const UINT64 *forgets = s->host->config.judge.forgets;

    return known->answer.supposed != 0 && (forgets == NULL || *forgets != known->forgets);
}

/* A question that was asked, for recall_keep(). */
struct recall_question {
    UINT16 layer;
    bool judged;                /* the judge was asked */
    UINT64 version, generation; /* as the plan's were */
    UINT32 callout;             /* as in struct recalled */
    UINT64 unknown;             /* as in struct recalled */
    const struct engine_met *met;
};

/* The answer to this question; NULL: it is to be asked, and kept under *key. Valid until the next question. The plan is the
 * snapshot's, and the scene is one that is not asked about again (reauthorize) or in turns. alone: not one for which
 * inspections are to be asked. */
const struct recalled *recall_find(const struct scene *s, const struct engine_snapshot *snapshot,
                                   const struct plan *plan, UINT16 layer, bool alone, struct recall_key *key);
/* key->context is not 0; answer: what engine or judge said, and they did not fail. */
void recall_keep(const struct scene *s, const struct recall_key *key, const struct recall_question *q,
                 const struct host_answer *answer);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arbitration at one layer (section 3 of the semantics), as a pure state machine: who may still change the
 * answer, and what an answer does to it. classify runs it over real filters; explain runs it over supposed
 * answers. It allocates nothing, calls nothing and looks at no filter.
 *
 *                      filter BLOCK, callout BLOCK without WRITE
 *        +-----------------------------------------------------+
 *        |                                                     v
 *     (none) --soft--> (PERMIT, WRITE) <--> (BLOCK, WRITE) --> (BLOCK, -)   final: ARB-08
 *        |                   |                    |              ^
 *        |                   v                    v              | a callout's veto: ARB-14
 *        +-----------> (PERMIT, -) <--------------+--------------+
 *          filter PERMIT with CLEAR_ACTION_RIGHT, callout PERMIT without WRITE
 *
 * Usage: start, then one step for each matching filter in the order of evaluation; a step that `ends` leaves
 * the sublayer. The state after the last sublayer is the verdict (engine_arb_finish).
 */
#ifndef WEIR_ENGINE_ARBITRATE_H
#define WEIR_ENGINE_ARBITRATE_H

#include <stdbool.h>

#include "fwpsk.h"

struct engine_filter;

#define ENGINE_VERDICT_IMPLICIT   0x01u /* nothing decided: the implicit permit (ARB-24), filter_id 0 */
#define ENGINE_VERDICT_VETO       0x02u /* a callout's block against a hard permit (ARB-14) */
#define ENGINE_VERDICT_ABSORB     0x04u /* ... by the callout that gave the final block (ARB-28) */
#define ENGINE_VERDICT_SUBSTITUTE 0x08u /* decided by an unregistered callout's substitute (OBJ-22) */
#define ENGINE_VERDICT_FOREIGN    0x10u /* a foreign callout was met: the answer may depend on it */

/* How a callout behaved against its contract. The engine goes on as the requirement says; verify judges. */
#define ENGINE_CONDUCT_INVALID_ACTION   0x001u /* CLS-05: taken as BLOCK */
#define ENGINE_CONDUCT_SYSTEM_MEMBER    0x002u /* CLS-06: outContext, filterId or reserved changed; restored */
#define ENGINE_CONDUCT_NO_RIGHT         0x004u /* ARB-16, 17: changed the action without WRITE, other than a veto */
#define ENGINE_CONDUCT_RIGHTS_GAINED    0x008u /* ARB-18 */
#define ENGINE_CONDUCT_INSPECTION_ACTED 0x010u /* ARB-20 */
#define ENGINE_CONDUCT_CONTINUED        0x020u /* ARB-22: a terminating callout that gave no answer */
#define ENGINE_CONDUCT_SOFT_BLOCK       0x040u /* CLS-07: BLOCK with WRITE left set */
#define ENGINE_CONDUCT_SOFT_PERMIT      0x080u /* ARB-13: PERMIT with WRITE under CLEAR_ACTION_RIGHT */
#define ENGINE_CONDUCT_ABSORB_IGNORED                                                                        \
    0x100u                                /* CLS-12..14: ABSORB without BLOCK, or where a layer has none     \
                                           */
#define ENGINE_CONDUCT_SOFT_ABSORB 0x200u /* ARB-31: BLOCK and ABSORB with WRITE left set */

struct engine_arbitration {
    FWP_ACTION_TYPE action;             /* running: 0 (none yet), FWP_ACTION_PERMIT or FWP_ACTION_BLOCK */
    UINT32 rights;                      /* running: FWPS_RIGHT_ACTION_WRITE or 0 */
    UINT32 flags;                       /* ENGINE_VERDICT_*: of the answer that stands; FOREIGN accumulates */
    const struct engine_filter *filter; /* whose answer stands, as given to the step; NULL: none */
};

struct engine_arb_step {
    FWP_ACTION_TYPE said; /* the answer: PERMIT, BLOCK or CONTINUE */
    bool ends;            /* the sublayer has its decision (ARB-02, ARB-34) */
    bool took_effect;     /* the running state is now this answer */
};

static inline void engine_arb_start(struct engine_arbitration *a)
{
    a->action = 0;
    a->rights = FWPS_RIGHT_ACTION_WRITE;
    a->flags = 0;
    a->filter = NULL;
}

/* No answer can change the verdict any more, not even a veto (ARB-08). */
static inline bool engine_arb_final(const struct engine_arbitration *a)
{
    return a->action == FWP_ACTION_BLOCK && a->rights == 0;
}

static inline void engine_arb_take(struct engine_arbitration *a, FWP_ACTION_TYPE action, UINT32 rights,
                                   UINT32 flags, const struct engine_filter *f)
{
    a->action = action;
    a->rights = rights;
    a->flags = (a->flags & ENGINE_VERDICT_FOREIGN) | flags;
    a->filter = f;
}

/*
 * A plain filter, or the substitute of an unregistered callout (substitute: ENGINE_VERDICT_SUBSTITUTE or 0).
 * action: FWP_ACTION_PERMIT or _BLOCK; filter_flags: FWPS_FILTER_FLAG_*. ARB-07..12, 15; OBJ-24.
 */
static inline struct engine_arb_step engine_arb_filter(struct engine_arbitration *a,
                                                       const struct engine_filter *f, FWP_ACTION_TYPE action,
                                                       UINT32 filter_flags, UINT32 substitute)
{
    struct engine_arb_step step = {action, true, a->rights != 0};
    UINT32 soft = FWPS_RIGHT_ACTION_WRITE;

    if (!step.took_effect)
        return step;
    if (action == FWP_ACTION_BLOCK || (filter_flags & FWPS_FILTER_FLAG_CLEAR_ACTION_RIGHT))
        soft = 0;
    engine_arb_take(a, action, soft, substitute, f);
    return step;
}

/* What a callout is shown (ARB-27). */
static inline void engine_arb_show(const struct engine_arbitration *a, UINT64 running_filter_id,
                                   FWPS_CLASSIFY_OUT0 *out)
{
    out->actionType = a->action;
    out->outContext = 0;
    out->filterId = running_filter_id;
    out->rights = a->rights;
    out->flags = 0;
    out->reserved = 0;
}

/*
 * A callout's answer. kind: the filter's FWP_ACTION_CALLOUT_*; shown: from engine_arb_show(); returned: what
 * the callout made of it; absorb: may this layer absorb (CLS-10..13)? *conduct (may be NULL) receives
 * ENGINE_CONDUCT_*. ARB-13..23, 27, 28, 31, 34; CLS-04..07, 14.
 */
struct engine_arb_step engine_arb_callout(struct engine_arbitration *a, const struct engine_filter *f,
                                          FWP_ACTION_TYPE kind, UINT32 filter_flags,
                                          const FWPS_CLASSIFY_OUT0 *shown, const FWPS_CLASSIFY_OUT0 *returned,
                                          bool absorb, UINT32 *conduct);

/* A callout of which only the answer is supposed (a foreign one): PERMIT, BLOCK or CONTINUE, given as the
 * contract asks (see struct engine_assumption). */
struct engine_arb_step engine_arb_supposed(struct engine_arbitration *a, const struct engine_filter *f,
                                           FWP_ACTION_TYPE kind, UINT32 filter_flags, FWP_ACTION_TYPE answer);

/* The layer is done: the implicit permit where nothing decided (ARB-24). */
static inline void engine_arb_finish(struct engine_arbitration *a)
{
    if (a->action != 0)
        return;
    a->action = FWP_ACTION_PERMIT;
    a->flags |= ENGINE_VERDICT_IMPLICIT;
}

/* May a block at this layer be absorbed (CLS-10..13)? pended: a callout pended the operation in this
 * classify. */
bool engine_absorb_allowed(UINT16 layer_id, bool pended);

#endif

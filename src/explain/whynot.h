/* SPDX-License-Identifier: Apache-2.0 */
/*
 * whynot: why did this filter not decide? Either a condition fails (which one, and what the value was), or
 * another filter of its sublayer came first, or its answer had no effect, or it was never asked at all.
 */
#ifndef WEIR_EXPLAIN_WHYNOT_H
#define WEIR_EXPLAIN_WHYNOT_H

#include "explain/answer.h"
#include "explain/words.h"

enum explain_reason {
    WHY_NOT_ELSEWHERE, /* its layer is not on the way of this operation */
    WHY_NOT_APPLIED,   /* boot-time or disabled: it takes no part */
    WHY_NOT_CONDITION, /* a condition fails */
    WHY_NOT_SHADOWED,  /* `other` came first in its sublayer */
    WHY_NOT_CONTINUED, /* it matched, and its callout left the decision to the filters behind it */
    WHY_NOT_OVERRULED, /* it answered, but the verdict is `other`'s */
    WHY_IT_DID,        /* it did decide */
};

struct explain_failing {
    const char *words, *raw; /* the requirement */
    const char *value;       /* what the field is in this world, for people */
};

struct explain_why_not {
    const FWPM_FILTER0 *filter;
    uint32_t step; /* UINT32_MAX: in none */
    enum explain_reason reason;
    UINT64 other; /* a filter's id; 0: none */
    struct explain_failing *failing;
    uint32_t failing_count;
};

/* The filters that a text names: an id, a key, or a display name (whole, any case). Returns how many; *out in
 * the arena; -ENOMEM. */
int explain_find_filters(const struct explain_state *s, struct explain_arena *a, const char *text,
                         const FWPM_FILTER0 *const **out);

/* One entry for each step at the filter's layer, at least one. Returns how many, or -ENOMEM. */
int explain_why_not(struct explain_problem *p, const struct explain_world *w, const FWPM_FILTER0 *filter,
                    struct explain_why_not **out);

/* "boot-time", "disabled", or NULL: the filter takes part. */
const char *explain_not_applied(const FWPM_FILTER0 *f);

#endif

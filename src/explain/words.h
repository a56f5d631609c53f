/* SPDX-License-Identifier: Apache-2.0 */
/*
 * words: what a filter says, for people, with what it is made of beside it.
 *
 *   remote port is 80 or 443          IP_REMOTE_PORT EQUAL 80 | EQUAL 443
 *   user is the service Dhcp          ALE_USER_ID EQUAL O:SYG:SYD:(A;;CCRC;;;S-1-5-80-...)
 */
#ifndef WEIR_EXPLAIN_WORDS_H
#define WEIR_EXPLAIN_WORDS_H

#include "explain/value.h"
#include "fwpsk.h"

/* A requirement: all conditions of a filter on one field, of which one must hold (MATCH-02, MATCH-03). */
struct explain_requirement {
    UINT16 field;
    const char *words, *raw;
};

/* The filter's requirements in the order of their first conditions. *out in the arena. Returns the number, or
 * -ENOMEM. */
int explain_requirements(struct explain_arena *a, const struct engine_layer *layer,
                         const FWPS_FILTER3 *filter, const struct explain_requirement **out);

/* One condition's value as value.h writes it; masks as a/n, ranges as a-b, descriptors as SDDL. */
const char *explain_condition_text(struct explain_arena *a, const struct engine_field *field,
                                   const FWP_CONDITION_VALUE0 *value);
/* "EQUAL"; a number where there is no name. */
const char *explain_match_name(struct explain_arena *a, FWP_MATCH_TYPE match);
/* "PERMIT", "BLOCK", "CALLOUT_TERMINATING" ... */
const char *explain_action_name(FWP_ACTION_TYPE action);
/* Names of the FWPM_FILTER_FLAG_* bits, without the prefix, joined by |; "" for 0. */
const char *explain_filter_flags(struct explain_arena *a, UINT32 flags);

#endif

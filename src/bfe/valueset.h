/* SPDX-License-Identifier: Apache-2.0 */
/*
 * valueset: which values of one field satisfy a set of conditions, compared with those that a template
 * admits.
 *
 * An enumeration template describes traffic; a filter is "fully contained" when it matches all of that
 * traffic and "overlapping" when it matches some of it (FWP_FILTER_ENUM_TYPE). Fields are independent and
 * ANDed, so that both questions are answered field by field; the conditions of a filter on one field are ORed
 * (MATCH-03).
 */
#ifndef WEIR_BFE_VALUESET_H
#define WEIR_BFE_VALUESET_H

#include "bfe/internal.h"

/* Of one field: what a template's condition admits, and a filter's conditions (count > 0) on the same field.
 */
struct valueset_question {
    const struct engine_field *field;
    const FWPM_FILTER_CONDITION0 *asked;
    const FWPM_FILTER_CONDITION0 *const *conditions;
    size_t count;
};

/* Do the conditions admit every value that is asked for? */
bool valueset_contains(const struct valueset_question *q);
/* ... at least one of them? Where that cannot be told exactly, true. */
bool valueset_overlaps(const struct valueset_question *q);
/* No value of this field can satisfy the condition. */
bool valueset_empty(const struct engine_field *field, const FWPM_FILTER_CONDITION0 *c);

#endif

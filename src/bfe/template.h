/* SPDX-License-Identifier: Apache-2.0 */
/*
 * template: the FWPM_*_ENUM_TEMPLATE0 of each kind, checked once and then asked of objects. Enumerations and
 * change subscriptions share it (OBJ-34, OBJ-35).
 */
#ifndef WEIR_BFE_TEMPLATE_H
#define WEIR_BFE_TEMPLATE_H

#include "bfe/internal.h"

struct template;

/*
 * A checked deep copy; tmpl NULL admits everything. brief: it lives no longer than tmpl, and may refer to a
 * token in it (a token's bytes cannot be copied); else such a condition is a STATUS_FWP_TYPE_MISMATCH. kind:
 * a stored kind, BFE_LAYER or BFE_SESSION. STATUS_NO_MEMORY; STATUS_FWP_NEVER_MATCH (nothing can match it),
 * STATUS_FWP_RESERVED, STATUS_FWP_INVALID_FLAGS, STATUS_FWP_INVALID_ENUMERATOR, STATUS_FWP_NULL_POINTER,
 * STATUS_FWP_LAYER_NOT_FOUND, STATUS_FWP_CONDITION_NOT_FOUND, STATUS_FWP_DUPLICATE_CONDITION, and what
 * engine_condition_check() says of a condition.
 */
NTSTATUS template_create(enum bfe_kind kind, const void *tmpl, bool brief, struct template **out);
void template_destroy(struct template *t); /* NULL is harmless */
/* Does the object (of the kind) match? Layers and sessions always do. */
bool template_matches(const struct template *t, const struct bfe_object *o);
/* The copy as its documented struct, NULL if there was none; belongs to the template. */
const void *template_described(const struct template *t);
/* FWP_FILTER_ENUM_FLAG_*; 0 for other kinds. */
UINT32 template_flags(const struct template *t);

#endif

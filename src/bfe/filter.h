/* SPDX-License-Identifier: Apache-2.0 */
/* Filters, as the rest of bfe's core needs to know them: their form in the engine, and late references. */
#ifndef WEIR_BFE_FILTER_H
#define WEIR_BFE_FILTER_H

#include "bfe/core.h"

/*
 * Makes o->running, the filter's form in the engine, if it is to act there now: not when disabled, and a
 * boot-time filter only until the service runs (OBJ-29). o->ref[] must be set. STATUS_SUCCESS (also when it
 * stays NULL), STATUS_NO_MEMORY, STATUS_FWP_CONDITION_NOT_FOUND or the status of a condition that the layer
 * does not take.
 */
NTSTATUS bfe_filter_prepare(struct bfe *b, struct bfe_object *o);

/* An imported object's references to what came after it; write lock held (restore.c). */
NTSTATUS bfe_restore_resolve(struct bfe *b, struct bfe_object *o);

/* weight.c: the effective weight for a filter's weight member (OBJ-31). STATUS_FWP_INVALID_WEIGHT. */
NTSTATUS bfe_weight_effective(const struct engine_layer *layer, const FWPM_FILTER0 *f, UINT64 *out);

#endif

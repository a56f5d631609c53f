/* SPDX-License-Identifier: Apache-2.0 */
/* Automatic weights, as tests need to see them too: by the slots of one class of Windows builds. */
#ifndef WEIR_BFE_WEIGHT_H
#define WEIR_BFE_WEIGHT_H

#include "bfe/bfe.h"

/* The builds whose exports the slots were recovered from: newest first. */
enum bfe_weight_class { BFE_WEIGHT_N, BFE_WEIGHT_O, BFE_WEIGHT_I, BFE_WEIGHT_CLASSES };

/* The automatic weight by the slots of that class alone. false: no slot is known for one of the conditions,
 * or a condition is on no field of the layer. */
bool bfe_weight_auto_by(enum bfe_weight_class by, const struct engine_layer *layer,
                        const FWPM_FILTER_CONDITION0 *conditions, UINT32 count, UINT64 *out);

#endif

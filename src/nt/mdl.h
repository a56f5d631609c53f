/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mdl: MDLs for the rooms above nt, which make and free them without a word in the ledger.
 */
#ifndef WEIR_NT_MDL_H
#define WEIR_NT_MDL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ntddk.h"

/* An MDL that describes `length` bytes at address, not yet mapped (MmBuildMdlForNonPagedPool() does that),
 * with room for `behind` bytes behind it. release: called when it is freed. NULL: out of memory, or too long
 * for an MDL. */
MDL *mm_mdl_make(void *address, uint32_t length, size_t behind, void (*release)(MDL *mdl));
void *mm_mdl_behind(MDL *mdl);
bool mm_mdl_is_ours(MDL *mdl); /* for one that stands in memory of ours */
void mm_mdl_free(MDL *mdl);
void *mm_mdl_map(MDL *mdl); /* MmGetSystemAddressForMdlSafe(), for Weir itself */

#endif

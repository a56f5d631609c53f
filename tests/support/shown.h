/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a callout is shown, mixed into one number, so that two ways to the same callout can be compared. What values point to
 * beyond the engine's own types is told by its address: compare hosts of one engine, with the same owners.
 */
#ifndef WEIR_TESTS_SHOWN_H
#define WEIR_TESTS_SHOWN_H

#include <stddef.h>
#include <stdint.h>

#include "fwpsk.h"

void shown_bytes(uint64_t *h, const void *bytes, size_t size);
void shown_number(uint64_t *h, uint64_t n);
void shown_value(uint64_t *h, const FWP_VALUE0 *v);
void shown_metadata(uint64_t *h, const FWPS_INCOMING_METADATA_VALUES0 *m);
/* Of its first NET_BUFFER: shape, marks, and the bytes of all MDLs. */
void shown_list(uint64_t *h, const NET_BUFFER_LIST *list);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frame: a packet of the host's own, as callouts see it: bytes, NET_BUFFER_LIST, NET_BUFFER and MDLs.
 *
 *   headroom | link header | IP header | transport header | data ...          owned, written by drivers only
 *                            ^ first     ^ data start           ^ end         as each layer shows it
 *
 * The bytes are copied in once. One list stands for the packet at all its layers (PKT-01..09): show() moves
 * its data start, and what is in front of `first` cannot be reached there (PKT-04: outbound transport has no
 * IP header yet). A callout may take references and clones; then the frame outlives the walk. Who walks calls
 * ndis_frame_done() at the end: the frame goes back to its room when the last reference and clone are gone.
 *
 *   FREE --take--> WALKED --done--> (references, clones?) KEPT --last one goes--> FREE
 *                     ^  +--done--> FREE
 *
 * A room is one host's; take and done are for its worker (one thread at a time), the last dereference may
 * come on any thread. IRQL <= DISPATCH_LEVEL.
 */
#ifndef WEIR_NDIS_FRAME_H
#define WEIR_NDIS_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ndis/nbl.h"

struct ndis_frame;
struct ndis_frames; /* the room */

int ndis_frames_create(struct ndis_frames **out); /* 0 or -ENOMEM */
/* Frames that drivers still hold are let go of: their last dereference frees them. */
void ndis_frames_destroy(struct ndis_frames *r);
uint64_t ndis_frames_kept(const struct ndis_frames *r);   /* how many outlive their walk now */
uint64_t ndis_frames_copied(const struct ndis_frames *r); /* how many were ever made: bytes copied */

/* A frame with a copy of the bytes; `aligned`: the offset of what is to be aligned (the IP header). NULL: out
 * of memory. */
struct ndis_frame *ndis_frame_take(struct ndis_frames *r, const uint8_t *bytes, uint32_t size,
                                   uint32_t aligned);
/* Where it stems from; takes references of its own. Either may be NULL. */
void ndis_frame_stem(struct ndis_frame *f, struct ndis_origin *o, struct ndis_history *h);

/* [first, end) of the bytes with the data from `at` on; split as in packet.h. NULL: out of memory, or not
 * first <= at <= end <= size. The same list as before, its info and flags untouched. */
NET_BUFFER_LIST *ndis_frame_show(struct ndis_frame *f, uint32_t first, uint32_t at, uint32_t end,
                                 uint32_t split);
NET_BUFFER_LIST *ndis_frame_list(struct ndis_frame *f);
uint8_t *ndis_frame_bytes(struct ndis_frame *f, uint32_t *size);
/* Is somebody else holding it, by reference or clone? */
bool ndis_frame_held(const struct ndis_frame *f);
/* The frame that a list is of, itself or through its parents; NULL: none. */
struct ndis_frame *ndis_frame_of(const NET_BUFFER_LIST *nbl);

/* The walk is over. original: the bytes as they came, valid during the call; if the frame is kept, they are
 * copied, so that ndis_frame_unchanged() can tell later. Returns whether it is kept. */
bool ndis_frame_done(struct ndis_frame *f, const uint8_t *original);
/* Do these bytes equal those that the frame was made of, from `at` on to their end? Of a kept frame. */
bool ndis_frame_equals(const struct ndis_frame *f, uint32_t at, const uint8_t *bytes, uint32_t size);
/* Where the IP header stood when it was made; and the size of the whole. */
uint32_t ndis_frame_ip_at(const struct ndis_frame *f);

#endif

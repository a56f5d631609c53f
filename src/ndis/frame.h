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
 *                        +--lend--> LENT (one of a room; its bytes are read) --take back--> FREE
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

/* gone: told when nothing holds a packet that stems from a kept frame any more, on the thread that let the
 * last one go; not after the room's destruction. NULL: nobody. 0 or -ENOMEM. */
int ndis_frames_create(void (*gone)(void *ctx, const struct ndis_origin *o), void *ctx,
                       struct ndis_frames **out);
/* Frames that drivers still hold are let go of: their last dereference frees them. */
void ndis_frames_destroy(struct ndis_frames *r);
uint64_t ndis_frames_kept(const struct ndis_frames *r);   /* how many outlive their walk now */
uint64_t ndis_frames_copied(const struct ndis_frames *r); /* how many were ever made: bytes copied */

/* A frame with a copy of the bytes; ip_at: the offset of the IP header, which is aligned. `bytes` stay what
 * they are until ndis_frame_done(). NULL: out of memory. */
struct ndis_frame *ndis_frame_take(struct ndis_frames *r, const uint8_t *bytes, uint32_t size,
                                   uint32_t ip_at);
/* It is an origin: the frame of this number. */
struct ndis_origin *ndis_frame_root(struct ndis_frame *f, uint64_t number);
/* It stems from another; both are lent to it until the walk is over (ndis_frame_done()). Either may be NULL. */
void ndis_frame_stem(struct ndis_frame *f, struct ndis_origin *o, struct ndis_history *h);

/* [first, end) of the bytes with the data from `at` on; split as in packet.h. NULL: out of memory, or not
 * first <= at <= end <= size. The same list as before, its info and flags untouched. */
NET_BUFFER_LIST *ndis_frame_show(struct ndis_frame *f, uint32_t first, uint32_t at, uint32_t end,
                                 uint32_t split);
NET_BUFFER_LIST *ndis_frame_list(struct ndis_frame *f);
uint8_t *ndis_frame_bytes(struct ndis_frame *f, uint32_t *size);
/* Is somebody else holding it, or what stems from it? */
bool ndis_frame_held(const struct ndis_frame *f);
/* The host's own hold, which keeps it as a driver's reference does: of frames that wait for others of their
 * group (ORD-16). */
void ndis_frame_hold(struct ndis_frame *f);
void ndis_frame_let_go(struct ndis_frame *f);
/* The frames of one group, each shown before, become a chain in this order; and are no chain any more. */
NET_BUFFER_LIST *ndis_frames_link(struct ndis_frame *const *frames, size_t count);
void ndis_frames_unlink(struct ndis_frame *const *frames, size_t count);
/* Is this the head of such a chain, as it was linked? */
bool ndis_is_group(const NET_BUFFER_LIST *nbl);
/* The frame that a list is of, itself or through its parents; NULL: none. */
struct ndis_frame *ndis_frame_of(const NET_BUFFER_LIST *nbl);

/* The walk is over. If the frame is held it is kept, with a copy of the bytes as they came. Returns whether.
 */
bool ndis_frame_done(struct ndis_frame *f);
/* The same of one that nothing hangs on and nobody holds, as most are when their walk is over; false: it is another
 * one, and nothing has happened. */
bool ndis_frame_done_plain(struct ndis_frame *f);
/* As ndis_frame_done_plain(), but its bytes stay as they are until ndis_frames_take_back(). One of a room at a time. */
bool ndis_frame_lend(struct ndis_frame *f);
void ndis_frames_take_back(struct ndis_frames *r);
/* The bytes as they came, whatever drivers did to the frame; where the IP header stands. Of a kept frame, or
 * while it is walked. */
const uint8_t *ndis_frame_came(const struct ndis_frame *f, uint32_t *size, uint32_t *ip_at);
/* The frame that an origin is. */
const struct ndis_frame *ndis_frame_of_origin(const struct ndis_origin *o);

#endif

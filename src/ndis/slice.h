/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slice: bytes of a stream as callouts see them.
 *
 *   store   counted memory, filled from the front, never changed where it is filled
 *   slice   a NET_BUFFER_LIST with one NET_BUFFER over some of a store's bytes
 *
 *     store  [ ......................... | free ]
 *                 ^ slice      ^ another
 *
 * Several slices may show parts of one store at the same time. A slice lives until its owner is done with it
 * and no clone or reference of a driver's is left; a store until no slice and no owner is. So a clone keeps the
 * bytes, whatever becomes of the stream.
 *
 * A slice is its owner's (one thread at a time); the last reference may go on any thread. <= DISPATCH_LEVEL.
 */
#ifndef WEIR_NDIS_SLICE_H
#define WEIR_NDIS_SLICE_H

#include <stdbool.h>
#include <stdint.h>

#include "ndis/nbl.h"

struct ndis_store {
    uint32_t references;
    uint32_t capacity, used; /* bytes; `used` is its owner's to raise */
    uint8_t bytes[];
};
struct ndis_slice;

/* One reference. NULL: out of memory. */
struct ndis_store *ndis_store_take(uint32_t capacity);
struct ndis_store *ndis_store_ref(struct ndis_store *s);
void ndis_store_unref(struct ndis_store *s); /* NULL: nothing */

/* Takes a reference to the store. NULL: out of memory. */
struct ndis_slice *ndis_slice_take(struct ndis_store *s);
/* Shows the store's [begin, end); MDLs of at most `split` bytes (packet.h), 0: one. NULL: out of memory. The
 * list is no chain (Next is NULL). */
NET_BUFFER_LIST *ndis_slice_show(struct ndis_slice *s, uint32_t begin, uint32_t end, uint32_t split);
NET_BUFFER_LIST *ndis_slice_list(struct ndis_slice *s);
bool ndis_slice_held(const struct ndis_slice *s); /* by others than its owner */
void ndis_slice_done(struct ndis_slice *s);       /* NULL: nothing */
/* Its owner has done with what it showed, and will show other bytes of the same store: the list is as a new one's again,
 * and so is the store, empty. False: others hold one of them. */
bool ndis_slice_again(struct ndis_slice *s);

/* FwpsCloneStreamData0's body: a clone of each list of the chain, trimmed to `size` bytes from `skip` bytes
 * behind the beginning of nb on, which is of `list`; size 0: an empty one. Chained, each to be freed as a clone.
 * STATUS_INVALID_PARAMETER: not lists of ours, or there is less; STATUS_NO_MEMORY. */
NTSTATUS ndis_stream_clone(NET_BUFFER_LIST *list, NET_BUFFER *nb, uint32_t skip, size_t size,
                           NDIS_HANDLE list_pool, NDIS_HANDLE buffer_pool, NET_BUFFER_LIST **out,
                           const void *site);
/* Does it show data of a stream: a slice, or a clone of one? */
bool ndis_is_stream(const NET_BUFFER_LIST *nbl);
/* Whose data a slice shows, for its owner: 0 at first. And that of the slice behind a list; 0: none is. */
void ndis_slice_tag(struct ndis_slice *s, uint64_t tag);
uint64_t ndis_stream_tag(const NET_BUFFER_LIST *nbl);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nbl: what Weir knows of a NET_BUFFER_LIST besides what a driver sees of it.
 *
 *     block: magic, who made it, pool, parent, references, history, tags | NET_BUFFER_LIST | NET_BUFFER, MDLs
 * .. ^ what drivers hold
 *
 * Every NET_BUFFER_LIST that is made here lies in such a block and names it in its reserved words, so that a
 * stranger's (or one that is gone) is known for it. A block lives as long as its owner has not freed it and
 * it has children: a clone keeps its parent, the parent of clones is the frame that was indicated (frame.h),
 * and with it the bytes that all of them share (NBL-05, 06).
 *
 * History: an injection writes (handle, context) behind what was there; a clone has its parent's history,
 * what re-enters the stack has the injected list's (INJ-14..16). Histories are lists that share their tails.
 *
 * Origin: of which frame of the datapath's the packet is a descendant. It is counted: when nothing holds a
 * packet of that origin any more, its `gone` is called once.
 *
 * Any thread, IRQL <= DISPATCH_LEVEL. A list belongs to one thread at a time, its block's counts to all.
 */
#ifndef WEIR_NDIS_NBL_H
#define WEIR_NDIS_NBL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ndis.h"

/* ---- what a list is ---------------------------------------------------------------------------------------
 */

enum ndis_made {
    NDIS_MADE_NOT,        /* a stranger's, or gone */
    NDIS_MADE_FRAME,      /* the host's, indicated to callouts */
    NDIS_MADE_CLONE,      /* shares its parent's data */
    NDIS_MADE_DEEP_CLONE, /* has a copy of it */
    NDIS_MADE_OWN,        /* allocated by a driver, over MDLs of its own */
    NDIS_MADE_FRAGMENT,   /* NdisAllocateFragmentNetBufferList() */
    NDIS_MADE_REASSEMBLED,
    NDIS_MADE_STREAM,       /* the host's: data of a stream (slice.h) */
    NDIS_MADE_STREAM_CLONE, /* FwpsCloneStreamData0() */
};
enum ndis_made ndis_nbl_made(const NET_BUFFER_LIST *nbl);
bool ndis_nbl_pool_fits(NDIS_HANDLE pool); /* of lists with a NET_BUFFER and without data (NBL-12) */

/* Which family of functions made it, and so has to free it (NBL-09). */
enum ndis_by { NDIS_BY_NDIS, NDIS_BY_FWPS };

/* ---- making and freeing: the bodies of NdisAllocate* and FwpsAllocate* */
/*
 * NULL: out of memory, or (pools) not a pool of the right kind. They write the ledger for the current party;
 * site: the return address of the documented function.
 */
NET_BUFFER_LIST *ndis_nbl_own(NDIS_HANDLE pool, uint16_t context_size, uint16_t context_back_fill,
                              bool with_buffer, MDL *mdls, uint32_t data_offset, size_t data_length,
                              enum ndis_by by, const void *site);
/* A clone of the original's used data (NBL-06), or a copy of it with a context area (NBL-11). */
NET_BUFFER_LIST *ndis_nbl_clone(NET_BUFFER_LIST *original, NDIS_HANDLE list_pool, NDIS_HANDLE buffer_pool,
                                bool deep, enum ndis_by by, const void *site);
/* Concatenates the used data of all NET_BUFFERs of the chain into a list with one; references the chain. */
NET_BUFFER_LIST *ndis_nbl_reassemble(NET_BUFFER_LIST *chain, NDIS_HANDLE pool, uint32_t start_offset,
                                     uint32_t data_offset_delta, uint32_t back_fill, enum ndis_by by,
                                     const void *site);
/* The same for FwpsReassembleForwardFragmentGroup0: of the first NET_BUFFER what is behind `skip_first`
 * bytes, of the others what is behind `skip`; in front of it `front` bytes of its own, which the caller is to
 * write. */
NET_BUFFER_LIST *ndis_nbl_join(NET_BUFFER_LIST *chain, NDIS_HANDLE pool, uint32_t skip_first, uint32_t skip,
                               uint32_t front, uint32_t back_fill, const void *site);
/* Frees what one of the above made. expected: what the function that was called frees; another kind is a
 * finding and is freed all the same. A list that is nobody's, or gone, is a finding. */
void ndis_nbl_free(NET_BUFFER_LIST *nbl, enum ndis_made expected, enum ndis_by by, const void *site);

/* ---- references (FwpsReferenceNetBufferList0) */
/* False: not a list of ours (a finding). modify: the driver is going to change a clone of it (NBL-03). */
bool ndis_nbl_reference(NET_BUFFER_LIST *nbl, bool modify, const void *site);
bool ndis_nbl_dereference(NET_BUFFER_LIST *nbl, const void *site);
bool ndis_nbl_meant_to_modify(const NET_BUFFER_LIST *nbl);

/* ---- history */
struct ndis_history;                                              /* counted; NULL: never injected */
struct ndis_history *ndis_history_of(const NET_BUFFER_LIST *nbl); /* borrowed */
/* A new one: `before` and an injection more. Takes a reference to before. beside: bytes for the caller's own use, in the
 * same piece of memory, which are there for as long as it is. NULL: out of memory. */
struct ndis_history *ndis_history_add(struct ndis_history *before, uint64_t handle, void *context,
                                      size_t beside);
void *ndis_history_beside(struct ndis_history *h);
struct ndis_history *ndis_history_ref(struct ndis_history *h);
void ndis_history_unref(struct ndis_history *h);
uint32_t ndis_history_length(const struct ndis_history *h);
uint64_t ndis_history_before(const struct ndis_history *h); /* the handle of the injection before; 0: none */
uint64_t ndis_history_last(const struct ndis_history *h);   /* the handle of the last injection; 0: none */
/* So many more injections lie behind its last one, of packets of which lists say nothing; before: whose. */
void ndis_history_age(struct ndis_history *h, uint32_t more, uint64_t before);
void ndis_nbl_set_history(NET_BUFFER_LIST *nbl, struct ndis_history *h); /* takes its own reference */
/* INJ-14. *context is set in the two SELF states. */
enum ndis_injected {
    NDIS_NOT_INJECTED,
    NDIS_INJECTED_BY_SELF,
    NDIS_INJECTED_BY_OTHER,
    NDIS_PREVIOUSLY_INJECTED_BY_SELF
};
enum ndis_injected ndis_history_state(const struct ndis_history *h, uint64_t handle, void **context);

/* ---- origin */
struct ndis_origin {
    uint64_t number; /* the datapath's of the frame */
    uint32_t references;
    bool injected;  /* a packet of this origin was injected at least once */
    bool completed; /* FwpsCompleteOperation0 was given a list of this origin (PEND-28, 30) */
    /* The host's: how the frame came. */
    uint32_t interface_index;
    bool inbound, loopback, reassembled;
    uint32_t again; /* injections of what had been injected before */
    void *flow;     /* ... which its own was: a hint, not to be followed; NULL: it had none */
};
struct ndis_origin *ndis_origin_of(const NET_BUFFER_LIST *nbl); /* borrowed; NULL: of no frame */
struct ndis_origin *ndis_origin_ref(struct ndis_origin *o);     /* NULL is passed through */
void ndis_origin_unref(struct ndis_origin *o);
void ndis_nbl_set_origin(NET_BUFFER_LIST *nbl, struct ndis_origin *o); /* takes its own reference */
/* What FwpsCompleteOperation0 does to the list that it is given: its state goes over to it (PEND-28, 30).
 * nbl may be NULL. Takes nothing. */
void ndis_nbl_carry(NET_BUFFER_LIST *nbl);

/* ---- tags (FwpsNetBufferListAssociateContext) */
typedef void (*ndis_notify_fn)(void); /* FWPS_NET_BUFFER_LIST_NOTIFY_FN0 or 1, as `version` says */
struct ndis_tag {
    struct ndis_tag *next;
    uint64_t tag, context;
    uint16_t layer;
    unsigned version;
    ndis_notify_fn notify;
    struct rt_context *owner; /* current while notify runs */
};
enum ndis_tag_result { NDIS_TAG_OK, NDIS_TAG_EXISTS, NDIS_TAG_NONE, NDIS_TAG_NO_MEMORY, NDIS_TAG_NOT_OURS };
enum ndis_tag_result ndis_tag_add(NET_BUFFER_LIST *nbl, const struct ndis_tag *tag);
enum ndis_tag_result ndis_tag_find(NET_BUFFER_LIST *nbl, uint64_t tag, bool take, struct ndis_tag *out);
bool ndis_tags_any(const NET_BUFFER_LIST *nbl);
/* Tells all of a list's tags of an event (FWPS_NET_BUFFER_LIST_*); other: the list that came of it, or NULL.
 */
void ndis_tags_tell(NET_BUFFER_LIST *nbl, unsigned event, NET_BUFFER_LIST *other, uint16_t layer);
void ndis_tag_tell(const struct ndis_tag *t, NET_BUFFER_LIST *nbl, unsigned event, NET_BUFFER_LIST *other,
                   uint16_t layer);
/* The tags of `from` are also `to`'s: what was cloned or duplicated is watched on. */
void ndis_tags_copy(NET_BUFFER_LIST *to, NET_BUFFER_LIST *from);
void ndis_tags_drop(NET_BUFFER_LIST *nbl); /* all of them */

/* ---- headers */
/*
 * FwpsConstructIpHeaderForTransportPacket0's body (NBL-17). family: Windows' AF_INET or AF_INET6; addresses
 * in network order. header_size 0: each NET_BUFFER begins at its transport header, an IP header is put in
 * front; else the one NET_BUFFER begins at an IP header of so many bytes, which is rebuilt. STATUS_SUCCESS,
 * STATUS_INVALID_PARAMETER, STATUS_NO_MEMORY: then nothing has changed.
 */
NTSTATUS ndis_construct_ip_header(NET_BUFFER_LIST *nbl, uint32_t header_size, uint16_t family,
                                  const uint8_t *source, const uint8_t *destination, uint8_t protocol);
/* A header for `length` bytes behind it; from: one to take the rest of its members from, NULL: none. Returns
 * its size, at most 60. */
uint32_t ndis_ip_header(uint8_t out[60], uint8_t version, const uint8_t *source, const uint8_t *destination,
                        uint8_t protocol, size_t length, const uint8_t *from, uint32_t from_size);

/* ---- bytes */
/* Copies up to `size` bytes of the used data from `at` on; how many there were. */
size_t ndis_nb_read(const NET_BUFFER *nb, size_t at, void *out, size_t size);
size_t ndis_nb_write(NET_BUFFER *nb, size_t at, const void *bytes, size_t size);
/* The used data in one piece, if it is; NULL: it is not, or its lengths contradict its MDLs. */
uint8_t *ndis_nb_contiguous(const NET_BUFFER *nb);
/* Are the lengths, offsets and MDLs of all NET_BUFFERs of one list consistent? */
bool ndis_nbl_sound(const NET_BUFFER_LIST *nbl);

#endif

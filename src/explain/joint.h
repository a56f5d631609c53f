/* SPDX-License-Identifier: Apache-2.0 */
/*
 * joint: variables that several fields hang on, and what of them can be true together.
 *
 *   local address   address, bound address, and the types of both
 *   remote address  address and its type
 *   interface       LUID, type, tunnel type, index, sub-index
 *   flags           one a step; its bits follow from the above and from who the programs are (MATCH-21)
 */
#ifndef WEIR_EXPLAIN_JOINT_H
#define WEIR_EXPLAIN_JOINT_H

#include "explain/problem.h"

enum { ADDRESS_SLOT, ADDRESS_BOUND_SLOT, ADDRESS_TYPE_SLOT, ADDRESS_BOUND_TYPE_SLOT };
enum {
    INTERFACE_LUID_SLOT,
    INTERFACE_TYPE_SLOT,
    INTERFACE_TUNNEL_SLOT,
    INTERFACE_INDEX_SLOT,
    INTERFACE_SUB_SLOT
};

enum explain_bound { BOUND_UNKNOWN, BOUND_WILDCARD, BOUND_EXPLICIT };

struct explain_address_ctx {
    char family;
    bool known; /* `address` */
    FWP_VALUE0 address;
    bool other_known; /* the other end's address */
    FWP_VALUE0 other;
    enum explain_bound bound;
    bool may_be_group; /* a multicast or broadcast address is possible here */
};
explain_generate_fn explain_generate_address;

struct explain_interface_ctx {
    bool absent; /* known not to be indicated: EMPTY (MATCH-12) */
    bool may_be_empty;
};
explain_generate_fn explain_generate_interface;

struct explain_flags_ctx {
    UINT32 set;  /* bits known to be set */
    UINT32 free; /* bits that may be either */
};
explain_generate_fn explain_generate_flags;

/* Constraints; `arg` as said. `decides`: the other end's address is known, and not one of the loopback range,
 * so that this is a loopback connection if and only if both are the same. */
#define EXPLAIN_LOCAL_BOUND   1u /* a step of the bind: the bound address counts */
#define EXPLAIN_LOCAL_DECIDES 2u
bool explain_flags_with_local(const struct explain_class *flags, const struct explain_class *local,
                              uint64_t arg);
/* arg: it decides */
bool explain_flags_with_remote(const struct explain_class *flags, const struct explain_class *remote,
                               uint64_t decides);
/* arg: 1 if the other end's program is an ordinary one */
bool explain_flags_with_subject(const struct explain_class *flags, const struct explain_class *subject,
                                uint64_t other_is_plain);
/* The program at the other end. */
bool explain_flags_with_peer(const struct explain_class *flags, const struct explain_class *peer,
                             uint64_t unused);
bool explain_local_with_remote(const struct explain_class *local, const struct explain_class *remote,
                               uint64_t unused);

bool explain_is_loopback(const FWP_VALUE0 *address);
bool explain_same_address(const FWP_VALUE0 *a, const FWP_VALUE0 *b);
/* The TAG_MULTICAST, TAG_BROADCAST, TAG_LOOPBACK of an address. */
uint64_t explain_address_tags(const FWP_VALUE0 *address);

#endif

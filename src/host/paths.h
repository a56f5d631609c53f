/* SPDX-License-Identifier: Apache-2.0 */
/*
 * paths: what the files of the packet paths (paths*.c) share.
 */
#ifndef WEIR_HOST_PATHS_H
#define WEIR_HOST_PATHS_H

#include "host/internal.h"

/* ---- memory (paths_memory.c) */

enum memory_kind {
    MEMORY_SILENCED = 1,     /* a discard layer suppressed the stack's answer to this tuple's packet */
    MEMORY_UNSENT_IN,        /* a packet of this tuple to the host was dropped before it had a flow */
    MEMORY_UNSENT_OUT,       /* ... of the host */
    MEMORY_CLOSED,           /* a TCP connection ended: what comes late belongs to it */
    MEMORY_RESET,            /* ... by RST */
    MEMORY_FRAGMENT_PASSED,  /* an outbound datagram's first seen fragment passed (the key says which) */
    MEMORY_FRAGMENT_BLOCKED, /* ... did not */
};
void memory_put(struct memory *m, const struct host_flow_key *k, enum memory_kind kind, UINT64 now,
                UINT64 until);
bool memory_has(struct memory *m, const struct host_flow_key *k, enum memory_kind kind, UINT64 now);
void memory_drop(struct memory *m, const struct host_flow_key *k, enum memory_kind kind);

#endif

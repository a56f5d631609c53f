/* SPDX-License-Identifier: Apache-2.0 */
/*
 * walks: which layers an operation meets, in the documented order (ORD-01..15).
 */
#ifndef WEIR_EXPLAIN_WALKS_H
#define WEIR_EXPLAIN_WALKS_H

#include "explain/question.h"

/* What part of the operation a layer belongs to; decides what its fields mean. */
enum explain_part_of {
    AT_BIND,    /* a local address is being chosen: bind redirect, resource assignment, listen */
    AT_AUTH,    /* the connection is authorized: connect redirect, connect, accept, flow established */
    AT_PACKET,  /* a packet or data of it */
    AT_FORWARD, /* not ours at all */
};

struct explain_walk_step {
    const char *layer; /* without FWPM_LAYER_ and family */
    const char *stage;
    enum explain_part_of part;
    char direction; /* of the packet or connection: 'o', 'i', 'f'; 0: none */
};

/* *count steps; NULL: this operation is not one that Windows has for the protocol (*error says why). */
const struct explain_walk_step *explain_walk(const struct explain_question *q, size_t *count,
                                             const char **error);

bool explain_has_ports(UINT8 protocol); /* TCP, UDP */
bool explain_is_icmp(UINT8 protocol, char family);
bool explain_icmp_error(const struct explain_question *q); /* ICMP errors never reach ALE (ORD-13) */

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gate's inside: what gate.c (packets between the host's layers, its stack and the wires) and inbox.c (what the host tells,
 * carried out later) know of each other.
 */
#ifndef WEIR_EMBED_GATE_H
#define WEIR_EMBED_GATE_H

#include <stdatomic.h>

#include "embed/machine.h"

struct note;   /* inbox.c's */
struct pieces; /* gate.c's */

struct embed_gate {
    struct stack *stack;
    _Atomic(struct note *) inbox; /* newest first */
    struct note *taken;           /* oldest first: being carried out */
    uint64_t frames;
    const struct host_owner *sending; /* whose packet is with the host */
    struct embed_socket *held;        /* those whose connect waits, newest first */
    struct pieces *pieces;            /* made with the first */
    bool looped;                      /* the datagram that is being sent comes back to members here */
    uint64_t whole;                   /* the frame that completed a datagram last */
    uint8_t *undone;                  /* that datagram between its socket's ends */
    uint32_t undone_size;             /* 0: they are those that it has */
    uint32_t undone_room;             /* bytes there are for it */
    uint32_t cut;                     /* how many packets */
    uint8_t frame[LINK + 65535u];
};

/* gate.c */
void embed_gate_tell(struct embed *e, enum weir_event_kind kind, const char *verdict, const char *note,
                     const struct host_outcome *o, uint32_t interface, bool inbound, const uint8_t *bytes,
                     uint32_t size, bool frame);
/* A packet of a driver's, which may be too long for the wire. */
void embed_gate_send_cut(struct embed *e, struct embed_interface *i, const uint8_t *bytes, uint32_t size);
/* What has come through: to the host's stack, if it is IP. completes: it is the last fragment of a datagram. */
void embed_gate_take(struct embed *e, const struct embed_interface *i, const uint8_t *frame, uint32_t size,
                     bool completes);

/* inbox.c: the host's callbacks that it takes; stack_config.gave_up; what is in it is forgotten. */
void embed_inbox_host(struct host_config *config);
void embed_inbox_gave_up(void *ctx, const struct stack_socket *k);
void embed_inbox_empty(struct embed_gate *g);

#endif

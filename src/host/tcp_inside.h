/* SPDX-License-Identifier: Apache-2.0 */
/* tcp's inside: shared by tcp.c (states) and tcp_segments.c (what is held). No other file includes it. */
#ifndef WEIR_HOST_TCP_INSIDE_H
#define WEIR_HOST_TCP_INSIDE_H

#include "host/internal.h"

/* tcp_half.flags */
#define TCP_HALF_KNOWN     0x01 /* `next` is known */
#define TCP_HALF_SYN       0x02 /* its SYN was seen, with its options */
#define TCP_HALF_SCALED    0x04 /* that SYN had a window scale */
#define TCP_HALF_WINDOW    0x08 /* has advertised a window */
#define TCP_HALF_FIN       0x10 /* its stream ended; next is beyond the FIN */
#define TCP_HALF_FIN_ACKED 0x20 /* ... and the other side said so */
#define TCP_HALF_GUESSED   0x80 /* `next` is what the other side acknowledged; nothing of its own was seen */
#define TCP_HALF_RECORD    0x40 /* half[0]: the flow has a record of held segments */

/* Sequence numbers wrap around: a is before b if the way to b is the shorter one. */
static inline bool seq_before(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) < 0;
}

/* A piece of a stream: where it stands, what of it was captured, and what ends it. */
struct tcp_piece {
    uint32_t seq;
    const uint8_t *bytes;
    uint32_t size;   /* captured */
    uint32_t length; /* as sent: beyond `size` the capture cut it off */
    bool fin;
    bool doubtful; /* the receiver was not bound to take it: only an acknowledgement shows that it did */
};

/* The way on for what a half's `next` reaches; dir 0: sent by this host. One piece a call: *piece's bytes are
 * good until the next call here, *lost: so many bytes before it are missing (there may be no piece: length 0,
 * no fin). Moves half[dir].next over both, but not over a FIN. False: nothing. */
bool tcp_held_next(struct lane *l, struct host_flow *f, int dir, struct tcp_piece *piece, uint32_t *lost);
/* Would tcp_held_next() give something? */
bool tcp_held_ready(struct lane *l, const struct host_flow *f, int dir);
/* Keeps what of the piece is not held yet. Bytes that are held stay as they are, but for those of a piece that is next for
 * the receiver. */
void tcp_held_add(struct lane *l, struct host_flow *f, int dir, const struct tcp_piece *piece);
/* In order come `size` bytes from seq on: held ones that are others are counted (bytes_differ). */
void tcp_held_compare(struct lane *l, const struct host_flow *f, int dir, uint32_t seq, const uint8_t *bytes,
                      uint32_t size);
/* Forgets doubtful bytes: what comes now takes their place. */
void tcp_held_undoubt(struct lane *l, struct host_flow *f, int dir, uint32_t from, uint32_t to);
/* The other side acknowledged everything before `ack`: it has arrived, seen or not. A hole is given up when
 * something that was acknowledged stands behind it: until then its bytes may still come, for a capture often
 * has an acknowledgement before what it acknowledges. */
void tcp_held_prove(struct lane *l, struct host_flow *f, int dir, uint32_t ack);
/* Is it proved up to `to`? */
bool tcp_held_proved(struct lane *l, const struct host_flow *f, int dir, uint32_t to);
/* The direction's stream is at its end: nothing of it waits any more. */
void tcp_held_end(struct lane *l, struct host_flow *f, int dir);
/* Bytes right before half[dir].next that the capture cut off: told with the next piece. */
void tcp_held_cut(struct lane *l, struct host_flow *f, int dir, uint32_t size);

#endif

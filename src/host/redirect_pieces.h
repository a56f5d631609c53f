/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was decided about datagrams that come in fragments: the first one has the ports by which a translation is found, and
 * all of them are translated alike, in whatever order they come. A bounded memory, for as long as fragments may take. The
 * lane's worker uses it, without a lock.
 */
#ifndef WEIR_HOST_REDIRECT_PIECES_H
#define WEIR_HOST_REDIRECT_PIECES_H

#include "host/redirect_packet.h"

struct redirect_piece {
    union wire_addr source, destination; /* as it came */
    UINT32 id;
    uint8_t version, protocol; /* IPv6: 0, the identification alone says it */
    bool translated;           /* `to` is meant; else it stays as it is */
    bool begun;                /* its first fragment has been seen */
    UINT64 until_ns;           /* 0: free */
    struct redirect_tuple to;
};
struct redirect_pieces;

/* Of the fragment p; NULL: nothing was decided. Valid until the next redirect_piece_new(). */
struct redirect_piece *redirect_piece_of(struct redirect_pieces *m, const struct wire_packet *p,
                                         UINT64 now_ns);
/* Undecided: not translated, not begun. *m is made with the first. NULL: no memory. */
struct redirect_piece *redirect_piece_new(struct redirect_pieces **m, const struct wire_packet *p,
                                          UINT64 now_ns);
/* Are both fragments of one datagram? */
bool redirect_piece_same(const struct wire_packet *a, const struct wire_packet *b);

#endif

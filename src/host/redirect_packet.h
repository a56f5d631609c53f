/* SPDX-License-Identifier: Apache-2.0 */
/* Packets with other ends: what redirect_packet.c writes, into room of its caller's. No state, no lock. */
#ifndef WEIR_HOST_REDIRECT_PACKET_H
#define WEIR_HOST_REDIRECT_PACKET_H

#include "host/internal.h"

struct redirect_tuple {
    union wire_addr source, destination;
    UINT16 source_port, destination_port; /* of TCP and UDP; else not looked at */
};

/* Room for one packet, and how it reads. Zeroed: none yet. */
struct redirect_written {
    struct wire_packet packet;
    uint8_t *bytes;
    size_t room;
};
void redirect_written_free(struct redirect_written *out);

/* The packet between other ends, or a fragment of it: of one without ports the addresses alone. It may stand in `out`
 * already. False: no memory. */
bool redirect_write(struct redirect_written *out, const struct wire_packet *p,
                    const struct redirect_tuple *to);
/* An ICMP error that quotes a packet, which was between other ends; its own ends are translated as the quoted ones
 * are, where they are the same addresses. */
bool redirect_write_error(struct redirect_written *out, const struct wire_packet *error,
                          const struct wire_packet *quoted, const struct redirect_tuple *to);

#endif

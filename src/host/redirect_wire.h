/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of what was redirected, as paths and host.c see them; redirect_frame.c tells the design. */
#ifndef WEIR_HOST_REDIRECT_WIRE_H
#define WEIR_HOST_REDIRECT_WIRE_H

#include "host/ale_inside.h"

struct host_frame;
struct wire_packet;

/* The frame's packet as the layers are to see it: its own, or one that is good until the next frame. Only where
 * redirect_wire_is() says that there may be any. Lane not held. */
const struct wire_packet *redirect_wire_frame(struct lane *l, const struct host_frame *f);
bool redirect_wire_is(const struct lane *l);
/* The bytes of the packet that the frame being given was made into; NULL: it is as it came. */
const uint8_t *redirect_wire_bytes(const struct lane *l);

/* Datagrams that this host sent in fragments. The fragment p as it came, if it was translated; else p. */
const struct wire_packet *redirect_wire_came(const struct lane *l, const struct wire_packet *p);
/* What was put together of fragments as they came: as `piece`, which is one of them, was translated. Good until the next
 * frame. */
const struct wire_packet *redirect_wire_whole(struct lane *l, const struct wire_packet *piece,
                                              const struct wire_packet *whole);
/* The datagram has gone its way. Was it redirected there, s, the scene of a fragment of it, is as well. */
void redirect_wire_turned(struct scene *s, const struct scene *whole);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of what was redirected, as paths and host.c see them; redirect_wire.c tells the design. */
#ifndef WEIR_HOST_REDIRECT_WIRE_H
#define WEIR_HOST_REDIRECT_WIRE_H

#include "host/ale_inside.h"

struct wire_packet;

/* The frame's packet as the layers are to see it: p, or one that is good until the next frame. Only where
 * redirect_wire_is() says that there may be any. Lane not held. */
const struct wire_packet *redirect_wire_frame(struct lane *l, const struct wire_packet *p);
bool redirect_wire_is(const struct lane *l);
/* The bytes of the packet that the frame being given was made into; NULL: it is as it came. */
const uint8_t *redirect_wire_bytes(const struct lane *l);

#endif

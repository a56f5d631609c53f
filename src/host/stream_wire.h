/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream_wire: what the paths know of it: a segment of a flow that has a pipeline goes by here, where segments are the
 * streams' source (HOST_STREAM_SEGMENTS). See stream_wire.c.
 */
#ifndef WEIR_HOST_STREAM_WIRE_H
#define WEIR_HOST_STREAM_WIRE_H

#include "host/stream.h"

struct stream_wire; /* a flow's */

/*
 * The scene's segment, which TCP has seen. next: where each direction stood before it, where that is known. In this order:
 * wire_see(), each piece that the segment set in order through wire_feed(), wire_segment() if nobody has dropped it, and
 * wire_done() in any case. NULL: no memory, or nothing is rewritten here (loopback): the pipeline is fed, and the segment
 * goes as it is; the others take NULL. It is good until wire_done(), whatever becomes of the stream.
 */
struct stream_wire *wire_see(struct scene *s, struct stream *st, const uint32_t next[2], const bool known[2]);
void wire_feed(struct scene *s, struct stream *st, struct stream_wire *w, int dir, const uint8_t *bytes,
               uint32_t size, uint32_t lost, UINT32 flags, struct stream_fed *out);
/* False: it goes as it came. True: others have been sent in its place, or none. */
bool wire_segment(struct scene *s, struct stream_wire *w);
void wire_done(struct stream_wire *w);
UINT64 wire_dropped_by(
    const struct stream_wire *w); /* the filter whose callout dropped the connection; 0: unknown */
bool wire_is_on(const struct stream_wire *w);
/* Both directions have ended, also behind the pipeline. If they have not: it will end the flow itself (settled). */
bool wire_may_end(struct stream_wire *w);
#endif

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
 * A segment on its way through the pipeline, on the stack of who feeds it. A flow that no stage may edit (stream_may_edit())
 * has no wire until something of it does not come out as it went in all the same (an inspection callout that asks for more,
 * defers, injects): then it is made as it would stand now, of this.
 */
struct wire_pass {
    struct wire_pass *outer; /* streams.pass, while a feed is under way */
    struct scene *s;
    struct stream *st;
    uint32_t next[2]; /* where each direction stood before the segment, */
    bool known[2];    /* ... where that is known */
    bool lazy;        /* there is no wire, and may be one */
    bool end, fin;    /* of the feed: as below */
    bool ended[2];    /* an end that came out as it went in */
    uint32_t gone[2]; /* so much of the segment's earlier pieces did */
    /* the feed under way */
    int dir;
    const uint8_t *bytes;
    uint32_t size, lost, passed; /* passed: of `size` */
};

/*
 * The scene's segment, which TCP has seen; s, st, next and known of *pass are set. In this order: wire_see(), each piece
 * that the segment set in order through wire_feed(), wire_segment() if nobody has dropped it, and wire_done() in any case.
 * NULL: nothing is rewritten yet (or ever: loopback; or there is no memory): the pipeline is fed, and the segment goes as
 * it is; the others take NULL. It is good until wire_done(), whatever becomes of the stream.
 */
struct stream_wire *wire_see(struct wire_pass *pass);
/* Has the flow no wire, and no stage that may edit it? Then in place of all this, for a segment that brings nothing for the
 * pipeline: wire_note(). */
bool wire_is_none(struct stream *st);
/* A segment that goes as it came, of such a flow. */
void wire_note(struct scene *s, struct stream *st);
/* *w may be made by it. */
void wire_feed(struct wire_pass *pass, struct stream_wire **w, int dir, const uint8_t *bytes, uint32_t size,
               uint32_t lost, UINT32 flags, struct stream_fed *out);
/* False: it goes as it came. True: others have been sent in its place, or none. */
bool wire_segment_slow(struct scene *s, struct stream_wire *w);
static inline bool wire_segment(struct scene *s, struct stream_wire *w)
{
    return w != NULL && wire_segment_slow(s, w);
}
void wire_done(struct stream_wire *w);
UINT64 wire_dropped_by(
    const struct stream_wire *w); /* the filter whose callout dropped the connection; 0: unknown */
bool wire_is_on(const struct stream_wire *w);
/* Both directions have ended, also behind the pipeline. If they have not: it will end the flow itself (settled). */
bool wire_may_end(struct stream_wire *w);
#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rewrite: a TCP connection as it stands on the wire after its bytes were edited between the two ends.
 *
 *   segments of the source --> [host: set in order] --> pipeline (stream.c) --> elements --> the rewritten segments
 *            |                                                                     ^
 *            +--- headers: numbers, acknowledgements, windows, options ------------+
 *
 * It knows no host and no pipeline: it is told of each segment, of what came out of the pipeline for it, and gives out
 * packets. Two modes:
 *
 *   OFF  every segment goes as it came, with its own bytes. Only the newest header of each direction is kept, and how
 *        far its numbers are.
 *   ON   for good, from the first segment on that is not the same behind the pipeline. No original goes any more;
 *        others are made in its place, or none.
 *
 * Positions are 64 bits, so that they do not wrap; their low half is the sequence number. Each direction has two
 * spaces: `source`, as the capture counts, and `sent`, as the packets given out do; up to where the rewriting began
 * they are the same. A map between them has a mark only where bytes were taken out or put in (rewrite_map.c), so it
 * costs nothing for a long unedited stretch, and is forgotten below what is acknowledged.
 *
 *   files: rewrite.c         which packets go out, and when
 *          rewrite_send.c    what they say; bytes on their way
 *          rewrite_map.c     positions; bytes that are kept to be sent, or to be sent again
 *          rewrite_packet.c  one packet: headers, options, checksums
 *
 * What a made connection promises: bytes in the order in which they came out of the pipeline, each position always with
 * the same byte; no acknowledgement of what was not sent; no right edge of a window that retreats; no segment larger
 * than both ends' MSS. Nothing is sent by a timer of its own: whatever goes out goes out because a segment, or
 * something of a pipeline, came in.
 *
 * Not locked: its user sees to it that one thread at a time is here. `send` may come back with elements
 * (rewrite_element(), rewrite_settle()), which are then only noted and go out before the outer call returns.
 */
#ifndef WEIR_HOST_REWRITE_H
#define WEIR_HOST_REWRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/wire.h"

struct rewrite;

/* A packet to be sent, from its link header on. */
struct rewrite_sent {
    int dir;
    const uint8_t *bytes; /* valid during the call */
    uint32_t size;
    uint32_t ip_at; /* the link header's size; 0: there is none */
    uint16_t link_type;
    uint32_t data; /* bytes of the stream that it carries */
};

struct rewrite_counts {
    uint64_t made;       /* packets given out */
    uint64_t bytes;      /* of the streams, first time */
    uint64_t again;      /* packets that repeat what was sent */
    uint64_t swallowed;  /* segments that nothing was sent for */
    uint64_t evicted;    /* bytes that were sent and could not be kept until they were acknowledged */
    uint64_t unwindowed; /* bytes that were sent beyond the window, for want of room */
    uint64_t late;       /* bytes that came behind a FIN or a reset: nowhere to go */
    uint64_t forgotten;  /* marks of the map, for want of room */
    uint64_t
        early; /* segments with data whose sender had bytes that were kept then: it could not have, live */
};

struct rewrite_config {
    void (*send)(void *ctx, const struct rewrite_sent *p);
    void *ctx;
    uint32_t keep;                 /* bytes a direction, sent and unacknowledged or unsent; 0: 4 MiB */
    uint32_t marks;                /* of the map, a direction; 0: 4,096 */
    struct rewrite_counts *counts; /* of all connections; outlives this */
};

/* OFF. NULL: no memory. */
struct rewrite *rewrite_create(const struct rewrite_config *config);
/* Fetches what the next segment's calls will touch. */
void rewrite_fetch(const struct rewrite *r);
void rewrite_destroy(struct rewrite *r); /* NULL: nothing. From within `send`: when that returns */
bool rewrite_is_on(const struct rewrite *r);
size_t rewrite_memory(const struct rewrite *r);

/* What of its SYN's options a direction begins with. */
struct rewrite_syn {
    bool seen; /* the SYN was; the rest is of it */
    bool scaled;
    uint8_t scale;
    uint16_t mss;
};

/*
 * A connection that is not followed yet, and may have to be from its middle on: what its segments have said, a direction;
 * and whether its end has come out, as it went in, which its owner keeps here and is rewrite_passed().
 * Zeroed at first. rewrite_note(): one more that goes as it came. rewrite_resume(): OFF, and as if it had seen them all, but
 * for the newest headers; behind rewrite_place() and rewrite_see().
 */
struct rewrite_past {
    struct rewrite_syn syn;
    bool said, known; /* known: `top` is */
    uint16_t window;
    bool ended;
    uint32_t top, ack, edge; /* as in struct rewrite_half, their low halves */
};
void rewrite_note(struct rewrite_past past[2], int dir, const struct wire_packet *p);
void rewrite_resume(struct rewrite *r, const struct rewrite_past past[2]);
/* So much of the source has come out as it went in, without a feed: bytes, an end. The direction's place is known. */
void rewrite_passed(struct rewrite *r, int dir, uint32_t size, bool end);

/* Where a direction stands: the next byte of the source that the pipeline will be given. Nothing if it is known. */
void rewrite_place(struct rewrite *r, int dir, uint32_t seq);

/*
 * A segment of the source. In this order, for each: see, for each piece that it set in order (of either direction)
 * feed, its elements, fed; then segment.
 */
void rewrite_see(struct rewrite *r, int dir, const struct wire_packet *p);
/* The pipeline is about to be given these bytes (kept until rewrite_fed()); lost: so many before them that nobody saw. */
void rewrite_feed(struct rewrite *r, int dir, const uint8_t *bytes, uint32_t size, uint32_t lost, bool fin);
/* What came out of the pipeline. span: bytes of the source that it stands for; end: a FIN behind it. */
struct rewrite_element {
    const uint8_t *bytes;
    uint32_t size, span;
    bool same; /* the source's own bytes */
    bool lost; /* bytes that nobody saw: span of them, size 0 */
    bool end;
};
void rewrite_element(struct rewrite *r, int dir, const struct rewrite_element *e);
void rewrite_fed(struct rewrite *r, int dir);
/* From this segment on nothing goes as it came: it has something that the pipeline has not been shown yet. Between see
 * and segment. */
void rewrite_withhold(struct rewrite *r);
/* All of it was fed. False: OFF, it goes as it came. True: others were sent in its place, or none. */
bool rewrite_segment(struct rewrite *r, int dir, const struct wire_packet *p);
/* ... or it goes nowhere: it was seen, and others (policy) have dropped it. */
void rewrite_abandon(struct rewrite *r);

/* Is some of it ahead of what the pipeline has been given? */
bool rewrite_is_ahead(const struct rewrite *r, int dir, const struct wire_packet *p);
/* Of a direction the source has ended, and that has not come out of the pipeline. */
bool rewrite_keeps_end(const struct rewrite *r);
/* ... or the last that came out is less than what went in. */
bool rewrite_misses(const struct rewrite *r);

/* Elements came that no segment brought, and that is all of them for now. */
void rewrite_settle(struct rewrite *r);
/* All that came out of the pipeline goes now, whatever windows say. */
void rewrite_flush(struct rewrite *r);
/* Resets for both ends. Nothing goes any more after that. */
void rewrite_reset(struct rewrite *r);
/* Both directions' ends have been sent, and all before them. */
bool rewrite_is_over(const struct rewrite *r);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* rewrite's inside: shared by rewrite.c (what is sent when), rewrite_map.c (positions, bytes), rewrite_packet.c (one
 * packet). No other file includes it. */
#ifndef WEIR_HOST_REWRITE_INSIDE_H
#define WEIR_HOST_REWRITE_INSIDE_H

#include "host/rewrite.h"

/* Bytes of the sent space; between two chunks may be a hole that nobody saw. */
struct rewrite_chunk {
    struct rewrite_chunk *next;
    uint64_t at;
    uint32_t size, room;
    uint8_t bytes[];
};

/*
 * From (source, sent) on both spaces go side by side, as far as the next mark allows: a position of the source that
 * would come to lie beyond its `sent` lies there. from: where in the source the edit began that ends at this mark;
 * from == source: bytes were put in, and none taken out.
 */
struct rewrite_mark {
    uint64_t source, sent, from;
};

#define REWRITE_LINK   64u /* a longer link header is left out, */
#define REWRITE_IP     80u /* and IPv6 extension headers beyond that */
#define REWRITE_TCP    60u
#define REWRITE_HEADER (REWRITE_LINK + REWRITE_IP + REWRITE_TCP)

/* The newest header of a direction. */
struct rewrite_header {
    uint8_t version; /* 0: none was seen */
    uint8_t link, ip, tcp;
    uint16_t link_type;
    uint16_t id_behind; /* IPv4: packets made beyond those of the source */
    uint8_t bytes[REWRITE_HEADER];
};

/* One direction: what its sender sends, and what it says of what it has received (of the other direction). */
struct rewrite_half {
    bool known;      /* `in` ... are */
    bool guessed;    /* ... only from what the other end acknowledges */
    bool blank;      /* ... not at all: nothing was seen of it when the rewriting began */
    bool source_fin; /* the pipeline was given the end, */
    bool fin;        /* it came out of it: its position is out - 1 */
    bool said;       /* it has acknowledged something */
    bool force;      /* beyond the window */
    struct rewrite_syn syn;
    uint16_t window;  /* as it said last */
    uint32_t largest; /* segment seen, if no SYN was */
    struct rewrite_header header;

    /* of the source */
    uint64_t in;     /* came out of the pipeline */
    uint64_t in_was; /* ... before the segment that is worked on */
    uint64_t top;    /* beyond all that was seen */
    uint64_t ack;    /* it has acknowledged (of the other direction) */
    uint64_t begun;  /* ON: here both spaces part */
    /* of what is sent */
    uint64_t out;   /* came out of the pipeline */
    uint64_t next;  /* was sent */
    uint64_t acked; /* it has acknowledged, in what was sent of the other direction */
    uint64_t edge;  /* ... and allowed up to here */
    uint16_t shown; /* the window in its last packet */

    /* a feed, while it is under way and OFF */
    const uint8_t *feed;
    uint32_t feed_size, feed_passed;
    bool feed_fin, feed_end, feeding;

    struct rewrite_mark base;   /* the first mark, */
    struct rewrite_mark *marks; /* and the others */
    uint32_t mark_count, mark_room;
    bool open; /* the last mark is where the edges are now: an edit that goes on moves it */
    struct rewrite_chunk *first, *last,
        *cursor; /* cursor: holds `next`, or lies before it; NULL: look from first */
    size_t kept;
};

struct rewrite {
    struct rewrite_config config;
    struct rewrite_half half[2];
    bool on, dead;
    bool busy, once_more, doomed; /* within a call that sends */
    /* the segment that is worked on */
    const struct wire_packet *frame; /* NULL: none is */
    int frame_dir;
    bool frame_used; /* a packet took its IPv4 identification */
    uint8_t *room;
    uint32_t room_size;
    uint32_t packets[2]; /* sent in this call */
};

/* ---- rewrite_map.c */

static inline uint64_t rewrite_position(uint32_t seq, uint64_t near)
{
    return near + (uint64_t)(int64_t)(int32_t)(seq - (uint32_t)near);
}

/* Both spaces go side by side from (in, out) on. */
void map_begin(struct rewrite_half *h);
void map_free(struct rewrite_half *h);
/* Side by side. */
void map_go(struct rewrite_half *h, uint64_t size);
/* `span` of the source has become `size` bytes. */
void map_edit(struct rewrite *r, struct rewrite_half *h, uint32_t span, uint32_t size);
/* Where bytes from this source position on begin, with what was put in before them. */
uint64_t map_start(const struct rewrite_half *h, uint64_t source);
/* Where all before it ends: what an acknowledgement of it acknowledges. */
uint64_t map_end(const struct rewrite_half *h, uint64_t source);
/* Everything before both is acknowledged. */
void map_forget(struct rewrite_half *h, uint64_t source, uint64_t sent);

/* At h->out, before it moves on. No memory: they become a hole (counted as evicted). */
void bytes_put(struct rewrite *r, struct rewrite_half *h, const uint8_t *bytes, uint32_t size);
void bytes_free(struct rewrite_half *h);
/* How many stand in one piece from `at` on, at most `most`; 0: none, *next is where there are some again (UINT64_MAX:
 * nowhere). */
uint32_t bytes_at(struct rewrite_half *h, uint64_t at, uint32_t most, uint64_t *next);
void bytes_copy(struct rewrite_half *h, uint64_t at, uint8_t *to, uint32_t size);
void bytes_forget(struct rewrite_half *h, uint64_t before);

/* ---- rewrite_packet.c */

void header_keep(struct rewrite_header *h, const struct wire_packet *p);
void header_syn(const struct wire_packet *p, struct rewrite_syn *out);
struct packet_wish {
    uint64_t seq;
    uint64_t ack;
    uint16_t window, urgent; /* urgent: 0: none */
    uint8_t flags;
    uint32_t size;
    const uint8_t *bytes; /* NULL: kept ones, from seq on */
};
/* Bytes of TCP options in this direction's segments. */
uint32_t packet_options(const struct rewrite *r, int dir);
/* Makes it and gives it out. False: no memory, or no header is known. */
bool packet_send(struct rewrite *r, int dir, const struct packet_wish *w);

/* ---- rewrite_send.c */

uint8_t send_scale(const struct rewrite *r, int dir);
/* All that this direction's sender has acknowledged, as far as it was sent; the window that goes with it. */
uint64_t send_ack(const struct rewrite *r, int dir);
uint16_t send_window(const struct rewrite *r, int dir, uint64_t ack);
/* Those of the segment's flags that its packets share; whether its last one is pushed. */
uint8_t send_flags(const struct rewrite *r, int dir);
bool send_pushes(const struct rewrite *r, int dir);
/* One packet, which says the above. False: none went. */
bool send_one(struct rewrite *r, int dir, struct packet_wish *w);
/* Bytes [at, to) of what is or was sent, and the end behind them if it is there. Up to `limit`. */
void send_range(struct rewrite *r, int dir, uint64_t at, uint64_t to, uint64_t limit, bool again);
/* What came out of the pipeline and fits into the window. */
void send_new(struct rewrite *r, int dir);
/* Acknowledgements that wait for what they acknowledge to be sent, and what they let go. */
void send_settle_up(struct rewrite *r);
/* Nobody asks any more for what is acknowledged. */
void send_forget(struct rewrite *r);

#endif

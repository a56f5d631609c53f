/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events as they are kept: what watch.c (who writes them down), event.c (who reads them: text, matching) and expect.c
 * know of each other. A record holds numbers and addresses; words are made of it when somebody looks.
 */
#ifndef WEIR_EMBED_WATCH_H
#define WEIR_EMBED_WATCH_H

#include "embed/machine.h"

struct embed_record {
    uint64_t number; /* from 1; 0: none */
    uint64_t time_ns;
    uint64_t filter_id, flow_id, process_id;
    const char *layer;   /* without FWPM_LAYER_; NULL */
    const char *verdict; /* NULL */
    const char *note;    /* what else there is to say; NULL */
    char *text;          /* the record's own; NULL: made when looked at */
    union wire_addr local, remote;
    uint16_t local_port, remote_port;
    uint8_t kind;    /* enum weir_event_kind */
    uint8_t version; /* of the addresses; 0: there are none */
    uint8_t protocol;
    uint8_t tcp_flags;
    bool inbound, has_way, reauthorization, has_ports, empty;
    bool frame;               /* no IP: local.v6, remote.v6 begin with MAC addresses */
    uint16_t ether_type;      /* frame's; 0: none (802.3 length) */
    uint32_t interface, size; /* of a packet */
};

#define EMBED_LINE 512 /* a record's text is no longer */

/* Records that are kept and later than `since`, oldest first: fn returns false to stop, and calls nothing that records
 * (real time: a lock is held). */
void embed_records_each(struct embed *e, uint64_t since, bool (*fn)(void *ctx, const struct embed_record *r),
                        void *ctx);
/* The first that is kept with a number above *number, which becomes its own: a copy, its text in EMBED_LINE bytes. */
bool embed_records_next(struct embed *e, uint64_t *number, struct embed_record *out, char *text);
uint64_t embed_records_last(struct embed *e); /* its number; 0: none yet */
uint64_t embed_records_lost(struct embed *e); /* no longer kept */

/* One line of at most EMBED_LINE bytes. */
const char *embed_record_text(struct embed *e, const struct embed_record *r, char *line);
/* "pended", for messages. */
const char *embed_event_kind_name(enum weir_event_kind kind);

/* A match, read once. */
enum embed_member {
    MEMBER_KIND = 1 << 0,
    MEMBER_LAYER = 1 << 1,
    MEMBER_VERDICT = 1 << 2,
    MEMBER_PROTOCOL = 1 << 3,
    MEMBER_LOCAL = 1 << 4,
    MEMBER_REMOTE = 1 << 5,
    MEMBER_FILTER = 1 << 6,
    MEMBER_FLOW = 1 << 7,
    MEMBER_PROCESS = 1 << 8,
    MEMBER_CONTAINS = 1 << 9,
};
struct embed_matcher {
    const struct weir_match *is;
    unsigned asked; /* enum embed_member: those that matter */
    enum weir_event_kind kind;
    struct embed_end local, remote;
};
/* False: what was wrong with it was told as a misuse of `call`. */
bool embed_matcher_make(struct embed *e, const char *call, const struct weir_match *match,
                        struct embed_matcher *out);
/* Members that differ; 0: it is one. Later than match->since is the caller's to see. */
unsigned embed_matcher_differs(struct embed *e, const struct embed_matcher *m, const struct embed_record *r);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay's inside: what its files know of each other.
 *
 *   replay.c         the run: window filled, frames given to the host, fates carried out
 *   replay_world.c   the run with drivers: time goes on, frames wait (replay_delay.h), drivers' packets
 *   replay_emit.c    what is written out of turn: in the order of time, with a link header
 *   replay_window.c  frames read and parsed ahead; what they say of frames before them (who refused)
 *   replay_local.c   whose addresses are this host's, and on which interface
 */
#ifndef WEIR_DATAPATH_REPLAY_INSIDE_H
#define WEIR_DATAPATH_REPLAY_INSIDE_H

#include "datapath/replay.h"
#include "datapath/replay_delay.h"

/* ---- the window (replay_window.c) ---------------------------------------------------------------------- */

#define WINDOW        CAPTURE_WINDOW
#define WINDOW_CHAINS 4096
#define WINDOW_PORTS  4096

/* A local port that refused. */
struct refusal {
    union wire_addr address;
    uint16_t port;
    uint8_t version, protocol;
    uint64_t refused;  /* the frame that said so, counted from 1; 0: a free place */
    uint64_t accepted; /* the last frame that shows somebody there, since then */
};

enum answer_seen { ANSWER_NONE, ANSWER_REFUSED };

/*
 * Frames [tail, head), counted from 0, stand at n % WINDOW, of a long capture all but a batch (replay.c) of WINDOW; those below
 * `learned` have been looked at. Frames that ask for somebody (SYN, datagrams to this host) and those that show somebody (SYN-ACK) are chained by
 * their tuple, newest first: chains[] holds frame numbers from 1, before[] the one before in the chain.
 */
struct window {
    struct capture *capture;
    uint64_t tail, head, learned;
    bool ended;
    int result;                 /* of the capture, when it ended */
    struct capture_error error; /* result < 0 */
    uint64_t chains[WINDOW_CHAINS];
    struct refusal ports[WINDOW_PORTS];
    bool refusals; /* there was one at all */
    uint64_t before[WINDOW];
    uint8_t answers[WINDOW]; /* enum answer_seen */
    struct host_frame frames[WINDOW];
    _Alignas(64) struct wire_packet wires[WINDOW]; /* two cache lines each */
    struct capture_packet packets[WINDOW];
};

/* Reads a frame, if there is one; the window must not be full. */
void window_read(struct window *w);
/* Looks at the frames read since: who is refused. Needs to know who is local. */
void window_learn(struct window *w, const struct host *h);
/* Is somebody waiting at this local port, for the frame at the window's tail? */
bool window_listening(const struct window *w, uint8_t version, uint8_t protocol, const union wire_addr *local,
                      uint16_t port);

/* The frame's way as the capture says. */
enum host_way frame_way(const struct capture_packet *p, const struct wire_packet *w);

/* ---- locality (replay_local.c) ------------------------------------------------------------------------- */

#define LOCAL_LOOK_AT 10000 /* frames, at most; a pipe: the window's */
#define LOCAL_MAX     256   /* addresses found; those beyond are not local */
#define LOCAL_A_MAC   8     /* a MAC with more addresses is a router's */

/* What one IP frame says about who is where. */
struct sighting {
    uint32_t interface;
    uint8_t version;
    uint8_t way;       /* enum host_way */
    bool group;        /* the link sent it to several */
    bool has_mac;      /* both; not zeros */
    uint64_t from, to; /* MACs */
    union wire_addr source, destination;
};
/* False: not IP. */
bool sighting_of(const struct capture_packet *p, const struct wire_packet *w, struct sighting *out);

struct local {
    struct replay_local is; /* bits as they are: 0 is every address */
    uint32_t interface;     /* the first on which it was seen as an end; 0 if on none */
};

struct locals {
    struct local *list;
    size_t count, room;
    bool guessed;
    uint64_t guessed_in, guessed_of;
};

/* Room for so many. 0 or -ENOMEM. */
int locals_create(size_t room, struct locals *l);
void locals_destroy(struct locals *l);
/* auto. c: whose interfaces' addresses count. 0 or -ENOMEM. */
int locals_find(const struct replay_config *config, const struct capture *c, const struct sighting *seen,
                size_t count, struct locals *out);
/* Where the addresses of --local were seen. */
void locals_place(const struct sighting *seen, size_t count, struct locals *l);
/* The MAC of the host's interface, from frames of local addresses; false: nothing says it. */
bool locals_mac(const struct locals *l, const struct sighting *seen, size_t count, uint32_t interface,
                uint8_t mac[6]);

/* ---- the run (replay.c) ---------------------------------------------------------------------------------
 */

struct world;

struct replay_run {
    const struct replay_config *config;
    struct capture *capture;
    struct capture_writer *writer;
    struct host *host;
    struct window *window;
    struct locals locals;
    struct sighting *seen;
    size_t seen_count;
    uint32_t interfaces;                           /* of the capture that the host knows */
    size_t changes;                                /* done */
    struct world *world;                           /* NULL: no drivers, no time of its own */
    uint64_t fates[HOST_FATES], notes[HOST_NOTES]; /* of frames that were told; with drivers */
    struct replay_result *out;
    struct capture_error *error;
};

/* Policy and what else comes at its time. */
int run_changes(struct replay_run *r, uint64_t now_ns);
/* The frame's fate, once: written if it is to be (unless `already`), counted, told. 0 or -errno, with the
 * error. */
int run_tell(struct replay_run *r, const struct capture_packet *p, const struct wire_packet *w,
             const struct host_outcome *o, bool already);
int run_write(struct replay_run *r, const struct capture_packet *p, const char *comment);

/* ---- drivers (replay_world.c) ---------------------------------------------------------------------------
 */

/* In this order. enter: before the host is made. start: it has its addresses. end: after the last frame, also
 * where the run broke off. leave: the host is gone. */
int world_enter(struct replay_run *r);
int world_start(struct replay_run *r);
int world_frame(struct replay_run *r); /* the one at the window's tail */
void world_let(struct replay_run *r);  /* the host is not held any more; frames hold it again */
int world_end(struct replay_run *r);
void world_leave(struct replay_run *r);
/* The host's callbacks, its ctx is the run. */
void world_host(struct host_config *config);

/* ---- what is written out of turn (replay_emit.c) --------------------------------------------------------
 */

/* Packets with their time, until nothing earlier can come. */
struct emits;
int emits_create(struct emits **out);
void emits_destroy(struct emits *e);
/* Takes a copy; p->time_ns + p->delay_ns is its time. 0 or -ENOMEM. */
int emits_add(struct emits *e, const struct capture_packet *p);
/* The earliest that is not later; NULL: none. Valid until the next call. */
const struct capture_packet *emits_next(struct emits *e, uint64_t until_ns);
/* Is there one at all? */
bool emits_any(const struct emits *e);

/* MACs as frames of an interface have shown them last, by way: [0] in, [1] out; of [0] destination, [1]
 * source. */
struct emit_macs {
    uint8_t mac[2][2][6];
};
#define EMIT_LINK 64 /* a made header is never longer */
/* A link header for the packet; its size. from: the header of the frame it stems from, where that fits; NULL.
 */
uint32_t emit_link(uint16_t link_type, const struct host_emitted *e, const struct emit_macs *macs,
                   uint8_t out[EMIT_LINK]);

#endif

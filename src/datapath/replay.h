/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay: a capture played through a host. Part of the datapath room's door.
 *
 *   capture --look-ahead window--> learn: who is local, who listens, who answers
 *                 |
 *                 +--> host_frame() --> outcome --> writer (passed, and what the stack alone would discard)
 *                                             +--> tally (report)
 *
 * The window (1,024 frames, bounded) is read ahead: a port that answers a SYN with RST, or a datagram with
 * "port unreachable", within it is closed; all other local ports are taken to have somebody waiting. The same
 * window lets the host fetch memory ahead.
 *
 * With drivers the replay is the first fiber of a simulated world: time goes on between frames, and decisions
 * may take some. replay_delay.c says who waits for whom.
 */
#ifndef WEIR_DATAPATH_REPLAY_H
#define WEIR_DATAPATH_REPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "datapath/capture.h"
#include "host/host.h"
#include "host/host_inject.h"
#include "host/host_stream.h"
#include "rt/rt.h"

/* What happens at a time of the capture (--at): a policy that comes in force; or something that the host is
 * told, as that flows are to be reauthorized. One of the two functions is NULL. */
struct replay_change {
    uint64_t time_ns;
    int (*apply)(void *ctx, struct capture_error *error); /* 0 or negative errno */
    void *ctx;
    void (*tell)(void *ctx, struct host *h);
};

/* Drivers. All calls are made in the world, by its first fiber. */
struct replay_run;
struct replay_drivers {
    /* Loads and starts them: there are the host, its interfaces and addresses, and no frame has come. 0, or
     * negative errno and *error. */
    int (*start)(void *ctx, struct host *h, struct capture_error *error);
    /* Unloads them; all frames have been done. Called if start was, also where it failed. Before host and
     * world go. */
    void (*stop)(void *ctx, struct host *h);
    /* So many packets have waited until the end, drivers are about to be unloaded: to say who they wait for.
     * May be NULL. */
    void (*held)(void *ctx, uint64_t packets);
    void *ctx;
    struct rt_sim_config world; /* start_ns is the replay's own: the first frame's time */
    uint64_t patience_ns;       /* virtual time for what waits after the last frame; 0: 60 s */
    uint64_t hang_ns; /* a frame's callouts may take so much virtual time, then world.stuck is called; 0: an
                         hour */
    uint32_t waiting_frames; /* frames that wait, at most; 0: 262,144; */
    uint64_t
        waiting_bytes; /* and so much of memory for them; 0: 256 MiB. Beyond, what waited longest gives way */
};

/* A packet of a driver's (host_inject.h). */
struct replay_injected {
    const struct host_emitted *packet; /* ->rewritten: the host made it in the place of frames */
    const struct host_outcome *lost;   /* NULL: it got through */
    uint64_t time_ns;                  /* as written */
    bool stands; /* for the capture's frame packet->origin, whose fate it is: not counted as injected */
    bool written;
};

/*
 * Where all packets are: in + injected + made == out + dropped + absorbed + consequence + held + rewritten.
 * A frame whose clone was injected and got through is `out` once, and not `injected`. Of a connection that stream callouts
 * edit no frame is `out`: it is `rewritten`, and the packets that go in its place are `made`.
 */
struct replay_sums {
    uint64_t in;       /* frames of the capture */
    uint64_t injected; /* packets of drivers that stand for no frame of the capture */
    uint64_t out; /* went their way: passed, ignored, discarded by nobody but the stack and still written */
    uint64_t dropped;  /* blocked by policy or a callout, frames and injected; discarded with --stack-drops */
    uint64_t absorbed; /* taken by a callout, and never given back */
    uint64_t consequence;
    uint64_t made;                              /* packets of rewritten connections */
    uint64_t rewritten;                         /* frames of rewritten connections */
    uint64_t absorbed_made, rewritten_injected; /* of `absorbed`, of `rewritten`: no frames */
    uint64_t held;       /* at the end nobody had decided; or it waited for a decision and had to give way */
    uint64_t reinjected; /* of `out`: frames whose clone went out */
    uint64_t delayed;    /* of `out`: frames later than they were captured */
    uint64_t evicted;    /* of `held`: that gave way */
};

struct replay_local {
    uint8_t version;
    uint8_t bits;
    union wire_addr address;
};

struct replay_config {
    const char *input;
    const char *output;      /* NULL: nothing is written */
    struct host_config host; /* engine, judge, observer, owner_of ...; `listening` is the replay's own */
    const struct replay_local *locals; /* none: auto */
    size_t local_count;
    /* Of the machine, where its export says so; they count as hints for auto. */
    const struct replay_local *hints;
    size_t hint_count;
    const struct replay_change *changes; /* by time */
    size_t change_count;
    const struct replay_drivers *drivers; /* NULL: none, and none of it costs anything */
    /* The run has begun: for replay_flush(), until replay_run() returns. May be NULL. */
    void (*begun)(void *ctx, struct replay_run *r);
    bool keep_blocked;       /* write what was blocked too, with a comment */
    bool stack_drops;        /* what the stack discards is not written */
    uint32_t interface_type; /* 0: by the link type */
    /* Told of each frame before the host works on it; may be NULL. */
    void (*next)(void *ctx, const struct capture *c, const struct capture_packet *p);
    /* Without drivers: told of the frame for which owner_of is asked next (it may want its process); may be NULL. */
    void (*asked)(void *ctx, const struct capture *c, const struct capture_packet *p);
    /* Told of each frame once, and from time to time how far it is; either may be NULL. In order; with
     * drivers in the order in which fates are decided, p->delay_ns says how much later than captured it went.
     */
    void (*frame)(void *ctx, const struct capture *c, const struct capture_packet *p,
                  const struct wire_packet *w, const struct host_outcome *o, bool written);
    void (*progress)(void *ctx, uint64_t done, uint64_t all, uint64_t frames);
    /* Told of each packet of a driver's; of one that stands for a frame before `frame` is. May be NULL. */
    void (*injected)(void *ctx, const struct replay_injected *i);
    /* The packet comment of a blocked frame that is kept (report_comment()); NULL: none. Not for long: valid
     * until the next call. */
    const char *(*comment)(void *ctx, const struct host_outcome *o, char *buf, size_t size);
    void *ctx;
};

struct replay_result {
    uint64_t read, written, blocked_kept; /* written: packets of drivers too */
    struct host_counts counts;            /* fates and notes: of each frame the last */
    struct replay_sums sums;
    struct host_stream_counts streams;
    struct host_rewrite_counts rewrites;
    const struct replay_local *locals; /* what was taken for local; the replay's until replay_free() */
    size_t local_count;
    bool guessed;
    uint64_t guessed_in; /* in so many of the frames looked at ... */
    uint64_t guessed_of; /* ... of so many */
    void *internal;
};

/* Runs it all. 0; -EINVAL: the input is broken (error says where; everything before it was done and written);
 * other negative errno. *out is set whenever anything was read. */
int replay_run(const struct replay_config *config, struct replay_result *out, struct capture_error *error);
void replay_free(struct replay_result *r);
/* The process is about to end in the middle of the run: what was written so far stands in the output. From
 * any thread; the run must not go on. */
void replay_flush(struct replay_run *r);

#endif

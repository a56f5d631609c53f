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
 */
#ifndef WEIR_DATAPATH_REPLAY_H
#define WEIR_DATAPATH_REPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "datapath/capture.h"
#include "host/host.h"

/* A policy that comes in force at a time of the capture (--at). */
struct replay_change {
    uint64_t time_ns;
    int (*apply)(void *ctx, struct capture_error *error); /* 0 or negative errno */
    void *ctx;
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
    bool keep_blocked;       /* write what was blocked too, with a comment */
    bool stack_drops;        /* what the stack discards is not written */
    uint32_t interface_type; /* 0: by the link type */
    /* Told of each frame before the host works on it (owner_of may want its process); may be NULL. */
    void (*next)(void *ctx, const struct capture *c, const struct capture_packet *p);
    /* Told of each frame in order, and from time to time how far it is; either may be NULL. */
    void (*frame)(void *ctx, const struct capture *c, const struct capture_packet *p,
                  const struct wire_packet *w, const struct host_outcome *o, bool written);
    void (*progress)(void *ctx, uint64_t done, uint64_t all, uint64_t frames);
    /* The packet comment of a blocked frame that is kept (report_comment()); NULL: none. Not for long: valid
     * until the next call. */
    const char *(*comment)(void *ctx, const struct host_outcome *o, char *buf, size_t size);
    void *ctx;
};

struct replay_result {
    uint64_t read, written, blocked_kept;
    struct host_counts counts;
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

#endif

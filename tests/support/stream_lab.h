/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A laboratory of the stream layer: driver_lab with one TCP connection whose bytes are fed by host_stream_feed(), a
 * sink that writes down what comes out, and players: callouts at ST that make the moves they were told, by the
 * documented functions.
 *
 *   struct player *p = stream_lab_play(l, &(struct player){.weight = 5});
 *   MOVES(p, {.action = FWP_ACTION_PERMIT, .enforce = 2}, {.action = FWP_ACTION_BLOCK});
 *   stream_lab_receive(l, "abcd", 0);
 *   assert_string_equal(l->in, "ab");                  what came out, inbound; "." is the end, "!" a reset
 *   assert_string_equal(p->seen, "<abcd <cd ");        what the player was shown: "<" received, ">" sent
 *
 * In `seen` behind the bytes: "." *_DISCONNECT, "!" *_ABORT, "N" NO_MORE_DATA, "L" BUFFER_LIMIT_REACHED, "(3)" missed
 * bytes.
 */
#ifndef WEIR_TESTS_STREAM_LAB_H
#define WEIR_TESTS_STREAM_LAB_H

#include "driver_lab.h"
#include "host/host_stream.h"

#define STREAM_LAB_ROOM (1u << 16)

struct stream_lab;
struct player;

struct move {
    FWP_ACTION_TYPE action; /* 0: actionType stays as it was */
    SIZE_T enforce;
    FWPS_STREAM_ACTION_TYPE stream;
    UINT32 need;
    const char *inject; /* in line, before */
    bool inject_end;    /* with the direction's end */
    bool keep;          /* clones what it is shown */
    void (*also)(struct player *p, const struct driver_lab_call *c, FWPS_STREAM_CALLOUT_IO_PACKET0 *io);
};

struct player {
    UINT16 weight;        /* of its sublayer, which is its own; 0: of the one before it */
    FWP_ACTION_TYPE type; /* of its filter; 0: FWP_ACTION_CALLOUT_UNKNOWN */
    UINT32 callout_flags;
    bool sends_only, receives_only; /* moves are about one direction; the other is permitted */
    void *ctx;
    /* set by the lab */
    struct stream_lab *lab;
    struct driver_lab_script *script;
    struct move moves[64];
    unsigned move_count, move_at; /* the last one again and again */
    char *seen;
    unsigned calls;
    NET_BUFFER_LIST *kept[256]; /* chains, in order; NULL: given */
    SIZE_T kept_size[256];
    UINT32 kept_flags[256];
    unsigned kept_count;
    /* of the last call */
    UINT32 flags, out_flags, rights;
    FWP_ACTION_TYPE shown_action;
    SIZE_T missed, required, enforced, offset, length;
    unsigned lists, mdls;
    KIRQL irql;
    NTSTATUS status; /* of the last injection */
};

struct stream_lab {
    struct driver_lab d;
    struct rt_sim *sim; /* NULL: the real back end */
    NDIS_HANDLE pool;
    HANDLE handle; /* FWPS_INJECTION_TYPE_STREAM */
    UINT64 flow;
    struct host_lab_tcp tcp;
    char *in, *out; /* what came out */
    UINT32 in_flags, out_flags;
    unsigned elements, drops, holds, unholds, completed;
    UINT64 dropped_by, held;
    NTSTATUS completed_status, statuses[256];
    void *completed_context;
    NTSTATUS fed;
    GUID sublayer;
    unsigned sublayers, filters;
    struct player *players[8];
    unsigned player_count;
};

extern const struct host_stream_sink stream_lab_sink;
/* config: may be NULL. The connection is there, nothing has been fed. */
void stream_lab_open(struct stream_lab *l, const struct host_config *config, bool simulated);
void stream_lab_close(struct stream_lab *l);
void stream_lab_settle(struct stream_lab *l);  /* until nothing is queued */
void stream_lab_connect(struct stream_lab *l); /* another connection: l->flow */

struct player *stream_lab_play(struct stream_lab *l, const struct player *p);
/* The same callout and management half, not its filter: for players that join. */
struct player *stream_lab_player(struct stream_lab *l, const struct player *p);
void stream_lab_filter(struct stream_lab *l, struct player *p);
/* A plain filter at ST, in a sublayer of this weight. */
UINT64 stream_lab_plain(struct stream_lab *l, UINT16 weight, FWP_ACTION_TYPE action);
/* A filter of another machine's callout at ST: of this type, in a sublayer of this weight (0: of the one before it). Returns
 * the callout's key. */
GUID stream_lab_foreign(struct stream_lab *l, UINT16 weight, FWP_ACTION_TYPE type);
void stream_lab_moves(struct player *p, const struct move *moves, size_t count);
#define MOVES(p, ...)                                                                                        \
    stream_lab_moves((p), (const struct move[]){__VA_ARGS__},                                                \
                     sizeof((const struct move[]){__VA_ARGS__}) / sizeof(struct move))

void stream_lab_receive(struct stream_lab *l, const char *bytes, UINT32 flags);
void stream_lab_send(struct stream_lab *l, const char *bytes, UINT32 flags);
void stream_lab_bytes(struct stream_lab *l, bool out, const void *bytes, size_t size, UINT32 flags);

/* A list of the driver's own with these bytes. */
NET_BUFFER_LIST *stream_lab_list(struct stream_lab *l, const void *bytes, size_t size);
void stream_lab_free(struct stream_lab *l, NET_BUFFER_LIST *nbl);
/* Injects for a player; frees the list if it was not accepted. */
NTSTATUS stream_lab_inject(struct player *p, UINT32 flags, NET_BUFFER_LIST *nbl, SIZE_T size);
NTSTATUS stream_lab_text(struct player *p, UINT32 flags, const char *text);
/* What it kept at its n-th call that kept, as it was or with other flags; settles. */
NTSTATUS stream_lab_give(struct player *p, unsigned n);
NTSTATUS stream_lab_continue(struct player *p, UINT32 flags);
void NTAPI stream_lab_completed(void *context, NET_BUFFER_LIST *nbl, BOOLEAN dispatch);

int stream_lab_setup(void **state);           /* the real back end, */
int stream_lab_setup_simulated(void **state); /* a simulated one: all comes in order */
int stream_lab_teardown(void **state);

#endif

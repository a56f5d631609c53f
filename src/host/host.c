/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host: life of a host, its clock, what it counts; and host_frame(), the door by which frames come in.
 *
 *   host_create() -> host_interface_add(), host_address_add() -> host_frame() ... -> host_destroy()
 *
 * Invariants: the clock never goes back; every frame has exactly one fate, so that the fates' counts add up
 * to the frames'. Interfaces and addresses (interfaces.c) may be added at any time; frames and operations of
 * one lane come from one thread at a time.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/redirect_wire.h"
#include "host/inject_inside.h"
#include "host/internal.h"
#include "host/paths.h"
#include "host/stream.h"
#include "host/stream_inside.h"
#include "host/vswitch.h"
#include "host/walk.h"

/* The clock of idle flows counts in 1/64 s: nothing ends between two of its steps. */
#define TICK_SHIFT 24 /* 2^24 ns is 1/60 s: often enough */

#define DEFAULT_FLOWS           1000000u
#define DEFAULT_FRAGMENT_BYTES  (4u << 20)
#define DEFAULT_DATAGRAMS       1024u
#define DEFAULT_STREAM_BYTES    (16u << 20)
#define DEFAULT_SEGMENTS_A_FLOW 256u
#define DEFAULT_STREAM_BUFFER   (8u << 20) /* STR-10 */
#define DEFAULT_STREAMS_BYTES   (256u << 20)

static uint32_t or_default(uint32_t asked, uint32_t otherwise)
{
    return asked != 0 ? asked : otherwise;
}

static void limits_fill(struct host_limits *l)
{
    l->flows = or_default(l->flows, DEFAULT_FLOWS);
    l->endpoints = or_default(l->endpoints, l->flows);
    l->fragment_bytes = or_default(l->fragment_bytes, DEFAULT_FRAGMENT_BYTES);
    l->datagrams = or_default(l->datagrams, DEFAULT_DATAGRAMS);
    l->stream_bytes = or_default(l->stream_bytes, DEFAULT_STREAM_BYTES);
    l->segments_a_flow = or_default(l->segments_a_flow, DEFAULT_SEGMENTS_A_FLOW);
    l->stream_buffer = or_default(l->stream_buffer, DEFAULT_STREAM_BUFFER);
    l->streams_bytes = or_default(l->streams_bytes, DEFAULT_STREAMS_BYTES);
}

/* ---- life --------------------------------------------------------------------------------------------- */

static void lane_destroy(struct lane *l)
{
    if (l->ale != NULL || l->endpoints != NULL)
        ale_destroy(l);
    memory_destroy(l->memory);
    refused_destroy(l);
    if (l->scratch != NULL)
        scratch_destroy(l->scratch);
    if (l->segments != NULL)
        tcp_destroy(l);
    groups_destroy(l);
    fragments_destroy(l->sent);
    if (l->fragments != NULL)
        fragments_destroy(l->fragments);
    if (l->flows != NULL)
        flow_table_destroy(l->flows);
    if (l->reader != NULL)
        engine_reader_destroy(l->reader);
    if (l->turn_over != NULL)
        rt_cond_destroy(l->turn_over);
    if (l->lock != NULL)
        rt_mutex_destroy(l->lock);
    free(l->ahead);
}

static int lane_create(struct host *h, struct lane *l)
{
    int e;

    l->host = h;
    l->short_on = short_possible(&h->config);
    e = rt_mutex_create(&l->lock);
    if (e == 0)
        e = rt_cond_create(rt_clock_of_thread(), &l->turn_over);
    if (e == 0 && (l->ahead = calloc(AHEAD, sizeof(*l->ahead))) == NULL)
        e = -ENOMEM;
    if (e == 0)
        e = engine_reader_create(h->config.engine, &l->reader);
    if (e == 0)
        e = flow_table_create(h->limits.flows, h->config.seed, &l->flows);
    if (e == 0)
        e = fragments_create(&h->limits, &l->fragments);
    if (e == 0)
        e = fragments_create(&(struct host_limits){.datagrams = 1}, &l->sent);
    if (e == 0 && h->config.knobs.fragment_grouping)
        e = groups_create(l);
    if (e == 0)
        e = tcp_create(l);
    if (e == 0)
        e = scratch_create(h, &l->scratch);
    if (e == 0)
        e = memory_create(&h->limits, &l->memory);
    if (e == 0)
        e = ale_create(l);
    return e;
}

int host_create(const struct host_config *config, struct host **out)
{
    struct host *h = calloc(1, sizeof(*h));
    int e = -ENOMEM;

    if (h == NULL)
        return e;
    h->config = *config;
    h->limits = config->limits;
    h->stream_sink = config->streams == HOST_STREAM_SOCKETS ? &stream_socket_sink : &stream_wire_sink;
    limits_fill(&h->limits);
    h->now_ns = config->start_ns;
    h->next_flow_id = h->next_endpoint_id = h->next_event = 1;
    h->lanes = calloc(1, sizeof(*h->lanes));
    if (h->lanes == NULL)
        goto fail;
    h->lane_count = 1;
    e = host_addresses_create(h);
    if (e != 0)
        goto fail;
    e = lane_create(h, &h->lanes[0]);
    if (e != 0)
        goto fail;
    e = walk_create(h);
    if (e == 0)
        e = injector_create(h);
    if (e == 0)
        e = streams_create(h);
    if (e == 0)
        e = vswitches_create(h);
    if (e != 0)
        goto fail;
    *out = h;
    return 0;
fail:
    host_destroy(h);
    return e;
}

void host_destroy(struct host *h)
{
    if (h == NULL)
        return;
    injector_destroy(h);
    vswitches_destroy(h);
    streams_destroy(h);
    for (size_t i = 0; i < h->lane_count; i++)
        lane_destroy(&h->lanes[i]);
    walk_destroy(h);
    free(h->lanes);
    host_addresses_destroy(h);
    free(h);
}

void host_shutdown(struct host *h)
{
    TURN_OF(&h->lanes[0]);

    for (size_t i = 0; i < h->lane_count; i++)
        groups_flush(&h->lanes[i]);
    ale_shutdown(h);
    streams_reap(h);
}

/* ---- time --------------------------------------------------------------------------------------------- */

static __attribute__((noinline)) void tick(struct host *h, UINT64 now_ns)
{
    for (size_t i = 0; i < h->lane_count; i++) {
        ale_advance(&h->lanes[i], now_ns);
        lane_enter(&h->lanes[i]);
        fragments_expire(h->lanes[i].fragments, now_ns);
        lane_leave(&h->lanes[i]);
        groups_expire(&h->lanes[i], now_ns);
    }
}

static inline bool is_tick(const struct host *h, UINT64 now_ns)
{
    return now_ns >> TICK_SHIFT != h->now_ns >> TICK_SHIFT;
}

static inline void advance(struct host *h, UINT64 now_ns)
{
    bool ticks;

    if (now_ns <= h->now_ns)
        return;
    ticks = is_tick(h, now_ns);
    h->now_ns = now_ns;
    streams_reap(h);
    if (__builtin_expect(ticks, 0))
        tick(h, now_ns);
}

bool host_advance_due(const struct host *h, UINT64 now_ns)
{
    return is_tick(h, now_ns) || __atomic_load_n(&h->streams->dead, __ATOMIC_RELAXED) != NULL;
}

void host_advance(struct host *h, UINT64 now_ns)
{
    TURN_OF(&h->lanes[0]);

    advance(h, now_ns);
}

UINT64 host_now(const struct host *h)
{
    return h->now_ns;
}

/* ---- frames ------------------------------------------------------------------------------------------- */

/* Did a driver change it? What is lent (host_config.lends_bytes) may be as it came. */
static bool is_changed(const struct wire_packet *came, const struct host_outcome *out)
{
    return out->changed != NULL && memcmp(out->changed, came->frame, came->captured) != 0;
}

/* Redirected packets come and go with other addresses than the stack sees. */
static __attribute__((noinline)) void translated_frame(struct lane *l, const struct host_frame *f,
                                                       struct host_outcome *out)
{
    struct host_frame translated = *f;
    const uint8_t *bytes;

    translated.packet = redirect_wire_frame(l, f);
    paths_frame(l, translated.packet != f->packet ? &translated : f, out);
    bytes = redirect_wire_bytes(l);
    if (bytes != NULL && out->fate == HOST_PASSED && !is_changed(translated.packet, out))
        out->changed = bytes;
}

/* With the turn. */
static inline void worked(struct host *h, struct lane *l, const struct host_frame *f,
                          struct host_outcome *out)
{
    memset(out, 0, sizeof(*out));
    if (__builtin_expect(h->lent, 0)) {
        ndis_frames_take_back(h->frames);
        h->lent = false;
    }
    advance(h, f->time_ns);
    if (__builtin_expect(redirect_wire_is(l), 0)) {
        translated_frame(l, f, out);
    } else {
        paths_frame(l, f, out);
        if (__builtin_expect(redirect_wire_is(l), 0) && out->fate == HOST_PASSED &&
            !is_changed(f->packet, out))
            out->changed = redirect_wire_bytes(l); /* the first of all: it was redirected on its way */
    }
    host_count_worker(&h->counts.fates[out->fate]); /* of all: host_counts() adds them up */
    if (out->note != HOST_NOTE_NONE)
        host_count_worker(&h->counts.notes[out->note]);
}

void host_frame(struct host *h, const struct host_frame *f, struct host_outcome *out)
{
    struct lane *l = &h->lanes[0];

    turn_take(l);
    worked(h, l, f, out);
    turn_give(l);
}

void host_frame_held(struct host *h, const struct host_frame *f, struct host_outcome *out)
{
    struct lane *l = &h->lanes[0];

    turn_hold(l);
    worked(h, l, f, out);
    turn_let(l);
}

#define PREFETCH 16

/* What is known of a frame's flow, and what else will be touched of it; `briefly` if it takes the short way, probably. */
static inline void fetch_flow(struct lane *l, struct ahead *a, struct host_flow *flow, bool briefly)
{
    const struct wire_packet *p = a->packet;

    a->flow = flow;
    a->flow_id = flow->id;
    __builtin_prefetch((const char *)flow + sizeof(*flow) - 1);
    if (p->protocol == WIRE_PROTOCOL_TCP && briefly &&
        __builtin_expect((p->tcp_flags & (WIRE_TCP_SYN | WIRE_TCP_FIN | WIRE_TCP_RST)) == 0, 1))
        return;
    if ((p->tcp_flags & (WIRE_TCP_FIN | WIRE_TCP_RST)) != 0) /* it may end */
        memory_fetch(l->memory, &flow->key, true);
    ale_endpoint_prefetch(l, flow->endpoint); /* the short way of other segments goes without */
}

/* Did most of as many frames as are to be fetched take the short way? Then most of these will. */
static inline bool go_briefly(struct lane *l, size_t count)
{
    const bool most = l->shortened - l->shortened_then >= count / 2;

    l->shortened_then = l->shortened;
    return most;
}

/* Flows and their endpoints, a few at a time: what one lookup waits for, the others wait for as well. */
void host_prefetch(struct host *h, const struct host_frame *frames, size_t count)
{
    struct lane *l = &h->lanes[0];
    struct host_flow_key keys[PREFETCH];
    const struct host_flow_key *which[PREFETCH];
    struct host_flow *flows[PREFETCH];
    struct ahead *of[PREFETCH];
    TURN_OF(l);
    const bool briefly = go_briefly(l, count);

    for (size_t i = 0; i < PREFETCH; i++)
        which[i] = &keys[i];
    for (size_t some; count > 0; frames += some, count -= some) {
        some = count < PREFETCH ? count : PREFETCH;
        const size_t n = paths_ahead(l, frames, some, of, keys);

        lane_enter(l);
        flow_table_find_many(l->flows, which, n, flows);
        for (size_t i = 0; i < n; i++) {
            if (flows[i] != NULL) {
                fetch_flow(l, of[i], flows[i], briefly);
            } else {
                memory_fetch(l->memory, &keys[i], false);
                ale_endpoint_prefetch_key(l, &keys[i]);
            }
        }
        lane_leave(l);
        if (__builtin_expect(streams_any(h), 0))
            streams_fetch(l, of, n);
    }
}

/* ---- counts, names ------------------------------------------------------------------------------------ */

void host_counts(const struct host *h, struct host_counts *out)
{
    const UINT64 *from = (const UINT64 *)&h->counts;
    UINT64 *to = (UINT64 *)out, noted = 0;

    _Static_assert(sizeof(*out) % sizeof(UINT64) == 0, "all of them are counters");
    for (size_t i = 0; i < sizeof(*out) / sizeof(UINT64); i++)
        to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
    for (unsigned i = 0; i < HOST_FATES; i++)
        out->frames += out->fates[i];
    for (unsigned i = HOST_NOTE_NONE + 1; i < HOST_NOTES; i++)
        noted += out->notes[i];
    out->notes[HOST_NOTE_NONE] = out->frames > noted ? out->frames - noted : 0;
    out->flows_live = 0;
    for (size_t i = 0; i < h->lane_count; i++) {
        const struct lane *l = &h->lanes[i];

        out->classified += __atomic_load_n(&l->classified, __ATOMIC_RELAXED);
        rt_mutex_lock(l->lock);
        out->flows_live += flow_table_count(l->flows);
        fragments_counts(l->fragments, out);
        groups_counts(l, out);
        tcp_counts(l, out);
        rt_mutex_unlock(l->lock);
    }
}

const char *host_fate_name(enum host_fate f)
{
    static const char *const names[HOST_FATES] = {
        [HOST_PASSED] = "passed",     [HOST_IGNORED] = "ignored",     [HOST_BLOCKED] = "blocked",
        [HOST_ABSORBED] = "absorbed", [HOST_HELD] = "held",           [HOST_CONSEQUENCE] = "consequence",
        [HOST_STACK] = "stack",       [HOST_REWRITTEN] = "rewritten",
    };

    return (unsigned)f < HOST_FATES ? names[f] : "?";
}

const char *host_note_words(enum host_note n)
{
    static const char *const words[HOST_NOTES] = {
        [HOST_NOTE_NONE] = "",
        [HOST_NOTE_REFUSED_FLOW] = "its flow was refused",
        [HOST_NOTE_REFUSED_BIND] = "its endpoint could not be bound, or may not listen",
        [HOST_NOTE_ENDED_FLOW] = "its flow was torn down",
        [HOST_NOTE_UNSENT_REQUEST] = "it presupposes a packet that was dropped",
        [HOST_NOTE_SILENCED] = "a discard layer suppressed this answer of the stack",
        [HOST_NOTE_CUT] = "cut within a header by the capture",
    };

    return (unsigned)n < HOST_NOTES ? words[n] : "?";
}

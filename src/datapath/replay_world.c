/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The run with drivers: the first fiber of a simulated world gives frames to the host; all that drivers do
 * runs in between, in virtual time.
 *
 *   world_frame(): time goes to the frame's ------------------> the host has it -> its fate, if it is known
 *                    |  step by step, deadline by deadline:          |
 *                    |  drivers' threads, timers, injections run     +--> held, kept: delay has it
 *                    |  what waited and is due goes to the host
 *                    |  policies come in force
 *                    v
 *              completed, emitted, lost, released: told to delay (replay_delay.h), which says what is due and
 * whose fate is known
 *
 * Time. A frame of the capture has the time at which it was captured; one that waited that and its delay; a
 * packet of a driver's the virtual clock's. `last` is the time of the last frame: nothing goes to the host
 * with an earlier one but what stands so in the capture itself. The host's clock is set ahead of each step.
 * All ready fibers run before time moves; if there is nothing to run and nothing waits, a frame costs a few
 * comparisons.
 *
 * The end. After the last frame what waits has `patience_ns` of virtual time; then it is held, drivers are
 * unloaded, and what they let go of in doing so is told as it went; what even then nobody decided is held.
 *
 * A watchman, a fiber of its own, looks from time to time whether a frame's callouts have come back: they may
 * wait, and then time goes on without the frames, for ever if a timer runs. What spins without time the
 * world's own watchdog sees.
 *
 * The host's callbacks run on whatever fiber, also within host_frame(). They change delay and the list of
 * what is to be written, and give nothing to the host.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "capture_inside.h"
#include "replay_inside.h"

#define PATIENCE_NS  60000000000ull
#define HANG_NS      3600000000000ull
#define INTERFACES   256u /* whose MACs are remembered */
#define ORDINARY_MTU 1500u
#define OWN_IDS      0x80008000u /* identifications of what is cut here, where the packet has none */

struct world {
    struct rt_sim *sim;
    struct rt_clock *clock;
    struct delay *delay;
    struct emits *emits;
    bool started;
    bool holds, held; /* the host may be, is held from frame to frame */
    int failed;       /* in a callback: 0 or -errno */
    uint64_t last;
    struct emit_macs *macs; /* INTERFACES of them */
    uint32_t *longest; /* the same: of what was sent there and was not TCP's, bytes from the IP header on */
    uint32_t cut;      /* packets of drivers that went out in fragments */
    /* the watchman */
    struct rt_thread *watchman;
    struct rt_mutex *lock;
    struct rt_cond *gone;
    bool stop;
    uint64_t since; /* the host has had a frame since then; 0: it has none */
};

static uint64_t now_of(const struct world *w)
{
    return rt_clock_now(w->clock);
}

/* ---- the watchman -------------------------------------------------------------------------------------- */

static void watch(void *arg)
{
    struct replay_run *r = arg;
    struct world *w = r->world;
    const struct replay_drivers *d = r->config->drivers;
    const uint64_t hang = d->hang_ns != 0 ? d->hang_ns : HANG_NS;

    rt_waits_for("callouts to return");
    rt_mutex_lock(w->lock);
    while (!w->stop) {
        const uint64_t now = now_of(w), since = w->since;

        if (since != 0 && now - since >= hang && d->world.stuck != NULL) {
            rt_mutex_unlock(w->lock);
            d->world.stuck(d->world.ctx, "replay", NULL);
            rt_mutex_lock(w->lock);
            w->since = now;
        }
        (void)rt_cond_wait(w->gone, w->lock, (w->since != 0 ? w->since : now) + hang);
    }
    rt_mutex_unlock(w->lock);
}

static int watch_begin(struct replay_run *r)
{
    struct world *w = r->world;
    int e = rt_mutex_create(&w->lock);

    if (e == 0)
        e = rt_cond_create(w->clock, &w->gone);
    return e != 0 ? e : rt_thread_start("watchman", watch, r, &w->watchman);
}

static void watch_end(struct world *w)
{
    if (w->watchman != NULL) {
        rt_mutex_lock(w->lock);
        w->stop = true;
        rt_cond_broadcast(w->gone);
        rt_mutex_unlock(w->lock);
        rt_thread_join(w->watchman);
    }
    if (w->gone != NULL)
        rt_cond_destroy(w->gone);
    if (w->lock != NULL)
        rt_mutex_destroy(w->lock);
}

/* ---- what is written ----------------------------------------------------------------------------------- */

static __attribute__((noinline)) int write_until(struct replay_run *r, uint64_t time_ns)
{
    const struct capture_packet *p;
    int result = 0;

    while (result == 0 && (p = emits_next(r->world->emits, time_ns)) != NULL)
        result = run_write(r, p, NULL);
    return result;
}

/* A frame's fate; it is written with the time that it has now. already: its packet was written as a driver's.
 */
static int tell(struct replay_run *r, const struct capture_packet *p, const struct wire_packet *wire,
                const struct host_outcome *o, bool already)
{
    int result = 0;

    if (__builtin_expect(emits_any(r->world->emits), 0))
        result = write_until(r, p->time_ns + p->delay_ns);
    if (result == 0)
        result = run_tell(r, p, wire, o, already);
    if (__builtin_expect(already || p->delay_ns != 0, 0)) {
        r->out->sums.reinjected += already;
        r->out->sums.delayed += p->delay_ns != 0 && (o->fate == HOST_PASSED || o->fate == HOST_IGNORED);
    }
    return result;
}

static __attribute__((noinline)) int tell_these(struct replay_run *r)
{
    struct world *w = r->world;
    struct delay_piece *piece;
    int result = 0;

    while (result == 0 && (piece = delay_told(w->delay)) != NULL) {
        const bool out = piece->outcome.fate == HOST_PASSED;

        if (!out && w->last > piece->packet.time_ns) /* where it is written at all, with a comment */
            piece->packet.delay_ns = w->last - piece->packet.time_ns;
        result = tell(r, &piece->packet, &piece->wire, &piece->outcome, out && !piece->unwritten);
        delay_done(w->delay, piece);
    }
    return result != 0 ? result : w->failed;
}

/* Those whose fate has been decided meanwhile: hardly ever any. */
static inline int tell_decided(struct replay_run *r)
{
    return __builtin_expect(delay_tells(r->world->delay), 0) ? tell_these(r) : r->world->failed;
}

static void note_macs(struct world *w, const struct capture_packet *p, const struct wire_packet *wire,
                      const struct host_outcome *o)
{
    if (wire->version == 0 || p->interface >= INTERFACES)
        return;
    if (o->inbound != o->outbound && wire->mac_at != UINT32_MAX && wire->mac_at + 12 <= p->captured)
        memcpy(w->macs[p->interface].mac[o->outbound], p->bytes + wire->mac_at, 12);
    if (o->outbound && wire->protocol != WIRE_PROTOCOL_TCP && wire->ip_length > w->longest[p->interface])
        w->longest[p->interface] = wire->ip_length;
}

/* ---- what the host tells ------------------------------------------------------------------------------- */

/* So long may a packet be that a driver sends; 0: any. A datagram that was captured in fragments is cut as its first one
 * was; of TCP's an adapter cuts what is too long. */
static uint32_t mtu_of(const struct world *w, const struct host_emitted *e, const struct delay_piece *of,
                       uint32_t interface, const struct wire_packet *wire)
{
    uint32_t longest;

    if (e->frame || e->inbound || e->version == 0)
        return 0;
    if (of != NULL && of->wire.fragment && (of->wire.ip_flags & WIRE_IP_MORE_FRAGMENTS) != 0)
        return of->wire.ip_length;
    if (wire->protocol == WIRE_PROTOCOL_TCP)
        return 0;
    longest = interface < INTERFACES ? w->longest[interface] : 0;
    return longest > ORDINARY_MTU ? longest : ORDINARY_MTU;
}

/* These bytes behind that link header, in `room` for both. */
static int put_bytes(struct replay_run *r, struct capture_packet *p, uint8_t *room, uint32_t link,
                     uint32_t size)
{
    p->bytes = room;
    p->captured = p->length = link + size;
    return emits_add(r->world->emits, p);
}

/* A driver's packet on its way out, as a packet of the capture's, or several. of: the frame that it stands for; NULL:
 * none. */
static int put_emitted(struct replay_run *r, const struct host_emitted *e, const struct delay_piece *of,
                       const struct wire_packet *wire, uint64_t now)
{
    struct world *w = r->world;
    static const struct emit_macs nobody;
    struct capture_packet p = {.number = e->origin, .process = UINT32_MAX};
    uint8_t link[EMIT_LINK], *bytes;
    uint32_t size, piece, mtu, head = 0; /* head: of the link header that stands before e->bytes */
    struct wire_split split;
    int result = 0;

    if (of != NULL && host_emitted_unchanged(e)) {
        p = of->packet; /* the frame itself, later; other fragments of its datagram see to themselves */
        p.delay_ns = now > p.time_ns ? now - p.time_ns : 0;
        return emits_add(w->emits, &p);
    }
    if (of != NULL)
        p.interface = of->packet.interface;
    else if (e->interface_index != 0 && e->interface_index <= capture_interface_count(r->capture))
        p.interface = e->interface_index - 1;
    if (e->frame && capture_interface(r->capture, p.interface)->link_type == WIRE_LINK_ETHERNET) {
        size = 0; /* as it is */
        head = e->link_size;
    } else if (e->version == 0) {
        return 0; /* this file's frames have no such header */
    } else {
        size = emit_link(capture_interface(r->capture, p.interface)->link_type, e,
                         p.interface < INTERFACES ? &w->macs[p.interface] : &nobody, link);
    }
    bytes = malloc((size_t)size + head + e->size + 1);
    if (bytes == NULL)
        return -ENOMEM;
    memcpy(bytes, link, size);
    p.time_ns = now;
    p.ticks = capture_ticks(r->capture->interfaces[p.interface], now);
    p.has_time = true;
    mtu = mtu_of(w, e, of, p.interface, wire);
    if (mtu != 0 && wire_split_begin(&split, e->bytes, e->size, mtu, OWN_IDS + ++w->cut)) {
        r->out->written--; /* each of its pieces is one */
        while (result == 0 && (piece = wire_split_next(&split, bytes + size)) != 0) {
            result = put_bytes(r, &p, bytes, size, piece);
            r->out->written++;
        }
    } else {
        memcpy(bytes + size, e->bytes - head, head + e->size);
        result = put_bytes(r, &p, bytes, size, head + e->size);
    }
    free(bytes);
    return result;
}

static void tell_injected(struct replay_run *r, const struct host_emitted *e, const struct host_outcome *lost,
                          bool stands, uint64_t now)
{
    struct replay_sums *s = &r->out->sums;
    const struct replay_injected i = {e, lost, now, stands, lost == NULL && r->config->output != NULL};

    if (!stands) {
        s->injected++;
        *(lost == NULL                   ? &s->out
          : lost->fate == HOST_REWRITTEN ? &s->rewritten_injected /* others have gone in its place */
                                         : &s->dropped) += 1;
        r->out->written += lost == NULL;
    }
    if (r->config->injected != NULL)
        r->config->injected(r->config->ctx, &i);
}

/* A packet that the host made in the place of others. */
static void tell_made(struct replay_run *r, const struct host_emitted *e, const struct host_outcome *lost)
{
    struct replay_sums *s = &r->out->sums;
    const struct replay_injected i = {e, lost, e->time_ns, false, lost == NULL && r->config->output != NULL};

    s->made++;
    if (lost == NULL) {
        s->out++;
        r->out->written++;
    } else {
        *(lost->fate == HOST_ABSORBED ? &s->absorbed_made : &s->dropped) += 1;
    }
    if (r->config->injected != NULL)
        r->config->injected(r->config->ctx, &i);
}

static void on_made(struct replay_run *r, const struct host_emitted *e)
{
    struct world *w = r->world;
    struct wire_packet wire = {.protocol = WIRE_PROTOCOL_TCP};
    const int result = put_emitted(r, e, NULL, &wire, e->time_ns);

    if (w->failed == 0)
        w->failed = result;
    tell_made(r, e, NULL);
}

static void on_emit(void *ctx, const struct host_emitted *e)
{
    struct replay_run *r = ctx;
    struct world *w = r->world;
    const struct delay_piece *piece;
    const uint64_t now = now_of(w);
    struct wire_packet wire;
    UINT64 number;
    int result;

    if (e->rewritten) {
        on_made(r, e);
        return;
    }
    if (e->frame)
        wire_parse(WIRE_LINK_ETHERNET, e->link, e->link_size + e->size, e->link_size + e->size, &wire);
    else
        wire_parse_ip(e->bytes, e->size, e->size, &wire);
    piece = delay_whose(w->delay, e->origin, &wire);
    result = put_emitted(r, e, piece, &wire, now);
    if (w->failed == 0)
        w->failed = result;
    tell_injected(r, e, NULL,
                  delay_emitted(w->delay, e->origin, &wire,
                                e->origin == 0 || (e->reassembled && !host_emitted_unchanged(e)), now,
                                &number),
                  now);
}

static void on_lost(void *ctx, const struct host_emitted *e, const struct host_outcome *how)
{
    struct replay_run *r = ctx;

    if (e->rewritten)
        tell_made(r, e, how);
    else
        tell_injected(r, e, how, delay_lost(r->world->delay, e->origin, how), now_of(r->world));
}

static void on_released(void *ctx, UINT64 frame, bool injected)
{
    (void)injected;
    delay_released(((struct replay_run *)ctx)->world->delay, frame);
}

static void on_completed(void *ctx, const struct host_completed *c)
{
    struct world *w = ((struct replay_run *)ctx)->world;

    delay_completed(w->delay, c, now_of(w));
}

void world_host(struct host_config *config)
{
    config->emit = on_emit;
    config->lost = on_lost;
    config->released = on_released;
    config->completed = on_completed;
    config->knobs.inject_in_caller =
        false; /* what is told within host_frame() of its own frame would be lost */
}

/* ---- frames -------------------------------------------------------------------------------------------- */

void world_let(struct replay_run *r)
{
    struct world *w = r->world;

    if (!w->held)
        return;
    w->held = false;
    host_let(r->host);
}

/* Frames of the capture come one after the other while nobody else would run in between: then the host stays held
 * (host_hold()). Whoever comes to wait for it has it when this frame is done, as he would have had it without. Not where
 * others are let in at scheduling points: there the next frame's locks are some. */
static inline void feed(struct replay_run *r, const struct host_frame *f, bool waited, struct host_outcome *o)
{
    struct world *w = r->world;

    if (waited || !w->holds) {
        host_frame(r->host, f, o);
        return;
    }
    if (!w->held) {
        host_hold(r->host);
        w->held = true;
    }
    host_frame_held(r->host, f, o);
    if (__builtin_expect(host_wanted(r->host), 0))
        world_let(r);
}

/* The host has it, and what it says of it is told. piece: NULL, or the one that the frame is; it is gone
 * then. */
static int give(struct replay_run *r, const struct host_frame *f, const struct capture_packet *p,
                struct delay_piece *piece)
{
    const struct replay_config *config = r->config;
    struct world *w = r->world;
    struct host_outcome o;
    int result = 0;

    if (config->next != NULL)
        config->next(config->ctx, r->capture, p);
    delay_feeding(w->delay, f->number);
    w->since = now_of(w);
    feed(r, f, piece != NULL, &o);
    w->since = 0;
    note_macs(w, p, f->packet, &o);
    if (delay_fed(w->delay, piece, p, f->packet, &o, f->time_ns)) {
        result = tell(r, p, f->packet, &o, false);
        if (piece != NULL)
            delay_done(w->delay, piece);
    }
    return result != 0 ? result : tell_decided(r);
}

/* The one that is due first. */
static int give_due(struct replay_run *r)
{
    struct world *w = r->world;
    struct delay_piece *piece = delay_take(w->delay, &w->last);
    const struct host_frame f = {
        .packet = &piece->wire,
        .number = piece->packet.number,
        .time_ns = piece->packet.time_ns + piece->packet.delay_ns,
        .interface_index = piece->packet.interface + 1,
        .way = frame_way(&piece->packet, &piece->wire),
        .follows = piece->follows,
    };

    return give(r, &f, &piece->packet, piece);
}

/* All that can run now, without time moving. */
static int settle(struct replay_run *r, uint64_t now)
{
    struct world *w = r->world;

    host_advance(r->host, now);
    rt_sim_settle(w->sim, now);
    delay_settled(w->delay);
    return tell_decided(r);
}

static uint64_t next_change(const struct replay_run *r)
{
    return r->changes < r->config->change_count ? r->config->changes[r->changes].time_ns : UINT64_MAX;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Time goes to until_ns; what comes on the way is done. */
static int go_to(struct replay_run *r, uint64_t until_ns)
{
    struct world *w = r->world;

    for (;;) {
        const uint64_t now = now_of(w), due = delay_due(w->delay), change = next_change(r);
        int result = 0;

        if (rt_sim_ready(w->sim) || rt_sim_next_deadline(w->sim) <= now || !delay_at_rest(w->delay)) {
            result = settle(r, now);
        } else if (change <= now) {
            result = run_changes(r, now);
        } else if (due <= now) {
            result = give_due(r);
        } else if (now < until_ns) {
            const uint64_t next = least(due, least(change, rt_sim_next_deadline(w->sim))),
                           to = least(until_ns, next);

            /* Else nobody looks at the host's clock before the next frame moves it. */
            if (to == next || host_advance_due(r->host, to))
                host_advance(r->host, to);
            rt_sim_settle(w->sim, to);
            result = tell_decided(r);
        } else {
            return 0;
        }
        if (result != 0)
            return result;
    }
}

/* Does nothing come on the way, as between most frames? Then time has moved, which is what go_to() would have come to. */
static inline bool passes(struct replay_run *r, uint64_t until_ns)
{
    struct world *w = r->world;

    return w->failed == 0 && next_change(r) > until_ns && delay_is_quiet(w->delay, until_ns) &&
           !host_advance_due(r->host, until_ns) && rt_sim_pass(w->sim, until_ns);
}

int world_frame(struct replay_run *r)
{
    struct window *v = r->window;
    struct world *w = r->world;
    const size_t at = v->tail % WINDOW;
    const struct capture_packet *p = &v->packets[at];
    const struct host_frame *frame = &v->frames[at];
    struct host_frame follows;
    struct host_outcome o;
    int result = 0;

    if (__builtin_expect(!passes(r, frame->time_ns), 0)) {
        world_let(r);
        result = go_to(r, frame->time_ns);
        if (result != 0)
            return result;
    }
    if (frame->time_ns > w->last)
        w->last = frame->time_ns;
    switch (delay_frame(w->delay, p, &v->wires[at], &o)) {
    case DELAY_WAITS:
        return tell_decided(r);
    case DELAY_FATE:
        result = tell(r, p, &v->wires[at], &o, false);
        return result != 0 ? result : tell_decided(r);
    case DELAY_FEED_FOLLOWS:
        follows = *frame;
        follows.follows = true;
        return give(r, &follows, p, NULL);
    case DELAY_FEED:
        break;
    }
    return give(r, frame, p, NULL);
}

/* ---- life ---------------------------------------------------------------------------------------------- */

int world_enter(struct replay_run *r)
{
    const struct replay_drivers *d = r->config->drivers;
    const struct delay_limits limits = {.frames = d->waiting_frames, .bytes = d->waiting_bytes};
    struct rt_sim_config sim = d->world;
    struct world *w = calloc(1, sizeof(*w));
    int e;

    if (w == NULL)
        return -ENOMEM;
    r->world = w;
    sim.start_ns = r->window->head != 0 ? r->window->frames[0].time_ns : 0;
    w->last = sim.start_ns;
    w->macs = calloc(INTERFACES, sizeof(*w->macs));
    w->longest = calloc(INTERFACES, sizeof(*w->longest));
    if (w->macs == NULL || w->longest == NULL)
        return -ENOMEM;
    e = delay_create(&limits, &w->delay);
    if (e == 0)
        e = emits_create(&w->emits);
    if (e == 0)
        e = rt_sim_create(&sim, &w->sim);
    if (e == 0 && (e = rt_sim_enter(w->sim)) != 0) {
        rt_sim_destroy(w->sim);
        w->sim = NULL;
    }
    if (e != 0)
        return e;
    w->clock = rt_sim_clock(w->sim);
    w->holds = sim.preempt == 0;
    return watch_begin(r);
}

int world_start(struct replay_run *r)
{
    const struct replay_drivers *d = r->config->drivers;

    r->world->started = true;
    return d->start(d->ctx, r->host, r->error);
}

/* What waits has a while. */
static int have_patience(struct replay_run *r)
{
    const uint64_t patience = r->config->drivers->patience_ns;
    struct world *w = r->world;
    const uint64_t end = w->last + (patience != 0 ? patience : PATIENCE_NS);
    int result = go_to(r, now_of(w));

    while (result == 0 && (!delay_empty(w->delay) || host_stream_waits(r->host))) {
        const uint64_t to = least(delay_due(w->delay), rt_sim_next_deadline(w->sim));

        if (to > end)
            break;
        result = go_to(r, to);
    }
    return result;
}

int world_end(struct replay_run *r)
{
    const struct replay_drivers *d = r->config->drivers;
    struct world *w = r->world;
    struct delay_counts c;
    int result = 0, more;

    if (w->started) {
        result = have_patience(r);
        delay_counts(w->delay, &c);
        if (d->held != NULL && c.waiting + c.undecided != 0)
            d->held(d->ctx, c.waiting + c.undecided);
        delay_end_waiting(w->delay);
        d->stop(d->ctx, r->host);
        more = settle(r, now_of(w));
        result = result == 0 ? more : result;
        host_stream_flush(r->host);
    }
    delay_end(w->delay);
    more = tell_decided(r);
    result = result == 0 ? more : result;
    more = write_until(r, UINT64_MAX);
    delay_counts(w->delay, &c);
    r->out->sums.evicted = c.evicted;
    return result == 0 ? more : result;
}

void world_leave(struct replay_run *r)
{
    struct world *w = r->world;

    if (w == NULL)
        return;
    r->world = NULL;
    if (w->sim != NULL) {
        watch_end(w);
        rt_sim_leave(w->sim);
        rt_sim_destroy(w->sim);
    }
    emits_destroy(w->emits);
    delay_destroy(w->delay);
    free(w->macs);
    free(w->longest);
    free(w);
}

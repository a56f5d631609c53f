/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ale_flow: flows after they were authorized: how long they live, how they end, what people are told of them.
 *
 * Idle times. used is in 1/64 s; lifetime 0: as long as its connection. Whatever its lifetime says, a flow does
 * not run out while it is being asked about or is pended; its turn among the idle ones comes again then. (So
 * that to pend one and to let it go moves it in no list.) The idle time of unicast flows that no option set is
 * shortened as the table fills when the knob says so (ALE-07): half of it from 50 % of the limit on, a quarter
 * from 75 % on.
 *
 * The end (ale_end_flow()): EC of the connection's endpoint, flowDeleteFn of each context, RR (ALE-33); then
 * the entry goes. What was refused when it was asked again, or aborted, ends in the same way, but a TCP entry
 * stays as FLOW_MARK_TORN: later segments of the tuple are of a connection that is over.
 */
#include <string.h>

#include "host/stream_inside.h"
#include "host/redirect_inside.h"

UINT64 ale_now(struct lane *l)
{
    UINT64 now;

    lane_enter(l);
    now = ale_of(l)->now_ns;
    lane_leave(l);
    return now;
}

/* No lifetime is as long (uint16_t, in seconds), so that whatever is idle ends in it. */
#define LONG_STEP_NS (UINT64_C(86400) * 1000000000)

/* Ticks are of time that somebody might have waited: captures put together have years between two frames, and 2^32 ticks
 * are not three. */
void ale_clock(struct lane *l, UINT64 now_ns)
{
    const UINT64 start = l->host->config.start_ns;
    struct ale *a = ale_of(l);
    const UINT64 before = a->now_ns > start ? a->now_ns : start;
    UINT64 ticks;

    if (now_ns > before && now_ns - before > LONG_STEP_NS)
        a->left_out_ns += now_ns - before - LONG_STEP_NS;
    ticks = (now_ns > start ? now_ns - start - a->left_out_ns : 0) / (1000000000u / ALE_TICKS);
    a->now_ns = now_ns;
    a->tick = ticks < UINT32_MAX ? (UINT32)ticks : UINT32_MAX; /* flow_table.h: it stays there */
}

/* ---- what is told -----------------------------------------------------------------------------------------
 */

void ale_flow_info(const struct lane *l, const struct host_flow *f, enum host_flow_end end,
                   struct host_flow_info *out)
{
    const struct host_endpoint *e = ale_endpoint_at(l, f->endpoint);

    *out = (struct host_flow_info){
        .id = f->id,
        .endpoint_id = e != NULL ? e->id : 0,
        .parent_id = e != NULL && e->parent != NULL ? e->parent->id : 0,
        .version = f->key.version,
        .protocol = f->key.protocol,
        .inbound = f->flags & FLOW_INBOUND,
        .loopback = f->flags & FLOW_LOOPBACK,
        .mid_stream = f->flags & FLOW_MID_STREAM,
        .multicast = f->flags & FLOW_MULTICAST,
        .local = f->key.local,
        .local_port = f->key.local_port,
        .interface_index = f->arrival,
        .end = end,
        .owner = e != NULL ? e->party->owner : NULL,
    };
    if (__builtin_expect(redirected_any(l), 0))
        redirected_info(l, f->id, out);
    if (!(f->key.flags & FLOW_KEY_ANY_REMOTE)) {
        out->remote = f->key.remote;
        out->remote_port = f->key.remote_port;
    }
    if (f->key.flags & FLOW_KEY_ICMP) {
        out->icmp_id = f->key.local_port;
        out->local_port = f->key.remote_port >> 8;
        out->remote_port = f->key.remote_port & 0xff;
    }
}

void ale_flow_tell(struct lane *l, enum host_flow_change change, const struct host_flow_info *info)
{
    const struct host_observer *o = &l->host->config.observer;
    bool stayed;

    if (o->flow == NULL)
        return;
    if (o->light) {
        o->flow(o->ctx, change, info);
        return;
    }
    stayed = lane_rest(l);
    o->flow(o->ctx, change, info);
    lane_back(l, stayed);
}

struct told {
    struct lane *lane;
    void (*fn)(void *ctx, const struct host_flow_info *f);
    void *ctx;
};

static void tell_one(void *ctx, struct host_flow *f)
{
    struct told *t = ctx;
    struct host_flow_info info;

    if (f->marks & (FLOW_MARK_TORN | FLOW_MARK_GONE))
        return;
    ale_flow_info(t->lane, f, f->state == ALE_DENIED ? HOST_END_REFUSED : HOST_END_NONE, &info);
    t->fn(t->ctx, &info);
}

void host_flows(struct host *h, void (*fn)(void *ctx, const struct host_flow_info *f), void *ctx)
{
    for (size_t i = 0; i < h->lane_count; i++) {
        struct told t = {&h->lanes[i], fn, ctx};

        lane_lock(&h->lanes[i]);
        flow_table_each(h->lanes[i].flows, tell_one, &t);
        rt_mutex_unlock(h->lanes[i].lock);
    }
}

/* ---- idle times -------------------------------------------------------------------------------------------
 */

static uint32_t shortened(const struct lane *l, uint32_t seconds)
{
    uint64_t count = flow_table_count(l->flows), limit = l->host->limits.flows;

    if (!l->host->config.knobs.shorten_idle)
        return seconds;
    return count * 4 >= limit * 3 ? seconds / 4 : count * 2 >= limit ? seconds / 2 : seconds;
}

static bool may_shorten(const struct host_flow *f)
{
    return f->lifetime != 0 && !(f->marks & FLOW_MARK_OWN_LIFETIME) && !(f->flags & FLOW_MULTICAST);
}

void ale_flow_lifetime(struct lane *l, struct host_flow *f, uint32_t seconds, bool own)
{
    const uint16_t before = f->lifetime;

    f->marks = own ? f->marks | FLOW_MARK_OWN_LIFETIME : f->marks & ~FLOW_MARK_OWN_LIFETIME;
    f->lifetime = seconds < UINT16_MAX ? (uint16_t)seconds : UINT16_MAX;
    if (may_shorten(f))
        f->lifetime = (uint16_t)shortened(l, f->lifetime);
    if (f->lifetime != before || f->used != ale_tick(l))
        flow_table_touch(l->flows, f, ale_tick(l));
}

/* Its authorization is under way. */
static bool is_asked(const struct host_flow *f)
{
    return f->state == ALE_PENDED || f->state == ALE_CLASSIFYING || f->state == ALE_COMPLETING;
}

bool ale_flow_is_idle_slow(const struct lane *l, const struct host_flow *f)
{
    uint32_t lifetime = f->lifetime;

    if (lifetime == 0 || is_asked(f))
        return false;
    if (l->host->config.knobs.shorten_idle && may_shorten(f) && shortened(l, ALE_IDLE) < lifetime)
        lifetime = shortened(l, ALE_IDLE);
    return ale_tick(l) - f->used >= lifetime * ALE_TICKS;
}

void ale_refresh_flow_slow(struct lane *l, struct host_flow *f, bool inbound)
{
    if (f->flags & FLOW_REFRESH_OUT_ONLY && inbound)
        return; /* ALE-08 */
    if (l->host->config.knobs.shorten_idle && may_shorten(f))
        f->lifetime = (uint16_t)shortened(l, ALE_IDLE);
    flow_table_touch(l->flows, f, ale_tick(l));
}

void ale_refresh(struct scene *s)
{
    struct host_flow *f = s->flow;

    if (f == NULL || f->id != s->flow_id)
        return;
    ale_refresh_flow(s->lane, f, s->packet_direction == FWP_DIRECTION_INBOUND);
}

/* ---- the end ----------------------------------------------------------------------------------------------
 */

struct host_flow *ale_flow_at(struct lane *l, UINT32 slot, UINT64 id)
{
    struct host_flow *f = flow_table_at(l->flows, slot);

    return f != NULL && f->id == id ? f : NULL;
}

struct host_flow *ale_flow_oldest(struct lane *l)
{
    struct host_flow *f;

    lane_enter(l);
    f = flow_table_oldest(l->flows);
    lane_leave(l);
    return f;
}

void ale_flow_drop(struct lane *l, struct host_flow *f)
{
    struct host_endpoint *e = ale_endpoint_at(l, f->endpoint);

    if (e != NULL)
        ale_endpoint_give(l, e);
    f->endpoint = 0;
    tcp_forget(l, f);
    if (__builtin_expect(redirected_any(l), 0))
        redirected_end(l, f->id);
    flow_table_remove(l->flows, f);
}

/* All that the end of a flow brings about, but for taking the entry out. */
static void close_out(struct lane *l, UINT32 slot, UINT64 id, const struct scene *from)
{
    struct host_endpoint *e = NULL;
    struct host_flow *f;
    bool closes = false, waits = false;

    lane_enter(l);
    f = ale_flow_at(l, slot, id);
    if (f != NULL && (e = ale_endpoint_at(l, f->endpoint)) != NULL) {
        /* A socket that only tried to connect stays its program's. */
        closes = ale_is_tcp(f) && !(f->state == ALE_DENIED && ale_endpoint_of(e)->is_explicit);
        ale_endpoint_ref(e);
        if (ale_is_tcp(f)) {
            ale_endpoint_give(l, e);
            f->endpoint = 0;
        }
    }
    lane_leave(l);
    if (closes)
        (void)ale_endpoint_closure(l, e, from);
    if (e != NULL) { /* RED-31: it is told when the closure is completed */
        lane_enter(l);
        waits = redirect_closure_adds(l, e, id);
        lane_leave(l);
    }
    if (!waits)
        ale_contexts_end(l, id);
    if (closes && !waits)
        ale_endpoint_release(l, e, from);
    if (e != NULL) {
        lane_enter(l);
        ale_endpoint_unref(l, e);
        lane_leave(l);
    }
}

/* What waits in its stream is seen to before its contexts go. */
static void end_stream(struct lane *l, UINT32 slot, UINT64 id, bool aborted)
{
    bool stayed;

    if (!streams_any(l->host))
        return;
    stayed = lane_rest(l);
    stream_end(l->host, slot, id, aborted);
    lane_back(l, stayed);
}

void ale_refuse(struct lane *l, UINT32 slot, UINT64 id, const struct scene *from)
{
    close_out(l, slot, id, from);
}

void ale_end_flow(struct lane *l, struct host_flow *f, enum host_flow_end how)
{
    struct host_flow_info info;
    UINT32 slot;
    UINT64 id;
    bool torn;

    lane_enter(l);
    id = f->id;
    if (id == 0) {
        lane_leave(l);
        return;
    }
    slot = flow_table_slot(l->flows, f);
    torn = f->marks & (FLOW_MARK_TORN | FLOW_MARK_GONE);
    f->marks |= FLOW_MARK_GONE; /* from now on it is ours: nobody else ends it, or says so */
    ale_flow_info(l, f, f->state == ALE_DENIED ? HOST_END_REFUSED : how, &info);
    ale_operations_cancel(l, f->operations);
    lane_leave(l);

    end_stream(l, slot, id, how == HOST_END_ABORTED);
    close_out(l, slot, id, NULL);

    lane_enter(l);
    f = ale_flow_at(l, slot, id);
    if (f != NULL) {
        ale_flow_step(l, f, ALE_EVENT_END);
        if (how == HOST_END_EVICTED)
            host_count(&l->host->counts.flows_evicted);
        ale_flow_drop(l, f);
    }
    lane_leave(l);
    if (!torn)
        ale_flow_tell(l, HOST_FLOW_DELETED, &info);
}

/* Ended by a refused reauthorization or an abort. The entry stays, a TCP one until a
 * new SYN, others until they are looked at. */
void ale_tear_down(struct lane *l, UINT32 slot, UINT64 id, enum host_flow_end how, const struct scene *from)
{
    struct host_flow_info info;
    struct host_flow *f;

    lane_enter(l);
    f = ale_flow_at(l, slot, id);
    if (f != NULL && f->marks & (FLOW_MARK_TORN | FLOW_MARK_GONE))
        f = NULL;
    if (f != NULL) {
        ale_flow_info(l, f, how, &info);
        info.torn = ale_is_tcp(f);
        if (f->state == ALE_AUTHORIZED) /* a stream callout dropped it: nothing has refused it before */
            ale_flow_step(l, f, ALE_EVENT_END);
        f->marks |= ale_is_tcp(f) ? FLOW_MARK_TORN : FLOW_MARK_GONE;
        ale_operations_cancel(l, f->operations);
        ale_flow_lifetime(l, f, ALE_IDLE, false);
    }
    lane_leave(l);
    if (f == NULL)
        return;
    end_stream(l, slot, id, true);
    close_out(l, slot, id, from);
    ale_flow_tell(l, HOST_FLOW_DELETED, &info);
}

NTSTATUS host_flow_abort(struct host *h, UINT64 flow_id)
{
    struct lane *l = ale_visit(h);
    struct host_flow *f;
    UINT32 slot = 0;

    if (l == NULL)
        return STATUS_NO_MEMORY;
    lane_enter(l);
    f = flow_id != 0 ? flow_table_by_id(l->flows, flow_id) : NULL;
    if (f != NULL && f->marks & (FLOW_MARK_TORN | FLOW_MARK_GONE))
        f = NULL;
    if (f != NULL) {
        slot = flow_table_slot(l->flows, f);
        ale_flow_step(l, f, ALE_EVENT_END); /* a classify under way finds another generation */
    }
    lane_leave(l);
    if (f != NULL)
        ale_tear_down(l, slot, flow_id, HOST_END_ABORTED, NULL);
    ale_leave(l);
    return f != NULL ? STATUS_SUCCESS : STATUS_INVALID_PARAMETER;
}

struct expired {
    struct lane *lane;
    struct host_flow *flow;
    bool any;
};

static void note_expired(void *ctx, struct host_flow *f)
{
    struct expired *x = ctx;

    x->any = true;
    if (is_asked(f))
        flow_table_touch(x->lane->flows, f, ale_tick(x->lane));
    else
        x->flow = f;
}

void ale_flows_expire(struct lane *l)
{
    struct expired x;

    do {
        x = (struct expired){.lane = l};
        lane_enter(l);
        flow_table_expire(l->flows, ale_tick(l), 1, note_expired, &x);
        lane_leave(l);
        if (x.flow != NULL)
            ale_end_flow(l, x.flow, HOST_END_IDLE);
    } while (x.any);
}

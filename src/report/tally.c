/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tally: flows with their verdict and who gave it, frames by what became of them, classifications that
 * depend. Bounded: of flows the newest are kept, and longest those that were refused or depend; reasons and
 * dependences are few, and beyond their limits only counted.
 *
 * A flow's verdict is BLOCKED from its first block on (the discard layer's classification that follows a
 * block is none of its own: ORD-17); else what it depends on first; else the first answer of its ALE
 * authorization.
 */
#include <errno.h>
#include <stdlib.h>

#include "engine/arbitrate.h"
#include "tally.h"

int report_tally_create(struct report_names *names, size_t max_flows, struct report_tally **out)
{
    struct report_tally *t = calloc(1, sizeof *t);

    *out = t;
    if (t == NULL)
        return -ENOMEM;
    t->names = names;
    t->max_flows = max_flows != 0 ? max_flows : 100000;
    t->drops = calloc(MAX_DROPS, sizeof *t->drops);
    t->depends = calloc(MAX_DEPENDS, sizeof *t->depends);
    if (t->drops == NULL || t->depends == NULL) {
        report_tally_destroy(t);
        *out = NULL;
        return -ENOMEM;
    }
    return 0;
}

void report_tally_destroy(struct report_tally *t)
{
    if (t == NULL)
        return;
    free(t->flows);
    free(t->told);
    free(t->buckets);
    free(t->drops);
    free(t->depends);
    free(t);
}

/* ---- flows -------------------------------------------------------------------------------------------- */

/* Ids are the host's count: as they are, each has a bucket of its own, beside those of its time. */
static UINT32 *bucket(const struct report_tally *t, UINT64 id)
{
    return &t->buckets[id & (t->bucket_count - 1)];
}

static struct tally_flow *find(const struct report_tally *t, UINT64 id)
{
    for (UINT32 i = t->bucket_count != 0 ? *bucket(t, id) : 0; i != 0; i = t->flows[i - 1].next) {
        if (t->flows[i - 1].id == id)
            return &t->flows[i - 1];
    }
    return NULL;
}

static bool plain(const struct tally_flow *f)
{
    return !f->blocked && !f->refused && f->depends == 0;
}

static void hang_in(struct report_tally *t, UINT32 index)
{
    UINT32 *b = bucket(t, t->flows[index].id);

    t->flows[index].next = *b;
    *b = index + 1;
}

static void hang_out(struct report_tally *t, UINT32 index)
{
    UINT32 *b = bucket(t, t->flows[index].id);

    while (*b != index + 1)
        b = &t->flows[*b - 1].next;
    *b = t->flows[index].next;
}

static void count_gone(struct report_tally *t, const struct tally_flow *f)
{
    t->unlisted++;
    if (f->blocked || f->refused)
        t->gone_blocked++;
    else if (f->depends != 0)
        t->gone_depends++;
    else
        t->gone_permitted++;
}

/* Room for twice as many. */
static bool grow(struct report_tally *t)
{
    UINT32 room = t->flow_room == 0 ? 256 : t->flow_room * 2;
    struct tally_flow *flows;
    struct tally_told *told;
    UINT32 *buckets;

    if (room > t->max_flows)
        room = (UINT32)t->max_flows;
    if (room <= t->flow_room)
        return false;
    flows = realloc(t->flows, room * sizeof *flows);
    if (flows == NULL)
        return false;
    t->flows = flows;
    told = realloc(t->told, room * sizeof *told);
    if (told == NULL)
        return false;
    t->told = told;
    if (t->bucket_count >= room) {
        t->flow_room = room;
        return true;
    }
    buckets = calloc((size_t)(t->bucket_count == 0 ? 256 : t->bucket_count * 2), sizeof *buckets);
    if (buckets == NULL)
        return false;
    free(t->buckets);
    t->buckets = buckets;
    t->bucket_count = t->bucket_count == 0 ? 256 : t->bucket_count * 2;
    t->flow_room = room;
    for (UINT32 i = 0; i < t->flow_count; i++)
        hang_in(t, i);
    return true;
}

#define LOOK_FOR_PLAIN 64 /* rows looked at for one that may give way */

/* The flow's row, a new one if need be; NULL: it cannot be kept. */
static struct tally_flow *row(struct report_tally *t, UINT64 id)
{
    struct tally_flow *f = id <= t->highest ? find(t, id) : NULL;
    UINT32 index;

    if (f != NULL || id == 0)
        return f;
    if (t->flow_count < t->flow_room || grow(t)) {
        index = t->flow_count++;
    } else {
        if (t->flow_count == 0)
            return NULL;
        tally_settle(t); /* a verdict that waits may save a row */
        index = t->flow_count;
        for (unsigned tries = 0; tries < LOOK_FOR_PLAIN && index == t->flow_count; tries++) {
            if (plain(&t->flows[t->hand]))
                index = t->hand;
            t->hand = (t->hand + 1) % t->flow_count;
        }
        if (index == t->flow_count)
            index = t->hand; /* all of them are of interest: the oldest goes */
        t->hand = (index + 1) % t->flow_count;
        if (t->flows[index].listed)
            count_gone(t, &t->flows[index]);
        hang_out(t, index);
    }
    t->flows[index] = (struct tally_flow){.id = id};
    t->told[index] = (struct tally_told){.layer = NULL};
    t->highest = id > t->highest ? id : t->highest;
    hang_in(t, index);
    return &t->flows[index];
}

void report_tally_flow(void *ctx, enum host_flow_change change, const struct host_flow_info *f)
{
    struct report_tally *t = ctx;
    bool seen = f->id <= t->newest;
    struct tally_flow *r;
    struct tally_told *told;

    if (change == HOST_FLOW_DELETED && seen) /* its row has all that the table tells */
        return;
    r = row(t, f->id);

    if (!seen) {
        t->newest = f->id;
        t->created++;
    }
    if (r == NULL) {
        if (!seen)
            t->unlisted++, t->gone_permitted++;
        return;
    }
    if (!r->listed && seen && t->gone_permitted != 0) { /* it had given way, as permitted ones do first */
        t->unlisted--;
        t->gone_permitted--;
    }
    r->listed = true;
    if (change == HOST_FLOW_REFUSED)
        r->refused = true;
    told = &t->told[r - t->flows];
    told->local = f->local;
    told->remote = f->remote;
    told->local_port = f->local_port;
    told->remote_port = f->remote_port;
    told->version = f->version;
    told->protocol = f->protocol;
    told->inbound = f->inbound;
    if (f->redirected_by != 0) {
        told->redirected_by_id = f->redirected_by;
        told->redirected_by = report_names_filter(t->names, f->redirected_by);
        told->asked = f->asked_remote;
        told->asked_port = f->asked_remote_port;
    }
    if (f->owner != NULL) /* a refused flow's endpoint is gone by the time that it is told of */
        told->owner = f->owner;
}

/* ---- classifications ------------------------------------------------------------------------------------
 */

/* The layers whose answer a flow's people would call its verdict. */
static bool authorizes(const struct engine_layer *layer)
{
    switch (layer->id) {
    case FWPS_LAYER_ALE_AUTH_CONNECT_V4:
    case FWPS_LAYER_ALE_AUTH_CONNECT_V6:
    case FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V4:
    case FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V6:
        return true;
    default:
        return false;
    }
}

static bool same_depends(const struct tally_depends *d, const struct engine_layer *layer,
                         const struct host_answer *a)
{
    static const GUID none;
    const GUID *callout = a->depends_on_callout != NULL ? a->depends_on_callout : &none;

    return d->layer == layer && d->fields == a->depends_on &&
           memcmp(&d->callout, callout, sizeof d->callout) == 0;
}

/* 1 + index, 0: beyond the limit. */
static UINT32 note_depends(struct report_tally *t, const struct engine_layer *layer,
                           const struct host_answer *a)
{
    UINT32 i = t->recent_depends;

    if (i >= t->depend_count || !same_depends(&t->depends[i], layer, a))
        for (i = 0; i < t->depend_count && !same_depends(&t->depends[i], layer, a);)
            i++;
    if (i == MAX_DEPENDS) {
        t->other_depends++;
        return 0;
    }
    if (i == t->depend_count) {
        t->depends[i] = (struct tally_depends){.layer = layer, .fields = a->depends_on};
        if (a->depends_on_callout != NULL)
            t->depends[i].callout = *a->depends_on_callout;
        t->depend_count++;
    }
    t->recent_depends = i;
    if (a->verdict.action == FWP_ACTION_BLOCK)
        t->depends[i].blocked++;
    else
        t->depends[i].permitted++;
    return i + 1;
}

static void decided(struct report_tally *t, const struct tally_flow *r, const struct engine_layer *layer,
                    UINT64 filter_id)
{
    struct tally_told *told = &t->told[r - t->flows];

    told->layer = layer;
    told->filter = report_names_filter(t->names, filter_id);
}

void tally_settle(struct report_tally *t)
{
    for (UINT32 i = 0; i < t->later_count && t->bucket_count != 0; i++) {
        UINT32 index = *bucket(t, t->later[i].id);

        if (index != 0)
            __builtin_prefetch(&t->flows[index - 1].id);
    }
    for (UINT32 i = 0; i < t->later_count; i++) {
        const struct tally_later *x = &t->later[i];
        struct tally_flow *r = find(t, x->id);

        if (r == NULL)
            continue;
        r->passed += x->passed;
        r->dropped += x->dropped;
        if (x->layer != NULL && !r->blocked && r->depends == 0) {
            r->depends = x->depends;
            decided(t, r, x->layer, x->filter_id);
        }
    }
    t->later_count = 0;
}

/* A place for what waits for this flow's row, if it is of another flow than the last one. It is filled in where it
 * stands: a copy of what was just stored in parts would wait for the stores. */
static inline struct tally_later *put_off(struct report_tally *t, UINT64 id)
{
    struct tally_later *x = &t->later[(t->later_count - 1) % LATER];

    if (t->later_count != 0 && x->id == id && x->passed < UINT16_MAX && x->dropped < UINT16_MAX)
        return x;
    if (t->later_count == LATER)
        tally_settle(t);
    if (t->bucket_count != 0)
        __builtin_prefetch(bucket(t, id));
    x = &t->later[t->later_count++];
    x->id = id;
    x->layer = NULL;
    x->passed = x->dropped = 0;
    return x;
}

/* A classification of the flow depends, which is none of its authorization. What it depends on first counts. */
static void put_off_depends(struct report_tally *t, UINT64 id, const struct engine_layer *layer,
                            const struct host_answer *a, UINT32 on)
{
    struct tally_later *x = put_off(t, id);

    if (x->layer != NULL && x->depends != 0)
        return;
    x->layer = layer;
    x->filter_id = a->verdict.filter_id;
    x->depends = (UINT16)on;
}

void report_tally_repeated(void *ctx, const struct engine_layer *layer, const struct host_answer *a,
                           UINT64 flow_id)
{
    struct report_tally *t = ctx;
    const UINT32 on = note_depends(t, layer, a);

    if (flow_id != 0)
        put_off_depends(t, flow_id, layer, a, on);
}

void report_tally_classified(void *ctx, const struct host_event *e)
{
    struct report_tally *t = ctx;
    bool refuses = !e->empty && e->answer != NULL && e->answer->verdict.action == FWP_ACTION_BLOCK;
    /* Taken away by a callout: what it makes of that later decides, or that nothing came of it
     * (count_flow()). */
    bool absorbs = refuses && (e->answer->verdict.flags & ENGINE_VERDICT_ABSORB) != 0;
    bool block = refuses && !absorbs;
    bool depends = !e->empty && e->answer != NULL && e->answer->depends;
    struct tally_flow *r;
    UINT32 on;

    if (e->cause == HOST_CAUSE_DISCARD || e->cause == HOST_CAUSE_CLOSE)
        return;
    if (absorbs || (!block && !depends && !authorizes(e->layer)))
        return;
    on = depends ? note_depends(t, e->layer, e->answer) : 0;
    if (!block && !authorizes(e->layer)) {
        if (e->flow_id != 0)
            put_off_depends(t, e->flow_id, e->layer, e->answer, on);
        return;
    }
    r = row(t, e->flow_id);
    if (r != NULL && r->held && !block &&
        authorizes(e->layer)) { /* it was only held, and now it is decided */
        r->blocked = r->held = false;
        decided(t, r, e->layer, e->empty || e->answer == NULL ? 0 : e->answer->verdict.filter_id);
    }
    if (r == NULL || r->blocked)
        return;
    r->held = block && authorizes(e->layer) && (e->answer->verdict.flags & ENGINE_VERDICT_ABSORB) != 0;
    if (block || tally_told(t, r)->layer == NULL || (depends && r->depends == 0)) {
        r->blocked = block;
        decided(t, r, e->layer, e->empty || e->answer == NULL ? 0 : e->answer->verdict.filter_id);
    }
    if (depends && r->depends == 0)
        r->depends = (UINT16)on;
}

/* ---- frames -----------------------------------------------------------------------------------------------
 */

static bool same_drop(const struct tally_drop *x, const struct tally_drop *key)
{
    return x->fate == key->fate && x->note == key->note && x->layer == key->layer &&
           x->filter == key->filter && x->filter_id == key->filter_id && x->module == key->module &&
           x->reason == key->reason && x->fault == key->fault && x->injected == key->injected;
}

/* A reason that is nobody's: of the host's own fates alone, all but a few. */
static bool is_last_drop(const struct report_tally *t, const struct host_outcome *o, bool injected)
{
    const UINT32 at = t->recent[o->fate];
    const struct tally_drop *d = &t->drops[at];

    return o->fate != HOST_BLOCKED && o->fate != HOST_ABSORBED && o->fate != HOST_STACK &&
           at < t->drop_count && d->fate == o->fate && d->note == o->note && d->fault == o->fault &&
           d->injected == injected;
}

static struct tally_drop *drop_of(struct report_tally *t, const struct host_outcome *o, bool injected)
{
    bool policy = o->fate == HOST_BLOCKED || o->fate == HOST_ABSORBED;
    struct tally_drop key = {.fate = o->fate,
                             .note = o->note,
                             .layer = policy || o->fate == HOST_STACK ? o->layer : NULL,
                             .filter = policy ? report_names_filter(t->names, o->filter_id) : NULL,
                             .filter_id = policy ? o->filter_id : 0,
                             .module = o->fate == HOST_STACK ? o->module : 0,
                             .reason = o->fate == HOST_STACK ? o->reason : 0,
                             .fault = o->fault,
                             .injected = injected};
    UINT32 at = t->recent[o->fate];

    if (at >= t->drop_count || !same_drop(&t->drops[at], &key))
        for (at = 0; at < t->drop_count && !same_drop(&t->drops[at], &key);)
            at++;
    if (at == MAX_DROPS)
        return NULL;
    if (at == t->drop_count) {
        t->drop_count++;
        t->drops[at] = key;
    }
    t->recent[o->fate] = at;
    return &t->drops[at];
}

static void count_drop(struct report_tally *t, uint32_t length, const struct host_outcome *o, bool written,
                       bool injected)
{
    struct tally_drop *d =
        is_last_drop(t, o, injected) ? &t->drops[t->recent[o->fate]] : drop_of(t, o, injected);

    if (d == NULL) {
        t->other_drops++;
        return;
    }
    d->frames++;
    d->bytes += length;
    d->written += written;
}

/* A callout of its own blocked the flow, at once or later, or an unheard layer did. */
static __attribute__((noinline)) void block_flow(struct report_tally *t, UINT64 id,
                                                 const struct host_outcome *o)
{
    struct tally_flow *r = find(t, id);

    if (r != NULL && !r->blocked) {
        r->blocked = true;
        decided(t, r, o->layer, o->filter_id);
    }
}

static inline void count_flow(struct report_tally *t, UINT64 id, const struct host_outcome *o)
{
    const unsigned through = 1u << HOST_PASSED | 1u << HOST_STACK | 1u << HOST_IGNORED | 1u << HOST_REWRITTEN;
    struct tally_later *x = put_off(t, id);

    if ((through >> o->fate & 1) != 0)
        x->passed++;
    else
        x->dropped++;
    if (o->fate == HOST_BLOCKED || (o->fate == HOST_ABSORBED && o->layer != NULL && authorizes(o->layer)))
        block_flow(t, id, o);
}

void report_tally_frame(struct report_tally *t, const struct wire_packet *p, const struct host_outcome *o,
                        bool written)
{
    if (o->flow_id != 0)
        count_flow(t, o->flow_id, o);
    if (__builtin_expect(o->sender_flow_id != 0, 0))
        count_flow(t, o->sender_flow_id, o);
    if (o->fate != HOST_PASSED && o->fate != HOST_IGNORED && o->fate != HOST_REWRITTEN)
        count_drop(t, p != NULL ? p->length : 0, o, written, false);
}

void report_tally_lost(struct report_tally *t, uint32_t size, const struct host_outcome *o)
{
    count_drop(t, size, o, false, true);
}

void report_tally_totals(struct report_tally *t, struct report_totals *out)
{
    tally_settle(t);
    *out = (struct report_totals){.flows = t->created,
                                  .flows_permitted = t->gone_permitted,
                                  .flows_blocked = t->gone_blocked,
                                  .flows_depend = t->gone_depends,
                                  .flows_unlisted = t->unlisted,
                                  .depends = t->other_depends};
    for (UINT32 i = 0; i < t->flow_count; i++) {
        if (!t->flows[i].listed)
            continue;
        if (t->flows[i].blocked || t->flows[i].refused)
            out->flows_blocked++;
        else if (t->flows[i].depends != 0)
            out->flows_depend++;
        else
            out->flows_permitted++;
    }
    for (UINT32 i = 0; i < t->drop_count; i++) {
        if (t->drops[i].fate == HOST_BLOCKED)
            out->blocked += t->drops[i].frames;
        else if (t->drops[i].fate == HOST_ABSORBED)
            out->absorbed += t->drops[i].frames;
    }
    for (UINT32 i = 0; i < t->depend_count; i++)
        out->depends += t->depends[i].permitted + t->depends[i].blocked;
}

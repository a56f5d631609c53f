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
#include <sys/mman.h>

#include "engine/arbitrate.h"
#include "tally.h"

/* Rows, and what finds them, for all flows that may be kept. */
static bool make_room(struct report_tally *t, size_t max_flows)
{
    size_t places = 256;

    if (max_flows > MAX_FLOWS)
        max_flows = MAX_FLOWS;
    t->shift = 8;
    for (; places < max_flows; places *= 2)
        t->shift++;
    t->max_flows = (UINT32)max_flows;
    t->mask = (UINT32)(places - 1);
    t->mapped =
        places * (sizeof *t->cells + sizeof *t->buckets) + max_flows * (sizeof *t->flows + sizeof *t->told);
    /* From the system: malloc() would clear what it gave to somebody before. What is not touched is not reserved. */
    t->cells =
        mmap(NULL, t->mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (t->cells == MAP_FAILED) {
        t->cells = NULL;
        return false;
    }
    t->told = (struct tally_told *)(void *)(t->cells + places);
    t->flows = (struct tally_flow *)(void *)(t->told + max_flows);
    t->buckets = (UINT32 *)(void *)(t->flows + max_flows);
    return true;
}

int report_tally_create(struct report_names *names, size_t max_flows, struct report_tally **out)
{
    struct report_tally *t = calloc(1, sizeof *t);

    *out = t;
    if (t == NULL)
        return -ENOMEM;
    t->names = names;
    t->drops = calloc(MAX_DROPS, sizeof *t->drops);
    t->depends = calloc(MAX_DEPENDS, sizeof *t->depends);
    if (t->drops == NULL || t->depends == NULL || !make_room(t, max_flows != 0 ? max_flows : 100000)) {
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
    if (t->cells != NULL)
        munmap(t->cells, t->mapped);
    free(t->redirected);
    free(t->drops);
    free(t->depends);
    free(t);
}

/* ---- flows -------------------------------------------------------------------------------------------- */

/* Ids are the host's count: as they are, each has a bucket of its own, beside those of its time. */
static UINT32 *bucket(const struct report_tally *t, UINT64 id)
{
    return &t->buckets[id & t->mask];
}

static struct tally_flow *find(const struct report_tally *t, UINT64 id)
{
    for (UINT32 i = *bucket(t, id); i != 0; i = t->flows[i - 1].next) {
        if (t->flows[i - 1].id == id)
            return &t->flows[i - 1];
    }
    return NULL;
}

/* The flow's cell; it may be somebody else's. */
static inline struct tally_cell *cell_of(const struct report_tally *t, UINT64 id)
{
    return &t->cells[id & t->mask];
}

static inline bool is_cell(const struct report_tally *t, const struct tally_cell *c, UINT64 id)
{
    return c->whose == (UINT32)(id >> t->shift) + 1;
}

/* Its frames go to the row of the flow whose it is. */
static void cell_empty(const struct report_tally *t, struct tally_cell *c, UINT64 of)
{
    struct tally_flow *r = find(t, of);

    if (r != NULL) {
        r->passed += c->passed;
        r->dropped += c->dropped;
    }
    c->passed = 0;
    c->dropped = 0;
}

static void cell_take(struct report_tally *t, UINT64 id)
{
    struct tally_cell *c = cell_of(t, id);

    if (c->whose != 0)
        cell_empty(t, c, (UINT64)(c->whose - 1) << t->shift | (id & t->mask));
    *c = (struct tally_cell){.whose = (UINT32)(id >> t->shift) + 1};
}

void tally_fold(struct report_tally *t)
{
    for (UINT32 i = 0; i < t->flow_count; i++) {
        struct tally_cell *c = cell_of(t, t->flows[i].id);

        if (is_cell(t, c, t->flows[i].id))
            cell_empty(t, c, t->flows[i].id);
    }
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

/* A place for the ends that were asked for; 0: no memory. */
static UINT32 redirected_new(struct report_tally *t)
{
    UINT32 at = t->redirected_free;

    if (at != 0) {
        t->redirected_free = t->redirected[at - 1].next;
        return at;
    }
    if (t->redirected_count == t->redirected_room) {
        UINT32 room = t->redirected_room == 0 ? 64 : 2 * t->redirected_room;
        struct tally_redirected *more = realloc(t->redirected, room * sizeof *more);

        if (more == NULL)
            return 0;
        t->redirected = more;
        t->redirected_room = room;
    }
    return ++t->redirected_count;
}

static void redirected_drop(struct report_tally *t, UINT32 at)
{
    t->redirected[at - 1].next = t->redirected_free;
    t->redirected_free = at;
}

/* A row gives way. */
static void leave(struct report_tally *t, UINT32 index)
{
    struct tally_cell *c = cell_of(t, t->flows[index].id);

    if (t->flows[index].listed)
        count_gone(t, &t->flows[index]);
    if (t->told[index].redirected != 0)
        redirected_drop(t, t->told[index].redirected);
    if (is_cell(t, c, t->flows[index].id))
        *c = (struct tally_cell){.whose = 0};
    hang_out(t, index);
}

#define LOOK_FOR_PLAIN 64 /* rows looked at for one that may give way */

/* The flow's row, a new one if need be; NULL: it is nobody's. */
static struct tally_flow *row(struct report_tally *t, UINT64 id)
{
    struct tally_flow *f = id <= t->highest ? find(t, id) : NULL;
    UINT32 index;

    if (f != NULL || id == 0)
        return f;
    if (t->flow_count < t->max_flows) {
        index = t->flow_count++;
    } else {
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
        leave(t, index);
    }
    t->flows[index] = (struct tally_flow){.id = id};
    t->told[index] = (struct tally_told){.layer = 0};
    t->highest = id > t->highest ? id : t->highest;
    cell_take(t, id);
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
    if (r == NULL)
        return;
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
    if (f->redirected_by != 0 && (told->redirected != 0 || (told->redirected = redirected_new(t)) != 0))
        t->redirected[told->redirected - 1] =
            (struct tally_redirected){.by = report_names_filter(t->names, f->redirected_by),
                                      .by_id = f->redirected_by,
                                      .asked = f->asked_remote,
                                      .asked_port = f->asked_remote_port};
    if (f->owner != NULL) /* a refused flow's endpoint is gone by the time that it is told of */
        told->owner = f->owner;
}

bool report_tally_changed(void *ctx, enum host_flow_change change, UINT64 flow_id)
{
    const struct report_tally *t = ctx;
    struct tally_flow *r = find(t, flow_id);

    if (r == NULL || !r->listed || (change != HOST_FLOW_AUTHORIZED && change != HOST_FLOW_REFUSED))
        return false;
    r->refused |= change == HOST_FLOW_REFUSED;
    return true;
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

    told->layer = layer != NULL ? (UINT16)(layer->id + 1) : 0;
    told->filter = report_names_filter(t->names, filter_id);
}

/* What it depends on first counts, and a block more. A flow that is only held may still be let go. */
static inline bool is_settled(const struct tally_flow *r)
{
    return r->depends != 0 || (r->blocked && !r->held);
}

void tally_settle(struct report_tally *t)
{
    for (UINT32 i = 0; i < t->later_count; i++) {
        UINT32 index = *bucket(t, t->later[i].id);

        if (index != 0)
            __builtin_prefetch(&t->flows[index - 1].id);
    }
    for (UINT32 i = 0; i < t->later_count; i++) {
        const struct tally_later *x = &t->later[i];
        struct tally_cell *c = cell_of(t, x->id);
        struct tally_flow *r = find(t, x->id);

        if (r == NULL)
            continue;
        if (!r->blocked && r->depends == 0) {
            r->depends = x->depends;
            decided(t, r, x->layer, x->filter_id);
        }
        if (is_cell(t, c, x->id))
            c->settled = is_settled(r);
    }
    t->later_count = 0;
}

/* A classification of the flow depends, which is none of its authorization. It waits for the flow's row, if that is
 * another flow's than the last one; what is filled in later would wait for the stores. */
static void put_off_depends(struct report_tally *t, UINT64 id, const struct engine_layer *layer,
                            const struct host_answer *a, UINT32 on)
{
    const struct tally_cell *c = cell_of(t, id);
    struct tally_later *x;

    if (is_cell(t, c, id) && c->settled)
        return;
    if (t->later_count != 0 && t->later[t->later_count - 1].id == id) {
        x = &t->later[t->later_count - 1];
        if (x->depends != 0)
            return;
    } else {
        if (t->later_count == LATER)
            tally_settle(t);
        __builtin_prefetch(bucket(t, id));
        x = &t->later[t->later_count++];
        x->id = id;
    }
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
    if (block || tally_told(t, r)->layer == 0 || (depends && r->depends == 0)) {
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

static inline void count_drop(struct report_tally *t, uint32_t length, const struct host_outcome *o,
                              bool written, bool injected)
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

/* Its cell is full, or somebody else's. */
static __attribute__((noinline)) void count_in_row(struct report_tally *t, UINT64 id, bool through)
{
    struct tally_cell *c = cell_of(t, id);
    struct tally_flow *r = find(t, id);

    if (is_cell(t, c, id))
        cell_empty(t, c, id);
    if (r != NULL && through)
        r->passed++;
    else if (r != NULL)
        r->dropped++;
}

void report_tally_soon(const struct report_tally *t, UINT64 flow_id)
{
    __builtin_prefetch(cell_of(t, flow_id), 1);
}

static inline void count_passed(struct report_tally *t, UINT64 id)
{
    struct tally_cell *c = cell_of(t, id);

    if (__builtin_expect(is_cell(t, c, id) && c->passed < UINT16_MAX, 1))
        c->passed++;
    else
        count_in_row(t, id, true);
}

static void count_flow(struct report_tally *t, UINT64 id, const struct host_outcome *o)
{
    const unsigned through = 1u << HOST_PASSED | 1u << HOST_STACK | 1u << HOST_IGNORED | 1u << HOST_REWRITTEN;
    struct tally_cell *c = cell_of(t, id);

    if ((through >> o->fate & 1) != 0) {
        count_passed(t, id);
        return;
    }
    if (is_cell(t, c, id) && c->dropped < UINT8_MAX)
        c->dropped++;
    else
        count_in_row(t, id, false);
    if (o->fate == HOST_BLOCKED || (o->fate == HOST_ABSORBED && o->layer != NULL && authorizes(o->layer)))
        block_flow(t, id, o);
}

/* What did not simply pass. */
static __attribute__((noinline)) void count_special(struct report_tally *t, const struct wire_packet *p,
                                                    const struct host_outcome *o, bool written)
{
    if (o->flow_id != 0)
        count_flow(t, o->flow_id, o);
    if (__builtin_expect(o->sender_flow_id != 0, 0))
        count_flow(t, o->sender_flow_id, o);
    if (o->fate != HOST_PASSED && o->fate != HOST_IGNORED && o->fate != HOST_REWRITTEN)
        count_drop(t, p != NULL ? p->length : 0, o, written, false);
}

void report_tally_frame(struct report_tally *t, const struct wire_packet *p, const struct host_outcome *o,
                        bool written)
{
    if (o->fate == HOST_PASSED && o->flow_id != 0 && o->sender_flow_id == 0)
        count_passed(t, o->flow_id);
    else
        count_special(t, p, o, written);
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

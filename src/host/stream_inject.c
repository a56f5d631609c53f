/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream_inject: FwpsStreamInjectAsync0 and FwpsStreamContinue0 (STR-14, 15, 17..26).
 *
 *   host_stream_inject() -> checks; the bytes are copied -> struct stream_work
 *      on the thread that asks this very callout about this direction:  now, behind its stage (STR-17)
 *      from elsewhere: the host's injector: QUEUED -> it has the turn -> in, behind the callout's stage
 *                                            somebody is inside, further out on this stack: when he is done
 *   each list of the chain is an injection of its own in the injector's queue: completed once, in their order, after
 *   the bytes are in (INJ-04, 30); a continuation is one without a completion
 *
 * A work refers to its stream, so that it is not freed; what ended meanwhile takes nothing in: STATUS_NOT_FOUND in
 * the lists.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "host/ale_inside.h"
#include "host/inject_inside.h"
#include "host/stream_inside.h"
#include "host/walk.h"
#include "ledger/ledger.h"

struct stream_work {
    struct stream_work *next; /* of stream_dir.later */
    struct stream *st;        /* held */
    struct stream_chunk *chunks;
    const void *site; /* who injects */
    UINT32 callout;
    uint8_t dir;
    bool goes_on; /* a continuation */
    bool outside; /* of a classifyFn */
    bool turned;  /* it is a clone of the other direction's data */
    NTSTATUS status;
};

static void work_free(struct stream_work *w)
{
    while (w->chunks != NULL) {
        struct stream_chunk *next = w->chunks->next;

        stream_chunk_free(w->chunks);
        w->chunks = next;
    }
    stream_let(w->st);
    free(w);
}

void stream_work_free(struct stream_work *w)
{
    if (w != NULL)
        work_free(w);
}

/* The first that was injected while somebody was inside. */
static struct stream_work *take_later(struct stream_dir *d)
{
    struct stream_work *first = d->later != NULL ? d->later->next : NULL;

    if (first == d->later)
        d->later = NULL;
    else
        d->later->next = first->next;
    return first;
}

static void put_later(struct stream_dir *d, struct stream_work *w)
{
    w->next = d->later != NULL ? d->later->next : w;
    if (d->later != NULL)
        d->later->next = w;
    d->later = w;
}

void stream_drop_later(struct stream_dir *d)
{
    struct stream_work *w;

    while ((w = take_later(d)) != NULL)
        work_free(w);
}

/* ---- in the pipeline */

/* Behind which stage: the last of the callout's, or the last that has taken something out. UINT_MAX: it has none. */
static unsigned stage_of(const struct stream_dir *d, UINT32 callout)
{
    unsigned found = UINT_MAX;

    for (unsigned i = 0; i < d->set->count; i++)
        if (d->set->stages[i].callout == callout &&
            (found == UINT_MAX || d->places[i].took || !d->places[found].took))
            found = i;
    return found;
}

/* Can anything still come behind the stage: has the direction's end not gone by there? */
static bool is_open(const struct stream_dir *d, unsigned k)
{
    for (unsigned i = k + 1; i < d->set->count; i++) /* each: some may have come after the end had gone by */
        if (d->places[i].marked || d->places[i].ended)
            return false;
    return !d->ended;
}

/* STR-22: outside a classifyFn only where the stream is deferred, its end was taken out, or all is taken out for later. */
static void look_for_outside(struct stream_run *r, unsigned k, const struct stream_work *w)
{
    const struct stream_dir *d = &r->st->dir[r->dir];
    const struct stream_chunk *c = w->chunks;
    bool may = false;

    if (w->turned)
        stream_report(r, k, STREAM_INJECTED_OTHER_WAY, w->site);
    if (!w->outside || c == NULL || c->kind != STREAM_DATA)
        return;
    for (UINT32 i = 0; i < d->set->count; i++) {
        struct stream_place *p = &d->places[i];

        if (d->set->stages[i].callout != w->callout)
            continue;
        p->apart = p->apart || (p->waits != STREAM_DEFERS && p->took && !p->let);
        may = may || p->apart || p->took_end || p->waits == STREAM_DEFERS;
    }
    if (!may)
        stream_report(r, k, STREAM_INJECTED_OUTSIDE, w->site);
}

/* Was the end shown to the stage: has it gone through, or is it what its callout is asked about now? */
static bool was_shown_end(const struct stream_run *r, unsigned k)
{
    const struct stream_place *p = &r->st->dir[r->dir].places[k];

    return p->ended ||
           (r->outer != NULL && r->outer->asking == k && p->head != NULL && p->head->kind == STREAM_MARK);
}

static NTSTATUS put_behind(struct stream_run *r, unsigned k, struct stream_work *w)
{
    struct stream_dir *d = &r->st->dir[r->dir];

    if (!is_open(d, k))
        return STATUS_NOT_FOUND; /* STR-26 */
    look_for_outside(r, k, w);
    while (w->chunks != NULL) {
        struct stream_chunk *c = w->chunks;

        w->chunks = c->next;
        c->next = NULL;
        if (c->kind == STREAM_MARK && !was_shown_end(r, k))
            stream_report(r, k, STREAM_END_INVENTED, w->site); /* STR-25 */
        stream_count(&r->host->streams->counts.injected, c->size);
        if (k + 1 < d->set->count)
            stream_append(r, k + 1, c);
        else
            stream_out(r, c);
    }
    if (k + 1 < d->set->count)
        stream_work(r, k + 1);
    return STATUS_SUCCESS;
}

static void carry_out(struct stream_run *r, struct stream_work *w)
{
    struct stream_dir *d = &r->st->dir[r->dir];
    const unsigned k = stage_of(d, w->callout);

    if (!w->goes_on) {
        w->status = k != UINT_MAX ? put_behind(r, k, w) : STATUS_NOT_FOUND;
        return;
    }
    for (unsigned i = d->set->count; i-- > 0;) {
        struct stream_place *p = &d->places[i];

        if (d->set->stages[i].callout != w->callout || (p->waits != STREAM_DEFERS && !p->allowed))
            continue;
        p->again = p->waits == STREAM_DEFERS;
        stream_work(r, i);
    }
}

static void carry_out_one(struct stream_run *r, void *ctx)
{
    carry_out(r, ctx);
}

void stream_later(struct stream_run *r)
{
    struct stream_dir *d = &r->st->dir[r->dir];
    struct stream_work *w;

    while (!stream_stopped(r->st) && (w = take_later(d)) != NULL) {
        carry_out(r, w);
        work_free(w);
    }
}

static void settled(struct stream *st)
{
    const struct stream_sink *sink = st->host->stream_sink;

    if (sink != NULL && sink->settled != NULL)
        sink->settled(st->host, st);
}

NTSTATUS stream_injection(struct host *h, struct stream_work *w)
{
    struct stream *st = w->st;
    struct stream_dir *d = &st->dir[w->dir];
    NTSTATUS status = STATUS_NOT_FOUND;
    struct scene s;

    if (!stream_stopped(st) && d->run != NULL) {
        put_later(d, w);
        return STATUS_SUCCESS;
    }
    if (!stream_stopped(st)) {
        stream_scene(st, w->dir, &s);
        w->status = STATUS_SUCCESS;
        status = stream_enter(&s, st, w->dir, carry_out_one, w, NULL) ? w->status : STATUS_NO_MEMORY;
        if (!__atomic_load_n(&st->gone, __ATOMIC_ACQUIRE))
            settled(st);
        if (st->dropped)
            ale_tear_down(&h->lanes[0], st->slot, st->id, HOST_END_ABORTED, NULL);
    }
    work_free(w);
    return status;
}

/* On the thread that is in the callout's own classify of this direction: the innermost one. */
static bool is_inline(const struct stream *st, int dir, UINT32 callout)
{
    const struct stream_dir *d = &st->dir[dir];

    return __atomic_load_n(&d->thread, __ATOMIC_RELAXED) == rt_self() && d->run != NULL &&
           d->run->asking != UINT_MAX && d->set->stages[d->run->asking].callout == callout;
}

static NTSTATUS inject_now(struct stream_work *w)
{
    struct stream *st = w->st;
    struct stream_dir *d = &st->dir[w->dir];
    struct stream_run *outer = d->run;
    const unsigned k = outer->asking;
    struct scene s = *outer->s;
    struct engine_request q = *outer->request;
    struct engine_flow flow = {.ctx = &s, .context = q.flow->context};
    struct stream_run r;
    NTSTATUS status;

    stream_run_make(&r, &s, st, w->dir, &q, outer->tally);
    r.outer = outer;
    s.hold = (struct ale_hold){0};
    q.flow = &flow;
    outer->put = true;
    d->run = &r;
    status = put_behind(&r, k, w);
    d->run = outer;
    return status;
}

/* ---- the doors -------------------------------------------------------------------------------------------- */

#define SENDS                                                                                                \
    (FWPS_STREAM_FLAG_SEND | FWPS_STREAM_FLAG_SEND_EXPEDITED | FWPS_STREAM_FLAG_SEND_NODELAY |               \
     FWPS_STREAM_FLAG_SEND_DISCONNECT | FWPS_STREAM_FLAG_SEND_ABORT)
#define RECEIVES                                                                                             \
    (FWPS_STREAM_FLAG_RECEIVE | FWPS_STREAM_FLAG_RECEIVE_EXPEDITED | FWPS_STREAM_FLAG_RECEIVE_PUSH |         \
     FWPS_STREAM_FLAG_RECEIVE_DISCONNECT | FWPS_STREAM_FLAG_RECEIVE_ABORT)
#define ENDS       (FWPS_STREAM_FLAG_SEND_DISCONNECT | FWPS_STREAM_FLAG_RECEIVE_DISCONNECT)
#define CHAIN_MOST 65536u

/* The direction that flags name (STR-23); -1: none, or both. */
static int direction_of(UINT32 flags)
{
    const bool sends = (flags & FWPS_STREAM_FLAG_SEND) != 0,
               receives = (flags & FWPS_STREAM_FLAG_RECEIVE) != 0;

    if (sends == receives || (flags & ~(UINT32)(SENDS | RECEIVES)) != 0 ||
        (flags & (sends ? RECEIVES : SENDS)) != 0)
        return -1;
    return sends ? 0 : 1;
}

static UINT32 host_flags(UINT32 flags)
{
    UINT32 f = 0;

    if ((flags & ENDS) != 0)
        f |= HOST_STREAM_END;
    if ((flags & (FWPS_STREAM_FLAG_SEND_EXPEDITED | FWPS_STREAM_FLAG_RECEIVE_EXPEDITED)) != 0)
        f |= HOST_STREAM_URGENT;
    if ((flags & FWPS_STREAM_FLAG_RECEIVE_PUSH) != 0)
        f |= HOST_STREAM_PUSH;
    if ((flags & FWPS_STREAM_FLAG_SEND_NODELAY) != 0)
        f |= HOST_STREAM_NODELAY;
    return f;
}

/* How many bytes the chain has, and lists. False: it is not sound, or no list of a driver's. */
static bool measure(const NET_BUFFER_LIST *chain, UINT64 *size, unsigned *lists)
{
    *size = 0;
    *lists = 0;
    for (const NET_BUFFER_LIST *l = chain; l != NULL; l = l->Next) {
        enum ndis_made made;

        if (ledger_was_closed(LEDGER_STREAM_CLONE, (uintptr_t)l))
            return false;
        made = ndis_nbl_made(l);
        if (made == NDIS_MADE_NOT || made == NDIS_MADE_FRAME || made == NDIS_MADE_STREAM ||
            !ndis_nbl_sound(l) || ++*lists > CHAIN_MOST)
            return false;
        for (const NET_BUFFER *nb = l->FirstNetBuffer; nb != NULL; nb = nb->Next)
            *size += nb->DataLength;
    }
    return true;
}

/* It is refused; who does not look at the status loses the bytes. */
static NTSTATUS refuse(const struct host_stream_injection *i, NTSTATUS status, const char *why)
{
    ledger_report(LEDGER_NOTE, i->site, why);
    return status;
}

static NTSTATUS check(const struct host_stream_injection *i, UINT64 *size, unsigned *lists)
{
    *size = 0;
    *lists = 0;
    if (i->complete == NULL || (i->list == NULL && (i->stream_flags & ENDS) == 0))
        return STATUS_FWP_NULL_POINTER; /* INJ-07, STR-24 */
    if (direction_of(i->stream_flags) < 0)
        return refuse(i, STATUS_FWP_INVALID_PARAMETER,
                      "FwpsStreamInjectAsync: the flags do not name one direction: refused"); /* STR-23 */
    if (i->flags != 0)
        return STATUS_INVALID_PARAMETER;
    if (!measure(i->list, size, lists))
        return refuse(
            i, STATUS_INVALID_PARAMETER,
            "FwpsStreamInjectAsync: a list that is not the driver's to give, or not sound: refused");
    if (i->size > *size || i->size > UINT32_MAX)
        return refuse(i, STATUS_INVALID_PARAMETER,
                      "FwpsStreamInjectAsync: dataLength is more than the lists have: refused");
    return STATUS_SUCCESS;
}

/* The first bytes of a list, and the end behind them. False: no memory. */
static bool copy(struct host *h, struct stream_work *w, const NET_BUFFER_LIST *list, uint32_t size,
                 UINT32 flags)
{
    struct stream_chunk **end = &w->chunks;
    struct ndis_store *store;
    uint32_t at = 0;

    if (size != 0) {
        store = ndis_store_take(size);
        if (store == NULL)
            return false;
        for (const NET_BUFFER *nb = list->FirstNetBuffer; nb != NULL && at < size; nb = nb->Next) {
            const uint32_t part = nb->DataLength < size - at ? (uint32_t)nb->DataLength : size - at;

            ndis_nb_read(nb, 0, store->bytes + at, part);
            at += part;
        }
        w->chunks = stream_chunks(h, store->bytes, at, false, flags);
        ndis_store_unref(store);
        if (w->chunks == NULL)
            return false;
    }
    while (*end != NULL)
        end = &(*end)->next;
    return (flags & HOST_STREAM_END) == 0 || (*end = stream_mark(h, HOST_STREAM_END)) != NULL;
}

/* Any thread: has the direction a stage of this callout, which (deferred) defers? */
static bool has_stage(struct stream *st, int dir, UINT32 callout, bool deferred)
{
    const struct stream_dir *d = &st->dir[dir];
    struct streams *all = st->host->streams;
    bool found = false;

    rt_mutex_lock(all->lock);
    for (UINT32 i = 0; d->set != NULL && i < d->set->count && !found; i++)
        found = d->set->stages[i].callout == callout &&
                (!deferred || __atomic_load_n(&d->places[i].waits, __ATOMIC_RELAXED) == STREAM_DEFERS);
    rt_mutex_unlock(all->lock);
    return found;
}

static struct stream_work *work_make(struct stream *st, int dir, UINT32 callout)
{
    struct stream_work *w = calloc(1, sizeof(*w));

    if (w == NULL)
        return NULL;
    rt_mutex_lock(st->host->streams->lock);
    st->inside++;
    rt_mutex_unlock(st->host->streams->lock);
    w->st = st;
    w->dir = (uint8_t)dir;
    w->callout = callout;
    return w;
}

static void injections_free(struct injection *first)
{
    while (first != NULL) {
        struct injection *next = first->next;

        stream_work_free(first->stream);
        free(first);
        first = next;
    }
}

/* One for each list, with its part of the bytes; the end comes with the last. NULL: no memory. */
static struct injection *injections_make(struct stream *st, int dir, const struct host_stream_injection *i,
                                         struct injection_handle *of)
{
    const UINT32 flags = host_flags(i->stream_flags);
    struct injection *first = NULL, **end = &first, *one;
    NET_BUFFER_LIST *list = i->list;
    uint32_t left = (uint32_t)i->size, size;

    do {
        *end = one = calloc(1, sizeof(*one));
        if (one == NULL)
            goto fail;
        end = &one->next;
        one->of = of;
        one->what = (struct host_injection){
            .list = list, .complete = i->complete, .complete_context = i->complete_context, .site = i->site};
        one->stream = work_make(st, dir, i->callout_id);
        if (one->stream == NULL)
            goto fail;
        one->stream->site = i->site;
        one->stream->outside = rt_carried()->in_classify == 0;
        one->stream->turned = list != NULL && ndis_stream_tag(list) == (i->flow_id << 1 | !dir);
        size = 0;
        for (const NET_BUFFER *nb = list != NULL ? list->FirstNetBuffer : NULL; nb != NULL; nb = nb->Next)
            size += (uint32_t)nb->DataLength;
        size = size < left ? size : left;
        left -= size;
        list = list != NULL ? list->Next : NULL;
        if (!copy(st->host, one->stream, one->what.list, size,
                  list == NULL ? flags : flags & ~HOST_STREAM_END))
            goto fail;
    } while (list != NULL);
    return first;
fail:
    injections_free(first);
    return NULL;
}

static NTSTATUS inject(struct host *h, struct stream *st, int dir, const struct host_stream_injection *i,
                       struct injection_handle *of)
{
    struct injection *first = injections_make(st, dir, i, of);
    NTSTATUS status = STATUS_SUCCESS;

    if (first == NULL)
        return STATUS_NO_MEMORY;
    if (is_inline(st, dir, i->callout_id))
        for (struct injection *one = first; one != NULL && status == STATUS_SUCCESS; one = one->next) {
            status = inject_now(one->stream);
            stream_work_free(one->stream);
            one->stream = NULL;
        }
    if (status != STATUS_SUCCESS)
        injections_free(first);
    else
        injection_stream_queue(h, first);
    return status;
}

NTSTATUS host_stream_inject(struct host *h, const struct host_stream_injection *i)
{
    const int dir = direction_of(i->stream_flags);
    struct injection_handle *of;
    struct stream *st = NULL;
    unsigned lists;
    UINT64 size;
    NTSTATUS status = check(i, &size, &lists);

    if (status != STATUS_SUCCESS)
        return status;
    lists = lists != 0 ? lists : 1;
    status = injection_stream_begin(h, i->handle, lists, &of);
    if (status != STATUS_SUCCESS)
        return status;
    st = stream_hold(h, i->flow_id);
    if (st == NULL || layer_id(LAYER_ST, st->version) != i->layer_id ||
        !has_stage(st, dir, i->callout_id, false))
        status = STATUS_NOT_FOUND; /* STR-26 */
    else
        status = inject(h, st, dir, i, of);
    if (status != STATUS_SUCCESS)
        injection_stream_cancel(h, of, lists);
    if (st != NULL)
        stream_let(st);
    return status;
}

/* A direction that nobody is in goes on by itself, where it need not wait any more: as if it were continued. */
void stream_go_on(struct stream *st, int dir, UINT32 callout)
{
    struct injection *one = calloc(1, sizeof(*one));

    if (one == NULL)
        return; /* with the next data */
    one->stream = work_make(st, dir, callout);
    if (one->stream != NULL && injection_stream_begin_bare(st->host)) {
        one->stream->goes_on = true;
        injection_stream_queue(st->host, one);
    } else {
        injections_free(one);
    }
}

NTSTATUS host_stream_continue(struct host *h, UINT64 flow_id, UINT32 callout_id, UINT16 layer,
                              UINT32 stream_flags, const void *site)
{
    struct stream *st = stream_hold(h, flow_id);
    struct injection *one = NULL;
    NTSTATUS status = STATUS_SUCCESS;

    if (rt_carried()->in_classify != 0) /* STR-15 */
        ledger_report(LEDGER_NOTE, site, "FwpsStreamContinue0 within a classifyFn");
    if (st == NULL || layer_id(LAYER_ST, st->version) != layer)
        status = STATUS_NOT_FOUND;
    else if (direction_of(stream_flags) != 1 || !has_stage(st, 1, callout_id, true))
        status = STATUS_INVALID_PARAMETER;
    else if ((one = calloc(1, sizeof(*one))) == NULL ||
             (one->stream = work_make(st, 1, callout_id)) == NULL || !injection_stream_begin_bare(h))
        status = STATUS_NO_MEMORY;
    if (status == STATUS_SUCCESS) {
        one->stream->goes_on = true;
        injection_stream_queue(h, one);
    } else {
        injections_free(one);
    }
    if (st != NULL)
        stream_let(st);
    return status;
}

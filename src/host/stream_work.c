/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream_work: the pipeline: what comes to a stage, what its answer does (STR-05..18, 29, 32..34).
 *
 *   stream_append(k) -> place k's queue -> stream_work(k): ask -> leading bytes go on: append, work(k + 1) -> ... sink
 *                          ^                      |
 *                          +-- NEED_MORE, DEFER --+   waits, until enough came, the end, the limit, or Continue
 *
 * A place's queue has in order: data that it is asked about; data that a heavier filter of its sublayer permitted
 * (`through`), which only keep their turn; holes, where bytes were taken out or never seen; and at last a mark. What it
 * is asked about is the run of data from the head to the first that it is not asked about.
 *
 * Depth first: what one stage lets go has reached the sink, or waits further down, before the stage is asked again.
 * A callout may come back in from its classify, on the same thread, behind its own stage (stream_inject.c); nobody
 * else does: what is fed or injected meanwhile waits in the direction's inbox.
 *
 * After each call of foreign code the stream may have ended (`gone`) or been dropped: then nothing more is touched
 * but to be freed by who left last.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "host/stream_inside.h"
#include "host/walk.h"
#include "ledger/ledger.h"

#define CHUNK  256u   /* what a chunk costs beside its bytes; */
#define CHUNKS 65536u /* so much of that is always allowed */

/* On to what comes behind stage k; the caller works there. */
static void pass(struct stream_run *r, unsigned k, struct stream_chunk *c)
{
    c->begin = c->at; /* what was in front of it is no business of the next one's */
    if (k + 1 < r->st->dir[r->dir].set->count)
        stream_append(r, k + 1, c);
    else
        stream_out(r, c);
}

static void onward(struct stream_run *r, unsigned k)
{
    if (k + 1 < r->st->dir[r->dir].set->count)
        stream_work(r, k + 1);
}

/* ---- what is wrong */

/* What a stage that deferred owes (STR-14). */
void stream_owe(struct stream_run *r, unsigned k, bool opens)
{
    const struct stream_stage *stage = &r->st->dir[r->dir].set->stages[k];
    const UINT16 layer = layer_id(LAYER_ST, r->st->version);
    const UINT64 key = host_context_key(r->st->id, layer, stage->callout);
    struct rt_context *driver = engine_filter_driver(r->host->config.engine, stage->is.filter);
    struct ledger_party *party = driver != NULL ? driver->party : NULL;

    if (party == NULL)
        return;
    if (opens)
        ledger_open_for(party, LEDGER_DEFERRED_STREAM, key, 0, NULL, NULL);
    else
        (void)ledger_close_for(party, LEDGER_DEFERRED_STREAM, key);
}

/* ---- asking */

enum verdict { GO_ON, PERMIT, BLOCK, NEED_MORE, DEFER, DROP, ALLOW, NOTHING };

/* The action, where the streamAction is NONE (STR-06, 32, 34; CLS-05). */
static enum verdict verdict_of_action(struct stream_run *r, unsigned k, FWP_ACTION_TYPE action)
{
    const struct stream_stage *stage = &r->st->dir[r->dir].set->stages[k];

    if (stage->is.kind == ENGINE_STAGE_INSPECTION)
        return GO_ON; /* ARB-19: whatever it says */
    switch (action) {
    case FWP_ACTION_PERMIT:
        return PERMIT;
    case FWP_ACTION_BLOCK:
        return BLOCK;
    case FWP_ACTION_CONTINUE:
    case FWP_ACTION_NONE:
    case FWP_ACTION_NONE_NO_MATCH:
        return GO_ON;
    case 0:
        stream_report(r, k, STREAM_LEFT_ALONE, NULL);
        return GO_ON;
    default:
        stream_report(r, k, STREAM_UNKNOWN_ACTION, NULL);
        return BLOCK;
    }
}

static enum verdict verdict_of(struct stream_run *r, unsigned k, const struct stream_shown *shown,
                               const FWPS_CLASSIFY_OUT0 *out, UINT32 flags)
{
    const struct stream_stage *stage = &r->st->dir[r->dir].set->stages[k];
    const FWPS_STREAM_CALLOUT_IO_PACKET0 *io = &shown->io;

    if (io->countBytesRequired != 0 && io->streamAction != FWPS_STREAM_ACTION_NEED_MORE_DATA)
        stream_report(r, k, STREAM_REQUIRED_ALONE, NULL);
    switch (io->streamAction) {
    case FWPS_STREAM_ACTION_NONE:
        return verdict_of_action(r, k, out->actionType);
    case FWPS_STREAM_ACTION_NEED_MORE_DATA:
        if ((flags & FWPS_CLASSIFY_OUT_FLAG_NO_MORE_DATA) != 0) {
            stream_report(r, k, STREAM_MORE_AT_END, NULL);
            return PERMIT;
        }
        if ((flags & FWPS_CLASSIFY_OUT_FLAG_BUFFER_LIMIT_REACHED) != 0) {
            stream_report(r, k, STREAM_MORE_AT_LIMIT, NULL);
            return PERMIT;
        }
        if (io->countBytesRequired == 0)
            stream_report(r, k, STREAM_MORE_OF_NOTHING, NULL);
        return NEED_MORE;
    case FWPS_STREAM_ACTION_DEFER:
        if (r->dir == 0) {
            stream_report(r, k, STREAM_DEFER_OF_SENT, NULL);
            return PERMIT;
        }
        if ((flags & FWPS_CLASSIFY_OUT_FLAG_BUFFER_LIMIT_REACHED) != 0) {
            stream_report(r, k, STREAM_DEFER_AT_LIMIT, NULL);
            return PERMIT;
        }
        if (r->st->dir[r->dir].places[k].closes) {
            stream_report(r, k, STREAM_DEFER_AT_END, NULL);
            return PERMIT;
        }
        return DEFER;
    case FWPS_STREAM_ACTION_DROP_CONNECTION:
        if (stage->is.kind != ENGINE_STAGE_INSPECTION)
            return DROP;
        stream_report(r, k, STREAM_DROP_BY_INSPECTION, NULL);
        return GO_ON;
    case FWPS_STREAM_ACTION_ALLOW_CONNECTION:
        return ALLOW;
    default:
        stream_report(r, k, STREAM_UNKNOWN_STREAM_ACTION, NULL);
        return verdict_of_action(r, k, out->actionType);
    }
}

/* How many clones of what the stage is asked about there are. */
static LONG clones_of(const struct stream_place *p, unsigned k)
{
    LONG n = 0;

    for (const struct stream_chunk *c = p->head; c != NULL; c = c->next) {
        if (c->kind == STREAM_MARK || (c->kind == STREAM_DATA && c->through > k))
            break;
        if (c->slice != NULL)
            n += __atomic_load_n(&ndis_slice_list(c->slice)->ChildRefCount, __ATOMIC_RELAXED);
    }
    return n;
}

/* Data, in line or out of band (STR-20, 21): a clone that is kept of what was taken out is for later. */
static void look_for_mix(struct stream_run *r, unsigned k, const struct stream_shown *shown, enum verdict v,
                         bool cloned)
{
    struct stream_place *p = &r->st->dir[r->dir].places[k];

    if (v == BLOCK) {
        p->apart = p->apart || (cloned && !r->put);
    } else if (v == PERMIT || v == GO_ON) {
        p->let = true;
        if (p->apart &&
            (shown->data.flags & (FWPS_STREAM_FLAG_RECEIVE_EXPEDITED | FWPS_STREAM_FLAG_SEND_EXPEDITED)) == 0)
            stream_report(r, k, STREAM_PASSED_BEHIND, NULL);
    }
}

/* Nobody can be asked: it goes on, as where memory is short elsewhere. */
static enum verdict cannot_ask(struct stream_run *r, unsigned k, UINT64 *enforced)
{
    stream_hide(r, k);
    stream_count(&r->host->streams->counts.limited, 1);
    *enforced = r->st->dir[r->dir].places[k].bytes;
    return GO_ON;
}

/* What it has answered. clones: so many there were of what it was shown. */
static enum verdict heard(struct stream_run *r, unsigned k, const struct stream_shown *shown,
                          enum engine_stage_answer answered, const FWPS_CLASSIFY_OUT0 *out, UINT32 flags,
                          LONG clones, UINT64 *enforced, UINT32 *need)
{
    struct stream_dir *d = &r->st->dir[r->dir];
    struct stream_place *p = &d->places[k];
    const bool inspects = d->set->stages[k].is.kind == ENGINE_STAGE_INSPECTION;
    enum verdict v;

    *enforced = shown->size;
    stream_hide(r, k);
    if (stream_stopped(r->st))
        return NOTHING;
    switch (answered) {
    case ENGINE_STAGE_NOT_ASKED:
        return GO_ON;
    case ENGINE_STAGE_FOREIGN:
        r->tally->depends = r->tally->depends || !inspects;
        return GO_ON;
    case ENGINE_STAGE_SUBSTITUTE:
    case ENGINE_STAGE_ASSUMED:
        return verdict_of_action(r, k, out->actionType);
    case ENGINE_STAGE_ASKED:
        break;
    }
    p->missed = 0;
    v = verdict_of(r, k, shown, out, flags);
    if (shown->size != 0 && !inspects)
        look_for_mix(r, k, shown, v, clones_of(p, k) > clones);
    if (v == NEED_MORE || v == DEFER || v == DROP || v == ALLOW) {
        *need = shown->io.countBytesRequired;
        return v;
    }
    if (shown->io.streamAction == FWPS_STREAM_ACTION_NONE && shown->io.countBytesEnforced != 0) {
        if (shown->io.countBytesEnforced > shown->size)
            stream_report(r, k, STREAM_ENFORCED_BEYOND, NULL);
        else
            *enforced = shown->io.countBytesEnforced;
    }
    return v;
}

/* Asks stage k about what it is shown. *enforced: so many leading bytes the verdict is about. */
static enum verdict ask(struct stream_run *r, unsigned k, UINT32 flags, UINT64 *enforced, UINT32 *need)
{
    const struct stream_dir *d = &r->st->dir[r->dir];
    FWPS_CLASSIFY_OUT0 out = {.rights = FWPS_RIGHT_ACTION_WRITE, .flags = flags};
    enum engine_stage_answer answered;
    struct stream_shown shown;
    LONG clones;

    if (!stream_show(r, k, &shown))
        return cannot_ask(r, k, enforced);
    clones = d->set->stages[k].is.kind == ENGINE_STAGE_INSPECTION ? 0 : clones_of(&d->places[k], k);
    answered = stream_call(r, k, &shown, &out);
    return heard(r, k, &shown, answered, &out, flags, clones, enforced, need);
}

/* ---- what an answer does */

/* It is taken out: what is left of it, NULL: nothing (it stood for nothing). */
static struct stream_chunk *removed(struct stream_run *r, unsigned k, struct stream_chunk *c)
{
    struct stream_dir *d = &r->st->dir[r->dir];
    const struct stream_stage *stage = &d->set->stages[k];

    stream_count(&r->host->streams->counts.removed, c->size);
    d->places[k].took = true;
    if (r->tally->removed_by != 0 && r->tally->removed_by != stage->filter_id)
        r->tally->several = true;
    r->tally->removed_by = stage->filter_id;
    if (c->span == 0) {
        stream_chunk_free(c);
        return NULL;
    }
    ndis_slice_done(c->slice);
    ndis_store_unref(c->store);
    c->slice = NULL;
    c->store = NULL;
    c->kind = STREAM_HOLE;
    c->size = 0;
    c->flags = 0;
    c->filter_id = stage->filter_id;
    return c;
}

/* The first `size` bytes of the queue's data, with the holes in front of and between them. */
static void settle(struct stream_run *r, unsigned k, UINT64 size, enum verdict v)
{
    struct stream_dir *d = &r->st->dir[r->dir];
    struct stream_place *p = &d->places[k];

    while (size != 0 && p->head != NULL) {
        struct stream_chunk *c = p->head;

        if (c->kind == STREAM_DATA && c->size > size) {
            c = stream_pop_some(r, p, (uint32_t)size);
            if (c == NULL) /* all of it, then: fails as it does without memory everywhere */
                c = stream_pop(r, p);
        } else {
            c = stream_pop(r, p);
        }
        if (c->kind == STREAM_DATA) {
            size -= c->size < size ? c->size : size;
            if (v == BLOCK)
                c = removed(r, k, c);
            else if (v == PERMIT)
                c->through = d->set->stages[k].next;
        }
        if (c != NULL)
            pass(r, k, c);
    }
    onward(r, k);
}

void stream_hold_again(struct stream_run *r)
{
    struct stream_dir *d = &r->st->dir[r->dir];
    const struct stream_sink *sink = r->host->stream_sink;
    bool held = false;

    for (unsigned i = 0; i < d->set->count; i++)
        held = held || d->places[i].waits == STREAM_DEFERS;
    if (d->held == held || r->dir == 0)
        return;
    d->held = held;
    if (sink != NULL && sink->hold != NULL)
        sink->hold(r->host, r->st, held);
}

static void waits(struct stream_run *r, unsigned k, enum stream_wait how)
{
    struct stream_dir *d = &r->st->dir[r->dir];
    struct stream_place *p = &d->places[k];
    const bool deferred = p->waits == STREAM_DEFERS;

    __atomic_store_n(&p->waits, (uint8_t)how,
                     __ATOMIC_RELAXED); /* host_stream_continue() looks from anywhere */
    if (deferred == (how == STREAM_DEFERS))
        return;
    stream_owe(r, k, !deferred);
    stream_hold_again(r);
}

static void drop(struct stream_run *r, unsigned k)
{
    struct stream *st = r->st;
    const struct stream_sink *sink = r->host->stream_sink;

    __atomic_store_n(&st->dropped, true, __ATOMIC_RELAXED);
    stream_count(&r->host->streams->counts.dropped, 1);
    if (sink != NULL && sink->drop != NULL)
        sink->drop(r->host, st, st->dir[r->dir].set->stages[k].filter_id);
}

/* STR-16: of both directions, as long as the flow lives. */
static void allow(struct stream_run *r, unsigned k)
{
    struct stream *st = r->st;
    const UINT32 callout = st->dir[r->dir].set->stages[k].callout;
    const UINT32 before = st->allowed != NULL ? st->allowed->count : 0;
    struct stream_allowed *more =
        realloc(st->allowed, sizeof(*more) + ((size_t)before + 1) * sizeof(more->callouts[0]));
    bool waits_there = false;

    if (more != NULL) {
        st->allowed = more;
        more->callouts[before] = callout;
        more->count = before + 1;
        st->allows = true;
    }
    for (int d = 0; d < 2; d++)
        for (unsigned i = 0; st->dir[d].set != NULL && i < st->dir[d].set->count; i++)
            if (st->dir[d].set->stages[i].callout == callout && callout != 0) {
                st->dir[d].places[i].allowed = true;
                waits_there = waits_there || (d != r->dir && st->dir[d].places[i].head != NULL);
            }
    if (waits_there)
        stream_go_on(st, !r->dir, callout);
}

/* ---- a stage at work */

static bool limit_reached(const struct stream_run *r, const struct stream_place *p)
{
    const struct host_limits *l = &r->host->limits;
    const struct streams *all = r->host->streams;

    return p->bytes >= l->stream_buffer || (UINT64)p->chunks * CHUNK >= 2ull * l->stream_buffer + CHUNKS ||
           __atomic_load_n(&all->counts.waiting, __ATOMIC_RELAXED) > l->streams_bytes;
}

/* How much the place would be asked about. */
static UINT64 run_of(const struct stream_place *p, unsigned k)
{
    UINT64 size = 0;

    for (const struct stream_chunk *c = p->head; c != NULL; c = c->next) {
        if (c->kind == STREAM_HOLE)
            continue;
        if (c->kind == STREAM_MARK || c->through > k)
            break;
        size += c->size;
    }
    return size;
}

/* Data are at the head: is the stage asked about them now, and how? */
static bool is_due(struct stream_run *r, unsigned k, UINT32 *flags)
{
    struct stream_place *p = &r->st->dir[r->dir].places[k];

    *flags = p->closes ? FWPS_CLASSIFY_OUT_FLAG_NO_MORE_DATA : 0;
    if (p->waits == STREAM_GOES)
        return true;
    if (p->waits == STREAM_DEFERS && p->again)
        return true;
    if (limit_reached(r, p)) {
        *flags = FWPS_CLASSIFY_OUT_FLAG_BUFFER_LIMIT_REACHED;
        stream_count(&r->host->streams->counts.limited, 1);
        return true;
    }
    if (p->waits == STREAM_NEEDS && p->fresh && p->bytes >= p->need && run_of(p, k) >= p->need)
        return true;
    if (p->waits == STREAM_NEEDS ? !p->marked : !p->closes)
        return false;
    *flags = FWPS_CLASSIFY_OUT_FLAG_NO_MORE_DATA; /* STR-33 */
    return true;
}

static UINT32 need_of(const struct stream_run *r, const struct stream_place *p, unsigned k, UINT32 required)
{
    if (!r->host->config.knobs.stream_need_new || required == 0)
        return required;
    return required + (UINT32)run_of(p, k);
}

/* What needs no asking at the head goes on. True: it did. */
static bool goes_by(struct stream_run *r, unsigned k)
{
    const struct stream_stage *stage = &r->st->dir[r->dir].set->stages[k];
    struct stream_place *p = &r->st->dir[r->dir].places[k];
    struct stream_chunk *c = p->head;

    if (c->kind == STREAM_HOLE || (c->kind == STREAM_DATA && c->through > k)) {
        pass(r, k, stream_pop(r, p));
        onward(r, k);
        return true;
    }
    if (!p->allowed && stage->is.slot != NULL)
        return false;
    if (p->waits != STREAM_GOES)
        waits(r, k, STREAM_GOES);
    c = stream_pop(r, p);
    if (stage->is.kind == ENGINE_STAGE_BLOCK && c->kind == STREAM_DATA)
        c = removed(r, k, c);
    else if (stage->is.kind == ENGINE_STAGE_BLOCK &&
             (c->flags & HOST_STREAM_ABORT) == 0) { /* STR-32: stays half open */
        r->tally->removed_by = stage->filter_id;
        stream_chunk_free(c);
        c = NULL;
    } else if (stage->is.kind != ENGINE_STAGE_INSPECTION) {
        c->through = stage->next;
    }
    if (c != NULL)
        pass(r, k, c);
    onward(r, k);
    return true;
}

/* What the answer about a mark does. False: it stays where it is. */
static bool mark_answered(struct stream_run *r, unsigned k, enum verdict v)
{
    struct stream_dir *d = &r->st->dir[r->dir];
    struct stream_place *p = &d->places[k];
    struct stream_chunk *c;
    bool reset;

    if (v == NOTHING)
        return false;
    reset = (p->head->flags & HOST_STREAM_ABORT) != 0;
    if (v == DEFER && !reset) {
        waits(r, k, STREAM_DEFERS);
        return false;
    }
    waits(r, k, STREAM_GOES);
    if (v == DROP) {
        drop(r, k);
        return false;
    }
    if (v == ALLOW)
        allow(r, k);
    c = stream_pop(r, p);
    if (v == BLOCK && !reset) { /* STR-32: half open until it is injected */
        r->tally->removed_by = d->set->stages[k].filter_id;
        stream_chunk_free(c);
        p->took = p->took_end = true;
        return true;
    }
    if (v == PERMIT || v == ALLOW)
        c->through = d->set->stages[k].next;
    pass(r, k, c);
    onward(r, k);
    return true;
}

/* The mark is at the head: nothing waits in front of it. False: it is deferred. */
static bool mark_goes(struct stream_run *r, unsigned k)
{
    struct stream_place *p = &r->st->dir[r->dir].places[k];
    UINT64 enforced;
    UINT32 need = 0;

    if (p->waits == STREAM_DEFERS && !p->again && (p->head->flags & HOST_STREAM_ABORT) == 0)
        return false;
    return mark_answered(r, k, ask(r, k, FWPS_CLASSIFY_OUT_FLAG_NO_MORE_DATA, &enforced, &need));
}

/* A mark that is permitted is behind the sublayer, too; it waits for its turn like data. */
static bool mark_is_through(const struct stream_place *p, unsigned k)
{
    return p->head->kind == STREAM_MARK && p->head->through > k;
}

/* What the answer about data does. False: nothing more is done here. */
static bool answered(struct stream_run *r, unsigned k, enum verdict v, UINT64 enforced, UINT32 need)
{
    struct stream_dir *d = &r->st->dir[r->dir];
    struct stream_place *p = &d->places[k];

    switch (v) {
    case NOTHING:
        return false;
    case NEED_MORE:
        p->need = need_of(r, p, k, need);
        waits(r, k, STREAM_NEEDS);
        break;
    case DEFER:
        waits(r, k, STREAM_DEFERS);
        break;
    case DROP:
        waits(r, k, STREAM_GOES);
        drop(r, k);
        return false;
    case ALLOW:
        allow(r, k);
        waits(r, k, STREAM_GOES);
        settle(r, k, enforced, d->set->stages[k].is.kind == ENGINE_STAGE_INSPECTION ? GO_ON : PERMIT);
        break;
    default:
        waits(r, k, STREAM_GOES);
        settle(r, k, enforced, v);
        break;
    }
    return true;
}

void stream_work(struct stream_run *r, unsigned k)
{
    struct stream *st = r->st;
    struct stream_place *p = &st->dir[r->dir].places[k];
    UINT64 enforced;
    UINT32 flags, need = 0;
    enum verdict v;

    while (p->head != NULL && !p->asking && !stream_stopped(st)) {
        if (mark_is_through(p, k)) {
            pass(r, k, stream_pop(r, p));
            onward(r, k);
            continue;
        }
        if (goes_by(r, k))
            continue;
        if (p->head->kind == STREAM_MARK) {
            if (!mark_goes(r, k))
                return;
            continue;
        }
        if (!is_due(r, k, &flags))
            return;
        v = ask(r, k, flags, &enforced, &need);
        if (!answered(r, k, v, enforced, need))
            return;
    }
}

void stream_answered_alone(struct stream_run *r, bool mark, const struct stream_shown *shown,
                           enum engine_stage_answer answer, const FWPS_CLASSIFY_OUT0 *out, UINT32 flags)
{
    UINT64 enforced;
    UINT32 need = 0;
    enum verdict v;
    bool goes_on;

    v = shown != NULL ? heard(r, 0, shown, answer, out, flags, 0, &enforced, &need)
                      : cannot_ask(r, 0, &enforced);
    goes_on = mark ? mark_answered(r, 0, v) : answered(r, 0, v, enforced, need);
    if (goes_on)
        stream_work(r, 0);
}

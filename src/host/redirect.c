/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redirect: one question at BR, CR or EC: in parts, with versions of what was asked for, and answers that may come later.
 *
 *   redirect_connect(), redirect_bind(), redirect_closure()
 *     |  an operation of the authorization's machine (ale.c), a struct redirect with version 0
 *     v
 *   round:  classify; each callout in its turn -------------------------------+
 *     ^       has answered: is taken as it said (not called)                  | acquire, apply: a version more
 *     |       somebody before it pended: not now                              | pend: a ticket of the operation
 *     |     all are through                                                   v
 *     +---- one that watches (RED-17) saw an older version             answer: {PERMIT, BLOCK ...} or pended
 *     |     nobody pended: decided --> conclude: redirect_connect.c, redirect_bind.c
 *     |     somebody pended: the operation is PENDED, its flow or bind with it
 *     +---- completed: the answer is known, or it is to be asked again; FWP_CONDITION_FLAG_IS_REAUTHORIZE from now on
 *
 * So redirectors come one after the other, the heaviest first, and each sees what those before it made of the request
 * (RED-28); who pends stops the walk, and the walk goes on behind it when it has completed (RED-21).
 *
 * Who owns what.
 *   struct redirect     counted: one reference of its operation's, one of each classify handle. What drivers were given
 *                       pointers to (versions, layerData) lives as long as it does
 *   classify handle     the driver's, counted: its own reference, and one of its pend's, which the completion drops
 *   version             made by an apply; its localRedirectContext is the host's from then on: with the flow that it
 *                       redirects (struct redirected), else with the redirect
 *   ticket              of the operation, one for each pend: ale_operation.c. What waits is found by flow and endpoint as
 *                       every pended operation is, and cancelled with them (PEND-41)
 *
 * Who calls whom. Callouts run on the thread that asks, no lane held; what they call (host_classify_*()) takes the
 * lane's lock for a step. A completion carries on on its caller's stack, as a visitor (ale_visit()), or on the host's
 * thread (ale_defer.c). Nothing is called back with the lock held.
 *
 * What may happen at the same time:
 *   completed while the classify that pended it still runs   the ticket is back; the asker finds the operation due and
 *                                                            goes on itself (PEND-23)
 *   completed twice; released twice; applied after it        named by a generation: reported, nothing is done
 *   its endpoint or program goes                             the operation is cancelled: the last completion lets go of it
 *   the callout is unregistered with handles out             the indication still waits; the ledger has the handles. A
 *                                                            round that comes later does not find it: it says nothing
 *   the host goes                                            silently: handles name nothing then
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/redirect_inside.h"
#include "ledger/ledger.h"
#include "nt/nt.h"

#define NOBODY UINT32_MAX

void redirect_report(const char *format, ...)
{
    char text[200];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    ledger_report(LEDGER_NOTE, NULL, text);
}

/* ---- addresses ---------------------------------------------------------------------------------------------- */

void redirect_sockaddr(SOCKADDR_STORAGE *out, uint8_t version, const union wire_addr *a, UINT16 port)
{
    memset(out, 0, sizeof(*out));
    if (version == 4) {
        SOCKADDR_IN in = {.sin_family = AF_INET, .sin_port = __builtin_bswap16(port)};

        in.sin_addr.S_un.S_addr = __builtin_bswap32(a->v4);
        memcpy(out, &in, sizeof(in));
    } else {
        SOCKADDR_IN6 in = {.sin6_family = AF_INET6, .sin6_port = __builtin_bswap16(port)};

        memcpy(&in.sin6_addr, a->v6, sizeof(in.sin6_addr));
        memcpy(out, &in, sizeof(in));
    }
}

bool redirect_address(const SOCKADDR_STORAGE *in, uint8_t version, union wire_addr *a, UINT16 *port)
{
    memset(a, 0, sizeof(*a));
    if (in->ss_family != (version == 4 ? AF_INET : AF_INET6))
        return false;
    if (version == 4) {
        SOCKADDR_IN at;

        memcpy(&at, in, sizeof(at));
        a->v4 = __builtin_bswap32(at.sin_addr.S_un.S_addr);
        *port = __builtin_bswap16(at.sin_port);
    } else {
        SOCKADDR_IN6 at;

        memcpy(&at, in, sizeof(at));
        memcpy(a->v6, &at.sin6_addr, sizeof(a->v6));
        *port = __builtin_bswap16(at.sin6_port);
    }
    return true;
}

/* ---- life ---------------------------------------------------------------------------------------------------- */

struct redirect *redirect_new(struct lane *l, enum redirect_kind kind)
{
    struct redirect *r = calloc(1, sizeof(*r));
    struct redirect_version *v = calloc(1, sizeof(*v));
    struct redirects *x = ale_of(l)->redirects;

    if (r == NULL || v == NULL) {
        free(r);
        free(v);
        return NULL;
    }
    r->host = l->host;
    r->kind = (uint8_t)kind;
    r->references = 1;
    r->asking = NOBODY;
    r->current = r->all = v;
    lane_enter(l);
    r->older = x->newest;
    if (r->older != NULL)
        r->older->newer = r;
    x->newest = r;
    lane_leave(l);
    return r;
}

void redirect_free(struct redirects *x, struct redirect *r)
{
    *(r->newer != NULL ? &r->newer->older : &x->newest) = r->older;
    if (r->older != NULL)
        r->older->newer = r->newer;
    while (r->all != NULL) {
        struct redirect_version *v = r->all;

        r->all = v->all;
        if (v->owns_context)
            nt_pool_drop(v->is.connect.localRedirectContext);
        free(v);
    }
    free(r->answers);
    free(r->flows);
    free(r);
}

void redirect_unref(struct redirect *r)
{
    if (--r->references == 0)
        redirect_free(redirects_of(r->host), r);
}

void redirect_dropped(struct redirect *r)
{
    r->op = NULL;
    r->over = true;
    redirect_unref(r);
}

bool redirect_has_filters(struct lane *l, enum host_layer role, uint8_t version)
{
    const struct engine_filter *const *filters;
    const size_t n = engine_snapshot_filters(engine_pin(l->reader), layer_id(role, version), &filters);

    engine_unpin(l->reader);
    return n != 0;
}

bool redirect_may_skip(struct lane *l, enum host_layer role, uint8_t version)
{
    const struct host_observer *o = &l->host->config.observer;

    return (o->classified == NULL || o->decisions_only) && !redirect_has_filters(l, role, version);
}

/* ---- turns --------------------------------------------------------------------------------------------------- */

static struct redirect_answer *answer_of(struct redirect *r, UINT64 filter_id)
{
    for (UINT32 i = 0; i < r->answer_count; i++)
        if (r->answers[i].filter_id == filter_id)
            return &r->answers[i];
    return NULL;
}

static struct redirect_answer *answer_new(struct redirect *r, UINT64 filter_id, UINT32 callout)
{
    if (r->answer_count == r->answer_room) {
        const UINT32 room = r->answer_room != 0 ? 2 * r->answer_room : 4;
        struct redirect_answer *more = realloc(r->answers, room * sizeof(*more));

        if (more == NULL)
            return NULL;
        r->answers = more;
        r->answer_room = room;
    }
    r->answers[r->answer_count] = (struct redirect_answer){.filter_id = filter_id, .callout = callout};
    return &r->answers[r->answer_count++];
}

/* layerData, and the versions behind it, as they are. With REAUTH what was asked for is behind it, too (RED-11). */
static void show(struct redirect *r)
{
    struct redirect_version *v;

    for (v = r->current; v != NULL; v = v->previous) {
        union redirect_request *behind = v->previous != NULL ? &v->previous->shown : NULL;

        v->shown = v->is;
        if (r->kind == REDIRECT_BIND)
            v->shown.bind.previousVersion = behind != NULL ? &behind->bind : NULL;
        else
            v->shown.connect.previousVersion = behind != NULL ? &behind->connect : NULL;
    }
    v = r->current;
    r->view = v->shown;
    if (v->previous == NULL && r->rounds > 1 && r->kind == REDIRECT_BIND)
        r->view.bind.previousVersion = &v->shown.bind;
    else if (v->previous == NULL && r->rounds > 1)
        r->view.connect.previousVersion = &v->shown.connect;
    r->pristine = r->view;
}

/* The turn of a callout that has not answered yet. NULL: no memory. */
static struct redirect_answer *turn_begins(struct redirect *r, UINT64 filter_id, UINT32 callout)
{
    struct redirect_answer *x = answer_of(r, filter_id);

    if (x == NULL)
        x = answer_new(r, filter_id, callout);
    if (x == NULL)
        return NULL;
    x->asking = true;
    x->pended = x->completed = x->again = false;
    r->asking = (UINT32)(x - r->answers);
    return x;
}

/* Its classifyFn is back. True: it has pended, and those behind it are not asked. */
static bool turn_ends(struct redirect *r, struct redirect_answer *x)
{
    x->asking = false;
    r->asking = NOBODY;
    r->waits = r->waits || x->pended;
    return x->pended;
}

bool redirect_turn_begins(struct redirect *r, UINT64 filter_id, UINT32 callout)
{
    r->rounds = 1;
    return turn_begins(r, filter_id, callout) != NULL;
}

void redirect_turn_ends(struct redirect *r)
{
    (void)turn_ends(r, &r->answers[r->asking]);
}

static enum engine_turn before(void *ctx, const struct engine_filter *f, FWPS_CLASSIFY_OUT0 *returned)
{
    const FWPS_FILTER3 *filter = engine_filter_fwps(f);
    struct redirect *r = ctx;
    struct rt_mutex *lock = r->host->lanes[0].lock;
    enum engine_turn turn = ENGINE_TURN_PASS;
    struct redirect_answer *x;

    rt_mutex_lock(lock);
    x = answer_of(r, filter->filterId);
    if (x != NULL && x->settled) {
        returned->actionType = x->out.actionType;
        returned->rights = x->out.rights;
        returned->flags = x->out.flags;
        turn = ENGINE_TURN_ANSWERED;
    } else if (!r->waits) {
        if (turn_begins(r, filter->filterId, filter->action.calloutId) == NULL) {
            r->no_memory = true;
        } else {
            show(r);
            turn = ENGINE_TURN_ASK;
        }
    }
    rt_mutex_unlock(lock);
    return turn;
}

static void after(void *ctx, const struct engine_filter *f, const FWPS_CLASSIFY_OUT0 *returned)
{
    struct redirect *r = ctx;
    struct rt_mutex *lock = r->host->lanes[0].lock;
    bool unapplied = false, wrote;
    struct redirect_answer *x;

    rt_mutex_lock(lock);
    x = answer_of(r, engine_filter_fwps(f)->filterId);
    if (x != NULL) {
        if (!turn_ends(r, x)) {
            x->settled = true;
            x->out = *returned;
            unapplied = x->writable != NULL; /* RED-08 */
            x->writable = NULL;
        }
    }
    wrote = r->kind != REDIRECT_CLOSURE && memcmp(&r->view, &r->pristine, sizeof(r->view)) != 0; /* RED-32 */
    rt_mutex_unlock(lock);
    if (unapplied)
        redirect_report(
            "classifyFn returned with writable layer data that it had acquired and not applied: they are "
            "dropped");
    if (wrote)
        redirect_report(
            "classifyFn wrote to its layerData, which is read-only at this layer: without effect");
}

/* ---- rounds -------------------------------------------------------------------------------------------------- */

/* RED-17: is there one that wants to see what others made of the request after it? Lane held. */
static bool one_watches(struct redirect *r)
{
    bool any = false;

    for (UINT32 i = 0; i < r->answer_count; i++) {
        struct redirect_answer *x = &r->answers[i];

        if (!x->watches || !x->settled || x->applied >= r->current->number)
            continue;
        x->settled = x->watches = false;
        any = true;
    }
    return any;
}

static bool asks_again(struct lane *l, struct redirect *r)
{
    bool more, endless;

    lane_enter(l);
    more = !r->op->pended && one_watches(r);
    endless = more && r->rounds >= REDIRECT_ROUNDS;
    lane_leave(l);
    if (endless)
        redirect_report("callouts have changed each other's redirection %u times: the last version counts",
                        r->rounds);
    return more && !endless;
}

void redirect_ask(struct lane *l, struct redirect *r, const struct scene *s, enum host_layer role,
                  struct answer *a)
{
    r->turns = (struct engine_turns){r, before, after};
    do {
        struct scene t = *s;

        lane_enter(l);
        r->waits = false;
        r->rounds++;
        lane_leave(l);
        t.packet = NULL;
        t.flow = NULL;
        t.flow_id = 0;
        t.redirect = r;
        t.turns = &r->turns;
        t.classify_context = r;
        t.layer_data = r->kind == REDIRECT_CLOSURE ? NULL : &r->view;
        t.pended = &r->op->pended;
        if (r->rounds > 1)
            t.flags |= FWP_CONDITION_FLAG_IS_REAUTHORIZE;
        ale_ask(&t, role, NULL, a);
    } while (asks_again(l, r));
}

bool redirect_waits(struct lane *l, struct redirect *r, struct host_flow *f)
{
    ale_operation_waits(l, r->op, f);
    return ale_operation_due(r->op);
}

void redirect_abandon(struct lane *l, struct ale_operation *op, struct host_flow *f)
{
    op->cancelled = true;
    ale_operation_waits(l, op, f);
    if (op->outstanding == 0)
        ale_operation_end(l, op, f);
}

bool redirect_renew(struct lane *l, struct redirect *r, enum ale_kind kind, const struct host_flow *f)
{
    struct ale_operation *old = r->op, *op = ale_operation_begin(l, kind, old->endpoint, f);

    if (op == NULL || !ale_operation_inherit(l, op, old)) {
        if (op != NULL)
            ale_operation_end(l, op, (struct host_flow *)f);
        return false;
    }
    r->op = op;
    for (UINT32 i = 0; i < r->answer_count; i++) {
        struct redirect_answer *x = &r->answers[i];

        if (!x->pended || !x->completed)
            continue;
        x->settled = !x->again;
        x->pended = x->completed = x->again = false;
    }
    return true;
}

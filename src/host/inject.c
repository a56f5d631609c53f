/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inject: injection handles, the queue of what was injected, the injector, completions.
 *
 *   FwpsInject*Async: host_inject() -> checks -> a history of one more, a reference to the origin -> queue
 *                                                                                   |  (or at once: a knob)
 *   injector (a thread, at DISPATCH_LEVEL): takes the turn -> up to BURST of the queue -> each walks its
 * layers, is emitted or lost -> gives the turn -> completionFn of each, in their order
 *
 * States of an injection: QUEUED -> WALKED -> COMPLETED, each once. `in_flight` of its handle counts it from
 * acceptance until completionFn has returned; a closing handle accepts nothing and its destroyer waits for
 * zero. Who destroys a handle while he has the turn (from within a classify) walks what is queued himself:
 * the injector could not.
 *
 * The injector's thread starts with the first handle, on the back end of who creates it. It sleeps when the
 * queue is empty and is woken once a burst. Locks: `lock` guards queue, handles and counts, and nothing is
 * called with it held. It may be taken with a lane's lock held by nobody.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/inject_inside.h"
#include "host/walk.h"
#include "ledger/ledger.h"
#include "ws2def.h"

#define BURST       16u
#define NESTED      5u /* in the caller: deeper ones are left to those further out, for the stack's sake */
#define SLOT_BITS   16
#define DEFAULT_CAP 64u
#define FAMILY      16u /* times the cap: so often may what stems from one frame come again in all */

#define TYPES_KNOWN                                                                                          \
    (FWPS_INJECTION_TYPE_STREAM | FWPS_INJECTION_TYPE_TRANSPORT | FWPS_INJECTION_TYPE_NETWORK |              \
     FWPS_INJECTION_TYPE_FORWARD | FWPS_INJECTION_TYPE_L2 | FWPS_INJECTION_TYPE_VSWITCH_TRANSPORT)
#define TYPES_OF_OLD                                                                                         \
    (FWPS_INJECTION_TYPE_STREAM | FWPS_INJECTION_TYPE_TRANSPORT | FWPS_INJECTION_TYPE_FORWARD)

struct injection_handle {
    UINT64 id; /* 0: free */
    UINT32 generation, types;
    UINT16 family;
    bool closing;
    UINT64 in_flight;
    struct ledger_party *party; /* whose it is; NULL: a program's */
};

struct injector {
    struct rt_mutex *lock;
    struct rt_cond *work, *done;
    struct rt_thread *thread;
    uintptr_t self; /* of the thread, while it runs completions */
    bool stop, sleeps;
    struct injection *head, **tail;
    struct injection_handle **handles;
    size_t handle_count;
    UINT64 in_flight;
    struct host_injection_counts counts;
    struct injection_room room;
};

/* ---- life */

int injector_create(struct host *h)
{
    struct injector *j = calloc(1, sizeof(*j));
    int e;

    if (j == NULL)
        return -ENOMEM;
    h->injector = j;
    j->tail = &j->head;
    e = rt_mutex_create(&j->lock);
    if (e == 0)
        e = rt_cond_create(rt_clock_of_thread(), &j->work);
    if (e == 0)
        e = rt_cond_create(rt_clock_of_thread(), &j->done);
    return e;
}

static void complete(struct host *h, struct injection *i, KIRQL irql);

void injector_destroy(struct host *h)
{
    struct injector *j = h->injector;
    struct injection *i;

    if (j == NULL)
        return;
    if (j->thread != NULL) {
        rt_mutex_lock(j->lock);
        j->stop = true;
        rt_cond_broadcast(j->work);
        rt_mutex_unlock(j->lock);
        rt_thread_join(j->thread);
    }
    while ((i = j->head) != NULL) { /* nobody walks any more; each is completed all the same */
        j->head = i->next;
        i->status = STATUS_CANCELLED;
        complete(h, i, PASSIVE_LEVEL);
    }
    for (size_t n = 0; n < j->handle_count; n++)
        free(j->handles[n]);
    free(j->handles);
    free(j->room.bytes);
    if (j->work != NULL)
        rt_cond_destroy(j->work);
    if (j->done != NULL)
        rt_cond_destroy(j->done);
    if (j->lock != NULL)
        rt_mutex_destroy(j->lock);
    free(j);
    h->injector = NULL;
}

/* ---- walking and completing ------------------------------------------------------------------------------
 */

void injection_count(struct host *h, bool emitted)
{
    struct injector *j = h->injector;

    rt_mutex_lock(j->lock);
    if (emitted)
        j->counts.emitted++;
    else
        j->counts.lost++;
    rt_mutex_unlock(j->lock);
}

/* Hands the list back (INJ-04, 06). No lock, no turn. */
static void complete(struct host *h, struct injection *i, KIRQL irql)
{
    struct injector *j = h->injector;
    NET_BUFFER_LIST *list = i->what.list;
    struct rt_carried *me = rt_carried();
    const uint8_t before = me->irql;
    struct rt_context *context = rt_set_current(i->context);
    struct ledger_party *party = ledger_current();

    if (irql > before)
        me->irql = irql;
    NET_BUFFER_LIST_STATUS(list) = i->status;
    if (party != NULL)
        (void)ledger_close_for(party, LEDGER_INJECTION, (uintptr_t)list);
    i->what.complete(i->what.complete_context, list, me->irql >= DISPATCH_LEVEL);
    me->irql = before;
    rt_set_current(context);
    ndis_history_unref(i->history);
    ndis_origin_unref(i->origin); /* its frame may be released now */
    rt_mutex_lock(j->lock);
    j->counts.completed++;
    j->in_flight--;
    if (--i->of->in_flight == 0 || j->in_flight == 0)
        rt_cond_broadcast(j->done);
    rt_mutex_unlock(j->lock);
    free(i->header);
    free(i);
}

/* Up to so many of the queue, linked; the lock is held. */
static struct injection *take(struct injector *j, unsigned most)
{
    struct injection *first = j->head, **end = &first;

    while (*end != NULL && most-- > 0)
        end = &(*end)->next;
    j->head = *end;
    *end = NULL;
    if (j->head == NULL)
        j->tail = &j->head;
    return first;
}

/* Walks and completes what is queued, one burst. False: nothing was. */
static bool burst(struct host *h, KIRQL irql)
{
    struct injector *j = h->injector;
    struct lane *l = &h->lanes[0];
    struct rt_carried *me = rt_carried();
    const uint8_t before = me->irql;
    struct injection *some, *next;

    turn_take(l);
    (void)lane_rest(l);
    rt_mutex_lock(j->lock);
    some = take(j, BURST); /* what is taken has the turn: who waits for it need not */
    rt_mutex_unlock(j->lock);
    if (irql > before)
        me->irql = irql;
    for (struct injection *i = some; i != NULL; i = i->next) {
        struct rt_context *context = rt_set_current(i->context);

        injection_walk(h, i, &j->room);
        rt_set_current(context);
    }
    me->irql = before;
    turn_give(l);
    for (struct injection *i = some; i != NULL; i = next) {
        next = i->next;
        complete(h, i, irql);
    }
    return some != NULL;
}

static void injector_main(void *arg)
{
    struct host *h = arg;
    struct injector *j = h->injector;

    rt_set_current(NULL); /* its starter's: a driver's */
    rt_mutex_lock(j->lock);
    j->self = rt_self();
    while (!j->stop) {
        if (j->head == NULL) {
            j->sleeps = true;
            rt_waits_for("packets to inject");
            rt_cond_wait(j->work, j->lock, RT_FOREVER);
            j->sleeps = false;
            continue;
        }
        rt_mutex_unlock(j->lock);
        (void)burst(h, DISPATCH_LEVEL);
        rt_mutex_lock(j->lock);
    }
    rt_mutex_unlock(j->lock);
}

void host_inject_drain(struct host *h)
{
    struct injector *j = h->injector;

    rt_mutex_lock(j->lock);
    while (j->in_flight != 0)
        rt_cond_wait(j->done, j->lock, RT_FOREVER);
    rt_mutex_unlock(j->lock);
}

/* ---- handles */

/* The lock is held. NULL: there is none. */
static struct injection_handle *handle_of(const struct injector *j, HANDLE handle)
{
    const UINT64 id = (UINT64)(uintptr_t)handle;
    const size_t slot = (id & ((1u << SLOT_BITS) - 1)) - 1;

    return id != 0 && slot < j->handle_count && j->handles[slot]->id == id ? j->handles[slot] : NULL;
}

static struct injection_handle *handle_make(struct injector *j)
{
    struct injection_handle **more;
    size_t slot = 0;

    while (slot < j->handle_count && j->handles[slot]->id != 0)
        slot++;
    if (slot == j->handle_count) {
        if (slot == (1u << SLOT_BITS) - 1)
            return NULL;
        more = realloc(j->handles, (slot + 1) * sizeof(*more));
        if (more == NULL)
            return NULL;
        j->handles = more;
        more[slot] = calloc(1, sizeof(**more));
        if (more[slot] == NULL)
            return NULL;
        j->handle_count++;
    }
    j->handles[slot]->generation++;
    j->handles[slot]->id = (UINT64)j->handles[slot]->generation << SLOT_BITS | (slot + 1);
    return j->handles[slot];
}

static void above(KIRQL most, const void *site, const char *text)
{
    if (rt_carried()->irql > most)
        ledger_report(LEDGER_NOTE, site, text);
}

NTSTATUS host_injection_create(struct host *h, UINT16 family, UINT32 types, HANDLE *out)
{
    struct injector *j = h->injector;
    struct injection_handle *x;
    bool started;

    if (out == NULL)
        return STATUS_FWP_NULL_POINTER;
    *out = NULL;
    above(PASSIVE_LEVEL, NULL, "FwpsInjectionHandleCreate above PASSIVE_LEVEL");
    if (types == 0)
        types = TYPES_OF_OLD;
    if ((types & ~(UINT32)TYPES_KNOWN) != 0 ||
        (family != AF_UNSPEC && family != AF_INET && family != AF_INET6) ||
        ((types & FWPS_INJECTION_TYPE_NETWORK) != 0 && family == AF_UNSPEC) ||
        ((types & FWPS_INJECTION_TYPE_L2) != 0 && family != AF_UNSPEC))
        return STATUS_INVALID_PARAMETER; /* INJ-02 */
    rt_mutex_lock(j->lock);
    started = j->thread != NULL || h->config.knobs.inject_in_caller ||
              rt_thread_start("injector", injector_main, h, &j->thread) == 0;
    x = started ? handle_make(j) : NULL;
    if (x != NULL) {
        x->types = types;
        x->family = family;
        x->closing = false;
        x->in_flight = 0;
        x->party = ledger_current();
        *out = (HANDLE)(uintptr_t)x->id;
        j->counts.handles++;
    }
    rt_mutex_unlock(j->lock);
    return x != NULL ? STATUS_SUCCESS : STATUS_NO_MEMORY;
}

NTSTATUS host_injection_destroy(struct host *h, HANDLE handle)
{
    struct injector *j = h->injector;
    struct injection_handle *x;
    bool mine;

    above(PASSIVE_LEVEL, NULL, "FwpsInjectionHandleDestroy above PASSIVE_LEVEL");
    mine = turn_is_mine(&h->lanes[0]);
    rt_mutex_lock(j->lock);
    x = handle_of(j, handle);
    if (x == NULL || x->closing) {
        rt_mutex_unlock(j->lock);
        return STATUS_INVALID_HANDLE;
    }
    if (x->in_flight != 0 &&
        j->self == rt_self()) { /* from a completionFn: it would wait for itself (INJ-09) */
        rt_mutex_unlock(j->lock);
        ledger_report(LEDGER_BUGCHECK, NULL,
                      "an injection handle was destroyed by a completion function of its own");
        return STATUS_UNSUCCESSFUL;
    }
    x->closing = true;
    while (x->in_flight != 0) {
        if (mine && j->head != NULL) {
            rt_mutex_unlock(j->lock);
            (void)burst(h, DISPATCH_LEVEL);
            rt_mutex_lock(j->lock);
            continue;
        }
        rt_waits_for("injections to complete");
        rt_cond_wait(j->done, j->lock, RT_FOREVER);
    }
    x->id = 0;
    j->counts.handles--;
    rt_mutex_unlock(j->lock);
    return STATUS_SUCCESS;
}

FWPS_PACKET_INJECTION_STATE host_injection_state(struct host *h, HANDLE handle, const NET_BUFFER_LIST *nbl,
                                                 HANDLE *context)
{
    void *found = NULL;
    const enum ndis_injected state =
        ndis_history_state(ndis_history_of(nbl), (UINT64)(uintptr_t)handle, &found);

    (void)h;
    switch (state) {
    case NDIS_INJECTED_BY_SELF:
    case NDIS_PREVIOUSLY_INJECTED_BY_SELF:
        if (context != NULL)
            *context = found;
        return state == NDIS_INJECTED_BY_SELF ? FWPS_PACKET_INJECTED_BY_SELF
                                              : FWPS_PACKET_PREVIOUSLY_INJECTED_BY_SELF;
    case NDIS_INJECTED_BY_OTHER:
        return FWPS_PACKET_INJECTED_BY_OTHER;
    default:
        return FWPS_PACKET_NOT_INJECTED;
    }
}

/* ---- injecting */

static UINT32 type_of(enum host_injection_kind kind)
{
    switch (kind) {
    case HOST_INJECT_NETWORK_SEND:
    case HOST_INJECT_NETWORK_RECEIVE:
        return FWPS_INJECTION_TYPE_NETWORK;
    case HOST_INJECT_FORWARD:
        return FWPS_INJECTION_TYPE_FORWARD;
    default:
        return FWPS_INJECTION_TYPE_TRANSPORT;
    }
}

static const char *name_of(const struct injection_handle *x)
{
    return x == NULL ? "a handle that is gone" : x->party != NULL ? ledger_party_name(x->party) : "a program";
}

/* So many may have been injected before this one; what is cloned at each turn grows wide before it is deep. */
static bool is_too_often(const struct injection *i, UINT32 cap)
{
    const UINT32 length = ndis_history_length(i->history);

    if (length <= 1)
        return false;
    return length > cap ||
           (i->origin != NULL && __atomic_load_n(&i->origin->again, __ATOMIC_RELAXED) > cap * FAMILY);
}

/* A packet that came again too often (INJ-17): the names of the last two who injected it. */
NTSTATUS injection_capped(struct host *h, const struct injection *i)
{
    const UINT32 cap = h->config.knobs.injection_cap != 0 ? h->config.knobs.injection_cap : DEFAULT_CAP;
    struct injector *j = h->injector;
    const UINT64 before = ndis_history_before(i->history);
    const struct injection_handle *other;
    char text[160];

    if (!is_too_often(i, cap))
        return STATUS_SUCCESS;
    rt_mutex_lock(j->lock);
    j->counts.capped++;
    other = handle_of(j, (HANDLE)(uintptr_t)before);
    snprintf(text, sizeof(text), "a packet was injected %u times, last by %s, before by %s: dropped",
             ndis_history_length(i->history) - 1, name_of(i->of), name_of(other));
    rt_mutex_unlock(j->lock);
    ledger_report(LEDGER_NOTE, i->what.site, text);
    return STATUS_HOPLIMIT_EXCEEDED;
}

static struct injection *injection_make(const struct host_injection *what)
{
    struct injection *i = calloc(1, sizeof(*i));
    const FWPS_TRANSPORT_SEND_PARAMS1 *send = what->send;

    if (i == NULL)
        return NULL;
    i->what = *what;
    i->what.send = NULL;
    i->context = rt_current();
    if (send != NULL && send->remoteAddress != NULL) {
        memcpy(i->remote, send->remoteAddress, what->family == AF_INET6 ? 16 : 4);
        i->has_remote = true;
    }
    if (send != NULL && send->headerIncludeHeader != NULL && send->headerIncludeHeaderLength != 0) {
        i->header = malloc(send->headerIncludeHeaderLength);
        if (i->header == NULL) {
            free(i);
            return NULL;
        }
        memcpy(i->header, send->headerIncludeHeader, send->headerIncludeHeaderLength);
        i->header_size = send->headerIncludeHeaderLength;
    }
    i->history =
        ndis_history_add(ndis_history_of(what->list), (UINT64)(uintptr_t)what->handle, what->context);
    if (i->history == NULL) {
        free(i->header);
        free(i);
        return NULL;
    }
    return i;
}

/* What is wrong with the arguments; the handle's part is handle_check()'s. */
static NTSTATUS check(const struct host_injection *what)
{
    if (what->list == NULL || what->complete == NULL)
        return STATUS_FWP_NULL_POINTER;
    if (what->flags != 0)
        return STATUS_INVALID_PARAMETER;
    if (ndis_nbl_made(what->list) == NDIS_MADE_NOT || ndis_nbl_made(what->list) == NDIS_MADE_FRAME ||
        what->list->Next != NULL || !ndis_nbl_sound(what->list))
        return STATUS_INVALID_PARAMETER;
    return STATUS_SUCCESS;
}

static NTSTATUS handle_check(const struct injection_handle *x, const struct host_injection *what)
{
    if (x == NULL || (x->types & type_of(what->kind)) == 0)
        return STATUS_FWP_INJECT_HANDLE_STALE; /* INJ-03 */
    if (x->closing)
        return STATUS_FWP_INJECT_HANDLE_CLOSING;
    if (what->family != AF_UNSPEC && what->family != AF_INET && what->family != AF_INET6)
        return STATUS_INVALID_PARAMETER;
    if (what->family != AF_UNSPEC && x->family != AF_UNSPEC && what->family != x->family)
        return STATUS_INVALID_PARAMETER;
    return STATUS_SUCCESS;
}

NTSTATUS host_inject(struct host *h, const struct host_injection *what)
{
    struct injector *j = h->injector;
    struct injection_handle *x;
    struct injection *i;
    NTSTATUS status = check(what);
    bool wake;

    if (status != STATUS_SUCCESS)
        return status;
    i = injection_make(what);
    if (i == NULL)
        return STATUS_NO_MEMORY;
    rt_mutex_lock(j->lock);
    x = handle_of(j, what->handle);
    status = handle_check(x, what);
    if (status == STATUS_SUCCESS) {
        i->of = x;
        if (i->what.family == AF_UNSPEC)
            i->what.family = x->family;
        x->in_flight++;
        j->in_flight++;
        j->counts.injected++;
    }
    rt_mutex_unlock(j->lock);
    if (status != STATUS_SUCCESS) {
        ndis_history_unref(i->history);
        free(i->header);
        free(i);
        return status;
    }
    i->origin = ndis_origin_ref(ndis_origin_of(what->list));
    if (i->origin != NULL)
        __atomic_store_n(&i->origin->injected, true, __ATOMIC_RELAXED);
    if (i->origin != NULL && ndis_history_length(i->history) > 1)
        __atomic_fetch_add(&i->origin->again, 1, __ATOMIC_RELAXED);
    ndis_nbl_set_history(what->list, i->history);
    ledger_open(LEDGER_INJECTION, (uintptr_t)what->list, 0, NULL, what->site);
    i->status = injection_capped(h, i);
    rt_mutex_lock(j->lock);
    *j->tail = i;
    j->tail = &i->next;
    wake = j->sleeps;
    j->sleeps = false; /* one wake-up a burst */
    rt_mutex_unlock(j->lock);
    if (h->config.knobs.inject_in_caller)
        while (turn_depth(&h->lanes[0]) < NESTED && burst(h, PASSIVE_LEVEL))
            ;
    else if (wake)
        rt_cond_broadcast(j->work);
    return STATUS_SUCCESS;
}

void host_injection_counts(struct host *h, struct host_injection_counts *out)
{
    struct injector *j = h->injector;

    rt_mutex_lock(j->lock);
    *out = j->counts;
    out->in_flight = j->in_flight;
    rt_mutex_unlock(j->lock);
    out->frames_kept = ndis_frames_kept(h->frames);
    out->frames_copied = ndis_frames_copied(h->frames);
}

/* ---- what else the doors need -----------------------------------------------------------------------------
 */

UINT64 host_next_tag(struct host *h)
{
    return __atomic_add_fetch(&h->next_tag, 1, __ATOMIC_RELAXED);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inject: injection handles, and what is accepted for injection.
 *
 *   FwpsInject*Async: host_inject() -> checks -> a history of one more, a reference to the origin -> injector_queue()
 *
 * The injector (injector.c) has it from there. A chain of frames (INJ-30) is as many injections, accepted together or not
 * at all, each completed by itself. A closing handle accepts nothing, and its destroyer waits until nothing of it is in
 * flight; who destroys a handle while he has the turn (from within a classify) walks what is queued himself: the injector
 * could not.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/inject_inside.h"
#include "host/walk.h"
#include "ledger/ledger.h"
#include "ws2def.h"

#define DEFAULT_CAP 64u
#define FAMILY      16u /* times the cap: so often may what stems from one frame come again in all */

#define TYPES_KNOWN                                                                                          \
    (FWPS_INJECTION_TYPE_STREAM | FWPS_INJECTION_TYPE_TRANSPORT | FWPS_INJECTION_TYPE_NETWORK |              \
     FWPS_INJECTION_TYPE_FORWARD | FWPS_INJECTION_TYPE_L2 | FWPS_INJECTION_TYPE_VSWITCH_TRANSPORT)
#define TYPES_OF_OLD                                                                                         \
    (FWPS_INJECTION_TYPE_STREAM | FWPS_INJECTION_TYPE_TRANSPORT | FWPS_INJECTION_TYPE_FORWARD)

/* ---- handles */

/* NULL: there is none of this number. Without the lock it may be gone, and its place another's, as soon as this returns. */
static struct injection_handle *handle_of(const struct injector *j, HANDLE handle)
{
    const UINT64 id = (UINT64)(uintptr_t)handle;
    const size_t slot = (id & ((1u << INJECTION_SLOT_BITS) - 1)) - 1;
    struct injection_handle *x;

    if (id == 0 || slot >= __atomic_load_n(&j->handle_count, __ATOMIC_ACQUIRE))
        return NULL;
    x = injection_handle_at(j, slot);
    return __atomic_load_n(&x->id, __ATOMIC_ACQUIRE) == id ? x : NULL;
}

/* One that is free: closing, without an id. The lock is held. */
static struct injection_handle *handle_free(struct injector *j, size_t *slot)
{
    const size_t count = j->handle_count;
    unsigned piece;

    for (*slot = 0; *slot < count; ++*slot)
        if (injection_handle_at(j, *slot)->id == 0)
            return injection_handle_at(j, *slot);
    if (count == (1u << INJECTION_SLOT_BITS) - 1)
        return NULL;
    piece = 63 - (unsigned)__builtin_clzll(count + 1);
    if (j->handles[piece] == NULL)
        j->handles[piece] = calloc((size_t)1 << piece, sizeof(*j->handles[piece]));
    if (j->handles[piece] == NULL)
        return NULL;
    injection_handle_at(j, count)->closing = true;
    __atomic_store_n(&j->handle_count, count + 1, __ATOMIC_RELEASE);
    return injection_handle_at(j, count);
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
    size_t slot;

    if (out == NULL)
        return STATUS_FWP_NULL_POINTER;
    *out = NULL;
    above(PASSIVE_LEVEL, NULL, "FwpsInjectionHandleCreate above PASSIVE_LEVEL");
    if (types == 0)
        types = TYPES_OF_OLD;
    if ((types & ~(UINT32)TYPES_KNOWN) != 0 ||
        (family != AF_UNSPEC && family != AF_INET && family != AF_INET6) ||
        ((types & FWPS_INJECTION_TYPE_NETWORK) != 0 && family == AF_UNSPEC))
        return STATUS_INVALID_PARAMETER; /* INJ-02; of L2 any family is taken, as Windows does */
    rt_mutex_lock(j->lock);
    x = injector_runs(h) ? handle_free(j, &slot) : NULL;
    if (x != NULL) {
        const UINT64 id = (UINT64)++x->generation << INJECTION_SLOT_BITS | (slot + 1);

        __atomic_store_n(&x->types, types, __ATOMIC_RELAXED); /* read without the lock, by who sees the id */
        x->family = family;
        x->told = x->sum_told = false;
        x->party = ledger_current();
        __atomic_store_n(&x->id, id, __ATOMIC_SEQ_CST);
        __atomic_store_n(&x->closing, false, __ATOMIC_SEQ_CST); /* behind the id: handle_enter() */
        *out = (HANDLE)(uintptr_t)id;
        j->counts.handles++;
    }
    rt_mutex_unlock(j->lock);
    return x != NULL ? STATUS_SUCCESS : STATUS_NO_MEMORY;
}

static bool is_in_flight(const struct injection_handle *x)
{
    return injection_in_flight(&x->packets) || injection_in_flight(&x->streams);
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
    if (is_in_flight(x) &&
        j->self == rt_self()) { /* from a completionFn: it would wait for itself (INJ-09) */
        rt_mutex_unlock(j->lock);
        ledger_report(LEDGER_BUGCHECK, NULL,
                      "an injection handle was destroyed by a completion function of its own");
        return STATUS_UNSUCCESSFUL;
    }
    __atomic_store_n(&x->closing, true, __ATOMIC_SEQ_CST);
    __atomic_fetch_add(&j->waiting, 1, __ATOMIC_SEQ_CST);
    while (is_in_flight(x)) {
        if (mine && injector_has_more(j)) {
            rt_mutex_unlock(j->lock);
            (void)injector_burst(h, DISPATCH_LEVEL);
            rt_mutex_lock(j->lock);
            continue;
        }
        rt_waits_for("injections to complete");
        rt_cond_wait(j->done, j->lock, RT_FOREVER);
    }
    __atomic_fetch_sub(&j->waiting, 1, __ATOMIC_SEQ_CST);
    __atomic_store_n(&x->id, 0, __ATOMIC_SEQ_CST);
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
    case HOST_INJECT_MAC_SEND:
    case HOST_INJECT_MAC_RECEIVE:
        return FWPS_INJECTION_TYPE_L2;
    case HOST_INJECT_VSWITCH:
        return FWPS_INJECTION_TYPE_VSWITCH_TRANSPORT;
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

bool injection_sum_was_told(const struct injection *i)
{
    return i->of->sum_told;
}

void injection_tell_sum(const struct injection *i)
{
    i->of->sum_told = true;
}

void injection_free(struct injection *i)
{
    free(i->header);
    if (i->history != NULL)
        ndis_history_unref(i->history); /* its memory, too */
    else
        free(i);
}

/* One of the chain's. NULL: out of memory. */
static struct injection *injection_make(const struct host_injection *what, NET_BUFFER_LIST *list)
{
    const FWPS_TRANSPORT_SEND_PARAMS1 *send = what->send;
    struct ndis_history *history;
    struct injection *i;

    history =
        ndis_history_add(ndis_history_of(list), (UINT64)(uintptr_t)what->handle, what->context, sizeof(*i));
    if (history == NULL)
        return NULL;
    i = ndis_history_beside(history);
    *i = (struct injection){.what = *what, .context = rt_current(), .history = history};
    i->what.list = list;
    i->what.send = NULL;
    if (send != NULL && send->remoteAddress != NULL) {
        memcpy(i->remote, send->remoteAddress, what->family == AF_INET6 ? 16 : 4);
        i->has_remote = true;
    }
    if (send != NULL && send->headerIncludeHeader != NULL && send->headerIncludeHeaderLength != 0) {
        i->header = malloc(send->headerIncludeHeaderLength);
        if (i->header == NULL) {
            injection_free(i);
            return NULL;
        }
        memcpy(i->header, send->headerIncludeHeader, send->headerIncludeHeaderLength);
        i->header_size = send->headerIncludeHeaderLength;
    }
    return i;
}

static void injections_free(struct injection *first)
{
    for (struct injection *i = first, *next; i != NULL; i = next) {
        next = i->next;
        injection_free(i);
    }
}

/* All of the chain: how many they are; or none: 0. */
static unsigned injections_make(const struct host_injection *what, struct injection **first)
{
    struct injection **end = first;
    unsigned count = 0;

    *first = NULL;
    for (NET_BUFFER_LIST *list = what->list; list != NULL; list = list->Next, count++) {
        *end = injection_make(what, list);
        if (*end == NULL) {
            injections_free(*first);
            return 0;
        }
        end = &(*end)->next;
    }
    return count;
}

static bool is_mac(const struct host_injection *what)
{
    return what->kind == HOST_INJECT_MAC_SEND || what->kind == HOST_INJECT_MAC_RECEIVE;
}

/* Frames: they may come in chains, and be originals. */
static bool is_frame(const struct host_injection *what)
{
    return is_mac(what) || what->kind == HOST_INJECT_VSWITCH;
}

static NTSTATUS check_list(const struct host_injection *what, const NET_BUFFER_LIST *list)
{
    const enum ndis_made made = ndis_nbl_made(list);

    if (made == NDIS_MADE_NOT || (made == NDIS_MADE_FRAME && !is_frame(what)) || !ndis_nbl_sound(list))
        return STATUS_INVALID_PARAMETER;
    if (what->complete == NULL && (made != NDIS_MADE_FRAME || !is_frame(what)))
        return STATUS_FWP_NULL_POINTER;
    if (made == NDIS_MADE_STREAM || made == NDIS_MADE_STREAM_CLONE) /* STR-19 */
        ledger_report(
            LEDGER_NOTE, what->site,
            "data of a stream were given to an injection function of packets, taken as a packet: they are "
            "FwpsStreamInjectAsync's");
    return STATUS_SUCCESS;
}

#define CHAIN_MOST 65536u /* longer ones bite their tail */

/* What is wrong with the arguments; the handle's part is handle_enter()'s. */
static NTSTATUS check(const struct host_injection *what)
{
    NTSTATUS status = STATUS_SUCCESS;
    unsigned count = 0;

    if (what->list == NULL || (what->complete == NULL && !is_frame(what)))
        return STATUS_FWP_NULL_POINTER;
    if (what->flags != 0)
        return STATUS_INVALID_PARAMETER;
    if (!is_frame(what) && what->list->Next != NULL) {
        if (what->kind == HOST_INJECT_FORWARD)
            ledger_report(LEDGER_NOTE, what->site,
                          "FwpsInjectForwardAsync: a fragment group is put together before it is injected");
        return STATUS_INVALID_PARAMETER;
    }
    if (what->kind == HOST_INJECT_VSWITCH && what->vswitch == NULL)
        return STATUS_INVALID_PARAMETER;
    if (is_mac(what) && (injection_mac_layer(what->layer) == LAYER_ROLES ||
                         (what->kind == HOST_INJECT_MAC_RECEIVE) !=
                             (injection_mac_layer(what->layer) == LAYER_MAC_IN ||
                              injection_mac_layer(what->layer) == LAYER_MAC_IN_NATIVE)))
        return STATUS_INVALID_PARAMETER;
    for (const NET_BUFFER_LIST *list = what->list; list != NULL && NT_SUCCESS(status); list = list->Next)
        status = count++ < CHAIN_MOST ? check_list(what, list) : STATUS_INVALID_PARAMETER;
    return status;
}

/*
 * So many are in flight for the handle, and it stays until they are not. Without the lock: they are counted first, then
 * `closing` is read, then the id. A destroyer closes first, then counts: he waits for these, or they see that he closes. A
 * handle that has the place by now opened it behind its own id, which is another.
 */
static NTSTATUS handle_enter(struct injector *j, HANDLE handle, UINT32 type, unsigned count,
                             struct injection_handle **out)
{
    const bool stream = type == FWPS_INJECTION_TYPE_STREAM;
    struct injection_handle *x = handle_of(j, handle);
    struct injection_flights *flights;
    NTSTATUS status = STATUS_SUCCESS;

    if (x == NULL)
        return STATUS_FWP_INJECT_HANDLE_STALE; /* INJ-03 */
    flights = stream ? &x->streams : &x->packets;
    injection_take_off(flights, count);
    if (__atomic_load_n(&x->closing, __ATOMIC_SEQ_CST))
        status = STATUS_FWP_INJECT_HANDLE_CLOSING;
    if (__atomic_load_n(&x->id, __ATOMIC_SEQ_CST) != (UINT64)(uintptr_t)handle ||
        (__atomic_load_n(&x->types, __ATOMIC_RELAXED) & type) == 0)
        status = STATUS_FWP_INJECT_HANDLE_STALE;
    *out = x;
    if (status != STATUS_SUCCESS)
        injection_never_flew(j, flights, count);
    return status;
}

static NTSTATUS family_check(const struct injection_handle *x, const struct host_injection *what)
{
    if (what->family != AF_UNSPEC && what->family != AF_INET && what->family != AF_INET6)
        return STATUS_INVALID_PARAMETER;
    if (what->family != AF_UNSPEC && x->family != AF_UNSPEC && what->family != x->family)
        return STATUS_INVALID_PARAMETER;
    return STATUS_SUCCESS;
}

/* It is accepted; the list is its alone from now on. */
static void accept(struct host *h, struct injection *i)
{
    NET_BUFFER_LIST *list = i->what.list;

    list->Next = NULL;
    if (ndis_nbl_made(list) == NDIS_MADE_FRAME) {
        i->frame = ndis_frame_of(list);
        ndis_frame_hold(i->frame);
    }
    i->origin = ndis_origin_of(list);
    if (i->origin != NULL)
        __atomic_store_n(&i->origin->injected, true, __ATOMIC_RELAXED);
    if (i->origin != NULL && ndis_history_length(i->history) > 1)
        (void)rt_add(&i->origin->again, 1, __ATOMIC_RELAXED);
    ndis_nbl_set_history(list, i->history);
    ledger_open(LEDGER_INJECTION, (uintptr_t)list, 0, NULL, i->what.site);
    i->status = injection_capped(h, i);
}

NTSTATUS host_inject(struct host *h, const struct host_injection *what)
{
    struct injector *j = h->injector;
    struct injection *first, *last = NULL;
    struct injection_handle *x;
    unsigned count;
    NTSTATUS status = check(what);

    if (status != STATUS_SUCCESS)
        return status;
    count = injections_make(what, &first);
    if (count == 0)
        return STATUS_NO_MEMORY;
    status = handle_enter(j, what->handle, type_of(what->kind), count, &x);
    if (status == STATUS_SUCCESS) {
        status = family_check(x, what);
        if (status != STATUS_SUCCESS)
            injection_never_flew(j, &x->packets, count);
    }
    if (status != STATUS_SUCCESS) {
        injections_free(first);
        return status;
    }
    for (struct injection *i = first; i != NULL; i = i->next) {
        i->of = x;
        if (i->what.family == AF_UNSPEC)
            i->what.family = x->family;
        accept(h, i);
        last = i;
    }
    injector_queue(h, first, last);
    return STATUS_SUCCESS;
}

bool injection_told(struct host *h, const struct injection *i)
{
    bool first;

    rt_mutex_lock(h->injector->lock);
    first = !i->of->told;
    i->of->told = true;
    rt_mutex_unlock(h->injector->lock);
    return first;
}

/* ---- of streams: stream_inject.c's, in the same queue ------------------------------------------------------ */

NTSTATUS injection_stream_begin(struct host *h, HANDLE handle, unsigned count, struct injection_handle **of)
{
    return handle_enter(h->injector, handle, FWPS_INJECTION_TYPE_STREAM, count, of);
}

bool injection_stream_begin_bare(struct host *h)
{
    struct injector *j = h->injector;
    bool started;

    rt_mutex_lock(j->lock);
    started = injector_runs(h);
    if (started)
        injection_take_off(&j->bare, 1);
    rt_mutex_unlock(j->lock);
    return started;
}

void injection_stream_cancel(struct host *h, struct injection_handle *of, unsigned count)
{
    injection_never_flew(h->injector, &of->streams, count);
}

void injection_stream_queue(struct host *h, struct injection *first)
{
    struct injection *last = first;

    for (struct injection *i = first; i != NULL; i = i->next) {
        i->of_stream = true;
        i->context = rt_current();
        if (i->what.list != NULL) {
            i->what.list->Next = NULL;
            ledger_open(LEDGER_INJECTION, (uintptr_t)i->what.list, 0, NULL, i->what.site);
        }
        last = i;
    }
    injector_queue(h, first, last);
}

/* ---- what else the doors need -----------------------------------------------------------------------------
 */

UINT64 host_next_tag(struct host *h)
{
    return __atomic_add_fetch(&h->next_tag, 1, __ATOMIC_RELAXED);
}

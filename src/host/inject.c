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

#define SLOT_BITS   16
#define DEFAULT_CAP 64u
#define FAMILY      16u /* times the cap: so often may what stems from one frame come again in all */

#define TYPES_KNOWN                                                                                          \
    (FWPS_INJECTION_TYPE_STREAM | FWPS_INJECTION_TYPE_TRANSPORT | FWPS_INJECTION_TYPE_NETWORK |              \
     FWPS_INJECTION_TYPE_FORWARD | FWPS_INJECTION_TYPE_L2 | FWPS_INJECTION_TYPE_VSWITCH_TRANSPORT)
#define TYPES_OF_OLD                                                                                         \
    (FWPS_INJECTION_TYPE_STREAM | FWPS_INJECTION_TYPE_TRANSPORT | FWPS_INJECTION_TYPE_FORWARD)

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
        ((types & FWPS_INJECTION_TYPE_NETWORK) != 0 && family == AF_UNSPEC))
        return STATUS_INVALID_PARAMETER; /* INJ-02; of L2 any family is taken, as Windows does */
    rt_mutex_lock(j->lock);
    started = injector_runs(h);
    x = started ? handle_make(j) : NULL;
    if (x != NULL) {
        x->types = types;
        x->family = family;
        x->closing = x->told = false;
        x->in_flight = 0;
        x->sum_told = false;
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
        if (mine && injector_has_more(j)) {
            rt_mutex_unlock(j->lock);
            (void)injector_burst(h, DISPATCH_LEVEL);
            rt_mutex_lock(j->lock);
            continue;
        }
        rt_waits_for("injections to complete");
        j->waiting++;
        rt_cond_wait(j->done, j->lock, RT_FOREVER);
        j->waiting--;
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

/* One of the chain's. NULL: out of memory. */
static struct injection *injection_make(const struct host_injection *what, NET_BUFFER_LIST *list)
{
    struct injection *i = malloc(sizeof(*i));
    const FWPS_TRANSPORT_SEND_PARAMS1 *send = what->send;

    if (i == NULL)
        return NULL;
    memset(i, 0, sizeof(*i));
    i->what = *what;
    i->what.list = list;
    i->what.send = NULL;
    i->context = rt_current();
    if (send != NULL && send->remoteAddress != NULL) {
        memcpy(i->remote, send->remoteAddress, what->family == AF_INET6 ? 16 : 4);
        i->has_remote = true;
    }
    if (send != NULL && send->headerIncludeHeader != NULL && send->headerIncludeHeaderLength != 0) {
        i->header = malloc(send->headerIncludeHeaderLength);
        if (i->header == NULL)
            goto fail;
        memcpy(i->header, send->headerIncludeHeader, send->headerIncludeHeaderLength);
        i->header_size = send->headerIncludeHeaderLength;
    }
    i->history = ndis_history_add(ndis_history_of(list), (UINT64)(uintptr_t)what->handle, what->context);
    if (i->history != NULL)
        return i;
fail:
    free(i->header);
    free(i);
    return NULL;
}

static void injections_free(struct injection *first)
{
    for (struct injection *i = first, *next; i != NULL; i = next) {
        next = i->next;
        ndis_history_unref(i->history);
        free(i->header);
        free(i);
    }
}

/* All of the chain, or none: false. */
static bool injections_make(const struct host_injection *what, struct injection **first)
{
    struct injection **end = first;

    *first = NULL;
    for (NET_BUFFER_LIST *list = what->list; list != NULL; list = list->Next) {
        *end = injection_make(what, list);
        if (*end == NULL) {
            injections_free(*first);
            return false;
        }
        end = &(*end)->next;
    }
    return true;
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

/* What is wrong with the arguments; the handle's part is handle_check()'s. */
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

/* It is accepted; the list is its alone from now on. */
static void accept(struct host *h, struct injection *i)
{
    NET_BUFFER_LIST *list = i->what.list;

    list->Next = NULL;
    if (ndis_nbl_made(list) == NDIS_MADE_FRAME) {
        i->frame = ndis_frame_of(list);
        ndis_frame_hold(i->frame);
    }
    i->origin = ndis_origin_ref(ndis_origin_of(list));
    if (i->origin != NULL)
        __atomic_store_n(&i->origin->injected, true, __ATOMIC_RELAXED);
    if (i->origin != NULL && ndis_history_length(i->history) > 1)
        __atomic_fetch_add(&i->origin->again, 1, __ATOMIC_RELAXED);
    ndis_nbl_give_history(list, i->history);
    ledger_open(LEDGER_INJECTION, (uintptr_t)list, 0, NULL, i->what.site);
    i->status = injection_capped(h, i);
}

NTSTATUS host_inject(struct host *h, const struct host_injection *what)
{
    struct injector *j = h->injector;
    struct injection *first, *last = NULL;
    struct injection_handle *x;
    NTSTATUS status = check(what);

    if (status != STATUS_SUCCESS)
        return status;
    if (!injections_make(what, &first))
        return STATUS_NO_MEMORY;
    rt_mutex_lock(j->lock);
    x = handle_of(j, what->handle);
    status = handle_check(x, what);
    for (struct injection *i = first; i != NULL && status == STATUS_SUCCESS; i = i->next) {
        i->of = x;
        if (i->what.family == AF_UNSPEC)
            i->what.family = x->family;
        x->in_flight++;
        j->in_flight++;
        j->counts.injected++;
    }
    rt_mutex_unlock(j->lock);
    if (status != STATUS_SUCCESS) {
        injections_free(first);
        return status;
    }
    for (struct injection *i = first; i != NULL; i = i->next) {
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
    struct injector *j = h->injector;
    NTSTATUS status = STATUS_SUCCESS;
    struct injection_handle *x;

    rt_mutex_lock(j->lock);
    x = handle_of(j, handle);
    if (x == NULL || (x->types & FWPS_INJECTION_TYPE_STREAM) == 0)
        status = STATUS_FWP_INJECT_HANDLE_STALE; /* INJ-03 */
    else if (x->closing)
        status = STATUS_FWP_INJECT_HANDLE_CLOSING;
    if (status == STATUS_SUCCESS) {
        x->in_flight += count;
        j->in_flight += count;
        *of = x;
    }
    rt_mutex_unlock(j->lock);
    return status;
}

bool injection_stream_begin_bare(struct host *h)
{
    struct injector *j = h->injector;
    bool started;

    rt_mutex_lock(j->lock);
    started = injector_runs(h);
    j->in_flight += started;
    rt_mutex_unlock(j->lock);
    return started;
}

void injection_stream_cancel(struct host *h, struct injection_handle *of, unsigned count)
{
    struct injector *j = h->injector;

    rt_mutex_lock(j->lock);
    j->in_flight -= count;
    of->in_flight -= count;
    if (j->waiting != 0 && (of->in_flight == 0 || j->in_flight == 0))
        rt_cond_broadcast(j->done);
    rt_mutex_unlock(j->lock);
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

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * classify_handle: classify handles and what is done with them (redirect.c says who owns what).
 *
 *   FREE --acquire--> own reference --release--> (the pend's, if there is one) --complete--> FREE, generation + 1
 *                       |  pend: + 1                                             complete: - 1
 *
 * A handle names what one callout does about one indication: its redirect, and its answer there. At layers where nothing
 * can be pended or changed it names nothing more than that it was given out. Slots never move; the lane's lock guards
 * them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/indicate.h"
#include "host/redirect_inside.h"
#include "ledger/ledger.h"
#include "nt/nt.h"

#define NONE      UINT32_MAX
#define MAX_SLOTS (1u << 24)

struct handle {
    struct redirect *r; /* a reference; NULL: of another layer */
    UINT64 filter_id;   /* of the answer */
    UINT32 generation, next;
    UINT32 references; /* 0: free */
    bool released;     /* its owner has given it back; the pend's reference is left */
    bool pended;       /* by this handle, and not completed */
    bool was_pended;
};

static struct handle *at(const struct redirects *x, UINT32 slot)
{
    return (struct handle *)x->handles.base + slot;
}

int classify_handles_create(struct redirects *x)
{
    x->handle_free = NONE;
    return span_open(&x->handles, (size_t)MAX_SLOTS * sizeof(struct handle)) != 0 ? -ENOMEM : 0;
}

void classify_handles_destroy(struct redirects *x)
{
    span_close(&x->handles);
}

static struct handle *take_slot(struct redirects *x)
{
    size_t budget = SIZE_MAX;
    UINT32 slot = x->handle_free;

    if (slot != NONE) {
        x->handle_free = at(x, slot)->next;
        return at(x, slot);
    }
    slot = x->handle_slots;
    if (slot == MAX_SLOTS || span_grow(&x->handles, ((size_t)slot + 1) * sizeof(struct handle), &budget) != 0)
        return NULL;
    x->handle_slots++;
    at(x, slot)->generation = 1;
    return at(x, slot);
}

static UINT64 number_of(const struct redirects *x, const struct handle *k)
{
    return (UINT64)k->generation << 32 | (UINT64)(k - at(x, 0) + 1);
}

/* NULL: it names nothing, any longer. */
static struct handle *named(const struct redirects *x, UINT64 number)
{
    const UINT64 slot = (number & UINT32_MAX) - 1; /* wraps for 0 */
    struct handle *k = slot < x->handle_slots ? at(x, (UINT32)slot) : NULL;

    return k != NULL && k->references != 0 && k->generation == (UINT32)(number >> 32) ? k : NULL;
}

static void let_go(struct redirects *x, struct handle *k)
{
    if (--k->references != 0)
        return;
    if (k->r != NULL)
        redirect_unref(k->r);
    k->r = NULL;
    k->generation++;
    k->next = x->handle_free;
    x->handle_free = (UINT32)(k - at(x, 0));
    x->counts.handles--;
}

/* What the handle's callout said, is saying, or will say; NULL: of another layer. */
static struct redirect_answer *answer_of(const struct handle *k)
{
    struct redirect *r = k->r;

    for (UINT32 i = 0; r != NULL && i < r->answer_count; i++)
        if (r->answers[i].filter_id == k->filter_id)
            return &r->answers[i];
    return NULL;
}

/* RED-16: while its classifyFn runs, or it has pended and not completed. */
static bool is_open(const struct handle *k, const struct redirect_answer *x)
{
    return k->r != NULL && !k->r->over && x != NULL && (x->asking || (x->pended && !x->completed));
}

/* ---- the doors ----------------------------------------------------------------------------------------------- */

static bool is_context_of(const struct scene *s, const void *context)
{
    return context == scene_classify_context(s);
}

NTSTATUS host_classify_acquire(struct host *h, const void *classify_context, UINT64 *handle)
{
    struct rt_mutex *lock = h->lanes[0].lock;
    struct redirects *x = redirects_of(h);
    struct ale_hold *hold = ale_hold_here(h);
    struct redirect *r;
    struct handle *k;

    if (handle == NULL)
        return STATUS_FWP_NULL_POINTER;
    *handle = 0;
    if (classify_context == NULL)
        return STATUS_FWP_NULL_POINTER;
    if (hold == NULL || !is_context_of(hold->scene, classify_context))
        return STATUS_INVALID_PARAMETER;
    r = hold->scene->redirect;
    if (r == NULL && hold->scene->late != NULL)
        r = redirect_closure_late(hold->scene, hold->callout);
    rt_mutex_lock(lock);
    k = take_slot(x);
    if (k != NULL) {
        k->references = 1;
        k->released = k->pended = k->was_pended = false;
        k->r = r;
        k->filter_id = 0;
        if (r != NULL) {
            r->references++;
            k->filter_id = r->asking < r->answer_count ? r->answers[r->asking].filter_id : 0;
        }
        x->counts.handles++;
        *handle = number_of(x, k);
    }
    rt_mutex_unlock(lock);
    return k != NULL ? STATUS_SUCCESS : STATUS_INSUFFICIENT_RESOURCES;
}

/* Lane held. */
static NTSTATUS pend(struct host *h, struct handle *k, const struct scene *running)
{
    struct redirect_answer *x = answer_of(k);
    struct redirect *r = k->r;
    HANDLE ticket;

    if (r == NULL || x == NULL || !x->asking || x->pended || running == NULL || running->redirect != r)
        return STATUS_FWP_CANNOT_PEND; /* RED-13, 16 */
    ticket = ale_operation_pend(ale_of(&h->lanes[0]), r->op, x->callout);
    if (ticket == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    r->op->pended = true;
    x->ticket = ticket;
    x->pended = true;
    x->completed = false;
    k->pended = k->was_pended = true;
    k->references++;
    redirects_of(h)->counts.pended++;
    redirects_of(h)->counts.closing += r->kind == REDIRECT_CLOSURE;
    return STATUS_SUCCESS;
}

NTSTATUS host_classify_pend(struct host *h, UINT64 handle, UINT64 filter_id)
{
    const struct ale_hold *hold = ale_hold_here(h);
    struct rt_mutex *lock = h->lanes[0].lock;
    struct handle *k;
    NTSTATUS status = STATUS_INVALID_HANDLE;

    (void)filter_id; /* the handle says it */
    rt_mutex_lock(lock);
    k = named(redirects_of(h), handle);
    if (k != NULL)
        status = pend(h, k, hold != NULL ? hold->scene : NULL);
    rt_mutex_unlock(lock);
    return status;
}

/* A copy of the request as it is now; lane held. NULL: no memory. */
static struct redirect_version *copy_current(struct redirect *r, UINT64 filter_id)
{
    struct redirect_version *v = calloc(1, sizeof(*v)), *behind = r->current;

    if (v == NULL)
        return NULL;
    behind->shown = behind->is;
    if (r->kind == REDIRECT_BIND) {
        behind->shown.bind.previousVersion = behind->previous != NULL ? &behind->previous->shown.bind : NULL;
        v->is = behind->is;
        v->is.bind.modifierFilterId = filter_id;
        v->shown = v->is;
        v->shown.bind.previousVersion = &behind->shown.bind;
    } else {
        behind->shown.connect.previousVersion =
            behind->previous != NULL ? &behind->previous->shown.connect : NULL;
        v->is = behind->is;
        v->is.connect.modifierFilterId = filter_id;
        v->shown = v->is;
        v->shown.connect.previousVersion = &behind->shown.connect;
    }
    v->filter_id = filter_id;
    v->all = r->all;
    r->all = v;
    return v;
}

NTSTATUS host_classify_writable(struct host *h, UINT64 handle, UINT64 filter_id, void **data,
                                FWPS_CLASSIFY_OUT0 *out)
{
    struct rt_mutex *lock = h->lanes[0].lock;
    struct redirect_answer *x;
    struct handle *k;
    NTSTATUS status = STATUS_INVALID_HANDLE;

    if (data == NULL)
        return STATUS_FWP_NULL_POINTER;
    *data = NULL;
    rt_mutex_lock(lock);
    k = named(redirects_of(h), handle);
    if (k == NULL)
        goto done;
    x = answer_of(k);
    status = STATUS_INVALID_DEVICE_STATE;
    if (!is_open(k, x) || k->r->kind == REDIRECT_CLOSURE)
        goto done;
    status = STATUS_INSUFFICIENT_RESOURCES;
    if (x->writable == NULL)
        x->writable = copy_current(k->r, filter_id != 0 ? filter_id : x->filter_id);
    if (x->writable == NULL)
        goto done;
    *data = &x->writable->shown;
    status = STATUS_SUCCESS;
done:
    rt_mutex_unlock(lock);
    if (status == STATUS_SUCCESS && out != NULL) { /* RED-07 */
        out->actionType = FWP_ACTION_BLOCK;
        out->rights &= ~(UINT32)FWPS_RIGHT_ACTION_WRITE;
    }
    return status;
}

/* The writable members of what the driver made of it; the others stay (RED-10). Bits of faults. */
static UINT32 take_bind(struct redirect_version *v)
{
    FWPS_BIND_REQUEST0 *is = &v->is.bind;
    const FWPS_BIND_REQUEST0 *gave = &v->shown.bind;

    is->localAddressAndPort = gave->localAddressAndPort;
    is->portReservationToken = gave->portReservationToken;
    return gave->modifierFilterId != is->modifierFilterId ? HOST_CLASSIFY_READ_ONLY : 0;
}

/* RED-23: pool of the driver's, of at least that size. */
static UINT32 take_context(struct redirect_version *v, const FWPS_CONNECT_REQUEST0 *gave)
{
    FWPS_CONNECT_REQUEST0 *is = &v->is.connect;

    if (gave->localRedirectContext == is->localRedirectContext) {
        if (gave->localRedirectContextSize <= is->localRedirectContextSize)
            is->localRedirectContextSize = gave->localRedirectContextSize;
        return 0;
    }
    is->localRedirectContext = NULL;
    is->localRedirectContextSize = 0;
    if (gave->localRedirectContext == NULL)
        return 0;
    if (!nt_pool_take(gave->localRedirectContext, gave->localRedirectContextSize))
        return HOST_CLASSIFY_CONTEXT;
    v->owns_context = true;
    is->localRedirectContext = gave->localRedirectContext;
    is->localRedirectContextSize = gave->localRedirectContextSize;
    return 0;
}

static UINT32 take_connect(struct redirect_version *v)
{
    FWPS_CONNECT_REQUEST0 *is = &v->is.connect;
    const FWPS_CONNECT_REQUEST0 *gave = &v->shown.connect;

    is->localAddressAndPort = gave->localAddressAndPort; /* RED-03 */
    is->remoteAddressAndPort = gave->remoteAddressAndPort;
    is->portReservationToken = gave->portReservationToken;
    is->localRedirectTargetPID = gave->localRedirectTargetPID;
    is->localRedirectHandle = gave->localRedirectHandle;
    return take_context(v, gave) |
           (gave->modifierFilterId != is->modifierFilterId ? HOST_CLASSIFY_READ_ONLY : 0);
}

static bool differs(const struct redirect *r, const struct redirect_version *a,
                    const struct redirect_version *b)
{
    const FWPS_CONNECT_REQUEST0 *p = &a->is.connect, *q = &b->is.connect;

    if (r->kind == REDIRECT_BIND)
        return memcmp(&a->is.bind.localAddressAndPort, &b->is.bind.localAddressAndPort,
                      sizeof(SOCKADDR_STORAGE)) != 0 ||
               a->is.bind.portReservationToken != b->is.bind.portReservationToken;
    return memcmp(&p->localAddressAndPort, &q->localAddressAndPort, sizeof(SOCKADDR_STORAGE)) != 0 ||
           memcmp(&p->remoteAddressAndPort, &q->remoteAddressAndPort, sizeof(SOCKADDR_STORAGE)) != 0 ||
           p->portReservationToken != q->portReservationToken ||
           p->localRedirectTargetPID != q->localRedirectTargetPID ||
           p->localRedirectHandle != q->localRedirectHandle ||
           p->localRedirectContext != q->localRedirectContext ||
           p->localRedirectContextSize != q->localRedirectContextSize;
}

/* Lane held. */
static UINT32 apply(struct handle *k, const void *data, UINT32 flags)
{
    struct redirect_answer *x = answer_of(k);
    struct redirect_version *v;
    struct redirect *r = k->r;
    UINT32 faults = 0;

    if (!is_open(k, x) || x->writable == NULL)
        return HOST_CLASSIFY_NOT_ACQUIRED;
    v = x->writable;
    x->writable = NULL;
    if (data != &v->shown)
        faults |= HOST_CLASSIFY_OTHER_POINTER;
    if ((flags & ~(UINT32)FWPS_CLASSIFY_FLAG_REAUTHORIZE_IF_MODIFIED_BY_OTHERS) != 0)
        faults |= HOST_CLASSIFY_FLAGS;
    faults |= r->kind == REDIRECT_BIND ? take_bind(v) : take_connect(v);
    x->watches = (flags & FWPS_CLASSIFY_FLAG_REAUTHORIZE_IF_MODIFIED_BY_OTHERS) && x->pended;
    if ((flags & FWPS_CLASSIFY_FLAG_REAUTHORIZE_IF_MODIFIED_BY_OTHERS) && !x->pended)
        faults |= HOST_CLASSIFY_INLINE_FLAG; /* RED-17 */
    x->applied = r->current->number;
    if (differs(r, v, r->current)) {
        v->previous = r->current;
        v->number = ++r->versions;
        r->current = v;
        x->applied = v->number;
    }
    return faults;
}

UINT32 host_classify_apply(struct host *h, UINT64 handle, const void *data, UINT32 flags)
{
    struct rt_mutex *lock = h->lanes[0].lock;
    UINT32 faults = HOST_CLASSIFY_NO_HANDLE;
    struct handle *k;

    rt_mutex_lock(lock);
    k = named(redirects_of(h), handle);
    if (k != NULL)
        faults = apply(k, data, flags);
    rt_mutex_unlock(lock);
    return faults;
}

UINT32 host_classify_complete(struct host *h, UINT64 handle, const FWPS_CLASSIFY_OUT0 *out)
{
    struct rt_mutex *lock = h->lanes[0].lock;
    struct redirects *x = redirects_of(h);
    UINT32 faults = HOST_CLASSIFY_NO_HANDLE;
    struct redirect_answer *answer;
    HANDLE ticket = NULL;
    struct handle *k;

    rt_mutex_lock(lock);
    k = named(x, handle);
    if (k != NULL) {
        answer = answer_of(k);
        if (!k->pended || answer == NULL || !answer->pended) {
            faults = k->was_pended ? HOST_CLASSIFY_TWICE : HOST_CLASSIFY_NOT_PENDED;
        } else {
            faults = answer->writable != NULL ? HOST_CLASSIFY_UNAPPLIED : 0;
            answer->writable = NULL;
            answer->completed = true;
            answer->again = out == NULL;
            if (out != NULL)
                answer->out = *out;
            ticket = answer->ticket;
            x->counts.pended--;
            x->counts.closing -= k->r->kind == REDIRECT_CLOSURE;
            k->pended = false;
            let_go(x, k);
        }
    }
    rt_mutex_unlock(lock);
    if (ticket != NULL)
        (void)host_complete(h, ticket);
    return faults;
}

UINT32 host_classify_release(struct host *h, UINT64 handle)
{
    struct rt_mutex *lock = h->lanes[0].lock;
    struct redirects *x = redirects_of(h);
    UINT32 faults = 0;
    struct handle *k;

    rt_mutex_lock(lock);
    k = named(x, handle);
    if (k == NULL)
        faults = HOST_CLASSIFY_NO_HANDLE;
    else if (k->released)
        faults = HOST_CLASSIFY_TWICE;
    if (faults == 0) {
        k->released = true;
        let_go(x, k);
    }
    rt_mutex_unlock(lock);
    return faults;
}

void host_redirect_counts(struct host *h, struct host_redirect_counts *out)
{
    struct redirects *x = redirects_of(h);

    rt_mutex_lock(h->lanes[0].lock);
    *out = x->counts;
    out->live = x->flow_count;
    rt_mutex_unlock(h->lanes[0].lock);
}

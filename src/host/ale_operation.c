/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ale_operation: the memory of operations (ale.c says what they are), and which of them wait for what.
 *
 *   begin --classify--> returned: it ends, or it waits --completed, cancelled--> end
 *
 * Slots never move; a slot's generation is raised when its operation ends, so that a handle or a context that
 * is kept too long names nothing. An operation is a cache line, so that of a million that wait a completion
 * touches one, and its flow; what only few of them need stands apart (struct ale_rest). Those that wait are
 * chained by flow or by endpoint, so that they may be completed in any order. The lane is held throughout.
 */
#include <errno.h>
#include <string.h>

#include "host/redirect_inside.h"

#define NONE UINT32_MAX

static struct ale_operation *operation_at(const struct ale *ale, UINT32 slot)
{
    return (struct ale_operation *)ale->operations.base + slot;
}

/* A slot that no operation stands in; NULL: out of memory. */
static struct ale_operation *take_slot(struct ale *ale)
{
    UINT32 slot = ale->operation_free;
    size_t budget = SIZE_MAX;
    struct ale_operation *op;

    if (slot != NONE) {
        op = operation_at(ale, slot);
        ale->operation_free = op->next;
        return op;
    }
    slot = ale->operation_slots;
    if (slot == ALE_MAX_SLOTS || span_grow(&ale->operations, (slot + 1) * sizeof(*op), &budget) != 0 ||
        span_grow(&ale->awaited, (slot + 1) * sizeof(HANDLE), &budget) != 0)
        return NULL;
    __atomic_store_n(&ale->operation_slots, slot + 1, __ATOMIC_RELAXED);
    op = operation_at(ale, slot);
    op->slot = slot;
    op->generation = 1;
    return op;
}

/* NULL: out of memory. */
static struct ale_rest *rest_of(struct ale *ale, const struct ale_operation *op)
{
    size_t budget = SIZE_MAX;

    if (span_grow(&ale->rests, (op->slot + 1) * sizeof(struct ale_rest), &budget) != 0)
        return NULL;
    return (struct ale_rest *)ale->rests.base + op->slot;
}

/* Where the chain of those begins that wait for what op waits for; f: its flow; NULL: that is gone. */
static UINT32 *head_of(const struct ale_operation *op, struct host_flow *f)
{
    if (op->flow_id == 0)
        return &ale_endpoint_of(op->endpoint)->operations;
    return f != NULL ? &f->operations : NULL;
}

static void chain(struct ale *ale, struct ale_operation *op, struct host_flow *f)
{
    UINT32 *head = head_of(op, f);

    op->prev = NONE;
    op->next = head != NULL ? *head - 1 : NONE; /* 0 wraps to NONE */
    if (op->next != NONE)
        operation_at(ale, op->next)->prev = op->slot;
    if (head != NULL)
        *head = op->slot + 1;
}

/* The chain of what is gone has no head any more, but holds together. */
static void unchain(struct ale *ale, const struct ale_operation *op, struct host_flow *f)
{
    UINT32 *head = op->prev == NONE ? head_of(op, f) : NULL;

    if (op->prev != NONE)
        operation_at(ale, op->prev)->next = op->next;
    else if (head != NULL && *head == op->slot + 1)
        *head = op->next + 1;
    if (op->next != NONE)
        operation_at(ale, op->next)->prev = op->prev;
}

struct ale_operation *ale_operation_begin(struct lane *l, enum ale_kind kind, struct host_endpoint *e,
                                          const struct host_flow *f)
{
    struct ale_operation *op = take_slot(ale_of(l));

    if (op == NULL)
        return NULL;
    if (kind >= ALE_BIND_REDIRECT && rest_of(ale_of(l), op) == NULL) {
        op->next = ale_of(l)->operation_free;
        ale_of(l)->operation_free = op->slot;
        return NULL;
    }
    if (kind >= ALE_BIND_REDIRECT)
        rest_of(ale_of(l), op)->redirect = NULL;
    *op = (struct ale_operation){.slot = op->slot,
                                 .generation = op->generation,
                                 .next = NONE,
                                 .kind = kind,
                                 .live = true,
                                 .running = true,
                                 .endpoint = e};
    if (e != NULL)
        ale_endpoint_ref(e);
    if (f != NULL) {
        op->flow_slot = flow_table_slot(l->flows, f);
        op->flow_id = f->id;
    }
    return op;
}

/* The handle, and a ticket of its own. */
static HANDLE context_of(const struct ale_operation *op, unsigned ticket)
{
    return (HANDLE)((uintptr_t)ale_operation_handle(op) | (uintptr_t)(ticket + 1) << ALE_TICKET_SHIFT);
}

HANDLE ale_operation_pend(struct ale *ale, struct ale_operation *op, UINT32 callout)
{
    unsigned ticket = op->tickets;
    struct ale_rest *rest;

    if (ticket == ALE_TICKETS)
        return NULL;
    if (ticket < ALE_TICKETS_NEAR) {
        op->callouts[ticket] = callout;
    } else {
        rest = rest_of(ale, op);
        if (rest == NULL)
            return NULL;
        rest->callouts[ticket - ALE_TICKETS_NEAR] = callout;
    }
    op->outstanding |= (uint8_t)(1u << ticket);
    op->tickets++;
    return context_of(op, ticket);
}

static bool was_pended_by(struct ale *ale, const struct ale_operation *op, UINT32 callout)
{
    bool by = false;

    for (unsigned i = 0; i < op->tickets && i < ALE_TICKETS_NEAR; i++)
        by |= op->callouts[i] == callout;
    for (unsigned i = ALE_TICKETS_NEAR; i < op->tickets; i++)
        by |= rest_of(ale, op)->callouts[i - ALE_TICKETS_NEAR] == callout;
    return by;
}

bool ale_operation_note(struct lane *l, const struct ale_operation *op, const struct scene *s)
{
    struct ale_rest *rest = rest_of(ale_of(l), op);

    if (rest == NULL)
        return false;
    *rest = (struct ale_rest){
        .interface = s->interface,
        .home = s->home,
        .local = s->local,
        .remote = s->remote,
        .flags = s->flags,
        .local_port = s->local_port,
        .remote_port = s->remote_port,
        .icmp_id = s->icmp_id,
        .icmp_sequence = s->icmp_sequence,
        .version = s->version,
        .protocol = s->protocol,
        .original_icmp_type = s->original_icmp_type,
        .icmp = s->icmp,
        .echo = s->echo,
        .loopback = s->loopback,
        .group = s->group,
        .as_asked = s->as_asked,
    };
    return true;
}

bool ale_operation_redirect(struct lane *l, const struct ale_operation *op, struct redirect *r)
{
    struct ale_rest *rest = rest_of(ale_of(l), op);

    if (rest != NULL)
        rest->redirect = r;
    return rest != NULL;
}

static bool is_redirect(const struct ale_operation *op)
{
    return op->kind >= ALE_BIND_REDIRECT;
}

struct redirect *ale_operation_redirected(struct lane *l, const struct ale_operation *op)
{
    return is_redirect(op) ? rest_of(ale_of(l), op)->redirect : NULL;
}

bool ale_operation_inherit(struct lane *l, struct ale_operation *op, struct ale_operation *from)
{
    struct ale_rest *rest = rest_of(ale_of(l), op), *had = rest_of(ale_of(l), from);

    if (rest == NULL)
        return false;
    *rest = *had;
    had->redirect = NULL;
    op->frame = from->frame;
    return true;
}

void ale_operation_scene(const struct ale_operation *op, struct lane *l, struct scene *s)
{
    const struct ale_rest *a = rest_of(ale_of(l), op);

    *s = (struct scene){
        .host = l->host,
        .lane = l,
        .time_ns = ale_of(l)->now_ns,
        .interface = a->interface,
        .home = a->home,
        .packet_direction = FWP_DIRECTION_OUTBOUND, /* PEND-17 */
        .version = a->version,
        .protocol = a->protocol,
        .local = a->local,
        .remote = a->remote,
        .local_port = a->local_port,
        .remote_port = a->remote_port,
        .icmp_id = a->icmp_id,
        .icmp_sequence = a->icmp_sequence,
        .icmp = a->icmp,
        .echo = a->echo,
        .original_icmp_type = a->original_icmp_type,
        .endpoint = op->endpoint,
        .flow_id = op->flow_id,
        .flags = a->flags,
        .as_asked = a->as_asked,
        .loopback = a->loopback,
        .group = a->group,
        .connection_direction = FWP_DIRECTION_OUTBOUND,
    };
}

void ale_operation_end(struct lane *l, struct ale_operation *op, struct host_flow *f)
{
    struct ale *ale = ale_of(l);
    struct redirect *r = is_redirect(op) ? rest_of(ale, op)->redirect : NULL;

    if (op->waiting) {
        unchain(ale, op, f);
        *ale_operation_awaited(ale, op->slot) = NULL;
    }
    if (r != NULL) {
        rest_of(ale, op)->redirect = NULL;
        redirect_dropped(r);
    }
    if (op->endpoint != NULL) {
        if (op->endpoint->operation == op)
            op->endpoint->operation = NULL;
        ale_endpoint_unref(l, op->endpoint);
    }
    op->live = op->waiting = false;
    op->generation++;
    op->next = ale->operation_free;
    ale->operation_free = op->slot;
}

void ale_operation_waits(struct lane *l, struct ale_operation *op, struct host_flow *f)
{
    op->running = false;
    op->waiting = true;
    chain(ale_of(l), op, f);
}

/* Was the block the answer of a callout that pended the operation? Then it says no more than the pend. */
static bool is_own_block(struct lane *l, const struct ale_operation *op, const struct answer *a)
{
    return a->callout != 0 && was_pended_by(ale_of(l), op, a->callout);
}

enum ale_outcome ale_operation_returned(struct lane *l, struct ale_operation *op, struct host_flow *f,
                                        const struct answer *a)
{
    bool hard = a->blocked && !(a->verdict.rights & FWPS_RIGHT_ACTION_WRITE);

    op->running = false;
    if (!op->pended) {
        ale_operation_end(l, op, f);
        return a->blocked ? ALE_REFUSED : ALE_PERMITTED;
    }
    op->waiting = true;
    chain(ale_of(l), op, f);
    if (op->kind == ALE_ACCEPT && (op->outstanding & (op->outstanding - 1)) == 0 && op->outstanding != 0)
        *ale_operation_awaited(ale_of(l), op->slot) =
            context_of(op, (unsigned)__builtin_ctz(op->outstanding));
    if (!op->cancelled && !(hard && !is_own_block(l, op, a)))
        return ALE_WAITS;
    op->cancelled = true; /* PEND-11: its completions are still owed */
    if (op->outstanding == 0)
        ale_operation_end(l, op, f);
    return ALE_REFUSED;
}

bool ale_operation_due(const struct ale_operation *op)
{
    return op->pended && op->waiting && op->outstanding == 0 && !op->cancelled;
}

void ale_operations_cancel(struct lane *l, UINT32 head)
{
    for (UINT32 slot = head - 1; slot != NONE;) {
        struct ale_operation *op = operation_at(ale_of(l), slot);

        op->cancelled |= op->kind != ALE_CLOSURE; /* that waits for itself */
        slot = op->next;
    }
}

bool ale_operations_wait(const struct lane *l, UINT32 head, const struct ale_operation *but)
{
    for (UINT32 slot = head - 1; slot != NONE;) {
        const struct ale_operation *op = operation_at(ale_of(l), slot);

        if (!op->cancelled && op != but)
            return true;
        slot = op->next;
    }
    return false;
}

bool ale_operation_of_frame(const struct lane *l, UINT32 head, UINT64 frame)
{
    for (UINT32 slot = head - 1; slot != NONE;) {
        const struct ale_operation *op = operation_at(ale_of(l), slot);

        if (!op->cancelled && op->frame == frame)
            return true;
        slot = op->next;
    }
    return false;
}

int ale_operations_create(struct ale *ale)
{
    ale->operation_free = NONE;
    if (span_open(&ale->operations, (size_t)ALE_MAX_SLOTS * sizeof(struct ale_operation)) != 0 ||
        span_open(&ale->rests, (size_t)ALE_MAX_SLOTS * sizeof(struct ale_rest)) != 0 ||
        span_open(&ale->awaited, (size_t)ALE_MAX_SLOTS * sizeof(HANDLE)) != 0) {
        ale_operations_destroy(ale);
        return -ENOMEM;
    }
    return 0;
}

void ale_operations_destroy(struct ale *ale)
{
    span_close(&ale->operations);
    span_close(&ale->rests);
    span_close(&ale->awaited);
}

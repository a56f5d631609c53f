/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ale_operation: the memory of operations (ale.c says what they are), and which of them wait for what.
 *
 *   begin --classify--> returned: it ends, or it waits --completed, cancelled--> end
 *
 * A slab of chunks that never move; a slot's generation is raised when its operation ends, so that a handle
 * or a context that is kept too long names nothing. Those that wait are chained in buckets, by flow or by
 * endpoint, so that a million of them may be completed in any order. The lane is held throughout.
 */
#include <stdlib.h>
#include <string.h>

#include "host/ale_inside.h"

#define CHUNK        64u
#define NONE         UINT32_MAX
#define SLOT_BITS    24
#define TICKET_SHIFT 24
#define MAX_CHUNKS   ((1u << SLOT_BITS) / CHUNK)

static struct ale_operation *operation_at(const struct ale *ale, UINT32 slot)
{
    return slot / CHUNK < ale->operation_chunks ? &ale->operations[slot / CHUNK][slot % CHUNK] : NULL;
}

static bool more_operations(struct ale *ale)
{
    struct ale_operation **chunks, *chunk;

    if (ale->operation_chunks == MAX_CHUNKS)
        return false;
    chunks = realloc(ale->operations, (ale->operation_chunks + 1) * sizeof(*chunks));
    if (chunks == NULL)
        return false;
    ale->operations = chunks;
    chunk = calloc(CHUNK, sizeof(*chunk));
    if (chunk == NULL)
        return false;
    chunks[ale->operation_chunks] = chunk;
    for (UINT32 i = CHUNK; i-- > 0;) {
        chunk[i].slot = ale->operation_chunks * CHUNK + i;
        chunk[i].generation = 1;
        chunk[i].next = ale->operation_free;
        ale->operation_free = chunk[i].slot;
    }
    ale->operation_chunks++;
    return true;
}

/* Where the chain of those begins that wait for what op waits for; NULL: that is gone. */
static UINT32 *head_of(struct lane *l, const struct ale_operation *op)
{
    struct host_flow *f;

    if (op->flow_id == 0)
        return &ale_endpoint_of(op->endpoint)->operations;
    f = ale_flow_at(l, op->flow_slot, op->flow_id);
    return f != NULL ? &f->operations : NULL;
}

static void chain(struct lane *l, struct ale_operation *op)
{
    UINT32 *head = head_of(l, op);

    op->prev = NONE;
    op->next = head != NULL ? *head - 1 : NONE; /* 0 wraps to NONE */
    if (op->next != NONE)
        operation_at(ale_of(l), op->next)->prev = op->slot;
    if (head != NULL)
        *head = op->slot + 1;
}

/* The chain of what is gone has no head any more, but holds together. */
static void unchain(struct lane *l, const struct ale_operation *op)
{
    UINT32 *head = op->prev == NONE ? head_of(l, op) : NULL;

    if (op->prev != NONE)
        operation_at(ale_of(l), op->prev)->next = op->next;
    else if (head != NULL && *head == op->slot + 1)
        *head = op->next + 1;
    if (op->next != NONE)
        operation_at(ale_of(l), op->next)->prev = op->prev;
}

struct ale_operation *ale_operation_begin(struct lane *l, enum ale_kind kind, struct host_endpoint *e,
                                          const struct host_flow *f)
{
    struct ale *ale = ale_of(l);
    struct ale_operation *op;
    UINT32 slot, generation;

    if (ale->operation_free == NONE && !more_operations(ale))
        return NULL;
    op = operation_at(ale, ale->operation_free);
    ale->operation_free = op->next;
    slot = op->slot;
    generation = op->generation;
    memset(op, 0, sizeof(*op));
    op->slot = slot;
    op->generation = generation;
    op->next = NONE;
    op->kind = kind;
    op->live = op->running = true;
    op->endpoint = e;
    if (e != NULL)
        ale_endpoint_ref(e);
    if (f != NULL) {
        op->flow_slot = flow_table_slot(l->flows, f);
        op->flow_id = f->id;
    }
    ale->operations_live++;
    return op;
}

void ale_operation_note(struct ale_operation *op, const struct scene *s)
{
    op->asked = (struct ale_asked){
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
    };
}

void ale_operation_scene(const struct ale_operation *op, struct lane *l, struct scene *s)
{
    const struct ale_asked *a = &op->asked;

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
        .loopback = a->loopback,
        .group = a->group,
        .connection_direction = FWP_DIRECTION_OUTBOUND,
    };
}

void ale_operation_end(struct lane *l, struct ale_operation *op)
{
    struct ale *ale = ale_of(l);

    if (op->waiting)
        unchain(l, op);
    if (op->endpoint != NULL) {
        if (op->endpoint->operation == op)
            op->endpoint->operation = NULL;
        ale_endpoint_unref(l, op->endpoint);
    }
    op->endpoint = NULL;
    op->live = op->waiting = false;
    op->generation++;
    op->next = ale->operation_free;
    ale->operation_free = op->slot;
    ale->operations_live--;
}

HANDLE ale_operation_handle(const struct ale_operation *op)
{
    return (HANDLE)((uintptr_t)op->generation << 32 | (uintptr_t)(op->slot + 1));
}

HANDLE ale_operation_context(const struct ale_operation *op, unsigned ticket)
{
    return (HANDLE)((uintptr_t)ale_operation_handle(op) | (uintptr_t)(ticket + 1) << TICKET_SHIFT);
}

/* The operation that a handle or context names; NULL: none, any longer. */
struct ale_operation *ale_operation_of(const struct ale *ale, HANDLE handle)
{
    uintptr_t n = (uintptr_t)handle;
    UINT32 slot = (UINT32)(n & ((1u << SLOT_BITS) - 1)) - 1; /* wraps for 0 */
    struct ale_operation *op = operation_at(ale, slot);

    return op != NULL && op->live && op->generation == (UINT32)(n >> 32) ? op : NULL;
}

/* Was the block the answer of a callout that pended the operation? Then it says no more than the pend. */
static bool is_own_block(struct lane *l, const struct ale_operation *op, const struct answer *a)
{
    const struct engine_snapshot *snapshot = engine_pin(l->reader);
    const struct engine_filter *const *filters;
    size_t count = engine_snapshot_filters(snapshot, a->layer, &filters);
    bool own = false;

    for (size_t i = 0; i < count && !own; i++) {
        const FWPS_FILTER3 *f = engine_filter_fwps(filters[i]);

        if (f->filterId != a->filter_id)
            continue;
        for (unsigned t = 0; t < op->tickets; t++)
            own |= f->action.type & FWP_ACTION_FLAG_CALLOUT && f->action.calloutId == op->callouts[t];
        break;
    }
    engine_unpin(l->reader);
    return own;
}

enum ale_outcome ale_operation_returned(struct lane *l, struct ale_operation *op, const struct answer *a)
{
    bool hard = a->blocked && !(a->verdict.rights & FWPS_RIGHT_ACTION_WRITE);

    op->running = false;
    if (!op->pended) {
        ale_operation_end(l, op);
        return a->blocked ? ALE_REFUSED : ALE_PERMITTED;
    }
    op->waiting = true;
    chain(l, op);
    if (!op->cancelled && !(hard && !is_own_block(l, op, a)))
        return ALE_WAITS;
    op->cancelled = true; /* PEND-11: its completions are still owed */
    if (op->outstanding == 0)
        ale_operation_end(l, op);
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

        op->cancelled = true;
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

unsigned ale_operation_ticket(HANDLE context)
{
    return (unsigned)((uintptr_t)context >> TICKET_SHIFT & 0xff) - 1;
}

void ale_operations_create(struct ale *ale)
{
    ale->operation_free = NONE;
}

void ale_operations_destroy(struct ale *ale)
{
    for (UINT32 i = 0; i < ale->operation_chunks; i++)
        free(ale->operations[i]);
    free(ale->operations);
}

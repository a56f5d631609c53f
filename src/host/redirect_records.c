/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redirect_records: who redirected a connection, and what the proxy that got it may know and say of it.
 *
 *   application --connect--> CR: redirected by H1 --> struct redirected #7 (flow; H1; context)
 *                                                       |
 *   proxy: accepted socket, the other end of that flow <+  query: records {#7}, context
 *          its own socket: set records {#7} --connect--> CR: metadata has them; H1: REDIRECTED_BY_SELF
 *                                                        redirected again, by H2 --> #9, before: {#7}
 *   second proxy: query: records {#9, #7}: H2: BY_SELF, H1: PREVIOUSLY_BY_SELF, others: BY_OTHER
 *
 * Records, as a program sees them, are bytes that it hands on: a magic, a version, a count, and that many numbers. The
 * numbers are never used again; what they name lives as long as its flow or records that name it.
 *
 *   offset  size
 *   0       4     "WRED"
 *   4       2     version, 1
 *   6       2     count, 1 .. 32
 *   8       8     for each: the number of the redirection, newest first
 *
 * All of it under the lane's lock.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/redirect_inside.h"
#include "nt/nt.h"

#define CHAIN_MAX 32u

struct record_bytes {
    char magic[4];
    UINT16 version, count;
    UINT64 number[];
};

struct redirect_token {
    GUID provider;
    UINT32 generation;
    bool open;
};

/* ---- redirect handles ---------------------------------------------------------------------------------------- */

static struct redirect_token *token_of(const struct redirects *x, HANDLE handle)
{
    const uintptr_t number = (uintptr_t)handle, slot = (number & UINT32_MAX) - 1; /* wraps for 0 */
    struct redirect_token *t = slot < x->token_count ? &x->tokens[slot] : NULL;

    return t != NULL && t->open && t->generation == (UINT32)(number >> 32) ? t : NULL;
}

bool redirect_token_is(const struct redirects *x, HANDLE handle)
{
    return token_of(x, handle) != NULL;
}

static struct redirect_token *token_take(struct redirects *x)
{
    struct redirect_token *more;

    for (UINT32 i = 0; i < x->token_count; i++)
        if (!x->tokens[i].open)
            return &x->tokens[i];
    if (x->token_count == x->token_room) {
        const UINT32 room = x->token_room != 0 ? 2 * x->token_room : 4;

        more = realloc(x->tokens, room * sizeof(*more));
        if (more == NULL)
            return NULL;
        x->tokens = more;
        x->token_room = room;
    }
    x->tokens[x->token_count] = (struct redirect_token){.generation = 0};
    return &x->tokens[x->token_count++];
}

NTSTATUS host_redirect_handle_create(struct host *h, const GUID *provider, HANDLE *out)
{
    struct redirects *x = redirects_of(h);
    struct redirect_token *t;

    if (out == NULL)
        return STATUS_FWP_NULL_POINTER;
    *out = NULL;
    if (provider == NULL)
        return STATUS_FWP_NULL_POINTER;
    rt_mutex_lock(h->lanes[0].lock);
    t = token_take(x);
    if (t != NULL) {
        t->provider = *provider;
        t->open = true;
        t->generation++;
        *out = (HANDLE)((uintptr_t)t->generation << 32 | (uintptr_t)(t - x->tokens + 1));
    }
    rt_mutex_unlock(h->lanes[0].lock);
    return t != NULL ? STATUS_SUCCESS : STATUS_INSUFFICIENT_RESOURCES;
}

NTSTATUS host_redirect_handle_destroy(struct host *h, HANDLE handle)
{
    struct redirects *x = redirects_of(h);
    struct redirect_token *t;

    rt_mutex_lock(h->lanes[0].lock);
    t = token_of(x, handle);
    if (t != NULL)
        t->open = false;
    rt_mutex_unlock(h->lanes[0].lock);
    return t != NULL ? STATUS_SUCCESS : STATUS_INVALID_HANDLE;
}

/* ---- redirected connections ---------------------------------------------------------------------------------- */

struct redirected *redirected_of_flow(const struct redirects *x, UINT64 flow_id)
{
    struct redirected *r =
        x->buckets != 0 && flow_id != 0 ? x->flows[redirect_hash(flow_id) & (x->buckets - 1)] : NULL;

    while (r != NULL && r->told.flow_id != flow_id)
        r = r->next;
    return r;
}

struct redirected *redirected_of_ends(const struct redirects *x, const struct host_redirect_ends *given)
{
    struct redirected *r = x->buckets != 0 ? x->pairs[redirect_hash_ends(given) & (x->buckets - 1)] : NULL;

    while (r != NULL && !redirect_same_ends(&r->told.given, given))
        r = r->next_pair;
    return r;
}

static void link_in(struct redirects *x, struct redirected *r)
{
    struct redirected **head = &x->flows[redirect_hash(r->told.flow_id) & (x->buckets - 1)];

    r->next = *head;
    *head = r;
    head = &x->pairs[redirect_hash_ends(&r->told.given) & (x->buckets - 1)];
    r->next_pair = *head;
    *head = r;
}

static bool grow(struct redirects *x)
{
    const UINT32 before = x->buckets, buckets = before != 0 ? 2 * before : 64;
    struct redirected **flows, **pairs, **old = x->flows;

    if (x->flow_count < before)
        return true;
    flows = calloc(buckets, sizeof(struct redirected *));
    pairs = calloc(buckets, sizeof(struct redirected *));
    if (flows == NULL || pairs == NULL) {
        free(flows);
        free(pairs);
        return before != 0;
    }
    free(x->pairs);
    x->flows = flows;
    x->pairs = pairs;
    x->buckets = buckets;
    for (UINT32 i = 0; i < before; i++) {
        while (old[i] != NULL) {
            struct redirected *r = old[i];

            old[i] = r->next;
            link_in(x, r);
        }
    }
    free(old);
    return true;
}

bool redirected_add(struct redirects *x, const struct redirected *from)
{
    struct redirected *r = grow(x) ? malloc(sizeof(*r)) : NULL;

    if (r == NULL)
        return false;
    *r = *from;
    r->references = 1;
    r->number = ++x->next_number;
    if (r->before != NULL)
        r->before->references++;
    link_in(x, r);
    x->flow_count++;
    __atomic_store_n(&x->any, true, __ATOMIC_RELAXED);
    return true;
}

static void unref(struct redirects *x, struct redirected *r)
{
    if (--r->references != 0)
        return;
    if (r->context != NULL)
        nt_pool_drop(r->context);
    if (r->before != NULL)
        redirect_records_unref(x, r->before);
    free(r);
}

static void take_out(struct redirects *x, struct redirected *r)
{
    struct redirected **at = &x->flows[redirect_hash(r->told.flow_id) & (x->buckets - 1)];

    while (*at != r)
        at = &(*at)->next;
    *at = r->next;
    at = &x->pairs[redirect_hash_ends(&r->told.given) & (x->buckets - 1)];
    while (*at != r)
        at = &(*at)->next_pair;
    *at = r->next_pair;
    x->flow_count--;
    r->gone = true;
    unref(x, r);
}

void redirected_end(struct lane *l, UINT64 flow_id)
{
    struct redirects *x = ale_of(l)->redirects;
    struct redirected *r;

    redirect_translate_end(x, flow_id, 0, ale_of(l)->now_ns);
    r = redirected_of_flow(x, flow_id);
    if (r != NULL)
        take_out(x, r);
}

void redirected_info(const struct lane *l, UINT64 flow_id, struct host_flow_info *out)
{
    const struct redirected *r = redirected_of_flow(ale_of(l)->redirects, flow_id);

    if (r == NULL)
        return;
    out->redirected_by = r->told.filter_id;
    out->asked_local = r->told.asked.local;
    out->asked_remote = r->told.asked.remote;
    out->asked_local_port = r->told.asked.local_port;
    out->asked_remote_port = r->told.asked.remote_port;
}

bool host_flow_redirected(struct host *h, UINT64 flow_id, struct host_redirected *out)
{
    const struct redirected *r;

    rt_mutex_lock(h->lanes[0].lock);
    r = redirected_of_flow(redirects_of(h), flow_id);
    if (r != NULL)
        *out = r->told;
    rt_mutex_unlock(h->lanes[0].lock);
    return r != NULL;
}

/* ---- sets of records ----------------------------------------------------------------------------------------- */

static struct redirect_records *records_of(const struct redirects *x, HANDLE handle)
{
    const uintptr_t number = (uintptr_t)handle, slot = (number & UINT32_MAX) - 1; /* wraps for 0 */
    struct redirect_records *r = slot < x->records_count ? x->records[slot] : NULL;

    return r != NULL && r->generation == (UINT32)(number >> 32) ? r : NULL;
}

HANDLE redirect_records_handle(const struct redirect_records *r)
{
    return (HANDLE)((uintptr_t)r->generation << 32 | (uintptr_t)(r->slot + 1));
}

void redirect_records_unref(struct redirects *x, struct redirect_records *r)
{
    if (--r->references != 0)
        return;
    x->records[r->slot] = NULL;
    for (UINT32 i = 0; i < r->count; i++)
        unref(x, r->of[i]);
    free(r);
}

/* A place for a set; false: no memory. */
static bool place(struct redirects *x, struct redirect_records *r)
{
    struct redirect_records **more;
    UINT32 slot;

    for (slot = 0; slot < x->records_count && x->records[slot] != NULL; slot++)
        ;
    if (slot == x->records_count) {
        more = realloc(x->records, (slot + 16) * sizeof(struct redirect_records *));
        if (more == NULL)
            return false;
        memset(more + slot, 0, 16 * sizeof(struct redirect_records *));
        x->records = more;
        x->records_count = slot + 16;
    }
    r->slot = slot;
    r->generation = ++x->records_generation;
    x->records[slot] = r;
    return true;
}

static SIZE_T size_of(UINT32 count)
{
    return sizeof(struct record_bytes) + count * sizeof(UINT64);
}

static NTSTATUS give(const void *from, SIZE_T need, void *out, SIZE_T room, SIZE_T *size)
{
    if (size != NULL)
        *size = need;
    if (room < need || out == NULL)
        return STATUS_BUFFER_TOO_SMALL;
    if (need != 0)
        memcpy(out, from, need);
    return STATUS_SUCCESS;
}

/* The bytes of `first` and of those before it. */
static NTSTATUS format(const struct redirected *first, const struct redirect_records *rest, void *out,
                       SIZE_T room, SIZE_T *size)
{
    const UINT32 before = rest != NULL ? rest->count : 0, count = before + (first != NULL ? 1 : 0);
    UINT64 bytes[sizeof(struct record_bytes) / 8 + CHAIN_MAX + 1];
    struct record_bytes *b = (struct record_bytes *)bytes;
    UINT32 n = 0;

    memcpy(b->magic, "WRED", 4);
    b->version = 1;
    b->count = (UINT16)(count < CHAIN_MAX ? count : CHAIN_MAX);
    if (first != NULL)
        b->number[n++] = first->number;
    for (UINT32 i = 0; i < before && n < CHAIN_MAX; i++)
        b->number[n++] = rest->of[i]->number;
    return give(b, size_of(b->count), out, room, size);
}

NTSTATUS host_redirect_format(struct host *h, HANDLE records, void *out, SIZE_T room, SIZE_T *size)
{
    const struct redirect_records *r;
    NTSTATUS status = STATUS_NOT_FOUND;

    if (size != NULL)
        *size = 0;
    rt_mutex_lock(h->lanes[0].lock);
    r = records_of(redirects_of(h), records);
    if (r != NULL)
        status = format(NULL, r, out, room, size);
    rt_mutex_unlock(h->lanes[0].lock);
    return status;
}

/* The redirection that this connection, seen from its accepted end, came by; NULL: by none. */
static const struct redirected *that_led_to(const struct redirects *x,
                                            const struct host_redirect_ends *accepted)
{
    const struct host_redirect_ends given = {.version = accepted->version,
                                             .protocol = accepted->protocol,
                                             .local = accepted->remote,
                                             .remote = accepted->local,
                                             .local_port = accepted->remote_port,
                                             .remote_port = accepted->local_port};
    const struct redirected *r = redirected_of_ends(x, &given);

    return r != NULL && r->handle != 0 ? r : NULL;
}

NTSTATUS host_redirect_records(struct host *h, const struct host_redirect_ends *accepted, void *out,
                               SIZE_T room, SIZE_T *size)
{
    const struct redirected *r;
    NTSTATUS status = STATUS_NOT_FOUND;

    if (size != NULL)
        *size = 0;
    rt_mutex_lock(h->lanes[0].lock);
    r = that_led_to(redirects_of(h), accepted);
    if (r != NULL)
        status = format(r, r->before, out, room, size);
    rt_mutex_unlock(h->lanes[0].lock);
    return status;
}

NTSTATUS host_redirect_context(struct host *h, const struct host_redirect_ends *accepted, void *out,
                               SIZE_T room, SIZE_T *size)
{
    const struct redirected *r;
    NTSTATUS status = STATUS_NOT_FOUND;

    if (size != NULL)
        *size = 0;
    rt_mutex_lock(h->lanes[0].lock);
    r = that_led_to(redirects_of(h), accepted);
    if (r != NULL && r->context != NULL)
        status = give(r->context, r->context_size, out, room, size);
    rt_mutex_unlock(h->lanes[0].lock);
    return status;
}

static struct redirected *numbered(const struct redirects *x, UINT64 number)
{
    for (UINT32 i = 0; i < x->buckets; i++)
        for (struct redirected *r = x->flows[i]; r != NULL; r = r->next)
            if (r->number == number)
                return r;
    for (UINT32 i = 0; i < x->records_count; i++)
        for (UINT32 j = 0; x->records[i] != NULL && j < x->records[i]->count; j++)
            if (x->records[i]->of[j]->number == number)
                return x->records[i]->of[j];
    for (UINT32 i = 0; i < x->buckets; i++) /* what a living one has before it */
        for (struct redirected *r = x->flows[i]; r != NULL; r = r->next)
            for (UINT32 j = 0; r->before != NULL && j < r->before->count; j++)
                if (r->before->of[j]->number == number)
                    return r->before->of[j];
    return NULL;
}

/* What the bytes name; those that are gone with all that knew them are left out. NULL: these are no records, or no
 * memory (*status). */
static struct redirect_records *read_records(struct redirects *x, const void *bytes, SIZE_T size,
                                             NTSTATUS *status)
{
    struct record_bytes head;
    struct redirect_records *r;

    *status = STATUS_INVALID_PARAMETER;
    if (bytes == NULL || size < sizeof(head))
        return NULL;
    memcpy(&head, bytes, sizeof(head));
    if (memcmp(head.magic, "WRED", 4) != 0 || head.version != 1 || head.count == 0 ||
        head.count > CHAIN_MAX || size != size_of(head.count))
        return NULL;
    r = calloc(1, sizeof(*r) + head.count * sizeof(r->of[0]));
    *status = STATUS_NO_MEMORY;
    if (r == NULL)
        return NULL;
    for (UINT32 i = 0; i < head.count; i++) {
        UINT64 number;

        memcpy(&number, (const char *)bytes + sizeof(head) + i * sizeof(number), sizeof(number));
        r->of[r->count] = numbered(x, number);
        r->count += r->of[r->count] != NULL;
    }
    *status = STATUS_INVALID_PARAMETER;
    if (r->count == 0)
        goto fail;
    *status = STATUS_NO_MEMORY;
    if (!place(x, r))
        goto fail;
    r->references = 1;
    for (UINT32 i = 0; i < r->count; i++)
        r->of[i]->references++;
    *status = STATUS_SUCCESS;
    return r;
fail:
    free(r);
    return NULL;
}

NTSTATUS host_redirect_check(struct host *h, const void *records, SIZE_T size)
{
    struct redirects *x = redirects_of(h);
    struct redirect_records *r;
    NTSTATUS status;

    rt_mutex_lock(h->lanes[0].lock);
    r = read_records(x, records, size, &status);
    if (r != NULL)
        redirect_records_unref(x, r);
    rt_mutex_unlock(h->lanes[0].lock);
    return status;
}

NTSTATUS host_redirect_set_records(struct host *h, struct host_endpoint *e, const void *records, SIZE_T size)
{
    struct ale_endpoint *x = ale_endpoint_of(e);
    struct redirects *all = redirects_of(h);
    struct redirect_records *r, *before;
    NTSTATUS status = STATUS_ACCESS_DENIED;

    rt_mutex_lock(h->lanes[0].lock);
    if (e->flows == 0 && !e->closing && !e->listening) {
        r = read_records(all, records, size, &status);
        before = x->records;
        if (r != NULL) {
            x->records = r;
            e->proxied = true;
            if (before != NULL)
                redirect_records_unref(all, before);
        }
    }
    rt_mutex_unlock(h->lanes[0].lock);
    return status;
}

FWPS_CONNECTION_REDIRECT_STATE host_redirect_state(struct host *h, HANDLE records, HANDLE handle,
                                                   void **context)
{
    FWPS_CONNECTION_REDIRECT_STATE state = FWPS_CONNECTION_NOT_REDIRECTED;
    const struct redirect_records *r;

    if (context != NULL)
        *context = NULL;
    if (records == NULL)
        return state;
    rt_mutex_lock(h->lanes[0].lock);
    r = records_of(redirects_of(h), records);
    for (UINT32 i = 0; r != NULL && i < r->count; i++) {
        if (r->of[i]->handle != (UINT64)(uintptr_t)handle) {
            state = FWPS_CONNECTION_REDIRECTED_BY_OTHER;
            continue;
        }
        state = i == 0 ? FWPS_CONNECTION_REDIRECTED_BY_SELF : FWPS_CONNECTION_PREVIOUSLY_REDIRECTED_BY_SELF;
        if (context != NULL)
            *context = r->of[i]->context;
        break;
    }
    rt_mutex_unlock(h->lanes[0].lock);
    return state;
}

/* ---- what layers are told ------------------------------------------------------------------------------------ */

void redirect_dress(struct scene *t, enum host_layer role, struct redirect_shown *room)
{
    struct redirects *x = redirects_of(t->host);
    const struct redirect_records *records;
    const struct redirected *r = NULL;

    if ((role != LAYER_AC && role != LAYER_CR) || !__atomic_load_n(&x->any, __ATOMIC_RELAXED))
        return;
    lane_enter(t->lane);
    if (role == LAYER_AC && !t->as_asked)
        r = redirected_of_flow(x, t->flow_id);
    records = t->endpoint != NULL ? ale_endpoint_of(t->endpoint)->records : NULL;
    *room = (struct redirect_shown){.redirected = r != NULL};
    if (r != NULL) {
        room->target = r->told.target_process;
        redirect_sockaddr(&room->original, r->told.asked.version, &r->told.asked.remote,
                          t->icmp ? 0 : r->told.asked.remote_port);
        t->flags |= FWP_CONDITION_FLAG_IS_CONNECTION_REDIRECTED;
    }
    if (records != NULL) {
        room->records = redirect_records_handle(records);
        t->flags |= FWP_CONDITION_FLAG_IS_PROXY_CONNECTION;
    }
    lane_leave(t->lane);
    if (r != NULL || records != NULL)
        t->shown = room;
}

const struct host_owner *ale_endpoint_original(const struct host_endpoint *e)
{
    const struct redirect_records *r = ale_endpoint_of(e)->records;

    return r->of[r->count - 1]->owner;
}

/* ---- life ---------------------------------------------------------------------------------------------------- */

int redirects_create(struct ale *ale)
{
    struct redirects *x = calloc(1, sizeof(*x));

    if (x == NULL)
        return -ENOMEM;
    if (classify_handles_create(x) != 0) {
        free(x);
        return -ENOMEM;
    }
    ale->redirects = x;
    return 0;
}

void redirects_destroy(struct lane *l)
{
    struct ale *ale = ale_of(l);
    struct redirects *x = ale->redirects;

    if (x == NULL)
        return;
    while (x->newest != NULL)
        redirect_free(x, x->newest);
    classify_handles_destroy(x);
    for (UINT32 i = 0; i < x->buckets; i++)
        while (x->flows[i] != NULL)
            take_out(x, x->flows[i]);
    for (UINT32 slot = 1; l->endpoints != NULL && slot < ale_endpoints_slots(l);
         slot++) { /* those that are still there */
        const struct host_endpoint *e = ale_endpoint_at(l, slot);

        if (e != NULL && ale_endpoint_of(e)->records != NULL)
            redirect_records_unref(x, ale_endpoint_of(e)->records);
    }
    redirect_wire_destroy(x);
    free(x->flows);
    free(x->pairs);
    free(x->records);
    free(x->tokens);
    free(x);
    ale->redirects = NULL;
}

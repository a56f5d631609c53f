/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stack: life, time, entering and leaving, and telling owners what happened.
 *
 *   call --stack_enter()--> work: events are noted, ended sockets buried --stack_leave(), outermost--> told(),
 *   queued packets, graves emptied
 *
 * An event is noted once a socket however often it happens before it is told. told() runs with depth 1 and
 * nothing half-done, so that it may call what it likes; what that notes is told after it, in order.
 */
#include <stdlib.h>

#include "stack/internal.h"

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ x >> 27) * 0x94d049bb133111ebull;
    return x ^ x >> 31;
}

uint64_t stack_random(struct stack *s)
{
    s->random += 0x9e3779b97f4a7c15ull;
    return mix(s->random);
}

/* ---- life ----------------------------------------------------------------------------------------------- */

static uint32_t or_default(uint32_t said, uint32_t fallback)
{
    return said != 0 ? said : fallback;
}

int stack_create(const struct stack_config *config, struct stack **out)
{
    struct stack *s;
    struct stack_limits *l;

    *out = NULL;
    if (config->send == NULL)
        return -EINVAL;
    s = calloc(1, sizeof(*s));
    if (s == NULL)
        return -ENOMEM;
    s->config = *config;
    l = &s->config.limits;
    l->sockets = or_default(l->sockets, 65536);
    l->send_bytes = or_default(l->send_bytes, 256 << 10);
    l->receive_bytes = or_default(l->receive_bytes, 256 << 10);
    l->backlog = or_default(l->backlog, 128);
    if (l->receive_bytes > 1u << 30)
        l->receive_bytes = 1u << 30;
    if (l->send_bytes > 1u << 30)
        l->send_bytes = 1u << 30;
    if (s->config.time_wait_ns == 0)
        s->config.time_wait_ns = 60 * SECOND;
    if (s->config.syn_retries == 0)
        s->config.syn_retries = 4;
    if (s->config.data_retries == 0)
        s->config.data_retries = 10;
    s->now = config->start_ns;
    s->random = mix(config->seed + 0x9e3779b97f4a7c15ull);
    s->port_next = (uint16_t)(49152 + stack_random(s) % 16384);
    s->identification = (uint32_t)stack_random(s);
    *out = s;
    return 0;
}

static void socket_free(struct stack_socket *k)
{
    ring_free(&k->in);
    ring_free(&k->out);
    if (is_tcp(k))
        segments_free(&tcp_of(k)->sent);
    free(k);
}

void stack_destroy(struct stack *s)
{
    if (s == NULL)
        return;
    while (s->sockets != NULL) {
        struct stack_socket *k = s->sockets;

        s->sockets = k->next;
        socket_free(k);
    }
    while (s->graves != NULL) {
        struct stack_socket *k = s->graves;

        s->graves = k->peer_next;
        socket_free(k);
    }
    while (s->inputs != NULL) {
        struct queued_input *q = s->inputs;

        s->inputs = q->next;
        free(q);
    }
    for (unsigned i = 0; i < NESTING; i++)
        free(s->scratch[i]);
    reassembly_free(s);
    timers_free(&s->timers);
    free(s->bound.heads);
    free(s->connected.heads);
    free(s->interfaces);
    free(s->addresses);
    free(s->routes);
    free(s);
}

void stack_bury(struct stack_socket *k)
{
    struct stack *s = k->stack;

    if (k->dead)
        return;
    k->dead = true;
    k->user = NULL;
    k->events = 0;
    timer_set(&s->timers, &k->timer, NEVER, false);
    socket_leave_tables(k);
    if (k->previous != NULL)
        k->previous->next = k->next;
    else
        s->sockets = k->next;
    if (k->next != NULL)
        k->next->previous = k->previous;
    s->socket_count--;
    k->peer_next = s->graves;
    s->graves = k;
}

/* ---- entering and leaving ------------------------------------------------------------------------------- */

void stack_enter(struct stack *s)
{
    s->depth++;
}

static void tell_all(struct stack *s)
{
    while (s->events != NULL) {
        struct stack_socket *k = s->events;
        unsigned events = k->events;

        s->events = k->event_next;
        if (s->events == NULL)
            s->events_last = NULL;
        k->queued = false;
        k->events = 0;
        for (unsigned e = 0; events >> e != 0; e++) {
            if ((events >> e & 1) == 0 || !k->owned || k->dead || s->config.told == NULL)
                continue;
            if (e == STACK_EVENT_STATE) {
                if (k->told == k->state)
                    continue;
                k->told = k->state;
            }
            s->config.told(s->config.ctx, k, (enum stack_event)e);
        }
    }
}

void stack_leave(struct stack *s)
{
    if (s->depth > 1) {
        s->depth--;
        return;
    }
    while (s->events != NULL || s->inputs != NULL) {
        struct queued_input *q = s->inputs;

        if (q != NULL) {
            s->inputs = q->next;
            if (s->inputs == NULL)
                s->inputs_last = NULL;
            s->input_count--;
            ip_input(s, q->interface, q->bytes, q->size);
            free(q);
        }
        tell_all(s);
    }
    while (s->graves != NULL) {
        struct stack_socket *k = s->graves;

        s->graves = k->peer_next;
        socket_free(k);
    }
    s->depth--;
}

void stack_tell(struct stack_socket *k, enum stack_event e)
{
    struct stack *s = k->stack;

    if (!k->owned || k->dead)
        return;
    k->events |= (uint8_t)(1u << e);
    if (k->queued)
        return;
    k->queued = true;
    k->event_next = NULL;
    *(s->events_last != NULL ? &s->events_last->event_next : &s->events) = k;
    s->events_last = k;
}

void stack_set_state(struct stack_socket *k, enum stack_state state)
{
    if (k->state == state)
        return;
    k->state = (uint8_t)state;
    stack_tell(k, STACK_EVENT_STATE);
}

/* ---- packets and time ----------------------------------------------------------------------------------- */

/* Within config.send(): it waits until what sends is through. */
static void queue_input(struct stack *s, uint32_t interface, const uint8_t *bytes, uint32_t size)
{
    struct queued_input *q = s->input_count < QUEUED_INPUTS ? malloc(sizeof(*q) + size) : NULL;

    if (q == NULL) {
        s->counts.discarded++;
        return;
    }
    *q = (struct queued_input){.interface = interface, .size = size};
    memcpy(q->bytes, bytes, size);
    *(s->inputs_last != NULL ? &s->inputs_last->next : &s->inputs) = q;
    s->inputs_last = q;
    s->input_count++;
}

void stack_input(struct stack *s, uint32_t interface, const uint8_t *bytes, uint32_t size)
{
    s->counts.received++;
    if (size > IP_LARGEST + IP6_HEADER) {
        s->counts.discarded++;
        return;
    }
    if (s->sending != 0 || s->inputs != NULL) {
        queue_input(s, interface, bytes, size);
        return;
    }
    stack_enter(s);
    ip_input(s, interface, bytes, size);
    stack_leave(s);
}

void stack_advance(struct stack *s, uint64_t now_ns)
{
    struct timer *t;

    if (now_ns > s->now)
        s->now = now_ns;
    if (s->sending != 0)
        return; /* a later call does what is due */
    stack_enter(s);
    while ((t = timers_take(&s->timers, s->now)) != NULL)
        t->due(t);
    stack_leave(s);
}

uint64_t stack_deadline(const struct stack *s, uint64_t *lasting)
{
    uint64_t ends = timers_next(&s->timers, true), acts = timers_next(&s->timers, false);

    if (lasting != NULL)
        *lasting = acts;
    return ends < acts ? ends : acts;
}

void stack_counts(const struct stack *s, struct stack_counts *out)
{
    *out = s->counts;
    out->sockets = s->socket_count;
    out->closing = 0;
    out->bytes_queued = 0;
    for (struct stack_socket *k = s->sockets; k != NULL; k = k->next) {
        out->bytes_queued += k->in.used + k->out.used;
        out->closing += !k->owned && tcp_of(k)->listener == NULL;
    }
}

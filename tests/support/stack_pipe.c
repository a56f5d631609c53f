/* SPDX-License-Identifier: Apache-2.0 */
#include "stack_pipe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

uint32_t pipe_random(struct pipe *l, uint32_t below)
{
    l->random = l->random * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)((l->random >> 33) % below);
}

static bool chance(struct pipe *l, unsigned of_1000)
{
    return of_1000 != 0 && pipe_random(l, 1000) < of_1000;
}

static void write_capture(struct pipe *l, const uint8_t *bytes, uint32_t size)
{
    uint64_t at = l->now + l->capture_ahead;
    uint32_t head[4] = {(uint32_t)(at / PIPE_S), (uint32_t)(at % PIPE_S), size, size};

    fwrite(head, sizeof(head), 1, l->capture);
    fwrite(bytes, size, 1, l->capture);
}

static void enqueue(struct pipe *l, uint32_t to, const uint8_t *bytes, uint32_t size, uint64_t at)
{
    struct pipe_packet *p = malloc(sizeof(*p) + size), **place = &l->queue;

    assert_non_null(p);
    *p = (struct pipe_packet){.at = at, .number = l->number++, .to = to, .size = size};
    memcpy(p->bytes, bytes, size);
    while (*place != NULL && (*place)->at <= at)
        place = &(*place)->next;
    p->next = *place;
    *place = p;
}

static enum stack_sent on_send(void *ctx, const struct stack_packet *p)
{
    struct pipe_end *e = ctx;
    struct pipe *l = e->pipe;
    uint64_t at = l->now + (l->chaos.delay != 0 ? l->chaos.delay : PIPE_MS);
    unsigned copies = 1;

    if (p->begins) {
        e->begun++;
        e->begins = p->socket;
        if (e->answer != STACK_SENT)
            return e->answer;
    }
    if (l->capture != NULL)
        write_capture(l, p->bytes, p->size);
    l->carried++;
    if ((e->passes != NULL && !e->passes(e, p)) || l->cut || chance(l, l->chaos.lose)) {
        l->lost++;
        return STACK_SENT;
    }
    if (chance(l, l->chaos.reorder))
        at += 1 + pipe_random(l, (uint32_t)(l->chaos.reorder_by != 0 ? l->chaos.reorder_by : 20 * PIPE_MS));
    copies += chance(l, l->chaos.repeat);
    while (copies-- != 0) {
        uint8_t *copy = malloc(p->size);

        assert_non_null(copy);
        memcpy(copy, p->bytes, p->size);
        if (chance(l, l->chaos.corrupt))
            copy[pipe_random(l, p->size)] ^= (uint8_t)(1 + pipe_random(l, 255));
        enqueue(l, 1 - e->index, copy, p->size, at + copies * PIPE_MS);
        free(copy);
    }
    return STACK_SENT;
}

static void on_told(void *ctx, struct stack_socket *s, enum stack_event what)
{
    struct pipe_end *e = ctx;

    e->events[what]++;
    if (e->told != NULL)
        e->told(e, s, what);
}

union wire_addr pipe_address(uint8_t version, unsigned end)
{
    union wire_addr a = {0};

    if (version == 4) {
        a.v4 = 0x0a000001 + end;
    } else {
        a.v6[0] = 0xfd;
        a.v6[15] = (uint8_t)(1 + end);
    }
    return a;
}

void pipe_open(struct pipe *l, uint64_t seed, const struct stack_config *config0,
               const struct stack_config *config1)
{
    memset(l, 0, sizeof(*l));
    l->random = seed * 0x9e3779b97f4a7c15ull + 1;
    l->now = 1000 * PIPE_S;
    for (unsigned i = 0; i < 2; i++) {
        const struct stack_config *given = i == 0 ? config0 : config1;
        struct stack_config c = given != NULL ? *given : (struct stack_config){0};
        struct pipe_end *e = &l->end[i];

        *e = (struct pipe_end){.pipe = l, .index = i};
        c.seed = seed * 2 + i;
        c.start_ns = l->now;
        c.send = on_send;
        c.told = on_told;
        c.ctx = e;
        assert_int_equal(stack_create(&c, &e->stack), 0);
        assert_int_equal(stack_interface_add(e->stack, 1, 0), 0);
        for (uint8_t version = 4; version <= 6; version += 2) {
            union wire_addr a = pipe_address(version, i);

            assert_int_equal(stack_address_add(e->stack, 1, version, &a, version == 4 ? 24 : 64), 0);
        }
    }
}

void pipe_close(struct pipe *l)
{
    while (l->queue != NULL) {
        struct pipe_packet *p = l->queue;

        l->queue = p->next;
        free(p);
    }
    stack_destroy(l->end[0].stack);
    stack_destroy(l->end[1].stack);
}

bool pipe_step(struct pipe *l, uint64_t until)
{
    uint64_t at = l->queue != NULL ? l->queue->at : UINT64_MAX;
    struct pipe_packet *p = NULL;

    for (unsigned i = 0; i < 2; i++) {
        uint64_t d = stack_deadline(l->end[i].stack, NULL);

        if (d < at)
            at = d;
    }
    if (at > until) {
        l->now = until;
        stack_advance(l->end[0].stack, until);
        stack_advance(l->end[1].stack, until);
        return false;
    }
    if (at > l->now)
        l->now = at;
    stack_advance(l->end[0].stack, l->now);
    stack_advance(l->end[1].stack, l->now);
    if (l->queue != NULL && l->queue->at <= l->now) {
        p = l->queue;
        l->queue = p->next;
        stack_input(l->end[p->to].stack, 1, p->bytes, p->size);
        free(p);
    }
    return true;
}

void pipe_run(struct pipe *l, uint64_t ns)
{
    uint64_t until = l->now + ns;

    while (pipe_step(l, until))
        continue;
}

bool pipe_until(struct pipe *l, bool (*reached)(void *ctx), void *ctx, uint64_t ns)
{
    uint64_t until = l->now + ns;

    while (!reached(ctx)) {
        if (!pipe_step(l, until))
            return reached(ctx);
    }
    return true;
}

struct stack_socket *pipe_socket(struct pipe *l, unsigned end, uint8_t version, uint8_t protocol)
{
    struct stack_socket *s;

    assert_int_equal(stack_open(l->end[end].stack, version, protocol, NULL, &s), 0);
    return s;
}

bool pipe_has_state(struct pipe *l, struct stack_socket *s, enum stack_state state, uint64_t ns)
{
    uint64_t until = l->now + ns;

    while (stack_state(s) != state) {
        if (!pipe_step(l, until))
            return stack_state(s) == state;
    }
    return true;
}

void pipe_connect(struct pipe *l, uint8_t version, uint16_t port, struct stack_socket *out[2])
{
    static const union wire_addr any;
    union wire_addr to = pipe_address(version, 1);
    struct stack_socket *listener = pipe_socket(l, 1, version, WIRE_PROTOCOL_TCP);
    uint64_t until = l->now + 600 * PIPE_S;

    assert_int_equal(stack_bind(listener, &any, port, false), 0);
    assert_int_equal(stack_listen(listener, 0), 0);
    out[0] = pipe_socket(l, 0, version, WIRE_PROTOCOL_TCP);
    assert_int_equal(stack_connect(out[0], &to, port), 0);
    while ((out[1] = stack_accept(listener)) == NULL && pipe_step(l, until))
        continue;
    assert_non_null(out[1]);
    assert_true(pipe_has_state(l, out[0], STACK_CONNECTED, 600 * PIPE_S));
    stack_close(listener);
}

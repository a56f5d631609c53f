/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory is short: one run of two stacks, again and again, each time another allocation fails, once or from then on.
 * Nothing breaks; if it failed only once, what was sent arrives all the same.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stack_invariants.h"

enum { QUEUE = 512, DATA = 20000 };

static unsigned until_failure; /* 0: none fails */
static bool once;

static bool fails(void)
{
    if (until_failure == 0 || --until_failure != 0)
        return false;
    if (!once)
        until_failure = 1;
    return true;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *p, size_t size);

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *p, size_t size)
{
    return fails() ? NULL : __real_realloc(p, size);
}

struct frame {
    uint32_t size;
    uint8_t bytes[1600];
};
struct run {
    struct stack *stack[2];
    struct stack_socket *tcp[2], *udp[2], *listener;
    struct frame queue[2][QUEUE];
    unsigned first[2], end[2];
    uint32_t sent, received;
    bool datagram, ended;
};
struct side {
    struct run *run;
    unsigned index;
};
static struct run r;
static struct side sides[2] = {{&r, 0}, {&r, 1}};
static uint8_t data[DATA];

static enum stack_sent on_send(void *ctx, const struct stack_packet *p)
{
    struct side *s = ctx;
    unsigned to = 1 - s->index;
    struct frame *f;

    if (r.end[to] - r.first[to] == QUEUE)
        return STACK_SENT;
    f = &r.queue[to][r.end[to]++ % QUEUE];
    f->size = p->size;
    memcpy(f->bytes, p->bytes, p->size);
    return STACK_SENT;
}

static bool prepare(void)
{
    static const union wire_addr any;
    union wire_addr to = {.v4 = 0x0a000002};

    for (unsigned i = 0; i < 2; i++) {
        struct stack_config c = {.seed = i + 1, .send = on_send, .ctx = &sides[i]};
        union wire_addr a = {.v4 = 0x0a000001 + i};

        if (stack_create(&c, &r.stack[i]) != 0 || stack_interface_add(r.stack[i], 1, 0) != 0 ||
            stack_address_add(r.stack[i], 1, 4, &a, 24) != 0 ||
            stack_open(r.stack[i], 4, WIRE_PROTOCOL_UDP, NULL, &r.udp[i]) != 0)
            return false;
    }
    if (stack_open(r.stack[1], 4, WIRE_PROTOCOL_TCP, NULL, &r.listener) != 0 ||
        stack_open(r.stack[0], 4, WIRE_PROTOCOL_TCP, NULL, &r.tcp[0]) != 0)
        return false;
    return stack_bind(r.udp[1], &any, 9, false) == 0 && stack_bind(r.listener, &any, 80, false) == 0 &&
           stack_listen(r.listener, 0) == 0 && stack_connect(r.tcp[0], &to, 80) == 0;
}

static void programs(void)
{
    static uint8_t got[DATA];
    union wire_addr to = {.v4 = 0x0a000002};
    long n;

    if (r.tcp[1] == NULL)
        r.tcp[1] = stack_accept(r.listener);
    if (!r.datagram)
        r.datagram = stack_send_to(r.udp[0], &to, 9, data, 4000) == 4000;
    (void)stack_receive(r.udp[1], got, sizeof(got), NULL, NULL);
    if (r.sent < DATA) {
        n = stack_send(r.tcp[0], data + r.sent, DATA - r.sent);
        if (n > 0)
            r.sent += (uint32_t)n;
        if (r.sent == DATA)
            (void)stack_shutdown(r.tcp[0]);
    }
    if (r.tcp[1] == NULL || r.ended)
        return;
    n = stack_receive(r.tcp[1], got, sizeof(got), NULL, NULL);
    if (n > 0) {
        assert_memory_equal(got, data + r.received, n);
        r.received += (uint32_t)n;
    } else if (n == 0) {
        r.ended = true;
    }
}

/* Whether it failed somewhere: false when there are no more allocations. */
static bool one_run(unsigned nth, bool only_once)
{
    bool prepared, failed;

    memset(&r, 0, sizeof(r));
    until_failure = nth;
    once = only_once;
    prepared = prepare();
    for (unsigned step = 0; prepared && step < 300 && !(r.ended && until_failure != 0); step++) {
        programs();
        for (unsigned i = 0; i < 2; i++) {
            while (r.first[i] != r.end[i]) {
                struct frame *f = &r.queue[i][r.first[i]++ % QUEUE];

                stack_input(r.stack[i], 1, f->bytes, f->size);
            }
            stack_advance(r.stack[i], step * SECOND / 10);
            assert_null(stack_invariants(r.stack[i]));
        }
    }
    failed = until_failure == 0 || (!only_once && until_failure == 1);
    until_failure = 0;
    if (prepared && (only_once || !failed)) {
        if (!r.ended)
            print_error("allocation %u: sent %u, received %u\n", nth, r.sent, r.received);
        assert_true(r.ended);
        assert_int_equal(r.received, DATA);
    }
    stack_destroy(r.stack[0]);
    stack_destroy(r.stack[1]);
    return failed;
}

static void each_allocation_fails(void **state)
{
    unsigned nth = 1;

    (void)state;
    for (uint32_t i = 0; i < DATA; i++)
        data[i] = (uint8_t)(i * 31 + i / 256);
    while (one_run(nth, true))
        nth++;
    assert_true(nth > 20);
    for (unsigned i = 1; i < nth; i++)
        assert_true(one_run(i, false));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_allocation_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

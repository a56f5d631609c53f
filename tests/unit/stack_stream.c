/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Byte streams through two stacks and a wire that loses, repeats, reorders, delays and corrupts by a seed: in both
 * directions what arrives is what was sent, to its end, and both ends close. WEIR_SEED repeats one run, WEIR_RUNS makes
 * so many, WEIR_CASES (of any size; scripts/test --full sets it) 30,000: under sanitizers some three minutes.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stack_pipe.h"

static uint64_t running; /* the seed of the run that is on */

struct flow { /* one direction of a connection */
    uint32_t sent, size, received;
    bool shut, ended;
};

/* The byte at a place of the stream. */
static uint8_t byte_at(uint64_t seed, unsigned way, uint32_t at)
{
    uint64_t x = (seed * 2 + way) * 0x9e3779b97f4a7c15ull + at * 0xff51afd7ed558ccdull;

    return (uint8_t)(x >> 56 ^ x >> 23);
}

static void send_some(struct pipe *l, struct stack_socket *s, struct flow *f, uint64_t seed, unsigned way)
{
    uint8_t chunk[8192];
    uint32_t n = 1 + pipe_random(l, sizeof(chunk));
    long sent;

    if (f->shut)
        return;
    if (n > f->size - f->sent)
        n = f->size - f->sent;
    for (uint32_t i = 0; i < n; i++)
        chunk[i] = byte_at(seed, way, f->sent + i);
    sent = n != 0 ? stack_send(s, chunk, n) : 0;
    if (sent == -EAGAIN)
        return;
    assert_true(sent >= 0 && sent <= n);
    f->sent += (uint32_t)sent;
    if (f->sent == f->size) {
        assert_int_equal(stack_shutdown(s), 0);
        f->shut = true;
    }
}

static void receive_some(struct pipe *l, struct stack_socket *s, struct flow *f, uint64_t seed, unsigned way)
{
    uint8_t chunk[8192];
    long n = stack_receive(s, chunk, 1 + pipe_random(l, sizeof(chunk)), NULL, NULL);

    if (n == -EAGAIN)
        return;
    assert_true(n >= 0);
    if (n == 0) {
        assert_int_equal(f->received, f->size);
        f->ended = true;
        return;
    }
    assert_false(f->ended);
    assert_true(f->received + n <= f->size);
    for (long i = 0; i < n; i++)
        assert_int_equal(chunk[i], byte_at(seed, way, f->received + (uint32_t)i));
    f->received += (uint32_t)n;
}

static void random_config(struct pipe *l, struct stack_config *c)
{
    static const uint16_t sizes[] = {0, 0, 0, 100, 536, 1220, 64};
    static const uint32_t rooms[] = {0, 0, 2048, 10000, 65535, 100};

    c->mss = sizes[pipe_random(l, 7)];
    c->without = (uint8_t)(pipe_random(l, 3) == 0 ? pipe_random(l, 8) : 0);
    c->limits.receive_bytes = rooms[pipe_random(l, 6)];
    c->limits.send_bytes = rooms[pipe_random(l, 5)];
    c->data_retries = 60;
    c->syn_retries = 30;
    if (pipe_random(l, 2) == 0) {
        c->sequence_fixed = true;
        c->sequence = UINT32_MAX - pipe_random(l, 20000);
    }
}

static void one_run(uint64_t seed)
{
    struct stack_config c[2] = {{0}, {0}};
    struct stack_socket *s[2];
    struct flow flows[2] = {{0}, {0}};
    struct pipe l = {.random = seed * 77 + 5};
    uint64_t until;

    running = seed;
    random_config(&l, &c[0]);
    random_config(&l, &c[1]);
    pipe_open(&l, seed, &c[0], &c[1]);
    l.chaos = (struct pipe_chaos){.lose = pipe_random(&l, 3) == 0 ? 0 : pipe_random(&l, 200),
                                  .repeat = pipe_random(&l, 100),
                                  .reorder = pipe_random(&l, 2) == 0 ? 0 : pipe_random(&l, 300),
                                  .corrupt = pipe_random(&l, 2) == 0 ? 0 : pipe_random(&l, 50),
                                  .delay = 1 + pipe_random(&l, 50000000)};
    for (unsigned i = 0; i < 2; i++)
        flows[i].size = pipe_random(&l, 4) == 0 ? pipe_random(&l, 10) : pipe_random(&l, 60000);
    pipe_connect(&l, pipe_random(&l, 2) == 0 ? 4 : 6, 80, s);
    until = l.now + 4 * 3600 * PIPE_S;
    while (!(flows[0].ended && flows[1].ended) && l.now < until) {
        for (unsigned way = 0; way < 2; way++) {
            if (pipe_random(&l, 4) != 0)
                send_some(&l, s[way], &flows[way], seed, way);
            if (pipe_random(&l, 4) != 0)
                receive_some(&l, s[1 - way], &flows[way], seed, way);
        }
        if (!pipe_step(&l, l.now + PIPE_S))
            continue;
    }
    if (!flows[0].ended || !flows[1].ended)
        print_error("WEIR_SEED=%llu: %u of %u (sent %u), %u of %u (sent %u)\n", (unsigned long long)seed,
                    flows[0].received, flows[0].size, flows[0].sent, flows[1].received, flows[1].size,
                    flows[1].sent);
    assert_true(flows[0].ended && flows[1].ended);
    stack_close(s[0]);
    stack_close(s[1]);
    l.chaos = (struct pipe_chaos){0};
    pipe_run(&l, 4000 * PIPE_S);
    for (unsigned i = 0; i < 2; i++) {
        struct stack_counts counts;

        stack_counts(l.end[i].stack, &counts);
        assert_int_equal(counts.sockets, 0);
        assert_int_equal(stack_deadline(l.end[i].stack, NULL), UINT64_MAX);
    }
    pipe_close(&l);
}

static int say_which(void **state)
{
    (void)state;
    print_message("the last run: WEIR_SEED=%llu\n", (unsigned long long)running);
    return 0;
}

static void streams_arrive(void **state)
{
    const char *seed = getenv("WEIR_SEED"), *runs = getenv("WEIR_RUNS");
    unsigned count = runs != NULL ? (unsigned)atoi(runs) : getenv("WEIR_CASES") != NULL ? 30000 : 300;

    (void)state;
    if (seed != NULL) {
        one_run(strtoull(seed, NULL, 10));
        return;
    }
    for (unsigned i = 1; i <= count; i++)
        one_run(i);
}

/* ---- many at once, by events alone ------------------------------------------------------------------------ */

enum { MANY = 600, SAID = 3000 };

struct talker { /* of a client's socket */
    uint32_t sent, received;
    bool done;
};
static unsigned talkers_done, servers_done;

static void server_told(struct pipe_end *e, struct stack_socket *s, enum stack_event what)
{
    uint8_t bytes[700];
    long n;

    (void)e;
    if (what == STACK_EVENT_ACCEPT) {
        while ((s = stack_accept(s)) != NULL) {
            stack_set_user(s, NULL);
            server_told(e, s, STACK_EVENT_READABLE);
        }
        return;
    }
    if (what != STACK_EVENT_READABLE)
        return;
    while ((n = stack_receive(s, bytes, sizeof(bytes), NULL, NULL)) > 0)
        assert_int_equal(stack_send(s, bytes, (size_t)n), n);
    if (n == 0 && stack_state(s) == STACK_CLOSING) {
        servers_done++;
        stack_close(s);
    }
}

static void client_told(struct pipe_end *e, struct stack_socket *s, enum stack_event what)
{
    struct talker *t = stack_user(s);
    uint8_t bytes[SAID];
    long n;

    (void)e;
    if (what == STACK_EVENT_WRITABLE && t->sent == 0) {
        for (uint32_t i = 0; i < SAID; i++)
            bytes[i] = byte_at((uintptr_t)t->sent + 1, 0, i);
        t->sent = (uint32_t)stack_send(s, bytes, SAID);
        assert_int_equal(t->sent, SAID);
        assert_int_equal(stack_shutdown(s), 0);
    }
    while (what == STACK_EVENT_READABLE && (n = stack_receive(s, bytes, sizeof(bytes), NULL, NULL)) >= 0) {
        for (long i = 0; i < n; i++)
            assert_int_equal(bytes[i], byte_at(1, 0, t->received + (uint32_t)i));
        t->received += (uint32_t)n;
        if (n != 0)
            continue;
        assert_int_equal(t->received, SAID);
        t->done = true;
        talkers_done++;
        stack_close(s);
        break;
    }
}

static bool all_done(void *ctx)
{
    (void)ctx;
    return talkers_done == MANY && servers_done == MANY;
}

static void many_at_once(void **state)
{
    static const union wire_addr any;
    static struct talker talkers[MANY];
    const struct stack_config c = {.limits = {.backlog = MANY}, .data_retries = 40, .syn_retries = 20};
    struct stack_counts counts;
    struct stack_socket *s;
    struct pipe l;

    (void)state;
    pipe_open(&l, 5, NULL, &c);
    l.chaos = (struct pipe_chaos){.lose = 50, .reorder = 50};
    l.end[0].told = client_told;
    l.end[1].told = server_told;
    for (uint8_t version = 4; version <= 6; version += 2) {
        s = pipe_socket(&l, 1, version, WIRE_PROTOCOL_TCP);
        assert_int_equal(stack_bind(s, &any, 7, false), 0);
        assert_int_equal(stack_listen(s, MANY), 0);
    }
    for (unsigned i = 0; i < MANY; i++) {
        union wire_addr to = pipe_address(i % 2 == 0 ? 4 : 6, 1);

        assert_int_equal(stack_open(l.end[0].stack, i % 2 == 0 ? 4 : 6, WIRE_PROTOCOL_TCP, &talkers[i], &s),
                         0);
        assert_int_equal(stack_connect(s, &to, 7), 0);
    }
    stack_counts(l.end[0].stack, &counts);
    assert_int_equal(counts.sockets, MANY);
    assert_true(pipe_until(&l, all_done, NULL, 3600 * PIPE_S));
    pipe_run(&l, 600 * PIPE_S);
    stack_counts(l.end[0].stack, &counts);
    assert_int_equal(counts.sockets, 0);
    stack_counts(l.end[1].stack, &counts);
    assert_int_equal(counts.sockets, 2); /* they listen */
    pipe_close(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams_arrive),
        cmocka_unit_test(many_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, say_which);
}

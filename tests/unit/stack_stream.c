/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Byte streams through two stacks and a wire that loses, repeats, reorders, delays and corrupts by a seed: in both
 * directions what arrives is what was sent, to its end, and both ends close. WEIR_SEED repeats one run, WEIR_CASES
 * makes more.
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
    const char *seed = getenv("WEIR_SEED"), *cases = getenv("WEIR_CASES");
    unsigned count = cases != NULL ? (unsigned)atoi(cases) : 300;

    (void)state;
    if (seed != NULL) {
        one_run(strtoull(seed, NULL, 10));
        return;
    }
    for (unsigned i = 1; i <= count; i++)
        one_run(i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams_arrive),
    };

    return cmocka_run_group_tests(tests, NULL, say_which);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver `edit`, loaded twice: what the first leaves of a stream the second edits, to the byte, both ways, each of
 * them inline or by a worker, whichever comes first: a byte at a time and in any pieces, with the ends.
 */
#include <stdlib.h>

#include "driver_suite.h"

#define FOREVER 2000000000u

struct text {
    const char *find, *replace;
};

/* What the first makes is, in part and across what it leaves alone, what the second looks for. */
static const struct {
    struct text first, second;
    const char *letters;
} pairs[] = {
    {{"abc", "xyxyz"}, {"xyz", "Q"}, "abcxyz"},
    {{"ab", "b"}, {"bbb", "long text"}, "abc"},
    {{"aa", ""}, {"cd", "dcdc"}, "acd"},
    {{"d", "eeeeeeee"}, {"eeeee", "e"}, "def"},
};

static const char *const modes[] = {"inline", "worker"};

/* ---- the machine --------------------------------------------------------------------------------------- */

struct twice {
    struct suite s;
    struct weir_driver *other;
    struct text order[2];
    struct weir_socket *a, *b; /* `a` is the host's */
};

static struct weir_driver *load(struct suite *s, const char *name, uint32_t instance, const struct text *t,
                                const char *mode)
{
    const struct weir_parameter parameters[] = {{.name = "Find", .string = t->find},
                                                {.name = "Replace", .string = t->replace},
                                                {.name = "Mode", .string = mode},
                                                {.name = "HoldMs", .number = FOREVER},
                                                {.name = "Instance", .number = instance}};
    struct weir_driver *d = suite_load_as(s, name, parameters, sizeof parameters / sizeof *parameters);

    if (d == NULL)
        fail_msg("%s: %s", name, weir_error());
    return d;
}

static void connect_them(struct twice *w, unsigned run)
{
    const bool six = run & 1, host_listens = run & 2;
    struct suite *s = &w->s;
    struct weir_socket *server = suite_listens(host_listens ? s->program : s->peer, ":80");
    struct weir_socket *client = weir_socket(host_listens ? s->peer : s->program, WEIR_TCP), *accepted;

    (void)weir_connect(client, host_listens ? six ? "[fd00::1]:80" : "10.0.0.1:80"
                               : six        ? "[fd00::2]:80"
                                            : "10.0.0.2:80");
    accepted = suite_accepted(s, client, server, 30 * WEIR_SECOND);
    weir_close(server);
    w->a = host_listens ? accepted : client;
    w->b = host_listens ? client : accepted;
}

/* Bit 0 of how: the first driver's mode, bit 1: the second's; bit 2: which of the two has the first text. */
static void open_twice(struct twice *w, const struct weir_config *config, unsigned pair, unsigned how)
{
    const struct text *of[2] = {how & 4 ? &pairs[pair].second : &pairs[pair].first,
                                how & 4 ? &pairs[pair].first : &pairs[pair].second};

    memset(w, 0, sizeof *w);
    suite_open_bare(&w->s, config);
    w->s.driver = load(&w->s, "edit0", 0, of[0], modes[how & 1]);
    w->other = load(&w->s, "edit1", 1, of[1], modes[how >> 1 & 1]);
    /* Sublayers of one weight: the one that was added first is asked first. */
    w->order[0] = *of[0];
    w->order[1] = *of[1];
}

static void close_twice(struct twice *w)
{
    weir_close(w->a);
    weir_close(w->b);
    weir_run(w->s.w, 200 * WEIR_SECOND);
    assert_int_equal(weir_driver_unload(w->other), 0);
    suite_close(&w->s);
}

/* ---- the plain model ----------------------------------------------------------------------------------- */

/* All of a stream at once; malloced. */
static char *replaced(const struct text *t, const char *from, size_t size, size_t *out_size)
{
    const size_t find = strlen(t->find), replace = strlen(t->replace);
    char *out = malloc(size * (replace + 1) + 1);
    size_t n = 0;

    for (size_t at = 0; at < size;) {
        if (size - at >= find && memcmp(from + at, t->find, find) == 0) {
            memcpy(out + n, t->replace, replace);
            n += replace;
            at += find;
        } else {
            out[n++] = from[at++];
        }
    }
    *out_size = n;
    return out;
}

static void check(const struct twice *w, const char *sent, size_t size, const char *got, size_t got_size)
{
    size_t between, wanted;
    char *once = replaced(&w->order[0], sent, size, &between);
    char *both = replaced(&w->order[1], once, between, &wanted);

    assert_int_equal(got_size, wanted);
    assert_memory_equal(got, both, wanted);
    free(once);
    free(both);
}

static void compose(char *out, size_t size, unsigned pair, uint64_t *random)
{
    const char *letters = pairs[pair].letters;
    const size_t count = strlen(letters);

    for (size_t at = 0; at < size; at++)
        out[at] = letters[suite_random(random) % count];
}

/* ---- talk ---------------------------------------------------------------------------------------------- */

static void a_byte_at_a_time(void **state)
{
    (void)state;
    for (unsigned run = 0; run < 32; run++) {
        const unsigned pair = run / 8;
        uint64_t random = run * 0x9e3779b97f4a7c15ull + 1;
        struct twice w;

        open_twice(&w, NULL, pair, run % 8);
        connect_them(&w, run);
        for (unsigned turn = 0; turn < 2; turn++) {
            struct weir_socket *from = turn ? w.b : w.a, *to = turn ? w.a : w.b;
            char sent[64], got[1024];
            size_t n = 0;
            long one;

            compose(sent, sizeof sent, pair, &random);
            for (size_t at = 0; at < sizeof sent; at++) {
                assert_int_equal(weir_send(from, sent + at, 1), 1);
                weir_run(w.s.w, 3 * WEIR_MILLISECOND);
            }
            assert_int_equal(weir_shutdown(from), 0);
            while (weir_wait_readable(to, 5 * WEIR_SECOND) &&
                   (one = weir_receive(to, got + n, sizeof got - n, NULL)) > 0)
                n += (size_t)one;
            check(&w, sent, sizeof sent, got, n);
        }
        close_twice(&w);
    }
}

static void any_bytes_any_time(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 32; seed++) {
        const unsigned pair = seed % 4;
        uint64_t random = seed * 0x9e3779b97f4a7c15ull + 1;
        struct suite_half h[2];
        struct twice w;

        open_twice(&w,
                   &(struct weir_config){.seed = seed,
                                         .shuffle = seed & 1,
                                         .preempt = seed & 2 ? 3 : 0,
                                         .inject_in_caller = seed % 5 == 0},
                   pair, (unsigned)(seed / 4));
        if (seed % 3 != 0) {
            (void)weir_rule(w.s.w, &(struct weir_rule_config){.action = WEIR_DROP, .one_in = 12});
            (void)weir_rule(w.s.w, &(struct weir_rule_config){.action = WEIR_REORDER, .one_in = 6});
        }
        connect_them(&w, (unsigned)seed);
        for (unsigned i = 0; i < 2; i++) {
            h[i] = (struct suite_half){.from = i ? w.b : w.a, .to = i ? w.a : w.b, .size = 4000 + seed * 500};
            h[i].room = h[i].size * 10 + 8192;
            h[i].sent = malloc(h[i].size);
            h[i].got = malloc(h[i].room);
            compose((char *)h[i].sent, h[i].size, pair, &random);
        }
        for (unsigned turns = 0; !h[0].ended || !h[1].ended; turns++) {
            assert_true(turns < 400000);
            suite_half_step(&h[0], &random);
            suite_half_step(&h[1], &random);
            if (suite_random(&random) % 4 == 0)
                weir_run(w.s.w, suite_random(&random) % (5 * WEIR_MILLISECOND));
        }
        for (unsigned i = 0; i < 2; i++) {
            check(&w, (char *)h[i].sent, h[i].size, (char *)h[i].got, h[i].got_size);
            free(h[i].sent);
            free(h[i].got);
        }
        close_twice(&w);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_byte_at_a_time),
        cmocka_unit_test(any_bytes_any_time),
    };

    return SUITE_MAIN(argc, argv, "edits", tests);
}

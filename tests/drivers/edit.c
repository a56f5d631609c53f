/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver `edit`: what a program receives is what the other sent with one text replaced by another, to the byte, both
 * ways, inline and by a worker, however the bytes are cut, lost, reordered and put off; its end while bytes are held.
 */
#include <stdlib.h>

#include "driver_suite.h"

#define FOREVER 2000000000u

struct edited {
    const char *find, *replace, *mode, *direction;
    unsigned port, hold_ms;
};

static size_t parameters_of(const struct edited *is, struct weir_parameter out[6])
{
    size_t n = 0;

    out[n++] = (struct weir_parameter){.name = "Find", .string = is->find};
    out[n++] = (struct weir_parameter){.name = "Replace", .string = is->replace};
    out[n++] = (struct weir_parameter){.name = "Mode", .string = is->mode};
    if (is->direction != NULL)
        out[n++] = (struct weir_parameter){.name = "Direction", .string = is->direction};
    if (is->port != 0)
        out[n++] = (struct weir_parameter){.name = "Port", .number = is->port};
    if (is->hold_ms != 0)
        out[n++] = (struct weir_parameter){.name = "HoldMs", .number = is->hold_ms};
    return n;
}

static void open_with(struct suite *s, const struct weir_config *config, const struct edited *is)
{
    struct weir_parameter parameters[6];
    size_t n = parameters_of(is, parameters);

    suite_open(s, config, parameters, n);
}

/* ---- the plain model ----------------------------------------------------------------------------------- */

/* All of a stream at once; malloced. */
static uint8_t *replaced(const struct edited *is, const uint8_t *from, size_t size, size_t *out_size)
{
    const size_t find = strlen(is->find), replace = strlen(is->replace);
    uint8_t *out = malloc(size * (replace + 1) + 1);
    size_t n = 0;

    for (size_t at = 0; at < size;) {
        if (size - at >= find && memcmp(from + at, is->find, find) == 0) {
            memcpy(out + n, is->replace, replace);
            n += replace;
            at += find;
        } else {
            out[n++] = from[at++];
        }
    }
    *out_size = n;
    return out;
}

/* ---- two ends that talk at once ------------------------------------------------------------------------ */

/* Text that has the wanted one, whole and in parts, often. */
static void half_begin(struct suite_half *h, struct weir_socket *from, struct weir_socket *to,
                       const char *find, size_t size, uint64_t *random)
{
    const size_t length = strlen(find);

    *h = (struct suite_half){.from = from, .to = to, .size = size, .room = size * 17 + 8192};
    h->sent = malloc(size + 256);
    h->got = malloc(h->room);
    for (size_t at = 0; at < size;) {
        size_t part = suite_random(random) % 4 != 0 ? suite_random(random) % (length + 1) : 0;

        memcpy(h->sent + at, find, part);
        at += part;
        if (part != length)
            h->sent[at++] = (uint8_t)('a' + suite_random(random) % 6);
    }
}

static void half_check(struct suite_half *h, const struct edited *is, bool edited)
{
    size_t size = h->size;
    uint8_t *wanted = edited ? replaced(is, h->sent, h->size, &size) : NULL;

    assert_int_equal(h->got_size, size);
    assert_memory_equal(h->got, edited ? wanted : h->sent, size);
    free(wanted);
    free(h->sent);
    free(h->got);
}

/* `a` is the host's. */
static void talk(struct suite *s, struct weir_socket *a, struct weir_socket *b, const struct edited *is,
                 size_t size, uint64_t seed)
{
    const char way = is->direction != NULL ? is->direction[0] : 'b';
    uint64_t random = seed * 0x9e3779b97f4a7c15ull + 1;
    struct suite_half h[2];

    half_begin(&h[0], a, b, is->find, size, &random);
    half_begin(&h[1], b, a, is->find, size, &random);
    for (unsigned turns = 0; !h[0].ended || !h[1].ended; turns++) {
        assert_true(turns < 400000);
        suite_half_step(&h[0], &random);
        suite_half_step(&h[1], &random);
        if (suite_random(&random) % 4 == 0)
            weir_run(s->w, suite_random(&random) % (5 * WEIR_MILLISECOND));
    }
    half_check(&h[0], is, way != 'i');
    half_check(&h[1], is, way != 'o');
}

static struct weir_socket *connected(struct suite *s, bool six, bool host_listens, struct weir_socket **peer)
{
    struct weir_socket *server = suite_listens(host_listens ? s->program : s->peer, ":80");
    struct weir_socket *client = weir_socket(host_listens ? s->peer : s->program, WEIR_TCP), *accepted;

    (void)weir_connect(client, host_listens ? six ? "[fd00::1]:80" : "10.0.0.1:80"
                               : six        ? "[fd00::2]:80"
                                            : "10.0.0.2:80");
    accepted = suite_accepted(s, client, server, 30 * WEIR_SECOND);
    weir_close(server);
    *peer = host_listens ? client : accepted;
    return host_listens ? accepted : client;
}

static void says(struct weir_socket *from, struct weir_socket *to, const char *what, const char *arrives)
{
    assert_int_equal(weir_send(from, what, strlen(what)), (long)strlen(what));
    suite_receives(to, arrives, strlen(arrives), 5 * WEIR_SECOND);
}

/* ---- texts --------------------------------------------------------------------------------------------- */

static const char *const modes[] = {"inline", "worker"};

/* A byte at a time: each boundary is within the text once. */
static void a_text_in_pieces(void **state)
{
    static const struct {
        const char *find, *replace, *sent, *arrives;
    } is[] = {
        {"red", "vermilion", "a red fox, a reredd, re", "a vermilion fox, a revermiliond, re"},
        {"vermilion", "red", "vermilionvermilion vermi", "redred vermi"},
        {"aab", "", "aaabaab aabaa", "a aa"},
        {"x", "xx", "xxx", "xxxxxx"},
    };

    (void)state;
    for (unsigned run = 0; run < 16; run++) {
        const struct edited e = {is[run / 4].find, is[run / 4].replace, modes[run & 1], NULL, 0, FOREVER};
        const char *sent = is[run / 4].sent, *arrives = is[run / 4].arrives;
        struct weir_socket *a, *b;
        struct suite s;
        char got[128];

        open_with(&s, NULL, &e);
        a = connected(&s, run >> 1 & 1, run & 2, &b);
        for (unsigned turn = 0; turn < 2; turn++) {
            struct weir_socket *from = turn ? b : a, *to = turn ? a : b;
            size_t n = 0;

            for (const char *c = sent; *c != '\0'; c++) {
                assert_int_equal(weir_send(from, c, 1), 1);
                weir_run(s.w, 3 * WEIR_MILLISECOND);
            }
            assert_int_equal(weir_shutdown(from), 0);
            while (weir_wait_readable(to, 5 * WEIR_SECOND)) {
                long one = weir_receive(to, got + n, sizeof got - n, NULL);

                if (one <= 0)
                    break;
                n += (size_t)one;
            }
            assert_int_equal(n, strlen(arrives));
            assert_memory_equal(got, arrives, n);
        }
        weir_close(a);
        weir_close(b);
        weir_run(s.w, WEIR_SECOND);
        suite_close(&s);
    }
}

static void only_there(void **state)
{
    struct weir_socket *a, *b;
    struct suite s;

    (void)state;
    for (unsigned run = 0; run < 6; run++) {
        struct edited e = {"red", "vermilion", modes[run & 1], NULL, 0, 0};

        if (run / 2 == 0)
            e.direction = "out";
        else if (run / 2 == 1)
            e.direction = "in";
        else
            e.port = 81;
        open_with(&s, NULL, &e);
        a = connected(&s, false, run & 1, &b);
        says(a, b, "red", run / 2 == 0 ? "vermilion" : "red");
        says(b, a, "red", run / 2 == 1 ? "vermilion" : "red");
        weir_close(a);
        weir_close(b);
        weir_run(s.w, WEIR_SECOND);
        suite_close(&s);
    }
}

/* ---- transfers ----------------------------------------------------------------------------------------- */

static void any_bytes_any_time(void **state)
{
    static const struct {
        const char *find, *replace;
    } texts[] = {{"abc", "abcabc"}, {"abab", "b"}, {"aabaab", ""}, {"d", "eeeeeeeeeeeeeeee"}};

    (void)state;
    for (uint64_t seed = 1; seed <= 24; seed++) {
        const struct edited e = {texts[seed % 4].find,
                                 texts[seed % 4].replace,
                                 modes[seed / 4 & 1],
                                 seed % 5 == 0   ? "out"
                                 : seed % 5 == 1 ? "in"
                                                 : "both",
                                 0,
                                 FOREVER};
        struct weir_socket *a, *b;
        struct suite s;

        open_with(
            &s,
            &(struct weir_config){
                .seed = seed, .shuffle = seed & 1, .preempt = seed & 2 ? 3 : 0, .inject_in_caller = seed & 4},
            &e);
        if (seed % 3 != 0) {
            (void)weir_rule(s.w, &(struct weir_rule_config){.action = WEIR_DROP, .one_in = 12});
            (void)weir_rule(s.w, &(struct weir_rule_config){.action = WEIR_REORDER, .one_in = 6});
            (void)weir_rule(s.w, &(struct weir_rule_config){.action = WEIR_DUPLICATE, .one_in = 20});
        }
        a = connected(&s, seed & 1, seed & 8, &b);
        talk(&s, a, b, &e, 5000 + seed * 1500, seed);
        weir_close(a);
        weir_close(b);
        weir_run(s.w, 200 * WEIR_SECOND);
        suite_close(&s);
    }
}

static void several_at_once(void **state)
{
    const struct edited e = {"abc", "alphabet", "worker", "both", 0, FOREVER};
    struct weir_socket *a[4], *b[4];
    uint64_t random = 77;
    struct suite_half h[8];
    struct suite s;

    (void)state;
    open_with(&s, &(struct weir_config){.seed = 5, .shuffle = true, .preempt = 2}, &e);
    for (unsigned i = 0; i < 4; i++) {
        a[i] = connected(&s, i & 1, i & 2, &b[i]);
        half_begin(&h[2 * i], a[i], b[i], e.find, 9000, &random);
        half_begin(&h[2 * i + 1], b[i], a[i], e.find, 9000, &random);
    }
    for (bool all = false; !all;) {
        all = true;
        for (unsigned i = 0; i < 8; i++) {
            suite_half_step(&h[i], &random);
            all = all && h[i].ended;
        }
        weir_run(s.w, suite_random(&random) % WEIR_MILLISECOND);
    }
    for (unsigned i = 0; i < 8; i++)
        half_check(&h[i], &e, true);
    suite_close(&s);
}

static void over_loopback(void **state)
{
    struct weir_socket *server, *a, *b;
    struct weir_process *other;
    struct suite s;

    (void)state;
    for (unsigned run = 0; run < 2; run++) {
        const struct edited e = {"red", "vermilion", modes[run], "out", 0, 0};

        open_with(&s, NULL, &e);
        other = weir_process(s.w, "C:\\other.exe", NULL);
        server = suite_listens(other, "127.0.0.1:80");
        a = weir_socket(s.program, WEIR_TCP);
        (void)weir_connect(a, "127.0.0.1:80");
        b = suite_accepted(&s, a, server, WEIR_SECOND);
        says(a, b, "infrared", "infravermilion");
        says(b, a, "red", "vermilion");
        suite_close(&s);
    }
}

/* ---- the worker ---------------------------------------------------------------------------------------- */

/* What may be the text's beginning goes on when nobody continues it. */
static void a_beginning_is_held_for_so_long(void **state)
{
    const struct edited e = {"red", "vermilion", "worker", NULL, 0, 300};
    struct weir_socket *a, *b;
    struct suite s;

    (void)state;
    open_with(&s, NULL, &e);
    a = connected(&s, false, false, &b);
    assert_int_equal(weir_send(a, "a re", 4), 4);
    weir_run(s.w, 250 * WEIR_MILLISECOND);
    assert_true(weir_expect_received(b, "a ", 2));
    weir_run(s.w, 100 * WEIR_MILLISECOND);
    assert_true(weir_expect_received(b, "re", 2));
    assert_int_equal(weir_send(a, "re", 2), 2);
    weir_run(s.w, 250 * WEIR_MILLISECOND);
    says(a, b, "d!", "vermilion!");
    suite_close(&s);
}

/* While the worker cannot go on, the peer's window fills; then everything arrives. */
static void the_sender_is_held_up(void **state)
{
    static char sent[3000000], got[3000000];
    const struct edited e = {"red", "RED", "worker", NULL, 0, 0};
    struct weir_hold *hold;
    struct weir_socket *a, *b;
    size_t at = 0, have = 0, stuck;
    struct suite s;
    long n;

    (void)state;
    memset(sent, '.', sizeof sent);
    open_with(&s, NULL, &e);
    a = connected(&s, false, false, &b);
    hold = weir_hold(s.w, "thread");
    for (unsigned i = 0; i < 200; i++) {
        n = weir_send(b, sent + at, sizeof sent - at < 65536 ? sizeof sent - at : 65536);
        at += n > 0 ? (size_t)n : 0;
        weir_run(s.w, 50 * WEIR_MILLISECOND);
    }
    stuck = at;
    assert_in_range(stuck, 0x10000, 1500000);
    assert_int_equal(weir_receive(a, got, sizeof got, NULL), -EAGAIN);
    weir_release(hold);
    for (unsigned turns = 0; have < sizeof sent; turns++) {
        assert_true(turns < 10000);
        n = at < sizeof sent ? weir_send(b, sent + at, sizeof sent - at) : 0;
        at += n > 0 ? (size_t)n : 0;
        weir_run(s.w, 10 * WEIR_MILLISECOND);
        n = weir_receive(a, got + have, sizeof got - have, NULL);
        assert_true(n > 0 || n == -EAGAIN || have == sizeof sent);
        have += n > 0 ? (size_t)n : 0;
    }
    assert_memory_equal(got, sent, sizeof sent);
    suite_close(&s);
}

/* The end does not overtake what is held before it; nor is the other direction ended by it. */
static void the_end_waits_its_turn(void **state)
{
    const struct edited e = {"red", "vermilion", "worker", NULL, 0, FOREVER};
    struct weir_hold *hold;
    struct weir_socket *a, *b;
    struct suite s;
    char got[64];

    (void)state;
    for (unsigned host_sends = 0; host_sends < 2; host_sends++) {
        struct weir_socket *from, *to;

        open_with(&s, NULL, &e);
        a = connected(&s, true, false, &b);
        from = host_sends ? a : b;
        to = host_sends ? b : a;
        hold = weir_hold(s.w, "thread");
        assert_int_equal(weir_send(from, "infrared r", 10), 10);
        assert_int_equal(weir_shutdown(from), 0);
        weir_run(s.w, 10 * WEIR_SECOND);
        assert_int_equal(weir_receive(to, got, sizeof got, NULL), -EAGAIN);
        weir_release(hold);
        weir_run(s.w, WEIR_SECOND);
        assert_true(weir_expect_received(to, "infravermilion r", 16));
        assert_true(weir_wait_readable(to, WEIR_SECOND));
        assert_int_equal(weir_receive(to, got, sizeof got, NULL), 0);
        says(to, from, "a red one", "a vermilion one");
        weir_close(to);
        weir_close(from);
        weir_run(s.w, WEIR_SECOND);
        suite_close(&s);
    }
}

/* Both ends close at once, and all bytes are still with the worker. */
static void closed_while_all_is_held(void **state)
{
    const struct edited e = {"red", "vermilion", "worker", NULL, 0, 0};
    struct weir_hold *hold;
    struct weir_socket *a, *b;
    struct suite s;

    (void)state;
    open_with(&s, NULL, &e);
    a = connected(&s, false, false, &b);
    hold = weir_hold(s.w, "thread");
    assert_int_equal(weir_send(a, "red", 3), 3);
    weir_close(a);
    weir_run(s.w, 10 * WEIR_SECOND);
    weir_release(hold);
    suite_receives(b, "vermilion", 9, WEIR_SECOND);
    weir_close(b);
    weir_run(s.w, 10 * WEIR_SECOND);
    suite_close(&s);
}

static void it_ends_while_bytes_are_held(void **state)
{
    struct weir_hold *hold;
    struct weir_socket *a, *b;
    struct suite s;

    (void)state;
    for (unsigned how = 0; how < 3; how++) {
        const struct edited e = {"red", "vermilion", "worker", NULL, 0, 0};
        struct weir_process *other;

        open_with(&s, NULL, &e);
        other = weir_process(s.w, "C:\\other.exe", NULL);
        b = suite_listens(s.peer, ":80");
        a = weir_socket(other, WEIR_TCP);
        (void)weir_connect(a, "10.0.0.2:80");
        b = suite_accepted(&s, a, b, WEIR_SECOND);
        hold = weir_hold(s.w, "thread");
        assert_int_equal(weir_send(a, "red", 3), 3);
        assert_int_equal(weir_send(b, "red", 3), 3);
        weir_run(s.w, WEIR_SECOND);
        if (how == 0)
            weir_abort(a);
        else if (how == 1)
            weir_abort(b);
        else
            weir_process_exit(other);
        weir_run(s.w, WEIR_SECOND);
        weir_release(hold);
        weir_run(s.w, 10 * WEIR_SECOND);
        suite_close(&s);
    }
}

/* ---- its end ------------------------------------------------------------------------------------------- */

/* What it has is handed on, edited, and connections go on without it. */
static void it_goes_while_they_talk(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        const struct edited e = {"red", "vermilion", modes[seed & 1], NULL, 0, FOREVER};
        char text[64], got[1024];
        struct weir_socket *a, *b;
        struct suite s;
        size_t n = 0;

        open_with(&s, &(struct weir_config){.seed = seed, .shuffle = true, .preempt = 2}, &e);
        a = connected(&s, seed & 2, seed & 4, &b);
        for (unsigned i = 0; i < 20; i++) {
            assert_int_equal(weir_send(a, "red.", 4), 4);
            assert_int_equal(weir_send(b, "red.", 4), 4);
        }
        weir_run(s.w, seed * 300 * WEIR_MICROSECOND);
        assert_int_equal(weir_driver_unload(s.driver), 0);
        s.driver = NULL;
        assert_int_equal(weir_outstanding(s.w, NULL), 0);
        for (unsigned host_sends = 0; host_sends < 2; host_sends++) {
            struct weir_socket *from = host_sends ? a : b, *to = host_sends ? b : a;
            bool plain = false;

            weir_run(s.w, WEIR_SECOND);
            snprintf(text, sizeof text, "red end");
            assert_int_equal(weir_send(from, text, 7), 7);
            weir_run(s.w, WEIR_SECOND);
            for (n = 0;;) {
                long one = weir_receive(to, got + n, sizeof got - n, NULL);

                if (one <= 0)
                    break;
                n += (size_t)one;
            }
            /* Twenty words, the first of them perhaps edited, then none; and the last. */
            for (size_t at = 0, words = 0; at < n; words++) {
                if (memcmp(got + at, "vermilion.", 10) == 0) {
                    assert_false(plain);
                    at += 10;
                } else if (memcmp(got + at, "red.", 4) == 0) {
                    plain = true;
                    at += 4;
                } else {
                    assert_int_equal(n - at, 7);
                    assert_memory_equal(got + at, "red end", 7);
                    assert_int_equal(words, 20);
                    at = n;
                }
            }
        }
        suite_close(&s);
    }
}

/* The connection is edited, or it ends; nothing is left, whichever allocation fails. */
static void without_memory(void **state)
{
    (void)state;
    for (unsigned run = 0; run < 2; run++) {
        const struct edited e = {"red", "vermilion", modes[run], NULL, 0, 0};
        unsigned ended = 0;

        for (uint32_t nth = 1; nth <= 40; nth++) {
            struct weir_socket *a, *b;
            struct suite s;
            char got[64];
            long n;

            open_with(&s, NULL, &e);
            a = connected(&s, false, false, &b);
            weir_fail_allocation(s.w, nth);
            if (weir_send(a, "a red fox", 9) == 9) {
                weir_run(s.w, 5 * WEIR_SECOND);
                n = weir_receive(b, got, sizeof got, NULL);
                if (n > 0 && n != 15) { /* the rest never comes */
                    if (n != 2)
                        fail_msg("%s, allocation %u: \"%.*s\"", e.mode, nth, (int)n, got);
                    n = weir_receive(b, got, sizeof got, NULL);
                }
                if (n == 15)
                    assert_memory_equal(got, "a vermilion fox", 15);
                else
                    assert_true(n < 0 && n != -EAGAIN);
                ended += n < 0;
            }
            weir_fail_nothing(s.w);
            suite_close(&s);
        }
        assert_true(ended >= 2);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_in_pieces),
        cmocka_unit_test(only_there),
        cmocka_unit_test(any_bytes_any_time),
        cmocka_unit_test(several_at_once),
        cmocka_unit_test(over_loopback),
        cmocka_unit_test(a_beginning_is_held_for_so_long),
        cmocka_unit_test(the_sender_is_held_up),
        cmocka_unit_test(the_end_waits_its_turn),
        cmocka_unit_test(closed_while_all_is_held),
        cmocka_unit_test(it_ends_while_bytes_are_held),
        cmocka_unit_test(it_goes_while_they_talk),
        cmocka_unit_test(without_memory),
    };

    return SUITE_MAIN(argc, argv, "edit", tests);
}

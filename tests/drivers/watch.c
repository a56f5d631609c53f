/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver `watch`: a pattern in streams is found wherever it lies, counted, remembered with its place, or ends the
 * connection; what programs exchange is untouched; memory is one small block a connection.
 */
#include <stdlib.h>

#include "driver_suite.h"

#include <ntddk.h>

#include "../../drivers/watch/watch.h"

static const struct weir_parameter counts[] = {{.name = "Pattern", .string = "aabaaab"}};
static const struct weir_parameter drops[] = {{.name = "Pattern", .string = "secret"},
                                              {.name = "Action", .string = "drop"}};
static const struct weir_parameter at_port[] = {{.name = "Pattern", .string = "secret"},
                                                {.name = "Port", .number = 81}};

static struct watch_answer read_answer(struct suite *s)
{
    struct weir_device *d = weir_open(s->program, "\\\\.\\Watch", NULL);
    struct watch_answer a;
    size_t done = 0;

    assert_non_null(d);
    assert_int_equal(weir_control(d, IOCTL_WATCH_READ, NULL, 0, &a, sizeof a, &done, 0), 0);
    assert_int_equal(done, sizeof a);
    weir_device_close(d);
    return a;
}

static struct weir_socket *connected(struct suite *s, const char *to, struct weir_socket *server,
                                     struct weir_socket **peer)
{
    struct weir_socket *client = weir_socket(s->program, WEIR_TCP);

    (void)weir_connect(client, to);
    *peer = suite_accepted(s, client, server, 30 * WEIR_SECOND);
    return client;
}

static uint64_t next(uint64_t *state) /* xorshift */
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* How often, and where last, without overlapping. */
static uint64_t count(const char *text, size_t size, const char *pattern, uint64_t *last)
{
    const size_t length = strlen(pattern);
    uint64_t found = 0;

    for (size_t at = 0; at + length <= size;) {
        if (memcmp(text + at, pattern, length) == 0) {
            found++;
            *last = at;
            at += length;
        } else {
            at++;
        }
    }
    return found;
}

static void it_counts_what_is_there(void **state)
{
    static char text[2][60000], got[60000];

    (void)state;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        uint64_t random = seed * 0x9e3779b97f4a7c15ull, last[2] = {0}, wanted = 0;
        size_t size = 2000 * seed, at[2] = {0}, have[2] = {0};
        struct weir_socket *ends[2];
        struct watch_answer a;
        struct suite s;

        suite_open(&s, &(struct weir_config){.seed = seed, .shuffle = seed & 1}, counts, 1);
        if (seed & 1) {
            (void)weir_rule(s.w, &(struct weir_rule_config){.action = WEIR_DROP, .one_in = 10});
            (void)weir_rule(s.w, &(struct weir_rule_config){.action = WEIR_REORDER, .one_in = 5});
        }
        ends[0] =
            connected(&s, seed & 2 ? "[fd00::2]:80" : "10.0.0.2:80", suite_listens(s.peer, ":80"), &ends[1]);
        for (unsigned way = 0; way < 2; way++) {
            for (size_t i = 0; i < size; i++)
                text[way][i] = next(&random) % 4 == 0 ? 'b' : 'a';
            wanted += count(text[way], size, "aabaaab", &last[way]);
        }
        for (unsigned turns = 0; have[0] < size || have[1] < size; turns++) {
            assert_true(turns < 100000);
            for (unsigned way = 0; way < 2; way++) {
                size_t n = 1 + next(&random) % (next(&random) % 4 == 0 ? 3000 : 5);
                long one = at[way] < size ? weir_send(ends[way], text[way] + at[way],
                                                      n < size - at[way] ? n : size - at[way])
                                          : 0;

                at[way] += one > 0 ? (size_t)one : 0;
                one = weir_receive(ends[!way], got, sizeof got, NULL);
                if (one > 0)
                    assert_memory_equal(got, text[way] + have[way], (size_t)one);
                have[way] += one > 0 ? (size_t)one : 0;
            }
            weir_run(s.w, next(&random) % (3 * WEIR_MILLISECOND));
        }
        a = read_answer(&s);
        assert_int_equal(a.found, wanted);
        assert_int_equal(a.sent, size);
        assert_int_equal(a.received, size);
        assert_int_equal(a.connections, 1);
        assert_int_equal(a.open, 1);
        assert_int_equal(a.places, wanted < WATCH_PLACES ? wanted : WATCH_PLACES);
        for (unsigned way = 0; way < 2; way++) { /* 1: what the peer sent */
            uint64_t offset = 0;

            for (unsigned i = 0; i < a.places; i++)
                if (a.place[i].sent == !way)
                    offset = a.place[i].offset;
            assert_true(offset == 0 || offset == last[way]);
        }
        assert_int_equal(a.place[0].remote_port, 80);
        weir_close(ends[0]);
        weir_close(ends[1]);
        weir_run(s.w, 200 * WEIR_SECOND);
        assert_int_equal(read_answer(&s).open, 0);
        suite_close(&s);
    }
}

static void it_ends_the_connection(void **state)
{
    struct weir_socket *server, *a, *b;
    struct watch_answer is;
    struct suite s;
    char got[64];

    (void)state;
    for (unsigned host_sends = 0; host_sends < 2; host_sends++) {
        struct weir_socket *from, *to;

        suite_open(&s, NULL, drops, 2);
        server = suite_listens(s.peer, ":80");
        a = connected(&s, host_sends ? "[fd00::2]:80" : "10.0.0.2:80", server, &b);
        from = host_sends ? a : b;
        to = host_sends ? b : a;
        assert_int_equal(weir_send(from, "a sec", 5), 5);
        suite_receives(to, "a sec", 5, WEIR_SECOND);
        assert_int_equal(weir_send(from, "ret, told", 9), 9);
        weir_run(s.w, WEIR_SECOND);
        assert_true(weir_receive(to, got, sizeof got, NULL) < 0);
        assert_true(weir_receive(to, got, sizeof got, NULL) != -EAGAIN);
        assert_true(weir_expect_state(a, WEIR_RESET));
        assert_true(weir_expect_state(b, WEIR_RESET));
        is = read_answer(&s);
        assert_int_equal(is.found, 1);
        assert_int_equal(is.dropped, 1);
        assert_int_equal(is.open, 0);
        assert_int_equal(is.place[0].offset, 2);
        assert_int_equal(is.place[0].sent, host_sends);
        /* Others go on. */
        a = connected(&s, "10.0.0.2:80", server, &b);
        assert_int_equal(weir_send(a, "a secre", 7), 7);
        suite_receives(b, "a secre", 7, WEIR_SECOND);
        suite_close(&s);
    }
}

static void only_at_that_port(void **state)
{
    struct weir_socket *a, *b;
    struct suite s;

    (void)state;
    suite_open(&s, NULL, at_port, 2);
    for (unsigned i = 0; i < 2; i++) {
        a = connected(&s, i ? "10.0.0.2:81" : "10.0.0.2:80", suite_listens(s.peer, i ? ":81" : ":80"), &b);
        assert_int_equal(weir_send(a, "secret", 6), 6);
        suite_receives(b, "secret", 6, WEIR_SECOND);
        assert_int_equal(read_answer(&s).found, i);
        assert_int_equal(read_answer(&s).connections, i);
    }
    suite_close(&s);
}

/* Nothing grows with what goes through. */
static void memory_is_bounded(void **state)
{
    struct weir_socket *a, *b;
    struct suite s;
    uint64_t before;

    (void)state;
    suite_open(&s, NULL, counts, 1);
    a = connected(&s, "10.0.0.2:80", suite_listens(s.peer, ":80"), &b);
    before = weir_outstanding(s.w, NULL);
    suite_transfer(a, b, 200000);
    suite_transfer(b, a, 200000);
    assert_int_equal(weir_outstanding(s.w, NULL), before);
    assert_int_equal(read_answer(&s).sent, 200000);
    suite_close(&s);
}

static void it_goes_while_they_talk(void **state)
{
    struct weir_socket *server, *a[5], *b[5];
    struct suite s;

    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        suite_open(&s, &(struct weir_config){.seed = seed, .shuffle = true, .preempt = 2}, counts, 1);
        server = suite_listens(s.peer, ":80");
        for (unsigned i = 0; i < 5; i++)
            a[i] = connected(&s, i & 1 ? "[fd00::2]:80" : "10.0.0.2:80", server, &b[i]);
        for (unsigned i = 0; i < 5; i++)
            assert_int_equal(weir_send(i & 1 ? a[i] : b[i], "aabaa", 5), 5);
        weir_run(s.w, seed * 300 * WEIR_MICROSECOND);
        assert_int_equal(weir_driver_unload(s.driver), 0);
        s.driver = NULL;
        assert_int_equal(weir_outstanding(s.w, NULL), 0);
        for (unsigned i = 0; i < 5; i++) {
            assert_int_equal(weir_send(i & 1 ? a[i] : b[i], "aab", 3), 3);
            weir_run(s.w, WEIR_SECOND);
            suite_receives(i & 1 ? b[i] : a[i], "aabaaaab", 8, WEIR_SECOND);
        }
        suite_close(&s);
    }
}

static void questions_that_make_no_sense(void **state)
{
    struct weir_device *d;
    char small[8];
    struct suite s;
    size_t done;

    (void)state;
    suite_open(&s, NULL, counts, 1);
    d = weir_open(s.program, "\\\\.\\Watch", NULL);
    assert_non_null(d);
    assert_int_equal(weir_control(d, IOCTL_WATCH_READ, NULL, 0, small, sizeof small, &done, 0),
                     STATUS_BUFFER_TOO_SMALL);
    assert_int_equal(weir_control(d, IOCTL_WATCH_READ + 4, NULL, 0, small, sizeof small, &done, 0),
                     STATUS_INVALID_DEVICE_REQUEST);
    weir_device_close(d);
    suite_close(&s);
    suite_open_bare(&s, NULL);
    assert_null(suite_load(&s, NULL, 0)); /* no pattern */
    suite_close(&s);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_counts_what_is_there), cmocka_unit_test(it_ends_the_connection),
        cmocka_unit_test(only_at_that_port),       cmocka_unit_test(memory_is_bounded),
        cmocka_unit_test(it_goes_while_they_talk), cmocka_unit_test(questions_that_make_no_sense),
    };

    return SUITE_MAIN(argc, argv, "watch", tests);
}

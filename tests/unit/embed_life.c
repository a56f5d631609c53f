/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir.h: engines: what their configuration does, several side by side in one thread and in several, the same seed
 * again, a hundred one after the other, virtual time and the machine's own.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include <weir.h>

#include "pender.h"

static void failed(void *ctx, const char *text)
{
    (void)ctx;
    fail_msg("%s", text);
}

static struct weir *engine(const struct weir_config *config)
{
    struct weir_config c = config != NULL ? *config : (struct weir_config){0};
    struct weir *w;

    c.size = sizeof c;
    c.failed = failed;
    assert_int_equal(weir_create_with(&c, &w), 0);
    return w;
}

static struct weir_socket *server(struct weir *w)
{
    struct weir_socket *s = weir_socket(weir_peer(w, 1), WEIR_TCP);

    assert_int_equal(weir_bind(s, ":80"), 0);
    assert_int_equal(weir_listen(s), 0);
    return s;
}

/* ---- configuration ----------------------------------------------------------------------------------------- */

static void what_is_not_said_has_its_default(void **state)
{
    struct weir *w;
    char text[WEIR_ADDRESS];
    struct weir_socket *s;

    (void)state;
    assert_int_equal(unsetenv("WEIR_SEED"), 0);
    assert_int_equal(weir_create(&w), 0);
    assert_int_equal(weir_seed(w), 1);
    assert_int_equal(weir_now(w), 1767225600ull * WEIR_SECOND);
    s = weir_socket(weir_process(w, "C:\\x.exe", NULL), WEIR_UDP);
    assert_string_equal(weir_local(s, text), "0.0.0.0:0");
    assert_int_equal(weir_bind(s, "[fd00:0:0:1::1]:9"), 0);
    assert_non_null(weir_peer(w, 2));
    weir_destroy(w);
    assert_int_equal(setenv("WEIR_SEED", "4711", 1), 0);
    assert_int_equal(weir_create(&w), 0);
    assert_int_equal(weir_seed(w), 4711);
    weir_destroy(w);
    w = engine(&(struct weir_config){.seed = 5, .start_ns = 1000 * WEIR_SECOND});
    assert_int_equal(weir_seed(w), 5); /* what is said counts more */
    assert_int_equal(weir_now(w), 1000 * WEIR_SECOND);
    weir_destroy(w);
    assert_int_equal(unsetenv("WEIR_SEED"), 0);
}

static void a_machine_as_the_test_wants_it(void **state)
{
    static const struct weir_interface interfaces[] = {
        {.index = 4,
         .addresses = {"192.168.1.1/24", "192.168.1.2/24"},
         .peers = {"192.168.1.77/24"},
         .delay_ns = 5000},
        {.index = 9, .addresses = {"fd05::1/64"}, .type = 71, .profile = 1},
    };
    struct weir *w = engine(&(struct weir_config){.interfaces = interfaces, .interface_count = 2});
    struct weir_socket *a = weir_socket(weir_process(w, "C:\\x.exe", NULL), WEIR_UDP),
                       *b = weir_socket(weir_peer(w, 4), WEIR_UDP);
    char got[8], from[WEIR_ADDRESS];

    (void)state;
    assert_int_equal(weir_bind(a, "192.168.1.2:7"), 0);
    assert_int_equal(weir_bind(b, ":8"), 0);
    assert_int_equal(weir_send_to(a, "192.168.1.77:8", "hi", 2), 2);
    weir_run(w, 5000);
    assert_int_equal(weir_receive(b, got, sizeof got, from), 2);
    assert_string_equal(from, "192.168.1.2:7");
    a = weir_socket(weir_process(w, "C:\\x.exe", NULL), WEIR_UDP);
    assert_int_equal(weir_send_to(a, "[fd05::2]:8", "hi", 2), 2); /* nobody is on that wire */
    weir_settle(w);
    weir_destroy(w);
}

/* ---- time -------------------------------------------------------------------------------------------------- */

static bool later(void *ctx)
{
    return ++*(unsigned *)ctx > 3;
}

static void virtual_time(void **state)
{
    struct weir *w = engine(NULL);
    uint64_t now = weir_now(w);
    unsigned asked = 0;

    (void)state;
    weir_run(w, 0);
    assert_int_equal(weir_now(w), now);
    weir_run(w, 86400 * WEIR_SECOND); /* a day, at once */
    assert_int_equal(weir_now(w), now + 86400 * WEIR_SECOND);
    assert_int_equal(weir_settle(w), 0);
    assert_false(weir_wait_for(w, later, &asked, WEIR_SECOND));
    assert_int_equal(weir_now(w), now + 86401 * WEIR_SECOND);
    assert_true(asked >= 1);
    (void)server(w);
    now = weir_now(w);
    (void)weir_connect(weir_socket(weir_process(w, "C:\\x.exe", NULL), WEIR_TCP), "10.0.0.2:80");
    assert_int_equal(weir_settle(w), 3 * WEIR_MILLISECOND); /* SYN, SYN-ACK, ACK */
    assert_int_equal(weir_now(w), now + 3 * WEIR_MILLISECOND);
    weir_destroy(w);
}

static void the_machine_s_own_time(void **state)
{
    struct weir *w = engine(&(struct weir_config){.real_time = true});
    struct weir_driver *d =
        pender_load(w, &(struct pender){.at = PENDER_CONNECT | PENDER_ACCEPT, .delay_ms = 20});
    struct weir_process *p = weir_process(w, "C:\\x.exe", NULL);
    struct weir_socket *listener = server(w), *s = weir_socket(p, WEIR_TCP), *a = NULL, *c, *u;
    struct timespec before, after;
    char got[8];

    (void)state;
    clock_gettime(CLOCK_REALTIME, &before);
    assert_in_range(weir_now(w) / WEIR_SECOND, (uint64_t)before.tv_sec - 2, (uint64_t)before.tv_sec + 2);
    assert_int_equal(weir_connect(s, "10.0.0.2:80"), -EINPROGRESS);
    assert_true(weir_wait(s, WEIR_CONNECTED, 20 * WEIR_SECOND));
    clock_gettime(CLOCK_REALTIME, &after);
    assert_true((after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000 >= 20);
    for (int i = 0; i < 1000 && (a = weir_accept(listener)) == NULL; i++)
        weir_run(w, WEIR_MILLISECOND);
    assert_non_null(a);
    assert_int_equal(weir_send(s, "hello", 5), 5);
    assert_true(weir_wait_readable(a, 20 * WEIR_SECOND));
    assert_int_equal(weir_receive(a, got, sizeof got, NULL), 5);
    listener = weir_socket(p, WEIR_TCP);
    assert_int_equal(weir_bind(listener, ":8080"), 0);
    assert_int_equal(weir_listen(listener), 0);
    c = weir_socket(weir_peer(w, 1), WEIR_TCP);
    (void)weir_connect(c, "[fd00::1]:8080"); /* its SYN is injected again by the driver's thread */
    assert_true(weir_wait(c, WEIR_CONNECTED, 20 * WEIR_SECOND));
    u = weir_socket(weir_peer(w, 1), WEIR_UDP);
    assert_int_equal(weir_bind(u, ":53"), 0);
    assert_int_equal(weir_send_to(weir_socket(p, WEIR_UDP), "10.0.0.2:53", "x", 1), 1);
    assert_true(weir_wait_readable(u, 20 * WEIR_SECOND));
    assert_int_equal(weir_driver_unload(d), 0);
    assert_true(weir_expect_clean(w));
    weir_destroy(w);
}

/* The other end of a wire is a descriptor: a packet a read, a write. */
static void an_attached_descriptor(void **state)
{
    static const uint8_t ping[] = {0x45, 0,  0, 29, 0, 7, 0, 0,    64,   1, 0x66, 0xd7, 10, 0,   0,
                                   2,    10, 0, 0,  1, 8, 0, 0x83, 0xfd, 0, 1,    0,    1,  0x74};
    struct weir *w = engine(&(struct weir_config){.real_time = true});
    struct weir_socket *u = weir_socket(weir_process(w, "C:\\x.exe", NULL), WEIR_UDP);
    uint8_t got[256];
    int ends[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, ends), 0);
    assert_int_equal(weir_attach(w, 1, ends[0]), 0);
    assert_int_equal(weir_send_to(u, "10.0.0.2:53", "query", 5), 5);
    weir_run(w, WEIR_MILLISECOND);
    assert_int_equal(read(ends[1], got, sizeof got), 33);
    assert_memory_equal(got + 28, "query", 5);
    assert_int_equal(write(ends[1], ping, sizeof ping), sizeof ping);
    weir_run(w, 20 * WEIR_MILLISECOND);
    assert_int_equal(read(ends[1], got, sizeof got), sizeof ping);
    assert_int_equal(got[20], 0); /* an echo reply */
    assert_int_equal(got[28], 0x74);
    assert_int_equal(write(ends[1], "junk", 4), 4);
    weir_run(w, 5 * WEIR_MILLISECOND);
    weir_destroy(w);
    assert_int_equal(write(ends[0], "x", 1), 1); /* it stayed the caller's */
    close(ends[0]);
    close(ends[1]);
}

/* ---- side by side ------------------------------------------------------------------------------------------ */

static void several_in_one_thread(void **state)
{
    enum { N = 5 };
    struct weir *w[N];
    struct weir_socket *s[N];
    uint64_t start = 0;

    (void)state;
    for (int i = 0; i < N; i++) {
        w[i] = engine(&(struct weir_config){.seed = 10 + (uint64_t)i});
        assert_non_null(
            pender_load(w[i], &(struct pender){.at = PENDER_CONNECT, .delay_ms = 10u * (1u + (unsigned)i)}));
        (void)server(w[i]);
        s[i] = weir_socket(weir_process(w[i], "C:\\x.exe", NULL), WEIR_TCP);
        start = weir_now(w[i]);
    }
    for (int i = 0; i < N; i++)
        assert_int_equal(weir_connect(s[i], "10.0.0.2:80"), -EINPROGRESS);
    for (int step = 0; step < 60; step++) /* each with a driver's thread that waits in a world of its own */
        for (int i = N - 1; i >= 0; i--) {
            assert_in_range(weir_now(w[i]) - start, (uint64_t)step * WEIR_MILLISECOND,
                            (uint64_t)step * WEIR_MILLISECOND + 10 * WEIR_MICROSECOND);
            assert_int_equal(weir_state(s[i]) == WEIR_PENDED, step < 10 * (i + 1));
            weir_run(w[i], WEIR_MILLISECOND);
        }
    for (int i = 0; i < N; i++) {
        assert_int_equal(weir_state(s[i]), WEIR_CONNECTED);
        assert_true(
            weir_expect(w[i], &(struct weir_match){.layer = "ALE_AUTH_CONNECT_V4", .verdict = "permit"}, 1));
        assert_ptr_equal(weir_use(w[i]), w[i]);
    }
    weir_destroy(w[2]);
    weir_destroy(w[0]);
    assert_true(weir_wait(s[1], WEIR_CONNECTED, 0));
    for (int i = 1; i < N; i += i == 1 ? 2 : 1)
        weir_destroy(w[i]);
    assert_null(weir_use(NULL));
}

static void *one_life(void *arg)
{
    for (int i = 0; i < 5; i++) {
        const struct weir_config c = {.size = sizeof c, .seed = (uint64_t)(uintptr_t)arg};
        struct weir_socket *s;
        struct weir *w;
        bool connected;

        if (weir_create_with(&c, &w) != 0)
            return "no engine";
        (void)server(w);
        s = weir_socket(weir_process(w, "C:\\x.exe", NULL), WEIR_TCP);
        (void)weir_connect(s, "10.0.0.2:80");
        connected = weir_wait(s, WEIR_CONNECTED, WEIR_SECOND);
        if (weir_count(w, &(struct weir_match){.layer = "ALE_AUTH_CONNECT_V4"}) != 1)
            return "another's events";
        weir_destroy(w);
        if (!connected)
            return "not connected";
    }
    return NULL;
}

static void one_in_each_of_several_threads(void **state)
{
    pthread_t threads[4];
    void *wrong;

    (void)state;
    for (uintptr_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, one_life, (void *)(i + 1)), 0);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], &wrong), 0);
        if (wrong != NULL)
            fail_msg("%s", (const char *)wrong);
    }
}

/* ---- the same again ---------------------------------------------------------------------------------------- */

struct story {
    char *text;
    size_t size, room;
};

static void add(void *ctx, const struct weir_event *e)
{
    struct story *s = ctx;
    size_t n = strlen(e->text);

    if (s->size + n + 2 > s->room) {
        s->room = 2 * s->room + n + 2;
        s->text = realloc(s->text, s->room);
        assert_non_null(s->text);
    }
    memcpy(s->text + s->size, e->text, n);
    s->text[s->size + n] = '\n';
    s->size += n + 1;
}

static void add_bytes(void *ctx, uint32_t interface, enum weir_way way, const uint8_t *packet, size_t size)
{
    char line[2048];
    int n = snprintf(line, sizeof line, "%u %u ", interface, (unsigned)way);

    for (size_t i = 0; i < size && n < (int)sizeof line - 3; i++)
        n += snprintf(line + n, sizeof line - (size_t)n, "%02x", packet[i]);
    add(ctx, &(struct weir_event){.text = line});
}

/* Everything that happens in an hour of bad wires, threads in any order, and a driver in between. */
static char *tell_story(uint64_t seed)
{
    struct weir *w = engine(&(struct weir_config){.seed = seed, .shuffle = true, .preempt = 10});
    struct weir_process *p = weir_process(w, "C:\\x.exe", NULL);
    struct weir_socket *listener = server(w), *s[6], *a[6] = {0}, *u = weir_socket(p, WEIR_UDP);
    struct story story = {0};

    weir_tap(w, add_bytes, &story);
    assert_non_null(
        pender_load(w, &(struct pender){.at = PENDER_CONNECT | PENDER_BIND | PENDER_ACCEPT, .delay_ms = 7}));
    (void)weir_rule(w, &(struct weir_rule_config){.action = WEIR_DROP, .one_in = 5});
    (void)weir_rule(w, &(struct weir_rule_config){.action = WEIR_CORRUPT, .one_in = 5});
    (void)weir_rule(w, &(struct weir_rule_config){.action = WEIR_REORDER, .one_in = 5});
    for (int i = 0; i < 6; i++) {
        s[i] = weir_socket(p, WEIR_TCP);
        (void)weir_connect(s[i], i & 1 ? "[fd00::2]:80" : "10.0.0.2:80");
        (void)weir_send_to(u, "10.0.0.2:53", "query", 5);
        weir_run(w, 3 * WEIR_MILLISECOND);
    }
    for (int round = 0; round < 30; round++) {
        for (int i = 0; i < 6; i++) {
            char got[512] = "";

            (void)weir_send(s[i], got, (size_t)round * 3 + 1);
            if (a[i] == NULL)
                a[i] = weir_accept(listener);
            if (a[i] != NULL)
                (void)weir_receive(a[i], got, sizeof got, NULL);
        }
        weir_run(w, 100 * WEIR_MILLISECOND);
    }
    weir_process_exit(p);
    weir_settle(w);
    weir_events(w, add, &story);
    weir_destroy(w);
    story.text[story.size - 1] = '\0';
    return story.text;
}

static void the_same_seed_tells_the_same_story(void **state)
{
    char *first = tell_story(7), *again, *other;
    void *moved = malloc(1234567); /* what is where does not matter */

    (void)state;
    again = tell_story(7);
    other = tell_story(8);
    free(moved);
    for (size_t i = 0; first[i] != '\0' || again[i] != '\0'; i++)
        if (first[i] != again[i]) {
            while (i > 0 && first[i - 1] != '\n')
                i--;
            fail_msg("they part at byte %zu: %.200s / %.200s", i, first + i, again + i);
        }
    assert_true(strlen(first) > 20000);
    assert_string_not_equal(first, other);
    free(first);
    free(again);
    free(other);
}

/* ---- a hundred --------------------------------------------------------------------------------------------- */

static unsigned descriptors(void)
{
    unsigned n = 0;

    for (int fd = 0; fd < 1024; fd++)
        n += dup2(fd, fd) >= 0;
    return n;
}

static void a_hundred_one_after_the_other(void **state)
{
    unsigned open = descriptors();

    (void)state;
    for (int i = 0; i < 100; i++) {
        struct weir *w = engine(&(struct weir_config){.real_time = i % 20 == 19});
        struct weir_driver *d = pender_load(w, &(struct pender){.at = PENDER_CONNECT, .delay_ms = i % 3});
        struct weir_socket *s = weir_socket(weir_process(w, "C:\\x.exe", NULL), WEIR_TCP);

        (void)server(w);
        assert_int_equal(weir_connect(s, "10.0.0.2:80"), -EINPROGRESS);
        if (i % 2 == 0)
            assert_true(weir_wait(s, WEIR_CONNECTED, WEIR_SECOND));
        if (i % 5 == 0)
            assert_int_equal(weir_driver_unload(d), 0);
        weir_destroy(w); /* at times with all of it under way */
    }
    assert_int_equal(descriptors(), open);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_said_has_its_default),
        cmocka_unit_test(a_machine_as_the_test_wants_it),
        cmocka_unit_test(virtual_time),
        cmocka_unit_test(the_machine_s_own_time),
        cmocka_unit_test(an_attached_descriptor),
        cmocka_unit_test(several_in_one_thread),
        cmocka_unit_test(one_in_each_of_several_threads),
        cmocka_unit_test(the_same_seed_tells_the_same_story),
        cmocka_unit_test(a_hundred_one_after_the_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

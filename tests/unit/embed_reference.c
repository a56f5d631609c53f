/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir.h: the reference driver `inquire`, linked in as a driver's author would (compiled by weir cc -c): each call of it
 * that can fail fails once, while it is loaded and while connections wait for it. DriverEntry fails cleanly or the
 * driver goes on; nothing crashes, nothing is left, nobody waits for ever.
 */
#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include "embed_lab.h"

int32_t DriverEntry(struct _DRIVER_OBJECT *driver, struct _UNICODE_STRING *path);

#define MOST 200 /* calls tried; all of them where there are fewer */

struct counted {
    uint64_t calls;
    unsigned connected, refused, not_loaded;
};

static void converse(struct embed_lab *l, struct counted *out)
{
    struct weir_socket *in = weir_socket(l->program, WEIR_TCP), *server = embed_lab_serves(l, ":80"), *s, *t,
                       *u;
    int listens = weir_bind(in, ":443") == 0 ? weir_listen(in) : -EACCES;

    s = weir_socket(l->program, WEIR_TCP);
    (void)weir_connect(s, "10.0.0.2:80");
    t = weir_socket(l->peer, WEIR_TCP);
    (void)weir_connect(t, "10.0.0.1:443");
    u = weir_socket(l->program, WEIR_UDP);
    (void)weir_send_to(u, "10.0.0.2:53", "question", 8);
    weir_run(l->w, 100 * WEIR_SECOND);
    assert_true(listens == 0);
    if (weir_state(s) == WEIR_CONNECTED)
        out->connected++;
    else if (weir_state(s) == WEIR_REFUSED || weir_state(s) == WEIR_TIMED_OUT)
        out->refused++;
    else
        fail_msg("the connect is %s", weir_state_name(weir_state(s)));
    (void)server;
}

static void run(uint32_t nth, struct counted *out)
{
    const struct weir_parameter delay = {.name = "DelayMs", .number = 20};
    const struct weir_driver_config config = {
        .entry = DriverEntry, .name = "inquire", .parameters = &delay, .parameter_count = 1};
    struct weir_driver *d;
    struct embed_lab l;

    embed_lab_open(&l, NULL);
    if (nth != 0)
        assert_int_equal(weir_fail(l.w, NULL, nth, 0), 0);
    d = weir_driver_with(l.w, &config);
    if (d == NULL)
        out->not_loaded++;
    else
        converse(&l, out);
    if (d != NULL)
        assert_int_equal(weir_driver_unload(d), 0);
    assert_true(weir_expect_clean(l.w));
    out->calls = weir_fallible_calls(l.w);
    if (nth != 0 && weir_count(l.w, &(struct weir_match){.kind = WEIR_EVENT_FAULT}) != 1)
        fail_msg("call %u of %llu did not fail", nth, (unsigned long long)out->calls);
    embed_lab_close(&l);
}

enum { CONNECTED = 10, REFUSED, NOT_LOADED };

/* In a process of its own: the driver's variables are as they were linked, as on each load on Windows. */
static int run_apart(uint32_t nth)
{
    pid_t pid;
    int status;

    fflush(NULL);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct counted c = {0};

        alarm(60);
        run(nth, &c);
        exit(c.not_loaded != 0 ? NOT_LOADED : c.connected != 0 ? CONNECTED : REFUSED); /* LSan looks */
    }
    assert_true(waitpid(pid, &status, 0) == pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static uint64_t count_apart(void)
{
    struct counted c = {0};
    uint64_t calls = 0;
    int ends[2];
    pid_t pid;

    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        alarm(60);
        run(0, &c);
        assert_int_equal(c.connected, 1);
        (void)!write(ends[1], &c.calls, sizeof c.calls);
        exit(0);
    }
    close(ends[1]);
    (void)!read(ends[0], &calls, sizeof calls);
    close(ends[0]);
    (void)waitpid(pid, NULL, 0);
    return calls;
}

static void each_call_fails_once(void **state)
{
    const uint64_t calls = count_apart();
    struct counted c = {0};

    (void)state;
    assert_true(calls > 30);
    assert_true(calls < MOST); /* all of them are tried */
    for (uint32_t nth = 1; nth <= calls; nth++) {
        const int came_to = run_apart(nth);

        c.connected += came_to == CONNECTED;
        c.refused += came_to == REFUSED;
        c.not_loaded += came_to == NOT_LOADED;
        if (came_to != CONNECTED && came_to != REFUSED && came_to != NOT_LOADED)
            fail_msg("with call %u of %llu failing: %d", nth, (unsigned long long)calls, came_to);
    }
    print_message("%llu calls, each failed once: not loaded %u times, connected %u, refused %u\n",
                  (unsigned long long)calls, c.not_loaded, c.connected, c.refused);
    assert_true(c.not_loaded > 0 && c.connected > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_call_fails_once)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

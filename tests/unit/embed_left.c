/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir.h: a function that Weir has called fails an assertion, and so leaves by longjmp(): from a tap, a rule's, a
 * classifyFn on the test's own thread, a driver's function on another. The test's message stands, the teardown works, and
 * the next engine is as good as ever.
 */
#include <errno.h>
#include <setjmp.h>
#include <sys/wait.h>
#include <unistd.h>

#include "embed_lab.h"
#include "linked.h"

static jmp_buf out;
static unsigned told;
static char text[4096];

static void failed(void *ctx, const char *said)
{
    (void)ctx;
    told++;
    snprintf(text, sizeof text, "%s", said);
}

static void leave(void)
{
    linked_hook = linked_notify = NULL;
    longjmp(out, 1);
}

static void tap(void *ctx, uint32_t interface, enum weir_way way, const uint8_t *packet, size_t size)
{
    (void)ctx;
    (void)interface;
    (void)way;
    (void)packet;
    (void)size;
    leave();
}

static bool only(void *ctx, const uint8_t *packet, size_t size)
{
    (void)ctx;
    (void)packet;
    (void)size;
    leave();
    return true;
}

static struct weir *engine(struct weir_socket **s)
{
    const struct weir_config config = {.size = sizeof config, .failed = failed};
    struct weir_socket *server;
    struct weir *w;

    assert_int_equal(weir_create_with(&config, &w), 0);
    assert_non_null(linked_load(w));
    server = weir_socket(weir_peer(w, 1), WEIR_TCP);
    assert_int_equal(weir_bind(server, ":0"), 0);
    *s = weir_socket(weir_process(w, "C:\\app.exe", NULL), WEIR_TCP);
    assert_non_null(*s);
    return w;
}

/* A connect, a connection, an unload as if nothing had been. */
static void is_well(void)
{
    struct weir_socket *server, *s;
    struct weir *w;

    told = 0;
    w = engine(&s);
    server = weir_socket(weir_peer(w, 1), WEIR_TCP);
    assert_int_equal(weir_bind(server, ":82"), 0);
    assert_int_equal(weir_listen(server), 0);
    assert_int_equal(weir_connect(s, "10.0.0.2:82"), -EINPROGRESS);
    assert_int_equal(weir_state(s), WEIR_PENDED);
    assert_true(weir_wait(s, WEIR_CONNECTED, WEIR_SECOND));
    weir_destroy(w);
    assert_int_equal(told, 0);
}

static void by_a_tap(struct weir *w, struct weir_socket *s)
{
    weir_tap(w, tap, NULL);
    (void)weir_connect(s, "10.0.0.2:80");
}

static void hear(void *ctx, const struct weir_frame *f)
{
    (void)ctx;
    if (f->arrived)
        leave();
}

/* In the midst of what the wire delivers. */
static void by_a_frame(struct weir *w, struct weir_socket *s)
{
    uint8_t frame[14] = {1};

    (void)s;
    weir_tap_frames(w, hear, NULL);
    (void)weir_frame_send(w, 1, WEIR_TO_HOST, frame, sizeof frame);
    weir_run(w, WEIR_SECOND);
}

static void by_a_rule(struct weir *w, struct weir_socket *s)
{
    (void)weir_rule(w, &(struct weir_rule_config){.only = only});
    (void)weir_connect(s, "10.0.0.2:80");
}

static void by_a_classify(struct weir *w, struct weir_socket *s)
{
    (void)w;
    linked_hook = leave;
    (void)weir_connect(s, "10.0.0.2:85");
}

/* From a documented function that the test calls itself, by no call of weir.h's. */
static void by_a_notify(struct weir *w, struct weir_socket *s)
{
    (void)s;
    assert_int_equal(weir_control(weir_open(weir_process(w, "C:\\app.exe", NULL), "\\\\.\\Linked", NULL),
                                  LINKED_OTHER, NULL, 0, NULL, 0, NULL, 0),
                     0);
    linked_notify = leave;
    (void)linked_filter();
}

static uint64_t leaves(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f, uint64_t g,
                       uint64_t h, uint64_t i, uint64_t j, uint64_t k, uint64_t l, uint64_t m, uint64_t n)
{
    leave();
    return a + b + c + d + e + f + g + h + i + j + k + l + m + n;
}

static void by_a_thread(struct weir *w, struct weir_socket *s)
{
    struct linked_call call = {.function = leaves};

    (void)s;
    (void)weir_control(weir_open(weir_process(w, "C:\\app.exe", NULL), "\\\\.\\Linked", NULL), LINKED_CALL,
                       &call, sizeof call, &call, sizeof call, NULL, 0);
}

static void a_function_is_left(void **state)
{
    static void (*const ways[])(struct weir * w, struct weir_socket * s) = {
        by_a_tap, by_a_frame, by_a_rule, by_a_classify, by_a_notify, by_a_thread};
    struct weir_socket *volatile s;
    struct weir *volatile w;

    (void)state;
    for (volatile size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        struct weir_socket *one;

        told = 0;
        w = engine(&one);
        s = one;
        if (setjmp(out) == 0) {
            ways[i](w, s);
            fail_msg("way %zu was not left", i);
        }
        assert_int_equal(told, 0);
        if (ways[i] ==
            by_a_notify) /* its lock is held, for ever: the documented functions say so, and do not wait */
            assert_true(linked_filter() < 0);
        assert_int_equal(weir_connect(s, "10.0.0.2:81"), -EINVAL);
        assert_int_equal(told, 0); /* standard error: its world is not to be touched */
        assert_non_null(strstr(weir_error(), "was left by longjmp()"));
        weir_destroy(w);
        assert_int_equal(weir_connect(s, "10.0.0.2:81"), -EINVAL);
        is_well();
    }
}

/* As it is with cmocka: what the test program of a driver's author says. */
static struct weir *of_test;

static void asserts_in_a_classify(void)
{
    assert_int_equal(4, 5);
}

static int make(void **state)
{
    (void)state;
    return weir_create(&of_test);
}

static int unmake(void **state)
{
    (void)state;
    weir_destroy(of_test);
    return 0;
}

static void fails(void **state)
{
    (void)state;
    assert_non_null(linked_load(of_test));
    linked_hook = asserts_in_a_classify;
    (void)weir_connect(weir_socket(weir_process(of_test, "C:\\app.exe", NULL), WEIR_TCP), "10.0.0.2:85");
}

static void passes(void **state)
{
    (void)state;
    is_well();
}

static void cmocka_says_what_failed(void **state)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(fails, make, unmake),
                                       cmocka_unit_test_setup_teardown(passes, make, unmake)};
    char said[16384];
    size_t size = 0;
    ssize_t got;
    int ends[2], status;
    pid_t pid;

    (void)state;
    fflush(NULL);
    assert_int_equal(pipe(ends), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(ends[1], STDOUT_FILENO);
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        unsetenv("CMOCKA_MESSAGE_OUTPUT");               /* what is looked for below is the plain one */
        exit(cmocka_run_group_tests(tests, NULL, NULL)); /* a leak checker looks, too */
    }
    close(ends[1]);
    while (size + 1 < sizeof said && (got = read(ends[0], said + size, sizeof said - 1 - size)) > 0)
        size += (size_t)got;
    said[size] = '\0';
    close(ends[0]);
    assert_true(waitpid(pid, &status, 0) == pid);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 1 || strstr(said, "0x4 != 0x5") == NULL ||
        strstr(said, "weir_destroy: weir_connect was left by longjmp()") == NULL ||
        strstr(said, "[       OK ] passes") == NULL || strstr(said, "Sanitizer") != NULL)
        fail_msg("status %x: %s", status, said);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_function_is_left),
                                       cmocka_unit_test(cmocka_says_what_failed)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

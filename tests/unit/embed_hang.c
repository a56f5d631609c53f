/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir.h: tests that hang are ended, with every thread's stack and how to run them again: a driver's function that spins,
 * one that waits for what never comes, a test that asks and lets no time go by; in both kinds of time. So are drivers
 * that fault or stop the machine. Each in a process of its own.
 */
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "embed_lab.h"
#include "linked.h"

struct ended {
    int status;
    char said[65536];
};

static uint64_t real_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * WEIR_SECOND + (uint64_t)t.tv_nsec;
}

/* Runs it in another process; what that wrote to standard error. */
static void run(void (*test)(void), struct ended *out)
{
    size_t size = 0;
    ssize_t got;
    int ends[2];
    pid_t pid;

    fflush(NULL);
    assert_int_equal(pipe(ends), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        alarm(60);
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        test();
        _exit(0);
    }
    close(ends[1]);
    while (size + 1 < sizeof out->said &&
           (got = read(ends[0], out->said + size, sizeof out->said - 1 - size)) != 0)
        size += got > 0 ? (size_t)got : 0;
    out->said[size] = '\0';
    close(ends[0]);
    assert_true(waitpid(pid, &out->status, 0) == pid);
}

static void says(const struct ended *e, const char *words)
{
    if (strstr(e->said, words) == NULL)
        fail_msg("expected '%s' in:\n%s", words, e->said);
}

/* A function of a stack: with the line where there is debug information, with an offset where there is none. */
static void names(const struct ended *e, const char *function)
{
    char with_line[64], with_offset[64];

    snprintf(with_line, sizeof with_line, "(%s)", function);
    snprintf(with_offset, sizeof with_offset, " %s+0x", function);
    if (strstr(e->said, with_line) == NULL && strstr(e->said, with_offset) == NULL)
        fail_msg("expected the function '%s' in:\n%s", function, e->said);
}

static struct weir_device *open_engine(bool real_time, struct weir **w)
{
    const struct weir_config config = {
        .size = sizeof config, .hang_ns = WEIR_SECOND, .real_time = real_time, .seed = 5};

    if (weir_create_with(&config, w) != 0 || linked_load(*w) == NULL)
        _exit(99);
    return weir_open(weir_process(*w, "C:\\app.exe", NULL), "\\\\.\\Linked", NULL);
}

static void spins(void)
{
    struct weir *w;

    (void)weir_control(open_engine(false, &w), LINKED_SPIN, NULL, 0, NULL, 0, NULL, 0);
}

static void a_driver_that_spins(void **state)
{
    struct ended e;

    (void)state;
    run(spins, &e);
    assert_true(WIFEXITED(e.status));
    assert_int_equal(WEXITSTATUS(e.status), 7);
    says(&e, "weir: linked: it does not come back: 1 s of real time");
    says(&e, "linked.c:"); /* where */
    names(&e, "spin");
    says(&e, "waits for"); /* the others */
    names(&e, "main");     /* the test's own thread, down to its beginning */
    says(&e, "again: WEIR_SEED=5 ");
}

/* What passes scheduling points: others run meanwhile, and time goes by. */
static uint32_t preempt;

static struct weir_device *open_preempting(struct weir **w)
{
    const struct weir_config config = {
        .size = sizeof config, .hang_ns = 2 * WEIR_SECOND, .preempt = preempt, .shuffle = true, .seed = 5};

    if (weir_create_with(&config, w) != 0 || linked_load(*w) == NULL)
        _exit(99);
    return weir_open(weir_process(*w, "C:\\app.exe", NULL), "\\\\.\\Linked", NULL);
}

static void polls_in_a_control(void)
{
    struct weir *w;

    (void)weir_control(open_preempting(&w), LINKED_POLL, NULL, 0, NULL, 0, NULL, 3000 * WEIR_SECOND);
}

static void polls_in_a_thread(void)
{
    struct weir *w;

    (void)weir_control(open_preempting(&w), LINKED_POLLS, NULL, 0, NULL, 0, NULL, 0);
    weir_run(w, 100000 * WEIR_SECOND);
}

static void polls_in_two_threads(void)
{
    struct weir_device *d;
    struct weir *w;

    d = open_preempting(&w);
    (void)weir_control(d, LINKED_POLLS, NULL, 0, NULL, 0, NULL, 0);
    (void)weir_control(d, LINKED_POLLS, NULL, 0, NULL, 0, NULL, 0);
    weir_run(w, 100000 * WEIR_SECOND);
}

static void polls_in_a_classify(void)
{
    struct weir *w;

    (void)open_preempting(&w);
    (void)weir_connect(weir_socket(weir_process(w, "C:\\app.exe", NULL), WEIR_TCP), "10.0.0.2:84");
}

static void a_driver_that_spins_and_lets_others_run(void **state)
{
    static void (*const ways[])(void) = {polls_in_a_control, polls_in_a_thread, polls_in_two_threads,
                                         polls_in_a_classify};
    struct ended e;

    (void)state;
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++)
        for (preempt = 0; preempt < 3; preempt += 2) {
            uint64_t began = real_ns();

            run(ways[i], &e);
            if (!WIFEXITED(e.status) || WEXITSTATUS(e.status) != 7)
                fail_msg("way %zu, preempt %u: status %x: %s", i, preempt, e.status, e.said);
            assert_in_range(real_ns() - began, 2 * WEIR_SECOND,
                            8 * WEIR_SECOND); /* with what the words take */
            says(&e, "weir: linked: it does not come back: 2 s of real time");
            if (strstr(e.said, "interlocked.h:") == NULL) /* the loop, or what it calls: as it was met */
                says(&e, "linked.c:");
            if (ways[i] != polls_in_a_classify) /* that deep only the innermost calls are shown */
                names(&e, "main");
            says(&e, "again: WEIR_SEED=5 ");
        }
}

/* Each of its runs ends, and in between others have their turn; but no time goes by. */
static void works_again_and_again(void)
{
    struct weir *w;

    (void)weir_control(open_engine(false, &w), LINKED_AGAIN, NULL, 0, NULL, 0, NULL, 0);
    weir_run(w, WEIR_SECOND);
}

static void a_driver_that_lets_no_time_go_by(void **state)
{
    struct ended e;

    (void)state;
    run(works_again_and_again, &e);
    assert_int_equal(WIFEXITED(e.status) ? WEXITSTATUS(e.status) : -1, 7);
    says(&e, "weir: linked: it does not come back: 1 s of real time");
    names(&e, "linked_again");
    names(&e, "works_again_and_again");
    says(&e, "again: WEIR_SEED=5 ");
}

static void waits_for_ever(void)
{
    struct weir *w;

    (void)weir_control(open_engine(false, &w), LINKED_DEAF, NULL, 0, NULL, 0, NULL, WEIR_SECOND);
}

static void a_driver_that_is_deaf(void **state)
{
    struct ended e;

    (void)state;
    run(waits_for_ever, &e);
    assert_int_equal(WIFEXITED(e.status) ? WEXITSTATUS(e.status) : -1, 7);
    says(&e, "device control does not come back");
    names(&e, "KeWaitForSingleObject");
    names(&e, "control"); /* the driver's */
}

static void asks_and_asks(void)
{
    struct weir_socket *s;
    struct weir *w;

    (void)open_engine(false, &w);
    s = weir_socket(weir_process(w, "C:\\app.exe", NULL), WEIR_TCP);
    (void)weir_connect(s, "10.0.0.2:80");
    while (weir_state(s) != WEIR_CONNECTED)
        ;
}

static void a_test_that_lets_no_time_go_by(void **state)
{
    struct ended e;

    (void)state;
    run(asks_and_asks, &e);
    assert_int_equal(WIFEXITED(e.status) ? WEXITSTATUS(e.status) : -1, 7);
    says(&e, "time stands still: weir_run()");
    names(&e, "asks_and_asks");
}

/* What the test itself does takes as long as it takes. */
static void does_something_else(void)
{
    const struct timespec moment = {.tv_sec = 4};
    struct weir *w;

    (void)open_engine(false, &w);
    nanosleep(&moment, NULL);
    weir_destroy(w);
}

static void a_test_that_does_something_else(void **state)
{
    struct ended e;

    (void)state;
    run(does_something_else, &e);
    assert_int_equal(WIFEXITED(e.status) ? WEXITSTATUS(e.status) : -1, 0);
}

static int32_t hung_entry(struct _DRIVER_OBJECT *driver, struct _UNICODE_STRING *path)
{
    volatile int go_on = 1;

    (void)driver;
    (void)path;
    while (go_on)
        ;
    return 0;
}

/* In real time, on another thread than the test's. */
static void spins_in_real_time(void)
{
    const struct weir_config config = {.size = sizeof config, .hang_ns = WEIR_SECOND, .real_time = true};
    struct weir *w;

    if (weir_create_with(&config, &w) != 0)
        _exit(99);
    (void)weir_driver_with(w, &(struct weir_driver_config){.entry = hung_entry, .name = "hung"});
}

static void a_driver_that_spins_in_real_time(void **state)
{
    struct ended e;

    (void)state;
    run(spins_in_real_time, &e);
    assert_int_equal(WIFEXITED(e.status) ? WEXITSTATUS(e.status) : -1, 7);
    says(&e, "DriverEntry does not come back");
    names(&e, "hung_entry");
}

static void faults(void)
{
    struct weir *w;

    (void)weir_control(open_engine(false, &w), LINKED_FAULT, NULL, 0, NULL, 0, NULL, 0);
}

/* Though the test framework has handlers of its own. */
static void a_driver_that_faults(void **state)
{
    struct ended e;

    (void)state;
    run(faults, &e);
    if (WIFEXITED(e.status) && WEXITSTATUS(e.status) == 1 && strstr(e.said, "AddressSanitizer") != NULL)
        return; /* linked to a sanitizer whose handler the framework did not replace: its report is the better one */
    assert_int_equal(WIFEXITED(e.status) ? WEXITSTATUS(e.status) : -1, 6);
    says(&e, "weir: linked: a fault (SIGSEGV, a NULL pointer)");
    names(&e, "control");
    says(&e, "again: WEIR_SEED=5 ");
}

static void stops(void)
{
    struct weir *w;

    (void)weir_control(open_engine(false, &w), LINKED_STOP, NULL, 0, NULL, 0, NULL, 0);
}

static void a_driver_that_stops_the_machine(void **state)
{
    struct ended e;

    (void)state;
    run(stops, &e);
    assert_int_equal(WIFEXITED(e.status) ? WEXITSTATUS(e.status) : -1, 6);
    says(&e, "it stopped the machine (bug check 0xe2)");
    says(&e, "again: WEIR_SEED=5 ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_driver_that_spins),
        cmocka_unit_test(a_driver_that_spins_and_lets_others_run),
        cmocka_unit_test(a_driver_that_lets_no_time_go_by),
        cmocka_unit_test(a_driver_that_is_deaf),
        cmocka_unit_test(a_test_that_lets_no_time_go_by),
        cmocka_unit_test(a_test_that_does_something_else),
        cmocka_unit_test(a_driver_that_spins_in_real_time),
        cmocka_unit_test(a_driver_that_faults),
        cmocka_unit_test(a_driver_that_stops_the_machine),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

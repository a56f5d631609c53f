/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A run that a driver ends: it faults, it stops the machine, it does not come back. All end with a message
 * that names driver and function, with what Weir was doing, with the outputs written up to there, and with an
 * exit status of their own.
 *
 *   fault: the signal, on its alternate stack, on the thread that faulted -----+
 *   does not come back: the watchdog's thread --signal--> the world's thread --+--> message, flush, _exit
 *   nobody can ever run again: on the world's thread --------------------------+
 *   KeBugCheckEx, a sanitizer's report: on the thread that calls --------------+
 *
 * What is here is the process's, as signals are. What has gone wrong may hold any lock, so first of all an
 * alarm is set: if the message's finer points (file and line) or the flush hang, the run ends after five
 * seconds without them.
 */
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <ucontext.h>
#include <unistd.h>

#include "loader/internal.h"

#define IMAGES      64
#define STACK_BYTES 65536
#define STACK_LOOK  32768 /* how far up a stack a driver's function is looked for */
#define GRACE       5     /* seconds */

static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
enum { FAULTS = sizeof faults / sizeof faults[0], WAKE = FAULTS, SIGNALS };

static struct {
    _Atomic(const struct image *) images[IMAGES];
    _Atomic(const char *) what;
    _Atomic uint64_t number;
    atomic_int ending; /* the exit status; 0: nobody ends it */
    atomic_bool told;
    void (*_Atomic flush)(void *ctx);
    void *_Atomic ctx; /* flush's; armed: the engine that was entered last, in whichever thread */
    pid_t thread;
    void *stack;
    bool watching;
    atomic_bool armed;   /* ... by a test program */
    pthread_mutex_t arm; /* held while its handlers are put in place; several threads have engines */
    struct sigaction before[SIGNALS];
    char text[1024];
} crash = {.arm = PTHREAD_MUTEX_INITIALIZER};

static int wake_signal(void)
{
    return SIGRTMIN + 5;
}

/* What is to be written last of all, if somebody said so. */
static void flush_last(void)
{
    void (*const flush)(void *ctx) = crash.flush;

    if (flush != NULL)
        flush(crash.ctx);
}

void crash_image_add(const struct image *i)
{
    for (unsigned n = 0; n < IMAGES; n++) {
        const struct image *none = NULL;

        if (atomic_compare_exchange_strong(&crash.images[n], &none, i))
            return;
    }
}

void crash_image_remove(const struct image *i)
{
    for (unsigned n = 0; n < IMAGES; n++) {
        const struct image *it = i;

        (void)atomic_compare_exchange_strong(&crash.images[n], &it, NULL);
    }
}

void loader_crash_doing(const char *what, uint64_t number)
{
    atomic_store_explicit(&crash.number, number, memory_order_relaxed);
    atomic_store_explicit(&crash.what, what, memory_order_relaxed);
}

/* ---- where it happened ----------------------------------------------------------------------------------
 */

const struct image *crash_image_at(uintptr_t at)
{
    for (unsigned n = 0; n < IMAGES; n++) {
        const struct image *i = atomic_load(&crash.images[n]);

        if (i != NULL && at >= i->from && at < i->to)
            return i;
    }
    return NULL;
}

/* The innermost place in a driver: where it stands, or the first return address on its stack. */
static struct site driver_place(const ucontext_t *u)
{
    uintptr_t words[512], at, sp;
    struct site s = {0};

#if defined(__x86_64__)
    at = (uintptr_t)u->uc_mcontext.gregs[REG_RIP];
    sp = (uintptr_t)u->uc_mcontext.gregs[REG_RSP];
#elif defined(__aarch64__)
    at = (uintptr_t)u->uc_mcontext.pc;
    sp = (uintptr_t)u->uc_mcontext.sp;
#else
#error "a machine whose signal context is not known"
#endif
    s.image = crash_image_at(at);
    if (s.image != NULL) {
        s.at = at - s.image->bias;
        return s;
    }
    sp &= ~(uintptr_t)(sizeof words[0] - 1);
    for (size_t done = 0; done < STACK_LOOK; done += sizeof words) {
        struct iovec here = {words, sizeof words}, there = {(void *)(sp + done), sizeof words};
        ssize_t got =
            process_vm_readv(getpid(), &here, 1, &there, 1, 0); /* a page that is not there is no fault */

        for (size_t n = 0; got > 0 && n < (size_t)got / sizeof words[0]; n++) {
            const struct image *i = crash_image_at(words[n]);

            if (i == NULL || elf_function_at(&i->elf, words[n] - 1 - i->bias) == NULL)
                continue;
            s = site_of(i, (const void *)words[n]);
            s.image = i;
            s.at = words[n] - 1 - i->bias;
            if (s.called[0] == '\0')
                strcpy(s.called, "a function");
            return s;
        }
        if (got < (ssize_t)sizeof words)
            break;
    }
    return s;
}

/* ---- the end --------------------------------------------------------------------------------------------
 */

static void tell(void)
{
    size_t size = strlen(crash.text);

    if (atomic_exchange(&crash.told, true))
        return;
    crash.text[size++] = '\n';
    for (size_t done = 0; done < size;) {
        ssize_t put = write(STDERR_FILENO, crash.text + done, size - done);

        if (put <= 0)
            break;
        done += (size_t)put;
    }
}

static void too_long(int signal)
{
    (void)signal;
    tell();
    _exit(atomic_load(&crash.ending));
}

/* True: this thread ends the run; others wait here for ever. */
static void begin_end(int status)
{
    struct sigaction action = {.sa_handler = too_long};
    sigset_t set;
    int none = 0;

    while (!atomic_compare_exchange_strong(&crash.ending, &none, status))
        for (;;)
            pause();
    sigaction(SIGALRM, &action, NULL);
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    alarm(GRACE);
}

/* "weir: DRIVER: WHAT in FUNCTION; Weir was at: frame 12". place.image NULL: nothing is known. */
static void compose(const char *driver, const char *what, const struct site *place, const char *where)
{
    const char *doing = atomic_load(&crash.what);
    char function[128] = "";
    size_t size;

    if (place != NULL && place->image != NULL) {
        const struct elf_function *f = elf_function_at(&place->image->elf, place->at);

        snprintf(function, sizeof function, "%s", f != NULL ? f->name : "a function without a name");
        driver = place->image->shown;
    }
    snprintf(crash.text, sizeof crash.text - 2, "weir: %s: %s", driver, what);
    size = strlen(crash.text);
    if (place != NULL && place->called[0] != '\0')
        snprintf(crash.text + size, sizeof crash.text - 2 - size, " in %s, called %s %s", place->called,
                 where != NULL ? "at" : "in", where != NULL ? where : function);
    else if (function[0] != '\0')
        snprintf(crash.text + size, sizeof crash.text - 2 - size, " %s %s", where != NULL ? "at" : "in",
                 where != NULL ? where : function);
    size = strlen(crash.text);
    if (doing != NULL && atomic_load(&crash.number) != 0)
        snprintf(crash.text + size, sizeof crash.text - 2 - size, "; Weir was at %s %llu", doing,
                 (unsigned long long)atomic_load(&crash.number));
    else if (doing != NULL)
        snprintf(crash.text + size, sizeof crash.text - 2 - size, "; Weir was at %s", doing);
}

static _Noreturn void end_run(const char *driver, const char *what, const struct site *place, int status)
{
    struct symbols *symbols = NULL;
    char where[256];

    begin_end(status);
    compose(driver, what, place, NULL);
    if (place != NULL && place->image != NULL && symbols_create(&symbols) == 0) {
        symbols_text(symbols, place, where, sizeof where);
        compose(driver, what, place, where);
    }
    tell();
    if (crash.armed) {
        fflush(stdout);
        loader_stacks_collect(rt_sim_current(), "threads: this one", rt_current(), NULL);
        loader_stacks_print(stderr);
    }
    flush_last();
    if (crash.armed)
        fflush(NULL);
    _exit(status);
}

static const char *current_driver(void)
{
    struct nt_driver *d = nt_driver_current();

    return d != NULL ? nt_driver_name(d) : NULL;
}

static const char *fault_name(int signal)
{
    switch (signal) {
    case SIGSEGV:
        return "a fault (SIGSEGV)";
    case SIGBUS:
        return "a fault (SIGBUS)";
    case SIGFPE:
        return "a division by zero or the like (SIGFPE)";
    case SIGILL:
        return "an instruction that is none (SIGILL)";
    default:
        return "a breakpoint or failed assertion (SIGTRAP)";
    }
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
    struct site place = driver_place(context);
    const char *driver = current_driver();
    char what[128];

    if (place.image == NULL && driver == NULL) { /* not a driver's: as if there were no handler */
        for (unsigned n = 0; n < FAULTS; n++)
            if (faults[n] == signal)
                sigaction(signal, &crash.before[n], NULL);
        return;
    }
    snprintf(what, sizeof what, "%s", fault_name(signal));
    if (signal == SIGSEGV && (uintptr_t)info->si_addr < 4096)
        snprintf(what, sizeof what, "a fault (SIGSEGV, a NULL pointer)");
    end_run(driver, what, &place, LOADER_EXIT_FAULT);
}

static void on_wake(int signal, siginfo_t *info, void *context)
{
    struct site place = driver_place(context);
    const char *driver = current_driver();

    (void)signal;
    (void)info;
    end_run(driver != NULL ? driver : "nobody's code", "does not come back", &place, LOADER_EXIT_STUCK);
}

/* ---- what does not come back ----------------------------------------------------------------------------
 */

static void tell_fiber(void *ctx, const char *name, const char *waits_for, struct rt_context *c)
{
    struct nt_driver *d = c != NULL ? c->driver : NULL;

    (void)ctx;
    fprintf(stderr, "weir:   %s%s%s: waits for %s\n", d != NULL ? nt_driver_name(d) : "",
            d != NULL ? ": " : "", name, waits_for != NULL ? waits_for : "its turn");
}

void loader_crash_stuck(void *ctx, const char *fiber, struct rt_context *context)
{
    struct nt_driver *d = context != NULL ? context->driver : NULL;

    (void)ctx;
    if (syscall(SYS_gettid) == crash.thread) { /* nobody can ever run again */
        if (rt_sim_current() != NULL)
            rt_sim_fibers(rt_sim_current(), tell_fiber, NULL);
        end_run(d != NULL ? nt_driver_name(d) : fiber, "waits for what can never come", NULL,
                LOADER_EXIT_STUCK);
    }
    if (crash.thread != 0 && syscall(SYS_tgkill, getpid(), crash.thread, wake_signal()) == 0)
        sleep(2 * GRACE);
    end_run(d != NULL ? nt_driver_name(d) : fiber, "does not come back", NULL, LOADER_EXIT_STUCK);
}

void crash_bugcheck(void *ctx, const char *driver, uint32_t code, const uint64_t parameters[4])
{
    struct loader *l = ctx;
    char what[128];

    (void)parameters;
    fflush(NULL);
    loader_findings_print(l, stderr);
    snprintf(what, sizeof what, "it stopped the machine (bug check 0x%x)", (unsigned)code);
    end_run(driver != NULL ? driver : "a driver", what, NULL, LOADER_EXIT_FAULT);
}

void crash_late(const char *driver, const char *function)
{
    char what[128];

    if (rt_sim_current() != NULL)
        rt_sim_fibers(rt_sim_current(), tell_fiber, NULL);
    snprintf(what, sizeof what, "%s does not come back: it waits for what does not come", function);
    end_run(driver, what, NULL, LOADER_EXIT_STUCK);
}

void loader_crash_hang(const char *text, const char *last)
{
    begin_end(LOADER_EXIT_STUCK);
    snprintf(crash.text, sizeof crash.text - 2, "%s", text);
    fflush(stdout); /* what a test program has said before, where nobody holds it */
    tell();
    loader_stacks_print(stderr);
    if (last != NULL)
        fprintf(stderr, "%s\n", last);
    flush_last();
    fflush(NULL);
    _exit(LOADER_EXIT_STUCK);
}

/* A sanitizer has written its report and ends the process. */
static void on_death(void)
{
    const char *driver = current_driver();

    if (!crash.watching || atomic_load(&crash.ending) != 0)
        return;
    end_run(driver != NULL ? driver : "Weir", "a sanitizer ended the run", NULL, LOADER_EXIT_FAULT);
}

/* ---- watching -------------------------------------------------------------------------------------------
 */

int loader_crash_watch(void (*flush)(void *ctx), void *ctx)
{
    struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK};
    stack_t stack = {.ss_size = STACK_BYTES};
    void (*set_death)(void (*)(void)) = NULL;
    void *at;

    crash.flush = flush;
    crash.ctx = ctx;
    crash.thread = (pid_t)syscall(SYS_gettid);
    if (crash.watching)
        return 0;
    crash.stack = malloc(STACK_BYTES);
    if (crash.stack == NULL)
        return -ENOMEM;
    stack.ss_sp = crash.stack;
    sigaltstack(&stack, NULL);
    sigemptyset(&action.sa_mask);
    action.sa_sigaction = on_fault;
    for (unsigned n = 0; n < FAULTS; n++)
        sigaction(faults[n], &action, &crash.before[n]);
    action.sa_sigaction = on_wake;
    sigaction(wake_signal(), &action, &crash.before[WAKE]);
    at = dlsym(RTLD_DEFAULT, "__sanitizer_set_death_callback");
    if (at != NULL) {
        memcpy(&set_death, &at, sizeof at);
        set_death(on_death);
    }
    crash.watching = true;
    return 0;
}

void loader_crash_unwatch(void)
{
    stack_t none = {.ss_flags = SS_DISABLE};

    if (!crash.watching)
        return;
    for (unsigned n = 0; n < FAULTS; n++)
        sigaction(faults[n], &crash.before[n], NULL);
    sigaction(wake_signal(), &crash.before[WAKE], NULL);
    sigaltstack(&none, NULL);
    free(crash.stack);
    crash.stack = NULL;
    crash.flush = NULL;
    crash.watching = false;
    loader_crash_doing(NULL, 0);
}

/* ---- in a test program ---------------------------------------------------------------------------------- */

/* A test framework's handlers only say that there was a fault; a sanitizer's say more than ours. */
static bool may_replace(const struct sigaction *a)
{
    void *at = NULL;
    Dl_info info;

    if ((a->sa_flags & SA_SIGINFO) == 0 && a->sa_handler == SIG_DFL)
        return true;
    memcpy(&at,
           (a->sa_flags & SA_SIGINFO) != 0 ? (const void *)&a->sa_sigaction : (const void *)&a->sa_handler,
           sizeof at);
    return at != NULL && dladdr(at, &info) != 0 && info.dli_fname != NULL &&
           strstr(info.dli_fname, "cmocka") != NULL;
}

/* Stacks that overflow need another one; the first thread's that asks, as long as the process. */
static void alternate_stack(void)
{
    stack_t now, own = {.ss_size = STACK_BYTES};

    if (crash.stack != NULL || sigaltstack(NULL, &now) != 0 || (now.ss_flags & SS_DISABLE) == 0)
        return;
    crash.stack = malloc(STACK_BYTES);
    own.ss_sp = crash.stack;
    if (crash.stack != NULL)
        sigaltstack(&own, NULL);
}

static bool is_ours(const struct sigaction *a)
{
    return (a->sa_flags & SA_SIGINFO) != 0 && a->sa_sigaction == on_fault;
}

void loader_crash_arm(void (*last)(void *ctx), void *ctx)
{
    struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK}, now;

    if (crash.watching)
        return;
    crash.ctx = ctx;
    crash.flush = last;
    if (sigaction(SIGSEGV, NULL, &now) != 0 || is_ours(&now) || !may_replace(&now))
        return;
    pthread_mutex_lock(&crash.arm);
    if (sigaction(SIGSEGV, NULL, &now) == 0 && !is_ours(&now)) {
        loader_stacks_prepare();
        alternate_stack();
        crash.armed = true;
        sigemptyset(&action.sa_mask);
        action.sa_sigaction = on_fault;
        for (unsigned n = 0; n < FAULTS; n++)
            sigaction(faults[n], &action, &crash.before[n]);
    }
    pthread_mutex_unlock(&crash.arm);
}

void loader_crash_disarm(const void *ctx)
{
    void *it = (void *)(uintptr_t)ctx;

    if (!crash.watching && atomic_compare_exchange_strong(&crash.ctx, &it, NULL))
        crash.flush = NULL;
}

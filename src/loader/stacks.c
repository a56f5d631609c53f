/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every thread's stack, for the report of a process that is about to end: who it is, what it waits for, and the
 * calls that led there.
 *
 *   a world's fibers:   rt_sim_visit() goes from stack to stack, each is walked from within
 *   real threads:       a signal each, whose handler walks the stack of the thread that it interrupts
 *
 * Collected first, into memory that is there; put into words then: files and lines as far as the objects'
 * debug information and addr2line tell them.
 */
#include <dirent.h>
#include <errno.h>
#include <execinfo.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "loader/internal.h"

#define STACKS  64
#define FRAMES  64
#define SHOWN   24
#define OBJECTS 32

struct stack {
    char name[48], driver[48], waits[64];
    void *at[FRAMES];
    int depth;
};
static struct {
    struct stack list[STACKS];
    unsigned count, beyond;
    struct stack *asked; /* real threads: who is to walk its stack */
    atomic_bool answered;
} collected;

static struct stack *next(const char *name, const char *waits_for, const struct rt_context *c)
{
    struct nt_driver *d = c != NULL ? c->driver : NULL;
    struct stack *s;

    if (collected.count == STACKS) {
        collected.beyond++;
        return NULL;
    }
    s = &collected.list[collected.count++];
    *s = (struct stack){0};
    snprintf(s->name, sizeof s->name, "%s", name);
    snprintf(s->driver, sizeof s->driver, "%s", d != NULL ? nt_driver_name(d) : "");
    snprintf(s->waits, sizeof s->waits, "%s", waits_for != NULL ? waits_for : "");
    return s;
}

/* ---- collecting ---------------------------------------------------------------------------------------- */

static void visit(void *ctx, const char *name, const char *waits_for, struct rt_context *c)
{
    struct stack *s = next(name, waits_for != NULL ? waits_for : "its turn", c);

    (void)ctx;
    if (s != NULL)
        s->depth = backtrace(s->at, FRAMES);
}

static int ask_signal(void)
{
    return SIGRTMIN + 6;
}

static void on_ask(int signal)
{
    (void)signal;
    if (collected.asked != NULL)
        collected.asked->depth = backtrace(collected.asked->at, FRAMES);
    atomic_store(&collected.answered, true);
}

static void name_of_thread(pid_t tid, char *out, size_t size)
{
    char path[64];
    FILE *f;

    snprintf(path, sizeof path, "/proc/self/task/%d/comm", (int)tid);
    f = fopen(path, "re");
    if (f == NULL || fgets(out, (int)size, f) == NULL)
        snprintf(out, size, "thread");
    out[strcspn(out, "\n")] = '\0';
    if (f != NULL)
        fclose(f);
}

/* Threads have a second each. */
static void ask_threads(void)
{
    struct sigaction action = {.sa_handler = on_ask, .sa_flags = SA_RESTART};
    const struct timespec moment = {.tv_nsec = 1000000};
    DIR *d = opendir("/proc/self/task");
    struct dirent *entry;

    sigaction(ask_signal(), &action, NULL);
    while (d != NULL && (entry = readdir(d)) != NULL) {
        const pid_t tid = (pid_t)atoi(entry->d_name);
        char name[48];

        if (tid <= 0 || tid == (pid_t)syscall(SYS_gettid))
            continue;
        name_of_thread(tid, name, sizeof name);
        collected.asked = next(name, NULL, NULL);
        atomic_store(&collected.answered, false);
        if (collected.asked == NULL || syscall(SYS_tgkill, getpid(), tid, ask_signal()) != 0)
            continue;
        for (unsigned i = 0; i < 1000 && !atomic_load(&collected.answered); i++)
            nanosleep(&moment, NULL);
    }
    if (d != NULL)
        closedir(d);
}

/* ---- words --------------------------------------------------------------------------------------------- */

struct objects {
    struct image *list[OBJECTS];
    unsigned count;
};

/* The place of a frame; of all but the innermost the call, not what follows it. */
static struct site place_of(struct objects *o, const void *address, bool call)
{
    const uintptr_t at = (uintptr_t)address - (call ? 1 : 0);
    const struct image *i = crash_image_at(at);
    struct site s = {0};

    for (unsigned n = 0; i == NULL && n < o->count; n++)
        if (at >= o->list[n]->from && at < o->list[n]->to)
            i = o->list[n];
    if (i == NULL && o->count < OBJECTS && (o->list[o->count] = image_open_at((const void *)at)) != NULL)
        i = o->list[o->count++];
    s.image = i;
    s.at = i != NULL ? at - i->bias : 0;
    return s;
}

/* The walk's own frames, and how a fiber came to wait: nothing of the program's. */
static bool is_ours(const struct site *s)
{
    static const char *const ours[] = {"loader_stacks_collect",
                                       "visit",
                                       "on_ask",
                                       "visited",
                                       "arrive",
                                       "deadlock",
                                       "next",
                                       "rt_fiber_switch",
                                       "rt_sim_run_others",
                                       "rt_sim_block",
                                       "rt_sim_give_way"};
    const struct elf_function *f = s->image != NULL ? elf_function_at(image_elf(s->image), s->at) : NULL;
    const size_t size = f != NULL ? strcspn(f->name, ".") : 0; /* name.part.0 */

    if (f == NULL) /* a sanitizer's, the C library's */
        return true;
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
        if (strlen(ours[i]) == size && memcmp(f->name, ours[i], size) == 0)
            return true;
    return strncmp(f->name, "__interceptor_", 14) == 0 || strncmp(f->name, "___interceptor_", 15) == 0;
}

static int first_shown(struct objects *o, const struct stack *s)
{
    int first = 0;

    while (first < s->depth && first < 16) {
        const struct site place = place_of(o, s->at[first], first != 0);

        if (!is_ours(&place))
            return first;
        first++;
    }
    return 0;
}

static void print_stack(struct objects *o, struct symbols *symbols, const struct stack *s, FILE *out)
{
    const int first = first_shown(o, s);
    char text[256];
    int shown = 0;

    fprintf(out, "  %s%s%s%s%s%s:\n", s->name, s->driver[0] != '\0' ? " of " : "", s->driver,
            s->waits[0] != '\0' ? ", waits for " : "", s->waits, s->depth == 0 ? ", has not begun" : "");
    for (int n = first; n < s->depth && shown < SHOWN; n++, shown++) {
        const struct site place = place_of(o, s->at[n], n != 0);

        fprintf(out, "    #%d %s\n", shown, symbols_text(symbols, &place, text, sizeof text));
    }
    if (s->depth - first > SHOWN)
        fprintf(out, "    ... and %d more\n", s->depth - first - SHOWN);
}

/* ---- the door ------------------------------------------------------------------------------------------ */

void loader_stacks_prepare(void)
{
    void *at[1];

    (void)backtrace(at, 1); /* the first call loads what it needs */
}

void loader_stacks_collect(struct rt_sim *s, const char *name, const struct rt_context *c, const char *doing)
{
    struct stack *own;

    collected.count = collected.beyond = 0;
    own = next(name, NULL, c);
    if (own != NULL) {
        snprintf(own->name, sizeof own->name, "%s%s%s", name, doing != NULL ? ", in " : "",
                 doing != NULL ? doing : "");
        own->depth = backtrace(own->at, FRAMES);
    }
    if (s != NULL)
        rt_sim_visit(s, visit, NULL);
    else
        ask_threads();
}

void loader_stacks_print(FILE *out)
{
    struct objects o = {.count = 0};
    struct symbols *symbols;

    if (symbols_create(&symbols) != 0)
        return;
    for (unsigned i = 0; i < collected.count; i++)
        for (int n = 0; n < collected.list[i].depth; n++) {
            const struct site place = place_of(&o, collected.list[i].at[n], n != 0);

            (void)symbols_want(symbols, &place);
        }
    for (unsigned i = 0; i < collected.count; i++)
        print_stack(&o, symbols, &collected.list[i], out);
    if (collected.beyond != 0)
        fprintf(out, "  ... and %u more\n", collected.beyond);
    symbols_destroy(symbols);
    for (unsigned i = 0; i < o.count; i++)
        image_free(o.list[i]);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handles, and who may use them. What a test holds is a number that looks like a pointer:
 *
 *     63   60 59   50 49        36 35  32 31           14 13         0
 *     [ 0xa  | slot  | engine's   | kind | place         | object's   ]    no address of this machine's
 *     [      |       | generation |      | in the engine | generation ]
 *
 * embed_enter() reads it against the table of live engines and the engine's own table of objects, so that what was
 * ended, is of another kind or was never a handle is told and not followed.
 *
 * File-scope state: the table of live engines (hang.c has another). It has to be there before any engine is
 * found: a handle is all that a call gets, and the thread that owns it must be known without touching an engine
 * that another thread may be about to end. It holds no pointer that is followed before the owner is known.
 *
 * Worlds. A thread is in one simulated world at most. embed_enter() leaves the one that it is in and enters that of
 * the handle's engine; fibers of the one that was left sleep meanwhile. A call from a thread of a driver's (a fiber
 * of the engine's own world, or in real time another thread) is a misuse: it is written to standard error at once,
 * and told to config.failed with the owner's next call, for that one may leave by longjmp().
 *
 * Left. A failed assertion in a function that Weir has called (a tap, a rule's, a classifyFn that is linked in) leaves it
 * by longjmp(), perhaps from another fiber's stack. The next call notices (rt_left()): the engine is through, its world
 * is abandoned, and weir_destroy() puts it aside as it is.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "embed/internal.h"

#define ENGINES 1024u
#define TAG     0xaull
#define OBJECTS (1u << 18)
#define TURNS   0x3fffu /* of generations */

struct live {
    atomic_uint generation; /* odd: there is one */
    _Atomic uintptr_t thread;
    _Atomic(struct embed *) engine;
    _Atomic(char *) late; /* a misuse by another thread, to be told */
};
static struct live live[ENGINES];

static _Thread_local char here; /* its address says which thread this is, in a world or not */

struct slot {
    void *object; /* NULL: free */
    const char *ended_by;
    uint16_t generation;
    uint8_t kind;
    uint32_t next; /* of the free ones */
};
struct embed_handles {
    struct slot *slots;
    uint32_t count, room, free; /* 0 stands for none; slots[0] is the engine */
    const char *call;           /* the one that was entered last */
};

struct parts {
    unsigned slot, generation, kind, object_generation;
    uint32_t place;
};

static const char *const kinds[] = {
    [EMBED_ENGINE] = "engine", [EMBED_PROCESS] = "process",        [EMBED_SOCKET] = "socket",
    [EMBED_DRIVER] = "driver", [EMBED_DEVICE] = "device",          [EMBED_RULE] = "rule",
    [EMBED_HOLD] = "hold",     [EMBED_VSWITCH] = "virtual switch",
};

static uintptr_t this_thread(void)
{
    return (uintptr_t)&here;
}

static void *join(const struct parts *p)
{
    return (void *)(uintptr_t)(TAG << 60 | (uint64_t)p->slot << 50 | (uint64_t)(p->generation & TURNS) << 36 |
                               (uint64_t)p->kind << 32 | (uint64_t)p->place << 14 | p->object_generation);
}

static bool split(const void *handle, struct parts *p)
{
    const uint64_t n = (uintptr_t)handle;

    p->slot = n >> 50 & (ENGINES - 1);
    p->generation = n >> 36 & TURNS;
    p->kind = n >> 32 & 0xf;
    p->place = n >> 14 & (OBJECTS - 1);
    p->object_generation = n & TURNS;
    return n >> 60 == TAG && p->kind >= EMBED_ENGINE && p->kind <= EMBED_VSWITCH;
}

/* ---- telling ------------------------------------------------------------------------------------------- */

/* "again: WEIR_SEED=7 ./test": as this process was started, as far as can be said. */
void embed_how_again(const struct embed *e, char *out, size_t size)
{
    FILE *f = fopen("/proc/self/cmdline", "re");
    size_t at = (size_t)snprintf(out, size, "again: ");
    int c;

    if (e != NULL)
        at += (size_t)snprintf(out + at, size - at, "WEIR_SEED=%llu ", (unsigned long long)e->seed);
    while (f != NULL && (c = getc(f)) != EOF && at + 1 < size)
        out[at++] = c == '\0' ? ' ' : (char)c;
    while (out[at - 1] == ' ')
        at--;
    out[at] = '\0';
    if (f != NULL)
        fclose(f);
}

/* This thread's engine whose world it is in; NULL: none. */
static struct embed *around(void)
{
    struct rt_sim *sim = rt_sim_current();

    for (unsigned i = 0; sim != NULL && i < ENGINES; i++) {
        struct embed *e = atomic_load(&live[i].thread) == this_thread() ? atomic_load(&live[i].engine) : NULL;

        if (e != NULL && e->sim == sim)
            return e;
    }
    return NULL;
}

/* May this thread be told now, and perhaps leave by longjmp()? Not on a fiber of a driver's. */
static bool is_own(const struct embed *e)
{
    const struct embed *inside;

    if (atomic_load(&live[e->slot].thread) != this_thread())
        return false;
    if (rt_sim_current() == NULL || (rt_sim_current() == e->sim && rt_self() == e->thread))
        return true;
    inside = around();
    return inside == NULL || rt_self() == inside->thread;
}

static void tell(struct embed *e, const char *text)
{
    const unsigned slot = e != NULL ? e->slot : 0;

    if (e != NULL && e->config.failed != NULL) {
        e->config.failed(e->config.ctx, text);
        if (atomic_load(&live[slot].engine) == e)
            embed_again(e);
    } else {
        fprintf(stderr, "%s\n", text);
    }
}

static void tell_late(unsigned slot, const char *text)
{
    char *copy = strdup(text), *none = NULL;

    fprintf(stderr, "%s\n", text);
    if (copy != NULL && !atomic_compare_exchange_strong(&live[slot].late, &none, copy))
        free(copy); /* the first one counts */
}

void embed_failed(struct embed *e, const char *call, const char *format, ...)
{
    const char *text;
    va_list args;

    va_start(args, format);
    text = embed_compose(e, call, format, args);
    va_end(args);
    if (e != NULL && !is_own(e))
        tell_late(e->slot, text);
    else
        tell(e, text);
}

void embed_failed_to_create(const struct weir_config *config, const char *call, const char *format, ...)
{
    const char *text;
    va_list args;

    va_start(args, format);
    text = embed_compose(NULL, call, format, args);
    va_end(args);
    if (config != NULL && config->failed != NULL)
        config->failed(config->ctx, text);
    else
        fprintf(stderr, "%s\n", text);
}

/* A misuse of a handle whose engine is not known, or is another thread's. */
static void misuse(const char *call, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void misuse(const char *call, const char *format, ...)
{
    const struct rt_context *context = rt_current();
    struct api_context *current = context != NULL ? context->api : NULL;
    struct embed *e = NULL, *any = NULL;
    const char *text;
    va_list args;

    for (unsigned i = 0; i < ENGINES && current != NULL && e == NULL; i++) {
        any = atomic_load(&live[i].thread) == this_thread() ? atomic_load(&live[i].engine) : NULL;
        e = any != NULL && any->context == current ? any : NULL;
    }
    va_start(args, format);
    text = embed_compose(e, call, format, args);
    va_end(args);
    tell(e, text);
}

/* ---- objects ------------------------------------------------------------------------------------------- */

int embed_handles_create(struct embed *e)
{
    struct embed_handles *h = calloc(1, sizeof *h);
    uintptr_t nobody = 0;
    unsigned slot;

    if (h == NULL || (h->slots = calloc(16, sizeof *h->slots)) == NULL) {
        free(h);
        return -ENOMEM;
    }
    for (slot = 0; slot < ENGINES; slot++, nobody = 0)
        if (atomic_compare_exchange_strong(&live[slot].thread, &nobody, this_thread()))
            break;
    if (slot == ENGINES) {
        free(h->slots);
        free(h);
        return -ENOMEM;
    }
    h->room = 16;
    h->count = 1;
    h->slots[0] = (struct slot){.object = e, .kind = EMBED_ENGINE};
    e->handles = h;
    e->slot = slot;
    atomic_store(&live[slot].engine, e);
    atomic_fetch_add(&live[slot].generation, 1);
    e->handle = join(&(struct parts){
        .slot = slot, .generation = atomic_load(&live[slot].generation), .kind = EMBED_ENGINE});
    return 0;
}

void embed_handles_destroy(struct embed *e)
{
    if (e->handles == NULL)
        return;
    free(atomic_exchange(&live[e->slot].late, NULL));
    atomic_fetch_add(&live[e->slot].generation, 1);
    atomic_store(&live[e->slot].engine, NULL);
    atomic_store(&live[e->slot].thread, 0);
    free(e->handles->slots);
    free(e->handles);
    e->handles = NULL;
}

void *embed_handle_new(struct embed *e, enum embed_kind kind, void *object)
{
    struct embed_handles *h = e->handles;
    uint32_t place = h->free;
    struct slot *s;

    if (place == 0 && h->count == h->room) {
        struct slot *more = h->room < OBJECTS ? realloc(h->slots, 2 * h->room * sizeof *more) : NULL;

        if (more == NULL)
            return NULL;
        h->slots = more;
        h->room *= 2;
    }
    if (place == 0) {
        place = h->count++;
        h->slots[place] = (struct slot){0};
    }
    s = &h->slots[place];
    h->free = s->next;
    s->next = 0;
    s->object = object;
    s->kind = (uint8_t)kind;
    s->generation = (s->generation + 1) & TURNS;
    return join(&(struct parts){.slot = e->slot,
                                .generation = atomic_load(&live[e->slot].generation),
                                .kind = kind,
                                .place = place,
                                .object_generation = s->generation});
}

void embed_handle_end(struct embed *e, const void *handle)
{
    struct embed_handles *h = e->handles;
    struct parts p;
    struct slot *s;

    if (handle == NULL || !split(handle, &p) || p.place >= h->count)
        return;
    s = &h->slots[p.place];
    if (s->object == NULL || s->generation != p.object_generation)
        return;
    s->object = NULL;
    s->ended_by = h->call;
    s->next = h->free;
    h->free = p.place;
}

/* ---- entering ------------------------------------------------------------------------------------------ */

void embed_again(struct embed *e)
{
    struct rt_sim *now = rt_sim_current();

    if (now != e->sim) {
        if (now != NULL)
            rt_sim_leave(now);
        if (e->sim != NULL && rt_sim_enter(e->sim) != 0)
            return; /* somebody's fiber runs here: embed_enter() has told */
    }
    if (e->context != NULL)
        api_set_current(e->context);
}

/* The engine whose call was left stays as it is, for ever: half of a packet's way, locks, other threads' stacks. */
static void notice_left(void)
{
    struct embed *e;

    if (!rt_left())
        return;
    e = around();
    for (unsigned i = 0; e == NULL && i < ENGINES; i++) { /* real time */
        struct embed *one =
            atomic_load(&live[i].thread) == this_thread() ? atomic_load(&live[i].engine) : NULL;

        e = one != NULL && one->sim == NULL && one->left == NULL ? one : NULL;
    }
    if (e != NULL) {
        e->left = e->handles->call != NULL ? e->handles->call : "a call";
        (void)api_set_current(NULL);
        if (e->sim != NULL)
            rt_sim_abandon(e->sim);
    }
    *rt_carried() = (struct rt_carried){0};
}

static const char *an(const char *word)
{
    return strchr("aeiou", word[0]) != NULL ? "an" : "a";
}

static bool is_late(struct embed *e)
{
    char *text = atomic_load(&live[e->slot].late) != NULL ? atomic_exchange(&live[e->slot].late, NULL) : NULL;

    if (text == NULL)
        return false;
    embed_error("%s", text);
    free(text);
    tell(e, weir_error());
    return true;
}

void *embed_enter(const char *call, enum embed_kind kind, const void *handle, struct embed **out)
{
    struct slot *s = NULL;
    struct live *l;
    struct embed *e;
    struct parts p;

    *out = NULL;
    if (handle == NULL) {
        misuse(call, "the %s is NULL", kinds[kind]);
        return NULL;
    }
    if (!split(handle, &p)) {
        misuse(call, "%p is no handle of Weir's", handle);
        return NULL;
    }
    l = &live[p.slot];
    if ((atomic_load(&l->generation) & 1) == 0 || (atomic_load(&l->generation) & TURNS) != p.generation) {
        misuse(call, p.kind == EMBED_ENGINE ? "this %s was destroyed" : "the engine of this %s was destroyed",
               kinds[p.kind]);
        return NULL;
    }
    if (atomic_load(&l->thread) != this_thread()) {
        char text[256];

        snprintf(text, sizeof text, "%s: called from a thread that the engine does not belong to", call);
        embed_error("%s", text);
        tell_late(p.slot, text);
        return NULL;
    }
    e = atomic_load(&l->engine);
    notice_left();
    if (e->left != NULL) { /* its world is not entered any more */
        if (strcmp(call, "weir_destroy") != 0) {
            misuse(call,
                   "%s was left by longjmp() in its midst (a failed assertion in a function that it called): "
                   "all that is possible is weir_destroy()",
                   e->left);
            return NULL;
        }
        *out = e;
        return e;
    }
    if (!is_own(e)) {
        embed_failed(e, call, "called from a driver's thread: the engine belongs to the test's own");
        return NULL;
    }
    if (rt_sim_current() != NULL && rt_sim_current() != e->sim && rt_carried()->in_classify != 0) {
        misuse(call, "called from within another engine's classify");
        return NULL;
    }
    embed_again(e);
    (void)is_late(e);
    if (p.kind != (unsigned)kind) {
        embed_failed(e, call, "a handle of %s %s, where %s %s's is wanted", an(kinds[p.kind]), kinds[p.kind],
                     an(kinds[kind]), kinds[kind]);
        return NULL;
    }
    if (p.place < e->handles->count)
        s = &e->handles->slots[p.place];
    if (s == NULL) {
        embed_failed(e, call, "%p is no handle of this engine's", handle);
        return NULL;
    }
    if (s->object == NULL || s->generation != p.object_generation) {
        embed_failed(e, call, "this %s was ended before%s%s", kinds[kind],
                     s->object == NULL && s->ended_by != NULL ? ", by " : "",
                     s->object == NULL && s->ended_by != NULL ? s->ended_by : "");
        return NULL;
    }
    embed_hang_arm(e);
    e->handles->call = call;
    atomic_store_explicit(&e->beats, atomic_load_explicit(&e->beats, memory_order_relaxed) + 1,
                          memory_order_relaxed);
    *out = e;
    return s->object;
}

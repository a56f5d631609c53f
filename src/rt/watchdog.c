/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The watchdog: an OS thread that looks whether worlds still get on.
 *
 * It looks at a world LOOKS times in the time that config.watchdog_ns allows; nobody in the world is no standstill. After
 * so many looks in a row that found the same it calls config.stuck, and if that returns starts anew. What it finds:
 *
 *   nothing moves       no fiber was switched to, and time stands still: the fiber that runs is named
 *   a fiber spins       it had its turns, and in all of them neither waited nor ended: it passes scheduling points, is
 *                       preempted, yields, asks the time. Others may run meanwhile, and time go by
 *   time stands still   the first fiber waits for the others, who run on and on while not even a millisecond goes by
 *
 * One thread is there for all worlds of the process. It is started with the first, goes when there has been none for
 * a while, and at the process' end: a world is made and ended in a fraction of the time that a thread takes. It takes part in
 * nothing simulated: it has pthreads' locks, the real clock, and all signals blocked, which so go to the program's own
 * threads. While it is at a world that world cannot be ended (looking). A process that forks begins with none; the
 * worlds that it copied are watched as soon as one is made there.
 *
 * File-scope state: the thread and its list, guarded by `lock`.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rt/sim.h"

#define NS_PER_SEC 1000000000u
#define LOOKS      4
#define LINGERS_NS (2ull * NS_PER_SEC)
#define CRAWLS_NS  1000000u /* less time than this in all looks: it stands still */

struct rt_watchdog {
    struct rt_watchdog *next, *previous;
    struct rt_sim *world;
    uint64_t due;
    bool looking;
    uint64_t beats, now, waited; /* as found by the last look */
    uint64_t since;              /* the world's time at the first of the row */
    unsigned still, crawls;
    char name[sizeof(((struct rt_thread *)NULL)->name)]; /* of whom it found */
    struct rt_context *context;
};

static struct {
    pthread_once_t once;
    pthread_mutex_t lock;
    pthread_cond_t changed, looked; /* a world came, or the end; a look is over */
    struct rt_watchdog *worlds;
    pthread_t thread;
    bool running, stop;
} dog = {.once = PTHREAD_ONCE_INIT, .lock = PTHREAD_MUTEX_INITIALIZER};

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NS_PER_SEC + (uint64_t)t.tv_nsec;
}

/* ---- a look -------------------------------------------------------------------------------------------- */

/* Has it had a turn since the last look and not waited? Then it is one look nearer to spinning. */
static bool spins(struct rt_sim *s, struct rt_fiber *f)
{
    const uint64_t waited = atomic_load(&f->waited), turns = atomic_load(&f->turns);
    const enum rt_fiber_state state = atomic_load(&f->state);
    const bool idle = state == RT_ENDED || state == RT_SETTLING ||
                      (state == RT_WAITING && atomic_load(&f->wait) != RT_WAIT_SPIN);
    const bool had_turn = turns != f->seen_turns || atomic_load(&s->running) == f;

    if (idle || waited != f->seen_waited)
        f->seen_still = 0;
    else if (had_turn)
        f->seen_still++;
    f->seen_waited = waited;
    f->seen_turns = turns;
    if (f->seen_still < LOOKS)
        return false;
    f->seen_still = 0;
    return true;
}

/* Notes who is to be told of; false: it gets on. */
static bool look(struct rt_watchdog *w)
{
    struct rt_sim *s = w->world;
    const uint64_t beats = atomic_load(&s->beats), now = atomic_load(&s->clock.now),
                   waited = atomic_load(&s->first.waited);
    struct rt_fiber *found = NULL;
    const bool inside = atomic_load(&s->inside);

    w->still = inside && beats == w->beats && now == w->now ? w->still + 1 : 0;
    if (!inside || waited != w->waited || atomic_load(&s->first.state) != RT_SETTLING ||
        now - w->since >= CRAWLS_NS) {
        w->crawls = 0;
        w->since = now;
    } else {
        w->crawls++;
    }
    w->beats = beats;
    w->now = now;
    w->waited = waited;
    pthread_mutex_lock(&s->list_lock);
    for (struct rt_fiber *f = &s->first; f != NULL; f = f == &s->first ? s->fibers : f->next) {
        if (!inside)
            f->seen_still = 0;
        else if (spins(s, f))
            found = f;
        else if (found == NULL && (w->still == LOOKS || w->crawls == LOOKS) && atomic_load(&s->running) == f)
            found = f;
    }
    if (found != NULL) {
        w->still = w->crawls = 0;
        memcpy(w->name, found->thread.name, sizeof(w->name));
        w->context = rt_sim_context_of(found);
    }
    pthread_mutex_unlock(&s->list_lock);
    return found != NULL;
}

/* Locked; left while it looks. */
static void visit(struct rt_watchdog *w)
{
    struct rt_sim *s = w->world;

    w->looking = true;
    pthread_mutex_unlock(&dog.lock);
    if (look(w))
        s->config.stuck(s->config.ctx, w->name, w->context);
    pthread_mutex_lock(&dog.lock);
    w->looking = false;
    w->due = now_ns() + s->config.watchdog_ns / LOOKS;
    pthread_cond_broadcast(&dog.looked);
}

/* ---- the thread ---------------------------------------------------------------------------------------- */

static struct rt_watchdog *first_due(void)
{
    struct rt_watchdog *first = dog.worlds;

    for (struct rt_watchdog *w = dog.worlds; w != NULL; w = w->next)
        if (w->due < first->due)
            first = w;
    return first;
}

/* Locked: until then, or until something has changed. */
static bool sleep_until(uint64_t ns)
{
    const struct timespec t = {.tv_sec = (time_t)(ns / NS_PER_SEC), .tv_nsec = (long)(ns % NS_PER_SEC)};

    return pthread_cond_timedwait(&dog.changed, &dog.lock, &t) == ETIMEDOUT;
}

static void *watch(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&dog.lock);
    while (!dog.stop) {
        struct rt_watchdog *w = first_due();

        if (w != NULL && w->due <= now_ns())
            visit(w);
        else if (sleep_until(w != NULL ? w->due : now_ns() + LINGERS_NS) && w == NULL && dog.worlds == NULL)
            break;
    }
    dog.running = false;
    pthread_cond_broadcast(&dog.looked);
    pthread_mutex_unlock(&dog.lock);
    return NULL;
}

static void conditions_init(void)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&dog.changed, &attr);
    pthread_cond_init(&dog.looked, NULL);
    pthread_condattr_destroy(&attr);
}

static void before_fork(void)
{
    pthread_mutex_lock(&dog.lock);
}

static void in_parent(void)
{
    pthread_mutex_unlock(&dog.lock);
}

static void in_child(void) /* the only thread there is */
{
    pthread_mutex_init(&dog.lock, NULL);
    conditions_init();
    dog.running = dog.stop = false;
    for (struct rt_watchdog *w = dog.worlds; w != NULL; w = w->next)
        w->looking = false;
}

static void prepare(void)
{
    conditions_init();
    pthread_atfork(before_fork, in_parent, in_child);
}

/* At exit, and where the library is unloaded. */
__attribute__((destructor)) static void stop(void)
{
    pthread_mutex_lock(&dog.lock);
    if (dog.running && !pthread_equal(dog.thread, pthread_self())) {
        dog.stop = true;
        pthread_cond_signal(&dog.changed);
        while (dog.running)
            pthread_cond_wait(&dog.looked, &dog.lock);
        dog.stop = false;
    }
    pthread_mutex_unlock(&dog.lock);
}

/* Locked. */
static int start(void)
{
    pthread_attr_t attr;
    sigset_t all, before;
    int rc;

    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&dog.thread, &attr, watch, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    if (rc == 0)
        pthread_setname_np(dog.thread, "weir-watchdog");
    dog.running = rc == 0;
    return -rc;
}

int rt_watchdog_start(struct rt_sim *s)
{
    struct rt_watchdog *w;
    int rc = 0;

    if (s->config.watchdog_ns == 0 || s->config.stuck == NULL)
        return 0;
    w = calloc(1, sizeof(*w));
    if (w == NULL)
        return -ENOMEM;
    w->world = s;
    w->due = now_ns() + s->config.watchdog_ns / LOOKS;
    pthread_once(&dog.once, prepare);
    pthread_mutex_lock(&dog.lock);
    if (!dog.running)
        rc = start();
    if (rc == 0) {
        /* It sleeps until what is due first; where that is this one it has to know. */
        const struct rt_watchdog *first = first_due();

        if (first != NULL && w->due < first->due)
            pthread_cond_signal(&dog.changed);
        else if (first == NULL && s->config.watchdog_ns / LOOKS < LINGERS_NS)
            pthread_cond_signal(&dog.changed);
        w->next = dog.worlds;
        if (w->next != NULL)
            w->next->previous = w;
        dog.worlds = w;
        s->watchdog = w;
    }
    pthread_mutex_unlock(&dog.lock);
    if (rc != 0)
        free(w);
    return rc;
}

void rt_watchdog_stop(struct rt_sim *s)
{
    struct rt_watchdog *w = s->watchdog;

    if (w == NULL)
        return;
    pthread_mutex_lock(&dog.lock);
    while (w->looking)
        pthread_cond_wait(&dog.looked, &dog.lock);
    *(w->previous != NULL ? &w->previous->next : &dog.worlds) = w->next;
    if (w->next != NULL)
        w->next->previous = w->previous;
    pthread_mutex_unlock(&dog.lock);
    free(w);
    s->watchdog = NULL;
}

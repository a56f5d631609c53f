/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulated back end's inside: worlds and fibers.
 *
 *   sim.c        a world from its making to its end; time, settling
 *   sim_run.c    who runs next: the ready queue, the deadlines, the switch; deadlock; spinning
 *   sim_wait.c   the simulated half of mutexes, conditions, threads
 *   fiber.c      the first and last step of a fiber
 *   stacks.c     their stacks
 *   sanitize.c   what ASan, LSan and TSan are told of all this
 *   watchdog.c   the OS thread that sees a fiber spin, of all worlds
 *   switch*      from one stack to another
 *
 * A fiber's states, and who moves it:
 *
 *              start                 picked (rt_sim_next)
 *     (none) --------> READY ----------------------------> RUNNING --its function returned--> ENDED
 * --joined--> gone ^  ^                               |  |                                        (or the |
 * +--- yields, is preempted ------+  |                                       world goes)
 *                        +------ woken: WAITING <--------------+ waits
 *
 * RUNNING is exactly one fiber while somebody is in the world: world->running. READY fibers stand in
 * world->ready; a WAITING fiber in the queue of one mutex or condition, or as a thread's joiner, and if it
 * has a deadline in world->timers too. The first fiber has one state more, SETTLING: inside rt_sim_settle(),
 * when it stands nowhere and runs again as soon as nobody else can before its limit.
 *
 * A fiber is woken by whoever takes it out of its queue (that one sets `woken`), never by itself; so a fiber
 * is in the ready queue once at most, and the arrays of ready fibers and of deadlines, made large enough when
 * a fiber starts, never grow where nothing may fail.
 *
 * Threads: all of a world is touched only by the OS thread that is in it. Exceptions, for the watchdog:
 * `beats` and rt_here.current are atomic, the list of fibers is under list_lock, what it reads of a fiber is
 * fixed or atomic.
 */
#ifndef WEIR_RT_SIM_H
#define WEIR_RT_SIM_H

#include "rt/internal.h"
#include "rt/switch.h"

enum rt_fiber_state { RT_READY, RT_RUNNING, RT_WAITING, RT_SETTLING, RT_ENDED };
enum rt_wait { RT_NO_WAIT, RT_WAIT_CONDITION, RT_WAIT_LOCK, RT_WAIT_THREAD, RT_WAIT_SPIN };
enum rt_woken { RT_SIGNALLED, RT_TIMED_OUT, RT_DEADLOCKED };
#define RT_NO_TIMER     SIZE_MAX
#define RT_SPARE_STACKS 256

struct rt_stack {
    unsigned char *low; /* above the guard page */
    size_t size;
};

struct rt_fiber {
    struct rt_thread thread; /* first: the handle that a thread's starter has */
    struct rt_sim *world;
    struct rt_place place;
    struct rt_stack stack;                /* of the first fiber: as ASan knows it */
    _Atomic(struct rt_context *) context; /* while it does not run; then rt_here has it */
    struct rt_carried carried;
    _Atomic enum rt_fiber_state state;
    enum rt_woken woken;
    struct rt_fibers *queue;         /* that it waits in; NULL: none */
    struct rt_fiber *before, *after; /* in it */
    struct rt_fiber *joiner;
    size_t timer;                     /* its place in world->timers, or RT_NO_TIMER */
    _Atomic(const char *) waits;      /* by rt_waits_for(); NULL: not said */
    _Atomic enum rt_wait wait;        /* what for, as rt itself knows it */
    struct rt_fiber *next, *prev;     /* world->fibers, in the order they were started */
    _Atomic uint64_t turns;           /* how often it was switched to */
    _Atomic uint64_t waited;          /* ... and waited, settled, for what is not only a change of memory */
    uint64_t seen_turns, seen_waited; /* the watchdog's: as it found them last */
    unsigned seen_still;
    bool begun;       /* its stack has something on it */
    bool held;        /* rt_sim_hold() */
    bool aside;       /* ... and it would be ready: it stands in no queue */
    void *fake_stack; /* ASan's */
    void *tsan;       /* TSan's */
};

struct rt_timer {
    uint64_t deadline, number; /* number: of the wait; equal deadlines come in this order */
    struct rt_fiber *fiber;
};

struct rt_random { /* xoshiro256** */
    uint64_t s[4];
};

/* What is known of sanitizers in this process: each is NULL where it is not there. */
struct rt_sanitizers {
    void (*start_switch)(void **fake_stack, const void *bottom, size_t size);
    void (*finish_switch)(void *fake_stack, const void **bottom, size_t *size);
    void (*unpoison)(const volatile void *at, size_t size);
    void (*root)(const void *at, size_t size);
    void (*unroot)(const void *at, size_t size);
    void *(*tsan_current)(void);
    void *(*tsan_create)(unsigned flags);
    void (*tsan_destroy)(void *fiber);
    void (*tsan_switch)(void *fiber, unsigned flags);
};

struct rt_watchdog;

/* Somebody goes from stack to stack (rt_sim_visit()). */
struct rt_visit {
    void (*fn)(void *ctx, const char *name, const char *waits_for, struct rt_context *c);
    void *ctx;
    struct rt_place back; /* the visitor's */
    struct rt_stack stack;
    void *tsan;
};

struct rt_sim {
    struct rt_sim_config config;
    struct rt_clock clock;
    struct rt_random order, drawn; /* of the schedule; of rt_random() */

    struct rt_fiber first;
    _Atomic(struct rt_fiber *) running; /* as rt_here.fiber, for who is not in the world */
    struct rt_fiber **ready;            /* a ring; capacity is a power of two and more than all fibers */
    size_t ready_at, ready_count;
    struct rt_timer *timers; /* a heap */
    size_t timer_count;
    size_t capacity;  /* of both */
    size_t live;      /* fibers that have not ended, the first included */
    uint64_t waits;   /* numbers waits */
    uint64_t until;   /* how far the first fiber lets time move while it is SETTLING */
    long long points; /* rt_points while nobody is in here */
    unsigned look;    /* left until it looks whether time has moved */
    uint64_t looked;  /* the time when it did */
    unsigned stalls;  /* how often in a row it found time where it was */

    struct rt_fiber *reap;          /* ended; its stack goes back once it is left */
    struct rt_fiber *left;          /* who ran before the one that runs */
    struct rt_visit *visit;         /* NULL: nobody goes around */
    struct rt_fiber *fibers, *last; /* all but the first, ended ones that nobody joined included */
    pthread_mutex_t list_lock;
    struct rt_fiber *spare_fibers; /* by next */
    struct rt_stack *spare_stacks; /* RT_SPARE_STACKS of them */
    size_t spare_count;
    size_t page;

    atomic_bool inside;
    struct rt_carried outside;                          /* what that thread carries while it is not in here */
    pthread_t owner;                                    /* the OS thread that entered last */
    _Atomic(_Atomic(struct rt_context *) *) current_of; /* its rt_here.current */
    _Atomic uint64_t beats;                             /* switches, and entries */
    struct rt_watchdog *watchdog;
    struct rt_sanitizers sanitizers;
};

/* ---- sim_run.c ----------------------------------------------------------------------------------------- */
#define RT_POINTS_A_LOOK 65536u
int rt_sim_reserve(struct rt_sim *s);                            /* room for one fiber more: 0 or -ENOMEM */
void rt_sim_make_ready(struct rt_fiber *f, enum rt_woken woken); /* out of queue and timers, into ready */
void rt_sim_queue(struct rt_fibers *q, struct rt_fiber *f);
/* The calling fiber waits until it is woken; it stands in its queue already. How it was woken. */
enum rt_woken rt_sim_block(struct rt_fiber *me, uint64_t deadline_ns, enum rt_wait what);
void rt_sim_give_way(struct rt_fiber *me);   /* behind all that are ready */
void rt_sim_run_others(struct rt_fiber *me); /* me is SETTLING or ENDED; for the latter it does not return */
void rt_sim_look_up(struct rt_fiber *me);    /* rt_point()'s slow half */
struct rt_context *rt_sim_context_of(struct rt_fiber *f);
void rt_sim_expire(struct rt_sim *s); /* wakes whose deadline has come */
uint64_t rt_sim_below(struct rt_random *r, uint64_t n);

static inline uint64_t rt_sim_now(const struct rt_sim *s)
{
    return atomic_load_explicit(&s->clock.now, memory_order_relaxed);
}

static inline void rt_sim_set_now(struct rt_sim *s, uint64_t now)
{
    atomic_store_explicit(&s->clock.now, now, memory_order_relaxed);
}

/* It lets go of its turn because it waits: the watchdog sees that it does not spin. */
static inline void rt_fiber_waited(struct rt_fiber *me)
{
    atomic_store_explicit(&me->waited, atomic_load_explicit(&me->waited, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}

/* A place where the running fiber may lose its turn. */
static inline void rt_sim_point(struct rt_fiber *me)
{
    if (--rt_points <= 0)
        rt_sim_look_up(me);
}

/* ---- fiber.c ------------------------------------------------------------------------------------------- */
int rt_fiber_create(struct rt_sim *s, const char *name, void (*fn)(void *arg), void *arg,
                    struct rt_fiber **out);
void rt_fiber_free(struct rt_fiber *f); /* joined */
void rt_fiber_switch(struct rt_fiber *me, struct rt_fiber *to);
void rt_fibers_destroy(struct rt_sim *s); /* all of them, and the pools */
/* What it waits for, in words; NULL: it could run. Any thread. */
const char *rt_fiber_waits_for(struct rt_fiber *f);

/* ---- stacks.c ------------------------------------------------------------------------------------------ */
int rt_stack_get(struct rt_sim *s, struct rt_stack *out); /* 0, -ENOMEM, -EAGAIN */
void rt_stack_put(struct rt_sim *s, struct rt_stack stack);
void rt_stacks_end(struct rt_sim *s); /* the world's spare ones */

/* ---- sanitize.c ---------------------------------------------------------------------------------------- */
void rt_sanitizers_find(struct rt_sanitizers *s);

/* ---- watchdog.c ---------------------------------------------------------------------------------------- */
int rt_watchdog_start(struct rt_sim *s);
void rt_watchdog_stop(struct rt_sim *s);

/* ---- random.c ------------------------------------------------------------------------------------------ */
void rt_random_seed(struct rt_random *r, uint64_t seed);
uint64_t rt_random_next(struct rt_random *r);

#endif

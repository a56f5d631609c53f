/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rt's inside: what both back ends share. No other room includes it; the simulated back end's own is sim.h.
 *
 * Which back end a call means is one thread-local word, rt_here.fiber: NULL is the real one. Every function
 * of the door that can wait asks it first.
 *
 * Thread-local memory and fibers: compilers keep the address of a thread-local variable across calls, and so
 * across a switch. That is right here, for all fibers of a world run on one OS thread, always. What is per
 * fiber (context, carried) is moved in and out of rt_here at a switch, so reading it costs no branch.
 *
 * It is read many times a packet, so it has the model that needs no call, though libweir.so may be loaded late (dlopen()):
 * for that a process has some hundred bytes, for all thread-local memory of such libraries. So nothing large is thread-local.
 */
#ifndef WEIR_RT_INTERNAL_H
#define WEIR_RT_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "rt/rt.h"

struct rt_fiber;

/* ---- what the calling thread is ----------------------------------------------------------------------- */
struct rt_here {
    struct rt_fiber *fiber;               /* the one that runs; NULL: not in a world */
    _Atomic(struct rt_context *) current; /* atomic for the watchdog, which reads it from outside */
    struct rt_carried carried;
    volatile bool switching;        /* between two fibers: nobody may go around on stacks now */
    void (*volatile arrived)(void); /* rt_after_switch(); NULL: nobody waits for it */
};
extern _Thread_local struct rt_here rt_here __attribute__((tls_model("initial-exec")));
_Static_assert(sizeof(struct rt_here) <= 256, "little of what a process has for it");

/* ---- clocks ------------------------------------------------------------------------------------------- */
enum rt_clock_kind { RT_CLOCK_REAL, RT_CLOCK_MANUAL, RT_CLOCK_WORLD };
struct rt_clock {
    enum rt_clock_kind kind;
    _Atomic uint64_t now; /* MANUAL, WORLD */
    /* The rest is a manual clock's. */
    pthread_mutex_t lock;  /* conds, waiting */
    struct rt_cond *conds; /* all that run by this clock */
    unsigned waiting;      /* waits with a deadline under way */
    pthread_cond_t waiting_changed;
};
/* A manual clock counts the waits that time can end: rt_clock_manual_await() looks at them. */
void rt_clock_count_wait(struct rt_clock *clock, int change);

/* ---- mutexes and conditions ---------------------------------------------------------------------------- */
struct rt_fibers { /* a queue of fibers that wait, first come first */
    struct rt_fiber *first, *last;
};

/* Used by threads or by the fibers of one world, not by both at a time: each back end has its own half. */
struct rt_mutex {
    pthread_mutex_t m;
    struct rt_fiber *owner; /* simulated; NULL: free */
    struct rt_fibers waiting;
};

struct rt_cond {
    struct rt_clock *clock;
    struct rt_cond *next; /* clock->conds */
    pthread_mutex_t lock; /* generation */
    pthread_cond_t cv;
    uint64_t generation;
    struct rt_fibers waiting; /* simulated */
};

/* ---- threads ------------------------------------------------------------------------------------------- */
struct rt_thread {
    struct rt_fiber *fiber; /* simulated: this is its first member; else NULL */
    pthread_t id;
    void (*fn)(void *arg);
    void *arg;
    struct rt_context *context;
    char name[48]; /* the kernel keeps 15 characters */
};

/* ---- the simulated half of the door (sim_*.c). `me`: the fiber that runs --------------------------------
 */
void rt_sim_lock(struct rt_fiber *me, struct rt_mutex *m);
void rt_sim_unlock(struct rt_fiber *me, struct rt_mutex *m);
int rt_sim_wait(struct rt_fiber *me, struct rt_cond *c, struct rt_mutex *m, uint64_t deadline_ns);
void rt_sim_broadcast(struct rt_cond *c); /* from outside the world, too, while nobody is in it */
int rt_sim_start(struct rt_fiber *me, const char *name, void (*fn)(void *arg), void *arg,
                 struct rt_thread **out);
void rt_sim_join(struct rt_thread *t);
struct rt_clock *rt_sim_clock_of(struct rt_fiber *me);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rt: the runtime under everything: clock, locks and waits with time-outs, threads, the current context.
 * Nothing else in Weir calls the system clock or pthreads. Two back ends stand behind this door: real
 * (pthreads), and simulated (fibers, virtual time, a seed: the last part below). Which one a call means is a
 * property of the calling thread: inside rt_sim_enter() .. rt_sim_leave(), and in every fiber started there,
 * all of this door is simulated. Code above is written once and runs on both.
 */
#ifndef WEIR_RT_RT_H
#define WEIR_RT_RT_H

#include <stdbool.h>
#include <stdint.h>

/* ---- clock: nanoseconds, monotonic; and 100 ns units since 1601 for FILETIMEs -------------------------- */
struct rt_clock;
struct rt_clock *rt_clock_real(void); /* the host's; never freed. Inside a world it reads as the world's */
int rt_clock_manual_create(uint64_t start_ns,
                           struct rt_clock **out); /* moves only when told (tests, replay) */
void rt_clock_manual_destroy(struct rt_clock *c);
void rt_clock_manual_advance(struct rt_clock *c, uint64_t ns); /* wakes waits whose time has come */
/* Returns when at least so many waits with a deadline by this manual clock are under way: then advance. */
void rt_clock_manual_await(struct rt_clock *c, unsigned waits);
uint64_t rt_clock_now(struct rt_clock *c);
uint64_t rt_clock_filetime(struct rt_clock *c); /* a manual clock counts from 1970 */

/* ---- mutex, condition, thread ------------------------------------------------------------------------ */
/*
 * A mutex or a condition may be made anywhere, and is then used by threads or by the fibers of one world, not
 * by both at a time: nothing is locked or waited for while a world is entered or left.
 */
struct rt_mutex;
int rt_mutex_create(struct rt_mutex **out);
void rt_mutex_destroy(struct rt_mutex *m);
void rt_mutex_lock(struct rt_mutex *m);
void rt_mutex_unlock(struct rt_mutex *m);
/* In a world: does a fiber wait for it? Else false. */
bool rt_mutex_wanted(const struct rt_mutex *m);

struct rt_cond;
#define RT_FOREVER UINT64_MAX
int rt_cond_create(struct rt_clock *clock, struct rt_cond **out);
void rt_cond_destroy(struct rt_cond *c);
/* Waits until signalled or the clock reaches deadline_ns: 0 or -ETIMEDOUT; in a world also -EDEADLK: nobody
 * there can ever run again (told to `stuck` first). May wake without cause. Broadcast after the state was
 * changed under the mutex, with or without still holding it. A clock outlives the conditions that run by it.
 */
int rt_cond_wait(struct rt_cond *c, struct rt_mutex *m, uint64_t deadline_ns);
void rt_cond_broadcast(struct rt_cond *c);

struct rt_thread;
/* Which thread this is: unlike that of every other that runs. Any IRQL. */
uintptr_t rt_self(void);
/* What the calling fiber was started as ("main": a world's first); NULL: it is none. Signal handlers may. */
const char *rt_fiber_name(void);
/* For a signal handler that means to look at fibers (rt_sim_visit()). False: it may. True: its thread is between two of them,
 * and fn is called once, as the one that goes on has arrived, on its stack. */
bool rt_after_switch(void (*fn)(void));
/* A number that no other call in this process returns, from 1. No run may hang on which it is. Any IRQL. */
uint64_t rt_number(void);
int rt_thread_start(const char *name, void (*fn)(void *arg), void *arg, struct rt_thread **out);
/* And frees it. One that was started in a world is joined there, or has ended. */
void rt_thread_join(struct rt_thread *t);

/* ---- barrier ------------------------------------------------------------------------------------------ */
/*
 * rt_barrier() is a full memory barrier on every running thread of the process, at once. If a thread stores
 * A, then (in program order, with no barrier but against the compiler) loads B, and another stores B, calls
 * rt_barrier(), loads A, at least one of them sees the other's store. offered: asks the system for it, once
 * before use; false: there is none here. rt_barrier() itself: microseconds; false: it failed, nothing is
 * known.
 */
bool rt_barrier_offered(void);
bool rt_barrier(void);

/* ---- the current context ------------------------------------------------------------------------------ */
/*
 * Whom a thread works for: set on entry into a driver or a test program, inherited by threads that are
 * started under it, restored by who set it. rt looks at none of the members; each room has its own.
 */
struct rt_context {
    void *api;          /* struct api_context: which engine the documented functions mean */
    void *driver;       /* struct nt_driver: which driver; NULL: none, a program or Weir itself */
    void *party;        /* struct ledger_party: who owes what is taken on */
    void *faults;       /* struct nt_faults: who is asked whether its calls fail; NULL: nobody */
    uint64_t nt_kernel; /* the number of the driver's kernel; 0: none */
};
struct rt_context *rt_current(void);                           /* NULL: nobody */
struct rt_context *rt_set_current(struct rt_context *context); /* returns the one before */

/* What a thread (or fiber) carries besides; zero at its start. For the rooms that are named; any IRQL. */
struct rt_carried {
    uint8_t irql;         /* nt's: KIRQL; also host's, who raises it around a callout */
    uint8_t in_dpc;       /* nt's */
    uint16_t in_classify; /* host's: how many classifies of callouts are on this stack */
    void *nt_thread;      /* nt's: struct nt_thread; NULL: not made yet */
    uint64_t nt_kernel;   /* ... the number of the kernel that made it, which may be gone */
    uint64_t nt_self;     /* nt's: this thread's number; 0: it has none yet */
    uint64_t process;     /* nt's: id of the process in whose name it runs; 0: the system's */
    void *hold;           /* host's: the innermost of them */
    void *ledger;         /* ledger's: locks held */
    const void *site;     /* api's: where the documented function that runs was called */
    const char
        *doing; /* nt's: "work item", ...: what of a driver's runs here; NULL: nothing, or nobody asks */
    const void *routine; /* ... its function */
    const void
        *called; /* embed's: the frame that has called a function of the test's; NULL: none has. rt_left() */
};
struct rt_carried *rt_carried(void);

/* ---- scheduling points and the simulated back end ----------------------------------------------------- */
/*
 * A simulated world is one OS thread with fibers. The thread that enters becomes its first fiber; from then
 * on mutexes, conditions, threads, clock and waits of that thread and of the fibers it starts are simulated.
 * Only one fiber runs at a time; a switch happens where a fiber waits, ends, yields, or (if `preempt` asks
 * for it) at a scheduling point. Which ready fiber comes next is decided by the seed (shuffle) or by order of
 * readiness. Virtual time moves only when no fiber is ready: to the next deadline, never beyond what the
 * first fiber allows (rt_sim_settle()); while the first fiber itself waits, it allows all. A time query takes
 * 100 ns, and lets in whom a deadline that it reached makes ready. Who passes 65,536 points at one and the
 * same virtual time spins: it is put to sleep for 100 us, and longer if it goes on. The same seed and the
 * same calls give the same run: nothing in it asks the host's clock, an address, or which OS thread it is.
 */
struct rt_sim;
struct rt_sim_config {
    uint64_t seed;
    uint64_t start_ns; /* where the virtual clock starts, since 1970 */
    bool shuffle;      /* ready fibers run in an order that the seed decides; else first ready, first run */
    uint32_t preempt;  /* 0: never at scheduling points; n: with a chance of 1 in n */
    uint32_t stack_bytes; /* of a fiber; 0: 256 KiB, with a guard page */
    /* The watchdog: an OS thread, one for all worlds. `stuck` is called from it when for so long (real time; at most a half
     * more) a fiber has neither waited nor ended in all of its turns, or the others have run on while the first waits for
     * them and less than a millisecond went by: for that fiber, for the one that runs. It may write and end the process.
     * 0: none. `stuck` is also called, on the world's own thread, when nobody can ever run again: then for the first fiber. It
     * may call rt_sim_fibers(). */
    uint64_t watchdog_ns;
    void (*stuck)(void *ctx, const char *fiber, struct rt_context *context);
    void *ctx;
};
int rt_sim_create(const struct rt_sim_config *config, struct rt_sim **out); /* 0, -ENOMEM, -EAGAIN */
/* Nobody is in it. Fibers that have not ended (rt_sim_fibers() names them) never go on; handles of threads
 * that nobody joined go with it. */
void rt_sim_destroy(struct rt_sim *s);
/* 0; -EBUSY: somebody is in it, or this thread in another, or it has fibers of another OS thread. */
int rt_sim_enter(struct rt_sim *s);
/* First fiber only. Fibers that wait or are ready stay as they are until it is entered again. What the thread
 * carries (rt_carried()) is the world's own; the current context stays. */
void rt_sim_leave(struct rt_sim *s);
struct rt_sim *rt_sim_current(void); /* NULL: the real back end */
struct rt_clock *rt_sim_clock(struct rt_sim *s);
/* First fiber only: lets all others run until none is ready and the next deadline lies after until_ns, moving
 * time through the deadlines; then the clock is at until_ns. Costs a comparison when there is nothing. */
void rt_sim_settle(struct rt_sim *s, uint64_t until_ns);
/* First fiber only: as rt_sim_settle(), if no other fiber would run till then, and time moves; false: nothing has happened. */
bool rt_sim_pass(struct rt_sim *s, uint64_t until_ns);
/* The next deadline of any wait, UINT64_MAX: none; is a fiber ready besides the caller? */
uint64_t rt_sim_next_deadline(const struct rt_sim *s);
bool rt_sim_ready(const struct rt_sim *s);
/* Calls fn for every fiber that has not ended, but the first, oldest first: for reports of what hangs where.
 * fn starts and joins no threads. waits_for: NULL: it could run. */
void rt_sim_fibers(struct rt_sim *s,
                   void (*fn)(void *ctx, const char *name, const char *waits_for, struct rt_context *c),
                   void *ctx);
/* The same on the stack of each of them that has begun, one after another, so that fn sees its own stack as that fiber's:
 * for the report of a process that is about to end. On the world's OS thread, also in a signal handler. */
void rt_sim_visit(struct rt_sim *s,
                  void (*fn)(void *ctx, const char *name, const char *waits_for, struct rt_context *c),
                  void *ctx);
/* A name for such reports: what the calling thread's waits for conditions are for, until the next call.
 * `what` is kept as it is, not copied; NULL: nothing is known. */
void rt_waits_for(const char *what);

/* First fiber only: asks held() about each other fiber; those for which it says so do not run, though they could, until
 * another call says otherwise. held NULL: none is. */
void rt_sim_hold(struct rt_sim *s, bool (*held)(void *ctx, const struct rt_carried *carried), void *ctx);
/* The calling fiber, not the first, is held from now on: returns when rt_sim_hold() has let it go. */
void rt_sim_stand_aside(void);

/* Has a longjmp() left what runs here: the stack of the calling fiber, or below the frame that rt_carried()->called
 * names? Then nothing of its world may go on. */
bool rt_left(void);
/* The calling thread, on its own stack again, leaves that world for good: fibers, locks, waits stay as they are, for ever. */
void rt_sim_abandon(struct rt_sim *s);

/* A place where another may be let in: interlocked operations, barriers, YieldProcessor, IRQL changes, time
 * queries. Real: nothing, one predictable branch, and false. True: the caller is in a simulated world, where nobody else runs
 * before the next such place. */
bool rt_point(void);
/* What rt_point() is where a driver has it inline (wdk/nt/interlocked.h): one is counted off, and who comes to 0 or below
 * calls rt_points_over(), which says what rt_point() would. Of the calling thread's world; outside of one 0, always. */
extern _Thread_local long long rt_points __attribute__((tls_model("initial-exec")));
bool rt_points_over(void);
/* Lets others run: sched_yield(); simulated: behind all that are ready. */
void rt_yield(void);
/* The clock that the calling thread lives by: its world's, else the real one. */
struct rt_clock *rt_clock_of_thread(void);
/* As rt_clock_now(), and a simulated fiber's virtual clock moves by 100 ns, so that who polls it gets on. */
uint64_t rt_clock_query(struct rt_clock *c);
/* Of the world's seed; the real back end's is the system's. */
uint64_t rt_random(void);

#endif

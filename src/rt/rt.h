/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rt: the runtime under everything: clock, locks and waits with time-outs, threads, the current context.
 * Nothing else in Weir calls the system clock or pthreads. Two back ends will stand behind this door (real:
 * pthreads; simulated: fibers and virtual time); today the real one does, with a clock that a test can set.
 */
#ifndef WEIR_RT_RT_H
#define WEIR_RT_RT_H

#include <stdbool.h>
#include <stdint.h>

/* ---- clock: nanoseconds, monotonic; and 100 ns units since 1601 for FILETIMEs -------------------------- */
struct rt_clock;
struct rt_clock *rt_clock_real(void); /* the host's; never freed */
int rt_clock_manual_create(uint64_t start_ns,
                           struct rt_clock **out); /* moves only when told (tests, replay) */
void rt_clock_manual_destroy(struct rt_clock *c);
void rt_clock_manual_advance(struct rt_clock *c, uint64_t ns); /* wakes waits whose time has come */
/* Returns when at least so many waits with a deadline by this manual clock are under way: then advance. */
void rt_clock_manual_await(struct rt_clock *c, unsigned waits);
uint64_t rt_clock_now(struct rt_clock *c);
uint64_t rt_clock_filetime(struct rt_clock *c); /* a manual clock counts from 1970 */

/* ---- mutex, condition, thread ------------------------------------------------------------------------ */
struct rt_mutex;
int rt_mutex_create(struct rt_mutex **out);
void rt_mutex_destroy(struct rt_mutex *m);
void rt_mutex_lock(struct rt_mutex *m);
void rt_mutex_unlock(struct rt_mutex *m);

struct rt_cond;
#define RT_FOREVER UINT64_MAX
int rt_cond_create(struct rt_clock *clock, struct rt_cond **out);
void rt_cond_destroy(struct rt_cond *c);
/* Waits until signalled or the clock reaches deadline_ns: 0 or -ETIMEDOUT. May wake without cause. Broadcast
 * after the state was changed under the mutex, with or without still holding it. */
int rt_cond_wait(struct rt_cond *c, struct rt_mutex *m, uint64_t deadline_ns);
void rt_cond_broadcast(struct rt_cond *c);

struct rt_thread;
/* Which thread this is: unlike that of every other that runs. Any IRQL. */
uintptr_t rt_self(void);
int rt_thread_start(const char *name, void (*fn)(void *arg), void *arg, struct rt_thread **out);
void rt_thread_join(struct rt_thread *t); /* and frees it */

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
/* Which engine host a Windows API call of this thread means. Set on entry into a driver or a test program;
 * inherited by threads that are started under it. */
void *rt_current(void);
void *rt_set_current(void *context); /* returns the one before */

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads and the current context. The context says which engine host an exported Windows function means, and
 * a thread starts with the one of its starter.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rt/internal.h"

#define KERNEL_KEEPS 15 /* characters of a name */

_Thread_local struct rt_here rt_here;
_Thread_local long long rt_points;

struct rt_context *rt_current(void)
{
    return atomic_load_explicit(&rt_here.current, memory_order_relaxed);
}

struct rt_context *rt_set_current(struct rt_context *context)
{
    struct rt_context *before = rt_current();

    atomic_store_explicit(&rt_here.current, context, memory_order_relaxed);
    return before;
}

struct rt_carried *rt_carried(void)
{
    return &rt_here.carried;
}

uintptr_t rt_self(void)
{
    return rt_here.fiber != NULL ? (uintptr_t)rt_here.fiber : (uintptr_t)&rt_here;
}

static void *run(void *arg)
{
    struct rt_thread *t = arg;

    pthread_setname_np(pthread_self(), t->name);
    rt_set_current(t->context);
    t->fn(t->arg);
    return NULL;
}

int rt_thread_start(const char *name, void (*fn)(void *arg), void *arg, struct rt_thread **out)
{
    struct rt_thread *t;
    int rc;

    if (rt_here.fiber != NULL)
        return rt_sim_start(rt_here.fiber, name, fn, arg, out);
    t = calloc(1, sizeof(*t));
    if (t == NULL)
        return -ENOMEM;
    t->fn = fn;
    t->arg = arg;
    t->context = rt_current();
    strncpy(t->name, name, KERNEL_KEEPS);
    rc = pthread_create(&t->id, NULL, run, t);
    if (rc != 0) {
        free(t);
        return -rc;
    }
    *out = t;
    return 0;
}

void rt_thread_join(struct rt_thread *t)
{
    if (t == NULL)
        return;
    if (t->fiber != NULL) {
        rt_sim_join(t);
        return;
    }
    pthread_join(t->id, NULL);
    free(t);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads and the current context. The context is the one thing that is per thread: it says which engine host
 * an exported Windows function means, and a thread starts with the one of its starter.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rt/internal.h"

struct rt_thread {
    pthread_t id;
    void (*fn)(void *arg);
    void *arg;
    struct rt_context *context;
    char name[16]; /* what the kernel keeps */
};

static _Thread_local struct rt_context *current;
static _Thread_local struct rt_carried carried;

struct rt_context *rt_current(void)
{
    return current;
}

struct rt_context *rt_set_current(struct rt_context *context)
{
    struct rt_context *before = current;

    current = context;
    return before;
}

struct rt_carried *rt_carried(void)
{
    return &carried;
}

uintptr_t rt_self(void)
{
    return (uintptr_t)&current;
}

static void *run(void *arg)
{
    struct rt_thread *t = arg;

    pthread_setname_np(pthread_self(), t->name);
    current = t->context;
    t->fn(t->arg);
    return NULL;
}

int rt_thread_start(const char *name, void (*fn)(void *arg), void *arg, struct rt_thread **out)
{
    struct rt_thread *t = calloc(1, sizeof(*t));
    int rc;

    if (t == NULL)
        return -ENOMEM;
    t->fn = fn;
    t->arg = arg;
    t->context = current;
    strncpy(t->name, name, sizeof(t->name) - 1);
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
    pthread_join(t->id, NULL);
    free(t);
}

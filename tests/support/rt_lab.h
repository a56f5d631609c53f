/* SPDX-License-Identifier: Apache-2.0 */
/* A simulated world with a trace of who ran when: what the tests of rt's simulated back end share. */
#ifndef WEIR_TESTS_RT_LAB_H
#define WEIR_TESTS_RT_LAB_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "rt/rt.h"

#define US 1000ull
#define MS 1000000ull
#define S  1000000000ull

/* ---- a world with a trace ------------------------------------------------------------------------------ */

struct lab {
    struct rt_sim *sim;
    struct rt_clock *clock;
    struct rt_mutex *m;
    struct rt_cond *c;
    char trace[4096];
    size_t length;
    uint64_t hash; /* of all that was traced */
};

static inline void enter(struct lab *l, const struct rt_sim_config *config)
{
    memset(l, 0, sizeof(*l));
    assert_int_equal(rt_sim_create(config, &l->sim), 0);
    assert_int_equal(rt_sim_enter(l->sim), 0);
    l->clock = rt_sim_clock(l->sim);
    assert_int_equal(rt_mutex_create(&l->m), 0);
    assert_int_equal(rt_cond_create(l->clock, &l->c), 0);
}

static inline void leave(struct lab *l)
{
    rt_cond_destroy(l->c);
    rt_mutex_destroy(l->m);
    rt_sim_leave(l->sim);
    assert_null(rt_sim_current());
    rt_sim_destroy(l->sim);
}

static inline void note(struct lab *l, const char *what)
{
    size_t n = strlen(what);

    for (size_t i = 0; i < n; i++)
        l->hash = (l->hash ^ (unsigned char)what[i]) * 0x100000001b3ull;
    if (l->length + n < sizeof(l->trace)) {
        memcpy(l->trace + l->length, what, n + 1);
        l->length += n;
    }
}

static inline void sleep_until(struct lab *l, uint64_t deadline)
{
    rt_mutex_lock(l->m);
    while (rt_cond_wait(l->c, l->m, deadline) == 0)
        ;
    rt_mutex_unlock(l->m);
}

struct job {
    struct lab *l;
    const char *name;
    uint64_t at;
    unsigned turns;
};

static inline void start(struct rt_thread **t, struct job *j, void (*fn)(void *arg))
{
    assert_int_equal(rt_thread_start(j->name, fn, j, t), 0);
}

static inline void sleep_then_tell(void *arg)
{
    struct job *j = arg;

    sleep_until(j->l, j->at);
    assert_true(rt_clock_now(j->l->clock) == j->at); /* to the nanosecond */
    note(j->l, j->name);
}

#endif

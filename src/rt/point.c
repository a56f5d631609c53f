/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What code above calls on its way without waiting: scheduling points, yields, the time, random numbers.
 * Each is one predictable branch in the real back end.
 */
#include <sched.h>
#include <stddef.h>
#include <sys/random.h>

#include "rt/internal.h"

void rt_waits_for(const char *what)
{
    (void)what;
}

void rt_point(void)
{
}

void rt_yield(void)
{
    sched_yield();
}

struct rt_clock *rt_clock_of_thread(void)
{
    return rt_clock_real();
}

uint64_t rt_clock_query(struct rt_clock *c)
{
    return rt_clock_now(c);
}

uint64_t rt_random(void)
{
    uint64_t n = 0;
    unsigned char *at = (unsigned char *)&n;

    for (size_t have = 0; have < sizeof(n);) {
        ssize_t got = getrandom(at + have, sizeof(n) - have, 0);

        if (got > 0)
            have += (size_t)got;
    }
    return n;
}

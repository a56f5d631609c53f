/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random numbers: a world's come from its seed, by xoshiro256** (Blackman and Vigna), whose state SplitMix64
 * fills; those outside a world from the system. A world has two streams: one decides the schedule, one is
 * what rt_random() draws from, so that a driver that draws one number more does not change the schedule by
 * it.
 */
#include <sys/random.h>

#include "rt/sim.h"

void rt_random_seed(struct rt_random *r, uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        uint64_t z = (seed += 0x9e3779b97f4a7c15u);

        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        r->s[i] = z ^ (z >> 31);
    }
}

static uint64_t rotate(uint64_t x, int by)
{
    return (x << by) | (x >> (64 - by));
}

uint64_t rt_random_next(struct rt_random *r)
{
    uint64_t *s = r->s, result = rotate(s[1] * 5, 7) * 9, t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

uint64_t rt_random(void)
{
    uint64_t n = 0;
    unsigned char *at = (unsigned char *)&n;

    if (rt_here.fiber != NULL)
        return rt_random_next(&rt_here.fiber->world->drawn);
    for (size_t have = 0; have < sizeof(n);) { /* interrupted by a signal: goes on */
        ssize_t got = getrandom(at + have, sizeof(n) - have, 0);

        if (got > 0)
            have += (size_t)got;
    }
    return n;
}

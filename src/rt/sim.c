/* SPDX-License-Identifier: Apache-2.0 */
/* The simulated back end: to come. Nobody can create a world yet. */
#include <errno.h>
#include <stddef.h>

#include "rt/internal.h"

int rt_sim_create(const struct rt_sim_config *config, struct rt_sim **out)
{
    (void)config;
    *out = NULL;
    return -ENOSYS;
}

void rt_sim_destroy(struct rt_sim *s)
{
    (void)s;
}

int rt_sim_enter(struct rt_sim *s)
{
    (void)s;
    return -ENOSYS;
}

void rt_sim_leave(struct rt_sim *s)
{
    (void)s;
}

struct rt_sim *rt_sim_current(void)
{
    return NULL;
}

struct rt_clock *rt_sim_clock(struct rt_sim *s)
{
    (void)s;
    return rt_clock_real();
}

void rt_sim_settle(struct rt_sim *s, uint64_t until_ns)
{
    (void)s;
    (void)until_ns;
}

uint64_t rt_sim_next_deadline(const struct rt_sim *s)
{
    (void)s;
    return UINT64_MAX;
}

bool rt_sim_ready(const struct rt_sim *s)
{
    (void)s;
    return false;
}

void rt_sim_fibers(struct rt_sim *s,
                   void (*fn)(void *ctx, const char *name, const char *waits_for, struct rt_context *c),
                   void *ctx)
{
    (void)s;
    (void)fn;
    (void)ctx;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* flow_table: see the door. */
#include "host/flow_table.h"

#include <errno.h>

int flow_table_create(uint32_t limit, uint64_t seed, struct flow_table **out)
{
    (void)limit, (void)seed;
    *out = NULL;
    return -ENOMEM;
}

void flow_table_destroy(struct flow_table *t)
{
    (void)t;
}

uint32_t flow_table_count(const struct flow_table *t)
{
    (void)t;
    return 0;
}

size_t flow_table_bytes(const struct flow_table *t)
{
    (void)t;
    return 0;
}

struct host_flow *flow_table_find(struct flow_table *t, const struct host_flow_key *key)
{
    (void)t, (void)key;
    return NULL;
}

void flow_table_find_many(struct flow_table *t, const struct host_flow_key *const *keys, size_t n,
                          struct host_flow **out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = flow_table_find(t, keys[i]);
}

void flow_table_prefetch(const struct flow_table *t, const struct host_flow_key *key)
{
    (void)t, (void)key;
}

struct host_flow *flow_table_add(struct flow_table *t, const struct host_flow_key *key)
{
    (void)t, (void)key;
    return NULL;
}

void flow_table_remove(struct flow_table *t, struct host_flow *f)
{
    (void)t, (void)f;
}

struct host_flow *flow_table_at(struct flow_table *t, uint32_t slot)
{
    (void)t, (void)slot;
    return NULL;
}

uint32_t flow_table_slot(const struct flow_table *t, const struct host_flow *f)
{
    (void)t, (void)f;
    return FLOW_NONE;
}

struct host_flow *flow_table_by_id(struct flow_table *t, uint64_t id)
{
    (void)t, (void)id;
    return NULL;
}

void flow_table_touch(struct flow_table *t, struct host_flow *f, uint32_t now)
{
    (void)t;
    f->used = now;
}

struct host_flow *flow_table_oldest(struct flow_table *t)
{
    (void)t;
    return NULL;
}

uint32_t flow_table_expire(struct flow_table *t, uint32_t now, uint32_t max,
                           void (*fn)(void *ctx, struct host_flow *f), void *ctx)
{
    (void)t, (void)now, (void)max, (void)fn, (void)ctx;
    return 0;
}

void flow_table_each(struct flow_table *t, void (*fn)(void *ctx, struct host_flow *f), void *ctx)
{
    (void)t, (void)fn, (void)ctx;
}

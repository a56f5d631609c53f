/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index's door kept by a plain walk over the filters. Stands in the build until index.c does; not a part
 * of Weir beyond that.
 */
#include <errno.h>
#include <stdlib.h>

#include "engine/index.h"

static UINT32 linear_next(struct engine_cursor *c, UINT32 from)
{
    for (UINT32 i = from; i < c->ls->count; i++)
        if (engine_filter_holds(c->ls->filters[i], c->values))
            return i;
    return ENGINE_NO_POSITION;
}

static void linear_begin(const struct engine_layer_snapshot *ls, const FWPS_INCOMING_VALUE0 *values,
                         struct engine_class_cache *cache, struct engine_cursor *c)
{
    (void)cache;
    c->next = linear_next;
    c->ls = ls;
    c->values = values;
}

int engine_index_build(const struct engine_layer_snapshot *prev, struct engine_layer_snapshot *next,
                       const struct engine_layer_delta *delta)
{
    (void)prev;
    (void)delta;
    next->index = calloc(1, sizeof(*next->index));
    if (next->index == NULL)
        return -ENOMEM;
    next->index->begin = linear_begin;
    return 0;
}

void engine_index_destroy(struct engine_index *ix)
{
    free(ix);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The flow table's inside: shared by flow_table.c (buckets), flow_order.c (who was used when).
 * No other file includes it.
 */
#ifndef WEIR_HOST_FLOW_INSIDE_H
#define WEIR_HOST_FLOW_INSIDE_H

#include "host/flow_table.h"
#include "host/span.h"

/* ---- order (flow_order.c)
 * ---------------------------------------------------------------------------------- */

#define ORDER_CLASSES 15 /* lifetimes that are told apart; the last class is of all others */
#define ORDER_ODD     (ORDER_CLASSES - 1)
#define ORDER_LEVELS  6
#define ORDER_LISTS   (ORDER_LEVELS * 64 + 1)
#define ORDER_PENDING (ORDER_LEVELS * 64)
#define ORDER_FREE    15         /* host_flow.queue of a slot that holds no flow */
#define ORDER_HEAD    0xffff0000 /* links from here on name lists, not slots; the last one is FLOW_NONE */
#define ORDER_KEPT    (ORDER_CLASSES * ORDER_LISTS)

struct order_link {
    uint32_t older, newer;
};

struct order_class {
    uint32_t last;       /* nothing in it was used before */
    uint32_t not_before; /* nothing of it runs out before */
    uint32_t count;
    uint16_t lifetime;
    uint64_t filled[ORDER_LEVELS]; /* lists that may hold something; one that is clear is empty */
};

struct order {
    uint32_t now;
    struct order_class classes[ORDER_CLASSES]; /* 0: those without a lifetime */
    struct order_link heads[ORDER_CLASSES * ORDER_LISTS + 1];
};

void order_open(struct order *o);
/* Flow of slot `slot` enters, by its `used` and `lifetime`; leaves. */
void order_enter(struct flow_table *t, uint32_t slot);
void order_leave(struct flow_table *t, uint32_t slot);

/* ---- the table
 * --------------------------------------------------------------------------------------------- */

struct bucket;

struct flow_table {
    uint32_t limit, count;
    uint64_t secret[6];
    /* buckets: `width` of them; those below `unsplit` of the half width have not been split yet */
    struct bucket *buckets;
    uint32_t width, full_width, unsplit, steps;
    uint32_t retry;      /* growing failed: not before so many flows */
    struct bucket *more; /* overflow buckets */
    uint32_t more_used, more_free;
    struct host_flow *flows;
    uint32_t slots, free_slot; /* slots ever used; the list of free ones through `older` */
    size_t budget;
    struct span bucket_span, more_span, flow_span;
    uint32_t recent[1024]; /* slot + 1, by id: flow_table_by_id()'s */
    struct order order;
};

static inline struct host_flow *flow_of(struct flow_table *t, uint32_t slot)
{
    return &t->flows[slot];
}

#endif

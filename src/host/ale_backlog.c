/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ale_backlog: accepts that were completed, ended several at a time.
 *
 *   host_complete(), last ticket of an accept --> backlog --full, or the lane is entered--> ended, its flow let go
 *
 * A completed accept asks nobody (PEND-24): its operation ends, and its flow is let go. Of many that are pended neither
 * is in the caches, and the flow is known from the operation: one after the other they take longer than all else that
 * completing does. So the operation is only noted and fetched. When ALE_BACKLOG are there, all their flows are fetched,
 * and then all are ended. That the context is good is seen without either (struct ale's `awaited`).
 *
 * Nobody can tell. The lane's lock guards the backlog, and whoever enters the lane, for whatever it is that it guards,
 * carries it out first (lane_lock()), in the order of the completions; so no time passes between either, for a lane's
 * clock moves in the lane. Only host_complete() itself leaves it as it is: it looks at contexts that are awaited, and
 * those in the backlog are so no longer.
 */
#include "host/ale_inside.h"

void ale_backlog_settle(struct lane *l)
{
    struct ale_backlog *b = &ale_of(l)->backlog;

    for (UINT32 i = 0; i < b->count; i++)
        flow_table_fetch(l->flows, b->ends[i]->flow_slot);
    for (UINT32 i = 0; i < b->count; i++) {
        struct ale_operation *op = b->ends[i];
        struct host_flow *f = ale_flow_at(l, op->flow_slot, op->flow_id);
        const bool lets_go = !op->cancelled && f != NULL;

        op->outstanding = 0;
        ale_operation_end(l, op, f);
        if (lets_go)
            ale_let_go(l, f);
    }
    b->count = 0;
}

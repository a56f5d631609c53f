/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream_fault: what callouts do against the contract of the stream layer, as findings against their driver, with the function:
 * the classifyFn, or what called into the host.
 *
 * Each is told once for a direction of a stream and a stage: what a callout does with every segment is one finding. The
 * outcome is the same every time. Of a callout that is gone the driver is known still, from when its stage was made.
 */
#include "host/stream_inside.h"
#include "ledger/ledger.h"

static const char *const texts[STREAM_FAULTS] = {
    [STREAM_LEFT_ALONE] = "a stream callout left actionType as it was: taken as CONTINUE",
    [STREAM_UNKNOWN_ACTION] = "a stream callout answered an unknown action: taken as BLOCK",
    [STREAM_UNKNOWN_STREAM_ACTION] = "an unknown streamAction: taken as NONE",
    [STREAM_REQUIRED_ALONE] = "countBytesRequired without FWPS_STREAM_ACTION_NEED_MORE_DATA: ignored",
    [STREAM_MORE_AT_END] = "NEED_MORE_DATA where NO_MORE_DATA was said: taken as PERMIT",
    [STREAM_MORE_AT_LIMIT] = "NEED_MORE_DATA where BUFFER_LIMIT_REACHED was said: taken as PERMIT",
    [STREAM_MORE_OF_NOTHING] = "NEED_MORE_DATA with countBytesRequired 0: taken as one byte more",
    [STREAM_DEFER_OF_SENT] = "DEFER of data that are sent: taken as PERMIT",
    [STREAM_DEFER_AT_LIMIT] = "DEFER where BUFFER_LIMIT_REACHED was said: taken as PERMIT",
    [STREAM_DEFER_AT_END] = "DEFER where the stream has ended: taken as PERMIT",
    [STREAM_DROP_BY_INSPECTION] = "DROP_CONNECTION by an inspection callout: ignored",
    [STREAM_ENFORCED_BEYOND] = "countBytesEnforced is more than was indicated: taken as all of it",
    [STREAM_PASSED_BEHIND] =
        "a stream callout let data pass in line of which it had taken out earlier ones for later: "
        "they pass, and what it puts in comes behind them",
    [STREAM_INJECTED_OUTSIDE] = "data were injected from outside a classifyFn into a stream that is not "
                                "deferred and of which the callout does "
                                "not take out everything: they go in where the stream stands",
    [STREAM_INJECTED_OTHER_WAY] =
        "a clone of data of one direction was injected into the other: it is sent as it is",
    [STREAM_END_INVENTED] =
        "a stream callout injected an end that it was not shown: nothing passes behind it",
    [STREAM_FILTER_WENT] =
        "a stream filter went while data of a stream waited for its callout: they were handed on",
};

void stream_report(struct stream_run *r, unsigned k, enum stream_fault fault, const void *site)
{
    struct stream_dir *d = &r->st->dir[r->dir];
    const struct stream_stage *stage = &d->set->stages[k];
    struct engine *e = r->host->config.engine;
    struct rt_context *driver = engine_filter_driver(e, stage->is.filter);
    struct ledger_party *party = driver != NULL ? driver->party : stage->party;

    if ((d->places[k].told & 1u << fault) != 0 || party == NULL)
        return;
    d->places[k].told |= 1u << fault;
    ledger_report_for(party, LEDGER_NOTE, site != NULL ? site : engine_filter_function(e, stage->is.filter),
                      texts[fault]);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arbitration, the part that callouts need: reading what a classifyFn made of its FWPS_CLASSIFY_OUT0.
 * Pure functions; see arbitrate.h for the state machine.
 */
#include "engine/arbitrate.h"

/* The answer in an actionType: PERMIT, BLOCK or CONTINUE; of one that is none (CLS-05) BLOCK. */
static FWP_ACTION_TYPE answer_of(FWP_ACTION_TYPE action)
{
    switch (action) {
    case FWP_ACTION_PERMIT:
    case FWP_ACTION_BLOCK:
        return action;
    case 0: /* left alone where nothing was decided: ARB-27 */
    case FWP_ACTION_CONTINUE:
    case FWP_ACTION_NONE:
    case FWP_ACTION_NONE_NO_MATCH:
        return FWP_ACTION_CONTINUE; /* CLS-04 */
    default:
        return FWP_ACTION_BLOCK;
    }
}

/* How the callout behaved. said, step: what its answer was taken for and did; absorbs: it absorbed by it. Only who traces
 * wants to know, and GCC makes a table of all these sums before the first branch: away from where answers are taken. */
static __attribute__((noinline)) UINT32 conduct_of(FWP_ACTION_TYPE kind, UINT32 filter_flags,
                                                   const FWPS_CLASSIFY_OUT0 *shown,
                                                   const FWPS_CLASSIFY_OUT0 *returned, FWP_ACTION_TYPE said,
                                                   struct engine_arb_step step, bool absorbs)
{
    const bool acts = said != FWP_ACTION_CONTINUE, changed = returned->actionType != shown->actionType;
    const bool writes = (shown->rights & FWPS_RIGHT_ACTION_WRITE) != 0;
    const bool left = writes && (returned->rights & FWPS_RIGHT_ACTION_WRITE) != 0;
    UINT32 found = 0;

    if (said == FWP_ACTION_BLOCK && returned->actionType != said)
        found |= ENGINE_CONDUCT_INVALID_ACTION;
    if (returned->outContext != shown->outContext || returned->filterId != shown->filterId ||
        returned->reserved != shown->reserved)
        found |= ENGINE_CONDUCT_SYSTEM_MEMBER;
    if (returned->rights & ~shown->rights)
        found |= ENGINE_CONDUCT_RIGHTS_GAINED;
    if ((returned->flags & FWPS_CLASSIFY_OUT_FLAG_ABSORB) && !absorbs)
        found |= ENGINE_CONDUCT_ABSORB_IGNORED;

    if (kind == FWP_ACTION_CALLOUT_INSPECTION) {
        if (changed && acts)
            found |= ENGINE_CONDUCT_INSPECTION_ACTED;
    } else if (!writes) {
        if (changed && !step.took_effect && returned->actionType != 0)
            found |= ENGINE_CONDUCT_NO_RIGHT;
    } else if (!acts) {
        if (kind == FWP_ACTION_CALLOUT_TERMINATING)
            found |= ENGINE_CONDUCT_CONTINUED;
    } else if (left && said == FWP_ACTION_BLOCK) {
        found |= absorbs ? ENGINE_CONDUCT_SOFT_BLOCK | ENGINE_CONDUCT_SOFT_ABSORB : ENGINE_CONDUCT_SOFT_BLOCK;
    } else if (left && (filter_flags & FWPS_FILTER_FLAG_CLEAR_ACTION_RIGHT)) {
        found |= ENGINE_CONDUCT_SOFT_PERMIT;
    }
    return found;
}

struct engine_arb_step engine_arb_callout(struct engine_arbitration *a, const struct engine_filter *f,
                                          FWP_ACTION_TYPE kind, UINT32 filter_flags,
                                          const FWPS_CLASSIFY_OUT0 *shown, const FWPS_CLASSIFY_OUT0 *returned,
                                          bool absorb, UINT32 *conduct)
{
    struct engine_arb_step step = {FWP_ACTION_CONTINUE, false, false};
    const FWP_ACTION_TYPE said = answer_of(returned->actionType);
    const bool decides = kind != FWP_ACTION_CALLOUT_INSPECTION && said != FWP_ACTION_CONTINUE;
    const bool absorbs = absorb && decides && said == FWP_ACTION_BLOCK &&
                         (returned->flags & FWPS_CLASSIFY_OUT_FLAG_ABSORB) != 0;
    const UINT32 absorbed = absorbs ? ENGINE_VERDICT_ABSORB : 0;

    if (decides && (shown->rights & FWPS_RIGHT_ACTION_WRITE)) {
        engine_arb_take(a, said, returned->rights & FWPS_RIGHT_ACTION_WRITE, absorbed, f);
        step = (struct engine_arb_step){said, true, true};
    } else if (decides && returned->actionType != shown->actionType) {
        /* Without WRITE: only a permit may be turned, and only into a block (ARB-14, 16, 34). */
        step.said = said;
        step.ends = true;
        step.took_effect = said == FWP_ACTION_BLOCK && a->action == FWP_ACTION_PERMIT;
        if (step.took_effect)
            engine_arb_take(a, FWP_ACTION_BLOCK, 0, ENGINE_VERDICT_VETO | absorbed, f);
    }
    if (__builtin_expect(conduct != NULL, 0))
        *conduct = conduct_of(kind, filter_flags, shown, returned, said, step, absorbs);
    return step;
}

struct engine_arb_step engine_arb_supposed(struct engine_arbitration *a, const struct engine_filter *f,
                                           FWP_ACTION_TYPE kind, UINT32 filter_flags, FWP_ACTION_TYPE answer)
{
    FWPS_CLASSIFY_OUT0 shown, returned;

    engine_arb_show(a, 0, &shown);
    returned = shown;
    if (answer == FWP_ACTION_PERMIT || answer == FWP_ACTION_BLOCK) {
        if (shown.rights & FWPS_RIGHT_ACTION_WRITE) {
            returned.actionType = answer;
            if (answer == FWP_ACTION_BLOCK || (filter_flags & FWPS_FILTER_FLAG_CLEAR_ACTION_RIGHT))
                returned.rights &= ~(UINT32)FWPS_RIGHT_ACTION_WRITE;
        } else if (answer == FWP_ACTION_BLOCK) {
            returned.actionType = FWP_ACTION_BLOCK; /* a veto, or nothing */
        }
    } else {
        returned.actionType = FWP_ACTION_CONTINUE;
    }
    return engine_arb_callout(a, f, kind, filter_flags, &shown, &returned, false, NULL);
}

bool engine_absorb_allowed(UINT16 layer_id, bool pended)
{
    switch (layer_id) {
    case FWPS_LAYER_INBOUND_MAC_FRAME_NATIVE:
    case FWPS_LAYER_OUTBOUND_MAC_FRAME_NATIVE:
    case FWPS_LAYER_INBOUND_MAC_FRAME_ETHERNET:
    case FWPS_LAYER_OUTBOUND_MAC_FRAME_ETHERNET:
    case FWPS_LAYER_INGRESS_VSWITCH_ETHERNET:
    case FWPS_LAYER_EGRESS_VSWITCH_ETHERNET:
    case FWPS_LAYER_INBOUND_IPPACKET_V4:
    case FWPS_LAYER_INBOUND_IPPACKET_V6:
    case FWPS_LAYER_OUTBOUND_IPPACKET_V4:
    case FWPS_LAYER_OUTBOUND_IPPACKET_V6:
    case FWPS_LAYER_INBOUND_TRANSPORT_V4:
    case FWPS_LAYER_INBOUND_TRANSPORT_V6:
    case FWPS_LAYER_OUTBOUND_TRANSPORT_V4:
    case FWPS_LAYER_OUTBOUND_TRANSPORT_V6:
    case FWPS_LAYER_INBOUND_ICMP_ERROR_V4:
    case FWPS_LAYER_INBOUND_ICMP_ERROR_V6:
    case FWPS_LAYER_OUTBOUND_ICMP_ERROR_V4:
    case FWPS_LAYER_OUTBOUND_ICMP_ERROR_V6:
    case FWPS_LAYER_DATAGRAM_DATA_V4:
    case FWPS_LAYER_DATAGRAM_DATA_V6:
    case FWPS_LAYER_STREAM_PACKET_V4:
    case FWPS_LAYER_STREAM_PACKET_V6:
    case FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V4:
    case FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V6:
    case FWPS_LAYER_ALE_AUTH_CONNECT_V4:
    case FWPS_LAYER_ALE_AUTH_CONNECT_V6:
        return true;
    case FWPS_LAYER_ALE_FLOW_ESTABLISHED_V4: /* CLS-11: accepted, not recommended */
    case FWPS_LAYER_ALE_FLOW_ESTABLISHED_V6:
    case FWPS_LAYER_IPFORWARD_V4: /* CLS-13 */
    case FWPS_LAYER_IPFORWARD_V6:
        return true;
    case FWPS_LAYER_ALE_RESOURCE_ASSIGNMENT_V4: /* CLS-13: for a pended operation */
    case FWPS_LAYER_ALE_RESOURCE_ASSIGNMENT_V6:
    case FWPS_LAYER_ALE_AUTH_LISTEN_V4:
    case FWPS_LAYER_ALE_AUTH_LISTEN_V6:
        return pended;
    default:
        return false;
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arbitration, the part that callouts need: reading what a classifyFn made of its FWPS_CLASSIFY_OUT0.
 * Pure functions; see arbitrate.h for the state machine.
 */
#include "engine/arbitrate.h"

/* The answer in an actionType (CLS-04, CLS-05): PERMIT, BLOCK or CONTINUE. */
static FWP_ACTION_TYPE answer_of(FWP_ACTION_TYPE action, UINT32 *conduct)
{
    switch (action) {
    case FWP_ACTION_PERMIT:
    case FWP_ACTION_BLOCK:
        return action;
    case 0: /* left alone where nothing was decided: ARB-27 */
    case FWP_ACTION_CONTINUE:
    case FWP_ACTION_NONE:
    case FWP_ACTION_NONE_NO_MATCH:
        return FWP_ACTION_CONTINUE;
    default:
        *conduct |= ENGINE_CONDUCT_INVALID_ACTION;
        return FWP_ACTION_BLOCK;
    }
}

/* Without WRITE: only a permit may be turned, and only into a block (ARB-14, 16, 34). */
static struct engine_arb_step without_right(struct engine_arbitration *a, const struct engine_filter *f,
                                            const FWPS_CLASSIFY_OUT0 *shown,
                                            const FWPS_CLASSIFY_OUT0 *returned, FWP_ACTION_TYPE said,
                                            UINT32 absorb, UINT32 *conduct)
{
    struct engine_arb_step step = {FWP_ACTION_CONTINUE, false, false};

    if (returned->actionType == shown->actionType)
        return step;
    if (said == FWP_ACTION_CONTINUE) {
        if (returned->actionType != 0)
            *conduct |= ENGINE_CONDUCT_NO_RIGHT;
        return step;
    }
    step.said = said;
    step.ends = true;
    if (said == FWP_ACTION_BLOCK && a->action == FWP_ACTION_PERMIT) {
        engine_arb_take(a, FWP_ACTION_BLOCK, 0, ENGINE_VERDICT_VETO | absorb, f);
        step.took_effect = true;
    } else {
        *conduct |= ENGINE_CONDUCT_NO_RIGHT;
    }
    return step;
}

struct engine_arb_step engine_arb_callout(struct engine_arbitration *a, const struct engine_filter *f,
                                          FWP_ACTION_TYPE kind, UINT32 filter_flags,
                                          const FWPS_CLASSIFY_OUT0 *shown, const FWPS_CLASSIFY_OUT0 *returned,
                                          bool absorb, UINT32 *conduct)
{
    struct engine_arb_step step = {FWP_ACTION_CONTINUE, false, false};
    UINT32 found = 0, rights = shown->rights & returned->rights & FWPS_RIGHT_ACTION_WRITE;
    UINT32 absorbed = 0;
    FWP_ACTION_TYPE said = answer_of(returned->actionType, &found);

    if (returned->outContext != shown->outContext || returned->filterId != shown->filterId ||
        returned->reserved != shown->reserved)
        found |= ENGINE_CONDUCT_SYSTEM_MEMBER;
    if (returned->rights & ~shown->rights)
        found |= ENGINE_CONDUCT_RIGHTS_GAINED;
    if (returned->flags & FWPS_CLASSIFY_OUT_FLAG_ABSORB) {
        if (absorb && said == FWP_ACTION_BLOCK && kind != FWP_ACTION_CALLOUT_INSPECTION)
            absorbed = ENGINE_VERDICT_ABSORB;
        else
            found |= ENGINE_CONDUCT_ABSORB_IGNORED;
    }

    if (kind == FWP_ACTION_CALLOUT_INSPECTION) {
        if (returned->actionType != shown->actionType && said != FWP_ACTION_CONTINUE)
            found |= ENGINE_CONDUCT_INSPECTION_ACTED;
    } else if (!(shown->rights & FWPS_RIGHT_ACTION_WRITE)) {
        step = without_right(a, f, shown, returned, said, absorbed, &found);
    } else if (said == FWP_ACTION_CONTINUE) {
        if (kind == FWP_ACTION_CALLOUT_TERMINATING)
            found |= ENGINE_CONDUCT_CONTINUED;
    } else {
        if (said == FWP_ACTION_BLOCK && rights)
            found |=
                absorbed ? ENGINE_CONDUCT_SOFT_BLOCK | ENGINE_CONDUCT_SOFT_ABSORB : ENGINE_CONDUCT_SOFT_BLOCK;
        if (said == FWP_ACTION_PERMIT && rights && (filter_flags & FWPS_FILTER_FLAG_CLEAR_ACTION_RIGHT))
            found |= ENGINE_CONDUCT_SOFT_PERMIT;
        engine_arb_take(a, said, rights, absorbed, f);
        step = (struct engine_arb_step){said, true, true};
    }
    if (conduct != NULL)
        *conduct = found;
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

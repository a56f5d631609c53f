/* SPDX-License-Identifier: Apache-2.0 */
/*
 * paths_discard: what the stack itself discards, at which discard layer and for which reason (ORD-18).
 *
 * Faults of the network header: II_DISCARD with the network module's reason; II itself has not seen such a
 * packet, for its data would start behind a header that cannot be read. Faults of the transport header: II,
 * then IT_DISCARD with the transport module's reason. Nobody listening: TCP at IT_DISCARD (ORD-06), all else
 * at II_DISCARD (ORD-12). None of it is removed from what replay writes; the discard layers hear of it.
 */
#include "host/paths.h"

bool path_discard(struct scene *s, enum host_layer role, FWPS_DISCARD_MODULE0 module, UINT32 reason,
                  struct host_outcome *out)
{
    out->fate = HOST_STACK;
    out->layer = engine_layer_by_id(layer_discard_id(role, s->version));
    out->module = module;
    out->reason = reason;
    return indicate_discard(s, role, module, reason);
}

static const struct {
    bool transport;
    UINT8 reason;
} reasons[] = {
    [WIRE_FAULT_IP_VERSION] = {false, IpDiscardMalformedHeader},
    [WIRE_FAULT_IP_SHORT] = {false, IpDiscardBadLength},
    [WIRE_FAULT_IP_HEADER_LENGTH] = {false, IpDiscardMalformedHeader},
    [WIRE_FAULT_IP_TOTAL_LENGTH] = {false, IpDiscardBadLength},
    [WIRE_FAULT_IP_CHECKSUM] = {false, IpDiscardBadChecksum},
    [WIRE_FAULT_IP_OPTION] = {false, IpDiscardMalformedHeader},
    [WIRE_FAULT_IP6_EXTENSION] = {false, IpDiscardMalformedHeader},
    [WIRE_FAULT_IP6_OPTION] = {false, IpDiscardMalformedHeader},
    [WIRE_FAULT_IP6_JUMBOGRAM] = {false, IpDiscardMalformedHeader},
    [WIRE_FAULT_FRAGMENT] = {false, IpDiscardBadLength},
    [WIRE_FAULT_FIRST_FRAGMENT] = {false, IpDiscardFirstFragmentIncomplete},
    [WIRE_FAULT_TRANSPORT_SHORT] = {true, InetDiscardHeaderInvalid},
    [WIRE_FAULT_TCP_OFFSET] = {true, InetDiscardHeaderInvalid},
    [WIRE_FAULT_TCP_OPTION] = {true, InetDiscardHeaderInvalid},
    [WIRE_FAULT_UDP_LENGTH] = {true, InetDiscardHeaderInvalid},
    [WIRE_FAULT_CHECKSUM] = {true, InetDiscardChecksumInvalid},
};

void path_discard_fault(struct scene *s, enum wire_fault fault, struct host_outcome *out)
{
    const bool transport = reasons[fault].transport;

    out->fault = fault;
    path_discard(s, transport ? LAYER_IT : LAYER_II,
                 transport ? FWPS_DISCARD_MODULE_TRANSPORT : FWPS_DISCARD_MODULE_NETWORK,
                 reasons[fault].reason, out);
}

void path_discard_nobody(struct scene *s, struct host_outcome *out)
{
    struct host_flow_key key;
    bool silent;

    if (s->protocol == WIRE_PROTOCOL_TCP)
        silent = path_discard(s, LAYER_IT, FWPS_DISCARD_MODULE_TRANSPORT, InetDiscardEndpointNotFound, out);
    else
        silent = path_discard(
            s, LAYER_II, FWPS_DISCARD_MODULE_NETWORK,
            s->protocol == WIRE_PROTOCOL_UDP ? IpDiscardPortUnreachable : IpDiscardProtocolUnreachable, out);
    path_key(s, &key);
    lane_enter(s->lane);
    if (silent && !s->host->config.live)
        memory_put(s->lane->memory, &key, MEMORY_SILENCED, s->time_ns, s->time_ns + SILENCE_NS);
    else
        memory_drop(s->lane->memory, &key, MEMORY_BIT(MEMORY_SILENCED));
    lane_leave(s->lane);
}

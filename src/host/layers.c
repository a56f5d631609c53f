/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The layers by the part they play: what the paths call II or RA is, for a family, a run-time id. The
 * numbers are the generated FWPS_LAYER_* ones; tests/conformance/pkt_layers.c holds them against the names of
 * the facts' tables.
 */
#include "host/internal.h"

#define NO_LAYER 0xffff

/* clang-format off */
#define BOTH(name)    {FWPS_LAYER_##name##_V4, FWPS_LAYER_##name##_V6}
#define DISCARD(name) {FWPS_LAYER_##name##_V4_DISCARD, FWPS_LAYER_##name##_V6_DISCARD}
#define L2(name)      {FWPS_LAYER_##name, FWPS_LAYER_##name}
#define NONE          {NO_LAYER, NO_LAYER}

static const struct {
    const char *short_name;
    UINT16 id[2], discard[2]; /* [1]: IPv6 */
} layers[LAYER_ROLES] = {
    [LAYER_II]             = {"II",  BOTH(INBOUND_IPPACKET), DISCARD(INBOUND_IPPACKET)},
    [LAYER_OI]             = {"OI",  BOTH(OUTBOUND_IPPACKET), DISCARD(OUTBOUND_IPPACKET)},
    [LAYER_FW]             = {"FW",  BOTH(IPFORWARD), DISCARD(IPFORWARD)},
    [LAYER_IT]             = {"IT",  BOTH(INBOUND_TRANSPORT), DISCARD(INBOUND_TRANSPORT)},
    [LAYER_OT]             = {"OT",  BOTH(OUTBOUND_TRANSPORT), DISCARD(OUTBOUND_TRANSPORT)},
    [LAYER_ST]             = {"ST",  BOTH(STREAM), DISCARD(STREAM)},
    [LAYER_DD]             = {"DD",  BOTH(DATAGRAM_DATA), DISCARD(DATAGRAM_DATA)},
    [LAYER_IIE]            = {"IIE", BOTH(INBOUND_ICMP_ERROR), DISCARD(INBOUND_ICMP_ERROR)},
    [LAYER_OIE]            = {"OIE", BOTH(OUTBOUND_ICMP_ERROR), DISCARD(OUTBOUND_ICMP_ERROR)},
    [LAYER_RES]            = {"RES", BOTH(ALE_RESOURCE_ASSIGNMENT), DISCARD(ALE_RESOURCE_ASSIGNMENT)},
    [LAYER_LIS]            = {"LIS", BOTH(ALE_AUTH_LISTEN), DISCARD(ALE_AUTH_LISTEN)},
    [LAYER_RA]             = {"RA",  BOTH(ALE_AUTH_RECV_ACCEPT), DISCARD(ALE_AUTH_RECV_ACCEPT)},
    [LAYER_AC]             = {"AC",  BOTH(ALE_AUTH_CONNECT), DISCARD(ALE_AUTH_CONNECT)},
    [LAYER_FE]             = {"FE",  BOTH(ALE_FLOW_ESTABLISHED), DISCARD(ALE_FLOW_ESTABLISHED)},
    [LAYER_RR]             = {"RR",  BOTH(ALE_RESOURCE_RELEASE), NONE},
    [LAYER_EC]             = {"EC",  BOTH(ALE_ENDPOINT_CLOSURE), NONE},
    [LAYER_CR]             = {"CR",  BOTH(ALE_CONNECT_REDIRECT), NONE},
    [LAYER_BR]             = {"BR",  BOTH(ALE_BIND_REDIRECT), NONE},
    [LAYER_SPK]            = {"SPK", BOTH(STREAM_PACKET), NONE},
    [LAYER_MAC_IN]         = {"MAC_IN",         L2(INBOUND_MAC_FRAME_ETHERNET), NONE},
    [LAYER_MAC_OUT]        = {"MAC_OUT",        L2(OUTBOUND_MAC_FRAME_ETHERNET), NONE},
    [LAYER_MAC_IN_NATIVE]  = {"MAC_IN_NATIVE",  L2(INBOUND_MAC_FRAME_NATIVE), NONE},
    [LAYER_MAC_OUT_NATIVE] = {"MAC_OUT_NATIVE", L2(OUTBOUND_MAC_FRAME_NATIVE), NONE},
};
/* clang-format on */

UINT16 layer_id(enum host_layer role, uint8_t version)
{
    return layers[role].id[version == 6];
}

UINT16 layer_discard_id(enum host_layer role, uint8_t version)
{
    return layers[role].discard[version == 6];
}

const char *layer_short_name(enum host_layer role)
{
    return layers[role].short_name;
}

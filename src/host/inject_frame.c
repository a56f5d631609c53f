/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inject_frame: what injections at the MAC layers need to know of them: where a frame starts again, and whether who
 * injects it has a filter there.
 *
 *   INBOUND_MAC_FRAME_NATIVE -> INBOUND_MAC_FRAME_ETHERNET -> the host, as what arrives
 *   OUTBOUND_MAC_FRAME_ETHERNET -> OUTBOUND_MAC_FRAME_NATIVE -> the wire
 *
 * The layer that FwpsInjectMac*Async0 names is met again (INJ-12), and what is behind it.
 */
#include "host/inject_inside.h"

enum host_layer injection_mac_layer(UINT16 layer)
{
    static const enum host_layer layers[] = {LAYER_MAC_IN, LAYER_MAC_OUT, LAYER_MAC_IN_NATIVE,
                                             LAYER_MAC_OUT_NATIVE};

    for (unsigned i = 0; i < sizeof(layers) / sizeof(layers[0]); i++)
        if (layer_id(layers[i], 4) == layer)
            return layers[i];
    return LAYER_ROLES;
}

bool injection_has_filter(struct host *h, const struct injection *i)
{
    struct engine_reader *reader = h->lanes[0].reader;
    const struct engine_filter *const *filters;
    bool found = false;
    size_t n;

    n = engine_snapshot_filters(engine_pin(reader), i->what.layer, &filters);
    for (size_t k = 0; k < n && !found; k++)
        found = (engine_filter_fwps(filters[k])->action.type & FWP_ACTION_FLAG_CALLOUT) != 0 &&
                engine_filter_driver(h->config.engine, filters[k]) == i->context;
    engine_unpin(reader);
    return found;
}

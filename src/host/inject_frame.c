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
#include <string.h>

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

/* The adapter whose MAC stands in the frame as this host's end; NULL: none. */
static const struct host_interface *by_mac(const struct host *h, const struct wire_packet *p, bool inbound)
{
    const uint8_t *mac = p->frame + (inbound ? 0 : 6);
    static const uint8_t unknown[6];

    for (size_t i = 0; i < h->interface_count; i++)
        if (memcmp(h->interfaces[i]->desc.mac, mac, 6) == 0 && memcmp(mac, unknown, 6) != 0)
            return h->interfaces[i];
    return NULL;
}

const struct host_interface *injection_adapter(const struct host *h, const struct injection *i,
                                               const struct wire_packet *p)
{
    const bool inbound = i->what.kind == HOST_INJECT_MAC_RECEIVE;
    const struct host_interface *found = host_interface_by_index(h, i->what.interface_index);

    if (found == NULL && i->origin != NULL)
        found = host_interface_by_index(h, i->origin->interface_index);
    if (found != NULL || i->what.interface_index != 0)
        return found;
    /* A replay does not say what its adapters' indexes are, so a driver has none to name. */
    found = by_mac(h, p, inbound);
    if (found == NULL && p->version != 0)
        found = host_interface_of(h, p->version, inbound ? &p->destination : &p->source);
    if (found == NULL && p->version != 0 && !inbound)
        found = host_route(h, p->version, &p->destination);
    for (size_t k = 0; k < h->interface_count && found == NULL; k++)
        if (h->interfaces[k] != host_loopback_interface(h))
            found = h->interfaces[k];
    return found;
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

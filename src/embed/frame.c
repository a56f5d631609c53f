/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir.h: Ethernet frames, whole, whatever is in them.
 *
 *   weir_frame_send(TO_HOST)   --> wire.c, as from the other end --> gate.c: the host's layers
 *   weir_frame_send(FROM_HOST) --> gate.c: the MAC layers outbound --> wire.c
 *
 * The tap hears of a frame twice: when it is put on the wire, and when it has come through: to the other end's adapter, or
 * past the host's layers to what is above them. Called where packets' taps are: on the test's own thread, from within its
 * calls, nothing held.
 */
#include <errno.h>
#include <string.h>

#include "embed/machine.h"

#define IPV4 0x0800u
#define IPV6 0x86ddu

uint32_t embed_frame_ip(const uint8_t *frame, uint32_t size)
{
    struct wire_packet p;

    if (size > LINK && ((frame[12] == 0x08 && frame[13] == 0x00) || (frame[12] == 0x86 && frame[13] == 0xdd)))
        return LINK;                                       /* nearly all */
    wire_parse(WIRE_LINK_ETHERNET, frame, size, size, &p); /* tags, 802.3 */
    return p.reached >= WIRE_LINK && (p.ether_type == IPV4 || p.ether_type == IPV6) ? p.ip_at : size;
}

bool embed_frame_is_for(const uint8_t mac[6], const uint8_t *frame)
{
    return (frame[0] & 1) != 0 || memcmp(frame, mac, 6) == 0;
}

void embed_frame_tell(struct embed *e, const struct embed_interface *i, enum weir_way way, bool arrived,
                      const uint8_t *frame, uint32_t size)
{
    const struct weir_frame f = {
        .interface = i->index, .way = way, .arrived = arrived, .bytes = frame, .size = size};
    const void *out;

    if (e->frame_tap == NULL)
        return;
    out = embed_calls_out();
    e->frame_tap(e->frame_tap_ctx, &f);
    embed_is_back(out);
    embed_again(e);
}

/* ---- weir.h -------------------------------------------------------------------------------------------- */

void weir_tap_frames(struct weir *w, void (*tap)(void *ctx, const struct weir_frame *f), void *ctx)
{
    struct embed *e;

    if (EMBED_ENTER(EMBED_ENGINE, w, &e) == NULL)
        return;
    e->frame_tap = tap;
    e->frame_tap_ctx = ctx;
}

int weir_mac(struct weir *w, uint32_t interface, bool peer, uint8_t mac[6])
{
    struct embed_interface *i;
    struct embed *e;

    if (EMBED_ENTER(EMBED_ENGINE, w, &e) == NULL)
        return -EINVAL;
    i = embed_interface_by_index(e, interface);
    if (i == NULL || mac == NULL) {
        embed_failed(e, __func__, i == NULL ? "there is no interface %u" : "interface %u: mac is NULL",
                     interface);
        return -EINVAL;
    }
    memcpy(mac, i->mac[peer], 6);
    return 0;
}

/* What is wrong with it; NULL: nothing. */
static const char *fault_of(enum weir_way way, const void *frame, size_t size)
{
    if (frame == NULL || size < LINK || size > EMBED_FRAME_MOST)
        return "a frame of 14 to 65,549 bytes is wanted, from its Ethernet header on";
    if (way != WEIR_TO_HOST && way != WEIR_FROM_HOST)
        return "one way is wanted: WEIR_TO_HOST or WEIR_FROM_HOST";
    if (rt_carried()->in_classify != 0)
        return "called from within a classify";
    if (way == WEIR_FROM_HOST && embed_frame_ip(frame, (uint32_t)size) < size)
        return "it holds an IP packet: the host sends those from sockets";
    return NULL;
}

int weir_frame_send(struct weir *w, uint32_t interface, enum weir_way way, const void *frame, size_t size)
{
    struct embed_interface *i;
    const char *fault;
    struct embed *e;
    int err = 0;

    if (EMBED_ENTER(EMBED_ENGINE, w, &e) == NULL)
        return -EINVAL;
    i = embed_interface_by_index(e, interface);
    fault = fault_of(way, frame, size);
    if (i == NULL || fault != NULL) {
        if (i == NULL)
            embed_failed(e, __func__, "there is no interface %u", interface);
        else
            embed_failed(e, __func__, "%s", fault);
        return -EINVAL;
    }
    if (way == WEIR_TO_HOST)
        embed_wire_frame(e, i, true, frame, (uint32_t)size);
    else
        err = embed_gate_send_frame(e, i, frame, (uint32_t)size);
    embed_settle_call(e);
    return err;
}

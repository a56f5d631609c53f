/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link: the frame's own header, down to where IP begins or something that is not IP.
 *
 * Ethernet with any number of 802.1Q and 802.1ad tags, with a type or with a length (802.2 LLC: SNAP, or
 * LLC's own number for IP); Linux cooked, both versions, where tags may follow too; the loopback headers; raw
 * IP. What follows PPPoE, MPLS and other shims is not looked for: a Windows host's IP layer does not see it
 * there.
 */
#include "wire/parse.h"

enum {
    TYPE_LENGTH_MOST = 1500, /* larger numbers in the type field are types */
    TYPE_LLC = 0x0004,       /* Linux: 802.2 follows */
    TYPE_IP4 = 0x0800,
    TYPE_IP6 = 0x86dd,
    TYPE_VLAN = 0x8100,
    TYPE_PROVIDER_VLAN = 0x88a8,
    TYPE_QINQ = 0x9100, /* what 802.1ad was before it was a standard */
};

bool wire_link_known(uint16_t link_type)
{
    switch (link_type) {
    case WIRE_LINK_NULL:
    case WIRE_LINK_ETHERNET:
    case WIRE_LINK_RAW_BSD:
    case WIRE_LINK_RAW_OPENBSD:
    case WIRE_LINK_RAW:
    case WIRE_LINK_LOOP:
    case WIRE_LINK_LINUX_SLL:
    case WIRE_LINK_IPV4:
    case WIRE_LINK_IPV6:
    case WIRE_LINK_LINUX_SLL2:
        return true;
    default:
        return false;
    }
}

void wire_begin(struct cursor *c, uint16_t link_type, const uint8_t *frame, uint32_t captured,
                uint32_t length, struct wire_packet *p)
{
    if (length < captured) /* what is there was on the wire, whatever the capture says */
        length = captured;
    *c = (struct cursor){.first = frame, .captured = captured, .length = length};
    wire_clear(p);
    p->frame = frame;
    p->captured = captured;
    p->length = length;
    p->link_type = link_type;
    p->vlan = WIRE_NO_VLAN;
    p->mac_at = UINT32_MAX;
}

/* The link header ends here. */
static void link_done(struct cursor *c, struct wire_packet *p)
{
    p->ip_at = c->at;
    p->reached = WIRE_LINK;
}

/* 802.2: SNAP with Ethernet's numbers, or LLC's own for IP; anything else is not IP. `said`: how long it is
 * by the link header. */
static void parse_llc(struct cursor *c, struct wire_packet *p, uint32_t said)
{
    const uint8_t *h = cursor_peek(c, 3);
    unsigned version = 0;

    p->ether_type = 0;
    if (h != NULL && h[0] == 0xaa && h[1] == 0xaa && h[2] == 3) {
        h = cursor_peek(c, 8);
        if (h == NULL) {
            wire_ended(c, p, 8, WIRE_FAULT_LINK_SHORT);
            return;
        }
        if (h[3] == 0 && h[4] == 0 && (h[5] == 0 || h[5] == 0xf8)) /* RFC 1042; bridges' tunnels (802.1H) */
            p->ether_type = wire_get16(h + 6);
        version = p->ether_type == TYPE_IP4 ? 4 : p->ether_type == TYPE_IP6 ? 6 : 0;
        cursor_skip(c, 8);
    } else if (h != NULL && h[0] == 6 && h[1] == 6 && h[2] == 3) {
        version = 4;
        cursor_skip(c, 3);
    } else if (h == NULL && said >= 3) {
        wire_ended(c, p, 3, WIRE_FAULT_LINK_SHORT);
        return;
    }
    link_done(c, p);
    if (version != 0)
        ip_parse(c, p, version, PARSE_FRAME);
}

/* From where a type says what follows; the cursor stands behind it. */
static void parse_type(struct cursor *c, struct wire_packet *p, uint16_t type, bool may_be_length)
{
    while (__builtin_expect(type == TYPE_VLAN || type == TYPE_PROVIDER_VLAN || type == TYPE_QINQ, 0)) {
        const uint8_t *tag = cursor_peek(c, 4);

        if (tag == NULL) {
            wire_ended(c, p, 4, WIRE_FAULT_LINK_SHORT);
            return;
        }
        if (p->vlan_tags == 0)
            p->vlan = wire_get16(tag) & 0x0fff;
        if (p->vlan_tags < UINT8_MAX)
            p->vlan_tags++;
        type = wire_get16(tag + 2);
        cursor_skip(c, 4);
    }
    if (may_be_length ? type <= TYPE_LENGTH_MOST : type == TYPE_LLC) {
        if (may_be_length && cursor_sent(c, type))
            cursor_narrow(c, type);
        parse_llc(c, p, may_be_length ? type : 3);
        return;
    }
    p->ether_type = type;
    link_done(c, p);
    if (type == TYPE_IP4)
        ip_parse(c, p, 4, PARSE_FRAME);
    else if (type == TYPE_IP6)
        ip_parse(c, p, 6, PARSE_FRAME);
}

static void parse_ethernet(struct cursor *c, struct wire_packet *p)
{
    const uint8_t *h = cursor_peek(c, 14);

    if (h == NULL) {
        wire_ended(c, p, 14, WIRE_FAULT_LINK_SHORT);
        return;
    }
    p->mac_at = 0;
    cursor_skip(c, 14);
    parse_type(c, p, wire_get16(h + 12), true);
}

static uint8_t cooked(unsigned packet_type)
{
    return packet_type <= 4 ? (uint8_t)(WIRE_COOKED_TO_US + packet_type) : WIRE_COOKED_NONE;
}

static void parse_sll(struct cursor *c, struct wire_packet *p)
{
    const uint8_t *h = cursor_peek(c, 16);

    if (h == NULL) {
        wire_ended(c, p, 16, WIRE_FAULT_LINK_SHORT);
        return;
    }
    p->cooked = cooked(wire_get16(h));
    cursor_skip(c, 16);
    parse_type(c, p, wire_get16(h + 14), false);
}

static void parse_sll2(struct cursor *c, struct wire_packet *p)
{
    const uint8_t *h = cursor_peek(c, 20);

    if (h == NULL) {
        wire_ended(c, p, 20, WIRE_FAULT_LINK_SHORT);
        return;
    }
    p->cooked = cooked(h[10]);
    cursor_skip(c, 20);
    parse_type(c, p, wire_get16(h), false);
}

/* A loopback header: the address family by the number that the capturing system gives it, in its own byte
 * order. No family is above 65,535, so that the other order shows. */
static void parse_family(struct cursor *c, struct wire_packet *p)
{
    const uint8_t *h = cursor_peek(c, 4);
    uint32_t family;

    if (h == NULL) {
        wire_ended(c, p, 4, WIRE_FAULT_LINK_SHORT);
        return;
    }
    family = wire_get32(h);
    if (p->link_type == WIRE_LINK_NULL && family > 0xffff)
        family = __builtin_bswap32(family);
    cursor_skip(c, 4);
    link_done(c, p);
    switch (family) {
    case 2: /* everywhere */
        ip_parse(c, p, 4, PARSE_FRAME);
        break;
    case 10: /* Linux */
    case 23: /* Windows */
    case 24: /* NetBSD, OpenBSD, BSD/OS */
    case 28: /* FreeBSD */
    case 30: /* Darwin */
        ip_parse(c, p, 6, PARSE_FRAME);
        break;
    default:
        break;
    }
}

void link_parse(uint16_t link_type, const uint8_t *frame, uint32_t captured, uint32_t length,
                struct wire_packet *out)
{
    struct cursor c;

    wire_begin(&c, link_type, frame, captured, length, out);
    switch (link_type) {
    case WIRE_LINK_ETHERNET:
        parse_ethernet(&c, out);
        break;
    case WIRE_LINK_RAW_BSD:
    case WIRE_LINK_RAW_OPENBSD:
    case WIRE_LINK_RAW:
        link_done(&c, out);
        ip_parse(&c, out, 0, PARSE_FRAME);
        break;
    case WIRE_LINK_IPV4:
        link_done(&c, out);
        ip_parse(&c, out, 4, PARSE_FRAME);
        break;
    case WIRE_LINK_IPV6:
        link_done(&c, out);
        ip_parse(&c, out, 6, PARSE_FRAME);
        break;
    case WIRE_LINK_LINUX_SLL:
        parse_sll(&c, out);
        break;
    case WIRE_LINK_LINUX_SLL2:
        parse_sll2(&c, out);
        break;
    case WIRE_LINK_NULL:
    case WIRE_LINK_LOOP:
        parse_family(&c, out);
        break;
    default:
        break;
    }
}

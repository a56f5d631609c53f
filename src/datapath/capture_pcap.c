/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pcap: a header of 24 bytes, then records.
 *
 *   magic 4, version 2+2, zone 4, accuracy 4, snap length 4, link type 4 (its low 16 bits; bits 28.. hold the
 *   length of the frames' check sequences, in 16-bit units, if bit 26 is set)
 *   record: seconds 4, micro- or nanoseconds 4, captured 4, length 4; "modified": interface 4, protocol 2,
 *   packet type 1, padding 1; then the bytes
 *
 * The zone is passed over, as all do. Files before version 2.4 have the two lengths the other way round.
 */
#include <errno.h>

#include "capture_inside.h"

#define FILE_HEADER      24
#define RECORD_HEADER    CAPTURE_PCAP_RECORD
#define MODIFIED_HEADER  24
#define LINK_RESERVED    0x03ff0000u
#define LINK_FCS_PRESENT 0x04000000u

/* epb_flags: direction in bits 0 and 1, kind of reception in bits 2 to 4. The types are Linux' packet types.
 */
static const struct {
    uint8_t flags;
    uint8_t way;
} packet_types[] = {
    {1 | 1 << 2, CAPTURE_WAY_IN}, /* to this host */
    {1 | 3 << 2, CAPTURE_WAY_IN}, /* broadcast */
    {1 | 2 << 2, CAPTURE_WAY_IN}, /* multicast */
    {1 | 4 << 2, CAPTURE_WAY_IN}, /* to another host */
    {2, CAPTURE_WAY_OUT},
};

static void swap_lengths(const struct capture *c, uint32_t *captured, uint32_t *length)
{
    if (c->lengths == LENGTHS_SWAPPED || (c->lengths == LENGTHS_PERHAPS_SWAPPED && *captured > *length)) {
        uint32_t t = *captured;
        *captured = *length;
        *length = t;
    }
}

static int pcap_next(struct capture *c, struct capture_packet *out, struct capture_error *error)
{
    const size_t header = c->modified ? MODIFIED_HEADER : RECORD_HEADER;
    const struct interface *i = c->interfaces[0];
    const bool swapped = c->swapped;

    const uint8_t *b = source_need(&c->source, header);
    if (b == NULL) {
        if (c->source.failed == 0 && source_left(&c->source, 1) == 0)
            return 0;
        return capture_fail_short(c, error, "a record header", header);
    }
    uint64_t seconds = get32(b, swapped);
    uint32_t fraction = get32(b + 4, swapped), captured = get32(b + 8, swapped),
             length = get32(b + 12, swapped);
    if (__builtin_expect(c->lengths != LENGTHS_AS_THEY_ARE, 0))
        swap_lengths(c, &captured, &length);
    if (captured > i->packet_max)
        return capture_fail_length(c, error, i, captured);
    b = source_need(&c->source, header + captured);
    if (b == NULL) {
        c->source.at += header;
        return capture_fail_short(c, error, "packet", captured);
    }
    *out = (struct capture_packet){
        .number = ++c->packets,
        .ticks = seconds * i->is.ticks + fraction,
        .has_time = true,
        .bytes = b + header,
        .captured = captured,
        .length = length,
        .process = CAPTURE_NONE,
    };
    out->time_ns = capture_time_ns(i, out->ticks);
    if (c->modified && b[22] < sizeof(packet_types) / sizeof(packet_types[0])) {
        out->flags = packet_types[b[22]].flags;
        out->way = packet_types[b[22]].way;
    }
    c->source.at += header + captured;
    source_fetch_next(&c->source);
    return 1;
}

int capture_pcap_open(struct capture *c, struct capture_error *error)
{
    const uint8_t *b = source_need(&c->source, FILE_HEADER);
    if (b == NULL)
        return capture_fail_short(c, error, "a pcap header", FILE_HEADER);
    uint32_t magic = get32(b, false);
    c->swapped = magic != 0xa1b2c3d4 && magic != 0xa1b23c4d && magic != 0xa1b2cd34;
    magic = get32(b, c->swapped);
    unsigned major = get16(b + 4, c->swapped), minor = get16(b + 6, c->swapped);
    if (major != 2 && !(major == 543 && minor == 0))
        return capture_fail(c, error, "pcap version 2.4", "%u.%u", major, minor);
    if (major == 543 || minor < 3)
        c->lengths = LENGTHS_SWAPPED;
    else if (minor == 3)
        c->lengths = LENGTHS_PERHAPS_SWAPPED;
    uint32_t link = get32(b + 20, c->swapped);
    if ((link & LINK_RESERVED) != 0)
        return capture_fail(c, error, "a link type below 65,536", "0x%x", link);
    struct interface *i = capture_interface_new(c, (uint16_t)link, get32(b + 16, c->swapped));
    if (i == NULL)
        return -ENOMEM;
    (void)capture_interface_resolution(i, magic == 0xa1b23c4d ? 9 : 6);
    if ((link & LINK_FCS_PRESENT) != 0)
        i->fcs_length = (uint8_t)((link >> 28) * 2);
    c->modified = magic == 0xa1b2cd34;
    c->next = pcap_next;
    c->plain = !c->swapped && !c->modified && c->lengths == LENGTHS_AS_THEY_ARE && i->scale != 0 ? i : NULL;
    c->source.at += FILE_HEADER;
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redirect_packet: a packet, a fragment or an ICMP error is written anew between other ends.
 *
 *   packet, first fragment   addresses, ports; IPv4's checksum, the transport's, which has the addresses in it
 *   later fragment           addresses; IPv4's checksum. The transport's stands in the first one
 *   ICMP error               its own addresses, the packet that it quotes, and its checksum over all of it
 *
 * Checksums are put right by the difference (RFC 1624), so that a wrong one stays wrong; or, where the capture shows only
 * the pseudo header's sum, by that. Sizes stay.
 */
#include <stdlib.h>
#include <string.h>

#include "host/redirect_packet.h"

/* ---- sums ---------------------------------------------------------------------------------------------------- */

static UINT32 fold(uint64_t sum)
{
    while (sum >> 16)
        sum = (sum >> 16) + (sum & 0xffff);
    return (UINT32)sum;
}

static uint64_t sum_of_address(uint8_t version, const union wire_addr *a)
{
    uint64_t sum = 0;

    if (version == 4)
        return (a->v4 >> 16) + (a->v4 & 0xffff);
    for (unsigned i = 0; i < 16; i += 2)
        sum += (UINT32)a->v6[i] << 8 | a->v6[i + 1];
    return sum;
}

static UINT32 sum_of(const uint8_t *bytes, uint32_t size)
{
    return (UINT16)~wire_fold(wire_sum(bytes, size, 0));
}

static UINT16 get16(const uint8_t *at)
{
    return (UINT16)(at[0] << 8 | at[1]);
}

static void put16(uint8_t *at, UINT32 value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static void put_address(uint8_t *ip, uint8_t version, bool source, const union wire_addr *a)
{
    uint8_t *at = version == 4 ? ip + (source ? 12 : 16) : ip + (source ? 8 : 24);

    if (version == 6) {
        memcpy(at, a->v6, 16);
        return;
    }
    put16(at, a->v4 >> 16);
    put16(at + 2, a->v4 & 0xffff);
}

/* RFC 1624: what stood in it goes out, what stands there now comes in. */
static UINT32 corrected(UINT32 checksum, uint64_t out, uint64_t in)
{
    return ~fold((uint64_t)(~checksum & 0xffff) + (~fold(out) & 0xffff) + fold(in)) & 0xffff;
}

/* The pseudo header alone, as a capture shows it of what the adapter completes. */
static UINT32 pseudo(uint8_t version, uint8_t protocol, uint32_t length, const union wire_addr *a,
                     const union wire_addr *b)
{
    return fold(sum_of_address(version, a) + sum_of_address(version, b) + protocol + (length >> 16) +
                (length & 0xffff));
}

/* ---- one packet ------------------------------------------------------------------------------------------------ */

/* `bytes` hold what p says; p's offsets count from there. */
static void edit_transport(uint8_t *bytes, const struct wire_packet *p, const struct redirect_tuple *to,
                           uint64_t out, uint64_t in)
{
    const bool tcp = p->protocol == WIRE_PROTOCOL_TCP, udp = p->protocol == WIRE_PROTOCOL_UDP;
    const uint32_t at = p->transport_at + (tcp ? 16 : udp ? 6 : 2);
    const uint32_t length = p->ip_length - (p->transport_at - p->ip_at);
    UINT32 sum;

    if ((tcp || udp) && p->transport_at + 4 <= p->captured) {
        put16(bytes + p->transport_at, to->source_port);
        put16(bytes + p->transport_at + 2, to->destination_port);
        out += (UINT32)p->source_port + p->destination_port;
        in += (UINT32)to->source_port + to->destination_port;
    }
    if ((!tcp && !udp && p->protocol != WIRE_PROTOCOL_ICMPV6) || at + 2 > p->captured)
        return;
    sum = get16(bytes + at);
    if ((tcp || udp) && sum != 0 && !p->fragment &&
        sum == pseudo(p->version, p->protocol, length, &p->source, &p->destination))
        sum = pseudo(p->version, p->protocol, length, &to->source, &to->destination);
    else if (!udp || sum != 0)
        sum = corrected(sum, out, in);
    if (udp && sum == 0 && get16(bytes + at) != 0)
        sum = 0xffff;
    put16(bytes + at, sum);
}

static void edit(uint8_t *bytes, const struct wire_packet *p, const struct redirect_tuple *to)
{
    const uint64_t out = sum_of_address(p->version, &p->source) + sum_of_address(p->version, &p->destination);
    const uint64_t in =
        sum_of_address(p->version, &to->source) + sum_of_address(p->version, &to->destination);

    put_address(bytes + p->ip_at, p->version, true, &to->source);
    put_address(bytes + p->ip_at, p->version, false, &to->destination);
    if (p->version == 4)
        put16(bytes + p->ip_at + 10, corrected(get16(bytes + p->ip_at + 10), out, in));
    if (p->reached == WIRE_TRANSPORT)
        edit_transport(bytes, p, to, out, in);
}

/* ---- into room ------------------------------------------------------------------------------------------------- */

void redirect_written_free(struct redirect_written *out)
{
    free(out->bytes);
    *out = (struct redirect_written){.bytes = NULL};
}

static bool copy(struct redirect_written *out, const struct wire_packet *p)
{
    uint8_t *bytes;

    if (p->captured > out->room) {
        bytes = realloc(out->bytes, p->captured);
        if (bytes == NULL)
            return false;
        out->bytes = bytes;
        out->room = p->captured;
    }
    memmove(out->bytes, p->frame, p->captured);
    return true;
}

static void read_again(struct redirect_written *out, const struct wire_packet *p)
{
    wire_parse(p->link_type, out->bytes, p->captured, p->length, &out->packet);
}

bool redirect_write(struct redirect_written *out, const struct wire_packet *p,
                    const struct redirect_tuple *to)
{
    if (!copy(out, p))
        return false;
    edit(out->bytes, p, to);
    read_again(out, p);
    return true;
}

static const union wire_addr *translated(const union wire_addr *a, const struct wire_packet *quoted,
                                         const struct redirect_tuple *to)
{
    if (wire_addr_equal(a, &quoted->source))
        return &to->source;
    return wire_addr_equal(a, &quoted->destination) ? &to->destination : a;
}

bool redirect_write_error(struct redirect_written *out, const struct wire_packet *error,
                          const struct wire_packet *quoted, const struct redirect_tuple *to)
{
    const struct redirect_tuple outer = {.source = *translated(&error->source, quoted, to),
                                         .destination = *translated(&error->destination, quoted, to)};
    const UINT32 before = sum_of(quoted->frame, quoted->captured);
    const uint32_t checksum_at = error->transport_at + 2;
    uint8_t *quote;

    if (!copy(out, error))
        return false;
    edit(out->bytes, error, &outer);
    quote = out->bytes + error->data_at;
    edit(quote, quoted, to);
    put16(out->bytes + checksum_at,
          corrected(get16(out->bytes + checksum_at), before, sum_of(quote, quoted->captured)));
    read_again(out, error);
    return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON text into a bounded buffer, and small words that the files of this room share.
 */
#include <errno.h>

#include "internal.h"

void out_flush(struct out *o)
{
    if (o->used != 0 && o->error == 0) {
        errno = 0;
        if (fwrite(o->bytes, 1, o->used, o->stream) != o->used)
            o->error = errno != 0 ? -errno : -EIO;
    }
    o->used = 0;
}

void out_bytes(struct out *o, const char *bytes, size_t size)
{
    while (size > OUT_SIZE - o->used) {
        size_t n = OUT_SIZE - o->used;

        memcpy(o->bytes + o->used, bytes, n);
        o->used = OUT_SIZE;
        out_flush(o);
        bytes += n;
        size -= n;
    }
    memcpy(o->bytes + o->used, bytes, size);
    o->used += size;
}

void out_number(struct out *o, UINT64 n)
{
    char text[20];
    size_t at = sizeof text;

    do {
        text[--at] = (char)('0' + n % 10);
        n /= 10;
    } while (n != 0);
    out_bytes(o, text + at, sizeof text - at);
}

/* How many bytes the UTF-8 sequence at p takes; 0: it is none. p is zero-terminated. */
static unsigned sequence(const unsigned char *p)
{
    unsigned n = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0;

    for (unsigned i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    }
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) ||
        (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    return n;
}

void out_string(struct out *o, const char *text)
{
    static const char hex[] = "0123456789abcdef";
    const unsigned char *p = (const unsigned char *)text;

    out_char(o, '"');
    while (*p != 0) {
        unsigned n;

        if (*p == '"' || *p == '\\') {
            out_char(o, '\\');
            out_char(o, (char)*p++);
            continue;
        }
        if (*p < 0x20 || *p == 0x7f) {
            out_text(o, "\\u00");
            out_char(o, hex[*p >> 4]);
            out_char(o, hex[*p++ & 15]);
            continue;
        }
        n = sequence(p);
        if (n == 0) {
            out_text(o, "\xef\xbf\xbd");
            p++;
            continue;
        }
        out_bytes(o, (const char *)p, n);
        p += n;
    }
    out_char(o, '"');
}

/* ---- words ------------------------------------------------------------------------------------------- */

const char *discard_module_name(FWPS_DISCARD_MODULE0 module)
{
    const char *name = engine_constant_name("FWPS_DISCARD_MODULE0", module);

    return name != NULL ? name : "?";
}

const char *discard_reason_name(FWPS_DISCARD_MODULE0 module, UINT32 reason)
{
    return engine_constant_name(module == FWPS_DISCARD_MODULE_NETWORK     ? "IP_DISCARD_REASON"
                                : module == FWPS_DISCARD_MODULE_TRANSPORT ? "INET_DISCARD_REASON"
                                                                          : "FWPS_GENERAL_DISCARD_REASON",
                                reason);
}

const char *protocol_text(uint8_t protocol, char buf[16])
{
    switch (protocol) {
    case WIRE_PROTOCOL_TCP:
        return "TCP";
    case WIRE_PROTOCOL_UDP:
        return "UDP";
    case WIRE_PROTOCOL_ICMP:
        return "ICMP";
    case WIRE_PROTOCOL_ICMPV6:
        return "ICMPv6";
    case WIRE_PROTOCOL_IGMP:
        return "IGMP";
    default:
        snprintf(buf, 16, "%u", protocol);
        return buf;
    }
}

const char *end_text(uint8_t version, uint8_t protocol, const union wire_addr *a, UINT16 port,
                     char out[END_TEXT])
{
    char address[WIRE_ADDR_TEXT];

    wire_addr_format(version, a, address);
    if (protocol != WIRE_PROTOCOL_TCP && protocol != WIRE_PROTOCOL_UDP)
        snprintf(out, END_TEXT, "%s", address);
    else
        snprintf(out, END_TEXT, version == 6 ? "[%s]:%u" : "%s:%u", address, port);
    return out;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * addr: what an address is by its value alone, and addresses as text.
 *
 * Text goes by inet_pton() and inet_ntop(), which are pure. Whether an address is a broadcast or local is not
 * said here: that depends on interfaces (host).
 */
#include "wire/wire.h"

#include <arpa/inet.h>
#include <string.h>

bool wire_addr_equal(const union wire_addr *a, const union wire_addr *b)
{
    return a->word[0] == b->word[0] && a->word[1] == b->word[1];
}

bool wire_addr_is_multicast(uint8_t version, const union wire_addr *a)
{
    return version == 4 ? a->v4 >> 28 == 0xe : a->v6[0] == 0xff;
}

bool wire_addr_is_unspecified(uint8_t version, const union wire_addr *a)
{
    return version == 4 ? a->v4 == 0 : (a->word[0] | a->word[1]) == 0;
}

bool wire_addr_is_loopback(uint8_t version, const union wire_addr *a)
{
    static const union wire_addr one = {.v6 = {[15] = 1}};

    return version == 4 ? a->v4 >> 24 == 127 : wire_addr_equal(a, &one);
}

bool wire_addr_is_link_local(uint8_t version, const union wire_addr *a)
{
    return version == 4 ? a->v4 >> 16 == 0xa9fe : a->v6[0] == 0xfe && (a->v6[1] & 0xc0) == 0x80;
}

const char *wire_addr_format(uint8_t version, const union wire_addr *a, char out[WIRE_ADDR_TEXT])
{
    uint32_t v4 = htonl(a->v4);

    if (version == 4)
        inet_ntop(AF_INET, &v4, out, WIRE_ADDR_TEXT);
    else
        inet_ntop(AF_INET6, a->v6, out, WIRE_ADDR_TEXT);
    return out;
}

/* A decimal number of at most three digits; -1: anything else. */
static int prefix_length(const char *text)
{
    int n = 0;

    if (*text == '\0' || (text[0] == '0' && text[1] != '\0'))
        return -1;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9' || n > 99)
            return -1;
        n = n * 10 + (*text - '0');
    }
    return n;
}

uint8_t wire_addr_parse(const char *text, union wire_addr *out, unsigned *bits)
{
    char address[WIRE_ADDR_TEXT];
    const char *slash = bits != NULL ? strchr(text, '/') : NULL;
    size_t size = slash != NULL ? (size_t)(slash - text) : strlen(text);
    struct in_addr v4;
    uint8_t version;
    int length;

    memset(out, 0, sizeof(*out));
    if (size >= sizeof(address))
        return 0;
    memcpy(address, text, size);
    address[size] = '\0';

    if (inet_pton(AF_INET, address, &v4) == 1) {
        version = 4;
        out->v4 = ntohl(v4.s_addr);
    } else if (inet_pton(AF_INET6, address, out->v6) == 1) {
        version = 6;
    } else {
        memset(out, 0, sizeof(*out));
        return 0;
    }

    length = slash != NULL ? prefix_length(slash + 1) : version == 4 ? 32 : 128;
    if (length < 0 || length > (version == 4 ? 32 : 128)) {
        memset(out, 0, sizeof(*out));
        return 0;
    }
    if (bits != NULL)
        *bits = (unsigned)length;
    return version;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses as weir.h has them: "10.0.0.2:443", "[fd00::2]:443", ":53", and alone: "10.0.0.2", "fd00::2". */
#include <stdio.h>
#include <string.h>

#include "embed/machine.h"

static bool parse_port(const char *text, uint16_t *out)
{
    uint32_t n = 0;

    if (*text == '\0')
        return false;
    for (; *text >= '0' && *text <= '9' && n < 65536; text++)
        n = n * 10 + (uint32_t)(*text - '0');
    *out = (uint16_t)n;
    return *text == '\0' && n < 65536;
}

bool embed_end_parse(const char *text, struct embed_end *out)
{
    char address[WIRE_ADDR_TEXT];
    const char *from = text, *colon = NULL;
    size_t size;

    memset(out, 0, sizeof *out);
    if (text == NULL)
        return false;
    if (text[0] == '[') {
        const char *close = strchr(text, ']');

        if (close == NULL || (close[1] != '\0' && close[1] != ':'))
            return false;
        from = text + 1;
        size = (size_t)(close - from);
        colon = close[1] == ':' ? close + 1 : NULL;
    } else {
        colon = strchr(text, ':');
        if (colon != NULL && strchr(colon + 1, ':') != NULL)
            colon = NULL; /* IPv6, alone */
        size = colon != NULL ? (size_t)(colon - text) : strlen(text);
    }
    if (colon != NULL) {
        out->has_port = true;
        if (!parse_port(colon + 1, &out->port))
            return false;
    }
    if (size >= sizeof address)
        return false;
    if (size == 0)
        return text[0] != '['; /* any address */
    memcpy(address, from, size);
    address[size] = '\0';
    out->version = wire_addr_parse(address, &out->address, NULL);
    return out->version != 0 && (text[0] != '[' || out->version == 6);
}

const char *embed_end_format(uint8_t version, const union wire_addr *a, uint16_t port, char *out)
{
    char text[WIRE_ADDR_TEXT];

    wire_addr_format(version, a, text);
    snprintf(out, WEIR_ADDRESS, version == 6 ? "[%s]:%u" : "%s:%u", text, port);
    return out;
}

static bool same_bits(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    if (memcmp(a, b, bits / 8) != 0)
        return false;
    return bits % 8 == 0 || (a[bits / 8] ^ b[bits / 8]) >> (8 - bits % 8) == 0;
}

bool embed_address_has(const struct embed_address *subnet, uint8_t version, const union wire_addr *a)
{
    if (subnet->version != version)
        return false;
    if (version == 6)
        return same_bits(subnet->is.v6, a->v6, subnet->bits);
    return subnet->bits == 0 || (subnet->is.v4 ^ a->v4) >> (32 - subnet->bits) == 0;
}

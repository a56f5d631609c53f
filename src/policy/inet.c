/* SPDX-License-Identifier: Apache-2.0 */
/* Text of addresses, by the system's library. */
#include "inet.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

bool inet_v4_parse(const char *text, size_t size, uint32_t *out)
{
    char copy[INET_ADDRSTRLEN];
    struct in_addr address;
    if (size >= sizeof(copy))
        return false;
    memcpy(copy, text, size);
    copy[size] = '\0';
    if (inet_pton(AF_INET, copy, &address) != 1)
        return false;
    *out = ntohl(address.s_addr);
    return true;
}

bool inet_v6_parse(const char *text, size_t size, uint8_t out[16])
{
    char copy[INET6_ADDRSTRLEN];
    const char *scope = memchr(text, '%', size); /* fe80::1%4: the scope is an interface, not the address */
    if (scope != NULL)
        size = (size_t)(scope - text);
    if (size >= sizeof(copy))
        return false;
    memcpy(copy, text, size);
    copy[size] = '\0';
    return inet_pton(AF_INET6, copy, out) == 1;
}

const char *inet_v4_format(uint32_t address, char out[INET_TEXT])
{
    snprintf(out, INET_TEXT, "%u.%u.%u.%u", address >> 24, address >> 16 & 255, address >> 8 & 255,
             address & 255);
    return out;
}

const char *inet_v6_format(const uint8_t address[16], char out[INET_TEXT])
{
    return inet_ntop(AF_INET6, address, out, INET_TEXT);
}

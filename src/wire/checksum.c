/* SPDX-License-Identifier: Apache-2.0 */
/*
 * checksum: the Internet checksum (RFC 1071), fast enough to be asked of every packet.
 *
 * The sum is taken over 32-bit words in memory order, in 64-bit accumulators that a packet cannot overflow,
 * and is turned to host order only when it is folded: a one's complement sum does not mind in which byte
 * order it is taken. Plain C that compilers turn into vector adds.
 */
#include "wire/wire.h"

#include <string.h>

uint64_t wire_sum(const uint8_t *bytes, size_t size, uint64_t sum)
{
    uint64_t odd = 0;
    uint32_t word;

    while (size >= 64) {
        uint32_t words[16];

        memcpy(words, bytes, sizeof(words));
        for (unsigned i = 0; i < 16; i += 2) {
            sum += words[i];
            odd += words[i + 1];
        }
        bytes += 64;
        size -= 64;
    }
    sum += odd;
    for (; size >= 4; bytes += 4, size -= 4) {
        memcpy(&word, bytes, 4);
        sum += word;
    }
    if (size != 0) {
        word = 0;
        memcpy(&word, bytes, size);
        sum += word;
    }
    return sum;
}

uint16_t wire_fold(uint64_t sum)
{
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return (uint16_t)~__builtin_bswap16((uint16_t)sum);
#else
    return (uint16_t)~sum;
#endif
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * checksum: the Internet checksum (RFC 1071), fast enough to be asked of every packet.
 *
 * The sum is taken over 32-bit words in memory order, in 64-bit accumulators that a packet cannot overflow,
 * and is turned to host order only when it is folded: a one's complement sum does not mind in which byte
 * order it is taken. No instruction set in particular.
 */
#include "wire/wire.h"

#include <string.h>

/* Two words of 64 bits; compilers without such registers take them apart. */
typedef uint64_t pair __attribute__((vector_size(16)));

uint64_t wire_sum(const uint8_t *bytes, size_t size, uint64_t sum)
{
    uint32_t word;

    if (size >= 32) {
        const pair low_half = {0xffffffff, 0xffffffff};
        pair low = {0, 0}, high = {0, 0}, low2 = {0, 0}, high2 = {0, 0};

        for (; size >= 32; bytes += 32, size -= 32) {
            pair a, b;

            memcpy(&a, bytes, 16);
            memcpy(&b, bytes + 16, 16);
            low += a & low_half;
            high += a >> 32;
            low2 += b & low_half;
            high2 += b >> 32;
        }
        low += high + low2 + high2;
        sum += low[0] + low[1];
    }
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

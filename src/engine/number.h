/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers and addresses of any width as one unsigned number, addresses big-endian (MATCH-08): what the rooms
 * above need to reason about sets of values (weights, templates, classes). Part of the engine's door.
 */
#ifndef WEIR_ENGINE_NUMBER_H
#define WEIR_ENGINE_NUMBER_H

#include <stdbool.h>
#include <string.h>

#include "fwpmtypes.h"

__extension__ typedef unsigned __int128 engine_u128;

/* How wide such a type is, in bits; 0: it is none. */
static inline unsigned engine_number_bits(FWP_DATA_TYPE type)
{
    switch (type) {
    case FWP_UINT8:
        return 8;
    case FWP_UINT16:
        return 16;
    case FWP_UINT32:
        return 32;
    case FWP_UINT64:
        return 64;
    case FWP_BYTE_ARRAY6_TYPE:
        return 48;
    case FWP_BYTE_ARRAY16_TYPE:
        return 128;
    default:
        return 0;
    }
}

/* The greatest number of that many bits (0..128). */
static inline engine_u128 engine_number_max(unsigned bits)
{
    return bits == 0 ? 0 : ~(engine_u128)0 >> (128 - bits);
}

/* Big-endian bytes as a number; at most 16. */
static inline engine_u128 engine_number_bytes(const UINT8 *bytes, size_t count)
{
    engine_u128 n = 0;

    for (size_t i = 0; i < count; i++)
        n = n << 8 | bytes[i];
    return n;
}

/* The value as a number; false: its type is none of these, or it points nowhere. */
static inline bool engine_number(const FWP_VALUE0 *v, engine_u128 *out)
{
    unsigned bits = engine_number_bits(v->type);

    if (bits == 0 || (bits > 32 && v->uint64 == NULL))
        return false;
    if (bits <= 32)
        *out = bits == 8 ? v->uint8 : bits == 16 ? v->uint16 : v->uint32;
    else if (bits == 64)
        *out = *v->uint64;
    else
        *out = bits == 48 ? engine_number_bytes(v->byteArray6->byteArray6, 6)
                          : engine_number_bytes(v->byteArray16->byteArray16, 16);
    return true;
}

/* A condition's value as a plain one; scalar types have one layout in both. */
static inline FWP_VALUE0 engine_plain_value(const FWP_CONDITION_VALUE0 *c)
{
    FWP_VALUE0 v;

    _Static_assert(sizeof(v) == sizeof(*c), "one layout");
    memcpy(&v, c, sizeof(v));
    return v;
}

#endif

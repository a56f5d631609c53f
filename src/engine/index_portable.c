/* SPDX-License-Identifier: Apache-2.0 */
/* The index's kernel for any machine. */
#include "engine/index_parts.h"

#define IX_FN(name) name##_portable

static inline UINT32 ix_count16(const UINT32 *node, UINT32 v)
{
    UINT32 n = 0;

    for (int i = 0; i < 16; i++)
        n += node[i] <= v;
    return n;
}

static inline UINT32 ix_count8(const UINT64 *node, UINT64 v)
{
    UINT32 n = 0;

    for (int i = 0; i < 8; i++)
        n += node[i] <= v;
    return n;
}

static inline UINT64 ix_press(UINT64 v, UINT64 mask)
{
    UINT64 out = 0;

    for (unsigned k = 0; mask != 0; mask &= mask - 1, k++)
        out |= (UINT64)((v & mask & -mask) != 0) << k;
    return out;
}

/* A macro: a vector as an argument would depend on the target's calling convention. */
#define ix_live8(a)                                                                                          \
    ((UINT32)(a[0] != 0) | (UINT32)(a[1] != 0) << 1 | (UINT32)(a[2] != 0) << 2 | (UINT32)(a[3] != 0) << 3 |  \
     (UINT32)(a[4] != 0) << 4 | (UINT32)(a[5] != 0) << 5 | (UINT32)(a[6] != 0) << 6 |                        \
     (UINT32)(a[7] != 0) << 7)

/* A bit for each byte of a word that is not 0. */
static inline UINT64 live_bytes(UINT64 w)
{
    UINT64 low = 0x7f7f7f7f7f7f7f7fULL;

    w = (((w & low) + low) | w) & ~low;
    return (w >> 7) * 0x0102040810204080ULL >> 56;
}

#define ix_live32(a)                                                                                         \
    (live_bytes(a[0]) | live_bytes(a[1]) << 8 | live_bytes(a[2]) << 16 | live_bytes(a[3]) << 24)
#define ix_live64(a)                                                                                         \
    (live_bytes(a[0]) | live_bytes(a[1]) << 8 | live_bytes(a[2]) << 16 | live_bytes(a[3]) << 24 |            \
     live_bytes(a[4]) << 32 | live_bytes(a[5]) << 40)

#include "engine/index_piece.h"
#include "engine/index_kernel.h"

UINT32 ix_cell(const struct ix_map *m, const FWP_VALUE0 *v)
{
    return cell_portable(m, m->kind, v);
}

const struct ix_kernel ix_kernel_portable = {"portable", begin_flat_portable, begin_columns_portable,
                                             next_slot_portable, classes_portable};

/* SPDX-License-Identifier: Apache-2.0 */
/* The index's kernel for AVX-512 (F, BW, DQ, VL: x86-64-v4): a row, a line and a column are one register
 * each. */
#include "engine/index_parts.h"

#if defined(__x86_64__)

#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(                                                                                \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,bmi,bmi2,popcnt,lzcnt"))),                     \
    apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,bmi,bmi2,popcnt,lzcnt")
#endif

#define IX_FN(name) name##_avx512

static inline UINT32 ix_count16(const UINT32 *node, UINT32 v)
{
    return (UINT32)__builtin_popcount(
        _mm512_cmple_epu32_mask(_mm512_load_si512(node), _mm512_set1_epi32((int)v)));
}

static inline UINT32 ix_count8(const UINT64 *node, UINT64 v)
{
    return (UINT32)__builtin_popcount(
        _mm512_cmple_epu64_mask(_mm512_load_si512(node), _mm512_set1_epi64((long long)v)));
}

static inline UINT64 ix_press(UINT64 v, UINT64 mask)
{
    return _pext_u64(v, mask);
}

#define ix_live8(a)  ((UINT32)_mm512_test_epi64_mask((__m512i)(a), (__m512i)(a)))
#define ix_live32(a) ((UINT64)_mm256_test_epi8_mask((__m256i)(a), (__m256i)(a)))
#define ix_live64(a) ((UINT64)_mm512_test_epi8_mask((__m512i)(a), (__m512i)(a)))

/* See index_piece.h. */
static inline __attribute__((always_inline)) UINT32 ix_piece(struct engine_cursor *c,
                                                             const struct ix_block *b,
                                                             const struct ix_view *view, const UINT32 dims,
                                                             UINT32 found, UINT32 column, const bool narrow)
{
    __m512i a = _mm512_set1_epi64(-1);
    UINT64 live, ones = 0x0101010101010101ULL, list;

    for (UINT32 i = 0; i < dims; i++) {
        const void *line = i < 4 ? view[i].line : c->line[i];
        const UINT64 *pool = i < 4 ? view[i].pool : b->of[i].pool;
        __mmask8 has = ((const UINT8 *)line)[column];

        a = _mm512_and_epi64(
            a, _mm512_maskz_expandloadu_epi64(has, pool + ix_start(&b->of[i], line, column, narrow)));
    }
    live = _mm512_test_epi64_mask(a, a);
    _mm512_store_si512(c->word + 8 * (size_t)column, a);
    list = _pext_u64(0x0706050403020100ULL,
                     _pdep_u64(live, ones) * 0xff); /* the numbers of its bits, a byte each */
    memcpy(c->bit + found, &list, 8);
    list = column * ones;
    memcpy(c->column + found, &list, 8);
    return found + (UINT32)__builtin_popcountll(live);
}

#include "engine/index_kernel.h"

const struct ix_kernel ix_kernel_avx512 = {"avx512", begin_flat_avx512, begin_columns_avx512,
                                           next_slot_avx512, classes_avx512};

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif

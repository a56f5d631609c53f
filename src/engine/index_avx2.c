/* SPDX-License-Identifier: Apache-2.0 */
/* The index's kernel for AVX2, BMI and POPCNT (x86-64-v3). */
#include "engine/index_parts.h"

#if defined(__x86_64__)

#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,bmi,bmi2,popcnt,lzcnt"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,bmi,bmi2,popcnt,lzcnt")
#endif

#define IX_FN(name) name##_avx2

static inline UINT32 half16(const UINT32 *node, __m256i v)
{
    __m256i k = _mm256_load_si256((const void *)node);

    return (UINT32)_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpeq_epi32(_mm256_max_epu32(k, v), v)));
}

static inline UINT32 ix_count16(const UINT32 *node, UINT32 v)
{
    __m256i x = _mm256_set1_epi32((int)v);

    return (UINT32)__builtin_popcount(half16(node, x) | half16(node + 8, x) << 8);
}

static inline UINT32 greater4(const UINT64 *node, __m256i v)
{
    __m256i high = _mm256_set1_epi64x((long long)(1ULL << 63)); /* the comparison is signed */
    __m256i k = _mm256_xor_si256(_mm256_load_si256((const void *)node), high);

    return (UINT32)_mm256_movemask_pd(_mm256_castsi256_pd(_mm256_cmpgt_epi64(k, _mm256_xor_si256(v, high))));
}

static inline UINT32 ix_count8(const UINT64 *node, UINT64 v)
{
    __m256i x = _mm256_set1_epi64x((long long)v);

    return 8 - (UINT32)__builtin_popcount(greater4(node, x) | greater4(node + 4, x) << 4);
}

static inline UINT64 ix_press(UINT64 v, UINT64 mask)
{
    return _pext_u64(v, mask);
}

static inline UINT32 live4(const UINT64 *w)
{
    __m256i z = _mm256_cmpeq_epi64(_mm256_load_si256((const void *)w), _mm256_setzero_si256());

    return ~(UINT32)_mm256_movemask_pd(_mm256_castsi256_pd(z)) & 15;
}

static inline UINT64 live_bytes(const UINT64 *w)
{
    __m256i z = _mm256_cmpeq_epi8(_mm256_load_si256((const void *)w), _mm256_setzero_si256());

    return (UINT32)~_mm256_movemask_epi8(z);
}

#define ix_live8(a)  (live4((const UINT64 *)&(a)) | live4((const UINT64 *)&(a) + 4) << 4)
#define ix_live32(a) (live_bytes((const UINT64 *)&(a)))
#define ix_live64(a) (live_bytes((const UINT64 *)&(a)) | live_bytes((const UINT64 *)&(a) + 4) << 32)

#include "engine/index_piece.h"
#include "engine/index_kernel.h"

const struct ix_kernel ix_kernel_avx2 = {"avx2", begin_flat_avx2, begin_columns_avx2, next_slot_avx2,
                                         classes_avx2};

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif

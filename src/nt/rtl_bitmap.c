/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bitmaps: bit n is bit n % 32 of word n / 32. Plain loops over bits, which is right for the sizes that
 * drivers have (thousands). The caller's lock guards everything.
 */
#include "nt/internal.h"

static bool get(PRTL_BITMAP b, ULONG i)
{
    return b->Buffer[i / 32] >> i % 32 & 1;
}

static void put(PRTL_BITMAP b, ULONG i, bool set)
{
    if (set)
        b->Buffer[i / 32] |= 1u << i % 32;
    else
        b->Buffer[i / 32] &= ~(1u << i % 32);
}

static void put_range(PRTL_BITMAP b, ULONG from, ULONG count, bool set)
{
    for (ULONG i = from; count-- > 0 && i < b->SizeOfBitMap; i++)
        put(b, i, set);
}

static bool all_are(PRTL_BITMAP b, ULONG from, ULONG count, bool set)
{
    if (count == 0 || from >= b->SizeOfBitMap || count > b->SizeOfBitMap - from)
        return false;
    for (ULONG i = 0; i < count; i++)
        if (get(b, from + i) != set)
            return false;
    return true;
}

/* The first run of `count` that begins in [from, to); 0xffffffff: none. */
static ULONG find(PRTL_BITMAP b, ULONG count, ULONG from, ULONG to, bool set)
{
    ULONG run = 0;

    for (ULONG i = from; i < b->SizeOfBitMap && i - run < to; i++) {
        run = get(b, i) == set ? run + 1 : 0;
        if (run == count)
            return i + 1 - run;
        if (run == 0 && i + 1 >= to)
            break;
    }
    return 0xffffffff;
}

/* From the hint to the end, then from the start. */
static ULONG find_from(PRTL_BITMAP b, ULONG count, ULONG hint, bool set)
{
    if (hint >= b->SizeOfBitMap)
        hint = 0;
    if (count == 0)
        return hint & ~7u;
    if (count > b->SizeOfBitMap)
        return 0xffffffff;
    ULONG found = find(b, count, hint, b->SizeOfBitMap, set);
    return found == 0xffffffff && hint > 0 ? find(b, count, 0, hint, set) : found;
}

VOID RtlInitializeBitMap(PRTL_BITMAP BitMapHeader, PULONG BitMapBuffer, ULONG SizeOfBitMap)
{
    BitMapHeader->SizeOfBitMap = SizeOfBitMap;
    BitMapHeader->Buffer = BitMapBuffer;
}

VOID RtlClearAllBits(PRTL_BITMAP BitMapHeader)
{
    memset(BitMapHeader->Buffer, 0, (BitMapHeader->SizeOfBitMap + 31ull) / 32 * 4);
}

VOID RtlSetAllBits(PRTL_BITMAP BitMapHeader)
{
    memset(BitMapHeader->Buffer, 0xff, (BitMapHeader->SizeOfBitMap + 31ull) / 32 * 4);
}

VOID RtlClearBit(PRTL_BITMAP BitMapHeader, ULONG BitNumber)
{
    put_range(BitMapHeader, BitNumber, 1, false);
}

VOID RtlSetBit(PRTL_BITMAP BitMapHeader, ULONG BitNumber)
{
    put_range(BitMapHeader, BitNumber, 1, true);
}

BOOLEAN RtlTestBit(PRTL_BITMAP BitMapHeader, ULONG BitNumber)
{
    return BitNumber < BitMapHeader->SizeOfBitMap && get(BitMapHeader, BitNumber);
}

VOID RtlClearBits(PRTL_BITMAP BitMapHeader, ULONG StartingIndex, ULONG NumberToClear)
{
    put_range(BitMapHeader, StartingIndex, NumberToClear, false);
}

VOID RtlSetBits(PRTL_BITMAP BitMapHeader, ULONG StartingIndex, ULONG NumberToSet)
{
    put_range(BitMapHeader, StartingIndex, NumberToSet, true);
}

ULONG RtlFindClearBits(PRTL_BITMAP BitMapHeader, ULONG NumberToFind, ULONG HintIndex)
{
    return find_from(BitMapHeader, NumberToFind, HintIndex, false);
}

ULONG RtlFindSetBits(PRTL_BITMAP BitMapHeader, ULONG NumberToFind, ULONG HintIndex)
{
    return find_from(BitMapHeader, NumberToFind, HintIndex, true);
}

ULONG RtlFindClearBitsAndSet(PRTL_BITMAP BitMapHeader, ULONG NumberToFind, ULONG HintIndex)
{
    ULONG found = find_from(BitMapHeader, NumberToFind, HintIndex, false);

    if (found != 0xffffffff)
        put_range(BitMapHeader, found, NumberToFind, true);
    return found;
}

ULONG RtlFindSetBitsAndClear(PRTL_BITMAP BitMapHeader, ULONG NumberToFind, ULONG HintIndex)
{
    ULONG found = find_from(BitMapHeader, NumberToFind, HintIndex, true);

    if (found != 0xffffffff)
        put_range(BitMapHeader, found, NumberToFind, false);
    return found;
}

ULONG RtlNumberOfSetBits(PRTL_BITMAP BitMapHeader)
{
    ULONG count = 0;

    for (ULONG i = 0; i < BitMapHeader->SizeOfBitMap; i++)
        count += get(BitMapHeader, i);
    return count;
}

ULONG RtlNumberOfClearBits(PRTL_BITMAP BitMapHeader)
{
    return BitMapHeader->SizeOfBitMap - RtlNumberOfSetBits(BitMapHeader);
}

ULONG RtlFindNextForwardRunClear(PRTL_BITMAP BitMapHeader, ULONG FromIndex, PULONG StartingRunIndex)
{
    ULONG at = FromIndex, length = 0;

    while (at < BitMapHeader->SizeOfBitMap && get(BitMapHeader, at))
        at++;
    *StartingRunIndex = at;
    while (at + length < BitMapHeader->SizeOfBitMap && !get(BitMapHeader, at + length))
        length++;
    return length;
}

ULONG RtlFindFirstRunClear(PRTL_BITMAP BitMapHeader, PULONG StartingIndex)
{
    return RtlFindNextForwardRunClear(BitMapHeader, 0, StartingIndex);
}

BOOLEAN RtlAreBitsClear(PRTL_BITMAP BitMapHeader, ULONG StartingIndex, ULONG Length)
{
    return all_are(BitMapHeader, StartingIndex, Length, false);
}

BOOLEAN RtlAreBitsSet(PRTL_BITMAP BitMapHeader, ULONG StartingIndex, ULONG Length)
{
    return all_are(BitMapHeader, StartingIndex, Length, true);
}

CCHAR RtlFindLeastSignificantBit(ULONGLONG Set)
{
    return Set == 0 ? -1 : (CCHAR)__builtin_ctzll(Set);
}

CCHAR RtlFindMostSignificantBit(ULONGLONG Set)
{
    return Set == 0 ? -1 : (CCHAR)(63 - __builtin_clzll(Set));
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Memory: compared, filled, wiped; who called. Any IRQL. */
#include "nt/internal.h"

SIZE_T RtlCompareMemory(const VOID *Source1, const VOID *Source2, SIZE_T Length)
{
    const UCHAR *a = Source1, *b = Source2;
    SIZE_T i = 0;

    while (i < Length && a[i] == b[i])
        i++;
    return i;
}

SIZE_T RtlCompareMemoryUlong(PVOID Source, SIZE_T Length, ULONG Pattern)
{
    SIZE_T i = 0;

    for (; i + sizeof(ULONG) <= Length; i += sizeof(ULONG)) {
        ULONG value;
        memcpy(&value, (const UCHAR *)Source + i, sizeof value);
        if (value != Pattern)
            break;
    }
    return i;
}

PVOID RtlSecureZeroMemory(PVOID ptr, SIZE_T cnt)
{
    memset(ptr, 0, cnt);
    __asm__ volatile("" : : "r"(ptr) : "memory"); /* so that the compiler keeps it */
    return ptr;
}

PVOID RtlSetVolatileMemory(PVOID Destination, LONG Value, SIZE_T Length)
{
    memset(Destination, Value, Length);
    __asm__ volatile("" : : "r"(Destination) : "memory");
    return Destination;
}

VOID RtlFillMemoryUlong(PVOID Destination, SIZE_T Length, ULONG Pattern)
{
    for (SIZE_T i = 0; i + sizeof Pattern <= Length; i += sizeof Pattern)
        memcpy((UCHAR *)Destination + i, &Pattern, sizeof Pattern);
}

VOID RtlFillMemoryUlonglong(PVOID Destination, SIZE_T Length, ULONGLONG Pattern)
{
    for (SIZE_T i = 0; i + sizeof Pattern <= Length; i += sizeof Pattern)
        memcpy((UCHAR *)Destination + i, &Pattern, sizeof Pattern);
}

BOOLEAN RtlIsZeroMemory(PVOID Buffer, SIZE_T Length)
{
    for (SIZE_T i = 0; i < Length; i++)
        if (((const UCHAR *)Buffer)[i] != 0)
            return FALSE;
    return TRUE;
}

VOID RtlGetCallersAddress(PVOID *CallersAddress, PVOID *CallersCaller)
{
    *CallersAddress = NT_SITE;
    *CallersCaller = NULL; /* would take frame pointers in code that has none */
}

/* As above: one frame at most. */
USHORT RtlCaptureStackBackTrace(ULONG FramesToSkip, ULONG FramesToCapture, PVOID *BackTrace,
                                PULONG BackTraceHash)
{
    if (BackTraceHash != NULL)
        *BackTraceHash = 0;
    if (FramesToSkip > 0 || FramesToCapture == 0)
        return 0;
    BackTrace[0] = NT_SITE;
    return 1;
}

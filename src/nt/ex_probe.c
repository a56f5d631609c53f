/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a program hands in by address (METHOD_NEITHER): ProbeForRead and ProbeForWrite raise where it cannot be meant,
 * which stops the machine as every exception does here.
 * A program's memory is this process's, so a range is bad if it wraps around or is not aligned; whether it is mapped
 * shows when it is touched. ProbeForWrite touches each page, as documented.
 */
#include "nt/internal.h"

#define PAGE 4096u

static void probe(const char *function, ULONG_PTR address, SIZE_T length, ULONG alignment, const void *site)
{
    if ((address & (alignment - 1)) != 0)
        nt_stop(KMODE_EXCEPTION_NOT_HANDLED, NULL, site, "%s: 0x%llx is not aligned to %u", function,
                (unsigned long long)address, (unsigned)alignment);
    if (address + length < address)
        nt_stop(KMODE_EXCEPTION_NOT_HANDLED, NULL, site, "%s: %llu bytes from 0x%llx are no program's",
                function, (unsigned long long)length, (unsigned long long)address);
}

VOID ProbeForRead(const volatile VOID *Address, SIZE_T Length, ULONG Alignment)
{
    NT_IRQL_MAX(APC_LEVEL);
    if (Length != 0)
        probe(__func__, (ULONG_PTR)Address, Length, Alignment, NT_SITE);
}

VOID ProbeForWrite(volatile VOID *Address, SIZE_T Length, ULONG Alignment)
{
    volatile UCHAR *at = Address, *end;

    NT_IRQL_MAX(APC_LEVEL);
    if (Length == 0)
        return;
    probe(__func__, (ULONG_PTR)Address, Length, Alignment, NT_SITE);
    end = at + Length;
    for (; at < end; at += PAGE - (ULONG_PTR)at % PAGE)
        *at = *at;
}

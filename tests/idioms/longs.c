/* SPDX-License-Identifier: Apache-2.0 */
/* long has 32 bits. Six uses: six warnings. */
#include <ntddk.h>

#include "check.h"

DRIVER_INITIALIZE DriverEntry;
DRIVER_UNLOAD Unload;

static long counter;
static unsigned long int mask = ~0UL;

VOID Unload(_In_ PDRIVER_OBJECT object)
{
    UNREFERENCED_PARAMETER(object);
}

NTSTATUS DriverEntry(_In_ PDRIVER_OBJECT object, _In_ PUNICODE_STRING path)
{
    long long wide = 1LL << 40;
    const unsigned long *at = &mask;

    UNREFERENCED_PARAMETER(path);
    CHECK(sizeof(long) == 4 && sizeof(1L) == 4 && sizeof(0xffffffffUL) == 4);
    CHECK(InterlockedIncrement(&counter) == 1);
    CHECK(*at == 0xffffffff && at[0] == (unsigned long)-1);
    CHECK(wide >> 40 == 1 && sizeof(long double) == 8);
    CHECK((long)0x80000000 < 0);
    object->DriverUnload = Unload;
    return checked;
}

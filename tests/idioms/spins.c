/* SPDX-License-Identifier: Apache-2.0 */
/* DriverEntry never comes back. */
#include <ntddk.h>

DRIVER_INITIALIZE DriverEntry;
DRIVER_UNLOAD Unload;

static volatile ULONG never;

static __declspec(noinline) VOID spins_here(VOID)
{
    while (never == 0)
        ;
}

VOID Unload(_In_ PDRIVER_OBJECT object)
{
    UNREFERENCED_PARAMETER(object);
}

NTSTATUS DriverEntry(_In_ PDRIVER_OBJECT object, _In_ PUNICODE_STRING path)
{
    UNREFERENCED_PARAMETER(path);
    object->DriverUnload = Unload;
    spins_here();
    return STATUS_SUCCESS;
}

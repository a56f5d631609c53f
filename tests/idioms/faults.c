/* SPDX-License-Identifier: Apache-2.0 */
/* A NULL pointer, in a function of its own. */
#include <ntddk.h>

DRIVER_INITIALIZE DriverEntry;
DRIVER_UNLOAD Unload;

static __declspec(noinline) ULONG reads_it(volatile ULONG *p)
{
    return *p;
}

VOID Unload(_In_ PDRIVER_OBJECT object)
{
    UNREFERENCED_PARAMETER(object);
    DbgPrint("%u\n", reads_it(NULL));
}

NTSTATUS DriverEntry(_In_ PDRIVER_OBJECT object, _In_ PUNICODE_STRING path)
{
    UNREFERENCED_PARAMETER(path);
    object->DriverUnload = Unload;
    return STATUS_SUCCESS;
}

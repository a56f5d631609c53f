/* SPDX-License-Identifier: Apache-2.0 */
/* A function that Weir lacks. */
#include <ntddk.h>

DRIVER_INITIALIZE DriverEntry;
DRIVER_UNLOAD Unload;

NTSTATUS FwpsNoSuchFunction9(PVOID p);

static NTSTATUS calls_it(PVOID p)
{
    return FwpsNoSuchFunction9(p);
}

VOID Unload(_In_ PDRIVER_OBJECT object)
{
    UNREFERENCED_PARAMETER(object);
}

NTSTATUS DriverEntry(_In_ PDRIVER_OBJECT object, _In_ PUNICODE_STRING path)
{
    UNREFERENCED_PARAMETER(path);
    object->DriverUnload = Unload;
    return calls_it(object);
}

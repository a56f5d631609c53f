/* SPDX-License-Identifier: Apache-2.0 */
/* A fault in a function that a driver's function called. */
#include <ntddk.h>

DRIVER_INITIALIZE DriverEntry;
DRIVER_UNLOAD Unload;

VOID Unload(_In_ PDRIVER_OBJECT object)
{
    UNREFERENCED_PARAMETER(object);
    CHAR to[8];

    RtlMoveMemory(to, (PVOID)16, sizeof(to));
    DbgPrint("%c\n", to[0]);
}

NTSTATUS DriverEntry(_In_ PDRIVER_OBJECT object, _In_ PUNICODE_STRING path)
{
    UNREFERENCED_PARAMETER(path);
    object->DriverUnload = Unload;
    return STATUS_SUCCESS;
}

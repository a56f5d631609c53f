/* SPDX-License-Identifier: Apache-2.0 */
/* A global that two engines must not share. */
#include <ntddk.h>

DRIVER_INITIALIZE DriverEntry;
DRIVER_UNLOAD Unload;

static ULONG loaded;

VOID Unload(_In_ PDRIVER_OBJECT object)
{
    UNREFERENCED_PARAMETER(object);
}

NTSTATUS DriverEntry(_In_ PDRIVER_OBJECT object, _In_ PUNICODE_STRING path)
{
    UNREFERENCED_PARAMETER(path);
    object->DriverUnload = Unload;
    return ++loaded == 1 ? STATUS_SUCCESS : STATUS_UNSUCCESSFUL;
}

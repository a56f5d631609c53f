/* SPDX-License-Identifier: Apache-2.0 */
/* A pool block that is never freed. */
#include <ntddk.h>

DRIVER_INITIALIZE DriverEntry;
DRIVER_UNLOAD Unload;

PVOID kept;

static VOID takes(VOID)
{
    kept = ExAllocatePool2(POOL_FLAG_NON_PAGED, 48, 'kaeL');
}

VOID Unload(_In_ PDRIVER_OBJECT object)
{
    UNREFERENCED_PARAMETER(object);
}

NTSTATUS DriverEntry(_In_ PDRIVER_OBJECT object, _In_ PUNICODE_STRING path)
{
    UNREFERENCED_PARAMETER(path);
    object->DriverUnload = Unload;
    takes();
    return STATUS_SUCCESS;
}

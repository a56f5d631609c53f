/* SPDX-License-Identifier: Apache-2.0 */
/* Names of headers in any case and with backslashes. */
#include <NtDDK.H>
#include "inc\Shared.H"
#include "SUB/inner.h"
#include <Ws2Def.h>

#include "check.h"

DRIVER_INITIALIZE DriverEntry;
DRIVER_UNLOAD Unload;

VOID Unload(_In_ PDRIVER_OBJECT object)
{
    UNREFERENCED_PARAMETER(object);
}

NTSTATUS DriverEntry(_In_ PDRIVER_OBJECT object, _In_ PUNICODE_STRING path)
{
    UNREFERENCED_PARAMETER(path);
    CHECK(SHARED + INNER == 3);
    CHECK(AF_INET6 == 23);
    object->DriverUnload = Unload;
    return checked;
}

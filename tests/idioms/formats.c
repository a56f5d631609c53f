/* SPDX-License-Identifier: Apache-2.0 */
/* What %l, %I64, %S, %wZ and %p mean on Windows. */
#include <ntddk.h>
#include <ntstrsafe.h>
#include <stdio.h>
#include <string.h>

#include "check.h"

DRIVER_INITIALIZE DriverEntry;
DRIVER_UNLOAD Unload;

VOID Unload(_In_ PDRIVER_OBJECT object)
{
    UNREFERENCED_PARAMETER(object);
}

NTSTATUS DriverEntry(_In_ PDRIVER_OBJECT object, _In_ PUNICODE_STRING path)
{
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"name");
    ANSI_STRING narrow = RTL_CONSTANT_STRING("narrow");
    CHAR to[128];
    WCHAR wide[32];
    ULONG big = 0xfffffff0;

    UNREFERENCED_PARAMETER(path);
    (void)_snprintf(to, sizeof(to), "%lu %ld %lx", big, (LONG)big, big);
    CHECK(strcmp(to, "4294967280 -16 fffffff0") == 0);
    (void)_snprintf(to, sizeof(to), "%I64u %I64x %I32u", 1ui64 << 40, 0x123456789abi64, 7u);
    CHECK(strcmp(to, "1099511627776 123456789ab 7") == 0);
    (void)_snprintf(to, sizeof(to), "%S %ws %hs %ls", L"one", L"two", "three", L"four");
    CHECK(strcmp(to, "one two three four") == 0);
    (void)_snprintf(to, sizeof(to), "%wZ %Z", &name, &narrow);
    CHECK(strcmp(to, "name narrow") == 0);
    (void)_snprintf(to, sizeof(to), "%p", (PVOID)(ULONG_PTR)0x12ab);
    CHECK(strcmp(to, "00000000000012AB") == 0);
    CHECK(NT_SUCCESS(RtlStringCbPrintfW(wide, sizeof(wide), L"%s %S", L"wide", "narrow")));
    CHECK(RtlCompareMemory(wide, L"wide narrow", sizeof(L"wide narrow")) == sizeof(L"wide narrow"));
    CHECK(RtlStringCbPrintfA(to, 4, "%s", "four") == STATUS_BUFFER_OVERFLOW);
    object->DriverUnload = Unload;
    return checked;
}

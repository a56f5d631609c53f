/* SPDX-License-Identifier: Apache-2.0 */
/* wchar_t has 16 bits, and no function that knows it may be the host's. */
#include <ntddk.h>
#include <stdio.h>
#include <stdlib.h>
#include <wchar.h>

#include "check.h"

DRIVER_INITIALIZE DriverEntry;
DRIVER_UNLOAD Unload;

static const WCHAR text[] = L"\\Device\\W\x00e9ir";

VOID Unload(_In_ PDRIVER_OBJECT object)
{
    UNREFERENCED_PARAMETER(object);
}

NTSTATUS DriverEntry(_In_ PDRIVER_OBJECT object, _In_ PUNICODE_STRING path)
{
    wchar_t buffer[64], *end;

    CHECK(sizeof(wchar_t) == 2 && sizeof(L'x') == 2 && sizeof(text) == 26);
    CHECK(wcslen(text) == 12);
    CHECK(wcscmp(wcscpy(buffer, text), text) == 0);
    CHECK(wcschr(buffer, L'W') == buffer + 8);
    CHECK(wcsstr(text, L"W\x00e9") == text + 8);
    CHECK(_wcsicmp(L"\\DEVICE", L"\\device") == 0);
    CHECK(wcsncmp(text, L"\\Devil", 5) == 0);
    CHECK(wcsrchr(text, L'\\') == text + 7);
    CHECK(wcstoul(L"0x12345678z", &end, 16) == 0x12345678 && *end == L'z');
    CHECK(_snwprintf(buffer, 64, L"%s=%d", text, 5) == 14 && buffer[13] == L'5');
    CHECK(wcscpy_s(buffer, 4, L"four") != 0);
    CHECK(path->Length == wcslen(path->Buffer) * sizeof(WCHAR));
    object->DriverUnload = Unload;
    return checked;
}

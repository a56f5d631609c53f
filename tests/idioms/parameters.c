/* SPDX-License-Identifier: Apache-2.0 */
/* Registry parameters, as weir replay --param gives them. */
#include <ntddk.h>
#include <wchar.h>

#include "check.h"

DRIVER_INITIALIZE DriverEntry;
DRIVER_UNLOAD Unload;

VOID Unload(_In_ PDRIVER_OBJECT object)
{
    UNREFERENCED_PARAMETER(object);
}

static ULONG query(HANDLE key, PCWSTR name, PVOID to, ULONG room)
{
    struct {
        KEY_VALUE_PARTIAL_INFORMATION head;
        UCHAR more[64];
    } value;
    UNICODE_STRING wide;
    ULONG size;

    RtlInitUnicodeString(&wide, name);
    if (!NT_SUCCESS(ZwQueryValueKey(key, &wide, KeyValuePartialInformation, &value, sizeof(value), &size)) ||
        value.head.DataLength > room)
        return 0;
    RtlCopyMemory(to, value.head.Data, value.head.DataLength);
    return value.head.Type;
}

NTSTATUS DriverEntry(_In_ PDRIVER_OBJECT object, _In_ PUNICODE_STRING path)
{
    WCHAR full[256] = L"", text[32] = L"";
    OBJECT_ATTRIBUTES attributes;
    UNICODE_STRING name;
    ULONG number = 0;
    HANDLE key;

    RtlCopyMemory(full, path->Buffer, path->Length);
    wcscat_s(full, 256, L"\\Parameters");
    RtlInitUnicodeString(&name, full);
    InitializeObjectAttributes(&attributes, &name, OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE, NULL, NULL);
    CHECK(NT_SUCCESS(ZwOpenKey(&key, KEY_READ, &attributes)));
    CHECK(query(key, L"Number", &number, sizeof(number)) == REG_DWORD && number == 0x1234);
    CHECK(query(key, L"Text", text, sizeof(text)) == REG_SZ && wcscmp(text, L"some text") == 0);
    CHECK(query(key, L"Digits", text, sizeof(text)) == REG_SZ && wcscmp(text, L"77") == 0);
    CHECK(query(key, L"Absent", text, sizeof(text)) == 0);
    ZwClose(key);
    object->DriverUnload = Unload;
    return checked;
}

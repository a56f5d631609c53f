/* SPDX-License-Identifier: Apache-2.0 */
/* parameters: values of the service's Parameters key (parameters.h). */
#include "parameters.h"

#define VALUE_BYTES 512

struct value {
    KEY_VALUE_PARTIAL_INFORMATION head;
    UCHAR room[VALUE_BYTES]; /* what does not fit into head.Data[1] */
};

HANDLE parameters_open(UNICODE_STRING *registry_path)
{
    UNICODE_STRING name;
    OBJECT_ATTRIBUTES where;
    HANDLE service = NULL, key = NULL;

    InitializeObjectAttributes(&where, registry_path, OBJ_CASE_INSENSITIVE | OBJ_KERNEL_HANDLE, NULL, NULL);
    if (!NT_SUCCESS(ZwOpenKey(&service, KEY_READ, &where)))
        return NULL;
    RtlInitUnicodeString(&name, L"Parameters");
    InitializeObjectAttributes(&where, &name, OBJ_CASE_INSENSITIVE | OBJ_KERNEL_HANDLE, service, NULL);
    if (!NT_SUCCESS(ZwOpenKey(&key, KEY_READ, &where)))
        key = NULL;
    ZwClose(service);
    return key;
}

void parameters_close(HANDLE key)
{
    if (key != NULL)
        ZwClose(key);
}

static BOOLEAN read(HANDLE key, PCWSTR name, struct value *value)
{
    UNICODE_STRING wanted;
    ULONG size;

    if (key == NULL)
        return FALSE;
    RtlInitUnicodeString(&wanted, name);
    return (BOOLEAN)NT_SUCCESS(
        ZwQueryValueKey(key, &wanted, KeyValuePartialInformation, value, sizeof *value, &size));
}

ULONG parameter_number(HANDLE key, PCWSTR name, ULONG otherwise)
{
    struct value value;
    ULONG number;

    if (!read(key, name, &value) || value.head.Type != REG_DWORD || value.head.DataLength != sizeof number)
        return otherwise;
    RtlCopyMemory(&number, value.head.Data, sizeof number);
    return number;
}

static ULONG print_number(ULONG number, CHAR *text, ULONG size)
{
    CHAR digits[10];
    ULONG count = 0, length = 0;

    do {
        digits[count++] = (CHAR)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    while (count != 0 && length + 1 < size)
        text[length++] = digits[--count];
    text[length] = '\0';
    return length;
}

ULONG parameter_text(HANDLE key, PCWSTR name, CHAR *text, ULONG size)
{
    struct value value;
    ULONG length = 0;

    text[0] = '\0';
    if (!read(key, name, &value))
        return 0;
    if (value.head.Type == REG_DWORD)
        return print_number(parameter_number(key, name, 0), text, size);
    if (value.head.Type != REG_SZ)
        return 0;
    for (ULONG i = 0; i + sizeof(WCHAR) <= value.head.DataLength && length + 1 < size; i += sizeof(WCHAR)) {
        WCHAR c;

        RtlCopyMemory(&c, value.head.Data + i, sizeof c);
        if (c == 0)
            break;
        text[length++] = c < 0x80 ? (CHAR)c : '?';
    }
    text[length] = '\0';
    return length;
}

BOOLEAN number_listed(const CHAR *text, ULONG number)
{
    while (*text != '\0') {
        ULONG found = 0;
        BOOLEAN digits = FALSE;

        for (; *text >= '0' && *text <= '9'; text++) {
            digits = TRUE;
            found = found < 100000 ? found * 10 + (ULONG)(*text - '0') : found;
        }
        if (digits && found == number)
            return TRUE;
        if (*text != '\0')
            text++;
    }
    return FALSE;
}

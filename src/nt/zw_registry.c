/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System services of the registry (registry.c has the tree). All at PASSIVE_LEVEL. Access masks are not
 * checked: drivers run in kernel mode. Change notifications are not there: STATUS_NOT_SUPPORTED.
 */
#include <stdlib.h>

#include "nt/fault.h"
#include "nt/io_inside.h"

/* The key that ObjectAttributes are relative to, with a reference; NULL: none, the name is absolute. */
static NTSTATUS relative_to(struct nt *k, POBJECT_ATTRIBUTES attributes, struct io_key **out)
{
    void *object;

    *out = NULL;
    if (attributes->RootDirectory == NULL)
        return STATUS_SUCCESS;
    NTSTATUS status = ob_handle_object(k, attributes->RootDirectory, &ob_type_key, &object);
    if (NT_SUCCESS(status))
        *out = object;
    return status;
}

static NTSTATUS open_key(POBJECT_ATTRIBUTES attributes, bool make, HANDLE *handle, bool *made,
                         const void *site)
{
    struct nt *k = nt_current();
    struct io_key *from, *open = NULL;
    struct registry_key *key = NULL;

    *handle = NULL;
    if (k == NULL)
        return STATUS_UNSUCCESSFUL;
    if (attributes->ObjectName == NULL && attributes->RootDirectory == NULL)
        return STATUS_OBJECT_NAME_INVALID;
    NTSTATUS status = relative_to(k, attributes, &from);
    if (!NT_SUCCESS(status))
        return status;
    static const UNICODE_STRING nothing;
    const UNICODE_STRING *name = attributes->ObjectName == NULL ? &nothing : attributes->ObjectName;
    rt_mutex_lock(k->io->lock);
    if (make)
        status = registry_make(k->io, from == NULL ? NULL : from->key, name->Buffer,
                               name->Length / sizeof(WCHAR), &key, made);
    else
        status = registry_find(k->io, from == NULL ? NULL : from->key, name->Buffer,
                               name->Length / sizeof(WCHAR), &key);
    if (NT_SUCCESS(status))
        status = registry_open(k->io, key, &open);
    rt_mutex_unlock(k->io->lock);
    if (from != NULL)
        ob_dereference(from);
    if (!NT_SUCCESS(status))
        return status;
    status = ob_handle_open(k, open, attributes->Attributes, handle);
    ob_dereference(open);
    if (NT_SUCCESS(status))
        ledger_open(LEDGER_HANDLE, (uint64_t)(uintptr_t)*handle, 0, "registry key", site);
    return status;
}

NTSTATUS registry_hold(HANDLE handle, struct registry_held *out)
{
    struct nt *k = nt_current();
    void *object;

    if (k == NULL)
        return STATUS_INVALID_HANDLE;
    NTSTATUS status = ob_handle_object(k, handle, &ob_type_key, &object);
    if (!NT_SUCCESS(status))
        return status;
    *out = (struct registry_held){.k = k, .open = object, .key = ((struct io_key *)object)->key};
    rt_mutex_lock(k->io->lock);
    return STATUS_SUCCESS;
}

void registry_let(struct registry_held *held)
{
    rt_mutex_unlock(held->k->io->lock);
    if (held->open != NULL)
        ob_dereference(held->open);
}

NTSTATUS ZwOpenKey(PHANDLE KeyHandle, ACCESS_MASK DesiredAccess, POBJECT_ATTRIBUTES ObjectAttributes)
{
    NT_FAIL_STATUS(ZwOpenKey);
    (void)DesiredAccess;
    NT_IRQL_MAX(PASSIVE_LEVEL);
    return open_key(ObjectAttributes, false, KeyHandle, NULL, NT_SITE);
}

NTSTATUS ZwOpenKeyEx(PHANDLE KeyHandle, ACCESS_MASK DesiredAccess, POBJECT_ATTRIBUTES ObjectAttributes,
                     ULONG OpenOptions)
{
    NT_FAIL_STATUS(ZwOpenKeyEx);
    (void)DesiredAccess;
    (void)OpenOptions;
    NT_IRQL_MAX(PASSIVE_LEVEL);
    return open_key(ObjectAttributes, false, KeyHandle, NULL, NT_SITE);
}

NTSTATUS ZwCreateKey(PHANDLE KeyHandle, ACCESS_MASK DesiredAccess, POBJECT_ATTRIBUTES ObjectAttributes,
                     ULONG TitleIndex, PUNICODE_STRING Class, ULONG CreateOptions, PULONG Disposition)
{
    bool made;

    NT_FAIL_STATUS(ZwCreateKey);
    (void)DesiredAccess;
    (void)TitleIndex;
    (void)Class;
    (void)CreateOptions;
    NT_IRQL_MAX(PASSIVE_LEVEL);
    NTSTATUS status = open_key(ObjectAttributes, true, KeyHandle, &made, NT_SITE);
    if (NT_SUCCESS(status) && Disposition != NULL)
        *Disposition = made ? REG_CREATED_NEW_KEY : REG_OPENED_EXISTING_KEY;
    return status;
}

NTSTATUS ZwDeleteKey(HANDLE KeyHandle)
{
    struct registry_held held;

    NT_IRQL_MAX(PASSIVE_LEVEL);
    NTSTATUS status = registry_hold(KeyHandle, &held);
    if (!NT_SUCCESS(status))
        return status;
    status = registry_delete(held.key);
    registry_let(&held);
    return status;
}

NTSTATUS ZwFlushKey(HANDLE KeyHandle)
{
    struct registry_held held;

    NT_IRQL_MAX(PASSIVE_LEVEL);
    NTSTATUS status = registry_hold(KeyHandle, &held);
    if (NT_SUCCESS(status))
        registry_let(&held);
    return status;
}

/* ---- what is handed out
 * ------------------------------------------------------------------------------------------ */
/*
 * A piece of a variable structure: the fixed part (`head` bytes), then pieces of what follows. What does not
 * fit is cut: STATUS_BUFFER_TOO_SMALL where not even the fixed part fits, STATUS_BUFFER_OVERFLOW where the
 * rest does not.
 */
struct piece {
    size_t offset;
    const void *from;
    size_t size;
};

static NTSTATUS hand_out(void *to, ULONG length, PULONG result, size_t head, const struct piece *pieces,
                         size_t count)
{
    size_t need = head;

    for (size_t i = 0; i < count; i++)
        if (pieces[i].offset + pieces[i].size > need)
            need = pieces[i].offset + pieces[i].size;
    *result = (ULONG)need;
    if (length < head)
        return STATUS_BUFFER_TOO_SMALL;
    for (size_t i = 0; i < count; i++) {
        size_t room = length > pieces[i].offset ? length - pieces[i].offset : 0;
        size_t n = pieces[i].size < room ? pieces[i].size : room;
        if (n > 0)
            memcpy((char *)to + pieces[i].offset, pieces[i].from, n);
    }
    return length < need ? STATUS_BUFFER_OVERFLOW : STATUS_SUCCESS;
}

static NTSTATUS value_information(const struct registry_value *v, KEY_VALUE_INFORMATION_CLASS class, void *to,
                                  ULONG length, PULONG result)
{
    ULONG name_size = (ULONG)(v->units * sizeof(WCHAR));

    switch (class) {
    case KeyValueBasicInformation: {
        KEY_VALUE_BASIC_INFORMATION head = {.Type = v->type, .NameLength = name_size};
        const size_t n = offsetof(KEY_VALUE_BASIC_INFORMATION, Name);
        return hand_out(to, length, result, n, (struct piece[]){{0, &head, n}, {n, v->name, name_size}}, 2);
    }
    case KeyValueFullInformation:
    case KeyValueFullInformationAlign64: {
        const size_t n = offsetof(KEY_VALUE_FULL_INFORMATION, Name);
        size_t align = class == KeyValueFullInformation ? 4 : 8,
               data = (n + name_size + align - 1) & ~(align - 1);
        KEY_VALUE_FULL_INFORMATION head = {
            .Type = v->type, .DataOffset = (ULONG)data, .DataLength = v->size, .NameLength = name_size};
        return hand_out(to, length, result, n,
                        (struct piece[]){{0, &head, n}, {n, v->name, name_size}, {data, v->data, v->size}},
                        3);
    }
    case KeyValuePartialInformation: {
        KEY_VALUE_PARTIAL_INFORMATION head = {.Type = v->type, .DataLength = v->size};
        const size_t n = offsetof(KEY_VALUE_PARTIAL_INFORMATION, Data);
        return hand_out(to, length, result, n, (struct piece[]){{0, &head, n}, {n, v->data, v->size}}, 2);
    }
    case KeyValuePartialInformationAlign64: {
        KEY_VALUE_PARTIAL_INFORMATION_ALIGN64 head = {.Type = v->type, .DataLength = v->size};
        const size_t n = offsetof(KEY_VALUE_PARTIAL_INFORMATION_ALIGN64, Data);
        return hand_out(to, length, result, n, (struct piece[]){{0, &head, n}, {n, v->data, v->size}}, 2);
    }
    default:
        return STATUS_INVALID_PARAMETER;
    }
}

static NTSTATUS key_information(struct registry_key *key, KEY_INFORMATION_CLASS class, void *to, ULONG length,
                                PULONG result)
{
    ULONG name_size = (ULONG)(key->units * sizeof(WCHAR));

    switch (class) {
    case KeyBasicInformation: {
        KEY_BASIC_INFORMATION head = {.LastWriteTime.QuadPart = (LONGLONG)key->written,
                                      .NameLength = name_size};
        const size_t n = offsetof(KEY_BASIC_INFORMATION, Name);
        return hand_out(to, length, result, n, (struct piece[]){{0, &head, n}, {n, key->name, name_size}}, 2);
    }
    case KeyNodeInformation: {
        KEY_NODE_INFORMATION head = {.LastWriteTime.QuadPart = (LONGLONG)key->written,
                                     .ClassOffset = 0xffffffff,
                                     .NameLength = name_size};
        const size_t n = offsetof(KEY_NODE_INFORMATION, Name);
        return hand_out(to, length, result, n, (struct piece[]){{0, &head, n}, {n, key->name, name_size}}, 2);
    }
    case KeyFullInformation: {
        KEY_FULL_INFORMATION head = {.LastWriteTime.QuadPart = (LONGLONG)key->written,
                                     .ClassOffset = 0xffffffff};
        const size_t n = offsetof(KEY_FULL_INFORMATION, Class);
        for (const struct registry_key *c = key->children; c != NULL; c = c->next) {
            head.SubKeys++;
            if (c->units * sizeof(WCHAR) > head.MaxNameLen)
                head.MaxNameLen = (ULONG)(c->units * sizeof(WCHAR));
        }
        for (const struct registry_value *v = key->values; v != NULL; v = v->next) {
            head.Values++;
            if (v->units * sizeof(WCHAR) > head.MaxValueNameLen)
                head.MaxValueNameLen = (ULONG)(v->units * sizeof(WCHAR));
            if (v->size > head.MaxValueDataLen)
                head.MaxValueDataLen = v->size;
        }
        return hand_out(to, length, result, n, (struct piece[]){{0, &head, n}}, 1);
    }
    case KeyNameInformation: {
        size_t units;
        WCHAR *path = registry_path(key, &units);
        if (path == NULL)
            return STATUS_INSUFFICIENT_RESOURCES;
        KEY_NAME_INFORMATION head = {.NameLength = (ULONG)(units * sizeof(WCHAR))};
        const size_t n = offsetof(KEY_NAME_INFORMATION, Name);
        NTSTATUS status =
            hand_out(to, length, result, n, (struct piece[]){{0, &head, n}, {n, path, head.NameLength}}, 2);
        free(path);
        return status;
    }
    default:
        return STATUS_INVALID_PARAMETER;
    }
}

NTSTATUS ZwQueryValueKey(HANDLE KeyHandle, PUNICODE_STRING ValueName,
                         KEY_VALUE_INFORMATION_CLASS KeyValueInformationClass, PVOID KeyValueInformation,
                         ULONG Length, PULONG ResultLength)
{
    struct registry_held held;

    NT_FAIL_STATUS(ZwQueryValueKey);
    NT_IRQL_MAX(PASSIVE_LEVEL);
    NTSTATUS status = registry_hold(KeyHandle, &held);
    if (!NT_SUCCESS(status))
        return status;
    const struct registry_value *v =
        registry_value(held.key, ValueName->Buffer, ValueName->Length / sizeof(WCHAR));
    status = held.key->deleted ? STATUS_KEY_DELETED
             : v == NULL
                 ? STATUS_OBJECT_NAME_NOT_FOUND
                 : value_information(v, KeyValueInformationClass, KeyValueInformation, Length, ResultLength);
    registry_let(&held);
    return status;
}

NTSTATUS ZwEnumerateValueKey(HANDLE KeyHandle, ULONG Index,
                             KEY_VALUE_INFORMATION_CLASS KeyValueInformationClass, PVOID KeyValueInformation,
                             ULONG Length, PULONG ResultLength)
{
    struct registry_held held;

    NT_FAIL_STATUS(ZwEnumerateValueKey);
    NT_IRQL_MAX(PASSIVE_LEVEL);
    NTSTATUS status = registry_hold(KeyHandle, &held);
    if (!NT_SUCCESS(status))
        return status;
    const struct registry_value *v = held.key->values;
    while (v != NULL && Index-- > 0)
        v = v->next;
    status = v == NULL
                 ? STATUS_NO_MORE_ENTRIES
                 : value_information(v, KeyValueInformationClass, KeyValueInformation, Length, ResultLength);
    registry_let(&held);
    return status;
}

NTSTATUS ZwQueryKey(HANDLE KeyHandle, KEY_INFORMATION_CLASS KeyInformationClass, PVOID KeyInformation,
                    ULONG Length, PULONG ResultLength)
{
    struct registry_held held;

    NT_FAIL_STATUS(ZwQueryKey);
    NT_IRQL_MAX(PASSIVE_LEVEL);
    NTSTATUS status = registry_hold(KeyHandle, &held);
    if (!NT_SUCCESS(status))
        return status;
    status = held.key->deleted
                 ? STATUS_KEY_DELETED
                 : key_information(held.key, KeyInformationClass, KeyInformation, Length, ResultLength);
    registry_let(&held);
    return status;
}

NTSTATUS ZwEnumerateKey(HANDLE KeyHandle, ULONG Index, KEY_INFORMATION_CLASS KeyInformationClass,
                        PVOID KeyInformation, ULONG Length, PULONG ResultLength)
{
    struct registry_held held;

    NT_FAIL_STATUS(ZwEnumerateKey);
    NT_IRQL_MAX(PASSIVE_LEVEL);
    NTSTATUS status = registry_hold(KeyHandle, &held);
    if (!NT_SUCCESS(status))
        return status;
    struct registry_key *c = held.key->children;
    while (c != NULL && Index-- > 0)
        c = c->next;
    status = c == NULL ? STATUS_NO_MORE_ENTRIES
                       : key_information(c, KeyInformationClass, KeyInformation, Length, ResultLength);
    registry_let(&held);
    return status;
}

NTSTATUS ZwSetValueKey(HANDLE KeyHandle, PUNICODE_STRING ValueName, ULONG TitleIndex, ULONG Type, PVOID Data,
                       ULONG DataSize)
{
    struct registry_held held;

    NT_FAIL_STATUS(ZwSetValueKey);
    (void)TitleIndex;
    NT_IRQL_MAX(PASSIVE_LEVEL);
    NTSTATUS status = registry_hold(KeyHandle, &held);
    if (!NT_SUCCESS(status))
        return status;
    status = registry_set(held.k->io, held.key, ValueName->Buffer, ValueName->Length / sizeof(WCHAR), Type,
                          Data, DataSize);
    registry_let(&held);
    return status;
}

NTSTATUS ZwDeleteValueKey(HANDLE KeyHandle, PUNICODE_STRING ValueName)
{
    struct registry_held held;

    NT_IRQL_MAX(PASSIVE_LEVEL);
    NTSTATUS status = registry_hold(KeyHandle, &held);
    if (!NT_SUCCESS(status))
        return status;
    status = registry_unset(held.key, ValueName->Buffer, ValueName->Length / sizeof(WCHAR))
                 ? STATUS_SUCCESS
                 : STATUS_OBJECT_NAME_NOT_FOUND;
    registry_let(&held);
    return status;
}

NTSTATUS ZwNotifyChangeKey(HANDLE KeyHandle, HANDLE Event, PIO_APC_ROUTINE ApcRoutine, PVOID ApcContext,
                           PIO_STATUS_BLOCK IoStatusBlock, ULONG CompletionFilter, BOOLEAN WatchTree,
                           PVOID Buffer, ULONG BufferSize, BOOLEAN Asynchronous)
{
    (void)KeyHandle;
    (void)Event;
    (void)ApcRoutine;
    (void)ApcContext;
    (void)IoStatusBlock;
    (void)CompletionFilter;
    (void)WatchTree;
    (void)Buffer;
    (void)BufferSize;
    (void)Asynchronous;
    NT_IRQL_MAX(PASSIVE_LEVEL);
    return STATUS_NOT_SUPPORTED;
}

/* Devices here have no hardware key. */
NTSTATUS IoOpenDeviceRegistryKey(PDEVICE_OBJECT DeviceObject, ULONG DevInstKeyType, ACCESS_MASK DesiredAccess,
                                 PHANDLE DeviceRegKey)
{
    NT_FAIL_STATUS(IoOpenDeviceRegistryKey);
    (void)DeviceObject;
    (void)DevInstKeyType;
    (void)DesiredAccess;
    NT_IRQL_MAX(PASSIVE_LEVEL);
    *DeviceRegKey = NULL;
    return STATUS_INVALID_DEVICE_REQUEST;
}

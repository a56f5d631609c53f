/* SPDX-License-Identifier: Apache-2.0 */
/* The framework's registry keys, over the tree of registry.c. PASSIVE_LEVEL. */
#include <stdlib.h>

#include "nt/fault.h"
#include "nt/wdf_inside.h"

struct wdf_key {
    struct wdf_object o;
    struct io_key *open;
    HANDLE handle; /* made when it is asked for */
};

static void key_free(struct wdf_object *o)
{
    struct wdf_key *key = (struct wdf_key *)o;

    if (key->handle != NULL)
        ob_handle_close(o->io->d->k, key->handle);
    if (key->open != NULL)
        ob_dereference(key->open);
}

/* from NULL: an absolute path. */
static NTSTATUS open_key(struct io_driver *io, struct io_key *from, const WCHAR *path, size_t units,
                         bool make, bool *made, const WDF_OBJECT_ATTRIBUTES *attributes, const void *site,
                         WDFKEY *out)
{
    struct io_room *room = io->d->k->io;
    struct registry_key *key = NULL;
    void *o;

    *out = NULL;
    NTSTATUS status = wdf_create(io, WDF_KIND_KEY, sizeof(struct wdf_key), attributes, io->wdf, site, &o);
    if (!NT_SUCCESS(status))
        return status;
    struct wdf_key *w = o;
    w->o.free = key_free;
    rt_mutex_lock(room->lock);
    status = make ? registry_make(room, from == NULL ? NULL : from->key, path, units, &key, made)
                  : registry_find(room, from == NULL ? NULL : from->key, path, units, &key);
    if (NT_SUCCESS(status))
        status = registry_open(room, key, &w->open);
    rt_mutex_unlock(room->lock);
    if (!NT_SUCCESS(status)) {
        wdf_delete(&w->o);
        return status;
    }
    *out = (WDFKEY)w;
    return status;
}

NTSTATUS WdfDriverOpenParametersRegistryKey(WDFDRIVER Driver, ACCESS_MASK DesiredAccess,
                                            PWDF_OBJECT_ATTRIBUTES KeyAttributes, WDFKEY *Key)
{
    NT_FAIL_STATUS(WdfDriverOpenParametersRegistryKey);
    static const WCHAR parameters[] = u"\\Parameters";
    struct wdf_driver *w = WDF_OF(Driver, WDF_KIND_DRIVER);

    (void)DesiredAccess;
    NT_IRQL_MAX(PASSIVE_LEVEL);
    *Key = NULL;
    if (w == NULL)
        return STATUS_INVALID_PARAMETER;
    const UNICODE_STRING *service = &w->o.io->registry_path;
    WCHAR *path = malloc(service->Length + sizeof parameters);
    if (path == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    memcpy(path, service->Buffer, service->Length);
    memcpy((char *)path + service->Length, parameters, sizeof parameters);
    NTSTATUS status =
        open_key(w->o.io, NULL, path, service->Length / sizeof(WCHAR) + ARRAYSIZE(parameters) - 1, false,
                 NULL, KeyAttributes, NT_SITE, Key);
    free(path);
    return status;
}

static NTSTATUS open_by_name(WDFKEY parent, PCUNICODE_STRING name, bool make, bool *made,
                             PWDF_OBJECT_ATTRIBUTES attributes, WDFKEY *key, const char *function,
                             const void *site)
{
    struct io_driver *io = wdf_current_driver();
    struct wdf_key *from = NULL;

    *key = NULL;
    if (io == NULL || name == NULL)
        return STATUS_INVALID_PARAMETER;
    if (parent != NULL && (from = wdf_of(parent, WDF_KIND_KEY, function, site)) == NULL)
        return STATUS_INVALID_PARAMETER;
    return open_key(io, from == NULL ? NULL : from->open, name->Buffer, name->Length / sizeof(WCHAR), make,
                    made, attributes, site, key);
}

NTSTATUS WdfRegistryOpenKey(WDFKEY ParentKey, PCUNICODE_STRING KeyName, ACCESS_MASK DesiredAccess,
                            PWDF_OBJECT_ATTRIBUTES KeyAttributes, WDFKEY *Key)
{
    NT_FAIL_STATUS(WdfRegistryOpenKey);
    (void)DesiredAccess;
    NT_IRQL_MAX(PASSIVE_LEVEL);
    return open_by_name(ParentKey, KeyName, false, NULL, KeyAttributes, Key, __func__, NT_SITE);
}

NTSTATUS WdfRegistryCreateKey(WDFKEY ParentKey, PCUNICODE_STRING KeyName, ACCESS_MASK DesiredAccess,
                              ULONG CreateOptions, PULONG CreateDisposition,
                              PWDF_OBJECT_ATTRIBUTES KeyAttributes, WDFKEY *Key)
{
    bool made = false;

    NT_FAIL_STATUS(WdfRegistryCreateKey);
    (void)DesiredAccess;
    (void)CreateOptions;
    NT_IRQL_MAX(PASSIVE_LEVEL);
    NTSTATUS status = open_by_name(ParentKey, KeyName, true, &made, KeyAttributes, Key, __func__, NT_SITE);
    if (NT_SUCCESS(status) && CreateDisposition != NULL)
        *CreateDisposition = made ? REG_CREATED_NEW_KEY : REG_OPENED_EXISTING_KEY;
    return status;
}

VOID WdfRegistryClose(WDFKEY Key)
{
    struct wdf_key *key = WDF_OF(Key, WDF_KIND_KEY);

    NT_IRQL_MAX(PASSIVE_LEVEL);
    if (key != NULL)
        wdf_delete(&key->o);
}

HANDLE WdfRegistryWdmGetHandle(WDFKEY Key)
{
    struct wdf_key *key = WDF_OF(Key, WDF_KIND_KEY);

    NT_IRQL_MAX(PASSIVE_LEVEL);
    if (key == NULL)
        return NULL;
    if (key->handle == NULL)
        ob_handle_open(key->o.io->d->k, key->open, OBJ_KERNEL_HANDLE, &key->handle);
    return key->handle;
}

/* ---- values
 * ----------------------------------------------------------------------------------------------------------
 */
/* A copy of the value's data, freed by the caller (NULL where it is empty). */
static NTSTATUS value_of(WDFKEY handle, PCUNICODE_STRING name, ULONG *type, void **data, ULONG *size,
                         const char *function, const void *site)
{
    struct wdf_key *key = wdf_of(handle, WDF_KIND_KEY, function, site);
    NTSTATUS status = STATUS_SUCCESS;

    *data = NULL;
    if (key == NULL || name == NULL)
        return STATUS_INVALID_PARAMETER;
    wdf_lock(&key->o);
    const struct registry_value *v =
        registry_value(key->open->key, name->Buffer, name->Length / sizeof(WCHAR));
    if (v == NULL) {
        status = STATUS_OBJECT_NAME_NOT_FOUND;
    } else {
        *type = v->type;
        *size = v->size;
        *data = malloc(v->size + 2 * sizeof(WCHAR));
        if (*data == NULL)
            status = STATUS_INSUFFICIENT_RESOURCES;
        else
            memcpy(*data, v->data, v->size);
    }
    wdf_unlock(&key->o);
    return status;
}

NTSTATUS WdfRegistryQueryULong(WDFKEY Key, PCUNICODE_STRING ValueName, PULONG Value)
{
    ULONG type, size;
    void *data;

    NT_FAIL_STATUS(WdfRegistryQueryULong);
    NT_IRQL_MAX(PASSIVE_LEVEL);
    NTSTATUS status = value_of(Key, ValueName, &type, &data, &size, __func__, NT_SITE);
    if (!NT_SUCCESS(status))
        return status;
    if (type != REG_DWORD || size != sizeof *Value)
        status = STATUS_OBJECT_TYPE_MISMATCH;
    else
        memcpy(Value, data, sizeof *Value);
    free(data);
    return status;
}

/* Bytes of a string value up to its NUL or end. */
static size_t string_bytes(const void *data, ULONG size)
{
    const WCHAR *units = data;
    size_t n = 0;

    while ((n + 1) * sizeof(WCHAR) <= size && units[n] != 0)
        n++;
    return n * sizeof(WCHAR);
}

/* ValueByteLength: with the NUL. */
NTSTATUS WdfRegistryQueryUnicodeString(WDFKEY Key, PCUNICODE_STRING ValueName, PUSHORT ValueByteLength,
                                       PUNICODE_STRING Value)
{
    ULONG type, size;
    void *data;

    NT_FAIL_STATUS(WdfRegistryQueryUnicodeString);
    NT_IRQL_MAX(PASSIVE_LEVEL);
    NTSTATUS status = value_of(Key, ValueName, &type, &data, &size, __func__, NT_SITE);
    if (!NT_SUCCESS(status))
        return status;
    size_t bytes = string_bytes(data, size);
    if (type != REG_SZ && type != REG_EXPAND_SZ) {
        status = STATUS_OBJECT_TYPE_MISMATCH;
    } else if (bytes + sizeof(WCHAR) > 0xffff) {
        status = STATUS_INTEGER_OVERFLOW;
    } else {
        if (ValueByteLength != NULL)
            *ValueByteLength = (USHORT)(bytes + sizeof(WCHAR));
        if (Value != NULL && Value->MaximumLength < bytes + sizeof(WCHAR)) {
            status = STATUS_BUFFER_OVERFLOW;
        } else if (Value != NULL) {
            memcpy(Value->Buffer, data, bytes);
            Value->Buffer[bytes / sizeof(WCHAR)] = 0;
            Value->Length = (USHORT)bytes;
        }
    }
    free(data);
    return status;
}

NTSTATUS WdfRegistryQueryString(WDFKEY Key, PCUNICODE_STRING ValueName, WDFSTRING String)
{
    NT_FAIL_STATUS(WdfRegistryQueryString);
    struct wdf_string *s = WDF_OF(String, WDF_KIND_STRING);
    ULONG type, size;
    void *data;

    NT_IRQL_MAX(PASSIVE_LEVEL);
    if (s == NULL)
        return STATUS_INVALID_PARAMETER;
    NTSTATUS status = value_of(Key, ValueName, &type, &data, &size, __func__, NT_SITE);
    if (!NT_SUCCESS(status))
        return status;
    status = type != REG_SZ && type != REG_EXPAND_SZ
                 ? STATUS_OBJECT_TYPE_MISMATCH
                 : wdf_string_set(s, data, string_bytes(data, size) / sizeof(WCHAR));
    free(data);
    return status;
}

NTSTATUS WdfRegistryQueryValue(WDFKEY Key, PCUNICODE_STRING ValueName, ULONG ValueLength, PVOID Value,
                               PULONG ValueLengthQueried, PULONG ValueType)
{
    ULONG type, size;
    void *data;

    NT_FAIL_STATUS(WdfRegistryQueryValue);
    NT_IRQL_MAX(PASSIVE_LEVEL);
    NTSTATUS status = value_of(Key, ValueName, &type, &data, &size, __func__, NT_SITE);
    if (!NT_SUCCESS(status))
        return status;
    if (ValueLengthQueried != NULL)
        *ValueLengthQueried = size;
    if (ValueType != NULL)
        *ValueType = type;
    if (Value != NULL && size > 0)
        memcpy(Value, data, size < ValueLength ? size : ValueLength);
    if (ValueLength < size)
        status = STATUS_BUFFER_OVERFLOW;
    free(data);
    return status;
}

NTSTATUS WdfRegistryQueryMemory(WDFKEY Key, PCUNICODE_STRING ValueName, POOL_TYPE PoolType,
                                PWDF_OBJECT_ATTRIBUTES MemoryAttributes, WDFMEMORY *Memory, PULONG ValueType)
{
    NT_FAIL_STATUS(WdfRegistryQueryMemory);
    struct io_driver *io = wdf_current_driver();
    ULONG type, size;
    void *data;

    (void)PoolType;
    NT_IRQL_MAX(PASSIVE_LEVEL);
    *Memory = NULL;
    if (io == NULL)
        return STATUS_INVALID_PARAMETER;
    NTSTATUS status = value_of(Key, ValueName, &type, &data, &size, __func__, NT_SITE);
    if (!NT_SUCCESS(status))
        return status;
    void *buffer;
    WDFMEMORY memory;
    status = WdfMemoryCreate(MemoryAttributes, PoolType, 0, size == 0 ? 1 : size, &memory, &buffer);
    if (NT_SUCCESS(status)) {
        memcpy(buffer, data, size);
        *Memory = memory;
        if (ValueType != NULL)
            *ValueType = type;
    }
    free(data);
    return status;
}

static NTSTATUS assign(WDFKEY handle, PCUNICODE_STRING name, ULONG type, const void *data, size_t size,
                       const char *function, const void *site)
{
    struct wdf_key *key = wdf_of(handle, WDF_KIND_KEY, function, site);

    if (key == NULL || name == NULL)
        return STATUS_INVALID_PARAMETER;
    wdf_lock(&key->o);
    NTSTATUS status = registry_set(wdf_room(&key->o), key->open->key, name->Buffer,
                                   name->Length / sizeof(WCHAR), type, data, size);
    wdf_unlock(&key->o);
    return status;
}

NTSTATUS WdfRegistryAssignULong(WDFKEY Key, PCUNICODE_STRING ValueName, ULONG Value)
{
    NT_FAIL_STATUS(WdfRegistryAssignULong);
    NT_IRQL_MAX(PASSIVE_LEVEL);
    return assign(Key, ValueName, REG_DWORD, &Value, sizeof Value, __func__, NT_SITE);
}

NTSTATUS WdfRegistryAssignUnicodeString(WDFKEY Key, PCUNICODE_STRING ValueName, PCUNICODE_STRING Value)
{
    NT_FAIL_STATUS(WdfRegistryAssignUnicodeString);
    NT_IRQL_MAX(PASSIVE_LEVEL);
    WCHAR *text = calloc(1, Value->Length + sizeof(WCHAR));
    if (text == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    memcpy(text, Value->Buffer, Value->Length);
    NTSTATUS status = assign(Key, ValueName, REG_SZ, text, Value->Length + sizeof(WCHAR), __func__, NT_SITE);
    free(text);
    return status;
}

NTSTATUS WdfRegistryAssignValue(WDFKEY Key, PCUNICODE_STRING ValueName, ULONG ValueType, ULONG ValueLength,
                                PVOID Value)
{
    NT_FAIL_STATUS(WdfRegistryAssignValue);
    NT_IRQL_MAX(PASSIVE_LEVEL);
    return assign(Key, ValueName, ValueType, Value, ValueLength, __func__, NT_SITE);
}

NTSTATUS WdfRegistryRemoveValue(WDFKEY Key, PCUNICODE_STRING ValueName)
{
    struct wdf_key *key = WDF_OF(Key, WDF_KIND_KEY);

    NT_IRQL_MAX(PASSIVE_LEVEL);
    if (key == NULL)
        return STATUS_INVALID_PARAMETER;
    wdf_lock(&key->o);
    bool was = registry_unset(key->open->key, ValueName->Buffer, ValueName->Length / sizeof(WCHAR));
    wdf_unlock(&key->o);
    return was ? STATUS_SUCCESS : STATUS_OBJECT_NAME_NOT_FOUND;
}

NTSTATUS WdfRegistryRemoveKey(WDFKEY Key)
{
    struct wdf_key *key = WDF_OF(Key, WDF_KIND_KEY);

    NT_IRQL_MAX(PASSIVE_LEVEL);
    if (key == NULL)
        return STATUS_INVALID_PARAMETER;
    wdf_lock(&key->o);
    NTSTATUS status = registry_delete(key->open->key);
    wdf_unlock(&key->o);
    if (NT_SUCCESS(status))
        wdf_delete(&key->o);
    return status;
}

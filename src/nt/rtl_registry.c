/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Helpers over the registry: values read by a table, single values written, keys made and looked for. A path
 * is relative to one of a few keys (RTL_REGISTRY_*), or to a handle. PASSIVE_LEVEL.
 */
#include <stdlib.h>

#include "nt/fault.h"
#include "nt/io_inside.h"
#include "nt/text.h"

static const WCHAR *const bases[] = {
    [RTL_REGISTRY_ABSOLUTE] = u"",
    [RTL_REGISTRY_SERVICES] = u"\\Registry\\Machine\\System\\CurrentControlSet\\Services",
    [RTL_REGISTRY_CONTROL] = u"\\Registry\\Machine\\System\\CurrentControlSet\\Control",
    [RTL_REGISTRY_WINDOWS_NT] = u"\\Registry\\Machine\\Software\\Microsoft\\Windows NT\\CurrentVersion",
    [RTL_REGISTRY_DEVICEMAP] = u"\\Registry\\Machine\\Hardware\\DeviceMap",
    [RTL_REGISTRY_USER] = u"\\Registry\\User\\.Default",
};

/* A key by its path, held as by registry_hold(). */
static NTSTATUS hold_path(ULONG relative_to, const WCHAR *path, bool make, struct registry_held *out)
{
    ULONG base = relative_to & ~(ULONG)RTL_REGISTRY_OPTIONAL;
    struct nt *k = nt_current();
    NTSTATUS status;

    if (k == NULL)
        return make ? STATUS_UNSUCCESSFUL : STATUS_OBJECT_NAME_NOT_FOUND;
    if (base >= ARRAYSIZE(bases))
        return STATUS_INVALID_PARAMETER;
    size_t n = rtl_length(bases[base]), units = path == NULL ? 0 : rtl_length(path);
    WCHAR *whole = malloc((n + units + 2) * sizeof *whole);
    if (whole == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    memcpy(whole, bases[base], n * sizeof *whole);
    if (n > 0 && units > 0)
        whole[n++] = '\\';
    if (units > 0)
        memcpy(whole + n, path, units * sizeof *whole);
    *out = (struct registry_held){.k = k};
    rt_mutex_lock(k->io->lock);
    status = make ? registry_make(k->io, NULL, whole, n + units, &out->key, NULL)
                  : registry_find(k->io, NULL, whole, n + units, &out->key);
    if (!NT_SUCCESS(status))
        registry_let(out);
    free(whole);
    return status;
}

/* The key; to be let go if it is there. */
static NTSTATUS hold(ULONG relative_to, const WCHAR *path, bool make, struct registry_held *out)
{
    NTSTATUS status;

    if (!(relative_to & RTL_REGISTRY_HANDLE))
        return hold_path(relative_to, path, make, out);
    status = registry_hold((HANDLE)(uintptr_t)path, out);
    if (NT_SUCCESS(status) && out->key->deleted) {
        registry_let(out);
        return STATUS_KEY_DELETED;
    }
    return status;
}

NTSTATUS RtlCheckRegistryKey(ULONG RelativeTo, PWSTR Path)
{
    struct registry_held held;

    NT_FAIL_STATUS(RtlCheckRegistryKey);
    NT_IRQL_MAX(PASSIVE_LEVEL);
    NTSTATUS status = hold(RelativeTo, Path, false, &held);
    if (NT_SUCCESS(status))
        registry_let(&held);
    return status;
}

NTSTATUS RtlCreateRegistryKey(ULONG RelativeTo, PWSTR Path)
{
    struct registry_held held;

    NT_FAIL_STATUS(RtlCreateRegistryKey);
    NT_IRQL_MAX(PASSIVE_LEVEL);
    NTSTATUS status = hold(RelativeTo, Path, true, &held);
    if (NT_SUCCESS(status))
        registry_let(&held);
    return status;
}

NTSTATUS RtlWriteRegistryValue(ULONG RelativeTo, PCWSTR Path, PCWSTR ValueName, ULONG ValueType,
                               PVOID ValueData, ULONG ValueLength)
{
    struct registry_held held;

    NT_FAIL_STATUS(RtlWriteRegistryValue);
    NT_IRQL_MAX(PASSIVE_LEVEL);
    NTSTATUS status = hold(RelativeTo, Path, true, &held);
    if (!NT_SUCCESS(status))
        return status;
    status = registry_set(held.k->io, held.key, ValueName, rtl_length(ValueName), ValueType, ValueData,
                          ValueLength);
    registry_let(&held);
    return status;
}

NTSTATUS RtlDeleteRegistryValue(ULONG RelativeTo, PCWSTR Path, PCWSTR ValueName)
{
    struct registry_held held;

    NT_IRQL_MAX(PASSIVE_LEVEL);
    NTSTATUS status = hold(RelativeTo, Path, false, &held);
    if (!NT_SUCCESS(status))
        return status;
    if (!registry_unset(held.key, ValueName, rtl_length(ValueName)))
        status = STATUS_OBJECT_NAME_NOT_FOUND;
    registry_let(&held);
    return status;
}

/* ---- the query table
 * --------------------------------------------------------------------------------------------------- */
struct copy { /* of a value, so that no lock is held while a routine runs */
    ULONG type, size;
    unsigned char *data; /* with a NUL character behind it */
};

static NTSTATUS copy_value(ULONG relative_to, const WCHAR *path, const WCHAR *subkey, const WCHAR *name,
                           bool unset, struct copy *out)
{
    struct registry_held held;
    struct registry_key *key;

    NTSTATUS status = hold(relative_to, path, false, &held);
    if (!NT_SUCCESS(status))
        return status;
    key = held.key;
    if (subkey != NULL)
        status = registry_find(held.k->io, key, subkey, rtl_length(subkey), &key);
    if (NT_SUCCESS(status)) {
        const struct registry_value *v = registry_value(key, name, rtl_length(name));
        if (v == NULL) {
            status = STATUS_OBJECT_NAME_NOT_FOUND;
        } else {
            *out = (struct copy){v->type, v->size, calloc(1, v->size + 2 * sizeof(WCHAR))};
            if (out->data == NULL)
                status = STATUS_NO_MEMORY;
            else
                memcpy(out->data, v->data, v->size);
            if (unset)
                registry_unset(key, name, rtl_length(name));
        }
    }
    registry_let(&held);
    return status;
}

static bool is_string(ULONG type)
{
    return type == REG_SZ || type == REG_EXPAND_SZ || type == REG_MULTI_SZ;
}

/* RTL_QUERY_REGISTRY_DIRECT: a string into the UNICODE_STRING at EntryContext (its buffer made where it is
 * NULL), a number into a ULONG, others into a buffer that says its size as a negative LONG. */
static NTSTATUS store(const RTL_QUERY_REGISTRY_TABLE *entry, const struct copy *v, const void *site)
{
    if (is_string(v->type)) {
        UNICODE_STRING *s = entry->EntryContext;
        size_t bytes = v->size & ~1u, text = bytes;
        if (v->type != REG_MULTI_SZ)
            text = rtl_length((const WCHAR *)v->data) * sizeof(WCHAR);
        if (text > 0xfffc)
            return STATUS_BUFFER_TOO_SMALL;
        if (s->Buffer == NULL) {
            s->Buffer = nt_pool_alloc(text + sizeof(WCHAR), RTL_TAG, site);
            if (s->Buffer == NULL)
                return STATUS_NO_MEMORY;
            s->MaximumLength = (USHORT)(text + sizeof(WCHAR));
        } else if (text + sizeof(WCHAR) > s->MaximumLength) {
            return STATUS_BUFFER_TOO_SMALL;
        }
        memcpy(s->Buffer, v->data, text);
        s->Buffer[text / sizeof(WCHAR)] = 0;
        s->Length = (USHORT)text;
        return STATUS_SUCCESS;
    }
    if (v->size <= sizeof(ULONG)) {
        memcpy(entry->EntryContext, v->data, v->size);
        return STATUS_SUCCESS;
    }
    LONG room;
    memcpy(&room, entry->EntryContext, sizeof room);
    if (room < 0 && (ULONG)-room >= v->size) {
        memcpy(entry->EntryContext, v->data, v->size);
        return STATUS_SUCCESS;
    }
    ULONG *head = entry->EntryContext;
    if (room < 0 || (ULONG)room < v->size + 2 * sizeof(ULONG))
        return STATUS_BUFFER_TOO_SMALL;
    head[0] = v->size;
    head[1] = v->type;
    memcpy(head + 2, v->data, v->size);
    return STATUS_SUCCESS;
}

static NTSTATUS hand_over(const RTL_QUERY_REGISTRY_TABLE *entry, const WCHAR *name, const struct copy *v,
                          void *context, const void *site)
{
    if (entry->Flags & RTL_QUERY_REGISTRY_DIRECT) {
        ULONG wanted = entry->DefaultType >> RTL_QUERY_REGISTRY_TYPECHECK_SHIFT;
        if (entry->Flags & RTL_QUERY_REGISTRY_TYPECHECK && wanted != REG_NONE && wanted != v->type)
            return STATUS_OBJECT_TYPE_MISMATCH;
        return store(entry, v, site);
    }
    if (v->type != REG_MULTI_SZ || entry->Flags & RTL_QUERY_REGISTRY_NOEXPAND)
        return entry->QueryRoutine((PWSTR)(uintptr_t)name, v->type, v->data, v->size, context,
                                   entry->EntryContext);
    for (WCHAR *at = (WCHAR *)v->data; *at != 0;
         at += rtl_length(at) + 1) { /* one call for each of its strings */
        NTSTATUS status =
            entry->QueryRoutine((PWSTR)(uintptr_t)name, REG_SZ, at,
                                (ULONG)((rtl_length(at) + 1) * sizeof(WCHAR)), context, entry->EntryContext);
        if (!NT_SUCCESS(status))
            return status;
    }
    return STATUS_SUCCESS;
}

/* Entries with a name, or RTL_QUERY_REGISTRY_SUBKEY and _TOPKEY, which say where the names of those behind it
 * are looked for. Entries without a name (all values of a key) and those that are not served:
 * STATUS_INVALID_PARAMETER. */
NTSTATUS RtlQueryRegistryValues(ULONG RelativeTo, PCWSTR Path, PRTL_QUERY_REGISTRY_TABLE QueryTable,
                                PVOID Context, PVOID Environment)
{
    struct registry_held held;
    const WCHAR *subkey = NULL;
    NTSTATUS status;

    NT_FAIL_STATUS(RtlQueryRegistryValues);
    (void)Environment; /* REG_EXPAND_SZ stays as it is: there are no variables */
    NT_IRQL_MAX(PASSIVE_LEVEL);
    status = hold(RelativeTo, Path, false, &held);
    if (!NT_SUCCESS(status))
        return RelativeTo & RTL_REGISTRY_OPTIONAL ? STATUS_SUCCESS : status;
    registry_let(&held);
    for (const RTL_QUERY_REGISTRY_TABLE *e = QueryTable;
         e->QueryRoutine != NULL || e->Flags & (RTL_QUERY_REGISTRY_SUBKEY | RTL_QUERY_REGISTRY_DIRECT); e++) {
        if (e->Flags & (RTL_QUERY_REGISTRY_SUBKEY | RTL_QUERY_REGISTRY_TOPKEY))
            subkey = NULL;
        if (e->Flags & RTL_QUERY_REGISTRY_SUBKEY) {
            if (e->Name == NULL || e->QueryRoutine != NULL)
                return STATUS_INVALID_PARAMETER;
            subkey = e->Name;
            continue;
        }
        if (e->Name == NULL || (e->Flags & RTL_QUERY_REGISTRY_DIRECT && e->QueryRoutine != NULL))
            return STATUS_INVALID_PARAMETER;
        if (e->Flags & RTL_QUERY_REGISTRY_NOVALUE) {
            status = e->QueryRoutine(e->Name, REG_NONE, NULL, 0, Context, e->EntryContext);
            if (!NT_SUCCESS(status))
                return status;
            continue;
        }
        struct copy v = {0};
        status = copy_value(RelativeTo, Path, subkey, e->Name, e->Flags & RTL_QUERY_REGISTRY_DELETE, &v);
        if (status == STATUS_OBJECT_NAME_NOT_FOUND) {
            ULONG type = e->DefaultType & ~(ULONG)RTL_QUERY_REGISTRY_TYPECHECK_MASK;
            if (e->Flags & RTL_QUERY_REGISTRY_REQUIRED)
                return status;
            if (type == REG_NONE)
                continue;
            ULONG size = e->DefaultLength;
            if (size == 0 && is_string(type) && e->DefaultData != NULL)
                size = (ULONG)((rtl_length(e->DefaultData) + 1) * sizeof(WCHAR));
            v = (struct copy){type, size, calloc(1, size + 2 * sizeof(WCHAR))};
            if (v.data == NULL)
                return STATUS_NO_MEMORY;
            if (size > 0 && e->DefaultData != NULL)
                memcpy(v.data, e->DefaultData, size);
            status = STATUS_SUCCESS;
        }
        if (NT_SUCCESS(status))
            status = hand_over(e, e->Name, &v, Context, NT_SITE);
        free(v.data);
        if (!NT_SUCCESS(status))
            return status;
    }
    return STATUS_SUCCESS;
}

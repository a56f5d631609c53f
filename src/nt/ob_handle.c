/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handles: one table a kernel, as all of its drivers run in the system's process. A handle is 4 * (index +
 * 1), with the upper bits set where it was asked for as a kernel handle; the lowest free index is used next,
 * so that the same calls give the same handles. A handle holds one reference.
 *
 * Locks: the table's own, innermost; an object's end never runs under it.
 */
#include <errno.h>
#include <stdlib.h>

#include "nt/fault.h"
#include "nt/internal.h"

#define KERNEL_HANDLE   0xffffffff80000000ull
#define CURRENT_PROCESS ((HANDLE)(LONG_PTR)-1)
#define CURRENT_THREAD  ((HANDLE)(LONG_PTR)-2)

struct entry {
    void *object; /* NULL: free */
    ULONG attributes;
    ACCESS_MASK access;
};

struct ob_room {
    struct rt_mutex *lock;
    struct entry *entries;
    size_t count, lowest_free;
};

int ob_room_create(struct ob_room **out)
{
    struct ob_room *r = calloc(1, sizeof(*r));

    if (r == NULL || rt_mutex_create(&r->lock) != 0) {
        free(r);
        return -ENOMEM;
    }
    *out = r;
    return 0;
}

void ob_room_destroy(struct ob_room *r)
{
    if (r == NULL)
        return;
    for (size_t i = 0; i < r->count; i++)
        if (r->entries[i].object != NULL)
            ob_dereference(r->entries[i].object);
    rt_mutex_destroy(r->lock);
    free(r->entries);
    free(r);
}

static NTSTATUS open_entry(struct ob_room *r, void *object, ULONG attributes, ACCESS_MASK access, HANDLE *out)
{
    NTSTATUS status = STATUS_SUCCESS;

    rt_mutex_lock(r->lock);
    size_t i = r->lowest_free;
    while (i < r->count && r->entries[i].object != NULL)
        i++;
    if (i == r->count) {
        size_t count = r->count == 0 ? 16 : 2 * r->count;
        struct entry *grown = realloc(r->entries, count * sizeof(*grown));
        if (grown == NULL) {
            status = STATUS_INSUFFICIENT_RESOURCES;
            goto out;
        }
        memset(grown + r->count, 0, (count - r->count) * sizeof(*grown));
        r->entries = grown;
        r->count = count;
    }
    ob_reference(object);
    r->entries[i] = (struct entry){object, attributes, access};
    r->lowest_free = i + 1;
    *out = (HANDLE)(uintptr_t)(4 * (i + 1) | (attributes & OBJ_KERNEL_HANDLE ? KERNEL_HANDLE : 0));
out:
    rt_mutex_unlock(r->lock);
    return status;
}

/* Under the lock; NULL: no handle. */
static struct entry *find(struct ob_room *r, HANDLE handle)
{
    uint64_t value = (uint64_t)(uintptr_t)handle;
    bool kernel = (value & KERNEL_HANDLE) == KERNEL_HANDLE;

    value &= ~KERNEL_HANDLE & ~3ull; /* the two lowest bits are the caller's */
    if (value == 0 || value / 4 > r->count)
        return NULL;
    struct entry *e = &r->entries[value / 4 - 1];
    if (e->object == NULL || kernel != ((e->attributes & OBJ_KERNEL_HANDLE) != 0))
        return NULL;
    return e;
}

NTSTATUS ob_handle_open(struct nt *k, void *object, ULONG attributes, HANDLE *out)
{
    return open_entry(k->ob, object, attributes, 0, out);
}

static NTSTATUS handle_object(struct nt *k, HANDLE handle, const struct _OBJECT_TYPE *type, void **out,
                              POBJECT_HANDLE_INFORMATION information)
{
    struct ob_room *r = k->ob;
    NTSTATUS status = STATUS_SUCCESS;

    rt_mutex_lock(r->lock);
    const struct entry *e = find(r, handle);
    if (e == NULL) {
        status = STATUS_INVALID_HANDLE;
    } else if (type != NULL && !ob_is(e->object, type)) {
        status = STATUS_OBJECT_TYPE_MISMATCH;
    } else {
        ob_reference(e->object);
        *out = e->object;
        if (information != NULL)
            *information = (OBJECT_HANDLE_INFORMATION){e->attributes, e->access};
    }
    rt_mutex_unlock(r->lock);
    return status;
}

NTSTATUS ob_handle_object(struct nt *k, HANDLE handle, const struct _OBJECT_TYPE *type, void **out)
{
    return handle_object(k, handle, type, out, NULL);
}

NTSTATUS ob_handle_close(struct nt *k, HANDLE handle)
{
    struct ob_room *r = k->ob;
    void *object = NULL;

    rt_mutex_lock(r->lock);
    struct entry *e = find(r, handle);
    if (e != NULL) {
        object = e->object;
        e->object = NULL;
        if ((size_t)(e - r->entries) < r->lowest_free)
            r->lowest_free = (size_t)(e - r->entries);
    }
    rt_mutex_unlock(r->lock);
    if (object == NULL)
        return STATUS_INVALID_HANDLE;
    ob_dereference(object);
    return STATUS_SUCCESS;
}

/* ---- what drivers call -------------------------------------------------------------------------------- */
static NTSTATUS reference_by_handle(HANDLE handle, POBJECT_TYPE type, PVOID *object,
                                    POBJECT_HANDLE_INFORMATION information, const void *site)
{
    struct nt *k = nt_current();
    NTSTATUS status = STATUS_INVALID_HANDLE;

    *object = NULL;
    if (k == NULL)
        return STATUS_INVALID_HANDLE;
    if (handle == CURRENT_THREAD || handle == CURRENT_PROCESS) {
        void *self = handle == CURRENT_THREAD ? (void *)KeGetCurrentThread() : (void *)IoGetCurrentProcess();
        if (self == NULL)
            return STATUS_INSUFFICIENT_RESOURCES;
        if (type != NULL && !ob_is(self, type))
            return STATUS_OBJECT_TYPE_MISMATCH;
        ob_reference(self);
        *object = self;
        if (information != NULL)
            *information = (OBJECT_HANDLE_INFORMATION){0, 0};
        status = STATUS_SUCCESS;
    } else {
        status = handle_object(k, handle, type, object, information);
    }
    if (NT_SUCCESS(status))
        ledger_open(LEDGER_OBJECT_REFERENCE, (uint64_t)(uintptr_t)*object, 0, "by handle", site);
    return status;
}

/* Access is not checked: drivers run in kernel mode. */
NTSTATUS ObReferenceObjectByHandle(HANDLE Handle, ACCESS_MASK DesiredAccess, POBJECT_TYPE ObjectType,
                                   KPROCESSOR_MODE AccessMode, PVOID *Object,
                                   POBJECT_HANDLE_INFORMATION HandleInformation)
{
    NT_FAIL_STATUS(ObReferenceObjectByHandle);
    (void)DesiredAccess;
    (void)AccessMode;
    NT_IRQL_MAX(PASSIVE_LEVEL);
    return reference_by_handle(Handle, ObjectType, Object, HandleInformation, NT_SITE);
}

NTSTATUS ObReferenceObjectByHandleWithTag(HANDLE Handle, ACCESS_MASK DesiredAccess, POBJECT_TYPE ObjectType,
                                          KPROCESSOR_MODE AccessMode, ULONG Tag, PVOID *Object,
                                          POBJECT_HANDLE_INFORMATION HandleInformation)
{
    NT_FAIL_STATUS(ObReferenceObjectByHandleWithTag);
    (void)DesiredAccess;
    (void)AccessMode;
    (void)Tag;
    NT_IRQL_MAX(PASSIVE_LEVEL);
    return reference_by_handle(Handle, ObjectType, Object, HandleInformation, NT_SITE);
}

NTSTATUS ObOpenObjectByPointer(PVOID Object, ULONG HandleAttributes, PACCESS_STATE PassedAccessState,
                               ACCESS_MASK DesiredAccess, POBJECT_TYPE ObjectType, KPROCESSOR_MODE AccessMode,
                               PHANDLE Handle)
{
    struct nt *k = nt_current();

    NT_FAIL_STATUS(ObOpenObjectByPointer);
    (void)PassedAccessState;
    (void)AccessMode;
    NT_IRQL_MAX(APC_LEVEL);
    *Handle = NULL;
    if (k == NULL)
        return STATUS_INVALID_PARAMETER;
    if (ObjectType != NULL && !ob_is(Object, ObjectType))
        return STATUS_OBJECT_TYPE_MISMATCH;
    NTSTATUS status = open_entry(k->ob, Object, HandleAttributes, DesiredAccess, Handle);
    if (NT_SUCCESS(status))
        ledger_open(LEDGER_HANDLE, (uint64_t)(uintptr_t)*Handle, 0, NULL, NT_SITE);
    return status;
}

static NTSTATUS close_handle(HANDLE handle, const void *site)
{
    struct nt *k = nt_current();

    if (k == NULL || handle == CURRENT_THREAD || handle == CURRENT_PROCESS)
        return k == NULL ? STATUS_INVALID_HANDLE : STATUS_SUCCESS;
    if (!ledger_close(LEDGER_HANDLE, (uint64_t)(uintptr_t)handle, site))
        return STATUS_INVALID_HANDLE;
    return ob_handle_close(k, handle);
}

NTSTATUS ZwClose(HANDLE Handle)
{
    NT_FAIL_STATUS(ZwClose);
    NT_IRQL_MAX(PASSIVE_LEVEL);
    return close_handle(Handle, NT_SITE);
}

NTSTATUS NtClose(HANDLE Handle)
{
    NT_IRQL_MAX(PASSIVE_LEVEL);
    return close_handle(Handle, NT_SITE);
}

NTSTATUS ObCloseHandle(HANDLE Handle, KPROCESSOR_MODE PreviousMode)
{
    (void)PreviousMode;
    NT_IRQL_MAX(PASSIVE_LEVEL);
    return close_handle(Handle, NT_SITE);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System services of named objects, events, processes and the system. What there is: symbolic links of
 * devices, events (without names), the handle of a process; what there is not fails as documented:
 * directories (the names of devices are no tree that could be walked), information about processes and the
 * system (STATUS_INVALID_INFO_CLASS), names of objects but devices' and drivers'. All at PASSIVE_LEVEL.
 */
#include <stdlib.h>

#include "nt/fault.h"
#include "nt/io_inside.h"

static NTSTATUS hand_out_handle(struct nt *k, void *object, ULONG attributes, PHANDLE handle,
                                const char *what, const void *site)
{
    NTSTATUS status = ob_handle_open(k, object, attributes, handle);

    ob_dereference(object);
    if (NT_SUCCESS(status))
        ledger_open(LEDGER_HANDLE, (uint64_t)(uintptr_t)*handle, 0, what, site);
    return status;
}

/* ---- names
 * ----------------------------------------------------------------------------------------------------------
 */
NTSTATUS ZwOpenDirectoryObject(PHANDLE DirectoryHandle, ACCESS_MASK DesiredAccess,
                               POBJECT_ATTRIBUTES ObjectAttributes)
{
    NT_FAIL_STATUS(ZwOpenDirectoryObject);
    (void)DesiredAccess;
    (void)ObjectAttributes;
    NT_IRQL_MAX(PASSIVE_LEVEL);
    *DirectoryHandle = NULL;
    return STATUS_OBJECT_NAME_NOT_FOUND;
}

NTSTATUS ZwCreateDirectoryObject(PHANDLE DirectoryHandle, ACCESS_MASK DesiredAccess,
                                 POBJECT_ATTRIBUTES ObjectAttributes)
{
    NT_FAIL_STATUS(ZwCreateDirectoryObject);
    (void)DesiredAccess;
    (void)ObjectAttributes;
    NT_IRQL_MAX(PASSIVE_LEVEL);
    *DirectoryHandle = NULL;
    return STATUS_NOT_SUPPORTED;
}

static void link_copy(const WCHAR *target, size_t units, UNICODE_STRING *out)
{
    memcpy(out->Buffer, target, units * sizeof(WCHAR));
    out->Length = (USHORT)(units * sizeof(WCHAR));
}

/* The object is the link's target, as it was when it was opened. */
struct link_body {
    size_t units;
    WCHAR target[];
};

NTSTATUS ZwOpenSymbolicLinkObject(PHANDLE LinkHandle, ACCESS_MASK DesiredAccess,
                                  POBJECT_ATTRIBUTES ObjectAttributes)
{
    struct nt *k = nt_current();
    struct link_body *body = NULL;
    const WCHAR *target;
    size_t units;

    NT_FAIL_STATUS(ZwOpenSymbolicLinkObject);
    (void)DesiredAccess;
    NT_IRQL_MAX(PASSIVE_LEVEL);
    *LinkHandle = NULL;
    if (k == NULL || ObjectAttributes->ObjectName == NULL || ObjectAttributes->RootDirectory != NULL)
        return STATUS_OBJECT_NAME_NOT_FOUND;
    rt_mutex_lock(k->io->lock);
    bool found = io_name_target(k->io, ObjectAttributes->ObjectName->Buffer,
                                ObjectAttributes->ObjectName->Length / sizeof(WCHAR), &target, &units);
    if (found) {
        body = ob_create(&ob_type_symbolic_link, sizeof *body + units * sizeof(WCHAR));
        if (body != NULL) {
            body->units = units;
            memcpy(body->target, target, units * sizeof(WCHAR));
        }
    }
    rt_mutex_unlock(k->io->lock);
    if (body == NULL)
        return found ? STATUS_INSUFFICIENT_RESOURCES : STATUS_OBJECT_NAME_NOT_FOUND;
    return hand_out_handle(k, body, ObjectAttributes->Attributes, LinkHandle, "symbolic link", NT_SITE);
}

NTSTATUS ZwQuerySymbolicLinkObject(HANDLE LinkHandle, PUNICODE_STRING LinkTarget, PULONG ReturnedLength)
{
    struct nt *k = nt_current();
    void *object;

    NT_FAIL_STATUS(ZwQuerySymbolicLinkObject);
    NT_IRQL_MAX(PASSIVE_LEVEL);
    if (k == NULL)
        return STATUS_INVALID_HANDLE;
    NTSTATUS status = ob_handle_object(k, LinkHandle, &ob_type_symbolic_link, &object);
    if (!NT_SUCCESS(status))
        return status;
    const struct link_body *body = object;
    if (ReturnedLength != NULL)
        *ReturnedLength = (ULONG)(body->units * sizeof(WCHAR));
    if (body->units * sizeof(WCHAR) > LinkTarget->MaximumLength)
        status = STATUS_BUFFER_TOO_SMALL;
    else
        link_copy(body->target, body->units, LinkTarget);
    ob_dereference(object);
    return status;
}

/* Devices and drivers have names here. *ReturnLength: what it takes. */
NTSTATUS ObQueryNameString(PVOID Object, POBJECT_NAME_INFORMATION ObjectNameInfo, ULONG Length,
                           PULONG ReturnLength)
{
    NT_FAIL_STATUS(ObQueryNameString);
    struct io_device *device = ob_is(Object, &ob_type_device) ? io_device_of(Object) : NULL;
    struct nt *k = nt_current();
    const WCHAR *name = NULL;
    size_t units = 0;

    NT_IRQL_MAX(PASSIVE_LEVEL);
    if (k == NULL)
        return STATUS_INVALID_PARAMETER;
    rt_mutex_lock(k->io->lock);
    if (device != NULL) {
        io_name_of_device(k->io, device, &name, &units);
    } else if (ob_is(Object, &ob_type_driver)) {
        name = ((DRIVER_OBJECT *)Object)->DriverName.Buffer;
        units = ((DRIVER_OBJECT *)Object)->DriverName.Length / sizeof(WCHAR);
    }
    *ReturnLength = (ULONG)(sizeof *ObjectNameInfo + (units == 0 ? 0 : (units + 1) * sizeof(WCHAR)));
    NTSTATUS status = Length < *ReturnLength ? STATUS_INFO_LENGTH_MISMATCH : STATUS_SUCCESS;
    if (NT_SUCCESS(status)) {
        WCHAR *to = (WCHAR *)(ObjectNameInfo + 1);
        ObjectNameInfo->Name = (UNICODE_STRING){0, 0, NULL};
        if (units > 0) {
            memcpy(to, name, units * sizeof(WCHAR));
            to[units] = 0;
            ObjectNameInfo->Name =
                (UNICODE_STRING){(USHORT)(units * sizeof(WCHAR)), (USHORT)((units + 1) * sizeof(WCHAR)), to};
        }
    }
    rt_mutex_unlock(k->io->lock);
    return status;
}

/* ---- events
 * ---------------------------------------------------------------------------------------------------------
 */
static NTSTATUS make_event(struct nt *k, const UNICODE_STRING *name, ULONG attributes, EVENT_TYPE type,
                           BOOLEAN state, PHANDLE handle, PKEVENT *event, const void *site)
{
    *handle = NULL;
    if (k == NULL)
        return STATUS_UNSUCCESSFUL;
    if (name != NULL && name->Length > 0)
        return STATUS_NOT_SUPPORTED; /* whom would it be shared with? */
    KEVENT *e = ob_create(&ob_type_event, sizeof *e);
    if (e == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    KeInitializeEvent(e, type, state);
    if (event != NULL)
        *event = e;
    return hand_out_handle(k, e, attributes, handle, "event", site);
}

NTSTATUS ZwCreateEvent(PHANDLE EventHandle, ACCESS_MASK DesiredAccess, POBJECT_ATTRIBUTES ObjectAttributes,
                       EVENT_TYPE EventType, BOOLEAN InitialState)
{
    NT_FAIL_STATUS(ZwCreateEvent);
    (void)DesiredAccess;
    NT_IRQL_MAX(PASSIVE_LEVEL);
    return make_event(nt_current(), ObjectAttributes == NULL ? NULL : ObjectAttributes->ObjectName,
                      ObjectAttributes == NULL ? 0 : ObjectAttributes->Attributes, EventType, InitialState,
                      EventHandle, NULL, NT_SITE);
}

static NTSTATUS with_event(HANDLE handle, LONG (*act)(PRKEVENT event), PLONG previous)
{
    struct nt *k = nt_current();
    void *object;

    if (k == NULL)
        return STATUS_INVALID_HANDLE;
    NTSTATUS status = ob_handle_object(k, handle, &ob_type_event, &object);
    if (!NT_SUCCESS(status))
        return status;
    LONG was = act(object);
    if (previous != NULL)
        *previous = was;
    ob_dereference(object);
    return status;
}

static LONG set_event(PRKEVENT event)
{
    return KeSetEvent(event, IO_NO_INCREMENT, FALSE);
}

NTSTATUS ZwSetEvent(HANDLE EventHandle, PLONG PreviousState)
{
    NT_IRQL_MAX(PASSIVE_LEVEL);
    return with_event(EventHandle, set_event, PreviousState);
}

NTSTATUS ZwClearEvent(HANDLE EventHandle)
{
    NT_IRQL_MAX(PASSIVE_LEVEL);
    return with_event(EventHandle, KeResetEvent, NULL);
}

NTSTATUS ZwResetEvent(HANDLE EventHandle, PLONG PreviousState)
{
    NT_IRQL_MAX(PASSIVE_LEVEL);
    return with_event(EventHandle, KeResetEvent, PreviousState);
}

NTSTATUS ZwWaitForSingleObject(HANDLE Handle, BOOLEAN Alertable, PLARGE_INTEGER Timeout)
{
    struct nt *k = nt_current();
    void *object;

    NT_IRQL_MAX(PASSIVE_LEVEL);
    if (k == NULL)
        return STATUS_INVALID_HANDLE;
    NTSTATUS status = ob_handle_object(k, Handle, NULL, &object);
    if (!NT_SUCCESS(status))
        return status;
    if (ob_is(object, &ob_type_event) || ob_is(object, &ob_type_thread) || ob_is(object, &ob_type_process))
        status = KeWaitForSingleObject(object, UserRequest, KernelMode, Alertable, Timeout);
    else
        status = STATUS_OBJECT_TYPE_MISMATCH;
    ob_dereference(object);
    return status;
}

static PKEVENT named_event(PUNICODE_STRING name, EVENT_TYPE type, PHANDLE handle, const void *site)
{
    PKEVENT event = NULL;

    return NT_SUCCESS(make_event(nt_current(), name, OBJ_KERNEL_HANDLE, type, TRUE, handle, &event, site))
               ? event
               : NULL;
}

PKEVENT IoCreateNotificationEvent(PUNICODE_STRING EventName, PHANDLE EventHandle)
{
    NT_FAIL_NULL(IoCreateNotificationEvent);
    NT_IRQL_MAX(PASSIVE_LEVEL);
    return named_event(EventName, NotificationEvent, EventHandle, NT_SITE);
}

PKEVENT IoCreateSynchronizationEvent(PUNICODE_STRING EventName, PHANDLE EventHandle)
{
    NT_FAIL_NULL(IoCreateSynchronizationEvent);
    NT_IRQL_MAX(PASSIVE_LEVEL);
    return named_event(EventName, SynchronizationEvent, EventHandle, NT_SITE);
}

/* ---- processes, the system
 * -------------------------------------------------------------------------------------------- */
NTSTATUS ZwOpenProcess(PHANDLE ProcessHandle, ACCESS_MASK DesiredAccess, POBJECT_ATTRIBUTES ObjectAttributes,
                       PCLIENT_ID ClientId)
{
    struct nt *k = nt_current();

    NT_FAIL_STATUS(ZwOpenProcess);
    (void)DesiredAccess;
    NT_IRQL_MAX(PASSIVE_LEVEL);
    *ProcessHandle = NULL;
    if (k == NULL || ClientId == NULL)
        return STATUS_INVALID_PARAMETER;
    struct nt_process *p = nt_process_find(k, (uint64_t)(uintptr_t)ClientId->UniqueProcess);
    if (p == NULL)
        return STATUS_INVALID_CID;
    return hand_out_handle(k, p, ObjectAttributes->Attributes, ProcessHandle, "process", NT_SITE);
}

NTSTATUS ZwQueryInformationProcess(HANDLE ProcessHandle, PROCESSINFOCLASS ProcessInformationClass,
                                   PVOID ProcessInformation, ULONG ProcessInformationLength,
                                   PULONG ReturnLength)
{
    NT_FAIL_STATUS(ZwQueryInformationProcess);
    (void)ProcessHandle;
    (void)ProcessInformationClass;
    (void)ProcessInformation;
    (void)ProcessInformationLength;
    NT_IRQL_MAX(PASSIVE_LEVEL);
    if (ReturnLength != NULL)
        *ReturnLength = 0;
    return STATUS_INVALID_INFO_CLASS;
}

NTSTATUS ZwQuerySystemInformation(SYSTEM_INFORMATION_CLASS SystemInformationClass, PVOID SystemInformation,
                                  ULONG SystemInformationLength, PULONG ReturnLength)
{
    NT_FAIL_STATUS(ZwQuerySystemInformation);
    (void)SystemInformationClass;
    (void)SystemInformation;
    (void)SystemInformationLength;
    NT_IRQL_MAX(PASSIVE_LEVEL);
    if (ReturnLength != NULL)
        *ReturnLength = 0;
    return STATUS_INVALID_INFO_CLASS;
}

NTSTATUS ZwQueryObject(HANDLE Handle, OBJECT_INFORMATION_CLASS ObjectInformationClass,
                       PVOID ObjectInformation, ULONG ObjectInformationLength, PULONG ReturnLength)
{
    (void)Handle;
    (void)ObjectInformationClass;
    (void)ObjectInformation;
    (void)ObjectInformationLength;
    NT_IRQL_MAX(PASSIVE_LEVEL);
    if (ReturnLength != NULL)
        *ReturnLength = 0;
    return STATUS_INVALID_INFO_CLASS;
}

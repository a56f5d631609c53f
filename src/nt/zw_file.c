/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System services of files. Only the drivers' own devices can be opened; a path that leads to none of them
 * fails with STATUS_OBJECT_NAME_NOT_FOUND or _PATH_NOT_FOUND, as for a file that is not there. Requests are
 * waited for: an event or an APC routine beside them is STATUS_NOT_SUPPORTED (no APC is ever delivered here).
 * All at PASSIVE_LEVEL.
 */
#include "nt/fault.h"
#include "nt/io_inside.h"

static NTSTATUS open_file(PHANDLE handle, ACCESS_MASK access, POBJECT_ATTRIBUTES attributes,
                          PIO_STATUS_BLOCK status_block, ULONG share, ULONG options, const void *site)
{
    struct nt *k = nt_current();
    struct io_file *file = NULL;
    NTSTATUS status = STATUS_OBJECT_NAME_INVALID;

    *handle = NULL;
    if (k == NULL)
        status = STATUS_UNSUCCESSFUL;
    else if (attributes->RootDirectory != NULL)
        status = STATUS_NOT_SUPPORTED;
    else if (attributes->ObjectName != NULL)
        status = io_file_open(k->io, attributes->ObjectName->Buffer,
                              attributes->ObjectName->Length / sizeof(WCHAR), rt_carried()->process, access,
                              share, options, &file);
    if (NT_SUCCESS(status)) {
        status = ob_handle_open(k, file, attributes->Attributes, handle);
        if (NT_SUCCESS(status))
            ledger_open(LEDGER_HANDLE, (uint64_t)(uintptr_t)*handle, 0, "file", site);
        ob_dereference(file); /* the last handle's end cleans up and closes */
    }
    status_block->Status = status;
    status_block->Information = NT_SUCCESS(status) ? FILE_OPENED : 0;
    return status;
}

NTSTATUS ZwOpenFile(PHANDLE FileHandle, ACCESS_MASK DesiredAccess, POBJECT_ATTRIBUTES ObjectAttributes,
                    PIO_STATUS_BLOCK IoStatusBlock, ULONG ShareAccess, ULONG OpenOptions)
{
    NT_FAIL_STATUS(ZwOpenFile);
    NT_IRQL_MAX(PASSIVE_LEVEL);
    return open_file(FileHandle, DesiredAccess, ObjectAttributes, IoStatusBlock, ShareAccess, OpenOptions,
                     NT_SITE);
}

NTSTATUS ZwCreateFile(PHANDLE FileHandle, ACCESS_MASK DesiredAccess, POBJECT_ATTRIBUTES ObjectAttributes,
                      PIO_STATUS_BLOCK IoStatusBlock, PLARGE_INTEGER AllocationSize, ULONG FileAttributes,
                      ULONG ShareAccess, ULONG CreateDisposition, ULONG CreateOptions, PVOID EaBuffer,
                      ULONG EaLength)
{
    NT_FAIL_STATUS(ZwCreateFile);
    (void)AllocationSize;
    (void)FileAttributes;
    (void)EaBuffer;
    NT_IRQL_MAX(PASSIVE_LEVEL);
    if (EaLength != 0)
        return STATUS_EAS_NOT_SUPPORTED;
    if (CreateDisposition == FILE_CREATE) /* what there is cannot be made */
        return STATUS_OBJECT_NAME_COLLISION;
    return open_file(FileHandle, DesiredAccess, ObjectAttributes, IoStatusBlock, ShareAccess, CreateOptions,
                     NT_SITE);
}

static NTSTATUS request(HANDLE handle, HANDLE event, PIO_APC_ROUTINE apc, PIO_STATUS_BLOCK status_block,
                        uint8_t major, ULONG code, const void *in, ULONG in_size, void *out, ULONG out_size,
                        const LARGE_INTEGER *offset)
{
    struct nt *k = nt_current();
    void *object;
    size_t done;

    if (k == NULL)
        return STATUS_INVALID_HANDLE;
    if (event != NULL || apc != NULL)
        return STATUS_NOT_SUPPORTED;
    NTSTATUS status = ob_handle_object(k, handle, &ob_type_file, &object);
    if (!NT_SUCCESS(status))
        return status;
    status = io_file_request(object, major, code, in, in_size, out, out_size,
                             offset == NULL ? 0 : (uint64_t)offset->QuadPart, &done, RT_FOREVER);
    status_block->Status = status;
    status_block->Information = done;
    ob_dereference(object);
    return status;
}

NTSTATUS ZwReadFile(HANDLE FileHandle, HANDLE Event, PIO_APC_ROUTINE ApcRoutine, PVOID ApcContext,
                    PIO_STATUS_BLOCK IoStatusBlock, PVOID Buffer, ULONG Length, PLARGE_INTEGER ByteOffset,
                    PULONG Key)
{
    NT_FAIL_STATUS(ZwReadFile);
    (void)ApcContext;
    (void)Key;
    NT_IRQL_MAX(PASSIVE_LEVEL);
    return request(FileHandle, Event, ApcRoutine, IoStatusBlock, IRP_MJ_READ, 0, NULL, 0, Buffer, Length,
                   ByteOffset);
}

NTSTATUS ZwWriteFile(HANDLE FileHandle, HANDLE Event, PIO_APC_ROUTINE ApcRoutine, PVOID ApcContext,
                     PIO_STATUS_BLOCK IoStatusBlock, PVOID Buffer, ULONG Length, PLARGE_INTEGER ByteOffset,
                     PULONG Key)
{
    NT_FAIL_STATUS(ZwWriteFile);
    (void)ApcContext;
    (void)Key;
    NT_IRQL_MAX(PASSIVE_LEVEL);
    return request(FileHandle, Event, ApcRoutine, IoStatusBlock, IRP_MJ_WRITE, 0, Buffer, Length, NULL, 0,
                   ByteOffset);
}

NTSTATUS ZwDeviceIoControlFile(HANDLE FileHandle, HANDLE Event, PIO_APC_ROUTINE ApcRoutine, PVOID ApcContext,
                               PIO_STATUS_BLOCK IoStatusBlock, ULONG IoControlCode, PVOID InputBuffer,
                               ULONG InputBufferLength, PVOID OutputBuffer, ULONG OutputBufferLength)
{
    NT_FAIL_STATUS(ZwDeviceIoControlFile);
    (void)ApcContext;
    NT_IRQL_MAX(PASSIVE_LEVEL);
    return request(FileHandle, Event, ApcRoutine, IoStatusBlock, IRP_MJ_DEVICE_CONTROL, IoControlCode,
                   InputBuffer, InputBufferLength, OutputBuffer, OutputBufferLength, NULL);
}

/* Devices have neither sizes nor times; their drivers would have to be asked (IRP_MJ_QUERY_INFORMATION). */
static NTSTATUS no_information(HANDLE handle, PIO_STATUS_BLOCK status_block)
{
    struct nt *k = nt_current();
    void *object;

    if (k == NULL)
        return STATUS_INVALID_HANDLE;
    NTSTATUS status = ob_handle_object(k, handle, &ob_type_file, &object);
    if (NT_SUCCESS(status)) {
        ob_dereference(object);
        status = STATUS_INVALID_DEVICE_REQUEST;
    }
    status_block->Status = status;
    status_block->Information = 0;
    return status;
}

NTSTATUS ZwQueryInformationFile(HANDLE FileHandle, PIO_STATUS_BLOCK IoStatusBlock, PVOID FileInformation,
                                ULONG Length, FILE_INFORMATION_CLASS FileInformationClass)
{
    NT_FAIL_STATUS(ZwQueryInformationFile);
    (void)FileInformation;
    (void)Length;
    (void)FileInformationClass;
    NT_IRQL_MAX(PASSIVE_LEVEL);
    return no_information(FileHandle, IoStatusBlock);
}

NTSTATUS ZwSetInformationFile(HANDLE FileHandle, PIO_STATUS_BLOCK IoStatusBlock, PVOID FileInformation,
                              ULONG Length, FILE_INFORMATION_CLASS FileInformationClass)
{
    (void)FileInformation;
    (void)Length;
    (void)FileInformationClass;
    NT_IRQL_MAX(PASSIVE_LEVEL);
    return no_information(FileHandle, IoStatusBlock);
}

NTSTATUS ZwFlushBuffersFile(HANDLE FileHandle, PIO_STATUS_BLOCK IoStatusBlock)
{
    NT_IRQL_MAX(PASSIVE_LEVEL);
    return no_information(FileHandle, IoStatusBlock);
}

NTSTATUS ZwDeleteFile(POBJECT_ATTRIBUTES ObjectAttributes)
{
    (void)ObjectAttributes;
    NT_IRQL_MAX(PASSIVE_LEVEL);
    return STATUS_OBJECT_NAME_NOT_FOUND;
}

/* ---- what a driver asks of files
 * -------------------------------------------------------------------------------------- */
PGENERIC_MAPPING IoGetFileObjectGenericMapping(VOID)
{
    static GENERIC_MAPPING mapping = {FILE_GENERIC_READ, FILE_GENERIC_WRITE, FILE_GENERIC_EXECUTE,
                                      FILE_ALL_ACCESS};

    NT_IRQL_MAX(PASSIVE_LEVEL);
    return &mapping;
}

/* Devices have no drive letters. */
NTSTATUS IoQueryFileDosDeviceName(PFILE_OBJECT FileObject, POBJECT_NAME_INFORMATION *Information)
{
    NT_FAIL_STATUS(IoQueryFileDosDeviceName);
    NT_IRQL_MAX(PASSIVE_LEVEL);
    *Information = NULL;
    return ob_is(FileObject, &ob_type_file) ? STATUS_INVALID_DEVICE_REQUEST : STATUS_INVALID_PARAMETER;
}

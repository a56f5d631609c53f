/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a request's asker gave and what he gets: as a buffer, a memory object or an MDL, by the method of transfer; and
 * as the asker's own addresses (METHOD_NEITHER), which stand for copies here (io_file.c). All of it belongs to the
 * request and goes with it (wdf_request.c).
 */
#include "nt/fault.h"
#include "nt/mdl.h"
#include "nt/wdf_inside.h"

struct span {
    void *buffer;
    size_t size;
    MDL *mdl;
};

static bool is_control(const IO_STACK_LOCATION *s)
{
    return s->MajorFunction == IRP_MJ_DEVICE_CONTROL || s->MajorFunction == IRP_MJ_INTERNAL_DEVICE_CONTROL;
}

/* Of reads and writes, by the device's kind of transfer. */
static NTSTATUS data_span(struct wdf_request *r, size_t length, struct span *out)
{
    out->size = length;
    if (r->irp->MdlAddress != NULL) {
        out->mdl = r->irp->MdlAddress;
        out->buffer = mm_mdl_map(r->irp->MdlAddress);
        return STATUS_SUCCESS;
    }
    out->buffer = r->irp->AssociatedIrp.SystemBuffer;
    return out->buffer == NULL && length > 0 ? STATUS_INVALID_DEVICE_REQUEST : STATUS_SUCCESS;
}

static NTSTATUS input_span(struct wdf_request *r, struct span *out)
{
    const IO_STACK_LOCATION *s = IoGetCurrentIrpStackLocation(r->irp);

    *out = (struct span){0};
    if (s->MajorFunction == IRP_MJ_WRITE)
        return data_span(r, s->Parameters.Write.Length, out);
    if (!is_control(s) || METHOD_FROM_CTL_CODE(s->Parameters.DeviceIoControl.IoControlCode) == METHOD_NEITHER)
        return STATUS_INVALID_DEVICE_REQUEST;
    out->buffer = r->irp->AssociatedIrp.SystemBuffer;
    out->size = s->Parameters.DeviceIoControl.InputBufferLength;
    return STATUS_SUCCESS;
}

static NTSTATUS output_span(struct wdf_request *r, struct span *out)
{
    const IO_STACK_LOCATION *s = IoGetCurrentIrpStackLocation(r->irp);

    *out = (struct span){0};
    if (s->MajorFunction == IRP_MJ_READ)
        return data_span(r, s->Parameters.Read.Length, out);
    if (!is_control(s))
        return STATUS_INVALID_DEVICE_REQUEST;
    switch (METHOD_FROM_CTL_CODE(s->Parameters.DeviceIoControl.IoControlCode)) {
    case METHOD_BUFFERED:
        out->buffer = r->irp->AssociatedIrp.SystemBuffer;
        out->size = s->Parameters.DeviceIoControl.OutputBufferLength;
        return STATUS_SUCCESS;
    case METHOD_NEITHER:
        return STATUS_INVALID_DEVICE_REQUEST;
    default:
        return data_span(r, r->irp->MdlAddress == NULL ? 0 : s->Parameters.DeviceIoControl.OutputBufferLength,
                         out);
    }
}

static NTSTATUS retrieve(WDFREQUEST request, bool input, size_t minimum, PVOID *buffer, size_t *length,
                         const char *function, const void *site)
{
    struct wdf_request *r = wdf_of(request, WDF_KIND_REQUEST, function, site);
    struct span span;

    *buffer = NULL;
    if (length != NULL)
        *length = 0;
    if (r == NULL)
        return STATUS_INVALID_PARAMETER;
    if (r->state == REQUEST_COMPLETED)
        return STATUS_INTERNAL_ERROR;
    NTSTATUS status = input ? input_span(r, &span) : output_span(r, &span);
    if (!NT_SUCCESS(status))
        return status;
    if (span.size == 0 || span.size < minimum)
        return STATUS_BUFFER_TOO_SMALL;
    if (span.buffer == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    *buffer = span.buffer;
    if (length != NULL)
        *length = span.size;
    return STATUS_SUCCESS;
}

NTSTATUS WdfRequestRetrieveInputBuffer(WDFREQUEST Request, size_t MinimumRequiredLength, PVOID *Buffer,
                                       size_t *Length)
{
    NT_FAIL_STATUS(WdfRequestRetrieveInputBuffer);
    NT_IRQL_MAX(DISPATCH_LEVEL);
    return retrieve(Request, true, MinimumRequiredLength, Buffer, Length, __func__, NT_SITE);
}

NTSTATUS WdfRequestRetrieveOutputBuffer(WDFREQUEST Request, size_t MinimumRequiredSize, PVOID *Buffer,
                                        size_t *Length)
{
    NT_FAIL_STATUS(WdfRequestRetrieveOutputBuffer);
    NT_IRQL_MAX(DISPATCH_LEVEL);
    return retrieve(Request, false, MinimumRequiredSize, Buffer, Length, __func__, NT_SITE);
}

static NTSTATUS memory_over(struct wdf_request *r, void *buffer, size_t size, struct wdf_memory **out)
{
    void *o;
    NTSTATUS status = wdf_create(r->o.io, WDF_KIND_MEMORY, sizeof(struct wdf_memory), NULL, &r->o, NULL, &o);

    if (!NT_SUCCESS(status))
        return status;
    *out = o;
    (*out)->buffer = buffer;
    (*out)->size = size;
    return STATUS_SUCCESS;
}

static NTSTATUS retrieve_memory(WDFREQUEST request, bool input, WDFMEMORY *memory, const char *function,
                                const void *site)
{
    struct wdf_request *r = wdf_of(request, WDF_KIND_REQUEST, function, site);
    struct wdf_memory **kept;
    void *buffer;
    size_t size;

    *memory = NULL;
    if (r == NULL)
        return STATUS_INVALID_PARAMETER;
    kept = input ? &r->input : &r->output;
    if (*kept == NULL) {
        NTSTATUS status = retrieve(request, input, 0, &buffer, &size, function, site);
        if (NT_SUCCESS(status))
            status = memory_over(r, buffer, size, kept);
        if (!NT_SUCCESS(status))
            return status;
    }
    *memory = (WDFMEMORY)*kept;
    return STATUS_SUCCESS;
}

NTSTATUS WdfRequestRetrieveInputMemory(WDFREQUEST Request, WDFMEMORY *Memory)
{
    NT_FAIL_STATUS(WdfRequestRetrieveInputMemory);
    NT_IRQL_MAX(DISPATCH_LEVEL);
    return retrieve_memory(Request, true, Memory, __func__, NT_SITE);
}

NTSTATUS WdfRequestRetrieveOutputMemory(WDFREQUEST Request, WDFMEMORY *Memory)
{
    NT_FAIL_STATUS(WdfRequestRetrieveOutputMemory);
    NT_IRQL_MAX(DISPATCH_LEVEL);
    return retrieve_memory(Request, false, Memory, __func__, NT_SITE);
}

static NTSTATUS retrieve_mdl(WDFREQUEST request, bool input, PMDL *mdl, const char *function,
                             const void *site)
{
    struct wdf_request *r = wdf_of(request, WDF_KIND_REQUEST, function, site);
    struct span span;

    *mdl = NULL;
    if (r == NULL)
        return STATUS_INVALID_PARAMETER;
    NTSTATUS status = input ? input_span(r, &span) : output_span(r, &span);
    if (!NT_SUCCESS(status))
        return status;
    if (span.size == 0)
        return STATUS_BUFFER_TOO_SMALL;
    if (span.mdl == NULL) { /* of a buffered transfer: made now, the request's */
        MDL **made = input ? &r->input_mdl : &r->output_mdl;
        if (*made == NULL) {
            *made = mm_mdl_make(span.buffer, (uint32_t)span.size, 0, NULL);
            if (*made == NULL)
                return STATUS_INSUFFICIENT_RESOURCES;
            MmBuildMdlForNonPagedPool(*made);
        }
        span.mdl = *made;
    }
    *mdl = span.mdl;
    return STATUS_SUCCESS;
}

NTSTATUS WdfRequestRetrieveInputWdmMdl(WDFREQUEST Request, PMDL *Mdl)
{
    NT_FAIL_STATUS(WdfRequestRetrieveInputWdmMdl);
    NT_IRQL_MAX(DISPATCH_LEVEL);
    return retrieve_mdl(Request, true, Mdl, __func__, NT_SITE);
}

NTSTATUS WdfRequestRetrieveOutputWdmMdl(WDFREQUEST Request, PMDL *Mdl)
{
    NT_FAIL_STATUS(WdfRequestRetrieveOutputWdmMdl);
    NT_IRQL_MAX(DISPATCH_LEVEL);
    return retrieve_mdl(Request, false, Mdl, __func__, NT_SITE);
}

static NTSTATUS unsafe(WDFREQUEST request, bool input, size_t minimum, PVOID *buffer, size_t *length,
                       const char *function, const void *site)
{
    struct wdf_request *r = wdf_of(request, WDF_KIND_REQUEST, function, site);

    *buffer = NULL;
    if (length != NULL)
        *length = 0;
    if (r == NULL)
        return STATUS_INVALID_PARAMETER;
    const IO_STACK_LOCATION *s = IoGetCurrentIrpStackLocation(r->irp);
    bool control = is_control(s);
    if (control ? METHOD_FROM_CTL_CODE(s->Parameters.DeviceIoControl.IoControlCode) != METHOD_NEITHER
                : s->MajorFunction != (input ? IRP_MJ_WRITE : IRP_MJ_READ) ||
                      r->device->init.io_type != WdfDeviceIoNeither)
        return STATUS_INVALID_DEVICE_REQUEST;
    size_t size = control ? input ? s->Parameters.DeviceIoControl.InputBufferLength
                                  : s->Parameters.DeviceIoControl.OutputBufferLength
                          : s->Parameters.Read.Length;
    if (size < minimum || size == 0)
        return STATUS_BUFFER_TOO_SMALL;
    *buffer = control && input ? s->Parameters.DeviceIoControl.Type3InputBuffer : r->irp->UserBuffer;
    if (length != NULL)
        *length = size;
    return STATUS_SUCCESS;
}

NTSTATUS WdfRequestRetrieveUnsafeUserInputBuffer(WDFREQUEST Request, size_t MinimumRequiredLength,
                                                 PVOID *InputBuffer, size_t *Length)
{
    NT_FAIL_STATUS(WdfRequestRetrieveUnsafeUserInputBuffer);
    NT_IRQL_MAX(PASSIVE_LEVEL);
    return unsafe(Request, true, MinimumRequiredLength, InputBuffer, Length, __func__, NT_SITE);
}

NTSTATUS WdfRequestRetrieveUnsafeUserOutputBuffer(WDFREQUEST Request, size_t MinimumRequiredLength,
                                                  PVOID *OutputBuffer, size_t *Length)
{
    NT_FAIL_STATUS(WdfRequestRetrieveUnsafeUserOutputBuffer);
    NT_IRQL_MAX(PASSIVE_LEVEL);
    return unsafe(Request, false, MinimumRequiredLength, OutputBuffer, Length, __func__, NT_SITE);
}

/* What stands for a user's memory is one of the request's copies: a buffer inside it can be locked, another
 * not. */
static bool inside(const void *buffer, size_t length, const void *copy, size_t size)
{
    return copy != NULL && (uintptr_t)buffer >= (uintptr_t)copy && length <= size &&
           (uintptr_t)buffer - (uintptr_t)copy <= size - length;
}

static NTSTATUS probe(WDFREQUEST request, PVOID buffer, size_t length, WDFMEMORY *memory,
                      const char *function, const void *site)
{
    struct wdf_request *r = wdf_of(request, WDF_KIND_REQUEST, function, site);
    struct wdf_memory *m;

    *memory = NULL;
    if (r == NULL || buffer == NULL)
        return STATUS_INVALID_PARAMETER;
    if (length == 0)
        return STATUS_INVALID_USER_BUFFER;
    const IO_STACK_LOCATION *s = IoGetCurrentIrpStackLocation(r->irp);
    bool control = is_control(s);
    size_t in_size = control ? s->Parameters.DeviceIoControl.InputBufferLength : 0;
    size_t out_size = control ? s->Parameters.DeviceIoControl.OutputBufferLength : s->Parameters.Read.Length;
    const void *in = control ? s->Parameters.DeviceIoControl.Type3InputBuffer : NULL;
    if (!inside(buffer, length, in, in_size) && !inside(buffer, length, r->irp->UserBuffer, out_size))
        return STATUS_ACCESS_VIOLATION;
    NTSTATUS status = memory_over(r, buffer, length, &m);
    if (NT_SUCCESS(status))
        *memory = (WDFMEMORY)m;
    return status;
}

NTSTATUS WdfRequestProbeAndLockUserBufferForRead(WDFREQUEST Request, PVOID Buffer, size_t Length,
                                                 WDFMEMORY *MemoryObject)
{
    NT_FAIL_STATUS(WdfRequestProbeAndLockUserBufferForRead);
    NT_IRQL_MAX(PASSIVE_LEVEL);
    return probe(Request, Buffer, Length, MemoryObject, __func__, NT_SITE);
}

NTSTATUS WdfRequestProbeAndLockUserBufferForWrite(WDFREQUEST Request, PVOID Buffer, size_t Length,
                                                  WDFMEMORY *MemoryObject)
{
    NT_FAIL_STATUS(WdfRequestProbeAndLockUserBufferForWrite);
    NT_IRQL_MAX(PASSIVE_LEVEL);
    return probe(Request, Buffer, Length, MemoryObject, __func__, NT_SITE);
}

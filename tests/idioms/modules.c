/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two drivers that find each other through the network module registrar: compiled with PROVIDES one that adds up, without
 * it one that has its sums made. Either may be loaded and unloaded first. The provider says at its unload how many it
 * made; the client detaches late, from a work item.
 */
#include <ntddk.h>
#include <netioddk.h>

DRIVER_INITIALIZE DriverEntry;
DRIVER_UNLOAD Unload;

/* What both would include: the interface. */
static const NPIID adder_id = {0x5c0f7a3e, 0x2a52, 0x44c1, {0x93, 0x0e, 0x4f, 0x1b, 0x7e, 0x26, 0x81, 0x5d}};
typedef struct _ADDER_DISPATCH {
    ULONG(NTAPI *Add)(PVOID ProviderBindingContext, ULONG One, ULONG Two);
} ADDER_DISPATCH;

static HANDLE registered;

#ifdef PROVIDES

NPI_PROVIDER_ATTACH_CLIENT_FN AttachClient;
NPI_PROVIDER_DETACH_CLIENT_FN DetachClient;
static ULONG made;

static ULONG NTAPI Add(PVOID context, ULONG one, ULONG two)
{
    ++*(ULONG *)context;
    return one + two;
}

static const ADDER_DISPATCH dispatch = {Add};
static const NPI_MODULEID module_id = {
    sizeof(NPI_MODULEID), MIT_GUID, {{0x11, 0x22, 0x33, {1, 2, 3, 4, 5, 6, 7, 8}}}};

NTSTATUS NTAPI AttachClient(HANDLE binding, PVOID context, PNPI_REGISTRATION_INSTANCE client,
                            PVOID client_context, const VOID *client_dispatch, PVOID *provider_context,
                            const VOID **provider_dispatch)
{
    UNREFERENCED_PARAMETER(binding);
    UNREFERENCED_PARAMETER(client_context);
    UNREFERENCED_PARAMETER(client_dispatch);
    if (client->ModuleId->Length != sizeof(NPI_MODULEID))
        return STATUS_NOINTERFACE;
    *provider_context = context;
    *provider_dispatch = &dispatch;
    return STATUS_SUCCESS;
}

NTSTATUS NTAPI DetachClient(PVOID context)
{
    UNREFERENCED_PARAMETER(context);
    return STATUS_SUCCESS;
}

static const NPI_PROVIDER_CHARACTERISTICS provider = {
    0,
    sizeof(NPI_PROVIDER_CHARACTERISTICS),
    AttachClient,
    DetachClient,
    NULL,
    {0, sizeof(NPI_REGISTRATION_INSTANCE), &adder_id, &module_id, 0, NULL}};

VOID Unload(_In_ PDRIVER_OBJECT object)
{
    UNREFERENCED_PARAMETER(object);
    if (NmrDeregisterProvider(registered) == STATUS_PENDING)
        NmrWaitForProviderDeregisterComplete(registered);
    DbgPrint("sums: %u\n", made);
}

NTSTATUS DriverEntry(_In_ PDRIVER_OBJECT object, _In_ PUNICODE_STRING path)
{
    UNREFERENCED_PARAMETER(path);
    object->DriverUnload = Unload;
    return NmrRegisterProvider(&provider, &made, &registered);
}

#else

NPI_CLIENT_ATTACH_PROVIDER_FN AttachProvider;
NPI_CLIENT_DETACH_PROVIDER_FN DetachProvider;
NPI_CLIENT_CLEANUP_BINDING_CONTEXT_FN Cleanup;
IO_WORKITEM_ROUTINE DetachLater;

typedef struct _BINDING {
    HANDLE Handle;
    PVOID ProviderContext;
    const ADDER_DISPATCH *Provider;
    PIO_WORKITEM Work;
} BINDING;

#define BINDING_TAG 'dniB'

static PDEVICE_OBJECT device;
static const NPI_MODULEID module_id = {
    sizeof(NPI_MODULEID), MIT_GUID, {{0x44, 0x55, 0x66, {1, 2, 3, 4, 5, 6, 7, 8}}}};

NTSTATUS NTAPI AttachProvider(HANDLE handle, PVOID context, PNPI_REGISTRATION_INSTANCE provider)
{
    BINDING *binding = ExAllocatePool2(POOL_FLAG_NON_PAGED, sizeof *binding, BINDING_TAG);
    NTSTATUS status;

    UNREFERENCED_PARAMETER(context);
    UNREFERENCED_PARAMETER(provider);
    if (binding == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    binding->Handle = handle;
    binding->Work = IoAllocateWorkItem(device);
    if (binding->Work == NULL) {
        ExFreePoolWithTag(binding, BINDING_TAG);
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    status = NmrClientAttachProvider(handle, binding, NULL, &binding->ProviderContext,
                                     (const VOID **)&binding->Provider);
    if (!NT_SUCCESS(status)) {
        Cleanup(binding);
        return status;
    }
    DbgPrint("2 + 3 = %u\n", binding->Provider->Add(binding->ProviderContext, 2, 3));
    return status;
}

VOID DetachLater(PDEVICE_OBJECT object, PVOID context)
{
    BINDING *binding = context;

    UNREFERENCED_PARAMETER(object);
    DbgPrint("detached\n");
    NmrClientDetachProviderComplete(binding->Handle);
}

NTSTATUS NTAPI DetachProvider(PVOID context)
{
    BINDING *binding = context;

    IoQueueWorkItem(binding->Work, DetachLater, DelayedWorkQueue, binding);
    return STATUS_PENDING;
}

VOID NTAPI Cleanup(PVOID context)
{
    BINDING *binding = context;

    IoFreeWorkItem(binding->Work);
    ExFreePoolWithTag(binding, BINDING_TAG);
}

static const NPI_CLIENT_CHARACTERISTICS client = {
    0,
    sizeof(NPI_CLIENT_CHARACTERISTICS),
    AttachProvider,
    DetachProvider,
    Cleanup,
    {0, sizeof(NPI_REGISTRATION_INSTANCE), &adder_id, &module_id, 0, NULL}};

VOID Unload(_In_ PDRIVER_OBJECT object)
{
    UNREFERENCED_PARAMETER(object);
    if (NmrDeregisterClient(registered) == STATUS_PENDING)
        NmrWaitForClientDeregisterComplete(registered);
    IoDeleteDevice(device);
}

NTSTATUS DriverEntry(_In_ PDRIVER_OBJECT object, _In_ PUNICODE_STRING path)
{
    NTSTATUS status;

    UNREFERENCED_PARAMETER(path);
    object->DriverUnload = Unload;
    status = IoCreateDevice(object, 0, NULL, FILE_DEVICE_NETWORK, 0, FALSE, &device);
    if (!NT_SUCCESS(status))
        return status;
    status = NmrRegisterClient(&client, NULL, &registered);
    if (!NT_SUCCESS(status))
        IoDeleteDevice(device);
    return status;
}

#endif

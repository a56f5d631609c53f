/* SPDX-License-Identifier: Apache-2.0 */
/* What kit.h says. */
#include "kit.h"

static NTSTATUS NTAPI notify(FWPS_CALLOUT_NOTIFY_TYPE type, const GUID *key, FWPS_FILTER3 *filter)
{
    (void)type;
    (void)key;
    (void)filter;
    return STATUS_SUCCESS;
}

NTSTATUS kit_callout_add(const struct kit_callout *what, UINT32 *id)
{
    FWPS_CALLOUT3 registered = {.calloutKey = what->key, .classifyFn = what->classify, .notifyFn = notify};
    FWPM_CALLOUT0 callout = {
        .calloutKey = what->key, .displayData.name = (WCHAR *)what->name, .applicableLayer = *what->layer};
    FWPM_FILTER0 filter = {.displayData.name = (WCHAR *)what->name,
                           .layerKey = *what->layer,
                           .rawContext = what->context,
                           .action = {.type = what->action, .calloutKey = what->key}};
    NTSTATUS status;

    *id = 0;
    status = FwpsCalloutRegister3(what->device, &registered, id);
    if (NT_SUCCESS(status))
        status = FwpmCalloutAdd0(what->engine, &callout, NULL, NULL);
    return NT_SUCCESS(status) ? FwpmFilterAdd0(what->engine, &filter, NULL, NULL) : status;
}

NTSTATUS kit_thread_start(struct kit_thread *t, PKSTART_ROUTINE routine, void *arg)
{
    HANDLE handle;
    NTSTATUS status;

    KeInitializeEvent(&t->work, SynchronizationEvent, FALSE);
    status = PsCreateSystemThread(&handle, THREAD_ALL_ACCESS, NULL, NULL, NULL, routine, arg);
    if (!NT_SUCCESS(status))
        return status;
    status =
        ObReferenceObjectByHandle(handle, THREAD_ALL_ACCESS, *PsThreadType, KernelMode, &t->thread, NULL);
    ZwClose(handle);
    return status;
}

void kit_thread_end(struct kit_thread *t)
{
    if (t->thread == NULL)
        return;
    InterlockedExchange(&t->closing, TRUE);
    KeSetEvent(&t->work, IO_NO_INCREMENT, FALSE);
    KeWaitForSingleObject(t->thread, Executive, KernelMode, FALSE, NULL);
    ObDereferenceObject(t->thread);
    t->thread = NULL;
}

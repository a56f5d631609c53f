/* SPDX-License-Identifier: Apache-2.0 */
/* flows: contexts at the stream layer come and go (flows.h). */
#include "flows.h"

void flows_init(struct flow_set *set, void (*free)(struct flow *flow))
{
    KeInitializeSpinLock(&set->lock);
    InitializeListHead(&set->flows);
    set->free = free;
}

BOOLEAN flow_read(struct flow *flow, const FWPS_INCOMING_VALUES *values,
                  const FWPS_INCOMING_METADATA_VALUES *metadata)
{
    const FWPS_INCOMING_VALUE *value = values->incomingValue;
    UINT32 address;

    if (!FWPS_IS_METADATA_FIELD_PRESENT(metadata, FWPS_METADATA_FIELD_FLOW_HANDLE))
        return FALSE;
    flow->id = metadata->flowHandle;
    if (values->layerId == FWPS_LAYER_ALE_FLOW_ESTABLISHED_V4) {
        flow->family = AF_INET;
        flow->layer = FWPS_LAYER_STREAM_V4;
        address = RtlUlongByteSwap(value[FWPS_FIELD_ALE_FLOW_ESTABLISHED_V4_IP_LOCAL_ADDRESS].value.uint32);
        RtlCopyMemory(flow->local, &address, sizeof address);
        address = RtlUlongByteSwap(value[FWPS_FIELD_ALE_FLOW_ESTABLISHED_V4_IP_REMOTE_ADDRESS].value.uint32);
        RtlCopyMemory(flow->remote, &address, sizeof address);
        flow->local_port = value[FWPS_FIELD_ALE_FLOW_ESTABLISHED_V4_IP_LOCAL_PORT].value.uint16;
        flow->remote_port = value[FWPS_FIELD_ALE_FLOW_ESTABLISHED_V4_IP_REMOTE_PORT].value.uint16;
        return (BOOLEAN)(value[FWPS_FIELD_ALE_FLOW_ESTABLISHED_V4_IP_PROTOCOL].value.uint8 == IPPROTO_TCP);
    }
    flow->family = AF_INET6;
    flow->layer = FWPS_LAYER_STREAM_V6;
    RtlCopyMemory(flow->local,
                  value[FWPS_FIELD_ALE_FLOW_ESTABLISHED_V6_IP_LOCAL_ADDRESS].value.byteArray16->byteArray16,
                  16);
    RtlCopyMemory(flow->remote,
                  value[FWPS_FIELD_ALE_FLOW_ESTABLISHED_V6_IP_REMOTE_ADDRESS].value.byteArray16->byteArray16,
                  16);
    flow->local_port = value[FWPS_FIELD_ALE_FLOW_ESTABLISHED_V6_IP_LOCAL_PORT].value.uint16;
    flow->remote_port = value[FWPS_FIELD_ALE_FLOW_ESTABLISHED_V6_IP_REMOTE_PORT].value.uint16;
    return (BOOLEAN)(value[FWPS_FIELD_ALE_FLOW_ESTABLISHED_V6_IP_PROTOCOL].value.uint8 == IPPROTO_TCP);
}

static void unlink(struct flow_set *set, struct flow *flow)
{
    KLOCK_QUEUE_HANDLE held;

    KeAcquireInStackQueuedSpinLock(&set->lock, &held);
    RemoveEntryList(&flow->link);
    KeReleaseInStackQueuedSpinLock(&held);
}

NTSTATUS flow_enter(struct flow_set *set, struct flow *flow, const UINT32 callouts[2])
{
    KLOCK_QUEUE_HANDLE held;
    NTSTATUS status;

    flow->callout = callouts[flow->family == AF_INET ? 0 : 1];
    flow->users = 1;
    KeAcquireInStackQueuedSpinLock(&set->lock, &held);
    InsertTailList(&set->flows, &flow->link);
    KeReleaseInStackQueuedSpinLock(&held);
    status = FwpsFlowAssociateContext(flow->id, flow->layer, flow->callout, (UINT64)(ULONG_PTR)flow);
    if (status == STATUS_SUCCESS)
        return status;
    unlink(set, flow);
    return NT_SUCCESS(status) ? STATUS_UNSUCCESSFUL
                              : status; /* there is one: it counts as success (ALE-13) */
}

void flow_hold(struct flow *flow)
{
    InterlockedIncrement(&flow->users);
}

void flow_release(struct flow_set *set, struct flow *flow)
{
    if (InterlockedDecrement(&flow->users) == 0)
        set->free(flow);
}

void flow_left(struct flow_set *set, struct flow *flow)
{
    unlink(set, flow);
    flow_release(set, flow);
}

/* One that nobody removes yet, held; NULL: none. */
static struct flow *next(struct flow_set *set, BOOLEAN *empty)
{
    struct flow *found = NULL;
    KLOCK_QUEUE_HANDLE held;

    KeAcquireInStackQueuedSpinLock(&set->lock, &held);
    *empty = IsListEmpty(&set->flows);
    for (LIST_ENTRY *at = set->flows.Flink; at != &set->flows && found == NULL; at = at->Flink) {
        struct flow *flow = CONTAINING_RECORD(at, struct flow, link);

        if (!flow->leaving)
            found = flow;
    }
    if (found != NULL) {
        found->leaving = TRUE;
        flow_hold(found);
    }
    KeReleaseInStackQueuedSpinLock(&held);
    return found;
}

void flows_empty(struct flow_set *set)
{
    LARGE_INTEGER pause;
    BOOLEAN empty;

    pause.QuadPart = -10 * 1000 * 10; /* 10 ms */
    for (;;) {
        struct flow *flow = next(set, &empty);

        if (empty)
            return;
        if (flow == NULL) { /* a classify has it yet: flowDeleteFn follows (ALE-15) */
            KeDelayExecutionThread(KernelMode, FALSE, &pause);
            continue;
        }
        FwpsFlowRemoveContext(flow->id, flow->layer, flow->callout);
        flow_release(set, flow);
    }
}

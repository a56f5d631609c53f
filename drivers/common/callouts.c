/* SPDX-License-Identifier: Apache-2.0 */
/*
 * callouts: registration, objects, filters (callouts.h).
 *
 * Registration comes first, so that no filter ever stands without its callout (traffic would be blocked), and
 * goes last.
 */
#include "callouts.h"

/* Nothing to be done when filters come and go; types that are not known are not refused (LIFE-11). */
static NTSTATUS NTAPI notify(FWPS_CALLOUT_NOTIFY_TYPE type, const GUID *filter_key, FWPS_FILTER *filter)
{
    UNREFERENCED_PARAMETER(type);
    UNREFERENCED_PARAMETER(filter_key);
    UNREFERENCED_PARAMETER(filter);
    return STATUS_SUCCESS;
}

static GUID key_of(const struct callout_set *set, UINT8 last)
{
    GUID key = set->base;

    key.Data4[7] = last;
    return key;
}

static NTSTATUS add_layer(struct callout_set *set, const struct callout_layer *layer, const GUID *sublayer)
{
    GUID key = key_of(set, (UINT8)layer->id);
    FWPM_CALLOUT callout = {0};
    FWPM_FILTER_CONDITION condition = {0};
    FWPM_FILTER filter = {0};
    NTSTATUS status;

    callout.calloutKey = key;
    callout.displayData.name = set->name;
    callout.applicableLayer = *layer->key;
    status = FwpmCalloutAdd(set->engine, &callout, NULL, NULL);
    if (!NT_SUCCESS(status))
        return status;

    filter.displayData.name = set->name;
    filter.layerKey = *layer->key;
    filter.subLayerKey = *sublayer;
    filter.weight.type = FWP_EMPTY;
    filter.action.type = set->action;
    filter.action.calloutKey = key;
    if (layer->protocol != 0) {
        condition.fieldKey = FWPM_CONDITION_IP_PROTOCOL;
        condition.matchType = FWP_MATCH_EQUAL;
        condition.conditionValue.type = FWP_UINT8;
        condition.conditionValue.uint8 = layer->protocol;
        filter.numFilterConditions = 1;
        filter.filterCondition = &condition;
    }
    return FwpmFilterAdd(set->engine, &filter, NULL, NULL);
}

static NTSTATUS add_objects(struct callout_set *set)
{
    FWPM_SUBLAYER sublayer = {0};
    NTSTATUS status;

    sublayer.subLayerKey = key_of(set, 0xff);
    sublayer.displayData.name = set->name;
    sublayer.weight = 0x8000;
    status = FwpmSubLayerAdd(set->engine, &sublayer, NULL);
    for (UINT32 i = 0; i < set->count && NT_SUCCESS(status); i++)
        status = add_layer(set, &set->layers[i], &sublayer.subLayerKey);
    return status;
}

static NTSTATUS open_engine(struct callout_set *set)
{
    FWPM_SESSION session = {0};

    session.displayData.name = set->name;
    session.flags = FWPM_SESSION_FLAG_DYNAMIC;
    return FwpmEngineOpen(NULL, RPC_C_AUTHN_WINNT, NULL, &session, &set->engine);
}

NTSTATUS callouts_start(struct callout_set *set, DEVICE_OBJECT *device)
{
    NTSTATUS status = STATUS_SUCCESS;

    set->registered = 0;
    set->engine = NULL;
    for (UINT32 i = 0; i < set->count; i++) {
        FWPS_CALLOUT callout = {0};

        callout.calloutKey = key_of(set, (UINT8)set->layers[i].id);
        callout.classifyFn = set->layers[i].classify;
        callout.notifyFn = notify;
        callout.flowDeleteFn = set->flow_deleted;
        status = FwpsCalloutRegister(device, &callout, &set->ids[i]);
        if (!NT_SUCCESS(status))
            goto fail;
        set->registered++;
    }
    status = open_engine(set);
    if (!NT_SUCCESS(status))
        goto fail;
    status = FwpmTransactionBegin(set->engine, 0);
    if (!NT_SUCCESS(status))
        goto fail;
    status = add_objects(set);
    if (NT_SUCCESS(status))
        status = FwpmTransactionCommit(set->engine);
    else
        FwpmTransactionAbort(set->engine);
    if (NT_SUCCESS(status))
        return status;
fail:
    callouts_stop(set);
    return status;
}

void callouts_stop(struct callout_set *set)
{
    LARGE_INTEGER pause;

    if (set->engine != NULL)
        FwpmEngineClose(set->engine);
    set->engine = NULL;
    pause.QuadPart = -10 * 1000 * 10; /* 10 ms */
    while (set->registered != 0) {
        NTSTATUS status = FwpsCalloutUnregisterById(set->ids[set->registered - 1]);

        /* The image must not go while a classify may come: anything that passes is waited for. */
        if (status == STATUS_DEVICE_BUSY || status == STATUS_FWP_IN_USE)
            KeDelayExecutionThread(KernelMode, FALSE, &pause);
        else
            set->registered--;
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/* redirect's classifyFns: decide at once, or pend (inside.h). */
#include "inside.h"

static void permit(const FWPS_FILTER *filter, UINT32 rights, FWPS_CLASSIFY_OUT *out)
{
    out->actionType = FWP_ACTION_PERMIT;
    out->rights = rights; /* acquiring the writable data cleared it (RED-07, RED-09) */
    if ((filter->flags & FWPS_FILTER_FLAG_CLEAR_ACTION_RIGHT) != 0)
        out->rights &= ~FWPS_RIGHT_ACTION_WRITE;
}

/* On failure the request goes on as it is. */
static void change_now(const void *context, const struct asker *asker, FWPS_CLASSIFY_OUT *out)
{
    UINT64 handle;
    void *data;

    if (!NT_SUCCESS(FwpsAcquireClassifyHandle((void *)context, 0, &handle)))
        return;
    if (NT_SUCCESS(FwpsAcquireWritableLayerDataPointer(handle, asker->filter, 0, &data, out))) {
        if (asker->bind)
            bind_change(data);
        else
            connect_change(data, asker);
        FwpsApplyModifiedLayerData(handle, data, 0);
    }
    FwpsReleaseClassifyHandle(handle);
}

/* FALSE: it was not pended. */
static BOOLEAN pend(const void *context, const struct asker *asker, FWPS_CLASSIFY_OUT *out)
{
    struct request *request = ExAllocatePool2(POOL_FLAG_NON_PAGED, sizeof *request, REQUEST_TAG);

    if (request == NULL)
        return FALSE;
    if (!NT_SUCCESS(FwpsAcquireClassifyHandle((void *)context, 0, &request->handle)))
        goto free_request;
    if (!NT_SUCCESS(FwpsPendClassify(request->handle, asker->filter, 0, out)))
        goto release_handle;
    out->actionType = FWP_ACTION_BLOCK;
    out->rights &= ~FWPS_RIGHT_ACTION_WRITE;
    request->asker = *asker;
    request->out = *out;
    request_pend(request);
    return TRUE;

release_handle:
    FwpsReleaseClassifyHandle(request->handle);
free_request:
    ExFreePoolWithTag(request, REQUEST_TAG);
    return FALSE;
}

static void decide(const void *context, const struct asker *asker, const FWPS_FILTER *filter,
                   FWPS_CLASSIFY_OUT *out)
{
    UINT32 rights = out->rights;

    if (redirect.delay_ms != 0 && pend(context, asker, out))
        return;
    change_now(context, asker, out);
    permit(filter, rights, out);
}

static void read_asker(struct asker *asker, const FWPS_INCOMING_METADATA_VALUES *metadata, BOOLEAN bind,
                       UINT8 protocol, const FWPS_FILTER *filter)
{
    RtlZeroMemory(asker, sizeof *asker);
    asker->bind = bind;
    asker->protocol = protocol;
    asker->filter = filter->filterId;
    if (FWPS_IS_METADATA_FIELD_PRESENT(metadata, FWPS_METADATA_FIELD_PROCESS_ID))
        asker->process = metadata->processId;
}

/* What the proxy sends on is its own, and passes; so does what is on its way to it. */
static BOOLEAN is_own(const FWPS_INCOMING_METADATA_VALUES *metadata)
{
    FWPS_CONNECTION_REDIRECT_STATE state;

    if (!FWPS_IS_METADATA_FIELD_PRESENT(metadata, FWPS_METADATA_FIELD_REDIRECT_RECORD_HANDLE))
        return FALSE;
    state = FwpsQueryConnectionRedirectState(metadata->redirectRecords, redirect.handle, NULL);
    return (BOOLEAN)(state == FWPS_CONNECTION_REDIRECTED_BY_SELF ||
                     state == FWPS_CONNECTION_PREVIOUSLY_REDIRECTED_BY_SELF);
}

void NTAPI redirect_connect(const FWPS_INCOMING_VALUES *values, const FWPS_INCOMING_METADATA_VALUES *metadata,
                            void *layer_data, const void *context, const FWPS_FILTER *filter,
                            UINT64 flow_context, FWPS_CLASSIFY_OUT *out)
{
    const FWPS_INCOMING_VALUE *value = values->incomingValue;
    struct asker asker;

    UNREFERENCED_PARAMETER(flow_context);
    if ((out->rights & FWPS_RIGHT_ACTION_WRITE) == 0)
        return;
    read_asker(&asker, metadata, FALSE,
               values->layerId == FWPS_LAYER_ALE_CONNECT_REDIRECT_V4
                   ? value[FWPS_FIELD_ALE_CONNECT_REDIRECT_V4_IP_PROTOCOL].value.uint8
                   : value[FWPS_FIELD_ALE_CONNECT_REDIRECT_V6_IP_PROTOCOL].value.uint8,
               filter);
    if (redirect.worker.closing || is_own(metadata) || !connect_wanted(layer_data, &asker))
        permit(filter, out->rights, out);
    else
        decide(context, &asker, filter, out);
}

void NTAPI redirect_bind(const FWPS_INCOMING_VALUES *values, const FWPS_INCOMING_METADATA_VALUES *metadata,
                         void *layer_data, const void *context, const FWPS_FILTER *filter,
                         UINT64 flow_context, FWPS_CLASSIFY_OUT *out)
{
    const FWPS_INCOMING_VALUE *value = values->incomingValue;
    struct asker asker;

    UNREFERENCED_PARAMETER(flow_context);
    if ((out->rights & FWPS_RIGHT_ACTION_WRITE) == 0)
        return;
    read_asker(&asker, metadata, TRUE,
               values->layerId == FWPS_LAYER_ALE_BIND_REDIRECT_V4
                   ? value[FWPS_FIELD_ALE_BIND_REDIRECT_V4_IP_PROTOCOL].value.uint8
                   : value[FWPS_FIELD_ALE_BIND_REDIRECT_V6_IP_PROTOCOL].value.uint8,
               filter);
    if (redirect.worker.closing || !bind_wanted(layer_data, &asker))
        permit(filter, out->rights, out);
    else
        decide(context, &asker, filter, out);
}

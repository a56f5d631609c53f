/* SPDX-License-Identifier: Apache-2.0 */
/* inquire's classifyFn: what is asked, and where answers come in (inquire.h). */
#include "inquire.h"

static void permit(const FWPS_FILTER *filter, FWPS_CLASSIFY_OUT *out)
{
    out->actionType = FWP_ACTION_PERMIT;
    if ((filter->flags & FWPS_FILTER_FLAG_CLEAR_ACTION_RIGHT) != 0)
        out->rights &= ~FWPS_RIGHT_ACTION_WRITE;
}

static void refuse(FWPS_CLASSIFY_OUT *out)
{
    out->actionType = FWP_ACTION_BLOCK;
    out->rights &= ~FWPS_RIGHT_ACTION_WRITE;
}

/* It is ours for now: nobody below may permit it, nothing is logged (PEND-10). */
static void hold(FWPS_CLASSIFY_OUT *out)
{
    refuse(out);
    out->flags |= FWPS_CLASSIFY_OUT_FLAG_ABSORB;
}

static BOOLEAN is_connect_layer(UINT16 layer)
{
    return (BOOLEAN)(layer == FWPS_LAYER_ALE_AUTH_CONNECT_V4 || layer == FWPS_LAYER_ALE_AUTH_CONNECT_V6);
}

/* With the lock held: an open question that this one repeats (PEND-36, PEND-37). */
static struct inquiry *find_asked(const struct inquiry *inquiry)
{
    for (LIST_ENTRY *at = inquire.asked.Flink; at != &inquire.asked; at = at->Flink) {
        struct inquiry *other = CONTAINING_RECORD(at, struct inquiry, link);

        if (other->kind == inquiry->kind && path_same(&other->path, &inquiry->path) &&
            (inquiry->kind == INQUIRY_ACCEPT || other->endpoint == inquiry->endpoint))
            return other;
    }
    return NULL;
}

/* A SYN sent again adds nothing to the first; a further datagram waits with the first, in its order. */
static BOOLEAN join_asked(struct inquiry *inquiry)
{
    KLOCK_QUEUE_HANDLE held;
    struct inquiry *other = NULL;

    if (IsListEmpty(&inquiry->packets))
        return FALSE; /* a connect of TCP: each is one of its own */
    KeAcquireInStackQueuedSpinLock(&inquire.lock, &held);
    other = find_asked(inquiry);
    if (other != NULL && inquiry->path.protocol != IPPROTO_TCP)
        InsertTailList(&other->packets, RemoveHeadList(&inquiry->packets));
    KeReleaseInStackQueuedSpinLock(&held);
    return (BOOLEAN)(other != NULL);
}

static void ask(struct inquiry *inquiry)
{
    KLOCK_QUEUE_HANDLE held;

    inquiry->due = KeQueryInterruptTime() + (ULONGLONG)inquire.policy.delay_ms * 10000;
    KeAcquireInStackQueuedSpinLock(&inquire.lock, &held);
    InsertTailList(&inquire.asked, &inquiry->link);
    KeReleaseInStackQueuedSpinLock(&held);
    thread_wake(&inquire.worker);
}

static void authorize(const FWPS_INCOMING_VALUES *values, const FWPS_INCOMING_METADATA_VALUES *metadata,
                      NET_BUFFER_LIST *nbl, FWPS_CLASSIFY_OUT *out)
{
    enum inquiry_kind kind = is_connect_layer(values->layerId) ? INQUIRY_CONNECT : INQUIRY_ACCEPT;
    struct inquiry *inquiry = NULL;

    if (FWPS_IS_METADATA_FIELD_PRESENT(metadata, FWPS_METADATA_FIELD_COMPLETION_HANDLE))
        inquiry = inquiry_create(kind, values, metadata, nbl);
    if (inquiry == NULL) {
        refuse(out);
        return;
    }
    if (join_asked(inquiry)) {
        hold(out);
        inquiry_free(inquiry);
        return;
    }
    if (!NT_SUCCESS(FwpsPendOperation(metadata->completionHandle, &inquiry->completion))) {
        refuse(out);
        inquiry_free(inquiry);
        return;
    }
    hold(out);
    ask(inquiry);
}

/* The answer to a completed connect; NULL: this reauthorization has another reason (PEND-19). */
static struct inquiry *take_completing(const struct inquiry *like)
{
    KLOCK_QUEUE_HANDLE held;
    struct inquiry *found = NULL;

    KeAcquireInStackQueuedSpinLock(&inquire.lock, &held);
    for (LIST_ENTRY *at = inquire.completing.Flink; at != &inquire.completing && found == NULL;
         at = at->Flink) {
        struct inquiry *inquiry = CONTAINING_RECORD(at, struct inquiry, link);

        if (inquiry->endpoint == like->endpoint && path_same(&inquiry->path, &like->path))
            found = inquiry;
    }
    if (found != NULL)
        RemoveEntryList(&found->link);
    KeReleaseInStackQueuedSpinLock(&held);
    return found;
}

static void give_answer(struct inquiry *inquiry, const FWPS_FILTER *filter, FWPS_CLASSIFY_OUT *out)
{
    KLOCK_QUEUE_HANDLE held;

    if (!inquiry->permitted)
        refuse(out);
    else
        permit(filter, out);
    if (!inquiry->permitted || IsListEmpty(&inquiry->packets)) {
        inquiry_free(inquiry);
        return;
    }
    /* Its datagrams can be sent once this classify is over (PEND-31). */
    KeAcquireInStackQueuedSpinLock(&inquire.lock, &held);
    InsertTailList(&inquire.authorized, &inquiry->link);
    KeReleaseInStackQueuedSpinLock(&held);
    thread_wake(&inquire.worker);
}

/* Reauthorizations cannot be pended and need not be (PEND-07..09): a packet is held like any other. */
static void reauthorize(const FWPS_INCOMING_VALUES *values, const FWPS_INCOMING_METADATA_VALUES *metadata,
                        NET_BUFFER_LIST *nbl, const FWPS_FILTER *filter, FWPS_CLASSIFY_OUT *out)
{
    struct inquiry *inquiry = inquiry_create(INQUIRY_PACKET, values, metadata, nbl), *answered = NULL;

    if (inquiry == NULL) {
        refuse(out);
        return;
    }
    if (is_connect_layer(values->layerId) && inquiry->path.direction == FWP_DIRECTION_OUTBOUND)
        answered = take_completing(inquiry);
    if (answered != NULL) {
        give_answer(answered, filter, out);
    } else if (nbl == NULL || inquire.worker.closing) {
        permit(filter, out); /* it was before, and there is nothing to hold */
    } else {
        hold(out);
        ask(inquiry);
        return;
    }
    inquiry_free(inquiry);
}

void NTAPI inquire_classify(const FWPS_INCOMING_VALUES *values, const FWPS_INCOMING_METADATA_VALUES *metadata,
                            void *layer_data, const void *context, const FWPS_FILTER *filter,
                            UINT64 flow_context, FWPS_CLASSIFY_OUT *out)
{
    HANDLE injection =
        path_direction(values, metadata) == FWP_DIRECTION_OUTBOUND ? inquire.send : inquire.receive;

    UNREFERENCED_PARAMETER(context);
    UNREFERENCED_PARAMETER(flow_context);
    if ((out->rights & FWPS_RIGHT_ACTION_WRITE) == 0)
        return; /* somebody heavier has decided, or holds it already (ARB-32) */
    if (layer_data != NULL && path_own(injection, layer_data))
        permit(filter, out); /* the answer was yes, or the packet were not here (PEND-26) */
    else if ((path_flags(values) & FWP_CONDITION_FLAG_IS_REAUTHORIZE) != 0)
        reauthorize(values, metadata, layer_data, filter, out);
    else if (inquire.worker.closing)
        permit(filter, out);
    else
        authorize(values, metadata, layer_data, out);
}

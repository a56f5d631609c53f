/* SPDX-License-Identifier: Apache-2.0 */
/* edit's worker thread: searches what was held and injects what becomes of it (edit.h). */
#include "edit.h"

#define MS 10000u /* of interrupt time */

/* The connection can only be ended: bytes are missing. */
static void give_up(struct way *way)
{
    FwpsFlowAbort(way->stream->flow.id);
}

/* Copies or wraps; on failure the connection ends. */
static void inject(struct way *way, struct product *product)
{
    if (product == NULL || !NT_SUCCESS(product_inject(product, &way->stream->flow, way->flags, way)))
        give_up(way);
}

/* ---- the tail ---------------------------------------------------------------------------------------------
 */

static void set_tail(struct way *way, const UCHAR *bytes, ULONG size)
{
    RtlCopyMemory(way->tail, bytes, size);
    way->tail_size = size;
    if (size == 0)
        return;
    way->tail_due = KeQueryInterruptTime() + (ULONGLONG)edit.hold_ms * MS;
    way_count(way, size);
    flow_hold(&way->stream->flow);
    InsertTailList(&edit.tails, &way->tail_link);
}

static void clear_tail(struct way *way)
{
    ULONG size = way->tail_size;

    if (size == 0)
        return;
    way->tail_size = 0;
    RemoveEntryList(&way->tail_link);
    way_done(way, size);
    flow_release(&edit.flows, &way->stream->flow); /* the caller has another */
}

/* It was not the text's beginning, or nobody waits any longer for the rest. */
static void flush_tail(struct way *way)
{
    struct flow *flow = &way->stream->flow;

    if (way->tail_size == 0)
        return;
    flow_hold(flow);
    inject(way, product_create(way->tail, way->tail_size));
    clear_tail(way);
    flow_release(&edit.flows, flow);
}

static void flush_tails(BOOLEAN all)
{
    while (!IsListEmpty(&edit.tails)) {
        struct way *way = CONTAINING_RECORD(edit.tails.Flink, struct way, tail_link);

        if (!all && way->tail_due > KeQueryInterruptTime())
            break;
        flush_tail(way);
    }
}

/* ---- chunks -----------------------------------------------------------------------------------------------
 */

/* FALSE: bytes could not be mapped. */
static BOOLEAN gather(NET_BUFFER_LIST *chain, UCHAR *to)
{
    for (NET_BUFFER_LIST *list = chain; list != NULL; list = NET_BUFFER_LIST_NEXT_NBL(list)) {
        for (NET_BUFFER *nb = NET_BUFFER_LIST_FIRST_NB(list); nb != NULL; nb = NET_BUFFER_NEXT_NB(nb)) {
            ULONG size = NET_BUFFER_DATA_LENGTH(nb);
            UCHAR *from;

            if (size == 0)
                continue;
            from = NdisGetDataBuffer(nb, size, to, 1, 0);
            if (from == NULL)
                return FALSE;
            if (from != to)
                RtlCopyMemory(to, from, size);
            to += size;
        }
    }
    return TRUE;
}

/* How often the text is in the data, and where what may be its beginning begins: the size, if nowhere. */
static ULONG search(const UCHAR *bytes, ULONG size, ULONG *end)
{
    ULONG found = 0;
    BOOLEAN whole;

    for (*end = 0;; found++, *end += edit.text.find_size) {
        *end += text_first(&edit.text, bytes + *end, size - *end, &whole);
        if (!whole)
            return found;
    }
}

/* The bytes with the texts replaced. */
static struct product *alter(const UCHAR *bytes, ULONG size, ULONG found)
{
    SIZE_T room = size + (SIZE_T)found * edit.text.replace_size - (SIZE_T)found * edit.text.find_size;
    UCHAR *made = ExAllocatePool2(POOL_FLAG_NON_PAGED | POOL_FLAG_UNINITIALIZED, room, BYTES_TAG);
    struct product *product;

    if (made == NULL)
        return NULL;
    text_apply(&edit.text, bytes, size, made);
    product = product_create(made, room);
    ExFreePoolWithTag(made, BYTES_TAG);
    return product;
}

/* All that is to be searched: the tail, then the chunk. NULL: no memory. */
static UCHAR *bytes_of(const struct way *way, const struct chunk *chunk, ULONG size)
{
    UCHAR *bytes = ExAllocatePool2(POOL_FLAG_NON_PAGED | POOL_FLAG_UNINITIALIZED, size, BYTES_TAG);

    if (bytes == NULL)
        return NULL;
    RtlCopyMemory(bytes, way->tail, way->tail_size);
    if (gather(chunk->clone, bytes + way->tail_size))
        return bytes;
    ExFreePoolWithTag(bytes, BYTES_TAG);
    return NULL;
}

static void edit_chunk(struct way *way, struct chunk *chunk)
{
    ULONG before = way->tail_size, size = before + (ULONG)chunk->size, end, found;
    UCHAR *bytes = bytes_of(way, chunk, size);

    if (bytes == NULL) {
        FwpsDiscardClonedStreamData(chunk->clone, 0, FALSE);
        give_up(way);
        return;
    }
    found = search(bytes, size, &end);
    if (found == 0 && before == 0 && end == size) { /* it goes as it came */
        struct product *product = product_of_clone(chunk->clone, chunk->size);

        if (product == NULL)
            FwpsDiscardClonedStreamData(chunk->clone, 0, FALSE);
        inject(way, product);
    } else {
        FwpsDiscardClonedStreamData(chunk->clone, 0, FALSE);
        clear_tail(way);
        if (end + (SIZE_T)found * edit.text.replace_size != (SIZE_T)found * edit.text.find_size)
            inject(way, alter(bytes, end, found));
        set_tail(way, bytes + end, size - end);
    }
    ExFreePoolWithTag(bytes, BYTES_TAG);
}

/* Without a list it is not called, but wanted (STR-24). */
static void NTAPI nothing_injected(void *context, NET_BUFFER_LIST *list, BOOLEAN dispatch_level)
{
    UNREFERENCED_PARAMETER(context);
    UNREFERENCED_PARAMETER(list);
    UNREFERENCED_PARAMETER(dispatch_level);
}

/* The direction's end, held like its data; never one that was not indicated (STR-25). */
static void end_way(struct way *way)
{
    const struct flow *flow = &way->stream->flow;
    UINT32 end = (way->flags & FWPS_STREAM_FLAG_RECEIVE) != 0 ? FWPS_STREAM_FLAG_RECEIVE_DISCONNECT
                                                              : FWPS_STREAM_FLAG_SEND_DISCONNECT;

    flush_tail(way);
    FwpsStreamInjectAsync(edit.injection, NULL, 0, flow->id, flow->callout, flow->layer, way->flags | end,
                          NULL, 0, nothing_injected, NULL);
}

static void process(struct stream *stream)
{
    for (ULONG i = 0; i < 2; i++) {
        struct way *way = &stream->ways[i];
        struct chunk *chunk;

        while ((chunk = way_take(way)) != NULL) {
            if (chunk->clone != NULL)
                edit_chunk(way, chunk);
            else
                end_way(way);
            way_done(way, chunk->size);
            ExFreePoolWithTag(chunk, CHUNK_TAG);
        }
        if (way_continues(way))
            FwpsStreamContinue(stream->flow.id, stream->flow.callout, stream->flow.layer,
                               FWPS_STREAM_FLAG_RECEIVE);
    }
    flow_release(&edit.flows, &stream->flow);
}

static void process_all(void)
{
    struct stream *stream;

    while ((stream = stream_take_ready()) != NULL)
        process(stream);
}

/* ---- the thread -------------------------------------------------------------------------------------------
 */

static void NTAPI work(void *context)
{
    UNREFERENCED_PARAMETER(context);
    while (!edit.worker.closing) {
        LARGE_INTEGER *until = NULL, time;

        if (!IsListEmpty(&edit.tails)) {
            ULONGLONG now = KeQueryInterruptTime(),
                      due = CONTAINING_RECORD(edit.tails.Flink, struct way, tail_link)->tail_due;

            time.QuadPart = due > now ? -(LONGLONG)(due - now) : 0;
            until = &time;
        }
        KeWaitForSingleObject(&edit.worker.work, Executive, KernelMode, FALSE, until);
        process_all();
        flush_tails(FALSE);
    }
    PsTerminateSystemThread(STATUS_SUCCESS);
}

NTSTATUS worker_start(void)
{
    return thread_start(&edit.worker, work);
}

void worker_stop(void)
{
    LARGE_INTEGER pause;

    thread_stop(&edit.worker);
    pause.QuadPart = -10000; /* 1 ms */
    for (;;) {
        process_all();
        flush_tails(TRUE);
        if (!anything_pending())
            return;
        KeDelayExecutionThread(KernelMode, FALSE, &pause); /* injections are under way */
    }
}

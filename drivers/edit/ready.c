/* SPDX-License-Identifier: Apache-2.0 */
/* edit's lists and counts, under their lock (edit.h). */
#include "edit.h"

/* Under the lock. Wakes the worker after it. */
static BOOLEAN make_ready(struct stream *stream)
{
    if (stream->ready)
        return FALSE;
    stream->ready = TRUE;
    flow_hold(&stream->flow);
    InsertTailList(&edit.ready, &stream->ready_link);
    return TRUE;
}

static void count(struct way *way, SIZE_T size)
{
    way->pending++;
    way->waiting += size;
    edit.pending++;
}

void way_count(struct way *way, SIZE_T size)
{
    KLOCK_QUEUE_HANDLE held;

    KeAcquireInStackQueuedSpinLock(&edit.lock, &held);
    count(way, size);
    KeReleaseInStackQueuedSpinLock(&held);
}

BOOLEAN way_expect(struct way *way, SIZE_T size)
{
    struct stream *stream = way->stream;
    KLOCK_QUEUE_HANDLE held;
    BOOLEAN expected;

    KeAcquireInStackQueuedSpinLock(&edit.lock, &held);
    expected =
        (BOOLEAN)(!edit.worker.closing || stream->ways[0].pending != 0 || stream->ways[1].pending != 0);
    if (expected)
        count(way, size);
    KeReleaseInStackQueuedSpinLock(&held);
    return expected;
}

void way_done(struct way *way, SIZE_T size)
{
    KLOCK_QUEUE_HANDLE held;
    BOOLEAN wake = FALSE;

    KeAcquireInStackQueuedSpinLock(&edit.lock, &held);
    way->pending--;
    way->waiting -= size;
    edit.pending--;
    if (way->pending == 0 && way->deferred)
        wake = make_ready(way->stream);
    KeReleaseInStackQueuedSpinLock(&held);
    if (wake)
        thread_wake(&edit.worker);
}

void way_add(struct way *way, struct chunk *chunk)
{
    KLOCK_QUEUE_HANDLE held;
    BOOLEAN wake;

    KeAcquireInStackQueuedSpinLock(&edit.lock, &held);
    InsertTailList(&way->held, &chunk->link);
    wake = make_ready(way->stream);
    KeReleaseInStackQueuedSpinLock(&held);
    if (wake)
        thread_wake(&edit.worker);
}

struct chunk *way_take(struct way *way)
{
    struct chunk *chunk = NULL;
    KLOCK_QUEUE_HANDLE held;

    KeAcquireInStackQueuedSpinLock(&edit.lock, &held);
    if (!IsListEmpty(&way->held))
        chunk = CONTAINING_RECORD(RemoveHeadList(&way->held), struct chunk, link);
    KeReleaseInStackQueuedSpinLock(&held);
    return chunk;
}

struct stream *stream_take_ready(void)
{
    struct stream *stream = NULL;
    KLOCK_QUEUE_HANDLE held;

    KeAcquireInStackQueuedSpinLock(&edit.lock, &held);
    if (!IsListEmpty(&edit.ready)) {
        stream = CONTAINING_RECORD(RemoveHeadList(&edit.ready), struct stream, ready_link);
        stream->ready = FALSE;
    }
    KeReleaseInStackQueuedSpinLock(&held);
    return stream;
}

BOOLEAN way_continues(struct way *way)
{
    KLOCK_QUEUE_HANDLE held;
    BOOLEAN continues;

    KeAcquireInStackQueuedSpinLock(&edit.lock, &held);
    continues = (BOOLEAN)(way->deferred && way->pending == 0);
    if (continues)
        way->deferred = FALSE;
    KeReleaseInStackQueuedSpinLock(&held);
    return continues;
}

BOOLEAN anything_pending(void)
{
    KLOCK_QUEUE_HANDLE held;
    BOOLEAN pending;

    KeAcquireInStackQueuedSpinLock(&edit.lock, &held);
    pending = (BOOLEAN)(edit.pending != 0 || !IsListEmpty(&edit.ready));
    KeReleaseInStackQueuedSpinLock(&held);
    return pending;
}

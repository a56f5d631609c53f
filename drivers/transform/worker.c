/* SPDX-License-Identifier: Apache-2.0 */
/* transform's worker thread: lets new datagrams go in the place of those held (transform.h). */
#include "transform.h"

void datagram_release(struct datagram *datagram)
{
    if (InterlockedDecrement(&datagram->users) != 0)
        return;
    path_clear(&datagram->path);
    ExFreePoolWithTag(datagram, DATAGRAM_TAG);
}

static struct datagram *take(void)
{
    KLOCK_QUEUE_HANDLE held;
    struct datagram *datagram = NULL;

    KeAcquireInStackQueuedSpinLock(&transform.lock, &held);
    if (!IsListEmpty(&transform.held))
        datagram = CONTAINING_RECORD(RemoveHeadList(&transform.held), struct datagram, link);
    KeReleaseInStackQueuedSpinLock(&held);
    return datagram;
}

static void NTAPI injected(void *context, NET_BUFFER_LIST *nbl, BOOLEAN dispatch_level)
{
    UNREFERENCED_PARAMETER(nbl);
    UNREFERENCED_PARAMETER(dispatch_level);
    product_free(context);
}

static void inject(struct product *product)
{
    struct path *path = &product->datagram->path;
    HANDLE injection = path->direction == FWP_DIRECTION_OUTBOUND ? transform.send : transform.receive;

    if (!NT_SUCCESS(path_inject(path, injection, product->nbl, injected, product)))
        product_free(product);
}

/* The original is let go of as soon as its bytes are copied (CLS-34). */
static void process(struct datagram *datagram)
{
    LIST_ENTRY products;
    struct product *product;

    InitializeListHead(&products);
    for (NET_BUFFER *nb = NET_BUFFER_LIST_FIRST_NB(datagram->nbl); nb != NULL; nb = NET_BUFFER_NEXT_NB(nb)) {
        product = product_create(datagram, nb);
        if (product != NULL)
            InsertTailList(&products, &product->link);
    }
    FwpsDereferenceNetBufferList(datagram->nbl, FALSE);
    while (!IsListEmpty(&products))
        inject(CONTAINING_RECORD(RemoveHeadList(&products), struct product, link));
    datagram_release(datagram);
}

static void NTAPI work(void *context)
{
    UNREFERENCED_PARAMETER(context);
    while (!transform.worker.closing) {
        struct datagram *datagram;

        KeWaitForSingleObject(&transform.worker.work, Executive, KernelMode, FALSE, NULL);
        while (!transform.worker.closing && (datagram = take()) != NULL)
            process(datagram);
    }
    PsTerminateSystemThread(STATUS_SUCCESS);
}

NTSTATUS worker_start(void)
{
    return thread_start(&transform.worker, work);
}

void worker_stop(void)
{
    thread_stop(&transform.worker);
    worker_drain();
}

void worker_drain(void)
{
    struct datagram *datagram;

    while ((datagram = take()) != NULL) {
        FwpsDereferenceNetBufferList(datagram->nbl, FALSE);
        datagram_release(datagram);
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cancel-safe queues: the driver gives the list and its lock, this file the order of steps that make
 * cancelling safe.
 *
 *   insert: under the driver's lock: into the list, mark pending, set the cancel routine; was it cancelled
 * meanwhile, take it out again. DriverContext[3] of the IRP points at its queue or context. remove: under the
 * lock: take the cancel routine away; where it is gone already, the canceller has the IRP. cancel routine:
 * release the cancel lock, then under the driver's lock out of the list, then complete it.
 */
#include "nt/io_inside.h"

enum { TYPE_CSQ = 2, TYPE_CONTEXT = 1, TYPE_CSQ_EX = 3 };

static void cancel_routine(PDEVICE_OBJECT device, PIRP irp)
{
    PIO_CSQ_IRP_CONTEXT context = irp->Tail.Overlay.DriverContext[3];
    PIO_CSQ csq = context->Type == TYPE_CONTEXT ? context->Csq : (PIO_CSQ)context;
    KIRQL irql;

    (void)device;
    IoReleaseCancelSpinLock(irp->CancelIrql);
    csq->CsqAcquireLock(csq, &irql);
    csq->CsqRemoveIrp(csq, irp);
    if (context->Type == TYPE_CONTEXT)
        context->Irp = NULL;
    csq->CsqReleaseLock(csq, irql);
    csq->CsqCompleteCanceledIrp(csq, irp);
}

static NTSTATUS initialize(PIO_CSQ csq, ULONG type, PIO_CSQ_INSERT_IRP insert, PIO_CSQ_REMOVE_IRP remove,
                           PIO_CSQ_PEEK_NEXT_IRP peek, PIO_CSQ_ACQUIRE_LOCK acquire,
                           PIO_CSQ_RELEASE_LOCK release, PIO_CSQ_COMPLETE_CANCELED_IRP complete)
{
    *csq = (IO_CSQ){type, insert, remove, peek, acquire, release, complete, NULL};
    return STATUS_SUCCESS;
}

NTSTATUS IoCsqInitialize(PIO_CSQ Csq, PIO_CSQ_INSERT_IRP CsqInsertIrp, PIO_CSQ_REMOVE_IRP CsqRemoveIrp,
                         PIO_CSQ_PEEK_NEXT_IRP CsqPeekNextIrp, PIO_CSQ_ACQUIRE_LOCK CsqAcquireLock,
                         PIO_CSQ_RELEASE_LOCK CsqReleaseLock,
                         PIO_CSQ_COMPLETE_CANCELED_IRP CsqCompleteCanceledIrp)
{
    return initialize(Csq, TYPE_CSQ, CsqInsertIrp, CsqRemoveIrp, CsqPeekNextIrp, CsqAcquireLock,
                      CsqReleaseLock, CsqCompleteCanceledIrp);
}

NTSTATUS IoCsqInitializeEx(PIO_CSQ Csq, PIO_CSQ_INSERT_IRP_EX CsqInsertIrp, PIO_CSQ_REMOVE_IRP CsqRemoveIrp,
                           PIO_CSQ_PEEK_NEXT_IRP CsqPeekNextIrp, PIO_CSQ_ACQUIRE_LOCK CsqAcquireLock,
                           PIO_CSQ_RELEASE_LOCK CsqReleaseLock,
                           PIO_CSQ_COMPLETE_CANCELED_IRP CsqCompleteCanceledIrp)
{
    return initialize(Csq, TYPE_CSQ_EX, (PIO_CSQ_INSERT_IRP)(void (*)(void))CsqInsertIrp, CsqRemoveIrp,
                      CsqPeekNextIrp, CsqAcquireLock, CsqReleaseLock, CsqCompleteCanceledIrp);
}

NTSTATUS IoCsqInsertIrpEx(PIO_CSQ Csq, PIRP Irp, PIO_CSQ_IRP_CONTEXT Context, PVOID InsertContext)
{
    NTSTATUS status = STATUS_SUCCESS;
    bool cancelled = false;
    KIRQL irql;

    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (Context != NULL) {
        *Context = (IO_CSQ_IRP_CONTEXT){TYPE_CONTEXT, Irp, Csq};
        Irp->Tail.Overlay.DriverContext[3] = Context;
    } else {
        Irp->Tail.Overlay.DriverContext[3] = Csq;
    }
    Csq->ReservePointer = NULL;
    Csq->CsqAcquireLock(Csq, &irql);
    if (Csq->Type == TYPE_CSQ_EX)
        status = ((PIO_CSQ_INSERT_IRP_EX)(void (*)(void))Csq->CsqInsertIrp)(Csq, Irp, InsertContext);
    else
        Csq->CsqInsertIrp(Csq, Irp);
    if (NT_SUCCESS(status)) {
        IoMarkIrpPending(Irp);
        IoSetCancelRoutine(Irp, cancel_routine);
        if (Irp->Cancel && IoSetCancelRoutine(Irp, NULL) != NULL) { /* before it was set: nobody else will */
            cancelled = true;
            Csq->CsqRemoveIrp(Csq, Irp);
            if (Context != NULL)
                Context->Irp = NULL;
        }
    }
    Csq->CsqReleaseLock(Csq, irql);
    if (cancelled)
        Csq->CsqCompleteCanceledIrp(Csq, Irp);
    return status;
}

VOID IoCsqInsertIrp(PIO_CSQ Csq, PIRP Irp, PIO_CSQ_IRP_CONTEXT Context)
{
    IoCsqInsertIrpEx(Csq, Irp, Context, NULL);
}

PIRP IoCsqRemoveNextIrp(PIO_CSQ Csq, PVOID PeekContext)
{
    PIRP irp = NULL;
    KIRQL irql;

    NT_IRQL_MAX(DISPATCH_LEVEL);
    Csq->ReservePointer = NULL;
    Csq->CsqAcquireLock(Csq, &irql);
    while ((irp = Csq->CsqPeekNextIrp(Csq, irp, PeekContext)) != NULL) {
        if (IoSetCancelRoutine(irp, NULL) == NULL)
            continue; /* its canceller has it */
        Csq->CsqRemoveIrp(Csq, irp);
        PIO_CSQ_IRP_CONTEXT context = irp->Tail.Overlay.DriverContext[3];
        if (context->Type == TYPE_CONTEXT)
            context->Irp = NULL;
        irp->Tail.Overlay.DriverContext[3] = NULL;
        break;
    }
    Csq->CsqReleaseLock(Csq, irql);
    return irp;
}

PIRP IoCsqRemoveIrp(PIO_CSQ Csq, PIO_CSQ_IRP_CONTEXT Context)
{
    PIRP irp;
    KIRQL irql;

    NT_IRQL_MAX(DISPATCH_LEVEL);
    Csq->ReservePointer = NULL;
    Csq->CsqAcquireLock(Csq, &irql);
    irp = Context->Irp;
    if (irp != NULL && IoSetCancelRoutine(irp, NULL) == NULL)
        irp = NULL;
    if (irp != NULL) {
        Csq->CsqRemoveIrp(Csq, irp);
        Context->Irp = NULL;
        irp->Tail.Overlay.DriverContext[3] = NULL;
    }
    Csq->CsqReleaseLock(Csq, irql);
    return irp;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* thread: a system thread is referenced while its handle is still good, so that its end can be waited for. */
#include "thread.h"

void thread_init(struct thread *thread)
{
    KeInitializeEvent(&thread->work, SynchronizationEvent, FALSE);
}

NTSTATUS thread_start(struct thread *thread, KSTART_ROUTINE *routine)
{
    LARGE_INTEGER moment;
    HANDLE handle;
    NTSTATUS status = PsCreateSystemThread(&handle, THREAD_ALL_ACCESS, NULL, NULL, NULL, routine, NULL);

    if (!NT_SUCCESS(status))
        return status;
    /* It runs already, and its end can be waited for only with a reference. The handle is a good one: what is short
     * passes. */
    moment.QuadPart = -10000;
    while (!NT_SUCCESS(ObReferenceObjectByHandle(handle, THREAD_ALL_ACCESS, *PsThreadType, KernelMode,
                                                 (void **)&thread->object, NULL)))
        KeDelayExecutionThread(KernelMode, FALSE, &moment);
    ZwClose(handle);
    return status;
}

void thread_wake(struct thread *thread)
{
    KeSetEvent(&thread->work, IO_NO_INCREMENT, FALSE);
}

void thread_stop(struct thread *thread)
{
    thread->closing = TRUE;
    thread_wake(thread);
    KeWaitForSingleObject(thread->object, Executive, KernelMode, FALSE, NULL);
    ObDereferenceObject(thread->object);
}

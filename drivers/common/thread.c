/* SPDX-License-Identifier: Apache-2.0 */
/* thread: a system thread is referenced while its handle is still good, so that its end can be waited for. */
#include <ntifs.h> /* ZwWaitForSingleObject */

#include "thread.h"

void thread_init(struct thread *thread)
{
    KeInitializeEvent(&thread->work, SynchronizationEvent, FALSE);
}

NTSTATUS thread_start(struct thread *thread, KSTART_ROUTINE *routine)
{
    HANDLE handle;
    NTSTATUS status = PsCreateSystemThread(&handle, THREAD_ALL_ACCESS, NULL, NULL, NULL, routine, NULL);

    if (!NT_SUCCESS(status))
        return status;
    status = ObReferenceObjectByHandle(handle, THREAD_ALL_ACCESS, *PsThreadType, KernelMode,
                                       (void **)&thread->object, NULL);
    if (!NT_SUCCESS(status)) { /* it runs already */
        thread->closing = TRUE;
        thread_wake(thread);
        ZwWaitForSingleObject(handle, FALSE, NULL);
    }
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

/* SPDX-License-Identifier: Apache-2.0 */
/* ale: authorization as a state machine; nothing works yet, everything says so. */
#include "host/ale.h"
#include "host/internal.h"

int ale_create(struct lane *l)
{
    l->ale = NULL;
    return 0;
}

void ale_destroy(struct lane *l)
{
    (void)l;
}

void ale_shutdown(struct host *h)
{
    (void)h;
}

void ale_advance(struct lane *l, UINT64 now_ns)
{
    (void)l;
    (void)now_ns;
}

NTSTATUS host_pend(struct host *h, HANDLE completion_handle, HANDLE *completion_context)
{
    (void)h;
    (void)completion_handle;
    (void)completion_context;
    return STATUS_NOT_SUPPORTED;
}

NTSTATUS host_complete(struct host *h, HANDLE completion_context)
{
    (void)h;
    (void)completion_context;
    return STATUS_NOT_SUPPORTED;
}

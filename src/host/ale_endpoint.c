/* SPDX-License-Identifier: Apache-2.0 */
/* ale_endpoint: endpoints; nothing works yet, everything says so. */
#include "host/internal.h"

NTSTATUS host_bind(struct host *h, const struct host_socket *s, struct host_endpoint **out)
{
    (void)h;
    (void)s;
    *out = NULL;
    return STATUS_NOT_SUPPORTED;
}

NTSTATUS host_listen(struct host *h, struct host_endpoint *e)
{
    (void)h;
    (void)e;
    return STATUS_NOT_SUPPORTED;
}

NTSTATUS host_membership(struct host *h, struct host_endpoint *e, const union wire_addr *group, bool join)
{
    (void)h;
    (void)e;
    (void)group;
    (void)join;
    return STATUS_NOT_SUPPORTED;
}

NTSTATUS host_reclassify(struct host *h, struct host_endpoint *e)
{
    (void)h;
    (void)e;
    return STATUS_NOT_SUPPORTED;
}

void host_close(struct host *h, struct host_endpoint *e)
{
    (void)h;
    (void)e;
}

UINT64 host_endpoint_id(const struct host_endpoint *e)
{
    return e->id;
}

void host_endpoints(struct host *h, void (*fn)(void *ctx, const struct host_endpoint_info *e), void *ctx)
{
    (void)h;
    (void)fn;
    (void)ctx;
}

struct host_endpoint *ale_receiver(struct scene *s, unsigned n)
{
    (void)s;
    (void)n;
    return NULL;
}

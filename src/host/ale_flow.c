/* SPDX-License-Identifier: Apache-2.0 */
/* ale_flow: contexts, options, the end of flows; nothing works yet, everything says so. */
#include "host/internal.h"

void ale_refresh(struct scene *s)
{
    (void)s;
}

void ale_end_flow(struct lane *l, struct host_flow *f, enum host_flow_end how)
{
    (void)how;
    flow_table_remove(l->flows, f);
}

NTSTATUS host_flow_associate(struct host *h, UINT64 flow_id, UINT16 layer_id, UINT32 callout_id,
                             UINT64 context)
{
    (void)h;
    (void)flow_id;
    (void)layer_id;
    (void)callout_id;
    (void)context;
    return STATUS_NOT_SUPPORTED;
}

NTSTATUS host_flow_remove(struct host *h, UINT64 flow_id, UINT16 layer_id, UINT32 callout_id)
{
    (void)h;
    (void)flow_id;
    (void)layer_id;
    (void)callout_id;
    return STATUS_NOT_SUPPORTED;
}

NTSTATUS host_flow_abort(struct host *h, UINT64 flow_id)
{
    (void)h;
    (void)flow_id;
    return STATUS_NOT_SUPPORTED;
}

NTSTATUS host_option_set(struct host *h, const void *classify_context, FWP_CLASSIFY_OPTION_TYPE type,
                         const FWP_VALUE0 *value)
{
    (void)h;
    (void)classify_context;
    (void)type;
    (void)value;
    return STATUS_NOT_SUPPORTED;
}

void host_flows(struct host *h, void (*fn)(void *ctx, const struct host_flow_info *f), void *ctx)
{
    (void)h;
    (void)fn;
    (void)ctx;
}

UINT64 ale_flow_context(void *ctx, UINT16 layer_id, UINT32 callout_id)
{
    (void)ctx;
    (void)layer_id;
    (void)callout_id;
    return 0;
}

void ale_classified_slow(struct scene *s)
{
    (void)s;
}

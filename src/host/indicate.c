/* SPDX-License-Identifier: Apache-2.0 */
#include "host/internal.h"

struct scratch {
    int unused;
};

int scratch_create(struct host *h, struct scratch **out)
{
    (void)h;
    *out = NULL;
    return -1;
}

void scratch_destroy(struct scratch *s)
{
    (void)s;
}

bool indicate(struct scene *s, enum host_layer role, struct answer *out)
{
    *out = (struct answer){.role = role, .layer = layer_id(role, s->version), .blocked = true};
    return true;
}

bool indicate_discard(struct scene *s, enum host_layer role, FWPS_DISCARD_MODULE0 module, UINT32 reason)
{
    (void)s;
    (void)role;
    (void)module;
    (void)reason;
    return false;
}

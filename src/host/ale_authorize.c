/* SPDX-License-Identifier: Apache-2.0 */
/* ale_authorize: what a packet needs, and asking; nothing works yet: no memory, says every decision. */
#include <string.h>

#include "host/internal.h"

void ale_find(struct scene *s, struct ale_view *v)
{
    (void)s;
    memset(v, 0, sizeof(*v));
}

enum ale_result ale_decide(struct scene *s, struct ale_view *v, struct answer *a)
{
    (void)s;
    (void)v;
    memset(a, 0, sizeof(*a));
    return ALE_NO_MEMORY;
}

bool ale_established(struct scene *s, struct answer *a)
{
    (void)s;
    memset(a, 0, sizeof(*a));
    return false;
}

void host_reauthorize(struct host *h, UINT32 reason)
{
    ale_reauthorize(h, reason, 0);
}

void ale_reauthorize(struct host *h, UINT32 reason, UINT32 interface_index)
{
    (void)h;
    (void)reason;
    (void)interface_index;
}

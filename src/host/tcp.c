/* SPDX-License-Identifier: Apache-2.0 */
/* tcp: see internal.h. */
#include "host/internal.h"

#include <errno.h>
#include <string.h>

int tcp_create(struct lane *l)
{
    l->segments = NULL;
    return 0;
}

void tcp_destroy(struct lane *l)
{
    (void)l;
}

void tcp_segment(struct lane *l, struct host_flow *f, const struct wire_packet *p, bool out,
                 struct tcp_result *r)
{
    (void)l, (void)f, (void)p;
    memset(r, 0, sizeof(*r));
    r->out = out;
}

bool tcp_more(struct lane *l, struct host_flow *f, struct tcp_result *r)
{
    (void)l, (void)f, (void)r;
    return false;
}

bool tcp_starts_anew(const struct host_flow *f, const struct wire_packet *p, bool out)
{
    (void)f, (void)p, (void)out;
    return false;
}

void tcp_adopt(struct host_flow *f, const struct wire_packet *p, bool out)
{
    (void)f, (void)p, (void)out;
}

void tcp_forget(struct lane *l, struct host_flow *f)
{
    (void)l, (void)f;
}

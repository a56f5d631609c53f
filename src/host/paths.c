/* SPDX-License-Identifier: Apache-2.0 */
/* paths: nothing is walked yet: every frame is ignored. */
#include "host/paths.h"

bool paths_key(const struct host *h, const struct host_frame *f, struct host_flow_key *key)
{
    (void)h;
    (void)f;
    (void)key;
    return false;
}

void paths_frame(struct lane *l, const struct host_frame *f, struct host_outcome *out)
{
    (void)l;
    (void)f;
    out->fate = HOST_IGNORED;
}

void paths_in(struct scene *s, struct host_outcome *out)
{
    (void)s;
    out->fate = HOST_IGNORED;
}

void paths_out(struct scene *s, struct host_outcome *out)
{
    (void)s;
    out->fate = HOST_IGNORED;
}

void paths_forward(struct scene *s, struct host_outcome *out)
{
    (void)s;
    out->fate = HOST_IGNORED;
}

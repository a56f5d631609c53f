/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ale_ask: one question to AC, RA, CR or FE: the scene as that layer names it. An ICMP flow goes by its
 * request; a dual-stack socket sees IPv4 as mapped addresses (MATCH-23); options may be set in it (ALE-10).
 */
#include <string.h>

#include "host/redirect_inside.h"

static void map(union wire_addr *a)
{
    uint32_t v4 = a->v4;

    memset(a, 0, sizeof(*a));
    a->v6[10] = a->v6[11] = 0xff;
    for (unsigned i = 0; i < 4; i++)
        a->v6[12 + i] = (uint8_t)(v4 >> (24 - 8 * i));
}

/* MATCH-23: as a dual-stack socket sees IPv4. */
void ale_as_its_socket(struct scene *s)
{
    if (s->endpoint == NULL || s->endpoint->version != 6 || s->version != 4)
        return;
    s->version = 6;
    map(&s->local);
    map(&s->remote);
}

/* ALE names an ICMP flow by its request also where a reply is at hand. Lane held. */
void ale_as_its_request(struct scene *s, const struct host_flow *f)
{
    if (!s->icmp)
        return;
    s->local_port = f->key.remote_port >> 8;
    s->remote_port = f->key.remote_port & 0xff;
}

/* Classifies the copy. */
void ale_ask(struct scene *t, enum host_layer role, struct ale_options *o, struct answer *a)
{
    struct redirect_shown shown;

    if (t->host->config.knobs.mapped_v6 || role == LAYER_CR)
        ale_as_its_socket(t);
    memset(&t->hold, 0, sizeof(t->hold));
    redirect_dress(t, role, &shown);
    if (o != NULL) {
        *o = (struct ale_options){.host = t->host};
        t->options = o;
        t->classify_context = o;
    }
    indicate(t, role, a);
}

const struct recalled *ale_recalls(struct scene *s, enum host_layer role)
{
    return s->icmp || s->host->config.knobs.mapped_v6 || redirected_any(s->lane) ? NULL
                                                                                 : indicate_recalls(s, role);
}

void ale_known(struct scene *s, enum host_layer role, const struct recalled *known, struct ale_options *o,
               struct answer *a)
{
    if (o != NULL)
        *o = (struct ale_options){.host = s->host};
    s->options = o;
    indicate_known(s, role, known, a);
    s->options = NULL;
}

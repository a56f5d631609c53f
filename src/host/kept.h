/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands at a layer (struct kept), brought up to another flow: of a scene that differs from the one before in its flow
 * alone. What is the flow's is made once (struct kept_flow) and then stored at each layer where the layer has it: places
 * that it lacks are KEPT_NOWHERE, so that nothing is asked on the way.
 */
#ifndef WEIR_HOST_KEPT_H
#define WEIR_HOST_KEPT_H

#include <stddef.h>

#include "host/indicate.h"

/* Metadata that say which flow it is. */
#define KEPT_OF_FLOW                                                                                         \
    (FWPS_METADATA_FIELD_FLOW_HANDLE | FWPS_METADATA_FIELD_TRANSPORT_ENDPOINT_HANDLE |                       \
     FWPS_METADATA_FIELD_PARENT_ENDPOINT_HANDLE | FWPS_METADATA_FIELD_ALE_CLASSIFY_REQUIRED)

/* The value at such a place. */
static inline FWP_VALUE0 *kept_place(FWPS_INCOMING_VALUE0 *values, UINT16 place)
{
    return &((FWPS_INCOMING_VALUE0 *)((char *)values + place))->value;
}

/* Of which ends does a layer say what kind of address they have? */
#define KEPT_LOCAL_TYPE  1u
#define KEPT_REMOTE_TYPE 2u
static inline unsigned kept_types(const struct prepared *p)
{
    return (p->place[KEPT_LOCAL_ADDRESS_TYPE] != KEPT_NOWHERE ? KEPT_LOCAL_TYPE : 0) |
           (p->place[KEPT_REMOTE_ADDRESS_TYPE] != KEPT_NOWHERE ? KEPT_REMOTE_TYPE : 0);
}

static inline void kept_renew(struct kept *k, const struct prepared *p, const struct scene *s,
                              const struct kept_flow *f)
{
    FWPS_INCOMING_VALUE0 *v = k->value;
    const UINT16 *place = p->place;
    UINT32 there = (k->metadata.currentMetadataValues & ~KEPT_OF_FLOW) | (p->metadata & f->metadata);

    k->of.flow = f->number;
    kept_place(v, place[KEPT_PROTOCOL])->uint8 = s->protocol;
    kept_place(v, place[KEPT_LOCAL_PORT])->uint16 = s->local_port;
    kept_place(v, place[KEPT_REMOTE_PORT])->uint16 = s->remote_port;
    kept_place(v, place[KEPT_CONNECTION_DIRECTION])->uint32 = s->connection_direction;
    kept_place(v, place[KEPT_FLAGS])->uint32 = f->flags & p->flags;
    kept_place(v, place[KEPT_LOCAL_ADDRESS_TYPE])->uint8 = f->local_type;
    kept_place(v, place[KEPT_REMOTE_ADDRESS_TYPE])->uint8 = f->remote_type;
    for (unsigned i = 0; i < KEPT_HANDLES; i++)
        *(UINT64 *)((char *)k + p->handle[i]) = f->handle[i];
    k->metadata.currentMetadataValues = there;
    if (__builtin_expect(s->version == 4, 1)) {
        kept_place(v, place[KEPT_LOCAL_ADDRESS])->uint32 = s->local.v4;
        kept_place(v, place[KEPT_REMOTE_ADDRESS])->uint32 = s->remote.v4;
    } else { /* the values point to them */
        k->end[0] = s->local;
        k->end[1] = s->remote;
        if ((there & FWPS_METADATA_FIELD_REMOTE_SCOPE_ID) != 0)
            k->metadata.remoteScopeId.Value = f->scope;
    }
}

/* values_kept.c. types: kept_types() of the layers. */
void kept_flow_make(const struct scene *s, UINT64 number, unsigned types, struct scratch *room,
                    struct kept_flow *f);
/* That of the scene with this number, of its direction's `t`, until the next scene of that is asked for. */
static inline const struct kept_flow *kept_flow_of(const struct scene *s, UINT64 number, unsigned types,
                                                   struct scratch *room, struct told *t)
{
    struct kept_flow *f = &t->made;

    if (f->number != number || (types & ~f->types) != 0)
        kept_flow_make(s, number, types, room, f);
    return f;
}
/* The values are those of a scene whose next one may differ in its flow alone: kept_renew() may follow. */
void kept_flow_follows(const struct scene *s, const struct prepared *p, struct kept *k);
/* metadata.c: handles, metadata, scope. */
void kept_flow_metadata(const struct scene *s, struct kept_flow *f);

#endif

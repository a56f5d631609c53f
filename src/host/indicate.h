/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of one classification share: values.c, metadata.c, offsets.c and indicate.c. A lane's
 * scratch: what was prepared once for each layer, what is remembered of the policy's version, and the room
 * that a classification needs, a level for each that is under way on this lane (a callout may call back into
 * the host, which then classifies again before the first has returned).
 */
#ifndef WEIR_HOST_INDICATE_H
#define WEIR_HOST_INDICATE_H

#include "host/internal.h"

/* How the fields of one layer are filled; made once, by values_prepare(). */
struct prepared {
    UINT8 get[ENGINE_MAX_FIELDS]; /* enum getter */
    UINT64 overridden;            /* fields that a setting decides */
    UINT64 all;                   /* all fields' bits */
    UINT32 flags;                 /* FWP_CONDITION_FLAG_* that can be said at this layer */
    bool prepared;
};

#define MAX_FOREIGN 8

/* What the filters of a layer need, of one version of them. */
struct plan {
    UINT64 version; /* the layer's; 0: no filters */
    UINT64 tested;  /* fields */
    UINT32 count;   /* filters */
    bool callouts;  /* some ask a callout: the rest then also depends on `generation` */
    bool many;      /* more foreign callouts than are listed */
    UINT8 foreign_count;
    UINT64 generation;
    const struct engine_filter *foreign[MAX_FOREIGN]; /* with a foreign callout that nobody assumes about */
    bool ours;                                        /* a callout of this engine's may be asked */
    bool steady; /* no callouts, and nothing tested that differs between a flow's packets of one direction */
    bool
        settled; /* filters that test nothing, no callout of ours: `answer` is the answer to every question */
    struct host_answer answer;
    GUID callout; /* answer.depends_on_callout points here, or is NULL */
};

struct override {
    UINT16 layer, field;
    const FWP_VALUE0 *value;
};

#define LEVELS 4 /* deeper ones show no packet; a callout that gets there calls itself */

struct scratch {
    struct host *host;
    UINT8 role[ENGINE_LAYER_COUNT]; /* enum host_layer; LAYER_ROLES: no layer of the host's */
    struct prepared prepared[ENGINE_LAYER_COUNT];
    struct plan plan[ENGINE_LAYER_COUNT];
    struct override *overrides;
    size_t override_count;
    struct ndis_packet *packets[LEVELS];
    unsigned level;
};

/* 0 or -ENOMEM. */
int values_prepare(struct scratch *room, const struct host_config *config);

/* Are these fields the same for all packets that a TCP or UDP flow has in one direction, as long as neither
 * interfaces nor addresses change? But for what the packet's own condition flags say. */
bool values_are_steady(const struct prepared *p, UINT64 fields);

/* Does an inbound packet stand behind this classification? */
static inline bool scene_inbound(const struct scene *s)
{
    return s->packet_direction == FWP_DIRECTION_INBOUND;
}

/* Where the packet that a layer shows ends and where its first byte is, from the frame's first byte: what is
 * in front of the data can be retreated to (PKT-04, 07, 09). */
void packet_bounds(const struct scene *s, enum host_layer role, uint32_t *first, uint32_t *end);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What a tally holds; tally.c counts, table.c prints. */
#ifndef WEIR_REPORT_TALLY_H
#define WEIR_REPORT_TALLY_H

#include "internal.h"

/* A flow's row is in two arrays, at the same place: here what classifications touch ... */
struct tally_flow {
    UINT64 id;
    UINT64 passed, dropped; /* but for what its cell holds */
    UINT32 next;            /* in its bucket; 1 + index, 0: none */
    UINT16 depends;         /* 1 + index of what it depends on; 0: on nothing */
    bool blocked : 1, refused : 1;
    bool held : 1;   /* blocked, silently, where it was to be authorized: perhaps until somebody decides */
    bool listed : 1; /* told of; else classifications and frames alone have named it */
};
_Static_assert(sizeof(struct tally_flow) == 32, "two to a line");

/* ... and here what is put down when it begins and when it is decided, and read for the table. */
struct tally_told {
    const struct report_filter *filter; /* NULL: the implicit permit */
    const struct host_owner *owner;     /* NULL: unknown */
    union wire_addr local, remote;
    UINT16 local_port, remote_port;
    UINT16 layer; /* 1 + id of the one that decided; 0: none yet */
    uint8_t version, protocol;
    UINT32 redirected : 31; /* 1 + index; 0: it was not */
    UINT32 inbound : 1;
};
_Static_assert(sizeof(struct tally_told) == 64, "a line each");

struct tally_redirected {
    const struct report_filter *by; /* NULL: it is unknown */
    UINT64 by_id;
    union wire_addr asked; /* the remote end that was asked for */
    UINT16 asked_port;
    UINT32 next; /* free places: 1 + index, 0: none */
};

/* What each frame touches: eight flows to a line of the cache, where their ids say, so that those of one time are
 * neighbours. A cell is the newest flow's of those that could have it; frames of the others go to their rows. */
struct tally_cell {
    UINT32 whose;  /* 1 + what of the id does not say the place; 0: nobody's */
    UINT16 passed; /* not yet in the row */
    UINT8 dropped; /* nor these */
    UINT8 settled; /* that a classification depends cannot change the row any more */
};

/* A reason for which frames did not pass, or passed and are not the host's (STACK). */
struct tally_drop {
    enum host_fate fate;
    enum host_note note;
    const struct engine_layer *layer;
    const struct report_filter *filter;
    UINT64 filter_id;
    FWPS_DISCARD_MODULE0 module;
    UINT32 reason;
    enum wire_fault fault;
    bool injected; /* packets of drivers, no frames */
    UINT64 frames, bytes, written;
};

struct tally_depends {
    const struct engine_layer *layer;
    UINT64 fields;
    GUID callout;              /* zero: none */
    UINT64 permitted, blocked; /* classifications, by how they were carried out */
};

/* A classification that depends waits to be put into its flow's row. A row is seldom in the caches: a few of them
 * are fetched together. */
struct tally_later {
    UINT64 id;
    const struct engine_layer *layer;
    UINT64 filter_id;
    UINT16 depends;
};
#define LATER 16u

#define MAX_FLOWS   0x40000000u
#define MAX_DROPS   1024u
#define MAX_DEPENDS 1024u /* of what tally_flow.depends can say */

struct report_tally {
    struct report_names *names;
    UINT32 max_flows;
    /* Room for all of them: what is never touched costs nothing. */
    struct tally_flow *flows;
    struct tally_told *told;
    UINT32 flow_count, hand;
    UINT32 *buckets; /* 1 + index */
    struct tally_cell *cells;
    size_t mapped; /* bytes, from the cells on */
    UINT32 mask;   /* of both; one less than a power of two */
    unsigned shift;
    struct tally_redirected *redirected;
    UINT32 redirected_count, redirected_room, redirected_free; /* free: 1 + index of the first, 0: none */
    struct tally_drop *drops;
    UINT32 drop_count;
    UINT32 recent[HOST_FATES]; /* of this fate the last one: mostly the next one too */
    UINT64 other_drops;        /* frames of reasons beyond MAX_DROPS */
    struct tally_depends *depends;
    UINT32 depend_count;
    UINT32 recent_depends; /* the last one that was noted */
    UINT64 other_depends;
    struct tally_later later[LATER];
    UINT32 later_count;
    UINT64 newest;                                     /* the highest id told of: they rise */
    UINT64 highest;                                    /* the highest id that ever had a row */
    UINT64 created, unlisted;                          /* flows told of; not or no longer in the list */
    UINT64 gone_permitted, gone_blocked, gone_depends; /* the unlisted by verdict */
};

static inline const struct tally_told *tally_told(const struct report_tally *t, const struct tally_flow *f)
{
    return &t->told[f - t->flows];
}

/* NULL: none has decided. */
static inline const struct engine_layer *tally_layer(const struct tally_told *told)
{
    return told->layer == 0 ? NULL : engine_layer_by_id((UINT16)(told->layer - 1));
}

/* Puts what waits into the rows; before anybody reads their verdicts. */
void tally_settle(struct report_tally *t);
/* And the frames; before anybody reads how many. */
void tally_fold(struct report_tally *t);

#endif

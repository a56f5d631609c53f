/* SPDX-License-Identifier: Apache-2.0 */
/* What a tally holds; tally.c counts, table.c prints. */
#ifndef WEIR_REPORT_TALLY_H
#define WEIR_REPORT_TALLY_H

#include "internal.h"

/* A flow's row is in two arrays, at the same place: here what each of its frames touches, two flows to a line
 * of the cache ... */
struct tally_flow {
    UINT64 id;
    UINT64 passed, dropped;
    UINT32 next;    /* in its bucket; 1 + index, 0: none */
    UINT16 depends; /* 1 + index of what it depends on; 0: on nothing */
    bool blocked : 1, refused : 1;
    bool held : 1;   /* blocked, silently, where it was to be authorized: perhaps until somebody decides */
    bool listed : 1; /* told of; else classifications and frames alone have named it */
};
_Static_assert(sizeof(struct tally_flow) == 32, "two to a line");

/* ... and here what is put down when it begins and when it is decided, and read for the table. */
struct tally_told {
    const struct engine_layer *layer;   /* that decided; NULL: none yet */
    const struct report_filter *filter; /* NULL: the implicit permit */
    const struct host_owner *owner;     /* NULL: unknown */
    union wire_addr local, remote;
    UINT16 local_port, remote_port;
    uint8_t version, protocol;
    bool inbound;
    const struct report_filter
        *redirected_by;      /* NULL: it was not redirected, or by a filter that is unknown */
    UINT64 redirected_by_id; /* 0: it was not */
    union wire_addr asked;   /* the remote end that was asked for */
    UINT16 asked_port;
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

/* What waits to be put into its flow's row. A row is seldom in the caches: a few of them are fetched
 * together. */
struct tally_later {
    UINT64 id;
    const struct engine_layer *layer; /* of a classification that depends; NULL: none */
    UINT64 filter_id;
    UINT16 depends;
    UINT16 passed, dropped; /* frames */
};
#define LATER 16u

#define MAX_DROPS   1024u
#define MAX_DEPENDS 1024u /* of what tally_flow.depends can say */

struct report_tally {
    struct report_names *names;
    size_t max_flows;
    struct tally_flow *flows;
    struct tally_told *told; /* as many */
    UINT32 flow_count, flow_room, hand;
    UINT32 *buckets; /* 1 + index */
    UINT32 bucket_count;
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

/* Puts what waits into the rows; before anybody reads them. */
void tally_settle(struct report_tally *t);

#endif

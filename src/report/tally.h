/* SPDX-License-Identifier: Apache-2.0 */
/* What a tally holds; tally.c counts, table.c prints. */
#ifndef WEIR_REPORT_TALLY_H
#define WEIR_REPORT_TALLY_H

#include "internal.h"

struct tally_flow {
    struct host_flow_info info; /* version 0: nobody told of the flow itself yet */
    UINT64 id;
    const struct engine_layer *layer;   /* that decided; NULL: none yet */
    const struct report_filter *filter; /* NULL: the implicit permit */
    UINT64 passed, dropped;
    UINT32 depends; /* 1 + index of what it depends on; 0: on nothing */
    bool blocked, refused, listed;
    UINT32 next; /* in its bucket; 1 + index, 0: none */
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
    const struct engine_layer *layer; /* a classification that depends; NULL: a frame */
    UINT64 filter_id;
    UINT32 depends;
    bool through;
};
#define LATER 16u

#define MAX_DROPS   1024u
#define MAX_DEPENDS 1024u

struct report_tally {
    struct report_names *names;
    size_t max_flows;
    struct tally_flow *flows;
    UINT32 flow_count, flow_room, hand;
    UINT32 *buckets; /* 1 + index */
    UINT32 bucket_count;
    struct tally_drop *drops;
    UINT32 drop_count;
    UINT64 other_drops; /* frames of reasons beyond MAX_DROPS */
    struct tally_depends *depends;
    UINT32 depend_count;
    UINT64 other_depends;
    struct tally_later later[LATER];
    UINT32 later_count;
    UINT64 newest;                                     /* the highest id told of: they rise */
    UINT64 created, unlisted;                          /* flows told of; not or no longer in the list */
    UINT64 gone_permitted, gone_blocked, gone_depends; /* the unlisted by verdict */
};

/* Puts what waits into the rows; before anybody reads them. */
void tally_settle(struct report_tally *t);

#endif

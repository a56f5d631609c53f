/* SPDX-License-Identifier: Apache-2.0 */
/*
 * framer: a driver that is linked into tests of weir.h, with callouts at the MAC layers: it looks at frames, blocks them,
 * absorbs them, lets clones or changed copies go in their place, answers them. What it does is said by its plans.
 *
 *     framer_load(w, (struct framer_plan[]){{.at = "IN", .type = 0x0806, .act = FRAMER_BLOCKS}}, 1);
 *
 * What it takes at an inbound layer is received again from there (FwpsInjectMacReceiveAsync0), outbound it is sent again
 * (FwpsInjectMacSendAsync0). One in a process.
 */
#ifndef WEIR_TESTS_FRAMER_H
#define WEIR_TESTS_FRAMER_H

#include <weir.h>

#define FRAMER_MOST 4
#define FRAMER_KEPT 256

enum framer_act {
    FRAMER_LOOKS,
    FRAMER_BLOCKS,
    FRAMER_LOSES, /* absorbs */
    FRAMER_CLONES,
    FRAMER_COPIES, /* with find's bytes written over */
    FRAMER_ANSWERS, /* IN: permits, and sends a copy back where it came from, written over; needs a plan at OUT */
};
struct framer_plan {
    /* the plan */
    const char *at; /* "IN", "IN_NATIVE", "OUT", "OUT_NATIVE" */
    uint16_t type;  /* of frames of this ether type; 0: all */
    enum framer_act act;
    bool later; /* from a work item, not from within classifyFn */
    const char *find, *write;
    /* what it saw */
    unsigned seen; /* that were none of its own */
    unsigned own;
    unsigned completed;
    int32_t status;            /* the last completion's, or the inject call's where it failed */
    uint16_t ether_type, vlan; /* as the layer's values say; native: 0 */
    uint32_t l2_flags;
    uint32_t front; /* so many bytes stood before the data: the frame's header, or none */
    size_t size;
    uint8_t bytes[FRAMER_KEPT]; /* from the Ethernet header on */
};

extern struct framer_plan framer_plans[FRAMER_MOST];

struct weir_driver *framer_load(struct weir *w, const struct framer_plan *plans, size_t count);

#endif

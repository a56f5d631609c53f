/* SPDX-License-Identifier: Apache-2.0 */
/*
 * switcher: a driver that is linked into tests of weir.h, with callouts at a virtual switch's layers and a subscription to
 * its events. What it does is said by its plans; how it answers events, by switcher_answers.
 *
 *     switcher_load(w, (struct switcher_plan[]){{.at = "IN", .act = SWITCHER_BLOCKS}}, 1);
 *
 * What it absorbs at IN or OUT it lets go in at ingress again (FwpsInjectvSwitchEthernetIngressAsync0). One in a process.
 */
#ifndef WEIR_TESTS_SWITCHER_H
#define WEIR_TESTS_SWITCHER_H

#include <weir.h>

#define SWITCHER_MOST 6

enum switcher_act {
    SWITCHER_LOOKS,
    SWITCHER_BLOCKS,
    SWITCHER_LOSES,
    SWITCHER_CLONES,
    SWITCHER_COPIES, /* with find's bytes written over */
};
struct switcher_plan {
    const char *at; /* "IN", "OUT", "IN4", "OUT4", "IN6", "OUT6" */
    enum switcher_act act;
    uint32_t to; /* at egress: of copies to that port; 0: all */
    bool later;  /* from a work item */
    const char *find, *write;
    /* what it saw, of frames that are none of its own */
    unsigned seen, own, completed, again; /* again: later copies of one frame */
    int32_t status;
    uint32_t source, destination; /* ports */
    uint32_t nic_index;
    uint16_t vm[64]; /* whose: the source's */
};
extern struct switcher_plan switcher_plans[SWITCHER_MOST];

/* By event, as FWPS_VSWITCH_EVENT_TYPE counts them. */
#define SWITCHER_EVENTS 14
struct switcher_answers {
    int32_t status[SWITCHER_EVENTS]; /* what the callback returns; STATUS_PENDING: */
    uint32_t after_ms;               /* completed so long after (0: before the callback returns), */
    int32_t with;                    /* with this */
    bool silent;                     /* ... or never */
    /* what it was told */
    unsigned told[SWITCHER_EVENTS];
    uint32_t ports, nics; /* VSWITCH_CREATE: how many */
    uint32_t port;        /* the last one */
    unsigned nic_state;
    uint16_t name[64], nic[64], vm[64];
    uint8_t mac[6];
};
extern struct switcher_answers switcher_answers;

struct weir_driver *switcher_load(struct weir *w, const struct switcher_plan *plans, size_t count);

#endif

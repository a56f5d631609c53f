/* SPDX-License-Identifier: Apache-2.0 */
/*
 * courier: a driver that is linked into tests of weir.h: it takes packets away (absorbs them) and lets packets of its own go
 * in their place, each built from nothing (no clone: nothing says what it stems from). What it takes is said by its errands.
 *
 *     courier_load(w, (struct courier_errand[]){{.at = "DD", .remote = "10.0.0.9", .becomes = "10.0.0.2"}}, 1);
 *
 * Outbound at DD and OT it sends from the transport header on (transport send), at OI from the IP header on (network
 * send); inbound what it takes at DD is received again (transport receive), at II too (network receive). One in a process.
 */
#ifndef WEIR_TESTS_COURIER_H
#define WEIR_TESTS_COURIER_H

#include <weir.h>

#define COURIER_MOST 4

struct courier_errand {
    /* the plan */
    const char *at;           /* "DD", "OT", "OI", "II" */
    bool inbound;             /* DD */
    const char *remote;       /* of packets with that remote end; NULL: all */
    const char *becomes;      /* the new one's; NULL: the same */
    const char *from;         /* its local end, which goes into its sums; NULL: the same */
    bool answers;             /* what it lets go is an answer to it, received */
    const char *find, *write; /* in the payload, of one size; NULL */
    bool later;               /* from a work item, not from within classifyFn */
    bool unmended;            /* the transport's checksum stays as it was */
    bool loses;               /* lets nothing go */
    /* what it saw */
    unsigned taken;
    unsigned largest, smallest; /* bytes from the transport header on */
    unsigned completed;
    int32_t status; /* the last completion's, or the inject call's where it failed */
};

/* What the driver does, from now on and until it is loaded anew; what it saw stands in there. */
extern struct courier_errand courier_errands[COURIER_MOST];

struct weir_driver *courier_load(struct weir *w, const struct courier_errand *errands, size_t count);

#endif

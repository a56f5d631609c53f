/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redirector: a scripted callout of a driver_lab's that changes binds and connects with the documented functions: within
 * the classify, or when the test says so. What is meant to work is asserted inside.
 *
 *   struct redirector r = {.to = "10.0.0.9", .port = 8080};
 *   driver_lab_callout(l, "CR", SCRIPT(l, .then = redirector_play, .ctx = &r));
 *   LAB_OUT(&l->host, TCP(WIRE_TCP_SYN), .sport = 50000, .dport = 80);
 */
#ifndef WEIR_TESTS_REDIRECTOR_H
#define WEIR_TESTS_REDIRECTOR_H

#include "fwpsk.h"

#include "driver_lab.h"
#include "host/host_redirect.h"

#define REDIRECTOR_CALLS 8

#define TCP(...) .protocol = WIRE_PROTOCOL_TCP, .tcp_flags = (__VA_ARGS__)
#define SYN(...) TCP(WIRE_TCP_SYN), .seq = 1, __VA_ARGS__

struct redirector {
    const char *to;    /* the new remote end (CR) or local one (BR); NULL: it stays */
    UINT16 port;       /* 0: it stays */
    const char *local; /* CR: the new local end */
    UINT16 local_port;
    DWORD pid;
    HANDLE handle;          /* localRedirectHandle */
    const char *context;    /* is copied into pool, with its zero; NULL: none */
    FWP_ACTION_TYPE answer; /* 0: PERMIT */
    bool pends;             /* ... and does the rest in redirector_go() */
    bool pends_after;       /* acquires writable data first, then pends */
    bool only_looks;        /* neither acquires nor pends */
    bool keeps;             /* does not release the handle */
    UINT32 flags;           /* of the apply */
    unsigned until;         /* pends and changes at the first so many calls only; 0: at all */
    void (*also)(struct redirector *r, const struct driver_lab_call *c); /* before anything else */
    void *ctx;
    FWP_ACTION_TYPE type; /* of its filter; 0: FWP_ACTION_CALLOUT_TERMINATING */
    UINT16 sublayer;      /* that its filter goes to; the greater, the heavier; 0: the common one */
    /* seen and done */
    unsigned calls;
    UINT32 condition_flags[REDIRECTOR_CALLS];
    UINT32 rights[REDIRECTOR_CALLS];               /* on entry */
    FWPS_CONNECT_REQUEST0 shown[REDIRECTOR_CALLS]; /* layerData */
    FWPS_BIND_REQUEST0 bind_shown[REDIRECTOR_CALLS];
    UINT64 previous[REDIRECTOR_CALLS][4]; /* modifierFilterId of the versions behind layerData */
    unsigned previous_count[REDIRECTOR_CALLS];
    UINT64 behind[4]; /* ... of those behind the writable data, at the last call */
    unsigned behind_count;
    UINT64 classify_handle, filter_id;
    FWPS_CLASSIFY_OUT0 out;         /* a copy, as it is kept for the completion */
    void *writable, *given;         /* given: the last localRedirectContext */
    NTSTATUS pended, acquired, got; /* of the last calls */
    HANDLE records;
    bool waits, bind;
};

void redirector_play(struct driver_lab_script *s, const struct driver_lab_call *c);
/* Acquires if that was not done, changes, applies. */
void redirector_change(struct redirector *r);
/* ... and completes with its answer, and releases the handle. */
void redirector_go(struct redirector *r);
/* Completes so that it is asked again. */
void redirector_again(struct redirector *r);

/* Its callout and filter at that layer ("CR"). */
void redirector_put(struct driver_lab *l, const char *layer, struct redirector *r);

/* ---- what its tests have in common ------------------------------------------------------------------------------- */

/* A lab of that configuration, of the machine's functions as a fixture; and its end, however it was opened: no step that the
 * host's table does not know was taken. */
int redirector_setup(void **state, const struct host_config *config);
int redirector_teardown(void **state);
/* A redirect handle of the tests' provider. */
HANDLE redirector_handle(void);
/* "10.0.0.9:80", good until the next call. */
const char *redirector_text(const SOCKADDR_STORAGE *a);
/* The last frame passed, as one to that remote end, and is sound. */
void redirector_goes(const struct driver_lab *l, const char *to, UINT16 port);
struct host_redirect_counts redirector_counts(struct driver_lab *l);
unsigned redirector_findings(const struct driver_lab *l); /* of any kind */

/* A callout at AC: what it was told, and what it answers, call for call; 0: nothing. */
struct redirector_ac {
    unsigned calls;
    UINT32 remote[8], flags[8];
    UINT16 port[8];
    bool target[8], original[8];
    DWORD pid[8];
    char from[8][80];
    FWP_ACTION_TYPE answer[8];
};
void redirector_watch(struct driver_lab *l, struct redirector_ac *a);

#endif

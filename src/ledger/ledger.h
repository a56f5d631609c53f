/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ledger: the door of the room that knows who owes what: every obligation that a driver (or Weir for it)
 * takes on, from the call that opened it to the call that closed it.
 *
 *   nt, ndis, host, api --open, close--> ledger --what is left, closed twice, used after--> findings -->
 * loader
 *
 * An obligation is (kind, key): the key is what the driver holds: an address, a handle, a context. It belongs
 * to a party, which is a driver. Opened and closed with a call site: the return address of the documented
 * function, symbolised only when it is reported, while the image is still there.
 *
 * One ledger an engine, used by threads or by the fibers of one world. Any IRQL; it never waits, never
 * switches, and when it has no memory left it counts what it could not write (ledger_counts.lost): then not
 * finding something is no finding. Modes: LEDGER_FULL writes an entry for each obligation; LEDGER_COUNT keeps
 * counters by party and kind only (live).
 */
#ifndef WEIR_LEDGER_LEDGER_H
#define WEIR_LEDGER_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rt/rt.h"

enum ledger_kind {
    LEDGER_PENDED_OPERATION, /* FwpsPendOperation0 .. FwpsCompleteOperation0 */
    LEDGER_PENDED_CLASSIFY,
    LEDGER_CLASSIFY_HANDLE,
    LEDGER_NBL_REFERENCE, /* several of one key: counted */
    LEDGER_NBL_CLONE,     /* FwpsAllocateCloneNetBufferList0 and the deep one */
    LEDGER_NBL,           /* FwpsAllocateNetBufferAndNetBufferList0, NdisAllocate... */
    LEDGER_NET_BUFFER,
    LEDGER_NBL_POOL, /* and NET_BUFFER pools */
    LEDGER_STREAM_CLONE,
    LEDGER_MDL,
    LEDGER_INJECTION, /* accepted .. its completionFn has returned; key: the NBL */
    LEDGER_INJECTION_HANDLE,
    LEDGER_REDIRECT_HANDLE,
    LEDGER_FLOW_CONTEXT,
    LEDGER_CALLOUT,       /* registered */
    LEDGER_ENGINE_HANDLE, /* FwpmEngineOpen0 */
    LEDGER_SUBSCRIPTION,
    LEDGER_POOL, /* a block of pool */
    LEDGER_LOOKASIDE,
    LEDGER_LOCK,      /* held now */
    LEDGER_THREAD,    /* a system thread that has not ended */
    LEDGER_WORK_ITEM, /* allocated; LEDGER_QUEUED: queued and not run */
    LEDGER_QUEUED,
    LEDGER_TIMER, /* set and not expired or cancelled */
    LEDGER_DPC,   /* queued */
    LEDGER_DEVICE,
    LEDGER_SYMBOLIC_LINK,
    LEDGER_HANDLE, /* ZwClose */
    LEDGER_OBJECT_REFERENCE,
    LEDGER_IRP,      /* given to the driver and not completed */
    LEDGER_CALLBACK, /* process notify routines, ExRegisterCallback, shutdown notification */
    LEDGER_WDF_OBJECT,
    LEDGER_DEFERRED_STREAM, /* FWPS_STREAM_ACTION_DEFER .. FwpsStreamContinue0 */
    LEDGER_KINDS
};
const char *ledger_kind_name(enum ledger_kind k); /* for people: "pended operation" */

struct ledger;
struct ledger_party;

enum ledger_mode { LEDGER_FULL, LEDGER_COUNT };

/* What was found out. */
enum ledger_fault {
    LEDGER_LEFT,     /* open at unload */
    LEDGER_TWICE,    /* closed, and closed again */
    LEDGER_UNKNOWN,  /* closed, but never opened */
    LEDGER_FOREIGN,  /* closed by another party */
    LEDGER_AFTER,    /* used after it was closed */
    LEDGER_WRONG,    /* closed by the wrong function (an allocator's of another kind) */
    LEDGER_BUGCHECK, /* KeBugCheckEx, or what would have been one; text says what */
    LEDGER_NOTE,     /* against the contract, and the run goes on; text says what */
    LEDGER_FAULTS
};
struct ledger_finding {
    enum ledger_fault fault;
    enum ledger_kind kind; /* of LEFT .. WRONG */
    const char *driver;    /* the party's name */
    uint64_t number;       /* of the obligation, from 1, in the order of opening: never an address */
    uint64_t key, size;    /* size: bytes, or count, where there is one */
    const void *opened, *closed, *used; /* call sites; NULL: there was none */
    const char *text; /* further words, e.g. the pool tag; NULL: none. WRONG: what it was closed as;
                       * FOREIGN: the party that closed it (driver: who owes it) */
    uint64_t time_ns; /* LEFT, ledger_each(): when it was opened; else when it was found out */
};

struct ledger_config {
    enum ledger_mode mode;
    struct rt_clock *clock;
    /* Told of each finding, on the thread that made it, no lock held. */
    void (*found)(void *ctx, const struct ledger_finding *f);
    void *ctx;
};
int ledger_create(const struct ledger_config *config, struct ledger **out); /* 0, -ENOMEM */
void ledger_destroy(struct ledger *l);

/* A driver. Its name is copied. The ledger's; goes with it. NULL: out of memory. */
struct ledger_party *ledger_party_add(struct ledger *l, const char *name);
const char *ledger_party_name(const struct ledger_party *p);
/* The party of the calling thread (rt_current()); NULL: nobody's, then nothing is written down. */
struct ledger_party *ledger_current(void);

/* Opened by the current party. site: __builtin_return_address(0) of the documented function. size, text (a
 * string that outlives the ledger, or NULL) are for the report. */
void ledger_open(enum ledger_kind k, uint64_t key, uint64_t size, const char *text, const void *site);
/* As ledger_open() for another party than the current: what Weir takes on for it. */
void ledger_open_for(struct ledger_party *p, enum ledger_kind k, uint64_t key, uint64_t size,
                     const char *text, const void *site);
/* Closed by the current party. False: it was not open; that is a finding already. Where no party is current:
 * true, nothing is looked at. */
bool ledger_close(enum ledger_kind k, uint64_t key, const void *site);
/* Closed by Weir itself, for whoever owes it; false: it was not open, and that is no finding. LEDGER_COUNT:
 * counted for p, true. */
bool ledger_close_for(struct ledger_party *p, enum ledger_kind k, uint64_t key);
/* It is used now: false, and a finding, if it was closed or never opened. LEDGER_COUNT: true. */
bool ledger_use(enum ledger_kind k, uint64_t key, const void *site);
/* Is it known to be gone: closed a moment ago, and nothing new made at its place? Then what the key points at is not to be
 * touched; to close or use it is a finding. Of the current party's ledger; LEDGER_COUNT: false. */
bool ledger_was_closed(enum ledger_kind k, uint64_t key);
/* Is it open (LEDGER_FULL), whoever owes it? */
bool ledger_is_open(struct ledger *l, enum ledger_kind k, uint64_t key);
/* Other findings of the current party. text is copied. */
__attribute__((cold)) void ledger_report(enum ledger_fault fault, const void *site, const char *text);
/* ... of another party than the current. */
__attribute__((cold)) void ledger_report_for(struct ledger_party *p, enum ledger_fault fault,
                                             const void *site, const char *text);

/* LEDGER_LOCKs that the calling thread has opened and not closed. Both modes. */
unsigned ledger_locks_held(void);

uint64_t ledger_open_count(const struct ledger_party *p, enum ledger_kind k);
/* At unload: reports everything that is still open, oldest first, and closes it. How many. LEDGER_COUNT: one
 * finding a kind, with how many as its size and no number. */
uint64_t ledger_settle(struct ledger_party *p);
/* Calls fn for each open obligation, oldest first; fn must not call the ledger. LEDGER_FULL. */
void ledger_each(struct ledger *l, const struct ledger_party *p /* NULL: all */,
                 void (*fn)(void *ctx, const struct ledger_finding *f), void *ctx);
struct ledger_counts {
    uint64_t opened, closed, open, lost, findings[LEDGER_FAULTS];
};
void ledger_counts(const struct ledger *l, struct ledger_counts *out);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger's inside.
 *
 *   ledger.c    a ledger and its parties, findings, totals
 *   entries.c   the full mode: what is open, and what was closed a moment ago
 *   counters.c  how many of each kind, by party: both modes
 *   settle.c    everything that is open, oldest first
 *   kinds.c     names of kinds
 *
 * The full mode is a hash of entries by (kind, key) in LEDGER_SHARDS parts, each under a spin lock of its own
 * that is held for a few dozen instructions (and, when a part grows, for one allocation or one pass over it),
 * never across a call out of this room but to malloc(). In a world only one fiber runs and none is switched
 * away in here, so there is no lock: a ledger is used by threads, or by the fibers of one world, like a mutex
 * of rt's.
 *
 * An entry is a cache line. Entries come from blocks that are freed with the ledger; a closed one goes on its
 * part's free list, and a copy of it into the part's ring of the last TOMBSTONES closed: there a second close
 * or a later use finds who opened and who closed it.
 */
#ifndef WEIR_LEDGER_INSIDE_H
#define WEIR_LEDGER_INSIDE_H

#include <stdatomic.h>

#include "ledger/ledger.h"

#define LEDGER_LINE 64 /* bytes of a cache line */

/* ---- counters ------------------------------------------------------------------------------------------ */
/*
 * Each thread has a cell of its own, so counting is a plain addition. A cell belongs to the thread whose
 * thread-local memory is at `owner`: no two threads that run have the same, and one that comes later at the
 * same address inherits a cell that nobody else writes. Who finds no cell free counts in the last,
 * atomically.
 */
#define LEDGER_CELLS 32
struct ledger_cell {
    _Alignas(LEDGER_LINE) struct {
        _Atomic uint64_t opened, closed;
    } of[LEDGER_KINDS];
};
void ledger_count_opened(struct ledger_party *p, enum ledger_kind k);
void ledger_count_closed(struct ledger_party *p, enum ledger_kind k, uint64_t n);
void ledger_count_sum(const struct ledger_party *p, enum ledger_kind k, uint64_t *opened, uint64_t *closed);

/* ---- entries ------------------------------------------------------------------------------------------- */
#define LEDGER_SHARDS     64
#define LEDGER_TOMBSTONES 64 /* of a shard */

struct ledger_entry {
    union {
        struct ledger_entry *next; /* open: in its bucket; free: in the list */
        const void *closed;        /* a tombstone's */
    };
    uint64_t key, size;
    const char *text;
    const void *opened;
    struct ledger_party *party;
    uint64_t number : 56, kind : 8;
    uint64_t time_ns; /* when it was opened */
};
_Static_assert(sizeof(struct ledger_entry) == LEDGER_LINE, "an entry is a cache line");

struct ledger_shard {
    _Alignas(LEDGER_LINE) atomic_bool locked;
    struct ledger_entry **buckets;
    size_t mask, count;
    struct ledger_entry *free;
    struct ledger_entry *blocks; /* its own ones: each one's first entry holds nothing but next */
    unsigned own;                /* how many; further ones are parts of a chunk */
    struct ledger_entry *ring;   /* tombstones; number 0: none yet */
    size_t ring_at;
    uint64_t lost; /* opened without an entry, and not closed yet */
};

/*
 * Where many are open, an entry is nowhere in the caches nor in what the processor knows of pages: the memory of those comes
 * from few large pages, shared by all parts. Freed with the ledger.
 */
#define LEDGER_CHUNK (2u << 20)
struct ledger_chunk {
    _Alignas(LEDGER_LINE) struct ledger_chunk *next;
};
struct ledger_chunks {
    atomic_bool locked;
    struct ledger_chunk *first; /* where the next comes from */
    size_t used;                /* bytes of it */
    void *spare[64];            /* given back, by the size's power of two; each begins with the next */
};

struct ledger {
    struct ledger_config config;
    struct ledger_shard *shards; /* LEDGER_FULL */
    struct ledger_chunks chunks;
    _Alignas(LEDGER_LINE) _Atomic uint64_t numbers; /* given */
    _Atomic uint64_t lost, findings[LEDGER_FAULTS];
    _Alignas(LEDGER_LINE) _Atomic uintptr_t owners[LEDGER_CELLS];
    _Atomic(struct ledger_party *) parties;
};

struct ledger_party {
    struct ledger *ledger;
    struct ledger_party *next;
    char *name;
    struct ledger_cell *cells; /* LEDGER_CELLS, and one for all others */
};

int ledger_shards_create(struct ledger *l);
void ledger_shards_destroy(struct ledger *l);
void ledger_entry_open(struct ledger_party *p, enum ledger_kind k, uint64_t key, uint64_t size,
                       const char *text, const void *site);
/* Closes the newest of the party's own, else the newest of others'; false: none. Fills *was. */
bool ledger_entry_close(struct ledger_party *p, enum ledger_kind k, uint64_t key, const void *site,
                        struct ledger_entry *was);
bool ledger_entry_close_number(struct ledger *l, const struct ledger_entry *e);
bool ledger_entry_is_open(struct ledger *l, enum ledger_kind k, uint64_t key);
/* As it is, the newest; false: none is open. */
bool ledger_entry_peek(struct ledger *l, enum ledger_kind k, uint64_t key, struct ledger_entry *out);
size_t ledger_entry_count(struct ledger *l); /* open, of all */
/* What is known of one that is not open: the last tombstone of (k, key). False: nothing. */
bool ledger_entry_tombstone(struct ledger *l, enum ledger_kind k, uint64_t key, struct ledger_entry *was);
/* Takes one from those that were opened without an entry: then not finding it says nothing. */
bool ledger_entry_was_lost(struct ledger *l, enum ledger_kind k, uint64_t key, bool closes);
/* Copies entries numbered after .. until of a party (NULL: all) that are open: the `room` oldest, in no
 * order. How many. */
size_t ledger_entry_collect(struct ledger *l, const struct ledger_party *p, uint64_t after, uint64_t until,
                            struct ledger_entry *out, size_t room);

void ledger_found(struct ledger *l, struct ledger_finding *f);
void ledger_describe(const struct ledger_entry *e, struct ledger_finding *f);
uint64_t ledger_now(struct ledger *l);

#endif

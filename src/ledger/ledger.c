/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ledger: its parties, what they take on and give back, and what is found out about them.
 *
 * ledger_open() and ledger_close() count in both modes; in the full one they write an entry, too (entries.c).
 * What cannot be right is a finding, told at once to config.found on the thread that did it, with no lock
 * held.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ledger/inside.h"

/* ---- ledgers and parties ------------------------------------------------------------------------------- */

int ledger_create(const struct ledger_config *config, struct ledger **out)
{
    struct ledger *l = aligned_alloc(LEDGER_LINE, sizeof(*l));

    *out = NULL;
    if (l == NULL)
        return -ENOMEM;
    memset(l, 0, sizeof(*l));
    l->config = *config;
    if (config->mode == LEDGER_FULL && ledger_shards_create(l) != 0) {
        ledger_destroy(l);
        return -ENOMEM;
    }
    *out = l;
    return 0;
}

void ledger_destroy(struct ledger *l)
{
    if (l == NULL)
        return;
    for (struct ledger_party *p = atomic_load(&l->parties), *next; p != NULL; p = next) {
        next = p->next;
        free(p->cells);
        free(p->name);
        free(p);
    }
    ledger_shards_destroy(l);
    free(l);
}

struct ledger_party *ledger_party_add(struct ledger *l, const char *name)
{
    struct ledger_party *p = calloc(1, sizeof(*p));
    size_t size = (LEDGER_CELLS + 1) * sizeof(struct ledger_cell);

    if (p == NULL)
        return NULL;
    p->ledger = l;
    p->name = strdup(name);
    p->cells = aligned_alloc(LEDGER_LINE, size);
    if (p->name == NULL || p->cells == NULL) {
        free(p->cells);
        free(p->name);
        free(p);
        return NULL;
    }
    memset(p->cells, 0, size);
    p->next = atomic_load(&l->parties);
    while (!atomic_compare_exchange_weak(&l->parties, &p->next, p))
        ;
    return p;
}

const char *ledger_party_name(const struct ledger_party *p)
{
    return p->name;
}

struct ledger_party *ledger_current(void)
{
    struct rt_context *c = rt_current();

    return c == NULL ? NULL : c->party;
}

/* ---- findings ------------------------------------------------------------------------------------------ */

uint64_t ledger_now(struct ledger *l)
{
    return rt_clock_now(l->config.clock != NULL ? l->config.clock : rt_clock_of_thread());
}

void ledger_describe(const struct ledger_entry *e, struct ledger_finding *f)
{
    f->kind = e->kind;
    f->driver = e->party->name;
    f->number = e->number;
    f->key = e->key;
    f->size = e->size;
    f->text = e->text;
    f->opened = e->opened;
    f->time_ns = e->time_ns;
}

void ledger_found(struct ledger *l, struct ledger_finding *f)
{
    atomic_fetch_add_explicit(&l->findings[f->fault], 1, memory_order_relaxed);
    if (l->config.found != NULL)
        l->config.found(l->config.ctx, f);
}

void ledger_report_for(struct ledger_party *p, enum ledger_fault fault, const void *site, const char *text)
{
    struct ledger_finding f = {.fault = fault, .kind = LEDGER_KINDS, .used = site, .text = text};

    f.driver = p->name;
    f.time_ns = ledger_now(p->ledger);
    ledger_found(p->ledger, &f);
}

void ledger_report(enum ledger_fault fault, const void *site, const char *text)
{
    struct ledger_party *p = ledger_current();

    if (p != NULL)
        ledger_report_for(p, fault, site, text);
}

/* Kinds of things that one function makes and another unmakes, whose key is the thing itself: here a close of
 * the wrong kind is a mix-up of functions. Under the key of such a thing other kinds are open too (a
 * reference to a clone, its injection): those say nothing. */
static bool is_thing(enum ledger_kind k)
{
    switch (k) {
    case LEDGER_CLASSIFY_HANDLE:
    case LEDGER_NBL_CLONE:
    case LEDGER_NBL:
    case LEDGER_NET_BUFFER:
    case LEDGER_NBL_POOL:
    case LEDGER_STREAM_CLONE:
    case LEDGER_MDL:
    case LEDGER_INJECTION_HANDLE:
    case LEDGER_REDIRECT_HANDLE:
    case LEDGER_ENGINE_HANDLE:
    case LEDGER_POOL:
    case LEDGER_LOOKASIDE:
    case LEDGER_WORK_ITEM:
    case LEDGER_DEVICE:
    case LEDGER_HANDLE:
    case LEDGER_IRP:
    case LEDGER_WDF_OBJECT:
        return true;
    default:
        return false;
    }
}

/* What is not open was closed or used. */
static void find_out(struct ledger_party *p, enum ledger_kind k, uint64_t key, const void *site, bool closes)
{
    struct ledger *l = p->ledger;
    struct ledger_finding f = {.fault = LEDGER_UNKNOWN, .kind = k, .driver = p->name, .key = key};
    struct ledger_entry was;

    if (ledger_entry_tombstone(l, k, key, &was)) {
        ledger_describe(&was, &f);
        f.fault = closes ? LEDGER_TWICE : LEDGER_AFTER;
        f.driver = p->name;
        f.closed = was.closed;
    } else if (closes && is_thing(k)) {
        for (int other = 0; other < LEDGER_KINDS; other++) {
            if (!is_thing(other) || !ledger_entry_peek(l, other, key, &was))
                continue;
            ledger_describe(&was, &f);
            f.fault = LEDGER_WRONG;
            f.driver = p->name;
            f.text = ledger_kind_name(k);
            break;
        }
    }
    f.used = site;
    f.time_ns = ledger_now(l);
    ledger_found(l, &f);
}

/* ---- open, close, use ---------------------------------------------------------------------------------- */

/* A thread's locks are counted where it carries them: a pointer's worth of number. */
static void carry_locks(int change)
{
    struct rt_carried *c = rt_carried();
    uintptr_t held = (uintptr_t)c->ledger;

    if (change > 0)
        held++;
    else if (held != 0) /* one that another thread took */
        held--;
    c->ledger = (void *)held;
}

unsigned ledger_locks_held(void)
{
    return (unsigned)(uintptr_t)rt_carried()->ledger;
}

void ledger_open_for(struct ledger_party *p, enum ledger_kind k, uint64_t key, uint64_t size,
                     const char *text, const void *site)
{
    if (p == NULL)
        return;
    if (k == LEDGER_LOCK)
        carry_locks(1);
    ledger_count_opened(p, k);
    if (p->ledger->config.mode == LEDGER_FULL)
        ledger_entry_open(p, k, key, size, text, site);
}

void ledger_open(enum ledger_kind k, uint64_t key, uint64_t size, const char *text, const void *site)
{
    ledger_open_for(ledger_current(), k, key, size, text, site);
}

/* Closed in the full mode. Apart, so that to count costs no more than to count. */
static __attribute__((noinline)) bool close_entry(struct ledger_party *p, enum ledger_kind k, uint64_t key,
                                                  const void *site)
{
    struct ledger_finding f = {.fault = LEDGER_FOREIGN};
    struct ledger_entry was;

    if (!ledger_entry_close(p, k, key, site, &was)) {
        if (ledger_entry_was_lost(p->ledger, k, key, true)) {
            ledger_count_closed(p, k, 1);
            return true;
        }
        find_out(p, k, key, site, true);
        return false;
    }
    if (k == LEDGER_LOCK)
        carry_locks(-1);
    ledger_count_closed(was.party, k, 1);
    if (was.party != p) {
        ledger_describe(&was, &f);
        f.closed = site;
        f.text = p->name; /* who did it; driver is who owed it */
        f.time_ns = ledger_now(p->ledger);
        ledger_found(p->ledger, &f);
    }
    return true;
}

bool ledger_close(enum ledger_kind k, uint64_t key, const void *site)
{
    struct ledger_party *p = ledger_current();

    if (p == NULL)
        return true;
    if (p->ledger->config.mode == LEDGER_FULL)
        return close_entry(p, k, key, site);
    if (k == LEDGER_LOCK)
        carry_locks(-1);
    ledger_count_closed(p, k, 1);
    return true;
}

bool ledger_close_for(struct ledger_party *p, enum ledger_kind k, uint64_t key)
{
    struct ledger_entry was;

    if (p == NULL)
        return false;
    if (p->ledger->config.mode == LEDGER_COUNT) {
        ledger_count_closed(p, k, 1);
        return true;
    }
    if (!ledger_entry_close(p, k, key, NULL, &was)) {
        if (!ledger_entry_was_lost(p->ledger, k, key, true))
            return false;
        was.party = p;
    }
    ledger_count_closed(was.party, k, 1);
    return true;
}

bool ledger_use(enum ledger_kind k, uint64_t key, const void *site)
{
    struct ledger_party *p = ledger_current();

    if (p == NULL || p->ledger->config.mode == LEDGER_COUNT || ledger_entry_is_open(p->ledger, k, key) ||
        ledger_entry_was_lost(p->ledger, k, key, false))
        return true;
    find_out(p, k, key, site, false);
    return false;
}

bool ledger_was_closed(enum ledger_kind k, uint64_t key)
{
    struct ledger_party *p = ledger_current();
    struct ledger_entry was;

    if (p == NULL || p->ledger->config.mode == LEDGER_COUNT || ledger_entry_is_open(p->ledger, k, key) ||
        !ledger_entry_tombstone(p->ledger, k, key, &was))
        return false;
    for (int other = 0; other < LEDGER_KINDS; other++)
        if (is_thing(other) && ledger_entry_is_open(p->ledger, other, key))
            return false;
    return true;
}

bool ledger_is_open(struct ledger *l, enum ledger_kind k, uint64_t key)
{
    return l->config.mode == LEDGER_FULL && ledger_entry_is_open(l, k, key);
}

/* ---- totals -------------------------------------------------------------------------------------------- */

uint64_t ledger_open_count(const struct ledger_party *p, enum ledger_kind k)
{
    uint64_t opened, closed;

    ledger_count_sum(p, k, &opened, &closed);
    return opened > closed ? opened - closed : 0;
}

void ledger_counts(const struct ledger *l, struct ledger_counts *out)
{
    memset(out, 0, sizeof(*out));
    for (const struct ledger_party *p = atomic_load(&l->parties); p != NULL; p = p->next) {
        for (int k = 0; k < LEDGER_KINDS; k++) {
            uint64_t opened, closed;

            ledger_count_sum(p, k, &opened, &closed);
            out->opened += opened;
            out->closed += closed;
            out->open += opened > closed ? opened - closed : 0;
        }
    }
    out->lost = atomic_load_explicit(&l->lost, memory_order_relaxed);
    for (int i = 0; i < LEDGER_FAULTS; i++)
        out->findings[i] = atomic_load_explicit(&l->findings[i], memory_order_relaxed);
}

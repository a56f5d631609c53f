/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A laboratory of one kernel with one driver: a body of code runs as that driver's, at PASSIVE_LEVEL, once in
 * each of several worlds:
 *
 *   simulated, first ready first run | simulated, shuffled and preempted by a seed | real threads
 *
 * The body may call everything documented. It asserts only on the thread it was called on; other threads say
 * LAB_CHECK(), and what they said fails the test at the end. Findings are counted; a body that provokes some
 * asks for them with lab_found(), which forgets them: what is left over at the end fails the test, as does
 * anything that the driver owes at its unload.
 */
#ifndef WEIR_TESTS_NT_LAB_H
#define WEIR_TESTS_NT_LAB_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdatomic.h>

#include "nt/nt.h"

#define LAB_MS    1000000ull /* in ns */
#define LAB_TRACE 8192

struct nt_lab {
    bool simulated;
    uint64_t seed;
    struct rt_sim *sim; /* NULL: real threads */
    struct rt_clock *clock;
    struct ledger *ledger;
    struct nt *k;
    struct nt_driver *driver;
    struct rt_context context;
    const char *name; /* of the world, for messages */
    void *arg;

    atomic_uint found[LEDGER_FAULTS];
    char last[256]; /* the first finding's text since one was asked for; "": none, or it had no text */
    enum ledger_kind last_kind;
    atomic_uint bugchecks;
    _Atomic uint32_t bug_code; /* of the newest */
    atomic_uint failed;        /* LAB_CHECK()s */
    bool keep_left;   /* the body leaves things behind on purpose: settle's findings are not looked at */
    uint64_t settled; /* how many those were */
    NTSTATUS unload_status;

    struct rt_mutex *trace_lock;
    char trace[LAB_TRACE]; /* lab_trace(): what happened in which order */
    size_t traced;
};

typedef void nt_lab_body(struct nt_lab *lab);

struct nt_lab_world {
    const char *name;
    bool simulated, shuffle;
    uint64_t seed;
    uint32_t preempt;
};
/* One world. out: what the lab was at the end (may be NULL). */
void nt_lab_run(const struct nt_lab_world *world, nt_lab_body *body, void *arg, struct nt_lab *out);
/* All of them: two simulated, one real. */
void nt_lab_both(nt_lab_body *body, void *arg);
/* Runs the body twice in a simulated world of each of some seeds: both runs have the same trace and take the
 * same virtual time. Returns how many of the seeds gave different traces. */
unsigned nt_lab_same(nt_lab_body *body, void *arg, unsigned seeds);

/* How many findings of that kind there were; they are forgotten. */
unsigned lab_found(struct nt_lab *lab, enum ledger_fault fault);
/* Exactly one, whose text contains `text`. */
void lab_expect(struct nt_lab *lab, enum ledger_fault fault, const char *text);
/* A driver would have stopped the machine: exactly once, with that code; and it is a finding. */
void lab_expect_bug(struct nt_lab *lab, uint32_t code, const char *text);
void lab_trace(struct nt_lab *lab, const char *format, ...) __attribute__((format(printf, 2, 3)));
void lab_check(struct nt_lab *lab, bool good, const char *what, const char *file, int line);
#define LAB_CHECK(lab, condition) lab_check((lab), (condition), #condition, __FILE__, __LINE__)

/* A system thread of the lab's driver; and its end. */
HANDLE lab_thread(PKSTART_ROUTINE routine, void *arg);
void lab_join(HANDLE thread);
LARGE_INTEGER lab_ms(int64_t ms); /* from now on */

#endif

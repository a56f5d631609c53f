/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linked: a driver that is linked into tests of weir.h: a device \\.\Linked with a control code for each thing that a
 * driver may do or do wrong, and a callout at ALE_AUTH_CONNECT that goes by the remote port. It says what it does with
 * DbgPrint.
 */
#ifndef WEIR_TESTS_LINKED_H
#define WEIR_TESTS_LINKED_H

#include <stdint.h>
#include <weir.h>

/* CTL_CODE(FILE_DEVICE_UNKNOWN, 0x800 + n, METHOD_BUFFERED, FILE_ANY_ACCESS) */
#define LINKED_CODE(n) (0x22u << 16 | (0x800u + (n)) << 2)
enum {
    LINKED_ECHO = LINKED_CODE(0),   /* the input, each byte inverted */
    LINKED_WAIT = LINKED_CODE(1),   /* completed when LINKED_WAKE comes; can be cancelled */
    LINKED_WAKE = LINKED_CODE(2),   /* all that wait, with the input's bytes */
    LINKED_LATER = LINKED_CODE(3),  /* completed by a DPC of a timer, 50 ms later */
    LINKED_NUMBER = LINKED_CODE(4), /* the parameter Number, four bytes */
    LINKED_LEAK = LINKED_CODE(5),   /* takes memory and forgets it */
    LINKED_SPIN = LINKED_CODE(6),   /* never returns */
    LINKED_CALL = LINKED_CODE(7),   /* struct linked_call: calls that function */
    LINKED_WORK = LINKED_CODE(8),   /* queues a work item (linked_work), which counts */
    LINKED_COUNT = LINKED_CODE(9),  /* how often it ran, four bytes */
    LINKED_DEAF = LINKED_CODE(10),  /* waits for an event that nobody sets, in the dispatch routine */
    LINKED_FAULT = LINKED_CODE(11), /* writes where there is no memory */
    LINKED_STOP = LINKED_CODE(12),  /* KeBugCheckEx */
    LINKED_POLL = LINKED_CODE(13),  /* never returns: asks again and again, with an interlocked operation */
    LINKED_POLLS = LINKED_CODE(14), /* starts a thread that does */
    LINKED_OTHER = LINKED_CODE(16), /* registers another callout: linked_filter() */
    LINKED_AGAIN = LINKED_CODE(15), /* queues a work item that queues itself, and again: time stands still */
};
struct linked_call {
    uint64_t (*function)(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                         uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);
    uint64_t arguments; /* all of them */
    uint64_t returned;
};

/* Remote ports of the callout. */
enum {
    LINKED_BLOCKS = 81, /* hard */
    LINKED_PENDS = 82,  /* completed 100 ms later by its timer's work item: permit */
    LINKED_KEEPS = 83,  /* pended and never completed */
    LINKED_POLLED = 84, /* classifyFn never returns, as LINKED_POLL */
    LINKED_HOOKED = 85, /* calls linked_hook */
};

struct _DRIVER_OBJECT;
struct _UNICODE_STRING;
int32_t linked_entry(struct _DRIVER_OBJECT *driver, struct _UNICODE_STRING *path);

extern void (*linked_hook)(void);
extern void (*linked_notify)(void); /* called from its notifyFn; NULL: nothing is */
/* A test's own call of FwpmFilterAdd0: a filter that asks its other callout is added (to a session that stays). NTSTATUS. */
int32_t linked_filter(void);
struct weir_driver *linked_load(struct weir *w);

#endif

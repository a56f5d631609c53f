/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nt's second door: calls of drivers that are made to fail, and drivers' work that is held back. Who tests drivers
 * (embed) is asked here:
 *
 *   driver --ExAllocatePool2()--> NT_FAIL_NULL(ExAllocatePool2) --rt_context.faults--> fails()? --> NULL
 *   worker, DPC, timer, thread --nt_begins()--> begins(): returns when the routine may begin
 *
 * Where nobody asks for it (rt_context.faults is NULL) a check is a load and a branch. Only calls from a driver's
 * own context count: what Weir does for a driver below a documented function asks with internal functions.
 */
#ifndef WEIR_NT_FAULT_H
#define WEIR_NT_FAULT_H

#include "ntddk.h"
#include "nt_fallible.h"
#include "rt/rt.h"

enum nt_fallible_kind {
    NT_FALLIBLE_MEMORY, /* takes memory or another resource */
    NT_FALLIBLE_CALL,
    NT_FALLIBLE_UNDO, /* gives back; fails on Windows where it is misused or too early */
};
struct nt_fallible_row {
    const char *name;
    enum nt_fallible_kind kind;
    const char *failure; /* "NULL", "FALSE", "STATUS_..." */
    NTSTATUS status;     /* its documented failure; 0: NULL or FALSE */
};
extern const struct nt_fallible_row nt_fallible_table[NT_FALLIBLES];
extern const char *const nt_documented[]; /* every function that is known, in order; NULL ends it */

/* Whose context has this as `faults` is asked about. Any thread, any IRQL. */
struct nt_faults {
    void *ctx;
    /* The call is made now. True: it is to fail; *status then is the documented failure, or another that was asked for
     * (nothing where it returns no status). */
    bool (*fails)(void *ctx, enum nt_fallible f, const void *site, NTSTATUS *status);
    /* A routine of the driver's is about to begin on this thread; kind: "thread", "work item", "dpc", "timer". May
     * be NULL. */
    void (*begins)(void *ctx, const char *kind, const void *routine);
    /* FwpsPendOperation0 with the handle of a question that nobody waits for: true, and a context that names no
     * operation. May be NULL. */
    bool (*pends)(void *ctx, HANDLE completion_handle, HANDLE *completion_context);
};

bool nt_fails_asked(const struct nt_faults *faults, enum nt_fallible f, const void *site, NTSTATUS *status);

/* Is nobody asked about this thread's calls? */
static inline bool nt_fails_never(void)
{
    const struct rt_context *c = rt_current();

    return c == NULL || c->faults == NULL;
}

static inline bool nt_fails(enum nt_fallible f, const void *site, NTSTATUS *status)
{
    const struct rt_context *c = rt_current();

    return __builtin_expect(c != NULL && c->faults != NULL, 0) && nt_fails_asked(c->faults, f, site, status);
}

/* First in a documented function that returns a pointer, a boolean, a status. */
#define NT_FAIL_NULL(name)                                                                                   \
    do {                                                                                                     \
        if (nt_fails(NT_FALLIBLE_##name, __builtin_return_address(0), NULL))                                 \
            return 0;                                                                                        \
    } while (0)
#define NT_FAIL_FALSE NT_FAIL_NULL
#define NT_FAIL_STATUS(name)                                                                                 \
    do {                                                                                                     \
        NTSTATUS fails_;                                                                                     \
                                                                                                             \
        if (nt_fails(NT_FALLIBLE_##name, __builtin_return_address(0), &fails_))                              \
            return fails_;                                                                                   \
    } while (0)

/* Around a driver's routine, on the thread that runs it, the driver's context current. */
struct nt_begun {
    const char *doing;
    const void *routine;
    bool asked;
};
struct nt_begun nt_begins_asked(const struct nt_faults *faults, const char *kind, const void *routine);

static inline struct nt_begun nt_begins(const char *kind, const void *routine)
{
    const struct rt_context *c = rt_current();
    const struct nt_faults *f = c != NULL ? c->faults : NULL;

    if (__builtin_expect(f == NULL, 1))
        return (struct nt_begun){.asked = false};
    return nt_begins_asked(f, kind, routine);
}
static inline void nt_ended(struct nt_begun was)
{
    struct rt_carried *carried;

    if (__builtin_expect(!was.asked, 1))
        return;
    carried = rt_carried();
    carried->doing = was.doing;
    carried->routine = was.routine;
}
/* The calling thread is about to be held, or goes on: where it is a system worker, work that is queued may need
 * another. */
void nt_held(bool held);

/* FwpsPendOperation0's first look. */
static inline bool nt_pends(HANDLE completion_handle, HANDLE *completion_context)
{
    const struct rt_context *c = rt_current();
    const struct nt_faults *f = c != NULL ? c->faults : NULL;

    return __builtin_expect(f != NULL, 0) && f->pends != NULL &&
           f->pends(f->ctx, completion_handle, completion_context);
}

#endif

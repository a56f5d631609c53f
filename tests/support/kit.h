/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the drivers that are linked into tests (pender.c, leader.c, courier.c) do alike: a callout with a filter that asks
 * it, and a thread that is woken and ended. As a driver would: PASSIVE_LEVEL, documented calls alone.
 */
#ifndef WEIR_TESTS_KIT_H
#define WEIR_TESTS_KIT_H

#include <ntddk.h>
#include <fwpsk.h>
#include <fwpmk.h>

struct kit_callout {
    DEVICE_OBJECT *device;
    HANDLE engine; /* a session, to which callout and filter belong */
    const WCHAR *name;
    GUID key;
    const GUID *layer;
    FWP_ACTION_TYPE action;
    FWPS_CALLOUT_CLASSIFY_FN3 classify;
    UINT64 context; /* the filter's */
};
/* *id is not 0 if it is registered; whoever asked unregisters it then, also after a failure. */
NTSTATUS kit_callout_add(const struct kit_callout *what, UINT32 *id);

struct kit_thread {
    KEVENT work; /* set: there is something to do */
    LONG closing;
    void *thread;
};
/* Its own memory of zeros. */
NTSTATUS kit_thread_start(struct kit_thread *t, PKSTART_ROUTINE routine, void *arg);
static inline BOOLEAN kit_thread_closes(struct kit_thread *t)
{
    return InterlockedOr(&t->closing, 0) != 0;
}
/* Waits for its end; nothing where it was not started. */
void kit_thread_end(struct kit_thread *t);

#endif

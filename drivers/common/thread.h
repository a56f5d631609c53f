/* SPDX-License-Identifier: Apache-2.0 */
/*
 * thread: the one worker thread of a driver, and the event that wakes it.
 *
 * Started and stopped at PASSIVE_LEVEL, in DriverEntry and in the unload routine; woken up to DISPATCH_LEVEL.
 * Its routine waits for `work`, and ends (PsTerminateSystemThread) when it finds `closing` set.
 */
#ifndef THREAD_H
#define THREAD_H

#include "kernel.h"

struct thread {
    KEVENT work;
    volatile BOOLEAN closing; /* nothing is taken on any more */
    PETHREAD object;
};

/* Before anything may wake it. */
void thread_init(struct thread *thread);

/* A status that is a failure: it does not run. */
NTSTATUS thread_start(struct thread *thread, KSTART_ROUTINE *routine);

void thread_wake(struct thread *thread);

/* Sets `closing`, and returns when the thread is over. */
void thread_stop(struct thread *thread);

#endif

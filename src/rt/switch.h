/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The context switch: leaves one stack for another on the same OS thread.
 *
 * Own assembly on x86-64 and aarch64 (switch_*.S): it saves what the ABI makes a callee keep, and nothing
 * else: no signal mask, no system call. Elsewhere, or with RT_SWITCH_UCONTEXT, the C library's ucontext. It
 * knows nothing of worlds, thread-local memory or sanitizers: fiber.c does.
 */
#ifndef WEIR_RT_SWITCH_H
#define WEIR_RT_SWITCH_H

#if (defined(__x86_64__) || defined(__aarch64__)) && !defined(RT_SWITCH_UCONTEXT)
#define RT_SWITCH_OWN 1
#endif

#ifndef __ASSEMBLER__
#include <stddef.h>
#ifndef RT_SWITCH_OWN
#include <ucontext.h>
#endif

struct rt_place { /* where a fiber that does not run goes on */
#ifdef RT_SWITCH_OWN
    void *sp; /* first: the assembly writes it */
#else
    ucontext_t u;
#endif
};

/* The first switch to `p` calls entry(arg) on the stack [low, low + size); it must never return. */
void rt_place_make(struct rt_place *p, void *low, size_t size, void (*entry)(void *arg), void *arg);
/* Saves where the caller is in *from and goes on at *to. Returns when somebody switches to *from. */
void rt_place_switch(struct rt_place *from, const struct rt_place *to);
#endif

#endif

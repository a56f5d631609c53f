/* SPDX-License-Identifier: Apache-2.0 */
/* The C half of the context switch (switch.h): a new fiber's first saved stack, and the fallback. */
#include <stdint.h>
#include <string.h>

#include "rt/switch.h"

#ifdef RT_SWITCH_OWN

void rt_place_begin(void); /* in assembly; not to be called */

#if defined(__x86_64__)
/* As rt_place_switch() leaves it: switch_x86_64.S has the picture. */
struct saved {
    uint32_t mxcsr;
    uint16_t x87, unused;
    uintptr_t r15, r14, r13, r12, rbx, rbp, back;
    uintptr_t nothing[2]; /* where a frame above would be; keeps the stack's 16 bytes */
};

static void fill(struct saved *s, void (*entry)(void *arg), void *arg)
{
    __asm__("stmxcsr %0" : "=m"(s->mxcsr));
    __asm__("fnstcw %0" : "=m"(s->x87));
    s->r12 = (uintptr_t)entry;
    s->r13 = (uintptr_t)arg;
    s->back = (uintptr_t)rt_place_begin;
}
#else
/* As rt_place_switch() leaves it: switch_aarch64.S has the picture. */
struct saved {
    uintptr_t x[12]; /* x19 .. x30 */
    uint64_t d[8];
    uint64_t fpcr, unused;
};

static void fill(struct saved *s, void (*entry)(void *arg), void *arg)
{
    __asm__("mrs %0, fpcr" : "=r"(s->fpcr));
    s->x[0] = (uintptr_t)entry;
    s->x[1] = (uintptr_t)arg;
    s->x[11] = (uintptr_t)rt_place_begin;
}
#endif

_Static_assert(sizeof(struct saved) % 16 == 0, "the stack pointer stays a multiple of 16");

void rt_place_make(struct rt_place *p, void *low, size_t size, void (*entry)(void *arg), void *arg)
{
    uintptr_t top = ((uintptr_t)low + size) & ~(uintptr_t)15;
    struct saved *s = (struct saved *)(top - sizeof(*s));

    memset(s, 0, sizeof(*s));
    fill(s, entry, arg);
    p->sp = s;
}

#else

/* makecontext() passes ints only: a pointer goes in two. */
static void begin(unsigned entry_high, unsigned entry_low, unsigned arg_high, unsigned arg_low)
{
    void (*entry)(void *) = (void (*)(void *))(uintptr_t)(((uint64_t)entry_high << 32) | entry_low);

    entry((void *)(uintptr_t)(((uint64_t)arg_high << 32) | arg_low));
}

void rt_place_make(struct rt_place *p, void *low, size_t size, void (*entry)(void *arg), void *arg)
{
    uint64_t e = (uintptr_t)entry, a = (uintptr_t)arg;

    getcontext(&p->u);
    p->u.uc_stack.ss_sp = low;
    p->u.uc_stack.ss_size = size;
    p->u.uc_link = NULL;
    makecontext(&p->u, (void (*)(void))begin, 4, (unsigned)(e >> 32), (unsigned)e, (unsigned)(a >> 32),
                (unsigned)a);
}

void rt_place_switch(struct rt_place *from, const struct rt_place *to)
{
    swapcontext(&from->u, &to->u);
}

#endif

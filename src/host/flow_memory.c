/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flow_memory: spans of address space that become memory from the front on.
 *
 * A table must neither move its flows (pointers to them are kept) nor copy itself when it grows. So each of
 * its arrays reserves the addresses it may ever need, which costs nothing, and asks for memory in steps: the
 * step that fails is the allocation that fails. Huge pages are asked for where the system has them on demand;
 * of ten million flows, without them, nearly every lookup also misses the TLB.
 */
#include "host/span.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define SMALL_STEP ((size_t)64 << 10) /* a multiple of every page size */
#define HUGE       ((size_t)2 << 20)

static size_t round_up(size_t n, size_t unit)
{
    return (n + unit - 1) / unit * unit;
}

int span_open(struct span *s, size_t size)
{
    memset(s, 0, sizeof(*s));
    s->size = round_up(size > 0 ? size : 1, SMALL_STEP);
    s->mapped = s->size < HUGE ? s->size : round_up(s->size, HUGE) + HUGE;
    s->mapping = mmap(NULL, s->mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (s->mapping == MAP_FAILED) {
        s->mapping = NULL;
        return -ENOMEM;
    }
    s->base = s->mapping;
    if (s->size >= HUGE) {
        s->base = (uint8_t *)round_up((uintptr_t)s->mapping, HUGE);
        (void)madvise(s->base, s->size, MADV_HUGEPAGE); /* a wish */
    }
    return 0;
}

void span_close(struct span *s)
{
    if (s->mapping != NULL)
        munmap(s->mapping, s->mapped);
    memset(s, 0, sizeof(*s));
}

int span_grow(struct span *s, size_t size, size_t *budget)
{
    size_t to, more;

    if (size <= s->ready)
        return 0;
    if (size > s->size)
        return -ENOMEM;
    /* An eighth more than there is, so that few steps are made; at the end exactly what is needed. */
    to = s->ready + s->ready / 8;
    to = round_up(to > size ? to : size, to >= HUGE ? HUGE : SMALL_STEP);
    to = to < s->size ? to : s->size;
    more = to - s->ready;
    if (more > *budget || mprotect(s->base + s->ready, more, PROT_READ | PROT_WRITE) != 0)
        return -ENOMEM;
    s->ready = to;
    *budget -= more;
    return 0;
}

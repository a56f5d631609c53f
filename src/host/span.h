/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Spans (flow_memory.c): address space reserved at once, memory taken as it grows; nothing ever moves. For
 * tables of many small things to which pointers are kept: flows, endpoints.
 */
#ifndef WEIR_HOST_SPAN_H
#define WEIR_HOST_SPAN_H

#include <stddef.h>
#include <stdint.h>

struct span {
    uint8_t *base; /* on a huge page's boundary if it is as large as one, else on a page's */
    size_t ready;  /* bytes that may be used */
    size_t size;   /* bytes reserved */
    void *mapping; /* what was mapped, and how much */
    size_t mapped;
};

int span_open(struct span *s, size_t size); /* 0 or -ENOMEM */
void span_close(struct span *s);
/* Makes at least `size` bytes usable, zeroed; *budget is what all spans may still take. 0 or -ENOMEM. */
int span_grow(struct span *s, size_t size, size_t *budget);

#endif

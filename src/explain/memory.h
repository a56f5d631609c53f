/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory for one question: an arena that is freed as a whole, and text that grows.
 *
 * A question makes hundreds of small things (values, sets, names) that all end together, so nobody keeps
 * count of them: they lie in an arena. Running out of memory sticks: every function returns NULL from then
 * on, and whoever builds something looks at `failed` once at its end.
 */
#ifndef WEIR_EXPLAIN_MEMORY_H
#define WEIR_EXPLAIN_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

struct explain_chunk;
struct explain_defer;
struct explain_arena {
    struct explain_chunk *chunks;
    struct explain_defer *defers;
    char *next, *end;
    bool failed;
};

void *explain_alloc(struct explain_arena *a, size_t size); /* zeroed, aligned for anything; NULL: no memory */
void *explain_copy(struct explain_arena *a, const void *bytes, size_t size);
char *explain_strdup(struct explain_arena *a, const char *text);
char *explain_strndup(struct explain_arena *a, const char *text, size_t size);
char *explain_printf(struct explain_arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* fn(object) is called when the arena is freed, last deferred first; at once if there is no memory (false).
 */
bool explain_defer(struct explain_arena *a, void (*fn)(void *object), void *object);
void explain_arena_free(struct explain_arena *a);

/* Text that grows; `failed` sticks, data is then what there was. Zero-terminated whenever data is not NULL.
 */
struct explain_text {
    char *data;
    size_t size, room;
    bool failed;
};

void explain_add(struct explain_text *t, const char *bytes, size_t size);
void explain_puts(struct explain_text *t, const char *text);
void explain_addf(struct explain_text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void explain_text_free(struct explain_text *t);

#endif

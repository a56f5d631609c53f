/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The arena and the growing text of memory.h. Chunks grow with the arena, up to a limit, and lie in a list; a
 * request larger than a chunk gets one of its own.
 */
#include "explain/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_SIZE 16384
#define ALIGN      _Alignof(max_align_t)

struct explain_chunk {
    struct explain_chunk *next;
    _Alignas(max_align_t) char data[];
};

struct explain_defer {
    struct explain_defer *next;
    void (*fn)(void *object);
    void *object;
};

void *explain_alloc(struct explain_arena *a, size_t size)
{
    char *p;

    if (a->failed)
        return NULL;
    size = (size + ALIGN - 1) & ~(ALIGN - 1);
    if (a->next == NULL || size > (size_t)(a->end - a->next)) {
        size_t room = size > CHUNK_SIZE ? size : CHUNK_SIZE;
        struct explain_chunk *c = malloc(sizeof *c + room);

        if (c == NULL) {
            a->failed = true;
            return NULL;
        }
        c->next = a->chunks;
        a->chunks = c;
        a->next = c->data;
        a->end = c->data + room;
    }
    p = a->next;
    a->next += size;
    return memset(p, 0, size);
}

void *explain_copy(struct explain_arena *a, const void *bytes, size_t size)
{
    void *p = explain_alloc(a, size);

    return p != NULL && size != 0 ? memcpy(p, bytes, size) : p;
}

char *explain_strndup(struct explain_arena *a, const char *text, size_t size)
{
    char *p = explain_alloc(a, size + 1);

    return p != NULL ? memcpy(p, text, size) : NULL;
}

char *explain_strdup(struct explain_arena *a, const char *text)
{
    return explain_strndup(a, text, strlen(text));
}

char *explain_printf(struct explain_arena *a, const char *format, ...)
{
    va_list args, again;
    char *p;
    int n;

    va_start(args, format);
    va_copy(again, args);
    n = vsnprintf(NULL, 0, format, args);
    p = n < 0 ? NULL : explain_alloc(a, (size_t)n + 1);
    if (p != NULL)
        vsnprintf(p, (size_t)n + 1, format, again);
    va_end(again);
    va_end(args);
    return p;
}

bool explain_defer(struct explain_arena *a, void (*fn)(void *object), void *object)
{
    struct explain_defer *d = explain_alloc(a, sizeof *d);

    if (d == NULL) {
        fn(object);
        return false;
    }
    *d = (struct explain_defer){a->defers, fn, object};
    a->defers = d;
    return true;
}

void explain_arena_free(struct explain_arena *a)
{
    for (struct explain_defer *d = a->defers; d != NULL; d = d->next)
        d->fn(d->object);
    while (a->chunks != NULL) {
        struct explain_chunk *c = a->chunks;

        a->chunks = c->next;
        free(c);
    }
    *a = (struct explain_arena){0};
}

static bool make_room(struct explain_text *t, size_t size)
{
    size_t room = t->room ? t->room : 128;
    char *grown;

    if (t->failed)
        return false;
    if (t->data != NULL && size < t->room - t->size)
        return true;
    while (room - t->size <= size)
        room *= 2;
    grown = realloc(t->data, room);
    if (grown == NULL) {
        t->failed = true;
        return false;
    }
    t->data = grown;
    t->room = room;
    return true;
}

void explain_add(struct explain_text *t, const char *bytes, size_t size)
{
    if (!make_room(t, size))
        return;
    memcpy(t->data + t->size, bytes, size);
    t->size += size;
    t->data[t->size] = '\0';
}

void explain_puts(struct explain_text *t, const char *text)
{
    explain_add(t, text, strlen(text));
}

void explain_addf(struct explain_text *t, const char *format, ...)
{
    va_list args, again;
    int n;

    va_start(args, format);
    va_copy(again, args);
    n = vsnprintf(NULL, 0, format, args);
    if (n >= 0 && make_room(t, (size_t)n)) {
        vsnprintf(t->data + t->size, (size_t)n + 1, format, again);
        t->size += (size_t)n;
    }
    va_end(again);
    va_end(args);
}

void explain_text_free(struct explain_text *t)
{
    free(t->data);
    *t = (struct explain_text){0};
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory of an import: an arena for what lives as long as the policy, a growing buffer for what is being
 * gathered, and the memo of texts already understood.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

#define CHUNK_SIZE (256u * 1024u)

struct arena_chunk {
    struct arena_chunk *next;
    _Alignas(16) char data[];
};

void *arena_alloc(struct arena *a, size_t size)
{
    size_t rounded = (size + 15u) & ~(size_t)15u;
    if (rounded < size)
        return NULL;
    if (rounded > (size_t)(a->end - a->next)) {
        size_t room = rounded > CHUNK_SIZE ? rounded : CHUNK_SIZE;
        if (room > SIZE_MAX - sizeof(struct arena_chunk))
            return NULL;
        /* calloc: large blocks come zeroed from the system, so pages that stay unused cost nothing */
        struct arena_chunk *chunk = calloc(1, sizeof(*chunk) + room);
        if (chunk == NULL)
            return NULL;
        chunk->next = a->chunks;
        a->chunks = chunk;
        if (rounded > CHUNK_SIZE / 4 && a->end > a->next)
            return chunk->data; /* a big one: go on filling the old chunk */
        a->next = chunk->data;
        a->end = chunk->data + room;
    }
    void *p = a->next;
    a->next += rounded;
    return p;
}

char *arena_copy(struct arena *a, const char *text, size_t len)
{
    char *p = len == SIZE_MAX ? NULL : arena_alloc(a, len + 1);
    if (p != NULL && len > 0)
        memcpy(p, text, len);
    return p;
}

void arena_free(struct arena *a)
{
    while (a->chunks != NULL) {
        struct arena_chunk *next = a->chunks->next;
        free(a->chunks);
        a->chunks = next;
    }
    *a = (struct arena){0};
}

/* ---- buffer ----------------------------------------------------------------------------------------- */

static bool buffer_grow(struct buffer *b, size_t more)
{
    if (b->failed)
        return false;
    if (more <= b->capacity - b->size)
        return true;
    size_t capacity = b->capacity == 0 ? 1024 : b->capacity;
    while (capacity - b->size < more) {
        if (capacity > SIZE_MAX / 2) {
            b->failed = true;
            return false;
        }
        capacity *= 2;
    }
    char *data = realloc(b->data, capacity);
    if (data == NULL) {
        b->failed = true;
        return false;
    }
    b->data = data;
    b->capacity = capacity;
    return true;
}

void buffer_add(struct buffer *b, const char *data, size_t size)
{
    if (size == 0 || !buffer_grow(b, size))
        return;
    memcpy(b->data + b->size, data, size);
    b->size += size;
}

void buffer_text(struct buffer *b, const char *text)
{
    buffer_add(b, text, strlen(text));
}

void buffer_printf(struct buffer *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    if (n < 0)
        b->failed = true;
    else if (buffer_grow(b, (size_t)n + 1)) {
        vsnprintf(b->data + b->size, (size_t)n + 1, format, again);
        b->size += (size_t)n;
    }
    va_end(again);
    va_end(args);
}

void buffer_escaped(struct buffer *b, const char *text, size_t size, bool attribute)
{
    size_t start = 0;
    for (size_t i = 0; i < size; i++) {
        const char *as;
        switch (text[i]) {
        case '<':
            as = "&lt;";
            break;
        case '>':
            as = "&gt;";
            break;
        case '&':
            as = "&amp;";
            break;
        case '"':
            if (!attribute)
                continue;
            as = "&quot;";
            break;
        case '\r':
            as = "&#13;"; /* a bare CR would be read as a line end */
            break;
        default:
            continue;
        }
        buffer_add(b, text + start, i - start);
        buffer_text(b, as);
        start = i + 1;
    }
    buffer_add(b, text + start, size - start);
}

/* ---- memo ------------------------------------------------------------------------------------------- */

static UINT32 memo_hash(UINT8 kind, const char *text, size_t size)
{
    UINT64 h = 0x9e3779b97f4a7c15u * (kind + 1u) ^ size;
    while (size >= 8) {
        UINT64 word;
        memcpy(&word, text, 8);
        h = (h ^ word) * 0xff51afd7ed558ccdu;
        h ^= h >> 32;
        text += 8;
        size -= 8;
    }
    UINT64 rest = 0;
    if (size > 0)
        memcpy(&rest, text, size);
    h = (h ^ rest) * 0xff51afd7ed558ccdu;
    return (UINT32)(h ^ h >> 29);
}

static bool memo_grow(struct memo *m)
{
    UINT32 count = m->slots == NULL ? 2048 : 2 * (m->mask + 1);
    struct memo_entry **slots = count == 0 ? NULL : calloc(count, sizeof(struct memo_entry *));
    if (slots == NULL)
        return false;
    for (UINT32 i = 0; m->slots != NULL && i <= m->mask; i++) {
        if (m->slots[i] == NULL)
            continue;
        UINT32 at = m->slots[i]->hash & (count - 1);
        while (slots[at] != NULL)
            at = (at + 1) & (count - 1);
        slots[at] = m->slots[i];
    }
    free(m->slots);
    m->slots = slots;
    m->mask = count - 1;
    return true;
}

struct memo_entry *memo_find(struct memo *m, struct arena *a, UINT8 kind, const char *text, size_t size,
                             bool *fresh)
{
    *fresh = false;
    if ((m->slots == NULL || m->used >= (m->mask + 1) / 2) && !memo_grow(m))
        return NULL;
    UINT32 hash = memo_hash(kind, text, size);
    UINT32 at = hash & m->mask;
    for (; m->slots[at] != NULL; at = (at + 1) & m->mask) {
        struct memo_entry *e = m->slots[at];
        if (e->hash == hash && e->kind == kind && e->size == size && memcmp(e->text, text, size) == 0)
            return e;
    }
    struct memo_entry *e = arena_alloc(a, sizeof(*e));
    char *copy = e == NULL ? NULL : arena_copy(a, text, size);
    if (copy == NULL)
        return NULL;
    e->text = copy;
    e->hash = hash;
    e->size = (UINT32)size;
    e->kind = kind;
    m->slots[at] = e;
    m->used++;
    *fresh = true;
    return e;
}

void memo_free(struct memo *m)
{
    free(m->slots);
    *m = (struct memo){0};
}

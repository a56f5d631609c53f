/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Notes: what the file holds and Weir did not understand, apply or expect. A text that comes again only
 * counts, so that 616 filters with the same unknown flag are one line. Lines are found at the end, in one
 * pass.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

enum { NOTE_MEMO = 200 }; /* memo kind, beside those of values.c */

void note_add(struct import *im, enum policy_note_kind kind, size_t at, const char *raw, const char *format,
              ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (n < 0)
        return;
    size_t size = (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1;
    bool fresh;
    struct memo_entry *seen =
        memo_find(&im->memo, &im->in->arena, (UINT8)(NOTE_MEMO + kind), text, size, &fresh);
    if (seen == NULL) {
        import_no_memory(im);
        return;
    }
    if (!fresh) {
        struct note_entry *entry = (struct note_entry *)(uintptr_t)seen->number;
        entry->note.count++;
        return;
    }
    struct note_entry *entry = arena_alloc(&im->in->arena, sizeof(*entry));
    if (entry == NULL) {
        import_no_memory(im);
        return;
    }
    entry->at = at;
    entry->note = (struct policy_note){.kind = kind, .count = 1, .text = seen->text, .raw = raw};
    entry->next = im->notes;
    im->notes = entry;
    im->note_count++;
    seen->number = (uintptr_t)entry;
}

static int by_place(const void *a, const void *b)
{
    const struct note_entry *x = *(struct note_entry *const *)a, *y = *(struct note_entry *const *)b;
    /* the file as a whole first */
    size_t xat = x->at + 1, yat = y->at + 1;
    if (xat != yat)
        return xat < yat ? -1 : 1;
    return strcmp(x->note.text, y->note.text);
}

/* Line ends before every STRIDE-th byte, so that a place costs a short count. */
#define STRIDE ((size_t)2048)
typedef unsigned char lanes __attribute__((vector_size(16))); /* as all processors have them */

/* Between two places at most STRIDE apart. */
static unsigned long line_ends(const struct import *im, size_t from, size_t to)
{
    unsigned long n = 0;
    if (im->unit == 2) {
        for (size_t i = from; i + 1 < to; i += 2)
            n += im->bytes[i + im->big_endian] == '\n' && im->bytes[i + !im->big_endian] == 0;
        return n;
    }
    size_t i = from;
    lanes count = {0}; /* a lane sees at most STRIDE / sizeof(lanes) bytes: it cannot run over */
    for (; to - i >= sizeof(lanes); i += sizeof(lanes)) {
        lanes v;
        memcpy(&v, im->bytes + i, sizeof(v));
        count -= (lanes)(v == '\n'); /* true is -1 */
    }
    for (size_t k = 0; k < sizeof(lanes); k++)
        n += count[k];
    for (; i < to; i++)
        n += im->bytes[i] == '\n';
    return n;
}

static UINT32 *line_index(const struct import *im)
{
    size_t count = im->size / STRIDE + 1;
    UINT32 *index = malloc(count * sizeof(*index));
    UINT32 lines = 0;
    for (size_t i = 0; index != NULL && i < count; i++) {
        index[i] = lines;
        if (i + 1 < count)
            lines += (UINT32)line_ends(im, i * STRIDE, (i + 1) * STRIDE);
    }
    return index;
}

static unsigned long line_at(const struct import *im, const UINT32 *index, size_t at)
{
    size_t stride = at / STRIDE;
    return 1 + index[stride] + line_ends(im, stride * STRIDE, at);
}

int note_finish(struct import *im)
{
    struct policy *p = im->policy;
    struct note_entry **sorted = malloc((im->note_count + 1) * sizeof(struct note_entry *));
    p->notes = arena_alloc(&im->in->arena, (im->note_count + 1) * sizeof(struct policy_note));
    UINT32 *index = line_index(im);
    if (sorted == NULL || p->notes == NULL || index == NULL) {
        free(sorted);
        free(index);
        return -1;
    }
    size_t n = 0;
    for (struct note_entry *e = im->notes; e != NULL; e = e->next)
        sorted[n++] = e;
    qsort(sorted, n, sizeof(struct note_entry *), by_place);
    for (size_t i = 0; i < n; i++) {
        p->notes[i] = sorted[i]->note;
        if (sorted[i]->at != SIZE_MAX)
            p->notes[i].line = line_at(im, index, sorted[i]->at);
    }
    p->note_count = (UINT32)n;
    free(sorted);

    /* load.c left the offsets in `line` */
    for (UINT32 i = 0; i < p->counts.endpoints; i++)
        p->endpoints[i].line = line_at(im, index, p->endpoints[i].line);
    for (UINT32 i = 0; i < p->counts.sessions; i++)
        p->sessions[i].line = line_at(im, index, p->sessions[i].line);
    for (UINT32 i = 0; i < p->counts.net_events; i++)
        p->net_events[i].line = line_at(im, index, p->net_events[i].line);
    free(index);
    return 0;
}

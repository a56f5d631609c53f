/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rewrite_map: where in what is sent a position of the source has come to lie; and the bytes that are sent.
 *
 *      source  ----------a======b-----------     [a, b) was taken out, y - x bytes were put in:
 *                        |       \               one mark, (b, y), from a
 *      sent    ----------x========y---------
 *
 * Edits that touch one another are one: taking out a range and putting the same number of bytes in again later (out of
 * band) leaves no mark at all, because (b, y) then lies on the line that was there before. Within an edit the line goes
 * on and stops at y.
 *
 * Bytes stand in chunks, in order; they leave when the other end has acknowledged them, or, beyond rewrite_config.keep,
 * the oldest of those that were sent: a repetition of them cannot be answered.
 */
#include <stdlib.h>
#include <string.h>

#include "host/rewrite_inside.h"

#define CHUNK 4096u

/* ---- positions ------------------------------------------------------------------------------------------ */

void map_begin(struct rewrite_half *h)
{
    h->base = (struct rewrite_mark){.source = h->in, .sent = h->out, .from = UINT64_MAX};
    h->mark_count = 0;
    h->open = false;
}

void map_free(struct rewrite_half *h)
{
    free(h->marks);
    h->marks = NULL;
    h->mark_count = h->mark_room = 0;
}

static const struct rewrite_mark *mark(const struct rewrite_half *h, uint32_t i)
{
    return i == 0 ? &h->base : &h->marks[i - 1];
}

/* The first `count` marks after the base become part of what is behind us. */
static void drop_first(struct rewrite_half *h, uint32_t count)
{
    h->base = h->marks[count - 1];
    h->mark_count -= count;
    memmove(h->marks, h->marks + count, (size_t)h->mark_count * sizeof(*h->marks));
}

static bool make_room(struct rewrite *r, struct rewrite_half *h)
{
    const uint32_t most = r->config.marks;
    struct rewrite_mark *more;
    uint32_t room;

    if (h->mark_count < h->mark_room)
        return true;
    if (h->mark_room < most) {
        room = h->mark_room == 0 ? 4 : h->mark_room * 2;
        room = room < most ? room : most;
        more = realloc(h->marks, room * sizeof(*more));
        if (more != NULL) {
            h->marks = more;
            h->mark_room = room;
            return true;
        }
    }
    r->config.counts->forgotten++;
    if (h->mark_count == 0)
        return false;
    drop_first(h, 1);
    return true;
}

void map_go(struct rewrite_half *h, uint64_t size)
{
    if (size == 0)
        return;
    h->in += size;
    h->out += size;
    h->open = false;
}

void map_edit(struct rewrite *r, struct rewrite_half *h, uint32_t span, uint32_t size)
{
    struct rewrite_mark *m;
    const struct rewrite_mark *before;

    if (span == 0 && size == 0)
        return;
    if (!h->open) {
        if (!make_room(r, h)) { /* as if it had been so from the beginning */
            h->in += span;
            h->out += size;
            map_begin(h);
            return;
        }
        h->marks[h->mark_count++] = (struct rewrite_mark){h->in, h->out, h->in};
        h->open = true;
    }
    h->in += span;
    h->out += size;
    m = &h->marks[h->mark_count - 1];
    m->source = h->in;
    m->sent = h->out;
    before = mark(h, h->mark_count - 1);
    if (m->sent - before->sent == m->source - before->source) {
        h->mark_count--;
        h->open = false;
    }
}

/* The last mark at or before it (strictly: before it); 0: the base, even if it is behind that. */
static uint32_t find(const struct rewrite_half *h, uint64_t source, bool strictly)
{
    uint32_t low = 0, high = h->mark_count;

    while (low < high) {
        const uint32_t middle = low + (high - low + 1) / 2;
        const uint64_t there = mark(h, middle)->source;

        if (there < source || (!strictly && there == source))
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

static uint64_t on_line(const struct rewrite_half *h, uint32_t i, uint64_t source)
{
    const struct rewrite_mark *m = mark(h, i);
    const uint64_t most = i < h->mark_count ? mark(h, i + 1)->sent : h->out;
    uint64_t sent;

    if (source < m->source)
        return m->sent - (m->source - source);
    sent = m->sent + (source - m->source);
    return sent < most ? sent : most;
}

uint64_t map_start(const struct rewrite_half *h, uint64_t source)
{
    return on_line(h, find(h, source, true), source);
}

uint64_t map_end(const struct rewrite_half *h, uint64_t source)
{
    uint32_t i = find(h, source, false);
    const struct rewrite_mark *m = mark(h, i);

    if (i != 0 && m->source == source && m->from == source)
        i--; /* what was put in before it goes with what comes behind */
    return on_line(h, i, source);
}

void map_forget(struct rewrite_half *h, uint64_t source, uint64_t sent)
{
    uint32_t count = 0;

    while (count < h->mark_count && h->marks[count].source < source && h->marks[count].sent < sent &&
           !(h->open && count + 1 == h->mark_count))
        count++;
    if (count != 0)
        drop_first(h, count);
}

/* ---- bytes ---------------------------------------------------------------------------------------------- */

static void drop_chunk(struct rewrite_half *h)
{
    struct rewrite_chunk *c = h->first;

    h->first = c->next;
    if (h->first == NULL)
        h->last = NULL;
    if (h->cursor == c)
        h->cursor = NULL;
    h->kept -= c->room + sizeof(*c);
    free(c);
}

void bytes_free(struct rewrite_half *h)
{
    while (h->first != NULL)
        drop_chunk(h);
}

/* No more than rewrite_config.keep. */
static void keep_less(struct rewrite *r, struct rewrite_half *h, uint32_t size)
{
    while (h->first != NULL && h->kept + size > r->config.keep) {
        if (h->first->at + h->first->size > h->next) {
            h->force = true; /* not even sent: it goes, whatever the window says */
            return;
        }
        r->config.counts->evicted += h->first->size;
        drop_chunk(h);
    }
}

void bytes_put(struct rewrite *r, struct rewrite_half *h, const uint8_t *bytes, uint32_t size)
{
    struct rewrite_chunk *c = h->last;
    uint64_t at = h->out;

    keep_less(r, h, size);
    c = h->last;
    if (c != NULL && c->at + c->size == at && c->size < c->room) {
        const uint32_t some = size < c->room - c->size ? size : c->room - c->size;

        memcpy(c->bytes + c->size, bytes, some);
        c->size += some;
        bytes += some;
        size -= some;
        at += some;
    }
    if (size == 0)
        return;
    const uint32_t room = size < CHUNK ? CHUNK : size;
    c = malloc(sizeof(*c) + room);
    if (c == NULL) {
        r->config.counts->evicted += size;
        return;
    }
    *c = (struct rewrite_chunk){.at = at, .size = size, .room = room};
    memcpy(c->bytes, bytes, size);
    if (h->last != NULL)
        h->last->next = c;
    else
        h->first = c;
    h->last = c;
    h->kept += room + sizeof(*c);
}

/* The chunk that holds `at`, or the first one behind it. */
static struct rewrite_chunk *chunk_at(struct rewrite_half *h, uint64_t at)
{
    struct rewrite_chunk *c = h->cursor != NULL && h->cursor->at <= at ? h->cursor : h->first;

    while (c != NULL && c->at + c->size <= at)
        c = c->next;
    if (c != NULL && at >= h->next && c->at <= at)
        h->cursor = c;
    return c;
}

uint32_t bytes_at(struct rewrite_half *h, uint64_t at, uint32_t most, uint64_t *next)
{
    const struct rewrite_chunk *c = chunk_at(h, at);
    uint64_t end = at;

    *next = c == NULL ? UINT64_MAX : c->at > at ? c->at : at;
    while (c != NULL && c->at <= end && end - at < most) {
        end = c->at + c->size;
        c = c->next;
    }
    return end - at < most ? (uint32_t)(end - at) : most;
}

void bytes_copy(struct rewrite_half *h, uint64_t at, uint8_t *to, uint32_t size)
{
    const struct rewrite_chunk *c = chunk_at(h, at);

    while (size != 0 && c != NULL && c->at <= at) {
        const uint32_t from = (uint32_t)(at - c->at);
        const uint32_t some = size < c->size - from ? size : c->size - from;

        memcpy(to, c->bytes + from, some);
        to += some;
        at += some;
        size -= some;
        c = c->next;
    }
}

void bytes_forget(struct rewrite_half *h, uint64_t before)
{
    while (h->first != NULL && h->first->at + h->first->size <= before && h->first->next != NULL)
        drop_chunk(h);
    /* The last one has room for what comes: it begins anew instead of going. */
    if (h->first != NULL && h->first == h->last && h->first->at + h->first->size <= before) {
        if (h->first->at + h->first->size == h->out) {
            h->first->at = h->out;
            h->first->size = 0;
            h->cursor = NULL;
        } else {
            drop_chunk(h);
        }
    }
}

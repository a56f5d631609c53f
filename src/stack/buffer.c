/* SPDX-License-Identifier: Apache-2.0 */
/*
 * buffer: rings of bytes. A socket has two, made when they are first needed and doubled up to their limit.
 *
 *   head           head + used                      head + room
 *   |--- in order --|--- what came early, gaps -----|
 *
 * Datagrams are kept as records: a head with address and size, then the bytes.
 */
#include <stdlib.h>

#include "stack/internal.h"

enum { FIRST_ROOM = 2048 };

bool ring_reserve(struct ring *r, uint32_t bytes)
{
    uint32_t room = r->room != 0 ? r->room : FIRST_ROOM, first;
    uint8_t *more;

    if (bytes <= r->room)
        return true;
    if (bytes > r->limit)
        return false;
    while (room < bytes)
        room *= 2;
    if (room > r->limit)
        room = r->limit;
    more = malloc(room);
    if (more == NULL)
        return false;
    first = r->room - r->head; /* all of it: what came early too */
    if (r->room != 0) {
        memcpy(more, r->bytes + r->head, first);
        memcpy(more + first, r->bytes, r->head);
    }
    free(r->bytes);
    r->bytes = more;
    r->head = 0;
    r->room = room;
    return true;
}

static uint32_t place(const struct ring *r, uint32_t at)
{
    uint64_t p = (uint64_t)r->head + at;

    return (uint32_t)(p >= r->room ? p - r->room : p);
}

void ring_write(struct ring *r, uint32_t at, const uint8_t *from, uint32_t size)
{
    uint32_t p = place(r, at), first;

    if (size == 0)
        return;
    first = r->room - p < size ? r->room - p : size;
    memcpy(r->bytes + p, from, first);
    memcpy(r->bytes, from + first, size - first);
}

void ring_read(const struct ring *r, uint32_t at, uint8_t *out, uint32_t size)
{
    uint32_t p = place(r, at), first;

    if (size == 0)
        return;
    first = r->room - p < size ? r->room - p : size;
    memcpy(out, r->bytes + p, first);
    memcpy(out + first, r->bytes, size - first);
}

void ring_skip(struct ring *r, uint32_t size)
{
    r->head = r->room != 0 ? place(r, size) : 0;
    r->used -= size;
}

void ring_free(struct ring *r)
{
    free(r->bytes);
    r->bytes = NULL;
    r->head = r->used = r->room = 0;
}

bool record_push(struct ring *r, const struct record *head, const uint8_t *bytes)
{
    if (head->size > r->limit || !ring_reserve(r, r->used + (uint32_t)sizeof(*head) + head->size))
        return false;
    ring_write(r, r->used, (const uint8_t *)head, sizeof(*head));
    ring_write(r, r->used + (uint32_t)sizeof(*head), bytes, head->size);
    r->used += (uint32_t)sizeof(*head) + head->size;
    return true;
}

bool record_peek(const struct ring *r, struct record *head)
{
    if (r->used == 0)
        return false;
    ring_read(r, 0, (uint8_t *)head, sizeof(*head));
    return true;
}

uint32_t record_pop(struct ring *r, struct record *head, uint8_t *out, uint32_t size)
{
    if (!record_peek(r, head))
        return 0;
    if (size > head->size)
        size = head->size;
    ring_read(r, (uint32_t)sizeof(*head), out, size);
    ring_skip(r, (uint32_t)sizeof(*head) + head->size);
    return size;
}

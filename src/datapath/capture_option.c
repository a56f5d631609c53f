/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pcapng's options: code 2, size 2, value, padding to 4; code 0 ends them, as does the end of their block.
 *
 * The writer writes in this machine's byte order. Where the input has the other one, numbers inside values
 * are turned, for which their place must be known: options that nobody described are left out then.
 */
#include <string.h>

#include "capture_inside.h"

int option_next(struct option_walk *w, struct option *out)
{
    const uint8_t *b = cursor_peek(&w->c, 4);

    if (b == NULL)
        return w->c.at == w->c.length ? 0 : -1;
    out->code = get16(b, w->swapped);
    out->size = get16(b + 2, w->swapped);
    if (out->code == OPTION_END) {
        w->c.at = w->c.length;
        return 0;
    }
    b = cursor_peek(&w->c, (uint32_t)option_room(out->size));
    if (b == NULL)
        return -1;
    out->value = b + 4;
    cursor_skip(&w->c, (uint32_t)option_room(out->size));
    return 1;
}

uint8_t *option_put(uint8_t *out, uint16_t code, const void *value, size_t size)
{
    put16(out, code);
    put16(out + 2, (uint16_t)size);
    if (size != 0)
        memcpy(out + 4, value, size);
    memset(out + 4 + size, 0, option_room(size) - 4 - size);
    return out + option_room(size);
}

/* How an option's value is made up: of numbers of `width` bytes (1: as it stands), after the first `head`
 * bytes, which are one number of 4 where that is 4. Width 0: unknown. */
struct shape {
    uint8_t width, head;
};

static struct shape shape_of(enum option_kind kind, uint16_t code)
{
    static const uint8_t interface_width[19] = {
        [1] = 1,  [2] = 1,  [3] = 1,  [4] = 1,  [5] = 1,  [6] = 1,  [7] = 1,  [8] = 8,  [9] = 1,
        [10] = 4, [11] = 1, [12] = 1, [13] = 1, [14] = 8, [15] = 1, [16] = 8, [17] = 8, [18] = 1,
    };
    static const uint8_t packet_width[9] = {
        [1] = 1, [2] = 4, [3] = 1, [4] = 8, [5] = 8, [6] = 4, [8] = 4,
    };

    switch (code) {
    case OPTION_CUSTOM_TEXT:
    case OPTION_CUSTOM_BYTES:
    case OPTION_CUSTOM_TEXT_STAYS:
    case OPTION_CUSTOM_BYTES_STAYS:
        return (struct shape){1, 4};
    }
    switch (kind) {
    case OPTIONS_OF_INTERFACE:
        return (struct shape){code < sizeof(interface_width) ? interface_width[code] : 0, 0};
    case OPTIONS_OF_PACKET:
        if (code >= OPTION_PACKET_DARWIN_FIRST && code <= OPTION_PACKET_DARWIN_LAST)
            return (struct shape){4, 0};
        if (code == OPTION_PACKET_VERDICT)
            return (struct shape){8, 1};
        return (struct shape){code < sizeof(packet_width) ? packet_width[code] : 0, 0};
    case OPTIONS_OF_PROCESS:
        return (struct shape){code <= 4, 0};
    }
    return (struct shape){0, 0};
}

/* Turns `size` bytes of numbers of `width` bytes each. */
static void turn(uint8_t *p, size_t size, size_t width)
{
    for (; size >= width; p += width, size -= width)
        for (size_t i = 0; i < width / 2; i++) {
            uint8_t t = p[i];
            p[i] = p[width - 1 - i];
            p[width - 1 - i] = t;
        }
}

uint8_t *option_copy(uint8_t *out, enum option_kind kind, const struct option *o, bool swapped)
{
    struct shape s = shape_of(kind, o->code);

    if (swapped && (s.width == 0 || s.head > o->size || (o->size - s.head) % s.width != 0))
        return out;
    uint8_t *end = option_put(out, o->code, o->value, o->size);
    if (swapped) {
        turn(out + 4, s.head, s.head < 2 ? 2 : s.head);
        turn(out + 4 + s.head, (size_t)(o->size - s.head), s.width);
    }
    return end;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* text: one text for another (text.h). */
#include "text.h"

void text_read(struct text_change *change, HANDLE parameters)
{
    change->find_size = parameter_text(parameters, L"Find", change->find, sizeof change->find);
    change->replace_size = parameter_text(parameters, L"Replace", change->replace, sizeof change->replace);
}

/* From `at` on, where it may begin: its first byte; size: nowhere. Most of all data are passed over here. */
static ULONG candidate(const struct text_change *change, const UCHAR *data, ULONG at, ULONG size)
{
    const UCHAR first = (UCHAR)change->find[0];

    while (at < size && data[at] != first)
        at++;
    return at;
}

static BOOLEAN is_at(const struct text_change *change, const UCHAR *data, ULONG size)
{
    return (BOOLEAN)(change->find_size != 0 && size >= change->find_size &&
                     RtlEqualMemory(data, change->find, change->find_size));
}

ULONG text_count(const struct text_change *change, const UCHAR *data, ULONG size)
{
    ULONG count = 0;

    for (ULONG at = 0; at < size;) {
        BOOLEAN found = is_at(change, data + at, size - at);

        count += found;
        at += found ? change->find_size : 1;
    }
    return count;
}

ULONG text_first(const struct text_change *change, const UCHAR *data, ULONG size, BOOLEAN *whole)
{
    for (ULONG at = 0; at < size && change->find_size != 0; at++) {
        ULONG left;

        at = candidate(change, data, at, size);
        if (at == size)
            break;
        left = size - at < change->find_size ? size - at : change->find_size;

        if (RtlEqualMemory(data + at, change->find, left)) {
            *whole = (BOOLEAN)(left == change->find_size);
            return at;
        }
    }
    *whole = FALSE;
    return size;
}

ULONG text_apply(const struct text_change *change, const UCHAR *from, ULONG size, UCHAR *to)
{
    ULONG written = 0;

    for (ULONG at = 0; at < size;) {
        const ULONG next = change->find_size != 0 ? candidate(change, from, at + 1, size) : size;

        if (is_at(change, from + at, size - at)) {
            RtlCopyMemory(to + written, change->replace, change->replace_size);
            written += change->replace_size;
            at += change->find_size;
        } else {
            RtlMoveMemory(to + written, from + at, next - at); /* `to` may be `from` */
            written += next - at;
            at = next;
        }
    }
    return written;
}

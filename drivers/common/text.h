/* SPDX-License-Identifier: Apache-2.0 */
/* text: what the drivers that modify payloads look for and put in its place: the parameters Find and Replace.
 */
#ifndef TEXT_H
#define TEXT_H

#include "parameters.h"

struct text_change {
    CHAR find[128], replace[128];
    ULONG find_size, replace_size; /* find_size 0: nothing is changed */
};

/* PASSIVE_LEVEL. */
void text_read(struct text_change *change, HANDLE parameters);

/* How often `find` is there, without overlapping. Any IRQL, as below. */
ULONG text_count(const struct text_change *change, const UCHAR *data, ULONG size);

/* Where `find` begins first: whole, or cut off by the end of the data; size: nowhere. */
ULONG text_first(const struct text_change *change, const UCHAR *data, ULONG size, BOOLEAN *whole);

/* The data with each occurrence replaced; `to` has room for size + count * (replace_size - find_size) bytes
 * and may be `from` if both texts are of one size. Returns how many bytes it wrote. */
ULONG text_apply(const struct text_change *change, const UCHAR *from, ULONG size, UCHAR *to);

#endif

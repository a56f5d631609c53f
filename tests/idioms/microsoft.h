/* SPDX-License-Identifier: Apache-2.0 */
/* Inline functions as drivers' headers have them: in two files each, with and without `static`. */
#ifndef MICROSOFT_H
#define MICROSOFT_H

int common; /* in two files: one */

__inline int shared_inline(int n)
{
    return n * 2;
}

__forceinline int forced(int n)
{
    return n * 3;
}

FORCEINLINE int forced_by_macro(int n)
{
    return n * 5;
}

static FORCEINLINE int forced_for_one(int n)
{
    return n * 7;
}

FORCEINLINE static int forced_for_another(int n)
{
    return n * 11;
}

int other_file(int n);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
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

int other_file(int n);

#endif

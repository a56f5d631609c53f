/* SPDX-License-Identifier: Apache-2.0 */
#include <ntddk.h>

#include "microsoft.h"

int other_file(int n)
{
    int (*at)(int) = shared_inline;

    common++;
    return at(n);
}

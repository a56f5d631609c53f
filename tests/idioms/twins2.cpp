/* SPDX-License-Identifier: Apache-2.0 */
// The other half of twins.cpp.
extern "C" {
#include <ntddk.h>
}

ULONG elsewhere(ULONG n);

inline ULONG elsewhere(ULONG n)
{
    return n + 1;
}

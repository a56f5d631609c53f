/* SPDX-License-Identifier: Apache-2.0 */
/* stream: reading what a classify at the stream layer indicates, where it lies. Up to DISPATCH_LEVEL. */
#ifndef STREAM_H
#define STREAM_H

#include "kernel.h"

/* Shows each piece of the data, in order; a visit that returns FALSE is the last. STATUS_INSUFFICIENT_RESOURCES: a piece
 * could not be mapped, and those behind it were not shown. */
NTSTATUS stream_visit(const FWPS_STREAM_DATA *data,
                      BOOLEAN (*visit)(void *context, const UCHAR *bytes, ULONG size), void *context);

#endif

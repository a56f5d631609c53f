/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Room on the disk, asked for ahead of what is written: pages that go where blocks are already theirs cost the file system
 * less than pages for each of which it promises one (ext4: a sixth of a large write's time).
 *
 *   |  written  |  reserved  |           the file's size is what is written; what stays over is given back at the end
 *
 * Only a hint: where the file system cannot, or has not enough, nothing is asked for again and writing goes on without.
 * A file that stays small never asks.
 */
#include <fcntl.h>
#include <unistd.h>

#include "capture_inside.h"

#define RESERVE_FROM ((uint64_t)1 << 20)  /* files below are written without */
#define RESERVE_MOST ((uint64_t)64 << 20) /* at a time; else as much again as is written */

void reserve_for(struct reserve *r, int fd, uint64_t written, uint64_t size)
{
    const uint64_t end = written + size, more = end < RESERVE_MOST ? end : RESERVE_MOST;

    if (end <= r->end || end < RESERVE_FROM || r->over)
        return;
    if (fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)written, (off_t)(size + more)) == 0)
        r->end = end + more;
    else
        r->over = true;
}

void reserve_end(struct reserve *r, int fd, uint64_t written)
{
    if (r->end > written && ftruncate(fd, (off_t)written) != 0) {
        /* it keeps blocks that it does not need; its bytes and its size are right */
    }
    r->end = 0;
    r->over = true;
}

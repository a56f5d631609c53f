/* SPDX-License-Identifier: Apache-2.0 */
/* errno.h: the numbers that the checked string functions return. */
#ifndef WEIR_WDK_CRT_ERRNO_H
#define WEIR_WDK_CRT_ERRNO_H

typedef int errno_t;

#define EPERM     1
#define ENOENT    2
#define EINTR     4
#define EIO       5
#define EBADF     9
#define EAGAIN    11
#define ENOMEM    12
#define EACCES    13
#define EFAULT    14
#define EBUSY     16
#define EEXIST    17
#define EINVAL    22
#define ENOSPC    28
#define EDOM      33
#define ERANGE    34
#define EILSEQ    42
#define STRUNCATE 80

#endif

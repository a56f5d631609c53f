/* SPDX-License-Identifier: Apache-2.0 */
/* What a test without Weir writes before its first line: of each function that doorman calls, one that does as little as the
 * tests need (mocks.c). */
#ifndef MOCKS_H
#define MOCKS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <ntddk.h>
#include <fwpsk.h>
#include <fwpmk.h>

struct mocks {
    DRIVER_OBJECT driver;
    FWPS_CALLOUT registered;
    KDPC *due;                   /* a timer's, that is set */
    unsigned calls, fail;        /* of those that can fail; the one that does, 0: none */
    int pended, completed;       /* operations */
    int pool, devices, sessions; /* that are open */
};
extern struct mocks mocks;

NTSTATUS mocks_load(void);
FWPS_CLASSIFY_OUT mocks_classify(UINT16 port, UINT32 flags);
void mocks_expire(void); /* the timer, if one is set */

#endif

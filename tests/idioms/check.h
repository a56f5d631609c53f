/* SPDX-License-Identifier: Apache-2.0 */
/* For drivers that check themselves: DriverEntry fails, and says where, if anything is not as on Windows. */
#ifndef CHECK_H
#define CHECK_H

static NTSTATUS checked;

#define CHECK(e)                                                                                             \
    do {                                                                                                     \
        if (!(e)) {                                                                                          \
            DbgPrint("line %d: %s\n", __LINE__, #e);                                                         \
            checked = STATUS_UNSUCCESSFUL;                                                                   \
        }                                                                                                    \
    } while (0)

#endif

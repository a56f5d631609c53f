/* SPDX-License-Identifier: Apache-2.0 */
// What Microsoft's compiler lets pass: a member of an anonymous struct with a name that the struct around has already (the
// outer one is meant), and an inline function of another source (twins2.cpp).
extern "C" {
#include <ntddk.h>
}

#include "check.h"

extern "C" DRIVER_INITIALIZE DriverEntry;
extern "C" DRIVER_UNLOAD Unload;

struct HEADER {
    union {
        UINT8 type;
        struct {
            UINT8 low : 2;
            UINT8 type : 6;
        };
    };
    struct {
        UINT8 length;
        UINT8 type;
    } inner; /* its own names */
    UINT8 rest[2], last;
};

ULONG elsewhere(ULONG n);

extern "C" void NTAPI Unload(DRIVER_OBJECT *)
{
}

extern "C" NTSTATUS NTAPI DriverEntry(DRIVER_OBJECT *driver, UNICODE_STRING *)
{
    HEADER h = {};

    driver->DriverUnload = Unload;
    h.type = 0xff;
    h.inner.type = 1;
    CHECK(h.type == 0xff);
    CHECK(h.low == 3);
    CHECK(sizeof h == 6);
    CHECK(elsewhere(4) == 5);
    return checked;
}

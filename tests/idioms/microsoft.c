/* SPDX-License-Identifier: Apache-2.0 */
/* What only Microsoft's compiler has: declspecs, literals' suffixes, inline functions in two files, casts as
 * lvalues. */
#include <ntddk.h>
#pragma warning(push)
#pragma warning(disable : 4201 4214)
#include <pshpack1.h>
typedef struct _PACKED {
    UCHAR a;
    ULONG b;
    USHORT c;
} PACKED;
#include <poppack.h>
#pragma warning(pop)

#include "check.h"
#include "microsoft.h"

DRIVER_INITIALIZE DriverEntry;
DRIVER_UNLOAD Unload;

#ifdef ALLOC_PRAGMA
#pragma alloc_text(INIT, DriverEntry)
#pragma alloc_text(PAGE, Unload)
#endif

typedef struct _BITS {
    UCHAR one : 4;
    ULONG two : 4; /* another type: another unit */
    ULONG three : 28;
} BITS;

typedef __declspec(align(64)) struct _LINE {
    ULONG value;
} LINE;
typedef struct __declspec(align(32)) _HALF {
    unsigned __int64 value;
} HALF;

enum small : UCHAR { SMALL_ONE = 1, SMALL_TWO };

__declspec(selectany) int picked = 5;
static __declspec(noinline) int __cdecl apart(int n)
{
    return n + 1;
}

typedef struct _TASKS {
    ULONG pending;
} TASKS;

VOID Unload(_In_ PDRIVER_OBJECT object)
{
    PAGED_CODE();
    UNREFERENCED_PARAMETER(object);
}

NTSTATUS DriverEntry(_In_ PDRIVER_OBJECT object, _In_ PUNICODE_STRING path)
{
    static const char where[] = "in " __FUNCTION__ "()";
    __int64 big = 0x7fffffffffffffffi64;
    TASKS tasks = {0}, *t = &tasks;
    ULONG tag = 'kcaP';

    UNREFERENCED_PARAMETER(path);
    CHECK(sizeof(PACKED) == 7 && FIELD_OFFSET(PACKED, b) == 1);
    CHECK(sizeof(BITS) == 8);
    CHECK(__alignof(LINE) == 64 || sizeof(LINE) >= 4);
    CHECK(__alignof(HALF) == 32);
    CHECK(SMALL_TWO == 2);
    CHECK(big + 1i64 < big || big > 0);
    CHECK(sizeof(where) == sizeof("in DriverEntry()"));
    CHECK(InterlockedIncrement(&(LONG)t->pending) == 1 && tasks.pending == 1);
    CHECK(tag == 0x6b636150);
    CHECK(shared_inline(2) == 4 && forced(2) == 6 && other_file(2) == 4);
    CHECK(forced_by_macro(2) == 10 && forced_for_one(2) == 14 && forced_for_another(2) == 22);
    CHECK(apart(picked) == 6);
    __noop(never_declared(1));
    __assume(object != NULL);
    object->DriverUnload = Unload;
    return checked;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Bitmaps, and tables that splay: what drivers that hand out numbers and keep sorted lists use. */
#include <ntddk.h>

#include "check.h"

DRIVER_INITIALIZE DriverEntry;
DRIVER_UNLOAD Unload;

#define NONE 0xFFFFFFFF
#define BITS 100

VOID Unload(_In_ PDRIVER_OBJECT object)
{
    UNREFERENCED_PARAMETER(object);
}

static void bitmaps(void)
{
    ULONG words[(BITS + 31) / 32 + 1], start = 0;
    RTL_BITMAP map;

    words[4] = 0x5a5a5a5a; /* behind it */
    RtlInitializeBitMap(&map, words, BITS);
    RtlClearAllBits(&map);
    CHECK(RtlNumberOfClearBits(&map) == BITS && RtlNumberOfSetBits(&map) == 0);
    RtlSetBits(&map, 30, 5); /* over the end of a word */
    CHECK(words[0] == 0xC0000000 && words[1] == 7);
    CHECK(RtlNumberOfSetBits(&map) == 5 && RtlTestBit(&map, 34) && !RtlTestBit(&map, 35));
    CHECK(RtlAreBitsSet(&map, 30, 5) && !RtlAreBitsSet(&map, 30, 6) && RtlAreBitsClear(&map, 35, 65));
    CHECK(!RtlAreBitsClear(&map, 35, 66)); /* over the end of the map */
    CHECK(RtlFindClearBits(&map, 31, 0) == 35 && RtlFindClearBits(&map, 30, 0) == 0);
    CHECK(RtlFindClearBits(&map, 66, 0) == NONE);
    CHECK(RtlFindSetBits(&map, 5, 50) == 30); /* from the hint to the end, then from the start */
    CHECK(RtlFindClearBitsAndSet(&map, 60, 40) == 40 && RtlNumberOfSetBits(&map) == 65);
    CHECK(RtlFindClearBitsAndSet(&map, 6, 0) == 0 && RtlFindSetBitsAndClear(&map, 6, 0) == 0);
    RtlClearBits(&map, 40, 60);
    RtlClearBit(&map, 31);
    RtlSetBit(&map, 99);
    CHECK(RtlNumberOfSetBits(&map) == 5 && RtlCheckBit(&map, 99) == 1 && RtlCheckBit(&map, 31) == 0);
    CHECK(RtlFindNextForwardRunClear(&map, 30, &start) == 1 && start == 31);
    CHECK(RtlFindFirstRunClear(&map, &start) == 30 && start == 0);
    RtlSetAllBits(&map);
    CHECK(RtlNumberOfSetBits(&map) == BITS && RtlFindClearBits(&map, 1, 0) == NONE);
    CHECK(words[4] == 0x5a5a5a5a);
    CHECK(RtlFindMostSignificantBit(0x8001) == 15 && RtlFindLeastSignificantBit(0x8000) == 15 &&
          RtlFindLeastSignificantBit(0) == -1);
}

/* ---- a table of numbers ---------------------------------------------------------------------------------- */

struct item {
    ULONG key;
    ULONG value;
};

static LONG live;

static RTL_GENERIC_COMPARE_ROUTINE compare;
static RTL_GENERIC_COMPARE_RESULTS NTAPI compare(PRTL_GENERIC_TABLE table, PVOID first, PVOID second)
{
    const struct item *a = first, *b = second;

    UNREFERENCED_PARAMETER(table);
    return a->key < b->key ? GenericLessThan : a->key > b->key ? GenericGreaterThan : GenericEqual;
}

static RTL_GENERIC_ALLOCATE_ROUTINE allocate;
static PVOID NTAPI allocate(PRTL_GENERIC_TABLE table, CLONG size)
{
    CHECK(table->TableContext == &live);
    live++;
    return ExAllocatePool2(POOL_FLAG_NON_PAGED, size, 'lbaT');
}

static RTL_GENERIC_FREE_ROUTINE release;
static VOID NTAPI release(PRTL_GENERIC_TABLE table, PVOID buffer)
{
    UNREFERENCED_PARAMETER(table);
    live--;
    ExFreePoolWithTag(buffer, 'lbaT');
}

static void tables(void)
{
    RTL_GENERIC_TABLE table;
    struct item one, *found;
    PVOID restart = NULL;
    BOOLEAN fresh;
    ULONG last = 0, count = 0;

    RtlInitializeGenericTable(&table, compare, allocate, release, &live);
    CHECK(RtlIsGenericTableEmpty(&table));
    for (ULONG i = 0; i < 100; i++) {
        one.key = i * 37 % 101; /* all different */
        one.value = i;
        found = RtlInsertElementGenericTable(&table, &one, sizeof(one), &fresh);
        CHECK(found != NULL && fresh && found->value == i);
    }
    one.key = 37;
    one.value = 1000;
    found = RtlInsertElementGenericTable(&table, &one, sizeof(one), &fresh);
    CHECK(found != NULL && !fresh && found->value == 1); /* the old one stays */
    CHECK(RtlNumberGenericTableElements(&table) == 100 && live == 100);
    for (found = RtlEnumerateGenericTableWithoutSplaying(&table, &restart); found != NULL;
         found = RtlEnumerateGenericTableWithoutSplaying(&table, &restart)) {
        CHECK(count == 0 || found->key > last);
        last = found->key;
        count++;
    }
    CHECK(count == 100);
    count = 0;
    for (found = RtlEnumerateGenericTable(&table, TRUE); found != NULL;
         found = RtlEnumerateGenericTable(&table, FALSE))
        count++;
    CHECK(count == 100);
    found = RtlGetElementGenericTable(&table, 0);
    CHECK(found != NULL && found->key == 0);
    CHECK(RtlGetElementGenericTable(&table, 100) == NULL);
    one.key = 64; /* 99 * 37 % 101 is 27; 100 * 37 % 101 = 64 was never put in */
    CHECK(RtlLookupElementGenericTable(&table, &one) == NULL && !RtlDeleteElementGenericTable(&table, &one));
    while ((found = RtlGetElementGenericTable(&table, 0)) != NULL)
        CHECK(RtlDeleteElementGenericTable(&table, found));
    CHECK(live == 0 && RtlIsGenericTableEmpty(&table));
}

NTSTATUS DriverEntry(_In_ PDRIVER_OBJECT object, _In_ PUNICODE_STRING path)
{
    UNREFERENCED_PARAMETER(path);
    bitmaps();
    tables();
    object->DriverUnload = Unload;
    return checked;
}

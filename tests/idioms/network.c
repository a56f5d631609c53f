/* SPDX-License-Identifier: Apache-2.0 */
/* NDIS' own names for memory, locks, events and time. */
#include <ntddk.h>

#include <ndis.h>

#include "check.h"

DRIVER_INITIALIZE DriverEntry;
DRIVER_UNLOAD Unload;

#define TAG 'sidN'

static struct {
    NDIS_SPIN_LOCK spin;
    PNDIS_RW_LOCK_EX lock;
    NDIS_EVENT ready, go;
    LONG readers, most, writers, both;
} shared;

VOID Unload(_In_ PDRIVER_OBJECT object)
{
    UNREFERENCED_PARAMETER(object);
}

static void memory(void)
{
    PUCHAR block = NdisAllocateMemoryWithTagPriority(NULL, 64, TAG, NormalPoolPriority), other;
    PVOID old = NULL;

    CHECK(block != NULL);
    NdisFillMemory(block, 64, 0x11);
    CHECK(NdisAllocateMemoryWithTag(&old, 64, TAG) == NDIS_STATUS_SUCCESS);
    other = old;
    NdisZeroMemory(other, 64);
    CHECK(!NdisEqualMemory(block, other, 64));
    NdisMoveMemory(other, block, 64);
    CHECK(NdisEqualMemory(block, other, 64) && other[63] == 0x11);
    NdisFreeMemory(other, 64, 0);
    NdisFreeMemoryWithTagPriority(NULL, block, TAG);
}

static void spin_locks(void)
{
    NdisAllocateSpinLock(&shared.spin);
    NdisAcquireSpinLock(&shared.spin);
    CHECK(KeGetCurrentIrql() == DISPATCH_LEVEL);
    NdisReleaseSpinLock(&shared.spin);
    CHECK(KeGetCurrentIrql() == PASSIVE_LEVEL);
    NdisFreeSpinLock(&shared.spin);
}

static KSTART_ROUTINE reads;
static VOID NTAPI reads(PVOID context)
{
    LOCK_STATE_EX state, again;

    UNREFERENCED_PARAMETER(context);
    for (int i = 0; i < 20; i++) {
        NdisAcquireRWLockRead(shared.lock, &state, 0);
        CHECK(KeGetCurrentIrql() == DISPATCH_LEVEL);
        NdisAcquireRWLockRead(shared.lock, &again,
                              NDIS_RWL_AT_DISPATCH_LEVEL); /* who has it may have it again */
        if (shared.writers != 0)
            shared.both++;
        NdisReleaseRWLock(shared.lock, &again);
        NdisReleaseRWLock(shared.lock, &state);
        CHECK(KeGetCurrentIrql() == PASSIVE_LEVEL);
    }
    PsTerminateSystemThread(STATUS_SUCCESS);
}

static KSTART_ROUTINE writes;
static VOID NTAPI writes(PVOID context)
{
    LOCK_STATE_EX state;

    UNREFERENCED_PARAMETER(context);
    for (int i = 0; i < 20; i++) {
        NdisAcquireRWLockWrite(shared.lock, &state, 0);
        if (InterlockedIncrement(&shared.writers) != 1)
            shared.both++;
        InterlockedDecrement(&shared.writers);
        NdisReleaseRWLock(shared.lock, &state);
    }
    PsTerminateSystemThread(STATUS_SUCCESS);
}

static void read_write_locks(void)
{
    PKTHREAD threads[4];

    shared.lock = NdisAllocateRWLock(NULL);
    CHECK(shared.lock != NULL);
    for (int i = 0; i < 4; i++) {
        HANDLE handle;

        CHECK(NT_SUCCESS(PsCreateSystemThread(&handle, THREAD_ALL_ACCESS, NULL, NULL, NULL,
                                              i < 2 ? reads : writes, NULL)));
        CHECK(NT_SUCCESS(ObReferenceObjectByHandle(handle, THREAD_ALL_ACCESS, *PsThreadType, KernelMode,
                                                   (PVOID *)&threads[i], NULL)));
        ZwClose(handle);
    }
    for (int i = 0; i < 4; i++) {
        KeWaitForSingleObject(threads[i], Executive, KernelMode, FALSE, NULL);
        ObDereferenceObject(threads[i]);
    }
    CHECK(shared.both == 0);
    NdisFreeRWLock(shared.lock);
}

static KSTART_ROUTINE sets;
static VOID NTAPI sets(PVOID context)
{
    UNREFERENCED_PARAMETER(context);
    CHECK(NdisWaitEvent(&shared.go, 0));
    NdisMSleep(5000); /* microseconds */
    NdisSetEvent(&shared.ready);
    PsTerminateSystemThread(STATUS_SUCCESS);
}

static void events(void)
{
    LARGE_INTEGER before, after;
    PKTHREAD thread;
    HANDLE handle;

    NdisInitializeEvent(&shared.ready);
    NdisInitializeEvent(&shared.go);
    NdisGetCurrentSystemTime(&before);
    CHECK(!NdisWaitEvent(&shared.ready, 20)); /* milliseconds */
    NdisGetCurrentSystemTime(&after);
    CHECK(after.QuadPart - before.QuadPart >= 200000 && after.QuadPart - before.QuadPart < 210000);
    CHECK(NT_SUCCESS(PsCreateSystemThread(&handle, THREAD_ALL_ACCESS, NULL, NULL, NULL, sets, NULL)));
    CHECK(NT_SUCCESS(ObReferenceObjectByHandle(handle, THREAD_ALL_ACCESS, *PsThreadType, KernelMode,
                                               (PVOID *)&thread, NULL)));
    ZwClose(handle);
    NdisSetEvent(&shared.go);
    CHECK(NdisWaitEvent(&shared.ready, 1000));
    CHECK(NdisWaitEvent(&shared.ready, 1)); /* it stays set */
    NdisResetEvent(&shared.ready);
    CHECK(!NdisWaitEvent(&shared.ready, 1));
    KeWaitForSingleObject(thread, Executive, KernelMode, FALSE, NULL);
    ObDereferenceObject(thread);
}

NTSTATUS DriverEntry(_In_ PDRIVER_OBJECT object, _In_ PUNICODE_STRING path)
{
    UNREFERENCED_PARAMETER(path);
    memory();
    spin_locks();
    read_write_locks();
    events();
    object->DriverUnload = Unload;
    return checked;
}

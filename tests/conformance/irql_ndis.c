/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IRQL: NDIS' functions at the levels that they are documented for, and at the next: there the first finding names the
 * function. (irql_kernel.c does the same for the kernel's, irql_calls.c for the platform's.)
 */
#include "nt_lab.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ndis.h"

#define TAG     0x6c727149u
#define HIGHEST 15 /* of a function that has no highest level */

/* What the calls act on: made anew for each. */
static struct things {
    NDIS_HANDLE lists, buffers;
    NET_BUFFER_LIST *nbl, *other;
    NET_BUFFER *nb;
    MDL *mdl;
    UCHAR bytes[256];
    NDIS_SPIN_LOCK lock;
    NDIS_EVENT event;
    PNDIS_RW_LOCK_EX rw;
    LOCK_STATE_EX state;
} T;

/* A call, and what takes it back; at the level that it is called at. */
#define CALL(name, ...)                                                                                      \
    static void call_##name(void)                                                                            \
    {                                                                                                        \
        __VA_ARGS__;                                                                                         \
    }

static const NET_BUFFER_LIST_POOL_PARAMETERS list_parameters = {
    .Header = {NDIS_OBJECT_TYPE_DEFAULT, NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1,
               NDIS_SIZEOF_NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1},
    .fAllocateNetBuffer = TRUE,
    .PoolTag = TAG,
};
static const NET_BUFFER_POOL_PARAMETERS buffer_parameters = {
    .Header = {NDIS_OBJECT_TYPE_DEFAULT, NET_BUFFER_POOL_PARAMETERS_REVISION_1,
               NDIS_SIZEOF_NET_BUFFER_POOL_PARAMETERS_REVISION_1},
    .PoolTag = TAG,
};

CALL(NdisAllocateNetBufferListPool,
     NdisFreeNetBufferListPool(NdisAllocateNetBufferListPool(NULL, &list_parameters)))
CALL(NdisAllocateNetBufferPool, NdisFreeNetBufferPool(NdisAllocateNetBufferPool(NULL, &buffer_parameters)))
CALL(NdisGetPoolFromNetBufferList, (void)NdisGetPoolFromNetBufferList(T.nbl))
CALL(NdisGetPoolFromNetBuffer, (void)NdisGetPoolFromNetBuffer(T.nb))
CALL(NdisAllocateNetBuffer, NdisFreeNetBuffer(NdisAllocateNetBuffer(T.buffers, T.mdl, 0, 10)))
CALL(NdisAllocateNetBufferAndNetBufferList,
     NdisFreeNetBufferList(NdisAllocateNetBufferAndNetBufferList(T.lists, 0, 0, T.mdl, 0, 10)))
CALL(NdisAllocateNetBufferList, NdisFreeNetBufferList(NdisAllocateNetBufferList(T.lists, 0, 0)))
CALL(NdisAllocateCloneNetBufferList,
     NdisFreeCloneNetBufferList(NdisAllocateCloneNetBufferList(T.nbl, T.lists, T.buffers, 0), 0))
CALL(NdisRetreatNetBufferDataStart, (void)NdisRetreatNetBufferDataStart(T.nb, 4, 0, NULL);
     NdisAdvanceNetBufferDataStart(T.nb, 4, TRUE, NULL))
CALL(NdisAdvanceNetBufferDataStart, NdisAdvanceNetBufferDataStart(T.nb, 4, FALSE, NULL))
CALL(NdisRetreatNetBufferListDataStart, (void)NdisRetreatNetBufferListDataStart(T.nbl, 4, 0, NULL, NULL);
     NdisAdvanceNetBufferListDataStart(T.nbl, 4, TRUE, NULL))
CALL(NdisAdvanceNetBufferListDataStart, NdisAdvanceNetBufferListDataStart(T.nbl, 4, FALSE, NULL))
CALL(NdisGetDataBuffer, (void)NdisGetDataBuffer(T.nb, 4, NULL, 1, 0))
CALL(NdisCopyFromNetBufferToNetBuffer, ULONG n;
     (void)NdisCopyFromNetBufferToNetBuffer(T.nb, 0, 4, NET_BUFFER_LIST_FIRST_NB(T.other), 0, &n))
CALL(NdisQueryNetBufferPhysicalCount, (void)NdisQueryNetBufferPhysicalCount(T.nb))
CALL(NdisAllocateNetBufferListContext, (void)NdisAllocateNetBufferListContext(T.nbl, 16, 0, TAG);
     NdisFreeNetBufferListContext(T.nbl, 16))
CALL(NdisCopySendNetBufferListInfo, NdisCopySendNetBufferListInfo(T.other, T.nbl))
CALL(NdisCopyReceiveNetBufferListInfo, NdisCopyReceiveNetBufferListInfo(T.other, T.nbl))
CALL(NdisAllocateMdl, NdisFreeMdl(NdisAllocateMdl(NULL, T.bytes, sizeof T.bytes)))
CALL(NdisAllocateGenericObject, NdisFreeGenericObject(NdisAllocateGenericObject(NULL, TAG, 0)))
CALL(NdisAllocateMemoryWithTagPriority,
     NdisFreeMemory(NdisAllocateMemoryWithTagPriority(NULL, 16, TAG, NormalPoolPriority), 0, 0))
CALL(NdisGetVersion, (void)NdisGetVersion())
CALL(NdisAllocateRWLock, NdisFreeRWLock(NdisAllocateRWLock(NULL)))
CALL(NdisAcquireRWLockRead, NdisAcquireRWLockRead(T.rw, &T.state, 0); NdisReleaseRWLock(T.rw, &T.state))
CALL(NdisAcquireRWLockWrite, NdisAcquireRWLockWrite(T.rw, &T.state, 0); NdisReleaseRWLock(T.rw, &T.state))
CALL(NdisAcquireSpinLock, NdisAcquireSpinLock(&T.lock); NdisReleaseSpinLock(&T.lock))
CALL(NdisDprAcquireSpinLock, NdisDprAcquireSpinLock(&T.lock); NdisDprReleaseSpinLock(&T.lock))
CALL(NdisSetEvent, NdisSetEvent(&T.event))
CALL(NdisResetEvent, NdisResetEvent(&T.event))
CALL(NdisInitializeEvent, NdisInitializeEvent(&T.event))
CALL(NdisWaitEvent, (void)NdisWaitEvent(&T.event, 1))
CALL(NdisMSleep, NdisMSleep(1))

static const struct call {
    const char *name;
    KIRQL lowest, highest;
    void (*fn)(void);
} calls[] = {
#define DISPATCH(name)                                                                                       \
    {                                                                                                        \
#name, PASSIVE_LEVEL, DISPATCH_LEVEL, call_##name                                                    \
    }
    {"NdisWaitEvent", PASSIVE_LEVEL, PASSIVE_LEVEL, call_NdisWaitEvent},
    {"NdisMSleep", PASSIVE_LEVEL, APC_LEVEL, call_NdisMSleep},
    {"NdisDprAcquireSpinLock", DISPATCH_LEVEL, HIGHEST, call_NdisDprAcquireSpinLock},
    {"NdisInitializeEvent", PASSIVE_LEVEL, HIGHEST, call_NdisInitializeEvent},
    DISPATCH(NdisAllocateNetBufferListPool),
    DISPATCH(NdisAllocateNetBufferPool),
    DISPATCH(NdisGetPoolFromNetBufferList),
    DISPATCH(NdisGetPoolFromNetBuffer),
    DISPATCH(NdisAllocateNetBuffer),
    DISPATCH(NdisAllocateNetBufferAndNetBufferList),
    DISPATCH(NdisAllocateNetBufferList),
    DISPATCH(NdisAllocateCloneNetBufferList),
    DISPATCH(NdisRetreatNetBufferDataStart),
    DISPATCH(NdisAdvanceNetBufferDataStart),
    DISPATCH(NdisRetreatNetBufferListDataStart),
    DISPATCH(NdisAdvanceNetBufferListDataStart),
    DISPATCH(NdisGetDataBuffer),
    DISPATCH(NdisCopyFromNetBufferToNetBuffer),
    DISPATCH(NdisQueryNetBufferPhysicalCount),
    DISPATCH(NdisAllocateNetBufferListContext),
    DISPATCH(NdisCopySendNetBufferListInfo),
    DISPATCH(NdisCopyReceiveNetBufferListInfo),
    DISPATCH(NdisAllocateMdl),
    DISPATCH(NdisAllocateGenericObject),
    DISPATCH(NdisAllocateMemoryWithTagPriority),
    DISPATCH(NdisGetVersion),
    DISPATCH(NdisAllocateRWLock),
    DISPATCH(NdisAcquireRWLockRead),
    DISPATCH(NdisAcquireRWLockWrite),
    DISPATCH(NdisAcquireSpinLock),
    DISPATCH(NdisSetEvent),
    DISPATCH(NdisResetEvent),
};
#define CALLS (sizeof(calls) / sizeof(calls[0]))

static void make_things(void)
{
    memset(&T, 0, sizeof(T));
    T.lists = NdisAllocateNetBufferListPool(NULL, &list_parameters);
    T.buffers = NdisAllocateNetBufferPool(NULL, &buffer_parameters);
    T.mdl = NdisAllocateMdl(NULL, T.bytes, sizeof T.bytes);
    T.nbl = NdisAllocateNetBufferAndNetBufferList(T.lists, 0, 0, T.mdl, 8, 100);
    T.other = NdisAllocateNetBufferAndNetBufferList(T.lists, 0, 0, T.mdl, 8, 100);
    T.rw = NdisAllocateRWLock(NULL);
    assert_true(T.lists != NULL && T.buffers != NULL && T.mdl != NULL && T.nbl != NULL && T.other != NULL &&
                T.rw != NULL);
    T.nb = NET_BUFFER_LIST_FIRST_NB(T.nbl);
    NdisAllocateSpinLock(&T.lock);
    NdisInitializeEvent(&T.event);
}

static void end_things(void)
{
    NdisFreeRWLock(T.rw);
    NdisFreeNetBufferList(T.other);
    NdisFreeNetBufferList(T.nbl);
    NdisFreeMdl(T.mdl);
    NdisFreeNetBufferPool(T.buffers);
    NdisFreeNetBufferListPool(T.lists);
}

/* Calls it at that level; was there a finding, and the first named it? */
static bool noted(struct nt_lab *lab, const struct call *c, KIRQL irql)
{
    const bool below = irql < c->lowest;
    char text[96];
    bool named;
    KIRQL was;

    make_things();
    KeRaiseIrql(irql, &was);
    c->fn();
    rt_carried()->irql = was; /* what a lock was given back at is not asked here */
    snprintf(text, sizeof(text), "%s is called at IRQL %u, %s %u", c->name, irql, below ? "below" : "above",
             below ? c->lowest : c->highest);
    named = strcmp(lab->last, text) == 0;
    if (!named && lab->last[0] != '\0')
        fail_msg("%s: %s at IRQL %u: '%s'", lab->name, c->name, irql, lab->last);
    assert_true((lab_found(lab, LEDGER_NOTE) != 0) == named);
    end_things();
    return named;
}

static void levels_body(struct nt_lab *lab)
{
    for (size_t i = 0; i < CALLS; i++) {
        assert_false(noted(lab, &calls[i], calls[i].lowest));
        if (calls[i].lowest > PASSIVE_LEVEL)
            assert_true(noted(lab, &calls[i], (KIRQL)(calls[i].lowest - 1)));
        if (calls[i].highest == HIGHEST)
            continue;
        assert_false(noted(lab, &calls[i], calls[i].highest));
        if (!noted(lab, &calls[i], (KIRQL)(calls[i].highest + 1)))
            fail_msg("%s: %s says nothing above IRQL %u", lab->name, calls[i].name, calls[i].highest);
    }
}

static void IRQL_03_ndis_functions(void **state)
{
    (void)state;
    nt_lab_both(levels_body, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(IRQL_03_ndis_functions),
    };

    return cmocka_run_group_tests_name("irql_ndis", tests, NULL, NULL);
}

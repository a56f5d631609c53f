/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One of two players: absorbs each UDP packet that is sent, and injects it again. Compiled twice, with -DRIGHT
 * for the other one; tests/e2e/pairs.py lets them play.
 *
 * Parameters, each 0 or 1 but LateMs: Copies: a list of its own over a copy of the bytes, else a clone. Blind:
 * takes what comes, whoever injected it. Silent: absorbs what others have injected, injects nothing, and lets
 * the rest go. LateMs: injects so much later. Greedy: takes what another callout has taken already.
 * Drop: injects nothing.
 *
 *   classify --player_make()--> toss --(timer, DPC)--> player_throw() --> completion frees it
 */
#include <initguid.h>
#include <ntddk.h>

#include <fwpsk.h>

#include <fwpmk.h>

#include "../../drivers/common/callouts.h"
#include "../../drivers/common/parameters.h"

#define BALL_TAG 'llaB'

struct toss {
    NET_BUFFER_LIST *list;
    MDL *mdl; /* of a copy; NULL: the list is a clone */
    UCHAR *bytes;
    KTIMER timer;
    KDPC dpc;
};

static struct {
    DEVICE_OBJECT *device;
    HANDLE handle;
    NDIS_HANDLE pool;
    ULONG copies, blind, silent, greedy, drop, late_ms;
    LONG under_way;
} player;

static void NTAPI classify(const FWPS_INCOMING_VALUES *values, const FWPS_INCOMING_METADATA_VALUES *metadata,
                           void *layer_data, const void *context, const FWPS_FILTER *filter,
                           UINT64 flow_context, FWPS_CLASSIFY_OUT *out);

static const struct callout_layer layers[] = {
    {FWPS_LAYER_OUTBOUND_IPPACKET_V4, &FWPM_LAYER_OUTBOUND_IPPACKET_V4, classify, 0},
};

static struct callout_set callouts = {
#ifdef RIGHT
    .base = {0x6b1b4d5e, 0x8c1d, 0x4a7b, {0x9d, 0x0e, 0x52, 0x67, 0x4b, 0x1f, 0x33, 0x00}},
    .name = L"Right player",
#else
    .base = {0x1f0c7a52, 0x3a77, 0x4d0e, {0x8b, 0x61, 0x2c, 0x9e, 0x40, 0xd3, 0x75, 0x00}},
    .name = L"Left player",
#endif
    .action = FWP_ACTION_CALLOUT_TERMINATING,
    .layers = layers,
    .count = ARRAYSIZE(layers),
};

static void toss_free(struct toss *toss)
{
    if (toss->mdl == NULL) {
        FwpsFreeCloneNetBufferList(toss->list, 0);
    } else {
        FwpsFreeNetBufferList(toss->list);
        IoFreeMdl(toss->mdl);
        ExFreePoolWithTag(toss->bytes, BALL_TAG);
    }
    ExFreePoolWithTag(toss, BALL_TAG);
    InterlockedDecrement(&player.under_way);
}

static void NTAPI completed(void *context, NET_BUFFER_LIST *list, BOOLEAN dispatch_level)
{
    UNREFERENCED_PARAMETER(list);
    UNREFERENCED_PARAMETER(dispatch_level);
    toss_free(context);
}

static void player_throw(struct toss *toss)
{
    if (!NT_SUCCESS(FwpsInjectNetworkSendAsync(player.handle, NULL, 0, UNSPECIFIED_COMPARTMENT_ID, toss->list,
                                               completed, toss)))
        toss_free(toss);
}

static KDEFERRED_ROUTINE later;
static VOID later(KDPC *dpc, PVOID context, PVOID one, PVOID two)
{
    UNREFERENCED_PARAMETER(dpc);
    UNREFERENCED_PARAMETER(one);
    UNREFERENCED_PARAMETER(two);
    player_throw(context);
}

static NTSTATUS copy_of(NET_BUFFER *nb, struct toss *toss)
{
    const ULONG size = NET_BUFFER_DATA_LENGTH(nb);
    UCHAR *bytes;

    toss->bytes = ExAllocatePool2(POOL_FLAG_NON_PAGED, size, BALL_TAG);
    if (toss->bytes == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    bytes = NdisGetDataBuffer(nb, size, toss->bytes, 1, 0);
    if (bytes != NULL && bytes != toss->bytes)
        RtlCopyMemory(toss->bytes, bytes, size);
    toss->mdl = IoAllocateMdl(toss->bytes, size, FALSE, FALSE, NULL);
    if (toss->mdl == NULL) {
        ExFreePoolWithTag(toss->bytes, BALL_TAG);
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    MmBuildMdlForNonPagedPool(toss->mdl);
    if (NT_SUCCESS(FwpsAllocateNetBufferAndNetBufferList(player.pool, 0, 0, toss->mdl, 0, size, &toss->list)))
        return STATUS_SUCCESS;
    IoFreeMdl(toss->mdl);
    ExFreePoolWithTag(toss->bytes, BALL_TAG);
    return STATUS_INSUFFICIENT_RESOURCES;
}

static struct toss *player_make(NET_BUFFER_LIST *packet)
{
    struct toss *toss = ExAllocatePool2(POOL_FLAG_NON_PAGED, sizeof(*toss), BALL_TAG);
    NTSTATUS status;

    if (toss == NULL)
        return NULL;
    if (player.copies)
        status = copy_of(NET_BUFFER_LIST_FIRST_NB(packet), toss);
    else
        status = FwpsAllocateCloneNetBufferList(packet, NULL, NULL, 0, &toss->list);
    if (!NT_SUCCESS(status)) {
        ExFreePoolWithTag(toss, BALL_TAG);
        return NULL;
    }
    InterlockedIncrement(&player.under_way);
    return toss;
}

static BOOLEAN is_mine(NET_BUFFER_LIST *packet)
{
    const FWPS_PACKET_INJECTION_STATE state = FwpsQueryPacketInjectionState(player.handle, packet, NULL);

    if (player.silent)
        return (BOOLEAN)(state == FWPS_PACKET_INJECTED_BY_OTHER);
    return (BOOLEAN)(player.blind || (state != FWPS_PACKET_INJECTED_BY_SELF &&
                                      state != FWPS_PACKET_PREVIOUSLY_INJECTED_BY_SELF));
}

static void NTAPI classify(const FWPS_INCOMING_VALUES *values, const FWPS_INCOMING_METADATA_VALUES *metadata,
                           void *layer_data, const void *context, const FWPS_FILTER *filter,
                           UINT64 flow_context, FWPS_CLASSIFY_OUT *out)
{
    UCHAR room[20], *header;
    struct toss *toss = NULL;
    LARGE_INTEGER due;

    UNREFERENCED_PARAMETER(values);
    UNREFERENCED_PARAMETER(metadata);
    UNREFERENCED_PARAMETER(context);
    UNREFERENCED_PARAMETER(filter);
    UNREFERENCED_PARAMETER(flow_context);
    if ((out->rights & FWPS_RIGHT_ACTION_WRITE) == 0 && !player.greedy) /* the other one has it already */
        return;
    out->actionType = FWP_ACTION_CONTINUE;
    header =
        NdisGetDataBuffer(NET_BUFFER_LIST_FIRST_NB((NET_BUFFER_LIST *)layer_data), sizeof(room), room, 1, 0);
    if (header == NULL || header[9] != IPPROTO_UDP || !is_mine(layer_data))
        return;
    if (!player.silent && !player.drop && (toss = player_make(layer_data)) == NULL)
        return;
    out->actionType = FWP_ACTION_BLOCK;
    out->rights &= ~FWPS_RIGHT_ACTION_WRITE;
    out->flags |= FWPS_CLASSIFY_OUT_FLAG_ABSORB;
    if (toss == NULL)
        return;
    if (player.late_ms == 0) {
        player_throw(toss);
        return;
    }
    KeInitializeTimer(&toss->timer);
    KeInitializeDpc(&toss->dpc, later, toss);
    due.QuadPart = -10000ll * player.late_ms;
    KeSetTimer(&toss->timer, due, &toss->dpc);
}

DRIVER_INITIALIZE DriverEntry;
static DRIVER_UNLOAD Unload;

static void close_all(void)
{
    LARGE_INTEGER pause;

    pause.QuadPart = -10000;
    while (InterlockedCompareExchange(&player.under_way, 0, 0) != 0)
        KeDelayExecutionThread(KernelMode, FALSE, &pause);
    if (player.handle != NULL)
        FwpsInjectionHandleDestroy(player.handle);
    if (player.pool != NULL)
        NdisFreeNetBufferListPool(player.pool);
    IoDeleteDevice(player.device);
}

static VOID Unload(_In_ PDRIVER_OBJECT object)
{
    UNREFERENCED_PARAMETER(object);
    callouts_stop(&callouts);
    close_all();
}

NTSTATUS DriverEntry(_In_ PDRIVER_OBJECT object, _In_ PUNICODE_STRING path)
{
    NET_BUFFER_LIST_POOL_PARAMETERS pool = {0};
    HANDLE key = parameters_open(path);
    NTSTATUS status;

    player.copies = parameter_number(key, L"Copies", 0);
    player.blind = parameter_number(key, L"Blind", 0);
    player.silent = parameter_number(key, L"Silent", 0);
    player.greedy = parameter_number(key, L"Greedy", 0);
    player.drop = parameter_number(key, L"Drop", 0);
    player.late_ms = parameter_number(key, L"LateMs", 0);
    parameters_close(key);
    object->DriverUnload = Unload;
    status =
        IoCreateDevice(object, 0, NULL, FILE_DEVICE_NETWORK, FILE_DEVICE_SECURE_OPEN, FALSE, &player.device);
    if (!NT_SUCCESS(status))
        return status;
    pool.Header.Type = NDIS_OBJECT_TYPE_DEFAULT;
    pool.Header.Revision = NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1;
    pool.Header.Size = NDIS_SIZEOF_NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1;
    pool.fAllocateNetBuffer = TRUE;
    pool.PoolTag = BALL_TAG;
    player.pool = NdisAllocateNetBufferListPool(NULL, &pool);
    status = player.pool != NULL
                 ? FwpsInjectionHandleCreate(AF_INET, FWPS_INJECTION_TYPE_NETWORK, &player.handle)
                 : STATUS_INSUFFICIENT_RESOURCES;
    if (NT_SUCCESS(status))
        status = callouts_start(&callouts, player.device);
    if (!NT_SUCCESS(status))
        close_all();
    return status;
}

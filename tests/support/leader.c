/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver that is linked into tests (leader.h), as a driver author would write it.
 *
 *   classify --pend--> list --thread, when it is due--> acquire, change, apply, complete
 */
#include <ntddk.h>
#include <fwpsk.h>
#include <fwpmk.h>
#include <mstcpip.h>

#include "kit.h"
#include "leader.h"
#include "rt/rt.h"

#define TAG   0x6461654c /* "Lead" */
#define NEVER (~0ull)

struct request {
    LIST_ENTRY link;
    UINT64 handle, filter;
    ULONGLONG due;
    UINT16 layer;
    FWPS_CLASSIFY_OUT0 out;
};

struct state {
    struct leader is;
    DEVICE_OBJECT *device;
    struct rt_context *context;
    HANDLE engine, redirect;
    UINT32 ids[4];
    ULONG registered;
    KSPIN_LOCK lock;
    LIST_ENTRY waiting;
    struct kit_thread thread;
    volatile LONG going, states[4];
};

static struct state *loaded; /* the last one */
static struct leader wanted; /* by the next DriverEntry */

/* ---- changes --------------------------------------------------------------------------------------------------- */

static void say_where(FWPS_CONNECT_REQUEST0 *r, SIZE_T size)
{
    char *text = ExAllocatePool2(POOL_FLAG_NON_PAGED, size, TAG);
    const SOCKADDR_IN *to = (const SOCKADDR_IN *)&r->remoteAddressAndPort;
    ULONG length = (ULONG)size;

    if (text == NULL)
        return;
    if (!NT_SUCCESS(RtlIpv4AddressToStringExA(&to->sin_addr, to->sin_port, text, &length))) {
        ExFreePoolWithTag(text, TAG);
        return;
    }
    r->localRedirectContext = text;
    r->localRedirectContextSize = length;
}

static void change_connect(struct state *s, FWPS_CONNECT_REQUEST0 *r)
{
    SOCKADDR_IN *to = (SOCKADDR_IN *)&r->remoteAddressAndPort;

    if (to->sin_family != AF_INET || to->sin_port != RtlUshortByteSwap(80))
        return;
    if (s->is.proxy_port != 0) {
        say_where(r, 32);
        INETADDR_SET_ADDRESS((SOCKADDR *)to, INETADDR_ADDRESS((SOCKADDR *)&r->localAddressAndPort));
        if (IN4_IS_ADDR_UNSPECIFIED(&to->sin_addr))
            to->sin_addr.S_un.S_addr = RtlUlongByteSwap(0x7f000001);
        to->sin_port = RtlUshortByteSwap(s->is.proxy_port);
        r->localRedirectTargetPID = (DWORD)s->is.proxy;
        r->localRedirectHandle = s->redirect;
    } else if (s->is.to != 0) {
        to->sin_addr.S_un.S_addr = RtlUlongByteSwap(s->is.to);
        if (s->is.to_port != 0)
            to->sin_port = RtlUshortByteSwap(s->is.to_port);
    }
}

static void change(struct state *s, UINT16 layer, UINT64 handle, UINT64 filter, FWPS_CLASSIFY_OUT0 *out)
{
    void *data;

    if (!NT_SUCCESS(FwpsAcquireWritableLayerDataPointer0(handle, filter, 0, &data, out)))
        return;
    if (layer == FWPS_LAYER_ALE_BIND_REDIRECT_V4) {
        SOCKADDR_IN *at = (SOCKADDR_IN *)&((FWPS_BIND_REQUEST0 *)data)->localAddressAndPort;

        if (at->sin_port == RtlUshortByteSwap(5000))
            at->sin_port = RtlUshortByteSwap(s->is.bind_port);
    } else {
        change_connect(s, data);
    }
    FwpsApplyModifiedLayerData0(handle, data, 0);
}

static void permit(FWPS_CLASSIFY_OUT0 *out)
{
    out->actionType = FWP_ACTION_PERMIT;
    out->rights |= FWPS_RIGHT_ACTION_WRITE;
}

/* ---- later ----------------------------------------------------------------------------------------------------- */

static void complete(struct state *s, struct request *r)
{
    if (r->layer != FWPS_LAYER_ALE_ENDPOINT_CLOSURE_V4)
        change(s, r->layer, r->handle, r->filter, &r->out);
    permit(&r->out);
    FwpsCompleteClassify0(r->handle, 0, &r->out);
    FwpsReleaseClassifyHandle0(r->handle);
    ExFreePoolWithTag(r, TAG);
}

static BOOLEAN is_due(struct state *s, const struct request *r, ULONGLONG now)
{
    if (r->layer == FWPS_LAYER_ALE_ENDPOINT_CLOSURE_V4 && InterlockedOr(&s->going, 0) != 0)
        return TRUE;
    return r->due <= now;
}

/* One that is due, or NULL; *wait: until the next. */
static struct request *take_due(struct state *s, BOOLEAN all, LARGE_INTEGER *wait)
{
    const ULONGLONG now = KeQueryInterruptTime();
    struct request *found = NULL;
    KIRQL irql;

    wait->QuadPart = 0;
    KeAcquireSpinLock(&s->lock, &irql);
    for (LIST_ENTRY *at = s->waiting.Flink; at != &s->waiting && found == NULL; at = at->Flink) {
        struct request *r = CONTAINING_RECORD(at, struct request, link);

        if (all || is_due(s, r, now))
            found = r;
        else if (r->due != NEVER && (wait->QuadPart == 0 || -(LONGLONG)(r->due - now) > wait->QuadPart))
            wait->QuadPart = -(LONGLONG)(r->due - now);
    }
    if (found != NULL)
        RemoveEntryList(&found->link);
    KeReleaseSpinLock(&s->lock, irql);
    return found;
}

static void NTAPI work(void *context)
{
    struct state *s = context;
    struct request *r;
    LARGE_INTEGER wait;

    while (!kit_thread_closes(&s->thread)) {
        while ((r = take_due(s, FALSE, &wait)) != NULL)
            complete(s, r);
        KeWaitForSingleObject(&s->thread.work, Executive, KernelMode, FALSE,
                              wait.QuadPart != 0 ? &wait : NULL);
    }
    while ((r = take_due(s, TRUE, &wait)) != NULL)
        complete(s, r);
    PsTerminateSystemThread(STATUS_SUCCESS);
}

static NTSTATUS pend(struct state *s, UINT16 layer, UINT64 handle, const FWPS_FILTER3 *filter,
                     FWPS_CLASSIFY_OUT0 *out)
{
    struct request *r = ExAllocatePool2(POOL_FLAG_NON_PAGED, sizeof *r, TAG);
    NTSTATUS status;
    KIRQL irql;

    if (r == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    r->handle = handle;
    r->filter = filter->filterId;
    r->layer = layer;
    r->due =
        KeQueryInterruptTime() +
        (ULONGLONG)(layer == FWPS_LAYER_ALE_ENDPOINT_CLOSURE_V4 ? s->is.closures_ms : s->is.delay_ms) * 10000;
    if (layer == FWPS_LAYER_ALE_ENDPOINT_CLOSURE_V4 && s->is.closures_ms == 0)
        r->due = NEVER;
    r->out = *out;
    status = FwpsPendClassify0(handle, filter->filterId, 0, &r->out);
    if (!NT_SUCCESS(status)) {
        ExFreePoolWithTag(r, TAG);
        return status;
    }
    out->actionType = FWP_ACTION_BLOCK;
    out->rights &= ~(UINT32)FWPS_RIGHT_ACTION_WRITE;
    KeAcquireSpinLock(&s->lock, &irql);
    InsertTailList(&s->waiting, &r->link);
    KeReleaseSpinLock(&s->lock, irql);
    KeSetEvent(&s->thread.work, IO_NO_INCREMENT, FALSE);
    return status;
}

/* ---- the callout ----------------------------------------------------------------------------------------------- */

static void NTAPI classify(const FWPS_INCOMING_VALUES0 *values,
                           const FWPS_INCOMING_METADATA_VALUES0 *metadata, void *layer_data,
                           const void *classify_context, const FWPS_FILTER3 *filter, UINT64 flow_context,
                           FWPS_CLASSIFY_OUT0 *out)
{
    struct state *s = (struct state *)(ULONG_PTR)filter->context;
    const UINT16 layer = values->layerId;
    const BOOLEAN closure = layer == FWPS_LAYER_ALE_ENDPOINT_CLOSURE_V4;
    FWPS_CONNECTION_REDIRECT_STATE state = FWPS_CONNECTION_NOT_REDIRECTED;
    UINT64 handle;

    (void)flow_context;
    if ((out->rights & FWPS_RIGHT_ACTION_WRITE) == 0)
        return;
    permit(out);
    if (layer == FWPS_LAYER_ALE_CONNECT_REDIRECT_V4) {
        const SOCKADDR_IN *to =
            (const SOCKADDR_IN *)&((FWPS_CONNECT_REQUEST0 *)layer_data)->remoteAddressAndPort;

        if (to->sin_port != RtlUshortByteSwap(80))
            return;
        state = FwpsQueryConnectionRedirectState0(metadata->redirectRecords, s->redirect, NULL);
        InterlockedIncrement(&s->states[state]);
        if (state == FWPS_CONNECTION_REDIRECTED_BY_SELF ||
            state == FWPS_CONNECTION_PREVIOUSLY_REDIRECTED_BY_SELF)
            return;
    }
    if (!NT_SUCCESS(FwpsAcquireClassifyHandle0((void *)classify_context, 0, &handle)))
        return;
    if (closure || s->is.delay_ms != 0) {
        if (!NT_SUCCESS(pend(s, layer, handle, filter, out)))
            FwpsReleaseClassifyHandle0(handle);
        return;
    }
    change(s, layer, handle, filter->filterId, out);
    permit(out);
    FwpsReleaseClassifyHandle0(handle);
}

/* ---- life ------------------------------------------------------------------------------------------------------ */

static NTSTATUS add(struct state *s, UINT16 layer, const GUID *layer_key)
{
    const struct kit_callout what = {
        .device = s->device,
        .engine = s->engine,
        .name = (const WCHAR *)u"leader",
        .key = {0x6ad2c2a6, 0x63b4, 0x4f3e, {0x9d, 0x52, 0x22, 0x60, 0x5c, 0x17, 0xe0, (UINT8)layer}},
        .layer = layer_key,
        .action = FWP_ACTION_CALLOUT_TERMINATING,
        .classify = classify,
        .context = (ULONG_PTR)s};
    NTSTATUS status = kit_callout_add(&what, &s->ids[s->registered]);

    s->registered += s->ids[s->registered] != 0;
    return status;
}

static void stop(struct state *s)
{
    kit_thread_end(&s->thread);
    if (s->engine != NULL)
        FwpmEngineClose0(s->engine);
    while (s->registered != 0)
        (void)FwpsCalloutUnregisterById0(s->ids[--s->registered]);
    if (s->redirect != NULL)
        FwpsRedirectHandleDestroy0(s->redirect);
    IoDeleteDevice(s->device);
}

static void NTAPI unload(DRIVER_OBJECT *driver)
{
    struct state *s = driver->DeviceObject->DeviceExtension;

    if (loaded == s)
        loaded = NULL;
    stop(s);
}

static NTSTATUS NTAPI driver_entry(DRIVER_OBJECT *driver, UNICODE_STRING *path)
{
    static const GUID provider = {0x6ad2c2a6, 0x63b4, 0x4f3e, {1}};
    FWPM_SESSION0 session = {.flags = FWPM_SESSION_FLAG_DYNAMIC};
    DEVICE_OBJECT *device;
    struct state *s;
    NTSTATUS status;

    (void)path;
    status = IoCreateDevice(driver, sizeof *s, NULL, FILE_DEVICE_NETWORK, 0, FALSE, &device);
    if (!NT_SUCCESS(status))
        return status;
    s = device->DeviceExtension;
    RtlZeroMemory(s, sizeof *s);
    s->is = wanted;
    s->device = device;
    s->context = rt_current();
    KeInitializeSpinLock(&s->lock);
    InitializeListHead(&s->waiting);
    driver->DriverUnload = unload;
    status = FwpsRedirectHandleCreate0(&provider, 0, &s->redirect);
    if (NT_SUCCESS(status))
        status = kit_thread_start(&s->thread, work, s);
    if (NT_SUCCESS(status))
        status = FwpmEngineOpen0(NULL, RPC_C_AUTHN_WINNT, NULL, &session, &s->engine);
    if (NT_SUCCESS(status) && (s->is.proxy_port != 0 || s->is.to != 0))
        status = add(s, FWPS_LAYER_ALE_CONNECT_REDIRECT_V4, &FWPM_LAYER_ALE_CONNECT_REDIRECT_V4);
    if (NT_SUCCESS(status) && s->is.bind_port != 0)
        status = add(s, FWPS_LAYER_ALE_BIND_REDIRECT_V4, &FWPM_LAYER_ALE_BIND_REDIRECT_V4);
    if (NT_SUCCESS(status) && s->is.closures)
        status = add(s, FWPS_LAYER_ALE_ENDPOINT_CLOSURE_V4, &FWPM_LAYER_ALE_ENDPOINT_CLOSURE_V4);
    if (!NT_SUCCESS(status)) {
        stop(s);
        return status;
    }
    loaded = s;
    return status;
}

/* ---- the test's side ------------------------------------------------------------------------------------------- */

struct weir_driver *leader_load(struct weir *w, const struct leader *what)
{
    wanted = *what;
    return weir_driver_with(w, &(struct weir_driver_config){.entry = driver_entry, .name = "leader"});
}

void leader_go(void)
{
    struct rt_context *before = rt_set_current(loaded->context);

    InterlockedExchange(&loaded->going, TRUE);
    KeSetEvent(&loaded->thread.work, IO_NO_INCREMENT, FALSE);
    rt_set_current(before);
}

unsigned leader_states(unsigned state)
{
    return (unsigned)loaded->states[state];
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a test through weir.h costs: an engine made and ended, alone and with a driver; a whole test of a connect that
 * a driver pends and completes 20 ms later, an engine of its own for each. Processor time of the process (an engine has
 * a thread that watches for hangs); the mean and the least of passes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <fwpmk.h>
#include <fwpsk.h>
#include <ntddk.h>

#include <weir.h>

#include "bench.h"

#define PASSES 10

/* ---- the driver: pends at ALE_AUTH_CONNECT_V4, completes from a timer's DPC ------------------------------------ */

struct state {
    DEVICE_OBJECT *device;
    HANDLE engine, pended;
    UINT32 id;
    KTIMER timer;
    KDPC dpc;
};

static void NTAPI complete(KDPC *dpc, void *context, void *a, void *b)
{
    struct state *s = context;

    (void)dpc;
    (void)a;
    (void)b;
    FwpsCompleteOperation0(s->pended, NULL);
}

static void NTAPI classify(const FWPS_INCOMING_VALUES0 *values,
                           const FWPS_INCOMING_METADATA_VALUES0 *metadata, void *packet, const void *context,
                           const FWPS_FILTER3 *filter, UINT64 flow_context, FWPS_CLASSIFY_OUT0 *out)
{
    struct state *s = (struct state *)(ULONG_PTR)filter->context;
    const LARGE_INTEGER due = {.QuadPart = -20 * 10000};

    (void)packet;
    (void)context;
    (void)flow_context;
    if ((values->incomingValue[FWPS_FIELD_ALE_AUTH_CONNECT_V4_FLAGS].value.uint32 &
         FWP_CONDITION_FLAG_IS_REAUTHORIZE) != 0) {
        out->actionType = FWP_ACTION_PERMIT;
        return;
    }
    out->actionType = FWP_ACTION_BLOCK;
    out->rights &= ~(UINT32)FWPS_RIGHT_ACTION_WRITE;
    if (!NT_SUCCESS(FwpsPendOperation0(metadata->completionHandle, &s->pended)))
        return;
    out->flags |= FWPS_CLASSIFY_OUT_FLAG_ABSORB;
    KeSetTimer(&s->timer, due, &s->dpc);
}

static NTSTATUS NTAPI notify(FWPS_CALLOUT_NOTIFY_TYPE type, const GUID *key, FWPS_FILTER3 *filter)
{
    (void)type;
    (void)key;
    (void)filter;
    return STATUS_SUCCESS;
}

static void NTAPI unload(DRIVER_OBJECT *driver)
{
    struct state *s = driver->DeviceObject->DeviceExtension;

    KeCancelTimer(&s->timer);
    FwpmEngineClose0(s->engine);
    FwpsCalloutUnregisterById0(s->id);
    IoDeleteDevice(s->device);
}

static NTSTATUS NTAPI driver_entry(DRIVER_OBJECT *driver, UNICODE_STRING *path)
{
    const GUID key = {0x1ad2c2a6, 0x63b4, 0x4f3e, {0x9d, 0x51, 0x22, 0x60, 0x5c, 0x17, 0xe0, 0x01}};
    FWPS_CALLOUT3 registered = {.calloutKey = key, .classifyFn = classify, .notifyFn = notify};
    FWPM_CALLOUT0 callout = {.calloutKey = key,
                             .displayData.name = (WCHAR *)u"bench",
                             .applicableLayer = FWPM_LAYER_ALE_AUTH_CONNECT_V4};
    FWPM_FILTER0 filter = {.displayData.name = (WCHAR *)u"bench",
                           .layerKey = FWPM_LAYER_ALE_AUTH_CONNECT_V4,
                           .action = {.type = FWP_ACTION_CALLOUT_TERMINATING, .calloutKey = key}};
    FWPM_SESSION0 session = {.flags = FWPM_SESSION_FLAG_DYNAMIC};
    DEVICE_OBJECT *device;
    struct state *s;

    (void)path;
    if (!NT_SUCCESS(IoCreateDevice(driver, sizeof *s, NULL, FILE_DEVICE_NETWORK, 0, FALSE, &device)))
        return STATUS_INSUFFICIENT_RESOURCES;
    s = device->DeviceExtension;
    RtlZeroMemory(s, sizeof *s);
    s->device = device;
    KeInitializeTimer(&s->timer);
    KeInitializeDpc(&s->dpc, complete, s);
    driver->DriverUnload = unload;
    filter.rawContext = (ULONG_PTR)s;
    if (!NT_SUCCESS(FwpsCalloutRegister3(device, &registered, &s->id)) ||
        !NT_SUCCESS(FwpmEngineOpen0(NULL, RPC_C_AUTHN_WINNT, NULL, &session, &s->engine)) ||
        !NT_SUCCESS(FwpmCalloutAdd0(s->engine, &callout, NULL, NULL)) ||
        !NT_SUCCESS(FwpmFilterAdd0(s->engine, &filter, NULL, NULL)))
        bench_die("the driver cannot start");
    return STATUS_SUCCESS;
}

/* ---- lives ------------------------------------------------------------------------------------------------- */

static struct weir *create(bool driver)
{
    struct weir *w;

    if (weir_create(&w) != 0)
        bench_die("%s", weir_error());
    if (driver &&
        weir_driver_with(w, &(struct weir_driver_config){.entry = driver_entry, .name = "bench"}) == NULL)
        bench_die("%s", weir_error());
    return w;
}

static void alone(void)
{
    weir_destroy(create(false));
}

static void with_driver(void)
{
    weir_destroy(create(true));
}

static void test(void)
{
    struct weir *w = create(true);
    struct weir_socket *listener = weir_socket(weir_peer(w, 1), WEIR_TCP);
    struct weir_socket *s = weir_socket(weir_process(w, "C:\\Program Files\\app.exe", NULL), WEIR_TCP);

    if (weir_bind(listener, "10.0.0.2:80") != 0 || weir_listen(listener) != 0)
        bench_die("nobody listens");
    (void)weir_connect(s, "10.0.0.2:80");
    if (weir_state(s) != WEIR_PENDED || !weir_wait(s, WEIR_CONNECTED, WEIR_SECOND) ||
        weir_count(w, &(struct weir_match){.layer = "ALE_AUTH_CONNECT_V4", .verdict = "permit"}) != 1)
        bench_die("the connect did not go as it should");
    weir_destroy(w);
}

static double process_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void measure(const char *what, void (*fn)(void), unsigned n)
{
    double each[PASSES], sum = 0;

    for (int k = 0; k < PASSES; k++) {
        double start = process_ns();

        for (unsigned i = 0; i < n / PASSES; i++)
            fn();
        each[k] = (process_ns() - start) / (n / PASSES);
        sum += each[k];
    }
    bench_sort(each, PASSES);
    printf("%-50s %6u times: %7.1f us each (least pass %.1f), %.2f s in all\n", what, n, sum / PASSES / 1e3,
           each[0] / 1e3, sum / PASSES * n / 1e9);
}

int main(int argc, char **argv)
{
    const unsigned n = argc > 1 && strcmp(argv[1], "--quick") == 0 ? 1000 : 10000;

    measure("an engine made and ended", alone, n);
    measure("the same with a driver", with_driver, n);
    measure("a test: a connect is pended and completed", test, n);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a redirected connect costs the host, beside the same connect.
 *
 * A connect is a TCP SYN out of a new local port, from BR to OI, and the reset that ends it. The callout at CR
 *
 *   looks      is asked and permits
 *   inline     acquires a handle and writable data, sets another address, applies, releases
 *   pended     acquires and pends; then, outside the classify: data, apply, complete; the SYN comes once more
 *   null       pends and completes without a change: what of that is the pend's
 *
 * With the ledger's counters, all in one thread; rounds of each interleaved, the median of the differences to "looks".
 * AC is asked once (redirect_effective_only) so that the same layers are on both sides.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fwpsk.h"

#include "api/api.h"
#include "bench.h"
#include "host/host.h"
#include "host/host_redirect.h"
#include "ledger/ledger.h"

#define PASSES   41
#define CONNECTS 4000u
#define START    1000000000ull

enum how { LOOKS, INLINE, PENDED, NOTHING, WAYS };
static const char *const names[WAYS] = {"asked, permits", "redirected inline", "redirected, pended",
                                        "pended, unchanged"};

static struct lab {
    struct engine *engine;
    struct host *host;
    struct api_context *api;
    struct ledger *ledger;
    enum how how;
    UINT64 handle, filter, now, frame;
    FWPS_CLASSIFY_OUT0 out;
} lab;

static void change(UINT64 handle, FWPS_CLASSIFY_OUT0 *out)
{
    FWPS_CONNECT_REQUEST0 *r;
    void *data;

    if (FwpsAcquireWritableLayerDataPointer0(handle, lab.filter, 0, &data, out) != STATUS_SUCCESS)
        bench_die("no writable data");
    r = data;
    if (lab.how != NOTHING)
        ((SOCKADDR_IN *)&r->remoteAddressAndPort)->sin_addr.S_un.S_addr = 0x0900000a; /* 10.0.0.9 */
    FwpsApplyModifiedLayerData0(handle, data, 0);
}

static void NTAPI classify(const FWPS_INCOMING_VALUES0 *values,
                           const FWPS_INCOMING_METADATA_VALUES0 *metadata, void *layer_data,
                           const void *context, const FWPS_FILTER3 *filter, UINT64 flow_context,
                           FWPS_CLASSIFY_OUT0 *out)
{
    UINT64 handle;

    (void)values;
    (void)metadata;
    (void)layer_data;
    (void)flow_context;
    out->actionType = FWP_ACTION_PERMIT;
    if (lab.how == LOOKS)
        return;
    lab.filter = filter->filterId;
    if (FwpsAcquireClassifyHandle0((void *)context, 0, &handle) != STATUS_SUCCESS)
        bench_die("no handle");
    if (lab.how == INLINE) {
        change(handle, out);
        out->actionType = FWP_ACTION_PERMIT;
        out->rights |= FWPS_RIGHT_ACTION_WRITE;
        FwpsReleaseClassifyHandle0(handle);
        return;
    }
    if (FwpsPendClassify0(handle, filter->filterId, 0, out) != STATUS_SUCCESS)
        bench_die("it cannot be pended");
    out->actionType = FWP_ACTION_BLOCK;
    out->rights &= ~(UINT32)FWPS_RIGHT_ACTION_WRITE;
    lab.handle = handle;
    lab.out = *out;
}

static void complete(void)
{
    change(lab.handle, &lab.out);
    lab.out.actionType = FWP_ACTION_PERMIT;
    lab.out.rights |= FWPS_RIGHT_ACTION_WRITE;
    FwpsCompleteClassify0(lab.handle, 0, &lab.out);
    FwpsReleaseClassifyHandle0(lab.handle);
}

static void put16(uint8_t *at, uint32_t v)
{
    at[0] = (uint8_t)(v >> 8);
    at[1] = (uint8_t)v;
}

static enum host_fate segment(bool out, uint16_t port, uint8_t flags)
{
    uint8_t b[40] = {0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2};
    struct host_outcome outcome;
    struct wire_packet w;

    if (!out) {
        b[15] = 2;
        b[19] = 1;
    }
    put16(b + 10, wire_fold(wire_sum(b, 20, 0)));
    put16(b + 20, out ? port : 80);
    put16(b + 22, out ? 80 : port);
    b[27] = out ? 1 : 0;
    b[31] = out ? 0 : 2;
    b[32] = 0x50;
    b[33] = flags;
    put16(b + 34, 65535);
    wire_parse_ip(b, 40, 40, &w);
    host_frame(lab.host,
               &(struct host_frame){.packet = &w,
                                    .interface_index = 1,
                                    .way = out ? HOST_WAY_OUT : HOST_WAY_IN,
                                    .number = ++lab.frame,
                                    .time_ns = lab.now += 1000},
               &outcome);
    return outcome.fate;
}

static double pass(enum how how)
{
    double start = bench_cpu_ns();

    lab.how = how;
    for (unsigned i = 0; i < CONNECTS; i++) {
        const uint16_t port = (uint16_t)(20000 + i);
        enum host_fate fate = segment(true, port, 0x02);

        if (fate == HOST_HELD) {
            complete();
            fate = segment(true, port, 0x02);
        }
        if (fate != HOST_PASSED)
            bench_die("a connect is %s", host_fate_name(fate));
        (void)segment(false, port, 0x14);
    }
    return (bench_cpu_ns() - start) / CONNECTS;
}

static void filter_at(UINT16 layer)
{
    UINT64 weight = 1;
    FWPS_FILTER3 fwps = {.filterId = 1,
                         .weight = {.type = FWP_UINT64, .uint64 = &weight},
                         .subLayerWeight = 1,
                         .action = {.type = FWP_ACTION_CALLOUT_TERMINATING, .calloutId = 1}};
    struct engine_filter_desc d = {.layer_id = layer, .fwps = &fwps, .callout_key = {.Data1 = 1}};
    const struct engine_callout c = {.key = {.Data1 = 1},
                                     .version = 3,
                                     .classify.v3 = classify,
                                     .id = 1,
                                     .layer_id = layer,
                                     .context = api_rt(lab.api)};
    struct engine_filter *f;
    struct engine_txn *t;

    if (engine_callout_register(lab.engine, &c) != 0 || engine_filter_create(&d, &f) != 0 ||
        engine_txn_begin(lab.engine, &t) != 0 || engine_txn_add(t, f) != 0 || engine_txn_commit(t) != 0)
        bench_die("no memory");
    engine_filter_unref(f);
}

static void open_lab(void)
{
    const struct host_interface_desc i = {.name = "one", .luid = 1, .index = 1, .type = 6};
    const union wire_addr local = {.v4 = 0x0a000001};
    struct ledger_config ledger = {.mode = LEDGER_COUNT, .clock = rt_clock_real()};
    struct host_config config = {.start_ns = START, .knobs = {.redirect_effective_only = true}};
    struct api_config api;

    lab.now = START;
    if (engine_create(&lab.engine) != 0)
        bench_die("no memory");
    config.engine = lab.engine;
    if (host_create(&config, &lab.host) != 0 || host_interface_add(lab.host, &i) != 0 ||
        host_address_add(lab.host, 1, 4, &local, 24, false) != 0 || ledger_create(&ledger, &lab.ledger) != 0)
        bench_die("no memory");
    api = (struct api_config){.engine = lab.engine, .host = lab.host};
    if (api_context_create(&api, &lab.api) != 0)
        bench_die("no memory");
    api_rt(lab.api)->party = ledger_party_add(lab.ledger, "driver");
    api_set_current(lab.api);
    filter_at(FWPS_LAYER_ALE_CONNECT_REDIRECT_V4);
}

static void close_lab(void)
{
    api_set_current(NULL);
    api_context_destroy(lab.api);
    host_destroy(lab.host);
    engine_destroy(lab.engine);
    ledger_destroy(lab.ledger);
}

int main(void)
{
    static double t[WAYS][PASSES], d[WAYS][PASSES];

    open_lab();
    for (unsigned i = 0; i < PASSES; i++) {
        for (unsigned how = 0; how < WAYS; how++)
            t[how][i] = pass((enum how)how);
        for (unsigned how = 0; how < WAYS; how++)
            d[how][i] = t[how][i] - t[LOOKS][i];
    }
    printf("| the callout at CR | a connect and its end, ns | more than asked, ns |\n|---|---|---|\n");
    for (unsigned how = 0; how < WAYS; how++)
        printf("| %s | %.0f | %.0f |\n", names[how], bench_median(t[how], PASSES),
               bench_median(d[how], PASSES));
    close_lab();
    return 0;
}

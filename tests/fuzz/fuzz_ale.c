/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The input is a sequence of events for a host whose AC and RA have one callout each: packets of six tuples,
 * what the callouts answer, completions, policy changes, time, aborts, contexts. A naive reference
 * (ale_model.h) says for each what must become of the packet and whether anybody is asked. What must hold
 * besides: no step that the table does not know, one completion for each pend, flowDeleteFn once for each
 * context, and nothing left at the end.
 */
#include <stdint.h>

#include "../support/ale_model.h"
#include "host/host.h"
#include "stream.h"

#define TUPLES 6
#define PENDS  32

struct pend {
    HANDLE context;
    unsigned tuple;
    unsigned round; /* of the model's */
};

static struct world {
    struct engine *engine;
    struct host *host;
    struct model models[TUPLES];
    UINT64 flows[TUPLES]; /* id of the model's flow, as last seen by a callout */
    struct pend pends[PENDS];
    unsigned pend_count, asked_initially, asked_again;
    enum model_says says;
    bool associate;
    UINT64 asked_flow;
    HANDLE pended;
    unsigned associated, deleted;
    UINT64 now_ms, next_filter, policy_filter[2], frame;
} w;

/* From this host: three that it opens, three that it is called by. */
static const struct {
    bool tcp, in;
    uint16_t local, remote;
} tuples[TUPLES] = {
    {false, false, 4000, 53},   {false, false, 4001, 53},   {true, false, 50000, 443},
    {false, true, 7000, 40000}, {false, true, 7001, 40000}, {true, true, 80, 50001},
};

static void NTAPI classify(const FWPS_INCOMING_VALUES0 *values, const FWPS_INCOMING_METADATA_VALUES0 *m,
                           void *layer_data, const void *context, const FWPS_FILTER3 *filter, UINT64 flow,
                           FWPS_CLASSIFY_OUT0 *out)
{
    bool initially = m->currentMetadataValues & FWPS_METADATA_FIELD_COMPLETION_HANDLE;
    HANDLE unused;

    (void)layer_data;
    (void)context;
    (void)flow;
    REQUIRE(m->currentMetadataValues & FWPS_METADATA_FIELD_FLOW_HANDLE);
    w.asked_flow = m->flowHandle;
    *(initially ? &w.asked_initially : &w.asked_again) += 1;
    if (w.associate && host_flow_associate(w.host, m->flowHandle, values->layerId, filter->action.calloutId,
                                           1) == STATUS_SUCCESS)
        w.associated++;
    switch (w.says) {
    case MODEL_PERMIT:
        out->actionType = FWP_ACTION_PERMIT;
        return;
    case MODEL_PEND:
        if (!initially) {
            REQUIRE(host_pend(w.host, NULL, &unused) == STATUS_FWP_CANNOT_PEND);
            out->actionType = FWP_ACTION_PERMIT;
            return;
        }
        REQUIRE(host_pend(w.host, m->completionHandle, &w.pended) == STATUS_SUCCESS);
        /* fall through */
    case MODEL_ABSORB:
        out->flags |= FWPS_CLASSIFY_OUT_FLAG_ABSORB;
        /* fall through */
    default:
        out->actionType = FWP_ACTION_BLOCK;
        out->rights &= ~(UINT32)FWPS_RIGHT_ACTION_WRITE;
    }
}

static void NTAPI flow_deleted(UINT16 layer_id, UINT32 callout_id, UINT64 context)
{
    (void)layer_id;
    (void)callout_id;
    REQUIRE(context == 1);
    w.deleted++;
    REQUIRE(w.deleted <= w.associated);
}

static UINT64 add_filter(UINT16 layer, UINT32 callout)
{
    UINT64 id = w.next_filter++, weight = callout != 0 ? 1000000 : 1;
    FWPS_FILTER3 fwps = {.filterId = id,
                         .weight = {.type = FWP_UINT64, .uint64 = &weight},
                         .subLayerWeight = 1,
                         .action = {.type = callout != 0 ? FWP_ACTION_CALLOUT_TERMINATING : FWP_ACTION_PERMIT,
                                    .calloutId = callout}};
    struct engine_filter_desc desc = {.layer_id = layer, .fwps = &fwps, .callout_key = {.Data1 = callout}};
    struct engine_filter *f;
    struct engine_txn *x;

    REQUIRE(engine_filter_create(&desc, &f) == 0);
    REQUIRE(engine_txn_begin(w.engine, &x) == 0);
    REQUIRE(engine_txn_add(x, f) == 0);
    REQUIRE(engine_txn_commit(x) == 0);
    engine_filter_unref(f);
    return id;
}

static const UINT16 layers[2] = {FWPS_LAYER_ALE_AUTH_CONNECT_V4, FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V4};

static void change_policy(bool ra)
{
    struct engine_txn *x;

    if (w.policy_filter[ra] == 0) {
        w.policy_filter[ra] = add_filter(layers[ra], 0);
    } else {
        REQUIRE(engine_txn_begin(w.engine, &x) == 0);
        REQUIRE(engine_txn_remove(x, layers[ra], w.policy_filter[ra]) == 0);
        REQUIRE(engine_txn_commit(x) == 0);
        w.policy_filter[ra] = 0;
    }
    for (unsigned i = 0; i < TUPLES; i++)
        if (w.models[i].is == M_ALLOWED && w.models[i].opened_in == ra)
            w.models[i].due = true;
}

static void open_world(void)
{
    const struct host_interface_desc i = {.name = "one", .luid = 1, .index = 1, .type = 6};
    const union wire_addr local = {.v4 = 0x0a000001};
    struct host_config config = {.start_ns = 1000000000ull};

    memset(&w, 0, sizeof(w));
    w.now_ms = 1000;
    w.next_filter = 1;
    REQUIRE(engine_create(&w.engine) == 0);
    for (UINT32 n = 0; n < 2; n++) {
        const struct engine_callout c = {.key = {.Data1 = n + 1},
                                         .version = 3,
                                         .classify.v3 = classify,
                                         .id = n + 1,
                                         .layer_id = layers[n],
                                         .flow_delete = flow_deleted};

        REQUIRE(engine_callout_register(w.engine, &c) == 0);
        add_filter(layers[n], n + 1);
    }
    config.engine = w.engine;
    REQUIRE(host_create(&config, &w.host) == 0);
    REQUIRE(host_interface_add(w.host, &i) == 0);
    REQUIRE(host_address_add(w.host, 1, 4, &local, 24, false) == 0);
    for (unsigned n = 0; n < TUPLES; n++)
        w.models[n].tcp = tuples[n].tcp;
}

/* ---- packets ----------------------------------------------------------------------------------------------
 */

static void put16(uint8_t *at, unsigned v)
{
    at[0] = (uint8_t)(v >> 8);
    at[1] = (uint8_t)v;
}

static void put32(uint8_t *at, uint32_t v)
{
    put16(at, v >> 16);
    put16(at + 2, v & 0xffff);
}

static uint32_t build(uint8_t *b, unsigned n, bool in, bool syn, uint32_t sequence)
{
    uint32_t size = tuples[n].tcp ? 40 : 28;

    memset(b, 0, size);
    b[0] = 0x45;
    put16(b + 2, size);
    b[8] = 64;
    b[9] = tuples[n].tcp ? 6 : 17;
    put32(b + 12, in ? 0x0a000002 : 0x0a000001);
    put32(b + 16, in ? 0x0a000001 : 0x0a000002);
    put16(b + 10, wire_fold(wire_sum(b, 20, 0)));
    put16(b + 20, in ? tuples[n].remote : tuples[n].local);
    put16(b + 22, in ? tuples[n].local : tuples[n].remote);
    if (!tuples[n].tcp) {
        put16(b + 24, 8);
        return size;
    }
    put32(b + 24, syn ? sequence : 300);
    if (!syn)
        put32(b + 28, 500);
    b[32] = 0x50;
    b[33] = syn ? 0x02 : 0x10;
    put16(b + 34, 1000);
    return size;
}

static enum model_asked asked_since(void)
{
    REQUIRE(w.asked_initially + w.asked_again <= 1);
    return w.asked_initially ? MODEL_INITIALLY : w.asked_again ? MODEL_AGAIN : MODEL_NOT_ASKED;
}

static void packet(unsigned n, unsigned how, enum model_says says)
{
    static const enum host_fate fates[] = {HOST_PASSED, HOST_BLOCKED, HOST_ABSORBED, HOST_HELD,
                                           HOST_CONSEQUENCE};
    struct model *m = &w.models[n];
    struct model_packet p = {.in = how & 1, .says = says, .adopt_in = tuples[n].in};
    struct host_outcome out;
    struct model_result r;
    struct wire_packet wire;
    uint8_t bytes[64];
    uint32_t size;

    p.now = ++w.now_ms;
    model_time(m, p.now);
    if (tuples[n].tcp) {
        /* SYNs come from who opens, and not into a connection: what TCP makes of those is tcp.c's */
        p.syn = (how & 2) && m->is != M_ALLOWED;
        if (p.syn)
            p.in = tuples[n].in;
        p.sequence = how & 4 ? 100 : 200000;
    }
    size = build(bytes, n, p.in, p.syn, p.sequence);
    wire_parse(WIRE_LINK_RAW, bytes, size, size, &wire);
    w.asked_initially = w.asked_again = 0;
    w.pended = NULL;
    w.says = says;
    host_frame(w.host,
               &(struct host_frame){.packet = &wire,
                                    .number = ++w.frame,
                                    .time_ns = w.now_ms * 1000000,
                                    .interface_index = 1,
                                    .way = p.in ? HOST_WAY_IN : HOST_WAY_OUT},
               &out);
    r = model_packet(m, &p);
    REQUIRE(asked_since() == r.asked);
    REQUIRE(r.fate == MODEL_ANY || out.fate == fates[r.fate]);
    if (r.asked != MODEL_NOT_ASKED)
        w.flows[n] = w.asked_flow;
    if (w.pended != NULL)
        w.pends[w.pend_count++] = (struct pend){w.pended, n, m->round};
}

static void complete(unsigned i, enum model_says says)
{
    struct pend p = w.pends[i];
    struct model *m = &w.models[p.tuple];
    enum model_asked expected = MODEL_NOT_ASKED;

    w.pends[i] = w.pends[--w.pend_count];
    model_time(m, w.now_ms);
    if (m->round == p.round)
        expected = model_complete(m, says, w.now_ms);
    w.asked_initially = w.asked_again = 0;
    w.pended = NULL;
    w.says = says;
    REQUIRE(host_complete(w.host, p.context) == STATUS_SUCCESS);
    REQUIRE(asked_since() == expected);
    REQUIRE(host_complete(w.host, p.context) == STATUS_INVALID_PARAMETER);
}

static void close_world(void)
{
    struct host_counts c;

    while (w.pend_count != 0)
        complete(w.pend_count - 1, MODEL_PERMIT);
    host_shutdown(w.host);
    host_counts(w.host, &c);
    REQUIRE(c.impossible == 0);
    REQUIRE(c.flows_live == 0);
    REQUIRE(c.endpoints_live == 0);
    REQUIRE(w.deleted == w.associated);
    host_destroy(w.host);
    engine_destroy(w.engine);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct stream s = {data, size < 4096 ? size : 4096};

    open_world();
    while (stream_more(&s)) {
        unsigned what = take8(&s), n = what % TUPLES, detail = take8(&s);
        enum model_says says = detail & 3;

        w.associate = detail & 0x80;
        switch (what / TUPLES % 8) {
        case 0:
            if (w.pend_count != 0)
                complete(detail / 4 % w.pend_count, says);
            break;
        case 1:
            if (what >= 128)
                change_policy(detail & 1);
            else if (w.flows[n] != 0)
                REQUIRE((host_flow_abort(w.host, w.flows[n]) == STATUS_SUCCESS) ==
                        model_abort(&w.models[n], w.now_ms));
            break;
        case 2:
            w.now_ms += detail & 4 ? 70000 : 25000;
            host_advance(w.host, w.now_ms * 1000000);
            break;
        default:
            if (w.pend_count < PENDS)
                packet(n, detail >> 2, says);
        }
    }
    close_world();
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers that are given once more (recall.c) against answers that are asked for each time: two hosts over one engine, the
 * second with host_knobs.long_way, are given flows of random programs, ports and peers under random policies, which
 * change, as do profiles, callouts and what the event log wants to hear. Each frame's outcome, all that the observers
 * and the engine's observer hear, all that callouts are shown (values, metadata, packet, classifyOut) and all counters must be
 * the same; and answers must have been recalled, also such whose inspections were called all the same.
 *
 * The judge here answers by what it may answer by: which filters the known values refuse. In the place of what is unknown it
 * shows callouts values of its own, which it forgets now and then for others.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "host/indicate.h"
#include "host_lab.h"
#include "shown.h"

#define RULES   40
#define TOLD    64
#define OWNERS  5
#define CALLERS 6

struct word { /* what an observer heard */
    UINT64 number, frame, time_ns, flow_id, endpoint_id, filter_id, depends_on, unknown;
    GUID callout;
    UINT16 layer;
    UINT8 what, action, depends, empty, cause, direction, flags;
};

struct side {
    struct host *host;
    struct word told[TOLD];
    unsigned count;
    UINT64 logged;  /* what the engine's observer heard, mixed */
    uint64_t calls; /* of callouts, and what they were shown, mixed */
    struct host_outcome outcome;
};

struct world {
    struct host_lab lab; /* its engine and rules; its host is not used */
    struct side sides[2];
    struct side *now; /* whose frame it is */
    uint64_t x;
    UINT64 now_ns, frame;
    struct {
        char layer[24];
        UINT64 id; /* 0: none */
    } rules[RULES];
    struct host_lab_callout callouts[CALLERS];
    bool gone[CALLERS], foreign[CALLERS]; /* unregistered; and another machine's */
    unsigned callout_count;
    UINT64 forgets;
    FWP_VALUE0 supposed[2][ENGINE_MAX_FIELDS]; /* of unknown fields: those of forgets % 2, until it forgets */
    UINT64 met; /* calls of inspections beside other filters, by the first side */
};

static struct world *running; /* owner_of() and the engine's observer have no other way to it */

static unsigned any(struct world *w, unsigned below)
{
    w->x ^= w->x << 13;
    w->x ^= w->x >> 7;
    w->x ^= w->x << 17;
    return (unsigned)((w->x >> 24) % below);
}

static bool chance(struct world *w, unsigned one_in)
{
    return any(w, one_in) == 0;
}

/* ---- what is heard -------------------------------------------------------------------------------------- */

static void hear(struct side *s, const struct word *x)
{
    if (s->count < TOLD)
        s->told[s->count] = *x;
    s->count++;
}

static void on_classified(void *ctx, const struct host_event *e)
{
    struct word x;

    memset(&x, 0, sizeof(x));
    x.what = 1;
    x.number = e->number;
    x.frame = e->frame;
    x.time_ns = e->time_ns;
    x.flow_id = e->flow_id;
    x.endpoint_id = e->endpoint_id;
    x.filter_id = e->answer->verdict.filter_id;
    x.depends_on = e->answer->depends_on;
    x.unknown = e->unknown;
    if (e->answer->depends_on_callout != NULL)
        x.callout = *e->answer->depends_on_callout;
    x.layer = e->layer->id;
    x.action = e->answer->verdict.action == FWP_ACTION_BLOCK;
    x.flags = (UINT8)(e->answer->verdict.flags ^ e->answer->verdict.rights);
    x.depends = e->answer->depends;
    x.empty = e->empty;
    x.cause = (UINT8)e->cause;
    x.direction = (UINT8)e->packet_direction;
    assert_int_equal(e->request->values->layerId, e->layer->id);
    hear(ctx, &x);
}

static void on_flow(void *ctx, enum host_flow_change change, const struct host_flow_info *f)
{
    struct word x;

    memset(&x, 0, sizeof(x));
    x.what = 2;
    x.flow_id = f->id;
    x.endpoint_id = f->endpoint_id;
    x.action = (UINT8)change;
    x.cause = (UINT8)f->end;
    hear(ctx, &x);
}

/* The engine's observer: bfe's event log. */
static void on_logged(void *ctx, const struct engine_request *q, const struct engine_verdict *v)
{
    struct world *w = ctx;

    if (w->now != NULL)
        w->now->logged =
            w->now->logged * 31 + (v->filter_id << 8 | q->values->layerId) * (1 + v->ended_count) + v->action;
}

/* ---- what callouts are shown ---------------------------------------------------------------------------- */

/* host_lab_callout.also */
static void look(struct host_lab_callout *c, FWPS_CLASSIFY_OUT0 *out)
{
    struct world *w = c->ctx;
    uint64_t *h;

    if (w->now == NULL)
        return;
    h = &w->now->calls;
    shown_number(h, c->id);
    shown_number(h, c->values->layerId);
    for (UINT32 i = 0; i < c->values->valueCount; i++)
        shown_value(h, &c->values->incomingValue[i].value);
    shown_metadata(h, c->metadata);
    if (c->layer_data != NULL && c->values->layerId != FWPS_LAYER_STREAM_V4)
        shown_list(h, c->layer_data);
    shown_number(h, (UINT64)out->rights << 32 | out->filterId);
    shown_number(h, c->flow_context);
    w->met += c->inspects && w->now == &w->sides[0];
}

struct supposing {
    struct world *world;
    const struct engine_request *original;
    struct engine_request request;
    UINT64 unknown;
    FWPS_INCOMING_VALUES0 in;
    FWPS_INCOMING_VALUE0 values[ENGINE_MAX_FIELDS];
};

/* engine_request.complete */
static void suppose(void *ctx)
{
    struct supposing *x = ctx;

    engine_request_complete(x->original);
    x->request.metadata = x->original->metadata;
    x->request.layer_data = x->original->layer_data;
    x->in = *x->original->values;
    x->in.incomingValue = x->values;
    memcpy(x->values, x->original->values->incomingValue, x->in.valueCount * sizeof(x->values[0]));
    for (unsigned i = 0; i < x->in.valueCount; i++)
        if ((x->unknown >> i & 1) != 0)
            x->values[i].value = x->world->supposed[x->world->forgets % 2][i];
    x->request.values = &x->in;
}

static void forget(struct world *w)
{
    w->forgets++;
    for (unsigned i = 0; i < ENGINE_MAX_FIELDS; i++) {
        w->supposed[w->forgets % 2][i] =
            (FWP_VALUE0){.type = FWP_UINT32, .uint32 = (UINT32)w->forgets * 64 + i};
        w->supposed[(w->forgets + 1) % 2][i] = (FWP_VALUE0){.type = FWP_UINT8, .uint8 = 0xdd};
    }
}

/* Depends on the unknown fields of filters that the known ones leave possible; of foreign callouts on the first. */
static NTSTATUS judge(void *ctx, struct engine_reader *r, const struct host_question *q,
                      struct host_answer *answer)
{
    const struct engine_filter *const *filters;
    const size_t n = engine_snapshot_filters(q->snapshot, q->layer->id, &filters);
    const FWPS_INCOMING_VALUE0 *values = q->request->values->incomingValue;
    struct supposing x = {
        .world = running, .original = q->request, .request = *q->request, .unknown = q->unknown & q->tested};
    bool known[ENGINE_MAX_FIELDS];
    UINT16 fields[ENGINE_MAX_FIELDS];
    NTSTATUS status;

    (void)ctx;
    x.request.complete = suppose;
    x.request.complete_ctx = &x;
    status = engine_classify_pinned(r, q->snapshot, &x.request, &answer->verdict);
    answer->supposed = x.unknown;
    answer->supposed_values = running->supposed[running->forgets % 2];
    for (unsigned i = 0; i < ENGINE_MAX_FIELDS; i++)
        known[i] = (q->unknown >> i & 1) == 0;
    for (size_t i = 0; i < n; i++) {
        const struct engine_filter_desc *d = engine_filter_desc(filters[i]);
        const size_t count = engine_filter_fields(filters[i], fields, ENGINE_MAX_FIELDS);

        if (engine_filter_match3(filters[i], values, known) == ENGINE_MATCH_NO)
            continue;
        for (size_t k = 0; k < count; k++)
            answer->depends_on |= q->unknown & 1ULL << fields[k];
        if (answer->depends_on_callout == NULL && (d->fwps->action.type & FWP_ACTION_FLAG_CALLOUT) != 0 &&
            engine_callout_state(running->lab.engine, &d->callout_key) == ENGINE_CALLOUT_FOREIGN)
            answer->depends_on_callout = &d->callout_key;
    }
    answer->depends = answer->depends_on != 0 || answer->depends_on_callout != NULL;
    return status;
}

/* ---- programs ------------------------------------------------------------------------------------------- */

#define APP(text)                                                                                            \
    &(const FWP_BYTE_BLOB)                                                                                   \
    {                                                                                                        \
        sizeof(text) - 1, (UINT8 *)(uintptr_t)(text)                                                         \
    }
static const struct host_owner owners[OWNERS] = {
    {.app_id = APP("one"), .unknown = HOST_THING_USER | HOST_THING_PACKAGE},
    {.app_id = APP("two"), .unknown = HOST_THING_USER},
    {.app_id = APP("three")},
    {.app_id = APP("one"), .unknown = HOST_THING_APP},
    {.app_id = APP("four"), .unknown = HOST_THING_USER | HOST_THING_PACKAGE},
};

static const struct host_owner *owner_of(void *ctx, UINT64 time_ns, uint8_t version, uint8_t protocol,
                                         const union wire_addr *local, UINT16 local_port,
                                         const union wire_addr *remote, UINT16 remote_port)
{
    (void)ctx, (void)time_ns, (void)version, (void)protocol, (void)local, (void)remote, (void)remote_port;
    return local_port % 8 < OWNERS ? &owners[local_port % 8] : NULL;
}

/* ---- policy --------------------------------------------------------------------------------------------- */

static const char *const layers[] = {"RES", "AC", "AC", "RA",  "RA",  "FE",         "DD",        "IT",
                                     "OT",  "ST", "II", "AC6", "RA6", "RA_DISCARD", "AC_DISCARD"};
static const char *const four[] = {"10.0.0.9", "10.0.0.2", "10.0.0.3", "10.0.0.7", "224.0.0.251"};
static const char *const six[] = {"fd00::1", "fd00::2", "fd00::7"};

/* One condition at random; false: the layer has no such field. */
static bool condition(struct world *w, const char *layer, char *out, size_t size)
{
    static const char *const names[] = {"ip_local_port",
                                        "ip_remote_port",
                                        "ip_remote_port",
                                        "ip_remote_address",
                                        "ip_local_address",
                                        "ip_protocol",
                                        "ale_app_id",
                                        "flags",
                                        "interface_type",
                                        "direction",
                                        "current_profile_id",
                                        "original_profile_id",
                                        "local_interface_index",
                                        "arrival_interface_type",
                                        "ip_destination_address_type",
                                        "icmp_type"};
    const unsigned n = any(w, sizeof(names) / sizeof(names[0]));
    static const char ops[] = "=<>!";
    char value[32], op[3] = {ops[any(w, 4)], 0, 0};
    GUID key;

    if (engine_guid_by_name(ENGINE_GUID_CONDITION, names[n], &key) != 0 ||
        engine_layer_field(engine_layer_by_id(host_lab_layer(layer)), &key) < 0)
        return false;
    if (n < 3)
        snprintf(value, sizeof(value), "%u", n == 0 ? 2000 + any(w, 20) : 1024 + any(w, 12));
    else if (n < 5)
        snprintf(value, sizeof(value), "%s", strchr(layer, '6') != NULL ? six[any(w, 3)] : four[any(w, 5)]);
    else if (n == 5)
        snprintf(value, sizeof(value), "%s", chance(w, 2) ? "6" : "17");
    else if (n == 6)
        snprintf(value, sizeof(value), "%s", chance(w, 2) ? "one" : "two");
    else if (n == 7)
        snprintf(value, sizeof(value), "%s", chance(w, 2) ? "IS_LOOPBACK" : "IS_WILDCARD_BIND");
    else if (strstr(names[n], "interface_type") != NULL)
        snprintf(value, sizeof(value), "%s", chance(w, 2) ? "6" : "71");
    else
        snprintf(value, sizeof(value), "%u", any(w, 4));
    if (n == 6)
        op[0] = '=';
    if (n == 7)
        op[0] = '~';
    if (op[0] == '!')
        op[1] = '=';
    snprintf(out, size, " %s%s%s", names[n], op, value);
    return true;
}

static void conditions(struct world *w, const char *layer, char *out, size_t size)
{
    for (unsigned n = any(w, 4); n > 0; n--) {
        const size_t at = strlen(out);

        (void)condition(w, layer, out + at, size - at);
    }
}

static void change_rule(struct world *w, unsigned n)
{
    const char *layer = layers[any(w, sizeof(layers) / sizeof(layers[0]))];
    char text[256];

    if (w->rules[n].id != 0)
        host_lab_remove(&w->lab, w->rules[n].layer, w->rules[n].id);
    w->rules[n].id = 0;
    if (chance(w, 3))
        return;
    snprintf(w->rules[n].layer, sizeof(w->rules[n].layer), "%s", layer);
    snprintf(text, sizeof(text), "%s %s", chance(w, 3) ? "block" : "permit", layer);
    conditions(w, layer, text, sizeof(text));
    w->lab.sublayer = (UINT16)any(w, 3);
    w->rules[n].id = host_lab_rule(&w->lab, text);
}

/* Ours, or another machine's. */
static void add_callout(struct world *w)
{
    const char *layer = layers[any(w, sizeof(layers) / sizeof(layers[0]))];
    struct host_lab_callout *c;
    char text[256];

    if (w->callout_count == CALLERS)
        return;
    c = &w->callouts[w->callout_count++];
    c->action = chance(w, 2) ? FWP_ACTION_BLOCK : FWP_ACTION_PERMIT;
    c->inspects = !chance(w, 3);
    c->registered = chance(w, 6) ? FWP_CALLOUT_FLAG_CONDITIONAL_ON_FLOW : 0;
    c->also = look;
    c->ctx = w;
    w->lab.sublayer = (UINT16)any(w, 3);
    snprintf(text, sizeof(text), "%s", layer);
    conditions(w, layer, text, sizeof(text));
    host_lab_callout(&w->lab, text, c);
    if (!chance(w, 3))
        return;
    assert_int_equal(engine_callout_unregister(w->lab.engine, &c->key), STATUS_SUCCESS);
    w->gone[w->callout_count - 1] = true;
}

/* One whose filter stays becomes another machine's, or nobody's. */
static void turn_callout(struct world *w)
{
    const unsigned n = any(w, CALLERS);

    if (n >= w->callout_count || !w->gone[n])
        return;
    w->foreign[n] = !w->foreign[n];
    assert_int_equal(engine_callout_set_foreign(w->lab.engine, &w->callouts[n].key, w->foreign[n]), 0);
}

/* ---- frames --------------------------------------------------------------------------------------------- */

static void same_frame(struct world *w)
{
    const struct side *a = &w->sides[0], *b = &w->sides[1];
    const struct host_outcome *x = &a->outcome, *y = &b->outcome;

    assert_int_equal(x->fate, y->fate);
    assert_int_equal(x->note, y->note);
    assert_ptr_equal(x->layer, y->layer);
    assert_int_equal(x->filter_id, y->filter_id);
    assert_int_equal(x->reason, y->reason);
    assert_int_equal(x->depends, y->depends);
    assert_int_equal(x->flow_id, y->flow_id);
    assert_int_equal(a->logged, b->logged);
    assert_int_equal(a->calls, b->calls);
    assert_int_equal(a->count, b->count);
    assert_memory_equal(a->told, b->told, (a->count < TOLD ? a->count : TOLD) * sizeof(a->told[0]));
}

static void some_frame(struct world *w)
{
    const bool v6 = chance(w, 4), out = chance(w, 2);
    const char *us = v6             ? "fd00::1"
                     : chance(w, 3) ? "10.0.0.9"
                                    : "10.0.0.1",
               *peer = v6 ? six[any(w, 3)] : four[chance(w, 30) ? 4 : any(w, 4)];
    const UINT16 port = (UINT16)(2000 + any(w, 40)), other = (UINT16)(1024 + any(w, 16));
    const uint8_t protocols[] = {WIRE_PROTOCOL_TCP, WIRE_PROTOCOL_TCP, WIRE_PROTOCOL_UDP, WIRE_PROTOCOL_ICMP};
    struct packet p = {.protocol = protocols[any(w, 4)],
                       .src = out ? us : peer,
                       .dst = out ? peer : us,
                       .sport = out ? port : other,
                       .dport = out ? other : port,
                       .tcp_flags = chance(w, 8) ? WIRE_TCP_ACK : WIRE_TCP_SYN,
                       .seq = any(w, 1u << 20),
                       .fill = any(w, 8)};
    struct wire_packet parsed;
    struct host_frame f;
    uint8_t bytes[512];
    size_t size;

    if (p.protocol == WIRE_PROTOCOL_ICMP)
        p.icmp_type = v6 ? 128 : 8;
    size = packet_build(&p, bytes, sizeof(bytes));
    wire_parse(packet_link_type(p.link), bytes, (uint32_t)size, (uint32_t)size, &parsed);
    w->now_ns += chance(w, 100) ? any(w, 70) * 1000000000ull : 1000000;
    f = (struct host_frame){.packet = &parsed,
                            .number = ++w->frame,
                            .time_ns = w->now_ns,
                            .interface_index = chance(w, 5) ? 3 : 1,
                            .way = out ? HOST_WAY_OUT : HOST_WAY_IN};
    for (unsigned i = 0; i < 2; i++) {
        w->now = &w->sides[i];
        w->now->count = 0;
        host_prefetch(w->now->host, &f, 1);
        host_frame(w->now->host, &f, &w->now->outcome);
    }
    w->now = NULL;
    same_frame(w);
}

static void something(struct world *w)
{
    const unsigned what = any(w, 8), value = any(w, 3);
    const UINT32 index = chance(w, 2) ? 1 : 3;

    if (what < 2)
        change_rule(w, any(w, RULES));
    if (what == 2 && chance(w, 2))
        add_callout(w);
    if (what == 7)
        turn_callout(w);
    if (what == 7 && chance(w, 2))
        forget(w);
    if (what == 3)
        engine_observe_permits(w->lab.engine, chance(w, 4));
    if (what == 4)
        engine_observe_blocks(w->lab.engine, chance(w, 4));
    for (unsigned i = 0; i < 2; i++) {
        w->now = &w->sides[i];
        w->now->count = 0;
        if (what == 5)
            host_set_profile(w->now->host, index, value);
        if (what == 6)
            host_reauthorize(w->now->host, FWP_CONDITION_REAUTHORIZE_REASON_POLICY_CHANGE);
    }
    w->now = NULL;
    assert_int_equal(w->sides[0].count, w->sides[1].count);
}

static void make_side(struct world *w, struct side *s, bool long_way)
{
    static const struct host_interface_desc one = {.name = "one", .luid = 1, .index = 1, .type = 6},
                                            other = {.name = "other",
                                                     .luid = 3,
                                                     .index = 3,
                                                     .type = 71,
                                                     .unknown = HOST_THING_PROFILE,
                                                     .weak_host_receive = true,
                                                     .weak_host_send = true};
    const struct host_config config = {
        .engine = w->lab.engine,
        .knobs = {.long_way = long_way},
        .limits = {.flows = 64},
        .judge = {.judge = w->x % 4 != 0 ? judge : NULL, .forgets = &w->forgets},
        .observer = {.ctx = s, .decisions_only = true, .classified = on_classified, .flow = on_flow},
        .owner_of = owner_of,
        .start_ns = w->now_ns,
    };
    union wire_addr a;
    unsigned bits;

    assert_int_equal(host_create(&config, &s->host), 0);
    assert_int_equal(host_interface_add(s->host, &one), 0);
    assert_int_equal(host_interface_add(s->host, &other), 0);
    assert_int_equal(wire_addr_parse("10.0.0.1/24", &a, &bits), 4);
    assert_int_equal(host_address_add(s->host, 1, 4, &a, 24, false), 0);
    assert_int_equal(wire_addr_parse("10.0.0.9/24", &a, &bits), 4);
    assert_int_equal(host_address_add(s->host, 1, 4, &a, 24, false), 0);
    assert_int_equal(wire_addr_parse("fd00::1/64", &a, &bits), 6);
    assert_int_equal(host_address_add(s->host, 1, 6, &a, 64, false), 0);
}

static UINT64 run(unsigned seed, unsigned steps, UINT64 *met)
{
    struct world *w = calloc(1, sizeof(*w));
    struct engine_observer observer = {.classified = on_logged};
    struct host_counts counts[2];
    UINT64 recalled;

    assert_non_null(w);
    running = w;
    w->x = seed * 0x9e3779b97f4a7c15ull;
    host_lab_open(&w->lab, NULL);
    observer.ctx = w;
    engine_set_observer(w->lab.engine, &observer);
    engine_observe_blocks(w->lab.engine, false);
    forget(w);
    w->now_ns = 1000000000000ull;
    make_side(w, &w->sides[0], false);
    make_side(w, &w->sides[1], true);
    for (unsigned i = any(w, RULES); i > 0; i--)
        change_rule(w, i);
    for (unsigned i = any(w, CALLERS + 1); i > 0; i--)
        add_callout(w);
    for (unsigned i = 0; i < steps; i++) {
        some_frame(w);
        if (chance(w, 30))
            something(w);
    }
    for (unsigned i = 0; i < 2; i++)
        host_counts(w->sides[i].host, &counts[i]);
    if (memcmp(&counts[0], &counts[1], sizeof(counts[0])) != 0)
        print_message("seed %u\n", seed);
    assert_memory_equal(&counts[0], &counts[1], sizeof(counts[0]));
    recalled = w->sides[0].host->lanes[0].scratch->recalled;
    *met += w->met;
    assert_int_equal(w->sides[1].host->lanes[0].scratch->recalled, 0);
    for (unsigned i = 0; i < 2; i++)
        host_destroy(w->sides[i].host);
    engine_set_observer(w->lab.engine, NULL);
    host_lab_close(&w->lab);
    free(w);
    return recalled;
}

static void a_recalled_answer_is_the_engines(void **state)
{
    const char *text = getenv("WEIR_RUNS");
    const unsigned runs = text != NULL ? (unsigned)strtoul(text, NULL, 10) : 100;
    UINT64 recalled = 0, met = 0;

    (void)state;
    for (unsigned seed = 1; seed <= runs; seed++)
        recalled += run(seed, 300, &met);
    if (text != NULL)
        printf("%llu answers of %u runs were recalled, inspections called %llu times\n",
               (unsigned long long)recalled, runs, (unsigned long long)met);
    assert_true(recalled > runs * 50);
    assert_true(met > runs * 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_recalled_answer_is_the_engines)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The straight way of one callout (inspect.c) against the general one: two hosts over one engine, the second with
 * host_knobs.long_way, are given the same frames. At random layers stands one callout alone, or with a filter beside it, and
 * half of them are inspections, which are asked in one go where they follow each other, or beside an answer that was given
 * before; it looks at all that it is shown, and sometimes writes into the packet, moves its data, leaves marks on its list, keeps it, takes the filter of an inspection away
 * or brings one in, sets the network's profile, which counts for the same packet's next layer, gives the flow a context or takes
 * it away. Some run as drivers of their own: who runs, how deep in classifies and at which IRQL is what they are shown, too.
 * Programs of several users send, are sent to, bind, listen and close; the interface's profile changes.
 * What callouts were shown, what observers heard, each frame's outcome and changed bytes, and all counters must be the same.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "host/internal.h"
#include "host_lab.h"
#include "ndis/nbl.h"
#include "shown.h"

#define WORLDS 200
#define STEPS  250
#define MOST   8 /* callouts of a world */
#define HELD   4
#define BOUND  54 /* a port that a program has bound, raw and for all addresses */

struct side {
    struct host *host;
    struct host_endpoint *bound, *program;
    uint64_t shown; /* of everything that callouts were shown for this frame */
    unsigned calls, told;
    uint64_t heard;
    struct host_outcome outcome;
    bool lends, differs; /* its config says; and what went on differs from what came */
    uint8_t changed[600];
    NET_BUFFER_LIST *held[HELD];
};

struct world {
    struct host_lab lab; /* its engine and rules; its host is not used */
    struct side sides[2], *now;
    uint64_t x;
    UINT64 now_ns, frame;
    struct host_lab_callout callouts[MOST];
    const char *where[MOST];
    UINT64 filter[MOST]; /* 0: it has none */
    unsigned mischief;   /* drawn once for both sides */
    unsigned others;     /* one frame in so many is of the host with itself */
    bool ahead;          /* the frame's flow is looked up ahead of it */
    bool turned;         /* the filter of callouts[mischief / 16]: to be turned back behind the frame */
};

static uint64_t calls, changes, kept, turns, programs, lent, contexts;
static struct rt_context drivers[2];

static const FWP_BYTE_BLOB apps[2], users[2];
static const SID package = {1, 1, {{0, 0, 0, 0, 0, 15}}, {2}};
static const struct host_owner owners[] = {
    {.app_id = &apps[0], .token = &users[0], .process_id = 4},
    {.app_id = &apps[1], .token = &users[0], .process_id = 5, .package = &package},
    {.app_id = &apps[0], .token = &users[1], .process_id = 6, .unknown = HOST_THING_APP},
    {.app_id = &apps[1], .token = &users[1], .unknown = HOST_THING_USER | HOST_THING_PROCESS}};
#define OWNERS (sizeof(owners) / sizeof(owners[0]))

static unsigned any(struct world *w, unsigned below)
{
    w->x ^= w->x << 13;
    w->x ^= w->x >> 7;
    w->x ^= w->x << 17;
    return (unsigned)((w->x >> 24) % below);
}

/* ---- what is shown --------------------------------------------------------------------------------------- */

/* Packet layers: filters of the others bring flows to be asked about again, and those of the two sides at other frames. */
static bool is_of_packets(const char *where)
{
    static const char *const layers[] = {"DD", "II", "IT", "OT", "OI", "SPK", "MAC"};

    for (unsigned i = 0; i < sizeof(layers) / sizeof(layers[0]); i++)
        if (strncmp(where, layers[i], strlen(layers[i])) == 0)
            return true;
    return false;
}

static const char *layer_of(const struct world *w, unsigned i, char layer[16])
{
    snprintf(layer, 16, "%.*s", (int)strcspn(w->where[i], " "), w->where[i]);
    return layer;
}

/* Policy: an inspection's filter goes if it is there, comes if it is not. */
static void turn(struct world *w)
{
    const unsigned i = w->mischief / 16;
    char layer[16];

    if (!w->callouts[i].inspects || !is_of_packets(w->where[i]))
        return;
    w->turned = !w->turned;
    turns++;
    if (w->filter[i] == 0) {
        w->filter[i] = host_lab_callout_filter(&w->lab, w->where[i], &w->callouts[i]);
        return;
    }
    host_lab_remove(&w->lab, layer_of(w, i, layer), w->filter[i]);
    w->filter[i] = 0;
}

/* What drivers do to a packet, well or badly. */
static void play(struct world *w, struct host_lab_callout *c, NET_BUFFER_LIST *list)
{
    NET_BUFFER *nb = list->FirstNetBuffer;
    const unsigned what = w->mischief % 16, other = w->mischief / 16;
    char layer[16];
    uint8_t *at;

    switch (what) {
    case 0: /* in place */
        at = NdisGetDataBuffer(nb, 1, NULL, 1, 0);
        if (at != NULL)
            *at ^= 1;
        break;
    case 1:
        list->Scratch = w;
        nb->ProtocolReserved[0] = w;
        list->Status = NDIS_STATUS_FAILURE;
        break;
    case 2: /* into the headers and back */
        if (NdisRetreatNetBufferDataStart(nb, nb->DataOffset, 0, NULL) == NDIS_STATUS_SUCCESS)
            NdisAdvanceNetBufferDataStart(nb, nb->DataLength / 2, FALSE, NULL);
        break;
    case 3: /* beyond what is there */
        assert_int_equal(NdisRetreatNetBufferDataStart(nb, nb->DataOffset + 9, 5, NULL), NDIS_STATUS_SUCCESS);
        break;
    case 4:
        nb->MdlChain->ByteCount /= 2;
        nb->DataLength = 0;
        break;
    case 5:
        for (unsigned i = 0; i < HELD; i++) {
            if (w->now->held[i] != NULL)
                continue;
            assert_true(ndis_nbl_reference(list, false, NULL));
            w->now->held[i] = list;
            break;
        }
        break;
    case 6:
        if (!w->turned)
            turn(w);
        break;
    case 8: /* a context of the flow's; it may have one */
        (void)host_flow_associate(w->now->host, c->metadata->flowHandle, c->values->layerId, c->id,
                                  (UINT64)(uintptr_t)c);
        break;
    case 9:
    case 10: /* that of a callout that has perhaps been asked about the packet before */
        (void)host_flow_remove(w->now->host, c->metadata->flowHandle,
                               host_lab_layer(layer_of(w, other, layer)), w->callouts[other].id);
        break;
    case 7: /* another network, from the next layer on */
        host_set_profile(w->now->host, 1, 1 + (UINT32)(w->frame % 3));
        break;
    default:
        break;
    }
}

static void mix_thread(uint64_t *h)
{
    shown_number(h, (uintptr_t)rt_current());
    shown_number(h, rt_carried()->in_classify);
    shown_number(h, rt_carried()->irql);
}

/* A flow's context has gone. */
static void gone(struct host_lab_callout *c)
{
    struct world *w = c->ctx;

    contexts++;
    shown_number(&w->now->shown, c->id);
    mix_thread(&w->now->shown);
}

static void look(struct host_lab_callout *c, FWPS_CLASSIFY_OUT0 *out)
{
    struct world *w = c->ctx;
    uint64_t *h = &w->now->shown;

    w->now->calls++;
    calls++;
    shown_number(h, c->id);
    shown_number(h, c->values->layerId);
    for (UINT32 i = 0; i < c->values->valueCount; i++)
        shown_value(h, &c->values->incomingValue[i].value);
    shown_metadata(h, c->metadata);
    shown_number(h, out->actionType);
    shown_number(h, out->rights);
    shown_number(h, c->flow_context);
    mix_thread(h);
    shown_number(h, c->layer_data != NULL);
    if (c->layer_data == NULL || c->values->layerId == FWPS_LAYER_STREAM_V4 ||
        c->values->layerId == FWPS_LAYER_STREAM_V6)
        return;
    shown_list(h, c->layer_data);
    play(w, c, c->layer_data);
}

static void on_classified(void *ctx, const struct host_event *e)
{
    struct side *s = ctx;

    s->told++;
    shown_number(&s->heard, e->number);
    shown_number(&s->heard, e->layer->id);
    shown_number(&s->heard, e->answer->verdict.filter_id);
    shown_number(&s->heard, e->answer->verdict.action);
    shown_number(&s->heard, e->flow_id);
    shown_number(&s->heard, e->endpoint_id);
    shown_number(&s->heard, e->cause);
    shown_number(&s->heard, e->unknown);
    shown_number(&s->heard, e->empty);
    shown_number(&s->heard, e->request->values->layerId);
}

/* ---- frames ---------------------------------------------------------------------------------------------- */

static void let_go(struct side *s, unsigned i)
{
    if (s->held[i] != NULL)
        assert_true(ndis_nbl_dereference(s->held[i], NULL));
    s->held[i] = NULL;
}

static void same(struct world *w)
{
    const struct side *a = &w->sides[0], *b = &w->sides[1];
    const struct host_outcome *x = &a->outcome, *y = &b->outcome;

    assert_int_equal(a->calls, b->calls);
    assert_int_equal(a->shown, b->shown);
    assert_int_equal(a->told, b->told);
    assert_int_equal(a->heard, b->heard);
    assert_int_equal(x->fate, y->fate);
    assert_int_equal(x->note, y->note);
    assert_ptr_equal(x->layer, y->layer);
    assert_int_equal(x->filter_id, y->filter_id);
    assert_int_equal(x->flow_id, y->flow_id);
    assert_int_equal(x->depends, y->depends);
    assert_int_equal(x->kept, y->kept);
    assert_int_equal(a->differs, b->differs);
    assert_memory_equal(a->changed, b->changed, sizeof(a->changed));
    changes += a->differs;
    kept += x->kept;
}

static void one_frame(struct world *w)
{
    static const uint8_t kinds[] = {WIRE_PROTOCOL_TCP, WIRE_PROTOCOL_UDP, WIRE_PROTOCOL_UDP,
                                    WIRE_PROTOCOL_ICMP};
    const bool six = any(w, 4) == 0, by_us = any(w, 2);
    const unsigned peer = 2 + any(w, 3), remote = 1024 + any(w, 3), local = any(w, 3) != 0 ? 53 : BOUND;
    uint8_t bytes[600];
    struct wire_packet parsed;
    struct host_frame f = {
        .packet = &parsed, .interface_index = 1, .way = by_us ? HOST_WAY_OUT : HOST_WAY_IN};
    char text[32];
    struct packet p = {.protocol = kinds[any(w, 4)],
                       .sport = (UINT16)(by_us ? local : remote),
                       .dport = (UINT16)(by_us ? remote : local),
                       .icmp_type = six ? 128 : 8,
                       .id = any(w, 3),
                       .tcp_flags = any(w, 3) == 0 ? WIRE_TCP_SYN : WIRE_TCP_ACK,
                       .seq = any(w, 1000),
                       .fill = any(w, 90),
                       .link = any(w, 3) ? PACKET_ETHERNET : PACKET_RAW};
    size_t size;

    snprintf(text, sizeof(text), six ? "fd00::%u" : "10.0.0.%u", peer);
    p.src = by_us ? (six ? "fd00::1" : "10.0.0.1") : text;
    p.dst = by_us ? text : (six ? "fd00::1" : "10.0.0.1");
    if (any(w, 40) == 0)
        p.dst = six ? "ff02::1" : "10.0.0.255";
    if (any(w, w->others) == 0)
        p.src = p.dst = six ? "fd00::1" : "10.0.0.1";
    size = any(w, 30) == 0 ? packet_fragment(&p, 0, 16, bytes, sizeof(bytes))
                           : packet_build(&p, bytes, sizeof(bytes));
    wire_parse(packet_link_type(p.link), bytes, (uint32_t)(any(w, 30) == 0 ? any(w, (unsigned)size) : size),
               (uint32_t)size, &parsed);
    w->now_ns += any(w, 3) * 1000000;
    w->mischief = any(w, 16 * MOST);
    w->ahead = any(w, 4) != 0;
    f.number = ++w->frame;
    f.time_ns = w->now_ns;
    for (unsigned i = 0; i < 2; i++) {
        struct side *s = w->now = &w->sides[i];

        s->shown = s->heard = 14695981039346656037ull;
        s->calls = s->told = 0;
        memset(s->changed, 0, sizeof(s->changed));
        if (w->ahead)
            host_prefetch(s->host, &f, 1);
        host_frame(s->host, &f, &s->outcome);
        s->differs = s->outcome.changed != NULL && memcmp(s->outcome.changed, bytes, parsed.captured) != 0;
        if (s->differs) {
            memcpy(s->changed, s->outcome.changed, parsed.captured);
        } else if (s->outcome.changed != NULL) { /* as it came: only who lends may say so */
            assert_true(s->lends);
            lent++;
        }
        if (w->turned)
            turn(w);
    }
    assert_null(rt_current());
    assert_int_equal(rt_carried()->in_classify | rt_carried()->irql, 0);
    same(w);
}

static const struct host_owner *owner_of(void *ctx, UINT64 time_ns, uint8_t version, uint8_t protocol,
                                         const union wire_addr *local, UINT16 local_port,
                                         const union wire_addr *remote, UINT16 remote_port)
{
    const unsigned n = (unsigned)(local_port + 3 * remote_port + time_ns / 4000000) % (OWNERS + 1);

    (void)ctx, (void)version, (void)protocol, (void)local, (void)remote;
    return n < OWNERS ? &owners[n] : NULL;
}

/* A program binds a socket, and listens, or closes it. */
static void program(struct world *w)
{
    const struct host_socket socket = {.version = any(w, 3) == 0 ? 6 : 4,
                                       .protocol = any(w, 2) ? WIRE_PROTOCOL_TCP : WIRE_PROTOCOL_UDP,
                                       .port = (UINT16)(60 + any(w, 3)),
                                       .owner = &owners[any(w, OWNERS)]};

    for (unsigned i = 0; i < 2; i++) {
        struct side *s = w->now = &w->sides[i];

        s->shown = s->heard = 14695981039346656037ull;
        s->calls = s->told = 0;
        if (s->program != NULL) {
            host_close(s->host, s->program);
            s->program = NULL;
        } else if (host_bind(s->host, &socket, &s->program) == STATUS_SUCCESS &&
                   socket.protocol == WIRE_PROTOCOL_TCP) {
            (void)host_listen(s->host, s->program);
        }
    }
    same(w);
    programs += w->sides[0].calls;
}

static void make_side(struct world *w, struct side *s, bool general, unsigned kind)
{
    static const struct host_interface_desc one = {.name = "one", .luid = 1, .index = 1, .type = 6};
    const struct host_config config = {
        .engine = w->lab.engine,
        .knobs = {.long_way = general, .split_mdl = kind % 4 == 0 ? 7 : 0, .trust_checksums = true},
        .limits = {.flows = 64},
        .lends_bytes = general == (kind % 2 == 0), /* one of both sides */
        .observer = {.ctx = s, .decisions_only = true, .classified = kind % 3 == 0 ? NULL : on_classified},
        .owner_of = owner_of,
        .unknown = kind % 5 == 0 ? HOST_THING_PACKAGE : 0,
        .start_ns = w->now_ns,
    };
    const struct host_socket bound = {
        .version = 4, .protocol = WIRE_PROTOCOL_UDP, .raw = true, .port = BOUND};
    union wire_addr a;
    unsigned bits;

    s->lends = config.lends_bytes;
    assert_int_equal(host_create(&config, &s->host), 0);
    assert_int_equal(host_interface_add(s->host, &one), 0);
    assert_int_equal(wire_addr_parse("10.0.0.1/24", &a, &bits), 4);
    assert_int_equal(host_address_add(s->host, 1, 4, &a, 24, false), 0);
    assert_int_equal(wire_addr_parse("fd00::1/64", &a, &bits), 6);
    assert_int_equal(host_address_add(s->host, 1, 6, &a, 64, false), 0);
    assert_int_equal(host_bind(s->host, &bound, &s->bound), STATUS_SUCCESS);
}

static void add_callout(struct world *w, unsigned i)
{
    static const char *const where[] = {"DD",
                                        "DD6",
                                        "II",
                                        "IT",
                                        "OT",
                                        "OI",
                                        "SPK",
                                        "RA",
                                        "AC",
                                        "FE",
                                        "RES",
                                        "RR",
                                        "EC",
                                        "LIS",
                                        "AC6",
                                        "RA6",
                                        "FE6",
                                        "RES6",
                                        "EC6",
                                        "ST",
                                        "II6",
                                        "OI6",
                                        "MAC_IN",
                                        "MAC_OUT",
                                        "IT ip_remote_port=1025",
                                        "DD ip_local_port=53",
                                        "OT ip_remote_port=1024 ip_local_port=53"};
    static const FWP_ACTION_TYPE says[] = {FWP_ACTION_PERMIT, FWP_ACTION_PERMIT, FWP_ACTION_CONTINUE,
                                           FWP_ACTION_BLOCK};

    struct host_lab_callout *c = &w->callouts[i];

    w->where[i] = where[any(w, sizeof(where) / sizeof(where[0]))];
    c->inspects = any(w, 2);
    c->action = says[any(w, 4)];
    c->clear_write = any(w, 2);
    c->flags = any(w, 4) == 0 ? FWPS_CLASSIFY_OUT_FLAG_ABSORB : 0;
    c->also = look;
    c->gone = gone;
    c->ctx = w;
    c->runs_as = i < 2 ? NULL : &drivers[i % 2];
    w->filter[i] = host_lab_callout(&w->lab, w->where[i], c);
    w->mischief = i * 16;
    if (any(w, 4) == 0)
        turn(w);
    w->turned = false;
}

static void a_world(unsigned seed)
{
    static const char *const beside[] = {"permit DD", "permit II ip_remote_address=10.0.0.3", "permit RA"};
    struct world *w = calloc(1, sizeof(*w));
    struct host_counts counts[2];

    assert_non_null(w);
    w->x = seed * 0x9e3779b97f4a7c15ull;
    host_lab_open(&w->lab, NULL);
    w->now_ns = 1000000000000ull;
    w->others = seed % 4 == 0 ? 2 : 40;
    make_side(w, &w->sides[0], false, seed);
    make_side(w, &w->sides[1], true, seed);
    for (unsigned i = 0; i < MOST; i++)
        add_callout(w, i);
    if (any(w, 3) == 0)
        (void)host_lab_rule(&w->lab, beside[any(w, 3)]);
    for (unsigned i = 0; i < STEPS; i++) {
        one_frame(w);
        if (any(w, 12) == 0)
            program(w);
        if (any(w, 20) == 0)
            for (unsigned k = any(w, 3), n = 0; n < 2; n++)
                host_set_profile(w->sides[n].host, 1, k);
        if (any(w, 5) == 0)
            for (unsigned k = any(w, HELD), n = 0; n < 2; n++)
                let_go(&w->sides[n], k);
    }
    for (unsigned n = 0; n < 2; n++) {
        w->now = &w->sides[n];
        for (unsigned k = 0; k < HELD; k++)
            let_go(&w->sides[n], k);
        host_counts(w->sides[n].host, &counts[n]);
        host_close(w->sides[n].host, w->sides[n].bound);
        if (w->sides[n].program != NULL)
            host_close(w->sides[n].host, w->sides[n].program);
        host_destroy(w->sides[n].host);
    }
    assert_memory_equal(&counts[0], &counts[1], sizeof(counts[0]));
    host_lab_close(&w->lab);
    free(w);
}

static void both_ways_show_and_tell_the_same(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= WORLDS; seed++)
        a_world(seed);
    assert_true(calls > 1000 && changes > 20 && kept > 20 && turns > 20 && programs > 20 && lent > 20 &&
                contexts > 20); /* it was about something */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ways_show_and_tell_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random sequences of what redirectors may do, against a naive model: several callouts of different weight, several
 * connects that wait at the same time, each callout's every call decided by a hash of (seed, connect, callout, call), so
 * that model and callout decide alike. Compared: who is asked, in which order, about which destination, with REAUTHORIZE
 * or without; and where the connection goes in the end. Between the steps calls that are against the contract (completing
 * and releasing twice, applying and acquiring too late) must change nothing.
 *
 * The model is a list of callouts and one of answers, walked from the start after each event; it knows nothing of
 * operations, handles or versions.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fwpmk.h"
#include "host/host_redirect.h"
#include "driver_lab.h"

#define TCP(...)  .protocol = WIRE_PROTOCOL_TCP, .tcp_flags = (__VA_ARGS__)
#define CALLOUTS  4
#define CONNECTS  5
#define CALLS     64
#define FIRST     50000
#define ASKED_FOR 80

/* ---- decisions, for both --------------------------------------------------------------------------------------- */

struct decision {
    bool looks, pends, acquires_first, again, watches;
    UINT16 port; /* 0: none */
};

static uint64_t hash(uint64_t a, unsigned b, unsigned c, unsigned d)
{
    uint64_t x = a * 0x9e3779b97f4a7c15ull ^ (uint64_t)b << 40 ^ (uint64_t)c << 20 ^ d;

    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9ull;
    x ^= x >> 27;
    x *= 0x94d049bb133111ebull;
    return x ^ x >> 31;
}

static struct decision decide(uint64_t seed, unsigned connect, unsigned callout, unsigned call)
{
    const uint64_t x = hash(seed, connect, callout, call);
    struct decision d = {.looks = x % 4 == 0, .pends = x >> 8 & 1, .acquires_first = x >> 9 & 1};

    d.again = d.pends && call < 3 && (x >> 10) % 4 == 0;
    d.watches = d.pends && call == 0 && (x >> 16) % 3 == 0;
    d.port = (x >> 24) % 3 == 0 ? 0 : (UINT16)(1000 + (x >> 32) % 5000);
    if (d.looks)
        d = (struct decision){.looks = true};
    return d;
}

/* ---- the trace --------------------------------------------------------------------------------------------------- */

struct asked {
    unsigned callout;
    UINT16 port;
    bool again;
};
struct trace {
    struct asked call[CALLS];
    unsigned count;
};

static void note(struct trace *t, unsigned callout, UINT16 port, bool again)
{
    assert_true(t->count < CALLS);
    t->call[t->count++] = (struct asked){callout, port, again};
}

/* ---- the model --------------------------------------------------------------------------------------------------- */

struct model {
    uint64_t seed;
    unsigned connect, rounds;
    UINT16 port;
    unsigned versions;
    struct {
        unsigned calls, applied;
        bool answered, watches;
    } of[CALLOUTS];
    int waits; /* the callout; -1: none */
    struct trace trace;
};

static void model_change(struct model *m, unsigned c, UINT16 port)
{
    if (port != 0 && port != m->port) {
        m->port = port;
        m->versions++;
    }
    m->of[c].applied = m->versions;
}

static void model_walk(struct model *m)
{
    bool more;

    do {
        m->rounds++;
        for (unsigned c = 0; c < CALLOUTS; c++) {
            struct decision d;

            if (m->of[c].answered)
                continue;
            d = decide(m->seed, m->connect, c, m->of[c].calls++);
            note(&m->trace, c, m->port, m->rounds > 1);
            if (d.pends) {
                m->waits = (int)c;
                return;
            }
            if (!d.looks) {
                model_change(m, c, d.port);
                m->of[c].watches = false;
            }
            m->of[c].answered = true;
        }
        more = false;
        for (unsigned c = 0; c < CALLOUTS && m->rounds < 16; c++)
            if (m->of[c].watches && m->of[c].applied < m->versions) {
                m->of[c].answered = m->of[c].watches = false;
                more = true;
            }
    } while (more);
    m->waits = -1;
}

static void model_complete(struct model *m)
{
    const unsigned c = (unsigned)m->waits;
    const struct decision d = decide(m->seed, m->connect, c, m->of[c].calls - 1);

    model_change(m, c, d.port);
    m->of[c].watches = d.watches;
    m->of[c].answered = !d.again;
    model_walk(m);
}

/* ---- the callouts ------------------------------------------------------------------------------------------------ */

struct waiting {
    bool is;
    unsigned callout;
    UINT64 handle, filter_id;
    void *writable;
    struct decision d;
    FWPS_CLASSIFY_OUT0 out;
};

struct world {
    struct driver_lab *lab;
    uint64_t seed;
    unsigned calls[CONNECTS][CALLOUTS];
    struct waiting waits[CONNECTS];
    struct trace traces[CONNECTS];
    UINT64 stale[CONNECTS]; /* a handle that is given back; 0: none */
};
static struct world *world;

static UINT16 port_of(const SOCKADDR_STORAGE *a)
{
    return __builtin_bswap16(((const SOCKADDR_IN *)a)->sin_port);
}

static void apply(UINT64 handle, UINT64 filter_id, void *writable, const struct decision *d)
{
    FWPS_CONNECT_REQUEST0 *r = writable;

    if (r == NULL)
        assert_int_equal(FwpsAcquireWritableLayerDataPointer0(handle, filter_id, 0, (PVOID *)&r, NULL),
                         STATUS_SUCCESS);
    if (d->port != 0)
        ((SOCKADDR_IN *)&r->remoteAddressAndPort)->sin_port = __builtin_bswap16(d->port);
    FwpsApplyModifiedLayerData0(handle, r,
                                d->watches ? FWPS_CLASSIFY_FLAG_REAUTHORIZE_IF_MODIFIED_BY_OTHERS : 0);
}

static void play(struct driver_lab_script *s, const struct driver_lab_call *c)
{
    const unsigned callout = (unsigned)(uintptr_t)s->ctx - 1;
    const FWPS_CONNECT_REQUEST0 *shown = (const FWPS_CONNECT_REQUEST0 *)c->packet;
    const unsigned connect = port_of(&shown->localAddressAndPort) - FIRST;
    const struct decision d = decide(world->seed, connect, callout, world->calls[connect][callout]++);
    const UINT32 flags = c->values->incomingValue[FWPS_FIELD_ALE_CONNECT_REDIRECT_V4_FLAGS].value.uint32;
    void *writable = NULL;
    UINT64 handle;

    note(&world->traces[connect], callout, port_of(&shown->remoteAddressAndPort),
         (flags & FWP_CONDITION_FLAG_IS_REAUTHORIZE) != 0);
    c->out->actionType = FWP_ACTION_PERMIT;
    if (d.looks)
        return;
    assert_int_equal(FwpsAcquireClassifyHandle0((void *)c->classify_context, 0, &handle), STATUS_SUCCESS);
    if (d.pends) {
        if (d.acquires_first)
            assert_int_equal(
                FwpsAcquireWritableLayerDataPointer0(handle, c->filter->filterId, 0, &writable, c->out),
                STATUS_SUCCESS);
        assert_int_equal(FwpsPendClassify0(handle, c->filter->filterId, 0, c->out), STATUS_SUCCESS);
        c->out->actionType = FWP_ACTION_BLOCK;
        c->out->rights &= ~(UINT32)FWPS_RIGHT_ACTION_WRITE;
        world->waits[connect] =
            (struct waiting){true, callout, handle, c->filter->filterId, writable, d, *c->out};
        return;
    }
    apply(handle, c->filter->filterId, NULL, &d);
    FwpsReleaseClassifyHandle0(handle);
    world->stale[connect] = handle;
}

static void complete(unsigned connect)
{
    struct waiting w = world->waits[connect];

    world->waits[connect].is = false;
    apply(w.handle, w.filter_id, w.writable, &w.d);
    w.out.actionType = FWP_ACTION_PERMIT;
    w.out.rights |= FWPS_RIGHT_ACTION_WRITE;
    FwpsCompleteClassify0(w.handle, 0, w.d.again ? NULL : &w.out);
    FwpsReleaseClassifyHandle0(w.handle);
    world->stale[connect] = w.handle;
}

/* What a driver may not do. */
static void misuse(unsigned connect, unsigned what)
{
    const UINT64 handle = world->stale[connect];
    struct host *h = world->lab->host.host;
    FWPS_CLASSIFY_OUT0 out = {.actionType = FWP_ACTION_BLOCK};
    void *data;

    switch (what % 5) {
    case 0:
        assert_int_equal(host_classify_complete(h, handle, &out), HOST_CLASSIFY_NO_HANDLE);
        break;
    case 1:
        assert_int_equal(host_classify_release(h, handle), HOST_CLASSIFY_NO_HANDLE);
        break;
    case 2:
        assert_int_equal(host_classify_apply(h, handle, &out, 0), HOST_CLASSIFY_NO_HANDLE);
        break;
    case 3:
        assert_int_equal(host_classify_writable(h, handle, 1, &data, &out), STATUS_INVALID_HANDLE);
        break;
    default:
        assert_int_equal(host_classify_pend(h, handle, 1), STATUS_INVALID_HANDLE);
        break;
    }
}

/* ---- */

static void compare(const struct model *m, unsigned connect)
{
    const struct trace *t = &world->traces[connect];

    assert_int_equal(t->count, m->trace.count);
    for (unsigned i = 0; i < t->count; i++) {
        assert_int_equal(t->call[i].callout, m->trace.call[i].callout);
        assert_int_equal(t->call[i].port, m->trace.call[i].port);
        assert_int_equal(t->call[i].again, m->trace.call[i].again);
    }
    assert_int_equal(world->waits[connect].is, m->waits >= 0);
}

static void check_end(const struct model *m, unsigned connect)
{
    struct driver_lab *l = world->lab;
    struct wire_packet p;

    LAB_OUT(&l->host, TCP(WIRE_TCP_SYN), .seq = 1, .sport = (UINT16)(FIRST + connect), .dport = ASKED_FOR);
    assert_int_equal(l->host.outcome.fate, HOST_PASSED);
    if (m->port == ASKED_FOR) {
        assert_null(l->host.outcome.changed);
        return;
    }
    wire_parse(WIRE_LINK_ETHERNET, l->host.outcome.changed, 54, 54, &p);
    assert_int_equal(p.destination_port, m->port);
    assert_true(wire_verify(&p));
}

static void run(struct driver_lab *l, uint64_t seed)
{
    struct model models[CONNECTS];
    struct world w = {.lab = l, .seed = seed};
    uint64_t x = seed;
    bool any;

    world = &w;
    for (unsigned i = 0; i < CONNECTS; i++) {
        models[i] = (struct model){.seed = seed, .connect = i, .port = ASKED_FOR};
        model_walk(&models[i]);
        LAB_OUT(&l->host, TCP(WIRE_TCP_SYN), .seq = 1, .sport = (UINT16)(FIRST + i), .dport = ASKED_FOR);
        assert_int_equal(l->host.outcome.fate, models[i].waits >= 0 ? HOST_HELD : HOST_PASSED);
        compare(&models[i], i);
    }
    do {
        any = false;
        for (unsigned i = 0; i < CONNECTS; i++) {
            const unsigned at = (unsigned)((x = hash(x, i, 1, 2)) % CONNECTS);

            if (w.stale[at] != 0 && x >> 60 == 0)
                misuse(at, (unsigned)(x >> 20));
            any |= w.waits[i].is;
            if (!w.waits[at].is)
                continue;
            complete(at);
            model_complete(&models[at]);
            compare(&models[at], at);
        }
    } while (any);
    for (unsigned i = 0; i < CONNECTS; i++) {
        check_end(&models[i], i);
        LAB_IN(&l->host, TCP(WIRE_TCP_RST | WIRE_TCP_ACK), .sport = models[i].port,
               .dport = (UINT16)(FIRST + i), .ack = 2);
    }
    host_shutdown(l->host.host);
    world = NULL;
}

static void sequences(void **state)
{
    const char *seeds = getenv("REDIRECT_SEEDS");
    const unsigned count = seeds != NULL ? (unsigned)atoi(seeds) : 150;

    (void)state;
    for (unsigned seed = 1; seed <= count; seed++) {
        struct driver_lab *l = test_calloc(1, sizeof(*l));
        struct host_redirect_counts c;
        struct host_counts h;

        driver_lab_open(l, NULL);
        for (unsigned i = 0; i < CALLOUTS; i++)
            driver_lab_callout(
                l, "CR",
                SCRIPT(l, .then = play, .ctx = (void *)(uintptr_t)(i + 1), .sublayer = (UINT16)(1000 - i)));
        run(l, seed);
        host_redirect_counts(l->host.host, &c);
        assert_int_equal(c.handles, 0);
        assert_int_equal(c.pended, 0);
        host_counts(l->host.host, &h);
        assert_int_equal(h.impossible, 0);
        for (unsigned i = 0; i < LEDGER_FAULTS; i++)
            assert_int_equal(l->found[i], 0);
        driver_lab_close(l);
        test_free(l);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(sequences)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

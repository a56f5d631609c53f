/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random traffic under a policy that changes, against a naive model of which layers a packet meets in which
 * order: written from the semantics' text (ORD-05, 09, 10, 11, 17, 23; ALE-01, 02, 23, 26), with arrays for
 * state and a sentence for a rule, and sharing nothing with the host but the names of layers.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "host_lab.h"

#define PORTS 3 /* remote ones; filters are about them */
#define LOCAL 3
#define STEPS 3000

enum where { IT, RA, AC, DD, SPK, ST, OT, PLACES };
static const char *const names[PLACES] = {"IT", "RA", "AC", "DD", "SPK", "ST", "OT"};

enum standing { NOBODY, OPENED_OUT, OPENED_IN, REFUSED_OUT, REFUSED_IN };

struct talk { /* of one socket with one peer */
    enum standing standing;
    unsigned asked_under; /* version of the layer that authorized it */
    bool unsent_out, unsent_in, missed;
};

struct connection {
    struct host_lab_tcp tcp;
    struct host_endpoint *listener;
    bool open, inbound;
    unsigned asked_under;
};

struct model {
    struct host_lab lab;
    UINT64 filters[PLACES][PORTS]; /* a block there; 0: none */
    unsigned version[PLACES], changes;
    struct talk talks[LOCAL][PORTS];
    struct connection connections[PORTS];
    UINT16 next_port;
    uint32_t random;
    char expected[256];
};

static unsigned roll(struct model *m, unsigned n)
{
    m->random = m->random * 1664525u + 1013904223u;
    return (m->random >> 8) % n;
}

static void say(struct model *m, const char *word)
{
    size_t n = strlen(m->expected);

    snprintf(m->expected + n, sizeof(m->expected) - n, "%s%s", n != 0 ? " " : "", word);
}

/* A layer where filters stand: says it; false: blocked, which its discard layer hears of. */
static bool pass(struct model *m, enum where at, unsigned port, const char *word)
{
    char discard[64];

    say(m, word);
    if (m->filters[at][port] == 0)
        return true;
    if (at != SPK) {
        snprintf(discard, sizeof(discard), "%s_DISCARD(POLICY)", names[at]);
        say(m, discard);
    }
    return false;
}

/* ---- datagrams */

static enum host_fate datagram(struct model *m, unsigned local, unsigned port, bool out)
{
    struct talk *t = &m->talks[local][port];
    const bool open = t->standing == OPENED_OUT || t->standing == OPENED_IN;
    const enum where authority = open ? (t->standing == OPENED_OUT ? AC : RA) : out ? AC : RA;
    const bool again = open && t->asked_under != m->version[authority];

    /* what presupposes a packet that never was */
    if (t->standing == (out ? REFUSED_IN : REFUSED_OUT))
        return HOST_CONSEQUENCE;
    if (t->standing == OPENED_OUT && !out && t->unsent_out)
        return HOST_CONSEQUENCE;
    if (t->standing == OPENED_IN && out && t->unsent_in)
        return HOST_CONSEQUENCE;
    if (t->standing == NOBODY && out && t->missed)
        return HOST_CONSEQUENCE;

    if (!out) {
        say(m, "II");
        if (!pass(m, IT, port, !open || again ? "IT(ALE)" : "IT")) {
            if (t->standing == NOBODY)
                t->missed = true;
            else if (t->standing != OPENED_OUT)
                t->unsent_in = true;
            return HOST_BLOCKED;
        }
    }
    if (!open) {
        if (out)
            say(m, "CR");
        if (!pass(m, authority, port, names[authority])) {
            t->standing = out ? REFUSED_OUT : REFUSED_IN;
            return HOST_BLOCKED;
        }
        say(m, "FE");
        *t = (struct talk){.standing = out ? OPENED_OUT : OPENED_IN};
    } else if (again) {
        if (!pass(m, authority, port, authority == AC ? "AC(REAUTH)" : "RA(REAUTH)")) {
            *t = (struct talk){.standing = NOBODY};
            return HOST_BLOCKED;
        }
    }
    t->asked_under = m->version[authority];
    if (!pass(m, DD, port, "DD") || (out && !pass(m, OT, port, "OT"))) {
        if (out && t->standing == OPENED_OUT)
            t->unsent_out = true;
        if (!out && t->standing == OPENED_IN)
            t->unsent_in = true;
        return HOST_BLOCKED;
    }
    if (out) {
        say(m, "OI");
        t->unsent_out = false;
    } else {
        t->unsent_in = false;
    }
    return HOST_PASSED;
}

/* ---- connections */

static bool free_of_filters(const struct model *m, unsigned port)
{
    for (int i = 0; i < PLACES; i++)
        if (m->filters[i][port] != 0)
            return false;
    return true;
}

static void connection_begin(struct model *m, unsigned port)
{
    struct connection *c = &m->connections[port];
    struct host_socket s = {.version = 4, .protocol = WIRE_PROTOCOL_TCP};

    if (c->listener != NULL)
        host_close(m->lab.host, c->listener);
    *c = (struct connection){.open = true, .inbound = roll(m, 2)};
    s.port = c->tcp.local = m->next_port++;
    c->tcp.remote = (UINT16)(200 + port);
    if (!c->inbound) {
        assert_string_equal(host_lab_connect(&m->lab, &c->tcp),
                            "BR RES CR AC SPK OT OI | II IT SPK FE | SPK OT OI");
    } else {
        assert_int_equal(host_bind(m->lab.host, &s, &c->listener), STATUS_SUCCESS);
        assert_int_equal(host_listen(m->lab.host, c->listener), STATUS_SUCCESS);
        assert_string_equal(host_lab_accept(&m->lab, &c->tcp),
                            "II IT(ALE) RA SPK | SPK OT OI | II IT SPK FE");
    }
    c->asked_under = m->version[c->inbound ? RA : AC];
}

/* *taken: the receiver's TCP has the bytes. */
static enum host_fate data(struct model *m, unsigned port, bool out, bool *taken)
{
    struct connection *c = &m->connections[port];
    const enum where authority = c->inbound ? RA : AC;
    const bool again = c->asked_under != m->version[authority];

    *taken = out;
    if (!out) {
        say(m, "II");
        if (!pass(m, IT, port, again ? "IT(ALE)" : "IT"))
            return HOST_BLOCKED;
    } else if (!pass(m, ST, port, "ST")) {
        return HOST_BLOCKED;
    }
    if (again) {
        c->asked_under = m->version[authority];
        if (!pass(m, authority, port, authority == AC ? "AC(REAUTH)" : "RA(REAUTH)")) {
            c->open = false;
            return HOST_BLOCKED;
        }
    }
    if (!pass(m, SPK, port, "SPK"))
        return HOST_BLOCKED;
    if (!out) {
        *taken = true;
        return pass(m, ST, port, "ST") ? HOST_PASSED : HOST_BLOCKED;
    }
    if (!pass(m, OT, port, "OT"))
        return HOST_BLOCKED;
    say(m, "OI");
    return HOST_PASSED;
}

/* ---- the run */

static void change_policy(struct model *m)
{
    unsigned at = roll(m, PLACES), port = roll(m, PORTS);
    char rule[64];

    if (m->filters[at][port] != 0) {
        host_lab_remove(&m->lab, names[at], m->filters[at][port]);
        m->filters[at][port] = 0;
    } else {
        snprintf(rule, sizeof(rule), "block %s ip_remote_port=%u", names[at], 200 + port);
        m->filters[at][port] = host_lab_rule(&m->lab, rule);
    }
    m->version[at] = ++m->changes; /* OBJ-40: what came and went changed it too */
}

static void compare(struct model *m, enum host_fate fate, bool whole)
{
    if (whole)
        assert_string_equal(m->lab.seen, m->expected);
    else /* what a torn connection's end says comes after */
        assert_memory_equal(m->lab.seen, m->expected, strlen(m->expected));
    assert_string_equal(host_fate_name(m->lab.outcome.fate), host_fate_name(fate));
}

static void step(struct model *m)
{
    unsigned what = roll(m, 10), port = roll(m, PORTS), local = roll(m, LOCAL);
    bool out = roll(m, 2), taken;
    struct connection *c = &m->connections[port];
    enum host_fate fate;
    uint32_t before;

    m->expected[0] = '\0';
    if (what == 0) {
        change_policy(m);
    } else if (what < 6) {
        UINT16 near = (UINT16)(100 + local), far = (UINT16)(200 + port);

        fate = datagram(m, local, port, out);
        if (out)
            LAB_OUT(&m->lab, .sport = near, .dport = far, .fill = 4);
        else
            LAB_IN(&m->lab, .sport = far, .dport = near, .fill = 4);
        compare(m, fate, true);
    } else if (!c->open) {
        if (free_of_filters(m, port))
            connection_begin(m, port);
    } else {
        fate = data(m, port, out, &taken);
        before = out ? c->tcp.out : c->tcp.in;
        if (out)
            host_lab_send(&m->lab, &c->tcp, "data");
        else
            host_lab_receive(&m->lab, &c->tcp, "data");
        if (!taken)
            c->tcp.in = before; /* it comes again */
        compare(m, fate, c->open);
        if (!c->open) {
            host_lab_send(&m->lab, &c->tcp, "too late");
            assert_string_equal(m->lab.seen, "");
            assert_int_equal(m->lab.outcome.fate, HOST_CONSEQUENCE);
        }
    }
}

static void run(uint32_t seed)
{
    struct host_socket s = {.version = 4, .protocol = WIRE_PROTOCOL_UDP};
    struct host_endpoint *sockets[LOCAL];
    struct model *m = calloc(1, sizeof(*m));

    assert_non_null(m);
    host_lab_open(&m->lab, NULL);
    m->random = seed;
    m->next_port = 1000;
    for (unsigned i = 0; i < LOCAL; i++) {
        s.port = (UINT16)(100 + i);
        assert_int_equal(host_bind(m->lab.host, &s, &sockets[i]), STATUS_SUCCESS);
    }
    for (unsigned i = 0; i < STEPS; i++)
        step(m);
    for (unsigned i = 0; i < PORTS; i++)
        if (m->connections[i].listener != NULL)
            host_close(m->lab.host, m->connections[i].listener);
    for (unsigned i = 0; i < LOCAL; i++)
        host_close(m->lab.host, sockets[i]);
    host_lab_close(&m->lab);
    free(m);
}

static void random_traffic(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed <= 4; seed++)
        run(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_traffic),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A commit within a classify: the classify itself goes on with the policy that it began with, the same packet's next layer
 * has the new one (OBJ-11), also where inspections are asked in one go, and behind ALE's layers. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "host_lab.h"
#include "wire/wire.h"

/* A lab whose frames go to a host that nobody listens to: else its layers are asked one by one. */
struct quiet {
    struct host_lab lab;
    struct host *host;
    UINT64 frames;
};

struct turning {
    struct host_lab *l;
    struct host_lab_callout at, other; /* the former turns the latter's filter */
    const char *where;
    UINT64 filter; /* 0: it has none */
};

static void turn(struct host_lab_callout *c, FWPS_CLASSIFY_OUT0 *out)
{
    struct turning *t = c->ctx;

    (void)out;
    if (t->filter != 0)
        host_lab_remove(t->l, t->where, t->filter);
    t->filter = t->filter != 0 ? 0 : host_lab_callout_filter(t->l, t->where, &t->other);
}

static void turn_at(struct host_lab *l, struct turning *t, const char *at, const char *where)
{
    memset(t, 0, sizeof(*t));
    t->l = l;
    t->where = where;
    t->at.inspects = t->other.inspects = true;
    t->at.also = turn;
    t->at.ctx = t;
    t->filter = host_lab_callout(l, where, &t->other);
    host_lab_callout(l, at, &t->at);
}

static void quiet_open(struct quiet *q)
{
    static const struct host_interface_desc one = {.name = "one", .luid = 1, .index = 1, .type = 6};
    struct host_config config = {.start_ns = 1000000000};
    union wire_addr a;
    unsigned bits;

    memset(q, 0, sizeof(*q));
    host_lab_open(&q->lab, NULL);
    config.engine = q->lab.engine;
    assert_int_equal(host_create(&config, &q->host), 0);
    assert_int_equal(host_interface_add(q->host, &one), 0);
    assert_int_equal(wire_addr_parse("10.0.0.1", &a, &bits), 4);
    assert_int_equal(host_address_add(q->host, 1, 4, &a, 24, false), 0);
}

static void quiet_close(struct quiet *q)
{
    host_destroy(q->host);
    host_lab_close(&q->lab);
}

/* A datagram between the host's port and the peer's 53. */
static void datagram(struct quiet *q, UINT16 port, bool out)
{
    const struct packet p = {.protocol = WIRE_PROTOCOL_UDP,
                             .src = out ? "10.0.0.1" : "10.0.0.2",
                             .dst = out ? "10.0.0.2" : "10.0.0.1",
                             .sport = out ? port : 53,
                             .dport = out ? 53 : port};
    struct wire_packet parsed;
    struct host_frame f = {.packet = &parsed,
                           .interface_index = 1,
                           .way = out ? HOST_WAY_OUT : HOST_WAY_IN,
                           .number = ++q->frames,
                           .time_ns = 1000000000 + q->frames};
    struct host_outcome o;
    uint8_t bytes[128];
    const size_t size = packet_build(&p, bytes, sizeof(bytes));

    wire_parse(packet_link_type(p.link), bytes, (uint32_t)size, (uint32_t)size, &parsed);
    host_frame(q->host, &f, &o);
    assert_int_equal(o.fate, HOST_PASSED);
}

static void OBJ_11_the_next_layer_has_what_an_inspection_committed(void **state)
{
    struct quiet q;
    struct turning t;

    (void)state;
    quiet_open(&q);
    turn_at(&q.lab, &t, "OT", "OI");
    for (int n = 1; n <= 3; n++) {
        datagram(&q, 40000, true); /* it goes */
        assert_int_equal(t.at.calls, 2 * n - 1);
        assert_int_equal(t.other.calls, n - 1);
        datagram(&q, 40000, true); /* it comes */
        assert_int_equal(t.at.calls, 2 * n);
        assert_int_equal(t.other.calls, n);
    }
    quiet_close(&q);
}

static void OBJ_11_the_layers_behind_ale_have_what_was_committed_there(void **state)
{
    struct quiet q;
    struct turning t;

    (void)state;
    quiet_open(&q);
    turn_at(&q.lab, &t, "FE", "OT");
    datagram(&q, 40001, true);
    assert_int_equal(t.at.calls, 1);
    assert_int_equal(t.other.calls, 0);
    datagram(&q, 40002, true);
    assert_int_equal(t.at.calls, 2);
    assert_int_equal(t.other.calls, 1);
    quiet_close(&q);
}

/* Of a packet's way that has been gone before. */
static void OBJ_11_the_next_packet_has_what_was_committed(void **state)
{
    struct quiet q;
    struct host_lab_callout stays = {.inspects = true}, before = {.inspects = true},
                            after = {.inspects = true};
    UINT64 filter;

    (void)state;
    quiet_open(&q);
    host_lab_callout(&q.lab, "OT", &stays);
    filter = host_lab_callout(&q.lab, "OI", &before);
    for (int n = 0; n < 3; n++)
        datagram(&q, 40000, true);
    assert_int_equal(before.calls, 3);
    host_lab_callout(&q.lab, "OI", &after); /* before the other one goes: not where that stood */
    host_lab_remove(&q.lab, "OI", filter);
    for (int n = 0; n < 3; n++)
        datagram(&q, 40000, true);
    assert_int_equal(stays.calls, 6);
    assert_int_equal(before.calls, 3);
    assert_int_equal(after.calls, 3);
    quiet_close(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(OBJ_11_the_next_layer_has_what_an_inspection_committed),
        cmocka_unit_test(OBJ_11_the_next_packet_has_what_was_committed),
        cmocka_unit_test(OBJ_11_the_layers_behind_ale_have_what_was_committed_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

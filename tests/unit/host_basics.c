/* SPDX-License-Identifier: Apache-2.0 */
/* A host's interfaces, addresses, clock, counts and limits. */
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "host/internal.h"
#include "host_lab.h"

static union wire_addr addr(const char *text)
{
    union wire_addr a;

    assert_true(wire_addr_parse(text, &a, NULL) != 0);
    return a;
}

static bool local(const struct host_lab *l, uint8_t version, const char *text)
{
    union wire_addr a = addr(text);

    return host_is_local(l->host, version, &a);
}

static UINT8 type(const struct host_lab *l, uint8_t version, const char *text)
{
    union wire_addr a = addr(text);

    return host_address_type(l->host, version, &a);
}

static void interfaces_and_addresses(void **state)
{
    struct host_lab *l = *state;
    struct host_interface_desc d = {.name = "third", .index = 3, .type = 6};
    union wire_addr a = addr("10.1.0.0"), b = addr("10.0.0.1");
    const struct host_interface *home;

    assert_int_equal(host_interface_add(l->host, &d), 0);
    assert_int_equal(host_interface_add(l->host, &d), -EEXIST);
    assert_int_equal(host_interface_by_index(l->host, 3)->desc.mtu, 1500);
    assert_null(host_interface_by_index(l->host, 4));
    assert_int_equal(host_address_add(l->host, 9, 4, &a, 0, false), -EINVAL);
    assert_true(local(l, 4, "10.0.0.1") && local(l, 6, "fd00::1"));
    assert_true(local(l, 4, "127.9.9.9") && local(l, 6, "::1"));
    assert_false(local(l, 4, "10.0.0.2") || local(l, 6, "fd00::2") || local(l, 4, "10.1.0.7"));
    /* a prefix that is local as a whole, but for its broadcast address */
    assert_int_equal(host_address_add(l->host, 3, 4, &a, 24, true), 0);
    assert_true(local(l, 4, "10.1.0.7") && !local(l, 4, "10.1.1.7") && !local(l, 4, "10.1.0.255"));
    assert_int_equal(host_interface_of(l->host, 4, &a)->desc.index, 3);
    assert_int_equal(type(l, 4, "10.0.0.255"), NlatBroadcast);
    assert_int_equal(type(l, 4, "10.1.0.255"), NlatBroadcast);
    assert_int_equal(type(l, 4, "10.2.0.255"), NlatUnicast);
    assert_int_equal(type(l, 4, "255.255.255.255"), NlatBroadcast);
    assert_int_equal(type(l, 4, "224.0.0.1"), NlatMulticast);
    assert_int_equal(type(l, 6, "ff02::1"), NlatMulticast);
    assert_int_equal(type(l, 4, "0.0.0.0"), NlatUnspecified);
    assert_int_equal(type(l, 6, "fd00::ffff"), NlatUnicast);
    /* on two interfaces: at home on both */
    assert_true(host_local_at(l->host, 4, &b, host_interface_by_index(l->host, 3), &home));
    assert_int_equal(home->desc.index, 1);
    assert_int_equal(host_address_add(l->host, 3, 4, &b, 24, false), 0);
    assert_true(host_local_at(l->host, 4, &b, host_interface_by_index(l->host, 3), &home));
    assert_int_equal(home->desc.index, 3);
    /* many: the table grows */
    for (uint32_t i = 0; i < 1000; i++) {
        a.v4 = 0xc0000000 + i * 7;
        assert_int_equal(host_address_add(l->host, 1, 4, &a, 0, false), 0);
    }
    for (uint32_t i = 0; i < 7000; i++) {
        a.v4 = 0xc0000000 + i;
        assert_int_equal(host_is_local(l->host, 4, &a), i % 7 == 0);
    }
}

static void time_goes_on(void **state)
{
    struct host_lab *l = *state;
    UINT64 now = host_now(l->host);

    host_advance(l->host, now - 1);
    assert_true(host_now(l->host) == now);
    host_advance(l->host, now + 5);
    assert_true(host_now(l->host) == now + 5);
    /* a datagram's flow ends when it was idle for a minute, a frame's older time notwithstanding */
    LAB_OUT(l, .sport = 50000, .dport = 53);
    assert_string_equal(l->flows, "created authorized");
    host_lab_wait(l, 59000);
    assert_string_equal(l->flows, "");
    host_lab_wait(l, 1100);
    assert_string_equal(l->flows, "deleted(idle)");
    now = host_now(l->host);
    l->now_ns -= 5000000000;
    LAB_OUT(l, .sport = 50001, .dport = 53);
    assert_true(host_now(l->host) == now);
    /* years later, and once more, time goes on as it did: more ticks than can be counted, of which a day counts */
    for (unsigned i = 0; i < 3; i++) {
        l->now_ns += 4000ull * 86400 * 1000000000;
        host_lab_wait(l, 1);
        LAB_OUT(l, .sport = 50002, .dport = 53);
        assert_string_equal(l->flows, "created authorized");
        LAB_IN(l, .sport = 53, .dport = 50002);
        assert_string_equal(l->flows, "");
        host_lab_wait(l, 59000);
        assert_string_equal(l->flows, "");
        host_lab_wait(l, 1100);
        assert_string_equal(l->flows, "deleted(idle)");
    }
}

static void counts(void **state)
{
    struct host_lab *l = *state;
    struct host_counts c;

    host_lab_rule(l, "block OT ip_remote_port=54");
    LAB_OUT(l, .sport = 50000, .dport = 53);
    LAB_OUT(l, .sport = 50000, .dport = 54);
    LAB_IN(l, .sport = 54, .dport = 50000);
    LAB_IN(l, .ether_type = 0x0806, .no_transport = true, .fill = 28);
    LAB_IN(l, .bad = PACKET_BAD_IP_SUM);
    host_counts(l->host, &c);
    assert_int_equal(c.frames, 5);
    assert_int_equal(c.fates[HOST_PASSED], 1);
    assert_int_equal(c.fates[HOST_BLOCKED], 1);
    assert_int_equal(c.fates[HOST_CONSEQUENCE], 1);
    assert_int_equal(c.fates[HOST_IGNORED], 1);
    assert_int_equal(c.fates[HOST_STACK], 1);
    assert_int_equal(c.notes[HOST_NOTE_UNSENT_REQUEST], 1);
    assert_int_equal(c.flows_live, 2);
    assert_true(c.classified > 0);
    for (int i = 0; i < HOST_FATES; i++)
        assert_true(strlen(host_fate_name((enum host_fate)i)) > 1);
    for (int i = 1; i < HOST_NOTES; i++)
        assert_true(strlen(host_note_words((enum host_note)i)) > 1);
}

/* More flows, fragments and out-of-order bytes than there is room for: the oldest go, counted. */
static void limits_hold(void **state)
{
    struct host_lab *l = *state;
    struct host_config config = {.limits = {.flows = 64,
                                            .endpoints = 64,
                                            .fragment_bytes = 4096,
                                            .datagrams = 8,
                                            .stream_bytes = 4096,
                                            .segments_a_flow = 4}};
    struct packet_frame pieces[4];
    struct packet p = {.src = "10.0.0.2", .dst = "10.0.0.1", .sport = 1, .dport = 2, .fill = 100};
    struct host_lab_tcp t = {.local = 40000, .remote = 443};
    struct host_counts c;

    host_lab_close(l);
    host_lab_open(l, &config);
    for (unsigned i = 0; i < 1000; i++) {
        LAB_OUT(l, .sport = (uint16_t)(1000 + i), .dport = 53);
        assert_int_equal(l->outcome.fate, HOST_PASSED);
        p.id = i;
        packet_fragments(&p, 48, pieces, 4);
        host_lab_bytes(l, HOST_WAY_IN, WIRE_LINK_ETHERNET, pieces[0].bytes, pieces[0].size, pieces[0].size,
                       1);
        assert_int_equal(l->outcome.fate, HOST_PASSED);
    }
    host_lab_connect(l, &t);
    t.in += 100; /* a hole */
    for (unsigned i = 0; i < 1000; i++) {
        host_lab_receive(l, &t, "0123456789");
        assert_true(l->outcome.fate == HOST_PASSED || l->outcome.fate == HOST_STACK);
    }
    host_counts(l->host, &c);
    assert_true(c.flows_live <= 64);
    assert_true(c.endpoints_live <= 64);
    assert_true(c.flows_evicted >= 900);
    assert_true(c.datagrams_evicted >= 900);
    assert_true(c.segments_evicted > 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, host_lab_setup, host_lab_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(interfaces_and_addresses),
        TEST(time_goes_on),
        TEST(counts),
        TEST(limits_hold),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

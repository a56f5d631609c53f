/* SPDX-License-Identifier: Apache-2.0 */
/* Section 11: which way an injected packet goes, who sees it again, what becomes of it (INJ-10..19, 26..34). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fwpmk.h"
#include "fwpsk.h"

#include "packet_lab.h"

#define UDP_IN  .sport = 5353, .dport = 53, .data = "question"
#define UDP_OUT .sport = 53, .dport = 5353, .data = "question"
#define TCP(...) .protocol = WIRE_PROTOCOL_TCP, .tcp_flags = (__VA_ARGS__)

/* The bytes of the last frame from its IP header on. */
static const uint8_t *frame_ip(const struct packet_lab *l)
{
    return l->d.host.bytes + 14;
}

/* Settles and gives what was seen since the frame. */
static const char *give(struct packet_lab *l, struct taker *t, unsigned n)
{
    host_lab_reset(&l->d.host);
    assert_int_equal(packet_lab_give(l, t, n), STATUS_SUCCESS);
    return l->d.host.seen;
}

/* ---- INJ-10, 11 ----------------------------------------------------------------------------------------- */

PACKET_TEST(INJ_10_what_is_received_again_starts_at_the_bottom)
{
    struct taker *t = packet_lab_take(l, "DD", &(struct taker){.kind = HOST_INJECT_TRANSPORT_RECEIVE});

    LAB_IN(&l->d.host, UDP_IN);
    assert_int_equal(l->d.host.outcome.fate, HOST_ABSORBED);
    assert_true(l->d.host.outcome.kept);
    assert_string_equal(give(l, t, 0), "II IT DD");
    assert_int_equal(l->emitted_count, 1);
    assert_true(l->emitted[0]->e.inbound);
    assert_true(l->emitted[0]->e.unchanged);
    assert_int_equal(l->emitted[0]->e.origin, l->d.host.frame);
    assert_memory_equal(l->emitted[0]->bytes, frame_ip(l), l->emitted[0]->e.size);
    assert_int_equal(l->emitted[0]->e.link_size, 14);
    assert_memory_equal(l->emitted[0]->link, l->d.host.bytes, 14);
    assert_int_equal(l->completed, 1);
    assert_int_equal(l->statuses[0], STATUS_SUCCESS);
    assert_int_equal(l->released_count, 1);
    assert_true(l->released[0].injected);
    assert_int_equal(l->released[0].frame, l->d.host.frame);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(INJ_10_what_is_received_again_starts_at_the_bottom),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

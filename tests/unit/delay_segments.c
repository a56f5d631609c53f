/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who waits for whom, frame by frame: segments of an open connection and what they acknowledge, binds, what ICMP
 * errors quote, copies of what was absorbed, fragments. Each test gives frames by hand, with the outcome that a
 * host would have said, and looks at which wait, for how long, and as what they are told. replay_delay.c has the
 * random worlds.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "datapath/replay_delay.h"
#include "packets.h"

/* ---- frames by hand ------------------------------------------------------------------------------------ */

/* Gives a frame of 10.0.0.1 (out) or 10.0.0.2 to delay at `time` and, if it is to be fed, with this outcome.
 * What is told stands in `fates`, by number; WAITS until it is. */
enum { WAITS = HOST_FATES, TOLD = 32 };

struct hand {
    struct delay *delay;
    unsigned number, fates[TOLD];
    uint64_t delays[TOLD];
    bool unwritten[TOLD];
};

static void hand_drain(struct hand *h)
{
    struct delay_piece *piece;

    while ((piece = delay_told(h->delay)) != NULL) {
        h->fates[piece->packet.number] = piece->outcome.fate;
        h->delays[piece->packet.number] = piece->packet.delay_ns;
        h->unwritten[piece->packet.number] = piece->unwritten;
        delay_done(h->delay, piece);
    }
}

static unsigned hand_frame(struct hand *h, uint64_t time, const struct packet *what, struct host_outcome o)
{
    uint8_t bytes[2048];
    struct capture_packet p = {.number = ++h->number, .time_ns = time, .has_time = true, .bytes = bytes};
    struct host_outcome fate;
    struct wire_packet w;

    assert_true(h->number < TOLD);
    p.captured = p.length = (uint32_t)packet_build(what, bytes, sizeof(bytes));
    wire_parse(WIRE_LINK_ETHERNET, bytes, p.captured, p.length, &w);
    h->fates[p.number] = WAITS;
    switch (delay_frame(h->delay, &p, &w, &fate)) {
    case DELAY_WAITS:
        break;
    case DELAY_FATE:
        h->fates[p.number] = fate.fate;
        break;
    default:
        delay_feeding(h->delay, p.number);
        if (delay_fed(h->delay, NULL, &p, &w, &o, time))
            h->fates[p.number] = o.fate;
    }
    hand_drain(h);
    return p.number;
}

/* All that is due until then passes. */
static void hand_go(struct hand *h, uint64_t until)
{
    delay_settled(h->delay);
    hand_drain(h);
    while (delay_due(h->delay) <= until) {
        uint64_t now = 0;
        struct delay_piece *piece = delay_take(h->delay, &now);
        struct host_outcome o = {.fate = HOST_PASSED};

        delay_feeding(h->delay, piece->packet.number);
        assert_true(delay_fed(h->delay, piece, &piece->packet, &piece->wire, &o, now));
        h->fates[piece->packet.number] = o.fate;
        h->delays[piece->packet.number] = piece->packet.delay_ns;
        delay_done(h->delay, piece);
        hand_drain(h);
    }
}

static void hand_open(struct hand *h)
{
    const struct delay_limits unlimited = {0};

    memset(h, 0, sizeof(*h));
    assert_int_equal(delay_create(&unlimited, &h->delay), 0);
}

static void hand_close(struct hand *h)
{
    assert_true(delay_empty(h->delay));
    delay_destroy(h->delay);
}

static void emitted(struct hand *h, unsigned number, uint64_t at, bool whole)
{
    struct wire_packet nothing = {0};
    UINT64 which = 0;

    assert_true(delay_emitted(h->delay, number, &nothing, whole, at, &which));
    assert_int_equal(which, number);
    hand_drain(h);
}

#define SENT(...)                                                                                            \
    (&(struct packet){.src = "10.0.0.1", .dst = "10.0.0.2", .sport = 5000, .dport = 80, __VA_ARGS__})
#define CAME(...) CAME_FROM(80, __VA_ARGS__)
#define CAME_FROM(port, ...)                                                                                 \
    (&(struct packet){.src = "10.0.0.2", .dst = "10.0.0.1", .sport = (port), .dport = 5000, __VA_ARGS__})
#define TCP .protocol = WIRE_PROTOCOL_TCP, .tcp_flags = WIRE_TCP_ACK
static const struct host_outcome pass = {.fate = HOST_PASSED}, keep = {.fate = HOST_ABSORBED, .kept = true};

/* Of an open connection only what acknowledges a kept segment waits, what acknowledges that, and what is
 * behind. */
static void segments_wait_for_what_they_acknowledge(void **state)
{
    struct hand h;
    unsigned n[8];

    (void)state;
    hand_open(&h);
    n[0] = hand_frame(&h, 10, SENT(TCP, .seq = 100, .ack = 500, .fill = 10), keep);
    n[1] =
        hand_frame(&h, 20, SENT(TCP, .seq = 110, .ack = 500, .fill = 10), pass); /* sent without an answer */
    n[2] = hand_frame(&h, 30, CAME(TCP, .seq = 500, .ack = 100, .fill = 10), pass); /* it has not seen it */
    n[3] = hand_frame(&h, 40, CAME(TCP, .seq = 510, .ack = 110, .fill = 10), pass);
    n[4] = hand_frame(&h, 50, CAME(TCP, .seq = 520, .ack = 100), pass);             /* behind that */
    n[5] = hand_frame(&h, 60, SENT(TCP, .seq = 120, .ack = 510, .fill = 10), pass); /* has not seen that */
    n[6] = hand_frame(&h, 70, SENT(TCP, .seq = 130, .ack = 520), pass);             /* has */
    for (unsigned i = 0; i < 7; i++)
        assert_int_equal(h.fates[n[i]], i == 0 || i == 3 || i == 4 || i == 6 ? WAITS : HOST_PASSED);
    emitted(&h, n[0], 1010, false);
    delay_released(h.delay, n[0]);
    assert_int_equal(h.delays[n[0]], 1000);
    hand_go(&h, 1039);
    assert_int_equal(h.fates[n[3]], WAITS);
    hand_go(&h, 2000);
    for (unsigned i = 3; i < 7; i++) {
        assert_int_equal(h.fates[n[i]], HOST_PASSED);
        assert_int_equal(h.delays[n[i]], i == 5 ? 0 : 1000);
    }
    n[7] = hand_frame(&h, 3000, CAME(TCP, .seq = 530, .ack = 130), pass); /* the connection stays late */
    assert_int_equal(h.fates[n[7]], WAITS);
    hand_go(&h, 5000);
    assert_int_equal(h.delays[n[7]], 1000);
    hand_close(&h);
}

/* A SYN that comes again after the answer to the first does not change what that answered. */
static void the_answer_is_to_the_syn_before_it(void **state)
{
    for (unsigned kept = 0; kept < 2; kept++) {
        struct hand h;
        unsigned n[3];

        (void)state;
        hand_open(&h);
        n[0] = hand_frame(&h, 10, CAME(.protocol = WIRE_PROTOCOL_TCP, .tcp_flags = WIRE_TCP_SYN, .seq = 99),
                          keep);
        n[1] = hand_frame(&h, 20, SENT(TCP, .seq = 500, .ack = 100), pass);
        n[2] = hand_frame(&h, 110, CAME(.protocol = WIRE_PROTOCOL_TCP, .tcp_flags = WIRE_TCP_SYN, .seq = 99),
                          kept ? keep : pass);
        if (kept)
            emitted(&h, n[2], 110, false);
        hand_go(&h, 1000);
        assert_int_equal(h.fates[n[1]], HOST_PASSED);
        assert_int_equal(h.delays[n[1]], 100);
        delay_released(h.delay, n[2]);
        delay_released(h.delay, n[0]);
        hand_go(&h, 1000);
        assert_int_equal(h.fates[n[0]], HOST_ABSORBED);
        hand_close(&h);
    }
}

/* A bind under way holds up what came for it, which then goes to the host again. */
static void a_bind_holds_its_frame_up(void **state)
{
    const struct host_outcome held = {.fate = HOST_HELD};
    const struct host_completed bound = {.operation = HOST_OPERATION_BIND, .permitted = true};
    struct hand h;
    unsigned n[3];

    (void)state;
    hand_open(&h);
    n[0] = hand_frame(&h, 10, SENT(.fill = 4), held);
    n[1] = hand_frame(&h, 20, CAME(.fill = 4), pass);
    n[2] = hand_frame(&h, 30, CAME_FROM(81, .fill = 4), pass); /* another's */
    assert_true(h.fates[n[0]] == WAITS && h.fates[n[1]] == WAITS && h.fates[n[2]] == HOST_PASSED);
    delay_completed(h.delay, &bound, 110);
    hand_go(&h, 1000);
    assert_true(h.fates[n[0]] == HOST_PASSED && h.delays[n[0]] == 100);
    assert_true(h.fates[n[1]] == HOST_PASSED && h.delays[n[1]] == 100);
    hand_close(&h);
}

/* An ICMP error about a datagram that is held could only follow from it. */
static void errors_wait_for_what_they_quote(void **state)
{
    const struct packet *request = SENT(.fill = 8);
    struct hand h;
    unsigned n[2];

    (void)state;
    hand_open(&h);
    n[0] = hand_frame(&h, 10, request, keep);
    n[1] = hand_frame(&h, 20,
                      &(struct packet){.src = "10.0.0.3",
                                       .dst = "10.0.0.1",
                                       .protocol = WIRE_PROTOCOL_ICMP,
                                       .icmp_type = 3,
                                       .icmp_code = 3,
                                       .quotes = request},
                      pass);
    assert_int_equal(h.fates[n[1]], WAITS);
    delay_released(h.delay, n[0]); /* and nothing was injected */
    hand_go(&h, 30);
    assert_int_equal(h.fates[n[0]], HOST_ABSORBED);
    assert_int_equal(h.fates[n[1]], HOST_CONSEQUENCE);
    hand_close(&h);
}

/* A driver's own copy of what it absorbed without a reference or clone: a packet of no frame's. */
static bool copied(struct hand *h, const struct packet *what, uint64_t at)
{
    uint8_t bytes[2048];
    const uint32_t size = (uint32_t)packet_build(what, bytes, sizeof(bytes));
    struct wire_packet w;
    UINT64 number = 0;
    bool stands;

    wire_parse(WIRE_LINK_ETHERNET, bytes, size, size, &w);
    stands = delay_emitted(h->delay, 0, &w, true, at, &number);
    hand_drain(h);
    return stands;
}

#define SYN .protocol = WIRE_PROTOCOL_TCP, .tcp_flags = WIRE_TCP_SYN

static void what_was_absorbed_may_come_as_a_copy(void **state)
{
    const struct host_outcome absorb = {.fate = HOST_ABSORBED};
    const uint64_t second = 1000000000ull;

    (void)state;
    for (unsigned tcp = 0; tcp < 2; tcp++) {
        const struct packet *first = tcp ? SENT(SYN, .seq = 99) : SENT(.fill = 8),
                            *answer = tcp ? CAME(.protocol = WIRE_PROTOCOL_TCP, .seq = 500, .ack = 100,
                                                 .tcp_flags = WIRE_TCP_SYN | WIRE_TCP_ACK)
                                          : CAME(.fill = 8);
        struct hand h;
        unsigned n[3];

        /* within the instant: it stands for the frame */
        hand_open(&h);
        n[0] = hand_frame(&h, 10, first, absorb);
        assert_int_equal(h.fates[n[0]], WAITS);
        assert_true(copied(&h, first, 10));
        assert_int_equal(h.fates[n[0]], HOST_PASSED);
        n[1] = hand_frame(&h, 20, answer, pass);
        hand_go(&h, 20);
        assert_true(h.fates[n[1]] == HOST_PASSED && h.delays[n[1]] == 0);
        hand_close(&h);

        /* later: a packet of its own, from which the answers follow */
        hand_open(&h);
        n[0] = hand_frame(&h, 10, first, absorb);
        hand_go(&h, 10);
        assert_int_equal(h.fates[n[0]], HOST_ABSORBED);
        n[1] = hand_frame(&h, 20, answer, pass);
        assert_int_equal(h.fates[n[1]], WAITS);
        assert_false(copied(&h, answer, 50)); /* the other way: not that */
        hand_go(&h, 100);
        assert_int_equal(h.fates[n[1]], WAITS);
        assert_false(copied(&h, first, 1010));
        hand_go(&h, 1019);
        assert_int_equal(h.fates[n[1]], WAITS);
        hand_go(&h, 1020);
        assert_true(h.fates[n[1]] == HOST_PASSED && h.delays[n[1]] == 1000);
        n[2] = hand_frame(&h, 1500, answer, pass);
        assert_int_equal(h.fates[n[2]], WAITS);
        hand_go(&h, 2500);
        assert_true(h.fates[n[2]] == HOST_PASSED && h.delays[n[2]] == 1000);
        hand_close(&h);

        /* never: after five seconds the host is asked; of a datagram it is known what it would say */
        hand_open(&h);
        n[0] = hand_frame(&h, 10, first, absorb);
        hand_go(&h, 10);
        n[1] = hand_frame(&h, 20, answer, pass);
        n[2] = hand_frame(&h, 30, answer, pass);
        hand_go(&h, 5 * second + 19);
        assert_int_equal(h.fates[n[1]], WAITS);
        hand_go(&h, 6 * second);
        assert_int_equal(h.fates[n[1]], HOST_PASSED); /* so said the host here */
        assert_int_equal(h.fates[n[2]], tcp ? HOST_PASSED : HOST_CONSEQUENCE);
        assert_false(copied(&h, first, 7 * second)); /* too late */
        n[2] = hand_frame(&h, 8 * second, answer, pass);
        assert_int_equal(h.fates[n[2]], tcp ? HOST_PASSED : HOST_CONSEQUENCE);
        hand_close(&h);

        /* what was pended, or kept for a while, and is not injected was decided: nothing waits for a copy */
        hand_open(&h);
        n[0] = hand_frame(&h, 10, first, keep);
        delay_released(h.delay, n[0]);
        hand_go(&h, 10);
        n[1] = hand_frame(&h, 20, answer, pass);
        assert_int_equal(h.fates[n[1]], tcp ? HOST_PASSED : HOST_CONSEQUENCE);
        hand_close(&h);
    }
}

/* Later fragments have the fate of their datagram, whenever it is decided; those of an answer wait with the
 * first. */
static void fragments_go_together(void **state)
{
    const struct host_outcome held = {.fate = HOST_HELD};
    struct hand h;
    unsigned n[5];

    (void)state;
    hand_open(&h);
    n[0] = hand_frame(&h, 10, SENT(.id = 7, .more = true, .fill = 16), keep);
    n[1] = hand_frame(&h, 11, SENT(.id = 7, .offset = 24, .fill = 8), held);
    n[2] = hand_frame(&h, 20, CAME(.id = 9, .more = true, .fill = 16), pass);
    n[3] = hand_frame(&h, 21, CAME(.id = 9, .offset = 24, .fill = 8), pass);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(h.fates[n[i]], WAITS);
    emitted(&h, n[0], 110, false);
    delay_released(h.delay, n[0]);
    assert_true(h.fates[n[1]] == HOST_PASSED && h.delays[n[1]] == 99 && h.unwritten[n[1]]);
    hand_go(&h, 1000);
    assert_true(h.delays[n[2]] == 100 && h.delays[n[3]] == 100);
    n[4] = hand_frame(&h, 2000, SENT(.id = 7, .offset = 32, .fill = 8), held); /* after it has gone */
    assert_true(h.fates[n[4]] == HOST_PASSED && h.unwritten[n[4]]);
    hand_close(&h);
}

/* Of a datagram that was refused at once the later fragments, which the host still takes for held, are too;
 * and the answer, however many pieces it comes in, answers nothing. */
static void fragments_are_refused_together(void **state)
{
    const struct host_outcome held = {.fate = HOST_HELD};
    struct hand h;
    unsigned n[4];

    (void)state;
    hand_open(&h);
    n[0] = hand_frame(&h, 10, SENT(.id = 7, .more = true, .fill = 16), keep);
    delay_released(h.delay, n[0]);
    hand_go(&h, 10);
    assert_int_equal(h.fates[n[0]], HOST_ABSORBED);
    n[1] = hand_frame(&h, 11, SENT(.id = 7, .offset = 24, .fill = 8), held);
    assert_int_equal(h.fates[n[1]], HOST_ABSORBED);
    n[2] = hand_frame(&h, 20, CAME(.id = 9, .more = true, .fill = 16), pass);
    n[3] = hand_frame(&h, 21, CAME(.id = 9, .offset = 24, .fill = 8), pass);
    assert_true(h.fates[n[2]] == HOST_CONSEQUENCE && h.fates[n[3]] == HOST_CONSEQUENCE);
    hand_close(&h);
}
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(segments_wait_for_what_they_acknowledge),
        cmocka_unit_test(the_answer_is_to_the_syn_before_it),
        cmocka_unit_test(a_bind_holds_its_frame_up),
        cmocka_unit_test(errors_wait_for_what_they_quote),
        cmocka_unit_test(what_was_absorbed_may_come_as_a_copy),
        cmocka_unit_test(fragments_go_together),
        cmocka_unit_test(fragments_are_refused_together),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

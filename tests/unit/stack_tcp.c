/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules of TCP, segment by segment: a stack, and the test as its peer. Opening, refusing, closing, resets in every
 * state, what time alone does.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "stack_peer.h"

enum { SYN = WIRE_TCP_SYN, ACK = WIRE_TCP_ACK, FIN = WIRE_TCP_FIN, RST = WIRE_TCP_RST, PEER = PEER_ISS + 1 };

static struct peer lab;

static int open_lab(void **state)
{
    *state = &lab;
    peer_open(&lab, NULL);
    return 0;
}

static int close_lab(void **state)
{
    (void)state;
    peer_close(&lab);
    return 0;
}

static uint64_t deadline(const struct peer *p)
{
    return stack_deadline(p->stack, NULL);
}

/* ---- opening -------------------------------------------------------------------------------------------- */

static void connect_is_refused_by_reset(void **state)
{
    struct peer *p = *state;
    union wire_addr to = peer_address(4, 2);
    struct stack_socket *s = peer_socket(p, 4, WIRE_PROTOCOL_TCP);
    const struct wire_packet *w;
    char c;

    assert_int_equal(stack_send(s, "x", 1), -ENOTCONN);
    assert_int_equal(stack_connect(s, &to, 80), 0);
    assert_int_equal(stack_connect(s, &to, 80), -EISCONN);
    w = &peer_next(p)->w;
    p->own_port = w->source_port;
    peer_tcp(p, RST, 0, 0, NULL, 0); /* without an ACK it is not believed */
    peer_tcp(p, RST | ACK, 0, w->tcp_seq + 2, NULL, 0);
    assert_int_equal(stack_state(s), STACK_CONNECTING);
    peer_tcp(p, RST | ACK, 0, w->tcp_seq + 1, NULL, 0);
    assert_int_equal(stack_state(s), STACK_RESET);
    assert_int_equal(stack_receive(s, &c, 1, NULL, NULL), -ECONNREFUSED);
    assert_int_equal(deadline(p), UINT64_MAX);
    peer_expect_nothing(p);
    assert_true(p->events[STACK_EVENT_STATE] >= 1 && p->events[STACK_EVENT_READABLE] == 1);
}

static void syn_is_repeated_and_given_up(void **state)
{
    static const unsigned seconds[] = {1, 2, 4, 8, 16};
    struct peer *p = *state;
    union wire_addr to = peer_address(6, 2);
    struct stack_socket *s = peer_socket(p, 6, WIRE_PROTOCOL_TCP);
    uint32_t iss;

    assert_int_equal(stack_connect(s, &to, 80), 0);
    assert_true(p->kept[0].begins && p->kept[0].socket == s);
    iss = peer_next(p)->w.tcp_seq;
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(deadline(p), p->now + seconds[i] * PEER_S);
        peer_wait(p, seconds[i] * PEER_S - 1);
        peer_expect_nothing(p);
        peer_wait(p, 1);
        if (i < 4) {
            assert_false(p->kept[p->sent - 1].begins);
            peer_expect(p, SYN, iss, 0, 0);
        }
    }
    peer_expect_nothing(p);
    assert_int_equal(stack_state(s), STACK_TIMED_OUT);
    assert_int_equal(stack_send(s, "x", 1), -ETIMEDOUT);
    assert_int_equal(deadline(p), UINT64_MAX);
}

static void held_connect_waits_for_its_decision(void **state)
{
    struct peer *p = *state;
    union wire_addr to = peer_address(4, 2);
    struct stack_socket *s;

    p->answer = STACK_HELD;
    for (unsigned permitted = 0; permitted < 2; permitted++) {
        s = peer_socket(p, 4, WIRE_PROTOCOL_TCP);
        assert_int_equal(stack_connect(s, &to, 80), 0);
        assert_true(peer_next(p)->begins);
        assert_true(stack_is_held(s));
        assert_int_equal(stack_state(s), STACK_CONNECTING);
        assert_int_equal(deadline(p), UINT64_MAX);
        peer_wait(p, 3600 * PEER_S);
        peer_expect_nothing(p);
        stack_resume(s, permitted != 0);
        assert_false(stack_is_held(s));
        if (permitted != 0) {
            const struct peer_packet *k = peer_next(p);

            assert_true(k != NULL && !k->begins && k->w.tcp_flags == SYN);
            assert_int_equal(stack_state(s), STACK_CONNECTING);
            assert_int_equal(deadline(p), p->now + PEER_S);
            stack_resume(s, false); /* too late */
            assert_int_equal(stack_state(s), STACK_CONNECTING);
        } else {
            assert_int_equal(stack_state(s), STACK_REFUSED);
            assert_int_equal(stack_send(s, "x", 1), -EACCES);
        }
        peer_expect_nothing(p);
        stack_close(s);
    }
    /* Let go while it waits: nothing of it ever leaves. */
    s = peer_socket(p, 4, WIRE_PROTOCOL_TCP);
    assert_int_equal(stack_connect(s, &to, 80), 0);
    (void)peer_next(p);
    stack_close(s);
    peer_wait(p, 600 * PEER_S);
    peer_expect_nothing(p);
    p->answer = STACK_DENIED;
    s = peer_socket(p, 4, WIRE_PROTOCOL_TCP);
    assert_int_equal(stack_connect(s, &to, 80), 0);
    assert_int_equal(stack_state(s), STACK_REFUSED);
    assert_int_equal(deadline(p), UINT64_MAX);
}

static bool early_answer;
static void answer_early(struct peer *p, const struct stack_packet *k)
{
    (void)p;
    if (k->begins)
        stack_resume(k->socket, early_answer);
}

/* The decision may come before send() has said that it waits. */
static void decision_within_send(void **state)
{
    struct peer *p = *state;
    union wire_addr to = peer_address(4, 2);

    p->answer = STACK_HELD;
    p->sending = answer_early;
    for (unsigned i = 0; i < 2; i++) {
        struct stack_socket *s = peer_socket(p, 4, WIRE_PROTOCOL_TCP);

        early_answer = i != 0;
        assert_int_equal(stack_connect(s, &to, 80), 0);
        (void)peer_next(p);
        assert_false(stack_is_held(s));
        assert_int_equal(stack_state(s), early_answer ? STACK_CONNECTING : STACK_REFUSED);
        if (early_answer)
            assert_int_equal(peer_next(p)->w.tcp_flags, SYN);
        peer_expect_nothing(p);
    }
}

static void close_within_send(struct peer *p, const struct stack_packet *k)
{
    (void)p;
    if (k->socket != NULL)
        stack_abort(k->socket);
}

static void socket_let_go_within_send(void **state)
{
    struct peer *p = *state;
    union wire_addr to = peer_address(4, 2);
    struct stack_socket *s = peer_socket(p, 4, WIRE_PROTOCOL_TCP);
    struct stack_counts counts;
    uint32_t iss;

    p->answer = STACK_HELD;
    p->sending = close_within_send;
    assert_int_equal(stack_connect(s, &to, 80), 0);
    p->sending = NULL;
    p->answer = STACK_SENT;
    (void)peer_next(p);
    s = peer_connect(p, 4, &iss);
    p->sending = close_within_send;
    assert_int_equal(stack_send(s, "data", 4), 4);
    p->sending = NULL;
    peer_expect(p, ACK, iss + 1, PEER, 4);
    peer_expect(p, RST | ACK, iss + 5, PEER, 0);
    stack_counts(p->stack, &counts);
    assert_int_equal(counts.sockets, 0);
}

static void simultaneous_open(void **state)
{
    struct peer *p = *state;
    union wire_addr to = peer_address(4, 2);

    for (unsigned form = 0; form < 2; form++) {
        struct stack_socket *s = peer_socket(p, 4, WIRE_PROTOCOL_TCP);
        uint32_t iss;

        assert_int_equal(stack_connect(s, &to, 80), 0);
        p->own_port = p->kept[p->sent - 1].w.source_port;
        iss = peer_next(p)->w.tcp_seq;
        peer_tcp(p, SYN, PEER_ISS, 0, NULL, 0);
        assert_int_equal(stack_state(s), STACK_ACCEPTING);
        peer_expect(p, SYN | ACK, iss, PEER, 0);
        if (form == 0) /* as RFC 9293, figure 8, or by the other's own SYN ACK */
            peer_tcp(p, ACK, PEER, iss + 1, NULL, 0);
        else
            peer_tcp(p, SYN | ACK, PEER_ISS, iss + 1, NULL, 0);
        assert_int_equal(stack_state(s), STACK_CONNECTED);
        peer_expect_nothing(p);
        stack_abort(s);
        peer_expect(p, RST | ACK, iss + 1, PEER, 0);
    }
}

static struct stack_socket *listen_on(struct peer *p, uint16_t port, unsigned backlog)
{
    static const union wire_addr any;
    struct stack_socket *l = peer_socket(p, p->version, WIRE_PROTOCOL_TCP);

    assert_int_equal(stack_bind(l, &any, port, false), 0);
    assert_int_equal(stack_listen(l, backlog), 0);
    p->own_port = port;
    return l;
}

static void backlog_and_accept(void **state)
{
    struct peer *p = *state;
    struct stack_socket *l = listen_on(p, 443, 2), *s;
    struct stack_counts counts;
    uint32_t iss[2];

    assert_null(stack_accept(l));
    assert_true(stack_listens(p->stack, 4, WIRE_PROTOCOL_TCP, &(union wire_addr){.v4 = 0x0a000001}, 443));
    assert_false(stack_listens(p->stack, 4, WIRE_PROTOCOL_TCP, &(union wire_addr){.v4 = 0x0a000001}, 444));
    for (unsigned i = 0; i < 2; i++) {
        p->port = (uint16_t)(1000 + i);
        peer_tcp(p, SYN, PEER_ISS, 0, NULL, 0);
        iss[i] = peer_next(p)->w.tcp_seq;
        assert_null(stack_accept(l));
    }
    p->port = 1002; /* one too many */
    peer_tcp(p, SYN, PEER_ISS, 0, NULL, 0);
    peer_expect(p, RST | ACK, 0, PEER, 0);
    /* The second completes first, and is first. */
    p->port = 1001;
    peer_tcp(p, ACK, PEER, iss[1] + 1, "hello", 5);
    assert_int_equal(p->events[STACK_EVENT_ACCEPT], 1);
    p->port = 1000;
    peer_tcp(p, ACK, PEER, iss[0] + 1, NULL, 0);
    s = stack_accept(l);
    assert_non_null(s);
    {
        uint8_t version;
        union wire_addr a;
        uint16_t port;
        char text[8];

        stack_remote(s, &version, &a, &port);
        assert_int_equal(port, 1001);
        assert_int_equal(stack_receive(s, text, sizeof(text), NULL, NULL), 5);
        assert_memory_equal(text, "hello", 5);
    }
    stack_abort(s);
    /* There is room again. */
    p->port = 1003;
    p->looked = p->sent;
    peer_tcp(p, SYN, PEER_ISS, 0, NULL, 0);
    assert_int_equal(peer_next(p)->w.tcp_flags, SYN | ACK);
    /* Who was not accepted is reset when the listener goes. */
    stack_close(l);
    for (unsigned resets = 0; resets < 2; resets++)
        assert_int_equal(peer_next(p)->w.tcp_flags, RST | ACK);
    peer_expect_nothing(p);
    stack_counts(p->stack, &counts);
    assert_int_equal(counts.sockets, 0);
}

static void half_open_is_forgotten(void **state)
{
    struct peer *p = *state;
    struct stack_socket *l = listen_on(p, 443, 0);
    struct stack_counts counts;
    uint32_t iss;

    peer_tcp(p, SYN, PEER_ISS, 0, NULL, 0);
    iss = peer_next(p)->w.tcp_seq;
    peer_tcp(p, SYN, PEER_ISS, 0, NULL, 0); /* it did not hear */
    peer_expect(p, SYN | ACK, iss, PEER, 0);
    peer_tcp(p, ACK, PEER, iss + 2, NULL, 0); /* of something else */
    peer_expect(p, RST, iss + 2, 0, 0);
    peer_wait(p, 60 * PEER_S);
    stack_counts(p->stack, &counts);
    assert_int_equal(counts.sockets, 1);
    assert_int_equal(p->sent - p->looked, 4);
    p->looked = p->sent;
    peer_tcp(p, SYN, PEER_ISS, 0, NULL, 0);
    iss = peer_next(p)->w.tcp_seq;
    peer_tcp(p, RST, PEER, 0, NULL, 0); /* it thought better of it */
    stack_counts(p->stack, &counts);
    assert_int_equal(counts.sockets, 1);
    assert_int_equal(p->events[STACK_EVENT_ACCEPT], 0);
    stack_close(l);
}

static void nobody_there(void **state)
{
    struct peer *p = *state;

    for (uint8_t version = 4; version <= 6; version += 2) {
        p->version = version;
        p->own_port = 99;
        peer_tcp(p, SYN, 77, 0, NULL, 0);
        peer_expect(p, RST | ACK, 0, 78, 0);
        peer_tcp(p, ACK, 77, 1234, "abc", 3);
        peer_expect(p, RST, 1234, 0, 0);
        peer_tcp(p, FIN, 77, 0, "abc", 3);
        peer_expect(p, RST | ACK, 0, 81, 0);
        peer_tcp(p, RST, 77, 0, NULL, 0);
        peer_tcp(p, RST | ACK, 77, 5, NULL, 0);
        peer_expect_nothing(p);
    }
}

/* ---- closing -------------------------------------------------------------------------------------------- */

static void half_close(void **state)
{
    struct peer *p = *state;
    uint32_t iss;
    struct stack_socket *s = peer_connect(p, 4, &iss);
    uint64_t acts;
    char text[8];

    assert_int_equal(stack_shutdown(s), 0);
    peer_expect(p, FIN | ACK, iss + 1, PEER, 0);
    assert_int_equal(stack_state(s), STACK_CLOSING);
    assert_int_equal(stack_send(s, "x", 1), -EPIPE);
    peer_tcp(p, ACK, PEER, iss + 2, NULL, 0);
    assert_int_equal(deadline(p), UINT64_MAX);
    peer_tcp(p, ACK, PEER, iss + 2, "late", 4);
    assert_int_equal(stack_receive(s, text, 8, NULL, NULL), 4);
    assert_int_equal(stack_receive(s, text, 8, NULL, NULL), -EAGAIN);
    peer_tcp(p, FIN | ACK, PEER + 4, iss + 2, NULL, 0);
    peer_expect(p, ACK, iss + 2, PEER + 5, 0);
    assert_int_equal(stack_state(s), STACK_CLOSED);
    assert_int_equal(stack_receive(s, text, 8, NULL, NULL), 0);
    /* TIME_WAIT only lasts; the peer's FIN again makes it last anew. */
    assert_int_equal(stack_deadline(p->stack, &acts), p->now + 60 * PEER_S);
    assert_int_equal(acts, UINT64_MAX);
    peer_wait(p, 40 * PEER_S);
    peer_tcp(p, FIN | ACK, PEER + 4, iss + 2, NULL, 0);
    peer_expect(p, ACK, iss + 2, PEER + 5, 0);
    assert_int_equal(deadline(p), p->now + 60 * PEER_S);
    peer_tcp(p, RST, PEER + 5, 0, NULL, 0); /* RFC 1337 */
    assert_int_equal(deadline(p), p->now + 60 * PEER_S);
    stack_close(s);
    peer_wait(p, 60 * PEER_S);
    assert_int_equal(deadline(p), UINT64_MAX);
    peer_tcp(p, FIN | ACK, PEER + 4, iss + 2, NULL, 0);
    peer_expect(p, RST, iss + 2, 0, 0);
}

static void peer_closes_first(void **state)
{
    struct peer *p = *state;
    uint32_t iss;
    struct stack_socket *s = peer_connect(p, 6, &iss);
    char text[8];

    peer_tcp(p, FIN | ACK, PEER, iss + 1, "end", 3);
    peer_expect(p, ACK, iss + 1, PEER + 4, 0);
    assert_int_equal(stack_state(s), STACK_CLOSING);
    assert_int_equal(stack_receive(s, text, 8, NULL, NULL), 3);
    assert_int_equal(stack_receive(s, text, 8, NULL, NULL), 0);
    assert_int_equal(stack_send(s, "bye", 3), 3);
    peer_expect(p, ACK, iss + 1, PEER + 4, 3);
    assert_int_equal(stack_shutdown(s), 0);
    peer_expect(p, FIN | ACK, iss + 4, PEER + 4, 0);
    peer_tcp(p, ACK, PEER + 4, iss + 5, NULL, 0);
    assert_int_equal(stack_state(s), STACK_CLOSED);
    assert_int_equal(deadline(p), UINT64_MAX);
    assert_int_equal(stack_receive(s, text, 8, NULL, NULL), 0);
    peer_expect_nothing(p);
}

static void simultaneous_close(void **state)
{
    struct peer *p = *state;
    uint32_t iss;
    struct stack_socket *s = peer_connect(p, 4, &iss);

    assert_int_equal(stack_shutdown(s), 0);
    peer_expect(p, FIN | ACK, iss + 1, PEER, 0);
    peer_tcp(p, FIN | ACK, PEER, iss + 1, NULL, 0);
    peer_expect(p, ACK, iss + 2, PEER + 1, 0);
    assert_int_equal(stack_state(s), STACK_CLOSING);
    peer_tcp(p, ACK, PEER + 1, iss + 2, NULL, 0);
    assert_int_equal(stack_state(s), STACK_CLOSED);
    assert_int_equal(deadline(p), p->now + 60 * PEER_S);
    peer_expect_nothing(p);
}

static void time_wait_gives_way(void **state)
{
    struct peer *p = *state;
    struct stack_socket *l = listen_on(p, 443, 0), *s;
    uint32_t iss;

    peer_tcp(p, SYN, PEER_ISS, 0, NULL, 0);
    iss = peer_next(p)->w.tcp_seq;
    peer_tcp(p, ACK, PEER, iss + 1, NULL, 0);
    s = stack_accept(l);
    stack_close(s);
    peer_expect(p, FIN | ACK, iss + 1, PEER, 0);
    peer_tcp(p, FIN | ACK, PEER, iss + 2, NULL, 0);
    peer_expect(p, ACK, iss + 2, PEER + 1, 0);
    peer_tcp(p, SYN, PEER - 100, 0, NULL, 0); /* old */
    peer_expect(p, ACK, iss + 2, PEER + 1, 0);
    peer_tcp(p, SYN, PEER + 100, 0, NULL, 0); /* new */
    assert_int_equal(peer_next(p)->w.tcp_flags, SYN | ACK);
    stack_close(l);
}

static void let_go_with_data_unread(void **state)
{
    struct peer *p = *state;
    uint32_t iss;
    struct stack_socket *s = peer_connect(p, 4, &iss);

    peer_tcp(p, ACK, PEER, iss + 1, "unread", 6);
    stack_close(s);
    peer_expect(p, RST | ACK, iss + 1, PEER + 6, 0);
    assert_int_equal(deadline(p), UINT64_MAX);
    peer_expect_nothing(p);
}

static void let_go_and_data_comes(void **state)
{
    struct peer *p = *state;
    uint32_t iss;
    struct stack_socket *s = peer_connect(p, 4, &iss);
    struct stack_counts counts;
    uint64_t acts;

    assert_int_equal(stack_send(s, "last", 4), 4);
    peer_expect(p, ACK, iss + 1, PEER, 4);
    stack_close(s);
    peer_expect(p, FIN | ACK, iss + 5, PEER, 0);
    stack_counts(p->stack, &counts);
    assert_int_equal(counts.closing, 1);
    peer_tcp(p, ACK, PEER, iss + 6, NULL, 0);
    peer_tcp(p, ACK, PEER, iss + 6, "more", 4);
    peer_expect(p, RST | ACK, iss + 6, PEER, 0);
    stack_counts(p->stack, &counts);
    assert_int_equal(counts.sockets, 0);

    /* In FIN_WAIT_2 it waits for so long, and no longer. */
    s = peer_connect(p, 4, &iss);
    stack_close(s);
    peer_expect(p, FIN | ACK, iss + 1, PEER, 0);
    peer_tcp(p, ACK, PEER, iss + 2, NULL, 0);
    assert_int_equal(stack_deadline(p->stack, &acts), p->now + 60 * PEER_S);
    assert_int_equal(acts, UINT64_MAX);
    peer_wait(p, 60 * PEER_S);
    stack_counts(p->stack, &counts);
    assert_int_equal(counts.sockets, 0);
    peer_expect_nothing(p);

    /* So it is with an owner that only waits for the end, whether he says so before or then. */
    for (int early = 0; early < 2; early++) {
        s = peer_connect(p, 4, &iss);
        if (early)
            stack_wait_for_end(s);
        assert_int_equal(stack_shutdown(s), 0);
        peer_expect(p, FIN | ACK, iss + 1, PEER, 0);
        peer_tcp(p, ACK, PEER, iss + 2, NULL, 0);
        if (!early) {
            assert_int_equal(stack_deadline(p->stack, &acts), UINT64_MAX);
            stack_wait_for_end(s);
        }
        assert_int_equal(stack_deadline(p->stack, &acts), p->now + 60 * PEER_S);
        peer_wait(p, 60 * PEER_S);
        assert_int_equal(stack_state(s), STACK_CLOSED);
        stack_close(s);
        stack_counts(p->stack, &counts);
        assert_int_equal(counts.sockets, 0);
        peer_expect_nothing(p);
    }
}

/* ---- resets (RFC 9293, 3.10.7; RFC 5961) ------------------------------------------------------------------ */

enum reach {
    SYN_SENT,
    SYN_RECEIVED,
    ESTABLISHED,
    FIN_WAIT_1,
    FIN_WAIT_2,
    CLOSE_WAIT,
    CLOSING,
    LAST_ACK,
    TIME_WAIT
};

/* A socket in that state; what it awaits next from the peer, and what it sends next. */
static struct stack_socket *reach(struct peer *p, enum reach r, uint32_t *next, uint32_t *own)
{
    union wire_addr to = peer_address(4, 2);
    struct stack_socket *s;
    uint32_t iss;

    if (r <= SYN_RECEIVED) {
        s = peer_socket(p, 4, WIRE_PROTOCOL_TCP);
        assert_int_equal(stack_connect(s, &to, 80), 0);
        p->own_port = p->kept[(p->sent - 1) % PEER_KEPT].w.source_port;
        iss = peer_next(p)->w.tcp_seq;
        if (r == SYN_RECEIVED)
            peer_tcp(p, SYN, PEER_ISS, 0, NULL, 0);
    } else {
        s = peer_connect(p, 4, &iss);
    }
    *next = PEER;
    *own = iss + 1;
    if (r == CLOSE_WAIT || r == LAST_ACK)
        peer_tcp(p, FIN | ACK, (*next)++, iss + 1, NULL, 0);
    if (r >= FIN_WAIT_1 && r != CLOSE_WAIT) {
        assert_int_equal(stack_shutdown(s), 0);
        (*own)++;
    }
    if (r == FIN_WAIT_2 || r == TIME_WAIT)
        peer_tcp(p, ACK, *next, *own, NULL, 0);
    if (r == CLOSING)
        peer_tcp(p, FIN | ACK, (*next)++, iss + 1, NULL, 0);
    if (r == TIME_WAIT)
        peer_tcp(p, FIN | ACK, (*next)++, *own, NULL, 0);
    p->looked = p->sent;
    return s;
}

static void resets_in_every_state(void **state)
{
    static const uint8_t after[] = {
        [SYN_SENT] = STACK_RESET,   [SYN_RECEIVED] = STACK_RESET, [ESTABLISHED] = STACK_RESET,
        [FIN_WAIT_1] = STACK_RESET, [FIN_WAIT_2] = STACK_RESET,   [CLOSE_WAIT] = STACK_RESET,
        [CLOSING] = STACK_CLOSED,   [LAST_ACK] = STACK_CLOSED,    [TIME_WAIT] = STACK_CLOSED,
    };
    struct peer *p = *state;

    for (enum reach r = SYN_SENT; r <= TIME_WAIT; r++) {
        uint32_t next, own;
        struct stack_socket *s = reach(p, r, &next, &own);
        enum stack_state before = stack_state(s);
        char c;

        if (r != SYN_SENT) { /* within the window, but not at its edge: asked; outside: nothing */
            peer_tcp(p, RST, next + 1, 0, NULL, 0);
            peer_expect(p, ACK, own, next, 0);
            peer_tcp(p, RST, next - 1, 0, NULL, 0);
            peer_tcp(p, RST, next + 300000, 0, NULL, 0);
            peer_expect_nothing(p);
            assert_int_equal(stack_state(s), before);
        }
        peer_tcp(p, RST | (r == SYN_SENT ? ACK : 0), next, own, NULL, 0);
        peer_expect_nothing(p);
        assert_int_equal(stack_state(s), after[r]);
        if (after[r] == STACK_RESET)
            assert_int_equal(stack_receive(s, &c, 1, NULL, NULL),
                             r == SYN_SENT ? -ECONNREFUSED : -ECONNRESET);
        assert_int_equal(deadline(p), r == TIME_WAIT ? p->now + 60 * PEER_S : UINT64_MAX);
        stack_close(s);
        peer_expect_nothing(p);
    }
}

/* A SYN, an ACK of what was never sent, one from long ago, data beyond the window: an ACK says where we are. */
static void what_does_not_fit_is_told(void **state)
{
    struct peer *p = *state;

    for (enum reach r = ESTABLISHED; r <= TIME_WAIT; r++) {
        uint32_t next, own;
        struct stack_socket *s = reach(p, r, &next, &own);
        enum stack_state before = stack_state(s);

        if (r != TIME_WAIT) {
            peer_tcp(p, SYN, next, 0, NULL, 0);
            peer_expect(p, ACK, own, next, 0);
        }
        peer_tcp(p, ACK, next, own + 1, NULL, 0);
        peer_expect(p, ACK, own, next, 0);
        peer_tcp(p, ACK, next, own - 100000, NULL, 0);
        peer_expect(p, ACK, own, next, 0);
        peer_tcp(p, ACK, next + 400000, own, "far", 3);
        peer_expect(p, ACK, own, next, 0);
        peer_tcp(p, ACK, next - 1, own, NULL, 0); /* a probe */
        peer_expect(p, ACK, own, next, 0);
        peer_tcp(p, 0, next, 0, "no ACK", 6);
        peer_expect_nothing(p);
        assert_int_equal(stack_state(s), before);
        stack_abort(s);
        p->looked = p->sent;
    }
}

static void quarrel_is_limited(void **state)
{
    struct peer *p = *state;
    uint32_t iss;

    (void)peer_connect(p, 4, &iss);
    for (unsigned i = 0; i < 250; i++) {
        peer_tcp(p, ACK, PEER - 5, iss + 1, NULL, 0);
        p->looked = p->sent;
    }
    assert_int_equal(p->sent, 2 + 100);
    peer_wait(p, PEER_S);
    peer_tcp(p, ACK, PEER - 5, iss + 1, NULL, 0);
    assert_int_equal(p->sent, 2 + 101);
}

/* ---- sending and time ----------------------------------------------------------------------------------- */

static void data_is_repeated_and_given_up(void **state)
{
    static const unsigned tenths[] = {3, 6, 12, 24, 48, 96, 192, 384, 600, 600, 600};
    struct peer *p = *state;
    uint32_t iss;
    struct stack_socket *s = peer_connect(p, 4, &iss);
    struct stack_counts counts;

    assert_int_equal(stack_send(s, "lost", 4), 4);
    peer_expect(p, ACK, iss + 1, PEER, 4);
    for (unsigned i = 0; i < 11; i++) {
        assert_int_equal(deadline(p), p->now + tenths[i] * PEER_S / 10);
        peer_wait(p, tenths[i] * PEER_S / 10);
        if (i < 10)
            peer_expect(p, ACK, iss + 1, PEER, 4);
    }
    peer_expect_nothing(p);
    assert_int_equal(stack_state(s), STACK_TIMED_OUT);
    assert_int_equal(deadline(p), UINT64_MAX);
    stack_counts(p->stack, &counts);
    assert_int_equal(counts.retransmitted, 10);
}

static void acks_wait_for_company(void **state)
{
    struct peer *p = *state;
    uint32_t iss;

    (void)peer_connect(p, 4, &iss);
    peer_tcp(p, ACK, PEER, iss + 1, "one", 3);
    peer_expect_nothing(p);
    assert_int_equal(deadline(p), p->now + 40 * PEER_MS);
    peer_wait(p, 40 * PEER_MS);
    peer_expect(p, ACK, iss + 1, PEER + 3, 0);
    assert_int_equal(deadline(p), UINT64_MAX);
    peer_tcp(p, ACK, PEER + 3, iss + 1, "two", 3);
    peer_tcp(p, ACK, PEER + 6, iss + 1, "six", 3);
    peer_expect(p, ACK, iss + 1, PEER + 9, 0);
    peer_tcp(p, ACK, PEER + 12, iss + 1, "gap", 3); /* out of order: at once, and when it is filled */
    peer_expect(p, ACK, iss + 1, PEER + 9, 0);
    peer_tcp(p, ACK, PEER + 9, iss + 1, "gap", 3);
    peer_expect(p, ACK, iss + 1, PEER + 15, 0);
    peer_tcp(p, ACK, PEER + 9, iss + 1, "gap", 3); /* again */
    peer_expect(p, ACK, iss + 1, PEER + 15, 0);
    assert_int_equal(deadline(p), UINT64_MAX);
}

/* Opens with those options of the peer's SYN ACK. */
static struct stack_socket *connect_with(struct peer *p, const void *options, uint32_t size, uint32_t *iss)
{
    union wire_addr to = peer_address(4, 2);
    struct stack_socket *s = peer_socket(p, 4, WIRE_PROTOCOL_TCP);

    assert_int_equal(stack_connect(s, &to, 80), 0);
    p->own_port = p->kept[(p->sent - 1) % PEER_KEPT].w.source_port;
    *iss = peer_next(p)->w.tcp_seq;
    memcpy(p->options, options, size);
    p->option_size = size;
    peer_tcp(p, SYN | ACK, PEER_ISS, *iss + 1, NULL, 0);
    peer_expect(p, ACK, *iss + 1, PEER, 0);
    return s;
}

static void peer_says_how_large(void **state)
{
    struct peer *p = *state;
    uint8_t data[2000] = {0};
    uint32_t iss;
    struct stack_socket *s = connect_with(p, "\2\4\0\144", 4, &iss); /* MSS 100 */

    assert_int_equal(stack_send(s, data, 250), 250);
    peer_expect(p, ACK, iss + 1, PEER, 100);
    peer_expect(p, ACK, iss + 101, PEER, 100);
    peer_expect(p, ACK, iss + 201, PEER, 50);
    peer_expect_nothing(p);
    stack_abort(s);
    p->looked = p->sent;
    s = peer_connect(p, 4, &iss); /* it says nothing: 536 */
    assert_int_equal(stack_send(s, data, 600), 600);
    peer_expect(p, ACK, iss + 1, PEER, 536);
    peer_expect(p, ACK, iss + 537, PEER, 64);
}

static void three_duplicates(void **state)
{
    struct peer *p = *state;
    uint8_t data[500] = {0};
    uint32_t iss;
    struct stack_socket *s = connect_with(p, "\2\4\0\144", 4, &iss);

    assert_int_equal(stack_send(s, data, 500), 500);
    for (uint32_t i = 0; i < 5; i++)
        peer_expect(p, ACK, iss + 1 + i * 100, PEER, 100);
    peer_tcp(p, ACK, PEER, iss + 1, NULL, 0);
    peer_tcp(p, ACK, PEER, iss + 1, NULL, 0);
    peer_expect_nothing(p);
    peer_tcp(p, ACK, PEER, iss + 1, NULL, 0);
    peer_expect(p, ACK, iss + 1, PEER, 100);
    peer_tcp(p, ACK, PEER, iss + 1, NULL, 0); /* once is enough */
    peer_expect_nothing(p);
    peer_tcp(p, ACK, PEER, iss + 201, NULL, 0); /* a partial one: the next hole */
    peer_expect(p, ACK, iss + 201, PEER, 100);
    peer_tcp(p, ACK, PEER, iss + 501, NULL, 0);
    peer_expect_nothing(p);
    assert_int_equal(deadline(p), UINT64_MAX);
}

static void selective_answers(void **state)
{
    struct peer *p = *state;
    uint8_t data[800] = {0}, block[20] = {1, 1, 5, 18};
    uint32_t iss;
    struct stack_socket *s = connect_with(p, "\2\4\0\144\4\2\1\1", 8, &iss);

    assert_int_equal(stack_send(s, data, 800), 800);
    p->looked = p->sent;
    /* The second and the fourth are missing; the fifth to the seventh are there. */
    for (unsigned i = 0; i < 2; i++) {
        uint32_t first = iss + 1 + (i == 0 ? 200 : 400), end = iss + 1 + (i == 0 ? 300 : 700);

        for (unsigned k = 0; k < 4; k++) {
            block[4 + i * 8 + k] = (uint8_t)(first >> (24 - 8 * k));
            block[8 + i * 8 + k] = (uint8_t)(end >> (24 - 8 * k));
        }
    }
    memcpy(p->options, block, 20);
    p->option_size = 20;
    peer_tcp(p, ACK, PEER, iss + 101, NULL, 0);
    peer_expect(p, ACK, iss + 101, PEER, 100);
    peer_expect(p, ACK, iss + 301, PEER, 100);
    peer_expect_nothing(p);
    peer_tcp(p, ACK, PEER, iss + 701, NULL, 0);
    peer_expect_nothing(p);
    peer_tcp(p, ACK, PEER, iss + 801, NULL, 0);
    assert_int_equal(deadline(p), UINT64_MAX);
}

/* What came early is told with blocks, the latest first. */
static void selective_reports(void **state)
{
    struct peer *p = *state;
    uint32_t iss;
    const struct wire_packet *w;
    const uint8_t *o;

    (void)connect_with(p, "\4\2\1\1", 4, &iss);
    peer_tcp(p, ACK, PEER + 10, iss + 1, "0123456789", 10);
    w = peer_expect(p, ACK, iss + 1, PEER, 0);
    assert_int_equal(w->transport_header_size, 20 + 12);
    peer_tcp(p, ACK, PEER + 40, iss + 1, "0123456789", 10);
    w = peer_expect(p, ACK, iss + 1, PEER, 0);
    assert_int_equal(w->transport_header_size, 20 + 20);
    o = w->frame + w->transport_at + 20;
    assert_int_equal(o[2], 5);
    assert_int_equal(o[7], (PEER + 40) & 0xff);
    assert_int_equal(o[11], (PEER + 50) & 0xff);
    assert_int_equal(o[15], (PEER + 10) & 0xff);
    peer_tcp(p, ACK, PEER, iss + 1, "0123456789", 10);
    w = peer_expect(p, ACK, iss + 1, PEER + 20, 0);
    assert_int_equal(w->transport_header_size, 20 + 12);
}

static void shut_window_is_probed(void **state)
{
    struct peer *p = *state;
    uint8_t data[1000] = {0};
    uint32_t iss;
    struct stack_socket *s;

    p->window = 300;
    s = peer_connect(p, 4, &iss);
    assert_int_equal(stack_send(s, data, 1000), 1000);
    peer_expect(p, ACK, iss + 1, PEER, 300);
    peer_expect_nothing(p);
    p->window = 0;
    peer_tcp(p, ACK, PEER, iss + 301, NULL, 0);
    for (unsigned i = 0; i < 30; i++) { /* for as long as it answers */
        uint64_t at = deadline(p);

        assert_true(at != UINT64_MAX && at - p->now <= 60 * PEER_S);
        peer_wait(p, at - p->now);
        peer_expect(p, ACK, iss + 300, PEER, 0);
        peer_expect_nothing(p);
        peer_tcp(p, ACK, PEER, iss + 301, NULL, 0);
    }
    p->window = 5; /* a little: with nothing under way it is used */
    peer_tcp(p, ACK, PEER, iss + 301, NULL, 0);
    peer_expect(p, ACK, iss + 301, PEER, 5);
    p->window = 65535;
    peer_tcp(p, ACK, PEER, iss + 306, NULL, 0);
    peer_expect(p, ACK, iss + 306, PEER, 536);
    peer_expect(p, ACK, iss + 842, PEER, 159);
    p->window = 0;
    peer_tcp(p, ACK, PEER, iss + 1001, NULL, 0);
    assert_int_equal(deadline(p), UINT64_MAX); /* nothing waits */
    assert_int_equal(stack_send(s, data, 10), 10);
    peer_expect_nothing(p);
    for (unsigned i = 0; i < 11; i++) /* and it answers no more */
        peer_wait(p, deadline(p) - p->now);
    assert_int_equal(p->sent - p->looked, 10);
    assert_int_equal(stack_state(s), STACK_TIMED_OUT);
}

static void own_window_shuts_and_opens(void **state)
{
    struct stack_config c = {.without = STACK_WITHOUT_STAMPS | STACK_WITHOUT_SCALE,
                             .limits = {.receive_bytes = 1000}};
    uint8_t data[1000] = {0};
    const struct wire_packet *w;
    struct stack_socket *s;
    uint32_t iss;
    struct peer p;

    (void)state;
    peer_open(&p, &c);
    s = peer_connect(&p, 4, &iss);
    assert_int_equal(p.kept[p.sent - 1].w.tcp_window, 1000);
    peer_tcp(&p, ACK, PEER, iss + 1, data, 900);
    peer_tcp(&p, ACK, PEER + 900, iss + 1, data, 100);
    w = peer_expect(&p, ACK, iss + 1, PEER + 1000, 0);
    assert_int_equal(w->tcp_window, 0);
    peer_tcp(&p, ACK, PEER + 1000, iss + 1, "x", 1); /* beyond */
    w = peer_expect(&p, ACK, iss + 1, PEER + 1000, 0);
    assert_int_equal(w->tcp_window, 0);
    assert_int_equal(stack_receive(s, data, 100, NULL, NULL), 100); /* not worth a segment */
    peer_expect_nothing(&p);
    assert_int_equal(stack_receive(s, data, 400, NULL, NULL), 400);
    w = peer_expect(&p, ACK, iss + 1, PEER + 1000, 0);
    assert_int_equal(w->tcp_window, 500);
    peer_close(&p);
}

static void windows_are_scaled(void **state)
{
    struct peer *p = *state;
    uint8_t data[1000] = {0};
    uint32_t iss;
    struct stack_socket *s;
    const struct wire_packet *w;

    p->window = 100;
    s = connect_with(p, "\3\3\2\1", 4, &iss); /* the SYN's own is not scaled */
    w = &p->kept[p->sent - 1].w;
    assert_int_equal(w->tcp_window, 262144 >> 3);
    assert_int_equal(stack_send(s, data, 1000), 1000);
    peer_expect(p, ACK, iss + 1, PEER, 100);
    peer_tcp(p, ACK, PEER, iss + 101, NULL, 0);
    peer_expect(p, ACK, iss + 101, PEER, 400);
}

static void stamps(void **state)
{
    static const uint8_t sent[12] = {1, 1, 8, 10, 0, 0, 1, 0, 0, 0, 0, 0},
                         later[12] = {1, 1, 8, 10, 0, 0, 1, 5}, stale[12] = {1, 1, 8, 10, 0, 0, 0, 255};
    struct stack_config c = {0};
    const struct wire_packet *w;
    struct peer p;
    uint32_t iss;

    (void)state;
    peer_open(&p, &c);
    (void)connect_with(&p, sent, 12, &iss);
    w = &p.kept[p.sent - 1].w;
    assert_int_equal(w->transport_header_size, 32);
    assert_memory_equal(w->frame + w->transport_at + 28, "\0\0\1\0", 4);
    memcpy(p.options, later, 12);
    p.option_size = 12;
    peer_tcp(&p, ACK, PEER, iss + 1, "abc", 3);
    memcpy(p.options, stale, 12);
    p.option_size = 12;
    peer_tcp(&p, ACK, PEER + 3, iss + 1, "old", 3);
    w = peer_expect(&p, ACK, iss + 1, PEER + 3, 0); /* not taken */
    assert_memory_equal(w->frame + w->transport_at + 28, "\0\0\1\5", 4);
    peer_tcp(&p, ACK, PEER + 3, iss + 1, "none", 4);
    peer_expect(&p, ACK, iss + 1, PEER + 3, 0);
    peer_close(&p);
}

/* ---- limits and misuse ---------------------------------------------------------------------------------- */

static void limits_hold(void **state)
{
    struct stack_config c = {.limits = {.sockets = 3, .send_bytes = 5000}, .without = STACK_WITHOUT_STAMPS};
    static const union wire_addr any;
    uint8_t data[6000] = {0};
    struct stack_socket *s, *l, *third;
    struct peer p;
    uint32_t iss;

    (void)state;
    peer_open(&p, &c);
    s = peer_connect(&p, 4, &iss);
    assert_int_equal(stack_send(s, data, 6000), 5000);
    assert_int_equal(stack_send(s, data, 1), -EAGAIN);
    p.looked = p.sent;
    peer_tcp(&p, ACK, PEER, iss + 1001, NULL, 0);
    assert_int_equal(p.events[STACK_EVENT_WRITABLE], 2);
    assert_int_equal(stack_send(s, data, 6000), 1000);
    p.looked = p.sent;
    l = listen_on(&p, 443, 0);
    third = peer_socket(&p, 6, WIRE_PROTOCOL_UDP);
    assert_int_equal(stack_open(p.stack, 4, WIRE_PROTOCOL_TCP, NULL, &s), -ENOBUFS);
    assert_null(s);
    p.port = 9999;
    peer_tcp(&p, SYN, PEER_ISS, 0, NULL, 0); /* no room for a connection */
    peer_expect_nothing(&p);
    stack_close(third);
    peer_tcp(&p, SYN, PEER_ISS, 0, NULL, 0);
    assert_int_equal(peer_next(&p)->w.tcp_flags, SYN | ACK);
    stack_close(l);
    s = peer_socket(&p, 4, WIRE_PROTOCOL_TCP);
    assert_int_equal(stack_bind(s, &any, 443, false), 0);
    assert_int_equal(stack_bind(s, &any, 444, false), -EINVAL);
    peer_close(&p);
}

/* As many pieces out of order as are kept, every second byte: nothing more is taken than there is room for. */
static void crumbs_are_bounded(void **state)
{
    struct peer *p = *state;
    struct stack_counts before, after;
    uint32_t iss;
    struct stack_socket *s = peer_connect(p, 4, &iss);
    char text[512];

    stack_counts(p->stack, &before);
    for (uint32_t i = 0; i < 200; i++) {
        peer_tcp(p, ACK, PEER + 1 + 2 * i, iss + 1, "b", 1);
        p->looked = p->sent;
    }
    stack_counts(p->stack, &after);
    assert_int_equal(after.out_of_order, 64);
    assert_int_equal(after.discarded - before.discarded, 136);
    for (uint32_t i = 0; i < 200; i++) {
        peer_tcp(p, ACK, PEER + 2 * i, iss + 1, "ab", 2);
        p->looked = p->sent;
    }
    assert_int_equal(stack_receive(s, text, sizeof(text), NULL, NULL), 400);
    for (unsigned i = 0; i < 400; i++)
        assert_int_equal(text[i], i % 2 == 0 ? 'a' : 'b');
}

static void ports(void **state)
{
    static const union wire_addr any;
    struct peer *p = *state;
    union wire_addr own = peer_address(4, 1), other = peer_address(4, 9), to = peer_address(4, 2);
    struct stack_socket *a = peer_socket(p, 4, WIRE_PROTOCOL_TCP), *b = peer_socket(p, 4, WIRE_PROTOCOL_TCP);
    struct stack_socket *c = peer_socket(p, 6, WIRE_PROTOCOL_TCP), *d = peer_socket(p, 4, WIRE_PROTOCOL_TCP);
    uint8_t version;
    union wire_addr local;
    uint16_t port;

    assert_int_equal(stack_bind(a, &other, 80, false), -EADDRNOTAVAIL);
    assert_int_equal(stack_bind(a, &own, 80, false), 0);
    assert_int_equal(stack_bind(b, &any, 80, false), -EADDRINUSE);
    assert_int_equal(stack_bind(b, &own, 80, true), -EADDRINUSE);
    assert_int_equal(stack_bind(c, &any, 80, false), 0);
    assert_int_equal(stack_bind(b, &any, 0, true), 0);
    stack_local(b, &version, &local, &port);
    assert_true(port >= 49152 && version == 4);
    assert_int_equal(stack_bind(d, &own, port, true), 0); /* both say so */
    assert_int_equal(stack_connect(b, &to, 80), 0);
    assert_int_equal(stack_connect(d, &to, 80), -EADDRINUSE); /* the same pair */
    assert_int_equal(stack_connect(d, &to, 81), 0);
    assert_int_equal(stack_connect(a, &any, 80), -EOPNOTSUPP);
    to.v4 = 0x08080808;
    assert_int_equal(stack_connect(a, &to, 80), -ENETUNREACH);
}

static void too_big_makes_smaller(void **state)
{
    struct stack_config c = {.without = STACK_WITHOUT_STAMPS};
    uint8_t data[1460] = {0}, icmp[8 + 28] = {3, 4, 0, 0, 0, 0, 3, 0xe8}; /* 1000 */
    union wire_addr router = peer_address(4, 3), to = peer_address(4, 1);
    struct stack_socket *s;
    struct peer p;
    uint32_t iss;

    (void)state;
    peer_open(&p, &c);
    s = connect_with(&p, "\2\4\5\264", 4, &iss); /* MSS 1460 */
    assert_int_equal(stack_send(s, data, 1460), 1460);
    assert_true(p.kept[p.sent - 1].w.ip_flags & WIRE_IP_DONT_FRAGMENT);
    peer_expect(&p, ACK, iss + 1, PEER, 1460);
    memcpy(icmp + 8, p.kept[p.sent - 1].bytes, 28);
    icmp[8 + 24] ^= 0x40; /* a sequence number that is not under way */
    peer_ip(&p, 4, WIRE_PROTOCOL_ICMP, &router, &to, icmp, sizeof(icmp), 2);
    peer_expect_nothing(&p);
    icmp[8 + 24] ^= 0x40;
    peer_ip(&p, 4, WIRE_PROTOCOL_ICMP, &router, &to, icmp, sizeof(icmp), 2);
    peer_expect(&p, ACK, iss + 1, PEER, 960);
    peer_expect(&p, ACK, iss + 961, PEER, 500);
    peer_tcp(&p, ACK, PEER, iss + 1461, NULL, 0);
    assert_int_equal(deadline(&p), UINT64_MAX);
    peer_close(&p);
}

static void icmp_refuses_a_connect(void **state)
{
    struct peer *p = *state;
    union wire_addr router = peer_address(4, 3), own = peer_address(4, 1), to = peer_address(4, 2);
    struct stack_socket *s = peer_socket(p, 4, WIRE_PROTOCOL_TCP);
    uint8_t icmp[8 + 28] = {3, 1};
    uint32_t iss;

    assert_int_equal(stack_connect(s, &to, 80), 0);
    memcpy(icmp + 8, peer_next(p)->bytes, 28);
    peer_ip(p, 4, WIRE_PROTOCOL_ICMP, &router, &own, icmp, sizeof(icmp), 2);
    assert_int_equal(stack_state(s), STACK_UNREACHABLE);
    assert_int_equal(deadline(p), UINT64_MAX);
    s = peer_connect(p, 4, &iss); /* one that is open outlives it */
    assert_int_equal(stack_send(s, "x", 1), 1);
    memcpy(icmp + 8, peer_next(p)->bytes, 28);
    peer_ip(p, 4, WIRE_PROTOCOL_ICMP, &router, &own, icmp, sizeof(icmp), 2);
    assert_int_equal(stack_state(s), STACK_CONNECTED);
}

int main(void)
{
#define LAB(f) cmocka_unit_test_setup_teardown(f, open_lab, close_lab)
    const struct CMUnitTest tests[] = {
        LAB(connect_is_refused_by_reset),
        LAB(syn_is_repeated_and_given_up),
        LAB(held_connect_waits_for_its_decision),
        LAB(decision_within_send),
        LAB(socket_let_go_within_send),
        LAB(simultaneous_open),
        LAB(backlog_and_accept),
        LAB(half_open_is_forgotten),
        LAB(nobody_there),
        LAB(half_close),
        LAB(peer_closes_first),
        LAB(simultaneous_close),
        LAB(time_wait_gives_way),
        LAB(let_go_with_data_unread),
        LAB(let_go_and_data_comes),
        LAB(resets_in_every_state),
        LAB(what_does_not_fit_is_told),
        LAB(quarrel_is_limited),
        LAB(data_is_repeated_and_given_up),
        LAB(acks_wait_for_company),
        LAB(peer_says_how_large),
        LAB(three_duplicates),
        LAB(selective_answers),
        LAB(selective_reports),
        LAB(shut_window_is_probed),
        cmocka_unit_test(own_window_shuts_and_opens),
        LAB(windows_are_scaled),
        cmocka_unit_test(stamps),
        cmocka_unit_test(limits_hold),
        LAB(crumbs_are_bounded),
        LAB(ports),
        cmocka_unit_test(too_big_makes_smaller),
        LAB(icmp_refuses_a_connect),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

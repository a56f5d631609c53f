/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver `redirect`: connections go to another address, or to a program that is the proxy, which learns where they
 * were to go, carries them on and is not led to itself; sockets are bound elsewhere. TCP and UDP, IPv4 and IPv6, decided
 * in classifyFn and by the worker; its end, the proxy's and the programs' while requests are pended.
 */
#include "driver_suite.h"

#include "leader.h"

#include <ntddk.h>
#include <mstcpip.h>
#include <ip2string.h>

#include "../../drivers/redirect/redirect.h"

#define PROXY "C:\\Program Files\\proxy.exe"

/* The peer has a second address, which is the other place. */
static const struct weir_interface wires[] = {
    {.index = 1,
     .addresses = {"10.0.0.1/24", "fd00::1/64"},
     .peers = {"10.0.0.2/24", "10.0.0.77/24", "fd00::2/64", "fd00::77/64"}}};

struct place {
    const char *server, *other, *host, *any_port; /* ports 80, 8080; "", no port */
};
static const struct place places[] = {
    {"10.0.0.2:80", "10.0.0.77:8080", "10.0.0.1", "10.0.0.77"},
    {"[fd00::2]:80", "[fd00::77]:8080", "fd00::1", "[fd00::77]"},
};

struct lab {
    struct suite s;
    struct weir *w;
    struct weir_process *proxy;
    struct weir_device *device;
    struct weir_socket *server, *listener; /* the peer's at port 80; the proxy's */
};

static void lab_open(struct lab *l, const struct weir_config *config, const struct weir_parameter *parameters,
                     size_t count)
{
    struct weir_config c = config != NULL ? *config : (struct weir_config){0};

    memset(l, 0, sizeof *l);
    c.interfaces = wires;
    c.interface_count = 1;
    suite_open(&l->s, &c, parameters, count);
    l->w = l->s.w;
    l->server = suite_listens(l->s.peer, ":80");
}

static int32_t ask_to_be_proxy(struct weir_device *d, UINT16 port)
{
    const struct redirect_proxy is = {.port = port};

    return weir_control(d, IOCTL_REDIRECT_PROXY, &is, sizeof is, NULL, 0, NULL, 0);
}

static void begin_proxy(struct lab *l)
{
    l->proxy = weir_process(l->w, PROXY, NULL);
    l->listener = suite_listens(l->proxy, ":3128");
    l->device = weir_open(l->proxy, "\\\\.\\Redirect", NULL);
    assert_non_null(l->device);
    assert_int_equal(ask_to_be_proxy(l->device, 3128), 0);
}

static void lab_with_proxy(struct lab *l, const struct weir_config *config, uint32_t delay_ms)
{
    lab_open(l, config, &(struct weir_parameter){.name = "DelayMs", .number = delay_ms}, 1);
    begin_proxy(l);
}

static void lab_close(struct lab *l)
{
    if (l->device != NULL)
        weir_device_close(l->device);
    suite_close(&l->s);
}

static struct weir_socket *begun(struct weir_process *p, const char *to)
{
    struct weir_socket *s = weir_socket(p, WEIR_TCP);

    assert_int_equal(weir_connect(s, to), -EINPROGRESS);
    return s;
}

static void says(struct weir_socket *from, struct weir_socket *to, const char *what)
{
    assert_int_equal(weir_send(from, what, strlen(what)), (long)strlen(what));
    suite_receives(to, what, strlen(what), 5 * WEIR_SECOND);
}

static void expect_remote(struct weir_socket *s, const char *address)
{
    char text[WEIR_ADDRESS];

    assert_string_equal(weir_remote(s, text), address);
}

/* What of the host's programs was on the wire to that address. */
static size_t sent_to(struct lab *l, const char *remote)
{
    return weir_count(l->w, &(struct weir_match){.kind = WEIR_EVENT_PACKET, .remote = remote});
}

static uint64_t waiting(struct lab *l)
{
    return weir_outstanding(l->w, "pended classify");
}

/* ---- the proxy ----------------------------------------------------------------------------------------- */

/* Where an accepted connection was to go, as text; whose it is. */
static uint64_t wanted_by(struct weir_socket *in, char *to)
{
    struct redirect_context c;
    ULONG size = WEIR_ADDRESS;

    assert_int_equal(weir_redirect_context(in, &c, sizeof c), sizeof c);
    if (c.remote.ss_family == AF_INET) {
        const SOCKADDR_IN *at = (const SOCKADDR_IN *)&c.remote;

        assert_int_equal(RtlIpv4AddressToStringExA(&at->sin_addr, at->sin_port, to, &size), STATUS_SUCCESS);
    } else {
        const SOCKADDR_IN6 *at = (const SOCKADDR_IN6 *)&c.remote;

        assert_int_equal(c.remote.ss_family, AF_INET6);
        assert_int_equal(RtlIpv6AddressToStringExA(&at->sin6_addr, 0, at->sin6_port, to, &size),
                         STATUS_SUCCESS);
    }
    return c.process;
}

/* The proxy's connection for one that it accepted, of that process. */
static struct weir_socket *carried_on(struct weir_process *proxy, struct weir_socket *in, const char *to)
{
    struct weir_socket *out = weir_socket(proxy, WEIR_TCP);
    unsigned char records[256];
    long size = weir_redirect_records(in, records, sizeof records);

    assert_true(size > 0 && size <= (long)sizeof records);
    assert_int_equal(weir_set_redirect_records(out, records, (size_t)size), 0);
    assert_int_equal(weir_connect(out, to), -EINPROGRESS);
    return out;
}

static void through_the_proxy(void **state)
{
    (void)state;
    for (unsigned run = 0; run < 4; run++) {
        const struct place *at = &places[run & 1];
        const uint32_t delay_ms = run & 2 ? 300 : 0;
        struct weir_socket *a, *in, *out, *b;
        char to[WEIR_ADDRESS];
        struct lab l;

        lab_with_proxy(&l, NULL, delay_ms);
        a = begun(l.s.program, at->server);
        assert_int_equal(weir_state(a) == WEIR_PENDED, delay_ms != 0);
        in = suite_accepted(&l.s, a, l.listener, WEIR_SECOND);
        assert_int_equal(wanted_by(in, to), weir_process_id(l.s.program));
        assert_string_equal(to, at->server);
        assert_int_equal(sent_to(&l, at->server), 0);
        expect_remote(a, at->server); /* the program does not know */
        out = carried_on(l.proxy, in, to);
        assert_int_not_equal(weir_state(out), WEIR_PENDED); /* whatever the delay: it is known at once */
        b = suite_accepted(&l.s, out, l.server, WEIR_SECOND);
        assert_null(weir_accept(l.listener));
        says(a, in, "ask");
        says(out, b, "ask");
        says(b, out, "answer");
        says(in, a, "answer");
        weir_close(a);
        assert_true(weir_wait_readable(in, WEIR_SECOND));
        assert_int_equal(weir_receive(in, to, sizeof to, NULL), 0); /* its end arrives, too */
        weir_close(in);
        weir_close(out);
        weir_close(b);
        weir_run(l.w, 200 * WEIR_SECOND);
        lab_close(&l);
    }
}

/* By the records, not by who has them: another process of the proxy's may carry a connection on. */
static void known_by_its_records(void **state)
{
    (void)state;
    for (unsigned run = 0; run < 4; run++) {
        struct weir_socket *a, *in, *out;
        struct weir_process *helper;
        char to[WEIR_ADDRESS];
        struct lab l;

        lab_with_proxy(&l, NULL, run & 1 ? 100 : 0);
        helper = weir_process(l.w, "C:\\Program Files\\helper.exe", NULL);
        a = begun(l.s.program, places[run >> 1].server);
        in = suite_accepted(&l.s, a, l.listener, WEIR_SECOND);
        (void)wanted_by(in, to);
        out = carried_on(helper, in, to);
        (void)suite_accepted(&l.s, out, l.server, WEIR_SECOND);
        assert_null(weir_accept(l.listener));
        /* One without records is any program's. */
        out = begun(helper, to);
        in = suite_accepted(&l.s, out, l.listener, WEIR_SECOND);
        assert_int_equal(wanted_by(in, to), weir_process_id(helper));
        assert_null(weir_accept(l.server));
        lab_close(&l);
    }
}

static void what_is_the_proxys_own_passes(void **state)
{
    struct weir_socket *out;
    struct lab l;

    (void)state;
    for (unsigned run = 0; run < 2; run++) {
        lab_with_proxy(&l, NULL, run * 100);
        out = begun(l.proxy, "10.0.0.2:80");
        assert_int_equal(waiting(&l), 0);
        (void)suite_accepted(&l.s, out, l.server, WEIR_SECOND);
        assert_null(weir_accept(l.listener));
        lab_close(&l);
    }
}

/* Whoever connects to it directly was not redirected. */
static void a_proxy_that_was_meant(void **state)
{
    struct weir_socket *a, *in;
    char bytes[256];
    struct lab l;

    (void)state;
    lab_open(&l, NULL, (struct weir_parameter[]){{.name = "Ports", .string = "80"}}, 1);
    begin_proxy(&l);
    a = begun(l.s.program, "10.0.0.1:3128");
    in = suite_accepted(&l.s, a, l.listener, WEIR_SECOND);
    assert_int_equal(weir_redirect_context(in, bytes, sizeof bytes), -ENOENT);
    assert_int_equal(weir_redirect_records(in, bytes, sizeof bytes), -ENOENT);
    says(a, in, "ask");
    lab_close(&l);
}

static void there_is_one_proxy_at_a_time(void **state)
{
    struct weir_device *second;
    struct weir_socket *a;
    struct lab l;

    (void)state;
    lab_with_proxy(&l, NULL, 0);
    second = weir_open(l.s.program, "\\\\.\\Redirect", NULL);
    assert_non_null(second);
    assert_int_equal(ask_to_be_proxy(second, 9), STATUS_DEVICE_BUSY);
    assert_int_equal(ask_to_be_proxy(l.device, 0), STATUS_INVALID_PARAMETER);
    assert_int_equal(weir_control(l.device, IOCTL_REDIRECT_PROXY, "", 1, NULL, 0, NULL, 0),
                     STATUS_INVALID_PARAMETER);
    assert_int_equal(weir_control(l.device, 4, NULL, 0, NULL, 0, NULL, 0), STATUS_INVALID_DEVICE_REQUEST);
    a = begun(l.s.program, "10.0.0.2:80");
    (void)suite_accepted(&l.s, a, l.listener, WEIR_SECOND);
    weir_device_close(l.device); /* it is none any more */
    l.device = NULL;
    a = begun(l.s.program, "10.0.0.2:80");
    (void)suite_accepted(&l.s, a, l.server, WEIR_SECOND);
    assert_int_equal(ask_to_be_proxy(second, 3128), 0); /* now the other may be */
    weir_device_close(second);
    lab_close(&l);
}

static void over_a_bad_wire(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct weir_socket *a, *in, *out, *b;
        char to[WEIR_ADDRESS];
        struct lab l;

        lab_with_proxy(&l, &(struct weir_config){.seed = seed, .shuffle = true, .preempt = 4},
                       seed & 1 ? 50 : 0);
        (void)weir_rule(l.w, &(struct weir_rule_config){.action = WEIR_DROP, .one_in = 10});
        (void)weir_rule(l.w, &(struct weir_rule_config){.action = WEIR_REORDER, .one_in = 10});
        (void)weir_rule(l.w, &(struct weir_rule_config){.action = WEIR_DUPLICATE, .one_in = 20});
        a = begun(l.s.program, places[seed >> 1 & 1].server);
        in = suite_accepted(&l.s, a, l.listener, 60 * WEIR_SECOND);
        (void)wanted_by(in, to);
        out = carried_on(l.proxy, in, to);
        b = suite_accepted(&l.s, out, l.server, 60 * WEIR_SECOND);
        suite_transfer(a, in, 40000);
        suite_transfer(out, b, 40000);
        suite_transfer(b, out, 40000);
        suite_transfer(in, a, 40000);
        lab_close(&l);
    }
}

/* Whom another driver has led to its own proxy is not led elsewhere (RED-22). */
static void anothers_redirection_stays(void **state)
{
    unsigned there = 0;

    (void)state;
    for (unsigned run = 0; run < 4; run++) {
        struct weir_parameter parameters[] = {
            {.name = "To4", .string = "10.0.0.77:8080"},
            {.name = "DelayMs", .number = run & 1 ? 100 : 0},
        };
        struct weir_driver *other = NULL;
        struct weir_socket *a, *in, *at;
        struct leader is = {.proxy_port = 3129};
        char text[64];
        struct suite s;

        suite_open_bare(&s, &(struct weir_config){.interfaces = wires, .interface_count = 1});
        is.proxy = weir_process_id(weir_process(s.w, PROXY, NULL));
        in = suite_listens(weir_process(s.w, PROXY, NULL), ":3129");
        at = suite_listens(s.peer, "10.0.0.77:8080");
        if (run & 2)
            assert_non_null(other = leader_load(s.w, &is));
        assert_non_null(suite_load(&s, parameters, 2));
        if (!(run & 2))
            assert_non_null(other = leader_load(s.w, &is));
        a = begun(s.program, "10.0.0.2:80");
        assert_true(weir_wait(a, WEIR_CONNECTED, WEIR_SECOND));
        weir_run(s.w, 10 * WEIR_MILLISECOND);
        in = weir_accept(in);
        at = weir_accept(at);
        assert_true((in != NULL) != (at != NULL)); /* whoever was asked first */
        there += in != NULL;
        if (in != NULL)
            assert_int_equal(weir_redirect_context(in, text, sizeof text), 12);
        weir_abort(a);
        assert_int_equal(weir_driver_unload(other), 0);
        suite_close(&s);
    }
    assert_true(there >= 2);
}

/* ---- another address ----------------------------------------------------------------------------------- */

static void to_another_address(void **state)
{
    (void)state;
    for (unsigned run = 0; run < 8; run++) {
        const struct place *at = &places[run & 1];
        const bool later = run & 2, same_port = run & 4;
        struct weir_parameter parameters[] = {
            {.name = run & 1 ? "To6" : "To4", .string = same_port ? at->any_port : at->other},
            {.name = "Ports", .string = "7,80"},
            {.name = "DelayMs", .number = later ? 200 : 0},
        };
        struct weir_socket *other, *a, *b;
        char asked[WEIR_ADDRESS], text[WEIR_ADDRESS];
        struct lab l;

        lab_open(&l, NULL, parameters, 3);
        other = same_port ? l.server : suite_listens(l.s.peer, at->other);
        a = begun(l.s.program, at->server);
        assert_int_equal(weir_state(a), later ? WEIR_PENDED : WEIR_CONNECTING);
        b = suite_accepted(&l.s, a, other, WEIR_SECOND);
        snprintf(text, sizeof text, same_port ? "%s:80" : "%s", same_port ? at->any_port : at->other);
        assert_string_equal(weir_local(b, asked), text);
        expect_remote(a, at->server);
        assert_int_equal(sent_to(&l, at->server), 0);
        suite_transfer(a, b, 50000);
        suite_transfer(b, a, 50000);
        weir_close(b);
        assert_true(weir_wait(a, WEIR_CLOSING, WEIR_SECOND));
        weir_close(a);
        weir_run(l.w, 200 * WEIR_SECOND);
        /* Another port is not listed. */
        a = begun(l.s.program, run & 1 ? "[fd00::2]:81" : "10.0.0.2:81");
        assert_int_not_equal(weir_state(a), WEIR_PENDED);
        b = suite_listens(l.s.peer, ":81");
        assert_non_null(suite_accepted(&l.s, a, b, 10 * WEIR_SECOND));
        lab_close(&l);
    }
}

static void datagrams_to_another_address(void **state)
{
    (void)state;
    for (unsigned run = 0; run < 8; run++) {
        const struct place *at = &places[run & 1];
        const bool later = run & 2, connected = run & 4;
        struct weir_parameter parameters[] = {
            {.name = run & 1 ? "To6" : "To4", .string = at->other},
            {.name = "Ports", .string = "80"},
            {.name = "DelayMs", .number = later ? 200 : 0},
        };
        struct weir_socket *a, *b, *straight;
        char got[16], from[WEIR_ADDRESS];
        struct lab l;

        lab_open(&l, NULL, parameters, 3);
        b = suite_bound(l.s.peer, at->other);
        straight = suite_bound(l.s.peer, ":53");
        a = weir_socket(l.s.program, WEIR_UDP);
        if (connected)
            assert_int_equal(weir_connect(a, at->server), 0);
        for (unsigned i = 0; i < 3; i++) {
            const long sent = connected ? weir_send(a, "ask", 3) : weir_send_to(a, at->server, "ask", 3);

            assert_int_equal(sent, 3);
            if (i == 0 &&
                later) { /* the one that was pended is gone, as a driver that pends knows (PEND-33) */
                weir_run(l.w, WEIR_SECOND);
                assert_int_equal(weir_receive(b, got, sizeof got, NULL), -EAGAIN);
                continue;
            }
            assert_true(weir_wait_readable(b, WEIR_SECOND));
            assert_int_equal(weir_receive(b, got, sizeof got, from), 3);
            assert_int_equal(weir_send_to(b, from, "answer", 6), 6);
            assert_true(weir_wait_readable(a, WEIR_SECOND));
            assert_int_equal(weir_receive(a, got, sizeof got, from), 6);
            assert_string_equal(from, at->server); /* who was asked has answered */
        }
        assert_int_equal(sent_to(&l, at->server), 0);
        if (!connected) { /* another peer of the same socket */
            assert_int_equal(weir_send_to(a, run & 1 ? "[fd00::2]:53" : "10.0.0.2:53", "name", 4), 4);
            suite_receives(straight, "name", 4, WEIR_SECOND);
        }
        lab_close(&l);
    }
}

static void a_datagram_in_fragments(void **state)
{
    static char text[9000], got[9000];

    (void)state;
    for (unsigned six = 0; six < 2; six++) {
        struct weir_parameter to = {.name = six ? "To6" : "To4", .string = places[six].other};
        struct weir_socket *a, *b;
        char from[WEIR_ADDRESS];
        struct lab l;

        lab_open(&l, NULL, &to, 1);
        a = weir_socket(l.s.program, WEIR_UDP);
        b = suite_bound(l.s.peer, places[six].other);
        memset(text, 'q', sizeof text);
        assert_int_equal(weir_send_to(a, places[six].server, text, sizeof text), sizeof text);
        assert_true(weir_wait_readable(b, WEIR_SECOND));
        assert_int_equal(weir_receive(b, got, sizeof got, from), sizeof text);
        assert_memory_equal(got, text, sizeof text);
        memset(text, 'z', sizeof text);
        assert_int_equal(weir_send_to(b, from, text, sizeof text), sizeof text);
        assert_true(weir_wait_readable(a, WEIR_SECOND));
        assert_int_equal(weir_receive(a, got, sizeof got, from), sizeof text);
        assert_memory_equal(got, text, sizeof text);
        assert_string_equal(from, places[six].server);
        lab_close(&l);
    }
}

/* The other place answers that nobody is there: who asked hears of it. */
static void nobody_is_there(void **state)
{
    (void)state;
    for (unsigned six = 0; six < 2; six++) {
        struct weir_parameter to = {.name = six ? "To6" : "To4", .string = places[six].other};
        struct weir_socket *a;
        struct lab l;
        char got[8];

        lab_open(&l, NULL, &to, 1);
        a = weir_socket(l.s.program, WEIR_UDP);
        assert_int_equal(weir_connect(a, places[six].server), 0);
        assert_int_equal(weir_send(a, "ask", 3), 3);
        weir_run(l.w, WEIR_SECOND);
        assert_int_equal(weir_receive(a, got, sizeof got, NULL), -ECONNREFUSED);
        lab_close(&l);
    }
}

/* The other place is behind another interface. */
static void to_another_wire(void **state)
{
    (void)state;
    for (unsigned run = 0; run < 4; run++) {
        struct weir_parameter parameters[] = {
            {.name = run & 1 ? "To6" : "To4", .string = run & 1 ? "[fd00:0:0:1::2]:8080" : "10.0.1.2:8080"},
            {.name = "DelayMs", .number = run & 2 ? 200 : 0},
        };
        struct weir_socket *other, *a, *b;
        struct suite s;

        suite_open(&s, NULL, parameters, 2);
        other = suite_listens(weir_peer(s.w, 2), ":8080");
        a = begun(s.program, places[run & 1].server);
        b = suite_accepted(&s, a, other, WEIR_SECOND);
        suite_transfer(a, b, 20000);
        suite_transfer(b, a, 20000);
        suite_close(&s);
    }
}

/* What is neither TCP nor UDP, and what has no target in its version of IP. */
static void left_alone(void **state)
{
    static const struct weir_parameter parameters[] = {{.name = "To4", .string = "10.0.0.77:8080"},
                                                       {.name = "DelayMs", .number = 100}};
    struct weir_socket *ping, *a;
    struct lab l;

    (void)state;
    lab_open(&l, NULL, parameters, 2);
    ping = weir_socket(l.s.program, WEIR_PING);
    assert_int_equal(weir_send_to(ping, "10.0.0.2", "echo", 4), 4);
    suite_receives(ping, "echo", 4, WEIR_SECOND);
    a = begun(l.s.program, "[fd00::2]:80");
    assert_int_not_equal(weir_state(a), WEIR_PENDED);
    (void)suite_accepted(&l.s, a, l.server, WEIR_SECOND);
    lab_close(&l);
}

/* ---- binds --------------------------------------------------------------------------------------------- */

static void bound_elsewhere(void **state)
{
    (void)state;
    for (unsigned run = 0; run < 8; run++) {
        const bool six = run & 1, later = run & 2, udp = run & 4;
        struct weir_parameter parameters[] = {
            {.name = "Bind4", .string = "10.0.0.1:6000"},
            {.name = "Bind6", .string = "[fd00::1]:6000"},
            {.name = "BindPorts", .string = "5000"},
            {.name = "DelayMs", .number = later ? 200 : 0},
        };
        const char *here = six ? "[fd00::1]:6000" : "10.0.0.1:6000";
        char from[WEIR_ADDRESS], got[16];
        struct weir_socket *a, *b;
        struct lab l;

        lab_open(&l, NULL, parameters, 4);
        a = weir_socket(l.s.program, udp ? WEIR_UDP : WEIR_TCP);
        assert_int_equal(weir_bind(a, six ? "[::]:5000" : "0.0.0.0:5000"), later ? -EINPROGRESS : 0);
        assert_int_equal(waiting(&l), later);
        assert_true(weir_wait(a, WEIR_BOUND, WEIR_SECOND));
        if (udp) {
            b = suite_bound(l.s.peer, ":53");
            assert_int_equal(weir_send_to(a, six ? "[fd00::2]:53" : "10.0.0.2:53", "ask", 3), 3);
            assert_true(weir_wait_readable(b, WEIR_SECOND));
            assert_int_equal(weir_receive(b, got, sizeof got, from), 3);
            assert_string_equal(from, here);
            assert_int_equal(weir_send_to(b, from, "answer", 6), 6);
            suite_receives(a, "answer", 6, WEIR_SECOND);
        } else {
            struct weir_socket *client = weir_socket(l.s.peer, WEIR_TCP);

            assert_int_equal(weir_listen(a), 0);
            (void)weir_connect(client, here);
            b = suite_accepted(&l.s, client, a, WEIR_SECOND);
            says(client, b, "ask");
            says(b, client, "answer");
        }
        a = weir_socket(l.s.program, udp ? WEIR_UDP : WEIR_TCP); /* not listed */
        assert_int_equal(weir_bind(a, six ? "[::]:5001" : "0.0.0.0:5001"), 0);
        lab_close(&l);
    }
}

/* A connection from a port of its own that goes from another. */
static void bound_elsewhere_then_connected(void **state)
{
    (void)state;
    for (unsigned run = 0; run < 4; run++) {
        struct weir_parameter parameters[] = {
            {.name = "Bind4", .string = "10.0.0.1:6000"},
            {.name = "BindPorts", .string = "5000"},
            {.name = "To4", .string = "10.0.0.77:8080"},
            {.name = "DelayMs", .number = run & 1 ? 150 : 0},
        };
        struct weir_socket *a, *b, *other;
        char text[WEIR_ADDRESS];
        struct lab l;

        lab_open(&l, NULL, parameters, 4);
        other = suite_listens(l.s.peer, "10.0.0.77:8080");
        a = weir_socket(l.s.program, WEIR_TCP);
        (void)weir_bind(a, run & 2 ? "10.0.0.1:5000" : "0.0.0.0:5000");
        assert_true(weir_wait(a, WEIR_BOUND, WEIR_SECOND));
        (void)weir_connect(a, "10.0.0.2:80");
        b = suite_accepted(&l.s, a, other, WEIR_SECOND);
        assert_string_equal(weir_remote(b, text), "10.0.0.1:6000");
        suite_transfer(a, b, 20000);
        suite_transfer(b, a, 20000);
        lab_close(&l);
    }
}

/* ---- many at once -------------------------------------------------------------------------------------- */

enum { MANY = 12 };

static void many_pended_at_once(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct weir_parameter parameters[] = {
            {.name = "Bind4", .string = "10.0.0.1"},
            {.name = "BindPorts", .string = "5000,5001,5002"},
            {.name = "DelayMs", .number = 400},
        };
        struct weir_socket *a[MANY], *bound[3];
        bool seen[MANY] = {false};
        struct lab l;

        lab_open(&l, &(struct weir_config){.seed = seed, .shuffle = true, .preempt = seed & 1 ? 2 : 0},
                 parameters, 3);
        begin_proxy(&l);
        for (unsigned i = 0; i < MANY; i++) {
            a[i] = begun(l.s.program, places[i & 1].server);
            weir_run(l.w, seed & 2 ? 10 * WEIR_MILLISECOND : 0);
        }
        for (unsigned i = 0; i < 3; i++) {
            char at[WEIR_ADDRESS];

            snprintf(at, sizeof at, "0.0.0.0:%u", 5000 + i);
            bound[i] = weir_socket(l.s.program, WEIR_UDP);
            assert_int_equal(weir_bind(bound[i], at), -EINPROGRESS);
        }
        assert_int_equal(waiting(&l), MANY + 3);
        for (unsigned i = 0; i < MANY; i++)
            assert_true(weir_wait(a[i], WEIR_CONNECTED, 2 * WEIR_SECOND));
        for (unsigned i = 0; i < 3; i++)
            assert_true(weir_wait(bound[i], WEIR_BOUND, 2 * WEIR_SECOND));
        assert_int_equal(waiting(&l), 0);
        weir_run(l.w, 10 * WEIR_MILLISECOND);
        for (unsigned i = 0; i < MANY; i++) { /* each is its own, with a place of its own */
            struct weir_socket *in = weir_accept(l.listener);
            char to[WEIR_ADDRESS], from[WEIR_ADDRESS], own[WEIR_ADDRESS];
            unsigned whose = 0;

            assert_non_null(in);
            (void)weir_remote(in, from);
            while (whose < MANY && strcmp(weir_local(a[whose], own), from) != 0)
                whose++;
            assert_true(whose < MANY && !seen[whose]);
            seen[whose] = true;
            assert_int_equal(wanted_by(in, to), weir_process_id(l.s.program));
            assert_string_equal(to, places[whose & 1].server);
            says(a[whose], in, "ask");
        }
        lab_close(&l);
    }
}

/* ---- ends ---------------------------------------------------------------------------------------------- */

/* What is pended when the driver goes is led nowhere. */
static void it_goes_while_requests_are_pended(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct weir_parameter parameters[] = {
            {.name = "To4", .string = "10.0.0.77:8080"},  {.name = "To6", .string = "[fd00::77]:8080"},
            {.name = "Bind4", .string = "10.0.0.1:6000"}, {.name = "BindPorts", .string = "5000"},
            {.name = "DelayMs", .number = 1000},
        };
        char text[WEIR_ADDRESS], got[8];
        struct weir_socket *a[MANY], *u, *b;
        struct lab l;

        lab_open(&l, &(struct weir_config){.seed = seed, .shuffle = true, .preempt = 2}, parameters, 5);
        for (unsigned i = 0; i < MANY; i++)
            a[i] = begun(l.s.program, places[i & 1].server);
        u = weir_socket(l.s.program, WEIR_UDP);
        assert_int_equal(weir_bind(u, "10.0.0.1:5000"), -EINPROGRESS);
        weir_run(l.w, seed * 50 * WEIR_MILLISECOND);
        assert_int_equal(waiting(&l), MANY + 1);
        assert_int_equal(weir_driver_unload(l.s.driver), 0);
        l.s.driver = NULL;
        assert_int_equal(weir_outstanding(l.w, NULL), 0);
        for (unsigned i = 0; i < MANY; i++) {
            b = suite_accepted(&l.s, a[i], l.server, 10 * WEIR_SECOND);
            (void)weir_local(b, text);
            assert_string_equal(text, places[text[0] == '['].server);
        }
        assert_true(weir_wait(u, WEIR_BOUND, WEIR_SECOND));
        b = suite_bound(l.s.peer, ":53");
        assert_int_equal(weir_send_to(u, "10.0.0.2:53", "ask", 3), 3);
        assert_true(weir_wait_readable(b, WEIR_SECOND));
        assert_int_equal(weir_receive(b, got, sizeof got, text), 3);
        assert_string_equal(text, "10.0.0.1:5000");
        lab_close(&l);
    }
}

/* What was redirected stays so; what is new is not. */
static void it_goes_while_they_talk(void **state)
{
    struct weir_socket *a, *in, *out, *b;
    char to[WEIR_ADDRESS];
    struct lab l;

    (void)state;
    lab_with_proxy(&l, NULL, 0);
    a = begun(l.s.program, "10.0.0.2:80");
    in = suite_accepted(&l.s, a, l.listener, WEIR_SECOND);
    (void)wanted_by(in, to);
    out = carried_on(l.proxy, in, to);
    b = suite_accepted(&l.s, out, l.server, WEIR_SECOND);
    weir_device_close(l.device);
    l.device = NULL;
    assert_int_equal(weir_driver_unload(l.s.driver), 0);
    l.s.driver = NULL;
    suite_transfer(a, in, 20000);
    suite_transfer(out, b, 20000);
    suite_transfer(in, a, 20000);
    a = begun(l.s.program, "10.0.0.2:80");
    (void)suite_accepted(&l.s, a, l.server, WEIR_SECOND);
    lab_close(&l);
}

/* The program ends before the worker has decided: the completions come to nothing. */
static void a_program_ends_while_it_waits(void **state)
{
    (void)state;
    for (unsigned run = 0; run < 4; run++) {
        struct weir_parameter parameters[] = {
            {.name = "Bind4", .string = "10.0.0.1:6000"},
            {.name = "BindPorts", .string = "5000"},
            {.name = "DelayMs", .number = 300},
        };
        struct weir_process *other;
        struct weir_socket *u;
        struct lab l;

        lab_open(&l, NULL, parameters, 3);
        begin_proxy(&l);
        other = weir_process(l.w, "C:\\other.exe", NULL);
        for (unsigned i = 0; i < MANY; i++)
            (void)begun(other, places[i & 1].server);
        u = weir_socket(other, WEIR_UDP);
        assert_int_equal(weir_bind(u, "10.0.0.1:5000"), -EINPROGRESS);
        if (run & 1) { /* some are decided */
            weir_run(l.w, 200 * WEIR_MILLISECOND);
            (void)begun(other, "10.0.0.2:80");
            weir_run(l.w, 150 * WEIR_MILLISECOND);
        }
        assert_true(waiting(&l) > 0);
        if (run & 2)
            weir_process_exit(other);
        else
            weir_close(u);
        weir_run(l.w, 10 * WEIR_SECOND);
        assert_int_equal(waiting(&l), 0);
        assert_int_equal(suite_packets(&l.s), 0);
        if (run == 2)
            assert_null(weir_accept(l.listener));
        u = suite_bound(l.s.peer, ":53"); /* the port that it was to get is free */
        u = weir_socket(l.s.program, WEIR_UDP);
        assert_int_equal(weir_bind(u, "10.0.0.1:6000"), 0);
        lab_close(&l);
    }
}

/* ... and the proxy: what waits for it goes on as it was asked for. */
static void the_proxy_ends(void **state)
{
    (void)state;
    for (unsigned run = 0; run < 4; run++) {
        struct weir_socket *a, *b, *in, *talks;
        char to[WEIR_ADDRESS];
        struct lab l;

        lab_with_proxy(&l, NULL, run & 1 ? 300 : 0);
        talks = begun(l.s.program, places[run >> 1].server);
        in = suite_accepted(&l.s, talks, l.listener, WEIR_SECOND);
        assert_int_equal(weir_redirect_context(in, NULL, 0), sizeof(struct redirect_context));
        a = begun(l.s.program, places[run >> 1].server);
        weir_process_exit(l.proxy);
        l.device = NULL;
        b = suite_listens(l.s.peer, ":81");
        if (run & 1) {
            in = suite_accepted(&l.s, a, l.server, 10 * WEIR_SECOND);
            says(a, in, "ask");
        }
        weir_run(l.w, WEIR_SECOND);
        assert_int_equal(weir_send(talks, "ask", 3) == 3 ? weir_receive(talks, to, sizeof to, NULL)
                                                         : -ECONNRESET,
                         -ECONNRESET);
        a = begun(l.s.program, run >> 1 ? "[fd00::2]:81" : "10.0.0.2:81");
        (void)suite_accepted(&l.s, a, b, WEIR_SECOND);
        lab_close(&l);
    }
}

static void addresses_that_are_none_are_not_taken(void **state)
{
    static const struct weir_parameter wrong[] = {
        {.name = "To4", .string = "10.0.0.256:80"},
        {.name = "To6", .string = "10.0.0.2:80"},
        {.name = "Bind4", .string = "here"},
        {.name = "Bind6", .string = "[fd00::1"},
    };
    struct suite s;

    (void)state;
    suite_open_bare(&s, NULL);
    for (unsigned i = 0; i < 4; i++) {
        assert_null(suite_load(&s, &wrong[i], 1));
        assert_non_null(strstr(weir_error(), "STATUS_INVALID_PARAMETER"));
    }
    suite_close(&s);
}

/* Led to the proxy, or as it was asked for; nothing is left, whichever call fails. */
static void without_memory(void **state)
{
    static const char *const calls[] = {NULL, "FwpsAcquireClassifyHandle", "FwpsPendClassify",
                                        "FwpsAcquireWritableLayerDataPointer", "ExAllocatePool2"};

    (void)state;
    for (unsigned run = 0; run < 10; run++) {
        const char *call = calls[run / 2];
        unsigned straight = 0;

        for (uint32_t nth = 1; nth <= (call == NULL ? 12 : 2); nth++) {
            struct weir_socket *a, *in, *b;
            struct lab l;

            lab_with_proxy(&l, NULL, run & 1 ? 100 : 0);
            if (call == NULL)
                weir_fail_allocation(l.w, nth);
            else
                assert_int_equal(weir_fail(l.w, call, nth, 0), 0);
            a = begun(l.s.program, "10.0.0.2:80");
            assert_true(weir_wait(a, WEIR_CONNECTED, WEIR_SECOND));
            weir_fail_nothing(l.w);
            weir_run(l.w, 100 * WEIR_MILLISECOND);
            in = weir_accept(l.listener);
            b = weir_accept(l.server);
            assert_true((in != NULL) != (b != NULL));
            straight += b != NULL;
            says(a, in != NULL ? in : b, "ask");
            lab_close(&l);
        }
        /* What cannot be pended is decided at once. */
        assert_int_equal(straight != 0, run / 2 != 2 && !(run / 2 == 1 && run & 1));
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(through_the_proxy),
        cmocka_unit_test(known_by_its_records),
        cmocka_unit_test(what_is_the_proxys_own_passes),
        cmocka_unit_test(a_proxy_that_was_meant),
        cmocka_unit_test(there_is_one_proxy_at_a_time),
        cmocka_unit_test(over_a_bad_wire),
        cmocka_unit_test(anothers_redirection_stays),
        cmocka_unit_test(to_another_address),
        cmocka_unit_test(datagrams_to_another_address),
        cmocka_unit_test(a_datagram_in_fragments),
        cmocka_unit_test(nobody_is_there),
        cmocka_unit_test(to_another_wire),
        cmocka_unit_test(left_alone),
        cmocka_unit_test(bound_elsewhere),
        cmocka_unit_test(bound_elsewhere_then_connected),
        cmocka_unit_test(many_pended_at_once),
        cmocka_unit_test(it_goes_while_requests_are_pended),
        cmocka_unit_test(it_goes_while_they_talk),
        cmocka_unit_test(a_program_ends_while_it_waits),
        cmocka_unit_test(the_proxy_ends),
        cmocka_unit_test(addresses_that_are_none_are_not_taken),
        cmocka_unit_test(without_memory),
    };

    return SUITE_MAIN(argc, argv, "redirect", tests);
}

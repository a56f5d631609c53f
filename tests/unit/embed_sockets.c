/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir.h: programs and their sockets: TCP, UDP, ping and raw, IPv4 and IPv6, both roles, between programs of the host,
 * through the host between its peers; states, ends and errors of each call; filters that refuse.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <fwpmu.h>
#include <weir.h>

#define APP "C:\\Program Files\\app.exe"

struct lab {
    struct weir *w;
    struct weir_process *program, *peer;
};

static void failed(void *ctx, const char *text)
{
    (void)ctx;
    fail_msg("%s", text);
}

static void lab_open(struct lab *l, const struct weir_config *config)
{
    struct weir_config c = config != NULL ? *config : (struct weir_config){0};

    c.size = sizeof c;
    c.failed = failed;
    assert_int_equal(weir_create_with(&c, &l->w), 0);
    l->program = weir_process(l->w, APP, NULL);
    l->peer = weir_peer(l->w, 1);
    assert_non_null(l->peer);
}

static struct weir_socket *listener(struct weir_process *p, const char *address)
{
    struct weir_socket *s = weir_socket(p, WEIR_TCP);

    assert_int_equal(weir_bind(s, address), 0);
    assert_int_equal(weir_listen(s), 0);
    assert_int_equal(weir_state(s), WEIR_LISTENING);
    return s;
}

static struct weir_socket *datagrams(struct weir_process *p, const char *address)
{
    struct weir_socket *s = weir_socket(p, WEIR_UDP);

    assert_int_equal(weir_bind(s, address), 0);
    return s;
}

/* Both ends of a connection that stands. */
static void connect_to(struct lab *l, struct weir_process *from, struct weir_socket *to, const char *address,
                       struct weir_socket **near, struct weir_socket **far)
{
    *near = weir_socket(from, WEIR_TCP);
    assert_int_equal(weir_connect(*near, address), -EINPROGRESS);
    assert_true(weir_wait(*near, WEIR_CONNECTED, WEIR_SECOND));
    weir_run(l->w, 5 * WEIR_MILLISECOND);
    *far = weir_accept(to);
    assert_non_null(*far);
    assert_int_equal(weir_state(*far), WEIR_CONNECTED);
}

static void says(struct weir_socket *from, struct weir_socket *to, const char *text)
{
    char got[256];

    assert_int_equal(weir_send(from, text, strlen(text)), strlen(text));
    assert_true(weir_wait_readable(to, WEIR_SECOND));
    assert_int_equal(weir_receive(to, got, sizeof got, NULL), strlen(text));
    assert_memory_equal(got, text, strlen(text));
}

/* ---- TCP --------------------------------------------------------------------------------------------------- */

static void tcp_both_roles_and_versions(void **state)
{
    static const struct {
        bool host_calls;
        const char *listens, *to, *from;
    } ways[] = {
        {true, ":80", "10.0.0.2:80", "10.0.0.1:"},
        {true, ":81", "[fd00::2]:81", "[fd00::1]:"},
        {false, ":82", "10.0.0.1:82", "10.0.0.2:"},
        {false, "[fd00::1]:83", "[fd00::1]:83", "[fd00::2]:"},
    };
    struct weir_socket *server, *a, *b;
    char text[WEIR_ADDRESS], local[WEIR_ADDRESS];
    struct lab l;

    (void)state;
    lab_open(&l, NULL);
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        server = listener(ways[i].host_calls ? l.peer : l.program, ways[i].listens);
        connect_to(&l, ways[i].host_calls ? l.program : l.peer, server, ways[i].to, &a, &b);
        assert_string_equal(weir_remote(a, text), ways[i].to);
        assert_memory_equal(weir_local(a, local), ways[i].from, strlen(ways[i].from));
        assert_string_equal(weir_remote(b, text), local);
        says(a, b, "there");
        says(b, a, "and back");
        assert_int_equal(weir_shutdown(a), 0);
        weir_run(l.w, 5 * WEIR_MILLISECOND);
        assert_int_equal(weir_receive(b, text, sizeof text, NULL), 0); /* the other side has ended */
        says(b, a, "still");
        weir_close(b);
        weir_run(l.w, 5 * WEIR_MILLISECOND);
        assert_int_equal(weir_receive(a, text, sizeof text, NULL), 0);
        assert_int_equal(weir_state(a), WEIR_CLOSED);
        weir_close(a);
        weir_close(server);
    }
    weir_settle(l.w);
    weir_destroy(l.w);
}

static void tcp_ends(void **state)
{
    struct weir_socket *server, *a, *b;
    char text[8];
    struct lab l;

    (void)state;
    lab_open(&l, NULL);
    a = weir_socket(l.program, WEIR_TCP); /* nobody listens there */
    assert_int_equal(weir_connect(a, "10.0.0.2:9"), -EINPROGRESS);
    assert_false(weir_wait(a, WEIR_CONNECTED, WEIR_SECOND));
    assert_int_equal(weir_state(a), WEIR_RESET);
    assert_int_equal(weir_send(a, "x", 1), -ECONNREFUSED);
    weir_close(a);
    a = weir_socket(l.program, WEIR_TCP); /* nobody is there */
    assert_int_equal(weir_connect(a, "10.0.0.77:9"), -EINPROGRESS);
    assert_false(weir_wait(a, WEIR_CONNECTED, 120 * WEIR_SECOND));
    assert_int_equal(weir_state(a), WEIR_TIMED_OUT);
    weir_close(a);

    server = listener(l.peer, ":80");
    connect_to(&l, l.program, server, "10.0.0.2:80", &a, &b);
    weir_abort(b);
    assert_true(weir_wait(a, WEIR_RESET, WEIR_SECOND));
    assert_int_equal(weir_receive(a, text, sizeof text, NULL), -ECONNRESET);
    assert_int_equal(weir_connect(weir_socket(l.program, WEIR_TCP), "192.0.2.1:80"), -ENETUNREACH);

    connect_to(&l, l.program, server, "10.0.0.2:80", &a, &b);
    weir_process_exit(l.program);
    assert_true(weir_wait(b, WEIR_RESET, WEIR_SECOND));
    weir_destroy(l.w);
}

static void a_large_transfer_arrives_whole(void **state)
{
    enum { SIZE = 3000000 };
    uint8_t *sent = malloc(SIZE), *got = malloc(SIZE);
    struct weir_socket *server, *a, *b;
    size_t out = 0, in = 0;
    struct lab l;

    (void)state;
    lab_open(&l, NULL);
    for (size_t i = 0; i < SIZE; i++)
        sent[i] = (uint8_t)(i * 2654435761u >> 13);
    server = listener(l.program, ":80");
    connect_to(&l, l.peer, server, "[fd00::1]:80", &a, &b);
    while (in < SIZE) {
        long n = out < SIZE ? weir_send(a, sent + out, SIZE - out) : 0;

        assert_true(n >= 0 || n == -EAGAIN);
        out += n > 0 ? (size_t)n : 0;
        weir_run(l.w, WEIR_MILLISECOND);
        while ((n = weir_receive(b, got + in, SIZE - in, NULL)) > 0 && (in += (size_t)n) < SIZE)
            ;
        assert_true(n > 0 || n == -EAGAIN);
    }
    assert_memory_equal(sent, got, SIZE);
    weir_destroy(l.w);
    free(sent);
    free(got);
}

/* ---- datagrams, ping, raw ---------------------------------------------------------------------------------- */

static void udp(void **state)
{
    struct weir_socket *a, *b;
    char got[2048], from[WEIR_ADDRESS];
    struct lab l;

    (void)state;
    lab_open(&l, NULL);
    a = datagrams(l.program, ":5353");
    b = datagrams(l.peer, ":5353");
    assert_int_equal(weir_send_to(b, "10.0.0.1:5353", "four", 4), 4);
    assert_int_equal(weir_send_to(b, "[fd00::1]:5353", "six", 3), 3);
    assert_int_equal(weir_receive(a, got, sizeof got, from), -EAGAIN);
    weir_run(l.w, 2 * WEIR_MILLISECOND);
    assert_int_equal(weir_receive(a, got, sizeof got, from), 4);
    assert_string_equal(from, "10.0.0.2:5353");
    assert_int_equal(weir_receive(a, got, sizeof got, from), 3);
    assert_string_equal(from, "[fd00::2]:5353");
    assert_int_equal(weir_receive(a, got, sizeof got, NULL), -EAGAIN);
    assert_int_equal(weir_send(a, "x", 1), -ENOTCONN);
    assert_int_equal(weir_connect(a, "[fd00::2]:5353"), 0);
    assert_int_equal(weir_send(a, "to you", 6), 6);
    assert_true(weir_wait_readable(b, WEIR_SECOND));
    assert_int_equal(weir_receive(b, got, sizeof got, from), 6);
    memset(got, 'z', sizeof got); /* in fragments */
    assert_int_equal(weir_send(a, got, sizeof got), sizeof got);
    assert_true(weir_wait_readable(b, WEIR_SECOND));
    assert_int_equal(weir_receive(b, got, sizeof got, NULL), sizeof got);
    assert_int_equal(weir_send(a, got, 70000), -EMSGSIZE);
    /* Nobody is at that port: the next call hears of it. */
    a = weir_socket(l.program, WEIR_UDP);
    assert_int_equal(weir_connect(a, "[fd00::2]:9"), 0);
    assert_int_equal(weir_send(a, "x", 1), 1);
    weir_run(l.w, 5 * WEIR_MILLISECOND);
    assert_int_equal(weir_receive(a, got, sizeof got, NULL), -ECONNREFUSED);
    weir_destroy(l.w);
}

static void ping(void **state)
{
    static const char *const to[] = {"10.0.0.2", "fd00::2"};
    struct weir_socket *s;
    char got[64], from[WEIR_ADDRESS];
    struct lab l;

    (void)state;
    lab_open(&l, NULL);
    for (int six = 0; six < 2; six++) {
        s = weir_socket(l.program, WEIR_PING);
        assert_int_equal(weir_connect(s, to[six]), 0);
        assert_int_equal(weir_send(s, "are you there", 13), 13);
        assert_true(weir_wait_readable(s, WEIR_SECOND));
        assert_int_equal(weir_receive(s, got, sizeof got, from), 13);
        assert_memory_equal(got, "are you there", 13);
        weir_close(s);
        s = weir_socket(l.peer, WEIR_PING); /* the host answers, too */
        assert_int_equal(weir_send_to(s, six ? "fd00::1" : "10.0.0.1", "ping", 4), 4);
        assert_true(weir_wait_readable(s, WEIR_SECOND));
        weir_close(s);
    }
    weir_destroy(l.w);
}

static void raw(void **state)
{
    struct weir_socket *a, *b;
    char got[64], from[WEIR_ADDRESS];
    struct lab l;

    (void)state;
    lab_open(&l, NULL);
    a = weir_socket_raw(l.program, 253);
    b = weir_socket_raw(l.peer, 253);
    assert_int_equal(weir_bind(a, "10.0.0.1"), 0);
    assert_int_equal(weir_bind(b, "10.0.0.2"), 0);
    assert_int_equal(weir_send_to(b, "10.0.0.1", "raw", 3), 3);
    assert_true(weir_wait_readable(a, WEIR_SECOND));
    assert_int_equal(weir_receive(a, got, sizeof got, from), 3);
    assert_int_equal(weir_send_to(a, "10.0.0.2", "too", 3), 3);
    assert_true(weir_wait_readable(b, WEIR_SECOND));
    assert_int_equal(weir_receive(b, got, sizeof got, from), 3);
    assert_memory_equal(got, "too", 3);
    weir_destroy(l.w);
}

static void multicast(void **state)
{
    static const char *const groups[] = {"239.1.2.3", "ff15::99"};
    static const char *const ends[] = {"239.1.2.3:7000", "[ff15::99]:7000"};
    struct weir_socket *a, *b;
    char got[16];
    struct lab l;

    (void)state;
    lab_open(&l, NULL);
    a = datagrams(l.program, ":7000");
    b = datagrams(l.peer, ":7001");
    for (int six = 0; six < 2; six++) {
        assert_int_equal(weir_send_to(b, ends[six], "early", 5), 5);
        assert_false(weir_wait_readable(a, 10 * WEIR_MILLISECOND));
        assert_int_equal(weir_join(a, groups[six]), 0);
        assert_int_equal(weir_send_to(b, ends[six], "group", 5), 5);
        assert_true(weir_wait_readable(a, 10 * WEIR_MILLISECOND));
        assert_int_equal(weir_receive(a, got, sizeof got, NULL), 5);
        assert_memory_equal(got, "group", 5);
        assert_int_equal(weir_leave(a, groups[six]), 0);
        assert_int_equal(weir_send_to(b, ends[six], "late", 4), 4);
        assert_false(weir_wait_readable(a, 10 * WEIR_MILLISECOND));
    }
    weir_destroy(l.w);
}

/* ---- who is where ------------------------------------------------------------------------------------------ */

static void programs_of_the_host_talk_to_each_other(void **state)
{
    static const char *const to[] = {"127.0.0.1:80", "[::1]:80", "10.0.0.1:80", "[fd00:0:0:1::1]:80"};
    struct weir_socket *server, *a, *b;
    struct weir_process *other;
    struct lab l;

    (void)state;
    lab_open(&l, NULL);
    other = weir_process(l.w, "C:\\server.exe", NULL);
    server = listener(other, ":80");
    for (size_t i = 0; i < sizeof to / sizeof to[0]; i++) {
        connect_to(&l, l.program, server, to[i], &a, &b);
        says(a, b, "hello neighbour");
        says(b, a, "hello");
        weir_close(a);
        weir_close(b);
        weir_run(l.w, WEIR_SECOND);
    }
    assert_int_equal(weir_count(l.w, &(struct weir_match){.kind = WEIR_EVENT_PACKET}), 0); /* on no wire */
    assert_int_equal(weir_count(l.w, &(struct weir_match){.layer = "ALE_AUTH_CONNECT_V4"}), 2);
    assert_int_equal(weir_count(l.w, &(struct weir_match){.layer = "ALE_AUTH_RECV_ACCEPT_V6"}), 2);
    weir_destroy(l.w);
}

static void peers_reach_each_other_through_the_host(void **state)
{
    struct weir_socket *server, *a, *b;
    struct lab l;

    (void)state;
    lab_open(&l, &(struct weir_config){.forwarding = true});
    server = listener(weir_peer(l.w, 2), ":80");
    connect_to(&l, l.peer, server, "10.0.1.2:80", &a, &b);
    says(a, b, "through");
    connect_to(&l, l.peer, server, "[fd00:0:0:1::2]:80", &a, &b);
    says(a, b, "through");
    says(b, a, "and back");
    weir_destroy(l.w);
    lab_open(&l, NULL); /* not if it does not route */
    server = listener(weir_peer(l.w, 2), ":80");
    a = weir_socket(l.peer, WEIR_TCP);
    (void)weir_connect(a, "10.0.1.2:80");
    assert_false(weir_wait(a, WEIR_CONNECTED, 60 * WEIR_SECOND));
    assert_int_equal(weir_state(a), WEIR_TIMED_OUT);
    weir_destroy(l.w);
}

static void addresses_and_ports(void **state)
{
    struct weir_socket *a, *b;
    char text[WEIR_ADDRESS];
    struct lab l;

    (void)state;
    lab_open(&l, NULL);
    a = weir_socket(l.program, WEIR_TCP);
    assert_int_equal(weir_bind(a, "10.0.0.1:7000"), 0);
    assert_string_equal(weir_local(a, text), "10.0.0.1:7000");
    b = weir_socket(l.program, WEIR_TCP);
    assert_int_equal(weir_bind(b, "10.0.0.1:7000"), -EADDRINUSE);
    assert_int_equal(weir_bind(b, "10.0.0.9:7001"), -EADDRNOTAVAIL);
    assert_int_equal(weir_bind(b, "10.0.0.1:0"), 0); /* still free for a good one */
    weir_close(a);
    a = weir_socket(l.program, WEIR_TCP);
    assert_int_equal(weir_bind(a, "10.0.0.1:7000"), 0); /* given back */
    a = weir_socket(l.peer, WEIR_UDP);
    assert_int_equal(weir_bind(a, ":0"), 0);
    weir_destroy(l.w);
}

/* ---- filters ----------------------------------------------------------------------------------------------- */

static UINT64 block(const GUID *layer, UINT16 port, const GUID *field)
{
    FWPM_FILTER_CONDITION0 condition = {.fieldKey = *field,
                                        .matchType = FWP_MATCH_EQUAL,
                                        .conditionValue = {.type = FWP_UINT16, .uint16 = port}};
    FWPM_FILTER0 filter = {.displayData.name = (WCHAR *)u"block",
                           .layerKey = *layer,
                           .action = {.type = FWP_ACTION_BLOCK},
                           .numFilterConditions = 1,
                           .filterCondition = &condition};
    HANDLE engine;
    UINT64 id;

    assert_int_equal(FwpmEngineOpen0(NULL, RPC_C_AUTHN_WINNT, NULL, NULL, &engine), ERROR_SUCCESS);
    assert_int_equal(FwpmFilterAdd0(engine, &filter, NULL, &id), ERROR_SUCCESS);
    assert_int_equal(FwpmEngineClose0(engine), ERROR_SUCCESS);
    return id;
}

static void filters_refuse(void **state)
{
    struct weir_socket *server, *a, *b;
    struct lab l;
    UINT64 id;

    (void)state;
    lab_open(&l, NULL);
    id = block(&FWPM_LAYER_ALE_AUTH_CONNECT_V4, 23, &FWPM_CONDITION_IP_REMOTE_PORT);
    a = weir_socket(l.program, WEIR_TCP);
    assert_int_equal(weir_connect(a, "10.0.0.2:23"), -EACCES);
    assert_int_equal(weir_state(a), WEIR_REFUSED);
    assert_true(weir_expect(
        l.w,
        &(struct weir_match){
            .layer = "ALE_AUTH_CONNECT_V4", .verdict = "block", .filter_id = id, .remote = "10.0.0.2:23"},
        1));
    a = weir_socket(l.program, WEIR_UDP);
    assert_int_equal(weir_send_to(a, "10.0.0.2:23", "x", 1), -EACCES);
    assert_int_equal(weir_send_to(a, "10.0.0.2:24", "x", 1), 1); /* the socket is as good as before */

    (void)block(&FWPM_LAYER_ALE_RESOURCE_ASSIGNMENT_V4, 6666, &FWPM_CONDITION_IP_LOCAL_PORT);
    a = weir_socket(l.program, WEIR_TCP);
    assert_int_equal(weir_bind(a, "10.0.0.1:6666"), -EACCES);
    assert_int_equal(weir_state(a), WEIR_REFUSED);
    (void)block(&FWPM_LAYER_ALE_AUTH_LISTEN_V4, 7777, &FWPM_CONDITION_IP_LOCAL_PORT);
    a = weir_socket(l.program, WEIR_TCP);
    assert_int_equal(weir_bind(a, "10.0.0.1:7777"), 0);
    assert_int_equal(weir_listen(a), -EACCES);

    (void)block(&FWPM_LAYER_ALE_AUTH_RECV_ACCEPT_V4, 8888, &FWPM_CONDITION_IP_LOCAL_PORT);
    server = listener(l.program, "10.0.0.1:8888");
    a = weir_socket(l.peer, WEIR_TCP);
    (void)weir_connect(a, "10.0.0.1:8888");
    assert_false(weir_wait(a, WEIR_CONNECTED, 60 * WEIR_SECOND));
    assert_int_equal(weir_state(a), WEIR_TIMED_OUT); /* silence */
    assert_null(weir_accept(server));

    /* The packet layers do not tell the program. */
    (void)block(&FWPM_LAYER_OUTBOUND_TRANSPORT_V4, 99, &FWPM_CONDITION_IP_REMOTE_PORT);
    b = weir_socket(l.program, WEIR_TCP);
    assert_int_equal(weir_connect(b, "10.0.0.2:99"), -EINPROGRESS);
    assert_false(weir_wait(b, WEIR_CONNECTED, 60 * WEIR_SECOND));
    assert_int_equal(weir_state(b), WEIR_TIMED_OUT);
    weir_destroy(l.w);
}

static void who_connects_is_known(void **state)
{
    FWP_BYTE_BLOB *app;
    struct weir_socket *a;
    struct weir_process *other;
    FWPM_FILTER_CONDITION0 condition = {.fieldKey = FWPM_CONDITION_ALE_APP_ID, .matchType = FWP_MATCH_EQUAL};
    FWPM_FILTER0 filter = {.displayData.name = (WCHAR *)u"program",
                           .layerKey = FWPM_LAYER_ALE_AUTH_CONNECT_V4,
                           .action = {.type = FWP_ACTION_BLOCK},
                           .numFilterConditions = 1,
                           .filterCondition = &condition};
    HANDLE engine;
    struct lab l;

    (void)state;
    lab_open(&l, NULL);
    assert_int_equal(FwpmGetAppIdFromFileName0((const WCHAR *)u"C:\\Program Files\\app.exe", &app),
                     ERROR_SUCCESS);
    condition.conditionValue = (FWP_CONDITION_VALUE0){.type = FWP_BYTE_BLOB_TYPE, .byteBlob = app};
    assert_int_equal(FwpmEngineOpen0(NULL, RPC_C_AUTHN_WINNT, NULL, NULL, &engine), ERROR_SUCCESS);
    assert_int_equal(FwpmFilterAdd0(engine, &filter, NULL, NULL), ERROR_SUCCESS);
    assert_int_equal(FwpmEngineClose0(engine), ERROR_SUCCESS);
    FwpmFreeMemory0((void **)&app);
    a = weir_socket(l.program, WEIR_TCP);
    assert_int_equal(weir_connect(a, "10.0.0.2:80"), -EACCES);
    other = weir_process(l.w, "C:\\Program Files\\other.exe", "S-1-5-21-1-2-3-1001");
    assert_int_not_equal(weir_process_id(other), weir_process_id(l.program));
    a = weir_socket(other, WEIR_TCP);
    assert_int_equal(weir_connect(a, "10.0.0.2:80"), -EINPROGRESS);
    assert_true(weir_expect_some(
        l.w, &(struct weir_match){.layer = "ALE_AUTH_CONNECT_V4", .process_id = weir_process_id(other)}));
    weir_destroy(l.w);
}

/* A connection that stands is asked about again when policy changes, and ends where it is refused. */
static void a_change_of_policy(void **state)
{
    struct weir_socket *server, *a, *b;
    struct lab l;

    (void)state;
    lab_open(&l, NULL);
    server = listener(l.peer, ":80");
    connect_to(&l, l.program, server, "10.0.0.2:80", &a, &b);
    says(a, b, "before");
    weir_reauthorize(l.w, WEIR_IPSEC_REKEY);
    says(a, b, "again");
    assert_true(
        weir_expect_some(l.w, &(struct weir_match){.layer = "ALE_AUTH_CONNECT_V4", .contains = "again"}));
    (void)block(&FWPM_LAYER_ALE_AUTH_CONNECT_V4, 80, &FWPM_CONDITION_IP_REMOTE_PORT);
    assert_int_equal(weir_send(a, "after", 5), 5);
    assert_int_equal(weir_send(a, "more", 4), -ECONNABORTED);
    assert_true(weir_wait_readable(b, 10 * WEIR_SECOND)); /* a reset */
    assert_int_equal(weir_state(b), WEIR_RESET);
    weir_destroy(l.w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tcp_both_roles_and_versions),
        cmocka_unit_test(tcp_ends),
        cmocka_unit_test(a_large_transfer_arrives_whole),
        cmocka_unit_test(udp),
        cmocka_unit_test(ping),
        cmocka_unit_test(raw),
        cmocka_unit_test(multicast),
        cmocka_unit_test(programs_of_the_host_talk_to_each_other),
        cmocka_unit_test(peers_reach_each_other_through_the_host),
        cmocka_unit_test(addresses_and_ports),
        cmocka_unit_test(filters_refuse),
        cmocka_unit_test(who_connects_is_known),
        cmocka_unit_test(a_change_of_policy),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

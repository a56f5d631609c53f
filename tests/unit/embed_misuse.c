/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir.h, used wrongly: every call with a handle that is NULL, no handle, of another kind, ended, of an engine that is
 * gone, and from another thread; arguments that make no sense; the wrong order. Each is told once, with the call's
 * name, returns what the header says, and changes nothing.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include <weir.h>

#include "pender.h"

static unsigned told;
static char last[4096];

static void failed(void *ctx, const char *text)
{
    (void)ctx;
    told++;
    snprintf(last, sizeof last, "%s", text);
}

/* Exactly one misuse was told since, of this call, and it says so. */
static void expect_told(const char *call, const char *contains)
{
    if (told != 1 || strncmp(last, call, strlen(call)) != 0 || last[strlen(call)] != ':' ||
        strstr(last, contains) == NULL || strstr(last, "\nagain: ") == NULL)
        fail_msg("%s, \"%s\": told %u times, last: %s", call, contains, told, last);
    assert_non_null(strstr(weir_error(), contains));
    told = 0;
    last[0] = '\0';
}

static struct weir *engine(void)
{
    const struct weir_config c = {.size = sizeof c, .failed = failed};
    struct weir *w;

    assert_int_equal(weir_create_with(&c, &w), 0);
    told = 0;
    return w;
}

/* ---- every call with a handle ------------------------------------------------------------------------------ */

enum kind { ENGINE, PROCESS, SOCKET, DRIVER, RULE, SWITCH, KINDS };
static const char *const kinds[] = {"engine", "process", "socket", "driver", "rule", "virtual switch"};

static char text[WEIR_ADDRESS];
static uint8_t bytes[64];

static bool never(void *ctx)
{
    (void)ctx;
    return false;
}

static void hear(void *ctx, uint32_t interface, enum weir_way way, const uint8_t *packet, size_t size)
{
    (void)ctx;
    (void)interface;
    (void)way;
    (void)packet;
    (void)size;
}

static void hear_frame(void *ctx, const struct weir_frame *f)
{
    (void)ctx;
    (void)f;
}

static void look(void *ctx, const struct weir_event *e)
{
    (void)ctx;
    (void)e;
}

static const struct weir_interface seventh = {.index = 7, .addresses = {"10.7.0.1/24"}};
static const struct weir_rule_config dropping = {.action = WEIR_DROP};
static const struct weir_driver_config nothing = {.image = "/no/such/image.so"};
static const struct weir_match any;
static const struct weir_port port = {.id = 1};
static const struct weir_vswitch_config lan = {.name = "lan"};

/* name, kind, the call, what it returns then. */
#define CALL(kind, name, expression)                                                                         \
    static long call_##name(void *h)                                                                         \
    {                                                                                                        \
        (void)h;                                                                                             \
        return (long)(expression);                                                                           \
    }
#define CALLS                                                                                                \
    X(ENGINE, weir_seed, weir_seed(h), 0)                                                                    \
    X(ENGINE, weir_load_policy, weir_load_policy(h, "x.xml", NULL, 0), -EINVAL)                              \
    X(ENGINE, weir_driver_with, weir_driver_with(h, &nothing), 0)                                            \
    X(ENGINE, weir_process, weir_process(h, "C:\\x.exe", NULL), 0)                                           \
    X(ENGINE, weir_peer, weir_peer(h, 1), 0)                                                                 \
    X(ENGINE, weir_now, weir_now(h), 0)                                                                      \
    X(ENGINE, weir_run, (weir_run(h, 1), 0), 0)                                                              \
    X(ENGINE, weir_settle, weir_settle(h), 0)                                                                \
    X(ENGINE, weir_wait_for, weir_wait_for(h, never, NULL, 1), false)                                        \
    X(ENGINE, weir_rule, weir_rule(h, &dropping), 0)                                                         \
    X(ENGINE, weir_deliver, weir_deliver(h, 1, bytes, 1), -EINVAL)                                           \
    X(ENGINE, weir_capture, weir_capture(h, NULL), -EINVAL)                                                  \
    X(ENGINE, weir_tap, (weir_tap(h, hear, NULL), 0), 0)                                                     \
    X(ENGINE, weir_frame_send, weir_frame_send(h, 1, WEIR_TO_HOST, bytes, 14), -EINVAL)                      \
    X(ENGINE, weir_tap_frames, (weir_tap_frames(h, hear_frame, NULL), 0), 0)                                 \
    X(ENGINE, weir_mac, weir_mac(h, 1, false, bytes), -EINVAL)                                               \
    X(ENGINE, weir_vswitch, weir_vswitch(h, &lan), 0)                                                        \
    X(ENGINE, weir_attach, weir_attach(h, 1, 0), -EINVAL)                                                    \
    X(ENGINE, weir_reauthorize, (weir_reauthorize(h, WEIR_POLICY_CHANGE), 0), 0)                             \
    X(ENGINE, weir_profile, weir_profile(h, 1, 1), -EINVAL)                                                  \
    X(ENGINE, weir_interface_add, weir_interface_add(h, &seventh), -EINVAL)                                  \
    X(ENGINE, weir_events, (weir_events(h, look, NULL), 0), 0)                                               \
    X(ENGINE, weir_count, weir_count(h, &any), 0)                                                            \
    X(ENGINE, weir_mark, weir_mark(h), 0)                                                                    \
    X(ENGINE, weir_outstanding, weir_outstanding(h, NULL), 0)                                                \
    X(ENGINE, weir_findings, weir_findings(h, NULL, NULL), 0)                                                \
    X(ENGINE, weir_expect, weir_expect(h, &any, 0), false)                                                   \
    X(ENGINE, weir_expect_some, weir_expect_some(h, &any), false)                                            \
    X(ENGINE, weir_expect_clean, weir_expect_clean(h), false)                                                \
    X(ENGINE, weir_fail, weir_fail(h, "FwpsPendOperation0", 1, 0), -EINVAL)                                  \
    X(ENGINE, weir_fail_allocation, (weir_fail_allocation(h, 1), 0), 0)                                      \
    X(ENGINE, weir_fallible_calls, weir_fallible_calls(h), 0)                                                \
    X(ENGINE, weir_hold, weir_hold(h, "thread"), 0)                                                          \
    X(ENGINE, weir_defer_completion, (weir_defer_completion(h, true), 0), 0)                                 \
    X(PROCESS, weir_process_id, weir_process_id(h), 0)                                                       \
    X(PROCESS, weir_process_exit, (weir_process_exit(h), 0), 0)                                              \
    X(PROCESS, weir_socket, weir_socket(h, WEIR_TCP), 0)                                                     \
    X(PROCESS, weir_socket_raw, weir_socket_raw(h, 253), 0)                                                  \
    X(SOCKET, weir_bind, weir_bind(h, ":1"), -EINVAL)                                                        \
    X(SOCKET, weir_listen, weir_listen(h), -EINVAL)                                                          \
    X(SOCKET, weir_connect, weir_connect(h, "10.0.0.2:1"), -EINVAL)                                          \
    X(SOCKET, weir_accept, weir_accept(h), 0)                                                                \
    X(SOCKET, weir_send, weir_send(h, bytes, 1), -EINVAL)                                                    \
    X(SOCKET, weir_send_to, weir_send_to(h, "10.0.0.2:1", bytes, 1), -EINVAL)                                \
    X(SOCKET, weir_receive, weir_receive(h, bytes, sizeof bytes, NULL), -EINVAL)                             \
    X(SOCKET, weir_shutdown, weir_shutdown(h), -EINVAL)                                                      \
    X(SOCKET, weir_join, weir_join(h, "239.0.0.1"), -EINVAL)                                                 \
    X(SOCKET, weir_leave, weir_leave(h, "239.0.0.1"), -EINVAL)                                               \
    X(SOCKET, weir_close, (weir_close(h), 0), 0)                                                             \
    X(SOCKET, weir_abort, (weir_abort(h), 0), 0)                                                             \
    X(SOCKET, weir_state, weir_state(h), WEIR_CLOSED)                                                        \
    X(SOCKET, weir_wait, weir_wait(h, WEIR_BOUND, 1), false)                                                 \
    X(SOCKET, weir_wait_readable, weir_wait_readable(h, 1), false)                                           \
    X(SOCKET, weir_expect_state, weir_expect_state(h, WEIR_BOUND), false)                                    \
    X(SOCKET, weir_expect_received, weir_expect_received(h, bytes, 1), false)                                \
    X(DRIVER, weir_driver_unload, weir_driver_unload(h), -EINVAL)                                            \
    X(SWITCH, weir_vswitch_end, (weir_vswitch_end(h), 0), 0)                                                 \
    X(SWITCH, weir_port_add, weir_port_add(h, &port), -EINVAL)                                               \
    X(SWITCH, weir_port_remove, weir_port_remove(h, 1), -EINVAL)                                             \
    X(SWITCH, weir_port_connect, weir_port_connect(h, 1), -EINVAL)                                           \
    X(SWITCH, weir_port_disconnect, weir_port_disconnect(h, 1), -EINVAL)                                     \
    X(SWITCH, weir_port_state, weir_port_state(h, 1), WEIR_PORT_NONE)                                        \
    X(SWITCH, weir_port_send, weir_port_send(h, 1, bytes, 14), -EINVAL)                                      \
    X(SWITCH, weir_port_receive, weir_port_receive(h, 1, bytes, 14), -EINVAL)                                \
    X(RULE, weir_rule_hits, weir_rule_hits(h), 0)                                                            \
    X(RULE, weir_rule_end, (weir_rule_end(h), 0), 0)
#define X(kind, name, expression, returns) CALL(kind, name, expression)
CALLS
#undef X

static const struct call {
    enum kind kind;
    const char *name;
    long (*call)(void *h);
    long returns;
} calls[] = {
#define X(kind, name, expression, returns) {kind, #name, call_##name, (long)(returns)},
    CALLS
#undef X
};
#define COUNT (sizeof calls / sizeof calls[0])

static void handles_open(struct weir *w, void *h[KINDS])
{
    struct weir_process *p = weir_process(w, "C:\\app.exe", NULL);

    h[ENGINE] = w;
    h[PROCESS] = p;
    h[SOCKET] = weir_socket(p, WEIR_TCP);
    h[DRIVER] = pender_load(w, &(struct pender){.at = PENDER_CONNECT});
    h[RULE] = weir_rule(w, &(struct weir_rule_config){.action = WEIR_DROP, .protocol = 200});
    h[SWITCH] = weir_vswitch(w, &lan);
    for (int k = 0; k < KINDS; k++)
        assert_non_null(h[k]);
}

static void every_call_with_no_handle(void **state)
{
    struct weir *w = engine();
    int ours;

    (void)state;
    for (size_t i = 0; i < COUNT; i++) {
        char words[64];

        snprintf(words, sizeof words, "the %s is NULL", kinds[calls[i].kind]);
        assert_int_equal(calls[i].call(NULL), calls[i].returns);
        expect_told(calls[i].name, words);
        assert_int_equal(calls[i].call(&ours), calls[i].returns);
        expect_told(calls[i].name, "is no handle of Weir's");
        assert_int_equal(calls[i].call((void *)(uintptr_t)0xdeadbeefcafef00d), calls[i].returns);
        expect_told(calls[i].name, "is no handle of Weir's");
    }
    weir_destroy(w);
}

static void every_call_with_another_kind(void **state)
{
    struct weir *w = engine();
    void *h[KINDS];

    (void)state;
    handles_open(w, h);
    for (size_t i = 0; i < COUNT; i++)
        for (int k = 0; k < KINDS; k++) {
            char words[64];

            if (k == (int)calls[i].kind)
                continue;
            snprintf(words, sizeof words, "%s, where", kinds[k]);
            assert_int_equal(calls[i].call(h[k]), calls[i].returns);
            expect_told(calls[i].name, words);
        }
    weir_destroy(w);
}

static void every_call_with_what_was_ended(void **state)
{
    struct weir *w = engine(), *other = engine();
    void *h[KINDS], *of_other[KINDS];

    (void)state;
    weir_use(w);
    handles_open(w, h);
    assert_int_equal(weir_driver_unload(h[DRIVER]), 0);
    weir_rule_end(h[RULE]);
    weir_vswitch_end(h[SWITCH]);
    weir_process_exit(h[PROCESS]); /* and its socket */
    handles_open(other, of_other);
    weir_destroy(other);
    weir_use(w);
    assert_int_equal(told, 0);
    for (size_t i = 0; i < COUNT; i++) {
        if (calls[i].kind != ENGINE) {
            assert_int_equal(calls[i].call(h[calls[i].kind]), calls[i].returns);
            expect_told(calls[i].name, "was ended before");
        }
        assert_int_equal(calls[i].call(of_other[calls[i].kind]), calls[i].returns);
        expect_told(calls[i].name, "was destroyed");
    }
    /* A new one in the same place is another. */
    (void)weir_rule(w, &dropping);
    assert_int_equal(weir_rule_hits(h[RULE]), 0);
    expect_told("weir_rule_hits", "was ended before");
    weir_destroy(other);
    expect_told("weir_destroy", "this engine was destroyed");
    assert_ptr_equal(weir_use(w), w);
    weir_destroy(w);
}

/* ---- another thread ---------------------------------------------------------------------------------------- */

static void *call_all(void *arg)
{
    void **h = arg;

    for (size_t i = 0; i < COUNT; i++)
        if (calls[i].call(h[calls[i].kind]) != calls[i].returns ||
            strstr(weir_error(), calls[i].name) == NULL)
            return (void *)calls[i].name;
    return NULL;
}

static void every_call_from_another_thread(void **state)
{
    struct weir *w = engine();
    void *h[KINDS], *wrong;
    pthread_t thread;
    int kept = dup(2), null[2];

    (void)state;
    handles_open(w, h);
    assert_int_equal(pipe(null), 0); /* what it writes to standard error is not looked at */
    assert_true(dup2(null[1], 2) >= 0);
    close(null[1]);
    assert_int_equal(pthread_create(&thread, NULL, call_all, h), 0);
    assert_int_equal(pthread_join(thread, &wrong), 0);
    assert_true(dup2(kept, 2) >= 0);
    close(kept);
    close(null[0]);
    if (wrong != NULL)
        fail_msg("%s", (const char *)wrong);
    assert_int_equal(told, 0); /* not there: this callback may leave by longjmp() */
    assert_int_equal(weir_mark(w), weir_mark(w));
    assert_int_equal(told, 1);
    assert_non_null(strstr(last, "weir_seed: called from a thread that the engine does not belong to"));
    told = 0;
    weir_destroy(w);
    assert_int_equal(told, 0);
}

/* ---- arguments and order ----------------------------------------------------------------------------------- */

static void arguments(void **state)
{
    struct weir *w = engine();
    struct weir_process *p = weir_process(w, "C:\\app.exe", NULL);
    struct weir_socket *s = weir_socket(p, WEIR_TCP), *u = weir_socket(p, WEIR_UDP),
                       *b = weir_socket(p, WEIR_UDP);
    const struct weir_interface bad[] = {
        {.index = 0, .addresses = {"10.9.0.1/24"}},
        {.index = 9},
        {.index = 9, .addresses = {"10.9.0.1/24"}, .mtu = 100},
        {.index = 9, .addresses = {"ten"}},
        {.index = 9, .addresses = {"10.9.0.1/24"}, .profile = 4},
        {.index = 9, .addresses = {"10.9.0.1"}, .peers = {"x"}},
    };

    (void)state;
#define TOLD(expression, returned, call, words)                                                              \
    do {                                                                                                     \
        assert_int_equal((long)(expression), (long)(returned));                                              \
        expect_told(call, words);                                                                            \
    } while (0)
    TOLD(weir_process(w, NULL, NULL), 0, "weir_process", "NULL");
    TOLD(weir_process(w, "", NULL), 0, "weir_process", "path");
    TOLD(weir_process(w, "C:\\x", "somebody"), 0, "weir_process", "SID");
    TOLD(weir_peer(w, 3), 0, "weir_peer", "no interface 3");
    TOLD(weir_socket(p, (enum weir_kind)9), 0, "weir_socket", "kind");
    TOLD(weir_socket(p, WEIR_RAW), 0, "weir_socket", "weir_socket_raw");
    TOLD(weir_socket_raw(p, 0), 0, "weir_socket_raw", "protocol");
    TOLD(weir_socket_raw(p, 256), 0, "weir_socket_raw", "protocol");
    TOLD(weir_bind(s, NULL), -EINVAL, "weir_bind", "no address");
    TOLD(weir_bind(s, "10.0.0.1"), -EINVAL, "weir_bind", "no port");
    TOLD(weir_bind(s, "10.0.0.1:65536"), -EINVAL, "weir_bind", "no address");
    TOLD(weir_bind(s, "[10.0.0.1]:80"), -EINVAL, "weir_bind", "no address");
    TOLD(weir_bind(s, "host:80"), -EINVAL, "weir_bind", "no address");
    TOLD(weir_connect(s, ":80"), -EINVAL, "weir_connect", "nobody's address");
    TOLD(weir_connect(s, "10.0.0.2:0"), -EINVAL, "weir_connect", "nobody's address");
    TOLD(weir_send(s, NULL, 3), -EINVAL, "weir_send", "NULL");
    TOLD(weir_receive(s, NULL, 3, NULL), -EINVAL, "weir_receive", "NULL");
    TOLD(weir_receive(s, text, 0, NULL), -EINVAL, "weir_receive", "size");
    TOLD(weir_local(s, NULL)[0], 0, "weir_local", "NULL");
    TOLD(weir_wait_for(w, NULL, NULL, 1), false, "weir_wait_for", "NULL");
    TOLD(weir_deliver(w, 1, NULL, 20), -EINVAL, "weir_deliver", "packet");
    TOLD(weir_deliver(w, 1, bytes, 0), -EINVAL, "weir_deliver", "packet");
    TOLD(weir_deliver(w, 8, bytes, 20), -EINVAL, "weir_deliver", "interface 8");
    TOLD(weir_attach(w, 1, 0), -EINVAL, "weir_attach", "simulated");
    TOLD((weir_reauthorize(w, (enum weir_reason)77), 0), 0, "weir_reauthorize", "reason");
    TOLD(weir_profile(w, 1, 4), -EINVAL, "weir_profile", "profile");
    TOLD(weir_profile(w, 6, 1), -EINVAL, "weir_profile", "interface 6");
    TOLD(weir_interface_add(w, NULL), -EINVAL, "weir_interface_add", "NULL");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        TOLD(weir_interface_add(w, &bad[i]), -EINVAL, "weir_interface_add", "");
    TOLD(weir_interface_add(w, &(struct weir_interface){.index = 1, .addresses = {"10.9.0.1/24"}}), -EEXIST,
         "weir_interface_add", "already");
    TOLD(weir_rule(w, NULL), 0, "weir_rule", "NULL");
    TOLD(weir_rule(w, &(struct weir_rule_config){.action = (enum weir_action)99}), 0, "weir_rule", "action");
    TOLD(weir_rule(w, &(struct weir_rule_config){.action = WEIR_DELAY}), 0, "weir_rule", "delay_ns");
    TOLD(weir_rule(w, &(struct weir_rule_config){.interface = 5}), 0, "weir_rule", "interface");
    TOLD(weir_rule(w, &(struct weir_rule_config){.from = "nobody"}), 0, "weir_rule", "from");
    TOLD(weir_rule(w, &(struct weir_rule_config){.tcp_flags = 2}), 0, "weir_rule", "tcp_mask");
    TOLD(weir_load_policy(w, NULL, NULL, 0), -EINVAL, "weir_load_policy", "NULL");

    /* the wrong order */
    TOLD(weir_listen(s), -EINVAL, "weir_listen", "not bound");
    TOLD(weir_listen(u), -EINVAL, "weir_listen", "TCP");
    TOLD(weir_accept(s), 0, "weir_accept", "not listening");
    TOLD(weir_send_to(s, "10.0.0.2:1", "x", 1), -EINVAL, "weir_send_to", "weir_send()");
    TOLD(weir_join(u, "10.0.0.1"), -EINVAL, "weir_join", "multicast");
    TOLD(weir_join(u, "239.1.1.1"), -EINVAL, "weir_join", "not bound");
    assert_int_equal(weir_bind(b, "10.0.0.1:5"), 0);
    TOLD(weir_bind(b, "10.0.0.1:6"), -EINVAL, "weir_bind", "already");
    TOLD(weir_send_to(b, "[fd00::2]:5", "x", 1), -EINVAL, "weir_send_to", "other version");
    TOLD(weir_connect(b, "[fd00::2]:5"), -EINVAL, "weir_connect", "other version");
    /* after all that the socket is as good as new */
    assert_int_equal(weir_bind(s, "10.0.0.1:80"), 0);
    assert_int_equal(weir_listen(s), 0);
    TOLD(weir_listen(s), -EINVAL, "weir_listen", "listening");
    assert_int_equal(weir_send(u, "x", 1), -ENOTCONN); /* no misuse: a state */
    assert_int_equal(told, 0);
    weir_destroy(w);
}

static void creating(void **state)
{
    const struct weir_interface bad = {.index = 3, .addresses = {"10.0.0.256/24"}};
    struct weir_config c = {.size = 7, .failed = failed};
    struct weir *w = (struct weir *)&bad;

    (void)state;
    told = 0;
    c.size = sizeof c;
    c.interfaces = &bad;
    c.interface_count = 1;
    assert_int_equal(weir_create_with(&c, &w), -EINVAL);
    assert_null(w);
    expect_told("weir_create_with", "10.0.0.256/24");
    c.interfaces = NULL;
    assert_int_equal(weir_create_with(&c, &w), -EINVAL);
    expect_told("weir_create_with", "interfaces is NULL");
    assert_null(weir_use(NULL));
}

/* ---- within callbacks -------------------------------------------------------------------------------------- */

static struct weir_socket *within;
static int said;

static bool sends(void *ctx, const uint8_t *packet, size_t size)
{
    (void)ctx;
    (void)packet;
    (void)size;
    said = (int)weir_state(within); /* asking is allowed */
    return false;
}

static void callbacks_may_ask_and_use_other_engines(void **state)
{
    struct weir *w = engine(), *other = engine();
    struct weir_process *p = weir_process(w, "C:\\app.exe", NULL);
    struct weir_socket *u = weir_socket(p, WEIR_UDP);

    (void)state;
    within = weir_socket(weir_process(other, "C:\\app.exe", NULL), WEIR_UDP);
    assert_int_equal(weir_bind(within, ":1"), 0);
    assert_non_null(weir_rule(w, &(struct weir_rule_config){.action = WEIR_DROP, .only = sends}));
    assert_int_equal(weir_send_to(u, "10.0.0.2:9", "x", 1), 1);
    assert_int_equal(said, WEIR_BOUND);
    weir_run(w, WEIR_SECOND);
    assert_int_equal(told, 0);
    weir_destroy(other);
    weir_destroy(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_call_with_no_handle),
        cmocka_unit_test(every_call_with_another_kind),
        cmocka_unit_test(every_call_with_what_was_ended),
        cmocka_unit_test(every_call_from_another_thread),
        cmocka_unit_test(arguments),
        cmocka_unit_test(creating),
        cmocka_unit_test(callbacks_may_ask_and_use_other_engines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

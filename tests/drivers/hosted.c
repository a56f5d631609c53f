/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drivers of tests/idioms that need a whole machine around them: each does what real ones do, between programs that
 * connect, wait, stop reading and go. usage: test_drivers_hosted DIRECTORY COMPILER [TEST]
 */
#include <errno.h>
#include <stdlib.h>

#include <fwpmu.h>

#include "../idioms/hosted.h"
#include "embed_lab.h"

static const char *directory, *compiler;

struct machine {
    struct embed_lab l;
    struct weir_driver *driver;
};

static struct weir_driver *load(struct machine *m, const char *name, const char *parameter)
{
    const struct weir_parameter one = {.name = parameter, .number = 1};
    char image[512];

    snprintf(image, sizeof image, "%s/idiom-%s-%s.so", directory, name, compiler);
    m->driver = weir_driver_with(
        m->l.w, &(struct weir_driver_config){
                    .image = image, .name = name, .parameters = &one, .parameter_count = parameter != NULL});
    if (m->driver == NULL)
        fail_msg("%s: %s", image, weir_error());
    return m->driver;
}

static void machine_open(struct machine *m, const char *name, const char *parameter, bool shuffled)
{
    embed_lab_open(&m->l, &(struct weir_config){.shuffle = shuffled, .preempt = shuffled ? 5 : 0});
    load(m, name, parameter);
}

static void machine_close(struct machine *m)
{
    if (m->driver != NULL)
        assert_int_equal(weir_driver_unload(m->driver), 0);
    assert_true(weir_expect_clean(m->l.w));
    embed_lab_close(&m->l);
}

/* Two ends of a connection of the program's to the peer. */
static void connected(struct machine *m, const char *to, struct weir_socket **client,
                      struct weir_socket **server)
{
    struct weir_socket *listener = embed_lab_serves(&m->l, strrchr(to, ':'));

    *client = weir_socket(m->l.program, WEIR_TCP);
    assert_int_equal(weir_connect(*client, to), -EINPROGRESS);
    assert_true(weir_wait(*client, WEIR_CONNECTED, WEIR_SECOND));
    weir_run(m->l.w, 10 * WEIR_MILLISECOND);
    *server = weir_accept(listener);
    assert_non_null(*server);
    weir_close(listener);
}

/* ---- taps: an inverted call, and what a program makes of a stream --------------------------------------- */

struct record {
    struct taps_record r;
    char bytes[65536];
};

static bool tap_read(struct weir_device *d, struct record *out, uint64_t patience)
{
    size_t done = 0;
    int32_t status = weir_read(d, out, sizeof *out, &done, patience);

    if (status == STATUS_SUCCESS)
        assert_int_equal(done, sizeof out->r + out->r.size);
    else
        assert_int_equal(status, STATUS_CANCELLED);
    return status == STATUS_SUCCESS;
}

static int32_t tap_write(struct weir_device *d, const struct record *of, int verdict, const char *bytes)
{
    struct record w = {.r = of->r};
    const size_t size = bytes != NULL ? strlen(bytes) : 0;

    w.r.verdict = (unsigned char)verdict;
    memcpy(w.bytes, bytes != NULL ? bytes : "", size);
    return weir_write(d, &w, sizeof w.r + size, NULL, 0);
}

static void streams_are_what_a_program_makes_of_them(void **state)
{
    static struct record a, b, c;
    struct weir_socket *client, *server;
    struct weir_device *d;
    struct machine m;
    int32_t status;
    char byte;

    (void)state;
    for (int world = 0; world < 2; world++) {
        machine_open(&m, "taps", NULL, world);
        d = weir_open(m.l.program, "\\\\.\\Taps", &status);
        assert_non_null(d);
        connected(&m, "10.0.0.2:80", &client, &server);
        assert_false(tap_read(d, &a, WEIR_SECOND)); /* waited, and was taken back */
        assert_int_equal(weir_send(client, "one", 3), 3);
        assert_true(tap_read(d, &a, WEIR_SECOND));
        assert_int_equal(weir_send(client, "two", 3), 3);
        assert_true(tap_read(d, &b, WEIR_SECOND));
        assert_int_equal(weir_send(client, "three", 5), 5);
        assert_int_equal(weir_shutdown(client), 0);
        assert_true(tap_read(d, &c, WEIR_SECOND));
        assert_memory_equal(b.bytes, "two", 3);
        assert_true(a.r.sent && a.r.flow == b.r.flow);
        assert_int_equal(tap_write(d, &b, TAPS_REPLACE, "zwei!"), 0); /* the later one first */
        weir_run(m.l.w, WEIR_SECOND);
        assert_int_equal(weir_receive(server, &byte, 1, NULL), -EAGAIN);
        assert_int_equal(tap_write(d, &a, TAPS_PASS, NULL), 0);
        weir_run(m.l.w, WEIR_SECOND);
        assert_true(weir_expect_received(server, "onezwei!", 8));
        assert_int_equal(tap_write(d, &a, TAPS_PASS, NULL), STATUS_NOT_FOUND);
        assert_int_equal(tap_write(d, &c, TAPS_DROP, NULL), 0);
        if (!c.r.end) { /* the end by itself */
            assert_true(tap_read(d, &c, WEIR_SECOND));
            assert_true(c.r.end && c.r.size == 0);
            assert_int_equal(tap_write(d, &c, TAPS_PASS, NULL), 0);
        }
        weir_run(m.l.w, WEIR_SECOND);
        assert_int_equal(weir_receive(server, &byte, 1, NULL), 0);
        machine_close(&m);
    }
}

/* Nobody reads: the sender has to wait, what is held is bounded; when the program goes all of it arrives. */
static void a_program_that_stops_reading_holds_senders_up(void **state)
{
    struct weir_socket *client, *server;
    static char text[1000000], got[1000000];
    size_t sent = 0, received = 0;
    struct weir_device *d;
    struct machine m;
    uint64_t held;
    long n;

    (void)state;
    machine_open(&m, "taps", NULL, false);
    d = weir_open(m.l.program, "\\\\.\\Taps", NULL);
    assert_non_null(d);
    connected(&m, "10.0.0.2:80", &client, &server);
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)(i * 7 + i / 255);
    for (int i = 0; i < 100; i++) {
        n = weir_send(server, text + sent, sizeof text - sent);
        sent += n > 0 ? (size_t)n : 0;
        weir_run(m.l.w, WEIR_SECOND);
    }
    held = weir_outstanding(m.l.w, "stream data clone");
    assert_true(held > 0 && held < 100);
    assert_true(sent < sizeof text); /* its window is closed */
    assert_int_equal(weir_receive(client, got, 1, NULL), -EAGAIN);
    weir_device_close(d);
    for (int i = 0; i < 3000 && received < sizeof text; i++) {
        n = sent < sizeof text ? weir_send(server, text + sent, sizeof text - sent) : 0;
        sent += n > 0 ? (size_t)n : 0;
        weir_run(m.l.w, 20 * WEIR_MILLISECOND);
        n = weir_receive(client, got + received, sizeof got - received, NULL);
        received += n > 0 ? (size_t)n : 0;
    }
    assert_int_equal(received, sizeof text);
    assert_memory_equal(got, text, sizeof text);
    machine_close(&m);
}

static void what_a_driver_holds_goes_on_when_it_goes(void **state)
{
    struct weir_socket *client, *server;
    struct weir_device *d;
    struct machine m;

    (void)state;
    machine_open(&m, "taps", NULL, false);
    d = weir_open(m.l.program, "\\\\.\\Taps", NULL);
    assert_non_null(d);
    connected(&m, "[fd00::2]:80", &client, &server);
    assert_int_equal(weir_send(client, "held", 4), 4);
    weir_run(m.l.w, WEIR_SECOND);
    assert_true(weir_outstanding(m.l.w, "stream data clone") != 0);
    assert_int_equal(weir_driver_unload(m.driver), 0);
    m.driver = NULL;
    weir_run(m.l.w, WEIR_SECOND);
    assert_true(weir_expect_received(server, "held", 4));
    assert_int_equal(weir_send(client, "free", 4), 4);
    weir_run(m.l.w, WEIR_SECOND);
    assert_true(weir_expect_received(server, "free", 4));
    machine_close(&m);
}

/* ---- contexts: what filters mean, and what they have seen ------------------------------------------------ */

static const GUID connect_key = CONTEXTS_KEY(1), stream_key = CONTEXTS_KEY(2), sublayer_key = CONTEXTS_KEY(3);

static uint64_t add_filter(HANDLE engine, const GUID *callout, const GUID *layer, uint16_t port,
                           unsigned block, bool with_context, uint32_t expected)
{
    struct contexts_rule rule = {.block = block};
    FWP_BYTE_BLOB blob = {.size = sizeof rule, .data = (UINT8 *)&rule};
    FWPM_FILTER_CONDITION0 condition = {.fieldKey = FWPM_CONDITION_IP_REMOTE_PORT,
                                        .matchType = FWP_MATCH_EQUAL,
                                        .conditionValue = {.type = FWP_UINT16, .uint16 = port}};
    GUID key = CONTEXTS_KEY(100);
    FWPM_PROVIDER_CONTEXT0 context = {.displayData.name = (WCHAR *)u"rule", .type = FWPM_GENERAL_CONTEXT};
    FWPM_FILTER0 filter = {.displayData.name = (WCHAR *)u"filter",
                           .layerKey = *layer,
                           .subLayerKey = sublayer_key,
                           .action = {.type = FWP_ACTION_CALLOUT_UNKNOWN, .calloutKey = *callout},
                           .numFilterConditions = 1,
                           .filterCondition = &condition};
    UINT64 id = 0;

    if (with_context) {
        key.Data2 = port;
        key.Data3 = callout->Data4[7];
        context.providerContextKey = key;
        context.dataBuffer = &blob;
        assert_int_equal(FwpmProviderContextAdd0(engine, &context, NULL, NULL), 0);
        filter.flags = FWPM_FILTER_FLAG_HAS_PROVIDER_CONTEXT;
        filter.providerContextKey = key;
    }
    assert_int_equal(FwpmFilterAdd0(engine, &filter, NULL, &id), expected);
    return id;
}

static struct contexts_total total_of(struct machine *m)
{
    struct weir_device *d = weir_open(m->l.program, "\\\\.\\Contexts", NULL);
    struct contexts_total total = {0};

    weir_settle(m->l.w);
    assert_non_null(d);
    assert_int_equal(weir_read(d, &total, sizeof total, NULL, 0), 0);
    weir_device_close(d);
    return total;
}

static void filters_mean_what_their_provider_contexts_say(void **state)
{
    FWPM_SESSION0 session = {.flags = FWPM_SESSION_FLAG_DYNAMIC};
    struct weir_socket *client, *server, *refused, *other;
    struct contexts_total total;
    struct machine m;
    HANDLE engine;
    uint64_t counts;

    (void)state;
    for (int world = 0; world < 2; world++) {
        machine_open(&m, "contexts", NULL, world);
        weir_settle(m.l.w); /* the work item has added its objects */
        (void)weir_use(m.l.w);
        assert_int_equal(FwpmEngineOpen0(NULL, RPC_C_AUTHN_WINNT, NULL, &session, &engine), 0);
        counts = add_filter(engine, &connect_key, &FWPM_LAYER_ALE_AUTH_CONNECT_V4, 80, 0, true, 0);
        (void)add_filter(engine, &connect_key, &FWPM_LAYER_ALE_AUTH_CONNECT_V4, 81, 1, true, 0);
        (void)add_filter(engine, &stream_key, &FWPM_LAYER_STREAM_V4, 80, 0, true, 0);
        weir_settle(m.l.w);
        assert_int_equal(total_of(&m).filters, 3);
        connected(&m, "10.0.0.2:80", &client, &server);
        refused = weir_socket(m.l.program, WEIR_TCP);
        (void)weir_connect(refused, "10.0.0.2:81");
        weir_run(m.l.w, WEIR_SECOND);
        assert_true(weir_expect_state(refused, WEIR_REFUSED));
        connected(&m, "10.0.0.2:82", &other, &refused);
        assert_int_equal(weir_send(client, "twelve bytes", 12), 12);
        assert_int_equal(weir_send(other, "not asked", 9), 9);
        weir_run(m.l.w, WEIR_SECOND);
        total = total_of(&m);
        assert_int_equal(total.counters, 3);
        assert_int_equal(total.asked, 2);
        assert_int_equal(total.bytes, 12);
        assert_int_equal(FwpmFilterDeleteById0(engine, counts), 0); /* the flow has its counter yet */
        total = total_of(&m);
        assert_int_equal(total.filters, 2);
        assert_int_equal(total.counters, 3);
        assert_int_equal(weir_driver_unload(m.driver), 0); /* while the flow is there */
        m.driver = NULL;
        assert_non_null(strstr(m.l.printed, "0 counters left"));
        assert_null(strstr(m.l.printed, "busy 0"));
        (void)weir_use(m.l.w);
        assert_int_equal(FwpmEngineClose0(engine), 0);
        assert_int_equal(weir_send(client, "on", 2), 2);
        weir_run(m.l.w, WEIR_SECOND);
        assert_true(weir_expect_received(server, "twelve byteson", 14));
        machine_close(&m);
    }
}

/* ---- hooks: a program that comes and goes ---------------------------------------------------------------- */

static void attach(struct weir_device *d, bool there, uint16_t port)
{
    const struct hooks_program is = {.attach = there, .port = port};

    assert_int_equal(weir_write(d, &is, sizeof is, NULL, 0), 0);
}

static struct hooks_counts counts_of(struct weir_device *d)
{
    struct hooks_counts counts;

    assert_int_equal(weir_read(d, &counts, sizeof counts, NULL, 0), 0);
    return counts;
}

static void hooks_at_many_layers_run_who_is_attached(void **state)
{
    enum {
        BIND_6 = 1,
        CONNECT_4 = 4,
        CONNECT_6 = 5,
        ESTABLISHED_4 = 8,
        RECEIVED_4 = 10,
        SENT_4 = 12,
        SENT_6 = 13
    };
    struct weir_socket *client, *server, *refused;
    struct hooks_counts counts;
    struct weir_device *d;
    struct machine m;
    char bytes[64];

    (void)state;
    for (int world = 0; world < 2; world++) {
        machine_open(&m, "hooks", NULL, world);
        d = weir_open(m.l.program, "\\\\.\\Hooks", NULL);
        assert_non_null(d);
        connected(&m, "10.0.0.2:80", &client, &server);
        assert_int_equal(counts_of(d).of[SENT_4], 0); /* nobody is there */
        attach(d, true, 81);
        refused = weir_socket(m.l.program, WEIR_TCP);
        (void)weir_connect(refused, "10.0.0.2:81");
        weir_run(m.l.w, WEIR_SECOND);
        assert_true(weir_expect_state(refused, WEIR_REFUSED));
        counts = counts_of(d);
        assert_int_equal(counts.of[CONNECT_4], 1);
        assert_int_equal(counts.of[SENT_4], 0);
        for (unsigned i = 0; i < 50; i++) { /* programs change while the other connection is busy */
            assert_int_equal(weir_send(client, "a few bytes", 11), 11);
            attach(d, i % 3 != 0, 81);
            weir_run(m.l.w, WEIR_MILLISECOND / 2);
            (void)weir_receive(server, bytes, sizeof bytes, NULL);
        }
        weir_settle(m.l.w);
        attach(d, true, 82);
        assert_int_equal(weir_send(client, "on", 2), 2);
        refused = weir_socket(m.l.program, WEIR_UDP);
        assert_int_equal(weir_send_to(refused, "[fd00::2]:53", "x", 1), 1);
        weir_settle(m.l.w);
        counts = counts_of(d);
        assert_int_equal(counts.of[SENT_4], 1);
        assert_int_equal(counts.of[RECEIVED_4], 1);
        assert_int_equal(counts.of[CONNECT_4], 0); /* it has been asked about */
        assert_int_equal(counts.of[CONNECT_6], 1);
        assert_int_equal(counts.of[ESTABLISHED_4], 0);
        assert_int_equal(counts.of[BIND_6], 1);
        assert_int_equal(counts.of[SENT_6], 1);
        machine_close(&m); /* one is attached */
    }
}

/* ---- shares: three that may settle what is pended ------------------------------------------------------- */

static void the_first_settles_and_the_last_gives_back(void **state)
{
    struct weir_socket *asked, *led, *s;
    struct machine m;

    (void)state;
    for (int world = 0; world < 2; world++)
        for (int slow = 0; slow < 2; slow++) {
            machine_open(&m, "shares", slow ? "Slow" : NULL, world);
            asked = embed_lab_serves(&m.l, ":80");
            led = embed_lab_serves(&m.l, ":8080");
            s = weir_socket(m.l.program, WEIR_TCP);
            assert_int_equal(weir_connect(s, "10.0.0.2:80"), -EINPROGRESS);
            assert_true(weir_wait(s, WEIR_CONNECTED, 10 * WEIR_SECOND));
            weir_run(m.l.w, WEIR_SECOND);
            assert_true((weir_accept(led) != NULL) == !slow);
            assert_true((weir_accept(asked) != NULL) == slow);
            s = weir_socket(m.l.program, WEIR_TCP); /* it is closed while it waits */
            assert_int_equal(weir_connect(s, "10.0.0.2:80"), -EINPROGRESS);
            weir_close(s);
            weir_run(m.l.w, WEIR_SECOND);
            s = weir_socket(m.l.program, WEIR_TCP); /* the driver goes while it waits */
            assert_int_equal(weir_connect(s, "10.0.0.2:80"), -EINPROGRESS);
            assert_int_equal(weir_driver_unload(m.driver), 0);
            m.driver = NULL;
            assert_true(weir_wait(s, WEIR_CONNECTED, 10 * WEIR_SECOND));
            assert_non_null(
                strstr(m.l.printed, slow ? "led 0, timed out 2, gone 1" : "led 2, timed out 0, gone 1"));
            machine_close(&m);
        }
}

/* ---- stays: goes, and leaves its callouts --------------------------------------------------------------- */

static void say(void *ctx, const char *line)
{
    char *to = ctx;
    size_t used = strlen(to);

    snprintf(to + used, 4096 - used, "%s\n", line);
}

static void callouts_of_a_driver_that_is_gone_are_not_called(void **state)
{
    struct weir_socket *client, *server, *again, *other;
    static char found[4096];
    struct machine m;

    (void)state;
    found[0] = '\0';
    machine_open(&m, "stays", NULL, false);
    connected(&m, "10.0.0.2:80", &client, &server);
    assert_int_equal(weir_driver_unload(m.driver), 0);
    assert_int_equal(weir_findings(m.l.w, say, found), 3);
    assert_non_null(strstr(found, "flow context"));
    assert_non_null(strstr(found, "callout"));
    assert_int_equal(weir_send(client, "still there", 11), 11); /* the filters are, too */
    weir_run(m.l.w, WEIR_SECOND);
    assert_true(weir_expect_received(server, "still there", 11));
    connected(&m, "10.0.0.2:81", &again, &other);
    weir_abort(client);
    weir_run(m.l.w, WEIR_SECOND);
    load(&m, "contexts", NULL); /* somewhere there was the other one's image */
    weir_close(again);
    weir_run(m.l.w, WEIR_SECOND);
    assert_int_equal(weir_driver_unload(m.driver), 0);
    assert_int_equal(weir_outstanding(m.l.w, NULL), 0);
    embed_lab_close(&m.l);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams_are_what_a_program_makes_of_them),
        cmocka_unit_test(a_program_that_stops_reading_holds_senders_up),
        cmocka_unit_test(what_a_driver_holds_goes_on_when_it_goes),
        cmocka_unit_test(filters_mean_what_their_provider_contexts_say),
        cmocka_unit_test(hooks_at_many_layers_run_who_is_attached),
        cmocka_unit_test(the_first_settles_and_the_last_gives_back),
        cmocka_unit_test(callouts_of_a_driver_that_is_gone_are_not_called),
    };

    if (argc < 3) {
        fprintf(stderr, "usage: %s DIRECTORY COMPILER [TEST]\n", argv[0]);
        return 2;
    }
    directory = argv[1];
    compiler = argv[2];
    if (argc > 3)
        cmocka_set_test_filter(argv[3]);
    return cmocka_run_group_tests_name("hosted idioms", tests, NULL, NULL);
}

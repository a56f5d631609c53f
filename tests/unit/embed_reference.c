/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir.h: the reference driver `inquire`, linked in as a driver's author would (compiled by weir cc -c): each call of it
 * that can fail fails once, while it is loaded and while connections wait for it. DriverEntry fails cleanly or the
 * driver goes on; nothing crashes, nothing is left, nobody waits for ever.
 */
#include <errno.h>

#include "embed_lab.h"

int32_t DriverEntry(struct _DRIVER_OBJECT *driver, struct _UNICODE_STRING *path);

#define MOST 200 /* calls tried; all of them where there are fewer */

struct counted {
    uint64_t calls;
    unsigned connected, refused, not_loaded;
};

static void converse(struct embed_lab *l, struct counted *out)
{
    struct weir_socket *in = weir_socket(l->program, WEIR_TCP), *server = embed_lab_serves(l, ":80"), *s, *t,
                       *u;
    int listens = weir_bind(in, ":443") == 0 ? weir_listen(in) : -EACCES;

    s = weir_socket(l->program, WEIR_TCP);
    (void)weir_connect(s, "10.0.0.2:80");
    t = weir_socket(l->peer, WEIR_TCP);
    (void)weir_connect(t, "10.0.0.1:443");
    u = weir_socket(l->program, WEIR_UDP);
    (void)weir_send_to(u, "10.0.0.2:53", "question", 8);
    weir_run(l->w, 100 * WEIR_SECOND);
    assert_true(listens == 0);
    if (weir_state(s) == WEIR_CONNECTED)
        out->connected++;
    else if (weir_state(s) == WEIR_REFUSED || weir_state(s) == WEIR_TIMED_OUT)
        out->refused++;
    else
        fail_msg("the connect is %s", weir_state_name(weir_state(s)));
    (void)server;
}

static void run(uint32_t nth, struct counted *out)
{
    const struct weir_parameter delay = {.name = "DelayMs", .number = 20};
    const struct weir_driver_config config = {
        .entry = DriverEntry, .name = "inquire", .parameters = &delay, .parameter_count = 1};
    struct weir_driver *d;
    struct embed_lab l;

    embed_lab_open(&l, NULL);
    if (nth != 0)
        assert_int_equal(weir_fail(l.w, NULL, nth, 0), 0);
    d = weir_driver_with(l.w, &config);
    if (d == NULL)
        out->not_loaded++;
    else
        converse(&l, out);
    if (d != NULL)
        assert_int_equal(weir_driver_unload(d), 0);
    assert_true(weir_expect_clean(l.w));
    out->calls = weir_fallible_calls(l.w);
    if (nth != 0 && weir_count(l.w, &(struct weir_match){.kind = WEIR_EVENT_FAULT}) != 1)
        fail_msg("call %u of %llu did not fail", nth, (unsigned long long)out->calls);
    embed_lab_close(&l);
}

static void each_call_fails_once(void **state)
{
    struct counted all = {0}, c = {0};
    uint64_t tried;

    (void)state;
    run(0, &all);
    assert_int_equal(all.connected, 1);
    assert_true(all.calls > 30);
    tried = all.calls < MOST ? all.calls : MOST;
    for (uint32_t nth = 1; nth <= tried; nth++)
        run(nth, &c);
    print_message("%llu calls, each failed once: not loaded %u times, connected %u, refused %u\n",
                  (unsigned long long)tried, c.not_loaded, c.connected, c.refused);
    assert_true(c.not_loaded > 0 && c.connected > 0);
    assert_int_equal(c.not_loaded + c.connected + c.refused, tried);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_call_fails_once)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

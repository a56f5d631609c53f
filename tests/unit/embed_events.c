/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir.h: events: what a connection leaves, in order and in words; matching by each member; how many are kept; what
 * drivers print; engines do not see each other's.
 */
#include <errno.h>

#include "embed_lab.h"
#include "linked.h"

static void one_connection(struct embed_lab *l, uint16_t port, enum weir_state expected)
{
    struct weir_socket *s = weir_socket(l->program, WEIR_TCP);
    char to[32];

    snprintf(to, sizeof to, "10.0.0.2:%u", port);
    (void)weir_connect(s, to);
    (void)weir_wait(s, expected, WEIR_SECOND);
    assert_true(weir_expect_state(s, expected));
    weir_abort(s);
}

struct seen {
    char order[256];
    uint64_t last, last_ns;
    unsigned wrong;
    char text[1024];
};

static void see(void *ctx, const struct weir_event *e)
{
    static const char kinds[] = " cpofxdisnPF"; /* by number */
    struct seen *s = ctx;
    size_t size = strlen(s->order);

    s->wrong += e->number != s->last + 1 || e->time_ns < s->last_ns || e->text == NULL;
    s->last = e->number;
    s->last_ns = e->time_ns;
    if (size + 1 < sizeof s->order)
        s->order[size] = kinds[e->kind];
    if (e->kind == WEIR_EVENT_CLASSIFY && e->layer != NULL && strcmp(e->layer, "ALE_AUTH_CONNECT_V4") == 0) {
        assert_string_equal(e->verdict, "permit");
        assert_string_equal(e->remote, "10.0.0.2:80");
        assert_memory_equal(e->local, "10.0.0.1:", 9);
        assert_int_equal(e->protocol, 6);
        assert_false(e->inbound);
        assert_true(e->process_id != 0 && e->flow_id != 0);
        snprintf(s->text, sizeof s->text, "%s", e->text);
    }
}

static void a_connection_leaves_its_trace(void **state)
{
    struct seen s = {0};
    struct embed_lab l;

    (void)state;
    embed_lab_open(&l, NULL);
    assert_non_null(linked_load(l.w));
    (void)embed_lab_serves(&l, ":80");
    one_connection(&l, 80, WEIR_CONNECTED);
    weir_events(l.w, see, &s);
    assert_int_equal(s.wrong, 0);
    assert_non_null(strstr(s.text, "ALE_AUTH_CONNECT_V4: permit, tcp 10.0.0.1:"));
    assert_non_null(strstr(s.text, " -> 10.0.0.2:80"));
    assert_non_null(strchr(s.order, 'P')); /* printed */
    assert_non_null(strchr(s.order, 'f')); /* a flow */
    assert_non_null(strchr(s.order, 'x')); /* packets */
    assert_true(weir_mark(l.w) == s.last);
    embed_lab_close(&l);
}

static size_t count(struct embed_lab *l, struct weir_match m)
{
    return weir_count(l->w, &m);
}

static void each_member_counts(void **state)
{
    struct embed_lab l;
    uint64_t mark;

    (void)state;
    embed_lab_open(&l, NULL);
    assert_non_null(linked_load(l.w));
    (void)embed_lab_serves(&l, ":80");
    one_connection(&l, 80, WEIR_CONNECTED);
    mark = weir_mark(l.w);
    one_connection(&l, LINKED_BLOCKS, WEIR_REFUSED);
#define AC .layer = "ALE_AUTH_CONNECT_V4"
    assert_int_equal(count(&l, (struct weir_match){AC}), 2);
    assert_int_equal(count(&l, (struct weir_match){.layer = "FWPM_LAYER_ALE_AUTH_CONNECT_V4"}), 2);
    assert_int_equal(count(&l, (struct weir_match){.layer = "ale_auth_connect"}), 2);
    assert_int_equal(count(&l, (struct weir_match){.layer = "ALE_AUTH_CONNECT_V6"}), 0);
    assert_int_equal(count(&l, (struct weir_match){AC, .since = mark}), 1);
    assert_int_equal(count(&l, (struct weir_match){AC, .verdict = "permit"}), 1);
    assert_int_equal(count(&l, (struct weir_match){AC, .verdict = "block"}), 1);
    assert_int_equal(count(&l, (struct weir_match){AC, .verdict = "permit", .since = mark}), 0);
    assert_int_equal(count(&l, (struct weir_match){AC, .remote = "10.0.0.2:80"}), 1);
    assert_int_equal(count(&l, (struct weir_match){AC, .remote = "10.0.0.2"}), 2);
    assert_int_equal(count(&l, (struct weir_match){AC, .remote = ":81"}), 1);
    assert_int_equal(count(&l, (struct weir_match){AC, .remote = "fd00::2"}), 0);
    assert_int_equal(count(&l, (struct weir_match){AC, .local = "10.0.0.1"}), 2);
    assert_int_equal(count(&l, (struct weir_match){AC, .local = "10.0.0.2"}), 0);
    assert_int_equal(count(&l, (struct weir_match){AC, .protocol = 6}), 2);
    assert_int_equal(count(&l, (struct weir_match){AC, .protocol = 17}), 0);
    assert_int_equal(count(&l, (struct weir_match){AC, .process_id = weir_process_id(l.program)}), 2);
    assert_int_equal(count(&l, (struct weir_match){AC, .process_id = 1}), 0);
    assert_int_equal(count(&l, (struct weir_match){AC, .filter_id = 999}), 0);
    assert_int_equal(count(&l, (struct weir_match){AC, .contains = "10.0.0.2:81"}), 1);
    assert_int_equal(count(&l, (struct weir_match){.kind = WEIR_EVENT_PRINT, .contains = "is blocked"}), 1);
    assert_true(count(&l, (struct weir_match){.kind = WEIR_EVENT_PACKET}) > 2);
    assert_true(count(&l, (struct weir_match){0}) > 10);
    embed_lab_close(&l);
}

static void a_pend_and_its_completion(void **state)
{
    struct embed_lab l;

    (void)state;
    embed_lab_open(&l, NULL);
    assert_non_null(linked_load(l.w));
    (void)embed_lab_serves(&l, ":82");
    one_connection(&l, LINKED_PENDS, WEIR_CONNECTED);
    assert_int_equal(count(&l, (struct weir_match){AC, .verdict = "pended"}), 1);
    assert_int_equal(count(&l, (struct weir_match){AC, .verdict = "permit"}), 1);
    assert_int_equal(count(&l, (struct weir_match){.kind = WEIR_EVENT_PENDED}), 1);
    assert_int_equal(count(&l, (struct weir_match){.kind = WEIR_EVENT_COMPLETED, .verdict = "permit"}), 1);
    embed_lab_close(&l);
}

/* Without any filter ALE's layers can be seen all the same. */
static void ale_is_seen_without_filters(void **state)
{
    struct embed_lab l;

    (void)state;
    embed_lab_open(&l, NULL);
    (void)embed_lab_serves(&l, ":80");
    one_connection(&l, 80, WEIR_CONNECTED);
    assert_int_equal(count(&l, (struct weir_match){AC, .verdict = "permit"}), 1);
    assert_int_equal(count(&l, (struct weir_match){.layer = "OUTBOUND_TRANSPORT_V4"}), 0);
    embed_lab_close(&l);
}

static void so_many_are_kept(void **state)
{
    const struct weir_config config = {.keep_events = 100}; /* two chunks of 64 */
    struct seen s = {0};
    struct embed_lab l;
    uint64_t all;

    (void)state;
    embed_lab_open(&l, &config);
    (void)embed_lab_serves(&l, ":80");
    for (unsigned i = 0; i < 50; i++)
        one_connection(&l, 80, WEIR_CONNECTED);
    all = weir_mark(l.w);
    assert_true(all > 500);
    assert_int_equal(count(&l, (struct weir_match){0}), 128);
    s.last = all - 128;
    weir_events(l.w, see, &s);
    assert_int_equal(s.wrong, 0);
    assert_int_equal(s.last, all);
    embed_lab_close(&l);
}

static void ask_more(void *ctx, const struct weir_event *e)
{
    struct embed_lab *l = ctx;

    (void)e;
    (void)weir_classify(l->w, "ALE_AUTH_CONNECT_V4", NULL, 0, &(struct weir_verdict){0}); /* an event more */
    l->told++;
}

/* What is brought about from within is not given out in the same round. */
static void events_that_make_events(void **state)
{
    struct embed_lab l;
    uint64_t before;

    (void)state;
    embed_lab_open(&l, NULL);
    (void)weir_classify(l.w, "ALE_AUTH_CONNECT_V4", NULL, 0, &(struct weir_verdict){0});
    (void)weir_classify(l.w, "ALE_AUTH_CONNECT_V4", NULL, 0, &(struct weir_verdict){0});
    before = weir_mark(l.w);
    weir_events(l.w, ask_more, &l);
    assert_int_equal(l.told, before);
    assert_int_equal(weir_mark(l.w), 2 * before);
    embed_lab_close(&l);
}

static void engines_do_not_see_each_others(void **state)
{
    struct embed_lab a, b;

    (void)state;
    embed_lab_open(&a, NULL);
    embed_lab_open(&b, NULL);
    (void)embed_lab_serves(&a, ":80");
    one_connection(&a, 80, WEIR_CONNECTED);
    assert_int_equal(count(&a, (struct weir_match){AC}), 1);
    assert_int_equal(count(&b, (struct weir_match){AC}), 0);
    embed_lab_close(&a);
    embed_lab_close(&b);
}

static void misuse_is_told(void **state)
{
    struct embed_lab l;

    (void)state;
    embed_lab_open(&l, NULL);
    embed_lab_expects(&l);
    assert_int_equal(count(&l, (struct weir_match){.layer = "ALE_AUTH_CONECT_V4"}), 0);
    embed_lab_told(&l, "no layer is called 'ALE_AUTH_CONECT_V4'");
    embed_lab_expects(&l);
    assert_int_equal(count(&l, (struct weir_match){.remote = "10.0.0"}), 0);
    embed_lab_told(&l, "match.remote");
    embed_lab_expects(&l);
    assert_int_equal(weir_count(l.w, NULL), 0);
    embed_lab_told(&l, "match is NULL");
    embed_lab_expects(&l);
    weir_events(l.w, NULL, NULL);
    embed_lab_told(&l, "weir_events");
    embed_lab_expects(&l);
    assert_int_equal(count(&l, (struct weir_match){.kind = 99}), 0);
    embed_lab_told(&l, "99 is no kind of event");
    embed_lab_close(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_leaves_its_trace),
        cmocka_unit_test(each_member_counts),
        cmocka_unit_test(a_pend_and_its_completion),
        cmocka_unit_test(ale_is_seen_without_filters),
        cmocka_unit_test(so_many_are_kept),
        cmocka_unit_test(events_that_make_events),
        cmocka_unit_test(engines_do_not_see_each_others),
        cmocka_unit_test(misuse_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

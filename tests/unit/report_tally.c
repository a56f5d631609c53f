/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tally and its table: what is counted once, what gives way when there is no more room, that lines keep
 * to 100 columns whatever they have to say.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "explain/state.h"
#include "report/report.h"

struct lab {
    struct explain_state *s;
    struct report_names *names;
    const struct engine_layer *connect, *discard, *packet;
};

static int set_up(void **state)
{
    struct lab *l = calloc(1, sizeof *l);
    struct policy_error error;
    char path[512];

    assert_non_null(l);
    snprintf(path, sizeof path, "%s/data/demo/demo.wfpstate.xml",
             getenv("WEIR_ROOT") != NULL ? getenv("WEIR_ROOT") : ".");
    if (explain_state_open(path, &l->s, &error) != 0)
        fail_msg("%s", error.text);
    assert_int_equal(report_names_create(l->s->bfe, &l->names), 0);
    l->connect = engine_layer_by_name("ALE_AUTH_CONNECT_V4");
    l->discard = engine_layer_by_name("ALE_AUTH_CONNECT_V4_DISCARD");
    l->packet = engine_layer_by_name("OUTBOUND_TRANSPORT_V4");
    *state = l;
    return 0;
}

static int tear_down(void **state)
{
    struct lab *l = *state;

    report_names_destroy(l->names);
    explain_state_close(l->s);
    free(l);
    return 0;
}

static struct report_tally *tally(struct lab *l, size_t most)
{
    struct report_tally *t;

    assert_int_equal(report_tally_create(l->names, most, &t), 0);
    return t;
}

static void tell(struct report_tally *t, const struct engine_layer *layer, UINT64 flow, enum host_cause cause,
                 bool block, UINT64 filter, UINT64 depends_on)
{
    struct host_answer a = {
        .verdict = {.action = block ? FWP_ACTION_BLOCK : FWP_ACTION_PERMIT, .filter_id = filter},
        .depends = depends_on != 0,
        .depends_on = depends_on};
    struct host_event e = {.layer = layer, .flow_id = flow, .cause = cause, .answer = &a};

    report_tally_classified(t, &e);
}

static void begin_flow(struct report_tally *t, UINT64 id, enum host_flow_change change)
{
    struct host_flow_info f = {
        .id = id, .version = 4, .protocol = WIRE_PROTOCOL_TCP, .local_port = 40000, .remote_port = 80};

    f.local.v4 = 0x0a000001;
    f.remote.v4 = 0x0a000002;
    report_tally_flow(t, change, &f);
}

static void frame(struct report_tally *t, enum host_fate fate, const struct engine_layer *layer,
                  UINT64 filter, UINT64 flow)
{
    struct host_outcome o = {.fate = fate, .layer = layer, .filter_id = filter, .flow_id = flow};
    struct wire_packet p = {.length = 100};

    report_tally_frame(t, &p, &o, fate == HOST_PASSED);
}

static char *printed(struct report_tally *t, const struct host_counts *counts, bool verbose)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);

    assert_non_null(f);
    report_tally_print(t, counts, verbose, f);
    fclose(f);
    return text;
}

static UINT64 a_filter(const struct lab *l)
{
    return l->s->filters[0]->filterId;
}

/* ORD-17: the discard layer's classification is no second block, and no second frame. */
static void a_block_is_counted_once(void **state)
{
    struct lab *l = *state;
    struct report_tally *t = tally(l, 0);
    struct host_counts counts = {.frames = 3};
    struct report_totals x;
    json_t *json;

    begin_flow(t, 1, HOST_FLOW_CREATED);
    tell(t, l->connect, 1, HOST_CAUSE_INITIAL, true, a_filter(l), 0);
    tell(t, l->discard, 1, HOST_CAUSE_DISCARD, true, a_filter(l) + 1, 0);
    begin_flow(t, 1, HOST_FLOW_REFUSED);
    frame(t, HOST_BLOCKED, l->connect, a_filter(l), 1);
    frame(t, HOST_CONSEQUENCE, NULL, 0, 1);
    frame(t, HOST_CONSEQUENCE, NULL, 0, 1);
    begin_flow(t, 1, HOST_FLOW_DELETED);
    report_tally_totals(t, &x);
    assert_true(x.flows == 1 && x.flows_blocked == 1 && x.flows_permitted == 0 && x.flows_depend == 0);
    assert_true(x.blocked == 1 && x.absorbed == 0 && x.depends == 0);
    json = report_tally_json(t, &counts);
    assert_int_equal(json_array_size(json_object_get(json, "drops")), 2);
    assert_int_equal(
        json_integer_value(json_object_get(json_array_get(json_object_get(json, "drops"), 0), "filter")),
        a_filter(l));
    json_decref(json);
    report_tally_destroy(t);
}

/* The first block names the filter, whatever is asked afterwards. */
static void the_first_block_decides(void **state)
{
    struct lab *l = *state;
    struct report_tally *t = tally(l, 0);
    struct host_counts counts = {0};
    UINT64 first = l->s->filters[0]->filterId, second = l->s->filters[1]->filterId;
    char wanted[128], *text;

    tell(t, l->connect, 1, HOST_CAUSE_INITIAL, false, first, 0);
    begin_flow(t, 1, HOST_FLOW_CREATED);
    tell(t, l->packet, 1, HOST_CAUSE_INITIAL, true, second, 0);
    tell(t, l->connect, 1, HOST_CAUSE_REAUTHORIZE, true, first, 0);
    text = printed(t, &counts, false);
    snprintf(wanted, sizeof wanted, "BLOCKED at OUTBOUND_TRANSPORT_V4 by filter %llu",
             (unsigned long long)second);
    assert_non_null(strstr(text, wanted));
    free(text);
    report_tally_destroy(t);
}

static void what_depends_is_told_of(void **state)
{
    struct lab *l = *state;
    struct report_tally *t = tally(l, 0);
    struct host_counts counts = {0};
    struct report_totals x;
    char *text;

    tell(t, l->connect, 1, HOST_CAUSE_INITIAL, false, 0, 1);
    begin_flow(t, 1, HOST_FLOW_CREATED);
    tell(t, l->connect, 2, HOST_CAUSE_INITIAL, true, a_filter(l), 1);
    begin_flow(t, 2, HOST_FLOW_REFUSED);
    report_tally_totals(t, &x);
    assert_true(x.flows == 2 && x.flows_blocked == 1 && x.flows_depend == 1 && x.depends == 2);
    text = printed(t, &counts, false);
    assert_non_null(
        strstr(text, "DEPENDS at ALE_AUTH_CONNECT_V4 on ALE_APP_ID\n  taken as PERMITTED by no filter"));
    assert_non_null(strstr(text, "2  taken at ALE_AUTH_CONNECT_V4 on ALE_APP_ID"));
    free(text);
    report_tally_destroy(t);
}

/* Of a hundred flows ten are kept: the newest, and longest those that were refused; all are counted. */
/* host_observer.repeated counts as `classified` does, whatever comes between. */
static void what_is_repeated_is_counted(void **state)
{
    static const UINT64 fields[] = {1, 1, 1, 2};
    struct lab *l = *state;
    struct report_tally *t[2] = {tally(l, 30), tally(l, 30)};
    const struct host_counts counts = {0};
    uint64_t x = 7;
    char *text[2];

    for (UINT64 flow = 1; flow <= 60; flow++) {
        for (unsigned i = 0; i < 2; i++)
            begin_flow(t[i], flow, HOST_FLOW_CREATED);
        for (unsigned step = 0; step < 25; step++) {
            UINT64 whose, on;
            unsigned what;

            x ^= x << 13, x ^= x >> 7, x ^= x << 17;
            whose = flow - x % (flow < 6 ? flow : 6);
            on = fields[x >> 8 & 3];
            what = x >> 16 & 7;
            for (unsigned i = 0; i < 2; i++) {
                const struct host_answer a = {
                    .verdict = {.action = FWP_ACTION_PERMIT, .filter_id = a_filter(l)},
                    .depends = true,
                    .depends_on = on};

                if (what < 3 && i == 0)
                    tell(t[i], l->packet, whose, HOST_CAUSE_INITIAL, false, a_filter(l), on);
                else if (what < 3)
                    report_tally_repeated(t[i], l->packet, &a, whose);
                else if (what == 3 && (x >> 20 & 15) == 0)
                    tell(t[i], l->connect, whose, HOST_CAUSE_INITIAL, true, a_filter(l), 0);
                else
                    frame(t[i], what == 4 ? HOST_CONSEQUENCE : HOST_PASSED, NULL, 0, whose);
            }
        }
    }
    for (unsigned i = 0; i < 2; i++)
        text[i] = printed(t[i], &counts, true);
    assert_string_equal(text[0], text[1]);
    assert_non_null(strstr(text[0], "DEPENDS"));
    for (unsigned i = 0; i < 2; i++) {
        free(text[i]);
        report_tally_destroy(t[i]);
    }
}

static void flows_are_bounded(void **state)
{
    struct lab *l = *state;
    struct report_tally *t = tally(l, 10);
    struct host_counts counts = {0};
    struct report_totals x;
    char *text;

    for (UINT64 id = 1; id <= 100; id++) {
        begin_flow(t, id, HOST_FLOW_CREATED);
        tell(t, l->connect, id, HOST_CAUSE_INITIAL, id % 20 == 0, id % 20 == 0 ? a_filter(l) : 0, 0);
        begin_flow(t, id, id % 20 == 0 ? HOST_FLOW_REFUSED : HOST_FLOW_AUTHORIZED);
        begin_flow(t, id, HOST_FLOW_DELETED);
    }
    report_tally_totals(t, &x);
    assert_true(x.flows == 100 && x.flows_blocked == 5 && x.flows_permitted == 95 && x.flows_unlisted == 90);
    text = printed(t, &counts, true);
    for (UINT64 id = 20; id <= 100; id += 20) {
        char line[32];

        snprintf(line, sizeof line, "\n  %4llu  out", (unsigned long long)id);
        assert_non_null(strstr(text, line));
    }
    assert_non_null(strstr(text, "90 flows are counted, but not listed"));
    free(text);
    report_tally_destroy(t);
}

/* Long lists are cut, and say so; with -v they are not. */
static void lists_are_cut(void **state)
{
    struct lab *l = *state;
    struct report_tally *t = tally(l, 0);
    struct host_counts counts = {0};
    char *text;

    for (UINT64 id = 1; id <= 50; id++) {
        tell(t, l->connect, id, HOST_CAUSE_INITIAL, false, 0, 0);
        begin_flow(t, id, HOST_FLOW_CREATED);
    }
    text = printed(t, &counts, false);
    assert_non_null(strstr(text, "... and 40 more (-v, --json)"));
    free(text);
    text = printed(t, &counts, true);
    assert_null(strstr(text, "more (-v"));
    assert_non_null(strstr(text, "\n    50  out"));
    free(text);
    report_tally_destroy(t);
}

/* host_observer.changed counts as `flow` does, or says that it cannot. */
static void a_change_is_counted_as_a_flow(void **state)
{
    struct lab *l = *state;
    struct report_tally *t[2] = {tally(l, 2), tally(l, 2)};
    char *text[2];

    for (unsigned n = 0; n < 2; n++) {
        for (UINT64 id = 1; id <= 4; id++) {
            const enum host_flow_change change = id % 2 != 0 ? HOST_FLOW_AUTHORIZED : HOST_FLOW_REFUSED;

            assert_false(report_tally_changed(t[n], change, id));
            begin_flow(t[n], id, HOST_FLOW_CREATED);
            assert_false(report_tally_changed(t[n], HOST_FLOW_REDIRECTED, id));
            if (n == 0)
                begin_flow(t[n], id, change);
            else
                assert_true(report_tally_changed(t[n], change, id));
        }
        assert_false(report_tally_changed(t[n], HOST_FLOW_REFUSED, 1)); /* it has given way */
        text[n] = printed(t[n], &(struct host_counts){.frames = 4}, true);
        report_tally_destroy(t[n]);
    }
    assert_string_equal(text[0], text[1]);
    free(text[0]);
    free(text[1]);
}

static void lines_keep_to_100_columns(void **state)
{
    struct lab *l = *state;
    struct report_tally *t = tally(l, 0);
    struct host_counts counts = {.frames = UINT64_MAX};
    char *text;

    for (unsigned f = 0; f < HOST_FATES; f++)
        counts.fates[f] = f % 3 == 0 ? 123456789 : 0;
    for (UINT32 i = 0; i < l->s->filter_count; i++) {
        struct host_flow_info f = {.id = UINT32_MAX + i + 1ull, .version = 6, .protocol = WIRE_PROTOCOL_TCP};
        UINT64 id = l->s->filters[i]->filterId;

        memset(&f.local, 0xfe, sizeof f.local);
        memset(&f.remote, 0xfd, sizeof f.remote);
        f.local_port = f.remote_port = 65535;
        tell(t, l->connect, f.id, HOST_CAUSE_INITIAL, i % 2, id, i % 4 == 0 ? UINT64_C(0xfffff) : 0);
        report_tally_flow(t, HOST_FLOW_CREATED, &f);
        frame(t, i % 2 ? HOST_BLOCKED : HOST_PASSED, l->connect, id, f.id);
    }
    for (int n = 1; n < HOST_NOTES; n++) {
        struct host_outcome o = {.fate = HOST_CONSEQUENCE, .note = (enum host_note)n};

        report_tally_frame(t, NULL, &o, false);
    }
    for (int n = 1; n <= WIRE_FAULT_CHECKSUM; n++) {
        struct host_outcome o = {.fate = HOST_STACK, .layer = l->discard, .fault = (enum wire_fault)n};

        report_tally_frame(t, NULL, &o, false);
    }
    for (unsigned verbose = 0; verbose < 2; verbose++) {
        text = printed(t, &counts, verbose);
        for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
            if (strlen(line) > 100 && strncmp(line, "packets: ", 9) != 0)
                fail_msg("%zu columns: %s", strlen(line), line);
        }
        free(text);
    }
    report_tally_destroy(t);
}

/* Comments are cut at characters, and name layer and filter. */
static void comments(void **state)
{
    struct lab *l = *state;
    const struct report_filter *f = report_names_filter(l->names, a_filter(l));
    struct host_outcome o = {.fate = HOST_BLOCKED, .layer = l->connect, .filter_id = a_filter(l)};
    char text[512], wanted[512];

    assert_non_null(f);
    snprintf(wanted, sizeof wanted,
             "weir: blocked at FWPM_LAYER_ALE_AUTH_CONNECT_V4 by filter %llu \"%s\" %s",
             (unsigned long long)f->id, f->name, f->key);
    assert_string_equal(report_comment(l->names, &o, text, sizeof text), wanted);
    for (size_t size = 1; size < strlen(wanted); size++) {
        json_t *whole;

        report_comment(l->names, &o, text, size);
        assert_true(strlen(text) < size);
        whole = json_string(text); /* NULL: no UTF-8 */
        assert_non_null(whole);
        json_decref(whole);
    }
    o.filter_id = 0;
    assert_string_equal(report_comment(l->names, &o, text, sizeof text),
                        "weir: blocked at FWPM_LAYER_ALE_AUTH_CONNECT_V4, not by a filter");
}

/* Names after the policy was replaced are the new one's; old ones stay good. */
static void names_are_read_again(void **state)
{
    struct lab *l = *state;
    static const char none[] = "<?xml version=\"1.0\"?><wfpstate/>";
    const struct report_filter *before = report_names_filter(l->names, a_filter(l)), *after;
    struct policy_error error;
    struct policy *p;
    UINT64 id = before->id;

    assert_ptr_equal(report_names_filter(l->names, id), before);
    assert_true(before->key[0] == '{');
    assert_int_equal(policy_replace_memory(l->s->bfe, "none", none, sizeof none - 1, &p, &error), 0);
    assert_ptr_equal(report_names_filter(l->names, id), before);
    report_names_forget(l->names);
    after = report_names_filter(l->names, id);
    assert_non_null(after);
    assert_string_equal(after->key, "");
    assert_true(before->key[0] == '{');
    assert_null(report_names_filter(l->names, 0));
    policy_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_is_counted_once),   cmocka_unit_test(the_first_block_decides),
        cmocka_unit_test(what_depends_is_told_of),   cmocka_unit_test(what_is_repeated_is_counted),
        cmocka_unit_test(flows_are_bounded),         cmocka_unit_test(lists_are_cut),
        cmocka_unit_test(lines_keep_to_100_columns), cmocka_unit_test(comments),
        cmocka_unit_test(names_are_read_again),      cmocka_unit_test(a_change_is_counted_as_a_flow),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}

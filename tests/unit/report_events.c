/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON lines written straight: every line is JSON, strings come back as they were, values are written as
 * explain writes them; write errors are told of; a million lines take seconds.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "explain/explain.h"
#include "report/report.h"

struct lab {
    struct explain_state *s;
    struct report_names *names;
};

static int set_up(void **state)
{
    struct lab *l = calloc(1, sizeof *l);
    struct policy_error error;

    assert_non_null(l);
    assert_int_equal(explain_state_open(NULL, &l->s, &error), 0);
    assert_int_equal(report_names_create(l->s->bfe, &l->names), 0);
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

/* One classification with these values of its layer, as a line; parsed. */
static json_t *line_of(struct lab *l, const struct engine_layer *layer, FWPS_INCOMING_VALUE0 *values,
                       UINT64 unknown, const FWP_BYTE_BLOB *token, const char *token_text)
{
    FWPS_INCOMING_VALUES0 in = {layer->id, layer->field_count, values};
    struct engine_request request = {.values = &in};
    struct host_answer answer = {.verdict = {.action = FWP_ACTION_PERMIT}};
    struct host_event h = {
        .number = 1, .layer = layer, .request = &request, .answer = &answer, .unknown = unknown};
    struct report_events *e;
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    json_error_t at;
    json_t *json;

    assert_non_null(f);
    assert_int_equal(report_events_open(f, l->names, &e), 0);
    if (token != NULL)
        assert_int_equal(report_events_token(e, token, token_text), 0);
    report_events_classified(e, &h);
    assert_int_equal(report_events_close(e), 0);
    fclose(f);
    json = json_loads(text, JSON_REJECT_DUPLICATES, &at);
    if (json == NULL)
        fail_msg("%s: %s", at.text, text);
    assert_true(size > 0 && text[size - 1] == '\n');
    free(text);
    return json;
}

/* Each field of each layer, with texts of its type: what is written is what explain writes, and reads back.
 */
static void values_are_written_as_explain_does(void **state)
{
    static const char *const texts[] = {"empty",
                                        "0",
                                        "1",
                                        "17",
                                        "443",
                                        "65535",
                                        "4294967295",
                                        "0x8000000000000000",
                                        "10.1.2.3",
                                        "255.255.255.255",
                                        "fe80::1",
                                        "::ffff:10.0.0.1",
                                        "2001:db8::8:800:200c:417a",
                                        "\\device\\harddiskvolume1\\a \"b\"\\x.exe",
                                        "System",
                                        "hex:00ff",
                                        "hex:4100",
                                        "S-1-5-18",
                                        "S-1-15-2-1-2-3",
                                        "00:15:5d:01:02:03",
                                        "{12345678-1234-1234-1234-123456789abc}",
                                        "tcp",
                                        "in",
                                        "public",
                                        "{\"user\": \"SY\", \"services\": [\"dhcp\"]}"};
    struct lab *l = *state;
    unsigned written = 0;

    for (UINT16 id = 0; id < ENGINE_LAYER_COUNT; id++) {
        const struct engine_layer *layer = engine_layer_by_id(id);

        for (size_t t = 0; t < sizeof texts / sizeof texts[0]; t++) {
            FWPS_INCOMING_VALUE0 values[ENGINE_MAX_FIELDS] = {0};
            struct explain_value v[ENGINE_MAX_FIELDS] = {0};
            struct explain_arena a = {0};
            const FWP_BYTE_BLOB *token = NULL;
            const char *error, *token_text = NULL;
            UINT64 unknown = 0;
            json_t *line, *all;

            for (UINT16 i = 0; i < layer->field_count; i++) {
                if (explain_value_parse(&a, &layer->fields[i], texts[t], &v[i], &error) != 0) {
                    unknown |= UINT64_C(1) << i;
                    continue;
                }
                values[i].value = v[i].value;
                if (v[i].value.type == FWP_TOKEN_ACCESS_INFORMATION_TYPE && token == NULL) {
                    token = v[i].value.tokenAccessInformation;
                    token_text = v[i].token;
                } else if (v[i].value.type == FWP_TOKEN_ACCESS_INFORMATION_TYPE) {
                    values[i].value.tokenAccessInformation = (FWP_BYTE_BLOB *)(uintptr_t)token;
                } else if (v[i].value.type == FWP_TOKEN_INFORMATION_TYPE &&
                           strcmp(texts[t], "S-1-5-18") != 0) {
                    unknown |= UINT64_C(1) << i; /* its parts alone do not say what it was made from */
                }
            }
            line = line_of(l, layer, values, unknown, token, token_text);
            all = json_object_get(line, "values");
            for (UINT16 i = 0; i < layer->field_count; i++) {
                json_t *is = json_object_get(all, layer->fields[i].name), *should;

                if (unknown >> i & 1) {
                    assert_null(is);
                    continue;
                }
                should = explain_value_to_json(&a, &layer->fields[i], &v[i]);
                if (!json_equal(is, should))
                    fail_msg("%s at %s: %s is written as %s", layer->fields[i].name, layer->name, texts[t],
                             json_dumps(is, JSON_ENCODE_ANY));
                json_decref(should);
                written++;
            }
            assert_int_equal(json_object_size(all) + json_array_size(json_object_get(line, "unknown")),
                             layer->field_count);
            json_decref(line);
            explain_arena_free(&a);
        }
    }
    assert_true(written > 10000);
}

/* Whatever a name holds, a line is JSON, and holds it. */
static void strings_come_back(void **state)
{
    static const char *const texts[] = {"", "plain", "\"quoted\" \\ back", "tab\tline\nreturn\rbell\a\x7f",
                                        "\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80"};
    static const char *const broken[] = {"\xff",     "\xc3", "\xed\xa0\x80", "\xc0\xaf", "\xf5\x80\x80\x80",
                                         "a\xe2\x82"};
    struct lab *l = *state;

    for (size_t i = 0; i < sizeof texts / sizeof texts[0] + sizeof broken / sizeof broken[0]; i++) {
        bool bad = i >= sizeof texts / sizeof texts[0];
        const char *text = bad ? broken[i - sizeof texts / sizeof texts[0]] : texts[i];
        json_t *object = json_object(), *line;
        struct report_events *e;
        char *out = NULL;
        size_t size;
        FILE *f = open_memstream(&out, &size);

        /* a token's text goes out as it is; a name through escaping: the header's keys do */
        assert_int_equal(json_object_set_new_nocheck(object, text, json_integer(1)), 0);
        assert_int_equal(report_events_open(f, l->names, &e), 0);
        report_events_header(e, object);
        assert_int_equal(report_events_close(e), 0);
        fclose(f);
        line = json_loads(out, 0, NULL);
        assert_non_null(line);
        assert_int_equal(json_integer_value(json_object_get(line, "weir-events")), REPORT_EVENTS_VERSION);
        if (!bad)
            assert_int_equal(json_integer_value(json_object_get(line, text)), 1);
        json_decref(line);
        json_decref(object);
        free(out);
    }
}

static void a_full_disk_is_told_of(void **state)
{
    struct lab *l = *state;
    FILE *f = fopen("/dev/full", "w");
    struct host_outcome o = {0};
    struct report_events *e;

    assert_non_null(f);
    setvbuf(f, NULL, _IONBF, 0);
    assert_int_equal(report_events_open(f, l->names, &e), 0);
    for (unsigned i = 0; i < 5000; i++)
        report_events_frame(e, i, i, 0, 60, &o, true);
    assert_int_equal(report_events_close(e), -ENOSPC);
    fclose(f);
}

static void lines_are_fast(void **state)
{
    struct lab *l = *state;
    FILE *f = fopen("/dev/null", "w");
    struct host_outcome o = {.flow_id = 12345, .outbound = true};
    struct report_events *e;
    struct timespec from, to;

    assert_non_null(f);
    assert_int_equal(report_events_open(f, l->names, &e), 0);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
    for (unsigned i = 0; i < 100000; i++)
        report_events_frame(e, i, i, 0, 60, &o, true);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
    assert_int_equal(report_events_close(e), 0);
    fclose(f);
    assert_true(to.tv_sec - from.tv_sec < 6); /* sanitizers and all: a million within a minute */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_written_as_explain_does),
        cmocka_unit_test(strings_come_back),
        cmocka_unit_test(a_full_disk_is_told_of),
        cmocka_unit_test(lines_are_fast),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}

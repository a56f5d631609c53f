/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weir explain`, `classify` and `show` as a user runs them, over the demo's policy: what they print, how
 * they end, and that their JSON is JSON and says the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <jansson.h>

static char state_path[4096], scratch[] = "/tmp/weir-e2e-XXXXXX";

struct run {
    int status;
    char out[1 << 18];
    char err[4096];
};
static struct run r;

static void slurp(const char *name, char *into, size_t size)
{
    char path[4200];
    FILE *f;
    size_t n;

    snprintf(path, sizeof path, "%s/%s", scratch, name);
    f = fopen(path, "r");
    assert_non_null(f);
    n = fread(into, 1, size - 1, f);
    into[n] = '\0';
    fclose(f);
}

/* Runs `weir ARGUMENTS`, with %s the state's path where it stands. */
static void weir(const char *arguments)
{
    char command[12000];
    const char *exe = getenv("WEIR_EXE"), *at = strstr(arguments, "%s");

    assert_non_null(exe);
    snprintf(command, sizeof command, "'%s' %.*s%s%s >%s/out 2>%s/err </dev/null", exe,
             at != NULL ? (int)(at - arguments) : (int)strlen(arguments), arguments,
             at != NULL ? state_path : "", at != NULL ? at + 2 : "", scratch, scratch);
    r.status = system(command);
    assert_true(WIFEXITED(r.status));
    r.status = WEXITSTATUS(r.status);
    slurp("out", r.out, sizeof r.out);
    slurp("err", r.err, sizeof r.err);
}

static void expect(int status, const char *out)
{
    if (r.status != status || (out != NULL && strstr(r.out, out) == NULL))
        fail_msg("status %d (expected %d), output:\n%.2000s%s", r.status, status, r.out, r.err);
    if (status < 64)
        assert_string_equal(r.err, "");
}

/* One line on stderr, "weir: ..."; nothing on stdout. */
static void expect_complaint(int status, const char *part)
{
    if (r.status != status || strstr(r.err, part) == NULL)
        fail_msg("status %d (expected %d), complaint: %s", r.status, status, r.err);
    assert_int_equal(strncmp(r.err, "weir: ", 6), 0);
    assert_ptr_equal(strchr(r.err, '\n'), r.err + strlen(r.err) - 1);
}

static json_t *json(void)
{
    json_error_t e;
    json_t *out = json_loads(r.out, 0, &e);

    if (out == NULL)
        fail_msg("no JSON: %s in %.500s", e.text, r.out);
    return out;
}

static const char *text_of(const json_t *o, const char *key)
{
    const char *t = json_string_value(json_object_get(o, key));

    assert_non_null(t);
    return t;
}

#define AGENT "--app '\\device\\harddiskvolume3\\program files\\contoso\\agent\\contosoagent.exe'"
#define USER  " --user S-1-5-21-1000000001-2000000002-3000000003-1001 --profile private "

static void the_first_line_is_the_answer(void **state)
{
    (void)state;
    weir("explain --state %s connect tcp 192.0.2.20:50000 203.0.113.10:8443 " AGENT USER);
    expect(0, "PERMITTED by \"Contoso Agent: management server\" (filter ");
    assert_ptr_equal(strstr(r.out, "PERMITTED"), r.out);
    assert_non_null(strstr(
        r.out, "sublayer Contoso Agent Guard, provider Contoso Ltd., at FWPM_LAYER_ALE_AUTH_CONNECT_V4"));
    weir("explain --state %s connect tcp 192.0.2.20:50000 203.0.113.11:8443 " AGENT USER);
    expect(1, "BLOCKED by \"Fabrikam VPN");
    assert_non_null(
        strstr(r.out, "remote address is 203.0.113.0/24   [IP_REMOTE_ADDRESS EQUAL 203.0.113.0/24]"));
    assert_non_null(strstr(r.out, "ALE_RESOURCE_ASSIGNMENT_V4 (bind)"));
    assert_true(strstr(r.out, "ALE_RESOURCE_ASSIGNMENT_V4") <
                strstr(r.out, "  FWPM_LAYER_ALE_AUTH_CONNECT_V4"));
}

/* One of Windows' own, of which it is known what its answer hangs on: that is said (OTH-15). */
static void an_IPsec_callout_says_what_its_answer_hangs_on(void **state)
{
    char command[9000], path[4096];

    (void)state;
    snprintf(path, sizeof path, "%s", state_path);
    snprintf(
        command, sizeof command,
        "sed s/6a929bfe-29b8-5a4d-8f5d-34d9ad1eee27/7dff309b-ba7d-4aba-91aa-ae5c6640c944/ '%s' >%s/ipsec",
        path, scratch);
    assert_int_equal(system(command), 0);
    snprintf(state_path, sizeof state_path, "%s/ipsec", scratch);
    weir("explain --state %s connect tcp 192.0.2.20:50000 198.51.100.7:443 " AGENT USER);
    snprintf(command, sizeof command, "%s/ipsec", scratch);
    unlink(command);
    snprintf(state_path, sizeof state_path, "%s", path);
    expect(2, "DEPENDS on the callout ");
    assert_non_null(strstr(r.out, "Documented: verifies that connections that must arrive secured do so"));
    weir("explain --state %s connect tcp 192.0.2.20:50000 198.51.100.7:443 " AGENT USER);
    assert_null(strstr(r.out, "Documented")); /* of another's nothing is known */
}

static void a_callout_is_what_it_depends_on(void **state)
{
    json_t *o, *d;

    (void)state;
    weir("explain --state %s connect tcp 192.0.2.20:50000 198.51.100.7:443 " AGENT USER);
    expect(2, "DEPENDS on the callout Contoso Web Shield");
    assert_non_null(strstr(r.out, "PERMITTED if "));
    assert_non_null(strstr(r.out, "BLOCKED if "));
    weir("explain --state %s connect tcp 192.0.2.20:50000 198.51.100.7:443 " AGENT USER
         "--callout 'Contoso Web Shield=block'");
    expect(1, "(a veto over a hard permit)");
    weir("explain --state %s connect tcp 192.0.2.20:50000 198.51.100.7:443 " AGENT USER
         "--callout 'Contoso Web Shield=continue'");
    expect(0, "PERMITTED");
    weir("explain --state %s connect tcp 192.0.2.20:50000 198.51.100.7:443 --json " AGENT USER);
    expect(2, NULL);
    o = json();
    assert_string_equal(text_of(o, "verdict"), "DEPENDS");
    d = json_array_get(json_object_get(o, "depends"), 0);
    assert_int_equal(json_array_size(json_object_get(o, "depends")), 1);
    assert_non_null(json_object_get(d, "callout"));
    assert_string_equal(text_of(d, "blocked"), "block");
    assert_non_null(json_object_get(json_object_get(o, "assignments"), "permitted"));
    assert_non_null(json_object_get(json_object_get(o, "assignments"), "blocked"));
    json_decref(o);
}

static void an_orphaned_callout_blocks(void **state)
{
    (void)state;
    weir("explain --state %s accept tcp 192.0.2.20:445 192.0.2.77:51000 --app System --profile private");
    expect(1, "(its callout is not there: the substitute action)");
}

static void unknown_means_unknown(void **state)
{
    json_t *o, *depends;

    (void)state;
    weir("explain --state %s accept tcp 192.0.2.20:8010 192.0.2.77:51000 --profile private --json "
         "--user S-1-5-21-1000000001-2000000002-3000000003-1001");
    expect(2, NULL);
    o = json();
    depends = json_object_get(o, "depends");
    assert_int_equal(json_array_size(depends), 1);
    assert_string_equal(
        json_string_value(json_array_get(json_object_get(json_array_get(depends, 0), "fields"), 0)),
        "FWPM_CONDITION_ALE_APP_ID");
    json_decref(o);
}

static void why_not_names_the_condition(void **state)
{
    json_t *o, *y;

    (void)state;
    weir("explain --state %s accept tcp 192.0.2.20:8011 192.0.2.77:51000 --app contososerver.exe " USER
         "--why-not 'Contoso Server (TCP-In)'");
    expect(1, "local port is 8000 to 8010   [IP_LOCAL_PORT RANGE 8000-8010]; it is 8011");
    weir("explain --state %s accept tcp 192.0.2.20:8011 192.0.2.77:51000 --app contososerver.exe --json " USER
         "--why-not 'Contoso Server (TCP-In)'");
    expect(1, NULL);
    o = json();
    y = json_array_get(json_object_get(o, "why_not"), 0);
    assert_string_equal(text_of(y, "reason"), "condition");
    assert_int_equal(json_array_size(json_object_get(y, "failing")), 1);
    json_decref(o);
    weir("explain --state %s connect tcp 192.0.2.20:1 192.0.2.77:2 --why-not nonsense");
    assert_int_equal(r.status, 64);
}

static void tokens_come_from_files(void **state)
{
    char command[9000];
    const char *root = getenv("WEIR_ROOT");

    (void)state;
    snprintf(command, sizeof command,
             "explain --state %%s connect tcp 192.0.2.20:50000 198.51.100.80:80 --app browser.exe --profile "
             "private "
             "--token %s/data/demo/offline-app.token.json",
             root);
    weir(command);
    expect(1, "UWP Default Outbound Block Rule");
    weir("explain --state %s connect tcp 1.2.3.4:1 1.2.3.5:2 --token /nowhere");
    expect_complaint(66, "/nowhere");
    snprintf(command, sizeof command,
             "explain --state %%s connect tcp 1.2.3.4:1 1.2.3.5:2 --token %s/meson.build", root);
    weir(command);
    assert_true(r.status >= 64);
}

static void fields_are_set(void **state)
{
    (void)state;
    weir("explain --state %s -v connect tcp 192.0.2.20:1 192.0.2.77:2 --set CURRENT_PROFILE_ID=domain "
         "--assume plain");
    expect(0, "domain (3)");
    weir("explain --state %s -v packet udp 192.0.2.20:1 192.0.2.77:2 --direction in --set "
         "DATAGRAM_DATA_V4/DIRECTION=out");
    expect(0, "DIRECTION                            outbound (0)");
    weir("explain --state %s connect tcp ? ? --set IP_REMOTE_ADDRESS=192.0.2.77 --set IP_REMOTE_PORT=99 "
         "--assume plain");
    assert_non_null(strstr(r.out, "to 192.0.2.77:99"));
    weir("explain --state %s connect tcp ? ? --set IP_PROTOCOL=udp");
    expect_complaint(64, "PROTO says otherwise");
    weir("explain --state %s connect tcp 192.0.2.20:1 192.0.2.77:2 --set FLAGS=IS_BLUE");
    expect_complaint(64, "IS_BLUE");
    weir("explain --state %s connect tcp 192.0.2.20:1 192.0.2.77:2 --set NOTHING=1");
    expect_complaint(64, "no field is called so");
    weir("explain --state %s bind udp 192.0.2.20:1 --set IP_REMOTE_PORT=1");
    expect_complaint(64, "no layer of this operation has the field");
}

static void endpoints_are_all_permitted(void **state)
{
    json_t *o, *list, *one;
    json_int_t permitted, depends;
    size_t i;

    (void)state;
    weir("explain --state %s --endpoints");
    expect(0, " endpoints: ");
    assert_non_null(strstr(r.out, " 0 blocked"));
    weir("explain --state %s --endpoints --assume plain --json");
    expect(0, NULL);
    o = json();
    permitted = json_integer_value(json_object_get(o, "permitted"));
    depends = json_integer_value(json_object_get(o, "depends"));
    assert_int_equal(json_integer_value(json_object_get(o, "blocked")), 0);
    list = json_object_get(o, "endpoints");
    assert_int_equal(permitted + depends, json_array_size(list));
    json_array_foreach(list, i, one)
    {
        assert_non_null(text_of(one, "verdict"));
        assert_true(json_array_size(json_object_get(one, "asked")) > 0);
    }
    json_decref(o);
}

static void packets_go_both_ways(void **state)
{
    (void)state;
    weir("explain --state %s packet tcp 192.0.2.20:1 192.0.2.77:2 --json");
    json_decref(json());
    assert_non_null(strstr(r.out, "\"inbound\""));
    assert_non_null(strstr(r.out, "\"outbound\""));
    weir("explain --state %s packet tcp 192.0.2.20:1 192.0.2.77:2 --direction forward");
    assert_non_null(strstr(r.out, "FWPM_LAYER_IPFORWARD_V4"));
}

static void usage_is_told_in_one_line(void **state)
{
    (void)state;
    weir("--help");
    expect(0, "usage: weir");
    weir("--version");
    expect(0, "weir ");
    weir("explain --help");
    expect(0, "usage: weir explain");
    weir("classify --help");
    expect(0, "usage: weir classify");
    weir("show --help");
    expect(0, "usage: weir show");
    weir("frobnicate");
    expect_complaint(64, "frobnicate");
    weir("explain connect tcp 1.2.3.4:1 1.2.3.5:2");
    expect_complaint(64, "--state");
    weir("explain --state /nowhere/at/all connect tcp 1.2.3.4:1 1.2.3.5:2");
    expect_complaint(66, "/nowhere/at/all");
    weir("explain --state %s connect tcp 1.2.3.4:70000 1.2.3.5:2");
    expect_complaint(64, "70000");
    weir("explain --state %s connect tcp 1.2.3.4:1 [::1]:2");
    expect_complaint(64, "IPv6");
    weir("explain --state %s connect quic 1.2.3.4:1 1.2.3.5:2");
    expect_complaint(64, "quic");
    weir("explain --state %s listen udp 1.2.3.4:1");
    expect_complaint(64, "only TCP listens");
    weir("explain --state %s disconnect tcp 1.2.3.4:1 1.2.3.5:2");
    expect_complaint(64, "disconnect");
    weir("explain --state %s connect tcp 1.2.3.4:1 1.2.3.5:2 --callout x=maybe");
    expect_complaint(64, "maybe");
    weir("explain --state %s connect tcp 1.2.3.4:1 1.2.3.5:2 --frob");
    expect_complaint(64, "--frob");
    weir("explain --state %s connect tcp 10.0.0.1:1 127.0.0.1:2");
    expect(65, "CONTRADICTION");
}

static void a_broken_state_is_refused(void **state)
{
    char path[4200], command[5000];
    FILE *f;

    (void)state;
    snprintf(path, sizeof path, "%s/broken.xml", scratch);
    f = fopen(path, "w");
    assert_non_null(f);
    fputs("<wfpstate>\n<filters>\n<oops</filters></wfpstate>\n", f);
    fclose(f);
    snprintf(command, sizeof command, "show filters --state %s", path);
    weir(command);
    expect_complaint(65, "broken.xml:3:");
    unlink(path);
}

static void classify_asks_any_layer(void **state)
{
    (void)state;
    weir("classify --state %s ALE_AUTH_RECV_ACCEPT_V4 FWPM_CONDITION_IP_PROTOCOL=tcp IP_LOCAL_PORT=8005");
    assert_true(r.status <= 2);
    weir("classify --state %s RPC_UM --json");
    expect(0, NULL);
    json_decref(json());
    weir("classify --state %s NO_LAYER");
    expect_complaint(64, "NO_LAYER");
    weir("classify --state %s ALE_AUTH_CONNECT_V4 NO_FIELD=1");
    expect_complaint(64, "NO_FIELD");
    weir("classify --state %s ALE_AUTH_CONNECT_V4 IP_REMOTE_PORT=x");
    expect_complaint(64, "IP_REMOTE_PORT");
}

/* Writes lines to a file, runs the batch, and gives back the results. */
static json_t *batch(const char *lines, int status)
{
    char path[4200], command[5000];
    json_t *list = json_array();
    char *rest = NULL;
    FILE *f;

    snprintf(path, sizeof path, "%s/batch.jsonl", scratch);
    f = fopen(path, "w");
    assert_non_null(f);
    fputs(lines, f);
    fclose(f);
    snprintf(command, sizeof command, "classify --state %%s --batch %s", path);
    weir(command);
    assert_int_equal(r.status, status);
    for (char *line = strtok_r(r.out, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
        assert_int_equal(json_array_append_new(list, json_loads(line, 0, NULL)), 0);
    unlink(path);
    return list;
}

static void a_batch_answers_line_by_line(void **state)
{
    json_t *out =
        batch("{\"layer\": \"FWPM_LAYER_ALE_AUTH_CONNECT_V4\", \"values\": {}}\n"
              "{\"layer\": \"nope\"}\n"
              "\n"
              "not json\n"
              "{\"layer\": \"ALE_AUTH_CONNECT_V4\", \"values\": {\"FWPM_CONDITION_IP_REMOTE_PORT\": 99999}}\n"
              "{\"layer\": \"ALE_AUTH_LISTEN_V4\", \"values\": {\"FWPM_CONDITION_IP_LOCAL_PORT\": null}, "
              "\"id\": 7}\n",
              65);

    (void)state;
    assert_int_equal(json_array_size(out), 5);
    assert_string_equal(text_of(json_array_get(out, 0), "verdict"), "DEPENDS");
    assert_true(json_array_size(json_object_get(json_array_get(out, 0), "fields")) > 0);
    assert_non_null(strstr(text_of(json_array_get(out, 1), "error"), "nope"));
    assert_int_equal(json_integer_value(json_object_get(json_array_get(out, 2), "line")), 4);
    text_of(json_array_get(out, 2), "error");
    assert_non_null(strstr(text_of(json_array_get(out, 3), "error"), "99999"));
    text_of(json_array_get(out, 4), "verdict");
    assert_int_equal(json_integer_value(json_object_get(json_array_get(out, 4), "id")), 7);
    json_decref(out);
}

/* The two assignments, put back into the line they came from, give the two verdicts. */
static void assignments_can_be_checked(void **state)
{
    static const char *const layers[] = {
        "FWPM_LAYER_ALE_AUTH_CONNECT_V4", "FWPM_LAYER_ALE_AUTH_RECV_ACCEPT_V4",
        "FWPM_LAYER_ALE_AUTH_CONNECT_V6", "FWPM_LAYER_ALE_AUTH_RECV_ACCEPT_V6"};
    unsigned checked = 0;

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        static const char *const which[] = {"permitted", "blocked"}, *const verdict[] = {"PERMITTED",
                                                                                         "BLOCKED"};
        char line[256];
        json_t *out, *first;

        snprintf(line, sizeof line, "{\"layer\": \"%s\", \"values\": {\"FWPM_CONDITION_IP_PROTOCOL\": 6}}\n",
                 layers[i]);
        out = batch(line, 0);
        first = json_array_get(out, 0);
        for (unsigned k = 0; k < 2 && strcmp(text_of(first, "verdict"), "DEPENDS") == 0; k++) {
            json_t *world = json_object_get(json_object_get(first, "assignments"), which[k]);
            json_t *values = json_object_get(world, "values"), *again = json_object(), *judged;
            char *text;

            json_object_set_new(values, "FWPM_CONDITION_IP_PROTOCOL", json_integer(6));
            json_object_set_new(again, "layer", json_string(layers[i]));
            json_object_set(again, "values", values);
            json_object_set(again, "callouts", json_object_get(world, "callouts"));
            text = json_dumps(again, JSON_COMPACT);
            judged = batch(text, 0);
            assert_string_equal(text_of(json_array_get(judged, 0), "verdict"), verdict[k]);
            checked++;
            free(text);
            json_decref(judged);
            json_decref(again);
        }
        json_decref(out);
    }
    assert_true(checked > 0);
}

static void show_lists_everything(void **state)
{
    json_t *filters, *one;
    size_t i;
    unsigned applied = 0;

    (void)state;
    weir("show filters --state %s --json");
    expect(0, NULL);
    filters = json();
    json_array_foreach(filters, i, one)
    {
        applied += json_is_true(json_object_get(one, "applied"));
        assert_non_null(text_of(one, "layer"));
    }
    assert_true(applied > 0 && applied < json_array_size(filters)); /* boot-time ones are listed too */
    json_decref(filters);
    weir("show filters --state %s --layer ALE_AUTH_CONNECT_V4 --match port=8443");
    expect(0, "Contoso Agent: management server");
    assert_null(strstr(r.out, "RECV_ACCEPT"));
    weir("show filters --state %s --match app=contososerver.exe --match action=permit");
    expect(0, "Contoso Server (TCP-In)");
    weir("show sublayers --state %s");
    expect(0, "FWPM_SUBLAYER_UNIVERSAL");
    weir("show callouts --state %s");
    expect(0, "Contoso Web Shield");
    weir("show providers --state %s");
    expect(0, "Contoso Ltd.");
    weir("show layers --state %s --json");
    expect(0, NULL);
    filters = json();
    assert_int_equal(json_array_size(filters), 99);
    json_decref(filters);
    weir("show filters --state %s --match colour=red");
    expect_complaint(64, "colour");
    weir("show nothing --state %s");
    expect_complaint(64, "nothing");
}

static int set_up(void **state)
{
    const char *root = getenv("WEIR_ROOT");

    (void)state;
    snprintf(state_path, sizeof state_path, "%s/data/demo/demo.wfpstate.xml", root != NULL ? root : ".");
    return mkdtemp(scratch) != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
    char command[200];

    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", scratch);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_line_is_the_answer),
        cmocka_unit_test(a_callout_is_what_it_depends_on),
        cmocka_unit_test(an_IPsec_callout_says_what_its_answer_hangs_on),
        cmocka_unit_test(an_orphaned_callout_blocks),
        cmocka_unit_test(unknown_means_unknown),
        cmocka_unit_test(why_not_names_the_condition),
        cmocka_unit_test(tokens_come_from_files),
        cmocka_unit_test(fields_are_set),
        cmocka_unit_test(endpoints_are_all_permitted),
        cmocka_unit_test(packets_go_both_ways),
        cmocka_unit_test(usage_is_told_in_one_line),
        cmocka_unit_test(a_broken_state_is_refused),
        cmocka_unit_test(classify_asks_any_layer),
        cmocka_unit_test(a_batch_answers_line_by_line),
        cmocka_unit_test(assignments_can_be_checked),
        cmocka_unit_test(show_lists_everything),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}

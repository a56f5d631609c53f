/* SPDX-License-Identifier: Apache-2.0 */
/* The notations of values: what is read, what is refused and how, and that what is written is read back. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "explain/explain.h"

static const struct engine_field *field_of(const char *layer, const char *name)
{
    const struct engine_field *f = explain_field_find(engine_layer_by_name(layer), name);

    assert_non_null(f);
    return f;
}

static void texts_are_read_and_written(void **state)
{
    static const struct {
        const char *layer, *field, *text, *written; /* NULL: as read */
    } cases[] = {
        {"ALE_AUTH_CONNECT_V4", "IP_REMOTE_PORT", "443", NULL},
        {"ALE_AUTH_CONNECT_V4", "FWPM_CONDITION_IP_REMOTE_PORT", "0x1bb", "443"},
        {"ALE_AUTH_CONNECT_V4", "ip_protocol", "tcp", "6"},
        {"ALE_AUTH_CONNECT_V4", "IP_PROTOCOL", "ICMPv6", "58"},
        {"ALE_AUTH_CONNECT_V4", "IP_REMOTE_ADDRESS", "10.1.2.3", NULL},
        {"ALE_AUTH_CONNECT_V4", "IP_REMOTE_ADDRESS", "167838211", "10.1.2.3"},
        {"ALE_AUTH_CONNECT_V6", "IP_REMOTE_ADDRESS", "FE80::1", "fe80::1"},
        {"ALE_AUTH_CONNECT_V4", "FLAGS", "IS_LOOPBACK|IS_REAUTHORIZE", NULL},
        {"ALE_AUTH_CONNECT_V4", "FLAGS", "loopback, FWP_CONDITION_FLAG_IS_REAUTHORIZE",
         "IS_LOOPBACK|IS_REAUTHORIZE"},
        {"ALE_AUTH_CONNECT_V4", "FLAGS", "0", NULL},
        {"ALE_AUTH_CONNECT_V4", "FLAGS", "0x80000001", "IS_LOOPBACK|0x80000000"},
        {"ALE_AUTH_CONNECT_V4", "CURRENT_PROFILE_ID", "private", "2"},
        {"ALE_AUTH_CONNECT_V4", "IP_DESTINATION_ADDRESS_TYPE", "multicast", "3"},
        {"ALE_AUTH_CONNECT_V4", "INTERFACE_TYPE", "tunnel", "131"},
        {"ALE_AUTH_CONNECT_V4", "IP_LOCAL_INTERFACE", "1689399716741120", NULL},
        {"ALE_AUTH_CONNECT_V4", "IP_LOCAL_INTERFACE", "0xffffffffffffffff", "18446744073709551615"},
        {"ALE_FLOW_ESTABLISHED_V4", "DIRECTION", "in", "1"},
        {"ALE_AUTH_CONNECT_V4", "ALE_APP_ID", "\\Device\\HarddiskVolume3\\A.EXE",
         "\\device\\harddiskvolume3\\a.exe"},
        {"ALE_AUTH_CONNECT_V4", "ALE_APP_ID", "system", "System"}, /* MATCH-16 */
        {"ALE_AUTH_CONNECT_V4", "ALE_APP_ID", "hex:410000", NULL},
        {"ALE_AUTH_CONNECT_V4", "ALE_PACKAGE_ID", "S-1-15-2-1-2-3", NULL},
        {"ALE_AUTH_CONNECT_V4", "ALE_PACKAGE_ID", "SY", "S-1-5-18"},
        {"ALE_AUTH_CONNECT_V4", "ALE_USER_ID", "S-1-5-18", NULL},
        {"ALE_AUTH_CONNECT_V4", "ALE_USER_ID", "{\"user\":\"S-1-5-18\"}", NULL},
        {"INBOUND_MAC_FRAME_ETHERNET", "MAC_LOCAL_ADDRESS", "00:15:5D:01:02:03", "00:15:5d:01:02:03"},
        {"RPC_UM", "RPC_IF_UUID", "{12345678-1234-1234-1234-1234567890ab}", NULL},
        {"RPC_UM", "PIPE", "\\PIPE\\x", NULL},
        {"RPC_UM", "REMOTE_USER_TOKEN", "S-1-5-32-545", NULL},
        {"ALE_AUTH_CONNECT_V4", "PEER_NAME", "empty", NULL},
        {"ALE_AUTH_CONNECT_V4", "ICMP_TYPE", "8", NULL}, /* MATCH-19 */
    };
    struct explain_arena a = {0};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct engine_field *f = field_of(cases[i].layer, cases[i].field);
        struct explain_value v, again;
        const char *error = NULL, *text;
        json_t *json;

        if (explain_value_parse(&a, f, cases[i].text, &v, &error) != 0)
            fail_msg("%s=%s: %s", cases[i].field, cases[i].text, error);
        text = explain_value_text(&a, f, &v);
        assert_string_equal(text, cases[i].written != NULL ? cases[i].written : cases[i].text);
        assert_int_equal(explain_value_parse(&a, f, text, &again, &error), 0);
        assert_int_equal(again.value.type, v.value.type);
        assert_string_equal(explain_value_text(&a, f, &again), text);
        json = explain_value_to_json(&a, f, &v);
        assert_non_null(json);
        assert_int_equal(explain_value_from_json(&a, f, json, &again, &error), 0);
        assert_string_equal(explain_value_text(&a, f, &again), text);
        json_decref(json);
        assert_non_null(explain_value_words(&a, f, &v));
    }
    explain_arena_free(&a);
}

static void what_is_no_value_is_refused(void **state)
{
    static const struct {
        const char *field, *text, *error; /* a part of it */
    } cases[] = {
        {"IP_REMOTE_PORT", "65536", "up to 65535"},
        {"IP_REMOTE_PORT", "-1", "up to 65535"},
        {"IP_REMOTE_PORT", "", "up to 65535"},
        {"IP_REMOTE_PORT", "80x", "80x"},
        {"IP_PROTOCOL", "quic", "tcp"},
        {"IP_REMOTE_ADDRESS", "10.0.0", "IPv4"},
        {"IP_REMOTE_ADDRESS", "::1", "IPv4"},
        {"FLAGS", "IS_BLUE", "IS_BLUE"},
        {"FLAGS", "IS_LOOPBACK|", "IS_LOOPBACK"},
        {"CURRENT_PROFILE_ID", "home", "public"},
        {"ALE_PACKAGE_ID", "S-2", "SID"},
        {"ALE_USER_ID", "S-2", "SID"},
        {"ALE_USER_ID", "{\"user\":", "token"},
        {"ALE_APP_ID", "hex:5", "hexadecimal"},
        {"ALE_APP_ID", "\xff", "UTF-8"},
        {"ALE_APP_ID", "", "path"},
    };
    struct explain_arena a = {0};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct engine_field *f = field_of("ALE_AUTH_CONNECT_V4", cases[i].field);
        struct explain_value v;
        const char *error = NULL;

        assert_int_equal(explain_value_parse(&a, f, cases[i].text, &v, &error), -EINVAL);
        assert_non_null(error);
        if (strstr(error, cases[i].error) == NULL)
            fail_msg("%s=%s: %s", cases[i].field, cases[i].text, error);
    }
    explain_arena_free(&a);
}

static void json_has_its_own_forms(void **state)
{
    static const struct {
        const char *field, *json, *written; /* NULL: refused */
    } cases[] = {
        {"IP_REMOTE_PORT", "443", "443"},      {"IP_REMOTE_PORT", "\"443\"", "443"},
        {"IP_REMOTE_PORT", "null", "empty"},   {"IP_REMOTE_PORT", "65536", NULL},
        {"IP_REMOTE_PORT", "-1", NULL},        {"IP_REMOTE_PORT", "1.5", NULL},
        {"IP_REMOTE_PORT", "[443]", NULL},     {"IP_REMOTE_ADDRESS", "167838211", "10.1.2.3"},
        {"ALE_APP_ID", "\"\\\\a\"", "\\a"},    {"ALE_APP_ID", "7", NULL},
        {"ALE_USER_ID", "\"SY\"", "S-1-5-18"}, {"ALE_USER_ID", "{\"user\": \"SY\"}", "{\"user\":\"SY\"}"},
        {"ALE_USER_ID", "{}", NULL},           {"IP_REMOTE_PORT", "{}", NULL},
    };
    struct explain_arena a = {0};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct engine_field *f = field_of("ALE_AUTH_CONNECT_V4", cases[i].field);
        json_t *json = json_loads(cases[i].json, JSON_DECODE_ANY, NULL);
        struct explain_value v;
        const char *error = NULL;
        int err = explain_value_from_json(&a, f, json, &v, &error);

        assert_int_equal(err, cases[i].written != NULL ? 0 : -EINVAL);
        if (err == 0)
            assert_string_equal(explain_value_text(&a, f, &v), cases[i].written);
        else
            assert_non_null(error);
        json_decref(json);
    }
    explain_arena_free(&a);
}

/* A token that explain makes up is written so that it is the same token when read. */
static void tokens_are_written_in_full(void **state)
{
    _Alignas(4) uint8_t user[SECURITY_MAX_SID_SIZE], group[SECURITY_MAX_SID_SIZE],
        package[SECURITY_MAX_SID_SIZE];
    const char *value = "Contoso.App";
    struct security_attribute attribute = {.name = "WIN://SYSAPPID", .values = &value, .value_count = 1};
    SID_AND_ATTRIBUTES groups = {.Sid = group, .Attributes = SE_GROUP_ENABLED};
    struct security_token_spec spec = {.user = (SID *)user,
                                       .groups = &groups,
                                       .group_count = 1,
                                       .package = (SID *)package,
                                       .capabilities = &groups,
                                       .capability_count = 1,
                                       .attributes = &attribute,
                                       .attribute_count = 1};
    const struct engine_field *f = field_of("ALE_AUTH_CONNECT_V4", "ALE_USER_ID");
    struct explain_arena a = {0};
    struct explain_value v = {0}, again;
    const char *error = NULL;

    (void)state;
    assert_int_equal(security_sid_parse("S-1-5-21-1-2-3-1001", (SID *)user, sizeof user), 0);
    assert_int_equal(security_sid_parse("S-1-15-3-1", (SID *)group, sizeof group), 0);
    assert_int_equal(security_sid_parse("S-1-15-2-1-2-3", (SID *)package, sizeof package), 0);
    assert_int_equal(explain_value_token(&a, &spec, "somebody", &v), 0);
    assert_string_equal(explain_value_words(&a, f, &v), "somebody");
    assert_int_equal(explain_value_parse(&a, f, explain_value_text(&a, f, &v), &again, &error), 0);
    assert_int_equal(again.value.tokenAccessInformation->size, v.value.tokenAccessInformation->size);
    explain_arena_free(&a);
}

/* The table of fields is searched by halves, so it must be in order; and it must not name what does not
 * exist. */
static void every_field_finds_itself(void **state)
{
    unsigned named = 0;

    (void)state;
    for (UINT16 id = 0; id < ENGINE_LAYER_COUNT; id++) {
        const struct engine_layer *layer = engine_layer_by_id(id);

        for (UINT16 i = 0; i < layer->field_count; i++) {
            const struct engine_field *f = &layer->fields[i];
            const struct explain_field *e = explain_field_of(f);

            assert_non_null(f->name);
            assert_int_equal(f->index, i);
            if (e->words == NULL)
                continue;
            named++;
            assert_string_equal(e->name, explain_field_short(f));
            assert_ptr_equal(explain_field_find(layer, f->name), f);
        }
    }
    assert_true(named > 500);
    assert_true(explain_field_exists("ICMP_CODE"));
    assert_false(explain_field_exists("NO_SUCH_FIELD"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_read_and_written), cmocka_unit_test(what_is_no_value_is_refused),
        cmocka_unit_test(json_has_its_own_forms),     cmocka_unit_test(tokens_are_written_in_full),
        cmocka_unit_test(every_field_finds_itself),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The generated tables against the tables they came from: every row of data/ is read here, by code that
 * shares nothing with the generators, and must be found again through facts.h; and every name must lead back.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/facts.h"
#include "fwpsk.h"
#include "winerror.h"

/* ---- a reader of tab-separated tables ------------------------------------------------------------------ */

#define MAX_COLUMNS 24

struct table {
    FILE *file;
    char columns[4096];
    char line[16384];
    char *column[MAX_COLUMNS];
    char *cell[MAX_COLUMNS];
    unsigned column_count, cell_count;
};

static unsigned split(char *text, char **out)
{
    unsigned count = 0;
    text[strcspn(text, "\n")] = '\0';
    while (count < MAX_COLUMNS) {
        out[count++] = text;
        text += strcspn(text, "\t");
        if (*text == '\0')
            return count;
        *text++ = '\0';
    }
    return count;
}

static void table_open(struct table *t, const char *name)
{
    char path[1024];
    const char *root = getenv("WEIR_ROOT");
    snprintf(path, sizeof(path), "%s/data/%s.tsv", root != NULL ? root : ".", name);
    t->file = fopen(path, "r");
    assert_non_null(t->file);
    assert_non_null(fgets(t->columns, sizeof(t->columns), t->file));
    t->column_count = split(t->columns, t->column);
}

static bool table_next(struct table *t)
{
    if (fgets(t->line, sizeof(t->line), t->file) == NULL) {
        fclose(t->file);
        return false;
    }
    t->cell_count = split(t->line, t->cell);
    return true;
}

static const char *cell(const struct table *t, const char *column)
{
    for (unsigned i = 0; i < t->column_count; i++) {
        if (strcmp(t->column[i], column) == 0)
            return i < t->cell_count ? t->cell[i] : "";
    }
    fail_msg("no column %s", column);
    return "";
}

static UINT64 number(const char *text)
{
    return text[0] == '-' ? (UINT64)strtoll(text, NULL, 0) : strtoull(text, NULL, 0);
}

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static GUID guid_of(const char *text)
{
    GUID guid;
    if (engine_guid_parse(text, &guid) != 0)
        fail_msg("not a GUID: %s", text);
    return guid;
}

static void assert_guid_equal(const GUID *a, const GUID *b)
{
    assert_memory_equal(a, b, sizeof(*a));
}

/* ---- layers and fields ------------------------------------------------------------------------------- */

static void every_layer_is_found_by_id_key_and_name(void **state)
{
    (void)state;
    struct table t;
    unsigned rows = 0;
    table_open(&t, "layers");
    while (table_next(&t)) {
        UINT16 id = (UINT16)number(cell(&t, "layerId"));
        GUID key = guid_of(cell(&t, "layer_guid"));
        const char *fwps = cell(&t, "fwps_name"), *fwpm = cell(&t, "fwpm_name");
        const struct engine_layer *layer = engine_layer_by_id(id);
        char text[128];

        assert_non_null(layer);
        assert_int_equal(layer->id, id);
        assert_guid_equal(layer->key, &key);
        assert_ptr_equal(engine_layer_by_key(&key), layer);
        assert_string_equal(layer->fwps_name, fwps);
        assert_ptr_equal(engine_layer_by_name(fwps), layer);
        assert_ptr_equal(engine_layer_by_name(fwps + strlen("FWPS_LAYER_")), layer);
        if (begins(fwpm, "FWPM_")) {
            assert_string_equal(layer->name, fwpm);
            assert_ptr_equal(engine_layer_by_name(fwpm), layer);
        } else {
            assert_string_equal(layer->name, fwps);
        }
        snprintf(text, sizeof(text), "fwpM_laYer_%s", fwps + strlen("FWPS_LAYER_"));
        for (char *p = text; *p != '\0'; p++) {
            if (*p >= 'A' && *p <= 'Z' && (p - text) % 3 != 0)
                *p = (char)(*p - 'A' + 'a');
        }
        assert_ptr_equal(engine_layer_by_name(text), layer);
        assert_int_equal(layer->user_mode, strcmp(cell(&t, "mode"), "user") == 0);
        assert_int_equal(layer->discard, number(cell(&t, "is_discard")));
        assert_int_equal(layer->family,
                         begins(cell(&t, "address_family"), "v") ? cell(&t, "address_family")[1] : 0);
        assert_int_equal(layer->field_count, number(cell(&t, "num_fields_new_dump")));
        assert_int_equal((layer->flags & FWPM_LAYER_FLAG_KERNEL) != 0, !layer->user_mode);
        assert_int_equal((layer->flags & FWPM_LAYER_FLAG_BUFFERED) != 0,
                         strstr(cell(&t, "flags"), "BUFFERED") != NULL);
        assert_guid_equal(layer->default_sublayer, &FWPM_SUBLAYER_UNIVERSAL);
        rows++;
    }
    assert_int_equal(rows, ENGINE_LAYER_COUNT);
}

static void what_is_no_layer_is_not_found(void **state)
{
    (void)state;
    GUID key = {0};
    assert_null(engine_layer_by_id(ENGINE_LAYER_COUNT));
    assert_null(engine_layer_by_id(0xffff));
    assert_null(engine_layer_by_key(&key));
    assert_null(engine_layer_by_key(&FWPM_SUBLAYER_UNIVERSAL));
    assert_null(engine_layer_by_name(""));
    assert_null(engine_layer_by_name("FWPM_LAYER_"));
    assert_null(engine_layer_by_name("FWPM_LAYER_ALE_AUTH_CONNECT"));
    assert_null(engine_layer_by_name("ALE_AUTH_CONNECT_V4_"));
    assert_null(engine_layer_by_name("FWPM_LAYER_FWPM_LAYER_ALE_AUTH_CONNECT_V4"));
}

static void every_field_is_found_by_its_condition(void **state)
{
    (void)state;
    struct table t;
    unsigned rows = 0, total = 0;
    table_open(&t, "fields");
    while (table_next(&t)) {
        if (cell(&t, "fwpm_condition")[0] == '\0')
            continue; /* reserved by the enumeration, in no export */
        const struct engine_layer *layer = engine_layer_by_id((UINT16)number(cell(&t, "layerId")));
        unsigned index = (unsigned)number(cell(&t, "field_index"));
        assert_non_null(layer);
        assert_true(index < layer->field_count);

        const struct engine_field *field = &layer->fields[index];
        GUID key;
        UINT64 value;
        assert_int_equal(field->index, index);
        assert_string_equal(field->name, cell(&t, "fwpm_condition"));
        assert_int_equal(engine_guid_by_name(ENGINE_GUID_CONDITION, cell(&t, "fwpm_condition"), &key), 0);
        assert_guid_equal(field->key, &key);
        if (cell(&t, "condition_guid")[0] != '\0') {
            GUID written = guid_of(cell(&t, "condition_guid"));
            assert_guid_equal(&key, &written);
        }
        assert_int_equal(engine_layer_field(layer, &key), index);
        assert_true(engine_constant_value(cell(&t, "field_type"), &value));
        assert_int_equal(field->type, value);
        assert_true(engine_constant_value(cell(&t, "data_type"), &value));
        assert_int_equal(field->data_type, value);
        rows++;
    }
    for (UINT16 id = 0; id < ENGINE_LAYER_COUNT; id++) {
        const struct engine_layer *layer = engine_layer_by_id(id);
        assert_true(layer->field_count <= ENGINE_MAX_FIELDS);
        total += layer->field_count;
    }
    assert_int_equal(rows, total);
}

static void aliases_of_conditions_lead_to_the_same_field(void **state)
{
    (void)state;
    const struct engine_layer *connect = engine_layer_by_id(FWPS_LAYER_ALE_AUTH_CONNECT_V4);
    assert_int_equal(engine_layer_field(connect, &FWPM_CONDITION_ICMP_TYPE),
                     FWPS_FIELD_ALE_AUTH_CONNECT_V4_IP_LOCAL_PORT);
    assert_int_equal(engine_layer_field(connect, &FWPM_CONDITION_ICMP_CODE),
                     FWPS_FIELD_ALE_AUTH_CONNECT_V4_IP_REMOTE_PORT);
    assert_int_equal(FWPS_FIELD_ALE_AUTH_CONNECT_V4_ICMP_TYPE, FWPS_FIELD_ALE_AUTH_CONNECT_V4_IP_LOCAL_PORT);
    assert_int_equal(engine_layer_field(connect, &FWPM_CONDITION_INTERFACE),
                     FWPS_FIELD_ALE_AUTH_CONNECT_V4_IP_LOCAL_INTERFACE);
    assert_int_equal(engine_layer_field(connect, &FWPM_CONDITION_RPC_IF_UUID), -1);
}

/* ---- GUIDs --------------------------------------------------------------------------------------------- */

static enum engine_guid_kind kind_of(const char *word)
{
    static const char *const words[ENGINE_GUID_KINDS] = {
        [ENGINE_GUID_LAYER] = "layer",       [ENGINE_GUID_CONDITION] = "condition",
        [ENGINE_GUID_SUBLAYER] = "sublayer", [ENGINE_GUID_PROVIDER] = "provider",
        [ENGINE_GUID_CALLOUT] = "callout",   [ENGINE_GUID_KEYING] = "keying",
    };
    for (unsigned i = 0; i < ENGINE_GUID_KINDS; i++) {
        if (strcmp(word, words[i]) == 0)
            return (enum engine_guid_kind)i;
    }
    fail_msg("no kind %s", word);
    return ENGINE_GUID_LAYER;
}

static void every_guid_is_found_and_has_its_name(void **state)
{
    (void)state;
    struct table t;
    unsigned rows = 0;
    table_open(&t, "guids");
    while (table_next(&t)) {
        enum engine_guid_kind kind = kind_of(cell(&t, "kind"));
        GUID guid = guid_of(cell(&t, "guid")), found;
        char text[ENGINE_GUID_TEXT], bare[ENGINE_GUID_TEXT];

        assert_int_equal(engine_guid_by_name(kind, cell(&t, "name"), &found), 0);
        assert_guid_equal(&found, &guid);
        const char *alias = strstr(cell(&t, "note"), "alias_of=");
        assert_string_equal(engine_guid_name(kind, &guid),
                            alias != NULL ? alias + strlen("alias_of=") : cell(&t, "name"));

        assert_string_equal(engine_guid_format(&guid, text), cell(&t, "guid"));
        assert_int_equal(engine_guid_by_name(kind, text, &found), 0);
        assert_guid_equal(&found, &guid);
        snprintf(bare, sizeof(bare), "%.36s", text + 1);
        assert_int_equal(engine_guid_parse(bare, &found), 0);
        assert_guid_equal(&found, &guid);
        rows++;
    }
    assert_true(rows > 300);
}

static void the_headers_guids_are_the_tables(void **state)
{
    (void)state;
    assert_string_equal(engine_guid_name(ENGINE_GUID_LAYER, &FWPM_LAYER_ALE_AUTH_CONNECT_V4),
                        "FWPM_LAYER_ALE_AUTH_CONNECT_V4");
    assert_string_equal(engine_guid_name(ENGINE_GUID_CONDITION, &FWPM_CONDITION_ICMP_TYPE),
                        "FWPM_CONDITION_IP_LOCAL_PORT");
    assert_null(engine_guid_name(ENGINE_GUID_CONDITION, &FWPM_LAYER_ALE_AUTH_CONNECT_V4));
    assert_null(engine_guid_name(ENGINE_GUID_KINDS, &FWPM_LAYER_ALE_AUTH_CONNECT_V4));
}

static void bad_guids_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "{",
        "{}",
        "c38d57d1-05a7-4c33-904f-7fbceee60e8",     /* one digit short */
        "c38d57d1-05a7-4c33-904f-7fbceee60e822",   /* one too many */
        "{c38d57d1-05a7-4c33-904f-7fbceee60e82",   /* no closing brace */
        "c38d57d1-05a7-4c33-904f-7fbceee60e82}",   /* no opening brace */
        "{c38d57d1-05a7-4c33-904f-7fbceee60e82} ", /* something after it */
        "c38d57d1x05a7-4c33-904f-7fbceee60e82",    /* no dash */
        "c38d57d1-05a7-4c33-904f-7fbceee60g82",    /* no digit */
        "c38d57d105a74c33904f7fbceee60e82",        /* no dashes */
    };
    GUID guid;
    for (size_t i = 0; i < ARRAYSIZE(bad); i++)
        assert_int_equal(engine_guid_parse(bad[i], &guid), -EINVAL);
    assert_int_equal(engine_guid_by_name(ENGINE_GUID_LAYER, "FWPM_LAYER_NO_SUCH", &guid), -ENOENT);
    assert_int_equal(engine_guid_by_name(ENGINE_GUID_LAYER, "{nonsense}", &guid), -EINVAL);
    assert_int_equal(engine_guid_by_name(ENGINE_GUID_KINDS, "FWPM_LAYER_STREAM_V4", &guid), -EINVAL);
}

static void a_guid_without_its_prefix_and_in_any_case(void **state)
{
    (void)state;
    GUID guid;
    assert_int_equal(engine_guid_by_name(ENGINE_GUID_SUBLAYER, "universal", &guid), 0);
    assert_guid_equal(&guid, &FWPM_SUBLAYER_UNIVERSAL);
    assert_int_equal(engine_guid_by_name(ENGINE_GUID_CONDITION, "fwpm_condition_ip_protocol", &guid), 0);
    assert_guid_equal(&guid, &FWPM_CONDITION_IP_PROTOCOL);
}

/* ---- constants and statuses ---------------------------------------------------------------------------- */

static void every_constant_has_its_value(void **state)
{
    (void)state;
    static const char *const tables[] = {"constants", "winnt", "status"};
    unsigned rows = 0, named = 0;
    for (size_t i = 0; i < ARRAYSIZE(tables); i++) {
        struct table t;
        table_open(&t, tables[i]);
        while (table_next(&t)) {
            UINT64 value;
            const char *name = cell(&t, "name");
            assert_true(engine_constant_value(name, &value));
            assert_true(value == number(cell(&t, "value")));
            const char *primary = engine_constant_name(cell(&t, "group"), value);
            if (primary != NULL) { /* a name of the same value, if not this one */
                UINT64 again;
                assert_true(engine_constant_value(primary, &again));
                assert_true(again == value);
                named++;
            }
            rows++;
        }
    }
    assert_true(rows > 1700);
    assert_true(named > rows - 100); /* the rest are sentinels */
}

static void primary_names_are_what_a_reader_expects(void **state)
{
    (void)state;
    UINT64 value;
    assert_string_equal(engine_constant_name("FWP_MATCH_TYPE", 0), "FWP_MATCH_EQUAL");
    assert_string_equal(engine_constant_name("FWP_DATA_TYPE", FWP_RANGE_TYPE), "FWP_RANGE_TYPE");
    assert_string_equal(engine_constant_name("FWP_ACTION", FWP_ACTION_BLOCK), "FWP_ACTION_BLOCK");
    assert_string_equal(engine_constant_name("FWPS_BUILTIN_LAYERS", 48), engine_layer_by_id(48)->fwps_name);
    assert_string_equal(engine_constant_name("FWPS_METADATA_FIELD", FWPS_METADATA_FIELD_FLOW_HANDLE),
                        "FWPS_METADATA_FIELD_FLOW_HANDLE");
    assert_string_equal(engine_constant_name("IRQL", 0), "PASSIVE_LEVEL");
    assert_null(engine_constant_name("FWP_DATA_TYPE", FWP_DATA_TYPE_MAX));
    assert_null(engine_constant_name("FWP_DATA_TYPE", FWP_SINGLE_DATA_TYPE_MAX));
    assert_null(engine_constant_name("FWPM_FIELD_TYPE", FWPM_FIELD_TYPE_MAX));
    assert_null(engine_constant_name("NO_SUCH_GROUP", 0));
    assert_null(engine_constant_name("FWP_MATCH_TYPE", 1ull << 32)); /* not cut to 32 bits */
    assert_false(engine_constant_value("FWP_NO_SUCH", &value));
    assert_true(engine_constant_value("fwp_match_prefix", &value));
    assert_int_equal(value, FWP_MATCH_PREFIX);
}

static void every_status_has_a_name(void **state)
{
    (void)state;
    static const struct {
        const char *table;
        bool overlap; /* small numbers may be Win32's */
    } tables[] = {{"status", false}, {"ntstatus", true}, {"win32_errors", true}};
    for (size_t i = 0; i < ARRAYSIZE(tables); i++) {
        struct table t;
        table_open(&t, tables[i].table);
        while (table_next(&t)) {
            UINT32 code = (UINT32)number(cell(&t, "value"));
            const char *name = engine_status_name(code);
            UINT64 value;
            assert_non_null(name);
            assert_true(engine_constant_value(name, &value));
            assert_int_equal((UINT32)value, code);
        }
    }
}

static void statuses_that_share_a_number(void **state)
{
    (void)state;
    assert_string_equal(engine_status_name(0), "STATUS_SUCCESS");
    assert_string_equal(engine_status_name(ERROR_ACCESS_DENIED), "ERROR_ACCESS_DENIED");
    assert_string_equal(engine_status_name((UINT32)STATUS_PENDING), "STATUS_PENDING");
    assert_string_equal(engine_status_name((UINT32)STATUS_FWP_TOO_MANY_CALLOUTS),
                        "STATUS_FWP_TOO_MANY_CALLOUTS");
    assert_string_equal(engine_status_name((UINT32)FWP_E_ALREADY_EXISTS), "FWP_E_ALREADY_EXISTS");
    assert_string_equal(engine_status_name((UINT32)STATUS_ACCESS_DENIED), "STATUS_ACCESS_DENIED");
    assert_null(engine_status_name(0xdeadbeef));
}

/* ---- built-in objects ------------------------------------------------------------------------------------
 */

static void built_in_sublayers_are_those_of_the_exports(void **state)
{
    (void)state;
    const struct engine_builtin_sublayer *all;
    size_t count = engine_builtin_sublayers(&all), rows = 0;
    struct table t;
    table_open(&t, "sublayers");
    while (table_next(&t)) {
        if (number(cell(&t, "builtin")) != 1 || number(cell(&t, "num_dumps")) == 0)
            continue;
        GUID key = guid_of(cell(&t, "guid"));
        size_t i = 0;
        while (i < count && memcmp(all[i].key, &key, sizeof(key)) != 0)
            i++;
        assert_true(i < count);
        assert_string_equal(all[i].name, cell(&t, "sublayer_key"));
        assert_string_equal(all[i].display_name, cell(&t, "display_name"));
        assert_int_equal(all[i].weight, number(cell(&t, "weights_seen")));
        if (cell(&t, "provider")[0] != '\0')
            assert_string_equal(engine_guid_name(ENGINE_GUID_PROVIDER, all[i].provider),
                                cell(&t, "provider"));
        else
            assert_null(all[i].provider);
        rows++;
    }
    assert_int_equal(rows, count);
    for (size_t i = 1; i < count; i++)
        assert_true(all[i - 1].weight < all[i].weight);
}

static void built_in_providers_are_those_of_the_exports(void **state)
{
    (void)state;
    const struct engine_builtin_provider *all;
    size_t count = engine_builtin_providers(&all), rows = 0;
    struct table t;
    table_open(&t, "providers");
    while (table_next(&t)) {
        if (number(cell(&t, "builtin")) != 1 || number(cell(&t, "num_dumps")) == 0)
            continue;
        GUID key = guid_of(cell(&t, "guid"));
        size_t i = 0;
        while (i < count && memcmp(all[i].key, &key, sizeof(key)) != 0)
            i++;
        assert_true(i < count);
        assert_string_equal(all[i].name, cell(&t, "provider_key"));
        assert_string_equal(all[i].display_name, cell(&t, "display_name"));
        assert_string_equal(all[i].service != NULL ? all[i].service : "", cell(&t, "service_name"));
        rows++;
    }
    assert_int_equal(rows, count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_layer_is_found_by_id_key_and_name),
        cmocka_unit_test(what_is_no_layer_is_not_found),
        cmocka_unit_test(every_field_is_found_by_its_condition),
        cmocka_unit_test(aliases_of_conditions_lead_to_the_same_field),
        cmocka_unit_test(every_guid_is_found_and_has_its_name),
        cmocka_unit_test(the_headers_guids_are_the_tables),
        cmocka_unit_test(bad_guids_are_refused),
        cmocka_unit_test(a_guid_without_its_prefix_and_in_any_case),
        cmocka_unit_test(every_constant_has_its_value),
        cmocka_unit_test(primary_names_are_what_a_reader_expects),
        cmocka_unit_test(every_status_has_a_name),
        cmocka_unit_test(statuses_that_share_a_number),
        cmocka_unit_test(built_in_sublayers_are_those_of_the_exports),
        cmocka_unit_test(built_in_providers_are_those_of_the_exports),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

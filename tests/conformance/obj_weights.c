/* SPDX-License-Identifier: Apache-2.0 */
/* OBJ-32: automatic weights, against those that real machines recorded, and by what the rule itself demands.
 */
#include <arpa/inet.h>
/* Before Windows' numbers for the same names come in. */
enum { HOST_INET = AF_INET, HOST_INET6 = AF_INET6 };
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <jansson.h>

#include "bfe/weight.h"
#include "bfe_lab.h"
#include "skip.h"

/* ---- recorded weights
 * --------------------------------------------------------------------------------------- */

#define MAX_CONDITIONS 1024

/* Values that conditions point to, for one row. */
struct row {
    FWPM_FILTER_CONDITION0 conditions[MAX_CONDITIONS];
    FWP_RANGE0 ranges[MAX_CONDITIONS];
    FWP_BYTE_ARRAY16 addresses[MAX_CONDITIONS][2];
    FWP_V6_ADDR_AND_MASK masks[MAX_CONDITIONS];
    UINT64 numbers[MAX_CONDITIONS];
    UINT32 count;
};

static bool scalar(const char *type, const char *text, FWP_VALUE0 *v, FWP_BYTE_ARRAY16 *room)
{
    struct in_addr a4;

    if (strcmp(type, "BYTE_ARRAY16_TYPE") == 0) {
        v->type = FWP_BYTE_ARRAY16_TYPE;
        v->byteArray16 = room;
        return inet_pton(HOST_INET6, text, room->byteArray16) == 1;
    }
    if (strcmp(type, "UINT32") == 0) {
        v->type = FWP_UINT32;
        v->uint32 = inet_pton(HOST_INET, text, &a4) == 1 ? ntohl(a4.s_addr) : (UINT32)strtoul(text, NULL, 0);
        return true;
    }
    v->type = strcmp(type, "UINT16") == 0 ? FWP_UINT16 : FWP_UINT8;
    v->uint32 = 0;
    if (v->type == FWP_UINT16)
        v->uint16 = (UINT16)strtoul(text, NULL, 0);
    else
        v->uint8 = (UINT8)strtoul(text, NULL, 0);
    return v->type == FWP_UINT16 || strcmp(type, "UINT8") == 0;
}

/* {"type": "UINT16", "uint16": "8554"}: the member's name differs by type. */
static bool range_end(const json_t *end, FWP_VALUE0 *v, FWP_BYTE_ARRAY16 *room)
{
    const char *type = json_string_value(json_object_get(end, "type")), *key;
    json_t *value;

    json_object_foreach((json_t *)end, key, value)
    {
        if (strcmp(key, "type") != 0)
            return scalar(type, json_string_value(value), v, room);
    }
    return false;
}

static bool json_text(const json_t *j, char *out, size_t size)
{
    const char *s = json_string_value(j);

    return s != NULL && (size_t)snprintf(out, size, "%s", s) < size;
}

/* "IP_LOCAL_PORT EQUAL UINT16=["80"]" */
static bool parse_condition(struct row *r, const char *text)
{
    UINT32 i = r->count;
    FWPM_FILTER_CONDITION0 *c = &r->conditions[i];
    char field[64], match[64], type[64], name[128], value[64];
    const char *equals = strchr(text, '=');
    FWP_VALUE0 v = {0};
    json_t *list = NULL;
    bool ok = false;
    UINT64 number;

    if (i == MAX_CONDITIONS || sscanf(text, "%63s %63s %63[A-Z0-9_]", field, match, type) != 3)
        return false;
    snprintf(name, sizeof(name), "FWPM_CONDITION_%s", field);
    if (engine_guid_by_name(ENGINE_GUID_CONDITION, name, &c->fieldKey) != 0)
        return false;
    snprintf(name, sizeof(name), "FWP_MATCH_%s", match);
    if (!engine_constant_value(name, &number))
        return false;
    c->matchType = (FWP_MATCH_TYPE)number;
    if (equals != NULL)
        list = json_loads(equals + 1, 0, NULL);
    memset(&c->conditionValue, 0, sizeof(c->conditionValue));
    if (strcmp(type, "BYTE_BLOB_TYPE") == 0 || strcmp(type, "SID") == 0 ||
        strcmp(type, "SECURITY_DESCRIPTOR_TYPE") == 0) {
        c->conditionValue.type = FWP_BYTE_BLOB_TYPE; /* one bit, whatever it holds */
        ok = true;
    } else if (strcmp(type, "UINT64") == 0) {
        c->conditionValue.type = FWP_UINT64;
        c->conditionValue.uint64 = &r->numbers[i];
        ok = true;
    } else if (strcmp(type, "RANGE_TYPE") == 0) {
        c->conditionValue.type = FWP_RANGE_TYPE;
        c->conditionValue.rangeValue = &r->ranges[i];
        ok = range_end(json_object_get(json_array_get(list, 0), "valueLow"), &r->ranges[i].valueLow,
                       &r->addresses[i][0]) &&
             range_end(json_object_get(json_array_get(list, 0), "valueHigh"), &r->ranges[i].valueHigh,
                       &r->addresses[i][1]);
    } else if (strcmp(type, "V6_ADDR_MASK") == 0) {
        c->conditionValue.type = FWP_V6_ADDR_MASK;
        c->conditionValue.v6AddrMask = &r->masks[i];
        ok = json_text(json_object_get(json_array_get(list, 0), "prefixLength"), value, sizeof(value));
        r->masks[i].prefixLength = (UINT8)strtoul(value, NULL, 0);
    } else {
        ok = json_text(json_array_get(list, 0), value, sizeof(value)) &&
             scalar(type, value, &v, &r->addresses[i][0]);
        memcpy(&c->conditionValue, &v, sizeof(v));
    }
    json_decref(list);
    r->count++;
    return ok;
}

static enum bfe_weight_class class_of(const char *dump)
{
    if (strcmp(dump, "developer-laptop") == 0 || strcmp(dump, "server-minimal") == 0)
        return BFE_WEIGHT_O;
    return strcmp(dump, "vpn-desktop") == 0 ? BFE_WEIGHT_I : BFE_WEIGHT_N;
}

/* What the table comes to today. Fewer means that something broke; more, that this line may be raised. */
#define ROWS        4908
#define EXACT_FLOOR 4902

static void OBJ_32_recorded_weights(void **state)
{
    struct row *r = malloc(sizeof(*r));
    unsigned rows = 0, exact = 0;
    char path[4096], *line = NULL;
    size_t size = 0;
    FILE *f;

    (void)state;
    assert_non_null(r);
    shared_path("spec/facts/weights.tsv", path, sizeof(path));
    f = fopen(path, "r");
    if (f == NULL) {
        free(r);
        SKIP_BECAUSE("spec/facts/weights.tsv is not on this machine");
    }
    assert_true(getline(&line, &size, f) > 0); /* the heading */
    while (getline(&line, &size, f) > 0) {
        char *cells[11], *at = line, *save = NULL;
        const struct engine_layer *layer;
        UINT64 expected, got = 0;

        for (int i = 0; i < 11; i++)
            cells[i] = strsep(&at, "\t\n");
        layer = engine_layer_by_name(cells[2]);
        assert_non_null(layer);
        r->count = 0;
        for (char *c = cells[9]; *c != 0; c = save) {
            save = strstr(c, "; ");
            if (save != NULL) {
                *save = 0;
                save += 2;
            } else {
                save = c + strlen(c);
            }
            assert_true(parse_condition(r, c));
        }
        expected = strtoull(cells[10], NULL, 16);
        rows++;
        if (bfe_weight_auto_by(class_of(cells[0]), layer, r->conditions, r->count, &got) &&
            got == (expected & (((UINT64)1 << 60) - 1)))
            exact++;
        /* and the range is the FWP_UINT8 that was given */
        if (strcmp(cells[6], "FWP_UINT8") == 0)
            assert_true(expected >> 60 == strtoull(cells[7], NULL, 0));
        else
            assert_true(expected >> 60 == 0);
    }
    free(line);
    fclose(f);
    free(r);
    assert_int_equal(rows, ROWS);
    assert_in_range(exact, EXACT_FLOOR, ROWS);
}

/* ---- the rule
 * ---------------------------------------------------------------------------------------------- */

static UINT64 weigh(const GUID *layer, const FWPM_FILTER_CONDITION0 *c, UINT32 count)
{
    return bfe_weight_auto(engine_layer_by_key(layer), c, count);
}

static FWPM_FILTER_CONDITION0 port(const GUID *field, UINT16 n)
{
    return bfe_lab_condition(field, FWP_MATCH_EQUAL, (FWP_CONDITION_VALUE0){.type = FWP_UINT16, .uint16 = n});
}

static FWPM_FILTER_CONDITION0 v4(UINT32 address, UINT32 mask, FWP_V4_ADDR_AND_MASK *room)
{
    *room = (FWP_V4_ADDR_AND_MASK){address, mask};
    return bfe_lab_condition(&FWPM_CONDITION_IP_REMOTE_ADDRESS, FWP_MATCH_EQUAL,
                             (FWP_CONDITION_VALUE0){.type = FWP_V4_ADDR_MASK, .v4AddrMask = room});
}

static void OBJ_32_no_conditions(void **state)
{
    unsigned fast = 0;

    (void)state;
    for (UINT16 id = 0; id < ENGINE_LAYER_COUNT; id++) {
        UINT64 w = bfe_weight_auto(engine_layer_by_id(id), NULL, 0);

        assert_true(w == 0 || w == 0x7ffffffffffffff);
        fast += w != 0;
    }
    assert_int_equal(fast, 4);
}

static void OBJ_32_more_specific_is_heavier(void **state)
{
    FWPM_FILTER_CONDITION0 c[3];
    FWP_V4_ADDR_AND_MASK m[2];
    UINT64 last = 0;

    (void)state;
    for (UINT32 bits = 1; bits <= 32; bits++) { /* a longer prefix never weighs less */
        UINT64 w;

        c[0] = v4(0x0a000000, (UINT32)(0xffffffffull << (32 - bits)), &m[0]);
        w = weigh(&FWPM_LAYER_ALE_AUTH_CONNECT_V4, c, 1);
        assert_true(w >= last && w > 0);
        last = w;
    }
    /* address over protocol over local port over remote port over user over nothing */
    c[0] = bfe_lab_condition(&FWPM_CONDITION_IP_PROTOCOL, FWP_MATCH_EQUAL,
                             (FWP_CONDITION_VALUE0){.type = FWP_UINT8});
    assert_true(weigh(&FWPM_LAYER_ALE_AUTH_CONNECT_V4, c, 1) < last);
    last = weigh(&FWPM_LAYER_ALE_AUTH_CONNECT_V4, c, 1);
    c[0] = port(&FWPM_CONDITION_IP_LOCAL_PORT, 1);
    assert_true(weigh(&FWPM_LAYER_ALE_AUTH_CONNECT_V4, c, 1) < last);
    last = weigh(&FWPM_LAYER_ALE_AUTH_CONNECT_V4, c, 1);
    c[0] = port(&FWPM_CONDITION_IP_REMOTE_PORT, 1);
    assert_true(weigh(&FWPM_LAYER_ALE_AUTH_CONNECT_V4, c, 1) < last);
    /* conditions on different fields add up; order does not matter */
    c[1] = port(&FWPM_CONDITION_IP_LOCAL_PORT, 1);
    last = weigh(&FWPM_LAYER_ALE_AUTH_CONNECT_V4, c, 2);
    assert_true(last == weigh(&FWPM_LAYER_ALE_AUTH_CONNECT_V4, c, 1) +
                            weigh(&FWPM_LAYER_ALE_AUTH_CONNECT_V4, c + 1, 1));
    c[2] = c[0];
    assert_true(last == weigh(&FWPM_LAYER_ALE_AUTH_CONNECT_V4, c + 1, 2));
    assert_true(last == weigh(&FWPM_LAYER_ALE_AUTH_CONNECT_V4, c, 3)); /* a full field holds no more */
    /* 224/4 and a /24 on one field are like a /28 */
    c[0] = v4(0xe0000000, 0xf0000000, &m[0]);
    c[1] = v4(0x0a000000, 0xffffff00, &m[1]);
    last = weigh(&FWPM_LAYER_ALE_AUTH_CONNECT_V4, c, 2);
    c[0] = v4(0x0a000000, 0xfffffff0, &m[0]);
    assert_true(last == weigh(&FWPM_LAYER_ALE_AUTH_CONNECT_V4, c, 1));
}

static void OBJ_32_ranges(void **state)
{
    FWP_RANGE0 r = {.valueLow = {.type = FWP_UINT16, .uint16 = 8554},
                    .valueHigh = {.type = FWP_UINT16, .uint16 = 8558}};
    FWPM_FILTER_CONDITION0 c =
        bfe_lab_condition(&FWPM_CONDITION_IP_LOCAL_PORT, FWP_MATCH_RANGE,
                          (FWP_CONDITION_VALUE0){.type = FWP_RANGE_TYPE, .rangeValue = &r});

    (void)state;
    assert_true(weigh(&FWPM_LAYER_ALE_AUTH_LISTEN_V4, &c, 1) ==
                0x36b65800); /* as recorded: 0x36b658 in its slot */
    r.valueHigh.uint16 = 8554;
    assert_true(weigh(&FWPM_LAYER_ALE_AUTH_LISTEN_V4, &c, 1) == 0x3fffff00); /* like EQUAL */
    r.valueLow.uint16 = 0;
    r.valueHigh.uint16 = 0xffff;
    assert_true(weigh(&FWPM_LAYER_ALE_AUTH_LISTEN_V4, &c, 1) == 0); /* no condition at all */
    r.valueLow.uint16 = 1;
    assert_true(weigh(&FWPM_LAYER_ALE_AUTH_CONNECT_V4, &c, 1) != 0); /* nearly nothing is not nothing */
}

/* Where no slots are known: at every layer every field weighs something, and the order of priority holds. */
static void OBJ_32_layers_nothing_is_known_of(void **state)
{
    static const GUID *const order[] = {&FWPM_CONDITION_IP_REMOTE_ADDRESS,
                                        &FWPM_CONDITION_IP_PROTOCOL,
                                        &FWPM_CONDITION_IP_LOCAL_PORT,
                                        &FWPM_CONDITION_IP_REMOTE_PORT,
                                        &FWPM_CONDITION_ALE_APP_ID,
                                        &FWPM_CONDITION_ALE_USER_ID,
                                        &FWPM_CONDITION_FLAGS};

    (void)state;
    for (UINT16 id = 0; id < ENGINE_LAYER_COUNT; id++) {
        const struct engine_layer *layer = engine_layer_by_id(id);
        UINT64 last = (UINT64)1 << 60;

        for (UINT16 i = 0; i < layer->field_count; i++) {
            FWPM_FILTER_CONDITION0 c = bfe_lab_condition(layer->fields[i].key, FWP_MATCH_EQUAL,
                                                         (FWP_CONDITION_VALUE0){.type = FWP_EMPTY});
            UINT64 w = bfe_weight_auto(layer, &c, 1);

            assert_true(w > 0 && w < (UINT64)1 << 60);
        }
        if (strstr(layer->name, "RESOURCE") != NULL || strstr(layer->name, "BIND") != NULL ||
            strstr(layer->name, "LISTEN") != NULL)
            continue; /* there the local port stands on top */
        for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
            FWPM_FILTER_CONDITION0 c =
                bfe_lab_condition(order[i], FWP_MATCH_EQUAL, (FWP_CONDITION_VALUE0){.type = FWP_EMPTY});
            UINT64 w;

            if (engine_layer_field(layer, order[i]) < 0)
                continue;
            w = bfe_weight_auto(layer, &c, 1);
            assert_true(w < last);
            last = w;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(OBJ_32_recorded_weights),           cmocka_unit_test(OBJ_32_no_conditions),
        cmocka_unit_test(OBJ_32_more_specific_is_heavier),   cmocka_unit_test(OBJ_32_ranges),
        cmocka_unit_test(OBJ_32_layers_nothing_is_known_of),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine_snapshot_classes(): values of a field that are in one class are the same to each filter of the layer, asked one
 * by one; values in different ones are not all different. Random filters, which come and go.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "host_lab.h"

#define RULES  30
#define VALUES 40

static uint64_t x;

static unsigned any(unsigned below)
{
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return (unsigned)((x >> 24) % below);
}

static UINT64 some_rule(struct host_lab *l)
{
    static const char ops[] = "=<>!";
    char text[256];
    size_t at = (size_t)snprintf(text, sizeof(text), "%s AC", any(2) ? "block" : "permit");

    for (unsigned n = any(4); n > 0; n--) {
        const char op = ops[any(4)];
        const char *equal = op == '!' ? "=" : "";

        switch (any(4)) {
        case 0:
            at += (size_t)snprintf(text + at, sizeof(text) - at, " ip_remote_port%c%s%u", op, equal, any(60));
            break;
        case 1:
            at += (size_t)snprintf(text + at, sizeof(text) - at, " ip_local_port%c%s%u", op, equal, any(60));
            break;
        case 2:
            at += (size_t)snprintf(text + at, sizeof(text) - at, " ip_remote_address%c%s10.0.0.%u", op, equal,
                                   any(60));
            break;
        default:
            at += (size_t)snprintf(text + at, sizeof(text) - at, " flags%c%u", any(2) ? '&' : '~', any(16));
            break;
        }
    }
    return host_lab_rule(l, text);
}

static int field_named(const struct engine_layer *layer, const char *name)
{
    GUID key;

    assert_int_equal(engine_guid_by_name(ENGINE_GUID_CONDITION, name, &key), 0);
    return engine_layer_field(layer, &key);
}

static void fill(const struct engine_layer *layer, int field, FWPS_INCOMING_VALUE0 *values)
{
    FWP_VALUE0 *v = &values[field].value;

    v->type = any(20) == 0 ? FWP_EMPTY : layer->fields[field].data_type;
    if (v->type == FWP_UINT16)
        v->uint16 = (UINT16)any(62);
    else
        v->uint32 = layer->fields[field].data_type == FWP_UINT32 && any(2) ? 0x0a000000u + any(62) : any(16);
}

/* True: the two were in one class, and the same to all. */
static bool compare(const struct engine_snapshot *s, const struct engine_layer *layer, int field,
                    const FWPS_INCOMING_VALUE0 *a, const FWPS_INCOMING_VALUE0 *b)
{
    const struct engine_filter *const *filters;
    const size_t n = engine_snapshot_filters(s, layer->id, &filters);
    UINT32 class_a, class_b;

    if (!engine_snapshot_classes(s, layer->id, a, 1ULL << field, &class_a))
        return false;
    assert_true(engine_snapshot_classes(s, layer->id, b, 1ULL << field, &class_b));
    if (class_a != class_b)
        return false;
    for (size_t i = 0; i < n; i++)
        assert_int_equal(engine_filter_field_match(filters[i], (UINT16)field, &a[field].value),
                         engine_filter_field_match(filters[i], (UINT16)field, &b[field].value));
    return true;
}

static void values_of_a_class_are_the_same_to_all_filters(void **state)
{
    static const char *const names[] = {"ip_remote_port", "ip_local_port", "ip_remote_address", "flags"};
    const struct engine_layer *layer = engine_layer_by_id(host_lab_layer("AC"));
    UINT64 rules[RULES] = {0};
    struct engine_reader *reader;
    unsigned same = 0, asked = 0;
    struct host_lab l;

    (void)state;
    x = 88172645463325252ull;
    host_lab_open(&l, NULL);
    assert_int_equal(engine_reader_create(l.engine, &reader), 0);
    for (unsigned round = 0; round < 60; round++) {
        const struct engine_snapshot *s;

        for (unsigned i = 0; i < 4; i++) {
            const unsigned n = any(RULES);

            if (rules[n] != 0)
                host_lab_remove(&l, "AC", rules[n]);
            rules[n] = any(3) == 0 ? 0 : some_rule(&l);
        }
        s = engine_pin(reader);
        for (unsigned i = 0; i < VALUES; i++) {
            FWPS_INCOMING_VALUE0 a[ENGINE_MAX_FIELDS], b[ENGINE_MAX_FIELDS];
            const int field = field_named(layer, names[any(4)]);

            assert_true(field >= 0);
            fill(layer, field, a);
            fill(layer, field, b);
            same += compare(s, layer, field, a, b);
            asked++;
        }
        engine_unpin(reader);
    }
    assert_in_range(same, asked / 20, asked / 2);
    engine_reader_destroy(reader);
    host_lab_close(&l);
}

/* The lowest bit's class comes first; what no filter tests, or an empty layer, has none. */
static void classes_come_by_field(void **state)
{
    const struct engine_layer *layer = engine_layer_by_id(host_lab_layer("AC"));
    const int local = field_named(layer, "ip_local_port"), remote = field_named(layer, "ip_remote_port");
    const UINT64 both = 1ULL << local | 1ULL << remote;
    FWPS_INCOMING_VALUE0 values[ENGINE_MAX_FIELDS] = {0};
    UINT32 classes[2], one;
    struct engine_reader *reader;
    struct host_lab l;

    (void)state;
    host_lab_open(&l, NULL);
    assert_int_equal(engine_reader_create(l.engine, &reader), 0);
    values[local].value = (FWP_VALUE0){.type = FWP_UINT16, .uint16 = 80};
    values[remote].value = (FWP_VALUE0){.type = FWP_UINT16, .uint16 = 443};
    assert_false(engine_snapshot_classes(engine_pin(reader), layer->id, values, both, classes));
    engine_unpin(reader);
    host_lab_rule(&l, "block AC ip_local_port=80");
    assert_false(engine_snapshot_classes(engine_pin(reader), layer->id, values, both, classes));
    engine_unpin(reader);
    host_lab_rule(&l, "block AC ip_remote_port>100 ip_remote_port<50 ip_remote_port=60 ip_local_port=80");
    const struct engine_snapshot *s = engine_pin(reader);
    assert_true(engine_snapshot_classes(s, layer->id, values, both, classes));
    for (unsigned i = 0; i < 2; i++) {
        const int field = (i == 0) == (local < remote) ? local : remote;

        assert_true(engine_snapshot_classes(s, layer->id, values, 1ULL << field, &one));
        assert_int_equal(classes[i], one);
    }
    assert_int_not_equal(classes[0], classes[1]);
    engine_unpin(reader);
    engine_reader_destroy(reader);
    host_lab_close(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(values_of_a_class_are_the_same_to_all_filters),
                                       cmocka_unit_test(classes_come_by_field)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

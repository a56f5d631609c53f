/* SPDX-License-Identifier: Apache-2.0 */
/* Which layers a host indicates, by the traffic that reaches them (ORD-17: discard layers), against what the project says
 * of them (data/layer_coverage.tsv); and that at every layer filters on every field match or do not (OTH-01, MATCH). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "bfe_lab.h"
#include "host/internal.h"
#include "host_lab.h"
#include "wire/wire.h"

static const uint8_t our_mac[6] = {2, 0, 0, 0, 0, 1};

/* ---- who indicates what --------------------------------------------------------------------------------- */

static bool met[ENGINE_LAYER_COUNT];

static void note_event(struct host_lab *l, const struct host_event *e)
{
    (void)l;
    met[e->layer->id] = true;
}

/* A little of everything that a host can have to do with. */
static void traffic(struct host_lab *l, bool six)
{
    const char *us = six ? "fd00::1" : "10.0.0.1", *peer = six ? "fd00::2" : "10.0.0.2";
    const char *far = six ? "fd09::1" : "10.9.0.1", *farther = six ? "fd08::1" : "10.8.0.1";
    const char *nobody = six ? "fd00::9" : "10.0.0.9";
    const struct packet asked = {.src = peer, .dst = us, .sport = 700, .dport = 9999, .data = "?"};
    const struct packet sent = {.src = us, .dst = peer, .sport = 701, .dport = 9998, .data = "!"};
    const uint8_t unreachable = six ? 1 : 3, code = six ? 4 : 3;
    struct host_lab_tcp out = {.local = 50000, .remote = 80, .local_addr = us, .remote_addr = peer};
    struct host_lab_tcp in = {.local = 8080, .remote = 51000, .local_addr = us, .remote_addr = peer};
    struct host_socket s = {.version = six ? 6 : 4, .protocol = WIRE_PROTOCOL_TCP, .port = 7777};
    struct host_endpoint *e = NULL;
    unsigned bits;

    assert_true(wire_addr_parse(us, &s.local, &bits) != 0);
    if (host_bind(l->host, &s, &e) == STATUS_SUCCESS) {
        (void)host_listen(l->host, e);
        host_close(l->host, e);
    }
    LAB_IN(l, .src = peer, .dst = us, .sport = 5353, .dport = 53, .data = "question");
    LAB_OUT(l, .src = us, .dst = peer, .sport = 53, .dport = 5353, .data = "answer");
    LAB_OUT(l, .src = us, .dst = peer, .sport = 4000, .dport = 53, .data = "question");
    host_lab_connect(l, &out);
    host_lab_send(l, &out, "GET");
    host_lab_receive(l, &out, "200");
    host_lab_segment(l, &out, true, WIRE_TCP_RST | WIRE_TCP_ACK, NULL);
    host_lab_accept(l, &in);
    host_lab_receive(l, &in, "GET");
    host_lab_segment(l, &in, false, WIRE_TCP_RST | WIRE_TCP_ACK, NULL);
    LAB_IN(l, .src = far, .dst = farther, .mac_dst = our_mac, .data = "through");
    host_lab_packet(l, HOST_WAY_OUT, &sent);
    LAB_IN(l, .src = peer, .dst = us, .protocol = WIRE_PROTOCOL_ICMP, .icmp_type = unreachable,
           .icmp_code = code, .quotes = &sent);
    host_lab_packet(l, HOST_WAY_IN, &asked);
    LAB_OUT(l, .src = us, .dst = peer, .protocol = WIRE_PROTOCOL_ICMP, .icmp_type = unreachable,
            .icmp_code = code, .quotes = &asked);
    LAB_OUT(l, .src = us, .dst = nobody, .ether_type = 0x0806, .no_transport = true, .data = "ARP");
    LAB_IN(l, .src = peer, .dst = us, .ether_type = 0x0806, .no_transport = true, .data = "ARP");
}

/* With a rule, or (NULL) without any. */
static void run(const char *rule, bool six)
{
    const struct host_config config = {.knobs.l2_layers = true};
    struct host_lab l;

    host_lab_open(&l, &config);
    l.on_event = note_event;
    if (rule != NULL)
        host_lab_rule(&l, rule);
    traffic(&l, six);
    host_lab_close(&l);
}

/* What the table says; "": it does not name the layer. */
static void said_of(const char *layer, char by[16])
{
    const char *root = getenv("WEIR_ROOT");
    char path[4096], line[512], name[128], what[16];
    FILE *f;

    by[0] = '\0';
    snprintf(path, sizeof(path), "%s/data/layer_coverage.tsv", root != NULL ? root : ".");
    f = fopen(path, "r");
    assert_non_null(f);
    while (fgets(line, sizeof(line), f) != NULL)
        if (sscanf(line, "%127s %15s", name, what) == 2 && strcmp(name, layer) == 0)
            strcpy(by, what);
    fclose(f);
}

static void ORD_17_what_the_host_indicates_is_what_the_table_says(void **state)
{
    char rule[64], by[16];

    (void)state;
    memset(met, 0, sizeof(met));
    for (unsigned six = 0; six < 2; six++) {
        run(NULL, six != 0);
        for (int role = 0; role < LAYER_ROLES; role++) {
            if (layer_discard_id((enum host_layer)role, 4) >= ENGINE_LAYER_COUNT)
                continue;
            snprintf(rule, sizeof(rule), "block %s%s", layer_short_name((enum host_layer)role),
                     six != 0 ? "6" : "");
            run(rule, six != 0);
        }
    }
    for (UINT16 id = 0; id < ENGINE_LAYER_COUNT; id++) {
        const struct engine_layer *layer = engine_layer_by_id(id);

        said_of(layer->fwps_name, by);
        if (by[0] == '\0')
            fail_msg("%s is not in the table", layer->fwps_name);
        if (met[id] != (strcmp(by, "packets") == 0 || strcmp(by, "operations") == 0))
            fail_msg("%s: '%s', but it was%s indicated", layer->fwps_name, by, met[id] ? "" : " not");
        if (strcmp(by, "switch") == 0)
            assert_non_null(strstr(layer->fwps_name, "VSWITCH"));
        if (layer->user_mode)
            assert_string_equal(by, "request");
    }
}

/* ---- every field of every layer ----------------------------------------------------------------------------- */

/* The n-th value of the type. False: nothing is equal to such a value by itself (tokens: match_tokens.c). */
static bool value_of(FWP_DATA_TYPE type, unsigned n, FWP_VALUE0 *v)
{
    static UINT64 words[2] = {1, 2};
    static FWP_BYTE_ARRAY16 sixteen[2] = {{{1}}, {{2}}};
    static FWP_BYTE_ARRAY6 six[2] = {{{1}}, {{2}}};
    static UINT8 bytes[2] = {1, 2};
    static FWP_BYTE_BLOB blobs[2] = {{1, &bytes[0]}, {1, &bytes[1]}};
    static SID sids[2] = {{1, 1, {{0, 0, 0, 0, 0, 15}}, {1}}, {1, 1, {{0, 0, 0, 0, 0, 15}}, {2}}};

    v->type = type;
    switch (type) {
    case FWP_UINT8:
        v->uint8 = (UINT8)(n + 1);
        return true;
    case FWP_UINT16:
        v->uint16 = (UINT16)(n + 1);
        return true;
    case FWP_UINT32:
        v->uint32 = n + 1;
        return true;
    case FWP_UINT64:
        v->uint64 = &words[n];
        return true;
    case FWP_BYTE_ARRAY16_TYPE:
        v->byteArray16 = &sixteen[n];
        return true;
    case FWP_BYTE_ARRAY6_TYPE:
        v->byteArray6 = &six[n];
        return true;
    case FWP_BYTE_BLOB_TYPE:
        v->byteBlob = &blobs[n];
        return true;
    case FWP_SID:
        v->sid = &sids[n];
        return true;
    default:
        v->type = FWP_EMPTY;
        return false;
    }
}

/* One filter on one field: it is stored, matches its value, and no other one. */
static void try_field(struct bfe_lab *l, const struct engine_layer *layer, UINT16 field)
{
    FWPM_FILTER0 f = bfe_lab_filter(layer->key, FWP_ACTION_BLOCK), *got;
    FWPS_INCOMING_VALUE0 values[ENGINE_MAX_FIELDS] = {{{0}}};
    FWPS_INCOMING_VALUES0 incoming = {layer->id, layer->field_count, values};
    struct engine_request q = {.values = &incoming};
    FWP_CONDITION_VALUE0 wanted;
    FWPM_FILTER_CONDITION0 c;
    struct engine_verdict v;
    FWP_VALUE0 first;
    UINT64 id;

    if (!value_of(layer->fields[field].data_type, 0, &first))
        return;
    memcpy(&wanted, &first, sizeof(wanted)); /* the two types are one up to here */
    c = bfe_lab_condition(layer->fields[field].key, FWP_MATCH_EQUAL, wanted);
    f.filterCondition = &c;
    f.numFilterConditions = 1;
    id = bfe_lab_add(l->kernel, &f);
    assert_int_equal(bfe_filter_get(l->kernel, NULL, id, &got), STATUS_SUCCESS);
    assert_memory_equal(&got->filterCondition[0].fieldKey, layer->fields[field].key, sizeof(GUID));
    bfe_free(got);
    for (unsigned n = 0; n < 3; n++) { /* its own value, another one, none */
        if (n < 2)
            (void)value_of(layer->fields[field].data_type, n, &values[field].value);
        else
            values[field].value.type = FWP_EMPTY;
        assert_int_equal(engine_classify(l->reader, &q, &v), STATUS_SUCCESS);
        if (v.action != (n == 0 ? FWP_ACTION_BLOCK : FWP_ACTION_PERMIT) || v.filter_id != (n == 0 ? id : 0))
            fail_msg("%s, %s: value %u", layer->name, layer->fields[field].name, n);
    }
    assert_int_equal(bfe_filter_delete(l->kernel, NULL, id), STATUS_SUCCESS);
}

static void OTH_01_filters_match_on_every_field_of_every_layer(void **state)
{
    struct bfe_lab *l = *state;
    unsigned fields = 0;

    for (UINT16 id = 0; id < ENGINE_LAYER_COUNT; id++) {
        const struct engine_layer *layer = engine_layer_by_id(id);

        for (UINT16 i = 0; i < layer->field_count; i++, fields++)
            try_field(l, layer, i);
    }
    assert_true(fields > 1400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(OTH_01_filters_match_on_every_field_of_every_layer, bfe_lab_setup,
                                        bfe_lab_teardown),
        cmocka_unit_test(ORD_17_what_the_host_indicates_is_what_the_table_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

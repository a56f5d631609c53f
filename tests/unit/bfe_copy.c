/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bfe: objects are deep copies, in and out. Every kind of value goes in from memory that is scribbled over as
 * soon as the call returns, and must come out as it was; what came out belongs to the caller and is not the
 * object's.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "bfe_lab.h"

/* All that the objects below point to; without pointers to itself, so that a copy can be compared bytewise.
 */
struct material {
    WCHAR name[8], description[8], service[8], text[8];
    GUID provider;
    UINT8 bytes[16];
    UINT64 u64;
    INT64 i64;
    double real;
    FWP_BYTE_ARRAY16 a16;
    FWP_BYTE_ARRAY6 a6;
    UINT32 sid[SECURITY_MAX_SID_SIZE / 4];
    UINT8 sd[64];
    UINT32 sd_size;
    FWP_V4_ADDR_AND_MASK v4;
    FWP_V6_ADDR_AND_MASK v6;
};

/* The same, and the structs that point into it. */
struct source {
    struct material m;
    FWP_BYTE_BLOB blob, sd, empty;
    SID_AND_ATTRIBUTES sids[2];
    FWP_TOKEN_INFORMATION token;
    FWP_RANGE0 ports, addresses;
    FWPM_FILTER_CONDITION0 conditions[8];
    FWPM_CLASSIFY_OPTION0 options[12];
    FWPM_CLASSIFY_OPTIONS0 list;
    FWPM_NETWORK_CONNECTION_POLICY_SETTING0 settings[1];
    FWPM_NETWORK_CONNECTION_POLICY_SETTINGS0 policy;
};

static struct source *source_create(void)
{
    struct source *s = calloc(1, sizeof(*s));
    struct material *m;
    size_t size;
    void *sd;

    assert_non_null(s);
    m = &s->m;
    memcpy(m->name, u"name", sizeof(u"name"));
    memcpy(m->description, u"descr", sizeof(u"descr"));
    memcpy(m->service, u"svc", sizeof(u"svc"));
    memcpy(m->text, u"text", sizeof(u"text"));
    m->provider = bfe_lab_guid(1);
    for (unsigned i = 0; i < 16; i++)
        m->bytes[i] = m->a16.byteArray16[i] = m->v6.addr[i] = (UINT8)(i + 1);
    memcpy(m->a6.byteArray6, m->bytes, 6);
    m->u64 = 0x1122334455667788;
    m->i64 = -5;
    m->real = 0.5;
    m->v4 = (FWP_V4_ADDR_AND_MASK){0x0a000000, 0xff000000};
    m->v6.prefixLength = 64;
    assert_int_equal(security_sid_parse("S-1-5-21-1-2-3-1001", (SID *)m->sid, sizeof(m->sid)), 0);
    assert_int_equal(security_sddl_parse("D:(A;;CC;;;WD)", &sd, &size, NULL), 0);
    assert_in_range(size, 1, sizeof(m->sd));
    memcpy(m->sd, sd, size);
    m->sd_size = (UINT32)size;
    free(sd);
    s->blob = (FWP_BYTE_BLOB){.size = 16, .data = m->bytes};
    s->sd = (FWP_BYTE_BLOB){.size = m->sd_size, .data = m->sd};
    s->empty = (FWP_BYTE_BLOB){.size = 0, .data = m->bytes};
    s->sids[0] = (SID_AND_ATTRIBUTES){.Sid = (SID *)m->sid, .Attributes = 4};
    s->sids[1] = (SID_AND_ATTRIBUTES){.Sid = (SID *)m->sid, .Attributes = 7};
    s->token = (FWP_TOKEN_INFORMATION){
        .sidCount = 2, .sids = s->sids, .restrictedSidCount = 1, .restrictedSids = s->sids};
    return s;
}

static void source_destroy(struct source *s)
{
    memset(s, 0xee, sizeof(*s));
    free(s);
}

static void check_blob(const FWP_BYTE_BLOB *got, const void *bytes, size_t size)
{
    assert_non_null(got);
    assert_int_equal(got->size, size);
    if (size > 0)
        assert_memory_equal(got->data, bytes, size);
}

static void check_sid(const SID *got, const struct material *m)
{
    assert_memory_equal(got, m->sid, security_sid_size((const SID *)m->sid));
}

static void conditions_of_all_types(void **state)
{
    struct bfe_lab *l = *state;
    struct source *s = source_create(), *x = source_create();
    FWPM_FILTER0 f = bfe_lab_filter(&FWPM_LAYER_ALE_AUTH_CONNECT_V6, FWP_ACTION_BLOCK), *got, *again;
    FWPM_PROVIDER0 p = bfe_lab_provider(&s->m.provider);
    const struct {
        const GUID *key;
        FWP_MATCH_TYPE match;
        FWP_CONDITION_VALUE0 value;
    } of[] = {
        {&FWPM_CONDITION_ALE_APP_ID, FWP_MATCH_EQUAL, {.type = FWP_BYTE_BLOB_TYPE, .byteBlob = &s->blob}},
        {&FWPM_CONDITION_ALE_USER_ID, FWP_MATCH_EQUAL, {.type = FWP_SECURITY_DESCRIPTOR_TYPE, .sd = &s->sd}},
        {&FWPM_CONDITION_ALE_PACKAGE_ID, FWP_MATCH_EQUAL, {.type = FWP_SID, .sid = (SID *)s->m.sid}},
        {&FWPM_CONDITION_IP_LOCAL_INTERFACE, FWP_MATCH_EQUAL, {.type = FWP_UINT64, .uint64 = &s->m.u64}},
        {&FWPM_CONDITION_IP_REMOTE_ADDRESS,
         FWP_MATCH_EQUAL,
         {.type = FWP_V6_ADDR_MASK, .v6AddrMask = &s->m.v6}},
        {&FWPM_CONDITION_IP_LOCAL_ADDRESS,
         FWP_MATCH_EQUAL,
         {.type = FWP_BYTE_ARRAY16_TYPE, .byteArray16 = &s->m.a16}},
        {&FWPM_CONDITION_IP_REMOTE_PORT, FWP_MATCH_RANGE, {.type = FWP_RANGE_TYPE, .rangeValue = &s->ports}},
        {&FWPM_CONDITION_IP_REMOTE_ADDRESS,
         FWP_MATCH_RANGE,
         {.type = FWP_RANGE_TYPE, .rangeValue = &s->addresses}},
    };
    const FWPM_FILTER_CONDITION0 *c;
    UINT64 id;

    assert_int_equal(bfe_provider_add(l->kernel, &p, NULL, 0), STATUS_SUCCESS);
    s->ports = (FWP_RANGE0){.valueLow = {.type = FWP_UINT16, .uint16 = 5},
                            .valueHigh = {.type = FWP_UINT16, .uint16 = 9}};
    s->addresses = (FWP_RANGE0){.valueLow = {.type = FWP_BYTE_ARRAY16_TYPE, .byteArray16 = &s->m.a16},
                                .valueHigh = {.type = FWP_BYTE_ARRAY16_TYPE, .byteArray16 = &s->m.a16}};
    for (int i = 0; i < 8; i++)
        s->conditions[i] = bfe_lab_condition(of[i].key, of[i].match, of[i].value);
    f.displayData = (FWPM_DISPLAY_DATA0){.name = s->m.name, .description = s->m.description};
    f.providerKey = &s->m.provider;
    f.providerData = s->blob;
    f.weight = (FWP_VALUE0){.type = FWP_UINT64, .uint64 = &s->m.u64};
    f.filterCondition = s->conditions;
    f.numFilterConditions = 8;
    id = bfe_lab_add(l->kernel, &f);
    source_destroy(s);

    assert_int_equal(bfe_filter_get(l->kernel, NULL, id, &got), STATUS_SUCCESS);
    memset(got->filterCondition, 0xee, 8 * sizeof(*got->filterCondition)); /* ours to spoil */
    memset(got->displayData.name, 0xee, 2);
    assert_int_equal(bfe_filter_get(l->kernel, NULL, id, &again), STATUS_SUCCESS);
    bfe_free(got);
    assert_memory_equal(again->displayData.name, x->m.name, sizeof(u"name"));
    assert_memory_equal(again->displayData.description, x->m.description, sizeof(u"descr"));
    assert_memory_equal(again->providerKey, &x->m.provider, sizeof(GUID));
    check_blob(&again->providerData, x->m.bytes, 16);
    assert_true(*again->weight.uint64 == x->m.u64);
    assert_true(*again->effectiveWeight.uint64 == x->m.u64);
    c = again->filterCondition;
    check_blob(c[0].conditionValue.byteBlob, x->m.bytes, 16);
    check_blob(c[1].conditionValue.sd, x->m.sd, x->m.sd_size);
    check_sid(c[2].conditionValue.sid, &x->m);
    assert_true(*c[3].conditionValue.uint64 == x->m.u64);
    assert_memory_equal(c[4].conditionValue.v6AddrMask, &x->m.v6, sizeof(x->m.v6));
    assert_memory_equal(c[5].conditionValue.byteArray16, &x->m.a16, 16);
    assert_int_equal(c[6].conditionValue.rangeValue->valueLow.uint16, 5);
    assert_int_equal(c[6].conditionValue.rangeValue->valueHigh.uint16, 9);
    assert_memory_equal(c[7].conditionValue.rangeValue->valueLow.byteArray16, &x->m.a16, 16);
    assert_memory_equal(c[7].conditionValue.rangeValue->valueHigh.byteArray16, &x->m.a16, 16);
    bfe_free(again);
    source_destroy(x);
}

static void values_of_all_types(void **state)
{
    struct bfe_lab *l = *state;
    struct source *s = source_create(), *x = source_create();
    const FWP_VALUE0 values[12] = {
        {.type = FWP_UINT64, .uint64 = &s->m.u64},
        {.type = FWP_INT64, .int64 = &s->m.i64},
        {.type = FWP_DOUBLE, .double64 = &s->m.real},
        {.type = FWP_BYTE_ARRAY16_TYPE, .byteArray16 = &s->m.a16},
        {.type = FWP_BYTE_ARRAY6_TYPE, .byteArray6 = &s->m.a6},
        {.type = FWP_BYTE_BLOB_TYPE, .byteBlob = &s->blob},
        {.type = FWP_BYTE_BLOB_TYPE, .byteBlob = &s->empty},
        {.type = FWP_SID, .sid = (SID *)s->m.sid},
        {.type = FWP_SECURITY_DESCRIPTOR_TYPE, .sd = &s->sd},
        {.type = FWP_TOKEN_INFORMATION_TYPE, .tokenInformation = &s->token},
        {.type = FWP_TOKEN_ACCESS_INFORMATION_TYPE, .tokenAccessInformation = &s->blob},
        {.type = FWP_UNICODE_STRING_TYPE, .unicodeString = s->m.text},
    };
    FWPM_PROVIDER_CONTEXT3 c = bfe_lab_context(NULL), *got;
    const FWPM_CLASSIFY_OPTION0 *o;
    const FWP_TOKEN_INFORMATION *t;
    UINT64 id, id2;

    for (int i = 0; i < 12; i++)
        s->options[i] =
            (FWPM_CLASSIFY_OPTION0){.type = FWP_CLASSIFY_OPTION_UNICAST_LIFETIME, .value = values[i]};
    s->list = (FWPM_CLASSIFY_OPTIONS0){.numOptions = 12, .options = s->options};
    c.type = FWPM_CLASSIFY_OPTIONS_CONTEXT;
    c.classifyOptions = &s->list;
    assert_int_equal(bfe_provider_context_add(l->kernel, &c, NULL, 0, &id), STATUS_SUCCESS);
    s->settings[0] = (FWPM_NETWORK_CONNECTION_POLICY_SETTING0){.type = FWP_NETWORK_CONNECTION_POLICY_NEXT_HOP,
                                                               .value = values[3]};
    s->policy = (FWPM_NETWORK_CONNECTION_POLICY_SETTINGS0){.numSettings = 1, .settings = s->settings};
    c.type = FWPM_NETWORK_CONNECTION_POLICY_CONTEXT;
    c.networkConnectionPolicy = &s->policy;
    assert_int_equal(bfe_provider_context_add(l->kernel, &c, NULL, 0, &id2), STATUS_SUCCESS);
    source_destroy(s);

    assert_int_equal(bfe_provider_context_get(l->kernel, NULL, id, &got), STATUS_SUCCESS);
    assert_int_equal(got->classifyOptions->numOptions, 12);
    o = got->classifyOptions->options;
    assert_true(*o[0].value.uint64 == x->m.u64);
    assert_true(*o[1].value.int64 == x->m.i64);
    assert_true(*o[2].value.double64 == x->m.real);
    assert_memory_equal(o[3].value.byteArray16, &x->m.a16, 16);
    assert_memory_equal(o[4].value.byteArray6, &x->m.a6, 6);
    check_blob(o[5].value.byteBlob, x->m.bytes, 16);
    check_blob(o[6].value.byteBlob, NULL, 0);
    check_sid(o[7].value.sid, &x->m);
    check_blob(o[8].value.sd, x->m.sd, x->m.sd_size);
    t = o[9].value.tokenInformation;
    assert_int_equal(t->sidCount, 2);
    assert_int_equal(t->sids[1].Attributes, 7);
    check_sid(t->sids[0].Sid, &x->m);
    check_sid(t->sids[1].Sid, &x->m);
    assert_int_equal(t->restrictedSidCount, 1);
    check_sid(t->restrictedSids[0].Sid, &x->m);
    check_blob(o[10].value.tokenAccessInformation, x->m.bytes, 16);
    assert_memory_equal(o[11].value.unicodeString, x->m.text, sizeof(u"text"));
    bfe_free(got);
    assert_int_equal(bfe_provider_context_get(l->kernel, NULL, id2, &got), STATUS_SUCCESS);
    assert_memory_equal(got->networkConnectionPolicy->settings[0].value.byteArray16, &x->m.a16, 16);
    bfe_free(got);
    source_destroy(x);
}

static void the_other_objects(void **state)
{
    struct bfe_lab *l = *state;
    struct source *s = source_create(), *x = source_create();
    GUID key = bfe_lab_guid(1);
    FWPM_PROVIDER0 p = bfe_lab_provider(&key), *got_p;
    FWPM_SUBLAYER0 u = bfe_lab_sublayer(&key, 9), *got_u;
    FWPM_CALLOUT0 c = bfe_lab_callout(&key, &FWPM_LAYER_ALE_AUTH_CONNECT_V4), *got_c;

    p.displayData.description = s->m.description;
    p.serviceName = s->m.service;
    p.providerData = u.providerData = c.providerData = s->blob;
    u.displayData.name = c.displayData.name = s->m.name;
    u.providerKey = c.providerKey = &s->m.provider;
    assert_int_equal(bfe_provider_add(l->kernel, &p, NULL, 0), STATUS_SUCCESS);
    assert_int_equal(bfe_sublayer_add(l->kernel, &u, NULL, 0), STATUS_SUCCESS);
    assert_int_equal(bfe_callout_add(l->kernel, &c, NULL, 0, NULL), STATUS_SUCCESS);
    source_destroy(s);
    assert_int_equal(bfe_provider_get(l->kernel, &key, &got_p), STATUS_SUCCESS);
    assert_memory_equal(got_p->displayData.description, x->m.description, sizeof(u"descr"));
    assert_memory_equal(got_p->serviceName, x->m.service, sizeof(u"svc"));
    check_blob(&got_p->providerData, x->m.bytes, 16);
    assert_int_equal(bfe_sublayer_get(l->kernel, &key, &got_u), STATUS_SUCCESS);
    assert_memory_equal(got_u->displayData.name, x->m.name, sizeof(u"name"));
    assert_memory_equal(got_u->providerKey, &x->m.provider, sizeof(GUID));
    check_blob(&got_u->providerData, x->m.bytes, 16);
    assert_int_equal(got_u->weight, 9);
    assert_int_equal(bfe_callout_get(l->kernel, &key, 0, &got_c), STATUS_SUCCESS);
    assert_memory_equal(got_c->displayData.name, x->m.name, sizeof(u"name"));
    assert_memory_equal(got_c->providerKey, &x->m.provider, sizeof(GUID));
    check_blob(&got_c->providerData, x->m.bytes, 16);
    assert_memory_equal(&got_c->applicableLayer, &FWPM_LAYER_ALE_AUTH_CONNECT_V4, sizeof(GUID));
    bfe_free(got_p);
    bfe_free(got_u);
    bfe_free(got_c);
    source_destroy(x);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bfe_lab_setup, bfe_lab_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(conditions_of_all_types),
        TEST(values_of_all_types),
        TEST(the_other_objects),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

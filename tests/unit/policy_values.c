/* SPDX-License-Identifier: Apache-2.0 */
/* policy: every notation of a value in an export, and what the bfe then holds. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <errno.h>
#include <cmocka.h>

#include "policy_lab.h"

/* ---- conditions ------------------------------------------------------------------------------------- */

static const FWP_CONDITION_VALUE0 *only_value(const FWPM_FILTER0 *f, FWP_DATA_TYPE type)
{
    assert_int_equal(f->numFilterConditions, 1);
    assert_int_equal(f->filterCondition[0].conditionValue.type, type);
    return &f->filterCondition[0].conditionValue;
}

#define LOAD_VALUE(l, layer, field, match, value) pl_load(l, PL_ONE(layer, PL_CONDITION(field, match, value)))

static void numbers_in_conditions(void **state)
{
    struct policy_lab l = {0};
    FWPM_FILTER0 *f;
    (void)state;
    LOAD_VALUE(&l, PL_V4, "FWPM_CONDITION_IP_PROTOCOL", "FWP_MATCH_EQUAL",
               "<type>FWP_UINT8</type><uint8>17</uint8>");
    f = pl_filter(&l);
    assert_int_equal(only_value(f, FWP_UINT8)->uint8, 17);
    assert_int_equal(f->filterCondition[0].matchType, FWP_MATCH_EQUAL);
    assert_int_equal(f->filterId, 4711);
    assert_int_equal(f->effectiveWeight.type, FWP_UINT64);
    assert_int_equal(*f->effectiveWeight.uint64, 77);
    bfe_free(f);

    LOAD_VALUE(&l, PL_V4, "FWPM_CONDITION_IP_REMOTE_PORT", "FWP_MATCH_LESS",
               "<type>FWP_UINT16</type><uint16>65535</uint16>");
    f = pl_filter(&l);
    assert_int_equal(only_value(f, FWP_UINT16)->uint16, 65535);
    assert_int_equal(f->filterCondition[0].matchType, FWP_MATCH_LESS);
    bfe_free(f);

    LOAD_VALUE(&l, PL_V4, "FWPM_CONDITION_FLAGS", "FWP_MATCH_FLAGS_NONE_SET",
               "<type>FWP_UINT32</type><uint32>786432</uint32>");
    f = pl_filter(&l);
    assert_int_equal(only_value(f, FWP_UINT32)->uint32, 786432);
    assert_int_equal(f->filterCondition[0].matchType, FWP_MATCH_FLAGS_NONE_SET);
    bfe_free(f);

    LOAD_VALUE(&l, PL_V4, "FWPM_CONDITION_IP_LOCAL_INTERFACE", "FWP_MATCH_NOT_EQUAL",
               "<type>FWP_UINT64</type><uint64>1689399716741120</uint64>");
    f = pl_filter(&l);
    assert_true(*only_value(f, FWP_UINT64)->uint64 == 1689399716741120u);
    bfe_free(f);
    pl_close(&l);
}

static void addresses_in_conditions(void **state)
{
    struct policy_lab l = {0};
    FWPM_FILTER0 *f;
    const FWP_CONDITION_VALUE0 *v;
    static const UINT8 fe80[16] = {0xfe, 0x80, [15] = 1};
    (void)state;
    LOAD_VALUE(&l, PL_V4, "FWPM_CONDITION_IP_REMOTE_ADDRESS", "FWP_MATCH_EQUAL",
               "<type>FWP_UINT32</type><uint32>192.168.1.254</uint32>");
    f = pl_filter(&l);
    assert_int_equal(only_value(f, FWP_UINT32)->uint32, 0xc0a801fe);
    bfe_free(f);

    LOAD_VALUE(&l, PL_V4, "FWPM_CONDITION_IP_REMOTE_ADDRESS", "FWP_MATCH_EQUAL",
               "<type>FWP_V4_ADDR_MASK</type><v4AddrMask><addr>10.1.2.0</addr><mask>255.255.255.0</mask></"
               "v4AddrMask>");
    f = pl_filter(&l);
    v = only_value(f, FWP_V4_ADDR_MASK);
    assert_int_equal(v->v4AddrMask->addr, 0x0a010200);
    assert_int_equal(v->v4AddrMask->mask, 0xffffff00);
    bfe_free(f);

    LOAD_VALUE(&l, PL_V6, "FWPM_CONDITION_IP_REMOTE_ADDRESS", "FWP_MATCH_EQUAL",
               "<type>FWP_BYTE_ARRAY16_TYPE</type><byteArray16>fe80::1</byteArray16>");
    f = pl_filter(&l);
    assert_memory_equal(only_value(f, FWP_BYTE_ARRAY16_TYPE)->byteArray16->byteArray16, fe80, 16);
    bfe_free(f);

    /* the same as hex digits */
    LOAD_VALUE(
        &l, PL_V6, "FWPM_CONDITION_IP_REMOTE_ADDRESS", "FWP_MATCH_EQUAL",
        "<type>FWP_BYTE_ARRAY16_TYPE</type><byteArray16>FE800000000000000000000000000001</byteArray16>");
    f = pl_filter(&l);
    assert_memory_equal(only_value(f, FWP_BYTE_ARRAY16_TYPE)->byteArray16->byteArray16, fe80, 16);
    bfe_free(f);

    LOAD_VALUE(&l, PL_V6, "FWPM_CONDITION_IP_REMOTE_ADDRESS", "FWP_MATCH_EQUAL",
               "<type>FWP_V6_ADDR_MASK</type><v6AddrMask><addr>fe80::1</addr><prefixLength>10</"
               "prefixLength></v6AddrMask>");
    f = pl_filter(&l);
    v = only_value(f, FWP_V6_ADDR_MASK);
    assert_memory_equal(v->v6AddrMask->addr, fe80, 16);
    assert_int_equal(v->v6AddrMask->prefixLength, 10);
    bfe_free(f);
    pl_close(&l);
}

static void ranges_in_conditions(void **state)
{
    struct policy_lab l = {0};
    FWPM_FILTER0 *f;
    const FWP_CONDITION_VALUE0 *v;
    (void)state;
    LOAD_VALUE(&l, PL_V4, "FWPM_CONDITION_IP_LOCAL_PORT", "FWP_MATCH_RANGE",
               "<type>FWP_RANGE_TYPE</type><rangeValue>"
               "<valueLow><type>FWP_UINT16</type><uint16>8000</uint16></valueLow>"
               "<valueHigh><type>FWP_UINT16</type><uint16>8010</uint16></valueHigh></rangeValue>");
    f = pl_filter(&l);
    v = only_value(f, FWP_RANGE_TYPE);
    assert_int_equal(v->rangeValue->valueLow.type, FWP_UINT16);
    assert_int_equal(v->rangeValue->valueLow.uint16, 8000);
    assert_int_equal(v->rangeValue->valueHigh.type, FWP_UINT16);
    assert_int_equal(v->rangeValue->valueHigh.uint16, 8010);
    bfe_free(f);

    LOAD_VALUE(
        &l, PL_V6, "FWPM_CONDITION_IP_REMOTE_ADDRESS", "FWP_MATCH_RANGE",
        "<type>FWP_RANGE_TYPE</type><rangeValue>"
        "<valueLow><type>FWP_BYTE_ARRAY16_TYPE</type><byteArray16>::</byteArray16></valueLow>"
        "<valueHigh><type>FWP_BYTE_ARRAY16_TYPE</type><byteArray16>ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
        "</byteArray16></valueHigh></rangeValue>");
    f = pl_filter(&l);
    v = only_value(f, FWP_RANGE_TYPE);
    assert_int_equal(v->rangeValue->valueLow.byteArray16->byteArray16[0], 0);
    assert_int_equal(v->rangeValue->valueHigh.byteArray16->byteArray16[15], 255);
    bfe_free(f);
    pl_close(&l);
}

static void opaque_values_in_conditions(void **state)
{
    struct policy_lab l = {0};
    FWPM_FILTER0 *f;
    static const UINT8 system[] = {'S', 0, 'y', 0, 's', 0, 't', 0, 'e', 0, 'm', 0, 0, 0};
    struct {
        SID sid;
        UINT32 more[SID_MAX_SUB_AUTHORITIES];
    } sid;
    void *sd;
    size_t size;
    (void)state;
    LOAD_VALUE(&l, PL_V4, "FWPM_CONDITION_ALE_APP_ID", "FWP_MATCH_EQUAL",
               "<type>FWP_BYTE_BLOB_TYPE</type><byteBlob><data>530079007300740065006d000000</data>"
               "<asString>System</asString></byteBlob>");
    f = pl_filter(&l);
    assert_int_equal(only_value(f, FWP_BYTE_BLOB_TYPE)->byteBlob->size, sizeof(system));
    assert_memory_equal(only_value(f, FWP_BYTE_BLOB_TYPE)->byteBlob->data, system, sizeof(system));
    bfe_free(f);

    LOAD_VALUE(&l, PL_V4, "FWPM_CONDITION_ALE_PACKAGE_ID", "FWP_MATCH_NOT_EQUAL",
               "<type>FWP_SID</type><sid>S-1-15-2-1-2-3-4-5-6-7</sid>");
    f = pl_filter(&l);
    assert_int_equal(security_sid_parse("S-1-15-2-1-2-3-4-5-6-7", &sid.sid, sizeof(sid)), 0);
    assert_true(security_sid_equal(only_value(f, FWP_SID)->sid, &sid.sid));
    bfe_free(f);

    LOAD_VALUE(&l, PL_V4, "FWPM_CONDITION_ALE_USER_ID", "FWP_MATCH_EQUAL",
               "<type>FWP_SECURITY_DESCRIPTOR_TYPE</type><sd>O:SYG:SYD:(A;;CCRC;;;S-1-5-19)</sd>");
    f = pl_filter(&l);
    assert_int_equal(security_sddl_parse("O:SYG:SYD:(A;;CCRC;;;S-1-5-19)", &sd, &size, NULL), 0);
    assert_int_equal(only_value(f, FWP_SECURITY_DESCRIPTOR_TYPE)->sd->size, size);
    assert_memory_equal(only_value(f, FWP_SECURITY_DESCRIPTOR_TYPE)->sd->data, sd, size);
    free(sd);
    bfe_free(f);

    LOAD_VALUE(&l, "FWPM_LAYER_INBOUND_MAC_FRAME_ETHERNET", "FWPM_CONDITION_MAC_LOCAL_ADDRESS",
               "FWP_MATCH_EQUAL",
               "<type>FWP_BYTE_ARRAY6_TYPE</type><byteArray6>00:15:5d-01:02:0A</byteArray6>");
    f = pl_filter(&l);
    assert_memory_equal(only_value(f, FWP_BYTE_ARRAY6_TYPE)->byteArray6->byteArray6,
                        "\x00\x15\x5d\x01\x02\x0a", 6);
    bfe_free(f);
    pl_close(&l);
}

static void names_and_guids_mean_the_same(void **state)
{
    struct policy_lab l = {0};
    char text[2048];
    (void)state;
    for (int as_guid = 0; as_guid < 2; as_guid++) {
        char layer[ENGINE_GUID_TEXT], field[ENGINE_GUID_TEXT], sublayer[ENGINE_GUID_TEXT];
        GUID key;
        FWPM_FILTER0 *f;
        assert_int_equal(engine_guid_by_name(ENGINE_GUID_LAYER, PL_V4, &key), 0);
        engine_guid_format(&key, layer);
        assert_int_equal(engine_guid_by_name(ENGINE_GUID_CONDITION, "FWPM_CONDITION_IP_PROTOCOL", &key), 0);
        engine_guid_format(&key, field);
        assert_int_equal(engine_guid_by_name(ENGINE_GUID_SUBLAYER, "FWPM_SUBLAYER_MPSSVC_WF", &key), 0);
        engine_guid_format(&key, sublayer);
        snprintf(text, sizeof(text),
                 "<wfpdiag><filters>" PL_FILTER_HEAD
                 "<layerKey>%s</layerKey><subLayerKey>%s</subLayerKey>" PL_WEIGHT
                 "<filterCondition><item><fieldKey>%s</fieldKey><matchType>FWP_MATCH_EQUAL</matchType>"
                 "<conditionValue><type>FWP_UINT8</type><uint8>6</uint8></conditionValue></item></"
                 "filterCondition>" PL_FILTER_TAIL "</filters></wfpdiag>",
                 as_guid ? layer : PL_V4, as_guid ? sublayer : "FWPM_SUBLAYER_MPSSVC_WF",
                 as_guid ? field : "FWPM_CONDITION_IP_PROTOCOL");
        pl_load(&l, text);
        assert_int_equal(l.policy->counts.filters_applied, 1);
        f = pl_filter(&l);
        assert_memory_equal(&f->subLayerKey, &key, sizeof(key));
        bfe_free(f);
    }
    pl_close(&l);
}

/* ---- flags, weights, actions ------------------------------------------------------------------------ */

#define FILTER_WITH(flags, weight, action)                                                                   \
    "<wfpdiag><filters><item><filterKey>" PL_FILTER_KEY "</filterKey>"                                       \
    "<displayData><name>f</name><description/></displayData>" flags                                          \
    "<providerKey/><providerData/>" PL_AT(PL_V4) weight                                                      \
        "<filterCondition/>" action "<rawContext>18446744073709551615</rawContext><reserved/>"               \
        "<filterId>9</filterId></item></filters></wfpdiag>"

static void flags_by_name_by_hex_and_mixed(void **state)
{
    static const struct {
        const char *text;
        UINT32 flags;
    } cases[] = {
        {"<flags/>", 0},
        {"<flags>0</flags>", 0},
        {"<flags numItems=\"1\"><item>FWPM_FILTER_FLAG_CLEAR_ACTION_RIGHT</item></flags>", 0x8},
        {"<flags "
         "numItems=\"2\"><item>FWPM_FILTER_FLAG_PERSISTENT</item>\n<item>FWPM_FILTER_FLAG_INDEXED</item></"
         "flags>",
         0x41},
        {"<flags numItems=\"1\"><item>00000049</item></flags>", 0x49},
        {"<flags>00000040</flags>", 0x40},
        {"<flags numItems=\"2\"><item>FWPM_FILTER_FLAG_PERSISTENT</item><item>00000048</item></flags>", 0x49},
    };
    struct policy_lab l = {0};
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[2048];
        FWPM_FILTER0 *f;
        snprintf(text, sizeof(text),
                 FILTER_WITH("%s", "<weight><type>FWP_UINT8</type><uint8>9</uint8></weight>",
                             "<action><type>FWP_ACTION_PERMIT</type><filterType/></action>"),
                 cases[i].text);
        pl_load(&l, text);
        f = pl_filter(&l);
        assert_int_equal(f->flags, cases[i].flags);
        assert_true(f->rawContext == UINT64_MAX);
        bfe_free(f);
    }
    pl_close(&l);
}

static void effective_weight_is_computed_where_it_is_not_given(void **state)
{
    struct policy_lab l = {0};
    FWPM_FILTER0 *f;
    (void)state;
    pl_load(&l, FILTER_WITH("<flags/>", "<weight><type>FWP_UINT8</type><uint8>9</uint8></weight>",
                            "<action><type>FWP_ACTION_PERMIT</type><filterType/></action>"));
    f = pl_filter(&l);
    assert_true(*f->effectiveWeight.uint64 == 9ull << 60); /* no conditions: the low 60 bits are 0 (OBJ-32) */
    bfe_free(f);
    pl_noted(&l, POLICY_NOTE_ASSUMED, "without an effective weight");
    pl_load(&l, FILTER_WITH("<flags/>", "<weight><type>FWP_UINT64</type><uint64>123</uint64></weight>",
                            "<action><type>FWP_ACTION_PERMIT</type><filterType/></action>"));
    f = pl_filter(&l);
    assert_true(*f->effectiveWeight.uint64 == 123);
    bfe_free(f);
    pl_close(&l);
}

static void filter_type_holds_the_callout(void **state)
{
    struct policy_lab l = {0};
    FWPM_FILTER0 *f;
    GUID key;
    (void)state;
    /* by name, in filterType */
    pl_load(&l,
            FILTER_WITH("<flags/>", PL_WEIGHT,
                        "<action><type>FWP_ACTION_CALLOUT_INSPECTION</type>"
                        "<filterType>FWPM_CALLOUT_SET_OPTIONS_AUTH_CONNECT_LAYER_V4</filterType></action>"));
    assert_int_equal(
        engine_guid_by_name(ENGINE_GUID_CALLOUT, "FWPM_CALLOUT_SET_OPTIONS_AUTH_CONNECT_LAYER_V4", &key), 0);
    f = pl_filter(&l);
    assert_int_equal(f->action.type, FWP_ACTION_CALLOUT_INSPECTION);
    assert_memory_equal(&f->action.calloutKey, &key, sizeof(key));
    bfe_free(f);
    /* the documented member's name is read too */
    pl_load(&l, FILTER_WITH("<flags/>", PL_WEIGHT,
                            "<action><type>FWP_ACTION_CALLOUT_UNKNOWN</type>"
                            "<calloutKey>{00000000-0000-4000-8000-00000000c001}</calloutKey></action>"));
    f = pl_filter(&l);
    assert_int_equal(f->action.type, FWP_ACTION_CALLOUT_UNKNOWN);
    assert_int_equal(f->action.calloutKey.Data4[7], 1);
    bfe_free(f);
    /* a show filters export lists no callouts: this one is assumed, registered, so foreign to the engine */
    assert_int_equal(l.policy->counts.assumed_callouts, 1);
    assert_int_equal(engine_guid_parse("{00000000-0000-4000-8000-00000000c001}", &key), 0);
    assert_int_equal(engine_callout_state(l.lab.engine, &key), ENGINE_CALLOUT_FOREIGN);
    pl_close(&l);
}

/* ---- provider contexts hold values of every type ------------------------------------------------------ */

#define CONTEXT_KEY   "{00000000-0000-4000-8000-00000000d001}"
#define OPTION(value) "<item><type>FWP_CLASSIFY_OPTION_UNICAST_LIFETIME</type><value>" value "</value></item>"

static void values_of_every_single_type(void **state)
{
    static const char text[] =
        "<wfpstate><providerContexts><item><providerContextKey>" CONTEXT_KEY "</providerContextKey>"
        "<displayData><name>\xc3\x84\xf0\x9f\x98\x80 &amp; more</name><description/></displayData><flags/>"
        "<providerKey/><providerData><data>0aff</data><asString>..</asString></providerData>"
        "<type>FWPM_CLASSIFY_OPTIONS_CONTEXT</type><classifyOptions><options numItems=\"9\">" OPTION(
            "<type>FWP_EMPTY</type>") OPTION("<type>FWP_INT8</type><int8>-128</int8>")
            OPTION("<type>FWP_INT16</type><int16>-32768</int16>") OPTION(
                "<type>FWP_INT32</type><int32>-2147483648</int32>")
                OPTION("<type>FWP_INT64</type><int64>-9223372036854775808</int64>") OPTION(
                    "<type>FWP_FLOAT</type><float32>0.5</float32>")
                    OPTION("<type>FWP_DOUBLE</type><double64>-1.25e3</double64>") OPTION(
                        "<type>FWP_UNICODE_STRING_TYPE</type><unicodeString> \xe2\x82\xac </unicodeString>")
                        OPTION("<type>FWP_UINT32</type><uint32>0x10</uint32>") "</options></"
                                                                               "classifyOptions><"
                                                                               "providerContextId>"
                                                                               "9223372036854775808</"
                                                                               "providerContextId>"
                                                                               "</item></providerContexts></"
                                                                               "wfpstate>";
    static const WCHAR name[] = u"\u00c4\U0001F600 & more", euro[] = u" \u20ac ";
    struct policy_lab l = {0};
    FWPM_PROVIDER_CONTEXT3 *c;
    GUID key;
    (void)state;
    pl_load(&l, text);
    assert_int_equal(engine_guid_parse(CONTEXT_KEY, &key), 0);
    assert_int_equal(bfe_provider_context_get(l.lab.kernel, &key, 0, &c), 0);
    assert_memory_equal(c->displayData.name, name, sizeof(name));
    assert_null(c->displayData.description);
    assert_int_equal(c->providerData.size, 2);
    assert_memory_equal(c->providerData.data, "\x0a\xff", 2);
    assert_true(c->providerContextId == 9223372036854775808u);
    assert_int_equal(c->type, FWPM_CLASSIFY_OPTIONS_CONTEXT);
    assert_int_equal(c->classifyOptions->numOptions, 9);
    const FWPM_CLASSIFY_OPTION0 *o = c->classifyOptions->options;
    assert_int_equal(o[0].type, FWP_CLASSIFY_OPTION_UNICAST_LIFETIME);
    assert_int_equal(o[0].value.type, FWP_EMPTY);
    assert_int_equal(o[1].value.int8, -128);
    assert_int_equal(o[2].value.int16, -32768);
    assert_int_equal(o[3].value.int32, INT32_MIN);
    assert_true(*o[4].value.int64 == INT64_MIN);
    assert_true(o[5].value.float32 == 0.5f);
    assert_true(*o[6].value.double64 == -1250.0);
    assert_memory_equal(o[7].value.unicodeString, euro, sizeof(euro));
    assert_int_equal(o[8].value.uint32, 16);
    bfe_free(c);
    pl_close(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_in_conditions),
        cmocka_unit_test(addresses_in_conditions),
        cmocka_unit_test(ranges_in_conditions),
        cmocka_unit_test(opaque_values_in_conditions),
        cmocka_unit_test(names_and_guids_mean_the_same),
        cmocka_unit_test(flags_by_name_by_hex_and_mixed),
        cmocka_unit_test(effective_weight_is_computed_where_it_is_not_given),
        cmocka_unit_test(filter_type_holds_the_callout),
        cmocka_unit_test(values_of_every_single_type),
    };
    return cmocka_run_group_tests_name("policy_values", tests, NULL, NULL);
}

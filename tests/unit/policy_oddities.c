/* SPDX-License-Identifier: Apache-2.0 */
/* policy: what real exports hold beside the plain case; what is kept, noted, assumed, not applied. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <errno.h>
#include <cmocka.h>

#include "policy_lab.h"

static void classify_port_80(struct policy_lab *l, UINT64 decider)
{
    FWP_ACTION_TYPE action;
    assert_int_equal(bfe_lab_decider(&l->lab, 80, &action), decider);
}

#define BLOCK_80                                                                                             \
    PL_CONDITION("FWPM_CONDITION_IP_REMOTE_PORT", "FWP_MATCH_EQUAL",                                         \
                 "<type>FWP_UINT16</type><uint16>80</uint16>")

static void two_roots_bom_crlf_comments(void **state)
{
    struct policy_lab l = {0};
    (void)state;
    pl_load(&l, "\xef\xbb\xbf<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\r\n<!-- a -->\r\n"
                "<wfpstate>\r\n\t<timeStamp>2024-10-22T20:48:53.891Z</timeStamp>\r\n</wfpstate>\r\n"
                "<firewallState>\r\n\t<dynamicKeywordAddresses/>\r\n</firewallState>\r\n<!-- z -->\r\n");
    assert_string_equal(l.policy->file, "x.xml");
    assert_string_equal(l.policy->time_stamp, "2024-10-22T20:48:53.891Z");
    assert_int_equal(pl_note(&l, "<firewallState>")->line, 6);
    pl_noted(&l, POLICY_NOTE_KEPT, "<firewallState>");
    pl_close(&l);
}

/* `>` in a shell turns netsh's output into UTF-16 and leaves the declaration as it was. */
static void utf16_is_read_whatever_it_declares(void **state)
{
    struct policy_lab l = {0};
    static const WCHAR text[] =
        u"<?xml version=\"1.0\" encoding=\"UTF-8\"?><wfpstate><subLayers><item>"
        u"<subLayerKey>{00000000-0000-4000-8000-00000000a001}</subLayerKey>"
        u"<displayData><name>\u00dcber \U0001F600</name></displayData><weight>77</weight>"
        u"</item></subLayers></wfpstate>\r\n<firewallState/>";
    static const WCHAR name[] = u"\u00dcber \U0001F600";
    unsigned char bytes[sizeof(text) + 2];
    GUID key;
    (void)state;
    assert_int_equal(engine_guid_parse("{00000000-0000-4000-8000-00000000a001}", &key), 0);
    for (int big = 0; big < 2; big++) {
        FWPM_SUBLAYER0 *s;
        size_t n = 0;
        bytes[n++] = big ? 0xfe : 0xff;
        bytes[n++] = big ? 0xff : 0xfe;
        for (size_t i = 0; text[i] != 0; i++) {
            bytes[n++] = (unsigned char)(big ? text[i] >> 8 : text[i]);
            bytes[n++] = (unsigned char)(big ? text[i] : text[i] >> 8);
        }
        assert_int_equal(pl_try(&l, (const char *)bytes, n), 0);
        assert_int_equal(bfe_sublayer_get(l.lab.kernel, &key, &s), 0);
        assert_int_equal(s->weight, 77);
        assert_memory_equal(s->displayData.name, name, sizeof(name));
        bfe_free(s);
    }
    pl_close(&l);
}

static void filters_act_and_boot_time_and_disabled_ones_do_not(void **state)
{
    static const char *const flags[] = {
        "<flags/>", "<flags numItems=\"1\"><item>FWPM_FILTER_FLAG_BOOTTIME</item></flags>",
        "<flags numItems=\"1\"><item>FWPM_FILTER_FLAG_DISABLED</item></flags>"};
    struct policy_lab l = {0};
    (void)state;
    for (int i = 0; i < 3; i++) {
        char text[4096];
        FWPM_FILTER0 *f;
        snprintf(text, sizeof(text),
                 "<wfpdiag><filters><item><filterKey>" PL_FILTER_KEY
                 "</filterKey><displayData><name>f</name></displayData>"
                 "%s" PL_AT(PL_V4) PL_WEIGHT "<filterCondition>" BLOCK_80 "</filterCondition>" PL_FILTER_TAIL
                                             "</filters></wfpdiag>",
                 flags[i]);
        pl_load(&l, text);
        f = pl_filter(&l);
        assert_int_equal(f->filterId, 4711);
        bfe_free(f);
        assert_int_equal(l.policy->counts.filters, 1);
        assert_int_equal(l.policy->counts.filters_applied, i == 0);
        assert_int_equal(l.policy->counts.filters_boottime, i == 1);
        assert_int_equal(l.policy->counts.filters_disabled, i == 2);
        classify_port_80(&l, i == 0 ? 4711 : 0);
        if (i > 0)
            pl_noted(&l, POLICY_NOTE_NOT_APPLIED, i == 1 ? "boot-time filters" : "disabled filters");
    }
    pl_close(&l);
}

static void unknown_elements_attributes_and_text_are_kept(void **state)
{
    struct policy_lab l = {0};
    const struct policy_note *n;
    (void)state;
    pl_load(
        &l,
        "<wfpstate>\n<future a=\"1&quot;\"><b>x &lt; y</b><c/></future>\n"
        "<subLayers numItems=\"2\"><item><subLayerKey>{00000000-0000-4000-8000-00000000a001}</subLayerKey>\n"
        "<colour shade=\"dark\">red</colour><weight>5</weight></item></subLayers>\n"
        "<providers when=\"now\">stray</providers>\n</wfpstate>");
    n = pl_note(&l, "<future>");
    assert_non_null(n);
    assert_int_equal(n->kind, POLICY_NOTE_UNKNOWN);
    assert_int_equal(n->line, 2);
    assert_string_equal(n->raw, "<future a=\"1&quot;\"><b>x &lt; y</b><c/></future>");
    n = pl_note(&l, "<colour> in a sublayer");
    assert_non_null(n);
    assert_int_equal(n->line, 4);
    assert_string_equal(n->raw, "<colour shade=\"dark\">red</colour>");
    pl_noted(&l, POLICY_NOTE_UNKNOWN, "when=\"now\"");
    pl_noted(&l, POLICY_NOTE_UNKNOWN, "\"stray\" in <providers>");
    pl_noted(&l, POLICY_NOTE_DIFFERS, "<subLayers> says numItems=\"2\" and holds 1");
    assert_int_equal(l.policy->counts.sublayers, 1); /* the rest of it is read all the same */
    pl_close(&l);
}

static void unknown_flags_count_and_have_no_effect(void **state)
{
    struct policy_lab l = {0};
    const struct policy_note *n;
    FWPM_FILTER0 *f;
    (void)state;
    pl_load(&l, "<wfpdiag>\n<filters>"
                "<item><filterKey>" PL_FILTER_KEY
                "</filterKey><flags numItems=\"2\">\n<item>FWPM_FILTER_FLAG_HAS_FILTER_ORIGIN</item>"
                "<item>FWPM_FILTER_FLAG_INDEXED</item></flags>" PL_AT(PL_V4) PL_WEIGHT
            "<filterCondition/>" PL_FILTER_TAIL
            "<item><filterKey>{00000000-0000-4000-8000-00000000f002}</filterKey>"
            "<flags><item>FWPM_FILTER_FLAG_HAS_FILTER_ORIGIN</item></flags>" PL_AT(PL_V4) PL_WEIGHT
            "<filterCondition/><action><type>FWP_ACTION_PERMIT</type><filterType/></action><filterId>8</"
            "filterId></item>"
            "</filters></wfpdiag>");
    n = pl_note(&l, "FWPM_FILTER_FLAG_HAS_FILTER_ORIGIN");
    assert_non_null(n);
    assert_int_equal(n->kind, POLICY_NOTE_UNKNOWN);
    assert_int_equal(n->count, 2);
    assert_int_equal(n->line, 3);
    f = pl_filter(&l);
    assert_int_equal(f->flags, FWPM_FILTER_FLAG_INDEXED);
    bfe_free(f);
    assert_int_equal(l.policy->counts.filters_applied, 2);
    pl_close(&l);
}

/* A filter that cannot be judged is kept where people look for it, and takes no part. */
static void filters_with_unknown_parts_are_kept_and_not_applied(void **state)
{
    static const struct {
        const char *text, *note;
    } cases[] = {
        {PL_CONDITION("FWPM_CONDITION_IP_REMOTE_PORT", "FWP_MATCH_RESEMBLES",
                      "<type>FWP_UINT16</type><uint16>80</uint16>"),
         "Weir does not know the match type FWP_MATCH_RESEMBLES"},
        {PL_CONDITION("FWPM_CONDITION_IP_REMOTE_PORT", "99", "<type>FWP_UINT16</type><uint16>80</uint16>"),
         "Weir does not know the match type 99"},
        {PL_CONDITION("FWPM_CONDITION_IP_REMOTE_PORT", "FWP_MATCH_EQUAL",
                      "<type>FWP_UINT128</type><uint128>80</uint128>"),
         "Weir does not know the value type FWP_UINT128"},
        {PL_CONDITION("FWPM_CONDITION_IP_REMOTE_PORT", "FWP_MATCH_EQUAL",
                      "<type>FWP_UINT16</type><port>80</port>"),
         "it holds a value in a form that Weir does not know"},
        {PL_CONDITION("FWPM_CONDITION_ALE_USER_ID", "FWP_MATCH_EQUAL",
                      "<type>FWP_SECURITY_DESCRIPTOR_TYPE</type><sd>D:(Q;;CC;;;WD)</sd>"),
         "Weir does not understand a security descriptor in it"},
        {PL_CONDITION("FWPM_CONDITION_PHASE_OF_THE_MOON", "FWP_MATCH_EQUAL",
                      "<type>FWP_UINT16</type><uint16>80</uint16>"),
         "its layer has no field {"},
        {PL_CONDITION("FWPM_CONDITION_VLAN_ID", "FWP_MATCH_EQUAL",
                      "<type>FWP_UINT16</type><uint16>80</uint16>"),
         "its layer has no field FWPM_CONDITION_VLAN_ID"},
        {PL_CONDITION("FWPM_CONDITION_IP_REMOTE_PORT", "FWP_MATCH_EQUAL",
                      "<type>FWP_UINT32</type><uint32>80</uint32>"),
         "condition 1 on FWPM_CONDITION_IP_REMOTE_PORT is none that can be asked there"},
    };
    struct policy_lab l = {0};
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[4096];
        FWPM_FILTER0 *f;
        snprintf(text, sizeof(text),
                 "<wfpdiag><filters>" PL_FILTER_HEAD PL_AT(PL_V4) PL_WEIGHT
                 "<filterCondition>%s</filterCondition>" PL_FILTER_TAIL "</filters></wfpdiag>",
                 cases[i].text);
        pl_load(&l, text);
        pl_noted(&l, POLICY_NOTE_NOT_APPLIED, cases[i].note);
        assert_int_equal(l.policy->counts.filters, 1);
        assert_int_equal(l.policy->counts.filters_unusable, 1);
        assert_int_equal(l.policy->counts.filters_applied, 0);
        f = pl_filter(&l);
        assert_int_equal(f->filterId, 4711);
        bfe_free(f);
        classify_port_80(&l, 0);
    }
    pl_close(&l);
}

static void unknown_layers_and_keys_by_unknown_names(void **state)
{
    struct policy_lab l = {0};
    char *text = NULL;
    size_t size;
    (void)state;
    pl_load(&l, "<wfpstate><layers><item><layer><layerKey>FWPM_LAYER_OF_TOMORROW_V4</layerKey><layerId>99</"
                "layerId></layer>"
                "<filters>" PL_FILTER_HEAD "<layerKey>FWPM_LAYER_OF_TOMORROW_V4</layerKey>"
                "<subLayerKey>FWPM_SUBLAYER_OF_TOMORROW</subLayerKey>" PL_WEIGHT
                "<filterCondition/>" PL_FILTER_TAIL "</filters></item></layers></wfpstate>");
    pl_noted(&l, POLICY_NOTE_UNKNOWN, "the key named FWPM_LAYER_OF_TOMORROW_V4");
    pl_noted(&l, POLICY_NOTE_UNKNOWN, "the key named FWPM_SUBLAYER_OF_TOMORROW");
    pl_noted(&l, POLICY_NOTE_NOT_APPLIED, "Weir does not know its layer");
    assert_int_equal(l.policy->counts.layers, 1);
    assert_int_equal(l.policy->counts.filters_unusable, 1);
    /* and they keep their names */
    assert_int_equal(policy_save_memory(l.lab.bfe, l.policy, &text, &size), 0);
    text = realloc(text, size + 1);
    text[size] = '\0';
    assert_non_null(strstr(text, "<layerKey>FWPM_LAYER_OF_TOMORROW_V4</layerKey>"));
    assert_non_null(strstr(text, "<subLayerKey>FWPM_SUBLAYER_OF_TOMORROW</subLayerKey>"));
    assert_non_null(strstr(text, "<filterId>4711</filterId>"));
    free(text);
    pl_close(&l);
}

#define SUBLAYER_FILTER(n, sublayer)                                                                         \
    "<item><filterKey>{00000000-0000-4000-8000-00000000f10" #n                                               \
    "}</filterKey><displayData><name>f</name></displayData>"                                                 \
    "<layerKey>" PL_V4 "</layerKey><subLayerKey>" sublayer "</subLayerKey>" PL_WEIGHT "<filterCondition/>"   \
    "<action><type>FWP_ACTION_PERMIT</type><filterType/></action><filterId>10" #n "</filterId>"              \
    "<effectiveWeight><type>FWP_UINT64</type><uint64>1</uint64></effectiveWeight></item>"

static void sublayers_that_are_only_named_get_a_weight(void **state)
{
    static const char first[] = "{00000000-0000-4000-8000-00000000a001}",
                      second[] = "{00000000-0000-4000-8000-00000000a002}";
    struct policy_lab l = {0};
    FWPM_SUBLAYER0 *s;
    UINT16 a, b;
    GUID key;
    (void)state;
    pl_load(&l, "<wfpdiag><filters>" SUBLAYER_FILTER(1, "{00000000-0000-4000-8000-00000000a001}")
                    SUBLAYER_FILTER(2, "FWPM_SUBLAYER_MPSSVC_WF")
                        SUBLAYER_FILTER(3, "{00000000-0000-4000-8000-00000000a002}") "</filters></wfpdiag>");
    assert_int_equal(l.policy->counts.filters_applied, 3);
    assert_int_equal(l.policy->counts.assumed_sublayers, 2);
    assert_int_equal(l.policy->counts.sublayers, 0);
    pl_noted(&l, POLICY_NOTE_ASSUMED, "Windows' own sublayers");
    pl_noted(&l, POLICY_NOTE_ASSUMED, first);
    pl_noted(&l, POLICY_NOTE_ASSUMED, second);
    assert_int_equal(engine_guid_parse(first, &key), 0);
    assert_int_equal(bfe_sublayer_get(l.lab.kernel, &key, &s), 0);
    a = s->weight;
    bfe_free(s);
    assert_int_equal(engine_guid_parse(second, &key), 0);
    assert_int_equal(bfe_sublayer_get(l.lab.kernel, &key, &s), 0);
    b = s->weight;
    bfe_free(s);
    assert_true(a > b); /* the one named first is asked first */
    assert_int_equal(engine_guid_by_name(ENGINE_GUID_SUBLAYER, "FWPM_SUBLAYER_MPSSVC_WF", &key), 0);
    assert_int_equal(bfe_sublayer_get(l.lab.kernel, &key, &s), 0);
    assert_true(b > s->weight); /* above the firewall's */
    bfe_free(s);
    assert_int_equal(engine_guid_by_name(ENGINE_GUID_SUBLAYER, "FWPM_SUBLAYER_UNIVERSAL", &key), 0);
    assert_int_equal(bfe_sublayer_get(l.lab.kernel, &key, &s), 0);
    assert_true(a < s->weight);
    bfe_free(s);
    pl_close(&l);
}

/* A state lists every callout there was: one that a filter names and nobody lists was not registered
 * (OBJ-22). */
static void a_callout_that_a_state_does_not_list_is_not_registered(void **state)
{
    static const char key_text[] = "{00000000-0000-4000-8000-00000000c001}";
    struct policy_lab l = {0};
    GUID key;
    FWP_ACTION_TYPE action;
    (void)state;
    assert_int_equal(engine_guid_parse(key_text, &key), 0);
    for (int permit = 0; permit < 2; permit++) {
        char text[4096];
        snprintf(
            text, sizeof(text),
            "<wfpstate><layers><item><layer><layerKey>" PL_V4
            "</layerKey><layerId>48</layerId></layer><callouts/><filters>"
            "<item><filterKey>" PL_FILTER_KEY
            "</filterKey><displayData><name>f</name></displayData>%s" PL_AT(PL_V4) PL_WEIGHT
            "<filterCondition/><action><type>FWP_ACTION_CALLOUT_TERMINATING</type><filterType>%s</filterType>"
            "</action><filterId>4711</filterId><effectiveWeight><type>FWP_UINT64</type><uint64>1</uint64></"
            "effectiveWeight>"
            "</item></filters></item></layers></wfpstate>",
            permit ? "<flags><item>FWPM_FILTER_FLAG_PERMIT_IF_CALLOUT_UNREGISTERED</item></flags>"
                   : "<flags/>",
            key_text);
        pl_load(&l, text);
        pl_noted(&l, POLICY_NOTE_DIFFERS, "taken as not registered");
        assert_int_equal(engine_callout_state(l.lab.engine, &key), ENGINE_CALLOUT_UNREGISTERED);
        assert_int_equal(bfe_lab_decider(&l.lab, 80, &action), 4711);
        assert_int_equal(action, permit ? FWP_ACTION_PERMIT : FWP_ACTION_BLOCK);
    }
    pl_close(&l);
}

static void a_listed_callout_is_foreign(void **state)
{
    struct policy_lab l = {0};
    FWPM_CALLOUT0 *c;
    GUID key;
    (void)state;
    assert_int_equal(engine_guid_parse("{00000000-0000-4000-8000-00000000c001}", &key), 0);
    pl_load(&l, "<wfpstate><callouts><item><calloutKey>{00000000-0000-4000-8000-00000000c001}</calloutKey>"
                "<displayData><name>c</name></displayData><flags "
                "numItems=\"3\"><item>FWP_CALLOUT_FLAG_ALLOW_OFFLOAD</item>"
                "<item>FWPM_CALLOUT_FLAG_REGISTERED</item><item>000003E0</item></flags>"
                "<applicableLayer>" PL_V4
                "</applicableLayer><calloutId>301</calloutId></item></callouts></wfpstate>");
    assert_int_equal(engine_callout_state(l.lab.engine, &key), ENGINE_CALLOUT_FOREIGN);
    assert_int_equal(bfe_callout_get(l.lab.kernel, &key, 0, &c), 0);
    assert_int_equal(c->flags, 0x000403e2);
    assert_int_equal(c->calloutId, 301);
    bfe_free(c);
    pl_close(&l);
}

static void a_callout_that_was_not_registered_is_noted(void **state)
{
    struct policy_lab l = {0};
    (void)state;
    pl_load(
        &l, "<wfpstate><callouts><item><calloutKey>{00000000-0000-4000-8000-00000000c001}</calloutKey>"
            "<displayData><name>c</name></displayData><flags/><applicableLayer>" PL_V4 "</applicableLayer>"
            "<calloutId>301</calloutId></item></callouts><filters>" PL_FILTER_HEAD PL_AT(PL_V4) PL_WEIGHT
        "<filterCondition/><action><type>FWP_ACTION_CALLOUT_UNKNOWN</type>"
        "<filterType>{00000000-0000-4000-8000-00000000c001}</filterType></action><filterId>4711</filterId>"
        "</item></filters></wfpstate>");
    pl_noted(&l, POLICY_NOTE_DIFFERS, "was listed but not registered on that machine");
    assert_int_equal(l.policy->counts.filters_applied, 1);
    pl_close(&l);
}

static void what_is_listed_twice_is_kept_once_and_noted(void **state)
{
    struct policy_lab l = {0};
    (void)state;
    pl_load(&l, "<wfpdiag><filters>" SUBLAYER_FILTER(1, "FWPM_SUBLAYER_UNIVERSAL")
                    SUBLAYER_FILTER(1, "FWPM_SUBLAYER_UNIVERSAL") "</filters></wfpdiag>");
    assert_int_equal(l.policy->counts.filters, 2);
    assert_int_equal(l.policy->counts.filters_applied, 1);
    assert_int_equal(l.policy->counts.unplaced, 1);
    pl_noted(&l, POLICY_NOTE_DIFFERS, "is listed twice");
    pl_noted(&l, POLICY_NOTE_NOT_APPLIED, "is kept outside the policy");
    assert_int_equal(pl_count(&l, BFE_FILTER), 1);
    pl_close(&l);
}

static void endpoints_and_sessions(void **state)
{
    struct policy_lab l = {0};
    (void)state;
    pl_load(
        &l,
        "<wfpstate><sessions "
        "numItems=\"1\"><item><sessionKey>{00000000-0000-4000-8000-00000000e001}</sessionKey>"
        "<displayData><name>s</name><description/></displayData><flags><item>FWPM_SESSION_FLAG_DYNAMIC</"
        "item></flags>"
        "<txnWaitTimeoutInMSec>4294967295</txnWaitTimeoutInMSec><processId>1404</processId><sid>S-1-5-20</"
        "sid>"
        "<username>NT AUTHORITY\\NETWORK SERVICE</username><kernelMode>true</kernelMode></item></sessions>\n"
        "<aleConnectedEndpoints numItems=\"2\">"
        "<item><endpointId>186432</endpointId><ipVersion>FWP_IP_VERSION_V4</ipVersion>"
        "<localV4Address>192.168.1.17</localV4Address><remoteV4Address>52.109.56.1</remoteV4Address>"
        "<ipProtocol>6</ipProtocol><localPort>56359</localPort><remotePort>443</remotePort>"
        "<localTokenModifiedId>557816</localTokenModifiedId><mmSaId>1</mmSaId><qmSaId>2</qmSaId>"
        "<ipsecStatus>0 "
        "(ERROR_SUCCESS)</ipsecStatus><flags/><appId><data>530000</data><asString>S..</asString></appId></"
        "item>\n"
        "<item><endpointId>7</endpointId><ipVersion>FWP_IP_VERSION_V6</ipVersion><localV6Address>ff02::fb</"
        "localV6Address>"
        "<remoteV6Address>::</remoteV6Address><ipProtocol>17</ipProtocol><localPort>5353</localPort>"
        "<remotePort>0</remotePort><flags>00000003</flags><appId/></item></aleConnectedEndpoints></"
        "wfpstate>");
    assert_int_equal(l.policy->counts.sessions, 1);
    const FWPM_SESSION0 *s = &l.policy->sessions[0].session;
    assert_int_equal(s->flags, FWPM_SESSION_FLAG_DYNAMIC);
    assert_int_equal(s->txnWaitTimeoutInMSec, UINT32_MAX);
    assert_int_equal(s->processId, 1404);
    assert_int_equal(s->kernelMode, 1);
    assert_int_equal(s->username[12], u'\\');
    assert_int_equal(l.policy->counts.endpoints, 2);
    const struct policy_endpoint *e = l.policy->endpoints;
    assert_int_equal(e[0].id, 186432);
    assert_int_equal(e[0].ip_version, FWP_IP_VERSION_V4);
    assert_int_equal(e[0].local_address.type, FWP_UINT32);
    assert_int_equal(e[0].local_address.uint32, 0xc0a80111);
    assert_int_equal(e[0].remote_address.uint32, 0x346d3801);
    assert_int_equal(e[0].protocol, 6);
    assert_int_equal(e[0].local_port, 56359);
    assert_int_equal(e[0].remote_port, 443);
    assert_int_equal(e[0].token_modified_id, 557816);
    assert_int_equal(e[0].mm_sa_id, 1);
    assert_int_equal(e[0].qm_sa_id, 2);
    assert_string_equal(e[0].ipsec_status, "0 (ERROR_SUCCESS)");
    assert_int_equal(e[0].app_id.size, 3);
    assert_int_equal(e[0].line, 2);
    assert_int_equal(e[1].line, 3);
    assert_int_equal(e[1].local_address.type, FWP_BYTE_ARRAY16_TYPE);
    assert_int_equal(e[1].local_address.byteArray16->byteArray16[15], 0xfb);
    assert_int_equal(e[1].flags, 3);
    assert_int_equal(e[1].app_id.size, 0);
    pl_close(&l);
}

#define EVENT                                                                                                \
    "<header><timeStamp>2020-05-21T17:25:59.070Z</timeStamp><flags numItems=\"2\">"                          \
    "<item>FWPM_NET_EVENT_FLAG_IP_PROTOCOL_SET</item><item>FWPM_NET_EVENT_FLAG_LOCAL_ADDR_SET</item></"      \
    "flags>"                                                                                                 \
    "<ipVersion>FWP_IP_VERSION_V4</ipVersion><ipProtocol>17</ipProtocol>"                                    \
    "<localAddrV4>255.255.255.255</localAddrV4><remoteAddrV4>10.195.33.252</remoteAddrV4>"                   \
    "<localPort>21</localPort><remotePort>61706</remotePort><scopeId>4</scopeId>"                            \
    "<appId><data>5300</data></appId><userId>S-1-5-19</userId><addressFamily>FWP_AF_INET</addressFamily>"    \
    "<packageSid>S-1-0-0</packageSid><enterpriseId/></header><type>FWPM_NET_EVENT_TYPE_CLASSIFY_DROP</type>" \
    "<classifyDrop><filterId>66241</filterId><layerId>44</layerId><reauthReason>5</reauthReason>"            \
    "<originalProfile>1</originalProfile><currentProfile>2</currentProfile>"                                 \
    "<msFwpDirection>MS_FWP_DIRECTION_OUT</msFwpDirection><isLoopback>true</isLoopback></classifyDrop>"      \
    "<internalFields><terminatingFiltersInfo numItems=\"1\"/></internalFields>"

static void net_events_from_each_kind_of_file(void **state)
{
    static const char *const files[] = {
        "<netEvents numItems=\"1\"><item>" EVENT "</item></netEvents>",
        "<wfpdiag><netEvents><item>" EVENT "</item></netEvents></wfpdiag>",
        "<wfpdiag><sysInfo><a/></sysInfo><initialState><wfpstate><timeStamp>t</timeStamp></wfpstate></"
        "initialState>"
        "<events><netEvent>" EVENT "</netEvent></events></wfpdiag>",
    };
    struct policy_lab l = {0};
    (void)state;
    for (int i = 0; i < 3; i++) {
        pl_load(&l, files[i]);
        assert_int_equal(l.policy->counts.net_events, 1);
        const struct policy_net_event *e = l.policy->net_events;
        assert_string_equal(e->time_stamp, "2020-05-21T17:25:59.070Z");
        assert_string_equal(e->type, "FWPM_NET_EVENT_TYPE_CLASSIFY_DROP");
        assert_int_equal(e->flags, 3);
        assert_int_equal(e->ip_version, FWP_IP_VERSION_V4);
        assert_int_equal(e->protocol, 17);
        assert_int_equal(e->local_address.uint32, UINT32_MAX);
        assert_int_equal(e->remote_address.uint32, 0x0ac321fc);
        assert_int_equal(e->local_port, 21);
        assert_int_equal(e->remote_port, 61706);
        assert_int_equal(e->scope_id, 4);
        assert_int_equal(e->app_id.size, 2);
        assert_int_equal(e->user->SubAuthority[0], 19);
        assert_non_null(e->package);
        assert_int_equal(e->filter_id, 66241);
        assert_int_equal(e->layer_id, 44);
        assert_int_equal(e->reauth_reason, 5);
        assert_int_equal(e->original_profile, 1);
        assert_int_equal(e->current_profile, 2);
        assert_string_equal(e->direction, "MS_FWP_DIRECTION_OUT");
        assert_true(e->loopback);
        assert_int_equal(e->line, 1);
        assert_non_null(strstr(e->raw, "<terminatingFiltersInfo numItems=\"1\"/>"));
        if (i == 2)
            assert_string_equal(l.policy->time_stamp, "t");
    }
    pl_close(&l);
}

static void another_builds_layers_become_notes(void **state)
{
    struct policy_lab l = {0};
    (void)state;
    pl_load(&l,
            "<wfpstate><layers><item><layer><layerKey>FWPM_LAYER_ALE_RESOURCE_RELEASE_V4</layerKey><field>"
            "<item><fieldKey>FWPM_CONDITION_ALE_APP_ID</fieldKey><type>FWPM_FIELD_RAW_DATA</"
            "type><dataType>FWP_SID</dataType></item>"
            "<item><fieldKey>FWPM_CONDITION_VLAN_ID</fieldKey><type>FWPM_FIELD_RAW_DATA</"
            "type><dataType>FWP_UINT16</dataType></item>"
            "</field><layerId>3</layerId></layer></item></layers></wfpstate>");
    pl_noted(&l, POLICY_NOTE_DIFFERS, "number 3 on that machine");
    pl_noted(&l, POLICY_NOTE_DIFFERS,
             "field FWPM_CONDITION_ALE_APP_ID has another type on that machine (FWP_SID)");
    pl_noted(&l, POLICY_NOTE_DIFFERS, "field FWPM_CONDITION_VLAN_ID of that machine is none here");
    pl_noted(&l, POLICY_NOTE_DIFFERS, "has no field FWPM_CONDITION_IP_LOCAL_PORT");
    pl_close(&l);
}

static void a_policy_of_ipsec_contexts_keeps_their_text(void **state)
{
    struct policy_lab l = {0};
    FWPM_PROVIDER_CONTEXT3 *c;
    char *text;
    size_t size;
    GUID key;
    (void)state;
    pl_load(&l, "<wfpstate><providerContexts><item>"
                "<providerContextKey>FWPM_PROVIDER_CONTEXT_SECURE_SOCKET_AUTHIP</providerContextKey>"
                "<displayData><name>n</name></displayData><flags/><type>FWPM_IPSEC_AUTHIP_MM_CONTEXT</type>"
                "<authIpMmPolicy>\n<softExpirationTime>7</softExpirationTime></authIpMmPolicy>"
                "<providerContextId>5</providerContextId></item></providerContexts></wfpstate>");
    pl_noted(&l, POLICY_NOTE_KEPT, "<authIpMmPolicy> of a provider context");
    assert_int_equal(
        engine_guid_by_name(ENGINE_GUID_PROVIDER, "FWPM_PROVIDER_CONTEXT_SECURE_SOCKET_AUTHIP", &key), 0);
    assert_int_equal(bfe_provider_context_get(l.lab.kernel, &key, 0, &c), 0);
    assert_int_equal(c->type, FWPM_IPSEC_AUTHIP_MM_CONTEXT);
    bfe_free(c);
    assert_int_equal(policy_save_memory(l.lab.bfe, l.policy, &text, &size), 0);
    text = realloc(text, size + 1);
    text[size] = '\0';
    assert_non_null(
        strstr(text, "<authIpMmPolicy>\r\n<softExpirationTime>7</softExpirationTime></authIpMmPolicy>"));
    free(text);
    pl_close(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_roots_bom_crlf_comments),
        cmocka_unit_test(utf16_is_read_whatever_it_declares),
        cmocka_unit_test(filters_act_and_boot_time_and_disabled_ones_do_not),
        cmocka_unit_test(unknown_elements_attributes_and_text_are_kept),
        cmocka_unit_test(unknown_flags_count_and_have_no_effect),
        cmocka_unit_test(filters_with_unknown_parts_are_kept_and_not_applied),
        cmocka_unit_test(unknown_layers_and_keys_by_unknown_names),
        cmocka_unit_test(sublayers_that_are_only_named_get_a_weight),
        cmocka_unit_test(a_callout_that_a_state_does_not_list_is_not_registered),
        cmocka_unit_test(a_listed_callout_is_foreign),
        cmocka_unit_test(a_callout_that_was_not_registered_is_noted),
        cmocka_unit_test(what_is_listed_twice_is_kept_once_and_noted),
        cmocka_unit_test(endpoints_and_sessions),
        cmocka_unit_test(net_events_from_each_kind_of_file),
        cmocka_unit_test(another_builds_layers_become_notes),
        cmocka_unit_test(a_policy_of_ipsec_contexts_keeps_their_text),
    };
    return cmocka_run_group_tests_name("policy_oddities", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy: the demo's machine. Each situation of data/demo/README.md, asked at the layer that decides it,
 * gives the answer and the filter that the README derives from the rules.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <errno.h>
#include <cmocka.h>

#include "policy_lab.h"

#define V4(a, b, c, d) ((UINT32)(a) << 24 | (UINT32)(b) << 16 | (UINT32)(c) << 8 | (d))
#define AGENT          u"\\device\\harddiskvolume3\\program files\\contoso\\agent\\contosoagent.exe"
#define SERVER         u"\\device\\harddiskvolume3\\program files\\contoso\\server\\contososerver.exe"
#define BROWSER        u"\\device\\harddiskvolume3\\program files\\northwind browser\\browser.exe"
#define SVCHOST        u"\\device\\harddiskvolume3\\windows\\system32\\svchost.exe"
#define CONNECT        "FWPM_LAYER_ALE_AUTH_CONNECT_V4"
#define ACCEPT         "FWPM_LAYER_ALE_AUTH_RECV_ACCEPT_V4"

struct demo {
    struct policy_lab l;
    struct security_token *plain, *sync, *app, *app_offline;
    SID *no_package, *package;
    GUID shield;
};

/* What a connection is; fields that a layer lacks are left out there. */
struct question {
    const char *layer;
    const WCHAR *app;
    UINT8 protocol;
    UINT32 remote;
    UINT16 local_port, remote_port;
    UINT32 flags, profile;              /* profile 0: private */
    const struct security_token *token; /* NULL: a plain user's */
    bool package;
    FWP_ACTION_TYPE shield; /* what the web shield says; 0: unknown */
    FWP_BYTE_ARRAY16 *remote_v6;
};

static void sid_of(const char *text, SID **out)
{
    *out = malloc(SECURITY_MAX_SID_SIZE);
    assert_non_null(*out);
    assert_int_equal(security_sid_parse(text, *out, SECURITY_MAX_SID_SIZE), 0);
}

static void token_of(const char *json, struct security_token **out)
{
    char *error = NULL;
    if (security_token_from_json(json, strlen(json), out, &error) != 0)
        fail_msg("%s", error);
}

static int setup(void **state)
{
    struct demo *d = calloc(1, sizeof(*d));
    char path[512];
    assert_non_null(d);
    pl_open(&d->l);
    snprintf(path, sizeof(path), "%s/data/demo/demo.wfpstate.xml",
             getenv("WEIR_ROOT") == NULL ? "." : getenv("WEIR_ROOT"));
    if (policy_load_file(d->l.lab.bfe, path, &d->l.policy, &d->l.error) != 0)
        fail_msg("%s", d->l.error.text);
    token_of("{\"user\": \"S-1-5-21-1000000001-2000000002-3000000003-1001\"}", &d->plain);
    token_of("{\"user\": \"S-1-5-80-4097827842-2465686425-2380468093-1209606607-1288504222\"}", &d->sync);
    token_of("{\"user\": \"S-1-5-21-1000000001-2000000002-3000000003-1001\", \"package\": "
             "\"S-1-15-2-1-2-3-4-5-6-7\","
             " \"capabilities\": [\"internetClient\"]}",
             &d->app);
    token_of("{\"user\": \"S-1-5-21-1000000001-2000000002-3000000003-1001\", \"package\": "
             "\"S-1-15-2-1-2-3-4-5-6-7\"}",
             &d->app_offline);
    sid_of("S-1-0-0", &d->no_package);
    sid_of("S-1-15-2-1-2-3-4-5-6-7", &d->package);
    for (UINT32 i = 0, n = pl_count(&d->l, BFE_CALLOUT); i < n; i++) {
        FWPM_CALLOUT0 *c;
        if (bfe_callout_get(d->l.lab.kernel, NULL, 301, &c) == 0) {
            d->shield = c->calloutKey;
            bfe_free(c);
            break;
        }
    }
    *state = d;
    return 0;
}

static int teardown(void **state)
{
    struct demo *d = *state;
    security_token_destroy(d->plain);
    security_token_destroy(d->sync);
    security_token_destroy(d->app);
    security_token_destroy(d->app_offline);
    free(d->no_package);
    free(d->package);
    pl_close(&d->l);
    free(d);
    return 0;
}

static void set(FWPS_INCOMING_VALUE0 *values, const struct engine_layer *layer, const char *condition,
                FWP_VALUE0 value)
{
    GUID key;
    assert_int_equal(engine_guid_by_name(ENGINE_GUID_CONDITION, condition, &key), 0);
    int field = engine_layer_field(layer, &key);
    if (field >= 0)
        values[field].value = value;
}

/* The answer, by the index and by the naive engine; the name of the deciding filter must be `name`. */
static struct engine_verdict ask(struct demo *d, const struct question *q, FWP_ACTION_TYPE action,
                                 const char *name)
{
    const struct engine_layer *layer = engine_layer_by_name(q->layer);
    FWPS_INCOMING_VALUE0 values[ENGINE_MAX_FIELDS] = {0};
    struct engine_assumption assumptions[1] = {{.callout_key = d->shield, .action = q->shield}};
    struct engine_verdict v, naive;
    FWP_BYTE_BLOB app = {0};
    char got[256] = "";
    assert_non_null(layer);
    if (q->app != NULL) {
        while (q->app[app.size / 2] != 0)
            app.size += 2;
        app.size += 2;
        app.data = (UINT8 *)(uintptr_t)q->app;
        set(values, layer, "FWPM_CONDITION_ALE_APP_ID",
            (FWP_VALUE0){.type = FWP_BYTE_BLOB_TYPE, .byteBlob = &app});
    }
    const FWP_BYTE_BLOB *token = security_token_blob(q->token == NULL ? d->plain : q->token);
    set(values, layer, "FWPM_CONDITION_ALE_USER_ID",
        (FWP_VALUE0){.type = FWP_TOKEN_ACCESS_INFORMATION_TYPE,
                     .tokenAccessInformation = (FWP_BYTE_BLOB *)(uintptr_t)token});
    set(values, layer, "FWPM_CONDITION_ALE_PACKAGE_ID",
        (FWP_VALUE0){.type = FWP_SID, .sid = q->package ? d->package : d->no_package});
    set(values, layer, "FWPM_CONDITION_IP_PROTOCOL", (FWP_VALUE0){.type = FWP_UINT8, .uint8 = q->protocol});
    set(values, layer, "FWPM_CONDITION_IP_REMOTE_ADDRESS",
        q->remote_v6 == NULL ? (FWP_VALUE0){.type = FWP_UINT32, .uint32 = q->remote}
                             : (FWP_VALUE0){.type = FWP_BYTE_ARRAY16_TYPE, .byteArray16 = q->remote_v6});
    set(values, layer, "FWPM_CONDITION_IP_LOCAL_PORT",
        (FWP_VALUE0){.type = FWP_UINT16, .uint16 = q->local_port});
    set(values, layer, "FWPM_CONDITION_IP_REMOTE_PORT",
        (FWP_VALUE0){.type = FWP_UINT16, .uint16 = q->remote_port});
    set(values, layer, "FWPM_CONDITION_FLAGS", (FWP_VALUE0){.type = FWP_UINT32, .uint32 = q->flags});
    if (q->protocol == 1)
        set(values, layer, "FWPM_CONDITION_ORIGINAL_ICMP_TYPE",
            (FWP_VALUE0){.type = FWP_UINT16, .uint16 = q->local_port});
    FWP_VALUE0 profile = {.type = FWP_UINT32, .uint32 = q->profile == 0 ? 2 : q->profile};
    set(values, layer, "FWPM_CONDITION_ORIGINAL_PROFILE_ID", profile);
    set(values, layer, "FWPM_CONDITION_CURRENT_PROFILE_ID", profile);

    FWPS_INCOMING_VALUES0 incoming = {
        .layerId = layer->id, .valueCount = layer->field_count, .incomingValue = values};
    struct engine_request request = {
        .values = &incoming, .assumptions = assumptions, .assumption_count = q->shield != 0};
    (void)engine_pin(d->l.lab.reader);
    assert_int_equal(engine_classify(d->l.lab.reader, &request, &v), 0);
    assert_int_equal(engine_classify_naive(d->l.lab.reader, &request, &naive), 0);
    assert_int_equal(v.action, naive.action);
    assert_int_equal(v.filter_id, naive.filter_id);
    if (v.filter_id != 0) {
        FWPM_FILTER0 *f;
        assert_int_equal(bfe_filter_get(d->l.lab.kernel, NULL, v.filter_id, &f), 0);
        for (size_t i = 0; f->displayData.name[i] != 0 && i + 1 < sizeof(got); i++)
            got[i] = (char)f->displayData.name[i];
        bfe_free(f);
    }
    engine_unpin(d->l.lab.reader);
    assert_string_equal(got, name);
    assert_int_equal(v.action, action);
    return v;
}

static void a_hard_permit_stands_above_a_block(void **state)
{
    struct demo *d = *state;
    struct question q = {CONNECT, AGENT, 6, V4(203, 0, 113, 10), 50000, 8443, 0, 0, .token = NULL};
    ask(d, &q, FWP_ACTION_PERMIT, "Contoso Agent: management server");
    q.remote = V4(203, 0, 113, 11); /* permitted, but not hard */
    ask(d, &q, FWP_ACTION_BLOCK, "Fabrikam VPN: the office only through the tunnel");
    /* inbound, over the default block */
    q = (struct question){ACCEPT, AGENT, 6, V4(203, 0, 113, 10), 8444, 50000, 0, 0, .token = NULL};
    ask(d, &q, FWP_ACTION_PERMIT, "Contoso Agent: management console");
    q.app = BROWSER;
    ask(d, &q, FWP_ACTION_BLOCK, "Default Inbound Block");
}

static void a_callout_may_veto_a_hard_permit(void **state)
{
    struct demo *d = *state;
    struct question q = {CONNECT, AGENT, 6, V4(198, 51, 100, 7), 50000, 443, 0, 0, .token = NULL};
    struct engine_verdict v = ask(d, &q, FWP_ACTION_PERMIT, "Contoso Agent: cloud");
    assert_true(v.flags & ENGINE_VERDICT_FOREIGN); /* it hangs on the callout */
    q.shield = FWP_ACTION_BLOCK;
    v = ask(d, &q, FWP_ACTION_BLOCK, "Contoso Web Shield");
    assert_true(v.flags & ENGINE_VERDICT_VETO);
    q.shield = FWP_ACTION_PERMIT;
    ask(d, &q, FWP_ACTION_PERMIT, "Contoso Agent: cloud");
}

static void a_hardened_service_has_one_way_out(void **state)
{
    struct demo *d = *state;
    struct question q = {CONNECT, SVCHOST, 6, V4(198, 51, 100, 20), 50001, 8883, 0, 0, .token = d->sync};
    ask(d, &q, FWP_ACTION_PERMIT, "Default Outbound");
    q.remote_port = 80;
    ask(d, &q, FWP_ACTION_BLOCK, "WSH Default Outbound Block: ContosoSync");
    q.token = NULL; /* svchost of another service */
    ask(d, &q, FWP_ACTION_PERMIT, "Default Outbound");
}

static void an_app_rule_with_a_port_range(void **state)
{
    struct demo *d = *state;
    struct question q = {ACCEPT, SERVER, 6, V4(192, 0, 2, 77), 8005, 51000, 0, 0, .token = NULL};
    ask(d, &q, FWP_ACTION_PERMIT, "Contoso Server (TCP-In)");
    q.local_port = 8010; /* ranges include their ends */
    ask(d, &q, FWP_ACTION_PERMIT, "Contoso Server (TCP-In)");
    q.local_port = 8011;
    ask(d, &q, FWP_ACTION_BLOCK, "Default Inbound Block");
    q.local_port = 8005;
    q.app = BROWSER;
    ask(d, &q, FWP_ACTION_BLOCK, "Default Inbound Block");
    q.app = SERVER;
    q.profile = 1;
    ask(d, &q, FWP_ACTION_BLOCK, "Default Inbound Block");
}

static void orphaned_callouts(void **state)
{
    struct demo *d = *state;
    struct question q = {ACCEPT, u"System", 6, V4(192, 0, 2, 77), 445, 51000, 0, 0, .token = NULL};
    struct engine_verdict v = ask(d, &q, FWP_ACTION_BLOCK, "Northwind AV: file server inspection");
    assert_true(v.flags & ENGINE_VERDICT_SUBSTITUTE);
    q.local_port = 5900; /* permitted in its stead, softly: the firewall still says no */
    ask(d, &q, FWP_ACTION_BLOCK, "Default Inbound Block");
    q = (struct question){CONNECT, BROWSER, 6, V4(198, 51, 100, 25), 50000, 25, 0, 0, .token = NULL};
    ask(d, &q, FWP_ACTION_PERMIT, "Default Outbound");
}

static void two_not_equal_on_one_field_spare_nobody(void **state)
{
    struct demo *d = *state;
    struct question q = {CONNECT, BROWSER, 6, V4(198, 51, 100, 23), 50000, 23, 0, 0, .token = NULL};
    ask(d, &q, FWP_ACTION_BLOCK, "Contoso: telnet nowhere but to the lab");
}

static void of_equal_weight_the_newer_is_asked_first(void **state)
{
    struct demo *d = *state;
    struct question q = {CONNECT, SVCHOST, 17, V4(198, 51, 100, 123), 123, 123, 0, 0, .token = NULL};
    ask(d, &q, FWP_ACTION_BLOCK, "Contoso: time from nowhere");
}

static void app_containers_need_their_capability(void **state)
{
    struct demo *d = *state;
    struct question q = {CONNECT, BROWSER, 6, V4(198, 51, 100, 80), 50000,
                         80,      0,       0, .token = d->app,      .package = true};
    ask(d, &q, FWP_ACTION_PERMIT, "Default Outbound");
    q.token = d->app_offline;
    ask(d, &q, FWP_ACTION_BLOCK, "UWP Default Outbound Block Rule");
}

static void loopback(void **state)
{
    struct demo *d = *state;
    struct question q = {CONNECT, BROWSER, 6, V4(127, 0, 0, 1), 50111, 5432, 1, 0, .token = NULL};
    ask(d, &q, FWP_ACTION_PERMIT, "Default Outbound");
    q.token = d->app; /* of equal weight with the permit, and newer */
    q.package = true;
    ask(d, &q, FWP_ACTION_BLOCK, "AppContainerLoopback");
    q = (struct question){ACCEPT, BROWSER, 6, V4(127, 0, 0, 1), 5432, 50111, 1, 0, .token = NULL};
    ask(d, &q, FWP_ACTION_PERMIT, "Loopback");
}

static void boot_time_and_disabled_filters_do_not_act(void **state)
{
    struct demo *d = *state;
    struct question q = {CONNECT, BROWSER, 6, V4(198, 51, 100, 21), 50000, 21, 0, 0, .token = NULL};
    ask(d, &q, FWP_ACTION_PERMIT, "Default Outbound");
    /* off the three profiles only the boot-time block would match */
    q = (struct question){ACCEPT, BROWSER, 6, V4(192, 0, 2, 77), 9999, 51000, 0, 4, .token = NULL};
    ask(d, &q, FWP_ACTION_PERMIT, "");
    assert_int_equal(d->l.policy->counts.filters_boottime, 2);
    assert_int_equal(d->l.policy->counts.filters_disabled, 1);
}

static void an_ipv6_prefix(void **state)
{
    struct demo *d = *state;
    FWP_BYTE_ARRAY16 remote = {{0x20, 0x01, 0x0d, 0xb8, 0x0b, 0xad, [15] = 0x53}};
    struct question q = {.layer = "FWPM_LAYER_ALE_AUTH_CONNECT_V6",
                         .app = BROWSER,
                         .protocol = 17,
                         .local_port = 50000,
                         .remote_port = 53,
                         .remote_v6 = &remote};
    ask(d, &q, FWP_ACTION_BLOCK, "Contoso: no DNS to that network");
    remote.byteArray16[5] = 0xae;
    ask(d, &q, FWP_ACTION_PERMIT, "Default Outbound");
}

static void other_layers(void **state)
{
    struct demo *d = *state;
    struct question q = {
        "FWPM_LAYER_INBOUND_IPPACKET_V4", NULL, 0, V4(192, 0, 2, 66), 0, 0, 0, 0, .token = NULL};
    ask(d, &q, FWP_ACTION_BLOCK, "Contoso Agent: quarantined peer");
    q = (struct question){
        "FWPM_LAYER_ALE_RESOURCE_ASSIGNMENT_V4", BROWSER, 6, 0, 8444, 0, 0, 0, .token = NULL};
    ask(d, &q, FWP_ACTION_BLOCK, "Contoso Agent: nobody else takes the agent's port");
    q.app = AGENT;
    ask(d, &q, FWP_ACTION_PERMIT, "");
    q = (struct question){"FWPM_LAYER_ALE_AUTH_LISTEN_V4", BROWSER, 6, 0, 23, 0, 0, 0, .token = NULL};
    ask(d, &q, FWP_ACTION_BLOCK, "Contoso: no telnet servers");
    q = (struct question){ACCEPT, u"System", 1, V4(192, 0, 2, 77), 8, 0, 0, 0, .token = NULL};
    ask(d, &q, FWP_ACTION_PERMIT, "Echo Request (ICMPv4-In)");
    q.remote = V4(198, 51, 100, 9);
    ask(d, &q, FWP_ACTION_BLOCK, "Default Inbound Block");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hard_permit_stands_above_a_block),
        cmocka_unit_test(a_callout_may_veto_a_hard_permit),
        cmocka_unit_test(a_hardened_service_has_one_way_out),
        cmocka_unit_test(an_app_rule_with_a_port_range),
        cmocka_unit_test(orphaned_callouts),
        cmocka_unit_test(two_not_equal_on_one_field_spare_nobody),
        cmocka_unit_test(of_equal_weight_the_newer_is_asked_first),
        cmocka_unit_test(app_containers_need_their_capability),
        cmocka_unit_test(loopback),
        cmocka_unit_test(boot_time_and_disabled_filters_do_not_act),
        cmocka_unit_test(an_ipv6_prefix),
        cmocka_unit_test(other_layers),
    };
    return cmocka_run_group_tests_name("policy_demo", tests, setup, teardown);
}

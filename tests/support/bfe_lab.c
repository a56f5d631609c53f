/* SPDX-License-Identifier: Apache-2.0 */
/* See bfe_lab.h. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "bfe_lab.h"

static void start(struct bfe_lab *l, bool boot)
{
    assert_int_equal(engine_create(&l->engine), 0);
    assert_int_equal(engine_reader_create(l->engine, &l->reader), 0);
    l->config.boot = boot;
    assert_int_equal(bfe_create(l->engine, &l->config, &l->bfe), 0);
    l->kernel = boot ? NULL : bfe_lab_session(l, BFE_LAB_KERNEL, 0, 0);
}

static void stop(struct bfe_lab *l)
{
    bfe_session_close(l->kernel);
    bfe_destroy(l->bfe);
    engine_reader_destroy(l->reader);
    engine_destroy(l->engine);
}

void bfe_lab_open(struct bfe_lab *l, const struct bfe_config *config)
{
    SID user[2], admins[2]; /* room for two sub-authorities and more */
    SID_AND_ATTRIBUTES groups[1] = {{.Sid = admins, .Attributes = SE_GROUP_ENABLED | SE_GROUP_OWNER}};
    struct security_token_spec spec = {.user = user, .groups = groups, .group_count = 1};

    memset(l, 0, sizeof(*l));
    if (config != NULL)
        l->config = *config;
    assert_int_equal(rt_clock_manual_create(1000 * BFE_LAB_SECOND, &l->clock), 0);
    assert_int_equal(bfe_store_create(&l->store), 0);
    assert_int_equal(security_sid_parse("S-1-5-18", user, sizeof(user)), 0);
    assert_int_equal(security_sid_parse("BA", admins, sizeof(admins)), 0);
    assert_int_equal(security_token_create(&spec, &l->admin), 0);
    l->config.clock = l->clock;
    l->config.store = l->store;
    start(l, l->config.boot);
}

void bfe_lab_close(struct bfe_lab *l)
{
    stop(l);
    security_token_destroy(l->admin);
    bfe_store_destroy(l->store);
    rt_clock_manual_destroy(l->clock);
}

void bfe_lab_reboot(struct bfe_lab *l, bool boot)
{
    stop(l);
    start(l, boot);
}

int bfe_lab_setup(void **state)
{
    struct bfe_lab *l = malloc(sizeof(*l));

    bfe_lab_open(l, NULL);
    *state = l;
    return 0;
}

int bfe_lab_teardown(void **state)
{
    bfe_lab_close(*state);
    free(*state);
    return 0;
}

struct bfe_session *bfe_lab_session(struct bfe_lab *l, enum bfe_lab_flavour flavour, UINT32 flags,
                                    UINT32 wait_ms)
{
    struct bfe_caller caller = {.kernel = flavour == BFE_LAB_KERNEL};
    FWPM_SESSION0 session = {.flags = flags, .txnWaitTimeoutInMSec = wait_ms};
    struct bfe_session *s = NULL;

    if (flavour == BFE_LAB_USER)
        caller.token = security_token_blob(l->admin);
    assert_int_equal(bfe_session_open(l->bfe, &caller, &session, &s), STATUS_SUCCESS);
    assert_non_null(s);
    return s;
}

GUID bfe_lab_guid(UINT32 n)
{
    return (GUID){.Data1 = n, .Data2 = 0x1ab, .Data3 = 0x4000, .Data4 = {0x80, 1}};
}

static const WCHAR a_name[] = u"lab";

static FWPM_DISPLAY_DATA0 display(void)
{
    return (FWPM_DISPLAY_DATA0){.name = (WCHAR *)a_name};
}

static GUID key_or_zero(const GUID *key)
{
    static const GUID zero;

    return key != NULL ? *key : zero;
}

FWPM_PROVIDER0 bfe_lab_provider(const GUID *key)
{
    return (FWPM_PROVIDER0){.providerKey = key_or_zero(key), .displayData = display()};
}

FWPM_PROVIDER_CONTEXT3 bfe_lab_context(const GUID *key)
{
    static UINT8 bytes[4] = {1, 2, 3, 4};
    static FWP_BYTE_BLOB blob = {.size = 4, .data = bytes};

    return (FWPM_PROVIDER_CONTEXT3){.providerContextKey = key_or_zero(key),
                                    .displayData = display(),
                                    .type = FWPM_GENERAL_CONTEXT,
                                    .dataBuffer = &blob};
}

FWPM_SUBLAYER0 bfe_lab_sublayer(const GUID *key, UINT16 weight)
{
    return (FWPM_SUBLAYER0){.subLayerKey = key_or_zero(key), .displayData = display(), .weight = weight};
}

FWPM_CALLOUT0 bfe_lab_callout(const GUID *key, const GUID *layer)
{
    return (FWPM_CALLOUT0){
        .calloutKey = key_or_zero(key), .displayData = display(), .applicableLayer = *layer};
}

FWPM_FILTER0 bfe_lab_filter(const GUID *layer, FWP_ACTION_TYPE action)
{
    return (FWPM_FILTER0){.displayData = display(), .layerKey = *layer, .action = {.type = action}};
}

UINT64 bfe_lab_add(struct bfe_session *s, const FWPM_FILTER0 *f)
{
    UINT64 id = 0;

    assert_int_equal(bfe_filter_add(s, f, NULL, 0, &id), STATUS_SUCCESS);
    assert_true(id != 0);
    return id;
}

GUID bfe_lab_add_sublayer(struct bfe_session *s, UINT32 n, UINT16 weight)
{
    GUID key = bfe_lab_guid(n);
    FWPM_SUBLAYER0 l = bfe_lab_sublayer(&key, weight);

    assert_int_equal(bfe_sublayer_add(s, &l, NULL, 0), STATUS_SUCCESS);
    return key;
}

FWPM_FILTER_CONDITION0 bfe_lab_condition(const GUID *key, FWP_MATCH_TYPE match, FWP_CONDITION_VALUE0 value)
{
    return (FWPM_FILTER_CONDITION0){.fieldKey = *key, .matchType = match, .conditionValue = value};
}

UINT64 bfe_lab_add_port(struct bfe_session *s, UINT16 port, FWP_ACTION_TYPE action)
{
    FWPM_FILTER0 f = bfe_lab_filter(&FWPM_LAYER_ALE_AUTH_CONNECT_V4, action);
    FWPM_FILTER_CONDITION0 c = bfe_lab_condition(&FWPM_CONDITION_IP_REMOTE_PORT, FWP_MATCH_EQUAL,
                                                 (FWP_CONDITION_VALUE0){.type = FWP_UINT16, .uint16 = port});

    f.filterCondition = &c;
    f.numFilterConditions = port != 0;
    return bfe_lab_add(s, &f);
}

bool bfe_lab_has(struct bfe_session *s, UINT64 filter_id)
{
    FWPM_FILTER0 *f = NULL;
    NTSTATUS status = bfe_filter_get(s, NULL, filter_id, &f);

    if (status == STATUS_SUCCESS)
        bfe_free(f);
    else
        assert_int_equal(status, STATUS_FWP_FILTER_NOT_FOUND);
    return status == STATUS_SUCCESS;
}

static struct engine_verdict classify(struct bfe_lab *l, UINT16 layer_id, int port_field, UINT16 port)
{
    const struct engine_layer *layer = engine_layer_by_id(layer_id);
    FWPS_INCOMING_VALUE0 values[ENGINE_MAX_FIELDS];
    FWPS_INCOMING_VALUES0 incoming = {.layerId = layer_id, .incomingValue = values};
    struct engine_request q = {.values = &incoming};
    struct engine_verdict v;

    memset(values, 0, sizeof(values));
    incoming.valueCount = layer->field_count;
    for (UINT16 i = 0; i < layer->field_count; i++) {
        FWP_DATA_TYPE t = layer->fields[i].data_type;

        values[i].value.type = t == FWP_UINT8 || t == FWP_UINT16 || t == FWP_UINT32 ? t : FWP_EMPTY;
    }
    if (port_field >= 0)
        values[port_field].value.uint16 = port;
    assert_int_equal(engine_classify(l->reader, &q, &v), STATUS_SUCCESS);
    v.filter = NULL; /* no pin is held */
    return v;
}

struct engine_verdict bfe_lab_classify(struct bfe_lab *l, UINT16 layer_id)
{
    return classify(l, layer_id, -1, 0);
}

UINT64 bfe_lab_decider(struct bfe_lab *l, UINT16 remote_port, FWP_ACTION_TYPE *action)
{
    const struct engine_layer *layer = engine_layer_by_key(&FWPM_LAYER_ALE_AUTH_CONNECT_V4);
    struct engine_verdict v =
        classify(l, layer->id, engine_layer_field(layer, &FWPM_CONDITION_IP_REMOTE_PORT), remote_port);

    if (action != NULL)
        *action = v.action;
    return v.filter_id;
}

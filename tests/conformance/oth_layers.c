/* SPDX-License-Identifier: Apache-2.0 */
/* OTH-01: the layers without a packet path: filters there are stored, matched and arbitrated as elsewhere, on
 * request and with the values that come with it. (Who may ask: OTH-02; what they refuse: OTH-03.) */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "bfe/access.h"
#include "bfe_lab.h"

static const GUID *const on_request[] = {
    &FWPM_LAYER_IPSEC_KM_DEMUX_V4,
    &FWPM_LAYER_IPSEC_KM_DEMUX_V6,
    &FWPM_LAYER_IPSEC_V4,
    &FWPM_LAYER_IPSEC_V6,
    &FWPM_LAYER_IKEEXT_V4,
    &FWPM_LAYER_IKEEXT_V6,
    &FWPM_LAYER_RPC_UM,
    &FWPM_LAYER_RPC_EPMAP,
    &FWPM_LAYER_RPC_EP_ADD,
    &FWPM_LAYER_RPC_PROXY_CONN,
    &FWPM_LAYER_RPC_PROXY_IF,
    &FWPM_LAYER_KM_AUTHORIZATION,
    &FWPM_LAYER_NAME_RESOLUTION_CACHE_V4,
    &FWPM_LAYER_NAME_RESOLUTION_CACHE_V6,
};

/* The first field of the layer that is a 32-bit or an 8-bit number, else of a blob (IPSEC_*, IKEEXT:
 * addresses). */
static UINT16 field_to_ask(const struct engine_layer *layer, FWP_DATA_TYPE *type)
{
    static const FWP_DATA_TYPE types[] = {FWP_UINT32, FWP_UINT8, FWP_BYTE_BLOB_TYPE, FWP_BYTE_ARRAY16_TYPE};

    for (size_t t = 0; t < sizeof(types) / sizeof(types[0]); t++)
        for (UINT16 i = 0; i < layer->field_count; i++)
            if (layer->fields[i].data_type == types[t]) {
                *type = types[t];
                return i;
            }
    fail_msg("layer %u", layer->id);
    return 0;
}

static void OTH_01_asked_on_request(void **state)
{
    struct bfe_lab *l = *state;
    GUID heavy = bfe_lab_add_sublayer(l->kernel, 1, 0xffff);
    FWP_BYTE_ARRAY16 ones[2] = {{{1}}, {{2}}};
    UINT8 bytes[2] = {1, 2};
    FWP_BYTE_BLOB blobs[2] = {{1, &bytes[0]}, {1, &bytes[1]}};

    for (size_t i = 0; i < sizeof(on_request) / sizeof(on_request[0]); i++) {
        const struct engine_layer *layer = engine_layer_by_key(on_request[i]);
        FWPS_INCOMING_VALUE0 values[ENGINE_MAX_FIELDS] = {{{0}}};
        FWPS_INCOMING_VALUES0 incoming = {layer->id, layer->field_count, values};
        struct engine_request q = {.values = &incoming};
        FWPM_FILTER0 f = bfe_lab_filter(on_request[i], FWP_ACTION_BLOCK), *got;
        FWP_CONDITION_VALUE0 one = {0};
        FWPM_FILTER_CONDITION0 c;
        struct engine_verdict v;
        UINT64 block, permit;
        UINT16 field = field_to_ask(layer, &one.type);

        assert_int_equal(bfe_classify(l->kernel, l->reader, &q, &v), STATUS_SUCCESS);
        assert_true(v.action == FWP_ACTION_PERMIT && v.filter_id == 0); /* nobody said anything */
        block = bfe_lab_add(l->kernel, &f);
        assert_int_equal(bfe_filter_get(l->kernel, NULL, block, &got), STATUS_SUCCESS);
        assert_memory_equal(&got->layerKey, on_request[i], sizeof(GUID));
        bfe_free(got);
        /* A hard permit in a heavier sublayer, for one value of one field. */
        if (one.type == FWP_BYTE_BLOB_TYPE)
            one.byteBlob = &blobs[0];
        else if (one.type == FWP_BYTE_ARRAY16_TYPE)
            one.byteArray16 = &ones[0];
        else
            one.uint32 = 1;
        c = bfe_lab_condition(layer->fields[field].key, FWP_MATCH_EQUAL, one);
        f.action.type = FWP_ACTION_PERMIT;
        f.flags = FWPM_FILTER_FLAG_CLEAR_ACTION_RIGHT;
        f.subLayerKey = heavy;
        f.filterCondition = &c;
        f.numFilterConditions = 1;
        permit = bfe_lab_add(l->kernel, &f);
        for (UINT32 k = 0; k < 2; k++) {
            values[field].value.type = one.type;
            if (one.type == FWP_BYTE_BLOB_TYPE)
                values[field].value.byteBlob = &blobs[k];
            else if (one.type == FWP_BYTE_ARRAY16_TYPE)
                values[field].value.byteArray16 = &ones[k];
            else
                values[field].value.uint32 = k + 1;
            assert_int_equal(bfe_classify(l->kernel, l->reader, &q, &v), STATUS_SUCCESS);
            assert_true(v.filter_id == (k == 0 ? permit : block));
            assert_int_equal(v.action, k == 0 ? FWP_ACTION_PERMIT : FWP_ACTION_BLOCK);
        }
    }
}

/* Everywhere else packets, streams or requests come to the engine by themselves. */
static void OTH_01_these_layers_and_no_others(void **state)
{
    struct bfe_lab *l = *state;
    FWPS_INCOMING_VALUE0 values[ENGINE_MAX_FIELDS] = {{{0}}};

    for (UINT16 id = 0; id < ENGINE_LAYER_COUNT; id++) {
        const struct engine_layer *layer = engine_layer_by_id(id);
        FWPS_INCOMING_VALUES0 incoming = {id, layer->field_count, values};
        struct engine_request q = {.values = &incoming};
        struct engine_verdict v;
        bool listed = false;

        for (size_t i = 0; i < sizeof(on_request) / sizeof(on_request[0]); i++)
            listed = listed || memcmp(layer->key, on_request[i], sizeof(GUID)) == 0;
        assert_int_equal(bfe_classify(l->kernel, l->reader, &q, &v),
                         listed ? STATUS_SUCCESS : STATUS_FWP_INCOMPATIBLE_LAYER);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bfe_lab_setup, bfe_lab_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(OTH_01_asked_on_request),
        TEST(OTH_01_these_layers_and_no_others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What tests of events and audit share: see events_lab.h. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "events_lab.h"

/* ---- traffic ------------------------------------------------------------------------------------------- */

void traffic_at(struct traffic *t, struct bfe_lab *l, UINT16 layer_id)
{
    const struct engine_layer *layer = engine_layer_by_id(layer_id);

    memset(t, 0, sizeof(*t));
    t->l = l;
    t->incoming = (FWPS_INCOMING_VALUES0){layer_id, layer->field_count, t->values};
    for (UINT16 i = 0; i < layer->field_count; i++) {
        FWP_DATA_TYPE type = layer->fields[i].data_type;
        t->values[i].value.type =
            type == FWP_UINT8 || type == FWP_UINT16 || type == FWP_UINT32 ? type : FWP_EMPTY;
    }
}

FWP_VALUE0 *traffic_value(struct traffic *t, const GUID *key)
{
    int index = engine_layer_field(engine_layer_by_id(t->incoming.layerId), key);

    assert_true(index >= 0);
    return &t->values[index].value;
}

FWP_ACTION_TYPE traffic_classify(struct traffic *t)
{
    struct engine_request q = {.values = &t->incoming, .metadata = &t->metadata};

    assert_int_equal(engine_classify(t->l->reader, &q, &t->verdict), STATUS_SUCCESS);
    return t->verdict.action;
}

const FWP_BYTE_BLOB traffic_app = {8, (UINT8 *)"\\\0a\0b\0\0"};

void traffic_connection(struct traffic *t, struct bfe_lab *l)
{
    traffic_at(t, l, FWPS_LAYER_ALE_AUTH_CONNECT_V4);
    traffic_value(t, &FWPM_CONDITION_IP_LOCAL_ADDRESS)->uint32 = 0x0a000001;
    traffic_value(t, &FWPM_CONDITION_IP_REMOTE_ADDRESS)->uint32 = 0x0a000002;
    traffic_value(t, &FWPM_CONDITION_IP_LOCAL_PORT)->uint16 = 1000;
    traffic_value(t, &FWPM_CONDITION_IP_REMOTE_PORT)->uint16 = 80;
    traffic_value(t, &FWPM_CONDITION_IP_PROTOCOL)->uint8 = 6;
    *traffic_value(t, &FWPM_CONDITION_ALE_APP_ID) =
        (FWP_VALUE0){.type = FWP_BYTE_BLOB_TYPE, .byteBlob = (FWP_BYTE_BLOB *)&traffic_app};
    *traffic_value(t, &FWPM_CONDITION_ALE_USER_ID) =
        (FWP_VALUE0){.type = FWP_TOKEN_ACCESS_INFORMATION_TYPE,
                     .tokenAccessInformation = (FWP_BYTE_BLOB *)security_token_blob(l->admin)};
}

/* ---- the log ------------------------------------------------------------------------------------------- */

UINT32 events_read(struct bfe_lab *l, const FWPM_NET_EVENT_ENUM_TEMPLATE0 *tmpl, struct bfe_net_event ***out)
{
    struct bfe_enum *e = NULL;
    UINT32 count;

    assert_int_equal(bfe_enum_create(l->kernel, BFE_NET_EVENT, tmpl, &e), STATUS_SUCCESS);
    assert_int_equal(bfe_enum_next(l->kernel, e, 10000, (void ***)out, &count), STATUS_SUCCESS);
    assert_int_equal(bfe_enum_destroy(l->kernel, e), STATUS_SUCCESS);
    return count;
}

UINT32 events_count(struct bfe_lab *l)
{
    struct bfe_net_event **all;
    UINT32 n = events_read(l, NULL, &all);

    bfe_free(all);
    return n;
}

NTSTATUS events_option(struct bfe_session *s, FWPM_ENGINE_OPTION option, UINT32 number)
{
    FWP_VALUE0 v = {.type = FWP_UINT32, .uint32 = number};

    return bfe_option_set(s, option, &v);
}

/* ---- a callout that blocks ----------------------------------------------------------------------------- */

static UINT32 answer_flags;

void events_answer(UINT32 flags)
{
    answer_flags = flags;
}

static void block(const FWPS_INCOMING_VALUES0 *values, const FWPS_INCOMING_METADATA_VALUES0 *metadata,
                  void *data, const void *context, const FWPS_FILTER1 *filter, UINT64 flow,
                  FWPS_CLASSIFY_OUT0 *out)
{
    (void)values, (void)metadata, (void)data, (void)context, (void)filter, (void)flow;
    out->actionType = FWP_ACTION_BLOCK;
    out->rights &= ~(UINT32)FWPS_RIGHT_ACTION_WRITE;
    out->flags |= answer_flags;
}

UINT64 events_blocking_callout(struct bfe_lab *l, const GUID *layer, UINT16 sublayer_weight)
{
    GUID key = bfe_lab_guid(500);
    FWPM_CALLOUT0 c = bfe_lab_callout(&key, layer);
    FWPM_FILTER0 f = bfe_lab_filter(layer, FWP_ACTION_CALLOUT_TERMINATING);
    struct engine_callout run = {.key = key, .version = 1, .classify.v1 = block};

    f.subLayerKey = bfe_lab_add_sublayer(l->kernel, 501, sublayer_weight);
    f.action.calloutKey = key;
    assert_int_equal(bfe_callout_add(l->kernel, &c, NULL, 0, NULL), STATUS_SUCCESS);
    assert_int_equal(engine_callout_register(l->engine, &run), 0);
    return bfe_lab_add(l->kernel, &f);
}

/* ---- who hears ----------------------------------------------------------------------------------------- */

void events_on_audit(void *ctx, const struct bfe_audit_record *r)
{
    struct events_audited *a = ctx;

    if (a->count == 32)
        return;
    a->id[a->count] = r->id;
    a->kind[a->count] = r->kind;
    a->added[a->count] = r->added;
    a->named[a->count] = r->name && r->name[0] == 'l'; /* "lab" */
    if (r->event)
        a->filter[a->count] = r->event->event.type == FWPM_NET_EVENT_TYPE_CLASSIFY_ALLOW
                                  ? r->event->event.classifyAllow->filterId
                                  : r->event->event.classifyDrop->filterId;
    a->count++;
}

void events_on_event(void *context, const FWPM_NET_EVENT5 *event)
{
    struct events_heard *h = context;

    h->type = event->type;
    h->filter = event->type == FWPM_NET_EVENT_TYPE_CLASSIFY_DROP ? event->classifyDrop->filterId : 0;
    h->count++;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fwpmk.h"
#include "fwpsk.h"

#include "driver_lab.h"

static struct driver_lab *open_lab; /* callouts are called without a pointer of ours */

static struct driver_lab_script *script_of(UINT32 callout_id)
{
    for (unsigned i = 0; open_lab != NULL && i < open_lab->script_count; i++)
        if (open_lab->scripts[i]->id == callout_id)
            return open_lab->scripts[i];
    return NULL;
}

static void NTAPI classify(const FWPS_INCOMING_VALUES0 *values,
                           const FWPS_INCOMING_METADATA_VALUES0 *metadata, void *layer_data,
                           const void *classify_context, const FWPS_FILTER1 *filter, UINT64 flow_context,
                           FWPS_CLASSIFY_OUT0 *out)
{
    struct driver_lab_script *s = script_of(filter->action.calloutId);
    struct driver_lab_call c = {.values = values,
                                .metadata = metadata,
                                .packet = layer_data,
                                .classify_context = classify_context,
                                .filter = filter,
                                .flow_context = flow_context,
                                .out = out};

    assert_non_null(s);
    assert_ptr_equal(rt_current(), api_rt(s->lab->context));
    c.lab = s->lab;
    __atomic_fetch_add(&s->calls, 1, __ATOMIC_RELAXED); /* classifies run together (IRQL-06) */
    __atomic_store_n(&s->irql, rt_carried()->irql, __ATOMIC_RELAXED);
    __atomic_store_n(&s->last_context, flow_context, __ATOMIC_RELAXED);
    if (s->action != 0)
        out->actionType = s->action;
    out->flags |= s->flags;
    if (s->clear_write)
        out->rights &= ~(UINT32)FWPS_RIGHT_ACTION_WRITE;
    if (s->then != NULL)
        s->then(s, &c);
}

static NTSTATUS NTAPI notified(FWPS_CALLOUT_NOTIFY_TYPE type, const GUID *key, FWPS_FILTER1 *filter)
{
    struct driver_lab_script *s = script_of(filter->action.calloutId);

    if (s == NULL)
        return STATUS_SUCCESS;
    if (type == FWPS_CALLOUT_NOTIFY_ADD_FILTER) {
        s->added++;
        assert_non_null(key);
        filter->context = s->added;
    } else if (type == FWPS_CALLOUT_NOTIFY_DELETE_FILTER) {
        s->deleted++;
        s->delete_had_key |= key != NULL;
        s->deleted_filter_context = filter->context;
    }
    if (s->notified_then != NULL)
        s->notified_then(s, type, filter);
    return type == FWPS_CALLOUT_NOTIFY_ADD_FILTER ? s->notify_status : STATUS_UNSUCCESSFUL; /* ignored */
}

static void NTAPI flow_deleted(UINT16 layer, UINT32 callout_id, UINT64 context)
{
    struct driver_lab_script *s = script_of(callout_id);

    (void)layer;
    assert_non_null(s);
    assert_ptr_equal(rt_current(), api_rt(s->lab->context));
    s->contexts_deleted++;
    if (s->deleted_then != NULL)
        s->deleted_then(s, context);
}

static void found(void *ctx, const struct ledger_finding *f)
{
    struct driver_lab *l = ctx;

    l->found[f->fault]++;
    snprintf(l->last, sizeof(l->last), "%s", f->text != NULL ? f->text : ledger_kind_name(f->kind));
}

void driver_lab_open(struct driver_lab *l, const struct host_config *config)
{
    struct ledger_config ledger = {.clock = rt_clock_real(), .found = found, .ctx = l};
    struct host_config host = {0};
    struct api_config api;

    memset(l, 0, sizeof(*l));
    open_lab = l;
    bfe_lab_open(&l->bfe, NULL);
    if (config != NULL)
        host = *config;
    host.engine = l->bfe.engine;
    host_lab_open(&l->host, &host);
    api = (struct api_config){.engine = l->bfe.engine, .bfe = l->bfe.bfe, .host = l->host.host};
    assert_int_equal(api_context_create(&api, &l->context), 0);
    assert_int_equal(ledger_create(&ledger, &l->ledger), 0);
    api_rt(l->context)->party = ledger_party_add(l->ledger, "driver");
    assert_non_null(api_rt(l->context)->party);
    api_set_current(l->context);
    assert_int_equal(FwpmEngineOpen0(NULL, RPC_C_AUTHN_WINNT, NULL, NULL, &l->engine), STATUS_SUCCESS);
}

void driver_lab_close(struct driver_lab *l)
{
    for (unsigned i = 0; i < l->script_count; i++) {
        struct driver_lab_script *s = l->scripts[i];
        NTSTATUS status;

        if (s->filter_id != 0)
            FwpmFilterDeleteById0(l->engine, s->filter_id);
        if (s->id == 0)
            continue;
        status = FwpsCalloutUnregisterById0(s->id);
        if (status == STATUS_DEVICE_BUSY) { /* flows still carry contexts: they end now */
            host_shutdown(l->host.host);
            status = FwpsCalloutUnregisterById0(s->id);
        }
        assert_true(status == STATUS_SUCCESS || status == STATUS_FWP_CALLOUT_NOT_FOUND);
    }
    assert_int_equal(FwpmEngineClose0(l->engine), STATUS_SUCCESS);
    api_set_current(NULL);
    api_context_destroy(l->context);
    host_lab_close(&l->host);
    bfe_lab_close(&l->bfe);
    ledger_destroy(l->ledger);
    open_lab = NULL;
    for (unsigned i = 0; i < l->script_count; i++)
        free(l->scripts[i]);
}

int driver_lab_setup(void **state)
{
    struct driver_lab *l = calloc(1, sizeof(*l));

    assert_non_null(l);
    driver_lab_open(l, NULL);
    *state = l;
    return 0;
}

int driver_lab_teardown(void **state)
{
    driver_lab_close(*state);
    free(*state);
    return 0;
}

static const GUID *layer_key(const char *name)
{
    return engine_layer_by_id(host_lab_layer(name))->key;
}

struct driver_lab_script *driver_lab_script(struct driver_lab *l, const struct driver_lab_script *s)
{
    struct driver_lab_script *own = malloc(sizeof(*own));

    assert_non_null(own);
    assert_true(l->script_count < 16);
    *own = *s;
    own->key = bfe_lab_guid(0xca110 + l->script_count);
    l->scripts[l->script_count++] = own;
    return own;
}

NTSTATUS driver_lab_register(struct driver_lab *l, struct driver_lab_script *s)
{
    FWPS_CALLOUT1 c = {.flags = s->callout_flags, .classifyFn = classify, .notifyFn = notified};

    c.calloutKey = s->key;
    if (!s->no_flow_delete)
        c.flowDeleteFn = flow_deleted;
    return FwpsCalloutRegister1(&l->device, &c, &s->id);
}

void driver_lab_add_half(struct driver_lab *l, const char *layer, struct driver_lab_script *s)
{
    FWPM_CALLOUT0 half;

    half = bfe_lab_callout(&s->key, layer_key(layer));
    assert_int_equal(FwpmCalloutAdd0(l->engine, &half, NULL, NULL), STATUS_SUCCESS);
}

NTSTATUS driver_lab_add_filter(struct driver_lab *l, const char *layer, struct driver_lab_script *s)
{
    FWPM_FILTER0 f =
        bfe_lab_filter(layer_key(layer), s->type != 0 ? s->type : FWP_ACTION_CALLOUT_TERMINATING);

    f.action.calloutKey = s->key;
    if (s->sublayer != 0) {
        const GUID key = {0x7375626c, s->sublayer, 0x6179, {1}};
        FWPM_SUBLAYER0 sublayer = bfe_lab_sublayer(&key, s->sublayer);
        const NTSTATUS added = FwpmSubLayerAdd0(l->engine, &sublayer, NULL);

        assert_true(added == STATUS_SUCCESS || added == STATUS_FWP_ALREADY_EXISTS);
        f.subLayerKey = key;
    }
    return FwpmFilterAdd0(l->engine, &f, NULL, &s->filter_id);
}

void driver_lab_callout(struct driver_lab *l, const char *layer, struct driver_lab_script *s)
{
    assert_int_equal(driver_lab_register(l, s), STATUS_SUCCESS);
    driver_lab_add_half(l, layer, s);
    assert_int_equal(driver_lab_add_filter(l, layer, s), STATUS_SUCCESS);
}

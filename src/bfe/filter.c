/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filters: what may be added (OBJ-13..19, 25..33, MATCH-05..10) and the form in which the engine runs them.
 *
 * A filter is stored as its caller gave it, with key, sublayer, filterId and effectiveWeight filled in. What
 * the engine gets is made at once, so that whatever cannot run is refused by the call that adds it and not by
 * a later commit; it is given to the engine at commit.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bfe/callouts.h"
#include "bfe/check.h"
#include "bfe/filter.h"

#define ALLOWED_FLAGS                                                                                        \
    (FWPM_FILTER_FLAG_PERSISTENT | FWPM_FILTER_FLAG_BOOTTIME | FWPM_FILTER_FLAG_HAS_PROVIDER_CONTEXT |       \
     FWPM_FILTER_FLAG_CLEAR_ACTION_RIGHT | FWPM_FILTER_FLAG_PERMIT_IF_CALLOUT_UNREGISTERED |                 \
     FWPM_FILTER_FLAG_INDEXED | FWPM_FILTER_FLAG_HAS_SECURITY_REALM_PROVIDER_CONTEXT |                       \
     FWPM_FILTER_FLAG_SYSTEMOS_ONLY | FWPM_FILTER_FLAG_GAMEOS_ONLY | FWPM_FILTER_FLAG_SILENT_MODE |          \
     FWPM_FILTER_FLAG_IPSEC_NO_ACQUIRE_INITIATE) /* DISABLED is only ever reported */

static bool is_callout_action(FWP_ACTION_TYPE type)
{
    return type == FWP_ACTION_CALLOUT_TERMINATING || type == FWP_ACTION_CALLOUT_INSPECTION ||
           type == FWP_ACTION_CALLOUT_UNKNOWN;
}

static void fail(struct bfe_adding *a, NTSTATUS status)
{
    if (a->status == STATUS_SUCCESS)
        a->status = status;
}

static void check_flags(struct bfe_adding *a, UINT32 flags)
{
    const UINT32 both = FWPM_FILTER_FLAG_PERSISTENT | FWPM_FILTER_FLAG_BOOTTIME;

    bfe_check_flags(a, flags, ALLOWED_FLAGS);
    if ((flags & both) == both)
        fail(a, STATUS_FWP_INVALID_FLAGS); /* OBJ-30 */
}

/* OBJ-26, OTH-03: what may be done at all, here, and in this sublayer. */
static void check_action(struct bfe_adding *a, const FWPM_FILTER0 *f, const struct engine_layer *layer)
{
    bool callout = is_callout_action(f->action.type);

    if (f->action.type != FWP_ACTION_BLOCK && f->action.type != FWP_ACTION_PERMIT && !callout)
        fail(a, STATUS_FWP_INVALID_ACTION_TYPE);
    if (layer->user_mode && callout)
        fail(a, STATUS_FWP_ACTION_INCOMPATIBLE_WITH_LAYER);
    if (layer->user_mode && (f->flags & FWPM_FILTER_FLAG_BOOTTIME) != 0)
        fail(a, STATUS_FWP_INCOMPATIBLE_LAYER);
    if (f->action.type != FWP_ACTION_CALLOUT_INSPECTION &&
        memcmp(&f->subLayerKey, &FWPM_SUBLAYER_INSPECTION, sizeof(GUID)) == 0)
        fail(a, STATUS_FWP_ACTION_INCOMPATIBLE_WITH_SUBLAYER);
}

static void check_conditions(struct bfe_adding *a, const FWPM_FILTER0 *f, const struct engine_layer *layer)
{
    if (f->numFilterConditions != 0 && f->filterCondition == NULL)
        fail(a, STATUS_FWP_NULL_POINTER);
    for (UINT32 i = 0; i < f->numFilterConditions && a->status == STATUS_SUCCESS; i++) {
        const FWPM_FILTER_CONDITION0 *c = &f->filterCondition[i];
        int index = engine_layer_field(layer, &c->fieldKey);

        if (index < 0) {
            fail(a, STATUS_FWP_CONDITION_NOT_FOUND);
            break;
        }
        if ((UINT32)c->matchType >= FWP_MATCH_TYPE_MAX)
            fail(a, STATUS_FWP_INVALID_ENUMERATOR);
        bfe_check_condition_value(a, &c->conditionValue);
        if (a->status == STATUS_SUCCESS)
            a->status = engine_condition_check(&layer->fields[index], c->matchType, &c->conditionValue);
    }
}

/* Windows' own callouts that hand classify options to the stack understand no other kind of context. */
static bool sets_options(const GUID *callout)
{
    static const GUID *const keys[] = {
        &FWPM_CALLOUT_SET_OPTIONS_AUTH_CONNECT_LAYER_V4,
        &FWPM_CALLOUT_SET_OPTIONS_AUTH_CONNECT_LAYER_V6,
        &FWPM_CALLOUT_SET_OPTIONS_AUTH_RECV_ACCEPT_LAYER_V4,
        &FWPM_CALLOUT_SET_OPTIONS_AUTH_RECV_ACCEPT_LAYER_V6,
    };

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (memcmp(keys[i], callout, sizeof(*callout)) == 0)
            return true;
    }
    return false;
}

/* The layers whose filters carry IPsec and IKE policies, and nothing else, as contexts. */
static bool wants_ipsec_policy(const struct engine_layer *layer)
{
    static const GUID *const keys[] = {
        &FWPM_LAYER_IPSEC_KM_DEMUX_V4, &FWPM_LAYER_IPSEC_KM_DEMUX_V6, &FWPM_LAYER_IPSEC_V4,
        &FWPM_LAYER_IPSEC_V6,          &FWPM_LAYER_IKEEXT_V4,         &FWPM_LAYER_IKEEXT_V6,
    };

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (memcmp(keys[i], layer->key, sizeof(GUID)) == 0)
            return true;
    }
    return false;
}

static bool is_ipsec_context(FWPM_PROVIDER_CONTEXT_TYPE type)
{
    return type != FWPM_GENERAL_CONTEXT && type != FWPM_CLASSIFY_OPTIONS_CONTEXT &&
           type != FWPM_NETWORK_CONNECTION_POLICY_CONTEXT;
}

/* OBJ-28: a raw context, or a provider context of a kind that callout and layer understand. */
static void check_context(struct bfe_adding *a, const FWPM_FILTER0 *f, const struct engine_layer *layer)
{
    const struct bfe_object *callout = a->ref[BFE_REF_CALLOUT], *context;

    if ((f->flags & FWPM_FILTER_FLAG_HAS_PROVIDER_CONTEXT) == 0) {
        if (f->rawContext != 0 && callout != NULL &&
            (callout->callout->flags & FWPM_CALLOUT_FLAG_USES_PROVIDER_CONTEXT) != 0)
            fail(a, STATUS_FWP_CONTEXT_INCOMPATIBLE_WITH_CALLOUT);
        if (f->rawContext != 0 && wants_ipsec_policy(layer))
            fail(a, STATUS_FWP_CONTEXT_INCOMPATIBLE_WITH_LAYER);
        return;
    }
    context = bfe_check_ref(a, BFE_REF_CONTEXT, &f->providerContextKey);
    if (context == NULL)
        return;
    if (callout != NULL && sets_options(&callout->key) &&
        context->context->type != FWPM_CLASSIFY_OPTIONS_CONTEXT)
        fail(a, STATUS_FWP_PROVIDER_CONTEXT_MISMATCH);
    if (is_ipsec_context(context->context->type) != wants_ipsec_policy(layer))
        fail(a, STATUS_FWP_CONTEXT_INCOMPATIBLE_WITH_LAYER);
}

static void check_references(struct bfe_adding *a, const FWPM_FILTER0 *f, const struct engine_layer *layer)
{
    const struct bfe_object *callout;

    bfe_check_layer_link(a, layer);
    bfe_check_provider(a, f->providerKey);
    bfe_check_ref(a, BFE_REF_SUBLAYER, &f->subLayerKey);
    if (is_callout_action(f->action.type)) {
        callout = bfe_check_ref(a, BFE_REF_CALLOUT, &f->action.calloutKey);
        if (callout != NULL && memcmp(&callout->callout->applicableLayer, layer->key, sizeof(GUID)) != 0)
            fail(a, STATUS_FWP_INCOMPATIBLE_LAYER); /* OBJ-25 */
    }
    check_context(a, f, layer);
}

NTSTATUS bfe_filter_add(struct bfe_session *s, const FWPM_FILTER0 *f, const void *sd, size_t sd_size,
                        UINT64 *id)
{
    const struct engine_layer *layer;
    struct bfe_object *o = NULL;
    struct bfe_adding a;
    FWPM_FILTER0 own;
    UINT64 weight = 0;
    NTSTATUS status;
    size_t mark;

    if (s == NULL || f == NULL)
        return STATUS_FWP_NULL_POINTER;
    status = bfe_enter_write(s, &mark);
    if (status != STATUS_SUCCESS)
        return status;
    own = *f;
    bfe_adding_begin(&a, s, BFE_FILTER,
                     (f->flags & (FWPM_FILTER_FLAG_PERSISTENT | FWPM_FILTER_FLAG_BOOTTIME)) != 0);
    check_flags(&a, f->flags);
    bfe_check_display(&a, &f->displayData);
    bfe_check_blob(&a, &f->providerData);
    bfe_check_sd(&a, sd, sd_size);
    if (f->reserved != NULL)
        fail(&a, STATUS_FWP_RESERVED);
    layer = engine_layer_by_key(&f->layerKey);
    if (layer == NULL)
        fail(&a, STATUS_FWP_LAYER_NOT_FOUND);
    if (a.status == STATUS_SUCCESS && layer != NULL) {
        if (bfe_guid_is_zero(&own.subLayerKey))
            own.subLayerKey = FWPM_SUBLAYER_UNIVERSAL; /* OBJ-19 */
        check_action(&a, &own, layer);
        check_conditions(&a, f, layer);
        if (a.status == STATUS_SUCCESS)
            a.status = bfe_weight_effective(layer, f, &weight);
        check_references(&a, &own, layer);
    }
    bfe_check_key(&a, &own.filterKey);
    own.filterId = a.status == STATUS_SUCCESS ? s->bfe->next_filter_id++ : 0;
    own.effectiveWeight = (FWP_VALUE0){.type = FWP_UINT64, .uint64 = &weight};
    status = bfe_add(&a, &own, &own.filterKey, own.filterId, sd, sd_size, &o);
    if (status == STATUS_SUCCESS)
        status = bfe_filter_prepare(s->bfe, o);
    if (status == STATUS_SUCCESS)
        status = bfe_callouts_tell_added(s->bfe, o, false);
    status = bfe_leave_write(s, mark, status);
    if (status == STATUS_SUCCESS && id != NULL)
        *id = own.filterId;
    return status;
}

NTSTATUS bfe_filter_delete(struct bfe_session *s, const GUID *key, UINT64 id)
{
    return bfe_delete(s, BFE_FILTER, key, id);
}

NTSTATUS bfe_filter_get(struct bfe_session *s, const GUID *key, UINT64 id, FWPM_FILTER0 **out)
{
    return bfe_get(s, BFE_FILTER, key, id, (void **)out);
}

/* ---- the form in the engine ------------------------------------------------------------------- */

static UINT16 running_flags(UINT32 flags)
{
    static const struct {
        UINT32 fwpm;
        UINT16 fwps;
    } map[] = {
        {FWPM_FILTER_FLAG_CLEAR_ACTION_RIGHT, FWPS_FILTER_FLAG_CLEAR_ACTION_RIGHT},
        {FWPM_FILTER_FLAG_PERMIT_IF_CALLOUT_UNREGISTERED, FWPS_FILTER_FLAG_PERMIT_IF_CALLOUT_UNREGISTERED},
        {FWPM_FILTER_FLAG_HAS_SECURITY_REALM_PROVIDER_CONTEXT,
         FWPS_FILTER_FLAG_HAS_SECURITY_REALM_PROVIDER_CONTEXT},
        {FWPM_FILTER_FLAG_SILENT_MODE, FWPS_FILTER_FLAG_SILENT_MODE},
        {FWPM_FILTER_FLAG_IPSEC_NO_ACQUIRE_INITIATE, FWPS_FILTER_FLAG_IPSEC_NO_ACQUIRE_INITIATE},
    };
    UINT16 out = 0;

    for (size_t i = 0; i < sizeof(map) / sizeof(map[0]); i++) {
        if ((flags & map[i].fwpm) != 0)
            out |= map[i].fwps;
    }
    return out;
}

/* Conditions with field indexes; sets OR when a field comes twice (MATCH-03). */
static NTSTATUS running_conditions(const FWPM_FILTER0 *f, const struct engine_layer *layer,
                                   FWPS_FILTER_CONDITION0 *out, UINT16 *flags)
{
    UINT64 seen = 0; /* a bit a field: ENGINE_MAX_FIELDS is 64 */

    for (UINT32 i = 0; i < f->numFilterConditions; i++) {
        int index = engine_layer_field(layer, &f->filterCondition[i].fieldKey);

        if (index < 0)
            return STATUS_FWP_CONDITION_NOT_FOUND;
        if ((seen >> index & 1) != 0)
            *flags |= FWPS_FILTER_FLAG_OR_CONDITIONS;
        seen |= (UINT64)1 << index;
        out[i] = (FWPS_FILTER_CONDITION0){
            .fieldId = (UINT16)index,
            .matchType = f->filterCondition[i].matchType,
            .conditionValue = f->filterCondition[i].conditionValue,
        };
    }
    return STATUS_SUCCESS;
}

static bool acts_now(const struct bfe *b, const FWPM_FILTER0 *f)
{
    if ((f->flags & FWPM_FILTER_FLAG_DISABLED) != 0)
        return false;
    return ((f->flags & FWPM_FILTER_FLAG_BOOTTIME) != 0) == (b->service == BFE_BOOTING);
}

/* A context is handed to callouts that asked for it only; a copy, because the engine may keep the filter
 * longer. */
static NTSTATUS running_context(const struct bfe_object *o, FWPS_FILTER3 *fwps,
                                struct engine_filter_desc *desc)
{
    const struct bfe_object *callout = o->ref[BFE_REF_CALLOUT], *context = o->ref[BFE_REF_CONTEXT];

    if ((o->filter->flags & FWPM_FILTER_FLAG_HAS_PROVIDER_CONTEXT) == 0) {
        fwps->context = o->filter->rawContext;
        return STATUS_SUCCESS;
    }
    if (callout == NULL || context == NULL ||
        (callout->callout->flags & FWPM_CALLOUT_FLAG_USES_PROVIDER_CONTEXT) == 0)
        return STATUS_SUCCESS;
    fwps->providerContext = bfe_copy(BFE_PROVIDER_CONTEXT, context->context);
    if (fwps->providerContext == NULL)
        return STATUS_NO_MEMORY;
    desc->owner = fwps->providerContext;
    desc->release = bfe_free;
    return STATUS_SUCCESS;
}

#define ON_STACK 32 /* conditions; nearly every filter has fewer */

NTSTATUS bfe_filter_prepare(struct bfe *b, struct bfe_object *o)
{
    const FWPM_FILTER0 *f = o->filter;
    const struct bfe_object *sublayer = o->ref[BFE_REF_SUBLAYER], *callout = o->ref[BFE_REF_CALLOUT];
    const struct engine_layer *layer = engine_layer_by_key(&f->layerKey);
    FWPS_FILTER_CONDITION0 some[ON_STACK], *conditions = some;
    struct engine_filter_desc desc;
    FWPS_FILTER3 fwps;
    NTSTATUS status;
    int rc;

    if (layer == NULL)
        return STATUS_FWP_LAYER_NOT_FOUND;
    if (!acts_now(b, f))
        return STATUS_SUCCESS;
    if (f->numFilterConditions > ON_STACK) {
        conditions = malloc(f->numFilterConditions * sizeof(*conditions));
        if (conditions == NULL)
            return STATUS_NO_MEMORY;
    }
    fwps = (FWPS_FILTER3){
        .filterId = f->filterId,
        .weight = f->effectiveWeight,
        .subLayerWeight = sublayer != NULL ? sublayer->sublayer->weight : 0,
        .flags = running_flags(f->flags),
        .numFilterConditions = f->numFilterConditions,
        .filterCondition = conditions,
        .action = {.type = f->action.type, .calloutId = callout != NULL ? (UINT32)callout->id : 0},
    };
    desc = (struct engine_filter_desc){
        .layer_id = layer->id,
        .fwps = &fwps,
        .filter_key = o->key,
        .sublayer_key = f->subLayerKey,
        .sublayer_seq = sublayer != NULL ? sublayer->seq : 0,
    };
    if (is_callout_action(f->action.type))
        desc.callout_key = f->action.calloutKey;
    status = running_conditions(f, layer, conditions, &fwps.flags);
    if (status == STATUS_SUCCESS)
        status = running_context(o, &fwps, &desc);
    if (status == STATUS_SUCCESS) {
        rc = engine_filter_create(&desc, &o->running);
        if (rc != 0) {
            bfe_free(desc.owner);
            status = rc == -ENOMEM ? STATUS_NO_MEMORY : STATUS_FWP_INVALID_PARAMETER;
        }
    }
    if (conditions != some)
        free(conditions);
    return status;
}

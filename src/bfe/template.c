/* SPDX-License-Identifier: Apache-2.0 */
/*
 * template: see template.h.
 *
 * What the documentation leaves open, and how it is here:
 * - no template: all filters, boot-time and disabled ones too; a template without flags leaves those two out.
 * - a zero layerKey admits every layer; conditions then have no layer to be read by:
 * STATUS_FWP_LAYER_NOT_FOUND.
 * - duplicate conditions in a template are an error although in a filter they are alternatives.
 */
#include "bfe/template.h"

#include <stdlib.h>
#include <string.h>

#include "bfe/valueset.h"

#define FILTER_FLAGS                                                                                         \
    (FWP_FILTER_ENUM_FLAG_BEST_TERMINATING_MATCH | FWP_FILTER_ENUM_FLAG_SORTED |                             \
     FWP_FILTER_ENUM_FLAG_BOOTTIME_ONLY | FWP_FILTER_ENUM_FLAG_INCLUDE_BOOTTIME |                            \
     FWP_FILTER_ENUM_FLAG_INCLUDE_DISABLED | FWP_FILTER_ENUM_FLAG_RESERVED1)

struct template
{
    enum bfe_kind kind;
    bool any;   /* there was none */
    bool brief; /* the caller's outlives it */
    union {
        UINT64 reserved;
        FWPM_PROVIDER_CONTEXT_ENUM_TEMPLATE0 context;
        FWPM_SUBLAYER_ENUM_TEMPLATE0 sublayer;
        FWPM_CALLOUT_ENUM_TEMPLATE0 callout;
        FWPM_FILTER_ENUM_TEMPLATE0 filter;
    } described;
    /* Where the copy's pointers point. */
    GUID provider, context_provider, callout;
    FWPM_PROVIDER_CONTEXT_ENUM_TEMPLATE0 filter_context;
    FWPM_FILTER0 *conditions; /* a filter made of the template's conditions */
    const struct engine_layer *layer;
};

static const GUID zero;

static bool same(const GUID *a, const GUID *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

/* Replaces *key by the address of a copy of what it points to. */
static void keep_key(GUID **key, GUID *copy)
{
    if (!*key)
        return;
    *copy = **key;
    *key = copy;
}

static NTSTATUS check_layer(const GUID *key, const struct engine_layer **out)
{
    *out = same(key, &zero) ? NULL : engine_layer_by_key(key);
    return *out || same(key, &zero) ? STATUS_SUCCESS : STATUS_FWP_LAYER_NOT_FOUND;
}

static NTSTATUS check_context(const FWPM_PROVIDER_CONTEXT_ENUM_TEMPLATE0 *c)
{
    return (UINT32)c->providerContextType < FWPM_PROVIDER_CONTEXT_TYPE_MAX ? STATUS_SUCCESS
                                                                           : STATUS_FWP_INVALID_ENUMERATOR;
}

/* A token stands for itself where a filter's condition holds a descriptor: which filters would it match? */
static bool asks_for_token(const struct engine_field *field, const FWPM_FILTER_CONDITION0 *c)
{
    return c->matchType == FWP_MATCH_EQUAL && c->conditionValue.type == field->data_type &&
           (field->data_type == FWP_TOKEN_ACCESS_INFORMATION_TYPE ||
            field->data_type == FWP_TOKEN_INFORMATION_TYPE);
}

static NTSTATUS check_conditions(const struct template *t, const FWPM_FILTER_CONDITION0 *conditions,
                                 UINT32 count)
{
    UINT64 seen = 0;

    _Static_assert(ENGINE_MAX_FIELDS <= 64, "seen");
    if (count && !conditions)
        return STATUS_FWP_NULL_POINTER;
    if (count && !t->layer)
        return STATUS_FWP_LAYER_NOT_FOUND;
    for (UINT32 i = 0; i < count; i++) {
        int index = engine_layer_field(t->layer, &conditions[i].fieldKey);
        if (index < 0)
            return STATUS_FWP_CONDITION_NOT_FOUND;
        if (seen & 1ull << index)
            return STATUS_FWP_DUPLICATE_CONDITION;
        seen |= 1ull << index;
        const struct engine_field *field = &t->layer->fields[index];
        if (!asks_for_token(field, &conditions[i]) || !t->brief) {
            NTSTATUS status =
                engine_condition_check(field, conditions[i].matchType, &conditions[i].conditionValue);
            if (status != STATUS_SUCCESS)
                return status;
        }
        if (valueset_empty(field, &conditions[i]))
            return STATUS_FWP_NEVER_MATCH;
    }
    return STATUS_SUCCESS;
}

static NTSTATUS copy_conditions(struct template *t, const FWPM_FILTER_ENUM_TEMPLATE0 *src)
{
    FWPM_FILTER0 shell = {
        .displayData = {.name = (WCHAR *)u"template"},
        .layerKey = src->layerKey,
        .numFilterConditions = src->numFilterConditions,
        .filterCondition = src->filterCondition,
    };

    if (!src->numFilterConditions) {
        t->described.filter.filterCondition = NULL;
        return STATUS_SUCCESS;
    }
    t->conditions = bfe_copy(BFE_FILTER, &shell);
    if (!t->conditions)
        return STATUS_NO_MEMORY;
    t->described.filter.filterCondition = t->conditions->filterCondition;
    for (UINT32 i = 0; i < src->numFilterConditions; i++)
        if (src->filterCondition[i].conditionValue.type == FWP_TOKEN_ACCESS_INFORMATION_TYPE)
            t->conditions->filterCondition[i].conditionValue = src->filterCondition[i].conditionValue;
    return STATUS_SUCCESS;
}

static NTSTATUS create_filter(struct template *t, const FWPM_FILTER_ENUM_TEMPLATE0 *src)
{
    FWPM_FILTER_ENUM_TEMPLATE0 *mine = &t->described.filter;
    NTSTATUS status;

    *mine = *src;
    if ((UINT32)src->enumType >= FWP_FILTER_ENUM_TYPE_MAX)
        return STATUS_FWP_INVALID_ENUMERATOR;
    if (src->flags & ~(UINT32)FILTER_FLAGS)
        return STATUS_FWP_INVALID_FLAGS;
    status = check_layer(&src->layerKey, &t->layer);
    if (status != STATUS_SUCCESS)
        return status;
    keep_key(&mine->providerKey, &t->provider);
    keep_key(&mine->calloutKey, &t->callout);
    if (src->providerContextTemplate) {
        status = check_context(src->providerContextTemplate);
        if (status != STATUS_SUCCESS)
            return status;
        t->filter_context = *src->providerContextTemplate;
        keep_key(&t->filter_context.providerKey, &t->context_provider);
        mine->providerContextTemplate = &t->filter_context;
    }
    status = check_conditions(t, src->filterCondition, src->numFilterConditions);
    if (status != STATUS_SUCCESS)
        return status;
    if (!src->actionMask) /* no action has one of no bits */
        return STATUS_FWP_NEVER_MATCH;
    if (src->calloutKey && !(src->actionMask & FWP_ACTION_FLAG_CALLOUT))
        return STATUS_FWP_NEVER_MATCH;
    if ((src->flags & FWP_FILTER_ENUM_FLAG_BOOTTIME_ONLY) && t->layer && t->layer->user_mode) /* OTH-03 */
        return STATUS_FWP_NEVER_MATCH;
    return copy_conditions(t, src);
}

NTSTATUS template_create(enum bfe_kind kind, const void *tmpl, bool brief, struct template **out)
{
    struct template *t = calloc(1, sizeof(*t));
    NTSTATUS status = STATUS_SUCCESS;

    if (!t)
        return STATUS_NO_MEMORY;
    t->kind = kind;
    t->any = !tmpl;
    t->brief = brief;
    if (tmpl) {
        switch (kind) {
        case BFE_FILTER:
            status = create_filter(t, tmpl);
            break;
        case BFE_CALLOUT:
            t->described.callout = *(const FWPM_CALLOUT_ENUM_TEMPLATE0 *)tmpl;
            keep_key(&t->described.callout.providerKey, &t->provider);
            status = check_layer(&t->described.callout.layerKey, &t->layer);
            break;
        case BFE_SUBLAYER:
            t->described.sublayer = *(const FWPM_SUBLAYER_ENUM_TEMPLATE0 *)tmpl;
            keep_key(&t->described.sublayer.providerKey, &t->provider);
            break;
        case BFE_PROVIDER_CONTEXT:
            t->described.context = *(const FWPM_PROVIDER_CONTEXT_ENUM_TEMPLATE0 *)tmpl;
            keep_key(&t->described.context.providerKey, &t->provider);
            status = check_context(&t->described.context);
            break;
        default: /* providers, layers, sessions: reserved words only */
            memcpy(&t->described.reserved, tmpl, sizeof(t->described.reserved));
            if (t->described.reserved)
                status = STATUS_FWP_RESERVED;
        }
    }
    if (status != STATUS_SUCCESS) {
        template_destroy(t);
        return status;
    }
    *out = t;
    return STATUS_SUCCESS;
}

void template_destroy(struct template *t)
{
    if (!t)
        return;
    bfe_free(t->conditions);
    free(t);
}

const void *template_described(const struct template *t)
{
    return t->any ? NULL : &t->described;
}

UINT32 template_flags(const struct template *t)
{
    return t->kind == BFE_FILTER && !t->any ? t->described.filter.flags : 0;
}

/* ---- matching --------------------------------------------------------------------------------- */

static bool provider_matches(const GUID *asked, const struct bfe_object *o)
{
    return !asked || (o->provider_key && same(asked, o->provider_key));
}

static bool context_matches(const FWPM_PROVIDER_CONTEXT_ENUM_TEMPLATE0 *asked, const struct bfe_object *o)
{
    return o && provider_matches(asked->providerKey, o) && o->context->type == asked->providerContextType;
}

/* All fields are independent: contained is contained in each, overlapping is overlapping in each. A field
 * that only the filter has is asked for as "any value", which no condition contains and every one overlaps.
 */
static bool conditions_match(const struct template *t, const FWPM_FILTER0 *f)
{
    const FWPM_FILTER_ENUM_TEMPLATE0 *asked = &t->described.filter;
    bool contain = asked->enumType == FWP_FILTER_ENUM_FULLY_CONTAINED;
    const FWPM_FILTER_CONDITION0 **on_field;
    UINT32 compared = 0;
    bool matches = true;

    if (!asked->numFilterConditions)
        return true;
    on_field = calloc(f->numFilterConditions + 1, sizeof(const FWPM_FILTER_CONDITION0 *));
    if (!on_field)
        return false;
    for (UINT32 i = 0; i < asked->numFilterConditions && matches; i++) {
        int index = engine_layer_field(t->layer, &asked->filterCondition[i].fieldKey);
        struct valueset_question q = {.field = &t->layer->fields[index], .asked = &asked->filterCondition[i]};
        for (UINT32 j = 0; j < f->numFilterConditions; j++)
            if (engine_layer_field(t->layer, &f->filterCondition[j].fieldKey) == index)
                on_field[q.count++] = &f->filterCondition[j];
        q.conditions = on_field;
        compared += (UINT32)q.count;
        if (q.count)
            matches = contain ? valueset_contains(&q) : valueset_overlaps(&q);
    }
    free(on_field);
    return matches && (!contain || compared == f->numFilterConditions);
}

static bool filter_matches(const struct template *t, const struct bfe_object *o)
{
    const FWPM_FILTER_ENUM_TEMPLATE0 *asked = &t->described.filter;
    const FWPM_FILTER0 *f = o->filter;
    bool boottime = (f->flags & FWPM_FILTER_FLAG_BOOTTIME) != 0;

    if (asked->flags & FWP_FILTER_ENUM_FLAG_BOOTTIME_ONLY) {
        if (!boottime)
            return false;
    } else {
        if (boottime && !(asked->flags & FWP_FILTER_ENUM_FLAG_INCLUDE_BOOTTIME))
            return false;
        if ((f->flags & FWPM_FILTER_FLAG_DISABLED) && !(asked->flags & FWP_FILTER_ENUM_FLAG_INCLUDE_DISABLED))
            return false;
    }
    if (!provider_matches(asked->providerKey, o) || !(f->action.type & asked->actionMask))
        return false;
    if (t->layer && !same(t->layer->key, &f->layerKey))
        return false;
    if (asked->calloutKey &&
        (!(f->action.type & FWP_ACTION_FLAG_CALLOUT) || !same(asked->calloutKey, &f->action.calloutKey)))
        return false;
    if (asked->providerContextTemplate &&
        !context_matches(asked->providerContextTemplate, o->ref[BFE_REF_CONTEXT]))
        return false;
    return conditions_match(t, f);
}

bool template_matches(const struct template *t, const struct bfe_object *o)
{
    if (t->any)
        return true;
    switch (t->kind) {
    case BFE_FILTER:
        return filter_matches(t, o);
    case BFE_CALLOUT:
        return provider_matches(t->described.callout.providerKey, o) &&
               (!t->layer || same(t->layer->key, &o->callout->applicableLayer));
    case BFE_SUBLAYER:
        return provider_matches(t->described.sublayer.providerKey, o);
    case BFE_PROVIDER_CONTEXT:
        return context_matches(&t->described.context, o);
    default:
        return true;
    }
}

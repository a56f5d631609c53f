/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deep copies of the documented structs into one block.
 *
 * Each routine runs twice over the same source: once with a writer that has no block and only adds up sizes,
 * once with one that has. A struct is copied flat first and then each pointer in the copy is replaced by one
 * into the block, so what a routine does not mention is still copied, as long as it is no pointer. Sources
 * are checked before they get here (check.c); a blob of size 0 comes out with data NULL.
 */
#include <stdlib.h>
#include <string.h>

#include "bfe/internal.h"
#include "security/security.h"

struct writer {
    UINT8 *base; /* NULL: only measure */
    size_t used;
};

/* Room for size bytes, aligned for any documented type; NULL when measuring. */
static void *take(struct writer *w, size_t size)
{
    size_t at = (w->used + 7) & ~(size_t)7;

    w->used = at + size;
    return w->base == NULL ? NULL : w->base + at;
}

static void *put(struct writer *w, const void *src, size_t size)
{
    void *at;

    if (src == NULL || size == 0)
        return NULL;
    at = take(w, size);
    if (at != NULL)
        memcpy(at, src, size);
    return at;
}

static WCHAR *put_string(struct writer *w, const WCHAR *s)
{
    size_t n = 0;

    if (s == NULL)
        return NULL;
    while (s[n] != 0)
        n++;
    return put(w, s, (n + 1) * sizeof(*s));
}

static void fix_blob(struct writer *w, FWP_BYTE_BLOB *b)
{
    b->data = put(w, b->data, b->size);
}

static FWP_BYTE_BLOB *put_blob(struct writer *w, const FWP_BYTE_BLOB *src)
{
    FWP_BYTE_BLOB copy, *at;

    if (src == NULL)
        return NULL;
    at = take(w, sizeof(*at));
    copy = *src;
    fix_blob(w, &copy);
    if (at != NULL)
        *at = copy;
    return at;
}

static SID *put_sid(struct writer *w, const SID *sid)
{
    return sid == NULL ? NULL : put(w, sid, security_sid_size(sid));
}

static SID_AND_ATTRIBUTES *put_sids(struct writer *w, const SID_AND_ATTRIBUTES *src, ULONG count)
{
    SID_AND_ATTRIBUTES *at = put(w, src, (size_t)count * sizeof(*src));

    for (ULONG i = 0; src != NULL && i < count; i++) {
        SID *sid = put_sid(w, src[i].Sid);

        if (at != NULL)
            at[i].Sid = sid;
    }
    return at;
}

static FWP_TOKEN_INFORMATION *put_token(struct writer *w, const FWP_TOKEN_INFORMATION *src)
{
    FWP_TOKEN_INFORMATION copy, *at;

    if (src == NULL)
        return NULL;
    at = take(w, sizeof(*at));
    copy = *src;
    copy.sids = put_sids(w, src->sids, src->sidCount);
    copy.restrictedSids = put_sids(w, src->restrictedSids, src->restrictedSidCount);
    if (at != NULL)
        *at = copy;
    return at;
}

static void fix_value(struct writer *w, FWP_VALUE0 *v)
{
    switch (v->type) {
    case FWP_UINT64:
        v->uint64 = put(w, v->uint64, sizeof(*v->uint64));
        break;
    case FWP_INT64:
        v->int64 = put(w, v->int64, sizeof(*v->int64));
        break;
    case FWP_DOUBLE:
        v->double64 = put(w, v->double64, sizeof(*v->double64));
        break;
    case FWP_BYTE_ARRAY16_TYPE:
        v->byteArray16 = put(w, v->byteArray16, sizeof(*v->byteArray16));
        break;
    case FWP_BYTE_ARRAY6_TYPE:
        v->byteArray6 = put(w, v->byteArray6, sizeof(*v->byteArray6));
        break;
    case FWP_BYTE_BLOB_TYPE:
        v->byteBlob = put_blob(w, v->byteBlob);
        break;
    case FWP_SECURITY_DESCRIPTOR_TYPE:
        v->sd = put_blob(w, v->sd);
        break;
    case FWP_TOKEN_ACCESS_INFORMATION_TYPE:
        v->tokenAccessInformation = put_blob(w, v->tokenAccessInformation);
        break;
    case FWP_SID:
        v->sid = put_sid(w, v->sid);
        break;
    case FWP_TOKEN_INFORMATION_TYPE:
        v->tokenInformation = put_token(w, v->tokenInformation);
        break;
    case FWP_UNICODE_STRING_TYPE:
        v->unicodeString = put_string(w, v->unicodeString);
        break;
    default: /* held in place: no pointer */
        break;
    }
}

/* FWP_CONDITION_VALUE0 is FWP_VALUE0 with a few more types. */
_Static_assert(sizeof(FWP_VALUE0) == sizeof(FWP_CONDITION_VALUE0), "the two value types share their layout");

static void fix_condition_value(struct writer *w, FWP_CONDITION_VALUE0 *v)
{
    FWP_RANGE0 range, *at;
    FWP_VALUE0 plain;

    switch (v->type) {
    case FWP_V4_ADDR_MASK:
        v->v4AddrMask = put(w, v->v4AddrMask, sizeof(*v->v4AddrMask));
        break;
    case FWP_V6_ADDR_MASK:
        v->v6AddrMask = put(w, v->v6AddrMask, sizeof(*v->v6AddrMask));
        break;
    case FWP_RANGE_TYPE:
        if (v->rangeValue == NULL)
            break;
        at = take(w, sizeof(*at));
        range = *v->rangeValue;
        fix_value(w, &range.valueLow);
        fix_value(w, &range.valueHigh);
        if (at != NULL)
            *at = range;
        v->rangeValue = at;
        break;
    default:
        memcpy(&plain, v, sizeof(plain));
        fix_value(w, &plain);
        memcpy(v, &plain, sizeof(plain));
        break;
    }
}

static void fix_display(struct writer *w, FWPM_DISPLAY_DATA0 *d)
{
    d->name = put_string(w, d->name);
    d->description = put_string(w, d->description);
}

static void fix_provider(struct writer *w, FWPM_PROVIDER0 *p)
{
    fix_display(w, &p->displayData);
    fix_blob(w, &p->providerData);
    p->serviceName = put_string(w, p->serviceName);
}

static void fix_sublayer(struct writer *w, FWPM_SUBLAYER0 *l)
{
    fix_display(w, &l->displayData);
    l->providerKey = put(w, l->providerKey, sizeof(*l->providerKey));
    fix_blob(w, &l->providerData);
}

static void fix_callout(struct writer *w, FWPM_CALLOUT0 *c)
{
    fix_display(w, &c->displayData);
    c->providerKey = put(w, c->providerKey, sizeof(*c->providerKey));
    fix_blob(w, &c->providerData);
}

static void fix_filter(struct writer *w, FWPM_FILTER0 *f)
{
    const FWPM_FILTER_CONDITION0 *src = f->filterCondition;

    fix_display(w, &f->displayData);
    f->providerKey = put(w, f->providerKey, sizeof(*f->providerKey));
    fix_blob(w, &f->providerData);
    fix_value(w, &f->weight);
    fix_value(w, &f->effectiveWeight);
    f->filterCondition = put(w, src, f->numFilterConditions * sizeof(*src));
    for (UINT32 i = 0; i < f->numFilterConditions; i++) {
        FWP_CONDITION_VALUE0 v = src[i].conditionValue;

        fix_condition_value(w, &v);
        if (f->filterCondition != NULL)
            f->filterCondition[i].conditionValue = v;
    }
}

static FWPM_CLASSIFY_OPTIONS0 *put_classify_options(struct writer *w, const FWPM_CLASSIFY_OPTIONS0 *src)
{
    FWPM_CLASSIFY_OPTIONS0 copy, *at;

    if (src == NULL)
        return NULL;
    at = take(w, sizeof(*at));
    copy = *src;
    copy.options = put(w, src->options, src->numOptions * sizeof(*src->options));
    for (UINT32 i = 0; i < src->numOptions; i++) {
        FWP_VALUE0 v = src->options[i].value;

        fix_value(w, &v);
        if (copy.options != NULL)
            copy.options[i].value = v;
    }
    if (at != NULL)
        *at = copy;
    return at;
}

static FWPM_NETWORK_CONNECTION_POLICY_SETTINGS0 *
put_connection_policy(struct writer *w, const FWPM_NETWORK_CONNECTION_POLICY_SETTINGS0 *src)
{
    FWPM_NETWORK_CONNECTION_POLICY_SETTINGS0 copy, *at;

    if (src == NULL)
        return NULL;
    at = take(w, sizeof(*at));
    copy = *src;
    copy.settings = put(w, src->settings, src->numSettings * sizeof(*src->settings));
    for (UINT32 i = 0; i < src->numSettings; i++) {
        FWP_VALUE0 v = src->settings[i].value;

        fix_value(w, &v);
        if (copy.settings != NULL)
            copy.settings[i].value = v;
    }
    if (at != NULL)
        *at = copy;
    return at;
}

static void fix_context(struct writer *w, FWPM_PROVIDER_CONTEXT3 *c)
{
    fix_display(w, &c->displayData);
    c->providerKey = put(w, c->providerKey, sizeof(*c->providerKey));
    fix_blob(w, &c->providerData);
    switch (c->type) {
    case FWPM_GENERAL_CONTEXT:
        c->dataBuffer = put_blob(w, c->dataBuffer);
        break;
    case FWPM_CLASSIFY_OPTIONS_CONTEXT:
        c->classifyOptions = put_classify_options(w, c->classifyOptions);
        break;
    case FWPM_NETWORK_CONNECTION_POLICY_CONTEXT:
        c->networkConnectionPolicy = put_connection_policy(w, c->networkConnectionPolicy);
        break;
    default: /* only an imported one gets here, without its policy (context.c) */
        c->dataBuffer = NULL;
        break;
    }
}

static void fix_layer(struct writer *w, FWPM_LAYER0 *l)
{
    const FWPM_FIELD0 *src = l->field;

    fix_display(w, &l->displayData);
    l->field = put(w, src, l->numFields * sizeof(*src));
    for (UINT32 i = 0; i < l->numFields; i++) {
        GUID *key = put(w, src[i].fieldKey, sizeof(*key));

        if (l->field != NULL)
            l->field[i].fieldKey = key;
    }
}

static void fix_session(struct writer *w, FWPM_SESSION0 *s)
{
    fix_display(w, &s->displayData);
    s->sid = put_sid(w, s->sid);
    s->username = put_string(w, s->username);
}

/* Copies flat into `at` (scratch when measuring), then each pointer. */
static void put_object(struct writer *w, enum bfe_kind kind, const void *src)
{
    size_t size = bfe_kind_size(kind);
    union {
        FWPM_PROVIDER0 provider;
        FWPM_PROVIDER_CONTEXT3 context;
        FWPM_SUBLAYER0 sublayer;
        FWPM_LAYER0 layer;
        FWPM_CALLOUT0 callout;
        FWPM_FILTER0 filter;
        FWPM_SESSION0 session;
    } copy;
    void *at = take(w, size);

    memcpy(&copy, src, size);
    switch (kind) {
    case BFE_PROVIDER:
        fix_provider(w, &copy.provider);
        break;
    case BFE_PROVIDER_CONTEXT:
        fix_context(w, &copy.context);
        break;
    case BFE_SUBLAYER:
        fix_sublayer(w, &copy.sublayer);
        break;
    case BFE_LAYER:
        fix_layer(w, &copy.layer);
        break;
    case BFE_CALLOUT:
        fix_callout(w, &copy.callout);
        break;
    case BFE_FILTER:
        fix_filter(w, &copy.filter);
        break;
    default:
        fix_session(w, &copy.session);
        break;
    }
    if (at != NULL)
        memcpy(at, &copy, size);
}

size_t bfe_kind_size(enum bfe_kind kind)
{
    static const size_t sizes[BFE_KINDS] = {
        [BFE_PROVIDER] = sizeof(FWPM_PROVIDER0), [BFE_PROVIDER_CONTEXT] = sizeof(FWPM_PROVIDER_CONTEXT3),
        [BFE_SUBLAYER] = sizeof(FWPM_SUBLAYER0), [BFE_LAYER] = sizeof(FWPM_LAYER0),
        [BFE_CALLOUT] = sizeof(FWPM_CALLOUT0),   [BFE_FILTER] = sizeof(FWPM_FILTER0),
        [BFE_SESSION] = sizeof(FWPM_SESSION0),
    };

    return sizes[kind];
}

void *bfe_copy_after(size_t header, enum bfe_kind kind, const void *src)
{
    struct writer w = {.base = NULL, .used = header};

    put_object(&w, kind, src);
    w.base = malloc(w.used);
    if (w.base == NULL)
        return NULL;
    w.used = header;
    put_object(&w, kind, src);
    return w.base;
}

void *bfe_copy(enum bfe_kind kind, const void *src)
{
    return bfe_copy_after(0, kind, src);
}

void **bfe_copy_array(enum bfe_kind kind, const void *const *src, size_t count)
{
    struct writer w = {.base = NULL};
    void **array;

    take(&w, count * sizeof(*array) + 1); /* never of size 0 */
    for (size_t i = 0; i < count; i++)
        put_object(&w, kind, src[i]);
    w.base = malloc(w.used);
    if (w.base == NULL)
        return NULL;
    w.used = 0;
    array = take(&w, count * sizeof(*array) + 1);
    for (size_t i = 0; i < count; i++) {
        array[i] = w.base + ((w.used + 7) & ~(size_t)7);
        put_object(&w, kind, src[i]);
    }
    return array;
}

void bfe_free(void *object)
{
    free(object);
}

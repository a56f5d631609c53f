/* SPDX-License-Identifier: Apache-2.0 */
/* The checks that all kinds of objects share (check.h), and add, delete and get as far as they are alike. */
#include <stdlib.h>
#include <string.h>

#include "bfe/check.h"
#include "security/security.h"

bool bfe_guid_is_zero(const GUID *g)
{
    static const GUID zero;

    return memcmp(g, &zero, sizeof(zero)) == 0;
}

/* splitmix64 over a counter, with the version and variant bits of a random GUID: unique, and the same every
 * run. */
void bfe_guid_generate(struct bfe *b, GUID *out)
{
    UINT8 bytes[sizeof(GUID)];

    for (size_t i = 0; i < sizeof(bytes); i += 8) {
        UINT64 x = b->guid_state += 0x9e3779b97f4a7c15u;

        x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
        x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
        x ^= x >> 31;
        memcpy(bytes + i, &x, 8);
    }
    memcpy(out, bytes, sizeof(bytes));
    out->Data3 = (UINT16)((out->Data3 & 0x0fff) | 0x4000);
    out->Data4[0] = (UINT8)((out->Data4[0] & 0x3f) | 0x80);
}

static void fail(struct bfe_adding *a, NTSTATUS status)
{
    if (a->status == STATUS_SUCCESS)
        a->status = status;
}

void bfe_adding_begin(struct bfe_adding *a, struct bfe_session *s, enum bfe_kind kind, bool persistent)
{
    *a = (struct bfe_adding){.session = s, .kind = kind, .status = STATUS_SUCCESS};
    a->lifetime = s->dynamic ? BFE_DYNAMIC : persistent ? BFE_PERSISTENT : BFE_STATIC;
    /* What outlives the session cannot be added in one whose objects all end with it. */
    if (s->dynamic && persistent)
        fail(a, STATUS_FWP_DYNAMIC_SESSION_IN_PROGRESS);
    bfe_check_access(a, kind, NULL, FWPM_ACTRL_ADD);
}

void bfe_check_access(struct bfe_adding *a, enum bfe_kind kind, const struct bfe_object *o, UINT32 right)
{
    if (a->status == STATUS_SUCCESS)
        a->status = bfe_may(a->session, kind, o, right);
}

void bfe_check_layer_link(struct bfe_adding *a, const struct engine_layer *layer)
{
    if (a->status == STATUS_SUCCESS)
        a->status = bfe_may_layer(a->session, layer, FWPM_ACTRL_ADD_LINK);
}

void bfe_check_flags(struct bfe_adding *a, UINT32 flags, UINT32 allowed)
{
    if ((flags & ~allowed) != 0)
        fail(a, STATUS_FWP_INVALID_FLAGS);
}

void bfe_check_display(struct bfe_adding *a, const FWPM_DISPLAY_DATA0 *d)
{
    if (d->name == NULL)
        fail(a, STATUS_FWP_NULL_DISPLAY_NAME);
}

void bfe_check_blob(struct bfe_adding *a, const FWP_BYTE_BLOB *b)
{
    if (b == NULL || (b->size != 0 && b->data == NULL))
        fail(a, STATUS_FWP_NULL_POINTER);
}

void bfe_check_sd(struct bfe_adding *a, const void *sd, size_t size)
{
    if (sd != NULL && !security_sd_valid(sd, size))
        fail(a, STATUS_INVALID_SECURITY_DESCR);
}

static void check_sid(struct bfe_adding *a, const SID *sid)
{
    if (sid == NULL)
        fail(a, STATUS_FWP_NULL_POINTER);
    else if (!security_sid_valid(sid, SECURITY_MAX_SID_SIZE))
        fail(a, STATUS_FWP_INVALID_PARAMETER);
}

static void check_sids(struct bfe_adding *a, const SID_AND_ATTRIBUTES *sids, ULONG count)
{
    if (count != 0 && sids == NULL)
        fail(a, STATUS_FWP_NULL_POINTER);
    for (ULONG i = 0; i < count && a->status == STATUS_SUCCESS; i++)
        check_sid(a, sids[i].Sid);
}

/* The pointer members of a value lie over each other; byteBlob stands for each of them here. */
void bfe_check_value(struct bfe_adding *a, const FWP_VALUE0 *v)
{
    if (a->status != STATUS_SUCCESS)
        return;
    switch (v->type) {
    case FWP_EMPTY:
    case FWP_UINT8:
    case FWP_UINT16:
    case FWP_UINT32:
    case FWP_INT8:
    case FWP_INT16:
    case FWP_INT32:
    case FWP_FLOAT:
        break;
    case FWP_UINT64:
    case FWP_INT64:
    case FWP_DOUBLE:
    case FWP_BYTE_ARRAY16_TYPE:
    case FWP_BYTE_ARRAY6_TYPE:
    case FWP_UNICODE_STRING_TYPE:
        if (v->byteBlob == NULL)
            fail(a, STATUS_FWP_NULL_POINTER);
        break;
    case FWP_BYTE_BLOB_TYPE:
    case FWP_TOKEN_ACCESS_INFORMATION_TYPE:
        bfe_check_blob(a, v->byteBlob);
        break;
    case FWP_SECURITY_DESCRIPTOR_TYPE:
        bfe_check_blob(a, v->sd);
        if (a->status == STATUS_SUCCESS)
            bfe_check_sd(a, v->sd->size == 0 ? (const void *)"" : v->sd->data, v->sd->size);
        break;
    case FWP_SID:
        check_sid(a, v->sid);
        break;
    case FWP_TOKEN_INFORMATION_TYPE:
        if (v->tokenInformation == NULL) {
            fail(a, STATUS_FWP_NULL_POINTER);
            break;
        }
        check_sids(a, v->tokenInformation->sids, v->tokenInformation->sidCount);
        check_sids(a, v->tokenInformation->restrictedSids, v->tokenInformation->restrictedSidCount);
        break;
    default:
        fail(a, STATUS_FWP_INVALID_ENUMERATOR);
        break;
    }
}

void bfe_check_condition_value(struct bfe_adding *a, const FWP_CONDITION_VALUE0 *v)
{
    FWP_VALUE0 plain;

    if (a->status != STATUS_SUCCESS)
        return;
    switch (v->type) {
    case FWP_V4_ADDR_MASK:
    case FWP_V6_ADDR_MASK:
        if (v->v4AddrMask == NULL)
            fail(a, STATUS_FWP_NULL_POINTER);
        break;
    case FWP_RANGE_TYPE:
        if (v->rangeValue == NULL) {
            fail(a, STATUS_FWP_NULL_POINTER);
            break;
        }
        bfe_check_value(a, &v->rangeValue->valueLow);
        bfe_check_value(a, &v->rangeValue->valueHigh);
        break;
    default:
        memcpy(&plain, v, sizeof(plain));
        bfe_check_value(a, &plain);
        break;
    }
}

static bool same_provider(const GUID *a, const GUID *b)
{
    return a != NULL && b != NULL && memcmp(a, b, sizeof(*a)) == 0;
}

/* OBJ-13: whoever refers must not be able to outlive what it refers to. */
static bool may_refer(const struct bfe_adding *a, const struct bfe_object *target)
{
    switch (target->lifetime) {
    case BFE_BUILTIN:
        return true;
    case BFE_DYNAMIC:
        return a->lifetime == BFE_DYNAMIC && target->owner == a->session;
    case BFE_STATIC:
        return a->lifetime != BFE_PERSISTENT;
    default:
        if (a->lifetime != BFE_PERSISTENT || target->kind == BFE_PROVIDER || target->provider_key == NULL)
            return true;
        return same_provider(a->provider_key, target->provider_key);
    }
}

struct bfe_object *bfe_check_ref(struct bfe_adding *a, enum bfe_ref ref, const GUID *key)
{
    static const enum bfe_kind kinds[BFE_REFS] = {
        [BFE_REF_PROVIDER] = BFE_PROVIDER,
        [BFE_REF_SUBLAYER] = BFE_SUBLAYER,
        [BFE_REF_CALLOUT] = BFE_CALLOUT,
        [BFE_REF_CONTEXT] = BFE_PROVIDER_CONTEXT,
    };
    struct bfe_object *o;

    if (a->status != STATUS_SUCCESS)
        return NULL;
    o = bfe_find(a->session->bfe, kinds[ref], key);
    if (o == NULL)
        fail(a, bfe_not_found(kinds[ref]));
    else if (!may_refer(a, o))
        fail(a, STATUS_FWP_LIFETIME_MISMATCH);
    else
        bfe_check_access(a, o->kind, o, FWPM_ACTRL_ADD_LINK);
    a->ref[ref] = o;
    return a->status == STATUS_SUCCESS ? o : NULL;
}

void bfe_check_provider(struct bfe_adding *a, const GUID *key)
{
    a->provider_key = key;
    if (key != NULL)
        bfe_check_ref(a, BFE_REF_PROVIDER, key);
}

void bfe_check_key(struct bfe_adding *a, GUID *key)
{
    struct bfe *b = a->session->bfe;

    if (a->status != STATUS_SUCCESS)
        return;
    if (!bfe_guid_is_zero(key)) {
        if (bfe_find(b, a->kind, key) != NULL)
            fail(a, STATUS_FWP_ALREADY_EXISTS);
        return;
    }
    do
        bfe_guid_generate(b, key);
    while (bfe_find(b, a->kind, key) != NULL);
}

struct bfe_object *bfe_make(const struct bfe_adding *a, const void *src, const GUID *key, UINT64 id)
{
    struct bfe_object *o = bfe_object_create(a->kind, src);

    if (o == NULL)
        return NULL;
    o->key = *key;
    o->id = id;
    o->lifetime = a->lifetime;
    o->owner = a->lifetime == BFE_DYNAMIC ? a->session : NULL;
    o->provider_key = bfe_object_provider_key(o);
    memcpy(o->ref, a->ref, sizeof(o->ref));
    return o;
}

NTSTATUS bfe_add(struct bfe_adding *a, const void *src, const GUID *key, UINT64 id, const void *sd,
                 size_t sd_size, struct bfe_object **out)
{
    struct bfe_object *o;

    if (a->status != STATUS_SUCCESS)
        return a->status;
    o = bfe_make(a, src, key, id);
    if (o == NULL)
        return STATUS_NO_MEMORY;
    if (sd != NULL) {
        o->sd = bfe_sd_create(sd, sd_size);
        if (o->sd == NULL) {
            bfe_object_unref(o);
            return STATUS_NO_MEMORY;
        }
    }
    if (out != NULL)
        *out = o;
    return bfe_link(a->session->bfe, o);
}

static struct bfe_object *find(struct bfe *b, enum bfe_kind kind, const GUID *key, UINT64 id)
{
    return key != NULL ? bfe_find(b, kind, key) : bfe_find_id(b, kind, id);
}

NTSTATUS bfe_delete(struct bfe_session *s, enum bfe_kind kind, const GUID *key, UINT64 id)
{
    struct bfe_object *o;
    NTSTATUS status;
    size_t mark;

    if (s == NULL)
        return STATUS_FWP_NULL_POINTER;
    status = bfe_enter_write(s, &mark);
    if (status != STATUS_SUCCESS)
        return status;
    o = find(s->bfe, kind, key, id);
    status = o == NULL ? bfe_not_found(kind) : bfe_may(s, kind, o, DELETE);
    if (status == STATUS_SUCCESS)
        status = bfe_unlink(s->bfe, o);
    return bfe_leave_write(s, mark, status);
}

const void *bfe_object_view(struct bfe *b, const struct bfe_object *o, FWPM_CALLOUT0 *scratch)
{
    if (o->kind != BFE_CALLOUT || engine_callout_state(b->engine, &o->key) != ENGINE_CALLOUT_REGISTERED)
        return o->data;
    *scratch = *o->callout;
    scratch->flags |= FWPM_CALLOUT_FLAG_REGISTERED;
    return scratch;
}

NTSTATUS bfe_get(struct bfe_session *s, enum bfe_kind kind, const GUID *key, UINT64 id, void **out)
{
    FWPM_CALLOUT0 scratch;
    struct bfe_object *o;
    NTSTATUS status;

    if (s == NULL || out == NULL)
        return STATUS_FWP_NULL_POINTER;
    status = bfe_enter_read(s);
    if (status != STATUS_SUCCESS)
        return status;
    o = find(s->bfe, kind, key, id);
    status = o == NULL ? bfe_not_found(kind) : bfe_may(s, kind, o, FWPM_ACTRL_READ);
    if (status == STATUS_SUCCESS) {
        *out = bfe_copy(kind, bfe_object_view(s->bfe, o, &scratch));
        if (*out == NULL)
            status = STATUS_NO_MEMORY;
    }
    bfe_leave_read(s);
    return status;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Claims: named, typed, many-valued attributes; a token's (pointers into its blob) and a resource's (offsets
 * within a SYSTEM_RESOURCE_ATTRIBUTE_ACE). Both are read through one view, every step bounded.
 */
#include "security/internal.h"

bool sec_within(const uint8_t *blob, size_t size, const void *p, size_t need)
{
    uintptr_t base = (uintptr_t)blob, at = (uintptr_t)p;
    return p != NULL && at >= base && at - base <= size && size - (at - base) >= need;
}

/* UTF-16 up to its NUL, within the bounds. */
static bool string_at(const uint8_t *base, size_t size, size_t offset, const uint8_t **out, size_t *out_size)
{
    for (size_t end = offset; end + 2 <= size && end >= offset; end += 2) {
        if (sec_get16(base + end) == 0) {
            *out = base + offset;
            *out_size = end - offset;
            return true;
        }
    }
    return false;
}

bool sec_claim_open_relative(const uint8_t *p, size_t size, struct sec_claim *out)
{
    const size_t header = offsetof(CLAIM_SECURITY_ATTRIBUTE_RELATIVE_V1, Values);
    *out = (struct sec_claim){.base = p, .size = size, .relative = true};
    if (size < header) {
        return false;
    }
    out->type = sec_get16(p + offsetof(CLAIM_SECURITY_ATTRIBUTE_RELATIVE_V1, ValueType));
    out->flags = sec_get32(p + offsetof(CLAIM_SECURITY_ATTRIBUTE_RELATIVE_V1, Flags));
    out->count = sec_get32(p + offsetof(CLAIM_SECURITY_ATTRIBUTE_RELATIVE_V1, ValueCount));
    out->values = p + header;
    return out->count <= (size - header) / 4 && string_at(p, size, sec_get32(p), &out->name, &out->name_size);
}

static bool unicode_string(const uint8_t *blob, size_t size, const uint8_t *at, const uint8_t **out,
                           size_t *out_size)
{
    UNICODE_STRING s;
    memcpy(&s, at, sizeof(s));
    if (s.Length % 2 != 0 || !sec_within(blob, size, s.Buffer, s.Length)) {
        return false;
    }
    *out = (const uint8_t *)s.Buffer;
    *out_size = s.Length;
    return true;
}

static size_t token_value_size(uint16_t type)
{
    switch (type) {
    case CLAIM_SECURITY_ATTRIBUTE_TYPE_INT64:
    case CLAIM_SECURITY_ATTRIBUTE_TYPE_UINT64:
    case CLAIM_SECURITY_ATTRIBUTE_TYPE_BOOLEAN:
        return 8;
    case CLAIM_SECURITY_ATTRIBUTE_TYPE_STRING:
        return sizeof(UNICODE_STRING);
    case CLAIM_SECURITY_ATTRIBUTE_TYPE_SID:
    case CLAIM_SECURITY_ATTRIBUTE_TYPE_OCTET_STRING:
        return sizeof(TOKEN_SECURITY_ATTRIBUTE_OCTET_STRING_VALUE);
    default:
        return 0;
    }
}

bool sec_claim_open_token(const uint8_t *blob, size_t size, const uint8_t *attribute, struct sec_claim *out)
{
    TOKEN_SECURITY_ATTRIBUTE_V1 a;
    memcpy(&a, attribute, sizeof(a));
    *out = (struct sec_claim){.base = blob,
                              .size = size,
                              .values = (const uint8_t *)a.Values.pInt64,
                              .type = a.ValueType,
                              .flags = a.Flags,
                              .count = a.ValueCount};
    size_t each = token_value_size(a.ValueType);
    return each != 0 && a.ValueCount <= size / each &&
           sec_within(blob, size, out->values, a.ValueCount * each) &&
           unicode_string(blob, size, attribute + offsetof(TOKEN_SECURITY_ATTRIBUTE_V1, Name), &out->name,
                          &out->name_size);
}

static bool octets_valid(const struct sec_value *v)
{
    return v->type != CLAIM_SECURITY_ATTRIBUTE_TYPE_SID ||
           (v->size != 0 && sec_sid_at(v->data, v->size) == v->size);
}

static bool relative_value(const struct sec_claim *c, uint32_t index, struct sec_value *out)
{
    size_t at = sec_get32(c->values + 4 * (size_t)index);
    if (at > c->size) {
        return false;
    }
    size_t left = c->size - at;
    switch (c->type) {
    case CLAIM_SECURITY_ATTRIBUTE_TYPE_INT64:
    case CLAIM_SECURITY_ATTRIBUTE_TYPE_UINT64:
    case CLAIM_SECURITY_ATTRIBUTE_TYPE_BOOLEAN:
        if (left < 8) {
            return false;
        }
        out->number = sec_get64(c->base + at);
        return true;
    case CLAIM_SECURITY_ATTRIBUTE_TYPE_STRING:
        return string_at(c->base, c->size, at, &out->data, &out->size);
    case CLAIM_SECURITY_ATTRIBUTE_TYPE_SID:
    case CLAIM_SECURITY_ATTRIBUTE_TYPE_OCTET_STRING:
        if (left < 4 || sec_get32(c->base + at) > left - 4) {
            return false;
        }
        out->size = sec_get32(c->base + at);
        out->data = c->base + at + 4;
        return octets_valid(out);
    default:
        return false;
    }
}

bool sec_claim_value(const struct sec_claim *c, uint32_t index, struct sec_value *out)
{
    *out = (struct sec_value){.type = c->type,
                              .case_sensitive = c->flags & CLAIM_SECURITY_ATTRIBUTE_VALUE_CASE_SENSITIVE};
    if (index >= c->count) {
        return false;
    }
    if (c->relative) {
        return relative_value(c, index, out);
    }
    const uint8_t *at = c->values + token_value_size(c->type) * index;
    switch (c->type) {
    case CLAIM_SECURITY_ATTRIBUTE_TYPE_STRING:
        return unicode_string(c->base, c->size, at, &out->data, &out->size);
    case CLAIM_SECURITY_ATTRIBUTE_TYPE_SID:
    case CLAIM_SECURITY_ATTRIBUTE_TYPE_OCTET_STRING: {
        TOKEN_SECURITY_ATTRIBUTE_OCTET_STRING_VALUE v;
        memcpy(&v, at, sizeof(v));
        if (!sec_within(c->base, c->size, v.pValue, v.ValueLength)) {
            return false;
        }
        out->data = v.pValue;
        out->size = v.ValueLength;
        return octets_valid(out);
    }
    default:
        out->number = sec_get64(at);
        return true;
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokens: a TOKEN_ACCESS_INFORMATION and all it points to, in one block.
 *
 *   security_token | TOKEN_ACCESS_INFORMATION | SID_AND_ATTRIBUTES_HASHes, each with its SID_AND_ATTRIBUTES
 * and SIDs | package SID | TOKEN_SECURITY_ATTRIBUTES_INFORMATION, attributes, names, values
 *
 * It is laid out twice by the same code, first only measuring, then writing. Reading a blob back trusts
 * nothing: a pointer that leads out of it makes it malformed.
 */
#include "security/internal.h"

#include <errno.h>
#include <stdlib.h>

struct security_token {
    FWP_BYTE_BLOB blob;
    uint8_t data[] __attribute__((aligned(16)));
};

/* ---- reading ---------------------------------------------------------------------------------- */
static bool open_list(const uint8_t *blob, size_t size, const void *hash, struct sec_sid_list *out)
{
    SID_AND_ATTRIBUTES_HASH h;
    *out = (struct sec_sid_list){0};
    if (hash == NULL) {
        return true;
    }
    if (!sec_within(blob, size, hash, sizeof(h))) {
        return false;
    }
    memcpy(&h, hash, sizeof(h));
    if (h.SidCount == 0) {
        return true;
    }
    if (h.SidCount > size / sizeof(SID_AND_ATTRIBUTES) ||
        !sec_within(blob, size, h.SidAttr, h.SidCount * sizeof(SID_AND_ATTRIBUTES))) {
        return false;
    }
    out->items = (const uint8_t *)h.SidAttr;
    out->count = h.SidCount;
    for (uint32_t i = 0; i < h.SidCount; i++) {
        const uint8_t *sid = sec_sid_item(out, i).Sid;
        if (!sec_within(blob, size, sid, 8) || sec_sid_at(sid, size - (size_t)(sid - blob)) == 0) {
            return false;
        }
    }
    return true;
}

bool sec_token_open(const FWP_BYTE_BLOB *blob, struct sec_token *out)
{
    TOKEN_ACCESS_INFORMATION info;
    *out = (struct sec_token){0};
    if (blob == NULL || blob->data == NULL || blob->size < sizeof(info)) {
        return false;
    }
    const uint8_t *data = blob->data;
    size_t size = blob->size;
    memcpy(&info, data, sizeof(info));
    out->blob = data;
    out->blob_size = size;
    if (!open_list(data, size, info.SidHash, &out->sids) ||
        !open_list(data, size, info.RestrictedSidHash, &out->restricted) ||
        !open_list(data, size, info.CapabilitiesHash, &out->capabilities) || out->sids.count == 0) {
        return false;
    }
    out->write_restricted = info.Flags & TOKEN_WRITE_RESTRICTED;
    out->package = info.PackageSid;
    if (out->package != NULL && (!sec_within(data, size, out->package, 8) ||
                                 sec_sid_at(out->package, size - (size_t)(out->package - data)) == 0)) {
        return false;
    }
    if (info.SecurityAttributes == NULL) {
        return true;
    }
    TOKEN_SECURITY_ATTRIBUTES_INFORMATION attributes;
    if (!sec_within(data, size, info.SecurityAttributes, sizeof(attributes))) {
        return false;
    }
    memcpy(&attributes, info.SecurityAttributes, sizeof(attributes));
    out->attributes = (const uint8_t *)attributes.Attribute.pAttributeV1;
    out->attribute_count = attributes.AttributeCount;
    return attributes.AttributeCount == 0 ||
           (attributes.AttributeCount <= size / sizeof(TOKEN_SECURITY_ATTRIBUTE_V1) &&
            sec_within(data, size, out->attributes,
                       attributes.AttributeCount * sizeof(TOKEN_SECURITY_ATTRIBUTE_V1)));
}

bool sec_token_attribute(const struct sec_token *t, const char *prefix, const uint8_t *name, size_t name_size,
                         struct sec_claim *out)
{
    size_t skip = prefix != NULL ? 2 * strlen(prefix) : 0;
    for (uint32_t i = 0; i < t->attribute_count; i++) {
        const uint8_t *at = t->attributes + i * sizeof(TOKEN_SECURITY_ATTRIBUTE_V1);
        if (!sec_claim_open_token(t->blob, t->blob_size, at, out) || out->name_size != name_size + skip ||
            sec_utf16_compare(out->name + skip, name_size, name, name_size, false) != 0) {
            continue;
        }
        bool same = true;
        for (size_t k = 0; k < skip / 2 && same; k++) {
            same = sec_upcase(sec_get16(out->name + 2 * k)) == sec_upcase((uint8_t)prefix[k]);
        }
        if (same) {
            return true;
        }
    }
    return false;
}

/* ---- building ------------------------------------------------------------------------------------------ */
struct layout {
    uint8_t *base; /* NULL while measuring */
    size_t used;
    int status;
};

static size_t reserve(struct layout *l, size_t size, size_t align)
{
    size_t at = (l->used + align - 1) / align * align;
    l->used = at + size;
    return at;
}

static void put(struct layout *l, size_t at, const void *data, size_t size)
{
    if (l->base != NULL && size != 0) {
        memcpy(l->base + at, data, size);
    }
}

static void *address(const struct layout *l, size_t at)
{
    return l->base != NULL ? l->base + at : NULL;
}

static void *put_sid(struct layout *l, const SID *sid)
{
    if (sid == NULL || sec_sid_at((const uint8_t *)sid, SIZE_MAX) == 0) {
        l->status = -EINVAL;
        return NULL;
    }
    size_t at = reserve(l, security_sid_size(sid), 4);
    put(l, at, sid, security_sid_size(sid));
    return address(l, at);
}

/* The user (may be NULL) and the list. */
static PSID_AND_ATTRIBUTES_HASH put_list(struct layout *l, const SID *user, const SID_AND_ATTRIBUTES *list,
                                         size_t count)
{
    SID_AND_ATTRIBUTES_HASH hash = {0};
    size_t total = count + (user != NULL ? 1 : 0);
    if (total > UINT16_MAX) {
        l->status = -EINVAL;
        return NULL;
    }
    size_t at = reserve(l, sizeof(hash), 8), items = reserve(l, total * sizeof(SID_AND_ATTRIBUTES), 8);
    for (size_t i = 0; i < total; i++) {
        SID_AND_ATTRIBUTES item = {0};
        if (user != NULL && i == 0) {
            item.Sid = put_sid(l, user);
        } else {
            const SID_AND_ATTRIBUTES *from = &list[i - (user != NULL ? 1 : 0)];
            item.Sid = put_sid(l, from->Sid);
            item.Attributes = from->Attributes;
        }
        put(l, items + i * sizeof(item), &item, sizeof(item));
    }
    hash.SidCount = (ULONG)total;
    hash.SidAttr = address(l, items);
    put(l, at, &hash, sizeof(hash));
    return address(l, at);
}

/* UTF-8 as a UNICODE_STRING, its text after it. */
static void put_string(struct layout *l, size_t at, const char *text)
{
    size_t length = strlen(text), units = 0, n;
    uint32_t c;
    for (size_t i = 0; i < length; i += n) {
        n = sec_utf8_next(text + i, length - i, &c);
        if (n == 0) {
            l->status = -EINVAL;
            return;
        }
        units += c < 0x10000 ? 1 : 2;
    }
    if (units > UINT16_MAX / 2 - 1) {
        l->status = -EINVAL;
        return;
    }
    size_t to = reserve(l, 2 * units + 2, 2);
    UNICODE_STRING s = {.Length = (USHORT)(2 * units), .MaximumLength = (USHORT)(2 * units + 2)};
    s.Buffer = address(l, to);
    put(l, at, &s, sizeof(s));
    for (size_t i = 0; i < length; i += n) {
        n = sec_utf8_next(text + i, length - i, &c);
        uint16_t pair[2] = {(uint16_t)c, 0};
        if (c >= 0x10000) {
            pair[0] = (uint16_t)(0xd800 + ((c - 0x10000) >> 10));
            pair[1] = (uint16_t)(0xdc00 + ((c - 0x10000) & 0x3ff));
        }
        put(l, to, pair, c < 0x10000 ? 2 : 4);
        to += c < 0x10000 ? 2 : 4;
    }
    put(l, to, &(uint16_t){0}, 2);
}

static void put_attribute(struct layout *l, size_t at, const struct security_attribute *from)
{
    bool strings = from->value_count != 0 || from->integer_count == 0;
    size_t count = strings ? from->value_count : from->integer_count;
    TOKEN_SECURITY_ATTRIBUTE_V1 a = {
        .ValueType = strings ? CLAIM_SECURITY_ATTRIBUTE_TYPE_STRING : CLAIM_SECURITY_ATTRIBUTE_TYPE_INT64,
        .ValueCount = (ULONG)count,
    };
    if (from->name == NULL || *from->name == '\0' || count > UINT16_MAX) {
        l->status = -EINVAL;
        return;
    }
    size_t each = strings ? sizeof(UNICODE_STRING) : sizeof(int64_t);
    size_t values = reserve(l, count * each, 8);
    a.Values.pInt64 = address(l, values);
    put(l, at, &a, sizeof(a));
    put_string(l, at + offsetof(TOKEN_SECURITY_ATTRIBUTE_V1, Name), from->name);
    for (size_t i = 0; i < count && l->status == 0; i++) {
        if (strings) {
            put_string(l, values + i * each, from->values[i]);
        } else {
            put(l, values + i * each, &from->integers[i], each);
        }
    }
}

static void *put_attributes(struct layout *l, const struct security_token_spec *spec)
{
    TOKEN_SECURITY_ATTRIBUTES_INFORMATION info = {.Version = 1,
                                                  .AttributeCount = (ULONG)spec->attribute_count};
    if (spec->attribute_count == 0) {
        return NULL;
    }
    if (spec->attribute_count > UINT16_MAX) {
        l->status = -EINVAL;
        return NULL;
    }
    size_t at = reserve(l, sizeof(info), 8);
    size_t each = sizeof(TOKEN_SECURITY_ATTRIBUTE_V1), array = reserve(l, spec->attribute_count * each, 8);
    info.Attribute.pAttributeV1 = address(l, array);
    put(l, at, &info, sizeof(info));
    for (size_t i = 0; i < spec->attribute_count && l->status == 0; i++) {
        put_attribute(l, array + i * each, &spec->attributes[i]);
    }
    return address(l, at);
}

static void lay_out(struct layout *l, const struct security_token_spec *spec)
{
    TOKEN_ACCESS_INFORMATION info = {.TokenType = TokenPrimary, .ImpersonationLevel = SecurityAnonymous};
    size_t at = reserve(l, sizeof(info), 8);
    info.SidHash = put_list(l, spec->user, spec->groups, spec->group_count);
    if (spec->restricted_count != 0) {
        info.RestrictedSidHash = put_list(l, NULL, spec->restricted, spec->restricted_count);
        info.Flags = TOKEN_IS_RESTRICTED | (spec->write_restricted ? TOKEN_WRITE_RESTRICTED : 0);
    }
    if (spec->package != NULL) {
        info.PackageSid = put_sid(l, spec->package);
        info.AppContainerNumber = 1;
        info.CapabilitiesHash = put_list(l, NULL, spec->capabilities, spec->capability_count);
    }
    info.SecurityAttributes = put_attributes(l, spec);
    put(l, at, &info, sizeof(info));
}

int security_token_create(const struct security_token_spec *spec, struct security_token **out)
{
    struct layout l = {0};
    *out = NULL;
    if (spec->user == NULL || (spec->package == NULL && spec->capability_count != 0)) {
        return -EINVAL;
    }
    lay_out(&l, spec);
    if (l.status != 0 || l.used > UINT32_MAX) {
        return l.status != 0 ? l.status : -EINVAL;
    }
    struct security_token *t = calloc(1, sizeof(*t) + l.used);
    if (t == NULL) {
        return -ENOMEM;
    }
    t->blob.size = (UINT32)l.used;
    t->blob.data = t->data;
    l = (struct layout){.base = t->data};
    lay_out(&l, spec);
    *out = t;
    return 0;
}

void security_token_destroy(struct security_token *t)
{
    free(t);
}

const FWP_BYTE_BLOB *security_token_blob(const struct security_token *t)
{
    return &t->blob;
}

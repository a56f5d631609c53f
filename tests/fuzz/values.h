/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For fuzz targets: values and conditions of every type, from a stream. Small domains, so that a condition
 * made from some bytes has a chance to hold for a value made from others.
 */
#ifndef WEIR_TESTS_FUZZ_VALUES_H
#define WEIR_TESTS_FUZZ_VALUES_H

#include "fwpmk.h"
#include "security/security.h"

#include "stream.h"

/* Numbers around which things change. */
static inline uint64_t take_number(struct stream *s)
{
    static const uint64_t odd[] = {0xff,       0xffff,     0xffffffff, UINT64_MAX, 0x7fffffff, 0x80000000,
                                   0x0a000001, 0x0a0000ff, 0x7f000001, 0xe0000001, 0xc0a80000, 1024};
    uint8_t b = take8(s);
    if (b < 128) {
        return b % 16;
    }
    if (b < 224) {
        return odd[b % (sizeof(odd) / sizeof(odd[0]))];
    }
    return take64(s);
}

static inline void take_bytes(struct stream *s, uint8_t *out, size_t size)
{
    uint8_t shape = take8(s);
    for (size_t i = 0; i < size; i++) {
        out[i] = shape < 200 ? (uint8_t)(i + 1 == size ? shape % 4 : 0) : take8(s);
    }
}

static inline FWP_BYTE_BLOB *new_blob(struct arena *a, const void *data, size_t size)
{
    FWP_BYTE_BLOB *b = arena_new(a, sizeof(*b));
    b->size = (UINT32)size;
    b->data = arena_new(a, size);
    if (size != 0) {
        memcpy(b->data, data, size);
    }
    return b;
}

static inline WCHAR *take_text(struct stream *s, struct arena *a, size_t *units)
{
    static const WCHAR letters[] = u"aAbB\\/.\u00e4\u00c4";
    size_t n = take_below(s, 6);
    WCHAR *text = arena_new(a, (n + 1) * sizeof(WCHAR));
    for (size_t i = 0; i < n; i++) {
        text[i] = letters[take_below(s, sizeof(letters) / sizeof(letters[0]) - 1)];
    }
    *units = n;
    return text;
}

static inline SID *take_sid(struct stream *s, struct arena *a)
{
    static const char *const sids[] = {"S-1-0-0", "SY", "WD", "BU", "S-1-15-2-1", "S-1-15-2-1-2-3-4-5-6-7"};
    SID *sid = arena_new(a, SECURITY_MAX_SID_SIZE);
    REQUIRE(security_sid_parse(sids[take_below(s, 6)], sid, SECURITY_MAX_SID_SIZE) == 0);
    return sid;
}

static inline FWP_BYTE_BLOB *take_sd(struct stream *s, struct arena *a)
{
    static const char *const texts[] = {
        "D:(A;;CC;;;WD)",
        "D:(A;;CC;;;SY)",
        "D:(D;;CC;;;BU)(A;;CC;;;WD)",
        "D:",
        "D:NO_ACCESS_CONTROL",
        "D:(A;;CC;;;S-1-15-3-1)(A;;CC;;;WD)",
        "D:(XA;;CC;;;WD;(WIN://SYSAPPID Contains \"a\"))",
    };
    void *sd;
    size_t size;
    unsigned n = take_below(s, 9);
    if (n >= 7) {
        uint8_t raw[40];
        take_bytes(s, raw, sizeof(raw));
        return new_blob(a, raw, take_below(s, sizeof(raw)));
    }
    REQUIRE(security_sddl_parse(texts[n], &sd, &size, NULL) == 0);
    FWP_BYTE_BLOB *b = new_blob(a, sd, size);
    free(sd);
    return b;
}

/* Three tokens that live for ever. */
static inline const FWP_BYTE_BLOB *take_token(struct stream *s)
{
    static struct security_token *tokens[3];
    static const char *const json[] = {
        "{\"user\": \"S-1-5-21-1-2-3-1001\"}",
        "{\"user\": \"SY\", \"attributes\": {\"WIN://SYSAPPID\": [\"a\"]}}",
        ("{\"user\": \"S-1-5-21-1-2-3-1001\", \"package\": \"S-1-15-2-1-2-3-4-5-6-7\", \"capabilities\": "
         "[\"internetClient\"]}"),
    };
    unsigned n = take_below(s, 3);
    if (tokens[n] == NULL) {
        REQUIRE(security_token_from_json(json[n], strlen(json[n]), &tokens[n], NULL) == 0);
    }
    return security_token_blob(tokens[n]);
}

static inline FWP_TOKEN_INFORMATION *take_token_sids(struct stream *s, struct arena *a)
{
    FWP_TOKEN_INFORMATION *t = arena_new(a, sizeof(*t));
    t->sidCount = take_below(s, 4);
    t->sids = arena_new(a, t->sidCount * sizeof(*t->sids));
    for (ULONG i = 0; i < t->sidCount; i++) {
        t->sids[i].Sid = take_sid(s, a);
        t->sids[i].Attributes = take_below(s, 2) ? SE_GROUP_ENABLED : SE_GROUP_USE_FOR_DENY_ONLY;
    }
    return t;
}

/* Fills what FWP_VALUE0 and FWP_CONDITION_VALUE0 have in common; an unknown type is left with nothing behind
 * it. */
static inline void take_value(struct stream *s, struct arena *a, FWP_DATA_TYPE type,
                              FWP_CONDITION_VALUE0 *out)
{
    size_t units;
    memset(out, 0, sizeof(*out));
    out->type = type;
    switch (type) {
    case FWP_UINT8:
    case FWP_INT8:
        out->uint8 = (UINT8)take_number(s);
        break;
    case FWP_UINT16:
    case FWP_INT16:
        out->uint16 = (UINT16)take_number(s);
        break;
    case FWP_UINT32:
    case FWP_INT32:
    case FWP_FLOAT:
        out->uint32 = (UINT32)take_number(s);
        break;
    case FWP_UINT64:
    case FWP_INT64:
    case FWP_DOUBLE:
        out->uint64 = arena_new(a, sizeof(UINT64));
        *out->uint64 = take_number(s);
        break;
    case FWP_BYTE_ARRAY16_TYPE:
        out->byteArray16 = arena_new(a, sizeof(FWP_BYTE_ARRAY16));
        take_bytes(s, out->byteArray16->byteArray16, 16);
        break;
    case FWP_BYTE_ARRAY6_TYPE:
        out->byteArray6 = arena_new(a, sizeof(FWP_BYTE_ARRAY6));
        take_bytes(s, out->byteArray6->byteArray6, 6);
        break;
    case FWP_BYTE_BLOB_TYPE: {
        const WCHAR *text = take_text(s, a, &units);
        out->byteBlob = new_blob(a, text, units * sizeof(WCHAR) + (take_below(s, 2) ? sizeof(WCHAR) : 0));
        break;
    }
    case FWP_SID:
        out->sid = take_sid(s, a);
        break;
    case FWP_SECURITY_DESCRIPTOR_TYPE:
        out->sd = take_sd(s, a);
        break;
    case FWP_TOKEN_INFORMATION_TYPE:
        out->tokenInformation = take_token_sids(s, a);
        break;
    case FWP_TOKEN_ACCESS_INFORMATION_TYPE:
        out->tokenAccessInformation = (FWP_BYTE_BLOB *)take_token(s);
        break;
    case FWP_UNICODE_STRING_TYPE:
        out->unicodeString = take_text(s, a, &units);
        break;
    case FWP_V4_ADDR_MASK:
        out->v4AddrMask = arena_new(a, sizeof(FWP_V4_ADDR_AND_MASK));
        out->v4AddrMask->addr = (UINT32)take_number(s);
        out->v4AddrMask->mask = take8(s) < 240 ? ~(UINT32)0 << take_below(s, 32) : (UINT32)take_number(s);
        break;
    case FWP_V6_ADDR_MASK:
        out->v6AddrMask = arena_new(a, sizeof(FWP_V6_ADDR_AND_MASK));
        take_bytes(s, out->v6AddrMask->addr, 16);
        out->v6AddrMask->prefixLength = (UINT8)take_below(s, 132);
        break;
    case FWP_RANGE_TYPE: {
        static const FWP_DATA_TYPE ends[] = {FWP_UINT8,
                                             FWP_UINT16,
                                             FWP_UINT32,
                                             FWP_UINT64,
                                             FWP_INT8,
                                             FWP_INT16,
                                             FWP_BYTE_ARRAY16_TYPE,
                                             FWP_BYTE_ARRAY6_TYPE,
                                             FWP_EMPTY,
                                             FWP_FLOAT,
                                             FWP_UNICODE_STRING_TYPE};
        FWP_DATA_TYPE low = ends[take_below(s, sizeof(ends) / sizeof(ends[0]))];
        FWP_CONDITION_VALUE0 end;
        out->rangeValue = arena_new(a, sizeof(FWP_RANGE0));
        take_value(s, a, low, &end);
        memcpy(&out->rangeValue->valueLow, &end, sizeof(out->rangeValue->valueLow));
        take_value(s, a, take8(s) < 240 ? low : FWP_UINT32, &end);
        memcpy(&out->rangeValue->valueHigh, &end, sizeof(out->rangeValue->valueHigh));
        break;
    }
    default:
        break;
    }
}

/* A type a condition on a field of this type could have, mostly; any at all, now and then. */
static inline FWP_DATA_TYPE take_condition_type(struct stream *s, FWP_DATA_TYPE field)
{
    static const FWP_DATA_TYPE any[] = {
        FWP_EMPTY,
        FWP_UINT8,
        FWP_UINT16,
        FWP_UINT32,
        FWP_UINT64,
        FWP_INT8,
        FWP_INT16,
        FWP_INT32,
        FWP_INT64,
        FWP_FLOAT,
        FWP_DOUBLE,
        FWP_BYTE_ARRAY16_TYPE,
        FWP_BYTE_BLOB_TYPE,
        FWP_SID,
        FWP_SECURITY_DESCRIPTOR_TYPE,
        FWP_TOKEN_INFORMATION_TYPE,
        FWP_TOKEN_ACCESS_INFORMATION_TYPE,
        FWP_UNICODE_STRING_TYPE,
        FWP_BYTE_ARRAY6_TYPE,
        FWP_V4_ADDR_MASK,
        FWP_V6_ADDR_MASK,
        FWP_RANGE_TYPE,
        (FWP_DATA_TYPE)77,
    };
    uint8_t b = take8(s);
    if (b >= 240) {
        return any[take_below(s, sizeof(any) / sizeof(any[0]))];
    }
    if (field == FWP_TOKEN_INFORMATION_TYPE || field == FWP_TOKEN_ACCESS_INFORMATION_TYPE) {
        return FWP_SECURITY_DESCRIPTOR_TYPE;
    }
    if (b >= 160) {
        return FWP_RANGE_TYPE;
    }
    if (b >= 100 && field == FWP_UINT32) {
        return FWP_V4_ADDR_MASK;
    }
    if (b >= 100 && field == FWP_BYTE_ARRAY16_TYPE) {
        return FWP_V6_ADDR_MASK;
    }
    return field;
}

#endif

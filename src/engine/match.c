/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One condition: is it acceptable on a field (engine_condition_check), and does a value satisfy it
 * (engine_match). Section 2 of the semantics (MATCH). Pure functions over documented types.
 *
 * engine_match is the meaning of every match type; compiled tests (filter.c) and the index are held against
 * it by differential tests. It trusts nothing: a NULL where a value should point, or types that do not
 * fit, are no match.
 */
#include <string.h>

#include "engine/internal.h"
#include "security/security.h"

/* ---- what kind of thing a type is ------------------------------------------------------------------ */

static bool is_integer(FWP_DATA_TYPE t)
{
    return t >= FWP_UINT8 && t <= FWP_INT64;
}

/* Numbers and addresses: they have an order (MATCH-07). */
static bool is_ordered(FWP_DATA_TYPE t)
{
    return (t >= FWP_UINT8 && t <= FWP_DOUBLE) || t == FWP_BYTE_ARRAY16_TYPE || t == FWP_BYTE_ARRAY6_TYPE;
}

static bool is_token(FWP_DATA_TYPE t)
{
    return t == FWP_TOKEN_ACCESS_INFORMATION_TYPE || t == FWP_TOKEN_INFORMATION_TYPE;
}

/* ---- checking a condition -------------------------------------------------------------------------- */

/* Is `type` what a condition on this field may carry, ranges aside (MATCH-06)? */
static bool type_allowed(const struct engine_field *field, FWP_DATA_TYPE type)
{
    if (type == FWP_EMPTY)
        return true;
    if (is_token(field->data_type))
        return type == FWP_SECURITY_DESCRIPTOR_TYPE;
    if (type == FWP_V4_ADDR_MASK)
        return field->type == FWPM_FIELD_IP_ADDRESS && field->data_type == FWP_UINT32;
    if (type == FWP_V6_ADDR_MASK)
        return field->type == FWPM_FIELD_IP_ADDRESS && field->data_type == FWP_BYTE_ARRAY16_TYPE;
    return type == field->data_type && type != FWP_RANGE_TYPE;
}

/* Can this match type work on values of this type (MATCH-07, 13)? mask: the condition is an address mask. */
static bool match_usable(FWP_MATCH_TYPE match, FWP_DATA_TYPE type)
{
    switch (match) {
    case FWP_MATCH_EQUAL:
        return true;
    case FWP_MATCH_NOT_EQUAL:
        return type != FWP_EMPTY;
    case FWP_MATCH_GREATER:
    case FWP_MATCH_LESS:
    case FWP_MATCH_GREATER_OR_EQUAL:
    case FWP_MATCH_LESS_OR_EQUAL:
    case FWP_MATCH_RANGE:
        return is_ordered(type);
    case FWP_MATCH_FLAGS_ALL_SET:
    case FWP_MATCH_FLAGS_ANY_SET:
    case FWP_MATCH_FLAGS_NONE_SET:
        return is_integer(type);
    case FWP_MATCH_EQUAL_CASE_INSENSITIVE:
        return type == FWP_UNICODE_STRING_TYPE;
    case FWP_MATCH_PREFIX:
    case FWP_MATCH_NOT_PREFIX:
        return type == FWP_UNICODE_STRING_TYPE || type == FWP_BYTE_BLOB_TYPE;
    default:
        return false;
    }
}

/* Does the value of this type hold its content behind a pointer? */
static bool is_pointed(FWP_DATA_TYPE type)
{
    switch (type) {
    case FWP_EMPTY:
    case FWP_UINT8:
    case FWP_UINT16:
    case FWP_UINT32:
    case FWP_INT8:
    case FWP_INT16:
    case FWP_INT32:
    case FWP_FLOAT:
        return false;
    default:
        return true;
    }
}

static int compare(const FWP_VALUE0 *a, const FWP_VALUE0 *b, bool *unordered);

static NTSTATUS check_range(FWP_DATA_TYPE type, const FWP_RANGE0 *range)
{
    bool unordered = false;

    if (range == NULL)
        return STATUS_FWP_NULL_POINTER;
    if (range->valueLow.type != type || range->valueHigh.type != type)
        return STATUS_FWP_TYPE_MISMATCH;
    if (is_pointed(type) && (range->valueLow.uint64 == NULL || range->valueHigh.uint64 == NULL))
        return STATUS_FWP_NULL_POINTER;
    if (compare(&range->valueLow, &range->valueHigh, &unordered) > 0 || unordered)
        return STATUS_FWP_INVALID_RANGE;
    return STATUS_SUCCESS;
}

/* The content of an acceptable type: pointers, masks, and what only the security room can judge. */
static NTSTATUS check_content(const FWP_CONDITION_VALUE0 *v)
{
    if (is_pointed(v->type) && v->uint64 == NULL)
        return STATUS_FWP_NULL_POINTER;
    switch (v->type) {
    case FWP_V4_ADDR_MASK: /* contiguous: its complement is 2^n - 1 */
        return (~v->v4AddrMask->mask & (~v->v4AddrMask->mask + 1)) == 0 ? STATUS_SUCCESS
                                                                        : STATUS_FWP_INVALID_NET_MASK;
    case FWP_V6_ADDR_MASK:
        return v->v6AddrMask->prefixLength <= 128 ? STATUS_SUCCESS : STATUS_FWP_INVALID_NET_MASK;
    case FWP_BYTE_BLOB_TYPE:
        return v->byteBlob->size != 0 && v->byteBlob->data == NULL ? STATUS_FWP_NULL_POINTER : STATUS_SUCCESS;
    case FWP_SECURITY_DESCRIPTOR_TYPE:
        if (v->sd->data == NULL)
            return STATUS_FWP_NULL_POINTER;
        return security_sd_valid(v->sd->data, v->sd->size) ? STATUS_SUCCESS : STATUS_INVALID_SECURITY_DESCR;
    case FWP_SID:
        return security_sid_valid(v->sid, SECURITY_MAX_SID_SIZE) ? STATUS_SUCCESS : STATUS_INVALID_SID;
    default:
        return STATUS_SUCCESS;
    }
}

NTSTATUS engine_condition_check(const struct engine_field *field, FWP_MATCH_TYPE match,
                                const FWP_CONDITION_VALUE0 *value)
{
    FWP_DATA_TYPE operand;

    if (field == NULL)
        return STATUS_FWP_CONDITION_NOT_FOUND;
    if (value == NULL)
        return STATUS_FWP_NULL_POINTER;
    if ((unsigned)match >= FWP_MATCH_TYPE_MAX)
        return STATUS_FWP_INVALID_ENUMERATOR;

    if (match == FWP_MATCH_RANGE) {
        if (!is_ordered(field->data_type))
            return STATUS_FWP_MATCH_TYPE_MISMATCH;
        if (value->type != FWP_RANGE_TYPE)
            return value->type == FWP_EMPTY ? STATUS_FWP_MATCH_TYPE_MISMATCH : STATUS_FWP_TYPE_MISMATCH;
        return check_range(field->data_type, value->rangeValue);
    }
    if (!type_allowed(field, value->type))
        return STATUS_FWP_TYPE_MISMATCH;
    operand = value->type;
    if (operand == FWP_V4_ADDR_MASK || operand == FWP_V6_ADDR_MASK)
        operand = FWP_SECURITY_DESCRIPTOR_TYPE; /* as little usable: only equal or not */
    if (!match_usable(match, operand))
        return STATUS_FWP_MATCH_TYPE_MISMATCH;
    return check_content(value);
}

/* ---- comparing ------------------------------------------------------------------------------------- */

#define ORDER(a, b) (((a) > (b)) - ((a) < (b)))

/* Both of one ordered type, pointers not NULL. *unordered: a NaN is among them (the result means nothing). */
static int compare(const FWP_VALUE0 *a, const FWP_VALUE0 *b, bool *unordered)
{
    switch (a->type) {
    case FWP_UINT8:
        return ORDER(a->uint8, b->uint8);
    case FWP_UINT16:
        return ORDER(a->uint16, b->uint16);
    case FWP_UINT32:
        return ORDER(a->uint32, b->uint32);
    case FWP_UINT64:
        return ORDER(*a->uint64, *b->uint64);
    case FWP_INT8:
        return ORDER(a->int8, b->int8);
    case FWP_INT16:
        return ORDER(a->int16, b->int16);
    case FWP_INT32:
        return ORDER(a->int32, b->int32);
    case FWP_INT64:
        return ORDER(*a->int64, *b->int64);
    case FWP_FLOAT:
        *unordered = a->float32 != a->float32 || b->float32 != b->float32;
        return ORDER(a->float32, b->float32);
    case FWP_DOUBLE:
        *unordered = *a->double64 != *a->double64 || *b->double64 != *b->double64;
        return ORDER(*a->double64, *b->double64);
    case FWP_BYTE_ARRAY16_TYPE: /* MATCH-08: big-endian numbers */
        return memcmp(a->byteArray16->byteArray16, b->byteArray16->byteArray16, 16);
    case FWP_BYTE_ARRAY6_TYPE:
        return memcmp(a->byteArray6->byteArray6, b->byteArray6->byteArray6, 6);
    default:
        *unordered = true;
        return 0;
    }
}

static bool match_ordered(FWP_MATCH_TYPE match, const FWP_VALUE0 *value, const FWP_VALUE0 *operand)
{
    bool unordered = false;
    int order = compare(value, operand, &unordered);

    if (unordered)
        return match == FWP_MATCH_NOT_EQUAL;
    switch (match) {
    case FWP_MATCH_EQUAL:
        return order == 0;
    case FWP_MATCH_NOT_EQUAL:
        return order != 0;
    case FWP_MATCH_GREATER:
        return order > 0;
    case FWP_MATCH_LESS:
        return order < 0;
    case FWP_MATCH_GREATER_OR_EQUAL:
        return order >= 0;
    case FWP_MATCH_LESS_OR_EQUAL:
        return order <= 0;
    default:
        return false;
    }
}

/* The bits of an integer; signed ones zero-extended from their width, for masks. */
static UINT64 bits_of(const FWP_VALUE0 *v)
{
    switch (v->type) {
    case FWP_UINT8:
    case FWP_INT8:
        return v->uint8;
    case FWP_UINT16:
    case FWP_INT16:
        return v->uint16;
    case FWP_UINT32:
    case FWP_INT32:
        return v->uint32;
    default:
        return *v->uint64;
    }
}

/* MATCH-11 */
static bool match_flags(FWP_MATCH_TYPE match, UINT64 value, UINT64 mask)
{
    switch (match) {
    case FWP_MATCH_FLAGS_ALL_SET:
        return (value & mask) == mask;
    case FWP_MATCH_FLAGS_ANY_SET:
        return (value & mask) != 0;
    case FWP_MATCH_FLAGS_NONE_SET:
        return (value & mask) == 0;
    default:
        return false;
    }
}

static bool match_range(const FWP_RANGE0 *range, const FWP_VALUE0 *value)
{
    FWP_DATA_TYPE t = value->type;

    if (range == NULL || range->valueLow.type != t || range->valueHigh.type != t)
        return false;
    if (is_pointed(t) && (range->valueLow.uint64 == NULL || range->valueHigh.uint64 == NULL))
        return false;
    return match_ordered(FWP_MATCH_GREATER_OR_EQUAL, value, &range->valueLow) &&
           match_ordered(FWP_MATCH_LESS_OR_EQUAL, value, &range->valueHigh);
}

/* EQUAL, NOT_EQUAL: `equal` is whether they are; other match types: no. */
static bool match_equality(FWP_MATCH_TYPE match, bool equal)
{
    return match == FWP_MATCH_EQUAL ? equal : match == FWP_MATCH_NOT_EQUAL && !equal;
}

static bool v6_in_prefix(const FWP_V6_ADDR_AND_MASK *m, const UINT8 *addr)
{
    unsigned whole = m->prefixLength / 8, rest = m->prefixLength % 8;

    if (m->prefixLength > 128 || memcmp(m->addr, addr, whole) != 0)
        return false;
    return rest == 0 || ((m->addr[whole] ^ addr[whole]) & (0xff00 >> rest) & 0xff) == 0;
}

/* ---- strings and blobs ----------------------------------------------------------------------------- */

static size_t wcslen16(const WCHAR *s)
{
    size_t n = 0;

    while (s[n] != 0)
        n++;
    return n;
}

static bool equal_folded(const WCHAR *a, const WCHAR *b)
{
    while (*a != 0 && engine_lower(*a) == engine_lower(*b)) {
        a++;
        b++;
    }
    return *a == 0 && *b == 0;
}

static bool match_string(FWP_MATCH_TYPE match, const WCHAR *operand, const WCHAR *value)
{
    size_t n = wcslen16(operand), m = wcslen16(value);
    bool ends;

    switch (match) {
    case FWP_MATCH_EQUAL:
    case FWP_MATCH_NOT_EQUAL:
        return match_equality(match, n == m && memcmp(operand, value, n * sizeof(WCHAR)) == 0);
    case FWP_MATCH_EQUAL_CASE_INSENSITIVE:
        return equal_folded(operand, value);
    case FWP_MATCH_PREFIX:
    case FWP_MATCH_NOT_PREFIX:
        ends = n <= m && memcmp(operand, value + (m - n), n * sizeof(WCHAR)) == 0;
        return ends == (match == FWP_MATCH_PREFIX);
    default:
        return false;
    }
}

static bool ends_in_zero(const FWP_BYTE_BLOB *b)
{
    return b->size >= 2 && b->data[b->size - 1] == 0 && b->data[b->size - 2] == 0;
}

static bool match_blob(FWP_MATCH_TYPE match, const FWP_BYTE_BLOB *operand, const FWP_BYTE_BLOB *value)
{
    size_t n = operand->size, m = value->size;
    bool ends;

    if ((n != 0 && operand->data == NULL) || (m != 0 && value->data == NULL))
        return false;
    switch (match) {
    case FWP_MATCH_EQUAL:
    case FWP_MATCH_NOT_EQUAL:
        return match_equality(match, n == m && (n == 0 || memcmp(operand->data, value->data, n) == 0));
    case FWP_MATCH_PREFIX:
    case FWP_MATCH_NOT_PREFIX:
        if (ends_in_zero(value) && !ends_in_zero(operand))
            m -= 2;
        ends = n <= m && (n == 0 || memcmp(operand->data, value->data + (m - n), n) == 0);
        return ends == (match == FWP_MATCH_PREFIX);
    default:
        return false;
    }
}

/* MATCH-17, 28: EQUAL holds when the access check grants. A malformed value is neither. */
static bool match_token(FWP_MATCH_TYPE match, const FWP_BYTE_BLOB *sd, const FWP_VALUE0 *value)
{
    if (match != FWP_MATCH_EQUAL && match != FWP_MATCH_NOT_EQUAL)
        return false;
    if (sd->data == NULL)
        return false;
    if (value->type == FWP_TOKEN_ACCESS_INFORMATION_TYPE)
        return match_equality(match, security_access_check(sd->data, sd->size, value->tokenAccessInformation,
                                                           FWP_ACTRL_MATCH_FILTER));
    if (value->type == FWP_TOKEN_INFORMATION_TYPE)
        return match_equality(match, security_access_check_sids(sd->data, sd->size, value->tokenInformation,
                                                                FWP_ACTRL_MATCH_FILTER));
    return false;
}

/* ---- the whole ------------------------------------------------------------------------------------- */

bool engine_match(FWP_MATCH_TYPE match, const FWP_CONDITION_VALUE0 *condition, const FWP_VALUE0 *value)
{
    FWP_DATA_TYPE type = condition->type;

    if (type == FWP_EMPTY) /* MATCH-13 */
        return match == FWP_MATCH_EQUAL && value->type == FWP_EMPTY;
    if (value->type == FWP_EMPTY) /* MATCH-14, 15 */
        return match == FWP_MATCH_NOT_EQUAL || match == FWP_MATCH_NOT_PREFIX;
    if ((is_pointed(type) && condition->uint64 == NULL) || (is_pointed(value->type) && value->uint64 == NULL))
        return false;

    switch (type) {
    case FWP_RANGE_TYPE:
        return match == FWP_MATCH_RANGE && is_ordered(value->type) &&
               match_range(condition->rangeValue, value);
    case FWP_V4_ADDR_MASK: /* MATCH-10 */
        return value->type == FWP_UINT32 &&
               match_equality(
                   match, ((value->uint32 ^ condition->v4AddrMask->addr) & condition->v4AddrMask->mask) == 0);
    case FWP_V6_ADDR_MASK:
        return value->type == FWP_BYTE_ARRAY16_TYPE &&
               match_equality(match, v6_in_prefix(condition->v6AddrMask, value->byteArray16->byteArray16));
    case FWP_SECURITY_DESCRIPTOR_TYPE:
        return match_token(match, condition->sd, value);
    default:
        break;
    }
    if (value->type != type)
        return false;
    switch (type) {
    case FWP_BYTE_BLOB_TYPE:
        return match_blob(match, condition->byteBlob, value->byteBlob);
    case FWP_UNICODE_STRING_TYPE:
        return match_string(match, condition->unicodeString, value->unicodeString);
    case FWP_SID:
        return match_equality(match, security_sid_equal(condition->sid, value->sid));
    default:
        break;
    }
    if (!is_ordered(type))
        return false;
    if (match == FWP_MATCH_FLAGS_ALL_SET || match == FWP_MATCH_FLAGS_ANY_SET ||
        match == FWP_MATCH_FLAGS_NONE_SET)
        return is_integer(type) && match_flags(match, bits_of(value), bits_of((const FWP_VALUE0 *)condition));
    return match_ordered(match, value, (const FWP_VALUE0 *)condition);
}

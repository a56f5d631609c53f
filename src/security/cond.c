/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conditional expressions, binary: "artx", then tokens in postfix order (MS-DTYP 2.4.4.17.4 to .8):
 *
 *   0x01..0x04  integer      8 bytes value, 1 byte sign, 1 byte base
 *   0x10        string       4 bytes length, UTF-16 without NUL
 *   0x18        octets       4 bytes length, bytes
 *   0x50        composite    4 bytes length, literals one after the other
 *   0x51        SID          4 bytes length, SID
 *   0xf8..0xfb  attribute    4 bytes length, its name in UTF-16
 *   0x80..0xa2  operator     nothing
 *   0x00        padding
 *
 * This file steps through them and knows the operators; cond_parse.c, cond_format.c and cond_evaluate.c do
 * the rest.
 */
#include "security/internal.h"

static const struct {
    uint8_t token;
    enum sec_cond_class class;
    const char *word;
} operators[] = {
    {COND_EQ, SEC_COND_COMPARE, "=="},
    {COND_NE, SEC_COND_COMPARE, "!="},
    {COND_LT, SEC_COND_COMPARE, "<"},
    {COND_LE, SEC_COND_COMPARE, "<="},
    {COND_GT, SEC_COND_COMPARE, ">"},
    {COND_GE, SEC_COND_COMPARE, ">="},
    {COND_CONTAINS, SEC_COND_COMPARE, "Contains"},
    {COND_NOT_CONTAINS, SEC_COND_COMPARE, "Not_Contains"},
    {COND_ANY_OF, SEC_COND_COMPARE, "Any_of"},
    {COND_NOT_ANY_OF, SEC_COND_COMPARE, "Not_Any_of"},
    {COND_EXISTS, SEC_COND_EXIST, "Exists"},
    {COND_NOT_EXISTS, SEC_COND_EXIST, "Not_Exists"},
    {COND_MEMBER_OF, SEC_COND_MEMBER, "Member_of"},
    {COND_MEMBER_OF_ANY, SEC_COND_MEMBER, "Member_of_Any"},
    {COND_DEVICE_MEMBER_OF, SEC_COND_MEMBER, "Device_Member_of"},
    {COND_DEVICE_MEMBER_OF_ANY, SEC_COND_MEMBER, "Device_Member_of_Any"},
    {COND_NOT_MEMBER_OF, SEC_COND_MEMBER, "Not_Member_of"},
    {COND_NOT_MEMBER_OF_ANY, SEC_COND_MEMBER, "Not_Member_of_Any"},
    {COND_NOT_DEVICE_MEMBER_OF, SEC_COND_MEMBER, "Not_Device_Member_of"},
    {COND_NOT_DEVICE_MEMBER_OF_ANY, SEC_COND_MEMBER, "Not_Device_Member_of_Any"},
    {COND_AND, SEC_COND_LOGIC, "&&"},
    {COND_OR, SEC_COND_LOGIC, "||"},
    {COND_NOT, SEC_COND_INVERT, "!"},
};
#define OPERATORS (sizeof(operators) / sizeof(operators[0]))

enum sec_cond_class sec_cond_class(uint8_t token)
{
    if ((token >= COND_INT8 && token <= COND_INT64) || token == COND_STRING || token == COND_OCTETS ||
        token == COND_COMPOSITE || token == COND_SID) {
        return SEC_COND_LITERAL;
    }
    if (token >= COND_LOCAL && token <= COND_DEVICE) {
        return SEC_COND_ATTRIBUTE;
    }
    for (size_t i = 0; i < OPERATORS; i++) {
        if (operators[i].token == token) {
            return operators[i].class;
        }
    }
    return SEC_COND_BAD;
}

const char *sec_cond_word(uint8_t token)
{
    for (size_t i = 0; i < OPERATORS; i++) {
        if (operators[i].token == token) {
            return operators[i].word;
        }
    }
    return NULL;
}

int sec_cond_keyword(const char *text, size_t size)
{
    for (size_t i = 0; i < OPERATORS; i++) {
        if (sec_word_equal(text, size, operators[i].word)) {
            return operators[i].token;
        }
    }
    return -1;
}

const char *sec_cond_prefix(uint8_t token)
{
    switch (token) {
    case COND_USER:
        return "@User.";
    case COND_RESOURCE:
        return "@Resource.";
    case COND_DEVICE:
        return "@Device.";
    default:
        return NULL;
    }
}

int sec_cond_next(const uint8_t **p, const uint8_t *end, struct sec_cond_item *out)
{
    while (*p < end && **p == COND_PAD) {
        ++*p;
    }
    if (*p == end) {
        return 0;
    }
    *out = (struct sec_cond_item){.token = *(*p)++};
    size_t left = (size_t)(end - *p);
    enum sec_cond_class class = sec_cond_class(out->token);
    if (class == SEC_COND_BAD) {
        return -1;
    }
    if (class != SEC_COND_LITERAL && class != SEC_COND_ATTRIBUTE) {
        return 1;
    }
    out->size = 10;
    if (out->token > COND_INT64) {
        if (left < 4) {
            return -1;
        }
        out->size = sec_get32(*p);
        *p += 4;
        left -= 4;
    }
    if (out->size > left) {
        return -1;
    }
    out->data = *p;
    *p += out->size;
    if (out->token == COND_SID && (out->size == 0 || sec_sid_at(out->data, out->size) != out->size)) {
        return -1;
    }
    if ((out->token == COND_STRING || class == SEC_COND_ATTRIBUTE) && out->size % 2 != 0) {
        return -1;
    }
    return 1;
}

bool sec_cond_value(const struct sec_cond_item *item, struct sec_value *out)
{
    *out = (struct sec_value){.data = item->data, .size = item->size};
    switch (item->token) {
    case COND_INT8:
    case COND_INT16:
    case COND_INT32:
    case COND_INT64:
        out->type = CLAIM_SECURITY_ATTRIBUTE_TYPE_INT64;
        out->number = sec_get64(item->data);
        return true;
    case COND_STRING:
        out->type = CLAIM_SECURITY_ATTRIBUTE_TYPE_STRING;
        return true;
    case COND_OCTETS:
        out->type = CLAIM_SECURITY_ATTRIBUTE_TYPE_OCTET_STRING;
        return true;
    case COND_SID:
        out->type = CLAIM_SECURITY_ATTRIBUTE_TYPE_SID;
        return true;
    default:
        return false;
    }
}

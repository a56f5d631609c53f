/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The notations of single values in an export: numbers, keys, hex, UTF-8. Strict: a text either is one
 * such value from its first to its last character, or it is refused.
 */
#include <string.h>

#include "internal.h"

/* Values of hex digits; 0xff for all else. */
static UINT8 hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return (UINT8)(c - '0');
    if (c >= 'a' && c <= 'f')
        return (UINT8)(c - 'a' + 10);
    if (c >= 'A' && c <= 'F')
        return (UINT8)(c - 'A' + 10);
    return 0xff;
}

bool text_hex(const char *text, size_t size, UINT8 *out)
{
    if (size % 2 != 0)
        return false;
    for (size_t i = 0; i < size; i += 2) {
        UINT8 high = hex_digit(text[i]), low = hex_digit(text[i + 1]);
        if ((high | low) > 15)
            return false;
        out[i / 2] = (UINT8)(high << 4 | low);
    }
    return true;
}

bool text_guid(const char *text, size_t size, GUID *out)
{
    if (size == 38 && text[0] == '{' && text[37] == '}') {
        text++;
        size = 36;
    }
    if (size != 36 || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-')
        return false;
    UINT8 b[16];
    if (!text_hex(text, 8, b) || !text_hex(text + 9, 4, b + 4) || !text_hex(text + 14, 4, b + 6) ||
        !text_hex(text + 19, 4, b + 8) || !text_hex(text + 24, 12, b + 10))
        return false;
    out->Data1 = (UINT32)b[0] << 24 | (UINT32)b[1] << 16 | (UINT32)b[2] << 8 | b[3];
    out->Data2 = (UINT16)(b[4] << 8 | b[5]);
    out->Data3 = (UINT16)(b[6] << 8 | b[7]);
    memcpy(out->Data4, b + 8, 8);
    return true;
}

bool text_unsigned(const char *text, size_t size, UINT64 max, UINT64 *out)
{
    UINT64 value = 0;
    if (size > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
        for (size_t i = 2; i < size; i++) {
            UINT8 digit = hex_digit(text[i]);
            if (digit > 15 || value >> 60 != 0)
                return false;
            value = value << 4 | digit;
        }
    } else {
        if (size == 0)
            return false;
        for (size_t i = 0; i < size; i++) {
            unsigned digit = (unsigned)(text[i] - '0');
            if (digit > 9 || value > (~0ull - digit) / 10)
                return false;
            value = value * 10 + digit;
        }
    }
    *out = value;
    return value <= max;
}

bool text_signed(const char *text, size_t size, INT64 min, INT64 max, INT64 *out)
{
    bool negative = size > 0 && text[0] == '-';
    UINT64 value;
    if (!text_unsigned(text + negative, size - negative, negative ? 0 - (UINT64)min : (UINT64)max, &value))
        return false;
    *out = negative ? (INT64)(0 - value) : (INT64)value;
    return true;
}

WCHAR *text_wide(struct arena *a, const char *text, size_t size)
{
    /* never more UTF-16 units than UTF-8 bytes */
    WCHAR *wide = size > SIZE_MAX / sizeof(WCHAR) - 1 ? NULL : arena_alloc(a, (size + 1) * sizeof(WCHAR));
    if (wide == NULL)
        return NULL;
    size_t n = 0;
    for (size_t i = 0; i < size;) {
        unsigned char c = (unsigned char)text[i];
        size_t length = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
        if (length == 1) {
            wide[n++] = c;
            i++;
            continue;
        }
        if (length > size - i)
            break;
        UINT32 point = c & (0x7fu >> length);
        for (size_t k = 1; k < length; k++)
            point = point << 6 | ((unsigned char)text[i + k] & 0x3f);
        i += length;
        if (point >= 0x10000) {
            point -= 0x10000;
            wide[n++] = (WCHAR)(0xd800 | (point >> 10 & 0x3ff));
            wide[n++] = (WCHAR)(0xdc00 | (point & 0x3ff));
        } else {
            wide[n++] = (WCHAR)point;
        }
    }
    wide[n] = 0;
    return wide;
}

void text_narrow(struct buffer *b, const WCHAR *text)
{
    while (*text != 0) {
        UINT32 point = *text++;
        if (point >= 0xd800 && point < 0xdc00 && *text >= 0xdc00 && *text < 0xe000)
            point = 0x10000 + ((point & 0x3ff) << 10) + (*text++ & 0x3ffu);
        else if (point >= 0xd800 && point < 0xe000)
            point = 0xfffd; /* half a pair has no UTF-8 form */
        else if (point < 0x20 && point != '\t' && point != '\n' && point != '\r')
            point = 0xfffd; /* XML has no form for these */
        char out[4];
        size_t n;
        if (point < 0x80) {
            out[0] = (char)point;
            n = 1;
        } else if (point < 0x800) {
            out[0] = (char)(0xc0 | point >> 6);
            out[1] = (char)(0x80 | (point & 0x3f));
            n = 2;
        } else if (point < 0x10000) {
            out[0] = (char)(0xe0 | point >> 12);
            out[1] = (char)(0x80 | (point >> 6 & 0x3f));
            out[2] = (char)(0x80 | (point & 0x3f));
            n = 3;
        } else {
            out[0] = (char)(0xf0 | point >> 18);
            out[1] = (char)(0x80 | (point >> 12 & 0x3f));
            out[2] = (char)(0x80 | (point >> 6 & 0x3f));
            out[3] = (char)(0x80 | (point & 0x3f));
            n = 4;
        }
        buffer_add(b, out, n);
    }
}

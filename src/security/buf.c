/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The buffer in which descriptors, tokens and their text are built, and the little Unicode that takes.
 *
 * A buffer that could not grow is marked failed and ignores what follows, so that builders check once, at
 * the end.
 */
#include "security/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void sec_buf_free(struct sec_buf *b)
{
    free(b->data);
    *b = (struct sec_buf){0};
}

static bool sec_buf_reserve(struct sec_buf *b, size_t more)
{
    if (b->failed) {
        return false;
    }
    if (more <= b->capacity - b->size) {
        return true;
    }
    size_t capacity = b->capacity < 64 ? 64 : b->capacity * 2;
    while (capacity - b->size < more) {
        if (capacity > SIZE_MAX / 2) {
            b->failed = true;
            return false;
        }
        capacity *= 2;
    }
    uint8_t *data = realloc(b->data, capacity);
    if (data == NULL) {
        b->failed = true;
        return false;
    }
    b->data = data;
    b->capacity = capacity;
    return true;
}

void sec_buf_add(struct sec_buf *b, const void *data, size_t size)
{
    if (size == 0 || !sec_buf_reserve(b, size)) {
        return;
    }
    memcpy(b->data + b->size, data, size);
    b->size += size;
}

void sec_buf_add8(struct sec_buf *b, uint8_t v)
{
    sec_buf_add(b, &v, sizeof(v));
}

void sec_buf_add16(struct sec_buf *b, uint16_t v)
{
    sec_buf_add(b, &v, sizeof(v));
}

void sec_buf_add32(struct sec_buf *b, uint32_t v)
{
    sec_buf_add(b, &v, sizeof(v));
}

void sec_buf_add64(struct sec_buf *b, uint64_t v)
{
    sec_buf_add(b, &v, sizeof(v));
}

void sec_buf_text(struct sec_buf *b, const char *text)
{
    sec_buf_add(b, text, strlen(text));
}

void sec_buf_textf(struct sec_buf *b, const char *format, ...)
{
    char text[128];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof(text)) {
        b->failed = true;
        return;
    }
    sec_buf_add(b, text, (size_t)n);
}

void sec_buf_align(struct sec_buf *b, size_t to)
{
    static const uint8_t zeros[16];
    size_t over = b->size % to;
    if (over != 0) {
        sec_buf_add(b, zeros, to - over);
    }
}

void sec_buf_set32(struct sec_buf *b, size_t at, uint32_t v)
{
    if (!b->failed) {
        memcpy(b->data + at, &v, sizeof(v));
    }
}

void sec_buf_utf16(struct sec_buf *b, uint32_t code_point)
{
    if (code_point < 0x10000) {
        sec_buf_add16(b, (uint16_t)code_point);
        return;
    }
    code_point -= 0x10000;
    sec_buf_add16(b, (uint16_t)(0xd800 + (code_point >> 10)));
    sec_buf_add16(b, (uint16_t)(0xdc00 + (code_point & 0x3ff)));
}

static void sec_buf_utf8(struct sec_buf *b, uint32_t c)
{
    if (c < 0x80) {
        sec_buf_add8(b, (uint8_t)c);
    } else if (c < 0x800) {
        sec_buf_add8(b, (uint8_t)(0xc0 | c >> 6));
        sec_buf_add8(b, (uint8_t)(0x80 | (c & 0x3f)));
    } else if (c < 0x10000) {
        sec_buf_add8(b, (uint8_t)(0xe0 | c >> 12));
        sec_buf_add8(b, (uint8_t)(0x80 | (c >> 6 & 0x3f)));
        sec_buf_add8(b, (uint8_t)(0x80 | (c & 0x3f)));
    } else {
        sec_buf_add8(b, (uint8_t)(0xf0 | c >> 18));
        sec_buf_add8(b, (uint8_t)(0x80 | (c >> 12 & 0x3f)));
        sec_buf_add8(b, (uint8_t)(0x80 | (c >> 6 & 0x3f)));
        sec_buf_add8(b, (uint8_t)(0x80 | (c & 0x3f)));
    }
}

bool sec_buf_utf16_as_utf8(struct sec_buf *b, const uint8_t *utf16, size_t size)
{
    if (size % 2 != 0) {
        return false;
    }
    for (size_t i = 0; i < size; i += 2) {
        uint32_t c = sec_get16(utf16 + i);
        if (c >= 0xd800 && c < 0xdc00 && i + 4 <= size) {
            uint32_t low = sec_get16(utf16 + i + 2);
            if (low < 0xdc00 || low > 0xdfff) {
                return false;
            }
            c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
            i += 2;
        } else if (c >= 0xd800 && c <= 0xdfff) {
            return false;
        }
        sec_buf_utf8(b, c);
    }
    return true;
}

size_t sec_utf8_next(const char *text, size_t size, uint32_t *code_point)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const uint8_t *p = (const uint8_t *)text;
    if (size == 0) {
        return 0;
    }
    if (p[0] < 0x80) {
        *code_point = p[0];
        return 1;
    }
    size_t length = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc0 || p[0] > 0xf4 || length > size) {
        return 0;
    }
    uint32_t c = p[0] & (0xffu >> (length + 1));
    for (size_t i = 1; i < length; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
        c = c << 6 | (p[i] & 0x3f);
    }
    if (c < least[length] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff)) {
        return 0;
    }
    *code_point = c;
    return length;
}

char16_t sec_upcase(char16_t c)
{
    if (c >= u'a' && c <= u'z') {
        return (char16_t)(c - 32);
    }
    if (c < 0xb5) {
        return c;
    }
    if (c >= 0xe0 && c <= 0xfe && c != 0xf7) {
        return (char16_t)(c - 32);
    }
    if (c == 0xff) {
        return 0x178;
    }
    if ((c >= 0x3b1 && c <= 0x3cb && c != 0x3c2) || (c >= 0x430 && c <= 0x44f)) {
        return (char16_t)(c - 32);
    }
    if (c >= 0x450 && c <= 0x45f) {
        return (char16_t)(c - 80);
    }
    return c;
}

int sec_utf16_compare(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size, bool case_sensitive)
{
    size_t common = a_size < b_size ? a_size : b_size;
    for (size_t i = 0; i + 1 < common; i += 2) {
        char16_t ca = sec_get16(a + i), cb = sec_get16(b + i);
        if (!case_sensitive) {
            ca = sec_upcase(ca);
            cb = sec_upcase(cb);
        }
        if (ca != cb) {
            return ca < cb ? -1 : 1;
        }
    }
    return a_size == b_size ? 0 : a_size < b_size ? -1 : 1;
}

bool sec_word_equal(const char *text, size_t size, const char *word)
{
    for (size_t i = 0; i < size; i++) {
        if (word[i] == '\0' || sec_upcase((uint8_t)text[i]) != sec_upcase((uint8_t)word[i])) {
            return false;
        }
    }
    return word[size] == '\0';
}

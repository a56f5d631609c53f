/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one formatter behind every printf of the kernel; see format.h for what it means by a format.
 *
 * Format and output are of the same width (narrow or wide), arguments of either. A directive is read into a
 * struct spec, then printed into the sink, which counts all units and keeps those that fit. Text of the other
 * width goes through code points; its printed length is found by a first pass into a sink that keeps nothing.
 */
#include "format.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct sink {
    void *out;
    bool wide;
    size_t size, count; /* units, of the whole text */
};

enum size_prefix { SIZE_NONE, SIZE_HH, SIZE_H, SIZE_L, SIZE_W, SIZE_64, SIZE_LONG_DOUBLE };

struct spec {
    bool left, plus, space, alternate, zero;
    bool has_precision;
    size_t width, precision;
    enum size_prefix prefix;
    unsigned type;
};

struct reader {
    const void *format;
    bool wide;
    va_list args;
};

/* A width beyond this is a mistake of the format, not a wish. */
enum { WIDTH_MAX = 1 << 20, FLOAT_DIGITS_MAX = 300 };

/* ---- code points -------------------------------------------------------------------------------------- */
uint32_t rtl_utf8_next(const char *text, size_t size, size_t *at)
{
    static const uint32_t smallest[4] = {0, 0x80, 0x800, 0x10000};
    const unsigned char *s = (const unsigned char *)text;
    unsigned char first = s[(*at)++];

    if (first < 0x80)
        return first;
    unsigned more = first >= 0xf0 && first < 0xf8   ? 3
                    : first >= 0xe0 && first < 0xf0 ? 2
                    : first >= 0xc2                 ? 1
                                                    : 0;
    if (more == 0 || first >= 0xf8)
        return 0xfffd;
    uint32_t code = first & (0x3fu >> more);
    for (unsigned i = 0; i < more; i++) {
        if (*at >= size || (s[*at] & 0xc0) != 0x80)
            return 0xfffd;
        code = code << 6 | (s[(*at)++] & 0x3f);
    }
    if (code < smallest[more] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
        return 0xfffd;
    return code;
}

uint32_t rtl_utf16_next(const WCHAR *text, size_t size, size_t *at)
{
    uint32_t first = text[(*at)++];

    if (first < 0xd800 || first >= 0xe000)
        return first;
    if (first >= 0xdc00 || *at >= size || text[*at] < 0xdc00 || text[*at] >= 0xe000)
        return 0xfffd;
    return 0x10000 + ((first - 0xd800) << 10) + (text[(*at)++] - 0xdc00u);
}

unsigned rtl_utf8_put(uint32_t code, char *out)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    unsigned more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    out[0] = (char)((0xff00u >> (more + 1) & 0xff) | code >> (6 * more));
    for (unsigned i = 1; i <= more; i++)
        out[i] = (char)(0x80 | (code >> (6 * (more - i)) & 0x3f));
    return more + 1;
}

unsigned rtl_utf16_put(uint32_t code, WCHAR *out)
{
    if (code < 0x10000) {
        out[0] = (WCHAR)code;
        return 1;
    }
    out[0] = (WCHAR)(0xd800 + ((code - 0x10000) >> 10));
    out[1] = (WCHAR)(0xdc00 + ((code - 0x10000) & 0x3ff));
    return 2;
}

/* ---- the sink ----------------------------------------------------------------------------------------- */
static void put(struct sink *s, unsigned unit)
{
    if (s->count + 1 < s->size) {
        if (s->wide)
            ((WCHAR *)s->out)[s->count] = (WCHAR)unit;
        else
            ((char *)s->out)[s->count] = (char)unit;
    }
    s->count++;
}

static void put_times(struct sink *s, unsigned unit, size_t times)
{
    while (times-- > 0)
        put(s, unit);
}

static void put_ascii(struct sink *s, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        put(s, (unsigned char)text[i]);
}

static void put_text(struct sink *s, const void *text, bool wide, size_t units)
{
    if (wide == s->wide) {
        for (size_t i = 0; i < units; i++)
            put(s, wide ? ((const WCHAR *)text)[i] : ((const unsigned char *)text)[i]);
        return;
    }
    for (size_t at = 0; at < units;) {
        uint32_t code = wide ? rtl_utf16_next(text, units, &at) : rtl_utf8_next(text, units, &at);
        char narrow[4];
        WCHAR pair[2];
        unsigned n = s->wide ? rtl_utf16_put(code, pair) : rtl_utf8_put(code, narrow);

        for (unsigned i = 0; i < n; i++)
            put(s, s->wide ? pair[i] : (unsigned char)narrow[i]);
    }
}

/* Text in its field. */
static void put_field(struct sink *s, const struct spec *spec, const void *text, bool wide, size_t units)
{
    struct sink length = {.wide = s->wide};

    put_text(&length, text, wide, units);
    size_t padding = spec->width > length.count ? spec->width - length.count : 0;
    if (!spec->left)
        put_times(s, spec->zero ? '0' : ' ', padding);
    put_text(s, text, wide, units);
    if (spec->left)
        put_times(s, ' ', padding);
}

/* ---- arguments ---------------------------------------------------------------------------------------- */
/* Is the text of this directive wide? Capital types are of the other width, h and l / w name one. */
static bool text_is_wide(const struct reader *r, const struct spec *spec)
{
    if (spec->prefix == SIZE_H || spec->prefix == SIZE_HH)
        return false;
    if (spec->prefix == SIZE_L || spec->prefix == SIZE_W)
        return true;
    if (spec->type == 'Z')
        return false;
    return (spec->type == 's' || spec->type == 'c') == r->wide;
}

static void print_string(struct reader *r, struct sink *s, const struct spec *spec)
{
    bool wide = text_is_wide(r, spec);
    const void *text = va_arg(r->args, const void *);
    size_t limit = spec->has_precision ? spec->precision : SIZE_MAX, units = 0;

    if (text == NULL) {
        text = "(null)";
        wide = false;
    }
    if (wide)
        while (units < limit && ((const WCHAR *)text)[units] != 0)
            units++;
    else
        units = limit == SIZE_MAX ? strlen(text) : strnlen(text, limit);
    put_field(s, spec, text, wide, units);
}

static void print_counted(struct reader *r, struct sink *s, const struct spec *spec)
{
    bool wide = text_is_wide(r, spec);
    const void *string = va_arg(r->args, const void *);
    const void *text = NULL;
    size_t units = 0;

    if (string != NULL && wide) {
        text = ((const UNICODE_STRING *)string)->Buffer;
        units = ((const UNICODE_STRING *)string)->Length / sizeof(WCHAR);
    } else if (string != NULL) {
        text = ((const STRING *)string)->Buffer;
        units = ((const STRING *)string)->Length;
    }
    if (text == NULL) {
        text = "(null)";
        wide = false;
        units = 6;
    }
    if (spec->has_precision && units > spec->precision)
        units = spec->precision;
    put_field(s, spec, text, wide, units);
}

static void print_character(struct reader *r, struct sink *s, const struct spec *spec)
{
    bool wide = text_is_wide(r, spec);
    int value = va_arg(r->args, int);
    WCHAR w = (WCHAR)value;
    char c = (char)value;

    put_field(s, spec, wide ? (const void *)&w : &c, wide, 1);
}

static long long signed_argument(struct reader *r, const struct spec *spec)
{
    if (spec->prefix == SIZE_64)
        return va_arg(r->args, long long);
    int value = va_arg(r->args, int);
    return spec->prefix == SIZE_H ? (short)value : spec->prefix == SIZE_HH ? (signed char)value : value;
}

static unsigned long long unsigned_argument(struct reader *r, const struct spec *spec)
{
    if (spec->prefix == SIZE_64)
        return va_arg(r->args, unsigned long long);
    unsigned value = va_arg(r->args, unsigned);
    return spec->prefix == SIZE_H    ? (unsigned short)value
           : spec->prefix == SIZE_HH ? (unsigned char)value
                                     : value;
}

/* Sign or base in front, then zeroes, then digits. */
static void print_digits(struct sink *s, const struct spec *spec, const char *front, unsigned long long value,
                         unsigned base, bool capitals)
{
    char digits[24];
    size_t n = 0, front_length = strlen(front), zeroes = 0;

    for (unsigned long long v = value; v != 0; v /= base)
        digits[n++] = (capitals ? "0123456789ABCDEF" : "0123456789abcdef")[v % base];
    if (n == 0 && !(spec->has_precision && spec->precision == 0))
        digits[n++] = '0';
    if (spec->has_precision && spec->precision > n)
        zeroes = spec->precision - n;
    else if (!spec->has_precision && spec->zero && !spec->left && spec->width > n + front_length)
        zeroes = spec->width - n - front_length;
    if (base == 8 && spec->alternate && zeroes == 0 && (n == 0 || digits[n - 1] != '0'))
        zeroes = 1;
    size_t all = front_length + zeroes + n, padding = spec->width > all ? spec->width - all : 0;
    if (!spec->left)
        put_times(s, ' ', padding);
    put_ascii(s, front, front_length);
    put_times(s, '0', zeroes);
    while (n > 0)
        put(s, (unsigned)digits[--n]);
    if (spec->left)
        put_times(s, ' ', padding);
}

static void print_integer(struct reader *r, struct sink *s, struct spec *spec)
{
    if (spec->type == 'p') { /* a pointer: all of its digits, in capitals, whatever was asked */
        unsigned long long value = (unsigned long long)(uintptr_t)va_arg(r->args, void *);
        spec->has_precision = true;
        spec->precision = 2 * sizeof(void *);
        print_digits(s, spec, spec->alternate ? "0X" : "", value, 16, true);
        return;
    }
    if (spec->type == 'd' || spec->type == 'i') {
        long long value = signed_argument(r, spec);
        const char *sign = value < 0 ? "-" : spec->plus ? "+" : spec->space ? " " : "";
        print_digits(s, spec, sign, value < 0 ? -(unsigned long long)value : (unsigned long long)value, 10,
                     false);
        return;
    }
    unsigned long long value = unsigned_argument(r, spec);
    bool hex = spec->type == 'x' || spec->type == 'X';
    const char *front = hex && spec->alternate && value != 0 ? (spec->type == 'x' ? "0x" : "0X") : "";
    print_digits(s, spec, front, value, hex ? 16 : spec->type == 'o' ? 8 : 10, spec->type == 'X');
}

static void print_float(struct reader *r, struct sink *s, const struct spec *spec)
{
    char format[16], text[512 + FLOAT_DIGITS_MAX];
    size_t n = 0;
    int digits = !spec->has_precision                 ? -1
                 : spec->precision > FLOAT_DIGITS_MAX ? FLOAT_DIGITS_MAX
                                                      : (int)spec->precision;
    double value =
        spec->prefix == SIZE_LONG_DOUBLE ? (double)va_arg(r->args, long double) : va_arg(r->args, double);

    format[n++] = '%';
    if (spec->plus)
        format[n++] = '+';
    if (spec->space)
        format[n++] = ' ';
    if (spec->alternate)
        format[n++] = '#';
    memcpy(format + n, ".*", 2);
    n += 2;
    format[n++] = (char)spec->type;
    format[n] = 0;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    int length = snprintf(text, sizeof text, format, digits, value);
#pragma GCC diagnostic pop
    if (length < 0)
        return;
    size_t front = text[0] == '-' || text[0] == '+' || text[0] == ' ';
    size_t padding = spec->width > (size_t)length ? spec->width - (size_t)length : 0;
    if (!spec->left && !spec->zero)
        put_times(s, ' ', padding);
    put_ascii(s, text, front);
    if (!spec->left && spec->zero)
        put_times(s, '0', padding);
    put_ascii(s, text + front, (size_t)length - front);
    if (spec->left)
        put_times(s, ' ', padding);
}

/* ---- directives --------------------------------------------------------------------------------------- */
static unsigned unit_at(const struct reader *r, size_t at)
{
    return r->wide ? ((const WCHAR *)r->format)[at] : ((const unsigned char *)r->format)[at];
}

/* A number or *; negative only by *. */
static long long read_number(struct reader *r, size_t *at)
{
    long long value = 0;

    if (unit_at(r, *at) == '*') {
        ++*at;
        return va_arg(r->args, int);
    }
    for (; unit_at(r, *at) >= '0' && unit_at(r, *at) <= '9'; ++*at)
        if (value < WIDTH_MAX)
            value = value * 10 + (unit_at(r, *at) - '0');
    return value;
}

static enum size_prefix read_prefix(struct reader *r, size_t *at)
{
    enum size_prefix prefix = SIZE_NONE;

    for (;;) {
        switch (unit_at(r, *at)) {
        case 'h':
            prefix = prefix == SIZE_H ? SIZE_HH : SIZE_H;
            break;
        case 'l':
            prefix = prefix == SIZE_L ? SIZE_64 : SIZE_L;
            break;
        case 'w':
            prefix = SIZE_W;
            break;
        case 'L':
            prefix = SIZE_LONG_DOUBLE;
            break;
        case 'j':
        case 'z':
        case 't':
            prefix = SIZE_64;
            break;
        case 'I':
            prefix = SIZE_64;
            if (unit_at(r, *at + 1) == '6' && unit_at(r, *at + 2) == '4') {
                *at += 2;
            } else if (unit_at(r, *at + 1) == '3' && unit_at(r, *at + 2) == '2') {
                prefix = SIZE_NONE;
                *at += 2;
            }
            break;
        default:
            return prefix;
        }
        ++*at;
    }
}

static struct spec read_spec(struct reader *r, size_t *at)
{
    struct spec spec = {0};

    for (bool flags = true; flags; *at += flags) {
        switch (unit_at(r, *at)) {
        case '-':
            spec.left = true;
            break;
        case '+':
            spec.plus = true;
            break;
        case ' ':
            spec.space = true;
            break;
        case '#':
            spec.alternate = true;
            break;
        case '0':
            spec.zero = true;
            break;
        default:
            flags = false;
        }
    }
    long long width = read_number(r, at);
    if (width < 0) {
        spec.left = true;
        width = -width;
    }
    spec.width = width > WIDTH_MAX ? WIDTH_MAX : (size_t)width;
    if (unit_at(r, *at) == '.') {
        ++*at;
        long long precision = read_number(r, at);
        spec.has_precision = precision >= 0;
        spec.precision = precision < 0 ? 0 : precision > WIDTH_MAX ? WIDTH_MAX : (size_t)precision;
    }
    spec.prefix = read_prefix(r, at);
    spec.type = unit_at(r, *at);
    if (spec.type != 0)
        ++*at;
    return spec;
}

static void print_directive(struct reader *r, struct sink *s, struct spec *spec)
{
    switch (spec->type) {
    case 's':
    case 'S':
        print_string(r, s, spec);
        break;
    case 'Z':
        print_counted(r, s, spec);
        break;
    case 'c':
    case 'C':
        print_character(r, s, spec);
        break;
    case 'd':
    case 'i':
    case 'u':
    case 'o':
    case 'x':
    case 'X':
    case 'p':
        print_integer(r, s, spec);
        break;
    case 'e':
    case 'E':
    case 'f':
    case 'F':
    case 'g':
    case 'G':
    case 'a':
    case 'A':
        print_float(r, s, spec);
        break;
    case 'n': /* off on Windows too; the argument is there all the same */
        (void)va_arg(r->args, void *);
        break;
    case 0:
        break;
    default: /* also %% */
        put(s, spec->type);
    }
}

static size_t format_all(struct reader *r, struct sink *s)
{
    size_t at = 0;

    for (unsigned unit; (unit = unit_at(r, at)) != 0;) {
        at++;
        if (unit != '%') {
            put(s, unit);
            continue;
        }
        struct spec spec = read_spec(r, &at);
        print_directive(r, s, &spec);
    }
    if (s->size > 0) {
        size_t end = s->count < s->size ? s->count : s->size - 1;
        if (s->wide)
            ((WCHAR *)s->out)[end] = 0;
        else
            ((char *)s->out)[end] = 0;
    }
    return s->count;
}

size_t rtl_format(char *out, size_t size, const char *format, va_list args)
{
    struct reader r = {.format = format};
    struct sink s = {.out = out, .size = size};

    va_copy(r.args, args);
    size_t length = format_all(&r, &s);
    va_end(r.args);
    return length;
}

size_t rtl_format_wide(WCHAR *out, size_t size, const WCHAR *format, va_list args)
{
    struct reader r = {.format = format, .wide = true};
    struct sink s = {.out = out, .wide = true, .size = size};

    va_copy(r.args, args);
    size_t length = format_all(&r, &s);
    va_end(r.args);
    return length;
}

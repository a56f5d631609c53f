/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conditional expressions, from text (MS-DTYP 2.5.1.1, cond-expr; win32 "SDDL for Conditional ACEs").
 *
 * A recursive descent that writes postfix tokens as it goes; ! binds before &&, && before ||, equals from the
 * left. What the grammar leaves open is decided here: any term may follow !, {} may be empty, keywords are
 * read in any case. Depth is bounded, and so is the stack that evaluation will need: what parses, evaluates.
 */
#include "security/internal.h"

#include <errno.h>

struct cond_parser {
    const char *text;
    size_t size, pos;
    unsigned nesting;
    unsigned stack; /* depth of the evaluation stack after what was written */
    struct sec_buf *out;
};

void sec_skip_space(const char *text, size_t size, size_t *pos)
{
    while (*pos < size && (text[*pos] == ' ' || (text[*pos] >= '\t' && text[*pos] <= '\r'))) {
        ++*pos;
    }
}

static bool is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* attr-char1 */
static bool is_plain(char c)
{
    return is_alnum(c) || c == ':' || c == '.' || c == '/' || c == '_';
}

/* lit-char, beyond attr-char1 */
static bool is_literal(char c)
{
    return c != '\0' && strchr("#$'*+-;?@[\\]^`{}~", c) != NULL;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_escape(const char *text, size_t size, size_t *pos, uint16_t *unit)
{
    unsigned v = 0;
    if (size - *pos < 5) {
        return false;
    }
    for (unsigned i = 1; i <= 4; i++) {
        int digit = hex_value(text[*pos + i]);
        if (digit < 0) {
            return false;
        }
        v = v << 4 | (unsigned)digit;
    }
    *pos += 5;
    *unit = (uint16_t)v;
    return true;
}

int sec_read_name(const char *text, size_t size, size_t *pos, bool local, struct sec_buf *utf16)
{
    size_t start = *pos;
    while (*pos < size) {
        char c = text[*pos];
        if (c == '%') {
            uint16_t unit;
            if (!read_escape(text, size, pos, &unit)) {
                return -EINVAL;
            }
            sec_buf_add16(utf16, unit);
        } else if (is_plain(c) || (local ? c == '@' && *pos != start : is_literal(c))) {
            sec_buf_add16(utf16, (uint8_t)c);
            ++*pos;
        } else if (!local && (uint8_t)c >= 0x80) {
            uint32_t code_point;
            size_t n = sec_utf8_next(text + *pos, size - *pos, &code_point);
            if (n == 0) {
                return -EINVAL;
            }
            sec_buf_utf16(utf16, code_point);
            *pos += n;
        } else {
            break;
        }
    }
    return *pos == start ? -EINVAL : 0;
}

int sec_read_integer(const char *text, size_t size, size_t *pos, uint64_t *value, uint8_t *sign,
                     uint8_t *base)
{
    size_t at = *pos;
    unsigned radix = 10;
    uint64_t v = 0;
    *sign = 3;
    if (at < size && (text[at] == '+' || text[at] == '-')) {
        *sign = text[at++] == '+' ? 1 : 2;
    }
    if (size - at > 1 && text[at] == '0') {
        if (text[at + 1] == 'x' || text[at + 1] == 'X') {
            radix = 16;
            at += 2;
        } else if (text[at + 1] >= '0' && text[at + 1] <= '7') {
            radix = 8;
            at++;
        }
    }
    *base = radix == 8 ? 1 : radix == 10 ? 2 : 3;
    size_t digits = at;
    for (; at < size; at++) {
        int digit = hex_value(text[at]);
        if (digit < 0 || (unsigned)digit >= radix) {
            break;
        }
        if (v > (UINT64_MAX - (unsigned)digit) / radix) {
            *pos = at;
            return -EINVAL;
        }
        v = v * radix + (unsigned)digit;
    }
    if (at == digits) {
        *pos = at;
        return -EINVAL;
    }
    if (*sign == 2) {
        if (v > (uint64_t)INT64_MAX + 1) {
            return -EINVAL;
        }
        v = 0 - v;
    }
    *value = v;
    *pos = at;
    return 0;
}

int sec_read_string(const char *text, size_t size, size_t *pos, struct sec_buf *utf16)
{
    ++*pos; /* the opening quote */
    while (*pos < size && text[*pos] != '"') {
        uint32_t code_point;
        size_t n = sec_utf8_next(text + *pos, size - *pos, &code_point);
        if (n == 0) {
            return -EINVAL;
        }
        sec_buf_utf16(utf16, code_point);
        *pos += n;
    }
    if (*pos == size) {
        return -EINVAL;
    }
    ++*pos;
    return 0;
}

int sec_read_octets(const char *text, size_t size, size_t *pos, struct sec_buf *out)
{
    /* "#" also stands for the digit 0, and the leading one is a digit when the rest is odd. */
    size_t start = ++*pos;
    while (*pos < size && (text[*pos] == '#' || hex_value(text[*pos]) >= 0)) {
        ++*pos;
    }
    if ((*pos - start) % 2 != 0) {
        start--;
    }
    for (size_t i = start; i < *pos; i += 2) {
        int high = text[i] == '#' ? 0 : hex_value(text[i]);
        int low = text[i + 1] == '#' ? 0 : hex_value(text[i + 1]);
        sec_buf_add8(out, (uint8_t)(high << 4 | low));
    }
    return 0;
}

static int fail_at(struct cond_parser *p, size_t pos)
{
    p->pos = pos;
    return -EINVAL;
}

static void skip_space(struct cond_parser *p)
{
    sec_skip_space(p->text, p->size, &p->pos);
}

static bool take(struct cond_parser *p, const char *what)
{
    size_t n = strlen(what);
    skip_space(p);
    if (p->size - p->pos < n || memcmp(p->text + p->pos, what, n) != 0) {
        return false;
    }
    p->pos += n;
    return true;
}

static char peek(struct cond_parser *p)
{
    skip_space(p);
    return p->pos < p->size ? p->text[p->pos] : '\0';
}

static int pushed(struct cond_parser *p)
{
    return ++p->stack > SEC_COND_DEPTH ? -EINVAL : 0;
}

static size_t begin_data(struct cond_parser *p, uint8_t token)
{
    sec_buf_add8(p->out, token);
    sec_buf_add32(p->out, 0);
    return p->out->size;
}

static void end_data(struct cond_parser *p, size_t start)
{
    sec_buf_set32(p->out, start - 4, (uint32_t)(p->out->size - start));
}

static int parse_sid(struct cond_parser *p)
{
    uint8_t sid[SECURITY_MAX_SID_SIZE];
    skip_space(p);
    if (p->size - p->pos < 3 || !sec_word_equal(p->text + p->pos, 3, "SID")) {
        return -EINVAL;
    }
    p->pos += 3;
    if (!take(p, "(")) {
        return -EINVAL;
    }
    skip_space(p);
    size_t size = sec_sid_read(p->text, p->size, &p->pos, sid);
    if (size == 0 || !take(p, ")")) {
        return -EINVAL;
    }
    size_t start = begin_data(p, COND_SID);
    sec_buf_add(p->out, sid, size);
    end_data(p, start);
    return 0;
}

static int parse_value(struct cond_parser *p)
{
    char c = peek(p);
    size_t start;
    int status;
    if (c == '"' || c == '#') {
        start = begin_data(p, c == '"' ? COND_STRING : COND_OCTETS);
        status = c == '"' ? sec_read_string(p->text, p->size, &p->pos, p->out)
                          : sec_read_octets(p->text, p->size, &p->pos, p->out);
        end_data(p, start);
        return status;
    }
    if (c == 'S' || c == 's') {
        return parse_sid(p);
    }
    uint64_t value;
    uint8_t sign, base;
    start = p->pos;
    status = sec_read_integer(p->text, p->size, &p->pos, &value, &sign, &base);
    if (status != 0) {
        return status;
    }
    if (sign != 2 && value > INT64_MAX) {
        return fail_at(p, start);
    }
    sec_buf_add8(p->out, COND_INT64);
    sec_buf_add64(p->out, value);
    sec_buf_add8(p->out, sign);
    sec_buf_add8(p->out, base);
    return 0;
}

static int parse_values(struct cond_parser *p, int (*one)(struct cond_parser *))
{
    if (!take(p, "{")) {
        return one(p);
    }
    size_t start = begin_data(p, COND_COMPOSITE);
    if (!take(p, "}")) {
        do {
            int status = one(p);
            if (status != 0) {
                return status;
            }
        } while (take(p, ","));
        if (!take(p, "}")) {
            return -EINVAL;
        }
    }
    end_data(p, start);
    return 0;
}

/* "@User.x", "@Device.x" or "@Resource.x"; also a local name where that is allowed. */
static int parse_attribute(struct cond_parser *p, bool local)
{
    static const uint8_t kinds[] = {COND_USER, COND_DEVICE, COND_RESOURCE};
    uint8_t token = COND_LOCAL;
    if (peek(p) == '@') {
        for (size_t i = 0; i < sizeof(kinds) && token == COND_LOCAL; i++) {
            const char *prefix = sec_cond_prefix(kinds[i]);
            size_t n = strlen(prefix);
            if (p->size - p->pos > n && sec_word_equal(p->text + p->pos, n, prefix)) {
                token = kinds[i];
                p->pos += n;
            }
        }
        if (token == COND_LOCAL) {
            return -EINVAL;
        }
    } else if (!local) {
        return -EINVAL;
    }
    size_t start = begin_data(p, token);
    int status = sec_read_name(p->text, p->size, &p->pos, token == COND_LOCAL, p->out);
    end_data(p, start);
    return status != 0 ? status : pushed(p);
}

/* The word at the cursor, without taking it. */
static size_t word_at(struct cond_parser *p)
{
    size_t n = 0;
    skip_space(p);
    while (p->pos + n < p->size && (is_alnum(p->text[p->pos + n]) || p->text[p->pos + n] == '_')) {
        n++;
    }
    /* "Exists.x" is an attribute's name */
    return p->pos + n < p->size &&
                   (is_plain(p->text[p->pos + n]) || p->text[p->pos + n] == '@' || p->text[p->pos + n] == '%')
               ? 0
               : n;
}

static int comparison_at(struct cond_parser *p)
{
    static const char *const symbols[] = {"==", "!=", "<=", ">=", "<", ">"};
    for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++) {
        if (take(p, symbols[i])) {
            return sec_cond_keyword(symbols[i], strlen(symbols[i]));
        }
    }
    size_t n = word_at(p);
    int token = n == 0 ? -1 : sec_cond_keyword(p->text + p->pos, n);
    if (token < 0 || sec_cond_class((uint8_t)token) != SEC_COND_COMPARE) {
        return -1;
    }
    p->pos += n;
    return token;
}

static int parse_term(struct cond_parser *p)
{
    size_t n = word_at(p);
    int status, token = n == 0 ? -1 : sec_cond_keyword(p->text + p->pos, n);
    enum sec_cond_class class = token < 0 ? SEC_COND_BAD : sec_cond_class((uint8_t)token);
    if (class == SEC_COND_MEMBER) {
        p->pos += n;
        status = parse_values(p, parse_sid);
        if (status == 0) {
            status = pushed(p);
        }
    } else if (class == SEC_COND_EXIST) {
        p->pos += n;
        status = parse_attribute(p, true);
    } else {
        status = parse_attribute(p, true);
        if (status != 0) {
            return status;
        }
        token = comparison_at(p);
        if (token < 0) {
            return 0; /* the attribute itself, as a truth value */
        }
        if (peek(p) == '@') {
            status = parse_attribute(p, false);
        } else {
            status = parse_values(p, parse_value);
            if (status == 0) {
                status = pushed(p);
            }
        }
        p->stack--;
    }
    if (status == 0) {
        sec_buf_add8(p->out, (uint8_t)token);
    }
    return status;
}

static int parse_or(struct cond_parser *p);

static int parse_unary(struct cond_parser *p)
{
    int status;
    if (p->nesting >= SEC_COND_DEPTH) {
        return -EINVAL;
    }
    p->nesting++;
    if (take(p, "!")) {
        /* counted as it will be written back, with parentheses */
        bool bare = peek(p) != '(';
        p->nesting += bare;
        status = parse_unary(p);
        p->nesting -= bare;
        if (status == 0) {
            sec_buf_add8(p->out, COND_NOT);
        }
    } else if (take(p, "(")) {
        status = parse_or(p);
        if (status == 0 && !take(p, ")")) {
            status = -EINVAL;
        }
    } else {
        status = parse_term(p);
    }
    p->nesting--;
    return status;
}

static int parse_and(struct cond_parser *p)
{
    int status = parse_unary(p);
    while (status == 0 && take(p, "&&")) {
        status = parse_unary(p);
        p->stack--;
        sec_buf_add8(p->out, COND_AND);
    }
    return status;
}

static int parse_or(struct cond_parser *p)
{
    int status = parse_and(p);
    while (status == 0 && take(p, "||")) {
        status = parse_and(p);
        p->stack--;
        sec_buf_add8(p->out, COND_OR);
    }
    return status;
}

int sec_cond_parse(const char *text, size_t size, size_t *pos, struct sec_buf *out)
{
    struct cond_parser p = {.text = text, .size = size, .pos = *pos, .out = out};
    size_t start = out->size;
    int status = -EINVAL;
    sec_buf_text(out, "artx");
    if (take(&p, "(")) {
        status = parse_or(&p);
    }
    if (status == 0 && !take(&p, ")")) {
        status = -EINVAL;
    }
    while ((out->size - start) % 4 != 0 && !out->failed) {
        sec_buf_add8(out, COND_PAD);
    }
    *pos = p.pos;
    return status;
}

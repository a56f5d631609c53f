/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conditional expressions, to text. Operands wait on a stack as text with the precedence of their outermost
 * operator, so that parentheses are written only where reading would otherwise build another tree: parsing
 * what is written here gives the same tokens again.
 *
 * What SDDL cannot say is refused with -EINVAL: a quote inside a string, text that is no Unicode, a literal
 * as a truth value.
 */
#include "security/internal.h"

#include <errno.h>
#include <stdlib.h>

enum precedence { PREC_OR, PREC_AND, PREC_TERM };

struct operand {
    struct sec_buf text;
    enum precedence precedence;
    enum sec_cond_class class; /* of the outermost token */
    uint8_t token;
};

static bool is_name_char(uint16_t c, uint8_t token, bool first)
{
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == ':' || c == '.' ||
        c == '/' || c == '_') {
        return true;
    }
    if (c == 0 || c >= 0x80) {
        return false;
    }
    return token == COND_LOCAL ? c == '@' && !first : strchr("#$'*+-;?@[\\]^`{}~", c) != NULL;
}

void sec_cond_write_name(struct sec_buf *b, uint8_t token, const uint8_t *name, size_t name_size)
{
    size_t start = b->size;
    for (size_t i = 0; i + 1 < name_size; i += 2) {
        uint16_t c = sec_get16(name + i);
        if (is_name_char(c, token, i == 0)) {
            sec_buf_add8(b, (uint8_t)c);
        } else {
            sec_buf_textf(b, "%%%04x", c);
        }
    }
    if (token == COND_LOCAL && !b->failed && b->size > start &&
        sec_cond_keyword((const char *)b->data + start, b->size - start) >= 0) {
        /* a name that reads like an operator */
        b->size = start;
        sec_buf_textf(b, "%%%04x", sec_get16(name));
        sec_cond_write_name(b, COND_USER, name + 2, name_size - 2);
    }
}

static void format_integer(struct sec_buf *b, const uint8_t *data)
{
    int64_t value = (int64_t)sec_get64(data);
    uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    if (value < 0 || (value == 0 && data[8] == 2)) {
        sec_buf_text(b, "-");
    } else if (data[8] == 1) {
        sec_buf_text(b, "+");
    }
    sec_buf_textf(b,
                  data[9] == 1   ? "0%llo"
                  : data[9] == 3 ? "0x%llx"
                                 : "%llu",
                  (unsigned long long)magnitude);
}

static int format_literal(struct sec_buf *b, const struct sec_cond_item *item, bool inner)
{
    switch (item->token) {
    case COND_STRING:
        for (size_t i = 0; i < item->size; i += 2) {
            if (sec_get16(item->data + i) == '"' || sec_get16(item->data + i) == 0) {
                return -EINVAL;
            }
        }
        sec_buf_text(b, "\"");
        if (!sec_buf_utf16_as_utf8(b, item->data, item->size)) {
            return -EINVAL;
        }
        sec_buf_text(b, "\"");
        return 0;
    case COND_OCTETS:
        sec_buf_text(b, "#");
        for (size_t i = 0; i < item->size; i++) {
            sec_buf_textf(b, "%02x", item->data[i]);
        }
        return 0;
    case COND_SID:
        sec_buf_text(b, "SID(");
        sec_sid_write(b, item->data);
        sec_buf_text(b, ")");
        return 0;
    case COND_COMPOSITE: {
        const uint8_t *p = item->data, *end = p + item->size;
        struct sec_cond_item element;
        int step, n = 0;
        if (inner) {
            return -EINVAL;
        }
        sec_buf_text(b, "{");
        while ((step = sec_cond_next(&p, end, &element)) > 0) {
            sec_buf_text(b, n++ != 0 ? ", " : "");
            if (sec_cond_class(element.token) != SEC_COND_LITERAL || format_literal(b, &element, true) != 0) {
                return -EINVAL;
            }
        }
        sec_buf_text(b, "}");
        return step;
    }
    default:
        format_integer(b, item->data);
        return 0;
    }
}

/* Is it something that can be true or false? */
static bool is_condition(const struct operand *o)
{
    return o->class != SEC_COND_LITERAL;
}

static void parenthesize(struct operand *o)
{
    struct sec_buf b = {0};
    sec_buf_text(&b, "(");
    sec_buf_add(&b, o->text.data, o->text.size);
    sec_buf_text(&b, ")");
    b.failed |= o->text.failed;
    sec_buf_free(&o->text);
    o->text = b;
    o->precedence = PREC_TERM;
}

static void prepend(struct operand *o, const char *text)
{
    struct sec_buf b = {0};
    sec_buf_text(&b, text);
    sec_buf_add(&b, o->text.data, o->text.size);
    b.failed |= o->text.failed;
    sec_buf_free(&o->text);
    o->text = b;
}

/* SIDs alone, as the Member_of family takes them. */
static bool only_sids(const struct sec_cond_item *item)
{
    if (item->token == COND_SID) {
        return true;
    }
    const uint8_t *p = item->data, *end = p + item->size;
    struct sec_cond_item element;
    int step = item->token == COND_COMPOSITE ? 1 : -1;
    while (step > 0 && (step = sec_cond_next(&p, end, &element)) > 0) {
        if (element.token != COND_SID) {
            return false;
        }
    }
    return step == 0;
}

static int apply_binary(struct operand *left, struct operand *right, enum sec_cond_class class, uint8_t token)
{
    if (class == SEC_COND_COMPARE) {
        if (left->class != SEC_COND_ATTRIBUTE ||
            !(right->class == SEC_COND_LITERAL ||
              (right->class == SEC_COND_ATTRIBUTE && right->token != COND_LOCAL))) {
            return -EINVAL;
        }
        left->precedence = PREC_TERM;
    } else {
        enum precedence own = token == COND_AND ? PREC_AND : PREC_OR;
        if (!is_condition(left) || !is_condition(right)) {
            return -EINVAL;
        }
        if (left->precedence < own) {
            parenthesize(left);
        }
        if (right->precedence <= own) {
            parenthesize(right);
        }
        left->precedence = own;
    }
    sec_buf_text(&left->text, " ");
    sec_buf_text(&left->text, sec_cond_word(token));
    sec_buf_text(&left->text, " ");
    sec_buf_add(&left->text, right->text.data, right->text.size);
    left->text.failed |= right->text.failed;
    sec_buf_free(&right->text);
    left->class = class;
    left->token = token;
    return 0;
}

static int apply_unary(struct operand *o, enum sec_cond_class class, uint8_t token)
{
    if (class == SEC_COND_INVERT) {
        if (!is_condition(o)) {
            return -EINVAL;
        }
        parenthesize(o);
        prepend(o, "!");
    } else {
        if ((class == SEC_COND_EXIST && o->class != SEC_COND_ATTRIBUTE) ||
            (class == SEC_COND_MEMBER && (o->class != SEC_COND_LITERAL || o->precedence != PREC_TERM))) {
            return -EINVAL;
        }
        prepend(o, " ");
        prepend(o, sec_cond_word(token));
    }
    o->precedence = PREC_TERM;
    o->class = class;
    o->token = token;
    return 0;
}

static int format_operand(struct operand *o, const struct sec_cond_item *item, enum sec_cond_class class)
{
    *o = (struct operand){.precedence = PREC_TERM, .class = class, .token = item->token};
    if (class == SEC_COND_LITERAL) {
        /* a mark for Member_of: literals that are no SIDs may not stand under it */
        o->precedence = only_sids(item) ? PREC_TERM : PREC_OR;
        return format_literal(&o->text, item, false);
    }
    if (item->size == 0) {
        return -EINVAL;
    }
    const char *prefix = sec_cond_prefix(item->token);
    sec_buf_text(&o->text, prefix != NULL ? prefix : "");
    sec_cond_write_name(&o->text, item->token, item->data, item->size);
    return 0;
}

int sec_cond_format(const uint8_t *data, size_t size, struct sec_buf *out)
{
    struct operand *stack = NULL;
    unsigned depth = 0;
    int status = -EINVAL, step;
    const uint8_t *p = data + 4, *end = data + size;
    struct sec_cond_item item;
    if (size < 4 || memcmp(data, "artx", 4) != 0) {
        return -EINVAL;
    }
    stack = calloc(SEC_COND_DEPTH, sizeof(*stack));
    if (stack == NULL) {
        return -ENOMEM;
    }
    while ((step = sec_cond_next(&p, end, &item)) > 0) {
        enum sec_cond_class class = sec_cond_class(item.token);
        if (class == SEC_COND_LITERAL || class == SEC_COND_ATTRIBUTE) {
            if (depth == SEC_COND_DEPTH) {
                goto out;
            }
            status = format_operand(&stack[depth++], &item, class);
        } else if (class == SEC_COND_COMPARE || class == SEC_COND_LOGIC) {
            if (depth < 2) {
                status = -EINVAL;
                goto out;
            }
            status = apply_binary(&stack[depth - 2], &stack[depth - 1], class, item.token);
            if (status == 0) {
                depth--;
            }
        } else {
            status = depth < 1 ? -EINVAL : apply_unary(&stack[depth - 1], class, item.token);
        }
        if (status != 0) {
            goto out;
        }
    }
    status = -EINVAL;
    if (step == 0 && depth == 1 && is_condition(&stack[0])) {
        sec_buf_text(out, "(");
        sec_buf_add(out, stack[0].text.data, stack[0].text.size);
        sec_buf_text(out, ")");
        status = stack[0].text.failed || out->failed ? -ENOMEM : 0;
    }
out:
    while (depth > 0) {
        sec_buf_free(&stack[--depth].text);
    }
    free(stack);
    return status;
}

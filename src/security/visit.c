/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a descriptor asks about: every SID and every attribute test in its DACL, for those who look for tokens
 * that answer differently.
 */
#include "security/internal.h"

#include <stdio.h>

struct visit {
    const struct security_sd_visitor *visitor;
    bool allow;
};

static void tell_sid(const struct visit *v, const uint8_t *sid)
{
    uint8_t copy[SECURITY_MAX_SID_SIZE] __attribute__((aligned(4)));
    if (v->visitor->sid != NULL) {
        memcpy(copy, sid, sec_sid_size(sid));
        v->visitor->sid(v->visitor->ctx, (const SID *)copy, v->allow);
    }
}

static void value_text(struct sec_buf *b, const struct sec_cond_item *item)
{
    switch (item->token) {
    case COND_STRING:
        if (!sec_buf_utf16_as_utf8(b, item->data, item->size)) {
            b->failed = true;
        }
        break;
    case COND_SID:
        sec_sid_write(b, item->data);
        break;
    case COND_OCTETS:
        sec_buf_text(b, "#");
        for (size_t i = 0; i < item->size; i++) {
            sec_buf_textf(b, "%02x", item->data[i]);
        }
        break;
    default:
        sec_buf_textf(b, "%lld", (long long)sec_get64(item->data));
        break;
    }
    sec_buf_add8(b, 0);
}

static void tell_test(const struct visit *v, const struct sec_cond_item *attribute,
                      const struct sec_cond_item *value)
{
    struct sec_buf name = {0}, text = {0};
    const char *prefix = sec_cond_prefix(attribute->token);
    if (v->visitor->condition == NULL) {
        return;
    }
    sec_buf_text(&name, prefix != NULL ? prefix : "");
    if (!sec_buf_utf16_as_utf8(&name, attribute->data, attribute->size)) {
        name.failed = true;
    }
    sec_buf_add8(&name, 0);
    if (value != NULL) {
        value_text(&text, value);
    }
    if (!name.failed && !text.failed) {
        v->visitor->condition(v->visitor->ctx, (const char *)name.data, (const char *)text.data);
    }
    sec_buf_free(&name);
    sec_buf_free(&text);
}

/* Each value of a literal; `attribute` NULL: they are SIDs of the Member_of family. */
static void each_value(const struct visit *v, const struct sec_cond_item *attribute,
                       const struct sec_cond_item *literal)
{
    const uint8_t *p = literal->data, *end = p + literal->size;
    struct sec_cond_item one = *literal;
    bool composite = literal->token == COND_COMPOSITE;
    if (composite && sec_cond_next(&p, end, &one) <= 0) {
        return;
    }
    do {
        if (one.token == COND_COMPOSITE || sec_cond_class(one.token) != SEC_COND_LITERAL) {
            return;
        }
        if (attribute != NULL) {
            tell_test(v, attribute, &one);
        } else if (one.token == COND_SID) {
            tell_sid(v, one.data);
        }
    } while (composite && sec_cond_next(&p, end, &one) > 0);
}

static bool is_kind(const struct sec_cond_item *item, enum sec_cond_class class)
{
    return sec_cond_class(item->token) == class;
}

static void visit_condition(const struct visit *v, const uint8_t *data, size_t size)
{
    struct sec_cond_item stack[SEC_COND_DEPTH], item;
    unsigned depth = 0;
    if (size < 4 || memcmp(data, "artx", 4) != 0) {
        return;
    }
    const uint8_t *p = data + 4, *end = data + size;
    while (sec_cond_next(&p, end, &item) > 0) {
        enum sec_cond_class class = sec_cond_class(item.token);
        bool binary = class == SEC_COND_COMPARE || class == SEC_COND_LOGIC;
        if (class == SEC_COND_LITERAL || class == SEC_COND_ATTRIBUTE) {
            if (depth == SEC_COND_DEPTH) {
                return;
            }
            stack[depth++] = item;
            continue;
        }
        if (depth < (binary ? 2u : 1u)) {
            return;
        }
        const struct sec_cond_item *left = &stack[depth - (binary ? 2 : 1)], *right = &stack[depth - 1];
        if (class == SEC_COND_MEMBER && is_kind(left, SEC_COND_LITERAL)) {
            each_value(v, NULL, left);
        } else if (class == SEC_COND_COMPARE && is_kind(left, SEC_COND_ATTRIBUTE)) {
            if (is_kind(right, SEC_COND_LITERAL)) {
                each_value(v, left, right);
            } else if (is_kind(right, SEC_COND_ATTRIBUTE)) {
                tell_test(v, left, NULL);
                tell_test(v, right, NULL);
            }
        } else if (class != SEC_COND_COMPARE && class != SEC_COND_MEMBER) {
            if (is_kind(left, SEC_COND_ATTRIBUTE)) {
                tell_test(v, left, NULL);
            }
            if (binary && is_kind(right, SEC_COND_ATTRIBUTE)) {
                tell_test(v, right, NULL);
            }
        }
        depth -= binary;
        stack[depth - 1] = (struct sec_cond_item){.token = item.token};
    }
    if (depth == 1 && is_kind(&stack[0], SEC_COND_ATTRIBUTE)) {
        tell_test(v, &stack[0], NULL);
    }
}

void security_sd_visit(const void *sd, size_t sd_size, const struct security_sd_visitor *visitor)
{
    static const uint8_t owner_rights[] = {1, 1, 0, 0, 0, 0, 0, 3, 4, 0, 0, 0};
    struct sec_sd view;
    struct sec_acl_iter i;
    struct sec_ace ace;
    if (!sec_sd_open(sd, sd_size, &view) || view.dacl == NULL) {
        return;
    }
    sec_acl_start(&i, view.dacl);
    while (sec_acl_next(&i, &ace)) {
        if (ace.sid == NULL || (ace.flags & INHERIT_ONLY_ACE) ||
            (ace.kind != SEC_ACE_ALLOW && ace.kind != SEC_ACE_DENY)) {
            continue;
        }
        struct visit v = {.visitor = visitor, .allow = ace.kind == SEC_ACE_ALLOW};
        tell_sid(&v, ace.sid);
        if (view.owner != NULL && sec_sid_equal(ace.sid, owner_rights)) {
            tell_sid(&v, view.owner);
        }
        if (ace.callback) {
            visit_condition(&v, ace.data, ace.data_size);
        }
    }
}

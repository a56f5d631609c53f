/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conditional expressions, evaluated (MS-DTYP 2.4.4.17.6 and .7, 2.5.3.1.5): TRUE, FALSE or UNKNOWN.
 *
 * UNKNOWN arises in two ways. An operator over something absent, or over types or counts it is not made for,
 * yields UNKNOWN, and && and || go on with it. A stream that breaks the format makes the whole expression
 * UNKNOWN at once. Nothing is allocated: operands are views into the ACE and the token, on a stack of
 * SEC_COND_DEPTH.
 *
 * Decided where the documents differ among themselves: Any_of asks whether the two sides overlap (the example
 * of win32's page, not its table); == and != compare many-valued sides as sets.
 */
#include "security/internal.h"

enum operand_kind { OPERAND_RESULT, OPERAND_LITERAL, OPERAND_CLAIM, OPERAND_ABSENT };
struct operand {
    enum operand_kind kind;
    enum sec_tri result;
    struct sec_cond_item literal;
    struct sec_claim claim;
};

/* ---- the values of an operand ------------------------------------------------------------------------- */
struct values {
    const struct operand *operand;
    uint32_t index;
    const uint8_t *p, *end; /* in a composite */
};

static void values_start(struct values *v, const struct operand *o)
{
    *v = (struct values){.operand = o};
    if (o->kind == OPERAND_LITERAL && o->literal.token == COND_COMPOSITE) {
        v->p = o->literal.data;
        v->end = v->p + o->literal.size;
    }
}

/* 1, 0 after the last, -1 when malformed. */
static int values_next(struct values *v, struct sec_value *out)
{
    const struct operand *o = v->operand;
    if (o->kind == OPERAND_CLAIM) {
        if (v->index == o->claim.count) {
            return 0;
        }
        return sec_claim_value(&o->claim, v->index++, out) ? 1 : -1;
    }
    if (v->p == NULL) {
        return v->index++ == 0 ? (sec_cond_value(&o->literal, out) ? 1 : -1) : 0;
    }
    struct sec_cond_item item;
    int step = sec_cond_next(&v->p, v->end, &item);
    if (step > 0 && (sec_cond_class(item.token) != SEC_COND_LITERAL || !sec_cond_value(&item, out))) {
        return -1;
    }
    return step;
}

static bool is_number(uint16_t type)
{
    return type == CLAIM_SECURITY_ATTRIBUTE_TYPE_INT64 || type == CLAIM_SECURITY_ATTRIBUTE_TYPE_UINT64 ||
           type == CLAIM_SECURITY_ATTRIBUTE_TYPE_BOOLEAN;
}

static bool is_negative(const struct sec_value *v)
{
    return v->type == CLAIM_SECURITY_ATTRIBUTE_TYPE_INT64 && (int64_t)v->number < 0;
}

/* Orders two values into *order; false if they cannot be compared. */
static bool compare(const struct sec_value *a, const struct sec_value *b, int *order)
{
    if (is_number(a->type) && is_number(b->type)) {
        if (is_negative(a) != is_negative(b)) {
            *order = is_negative(a) ? -1 : 1;
        } else {
            *order = a->number == b->number ? 0 : a->number < b->number ? -1 : 1;
        }
        return true;
    }
    if (a->type != b->type) {
        return false;
    }
    if (a->type == CLAIM_SECURITY_ATTRIBUTE_TYPE_STRING) {
        *order =
            sec_utf16_compare(a->data, a->size, b->data, b->size, a->case_sensitive || b->case_sensitive);
        return true;
    }
    size_t common = a->size < b->size ? a->size : b->size;
    *order = common == 0 ? 0 : memcmp(a->data, b->data, common);
    if (*order == 0) {
        *order = a->size == b->size ? 0 : a->size < b->size ? -1 : 1;
    }
    return true;
}

/* Is `wanted` among the operand's values? UNKNOWN: not, and some value was of a type that cannot be compared.
 */
static enum sec_tri has_value(const struct operand *o, const struct sec_value *wanted)
{
    struct values v;
    struct sec_value value;
    enum sec_tri result = SEC_FALSE;
    int step, order;
    values_start(&v, o);
    while ((step = values_next(&v, &value)) > 0) {
        if (!compare(&value, wanted, &order)) {
            result = SEC_UNKNOWN;
        } else if (order == 0) {
            return SEC_TRUE;
        }
    }
    return step < 0 ? SEC_UNKNOWN : result;
}

/* Are all (or any) values of `inner` among those of `outer`? */
static enum sec_tri covers(const struct operand *outer, const struct operand *inner, bool any)
{
    struct values v;
    struct sec_value value;
    enum sec_tri result = any ? SEC_FALSE : SEC_TRUE;
    int step;
    values_start(&v, inner);
    while ((step = values_next(&v, &value)) > 0) {
        enum sec_tri has = has_value(outer, &value);
        if (has == (any ? SEC_TRUE : SEC_FALSE)) {
            return has;
        }
        if (has == SEC_UNKNOWN) {
            result = SEC_UNKNOWN;
        }
    }
    return step < 0 ? SEC_UNKNOWN : result;
}

static enum sec_tri invert(enum sec_tri v)
{
    return v == SEC_UNKNOWN ? v : v == SEC_TRUE ? SEC_FALSE : SEC_TRUE;
}

static enum sec_tri conjunction(enum sec_tri a, enum sec_tri b)
{
    if (a == SEC_FALSE || b == SEC_FALSE) {
        return SEC_FALSE;
    }
    return a == SEC_TRUE && b == SEC_TRUE ? SEC_TRUE : SEC_UNKNOWN;
}

/* The only value of an operand. */
static bool single(const struct operand *o, struct sec_value *out)
{
    struct values v;
    struct sec_value more;
    values_start(&v, o);
    return values_next(&v, out) == 1 && values_next(&v, &more) == 0;
}

static enum sec_tri ordered(uint8_t token, const struct operand *left, const struct operand *right)
{
    struct sec_value a, b;
    int order;
    if (!single(left, &a) || !single(right, &b) || a.type == CLAIM_SECURITY_ATTRIBUTE_TYPE_SID ||
        !compare(&a, &b, &order)) {
        return SEC_UNKNOWN;
    }
    switch (token) {
    case COND_LT:
        return order < 0 ? SEC_TRUE : SEC_FALSE;
    case COND_LE:
        return order <= 0 ? SEC_TRUE : SEC_FALSE;
    case COND_GT:
        return order > 0 ? SEC_TRUE : SEC_FALSE;
    default:
        return order >= 0 ? SEC_TRUE : SEC_FALSE;
    }
}

static enum sec_tri relation(uint8_t token, const struct operand *left, const struct operand *right)
{
    if (left->kind == OPERAND_ABSENT || right->kind == OPERAND_ABSENT) {
        return SEC_UNKNOWN;
    }
    switch (token) {
    case COND_EQ:
        return conjunction(covers(left, right, false), covers(right, left, false));
    case COND_NE:
        return invert(conjunction(covers(left, right, false), covers(right, left, false)));
    case COND_CONTAINS:
        return covers(left, right, false);
    case COND_NOT_CONTAINS:
        return invert(covers(left, right, false));
    case COND_ANY_OF:
        return covers(left, right, true);
    case COND_NOT_ANY_OF:
        return invert(covers(left, right, true));
    default:
        return ordered(token, left, right);
    }
}

/* ---- the Member_of family --------------------------------------------------------------------- */
static bool is_device(uint8_t token)
{
    return token == COND_DEVICE_MEMBER_OF || token == COND_DEVICE_MEMBER_OF_ANY ||
           token == COND_NOT_DEVICE_MEMBER_OF || token == COND_NOT_DEVICE_MEMBER_OF_ANY;
}

/* False when the operand is not made of SIDs. */
static bool member(uint8_t token, const struct operand *o, const struct sec_cond_env *env,
                   enum sec_tri *result)
{
    bool any = token == COND_MEMBER_OF_ANY || token == COND_DEVICE_MEMBER_OF_ANY ||
               token == COND_NOT_MEMBER_OF_ANY || token == COND_NOT_DEVICE_MEMBER_OF_ANY;
    bool holds = !any;
    struct values v;
    struct sec_value sid;
    int step;
    values_start(&v, o);
    while ((step = values_next(&v, &sid)) > 0) {
        if (sid.type != CLAIM_SECURITY_ATTRIBUTE_TYPE_SID) {
            return false;
        }
        /* TOKEN_ACCESS_INFORMATION has no device groups: an empty list, of which nothing is a member */
        bool has = !is_device(token) && sec_sid_in_list(env->sids, sid.data, true, env->deny);
        holds = any ? holds || has : holds && has;
    }
    bool negated = token >= COND_NOT_MEMBER_OF && token <= COND_NOT_DEVICE_MEMBER_OF_ANY;
    *result = holds != negated ? SEC_TRUE : SEC_FALSE;
    return step == 0;
}

/* ---- attributes ------------------------------------------------------------------------------- */
static bool resource_attribute(const uint8_t *sacl, const struct sec_cond_item *item, struct sec_claim *out)
{
    struct sec_acl_iter i;
    struct sec_ace ace;
    sec_acl_start(&i, sacl);
    while (sec_acl_next(&i, &ace)) {
        if (ace.type == SYSTEM_RESOURCE_ATTRIBUTE_ACE_TYPE && !(ace.flags & INHERIT_ONLY_ACE) &&
            sec_claim_open_relative(ace.data, ace.data_size, out) && out->name_size == item->size &&
            sec_utf16_compare(out->name, out->name_size, item->data, item->size, false) == 0) {
            return true;
        }
    }
    return false;
}

static struct operand load_attribute(const struct sec_cond_item *item, const struct sec_cond_env *env)
{
    struct operand o = {.kind = OPERAND_CLAIM};
    bool found = item->token == COND_RESOURCE
                     ? resource_attribute(env->sacl, item, &o.claim)
                     : env->token != NULL && sec_token_attribute(env->token, sec_cond_prefix(item->token),
                                                                 item->data, item->size, &o.claim);
    if (!found || (o.claim.flags & CLAIM_SECURITY_ATTRIBUTE_DISABLED) ||
        ((o.claim.flags & CLAIM_SECURITY_ATTRIBUTE_USE_FOR_DENY_ONLY) && !env->deny)) {
        o.kind = OPERAND_ABSENT;
    }
    return o;
}

/* An operand as a truth value; false for a literal, which has none. */
static bool truth(const struct operand *o, enum sec_tri *out)
{
    struct sec_value v;
    *out = SEC_UNKNOWN;
    switch (o->kind) {
    case OPERAND_RESULT:
        *out = o->result;
        return true;
    case OPERAND_ABSENT:
        return true;
    case OPERAND_CLAIM:
        if (single(o, &v) && is_number(v.type)) {
            *out = v.number != 0 ? SEC_TRUE : SEC_FALSE;
        } else if (single(o, &v) && v.type == CLAIM_SECURITY_ATTRIBUTE_TYPE_STRING) {
            *out = v.size != 0 ? SEC_TRUE : SEC_FALSE;
        }
        return true;
    default:
        return false;
    }
}

static bool is_attribute(const struct operand *o)
{
    return o->kind == OPERAND_CLAIM || o->kind == OPERAND_ABSENT;
}

/* Applies an operator to the top of the stack; false when the stream is malformed. */
static bool apply(uint8_t token, struct operand *stack, unsigned *depth, const struct sec_cond_env *env)
{
    enum sec_cond_class class = sec_cond_class(token);
    bool binary = class == SEC_COND_COMPARE || class == SEC_COND_LOGIC;
    if (*depth < (binary ? 2u : 1u)) {
        return false;
    }
    struct operand *a = &stack[*depth - (binary ? 2 : 1)], *b = &stack[*depth - 1];
    enum sec_tri result = SEC_UNKNOWN, left, right;
    switch (class) {
    case SEC_COND_MEMBER:
        if (a->kind != OPERAND_LITERAL || !member(token, a, env, &result)) {
            return false;
        }
        break;
    case SEC_COND_EXIST:
        if (!is_attribute(a)) {
            return false;
        }
        result = (a->kind == OPERAND_CLAIM) == (token == COND_EXISTS) ? SEC_TRUE : SEC_FALSE;
        break;
    case SEC_COND_COMPARE:
        if (!is_attribute(a) || b->kind == OPERAND_RESULT) {
            return false;
        }
        result = relation(token, a, b);
        break;
    case SEC_COND_LOGIC:
        if (!truth(a, &left) || !truth(b, &right)) {
            return false;
        }
        result =
            token == COND_AND ? conjunction(left, right) : invert(conjunction(invert(left), invert(right)));
        break;
    default:
        if (!truth(a, &left)) {
            return false;
        }
        result = invert(left);
        break;
    }
    *a = (struct operand){.kind = OPERAND_RESULT, .result = result};
    *depth -= binary;
    return true;
}

enum sec_tri sec_cond_evaluate(const uint8_t *data, size_t size, const struct sec_cond_env *env)
{
    struct operand stack[SEC_COND_DEPTH];
    unsigned depth = 0;
    struct sec_cond_item item;
    int step;
    if (size < 4 || memcmp(data, "artx", 4) != 0) {
        return SEC_UNKNOWN;
    }
    const uint8_t *p = data + 4, *end = data + size;
    while ((step = sec_cond_next(&p, end, &item)) > 0) {
        enum sec_cond_class class = sec_cond_class(item.token);
        if (class != SEC_COND_LITERAL && class != SEC_COND_ATTRIBUTE) {
            if (!apply(item.token, stack, &depth, env)) {
                return SEC_UNKNOWN;
            }
            continue;
        }
        if (depth == SEC_COND_DEPTH) {
            return SEC_UNKNOWN;
        }
        stack[depth++] = class == SEC_COND_ATTRIBUTE
                             ? load_attribute(&item, env)
                             : (struct operand){.kind = OPERAND_LITERAL, .literal = item};
    }
    enum sec_tri result;
    return step == 0 && depth == 1 && truth(&stack[0], &result) ? result : SEC_UNKNOWN;
}

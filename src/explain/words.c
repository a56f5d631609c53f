/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conditions in words. What has no words of its own is shown as it is written, so that no condition is ever
 * shown less than it says.
 */
#include "explain/words.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- raw text -------------------------------------------------------------------------------- */

const char *explain_match_name(struct explain_arena *a, FWP_MATCH_TYPE match)
{
    const char *name = engine_constant_name("FWP_MATCH_TYPE", match);

    return name != NULL ? name + strlen("FWP_MATCH_") : explain_printf(a, "%u", (unsigned)match);
}

const char *explain_action_name(FWP_ACTION_TYPE action)
{
    switch (action) {
    case FWP_ACTION_PERMIT:
        return "PERMIT";
    case FWP_ACTION_BLOCK:
        return "BLOCK";
    case FWP_ACTION_CALLOUT_TERMINATING:
        return "CALLOUT_TERMINATING";
    case FWP_ACTION_CALLOUT_INSPECTION:
        return "CALLOUT_INSPECTION";
    case FWP_ACTION_CALLOUT_UNKNOWN:
        return "CALLOUT_UNKNOWN";
    case FWP_ACTION_CONTINUE:
        return "CONTINUE";
    default:
        return "NONE";
    }
}

const char *explain_filter_flags(struct explain_arena *a, UINT32 flags)
{
    struct explain_text t = {0};
    const char *out = "";

    for (unsigned bit = 0; bit < 32; bit++) {
        const char *name;

        if (!(flags >> bit & 1))
            continue;
        name = engine_constant_name("FWPM_FILTER_FLAG", UINT64_C(1) << bit);
        if (name != NULL)
            explain_addf(&t, "%s%s", t.size != 0 ? "|" : "", name + strlen("FWPM_FILTER_FLAG_"));
        else
            explain_addf(&t, "%s0x%x", t.size != 0 ? "|" : "", 1u << bit);
    }
    if (t.data != NULL)
        out = explain_strdup(a, t.data);
    explain_text_free(&t);
    return out;
}

static const char *sddl_text(struct explain_arena *a, const FWP_BYTE_BLOB *sd)
{
    const char *out;
    char *sddl;

    if (security_sddl_format(sd->data, sd->size, &sddl) != 0)
        return explain_printf(a, "a security descriptor of %u bytes", sd->size);
    out = explain_strdup(a, sddl);
    free(sddl);
    return out;
}

/* The part of a condition's value that both kinds of values have. */
static struct explain_value plain_value(const FWP_CONDITION_VALUE0 *value)
{
    struct explain_value v = {0};

    v.value.type = value->type;
    v.value.uint64 = value->uint64;
    return v;
}

const char *explain_condition_text(struct explain_arena *a, const struct engine_field *field,
                                   const FWP_CONDITION_VALUE0 *value)
{
    struct explain_value v = plain_value(value), low, high;

    switch (value->type) {
    case FWP_V4_ADDR_MASK:
        return explain_printf(a, "%s/%d", explain_v4_text(a, value->v4AddrMask->addr),
                              __builtin_popcount(value->v4AddrMask->mask));
    case FWP_V6_ADDR_MASK:
        return explain_printf(a, "%s/%u", explain_v6_text(a, value->v6AddrMask->addr),
                              value->v6AddrMask->prefixLength);
    case FWP_RANGE_TYPE:
        low = (struct explain_value){.value = value->rangeValue->valueLow};
        high = (struct explain_value){.value = value->rangeValue->valueHigh};
        return explain_printf(a, "%s-%s", explain_value_text(a, field, &low),
                              explain_value_text(a, field, &high));
    case FWP_SECURITY_DESCRIPTOR_TYPE:
        return sddl_text(a, value->sd);
    case FWP_UNICODE_STRING_TYPE:
        return explain_printf(a, "text");
    default:
        return explain_value_text(a, field, &v);
    }
}

/* ---- words ----------------------------------------------------------------------------------- */

/* Whom a descriptor lets through: the SIDs it allows, when it does nothing else. */
struct sd_reading {
    struct explain_arena *a;
    struct explain_text names;
    unsigned count;
    bool special; /* denies, or tests attributes */
};

static void read_sid(void *ctx, const SID *sid, bool allow)
{
    struct sd_reading *r = ctx;
    const char *name = explain_sid_words(r->a, sid);

    if (!allow)
        r->special = true;
    if (++r->count <= 3 && name != NULL)
        explain_addf(&r->names, "%s%s", r->count > 1 ? ", " : "", name);
}

static void read_condition(void *ctx, const char *attribute, const char *value)
{
    struct sd_reading *r = ctx;

    if (++r->count <= 3)
        explain_addf(&r->names, "%s%s %s", r->count > 1 ? ", " : "", attribute, value != NULL ? value : "");
    r->special = true;
}

static const char *sd_words(struct explain_arena *a, const FWP_BYTE_BLOB *sd)
{
    struct sd_reading r = {.a = a};
    struct security_sd_visitor v = {&r, read_sid, read_condition};
    const char *out;

    security_sd_visit(sd->data, sd->size, &v);
    if (r.count == 0)
        out = "anybody that the descriptor admits";
    else if (r.special)
        out = explain_printf(a, "admitted by a descriptor about %s%s", r.names.data,
                             r.count > 3 ? explain_printf(a, " and %u more", r.count - 3) : "");
    else if (r.count == 1)
        out = explain_printf(a, "%s", r.names.data);
    else
        out = explain_printf(a, "one of %s%s", r.names.data,
                             r.count > 3 ? explain_printf(a, " and %u more", r.count - 3) : "");
    explain_text_free(&r.names);
    return out;
}

static const char *value_words(struct explain_arena *a, const struct engine_field *field,
                               const FWP_CONDITION_VALUE0 *value)
{
    struct explain_value v = plain_value(value), low, high;

    switch (value->type) {
    case FWP_SECURITY_DESCRIPTOR_TYPE:
        return sd_words(a, value->sd);
    case FWP_RANGE_TYPE:
        low = (struct explain_value){.value = value->rangeValue->valueLow};
        high = (struct explain_value){.value = value->rangeValue->valueHigh};
        return explain_printf(a, "%s to %s", explain_value_words(a, field, &low),
                              explain_value_words(a, field, &high));
    case FWP_V4_ADDR_MASK:
    case FWP_V6_ADDR_MASK:
    case FWP_UNICODE_STRING_TYPE:
        return explain_condition_text(a, field, value);
    default:
        return explain_value_words(a, field, &v);
    }
}

/* "is 443", "is not 1 to 5", "has all of IS_LOOPBACK". */
static const char *condition_words(struct explain_arena *a, const struct engine_field *field,
                                   FWP_MATCH_TYPE match, const FWP_CONDITION_VALUE0 *value)
{
    static const char *const verbs[] = {
        [FWP_MATCH_EQUAL] = "is",
        [FWP_MATCH_GREATER] = "is greater than",
        [FWP_MATCH_LESS] = "is less than",
        [FWP_MATCH_GREATER_OR_EQUAL] = "is at least",
        [FWP_MATCH_LESS_OR_EQUAL] = "is at most",
        [FWP_MATCH_RANGE] = "is",
        [FWP_MATCH_FLAGS_ALL_SET] = "has all of",
        [FWP_MATCH_FLAGS_ANY_SET] = "has any of",
        [FWP_MATCH_FLAGS_NONE_SET] = "has none of",
        [FWP_MATCH_EQUAL_CASE_INSENSITIVE] = "is, in any case,",
        [FWP_MATCH_NOT_EQUAL] = "is not",
        [FWP_MATCH_PREFIX] = "ends with", /* as documented: engine_match() */
        [FWP_MATCH_NOT_PREFIX] = "does not end with",
    };
    const char *verb = (unsigned)match < sizeof verbs / sizeof verbs[0] ? verbs[match] : NULL;

    if (verb == NULL)
        return explain_printf(a, "%s %s", explain_match_name(a, match),
                              explain_condition_text(a, field, value));
    return explain_printf(a, "%s %s", verb, value_words(a, field, value));
}

static bool same_verb(const char *x, const char *y, size_t *verb)
{
    size_t n = 0;

    while (x[n] != '\0' && x[n] == y[n])
        n++;
    while (n > 0 && x[n - 1] != ' ')
        n--;
    *verb = n;
    return n >= 3 && strncmp(x, "is ", 3) == 0 && strncmp(x, "is not ", 7) != 0;
}

static void add_condition(struct explain_arena *a, const struct engine_field *field,
                          const FWPS_FILTER_CONDITION0 *c, struct explain_text *words,
                          struct explain_text *raw, const char **first)
{
    const char *text = condition_words(a, field, c->matchType, &c->conditionValue);
    const char *value = explain_condition_text(a, field, &c->conditionValue);
    size_t verb;

    if (text == NULL || value == NULL)
        return;
    if (*first == NULL)
        explain_puts(words, text);
    else if (same_verb(*first, text, &verb))
        explain_addf(words, " or %s", text + 3);
    else
        explain_addf(words, " or %s", text);
    explain_addf(raw, "%s%s %s", *first == NULL ? " " : " | ", explain_match_name(a, c->matchType), value);
    if (*first == NULL)
        *first = text;
}

int explain_requirements(struct explain_arena *a, const struct engine_layer *layer,
                         const FWPS_FILTER3 *filter, const struct explain_requirement **out)
{
    struct explain_requirement *all = explain_alloc(a, (filter->numFilterConditions + 1) * sizeof *all);
    int count = 0;

    if (all == NULL)
        return -ENOMEM;
    for (UINT32 i = 0; i < filter->numFilterConditions; i++) {
        UINT16 id = filter->filterCondition[i].fieldId;
        const struct engine_field *field = &layer->fields[id];
        struct explain_text words = {0}, raw = {0};
        const char *first = NULL;
        char buf[64];
        int k;

        for (k = 0; k < count && all[k].field != id; k++)
            ;
        if (k < count || id >= layer->field_count)
            continue;
        explain_addf(&words, "%s ", explain_field_words(field, buf, sizeof buf));
        explain_puts(&raw, explain_field_short(field));
        for (UINT32 j = i; j < filter->numFilterConditions; j++) {
            if (filter->filterCondition[j].fieldId == id)
                add_condition(a, field, &filter->filterCondition[j], &words, &raw, &first);
        }
        all[count].field = id;
        all[count].words = words.data != NULL ? explain_strdup(a, words.data) : "";
        all[count].raw = raw.data != NULL ? explain_strdup(a, raw.data) : "";
        count++;
        explain_text_free(&words);
        explain_text_free(&raw);
    }
    *out = all;
    return a->failed ? -ENOMEM : count;
}

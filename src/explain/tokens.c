/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Candidates for who runs a program. The security room says which tokens are worth trying against the
 * descriptors in question (security_candidates_tokens); here they become classes, and for the subject of a
 * connection the app package and package family come along with the token, since one token decides all three
 * (MATCH-17, MATCH-28, MATCH-29).
 */
#include "explain/problem.h"

#include <errno.h>
#include <string.h>

struct teller {
    struct explain_problem *p;
    struct explain_var *v;
    enum explain_subject subject;
    bool joint;           /* the subject of a connection; else tokens alone */
    const SID **packages; /* that ALE_PACKAGE_ID conditions name */
    size_t package_count;
    bool only_package; /* an AppContainer of packages[0] */
    const SID *null_sid;
    int err;
};

static bool is_account(const SID *sid, const char *text)
{
    _Alignas(4) uint8_t bytes[SECURITY_MAX_SID_SIZE];

    return security_sid_parse(text, (SID *)bytes, sizeof bytes) == 0 &&
           security_sid_equal(sid, (const SID *)bytes);
}

static bool is_wanted(const struct teller *t, const struct security_token_spec *spec, bool first)
{
    switch (t->subject) {
    case SUBJECT_ORDINARY:
        return first;
    case SUBJECT_SYSTEM:
        return is_account(spec->user, "SY") && spec->package == NULL;
    case SUBJECT_PROGRAM:
        return spec->package == NULL;
    default:
        return true;
    }
}

static void add_token(struct teller *t, const struct security_token_spec *spec, const char *description)
{
    struct explain_class *c = explain_candidate(t->p, t->v);
    struct explain_arena *a = &t->p->arena;
    int err = c == NULL ? -ENOMEM : explain_value_token(a, spec, description, &c->v[0]);

    if (err != 0) {
        t->err = err;
        return;
    }
    if (t->v->field[0] != NULL && t->v->field[0]->data_type == FWP_TOKEN_INFORMATION_TYPE)
        t->err = explain_token_information(a, &c->v[0]);
    if (!t->joint)
        return;
    c->tag = spec->package != NULL ? TAG_APPCONTAINER : 0;
    c->v[2] = c->v[0];
    c->v[1].value.type = FWP_SID;
    c->v[1].value.sid = explain_copy(a, spec->package != NULL ? spec->package : t->null_sid,
                                     security_sid_size(spec->package != NULL ? spec->package : t->null_sid));
    c->v[1].label = spec->package == NULL ? "none (no AppContainer)" : NULL;
    if (a->failed)
        t->err = -ENOMEM;
}

static bool tell(void *ctx, const struct security_token_spec *spec, const char *description)
{
    struct teller *t = ctx;

    if (t->only_package ? spec->package == NULL : !is_wanted(t, spec, t->v->count == 0))
        return true;
    if (!t->only_package)
        add_token(t, spec, description);
    /* Each way of being an AppContainer, for each package that a filter tests. A packaged program (one with
     * attributes) may be one as well. */
    if (t->joint && t->subject == SUBJECT_ANY && (spec->package != NULL || spec->attribute_count != 0)) {
        struct security_token_spec other = *spec;

        for (size_t i = 0; i < t->package_count && t->err == 0; i++) {
            other.package = t->packages[i];
            add_token(t, &other,
                      explain_printf(&t->p->arena, "%s, package %s", description,
                                     explain_sid_words(&t->p->arena, t->packages[i])));
        }
    }
    return t->err == 0;
}

/* All descriptors and packages that the filters in question test on this variable. */
static int collect(struct teller *t, struct security_candidates *c)
{
    const struct explain_problem *p = t->p;
    uint32_t var = (uint32_t)(t->v - p->vars);

    t->packages = explain_alloc(&t->p->arena, (p->use_count * 4 + 1) * sizeof *t->packages);
    if (t->packages == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < p->use_count; i++) {
        const FWPS_FILTER3 *f = engine_filter_fwps(p->uses[i].engine_filter);

        if (p->uses[i].var != var)
            continue;
        for (UINT32 k = 0; k < f->numFilterConditions; k++) {
            const FWP_CONDITION_VALUE0 *value = &f->filterCondition[k].conditionValue;
            bool known = value->type != FWP_SID || is_account(value->sid, "S-1-0-0");

            if (f->filterCondition[k].fieldId != p->uses[i].field)
                continue;
            if (value->type == FWP_SECURITY_DESCRIPTOR_TYPE &&
                security_candidates_add(c, value->sd->data, value->sd->size) != 0)
                return -ENOMEM;
            for (size_t n = 0; n < t->package_count && !known; n++)
                known = security_sid_equal(t->packages[n], value->sid);
            if (!known && t->package_count < p->use_count * 4)
                t->packages[t->package_count++] = value->sid;
        }
    }
    return 0;
}

static int generate(struct explain_problem *p, struct explain_var *v, bool joint,
                    const struct explain_subject_ctx *ctx)
{
    _Alignas(4) uint8_t null_sid[SECURITY_MAX_SID_SIZE];
    struct teller t = {
        .p = p, .v = v, .joint = joint, .subject = ctx->kind, .null_sid = (const SID *)null_sid};
    struct security_candidates *c;
    int err = security_candidates_create(&c);

    if (err != 0)
        return err;
    err = security_sid_parse("S-1-0-0", (SID *)null_sid, sizeof null_sid);
    if (err == 0)
        err = collect(&t, c);
    if (err == 0 && ctx->package != NULL) {
        t.packages[0] = ctx->package;
        t.package_count = 1;
        t.only_package = true;
    }
    if (err == 0)
        err = security_candidates_tokens(c, tell, &t);
    security_candidates_destroy(c);
    return err != 0 ? err : t.err;
}

int explain_generate_subject(struct explain_problem *p, struct explain_var *v)
{
    const struct explain_subject_ctx *ctx = v->ctx;

    return generate(p, v, true, ctx);
}

int explain_generate_tokens(struct explain_problem *p, struct explain_var *v)
{
    static const struct explain_subject_ctx anybody = {SUBJECT_ANY, NULL};
    int err = generate(p, v, false, &anybody);

    if (err == 0 && v->may_be_empty && explain_candidate(p, v) == NULL)
        err = -ENOMEM;
    return err;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asking about every recorded endpoint, and about both ends of recorded loopback connections together.
 */
#include "explain/endpoints.h"

#include "explain/joint.h"

#include <errno.h>
#include <string.h>

static bool is_zero(const FWP_VALUE0 *a)
{
    static const UINT8 zero[16];

    if (a->type == FWP_UINT32)
        return a->uint32 == 0;
    return a->type != FWP_BYTE_ARRAY16_TYPE || memcmp(a->byteArray16->byteArray16, zero, 16) == 0;
}

static bool has_peer(const struct policy_endpoint *e)
{
    return !is_zero(&e->remote_address);
}

/* The question that an endpoint answers, if this is what made it. */
static void question_of(const struct policy_endpoint *e, const struct explain_question *like,
                        enum explain_op op, struct explain_question *q)
{
    *q = *like;
    q->op = op;
    q->direction = op == EXPLAIN_ACCEPT ? 'i' : 'o';
    q->protocol = e->protocol;
    q->family = e->ip_version == FWP_IP_VERSION_V6 ? '6' : '4';
    q->app = e->app_id.size != 0 ? &e->app_id : NULL;
    q->local = (struct explain_end){.address_known = !is_zero(&e->local_address),
                                    .address = e->local_address,
                                    .port_known = true,
                                    .port = e->local_port,
                                    .maybe_wildcard = true};
    q->remote = (struct explain_end){.address_known = has_peer(e),
                                     .address = e->remote_address,
                                     .port_known = has_peer(e),
                                     .port = e->remote_port};
    if (op != EXPLAIN_BIND && op != EXPLAIN_LISTEN)
        return;
    if (is_zero(&e->local_address))
        q->local.wildcard = true;
    else if (explain_address_tags(&e->local_address) & (TAG_MULTICAST | TAG_BROADCAST))
        q->local.address_known =
            false; /* the group that was joined; what the socket is bound to is not recorded */
}

const char *explain_depends_text(struct explain_arena *a, const struct explain_problem *p,
                                 const struct explain_answer *answer)
{
    struct explain_text t = {0};
    const char *out;

    for (uint32_t i = 0; i < answer->depend_count; i++) {
        uint32_t v = answer->depends[i];
        const struct explain_var *var = &p->vars[v];
        bool any = false;

        if (var->callout) {
            char guid[ENGINE_GUID_TEXT];

            explain_addf(&t, "%scallout %s", t.size != 0 ? ", " : "",
                         engine_guid_format(&var->callout_key, guid));
            continue;
        }
        if (!explain_var_matters(p, v))
            continue;
        for (uint32_t s = 0; s < EXPLAIN_SLOTS; s++) {
            if (var->field[s] == NULL || !explain_slot_tested(p, var, s))
                continue;
            explain_addf(&t, "%s%s%s", t.size != 0 ? ", " : "", any || var->party == 0 ? "" : "the peer's ",
                         explain_field_short(var->field[s]));
            any = true;
        }
    }
    out = explain_strdup(a, t.data != NULL ? t.data : "what is unknown");
    explain_text_free(&t);
    return out;
}

static int ask(const struct explain_state *state, struct explain_arena *a, const struct policy_endpoint *e,
               const struct explain_question *like, enum explain_op op, struct explain_endpoint_side *side,
               const char **error)
{
    struct explain_question q;
    struct explain_problem p;
    struct explain_answer answer;
    const struct explain_world *w;
    int err = explain_problem_begin(state, &p);

    question_of(e, like, op, &q);
    side->op = op;
    if (err == 0)
        err = explain_question_add(&p, &q, 0, NULL, error);
    if (err == 0)
        err = explain_problem_build(&p, error);
    if (err == 0)
        err = explain_answer(&p, EXPLAIN_BUDGET, &answer, error);
    if (err == 0) {
        side->verdict = answer.verdict;
        w = answer.verdict == EXPLAIN_BLOCKED || answer.permit == NULL ? answer.block : answer.permit;
        if (w != NULL) {
            side->filter_id = w->steps[w->decisive].filter_id;
            side->layer = p.steps[w->decisive].layer->name;
        }
        if (answer.verdict == EXPLAIN_DEPENDS)
            side->depends = explain_depends_text(a, &p, &answer);
    }
    if (err != 0 && *error != NULL)
        *error = explain_strdup(a, *error);
    explain_problem_end(&p);
    return err;
}

static enum explain_verdict combine(const struct explain_endpoint_result *r)
{
    bool all_blocked = true, undecided = false;

    for (unsigned i = 0; i < r->side_count; i++) {
        enum explain_verdict v = r->sides[i].verdict;

        if (v == EXPLAIN_PERMITTED)
            return v;
        all_blocked = all_blocked && (v == EXPLAIN_BLOCKED || v == EXPLAIN_CONTRADICTION);
        undecided = undecided || v == EXPLAIN_UNDECIDED;
    }
    return all_blocked ? EXPLAIN_BLOCKED : undecided ? EXPLAIN_UNDECIDED : EXPLAIN_DEPENDS;
}

/* ---- both ends of a loopback connection ------------------------------------------------------ */

static bool are_ends(const struct policy_endpoint *a, const struct policy_endpoint *b)
{
    return has_peer(a) && has_peer(b) && a->protocol == b->protocol && a->local_port == b->remote_port &&
           a->remote_port == b->local_port && explain_same_address(&a->local_address, &b->remote_address) &&
           explain_same_address(&a->remote_address, &b->local_address);
}

/* The flags of one end's authorization follow from both programs. */
static void tie_flags(struct explain_problem *p)
{
    uint32_t users[2] = {explain_find_var(p, "USER"), explain_find_var(p, "PEER USER")};

    if (users[0] == UINT32_MAX || users[1] == UINT32_MAX)
        return;
    for (uint32_t v = 0; v < p->var_count; v++) {
        const struct explain_flags_ctx *ctx = p->vars[v].ctx;

        if (p->vars[v].generate == explain_generate_flags &&
            ctx->free & FWP_CONDITION_FLAG_IS_NON_APPCONTAINER_LOOPBACK)
            explain_add_constraint(p, v, users[1 - p->vars[v].party], explain_flags_with_peer, 0);
    }
}

static int ask_pair(const struct explain_state *state, struct explain_arena *a,
                    const struct policy_endpoint *client, const struct policy_endpoint *server,
                    const struct explain_question *like, bool *possible, const char **error)
{
    struct explain_question q;
    struct explain_problem p;
    struct solve_budget budget = {EXPLAIN_BUDGET};
    uint32_t *classes;
    int err = explain_problem_begin(state, &p);

    question_of(client, like, EXPLAIN_CONNECT, &q);
    if (err == 0)
        err = explain_question_add(&p, &q, 0, NULL, error);
    question_of(server, like, EXPLAIN_ACCEPT, &q);
    if (err == 0)
        err = explain_question_add(&p, &q, 1, NULL, error);
    if (err == 0) {
        tie_flags(&p);
        err = explain_problem_build(&p, error);
    }
    if (err == 0) {
        classes = explain_alloc(&p.arena, (p.var_count + 1) * sizeof *classes);
        err = classes == NULL ? -ENOMEM : solve(&p.solve, SOLVE_GOAL_PERMIT, 0, &budget, classes);
        *possible = err == SOLVE_FOUND || err == -E2BIG;
        if (err >= 0 || err == -E2BIG)
            err = 0;
    }
    if (err != 0 && *error != NULL)
        *error = explain_strdup(a, *error);
    explain_problem_end(&p);
    return err;
}

static int ask_pairs(const struct explain_state *state, struct explain_arena *a,
                     const struct explain_question *like, struct explain_endpoints *out, const char **error)
{
    for (uint32_t i = 0; i < out->count; i++) {
        struct explain_endpoint_result *x = &out->results[i];

        for (uint32_t k = i + 1; k < out->count && x->pair < 0; k++) {
            struct explain_endpoint_result *y = &out->results[k];
            int err;

            if (y->pair >= 0 || !are_ends(x->endpoint, y->endpoint))
                continue;
            x->pair = k;
            y->pair = i;
            err = ask_pair(state, a, x->endpoint, y->endpoint, like, &x->pair_possible, error);
            if (err == 0 && !x->pair_possible)
                err = ask_pair(state, a, y->endpoint, x->endpoint, like, &x->pair_possible, error);
            if (err != 0)
                return err;
            y->pair_possible = x->pair_possible;
            out->pairs++;
            out->pairs_possible += x->pair_possible;
            if (!x->pair_possible)
                x->verdict = y->verdict = EXPLAIN_BLOCKED;
        }
    }
    return 0;
}

int explain_endpoints(const struct explain_state *state, struct explain_arena *a,
                      const struct explain_question *like, struct explain_endpoints *out, const char **error)
{
    const struct policy *policy = state->policy;
    int err = 0;

    *out = (struct explain_endpoints){0};
    *error = NULL;
    out->results = explain_alloc(a, (policy->counts.endpoints + 1) * sizeof *out->results);
    if (out->results == NULL)
        return -ENOMEM;
    for (UINT32 i = 0; i < policy->counts.endpoints && err == 0; i++) {
        struct explain_endpoint_result *r = &out->results[out->count++];

        r->endpoint = &policy->endpoints[i];
        r->pair = -1;
        r->program = explain_blob_text(a, NULL, &r->endpoint->app_id);
        if (has_peer(r->endpoint)) {
            r->side_count = 2;
            err = ask(state, a, r->endpoint, like, EXPLAIN_CONNECT, &r->sides[0], error);
            if (err == 0)
                err = ask(state, a, r->endpoint, like, EXPLAIN_ACCEPT, &r->sides[1], error);
        } else {
            r->side_count = 1;
            err = ask(state, a, r->endpoint, like, r->endpoint->protocol == 6 ? EXPLAIN_LISTEN : EXPLAIN_BIND,
                      &r->sides[0], error);
        }
        r->verdict = combine(r);
    }
    if (err == 0)
        err = ask_pairs(state, a, like, out, error);
    for (uint32_t i = 0; i < out->count; i++) {
        enum explain_verdict v = out->results[i].verdict;

        out->permitted += v == EXPLAIN_PERMITTED;
        out->blocked += v == EXPLAIN_BLOCKED;
        out->undecided += v == EXPLAIN_UNDECIDED;
    }
    out->depends = out->count - out->permitted - out->blocked;
    return err;
}

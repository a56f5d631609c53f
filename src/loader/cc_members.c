/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir cc: members of one name. Microsoft's compiler lets an anonymous struct or union within another have a member whose
 * name the outer one has already, and takes the outer one's; others refuse that.
 *
 *   struct s { union { UINT8 tos; struct { UINT8 ecn : 2; UINT8 tos : 6; }; }; };      the second is named tos_2
 *
 * Here such tokens are marked; cc_rewrite.c writes them so.
 */
#include "loader/cc_inside.h"

#include <string.h>

#define MOST  256 /* names that are compared with, of one struct */
#define DEPTH 16

struct names {
    uint32_t token[MOST];
    uint8_t depth[MOST];
    unsigned count;
};

struct marker {
    const char *text;
    struct cc_tokens *tokens;
};

static const struct cc_token *tok(const struct marker *m, uint32_t i)
{
    return &m->tokens->list[i < m->tokens->count ? i : m->tokens->count - 1];
}

static bool is(const struct marker *m, uint32_t i, const char *word)
{
    return tok(m, i)->size == strlen(word) && memcmp(m->text + tok(m, i)->at, word, tok(m, i)->size) == 0;
}

static uint32_t next(const struct marker *m, uint32_t i)
{
    do
        i++;
    while (tok(m, i)->kind == CC_LINE);
    return i;
}

static void add(struct marker *m, struct names *n, uint32_t i, unsigned depth)
{
    const struct cc_token *t = tok(m, i);

    for (unsigned k = 0; k < n->count; k++) {
        const struct cc_token *other = tok(m, n->token[k]);

        if (other->size != t->size || memcmp(m->text + other->at, m->text + t->at, t->size) != 0)
            continue;
        if (depth != n->depth[k]) /* of one depth: an error that the compiler is to tell */
            m->tokens->list[depth > n->depth[k] ? i : n->token[k]].again = true;
        return;
    }
    if (n->count < MOST) {
        n->token[n->count] = i;
        n->depth[n->count++] = (uint8_t)depth;
    }
}

/* A struct's or union's bracket, if the word begins one; 0: it does not. */
static uint32_t opens(const struct marker *m, uint32_t i, bool *tagged)
{
    uint32_t k = next(m, i);

    if (tok(m, i)->kind != CC_WORD || tok(m, i)->ours || (!is(m, i, "struct") && !is(m, i, "union")))
        return 0;
    *tagged = tok(m, k)->kind == CC_WORD;
    if (*tagged)
        k = next(m, k);
    return is(m, k, "{") && tok(m, k)->pair != 0 ? k : 0;
}

/* depth: of anonymous ones around. */
static void members(struct marker *m, uint32_t open, struct names *n, unsigned depth, unsigned deep)
{
    const uint32_t close = tok(m, open)->pair;
    uint32_t before = open;
    bool tagged;

    for (uint32_t i = next(m, open), k; i < close; before = i, i = next(m, i)) {
        const uint32_t behind = next(m, i), inner = opens(m, i, &tagged);

        if (inner != 0 && deep < DEPTH) {
            k = tok(m, inner)->pair;
            if (!tagged && is(m, next(m, k), ";")) {
                members(m, inner, n, depth + 1, deep + 1);
            } else {
                struct names own = {.count = 0};

                members(m, inner, &own, 0, deep + 1);
            }
            i = k;
        } else if (tok(m, i)->pair > i) {
            i = tok(m, i)->pair;
        } else if (tok(m, i)->kind == CC_WORD && (tok(m, before)->kind == CC_WORD || is(m, before, "*") ||
                                                  is(m, before, ",") || is(m, before, "}"))) {
            if (is(m, behind, ";") || is(m, behind, ",") || is(m, behind, ":") || is(m, behind, "["))
                add(m, n, i, depth);
        }
    }
}

void cc_members_mark(const char *text, struct cc_tokens *tokens)
{
    struct marker m = {text, tokens};
    bool tagged;

    for (uint32_t i = 1, open; i + 1 < tokens->count; i++) {
        struct names own = {.count = 0};

        open = opens(&m, i, &tagged);
        if (open == 0)
            continue;
        members(&m, open, &own, 0, 0);
        i = tok(&m, open)->pair;
    }
}

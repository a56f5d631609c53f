/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir cc: preprocessed text, rewritten where only Microsoft's compiler understands it. Line markers stay, so
 * that messages, debug information and coverage name the driver's own lines; Weir's headers are left as they
 * are.
 *
 *   __try {A} __except (F) {B}  {{A} end:; if (0 && (F)) {B}}      a fault is the runtime's to report
 *   __try {A} __finally {B}     {{A} end:; {B}}; a return in A runs B first
 *   __leave                     goto end       (all four are known without underscores, too, where they can be
 *                               nothing else: an old driver's words)
 *   long                        int, with a warning a use: 32 bits, as there; 1L is 1, 1i64 is 1LL
 *   __declspec(...)             __attribute__((...)), or nothing
 *   "a" __FUNCTION__            "a" "name"
 *   inline (C, not static)      weak: one definition in several files is one function, as there
 *   inline (C++, in a source)   there, too, if only other files use it
 *   enum e : type {             enum e {     (C)
 *   struct {T a; struct {T a;};}  the second a is a_2      (cc_members.c)
 *   &(LONG)x                    (LONG *)&x   (a cast is an lvalue, there)
 *   #pragma                     those that Microsoft alone has go
 *
 * One pass, recursive where a block is given out twice.
 */
#include "loader/cc_inside.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#define MAX_DEPTH 64

/* An enclosing __try. */
struct guard {
    const struct guard *outer;
    unsigned label;
    uint32_t from, to; /* tokens of the __finally block, brackets included; from == to: __except */
};

struct rewriter {
    const struct cc_run *run;
    struct cc_tokens tokens;
    const char *text;
    struct cc_text *out;
    FILE *err;
    bool cxx;
    unsigned labels, depth;
    size_t done;                      /* of the text: given out up to here */
    uint32_t function, function_ends; /* tokens: its name, its closing bracket; 0: in none */
};

static const struct cc_token *tok(const struct rewriter *w, uint32_t i)
{
    return &w->tokens.list[i < w->tokens.count ? i : w->tokens.count - 1];
}

static bool is(const struct rewriter *w, uint32_t i, const char *word)
{
    const struct cc_token *t = tok(w, i);

    return t->size == strlen(word) && memcmp(w->text + t->at, word, t->size) == 0;
}

static bool is_any(const struct rewriter *w, uint32_t i, const char *const *words, size_t count)
{
    for (size_t k = 0; k < count; k++)
        if (is(w, i, words[k]))
            return true;
    return false;
}

#define IS_ANY(w, i, list) is_any(w, i, list, sizeof(list) / sizeof((list)[0]))

/* The next and the last that is no line of its own. */
static uint32_t next(const struct rewriter *w, uint32_t i)
{
    do
        i++;
    while (tok(w, i)->kind == CC_LINE);
    return i;
}

static uint32_t before(const struct rewriter *w, uint32_t i)
{
    while (i > 0 && tok(w, --i)->kind == CC_LINE)
        ;
    return i;
}

/* ---- giving out -----------------------------------------------------------------------------------------
 */

/* What stands between the tokens: blanks and newlines. */
static void gap(struct rewriter *w, uint32_t i)
{
    const struct cc_token *t = tok(w, i);

    if (t->at > w->done)
        cc_text_add(w->out, w->text + w->done, t->at - w->done);
    w->done = t->at + t->size;
}

static void say(struct rewriter *w, const char *text)
{
    cc_text_add(w->out, text, strlen(text));
}

static void copy(struct rewriter *w, uint32_t i)
{
    gap(w, i);
    cc_text_add(w->out, w->text + tok(w, i)->at, tok(w, i)->size);
}

/* Something else in its place, padded to its width. */
static void instead(struct rewriter *w, uint32_t i, const char *text)
{
    size_t size = strlen(text);

    gap(w, i);
    say(w, text);
    for (; size < tok(w, i)->size; size++)
        say(w, " ");
}

/* Lines are kept, words go. */
static void drop(struct rewriter *w, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++) {
        if (tok(w, i)->kind == CC_LINE)
            copy(w, i);
        else
            gap(w, i);
    }
}

static void marker(struct rewriter *w, uint32_t i)
{
    cc_text_print(w->out, "\n# %u \"%s\"\n", tok(w, i)->line, w->tokens.files.items[tok(w, i)->file]);
}

static void warn(struct rewriter *w, uint32_t i, const char *text)
{
    fprintf(w->err, "%s:%u: warning: %s\n", w->tokens.files.items[tok(w, i)->file], tok(w, i)->line, text);
}

static void emit(struct rewriter *w, uint32_t from, uint32_t to, const struct guard *g);

/* ---- long -----------------------------------------------------------------------------------------------
 */

static const char *const specifiers[] = {"long",         "int",        "unsigned", "signed",   "short",
                                         "char",         "double",     "const",    "volatile", "static",
                                         "extern",       "register",   "typedef",  "_Complex", "__const",
                                         "__volatile__", "__volatile", "inline"};

static void long_word(struct rewriter *w, uint32_t i)
{
    uint32_t from = i, to = i;
    unsigned longs = 0;
    bool has_int = false, has_double = false;

    while (from > 1 && IS_ANY(w, from - 1, specifiers))
        from--;
    while (IS_ANY(w, to, specifiers))
        to++;
    for (uint32_t k = from; k < to; k++) {
        longs += is(w, k, "long");
        has_int |= is(w, k, "int") || is(w, k, "char");
        has_double |= is(w, k, "double");
    }
    if (longs != 1) {
        copy(w, i);
        return;
    }
    if (!has_double)
        warn(w, i, "'long' has 32 bits on Windows and is compiled as 'int' [weir-long]");
    instead(w, i, has_int || has_double ? "" : "int");
}

/* L of Windows is 32 bits too: nothing to say. */
static void number(struct rewriter *w, uint32_t i)
{
    static const struct {
        const char *from, *to;
    } suffixes[] = {{"l", ""},     {"ul", "U"}, {"lu", "U"},   {"i64", "LL"}, {"ui64", "ULL"}, {"i32", ""},
                    {"ui32", "U"}, {"i16", ""}, {"ui16", "U"}, {"i8", ""},    {"ui8", "U"}};
    const struct cc_token *t = tok(w, i);
    const char *text = w->text + t->at;
    bool hex = t->size > 1 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
    size_t digits = hex ? 2 : 0;

    while (digits < t->size &&
           (hex ? isxdigit((unsigned char)text[digits]) : isdigit((unsigned char)text[digits])))
        digits++;
    for (size_t k = 0; k < sizeof suffixes / sizeof suffixes[0]; k++) {
        size_t size = strlen(suffixes[k].from);

        if (t->size - digits != size || strncasecmp(text + digits, suffixes[k].from, size) != 0)
            continue;
        gap(w, i);
        cc_text_add(w->out, text, digits);
        say(w, suffixes[k].to);
        for (size_t n = strlen(suffixes[k].to); n < size; n++)
            say(w, " ");
        return;
    }
    copy(w, i);
}

/* ---- __declspec -----------------------------------------------------------------------------------------
 */

/* Returns the token behind it. */
static uint32_t declspec(struct rewriter *w, uint32_t i)
{
    static const struct {
        const char *from, *to;
    } known[] = {{"noreturn", "__attribute__((noreturn))"},
                 {"noinline", "__attribute__((noinline))"},
                 {"deprecated", "__attribute__((deprecated))"},
                 {"selectany", "__attribute__((weak))"},
                 {"dllexport", "__attribute__((visibility(\"default\")))"},
                 {"thread", "__thread"},
                 {"naked", "__attribute__((naked))"}};
    uint32_t open = next(w, i), close = tok(w, open)->pair;

    if (!is(w, open, "(") || close == 0) {
        copy(w, i);
        return i + 1;
    }
    drop(w, i, open + 1);
    say(w, " ");
    for (uint32_t k = next(w, open); k < close; k = next(w, k)) {
        uint32_t behind = next(w, k);

        for (size_t n = 0; n < sizeof known / sizeof known[0]; n++)
            if (is(w, k, known[n].from) || (is(w, k, "deprecated") && n == 2)) {
                say(w, known[n].to);
                say(w, " ");
            }
        if (is(w, k, "align") && is(w, behind, "(")) {
            say(w, "__attribute__((aligned(");
            w->done = tok(w, behind)->at + 1;
            emit(w, behind + 1, tok(w, behind)->pair, NULL);
            say(w, "))) ");
        }
        if (is(w, behind, "(") && tok(w, behind)->pair != 0)
            k = tok(w, behind)->pair;
    }
    /* lines inside are lost on purpose: one of them cannot stand in the middle of an attribute */
    w->done = tok(w, close)->at + 1;
    return close + 1;
}

/* ---- __try ----------------------------------------------------------------------------------------------
 */

static uint32_t try_block(struct rewriter *w, uint32_t i, const struct guard *outer)
{
    static const char *const excepts[] = {"__except", "_except", "except"};
    static const char *const finallys[] = {"__finally", "_finally", "finally"};
    uint32_t body = next(w, i), end = tok(w, body)->pair, then, open, filter = 0;
    struct guard g = {.outer = outer, .label = ++w->labels};

    if (!is(w, body, "{") || end == 0 || w->depth >= MAX_DEPTH) {
        copy(w, i);
        return i + 1;
    }
    then = next(w, end);
    open = next(w, then);
    if (IS_ANY(w, then, excepts) && is(w, open, "(") && tok(w, open)->pair != 0) {
        filter = open;
        open = next(w, tok(w, open)->pair);
    } else if (!IS_ANY(w, then, finallys)) {
        copy(w, i);
        return i + 1;
    }
    if (!is(w, open, "{") || tok(w, open)->pair == 0) {
        copy(w, i);
        return i + 1;
    }
    if (filter == 0) {
        g.from = open;
        g.to = tok(w, open)->pair + 1;
    }
    instead(w, i, "{");
    w->depth++;
    emit(w, i + 1, end + 1, &g);
    w->depth--;
    cc_text_print(w->out, " weir_leave_%u: __attribute__((unused)); ", g.label);
    drop(w, end + 1, then + 1);
    if (filter != 0) {
        say(w, "if (0 && ");
        emit(w, filter, tok(w, filter)->pair + 1, outer);
        say(w, ") ");
        emit(w, tok(w, filter)->pair + 1, tok(w, open)->pair + 1, outer);
    } else {
        emit(w, then + 1, tok(w, open)->pair + 1, outer);
    }
    say(w, " }");
    return tok(w, open)->pair + 1;
}

static bool has_finally(const struct guard *g)
{
    for (; g != NULL; g = g->outer)
        if (g->from != g->to)
            return true;
    return false;
}

/* A return inside of __try .. __finally: the blocks, inner first, then the return. Behind its ';'. */
static uint32_t return_word(struct rewriter *w, uint32_t i, const struct guard *g)
{
    uint32_t first = next(w, i), end = first;
    size_t after;

    while (end < w->tokens.count - 1 && !is(w, end, ";"))
        end = is(w, end, "(") || is(w, end, "{") || is(w, end, "[") ? tok(w, end)->pair + 1 : end + 1;
    if (w->depth >= MAX_DEPTH) {
        copy(w, i);
        return i + 1;
    }
    w->depth++;
    instead(w, i, "{");
    if (end != first) {
        say(w, w->cxx ? " auto weir_result = (" : " __auto_type weir_result = (");
        emit(w, first, end, NULL);
        say(w, ");");
    }
    gap(w, end);
    after = w->done;
    for (const struct guard *f = g; f != NULL; f = f->outer) {
        if (f->from == f->to)
            continue;
        marker(w, f->from);
        w->done = tok(w, f->from)->at;
        emit(w, f->from, f->to, f->outer);
    }
    marker(w, end);
    w->done = after;
    say(w, end != first ? "return weir_result; }" : "return; }");
    w->depth--;
    return end + 1;
}

/* ---- the rest -------------------------------------------------------------------------------------------
 */

static bool is_string(const struct rewriter *w, uint32_t i)
{
    const struct cc_token *t = tok(w, i);

    return t->kind == CC_STRING && w->text[t->at + t->size - 1] == '"';
}

static void function_word(struct rewriter *w, uint32_t i)
{
    static const char *const names[] = {"__FUNCTION__", "__FUNCSIG__", "__FUNCDNAME__"};
    uint32_t last = before(w, i), then = next(w, i);
    bool beside =
        is_string(w, last) || is_string(w, then) || IS_ANY(w, last, names) || IS_ANY(w, then, names);

    if (w->function == 0 || (!beside && is(w, i, "__FUNCTION__"))) {
        copy(w, i);
        return;
    }
    gap(w, i);
    cc_text_print(w->out, "\"%.*s\"", (int)tok(w, w->function)->size, w->text + tok(w, w->function)->at);
}

/* At a '{': does a function's body begin here? */
static void function_begins(struct rewriter *w, uint32_t i)
{
    static const char *const others[] = {"if", "for", "while", "switch", "__attribute__", "catch"};
    uint32_t p = before(w, i);

    if (w->function != 0 || tok(w, i)->pair == 0)
        return;
    while (is(w, p, ")") && tok(w, p)->pair != 0) {
        uint32_t name = before(w, tok(w, p)->pair);

        if (is(w, name, "__attribute__")) {
            p = before(w, name);
            continue;
        }
        if (tok(w, name)->kind == CC_WORD && !IS_ANY(w, name, others)) {
            w->function = name;
            w->function_ends = tok(w, i)->pair;
        }
        return;
    }
}

/* C: 'inline' outside of functions, neither static nor extern. */
static void inline_word(struct rewriter *w, uint32_t i)
{
    static const char *const storage[] = {"static", "extern", "typedef", "__extension__", "template"};
    static const char *const stops[] = {";", "{", "}", "=", ""};
    uint32_t k, then = next(w, i);

    if (w->function != 0 || (w->cxx && tok(w, i)->file != tok(w, (uint32_t)w->tokens.count - 2)->file)) {
        copy(w, i);
        return;
    }
    for (k = before(w, i); k > 0 && !IS_ANY(w, k, stops); k = before(w, k))
        if (IS_ANY(w, k, storage)) {
            copy(w, i);
            return;
        }
    for (k = then; k < w->tokens.count - 1 && !IS_ANY(w, k, stops) && !is(w, k, "("); k = next(w, k)) {
        if (IS_ANY(w, k, storage)) {
            copy(w, i);
            return;
        }
        if (is(w, k, "__attribute__"))
            k = tok(w, next(w, k))->pair != 0 ? tok(w, next(w, k))->pair : k;
    }
    if (w->cxx) {
        gap(w, i);
        say(w, "__attribute__((__used__)) inline");
        return;
    }
    if (is(w, i, "__forceinline") || is(w, then, "__attribute__")) {
        gap(w, i);
        say(w, "static inline");
        return;
    }
    gap(w, i);
    say(w, "__attribute__((weak))");
}

/* enum e : type { */
static uint32_t enum_word(struct rewriter *w, uint32_t i)
{
    uint32_t k = next(w, i), colon;

    copy(w, i);
    if (w->cxx)
        return i + 1;
    if (tok(w, k)->kind == CC_WORD)
        k = next(w, k);
    colon = k;
    if (!is(w, colon, ":"))
        return i + 1;
    while (tok(w, k = next(w, k))->kind == CC_WORD)
        ;
    if (!is(w, k, "{"))
        return i + 1;
    emit(w, i + 1, colon, NULL);
    drop(w, colon, k);
    return k;
}

/* & ( TYPE ) name: the token behind the bracket; 0: it is something else. */
static uint32_t cast_lvalue(const struct rewriter *w, uint32_t i)
{
    uint32_t last = before(w, i), open = next(w, i), close = tok(w, open)->pair, k;

    if (!is(w, open, "(") || close == 0 || tok(w, last)->kind == CC_NUMBER ||
        tok(w, last)->kind == CC_STRING || is(w, last, ")") || is(w, last, "]") || is(w, last, "&") ||
        (tok(w, last)->kind == CC_WORD && !is(w, last, "return")) || tok(w, next(w, close))->kind != CC_WORD)
        return 0;
    for (k = next(w, open); k < close; k = next(w, k))
        if (tok(w, k)->kind != CC_WORD && !is(w, k, "*"))
            return 0;
    return next(w, open) == close || is(w, next(w, close), "sizeof") ? 0 : close + 1;
}

static void hash_line(struct rewriter *w, uint32_t i)
{
    static const char *const kept[] = {"pack",       "GCC",       "clang", "STDC",
                                       "push_macro", "pop_macro", "weak",  "once"};
    const struct cc_token *t = tok(w, i);
    const char *p = w->text + t->at + 1, *end = w->text + t->at + t->size;

    while (p < end && (*p == ' ' || *p == '\t'))
        p++;
    if (t->ours || end - p < 7 || memcmp(p, "pragma", 6) != 0) {
        copy(w, i);
        return;
    }
    for (p += 6; p < end && (*p == ' ' || *p == '\t'); p++)
        ;
    for (size_t k = 0; k < sizeof kept / sizeof kept[0]; k++) {
        size_t size = strlen(kept[k]);

        if ((size_t)(end - p) >= size && memcmp(p, kept[k], size) == 0 &&
            ((size_t)(end - p) == size || !(isalnum((unsigned char)p[size]) || p[size] == '_'))) {
            copy(w, i);
            return;
        }
    }
    gap(w, i);
}

/* A word that is not Weir's. Returns the token behind. */
static uint32_t word(struct rewriter *w, uint32_t i, const struct guard *g)
{
    static const char *const tries[] = {"__try", "_try", "try"};
    static const char *const leaves[] = {"__leave", "_leave", "leave"};
    static const char *const inlines[] = {"inline",  "__inline",      "__inline__",
                                          "_inline", "__forceinline", "_forceinline"};
    static const char *const names[] = {"__FUNCTION__", "__FUNCSIG__", "__FUNCDNAME__"};
    static const char *const declspecs[] = {"__declspec", "_declspec"};

    if (IS_ANY(w, i, tries))
        return try_block(w, i, g);
    if (g != NULL && IS_ANY(w, i, leaves) && is(w, next(w, i), ";")) {
        gap(w, i);
        cc_text_print(w->out, "goto weir_leave_%u", g->label);
        return i + 1;
    }
    switch (w->text[tok(w, i)->at]) {
    case 'l':
        if (is(w, i, "long")) {
            long_word(w, i);
            return i + 1;
        }
        break;
    case 'r':
        if (is(w, i, "return") && has_finally(g))
            return return_word(w, i, g);
        break;
    case 'e':
        if (is(w, i, "enum"))
            return enum_word(w, i);
        break;
    case 'i':
    case '_':
        if (IS_ANY(w, i, declspecs))
            return declspec(w, i);
        if (IS_ANY(w, i, names)) {
            function_word(w, i);
            return i + 1;
        }
        if (IS_ANY(w, i, inlines)) {
            inline_word(w, i);
            return i + 1;
        }
        if (is(w, i, "__pragma") && is(w, next(w, i), "(") && tok(w, next(w, i))->pair != 0) {
            uint32_t end = tok(w, next(w, i))->pair + 1;

            drop(w, i, end);
            return end;
        }
        break;
    }
    copy(w, i);
    return i + 1;
}

/* Tokens [from, to). */
static void emit(struct rewriter *w, uint32_t from, uint32_t to, const struct guard *g)
{
    for (uint32_t i = from; i < to;) {
        const struct cc_token *t = tok(w, i);

        if (i > w->function_ends)
            w->function = w->function_ends = 0;
        if (t->kind == CC_LINE) {
            hash_line(w, i++);
        } else if (t->ours) {
            copy(w, i++);
        } else if (t->again) {
            copy(w, i++);
            say(w, "_2");
        } else if (t->kind == CC_WORD) {
            i = word(w, i, g);
        } else if (t->kind == CC_NUMBER) {
            number(w, i++);
        } else {
            uint32_t behind = is(w, i, "&") ? cast_lvalue(w, i) : 0;

            if (is(w, i, "{"))
                function_begins(w, i);
            if (behind != 0) {
                drop(w, i, i + 1);
                emit(w, i + 1, behind - 1, g);
                say(w, "*");
                copy(w, behind - 1);
                say(w, "&");
                i = behind;
            } else {
                copy(w, i++);
            }
        }
    }
}

int cc_rewrite(const struct cc_run *r, const struct cc_text *in, bool cxx, struct cc_text *out, FILE *err)
{
    struct rewriter w = {.run = r, .text = in->bytes, .out = out, .err = err, .cxx = cxx};

    if (in->size > UINT32_MAX / 2 || cc_tokens_make(r, in, &w.tokens) != 0)
        return -ENOMEM;
    cc_members_mark(w.text, &w.tokens);
    emit(&w, 1, (uint32_t)w.tokens.count, NULL);
    cc_tokens_free(&w.tokens);
    return out->failed ? -ENOMEM : 0;
}

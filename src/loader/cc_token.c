/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir cc: preprocessed text cut into tokens, each with the file and line that the line markers say.
 *
 *   # 12 "driver.c" 2      a marker: what follows is line 12 of driver.c
 *
 * Brackets are paired here, so that what reads them never counts. Unbalanced text has unpaired brackets; it
 * is the compiler that complains.
 */
#include "loader/cc_inside.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

struct lexer {
    const struct cc_run *run;
    const char *text;
    size_t size, at;
    struct cc_tokens *out;
    size_t room;
    uint32_t line;
    uint16_t file;
    bool ours, failed;
};

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '$' || (unsigned char)c >= 0x80;
}

static void put(struct lexer *l, enum cc_token_kind kind, size_t at, size_t size)
{
    struct cc_tokens *t = l->out;

    if (t->count == l->room) {
        size_t room = l->room == 0 ? 4096 : l->room * 2;
        struct cc_token *more = realloc(t->list, room * sizeof *more);

        if (more == NULL) {
            l->failed = true;
            return;
        }
        t->list = more;
        l->room = room;
    }
    t->list[t->count++] = (struct cc_token){.at = (uint32_t)at,
                                            .size = (uint32_t)size,
                                            .line = l->line,
                                            .file = l->file,
                                            .kind = (uint8_t)kind,
                                            .ours = l->ours};
}

/* Is it a header of Weir's or the compiler's? name is as it stands in the marker. */
static bool is_ours(const struct cc_run *r, const char *name)
{
    const struct cc_places *p = r->places;
    const char *const roots[] = {p->include[0], p->include[1], p->include[2], p->builtin, r->folder};

    if (name[0] == '<')
        return true;
    for (size_t i = 0; i < sizeof roots / sizeof roots[0]; i++) {
        size_t size = strlen(roots[i]);

        if (size != 0 && strncmp(name, roots[i], size) == 0 && name[size] == '/')
            return true;
    }
    return false;
}

/* # LINE "FILE" FLAGS */
static void marker(struct lexer *l, const char *line, const char *end)
{
    const char *p = line + 1, *from, *to;
    unsigned long number;
    char *after, *name;
    size_t i;

    while (p < end && (*p == ' ' || *p == '\t'))
        p++;
    if (end - p > 4 && memcmp(p, "line", 4) == 0)
        p += 4;
    number = strtoul(p, &after, 10);
    if (after == p)
        return;
    l->line = (uint32_t)number - 1; /* the line's end counts one */
    from = memchr(after, '"', (size_t)(end - after));
    if (from == NULL)
        return;
    for (to = ++from; to < end && *to != '"'; to++)
        to += *to == '\\' && to + 1 < end;
    for (i = l->out->files.count; i > 0; i--)
        if (strlen(l->out->files.items[i - 1]) == (size_t)(to - from) &&
            memcmp(l->out->files.items[i - 1], from, (size_t)(to - from)) == 0)
            break;
    if (i == 0) {
        if (l->out->files.count == UINT16_MAX) {
            l->failed = true;
            return;
        }
        cc_add(&l->out->files, "%.*s", (int)(to - from), from);
        i = l->out->files.count;
    }
    if (l->out->files.failed) {
        l->failed = true;
        return;
    }
    l->file = (uint16_t)(i - 1);
    name = l->out->files.items[l->file];
    l->ours = is_ours(l->run, name);
}

/* A whole line; a pragma may not go on in the next. */
static void hash_line(struct lexer *l)
{
    const char *from = l->text + l->at, *end = memchr(from, '\n', l->size - l->at);
    const char *p = from + 1;

    if (end == NULL)
        end = l->text + l->size;
    put(l, CC_LINE, l->at, (size_t)(end - from));
    while (p < end && (*p == ' ' || *p == '\t'))
        p++;
    if (p < end && (isdigit((unsigned char)*p) || (end - p > 5 && memcmp(p, "line ", 5) == 0)))
        marker(l, from, end);
    l->at = (size_t)(end - l->text);
}

/* After the opening quote stands at `at`; returns the place behind the closing one. */
static size_t quoted(struct lexer *l, size_t at)
{
    char quote = l->text[at++];

    while (at < l->size && l->text[at] != quote && l->text[at] != '\n')
        at += l->text[at] == '\\' && at + 1 < l->size && l->text[at + 1] != '\n' ? 2 : 1;
    return at < l->size && l->text[at] == quote ? at + 1 : at;
}

static void number(struct lexer *l)
{
    size_t at = l->at;

    while (at < l->size &&
           (is_word(l->text[at]) || l->text[at] == '.' ||
            ((l->text[at] == '+' || l->text[at] == '-') && strchr("eEpP", l->text[at - 1]) != NULL &&
             !(l->at + 1 < l->size && (l->text[l->at + 1] == 'x' || l->text[l->at + 1] == 'X') &&
               strchr("eE", l->text[at - 1]) != NULL))))
        at++;
    put(l, CC_NUMBER, l->at, at - l->at);
    l->at = at;
}

static void token(struct lexer *l)
{
    const char *t = l->text + l->at;
    size_t left = l->size - l->at, end = l->at;

    if (isdigit((unsigned char)*t) || (*t == '.' && left > 1 && isdigit((unsigned char)t[1]))) {
        number(l);
        return;
    }
    if (is_word(*t)) {
        while (end < l->size && is_word(l->text[end]))
            end++;
        /* L"..", u8".." and the like are one token */
        if (end < l->size && (l->text[end] == '"' || l->text[end] == '\'') && end - l->at <= 2 &&
            strchr("LuU", *t) != NULL) {
            end = quoted(l, end);
            put(l, CC_STRING, l->at, end - l->at);
        } else {
            put(l, CC_WORD, l->at, end - l->at);
        }
        l->at = end;
        return;
    }
    if (*t == '"' || *t == '\'') {
        end = quoted(l, l->at);
        put(l, CC_STRING, l->at, end - l->at);
        l->at = end;
        return;
    }
    put(l, CC_PUNCT, l->at, 1);
    l->at++;
}

/* -E removes comments; with -C there are some. */
static bool comment(struct lexer *l)
{
    const char *t = l->text + l->at, *end;

    if (l->size - l->at < 2 || t[0] != '/' || (t[1] != '*' && t[1] != '/'))
        return false;
    if (t[1] == '/') {
        end = memchr(t, '\n', l->size - l->at);
        l->at = end != NULL ? (size_t)(end - l->text) : l->size;
        return true;
    }
    end = memmem(t + 2, l->size - l->at - 2, "*/", 2);
    for (const char *stop = end != NULL ? end + 2 : l->text + l->size; l->text + l->at < stop; l->at++)
        l->line += l->text[l->at] == '\n';
    return true;
}

static int pair(struct cc_tokens *t, const char *text)
{
    uint32_t *open = malloc((t->count + 1) * sizeof *open);
    size_t depth = 0;

    if (open == NULL)
        return -1;
    for (size_t i = 0; i < t->count; i++) {
        char c = t->list[i].kind == CC_PUNCT ? text[t->list[i].at] : '\0';

        if (c == '(' || c == '{' || c == '[') {
            open[depth++] = (uint32_t)i;
        } else if (c == ')' || c == '}' || c == ']') {
            char wanted = c == ')' ? '(' : c == '}' ? '{' : '[';

            if (depth != 0 && text[t->list[open[depth - 1]].at] == wanted) {
                t->list[i].pair = open[--depth];
                t->list[open[depth]].pair = (uint32_t)i;
            }
        }
    }
    free(open);
    return 0;
}

int cc_tokens_make(const struct cc_run *r, const struct cc_text *text, struct cc_tokens *out)
{
    struct lexer l = {.run = r, .text = text->bytes, .size = text->size, .out = out, .line = 1};
    bool fresh = true; /* nothing but blanks on this line so far */

    *out = (struct cc_tokens){0};
    cc_add(&out->files, "<stdin>");
    put(&l, CC_LINE, 0, 0); /* index 0 is nobody's partner */
    while (l.at < l.size && !l.failed) {
        char c = l.text[l.at];

        if (c == '\n') {
            l.line++;
            l.at++;
            fresh = true;
        } else if (isspace((unsigned char)c)) {
            l.at++;
        } else if (c == '#' && fresh) {
            hash_line(&l);
        } else if (!comment(&l)) {
            token(&l);
            fresh = false;
        }
    }
    put(&l, CC_END, l.size, 0);
    if (l.failed || out->files.failed || pair(out, text->bytes) != 0) {
        cc_tokens_free(out);
        return -1;
    }
    return 0;
}

void cc_tokens_free(struct cc_tokens *t)
{
    free(t->list);
    cc_list_free(&t->files);
    *t = (struct cc_tokens){0};
}

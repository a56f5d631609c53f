/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors, options and tables that several commands share.
 */
#include "cli/cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

int complain(int status, const char *format, ...)
{
    va_list args;

    fflush(stdout);
    fputs("weir: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return status;
}

int complain_usage(const char *command, const char *format, ...)
{
    va_list args;

    fflush(stdout);
    fprintf(stderr, "weir: %s: ", command);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, " (see weir %s --help)\n", command);
    return EXIT_USAGE_ERROR;
}

int load_state(const char *command, const char *path, struct explain_state **out)
{
    struct policy_error error;
    int err;

    if (path == NULL)
        return complain_usage(command, "--state FILE is missing: the export of the machine to ask about");
    err = explain_state_open(path, out, &error);
    if (err == 0)
        return EXIT_PERMITTED;
    return complain(err == -EINVAL   ? EXIT_DATA_ERROR
                    : err == -ENOMEM ? EXIT_OS_ERROR
                                     : EXIT_NO_INPUT,
                    "%s", error.text);
}

int print_json(json_t *json, bool pretty)
{
    size_t flags = JSON_ENCODE_ANY | (pretty ? JSON_INDENT(2) : JSON_COMPACT);
    int err = json == NULL ? -1 : json_dumpf(json, stdout, flags);

    json_decref(json);
    if (err != 0 || putchar('\n') == EOF)
        return complain(EXIT_OS_ERROR, "the output could not be written");
    return EXIT_PERMITTED;
}

int exit_status_of(enum explain_verdict v)
{
    switch (v) {
    case EXPLAIN_PERMITTED:
        return EXIT_PERMITTED;
    case EXPLAIN_BLOCKED:
        return EXIT_BLOCKED;
    case EXPLAIN_DEPENDS:
        return EXIT_DEPENDS;
    case EXPLAIN_UNDECIDED:
        return EXIT_UNDECIDED;
    case EXPLAIN_CONTRADICTION:
        break;
    }
    return EXIT_DATA_ERROR;
}

bool parse_assume(const char *text, enum explain_assume *out)
{
    if (strcmp(text, "plain") == 0)
        *out = EXPLAIN_ASSUME_PLAIN;
    else if (strcmp(text, "none") == 0)
        *out = EXPLAIN_ASSUME_NONE;
    else if (strcmp(text, "default") == 0)
        *out = EXPLAIN_ASSUME_DEFAULT;
    else
        return false;
    return true;
}

static bool find_callout(const struct explain_state *s, struct explain_arena *a, const char *name, GUID *out)
{
    if (engine_guid_parse(name, out) == 0 || engine_guid_by_name(ENGINE_GUID_CALLOUT, name, out) == 0)
        return true;
    for (UINT32 i = 0; i < s->callout_count; i++) {
        const char *display = explain_utf8(a, s->callouts[i]->displayData.name);

        if (display != NULL && strcasecmp(display, name) == 0) {
            *out = s->callouts[i]->calloutKey;
            return true;
        }
    }
    return false;
}

bool parse_callout(const struct explain_state *s, struct explain_arena *a, char *text,
                   struct explain_assumption *out, const char **error)
{
    char *equals = strrchr(text, '=');

    if (equals == NULL) {
        *error = explain_printf(a, "--callout %s: expected GUID=permit, GUID=block or GUID=continue", text);
        return false;
    }
    *equals = '\0';
    if (strcasecmp(equals + 1, "permit") == 0) {
        out->answer = SOLVE_CALLOUT_PERMIT;
    } else if (strcasecmp(equals + 1, "block") == 0) {
        out->answer = SOLVE_CALLOUT_BLOCK;
    } else if (strcasecmp(equals + 1, "continue") == 0) {
        out->answer = SOLVE_CALLOUT_CONTINUE;
    } else {
        *error = explain_printf(a, "--callout %s: expected permit, block or continue, found '%s'", text,
                                equals + 1);
        return false;
    }
    out->why = "settled by --callout";
    if (find_callout(s, a, text, &out->callout))
        return true;
    *error = explain_printf(a, "--callout: no callout has the key or the name '%s'", text);
    return false;
}

/* ---- tables ---------------------------------------------------------------------------------- */

void table_row(struct table *t, const char *const *cells)
{
    const char **row;

    if (t->count == t->room) {
        const char ***more = explain_alloc(t->a, (t->room * 2 + 64) * sizeof *more);

        if (more == NULL)
            return;
        if (t->count != 0)
            memcpy(more, t->rows, t->count * sizeof *more);
        t->rows = more;
        t->room = t->room * 2 + 64;
    }
    row = explain_alloc(t->a, t->columns * sizeof *row);
    if (row == NULL)
        return;
    for (unsigned i = 0; i < t->columns; i++)
        row[i] = cells[i] != NULL ? cells[i] : "";
    t->rows[t->count++] = row;
}

/* Characters, not bytes; wide ones count twice, as terminals show them. */
static size_t width_of(const char *text)
{
    size_t n = 0;

    for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++) {
        if ((*c & 0xc0) == 0x80)
            continue;
        n++;
        if (*c >= 0xe3 && *c <= 0xed) /* U+3000 ... U+DFFF: nearly all East Asian */
            n++;
    }
    return n;
}

void table_print(const struct table *t, FILE *out)
{
    size_t widths[16] = {0};

    for (size_t r = 0; r < t->count; r++) {
        for (unsigned c = 0; c < t->columns && c < 16; c++) {
            size_t w = width_of(t->rows[r][c]);

            if (w > widths[c])
                widths[c] = w;
        }
    }
    for (size_t r = 0; r < t->count; r++) {
        for (unsigned c = 0; c < t->columns && c < 16; c++) {
            size_t pad = c + 1 < t->columns ? widths[c] - width_of(t->rows[r][c]) + 2 : 0;

            fprintf(out, "%s%*s", t->rows[r][c], (int)pad, "");
        }
        fputc('\n', out);
    }
}

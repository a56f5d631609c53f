/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the commands of `weir` share: how they are called, how they fail, how they print.
 *
 * A command is one file with one function here. It gets its own arguments (argv[0] is its name), prints
 * results to stdout and at most one line of complaint to stderr, and returns the program's exit status.
 */
#ifndef WEIR_CLI_CLI_H
#define WEIR_CLI_CLI_H

#include <jansson.h>
#include <stdio.h>

#include "explain/explain.h"

/* Exit statuses; 64 and up as in sysexits.h. */
enum {
    EXIT_PERMITTED = 0, /* also: done, for commands that have no verdict */
    EXIT_BLOCKED = 1,
    EXIT_DEPENDS = 2,
    EXIT_UNDECIDED = 3,
    EXIT_USAGE_ERROR = 64,
    EXIT_DATA_ERROR = 65, /* a file or a line of one is not what it should be */
    EXIT_NO_INPUT = 66,   /* a file cannot be read */
    EXIT_INTERNAL = 70,
    EXIT_OS_ERROR = 71, /* out of memory, output cannot be written */
};

int cmd_cc(int argc, char **argv);
int cmd_explain(int argc, char **argv);
int cmd_classify(int argc, char **argv);
int cmd_replay(int argc, char **argv);
int cmd_show(int argc, char **argv);

/* Prints "weir: ..." to stderr; returns `status`. */
int complain(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same, with "(see weir COMMAND --help)"; EXIT_USAGE_ERROR. */
int complain_usage(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Loads --state FILE. 0, or an exit status after a complaint. */
int load_state(const char *command, const char *path, struct explain_state **out);

/* One JSON value and a newline; takes the reference. EXIT_PERMITTED or EXIT_OS_ERROR. */
int print_json(json_t *json, bool pretty);

/* "permit", "block" or "continue"; GUID, documented name or display name before the '='. */
bool parse_callout(const struct explain_state *s, struct explain_arena *a, char *text,
                   struct explain_assumption *out, const char **error);
bool parse_assume(const char *text, enum explain_assume *out);

/* A table with columns as wide as their widest cell; the last column is free. */
struct table {
    struct explain_arena *a;
    unsigned columns;
    const char ***rows;
    size_t count, room;
};
void table_row(struct table *t, const char *const *cells); /* `columns` of them; copied pointers only */
void table_print(const struct table *t, FILE *out);

/* ---- parts of an answer, shared by explain and classify (print_answer.c, json_answer.c) ------ */

struct report {
    struct explain_problem *p;
    const struct explain_answer *answer;
    const struct explain_notes *notes;
    const char *question; /* in words */
    bool verbose;
};

/* First line and layers. */
void print_answer(const struct report *r, FILE *out);
void print_why_not(struct explain_problem *p, const struct explain_world *w,
                   const struct explain_why_not *all, int count, FILE *out);
json_t *answer_json(const struct report *r);
json_t *why_not_json(struct explain_problem *p, const struct explain_world *w,
                     const struct explain_why_not *all, int count);
/* The deciding filter: {"id", "key", "name", "action", "sublayer" ...}; null for none. */
json_t *filter_json(const struct explain_state *s, struct explain_arena *a, UINT64 id);
json_t *layer_json(struct explain_problem *p, const struct explain_world *w, uint32_t step, bool matches);
json_t *depends_json(struct explain_problem *p, const struct explain_answer *answer);
json_t *assignment_json(struct explain_problem *p, const struct explain_world *w, uint32_t step);
json_t *callouts_json(struct explain_problem *p, const struct explain_world *w);
int exit_status_of(enum explain_verdict v);

#endif

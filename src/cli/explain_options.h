/* SPDX-License-Identifier: Apache-2.0 */
/* The options of weir explain, and the question that they and the operands make. */
#ifndef WEIR_CLI_EXPLAIN_OPTIONS_H
#define WEIR_CLI_EXPLAIN_OPTIONS_H

#include "cli/options.h"

struct explain_options {
    struct shared_options shared;
    const char *app, *user, *token, *interface, *profile, *icmp, *why_not;
    const char *events, *flow; /* --events FILE --flow N: of a replay, not of a state */
    char direction, family;
    bool endpoints;
};

/* EXIT_PERMITTED; -1 after --help; else an exit status after a complaint. */
int explain_options_parse(int argc, char **argv, struct explain_options *o);

/* Everything but callouts and assumptions. *note: what was assumed of --app, or NULL. */
int explain_options_question(struct explain_options *o, int argc, char **argv, const struct explain_state *s,
                             struct explain_arena *a, struct explain_question *q, const char **note);

#endif

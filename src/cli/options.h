/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options that mean the same in several commands: one place reads them.
 *
 *   static const struct option longs[] = {SHARED_STATE, SHARED_CALLOUTS, {"mine", ...}, SHARED_END};
 *   while ((c = getopt_long(argc, argv, ":v...", longs, NULL)) != -1)
 *       switch (c) { case mine: ...; default: status = shared_option("command", c, argv, &o.shared, usage); }
 */
#ifndef WEIR_CLI_OPTIONS_H
#define WEIR_CLI_OPTIONS_H

#include <getopt.h>

#include "cli/cli.h"

#define MAX_CALLOUTS 64
#define MAX_SETTINGS 64

struct shared_options {
    const char *state;
    bool json, verbose;
    enum explain_assume assume;
    char *callouts[MAX_CALLOUTS];
    unsigned callout_count;
    struct explain_setting settings[MAX_SETTINGS * 2]; /* --set, and room for what other options stand for */
    unsigned setting_count;
};

enum { OPTION_STATE = 1024, OPTION_CALLOUT, OPTION_ASSUME, OPTION_SET, OPTION_JSON, OPTION_HELP };

/* clang-format off */
#define SHARED_STATE    {"state", required_argument, NULL, OPTION_STATE}
#define SHARED_CALLOUTS {"callout", required_argument, NULL, OPTION_CALLOUT}, \
                        {"assume", required_argument, NULL, OPTION_ASSUME}
#define SHARED_SET      {"set", required_argument, NULL, OPTION_SET}
#define SHARED_JSON     {"json", no_argument, NULL, OPTION_JSON}
#define SHARED_VERBOSE  {"verbose", no_argument, NULL, 'v'}
#define SHARED_END      {"help", no_argument, NULL, OPTION_HELP}, {NULL, 0, NULL, 0}
/* clang-format on */

/* What getopt_long() returned and the command does not know itself. EXIT_PERMITTED; -1 after help; else an
 * exit status after a complaint. */
int shared_option(const char *command, int c, char **argv, struct shared_options *o, const char *usage);

/* The --callout options, looked up in the state. out has room for MAX_CALLOUTS. */
int shared_callouts(const char *command, const struct shared_options *o, const struct explain_state *s,
                    struct explain_arena *a, struct explain_assumption *out, uint32_t *count);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir: the program. Finds the command and hands over.
 */
#include "cli/cli.h"

#include <string.h>

#ifndef WEIR_VERSION
#define WEIR_VERSION "0.1.0"
#endif

static const struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
} commands[] = {
    {"explain", cmd_explain, "what happens to a connection, in which layers, which filter decides, and why"},
    {"replay", cmd_replay,
     "a capture through a policy: what passes, what does not, and which filter decides"},
    {"classify", cmd_classify, "what one layer says to given values; also in batches"},
    {"cc", cmd_cc, "compile a callout driver's source for weir replay --driver"},
    {"show", cmd_show, "list filters, sublayers, callouts, providers or layers of a state"},
};

static void help(void)
{
    puts("usage: weir COMMAND [OPTIONS]\n"
         "\n"
         "Weir asks the Windows Filtering Platform's policy of a machine, exported by `netsh wfp show "
         "state`.\n");
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        printf("  %-10s %s\n", commands[i].name, commands[i].summary);
    puts("\n"
         "  weir COMMAND --help   what a command takes\n"
         "  weir --version");
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        help();
        return EXIT_USAGE_ERROR;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        help();
        return EXIT_PERMITTED;
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("weir " WEIR_VERSION);
        return EXIT_PERMITTED;
    }
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(argv[1], commands[i].name) == 0) {
            int status = commands[i].run(argc - 1, argv + 1);

            if (fflush(stdout) != 0 || ferror(stdout))
                return complain(EXIT_OS_ERROR, "the output could not be written");
            return status;
        }
    }
    return complain(EXIT_USAGE_ERROR, "no command is called '%s' (see weir --help)", argv[1]);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A skip that says why: scripts/test counts the skips and prints the reasons. Include after cmocka.h. */
#ifndef WEIR_TESTS_SKIP_H
#define WEIR_TESTS_SKIP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SKIP_BECAUSE(...)                                                                                    \
    do {                                                                                                     \
        printf("# skipped: " __VA_ARGS__);                                                                   \
        printf("\n");                                                                                        \
        fflush(stdout);                                                                                      \
        skip();                                                                                              \
    } while (0)

/* "<shared>/<path>", where the real inputs stand (WEIR_SHARED, or ../shared beside the repository). */
static inline const char *shared_path(const char *path, char *out, size_t size)
{
    const char *shared = getenv("WEIR_SHARED");
    const char *root = getenv("WEIR_ROOT");

    if (shared != NULL)
        snprintf(out, size, "%s/%s", shared, path);
    else
        snprintf(out, size, "%s/../shared/%s", root != NULL ? root : ".", path);
    return out;
}

/* The path of a shared input; skips the test, with the reason, where it is missing. */
#define SHARED_OR_SKIP(path, out)                                                                            \
    do {                                                                                                     \
        shared_path(path, out, sizeof(out));                                                                 \
        if (access(out, R_OK) != 0)                                                                          \
            SKIP_BECAUSE("%s is not on this machine", path);                                                 \
    } while (0)

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A driver that was compiled with --sanitize calls a run-time library that has to be in the process from its
 * first moment. The image says which (its record, runtime=PATH); the program starts itself again with that
 * library preloaded. What it preloaded is in an environment variable, so that this happens once.
 */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loader/internal.h"

#define DONE "WEIR_SANITIZER_RUNTIME"

/* Is every library of the list in this process? By a function that each has. */
static bool are_here(const char *runtimes)
{
    static const struct {
        const char *library, *function;
    } marks[] = {
        {"asan", "__asan_init"}, {"tsan", "__tsan_init"}, {"ubsan", "__ubsan_handle_type_mismatch_v1"}};
    bool here = true;

    for (size_t i = 0; i < 3; i++) {
        const char *at = strstr(runtimes, marks[i].library);

        here = here && (at == NULL || dlsym(RTLD_DEFAULT, marks[i].function) != NULL);
    }
    return here;
}

static bool are_readable(const char *runtimes)
{
    char *list = strdup(runtimes), *after = NULL;
    bool readable = list != NULL;

    for (char *one = readable ? strtok_r(list, ":", &after) : NULL; one != NULL;
         one = strtok_r(NULL, ":", &after))
        readable = readable && access(one, R_OK) == 0;
    free(list);
    return readable;
}

bool loader_sanitized(void)
{
    return dlsym(RTLD_DEFAULT, "__asan_init") != NULL || dlsym(RTLD_DEFAULT, "__tsan_init") != NULL;
}

/* As this program was started; NULL-ended, all of it one block. */
static char **own_arguments(void)
{
    size_t room = 1 << 20, size, count = 0;
    FILE *f = fopen("/proc/self/cmdline", "re");
    char *block = malloc(room + 1), **argv = NULL;

    size = f != NULL && block != NULL ? fread(block, 1, room, f) : 0;
    if (f != NULL)
        fclose(f);
    if (size != 0 && size < room) {
        block[size] = '\0';
        for (size_t i = 0; i < size; i++)
            count += block[i] == '\0';
        argv = calloc(count + 1, sizeof *argv);
    }
    for (size_t i = 0, at = 0; argv != NULL && i < count; i++) {
        argv[i] = block + at;
        at += strlen(block + at) + 1;
    }
    if (argv == NULL)
        free(block);
    return argv;
}

bool loader_sanitizer_restart(const char *const *images, size_t count, struct loader_error *error)
{
    char wanted[8192] = "", one[8192], both[12288];
    const char *already = getenv("LD_PRELOAD");
    char **argv;

    error->text[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        struct elf e;
        bool has;

        if (elf_read(images[i], &e, error) != 0)
            return true; /* loading it says what is wrong */
        has = elf_record(&e, "runtime", one, sizeof one);
        elf_free(&e);
        if (!has || are_here(one))
            continue;
        if (wanted[0] != '\0' && strcmp(wanted, one) != 0) {
            snprintf(error->text, sizeof error->text,
                     "%s: it was made for another sanitizer than the driver before it", images[i]);
            return false;
        }
        memcpy(wanted, one, sizeof wanted);
    }
    if (wanted[0] == '\0')
        return true;
    if (getenv(DONE) != NULL) {
        snprintf(error->text, sizeof error->text, "%.300s: preloaded, but not what the driver needs", wanted);
        return false;
    }
    if (!are_readable(wanted)) {
        snprintf(error->text, sizeof error->text,
                 "%.300s: the sanitizer's run-time that the driver needs is not there", wanted);
        return false;
    }
    snprintf(both, sizeof both, "%s%s%s", wanted, already != NULL ? ":" : "", already != NULL ? already : "");
    argv = own_arguments();
    if (argv != NULL) {
        setenv(DONE, wanted, 1);
        setenv("LD_PRELOAD", both, 1);
        execv("/proc/self/exe", argv);
        free(argv[0]);
        free(argv);
    }
    snprintf(error->text, sizeof error->text, "the program cannot be started again with %.300s", wanted);
    return false;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir cc: where Weir's headers and the list of its functions are.
 *
 * In a build tree the program has a file weir.places beside it, with one path a line: wdk, the generated
 * headers, the imports. Installed, they are where the installation puts them, counted from the program's
 * folder.
 */
#include "loader/cc_inside.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loader/weir_places.h"

#define IMPORTS "libweir-imports.so"

/* a + "/" + b, if it is there, without ".." in it. */
static bool place(char out[PATH_MAX], const char *a, const char *b)
{
    char path[PATH_MAX];

    if (snprintf(path, sizeof path, "%s/%s", a, b) >= (int)sizeof path)
        return false;
    return realpath(path, out) != NULL;
}

static int in_build(const char *file, struct cc_places *out)
{
    char lines[3][PATH_MAX] = {{0}};
    FILE *f = fopen(file, "re");
    unsigned n = 0;

    if (f == NULL)
        return CC_NO_INPUT;
    for (; n < 3 && fgets(lines[n], PATH_MAX, f) != NULL; n++)
        lines[n][strcspn(lines[n], "\n")] = '\0';
    fclose(f);
    if (n != 3 || realpath(lines[0], out->include[0]) == NULL || !place(out->include[1], lines[0], "crt") ||
        realpath(lines[1], out->include[2]) == NULL)
        return cc_complain(CC_INTERNAL, "%s: the places it names are not there", file);
    if (realpath(lines[2], out->imports) == NULL)
        out->imports[0] = '\0'; /* told of when something is linked */
    return CC_OK;
}

int cc_places_find(const struct cc_options *o, struct cc_places *out)
{
    struct cc_list ask = {0};
    char self[PATH_MAX], file[PATH_MAX + 16];
    ssize_t size = readlink("/proc/self/exe", self, sizeof self - 1);
    int status;
    bool told;

    *out = (struct cc_places){0};
    if (size <= 0)
        return cc_complain(CC_INTERNAL, "where this program is cannot be found out");
    self[size] = '\0';
    *strrchr(self, '/') = '\0';
    snprintf(file, sizeof file, "%s/weir.places", self);
    status = in_build(file, out);
    if (status == CC_NO_INPUT) {
        if (!place(out->include[0], self, WEIR_BIN_TO_INCLUDE) ||
            !place(out->include[1], out->include[0], "crt"))
            return cc_complain(CC_INTERNAL, "%s/%s: the headers are not there", self, WEIR_BIN_TO_INCLUDE);
        if (!place(out->imports, self, WEIR_BIN_TO_LIB "/" IMPORTS))
            out->imports[0] = '\0';
        status = CC_OK;
    }
    if (status != CC_OK)
        return status;
    cc_add_all(&ask, &o->compiler);
    cc_add(&ask, "-print-file-name=include");
    told = cc_ask(&ask, file, sizeof file) && realpath(file, out->builtin) != NULL;
    cc_list_free(&ask);
    return told ? CC_OK
                : cc_complain(CC_NO_INPUT, "%s: no compiler that could be asked for its headers",
                              o->compiler.items[0]);
}

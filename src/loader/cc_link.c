/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir cc: linking, twice. Against the imports (a library with the names that drivers may use, and nothing in
 * them) nothing may be left undefined: the linker says who calls what is not there. The image itself depends
 * on no library: whoever loads it has the functions: weir, a test program, libweir.
 *
 * The image carries a record of what made it (section .weir.cc, lines of NAME=VALUE, read without loading)
 * and the symbol weir_driver_image, which points to DriverEntry.
 */
#include "loader/cc_inside.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RUNTIMES (2 * PATH_MAX)

/* The run-time libraries that instrumented code calls, with ':' between them as LD_PRELOAD has them. Clang's
 * for memory and threads have the one for undefined behaviour in them. */
static bool runtime_of(const struct cc_run *r, char out[RUNTIMES])
{
    static const struct {
        unsigned bit;
        const char *gcc, *clang;
    } known[] = {{CC_ADDRESS, "libasan.so", "libclang_rt.asan-x86_64.so"},
                 {CC_THREAD, "libtsan.so", "libclang_rt.tsan-x86_64.so"},
                 {CC_UNDEFINED, "libubsan.so", "libclang_rt.ubsan_standalone-x86_64.so"}};
    char said[PATH_MAX], path[PATH_MAX];
    size_t size = 0;

    out[0] = '\0';
    for (size_t i = 0; i < 3; i++) {
        struct cc_list ask = {0};
        bool found;

        if ((r->o->sanitizers & known[i].bit) == 0 || (r->clang && size != 0))
            continue;
        cc_add_all(&ask, &r->o->compiler);
        cc_add(&ask, "-print-file-name=%s", r->clang ? known[i].clang : known[i].gcc);
        found = cc_ask(&ask, said, sizeof said) && said[0] == '/' && realpath(said, path) != NULL;
        cc_list_free(&ask);
        if (!found || size + strlen(path) + 2 > RUNTIMES)
            return false;
        size += (size_t)snprintf(out + size, RUNTIMES - size, "%s%s", size != 0 ? ":" : "", path);
    }
    return size != 0;
}

/* Not every run-time survives being preloaded (clang 14's for threads does not). */
static bool can_be_preloaded(const char *runtime)
{
    struct cc_list ask = {0};
    char said[64];
    bool ok;

    cc_add(&ask, "env");
    cc_add(&ask, "LD_PRELOAD=%s", runtime);
    cc_add(&ask, "ASAN_OPTIONS=detect_leaks=0");
    cc_add(&ask, "true");
    ok = cc_ask(&ask, said, sizeof said);
    cc_list_free(&ask);
    return ok;
}

static int compile_record(const struct cc_run *r, const char *runtime, const char *object)
{
    struct cc_text text = {0};
    struct cc_list argv = {0};
    char path[PATH_MAX];
    int status = CC_OK;

    cc_text_print(
        &text,
        "extern int DriverEntry(void *, void *) __attribute__((visibility(\"hidden\")));\n"
        "__attribute__((visibility(\"default\"), used)) int (*const weir_driver_image)(void *, void *) = "
        "DriverEntry;\n"
        "__attribute__((section(\".weir.cc\"), used)) static const char record[] =\n"
        "    \"weir-cc=1\\n\"\n    \"compiler=%s\\n\"\n",
        r->clang ? "clang" : "gcc");
    if (runtime[0] != '\0')
        cc_text_print(&text, "    \"runtime=%s\\n\"\n", runtime);
    cc_text_print(&text, "    ;\n");
    if (snprintf(path, sizeof path, "%s/weir_driver_image.c", r->folder) >= (int)sizeof path || text.failed)
        status = cc_complain(CC_OS_ERROR, "out of memory");
    if (status == CC_OK && cc_write(path, text.bytes, text.size) != 0)
        status = cc_complain(CC_OS_ERROR, "%s cannot be written", path);
    cc_text_free(&text);
    if (status != CC_OK)
        return status;
    cc_add_all(&argv, &r->o->compiler);
    cc_add(&argv, "-c");
    cc_add(&argv, "-fPIC");
    cc_add(&argv, "-O1");
    cc_add(&argv, "-o");
    cc_add(&argv, "%s", object);
    cc_add(&argv, "%s", path);
    status = cc_run(&argv, NULL, NULL, r->o->verbose);
    cc_list_free(&argv);
    return status;
}

static void link_line(const struct cc_run *r, const struct cc_list *objects, const char *record,
                      struct cc_list *argv)
{
    cc_add_all(argv, &r->o->compiler);
    cc_add(argv, "-shared");
    cc_add(argv, "-nodefaultlibs");
    cc_add(argv, "-Wl,-Bsymbolic");
    cc_add(argv, "-Wl,--build-id");
    cc_add(argv, "-Wl,-z,now");
    cc_add(argv, "-Wl,-z,noexecstack");
    cc_add_all(argv, &r->o->link);
    cc_add_all(argv, objects);
    cc_add_all(argv, &r->o->objects);
    cc_add(argv, "%s", record);
    if (r->o->coverage)
        cc_add(argv, "--coverage");
}

/* clang leaves its profile run-time out where there are no default libraries. */
static void coverage_library(const struct cc_run *r, struct cc_list *argv)
{
    if (r->o->coverage && r->clang) {
        struct cc_list ask = {0};
        char said[PATH_MAX];

        cc_add_all(&ask, &r->o->compiler);
        cc_add(&ask, "-print-file-name=libclang_rt.profile-x86_64.a");
        if (cc_ask(&ask, said, sizeof said) && said[0] == '/')
            cc_add(argv, "%s", said);
        cc_list_free(&ask);
    } else if (r->o->coverage) {
        cc_add(argv, "-lgcov");
    }
    cc_add(argv, "-lgcc");
}

int cc_link(const struct cc_run *r, const struct cc_list *objects)
{
    char runtime[RUNTIMES] = "", record[PATH_MAX], trial[PATH_MAX], output[PATH_MAX], *one, *after = NULL;
    struct cc_list argv = {0};
    int status;

    if (r->places->imports[0] == '\0')
        return cc_complain(CC_INTERNAL, "the list of Weir's functions is not there");
    if ((r->o->sanitizers & ~(unsigned)CC_FUZZER) != 0 && !runtime_of(r, runtime))
        return cc_complain(CC_NO_INPUT, "%s has no shared run-time for --sanitize", r->o->compiler.items[0]);
    if (runtime[0] != '\0' && !can_be_preloaded(runtime))
        return cc_complain(CC_NO_INPUT,
                           "%s: a program does not start with it preloaded; another compiler's may do",
                           runtime);
    if (r->o->output != NULL) {
        snprintf(output, sizeof output, "%s", r->o->output);
    } else {
        const char *first = r->o->sources.count != 0 ? r->o->sources.items[0] : r->o->objects.items[0];
        const char *base = strrchr(first, '/') != NULL ? strrchr(first, '/') + 1 : first;

        snprintf(output, sizeof output, "%.*s.so", (int)(strrchr(base, '.') - base), base);
    }
    if (snprintf(record, sizeof record, "%s/record.o", r->folder) >= (int)sizeof record ||
        snprintf(trial, sizeof trial, "%s/trial.so", r->folder) >= (int)sizeof trial)
        return cc_complain(CC_INTERNAL, "%s: too long a path", r->folder);
    status = compile_record(r, runtime, record);
    if (status != CC_OK)
        return status;
    link_line(r, objects, record, &argv);
    cc_add(&argv, "-Wl,-z,defs");
    if ((r->o->sanitizers & CC_FUZZER) != 0) /* the fuzzer's own, which the test program has */
        cc_add(&argv, "-Wl,--warn-unresolved-symbols");
    coverage_library(r, &argv);
    cc_add(&argv, "%s", r->places->imports);
    for (one = strtok_r(runtime, ":", &after); one != NULL; one = strtok_r(NULL, ":", &after))
        cc_add(&argv, "%s", one);
    if (r->o->coverage)
        cc_add(&argv, "-lc");
    cc_add(&argv, "-o");
    cc_add(&argv, "%s", trial);
    status = cc_run(&argv, NULL, NULL, r->o->verbose);
    cc_list_free(&argv);
    if (status != CC_OK)
        return status;
    link_line(r, objects, record, &argv);
    cc_add(&argv, "-Wl,-z,undefs");
    coverage_library(r, &argv);
    if (r->o->coverage) /* its run-time calls what stands in the C library's static part */
        cc_add(&argv, "-lc");
    cc_add(&argv, "-o");
    cc_add(&argv, "%s", output);
    status = cc_run(&argv, NULL, NULL, r->o->verbose);
    cc_list_free(&argv);
    return status;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir cc: what it is told. An option that is not ours is the compiler's and goes to the step that wants it.
 */
#include "loader/cc_inside.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

static const char usage[] =
    "usage: weir cc [OPTIONS] [COMPILER'S OPTIONS] FILE.c|FILE.cpp|FILE.o... -o DRIVER.so\n"
    "\n"
    "Compiles the unmodified source of a Windows callout driver into an image that `weir replay --driver` "
    "loads.\n"
    "The source sees Weir's headers and the compiler's own, and nothing of this host.\n"
    "\n"
    "  -o DRIVER.so        the image; without it: the first source's name with .so\n"
    "  -c                  objects only, each beside its source's name or as -o says: to be linked into a "
    "test\n"
    "                      program that uses weir.h, with what it needs of --sanitize and --coverage\n"
    "  -E                  what the compiler is given, on standard output\n"
    "  --cc=PROGRAM        the compiler, GCC or Clang; without it: $CC, or gcc\n"
    "  --sanitize=LIST     address, undefined, thread: instruments the driver; weir replay loads what it "
    "needs.\n"
    "                      fuzzer (Clang): coverage for libFuzzer, of which the test program is to be made\n"
    "  --coverage          for gcov: notes beside the image, counts when a run ends\n"
    "  -jN                 so many sources at a time (the number of processors)\n"
    "  -v                  shows what is run\n"
    "\n"
    "All other options are the compiler's: -D, -I, -W..., -O2 (-O1 is the default, with -g).\n"
    "Files that are no source (.rc, .inf, .mof ...) are passed over with a word.\n"
    "\n"
    "Exit status: 0 done, 1 the compiler or the linker refused, 64 wrong usage, 66 no such file, 70 internal "
    "error,\n"
    "71 no memory or output.\n";

static bool ends(const char *text, const char *const *endings, size_t count)
{
    const char *dot = strrchr(text, '.');

    for (size_t i = 0; dot != NULL && i < count; i++)
        if (strcasecmp(dot, endings[i]) == 0)
            return true;
    return false;
}

bool cc_is_cxx(const char *source)
{
    static const char *const endings[] = {".cpp", ".cc", ".cxx", ".c++"};

    return ends(source, endings, 4);
}

static int add_sanitizers(struct cc_options *o, const char *list)
{
    static const struct {
        const char *name;
        unsigned bit;
    } known[] = {{"address", CC_ADDRESS},
                 {"undefined", CC_UNDEFINED},
                 {"thread", CC_THREAD},
                 {"fuzzer-no-link", CC_FUZZER},
                 {"fuzzer", CC_FUZZER}};
    const size_t count = sizeof known / sizeof known[0];

    while (*list != '\0') {
        size_t size = strcspn(list, ","), i;

        for (i = 0; i < count; i++)
            if (strlen(known[i].name) == size && memcmp(known[i].name, list, size) == 0)
                break;
        if (i == count)
            return cc_complain(CC_USAGE, "--sanitize=%.*s: expected address, undefined, thread or fuzzer",
                               (int)size, list);
        o->sanitizers |= known[i].bit;
        list += size + (list[size] == ',');
    }
    if ((o->sanitizers & CC_THREAD) != 0 && (o->sanitizers & CC_ADDRESS) != 0)
        return cc_complain(CC_USAGE, "--sanitize: address and thread exclude each other");
    return CC_OK;
}

static void split(struct cc_list *l, const char *words)
{
    while (*words != '\0') {
        size_t size = strcspn(words, " \t");

        if (size != 0)
            cc_add(l, "%.*s", (int)size, words);
        words += size + strspn(words + size, " \t");
    }
}

/* A file. */
static int add_file(struct cc_options *o, const char *name)
{
    static const char *const c[] = {".c", ".cpp", ".cc", ".cxx", ".c++"};
    static const char *const objects[] = {".o", ".a", ".so"};
    static const char *const others[] = {".rc",  ".inf", ".inx", ".mof", ".mc",  ".man", ".def",     ".h",
                                         ".hpp", ".lib", ".res", ".xml", ".bmf", ".cat", ".vcxproj", ".ini"};

    if (ends(name, c, 5) || ends(name, objects, 3)) {
        if (access(name, R_OK) != 0)
            return cc_complain(CC_NO_INPUT, "%s: cannot be read", name);
        cc_add(ends(name, c, 5) ? &o->sources : &o->objects, "%s", name);
        return CC_OK;
    }
    if (!ends(name, others, sizeof others / sizeof others[0]))
        return cc_complain(CC_USAGE, "%s: no source, object or option that is known (see weir cc --help)",
                           name);
    fprintf(stderr, "weir: cc: %s: not needed, passed over\n", name);
    return CC_OK;
}

/* Options of the compiler's that have their value in the next word. */
static bool takes_word(const char *arg)
{
    static const char *const list[] = {"-I",         "-D",          "-U",  "-include", "-isystem", "-iquote",
                                       "-idirafter", "-imacros",    "-MF", "-MT",      "-MQ",      "-Xlinker",
                                       "-u",         "-Xassembler", "-L",  "-l"};

    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++)
        if (strcmp(arg, list[i]) == 0)
            return true;
    return false;
}

static struct cc_list *home_of(struct cc_options *o, const char *arg)
{
    static const char *const preprocess[] = {"-I",      "-D",         "-U",       "-include", "-isystem",
                                             "-iquote", "-idirafter", "-imacros", "-M"};
    static const char *const link[] = {"-Wl,",           "-L",       "-l", "-Xlinker", "-u",
                                       "-static-libgcc", "-fuse-ld", "-B"};

    for (size_t i = 0; i < sizeof preprocess / sizeof preprocess[0]; i++)
        if (strncmp(arg, preprocess[i], strlen(preprocess[i])) == 0)
            return &o->preprocess;
    for (size_t i = 0; i < sizeof link / sizeof link[0]; i++)
        if (strncmp(arg, link[i], strlen(link[i])) == 0)
            return &o->link;
    return &o->compile;
}

/* One argument; *at moves over its value. */
static int add_option(struct cc_options *o, int argc, char **argv, int *at)
{
    const char *arg = argv[*at];
    struct cc_list *home;

    if (strncmp(arg, "-o", 2) == 0) {
        o->output = arg[2] != '\0' ? arg + 2 : *at + 1 < argc ? argv[++*at] : NULL;
        return o->output != NULL ? CC_OK
                                 : cc_complain(CC_USAGE, "-o: the name is missing (see weir cc --help)");
    }
    if (strcmp(arg, "-c") == 0 || strcmp(arg, "-E") == 0) {
        o->stop = arg[1] == 'c' ? CC_OBJECTS : CC_PREPROCESSED;
        return CC_OK;
    }
    if (strncmp(arg, "--cc=", 5) == 0) {
        cc_list_free(&o->compiler);
        split(&o->compiler, arg + 5);
        return o->compiler.count != 0 ? CC_OK : cc_complain(CC_USAGE, "--cc: the compiler is missing");
    }
    if (strncmp(arg, "--sanitize=", 11) == 0 || strncmp(arg, "-fsanitize=", 11) == 0)
        return add_sanitizers(o, arg + 11);
    if (strcmp(arg, "--coverage") == 0) {
        o->coverage = true;
        return CC_OK;
    }
    if (strncmp(arg, "-j", 2) == 0) {
        o->jobs = (unsigned)strtoul(arg + 2, NULL, 10);
        return o->jobs != 0 && o->jobs <= 256 ? CC_OK
                                              : cc_complain(CC_USAGE, "%s: expected -j1 to -j256", arg);
    }
    if (strcmp(arg, "-v") == 0 || strcmp(arg, "--verbose") == 0) {
        o->verbose = true;
        return CC_OK;
    }
    if (strcmp(arg, "-shared") == 0 || strcmp(arg, "-pipe") == 0)
        return CC_OK;
    home = home_of(o, arg);
    cc_add(home, "%s", arg);
    if (takes_word(arg)) {
        if (*at + 1 >= argc)
            return cc_complain(CC_USAGE, "%s: what follows it is missing", arg);
        cc_add(home, "%s", argv[++*at]);
    }
    return CC_OK;
}

int cc_options_parse(int argc, char **argv, struct cc_options *o)
{
    int status = CC_OK;
    long processors = sysconf(_SC_NPROCESSORS_ONLN);

    o->jobs = processors > 0 && processors < 64 ? (unsigned)processors : 1;
    split(&o->compiler, getenv("CC") != NULL ? getenv("CC") : "");
    for (int i = 1; i < argc && status == CC_OK; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(usage, stdout);
            return -1;
        }
        status =
            argv[i][0] == '-' && argv[i][1] != '\0' ? add_option(o, argc, argv, &i) : add_file(o, argv[i]);
    }
    if (status != CC_OK)
        return status;
    if (o->compiler.count == 0)
        cc_add(&o->compiler, "gcc");
    if (o->sources.count + o->objects.count == 0)
        return cc_complain(CC_USAGE, "the source is missing (see weir cc --help)");
    if (o->stop == CC_OBJECTS && o->output != NULL && o->sources.count > 1)
        return cc_complain(CC_USAGE, "-c with -o: expected one source");
    if (o->compiler.failed || o->sources.failed || o->objects.failed || o->preprocess.failed ||
        o->compile.failed || o->link.failed)
        return cc_complain(CC_OS_ERROR, "out of memory");
    return CC_OK;
}

void cc_options_free(struct cc_options *o)
{
    cc_list_free(&o->compiler);
    cc_list_free(&o->sources);
    cc_list_free(&o->objects);
    cc_list_free(&o->preprocess);
    cc_list_free(&o->compile);
    cc_list_free(&o->link);
}

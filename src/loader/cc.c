/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir cc: the run from options to an image.
 *
 *   each source, in a process of its own:  overlay -> cc -E -> rewrite -> cc -c      (N at a time)
 *   then, once all are there:              link
 *
 * A process writes its messages to a file; they are shown in the order of the sources, whoever ends first.
 * The folder goes at the end, also after SIGINT, SIGTERM and SIGHUP.
 */
#include "loader/cc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loader/cc_inside.h"

static volatile sig_atomic_t interrupted;

static void interrupt(int signal)
{
    interrupted = signal;
}

/* What a driver is compiled with, whatever its language. */
static void common_flags(const struct cc_run *r, bool cxx, struct cc_list *argv)
{
    static const char *const both[] = {"-fshort-wchar", "-fms-extensions", "-mms-bitfields"};
    static const char *const defines[] = {"_WIN32=1",
                                          "_WIN64=1",
                                          "_AMD64_=1",
                                          "_M_AMD64=100",
                                          "_M_X64=100",
                                          "AMD64=1",
                                          "_MSC_VER=1930",
                                          "_KERNEL_MODE=1",
                                          "WINNT=1",
                                          "STD_CALL=1",
                                          "DEPRECATE_DDK_FUNCTIONS=1",
                                          "__WEIR__=1",
                                          "_INTEGRAL_MAX_BITS=64"};

    cc_add_all(argv, &r->o->compiler);
    cc_add(argv, cxx ? "-std=gnu++17" : "-std=gnu11");
    for (size_t i = 0; i < sizeof both / sizeof both[0]; i++)
        cc_add(argv, "%s", both[i]);
    for (size_t i = 0; i < sizeof defines / sizeof defines[0]; i++) {
        char name[64];
        bool told = false;

        snprintf(name, sizeof name, "-D%.*s", (int)strcspn(defines[i], "="), defines[i]);
        for (size_t k = 0; k < r->o->preprocess.count; k++)
            told |= strncmp(r->o->preprocess.items[k], name, strlen(name)) == 0;
        if (!told)
            cc_add(argv, "-D%s", defines[i]);
    }
}

static int preprocess(const struct cc_run *r, const char *source, bool cxx, const char *overlay,
                      const char *out)
{
    struct cc_list argv = {0};
    int status;

    common_flags(r, cxx, &argv);
    cc_add(&argv, "-E");
    if (r->clang)
        cc_add(&argv, "-Qunused-arguments");
    cc_add_all(&argv, &r->o->compile);
    cc_add(&argv, "-Wno-unknown-pragmas");
    cc_add(&argv, "-nostdinc");
    if (cxx)
        cc_add(&argv, "-nostdinc++");
    cc_add_all(&argv, &r->o->preprocess);
    cc_add(&argv, "-I");
    cc_add(&argv, "%s", overlay);
    for (size_t i = 0; i < 3; i++)
        if (r->places->include[i][0] != '\0') {
            cc_add(&argv, "-isystem");
            cc_add(&argv, "%s", r->places->include[i]);
        }
    cc_add(&argv, "-isystem");
    cc_add(&argv, "%s", r->places->builtin);
    cc_add(&argv, "-include");
    cc_add(&argv, "%s/weir/compiler.h", r->places->include[1]);
    cc_add(&argv, "-x");
    cc_add(&argv, cxx ? "c++" : "c");
    cc_add(&argv, "%s", source);
    status = cc_run(&argv, out, NULL, r->o->verbose);
    cc_list_free(&argv);
    return status;
}

static int rewrite(const struct cc_run *r, const char *in, bool cxx, const char *out)
{
    struct cc_text text = {0}, made = {0};
    int err = cc_read(in, &text), status = CC_OK;

    if (err == 0)
        err = cc_rewrite(r, &text, cxx, &made, stderr);
    if (err == 0)
        err = cc_write(out, made.size != 0 ? made.bytes : "", made.size);
    if (err != 0)
        status = cc_complain(CC_OS_ERROR, "%s: %s", out, strerror(-err));
    cc_text_free(&text);
    cc_text_free(&made);
    return status;
}

static int compile(const struct cc_run *r, const char *in, bool cxx, const char *object)
{
    static const char *const flags[] = {"-g",
                                        "-O1",
                                        "-fPIC",
                                        "-fvisibility=hidden",
                                        "-fno-strict-aliasing",
                                        "-fwrapv",
                                        "-fno-plt",
                                        "-fno-delete-null-pointer-checks",
                                        "-fno-optimize-sibling-calls",
                                        "-fno-omit-frame-pointer",
                                        "-fno-stack-protector",
                                        "-fno-math-errno",
                                        "-Wno-unknown-pragmas",
                                        "-Wno-multichar",
                                        "-Wno-attributes",
                                        "-Wno-format",
                                        "-Wno-pragmas"};
    /* their meaning is Windows', not the compiler's */
    static const char *const builtins[] = {
        "printf", "sprintf", "snprintf", "vprintf", "vsprintf", "vsnprintf", "fprintf", "vfprintf",
        "puts",   "putchar", "wcslen",   "wcscpy",  "wcscmp",   "wcsncpy",   "wcsncmp", "wcscat",
        "wcschr", "wmemcpy", "wmemset",  "wmemcmp", "wmemchr",  "wmemmove"};
    struct cc_list argv = {0};
    int status;

    common_flags(r, cxx, &argv);
    cc_add(&argv, "-c");
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        cc_add(&argv, "%s", flags[i]);
    for (size_t i = 0; i < sizeof builtins / sizeof builtins[0]; i++)
        cc_add(&argv, "-fno-builtin-%s", builtins[i]);
    if (!r->clang)
        cc_add(&argv, "-Wno-builtin-declaration-mismatch");
    if (r->clang) {
        cc_add(&argv, "-Qunused-arguments");
        cc_add(&argv, "-Wno-unknown-warning-option");
        cc_add(&argv, "-Wno-microsoft");
        cc_add(&argv, "-Wno-ignored-attributes");
        cc_add(&argv, "-Wno-four-char-constants");
        cc_add(&argv, "-Wno-builtin-requires-header");
        cc_add(&argv, "-Wno-incompatible-library-redeclaration");
        cc_add(&argv, "-fno-limit-debug-info");
    }
    if (cxx) {
        cc_add(&argv, "-fno-exceptions");
        cc_add(&argv, "-fno-rtti");
        cc_add(&argv, "-fno-threadsafe-statics");
        if (!r->clang)
            cc_add(&argv, "-fpermissive");
    } else {
        cc_add(&argv, "-fcommon");
        cc_add(&argv, "-Werror=implicit-function-declaration");
        cc_add(&argv, "-Werror=implicit-int");
    }
    if ((r->o->sanitizers & CC_ADDRESS) != 0)
        cc_add(&argv, "-fsanitize=address");
    if ((r->o->sanitizers & CC_THREAD) != 0)
        cc_add(&argv, "-fsanitize=thread");
    if ((r->o->sanitizers & CC_UNDEFINED) != 0) {
        cc_add(&argv, "-fsanitize=undefined");
        cc_add(&argv, r->clang ? "-fno-sanitize=function,vptr,alignment" : "-fno-sanitize=vptr,alignment");
    }
    if ((r->o->sanitizers & CC_FUZZER) != 0)
        cc_add(&argv, "-fsanitize=fuzzer-no-link");
    if (r->o->coverage)
        cc_add(&argv, "--coverage");
    cc_add_all(&argv, &r->o->compile);
    cc_add(&argv, "-x");
    cc_add(&argv, cxx ? "c++-cpp-output" : "cpp-output");
    cc_add(&argv, "-o");
    cc_add(&argv, "%s", object);
    cc_add(&argv, "%s", in);
    status = cc_run(&argv, NULL, NULL, r->o->verbose);
    cc_list_free(&argv);
    return status;
}

/* Source n: everything up to its object. */
static int one_source(const struct cc_run *r, size_t n, const char *object)
{
    const char *source = r->o->sources.items[n];
    char base[PATH_MAX], overlay[PATH_MAX + 32], in[PATH_MAX + 32], out[PATH_MAX + 32];
    bool cxx = cc_is_cxx(source);
    int status;

    if (snprintf(base, sizeof base, "%s/%zu", r->folder, n) >= (int)sizeof base - 32)
        return cc_complain(CC_INTERNAL, "%s: too long a path", r->folder);
    snprintf(overlay, sizeof overlay, "%s/1/2/3/4/5/6/", base);
    for (char *p = overlay + strlen(r->folder) + 1; (p = strchr(p, '/')) != NULL; *p++ = '/') {
        *p = '\0';
        if (mkdir(overlay, 0700) != 0 && errno != EEXIST)
            return cc_complain(CC_OS_ERROR, "%s: %s", overlay, strerror(errno));
    }
    overlay[strlen(overlay) - 1] = '\0';
    snprintf(in, sizeof in, "%s.e", base);
    snprintf(out, sizeof out, "%s.%s", base, cxx ? "ii" : "i");
    status = cc_scan(r, source, overlay);
    if (status == CC_OK)
        status = preprocess(r, source, cxx, overlay, in);
    if (status == CC_OK)
        status = rewrite(r, in, cxx, out);
    if (status == CC_OK && r->o->stop == CC_PREPROCESSED) {
        struct cc_text text = {0};

        if (cc_read(out, &text) != 0 || fwrite(text.bytes, 1, text.size, stdout) != text.size ||
            fflush(stdout) != 0)
            status = cc_complain(CC_OS_ERROR, "the output cannot be written");
        cc_text_free(&text);
    } else if (status == CC_OK) {
        status = compile(r, out, cxx, object);
    }
    return status;
}

/* ---- side by side ---------------------------------------------------------------------------------------
 */

static void show(const char *path)
{
    struct cc_text text = {0};

    if (cc_read(path, &text) == 0)
        fwrite(text.bytes, 1, text.size, stderr);
    cc_text_free(&text);
}

static pid_t start(const struct cc_run *r, size_t n, const char *object, const char *messages)
{
    pid_t pid;

    fflush(NULL);
    pid = fork();
    if (pid != 0)
        return pid;
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    signal(SIGHUP, SIG_DFL);
    int fd = open(messages, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || dup2(fd, STDERR_FILENO) < 0)
        _exit(CC_OS_ERROR);
    int status = one_source(r, n, object);
    fflush(NULL);
    _exit(status);
}

/* All sources; the worst status. */
static int all_sources(const struct cc_run *r, const struct cc_list *objects)
{
    size_t count = r->o->sources.count, started = 0, shown = 0, running = 0;
    pid_t *pids = calloc(count + 1, sizeof *pids);
    int *states = calloc(count + 1, sizeof *states), status = CC_OK;
    char messages[PATH_MAX + 32];

    if (pids == NULL || states == NULL) {
        free(pids);
        free(states);
        return cc_complain(CC_OS_ERROR, "out of memory");
    }
    while ((started < count || running != 0) && !interrupted) {
        int how;
        pid_t pid;

        if (started < count && running < r->o->jobs) {
            snprintf(messages, sizeof messages, "%s/%zu.err", r->folder, started);
            pids[started] = start(r, started, objects->items[started], messages);
            if (pids[started] < 0) {
                status = cc_complain(CC_OS_ERROR, "no process: %s", strerror(errno));
                break;
            }
            states[started++] = -1;
            running++;
            continue;
        }
        pid = wait(&how);
        if (pid < 0)
            continue;
        running--;
        for (size_t i = 0; i < started; i++)
            if (pids[i] == pid)
                states[i] = WIFEXITED(how) ? WEXITSTATUS(how) : CC_INTERNAL;
        for (; shown < started && states[shown] >= 0; shown++) {
            snprintf(messages, sizeof messages, "%s/%zu.err", r->folder, shown);
            show(messages);
            status = states[shown] > status ? states[shown] : status;
        }
    }
    for (size_t i = 0; i < started; i++)
        if (states[i] < 0 && pids[i] > 0) {
            kill(pids[i], SIGTERM);
            waitpid(pids[i], NULL, 0);
        }
    free(pids);
    free(states);
    return interrupted ? 128 + interrupted : status;
}

static bool is_clang(const struct cc_options *o)
{
    struct cc_list ask = {0};
    char said[4096] = "";

    cc_add_all(&ask, &o->compiler);
    cc_add(&ask, "--version");
    (void)cc_ask(&ask, said, sizeof said);
    cc_list_free(&ask);
    return strstr(said, "clang") != NULL;
}

/* Where each object goes: the temporary folder, but beside the image where notes of coverage stand with it.
 */
static void name_objects(const struct cc_run *r, struct cc_list *objects)
{
    for (size_t i = 0; i < r->o->sources.count; i++) {
        const char *source = r->o->sources.items[i];
        const char *base = strrchr(source, '/') != NULL ? strrchr(source, '/') + 1 : source;
        int size = (int)(strrchr(base, '.') - base);

        if (r->o->stop == CC_OBJECTS && r->o->output != NULL)
            cc_add(objects, "%s", r->o->output);
        else if (r->o->stop == CC_OBJECTS)
            cc_add(objects, "%.*s.o", size, base);
        else if (r->o->coverage && r->o->output != NULL)
            cc_add(objects, "%s-%.*s.o", r->o->output, size, base);
        else
            cc_add(objects, "%s/%zu.o", r->folder, i);
    }
}

int loader_cc(int argc, char **argv)
{
    const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action = {.sa_handler = interrupt}, before[3];
    struct cc_options o = {0};
    struct cc_places places;
    struct cc_run r = {.o = &o, .places = &places};
    struct cc_list objects = {0};
    int status = cc_options_parse(argc, argv, &o);

    if (status != CC_OK) {
        cc_options_free(&o);
        return status < 0 ? CC_OK : status;
    }
    for (size_t i = 0; i < 3; i++)
        sigaction(signals[i], &action, &before[i]);
    status = cc_places_find(&o, &places);
    if (status == CC_OK)
        status = cc_folder_make(r.folder);
    if (status == CC_OK) {
        r.clang = is_clang(&o);
        if ((o.sanitizers & CC_FUZZER) != 0 && !r.clang)
            status = cc_complain(CC_USAGE, "--sanitize=fuzzer: expected Clang (--cc=clang)");
    }
    if (status == CC_OK) {
        name_objects(&r, &objects);
        status = objects.failed ? cc_complain(CC_OS_ERROR, "out of memory") : all_sources(&r, &objects);
        if (status == CC_OK && o.stop == CC_LINK)
            status = cc_link(&r, &objects);
        if (o.coverage && o.stop == CC_LINK)
            for (size_t i = 0; i < objects.count; i++)
                (void)unlink(objects.items[i]);
    }
    cc_folder_remove(r.folder);
    for (size_t i = 0; i < 3; i++)
        sigaction(signals[i], &before[i], NULL);
    cc_list_free(&objects);
    cc_options_free(&o);
    return status;
}

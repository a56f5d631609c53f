/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir cc: what a source includes, looked at before the compiler does. On Windows "..\Inc\FOO.H" finds
 * ../inc/foo.h; here a file of that very name is put into an overlay folder that is searched last, and
 * includes the real one. A .tmh file, which WPP's preprocessor would have made, is one that makes the trace
 * functions nothing.
 *
 *   overlay: FOLDER/N/1/2/3/4/5/6: deep, so that names with ../ stay inside FOLDER/N
 *
 * Only what the compiler would not find is put there: names that are right as they stand never see the
 * overlay.
 */
#include "loader/cc_inside.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_FILES 4096

struct scan {
    const struct cc_run *run;
    const char *overlay;
    struct cc_list dirs;    /* searched, in order */
    struct cc_list files;   /* reached, to be read */
    struct cc_list missing; /* in the overlay already */
    struct cc_list traces;  /* functions of WPP */
    bool wpp;
};

static bool exists(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

static bool has(const struct cc_list *l, const char *word)
{
    for (size_t i = 0; i < l->count; i++)
        if (strcmp(l->items[i], word) == 0)
            return true;
    return false;
}

static void folder_of(const char *path, char out[PATH_MAX])
{
    const char *slash = strrchr(path, '/');

    if (slash == NULL)
        snprintf(out, PATH_MAX, ".");
    else
        snprintf(out, PATH_MAX, "%.*s", (int)(slash - path), path);
}

/* -I and the like, then ours. */
static void find_dirs(struct scan *s)
{
    static const char *const flags[] = {"-I", "-iquote", "-isystem", "-idirafter"};
    const struct cc_list *p = &s->run->o->preprocess;

    for (size_t i = 0; i < p->count; i++)
        for (size_t k = 0; k < 4; k++) {
            size_t size = strlen(flags[k]);

            if (strncmp(p->items[i], flags[k], size) != 0)
                continue;
            if (p->items[i][size] != '\0')
                cc_add(&s->dirs, "%s", p->items[i] + size);
            else if (i + 1 < p->count)
                cc_add(&s->dirs, "%s", p->items[i + 1]);
            break;
        }
    for (size_t i = 0; i < 3; i++)
        if (s->run->places->include[i][0] != '\0')
            cc_add(&s->dirs, "%s", s->run->places->include[i]);
    cc_add(&s->dirs, "%s", s->run->places->builtin);
}

/* The name in `dir`, whatever its case; out is appended to. */
static bool in_any_case(const char *dir, const char *name, char out[PATH_MAX])
{
    char part[PATH_MAX], path[PATH_MAX];
    size_t size = strcspn(name, "/");
    struct dirent *e;
    bool found = false;
    DIR *d;

    if (size == 0)
        return name[0] == '/' ? in_any_case(dir, name + 1, out) : false;
    snprintf(part, sizeof part, "%.*s", (int)size, name);
    if (strcmp(part, ".") == 0 || strcmp(part, "..") == 0) {
        if (snprintf(path, sizeof path, "%s/%s", dir, part) >= (int)sizeof path)
            return false;
        return name[size] == '/' && in_any_case(path, name + size + 1, out);
    }
    d = opendir(dir);
    if (d == NULL)
        return false;
    while (!found && (e = readdir(d)) != NULL) {
        if (strcasecmp(e->d_name, part) != 0 ||
            snprintf(path, sizeof path, "%s/%s", dir, e->d_name) >= (int)sizeof path)
            continue;
        if (name[size] == '/')
            found = in_any_case(path, name + size + 1, out);
        else if ((found = exists(path)))
            snprintf(out, PATH_MAX, "%s", path);
    }
    closedir(d);
    return found;
}

/* Folders above a file in the overlay. */
static void make_folders(char *path, size_t from)
{
    for (char *p = path + from; (p = strchr(p, '/')) != NULL; *p++ = '/') {
        *p = '\0';
        (void)mkdir(path, 0700);
    }
}

static int overlay_add(struct scan *s, const char *name, const char *text)
{
    char path[PATH_MAX];

    if (has(&s->missing, name) || name[0] == '/')
        return CC_OK;
    if (snprintf(path, sizeof path, "%s/%s", s->overlay, name) >= (int)sizeof path)
        return CC_OK;
    cc_add(&s->missing, "%s", name);
    make_folders(path, strlen(s->overlay) + 1);
    if (cc_write(path, text, strlen(text)) != 0)
        return cc_complain(CC_OS_ERROR, "%s cannot be written", path);
    return CC_OK;
}

static bool is_ours(const struct scan *s, const char *path)
{
    const struct cc_places *p = s->run->places;

    for (size_t i = 0; i < 3; i++)
        if (p->include[i][0] != '\0' && strncmp(path, p->include[i], strlen(p->include[i])) == 0)
            return true;
    return strncmp(path, p->builtin, strlen(p->builtin)) == 0;
}

static void reach(struct scan *s, const char *path)
{
    if (s->files.count < MAX_FILES && !is_ours(s, path) && !has(&s->files, path))
        cc_add(&s->files, "%s", path);
}

static int include(struct scan *s, const char *from, const char *name, bool quoted)
{
    char dir[PATH_MAX], path[PATH_MAX], plain[PATH_MAX], real[PATH_MAX];
    bool found = false;
    size_t size = strlen(name);

    folder_of(from, dir);
    for (size_t i = quoted ? 0 : 1; i <= s->dirs.count; i++) {
        const char *in = i == 0 ? dir : s->dirs.items[i - 1];

        if (snprintf(path, sizeof path, "%s/%s", in, name) < (int)sizeof path && exists(path)) {
            reach(s, path);
            return CC_OK;
        }
    }
    snprintf(plain, sizeof plain, "%s", name);
    for (char *p = plain; *p != '\0'; p++)
        if (*p == '\\')
            *p = '/';
    for (size_t i = quoted ? 0 : 1; i <= s->dirs.count && !found; i++)
        found = in_any_case(i == 0 ? dir : s->dirs.items[i - 1], plain, path);
    if (found && realpath(path, real) != NULL) {
        struct cc_text text = {0};
        int status;

        if (is_ours(s, path) || is_ours(s, real))
            cc_text_print(&text, "#pragma GCC system_header\n");
        cc_text_print(&text, "#include \"%s\"\n", real);
        status = text.failed ? cc_complain(CC_OS_ERROR, "out of memory") : overlay_add(s, name, text.bytes);
        if (status == CC_OK && strcmp(plain, name) != 0) /* clang looks for it so */
            status = overlay_add(s, plain, text.bytes);
        cc_text_free(&text);
        reach(s, path);
        return status;
    }
    if (size > 4 && strcasecmp(name + size - 4, ".tmh") == 0) {
        s->wpp = true;
        return overlay_add(s, name, "#pragma GCC system_header\n#include \"weir_wpp.h\"\n");
    }
    return CC_OK; /* the compiler says so in its own words, if it comes to that */
}

/* FUNC Name(...) and FUNC Name{...}(...) between begin_wpp and end_wpp. */
static void trace_line(struct scan *s, const char *line, const char *end)
{
    const char *p = memmem(line, (size_t)(end - line), "FUNC ", 5), *name;

    if (p == NULL || (p > line && isalnum((unsigned char)p[-1])))
        return;
    for (p += 5; p < end && isspace((unsigned char)*p); p++)
        ;
    for (name = p; p < end && (isalnum((unsigned char)*p) || *p == '_'); p++)
        ;
    if (p > name) {
        char word[256];

        snprintf(word, sizeof word, "%.*s", (int)(p - name), name);
        if (!has(&s->traces, word))
            cc_add(&s->traces, "%s", word);
    }
}

static void traces(struct scan *s, const char *text, const char *end)
{
    const char *p = text, *stop;

    while ((p = memmem(p, (size_t)(end - p), "begin_wpp", 9)) != NULL) {
        stop = memmem(p, (size_t)(end - p), "end_wpp", 7);
        if (stop == NULL)
            stop = end;
        while (p < stop) {
            const char *line = memchr(p, '\n', (size_t)(stop - p));

            line = line != NULL ? line : stop;
            trace_line(s, p, line);
            p = line + 1;
        }
        p = p < end ? p : end;
    }
}

static int one_file(struct scan *s, const char *path)
{
    struct cc_text text = {0};
    int status = CC_OK;

    if (cc_read(path, &text) != 0) {
        cc_text_free(&text);
        return CC_OK;
    }
    traces(s, text.bytes, text.bytes + text.size);
    for (char *line = text.bytes, *end; *line != '\0' && status == CC_OK; line = end) {
        char *p = line + strspn(line, " \t"), *close;

        end = strchr(line, '\n');
        end = end != NULL ? end + 1 : line + strlen(line);
        if (*p++ != '#')
            continue;
        p += strspn(p, " \t");
        if (strncmp(p, "include", 7) != 0)
            continue;
        p += 7 + strspn(p + 7, " \t");
        if (*p != '"' && *p != '<')
            continue;
        close = memchr(p + 1, *p == '"' ? '"' : '>', (size_t)(end - p - 1));
        if (close == NULL || close - p - 1 >= PATH_MAX || close == p + 1)
            continue;
        *close = '\0';
        status = include(s, path, p + 1, *p == '"');
    }
    cc_text_free(&text);
    return status;
}

/* Trace functions may be declared in a header that only the build's options name. */
static void look_beside(struct scan *s, const char *source)
{
    char dir[PATH_MAX], path[PATH_MAX];
    struct dirent *e;
    DIR *d;

    folder_of(source, dir);
    d = opendir(dir);
    while (d != NULL && (e = readdir(d)) != NULL) {
        struct cc_text text = {0};
        const char *dot = strrchr(e->d_name, '.');

        if (dot == NULL || (strcasecmp(dot, ".h") != 0 && strcasecmp(dot, ".ini") != 0) ||
            snprintf(path, sizeof path, "%s/%s", dir, e->d_name) >= (int)sizeof path || has(&s->files, path))
            continue;
        if (cc_read(path, &text) == 0)
            traces(s, text.bytes, text.bytes + text.size);
        cc_text_free(&text);
    }
    if (d != NULL)
        closedir(d);
}

static int write_wpp(struct scan *s)
{
    struct cc_text text = {0};
    int status;

    cc_text_print(&text, "/* What WPP would have made: tracing is nothing here. */\n"
                         "#include \"weir/wpp.h\"\n");
    for (size_t i = 0; i < s->traces.count; i++)
        cc_text_print(&text, "#undef %s\n#define %s(...) ((void)0)\n", s->traces.items[i],
                      s->traces.items[i]);
    status =
        text.failed ? cc_complain(CC_OS_ERROR, "out of memory") : overlay_add(s, "weir_wpp.h", text.bytes);
    cc_text_free(&text);
    return status;
}

int cc_scan(const struct cc_run *r, const char *source, const char *overlay)
{
    struct scan s = {.run = r, .overlay = overlay};
    int status = CC_OK;

    find_dirs(&s);
    cc_add(&s.files, "%s", source);
    for (size_t i = 0; i < r->o->preprocess.count; i++)
        if (strcmp(r->o->preprocess.items[i], "-include") == 0 && i + 1 < r->o->preprocess.count)
            cc_add(&s.files, "%s", r->o->preprocess.items[i + 1]);
    for (size_t i = 0; i < s.files.count && status == CC_OK; i++)
        status = one_file(&s, s.files.items[i]);
    if (status == CC_OK && s.wpp) {
        look_beside(&s, source);
        status = write_wpp(&s);
    }
    if (status == CC_OK && (s.dirs.failed || s.files.failed || s.missing.failed || s.traces.failed))
        status = cc_complain(CC_OS_ERROR, "out of memory");
    cc_list_free(&s.dirs);
    cc_list_free(&s.files);
    cc_list_free(&s.missing);
    cc_list_free(&s.traces);
    return status;
}

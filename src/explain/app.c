/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which program does a person mean? Filters name programs by device paths (MATCH-16), people by drive letters
 * or by the file's name alone. What a drive letter stands for is not in an export, but the programs that
 * filters and endpoints name usually settle it.
 */
#include "explain/question.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool is_drive_path(const char *t)
{
    return isalpha((unsigned char)t[0]) && t[1] == ':' && (t[2] == '\\' || t[2] == '/');
}

/* The app id that the engine makes of a path, in the arena. */
static int make_app(struct explain_arena *a, const char *path, FWP_BYTE_BLOB **blob)
{
    FWP_BYTE_BLOB *made;
    int err = engine_app_id_from_path(strcasecmp(path, "System") == 0 ? "System" : path, &made);

    if (err != 0)
        return err;
    *blob = explain_alloc(a, sizeof **blob);
    if (*blob != NULL) {
        (*blob)->size = made->size;
        (*blob)->data = explain_copy(a, made->data, made->size);
    }
    free(made);
    return a->failed ? -ENOMEM : 0;
}

/* Does the program's id end with these bytes, after at least one more unit? */
static bool ends_with(const FWP_BYTE_BLOB *app, const UINT8 *tail, size_t size)
{
    return app->size > size && memcmp(app->data + app->size - size, tail, size) == 0;
}

static const char *app_text(struct explain_arena *a, const FWP_BYTE_BLOB *app)
{
    WCHAR *copy = explain_copy(a, app->data, app->size); /* aligned */
    size_t units = app->size / sizeof(WCHAR);

    while (copy != NULL && units > 0 && copy[units - 1] == 0)
        units--;
    return copy != NULL ? explain_utf8_n(a, copy, units) : NULL;
}

/* The volume that most programs of the state lie on: "\device\harddiskvolume3". NULL: none is named. */
static const char *likely_volume(const struct explain_state *s, struct explain_arena *a)
{
    const char *best = NULL;
    UINT32 best_count = 0;

    for (UINT32 i = 0; i < s->app_count; i++) {
        const char *text = app_text(a, s->apps[i]), *end;
        UINT32 count = 0;
        size_t len;

        if (text == NULL || strncmp(text, "\\device\\", 8) != 0 || (end = strchr(text + 8, '\\')) == NULL)
            continue;
        len = (size_t)(end - text);
        if (best != NULL && strlen(best) == len && strncmp(best, text, len) == 0)
            continue;
        for (UINT32 k = i; k < s->app_count; k++) {
            const char *other = app_text(a, s->apps[k]);

            count += other != NULL && strncmp(other, text, len) == 0 && other[len] == '\\' &&
                     strncmp(other + len, "\\windows\\", 9) == 0;
        }
        if (count > best_count || best == NULL) {
            best_count = count;
            best = explain_strndup(a, text, len);
        }
    }
    return best;
}

/* C:\dir\file: the one known program with this tail; otherwise on the likeliest volume. */
static int resolve_drive(const struct explain_state *s, struct explain_arena *a, const char *text,
                         FWP_BYTE_BLOB **blob, const char **note, const char **error)
{
    FWP_BYTE_BLOB *tail;
    const FWP_BYTE_BLOB *found = NULL;
    const char *volume;
    char *path = explain_strdup(a, text + 2);
    int err;

    if (path == NULL)
        return -ENOMEM;
    for (char *c = path; *c != '\0'; c++) {
        if (*c == '/')
            *c = '\\';
    }
    err = make_app(a, path, &tail);
    if (err != 0)
        return err;
    for (UINT32 i = 0; i < s->app_count; i++) {
        if (!ends_with(s->apps[i], tail->data, tail->size))
            continue;
        if (found != NULL) {
            *error = explain_printf(
                a, "program %s: this state knows it on several volumes: %s, %s; give the device path", text,
                app_text(a, found), app_text(a, s->apps[i]));
            return -ENOENT;
        }
        found = s->apps[i];
    }
    if (found != NULL) {
        *note = explain_printf(a, "%s is taken to be %s, as this state names it", text, app_text(a, found));
        return make_app(a, app_text(a, found), blob);
    }
    volume = likely_volume(s, a);
    if (volume == NULL)
        volume = "\\device\\harddiskvolume1";
    *note = explain_printf(a, "drive %c: is taken to be %s; no filter or endpoint names this program",
                           text[0], volume);
    path = explain_printf(a, "%s%s", volume, path);
    return path == NULL ? -ENOMEM : make_app(a, path, blob);
}

/* A file's name alone. */
static int resolve_name(const struct explain_state *s, struct explain_arena *a, const char *text,
                        FWP_BYTE_BLOB **blob, const char **note, const char **error)
{
    FWP_BYTE_BLOB *tail;
    const FWP_BYTE_BLOB *found = NULL;
    const char *name = explain_printf(a, "\\%s", text);
    int err = name == NULL ? -ENOMEM : make_app(a, name, &tail);

    if (err != 0)
        return err;
    for (UINT32 i = 0; i < s->app_count; i++) {
        if (!ends_with(s->apps[i], tail->data, tail->size))
            continue;
        if (found != NULL) {
            *error =
                explain_printf(a, "program %s: this state knows several: %s, %s ...; give the whole path",
                               text, app_text(a, found), app_text(a, s->apps[i]));
            return -ENOENT;
        }
        found = s->apps[i];
    }
    if (found != NULL) {
        *note = explain_printf(a, "%s is taken to be %s, as this state names it", text, app_text(a, found));
        return make_app(a, app_text(a, found), blob);
    }
    *note = explain_printf(
        a, "no filter or endpoint of this state names a program %s: taken as one that none names", text);
    name = explain_printf(a, "\\device\\harddiskvolume0\\%s", text);
    return name == NULL ? -ENOMEM : make_app(a, name, blob);
}

int explain_app_resolve(const struct explain_state *s, struct explain_arena *a, const char *text,
                        FWP_BYTE_BLOB **blob, const char **note, const char **error)
{
    *note = *error = NULL;
    if (text[0] == '\0')
        return -EINVAL;
    if (s != NULL && is_drive_path(text))
        return resolve_drive(s, a, text, blob, note, error);
    if (s != NULL && strchr(text, '\\') == NULL && strchr(text, '/') == NULL &&
        strcasecmp(text, "System") != 0)
        return resolve_name(s, a, text, blob, note, error);
    return make_app(a, text, blob);
}

static bool contains(const char *text, const char *part)
{
    return strstr(text, part) != NULL;
}

enum explain_subject explain_plain_subject(struct explain_arena *a, const FWP_BYTE_BLOB *app,
                                           const char **why)
{
    const char *text = app != NULL ? app_text(a, app) : "";

    if (text == NULL)
        text = "";
    if (strcmp(text, "System") == 0) {
        *why = "System is the kernel: it runs as SYSTEM";
        return SUBJECT_SYSTEM;
    }
    if (contains(text, "\\svchost.exe")) {
        *why = "svchost.exe runs services: which of them, and as whom, is not known; it is no AppContainer";
        return SUBJECT_PROGRAM;
    }
    if (contains(text, "\\windowsapps\\") || contains(text, "\\systemapps\\")) {
        *why = "the program is installed as a packaged app: whether it runs in an AppContainer is not known";
        return SUBJECT_ANY;
    }
    *why = "the program is taken to be an ordinary user's, and no AppContainer (--assume plain)";
    return SUBJECT_ORDINARY;
}

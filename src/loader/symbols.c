/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Places in images as file, line and function. addr2line (or llvm-symbolizer, which speaks as it does) is run
 * as a program, once for all places that are wanted of an image; what it says is kept. Where neither is
 * there, the image's own table of functions must do: "function+0x1c".
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "loader/cc_inside.h"
#include "loader/internal.h"

#define AT_ONCE 512

struct known {
    const struct image *image;
    uint64_t at;
    char *text; /* NULL: not asked yet, or nothing was said */
    bool asked;
};

struct symbols {
    struct known *list;
    size_t count, room;
    bool none; /* no program was found */
};

int symbols_create(struct symbols **out)
{
    *out = calloc(1, sizeof **out);
    return *out != NULL ? 0 : -ENOMEM;
}

void symbols_destroy(struct symbols *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < s->count; i++)
        free(s->list[i].text);
    free(s->list);
    free(s);
}

static struct known *find(struct symbols *s, const struct site *site)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->list[i].image == site->image && s->list[i].at == site->at)
            return &s->list[i];
    return NULL;
}

bool symbols_want(struct symbols *s, const struct site *site)
{
    if (site->image == NULL || find(s, site) != NULL)
        return true;
    if (s->count == s->room) {
        size_t room = s->room == 0 ? 64 : s->room * 2;
        struct known *more = realloc(s->list, room * sizeof *more);

        if (more == NULL)
            return false;
        s->list = more;
        s->room = room;
    }
    s->list[s->count++] = (struct known){.image = site->image, .at = site->at};
    return true;
}

/* "function\nfile:line\n" as "file:line (function)". */
static char *words(const char *function, const char *place)
{
    const char *slash = strrchr(place, '/');
    size_t size = strcspn(place, " "); /* "... (discriminator 3)" */
    char *text = NULL;

    if (function[0] == '?' || place[0] == '?')
        return NULL;
    if (slash != NULL && (size_t)(slash - place) < size) {
        size -= (size_t)(slash + 1 - place);
        place = slash + 1;
    }
    if (asprintf(&text, "%.*s (%s)", (int)size, place, function) < 0)
        return NULL;
    return text;
}

static bool ask(struct symbols *s, const struct image *image, const char *program)
{
    struct known *asked[AT_ONCE];
    struct cc_list argv = {0};
    size_t count = 0, size = 1 << 20;
    char *said = malloc(size);
    bool ok;

    cc_add(&argv, "%s", program);
    if (strcmp(program, "llvm-symbolizer") == 0) {
        cc_add(&argv, "--output-style=GNU");
        cc_add(&argv, "--no-inlines");
    }
    cc_add(&argv, "-f");
    cc_add(&argv, "-e");
    cc_add(&argv, "%s", image->path);
    for (size_t i = 0; i < s->count && count < AT_ONCE; i++)
        if (s->list[i].image == image && !s->list[i].asked) {
            asked[count++] = &s->list[i];
            cc_add(&argv, "0x%llx", (unsigned long long)s->list[i].at);
        }
    ok = said != NULL && cc_ask(&argv, said, size);
    if (ok) {
        char *line = said;

        for (size_t i = 0; i < count; i++) {
            char *place = strchr(line, '\n'), *end;

            asked[i]->asked = true;
            if (place == NULL)
                continue;
            *place++ = '\0';
            end = strchr(place, '\n');
            if (end != NULL)
                *end = '\0';
            asked[i]->text = words(line, place);
            line = end != NULL ? end + 1 : place + strlen(place);
        }
    }
    cc_list_free(&argv);
    free(said);
    return ok;
}

const char *symbols_text(struct symbols *s, const struct site *site, char *buf, size_t size)
{
    const struct elf_function *f;
    struct known *k;

    if (site->image == NULL) {
        snprintf(buf, size, "a place that is in no driver");
        return buf;
    }
    k = symbols_want(s, site) ? find(s, site) : NULL;
    if (k != NULL && !k->asked && !s->none && !ask(s, site->image, "addr2line") &&
        !ask(s, site->image, "llvm-symbolizer"))
        s->none = true;
    if (k != NULL && k->text != NULL) {
        snprintf(buf, size, "%s", k->text);
        return buf;
    }
    f = elf_function_at(image_elf(site->image), site->at);
    if (f != NULL)
        snprintf(buf, size, "%s+0x%llx", f->name, (unsigned long long)(site->at - f->at));
    else
        snprintf(buf, size, "%s+0x%llx", site->image->shown, (unsigned long long)site->at);
    return buf;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the ledger found: kept as it comes (any thread), with its call sites as places in images; put into
 * words at the end, when their images may have gone. 10,000 are kept, the others counted.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "loader/internal.h"

#define KEPT 10000

static const char *in_words(struct loader *l, const struct ledger_finding *is, const struct site sites[3],
                            bool places, char *buf, size_t size);

struct finding {
    struct ledger_finding is; /* driver and text are copies */
    struct site sites[3];     /* opened, closed, used */
};

struct findings {
    struct loader *loader;
    struct rt_mutex *lock;
    struct finding *list;
    size_t count, room;
    struct loader_counts counts;
};

int findings_create(struct loader *l, struct findings **out)
{
    struct findings *f = calloc(1, sizeof *f);

    *out = NULL;
    if (f == NULL)
        return -ENOMEM;
    f->loader = l;
    if (rt_mutex_create(&f->lock) != 0) {
        free(f);
        return -ENOMEM;
    }
    *out = f;
    return 0;
}

void findings_destroy(struct findings *f)
{
    if (f == NULL)
        return;
    for (size_t i = 0; i < f->count; i++) {
        free((char *)f->list[i].is.driver);
        free((char *)f->list[i].is.text);
    }
    free(f->list);
    rt_mutex_destroy(f->lock);
    free(f);
}

static bool room(struct findings *f)
{
    struct finding *more;
    size_t wanted = f->room == 0 ? 64 : f->room * 2;

    if (f->count < f->room)
        return true;
    if (f->count >= KEPT || (more = realloc(f->list, wanted * sizeof *more)) == NULL)
        return false;
    f->list = more;
    f->room = wanted;
    return true;
}

void findings_add(void *ctx, const struct ledger_finding *found)
{
    struct findings *f = ctx;
    struct finding new = {.is = *found};
    const struct image *images = f->loader->images;

    new.sites[0] = site_of(images, found->opened);
    new.sites[1] = site_of(images, found->closed);
    new.sites[2] = site_of(images, found->used);
    new.is.driver = strdup(found->driver != NULL ? found->driver : "");
    new.is.text = found->text != NULL ? strdup(found->text) : NULL;
    rt_mutex_lock(f->lock);
    if (found->fault == LEDGER_NOTE)
        f->counts.notes++;
    else
        f->counts.faults++;
    if (new.is.driver != NULL && room(f)) {
        f->list[f->count++] = new;
    } else {
        f->counts.dropped++;
        free((char *)new.is.driver);
        free((char *)new.is.text);
    }
    rt_mutex_unlock(f->lock);
    if (f->loader->config.found != NULL) {
        char line[1024];

        in_words(f->loader, found, new.sites, false, line, sizeof line);
        f->loader->config.found(f->loader->config.ctx, found, line);
    }
}

void loader_counts(const struct loader *l, struct loader_counts *out)
{
    *out = l->findings->counts;
}

/* ---- words ----------------------------------------------------------------------------------------------
 */

struct line {
    char *to;
    size_t size, at;
    struct loader *l;
    bool places;
};

static void add(struct line *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(struct line *w, const char *format, ...)
{
    va_list args;
    int size;

    va_start(args, format);
    size = vsnprintf(w->to + w->at, w->size - w->at, format, args);
    va_end(args);
    if (size > 0)
        w->at = w->at + (size_t)size < w->size ? w->at + (size_t)size : w->size - 1;
}

/* " opened by FwpsPendOperation0 at inspect.c:812 (function)" */
static void add_site(struct line *w, const char *verb, const struct site *s, bool there)
{
    char text[256];

    if (!there)
        return;
    add(w, "%s", verb);
    if (s->called[0] != '\0')
        add(w, " by %s", s->called);
    if (s->image != NULL && w->places)
        add(w, " at %s", symbols_text(w->l->symbols, s, text, sizeof text));
}

static void add_thing(struct line *w, const struct ledger_finding *f)
{
    add(w, "%s", ledger_kind_name(f->kind));
    if (f->number != 0)
        add(w, " %llu", (unsigned long long)f->number);
    if (f->number == 0 && f->fault == LEDGER_LEFT && f->size != 0)
        add(w, " (%llu of them)", (unsigned long long)f->size);
    else if (f->size != 0 && f->kind == LEDGER_POOL)
        add(w, " (%llu bytes%s%s)", (unsigned long long)f->size, f->text != NULL ? ", " : "",
            f->text != NULL && f->fault != LEDGER_FOREIGN && f->fault != LEDGER_WRONG ? f->text : "");
    else if (f->text != NULL && f->fault != LEDGER_FOREIGN && f->fault != LEDGER_WRONG)
        add(w, " (%s)", f->text);
}

/* The file's name, where the driver is one. */
static const char *shown(const struct loader *l, const char *driver)
{
    for (const struct image *i = l->images; i != NULL; i = i->next)
        if (i->service != NULL && strcmp(i->service, driver) == 0)
            return i->shown;
    return driver;
}

/* sites: opened, closed, used. */
static const char *in_words(struct loader *l, const struct ledger_finding *is, const struct site sites[3],
                            bool places, char *buf, size_t size)
{
    struct line w = {.to = buf, .size = size, .l = l, .places = places};
    const struct site *at_open = &sites[0], *at_close = &sites[1], *at_use = &sites[2];
    bool opened = is->opened != NULL, closed = is->closed != NULL, used = is->used != NULL;

    add(&w, "%s: ", shown(l, is->driver));
    switch (is->fault) {
    case LEDGER_LEFT:
        add_thing(&w, is);
        add(&w, " left at unload");
        add_site(&w, ": opened", at_open, opened);
        break;
    case LEDGER_TWICE:
        add_thing(&w, is);
        add(&w, " closed twice");
        add_site(&w, ": again", at_use, used);
        add_site(&w, used ? "; first" : ": again", at_close, closed);
        add_site(&w, "; opened", at_open, opened);
        break;
    case LEDGER_UNKNOWN:
        add_thing(&w, is);
        add(&w, " closed, but there is none");
        add_site(&w, ": closed", at_close, closed);
        add_site(&w, ": closed", at_use, used && !closed);
        break;
    case LEDGER_FOREIGN:
        add_thing(&w, is);
        add(&w, " closed by another driver%s%s", is->text != NULL ? ": " : "",
            is->text != NULL ? is->text : "");
        add_site(&w, ", closed", at_close, closed);
        add_site(&w, ", closed", at_use, used && !closed);
        add_site(&w, "; opened", at_open, opened);
        break;
    case LEDGER_AFTER:
        add_thing(&w, is);
        add(&w, " used after it was closed");
        add_site(&w, ": used", at_use, used);
        add_site(&w, "; closed", at_close, closed);
        add_site(&w, "; opened", at_open, opened);
        break;
    case LEDGER_WRONG:
        add_thing(&w, is);
        add(&w, " closed as what it is not%s%s", is->text != NULL ? ": " : "",
            is->text != NULL ? is->text : "");
        add_site(&w, ", closed", at_close, closed);
        add_site(&w, ", closed", at_use, used && !closed);
        add_site(&w, "; opened", at_open, opened);
        break;
    default:
        add(&w, "%s", is->text != NULL ? is->text : is->fault == LEDGER_BUGCHECK ? "stops the machine" : "");
        add_site(&w, ": called", at_use, used);
        add_site(&w, ": called", at_close, closed && !used);
        add_site(&w, ": called", at_open, opened && !used && !closed);
        break;
    }
    return buf;
}

void loader_findings_each(struct loader *l,
                          void (*fn)(void *ctx, const struct ledger_finding *f, const char *line), void *ctx)
{
    struct findings *f = l->findings;
    char line[2048];

    rt_mutex_lock(f->lock);
    for (size_t i = 0; i < 3 * f->count; i++)
        (void)symbols_want(l->symbols, &f->list[i / 3].sites[i % 3]);
    for (size_t i = 0; i < f->count; i++)
        fn(ctx, &f->list[i].is, in_words(l, &f->list[i].is, f->list[i].sites, true, line, sizeof line));
    rt_mutex_unlock(f->lock);
}

static void print(void *ctx, const struct ledger_finding *f, const char *line)
{
    fprintf(ctx, "%s%s\n", f->fault == LEDGER_NOTE ? "note: " : "", line);
}

void loader_findings_print(struct loader *l, FILE *out)
{
    struct loader_counts c;

    loader_findings_each(l, print, out);
    loader_counts(l, &c);
    if (c.dropped != 0)
        fprintf(out, "... and %llu more\n", (unsigned long long)c.dropped);
}

const char *loader_site(struct loader *l, const void *site, char *buf, size_t size)
{
    struct site s = site_of(l->images, site);

    return symbols_text(l->symbols, &s, buf, size);
}

const char *loader_function(struct loader *l, const void *at)
{
    for (const struct image *i = l->images; i != NULL; i = i->next) {
        const uintptr_t place = (uintptr_t)at;
        const struct elf_function *f;

        if (place < i->from || place >= i->to)
            continue;
        f = elf_function_at(image_elf(i), place - i->bias);
        return f != NULL && f->at == place - i->bias ? f->name : NULL;
    }
    return NULL;
}

bool loader_has_function(struct loader *l, const char *name)
{
    for (const struct image *i = l->images; i != NULL; i = i->next) {
        const struct elf *e = image_elf(i);

        for (size_t n = 0; n < e->function_count; n++)
            if (strcmp(e->functions[n].name, name) == 0)
                return true;
    }
    return false;
}

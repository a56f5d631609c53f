/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loader of one engine: a ledger, a kernel, and the drivers in it from load to unload.
 *
 *   LOADED --start--> STARTED (DriverEntry succeeded) or FAILED --[shutdown]--unload--> gone
 *
 * Unload asks the driver, then settles its account, then takes its objects, its API context (which closes the
 * engine handles it left) and its image, in this order: whoever reports something still finds the image
 * mapped. What is known of an image stays until the loader goes.
 */
#include "loader/loader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/host_stream.h"
#include "loader/internal.h"

#define PATIENCE_NS 10000000000ull
#define LATE_NS     600000000000ull /* DriverEntry, DriverUnload and shutdown routines may take so long */

const char *loader_status_name(NTSTATUS status, char *buf, size_t size)
{
    const char *name = engine_status_name((UINT32)status);

    if (name != NULL)
        snprintf(buf, size, "%s", name);
    else
        snprintf(buf, size, "status 0x%08x", (unsigned)status);
    return buf;
}

/* ---- what drivers print ---------------------------------------------------------------------------------
 */

static void print(void *ctx, const char *driver, uint32_t component, uint32_t level, const char *text)
{
    struct loader *l = ctx;

    (void)component;
    (void)level;
    while (*text != '\0') {
        size_t size = strcspn(text, "\r\n");
        char line[1024];
        size_t shown = size < sizeof line ? size : sizeof line - 1;

        memcpy(line, text, shown);
        line[shown] = '\0';
        if (size != 0 && l->config.print != NULL)
            l->config.print(l->config.ctx, driver, line);
        else if (size != 0)
            fprintf(stderr, "%s: %s\n", driver, line);
        text += size + strspn(text + size, "\r\n");
    }
}

/* ---- life -----------------------------------------------------------------------------------------------
 */

int loader_create(const struct loader_config *config, struct loader **out)
{
    struct loader *l = calloc(1, sizeof *l);
    struct ledger_config ledger = {.mode = config->mode, .found = findings_add};
    struct nt_config nt = {.print = print, .bugcheck = crash_bugcheck};
    int err = -ENOMEM;

    *out = NULL;
    if (l == NULL)
        return -ENOMEM;
    l->config = *config;
    if (l->config.clock == NULL)
        l->config.clock = rt_clock_of_thread();
    err = findings_create(l, &l->findings);
    if (err == 0)
        err = symbols_create(&l->symbols);
    if (err == 0) {
        ledger.clock = l->config.clock;
        ledger.ctx = l->findings;
        err = ledger_create(&ledger, &l->ledger);
    }
    if (err == 0) {
        nt.clock = l->config.clock;
        nt.ledger = l->ledger;
        nt.ctx = l;
        err = nt_create(&nt, &l->nt);
    }
    if (err != 0) {
        loader_destroy(l);
        return err;
    }
    *out = l;
    return 0;
}

void loader_destroy(struct loader *l)
{
    struct loader_error error;

    if (l == NULL)
        return;
    if (l->nt != NULL)
        loader_shutdown(l, 0);
    while (l->drivers != NULL)
        (void)loader_driver_unload(l->drivers, 0, &error);
    if (l->nt != NULL)
        nt_destroy(l->nt);
    if (l->ledger != NULL)
        ledger_destroy(l->ledger);
    findings_destroy(l->findings);
    symbols_destroy(l->symbols);
    while (l->images != NULL) {
        struct image *i = l->images;

        l->images = i->next;
        image_free(i);
    }
    free(l);
}

struct nt *loader_nt(struct loader *l)
{
    return l->nt;
}

struct ledger *loader_ledger(struct loader *l)
{
    return l->ledger;
}

/* ---- drivers --------------------------------------------------------------------------------------------
 */

/* The program's own image, once. */
static struct image *program_image(struct loader *l)
{
    struct image *i;

    for (i = l->images; i != NULL; i = i->next)
        if (i->program)
            return i;
    if (image_open_program(&i) != 0)
        return NULL;
    i->next = l->images;
    l->images = i;
    return i;
}

/* What the service is called: the file's name up to its first dot. */
static char *service_name(const struct loader_driver_config *config)
{
    const char *base = config->name;

    if (base != NULL)
        return strdup(base);
    base = strrchr(config->path, '/') != NULL ? strrchr(config->path, '/') + 1 : config->path;
    return strndup(base, strcspn(base, "."));
}

static void forget(struct loader_driver *d)
{
    struct loader *l = d->loader;

    for (struct loader_driver **at = &l->drivers; *at != NULL; at = &(*at)->next)
        if (*at == d) {
            *at = d->next;
            break;
        }
    if (d->nt != NULL)
        nt_driver_destroy(d->nt);
    if (d->api != NULL)
        api_context_destroy(d->api);
    free(d->shown);
    free(d);
}

int loader_driver_load(struct loader *l, const struct loader_driver_config *config,
                       struct loader_driver **out, struct loader_error *error)
{
    struct loader_driver *d = calloc(1, sizeof *d);
    struct api_config api = {.engine = l->config.engine, .bfe = l->config.bfe, .host = l->config.host};
    struct nt_driver_config nt = {.parameters = config->parameters,
                                  .parameter_count = config->parameter_count};
    char *service = d != NULL ? service_name(config) : NULL;
    int err = -ENOMEM;

    *out = NULL;
    snprintf(error->text, sizeof error->text, "%s: %s", config->path != NULL ? config->path : config->name,
             strerror(ENOMEM));
    if (d == NULL || service == NULL)
        goto out;
    d->loader = l;
    if (config->path != NULL) {
        err = image_open(config->path, &d->image, error);
        if (err != 0)
            goto out;
        d->image->next = l->images;
        l->images = d->image;
        d->image->service = service;
        nt.entry = d->image->entry;
        nt.image = d->image->path;
        d->shown = strdup(d->image->shown);
        service = NULL;
    } else {
        (void)program_image(l);
        nt.entry = config->entry;
        d->shown = strdup(service);
    }
    nt.name = service != NULL ? service : d->image->service;
    err = d->shown == NULL ? -ENOMEM : api_context_create(&api, &d->api);
    if (err == 0) {
        nt.context = api_rt(d->api);
        err = nt_driver_create(l->nt, &nt, &d->nt);
    }
    if (err != 0)
        goto out;
    d->next = l->drivers;
    l->drivers = d;
    *out = d;
out:
    if (err != 0 && d != NULL) {
        struct image *image = d->image;

        forget(d);
        if (image != NULL)
            image_unmap(image);
    }
    free(service);
    return err;
}

/* ---- calls that have to come back -----------------------------------------------------------------------
 */

/* Beside a call of DriverEntry, DriverUnload or a shutdown routine a thread waits for its end: so long by the loader's clock,
 * then the run ends with a message. (A function that spins never lets this thread in: that is the world's
 * watchdog's to find.) */
struct watch {
    struct rt_mutex *lock;
    struct rt_cond *changed;
    struct rt_thread *thread;
    bool done; /* lock */
    uint64_t deadline_ns;
    const char *driver, *function;
};

static void watch(void *arg)
{
    struct watch *w = arg;
    int err = 0;

    rt_mutex_lock(w->lock);
    while (!w->done && err == 0)
        err = rt_cond_wait(w->changed, w->lock, w->deadline_ns);
    if (!w->done)
        crash_late(w->driver, w->function);
    rt_mutex_unlock(w->lock);
}

static int watch_begin(struct watch *w, const struct loader_driver *d, const char *function)
{
    struct rt_clock *clock = d->loader->config.clock;

    *w = (struct watch){
        .deadline_ns = rt_clock_now(clock) + LATE_NS, .driver = d->shown, .function = function};
    if (rt_mutex_create(&w->lock) != 0)
        return -ENOMEM;
    if (rt_cond_create(clock, &w->changed) == 0) {
        if (rt_thread_start("loader", watch, w, &w->thread) == 0)
            return 0;
        rt_cond_destroy(w->changed);
    }
    rt_mutex_destroy(w->lock);
    return -ENOMEM;
}

static void watch_end(struct watch *w)
{
    rt_mutex_lock(w->lock);
    w->done = true;
    rt_mutex_unlock(w->lock);
    rt_cond_broadcast(w->changed);
    rt_thread_join(w->thread);
    rt_cond_destroy(w->changed);
    rt_mutex_destroy(w->lock);
}

NTSTATUS loader_driver_start(struct loader_driver *d, struct loader_error *error)
{
    struct watch w;
    NTSTATUS status = STATUS_INSUFFICIENT_RESOURCES;
    char name[64];

    if (watch_begin(&w, d, "DriverEntry") == 0) {
        loader_crash_doing("DriverEntry", 0);
        status = nt_driver_start(d->nt);
        loader_crash_doing(NULL, 0);
        watch_end(&w);
    }
    d->started = NT_SUCCESS(status);
    error->text[0] = '\0';
    if (!NT_SUCCESS(status))
        snprintf(error->text, sizeof error->text, "%s: DriverEntry failed: %s", d->shown,
                 loader_status_name(status, name, sizeof name));
    return status;
}

NTSTATUS loader_driver_unload(struct loader_driver *d, uint64_t patience_ns, struct loader_error *error)
{
    struct ledger_party *party = api_rt(d->api)->party;
    struct loader *l = d->loader;
    struct image *image = d->image;
    struct watch w;
    bool watched = watch_begin(&w, d, "DriverUnload") == 0;
    NTSTATUS status;

    error->text[0] = '\0';
    loader_crash_doing("DriverUnload", 0);
    status = nt_driver_unload(d->nt, patience_ns != 0 ? patience_ns : PATIENCE_NS);
    loader_crash_doing(NULL, 0);
    if (watched)
        watch_end(&w);
    if (status != STATUS_TIMEOUT && l->config.host != NULL)
        host_stream_driver_gone(l->config.host);
    if (party != NULL)
        (void)ledger_settle(party);
    if (status != STATUS_TIMEOUT)
        api_callouts_abandon(d->api);
    if (status == STATUS_TIMEOUT)
        snprintf(error->text, sizeof error->text, "%s: something of it still runs long after it was unloaded",
                 d->shown);
    else if (status == STATUS_INVALID_DEVICE_REQUEST && d->started)
        snprintf(error->text, sizeof error->text, "%s: it has no unload routine", d->shown);
    else if (!NT_SUCCESS(status) && d->started)
        snprintf(error->text, sizeof error->text, "%s: it cannot be unloaded", d->shown);
    forget(d);
    if (image != NULL && status != STATUS_TIMEOUT)
        image_unmap(image);
    return status;
}

/* By the driver itself: a program that has it linked in may have given it another name. */
static const struct loader_driver *driver_of(const struct loader *l, const struct nt_driver *nt)
{
    const struct loader_driver *d = l->drivers;

    while (d != NULL && d->nt != nt)
        d = d->next;
    return d;
}

void loader_shutdown(struct loader *l, uint64_t patience_ns)
{
    const struct nt_driver *whose;
    NTSTATUS status;

    while ((whose = nt_shutdown_whose(l->nt)) != NULL) {
        const struct loader_driver *d = driver_of(l, whose);
        struct watch w;
        bool watched = d != NULL && watch_begin(&w, d, "its shutdown routine") == 0;

        loader_crash_doing("the shutdown", 0);
        (void)nt_shutdown_next(l->nt, patience_ns != 0 ? patience_ns : PATIENCE_NS, &status);
        loader_crash_doing(NULL, 0);
        if (watched)
            watch_end(&w);
    }
}

const char *loader_driver_name(const struct loader_driver *d)
{
    return d->shown;
}

struct nt_driver *loader_driver_nt(struct loader_driver *d)
{
    return d->nt;
}

struct api_context *loader_driver_api(struct loader_driver *d)
{
    return d->api;
}

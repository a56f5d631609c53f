/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir.h: drivers. The loader does the work; here it is made with the engine, and its calls that wait (DriverEntry,
 * DriverUnload) run on a thread of their own, beside which the world goes on: packets arrive and timers end while
 * a driver waits for them.
 *
 *   weir_driver_with() --> loader_driver_load(), faults set --> embed_beside(DriverEntry) --> handle
 *   weir_driver_unload() --> embed_beside(DriverUnload), account settled --> handle ends
 *   weir_destroy() --> embed_drivers_destroy(): what is left is unloaded, last loaded first
 *
 * A DriverEntry that fails is no misuse: weir_error() says its status, what it left is in weir_findings(). A driver
 * that never comes back from DriverEntry or DriverUnload is the loader's to end (600 s of the world's time), or
 * hang.c's.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "embed/machine.h"

#define LATE_NS 700000000000ull /* beyond what the loader allows DriverEntry and DriverUnload */

struct embed_driver {
    struct embed_driver *next; /* newest first */
    void *handle;
    struct loader_driver *driver;
};
struct embed_drivers {
    struct embed_driver *first;
};

/* ---- beside the world ---------------------------------------------------------------------------------- */

struct beside {
    struct embed *e;
    void (*fn)(void *arg);
    void *arg;
    atomic_bool done;
};

static void beside_main(void *arg)
{
    struct beside *b = arg;

    b->fn(b->arg);
    atomic_store(&b->done, true);
    embed_world_wake(b->e);
}

static bool is_done(void *ctx)
{
    struct beside *b = ctx;

    return atomic_load(&b->done);
}

void embed_beside(struct embed *e, const char *name, void (*fn)(void *arg), void *arg, uint64_t patience_ns)
{
    struct beside b = {.e = e, .fn = fn, .arg = arg};
    struct rt_thread *thread;

    if (rt_thread_start(name, beside_main, &b, &thread) != 0) {
        fn(arg); /* no memory for a thread: the world stands still meanwhile */
        return;
    }
    while (!embed_run_until(e, embed_now(e) + patience_ns, is_done, &b))
        embed_hang(e, name);
    rt_thread_join(thread);
}

/* ---- life ---------------------------------------------------------------------------------------------- */

static void print(void *ctx, const char *driver, const char *line)
{
    struct embed *e = ctx;
    char text[1200];

    snprintf(text, sizeof text, "%s: %s", driver, line);
    embed_event(e, &(struct weir_event){.kind = WEIR_EVENT_PRINT, .text = text});
    if (e->config.print != NULL)
        e->config.print(e->config.ctx, driver, line);
    else
        fprintf(stderr, "%s\n", text);
}

static void found(void *ctx, const struct ledger_finding *f, const char *words)
{
    (void)f;
    embed_event(ctx, &(struct weir_event){.kind = WEIR_EVENT_FINDING, .text = words});
}

int embed_drivers_create(struct embed *e)
{
    struct loader_config config = {.engine = e->engine,
                                   .bfe = e->bfe,
                                   .host = e->host,
                                   .clock = e->clock,
                                   .mode = LEDGER_FULL,
                                   .print = print,
                                   .found = found,
                                   .ctx = e};

    e->drivers = calloc(1, sizeof *e->drivers);
    return e->drivers != NULL ? loader_create(&config, &e->loader) : -ENOMEM;
}

static void forget(struct embed *e, struct embed_driver *d)
{
    for (struct embed_driver **at = &e->drivers->first; *at != NULL; at = &(*at)->next)
        if (*at == d) {
            *at = d->next;
            break;
        }
    if (d->handle != NULL)
        embed_handle_end(e, d->handle);
    free(d);
}

/* So long DriverEntry and DriverUnload may take. The loader ends those that take 600 s of the world's time; in real time
 * nobody wants to wait for that. */
static uint64_t patience(const struct embed *e)
{
    return e->config.real_time ? embed_hang_ns(e) : LATE_NS;
}

/* ---- load ---------------------------------------------------------------------------------------------- */

struct start {
    struct loader_driver *driver;
    struct loader_error why;
    NTSTATUS status;
};

static void start(void *arg)
{
    struct start *s = arg;

    s->status = loader_driver_start(s->driver, &s->why);
}

struct stop {
    struct loader_driver *driver;
    struct loader_error why;
    NTSTATUS status;
};

static void stop(void *arg)
{
    struct stop *s = arg;

    s->status = loader_driver_unload(s->driver, 0, &s->why);
}

/* What is wrong with it; NULL: nothing. */
static const char *fault_of(const struct weir_driver_config *c)
{
    if (c == NULL)
        return "no driver is named";
    if ((c->image == NULL) == (c->entry == NULL))
        return "expected an image or a DriverEntry, one of them";
    if (c->parameter_count != 0 && c->parameters == NULL)
        return "parameters are announced and not given";
    for (size_t i = 0; i < c->parameter_count; i++)
        if (c->parameters[i].name == NULL)
            return "a parameter has no name";
    return NULL;
}

static struct nt_parameter *parameters_of(const struct weir_driver_config *c)
{
    struct nt_parameter *all = calloc(c->parameter_count + 1, sizeof *all);

    for (size_t i = 0; all != NULL && i < c->parameter_count; i++)
        all[i] = (struct nt_parameter){.name = c->parameters[i].name,
                                       .is_string = c->parameters[i].string != NULL,
                                       .string = c->parameters[i].string,
                                       .number = c->parameters[i].number};
    return all;
}

static struct weir_driver *load(struct embed *e, const struct weir_driver_config *c)
{
    struct nt_parameter *parameters = parameters_of(c);
    struct loader_driver_config config = {.path = c->image,
                                          .entry = (PDRIVER_INITIALIZE)c->entry,
                                          .name = c->name != NULL || c->image != NULL ? c->name : "driver",
                                          .parameters = parameters,
                                          .parameter_count = c->parameter_count};
    struct embed_driver *d = calloc(1, sizeof *d);
    struct start s = {.why = {"out of memory"}};

    if (parameters == NULL || d == NULL || loader_driver_load(e->loader, &config, &s.driver, &s.why) != 0) {
        embed_error("%s", s.why.text);
        free(parameters);
        free(d);
        return NULL;
    }
    free(parameters);
    d->driver = s.driver;
    d->next = e->drivers->first;
    e->drivers->first = d;
    d->handle = embed_handle_new(e, EMBED_DRIVER, d);
    if (d->handle != NULL) {
        embed_faults_watch(e, loader_driver_api(d->driver));
        embed_beside(e, "DriverEntry", start, &s, patience(e));
        if (NT_SUCCESS(s.status))
            return d->handle;
    }
    embed_error("%s", s.why.text);
    embed_beside(e, "DriverUnload", stop, &(struct stop){.driver = d->driver}, patience(e));
    forget(e, d);
    return NULL;
}

struct weir_driver *weir_driver_with(struct weir *w, const struct weir_driver_config *config)
{
    struct embed *e;
    const char *wrong = fault_of(config);

    if (EMBED_ENTER(EMBED_ENGINE, w, &e) == NULL)
        return NULL;
    if (wrong != NULL) {
        embed_failed(e, __func__, "%s", wrong);
        return NULL;
    }
    return load(e, config);
}

struct weir_driver *weir_driver(struct weir *w, const char *image)
{
    struct embed *e;

    if (EMBED_ENTER(EMBED_ENGINE, w, &e) == NULL)
        return NULL;
    if (image == NULL) {
        embed_failed(e, __func__, "no driver is named");
        return NULL;
    }
    return load(e, &(struct weir_driver_config){.image = image});
}

/* ---- unload -------------------------------------------------------------------------------------------- */

static int unload(struct embed *e, struct embed_driver *d)
{
    struct stop s = {.driver = d->driver};

    embed_beside(e, "DriverUnload", stop, &s, patience(e));
    forget(e, d);
    if (s.why.text[0] != '\0')
        embed_error("%s", s.why.text);
    if (s.status == STATUS_TIMEOUT)
        return -EBUSY;
    return NT_SUCCESS(s.status) ? 0 : -ENOTSUP;
}

int weir_driver_unload(struct weir_driver *driver)
{
    struct embed *e;
    struct embed_driver *d = EMBED_ENTER(EMBED_DRIVER, driver, &e);
    int err;

    if (d == NULL)
        return -EINVAL;
    err = unload(e, d);
    embed_settle_call(e); /* what it completed goes on within the call */
    return err;
}

static void shut_down(void *arg)
{
    loader_shutdown(arg, 0);
}

void embed_drivers_destroy(struct embed *e)
{
    embed_holds_end(e);
    embed_devices_close(e, 0);
    if (e->loader != NULL && e->drivers != NULL && e->drivers->first != NULL)
        embed_beside(e, "the shutdown", shut_down, e->loader, patience(e));
    while (e->drivers != NULL && e->drivers->first != NULL)
        (void)unload(e, e->drivers->first);
    if (e->loader != NULL)
        loader_destroy(e->loader);
    e->loader = NULL;
    free(e->drivers);
    e->drivers = NULL;
}

bool embed_drivers_any(const struct embed *e)
{
    return e->drivers->first != NULL;
}

void embed_drivers_each(struct embed *e, void (*fn)(void *ctx, struct loader_driver *d), void *ctx)
{
    for (struct embed_driver *d = e->drivers->first; d != NULL; d = d->next)
        fn(ctx, d->driver);
}

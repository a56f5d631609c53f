/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir replay: drivers (--driver, --param, --control, --seed). They are loaded in the replay's simulated
 * world before the first frame and unloaded after the last; what they left or did wrong is told then, and
 * makes the exit status.
 *
 *   drivers_prepare() -> struct replay_drivers -> replay_run(): start .. frames .. stop -> drivers_status()
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/replay.h"
#include "loader/loader.h"

#define WATCHDOG_NS 10000000000ull /* of real time in one function */
#define STACK_BYTES (256u << 10)
#define MAX_BLAMED  20 /* lines about what packets wait for */

struct drivers {
    const struct replay_options *o;
    struct explain_state *state;
    struct replay_drivers config;
    struct replay_run *run;
    void (*flush)(void *ctx); /* the other outputs */
    void *ctx;
    struct loader *loader;
    struct loader_driver *loaded[MAX_DRIVERS];
    unsigned count;
    struct loader_control *control;
    bool refused;
    struct loader_counts counts;
    size_t controls_failed, blamed;
};

static void print(void *ctx, const char *driver, const char *line)
{
    const struct drivers *d = ctx;

    if (!d->o->quiet)
        fprintf(stderr, "%s: %s\n", driver, line);
}

static void told(void *ctx, const char *step, NTSTATUS status, const char *answer)
{
    const struct drivers *d = ctx;
    const char *name = engine_status_name((UINT32)status);

    if (d->o->quiet && status == STATUS_SUCCESS)
        return;
    if (name != NULL)
        fprintf(stderr, "%s: %s%s%s\n", step, name, answer[0] != '\0' ? " " : "", answer);
    else
        fprintf(stderr, "%s: 0x%08x%s%s\n", step, (unsigned)status, answer[0] != '\0' ? " " : "", answer);
}

static int refuse(struct drivers *d, const struct loader_error *why, int err, struct capture_error *error)
{
    d->refused = true;
    snprintf(error->text, sizeof error->text, "%.*s", (int)sizeof error->text - 1, why->text);
    return err;
}

static int start_one(struct drivers *d, const struct replay_driver *it, struct capture_error *error)
{
    struct loader_driver_config config = {.path = it->file,
                                          .parameters = &d->o->parameters[it->first_parameter],
                                          .parameter_count = it->parameter_count};
    struct loader_driver **out = &d->loaded[d->count];
    struct loader_error why;
    int err = loader_driver_load(d->loader, &config, out, &why);

    if (err != 0)
        return refuse(d, &why, err, error);
    d->count++;
    if (!NT_SUCCESS(loader_driver_start(*out, &why)))
        return refuse(d, &why, -ENOEXEC, error);
    return 0;
}

static int start(void *ctx, struct host *h, struct capture_error *error)
{
    struct drivers *d = ctx;
    struct loader_config config = {.engine = d->state->engine,
                                   .bfe = d->state->bfe,
                                   .host = h,
                                   .mode = LEDGER_FULL,
                                   .print = print,
                                   .ctx = d};
    int err = loader_create(&config, &d->loader);

    for (unsigned i = 0; i < d->o->driver_count && err == 0; i++)
        err = start_one(d, &d->o->drivers[i], error);
    if (err == 0 && d->o->control_count != 0)
        err = loader_control_start(d->loader, d->o->controls, d->o->control_count, told, d, &d->control);
    return err;
}

/* Who is to blame for packets that waited until the end. */
static void one_held(void *ctx, const struct ledger_finding *f)
{
    struct drivers *d = ctx;
    char site[256];

    if (f->kind != LEDGER_PENDED_OPERATION && f->kind != LEDGER_NBL_REFERENCE && f->kind != LEDGER_NBL_CLONE)
        return;
    if (d->blamed++ < MAX_BLAMED)
        complain(0, "%s: %s %llu is still open at the end of the capture: since %s", f->driver,
                 ledger_kind_name(f->kind), (unsigned long long)f->number,
                 loader_site(d->loader, f->opened, site, sizeof site));
}

static void held(void *ctx, uint64_t packets)
{
    struct drivers *d = ctx;

    complain(0, "%llu packets still wait at the end of the capture", (unsigned long long)packets);
    if (d->loader != NULL)
        ledger_each(loader_ledger(d->loader), NULL, one_held, d);
    if (d->blamed > MAX_BLAMED)
        complain(0, "... and %zu more", d->blamed - MAX_BLAMED);
}

static void stop(void *ctx, struct host *h)
{
    struct drivers *d = ctx;
    struct loader_error why;

    (void)h;
    d->controls_failed = loader_control_finish(d->control);
    d->control = NULL;
    if (d->loader != NULL)
        loader_shutdown(d->loader, 0);
    while (d->count != 0) {
        NTSTATUS status = loader_driver_unload(d->loaded[--d->count], 0, &why);

        if (why.text[0] != '\0') {
            complain(0, "%s", why.text);
            d->counts.faults += status == STATUS_TIMEOUT;
        }
    }
    if (d->loader != NULL) {
        struct loader_counts c;

        loader_counts(d->loader, &c);
        loader_findings_print(d->loader, stderr);
        d->counts.faults += c.faults;
        d->counts.notes += c.notes;
        loader_destroy(d->loader);
    }
    d->loader = NULL;
}

/* A driver ends the process: what there is of the outputs. */
static void flush(void *ctx)
{
    struct drivers *d = ctx;

    if (d->run != NULL)
        replay_flush(d->run);
    d->flush(d->ctx);
}

int drivers_prepare(const struct replay_options *o, struct explain_state *state,
                    void (*flush_others)(void *ctx), void *ctx, struct drivers **out)
{
    struct drivers *d = calloc(1, sizeof *d);

    *out = d;
    if (d == NULL || loader_crash_watch(flush, d) != 0)
        return complain(EXIT_OS_ERROR, "out of memory");
    d->o = o;
    d->state = state;
    d->flush = flush_others;
    d->ctx = ctx;
    d->config = (struct replay_drivers){
        .start = start,
        .stop = stop,
        .held = held,
        .ctx = d,
        .world = {.seed = o->seed,
                  .shuffle = o->seed != 0,
                  .stack_bytes = loader_sanitized() ? 4 * STACK_BYTES : 0,
                  .watchdog_ns = WATCHDOG_NS,
                  .stuck = loader_crash_stuck,
                  .ctx = d},
    };
    return EXIT_PERMITTED;
}

const struct replay_drivers *drivers_config(const struct drivers *d)
{
    return &d->config;
}

void drivers_begun(struct drivers *d, struct replay_run *run)
{
    d->run = run;
}

int drivers_status(const struct drivers *d, int status)
{
    if (d->refused)
        return LOADER_EXIT_REFUSED;
    if (status > EXIT_UNDECIDED)
        return status;
    return d->counts.faults != 0 ? LOADER_EXIT_FINDINGS : status;
}

void drivers_destroy(struct drivers *d)
{
    if (d == NULL)
        return;
    loader_crash_unwatch();
    free(d);
}

/* Before anything else: the sanitizer's run-time that a driver needs. */
int drivers_restart(const struct replay_options *o)
{
    const char *files[MAX_DRIVERS];
    struct loader_error why;

    for (unsigned i = 0; i < o->driver_count; i++)
        files[i] = o->drivers[i].file;
    if (loader_sanitizer_restart(files, o->driver_count, &why))
        return EXIT_PERMITTED;
    return complain(LOADER_EXIT_REFUSED, "%s", why.text);
}

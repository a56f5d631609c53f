/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A kernel: made, taken down, found from the calling thread; the way into a driver and out; findings.
 *
 * What runs by itself in a kernel (workers, DPCs, timers) starts its threads when it is first needed and is
 * stopped by nt_destroy() in the order in which one feeds the other: timers, DPCs, work.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "nt/internal.h"

#define DEFAULT_PROCESSORS 4
#define DEFAULT_WORKERS    4
#define TEXT               256

int nt_create(const struct nt_config *config, struct nt **out)
{
    struct nt *k = calloc(1, sizeof(*k));

    if (k == NULL)
        return -ENOMEM;
    k->config = *config;
    k->number = rt_number();
    k->clock = config->clock;
    k->boot_ns = rt_clock_now(k->clock);
    k->processors = config->processors == 0 ? DEFAULT_PROCESSORS : config->processors;
    if (k->processors > NT_PROCESSORS_MAX)
        k->processors = NT_PROCESSORS_MAX;
    if (k->config.worker_threads == 0)
        k->config.worker_threads = DEFAULT_WORKERS;
    if (rt_mutex_create(&k->lock) != 0 || rt_mutex_create(&k->dispatch) != 0 ||
        rt_mutex_create(&k->spin) != 0 || rt_cond_create(k->clock, &k->spin_free) != 0 ||
        rt_cond_create(k->clock, &k->driver_idle) != 0 || rt_mutex_create(&k->stopped_lock) != 0 ||
        rt_cond_create(k->clock, &k->stopped) != 0 || nt_wait_create(k) != 0 || nt_dpc_create(k) != 0 ||
        nt_timer_create(k) != 0 || nt_work_create(k) != 0 || ob_room_create(&k->ob) != 0 ||
        nt_process_create(k) != 0 || nmr_create(k) != 0 || io_room_create(k, &k->io) != 0) {
        nt_destroy(k);
        return -ENOMEM;
    }
    *out = k;
    return 0;
}

void nt_destroy(struct nt *k)
{
    struct nt_driver *d;

    if (k == NULL)
        return;
    while (k->drivers != NULL)
        nt_driver_destroy(k->drivers);
    nt_timer_stop(k);
    nt_dpc_stop(k);
    nt_work_stop(k);
    nt_threads_join(k);
    if (nt_threads_reap(k))
        return; /* a thread of a driver never ended: what it may still look at stays */
    while ((d = k->lost) != NULL) {
        k->lost = d->next;
        nt_driver_free(d);
    }
    if (k->io != NULL)
        io_room_destroy(k->io);
    nmr_destroy(k);
    nt_callback_destroy(k);
    nt_process_destroy(k);
    nt_threads_destroy(k);
    if (k->ob != NULL)
        ob_room_destroy(k->ob);
    nt_work_destroy(k);
    nt_timer_destroy(k);
    nt_dpc_destroy(k);
    nt_wait_destroy(k);
    nt_pool_destroy(k);
    rt_cond_destroy(k->driver_idle);
    rt_cond_destroy(k->stopped);
    rt_mutex_destroy(k->stopped_lock);
    rt_cond_destroy(k->spin_free);
    rt_mutex_destroy(k->spin);
    rt_mutex_destroy(k->dispatch);
    rt_mutex_destroy(k->lock);
    free(k);
}

struct nt_driver *nt_driver_current(void)
{
    const struct rt_context *context = rt_current();

    return context == NULL ? NULL : context->driver;
}

struct nt *nt_current(void)
{
    const struct nt_driver *d = nt_driver_current();

    return d == NULL ? NULL : d->k;
}

struct nt_entered nt_enter(struct rt_context *context, KIRQL irql)
{
    struct rt_carried *carried = rt_carried();
    struct nt_entered was = {.context = rt_set_current(context), .irql = carried->irql, .inside = irql};

    carried->irql = irql;
    return was;
}

void nt_leave(struct nt_entered was, const char *function)
{
    struct rt_carried *carried = rt_carried();

    if (carried->irql != was.inside)
        nt_note(NULL, "%s was called at IRQL %u and came back at IRQL %u", function, was.inside,
                carried->irql);
    carried->irql = was.irql;
    rt_set_current(was.context);
}

/* ---- findings -------------------------------------------------------------------------------------------
 */
void nt_note(const void *site, const char *format, ...)
{
    char text[TEXT];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    ledger_report(LEDGER_NOTE, site, text);
}

static void bug(uint32_t code, const uint64_t parameters[4], const void *site, const char *format,
                va_list args)
{
    static const uint64_t none[4];
    struct nt_driver *d = nt_driver_current();
    char text[TEXT];

    vsnprintf(text, sizeof(text), format, args);
    ledger_report(LEDGER_BUGCHECK, site, text);
    if (d != NULL && d->k->config.bugcheck != NULL)
        d->k->config.bugcheck(d->k->config.ctx, d->name, code, parameters == NULL ? none : parameters);
}

void nt_bug(uint32_t code, const uint64_t parameters[4], const void *site, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    bug(code, parameters, site, format, args);
    va_end(args);
}

/* The thread is kept for ever: whoever watches over the run sees what it waits for. */
static _Noreturn void park(struct nt *k)
{
    rt_waits_for("the machine has stopped");
    if (k != NULL) {
        rt_mutex_lock(k->stopped_lock);
        for (;;)
            rt_cond_wait(k->stopped, k->stopped_lock, RT_FOREVER);
    }
    for (;;)
        rt_yield();
}

_Noreturn void nt_stop(uint32_t code, const uint64_t parameters[4], const void *site, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    bug(code, parameters, site, format, args);
    va_end(args);
    park(nt_current());
}

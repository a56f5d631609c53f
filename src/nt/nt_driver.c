/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drivers of a kernel: made, started, unloaded, taken down.
 *
 *   create --start--> DriverEntry --> started --unload--> DriverUnload, what runs runs out --> unloaded -->
 * destroy
 *
 * `running` counts what a driver has under way in the kernel's threads: system threads, DPCs queued or in
 * their routine, timers that are set, work items. Unload waits until it is 0; a driver that is destroyed
 * before (it did not run out in time) is first taken out of every queue.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "nt/internal.h"

int nt_driver_create(struct nt *k, const struct nt_driver_config *config, struct nt_driver **out)
{
    struct nt_driver *d = calloc(1, sizeof(*d));
    int rc = -ENOMEM;

    if (d == NULL)
        return -ENOMEM;
    d->k = k;
    d->context = config->context;
    d->entry = config->entry;
    d->name = strdup(config->name);
    d->image = strdup(config->image == NULL ? "" : config->image);
    if (d->name == NULL || d->image == NULL)
        goto fail;
    if (k->config.ledger != NULL) {
        d->party = ledger_party_add(k->config.ledger, d->name);
        if (d->party == NULL)
            goto fail;
    }
    d->context->driver = d;
    d->context->nt_kernel = d->k->number;
    d->context->party = d->party;
    rt_mutex_lock(k->lock);
    rt_mutex_lock(k->dispatch);
    d->number = ++k->driver_numbers;
    d->next = k->drivers;
    k->drivers = d;
    rt_mutex_unlock(k->dispatch);
    rt_mutex_unlock(k->lock);
    rc = io_driver_create(d, config, &d->io);
    if (rc != 0) {
        nt_driver_destroy(d);
        return rc;
    }
    *out = d;
    return 0;
fail:
    free(d->image);
    free(d->name);
    free(d);
    return rc;
}

NTSTATUS nt_driver_start(struct nt_driver *d)
{
    struct nt_entered was = nt_enter(d->context, PASSIVE_LEVEL);
    NTSTATUS status = d->entry(nt_driver_object(d), io_driver_registry_path(d->io));

    nt_leave(was, "DriverEntry");
    d->started = NT_SUCCESS(status);
    return status;
}

/* Waits until nothing of the driver is under way; STATUS_TIMEOUT. */
static NTSTATUS run_out(struct nt_driver *d, uint64_t deadline_ns)
{
    struct nt *k = d->k;
    NTSTATUS status = STATUS_SUCCESS;

    rt_mutex_lock(k->dispatch);
    while (d->running != 0 && status == STATUS_SUCCESS) {
        rt_waits_for("what a driver has under way, at its unload");
        if (rt_cond_wait(k->driver_idle, k->dispatch, deadline_ns) != 0 && d->running != 0)
            status = STATUS_TIMEOUT;
    }
    rt_mutex_unlock(k->dispatch);
    rt_waits_for(NULL);
    nt_threads_reap(k);
    return status;
}

NTSTATUS nt_driver_unload(struct nt_driver *d, uint64_t patience_ns)
{
    uint64_t now = rt_clock_now(d->k->clock);
    uint64_t deadline = patience_ns > RT_FOREVER - 1 - now ? RT_FOREVER : now + patience_ns;
    DRIVER_OBJECT *object = nt_driver_object(d);
    NTSTATUS status = STATUS_SUCCESS;
    struct nt_entered was;

    if (!d->unloaded) {
        was = nt_enter(d->context, PASSIVE_LEVEL);
        io_driver_unload_begin(d->io);
        if (!d->started)
            ; /* DriverEntry cleaned up after itself */
        else if (object->DriverUnload == NULL)
            status = STATUS_INVALID_DEVICE_REQUEST;
        else
            object->DriverUnload(object);
        nt_leave(was, "DriverUnload");
        if (status == STATUS_SUCCESS) {
            was = nt_enter(d->context, PASSIVE_LEVEL);
            io_driver_unload_end(d->io);
            nt_leave(was, "the framework's clean-up");
            d->unloaded = true;
        }
    }
    return status == STATUS_SUCCESS ? run_out(d, deadline) : status;
}

/* Out of the kernel's list. True: something of it still runs. */
static bool take_out(struct nt *k, struct nt_driver *d)
{
    bool runs;

    rt_mutex_lock(k->lock);
    rt_mutex_lock(k->dispatch);
    for (struct nt_driver **at = &k->drivers; *at != NULL; at = &(*at)->next) {
        if (*at == d) {
            *at = d->next;
            break;
        }
    }
    runs = d->running != 0;
    if (runs) {
        d->next = k->lost;
        k->lost = d;
    }
    rt_mutex_unlock(k->dispatch);
    rt_mutex_unlock(k->lock);
    return runs;
}

void nt_driver_free(struct nt_driver *d)
{
    free(d->image);
    free(d->name);
    free(d);
}

void nt_driver_destroy(struct nt_driver *d)
{
    struct nt *k;

    if (d == NULL)
        return;
    k = d->k;
    nt_notify_forget(d);
    nt_callbacks_forget(d);
    nmr_forget(d);
    nt_timers_forget(d);
    nt_dpcs_forget(d);
    nt_work_forget(d);
    nt_threads_reap(k);
    if (d->io != NULL)
        io_driver_destroy(d->io);
    d->context->driver = NULL;
    d->context->nt_kernel = 0;
    d->context->party = NULL;
    if (!take_out(k, d))
        nt_driver_free(d); /* else it goes with the kernel, if it ever ends */
}

const char *nt_driver_name(const struct nt_driver *d)
{
    return d->name;
}

DRIVER_OBJECT *nt_driver_object(struct nt_driver *d)
{
    return io_driver_object(d->io);
}

struct nt *nt_of_driver(struct nt_driver *d)
{
    return d->k;
}

void nt_driver_began(struct nt_driver *d)
{
    if (d == NULL)
        return;
    rt_mutex_lock(d->k->dispatch);
    d->running++;
    rt_mutex_unlock(d->k->dispatch);
}

void nt_driver_ended_locked(struct nt_driver *d)
{
    if (d != NULL && --d->running == 0)
        rt_cond_broadcast(d->k->driver_idle);
}

void nt_driver_ended(struct nt_driver *d)
{
    struct nt *k;

    if (d == NULL)
        return;
    k = d->k;
    rt_mutex_lock(k->dispatch);
    nt_driver_ended_locked(d);
    rt_mutex_unlock(k->dispatch);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nt: the door of the room that is the kernel a driver expects, on rt.
 *
 *   driver --Ke*, Ex*, Io*, Rtl*, Zw*, Wdf* (include/wdk)--> nt --> rt: threads, waits, virtual or real time
 *     ^                                                       |
 *     +-- DriverEntry, DriverUnload, dispatch routines, DPCs, work items, timers, threads --+
 *
 * The documented functions themselves are defined in this room, one file a subject; they find their kernel
 * through rt_current()->driver. A kernel (struct nt) belongs to one engine; drivers in it see each other's
 * devices and processes. All of it runs on both back ends of rt.
 *
 * Threads and IRQL: each thread carries its IRQL (rt_carried()); whoever calls into a driver sets it and
 * takes care that it comes back unchanged (nt_enter(), nt_leave()).
 */
#ifndef WEIR_NT_NT_H
#define WEIR_NT_NT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ledger/ledger.h"
#include "ntddk.h"
#include "rt/rt.h"

struct nt;
struct nt_driver;

struct nt_config {
    struct rt_clock *clock;
    struct ledger *ledger;   /* NULL: nothing is written down */
    unsigned processors;     /* as KeQueryActiveProcessorCount says; 0: 4 */
    unsigned worker_threads; /* of the system's work queues; 0: 4 */
    /* What DbgPrint and the others print, a line or a piece of one; NULL: nowhere. Any thread. */
    void (*print)(void *ctx, const char *driver, uint32_t component, uint32_t level, const char *text);
    /* A driver did what would stop the machine (KeBugCheckEx). Is not expected to return; if it does, or is
     * NULL, the calling thread is parked for ever. */
    void (*bugcheck)(void *ctx, const char *driver, uint32_t code, const uint64_t parameters[4]);
    void *ctx;
};
int nt_create(const struct nt_config *config, struct nt **out); /* 0 or -ENOMEM */
void nt_destroy(struct nt *k);                                  /* all drivers are gone; stops its threads */

/* ---- drivers ---------------------------------------------------------------------------------------------
 */
struct nt_parameter { /* of the service's Parameters key */
    const char *name;
    bool is_string;
    uint32_t number;    /* REG_DWORD */
    const char *string; /* REG_SZ, UTF-8 */
};
struct nt_driver_config {
    const char *name;  /* as the service is called; copied */
    const char *image; /* path, for messages and IoQueryFullDriverPath; copied; may be NULL */
    PDRIVER_INITIALIZE entry;
    const struct nt_parameter *parameters;
    size_t parameter_count;
    struct rt_context *context; /* whose driver and party members this sets; outlives the driver */
};
int nt_driver_create(struct nt *k, const struct nt_driver_config *config, struct nt_driver **out);
/* Calls DriverEntry at PASSIVE_LEVEL with its DRIVER_OBJECT and registry path. Its status. */
NTSTATUS nt_driver_start(struct nt_driver *d);
/* Calls DriverUnload (KMDF: EvtDriverUnload, and what the framework deletes), waits until work items, DPCs,
 * timers and threads of it have run out or `patience_ns` have passed. STATUS_SUCCESS,
 * STATUS_INVALID_DEVICE_REQUEST (it has no unload routine), STATUS_TIMEOUT (something of it still runs: the
 * ledger says what; the image must not be unmapped). */
NTSTATUS nt_driver_unload(struct nt_driver *d, uint64_t patience_ns);
void nt_driver_destroy(struct nt_driver *d);
const char *nt_driver_name(const struct nt_driver *d);
DRIVER_OBJECT *nt_driver_object(struct nt_driver *d);
struct nt *nt_of_driver(struct nt_driver *d);
/* Of the calling thread; NULL: none. */
struct nt_driver *nt_driver_current(void);
struct nt *nt_current(void);

/* Around every call into a driver that is not made by nt itself: sets context and IRQL, returns what was.
 * leave reports an IRQL that did not come back (and mends it). */
struct nt_entered {
    struct rt_context *context;
    KIRQL irql, inside;
};
struct nt_entered nt_enter(struct rt_context *context, KIRQL irql);
void nt_leave(struct nt_entered was, const char *function);

/* ---- the shutdown (io_shutdown.c) ------------------------------------------------------------------------
 * Once, before drivers are unloaded, by a thread that is none of a driver's. */
/* Whose device is told next; NULL: none is left. */
struct nt_driver *nt_shutdown_whose(struct nt *k);
/* IRP_MJ_SHUTDOWN to the next device that registered for it: last registered first, then those of the last chance.
 * Waits at most so long for its completion, then cancels it and waits so long again. False: none is left. *status:
 * what came of it; STATUS_TIMEOUT: the driver holds it still (the ledger has the IRP). */
bool nt_shutdown_next(struct nt *k, uint64_t patience_ns, NTSTATUS *status);

/* ---- processes: what PsGetCurrentProcess() and the notify routines speak of ------------------------------
 */
NTSTATUS nt_process_add(struct nt *k, uint64_t id, const WCHAR *image); /* notify routines are called */
NTSTATUS nt_process_remove(struct nt *k, uint64_t id);
/* The process in whose name the calling thread runs from now on (a connect's); 0: the system. What was. */
uint64_t nt_process_attach(uint64_t id);

/* ---- pool that changes hands (ex_pool.c) ------------------------------------------------------------------
 */
/* A driver's block becomes Weir's: it owes it no more, and who frees it now frees it twice. False: it is no block of the
 * calling driver's, or smaller than that; nothing was done. drop: gives it back. Any thread, <= DISPATCH. */
bool nt_pool_take(void *p, size_t size);
void nt_pool_drop(void *p);

/* ---- devices, from a test program's side ----------------------------------------------------------------
 */
struct nt_file;
/* Opens "\\.\Name" or "\Device\Name" as process `id`: IRP_MJ_CREATE. */
NTSTATUS nt_open(struct nt *k, const char *name, uint64_t process_id, struct nt_file **out);
/* IRP_MJ_DEVICE_CONTROL, waits at most so long for its completion (then cancels it). *done: bytes. */
NTSTATUS nt_control(struct nt_file *f, uint32_t code, const void *in, size_t in_size, void *out,
                    size_t out_size, size_t *done, uint64_t patience_ns);
NTSTATUS nt_read(struct nt_file *f, void *out, size_t size, size_t *done, uint64_t patience_ns);
NTSTATUS nt_write(struct nt_file *f, const void *in, size_t size, size_t *done, uint64_t patience_ns);
void nt_close(struct nt_file *f); /* IRP_MJ_CLEANUP, IRP_MJ_CLOSE */

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loader: the door of the room that brings drivers in and sees them out.
 *
 *   cli, embed --> loader_create(engine, bfe, host): a ledger and a kernel (nt) for this engine
 *     loader_driver_load()   image (a private copy) -> API context, nt_driver, party; nothing of it has run
 *     loader_driver_start()  DriverEntry
 *     ... classifies, threads, device control: the driver runs, the ledger writes down ...
 *     loader_shutdown()      at the end of the run: IRP_MJ_SHUTDOWN to who registered for it
 *     loader_driver_unload() DriverUnload, what is left is reported, the image goes
 *   loader_destroy()         the last two for those that are left, last loaded first
 *
 * What the ledger finds is kept here with its call sites as places in images, so that it can be told with
 * file and line after the image has gone (findings.c). A driver that faults or never comes back ends the
 * process by crash.c, with a message and an exit status of its own, after the outputs were flushed.
 *
 * A loader belongs to one engine. Its functions are called by one thread at a time, none of a driver's.
 */
#ifndef WEIR_LOADER_LOADER_H
#define WEIR_LOADER_LOADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "api/api.h"
#include "ledger/ledger.h"
#include "nt/nt.h"

struct loader;
struct loader_driver;

struct loader_config {
    struct engine *engine;
    struct bfe *bfe;
    struct host *host;      /* NULL: no flows, no injection */
    struct rt_clock *clock; /* NULL: rt_clock_of_thread() */
    enum ledger_mode mode;
    /* A line that a driver printed (DbgPrint), without its newline; NULL: standard error. Any thread. */
    void (*print)(void *ctx, const char *driver, const char *line);
    /* A finding as it is made, in words without places (these cost: loader_findings_each()); may be NULL. On the
     * thread that made it, which may be a driver's. */
    void (*found)(void *ctx, const struct ledger_finding *f, const char *words);
    void *ctx;
};

struct loader_error {
    char text[512]; /* one line */
};

/* 0 or -ENOMEM. */
int loader_create(const struct loader_config *config, struct loader **out);
void loader_destroy(struct loader *l);
/* "STATUS_ACCESS_DENIED", or "status 0x..." into buf. */
const char *loader_status_name(NTSTATUS status, char *buf, size_t size);
struct nt *loader_nt(struct loader *l);
struct ledger *loader_ledger(struct loader *l);

/* ---- drivers --------------------------------------------------------------------------------------------
 */

struct loader_driver_config {
    const char *path;         /* an image that weir cc made; or NULL and ... */
    PDRIVER_INITIALIZE entry; /* ... a DriverEntry linked into this program */
    const char *name;         /* as the service is called; NULL: the file's name without ".so" */
    const struct nt_parameter *parameters;
    size_t parameter_count;
};

/*
 * Maps the image and makes what the driver needs; calls nothing of it but C++ constructors. 0; -ENOENT,
 * -EACCES: no such file; -ENOEXEC: no driver, or one that asks for functions that are not here (the error
 * names them); -ENOMEM. Error: one line.
 */
int loader_driver_load(struct loader *l, const struct loader_driver_config *config,
                       struct loader_driver **out, struct loader_error *error);
/* DriverEntry. If it fails the driver's unload routine is not called (as on Windows), what it left is
 * reported; the driver is still to be unloaded. Error: "inspect.so: DriverEntry failed: STATUS_..." */
NTSTATUS loader_driver_start(struct loader_driver *d, struct loader_error *error);
/* DriverUnload; what it left is reported; the image goes (stays mapped if something of it still runs:
 * STATUS_TIMEOUT). d is gone afterwards in any case. patience_ns: by the loader's clock; 0: 10 seconds. */
NTSTATUS loader_driver_unload(struct loader_driver *d, uint64_t patience_ns, struct loader_error *error);
/* The end of a run, before the drivers are unloaded: the machine shuts down. Devices that registered for it get
 * IRP_MJ_SHUTDOWN, in the documented order, each once; files that programs opened are closed by then. patience_ns as
 * above, for each. What Windows does not do is the unload behind it. */
void loader_shutdown(struct loader *l, uint64_t patience_ns);
const char *loader_driver_name(const struct loader_driver *d); /* in messages: the file's name */
struct nt_driver *loader_driver_nt(struct loader_driver *d);
struct api_context *loader_driver_api(struct loader_driver *d);

/* ---- findings -------------------------------------------------------------------------------------------
 */

/* How many there are, LEDGER_NOTEs left out and alone. */
struct loader_counts {
    uint64_t faults, notes, dropped; /* dropped: beyond those kept (10,000) */
};
void loader_counts(const struct loader *l, struct loader_counts *out);
/* Each as one line: "inspect.so: pended operation 3 left at unload: opened by FwpsPendOperation0 at
 * inspect.c:812 (TLInspectALEConnectClassify)". Runs addr2line; at the end of a run. */
void loader_findings_print(struct loader *l, FILE *out);
/* The same lines to a function. */
void loader_findings_each(struct loader *l,
                          void (*fn)(void *ctx, const struct ledger_finding *f, const char *line), void *ctx);
/* The name of the function that begins there, in an image or in the program; NULL: none is known. */
const char *loader_function(struct loader *l, const void *at);
/* Is there a function of that name in a driver's image, or in the program? */
bool loader_has_function(struct loader *l, const char *name);
/* "file.c:12 (function)", "function+0x1c", "driver.so+0x1234" into buf. */
const char *loader_site(struct loader *l, const void *site, char *buf, size_t size);

/* ---- device control ---------------------------------------------------------------------------------------
 */

/*
 * A test program, as steps of text:
 *   open NAME | close | control CODE [HEX] [OUT-BYTES] | read BYTES | write HEX | wait SECONDS|end
 * NAME as CreateFile has it (\\.\Name); CODE in hexadecimal, HEX digits in pairs; a step waits for its
 * answer, for at most a minute. Runs on a thread of its own beside the replay; `told` gets a line for each
 * step, on that thread.
 */
struct loader_control;
int loader_control_start(struct loader *l, const char *const *steps, size_t count,
                         void (*told)(void *ctx, const char *step, NTSTATUS status, const char *answer),
                         void *ctx, struct loader_control **out); /* 0, -ENOMEM, -EAGAIN */
/* Waits for the step that is under way, leaves out the others, closes what is open. How many steps failed. */
size_t loader_control_finish(struct loader_control *c);
/* Can the text be a step? NULL, or what is wrong with it. */
const char *loader_control_check(const char *step);

/* ---- a run that a driver ends -----------------------------------------------------------------------------
 */

enum {
    LOADER_EXIT_FINDINGS = 4, /* something was left, closed twice, used after ... */
    LOADER_EXIT_REFUSED = 5,  /* a driver cannot be loaded, or its DriverEntry failed */
    LOADER_EXIT_FAULT = 6,    /* a driver faulted, or stopped the machine (KeBugCheckEx) */
    LOADER_EXIT_STUCK = 7,    /* a driver does not come back, or waits for what can never come */
};

/* Signal handlers for faults in drivers, process-wide; the calling thread is the one that rt_sim_enter()s.
 * flush (may be NULL) writes what there is of the outputs: called once, from the thread that faulted, given
 * five seconds. */
int loader_crash_watch(void (*flush)(void *ctx), void *ctx); /* 0 or -ENOMEM */
void loader_crash_unwatch(void);
/* The same for a test program, whose framework sets handlers of its own for each test: called before drivers may run,
 * as often as one likes (a system call). Nothing is done where a sanitizer's handler stands, or a program's own. The
 * message has every thread's stack, then what last() writes (may be NULL; disarm: no longer). */
void loader_crash_arm(void (*last)(void *ctx), void *ctx);
void loader_crash_disarm(const void *ctx);
/* What Weir is doing, for such a message: a text that outlives the run, and a number ("frame", 12); NULL:
 * nothing. */
void loader_crash_doing(const char *what, uint64_t number);
/* rt_sim_config.stuck: says which driver's function does not come back; ends the process. */
void loader_crash_stuck(void *ctx, const char *fiber, struct rt_context *context);

/* Every thread's stack, for the report of a process that is about to end. prepare: before there is trouble. collect: of
 * the caller, whose thread has this name and context and is in that call (NULL: none), and of the others: s's
 * fibers, on the world's own OS thread; s NULL: all threads of the process. Also in a signal handler. print: in
 * words, which runs addr2line. */
void loader_stacks_prepare(void);
void loader_stacks_collect(struct rt_sim *s, const char *name, const struct rt_context *c, const char *doing);
void loader_stacks_print(FILE *out);
/* Ends the process: the text (at once), the stacks that were collected, the last line (NULL: none), then
 * LOADER_EXIT_STUCK. If that takes more than five seconds, without the rest. */
_Noreturn void loader_crash_hang(const char *text, const char *last);

/* Restarts the program with the run-time preloaded that the images were instrumented for; returns true if
 * there is nothing to do. Called before anything else is. False, error: it cannot be done. */
bool loader_sanitizer_restart(const char *const *images, size_t count, struct loader_error *error);
/* Is any sanitizer's run-time in this process? Then fibers want larger stacks. */
bool loader_sanitized(void);

#endif

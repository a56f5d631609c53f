/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of embed: what its files share. weir.h is the door.
 *
 *   test --weir_*()--> handle.c: whose, which thread, still there? enter the world of that engine
 *                        |
 *                        +--> program.c  sockets of processes and peers, on two kinds of stack.h's stacks
 *                        |      | config.send()                        ^ stack_input()
 *                        |      v                                      |
 *                        |    gate.c   the host: host_frame() of all that leaves or arrives; what is held, completed,
 *                        |      |      emitted, lost                   ^
 *                        |      v                                      |
 *                        +--> wire.c   rules, delays, capture; interface.c: peers' ends, TUN; frame.c
 *                        +--> world.c  time: wires, stacks, fibers, deadline by deadline
 *                        +--> driver.c, device.c, classify.c, vswitch.c
 *                        +--> watch.c  events as they happen; match, expect
 *                        +--> fault.c  calls that fail, threads that are held
 *                        +--> hang.c   what does not come back: told with every thread's stack, and the end
 *
 * One thread owns an engine. Its world is entered with the first call and stays entered until another engine of
 * the same thread is used: documented functions that the test calls itself are then the world's too. What the host
 * tells (completed, emitted, lost, released) comes on any fiber (real time: any thread) and is put into an inbox; only
 * the pump (world.c) and the calls of weir.h touch stacks and wires.
 */
#ifndef WEIR_EMBED_INTERNAL_H
#define WEIR_EMBED_INTERNAL_H

#include <stdarg.h>
#include <stdatomic.h>

#include "weir.h"

#include "api/api.h"
#include "host/host.h"
#include "host/host_inject.h"
#include "loader/loader.h"
#include "rt/rt.h"
#include "stack/stack.h"

enum embed_kind {
    EMBED_ENGINE = 1,
    EMBED_PROCESS,
    EMBED_SOCKET,
    EMBED_DRIVER,
    EMBED_DEVICE,
    EMBED_RULE,
    EMBED_HOLD,
    EMBED_VSWITCH /* the last */
};

/* What is created with an engine. Parts are their files' own. */
struct embed {
    struct weir *handle; /* what the test has */
    struct weir_config config;
    uint64_t seed;
    uint64_t made_ns; /* by its clock: events' times are told from there */
    uintptr_t thread; /* rt_self() of the test's own calls: in a world its first fiber's */
    unsigned slot;    /* in handle.c's table */
    struct engine *engine;
    struct bfe *bfe;
    struct api_context *context; /* of the test's own calls */
    struct host *host;
    struct loader *loader;
    struct rt_sim *sim; /* NULL: real time */
    struct rt_clock *clock;
    struct embed_handles *handles;   /* handle.c */
    struct embed_world *world;       /* world.c */
    struct embed_links *links;       /* interface.c */
    struct embed_wires *wires;       /* wire.c */
    struct embed_vswitch *vswitches; /* vswitch.c, newest first; also those that have ended */
    struct embed_capture *capture;   /* capture.c; NULL: nothing is written down */
    void (*frame_tap)(void *ctx, const struct weir_frame *f); /* frame.c; NULL: nobody hears of frames */
    void *frame_tap_ctx;
    struct embed_programs *programs; /* program.c */
    struct embed_gate *gate;         /* gate.c */
    struct embed_streams *streams;   /* stream.c */
    struct embed_watch *watch;       /* watch.c */
    struct embed_faults *faults;     /* fault.c */
    struct embed_drivers *drivers;   /* driver.c */
    struct embed_device *devices;    /* device.c: open ones, newest first */
    struct embed_hang *hang;         /* hang.c */
    _Atomic uint64_t beats;          /* calls of weir.h; for hang.c */
    struct question *question;       /* classify.c: the one that is being asked; NULL: none */
    uint64_t questions;              /* ... and how many handles it has given out */
    const char *left;                /* the call in whose midst it was left by longjmp(); NULL: none */
    struct embed *next_left;         /* weir.c: of those that were destroyed so */
};

/* ---- handle.c ------------------------------------------------------------------------------------------ */
/* Takes a place in the table of live engines, for the calling thread: 0, -ENOMEM (1,024 are there). */
int embed_handles_create(struct embed *e);
void embed_handles_destroy(struct embed *e);
/* Handles are numbers in pointers' clothes: engine, kind, place, generation. They are never followed, so that one that
 * is gone is told and not a crash. */
void *embed_handle_new(struct embed *e, enum embed_kind kind, void *object); /* NULL: -ENOMEM */
void embed_handle_end(struct embed *e, const void *handle);
/* The object behind it, with *e current and its world entered, on its own thread; NULL: misuse, which was told. */
void *embed_enter(const char *call, enum embed_kind kind, const void *handle, struct embed **e);
#define EMBED_ENTER(kind, handle, e) embed_enter(__func__, kind, handle, e)
/* Makes e the current engine of this thread and enters its world: after a function of the test's was called, which may
 * have used another. */
void embed_again(struct embed *e);
/* Between the two a function of the test's may be called, also a driver's that is linked in; if one is left by longjmp(),
 * the engine is through (embed_enter()). */
static inline const void *embed_calls_out(void)
{
    const void *before = rt_carried()->called;

    rt_carried()->called = __builtin_frame_address(0);
    return before;
}
static inline void embed_is_back(const void *before)
{
    rt_carried()->called = before;
}
/* Tells a misuse or a failed expectation: text as printf's; adds the call, and how to run it again. May not return. */
void embed_failed(struct embed *e, const char *call, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Its text, which weir_error() says from then on; "out of memory" where there is none for it. */
const char *embed_compose(const struct embed *e, const char *call, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));
/* "again: WEIR_SEED=7 ./test": as this process was started. */
void embed_how_again(const struct embed *e, char *out, size_t size);
/* The same where there is no engine (yet). config: NULL: none. */
void embed_failed_to_create(const struct weir_config *config, const char *call, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Sets what weir_error() says, without telling it. */
void embed_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- world.c ------------------------------------------------------------------------------------------- */
uint64_t embed_now(struct embed *e);
uint64_t embed_date(struct embed *e); /* since 1970 */
/* Everything that can happen without time going by. */
void embed_step(struct embed *e);
/* Until done() or that time. Was it done? */
bool embed_run_until(struct embed *e, uint64_t until_ns, bool (*done)(void *ctx), void *ctx);

/* ---- watch.c ------------------------------------------------------------------------------------------- */
int embed_watch_create(struct embed *e);
void embed_watch_destroy(struct embed *e);
/* The observer that the host is created with. */
void embed_watch_host(struct embed *e, struct host_observer *observer);
/* An event; strings are copied, `text` is made where NULL. Any fiber or thread. */
void embed_event(struct embed *e, const struct weir_event *event);
/* The same of a packet (PACKET, DROPPED, INJECTED), from its IP header on: protocol, addresses and ports are read from
 * it, and text is made when somebody looks. Cheap. verdict, note: kept as they are, not copied; may be NULL. */
struct embed_packet_event {
    enum weir_event_kind kind;
    const char *verdict, *note; /* "blocked", "at ALE_AUTH_CONNECT_V4 by filter 12" */
    const char *layer;
    uint64_t filter_id, flow_id;
    uint32_t interface;
    bool inbound; /* as the host sees it */
    bool frame;   /* it is no IP: from its Ethernet header on */
    const uint8_t *bytes;
    size_t size;
};
void embed_event_packet(struct embed *e, const struct embed_packet_event *p);
/* weir_classify() asked. */
void embed_watch_asked(struct embed *e, const struct engine_layer *l, const struct engine_request *q,
                       const char *verdict, uint64_t filter_id);
/* "ALE_AUTH_CONNECT_V4". */
const char *embed_layer_name(const struct engine_layer *l);
/* The last events as lines, for messages: at most `lines`. The caller frees. */
char *embed_watch_tail(struct embed *e, size_t lines);

/* ---- fault.c ------------------------------------------------------------------------------------------- */
int embed_faults_create(struct embed *e);
void embed_faults_destroy(struct embed *e);
/* Calls of this driver are counted and may be told to fail. */
void embed_faults_watch(struct embed *e, struct api_context *driver);

/* All are released. */
void embed_holds_end(struct embed *e);

/* ---- classify.c ---------------------------------------------------------------------------------------- */
/* nt_faults.pends: a pend inside its questions is its own. */
bool embed_classify_pends(struct embed *e, void *completion_handle, void **completion_context);

/* ---- driver.c ------------------------------------------------------------------------------------------ */
int embed_drivers_create(struct embed *e); /* the loader */
void embed_drivers_destroy(struct embed *e);
bool embed_drivers_any(const struct embed *e);
void embed_drivers_each(struct embed *e, void (*fn)(void *ctx, struct loader_driver *d), void *ctx);
/* Calls fn on a thread of its own while the world goes on; returns when it has. What has not come back after
 * patience_ns of the world's time is a hang. */
void embed_beside(struct embed *e, const char *name, void (*fn)(void *arg), void *arg, uint64_t patience_ns);

/* ---- device.c ------------------------------------------------------------------------------------------ */
/* Closes the devices that this process has open (0: all), as its end does. */
void embed_devices_close(struct embed *e, uint64_t process_id);

/* ---- hang.c -------------------------------------------------------------------------------------------- */
/* Before the world is made; destroy: after it has gone. real_time: a thread that watches. */
int embed_hang_create(struct embed *e);
void embed_hang_destroy(struct embed *e);
/* rt_sim_config.stuck, with the engine as ctx; watchdog_ns: embed_hang_ns(). */
void embed_hang_stuck(void *ctx, const char *fiber, struct rt_context *context);
uint64_t embed_hang_ns(const struct embed *e);
/* A driver may run soon: its faults are to be told. Every call of weir.h. */
void embed_hang_arm(struct embed *e);
/* It will never come back: says so with every thread's stack, and ends the process (LOADER_EXIT_STUCK). */
_Noreturn void embed_hang(struct embed *e, const char *what);

#endif

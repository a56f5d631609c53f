/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nt's inside: what its files know of each other. No other room includes it.
 *
 * Locks, in the order in which they may be taken together:
 *   k->lock      lists of a kernel: drivers, processes, threads, notify routines, callbacks, network modules.
 *   k->dispatch  the dispatcher lock: the state of every dispatcher object, timers, DPC queues, work queues,
 *                what of a driver is running. Innermost: nothing is called under it but rt.
 *   Neither is held while a driver runs.
 *
 * A driver's spin locks (ke_spin.c) are words of its own memory; whoever has to wait for one waits on
 * k->spin_free under k->spin.
 */
#ifndef WEIR_NT_INTERNAL_H
#define WEIR_NT_INTERNAL_H

#include <stdatomic.h>

#include "nt/io_room.h"
#include "nt/irql.h"
#include "nt/nt.h"
#include "nt/object.h"

#define NT_SITE __builtin_return_address(0) /* in the documented function itself, never below */

/* ---- threads as the kernel knows them (ps_thread.c) -----------------------------------------------------
 */
struct nt_thread {            /* PETHREAD and PKTHREAD */
    DISPATCHER_HEADER header; /* signalled when it has ended */
    struct nt *k;
    struct nt_thread *next;        /* k->threads */
    struct nt_thread *next_system; /* k->system_threads */
    uintptr_t self;                /* rt_self() */
    uint64_t whose;                /* rt_carried()->nt_self: of the threads that had that self, which */
    uint64_t id;                   /* a multiple of 4 */
    uint64_t process;              /* id of the process it belongs to */
    uint16_t processor;            /* less than the kernel has */
    LIST_ENTRY mutants;            /* held; k->dispatch */
    int priority, base_increment;
    KAFFINITY affinity;           /* 0: any */
    int no_apcs, no_special_apcs; /* critical and guarded regions; its own thread's */
    /* Of a system thread, else zero. */
    struct rt_thread *rt;
    struct nt_driver *driver;
    struct rt_context *context;
    PKSTART_ROUTINE routine;
    PVOID argument;
    NTSTATUS exit_status;
    void *unwind; /* jmp_buf * of its bottom frame */
    bool ended;   /* k->dispatch: nothing is left of it but to join */
};
/* The calling thread's, made at need; NULL: out of memory. <= DISPATCH_LEVEL. */
struct nt_thread *nt_thread_current(struct nt *k);
/* A thread of the kernel's own (workers, DPCs, timers): known by `name`, runs fn(arg) without a context.
 * Joined by nt_destroy(). 0, -ENOMEM, -EAGAIN. */
int nt_thread_start(struct nt *k, const char *name, void (*fn)(void *arg), void *arg);

/* ---- processes (ps_process.c) ---------------------------------------------------------------------------
 */
struct nt_process {           /* PEPROCESS and PKPROCESS */
    DISPATCHER_HEADER header; /* signalled when it has ended */
    struct nt *k;
    struct nt_process *next; /* k->processes; they hold one reference */
    uint64_t id, parent;
    uint64_t created; /* FILETIME */
    WCHAR *image;     /* its path; never NULL */
    char file_name[16];
};
#define NT_SYSTEM_PROCESS 4
/* Calls the notify routines (ps_notify.c); created: STATUS_SUCCESS, or why one of them refuses the process.
 */
NTSTATUS nt_notify_created(struct nt *k, struct nt_process *p);
void nt_notify_exited(struct nt *k, struct nt_process *p);
void nt_notify_destroy(struct nt *k);
/* Referenced; NULL: there is none. */
struct nt_process *nt_process_find(struct nt *k, uint64_t id);

/* ---- what waits (ke_wait.c) -----------------------------------------------------------------------------
 */
enum nt_dispatcher_type { /* DISPATCHER_HEADER.Type; zero is memory that nobody initialised */
                          NT_EVENT_NOTIFICATION = 0x51,
                          NT_EVENT_SYNCHRONIZATION,
                          NT_MUTANT,
                          NT_SEMAPHORE,
                          NT_QUEUE,
                          NT_TIMER_NOTIFICATION,
                          NT_TIMER_SYNCHRONIZATION,
                          NT_THREAD,
                          NT_PROCESS,
                          NT_GATE /* one waiter at a time: fast mutexes, push locks, rundown */
};
void nt_header_init(DISPATCHER_HEADER *h, enum nt_dispatcher_type type, int32_t state);
/* SignalState: changed under k->dispatch, read by others without it (KeReadState...). */
static inline int32_t nt_state(const DISPATCHER_HEADER *h)
{
    return __atomic_load_n(&h->SignalState, __ATOMIC_RELAXED);
}
static inline void nt_state_set(DISPATCHER_HEADER *h, int32_t state)
{
    __atomic_store_n(&h->SignalState, state, __ATOMIC_RELAXED);
}
/* Under k->dispatch: lets those waiters go whom the object's state allows to. */
void nt_header_signalled(struct nt *k, DISPATCHER_HEADER *h);
/* The object at *Timeout by k's clock, in ns; NULL: RT_FOREVER. */
uint64_t nt_deadline(struct nt *k, const LARGE_INTEGER *timeout);
/* KeWaitForSingleObject() without its checks, until deadline_ns (0: only looks). STATUS_SUCCESS, _TIMEOUT,
 * _INSUFFICIENT_RESOURCES. `what` is for reports of what hangs. */
NTSTATUS nt_wait_one(struct nt *k, DISPATCHER_HEADER *h, uint64_t deadline_ns, const char *what);
/* Waits for an entry of a queue. STATUS_SUCCESS, _TIMEOUT, _ABANDONED, _INSUFFICIENT_RESOURCES. */
NTSTATUS nt_wait_queue(struct nt *k, KQUEUE *queue, uint64_t deadline_ns, LIST_ENTRY **entry);
/* Under k->dispatch: whoever waits for the object gets STATUS_ABANDONED. */
void nt_waits_abandon(struct nt *k, DISPATCHER_HEADER *h);
/* KeSetEvent(). */
int32_t nt_event_set(struct nt *k, KEVENT *event);
/* Lets the calling thread sleep until then. */
void nt_sleep(struct nt *k, uint64_t deadline_ns);

/* ---- DPCs (ke_dpc.c) ------------------------------------------------------------------------------------
 */
/* The processor that the calling thread is on, as far as a driver can tell. Not under a lock. */
uint16_t nt_processor(struct nt *k);
/* Not under a lock: the DPC's queue has its thread afterwards. False: it could not be started. */
bool nt_dpc_prepare(struct nt *k, const KDPC *dpc, uint16_t processor);
/* Under k->dispatch, prepared: KeInsertQueueDpc() for `context` (NULL: the kernel's own). */
bool nt_dpc_queue(struct nt *k, KDPC *dpc, uint16_t processor, struct rt_context *context, PVOID one,
                  PVOID two, const void *site);

/* KeSetTimerEx() as `function` at `site`; period in ms. */
BOOLEAN nt_timer_set(KTIMER *t, LARGE_INTEGER due, ULONG period, KDPC *dpc, const char *function,
                     const void *site);

/* ---- work (ex_work.c) -----------------------------------------------------------------------------------
 */
/* Queues an item that runs in `context` at PASSIVE_LEVEL on a system worker thread. False: it is queued
 * already. While it is queued it belongs to the kernel: List.Flink is not NULL. The driver of the context
 * counts as running until its routine has returned. It is in the ledger (LEDGER_QUEUED) until then begins. <=
 * DISPATCH_LEVEL. */
bool nt_work_queue(struct nt *k, WORK_QUEUE_ITEM *item, WORK_QUEUE_TYPE type, struct rt_context *context,
                   const void *site);

/* Under k->dispatch: a worker is about to sleep; another thread may be needed to get on. */
void nt_work_help(struct nt *k);
/* Bits of rt_carried()->in_dpc. */
#define NT_IN_DPC    1
#define NT_IN_WORKER 2 /* a system worker thread: as long as the thread lives */

/* ---- a driver's work under way --------------------------------------------------------------------------
 */
/* nt_driver_unload() waits until as many ended as began. d may be NULL. */
void nt_driver_began(struct nt_driver *d);
void nt_driver_ended(struct nt_driver *d);
void nt_driver_ended_locked(struct nt_driver *d); /* under k->dispatch */

/* ---- pool (ex_pool.c) -----------------------------------------------------------------------------------
 */
/* For functions that hand pool memory to a driver on behalf of `site`. Zeroed. */
void *nt_pool_alloc(size_t size, ULONG tag, const void *site);
void nt_pool_free(void *p, const void *site); /* of any tag; NULL: nothing */
/* ExAllocatePoolWithTag() and ExFreePoolWithTag() as `function` at `site`. */
void *nt_pool_by_type(POOL_TYPE type, size_t size, ULONG tag, const char *function, const void *site);
void nt_pool_free_tagged(void *p, ULONG tag, const char *function, const void *site);

/* ---- misuse ------------------------------------------------------------------------------------
 */
/* A finding of the current driver, with words as printf() makes them. Any IRQL. */
void nt_note(const void *site, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* What would stop the machine: a finding, and the configured bugcheck; returns only if that does. The caller
 * goes on as harmlessly as it can. */
void nt_bug(uint32_t code, const uint64_t parameters[4], const void *site, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* As nt_bug(), and the calling thread never goes on. */
_Noreturn void nt_stop(uint32_t code, const uint64_t parameters[4], const void *site, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* ---- the kernel -----------------------------------------------------------------------------------------
 */
#define NT_PROCESSORS_MAX 64
#define NT_TAG_BUCKETS    64
#define NT_THREAD_BUCKETS 64
struct nt_dpc_queue { /* of a processor, or (the last) of threaded DPCs; k->dispatch */
    struct nt *k;
    uint16_t number;
    KDPC *first, *last;
    struct rt_cond *changed;
    bool started;
};
struct nt_work_queue { /* k->dispatch */
    WORK_QUEUE_ITEM *first, *last;
};
struct nt {
    uint64_t number; /* rt_number() */
    struct nt_config config;
    struct rt_clock *clock;
    uint64_t boot_ns;
    unsigned processors;
    bool stopping; /* k->dispatch */

    struct rt_mutex *lock;
    struct nt_driver *drivers; /* newest first; changed under k->dispatch too */
    struct nt_driver *lost;    /* destroyed while something of them still ran */
    uint16_t driver_numbers;
    struct nt_process *processes, *system;        /* oldest first; the system's is the first */
    struct nt_thread *threads[NT_THREAD_BUCKETS]; /* all that ran a driver, by self; each a reference */
    struct nt_thread *system_threads;             /* started and not joined; each a reference */
    uint64_t next_thread_id;
    struct nt_own_thread *own; /* ps_thread.c: the kernel's own, to be joined */
    struct nt_notify *notify;  /* ps_notify.c: process notify routines */
    struct rt_cond *notify_done;
    struct nt_callback *callbacks; /* ex_callback.c */
    struct nmr *nmr;               /* nmr.c */

    struct rt_mutex *dispatch;
    struct nt_wait *waits_free; /* ke_wait.c: pooled */
    LIST_ENTRY timers;          /* ke_timer.c: KTIMER.TimerListEntry, earliest first */
    struct rt_cond *timers_changed;
    bool timers_started;
    struct nt_dpc_queue dpcs[NT_PROCESSORS_MAX + 1]; /* the last: threaded ones */
    struct rt_cond *dpcs_done;
    struct nt_work_queue work[2]; /* critical, delayed */
    struct rt_cond *work_changed;
    unsigned workers, workers_idle, workers_blocked;
    struct rt_cond *driver_idle;   /* a driver's `running` became 0 */
    struct rt_mutex *stopped_lock; /* threads that have stopped the machine stay here */
    struct rt_cond *stopped;

    _Atomic(struct nt_tag *) tags[NT_TAG_BUCKETS]; /* ex_pool.c */
    atomic_uint
        armed; /* timers that are set, DPCs and work items that are queued: changed under k->dispatch */

    struct rt_mutex *spin; /* ke_spin.c */
    struct rt_cond *spin_free;

    struct ob_room *ob; /* handles, names */
    struct io_room *io; /* devices, registry */
};

struct nt_driver {
    struct nt_driver *next; /* k->drivers */
    struct nt *k;
    char *name, *image; /* image: "" where unknown */
    uint16_t number;    /* in the kernel, from 1: what KTIMER.Processor says */
    struct rt_context *context;
    struct ledger_party *party; /* NULL: no ledger */
    PDRIVER_INITIALIZE entry;
    struct io_driver *io; /* its DRIVER_OBJECT, registry path and parameters, devices */
    bool started, unloaded;
    unsigned running; /* k->dispatch: threads, DPCs, timers and work items of it that are under way */
};

/* Of a timer that its driver forgot: out of the lists before its memory goes (ke_timer.c, ke_dpc.c). */
void nt_timers_forget(struct nt_driver *d);
void nt_dpcs_forget(struct nt_driver *d);
void nt_work_forget(struct nt_driver *d);
/* What it has registered and left behind is called no more (ps_notify.c, ex_callback.c, nmr.c). */
void nt_notify_forget(struct nt_driver *d);
void nt_callbacks_forget(struct nt_driver *d);
void nmr_forget(struct nt_driver *d);
void nt_driver_free(struct nt_driver *d);
/* Memory is about to be freed: whatever of the kernel's still lies in it (a timer that is set, a DPC or work
 * item that is queued) is taken out; NULL: nothing, else what it was. */
const char *nt_timers_in(struct nt *k, const void *from, size_t size);
const char *nt_dpcs_in(struct nt *k, const void *from, size_t size);
const char *nt_work_in(struct nt *k, const void *from, size_t size);
/* The file's part of nt_create() (0 or -ENOMEM) and of nt_destroy(). */
int nt_wait_create(struct nt *k);
void nt_wait_destroy(struct nt *k);
int nt_dpc_create(struct nt *k);
void nt_dpc_stop(struct nt *k); /* lets its threads end */
void nt_dpc_destroy(struct nt *k);
int nt_timer_create(struct nt *k);
void nt_timer_stop(struct nt *k);
void nt_timer_destroy(struct nt *k);
int nt_work_create(struct nt *k);
void nt_work_stop(struct nt *k);
void nt_work_destroy(struct nt *k);
int nt_process_create(struct nt *k);
void nt_process_destroy(struct nt *k);
void nt_threads_join(struct nt *k); /* the kernel's own, after the above were stopped */
bool nt_threads_reap(struct nt *k); /* joins system threads that have ended; true: there are others */
void nt_threads_destroy(struct nt *k);
void nt_callback_destroy(struct nt *k);
int nmr_create(struct nt *k);
void nmr_destroy(struct nt *k);
void nt_pool_destroy(struct nt *k);

#endif

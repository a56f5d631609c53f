/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The framework's inside. A handle is the address of a struct wdf_object, the first member of each kind of
 * object.
 *
 *   made (one reference, its parent's child) --WdfObjectDelete, or its parent's--> deleting: the children
 * first, then `stop` (the kind's: timers, work), then EvtCleanupCallback --last reference-->
 * EvtDestroyCallback, `free`, gone
 *
 * All clean-up callbacks of a tree come before its first destroy callback. A child holds a reference on its
 * parent. io->lock guards trees, counts and queues; no callback runs under it.
 */
#ifndef WEIR_NT_WDF_INSIDE_H
#define WEIR_NT_WDF_INSIDE_H

#include "nt/io_inside.h"
#include "wdf.h"

enum wdf_kind {
    WDF_KIND_GENERAL = 1,
    WDF_KIND_DRIVER,
    WDF_KIND_DEVICE,
    WDF_KIND_QUEUE,
    WDF_KIND_REQUEST,
    WDF_KIND_FILE,
    WDF_KIND_MEMORY,
    WDF_KIND_SPIN_LOCK,
    WDF_KIND_WAIT_LOCK,
    WDF_KIND_WORK_ITEM,
    WDF_KIND_TIMER,
    WDF_KIND_DPC,
    WDF_KIND_KEY,
    WDF_KIND_STRING,
    WDF_KIND_COLLECTION
};
#define WDF_MAGIC      0x6f666477u
#define WDF_MAGIC_GONE 0x676f6e65u

struct wdf_context {
    struct wdf_object *object;
    struct wdf_context *next;
    const char *name;
    PFN_WDF_OBJECT_CONTEXT_CLEANUP cleanup;
    PFN_WDF_OBJECT_CONTEXT_DESTROY destroy;
    max_align_t data[];
};

struct wdf_object {
    uint32_t magic;
    enum wdf_kind kind;
    struct io_driver *io;
    unsigned references; /* io lock */
    bool deleting, by_parent;
    struct wdf_object *parent, *children, *next; /* children: newest first */
    struct wdf_context *contexts;                /* newest first */
    WDF_EXECUTION_LEVEL level;
    WDF_SYNCHRONIZATION_SCOPE scope;
    void (*stop)(struct wdf_object *o); /* at its deletion, before EvtCleanupCallback; may be NULL */
    void (*free)(struct wdf_object *o); /* what it has besides its memory; may be NULL */
    const void *site;
};

/* Zeroed, of `size` bytes, a child of attributes' parent or of `parent`. STATUS_INVALID_PARAMETER (attributes
 * of another size), STATUS_INSUFFICIENT_RESOURCES. ledger: it is the driver's debt (site). */
NTSTATUS wdf_create(struct io_driver *io, enum wdf_kind kind, size_t size,
                    const WDF_OBJECT_ATTRIBUTES *attributes, struct wdf_object *parent, const void *site,
                    void **out);
void wdf_delete(struct wdf_object *o);
void wdf_reference(struct wdf_object *o);
void wdf_dereference(struct wdf_object *o);
/* The object of a handle; NULL, and a finding, where it is none of that kind (0: any). */
void *wdf_of(const void *handle, enum wdf_kind kind, const char *function, const void *site);
#define WDF_OF(handle, kind) wdf_of((handle), (kind), __func__, NT_SITE)
struct io_driver *wdf_current_driver(void);   /* the calling driver's; NULL: it has no WDFDRIVER */
bool wdf_passive(const struct wdf_object *o); /* its callbacks are for PASSIVE_LEVEL */
static inline struct io_room *wdf_room(const struct wdf_object *o)
{
    return o->io->d->k->io;
}
static inline void wdf_lock(const struct wdf_object *o)
{
    rt_mutex_lock(wdf_room(o)->lock);
}
static inline void wdf_unlock(const struct wdf_object *o)
{
    rt_mutex_unlock(wdf_room(o)->lock);
}

/* Callbacks of a device or a queue one at a time, where its synchronization scope says so; the thread that is
 * in one may come again. passive: a wait lock; else a spin lock, and callbacks run at DISPATCH_LEVEL. */
struct wdf_serial {
    KSPIN_LOCK spin;
    KEVENT free;
    uintptr_t owner; /* 0: nobody */
    unsigned depth;
    KIRQL irql;
    bool passive;
};
void wdf_serial_init(struct wdf_serial *s, bool passive);
struct wdf_queue;
struct wdf_device;
/* Around a callback of the queue's, or of a file of the device. NULL: nothing is to be synchronized. */
struct wdf_serial *wdf_serial_of_queue(struct wdf_queue *q);
struct wdf_serial *wdf_serial_of_files(struct wdf_device *d);
/* Around the callback of a timer, DPC or work item with AutomaticSerialization: that of the device or queue above it.
 * passive: the callback is for PASSIVE_LEVEL. STATUS_INVALID_DEVICE_REQUEST: it is below no device;
 * STATUS_WDF_INCOMPATIBLE_EXECUTION_LEVEL: its level is not that of the lock. */
NTSTATUS wdf_serial_of_parent(struct wdf_object *parent, bool automatic, bool passive,
                              struct wdf_serial **out);
/* Would the caller, at its IRQL, have to wait at PASSIVE_LEVEL? Then it has to let a work item do it. */
bool wdf_serial_is_lower(const struct wdf_serial *s);
void wdf_serial_enter(struct wdf_serial *s);
void wdf_serial_leave(struct wdf_serial *s);

struct wdf_driver {
    struct wdf_object o;
    PFN_WDF_DRIVER_UNLOAD unload;
    bool unload_called;
};

struct WDFDEVICE_INIT {
    struct io_driver *io;
    WCHAR *name;
    size_t name_units;
    DEVICE_TYPE type;
    ULONG characteristics;
    bool exclusive;
    WDF_DEVICE_IO_TYPE io_type;
    WDF_FILEOBJECT_CONFIG file;
    bool has_file;
    WDF_OBJECT_ATTRIBUTES file_attributes, request_attributes;
    PFN_WDF_IO_IN_CALLER_CONTEXT in_caller_context;
    PFN_WDF_DEVICE_SHUTDOWN_NOTIFICATION shutdown;
    UCHAR shutdown_flags; /* WDF_DEVICE_SHUTDOWN_FLAGS */
    PFN_WDFDEVICE_WDM_IRP_PREPROCESS preprocess[IRP_MJ_MAXIMUM_FUNCTION + 1];
};

struct wdf_device {
    struct wdf_object o;
    DEVICE_OBJECT *device;
    struct WDFDEVICE_INIT init; /* without its name */
    struct wdf_queue *default_queue, *queues[WdfRequestTypeOther];
    struct wdf_file *files; /* io lock */
    WCHAR *links[4];        /* symbolic links that it made */
    size_t link_units[4], link_count;
    struct wdf_serial serial;
};

struct wdf_file {
    struct wdf_object o;
    struct wdf_file *next;
    struct wdf_device *device;
    FILE_OBJECT *file;
};

enum wdf_request_state { REQUEST_NEW, REQUEST_QUEUED, REQUEST_DRIVER, REQUEST_COMPLETED };
struct wdf_request {
    struct wdf_object o;
    IRP *irp;
    struct wdf_device *device;
    struct wdf_file *file;
    struct wdf_queue *queue; /* in which it is, or from which it was presented */
    struct wdf_request *next;
    enum wdf_request_state state;
    bool presented; /* counts in queue->presented */
    PFN_WDF_REQUEST_CANCEL cancel;
    WORK_QUEUE_ITEM work; /* cancelled above PASSIVE_LEVEL, and the callback is for that */
    ULONG_PTR information;
    struct wdf_memory *input, *output;
    MDL *input_mdl, *output_mdl; /* made for buffered transfers */
};

struct wdf_queue {
    struct wdf_object o;
    struct wdf_device *device;
    WDF_IO_QUEUE_CONFIG config;
    struct wdf_serial serial;
    struct wdf_request *first, *last;
    unsigned queued, presented;
    bool accepts, dispatches, running;
    WORK_QUEUE_ITEM work; /* where a callback has to be called at PASSIVE_LEVEL and the caller is above: */
    bool work_queued;
    struct {
        PFN_WDF_IO_QUEUE_STATE callback; /* NULL: not */
        WDFCONTEXT context;
    } owed[2];                          /* ... besides requests; the latest of each kind: ready, idle */
    PFN_WDF_IO_QUEUE_STATE ready, idle; /* idle: of Stop, Drain, Purge */
    WDFCONTEXT ready_context, idle_context;
    bool idle_needs_empty;
};

struct wdf_memory {
    struct wdf_object o;
    void *buffer;
    size_t size;
    void *pool; /* to be freed with it */
};

struct wdf_string {
    struct wdf_object o;
    UNICODE_STRING string;
};
NTSTATUS wdf_string_set(struct wdf_string *s, const WCHAR *units, size_t count);

NTSTATUS wdf_dispatch(DEVICE_OBJECT *device, IRP *irp);
/* NULL: no memory. Its IRP is marked pending. */
struct wdf_request *wdf_request_make(struct wdf_device *d, IRP *irp);
void wdf_request_complete(struct wdf_request *r, NTSTATUS status, ULONG_PTR information);
/* Into the queue, and on to the driver if it can be; false: the queue takes none. */
bool wdf_queue_put(struct wdf_queue *q, struct wdf_request *r, bool first);
void wdf_queue_run(struct wdf_queue *q);
void wdf_queue_left(struct wdf_queue *q); /* one that was presented is the queue's no more */
/* The first that is not with its canceller, of that file if not NULL; it is the driver's now. NULL: none. */
struct wdf_request *wdf_queue_take(struct wdf_queue *q, const struct wdf_file *file);
/* All that are queued, of that file if not NULL, are cancelled. */
void wdf_queue_purge(struct wdf_queue *q, const struct wdf_file *file);
/* Tells who waits for an idle queue, if it is idle. */
void wdf_queue_tell_idle(struct wdf_queue *q);
/* EvtIoQueueState, under the queue's lock and at its level: where the caller is above that, by a work item. */
enum wdf_queue_state { WDF_QUEUE_READY, WDF_QUEUE_IDLE };
void wdf_queue_tell(struct wdf_queue *q, enum wdf_queue_state which, PFN_WDF_IO_QUEUE_STATE callback,
                    WDFCONTEXT context);
void wdf_queue_cancel_file(struct wdf_device *d, struct wdf_file *f);
/* wdf_file.c. The file is a child of the device's; its status is that of wdf_create(). */
NTSTATUS wdf_file_add(struct wdf_device *d, FILE_OBJECT *file, struct wdf_file **out);
void wdf_file_remove(struct wdf_file *f);
struct wdf_file *wdf_file_find(struct wdf_device *d, const FILE_OBJECT *file);
/* EvtFileCleanup, EvtFileClose; NULL: the driver has none. */
void wdf_file_told(struct wdf_device *d, void (*callback)(WDFFILEOBJECT file), struct wdf_file *f);

#endif

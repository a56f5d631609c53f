/* SPDX-License-Identifier: Apache-2.0 */
/* Objects of the framework: made, with contexts, referenced, deleted in the documented order (wdf_inside.h).
 */
#include <stdlib.h>

#include "nt/fault.h"
#include "nt/wdf_inside.h"

enum { WDF_VIOLATION = 0x10d };

struct io_driver *wdf_current_driver(void)
{
    struct nt_driver *d = nt_driver_current();

    return d == NULL || d->io == NULL || d->io->wdf == NULL ? NULL : d->io;
}

void *wdf_of(const void *handle, enum wdf_kind kind, const char *function, const void *site)
{
    struct wdf_object *o = (struct wdf_object *)(uintptr_t)handle;

    if (o != NULL && o->magic == WDF_MAGIC && (kind == 0 || o->kind == kind))
        return o;
    nt_bug(WDF_VIOLATION, NULL, site, "%s: this handle is %s", function,
           o == NULL                    ? "NULL"
           : o->magic == WDF_MAGIC_GONE ? "of an object that is gone"
           : o->magic == WDF_MAGIC      ? "of another kind"
                                        : "none of the framework's");
    return NULL;
}

bool wdf_passive(const struct wdf_object *o)
{
    while (o != NULL && o->level == WdfExecutionLevelInheritFromParent)
        o = o->parent;
    return o != NULL && o->level == WdfExecutionLevelPassive;
}

/* ---- contexts
 * ------------------------------------------------------------------------------------------------- */
static NTSTATUS add_context(struct wdf_object *o, const WDF_OBJECT_ATTRIBUTES *a, struct wdf_context **out)
{
    const WDF_OBJECT_CONTEXT_TYPE_INFO *info = a->ContextTypeInfo;
    size_t size = info == NULL                                 ? 0
                  : a->ContextSizeOverride > info->ContextSize ? a->ContextSizeOverride
                                                               : info->ContextSize;
    struct wdf_context *c = calloc(1, sizeof *c + size);

    if (c == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    c->object = o;
    c->name = info == NULL ? NULL : info->ContextName;
    c->cleanup = a->EvtCleanupCallback;
    c->destroy = a->EvtDestroyCallback;
    *out = c;
    return STATUS_SUCCESS;
}

static struct wdf_context *context_of(struct wdf_object *o, const char *name)
{
    for (struct wdf_context *c = o->contexts; c != NULL; c = c->next)
        if (c->name != NULL && (c->name == name || strcmp(c->name, name) == 0))
            return c;
    return NULL;
}

/* Which objects may have an execution level or a scope of their own, as documented for the two enumerations. */
static NTSTATUS check(const WDF_OBJECT_ATTRIBUTES *a, enum wdf_kind kind)
{
    const bool levels = kind == WDF_KIND_DRIVER || kind == WDF_KIND_DEVICE || kind == WDF_KIND_FILE ||
                        kind == WDF_KIND_GENERAL || kind == WDF_KIND_QUEUE || kind == WDF_KIND_TIMER,
               scopes = kind == WDF_KIND_DRIVER || kind == WDF_KIND_DEVICE || kind == WDF_KIND_QUEUE;

    if (a == NULL)
        return STATUS_SUCCESS;
    if (a->Size != sizeof *a)
        return STATUS_INFO_LENGTH_MISMATCH;
    if (a->ExecutionLevel < WdfExecutionLevelInheritFromParent ||
        a->ExecutionLevel > WdfExecutionLevelDispatch ||
        a->SynchronizationScope < WdfSynchronizationScopeInheritFromParent ||
        a->SynchronizationScope > WdfSynchronizationScopeNone)
        return STATUS_INVALID_PARAMETER; /* STATUS_WDF_OBJECT_ATTRIBUTES_INVALID on Windows */
    if (!levels && a->ExecutionLevel != WdfExecutionLevelInheritFromParent)
        return STATUS_WDF_EXECUTION_LEVEL_INVALID;
    if (!scopes && a->SynchronizationScope != WdfSynchronizationScopeInheritFromParent)
        return STATUS_WDF_SYNCHRONIZATION_SCOPE_INVALID;
    return STATUS_SUCCESS;
}

/* ---- made, deleted
 * -------------------------------------------------------------------------------------------- */
NTSTATUS wdf_create(struct io_driver *io, enum wdf_kind kind, size_t size,
                    const WDF_OBJECT_ATTRIBUTES *attributes, struct wdf_object *parent, const void *site,
                    void **out)
{
    struct wdf_context *context = NULL;

    *out = NULL;
    NTSTATUS checked = check(attributes, kind);
    if (!NT_SUCCESS(checked))
        return checked;
    if (attributes != NULL && attributes->ParentObject != NULL) {
        parent = wdf_of(attributes->ParentObject, 0, "the attributes' ParentObject", site);
        if (parent == NULL)
            return STATUS_INVALID_PARAMETER;
    }
    struct wdf_object *o = calloc(1, size);
    if (o == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    o->magic = WDF_MAGIC;
    o->kind = kind;
    o->io = io;
    o->references = 1;
    o->site = site;
    o->level = WdfExecutionLevelInheritFromParent;
    o->scope = WdfSynchronizationScopeInheritFromParent;
    if (attributes != NULL) {
        o->level = attributes->ExecutionLevel;
        o->scope = attributes->SynchronizationScope;
        if (attributes->ContextTypeInfo != NULL || attributes->EvtCleanupCallback != NULL ||
            attributes->EvtDestroyCallback != NULL) {
            NTSTATUS status = add_context(o, attributes, &context);
            if (!NT_SUCCESS(status)) {
                free(o);
                return status;
            }
            o->contexts = context;
        }
    }
    if (parent != NULL) {
        wdf_lock(o);
        if (parent->deleting) {
            wdf_unlock(o);
            free(context);
            free(o);
            return STATUS_DELETE_PENDING;
        }
        parent->references++;
        o->parent = parent;
        o->next = parent->children;
        parent->children = o;
        wdf_unlock(o);
    }
    if (site != NULL)
        ledger_open(LEDGER_WDF_OBJECT, (uint64_t)(uintptr_t)o, 0, NULL, site);
    *out = o;
    return STATUS_SUCCESS;
}

void wdf_reference(struct wdf_object *o)
{
    wdf_lock(o);
    o->references++;
    wdf_unlock(o);
}

void wdf_dereference(struct wdf_object *o)
{
    struct wdf_object *parent;

    for (; o != NULL; o = parent) { /* a child's end gives its parent's reference back */
        struct io_room *room = wdf_room(o);
        rt_mutex_lock(room->lock);
        bool last = --o->references == 0;
        rt_mutex_unlock(room->lock);
        if (!last)
            return;
        parent = o->parent;
        for (struct wdf_context *c = o->contexts; c != NULL; c = c->next)
            if (c->destroy != NULL)
                c->destroy(o);
        if (o->free != NULL)
            o->free(o);
        if (o->site != NULL && o->io->d->party != NULL)
            ledger_close_for(o->io->d->party, LEDGER_WDF_OBJECT, (uint64_t)(uintptr_t)o);
        while (o->contexts != NULL) {
            struct wdf_context *c = o->contexts;
            o->contexts = c->next;
            free(c);
        }
        o->magic = WDF_MAGIC_GONE;
        free(o);
    }
}

/* The deepest first: what it has under way ends, then its clean-up callbacks. False: somebody did already. */
static bool dispose(struct wdf_object *o, bool by_parent)
{
    wdf_lock(o);
    bool first = !o->deleting;
    o->deleting = true;
    if (first)
        o->by_parent = by_parent;
    wdf_unlock(o);
    if (!first)
        return false;
    for (;;) {
        wdf_lock(o);
        struct wdf_object *child = o->children;
        while (child != NULL && child->deleting)
            child = child->next;
        if (child != NULL)
            child->references++;
        wdf_unlock(o);
        if (child == NULL)
            break;
        dispose(child, true);
        wdf_dereference(child);
    }
    if (o->stop != NULL)
        o->stop(o);
    for (struct wdf_context *c = o->contexts; c != NULL; c = c->next)
        if (c->cleanup != NULL)
            c->cleanup(o);
    return true;
}

/* Under the lock. */
static void leave_parent(struct wdf_object *o)
{
    for (struct wdf_object **at = &o->parent->children; *at != NULL; at = &(*at)->next) {
        if (*at == o) {
            *at = o->next;
            break;
        }
    }
}

/* What was disposed of with its parent goes before it. */
static void release(struct wdf_object *o)
{
    for (;;) {
        wdf_lock(o);
        struct wdf_object *child = o->children;
        while (child != NULL && !child->by_parent)
            child = child->next;
        if (child != NULL)
            leave_parent(child);
        wdf_unlock(o);
        if (child == NULL)
            break;
        release(child);
    }
    wdf_dereference(o);
}

void wdf_delete(struct wdf_object *o)
{
    if (!dispose(o, false))
        return;
    if (o->parent != NULL) {
        wdf_lock(o);
        leave_parent(o);
        wdf_unlock(o);
    }
    release(o);
}

/* ---- what drivers call
 * ---------------------------------------------------------------------------------------- */
NTSTATUS WdfObjectCreate(PWDF_OBJECT_ATTRIBUTES Attributes, WDFOBJECT *Object)
{
    NT_FAIL_STATUS(WdfObjectCreate);
    struct io_driver *io = wdf_current_driver();
    void *o;

    NT_IRQL_MAX(DISPATCH_LEVEL);
    *Object = NULL;
    if (io == NULL)
        return STATUS_INVALID_PARAMETER;
    NTSTATUS status =
        wdf_create(io, WDF_KIND_GENERAL, sizeof(struct wdf_object), Attributes, io->wdf, NT_SITE, &o);
    *Object = o;
    return status;
}

VOID WdfObjectDelete(WDFOBJECT Object)
{
    struct wdf_object *o = WDF_OF(Object, 0);

    if (o == NULL)
        return;
    if (o->kind == WDF_KIND_DRIVER || o->kind == WDF_KIND_QUEUE || o->kind == WDF_KIND_FILE ||
        o->kind == WDF_KIND_REQUEST) {
        nt_bug(WDF_VIOLATION, NULL, NT_SITE, "WdfObjectDelete: this object is the framework's to delete");
        return;
    }
    wdf_delete(o);
}

NTSTATUS WdfObjectAllocateContext(WDFOBJECT Handle, PWDF_OBJECT_ATTRIBUTES ContextAttributes, PVOID *Context)
{
    NT_FAIL_STATUS(WdfObjectAllocateContext);
    struct wdf_object *o = WDF_OF(Handle, 0);
    struct wdf_context *c;

    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (Context != NULL)
        *Context = NULL;
    if (o == NULL || ContextAttributes == NULL || ContextAttributes->ParentObject != NULL)
        return STATUS_INVALID_PARAMETER;
    if (ContextAttributes != NULL && ContextAttributes->Size != sizeof *ContextAttributes)
        return STATUS_INFO_LENGTH_MISMATCH;
    if (ContextAttributes->ContextTypeInfo == NULL)
        return STATUS_OBJECT_NAME_INVALID;
    NTSTATUS status = add_context(o, ContextAttributes, &c);
    if (!NT_SUCCESS(status))
        return status;
    wdf_lock(o);
    struct wdf_context *there = context_of(o, c->name);
    if (o->deleting)
        status = STATUS_DELETE_PENDING;
    else if (there != NULL)
        status = STATUS_OBJECT_NAME_EXISTS; /* a success: the one that is there */
    else {
        c->next = o->contexts;
        o->contexts = c;
        there = c;
    }
    wdf_unlock(o);
    if (there != c)
        free(c);
    if (NT_SUCCESS(status) && Context != NULL)
        *Context = there->data;
    return status;
}

/* NULL: the object has no such context. */
PVOID WdfObjectGetTypedContextWorker(WDFOBJECT Handle, PCWDF_OBJECT_CONTEXT_TYPE_INFO TypeInfo)
{
    struct wdf_object *o = WDF_OF(Handle, 0);
    struct wdf_context *c = NULL;

    if (o == NULL)
        return NULL;
    wdf_lock(o);
    c = context_of(o, TypeInfo->ContextName);
    wdf_unlock(o);
    return c == NULL ? NULL : c->data;
}

WDFOBJECT WdfObjectContextGetObject(PVOID ContextPointer)
{
    return CONTAINING_RECORD(ContextPointer, struct wdf_context, data)->object;
}

VOID WdfObjectReferenceActual(WDFOBJECT Handle, PVOID Tag, LONG Line, PCHAR File)
{
    struct wdf_object *o = WDF_OF(Handle, 0);

    (void)Tag;
    (void)Line;
    (void)File;
    if (o == NULL)
        return;
    wdf_reference(o);
    ledger_open(LEDGER_OBJECT_REFERENCE, (uint64_t)(uintptr_t)o, 0, "framework object", NT_SITE);
}

VOID WdfObjectDereferenceActual(WDFOBJECT Handle, PVOID Tag, LONG Line, PCHAR File)
{
    (void)Tag;
    (void)Line;
    (void)File;
    if (!ledger_close(LEDGER_OBJECT_REFERENCE, (uint64_t)(uintptr_t)Handle, NT_SITE))
        return;
    struct wdf_object *o = WDF_OF(Handle, 0);
    if (o != NULL)
        wdf_dereference(o);
}

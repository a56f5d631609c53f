/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects: a header in front of the body counts references; the last one calls the type's `gone` and frees
 * both. A driver's references are in the ledger: one given back that it never had is a finding and changes
 * nothing.
 */
#include <stdatomic.h>
#include <stdlib.h>

#include "nt/internal.h"

enum { OBJECT_MAGIC = 0x6a624f57 };

struct header {
    uint32_t magic;
    _Atomic uint32_t references;
    struct _OBJECT_TYPE *type;
} __attribute__((aligned(16)));

struct _OBJECT_TYPE ob_type_event = {.name = "Event"};
struct _OBJECT_TYPE ob_type_semaphore = {.name = "Semaphore"};
struct _OBJECT_TYPE ob_type_mutant = {.name = "Mutant"};
struct _OBJECT_TYPE ob_type_timer = {.name = "Timer"};
struct _OBJECT_TYPE ob_type_directory = {.name = "Directory"};
struct _OBJECT_TYPE ob_type_symbolic_link = {.name = "SymbolicLink"};

static POBJECT_TYPE event_type = &ob_type_event, semaphore_type = &ob_type_semaphore,
                    file_type = &ob_type_file, device_type = &ob_type_device, driver_type = &ob_type_driver,
                    thread_type = &ob_type_thread, process_type = &ob_type_process, key_type = &ob_type_key;
POBJECT_TYPE *const ExEventObjectType = &event_type;
POBJECT_TYPE *const ExSemaphoreObjectType = &semaphore_type;
POBJECT_TYPE *const IoFileObjectType = &file_type;
POBJECT_TYPE *const IoDeviceObjectType = &device_type;
POBJECT_TYPE *const IoDriverObjectType = &driver_type;
POBJECT_TYPE *const PsThreadType = &thread_type;
POBJECT_TYPE *const PsProcessType = &process_type;
POBJECT_TYPE *const CmKeyObjectType = &key_type;

static struct header *header_of(const void *object)
{
    struct header *h = (struct header *)(uintptr_t)object - 1;

    return object != NULL && h->magic == OBJECT_MAGIC ? h : NULL;
}

void *ob_create(struct _OBJECT_TYPE *type, size_t size)
{
    struct header *h = aligned_alloc(16, (sizeof(*h) + size + 15) & ~(size_t)15);

    if (h == NULL)
        return NULL;
    memset(h, 0, sizeof(*h) + size);
    h->magic = OBJECT_MAGIC;
    h->type = type;
    atomic_init(&h->references, 1);
    return h + 1;
}

bool ob_is(const void *object, const struct _OBJECT_TYPE *type)
{
    const struct header *h = header_of(object);

    return h != NULL && h->type == type;
}

void ob_reference(void *object)
{
    struct header *h = object; /* the caller has a reference: it is one */

    atomic_fetch_add(&h[-1].references, 1);
}

bool ob_reference_unless_gone(void *object)
{
    struct header *h = header_of(object);
    uint32_t count = atomic_load(&h->references);

    while (count != 0)
        if (atomic_compare_exchange_weak(&h->references, &count, count + 1))
            return true;
    return false;
}

void ob_dereference(void *object)
{
    struct header *h = header_of(object);

    if (atomic_fetch_sub(&h->references, 1) != 1)
        return;
    if (h->type->gone != NULL)
        h->type->gone(object);
    h->magic = 0;
    free(h);
}

/* ---- what drivers call -------------------------------------------------------------------------------- */
static LONG_PTR reference(PVOID object, const char *function, const void *site)
{
    struct header *h = header_of(object);

    if (h == NULL) {
        nt_note(site, "%s: this is no object", function);
        return 0;
    }
    LONG_PTR count = (LONG_PTR)atomic_fetch_add(&h->references, 1) + 1;
    ledger_open(LEDGER_OBJECT_REFERENCE, (uint64_t)(uintptr_t)object, 0, h->type->name, site);
    return count;
}

static LONG_PTR dereference(PVOID object, const char *function, const void *site)
{
    if (!ledger_close(LEDGER_OBJECT_REFERENCE, (uint64_t)(uintptr_t)object, site))
        return 0;
    struct header *h = header_of(object);
    if (h == NULL) {
        nt_note(site, "%s: this is no object", function);
        return 0;
    }
    LONG_PTR count = (LONG_PTR)atomic_load(&h->references) - 1;
    ob_dereference(object);
    return count;
}

LONG_PTR ObfReferenceObject(PVOID Object)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    return reference(Object, __func__, NT_SITE);
}

LONG_PTR ObfReferenceObjectWithTag(PVOID Object, ULONG Tag)
{
    (void)Tag;
    NT_IRQL_MAX(DISPATCH_LEVEL);
    return reference(Object, __func__, NT_SITE);
}

LONG_PTR ObfDereferenceObject(PVOID Object)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    return dereference(Object, __func__, NT_SITE);
}

LONG_PTR ObfDereferenceObjectWithTag(PVOID Object, ULONG Tag)
{
    (void)Tag;
    NT_IRQL_MAX(DISPATCH_LEVEL);
    return dereference(Object, __func__, NT_SITE);
}

/* Here no object's end takes a lock that its caller could hold, so nothing has to wait. */
VOID ObDereferenceObjectDeferDelete(PVOID Object)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    dereference(Object, __func__, NT_SITE);
}

NTSTATUS ObReferenceObjectByPointer(PVOID Object, ACCESS_MASK DesiredAccess, POBJECT_TYPE ObjectType,
                                    KPROCESSOR_MODE AccessMode)
{
    (void)DesiredAccess;
    (void)AccessMode;
    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (ObjectType != NULL && !ob_is(Object, ObjectType))
        return STATUS_OBJECT_TYPE_MISMATCH;
    return reference(Object, __func__, NT_SITE) == 0 ? STATUS_OBJECT_TYPE_MISMATCH : STATUS_SUCCESS;
}

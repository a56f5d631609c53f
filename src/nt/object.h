/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects with references and handles, for the rest of this room. An object's body (what a driver points at)
 * follows a header of Weir's; ObReferenceObject and the others find it there.
 *
 * References of Weir's own go through ob_reference(), ob_dereference() and are nobody's debt; those that a
 * driver takes are in the ledger (LEDGER_OBJECT_REFERENCE, LEDGER_HANDLE). An object ends when the last of
 * both is gone; its type's `gone` runs on the thread that gave the last one back, at whatever IRQL that is.
 */
#ifndef WEIR_NT_OBJECT_H
#define WEIR_NT_OBJECT_H

#include <stdbool.h>

#include "ntddk.h"

struct nt;

struct _OBJECT_TYPE {
    const char *name;           /* "Event", "Thread", ... */
    void (*gone)(void *object); /* NULL: nothing to do but to free the memory */
};

/* The types that drivers can name. ke's: thread, process, event (and others like it); io's: file. */
extern struct _OBJECT_TYPE ob_type_thread, ob_type_process, ob_type_event, ob_type_semaphore, ob_type_mutant,
    ob_type_timer, ob_type_callback, ob_type_file, ob_type_device, ob_type_driver, ob_type_key,
    ob_type_directory, ob_type_symbolic_link;

/* A body of `size` bytes, zero, 16-byte aligned, with one reference. NULL: no memory. */
void *ob_create(struct _OBJECT_TYPE *type, size_t size);
bool ob_is(const void *object, const struct _OBJECT_TYPE *type);
void ob_reference(void *object);
void ob_dereference(void *object);
/* As ob_reference(), but false where the object is already going (for tables that hold no reference). */
bool ob_reference_unless_gone(void *object);

/* A new handle that holds a reference. STATUS_INSUFFICIENT_RESOURCES. Handles count up from 4 in steps of 4,
 * kernel handles with the upper bits set, and are used again. */
NTSTATUS ob_handle_open(struct nt *k, void *object, ULONG attributes, HANDLE *out);
/* What the handle stands for, with a reference. STATUS_INVALID_HANDLE, STATUS_OBJECT_TYPE_MISMATCH. */
NTSTATUS ob_handle_object(struct nt *k, HANDLE handle, const struct _OBJECT_TYPE *type /* NULL: any */,
                          void **out);
NTSTATUS ob_handle_close(struct nt *k, HANDLE handle);

/* Of a kernel: nt_create() and nt_destroy() call these. */
struct ob_room;
int ob_room_create(struct ob_room **out);
void ob_room_destroy(struct ob_room *r);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Memory objects, strings and collections of the framework. <= DISPATCH_LEVEL; strings PASSIVE_LEVEL. */
#include <stdlib.h>

#include "nt/fault.h"
#include "nt/text.h"
#include "nt/wdf_inside.h"

/* ---- memory
 * ---------------------------------------------------------------------------------------------------------
 */
static void memory_free(struct wdf_object *o)
{
    free(((struct wdf_memory *)o)->pool);
}

NTSTATUS WdfMemoryCreate(PWDF_OBJECT_ATTRIBUTES Attributes, POOL_TYPE PoolType, ULONG PoolTag,
                         size_t BufferSize, WDFMEMORY *Memory, PVOID *Buffer)
{
    NT_FAIL_STATUS(WdfMemoryCreate);
    struct io_driver *io = wdf_current_driver();
    void *o;

    (void)PoolType;
    (void)PoolTag;
    NT_IRQL_MAX(DISPATCH_LEVEL);
    *Memory = NULL;
    if (io == NULL || BufferSize == 0)
        return STATUS_INVALID_PARAMETER;
    NTSTATUS status =
        wdf_create(io, WDF_KIND_MEMORY, sizeof(struct wdf_memory), Attributes, io->wdf, NT_SITE, &o);
    if (!NT_SUCCESS(status))
        return status;
    struct wdf_memory *m = o;
    m->o.free = memory_free;
    m->buffer = m->pool = calloc(1, BufferSize);
    m->size = BufferSize;
    if (m->pool == NULL) {
        wdf_delete(&m->o);
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    *Memory = (WDFMEMORY)m;
    if (Buffer != NULL)
        *Buffer = m->buffer;
    return STATUS_SUCCESS;
}

NTSTATUS WdfMemoryCreatePreallocated(PWDF_OBJECT_ATTRIBUTES Attributes, PVOID Buffer, size_t BufferSize,
                                     WDFMEMORY *Memory)
{
    NT_FAIL_STATUS(WdfMemoryCreatePreallocated);
    struct io_driver *io = wdf_current_driver();
    void *o;

    NT_IRQL_MAX(DISPATCH_LEVEL);
    *Memory = NULL;
    if (io == NULL || Buffer == NULL || BufferSize == 0)
        return STATUS_INVALID_PARAMETER;
    NTSTATUS status =
        wdf_create(io, WDF_KIND_MEMORY, sizeof(struct wdf_memory), Attributes, io->wdf, NT_SITE, &o);
    if (!NT_SUCCESS(status))
        return status;
    struct wdf_memory *m = o;
    m->buffer = Buffer;
    m->size = BufferSize;
    *Memory = (WDFMEMORY)m;
    return STATUS_SUCCESS;
}

NTSTATUS WdfMemoryAssignBuffer(WDFMEMORY Memory, PVOID Buffer, size_t BufferSize)
{
    struct wdf_memory *m = WDF_OF(Memory, WDF_KIND_MEMORY);

    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (m == NULL || m->pool != NULL || Buffer == NULL || BufferSize == 0)
        return STATUS_INVALID_PARAMETER;
    m->buffer = Buffer;
    m->size = BufferSize;
    return STATUS_SUCCESS;
}

PVOID WdfMemoryGetBuffer(WDFMEMORY Memory, size_t *BufferSize)
{
    struct wdf_memory *m = WDF_OF(Memory, WDF_KIND_MEMORY);

    if (BufferSize != NULL)
        *BufferSize = m == NULL ? 0 : m->size;
    return m == NULL ? NULL : m->buffer;
}

NTSTATUS WdfMemoryCopyToBuffer(WDFMEMORY SourceMemory, size_t SourceOffset, PVOID Buffer,
                               size_t NumBytesToCopyTo)
{
    struct wdf_memory *m = WDF_OF(SourceMemory, WDF_KIND_MEMORY);

    if (m == NULL || Buffer == NULL || NumBytesToCopyTo == 0)
        return STATUS_INVALID_PARAMETER;
    if (SourceOffset > m->size || NumBytesToCopyTo > m->size - SourceOffset)
        return STATUS_BUFFER_TOO_SMALL;
    memcpy(Buffer, (char *)m->buffer + SourceOffset, NumBytesToCopyTo);
    return STATUS_SUCCESS;
}

NTSTATUS WdfMemoryCopyFromBuffer(WDFMEMORY DestinationMemory, size_t DestinationOffset, PVOID Buffer,
                                 size_t NumBytesToCopyFrom)
{
    struct wdf_memory *m = WDF_OF(DestinationMemory, WDF_KIND_MEMORY);

    if (m == NULL || Buffer == NULL || NumBytesToCopyFrom == 0)
        return STATUS_INVALID_PARAMETER;
    if (DestinationOffset > m->size || NumBytesToCopyFrom > m->size - DestinationOffset)
        return STATUS_BUFFER_TOO_SMALL;
    memcpy((char *)m->buffer + DestinationOffset, Buffer, NumBytesToCopyFrom);
    return STATUS_SUCCESS;
}

/* ---- strings
 * -------------------------------------------------------------------------------------------------------- */
static void string_free(struct wdf_object *o)
{
    free(((struct wdf_string *)o)->string.Buffer);
}

NTSTATUS wdf_string_set(struct wdf_string *s, const WCHAR *units, size_t count)
{
    WCHAR *copy = count > 0x7ffe ? NULL : malloc((count + 1) * sizeof *copy);

    if (copy == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    if (count > 0)
        memcpy(copy, units, count * sizeof *copy);
    copy[count] = 0;
    free(s->string.Buffer);
    s->string = (UNICODE_STRING){(USHORT)(count * sizeof *copy), (USHORT)((count + 1) * sizeof *copy), copy};
    return STATUS_SUCCESS;
}

NTSTATUS WdfStringCreate(PCUNICODE_STRING UnicodeString, PWDF_OBJECT_ATTRIBUTES StringAttributes,
                         WDFSTRING *String)
{
    NT_FAIL_STATUS(WdfStringCreate);
    struct io_driver *io = wdf_current_driver();
    void *o;

    NT_IRQL_MAX(PASSIVE_LEVEL);
    *String = NULL;
    if (io == NULL)
        return STATUS_INVALID_PARAMETER;
    NTSTATUS status =
        wdf_create(io, WDF_KIND_STRING, sizeof(struct wdf_string), StringAttributes, io->wdf, NT_SITE, &o);
    if (!NT_SUCCESS(status))
        return status;
    struct wdf_string *s = o;
    s->o.free = string_free;
    if (UnicodeString != NULL)
        status = wdf_string_set(s, UnicodeString->Buffer, UnicodeString->Length / sizeof(WCHAR));
    if (!NT_SUCCESS(status)) {
        wdf_delete(&s->o);
        return status;
    }
    *String = (WDFSTRING)s;
    return STATUS_SUCCESS;
}

VOID WdfStringGetUnicodeString(WDFSTRING String, PUNICODE_STRING UnicodeString)
{
    struct wdf_string *s = WDF_OF(String, WDF_KIND_STRING);

    *UnicodeString = s == NULL ? (UNICODE_STRING){0, 0, NULL} : s->string;
}

/* ---- collections: each entry holds a reference
 * ------------------------------------------------------------------------- */
struct wdf_collection {
    struct wdf_object o;
    struct wdf_object **items;
    ULONG count, room;
};

static void collection_free(struct wdf_object *o)
{
    struct wdf_collection *c = (struct wdf_collection *)o;

    for (ULONG i = 0; i < c->count; i++)
        wdf_dereference(c->items[i]);
    free(c->items);
}

NTSTATUS WdfCollectionCreate(PWDF_OBJECT_ATTRIBUTES CollectionAttributes, WDFCOLLECTION *Collection)
{
    NT_FAIL_STATUS(WdfCollectionCreate);
    struct io_driver *io = wdf_current_driver();
    void *o;

    NT_IRQL_MAX(DISPATCH_LEVEL);
    *Collection = NULL;
    if (io == NULL)
        return STATUS_INVALID_PARAMETER;
    NTSTATUS status = wdf_create(io, WDF_KIND_COLLECTION, sizeof(struct wdf_collection), CollectionAttributes,
                                 io->wdf, NT_SITE, &o);
    if (NT_SUCCESS(status)) {
        ((struct wdf_object *)o)->free = collection_free;
        *Collection = o;
    }
    return status;
}

ULONG WdfCollectionGetCount(WDFCOLLECTION Collection)
{
    struct wdf_collection *c = WDF_OF(Collection, WDF_KIND_COLLECTION);

    return c == NULL ? 0 : c->count;
}

NTSTATUS WdfCollectionAdd(WDFCOLLECTION Collection, WDFOBJECT Object)
{
    NT_FAIL_STATUS(WdfCollectionAdd);
    struct wdf_collection *c = WDF_OF(Collection, WDF_KIND_COLLECTION);
    struct wdf_object *o = WDF_OF(Object, 0);
    NTSTATUS status = STATUS_SUCCESS;

    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (c == NULL || o == NULL)
        return STATUS_INVALID_PARAMETER;
    wdf_lock(&c->o);
    if (c->count == c->room) {
        ULONG room = c->room == 0 ? 8 : 2 * c->room;
        struct wdf_object **grown = realloc(c->items, room * sizeof(struct wdf_object *));
        if (grown == NULL) {
            status = STATUS_INSUFFICIENT_RESOURCES;
        } else {
            c->items = grown;
            c->room = room;
        }
    }
    if (NT_SUCCESS(status)) {
        o->references++;
        c->items[c->count++] = o;
    }
    wdf_unlock(&c->o);
    return status;
}

/* Out of its place, whose number it had; NULL: there is none. */
static struct wdf_object *take(struct wdf_collection *c, ULONG index)
{
    struct wdf_object *o = NULL;

    if (index < c->count) {
        o = c->items[index];
        memmove(c->items + index, c->items + index + 1, (c->count - index - 1) * sizeof(struct wdf_object *));
        c->count--;
    }
    return o;
}

VOID WdfCollectionRemoveItem(WDFCOLLECTION Collection, ULONG Index)
{
    struct wdf_collection *c = WDF_OF(Collection, WDF_KIND_COLLECTION);

    if (c == NULL)
        return;
    wdf_lock(&c->o);
    struct wdf_object *o = take(c, Index);
    wdf_unlock(&c->o);
    wdf_dereference(o);
}

VOID WdfCollectionRemove(WDFCOLLECTION Collection, WDFOBJECT Item)
{
    struct wdf_collection *c = WDF_OF(Collection, WDF_KIND_COLLECTION);
    struct wdf_object *o = NULL;

    if (c == NULL)
        return;
    wdf_lock(&c->o);
    for (ULONG i = 0; i < c->count && o == NULL; i++)
        if (c->items[i] == Item)
            o = take(c, i);
    wdf_unlock(&c->o);
    wdf_dereference(o);
}

WDFOBJECT WdfCollectionGetItem(WDFCOLLECTION Collection, ULONG Index)
{
    struct wdf_collection *c = WDF_OF(Collection, WDF_KIND_COLLECTION);

    return c == NULL || Index >= c->count ? NULL : c->items[Index];
}

WDFOBJECT WdfCollectionGetFirstItem(WDFCOLLECTION Collection)
{
    return WdfCollectionGetItem(Collection, 0);
}

WDFOBJECT WdfCollectionGetLastItem(WDFCOLLECTION Collection)
{
    return WdfCollectionGetItem(Collection, WdfCollectionGetCount(Collection) - 1);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects and the tables they stand in, and the undo log of the write transaction.
 *
 * Linking and unlinking are exact inverses if undone in reverse order: an unlinked object keeps its own list
 * pointers, so that relinking puts it back between the same neighbours. Nothing here checks policy; the
 * rules are in the files named after the kinds.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bfe/callouts.h"
#include "bfe/core.h"

/* ---- objects ---------------------------------------------------------------------------------------- */

struct bfe_object *bfe_object_create(enum bfe_kind kind, const void *src)
{
    _Static_assert(sizeof(struct bfe_object) % 8 == 0, "the documented struct follows the header");
    struct bfe_object *o = bfe_copy_after(sizeof(*o), kind, src);

    if (o == NULL)
        return NULL;
    memset(o, 0, sizeof(*o));
    o->kind = kind;
    o->refs = 1;
    o->data = o + 1;
    return o;
}

const GUID *bfe_object_provider_key(const struct bfe_object *o)
{
    switch (o->kind) {
    case BFE_PROVIDER_CONTEXT:
        return o->context->providerKey;
    case BFE_SUBLAYER:
        return o->sublayer->providerKey;
    case BFE_CALLOUT:
        return o->callout->providerKey;
    case BFE_FILTER:
        return o->filter->providerKey;
    default:
        return NULL;
    }
}

struct bfe_object *bfe_object_ref(struct bfe_object *o)
{
    o->refs++;
    return o;
}

void bfe_object_unref(struct bfe_object *o)
{
    if (o == NULL || --o->refs > 0)
        return;
    if (o->running != NULL)
        engine_filter_unref(o->running);
    bfe_sd_unref(o->sd);
    free(o->replaced);
    free(o);
}

struct bfe_sd *bfe_sd_create(const void *sd, size_t size)
{
    struct bfe_sd *copy = malloc(sizeof(*copy) + size);

    if (copy == NULL)
        return NULL;
    copy->refs = 1;
    copy->size = (UINT32)size;
    memcpy(copy->bytes, sd, size);
    return copy;
}

void bfe_sd_unref(struct bfe_sd *sd)
{
    if (sd != NULL && --sd->refs == 0)
        free(sd);
}

/* ---- hashing ---------------------------------------------------------------------------------------- */

static UINT64 mix(UINT64 x)
{
    x ^= x >> 32;
    x *= 0x9e3779b97f4a7c15u; /* 2^64 / golden ratio */
    return x ^ (x >> 29);
}

static size_t key_slot(const GUID *key, unsigned bits)
{
    UINT64 half[2];

    memcpy(half, key, sizeof(half));
    return (size_t)(mix(half[0] ^ mix(half[1])) >> (64 - bits));
}

/* Ids are given out one after the other: they spread best, and nearest to each other, as they are. */
static size_t id_slot(UINT64 id, unsigned bits)
{
    return (size_t)id & (((size_t)1 << bits) - 1);
}

#define FIRST_BITS 6

int bfe_tables_create(struct bfe *b)
{
    for (int k = 0; k < BFE_KINDS; k++) {
        struct bfe_table *t = &b->tables[k];

        t->bits = FIRST_BITS;
        t->by_key = calloc((size_t)1 << t->bits, sizeof(*t->by_key));
        t->by_id = calloc((size_t)1 << t->bits, sizeof(*t->by_id));
        if (t->by_key == NULL || t->by_id == NULL)
            return -ENOMEM;
    }
    return 0;
}

void bfe_tables_destroy(struct bfe *b)
{
    for (int k = 0; k < BFE_KINDS; k++) {
        struct bfe_table *t = &b->tables[k];

        for (struct bfe_object *o = t->first, *next; o != NULL; o = next) { /* only if stopping failed */
            next = o->next;
            bfe_object_unref(o);
        }
        free(t->by_key);
        free(t->by_id);
    }
}

/* Twice the chains. Growing is an optimisation: without memory the chains just get longer. */
static void grow(struct bfe_table *t)
{
    unsigned bits = t->bits + 1;
    struct bfe_object **by_key = calloc((size_t)1 << bits, sizeof(*by_key));
    struct bfe_object **by_id = calloc((size_t)1 << bits, sizeof(*by_id));

    if (by_key == NULL || by_id == NULL) {
        free(by_key);
        free(by_id);
        return;
    }
    for (struct bfe_object *o = t->first; o != NULL; o = o->next) {
        struct bfe_object **at = &by_key[key_slot(&o->key, bits)];

        o->key_next = *at;
        *at = o;
        if (o->id == 0)
            continue;
        at = &by_id[id_slot(o->id, bits)];
        o->id_next = *at;
        *at = o;
    }
    free(t->by_key);
    free(t->by_id);
    t->by_key = by_key;
    t->by_id = by_id;
    t->bits = bits;
}

struct bfe_object *bfe_find(struct bfe *b, enum bfe_kind kind, const GUID *key)
{
    const struct bfe_table *t = &b->tables[kind];

    for (struct bfe_object *o = t->by_key[key_slot(key, t->bits)]; o != NULL; o = o->key_next) {
        if (memcmp(&o->key, key, sizeof(*key)) == 0)
            return o;
    }
    return NULL;
}

struct bfe_object *bfe_find_id(struct bfe *b, enum bfe_kind kind, UINT64 id)
{
    const struct bfe_table *t = &b->tables[kind];

    if (id == 0)
        return NULL;
    for (struct bfe_object *o = t->by_id[id_slot(id, t->bits)]; o != NULL; o = o->id_next) {
        if (o->id == id)
            return o;
    }
    return NULL;
}

NTSTATUS bfe_not_found(enum bfe_kind kind)
{
    switch (kind) {
    case BFE_PROVIDER:
        return STATUS_FWP_PROVIDER_NOT_FOUND;
    case BFE_PROVIDER_CONTEXT:
        return STATUS_FWP_PROVIDER_CONTEXT_NOT_FOUND;
    case BFE_SUBLAYER:
        return STATUS_FWP_SUBLAYER_NOT_FOUND;
    case BFE_LAYER:
        return STATUS_FWP_LAYER_NOT_FOUND;
    case BFE_CALLOUT:
        return STATUS_FWP_CALLOUT_NOT_FOUND;
    case BFE_FILTER:
        return STATUS_FWP_FILTER_NOT_FOUND;
    default:
        return STATUS_FWP_NOT_FOUND;
    }
}

/* ---- linking ---------------------------------------------------------------------------------------- */

static void insert_in_hashes(struct bfe_table *t, struct bfe_object *o)
{
    struct bfe_object **at = &t->by_key[key_slot(&o->key, t->bits)];

    o->key_next = *at;
    *at = o;
    if (o->id != 0) {
        at = &t->by_id[id_slot(o->id, t->bits)];
        o->id_next = *at;
        *at = o;
    }
}

static void remove_from_hashes(struct bfe_table *t, struct bfe_object *o)
{
    struct bfe_object **at = &t->by_key[key_slot(&o->key, t->bits)];

    while (*at != o)
        at = &(*at)->key_next;
    *at = o->key_next;
    if (o->id != 0) {
        at = &t->by_id[id_slot(o->id, t->bits)];
        while (*at != o)
            at = &(*at)->id_next;
        *at = o->id_next;
    }
}

/* Puts o between the neighbours that its own pointers name. */
static void relink(struct bfe *b, struct bfe_object *o)
{
    struct bfe_table *t = &b->tables[o->kind];

    insert_in_hashes(t, o);
    *(o->prev == NULL ? &t->first : &o->prev->next) = o;
    *(o->next == NULL ? &t->last : &o->next->prev) = o;
    if (o->owner != NULL) {
        *(o->owned_prev == NULL ? &o->owner->owned_first : &o->owned_prev->owned_next) = o;
        *(o->owned_next == NULL ? &o->owner->owned_last : &o->owned_next->owned_prev) = o;
    }
    for (int r = 0; r < BFE_REFS; r++) {
        if (o->ref[r] != NULL)
            o->ref[r]->users++;
    }
    t->count++;
    o->linked = true;
}

static void unlink_keeping_neighbours(struct bfe *b, struct bfe_object *o)
{
    struct bfe_table *t = &b->tables[o->kind];

    remove_from_hashes(t, o);
    *(o->prev == NULL ? &t->first : &o->prev->next) = o->next;
    *(o->next == NULL ? &t->last : &o->next->prev) = o->prev;
    if (o->owner != NULL) {
        *(o->owned_prev == NULL ? &o->owner->owned_first : &o->owned_prev->owned_next) = o->owned_next;
        *(o->owned_next == NULL ? &o->owner->owned_last : &o->owned_next->owned_prev) = o->owned_prev;
    }
    for (int r = 0; r < BFE_REFS; r++) {
        if (o->ref[r] != NULL)
            o->ref[r]->users--;
    }
    t->count--;
    o->linked = false;
}

/* ---- the undo log ------------------------------------------------------------------------------------- */

static NTSTATUS log_change(struct bfe *b, enum bfe_undo_op op, struct bfe_object *o)
{
    if (b->log_count == b->log_capacity) {
        size_t capacity = b->log_capacity == 0 ? 64 : b->log_capacity * 2;
        struct bfe_undo *log = realloc(b->log, capacity * sizeof(*log));

        if (log == NULL)
            return STATUS_NO_MEMORY;
        b->log = log;
        b->log_capacity = capacity;
    }
    b->log[b->log_count++] = (struct bfe_undo){.op = op, .object = bfe_object_ref(o)};
    return STATUS_SUCCESS;
}

NTSTATUS bfe_link(struct bfe *b, struct bfe_object *o)
{
    struct bfe_table *t = &b->tables[o->kind];
    NTSTATUS status = log_change(b, BFE_UNDO_ADD, o);

    if (status != STATUS_SUCCESS) {
        bfe_object_unref(o);
        return status;
    }
    if (t->count >> t->bits != 0)
        grow(t);
    if (o->seq == 0)
        o->seq = ++b->next_seq;
    o->prev = t->last;
    o->next = NULL;
    if (o->owner != NULL) {
        o->owned_prev = o->owner->owned_last;
        o->owned_next = NULL;
    }
    o->fresh = true;
    relink(b, o);
    return STATUS_SUCCESS;
}

NTSTATUS bfe_unlink(struct bfe *b, struct bfe_object *o)
{
    NTSTATUS status;

    if (o->lifetime == BFE_BUILTIN && b->service == BFE_RUNNING)
        return STATUS_FWP_BUILTIN_OBJECT;
    if (o->users != 0)
        return STATUS_FWP_IN_USE;
    status = log_change(b, BFE_UNDO_DELETE, o);
    if (status == STATUS_SUCCESS)
        unlink_keeping_neighbours(b, o); /* the tables' reference is dropped at commit */
    return status;
}

NTSTATUS bfe_change_sd(struct bfe *b, struct bfe_object *o, struct bfe_sd *sd)
{
    NTSTATUS status = log_change(b, BFE_UNDO_SD, o);

    if (status != STATUS_SUCCESS) {
        bfe_sd_unref(sd);
        return status;
    }
    b->log[b->log_count - 1].sd = o->sd;
    o->sd = sd;
    return STATUS_SUCCESS;
}

/* block NULL: the data that the object was made with. */
static void set_data(struct bfe_object *o, void *block)
{
    o->replaced = block;
    o->data = block != NULL ? block : (void *)(o + 1);
    o->provider_key = bfe_object_provider_key(o);
}

NTSTATUS bfe_change_data(struct bfe *b, struct bfe_object *o, void *block)
{
    NTSTATUS status = log_change(b, BFE_UNDO_DATA, o);

    if (status != STATUS_SUCCESS) {
        bfe_free(block);
        return status;
    }
    b->log[b->log_count - 1].replaced = o->replaced;
    set_data(o, block);
    return STATUS_SUCCESS;
}

void bfe_log_undo(struct bfe *b, size_t mark)
{
    while (b->log_count > mark) {
        struct bfe_undo *u = &b->log[--b->log_count];

        switch (u->op) {
        case BFE_UNDO_ADD:
            unlink_keeping_neighbours(b, u->object);
            bfe_callouts_tell_undone(b, u->object);
            bfe_object_unref(u->object);
            break;
        case BFE_UNDO_DELETE:
            relink(b, u->object);
            break;
        case BFE_UNDO_SD:
            bfe_sd_unref(u->object->sd);
            u->object->sd = u->sd;
            break;
        case BFE_UNDO_DATA:
            free(u->object->replaced);
            set_data(u->object, u->replaced);
            break;
        }
        bfe_object_unref(u->object);
    }
}

void bfe_log_release(struct bfe *b)
{
    for (size_t i = 0; i < b->log_count; i++) {
        struct bfe_undo *u = &b->log[i];

        switch (u->op) {
        case BFE_UNDO_ADD:
            u->object->fresh = false;
            break;
        case BFE_UNDO_DELETE:
            u->object->owner = NULL;     /* the session may go before whoever still looks at the object */
            bfe_object_unref(u->object); /* the tables' */
            break;
        case BFE_UNDO_SD:
            bfe_sd_unref(u->sd);
            break;
        case BFE_UNDO_DATA:
            free(u->replaced);
            break;
        }
        bfe_object_unref(u->object);
    }
    b->log_count = 0;
}

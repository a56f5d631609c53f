/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store of persistent objects, in memory (the interface is in store.h). It may outlive a bfe and be given
 * to the next, which is what a restart is; two running at once must not share one. No lock: its bfe's mutex
 * guards it.
 *
 * Records are found by kind and key through a chained hash, and stand in a list in the order of adding.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bfe/store.h"

struct stored {
    struct bfe_record r;
    GUID key;
    struct stored *chain, *prev, *next;
};

struct bfe_store {
    struct stored **chains;
    unsigned bits;
    size_t count;
    struct stored *first, *last;
};

/* One step of a prepared change: `in` takes the place of whatever has its key, or `out` goes. */
struct step {
    struct stored *in;
    enum bfe_kind out_kind;
    GUID out_key;
};

struct bfe_store_txn {
    struct bfe_store *store;
    size_t count;
    struct step steps[];
};

#define FIRST_BITS 6

int bfe_store_create(struct bfe_store **out)
{
    struct bfe_store *s = calloc(1, sizeof(*s));

    if (s == NULL)
        return -ENOMEM;
    s->bits = FIRST_BITS;
    s->chains = calloc((size_t)1 << s->bits, sizeof(*s->chains));
    if (s->chains == NULL) {
        free(s);
        return -ENOMEM;
    }
    *out = s;
    return 0;
}

static void record_free(struct stored *r)
{
    if (r == NULL)
        return;
    free((void *)r->r.data); /* bfe_copy's block */
    free((void *)r->r.sd);
    free(r);
}

void bfe_store_destroy(struct bfe_store *s)
{
    if (s == NULL)
        return;
    for (struct stored *r = s->first, *next; r != NULL; r = next) {
        next = r->next;
        record_free(r);
    }
    free(s->chains);
    free(s);
}

static struct stored **slot(struct bfe_store *s, enum bfe_kind kind, const GUID *key)
{
    UINT64 half[2], h;

    memcpy(half, key, sizeof(half));
    h = (half[0] ^ (half[1] * 0x9e3779b97f4a7c15u) ^ (UINT64)kind) * 0x9e3779b97f4a7c15u;
    return &s->chains[h >> (64 - s->bits)];
}

/* Longer chains are slower, not wrong: no memory is no failure. */
static void grow(struct bfe_store *s)
{
    struct stored **old = s->chains, **chains = calloc((size_t)2 << s->bits, sizeof(*chains));

    if (chains == NULL)
        return;
    s->chains = chains;
    s->bits++;
    for (struct stored *r = s->first; r != NULL; r = r->next) {
        struct stored **at = slot(s, r->r.kind, &r->key);

        r->chain = *at;
        *at = r;
    }
    free(old);
}

static struct stored **find(struct bfe_store *s, enum bfe_kind kind, const GUID *key)
{
    struct stored **at = slot(s, kind, key);

    while (*at != NULL && ((*at)->r.kind != kind || memcmp(&(*at)->key, key, sizeof(*key)) != 0))
        at = &(*at)->chain;
    return at;
}

static struct stored *record_create(const struct bfe_object *o)
{
    struct stored *r = calloc(1, sizeof(*r));

    if (r == NULL)
        return NULL;
    r->r.kind = o->kind;
    r->r.id = o->id;
    r->key = o->key;
    r->r.data = bfe_copy(o->kind, o->data);
    if (r->r.data == NULL) {
        free(r);
        return NULL;
    }
    if (o->sd != NULL) {
        void *sd = malloc(o->sd->size);

        if (sd == NULL) {
            record_free(r);
            return NULL;
        }
        memcpy(sd, o->sd->bytes, o->sd->size);
        r->r.sd = sd;
        r->r.sd_size = o->sd->size;
    }
    return r;
}

NTSTATUS bfe_store_prepare(struct bfe_store *s, const struct bfe_undo *log, size_t count,
                           struct bfe_store_txn **out)
{
    struct bfe_store_txn *t = NULL;

    *out = NULL;
    for (size_t i = 0; i < count; i++) {
        struct bfe_object *o = log[i].object;
        struct step *step;

        if (o->lifetime != BFE_PERSISTENT)
            continue;
        if (t == NULL) {
            t = malloc(sizeof(*t) + (count - i) * sizeof(t->steps[0]));
            if (t == NULL)
                return STATUS_NO_MEMORY;
            t->store = s;
            t->count = 0;
        }
        step = &t->steps[t->count];
        step->in = NULL;
        if (log[i].op == BFE_UNDO_DELETE) {
            if (o->fresh)
                continue; /* came and went in this transaction */
            step->out_kind = o->kind;
            step->out_key = o->key;
        } else {
            if (!o->linked)
                continue;
            step->in = record_create(o);
            if (step->in == NULL) {
                bfe_store_abort(t);
                return STATUS_NO_MEMORY;
            }
        }
        t->count++;
    }
    *out = t;
    return STATUS_SUCCESS;
}

static void take_out(struct bfe_store *s, enum bfe_kind kind, const GUID *key)
{
    struct stored **at = find(s, kind, key), *r = *at;

    if (r == NULL)
        return;
    *at = r->chain;
    *(r->prev == NULL ? &s->first : &r->prev->next) = r->next;
    *(r->next == NULL ? &s->last : &r->next->prev) = r->prev;
    s->count--;
    record_free(r);
}

static void put_in(struct bfe_store *s, struct stored *in)
{
    struct stored **at = find(s, in->r.kind, &in->key), *old = *at;

    if (old != NULL) { /* a changed descriptor: the new record stands where the old one stood */
        in->chain = old->chain;
        in->prev = old->prev;
        in->next = old->next;
        record_free(old);
    } else {
        in->prev = s->last;
        s->count++;
    }
    *at = in;
    *(in->prev == NULL ? &s->first : &in->prev->next) = in;
    *(in->next == NULL ? &s->last : &in->next->prev) = in;
    if (s->count >> s->bits != 0)
        grow(s);
}

void bfe_store_commit(struct bfe_store_txn *t)
{
    if (t == NULL)
        return;
    for (size_t i = 0; i < t->count; i++) {
        if (t->steps[i].in != NULL)
            put_in(t->store, t->steps[i].in);
        else
            take_out(t->store, t->steps[i].out_kind, &t->steps[i].out_key);
    }
    free(t);
}

void bfe_store_abort(struct bfe_store_txn *t)
{
    if (t == NULL)
        return;
    for (size_t i = 0; i < t->count; i++)
        record_free(t->steps[i].in);
    free(t);
}

NTSTATUS bfe_store_each(struct bfe_store *s, enum bfe_kind kind,
                        NTSTATUS (*fn)(void *ctx, const struct bfe_record *r), void *ctx)
{
    NTSTATUS status = STATUS_SUCCESS;

    for (struct stored *r = s->first; r != NULL && status == STATUS_SUCCESS; r = r->next) {
        if (r->r.kind == kind)
            status = fn(ctx, &r->r);
    }
    return status;
}

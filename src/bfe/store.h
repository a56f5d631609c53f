/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where persistent objects outlive the service (OBJ-12). An interface: today records in memory, one day a
 * file.
 *
 * A change is written in two steps, so that it can be made with the engine's commit or not at all: prepare
 * does all that can fail, commit cannot. A record holds the object as its caller gave it, its run-time id
 * (kept, because ids decide between filters of equal weight, OBJ-33) and its security descriptor.
 */
#ifndef WEIR_BFE_STORE_H
#define WEIR_BFE_STORE_H

#include "bfe/internal.h"

struct bfe_store_txn;

/* The persistent objects among a transaction's changes. *out may come back NULL: nothing to write.
 * STATUS_SUCCESS or STATUS_NO_MEMORY. */
NTSTATUS bfe_store_prepare(struct bfe_store *s, const struct bfe_undo *log, size_t count,
                           struct bfe_store_txn **out);
void bfe_store_commit(struct bfe_store_txn *t); /* NULL is harmless, as below */
void bfe_store_abort(struct bfe_store_txn *t);

struct bfe_record {
    enum bfe_kind kind;
    UINT64 id;
    const void *data; /* the documented struct */
    const void *sd;   /* NULL: the default */
    size_t sd_size;
};
/* Calls fn for each record of a kind in the order in which they were added, until it returns a failure. */
NTSTATUS bfe_store_each(struct bfe_store *s, enum bfe_kind kind,
                        NTSTATUS (*fn)(void *ctx, const struct bfe_record *r), void *ctx);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What the core files of bfe (sessions, transactions, tables, service) know of each other, beyond internal.h.
 */
#ifndef WEIR_BFE_CORE_H
#define WEIR_BFE_CORE_H

#include "bfe/internal.h"

#define BFE_SUBLAYER_LIMIT 65536  /* OBJ-19 */
#define BFE_CALLOUT_LIMIT  100000 /* OBJ-38 */

/* tables (table.c): 0 or -ENOMEM; destroy is safe on a half-made one */
int bfe_tables_create(struct bfe *b);
void bfe_tables_destroy(struct bfe *b);
void bfe_log_undo(struct bfe *b, size_t mark); /* back to mark, newest first */
void bfe_log_release(struct bfe *b);           /* the changes are final */
/* Header and deep copy of src; one reference; NULL: no memory. The caller fills in key, id, lifetime, ref[]
 * ... */
struct bfe_object *bfe_object_create(enum bfe_kind kind, const void *src);

/* Another block (of bfe_copy) in place of the object's data; takes it over, also on failure. */
NTSTATUS bfe_change_data(struct bfe *b, struct bfe_object *o, void *block);
const GUID *bfe_object_provider_key(const struct bfe_object *o); /* as its data has it, or NULL */

/* transactions (txn.c), write lock held: makes the log's changes final, everywhere at once. On failure
 * nothing has changed outside the tables; the caller undoes the log. */
enum bfe_apply { BFE_APPLY_SAVE, BFE_APPLY_SERVICE /* start or stop: the store is not written */ };
NTSTATUS bfe_txn_apply(struct bfe *b, struct bfe_session *s, enum bfe_apply how);
/* A dynamic session's objects, in dependency order, as one change (OBJ-02). */
NTSTATUS bfe_txn_drop_owned(struct bfe *b, struct bfe_session *s);
/* Unlinks every object, in dependency order. */
NTSTATUS bfe_unlink_all(struct bfe *b);

/* sessions (session.c), mutex held */
void bfe_session_destroy(struct bfe_session *s);
void bfe_sessions_abort(struct bfe *b);

void bfe_guid_generate(struct bfe *b, GUID *out);

#endif

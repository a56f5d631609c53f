/* SPDX-License-Identifier: Apache-2.0 */
/* callouts: what bfe's core asks of callouts.c; the rest of its door is in bfe.h. Mutex held unless said
 * otherwise. */
#ifndef WEIR_BFE_CALLOUTS_H
#define WEIR_BFE_CALLOUTS_H

#include <errno.h>

#include "bfe/internal.h"

int bfe_callouts_create(struct bfe *b);   /* 0 or -ENOMEM */
void bfe_callouts_destroy(struct bfe *b); /* mutex not held */

/* The id for a new management object: that of the registered callout of this key, or one that nobody has. */
UINT32 bfe_callout_new_id(struct bfe *b, const GUID *key);

/* Of a filter's object. STATUS_FWP_CALLOUT_NOTIFICATION_FAILED: the callout refuses it (OBJ-39); never at
 * commit. */
NTSTATUS bfe_callouts_tell_added(struct bfe *b, struct bfe_object *o, bool commit);
/* It was added in this transaction and never came to be (LIFE-14). */
void bfe_callouts_tell_undone(struct bfe *b, struct bfe_object *o);
/* After a commit. */
void bfe_callouts_tell_deleted(struct bfe *b);
/* This thread is inside a notifyFn: the call must be refused (LIFE-15). Mutex not held. */
bool bfe_callouts_would_deadlock(struct bfe *b);

#endif

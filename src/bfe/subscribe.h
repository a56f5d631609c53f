/* SPDX-License-Identifier: Apache-2.0 */
/*
 * subscribe: notifications of changes to objects and of the service's state (OBJ-35). Part of bfe's door.
 *
 * A change is told after its transaction was committed, on bfe's own thread, which holds no lock: the
 * callback may call the API. The session that made the change is not told, nor is anyone who may not read the
 * object. Delivery is not guaranteed: what does not fit into a subscription's queue is lost and counted.
 */
#ifndef WEIR_BFE_SUBSCRIBE_H
#define WEIR_BFE_SUBSCRIBE_H

#include "bfe/bfe.h"

struct bfe_subscription;
struct bfe_state_subscription;

/* The kind's documented callback (FWPM_FILTER_CHANGE_CALLBACK0 ...), cast to this; it is called as what it
 * is. */
typedef void (*bfe_change_callback)(void);

/*
 * kind: provider, provider context, sublayer, callout or filter; subscription: its FWPM_<KIND>_SUBSCRIPTION0,
 * whose enumTemplate may be NULL. User callers need FWPM_ACTRL_SUBSCRIBE on the container.
 * STATUS_FWP_TXN_IN_PROGRESS inside an explicit transaction; STATUS_FWP_NULL_POINTER;
 * STATUS_FWP_INVALID_FLAGS; STATUS_FWP_NEVER_MATCH (neither additions nor deletions are asked for, or the
 * template admits nothing); STATUS_ACCESS_DENIED. The callback runs in the current context (rt_current) of
 * this call.
 */
NTSTATUS bfe_subscribe(struct bfe_session *s, enum bfe_kind kind, const void *subscription,
                       bfe_change_callback callback, void *context, struct bfe_subscription **out);
/* Waits for a running callback unless called from it. STATUS_INVALID_HANDLE: not this session's, or of
 * another kind. STATUS_FWP_TXN_IN_PROGRESS. */
NTSTATUS bfe_unsubscribe(struct bfe_session *s, enum bfe_kind kind, struct bfe_subscription *subscription);
/* All sessions' subscriptions of a kind as FWPM_<KIND>_SUBSCRIPTION0: one block (bfe_free). Needs
 * FWPM_ACTRL_READ on the container. */
NTSTATUS bfe_subscriptions_get(struct bfe_session *s, enum bfe_kind kind, void ***entries, UINT32 *count);

/* STATUS_FWP_NOTIFICATION_DROPPED once messages of this subscription were lost since the last call, with how
 * many were lost since it began. */
NTSTATUS bfe_subscription_status(struct bfe_session *s, struct bfe_subscription *subscription,
                                 UINT64 *dropped);

/* How many messages may wait for one subscription (default 4096), and: wait until all is delivered. */
void bfe_notify_limit(struct bfe *b, size_t limit);
void bfe_notify_flush(struct bfe *b);

/* ---- the service's state: kernel callers, no session ------------------------------------------ */
FWPM_SERVICE_STATE bfe_state_get(struct bfe *b);
NTSTATUS bfe_state_subscribe(struct bfe *b, FWPM_SERVICE_STATE_CHANGE_CALLBACK0 callback, void *context,
                             struct bfe_state_subscription **out);
NTSTATUS bfe_state_unsubscribe(struct bfe *b, struct bfe_state_subscription *subscription);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * notifier: one thread and one bounded queue that carry what has happened to whoever subscribed (OBJ-35,
 * AUD-12).
 *
 * Posting never blocks and never calls back: it may be done under the store's lock or on a classifying
 * thread. Delivery happens on the notifier's own thread, which holds no lock while it is in a callback. Each
 * sink (a subscription's receiving end) has its own bound, so that a slow subscriber loses its own messages
 * and nobody else's; what is lost is counted (FWP_E_NOTIFICATION_DROPPED).
 *
 *   commit, classify --notifier_post--> queue --thread--> sink's deliver()
 *
 * Lock order: the notifier's mutex is a leaf; nothing is called while it is held.
 */
#ifndef WEIR_BFE_NOTIFIER_H
#define WEIR_BFE_NOTIFIER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rt/rt.h"

struct notifier;
struct notifier_sink;

/* Called on the notifier's thread with the subscriber's current context set. The payload is freed afterwards.
 */
typedef void (*notifier_deliver)(void *ctx, const void *payload);

#define NOTIFIER_DEFAULT_LIMIT 4096 /* messages waiting for one sink */

/* The thread starts with the first sink. 0, or a negative errno. */
int notifier_create(struct rt_clock *clock, struct notifier **out);
/* Delivers nothing further; waits for a running callback. All sinks must be closed. Not from a callback. */
void notifier_destroy(struct notifier *n);

/* How many messages may wait for one sink from now on. */
void notifier_set_limit(struct notifier *n, size_t limit);

int notifier_open(struct notifier *n, notifier_deliver deliver, void *ctx, struct notifier_sink **out);
/*
 * Ends a sink: what waits for it is forgotten, a callback that is running is waited for, unless the call
 * comes from that callback itself. Then calls `done(ctx)` (may be NULL) once nothing can call deliver()
 * again: at once, or, when closed from its own callback, after that callback has returned.
 */
void notifier_close(struct notifier_sink *s, void (*done)(void *ctx));

/* Takes over the malloc'd payload in every case. False: the sink's queue was full, the message is lost. */
bool notifier_post(struct notifier_sink *s, void *payload, void (*free_payload)(void *payload));
/* Messages lost so far. */
uint64_t notifier_dropped(struct notifier_sink *s);

/* Waits until all that was posted before is delivered. Not from a callback. */
void notifier_flush(struct notifier *n);

#endif

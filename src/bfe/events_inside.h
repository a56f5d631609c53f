/* SPDX-License-Identifier: Apache-2.0 */
/*
 * events_inside: what events.c, audit.c and event_subscribe.c share of one bfe's events. `lock` guards what
 * stands behind it; options and `audited` are read by classifying threads without it. Order: bfe's mutex,
 * `lock`, the notifier's.
 */
#ifndef WEIR_BFE_EVENTS_INSIDE_H
#define WEIR_BFE_EVENTS_INSIDE_H

#include <stdatomic.h>

#include "bfe/net_event.h"
#include "bfe/outer.h"

#define LOG_SLOTS 128
#define SLOT_SIZE 1024

struct bfe_event_subscription;
struct audit;

struct bfe_events {
    struct bfe *bfe;
    _Atomic UINT32 options[FWPM_ENGINE_OPTION_MAX];
    _Atomic UINT32 audited; /* BFE_AUDIT_* categories */

    struct rt_mutex *lock; /* guards what follows */
    struct net_event *log[LOG_SLOTS];
    size_t first, count, slots;
    struct bfe_event_subscription *subscriptions;
    struct audit *audit;
};

/* events.c: tells the engine of which verdicts anybody wants to hear. Under `lock`. */
void events_choose(struct bfe_events *ev);

/* audit.c: the number under which a verdict is audited; 0: it is not, or nobody listens. */
UINT32 events_audit_id(const struct bfe_events *ev, enum net_event_kind kind, bool permit, bool veto);
void events_audit_verdict(struct bfe_events *ev, struct net_event *e, UINT32 id);

/* event_subscribe.c: posts an event to whom it concerns. Under `lock`. */
void events_post(struct bfe_events *ev, struct net_event *e);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outer: what the files of bfe's outer half (access, enumerations, subscriptions, events) share among
 * themselves.
 */
#ifndef WEIR_BFE_OUTER_H
#define WEIR_BFE_OUTER_H

#include "bfe/access.h"
#include "bfe/events.h"
#include "bfe/internal.h"
#include "bfe/notifier.h"
#include "bfe/subscribe.h"

/* access.c. The mutex is held; kernel callers are not checked by the second. */
int bfe_access_create(struct bfe *b);
void bfe_access_destroy(struct bfe *b);
NTSTATUS bfe_access_check_container(struct bfe_session *s, unsigned secured, UINT32 right);

/* subscribe.c: the one notifier of this bfe, which events.c uses too. */
int bfe_subscriptions_create(struct bfe *b);
void bfe_subscriptions_destroy(struct bfe *b);
struct notifier *bfe_notifier(struct bfe *b);

/* STATUS_FWP_TXN_IN_PROGRESS inside an explicit transaction; mutex held. */
static inline NTSTATUS bfe_outside_txn(const struct bfe_session *s)
{
    return s->txn == BFE_TXN_NONE ? STATUS_SUCCESS : STATUS_FWP_TXN_IN_PROGRESS;
}

/* events.c */
int bfe_events_create(struct bfe *b);
void bfe_events_destroy(struct bfe *b);
void bfe_events_unsubscribe_all(struct bfe_session *s); /* without the mutex */
void bfe_events_audit_change(struct bfe *b, struct bfe_session *s, const struct bfe_change *change);
void bfe_events_clear(struct bfe *b); /* the service starts anew (AUD-05) */
NTSTATUS bfe_events_list(struct bfe *b, void ***entries, UINT32 *count); /* the subscriptions, as one block */

/* One event of the log, shared by count; see events.c. The mutex is not needed. */
struct net_event;
struct net_event *net_event_ref(struct net_event *e);
void net_event_unref(struct net_event *e);
bool net_event_fits(const struct net_event *e,
                    unsigned version); /* FWPM_NET_EVENT<version> can hold its type */
void **net_event_copy_array(struct net_event *const *events, size_t count, unsigned version);
/* What the log holds now and the template admits; references in a malloc'd array. */
NTSTATUS bfe_events_snapshot(struct bfe_session *s, const FWPM_NET_EVENT_ENUM_TEMPLATE0 *tmpl,
                             struct net_event ***out, size_t *count);

#endif

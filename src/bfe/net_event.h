/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net_event: one event, made on the classifying thread from what the engine saw. Immutable, one block, shared
 * by an atomic count: the log, enumerations and queued notifications each hold a reference.
 */
#ifndef WEIR_BFE_NET_EVENT_H
#define WEIR_BFE_NET_EVENT_H

#include "bfe/outer.h"

/* What a verdict at a layer means to the log and to the audit. */
enum net_event_kind {
    NET_EVENT_NONE, /* not logged: discard layers, endpoint closure, resource release, user-mode layers
                       (AUD-11) */
    NET_EVENT_PACKET,
    NET_EVENT_MAC,
    NET_EVENT_LISTEN,
    NET_EVENT_CONNECTION,
    NET_EVENT_BIND,
    NET_EVENT_CONNECTION_REDIRECT,
    NET_EVENT_BIND_REDIRECT,
};
enum net_event_kind net_event_kind(UINT16 layer_id);

/* For whom inbound traffic is; NET_TO_ONE also when it is outbound or when that cannot be told. */
enum net_audience { NET_TO_ONE, NET_TO_GROUP, NET_TO_ALL };
enum net_audience net_event_inbound_audience(const struct engine_request *q);

struct net_event {
    _Atomic UINT32 refs;
    size_t size;
    enum net_event_kind kind;
    bool veto;
    struct bfe_net_event it;
    union {
        FWPM_NET_EVENT_CLASSIFY_DROP2 drop;
        FWPM_NET_EVENT_CLASSIFY_DROP_MAC0 mac;
        FWPM_NET_EVENT_CLASSIFY_ALLOW0 allow;
    } body;
};

/* filetime: when. NULL: no memory. */
struct net_event *net_event_create(const struct engine_request *q, const struct engine_verdict *v,
                                   UINT64 filetime);

/* A checked deep copy of a template; tmpl NULL admits all. STATUS_FWP_INVALID_INTERVAL (ends before it
 * starts), STATUS_FWP_CONDITION_NOT_FOUND (not one of the documented keys), STATUS_FWP_DUPLICATE_CONDITION
 * ... */
struct net_event_template;
NTSTATUS net_event_template_create(const FWPM_NET_EVENT_ENUM_TEMPLATE0 *tmpl,
                                   struct net_event_template **out);
void net_event_template_destroy(struct net_event_template *t);
bool net_event_matches(const struct net_event_template *t, const struct net_event *e);
const FWPM_NET_EVENT_ENUM_TEMPLATE0 *net_event_template_described(const struct net_event_template *t);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Traffic for tests of events and audit: indications at a layer, value by value, what the log holds of them,
 * a callout that blocks, and listeners that keep what they hear. What is meant to work is asserted inside.
 */
#ifndef WEIR_TESTS_EVENTS_LAB_H
#define WEIR_TESTS_EVENTS_LAB_H

#include <stdatomic.h>

#include "bfe/events.h"
#include "bfe/subscribe.h"
#include "bfe_lab.h"

/* One indication at a layer; values by condition key, all others zero or EMPTY. */
struct traffic {
    struct bfe_lab *l;
    FWPS_INCOMING_VALUE0 values[ENGINE_MAX_FIELDS];
    FWPS_INCOMING_VALUES0 incoming;
    FWPS_INCOMING_METADATA_VALUES0 metadata;
    struct engine_verdict verdict;
};

void traffic_at(struct traffic *t, struct bfe_lab *l, UINT16 layer_id);
FWP_VALUE0 *traffic_value(struct traffic *t, const GUID *key);
FWP_ACTION_TYPE traffic_classify(struct traffic *t);
/* A connection of the lab's administrator from 10.0.0.1:1000 to 10.0.0.2:80. */
void traffic_connection(struct traffic *t, struct bfe_lab *l);
extern const FWP_BYTE_BLOB traffic_app; /* its program */

/* All events now in the log; freed with bfe_free. */
UINT32 events_read(struct bfe_lab *l, const FWPM_NET_EVENT_ENUM_TEMPLATE0 *tmpl, struct bfe_net_event ***out);
UINT32 events_count(struct bfe_lab *l);
NTSTATUS events_option(struct bfe_session *s, FWPM_ENGINE_OPTION option, UINT32 number);

/* A filter at the layer, in a sublayer of this weight, that calls a callout that blocks. */
UINT64 events_blocking_callout(struct bfe_lab *l, const GUID *layer, UINT16 sublayer_weight);
/* With these flags of FWPS_CLASSIFY_OUT0, from now on. */
void events_answer(UINT32 flags);

struct events_audited {
    unsigned count;
    UINT32 id[32];
    UINT64 filter[32];
    enum bfe_kind kind[32];
    bool added[32], named[32];
};

void events_on_audit(void *ctx, const struct bfe_audit_record *r); /* ctx: struct events_audited */

struct events_heard {
    _Atomic unsigned count;
    UINT64 filter;
    FWPM_NET_EVENT_TYPE type;
    void *thread_current;
};

void events_on_event(void *context, const FWPM_NET_EVENT5 *event); /* context: struct events_heard */

#endif

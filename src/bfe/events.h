/* SPDX-License-Identifier: Apache-2.0 */
/*
 * events: what happened to traffic (net events), what was changed (audit records), and the engine's options.
 * Part of bfe's door. Section 15 of the semantics (AUD) is its law.
 *
 *   engine's observer --> net event --> circular log --> enumeration, FwpmNetEventEnum0..5
 *                             +-------> subscriptions (asynchronous)
 *                             +-------> audit sink (asynchronous, off by default)
 */
#ifndef WEIR_BFE_EVENTS_H
#define WEIR_BFE_EVENTS_H

#include "bfe/bfe.h"

/* ---- net events ------------------------------------------------------------------------------- */

/* msFwpDirection of the classify events, as documented for FWPM_NET_EVENT_CLASSIFY_DROP2. */
#define BFE_DIRECTION_IN      0x3900u
#define BFE_DIRECTION_OUT     0x3901u
#define BFE_DIRECTION_FORWARD 0x3902u

#define BFE_NET_EVENT_NEWEST 5u /* FWPM_NET_EVENT5 */

/* A filter that ended its sublayer while the verdict came about (AUD-09). */
struct bfe_terminating_filter {
    GUID sublayer;
    UINT64 filter_id;
    FWP_ACTION_TYPE action; /* FWP_ACTION_PERMIT or FWP_ACTION_BLOCK */
};

/* What enumerations and callbacks of the newest version really hand out. Windows keeps the list of
 * terminating filters in fields that it does not document; here it stands behind the documented struct. */
struct bfe_net_event {
    FWPM_NET_EVENT5 event;
    UINT32 terminating_count;
    const struct bfe_terminating_filter *terminating; /* from the heaviest sublayer to the lightest */
};

/* Like bfe_enum_next() on a BFE_NET_EVENT enumeration, as FWPM_NET_EVENT<version>; events of a type that this
 * version cannot hold are passed over. */
NTSTATUS bfe_net_event_next(struct bfe_session *s, struct bfe_enum *e, unsigned version, UINT32 requested,
                            void ***entries, UINT32 *returned);
/* Is this handle an enumeration of that kind of this session? STATUS_SUCCESS or STATUS_INVALID_HANDLE. */
NTSTATUS bfe_enum_check(struct bfe_session *s, enum bfe_kind kind, const struct bfe_enum *e);

struct bfe_event_subscription;
/* The documented callback, cast to this: FWPM_NET_EVENT_CALLBACK<version - 1>, which is given
 * FWPM_NET_EVENT<version>. */
typedef void (*bfe_event_callback)(void);
/*
 * Needs FWPM_ACTRL_SUBSCRIBE on the events' container, and FWPM_ACTRL_READ when an event is delivered
 * (AUD-12). STATUS_FWP_TXN_IN_PROGRESS; STATUS_FWP_NULL_POINTER; errors of the template as for an
 * enumeration. flags is not used and must be 0 (STATUS_FWP_INVALID_FLAGS).
 */
NTSTATUS bfe_event_subscribe(struct bfe_session *s, const FWPM_NET_EVENT_SUBSCRIPTION0 *subscription,
                             unsigned version, bfe_event_callback callback, void *context,
                             struct bfe_event_subscription **out);
/* Waits for a running callback unless called from it. */
NTSTATUS bfe_event_unsubscribe(struct bfe_session *s, struct bfe_event_subscription *subscription);

/* ---- options ---------------------------------------------------------------------------------- */
/* STATUS_FWP_INVALID_ENUMERATOR; needs FWPM_ACTRL_READ on the engine. *value: one block (bfe_free). */
NTSTATUS bfe_option_get(struct bfe_session *s, FWPM_ENGINE_OPTION option, FWP_VALUE0 **value);
/* STATUS_FWP_TXN_IN_PROGRESS, STATUS_FWP_DYNAMIC_SESSION_IN_PROGRESS, STATUS_FWP_TYPE_MISMATCH (not
 * FWP_UINT32), STATUS_FWP_OUT_OF_BOUNDS, STATUS_FWP_INVALID_FLAGS, STATUS_FWP_STILL_ON, STATUS_NOT_SUPPORTED
 * (NAME_CACHE); needs FWPM_ACTRL_WRITE on the engine. Options outlive stop and start of the service. */
NTSTATUS bfe_option_set(struct bfe_session *s, FWPM_ENGINE_OPTION option, const FWP_VALUE0 *value);

/* ---- audit (AUD-06) --------------------------------------------------------------------------- */
#define BFE_AUDIT_POLICY_CHANGE 1u /* 5440 .. 5450: objects come and go */
#define BFE_AUDIT_PACKET_DROP   2u /* 5152, 5153 */
#define BFE_AUDIT_CONNECTION    4u /* 5154 .. 5159 */

struct bfe_audit_record {
    UINT32 id;   /* the number in Windows' security log: 5152 ... */
    UINT64 time; /* FILETIME */
    /* 5152 .. 5159: what happened; NULL otherwise. */
    const struct bfe_net_event *event;
    /* 5440 .. 5450 */
    enum bfe_kind kind;
    bool added;
    GUID key;
    UINT64 run_time_id;
    const WCHAR *name;      /* of the object */
    UINT32 process_id;      /* of the session that changed it; 0: the service itself */
    const WCHAR *user_name; /* or NULL */
};
/* On bfe's thread; the record is valid during the call. */
typedef void (*bfe_audit_sink)(void *ctx, const struct bfe_audit_record *record);
/*
 * Audit the categories to sink from now on; categories 0 or sink NULL: off, as it is in the beginning.
 * Returns when the sink before is not running any more (unless called from it). 0 or -ENOMEM, then nothing
 * has changed.
 */
int bfe_audit_set(struct bfe *b, UINT32 categories, bfe_audit_sink sink, void *ctx);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy: what `netsh wfp show state|filters|netevents` wrote on a machine, read into a bfe and back.
 *
 *   file --one pass--> records in an arena --bfe_restore_*, one transaction--> bfe --> engine
 *                                   |
 *                                   +--> endpoints, sessions, net events, notes: kept in struct policy
 *
 * All or nothing: a file that is broken (no XML, cut off, a number that is none) changes nothing in the bfe.
 * What is sound but unknown to Weir - an element, a flag's name, a value type, a layer of a newer Windows -
 * never fails and is never dropped in silence: it is kept and reported as a note; a filter that cannot be
 * judged because of it is loaded but not applied.
 */
#ifndef WEIR_POLICY_POLICY_H
#define WEIR_POLICY_POLICY_H

#include "bfe/bfe.h"

/* One line for a person: file:line:column: expected ..., found ... */
struct policy_error {
    char text[512];
    unsigned long line, column; /* 1-based; 0: not about a place */
};

/* A live endpoint that the export recorded (aleConnectedEndpoints). Strings and blobs belong to the policy.
 */
struct policy_endpoint {
    UINT64 id;
    FWP_IP_VERSION ip_version;
    FWP_VALUE0 local_address,
        remote_address; /* FWP_UINT32 (host order) or FWP_BYTE_ARRAY16_TYPE; FWP_EMPTY: none */
    UINT8 protocol;
    UINT16 local_port, remote_port;
    FWP_BYTE_BLOB app_id; /* size 0: none */
    UINT64 token_modified_id;
    UINT64 mm_sa_id, qm_sa_id; /* IPsec main and quick mode security associations; 0: none */
    UINT32 flags;
    const char *ipsec_status; /* as written, e.g. "0 (ERROR_SUCCESS)"; NULL: not given */
    unsigned long line;
};

/* A session that was open when the export was written. */
struct policy_session {
    FWPM_SESSION0 session;
    unsigned long line;
};

/* A net event (show netevents, capture): what Windows decided about one packet or connection. */
struct policy_net_event {
    const char *time_stamp; /* as written (UTC); NULL: not given */
    const char *type;       /* "FWPM_NET_EVENT_TYPE_CLASSIFY_DROP"; NULL: not given */
    FWP_IP_VERSION ip_version;
    FWP_VALUE0 local_address, remote_address; /* as in policy_endpoint */
    UINT8 protocol;
    UINT16 local_port, remote_port; /* ICMP: type and code, as Windows reports them */
    UINT32 scope_id;
    UINT32 flags; /* FWPM_NET_EVENT_FLAG_*: which of the above were set */
    FWP_BYTE_BLOB app_id;
    const SID *user, *package; /* NULL: not given */
    UINT64 filter_id;          /* 0: not given */
    UINT16 layer_id;
    UINT32 reauth_reason, original_profile, current_profile;
    const char *direction; /* as written, e.g. "MS_FWP_DIRECTION_OUT" */
    bool loopback;
    const char *raw; /* the parts that Weir does not read, as XML; NULL: none */
    unsigned long line;
};

enum policy_note_kind {
    POLICY_NOTE_UNKNOWN,     /* not understood: an element, flag or name that Weir has no meaning for */
    POLICY_NOTE_NOT_APPLIED, /* a filter that is loaded or kept, but takes no part in decisions */
    POLICY_NOTE_ASSUMED,     /* something the file does not say and Weir had to assume */
    POLICY_NOTE_DIFFERS,     /* the file contradicts itself or Weir's tables (another Windows build) */
    POLICY_NOTE_KEPT,        /* understood to be there, kept as text, of no use to decisions */
};

/* A thing in the file that was kept but not understood, or not applied, and why. Ordered by line. */
struct policy_note {
    enum policy_note_kind kind;
    unsigned long line;  /* of the first; 0: about the file as a whole */
    unsigned long count; /* how often */
    const char *text;
    const char *raw; /* the first one's XML text, NULL when there is none */
};

struct policy_counts {
    /* What the file lists. */
    UINT32 layers, sublayers, providers, provider_contexts, callouts, filters, sessions, endpoints,
        net_events;
    /* Of the filters: applied + boottime + disabled + unusable == filters (a filter counts once, leftmost
     * reason first: boot-time, disabled on the machine, unusable to Weir). */
    UINT32 filters_applied, filters_boottime, filters_disabled, filters_unusable;
    /* Objects that the bfe would not take, of any kind; they live on in the policy and are noted. */
    UINT32 unplaced;
    /* Objects that the file only names and that were made up so that its filters have something to refer to.
     */
    UINT32 assumed_sublayers, assumed_callouts;
};

struct policy {
    const char *file;
    const char *time_stamp; /* NULL: not given */
    struct policy_counts counts;
    struct policy_session *sessions;     /* counts.sessions */
    struct policy_endpoint *endpoints;   /* counts.endpoints */
    struct policy_net_event *net_events; /* counts.net_events */
    struct policy_note *notes;
    UINT32 note_count;
    void *internal;
};

/*
 * Loads into the (empty) bfe through a kernel session of its own. 0; -ENOENT, -EACCES, -EIO... (the file
 * cannot be read); -EINVAL (broken: err says where and what was expected); -ENOMEM. On error nothing has
 * changed in the bfe and *out is NULL. UTF-8 and UTF-16, with or without byte order mark. The bytes are not
 * needed afterwards. PASSIVE; the caller owns *out.
 */
int policy_load_file(struct bfe *b, const char *path, struct policy **out, struct policy_error *err);
int policy_load_memory(struct bfe *b, const char *name, const char *text, size_t size, struct policy **out,
                       struct policy_error *err);
/*
 * The same in place of all that the bfe holds: one transaction takes the old objects out (built-in ones stay,
 * and are what they were at first, but for what the new file says of them) and puts the new ones in, so that
 * a classify sees the one policy or the other. The old struct policy stays the caller's, and good. On error
 * the old policy is in force unchanged.
 */
int policy_replace_file(struct bfe *b, const char *path, struct policy **out, struct policy_error *err);
int policy_replace_memory(struct bfe *b, const char *name, const char *text, size_t size, struct policy **out,
                          struct policy_error *err);
void policy_free(struct policy *p);

/*
 * Writes a bfe's objects as `netsh wfp show state` would: UTF-8 with BOM, CRLF, <wfpstate> and
 * <firewallState>. With the policy they came from (may be NULL) also what only it keeps: sessions, endpoints,
 * time stamp, and the parts kept as text. Loading the result gives an equal policy. 0 or negative errno; an
 * existing file is replaced only by a complete one.
 */
int policy_save_file(struct bfe *b, const struct policy *p, const char *path, struct policy_error *err);
int policy_save_memory(struct bfe *b, const struct policy *p, char **out, size_t *size); /* *out: free() */

/* ---- Windows' built-in callouts (data/builtin_callouts.tsv) -------------------------------------------- */

enum policy_builtin_answer {
    POLICY_BUILTIN_DEPENDS, /* on what the machine's state said then: nothing is assumed */
    POLICY_BUILTIN_PERMIT,
    POLICY_BUILTIN_BLOCK,
    POLICY_BUILTIN_CONTINUE,
};

/* What Weir takes a callout of Windows to answer for plain traffic (no IPsec, no offload, no tenant policy
 * ...). */
struct policy_builtin_callout {
    const GUID *key;
    const char *name; /* FWPM_CALLOUT_... where documented, otherwise the display name */
    enum policy_builtin_answer answer;
    const char *why; /* one sentence */
};

/* NULL: not one of Windows' own. */
const struct policy_builtin_callout *policy_builtin_callout(const GUID *key);
size_t policy_builtin_callouts(const struct policy_builtin_callout **out);

#endif

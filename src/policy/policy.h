/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy: what `netsh wfp show state|filters|netevents` wrote on a machine, read into a bfe and back.
 *
 * One pass of expat over the file, into bfe_restore_*() inside one transaction: all or nothing. What the file
 * says and Weir does not know is kept in the report, never dropped in silence.
 */
#ifndef WEIR_POLICY_POLICY_H
#define WEIR_POLICY_POLICY_H

#include "bfe/bfe.h"

/* One line for a person: file:line:column: expected ..., found ... */
struct policy_error {
    char text[512];
    unsigned long line, column; /* 1-based; 0: not about a place */
};

/* A live endpoint that the export recorded (aleConnectedEndpoints). Strings and blobs belong to the policy. */
struct policy_endpoint {
    UINT64 id;
    FWP_IP_VERSION ip_version;
    FWP_VALUE0 local_address, remote_address; /* FWP_UINT32 (host order) or FWP_BYTE_ARRAY16_TYPE */
    UINT8 protocol;
    UINT16 local_port, remote_port;
    FWP_BYTE_BLOB app_id; /* size 0: none */
    UINT64 token_modified_id;
    UINT32 flags;
};

/* A thing in the file that was kept but not understood, or not applied, and why. */
struct policy_note {
    unsigned long line;
    char *text;
};

struct policy_counts {
    UINT32 layers, sublayers, providers, provider_contexts, callouts, filters, sessions, endpoints, net_events;
    UINT32 filters_applied;    /* the rest are boot-time or disabled */
    UINT32 filters_boottime, filters_disabled;
};

struct policy {
    char *file;
    char *time_stamp;
    struct policy_counts counts;
    struct policy_endpoint *endpoints;
    struct policy_note *notes;
    UINT32 note_count;
    void *internal;
};

/* Loads into the (empty) bfe through a kernel session of its own. 0, -ENOENT, -EINVAL (err says where), -ENOMEM;
 * on error nothing has changed in the bfe. */
int policy_load_file(struct bfe *b, const char *path, struct policy **out, struct policy_error *err);
int policy_load_memory(struct bfe *b, const char *name, const char *text, size_t size, struct policy **out,
                       struct policy_error *err);
void policy_free(struct policy *p);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A laboratory of one machine with a driver: engine, bfe, host and a context through which the documented
 * functions act, as a driver's; a ledger that records what it owes. Its callouts are registered with
 * FwpsCalloutRegister1 and added with FwpmCalloutAdd0 and FwpmFilterAdd0; each is played by a script:
 *
 *   struct driver_lab_script *pends = SCRIPT(l, .then = pend_it);
 *   driver_lab_callout(l, "AC", pends);
 *   LAB_OUT(&l->host, TCP(WIRE_TCP_SYN), .sport = 50000, .dport = 443);
 *
 * What is meant to work is asserted inside. One lab at a time is open.
 */
#ifndef WEIR_TESTS_DRIVER_LAB_H
#define WEIR_TESTS_DRIVER_LAB_H

#include "api/api.h"
#include "bfe_lab.h"
#include "host_lab.h"
#include "ledger/ledger.h"

struct driver_lab;
struct driver_lab_script;

/* What a classifyFn was called with; valid during the call. */
struct driver_lab_call {
    struct driver_lab *lab;
    const FWPS_INCOMING_VALUES0 *values;
    const FWPS_INCOMING_METADATA_VALUES0 *metadata;
    NET_BUFFER_LIST *packet; /* layerData */
    const void *classify_context;
    const FWPS_FILTER1 *filter;
    UINT64 flow_context;
    FWPS_CLASSIFY_OUT0 *out;
};

struct driver_lab_script {
    FWP_ACTION_TYPE action; /* 0: leaves actionType alone */
    UINT32 flags;           /* OR-ed into classifyOut->flags */
    bool clear_write;
    void (*then)(struct driver_lab_script *s,
                 const struct driver_lab_call *c); /* at the end of the classify */
    void (*deleted_then)(struct driver_lab_script *s, UINT64 context);
    void (*notified_then)(struct driver_lab_script *s, FWPS_CALLOUT_NOTIFY_TYPE type, FWPS_FILTER1 *filter);
    void *ctx;
    UINT32 callout_flags; /* FWP_CALLOUT_FLAG_* */
    bool no_flow_delete;
    NTSTATUS notify_status; /* of ADD */
    FWP_ACTION_TYPE type;   /* of its filter; 0: FWP_ACTION_CALLOUT_TERMINATING */
    UINT16 sublayer;        /* the weight of the sublayer that its filter goes to; 0: the common one */
    /* set by the lab */
    struct driver_lab *lab;
    GUID key;
    UINT32 id;
    UINT64 filter_id;
    unsigned calls, added, deleted, contexts_deleted;
    KIRQL irql; /* of the last classify */
    UINT64 last_context, deleted_filter_context;
    bool delete_had_key;
};

struct driver_lab {
    struct bfe_lab bfe;
    struct host_lab host; /* over bfe's engine */
    struct api_context *context;
    struct ledger *ledger;
    HANDLE engine; /* FwpmEngineOpen0's */
    unsigned found[LEDGER_FAULTS];
    char last[256]; /* text of the last finding */
    struct driver_lab_script *scripts[16];
    unsigned script_count;
    int device; /* its address is the device object */
};

/* config: of the host; may be NULL. Inside, the driver is current in this thread. */
void driver_lab_open(struct driver_lab *l, const struct host_config *config);
/* Deletes filters, unregisters callouts (asserting success), closes everything. */
void driver_lab_close(struct driver_lab *l);
int driver_lab_setup(void **state);
int driver_lab_teardown(void **state);

/* A copy of s that lives as long as the lab. */
struct driver_lab_script *driver_lab_script(struct driver_lab *l, const struct driver_lab_script *s);
#define SCRIPT(l, ...) driver_lab_script((l), &(struct driver_lab_script){.lab = (l), __VA_ARGS__})

/* Registers a callout with the version 1 structure: its status. */
NTSTATUS driver_lab_register(struct driver_lab *l, struct driver_lab_script *s);
/* Adds the management half at a layer ("AC", "RA6": host_lab's names), and a filter of it. */
void driver_lab_add_half(struct driver_lab *l, const char *layer, struct driver_lab_script *s);
NTSTATUS driver_lab_add_filter(struct driver_lab *l, const char *layer, struct driver_lab_script *s);
/* All three. */
void driver_lab_callout(struct driver_lab *l, const char *layer, struct driver_lab_script *s);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A laboratory of one host: an engine whose filters are one line each, frames described as packets.h does,
 * and a recorder that turns what a frame or an operation caused into one string:
 *
 *   host_lab_rule(&l, "block RA ip_local_port=80");
 *   LAB_IN(&l, .protocol = WIRE_PROTOCOL_TCP, .tcp_flags = WIRE_TCP_SYN, .sport = 40000, .dport = 80);
 *   assert_string_equal(l.seen, "II IT(ALE) RA RA_DISCARD(POLICY)");
 *
 * Words of the string: the layers' short names, in order; in parentheses ALE (ALE_CLASSIFY_REQUIRED), REAUTH,
 * FRAGMENT, REASSEMBLED, GROUP, IN_PASS_THRU, OUT_PASS_THRU, RECLASSIFY, joined by commas; at a
 * discard layer the reason without its prefix (POLICY: FWPS_DISCARD_FIREWALL_POLICY), or the prefix of its
 * module if it has no name.
 *
 * The host: 10.0.0.1/24, fd00::1/64 on interface 1 (Ethernet, 02:00:00:00:00:01), 127.0.0.1 and ::1 on
 * interface 2 (loopback); the peer of packets is 10.0.0.2, fd00::2. Each frame comes a millisecond after the
 * last. All ports listen but those in `closed`.
 */
#ifndef WEIR_TESTS_HOST_LAB_H
#define WEIR_TESTS_HOST_LAB_H

#include <pthread.h>

#include "host/host.h"
#include "packets.h"

#define HOST_LAB_EVENTS 64
#define HOST_LAB_CLOSED 8

struct host_lab;

/* What a scripted callout does and saw. Lives as long as the lab. */
struct host_lab_callout {
    FWP_ACTION_TYPE action; /* 0: leaves actionType alone */
    bool clear_write;
    bool inspects;                                                     /* FWP_ACTION_CALLOUT_INSPECTION */
    UINT32 registered;                                                 /* FWP_CALLOUT_FLAG_* */
    UINT32 flags;                                                      /* OR-ed into classifyOut->flags */
    void (*also)(struct host_lab_callout *c, FWPS_CLASSIFY_OUT0 *out); /* at the end of the classify */
    void (*gone)(struct host_lab_callout *c);                          /* at the end of flowDeleteFn */
    void *ctx;
    struct rt_context *runs_as; /* it is registered with; NULL: as who asks */
    UINT32 id;                  /* its run-time id */
    GUID key;
    UINT64 weight; /* of its filters */
    /* of the last call */
    int calls, deleted;
    const FWPS_INCOMING_VALUES0 *values;
    const FWPS_INCOMING_METADATA_VALUES0 *metadata;
    void *layer_data;
    const void *classify_context;
    UINT64 flow_context, deleted_context;
};

/* One classification, without what pointers led to. */
struct host_lab_event {
    UINT16 layer_id;
    enum host_cause cause;
    UINT64 frame, flow_id, endpoint_id, parent_id, filter_id;
    FWP_ACTION_TYPE action;
    FWP_DIRECTION direction;
    UINT32 flags, reasons; /* of the fields FLAGS and REAUTHORIZE_REASON; 0 where there are none */
    bool has_packet;
    UINT32 metadata; /* currentMetadataValues */
    UINT64 unknown;
};

struct host_lab {
    pthread_mutex_t telling; /* classifies on two threads may be told of at once: `seen`, `flows` */
    struct engine *engine;
    struct host *host;
    struct host_config config;
    UINT64 now_ns, frame, next_filter;
    UINT16 closed[HOST_LAB_CLOSED];
    unsigned closed_count;
    /* of the last frame or operation (from host_lab_reset() on) */
    char seen[2048];
    struct host_lab_event events[HOST_LAB_EVENTS];
    unsigned event_count;
    char flows[512];            /* "created authorized deleted(idle)": the changes of flows */
    struct host_flow_info flow; /* of the last such change */
    char stream[1024];          /* in-order bytes, "<" and ">" before what came in and went out */
    struct host_outcome outcome;
    uint8_t bytes[4096];
    uint32_t reassembled; /* size of the last datagram put together */
    /* also called for each classification; may be NULL */
    void (*on_event)(struct host_lab *l, const struct host_event *e);
    void *ctx;
    UINT32 next_callout;
    bool own_engine;
    struct host_frame ahead[64]; /* what follows the frame that is being fed */
    struct wire_packet ahead_packets[64];
    unsigned ahead_count;
    UINT16 sublayer; /* that rules and callouts go to from now on; the greater, the heavier */
    bool l2;         /* MAC layers are written to `seen` too */
};

/* config may be NULL; its engine, if it has one, stays the caller's; observer (but for decisions_only: `seen` then has no
 * more than those), listening, ctx and start are the lab's. */
void host_lab_open(struct host_lab *l, const struct host_config *config);
void host_lab_close(struct host_lab *l);
/* cmocka fixtures: *state is a malloc'd lab */
int host_lab_setup(void **state);
int host_lab_teardown(void **state);

/*
 * "<permit|block> <layer> [field<op>value]...", op: = != < > & (all flags set) ~ (any flag set). The layer is
 * a short name ("RA", "IT_DISCARD"), of IPv4 unless a 6 is added ("RA6"). Fields are FWPM_CONDITION_* names
 * without prefix; values are numbers, addresses, names of constants ("flags~IS_FRAGMENT",
 * "direction=FWP_DIRECTION_INBOUND"), or the bytes of an app id ("ale_app_id=one"). Committed at once; rules of a layer that come later are heavier.
 * Returns the filter's id.
 */
UINT64 host_lab_rule(struct host_lab *l, const char *rule);
void host_lab_remove(struct host_lab *l, const char *layer, UINT64 id);
/* "<layer> [conditions]": a callout there, terminating unless c->inspects, registered now; its filter alone. */
UINT64 host_lab_callout(struct host_lab *l, const char *where, struct host_lab_callout *c);
UINT64 host_lab_callout_filter(struct host_lab *l, const char *where, struct host_lab_callout *c);
/* The same callout (same key and id) at another layer too is another registration: give it another script. */

UINT16 host_lab_layer(const char *name); /* "RA6": its id */

/* Forgets what was recorded. Frames and the calls below do it themselves. */
void host_lab_reset(struct host_lab *l);
/* Feeds the frame; returns l->seen. Addresses left out are by the way: IN from the peer, OUT to it. */
const char *host_lab_packet(struct host_lab *l, enum host_way way, const struct packet *p);
#define LAB_IN(l, ...)  host_lab_packet((l), HOST_WAY_IN, &(struct packet){__VA_ARGS__})
#define LAB_OUT(l, ...) host_lab_packet((l), HOST_WAY_OUT, &(struct packet){__VA_ARGS__})
/* Feeds bytes as they are, on interface `interface`. */
const char *host_lab_bytes(struct host_lab *l, enum host_way way, uint16_t link_type, const uint8_t *bytes,
                           size_t size, size_t length, UINT32 interface);
/* Frames of one datagram, all on interface 1: fed one after the other, and known ahead as a capture's are.
 * Call it for each i in turn. */
const char *host_lab_piece(struct host_lab *l, enum host_way way, const struct packet_frame *frames,
                           size_t count, size_t i);
/* Time goes on; what that ends is recorded. */
const char *host_lab_wait(struct host_lab *l, UINT64 ms);

/* A TCP connection and its place in the sequence space. Zero but for ports: IPv4, the peer 10.0.0.2. */
struct host_lab_tcp {
    UINT16 local, remote; /* ports */
    const char *local_addr, *remote_addr;
    uint32_t out, in; /* next sequence numbers */
};
/* Each feeds one segment (the handshakes: three, `seen` joins them with " | "); returns l->seen. */
const char *host_lab_connect(struct host_lab *l, struct host_lab_tcp *t);
const char *host_lab_accept(struct host_lab *l, struct host_lab_tcp *t);
const char *host_lab_send(struct host_lab *l, struct host_lab_tcp *t, const char *data);
const char *host_lab_receive(struct host_lab *l, struct host_lab_tcp *t, const char *data);
/* Any flags; SYN and FIN count. */
const char *host_lab_segment(struct host_lab *l, struct host_lab_tcp *t, bool out, uint8_t flags,
                             const char *data);

#define host_lab_fate(l) ((l)->outcome.fate)

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A laboratory of a driver that takes packets and gives them back: driver_lab with what the host emits, loses
 * and releases written down, and a callout that takes (clone, reference or copy, absorb) and injects later.
 *
 *   struct taker *t = packet_lab_take(l, "DD", &(struct taker){.how = TAKE_CLONE, .kind =
 * HOST_INJECT_TRANSPORT_RECEIVE}); LAB_IN(&l->d.host, .dport = 53); packet_lab_give(l, t, 0);
 *   assert_int_equal(l->emitted_count, 1);
 *
 * Runs on both back ends of rt: ON_BOTH(test) in a list of tests makes two of one function.
 */
#ifndef WEIR_TESTS_PACKET_LAB_H
#define WEIR_TESTS_PACKET_LAB_H

#include "driver_lab.h"
#include "host/host_inject.h"

#define LAB_PACKETS 128

struct packet_lab;

/* What the host told of one injected packet. */
struct told {
    struct host_emitted e; /* bytes and link point into the two below; without `came` */
    uint8_t bytes[2048], link[64];
    bool unchanged;
    enum host_fate fate;
};
struct released {
    UINT64 frame;
    bool injected;
};

enum take_how { TAKE_CLONE, TAKE_REFERENCE, TAKE_COPY, TAKE_DEEP };

/* A callout that takes what it has not injected itself. */
struct taker {
    enum take_how how;
    enum host_injection_kind kind; /* how it gives back */
    bool at_once;                  /* injects within the classify */
    bool blind;                    /* does not ask for the injection state */
    bool pends;                    /* FwpsPendOperation0, too */
    bool only_looks;               /* permits; asks all the same */
    /* of what came; before a list is injected, `change` may change it */
    void (*change)(struct taker *t, NET_BUFFER_LIST *nbl);
    void *ctx;
    /* set by the lab */
    struct packet_lab *lab;
    struct driver_lab_script *script;
    HANDLE handle;
    unsigned seen, taken, given;
    FWPS_PACKET_INJECTION_STATE states[LAB_PACKETS]; /* of each that was seen */
    HANDLE contexts[LAB_PACKETS];
    NET_BUFFER_LIST *lists[LAB_PACKETS]; /* NULL: given or dropped */
    NET_BUFFER_LIST *originals[LAB_PACKETS];
    UINT64 endpoints[LAB_PACKETS];
    HANDLE pended[LAB_PACKETS];
    UCHAR remotes[LAB_PACKETS][16];
    UINT16 layers[LAB_PACKETS]; /* run-time ids: MAC injections name them */
    ULONG ip_header_size;       /* of the last that was seen */
    UINT64 metadata;
    UINT32 interface_index;
    NTSTATUS inject_status; /* of the last */
    KIRQL irql;             /* of the last classify */
    bool again;             /* of the last that was seen: by this handle before */
};

struct packet_lab {
    struct driver_lab d;
    struct rt_sim *sim; /* NULL: the real back end */
    NDIS_HANDLE pool;
    HANDLE net4, net6, transport, forward, l2;
    struct told *emitted[LAB_PACKETS], *lost[LAB_PACKETS];
    unsigned emitted_count, lost_count;
    struct released released[LAB_PACKETS];
    unsigned released_count;
    /* completions */
    unsigned completed;
    NTSTATUS statuses[LAB_PACKETS];
    KIRQL completion_irql;
    BOOLEAN completion_dispatch;
    uintptr_t completion_thread;
    void (*on_complete)(struct packet_lab *l, NET_BUFFER_LIST *nbl);
    struct taker *takers[16];
    unsigned taker_count;
};

/* config: of the host; may be NULL. */
void packet_lab_open(struct packet_lab *l, const struct host_config *config, bool simulated);
void packet_lab_close(struct packet_lab *l); /* frees what takers still hold */
/* Until nothing is queued or walking. */
void packet_lab_settle(struct packet_lab *l);

/* A callout with a filter at a layer ("DD", "RA6"); a copy of *what, the lab's. */
struct taker *packet_lab_take(struct packet_lab *l, const char *layer, const struct taker *what);
/* Injects the n-th that was taken, waits. The status of the inject call. */
NTSTATUS packet_lab_give(struct packet_lab *l, struct taker *t, unsigned n);
NTSTATUS packet_lab_give_only(struct packet_lab *l, struct taker *t, unsigned n); /* does not wait */
void packet_lab_drop(struct packet_lab *l, struct taker *t, unsigned n);
/* A list of the driver's own over a copy of the bytes, `back_fill` free bytes in front. */
NET_BUFFER_LIST *packet_lab_own(struct packet_lab *l, const void *bytes, size_t size, size_t back_fill);
void NTAPI packet_lab_completed(void *context, NET_BUFFER_LIST *nbl, BOOLEAN dispatch);
void packet_lab_free(struct packet_lab *l, NET_BUFFER_LIST *nbl); /* whichever way it was made */

/* cmocka fixtures: *state is a malloc'd lab. */
int packet_lab_real(void **state);
int packet_lab_simulated(void **state);
int packet_lab_end(void **state);
/* One test on both back ends. */
#define ON_BOTH(test)                                                                                        \
    {#test, test, packet_lab_real, packet_lab_end, NULL},                                                    \
    {                                                                                                        \
#test "_simulated", test, packet_lab_simulated, packet_lab_end, NULL                                 \
    }

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flow_table: where flows are found, and the flow itself.
 *
 * Buckets of one cache line hold 16-bit tags and slot numbers; entries stand apart, so that a miss touches
 * one line and a hit two or three. Together at most 128 bytes a flow when the table is full (tested). Not
 * locked: its lane's. Slots are reused, ids never; a flow stays where it is as long as it lives. A table
 * grows by steps without stopping the world, up to its limit; at the limit the caller evicts
 * (flow_table_oldest()). It never shrinks. Nothing depends on the seed but where things stand.
 *
 * Times are 1/64 s since the host began; later times than a table's latest move it on, earlier ones count as
 * the latest. A step counts at most a day (ale_clock()). After 2^32 ticks (776 days) the caller stays at UINT32_MAX: nothing
 * runs out any more.
 */
#ifndef WEIR_HOST_FLOW_TABLE_H
#define WEIR_HOST_FLOW_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "wire/wire.h"

struct flow_table;

/* From this host's side. ICMP: local_port is the echo id or 0, remote_port type << 8 | code of the request.
 * Multicast and broadcast (ALE-08, 09): remote and remote_port zero, FLOW_KEY_ANY_REMOTE. Padding is zero. */
struct host_flow_key { /* compared by its bytes */
    union wire_addr local, remote;
    uint16_t local_port, remote_port;
    uint8_t version, protocol;
    uint8_t flags; /* FLOW_KEY_* */
    uint8_t compartment;
};
/* What stands behind the addresses, in one piece: it is read in one soon, which parts would hold up. */
static inline void host_flow_key_ends(struct host_flow_key *k, uint16_t local_port, uint16_t remote_port,
                                      uint8_t version, uint8_t protocol)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    const uint64_t ends =
        local_port | (uint64_t)remote_port << 16 | (uint64_t)version << 32 | (uint64_t)protocol << 40;

    memcpy((uint8_t *)k + offsetof(struct host_flow_key, local_port), &ends, sizeof(ends));
#else
    k->local_port = local_port;
    k->remote_port = remote_port;
    k->version = version;
    k->protocol = protocol;
    k->flags = k->compartment = 0;
#endif
}
/* Of a TCP connection, by its ends. */
static inline struct host_flow_key host_flow_key_tcp(uint8_t version, const union wire_addr *local,
                                                     uint16_t local_port, const union wire_addr *remote,
                                                     uint16_t remote_port)
{
    struct host_flow_key key;

    key.local = *local;
    key.remote = *remote;
    host_flow_key_ends(&key, local_port, remote_port, version, WIRE_PROTOCOL_TCP);
    return key;
}
/* Of a packet that is neither a group's nor ICMP's; `in`: the host is its destination. */
static inline void host_flow_key_of(const struct wire_packet *p, bool in, struct host_flow_key *key)
{
    key->local = *(in ? &p->destination : &p->source);
    key->remote = *(in ? &p->source : &p->destination);
    host_flow_key_ends(key, in ? p->destination_port : p->source_port,
                       in ? p->source_port : p->destination_port, p->version, p->protocol);
}
#define FLOW_KEY_ANY_REMOTE      0x01
#define FLOW_KEY_ICMP            0x02
#define FLOW_KEY_INBOUND_REQUEST 0x04 /* ICMP: the other end asked */

/* One direction of a TCP connection as seen: sequence numbers are of bytes sent in it. */
struct tcp_half {
    uint32_t next; /* the first byte not seen in order */
    uint32_t top;  /* beyond the last byte seen at all */
    uint16_t window;
    uint8_t scale;
    uint8_t flags; /* TCP_HALF_*, tcp.c's */
};

struct host_flow {
    struct host_flow_key key; /* 40 */
    uint64_t id;              /* 8: the flow handle; never reused */
    uint32_t endpoint;        /* its slot, ale_endpoint.c's */
    uint32_t operations;      /* that wait for it: ale_operation.c's chain, its head's slot + 1; 0: none */
    uint32_t policy;          /* low bits of the version it was authorized under */
    uint32_t used;            /* when last refreshed: 1/64 s since the host began */
    uint32_t arrival;         /* index of the interface it was authorized for */
    uint16_t lifetime;        /* idle seconds; 0: none (TCP) */
    uint16_t pins;            /* classifies under way */
    uint16_t generation;      /* raised at each step of authorization */
    uint8_t state;            /* enum ale_state */
    uint8_t flags;            /* FLOW_* */
    uint8_t tcp : 4;          /* enum tcp_state */
    uint8_t queue : 4;        /* which order it stands in: flow_order.c's */
    union {
        uint8_t original_icmp_type; /* of ICMP's */
        uint8_t short_epoch; /* of TCP's and UDP's: which FLOW_MARK_SHORT_* are about; paths_short.c's */
    };
    uint8_t reasons;         /* of the reauthorization due; ale.c maps them */
    uint8_t marks;           /* FLOW_MARK_* */
    uint32_t older, newer;   /* its neighbours in that order: flow_order.c's */
    struct tcp_half half[2]; /* 24: [0] sent by this host, [1] by the other */
};
#define FLOW_INBOUND           0x01 /* authorized at RA */
#define FLOW_LOOPBACK          0x02
#define FLOW_MID_STREAM        0x04
#define FLOW_ESTABLISHED       0x08 /* FE was classified */
#define FLOW_MULTICAST         0x10
#define FLOW_REFRESH_OUT_ONLY  0x20 /* ALE-08 */
#define FLOW_UNSENT_OUT        0x40 /* the paths': what this host sent last (TCP: its SYN) was dropped */
#define FLOW_UNSENT_IN         0x80 /* ... what the other sent */
#define FLOW_MARK_TORN         0x01 /* refused when asked again, or aborted: over until a new SYN */
#define FLOW_MARK_NO_BIND      0x02 /* refused because its endpoint could not be bound */
#define FLOW_MARK_OWN_LIFETIME 0x04 /* an option set it: ALE-07 does not shorten it */
#define FLOW_MARK_RAW          0x08 /* TCP of a raw socket: no connection, handled as UDP is (ALE-04) */
#define FLOW_MARK_CLASSIFIED   0x10 /* has had an initial indication at AC or RA (ALE-32) */
#define FLOW_MARK_GONE         0x20 /* deleted; the entry goes when a packet or the clock comes by */
#define FLOW_MARK_SHORT_OUT    0x40 /* the layers that its packets meet would permit them: paths_short.c */
#define FLOW_MARK_SHORT_IN     0x80

_Static_assert(sizeof(struct host_flow) <= 112, "with its share of the buckets at most 128 bytes a flow");

#define FLOW_NONE UINT32_MAX

/* Room for up to `limit` flows; starts small. 0 or -ENOMEM. */
int flow_table_create(uint32_t limit, uint64_t seed, struct flow_table **out);
void flow_table_destroy(struct flow_table *t);
uint32_t flow_table_count(const struct flow_table *t);
size_t flow_table_bytes(const struct flow_table *t); /* all it has allocated */

/* NULL: not there. */
struct host_flow *flow_table_find(struct flow_table *t, const struct host_flow_key *key);
/* Looks up n keys with the memory fetched ahead; out[i] as find's. */
void flow_table_find_many(struct flow_table *t, const struct host_flow_key *const *keys, size_t n,
                          struct host_flow **out);
/* The same, for who has been there: if `likely` (a flow that this table once gave out, or NULL) has this key
 * still, it is the one. */
struct host_flow *flow_table_find_likely(struct flow_table *t, const struct host_flow_key *key,
                                         struct host_flow *likely);
/* A new flow with this key, zeroed but for key, newest in use. NULL: out of memory, at the limit, or there is
 * one with this key already. Set its lifetime, then touch it. */
struct host_flow *flow_table_add(struct flow_table *t, const struct host_flow_key *key);
/* f has another key from now on. False: it is taken, or no memory. */
bool flow_table_rename(struct flow_table *t, struct host_flow *f, const struct host_flow_key *key);
/* f and its slot are free from now on; until the slot is used again its id is 0. */
void flow_table_remove(struct flow_table *t, struct host_flow *f);
struct host_flow *flow_table_at(struct flow_table *t, uint32_t slot); /* NULL: free */
/* How it stands, and who waits for it, into the caches: a hint. */
void flow_table_fetch(const struct flow_table *t, uint32_t slot);
uint32_t flow_table_slot(const struct flow_table *t, const struct host_flow *f);
/* Could this table have given it out, as a flow that there is or was? Follows nothing: f may be anything. */
bool flow_table_gave(const struct flow_table *t, const void *f);
/* NULL: gone. Quick for a flow that was asked for before, or remembered; else goes through all of them. */
struct host_flow *flow_table_by_id(struct flow_table *t, uint64_t id);
/* f->id is about to be asked for: a hint, once it is set. */
void flow_table_remember(struct flow_table *t, const struct host_flow *f);
/* As if the memory had only so many bytes more than flow_table_bytes(). For tests, and hosts with a budget.
 */
void flow_table_cap(struct flow_table *t, size_t bytes);

/* The flow was used now: it becomes the newest. Takes a changed lifetime into account. */
void flow_table_touch(struct flow_table *t, struct host_flow *f, uint32_t now);
/* The flow least recently used; NULL: empty. For eviction. Exact, but of more than 4,096 flows of a lifetime
 * that are to be sorted again at once it is the oldest of so many: no call takes long. */
struct host_flow *flow_table_oldest(struct flow_table *t);
/* Calls fn for each flow whose lifetime ran out at `now` (used + lifetime <= now), at most `max`; returns how
 * many. fn may remove that flow and add others; one that it leaves untouched is due again at the next call.
 * Looks at nothing that cannot be due, and at no more than `max` + 256 flows a lifetime. Exact to the tick,
 * but for a flow of a fourteenth lifetime in use at once: up to a second late. */
uint32_t flow_table_expire(struct flow_table *t, uint32_t now, uint32_t max,
                           void (*fn)(void *ctx, struct host_flow *f), void *ctx);
/* In order of slots. fn may remove the flow it is given. */
void flow_table_each(struct flow_table *t, void (*fn)(void *ctx, struct host_flow *f), void *ctx);

#endif

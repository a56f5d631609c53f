/* SPDX-License-Identifier: Apache-2.0 */
/*
 * internal: what the stack room's files know of each other. No other room includes it.
 *
 *   stack.c      life, entering and leaving, events, counts        timer.c     what is due when
 *   net.c        interfaces, addresses, routes, path MTUs          buffer.c    rings of bytes and of datagrams
 *   ip_in.c      packets in, forwarding                            reassembly.c  fragments to datagrams
 *   ip_out.c     headers, fragments, config.send()                 icmp.c      echo and errors
 *   socket.c     the calls of the door, ports, tables              datagram.c  UDP, echo and raw sockets
 *   tcp.c        connections' life and calls                       tcp_in.c    segments in (RFC 9293, 3.10.7)
 *   tcp_out.c    segments out, what is sent when                   tcp_queue.c what is sent and not acknowledged
 *   tcp_option.c options in and out                                tcp_time.c  round trips and timers
 *
 * Entering. Every call of the door that may send or tell stands between stack_enter() and stack_leave().
 * Only the outermost stack_leave() tells what happened, and frees sockets that ended: so no file here
 * has its socket changed under it by told(). config.send() is the exception: it is called in the middle. What it
 * may do to the socket at hand is waited for (stack_input() is queued, output is put off, ends are marked).
 *
 * Owners. A socket belongs to whoever opened or accepted it (owned) until stack_close(); then to the stack,
 * until TCP is through. It is in `bound` by its port, and in `connected` by both ends if it has a peer. Ended
 * sockets are in `graves` until the outermost leave.
 */
#ifndef WEIR_STACK_INTERNAL_H
#define WEIR_STACK_INTERNAL_H

#include <errno.h>
#include <string.h>

#include "stack/stack.h"

#define NEVER       UINT64_MAX
#define MILLISECOND 1000000ull
#define SECOND      1000000000ull

enum {
    IP4_HEADER = 20,
    IP6_HEADER = 40,
    TCP_HEADER = 20,
    UDP_HEADER = 8,
    ICMP_HEADER = 8,
    IP_LARGEST = 65535,
    HOPS = 64,
    NESTING = 8,          /* config.send() within config.send() */
    QUEUED_INPUTS = 1024, /* packets that come in meanwhile */
    PATHS = 64,           /* path MTUs that are remembered */
    REASSEMBLIES = 64,    /* datagrams under reassembly */
    GROUPS = 16,          /* of a socket */
    PEERS = 16,           /* that a socket remembers having sent to */
    SACK_BLOCKS = 4,
    RANGES = 64,     /* pieces out of order */
    SEGMENTS = 8192, /* of a connection, under way */
};

/* ---- timer.c -------------------------------------------------------------------------------------------- */

/* A moment; in one of two heaps while at < NEVER. */
struct timer {
    uint64_t at, order; /* equal moments: first set, first due */
    uint32_t place;     /* in its heap, from 1; 0: in none */
    bool lasting;       /* nothing comes of it but an end */
    void (*due)(struct timer *t);
};
struct timers {
    struct timer **heap[2]; /* [lasting] */
    uint32_t count[2], room[2];
    uint64_t order;
};
/* Makes sure that so many timers can be set. 0, -ENOMEM. */
int timers_reserve(struct timers *t, uint32_t count);
void timers_free(struct timers *t);
void timer_set(struct timers *t, struct timer *timer, uint64_t at, bool lasting); /* NEVER: stops it */
uint64_t timers_next(const struct timers *t, bool lasting);
/* The earliest that is due, stopped; NULL: none. */
struct timer *timers_take(struct timers *t, uint64_t now);

/* ---- buffer.c ------------------------------------------------------------------------------------------- */

/* A ring that grows up to a limit. Bytes beyond `used` may hold what came early. */
struct ring {
    uint8_t *bytes;
    uint32_t head, used, room, limit;
};
bool ring_reserve(struct ring *r, uint32_t bytes); /* from head; false: beyond the limit, or no memory */
void ring_write(struct ring *r, uint32_t at, const uint8_t *from, uint32_t size); /* reserved; used stays */
void ring_read(const struct ring *r, uint32_t at, uint8_t *out, uint32_t size);
void ring_skip(struct ring *r, uint32_t size);
void ring_free(struct ring *r);

/* Datagrams in a ring. */
struct record {
    union wire_addr address;
    uint32_t size;
    uint16_t port, begins;
};
bool record_push(struct ring *r, const struct record *head, const uint8_t *bytes);
bool record_peek(const struct ring *r, struct record *head);
/* Takes the first one out, as much of it as fits; how much. */
uint32_t record_pop(struct ring *r, struct record *head, uint8_t *out, uint32_t size);

/* ---- sockets -------------------------------------------------------------------------------------------- */

struct stack_socket {
    struct stack *stack;
    void *user;
    struct stack_socket *next, *previous;        /* of all */
    struct stack_socket *bound_next, *peer_next; /* in the tables; peer_next also in graves */
    struct stack_socket *event_next;
    uint8_t version, protocol;
    uint8_t state;  /* enum stack_state */
    uint8_t told;   /* the state that was told last */
    uint8_t events; /* bits of enum stack_event, to be told */
    bool queued;    /* is in the list of events */
    bool owned, bound, reuse, has_peer, dead;
    bool leaving; /* stack_wait_for_end() */
    bool asking;  /* is in config.send() with what it begins */
    bool held;
    int8_t answer; /* came while asking: 1 permitted, -1 refused */
    union wire_addr local, remote;
    uint16_t local_port, remote_port;
    int error; /* negative errno, given out once */
    struct ring in, out;
    struct timer timer;
};

struct group {
    union wire_addr address;
};

/* UDP, echo, raw. out: what waits for a decision. */
struct datagram_socket {
    struct stack_socket socket;
    struct group groups[GROUPS];
    struct record peers[PEERS]; /* sent to already */
    uint32_t group_count, peer_count, peer_next;
    uint16_t sequence; /* echo */
};

enum tcp_state {
    TCP_CLOSED,
    TCP_LISTEN,
    TCP_SYN_SENT,
    TCP_SYN_RECEIVED,
    TCP_ESTABLISHED,
    TCP_FIN_WAIT_1,
    TCP_FIN_WAIT_2,
    TCP_CLOSE_WAIT,
    TCP_CLOSING,
    TCP_LAST_ACK,
    TCP_TIME_WAIT,
    TCP_STATES
};

/* What was sent and is not acknowledged: data, SYN and FIN, in order of sequence. */
struct segment {
    uint64_t sent_ns, serial;  /* serial: which transmission of the connection's, the last of this one */
    uint32_t sequence, length; /* length with SYN and FIN */
    uint16_t times;            /* sent */
    uint8_t flags;             /* SYN, FIN */
    bool sacked, lost;
};
struct segments {
    struct segment *at; /* a ring */
    uint32_t head, count, room;
};
struct range {
    uint32_t first, end;
};

struct tcp_options {
    uint32_t ts_value, ts_echo;
    uint16_t mss; /* 0: not there */
    uint8_t scale, blocks;
    bool has_scale, has_ts, sack_permitted;
    struct range sack[SACK_BLOCKS];
};

struct tcp_socket {
    struct stack_socket socket;
    uint8_t tcp; /* enum tcp_state */
    bool passive, sack, stamps, scaled;
    bool finish;    /* FIN after what is queued */
    bool fin_came;  /* in order; peer's */
    bool fin_known; /* fin_at is the sequence number of the peer's FIN */
    bool fin_acked;
    bool recovering, ack_now, output_again, in_output;
    uint8_t scale_in, scale_out; /* of the windows that we get, that we tell */
    uint16_t mss;                /* payload of what we send at most, options taken off */
    uint16_t peer_mss;           /* as said */
    /* sending */
    uint32_t iss, snd_una, snd_nxt, snd_max, snd_wnd, snd_wl1, snd_wl2, snd_wnd_most;
    uint32_t snd_left; /* the end of what has left this machine: where a reset is believed */
    uint32_t recover;  /* in recovery until this is acknowledged */
    uint32_t lost;     /* segments to send again */
    uint64_t serial, delivered;
    struct segments sent;
    uint8_t duplicates;
    /* receiving */
    uint32_t irs, rcv_nxt, rcv_adv; /* rcv_adv: the right edge that we told */
    uint32_t fin_at, last_ack_sent;
    uint32_t unacked; /* segments since our last ACK */
    uint32_t ts_recent, ts_offset;
    uint64_t ts_recent_ns;
    uint32_t range_count;
    uint32_t latest; /* sequence number of what came out of order last */
    struct range ranges[RANGES];
    /* time */
    uint64_t rto, srtt, rttvar, least_rtt;
    uint64_t again_at, ack_at, end_at;
    unsigned tries, backoff; /* time-outs since something was acknowledged; since a round trip was measured */
    /* listening */
    struct tcp_socket *listener;           /* of a connection that is not accepted yet */
    struct tcp_socket *ready, *ready_last; /* complete ones, oldest first */
    struct tcp_socket *ready_next;
    uint32_t backlog, waiting; /* waiting: not accepted, complete or not */
};

static inline struct tcp_socket *tcp_of(struct stack_socket *s)
{
    return (struct tcp_socket *)s; /* its first member */
}
static inline struct datagram_socket *datagram_of(struct stack_socket *s)
{
    return (struct datagram_socket *)s;
}
static inline bool is_tcp(const struct stack_socket *s)
{
    return s->protocol == WIRE_PROTOCOL_TCP;
}

/* ---- the stack ------------------------------------------------------------------------------------------ */

struct address {
    union wire_addr address;
    uint32_t interface;
    uint8_t version, bits;
};
struct route {
    union wire_addr to;
    uint32_t interface;
    uint8_t version, bits;
};
struct interface {
    uint32_t index, mtu;
};
struct path {
    union wire_addr to;
    uint32_t mtu;
    uint8_t version;
};
struct reassembly;
struct queued_input {
    struct queued_input *next;
    uint32_t interface, size;
    uint8_t bytes[];
};
struct table {
    struct stack_socket **heads;
    uint32_t mask, count;
};

struct stack {
    struct stack_config config;
    uint64_t now, random;
    struct interface *interfaces;
    struct address *addresses;
    struct route *routes;
    uint32_t interface_count, address_count, route_count;
    struct path paths[PATHS];
    uint32_t path_next;
    struct reassembly *reassembly; /* made when the first fragment comes */
    struct timers timers;
    struct stack_socket *sockets;
    struct table bound, connected;
    uint32_t socket_count;
    uint16_t port_next;
    uint32_t identification;
    /* entering */
    unsigned depth, sending; /* sending: in config.send(), nested */
    struct stack_socket *events, *events_last, *graves;
    struct queued_input *inputs, *inputs_last;
    uint32_t input_count;
    uint8_t *scratch[NESTING];
    uint32_t scratch_size[NESTING];
    uint64_t challenge_second; /* RFC 5961: of how many challenge ACKs */
    unsigned challenges;
    struct stack_counts counts;
};

void stack_enter(struct stack *s);
void stack_leave(struct stack *s);
uint64_t stack_random(struct stack *s);
void stack_tell(struct stack_socket *s, enum stack_event e);
/* Sets the state that its owner sees, and has it told. */
void stack_set_state(struct stack_socket *s, enum stack_state state);
/* Takes it out of everything; freed when the outermost call ends. */
void stack_bury(struct stack_socket *s);

/* ---- net.c ---------------------------------------------------------------------------------------------- */

struct interface *net_interface(const struct stack *s, uint32_t index);
const struct address *net_address(const struct stack *s, uint8_t version, const union wire_addr *a);
bool net_is_broadcast(const struct stack *s, uint8_t version, const union wire_addr *a);
/* Which interface leads there; 0: none. */
uint32_t net_route(const struct stack *s, uint8_t version, const union wire_addr *to);
/* The source of what goes there. False: no route, or no address. */
bool net_source(const struct stack *s, uint8_t version, const union wire_addr *to, union wire_addr *out);
uint32_t net_mtu(const struct stack *s, uint8_t version,
                 const union wire_addr *to); /* of the path; 0: no route */
void net_path_mtu(struct stack *s, uint8_t version, const union wire_addr *to, uint32_t mtu);
bool net_in_prefix(uint8_t version, const union wire_addr *a, const union wire_addr *prefix, unsigned bits);

/* ---- ip_out.c ------------------------------------------------------------------------------------------- */

struct outgoing {
    struct stack_socket *socket;
    const union wire_addr *source, *destination;
    uint8_t version, protocol;
    bool begins, keep_whole; /* keep_whole: don't fragment */
    uint8_t hops;            /* 0: 64 */
};
/* A place for a packet of `size` bytes of payload: where the payload goes. NULL: no memory, or too deep. */
uint8_t *ip_begin(struct stack *s, uint8_t version, uint32_t size);
/* Sends what stands in that place. The checksum stands at `sum_at` of the payload (UINT32_MAX: none) and
 * is zero there: pseudo header and payload make it. *why: -ENETUNREACH, -EMSGSIZE, 0. */
enum stack_sent ip_send(struct stack *s, const struct outgoing *o, uint32_t size, uint32_t sum_at, int *why);
/* A packet that came in, changed as a router does. */
void ip_forward(struct stack *s, const struct wire_packet *p);

/* ---- reassembly.c --------------------------------------------------------------------------------------- */

/* Adds a fragment. The whole datagram from its IP header on, valid until the next call; NULL: not yet. */
const uint8_t *reassembly_add(struct stack *s, const struct wire_packet *p, uint32_t interface,
                              uint32_t *size);
void reassembly_free(struct stack *s);

/* ---- ip_in.c, icmp.c, datagram.c -------------------------------------------------------------------------- */

void ip_input(struct stack *s, uint32_t interface, const uint8_t *bytes, uint32_t size);

enum icmp_error { ICMP_NO_ROUTE, ICMP_NO_PROTOCOL, ICMP_NO_PORT, ICMP_TOO_BIG, ICMP_HOPS, ICMP_REASSEMBLY };
/* Tells the sender of p, unless it may not be told. */
void icmp_tell(struct stack *s, const struct wire_packet *p, enum icmp_error e, uint32_t mtu);
void icmp_input(struct stack *s, const struct wire_packet *p);

bool datagram_input(struct stack *s, const struct wire_packet *p); /* false: nobody wants it */
void datagram_error(struct stack_socket *s, int error);
long datagram_send(struct stack_socket *s, const union wire_addr *to, uint16_t port, const uint8_t *bytes,
                   size_t size);
long datagram_receive(struct stack_socket *s, uint8_t *out, size_t size, union wire_addr *from,
                      uint16_t *port);
void datagram_resume(struct stack_socket *s, bool permitted);

/* ---- socket.c ------------------------------------------------------------------------------------------- */

struct stack_socket *socket_find(const struct stack *s, uint8_t version, uint8_t protocol,
                                 const union wire_addr *local, uint16_t local_port,
                                 const union wire_addr *remote, uint16_t remote_port);
/* The next one bound to the port there; `after`: NULL: the first. */
struct stack_socket *socket_bound(const struct stack *s, uint8_t version, uint8_t protocol,
                                  const union wire_addr *local, uint16_t port, struct stack_socket *after);
/* A new one in no table; NULL: limits or memory. */
struct stack_socket *socket_new(struct stack *s, uint8_t version, uint8_t protocol);
int socket_enter_tables(struct stack_socket *s, bool bound, bool connected);
void socket_leave_tables(struct stack_socket *s);
void socket_unbind(struct stack_socket *s); /* its port is free; the pair of ends is not */

/* ---- tcp.c ---------------------------------------------------------------------------------------------- */

void tcp_prepare(struct tcp_socket *t);
int tcp_connect(struct tcp_socket *t);
long tcp_send(struct tcp_socket *t, const uint8_t *bytes, size_t size);
long tcp_receive(struct tcp_socket *t, uint8_t *out, size_t size);
int tcp_shutdown(struct tcp_socket *t);
void tcp_close(struct tcp_socket *t);
void tcp_abort(struct tcp_socket *t);
void tcp_resume(struct tcp_socket *t, bool permitted);
/* An ICMP error about a segment of this connection. */
void tcp_error(struct tcp_socket *t, uint32_t sequence, bool too_big, int error);
/* With an RST, because its host says so. */
void tcp_fail(struct tcp_socket *t);
/* tcp_end(), where no packet tells of it: config.gave_up is called. */
void tcp_give_up(struct tcp_socket *t, enum stack_state state);
/* The connection is over, for this reason; buffers go, nothing is sent. */
void tcp_end(struct tcp_socket *t, enum stack_state state);
bool tcp_is_under_way(const struct tcp_socket *t, uint32_t sequence);
bool tcp_window_is_news(const struct tcp_socket *t); /* worth an ACK of its own */
bool tcp_has_unsent(const struct tcp_socket *t);     /* data or FIN */
void tcp_set(struct tcp_socket *t, enum tcp_state state);
void tcp_established(struct tcp_socket *t);
uint32_t tcp_window(const struct tcp_socket *t); /* that we can take */
void tcp_find_mss(struct tcp_socket *t);
uint32_t tcp_own_mss(const struct tcp_socket *t);
uint32_t tcp_first_sequence(struct tcp_socket *t);

/* ---- tcp_in.c, tcp_out.c, tcp_option.c, tcp_queue.c, tcp_time.c ------------------------------------------- */

void tcp_input(struct stack *s, const struct wire_packet *p);

void tcp_output(struct tcp_socket *t);   /* all that may be sent now, and the ACK that is due */
void tcp_send_ack(struct tcp_socket *t); /* at once, with nothing */
void tcp_send_probe(struct tcp_socket *t);
void tcp_send_reset(struct tcp_socket *t);
void tcp_answer_reset(struct stack *s, const struct wire_packet *p); /* to a segment that nobody wanted */
void tcp_send_again(struct tcp_socket *t, struct segment *g);
/* The SYN for the first time, or after the decision. */
void tcp_begin(struct tcp_socket *t, bool ask);

void tcp_options_read(const uint8_t *h, uint32_t size, struct tcp_options *out);
uint32_t tcp_options_write(const struct tcp_socket *t, uint8_t flags, uint8_t *out); /* at most 40 */
uint32_t tcp_options_size(const struct tcp_socket *t);                               /* of a data segment */
uint32_t tcp_stamp_at(const struct tcp_socket *t, uint64_t ns);

struct segment *segments_at(const struct segments *q, uint32_t i);
struct segment *segments_push(struct segments *q); /* NULL: no memory, too many */
void segments_free(struct segments *q);
/* All up to `ack` has arrived. */
void tcp_acknowledged(struct tcp_socket *t, uint32_t ack, const struct tcp_options *o);
void tcp_selective(struct tcp_socket *t, const struct tcp_options *o);
void tcp_find_lost(struct tcp_socket *t);
void tcp_all_lost(struct tcp_socket *t);
/* Sends all that is not acknowledged as if it were new, cut anew. */
void tcp_rewind(struct tcp_socket *t);

void tcp_round_trip(struct tcp_socket *t, uint64_t ns);
void tcp_arm(struct tcp_socket *t); /* sets the socket's timer to the earliest of its moments */
void tcp_again_later(struct tcp_socket *t);
void tcp_due(struct timer *timer);

static inline bool seq_lt(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) < 0;
}
static inline bool seq_le(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) <= 0;
}

static inline void put16(uint8_t *at, uint32_t v)
{
    at[0] = (uint8_t)(v >> 8);
    at[1] = (uint8_t)v;
}
static inline void put32(uint8_t *at, uint32_t v)
{
    put16(at, v >> 16);
    put16(at + 2, v);
}
static inline uint32_t ip_header_size(uint8_t version)
{
    return version == 4 ? IP4_HEADER : IP6_HEADER;
}

#endif

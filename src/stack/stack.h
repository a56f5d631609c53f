/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stack: the door of the room with the small TCP/IP that hosts of a test have of their own: sockets, TCP, UDP,
 * ICMP echo, routes, fragments. It does no input and output and knows neither threads nor clocks:
 *
 *   program --stack_connect(), stack_send() ...--> stack --config.send()--> the host's layers, a wire
 *   wire, having passed the host's layers --stack_input()--> stack --config.told()--> program
 *   time --stack_advance()--> retransmissions, time-outs;  stack_deadline(): when it wants to be called next
 *
 * It authorizes nothing and is told of nothing that a filter decides but through the answer of config.send():
 * a TCP connection's first segment that is HELD waits without a timer until stack_resume(), and one that is
 * REFUSED ends the connection (STACK_REFUSED). So a handshake goes on only after authorization, and a host
 * under test and a plain peer have the very same TCP.
 *
 * TCP: MSS, window scale, SACK-permitted and timestamps; retransmission (RFC 6298 with Karn's rule, fast
 * retransmit after three duplicates, SACK used by the sender), reassembly, windows and their probes,
 * simultaneous open and close, half-close, resets as RFC 9293 says (challenge ACKs: RFC 5961), TIME_WAIT;
 * no congestion control. Memory is bounded by struct stack_limits.
 *
 * One caller at a time; the callbacks are made from within the calls. They may call stack functions but
 * stack_destroy(): told() runs when nothing is half done; within send(), stack_input() is put off until the call that
 * sends is through, and so is what stack_advance() would do. The same calls with the same seed give the same packets.
 *
 * A packet to an address of the stack's own goes to send() as well, by the interface that has a loopback address if there
 * is one, else by the address's own: whoever is behind send() brings it back.
 */
#ifndef WEIR_STACK_STACK_H
#define WEIR_STACK_STACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/wire.h"

struct stack;
struct stack_socket;

/* ---- configuration ------------------------------------------------------------------------------------- */

/* A packet on its way out, from its IP header on, checksums right; valid during the call. */
struct stack_packet {
    const uint8_t *bytes;
    uint32_t size;
    uint8_t version;
    uint32_t interface; /* as stack_interface_add() was told */
    struct stack_socket
        *socket;    /* whose it is; NULL: the stack's own (resets, ICMP) or forwarded. Let go by its
                                  * owner it has no user; not accepted yet, its listener's */
    bool begins;    /* the first of a connection (its SYN, once), or of a UDP socket to this peer
                                  * (as far as remembered); not again once it was HELD and resumed */
    bool forwarded; /* came in by another interface: the layers have seen it */
};
enum stack_sent {
    STACK_SENT,    /* on its way */
    STACK_HELD,    /* what it begins waits for a decision: stack_resume() */
    STACK_DENIED,  /* what it begins is refused: TCP STACK_REFUSED, UDP -EACCES of the send */
    STACK_DROPPED, /* it has not left this machine, and nobody is told: as if a wire had lost it */
};

enum stack_event {
    STACK_EVENT_STATE,    /* stack_state() is another */
    STACK_EVENT_READABLE, /* something to receive, the end, or an error */
    STACK_EVENT_WRITABLE, /* there is room again */
    STACK_EVENT_ACCEPT,   /* stack_accept() has one */
};

struct stack_limits {
    uint32_t sockets;       /* 0: 65,536 */
    uint32_t send_bytes;    /* a socket's; 0: 256 KiB */
    uint32_t receive_bytes; /* 0: 256 KiB; the window is scaled to it */
    uint32_t backlog;       /* connections that wait for accept(), at most; 0: 128 */
};

#define STACK_WITHOUT_SACK   1
#define STACK_WITHOUT_STAMPS 2
#define STACK_WITHOUT_SCALE  4

struct stack_config {
    uint64_t seed;     /* of initial sequence numbers, ports, identifications */
    uint64_t start_ns; /* the clock's start */
    struct stack_limits limits;
    bool forwarding;       /* packets to others go on (TTL, ICMP time exceeded) */
    uint64_t time_wait_ns; /* 0: 60 s */
    unsigned syn_retries;  /* 0: 4, the first after 1 s, doubling */
    unsigned data_retries; /* 0: 10, the first after a round trip, at least 300 ms; doubling */
    uint16_t mss;          /* of TCP at most, said and sent; 0: what the MTU has room for */
    uint8_t without;       /* STACK_WITHOUT_*: TCP options that are neither offered nor taken */
    bool sequence_fixed;   /* tests: each connection begins at `sequence` */
    uint32_t sequence;
    enum stack_sent (*send)(void *ctx, const struct stack_packet *p);
    void (*told)(void *ctx, struct stack_socket *s, enum stack_event e); /* may be NULL */
    /* A TCP connection, owned or not, is given up, and no packet says so: nobody answers, an ICMP error, a peer that
     * never ends. Called in the middle, for stack_local() and stack_remote() only. May be NULL. */
    void (*gave_up)(void *ctx, const struct stack_socket *s);
    void *ctx;
};
int stack_create(const struct stack_config *config, struct stack **out); /* 0, -ENOMEM, -EINVAL */
void stack_destroy(struct stack *s);                                     /* sockets with it, silently */

/* index > 0, unique; mtu >= 1280 or 0: 1500. 0, -ENOMEM, -EEXIST, -EINVAL. */
int stack_interface_add(struct stack *s, uint32_t index, uint32_t mtu);
/* An address of the stack's own, and the subnet of `bits` reached through that interface. 0, -ENOMEM, -ENOENT. */
int stack_address_add(struct stack *s, uint32_t interface, uint8_t version, const union wire_addr *a,
                      unsigned bits);
/* What else is reached through it; bits 0: all the rest. The longest prefix counts. */
int stack_route_add(struct stack *s, uint32_t interface, uint8_t version, const union wire_addr *to,
                    unsigned bits);

/* ---- packets and time ---------------------------------------------------------------------------------- */

/* A packet that came in, from its IP header on. Anything may be in it. */
void stack_input(struct stack *s, uint32_t interface, const uint8_t *bytes, uint32_t size);
/* Somebody else has put the datagram of this fragment together, and keeps it: what is here of it goes, silently. */
void stack_forget_datagram(struct stack *s, const uint8_t *fragment, uint32_t size);
/* Moves the clock and does what is due; earlier times are taken as now. */
void stack_advance(struct stack *s, uint64_t now_ns);
/* UINT64_MAX: nothing is waited for. lasting (may be NULL): the same without what only lasts (TIME_WAIT). */
uint64_t stack_deadline(const struct stack *s, uint64_t *lasting);

/* ---- sockets ------------------------------------------------------------------------------------------- */

enum stack_state {
    STACK_NEW,
    STACK_BOUND,
    STACK_LISTENING,
    STACK_CONNECTING, /* SYN sent, or waits: held */
    STACK_ACCEPTING,  /* SYN received */
    STACK_CONNECTED,  /* UDP: has a peer */
    STACK_CLOSING,    /* we or they have ended; data may still come or go */
    STACK_CLOSED,     /* all done, both ways */
    STACK_REFUSED,    /* the answer of send() was STACK_DENIED, or stack_resume(false) */
    STACK_RESET,      /* the peer reset it, or stack_fail() */
    STACK_TIMED_OUT,  /* no answer */
    STACK_UNREACHABLE /* no route, or an ICMP error said so */
};

/* protocol: TCP, UDP, ICMP, ICMPV6 (echo: what is sent are requests' data, what is received replies'), or any
 * other: raw (what is sent and received is the IP payload). It has an owner: who calls stack_close(). 0, -ENOMEM,
 * -ENOBUFS (limits), -EINVAL. */
int stack_open(struct stack *s, uint8_t version, uint8_t protocol, void *user, struct stack_socket **out);
void *stack_user(const struct stack_socket *s);
void stack_set_user(struct stack_socket *s, void *user);

/* Unspecified: any address; port 0: one is chosen, stack_local() tells. 0, -EADDRINUSE, -EADDRNOTAVAIL, -EINVAL
 * (is bound). */
int stack_bind(struct stack_socket *s, const union wire_addr *a, uint16_t port, bool reuse);
int stack_listen(struct stack_socket *s, unsigned backlog);
/* Binds first where that was not done. TCP: 0: begun (state CONNECTING, or REFUSED at once); -ENETUNREACH,
 * -EADDRINUSE, -EISCONN, -EOPNOTSUPP. UDP: sets the peer, sends nothing. */
int stack_connect(struct stack_socket *s, const union wire_addr *to, uint16_t port);
/* The oldest connection that is complete; NULL: none. The caller owns it; its user is the listener's until it is set.
 * What it received before is not told again: ask stack_receive(). */
struct stack_socket *stack_accept(struct stack_socket *s);
/* How many bytes were taken (TCP: as many as there is room for; UDP: all); -EAGAIN: no room now; -ENOTCONN, -EPIPE,
 * -ECONNRESET, -ECONNABORTED, -EACCES, -EMSGSIZE, -ENETUNREACH, -ETIMEDOUT. */
long stack_send(struct stack_socket *s, const void *bytes, size_t size);
long stack_send_to(struct stack_socket *s, const union wire_addr *to, uint16_t port, const void *bytes,
                   size_t size);
/* How many bytes; 0: TCP: the peer has ended; -EAGAIN: nothing there; -ECONNRESET, -ECONNABORTED, -ENOTCONN, -ECONNREFUSED
 * (TCP: the SYN was answered by a reset; UDP: ICMP said so), -ETIMEDOUT. from, port: may be NULL. UDP: one datagram, what does not fit is lost. */
long stack_receive(struct stack_socket *s, void *out, size_t size, union wire_addr *from, uint16_t *port);
int stack_shutdown(struct stack_socket *s); /* nothing more will be sent: FIN after what is queued */
/* The owner lets go: TCP goes on to its end by itself (with RST where data was not read), the handle is gone. */
void stack_close(struct stack_socket *s);
/* TCP: its owner has nothing more to send and only waits for its end. In FIN_WAIT_2 it waits no longer than one without an
 * owner: then it is given up, and STACK_CLOSED. */
void stack_wait_for_end(struct stack_socket *s);
void stack_abort(struct stack_socket *s); /* RST at once; the handle is gone */
/* The host ends the TCP connection between these ends, whoever's it is: RST; its owner finds STACK_RESET and, as Windows
 * has it where the own machine ends one (WSAECONNABORTED), -ECONNABORTED. What was not read is gone. False: there is none. */
bool stack_fail(struct stack *s, uint8_t version, const union wire_addr *local, uint16_t local_port,
                const union wire_addr *remote, uint16_t remote_port);
/* Is there such a connection, in whatever state but TIME_WAIT? */
bool stack_connected(const struct stack *s, uint8_t version, const union wire_addr *local,
                     uint16_t local_port, const union wire_addr *remote, uint16_t remote_port);
/* Joins, leaves a multicast group: UDP datagrams to it are received. */
int stack_membership(struct stack_socket *s, const union wire_addr *group, bool join);
/* The decision about what was HELD: the SYN goes out (through send() again, not as what begins) or the connection is
 * REFUSED; UDP: the datagrams that wait go out, or the first is dropped and -EACCES is the next answer. Within send() it is
 * the answer in advance, should that be HELD. Nothing is held: harmless. */
void stack_resume(struct stack_socket *s, bool permitted);

enum stack_state stack_state(const struct stack_socket *s);
bool stack_is_held(const struct stack_socket *s);
void stack_local(const struct stack_socket *s, uint8_t *version, union wire_addr *a, uint16_t *port);
void stack_remote(const struct stack_socket *s, uint8_t *version, union wire_addr *a, uint16_t *port);

/* Does somebody wait on this port for what comes unasked? */
bool stack_listens(const struct stack *s, uint8_t version, uint8_t protocol, const union wire_addr *local,
                   uint16_t port);

struct stack_counts {
    uint64_t sent, received, retransmitted, reset_sent, duplicates, out_of_order, discarded, bytes_queued;
    uint32_t sockets, closing; /* closing: let go by their owners */
};
void stack_counts(const struct stack *s, struct stack_counts *out);

#endif

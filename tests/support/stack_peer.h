/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stack_peer: one stack (10.0.0.1, fd00::1, on interface 1) and the test itself as everybody else: it writes each packet
 * by hand and looks at each that comes back.
 */
#ifndef STACK_PEER_H
#define STACK_PEER_H

#include "stack/stack.h"

#define PEER_MS 1000000ull
#define PEER_S  1000000000ull

enum { PEER_ISS = 5000, PEER_KEPT = 256 };

struct peer_packet {
    struct wire_packet w; /* of bytes */
    uint32_t interface;
    struct stack_socket *socket;
    bool begins, forwarded;
    uint8_t bytes[1600];
};

struct peer {
    struct stack *stack;
    uint64_t now;
    enum stack_sent answer; /* to what begins */
    unsigned sent, looked;  /* packets that came out; how many of them were looked at */
    struct peer_packet kept[PEER_KEPT];
    unsigned events[4];
    /* In the middle of send(); may be NULL. */
    void (*sending)(struct peer *p, const struct stack_packet *k);
    void (*told)(struct peer *p, struct stack_socket *s, enum stack_event e);
    void *ctx;
    /* Of the connection that tcp() writes segments of. */
    uint8_t version;
    uint16_t port, own_port; /* the peer's; the stack's */
    uint32_t window;
    uint8_t options[40];
    uint32_t option_size; /* of the next segment alone */
};

void peer_open(struct peer *p,
               const struct stack_config *config); /* NULL: without stamps, otherwise defaults */
void peer_close(struct peer *p);
union wire_addr peer_address(uint8_t version, unsigned last); /* 10.0.0.last, fd00::last */
/* Time goes on, with what is due on the way. */
void peer_wait(struct peer *p, uint64_t ns);
/* The next packet that came out and was not looked at; NULL: none. */
const struct peer_packet *peer_next(struct peer *p);
/* The next one is such a TCP segment; fails if not. */
const struct wire_packet *peer_expect(struct peer *p, unsigned flags, uint32_t seq, uint32_t ack,
                                      uint32_t length);
void peer_expect_nothing(struct peer *p);
/* Writes a TCP segment from the peer. */
void peer_tcp(struct peer *p, unsigned flags, uint32_t seq, uint32_t ack, const void *data, uint32_t size);
/* Writes an IP packet with that payload; the checksum at `sum` (UINT32_MAX: none) is made. */
void peer_ip(struct peer *p, uint8_t version, uint8_t protocol, const union wire_addr *from,
             const union wire_addr *to, const void *payload, uint32_t size, uint32_t sum);
/* The same bytes as they would be on the wire, into out (1600); how many. */
uint32_t peer_write(uint8_t version, uint8_t protocol, const union wire_addr *from, const union wire_addr *to,
                    const void *payload, uint32_t size, uint32_t sum, uint8_t *out);

/* A socket of the stack with a connection to the peer (port 80, window 65535): in this state. The stack's first
 * sequence number is *iss; what the peer sends next has PEER_ISS + 1. */
struct stack_socket *peer_connect(struct peer *p, uint8_t version, uint32_t *iss);
struct stack_socket *peer_socket(struct peer *p, uint8_t version, uint8_t protocol);

#endif

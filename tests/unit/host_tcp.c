/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Passive TCP: tables of segments and what each must mean; and random streams, cut, repeated, reordered and
 * partly lost on their way into the capture, against a reassembler that keeps a flag for each byte.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "host/tcp_inside.h"

static uint64_t random_state;

static uint32_t below(uint32_t n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state % n);
}

struct lab {
    struct host host;
    struct lane lane;
    struct host_flow flow;
    uint8_t frame[70000];
    struct wire_packet packet;
};

static void lab_open(struct lab *l, uint32_t stream_bytes, uint32_t segments)
{
    memset(l, 0, sizeof(*l));
    l->host.limits.stream_bytes = stream_bytes;
    l->host.limits.segments_a_flow = segments;
    l->lane.host = &l->host;
    l->flow.key.local_port = 1;
    assert_int_equal(tcp_create(&l->lane), 0);
}

static void lab_close(struct lab *l)
{
    tcp_forget(&l->lane, &l->flow);
    assert_int_equal(l->flow.half[0].flags & TCP_HALF_RECORD, 0);
    tcp_destroy(&l->lane);
}

#define SYN WIRE_TCP_SYN
#define ACK WIRE_TCP_ACK
#define FIN WIRE_TCP_FIN
#define RST WIRE_TCP_RST
#define PSH WIRE_TCP_PSH

enum { US, THEM };

/* The byte that stands at a place of a direction's stream. */
static uint8_t byte_at(int dir, uint32_t seq)
{
    uint32_t x = (seq ^ (uint32_t)dir << 31) * 2654435761u;
    return (uint8_t)(x >> 24);
}

static struct wire_packet *segment(struct lab *l, int dir, uint8_t flags, uint32_t seq, uint32_t ack,
                                   uint32_t size, uint16_t window)
{
    struct wire_packet *p = &l->packet;

    *p = (struct wire_packet){.frame = l->frame,
                              .reached = WIRE_TRANSPORT,
                              .version = 4,
                              .protocol = WIRE_PROTOCOL_TCP,
                              .transport_header_size = 20,
                              .tcp_flags = flags,
                              .tcp_seq = seq,
                              .tcp_ack = ack,
                              .tcp_window = window,
                              .data_at = 40,
                              .data_length = size};
    p->transport_at = 20;
    if ((flags & SYN) != 0) { /* no operation, window scale 14 */
        static const uint8_t options[] = {1, 3, 3, 14};
        memcpy(&l->frame[40], options, 4);
        p->transport_header_size = 24;
        p->data_at = 44;
    }
    for (uint32_t i = 0; i < size; i++)
        l->frame[p->data_at + i] = byte_at(dir, seq + ((flags & SYN) != 0) + i);
    p->captured = p->length = p->data_at + size;
    return p;
}

/* ---- tables ---- */

struct step {
    int dir;
    uint8_t flags;
    uint32_t seq, ack, size;
    UINT32 events; /* of the segment and all that tcp_more() gave after it, without TCP_MORE */
    UINT32 reason; /* TCP_REFUSED */
    enum tcp_state state;
    uint32_t data, lost; /* in all */
    bool closed_window;
};

struct story {
    const char *name;
    bool adopt, loopback;
    struct step steps[16];
};

#define STEP(way, what, from, acknowledges, bytes, means, why, then, ...)                                    \
    {                                                                                                        \
        .dir = (way), .flags = (what), .seq = (from), .ack = (acknowledges), .size = (bytes),                \
        .events = (means), .reason = (why), .state = (then), __VA_ARGS__                                     \
    }
#define RETRANSMITTED TCP_RETRANSMITTED
/* The handshakes: ours from 1000, theirs from 5000. */
#define CONNECT                                                                                              \
    STEP(US, SYN, 1000, 0, 0, TCP_SAW_SYN, 0, TCP_SYN_SENT),                                                 \
        STEP(THEM, SYN | ACK, 5000, 1001, 0, TCP_SAW_SYN_ACK | TCP_ESTABLISHED_NOW, 0, TCP_ESTABLISHED),     \
        STEP(US, ACK, 1001, 5001, 0, 0, 0, TCP_ESTABLISHED)
#define ACCEPT                                                                                               \
    STEP(THEM, SYN, 5000, 0, 0, TCP_SAW_SYN, 0, TCP_SYN_RECEIVED),                                           \
        STEP(US, SYN | ACK, 1000, 5001, 0, TCP_SAW_SYN_ACK, 0, TCP_SYN_RECEIVED),                            \
        STEP(THEM, ACK, 5001, 1001, 0, TCP_ESTABLISHED_NOW, 0, TCP_ESTABLISHED)

static const struct story stories[] = {
    {"connects, sends, is answered, closes first",
     .steps = {CONNECT, STEP(US, ACK | PSH, 1001, 5001, 10, TCP_DATA, 0, TCP_ESTABLISHED, .data = 10),
               STEP(THEM, ACK, 5001, 1011, 20, TCP_DATA, 0, TCP_ESTABLISHED, .data = 20),
               STEP(US, ACK | FIN, 1011, 5021, 0, TCP_FIN_NOW, 0, TCP_FIN_WAIT_1),
               STEP(THEM, ACK, 5021, 1012, 0, 0, 0, TCP_FIN_WAIT_2),
               STEP(THEM, ACK, 5021, 1012, 5, TCP_DATA, 0, TCP_FIN_WAIT_2, .data = 5),
               STEP(THEM, ACK | FIN, 5026, 1012, 0, TCP_FIN_NOW, 0, TCP_TIME_WAIT),
               STEP(US, ACK, 1012, 5027, 0, TCP_CLOSED_NOW, 0, TCP_TIME_WAIT),
               STEP(THEM, ACK | FIN, 5026, 1012, 0, RETRANSMITTED, 0, TCP_TIME_WAIT),
               STEP(US, ACK, 1012, 5027, 0, 0, 0, TCP_TIME_WAIT)}},
    {"accepts, the other closes first",
     .steps = {ACCEPT,
               STEP(THEM, ACK | FIN, 5001, 1001, 7, TCP_DATA | TCP_FIN_NOW, 0, TCP_CLOSE_WAIT, .data = 7),
               STEP(US, ACK, 1001, 5009, 3, TCP_DATA, 0, TCP_CLOSE_WAIT, .data = 3),
               STEP(US, ACK | FIN, 1004, 5009, 0, TCP_FIN_NOW, 0, TCP_LAST_ACK),
               STEP(THEM, ACK, 5009, 1005, 0, TCP_CLOSED_NOW, 0, TCP_CLOSED),
               STEP(THEM, ACK, 5009, 1005, 0, TCP_REFUSED, InetDiscardTcbRemoved, TCP_CLOSED)}},
    {"both close at once",
     .steps = {CONNECT, STEP(US, ACK | FIN, 1001, 5001, 0, TCP_FIN_NOW, 0, TCP_FIN_WAIT_1),
               STEP(THEM, ACK | FIN, 5001, 1001, 0, TCP_FIN_NOW, 0, TCP_CLOSING),
               STEP(US, ACK, 1002, 5002, 0, 0, 0, TCP_CLOSING),
               STEP(THEM, ACK, 5002, 1002, 0, TCP_CLOSED_NOW, 0, TCP_TIME_WAIT)}},
    {"a FIN acknowledged by a FIN",
     .steps = {CONNECT, STEP(US, ACK | FIN, 1001, 5001, 0, TCP_FIN_NOW, 0, TCP_FIN_WAIT_1),
               STEP(THEM, ACK | FIN, 5001, 1002, 0, TCP_FIN_NOW, 0, TCP_TIME_WAIT),
               STEP(US, ACK, 1002, 5002, 0, TCP_CLOSED_NOW, 0, TCP_TIME_WAIT)}},
    {"simultaneous opening",
     .steps = {STEP(US, SYN, 1000, 0, 0, TCP_SAW_SYN, 0, TCP_SYN_SENT),
               STEP(THEM, SYN, 5000, 0, 0, TCP_SAW_SYN, 0, TCP_SYN_RECEIVED),
               STEP(US, SYN | ACK, 1000, 5001, 0, TCP_SAW_SYN_ACK | RETRANSMITTED, 0, TCP_SYN_RECEIVED),
               STEP(THEM, SYN | ACK, 5000, 1001, 0, TCP_SAW_SYN_ACK | RETRANSMITTED | TCP_ESTABLISHED_NOW, 0,
                    TCP_ESTABLISHED),
               STEP(US, ACK, 1001, 5001, 4, TCP_DATA, 0, TCP_ESTABLISHED, .data = 4)}},
    {"split handshake: ACK, then SYN",
     .steps = {STEP(US, SYN, 1000, 0, 0, TCP_SAW_SYN, 0, TCP_SYN_SENT),
               STEP(THEM, ACK, 9000, 1001, 0, TCP_REFUSED, InetDiscardExpectedSyn, TCP_SYN_SENT),
               STEP(THEM, SYN, 5000, 0, 0, TCP_SAW_SYN, 0, TCP_SYN_RECEIVED),
               STEP(US, SYN | ACK, 1000, 5001, 0, TCP_SAW_SYN_ACK | RETRANSMITTED, 0, TCP_SYN_RECEIVED),
               STEP(THEM, ACK, 5001, 1001, 0, TCP_ESTABLISHED_NOW, 0, TCP_ESTABLISHED)}},
    {"SYN and SYN-ACK again",
     .steps = {STEP(THEM, SYN, 5000, 0, 0, TCP_SAW_SYN, 0, TCP_SYN_RECEIVED),
               STEP(THEM, SYN, 5000, 0, 0, TCP_SAW_SYN | RETRANSMITTED, 0, TCP_SYN_RECEIVED),
               STEP(US, SYN | ACK, 1000, 5001, 0, TCP_SAW_SYN_ACK, 0, TCP_SYN_RECEIVED),
               STEP(US, SYN | ACK, 1000, 5001, 0, TCP_SAW_SYN_ACK | RETRANSMITTED, 0, TCP_SYN_RECEIVED),
               STEP(THEM, ACK, 5001, 1001, 0, TCP_ESTABLISHED_NOW, 0, TCP_ESTABLISHED),
               STEP(US, SYN | ACK, 1000, 5001, 0, TCP_SAW_SYN_ACK | RETRANSMITTED, 0, TCP_ESTABLISHED),
               STEP(THEM, SYN, 5000, 0, 0, TCP_SAW_SYN | RETRANSMITTED, 0, TCP_ESTABLISHED)}},
    {"half open: another SYN after our SYN-ACK",
     .steps = {STEP(THEM, SYN, 5000, 0, 0, TCP_SAW_SYN, 0, TCP_SYN_RECEIVED),
               STEP(US, SYN | ACK, 1000, 5001, 0, TCP_SAW_SYN_ACK, 0, TCP_SYN_RECEIVED),
               STEP(THEM, SYN, 900000, 0, 0, TCP_REFUSED, InetDiscardSynRcvdSyn, TCP_SYN_RECEIVED),
               STEP(US, SYN | ACK, 700000, 900001, 0, TCP_NEW_CONNECTION | TCP_SAW_SYN_ACK, 0,
                    TCP_SYN_RECEIVED),
               STEP(THEM, ACK, 900001, 700001, 0, TCP_ESTABLISHED_NOW, 0, TCP_ESTABLISHED)}},
    {"half open: another SYN before we answered",
     .steps = {STEP(THEM, SYN, 5000, 0, 0, TCP_SAW_SYN, 0, TCP_SYN_RECEIVED),
               STEP(THEM, SYN, 900000, 0, 0, TCP_NEW_CONNECTION | TCP_SAW_SYN, 0, TCP_SYN_RECEIVED)}},
    {"half open here: the other one started anew",
     .steps = {CONNECT, STEP(THEM, SYN, 900000, 0, 0, TCP_REFUSED, InetDiscardMissedReset, TCP_ESTABLISHED),
               STEP(US, ACK, 1001, 5001, 0, 0, 0, TCP_ESTABLISHED),
               STEP(THEM, RST, 5001, 0, 0, TCP_RESET_NOW, 0, TCP_CLOSED),
               STEP(THEM, SYN, 900000, 0, 0, TCP_NEW_CONNECTION | TCP_SAW_SYN, 0, TCP_SYN_RECEIVED)}},
    {"this host connects from the tuple again: it was over",
     .steps = {CONNECT, STEP(US, SYN, 800000, 0, 0, TCP_NEW_CONNECTION | TCP_SAW_SYN, 0, TCP_SYN_SENT),
               STEP(THEM, SYN | ACK, 600000, 800001, 0, TCP_SAW_SYN_ACK | TCP_ESTABLISHED_NOW, 0,
                    TCP_ESTABLISHED)}},
    {"a SYN to TIME_WAIT",
     .steps = {CONNECT, STEP(US, ACK | FIN, 1001, 5001, 0, TCP_FIN_NOW, 0, TCP_FIN_WAIT_1),
               STEP(THEM, ACK | FIN, 5001, 1002, 0, TCP_FIN_NOW, 0, TCP_TIME_WAIT),
               STEP(US, ACK, 1002, 5002, 0, TCP_CLOSED_NOW, 0, TCP_TIME_WAIT),
               STEP(THEM, SYN, 4294900000u, 0, 0, TCP_REFUSED, InetDiscardTimeWaitTcb, TCP_TIME_WAIT),
               STEP(THEM, SYN, 5003, 0, 0, TCP_NEW_CONNECTION | TCP_SAW_SYN, 0, TCP_SYN_RECEIVED)}},
    {"a port is refused",
     .steps = {STEP(US, SYN, 1000, 0, 0, TCP_SAW_SYN, 0, TCP_SYN_SENT),
               STEP(THEM, RST, 0, 0, 0, TCP_REFUSED, InetDiscardRst, TCP_SYN_SENT),
               STEP(THEM, RST | ACK, 0, 1002, 0, TCP_REFUSED, InetDiscardRst, TCP_SYN_SENT),
               STEP(THEM, RST | ACK, 0, 1001, 0, TCP_RESET_NOW, 0, TCP_CLOSED),
               STEP(US, SYN, 1000, 0, 0, TCP_NEW_CONNECTION | TCP_SAW_SYN, 0, TCP_SYN_SENT)}},
    {"a stray SYN-ACK is answered by a RST, and the SYN goes on",
     .steps = {STEP(US, SYN, 1000, 0, 0, TCP_SAW_SYN, 0, TCP_SYN_SENT),
               STEP(THEM, SYN | ACK, 5000, 77, 0, TCP_REFUSED, InetDiscardAckInvalid, TCP_SYN_SENT),
               STEP(US, RST, 77, 0, 0, 0, 0, TCP_SYN_SENT),
               STEP(THEM, SYN | ACK, 6000, 1001, 0, TCP_SAW_SYN_ACK | TCP_ESTABLISHED_NOW, 0,
                    TCP_ESTABLISHED)}},
    {"resets, in and out of the window",
     .steps = {CONNECT,
               STEP(THEM, RST, 5001u + (1u << 31), 0, 0, TCP_REFUSED, InetDiscardOutsideWindow,
                    TCP_ESTABLISHED),
               STEP(THEM, RST, 5002, 0, 0, TCP_RESET_NOW, 0, TCP_CLOSED),
               STEP(THEM, RST, 5002, 0, 0, RETRANSMITTED, 0, TCP_CLOSED)}},
    {"this host resets", .steps = {CONNECT, STEP(US, RST, 1001, 0, 0, TCP_RESET_NOW, 0, TCP_CLOSED)}},
    {"keep-alives, a window probe, and data to a closed window",
     .steps = {CONNECT, STEP(THEM, ACK, 5000, 1001, 1, RETRANSMITTED, 0, TCP_ESTABLISHED),
               STEP(THEM, ACK, 5000, 1001, 0, 0, 0, TCP_ESTABLISHED),
               STEP(US, ACK, 1000, 5001, 0, 0, 0, TCP_ESTABLISHED),
               STEP(US, ACK, 1001, 5001, 0, 0, 0, TCP_ESTABLISHED, .closed_window = true),
               STEP(THEM, ACK, 5001, 1001, 1, TCP_REFUSED, InetDiscardClosedWindow, TCP_ESTABLISHED),
               STEP(US, ACK, 1001, 5001, 0, 0, 0, TCP_ESTABLISHED, .closed_window = true),
               STEP(THEM, ACK, 5001, 1001, 1, TCP_REFUSED, InetDiscardClosedWindow, TCP_ESTABLISHED),
               STEP(US, ACK, 1001, 5002, 0, TCP_DATA, 0, TCP_ESTABLISHED, .data = 1),
               STEP(THEM, ACK, 5001, 1001, 3, TCP_DATA, 0, TCP_ESTABLISHED, .data = 2)}},
    {"a refused probe's byte comes again when there is room",
     .steps = {CONNECT, STEP(US, ACK, 1001, 5001, 0, 0, 0, TCP_ESTABLISHED, .closed_window = true),
               STEP(THEM, ACK, 5001, 1001, 1, TCP_REFUSED, InetDiscardClosedWindow, TCP_ESTABLISHED),
               STEP(US, ACK, 1001, 5001, 0, 0, 0, TCP_ESTABLISHED),
               STEP(THEM, ACK, 5001, 1001, 5, TCP_DATA, 0, TCP_ESTABLISHED, .data = 5)}},
    {"what was refused beyond the window yields to what comes in it",
     .steps = {CONNECT, STEP(US, ACK, 1001, 5001, 0, 0, 0, TCP_ESTABLISHED, .closed_window = true),
               STEP(THEM, ACK, 5011, 1001, 10, TCP_REFUSED, InetDiscardClosedWindow, TCP_ESTABLISHED),
               STEP(US, ACK, 1001, 5001, 0, 0, 0, TCP_ESTABLISHED),
               STEP(THEM, ACK, 5011, 1001, 10, TCP_HELD_DATA, 0, TCP_ESTABLISHED),
               STEP(THEM, ACK, 5001, 1001, 10, TCP_DATA, 0, TCP_ESTABLISHED, .data = 20)}},
    {"a FIN behind a hole, acknowledged",
     .steps = {CONNECT, STEP(US, ACK | FIN, 1001, 5001, 0, TCP_FIN_NOW, 0, TCP_FIN_WAIT_1),
               STEP(THEM, ACK | FIN, 5011, 1002, 0, TCP_HELD_DATA, 0, TCP_FIN_WAIT_2),
               STEP(US, ACK, 1002, 5012, 0, TCP_GAP | TCP_FIN_NOW | TCP_CLOSED_NOW, 0, TCP_TIME_WAIT,
                    .lost = 10)}},
    {"an acknowledgement a little beyond what its sender had room for when last heard of",
     .steps = {CONNECT, STEP(THEM, ACK, 5001, 1001, 0, 0, 0, TCP_ESTABLISHED, .closed_window = true),
               STEP(THEM, ACK, 5001, 6001, 0, 0, 0, TCP_ESTABLISHED),
               STEP(US, ACK, 5991, 5001, 20, TCP_HELD_DATA | TCP_DATA | TCP_GAP, 0, TCP_ESTABLISHED,
                    .data = 20, .lost = 4990)}},
    {"out of order, then the hole is filled; a FIN waits, too",
     .steps = {CONNECT, STEP(THEM, ACK, 5011, 1001, 10, TCP_HELD_DATA, 0, TCP_ESTABLISHED),
               STEP(THEM, ACK | FIN, 5021, 1001, 5, TCP_HELD_DATA, 0, TCP_ESTABLISHED),
               STEP(THEM, ACK, 5011, 1001, 10, TCP_HELD_DATA, 0, TCP_ESTABLISHED),
               STEP(THEM, ACK, 5001, 1001, 12, TCP_DATA | TCP_FIN_NOW, 0, TCP_CLOSE_WAIT, .data = 25),
               STEP(THEM, ACK, 5027, 1001, 3, TCP_REFUSED, InetDiscardFinReceived, TCP_CLOSE_WAIT)}},
    {"a hole is given up when what is behind it was acknowledged",
     .steps = {CONNECT, STEP(THEM, ACK, 5011, 1001, 10, TCP_HELD_DATA, 0, TCP_ESTABLISHED),
               STEP(US, ACK, 1001, 5011, 0, 0, 0, TCP_ESTABLISHED),
               STEP(US, ACK, 1001, 5021, 0, TCP_DATA | TCP_GAP, 0, TCP_ESTABLISHED, .data = 10, .lost = 10),
               STEP(THEM, ACK, 5001, 1001, 10, RETRANSMITTED, 0, TCP_ESTABLISHED)}},
    {"an acknowledgement before its data",
     .steps = {CONNECT, STEP(US, ACK, 1001, 5021, 0, 0, 0, TCP_ESTABLISHED),
               STEP(THEM, ACK, 5001, 1001, 20, TCP_DATA, 0, TCP_ESTABLISHED, .data = 20)}},
    {"an acknowledgement of what was never sent",
     .steps = {CONNECT,
               STEP(THEM, ACK, 5001, 2000000000, 0, TCP_REFUSED, InetDiscardAckInvalid, TCP_ESTABLISHED),
               STEP(THEM, 0, 5001, 0, 5, TCP_REFUSED, InetDiscardAckInvalid, TCP_ESTABLISHED)}},
    {"fast open: accepted",
     .steps = {STEP(THEM, SYN, 5000, 0, 8, TCP_SAW_SYN, 0, TCP_SYN_RECEIVED),
               STEP(US, SYN | ACK, 1000, 5009, 0, TCP_SAW_SYN_ACK, 0, TCP_SYN_RECEIVED),
               STEP(THEM, ACK, 5009, 1001, 2, TCP_ESTABLISHED_NOW | TCP_DATA | TCP_HELD_DATA, 0,
                    TCP_ESTABLISHED, .data = 10)}},
    {"fast open: not taken, and sent again",
     .steps = {STEP(THEM, SYN, 5000, 0, 8, TCP_SAW_SYN, 0, TCP_SYN_RECEIVED),
               STEP(US, SYN | ACK, 1000, 5001, 0, TCP_SAW_SYN_ACK, 0, TCP_SYN_RECEIVED),
               STEP(THEM, ACK, 5001, 1001, 8, TCP_ESTABLISHED_NOW | TCP_DATA, 0, TCP_ESTABLISHED,
                    .data = 8)}},
    {"our SYN-ACK is not in the capture",
     .steps = {STEP(THEM, SYN, 5000, 0, 0, TCP_SAW_SYN, 0, TCP_SYN_RECEIVED),
               STEP(THEM, ACK, 5001, 1001, 4, TCP_ESTABLISHED_NOW | TCP_DATA, 0, TCP_ESTABLISHED,
                    .data = 4)}},
    {"their SYN-ACK is not in the capture",
     .steps = {STEP(US, SYN, 1000, 0, 0, TCP_SAW_SYN, 0, TCP_SYN_SENT),
               STEP(US, ACK, 1001, 5001, 4, TCP_ESTABLISHED_NOW | TCP_DATA, 0, TCP_ESTABLISHED, .data = 4),
               STEP(THEM, ACK, 5001, 1005, 4, TCP_DATA, 0, TCP_ESTABLISHED, .data = 4)}},
    {"a SYN from its own destination",
     .steps = {STEP(THEM, SYN, 5000, 0, 0, TCP_REFUSED, InetDiscardLandAttack, TCP_NONE)}},
    {"a socket connected to itself", .loopback = true,
     .steps = {STEP(THEM, SYN, 5000, 0, 0, TCP_SAW_SYN, 0, TCP_SYN_RECEIVED)}},
    {"a first SYN with a FIN", .loopback = true,
     .steps = {STEP(THEM, SYN | FIN, 5000, 0, 0, TCP_REFUSED, InetDiscardListenerInvalidFlags, TCP_NONE)}},
    {"mid stream, both ways, from the first segment seen on", .adopt = true,
     .steps = {STEP(THEM, ACK, 5000, 1000, 10, TCP_DATA, 0, TCP_ESTABLISHED, .data = 10),
               STEP(US, ACK, 900, 5010, 100, TCP_DATA, 0, TCP_ESTABLISHED, .data = 100),
               STEP(US, ACK, 1100, 5010, 10, TCP_HELD_DATA, 0, TCP_ESTABLISHED),
               STEP(THEM, ACK | FIN, 5010, 1000, 0, TCP_FIN_NOW, 0, TCP_CLOSE_WAIT)}},
    {"mid stream: the SYN-ACK is the first", .adopt = true,
     .steps = {STEP(THEM, SYN | ACK, 5000, 1001, 0, TCP_SAW_SYN_ACK | TCP_ESTABLISHED_NOW, 0,
                    TCP_ESTABLISHED),
               STEP(US, ACK, 1001, 5001, 4, TCP_DATA, 0, TCP_ESTABLISHED, .data = 4)}},
};

static void every_story(void **state)
{
    static struct lab l;

    (void)state;
    for (size_t s = 0; s < sizeof(stories) / sizeof(*stories); s++) {
        const struct story *story = &stories[s];
        lab_open(&l, 0, 0);
        /* the LAND story needs equal ends; all others are on different ones */
        l.flow.key.remote_port = strstr(story->name, "itself") != NULL || strstr(story->name, "own") != NULL;
        l.flow.flags = story->loopback ? FLOW_LOOPBACK : 0;
        for (size_t i = 0; i < 16; i++) {
            const struct step *step = &story->steps[i];
            struct tcp_result r;
            if (step->flags == 0 && step->seq == 0)
                break;
            struct wire_packet *p = segment(&l, step->dir, step->flags, step->seq, step->ack, step->size,
                                            step->closed_window ? 0 : 1000);
            if (i == 0 && story->adopt)
                tcp_adopt(&l.flow, p, step->dir == US);
            bool anew = tcp_starts_anew(&l.flow, p, step->dir == US);
            tcp_segment(&l.lane, &l.flow, p, step->dir == US, &r);
            UINT32 events = r.events & ~(UINT32)TCP_MORE, reason = r.reason;
            uint32_t data = r.size, lost = r.lost;
            assert_int_equal(anew, (events & TCP_NEW_CONNECTION) != 0);
            for (bool more = (r.events & TCP_MORE) != 0; more && tcp_more(&l.lane, &l.flow, &r);) {
                events |= r.events;
                data += r.size;
                lost += r.lost;
            }
            if (events != step->events || ((events & TCP_REFUSED) != 0 && reason != step->reason) ||
                l.flow.tcp != step->state || data != step->data || lost != step->lost)
                fail_msg(
                    "%s, step %zu: events %x reason %u state %u data %u lost %u; expected %x %u %u %u %u",
                    story->name, i + 1, events, reason, l.flow.tcp, data, lost, step->events, step->reason,
                    step->state, step->data, step->lost);
        }
        lab_close(&l);
    }
}

/* ---- random streams against a flag for each byte ---- */

#define STREAM 6000

struct naive {
    uint32_t first; /* sequence number of byte 0 */
    uint32_t size;
    bool seen[STREAM], fin_seen;
    uint32_t next, proved; /* from 0 */
    uint64_t delivered, lost;
    uint64_t got, got_lost; /* by the one under test */
    bool ended;
};

/* What is there up to now is delivered; a hole is given up when a byte behind it was acknowledged. */
static void naive_run(struct naive *n)
{
    for (;;) {
        while (n->next < n->size && n->seen[n->next]) {
            n->next++;
            n->delivered++;
        }
        if (n->next == n->size)
            return;
        uint32_t q = n->next;
        while (q < n->size && !n->seen[q])
            q++;
        if (q == n->size ? !n->fin_seen || n->proved <= q : n->proved <= q)
            return;
        n->lost += q - n->next;
        n->next = q;
    }
}

static void take_result(struct naive *n, const struct tcp_result *r)
{
    struct naive *of = &n[r->out ? 0 : 1];
    uint32_t at;

    of->got_lost += (r->events & TCP_GAP) != 0 ? r->lost : 0;
    at = of->first + (uint32_t)(of->got + of->got_lost);
    for (uint32_t i = 0; (r->events & TCP_DATA) != 0 && i < r->size; i++)
        assert_int_equal(r->data[i], byte_at(r->out ? US : THEM, at + i));
    of->got += r->size;
    if ((r->events & TCP_FIN_NOW) != 0) {
        assert_false(of->ended);
        of->ended = true;
    }
}

static void one_connection(uint64_t seed, bool holes)
{
    static struct lab l;
    static struct naive n[2];
    struct tcp_result r;
    bool closed = false;

    random_state = seed * 0x9e3779b97f4a7c15 | 1;
    lab_open(&l, 0, 0);
    l.flow.key.remote_port = 2;
    memset(n, 0, sizeof(n));
    for (int d = 0; d < 2; d++) {
        n[d].first = below(3) == 0 ? UINT32_MAX - below(2 * STREAM) : below(UINT32_MAX);
        n[d].size = below(STREAM);
    }
    tcp_segment(&l.lane, &l.flow, segment(&l, US, SYN, n[0].first - 1, 0, 0, 65535), true, &r);
    tcp_segment(&l.lane, &l.flow, segment(&l, THEM, SYN | ACK, n[1].first - 1, n[0].first, 0, 65535), false,
                &r);
    assert_int_equal(r.events, TCP_SAW_SYN_ACK | TCP_ESTABLISHED_NOW);
    for (int i = 0; i < 400 && !(n[0].ended && n[1].ended); i++) {
        int d = (int)below(2);
        struct naive *own = &n[d], *other = &n[!d];
        /* near what comes next, most often; anywhere, sometimes */
        uint32_t from = own->next + below(2000);
        from = from > 900 && below(4) != 0 ? from - 900 : from;
        from = below(10) == 0 ? below(own->size + 1) : from;
        from = from < own->size ? from : own->size;
        uint32_t size = below(4) == 0 ? 0 : below(700);
        size = size < own->size - from ? size : own->size - from;
        bool fin = from + size == own->size && below(3) != 0;
        /* what the sender acknowledges: it has at least what was delivered; with holes, more than was seen */
        uint32_t ack = other->next;
        if (holes && below(8) == 0)
            ack += below(3000);
        ack = ack < other->size + 1 ? ack : other->size + 1;
        if (ack > other->size && !other->fin_seen)
            ack = other->size;
        if (other->ended && below(2) == 0)
            ack = other->size + 1;
        tcp_segment(&l.lane, &l.flow,
                    segment(&l, d, (uint8_t)(ACK | (fin ? FIN : 0)), own->first + from, other->first + ack,
                            size, 65535),
                    d == US, &r);
        if ((r.events & TCP_REFUSED) != 0)
            fail_msg("seed %llu, segment %d: refused, reason %u", (unsigned long long)seed, i, r.reason);
        take_result(n, &r);
        closed |= (r.events & TCP_CLOSED_NOW) != 0;
        for (bool more = (r.events & TCP_MORE) != 0; more && tcp_more(&l.lane, &l.flow, &r);) {
            take_result(n, &r);
            closed |= (r.events & TCP_CLOSED_NOW) != 0;
        }
        if (ack > other->proved)
            other->proved = ack;
        for (uint32_t b = from; b < from + size; b++)
            own->seen[b] = true;
        own->fin_seen |= fin;
        for (int k = 0; k < 2; k++) {
            naive_run(&n[k]);
            if (n[k].got != n[k].delivered || n[k].got_lost != n[k].lost ||
                n[k].ended != (n[k].fin_seen && n[k].next == n[k].size))
                fail_msg(
                    "seed %llu, segment %d, way %d: delivered %llu, lost %llu, ended %d; naive %llu, %llu",
                    (unsigned long long)seed, i, k, (unsigned long long)n[k].got,
                    (unsigned long long)n[k].got_lost, n[k].ended, (unsigned long long)n[k].delivered,
                    (unsigned long long)n[k].lost);
        }
    }
    if (n[0].ended && n[1].ended && !closed) { /* the last acknowledgements */
        for (int d = 0; d < 2; d++) {
            tcp_segment(
                &l.lane, &l.flow,
                segment(&l, d, ACK, n[d].first + n[d].size + 1, n[!d].first + n[!d].size + 1, 0, 65535),
                d == US, &r);
            closed |= (r.events & TCP_CLOSED_NOW) != 0;
        }
        if (!closed)
            fail_msg("seed %llu: not closed, state %u, flags %x %x, next %u of %u, %u of %u",
                     (unsigned long long)seed, l.flow.tcp, l.flow.half[0].flags, l.flow.half[1].flags,
                     l.flow.half[0].next - n[0].first, n[0].size, l.flow.half[1].next - n[1].first,
                     n[1].size);
    }
    lab_close(&l);
}

static void streams_without_holes(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 1500; seed++)
        one_connection(seed, false);
}

static void streams_with_holes(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 1500; seed++)
        one_connection(seed + 1000000, true);
}

/* ---- limits ---- */

static void connected(struct lab *l, uint32_t bytes, uint32_t segments)
{
    struct tcp_result r;

    lab_open(l, bytes, segments);
    l->flow.key.remote_port = 2;
    tcp_segment(&l->lane, &l->flow, segment(l, US, SYN, 999, 0, 0, 65535), true, &r);
    tcp_segment(&l->lane, &l->flow, segment(l, THEM, SYN | ACK, 4999, 1000, 0, 65535), false, &r);
}

/* The oldest piece of the flow makes room, and is a hole from then on. */
static void segments_a_flow(void **state)
{
    static struct lab l;
    struct tcp_result r;
    uint32_t data = 0, lost = 0;

    (void)state;
    connected(&l, 0, 3);
    for (uint32_t i = 1; i <= 5; i++) { /* 5010.. 5020.. 5030.. 5040.. 5050.., each 5 bytes */
        tcp_segment(&l.lane, &l.flow, segment(&l, THEM, ACK, 5000 + 10 * i, 1000, 5, 65535), false, &r);
        assert_int_equal(r.events, TCP_HELD_DATA);
    }
    assert_int_equal(l.host.counts.segments_evicted, 2);
    tcp_segment(&l.lane, &l.flow, segment(&l, US, ACK, 1000, 5055, 0, 65535), true, &r);
    assert_int_equal(r.events, TCP_MORE);
    for (int i = 0; tcp_more(&l.lane, &l.flow, &r); i++) {
        assert_int_equal(r.events, TCP_DATA | TCP_GAP);
        assert_false(r.out);
        assert_int_equal(r.lost, i == 0 ? 30 : 5);
        for (uint32_t b = 0; b < r.size; b++)
            assert_int_equal(r.data[b], byte_at(THEM, 5030 + (uint32_t)i * 10 + b));
        data += r.size;
        lost += r.lost;
    }
    assert_int_equal(data, 15);
    assert_int_equal(lost, 40);
    lab_close(&l);
}

/* All flows of a lane share what may be held. */
static void bytes_of_a_lane(void **state)
{
    static struct lab l;
    static struct host_flow others[50];
    struct tcp_result r;
    struct host_flow first;

    (void)state;
    connected(&l, 20000, 0);
    first = l.flow; /* established, nothing held */
    for (int f = 0; f < 50; f++) {
        others[f] = first;
        tcp_segment(&l.lane, &others[f], segment(&l, THEM, ACK, 5100, 1000, 1000, 65535), false, &r);
        assert_int_equal(r.events, TCP_HELD_DATA);
    }
    assert_in_range(l.host.counts.segments_evicted, 30, 40);
    /* the last ones are held, the first ones are not */
    for (int f = 0; f < 50; f++) {
        tcp_segment(&l.lane, &others[f], segment(&l, US, ACK, 1000, 6100, 0, 65535), true, &r);
        assert_int_equal((r.events & TCP_MORE) != 0, (uint64_t)f >= l.host.counts.segments_evicted);
        tcp_forget(&l.lane, &others[f]);
    }
    /* one that is larger than all there may be */
    uint64_t before = l.host.counts.segments_evicted;
    tcp_segment(&l.lane, &l.flow, segment(&l, THEM, ACK, 5100, 1000, 30000, 65535), false, &r);
    assert_int_equal(l.host.counts.segments_evicted, before + 1);
    tcp_segment(&l.lane, &l.flow, segment(&l, THEM, ACK, 5000, 1000, 100, 65535), false, &r);
    assert_int_equal(r.events, TCP_DATA);
    lab_close(&l);
}

/* Held bytes yield to a piece that is next for the receiver: it has acknowledged all before it, which the capture lacks in
 * part. They do not where it stands behind what the receiver has. */
static void next_for_the_receiver(void **state)
{
    static struct lab l;
    struct tcp_result r;
    uint8_t got[1000];
    uint32_t lost = 0, data = 0;

    (void)state;
    connected(&l, 0, 0);
    segment(&l, THEM, ACK, 5500, 1000, 400, 65535); /* 5500..5900: '1' */
    memset(l.frame + l.packet.data_at, '1', 400);
    tcp_segment(&l.lane, &l.flow, &l.packet, false, &r);
    tcp_segment(&l.lane, &l.flow, segment(&l, US, ACK, 1000, 5100, 0, 65535), true, &r);
    segment(&l, THEM, ACK, 5700, 1000, 300, 65535); /* '3' is not next */
    memset(l.frame + l.packet.data_at, '3', 300);
    tcp_segment(&l.lane, &l.flow, &l.packet, false, &r);
    segment(&l, THEM, ACK, 5100, 1000, 500, 65535); /* '2' is, up to 5600 */
    memset(l.frame + l.packet.data_at, '2', 500);
    tcp_segment(&l.lane, &l.flow, &l.packet, false, &r);
    assert_int_equal(r.events, TCP_HELD_DATA);
    segment(&l, THEM, ACK, 5100, 1000, 900, 65535); /* '4' is all behind that */
    memset(l.frame + l.packet.data_at, '4', 900);
    tcp_segment(&l.lane, &l.flow, &l.packet, false, &r);
    assert_int_equal(l.host.counts.bytes_differ, 200 + 100 + 900);
    tcp_segment(&l.lane, &l.flow, segment(&l, US, ACK, 1000, 6000, 0, 65535), true, &r);
    while (tcp_more(&l.lane, &l.flow, &r)) {
        lost += r.lost;
        memcpy(got + data, r.data, r.size);
        data += r.size;
    }
    assert_int_equal(lost, 100);
    assert_int_equal(data, 900);
    for (uint32_t i = 0; i < data; i++)
        assert_int_equal(got[i], i < 500 ? '2' : i < 800 ? '1' : '3');
    lab_close(&l);
}

/* Bytes that the capture cut off count as lost, right behind what it has. */
static void cut_packets(void **state)
{
    static struct lab l;
    struct tcp_result r;
    struct wire_packet *p;

    (void)state;
    connected(&l, 0, 0);
    p = segment(&l, THEM, ACK, 5000, 1000, 100, 65535);
    p->captured -= 60;
    tcp_segment(&l.lane, &l.flow, p, false, &r);
    assert_int_equal(r.events, TCP_DATA | TCP_MORE);
    assert_int_equal(r.size, 40);
    assert_true(tcp_more(&l.lane, &l.flow, &r));
    assert_int_equal(r.events, TCP_GAP);
    assert_int_equal(r.lost, 60);
    assert_false(tcp_more(&l.lane, &l.flow, &r));
    /* the same, held: 5200.. is there, of 5100..5200 thirty bytes */
    tcp_segment(&l.lane, &l.flow, segment(&l, THEM, ACK, 5200, 1000, 10, 65535), false, &r);
    p = segment(&l, THEM, ACK, 5100, 1000, 100, 65535);
    p->captured -= 70;
    tcp_segment(&l.lane, &l.flow, p, false, &r);
    assert_int_equal(r.events, TCP_DATA | TCP_MORE);
    assert_int_equal(r.size, 30);
    assert_true(tcp_more(&l.lane, &l.flow, &r));
    assert_int_equal(r.events, TCP_DATA | TCP_GAP);
    assert_int_equal(r.lost, 70);
    assert_int_equal(r.size, 10);
    assert_int_equal(r.data[0], byte_at(THEM, 5200));
    lab_close(&l);
}

/* ---- plain segments ---- */

static bool same_result(const struct tcp_result *a, const struct tcp_result *b)
{
    return a->events == b->events && a->reason == b->reason && a->out == b->out && a->size == b->size &&
           a->lost == b->lost && (a->size == 0 || memcmp(a->data, b->data, a->size) == 0);
}

static void same_flow(const struct lab *a, const struct lab *b)
{
    assert_int_equal(a->flow.tcp, b->flow.tcp);
    assert_memory_equal(a->flow.half, b->flow.half, sizeof(a->flow.half));
}

/* tcp_segment() has a short way, which host_knobs.long_way closes: segments at random, of connections in all states. */
static void plain_segments_are_as_others(void **state)
{
    static const uint16_t windows[] = {0, 1, 2, 100, 65535};
    struct lab *labs = calloc(2, sizeof(*labs));
    struct tcp_result r[2];
    unsigned data = 0;

    (void)state;
    assert_non_null(labs);
    for (unsigned run = 0; run < 3000; run++) {
        random_state = run * 0x9e3779b97f4a7c15ull + 1;
        for (int i = 0; i < 2; i++)
            lab_open(&labs[i], 4096, 8);
        labs[1].host.config.knobs.long_way = true;
        for (unsigned steps = 0; steps < 40; steps++) {
            const int dir = (int)below(2);
            const struct tcp_half half = labs[0].flow.half[dir], other = labs[0].flow.half[!dir];
            const uint8_t flags = steps == 0              ? SYN
                                  : below(12) == 0        ? (uint8_t)below(64)
                                  : below(20) == 0        ? ACK | FIN
                                  : steps < 3 && below(4) ? (uint8_t)(steps == 1 ? SYN | ACK : ACK)
                                                          : (uint8_t)(ACK | (below(2) ? PSH : 0));
            const uint32_t seq = half.next + (below(4) != 0 ? 0 : below(7) - 3);
            const uint32_t ack = other.next + (below(4) != 0 ? 0 : below(7) - 3);
            const uint32_t size = below(3) != 0 ? below(5) : 0, cut = below(10) == 0 ? below(4) : 0;
            const uint16_t window = windows[below(8) < 7 ? 4 : below(5)];

            for (int i = 0; i < 2; i++) {
                struct wire_packet *p = segment(&labs[i], dir, flags, seq, ack, size, window);

                p->captured -= cut < size ? cut : 0;
                tcp_segment(&labs[i].lane, &labs[i].flow, p, dir == US, &r[i]);
            }
            assert_true(same_result(&r[0], &r[1]));
            same_flow(&labs[0], &labs[1]);
            data += (r[0].events & TCP_DATA) != 0;
            for (bool more = (r[0].events & TCP_MORE) != 0; more;) {
                more = tcp_more(&labs[0].lane, &labs[0].flow, &r[0]);
                assert_int_equal(tcp_more(&labs[1].lane, &labs[1].flow, &r[1]), more);
                assert_true(same_result(&r[0], &r[1]));
            }
            same_flow(&labs[0], &labs[1]);
        }
        for (int i = 0; i < 2; i++)
            lab_close(&labs[i]);
    }
    assert_true(data > 3000);
    free(labs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_story),        cmocka_unit_test(streams_without_holes),
        cmocka_unit_test(streams_with_holes), cmocka_unit_test(segments_a_flow),
        cmocka_unit_test(bytes_of_a_lane),    cmocka_unit_test(next_for_the_receiver),
        cmocka_unit_test(cut_packets),        cmocka_unit_test(plain_segments_are_as_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

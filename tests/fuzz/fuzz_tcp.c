/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sequences of TCP segments of three flows, small sequence numbers, small limits, and whatever comes to a
 * flow: begun in the middle, forgotten, begun again.
 *
 * Holds: bytes come out in order (each is what stands at its place of its stream, in which nothing goes
 * back), a stream ends once, what is said of a segment fits together, memory stays within its limit.
 */
#include "host/tcp_inside.h"
#include "stream.h"

#define FLOWS 3
#define ROOM  2048

struct watched {
    struct host_flow flow;
    bool begun[2], ended[2];
    bool cut;         /* packets were cut: what a piece lacks at its end moves it */
    uint32_t next[2]; /* place behind the last piece */
};

static uint8_t byte_at(unsigned dir, uint32_t seq)
{
    return (uint8_t)((seq * 2654435761u >> 24) ^ dir);
}

static void forget(struct lane *l, struct watched *w)
{
    tcp_forget(l, &w->flow);
    REQUIRE((w->flow.half[0].flags & TCP_HALF_RECORD) == 0);
    memset(w->begun, 0, sizeof(w->begun));
    memset(w->ended, 0, sizeof(w->ended));
    w->cut = false;
}

static void look(struct watched *w, const struct tcp_result *r)
{
    unsigned dir = r->out ? 0 : 1;
    uint32_t size = (r->events & TCP_DATA) != 0 ? r->size : 0;
    uint32_t lost = (r->events & TCP_GAP) != 0 ? r->lost : 0;

    REQUIRE(((r->events & TCP_DATA) != 0) == (r->size != 0));
    REQUIRE(((r->events & TCP_GAP) != 0) == (r->lost != 0));
    REQUIRE(r->size == 0 || r->data != NULL);
    REQUIRE((r->events & TCP_REFUSED) == 0 || (r->events & (TCP_ESTABLISHED_NOW | TCP_RESET_NOW)) == 0);
    if (size + lost != 0 && !w->cut) {
        uint32_t end = w->flow.half[dir].next - ((r->events & TCP_FIN_NOW) != 0);
        REQUIRE(!w->ended[dir]);
        if (w->begun[dir])
            REQUIRE(end - size - lost == w->next[dir]);
        for (uint32_t i = 0; i < size; i++)
            REQUIRE(r->data[i] == byte_at(dir, end - size + i));
        w->begun[dir] = true;
        w->next[dir] = end;
    }
    if ((r->events & TCP_FIN_NOW) != 0) {
        REQUIRE(!w->ended[dir]);
        w->ended[dir] = true;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t flags[] = {WIRE_TCP_SYN,
                                    WIRE_TCP_SYN | WIRE_TCP_ACK,
                                    WIRE_TCP_ACK,
                                    WIRE_TCP_ACK,
                                    WIRE_TCP_ACK | WIRE_TCP_FIN,
                                    WIRE_TCP_RST,
                                    WIRE_TCP_RST | WIRE_TCP_ACK,
                                    WIRE_TCP_FIN,
                                    0};
    struct stream s = {data, size};
    struct host host = {.limits = {.stream_bytes = ROOM, .segments_a_flow = 6}};
    struct lane lane = {.host = &host};
    struct watched all[FLOWS];
    struct tcp_result r;
    uint32_t isn[2];

    memset(all, 0, sizeof(all));
    REQUIRE(tcp_create(&lane) == 0);
    for (unsigned i = 0; i < FLOWS; i++)
        all[i].flow.key.local_port = (uint16_t)(i + 1);
    isn[0] = take8(&s) % 2 != 0 ? UINT32_MAX - 40 : 1000;
    isn[1] = take8(&s) % 2 != 0 ? UINT32_MAX - 40 : 500000;
    while (stream_more(&s)) {
        uint8_t what = take8(&s);
        struct watched *w = &all[what % FLOWS];
        unsigned dir = what >> 2 & 1, kind = what >> 3;
        uint8_t frame[512] = {0};
        struct wire_packet p = {.frame = frame,
                                .reached = WIRE_TRANSPORT,
                                .version = 4,
                                .protocol = WIRE_PROTOCOL_TCP,
                                .transport_at = 20,
                                .transport_header_size = 40,
                                .data_at = 60};
        if (kind == 31) {
            forget(&lane, w);
            memset(w->flow.half, 0, sizeof(w->flow.half));
            w->flow.tcp = TCP_NONE;
            continue;
        }
        p.tcp_flags = flags[kind % sizeof(flags)];
        p.tcp_seq = isn[dir] + take8(&s) - (kind == 30 ? 300 : 0);
        p.tcp_ack = isn[!dir] + take8(&s) + (kind == 29 ? 1u << 30 : 0);
        p.tcp_window = take8(&s) % 4 != 0 ? 300 : 0;
        p.data_length = take8(&s);
        p.captured = p.length = p.data_at + p.data_length;
        if (kind == 28) /* an option to read, whatever it is */
            frame[40] = take8(&s), frame[41] = take8(&s), frame[42] = take8(&s);
        if (kind == 27) {
            p.captured -= take8(&s) % (p.data_length + 1);
        }
        for (uint32_t i = 0; i < p.data_length; i++)
            frame[p.data_at + i] = byte_at(dir, p.tcp_seq + ((p.tcp_flags & WIRE_TCP_SYN) != 0) + i);
        bool anew = tcp_starts_anew(&w->flow, &p, dir == 0);
        if (anew)
            forget(&lane, w);
        w->cut |= p.captured != p.length;
        if (w->flow.tcp == TCP_NONE && kind % 2 == 0 && (p.tcp_flags & WIRE_TCP_RST) == 0)
            tcp_adopt(&w->flow, &p, dir == 0);
        uint8_t state = w->flow.tcp;
        tcp_segment(&lane, &w->flow, &p, dir == 0, &r);
        REQUIRE(anew == ((r.events & TCP_NEW_CONNECTION) != 0));
        if ((r.events & TCP_ESTABLISHED_NOW) != 0)
            REQUIRE(anew || state < TCP_ESTABLISHED);
        UINT32 events = r.events;
        look(w, &r);
        while ((events & TCP_MORE) != 0 && what % 5 != 0 && tcp_more(&lane, &w->flow, &r)) {
            REQUIRE((r.events & ~(UINT32)(TCP_DATA | TCP_GAP | TCP_FIN_NOW | TCP_CLOSED_NOW)) == 0);
            look(w, &r);
        }
        REQUIRE(w->flow.tcp < TCP_STATES);
    }
    for (unsigned i = 0; i < FLOWS; i++)
        forget(&lane, &all[i]);
    tcp_destroy(&lane);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes the small TCP/IP: packets and calls. The input: what the stack is like, then steps: a packet as it stands, one made
 * to fit (TCP near what a connection awaits, UDP, an ICMP error about what was sent last, a piece of a datagram), the
 * last packet sent as it is brought back, a call on one of eight sockets, time.
 *
 * Held: every packet that leaves is sound, its checksums are right and it fits the MTU; the invariants of every
 * connection; after so much time nothing is waited for but what programs hold.
 */
#include "stream.h"

#include "../support/stack_invariants.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SOCKETS = 8, KEPT = 2048, MTU = 1500 };

struct world {
    struct stream in;
    struct stack *stack;
    struct stack_socket *sockets[SOCKETS];
    uint64_t now;
    uint8_t last[KEPT];
    uint32_t last_size;
    struct wire_packet last_tcp; /* its bytes are gone */
    unsigned steps;
};

static union wire_addr address(uint8_t version, unsigned last)
{
    union wire_addr a = {0};

    if (version == 4) {
        a.v4 = 0x0a000000 + last;
    } else {
        a.v6[0] = 0xfd;
        a.v6[15] = (uint8_t)last;
    }
    return a;
}

static enum stack_sent on_send(void *ctx, const struct stack_packet *p)
{
    struct world *w = ctx;
    struct wire_packet k;
    unsigned answer;

    REQUIRE(p->size <= MTU || p->forwarded);
    wire_parse_ip(p->bytes, p->size, p->size, &k);
    REQUIRE(k.version == p->version && !k.ip_checksum_wrong && k.ip_length == p->size);
    if (!p->forwarded)
        REQUIRE(k.fault == WIRE_OK && (k.reached == WIRE_TRANSPORT || k.fragment) && wire_verify(&k));
    REQUIRE(p->socket == NULL || !p->socket->dead);
    if (p->size <= KEPT) {
        memcpy(w->last, p->bytes, p->size);
        w->last_size = p->size;
    }
    if (k.protocol == WIRE_PROTOCOL_TCP && k.reached == WIRE_TRANSPORT)
        w->last_tcp = k;
    answer = take8(&w->in);
    if (p->socket != NULL && answer == 250)
        stack_resume(p->socket, (w->steps & 1) != 0);
    if (answer == 251)
        stack_input(w->stack, 1, p->bytes, p->size);
    return p->begins && answer > 240 ? (answer & 1) != 0 ? STACK_HELD : STACK_DENIED : STACK_SENT;
}

static void on_told(void *ctx, struct stack_socket *s, enum stack_event e)
{
    struct world *w = ctx;
    uint8_t some[64];

    if (e == STACK_EVENT_READABLE && (take8(&w->in) & 3) == 3)
        (void)stack_receive(s, some, sizeof(some), NULL, NULL);
}

/* ---- packets -------------------------------------------------------------------------------------------- */

static void bring(struct world *w, uint8_t version, uint8_t protocol, const uint8_t *payload, uint32_t size,
                  uint32_t sum, const struct wire_packet *ends)
{
    uint8_t out[IP6_HEADER + 2000] = {0}, pseudo[40] = {0};
    uint32_t header = ip_header_size(version);
    union wire_addr from = ends != NULL ? ends->destination : address(version, 2);
    union wire_addr to = ends != NULL ? ends->source : address(version, 1);
    uint32_t at = version == 4 ? 8 : 32;

    if (version == 4) {
        out[0] = 0x45;
        put16(out + 2, header + size);
        out[8] = 9;
        out[9] = protocol;
        put32(out + 12, from.v4);
        put32(out + 16, to.v4);
        put16(out + 10, wire_fold(wire_sum(out, header, 0)));
        memcpy(pseudo, out + 12, 8);
    } else {
        out[0] = 0x60;
        put16(out + 4, size);
        out[6] = protocol;
        out[7] = 9;
        memcpy(out + 8, from.v6, 16);
        memcpy(out + 24, to.v6, 16);
        memcpy(pseudo, out + 8, 32);
    }
    put32(pseudo + at, size);
    put32(pseudo + at + 4, protocol);
    memcpy(out + header, payload, size);
    if (sum + 2 <= size)
        put16(out + header + sum,
              wire_fold(wire_sum(out + header, size,
                                 protocol == WIRE_PROTOCOL_ICMP ? 0 : wire_sum(pseudo, at + 8, 0))));
    stack_input(w->stack, 1, out, header + size);
}

/* Near what the sender of the last segment awaits; or new, to a port of a few. */
static void bring_tcp(struct world *w)
{
    const bool follows = w->last_tcp.version != 0 && (take8(&w->in) & 7) != 0;
    const struct wire_packet *k = &w->last_tcp;
    uint8_t version = follows ? k->version : take8(&w->in) & 1 ? 6 : 4, h[1800] = {0};
    uint32_t options = take8(&w->in) % 11 * 4, length, size = TCP_HEADER + options;
    int8_t near = (int8_t)take8(&w->in), near_ack = (int8_t)take8(&w->in);
    uint32_t sent = follows ? k->data_length + ((k->tcp_flags & 1) != 0) + ((k->tcp_flags & 2) != 0) : 0;
    uint8_t how = take8(&w->in);

    options = options > 40 ? 40 : options;
    put16(h, follows ? k->destination_port : 1000 + take8(&w->in) % 4);
    put16(h + 2, follows ? k->source_port : 80 + take8(&w->in) % 4);
    put32(h + 4, (follows ? k->tcp_ack : 7000u) + (uint32_t)(how & 1 ? near * 300 : how & 2 ? near : 0));
    put32(h + 8, (follows ? k->tcp_seq + sent : 0u) + (uint32_t)(how & 4   ? near_ack * 300
                                                                 : how & 8 ? near_ack
                                                                           : 0));
    h[12] = (uint8_t)(size / 4 << 4);
    h[13] = take8(&w->in);
    put16(h + 14, how & 16 ? take8(&w->in) : 65535);
    for (uint32_t i = 0; i < options; i++)
        h[TCP_HEADER + i] = take8(&w->in);
    length = how & 32 ? take8(&w->in) * 5u : 0;
    bring(w, version, WIRE_PROTOCOL_TCP, h, size + length, 16, follows ? k : NULL);
}

static void bring_udp(struct world *w)
{
    uint8_t h[8 + 255] = {0}, version = take8(&w->in) & 1 ? 6 : 4;
    uint32_t size = UDP_HEADER + take8(&w->in);

    put16(h, 1000);
    put16(h + 2, 80 + take8(&w->in) % 4);
    put16(h + 4, size);
    bring(w, version, WIRE_PROTOCOL_UDP, h, size, 6, NULL);
}

static void bring_icmp(struct world *w)
{
    uint8_t h[8 + 600] = {0}, version = w->last_size != 0 ? w->last[0] >> 4 : 4;
    uint32_t size = take16(&w->in) % 601;

    size = size > w->last_size ? w->last_size : size;
    h[0] = take8(&w->in);
    h[1] = take8(&w->in);
    put16(h + 6, take16(&w->in));
    memcpy(h + 8, w->last, size);
    bring(w, version, version == 4 ? WIRE_PROTOCOL_ICMP : WIRE_PROTOCOL_ICMPV6, h, 8 + size, 2, NULL);
}

static void bring_piece(struct world *w)
{
    union wire_addr from = address(4, 2), to = address(4, 1);
    uint8_t out[20 + 256] = {0x45}, place = take8(&w->in);
    uint32_t size = take8(&w->in) % 32 * 8;

    put16(out + 2, 20 + size);
    put16(out + 4, take8(&w->in) & 1);
    put16(out + 6, (place & 31u) | (place & 128 ? 0x2000u : 0) | (place & 64 ? 0x1000u : 0));
    out[8] = 64;
    out[9] = WIRE_PROTOCOL_UDP;
    put32(out + 12, from.v4);
    put32(out + 16, to.v4);
    put16(out + 10, wire_fold(wire_sum(out, 20, 0)));
    stack_input(w->stack, 1, out, 20 + size);
}

static void bring_raw(struct world *w)
{
    uint32_t size = take16(&w->in) % 400;
    uint8_t *bytes;

    size = size > w->in.size ? (uint32_t)w->in.size : size;
    bytes = malloc(size != 0 ? size : 1);
    REQUIRE(bytes != NULL);
    memcpy(bytes, w->in.data, size);
    w->in.data += size;
    w->in.size -= size;
    stack_input(w->stack, 1, bytes, size);
    free(bytes);
}

/* ---- calls ---------------------------------------------------------------------------------------------- */

static uint8_t version_of(const struct stack_socket *s)
{
    uint8_t version;
    union wire_addr a;
    uint16_t port;

    stack_local(s, &version, &a, &port);
    return version;
}

static void call(struct world *w)
{
    static const uint8_t protocols[] = {WIRE_PROTOCOL_TCP,  WIRE_PROTOCOL_TCP,    WIRE_PROTOCOL_UDP,
                                        WIRE_PROTOCOL_ICMP, WIRE_PROTOCOL_ICMPV6, 200};
    static uint8_t bytes[5000];
    struct stack_socket **at = &w->sockets[take8(&w->in) % SOCKETS], *s = *at;
    unsigned what = take8(&w->in) % 12, number = take8(&w->in);
    union wire_addr to = {0};

    if (s == NULL) {
        (void)stack_open(w->stack, number & 1 ? 6 : 4, protocols[what % 6], NULL, at);
        return;
    }
    to = address(version_of(s), number % 8 == 7 ? 1 : 2);
    switch (what) {
    case 0:
        (void)stack_bind(s, &(union wire_addr){0}, (uint16_t)(80 + number % 4), (number & 16) != 0);
        break;
    case 1:
        (void)stack_listen(s, number % 4);
        break;
    case 2:
        (void)stack_connect(s, &to, (uint16_t)(1000 + number % 4));
        break;
    case 3:
        for (unsigned i = 0; i < SOCKETS; i++) {
            if (w->sockets[i] == NULL && (w->sockets[i] = stack_accept(s)) != NULL)
                break;
        }
        break;
    case 4:
        (void)stack_send(s, bytes, number * 19u);
        break;
    case 5:
        (void)stack_send_to(s, &to, (uint16_t)(1000 + number % 4), bytes, number * 19u);
        break;
    case 6:
        (void)stack_receive(s, bytes, number * 19u, NULL, NULL);
        break;
    case 7:
        (void)stack_shutdown(s);
        break;
    case 8:
        stack_close(s);
        *at = NULL;
        break;
    case 9:
        stack_abort(s);
        *at = NULL;
        break;
    case 10:
        stack_resume(s, (number & 1) != 0);
        break;
    default:
        to = (union wire_addr){.v4 = 0xe0000001};
        (void)stack_membership(s, &to, (number & 1) != 0);
        break;
    }
}

static void pass_time(struct world *w)
{
    static const uint64_t spans[] = {0,      MILLISECOND, 40 * MILLISECOND, 300 * MILLISECOND,
                                     SECOND, 7 * SECOND,  61 * SECOND};
    unsigned how = take8(&w->in) % 8;
    uint64_t at = stack_deadline(w->stack, NULL);

    if (how == 7)
        w->now = at != NEVER && at > w->now ? at : w->now;
    else
        w->now += spans[how];
    stack_advance(w->stack, w->now);
    at = stack_deadline(w->stack, NULL);
    REQUIRE(at > w->now);
}

static void step(struct world *w)
{
    const char *broken;

    switch (take8(&w->in) % 12) {
    case 0:
        bring_raw(w);
        break;
    case 1:
    case 2:
    case 3:
    case 4:
        bring_tcp(w);
        break;
    case 5:
        bring_udp(w);
        break;
    case 6:
        bring_icmp(w);
        break;
    case 7:
        bring_piece(w);
        break;
    case 8: {
        uint8_t copy[KEPT];

        memcpy(copy, w->last, w->last_size);
        stack_input(w->stack, 1, copy, w->last_size);
        break;
    }
    case 9:
        pass_time(w);
        break;
    default:
        call(w);
        break;
    }
    broken = stack_invariants(w->stack);
    if (broken != NULL)
        fprintf(stderr, "fuzz: not so: %s\n", broken);
    REQUIRE(broken == NULL);
}

/* Programs let go of everything; with time, nothing is left. */
static void end(struct world *w)
{
    struct stack_counts counts;

    for (unsigned i = 0; i < SOCKETS; i++) {
        if (w->sockets[i] != NULL)
            stack_close(w->sockets[i]);
    }
    for (unsigned i = 0; i < 100000 && stack_deadline(w->stack, NULL) != NEVER; i++) {
        w->now = stack_deadline(w->stack, NULL);
        stack_advance(w->stack, w->now);
    }
    REQUIRE(stack_deadline(w->stack, NULL) == NEVER);
    stack_counts(w->stack, &counts);
    REQUIRE(counts.sockets == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world w = {.in = {data, size}, .now = 1000 * SECOND};
    unsigned like = take8(&w.in);
    struct stack_config config = {.seed = like,
                                  .start_ns = w.now,
                                  .send = on_send,
                                  .told = on_told,
                                  .ctx = &w,
                                  .without = (uint8_t)(like & 7),
                                  .forwarding = (like & 8) != 0,
                                  .sequence_fixed = (like & 16) != 0,
                                  .sequence = UINT32_MAX - 50};

    if (like & 32)
        config.limits =
            (struct stack_limits){.sockets = 6, .send_bytes = 3000, .receive_bytes = 1000, .backlog = 2};
    if (like & 64)
        config.mss = 100;
    REQUIRE(stack_create(&config, &w.stack) == 0);
    REQUIRE(stack_interface_add(w.stack, 1, MTU) == 0);
    for (uint8_t version = 4; version <= 6; version += 2) {
        union wire_addr a = address(version, 1), any = {0};

        REQUIRE(stack_address_add(w.stack, 1, version, &a, version == 4 ? 24 : 64) == 0);
        REQUIRE(stack_route_add(w.stack, 1, version, &any, 0) == 0);
    }
    while (stream_more(&w.in) && w.steps++ < 2000)
        step(&w);
    end(&w);
    stack_destroy(w.stack);
    return 0;
}

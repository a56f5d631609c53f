/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tun_stack FD LOSS SEED WHAT...: a stack alone (10.9.0.2, fd09::2) on a TUN device that somebody opened, talks as
 * tun_talk.c says. LOSS in 1000 each way; as many are held back for up to 5 ms.
 */
#include "tun_talk.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "stack/stack.h"

struct late {
    struct late *next;
    uint64_t at;
    bool in;
    uint32_t size;
    uint8_t bytes[2048];
};

static struct stack *stack;
static struct late *lates;
static int tun;
static uint32_t loss;
static uint64_t randomness;
static union wire_addr answer_to;
static uint16_t answer_port;

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

uint64_t net_now_ms(void)
{
    return now_ns() / 1000000;
}

static bool chance(void)
{
    randomness = randomness * 6364136223846793005ull + 1442695040888963407ull;
    return randomness >> 33 < (uint64_t)loss * ((1u << 31) / 1000);
}

static void pass(bool in, const uint8_t *bytes, uint32_t size)
{
    if (in)
        stack_input(stack, 1, bytes, size);
    else
        (void)!write(tun, bytes, size);
}

/* The wire: lost, held back, or on. */
static void wire(bool in, const uint8_t *bytes, uint32_t size)
{
    struct late *l;

    if (loss != 0 && chance())
        return;
    if (loss != 0 && chance() && size <= sizeof(l->bytes) && (l = malloc(sizeof(*l))) != NULL) {
        *l = (struct late){
            .next = lates, .at = now_ns() + (randomness >> 40) % 5000000, .in = in, .size = size};
        memcpy(l->bytes, bytes, size);
        lates = l;
        return;
    }
    pass(in, bytes, size);
}

static enum stack_sent on_send(void *ctx, const struct stack_packet *p)
{
    (void)ctx;
    wire(false, p->bytes, p->size);
    return STACK_SENT;
}

void net_step(unsigned ms)
{
    uint64_t now = now_ns(), at = stack_deadline(stack, NULL), until = now + ms * 1000000ull;
    struct pollfd p = {.fd = tun, .events = POLLIN};
    uint8_t bytes[65536];

    if (at < until)
        until = at;
    for (struct late **l = &lates; *l != NULL;) {
        struct late *due = *l;

        if (due->at <= now) {
            *l = due->next;
            pass(due->in, due->bytes, due->size);
            free(due);
            continue;
        }
        if (due->at < until)
            until = due->at;
        l = &due->next;
    }
    if (until > now) {
        struct timespec wait = {(time_t)((until - now) / 1000000000), (long)((until - now) % 1000000000)};

        ppoll(&p, 1, &wait, NULL);
    }
    stack_advance(stack, now_ns());
    for (unsigned i = 0; i < 64; i++) {
        ssize_t n = read(tun, bytes, sizeof(bytes));

        if (n <= 0)
            break;
        wire(true, bytes, (uint32_t)n);
    }
}

static struct stack_socket *inner(struct net_socket *s)
{
    return (struct stack_socket *)s;
}

struct net_socket *net_open(enum net_kind kind, unsigned version)
{
    static const uint8_t protocols[3] = {WIRE_PROTOCOL_TCP, WIRE_PROTOCOL_UDP, WIRE_PROTOCOL_ICMP};
    uint8_t protocol = kind == NET_PING && version == 6 ? WIRE_PROTOCOL_ICMPV6 : protocols[kind];
    struct stack_socket *s = NULL;

    (void)stack_open(stack, (uint8_t)version, protocol, NULL, &s);
    return (struct net_socket *)s;
}

int net_listen(struct net_socket *s, unsigned port)
{
    static const union wire_addr any;
    int error = stack_bind(inner(s), &any, (uint16_t)port, false);

    if (error == 0)
        error = stack_listen(inner(s), 0);
    return error == -EOPNOTSUPP ? 0 : error; /* UDP */
}

struct net_socket *net_accept(struct net_socket *s)
{
    return (struct net_socket *)stack_accept(inner(s));
}

int net_connect(struct net_socket *s, const char *address, unsigned port, unsigned ms)
{
    uint64_t until = net_now_ms() + ms;
    union wire_addr a;
    int error;

    if (wire_addr_parse(address, &a, NULL) == 0)
        return -EINVAL;
    error = stack_connect(inner(s), &a, (uint16_t)port);
    while (error == 0 && stack_state(inner(s)) == STACK_CONNECTING && net_now_ms() < until)
        net_step(20);
    return error != 0 ? error : stack_state(inner(s)) == STACK_CONNECTED ? 0 : -ECONNREFUSED;
}

long net_send(struct net_socket *s, const void *bytes, size_t size)
{
    return stack_send(inner(s), bytes, size);
}

long net_receive(struct net_socket *s, void *out, size_t size)
{
    return stack_receive(inner(s), out, size, NULL, NULL);
}

long net_receive_from(struct net_socket *s, void *out, size_t size)
{
    return stack_receive(inner(s), out, size, &answer_to, &answer_port);
}

long net_answer(struct net_socket *s, const void *bytes, size_t size)
{
    return stack_send_to(inner(s), &answer_to, answer_port, bytes, size);
}

void net_shutdown(struct net_socket *s)
{
    (void)stack_shutdown(inner(s));
}

void net_close(struct net_socket *s)
{
    stack_close(inner(s));
}

int main(int argc, char **argv)
{
    struct stack_config config = {.send = on_send, .start_ns = now_ns()};
    union wire_addr four, six, any = {0};
    struct stack_counts counts;
    uint64_t until;
    int result;

    if (argc < 5)
        return 64;
    tun = atoi(argv[1]);
    loss = (uint32_t)atoi(argv[2]);
    config.seed = randomness = strtoull(argv[3], NULL, 10);
    if (stack_create(&config, &stack) != 0)
        return 1;
    (void)wire_addr_parse("10.9.0.2", &four, NULL);
    (void)wire_addr_parse("fd09::2", &six, NULL);
    if (stack_interface_add(stack, 1, 0) != 0 || stack_address_add(stack, 1, 4, &four, 24) != 0 ||
        stack_address_add(stack, 1, 6, &six, 64) != 0 || stack_route_add(stack, 1, 4, &any, 0) != 0)
        return 1;
    result = talk(argc - 4, argv + 4);
    until = net_now_ms() + 300; /* its farewells */
    do {
        net_step(20);
        stack_counts(stack, &counts);
    } while (counts.closing != 0 && net_now_ms() < until);
    fprintf(stderr,
            "sent %llu, received %llu, again %llu, duplicates %llu, out of order %llu, discarded %llu\n",
            (unsigned long long)counts.sent, (unsigned long long)counts.received,
            (unsigned long long)counts.retransmitted, (unsigned long long)counts.duplicates,
            (unsigned long long)counts.out_of_order, (unsigned long long)counts.discarded);
    stack_destroy(stack);
    while (lates != NULL) {
        struct late *l = lates;

        lates = l->next;
        free(l);
    }
    return result;
}

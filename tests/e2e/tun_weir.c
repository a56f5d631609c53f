/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tun_weir FD LOSS SEED WHAT...: a host of weir.h in real time, one interface of which (10.9.0.2, fd09::2) is a TUN device
 * that somebody opened, talks as tun_talk.c says. A driver pends every connect and every accept for 20 ms. LOSS in 1000 each
 * way, by rules of the wire; as many are held back for up to 5 ms.
 */
#include "tun_talk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <weir.h>

#include "pender.h"

static struct weir *weir;
static struct weir_process *program;
static char answer_to[WEIR_ADDRESS];

uint64_t net_now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static bool again(void *ctx)
{
    unsigned *asked = ctx;

    return (*asked)++ != 0;
}

void net_step(unsigned ms)
{
    unsigned asked = 0;

    (void)weir_wait_for(weir, again, &asked, ms * WEIR_MILLISECOND);
}

static struct weir_socket *inner(struct net_socket *s)
{
    return (struct weir_socket *)s;
}

/* The version is said by the address that it is used with; until then it is remembered here. */
static unsigned last_version;

struct net_socket *net_open(enum net_kind kind, unsigned version)
{
    static const enum weir_kind kinds[] = {WEIR_TCP, WEIR_UDP, WEIR_PING};

    last_version = version;
    return (struct net_socket *)weir_socket(program, kinds[kind]);
}

int net_listen(struct net_socket *s, unsigned port)
{
    char text[WEIR_ADDRESS];
    int error;

    snprintf(text, sizeof(text), last_version == 4 ? "0.0.0.0:%u" : "[::]:%u", port);
    error = weir_bind(inner(s), text);
    if (error == 0 && port != 53)
        error = weir_listen(inner(s));
    if (error != 0)
        fprintf(stderr, "%s: %d %s\n", text, error, weir_error());
    return error;
}

struct net_socket *net_accept(struct net_socket *s)
{
    return (struct net_socket *)weir_accept(inner(s));
}

int net_connect(struct net_socket *s, const char *address, unsigned port, unsigned ms)
{
    char text[WEIR_ADDRESS];
    int error;

    snprintf(text, sizeof(text), strchr(address, ':') != NULL ? "[%s]:%u" : "%s:%u", address, port);
    error = weir_connect(inner(s), text);
    if (error == 0)
        return 0;
    if (error != -EINPROGRESS)
        return error;
    return weir_wait(inner(s), WEIR_CONNECTED, ms * WEIR_MILLISECOND) ? 0 : -ECONNREFUSED;
}

long net_send(struct net_socket *s, const void *bytes, size_t size)
{
    return weir_send(inner(s), bytes, size);
}

long net_receive(struct net_socket *s, void *out, size_t size)
{
    return weir_receive(inner(s), out, size, NULL);
}

long net_receive_from(struct net_socket *s, void *out, size_t size)
{
    return weir_receive(inner(s), out, size, answer_to);
}

long net_answer(struct net_socket *s, const void *bytes, size_t size)
{
    return weir_send_to(inner(s), answer_to, bytes, size);
}

void net_shutdown(struct net_socket *s)
{
    (void)weir_shutdown(inner(s));
}

void net_close(struct net_socket *s)
{
    weir_close(inner(s));
}

static void on_finding(void *ctx, const char *line)
{
    (void)ctx;
    fprintf(stderr, "%s\n", line);
}

int main(int argc, char **argv)
{
    const struct weir_interface outside = {.index = 1, .addresses = {"10.9.0.2/24", "fd09::2/64"}};
    struct weir_config config = {
        .size = sizeof(config), .real_time = true, .interfaces = &outside, .interface_count = 1};
    struct weir_rule_config lost = {.action = WEIR_DROP},
                            late = {.action = WEIR_DELAY, .delay_ns = 5 * WEIR_MILLISECOND};
    const struct pender pender = {.at = PENDER_CONNECT | PENDER_ACCEPT, .delay_ms = 20};
    struct weir_driver *driver;
    unsigned loss;
    int result;

    if (argc < 5)
        return 64;
    loss = (unsigned)atoi(argv[2]);
    config.seed = strtoull(argv[3], NULL, 10);
    if (weir_create_with(&config, &weir) != 0)
        return 1;
    driver = pender_load(weir, &pender);
    if (driver == NULL || weir_attach(weir, 1, atoi(argv[1])) != 0) {
        fprintf(stderr, "%s\n", weir_error());
        return 1;
    }
    if (loss != 0) {
        lost.one_in = late.one_in = 1000 / loss;
        if (weir_rule(weir, &lost) == NULL || weir_rule(weir, &late) == NULL)
            return 1;
    }
    program = weir_process(weir, "C:\\Program Files\\talk.exe", NULL);
    result = talk(argc - 4, argv + 4);
    weir_process_exit(program);
    weir_run(weir, 100 * WEIR_MILLISECOND);
    fprintf(stderr, "pended %u, asked again %u\n", (unsigned)pender_asked(), (unsigned)pender_asked_again());
    if (pender_asked() == 0)
        result = 1; /* it was not in between */
    if (weir_driver_unload(driver) != 0 || weir_findings(weir, on_finding, NULL) != 0)
        result = 1;
    weir_destroy(weir);
    return result;
}

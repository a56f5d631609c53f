/* SPDX-License-Identifier: Apache-2.0 */
/*
 * leader: a small callout driver that is linked into a test: it leads TCP connections to port 80 to a local proxy, or
 * connections elsewhere, binds to another port, and lets closures wait; within the classify, or by a thread of its own some
 * time later.
 *
 *     weir_listen(proxy) ...
 *     struct weir_driver *d = leader_load(w, &(struct leader){.proxy_port = 8080, .proxy = weir_process_id(p)});
 *     weir_connect(s, "10.0.0.2:80");       the proxy accepts it
 *
 * What it says of a connection (localRedirectContext) is where it was to go: "10.0.0.2:80".
 */
#ifndef WEIR_TESTS_LEADER_H
#define WEIR_TESTS_LEADER_H

#include <stdbool.h>
#include <stdint.h>
#include <weir.h>

struct leader {
    uint16_t proxy_port;  /* 0: there is none */
    uint64_t proxy;       /* its process */
    uint32_t to;          /* or: to this IPv4 address (host order); 0: none */
    uint16_t to_port;     /* 0: the port stays */
    uint16_t bind_port;   /* sockets that ask for port 5000 get this one; 0: they do not */
    bool closures;        /* wait until leader_go(), */
    uint32_t closures_ms; /* ... or so long; 0: until then */
    uint32_t delay_ms;    /* 0: within the classify */
};

struct weir_driver *leader_load(struct weir *w, const struct leader *what);
/* Of the one that was loaded last: completes the closures that wait, from its thread. */
void leader_go(void);
/* How often the state of a connection at port 80 was FWPS_CONNECTION_*. */
unsigned leader_states(unsigned state);

#endif

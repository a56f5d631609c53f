/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tun_talk: conversations of a host on a TUN device with real programs: as a client of a web server and of iperf3, as
 * a server for curl, iperf3 and dig. What carries them is behind these calls: tun_stack.c, tun_weir.c.
 *
 * All wait: net_step() lets the network go on for a while or until something happens.
 */
#ifndef TUN_TALK_H
#define TUN_TALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct net_socket;
enum net_kind { NET_TCP, NET_UDP, NET_PING };

void net_step(unsigned ms);
uint64_t net_now_ms(void);
struct net_socket *net_open(enum net_kind kind, unsigned version);
int net_listen(struct net_socket *s, unsigned port); /* UDP: binds */
struct net_socket *net_accept(struct net_socket *s); /* NULL: none now */
/* address: "10.9.0.1", "fd09::1" of `version`. 0: it is connected; else why not. */
int net_connect(struct net_socket *s, const char *address, unsigned port, unsigned ms);
long net_send(struct net_socket *s, const void *bytes, size_t size); /* -EAGAIN: no room now */
long net_receive(struct net_socket *s, void *out, size_t size);      /* -EAGAIN: nothing now; 0: the end */
long net_receive_from(struct net_socket *s, void *out, size_t size); /* and net_answer() goes back there */
long net_answer(struct net_socket *s, const void *bytes, size_t size);
void net_shutdown(struct net_socket *s);
void net_close(struct net_socket *s);

/* What the arguments say: "serve", or "get ADDRESS PORT PATH", "iperf ADDRESS SECONDS [reverse]", "ping ADDRESS COUNT".
 * Prints one line of what came of it. 0: it went well. */
int talk(int count, char **arguments);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of sockets know of each other: socket.c opens with who does what. */
#ifndef WEIR_EMBED_SOCKET_H
#define WEIR_EMBED_SOCKET_H

#include "embed/machine.h"

/* The half that its state is about; NULL: neither is made. */
struct stack_socket *embed_socket_main(const struct embed_socket *s);
bool embed_socket_is_host(const struct embed_socket *s); /* else a peer's */
bool embed_socket_is_end(enum weir_state state);         /* nothing comes after it but a close */
void embed_socket_tell(struct embed_socket *s);          /* a new state, as an event */
/* Its stack, whose time is now. */
struct stack *embed_socket_stack(const struct embed_socket *s);
uint8_t embed_socket_protocol(const struct embed_socket *s, bool six);
int embed_socket_open_half(struct embed_socket *s, bool six); /* 0 or -errno */
void embed_socket_close_halves(struct embed_socket *s, bool abort);
struct embed_socket *embed_socket_new(struct embed_process *p, enum weir_kind kind); /* NULL: no memory */

/* embed_enter(), for calls that make something happen: not from within a classify. NULL: it was told. */
struct embed_socket *embed_socket_enter(const char *call, const void *socket);
/* In the name of its process; what was. */
uint64_t embed_socket_act_as(const struct embed_socket *s);
/* An address that makes sense for it; false: it was told. remote: it has to name somebody. */
bool embed_socket_parse(const struct embed_socket *s, const char *call, const char *address, bool remote,
                        struct embed_end *out);
/* What weir_set_redirect_records() kept goes to its endpoint, which there is now. */
void embed_socket_give_records(struct embed_socket *s);
/* Before something is sent or connected: 0, -EINPROGRESS (pended), or why it cannot be bound. */
int embed_socket_bind_first(struct embed_socket *s, uint8_t version);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets of programs, until they are connected. The host's also say to the host what they do (BR, RES, LIS are asked
 * then), and wait where a driver pends it.
 *
 *   weir_bind()     a port from the stack --> host_bind() --SUCCESS--> bound
 *                                                         --PENDING--> pended: host_socket_status() when the host
 *                                                                      tells that a bind was completed
 *                                                         --refused--> WEIR_REFUSED
 *   weir_listen()   host_listen(), likewise; then the stack listens
 *   weir_connect()  binds first where that was not done; then stack_connect(), whose first packet is held, refused, or
 *                   goes out (gate.c)
 *
 * What is to follow a pended bind is kept as a wish.
 */
#include <errno.h>

#include "embed/socket.h"

#define BACKLOG 128u

/* ---- bind ---------------------------------------------------------------------------------------------- */

/* What the host says of a bind or listen; 0, -EINPROGRESS, -EACCES ... */
static int outcome(struct embed_socket *s, NTSTATUS status)
{
    switch (status) {
    case STATUS_SUCCESS:
        return 0;
    case STATUS_PENDING:
        s->pended = true;
        return -EINPROGRESS;
    case STATUS_ADDRESS_ALREADY_EXISTS:
        return -EADDRINUSE;
    case STATUS_NO_MEMORY:
        return -ENOMEM;
    default:
        s->refused = true;
        return -EACCES;
    }
}

static int bind_host(struct embed_socket *s, const struct embed_end *to, uint16_t port, bool implicit)
{
    const bool dual = to->version == 0;
    const struct host_socket socket = {
        .version = dual ? 6 : to->version,
        .protocol = embed_socket_protocol(s, to->version == 6),
        .dual_stack = dual,
        .raw = s->kind == WEIR_RAW,
        .implicit = implicit,
        .local = to->address,
        .port = port,
        .owner = &s->process->owner,
    };
    uint64_t before = embed_socket_act_as(s);
    const void *out = embed_calls_out();
    NTSTATUS status = host_bind(s->e->host, &socket, &s->endpoint);

    embed_is_back(out);
    (void)nt_process_attach(before);
    return outcome(s, status);
}

static int bind_stack(struct embed_socket *s, const struct embed_end *to, uint16_t *port)
{
    union wire_addr unused;
    uint8_t version;
    int err = 0;

    *port = to->port;
    for (int six = 1; err == 0 && six >= 0; six--) {
        if (to->version != 0 && (to->version == 6) != six)
            continue;
        err = embed_socket_open_half(s, six);
        if (err == 0)
            err = stack_bind(s->at[six], &to->address, *port, false);
        if (err == 0)
            stack_local(s->at[six], &version, &unused, port);
    }
    return err;
}

static int do_bind(struct embed_socket *s, const struct embed_end *to, bool implicit)
{
    uint16_t port;
    int err = bind_stack(s, to, &port);

    if (err == 0 && embed_socket_is_host(s) && s->kind != WEIR_PING)
        err = bind_host(s, to, port, implicit);
    if (err != 0 && err != -EINPROGRESS) {
        embed_socket_close_halves(s, true);
        if (s->endpoint != NULL)
            host_close(s->e->host, s->endpoint);
        s->endpoint = NULL;
    }
    s->bound = err == 0 || err == -EINPROGRESS;
    return err;
}

/* Before something is sent or connected. */
int embed_socket_bind_first(struct embed_socket *s, uint8_t version)
{
    const struct embed_end any = {.version = version};

    if (s->pended)
        return -EINPROGRESS;
    return s->bound ? 0 : do_bind(s, &any, true);
}

int weir_bind(struct weir_socket *socket, const char *address)
{
    struct embed_socket *s = embed_socket_enter(__func__, socket);
    struct embed_end to;
    int err;

    if (s == NULL || !embed_socket_parse(s, __func__, address, false, &to))
        return -EINVAL;
    if (s->bound || s->refused) {
        embed_failed(s->e, __func__, "the socket is %s already", weir_state_name(embed_socket_state(s)));
        return -EINVAL;
    }
    err = do_bind(s, &to, false);
    embed_socket_tell(s);
    embed_settle_call(s->e);
    return err;
}

/* ---- listen, accept ------------------------------------------------------------------------------------ */

static int listen_now(struct embed_socket *s)
{
    int err = 0;

    (void)embed_socket_stack(s);
    for (unsigned six = 0; err == 0 && six < 2; six++)
        if (s->at[six] != NULL)
            err = stack_listen(s->at[six], BACKLOG);
    return err;
}

static int do_listen(struct embed_socket *s)
{
    uint64_t before;
    int err = 0;

    s->listens = true;
    if (embed_socket_is_host(s)) {
        before = embed_socket_act_as(s);
        err = outcome(s, host_listen(s->e->host, s->endpoint));
        (void)nt_process_attach(before);
    }
    return err == 0 ? listen_now(s) : err;
}

int weir_listen(struct weir_socket *socket)
{
    struct embed_socket *s = embed_socket_enter(__func__, socket);
    int err;

    if (s == NULL)
        return -EINVAL;
    if (s->kind != WEIR_TCP || !s->bound) {
        embed_failed(s->e, __func__,
                     s->kind != WEIR_TCP ? "only a TCP socket listens" : "the socket is not bound");
        return -EINVAL;
    }
    if (s->refused)
        return -EACCES;
    if (s->pended) {
        s->wish = EMBED_WISH_LISTEN;
        return -EINPROGRESS;
    }
    if (stack_state(embed_socket_main(s)) != STACK_BOUND) {
        embed_failed(s->e, __func__, "the socket is %s", weir_state_name(embed_socket_state(s)));
        return -EINVAL;
    }
    err = do_listen(s);
    if (err == -EINPROGRESS)
        s->wish = EMBED_WISH_LISTEN;
    embed_socket_tell(s);
    embed_settle_call(s->e);
    return err;
}

struct weir_socket *weir_accept(struct weir_socket *socket)
{
    struct embed_socket *s = embed_socket_enter(__func__, socket), *made;
    struct stack_socket *k = NULL;
    unsigned six;

    if (s == NULL)
        return NULL;
    if (s->kind != WEIR_TCP || embed_socket_main(s) == NULL || embed_socket_state(s) != WEIR_LISTENING) {
        if (embed_socket_state(s) != WEIR_PENDED && !s->refused)
            embed_failed(s->e, __func__, "the socket is %s, not listening",
                         weir_state_name(embed_socket_state(s)));
        return NULL;
    }
    for (six = 0; six < 2 && k == NULL; six++)
        k = s->at[six] != NULL ? stack_accept(s->at[six]) : NULL;
    if (k == NULL)
        return NULL;
    made = embed_socket_new(s->process, WEIR_TCP);
    if (made == NULL) {
        stack_abort(k);
        embed_error("weir_accept: out of memory");
        return NULL;
    }
    made->at[six - 1] = k;
    made->bound = made->accepted = true;
    stack_set_user(k, made);
    embed_socket_tell(made);
    return made->handle;
}

/* ---- connect ------------------------------------------------------------------------------------------- */

static int do_connect(struct embed_socket *s, const struct embed_end *to)
{
    const bool six = to->version == 6;
    struct stack_socket *k;
    int err = embed_socket_open_half(s, six);

    if (err != 0)
        return err;
    embed_socket_give_records(s);
    k = s->at[six];
    if (s->kind == WEIR_TCP && s->at[!six] != NULL) { /* bound to any address: it is of this version now */
        struct stack_socket *other = s->at[!six];

        s->at[!six] = NULL;
        stack_set_user(other, NULL);
        stack_close(other);
    }
    (void)embed_socket_stack(s);
    err = stack_connect(k, &to->address, to->port);
    if (err == 0 && s->kind == WEIR_TCP)
        err = stack_state(k) == STACK_REFUSED ? -EACCES : -EINPROGRESS;
    if (err == -EACCES)
        s->refused = true;
    return err;
}

int weir_connect(struct weir_socket *socket, const char *address)
{
    struct embed_socket *s = embed_socket_enter(__func__, socket);
    enum weir_state state;
    struct embed_end to;
    int err;

    if (s == NULL || !embed_socket_parse(s, __func__, address, true, &to))
        return -EINVAL;
    state = embed_socket_state(s);
    if (s->kind == WEIR_TCP && state != WEIR_NEW && state != WEIR_BOUND && state != WEIR_PENDED) {
        if (state == WEIR_CONNECTED || state == WEIR_CONNECTING)
            return -EISCONN;
        embed_failed(s->e, __func__, "the socket is %s", weir_state_name(state));
        return -EINVAL;
    }
    if (s->refused && s->bound && embed_socket_main(s) == NULL)
        return -EACCES;
    if (s->bound && s->at[to.version == 6] == NULL) {
        embed_failed(s->e, __func__, "the socket is bound to an address of the other version than \"%s\"",
                     address);
        return -EINVAL;
    }
    if (state == WEIR_PENDED && !s->pended)
        return -EINPROGRESS; /* it is being connected already */
    err = embed_socket_bind_first(s, to.version);
    if (err == -EINPROGRESS) {
        s->wish = EMBED_WISH_CONNECT;
        s->to = to;
    }
    if (err == 0)
        err = do_connect(s, &to);
    embed_socket_tell(s);
    embed_settle_call(s->e);
    return err;
}

void embed_socket_decided(struct embed_socket *s, bool permitted)
{
    struct stack_socket *k = embed_socket_main(s);

    (void)embed_socket_stack(s);
    if (!permitted)
        s->refused = true;
    if (k != NULL)
        stack_resume(k, permitted);
    embed_socket_tell(s);
}

/* A bind that was refused gives the port back; a listen leaves the socket bound. */
static void refuse(struct embed_socket *s)
{
    s->refused = true;
    embed_socket_tell(s);
    if (s->wish == EMBED_WISH_LISTEN && s->listens)
        return;
    embed_socket_close_halves(s, true);
    host_close(s->e->host, s->endpoint);
    s->endpoint = NULL;
}

/* One whose bind or listen was pended goes on, if it may. */
static void go_on(struct embed_socket *s)
{
    const NTSTATUS status = host_socket_status(s->e->host, s->endpoint);
    const enum embed_wish wish = s->wish;
    int err;

    if (status == STATUS_PENDING)
        return;
    s->pended = false;
    if (status != STATUS_SUCCESS) {
        refuse(s);
        return;
    }
    embed_socket_tell(s);
    err = wish == EMBED_WISH_LISTEN ? do_listen(s) : wish == EMBED_WISH_CONNECT ? do_connect(s, &s->to) : 0;
    if (err != -EINPROGRESS || !s->pended)
        s->wish = EMBED_WISH_NOTHING;
    if (err != 0 && err != -EINPROGRESS && err != -EACCES)
        s->failed = err;
    embed_socket_tell(s);
}

void embed_sockets_continue(struct embed *e)
{
    for (struct embed_process *p = embed_processes(e); p != NULL; p = p->next)
        for (struct embed_socket *s = p->sockets, *next; s != NULL; s = next) {
            next = s->next;
            if (s->pended)
                go_on(s);
        }
}

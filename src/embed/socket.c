/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets of programs: weir.h's calls, on the small stack of whoever's they are; the host's also say to the host what
 * they do (BR, RES, LIS are asked then), and wait where a driver pends it.
 *
 *   weir_bind()     a port from the stack --> host_bind() --SUCCESS--> bound
 *                                                         --PENDING--> pended: host_socket_status() when the host
 *                                                                      tells that a bind was completed
 *                                                         --refused--> WEIR_REFUSED
 *   weir_listen()   host_listen(), likewise; then the stack listens
 *   weir_connect()  binds first where that was not done; then stack_connect(), whose first packet is held, refused, or
 *                   goes out (gate.c)
 *
 * What is to follow a pended bind is kept as a wish. A socket has an IPv4 and an IPv6 half: made when its address
 * says which, both where it is bound to any address.
 *
 * Who closes. A connection that is being ended goes on without its program until TCP is through: the host
 * keeps its endpoint until it has seen the end (host_release()).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "embed/machine.h"

#define BACKLOG 128u
#define AHEAD   65536u /* what weir_wait_readable() may find */

static struct stack_socket *main_of(const struct embed_socket *s)
{
    return s->at[0] != NULL ? s->at[0] : s->at[1];
}

static bool is_host(const struct embed_socket *s)
{
    return s->process->peer == NULL;
}

/* ---- states -------------------------------------------------------------------------------------------- */

const char *weir_state_name(enum weir_state state)
{
    static const char *const names[] = {
        [WEIR_NEW] = "new",
        [WEIR_PENDED] = "pended",
        [WEIR_BOUND] = "bound",
        [WEIR_LISTENING] = "listening",
        [WEIR_CONNECTING] = "connecting",
        [WEIR_CONNECTED] = "connected",
        [WEIR_CLOSING] = "closing",
        [WEIR_CLOSED] = "closed",
        [WEIR_REFUSED] = "refused",
        [WEIR_RESET] = "reset",
        [WEIR_TIMED_OUT] = "timed out",
        [WEIR_UNREACHABLE] = "unreachable",
    };

    return (unsigned)state <= WEIR_UNREACHABLE ? names[state] : "?";
}

enum weir_state embed_socket_state(const struct embed_socket *s)
{
    static const enum weir_state of[] = {
        [STACK_NEW] = WEIR_NEW,
        [STACK_BOUND] = WEIR_BOUND,
        [STACK_LISTENING] = WEIR_LISTENING,
        [STACK_CONNECTING] = WEIR_CONNECTING,
        [STACK_ACCEPTING] = WEIR_CONNECTING,
        [STACK_CONNECTED] = WEIR_CONNECTED,
        [STACK_CLOSING] = WEIR_CLOSING,
        [STACK_CLOSED] = WEIR_CLOSED,
        [STACK_REFUSED] = WEIR_REFUSED,
        [STACK_RESET] = WEIR_RESET,
        [STACK_TIMED_OUT] = WEIR_TIMED_OUT,
        [STACK_UNREACHABLE] = WEIR_UNREACHABLE,
    };
    const struct stack_socket *k = main_of(s);

    if (s->refused)
        return WEIR_REFUSED;
    if (s->pended)
        return WEIR_PENDED;
    if (s->failed != 0)
        return WEIR_UNREACHABLE;
    if (k == NULL)
        return WEIR_NEW;
    return stack_is_held(k) ? WEIR_PENDED : of[stack_state(k)];
}

static bool is_end(enum weir_state state)
{
    return state == WEIR_REFUSED || state == WEIR_RESET || state == WEIR_TIMED_OUT ||
           state == WEIR_UNREACHABLE;
}

/* Tells a new state as an event. */
static void tell(struct embed_socket *s)
{
    const enum weir_state state = embed_socket_state(s);
    char local[WEIR_ADDRESS] = "", remote[WEIR_ADDRESS] = "";
    struct stack_socket *k = main_of(s);
    union wire_addr a;
    uint8_t version;
    uint16_t port;

    if (state == s->told)
        return;
    s->told = state;
    if (k != NULL) {
        stack_local(k, &version, &a, &port);
        embed_end_format(version, &a, port, local);
        stack_remote(k, &version, &a, &port);
        if (!wire_addr_is_unspecified(version, &a))
            embed_end_format(version, &a, port, remote);
    }
    embed_event(s->e, &(struct weir_event){.kind = WEIR_EVENT_SOCKET,
                                           .verdict = weir_state_name(state),
                                           .process_id = s->process->id,
                                           .protocol = s->kind == WEIR_TCP   ? WIRE_PROTOCOL_TCP
                                                       : s->kind == WEIR_UDP ? WIRE_PROTOCOL_UDP
                                                                             : s->protocol,
                                           .local = local[0] != '\0' ? local : NULL,
                                           .remote = remote[0] != '\0' ? remote : NULL});
}

void embed_socket_told(void *ctx, struct stack_socket *k, enum stack_event event)
{
    struct embed_socket *s = stack_user(k);

    (void)ctx;
    if (s != NULL && (s->at[0] == k || s->at[1] == k) && event == STACK_EVENT_STATE)
        tell(s);
}

/* ---- halves -------------------------------------------------------------------------------------------- */

/* The stack's time is now. */
static struct stack *stack_of(const struct embed_socket *s)
{
    struct stack *stack = embed_process_stack(s->process);

    stack_advance(stack, embed_now(s->e));
    return stack;
}

static uint8_t protocol_of(const struct embed_socket *s, bool six)
{
    switch (s->kind) {
    case WEIR_TCP:
        return WIRE_PROTOCOL_TCP;
    case WEIR_UDP:
        return WIRE_PROTOCOL_UDP;
    case WEIR_PING:
        return six ? WIRE_PROTOCOL_ICMPV6 : WIRE_PROTOCOL_ICMP;
    default:
        return s->protocol;
    }
}

static int open_half(struct embed_socket *s, bool six)
{
    if (s->at[six] != NULL)
        return 0;
    return stack_open(stack_of(s), six ? 6 : 4, protocol_of(s, six), s, &s->at[six]);
}

static void close_halves(struct embed_socket *s, bool abort)
{
    struct stack_socket *at[2] = {s->at[0], s->at[1]};

    (void)stack_of(s);
    s->at[0] = s->at[1] = NULL;
    for (unsigned six = 0; six < 2; six++) {
        if (at[six] == NULL)
            continue;
        stack_set_user(at[six], NULL);
        if (abort)
            stack_abort(at[six]);
        else
            stack_close(at[six]);
    }
}

static struct embed_socket *socket_new(struct embed_process *p, enum weir_kind kind)
{
    struct embed_socket *s = calloc(1, sizeof *s);

    if (s == NULL)
        return NULL;
    s->e = p->e;
    s->process = p;
    s->kind = kind;
    s->handle = embed_handle_new(p->e, EMBED_SOCKET, s);
    if (s->handle == NULL) {
        free(s);
        return NULL;
    }
    s->next = p->sockets;
    p->sockets = s;
    return s;
}

/* Its program is through with it. */
static void socket_end(struct embed_socket *s, bool abort)
{
    struct embed *e = s->e;
    const struct stack_socket *k = main_of(s);
    const bool goes_on = !abort && s->kind == WEIR_TCP && k != NULL && !stack_is_held(k) &&
                         (stack_state(k) == STACK_CONNECTED || stack_state(k) == STACK_CLOSING);
    struct host_endpoint *endpoint = s->endpoint;

    embed_gate_forget(e, s);
    for (struct embed_socket **at = &s->process->sockets; *at != NULL; at = &(*at)->next)
        if (*at == s) {
            *at = s->next;
            break;
        }
    close_halves(s, abort);
    if (endpoint != NULL && goes_on)
        host_release(e->host, endpoint);
    else if (endpoint != NULL)
        host_close(e->host, endpoint);
    embed_handle_end(e, s->handle);
    free(s->ahead);
    free(s);
}

void embed_sockets_abort(struct embed_process *p)
{
    while (p->sockets != NULL)
        socket_end(p->sockets, true);
}

/* ---- calls --------------------------------------------------------------------------------------------- */

/* As embed_enter(), for calls that make something happen: not from within a classify. */
static void *enter_acting(const char *call, enum embed_kind kind, const void *handle, struct embed **e)
{
    void *object = embed_enter(call, kind, handle, e);

    if (object == NULL || rt_carried()->in_classify == 0)
        return object;
    embed_failed(*e, call, "called from within a classify, whose end it would have to wait for");
    return NULL;
}

static struct embed_socket *enter_socket(const char *call, const void *socket)
{
    struct embed *e;

    return enter_acting(call, EMBED_SOCKET, socket, &e);
}

/* In the name of the socket's process. */
static uint64_t act_as(const struct embed_socket *s)
{
    return nt_process_attach(is_host(s) ? s->process->id : 0);
}

static bool parse(const struct embed_socket *s, const char *call, const char *address, bool remote,
                  struct embed_end *out)
{
    const bool ports = s->kind == WEIR_TCP || s->kind == WEIR_UDP;

    if (!embed_end_parse(address, out)) {
        embed_failed(s->e, call, "\"%s\" is no address such as \"10.0.0.2:443\" or \"[fd00::2]:443\"",
                     address != NULL ? address : "NULL");
        return false;
    }
    if (ports && !out->has_port) {
        embed_failed(s->e, call, "\"%s\" has no port", address);
        return false;
    }
    if (remote && (out->version == 0 || (ports && out->port == 0))) {
        embed_failed(s->e, call, "\"%s\" is nobody's address: it has to name a host%s", address,
                     ports ? " and a port" : "");
        return false;
    }
    return true;
}

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
        .protocol = protocol_of(s, to->version == 6),
        .dual_stack = dual,
        .raw = s->kind == WEIR_RAW,
        .implicit = implicit,
        .local = to->address,
        .port = port,
        .owner = &s->process->owner,
    };
    uint64_t before = act_as(s);
    NTSTATUS status = host_bind(s->e->host, &socket, &s->endpoint);

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
        err = open_half(s, six);
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

    if (err == 0 && is_host(s) && s->kind != WEIR_PING)
        err = bind_host(s, to, port, implicit);
    if (err != 0 && err != -EINPROGRESS) {
        close_halves(s, true);
        if (s->endpoint != NULL)
            host_close(s->e->host, s->endpoint);
        s->endpoint = NULL;
    }
    s->bound = err == 0 || err == -EINPROGRESS;
    return err;
}

/* Before something is sent or connected. */
static int bind_first(struct embed_socket *s, uint8_t version)
{
    const struct embed_end any = {.version = version};

    if (s->pended)
        return -EINPROGRESS;
    return s->bound ? 0 : do_bind(s, &any, true);
}

int weir_bind(struct weir_socket *socket, const char *address)
{
    struct embed_socket *s = enter_socket(__func__, socket);
    struct embed_end to;
    int err;

    if (s == NULL || !parse(s, __func__, address, false, &to))
        return -EINVAL;
    if (s->bound || s->refused) {
        embed_failed(s->e, __func__, "the socket is %s already", weir_state_name(embed_socket_state(s)));
        return -EINVAL;
    }
    err = do_bind(s, &to, false);
    tell(s);
    embed_settle_call(s->e);
    return err;
}

/* ---- listen, accept ------------------------------------------------------------------------------------ */

static int listen_now(struct embed_socket *s)
{
    int err = 0;

    (void)stack_of(s);
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
    if (is_host(s)) {
        before = act_as(s);
        err = outcome(s, host_listen(s->e->host, s->endpoint));
        (void)nt_process_attach(before);
    }
    return err == 0 ? listen_now(s) : err;
}

int weir_listen(struct weir_socket *socket)
{
    struct embed_socket *s = enter_socket(__func__, socket);
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
    if (stack_state(main_of(s)) != STACK_BOUND) {
        embed_failed(s->e, __func__, "the socket is %s", weir_state_name(embed_socket_state(s)));
        return -EINVAL;
    }
    err = do_listen(s);
    if (err == -EINPROGRESS)
        s->wish = EMBED_WISH_LISTEN;
    tell(s);
    embed_settle_call(s->e);
    return err;
}

struct weir_socket *weir_accept(struct weir_socket *socket)
{
    struct embed_socket *s = enter_socket(__func__, socket), *made;
    struct stack_socket *k = NULL;
    unsigned six;

    if (s == NULL)
        return NULL;
    if (s->kind != WEIR_TCP || main_of(s) == NULL || embed_socket_state(s) != WEIR_LISTENING) {
        if (embed_socket_state(s) != WEIR_PENDED && !s->refused)
            embed_failed(s->e, __func__, "the socket is %s, not listening",
                         weir_state_name(embed_socket_state(s)));
        return NULL;
    }
    for (six = 0; six < 2 && k == NULL; six++)
        k = s->at[six] != NULL ? stack_accept(s->at[six]) : NULL;
    if (k == NULL)
        return NULL;
    made = socket_new(s->process, WEIR_TCP);
    if (made == NULL) {
        stack_abort(k);
        embed_error("weir_accept: out of memory");
        return NULL;
    }
    made->at[six - 1] = k;
    made->bound = made->accepted = true;
    stack_set_user(k, made);
    tell(made);
    return made->handle;
}

/* ---- connect ------------------------------------------------------------------------------------------- */

static int do_connect(struct embed_socket *s, const struct embed_end *to)
{
    const bool six = to->version == 6;
    struct stack_socket *k;
    int err = open_half(s, six);

    if (err != 0)
        return err;
    k = s->at[six];
    if (s->kind == WEIR_TCP && s->at[!six] != NULL) { /* bound to any address: it is of this version now */
        struct stack_socket *other = s->at[!six];

        s->at[!six] = NULL;
        stack_set_user(other, NULL);
        stack_close(other);
    }
    (void)stack_of(s);
    err = stack_connect(k, &to->address, to->port);
    if (err == 0 && s->kind == WEIR_TCP)
        err = stack_state(k) == STACK_REFUSED ? -EACCES : -EINPROGRESS;
    if (err == -EACCES)
        s->refused = true;
    return err;
}

int weir_connect(struct weir_socket *socket, const char *address)
{
    struct embed_socket *s = enter_socket(__func__, socket);
    enum weir_state state;
    struct embed_end to;
    int err;

    if (s == NULL || !parse(s, __func__, address, true, &to))
        return -EINVAL;
    state = embed_socket_state(s);
    if (s->kind == WEIR_TCP && state != WEIR_NEW && state != WEIR_BOUND && state != WEIR_PENDED) {
        if (state == WEIR_CONNECTED || state == WEIR_CONNECTING)
            return -EISCONN;
        embed_failed(s->e, __func__, "the socket is %s", weir_state_name(state));
        return -EINVAL;
    }
    if (s->bound && s->at[to.version == 6] == NULL) {
        embed_failed(s->e, __func__, "the socket is bound to an address of the other version than \"%s\"",
                     address);
        return -EINVAL;
    }
    if (state == WEIR_PENDED && !s->pended)
        return -EINPROGRESS; /* it is being connected already */
    err = bind_first(s, to.version);
    if (err == -EINPROGRESS) {
        s->wish = EMBED_WISH_CONNECT;
        s->to = to;
    }
    if (err == 0)
        err = do_connect(s, &to);
    tell(s);
    embed_settle_call(s->e);
    return err;
}

void embed_socket_decided(struct embed_socket *s, bool permitted)
{
    struct stack_socket *k = main_of(s);

    (void)stack_of(s);
    if (!permitted)
        s->refused = true;
    if (k != NULL)
        stack_resume(k, permitted);
    tell(s);
}

/* A bind that was refused gives the port back; a listen leaves the socket bound. */
static void refuse(struct embed_socket *s)
{
    s->refused = true;
    tell(s);
    if (s->wish == EMBED_WISH_LISTEN && s->listens)
        return;
    close_halves(s, true);
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
    tell(s);
    err = wish == EMBED_WISH_LISTEN ? do_listen(s) : wish == EMBED_WISH_CONNECT ? do_connect(s, &s->to) : 0;
    if (err != -EINPROGRESS || !s->pended)
        s->wish = EMBED_WISH_NOTHING;
    if (err != 0 && err != -EINPROGRESS && err != -EACCES)
        s->failed = err;
    tell(s);
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

/* ---- data ---------------------------------------------------------------------------------------------- */

static long cannot_send(const struct embed_socket *s, const void *bytes, size_t size, const char *call)
{
    if (bytes == NULL && size != 0) {
        embed_failed(s->e, call, "the bytes are NULL");
        return -EINVAL;
    }
    if (s->refused && s->kind == WEIR_TCP)
        return -EACCES;
    return s->failed;
}

long weir_send(struct weir_socket *socket, const void *bytes, size_t size)
{
    struct embed_socket *s = enter_socket(__func__, socket);
    long n;

    if (s == NULL)
        return -EINVAL;
    n = cannot_send(s, bytes, size, __func__);
    if (n != 0)
        return n;
    if (main_of(s) == NULL)
        return -ENOTCONN;
    if (s->pended)
        return -EAGAIN;
    (void)stack_of(s);
    n = -ENOTCONN;
    for (unsigned six = 0; n == -ENOTCONN && six < 2; six++)
        if (s->at[six] != NULL)
            n = stack_send(s->at[six], bytes, size);
    embed_settle_call(s->e);
    return n;
}

long weir_send_to(struct weir_socket *socket, const char *address, const void *bytes, size_t size)
{
    struct embed_socket *s = enter_socket(__func__, socket);
    struct embed_end to;
    long n;

    if (s == NULL || !parse(s, __func__, address, true, &to))
        return -EINVAL;
    if (s->kind == WEIR_TCP) {
        embed_failed(s->e, __func__, "a TCP socket sends to whom it is connected to: weir_send()");
        return -EINVAL;
    }
    n = cannot_send(s, bytes, size, __func__);
    if (n != 0)
        return n;
    if (s->bound && s->at[to.version == 6] == NULL) {
        embed_failed(s->e, __func__, "the socket is bound to an address of the other version than \"%s\"",
                     address);
        return -EINVAL;
    }
    n = bind_first(s, to.version);
    tell(s);
    if (n == 0) {
        (void)stack_of(s);
        n = stack_send_to(s->at[to.version == 6], &to.address, to.port, bytes, size);
    }
    embed_settle_call(s->e);
    return n == -EINPROGRESS ? -EAGAIN : n;
}

/* From the stack. */
static long take(struct embed_socket *s, void *out, size_t size, struct embed_end *from)
{
    long n = -ENOTCONN;

    for (unsigned six = 0; six < 2; six++) {
        long one;

        if (s->at[six] == NULL)
            continue;
        from->version = six ? 6 : 4;
        one = stack_receive(s->at[six], out, size, &from->address, &from->port);
        if (one != -EAGAIN && one != -ENOTCONN)
            return one;
        n = n == -EAGAIN ? n : one;
    }
    return n;
}

/* Looks for what weir_receive() would have: a datagram or a piece is kept for it. */
static bool is_readable(struct embed_socket *s)
{
    if (s->has_ahead)
        return true;
    if (s->ahead == NULL && (s->ahead = malloc(AHEAD)) == NULL)
        return false;
    (void)stack_of(s);
    s->ahead_size = take(s, s->ahead, AHEAD, &s->ahead_from);
    s->ahead_at = 0;
    s->has_ahead = s->ahead_size != -EAGAIN && s->ahead_size != -ENOTCONN;
    return s->has_ahead;
}

static long take_ahead(struct embed_socket *s, void *out, size_t size, struct embed_end *from)
{
    const long left = s->ahead_size > 0 ? s->ahead_size - (long)s->ahead_at : s->ahead_size;
    const size_t n = left > 0 && (size_t)left > size ? size : left > 0 ? (size_t)left : 0;

    *from = s->ahead_from;
    if (n != 0)
        memcpy(out, s->ahead + s->ahead_at, n);
    s->ahead_at += n;
    s->has_ahead = s->kind == WEIR_TCP && left > 0 && (size_t)left > n;
    return left < 0 ? left : (long)n;
}

long weir_receive(struct weir_socket *socket, void *out, size_t size, char *from)
{
    struct embed_socket *s = enter_socket(__func__, socket);
    struct embed_end end = {0};
    long n;

    if (s == NULL)
        return -EINVAL;
    if (out == NULL || size == 0) {
        embed_failed(s->e, __func__,
                     out == NULL ? "there is no place for the bytes: out is NULL" : "the size is 0");
        return -EINVAL;
    }
    (void)stack_of(s);
    n = s->has_ahead ? take_ahead(s, out, size, &end) : take(s, out, size, &end);
    if (from != NULL)
        from[0] = '\0';
    if (from != NULL && n >= 0)
        embed_end_format(end.version, &end.address, end.port, from);
    embed_settle_call(s->e);
    return n;
}

/* ---- the rest ------------------------------------------------------------------------------------------ */

static struct weir_socket *open_socket(const char *call, struct weir_process *process, enum weir_kind kind,
                                       unsigned protocol)
{
    struct embed *e;
    struct embed_process *p = enter_acting(call, EMBED_PROCESS, process, &e);
    struct embed_socket *s;

    if (p == NULL)
        return NULL;
    s = socket_new(p, kind);
    if (s == NULL) {
        embed_error("%s: out of memory", call);
        return NULL;
    }
    s->protocol = (uint8_t)protocol;
    return s->handle;
}

struct weir_socket *weir_socket(struct weir_process *process, enum weir_kind kind)
{
    struct embed *e;

    if ((unsigned)kind > WEIR_PING) {
        if (EMBED_ENTER(EMBED_PROCESS, process, &e) != NULL)
            embed_failed(e, __func__,
                         kind == WEIR_RAW ? "a raw socket has a protocol: weir_socket_raw()"
                                          : "there is no such kind of socket");
        return NULL;
    }
    return open_socket(__func__, process, kind, 0);
}

struct weir_socket *weir_socket_raw(struct weir_process *process, unsigned protocol)
{
    struct embed *e;

    if (protocol == 0 || protocol > 255) {
        if (EMBED_ENTER(EMBED_PROCESS, process, &e) != NULL)
            embed_failed(e, __func__, "a protocol is a number from 1 to 255");
        return NULL;
    }
    return open_socket(__func__, process, WEIR_RAW, protocol);
}

int weir_shutdown(struct weir_socket *socket)
{
    struct embed_socket *s = enter_socket(__func__, socket);
    int err;

    if (s == NULL)
        return -EINVAL;
    if (s->kind != WEIR_TCP || main_of(s) == NULL)
        return -ENOTCONN;
    (void)stack_of(s);
    err = stack_shutdown(main_of(s));
    embed_settle_call(s->e);
    return err;
}

static int membership(const char *call, struct weir_socket *socket, const char *group, bool join)
{
    struct embed_socket *s = enter_socket(call, socket);
    struct embed_end g;
    NTSTATUS status;
    int err;

    if (s == NULL)
        return -EINVAL;
    if (!embed_end_parse(group, &g) || g.version == 0 || !wire_addr_is_multicast(g.version, &g.address)) {
        embed_failed(s->e, call, "\"%s\" is no multicast address", group != NULL ? group : "NULL");
        return -EINVAL;
    }
    if (s->kind == WEIR_TCP || s->at[g.version == 6] == NULL) {
        embed_failed(s->e, call,
                     s->kind == WEIR_TCP ? "TCP knows no groups" : "the socket is not bound for its version");
        return -EINVAL;
    }
    (void)stack_of(s);
    err = stack_membership(s->at[g.version == 6], &g.address, join);
    if (err != 0 || s->endpoint == NULL)
        return err;
    status = host_membership(s->e->host, s->endpoint, &g.address, join);
    return status == STATUS_NO_MEMORY ? -ENOMEM : 0;
}

int weir_join(struct weir_socket *socket, const char *group)
{
    return membership(__func__, socket, group, true);
}

int weir_leave(struct weir_socket *socket, const char *group)
{
    return membership(__func__, socket, group, false);
}

void weir_close(struct weir_socket *socket)
{
    struct embed_socket *s = enter_socket(__func__, socket);
    struct embed *e;

    if (s == NULL)
        return;
    e = s->e;
    socket_end(s, false);
    embed_settle_call(e);
}

void weir_abort(struct weir_socket *socket)
{
    struct embed_socket *s = enter_socket(__func__, socket);
    struct embed *e;

    if (s == NULL)
        return;
    e = s->e;
    socket_end(s, true);
    embed_settle_call(e);
}

enum weir_state weir_state(struct weir_socket *socket)
{
    struct embed *e;
    const struct embed_socket *s = EMBED_ENTER(EMBED_SOCKET, socket, &e);

    return s != NULL ? embed_socket_state(s) : WEIR_CLOSED;
}

static const char *end_of(const char *call, struct weir_socket *socket, char *out, bool remote)
{
    struct embed *e;
    const struct embed_socket *s = embed_enter(call, EMBED_SOCKET, socket, &e);
    const struct stack_socket *k = s != NULL ? main_of(s) : NULL;
    union wire_addr a = {0};
    uint8_t version = 4;
    uint16_t port = 0;

    if (out == NULL) {
        if (s != NULL)
            embed_failed(e, call, "there is no place for the text: out is NULL");
        return "";
    }
    if (k != NULL && remote)
        stack_remote(k, &version, &a, &port);
    else if (k != NULL)
        stack_local(k, &version, &a, &port);
    return embed_end_format(version, &a, port, out);
}

const char *weir_local(struct weir_socket *socket, char *out)
{
    return end_of(__func__, socket, out, false);
}

const char *weir_remote(struct weir_socket *socket, char *out)
{
    return end_of(__func__, socket, out, true);
}

/* ---- waiting ------------------------------------------------------------------------------------------- */

struct wanted {
    struct embed_socket *socket;
    enum weir_state state;
};

static bool is_reached(void *ctx)
{
    const struct wanted *w = ctx;
    const enum weir_state state = embed_socket_state(w->socket);

    return state == w->state || is_end(state);
}

bool weir_wait(struct weir_socket *socket, enum weir_state state, uint64_t ns)
{
    struct wanted w = {.socket = enter_socket(__func__, socket), .state = state};

    if (w.socket == NULL)
        return false;
    (void)embed_run_until(w.socket->e, embed_now(w.socket->e) + ns, is_reached, &w);
    return embed_socket_state(w.socket) == state;
}

static bool is_there(void *ctx)
{
    struct embed_socket *s = ctx;

    return is_readable(s) || is_end(embed_socket_state(s));
}

bool weir_wait_readable(struct weir_socket *socket, uint64_t ns)
{
    struct embed_socket *s = enter_socket(__func__, socket);

    if (s == NULL)
        return false;
    (void)embed_run_until(s->e, embed_now(s->e) + ns, is_there, s);
    return is_readable(s);
}

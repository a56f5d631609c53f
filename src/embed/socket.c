/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets of programs: weir.h's calls, on the small stack of whoever's they are.
 *
 *   socket.c       what a socket is: its halves, its state, its end
 *   socket_bind.c  bind, listen, accept, connect: what the host is told of, and what drivers pend
 *   socket_data.c  bytes and datagrams, and waiting for them
 *
 * A socket has an IPv4 and an IPv6 half: made when its address says which, both where it is bound to any address.
 *
 * Who closes. A connection that is being ended goes on without its program until TCP is through: the host
 * keeps its endpoint until it has seen the end (host_release()).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "embed/socket.h"

struct stack_socket *embed_socket_main(const struct embed_socket *s)
{
    return s->at[0] != NULL ? s->at[0] : s->at[1];
}

bool embed_socket_is_host(const struct embed_socket *s)
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
    const struct stack_socket *k = embed_socket_main(s);

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

bool embed_socket_is_end(enum weir_state state)
{
    return state == WEIR_REFUSED || state == WEIR_RESET || state == WEIR_TIMED_OUT ||
           state == WEIR_UNREACHABLE;
}

/* Tells a new state as an event. */
void embed_socket_tell(struct embed_socket *s)
{
    const enum weir_state state = embed_socket_state(s);
    char local[WEIR_ADDRESS] = "", remote[WEIR_ADDRESS] = "";
    struct stack_socket *k = embed_socket_main(s);
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
    if (s == NULL || (s->at[0] != k && s->at[1] != k))
        return;
    if (event == STACK_EVENT_STATE)
        embed_socket_tell(s);
    else if (event != STACK_EVENT_ACCEPT)
        embed_stream_told(s);
}

/* ---- halves -------------------------------------------------------------------------------------------- */

/* The stack's time is now. */
struct stack *embed_socket_stack(const struct embed_socket *s)
{
    struct stack *stack = embed_process_stack(s->process);

    stack_advance(stack, embed_now(s->e));
    return stack;
}

uint8_t embed_socket_protocol(const struct embed_socket *s, bool six)
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

int embed_socket_open_half(struct embed_socket *s, bool six)
{
    if (s->at[six] != NULL)
        return 0;
    return stack_open(embed_socket_stack(s), six ? 6 : 4, embed_socket_protocol(s, six), s, &s->at[six]);
}

void embed_socket_close_halves(struct embed_socket *s, bool abort)
{
    struct stack_socket *at[2] = {s->at[0], s->at[1]};

    (void)embed_socket_stack(s);
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

struct embed_socket *embed_socket_new(struct embed_process *p, enum weir_kind kind)
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

/* Nothing is left of it. */
static void socket_free(struct embed_socket *s, bool abort)
{
    embed_stream_free(s);
    embed_socket_close_halves(s, abort);
    free(s->ahead);
    free(s->records);
    free(s);
}

void embed_socket_gone(struct embed_socket *s, bool abort)
{
    for (struct embed_socket **at = &s->process->orphans; *at != NULL; at = &(*at)->next)
        if (*at == s) {
            *at = s->next;
            break;
        }
    socket_free(s, abort);
}

/* Its program is through with it. */
static void socket_end(struct embed_socket *s, bool abort)
{
    struct embed *e = s->e;
    const struct stack_socket *k = embed_socket_main(s);
    const bool goes_on = !abort && s->kind == WEIR_TCP && k != NULL && !stack_is_held(k) &&
                         (stack_state(k) == STACK_CONNECTED || stack_state(k) == STACK_CLOSING);
    struct host_endpoint *endpoint = s->endpoint;

    embed_gate_forget(e, s);
    for (struct embed_socket **at = &s->process->sockets; *at != NULL; at = &(*at)->next)
        if (*at == s) {
            *at = s->next;
            break;
        }
    embed_handle_end(e, s->handle);
    if (goes_on && s->ahead_at >= (size_t)(s->has_ahead && s->ahead_size > 0 ? s->ahead_size : 0) &&
        embed_stream_of(s) != NULL && embed_stream_close(s->stream)) {
        s->next = s->process->orphans;
        s->process->orphans = s;
    } else {
        socket_free(s, abort);
    }
    if (endpoint != NULL && goes_on)
        host_release(e->host, endpoint);
    else if (endpoint != NULL)
        host_close(e->host, endpoint);
}

void embed_sockets_abort(struct embed_process *p)
{
    while (p->sockets != NULL)
        socket_end(p->sockets, true);
    while (p->orphans != NULL)
        embed_socket_gone(p->orphans, true);
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

struct embed_socket *embed_socket_enter(const char *call, const void *socket)
{
    struct embed *e;

    return enter_acting(call, EMBED_SOCKET, socket, &e);
}

/* In the name of the socket's process. */
uint64_t embed_socket_act_as(const struct embed_socket *s)
{
    return nt_process_attach(embed_socket_is_host(s) ? s->process->id : 0);
}

bool embed_socket_parse(const struct embed_socket *s, const char *call, const char *address, bool remote,
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

/* ---- the rest ------------------------------------------------------------------------------------------ */

static struct weir_socket *open_socket(const char *call, struct weir_process *process, enum weir_kind kind,
                                       unsigned protocol)
{
    struct embed *e;
    struct embed_process *p = enter_acting(call, EMBED_PROCESS, process, &e);
    struct embed_socket *s;

    if (p == NULL)
        return NULL;
    s = embed_socket_new(p, kind);
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
    struct embed_socket *s = embed_socket_enter(__func__, socket);
    int err;

    if (s == NULL)
        return -EINVAL;
    if (s->kind != WEIR_TCP || embed_socket_main(s) == NULL)
        return -ENOTCONN;
    (void)embed_socket_stack(s);
    err =
        embed_stream_of(s) != NULL ? embed_stream_shutdown(s->stream) : stack_shutdown(embed_socket_main(s));
    embed_settle_call(s->e);
    return err;
}

static int membership(const char *call, struct weir_socket *socket, const char *group, bool join)
{
    struct embed_socket *s = embed_socket_enter(call, socket);
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
    (void)embed_socket_stack(s);
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
    struct embed_socket *s = embed_socket_enter(__func__, socket);
    struct embed *e;

    if (s == NULL)
        return;
    e = s->e;
    socket_end(s, false);
    embed_settle_call(e);
}

void weir_abort(struct weir_socket *socket)
{
    struct embed_socket *s = embed_socket_enter(__func__, socket);
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
    const struct stack_socket *k = s != NULL ? embed_socket_main(s) : NULL;
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

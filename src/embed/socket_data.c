/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets of programs: what they send and receive, and waiting for it. What weir_wait_readable() finds it takes out of
 * the stack and keeps for weir_receive().
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "embed/socket.h"

#define AHEAD 65536u /* what weir_wait_readable() may find */

/* ---- data ---------------------------------------------------------------------------------------------- */

static long cannot_send(const struct embed_socket *s, const void *bytes, size_t size, const char *call)
{
    if (bytes == NULL && size != 0) {
        embed_failed(s->e, call, "the bytes are NULL");
        return -EINVAL;
    }
    if (s->refused && (s->kind == WEIR_TCP || (s->bound && embed_socket_main(s) == NULL)))
        return -EACCES; /* the second: its bind was, after a pend */
    return s->failed;
}

long weir_send(struct weir_socket *socket, const void *bytes, size_t size)
{
    struct embed_socket *s = embed_socket_enter(__func__, socket);
    long n;

    if (s == NULL)
        return -EINVAL;
    n = cannot_send(s, bytes, size, __func__);
    if (n != 0)
        return n;
    if (embed_socket_main(s) == NULL)
        return -ENOTCONN;
    if (s->pended)
        return -EAGAIN;
    (void)embed_socket_stack(s);
    n = embed_stream_of(s) != NULL ? embed_stream_send(s->stream, bytes, size) : -ENOTCONN;
    for (unsigned six = 0; s->stream == NULL && n == -ENOTCONN && six < 2; six++)
        if (s->at[six] != NULL)
            n = stack_send(s->at[six], bytes, size);
    embed_settle_call(s->e);
    return n;
}

long weir_send_to(struct weir_socket *socket, const char *address, const void *bytes, size_t size)
{
    struct embed_socket *s = embed_socket_enter(__func__, socket);
    struct embed_end to;
    long n;

    if (s == NULL || !embed_socket_parse(s, __func__, address, true, &to))
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
    n = embed_socket_bind_first(s, to.version);
    embed_socket_tell(s);
    if (n == 0) {
        (void)embed_socket_stack(s);
        n = stack_send_to(s->at[to.version == 6], &to.address, to.port, bytes, size);
    }
    embed_settle_call(s->e);
    return n == -EINPROGRESS ? -EAGAIN : n;
}

/* From the stack. */
static long take(struct embed_socket *s, void *out, size_t size, struct embed_end *from)
{
    long n = -ENOTCONN;

    if (embed_stream_of(s) != NULL) {
        embed_settle_call(s->e); /* what has come goes through first */
        return embed_stream_receive(s->stream, out, size);
    }
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
    (void)embed_socket_stack(s);
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
    struct embed_socket *s = embed_socket_enter(__func__, socket);
    struct embed_end end = {0};
    long n;

    if (s == NULL)
        return -EINVAL;
    if (out == NULL || size == 0) {
        embed_failed(s->e, __func__,
                     out == NULL ? "there is no place for the bytes: out is NULL" : "the size is 0");
        return -EINVAL;
    }
    (void)embed_socket_stack(s);
    n = s->has_ahead ? take_ahead(s, out, size, &end) : take(s, out, size, &end);
    if (from != NULL)
        from[0] = '\0';
    if (from != NULL && n >= 0)
        embed_end_format(end.version, &end.address, end.port, from);
    embed_settle_call(s->e);
    return n;
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

    return state == w->state || embed_socket_is_end(state);
}

bool weir_wait(struct weir_socket *socket, enum weir_state state, uint64_t ns)
{
    struct wanted w = {.socket = embed_socket_enter(__func__, socket), .state = state};

    if (w.socket == NULL)
        return false;
    (void)embed_run_until(w.socket->e, embed_now(w.socket->e) + ns, is_reached, &w);
    return embed_socket_state(w.socket) == state;
}

static bool is_there(void *ctx)
{
    struct embed_socket *s = ctx;

    return is_readable(s) || embed_socket_is_end(embed_socket_state(s));
}

bool weir_wait_readable(struct weir_socket *socket, uint64_t ns)
{
    struct embed_socket *s = embed_socket_enter(__func__, socket);

    if (s == NULL)
        return false;
    (void)embed_run_until(s->e, embed_now(s->e) + ns, is_there, s);
    return is_readable(s);
}

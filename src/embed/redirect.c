/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a local proxy asks of its sockets and says of them: SIO_QUERY_WFP_CONNECTION_REDIRECT_RECORDS and _CONTEXT of one
 * that it accepted, SIO_SET_WFP_CONNECTION_REDIRECT_RECORDS of its own. The host knows all of it (host_redirect.h); what
 * is set is kept here until the socket connects, for only then there is an endpoint of the right family.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "embed/socket.h"
#include "host/host_redirect.h"

typedef NTSTATUS query_fn(struct host *h, const struct host_redirect_ends *accepted, void *out, SIZE_T room,
                          SIZE_T *size);

static long query(struct weir_socket *socket, const char *call, query_fn *fn, void *out, size_t room)
{
    struct embed_socket *s = embed_socket_enter(call, socket);
    struct host_redirect_ends ends = {.protocol = WIRE_PROTOCOL_TCP};
    struct stack_socket *k;
    SIZE_T size = 0;
    NTSTATUS status;

    if (s == NULL)
        return -EINVAL;
    k = embed_socket_main(s);
    if (!embed_socket_is_host(s) || s->kind != WEIR_TCP || !s->accepted || k == NULL) {
        embed_failed(s->e, call,
                     "only a TCP socket of the host's that was accepted can have been redirected here");
        return -EINVAL;
    }
    stack_local(k, &ends.version, &ends.local, &ends.local_port);
    stack_remote(k, &ends.version, &ends.remote, &ends.remote_port);
    status = fn(s->e->host, &ends, out, room, &size);
    return status == STATUS_NOT_FOUND ? -ENOENT : (long)size;
}

long weir_redirect_records(struct weir_socket *s, void *out, size_t room)
{
    return query(s, __func__, host_redirect_records, out, room);
}

long weir_redirect_context(struct weir_socket *s, void *out, size_t room)
{
    return query(s, __func__, host_redirect_context, out, room);
}

int weir_set_redirect_records(struct weir_socket *socket, const void *records, size_t size)
{
    struct embed_socket *s = embed_socket_enter(__func__, socket);
    const enum weir_state state = s != NULL ? embed_socket_state(s) : WEIR_NEW;
    void *copy;

    if (s == NULL)
        return -EINVAL;
    if (!embed_socket_is_host(s) || host_redirect_check(s->e->host, records, size) != STATUS_SUCCESS) {
        embed_failed(s->e, __func__, "%s",
                     embed_socket_is_host(s) ? "these bytes are no redirect records of this machine"
                                             : "the socket is a peer's");
        return -EINVAL;
    }
    if (state != WEIR_NEW && state != WEIR_BOUND && state != WEIR_PENDED)
        return -EISCONN;
    copy = malloc(size);
    if (copy == NULL)
        return -ENOMEM;
    memcpy(copy, records, size);
    free(s->records);
    s->records = copy;
    s->records_size = size;
    return 0;
}

void embed_socket_give_records(struct embed_socket *s)
{
    if (s->records == NULL || s->endpoint == NULL)
        return;
    (void)host_redirect_set_records(s->e->host, s->endpoint, s->records, s->records_size);
    free(s->records);
    s->records = NULL;
}

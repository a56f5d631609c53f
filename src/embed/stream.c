/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams: where a callout sees a connection's bytes, they pass the host's stream layer between the program and the
 * stack's TCP (host_stream.h), so what a driver makes of them leaves in segments of the stack's own.
 *
 *   weir_send() --host_stream_feed(out)--> stages --sink--> note --> out ---stack_send()---> TCP --> wire
 *   weir_receive() <-- in <-- note <--sink-- stages <--host_stream_feed(in)-- stack_receive() <-- TCP <-- wire
 *
 * A connection gets one (embed_stream_of()) when bytes first go through it and a callout asks for them; then it has it to
 * its end. Others' bytes go straight, and a filter at the stream layer is asked packet by packet.
 *
 * The sink is called on any thread, in the middle of things: what it is given is noted, and carried out in order by the
 * test's own thread before the call returns or in the next step (embed_streams_drain()), as is what the stack told:
 *
 *   READABLE   is read and fed, while less than MOST wait for the program and no callout defers (STR-14); else TCP's
 *              window fills up
 *   WRITABLE   what is to go out is sent on
 *
 * Ends. shutdown feeds the end; when it comes out at the other side and all before it is sent, TCP's FIN follows. A socket
 * that its program closes lives on without it (its stream's `orphan`) until both ends are out or the connection is gone (for
 * the peer's end it waits as long as TCP does in FIN_WAIT_2);
 * bytes that come for it then are nobody's, and reset it. The host keeps the flow until both ends have passed here:
 * host_stream_over().
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "embed/socket.h"
#include "host/host_stream.h"

#define MOST    262144u /* bytes that wait, each way: as much as the stack's own buffers */
#define PIECE   16384u
#define BUCKETS 256u

struct bytes {
    uint8_t *at;
    size_t begin, end, room;
};

struct embed_stream {
    struct embed_stream *next; /* of the bucket */
    struct embed_stream *due_next;
    struct embed_socket *socket;
    struct stack_socket *k;
    UINT64 flow;
    struct bytes in, out;
    bool due;      /* is in the list of those to be looked at */
    bool orphan;   /* its program is through with it */
    bool deferred; /* a callout does not want more of what is received yet */
    bool ended[2]; /* fed: received, sent */
    bool over[2];  /* came out */
    bool shut;     /* TCP has been told */
    int error;     /* what receiving ended with; -errno */
};

struct stream_note {
    struct stream_note *next;
    UINT64 flow;
    enum { NOTE_BYTES, NOTE_HOLD } kind;
    bool out, held;
    UINT32 flags;
    uint32_t size;
    uint8_t bytes[];
};

struct embed_streams {
    _Atomic(struct stream_note *) inbox; /* newest first */
    struct stream_note *taken;           /* oldest first */
    struct embed_stream *due;
    struct embed_stream *of[BUCKETS];
};

/* ---- bytes that wait ----------------------------------------------------------------------------------- */

static size_t waiting(const struct bytes *b)
{
    return b->end - b->begin;
}

static bool append(struct bytes *b, const uint8_t *bytes, size_t size)
{
    if (b->begin == b->end)
        b->begin = b->end = 0;
    if (b->end + size > b->room && b->begin != 0) {
        memmove(b->at, b->at + b->begin, waiting(b));
        b->end -= b->begin;
        b->begin = 0;
    }
    if (b->end + size > b->room) {
        const size_t room = (b->end + size) * 2;
        uint8_t *at = realloc(b->at, room);

        if (at == NULL)
            return false;
        b->at = at;
        b->room = room;
    }
    if (size != 0)
        memcpy(b->at + b->end, bytes, size);
    b->end += size;
    return true;
}

/* ---- which stream it is -------------------------------------------------------------------------------- */

static struct embed_stream **bucket(struct embed_streams *all, UINT64 flow)
{
    return &all->of[flow % BUCKETS];
}

static struct embed_stream *find(struct embed_streams *all, UINT64 flow)
{
    struct embed_stream *st = *bucket(all, flow);

    while (st != NULL && st->flow != flow)
        st = st->next;
    return st;
}

static void look_at(struct embed_stream *st)
{
    struct embed_streams *all = st->socket->e->streams;

    if (st->due)
        return;
    st->due = true;
    st->due_next = all->due;
    all->due = st;
    embed_world_wake(st->socket->e);
}

static struct stack_socket *connected(const struct embed_socket *s)
{
    struct stack_socket *k = embed_socket_main(s);
    enum stack_state state = k != NULL ? stack_state(k) : STACK_NEW;

    return state == STACK_CONNECTED || state == STACK_CLOSING ? k : NULL;
}

struct embed_stream *embed_stream_of(struct embed_socket *s)
{
    struct stack_socket *k;
    struct embed_stream *st;
    union wire_addr local, remote;
    UINT16 local_port, remote_port;
    uint8_t version;
    UINT64 flow;

    if (s->stream != NULL || s->kind != WEIR_TCP || !embed_socket_is_host(s))
        return s->stream;
    k = connected(s);
    if (k == NULL)
        return NULL;
    stack_local(k, &version, &local, &local_port);
    stack_remote(k, &version, &remote, &remote_port);
    if (!host_stream_wanted(s->e->host, version, &local, local_port, &remote, remote_port, &flow))
        return NULL;
    st = calloc(1, sizeof *st);
    if (st == NULL)
        return NULL;
    st->socket = s;
    st->k = k;
    st->flow = flow;
    st->next = *bucket(s->e->streams, flow);
    *bucket(s->e->streams, flow) = st;
    s->stream = st;
    look_at(st); /* something may have come before */
    return st;
}

void embed_stream_free(struct embed_socket *s)
{
    struct embed_stream *st = s->stream;

    if (st == NULL)
        return;
    s->stream = NULL;
    for (struct embed_stream **at = bucket(s->e->streams, st->flow); *at != NULL; at = &(*at)->next)
        if (*at == st) {
            *at = st->next;
            break;
        }
    for (struct embed_stream **at = &s->e->streams->due; *at != NULL; at = &(*at)->due_next)
        if (*at == st) {
            *at = st->due_next;
            break;
        }
    free(st->in.at);
    free(st->out.at);
    free(st);
}

/* ---- what comes out: on any thread --------------------------------------------------------------------- */

static void put(struct embed *e, struct stream_note *n)
{
    struct embed_streams *all = e->streams;
    struct stream_note *first = atomic_load(&all->inbox);

    do
        n->next = first;
    while (!atomic_compare_exchange_weak(&all->inbox, &first, n));
    embed_world_wake(e);
}

static struct stream_note *note(UINT64 flow, uint32_t size)
{
    struct stream_note *n;

    while ((n = calloc(1, sizeof *n + size)) == NULL) /* a stream has no holes */
        rt_yield();
    n->flow = flow;
    n->size = size;
    return n;
}

static void on_bytes(void *ctx, UINT64 flow, bool out, const uint8_t *bytes, uint32_t size, UINT32 flags)
{
    struct stream_note *n = note(flow, size);

    n->kind = NOTE_BYTES;
    n->out = out;
    n->flags = flags;
    if (size != 0)
        memcpy(n->bytes, bytes, size);
    put(ctx, n);
}

static void on_hold(void *ctx, UINT64 flow, bool held)
{
    struct stream_note *n = note(flow, 0);

    n->kind = NOTE_HOLD;
    n->held = held;
    put(ctx, n);
}

const struct host_stream_sink embed_stream_sink = {.bytes = on_bytes, .hold = on_hold};

/* ---- carrying out: on the test's thread ---------------------------------------------------------------- */

/* The connection can only be ended. */
static void lose(struct embed_stream *st, int error)
{
    union wire_addr local, remote;
    UINT16 local_port, remote_port;
    uint8_t version;

    st->error = error;
    stack_local(st->k, &version, &local, &local_port);
    stack_remote(st->k, &version, &remote, &remote_port);
    (void)stack_fail(embed_socket_stack(st->socket), version, &local, local_port, &remote, remote_port);
}

static void carry_out(struct embed *e, const struct stream_note *n)
{
    struct embed_stream *st = find(e->streams, n->flow);

    if (st == NULL)
        return;
    if (n->kind == NOTE_HOLD)
        st->deferred = n->held;
    else if (!append(n->out ? &st->out : &st->in, n->bytes, n->size))
        lose(st, -ENOMEM);
    else if ((n->flags & HOST_STREAM_END) != 0)
        st->over[n->out] = true;
    look_at(st);
    if (st->over[0] && st->over[1])
        host_stream_over(e->host, st->flow);
}

/* False: nothing is noted. */
static bool carry_out_next(struct embed *e)
{
    struct embed_streams *all = e->streams;
    struct stream_note *n;

    if (all->taken == NULL && atomic_load(&all->inbox) != NULL)
        for (struct stream_note *newest = atomic_exchange(&all->inbox, NULL), *next; newest != NULL;
             newest = next) {
            next = newest->next;
            newest->next = all->taken;
            all->taken = newest;
        }
    n = all->taken;
    if (n == NULL)
        return false;
    all->taken = n->next;
    carry_out(e, n);
    free(n);
    return true;
}

/* Is there something to be carried out, a DEFER perhaps? That first. */
static bool is_told(const struct embed *e)
{
    return e->streams->taken != NULL || atomic_load(&e->streams->inbox) != NULL;
}

/* Into the layer, or, where that knows the flow no longer, past it. False: it is lost, and the connection with it. */
static bool feed(struct embed_stream *st, bool out, const void *bytes, uint32_t size, UINT32 flags)
{
    struct embed *e = st->socket->e;

    if (host_stream_feed(e->host, st->flow, out, bytes, size, flags, NULL) == STATUS_SUCCESS)
        return true;
    while (carry_out_next(e))
        ;
    if (!append(out ? &st->out : &st->in, bytes, size)) {
        lose(st, -ENOMEM);
        return false;
    }
    st->over[out] |= (flags & HOST_STREAM_END) != 0;
    look_at(st);
    return true;
}

/* To the stack, as much as it takes. */
static void send_on(struct embed_stream *st)
{
    while (waiting(&st->out) != 0) {
        long n = stack_send(st->k, st->out.at + st->out.begin, waiting(&st->out));

        if (n == -EAGAIN || n == 0)
            return;
        if (n < 0) { /* the connection is over */
            st->out.begin = st->out.end;
            return;
        }
        st->out.begin += (size_t)n;
    }
    if (st->over[1] && !st->shut) {
        st->shut = true;
        (void)stack_shutdown(st->k);
    }
}

/* From the stack, as long as somebody wants it. */
static void read_on(struct embed_stream *st)
{
    struct embed *e = st->socket->e;
    uint8_t piece[PIECE];

    while (!is_told(e) && !st->ended[0] && st->error == 0 && !st->deferred && waiting(&st->in) < MOST) {
        long n = stack_receive(st->k, piece, sizeof piece, NULL, NULL);

        if (n == -EAGAIN)
            return;
        if (n < 0) {
            st->error = (int)n;
            st->in.begin = st->in.end;
            return;
        }
        if (n > 0 && st->orphan) {
            st->error = -ECONNRESET;
            return;
        }
        st->ended[0] = n == 0;
        if (!feed(st, false, piece, (uint32_t)n, n == 0 ? HOST_STREAM_END : HOST_STREAM_PUSH))
            return;
    }
    if (is_told(e))
        look_at(st);
}

/* Its program has gone: is there anything left to do? */
static bool is_through(const struct embed_stream *st)
{
    return st->error != 0 || (st->shut && st->over[0] && waiting(&st->out) == 0);
}

static void look(struct embed_stream *st)
{
    struct embed_socket *s = st->socket;

    (void)embed_socket_stack(s);
    send_on(st);
    read_on(st);
    if (st->orphan && is_through(st))
        embed_socket_gone(s, st->error != 0);
}

bool embed_streams_drain(struct embed *e)
{
    struct embed_streams *all = e->streams;
    struct embed_stream *st = all->due;

    if (carry_out_next(e))
        return true;
    if (st == NULL)
        return false;
    all->due = st->due_next;
    st->due = false;
    look(st);
    return true;
}

/* ---- what sockets call --------------------------------------------------------------------------------- */

void embed_stream_told(struct embed_socket *s)
{
    if (s->stream != NULL)
        look_at(s->stream);
    else
        (void)embed_stream_of(s);
}

long embed_stream_send(struct embed_stream *st, const void *bytes, size_t size)
{
    const size_t there = waiting(&st->out), room = there < MOST ? MOST - there : 0;
    long n = stack_send(st->k, bytes, 0);

    if (n < 0 && n != -EAGAIN)
        return n;
    if (st->ended[1])
        return -EPIPE;
    if (size != 0 && room == 0)
        return -EAGAIN;
    size = size < room ? size : room;
    return feed(st, true, bytes, (uint32_t)size, 0) ? (long)size : -ENOMEM;
}

long embed_stream_receive(struct embed_stream *st, void *out, size_t size)
{
    const size_t there = waiting(&st->in), n = there < size ? there : size;

    if (n == 0)
        return st->error != 0 ? st->error : st->over[0] ? 0 : -EAGAIN;
    memcpy(out, st->in.at + st->in.begin, n);
    st->in.begin += n;
    look_at(st);
    return (long)n;
}

int embed_stream_shutdown(struct embed_stream *st)
{
    if (st->ended[1])
        return 0;
    st->ended[1] = true;
    return feed(st, true, NULL, 0, HOST_STREAM_END) ? 0 : -ENOMEM;
}

bool embed_stream_close(struct embed_stream *st)
{
    /* Where data was not read, TCP says so with a reset, as without a stream. */
    if (st->error != 0 || waiting(&st->in) != 0 || embed_stream_shutdown(st) != 0 ||
        connected(st->socket) == NULL)
        return false;
    st->orphan = true;
    stack_wait_for_end(st->k);
    look_at(st);
    return true;
}

/* ---- life ---------------------------------------------------------------------------------------------- */

int embed_streams_create(struct embed *e)
{
    e->streams = calloc(1, sizeof *e->streams);
    return e->streams != NULL ? 0 : -ENOMEM;
}

void embed_streams_destroy(struct embed *e)
{
    struct embed_streams *all = e->streams;
    struct stream_note *n;

    if (all == NULL)
        return;
    while ((n = all->taken) != NULL || (n = atomic_exchange(&all->inbox, NULL)) != NULL) {
        all->taken = n->next;
        free(n);
    }
    free(all);
    e->streams = NULL;
}

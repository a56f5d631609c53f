/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inbox. What the host tells comes on any thread, also within host_frame(): packets that drivers inject, and
 * completions. It is noted and carried out by the test's own thread, in the order in which it came, between two
 * steps of the pump or before the call returns.
 *
 *   host: emit(), lost(), completed(), a flow's end --any thread--> note --> inbox (newest first)
 *   stack: gave_up() ------------------------------------------------^          | embed_gate_drain(): the test's own thread
 *                                                    wires, stack, sockets <----+ oldest first, one a call
 */
#include <stdlib.h>
#include <string.h>

#include "embed/gate.h"
#include "host/host_redirect.h"

enum note_kind { NOTE_PACKET, NOTE_FRAME, NOTE_COMPLETED, NOTE_TORN, NOTE_GONE };

struct ends {
    uint8_t version;
    uint16_t local_port, remote_port;
    union wire_addr local, remote;
};

struct note {
    struct note *next;
    enum note_kind kind;
    struct host_completed completed;
    struct ends ends; /* TORN: by the host, GONE: in the stack */
    bool inbound, loopback, looped;
    uint32_t interface, size;
    uint8_t bytes[];
};

/* ---- noting -------------------------------------------------------------------------------------------- */

static void put(struct embed *e, struct note *n)
{
    struct note *first = atomic_load(&e->gate->inbox);

    do
        n->next = first;
    while (!atomic_compare_exchange_weak(&e->gate->inbox, &first, n));
    embed_world_wake(e);
}

/* The whole of what a driver injected: a frame with its own link header, or a packet. */
static const uint8_t *all_of(const struct host_emitted *p, uint32_t *size)
{
    *size = p->frame ? p->link_size + p->size : p->size;
    return p->frame ? p->link : p->bytes;
}

static void note_packet(struct embed *e, const struct host_emitted *p)
{
    uint32_t size;
    const uint8_t *bytes = all_of(p, &size);
    struct note *n = bytes != NULL && size != 0 ? malloc(sizeof *n + size) : NULL;

    if (n == NULL)
        return; /* lost, as on a wire */
    n->kind = p->frame ? NOTE_FRAME : NOTE_PACKET;
    n->inbound = p->inbound;
    n->loopback = p->loopback;
    n->looped = p->looped;
    n->interface = p->interface_index;
    n->size = size;
    memcpy(n->bytes, bytes, size);
    put(e, n);
}

static void tell_injected(struct embed *e, const char *verdict, const char *note,
                          const struct host_outcome *o, const struct host_emitted *p)
{
    const bool frame = p->frame && p->version == 0;
    uint32_t size = p->size;
    const uint8_t *bytes = frame ? all_of(p, &size) : p->bytes;

    embed_gate_tell(e, WEIR_EVENT_INJECTED, verdict, note, o, p->interface_index, p->inbound, bytes, size,
                    frame);
}

static void on_emit(void *ctx, const struct host_emitted *p)
{
    tell_injected(ctx, p->inbound ? "received" : p->forwarded ? "forwarded" : "sent", NULL, NULL, p);
    note_packet(ctx, p);
}

static void on_lost(void *ctx, const struct host_emitted *p, const struct host_outcome *how)
{
    tell_injected(ctx, host_fate_name(how->fate),
                  how->note != HOST_NOTE_NONE ? host_note_words(how->note) : NULL, how, p);
    if (how->fate == HOST_STACK && p->inbound && how->module == FWPS_DISCARD_MODULE_TRANSPORT)
        note_packet(ctx, p); /* the stack answers it: nobody is there */
}

static void on_completed(void *ctx, const struct host_completed *c)
{
    static const char *const of[] = {[HOST_OPERATION_BIND] = "a bind or listen",
                                     [HOST_OPERATION_CONNECT] = "a connect",
                                     [HOST_OPERATION_ACCEPT] = "an accept",
                                     [HOST_OPERATION_CLOSURE] = "a closure"};
    const char *verdict = c->cancelled                            ? "cancelled"
                          : c->permitted                          ? "permit"
                          : c->operation == HOST_OPERATION_ACCEPT ? "asked again when it comes again"
                                                                  : "block";
    struct embed *e = ctx;
    char text[96];
    struct note *n;

    snprintf(text, sizeof text, "%s was completed: %s", of[c->operation], verdict);
    embed_event(e,
                &(struct weir_event){
                    .kind = WEIR_EVENT_COMPLETED, .verdict = verdict, .flow_id = c->flow_id, .text = text});
    while ((n = malloc(sizeof *n)) == NULL) /* a program waits for it */
        rt_yield();
    n->kind = NOTE_COMPLETED;
    n->completed = *c;
    put(e, n);
}

static void note_ends(struct embed *e, enum note_kind kind, const struct ends *ends)
{
    struct note *n;

    while ((n = malloc(sizeof *n)) == NULL)
        rt_yield();
    n->kind = kind;
    n->ends = *ends;
    put(e, n);
}

void embed_gate_deleted(struct embed *e, const struct host_flow_info *f)
{
    const struct ends ends = {.version = f->version,
                              .local = f->local,
                              .remote = f->remote,
                              .local_port = f->local_port,
                              .remote_port = f->remote_port};

    if (f->torn)
        note_ends(e, NOTE_TORN, &ends);
}

void embed_inbox_gave_up(void *ctx, const struct stack_socket *k)
{
    struct ends ends;
    uint8_t version;

    stack_local(k, &ends.version, &ends.local, &ends.local_port);
    stack_remote(k, &version, &ends.remote, &ends.remote_port);
    note_ends(ctx, NOTE_GONE, &ends);
}

/* The ends of a TCP connection as the socket knows them, or as it has them since it was redirected. */
static const struct ends *redirected(struct embed *e, const struct ends *at,
                                     void (*of)(struct host *h, struct host_redirect_ends *ends),
                                     struct ends *other)
{
    struct host_redirect_ends r = {.version = at->version,
                                   .protocol = WIRE_PROTOCOL_TCP,
                                   .local = at->local,
                                   .remote = at->remote,
                                   .local_port = at->local_port,
                                   .remote_port = at->remote_port};

    of(e->host, &r);
    *other = (struct ends){r.version, r.local_port, r.remote_port, r.local, r.remote};
    return other;
}

static struct embed_socket *held_by(struct embed_gate *g, uint64_t frame)
{
    for (struct embed_socket **at = &g->held; *at != NULL; at = &(*at)->held_next)
        if ((*at)->held_frame == frame) {
            struct embed_socket *s = *at;

            *at = s->held_next;
            s->held_frame = 0;
            return s;
        }
    return NULL;
}

void embed_gate_forget(struct embed *e, struct embed_socket *s)
{
    if (s->held_frame != 0)
        (void)held_by(e->gate, s->held_frame);
}

static void carry_out(struct embed *e, const struct note *n)
{
    const struct ends *at = &n->ends;
    struct ends other;
    struct embed_socket *s;
    struct embed_interface *i;

    if (n->kind == NOTE_TORN) {
        at = redirected(e, at, host_redirect_asked, &other);
        stack_advance(e->gate->stack, embed_now(e));
        (void)stack_fail(e->gate->stack, at->version, &at->local, at->local_port, &at->remote,
                         at->remote_port);
    } else if (n->kind == NOTE_GONE) { /* not where another of these ends has begun meanwhile */
        if (!stack_connected(e->gate->stack, at->version, &at->local, at->local_port, &at->remote,
                             at->remote_port)) {
            at = redirected(e, at, host_redirect_given, &other);
            host_connection_gone(e->host, at->version, &at->local, at->local_port, &at->remote,
                                 at->remote_port);
        }
    } else if (n->kind == NOTE_FRAME) {
        i = embed_interface_by_index(e, n->interface);
        if (i == NULL)
            return;
        if (!n->inbound)
            embed_wire_frame(e, i, false, n->bytes, n->size);
        else if (embed_frame_is_for(i->mac[0], n->bytes))
            embed_gate_take(e, i, n->bytes, n->size, false);
    } else if (n->kind == NOTE_PACKET && (n->inbound || n->loopback)) {
        embed_gate_give(e, n->interface, n->bytes, n->size);
    } else if (n->kind == NOTE_PACKET) {
        i = embed_interface_towards(e, n->interface, n->bytes, n->size);
        if (i != NULL && n->looped)
            embed_wire_loop(e, i->index, n->bytes, n->size);
        if (i != NULL)
            embed_gate_send_cut(e, i, n->bytes, n->size);
    } else if (n->completed.operation == HOST_OPERATION_BIND) {
        embed_sockets_continue(e);
    } else if (n->completed.operation == HOST_OPERATION_CONNECT) {
        s = held_by(e->gate, n->completed.frame);
        if (s != NULL)
            embed_socket_decided(s, n->completed.permitted);
    }
}

bool embed_gate_drain(struct embed *e)
{
    struct embed_gate *g = e->gate;
    struct note *n;

    if (g->taken == NULL && atomic_load(&g->inbox) != NULL)
        for (struct note *all = atomic_exchange(&g->inbox, NULL), *next; all != NULL; all = next) {
            next = all->next;
            all->next = g->taken;
            g->taken = all;
        }
    n = g->taken;
    if (n == NULL)
        return false;
    g->taken = n->next;
    carry_out(e, n);
    free(n);
    return true;
}

void embed_inbox_host(struct host_config *config)
{
    config->emit = on_emit;
    config->lost = on_lost;
    config->completed = on_completed;
}

void embed_inbox_empty(struct embed_gate *g)
{
    struct note *n;

    while ((n = g->taken) != NULL || (n = atomic_exchange(&g->inbox, NULL)) != NULL) {
        g->taken = n->next;
        free(n);
    }
}

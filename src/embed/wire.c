/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Wires: frames between the host under test and its peers, on their way for a while.
 *
 *   a peer's stack --send--> embed_wire_send() --rules, taps, capture--> under way --due--> gate.c: the host
 *   the host's     --gate--> embed_wire_frame() --              ""  --> under way --due--> the peer's stack, or
 *   weir_frame_send() -----> embed_wire_frame()                                            an attached descriptor
 *   the host's     --gate--> embed_wire_loop() --> under way --at once--> the host's stack (loopback, own members)
 *   a peer's       --------> embed_wire_echo() --> under way --at once--> its own stack (own members of a group)
 *
 * What is under way stands in a heap by the time when it is due, then by the order in which it was sent: a wire
 * without rules keeps the order. A packet that is held back (WEIR_REORDER) is due later, and as soon as the next
 * packet of its wire and way has gone.
 *
 * A frame has an IP packet behind its link header, or none: then rules that look at packets pass it over, only the tap for
 * frames hears of it, and no stack gets it. At the end of a wire an adapter takes what is for its own address or a group's.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "embed/machine.h"

#define PACKET_MOST 65535u
#define SPARE       64u /* flights kept for the next ones, each with room for an ordinary packet */
#define SPARE_ROOM  (LINK + 1500u)

struct flight {
    uint64_t due, number;
    struct embed_interface *i; /* NULL: loopback */
    uint32_t interface, room;
    uint32_t size,
        link;  /* the frame's; of what stands before its IP packet: as much as `size` where there is none */
    size_t at; /* in the heap */
    bool to_host, echo;   /* echo: it comes back to the peer that sent it */
    struct flight *under; /* what was under way to somebody of the test's when this one was: a tap may send */
    uint8_t frame[];
};

struct embed_wires {
    struct embed_rules *rules;
    struct flight **heap;
    size_t count, room;
    uint64_t number;
    struct flight *spare[SPARE];
    unsigned spare_count;
    struct flight *back[2]; /* held back, of this way, last; NULL: none */
    struct embed_interface *back_of[2];
    void (*tap)(void *ctx, uint32_t interface, enum weir_way way, const uint8_t *packet, size_t size);
    void *tap_ctx;
    struct flight *sent; /* with rules, taps, drivers; found here, should they be left by longjmp() */
};

/* ---- life ---------------------------------------------------------------------------------------------- */

int embed_wires_create(struct embed *e)
{
    struct embed_wires *w = calloc(1, sizeof *w);

    if (w == NULL)
        return -ENOMEM;
    e->wires = w;
    return embed_rules_create(e, &w->rules);
}

void embed_wires_stop(struct embed *e)
{
    struct embed_wires *w = e->wires;

    if (w == NULL)
        return;
    embed_capture_stop(e);
    w->tap = NULL;
    for (size_t k = 0; k < w->count; k++)
        free(w->heap[k]);
    w->count = 0;
    w->back[0] = w->back[1] = NULL;
}

void embed_wires_destroy(struct embed *e)
{
    struct embed_wires *w = e->wires;

    if (w == NULL)
        return;
    embed_wires_stop(e);
    while (w->spare_count > 0)
        free(w->spare[--w->spare_count]);
    embed_rules_destroy(w->rules);
    free(w->heap);
    free(w);
    e->wires = NULL;
}

struct embed_rules *embed_wires_rules(struct embed *e)
{
    return e->wires->rules;
}

/* ---- what is under way --------------------------------------------------------------------------------- */

static bool is_sooner(const struct flight *a, const struct flight *b)
{
    return a->due != b->due ? a->due < b->due : a->number < b->number;
}

static void place(struct embed_wires *w, size_t at, struct flight *f)
{
    w->heap[at] = f;
    f->at = at;
}

static void rise(struct embed_wires *w, size_t at)
{
    struct flight *f = w->heap[at];

    for (; at > 0 && is_sooner(f, w->heap[(at - 1) / 2]); at = (at - 1) / 2)
        place(w, at, w->heap[(at - 1) / 2]);
    place(w, at, f);
}

static void sink(struct embed_wires *w, size_t at)
{
    struct flight *f = w->heap[at];

    for (size_t child; (child = 2 * at + 1) < w->count; at = child) {
        if (child + 1 < w->count && is_sooner(w->heap[child + 1], w->heap[child]))
            child++;
        if (!is_sooner(w->heap[child], f))
            break;
        place(w, at, w->heap[child]);
    }
    place(w, at, f);
}

static void take_out(struct embed_wires *w, struct flight *f)
{
    const size_t at = f->at;

    w->count--;
    if (at == w->count)
        return;
    place(w, at, w->heap[w->count]);
    sink(w, at);
    rise(w, at);
}

static struct flight *flight_new(struct embed_wires *w, uint32_t size)
{
    struct flight *f;

    if (w->count == w->room) {
        size_t room = w->room == 0 ? 64 : 2 * w->room;
        struct flight **more = realloc(w->heap, room * sizeof *more);

        if (more == NULL)
            return NULL;
        w->heap = more;
        w->room = room;
    }
    if (size <= SPARE_ROOM && w->spare_count > 0) {
        f = w->spare[--w->spare_count];
    } else {
        const uint32_t room = size <= SPARE_ROOM ? SPARE_ROOM : size;

        f = malloc(sizeof *f + room);
        if (f == NULL)
            return NULL;
        f->room = room;
    }
    f->size = size;
    f->echo = false;
    f->number = w->number++;
    return f;
}

static void flight_free(struct embed_wires *w, struct flight *f)
{
    if (f->room == SPARE_ROOM && w->spare_count < SPARE)
        w->spare[w->spare_count++] = f;
    else
        free(f);
}

static void go(struct embed_wires *w, struct flight *f)
{
    place(w, w->count++, f);
    rise(w, w->count - 1);
}

uint64_t embed_wires_due(const struct embed *e)
{
    return e->wires->count == 0 ? UINT64_MAX : e->wires->heap[0]->due;
}

/* ---- link headers -------------------------------------------------------------------------------------- */

static void group_mac(const uint8_t *packet, uint8_t *mac)
{
    if (packet[0] >> 4 == 6 && packet[24] == 0xff) {
        memcpy(mac, (const uint8_t[]){0x33, 0x33, packet[36], packet[37], packet[38], packet[39]}, 6);
    } else if (packet[0] >> 4 == 4 && packet[16] >> 4 == 0xe) {
        memcpy(mac, (const uint8_t[]){1, 0, 0x5e, packet[17] & 0x7f, packet[18], packet[19]}, 6);
    } else if (packet[0] >> 4 == 4 &&
               packet[19] == 255) { /* a subnet's broadcast address, by what it mostly is */
        memset(mac, 0xff, 6);
    }
}

void embed_wire_link(const struct embed_interface *i, bool to_host, uint8_t *frame, uint32_t size)
{
    const bool six = frame[LINK] >> 4 == 6;

    memcpy(frame, i->mac[!to_host], 6);
    memcpy(frame + 6, i->mac[to_host], 6);
    frame[12] = six ? 0x86 : 0x08;
    frame[13] = six ? 0xdd : 0x00;
    if (size >= LINK + 40 || (!six && size >= LINK + 20))
        group_mac(frame + LINK, frame);
}

/* ---- sending ------------------------------------------------------------------------------------------- */

static void spoil(struct flight *f)
{
    if (f->size > f->link)
        f->frame[f->link + rt_random() % (f->size - f->link)] ^= (uint8_t)(1u << rt_random() % 8);
}

static void cut(struct flight *f)
{
    if (f->size > f->link + 1)
        f->size = f->link + 1 + (uint32_t)(rt_random() % (f->size - f->link - 1));
}

/* The next packet of the wire and way has gone: what was held back for it may. */
static void let_go(struct embed_wires *w, const struct flight *after)
{
    struct flight *f = w->back[after->to_host];

    if (f == NULL || w->back_of[after->to_host] != after->i)
        return;
    w->back[after->to_host] = NULL;
    if (f->due <= after->due)
        return;
    take_out(w, f);
    f->due = after->due;
    f->number = w->number++;
    go(w, f);
}

static struct flight *copy_of(struct embed_wires *w, const struct flight *f)
{
    struct flight *copy = flight_new(w, f->size);

    if (copy == NULL)
        return NULL;
    copy->due = f->due;
    copy->i = f->i;
    copy->interface = f->interface;
    copy->to_host = f->to_host;
    copy->link = f->link;
    memcpy(copy->frame, f->frame, f->size);
    return copy;
}

static void carry_out(struct embed *e, const struct embed_ruling *ruling, struct flight *f)
{
    struct embed_wires *w = e->wires;
    struct flight *copy = NULL;

    if (ruling->decided) {
        switch (ruling->action) {
        case WEIR_DROP:
            flight_free(w, f);
            return;
        case WEIR_DELAY:
            f->due += ruling->delay_ns;
            break;
        case WEIR_DUPLICATE:
            copy = copy_of(w, f);
            break;
        case WEIR_REORDER:
            f->due += ruling->delay_ns;
            go(w, f);
            w->back[f->to_host] = f;
            w->back_of[f->to_host] = f->i;
            return;
        case WEIR_CORRUPT:
            spoil(f);
            break;
        case WEIR_CUT:
            cut(f);
            break;
        }
    }
    go(w, f);
    if (copy != NULL)
        go(w, copy);
    let_go(w, f);
}

/* The taps hear of it. */
static void tell(struct embed *e, const struct flight *f)
{
    const enum weir_way way = f->to_host ? WEIR_TO_HOST : WEIR_FROM_HOST;
    struct embed_wires *w = e->wires;

    if (w->tap != NULL && f->link < f->size) {
        const void *out = embed_calls_out();

        w->tap(w->tap_ctx, f->i->index, way, f->frame + f->link, f->size - f->link);
        embed_is_back(out);
        embed_again(e);
    }
    embed_frame_tell(e, f->i, way, false, f->frame, f->size);
}

/* The adapter's part, where it has one; a packet that comes back inside the machine has seen none, and is as good. */
static void finish_sum(struct flight *f)
{
    struct wire_packet p;

    wire_parse_ip(f->frame + f->link, f->size - f->link, f->size - f->link, &p);
    (void)wire_sum_finish(&p, f->frame + f->link);
}

/* It is put on the wire. */
static void send(struct embed *e, struct flight *f, struct embed_interface *i, bool to_host)
{
    const bool ip = f->link < f->size;
    struct embed_packet_event event = {.kind = WEIR_EVENT_PACKET,
                                       .interface = i->index,
                                       .inbound = to_host,
                                       .frame = !ip,
                                       .bytes = ip ? f->frame + f->link : f->frame,
                                       .size = ip ? f->size - f->link : f->size};
    struct embed_wires *w = e->wires;
    struct embed_ruling ruling;

    f->due = embed_now(e) + i->delay_ns;
    f->i = i;
    f->interface = i->index;
    f->to_host = to_host;
    f->under = w->sent;
    if (ip && !to_host && i->checksum_offload)
        finish_sum(f);
    w->sent = f;
    ruling = embed_rules_ask(w->rules, i, to_host, ip ? f->frame + f->link : NULL, f->size - f->link);
    event.verdict = ruling.verdict;
    embed_event_packet(e, &event);
    tell(e, f);
    w->sent = f->under;
    embed_capture_write(e, i, to_host, f->frame, f->size);
    carry_out(e, &ruling, f);
}

void embed_wire_send(struct embed *e, struct embed_interface *i, bool to_host, const uint8_t *bytes,
                     uint32_t size)
{
    struct flight *f = size <= PACKET_MOST && size != 0 ? flight_new(e->wires, LINK + size) : NULL;

    if (f == NULL)
        return; /* without memory a wire loses packets */
    f->link = LINK;
    memcpy(f->frame + LINK, bytes, size);
    embed_wire_link(i, to_host, f->frame, f->size);
    send(e, f, i, to_host);
}

void embed_wire_frame(struct embed *e, struct embed_interface *i, bool to_host, const uint8_t *frame,
                      uint32_t size)
{
    struct flight *f = size >= LINK && size <= EMBED_FRAME_MOST ? flight_new(e->wires, size) : NULL;

    if (f == NULL)
        return;
    memcpy(f->frame, frame, size);
    f->link = embed_frame_ip(frame, size);
    send(e, f, i, to_host);
}

void embed_wire_loop(struct embed *e, uint32_t interface, const uint8_t *bytes, uint32_t size)
{
    struct flight *f = size <= PACKET_MOST ? flight_new(e->wires, LINK + size) : NULL;

    if (f == NULL)
        return;
    f->due = embed_now(e);
    f->i = NULL;
    f->interface = interface;
    f->to_host = true;
    f->link = LINK;
    memcpy(f->frame + LINK, bytes, size);
    finish_sum(f);
    go(e->wires, f);
}

void embed_wire_echo(struct embed *e, struct embed_interface *i, const uint8_t *bytes, uint32_t size)
{
    uint8_t mac[6] = {0};
    struct flight *f;

    if (size > PACKET_MOST || size < 20 || (bytes[0] >> 4 == 6 && size < 40))
        return;
    group_mac(bytes, mac);
    f = (mac[0] & 1) != 0 ? flight_new(e->wires, LINK + size) : NULL;
    if (f == NULL)
        return;
    memcpy(f->frame + LINK, bytes, size);
    f->due = embed_now(e);
    f->i = i;
    f->interface = i->index;
    f->to_host = false;
    f->echo = true;
    f->link = LINK;
    go(e->wires, f);
}

/* ---- arriving ------------------------------------------------------------------------------------------ */

static void arrive(struct embed *e, struct flight *f, uint64_t now)
{
    const uint8_t *packet = f->frame + f->link;
    const uint32_t size = f->size - f->link;
    struct stack *at;

    if (f->i == NULL) {
        embed_gate_give(e, f->interface, packet, size);
        return;
    }
    if (f->i->fd >= 0 && !f->to_host) { /* a TUN device's, which has no addresses */
        if (size != 0)
            (void)!write(f->i->fd, packet, size);
        return;
    }
    if (!f->echo && !embed_frame_is_for(f->i->mac[!f->to_host], f->frame))
        return;
    if (f->to_host) {
        embed_gate_arrive(e, f->i, f->frame, f->size);
        return;
    }
    if (!f->echo)
        embed_frame_tell(e, f->i, WEIR_FROM_HOST, true, f->frame, f->size);
    at = f->i->peer; /* whoever was told may have ended it */
    if (at == NULL || size == 0)
        return;
    stack_advance(at, now);
    stack_input(at, 1, packet, size);
}

bool embed_wires_deliver(struct embed *e, uint64_t now)
{
    struct embed_wires *w = e->wires;
    struct flight *f;

    if (w->count == 0 || w->heap[0]->due > now)
        return false;
    f = w->heap[0];
    take_out(w, f);
    for (unsigned way = 0; way < 2; way++)
        if (w->back[way] == f)
            w->back[way] = NULL;
    f->under = w->sent;
    w->sent = f;
    arrive(e, f, now);
    w->sent = f->under;
    flight_free(w, f);
    return true;
}

/* ---- weir.h -------------------------------------------------------------------------------------------- */

int weir_deliver(struct weir *weir, uint32_t interface, const void *packet, size_t size)
{
    struct embed_interface *i;
    struct embed *e;

    if (EMBED_ENTER(EMBED_ENGINE, weir, &e) == NULL)
        return -EINVAL;
    i = embed_interface_by_index(e, interface);
    if (i == NULL || packet == NULL || size == 0 || size > PACKET_MOST) {
        embed_failed(e, __func__,
                     i == NULL ? "there is no interface %u" : "a packet of 1 to 65,535 bytes is wanted",
                     interface);
        return -EINVAL;
    }
    if (rt_carried()->in_classify != 0) {
        embed_failed(e, __func__, "called from within a classify");
        return -EINVAL;
    }
    {
        struct flight *f = flight_new(e->wires, LINK + (uint32_t)size);

        if (f == NULL)
            return -ENOMEM;
        memcpy(f->frame + LINK, packet, size);
        embed_wire_link(i, true, f->frame, f->size);
        embed_gate_arrive(e, i, f->frame, f->size);
        flight_free(e->wires, f);
    }
    embed_settle_call(e);
    return 0;
}

void weir_tap(struct weir *weir,
              void (*tap)(void *ctx, uint32_t interface, enum weir_way way, const uint8_t *packet,
                          size_t size),
              void *ctx)
{
    struct embed *e;

    if (EMBED_ENTER(EMBED_ENGINE, weir, &e) == NULL)
        return;
    e->wires->tap = tap;
    e->wires->tap_ctx = ctx;
}

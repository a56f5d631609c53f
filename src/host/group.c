/* SPDX-License-Identifier: Apache-2.0 */
/*
 * group: forwarded fragments that are classified once more as a group (ORD-16, PKT-13), and what a callout
 * may make of such a group (NBL-20).
 *
 *   fragment --FW alone: passed--> waits (HOST_HELD) --the last one is there--> FW as a chain --> all emitted
 *                                     |                                                      +--> all lost
 *                                     +--60 s, evicted, two overlap, the end--> emitted: what never became a
 *                                        group goes on, for only policy removes packets
 *
 * One verdict is for all: the frames that waited are counted anew under their group's fate, and told of by
 * emit() or lost(), before the frame that completed the group gets its own outcome. The frames are held in
 * room of the host's own; a repeated fragment shares the fate of its group, but is not in the chain.
 *
 * The worker's; fragment.c says which datagram is whose, under the lane. No lane held while anybody is told.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/host_inject.h"
#include "host/indicate.h"
#include "host/paths.h"
#include "host/walk.h"
#include "nt/mdl.h"
#include "ws2def.h"

/* A fragment that waits, or that completes the group. */
struct piece {
    struct piece *next; /* in the order of arrival; free ones: the next free one */
    struct ndis_frame *frame;
    struct wire_packet packet; /* of the frame's own bytes */
    UINT64 number;
    const struct host_interface *interface, *next_hop;
};

struct pieces {
    struct piece *first, *last;
};

struct groups {
    struct fragments *fragments;
    struct pieces *waiting;        /* by slot of fragments */
    struct pieces complete, given; /* what fragments have just said */
    struct piece *free;
    struct piece **sorted;     /* room for a group's, */
    struct ndis_frame **chain; /* and for its frames */
    size_t room;
};

static void append(struct pieces *to, struct pieces *what)
{
    if (what->first == NULL)
        return;
    if (to->first == NULL)
        to->first = what->first;
    else
        to->last->next = what->first;
    to->last = what->last;
    *what = (struct pieces){NULL, NULL};
}

static void over(void *ctx, uint32_t slot, bool complete)
{
    struct groups *g = ctx;

    append(complete ? &g->complete : &g->given, &g->waiting[slot]);
}

/* ---- life */

int groups_create(struct lane *l)
{
    struct groups *g = calloc(1, sizeof(*g));
    int e;

    if (g == NULL)
        return -ENOMEM;
    l->groups = g;
    e = fragments_create(&l->host->limits, &g->fragments);
    if (e != 0)
        return e;
    g->waiting = calloc(fragments_slots(g->fragments), sizeof(*g->waiting));
    if (g->waiting == NULL)
        return -ENOMEM;
    fragments_watch(g->fragments, over, g);
    return 0;
}

static void free_all(struct piece *p, bool held)
{
    while (p != NULL) {
        struct piece *next = p->next;

        if (held)
            ndis_frame_let_go(p->frame);
        free(p);
        p = next;
    }
}

void groups_destroy(struct lane *l)
{
    struct groups *g = l->groups;

    if (g == NULL)
        return;
    if (g->waiting != NULL) {
        fragments_clear(g->fragments);
        free_all(g->given.first, true);
    }
    free_all(g->free, false);
    fragments_destroy(g->fragments);
    free(g->waiting);
    free(g->sorted);
    free(g->chain);
    free(g);
    l->groups = NULL;
}

/* ---- what becomes of those that waited -------------------------------------------------------------------
 */

/* They stood as HELD. */
static void count(struct host *h, enum host_fate fate)
{
    struct host_counts *c = &h->counts;

    __atomic_fetch_sub(&c->fates[HOST_HELD], 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&c->fates[fate], 1, __ATOMIC_RELAXED);
}

/* Tells of the frame and gives it up. No lane held. */
static void end(struct lane *l, struct piece *p, const struct host_outcome *how)
{
    const struct host_config *c = &l->host->config;
    struct host_emitted e = {.version = p->packet.version,
                             .forwarded = true,
                             .interface_index = p->next_hop != NULL    ? p->next_hop->desc.index
                                                : p->interface != NULL ? p->interface->desc.index
                                                                       : 0,
                             .origin = p->number,
                             .time_ns = l->host->now_ns};
    const uint8_t *came;
    uint32_t size, ip_at, all;

    came = ndis_frame_came(p->frame, &size, &ip_at);
    e.link = ip_at != 0 ? came : NULL;
    e.link_size = ip_at;
    e.bytes = ndis_frame_bytes(p->frame, &all) + ip_at;
    e.size = p->packet.ip_length < all - ip_at ? p->packet.ip_length : all - ip_at;
    e.came = came + ip_at;
    e.came_size = size - ip_at;
    count(l->host, how->fate);
    if (how->fate == HOST_PASSED && c->emit != NULL)
        c->emit(c->ctx, &e);
    else if (how->fate != HOST_PASSED && c->lost != NULL)
        c->lost(c->ctx, &e, how);
    ndis_frame_let_go(p->frame);
    p->next = l->groups->free;
    l->groups->free = p;
}

static void let_go_on(struct lane *l, struct piece *p)
{
    const struct host_outcome passed = {.fate = HOST_PASSED, .forwarded = true};
    const bool stayed = lane_rest(l);

    while (p != NULL) {
        struct piece *next = p->next;

        end(l, p, &passed);
        p = next;
    }
    lane_back(l, stayed);
}

void groups_counts(const struct lane *l, struct host_counts *c)
{
    if (l->groups != NULL)
        fragments_counts(l->groups->fragments, c);
}

static struct piece *taken(struct pieces *from)
{
    struct piece *first = from->first;

    *from = (struct pieces){NULL, NULL};
    return first;
}

void groups_expire(struct lane *l, UINT64 now_ns)
{
    struct piece *given;

    if (l->groups == NULL)
        return;
    lane_enter(l);
    fragments_expire(l->groups->fragments, now_ns);
    given = taken(&l->groups->given);
    lane_leave(l);
    if (given != NULL)
        let_go_on(l, given);
}

void groups_flush(struct lane *l)
{
    struct piece *given;

    if (l->groups == NULL)
        return;
    lane_enter(l);
    fragments_clear(l->groups->fragments);
    given = taken(&l->groups->given);
    lane_leave(l);
    if (given != NULL)
        let_go_on(l, given);
}

/* ---- the group ------------------------------------------------------------------------------------------
 */

static struct piece *piece_take(struct groups *g)
{
    struct piece *p = g->free;

    if (p == NULL)
        return malloc(sizeof(*p));
    g->free = p->next;
    return p;
}

static void describe(struct piece *p, const struct scene *s, struct ndis_frame *frame)
{
    uint32_t size;

    *p = (struct piece){.frame = frame,
                        .packet = *s->packet,
                        .number = s->frame,
                        .interface = s->interface,
                        .next_hop = s->next_hop};
    p->packet.frame = ndis_frame_bytes(frame, &size);
}

static int by_offset(const void *a, const void *b)
{
    const struct piece *x = *(struct piece *const *)a, *y = *(struct piece *const *)b;

    if (x->packet.fragment_offset != y->packet.fragment_offset)
        return x->packet.fragment_offset < y->packet.fragment_offset ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

static bool reserve(struct groups *g, size_t count)
{
    if (count <= g->room)
        return true;
    free(g->sorted);
    free(g->chain);
    g->sorted = malloc(count * sizeof(*g->sorted));
    g->chain = malloc(count * sizeof(*g->chain));
    g->room = g->sorted != NULL && g->chain != NULL ? count : 0;
    return g->room != 0;
}

/* The frames in the order of the datagram, each as FW shows it; repeated ones once. NULL: out of memory. */
static NET_BUFFER_LIST *chain_of(const struct scene *s, struct piece *first, size_t *frames)
{
    struct groups *g = s->lane->groups;
    struct scene one = *s;
    uint32_t begin, stop;
    size_t count = 0;

    *frames = 0;
    for (const struct piece *p = first; p != NULL; p = p->next)
        count++;
    if (!reserve(g, count))
        return NULL;
    count = 0;
    for (struct piece *p = first; p != NULL; p = p->next)
        g->sorted[count++] = p;
    qsort(g->sorted, count, sizeof(*g->sorted), by_offset);
    for (size_t i = 0; i < count; i++) {
        struct piece *p = g->sorted[i];

        if (i > 0 && p->packet.fragment_offset == g->sorted[i - 1]->packet.fragment_offset)
            continue;
        one.packet = &p->packet;
        packet_bounds(&one, LAYER_FW, &begin, &stop);
        if (ndis_frame_show(p->frame, begin, packet_offset(&one, LAYER_FW, false), stop,
                            s->host->config.knobs.split_mdl) == NULL)
            return NULL;
        g->chain[(*frames)++] = p->frame;
    }
    return ndis_frames_link(g->chain, *frames);
}

/* OI, if the knob has it, and the MAC layers of what goes out, of a fragment that waited: as paths_forward() does for
 * the last one. */
static void goes_out(const struct scene *s, const struct piece *p, struct host_outcome *out)
{
    const bool in = path_inbound(s);
    struct scene one = *s;
    struct walk w;

    walk_begin(&w, s->host, p->number, &p->packet);
    w.frame = p->frame; /* not the walk's: it is ended by who holds it */
    one.walk = &w;
    one.packet = &p->packet;
    one.frame = p->number;
    one.interface = p->interface;
    one.next_hop = p->next_hop;
    one.packet_direction = FWP_DIRECTION_OUTBOUND;
    if (s->host->config.knobs.forward_ip_layers && !path_step(&one, LAYER_OI, out))
        return;
    if (!in)
        (void)path_send_link(&one, out);
}

/* The group's classify, and its verdict for those that waited. */
static bool decide(struct scene *s, struct piece *first, struct piece *own, struct host_outcome *out)
{
    struct groups *g = s->lane->groups;
    struct host_outcome each;
    bool passed = true, stayed;
    size_t frames;

    s->layer_data = chain_of(s, first, &frames);
    if (s->layer_data != NULL) { /* without memory nobody is asked: only policy removes packets */
        s->flags |= FWP_CONDITION_FLAG_IS_FRAGMENT_GROUP;
        passed = path_step(s, LAYER_FW, out);
        s->flags &= ~(UINT32)FWP_CONDITION_FLAG_IS_FRAGMENT_GROUP;
        ndis_frames_unlink(g->chain, frames);
    }
    s->layer_data = NULL;
    for (struct piece *p = first, *next; p != NULL; p = next) {
        next = p->next;
        if (p == own)
            continue;
        each = *out;
        if (passed)
            goes_out(s, p, &each);
        stayed = lane_rest(s->lane);
        end(s->lane, p, &each);
        lane_back(s->lane, stayed);
    }
    return passed;
}

bool group_forward(struct scene *s, struct host_outcome *out)
{
    struct lane *l = s->lane;
    struct groups *g = l->groups;
    struct ndis_frame *frame = walk_hold(s);
    struct piece *p, *given, *group;
    enum fragment_result r;
    const uint8_t *bytes;
    uint32_t size, slot;

    if (frame == NULL)
        return true;
    p = piece_take(g);
    if (p == NULL) {
        ndis_frame_let_go(frame);
        return true;
    }
    describe(p, s, frame);
    lane_enter(l);
    r = fragments_add(g->fragments, s->packet, 0, s->time_ns, &bytes, &size);
    slot = fragments_slot(g->fragments);
    given = taken(&g->given);
    if (r == FRAGMENT_HELD)
        append(&g->waiting[slot], &(struct pieces){p, p});
    else if (r == FRAGMENT_COMPLETE)
        append(&g->complete, &(struct pieces){p, p});
    group = taken(&g->complete);
    lane_leave(l);
    if (given != NULL)
        let_go_on(l, given);
    if (r == FRAGMENT_HELD) {
        out->fate = HOST_HELD;
        out->layer = engine_layer_by_id(layer_id(LAYER_FW, s->version));
        return false;
    }
    const bool passed = r != FRAGMENT_COMPLETE || decide(s, group, p, out);

    ndis_frame_let_go(frame); /* the walk has it still */
    p->next = g->free;
    g->free = p;
    return passed;
}

/* ---- NBL-20 ---------------------------------------------------------------------------------------------
 */

/* A fragment of the chain: its packet, from the IP header on. */
static bool parse(const NET_BUFFER_LIST *nbl, struct wire_packet *p)
{
    struct ndis_frame *f = ndis_frame_of(nbl);
    uint32_t size, ip_at, all;
    const uint8_t *bytes;

    (void)ndis_frame_came(f, &size, &ip_at);
    bytes = ndis_frame_bytes(f, &all);
    wire_parse_ip(bytes + ip_at, all - ip_at, all - ip_at, p);
    return p->fragment;
}

/* So many bytes stand in front of a fragment's data. */
static uint32_t before_data(const struct wire_packet *p)
{
    return p->version == 6 ? p->fragment_header_at + 8 : p->ip_header_size;
}

NTSTATUS host_reassemble_group(UINT16 family, NET_BUFFER_LIST *chain, NDIS_HANDLE pool, UINT32 back_fill,
                               NET_BUFFER_LIST **out, const void *site)
{
    struct wire_packet first, second = {0};
    NET_BUFFER_LIST *whole;
    const NET_BUFFER *nb;
    uint8_t *header;
    uint32_t front;

    *out = NULL;
    if (!ndis_is_group(chain) || !parse(chain, &first) || (pool != NULL && !ndis_nbl_pool_fits(pool)) ||
        family != (first.version == 6 ? AF_INET6 : AF_INET))
        return STATUS_INVALID_PARAMETER;
    if (chain->Next != NULL && !parse(chain->Next, &second))
        return STATUS_INVALID_PARAMETER;
    front = first.version == 6 ? first.fragment_header_at : first.ip_header_size;
    whole = ndis_nbl_join(chain, pool, before_data(&first), before_data(&second), front, back_fill, site);
    if (whole == NULL)
        return STATUS_NO_MEMORY;
    nb = whole->FirstNetBuffer; /* its front is memory of its own, in one piece */
    header = (uint8_t *)mm_mdl_map(nb->CurrentMdl) + nb->CurrentMdlOffset;
    memcpy(header, first.frame, front);
    fragment_header_of_whole(header, first.version, front, nb->DataLength - front,
                             first.version == 6 ? first.frame[first.fragment_header_at] : 0);
    *out = whole;
    return STATUS_SUCCESS;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redirect_frame: packets of redirected sockets and connections, as they would have been.
 *
 *   capture:  10.0.0.1:40000 -> 10.0.0.2:80      10.0.0.2:80 -> 10.0.0.1:40000
 *                 |  redirected to 10.0.0.9:8080                 ^
 *   layers,   10.0.0.1:40000 -> 10.0.0.9:8080    10.0.0.9:8080 -> 10.0.0.1:40000
 *   output
 *
 * A host that is given a capture's frames translates them before anything looks at them: by the local end, if the
 * socket's bind was redirected; then by both ends. A live host (host_config.live) does so with what its programs send;
 * what arrives is what it is, and host_redirect_undo() makes of it, behind the layers, what the program's socket waits
 * for, which knows nothing of its redirection. The packet that caused a connect to be redirected is translated in the
 * middle of its way (redirect_rewrite()). Frames keep their size. A SYN that begins a connection anew where the redirected
 * one is over is asked about anew.
 *
 * Fragments. The first one has the ports. What is decided about it, or about the datagram that is put together from what
 * follows, is noted (redirect_pieces.h), and counts for all of them. One that comes before the first looks for that among
 * the frames that follow (host_config.following); where it is not there the datagram stays as it is.
 *
 *   fragment --noted?--> as noted
 *       |  no: its own ports, or those of the first one that follows
 *       +--> translated, or not: noted
 *   datagram of fragments: redirected on its way --redirect_wire_turned()--> noted; the fragment itself is translated
 *
 * ICMP errors quote a packet: of a redirected connection's its ends are translated as the packet's own were, and so are the
 * error's own addresses where they are the same. Of a router's the sender stays.
 *
 * Used by the lane's worker.
 */
#include "host/paths.h"
#include "host/redirect_wire_inside.h"
#include "host/walk.h"

static bool is_icmp(const struct wire_packet *p)
{
    return p->protocol == (p->version == 4 ? WIRE_PROTOCOL_ICMP : WIRE_PROTOCOL_ICMPV6);
}

/* The packet's ends as the capture has them, from this host's side. */
static void ends_of(const struct wire_packet *p, bool out, struct host_redirect_ends *e)
{
    *e = (struct host_redirect_ends){.version = p->version,
                                     .protocol = p->protocol,
                                     .local = out ? p->source : p->destination,
                                     .remote = out ? p->destination : p->source,
                                     .local_port = out ? p->source_port : p->destination_port,
                                     .remote_port = out ? p->destination_port : p->source_port};
    if (is_icmp(p)) {
        e->local_port = p->icmp_id;
        e->remote_port = 0;
    }
}

static struct redirect_tuple tuple_of(const struct host_redirect_ends *e, bool out)
{
    return (struct redirect_tuple){.source = out ? e->local : e->remote,
                                   .destination = out ? e->remote : e->local,
                                   .source_port = out ? e->local_port : e->remote_port,
                                   .destination_port = out ? e->remote_port : e->local_port};
}

/* ---- looking up ---------------------------------------------------------------------------------------------- */

/* A SYN out that begins where the connection that was redirected is over: it is asked about anew. */
static bool begins_anew(struct lane *l, const struct translation *t, const struct wire_packet *p, bool out)
{
    const struct host_flow *f;

    if (!out || p->protocol != WIRE_PROTOCOL_TCP ||
        (p->tcp_flags & (WIRE_TCP_SYN | WIRE_TCP_ACK | WIRE_TCP_RST)) != WIRE_TCP_SYN)
        return false;
    if (t->until_ns != 0)
        return true;
    f = flow_table_by_id(l->flows, t->flow_id);
    if (f == NULL || f->marks & (FLOW_MARK_TORN | FLOW_MARK_GONE))
        return true;
    if (f->state == ALE_DENIED)
        return f->half[0].next != p->tcp_seq;
    return f->state == ALE_AUTHORIZED && f->tcp != TCP_NONE && tcp_starts_anew(f, p, true);
}

/* Lane held. The ends that the layers are shown of what goes `out`. quoted: it begins nothing. */
static bool looks_up(struct lane *l, struct redirect_wire *w, const struct wire_packet *p, bool out,
                     bool quoted, struct redirect_tuple *to)
{
    struct host_redirect_ends e;
    struct translation *t;
    bool any;

    ends_of(p, out, &e);
    any = redirect_wire_bind(w, &e);
    t = redirect_wire_find(w, &e);
    if (t != NULL && t->flow_id != 0) {
        if (!quoted && begins_anew(l, t, p, out)) {
            redirect_wire_over(w, t);
        } else {
            e = t->given;
            any = true;
        }
    }
    *to = tuple_of(&e, out);
    return any;
}

/* What the packet's ends are to be, whichever way it goes; of a live host only what it sends. Lane not held. */
static bool translation_of(struct lane *l, struct redirect_wire *w, const struct wire_packet *p,
                           struct redirect_tuple *to)
{
    bool found;

    lane_enter(l);
    redirect_wire_expire(w, l->host->now_ns);
    found =
        looks_up(l, w, p, true, false, to) || (!l->host->config.live && looks_up(l, w, p, false, false, to));
    lane_leave(l);
    return found;
}

/* ---- fragments ----------------------------------------------------------------------------------------------- */

static bool has_ports(const struct wire_packet *p)
{
    return p->reached == WIRE_TRANSPORT && p->fragment_offset == 0;
}

/* The first fragment of p's datagram, from the frames that follow; NULL: it is not there. */
static const struct wire_packet *first_of(struct lane *l, const struct wire_packet *p)
{
    const struct host_config *c = &l->host->config;
    const struct host_frame *next;
    bool stayed;

    if (has_ports(p))
        return p;
    if (p->fragment_offset == 0 || c->following == NULL)
        return NULL;
    stayed = lane_rest(l);
    for (unsigned n = 0; (next = c->following(c->ctx, n)) != NULL; n++)
        if (redirect_piece_same(next->packet, p) && has_ports(next->packet))
            break;
    lane_back(l, stayed);
    return next != NULL ? next->packet : NULL;
}

/* What is noted of p's datagram, or is now. NULL: no memory. */
static struct redirect_piece *noted(struct lane *l, struct redirect_wire *w, const struct wire_packet *p)
{
    struct redirect_piece *n = redirect_piece_of(w->pieces, p, l->host->now_ns);
    const bool begins = p->fragment_offset == 0;
    const struct wire_packet *first;
    struct redirect_tuple to;
    bool found;

    if (n != NULL && !(begins && n->begun)) { /* else the identification is used again */
        n->begun |= begins;
        return n;
    }
    first = first_of(l, p);
    found = first != NULL && translation_of(l, w, first, &to);
    n = redirect_piece_new(&w->pieces, p, l->host->now_ns);
    if (n == NULL)
        return NULL;
    n->begun = begins;
    n->translated = found;
    if (found)
        n->to = to;
    return n;
}

/* Notes what a datagram's way has made of it. */
static void note(struct lane *l, struct redirect_wire *w, const struct wire_packet *p,
                 const struct redirect_tuple *to)
{
    struct redirect_piece *n = redirect_piece_new(&w->pieces, p, l->host->now_ns);

    if (n == NULL)
        return;
    n->begun = p->fragment_offset == 0;
    n->translated = true;
    n->to = *to;
}

/* ---- frames -------------------------------------------------------------------------------------------------- */

static const struct wire_packet *written(struct lane *l, struct redirect_wire *w, bool is)
{
    if (!is)
        return NULL;
    w->now = true;
    host_count(&ale_of(l)->redirects->counts.translated);
    return &w->frame.packet;
}

/* The quoted packet's translation; of a live host's own errors alone, which quote what its socket was given. */
static const struct wire_packet *error(struct lane *l, struct redirect_wire *w, const struct wire_packet *p)
{
    const bool live = l->host->config.live;
    struct wire_packet quoted;
    struct redirect_piece *n;
    struct redirect_tuple to;
    bool found;

    if (!wire_icmp_quote(p, &quoted))
        return NULL;
    if (quoted.reached == WIRE_TRANSPORT) {
        lane_enter(l);
        found =
            (!live && looks_up(l, w, &quoted, true, true, &to)) || looks_up(l, w, &quoted, false, true, &to);
        lane_leave(l);
    } else {
        n = quoted.fragment ? redirect_piece_of(w->pieces, &quoted, l->host->now_ns) : NULL;
        found = n != NULL && n->translated;
        if (found)
            to = n->to;
    }
    return found ? written(l, w, redirect_write_error(&w->frame, p, &quoted, &to)) : NULL;
}

const struct wire_packet *redirect_wire_frame(struct lane *l, const struct host_frame *f)
{
    const struct wire_packet *p = f->packet, *as = NULL;
    struct redirect_wire *w = redirect_wire_of(l);
    struct redirect_piece *n;
    struct redirect_tuple to;

    w->now = w->turned = false;
    w->came = NULL;
    if (p->fragment && p->fault == WIRE_OK && p->reached >= WIRE_NETWORK &&
        !(l->host->config.live && f->way == HOST_WAY_IN)) {
        n = noted(l, w, p);
        if (n != NULL && n->translated) {
            w->to = n->to;
            as = written(l, w, redirect_write(&w->frame, p, &w->to));
            w->came = as != NULL ? p : NULL;
        }
    } else if (wire_is_icmp_error(p)) {
        if (!l->host->config.live || f->way != HOST_WAY_IN)
            as = error(l, w, p);
    } else if (p->reached == WIRE_TRANSPORT && !p->fragment && translation_of(l, w, p, &to)) {
        as = written(l, w, redirect_write(&w->frame, p, &to));
    }
    return as != NULL ? as : p;
}

const uint8_t *redirect_wire_bytes(const struct lane *l)
{
    const struct redirect_wire *w = __atomic_load_n(&ale_of(l)->redirects->wire, __ATOMIC_ACQUIRE);

    return w != NULL && w->now ? w->frame.bytes : NULL;
}

bool redirect_wire_is(const struct lane *l)
{
    return redirect_wire_of(l) != NULL;
}

/* ---- on the way ------------------------------------------------------------------------------------------------ */

const struct wire_packet *redirect_wire_came(const struct lane *l, const struct wire_packet *p)
{
    const struct redirect_wire *w = redirect_wire_of(l);

    return w != NULL && w->came != NULL && p == &w->frame.packet ? w->came : p;
}

void redirect_rewrite(struct scene *s, const struct host_redirect_ends *given)
{
    struct redirect_wire *w = redirect_wire_of(s->lane); /* the translation is in it already */
    const struct redirect_tuple to = tuple_of(given, true);
    const struct wire_packet *p = s->packet;
    const bool whole = s->walk != NULL && p != s->walk->first; /* put together; the frame is a piece of it */
    struct redirect_written *out = whole ? &w->whole : &w->frame;

    if (!redirect_write(out, p, &to))
        return;
    host_count(&redirects_of(s->host)->counts.translated);
    if (!whole) {
        w->now = true;
        if (p->fragment)
            note(s->lane, w, redirect_wire_came(s->lane, p), &to);
        if (s->walk != NULL)
            s->walk->first = &out->packet;
    }
    w->turned = whole;
    s->packet = &out->packet;
}

const struct wire_packet *redirect_wire_whole(struct lane *l, const struct wire_packet *piece,
                                              const struct wire_packet *whole)
{
    struct redirect_wire *w = redirect_wire_of(l);

    if (redirect_wire_came(l, piece) == piece || !redirect_write(&w->whole, whole, &w->to))
        return whole;
    return &w->whole.packet;
}

void redirect_wire_turned(struct scene *s, const struct scene *whole)
{
    struct redirect_wire *w = redirect_wire_of(s->lane);
    const struct wire_packet *p = redirect_wire_came(s->lane, s->packet);
    struct redirect_tuple to;

    if (w == NULL || !w->turned)
        return;
    w->turned = false;
    to = (struct redirect_tuple){.source = whole->packet->source,
                                 .destination = whole->packet->destination,
                                 .source_port = whole->packet->source_port,
                                 .destination_port = whole->packet->destination_port};
    note(s->lane, w, p, &to);
    if (!written(s->lane, w, redirect_write(&w->frame, p, &to)))
        return;
    path_scene(s, &w->frame.packet, false);
    s->loopback = whole->loopback;
    s->interface = whole->interface;
    if (s->walk != NULL)
        s->walk->first = &w->frame.packet;
}

/* ---- behind the layers of a live host -------------------------------------------------------------------------- */

const uint8_t *host_redirect_undo(struct host *h, const uint8_t *bytes, uint32_t size)
{
    struct lane *l = &h->lanes[0];
    struct redirect_wire *w = redirect_wire_of(l);
    struct wire_packet p, quoted;
    struct host_redirect_ends e;
    struct redirect_tuple to;
    bool any, quotes;

    if (w == NULL)
        return bytes;
    wire_parse_ip(bytes, size, size, &p);
    quotes = wire_icmp_quote(&p, &quoted);
    if (p.fragment || p.reached != WIRE_TRANSPORT || (quotes && quoted.reached != WIRE_TRANSPORT))
        return bytes;
    ends_of(quotes ? &quoted : &p, quotes, &e);
    rt_mutex_lock(l->lock);
    any = redirect_wire_asked(w, &e);
    rt_mutex_unlock(l->lock);
    to = tuple_of(&e, quotes);
    if (!any ||
        !(quotes ? redirect_write_error(&w->undone, &p, &quoted, &to) : redirect_write(&w->undone, &p, &to)))
        return bytes;
    return w->undone.bytes;
}

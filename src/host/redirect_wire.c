/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redirect_wire: packets of redirected sockets and connections, as they would have been.
 *
 *   capture:  10.0.0.1:40000 -> 10.0.0.2:80      10.0.0.2:80 -> 10.0.0.1:40000
 *                 |  redirected to 10.0.0.9:8080                 ^
 *   layers,   10.0.0.1:40000 -> 10.0.0.9:8080    10.0.0.9:8080 -> 10.0.0.1:40000
 *   output
 *
 * A host that is given a capture's frames translates them before anything looks at them: by the local end, if the
 * socket's bind was redirected; then by both ends. A live host (host_config.live) does so with what its programs send;
 * what arrives is what it is, and host_redirect_undo() makes of it, behind the layers, what the program's socket waits
 * for, which knows nothing of its redirection. The packet that caused a connect to be
 * redirected is translated in the middle of its way (redirect_rewrite()). Frames keep their size; checksums are put
 * right by the difference, or, where the capture shows only the pseudo header's sum, by that.
 *
 * A translation is kept for LATE_NS after its flow has ended, for what comes late; but a SYN that begins a connection
 * anew is asked about anew. Fragments are not translated: only the first has ports. Nor is what an ICMP error quotes.
 *
 * Used by the lane's worker, but for redirect_translate*(), which come with the lane held.
 */
#include <stdlib.h>
#include <string.h>

#include "host/redirect_inside.h"
#include "host/redirect_wire.h"
#include "host/walk.h"

#define LATE_NS   (120ull * 1000000000ull)
#define ENDED_MAX 4096u /* translations of what has ended; the oldest goes */

struct translation {
    struct translation *given_next; /* by the given ends */
    struct translation *next;       /* by the ends as asked for */
    struct translation *ended_next;
    struct host_redirect_ends asked, given;
    UINT64 flow_id, endpoint_id; /* flow_id 0: of a bind: any remote end */
    UINT64 until_ns;             /* 0: not ended */
    bool dead;                   /* replaced; goes with its turn in the list of the ended */
};

struct redirect_wire {
    struct translation **by_ends, **by_given;
    UINT32 buckets, count, ended;
    struct translation *ended_first, **ended_last;
    struct wire_packet packet;
    uint8_t *bytes;
    size_t room;
    bool now; /* `packet` is of the frame that is being given */
};

static struct translation *find(const struct redirect_wire *w, const struct host_redirect_ends *ends)
{
    struct translation *t = w->buckets == 0 ? NULL : w->by_ends[redirect_hash_ends(ends) & (w->buckets - 1)];

    while (t != NULL && (t->dead || !redirect_same_ends(&t->asked, ends)))
        t = t->next;
    return t;
}

/* ---- the table ------------------------------------------------------------------------------------------------ */

static void take_out(struct redirect_wire *w, struct translation *t)
{
    struct translation **at = &w->by_ends[redirect_hash_ends(&t->asked) & (w->buckets - 1)];

    while (*at != t)
        at = &(*at)->next;
    *at = t->next;
    at = &w->by_given[redirect_hash_ends(&t->given) & (w->buckets - 1)];
    while (*at != t)
        at = &(*at)->given_next;
    *at = t->given_next;
    w->count--;
    free(t);
}

/* Those whose time is over, and the oldest beyond ENDED_MAX. */
static void expire(struct redirect_wire *w, UINT64 now_ns)
{
    while (w->ended_first != NULL &&
           (w->ended_first->dead || w->ended_first->until_ns <= now_ns || w->ended > ENDED_MAX)) {
        struct translation *t = w->ended_first;

        w->ended_first = t->ended_next;
        if (w->ended_first == NULL)
            w->ended_last = &w->ended_first;
        w->ended--;
        take_out(w, t);
    }
}

static bool grow(struct redirect_wire *w)
{
    const UINT32 before = w->buckets, buckets = before != 0 ? 2 * before : 64;
    struct translation **heads, **given, **old = w->by_ends;

    if (w->count < before)
        return true;
    heads = calloc(buckets, sizeof(struct translation *));
    given = calloc(buckets, sizeof(struct translation *));
    if (heads == NULL || given == NULL) {
        free(heads);
        free(given);
        return before != 0;
    }
    free(w->by_given);
    w->by_given = given;
    w->by_ends = heads;
    w->buckets = buckets;
    for (UINT32 i = 0; i < before; i++) {
        while (old[i] != NULL) {
            struct translation *t = old[i], **head = &heads[redirect_hash_ends(&t->asked) & (buckets - 1)];

            old[i] = t->next;
            t->next = *head;
            *head = t;
            head = &given[redirect_hash_ends(&t->given) & (buckets - 1)];
            t->given_next = *head;
            *head = t;
        }
    }
    free(old);
    return true;
}

static struct redirect_wire *wire_of(struct redirects *x)
{
    struct redirect_wire *w = x->wire;

    if (w != NULL)
        return w;
    w = calloc(1, sizeof(*w));
    if (w == NULL)
        return NULL;
    w->ended_last = &w->ended_first;
    __atomic_store_n(&x->wire, w, __ATOMIC_RELEASE);
    return w;
}

static void end(struct redirect_wire *w, struct translation *t, UINT64 now_ns)
{
    if (t->until_ns != 0)
        return;
    t->until_ns = now_ns + LATE_NS;
    t->ended_next = NULL;
    *w->ended_last = t;
    w->ended_last = &t->ended_next;
    w->ended++;
}

bool redirect_translate(struct redirects *x, const struct host_redirect_ends *asked,
                        const struct host_redirect_ends *given, UINT64 flow_id, UINT64 endpoint_id)
{
    struct redirect_wire *w = wire_of(x);
    struct translation *t, *before;

    if (w == NULL || !grow(w))
        return false;
    before = find(w, asked);
    t = calloc(1, sizeof(*t));
    if (t == NULL)
        return false;
    if (before != NULL) {
        end(w, before, 0);
        before->dead = true;
    }
    *t = (struct translation){
        .asked = *asked, .given = *given, .flow_id = flow_id, .endpoint_id = endpoint_id};
    t->next = w->by_ends[redirect_hash_ends(asked) & (w->buckets - 1)];
    w->by_ends[redirect_hash_ends(asked) & (w->buckets - 1)] = t;
    t->given_next = w->by_given[redirect_hash_ends(given) & (w->buckets - 1)];
    w->by_given[redirect_hash_ends(given) & (w->buckets - 1)] = t;
    w->count++;
    return true;
}

void redirect_translate_end(struct redirects *x, UINT64 flow_id, UINT64 endpoint_id, UINT64 now_ns)
{
    const struct redirected *r = flow_id != 0 ? redirected_of_flow(x, flow_id) : NULL;
    struct redirect_wire *w = x->wire;
    struct translation *one;

    if (w == NULL)
        return;
    one = r != NULL ? find(w, &r->told.asked) : NULL;
    if (one != NULL && one->flow_id == flow_id)
        end(w, one, now_ns);
    if (flow_id != 0 && x->joined == 0) {
        expire(w, now_ns);
        return;
    }
    for (UINT32 i = 0; i < w->buckets; i++)
        for (struct translation *t = w->by_ends[i]; t != NULL; t = t->next)
            if (!t->dead && t->flow_id == flow_id && (flow_id != 0 || t->endpoint_id == endpoint_id))
                end(w, t, now_ns);
    expire(w, now_ns);
}

void redirect_wire_destroy(struct redirects *x)
{
    struct redirect_wire *w = x->wire;

    if (w == NULL)
        return;
    for (UINT32 i = 0; i < w->buckets; i++) {
        while (w->by_ends[i] != NULL) {
            struct translation *t = w->by_ends[i];

            w->by_ends[i] = t->next;
            free(t);
        }
    }
    free(w->by_ends);
    free(w->by_given);
    free(w->bytes);
    free(w);
    x->wire = NULL;
}

/* ---- writing a packet ---------------------------------------------------------------------------------------- */

static UINT32 fold(uint64_t sum)
{
    while (sum >> 16)
        sum = (sum >> 16) + (sum & 0xffff);
    return (UINT32)sum;
}

static uint64_t sum_of_address(uint8_t version, const union wire_addr *a)
{
    uint64_t sum = 0;

    if (version == 4)
        return (a->v4 >> 16) + (a->v4 & 0xffff);
    for (unsigned i = 0; i < 16; i += 2)
        sum += (UINT32)a->v6[i] << 8 | a->v6[i + 1];
    return sum;
}

static UINT16 get16(const uint8_t *at)
{
    return (UINT16)(at[0] << 8 | at[1]);
}

static void put16(uint8_t *at, UINT32 value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static void put_address(uint8_t *ip, uint8_t version, bool source, const union wire_addr *a)
{
    uint8_t *at = version == 4 ? ip + (source ? 12 : 16) : ip + (source ? 8 : 24);

    if (version == 6) {
        memcpy(at, a->v6, 16);
        return;
    }
    put16(at, a->v4 >> 16);
    put16(at + 2, a->v4 & 0xffff);
}

/* RFC 1624: what stood in it goes out, what stands there now comes in. */
static UINT32 corrected(UINT32 checksum, uint64_t out, uint64_t in)
{
    return ~fold((uint64_t)(~checksum & 0xffff) + (~fold(out) & 0xffff) + fold(in)) & 0xffff;
}

/* The pseudo header alone, as a capture shows it of what the adapter completes. */
static UINT32 pseudo(uint8_t version, uint8_t protocol, uint32_t length, const union wire_addr *a,
                     const union wire_addr *b)
{
    return fold(sum_of_address(version, a) + sum_of_address(version, b) + protocol + (length >> 16) +
                (length & 0xffff));
}

/* The packet with other ends, in the wire's room. False: no memory, or it is cut. */
static bool write(struct redirect_wire *w, const struct wire_packet *p, const union wire_addr *source,
                  UINT16 source_port, const union wire_addr *destination, UINT16 destination_port)
{
    const bool tcp = p->protocol == WIRE_PROTOCOL_TCP, udp = p->protocol == WIRE_PROTOCOL_UDP;
    const uint32_t at = p->transport_at + (tcp ? 16 : udp ? 6 : 2);
    const uint32_t length = p->ip_length - (p->transport_at - p->ip_at);
    uint64_t out = sum_of_address(p->version, &p->source) + sum_of_address(p->version, &p->destination);
    uint64_t in = sum_of_address(p->version, source) + sum_of_address(p->version, destination);
    UINT32 sum;
    uint8_t *bytes;

    if (p->captured > w->room) {
        bytes = realloc(w->bytes, p->captured);
        if (bytes == NULL)
            return false;
        w->bytes = bytes;
        w->room = p->captured;
    }
    bytes = w->bytes;
    memmove(bytes, p->frame, p->captured); /* it may stand there: another translation of the same packet */
    put_address(bytes + p->ip_at, p->version, true, source);
    put_address(bytes + p->ip_at, p->version, false, destination);
    if (p->version == 4)
        put16(bytes + p->ip_at + 10, corrected(get16(bytes + p->ip_at + 10), out, in));
    if ((tcp || udp) && p->transport_at + 4 <= p->captured) {
        put16(bytes + p->transport_at, source_port);
        put16(bytes + p->transport_at + 2, destination_port);
    }
    if ((tcp || udp || p->protocol == WIRE_PROTOCOL_ICMPV6) && at + 2 <= p->captured) {
        sum = get16(bytes + at);
        if ((tcp || udp) && sum != 0 &&
            sum == pseudo(p->version, p->protocol, length, &p->source, &p->destination))
            sum = pseudo(p->version, p->protocol, length, source, destination);
        else if (!udp || sum != 0)
            sum = corrected(sum, out + (tcp || udp ? (UINT32)p->source_port + p->destination_port : 0),
                            in + (tcp || udp ? (UINT32)source_port + destination_port : 0));
        if (udp && sum == 0 && get16(bytes + at) != 0)
            sum = 0xffff;
        put16(bytes + at, sum);
    }
    wire_parse(p->link_type, bytes, p->captured, p->length, &w->packet);
    w->now = true;
    return true;
}

/* ---- frames -------------------------------------------------------------------------------------------------- */

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

/* The local end that a redirected bind has. Lane held. False: it was not redirected. */
static bool bind_of(const struct redirect_wire *w, struct host_redirect_ends *e)
{
    struct host_redirect_ends local = *e;
    const struct translation *t;

    memset(&local.remote, 0, sizeof(local.remote));
    local.remote_port = 0;
    t = find(w, &local);
    if (t == NULL) { /* bound to any address */
        memset(&local.local, 0, sizeof(local.local));
        t = find(w, &local);
    }
    if (t == NULL || t->flow_id != 0)
        return false;
    if (!wire_addr_is_unspecified(e->version, &t->given.local))
        e->local = t->given.local;
    if (t->given.local_port != 0)
        e->local_port = t->given.local_port;
    return true;
}

/* Lane held. *to: the ends that the layers are shown. */
static bool looks_up(struct lane *l, struct redirect_wire *w, const struct wire_packet *p, bool out,
                     struct host_redirect_ends *to)
{
    struct host_redirect_ends e;
    struct translation *t;
    bool any;

    ends_of(p, out, &e);
    any = bind_of(w, &e);
    t = find(w, &e);
    if (t != NULL && t->flow_id != 0) {
        if (begins_anew(l, t, p, out)) {
            end(w, t, 0);
            t->dead = true;
        } else {
            e = t->given;
            any = true;
        }
    }
    *to = e;
    return any;
}

const struct wire_packet *redirect_wire_frame(struct lane *l, const struct wire_packet *p)
{
    struct redirects *x = ale_of(l)->redirects;
    struct redirect_wire *w = x->wire;
    struct host_redirect_ends to;
    bool out, found;

    w->now = false;
    if (p->reached != WIRE_TRANSPORT || p->fragment)
        return p;
    lane_enter(l);
    expire(w, l->host->now_ns);
    out = true;
    found = looks_up(l, w, p, true, &to);
    if (!found && !l->host->config.live) {
        out = false;
        found = looks_up(l, w, p, false, &to);
    }
    lane_leave(l);
    if (!found)
        return p;
    if (!write(w, p, out ? &to.local : &to.remote, out ? to.local_port : to.remote_port,
               out ? &to.remote : &to.local, out ? to.remote_port : to.local_port))
        return p;
    host_count(&x->counts.translated);
    return &w->packet;
}

const uint8_t *redirect_wire_bytes(const struct lane *l)
{
    const struct redirect_wire *w = __atomic_load_n(&ale_of(l)->redirects->wire, __ATOMIC_ACQUIRE);

    return w != NULL && w->now ? w->bytes : NULL;
}

void redirect_rewrite(struct scene *s, const struct host_redirect_ends *asked,
                      const struct host_redirect_ends *given)
{
    struct redirects *x = redirects_of(s->host);
    struct redirect_wire *w;

    (void)asked;
    lane_enter(s->lane);
    w = wire_of(x);
    if (w != NULL && w->by_ends == NULL && !grow(w))
        w = NULL;
    lane_leave(s->lane);
    if (w == NULL ||
        !write(w, s->packet, &given->local, given->local_port, &given->remote, given->remote_port))
        return;
    s->packet = &w->packet;
    host_count(&x->counts.translated);
    if (s->walk != NULL)
        s->walk->first = &w->packet;
}

bool redirect_wire_is(const struct lane *l)
{
    return ale_of(l)->redirects->wire != NULL;
}

/* The translation behind what arrives between these ends; NULL: none. Lane held. */
static const struct translation *led_here(const struct redirect_wire *w, const struct host_redirect_ends *e)
{
    const struct translation *best = NULL;

    if (w->buckets == 0)
        return NULL;
    for (const struct translation *t = w->by_given[redirect_hash_ends(e) & (w->buckets - 1)]; t != NULL;
         t = t->given_next)
        if (redirect_same_ends(&t->given, e) && (best == NULL || (best->until_ns != 0 && t->until_ns == 0)))
            best = t;
    return best;
}

/* Lane held. False: nothing of it was redirected. */
static bool asked_of(const struct redirect_wire *w, struct host_redirect_ends *e)
{
    const struct translation *t = led_here(w, e);
    struct host_redirect_ends local;
    bool any = t != NULL;

    if (any)
        *e = t->asked;
    local = *e;
    memset(&local.remote, 0, sizeof(local.remote));
    local.remote_port = 0;
    t = led_here(w, &local);
    if (t == NULL) {
        memset(&local.local, 0, sizeof(local.local));
        t = led_here(w, &local);
    }
    if (t == NULL || t->flow_id != 0)
        return any;
    if (!wire_addr_is_unspecified(e->version, &t->asked.local))
        e->local = t->asked.local;
    e->local_port = t->asked.local_port;
    return true;
}

/* Lane held. */
static void given_of(const struct redirect_wire *w, struct host_redirect_ends *e)
{
    const struct translation *t;

    (void)bind_of(w, e);
    t = find(w, e);
    if (t != NULL && t->flow_id != 0)
        *e = t->given;
}

void host_redirect_given(struct host *h, struct host_redirect_ends *ends)
{
    struct lane *l = &h->lanes[0];

    rt_mutex_lock(l->lock);
    if (ale_of(l)->redirects->wire != NULL)
        given_of(ale_of(l)->redirects->wire, ends);
    rt_mutex_unlock(l->lock);
}

void host_redirect_asked(struct host *h, struct host_redirect_ends *ends)
{
    struct lane *l = &h->lanes[0];

    rt_mutex_lock(l->lock);
    if (ale_of(l)->redirects->wire != NULL)
        (void)asked_of(ale_of(l)->redirects->wire, ends);
    rt_mutex_unlock(l->lock);
}

const uint8_t *host_redirect_undo(struct host *h, const uint8_t *bytes, uint32_t size)
{
    struct lane *l = &h->lanes[0];
    struct redirect_wire *w = ale_of(l)->redirects->wire;
    struct host_redirect_ends e;
    struct wire_packet p;
    bool any;

    if (w == NULL)
        return bytes;
    wire_parse_ip(bytes, size, size, &p);
    if (p.reached != WIRE_TRANSPORT || p.fragment)
        return bytes;
    ends_of(&p, false, &e);
    rt_mutex_lock(l->lock);
    any = asked_of(w, &e);
    rt_mutex_unlock(l->lock);
    if (!any || !write(w, &p, &e.remote, e.remote_port, &e.local, e.local_port))
        return bytes;
    w->now = false;
    return w->bytes;
}

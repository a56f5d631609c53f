/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happened, written down as it happens.
 *
 *   host's observer (layers, flows) ---+
 *   gate, wires (packets)              +--> record --> ring of the last keep_events --> event.c, expect.c
 *   programs, drivers, ledger ---------+
 *
 * The ring is made of chunks that are made when they are first written to; a record is numbers and addresses, so
 * that writing one down costs tens of nanoseconds and an engine without events nothing. Layers without filters are
 * not asked, and not written down; but ALE's are, so that a connect can be seen where no filter is.
 *
 * Records come from any fiber; in real time from any thread, under a lock. In a simulated world only one fiber
 * runs, and none is let in while a record is written.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "embed/watch.h"

#define CHUNK        64u
#define KEPT         65536u
#define INTERNED     64u
#define LAYER_PREFIX 11u /* FWPM_LAYER_ */

/* Where a layer's fields stand; made when it is first seen. */
struct places {
    bool made, ale, permanent; /* permanent: written down though it is empty */
    bool ends;                 /* of a packet on its way in, which has a source and a destination there */
    int8_t local, remote, local_port, remote_port, protocol, direction, flags;
    int8_t version;
};

struct embed_watch {
    struct rt_mutex *lock; /* real time; NULL: not needed */
    bool aloud;            /* $WEIR_EVENTS: each record goes to standard error, too */
    struct embed_record **chunks;
    size_t chunk_count;
    uint64_t last;               /* number of the last record */
    const char *known[INTERNED]; /* words that were copied once */
    unsigned known_count;
    struct places places[ENGINE_LAYER_COUNT];
};

/* ---- the ring ------------------------------------------------------------------------------------------ */

static void lock(struct embed_watch *w)
{
    if (w->lock != NULL)
        rt_mutex_lock(w->lock);
}

static void unlock(struct embed_watch *w)
{
    if (w->lock != NULL)
        rt_mutex_unlock(w->lock);
}

static size_t room(const struct embed_watch *w)
{
    return w->chunk_count * CHUNK;
}

static struct embed_record *at(struct embed_watch *w, uint64_t number)
{
    const size_t place = (size_t)((number - 1) % room(w));
    struct embed_record *chunk = w->chunks[place / CHUNK];

    return chunk != NULL ? &chunk[place % CHUNK] : NULL;
}

/* Locked: a place for the next record, emptied; NULL: out of memory, the event is lost. */
static struct embed_record *begin(struct embed *e)
{
    struct embed_watch *w = e->watch;
    const size_t place = (size_t)(w->last % room(w));
    struct embed_record **chunk = &w->chunks[place / CHUNK], *r;

    if (*chunk == NULL && (*chunk = calloc(CHUNK, sizeof **chunk)) == NULL)
        return NULL;
    r = &(*chunk)[place % CHUNK];
    free(r->text);
    *r = (struct embed_record){.number = ++w->last, .time_ns = embed_now(e)};
    return r;
}

/* Locked. The record is whole; NULL: there is none. */
static void finish(struct embed *e, const struct embed_record *r)
{
    char line[EMBED_LINE];

    if (r != NULL && e->watch->aloud)
        fprintf(stderr, "%s\n", embed_record_text(e, r, line));
}

/* Locked. Words that callers keep on their stacks; few are different. */
static const char *intern(struct embed_watch *w, const char *text)
{
    const char *copy;

    if (text == NULL)
        return NULL;
    for (unsigned i = 0; i < w->known_count; i++)
        if (strcmp(w->known[i], text) == 0)
            return w->known[i];
    copy = w->known_count < INTERNED ? strdup(text) : NULL;
    if (copy == NULL)
        return "...";
    w->known[w->known_count++] = copy;
    return copy;
}

int embed_watch_create(struct embed *e)
{
    const size_t kept = e->config.keep_events != 0 ? e->config.keep_events : KEPT;
    struct embed_watch *w = calloc(1, sizeof *w);

    if (w == NULL)
        return -ENOMEM;
    w->chunk_count = (kept + CHUNK - 1) / CHUNK;
    w->chunks = calloc(w->chunk_count, sizeof(struct embed_record *));
    if (w->chunks == NULL || (e->config.real_time && rt_mutex_create(&w->lock) != 0)) {
        free(w->chunks);
        free(w);
        return -ENOMEM;
    }
    w->aloud = getenv("WEIR_EVENTS") != NULL;
    e->watch = w;
    e->made_ns = embed_now(e);
    return 0;
}

void embed_watch_destroy(struct embed *e)
{
    struct embed_watch *w = e->watch;

    if (w == NULL)
        return;
    for (size_t i = 0; i < w->chunk_count; i++) {
        for (unsigned n = 0; w->chunks[i] != NULL && n < CHUNK; n++)
            free(w->chunks[i][n].text);
        free(w->chunks[i]);
    }
    for (unsigned i = 0; i < w->known_count; i++)
        free((char *)w->known[i]);
    if (w->lock != NULL)
        rt_mutex_destroy(w->lock);
    free(w->chunks);
    free(w);
    e->watch = NULL;
}

/* Locked. The first that may be kept. */
static uint64_t oldest(const struct embed_watch *w, uint64_t since)
{
    const uint64_t first = w->last > room(w) ? w->last - room(w) + 1 : 1;

    return since < first ? first : since + 1;
}

void embed_records_each(struct embed *e, uint64_t since, bool (*fn)(void *ctx, const struct embed_record *r),
                        void *ctx)
{
    struct embed_watch *w = e->watch;
    bool on = true;

    lock(w);
    for (uint64_t number = oldest(w, since); on && number <= w->last; number++) {
        const struct embed_record *r = at(w, number);

        if (r != NULL && r->number == number)
            on = fn(ctx, r);
    }
    unlock(w);
}

bool embed_records_next(struct embed *e, uint64_t *number, struct embed_record *out, char *text)
{
    struct embed_watch *w = e->watch;
    const struct embed_record *r = NULL;

    lock(w);
    for (*number = oldest(w, *number); *number <= w->last && r == NULL;) {
        r = at(w, *number);
        if (r == NULL || r->number != *number) {
            r = NULL;
            ++*number;
        }
    }
    if (r != NULL) {
        *out = *r;
        if (r->text != NULL) {
            snprintf(text, EMBED_LINE, "%s", r->text);
            out->text = text;
        }
    }
    unlock(w);
    return r != NULL;
}

uint64_t embed_records_last(struct embed *e)
{
    uint64_t last;

    lock(e->watch);
    last = e->watch->last;
    unlock(e->watch);
    return last;
}

uint64_t embed_records_lost(struct embed *e)
{
    const uint64_t last = embed_records_last(e);

    return last > room(e->watch) ? last - room(e->watch) : 0;
}

/* ---- the host's layers --------------------------------------------------------------------------------- */

const char *embed_layer_name(const struct engine_layer *l)
{
    return l->name + LAYER_PREFIX;
}

static int8_t place_of(const struct engine_layer *l, const char *name)
{
    for (UINT16 i = 0; i < l->field_count; i++)
        if (strcmp(l->fields[i].name + sizeof "FWPM_CONDITION_" - 1, name) == 0)
            return (int8_t)i;
    return -1;
}

static int8_t either(int8_t a, int8_t b)
{
    return a >= 0 ? a : b;
}

static const struct places *places_of(struct embed_watch *w, const struct engine_layer *l)
{
    struct places *p = &w->places[l->id];

    if (p->made)
        return p;
    p->local = either(place_of(l, "IP_LOCAL_ADDRESS"), place_of(l, "IP_SOURCE_ADDRESS"));
    p->remote = either(place_of(l, "IP_REMOTE_ADDRESS"), place_of(l, "IP_DESTINATION_ADDRESS"));
    p->local_port = either(place_of(l, "IP_LOCAL_PORT"), place_of(l, "IP_SOURCE_PORT"));
    p->remote_port = either(place_of(l, "IP_REMOTE_PORT"), place_of(l, "IP_DESTINATION_PORT"));
    p->ends = l->direction == 'i' && place_of(l, "IP_SOURCE_ADDRESS") >= 0;
    p->protocol = place_of(l, "IP_PROTOCOL");
    p->direction = place_of(l, "DIRECTION");
    p->flags = place_of(l, "FLAGS");
    p->version = l->family == '4' ? 4 : l->family == '6' ? 6 : 0;
    p->permanent = strncmp(embed_layer_name(l), "ALE_", 4) == 0;
    p->made = true;
    return p;
}

static uint64_t number_at(const FWPS_INCOMING_VALUES0 *v, int8_t place)
{
    const FWP_VALUE0 *value;

    if (place < 0 || (UINT32)place >= v->valueCount)
        return 0;
    value = &v->incomingValue[place].value;
    switch (value->type) {
    case FWP_UINT8:
        return value->uint8;
    case FWP_UINT16:
        return value->uint16;
    case FWP_UINT32:
        return value->uint32;
    case FWP_UINT64:
        return value->uint64 != NULL ? *value->uint64 : 0;
    default:
        return 0;
    }
}

static bool address_at(const FWPS_INCOMING_VALUES0 *v, int8_t place, union wire_addr *out)
{
    const FWP_VALUE0 *value;

    if (place < 0 || (UINT32)place >= v->valueCount)
        return false;
    value = &v->incomingValue[place].value;
    if (value->type == FWP_UINT32)
        out->v4 = value->uint32;
    else if (value->type == FWP_BYTE_ARRAY16_TYPE && value->byteArray16 != NULL)
        memcpy(out->v6, value->byteArray16->byteArray16, 16);
    else
        return false;
    return true;
}

static const char *verdict_of(const struct host_event *h)
{
    const struct engine_verdict *v = &h->answer->verdict;

    if (h->request->pended != NULL && *h->request->pended)
        return "pended";
    if (v->action != FWP_ACTION_BLOCK)
        return "permit";
    return (v->flags & ENGINE_VERDICT_ABSORB) != 0 ? "absorbed" : "block";
}

/* What a layer was asked, into a record. */
static void take_request(struct embed_watch *w, struct embed_record *r, const struct engine_layer *l,
                         const struct engine_request *q)
{
    const struct places *p = places_of(w, l);
    const int8_t local_port = p->ends ? p->remote_port : p->local_port,
                 remote_port = p->ends ? p->local_port : p->remote_port;
    const FWPS_INCOMING_VALUES0 *v = q->values;
    bool local = address_at(v, p->ends ? p->remote : p->local, &r->local),
         remote = address_at(v, p->ends ? p->local : p->remote, &r->remote);

    r->layer = embed_layer_name(l);
    r->version = local || remote ? (uint8_t)p->version : 0;
    r->protocol = (uint8_t)number_at(v, p->protocol);
    r->has_ports = p->local_port >= 0 || p->remote_port >= 0;
    r->local_port = (uint16_t)number_at(v, local_port);
    r->remote_port = (uint16_t)number_at(v, remote_port);
    r->reauthorization = (number_at(v, p->flags) & FWP_CONDITION_FLAG_IS_REAUTHORIZE) != 0;
    if (q->metadata != NULL && FWPS_IS_METADATA_FIELD_PRESENT(q->metadata, FWPS_METADATA_FIELD_PROCESS_ID))
        r->process_id = q->metadata->processId;
}

static void classified(void *ctx, const struct host_event *h)
{
    struct embed *e = ctx;
    struct embed_watch *w = e->watch;
    const struct engine_layer *l = h->layer;
    const bool packet = h->packet != NULL;
    struct embed_record *r;

    if (h->empty && !places_of(w, l)->permanent)
        return;
    lock(w);
    r = begin(e);
    if (r != NULL) {
        take_request(w, r, l, h->request);
        r->kind = WEIR_EVENT_CLASSIFY;
        r->verdict = verdict_of(h);
        r->filter_id = h->answer->verdict.filter_id;
        r->flow_id = h->flow_id;
        r->empty = h->empty;
        r->has_way = l->direction != 0 || packet;
        r->inbound =
            l->direction == 'i' || (l->direction == 0 && h->packet_direction == FWP_DIRECTION_INBOUND);
        r->reauthorization |= h->cause == HOST_CAUSE_REAUTHORIZE;
        r->note = h->cause == HOST_CAUSE_DISCARD ? "discarded" : NULL;
    }
    /* A bind or a listen has no packet by which the gate would see that it waits. */
    if (r != NULL && strcmp(r->verdict, "pended") == 0 &&
        (strncmp(r->layer, "ALE_RESOURCE_ASSIGNMENT", 23) == 0 ||
         strncmp(r->layer, "ALE_AUTH_LISTEN", 15) == 0)) {
        struct embed_record asked = *r;

        finish(e, r);
        r = begin(e);
        if (r != NULL) {
            asked.number = r->number;
            *r = asked;
            r->kind = WEIR_EVENT_PENDED;
        }
    }
    finish(e, r);
    unlock(w);
}

void embed_watch_asked(struct embed *e, const struct engine_layer *l, const struct engine_request *q,
                       const char *verdict, uint64_t filter_id)
{
    struct embed_record *r;

    lock(e->watch);
    r = begin(e);
    if (r != NULL) {
        take_request(e->watch, r, l, q);
        r->kind = WEIR_EVENT_CLASSIFY;
        r->verdict = verdict;
        r->filter_id = filter_id;
        r->has_way = l->direction != 0;
        r->inbound = l->direction == 'i';
        r->note = "asked by weir_classify()";
    }
    finish(e, r);
    unlock(e->watch);
}

static void flow(void *ctx, enum host_flow_change change, const struct host_flow_info *f)
{
    static const char *const changes[] = {[HOST_FLOW_CREATED] = "created",
                                          [HOST_FLOW_AUTHORIZED] = "authorized",
                                          [HOST_FLOW_REFUSED] = "refused",
                                          [HOST_FLOW_DELETED] = "deleted",
                                          [HOST_FLOW_REDIRECTED] = "redirected"};
    static const char *const ends[] = {[HOST_END_CLOSED] = "closed",
                                       [HOST_END_RESET] = "reset",
                                       [HOST_END_IDLE] = "idle for too long",
                                       [HOST_END_REFUSED] = "refused",
                                       [HOST_END_ENDPOINT] = "its endpoint was closed",
                                       [HOST_END_EVICTED] = "to make room",
                                       [HOST_END_ABORTED] = "aborted by a driver",
                                       [HOST_END_REPLACED] = "replaced by another",
                                       [HOST_END_GIVEN_UP] = "given up: no answer"};
    struct embed *e = ctx;
    struct embed_record *r;

    lock(e->watch);
    r = begin(e);
    if (r != NULL) {
        r->kind = WEIR_EVENT_FLOW;
        r->verdict = changes[change];
        r->note = change == HOST_FLOW_DELETED && f->end < sizeof ends / sizeof ends[0] ? ends[f->end] : NULL;
        r->flow_id = f->id;
        r->process_id = f->owner != NULL ? f->owner->process_id : 0;
        r->protocol = f->protocol;
        r->version = f->version;
        r->local = f->local;
        r->remote = f->remote;
        r->has_ports = true;
        r->local_port = f->local_port;
        r->remote_port = f->remote_port;
        r->has_way = true;
        r->inbound = f->inbound;
        r->interface = f->interface_index;
    }
    finish(e, r);
    unlock(e->watch);
    if (change == HOST_FLOW_DELETED)
        embed_gate_deleted(e, f);
}

void embed_watch_host(struct embed *e, struct host_observer *observer)
{
    *observer = (struct host_observer){.ctx = e, .classified = classified, .flow = flow};
}

/* ---- what others tell ---------------------------------------------------------------------------------- */

static void take_end(const char *text, union wire_addr *a, uint16_t *port, struct embed_record *r)
{
    struct embed_end end;

    if (text == NULL || !embed_end_parse(text, &end) || end.version == 0)
        return;
    r->version = end.version;
    *a = end.address;
    *port = end.port;
    r->has_ports |= end.has_port;
}

void embed_event(struct embed *e, const struct weir_event *event)
{
    const struct engine_layer *l = event->layer != NULL ? engine_layer_by_name(event->layer) : NULL;
    struct embed_watch *w = e->watch;
    struct embed_record *r;

    lock(w);
    r = begin(e);
    if (r != NULL) {
        r->kind = (uint8_t)event->kind;
        r->filter_id = event->filter_id;
        r->flow_id = event->flow_id;
        r->process_id = event->process_id;
        r->layer = l != NULL ? embed_layer_name(l) : intern(w, event->layer);
        r->verdict = intern(w, event->verdict);
        r->protocol = (uint8_t)event->protocol;
        r->inbound = event->inbound;
        r->reauthorization = event->reauthorization;
        take_end(event->local, &r->local, &r->local_port, r);
        take_end(event->remote, &r->remote, &r->remote_port, r);
        r->text = event->text != NULL ? strdup(event->text) : NULL;
    }
    finish(e, r);
    unlock(w);
}

static void take_frame(struct embed_record *r, const struct wire_packet *p)
{
    r->frame = true;
    r->ether_type = p->ether_type;
    if (p->mac_at == UINT32_MAX)
        return;
    memcpy(r->local.v6, p->frame + p->mac_at + (r->inbound ? 0 : 6), 6);
    memcpy(r->remote.v6, p->frame + p->mac_at + (r->inbound ? 6 : 0), 6);
}

void embed_event_packet(struct embed *e, const struct embed_packet_event *p)
{
    struct embed_watch *w = e->watch;
    struct embed_record *r;
    struct wire_packet wire;
    const uint32_t size = p->size > UINT32_MAX ? UINT32_MAX : (uint32_t)p->size;

    if (p->frame)
        wire_parse(WIRE_LINK_ETHERNET, p->bytes, size, size, &wire);
    else
        wire_parse_ip(p->bytes, size, size, &wire);
    lock(w);
    r = begin(e);
    if (r != NULL) {
        r->kind = (uint8_t)p->kind;
        r->verdict = p->verdict;
        r->note = p->note;
        r->layer = p->layer;
        r->filter_id = p->filter_id;
        r->flow_id = p->flow_id;
        r->interface = p->interface;
        r->inbound = p->inbound;
        r->has_way = true;
        r->size = size;
        if (p->frame) {
            take_frame(r, &wire);
            goto out;
        }
        r->version = wire.version;
        r->protocol = wire.protocol;
        r->local = p->inbound ? wire.destination : wire.source;
        r->remote = p->inbound ? wire.source : wire.destination;
        if (wire.reached == WIRE_TRANSPORT &&
            (wire.protocol == WIRE_PROTOCOL_TCP || wire.protocol == WIRE_PROTOCOL_UDP)) {
            r->has_ports = true;
            r->local_port = p->inbound ? wire.destination_port : wire.source_port;
            r->remote_port = p->inbound ? wire.source_port : wire.destination_port;
            r->tcp_flags = wire.protocol == WIRE_PROTOCOL_TCP ? wire.tcp_flags : 0;
        }
    }
out:
    finish(e, r);
    unlock(w);
}

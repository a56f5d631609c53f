/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loops that copies make (INJ-17). A driver that absorbs a packet and injects a list of its own with a copy
 * of the bytes leaves no trace in that list: to the next driver it is a packet injected by somebody else, as
 * on Windows. Two such drivers play ball for ever. So the host remembers of the packets that were injected
 * and then absorbed who absorbed them, and how often they had been injected:
 *
 *   injected, absorbed by B --again_taken()--> (its tuple, B): so many injections   and (any, B), for a while
 *   a frame, absorbed by B  --again_taken()--> both start anew
 *   B injects a list of no origin --again_comes()--> its history is as old as that, and the cap counts on
 *
 * Only what the cap counts grows old; the injection state that drivers are told stays what it is. (any, B) is
 * for drivers that write other addresses into their copies: it holds for RECENT_NS of the host's time.
 *
 * Nothing is kept, and a branch is all that it costs, until an injected packet is absorbed. The table is small
 * and forgets the longest unused: whose loop it forgets begins to count anew.
 */
#include <stdlib.h>
#include <string.h>

#include "host/again.h"
#include "host/walk.h"

#define BUCKETS   256u
#define WAYS      4u
#define RECENT_NS 10000000u

struct entry {
    union wire_addr source, destination;
    uint16_t ports[2], icmp_id;
    uint8_t version, protocol; /* version 0: any packet of the driver's */
    const struct rt_context *driver;
    uint32_t length;
    UINT64 handle; /* of its last injection */
    UINT64 time_ns, used;
};

struct again {
    struct entry entries[BUCKETS][WAYS]; /* used: 0: free */
    UINT64 clock;
};

static struct entry of_packet(const struct wire_packet *p, const struct rt_context *driver)
{
    struct entry e = {.version = p->version, .protocol = p->protocol, .driver = driver};

    e.source = p->source;
    e.destination = p->destination;
    if (p->reached == WIRE_TRANSPORT) {
        e.ports[0] = p->source_port;
        e.ports[1] = p->destination_port;
        e.icmp_id = p->icmp_id;
    }
    return e;
}

/* By what is in the packet: nothing depends on an address in memory. */
static struct entry *bucket_of(struct again *a, const struct entry *e)
{
    const uint8_t *from = e->source.v6, *to = e->destination.v6;
    uint32_t sum = e->protocol + e->ports[0] * 31u + e->ports[1] * 131u + e->icmp_id;

    for (unsigned i = 0; i < 16; i++)
        sum = sum * 33 + from[i] * 7u + to[i];
    return a->entries[(sum ^ sum >> 8 ^ sum >> 16) % BUCKETS];
}

static bool is_same(const struct entry *a, const struct entry *b)
{
    return a->version == b->version && a->protocol == b->protocol && a->driver == b->driver &&
           a->ports[0] == b->ports[0] && a->ports[1] == b->ports[1] && a->icmp_id == b->icmp_id &&
           (a->version == 0 ||
            (wire_addr_equal(&a->source, &b->source) && wire_addr_equal(&a->destination, &b->destination)));
}

static struct entry *find(struct again *a, const struct entry *like)
{
    struct entry *bucket = bucket_of(a, like);

    for (unsigned i = 0; i < WAYS; i++)
        if (bucket[i].used != 0 && is_same(&bucket[i], like))
            return &bucket[i];
    return NULL;
}

static void note(struct again *a, const struct entry *e)
{
    struct entry *bucket = bucket_of(a, e), *at = find(a, e);

    if (at == NULL && e->length == 0)
        return;
    for (unsigned i = 0; at == NULL && i < WAYS; i++)
        if (bucket[i].used == 0)
            at = &bucket[i];
    if (at == NULL) {
        at = bucket;
        for (unsigned i = 1; i < WAYS; i++)
            if (bucket[i].used < at->used)
                at = &bucket[i];
    }
    *at = *e;
    at->used = e->length != 0 ? ++a->clock : 0;
}

void again_taken(const struct walk *w)
{
    struct host *h = w->host;
    struct entry e;

    if (h->again == NULL && w->history != NULL)
        h->again = calloc(1, sizeof(*h->again)); /* without memory nothing is remembered */
    if (h->again == NULL)
        return;
    e = of_packet(w->packet != w->first ? &w->whole : w->packet, w->taker);
    e.length = ndis_history_length(w->history);
    e.handle = ndis_history_last(w->history);
    e.time_ns = h->now_ns;
    note(h->again, &e);
    e = (struct entry){.driver = e.driver, .length = e.length, .handle = e.handle, .time_ns = e.time_ns};
    note(h->again, &e);
}

bool again_comes(struct host *h, const struct wire_packet *p, const struct rt_context *driver,
                 struct ndis_history *history)
{
    const struct entry like = of_packet(p, driver), any = {.driver = driver};
    struct entry *e, *last;

    if (h->again == NULL || ndis_history_length(history) != 1) /* of several packets the first has done it */
        return false;
    e = find(h->again, &like);
    last = find(h->again, &any);
    if (last != NULL && h->now_ns - last->time_ns <= RECENT_NS && (e == NULL || e->length < last->length))
        e = last;
    if (e == NULL)
        return false;
    e->used = ++h->again->clock;
    ndis_history_age(history, e->length, e->handle);
    return true;
}

void again_destroy(struct host *h)
{
    free(h->again);
    h->again = NULL;
}

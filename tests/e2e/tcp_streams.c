/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads a capture and prints what TCP conversations carried, as the host's TCP understands it: a tool for
 * tcp_streams.py, which holds it against tshark's. No policy, no layers: capture, wire, flow table, tcp.
 *
 *   usage: tcp_streams CAPTURE [--dump N]
 *   N <address>:<port> <address>:<port> | A->B: bytes, crc32, lost | B->A: ... | events
 *
 * A is who sent the conversation's first segment. --dump N: conversation N's pieces, one a line, as hex; "<n
 * bytes missing>" for what was lost.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datapath/capture.h"
#include "host/internal.h"

#define FLOWS 2000000

struct conversation {
    struct host_flow_key key; /* from A's side */
    uint64_t bytes[2], lost[2];
    uint32_t crc[2];
    uint64_t refused, repeated, held;
};

static struct conversation *all;
static size_t count, room;
static long dumped = -1;

static uint32_t crc_table[256];

static uint32_t crc(uint32_t sum, const uint8_t *bytes, size_t n)
{
    sum = ~sum;
    for (size_t i = 0; i < n; i++)
        sum = crc_table[(sum ^ bytes[i]) & 0xff] ^ sum >> 8;
    return ~sum;
}

static void keep(size_t id, const struct tcp_result *r)
{
    int way = r->out ? 0 : 1;
    struct conversation *c = &all[id];

    if ((r->events & TCP_GAP) != 0) {
        c->lost[way] += r->lost;
        if (dumped == (long)id)
            printf("%s<%u bytes missing>\n", way == 0 ? "" : "\t", r->lost);
    }
    if ((r->events & TCP_DATA) == 0)
        return;
    c->bytes[way] += r->size;
    c->crc[way] = crc(c->crc[way], r->data, r->size);
    if (dumped != (long)id)
        return;
    printf("%s", way == 0 ? "" : "\t");
    for (uint32_t i = 0; i < r->size; i++)
        printf("%02x", r->data[i]);
    printf("\n");
}

static void begin(struct host_flow *f)
{
    if (count == room) {
        room = room == 0 ? 1024 : 2 * room;
        all = realloc(all, room * sizeof(*all));
        if (all == NULL)
            abort();
    }
    all[count] = (struct conversation){.key = f->key};
    f->id = count++;
}

/* The conversation of the segment, from either side; *out: it is A who sent it. */
static struct host_flow *find(struct flow_table *t, const struct wire_packet *p, bool *out)
{
    struct host_flow_key k = {.local = p->source,
                              .remote = p->destination,
                              .local_port = p->source_port,
                              .remote_port = p->destination_port,
                              .version = p->version,
                              .protocol = WIRE_PROTOCOL_TCP};
    struct host_flow_key back = {.local = p->destination,
                                 .remote = p->source,
                                 .local_port = p->destination_port,
                                 .remote_port = p->source_port,
                                 .version = p->version,
                                 .protocol = WIRE_PROTOCOL_TCP};
    struct host_flow *f = flow_table_find(t, &k);

    *out = true;
    if (f != NULL)
        return f;
    f = flow_table_find(t, &back);
    if (f != NULL) {
        *out = false;
        return f;
    }
    f = flow_table_add(t, &k);
    if (f == NULL)
        abort();
    begin(f);
    if ((p->tcp_flags & (WIRE_TCP_SYN | WIRE_TCP_ACK)) != WIRE_TCP_SYN)
        tcp_adopt(f, p, true);
    return f;
}

static void packet(struct lane *l, const struct wire_packet *p, uint64_t now)
{
    struct wire_packet datagram;
    struct tcp_result r;
    struct host_flow *f;
    const uint8_t *whole;
    uint32_t size;
    bool out;

    if (p->version != 0 && p->fragment && p->reached >= WIRE_NETWORK) {
        if (fragments_add(l->fragments, p, 0, now, &whole, &size) != FRAGMENT_COMPLETE)
            return;
        wire_parse_ip(whole, size, size, &datagram);
        p = &datagram;
    }
    if (p->reached < WIRE_TRANSPORT || p->protocol != WIRE_PROTOCOL_TCP)
        return;
    f = find(l->flows, p, &out);
    if (tcp_starts_anew(f, p, out)) { /* the tuple again: a conversation of its own, and who begins it is A */
        tcp_forget(l, f);
        flow_table_remove(l->flows, f);
        f = find(l->flows, p, &out);
    }
    tcp_segment(l, f, p, out, &r);
    all[f->id].refused += (r.events & TCP_REFUSED) != 0;
    all[f->id].repeated += (r.events & TCP_RETRANSMITTED) != 0;
    all[f->id].held += (r.events & TCP_HELD_DATA) != 0;
    keep(f->id, &r);
    for (bool more = (r.events & TCP_MORE) != 0; more && tcp_more(l, f, &r);)
        keep(f->id, &r);
}

static void print(size_t i)
{
    const struct conversation *c = &all[i];
    char a[WIRE_ADDR_TEXT], b[WIRE_ADDR_TEXT];

    printf("%zu %s:%u %s:%u", i, wire_addr_format(c->key.version, &c->key.local, a), c->key.local_port,
           wire_addr_format(c->key.version, &c->key.remote, b), c->key.remote_port);
    for (int way = 0; way < 2; way++)
        printf(" | %" PRIu64 " %08x %" PRIu64, c->bytes[way], c->crc[way], c->lost[way]);
    printf(" | refused %" PRIu64 " repeated %" PRIu64 " held %" PRIu64 "\n", c->refused, c->repeated,
           c->held);
}

int main(int argc, char **argv)
{
    struct host host = {.limits = {.stream_bytes = 64u << 20, .segments_a_flow = 4096}};
    struct lane lane = {.host = &host};
    struct capture *capture;
    struct capture_error error;
    struct capture_packet p;
    struct wire_packet w;
    int rc;

    if (argc != 2 && argc != 4)
        return 2;
    if (argc == 4)
        dumped = atol(argv[3]);
    for (uint32_t i = 0; i < 256; i++) {
        crc_table[i] = i;
        for (int bit = 0; bit < 8; bit++)
            crc_table[i] = crc_table[i] >> 1 ^ (crc_table[i] & 1 ? 0xedb88320 : 0);
    }
    if (capture_open(argv[1], &capture, &error) != 0) {
        fprintf(stderr, "%s\n", error.text);
        return 3;
    }
    if (flow_table_create(FLOWS, 1, &lane.flows) != 0 || tcp_create(&lane) != 0 ||
        fragments_create(&host.limits, &lane.fragments) != 0)
        return 1;
    while ((rc = capture_next(capture, &p, &error)) == 1) {
        const struct capture_interface *i = capture_interface(capture, p.interface);
        wire_parse(i->link_type, p.bytes, p.captured, p.length, &w);
        packet(&lane, &w, p.time_ns);
    }
    if (rc != 0)
        fprintf(stderr, "%s\n", error.text);
    for (size_t i = 0; i < count && dumped < 0; i++)
        print(i);
    if (host.counts.segments_evicted != 0)
        fprintf(stderr, "%llu held segments evicted\n", (unsigned long long)host.counts.segments_evicted);
    free(all);
    tcp_destroy(&lane);
    fragments_destroy(lane.fragments);
    flow_table_destroy(lane.flows);
    capture_close(capture);
    return 0;
}

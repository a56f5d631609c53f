/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the wire room and the fragments' table say of captures, for wire_tshark.py to hold against tshark.
 *
 *   wire_dump OUT.pcapng FILE...
 *
 * writes the packets of all link types that are known, one after the other, to OUT.pcapng, and a line for
 * each:
 *
 *   number  file  number-in-file  link  reached  fault  cut  name=value ...
 *
 * and "D number size bytes-in-hex" for each datagram put together. Its pcapng writer is its own: a block a
 * packet, an interface a link type, so that the test does not rest on the reader alone.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datapath/capture.h"
#include "host/internal.h"
#include "wire/wire.h"

static FILE *out;
static uint16_t links[32];
static unsigned link_count;
static uint64_t number;

static void put(const void *bytes, size_t size)
{
    if (fwrite(bytes, 1, size, out) != size) {
        perror("wire_dump");
        exit(2);
    }
}

static void put32(uint32_t v)
{
    put(&v, 4);
}

static unsigned interface_of(uint16_t link)
{
    for (unsigned i = 0; i < link_count; i++) {
        if (links[i] == link)
            return i;
    }
    links[link_count] = link;
    put32(1); /* IDB */
    put32(32);
    put32(link);
    put32(0);
    put32(9 | 1u << 16); /* if_tsresol: 9 */
    put32(9);
    put32(0);
    put32(32);
    return link_count++;
}

static void write_packet(uint16_t link, const struct capture_packet *p)
{
    static const uint8_t zero[4];
    uint32_t padding = (4 - p->captured % 4) % 4, size = 32 + p->captured + padding;
    unsigned interface = interface_of(link);

    put32(6); /* EPB */
    put32(size);
    put32(interface);
    put32((uint32_t)(p->time_ns >> 32));
    put32((uint32_t)p->time_ns);
    put32(p->captured);
    put32(p->length > p->captured ? p->length : p->captured);
    put(p->bytes, p->captured);
    put(zero, padding);
    put32(size);
}

static void print_transport(const struct wire_packet *w)
{
    bool v4 = w->version == 4;

    if (w->reached != WIRE_TRANSPORT)
        return;
    if (w->protocol == WIRE_PROTOCOL_TCP)
        printf("\ttcp=%u>%u\tseq=%u\tack=%u\tflags=%u\twindow=%u\ttcp_header=%u\ttcp_data=%u", w->source_port,
               w->destination_port, w->tcp_seq, w->tcp_ack, w->tcp_flags, w->tcp_window,
               w->transport_header_size, w->data_length);
    else if (w->protocol == WIRE_PROTOCOL_UDP)
        printf("\tudp=%u>%u\tudp_data=%u", w->source_port, w->destination_port, w->data_length);
    else if (w->protocol == (v4 ? WIRE_PROTOCOL_ICMP : WIRE_PROTOCOL_ICMPV6))
        printf("\t%s=%u/%u%s", v4 ? "icmp" : "icmp6", w->icmp_type, w->icmp_code,
               w->transport_header_size < 8 ? "\tshort=1" : "");
    if (w->icmp_id != 0 || w->icmp_sequence != 0)
        printf("\techo=%u,%u", w->icmp_id, w->icmp_sequence);
    printf("\tverify=%d", wire_verify(w));
}

static void print_packet(const struct wire_packet *w, unsigned file, uint64_t of_file)
{
    char a[WIRE_ADDR_TEXT], b[WIRE_ADDR_TEXT];

    printf("%" PRIu64 "\t%u\t%" PRIu64 "\t%u\t%u\t%u\t%d", number, file, of_file, w->link_type, w->reached,
           w->fault, w->cut);
    if (w->vlan != WIRE_NO_VLAN)
        printf("\tvlan=%u", w->vlan);
    if (w->version != 0)
        printf("\tversion=%u\tsrc=%s\tdst=%s\tttl=%u\tclass=%u", w->version,
               wire_addr_format(w->version, &w->source, a), wire_addr_format(w->version, &w->destination, b),
               w->ttl, w->traffic_class);
    if (w->reached >= WIRE_NETWORK) {
        printf("\tproto=%u\tlength=%u\theader=%u", w->protocol, w->ip_length, w->ip_header_size);
        if (w->version == 4)
            printf("\tid=%u\twrong=%d", w->fragment_id, w->ip_checksum_wrong);
        if (w->fragment)
            printf("\tfragment=%u,%d,%u", w->fragment_offset, (w->ip_flags & WIRE_IP_MORE_FRAGMENTS) != 0,
                   w->fragment_id);
        print_transport(w);
    }
    printf("\n");
}

static void reassemble(struct fragments *f, const struct wire_packet *w, uint64_t time_ns)
{
    static const char *const words[] = {"held", "complete", "overlap", "bad", "no room"};
    const uint8_t *whole;
    uint32_t size;
    enum fragment_result r;
    struct wire_packet p;

    if (w->reached < WIRE_NETWORK || !w->fragment)
        return;
    r = fragments_add(f, w, 1, time_ns, &whole, &size);
    printf("F\t%" PRIu64 "\t%s\n", number, words[r]);
    if (r != FRAGMENT_COMPLETE)
        return;
    wire_parse_ip(whole, size, fragments_length(f), &p);
    printf("D\t%" PRIu64 "\t%u\t", number, fragments_length(f));
    for (uint32_t i = w->version == 4 ? p.ip_header_size : 0; i < size; i++)
        printf("%02x", whole[i]);
    printf("\n");
}

static void dump(const char *path, unsigned file)
{
    struct host_limits limits = {0};
    struct capture_error error = {""};
    struct capture_packet p;
    struct fragments *f;
    struct capture *c;

    if (fragments_create(&limits, &f) != 0)
        exit(2);
    if (capture_open(path, &c, &error) != 0) {
        fragments_destroy(f);
        return; /* not every capture can be read; what is, is compared */
    }
    while (capture_next(c, &p, &error) == 1) {
        uint16_t link = capture_interface(c, p.interface)->link_type;
        struct wire_packet w;

        if (!wire_link_known(link))
            continue;
        number++;
        wire_parse(link, p.bytes, p.captured, p.length, &w);
        write_packet(link, &p);
        print_packet(&w, file, p.number);
        reassemble(f, &w, p.time_ns);
    }
    capture_close(c);
    fragments_destroy(f);
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: wire_dump OUT.pcapng FILE...\n");
        return 64;
    }
    out = fopen(argv[1], "wb");
    if (out == NULL) {
        perror(argv[1]);
        return 2;
    }
    put32(0x0a0d0d0a); /* SHB */
    put32(28);
    put32(0x1a2b3c4d);
    put32(1);
    put32(UINT32_MAX);
    put32(UINT32_MAX);
    put32(28);
    for (int i = 2; i < argc; i++)
        dump(argv[i], (unsigned)i - 2);
    return fclose(out) != 0;
}

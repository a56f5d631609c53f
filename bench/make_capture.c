/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes a capture to measure with: one host (10.0.0.2) and its flows, as a program that talks to many would
 * have them. Four in five flows are TCP, with handshake, data in both directions in sequence, and an end; the
 * others are UDP. Three in five are outbound. As many flows are open at a time as `open` says; frames of open
 * flows follow each other at random. Checksums are right. Always the same for the same arguments.
 *
 * transfers: in place of that, all flows are TCP, and in each one end sends full segments and the other acknowledges every
 * second one: half of them from the host, half to it.
 *
 * usage: bench_make_capture OUT PACKETS FLOWS AVERAGE-BYTES|transfers
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "wire/wire.h"

#define FRAME 1514u
#define SMALL 66u /* headers with a TCP time stamp's room: what an acknowledgement takes */
#define LOCAL 0x0a000002u
#define WORD  "HEADER"   /* in each full segment of a transfer, once, among small letters */
#define NAME  "DATAGRAM" /* what each datagram begins with */

struct flow {
    uint32_t remote, seq[2], frames, left; /* seq: of the host, of the peer */
    uint16_t local_port, remote_port;
    bool tcp, out;
};

static uint64_t seed = 1;
static bool transfers;

static uint64_t next_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static void put16(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
    put16(p, v >> 16);
    put16(p + 2, v & 0xffff);
}

static void begin(struct flow *f, uint64_t number, uint32_t frames)
{
    static const uint16_t services[] = {443, 443, 443, 80, 8080, 53, 123, 445, 3389, 22, 25, 5223};
    uint64_t r = next_random();
    *f = (struct flow){.remote = 0x14000000u + (uint32_t)(r & 0x3ffffff), .frames = frames, .left = frames};
    f->tcp = transfers || number % 5 != 4;
    f->out = number % 10 < 6;
    f->seq[0] = (uint32_t)next_random();
    f->seq[1] = (uint32_t)next_random();
    uint16_t service = services[r >> 32 & 15u ? (r >> 36) % 12 : 0];
    /* Ports come round after 55,000 flows; the peer's address and port keep the flows apart. */
    uint16_t ephemeral = (uint16_t)(10000 + number % 55000);
    f->local_port = f->out ? ephemeral : service;
    f->remote_port = f->out ? service : ephemeral;
}

/* The flow's next frame; its size. */
static uint32_t frame(struct flow *f, uint8_t *b, uint32_t large_of_1000, uint32_t *length)
{
    uint32_t step = f->frames - f->left;
    bool from_host, has_data = false;
    uint8_t flags = 0x10;
    if (f->tcp && step < 3) { /* SYN, SYN and ACK, ACK */
        from_host = f->out == (step != 1);
        flags = step == 0 ? 0x02 : step == 1 ? 0x12 : 0x10;
    } else if (f->tcp && f->left <= 3 && f->frames >= 8) { /* FIN, FIN, ACK */
        from_host = f->out == (f->left != 2);
        flags = f->left == 1 ? 0x10 : 0x11;
    } else if (transfers) { /* by the address' lowest bit: two to one end, then its acknowledgement */
        has_data = step % 3 != 2;
        from_host = (f->remote & 1) == (has_data ? 0 : 1);
    } else {
        from_host = (next_random() & 1) != 0;
        has_data = true;
        if (step == 0)
            from_host = f->out;
    }
    bool large = has_data && next_random() % 1000 < large_of_1000;
    uint32_t size = large ? FRAME : SMALL, header = 14 + 20 + (f->tcp ? 32 : 8);
    uint32_t data = size - header;
    if (f->tcp && !large)
        data = 0;
    size = header + data;

    memset(b, 0, header);
    memcpy(b, from_host ? "\2\0\0\0\0\1\2\0\0\0\0\2" : "\2\0\0\0\0\2\2\0\0\0\0\1", 12);
    put16(b + 12, 0x0800);
    uint8_t *ip = b + 14, *t = b + 34;
    ip[0] = 0x45;
    put16(ip + 2, size - 14);
    put16(ip + 4, (uint32_t)(next_random() & 0xffff));
    put16(ip + 6, 0x4000);
    ip[8] = 64;
    ip[9] = f->tcp ? 6 : 17;
    put32(ip + 12, from_host ? LOCAL : f->remote);
    put32(ip + 16, from_host ? f->remote : LOCAL);
    put16(ip + 10, wire_fold(wire_sum(ip, 20, 0)));
    put16(t, from_host ? f->local_port : f->remote_port);
    put16(t + 2, from_host ? f->remote_port : f->local_port);
    uint32_t *own = &f->seq[from_host ? 0 : 1], *other = &f->seq[from_host ? 1 : 0];
    if (f->tcp) {
        put32(t + 4, *own);
        put32(t + 8, flags == 0x02 ? 0 : *other);
        t[12] = 0x80;
        t[13] = (uint8_t)(flags | (data > 0 ? 0x08 : 0));
        put16(t + 14, 64240);
        memcpy(t + 20, "\1\1\10\12", 4);
        put32(t + 24, step + 1);
        *own += data + ((flags & 0x03) != 0);
    } else {
        put16(t + 4, 8 + data);
        memcpy(t + 8, NAME, strlen(NAME));
    }
    uint8_t pseudo[4] = {0, ip[9]};
    put16(pseudo + 2, size - 34);
    put16(t + (f->tcp ? 16 : 6),
          wire_fold(wire_sum(t, size - 34, wire_sum(pseudo, 4, wire_sum(ip + 12, 8, 0)))));
    f->left--;
    *length = size;
    return size;
}

int main(int argc, char **argv)
{
    if (argc != 5)
        bench_die("usage: bench_make_capture OUT PACKETS FLOWS AVERAGE-BYTES|transfers");
    transfers = strcmp(argv[4], "transfers") == 0;
    uint64_t packets = strtoull(argv[2], NULL, 10), flows = strtoull(argv[3], NULL, 10);
    uint32_t average = transfers ? FRAME : (uint32_t)strtoul(argv[4], NULL, 10);
    uint64_t per_flow = packets / (flows == 0 ? 1 : flows), open = flows < 4096 ? flows : 4096, begun = 0;
    if (flows == 0 || per_flow < 1 || average > FRAME)
        bench_die("at least one packet a flow, at most %u bytes", FRAME);
    uint32_t large = average <= SMALL ? 0 : (average - SMALL) * 1000 / (FRAME - SMALL);
    if (per_flow >= 8) /* handshake and end are small always */
        large = large * (uint32_t)per_flow / ((uint32_t)per_flow - 4);
    FILE *out = fopen(argv[1], "wb");
    struct flow *f = calloc(open, sizeof(*f));
    if (out == NULL || f == NULL)
        bench_die("%s cannot be written", argv[1]);
    static char buffer[1 << 20];
    setvbuf(out, buffer, _IOFBF, sizeof(buffer));
    static const uint32_t head[6] = {0xa1b2c3d4, 2 | 4 << 16, 0, 0, 262144, 1};
    fwrite(head, sizeof(head), 1, out);
    uint8_t b[FRAME];
    for (uint32_t i = 0; i < FRAME; i++)
        b[i] = transfers ? (uint8_t)('a' + next_random() % 26) : (uint8_t)next_random();
    if (transfers)
        memcpy(b + FRAME / 2, WORD, strlen(WORD));
    uint64_t ticks = 1700000000ull * 1000000;
    for (uint64_t n = 0, at = 0; n < packets; n++) {
        at = open < 2 ? 0 : next_random() % open;
        if (f[at].left == 0)
            begin(&f[at], begun++, (uint32_t)per_flow);
        uint32_t length;
        uint32_t captured = frame(&f[at], b, large, &length);
        ticks += 1 + next_random() % 20;
        uint32_t record[4] = {(uint32_t)(ticks / 1000000), (uint32_t)(ticks % 1000000), captured, length};
        fwrite(record, sizeof(record), 1, out);
        fwrite(b, captured, 1, out);
    }
    if (fclose(out) != 0)
        bench_die("%s cannot be written", argv[1]);
    printf("%s: %llu packets, %llu flows\n", argv[1], (unsigned long long)packets, (unsigned long long)begun);
    free(f);
    return 0;
}

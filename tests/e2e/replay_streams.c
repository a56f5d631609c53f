/* SPDX-License-Identifier: Apache-2.0 */
/* clang-format off */
/*
 * What the host makes of TCP segments and IP fragments, for streams.py: replays captures under an empty policy
 * and prints, in the order of happening,
 *
 *   F NAME                                 a capture begins
 *   + FLOW LOCAL PORT REMOTE PORT KIND     a TCP flow; KIND is 2 for loopback, where both ends may have one, else 1
 *   o FLOW LOST HEX, i FLOW LOST HEX       bytes in order, sent by this host (o) or to it (i); LOST bytes before
 *                                          them are not in the capture
 *   f FRAME in, f FRAME other              a fragment, to this host or not
 *   c SOURCE PORT DESTINATION PORT         a segment to the host, discarded for its IP checksum
 *   D FRAME HEX                            a datagram was put together when this frame came
 *   E TEXT                                 the capture is broken
 */
/* clang-format on */
#include <stdio.h>
#include <string.h>

#include "datapath/replay.h"

static void hex(const uint8_t *bytes, uint32_t size)
{
    static const char digits[] = "0123456789abcdef";
    for (uint32_t i = 0; i < size; i++) {
        putchar(digits[bytes[i] >> 4]);
        putchar(digits[bytes[i] & 15]);
    }
    putchar('\n');
}

static void flow(void *ctx, enum host_flow_change change, const struct host_flow_info *f)
{
    char local[WIRE_ADDR_TEXT], remote[WIRE_ADDR_TEXT];
    (void)ctx;
    if (change == HOST_FLOW_CREATED && f->protocol == WIRE_PROTOCOL_TCP)
        printf("+ %llu %s %u %s %u %d\n", f->id, wire_addr_format(f->version, &f->local, local),
               f->local_port, wire_addr_format(f->version, &f->remote, remote), f->remote_port,
               f->loopback ? 2 : 1);
}

static void stream(void *ctx, UINT64 flow_id, bool out, const uint8_t *bytes, uint32_t size, uint32_t lost)
{
    (void)ctx;
    printf("%c %llu %u ", out ? 'o' : 'i', flow_id, lost);
    hex(bytes, size);
}

static void reassembled(void *ctx, UINT64 frame, const uint8_t *packet, uint32_t size)
{
    (void)ctx;
    printf("D %llu ", frame);
    hex(packet, size);
}

static void frame(void *ctx, const struct capture *c, const struct capture_packet *p,
                  const struct wire_packet *w, const struct host_outcome *o, bool written)
{
    (void)ctx, (void)c, (void)written;
    if (o->fault == WIRE_FAULT_IP_CHECKSUM && w->protocol == WIRE_PROTOCOL_TCP &&
        w->reached == WIRE_TRANSPORT) {
        char source[WIRE_ADDR_TEXT], destination[WIRE_ADDR_TEXT];

        printf("c %s %u %s %u\n", wire_addr_format(w->version, &w->source, source), w->source_port,
               wire_addr_format(w->version, &w->destination, destination), w->destination_port);
    }
    if (w->fragment)
        printf("f %llu %s\n", (UINT64)p->number, o->inbound ? "in" : "other");
}

int main(int argc, char **argv)
{
    struct engine *engine;
    if (engine_create(&engine) != 0)
        return 70;
    for (int i = 1; i < argc; i++) {
        struct replay_result result;
        struct capture_error error;
        struct replay_config config = {
            .input = argv[i],
            .frame = frame,
            .host = {.engine = engine,
                     .observer = {.flow = flow, .stream = stream, .reassembled = reassembled}},
        };
        printf("F %s\n", argv[i]);
        if (replay_run(&config, &result, &error) != 0)
            printf("E %s\n", error.text);
        replay_free(&result);
    }
    engine_destroy(engine);
    return 0;
}

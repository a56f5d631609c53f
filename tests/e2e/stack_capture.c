/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stack_capture FILE STREAMS: conversations of two stacks over a bad wire, as they left (before the wire lost any of it),
 * written to FILE (pcap, raw IP); what each connection carried to STREAMS, a line each way in hexadecimal: of
 * connection 0 what its opener sent, then the other; of connection 1 ... For tests/e2e/stack_tshark.py.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stack_pipe.h"

enum { STREAM = 30000 };

static FILE *capture, *streams;
static uint64_t elapsed; /* each run begins where the last one ended, as far as tshark sees it */

static void write_head(void)
{
    static const uint32_t head[6] = {0xa1b23c4d, 2 | 4 << 16, 0, 0, 262144, WIRE_LINK_RAW};

    fwrite(head, sizeof(head), 1, capture);
}

static void write_stream(const uint8_t *bytes)
{
    for (unsigned i = 0; i < STREAM; i++)
        fprintf(streams, "%02x", bytes[i]);
    fputc('\n', streams);
}

static void begin(struct pipe *l, unsigned run, const struct stack_config *c)
{
    pipe_open(l, run + 1, c, c);
    l->capture = capture;
    l->capture_ahead = elapsed;
}

static void end(struct pipe *l)
{
    elapsed += 4000 * PIPE_S;
    pipe_close(l);
}

static void connection(unsigned run)
{
    const struct stack_config c = {.mss = run % 3 == 0 ? 500 : 0,
                                   .without = (uint8_t)(run % 8),
                                   .data_retries = 40,
                                   .syn_retries = 20,
                                   .sequence_fixed = run % 2 == 0,
                                   .sequence = UINT32_MAX - 9000};
    static uint8_t data[2][STREAM], got[STREAM];
    uint32_t sent[2] = {0, 0}, received[2] = {0, 0};
    struct stack_socket *s[2];
    struct pipe l;

    begin(&l, run, &c);
    l.chaos = (struct pipe_chaos){.lose = 80, .reorder = 100, .repeat = 30, .corrupt = 20};
    for (unsigned i = 0; i < 2 * STREAM; i++)
        data[i / STREAM][i % STREAM] = (uint8_t)pipe_random(&l, 256);
    pipe_connect(&l, run % 2 == 0 ? 4 : 6, (uint16_t)(41000 + run), s); /* a port without a dissector */
    while (received[0] != STREAM || received[1] != STREAM) {
        for (unsigned way = 0; way < 2; way++) {
            uint32_t some = 1 + pipe_random(&l, 4000), left = STREAM - sent[way];
            long n = left != 0 ? stack_send(s[way], data[way] + sent[way], some < left ? some : left) : 0;

            if (n > 0 && (sent[way] += (uint32_t)n) == STREAM)
                assert_int_equal(stack_shutdown(s[way]), 0);
            n = stack_receive(s[1 - way], got, sizeof(got), NULL, NULL);
            if (n > 0) {
                assert_memory_equal(got, data[way] + received[way], n);
                received[way] += (uint32_t)n;
            }
        }
        pipe_step(&l, l.now + PIPE_S);
    }
    stack_close(s[0]);
    stack_close(s[1]);
    pipe_run(&l, 300 * PIPE_S);
    write_stream(data[0]);
    write_stream(data[1]);
    end(&l);
}

static void datagrams(uint8_t version)
{
    static const union wire_addr any;
    static uint8_t data[9000];
    union wire_addr to = pipe_address(version, 1);
    struct stack_socket *u[2], *ping;
    struct pipe l;

    begin(&l, 100 + version, NULL);
    u[0] = pipe_socket(&l, 0, version, WIRE_PROTOCOL_UDP);
    u[1] = pipe_socket(&l, 1, version, WIRE_PROTOCOL_UDP);
    ping = pipe_socket(&l, 0, version, version == 4 ? WIRE_PROTOCOL_ICMP : WIRE_PROTOCOL_ICMPV6);
    assert_int_equal(stack_bind(u[1], &any, 46000, false), 0);
    assert_int_equal(stack_connect(ping, &to, 0), 0);
    for (uint32_t size = 1; size <= sizeof(data); size = size * 3 + 1) {
        assert_int_equal(stack_send_to(u[0], &to, 46000, data, size), size);
        assert_int_equal(stack_send_to(u[0], &to, 46001, data, size), size); /* nobody there */
        assert_int_equal(stack_send(ping, data, size), size);
        pipe_run(&l, PIPE_S);
    }
    end(&l);
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 64;
    capture = fopen(argv[1], "wb");
    streams = fopen(argv[2], "w");
    if (capture == NULL || streams == NULL)
        return 1;
    write_head();
    for (unsigned run = 0; run < 16; run++)
        connection(run);
    datagrams(4);
    datagrams(6);
    return fclose(capture) != 0 || fclose(streams) != 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tuple that is used again: however the connection that had it has ended, whoever opened it, whenever the next SYN comes
 * and wherever it begins to count, the next one is a flow of its own: asked about anew, established, with its bytes at the
 * stream layer. Streams that are fed with segments, and by sockets.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fwpsk.h"

#include "host/host_stream.h"
#include "driver_lab.h"

enum end { ABORTED, ABORTED_EARLY, RESET_OUT, RESET_IN, CLOSED, DROPPED, REFUSED_AGAIN, ENDS };

static void drop_it(struct driver_lab_script *s, const struct driver_lab_call *c)
{
    FWPS_STREAM_CALLOUT_IO_PACKET0 *io = (FWPS_STREAM_CALLOUT_IO_PACKET0 *)(void *)c->packet;

    (void)s;
    c->out->actionType = FWP_ACTION_PERMIT;
    if (io->streamData->dataLength != 0)
        io->streamAction = FWPS_STREAM_ACTION_DROP_CONNECTION;
}

static void let_it(struct driver_lab_script *s, const struct driver_lab_call *c)
{
    (void)s;
    c->out->actionType = FWP_ACTION_PERMIT;
}

/* What comes out of the stream layer is of no interest. */
static void on_bytes(void *ctx, UINT64 flow, bool out, const uint8_t *bytes, uint32_t size, UINT32 flags)
{
    (void)ctx, (void)flow, (void)out, (void)bytes, (void)size, (void)flags;
}

static void on_drop(void *ctx, UINT64 flow, UINT64 filter_id)
{
    (void)ctx, (void)flow, (void)filter_id;
}

static void on_hold(void *ctx, UINT64 flow, bool held)
{
    (void)ctx, (void)flow, (void)held;
}

static const struct host_stream_sink nobody = {.bytes = on_bytes, .drop = on_drop, .hold = on_hold};

struct lab {
    struct driver_lab d;
    struct driver_lab_script *stream;
    bool sockets, inbound;
};

static void ends(struct lab *l, struct host_lab_tcp *t, UINT64 flow, enum end how)
{
    struct host_lab *h = &l->d.host;
    UINT64 rule;

    switch (how) {
    case ABORTED:
    case ABORTED_EARLY:
        assert_int_equal(FwpsFlowAbort0(flow), STATUS_SUCCESS);
        break;
    case RESET_OUT:
    case RESET_IN:
        host_lab_segment(h, t, how == RESET_OUT, WIRE_TCP_RST | WIRE_TCP_ACK, NULL);
        break;
    case CLOSED:
        for (unsigned out = 2; l->sockets && out-- > 0;)
            assert_int_equal(host_stream_feed(h->host, flow, out, NULL, 0, HOST_STREAM_END, NULL),
                             STATUS_SUCCESS);
        host_lab_segment(h, t, true, WIRE_TCP_FIN | WIRE_TCP_ACK, NULL);
        host_lab_segment(h, t, false, WIRE_TCP_FIN | WIRE_TCP_ACK, NULL);
        host_lab_segment(h, t, true, WIRE_TCP_ACK, NULL);
        break;
    case DROPPED:
        l->stream->then = drop_it;
        if (l->sockets)
            (void)host_stream_feed(h->host, flow, true, (const uint8_t *)"bytes", 5, 0, NULL);
        else
            host_lab_send(h, t, "bytes");
        l->stream->then = let_it;
        break;
    default:
        rule = host_lab_rule(h, l->inbound ? "block RA" : "block AC");
        host_lab_send(h, t, "bytes");
        host_lab_remove(h, l->inbound ? "RA" : "AC", rule);
        break;
    }
}

static UINT64 begins(struct lab *l, struct host_lab_tcp *t, uint32_t out, uint32_t in, bool whole)
{
    static const uint8_t flags[3] = {WIRE_TCP_SYN, WIRE_TCP_SYN | WIRE_TCP_ACK, WIRE_TCP_ACK};
    struct host_lab *h = &l->d.host;
    UINT64 flow = 0;

    t->out = out;
    t->in = in;
    for (unsigned step = 0; step < (whole ? 3 : 1); step++) {
        host_lab_segment(h, t, (step == 1) == l->inbound, flags[step], NULL);
        assert_int_equal(h->outcome.fate, HOST_PASSED);
        if (step == 0) {
            assert_non_null(strstr(h->seen, l->inbound ? "RA" : "AC"));
            assert_non_null(strstr(h->flows, "created authorized"));
            flow = h->outcome.flow_id;
        }
        assert_int_equal(h->outcome.flow_id, flow);
        assert_int_equal(strstr(h->seen, "FE") != NULL, step == (l->inbound ? 2 : 1));
    }
    return flow;
}

static void open_lab(struct lab *l, bool sockets, bool inbound)
{
    memset(l, 0, sizeof *l);
    driver_lab_open(&l->d, &(struct host_config){.streams = sockets ? HOST_STREAM_SOCKETS : 0,
                                                 .stream_sink = sockets ? &nobody : NULL});
    l->sockets = sockets;
    l->inbound = inbound;
    l->stream = SCRIPT(&l->d, .then = let_it);
    driver_lab_callout(&l->d, "ST", l->stream);
}

static void one(struct lab *l, enum end how, uint64_t pause_ms, uint32_t out, uint32_t in)
{
    static uint16_t port = 40000;
    struct host_lab_tcp t = {.local = port++, .remote = 80};
    UINT64 flows[3];
    unsigned calls;

    if (l->inbound) {
        t.remote = t.local;
        t.local = 80;
    }
    for (unsigned n = 0; n < 3; n++) { /* and the next one's next */
        flows[n] = n == 0 ? begins(l, &t, 1000, 500000, how != ABORTED_EARLY)
                          : begins(l, &t, n * out, n * in, how != ABORTED_EARLY);
        assert_true(flows[n] != 0);
        for (unsigned before = 0; before < n; before++)
            assert_true(flows[n] != flows[before]);
        if (how != ABORTED_EARLY && !l->sockets) {
            calls = l->stream->calls;
            host_lab_send(&l->d.host, &t, "hello");
            assert_int_equal(l->d.host.outcome.fate, HOST_PASSED);
            host_lab_receive(&l->d.host, &t, "hello");
            assert_int_equal(l->stream->calls, calls + 2);
        }
        ends(l, &t, flows[n], how);
        if (pause_ms != 0)
            host_lab_wait(&l->d.host, pause_ms);
    }
}

static void is_another_flow(void **state)
{
    static const uint64_t pauses[] = {0, 1000, 59990, 60000, 60010, 130000, 4000000};
    static const uint32_t begin[][2] = {
        {1000, 500000}, {1001, 500001}, {1006, 500006}, {900, 499000}, {0x80000000, 0x90000000}};

    (void)state;
    for (unsigned run = 0; run < 4; run++) {
        struct lab *l = calloc(1, sizeof *l);

        assert_non_null(l);
        open_lab(l, run & 1, run & 2);
        for (enum end how = 0; how < ENDS; how++)
            for (unsigned p = 0; p < sizeof pauses / sizeof pauses[0]; p++)
                for (unsigned b = 0; b < sizeof begin / sizeof begin[0]; b++)
                    one(l, how, pauses[p], begin[b][0], begin[b][1]);
        driver_lab_close(&l->d);
        free(l);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_another_flow),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

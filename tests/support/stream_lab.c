/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fwpmk.h"
#include "fwpsk.h"

#include "host/host_inject.h"
#include "ndis/nbl.h"
#include "stream_lab.h"

static struct stream_lab *lab_of(void *ctx) /* the host's context is its host_lab */
{
    struct driver_lab *d = (struct driver_lab *)((char *)ctx - offsetof(struct driver_lab, host));

    return (struct stream_lab *)((char *)d - offsetof(struct stream_lab, d));
}

static void add(char *to, const void *bytes, size_t size)
{
    const size_t at = strlen(to);

    if (size == 0 || at + size + 1 > STREAM_LAB_ROOM)
        return;
    memcpy(to + at, bytes, size);
    to[at + size] = '\0';
}

/* ---- the sink */

static void on_bytes(void *ctx, UINT64 flow, bool out, const uint8_t *bytes, uint32_t size, UINT32 flags)
{
    struct stream_lab *l = lab_of(ctx);
    char *to = out ? l->out : l->in;

    if (flow != l->flow)
        return;
    l->elements++;
    *(out ? &l->out_flags : &l->in_flags) |= flags;
    add(to, bytes, size);
    if (flags & HOST_STREAM_END)
        add(to, ".", 1);
    if (flags & HOST_STREAM_ABORT)
        add(to, "!", 1);
}

static void on_drop(void *ctx, UINT64 flow, UINT64 filter_id)
{
    struct stream_lab *l = lab_of(ctx);

    (void)flow;
    l->drops++;
    l->dropped_by = filter_id;
}

static void on_hold(void *ctx, UINT64 flow, bool held)
{
    struct stream_lab *l = lab_of(ctx);

    (void)flow;
    if (held)
        l->holds++;
    else
        l->unholds++;
}

const struct host_stream_sink stream_lab_sink = {.bytes = on_bytes, .drop = on_drop, .hold = on_hold};

/* ---- life */

void stream_lab_open(struct stream_lab *l, const struct host_config *config, bool simulated)
{
    const NET_BUFFER_LIST_POOL_PARAMETERS pool = {
        .Header = {NDIS_OBJECT_TYPE_DEFAULT, NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1,
                   NDIS_SIZEOF_NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1},
        .fAllocateNetBuffer = TRUE,
    };
    struct host_config c = {0};

    memset(l, 0, sizeof(*l));
    if (config != NULL)
        c = *config;
    c.streams = HOST_STREAM_SOCKETS;
    c.stream_sink = &stream_lab_sink;
    l->in = calloc(1, STREAM_LAB_ROOM);
    l->out = calloc(1, STREAM_LAB_ROOM);
    assert_non_null(l->in);
    assert_non_null(l->out);
    if (simulated) {
        assert_int_equal(rt_sim_create(&(struct rt_sim_config){.seed = 1, .start_ns = 1}, &l->sim), 0);
        assert_int_equal(rt_sim_enter(l->sim), 0);
    }
    driver_lab_open(&l->d, &c);
    assert_int_equal(FwpsInjectionHandleCreate0(AF_UNSPEC, FWPS_INJECTION_TYPE_STREAM, &l->handle),
                     STATUS_SUCCESS);
    l->pool = NdisAllocateNetBufferListPool(NULL, &pool);
    assert_non_null(l->pool);
}

void stream_lab_connect(struct stream_lab *l)
{
    const bool next = l->tcp.local >= 50000 && l->tcp.local < 65000;

    l->tcp =
        (struct host_lab_tcp){.local = next ? l->tcp.local + 1 : 50000,
                              .remote = next ? l->tcp.remote : l->tcp.remote + 80}; /* never the same twice */
    host_lab_connect(&l->d.host, &l->tcp);
    l->flow = l->d.host.flow.id;
    assert_true(l->flow != 0);
}

/* The host's record, which has an end; the injector may be at it. */
static void forget(struct stream_lab *l)
{
    pthread_mutex_lock(&l->d.host.telling);
    host_lab_reset(&l->d.host);
    pthread_mutex_unlock(&l->d.host.telling);
}

void stream_lab_settle(struct stream_lab *l)
{
    if (l->sim != NULL)
        rt_sim_settle(l->sim, rt_clock_now(rt_sim_clock(l->sim)));
    else
        host_inject_drain(l->d.host.host);
    forget(l);
}

void stream_lab_close(struct stream_lab *l)
{
    stream_lab_settle(l);
    for (unsigned i = 0; i < l->player_count; i++) {
        struct player *p = l->players[i];

        for (unsigned n = 0; n < p->kept_count; n++)
            if (p->kept[n] != NULL)
                FwpsDiscardClonedStreamData0(p->kept[n], 0, FALSE);
    }
    assert_int_equal(FwpsInjectionHandleDestroy0(l->handle), STATUS_SUCCESS);
    NdisFreeNetBufferListPool(l->pool);
    driver_lab_close(&l->d);
    for (unsigned i = 0; i < l->player_count; i++) {
        free(l->players[i]->seen);
        free(l->players[i]);
    }
    if (l->sim != NULL) {
        rt_sim_leave(l->sim);
        rt_sim_destroy(l->sim);
    }
    free(l->in);
    free(l->out);
}

static int setup(void **state, bool simulated)
{
    struct stream_lab *l = calloc(1, sizeof(*l));

    assert_non_null(l);
    stream_lab_open(l, NULL, simulated);
    *state = l;
    return 0;
}

int stream_lab_setup(void **state)
{
    return setup(state, false);
}

int stream_lab_setup_simulated(void **state)
{
    return setup(state, true);
}

int stream_lab_teardown(void **state)
{
    stream_lab_close(*state);
    free(*state);
    return 0;
}

/* ---- lists */

NET_BUFFER_LIST *stream_lab_list(struct stream_lab *l, const void *bytes, size_t size)
{
    uint8_t *copy = malloc(size + 1);
    NET_BUFFER_LIST *nbl;
    MDL *mdl;

    assert_non_null(copy);
    memcpy(copy, bytes, size);
    mdl = IoAllocateMdl(copy, (ULONG)(size != 0 ? size : 1), FALSE, FALSE, NULL);
    assert_non_null(mdl);
    MmBuildMdlForNonPagedPool(mdl);
    assert_int_equal(FwpsAllocateNetBufferAndNetBufferList0(l->pool, 0, 0, mdl, 0, size, &nbl),
                     STATUS_SUCCESS);
    return nbl;
}

void stream_lab_free(struct stream_lab *l, NET_BUFFER_LIST *nbl)
{
    (void)l;
    if (ndis_nbl_made(nbl) == NDIS_MADE_OWN) {
        MDL *mdl = NET_BUFFER_FIRST_MDL(NET_BUFFER_LIST_FIRST_NB(nbl));
        void *bytes = MmGetMdlVirtualAddress(mdl);

        FwpsFreeNetBufferList0(nbl);
        IoFreeMdl(mdl);
        free(bytes);
    } else {
        FwpsFreeCloneNetBufferList0(nbl, 0);
    }
}

void NTAPI stream_lab_completed(void *context, NET_BUFFER_LIST *nbl, BOOLEAN dispatch)
{
    struct player *p = context;
    struct stream_lab *l = p->lab;

    (void)dispatch;
    assert_non_null(nbl);
    assert_null(NET_BUFFER_LIST_NEXT_NBL(nbl));
    assert_ptr_equal(rt_current(), api_rt(l->d.context));
    l->completed_status = NET_BUFFER_LIST_STATUS(nbl);
    l->completed_context = context;
    if (l->completed < 256)
        l->statuses[l->completed] = l->completed_status;
    l->completed++;
    stream_lab_free(l, nbl);
}

NTSTATUS stream_lab_inject(struct player *p, UINT32 flags, NET_BUFFER_LIST *nbl, SIZE_T size)
{
    struct stream_lab *l = p->lab;

    p->status = FwpsStreamInjectAsync0(l->handle, NULL, 0, l->flow, p->script->id, FWPS_LAYER_STREAM_V4,
                                       flags, nbl, size, stream_lab_completed, p);
    for (NET_BUFFER_LIST *next; p->status != STATUS_SUCCESS && nbl != NULL; nbl = next) {
        next = NET_BUFFER_LIST_NEXT_NBL(nbl);
        stream_lab_free(l, nbl);
    }
    return p->status;
}

NTSTATUS stream_lab_text(struct player *p, UINT32 flags, const char *text)
{
    return stream_lab_inject(p, flags, stream_lab_list(p->lab, text, strlen(text)), strlen(text));
}

NTSTATUS stream_lab_give(struct player *p, unsigned n)
{
    NET_BUFFER_LIST *chain = p->kept[n];
    NTSTATUS status;

    assert_true(n < p->kept_count && chain != NULL);
    p->kept[n] = NULL;
    status = stream_lab_inject(p, p->kept_flags[n], chain, p->kept_size[n]);
    stream_lab_settle(p->lab);
    return status;
}

NTSTATUS stream_lab_continue(struct player *p, UINT32 flags)
{
    NTSTATUS status = FwpsStreamContinue0(p->lab->flow, p->script->id, FWPS_LAYER_STREAM_V4, flags);

    stream_lab_settle(p->lab);
    return status;
}

/* ---- players */

static void count_shape(struct player *p, const FWPS_STREAM_DATA0 *data)
{
    p->lists = p->mdls = 0;
    for (NET_BUFFER_LIST *l = data->netBufferListChain; l != NULL; l = NET_BUFFER_LIST_NEXT_NBL(l)) {
        p->lists++;
        for (MDL *m = NET_BUFFER_FIRST_MDL(NET_BUFFER_LIST_FIRST_NB(l)); m != NULL; m = m->Next)
            p->mdls++;
    }
}

static void note(struct player *p, const FWPS_STREAM_CALLOUT_IO_PACKET0 *io, UINT32 out_flags)
{
    const FWPS_STREAM_DATA0 *data = io->streamData;
    char *bytes = malloc(data->dataLength + 1);
    char missed[32];
    SIZE_T copied;

    assert_non_null(bytes);
    FwpsCopyStreamDataToBuffer0(data, bytes, data->dataLength, &copied);
    assert_int_equal(copied, data->dataLength);
    add(p->seen, data->flags & FWPS_STREAM_FLAG_SEND ? ">" : "<", 1);
    add(p->seen, bytes, copied);
    if (data->flags & (FWPS_STREAM_FLAG_SEND_DISCONNECT | FWPS_STREAM_FLAG_RECEIVE_DISCONNECT))
        add(p->seen, ".", 1);
    if (data->flags & (FWPS_STREAM_FLAG_SEND_ABORT | FWPS_STREAM_FLAG_RECEIVE_ABORT))
        add(p->seen, "!", 1);
    if (out_flags & FWPS_CLASSIFY_OUT_FLAG_NO_MORE_DATA)
        add(p->seen, "N", 1);
    if (out_flags & FWPS_CLASSIFY_OUT_FLAG_BUFFER_LIMIT_REACHED)
        add(p->seen, "L", 1);
    if (io->missedBytes != 0)
        add(p->seen, missed, (size_t)snprintf(missed, sizeof(missed), "(%u)", (unsigned)io->missedBytes));
    add(p->seen, " ", 1);
    free(bytes);
    p->calls++;
    p->flags = data->flags;
    p->out_flags = out_flags;
    p->missed = io->missedBytes;
    p->required = io->countBytesRequired;
    p->enforced = io->countBytesEnforced;
    p->offset = data->dataOffset.streamDataOffset;
    p->length = data->dataLength;
    p->irql = rt_carried()->irql;
    count_shape(p, data);
}

static UINT32 way(const FWPS_STREAM_DATA0 *data)
{
    return data->flags & FWPS_STREAM_FLAG_SEND ? FWPS_STREAM_FLAG_SEND : FWPS_STREAM_FLAG_RECEIVE;
}

static void keep(struct player *p, FWPS_STREAM_DATA0 *data)
{
    NET_BUFFER_LIST *chain;

    assert_true(p->kept_count < 256);
    assert_int_equal(FwpsCloneStreamData0(data, NULL, NULL, 0, &chain), STATUS_SUCCESS);
    p->kept[p->kept_count] = chain;
    p->kept_size[p->kept_count] = data->dataLength;
    p->kept_flags[p->kept_count++] = data->flags;
}

static void play(struct driver_lab_script *s, const struct driver_lab_call *c)
{
    struct player *p = s->ctx;
    FWPS_STREAM_CALLOUT_IO_PACKET0 *io = (FWPS_STREAM_CALLOUT_IO_PACKET0 *)(void *)c->packet;
    const bool sends = (io->streamData->flags & FWPS_STREAM_FLAG_SEND) != 0;
    const struct move *m;

    p->shown_action = c->out->actionType;
    p->rights = c->out->rights;
    note(p, io, c->out->flags);
    if ((p->sends_only && !sends) || (p->receives_only && sends)) {
        c->out->actionType = FWP_ACTION_PERMIT;
        return;
    }
    assert_true(p->move_count != 0);
    m = &p->moves[p->move_at];
    if (p->move_at + 1 < p->move_count)
        p->move_at++;
    if (m->keep)
        keep(p, io->streamData);
    if (m->inject != NULL)
        assert_int_equal(stream_lab_text(p, way(io->streamData), m->inject), STATUS_SUCCESS);
    if (m->inject_end)
        (void)stream_lab_inject(p,
                                way(io->streamData) | (sends ? FWPS_STREAM_FLAG_SEND_DISCONNECT
                                                             : FWPS_STREAM_FLAG_RECEIVE_DISCONNECT),
                                NULL, 0);
    io->streamAction = m->stream;
    io->countBytesRequired = m->need;
    io->countBytesEnforced = m->enforce;
    if (m->action != 0)
        c->out->actionType = m->action;
    if (m->also != NULL)
        m->also(p, c, io);
}

void stream_lab_moves(struct player *p, const struct move *moves, size_t count)
{
    assert_true(count != 0 && count <= 64);
    memcpy(p->moves, moves, count * sizeof(*moves));
    p->move_count = (unsigned)count;
    p->move_at = 0;
}

static void sublayer(struct stream_lab *l, UINT16 weight)
{
    FWPM_SUBLAYER0 s;

    if (weight == 0 && l->sublayers != 0)
        return;
    l->sublayer = bfe_lab_guid(0x5b1a0 + l->sublayers++);
    s = bfe_lab_sublayer(&l->sublayer, weight);
    assert_int_equal(FwpmSubLayerAdd0(l->d.engine, &s, NULL), STATUS_SUCCESS);
}

/* Lighter than those before it in its sublayer. */
static UINT64 filter(struct stream_lab *l, FWP_ACTION_TYPE type, const GUID *callout)
{
    FWPM_FILTER0 f = bfe_lab_filter(engine_layer_by_id(FWPS_LAYER_STREAM_V4)->key, type);
    UINT64 id;

    f.subLayerKey = l->sublayer;
    f.weight.type = FWP_UINT8;
    f.weight.uint8 = (UINT8)(15 - l->filters++ % 16);
    if (callout != NULL)
        f.action.calloutKey = *callout;
    assert_int_equal(FwpmFilterAdd0(l->d.engine, &f, NULL, &id), STATUS_SUCCESS);
    return id;
}

UINT64 stream_lab_plain(struct stream_lab *l, UINT16 weight, FWP_ACTION_TYPE action)
{
    sublayer(l, weight);
    return filter(l, action, NULL);
}

struct player *stream_lab_player(struct stream_lab *l, const struct player *what)
{
    struct player *p = calloc(1, sizeof(*p));

    assert_non_null(p);
    assert_true(l->player_count < 8);
    *p = *what;
    p->lab = l;
    p->seen = calloc(1, STREAM_LAB_ROOM);
    assert_non_null(p->seen);
    l->players[l->player_count++] = p;
    p->script = SCRIPT(&l->d, .then = play, .ctx = p, .callout_flags = p->callout_flags);
    assert_int_equal(driver_lab_register(&l->d, p->script), STATUS_SUCCESS);
    driver_lab_add_half(&l->d, "ST", p->script);
    return p;
}

void stream_lab_filter(struct stream_lab *l, struct player *p)
{
    sublayer(l, p->weight);
    p->script->filter_id = filter(l, p->type != 0 ? p->type : FWP_ACTION_CALLOUT_UNKNOWN, &p->script->key);
}

struct player *stream_lab_play(struct stream_lab *l, const struct player *what)
{
    struct player *p = stream_lab_player(l, what);

    stream_lab_filter(l, p);
    return p;
}

GUID stream_lab_foreign(struct stream_lab *l, UINT16 weight, FWP_ACTION_TYPE type)
{
    struct driver_lab_script *s = SCRIPT(&l->d, .ctx = NULL); /* for its key: it is never registered */

    driver_lab_add_half(&l->d, "ST", s);
    assert_int_equal(engine_callout_set_foreign(l->d.host.engine, &s->key, true), 0);
    sublayer(l, weight);
    s->filter_id = filter(l, type, &s->key);
    return s->key;
}

/* ---- feeding */

void stream_lab_bytes(struct stream_lab *l, bool out, const void *bytes, size_t size, UINT32 flags)
{
    if (l->flow == 0)
        stream_lab_connect(l);
    forget(l);
    l->fed = host_stream_feed(l->d.host.host, l->flow, out, bytes, (uint32_t)size, flags, &l->held);
}

void stream_lab_receive(struct stream_lab *l, const char *bytes, UINT32 flags)
{
    stream_lab_bytes(l, false, bytes, strlen(bytes), flags);
}

void stream_lab_send(struct stream_lab *l, const char *bytes, UINT32 flags)
{
    stream_lab_bytes(l, true, bytes, strlen(bytes), flags);
}

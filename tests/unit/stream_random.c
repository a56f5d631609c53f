/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random streams against a plain model. A connection's bytes are fed in random pieces to random callouts that wait,
 * defer, edit in line, take all out and put it back later, allow, drop; ends and resets come at random.
 *
 * The model knows nothing of stages, queues or time: each callout is a map from a byte to a few bytes, and what is to
 * come out is their composition over what was fed. At any moment what has come out is a beginning of that; in the end it
 * is all of it, unless the connection was dropped or reset. The source's bytes that elements stand for add up to what
 * was fed, in order (struct stream_element's span).
 *
 *   WEIR_RUNS=100000 stream_random        how many; the whole of the measure
 */
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

#include "host/stream.h"
#include "ndis/nbl.h"
#include "stream_lab.h"

#define STAGES    4
#define MOST      4096 /* bytes that come out of a direction */
#define SHORT_RUN 1500
#define KEPT      512

static unsigned long runs = SHORT_RUN;
static const uint64_t first_seed = 1;

/* ---- chance: its own, so that a seed is a run */

static uint64_t chance;

static uint32_t roll(uint32_t below)
{
    chance ^= chance << 13;
    chance ^= chance >> 7;
    chance ^= chance << 17;
    return below != 0 ? (uint32_t)(chance >> 33) % below : 0;
}

static bool one_in(uint32_t n)
{
    return roll(n) == 0;
}

/* ---- the model */

/* What a callout makes of a byte: itself, nothing, or up to three others. */
struct map {
    uint8_t to[256][3];
    uint8_t size[256];
};

static void map_make(struct map *m, bool edits)
{
    for (unsigned b = 0; b < 256; b++) {
        const uint32_t what = edits ? roll(8) : 7;

        m->size[b] = 1;
        m->to[b][0] = (uint8_t)b;
        if (what < 1) {
            m->size[b] = 0;
        } else if (what < 3) {
            m->size[b] = (uint8_t)(1 + roll(3));
            for (unsigned i = 0; i < m->size[b]; i++)
                m->to[b][i] = (uint8_t)('a' + roll(16));
        }
    }
}

static bool keeps(const struct map *m, uint8_t b)
{
    return m->size[b] == 1 && m->to[b][0] == b;
}

/* A callout's bytes from the `allowed`-th that it was given on are left as they are. */
static size_t model_stage(const struct map *m, size_t allowed, const uint8_t *in, size_t size, uint8_t *out)
{
    size_t n = 0;

    for (size_t i = 0; i < size; i++) {
        if (i >= allowed) {
            out[n++] = in[i];
            continue;
        }
        memcpy(out + n, m->to[in[i]], m->size[in[i]]);
        n += m->size[in[i]];
    }
    return n;
}

/* ---- the callouts */

struct way { /* one direction of one callout */
    struct map map;
    bool later;     /* takes all out, puts it back later */
    size_t done;    /* bytes that it has decided about */
    size_t allowed; /* from here on it is not asked */
    bool deferred;
    unsigned continued; /* calls of FwpsStreamContinue0() */
    struct {
        uint8_t *bytes;
        size_t size;
        bool end;
        NET_BUFFER_LIST *clone; /* injected as it is, if the map says so; NULL */
    } kept[KEPT];
    unsigned kept_first, kept_count;
};

struct actor {
    struct driver_lab_script *script;
    struct way way[2]; /* [0]: sent */
    bool waits, defers, allows, drops;
    bool continues; /* a lighter one of its sublayer is to see what it lets go */
};

static struct stream_lab *lab;
static struct actor actors[STAGES];
static struct {
    uint8_t fed[MOST / 8], out[MOST * 16];
    size_t fed_size, out_size;
    uint64_t spanned;
    bool end_fed, end_out, reset;
} way[2];
static bool dropped;
static uint64_t running; /* a debugger's: which seed fails */

static UINT32 flag(int dir)
{
    return dir == 0 ? FWPS_STREAM_FLAG_SEND : FWPS_STREAM_FLAG_RECEIVE;
}

static UINT32 end_flag(int dir)
{
    return dir == 0 ? FWPS_STREAM_FLAG_SEND_DISCONNECT : FWPS_STREAM_FLAG_RECEIVE_DISCONNECT;
}

static void NTAPI completed(void *context, NET_BUFFER_LIST *nbl, BOOLEAN dispatch)
{
    (void)context;
    (void)dispatch;
    lab->completed++;
    stream_lab_free(lab, nbl);
}

static NTSTATUS inject(struct actor *a, UINT32 flags, NET_BUFFER_LIST *nbl, size_t size)
{
    const NTSTATUS status = FwpsStreamInjectAsync0(lab->handle, NULL, 0, lab->flow, a->script->id,
                                                   FWPS_LAYER_STREAM_V4, flags, nbl, size, completed, a);

    for (NET_BUFFER_LIST *next; status != STATUS_SUCCESS && nbl != NULL; nbl = next) {
        next = NET_BUFFER_LIST_NEXT_NBL(nbl);
        stream_lab_free(lab, nbl);
    }
    return status;
}

static void keep(struct actor *a, int dir, FWPS_STREAM_DATA0 *data, const uint8_t *bytes, bool end)
{
    struct way *w = &a->way[dir];
    const unsigned at = w->kept_first + w->kept_count++;
    bool same = true;

    assert_true(at < KEPT);
    w->kept[at].end = end;
    w->kept[at].clone = NULL;
    w->kept[at].size = data->dataLength;
    w->kept[at].bytes = malloc(data->dataLength + 1);
    assert_non_null(w->kept[at].bytes);
    memcpy(w->kept[at].bytes, bytes, data->dataLength);
    for (size_t i = 0; i < data->dataLength; i++)
        same = same && keeps(&w->map, bytes[i]);
    if (same && one_in(2))
        assert_int_equal(FwpsCloneStreamData0(data, NULL, NULL, 0, &w->kept[at].clone), STATUS_SUCCESS);
}

/* Puts back the oldest that it keeps. */
static void give(struct actor *a, int dir)
{
    struct way *w = &a->way[dir];
    const unsigned at = w->kept_first;
    const UINT32 flags = flag(dir) | (w->kept[at].end ? end_flag(dir) : 0);
    uint8_t bytes[3 * sizeof(way[0].fed) * 81];
    size_t size;

    w->kept_first++;
    w->kept_count--;
    if (w->kept[at].clone != NULL) {
        (void)inject(a, flags, w->kept[at].clone, w->kept[at].size);
    } else {
        size = model_stage(&w->map, SIZE_MAX, w->kept[at].bytes, w->kept[at].size, bytes);
        if (size != 0)
            (void)inject(a, flags, stream_lab_list(lab, bytes, size), size);
        else if (w->kept[at].end)
            (void)inject(a, flags, NULL, 0);
    }
    free(w->kept[at].bytes);
}

/* Some leading bytes are decided about: what stays is permitted; or one is replaced in line. */
static void edit(struct actor *a, int dir, const uint8_t *bytes, size_t size,
                 FWPS_STREAM_CALLOUT_IO_PACKET0 *io, FWPS_CLASSIFY_OUT0 *out, bool all)
{
    struct way *w = &a->way[dir];
    size_t most = all || one_in(2) ? size : 1 + roll((uint32_t)size), n = 0;

    while (n < most && keeps(&w->map, bytes[n]))
        n++;
    out->actionType = a->continues || one_in(3) ? FWP_ACTION_CONTINUE : FWP_ACTION_PERMIT;
    if (n == 0) {
        const uint8_t b = bytes[0];

        n = 1;
        out->actionType = FWP_ACTION_BLOCK;
        if (w->map.size[b] != 0)
            assert_int_equal(
                inject(a, flag(dir), stream_lab_list(lab, w->map.to[b], w->map.size[b]), w->map.size[b]),
                STATUS_SUCCESS);
    }
    io->countBytesEnforced = n == size && one_in(2) ? 0 : n;
    w->done += n;
}

static void classify(struct driver_lab_script *s, const struct driver_lab_call *c)
{
    struct actor *a = s->ctx;
    FWPS_STREAM_CALLOUT_IO_PACKET0 *io = (FWPS_STREAM_CALLOUT_IO_PACKET0 *)(void *)c->packet;
    FWPS_STREAM_DATA0 *data = io->streamData;
    const int dir = (data->flags & FWPS_STREAM_FLAG_SEND) != 0 ? 0 : 1;
    const bool end = (data->flags & end_flag(dir)) != 0;
    const bool reset = (data->flags & (FWPS_STREAM_FLAG_SEND_ABORT | FWPS_STREAM_FLAG_RECEIVE_ABORT)) != 0;
    const bool now = (c->out->flags & (FWPS_CLASSIFY_OUT_FLAG_NO_MORE_DATA |
                                       FWPS_CLASSIFY_OUT_FLAG_BUFFER_LIMIT_REACHED)) != 0;
    struct way *w = &a->way[dir];
    uint8_t *bytes;
    SIZE_T size;

    c->out->actionType = FWP_ACTION_PERMIT;
    if (reset)
        return;
    if (w->deferred &&
        !now) /* nothing comes to who defers, but at the limit, or because he went on before that */
        assert_true(w->continued-- > 0);
    assert_true(w->done < w->allowed);
    if (a->drops && one_in(40)) {
        io->streamAction = FWPS_STREAM_ACTION_DROP_CONNECTION;
        return;
    }
    bytes = malloc(data->dataLength + 1);
    assert_non_null(bytes);
    FwpsCopyStreamDataToBuffer0(data, bytes, data->dataLength, &size);
    assert_int_equal(size, data->dataLength);
    w->deferred = false;
    if (w->later) {
        keep(a, dir, data, bytes, end);
        c->out->actionType = FWP_ACTION_BLOCK;
    } else if (a->defers && dir == 1 && !(now && !end) && !way[1].reset && one_in(6)) {
        io->streamAction = FWPS_STREAM_ACTION_DEFER;
        w->deferred = true;
    } else if (end) {
        c->out->actionType = a->continues || one_in(2) ? FWP_ACTION_CONTINUE : FWP_ACTION_PERMIT;
    } else if (a->waits && !now && one_in(3)) {
        io->streamAction = FWPS_STREAM_ACTION_NEED_MORE_DATA;
        io->countBytesRequired = 1 + roll((uint32_t)size + 6);
    } else if (a->allows && one_in(12)) {
        io->streamAction = FWPS_STREAM_ACTION_ALLOW_CONNECTION;
        w->allowed = w->done;
        a->way[!dir].allowed = a->way[!dir].done;
    } else {
        edit(a, dir, bytes, size, io, c->out, now && one_in(2));
    }
    free(bytes);
}

/* ---- the sink */

static void element(struct host *h, struct stream *st, int dir, const struct stream_element *e)
{
    (void)h;
    assert_int_equal(stream_flow(st), lab->flow);
    assert_true(way[dir].out_size + e->size <= sizeof(way[dir].out));
    if (e->size != 0)
        memcpy(way[dir].out + way[dir].out_size, e->bytes, e->size);
    if (e->same) { /* the source's own, where it says that they are */
        assert_int_equal(e->span, e->size);
        assert_memory_equal(e->bytes, way[dir].fed + way[dir].spanned, e->size);
    }
    way[dir].out_size += e->size;
    way[dir].spanned += e->span;
    assert_true(way[dir].spanned <= way[dir].fed_size);
    if (e->flags & HOST_STREAM_END) {
        assert_false(way[dir].end_out);
        way[dir].end_out = true;
    }
    if (e->flags & HOST_STREAM_ABORT)
        way[dir].reset = true;
    if (e->size != 0)
        assert_false(way[dir].end_out);
}

static void drop(struct host *h, struct stream *st, UINT64 filter_id)
{
    (void)h;
    (void)st;
    (void)filter_id;
    dropped = true;
}

static const struct stream_sink sink = {.element = element, .drop = drop};

/* ---- one run */

static void compare(int dir, bool all)
{
    static uint8_t a[2][MOST * 81];
    size_t size = way[dir].fed_size;
    unsigned in = 0;

    memcpy(a[0], way[dir].fed, size);
    for (unsigned i = 0; i < STAGES; i++, in = !in)
        size = model_stage(&actors[i].way[dir].map, actors[i].way[dir].allowed, a[in], size, a[!in]);
    if (way[dir].out_size > size || memcmp(way[dir].out, a[in], way[dir].out_size) != 0 ||
        (all && (way[dir].out_size != size || way[dir].end_out != way[dir].end_fed)))
        print_message("seed %llu, direction %d\n", (unsigned long long)running, dir);
    assert_true(way[dir].out_size <= size);
    assert_memory_equal(way[dir].out, a[in], way[dir].out_size);
    if (!all)
        return;
    assert_int_equal(way[dir].out_size, size);
    assert_int_equal(way[dir].spanned, way[dir].fed_size);
    assert_int_equal(way[dir].end_out, way[dir].end_fed);
}

static bool is_over(void)
{
    return dropped || way[0].reset || way[1].reset;
}

static void feed(int dir, size_t size, UINT32 flags)
{
    uint8_t *bytes = way[dir].fed + way[dir].fed_size;
    NTSTATUS status;

    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)('a' + roll(26));
    way[dir].fed_size += size;
    way[dir].end_fed = way[dir].end_fed || (flags & HOST_STREAM_END) != 0;
    if ((flags & HOST_STREAM_ABORT) != 0)
        way[dir].reset = true;
    status = host_stream_feed(lab->d.host.host, lab->flow, dir == 0, bytes, (uint32_t)size, flags, NULL);
    assert_true(status == STATUS_SUCCESS || dropped);
}

/* Something that only time would bring. False: nothing is left to come. */
static bool time_passes(void)
{
    struct actor *a = &actors[roll(STAGES)];

    for (unsigned i = 0; i < STAGES; i++, a = a == &actors[STAGES - 1] ? actors : a + 1) {
        const int dir = (int)roll(2);

        for (int d = 0; d < 2; d++) {
            struct way *w = &a->way[(dir + d) % 2];

            if (w->kept_count != 0) {
                give(a, (dir + d) % 2);
                return true;
            }
        }
        if (a->way[1].deferred) {
            a->way[1].deferred = false;
            a->way[1].continued++;
            (void)FwpsStreamContinue0(lab->flow, a->script->id, FWPS_LAYER_STREAM_V4,
                                      FWPS_STREAM_FLAG_RECEIVE);
            return true;
        }
    }
    return false;
}

static void begin(uint64_t seed)
{
    chance = seed * 0x9e3779b97f4a7c15ull | 1;
    for (unsigned i = 0; i < 8; i++)
        (void)roll(1);
    memset(way, 0, sizeof(way));
    dropped = false;
    for (unsigned i = 0; i < STAGES; i++) {
        struct actor *a = &actors[i];

        a->waits = one_in(2);
        a->defers = one_in(3);
        a->allows = one_in(6);
        a->drops = one_in(25);
        for (int d = 0; d < 2; d++) {
            a->way[d] = (struct way){.allowed = SIZE_MAX, .later = one_in(4)};
            map_make(&a->way[d].map, one_in(2));
        }
        if (a->way[0].later || a->way[1].later ||
            a->continues) /* nobody mixes the two ways of working (STR-20) */
            a->allows = false;
    }
    stream_lab_connect(lab);
}

static void finish(void)
{
    for (int dir = 0; dir < 2; dir++)
        if (!is_over() && !way[dir].end_fed)
            feed(dir, roll(4), HOST_STREAM_END);
    for (unsigned n = 0, idle = 0; !is_over() && idle < 2; n++) {
        idle = time_passes() ? 0 : idle + 1;
        stream_lab_settle(lab); /* which may bring more */
        assert_true(n < 5000);
    }
    for (int dir = 0; dir < 2; dir++)
        compare(dir, !is_over());
    (void)FwpsFlowAbort0(lab->flow);
    stream_lab_settle(lab);
    for (unsigned i = 0; i < STAGES; i++) /* what nobody takes any more: it is refused */
        for (int dir = 0; dir < 2; dir++)
            while (actors[i].way[dir].kept_count != 0)
                give(&actors[i], dir);
}

static void run(uint64_t seed)
{
    const unsigned steps = 4 + (begin(seed), roll(40));
    const bool resets = one_in(10);

    for (unsigned n = 0; n < steps && !is_over(); n++) {
        const int dir = (int)roll(2);

        if (one_in(3)) {
            (void)time_passes();
        } else if (!way[dir].end_fed) {
            const UINT32 flags = (one_in(30) ? HOST_STREAM_END : 0) | (one_in(3) ? HOST_STREAM_PUSH : 0) |
                                 (resets && one_in(15) ? HOST_STREAM_ABORT : 0);

            feed(dir, flags & HOST_STREAM_ABORT ? 0 : 1 + roll(one_in(4) ? 9 : 3), flags);
        }
        if (one_in(2))
            stream_lab_settle(lab);
        for (int d = 0; d < 2 && !is_over(); d++)
            compare(d, false);
    }
    finish();
}

static void many(const struct host_config *config, uint64_t seed, unsigned long count)
{
    struct ledger_counts before, after;
    struct host_stream_counts c;

    lab = calloc(1, sizeof(*lab));
    assert_non_null(lab);
    stream_lab_open(lab, config, true);
    ((struct host *)lab->d.host.host)->stream_sink = &sink;
    for (unsigned i = 0; i < STAGES; i++) {
        struct player *p = stream_lab_player(lab, &(struct player){.weight = (UINT16)(i == 2 ? 0 : 100 - i)});

        actors[i] = (struct actor){.script = p->script, .continues = i == 1};
        p->script->ctx = &actors[i];
        p->script->then = classify;
        stream_lab_filter(lab, p);
    }
    ledger_counts(lab->d.ledger, &before);
    for (unsigned long n = 0; n < count; n++) {
        running = seed + n;
        run(running);
    }
    ledger_counts(lab->d.ledger, &after);
    assert_int_equal(after.findings[LEDGER_NOTE], before.findings[LEDGER_NOTE]);
    host_advance(lab->d.host.host, host_now(lab->d.host.host) + 1); /* what has ended is freed */
    host_stream_counts(lab->d.host.host, &c);
    assert_int_equal(c.waiting, 0);
    stream_lab_close(lab);
    free(lab);
}

static void random_streams_are_what_the_model_says(void **state)
{
    (void)state;
    many(NULL, first_seed, runs);
}

static void so_they_are_in_chains_and_pieces(void **state)
{
    const struct host_config c = {.knobs = {.split_list = 3, .split_mdl = 3}};

    (void)state;
    many(&c, first_seed + 1000000, runs / 2);
}

static void so_they_are_at_their_limits(void **state)
{
    const struct host_config c = {.limits = {.stream_buffer = 12}};

    (void)state;
    many(&c, first_seed + 2000000, runs / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_streams_are_what_the_model_says),
        cmocka_unit_test(so_they_are_in_chains_and_pieces),
        cmocka_unit_test(so_they_are_at_their_limits),
    };
    const char *text = getenv("WEIR_RUNS");

    if (text != NULL)
        runs = strtoul(text, NULL, 0);
    else if (getenv("WEIR_CASES") != NULL) /* scripts/test --full sets it */
        runs = 100000;
    return cmocka_run_group_tests(tests, NULL, NULL);
}

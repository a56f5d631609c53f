/* SPDX-License-Identifier: Apache-2.0 */
/*
 * streams' inside: what the files of the stream layer share (stream.h has the list of them).
 *
 *   struct streams      the host's: all streams, by flow and by its id (stream_table.c), when each filter came (STR-28), counts
 *   struct stream       a flow's: two directions, what is needed to classify without a packet
 *   struct stream_set   the stages that apply to a direction: shared by all streams with the same filters
 *   struct stream_place what one stage of one direction holds: a queue of chunks, and why it waits
 *   struct stream_run   somebody in a direction's pipeline, on his stack
 *
 * Who may touch what. A direction's queues belong to who runs it; running needs the host's turn, so there is one
 * thread at a time, which may come back into it from a callout. The table, `gone` and `inside` are under
 * streams.lock, so that any thread may ask whether a flow has a stream, or end it. What a stream that has ended
 * still holds is freed by who next has the turn and is in no pipeline (streams_reap()).
 */
#ifndef WEIR_HOST_STREAM_INSIDE_H
#define WEIR_HOST_STREAM_INSIDE_H

#include <limits.h>
#include <stddef.h>

#include "host/stream.h"
#include "ndis/slice.h"

/* ---- stages (stream_stages.c) */

struct stream_stage {
    struct engine_stage is; /* its filter: a reference */
    UINT64 filter_id;
    UINT32 callout;             /* 0: a plain filter */
    UINT32 next;                /* the first stage of a following sublayer */
    struct ledger_party *party; /* whose callout; NULL: nobody's yet */
};
struct stream_set {
    struct stream_set *chain; /* streams.sets */
    UINT32 references, count;
    bool depends; /* some filter's match hangs on what is unknown */
    bool unheard; /* a foreign callout that is no stage would say what nobody knows about all that is shown */
    bool edits;   /* some stage may change what passes */
    bool asks;    /* some filter that matches has a callout, be it a foreign one that is no stage */
    bool inspects; /* there is one stage, an inspection of a callout */
    struct stream_stage stages[];
};
/* Hangs what becomes of a piece that all stages are shown on what is unknown? */
static inline bool stream_set_unsure(const struct stream_set *set)
{
    return set->depends || set->unheard;
}
#define STREAM_STAGES 64u /* lighter ones of a longer list are not asked: counted */

/* ---- what moves */

enum stream_kind {
    STREAM_DATA, /* size bytes of the store from `at` on; span: as many, or 0 if it was injected */
    STREAM_HOLE, /* span bytes of the source that are no longer, or never were, there */
    STREAM_MARK, /* the direction's end, or its reset */
};
struct stream_chunk {
    struct stream_chunk *next;
    struct ndis_store *store; /* a reference */
    struct ndis_slice *slice; /* its list: made when it is first shown */
    uint32_t begin, at, size; /* [begin, at) have gone on already; the list shows them still (STR-01) */
    uint32_t span;
    UINT32 through; /* stages before this one have permitted it: it passes them unasked */
    UINT32 flags;   /* HOST_STREAM_* */
    UINT64 filter_id;
    uint8_t kind; /* enum stream_kind */
    bool lost;
};

enum stream_wait { STREAM_GOES, STREAM_NEEDS, STREAM_DEFERS };
struct stream_place {
    struct stream_chunk *head, **tail;
    UINT64 bytes;  /* of data in the queue */
    UINT64 missed; /* STR-29 */
    UINT32 chunks;
    UINT32 need;   /* STREAM_NEEDS: so many bytes are to be there */
    UINT32 told;   /* enum stream_fault: bits */
    uint8_t waits; /* enum stream_wait */
    bool fresh;    /* bytes came since it began to wait */
    bool again;    /* continued: asked once more */
    bool marked;   /* a mark is in the queue */
    bool closes;   /* nothing can be deferred any more: a reset, or the flow's end */
    bool ended;    /* a mark has gone through */
    bool allowed;  /* STR-16 */
    bool asking;
    bool took;     /* it has taken bytes out: injects later, perhaps */
    bool let;      /* it let bytes pass that it was asked about */
    bool took_end; /* it took the end out */
    bool
        apart; /* out of band: it took bytes out and kept a clone, or injects while it takes out everything */
};

/* ---- streams */

/* What came out while somebody was in a pipeline, for struct stream_fed. */
struct stream_tally {
    UINT64 same, removed, injected; /* bytes */
    UINT64 removed_by;
    UINT32 marks, holes, runs;
    bool several; /* filters took bytes out */
    bool depends; /* on what is unknown */
};

struct stream_run;
struct stream_work; /* stream_inject.c's */
/* Two cache lines, which are all that a piece touches of its direction: in most streams nothing waits, and there is one stage. */
struct stream_dir {
    _Alignas(64) struct stream_set *set; /* NULL: not looked at yet */
    struct stream_place *places;
    UINT64 version, generation; /* of policy and callouts that `set` is of */
    struct stream_run *run;     /* the innermost; NULL: nobody is in here */
    uintptr_t thread;           /* whose; atomic: others look whether it is theirs */
    /* Rings, by the last one, which leads to the first; NULL: empty. */
    struct stream_chunk *inbox; /* fed while somebody was inside */
    struct stream_work *later;  /* injected then */
    struct stream_place own;    /* where there is one stage */
    UINT64 waiting : 61;        /* bytes in queues */
    UINT64 held : 1;            /* the sink was told to hold (STR-14) */
    UINT64 closed : 1;          /* its end was fed */
    UINT64 ended : 1;           /* its end has come out, or its reset has come in */
};
_Static_assert(sizeof(struct stream_dir) == 128, "two cache lines");

/* Callouts that answered ALLOW_CONNECTION. */
struct stream_allowed {
    UINT32 count;
    UINT32 callouts[];
};

/* In the order in which it is fetched ahead (streams_fetch()): what each segment needs, what one with data does. */
struct stream {
    _Alignas(64) UINT64 id;
    struct stream *chain; /* of its bucket, then of the dead; of free ones */
    struct host *host;
    void *word;
    UINT64 seen, seen_generation; /* engine_version() then, and of callouts */
    UINT32 slot;                  /* its flow's, in the table of flows */
    UINT32 inside;
    bool gone;    /* out of the table: nothing is to be called for it. Atomic */
    bool dropped; /* STR-13 */
    bool aborted;
    bool allows;       /* `allowed` is something */
    bool none;         /* no callout filter matches: it is here to remember that */
    bool staged;       /* both directions have stages, those of `seen` */
    uint8_t edits;     /* bits: those of the direction may change what passes (stream_set.edits) */
    bool told : 1;     /* the sink was, of its end */
    bool loopback : 1; /* as its scene was when it began */
    struct stream_past past;
    struct stream_dir dir[2];
    /* as its scene was when it began */
    uint8_t version;
    uint8_t connection_direction; /* FWP_DIRECTION */
    UINT16 local_port, remote_port;
    union wire_addr local, remote;
    const struct host_interface *interface, *home;
    struct stream_allowed *allowed; /* NULL: nobody has */
};
_Static_assert(offsetof(struct stream, dir) == 128, "what each segment needs is in two cache lines");
_Static_assert(sizeof(struct stream) == 448, "of seven");

static inline void stream_set_give(struct stream *st, int dir, struct stream_set *set)
{
    st->dir[dir].set = set;
    st->edits = (uint8_t)((st->edits & ~(1u << dir)) | (unsigned)set->edits << dir);
}

/* When a callout filter was first seen here: flows with a lower id were there before it. */
struct stream_since {
    UINT64 filter_id, flow_id;
    bool registered, seen;
};

/* Filters at ST that test nothing: all flows that came after them have the same stages. */
struct stream_common {
    bool possible;
    UINT64 version;         /* of the layer */
    struct stream_set *set; /* as long as some flow has it; NULL: not known */
};

struct streams {
    struct rt_mutex *lock;
    struct stream **buckets; /* by their flows' ids */
    UINT32 bucket_count, count;
    struct stream **of; /* by their flows' slots; atomic, each */
    UINT64 of_count;
    struct stream *dead;
    struct stream_slab *slabs;    /* all that there is memory for: stream.c's */
    struct stream *spare_streams; /* of them, those that are free */
    struct stream_chunk *spare;   /* chunks with store and list, to be used again: stream_queue.c's */
    UINT32 spares;
    struct stream_chunk *spare_mark; /* one; NULL: none */
    struct wire_pass *pass; /* stream_wire.h's: the feeds under way on the stack of who has the turn */
    unsigned active;        /* runs on the stack of who has the turn */
    struct stream_set *sets;
    struct stream_since *since;
    size_t since_count, since_room;
    UINT64 since_version, since_generation;
    UINT64 since_newest;              /* flows from this one on are there longer than no filter */
    struct stream_common common[2];   /* v4, v6; of that version and generation */
    struct host_stream_counts counts; /* atomic, each */
    bool joined;                /* a callout may join flows that are there: they are to be authorized again */
    UINT64 unseen;              /* stages beyond STREAM_STAGES */
    bool looks;                 /* stream_look() may be taken, as far as the host's configuration goes, */
    bool looks_unsure;          /* also where something depends on what is unknown */
    struct engine_request look; /* stream_look()'s; what is the same for all stands there from the start */
    struct engine_flow look_flow;
    UINT64 looked; /* pieces that it was taken for */
};

struct stream_run {
    struct host *host;
    struct stream *st;
    int dir;
    struct stream_run *outer;
    struct scene *s;
    struct engine_request *request;
    struct stream_tally *tally; /* of who came in first */
    unsigned asking;            /* the stage whose callout runs, while one does; UINT_MAX */
    bool asked;                 /* a callout was */
    bool put;                   /* ... and injected in line, the last that was asked */
};

/* What a callout is shown. */
struct stream_shown {
    FWPS_STREAM_CALLOUT_IO_PACKET0 io;
    FWPS_STREAM_DATA0 data;
    UINT64 size;
};

/* Who has the turn counts; anybody reads. */
static inline void stream_count(UINT64 *counter, UINT64 by)
{
    __atomic_store_n(counter, *counter + by, __ATOMIC_RELAXED);
}

void streams_notice_slow(struct host *h, const struct engine_snapshot *snapshot);
static inline bool streams_any(const struct host *h)
{
    return h->streams != NULL && __atomic_load_n(&h->streams->count, __ATOMIC_RELAXED) != 0;
}
/* Before a flow gets its id: were filters added since the last one did (STR-28)? */
static inline void streams_new_flow(struct lane *l)
{
    struct host *h = l->host;

    if (__builtin_expect(engine_version(h->config.engine) != h->streams->since_version ||
                             engine_callout_generation(h->config.engine) != h->streams->since_generation,
                         0)) {
        streams_notice_slow(h, engine_pin(l->reader));
        engine_unpin(l->reader);
    }
}

int streams_create(struct host *h); /* h->streams: 0 or -ENOMEM */
void streams_destroy(struct host *h);
/* Who has the turn and is in no pipeline: frees what has ended. */
void streams_reap_slow(struct host *h);
static inline void streams_reap(struct host *h)
{
    const struct streams *all = h->streams;

    if (__builtin_expect(__atomic_load_n(&all->dead, __ATOMIC_RELAXED) != NULL, 0) && all->active == 0)
        streams_reap_slow(h);
}
/* stream_table.c. The stream's flow is the scene's. False: no memory, or the flow has gone. The turn is ours. */
bool stream_table_put(const struct scene *s, struct stream *st);
void stream_table_take(struct streams *all, struct stream *st); /* to the dead. The lock is held */
void stream_table_free(struct streams *all);
/* That of the flow in this slot. The turn is ours, or the lock held. */
static inline struct stream *stream_at(const struct streams *all, UINT32 slot)
{
    return slot < all->of_count ? __atomic_load_n(&all->of[slot], __ATOMIC_RELAXED) : NULL;
}
/* Is there something in the segment for the pipeline? */
static inline bool stream_touches(const struct wire_packet *p)
{
    return p->data_length != 0 || (p->tcp_flags & WIRE_TCP_FIN) != 0;
}
/* What a segment touches of its stream (data: as above), into the caches. Inlined: for GCC a
 * function that only prefetches does nothing, and its calls go. */
static inline __attribute__((always_inline)) void stream_fetch(const struct stream *st, int dir, bool data)
{
    __builtin_prefetch(st, 1);
    __builtin_prefetch(&st->past, 1);
    if (data) {
        __builtin_prefetch(&st->dir[dir], 1);
        __builtin_prefetch((const char *)&st->dir[dir] + 64, 1);
    }
}
static inline struct stream *stream_of_flow(const struct streams *all, UINT32 slot, UINT64 flow_id)
{
    struct stream *st = stream_at(all, slot);

    return __builtin_expect(st != NULL && st->id == flow_id, 1) ? st : NULL;
}
/* A reference that keeps it from being freed; NULL: no such flow has one. Any thread. */
struct stream *stream_hold(struct host *h, UINT64 flow_id);
void stream_let(struct stream *st);
bool stream_holds(const struct stream_dir *d); /* does anything wait in it? */
/* The scene of a stream without a packet. */
void stream_scene(struct stream *st, int dir, struct scene *s);
static inline bool stream_stopped(const struct stream *st)
{
    return __atomic_load_n(&st->gone, __ATOMIC_ACQUIRE) || st->dropped;
}

/* stream_stages.c. The direction's stages under the run's policy; what a stage that goes held is handed on. False: no
 * memory, they are as they were. */
bool stream_stages(struct stream_run *r, const struct engine_snapshot *snapshot, UINT64 unknown);
void stream_set_unref(struct streams *all, struct stream_set *set);
/* A new stream's, without looking, where all such flows have the same. False: stream_stages() has to. Not in the table yet. */
bool stream_stages_common(struct stream *st, UINT64 version, UINT64 generation);
void stream_places_free(struct stream_dir *d, struct stream_place *places);
UINT64 stream_places_size(const struct stream_dir *d); /* beside the stream itself */
/* Filters and callouts of ST are compared with those known: to be called before a flow gets its id. */
static inline void streams_notice(struct host *h, const struct engine_snapshot *snapshot)
{
    if (engine_snapshot_version(snapshot) != h->streams->since_version ||
        engine_callout_generation(h->config.engine) != h->streams->since_generation)
        streams_notice_slow(h, snapshot);
}

/* stream_queue.c: somebody is inside, but for the chunks themselves. Bytes as chunks; NULL: no memory. source: they stand
 * for themselves. */
struct stream_chunk *stream_chunks(struct host *h, const uint8_t *bytes, uint32_t size, bool source,
                                   UINT32 flags);
/* ... fed to a stage that is likely to let them go at once: one chunk, if it can be. The turn is ours. */
struct stream_chunk *stream_chunks_fed(struct host *h, const uint8_t *bytes, uint32_t size, UINT32 flags);
struct stream_chunk *stream_mark_fed(struct host *h, UINT32 flags);
void stream_spares_free(struct streams *all);
struct stream_chunk *stream_mark(struct host *h, UINT32 flags);
void stream_chunk_free(struct stream_chunk *c);
void stream_append(struct stream_run *r, unsigned k, struct stream_chunk *c);
void stream_put(struct stream_run *r, struct stream_place *p, unsigned k, struct stream_chunk *c);
struct stream_chunk *stream_pop(struct stream_run *r, struct stream_place *p);
/* The first `size` bytes of the head, which has more; the rest stays. NULL: no memory. */
struct stream_chunk *stream_pop_some(struct stream_run *r, struct stream_place *p, uint32_t size);
void stream_out(struct stream_run *r, struct stream_chunk *c);       /* to the sink; freed */
void stream_chunk_done(struct streams *all, struct stream_chunk *c); /* it has come out */

/* stream_work.c. The pipeline itself: somebody is inside. */
void stream_owe(struct stream_run *r, unsigned k, bool opens); /* a deferral */
void stream_hold_again(struct stream_run *r);                  /* the sink hears whether some place defers */
void stream_work(struct stream_run *r, unsigned k);
/* The callout of stage k about what it is shown. */
static inline enum engine_stage_answer stream_call(struct stream_run *r, unsigned k,
                                                   struct stream_shown *shown, FWPS_CLASSIFY_OUT0 *out)
{
    const struct stream_dir *d = &r->st->dir[r->dir];
    struct stream_place *p = &d->places[k];
    enum engine_stage_answer answer;

    r->request->layer_data = &shown->io; /* read before the callout runs, which may ask the next stage */
    p->fresh = p->again = false;
    p->asking = true;
    r->asking = k;
    r->asked = true;
    r->put = false;
    answer = engine_stage_ask(r->s->lane->reader, r->request, &d->set->stages[k].is, out);
    ale_classified(r->s);
    /* What a foreign callout is asked is no classification. */
    if (__builtin_expect(answer != ENGINE_STAGE_FOREIGN && answer != ENGINE_STAGE_ASSUMED, 1))
        host_count_classified(r->s, 1);
    if (__builtin_expect(answer == ENGINE_STAGE_ASKED, 1))
        stream_count(&r->host->streams->counts.indicated, shown->size);
    r->asking = UINT_MAX;
    p->asking = false;
    return answer;
}
/* The only stage, an inspection, has been asked about what has come (mark: about a mark), and answered so. shown NULL: it
 * could not be asked. */
void stream_answered_alone(struct stream_run *r, bool mark, const struct stream_shown *shown,
                           enum engine_stage_answer answer, const FWPS_CLASSIFY_OUT0 *out, UINT32 flags);
/* stream_enter.c. Enters: fn runs with the pipeline its own, the stages up to date; then what came meanwhile. s: a scene of
 * the stream's. came: what came out; NULL: whatever it is. */
bool stream_enter(struct scene *s, struct stream *st, int dir, void (*fn)(struct stream_run *r, void *ctx),
                  void *ctx, struct stream_tally *came);
/* They come in while somebody is inside; all that have. */
void stream_inbox_put(struct stream_dir *d, struct stream_chunk *chunks);
struct stream_chunk *stream_inbox_take(struct stream_dir *d);
/* One by one, as all that each piece needs: where GCC clears such a thing whole (rep stos), that costs more than the rest. */
static inline void stream_run_make(struct stream_run *r, struct scene *s, struct stream *st, int dir,
                                   struct engine_request *request, struct stream_tally *tally)
{
    r->host = s->host;
    r->st = st;
    r->dir = dir;
    r->outer = NULL;
    r->s = s;
    r->request = request;
    r->tally = tally;
    r->asking = UINT_MAX;
    r->asked = r->put = false;
}
static inline void stream_run_begin(struct stream_dir *d, struct stream_run *r)
{
    struct stream_tally *t = r->tally;

    t->same = t->removed = t->injected = t->removed_by = 0;
    t->marks = t->holes = t->runs = 0;
    t->several = t->depends = false;
    d->run = r;
    __atomic_store_n(&d->thread, rt_self(), __ATOMIC_RELAXED);
    r->host->streams->active++;
}
/* What was fed or injected while somebody was inside; then stream_run_end(). */
void stream_meanwhile(struct stream_run *r);
static inline void stream_run_end(struct stream_dir *d, const struct stream_run *r)
{
    r->host->streams->active--;
    __atomic_store_n(&d->thread, 0, __ATOMIC_RELAXED);
    d->run = NULL;
}
/* stream_look.c */
void stream_look_prepare(struct host *h); /* for h->streams; again when knobs or observers are others */
/* stream_feed()'s work for a piece (bytes, or one mark) that a single inspection is shown. *came: what came out, if it was
 * looked at. */
enum stream_looked {
    STREAM_LOOKED_NOT, /* it is another case, and nothing has happened */
    STREAM_LOOKED,
    STREAM_LOOKED_STRAIGHT, /* and it came out as it went in, and nothing else did */
};
enum stream_looked stream_look(struct scene *s, struct stream *st, int dir, const uint8_t *bytes,
                               uint32_t size, UINT32 flags, struct stream_tally *came);
/* stream_fault.c */
enum stream_fault {
    STREAM_LEFT_ALONE,
    STREAM_UNKNOWN_ACTION,
    STREAM_UNKNOWN_STREAM_ACTION,
    STREAM_REQUIRED_ALONE,
    STREAM_MORE_AT_END,
    STREAM_MORE_AT_LIMIT,
    STREAM_MORE_OF_NOTHING,
    STREAM_DEFER_OF_SENT,
    STREAM_DEFER_AT_LIMIT,
    STREAM_DEFER_AT_END,
    STREAM_DROP_BY_INSPECTION,
    STREAM_ENFORCED_BEYOND,
    STREAM_PASSED_BEHIND,
    STREAM_INJECTED_OUTSIDE,
    STREAM_INJECTED_OTHER_WAY,
    STREAM_END_INVENTED,
    STREAM_FILTER_WENT,
    STREAM_FAULTS /* at most 32: stream_place.told */
};
/* A finding against the driver of the stage's callout, once a place. site: of the call; NULL: its classifyFn. */
void stream_report(struct stream_run *r, unsigned k, enum stream_fault fault, const void *site);

/* stream_show.c */
/* The run of data that stands at the head of the stage's queue, or its mark. False: no memory. */
bool stream_show(struct stream_run *r, unsigned k, struct stream_shown *out);
void stream_hide(struct stream_run *r, unsigned k);
/* The same of one that was fed and is alone, for who has not been told of `missed` bytes. Hidden when its chunk is done. */
bool stream_show_one(struct stream_run *r, struct stream_chunk *c, UINT64 missed, struct stream_shown *out);

/* stream_inject.c */
void stream_go_on(struct stream *st, int dir, UINT32 callout);
void stream_later(struct stream_run *r);      /* what was injected while somebody was inside */
void stream_drop_later(struct stream_dir *d); /* ... is not, any more */

/* indicate.c: fn with a request that has the values and metadata that the scene's callouts see at ST. The policy is
 * pinned. If fn says true, what it wrote into *answer is told to the observer. */
struct stream_question {
    const struct engine_snapshot *snapshot;
    struct engine_request *request;
    UINT64 unknown; /* fields */
};
void indicate_stream(struct scene *s,
                     bool (*fn)(void *ctx, const struct stream_question *q, struct host_answer *a),
                     void *ctx);
/* Has ST filters that ask callouts of drivers here? Cheap. Foreign ones alone edit nothing: they need no pipeline. */
bool indicate_stream_asks(struct scene *s);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream_enter: who goes into a direction of a pipeline, and with what. One is inside at a time, but for who comes back
 * from a callout.
 *
 *   stream_enter()  fn, with the stages brought up to date; then what was fed or injected meanwhile
 *
 * stream_look.c has the straight way of what goes in most often.
 */
#include <limits.h>

#include "host/indicate.h"
#include "host/stream_inside.h"
#include "host/walk.h"

void stream_inbox_put(struct stream_dir *d, struct stream_chunk *chunks)
{
    while (chunks != NULL) {
        struct stream_chunk *next = chunks->next;

        chunks->next = d->inbox != NULL ? d->inbox->next : chunks;
        if (d->inbox != NULL)
            d->inbox->next = chunks;
        d->inbox = chunks;
        chunks = next;
    }
}

struct stream_chunk *stream_inbox_take(struct stream_dir *d)
{
    struct stream_chunk *last = d->inbox, *first;

    if (last == NULL)
        return NULL;
    first = last->next;
    last->next = NULL;
    d->inbox = NULL;
    return first;
}

void stream_meanwhile(struct stream_run *r)
{
    struct stream_dir *d = &r->st->dir[r->dir];

    while ((d->inbox != NULL || d->later != NULL) && !stream_stopped(r->st)) {
        struct stream_chunk *c = stream_inbox_take(d);

        while (c != NULL) {
            struct stream_chunk *next = c->next;

            if (d->set->count != 0) {
                stream_append(r, 0, c);
            } else {
                c->next = NULL;
                stream_out(r, c);
            }
            c = next;
        }
        if (d->set->count != 0)
            stream_work(r, 0);
        stream_later(r);
    }
}

/* ---- the door ---------------------------------------------------------------------------------------------- */

struct entering {
    struct stream_run run;
    void (*fn)(struct stream_run *r, void *ctx);
    void *ctx;
    bool ok;
};

/* True: something was asked or came out; else there is nothing to tell of (a stream that only begins). */
static bool inside(void *ctx, const struct stream_question *q, struct host_answer *a)
{
    struct entering *e = ctx;
    struct stream_run *r = &e->run;
    struct stream_dir *d = &r->st->dir[r->dir];
    struct stream_tally *t = r->tally;
    bool unheard;

    r->request = q->request;
    e->ok = stream_stages(r, q->snapshot, q->unknown) || d->set != NULL;
    if (!e->ok)
        return false;
    t->depends = d->set->depends;
    unheard = d->set->unheard; /* the set may go meanwhile */
    e->fn(r, e->ctx);
    stream_meanwhile(r);
    t->depends = t->depends || (unheard && (r->asked || t->runs + t->marks != 0));
    a->depends = t->depends;
    if (t->removed_by != 0 && t->same + t->injected + t->marks == 0 && d->waiting == 0) {
        a->verdict.action = FWP_ACTION_BLOCK;
        a->verdict.filter_id = t->removed_by;
    }
    return r->asked || t->runs + t->holes + t->marks != 0 || t->removed_by != 0;
}

bool stream_enter(struct scene *s, struct stream *st, int dir, void (*fn)(struct stream_run *r, void *ctx),
                  void *ctx, struct stream_tally *came)
{
    struct stream_dir *d = &st->dir[dir];
    struct stream_tally unasked;
    struct entering e = {.fn = fn, .ctx = ctx};
    const FWP_DIRECTION way = s->packet_direction;

    s->packet_direction = dir == 0 ? FWP_DIRECTION_OUTBOUND : FWP_DIRECTION_INBOUND;
    stream_run_make(&e.run, s, st, dir, NULL, came != NULL ? came : &unasked);
    stream_run_begin(d, &e.run);
    indicate_stream(s, inside, &e);
    stream_run_end(d, &e.run);
    s->packet_direction = way;
    return e.ok;
}

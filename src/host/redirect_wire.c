/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redirect_wire: the table of who is somebody else on the wire: the ends that a socket or a connection asked for, and those
 * that it was given instead. redirect_frame.c translates packets by it.
 *
 *   asked --by_ends--> translation <--by_given-- given
 *
 * A translation is kept for LATE_NS after its flow or endpoint has ended, for what comes late; one that is replaced
 * sooner is dead, and goes in its turn. All of it under the lane's lock.
 */
#include <stdlib.h>
#include <string.h>

#include "host/redirect_wire_inside.h"

#define LATE_NS   (120ull * 1000000000ull)
#define ENDED_MAX 4096u /* translations of what has ended; the oldest goes */

struct translation *redirect_wire_find(const struct redirect_wire *w, const struct host_redirect_ends *ends)
{
    struct translation *t = w->buckets == 0 ? NULL : w->by_ends[redirect_hash_ends(ends) & (w->buckets - 1)];

    while (t != NULL && (t->dead || !redirect_same_ends(&t->asked, ends)))
        t = t->next;
    return t;
}

/* ---- the table ------------------------------------------------------------------------------------------------ */

static void take_out(struct redirect_wire *w, struct translation *t)
{
    struct translation **at = &w->by_ends[redirect_hash_ends(&t->asked) & (w->buckets - 1)];

    while (*at != t)
        at = &(*at)->next;
    *at = t->next;
    at = &w->by_given[redirect_hash_ends(&t->given) & (w->buckets - 1)];
    while (*at != t)
        at = &(*at)->given_next;
    *at = t->given_next;
    w->count--;
    free(t);
}

/* Those whose time is over, and the oldest beyond ENDED_MAX. */
void redirect_wire_expire(struct redirect_wire *w, UINT64 now_ns)
{
    while (w->ended_first != NULL &&
           (w->ended_first->dead || w->ended_first->until_ns <= now_ns || w->ended > ENDED_MAX)) {
        struct translation *t = w->ended_first;

        w->ended_first = t->ended_next;
        if (w->ended_first == NULL)
            w->ended_last = &w->ended_first;
        w->ended--;
        take_out(w, t);
    }
}

static bool grow(struct redirect_wire *w)
{
    const UINT32 before = w->buckets, buckets = before != 0 ? 2 * before : 64;
    struct translation **heads, **given, **old = w->by_ends;

    if (w->count < before)
        return true;
    heads = calloc(buckets, sizeof(struct translation *));
    given = calloc(buckets, sizeof(struct translation *));
    if (heads == NULL || given == NULL) {
        free(heads);
        free(given);
        return before != 0;
    }
    free(w->by_given);
    w->by_given = given;
    w->by_ends = heads;
    w->buckets = buckets;
    for (UINT32 i = 0; i < before; i++) {
        while (old[i] != NULL) {
            struct translation *t = old[i], **head = &heads[redirect_hash_ends(&t->asked) & (buckets - 1)];

            old[i] = t->next;
            t->next = *head;
            *head = t;
            head = &given[redirect_hash_ends(&t->given) & (buckets - 1)];
            t->given_next = *head;
            *head = t;
        }
    }
    free(old);
    return true;
}

struct redirect_wire *redirect_wire_make(struct redirects *x)
{
    struct redirect_wire *w = x->wire;

    if (w != NULL)
        return w;
    w = calloc(1, sizeof(*w));
    if (w == NULL)
        return NULL;
    w->ended_last = &w->ended_first;
    __atomic_store_n(&x->wire, w, __ATOMIC_RELEASE);
    return w;
}

static void end(struct redirect_wire *w, struct translation *t, UINT64 now_ns)
{
    if (t->until_ns != 0)
        return;
    t->until_ns = now_ns + LATE_NS;
    t->ended_next = NULL;
    *w->ended_last = t;
    w->ended_last = &t->ended_next;
    w->ended++;
}

void redirect_wire_over(struct redirect_wire *w, struct translation *t)
{
    end(w, t, 0);
    t->dead = true;
}

bool redirect_translate(struct redirects *x, const struct host_redirect_ends *asked,
                        const struct host_redirect_ends *given, UINT64 flow_id, UINT64 endpoint_id)
{
    struct redirect_wire *w = redirect_wire_make(x);
    struct translation *t, *before;

    if (w == NULL || !grow(w))
        return false;
    before = redirect_wire_find(w, asked);
    t = calloc(1, sizeof(*t));
    if (t == NULL)
        return false;
    if (before != NULL)
        redirect_wire_over(w, before);
    *t = (struct translation){
        .asked = *asked, .given = *given, .flow_id = flow_id, .endpoint_id = endpoint_id};
    t->next = w->by_ends[redirect_hash_ends(asked) & (w->buckets - 1)];
    w->by_ends[redirect_hash_ends(asked) & (w->buckets - 1)] = t;
    t->given_next = w->by_given[redirect_hash_ends(given) & (w->buckets - 1)];
    w->by_given[redirect_hash_ends(given) & (w->buckets - 1)] = t;
    w->count++;
    return true;
}

void redirect_translate_end(struct redirects *x, UINT64 flow_id, UINT64 endpoint_id, UINT64 now_ns)
{
    const struct redirected *r = flow_id != 0 ? redirected_of_flow(x, flow_id) : NULL;
    struct redirect_wire *w = x->wire;
    struct translation *one;

    if (w == NULL)
        return;
    one = r != NULL ? redirect_wire_find(w, &r->told.asked) : NULL;
    if (one != NULL && one->flow_id == flow_id)
        end(w, one, now_ns);
    if (flow_id != 0 && x->joined == 0) {
        redirect_wire_expire(w, now_ns);
        return;
    }
    for (UINT32 i = 0; i < w->buckets; i++)
        for (struct translation *t = w->by_ends[i]; t != NULL; t = t->next)
            if (!t->dead && t->flow_id == flow_id && (flow_id != 0 || t->endpoint_id == endpoint_id))
                end(w, t, now_ns);
    redirect_wire_expire(w, now_ns);
}

void redirect_wire_destroy(struct redirects *x)
{
    struct redirect_wire *w = x->wire;

    if (w == NULL)
        return;
    for (UINT32 i = 0; i < w->buckets; i++) {
        while (w->by_ends[i] != NULL) {
            struct translation *t = w->by_ends[i];

            w->by_ends[i] = t->next;
            free(t);
        }
    }
    free(w->by_ends);
    free(w->by_given);
    redirect_written_free(&w->frame);
    redirect_written_free(&w->whole);
    redirect_written_free(&w->undone);
    free(w->pieces);
    free(w);
    x->wire = NULL;
}

/* ---- ends -------------------------------------------------------------------------------------------------- */

bool redirect_wire_bind(const struct redirect_wire *w, struct host_redirect_ends *e)
{
    struct host_redirect_ends local = *e;
    const struct translation *t;

    memset(&local.remote, 0, sizeof(local.remote));
    local.remote_port = 0;
    t = redirect_wire_find(w, &local);
    if (t == NULL) { /* bound to any address */
        memset(&local.local, 0, sizeof(local.local));
        t = redirect_wire_find(w, &local);
    }
    if (t == NULL || t->flow_id != 0)
        return false;
    if (!wire_addr_is_unspecified(e->version, &t->given.local))
        e->local = t->given.local;
    if (t->given.local_port != 0)
        e->local_port = t->given.local_port;
    return true;
}

const struct translation *redirect_wire_led(const struct redirect_wire *w, const struct host_redirect_ends *e)
{
    const struct translation *best = NULL;

    if (w->buckets == 0)
        return NULL;
    for (const struct translation *t = w->by_given[redirect_hash_ends(e) & (w->buckets - 1)]; t != NULL;
         t = t->given_next)
        if (redirect_same_ends(&t->given, e) && (best == NULL || (best->until_ns != 0 && t->until_ns == 0)))
            best = t;
    return best;
}

bool redirect_wire_asked(const struct redirect_wire *w, struct host_redirect_ends *e)
{
    const struct translation *t = redirect_wire_led(w, e);
    struct host_redirect_ends local;
    bool any = t != NULL;

    if (any)
        *e = t->asked;
    local = *e;
    memset(&local.remote, 0, sizeof(local.remote));
    local.remote_port = 0;
    t = redirect_wire_led(w, &local);
    if (t == NULL) {
        memset(&local.local, 0, sizeof(local.local));
        t = redirect_wire_led(w, &local);
    }
    if (t == NULL || t->flow_id != 0)
        return any;
    if (!wire_addr_is_unspecified(e->version, &t->asked.local))
        e->local = t->asked.local;
    e->local_port = t->asked.local_port;
    return true;
}

/* Lane held. */
static void given_of(const struct redirect_wire *w, struct host_redirect_ends *e)
{
    const struct translation *t;

    (void)redirect_wire_bind(w, e);
    t = redirect_wire_find(w, e);
    if (t != NULL && t->flow_id != 0)
        *e = t->given;
}

void host_redirect_given(struct host *h, struct host_redirect_ends *ends)
{
    struct lane *l = &h->lanes[0];

    rt_mutex_lock(l->lock);
    if (ale_of(l)->redirects->wire != NULL)
        given_of(ale_of(l)->redirects->wire, ends);
    rt_mutex_unlock(l->lock);
}

void host_redirect_asked(struct host *h, struct host_redirect_ends *ends)
{
    struct lane *l = &h->lanes[0];

    rt_mutex_lock(l->lock);
    if (ale_of(l)->redirects->wire != NULL)
        (void)redirect_wire_asked(ale_of(l)->redirects->wire, ends);
    rt_mutex_unlock(l->lock);
}

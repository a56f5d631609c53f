/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recall: a classification's answer, given once more to a question that cannot have another.
 *
 * Most flows differ from the ones before in nothing but their ports and the other end's address. For a layer's filters
 * all values of a field in one class are the same (engine_snapshot_classes()), so that an answer hangs on
 *
 *   circumstances   what all other values are made of: interfaces and what is known of them, the owner, the local address,
 *                   directions, flags. Few of them: compared with those met lately, and numbered
 *   classes         of the ports and the remote address where a filter tests them; with its type, and the protocol
 *
 *   recall_find() --found--> the inspections that it came to are called; counted and told as the one before it was, without
 *        |                   values (indicate.c)
 *        +--none--> the question --recall_keep()--> kept, unless somebody may have heard of it or had a part in it
 *
 * Kept are answers that only the engine and the judge had a part in, and the host's own callouts, which set options: of what
 * inspections say nothing hangs (ARB-19), so that they are kept beside it; none that another callout was met on the way to, none
 * that the engine's observer hears of, none that absorbs. Not asked: packets that are asked about
 * again, proxied sockets, redirection's turns, observers of everything, visitors,
 * host_knobs.long_way (tests/unit/host_short.c and host_recall.c hold the two against each other).
 *
 * A layer's memory is made when it is first asked there, is of one version of its filters (and of the callouts, where it has
 * any), holds ANSWERS answers at most, a new one in the place of an older one, and is given up where little is found in it.
 */
#include <stdlib.h>
#include <string.h>

#include "host/recall.h"
#include "host/values.h"

#define CONTEXTS 16u
#define ANSWERS  128u  /* a power of two */
#define TRIAL    1024u /* questions, of which a quarter must be found */

/* All that values are made of but for the protocol, the ports and the remote end. */
struct circumstances {
    const struct host_interface *local, *arrival, *next_hop;
    UINT64 among;
    const struct host_owner *owner;
    const void *app_id, *token, *package;
    union wire_addr address;
    UINT32 owner_unknown, flags, packet_direction, connection_direction;
    UINT8 icmp, original_icmp_type, any_remote, promiscuous;
};

struct context {
    struct circumstances of;
    UINT32 number; /* from 1; never used again */
};

struct recalls {
    UINT64 version, generation; /* as the plan's */
    bool off;
    bool typed;                   /* a type of the remote address is tested */
    UINT64 fields;                /* of the three below, those that are tested */
    UINT16 place[RECALL_CLASSES]; /* of the ports and the remote address: offset of the value, KEPT_NOWHERE */
    UINT32 next_number, asked, found;
    UINT32 count;     /* contexts */
    UINT32 recent[2]; /* [TCP]: programs' owners are often told apart by that */
    struct context contexts[CONTEXTS];
    struct recalled answers[ANSWERS];
};

void recall_destroy(struct scratch *room)
{
    for (unsigned i = 0; i < ENGINE_LAYER_COUNT; i++)
        free(room->recalls[i]);
}

/* ---- a layer's memory ------------------------------------------------------------------------------------- */

static UINT64 bit_of(UINT16 place)
{
    return place == KEPT_NOWHERE ? 0 : 1ULL << (place / sizeof(FWPS_INCOMING_VALUE0));
}

/* For another policy, or the first one. What was kept is found no longer: numbers go on. */
static void begin(struct recalls *r, const struct prepared *p, const struct plan *plan)
{
    const UINT16 *at = p->place;

    r->version = plan->version;
    r->generation = plan->generation;
    r->recent[0] = r->recent[1] = r->count = r->asked = r->found = 0;
    r->place[0] = at[KEPT_LOCAL_PORT];
    r->place[1] = at[KEPT_REMOTE_ADDRESS];
    r->place[2] = at[KEPT_REMOTE_PORT];
    r->fields = 0;
    for (unsigned i = 0; i < RECALL_CLASSES; i++) {
        if ((bit_of(r->place[i]) & plan->tested) == 0)
            r->place[i] = KEPT_NOWHERE;
        r->fields |= bit_of(r->place[i]);
    }
    r->typed = ((bit_of(at[KEPT_REMOTE_ADDRESS_TYPE]) | bit_of(at[KEPT_CONNECTED_ADDRESS_TYPE])) &
                plan->tested) != 0;
    r->off = (plan->tested & p->each) != 0; /* made of the packet itself */
}

static __attribute__((noinline)) struct recalls *refresh(struct scratch *room, const struct plan *plan,
                                                         UINT16 layer)
{
    struct recalls *r = room->recalls[layer];

    if (r == NULL && (r = room->recalls[layer] = calloc(1, sizeof(*r))) == NULL)
        return NULL;
    begin(r, &room->prepared[layer], plan);
    return r;
}

/* ---- keys ------------------------------------------------------------------------------------------------- */

static void look(struct circumstances *c, const struct filling *f)
{
    const struct scene *s = f->s;

    c->local = f->local;
    c->arrival = f->arrival;
    c->next_hop = f->next_hop;
    c->among = __atomic_load_n(&s->host->among, __ATOMIC_ACQUIRE);
    c->owner = f->owner;
    c->app_id = f->owner != NULL ? f->owner->app_id : NULL;
    c->token = f->owner != NULL ? f->owner->token : NULL;
    c->package = f->owner != NULL ? f->owner->package : NULL;
    c->owner_unknown = f->owner != NULL ? f->owner->unknown : 0;
    c->address = s->local;
    c->flags = filling_flags(f);
    c->packet_direction = (UINT32)s->packet_direction;
    c->connection_direction = (UINT32)s->connection_direction;
    c->icmp = s->icmp;
    c->original_icmp_type = s->icmp ? s->original_icmp_type : 0;
    c->any_remote = s->any_remote;
    c->promiscuous = s->endpoint != NULL && s->endpoint->promiscuous;
}

/* What look() would write, compared where it stands: a copy of what was just stored in parts would wait for the stores. */
static inline bool is_so(const struct circumstances *c, const struct filling *f)
{
    const struct scene *s = f->s;
    const struct host_owner *o = f->owner;

    if (c->local != f->local || c->arrival != f->arrival || c->next_hop != f->next_hop || c->owner != o ||
        c->among != __atomic_load_n(&s->host->among, __ATOMIC_ACQUIRE))
        return false;
    if (o != NULL && (c->app_id != o->app_id || c->token != o->token || c->package != o->package ||
                      c->owner_unknown != o->unknown))
        return false;
    return c->flags == filling_flags(f) && wire_addr_equal(&c->address, &s->local) &&
           c->packet_direction == (UINT32)s->packet_direction &&
           c->connection_direction == (UINT32)s->connection_direction && c->icmp == s->icmp &&
           (!s->icmp || c->original_icmp_type == s->original_icmp_type) && c->any_remote == s->any_remote &&
           c->promiscuous == (s->endpoint != NULL && s->endpoint->promiscuous);
}

static __attribute__((noinline)) UINT32 other_context(struct recalls *r, const struct filling *f, bool tcp)
{
    UINT32 i = 0;

    while (i < r->count && !is_so(&r->contexts[i].of, f))
        i++;
    if (i == r->count) {
        if (r->count < CONTEXTS)
            r->count++;
        else
            i = (r->recent[tcp] + 1) % CONTEXTS;
        if (r->next_number == UINT32_MAX) { /* from 1 again: nothing may be found by an old one */
            memset(r->answers, 0, sizeof(r->answers));
            r->next_number = r->recent[0] = r->recent[1] = 0;
            r->count = 1;
            i = 0;
        }
        look(&r->contexts[i].of, f);
        r->contexts[i].number = ++r->next_number;
    }
    r->recent[tcp] = i;
    return r->contexts[i].number;
}

static UINT32 context_of(struct recalls *r, const struct filling *f)
{
    const bool tcp = f->s->protocol == WIRE_PROTOCOL_TCP;
    const struct context *c = &r->contexts[r->recent[tcp]];

    if (__builtin_expect(r->count != 0 && is_so(&c->of, f), 1))
        return c->number;
    return other_context(r, f, tcp);
}

static FWP_VALUE0 *value_at(FWPS_INCOMING_VALUE0 *values, UINT16 place)
{
    return &((FWPS_INCOMING_VALUE0 *)(void *)((char *)values + place))->value;
}

/* The values of the three fields, as values_fill() has them; one that is not tested is stored nowhere. */
static void store(const struct recalls *r, const struct scene *s, FWPS_INCOMING_VALUE0 *values)
{
    FWP_VALUE0 *v = value_at(values, r->place[0]);

    v->type = FWP_UINT16;
    v->uint16 = s->local_port;
    v = value_at(values, r->place[1]);
    if (s->any_remote) {
        v->type = FWP_EMPTY;
    } else if (s->version == 4) {
        v->type = FWP_UINT32;
        v->uint32 = s->remote.v4;
    } else {
        v->type = FWP_BYTE_ARRAY16_TYPE;
        v->byteArray16 = (FWP_BYTE_ARRAY16 *)s->remote.v6;
    }
    v = value_at(values, r->place[2]);
    v->type = s->any_remote ? FWP_EMPTY : FWP_UINT16;
    v->uint16 = s->remote_port;
}

static UINT32 slot_of(const struct recall_key *k)
{
    UINT64 x = ((UINT64)(k->context ^ k->kind << 24) << 32 | k->classes[0]) * 0x9e3779b97f4a7c15ULL;

    x = (x ^ ((UINT64)k->classes[1] << 32 | k->classes[2])) * 0xff51afd7ed558ccdULL;
    return (UINT32)(x >> 40) & (ANSWERS - 1);
}

static bool is_key(const struct recall_key *a, const struct recall_key *b)
{
    return a->context == b->context && a->classes[0] == b->classes[0] && a->classes[1] == b->classes[1] &&
           a->classes[2] == b->classes[2] && a->kind == b->kind;
}

/* ---- asking and keeping ----------------------------------------------------------------------------------- */

/* One that is told of, or that a block of it is, is asked each time. */
static bool is_heard(const struct scene *s, FWP_ACTION_TYPE action)
{
    const struct engine *e = s->host->config.engine;

    return action == FWP_ACTION_BLOCK ? engine_observes_blocks(e) : engine_observes_permits(e);
}

/* Where little is found it costs more than it saves. */
static inline void count(struct recalls *r, bool found)
{
    r->found += found;
    if (++r->asked != TRIAL)
        return;
    r->off = r->found < TRIAL / 4;
    r->asked = r->found = 0;
}

const struct recalled *recall_find(const struct scene *s, const struct engine_snapshot *snapshot,
                                   const struct plan *plan, UINT16 layer, bool alone, struct recall_key *key)
{
    struct scratch *room = s->lane->scratch;
    struct recalls *r = room->recalls[layer];
    const struct recalled *known;
    FWPS_INCOMING_VALUE0 values[ENGINE_MAX_FIELDS + 1]; /* one more: KEPT_NOWHERE */
    struct filling f;
    UINT32 at;

    key->context = 0;
    if (__builtin_expect(r == NULL || r->version != plan->version || r->generation != plan->generation, 0) &&
        (r = refresh(room, plan, layer)) == NULL)
        return NULL;
    if (r->off || (s->endpoint != NULL && s->endpoint->proxied))
        return NULL;
    filling_begin(&f, s, room, layer);
    store(r, s, values);
    memset(key->classes, 0, sizeof(key->classes));
    if (r->fields != 0 && !engine_snapshot_classes(snapshot, layer, values, r->fields, key->classes))
        return NULL;
    key->kind = s->protocol;
    if (r->typed && !s->any_remote)
        key->kind |= (UINT32)host_address_type(s->host, s->version, &s->remote) << 8;
    key->context = context_of(r, &f);
    at = slot_of(key);
    known = &r->answers[at];
    if (!is_key(&known->key, key)) {
        known = &r->answers[at ^ 1];
        if (!is_key(&known->key, key))
            return NULL;
    }
    if (is_heard(s, known->answer.verdict.action) ||
        (known->met_count != 0 && (alone || recalled_is_forgotten(s, known))))
        return NULL;
    count(r, true);
    room->recalled++;
    return known;
}

/* Had a callout of ours a part in the answer, but for the host's own, which set options and nothing else? */
static bool is_theirs(const struct scene *s, const struct engine_met *met)
{
    if (met->count > ENGINE_MEETINGS)
        return true;
    for (UINT32 i = 0; i < met->count; i++)
        if ((met->decide >> i & 1) != 0 &&
            (s->options == NULL ||
             !ale_sets_options(s->lane, &engine_filter_desc(met->at[i].filter)->callout_key)))
            return true;
    return false;
}

static void keep_met(struct recalled *to, const struct engine_met *met)
{
    to->met_count = 0;
    for (UINT32 i = 0; i < met->count; i++)
        if ((met->decide >> i & 1) == 0)
            to->met[to->met_count++] = met->at[i];
}

/* Where to keep the answer: where there is one under the key that may not be given any more, where there is none, beside. */
static struct recalled *place_of(struct recalls *r, const struct recall_key *key)
{
    const UINT32 at = slot_of(key);

    if (is_key(&r->answers[at].key, key) || r->answers[at].key.context == 0)
        return &r->answers[at];
    return &r->answers[at ^ 1];
}

void recall_keep(const struct scene *s, const struct recall_key *key, const struct recall_question *q,
                 const struct host_answer *answer)
{
    const UINT64 *forgets = s->host->config.judge.forgets;
    struct scratch *room = s->lane->scratch;
    struct recalls *r = room->recalls[q->layer];
    struct recalled *to;

    if (r == NULL || r->version != q->version || r->generation != q->generation)
        return;
    count(r, false);
    if ((answer->verdict.flags & ENGINE_VERDICT_ABSORB) != 0 || is_heard(s, answer->verdict.action) ||
        is_theirs(s, q->met))
        return;
    to = place_of(r, key);
    to->key = *key;
    keep_met(to, q->met);
    to->forgets = forgets != NULL ? *forgets : 0;
    to->judged = q->judged;
    to->unknown = q->unknown;
    to->callout = q->callout;
    to->sets = s->options != NULL && s->options->set != 0;
    if (to->sets)
        to->options = *s->options;
    to->answer = *answer;
    to->answer.verdict.filter = NULL; /* pinned no longer than that classification */
    to->answer.verdict.ended = NULL;
    to->answer.verdict.ended_count = 0;
    if (answer->depends_on_callout != NULL) {
        to->depends_on_callout = *answer->depends_on_callout;
        to->answer.depends_on_callout = &to->depends_on_callout;
    }
}

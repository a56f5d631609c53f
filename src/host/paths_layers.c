/* SPDX-License-Identifier: Apache-2.0 */
/*
 * paths_layers: a packet's steps through the layers, one by one or those between which nothing happens.
 *
 *   path_step() --no filters: lane.busy--> on
 *       |
 *       +--> path_ask() -> inspect_along(): it only looks
 *                  +-----> indicate() -> blocked: the outcome says so; else what is known of the layer's answers (lane.settled)
 *   path_receive(), path_send() -> ask_along() -> inspect_along(): those that look and have no say, in one go
 *                                      +--------> path_ask(): the first of another kind
 *
 * lane.busy, looks, settled and depends are of one policy, its callouts and the host's places. Behind whatever asked a callout
 * it is looked whether they still are: what was committed meanwhile counts for the next layer (OBJ-11). They belong to who has
 * the turn.
 */
#include <string.h>

#include "host/indicate.h"
#include "host/paths.h"

void path_blocked(const struct answer *a, struct host_outcome *out)
{
    out->fate = a->absorbed ? HOST_ABSORBED : HOST_BLOCKED;
    out->layer = engine_layer_by_id(a->layer);
    out->filter_id = a->filter_id;
    out->module = FWPS_DISCARD_MODULE_GENERAL;
    out->reason = FWPS_DISCARD_FIREWALL_POLICY;
    out->depends = out->depends || a->depends;
}

/*
 * Which layers are to be asked, for they have filters, read once a frame, and again behind each layer that has some, ALE's
 * and the streams' too: a callout may have changed the policy (OBJ-11).
 */
static __attribute__((noinline)) void busy_changed(struct lane *l, UINT64 among, UINT64 generation)
{
    const struct host_observer *o = &l->host->config.observer;
    const bool all = o->classified != NULL && !o->decisions_only; /* who hears of empty layers, too */
    const struct engine_filter *const *filters;
    const struct engine_snapshot *snapshot;

    l->busy_among = among;
    l->busy_generation = generation;
    l->looks[0] = l->looks[1] = 0;
    memset(l->settled, 0, sizeof(l->settled));
    memset(l->depends, 0, sizeof(l->depends));
    lane_enter(l);
    short_forget(l);
    lane_leave(l);
    snapshot = engine_pin(l->reader);
    l->busy_under = engine_snapshot_version(snapshot) + 1;
    l->busy[0] = l->busy[1] = 0;
    for (unsigned role = 0; role < LAYER_ROLES; role++)
        for (unsigned six = 0; six < 2; six++)
            if (all || engine_snapshot_filters(snapshot, layer_id((enum host_layer)role, six ? 6 : 4),
                                               &filters) != 0)
                l->busy[six] |= 1u << role;
    engine_unpin(l->reader);
    short_ways_make(l);
}

static inline void busy_notice(struct lane *l)
{
    const struct engine *e = l->host->config.engine;
    const UINT64 among = __atomic_load_n(&l->host->among, __ATOMIC_ACQUIRE),
                 generation = engine_callout_generation(e);

    if (__builtin_expect(l->busy_under != engine_version(e) + 1 || l->busy_among != among ||
                             l->busy_generation != generation,
                         0))
        busy_changed(l, among, generation);
}

void path_busy(struct lane *l)
{
    busy_notice(l);
}

/* The layer's answer is known from now on. */
static void settled(struct lane *l, bool six, enum host_layer role, bool depends)
{
    const UINT32 bit = 1u << role;

    if ((l->settled[six] & bit) != 0 && (!depends || (l->depends[six] & bit) != 0))
        return;
    l->settled[six] |= bit;
    l->depends[six] |= depends ? bit : 0;
    short_ways_make(l);
}

/* What is known of a layer that was asked in one go. */
static void asked(struct scene *s, uint8_t epoch)
{
    struct lane *l = s->lane;

    busy_notice(l);
    if (__builtin_expect(l->short_epoch != epoch, 0))
        s->steady = 0;
}

bool path_ask(struct scene *s, enum host_layer role, struct host_outcome *out)
{
    struct lane *l = s->lane;
    const uint8_t epoch = l->short_epoch;
    const UINT8 one = (UINT8)role;
    struct answer a;

    if ((l->looks[s->version == 6] >> role & 1) != 0 && inspect_along(s, &one, 0, 1) != 0) {
        asked(s, epoch);
        return true;
    }
    if (indicate(s, role, &a)) {
        path_blocked(&a, out);
        return false;
    }
    out->depends = out->depends || a.depends;
    if (a.steady)
        s->steady |= 1u << role;
    if (a.settled)
        settled(l, s->version == 6, role, a.depends);
    busy_notice(l);
    if (__builtin_expect(l->short_epoch != epoch, 0))
        s->steady = 0;
    return true;
}

/* A packet's layers between which nothing happens, [1]: of TCP; and where on the way a step begins or ends. */
static const UINT8 up[2][5] = {{LAYER_MAC_IN_NATIVE, LAYER_MAC_IN, LAYER_II, LAYER_IT, LAYER_DD},
                               {LAYER_MAC_IN_NATIVE, LAYER_MAC_IN, LAYER_II, LAYER_IT, LAYER_SPK}};
static const UINT8 down[2][5] = {{LAYER_DD, LAYER_OT, LAYER_OI, LAYER_MAC_OUT, LAYER_MAC_OUT_NATIVE},
                                 {LAYER_SPK, LAYER_OT, LAYER_OI, LAYER_MAC_OUT, LAYER_MAC_OUT_NATIVE}};
enum { UP_NATIVE, UP_MAC, UP_IP, UP_TRANSPORT, UP_END = 5 };
enum { DOWN_TOP, DOWN_TRANSPORT, DOWN_IP, DOWN_MAC, DOWN_END = 5 };

/* The layers roles[n] to roles[end - 1], in one go where each but looks. False: blocked. */
static bool ask_along(struct scene *s, const UINT8 *roles, unsigned n, unsigned end, struct host_outcome *out)
{
    struct lane *l = s->lane;
    const UINT32 *busy = &l->busy[s->version == 6];

    while (n < end) {
        const unsigned from = n;
        uint8_t epoch;

        if ((*busy >> roles[n] & 1) == 0) {
            n++;
            continue;
        }
        epoch = l->short_epoch;
        n = inspect_along(s, roles, from, end);
        if (n == from) {
            if (!path_ask(s, (enum host_layer)roles[n++], out))
                return false;
            continue;
        }
        asked(s, epoch);
    }
    return true;
}

/* Loopback does not come down to the adapters; nor has every capture MAC headers. */
static bool has_mac(const struct scene *s)
{
    return !s->loopback && s->packet->mac_at != UINT32_MAX;
}

static bool receive(struct scene *s, bool tcp, unsigned end, struct host_outcome *out)
{
    const unsigned from = !has_mac(s) ? UP_IP : s->behind_native ? UP_MAC : UP_NATIVE;

    return ask_along(s, up[tcp], from, end, out);
}

static bool send(struct scene *s, bool tcp, unsigned from, struct host_outcome *out)
{
    return ask_along(s, down[tcp], from, has_mac(s) ? DOWN_END : DOWN_MAC, out);
}

bool path_receive_link(struct scene *s, struct host_outcome *out)
{
    return receive(s, false, UP_IP, out);
}

bool path_receive(struct scene *s, struct host_outcome *out)
{
    return receive(s, false, UP_TRANSPORT, out);
}

bool path_receive_whole(struct scene *s, bool tcp, struct host_outcome *out)
{
    return receive(s, tcp, UP_END, out);
}

bool path_send_link(struct scene *s, struct host_outcome *out)
{
    return send(s, false, DOWN_MAC, out);
}

bool path_send_ip(struct scene *s, struct host_outcome *out)
{
    return send(s, false, DOWN_IP, out);
}

bool path_send(struct scene *s, struct host_outcome *out)
{
    return send(s, false, DOWN_TRANSPORT, out);
}

bool path_send_whole(struct scene *s, bool tcp, struct host_outcome *out)
{
    return send(s, tcp, DOWN_TOP, out);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redirect_connect: CR, once for a TCP connect, for others with the first packet to each new peer (RED-28).
 *
 *   NEW --CR: nobody pends--> what the last version says --> the flow has the new tuple --> AC
 *    |                                     |
 *    |                                     +--> it cannot be (RED-18; no such address; the tuple is taken): refused at
 *    |                                          AC, by no filter
 *    +--CR: pended--> PENDED --completed--> CLASSIFYING --CR goes on--> as above, or PENDED again
 *
 * The flow's entry is there before CR is asked, under the tuple that was asked for, so that what comes meanwhile finds
 * that it waits (PEND-35, 36); a redirection gives it another key. Its packet is no longer there when a pend is
 * completed (PEND-33): a TCP's SYN comes again, a datagram is lost.
 */
#include <string.h>

#include "host/redirect_inside.h"
#include "host/walk.h"

/* What came of the request. */
struct change {
    bool remote, local;
    bool host;               /* the new remote end is this host's own (RED-18) */
    const char *refused;     /* why it cannot be; NULL: it can */
    union wire_addr addr[2]; /* [0]: local, [1]: remote */
    UINT16 port[2];
};

static bool is_raw_tcp(const struct scene *s)
{
    return s->endpoint != NULL && s->endpoint->raw && s->protocol == WIRE_PROTOCOL_TCP;
}

/* RED-04 */
static bool is_redirectable(const struct scene *s)
{
    switch (s->protocol) {
    case WIRE_PROTOCOL_TCP:
        return !is_raw_tcp(s);
    case WIRE_PROTOCOL_UDP:
        return s->endpoint == NULL || !s->endpoint->raw || s->version == 4;
    default:
        return s->icmp;
    }
}

static bool is_mapped(const union wire_addr *a)
{
    static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};

    return memcmp(a->v6, prefix, sizeof(prefix)) == 0;
}

/* An address of the request as packets have it. False: it is none that they could have. */
static bool end_of(const struct redirect *r, const struct scene *s, const SOCKADDR_STORAGE *in,
                   union wire_addr *a, UINT16 *port)
{
    union wire_addr v4 = {.v6 = {0}};

    if (!redirect_address(in, r->version, a, port))
        return false;
    if (r->version == s->version)
        return true;
    if (!is_mapped(a)) /* a dual-stack socket's (MATCH-23) */
        return false;
    for (unsigned i = 0; i < 4; i++)
        v4.v4 = v4.v4 << 8 | a->v6[12 + i];
    *a = v4;
    return true;
}

static void change_of(const struct redirect *r, const struct scene *s, struct change *c)
{
    const FWPS_CONNECT_REQUEST0 *is = &r->current->is.connect;
    struct host *h = s->host;

    *c = (struct change){.addr = {s->local, s->remote}, .port = {s->local_port, s->remote_port}};
    if (r->current->number == 0)
        return;
    if (!is_redirectable(s)) {
        redirect_report("a connect of protocol %u cannot be redirected: it goes where it was asked to",
                        s->protocol);
        return;
    }
    if (!end_of(r, s, &is->remoteAddressAndPort, &c->addr[1], &c->port[1])) {
        c->refused = "the remote address is of another family";
        return;
    }
    if (s->icmp)
        c->port[1] = s->remote_port;
    c->remote = c->port[1] != s->remote_port || !wire_addr_equal(&c->addr[1], &s->remote);
    if (!end_of(r, s, &is->localAddressAndPort, &c->addr[0], &c->port[0]))
        c->addr[0] = s->local, c->port[0] = s->local_port;
    if (s->icmp)
        c->port[0] = s->local_port;
    c->local = c->port[0] != s->local_port || !wire_addr_equal(&c->addr[0], &s->local);
    if (c->local && s->protocol != WIRE_PROTOCOL_TCP) { /* RED-03 */
        redirect_report("localAddressAndPort was changed at CONNECT_REDIRECT for protocol %u: ignored",
                        s->protocol);
        c->local = false;
    }
    if (!c->local) {
        c->addr[0] = s->local;
        c->port[0] = s->local_port;
    }
    if (c->local && (c->port[0] == 0 || !host_is_local(h, s->version, &c->addr[0])))
        c->refused = "the local address is none of this host";
    if (c->remote && ((!s->icmp && c->port[1] == 0) || wire_addr_is_unspecified(s->version, &c->addr[1])))
        c->refused = "the remote end is nobody's";
    c->host = c->remote &&
              (wire_addr_is_loopback(s->version, &c->addr[1]) || host_is_local(h, s->version, &c->addr[1]));
    if (c->host && is->localRedirectTargetPID == 0)
        c->refused = "a redirection to this host needs localRedirectTargetPID";
    else if (c->host && !redirect_token_is(redirects_of(h), is->localRedirectHandle))
        c->refused = "a redirection to this host needs a localRedirectHandle that is open";
}

/* ---- the flow goes elsewhere --------------------------------------------------------------------------------- */

static struct host_redirect_ends ends_of(const struct scene *s)
{
    struct host_redirect_ends e = {.version = s->version,
                                   .protocol = s->protocol,
                                   .local = s->local,
                                   .remote = s->remote,
                                   .local_port = s->local_port,
                                   .remote_port = s->remote_port};

    if (s->icmp) {
        e.local_port = s->icmp_id;
        e.remote_port = 0;
    }
    return e;
}

static const struct host_owner *owner_of(const struct scene *s)
{
    return s->endpoint != NULL && s->endpoint->party != NULL ? s->endpoint->party->owner : NULL;
}

/* The version's context goes with the flow. */
static struct redirected record_of(struct redirect *r, const struct scene *s, const struct change *c,
                                   const struct host_redirected *told)
{
    const FWPS_CONNECT_REQUEST0 *is = &r->current->is.connect;
    struct redirect_records *before = s->endpoint != NULL ? ale_endpoint_of(s->endpoint)->records : NULL;
    struct redirected made = {
        .told = *told,
        .handle = c->host ? (UINT64)(uintptr_t)is->localRedirectHandle : 0,
        .context_size = is->localRedirectContextSize,
        .twice = c->remote && !c->host && s->protocol == WIRE_PROTOCOL_TCP &&
                 !s->host->config.knobs.redirect_effective_only,
        .before = before,
        .owner = before != NULL && before->count != 0 ? before->of[before->count - 1]->owner : owner_of(s),
    };

    if (r->current->owns_context) {
        made.context = is->localRedirectContext;
        r->current->owns_context = false;
    }
    return made;
}

/* The scene's tuple and what hangs on it. */
static void scene_goes(struct scene *s, const struct change *c)
{
    const struct host_interface *i;

    s->local = c->addr[0];
    s->remote = c->addr[1];
    s->local_port = c->port[0];
    s->remote_port = c->port[1];
    s->loopback = host_is_local(s->host, s->version, &s->remote);
    i = s->loopback ? host_loopback_interface(s->host) : host_route(s->host, s->version, &s->remote);
    if (i != NULL)
        s->interface = i;
}

/* Takes the new key, or joins the flow that has it: of those without connections several may be redirected to one.
 * False: the tuple is taken. Lane held. */
static bool flow_goes(struct scene *s, struct host_flow **joined)
{
    struct lane *l = s->lane;
    struct host_flow_key key;
    struct host_flow *other;

    *joined = NULL;
    ale_key_of_new(s, &key);
    other = flow_table_find(l->flows, &key);
    if (other == s->flow)
        return true;
    if (other == NULL) {
        if (!flow_table_rename(l->flows, s->flow, &key))
            return false;
        s->flow->flags =
            s->loopback ? s->flow->flags | FLOW_LOOPBACK : s->flow->flags & (uint8_t)~FLOW_LOOPBACK;
        return true;
    }
    if (s->protocol == WIRE_PROTOCOL_TCP || other->state != ALE_AUTHORIZED || other->marks & FLOW_MARK_GONE)
        return false;
    *joined = other;
    return true;
}

/* The scene and its flow go where the request says. NULL, or why they do not. */
static const char *goes(struct redirect *r, struct scene *s, const struct change *c,
                        struct host_redirected *told)
{
    struct lane *l = s->lane;
    struct redirects *x = redirects_of(s->host);
    struct host_flow *joined = NULL, *before = s->flow;
    const struct scene was = *s;
    const char *why = NULL;
    struct redirected made;

    told->asked = ends_of(s);
    scene_goes(s, c);
    told->given = ends_of(s);
    lane_enter(l);
    if (before->id != was.flow_id || before->marks & (FLOW_MARK_TORN | FLOW_MARK_GONE))
        why = "its flow is over";
    else if (!flow_goes(s, &joined))
        why = "there is a connection between the ends already";
    if (why == NULL && joined == NULL && redirected_of_flow(x, s->flow_id) == NULL) {
        made = record_of(r, s, c, told);
        if (!redirected_add(x, &made)) {
            why = "there is no memory";
            if (made.context != NULL)
                r->current->owns_context = true;
        }
    }
    if (why == NULL && joined != NULL)
        x->joined++;
    if (why == NULL &&
        !redirect_translate(x, &told->asked, &told->given, joined != NULL ? joined->id : s->flow_id, 0))
        why = "there is no memory";
    if (why == NULL) {
        x->counts.connects++;
        if (s->endpoint != NULL && s->protocol == WIRE_PROTOCOL_TCP) {
            s->endpoint->remote = s->remote;
            s->endpoint->remote_port = s->remote_port;
        }
    } else {
        *s = was;
    }
    lane_leave(l);
    if (joined != NULL && why == NULL) { /* what was begun for this one is not needed */
        if (l == &s->host->lanes[0])
            ale_end_flow(l, before, HOST_END_REPLACED);
        else
            ale_tear_down(l, flow_table_slot(l->flows, before), was.flow_id, HOST_END_REPLACED, NULL);
        s->flow = joined;
        s->flow_id = joined->id;
        told->flow_id = joined->id;
    }
    return why;
}

/* RED-18: shown as AC's refusal, by no filter. */
static enum ale_result refused(struct scene *s, const char *why, struct answer *a)
{
    redirect_report("a redirection of a connect was refused: %s", why);
    host_count(&redirects_of(s->host)->counts.refused);
    *a = (struct answer){.blocked = true, .role = LAYER_AC, .layer = layer_id(LAYER_AC, s->version)};
    return ALE_BLOCKED;
}

/* All have answered. */
static enum ale_result conclude(struct redirect *r, struct scene *s, struct answer *a)
{
    const struct host_config *config = &s->host->config;
    struct host_redirected told = {.filter_id = r->current->filter_id,
                                   .flow_id = s->flow_id,
                                   .endpoint_id = s->endpoint != NULL ? s->endpoint->id : 0,
                                   .frame = s->frame};
    const char *why;
    struct change c;

    if (a->blocked && config->knobs.redirect_block_enforced)
        return a->absorbed ? ALE_ABSORBED : ALE_BLOCKED;
    if (a->blocked)
        host_count(&redirects_of(s->host)->counts.blocks); /* RED-28 */
    change_of(r, s, &c);
    if (c.refused != NULL)
        return refused(s, c.refused, a);
    if (!c.remote && !c.local)
        return ALE_PASS;
    told.target_process = c.host ? r->current->is.connect.localRedirectTargetPID : 0;
    why = goes(r, s, &c, &told);
    if (why != NULL)
        return refused(s, why, a);
    ale_tell(s->lane, flow_table_slot(s->lane->flows, s->flow), s->flow_id, HOST_FLOW_REDIRECTED);
    if (s->packet != NULL)
        redirect_rewrite(s, &told.given);
    if (config->redirected != NULL) {
        const bool stayed = lane_rest(s->lane);

        config->redirected(config->ctx, &told);
        lane_back(s->lane, stayed);
    }
    return ALE_PASS;
}

bool redirect_asks_twice(const struct scene *s, const struct host_flow *f, struct scene *asked)
{
    const struct redirected *r =
        redirected_any(s->lane) ? redirected_of_flow(redirects_of(s->host), f->id) : NULL;

    if (r == NULL || !r->twice || r->permitted)
        return false;
    *asked = *s;
    asked->local = r->told.asked.local;
    asked->local_port = r->told.asked.local_port;
    asked->remote = r->told.asked.remote;
    asked->remote_port = r->told.asked.remote_port;
    asked->as_asked = true;
    return true;
}

void redirect_scene_goes(struct scene *s, const struct host_flow *f)
{
    struct redirected *r = redirected_of_flow(redirects_of(s->host), f->id);

    s->as_asked = false;
    if (r == NULL)
        return;
    r->permitted = true;
    s->local = r->told.given.local;
    s->local_port = r->told.given.local_port;
    s->remote = r->told.given.remote;
    s->remote_port = r->told.given.remote_port;
}

/* ---- asking -------------------------------------------------------------------------------------------------- */

/* What CR is asked about, with addresses as it names them (MATCH-23). */
static void request_of(struct redirect *r, const struct scene *s)
{
    FWPS_CONNECT_REQUEST0 *is = &r->current->is.connect;
    struct scene t = *s;

    ale_as_its_socket(&t);
    r->version = t.version;
    redirect_sockaddr(&is->localAddressAndPort, t.version, &t.local, s->icmp ? 0 : t.local_port);
    redirect_sockaddr(&is->remoteAddressAndPort, t.version, &t.remote, s->icmp ? 0 : t.remote_port);
}

/* A flow that waits. True: it was completed meanwhile, and is to be run. Lane held. */
static bool wait(struct redirect *r, struct scene *s, struct host_flow *f)
{
    if (f->state == ALE_NEW || f->state == ALE_DENIED)
        ale_flow_step(s->lane, f, ALE_EVENT_BEGIN);
    ale_note_sequence(s, f);
    ale_step(s->lane, &f->state, ALE_EVENT_PEND);
    ale_flow_lifetime(s->lane, f, ALE_IDLE, false);
    return redirect_waits(s->lane, r, f);
}

/* Is the flow another thread's by now? It completes what an earlier packet waited for (PEND-36). */
static bool is_overtaken(const struct host_flow *f)
{
    return f->state == ALE_CLASSIFYING || f->state == ALE_COMPLETING || f->state == ALE_AUTHORIZED ||
           f->marks & (FLOW_MARK_TORN | FLOW_MARK_GONE);
}

enum ale_result redirect_connect(struct scene *s, struct answer *a)
{
    struct lane *l = s->lane;
    const uint8_t as = s->endpoint != NULL && s->endpoint->version == 6 ? 6 : s->version;
    struct host_flow *f = s->flow;
    struct ale_operation *op;
    struct redirect *r;
    bool pended, due = false;
    enum ale_result result;

    if (redirect_may_skip(l, LAYER_CR, as))
        return ALE_PASS;
    if (!redirect_has_filters(l, LAYER_CR, as)) {
        struct scene t = *s;

        t.packet = NULL;
        t.flow = NULL;
        t.flow_id = 0;
        ale_ask(&t, LAYER_CR, NULL, a);
        return ALE_PASS;
    }
    r = redirect_new(l, REDIRECT_CONNECT);
    if (r == NULL)
        return ALE_NO_MEMORY;
    request_of(r, s);
    lane_enter(l);
    op = ale_operation_begin(l, ALE_CONNECT_REDIRECT, s->endpoint, f);
    if (op != NULL && (!ale_operation_note(l, op, s) || !ale_operation_redirect(l, op, r))) {
        ale_operation_end(l, op, f);
        op = NULL;
    }
    if (op == NULL)
        redirect_unref(r);
    else
        op->frame = s->frame;
    lane_leave(l);
    if (op == NULL)
        return ALE_NO_MEMORY;
    r->op = op;

    redirect_ask(l, r, s, LAYER_CR, a);

    lane_enter(l);
    f = ale_flow_at(l, flow_table_slot(l->flows, s->flow), s->flow_id);
    pended = op->pended;
    if (pended && f != NULL && !is_overtaken(f)) {
        due = wait(r, s, f);
    } else if (pended) {
        redirect_abandon(l, op, f);
    }
    lane_leave(l);
    if (pended) {
        a->blocked = true;
        if (due && !ale_defer(l, op))
            ale_operation_run(l, op);
        return ALE_PENDING;
    }
    result = conclude(r, s, a);
    lane_enter(l);
    ale_operation_end(l, op, ale_flow_at(l, flow_table_slot(l->flows, s->flow), s->flow_id));
    lane_leave(l);
    return result;
}

/* ---- a completion -------------------------------------------------------------------------------------------- */

/* AC, as if CR had just been asked. */
static UINT64 go_on(struct scene *s, enum ale_result result, struct answer *a)
{
    if (result != ALE_PASS) {
        ale_deny_connect(s);
        return a->filter_id;
    }
    result = ale_authorize_connect(s, a);
    return result == ALE_BLOCKED || result == ALE_ABSORBED ? a->filter_id : 0;
}

UINT64 redirect_connect_completed(struct lane *l, struct ale_operation *op, bool *tell)
{
    struct redirect *r;
    struct host_flow *f;
    enum ale_result result;
    struct scene s;
    struct answer a;
    bool pended, due = false;
    UINT64 refused_by;

    lane_enter(l);
    ale_policy_notice(l);
    ale_operation_scene(op, l, &s);
    s.frame = op->frame;
    f = ale_flow_at(l, op->flow_slot, op->flow_id);
    r = ale_operation_redirected(l, op);
    s.flow = f;
    if (f == NULL || r == NULL || f->state != ALE_PENDED || f->marks & (FLOW_MARK_TORN | FLOW_MARK_GONE) ||
        !redirect_renew(l, r, ALE_CONNECT_REDIRECT, f)) {
        lane_leave(l);
        return 0;
    }
    ale_flow_step(l, f, ALE_EVENT_COMPLETE);
    ale_flow_step(l, f, ALE_EVENT_REAUTHORIZE);
    op->cancelled = true; /* it no longer waits */
    lane_leave(l);

    redirect_ask(l, r, &s, LAYER_CR, &a);

    op = r->op;
    lane_enter(l);
    f = ale_flow_at(l, op->flow_slot, op->flow_id);
    pended = op->pended;
    if (f == NULL || f->state != ALE_CLASSIFYING || f->marks & (FLOW_MARK_TORN | FLOW_MARK_GONE))
        f = NULL; /* overtaken */
    if (pended && f != NULL) {
        due = wait(r, &s, f);
    } else if (pended) {
        redirect_abandon(l, op, NULL);
    } else if (f == NULL) {
        ale_operation_end(l, op, NULL);
    }
    lane_leave(l);
    *tell = !pended;
    if (pended && due && !ale_defer(l, op))
        ale_operation_run(l, op);
    if (pended || f == NULL)
        return 0;
    result = conclude(r, &s, &a);
    lane_enter(l);
    ale_operation_end(l, op, ale_flow_at(l, flow_table_slot(l->flows, s.flow), s.flow_id));
    lane_leave(l);
    refused_by = go_on(&s, result, &a);
    lane_enter(l);
    f = ale_flow_at(l, flow_table_slot(l->flows, s.flow), s.flow_id);
    *tell = f == NULL || f->state != ALE_PENDED;
    lane_leave(l);
    return refused_by;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * indicate() fills only what the filters test. Here random rules and random scenes are asked twice: as the
 * paths do, and by the naive walk over a request in which everything is filled. Both must say the same.
 */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "scene_lab.h"

#define WORLDS 25
#define RULES  24
#define SCENES 60

static UINT64 seed = 11;

static UINT32 pick(UINT32 below)
{
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return (UINT32)(seed >> 33) % below;
}

/* Values that scenes really have, and some near them. */
static UINT64 likely(const struct engine_field *f)
{
    static const UINT32 ports[] = {0, 1, 3, 8, 53, 80, 443};
    static const UINT32 addresses[] = {0x0a000001, 0x0a000002, 0x0a000003, 0};

    switch (f->data_type) {
    case FWP_UINT8:
        return (const UINT8[]){1, 3, 6, 17, 0}[pick(5)];
    case FWP_UINT16:
        return ports[pick(ARRAYSIZE(ports))];
    case FWP_UINT64:
        return (const UINT64[]){0x0006000001000000, 0, 7}[pick(3)];
    default:
        return f->type == FWPM_FIELD_IP_ADDRESS ? addresses[pick(4)] : 1u << pick(6);
    }
}

static void add_rule(struct host_lab *l)
{
    char rule[512], name[96], where[16];
    enum host_layer role;
    const struct engine_layer *layer;
    size_t n;

    do
        role = (enum host_layer)pick(LAYER_MAC_IN);
    while (role == LAYER_ST && pick(4) != 0);
    layer = engine_layer_by_id(layer_id(role, 4));
    snprintf(where, sizeof(where), "%s", layer_short_name(role));
    n = (size_t)snprintf(rule, sizeof(rule), "%s %s", pick(2) ? "block" : "permit", where);
    for (unsigned i = pick(4); i > 0; i--) {
        const struct engine_field *f = &layer->fields[pick(layer->field_count)];
        bool flags = f->type == FWPM_FIELD_FLAGS;

        if (f->data_type != FWP_UINT8 && f->data_type != FWP_UINT16 && f->data_type != FWP_UINT32 &&
            f->data_type != FWP_UINT64)
            continue;
        snprintf(name, sizeof(name), "%s", f->name + strlen("FWPM_CONDITION_"));
        for (char *c = name; *c != '\0'; c++)
            *c = (char)tolower((unsigned char)*c);
        if (strncmp(name, "reserved", 8) == 0)
            continue;
        n += (size_t)snprintf(rule + n, sizeof(rule) - n, " %s%s%llu", name,
                              flags ? (pick(2) ? "~" : "=") : (pick(2) ? "=" : "!="),
                              (unsigned long long)likely(f));
    }
    host_lab_rule(l, rule);
}

static void random_scene(struct scene_lab *l)
{
    static const char *const addresses[] = {"10.0.0.1", "10.0.0.2", "10.0.0.3", "224.0.0.1"};
    static const UINT16 ports[] = {1, 53, 80, 443};
    static const uint8_t protocols[] = {WIRE_PROTOCOL_TCP, WIRE_PROTOCOL_UDP, WIRE_PROTOCOL_ICMP, 47};
    static const uint8_t stream[] = "bytes";
    struct packet p = {.src = addresses[pick(4)],
                       .dst = addresses[pick(4)],
                       .sport = ports[pick(4)],
                       .dport = ports[pick(4)],
                       .protocol = protocols[pick(4)],
                       .icmp_type = 8,
                       .fill = 20};

    p.no_transport = p.protocol == 47;
    scene_lab_packet(l, pick(2) ? FWP_DIRECTION_INBOUND : FWP_DIRECTION_OUTBOUND, &p);
    if (pick(3) != 0)
        scene_lab_rich(l);
    l->scene.reauthorize = pick(3) == 0 ? 1u << pick(4) : 0;
    l->scene.loopback = pick(4) == 0;
    l->scene.connection_direction = (FWP_DIRECTION)pick(2);
    l->scene.next_hop = pick(2) ? host_interface_by_index(l->lab.host, 2) : NULL;
    l->scene.flags = pick(3) == 0 ? 1u << pick(24) : 0;
    l->scene.any_remote = pick(5) == 0;
    l->scene.stream = stream;
    l->scene.stream_size = 5;
}

static struct engine_verdict naive;

static void ask_naively(struct host_lab *lab, const struct host_event *e)
{
    struct engine_request q = *e->request;
    struct engine_reader *r;

    if (e->cause == HOST_CAUSE_DISCARD)
        return;
    engine_request_complete(e->request);
    q.cache = NULL;
    assert_int_equal(engine_reader_create(lab->engine, &r), 0);
    assert_int_equal(engine_classify_naive(r, &q, &naive), STATUS_SUCCESS);
    engine_reader_destroy(r);
}

static void what_is_filled_on_demand_decides_alike(void **state)
{
    unsigned blocked = 0, asked = 0;

    (void)state;
    for (int world = 0; world < WORLDS; world++) {
        struct scene_lab l;
        struct host_observer observer;

        scene_lab_open(&l, NULL);
        l.lab.on_event = ask_naively;
        observer = l.lab.host->config.observer;
        for (int i = 0; i < RULES; i++)
            add_rule(&l.lab);
        for (int i = 0; i < SCENES; i++) {
            random_scene(&l);
            for (int role = 0; role < LAYER_MAC_IN; role++) {
                struct answer a;

                l.lab.host->config.observer = observer;
                scene_lab_indicate(&l, (enum host_layer)role);
                l.lab.host->config.observer.classified = NULL;
                indicate(&l.scene, (enum host_layer)role, &a);
                if (a.verdict.action != naive.action || a.filter_id != naive.filter_id ||
                    l.answer.filter_id != a.filter_id)
                    fail_msg("%s: filter %llu, observed %llu, naively %llu",
                             layer_short_name((enum host_layer)role), (unsigned long long)a.filter_id,
                             (unsigned long long)l.answer.filter_id, (unsigned long long)naive.filter_id);
                asked += !a.empty;
                blocked += a.blocked;
            }
        }
        scene_lab_close(&l);
    }
    assert_true(asked > 5000); /* the comparison was one of something */
    assert_true(blocked > 500);
    assert_true(blocked < asked);
}

/* A callout that classifies again while it is asked: each level has its own packet. */
static struct scene_lab *nested;
static unsigned depth, deepest;

static void go_deeper(struct host_lab_callout *c, FWPS_CLASSIFY_OUT0 *out)
{
    NET_BUFFER_LIST *list = c->layer_data;
    struct scene inner;
    struct answer a;
    uint8_t before[64], after[64];
    size_t n = 0;

    (void)out;
    if (list != NULL)
        n = ndis_packet_read(list, before, sizeof(before));
    if (++depth < 7) {
        inner = nested->scene;
        memset(&inner.hold, 0, sizeof(inner.hold)); /* it is the outer classification's */
        indicate(&inner, depth % 2 ? LAYER_II : LAYER_IT, &a);
    }
    deepest = depth > deepest ? depth : deepest;
    if (list != NULL) {
        assert_int_equal(ndis_packet_read(list, after, sizeof(after)), n);
        assert_memory_equal(before, after, n);
    }
    depth--;
}

static void classifications_nest(void **state)
{
    struct host_lab_callout it = {.action = FWP_ACTION_PERMIT, .also = go_deeper};
    struct host_lab_callout ii = {.action = FWP_ACTION_PERMIT, .also = go_deeper};
    struct scene_lab *l = *state;

    nested = l;
    depth = deepest = 0;
    l->lab.host->config.observer.classified = NULL;
    host_lab_callout(&l->lab, "IT", &it);
    host_lab_callout(&l->lab, "II", &ii);
    SCENE_IN(l, .sport = 1, .dport = 2, .fill = 20);
    scene_lab_indicate(l, LAYER_IT);
    assert_int_equal(deepest, 7);
    assert_int_equal(l->lab.host->lanes[0].scratch != NULL, 1);
    assert_int_equal(it.calls + ii.calls, 7);
}

/* The policy may change under a callout: what it was asked by stays. */
static void change_policy(struct host_lab_callout *c, FWPS_CLASSIFY_OUT0 *out)
{
    struct answer a;
    struct scene inner = nested->scene;

    (void)out;
    memset(&inner.hold, 0, sizeof(inner.hold));
    if (c->ctx == NULL)
        return;
    c->ctx = NULL;
    host_lab_rule(&nested->lab, "block IT ip_remote_port=1");
    assert_true(indicate(&inner, LAYER_IT, &a)); /* the change is seen at once, in there */
}

static void policies_may_change_under_a_callout(void **state)
{
    struct host_lab_callout it = {.action = FWP_ACTION_PERMIT, .also = change_policy, .ctx = &it};
    struct scene_lab *l = *state;

    nested = l;
    l->lab.host->config.observer.classified = NULL;
    host_lab_callout(&l->lab, "IT", &it);
    SCENE_IN(l, .sport = 1, .dport = 2, .fill = 20);
    assert_false(scene_lab_indicate(l, LAYER_IT)); /* asked by the version that it began with */
    assert_true(scene_lab_indicate(l, LAYER_IT));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, scene_lab_setup, scene_lab_teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_filled_on_demand_decides_alike),
        TEST(classifications_nest),
        TEST(policies_may_change_under_a_callout),
    };
    return cmocka_run_group_tests_name("host_indicate", tests, NULL, NULL);
}

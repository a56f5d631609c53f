/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values and metadata that are kept from packet to packet (values_kept.c, metadata_keep()) against those that
 * are filled from nothing: random scenes, one after the other in one lane, with and without packets,
 * endpoints, owners, flows; between them interfaces, addresses and profiles change. At every layer both must
 * say the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "host/indicate.h"
#include "scene_lab.h"

#define WORLDS 12
#define SCENES 150

static UINT64 seed = 23;

static UINT32 pick(UINT32 below)
{
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return (UINT32)(seed >> 33) % below;
}

static void random_packet(struct scene_lab *l)
{
    /* the last of six has the bits that 224.0.0.1 has, in memory */
    static const char *const four[] = {"10.0.0.1",  "10.0.0.2",   "10.0.1.7", "0.0.0.0",
                                       "224.0.0.1", "10.0.1.255", "224.0.0.1"};
    static const char *const six[] = {
        "fe80::1", "fe80::2", "2001:db8::1", "::", "ff02::1", "2001:db8::77", "100:e0::"};
    static const uint8_t protocols[] = {WIRE_PROTOCOL_TCP, WIRE_PROTOCOL_UDP, WIRE_PROTOCOL_ICMP};
    const char *const *addresses = pick(2) ? four : six;
    struct packet p = {.src = addresses[pick(7)],
                       .dst = addresses[pick(7)],
                       .sport = (UINT16)(1 + pick(3)),
                       .dport = (UINT16)(1 + pick(3)),
                       .protocol = protocols[pick(3)],
                       .icmp_type = addresses == four ? 8 : 128,
                       .id = pick(9),
                       .fragment = pick(8) == 0,
                       .fill = 1 + pick(30)};

    p.more = p.fragment;
    if (p.fragment)
        p.fill = 24;
    scene_lab_packet(l, pick(2) ? FWP_DIRECTION_INBOUND : FWP_DIRECTION_OUTBOUND, &p);
}

static void random_scene(struct scene_lab *l)
{
    static const uint8_t stream[] = "bytes";
    static const SID package = {1, 1, {{0, 0, 0, 0, 0, 15}}, {2}};
    struct scene *s = &l->scene;
    const struct host *h = l->lab.host;

    random_packet(l);
    if (pick(3) != 0) {
        scene_lab_rich(l);
        l->owner.unknown = pick(3) == 0 ? 1u << pick(16) : 0;
        l->owner.package = pick(3) == 0 ? &package : NULL;
        l->owner.app_id = pick(3) != 0 ? l->app : NULL;
        l->owner.token = pick(3) != 0 ? l->owner.token : NULL;
        l->endpoint.wildcard = pick(4) == 0;
        l->endpoint.raw = pick(4) == 0;
        l->endpoint.promiscuous = pick(4) == 0;
        l->endpoint.interface_index = pick(3);
        l->party.owner = pick(5) != 0 ? &l->owner : NULL;
        l->endpoint.parent = pick(2) ? &l->parent : NULL;
        s->completion_handle = pick(2) ? s->completion_handle : NULL;
    }
    s->flow_id = pick(3) != 0 ? 1 + pick(5) : 0;
    s->interface = pick(6) != 0 ? host_interface_by_index(h, 1 + pick(3)) : NULL;
    s->next_hop = pick(3) != 0 ? host_interface_by_index(h, 1 + pick(3)) : NULL;
    s->home = pick(4) == 0 ? host_interface_by_index(h, 1 + pick(3)) : NULL;
    s->reauthorize = pick(5) == 0 ? 1u << pick(4) : 0;
    s->authorized_for = pick(4);
    s->loopback = pick(4) == 0;
    s->connection_direction = (FWP_DIRECTION)pick(2);
    s->flags = pick(3) == 0 ? 1u << pick(24) : 0;
    s->metadata_flags = pick(3) == 0 ? FWPS_METADATA_FIELD_ALE_CLASSIFY_REQUIRED : 0;
    s->any_remote = pick(7) == 0;
    s->path_mtu = pick(4) == 0 ? 1280 + pick(100) : 0;
    s->stream = pick(2) ? stream : NULL;
    s->stream_size = s->stream != NULL ? sizeof(stream) : 0;
    s->embedded = pick(4) == 0 ? &l->packet : NULL;
    if (pick(12) == 0)
        s->packet = NULL;
}

static void change_something(struct scene_lab *l)
{
    char text[32];
    union wire_addr a;
    unsigned bits;

    switch (pick(6)) {
    case 0:
        host_set_profile(l->lab.host, 1 + pick(3), pick(3));
        break;
    case 1: /* 10.0.1.255 is a directed broadcast from now on, another one is the host's */
        snprintf(text, sizeof(text), "10.0.1.%u", 1 + pick(9));
        wire_addr_parse(text, &a, &bits);
        assert_int_equal(host_address_add(l->lab.host, 1 + pick(2), 4, &a, 24, false), 0);
        break;
    default:
        break;
    }
}

static bool same(const FWP_VALUE0 *a, const FWP_VALUE0 *b)
{
    if (a->type != b->type)
        return false;
    switch (a->type) {
    case FWP_EMPTY:
        return true;
    case FWP_UINT8:
        return a->uint8 == b->uint8;
    case FWP_UINT16:
        return a->uint16 == b->uint16;
    case FWP_UINT32:
        return a->uint32 == b->uint32;
    default: /* what they point to is the scene's, the host's, the owner's: the same thing */
        return a->uint64 == b->uint64;
    }
}

static UINT64 compared;

static void compare(struct scene_lab *l, UINT16 id, enum host_layer role, bool discard)
{
    const struct engine_layer *layer = engine_layer_by_id(id);
    struct scratch *room = l->scene.lane->scratch;
    FWPS_INCOMING_METADATA_VALUES0 metadata;
    FWPS_INCOMING_VALUE0 value[ENGINE_MAX_FIELDS];
    const uint32_t at = packet_offset(&l->scene, role, discard);
    UINT64 unknown, unknown_kept;
    struct kept *k, *below;

    memset(value, 0xa5, sizeof(value));
    unknown = values_fill(&l->scene, layer, room->prepared[id].all, value, room);
    room->level = 1 + pick(KEPT_LEVELS);
    k = values_keep(&l->scene, layer, room, &unknown_kept);
    assert_non_null(k);
    below = room->level > 1 ? room->kept[room->level - 2][id][scene_inbound(&l->scene)] : NULL;
    assert_ptr_not_equal(k, below); /* who is below still reads his */
    room->level = 0;
    if (unknown != unknown_kept)
        fail_msg("%s: unknown %llx, kept %llx", layer->name, (unsigned long long)unknown,
                 (unsigned long long)unknown_kept);
    assert_int_equal(k->values.layerId, id);
    assert_int_equal(k->values.valueCount, layer->field_count);
    for (UINT16 i = 0; i < layer->field_count; i++, compared++)
        if (!same(&value[i].value, &k->values.incomingValue[i].value))
            fail_msg("%s, %s: type %d, %llx; kept %d, %llx", layer->name, layer->fields[i].name,
                     value[i].value.type, (unsigned long long)(uintptr_t)value[i].value.uint64,
                     k->value[i].value.type, (unsigned long long)(uintptr_t)k->value[i].value.uint64);
    memset(&metadata, 0xa5, sizeof(metadata));
    metadata_fill(&l->scene, role, discard, at, &metadata);
    metadata_keep(&l->scene, role, discard, at, k, room->prepared[id].metadata);
    if (metadata.currentMetadataValues != k->metadata.currentMetadataValues)
        fail_msg("%s: metadata %x, kept %x", layer->name, metadata.currentMetadataValues,
                 k->metadata.currentMetadataValues);
    for (size_t i = 0; i < sizeof(metadata); i++)
        if (((const uint8_t *)&metadata)[i] != ((const uint8_t *)&k->metadata)[i])
            fail_msg("%s: metadata differ at byte %zu", layer->name, i);
}

static void what_is_kept_is_what_would_be_filled(void **state)
{
    (void)state;
    for (int world = 0; world < WORLDS; world++) {
        static const struct host_interface_desc more[] = {
            {.name = "two", .luid = 2, .index = 2, .type = 71, .mtu = 1400, .unknown = HOST_THING_PROFILE},
            {.name = "three", .luid = 3, .index = 3, .type = 6, .tunnel_type = 1, .compartment = 2}};
        const struct host_setting settings[] = {
            {.field = FWPM_CONDITION_IP_PROTOCOL, .value = {.type = FWP_UINT8, .uint8 = 99}},
            {.field = FWPM_CONDITION_CURRENT_PROFILE_ID, .value = {.type = FWP_UINT32, .uint32 = 7}}};
        const struct host_config config = {
            .unknown = world % 3 == 0 ? 1u << pick(16) : 0, .settings = settings, .setting_count = world % 4};
        struct scene_lab l;

        scene_lab_open(&l, world % 4 < 3 ? &config : NULL);
        for (int i = 0; i < 2; i++)
            (void)host_interface_add(l.lab.host, &more[i]); /* the laboratory may have them */
        for (int i = 0; i < SCENES; i++) {
            random_scene(&l);
            change_something(&l);
            for (int role = 0; role < LAYER_ROLES; role++) {
                const UINT16 id = layer_id((enum host_layer)role, l.scene.version);
                const UINT16 discard = layer_discard_id((enum host_layer)role, l.scene.version);

                if (l.scene.packet == NULL && (role == LAYER_IIE || role >= LAYER_MAC_IN))
                    continue; /* never */
                compare(&l, id, (enum host_layer)role, false);
                if (discard < ENGINE_LAYER_COUNT)
                    compare(&l, discard, (enum host_layer)role, true);
            }
        }
        scene_lab_close(&l);
    }
    assert_true(compared > 100000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_is_kept_is_what_would_be_filled)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

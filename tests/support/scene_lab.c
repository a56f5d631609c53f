/* SPDX-License-Identifier: Apache-2.0 */
/* scene_lab: see scene_lab.h. */
#include "scene_lab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void see_list(struct scene_seen *s, const NET_BUFFER_LIST *list)
{
    s->packet = true;
    s->next = list->Next != NULL;
    for (const NET_BUFFER *nb = list->FirstNetBuffer; nb != NULL; nb = nb->Next)
        s->buffers++;
    s->reachable = ndis_packet_offset(list);
    s->size = ndis_packet_read(list, s->bytes, sizeof(s->bytes));
    assert_int_equal(s->size, list->FirstNetBuffer->DataLength);
}

static void see(struct host_lab *lab, const struct host_event *e)
{
    struct scene_lab *l = lab->ctx;
    struct scene_seen *s;
    bool st = e->layer->id >= FWPS_LAYER_STREAM_V4 && e->layer->id <= FWPS_LAYER_STREAM_V6_DISCARD;

    assert_true(l->count < SCENE_LAB_SEEN);
    s = &l->seen[l->count++];
    memset(s, 0, sizeof(*s));
    s->layer = e->layer->id;
    s->cause = e->cause;
    s->unknown = e->unknown;
    assert_int_equal(e->request->values->layerId, e->layer->id);
    assert_int_equal(e->request->values->valueCount, e->layer->field_count);
    memcpy(s->value, e->request->values->incomingValue, e->layer->field_count * sizeof(s->value[0]));
    s->metadata = *e->request->metadata;
    s->layer_data = e->request->layer_data != NULL;
    if (e->packet != NULL)
        see_list(s, e->packet);
    if (st) {
        const FWPS_STREAM_CALLOUT_IO_PACKET0 *io = e->request->layer_data;

        assert_ptr_equal(io->streamData->netBufferListChain, e->packet);
        s->stream_flags = io->streamData->flags;
        s->stream_length = io->streamData->dataLength;
    } else if (e->packet != NULL) {
        assert_ptr_equal(e->request->layer_data, e->packet);
    }
}

void scene_lab_open(struct scene_lab *l, const struct host_config *config)
{
    memset(l, 0, sizeof(*l));
    host_lab_open(&l->lab, config);
    l->lab.on_event = see;
    l->lab.ctx = l;
}

void scene_lab_close(struct scene_lab *l)
{
    host_lab_close(&l->lab);
    security_token_destroy(l->token);
    free(l->app);
}

int scene_lab_setup(void **state)
{
    struct scene_lab *l = calloc(1, sizeof(*l));

    assert_non_null(l);
    scene_lab_open(l, NULL);
    *state = l;
    return 0;
}

int scene_lab_teardown(void **state)
{
    scene_lab_close(*state);
    free(*state);
    return 0;
}

void scene_lab_packet(struct scene_lab *l, FWP_DIRECTION way, const struct packet *p)
{
    struct scene *s = &l->scene;
    const struct wire_packet *w = &l->packet;
    bool in = way == FWP_DIRECTION_INBOUND;
    struct packet with = *p;

    if (!in && p->src == NULL && p->dst == NULL && p->quotes == NULL) {
        with.src = "10.0.0.1";
        with.dst = "10.0.0.2";
    }
    l->size = packet_parse(&with, l->frame, sizeof(l->frame), &l->packet);
    memset(s, 0, sizeof(*s));
    s->host = l->lab.host;
    s->lane = &l->lab.host->lanes[0];
    s->frame = 1;
    s->packet = w;
    s->interface = host_interface_by_index(l->lab.host, 1);
    s->packet_direction = s->connection_direction = way;
    s->version = w->version;
    s->protocol = w->protocol;
    s->local = in ? w->destination : w->source;
    s->remote = in ? w->source : w->destination;
    s->icmp = w->protocol == (w->version == 6 ? WIRE_PROTOCOL_ICMPV6 : WIRE_PROTOCOL_ICMP);
    s->local_port = s->icmp ? w->icmp_type : in ? w->destination_port : w->source_port;
    s->remote_port = s->icmp ? w->icmp_code : in ? w->source_port : w->destination_port;
    s->icmp_id = w->icmp_id;
    s->icmp_sequence = w->icmp_sequence;
    s->echo = s->icmp && w->icmp_id != 0;
    s->original_icmp_type = w->icmp_type;
}

void scene_lab_rich(struct scene_lab *l)
{
    static const SID user = {1, 1, {{0, 0, 0, 0, 0, 5}}, {18}};
    struct scene *s = &l->scene;

    if (l->token == NULL) {
        assert_int_equal(security_token_plain_user(&user, &l->token), 0);
        assert_int_equal(engine_app_id_from_path("/usr/bin/Program", &l->app), 0);
    }
    l->owner = (struct host_owner){
        .process_id = 4711, .sub_process_tag = 12, .app_id = l->app, .token = security_token_blob(l->token)};
    memset(&l->party, 0, sizeof(l->party));
    l->party.owner = &l->owner;
    l->parent = (struct host_endpoint){.id = 70, .party = &l->party, .references = 1};
    l->endpoint = (struct host_endpoint){.id = 71, .parent = &l->parent, .party = &l->party, .references = 1};
    s->endpoint = &l->endpoint;
    s->flow_id = 33;
    s->completion_handle = (HANDLE)(uintptr_t)99;
}

bool scene_lab_indicate(struct scene_lab *l, enum host_layer role)
{
    host_lab_reset(&l->lab);
    l->count = 0;
    return indicate(&l->scene, role, &l->answer);
}

bool scene_lab_discard(struct scene_lab *l, enum host_layer role, FWPS_DISCARD_MODULE0 module, UINT32 reason)
{
    host_lab_reset(&l->lab);
    l->count = 0;
    return indicate_discard(&l->scene, role, module, reason);
}

const FWP_VALUE0 *scene_value(const struct scene_seen *s, const GUID *key)
{
    int i = engine_layer_field(engine_layer_by_id(s->layer), key);

    assert_true(i >= 0);
    return &s->value[i].value;
}

UINT64 scene_number(const struct scene_seen *s, const GUID *key)
{
    const FWP_VALUE0 *v = scene_value(s, key);

    switch (v->type) {
    case FWP_UINT8:
        return v->uint8;
    case FWP_UINT16:
        return v->uint16;
    case FWP_UINT32:
        return v->uint32;
    case FWP_UINT64:
        return *v->uint64;
    default:
        fail_msg("layer %u: no number but type %d", s->layer, v->type);
        return 0;
    }
}

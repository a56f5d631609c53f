/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A laboratory of one classification: a scene made by hand from a frame, indicated at one layer, and what an
 * observer saw of it. Beside it stands a whole host (host_lab.h), for rules and callouts.
 *
 *   SCENE_IN(&l, .protocol = WIRE_PROTOCOL_UDP, .sport = 53, .dport = 4000);
 *   scene_lab_indicate(&l, LAYER_IT);
 *   l.seen[0].metadata.ipHeaderSize ...
 *
 * The scene has a packet, its tuple and interface 1; no endpoint, no flow. scene_lab_rich() gives it an
 * owner, an endpoint with a parent, a flow id and a completion handle.
 */
#ifndef WEIR_TESTS_SCENE_LAB_H
#define WEIR_TESTS_SCENE_LAB_H

#include "host/internal.h"
#include "host_lab.h"
#include "security/security.h"

#define SCENE_LAB_SEEN 4

/* One classification as the observer was shown it. Pointers in it are good as long as the scene is. */
struct scene_seen {
    UINT16 layer;
    enum host_cause cause;
    UINT64 unknown;
    FWPS_INCOMING_VALUE0 value[ENGINE_MAX_FIELDS];
    FWPS_INCOMING_METADATA_VALUES0 metadata;
    bool layer_data, packet, next; /* is there one? next: the list has a successor */
    unsigned buffers;              /* NET_BUFFERs in the list */
    uint32_t reachable;            /* bytes in front of the data */
    size_t size;                   /* of the data */
    uint8_t bytes[4096];           /* the data */
    UINT32 stream_flags;           /* ST */
    SIZE_T stream_length;
};

struct scene_lab {
    struct host_lab lab;
    uint8_t frame[4096];
    size_t size;
    struct wire_packet packet;
    struct scene scene;
    struct host_endpoint endpoint, parent;
    struct party party;
    struct host_owner owner;
    FWP_BYTE_BLOB *app;
    struct security_token *token;
    struct answer answer;
    struct scene_seen seen[SCENE_LAB_SEEN]; /* of the last indication and its discard */
    unsigned count;
};

void scene_lab_open(struct scene_lab *l, const struct host_config *config);
void scene_lab_close(struct scene_lab *l);
int scene_lab_setup(void **state);
int scene_lab_teardown(void **state);

void scene_lab_packet(struct scene_lab *l, FWP_DIRECTION way, const struct packet *p);
#define SCENE_IN(l, ...)  scene_lab_packet((l), FWP_DIRECTION_INBOUND, &(struct packet){__VA_ARGS__})
#define SCENE_OUT(l, ...) scene_lab_packet((l), FWP_DIRECTION_OUTBOUND, &(struct packet){__VA_ARGS__})
void scene_lab_rich(struct scene_lab *l);

/* Returns l->answer.blocked; l->seen is new. */
bool scene_lab_indicate(struct scene_lab *l, enum host_layer role);
bool scene_lab_discard(struct scene_lab *l, enum host_layer role, FWPS_DISCARD_MODULE0 module, UINT32 reason);

/* The value of the field with this key in the n-th thing seen; fails if the layer has none. */
const FWP_VALUE0 *scene_value(const struct scene_seen *s, const GUID *key);
UINT64 scene_number(const struct scene_seen *s, const GUID *key); /* of any integer; fails on EMPTY */

#endif

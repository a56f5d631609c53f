/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An indication's metadata: what the facts' table has for the layer (PKT-20), as far as it applies to what
 * is indicated (PKT-21). One row a field: when it applies and what it says.
 *
 * Additions to the table, each a decision of the semantics: the IP header's size at AC, the remote scope and
 * control data at RA, when a packet of the other direction is reauthorized there; the MAC header's size where
 * an inbound frame begins behind it (PKT-08).
 */
#include <string.h>

#include "host/indicate.h"
#include "host/kept.h"
#include "host/redirect_inside.h"

#define FIELD(name) FWPS_METADATA_FIELD_##name

/* One indication while its metadata is written. */
struct subject {
    const struct scene *s;
    const struct host_owner *owner; /* NULL: unknown */
    UINT32 unknown;                 /* HOST_THING_* of the owner */
    enum host_layer role;
    uint32_t at; /* where the data starts; UINT32_MAX: no packet */
    FWPS_INCOMING_METADATA_VALUES0 *out;
};

static bool shows_packet(const struct subject *m)
{
    return m->at != UINT32_MAX && m->s->packet != NULL && m->role != LAYER_ST;
}

static bool ip_header_size(const struct subject *m)
{
    const struct wire_packet *p = m->s->packet;

    if (!shows_packet(m) || p->version == 0)
        return false;
    if (m->role == LAYER_OI) {
        m->out->ipHeaderSize = p->ip_header_size;
        return true;
    }
    if (!scene_inbound(m->s))
        return false; /* there is none yet */
    /* At IIE the size of all that the data begins behind (PKT-09). */
    m->out->ipHeaderSize = m->role == LAYER_IIE ? m->at - p->ip_at : p->ip_header_size;
    return true;
}

/* Inbound: how far the transport header is behind the data; outbound and at IIE: its size. */
static bool transport_header_size(const struct subject *m)
{
    const struct wire_packet *p = m->s->packet;

    if (!shows_packet(m))
        return false;
    if (!scene_inbound(m->s) || m->role == LAYER_IIE)
        m->out->transportHeaderSize = p->transport_header_size;
    else if (p->ip_at + p->ip_header_size <= m->at)
        m->out->transportHeaderSize = m->at - p->ip_at - p->ip_header_size;
    return true;
}

static bool fragment_data(const struct subject *m)
{
    const struct wire_packet *p = m->s->packet;

    if (p == NULL || !p->fragment)
        return false;
    m->out->fragmentMetadata = (FWPS_INBOUND_FRAGMENT_METADATA0){
        .fragmentIdentification = p->fragment_id,
        .fragmentOffset = p->fragment_offset,
        .fragmentLength = p->ip_length > p->ip_header_size ? p->ip_length - p->ip_header_size : 0,
    };
    return true;
}

static bool path_mtu(const struct subject *m)
{
    const struct host_interface *i = m->s->interface;

    m->out->pathMtu = m->s->path_mtu != 0             ? m->s->path_mtu
                      : i != NULL && i->desc.mtu != 0 ? i->desc.mtu
                                                      : 1500;
    return true;
}

static bool compartment(const struct subject *m)
{
    const struct host_interface *i = m->s->interface;

    m->out->compartmentId = i != NULL && i->desc.compartment != 0 ? i->desc.compartment : 1;
    return true;
}

/* IPv6 addresses of link scope are good on one link only; others have scope 0. */
static UINT32 scope_of(const struct scene *s)
{
    const bool scoped = s->version == 6 && (wire_addr_is_link_local(6, &s->remote) ||
                                            (s->remote.v6[0] == 0xff && (s->remote.v6[1] & 0x0f) <= 2));

    return scoped && s->interface != NULL ? s->interface->desc.index : 0;
}

static bool remote_scope(const struct subject *m)
{
    const struct scene *s = m->s;

    if (s->any_remote || ((m->role == LAYER_DD || m->role == LAYER_SPK) && scene_inbound(s)))
        return false;
    m->out->remoteScopeId.Value = scope_of(s);
    return true;
}

static bool process_path(const struct subject *m)
{
    if (m->owner == NULL || m->owner->app_id == NULL || (m->unknown & HOST_THING_APP))
        return false;
    m->out->processPath = (FWP_BYTE_BLOB *)m->owner->app_id;
    return true;
}

/* The token goes by its endpoint's number: who opens it asks the endpoint. */
static bool token(const struct subject *m)
{
    if (m->owner == NULL || m->owner->token == NULL || (m->unknown & HOST_THING_USER))
        return false;
    m->out->token = m->s->endpoint->id;
    return true;
}

static bool process_id(const struct subject *m)
{
    if (m->owner == NULL || (m->unknown & HOST_THING_PROCESS))
        return false;
    m->out->processId = m->owner->process_id;
    return true;
}

static bool sub_process_tag(const struct subject *m)
{
    if (m->owner == NULL || m->owner->sub_process_tag == 0 || (m->unknown & HOST_THING_PROCESS))
        return false;
    m->out->subProcessTag = (PVOID)(uintptr_t)m->owner->sub_process_tag;
    return true;
}

static bool endpoint_handle(const struct subject *m)
{
    if (m->s->endpoint == NULL)
        return false;
    m->out->transportEndpointHandle = m->s->endpoint->id;
    return true;
}

static bool parent_handle(const struct subject *m)
{
    if (m->s->endpoint == NULL || m->s->endpoint->parent == NULL)
        return false;
    m->out->parentEndpointHandle = m->s->endpoint->parent->id;
    return true;
}

static bool flow_handle(const struct subject *m)
{
    m->out->flowHandle = m->s->flow_id;
    return m->s->flow_id != 0;
}

static bool completion_handle(const struct subject *m)
{
    m->out->completionHandle = m->s->completion_handle;
    return m->s->completion_handle != NULL;
}

/* The identifier in the upper half, the sequence number in the lower, both in host order. */
static bool icmp_id(const struct subject *m)
{
    if (!m->s->icmp || !m->s->echo)
        return false;
    m->out->icmpIdAndSequence = (UINT32)m->s->icmp_id << 16 | m->s->icmp_sequence;
    return true;
}

static bool packet_direction(const struct subject *m)
{
    if (m->s->reauthorize == 0)
        return false;
    m->out->packetDirection = m->s->packet_direction;
    return true;
}

static bool frame_length(const struct subject *m)
{
    if (m->s->packet == NULL)
        return false;
    m->out->frameLength = m->s->packet->length < 0xffff ? (UINT16)m->s->packet->length : 0xffff;
    return true;
}

static bool always(const struct subject *m)
{
    (void)m;
    return true; /* the system's own: there, with nothing in it */
}

static bool redirect_target(const struct subject *m)
{
    if (m->s->shown == NULL || !m->s->shown->redirected)
        return false;
    m->out->localRedirectTargetPID = (DWORD)m->s->shown->target;
    return true;
}

static bool original_destination(const struct subject *m)
{
    if (m->s->shown == NULL || !m->s->shown->redirected)
        return false;
    m->out->originalDestination = (SOCKADDR *)&m->s->shown->original;
    return true;
}

static bool redirect_records(const struct subject *m)
{
    if (m->s->shown == NULL || m->s->shown->records == NULL)
        return false; /* RED-20: the member is NULL all the same */
    m->out->redirectRecords = m->s->shown->records;
    return true;
}

static bool ale_required(const struct subject *m)
{
    return (m->s->metadata_flags & FIELD(ALE_CLASSIFY_REQUIRED)) != 0;
}

/* What is not here never applies: no control data is given. */
static const struct {
    UINT32 field;
    bool (*put)(const struct subject *m);
} fields[] = {
    {FIELD(FLOW_HANDLE), flow_handle},
    {FIELD(IP_HEADER_SIZE), ip_header_size},
    {FIELD(PROCESS_PATH), process_path},
    {FIELD(TOKEN), token},
    {FIELD(PROCESS_ID), process_id},
    {FIELD(SYSTEM_FLAGS), always},
    {FIELD(RESERVED), always},
    {FIELD(TRANSPORT_HEADER_SIZE), transport_header_size},
    {FIELD(COMPARTMENT_ID), compartment},
    {FIELD(FRAGMENT_DATA), fragment_data},
    {FIELD(PATH_MTU), path_mtu},
    {FIELD(COMPLETION_HANDLE), completion_handle},
    {FIELD(TRANSPORT_ENDPOINT_HANDLE), endpoint_handle},
    {FIELD(REMOTE_SCOPE_ID), remote_scope},
    {FIELD(PACKET_DIRECTION), packet_direction},
    {FIELD(ALE_CLASSIFY_REQUIRED), ale_required},
    {FIELD(ETHER_FRAME_LENGTH), frame_length},
    {FIELD(PARENT_ENDPOINT_HANDLE), parent_handle},
    {FIELD(ICMP_ID_AND_SEQUENCE), icmp_id},
    {FIELD(SUB_PROCESS_TAG), sub_process_tag},
    {FIELD(LOCAL_REDIRECT_TARGET_PID), redirect_target},
    {FIELD(ORIGINAL_DESTINATION), original_destination},
    {FIELD(REDIRECT_RECORD_HANDLE), redirect_records},
};

/* What the table lacks (PKT-20). */
static UINT32 additions(const struct scene *s, enum host_layer role)
{
    if (s->shown != NULL && role == LAYER_AC) /* RED-26 */
        return FIELD(LOCAL_REDIRECT_TARGET_PID) | FIELD(ORIGINAL_DESTINATION) |
               (s->reauthorize != 0 && scene_inbound(s) ? FIELD(IP_HEADER_SIZE) : 0);
    if (s->reauthorize == 0)
        return 0;
    if (role == LAYER_AC && scene_inbound(s))
        return FIELD(IP_HEADER_SIZE);
    if (role == LAYER_RA && !scene_inbound(s))
        return FIELD(REMOTE_SCOPE_ID);
    return 0;
}

static void put_mac_header(const struct subject *m)
{
    if (m->role != LAYER_MAC_IN || m->s->packet == NULL)
        return;
    m->out->currentL2MetadataValues |= FWPS_L2_METADATA_FIELD_ETHERNET_MAC_HEADER_SIZE;
    m->out->ethernetMacHeaderSize = m->at;
}

static const struct host_owner *owner_of(const struct scene *s)
{
    return s->endpoint != NULL && s->endpoint->party != NULL ? s->endpoint->party->owner : NULL;
}

void metadata_fill(const struct scene *s, enum host_layer role, bool discard, uint32_t at,
                   FWPS_INCOMING_METADATA_VALUES0 *out)
{
    UINT16 id = discard ? layer_discard_id(role, s->version) : layer_id(role, s->version);
    UINT32 has = engine_layer_by_id(id)->metadata | additions(s, role);
    const struct host_owner *owner = owner_of(s);
    struct subject m = {
        .s = s,
        .owner = owner,
        .unknown = owner != NULL ? owner->unknown : ~0u,
        .role = role,
        .at = at,
        .out = out,
    };

    memset(out, 0, sizeof(*out));
    for (size_t i = 0; i < ARRAYSIZE(fields); i++)
        if ((has & fields[i].field) && fields[i].put(&m))
            out->currentMetadataValues |= fields[i].field;
    if (has & FIELD(DISCARD_REASON)) {
        out->currentMetadataValues |= FIELD(DISCARD_REASON);
        out->discardMetadata = (FWPS_DISCARD_METADATA0){
            .discardModule = s->discard_module,
            .discardReason = s->discard_reason,
            .filterId = s->discard_filter_id,
        };
    }
    put_mac_header(&m);
}

/* ---- kept ------------------------------------------------------------------------------------------------
 */

#define OF_OWNER (FIELD(PROCESS_PATH) | FIELD(TOKEN) | FIELD(PROCESS_ID) | FIELD(SUB_PROCESS_TAG))

/* Those that few layers have. */
static UINT32 keep_owner(const struct scene *s, UINT32 has, FWPS_INCOMING_METADATA_VALUES0 *out)
{
    const struct host_owner *owner = owner_of(s);
    const struct subject m = {
        .s = s, .owner = owner, .unknown = owner != NULL ? owner->unknown : ~0u, .out = out};
    UINT32 there = 0;

    out->processPath = NULL;
    out->token = out->processId = 0;
    out->subProcessTag = NULL;
    if ((has & FIELD(PROCESS_PATH)) && process_path(&m))
        there |= FIELD(PROCESS_PATH);
    if ((has & FIELD(TOKEN)) && token(&m))
        there |= FIELD(TOKEN);
    if ((has & FIELD(PROCESS_ID)) && process_id(&m))
        there |= FIELD(PROCESS_ID);
    if ((has & FIELD(SUB_PROCESS_TAG)) && sub_process_tag(&m))
        there |= FIELD(SUB_PROCESS_TAG);
    return there;
}

/* Of an interface: written once for all packets on it. */
static __attribute__((noinline)) void keep_interface(const struct scene *s, UINT32 has, struct kept *k)
{
    const struct host_interface *i = s->interface;
    const struct subject m = {.s = s, .out = &k->metadata};

    if ((has & FIELD(COMPARTMENT_ID)) != 0)
        k->metadata.compartmentId = i != NULL && i->desc.compartment != 0 ? i->desc.compartment : 1;
    if ((has & FIELD(PATH_MTU)) != 0)
        (void)path_mtu(&m);
    k->metadata_of = i;
    k->path_mtu = s->path_mtu;
}

/* What few packets have, or few layers. */
static __attribute__((noinline)) UINT32 keep_rare(const struct scene *s, enum host_layer role, UINT32 has,
                                                  FWPS_INCOMING_METADATA_VALUES0 *out)
{
    const struct subject m = {.s = s, .role = role, .out = out};
    UINT32 there = 0;

    out->remoteScopeId.Value = 0;
    if ((has & FIELD(REMOTE_SCOPE_ID)) != 0 && remote_scope(&m))
        there |= FIELD(REMOTE_SCOPE_ID);
    out->icmpIdAndSequence = 0;
    if ((has & FIELD(ICMP_ID_AND_SEQUENCE)) != 0 && icmp_id(&m))
        there |= FIELD(ICMP_ID_AND_SEQUENCE);
    if ((has & FIELD(COMPLETION_HANDLE)) != 0) {
        out->completionHandle = s->completion_handle;
        there |= s->completion_handle != NULL ? FIELD(COMPLETION_HANDLE) : 0;
    }
    if ((has & OF_OWNER) != 0)
        there |= keep_owner(s, has, out);
    return there;
}

/* The headers' sizes. */
static inline UINT32 keep_sizes(const struct scene *s, enum host_layer role, bool in, uint32_t at, UINT32 has,
                                FWPS_INCOMING_METADATA_VALUES0 *out)
{
    const struct wire_packet *p = s->packet;
    const uint32_t behind = p->ip_at + p->ip_header_size;
    UINT32 there = has & FIELD(TRANSPORT_HEADER_SIZE);

    out->transportHeaderSize = !there                     ? 0
                               : !in || role == LAYER_IIE ? p->transport_header_size
                               : behind <= at             ? at - behind
                                                          : 0;
    out->ipHeaderSize = 0;
    if ((has & FIELD(IP_HEADER_SIZE)) != 0 && p->version != 0 && (in || role == LAYER_OI)) {
        out->ipHeaderSize = role == LAYER_IIE ? at - p->ip_at : p->ip_header_size;
        there |= FIELD(IP_HEADER_SIZE);
    }
    return there;
}

/* Whose packet it is. What is there of it. */
static inline UINT32 keep_flow(const struct scene *s, UINT32 has, FWPS_INCOMING_METADATA_VALUES0 *out)
{
    const struct host_endpoint *e = s->endpoint;
    UINT32 there = has & s->metadata_flags & FIELD(ALE_CLASSIFY_REQUIRED);

    if ((has & FIELD(FLOW_HANDLE)) != 0) {
        out->flowHandle = s->flow_id;
        there |= s->flow_id != 0 ? FIELD(FLOW_HANDLE) : 0;
    }
    if ((has & FIELD(TRANSPORT_ENDPOINT_HANDLE)) != 0) {
        out->transportEndpointHandle = e != NULL ? e->id : 0;
        there |= e != NULL ? FIELD(TRANSPORT_ENDPOINT_HANDLE) : 0;
    }
    if ((has & FIELD(PARENT_ENDPOINT_HANDLE)) != 0) {
        out->parentEndpointHandle = e != NULL && e->parent != NULL ? e->parent->id : 0;
        there |= e != NULL && e->parent != NULL ? FIELD(PARENT_ENDPOINT_HANDLE) : 0;
    }
    return there;
}

/* What all packets of an established flow have, stored one after the other; tests/unit/host_kept.c holds it
 * against the table above. */
static void keep_plain(const struct scene *s, enum host_layer role, uint32_t at, UINT32 has, struct kept *k)
{
    FWPS_INCOMING_METADATA_VALUES0 *out = &k->metadata;
    UINT32 there = has & (FIELD(SYSTEM_FLAGS) | FIELD(RESERVED) | FIELD(COMPARTMENT_ID) | FIELD(PATH_MTU));
    const bool in = scene_inbound(s);

    if (__builtin_expect(k->metadata_of != s->interface || k->path_mtu != s->path_mtu || !k->plain, 0))
        keep_interface(s, has, k);
    if (at != UINT32_MAX && s->packet != NULL && role != LAYER_ST)
        there |= keep_sizes(s, role, in, at, has, out);
    else
        out->ipHeaderSize = out->transportHeaderSize = 0;
    there |= keep_flow(s, has, out);
    if (s->version == 4 && !s->icmp && !k->rare && (has & (OF_OWNER | FIELD(COMPLETION_HANDLE))) == 0) {
        /* of the others only the scope, which is 0 */
        if (!s->any_remote && !(in && (role == LAYER_DD || role == LAYER_SPK)))
            there |= has & FIELD(REMOTE_SCOPE_ID);
    } else {
        there |= keep_rare(s, role, has, out);
        k->rare = s->version != 4 || s->icmp;
    }
    k->plain = true;
    out->currentMetadataValues = there;
}

void kept_flow_metadata(const struct scene *s, struct kept_flow *f)
{
    const struct host_endpoint *e = s->endpoint;
    UINT32 there = s->metadata_flags & FIELD(ALE_CLASSIFY_REQUIRED);

    if (__builtin_expect(s->flow_id != 0, 1))
        there |= FIELD(FLOW_HANDLE);
    f->handle[KEPT_FLOW] = s->flow_id;
    f->handle[KEPT_ENDPOINT] = f->handle[KEPT_PARENT] = 0;
    if (__builtin_expect(e != NULL, 1)) {
        f->handle[KEPT_ENDPOINT] = e->id;
        there |= FIELD(TRANSPORT_ENDPOINT_HANDLE);
        if (e->parent != NULL) {
            f->handle[KEPT_PARENT] = e->parent->id;
            there |= FIELD(PARENT_ENDPOINT_HANDLE);
        }
    }
    f->metadata = there;
    f->scope = scope_of(s);
}

void metadata_place(const struct scene *s, enum host_layer role, uint32_t at, struct kept *k, UINT32 has)
{
    (void)keep_sizes(s, role, scene_inbound(s), at, has, &k->metadata);
}

void metadata_keep(const struct scene *s, enum host_layer role, bool discard, uint32_t at, struct kept *k,
                   UINT32 has)
{
    const bool plain = !discard && s->reauthorize == 0 && s->shown == NULL && role < LAYER_MAC_IN &&
                       (s->packet == NULL || !s->packet->fragment);

    k->of.other = 0;
    if (__builtin_expect(!plain, 0)) {
        metadata_fill(s, role, discard, at, &k->metadata);
        k->plain = false;
        return;
    }
    if (__builtin_expect(!k->plain, 0)) {
        memset(&k->metadata, 0, sizeof(k->metadata));
        k->rare = false;
    }
    keep_plain(s, role, at, has, k);
}

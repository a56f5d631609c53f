/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fwpmk.h"
#include "fwpsk.h"

#include "packet_lab.h"

static struct packet_lab *lab_of(void *ctx) /* the host's context is its host_lab */
{
    struct driver_lab *d = (struct driver_lab *)((char *)ctx - offsetof(struct driver_lab, host));

    return (struct packet_lab *)((char *)d - offsetof(struct packet_lab, d));
}

static struct told *note(const struct host_emitted *e, enum host_fate fate)
{
    struct told *t = calloc(1, sizeof(*t));

    assert_non_null(t);
    t->e = *e;
    t->fate = fate;
    t->unchanged = host_emitted_unchanged(e);
    assert_true(e->size <= sizeof(t->bytes) && e->link_size <= sizeof(t->link));
    if (e->size != 0 && e->bytes != NULL)
        memcpy(t->bytes, e->bytes, e->size);
    if (e->link != NULL)
        memcpy(t->link, e->link, e->link_size);
    t->e.bytes = t->bytes;
    t->e.link = e->link != NULL ? t->link : NULL;
    t->e.came = NULL;
    return t;
}

static void on_emit(void *ctx, const struct host_emitted *e)
{
    struct packet_lab *l = lab_of(ctx);

    assert_true(l->emitted_count < LAB_PACKETS);
    l->emitted[l->emitted_count++] = note(e, HOST_PASSED);
}

static void on_lost(void *ctx, const struct host_emitted *e, const struct host_outcome *how)
{
    struct packet_lab *l = lab_of(ctx);

    assert_true(l->lost_count < LAB_PACKETS);
    l->lost[l->lost_count++] = note(e, how->fate);
}

static void on_released(void *ctx, UINT64 frame, bool injected)
{
    struct packet_lab *l = lab_of(ctx);

    assert_true(l->released_count < LAB_PACKETS);
    l->released[l->released_count++] = (struct released){frame, injected};
}

void packet_lab_open(struct packet_lab *l, const struct host_config *config, bool simulated)
{
    const NET_BUFFER_LIST_POOL_PARAMETERS pool = {
        .Header = {NDIS_OBJECT_TYPE_DEFAULT, NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1,
                   NDIS_SIZEOF_NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1},
        .fAllocateNetBuffer = TRUE,
    };
    struct host_config c = {0};

    if (config != NULL)
        c = *config;
    c.emit = on_emit;
    c.lost = on_lost;
    c.released = on_released;
    if (simulated) {
        assert_int_equal(rt_sim_create(&(struct rt_sim_config){.seed = 1, .start_ns = 1}, &l->sim), 0);
        assert_int_equal(rt_sim_enter(l->sim), 0);
    }
    driver_lab_open(&l->d, &c);
    assert_int_equal(FwpsInjectionHandleCreate0(AF_INET, FWPS_INJECTION_TYPE_NETWORK, &l->net4),
                     STATUS_SUCCESS);
    assert_int_equal(FwpsInjectionHandleCreate0(AF_INET6, FWPS_INJECTION_TYPE_NETWORK, &l->net6),
                     STATUS_SUCCESS);
    assert_int_equal(FwpsInjectionHandleCreate0(AF_UNSPEC, FWPS_INJECTION_TYPE_TRANSPORT, &l->transport),
                     STATUS_SUCCESS);
    assert_int_equal(FwpsInjectionHandleCreate0(AF_UNSPEC, FWPS_INJECTION_TYPE_FORWARD, &l->forward),
                     STATUS_SUCCESS);
    assert_int_equal(FwpsInjectionHandleCreate0(AF_UNSPEC, FWPS_INJECTION_TYPE_L2, &l->l2), STATUS_SUCCESS);
    l->pool = NdisAllocateNetBufferListPool(NULL, &pool);
    assert_non_null(l->pool);
}

void packet_lab_settle(struct packet_lab *l)
{
    if (l->sim != NULL)
        rt_sim_settle(l->sim, rt_clock_now(rt_sim_clock(l->sim)));
    else
        host_inject_drain(l->d.host.host);
}

void packet_lab_close(struct packet_lab *l)
{
    packet_lab_settle(l);
    for (unsigned i = 0; i < l->taker_count; i++) {
        for (unsigned n = 0; n < l->takers[i]->taken; n++)
            packet_lab_drop(l, l->takers[i], n);
    }
    assert_int_equal(FwpsInjectionHandleDestroy0(l->net4), STATUS_SUCCESS);
    assert_int_equal(FwpsInjectionHandleDestroy0(l->net6), STATUS_SUCCESS);
    assert_int_equal(FwpsInjectionHandleDestroy0(l->transport), STATUS_SUCCESS);
    assert_int_equal(FwpsInjectionHandleDestroy0(l->forward), STATUS_SUCCESS);
    assert_int_equal(FwpsInjectionHandleDestroy0(l->l2), STATUS_SUCCESS);
    NdisFreeNetBufferListPool(l->pool);
    driver_lab_close(&l->d);
    for (unsigned i = 0; i < l->taker_count; i++)
        free(l->takers[i]);
    for (unsigned i = 0; i < l->emitted_count; i++)
        free(l->emitted[i]);
    for (unsigned i = 0; i < l->lost_count; i++)
        free(l->lost[i]);
    if (l->sim != NULL) {
        rt_sim_leave(l->sim);
        rt_sim_destroy(l->sim);
    }
}

/* ---- lists -----------------------------------------------------------------------------------------------
 */

NET_BUFFER_LIST *packet_lab_own(struct packet_lab *l, const void *bytes, size_t size, size_t back_fill)
{
    uint8_t *copy = malloc(size + back_fill + 1);
    NET_BUFFER_LIST *nbl;
    MDL *mdl;

    assert_non_null(copy);
    memcpy(copy + back_fill, bytes, size);
    mdl = IoAllocateMdl(copy, (ULONG)(size + back_fill), FALSE, FALSE, NULL);
    assert_non_null(mdl);
    MmBuildMdlForNonPagedPool(mdl);
    assert_int_equal(FwpsAllocateNetBufferAndNetBufferList0(l->pool, 0, 0, mdl, (ULONG)back_fill, size, &nbl),
                     STATUS_SUCCESS);
    return nbl;
}

void packet_lab_free(struct packet_lab *l, NET_BUFFER_LIST *nbl)
{
    (void)l;
    if (ndis_nbl_made(nbl) == NDIS_MADE_OWN) {
        MDL *mdl = NET_BUFFER_FIRST_MDL(NET_BUFFER_LIST_FIRST_NB(nbl));
        void *bytes;

        while (mdl->Next != NULL) /* what a header was put in front of */
            mdl = mdl->Next;
        bytes = MmGetMdlVirtualAddress(mdl);
        FwpsFreeNetBufferList0(nbl);
        IoFreeMdl(mdl);
        free(bytes);
    } else {
        FwpsFreeCloneNetBufferList0(nbl, 0);
    }
}

void NTAPI packet_lab_completed(void *context, NET_BUFFER_LIST *nbl, BOOLEAN dispatch)
{
    struct packet_lab *l = context;

    assert_true(l->completed < LAB_PACKETS);
    assert_ptr_equal(rt_current(), api_rt(l->d.context));
    l->statuses[l->completed++] = NET_BUFFER_LIST_STATUS(nbl);
    l->completion_irql = rt_carried()->irql;
    l->completion_dispatch = dispatch;
    l->completion_thread = rt_self();
    if (l->on_complete != NULL)
        l->on_complete(l, nbl);
    else
        packet_lab_free(l, nbl);
}

/* ---- takers
 * ------------------------------------------------------------------------------------------------ */

static bool inbound(const struct driver_lab_call *c)
{
    const struct engine_layer *layer = engine_layer_by_id(c->values->layerId);

    if (c->metadata->currentMetadataValues & FWPS_METADATA_FIELD_PACKET_DIRECTION)
        return c->metadata->packetDirection == FWP_DIRECTION_INBOUND;
    for (UINT32 i = 0; i < layer->field_count; i++)
        if (IsEqualGUID(layer->fields[i].key, &FWPM_CONDITION_DIRECTION))
            return c->values->incomingValue[i].value.uint32 == FWP_DIRECTION_INBOUND;
    return strstr(layer->name, "INBOUND") != NULL || strstr(layer->name, "RECV_ACCEPT") != NULL;
}

/* How far back the IP header stands that the injection wants the list to begin at (INJ-21). */
static ULONG to_ip(const struct driver_lab_call *c, enum host_injection_kind kind)
{
    ULONG size = 0;

    if (kind == HOST_INJECT_MAC_RECEIVE || kind == HOST_INJECT_MAC_SEND) /* to the MAC header: PKT-08 */
        return (c->metadata->currentL2MetadataValues & FWPS_L2_METADATA_FIELD_ETHERNET_MAC_HEADER_SIZE) != 0
                   ? c->metadata->ethernetMacHeaderSize
                   : 0;
    if (kind == HOST_INJECT_TRANSPORT_SEND || !inbound(c))
        return 0;
    if (c->metadata->currentMetadataValues & FWPS_METADATA_FIELD_IP_HEADER_SIZE)
        size += c->metadata->ipHeaderSize;
    if (strstr(engine_layer_by_id(c->values->layerId)->name, "ICMP_ERROR") == NULL && /* PKT-09 */
        c->metadata->currentMetadataValues & FWPS_METADATA_FIELD_TRANSPORT_HEADER_SIZE)
        size += c->metadata->transportHeaderSize;
    return size;
}

static void remote_of(const struct driver_lab_call *c, UCHAR out[16])
{
    const struct engine_layer *layer = engine_layer_by_id(c->values->layerId);

    for (UINT32 i = 0; i < layer->field_count; i++) {
        const FWP_VALUE0 *v = &c->values->incomingValue[i].value;

        if (!IsEqualGUID(layer->fields[i].key, &FWPM_CONDITION_IP_REMOTE_ADDRESS))
            continue;
        if (v->type == FWP_UINT32)
            for (unsigned n = 0; n < 4; n++)
                out[n] = (UCHAR)(v->uint32 >> (24 - 8 * n));
        else if (v->type == FWP_BYTE_ARRAY16_TYPE)
            memcpy(out, v->byteArray16->byteArray16, 16);
    }
}

static NET_BUFFER_LIST *taken(struct taker *t, NET_BUFFER_LIST *packet)
{
    NET_BUFFER_LIST *nbl = NULL;
    uint8_t bytes[2048];
    size_t size;

    switch (t->how) {
    case TAKE_CLONE:
        assert_int_equal(FwpsAllocateCloneNetBufferList0(packet, NULL, NULL, 0, &nbl), STATUS_SUCCESS);
        return nbl;
    case TAKE_DEEP:
        assert_int_equal(FwpsAllocateDeepCloneNetBufferList0(packet, NULL, NULL, &nbl), STATUS_SUCCESS);
        return nbl;
    case TAKE_COPY:
        size = ndis_nb_read(NET_BUFFER_LIST_FIRST_NB(packet), 0, bytes, sizeof(bytes));
        return packet_lab_own(t->lab, bytes, size, 0);
    default:
        FwpsReferenceNetBufferList0(packet, TRUE);
        return packet; /* cloned when it is given */
    }
}

static void classify(struct driver_lab_script *s, const struct driver_lab_call *c)
{
    struct taker *t = s->ctx;
    const unsigned seen = t->seen, n = t->taken;
    FWPS_PACKET_INJECTION_STATE state;
    ULONG back;

    c->out->actionType = FWP_ACTION_PERMIT;
    t->irql = rt_carried()->irql;
    t->metadata = c->metadata->currentMetadataValues;
    if (c->packet == NULL)
        return;
    assert_true(seen < LAB_PACKETS);
    t->seen++;
    t->ip_header_size = c->metadata->ipHeaderSize;
    t->states[seen] = state = FwpsQueryPacketInjectionState0(t->handle, c->packet, &t->contexts[seen]);
    t->again = state == FWPS_PACKET_INJECTED_BY_SELF || state == FWPS_PACKET_PREVIOUSLY_INJECTED_BY_SELF;
    if (t->only_looks || (!t->blind && t->again))
        return;
    assert_true(n < LAB_PACKETS);
    if (t->pends)
        assert_int_equal(FwpsPendOperation0(c->metadata->completionHandle, &t->pended[n]), STATUS_SUCCESS);
    back = to_ip(c, t->kind);
    if (t->how == TAKE_REFERENCE)
        back = 0;
    assert_int_equal(NdisRetreatNetBufferListDataStart(c->packet, back, 0, NULL, NULL), NDIS_STATUS_SUCCESS);
    t->lists[n] = taken(t, c->packet);
    NdisAdvanceNetBufferListDataStart(c->packet, back, FALSE, NULL);
    t->originals[n] = c->packet;
    t->layers[n] = c->values->layerId;
    t->endpoints[n] = (c->metadata->currentMetadataValues & FWPS_METADATA_FIELD_TRANSPORT_ENDPOINT_HANDLE)
                          ? c->metadata->transportEndpointHandle
                          : 0;
    remote_of(c, t->remotes[n]);
    t->taken++;
    c->out->actionType = FWP_ACTION_BLOCK;
    c->out->flags |= FWPS_CLASSIFY_OUT_FLAG_ABSORB;
    c->out->rights &= ~(UINT32)FWPS_RIGHT_ACTION_WRITE;
    if (t->at_once)
        (void)packet_lab_give_only(t->lab, t, n);
}

struct taker *packet_lab_take(struct packet_lab *l, const char *layer, const struct taker *what)
{
    struct taker *t = malloc(sizeof(*t));
    const bool six = strchr(layer, '6') != NULL;

    assert_non_null(t);
    *t = *what;
    t->lab = l;
    if (t->handle == NULL)
        t->handle = t->kind == HOST_INJECT_FORWARD                                          ? l->forward
                    : t->kind == HOST_INJECT_MAC_RECEIVE || t->kind == HOST_INJECT_MAC_SEND ? l->l2
                    : t->kind == HOST_INJECT_TRANSPORT_SEND || t->kind == HOST_INJECT_TRANSPORT_RECEIVE
                        ? l->transport
                    : six ? l->net6
                          : l->net4;
    assert_true(l->taker_count < 16);
    l->takers[l->taker_count++] = t;
    t->script = SCRIPT(&l->d, .then = classify, .ctx = t);
    driver_lab_callout(&l->d, layer, t->script);
    return t;
}

NTSTATUS packet_lab_give_only(struct packet_lab *l, struct taker *t, unsigned n)
{
    NET_BUFFER_LIST *nbl = t->lists[n];
    UINT16 family = AF_INET;
    FWPS_TRANSPORT_SEND_PARAMS0 args = {.remoteAddress = t->remotes[n]};
    HANDLE context = (HANDLE)(uintptr_t)(1000 + n);

    assert_non_null(nbl);
    if (t->how == TAKE_REFERENCE) {
        NET_BUFFER_LIST *clone;

        assert_int_equal(FwpsAllocateCloneNetBufferList0(nbl, NULL, NULL, 0, &clone), STATUS_SUCCESS);
        FwpsDereferenceNetBufferList0(nbl, FALSE);
        nbl = clone;
    }
    if (t->change != NULL)
        t->change(t, nbl);
    if (nbl->NblFlags & NDIS_NBL_FLAGS_IS_IPV6)
        family = AF_INET6;
    t->lists[n] = NULL;
    switch (t->kind) {
    case HOST_INJECT_NETWORK_SEND:
        t->inject_status = FwpsInjectNetworkSendAsync0(t->handle, context, 0, UNSPECIFIED_COMPARTMENT_ID, nbl,
                                                       packet_lab_completed, l);
        break;
    case HOST_INJECT_NETWORK_RECEIVE:
        t->inject_status = FwpsInjectNetworkReceiveAsync0(t->handle, context, 0, UNSPECIFIED_COMPARTMENT_ID,
                                                          1, 0, nbl, packet_lab_completed, l);
        break;
    case HOST_INJECT_TRANSPORT_SEND:
        t->inject_status =
            FwpsInjectTransportSendAsync0(t->handle, context, t->endpoints[n], 0, &args, family,
                                          UNSPECIFIED_COMPARTMENT_ID, nbl, packet_lab_completed, l);
        break;
    case HOST_INJECT_TRANSPORT_RECEIVE:
        t->inject_status =
            FwpsInjectTransportReceiveAsync0(t->handle, context, NULL, 0, family, UNSPECIFIED_COMPARTMENT_ID,
                                             1, 0, nbl, packet_lab_completed, l);
        break;
    case HOST_INJECT_MAC_RECEIVE:
        t->inject_status = FwpsInjectMacReceiveAsync0(t->handle, context, 0, t->layers[n], 1, 0, nbl,
                                                      packet_lab_completed, l);
        break;
    case HOST_INJECT_MAC_SEND:
        t->inject_status =
            FwpsInjectMacSendAsync0(t->handle, context, 0, t->layers[n], 1, 0, nbl, packet_lab_completed, l);
        break;
    default:
        t->inject_status = FwpsInjectForwardAsync0(t->handle, context, 0, family, UNSPECIFIED_COMPARTMENT_ID,
                                                   1, nbl, packet_lab_completed, l);
        break;
    }
    if (t->inject_status == STATUS_SUCCESS)
        t->given++;
    else
        packet_lab_free(l, nbl);
    return t->inject_status;
}

NTSTATUS packet_lab_give(struct packet_lab *l, struct taker *t, unsigned n)
{
    const NTSTATUS status = packet_lab_give_only(l, t, n);

    packet_lab_settle(l);
    return status;
}

void packet_lab_drop(struct packet_lab *l, struct taker *t, unsigned n)
{
    NET_BUFFER_LIST *nbl = t->lists[n];

    t->lists[n] = NULL;
    if (nbl == NULL)
        return;
    if (t->how == TAKE_REFERENCE)
        FwpsDereferenceNetBufferList0(nbl, FALSE);
    else
        packet_lab_free(l, nbl);
}

/* ---- fixtures */

static int begin(void **state, bool simulated)
{
    struct packet_lab *l = calloc(1, sizeof(*l));

    assert_non_null(l);
    packet_lab_open(l, NULL, simulated);
    *state = l;
    return 0;
}

int packet_lab_real(void **state)
{
    return begin(state, false);
}

int packet_lab_simulated(void **state)
{
    return begin(state, true);
}

int packet_lab_end(void **state)
{
    packet_lab_close(*state);
    free(*state);
    return 0;
}

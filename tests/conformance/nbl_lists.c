/* SPDX-License-Identifier: Apache-2.0 */
/* Section 10: who owns a list, what a clone shares, headers and tags (NBL). */
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
#include "wire/wire.h"

#define UDP_IN .sport = 5353, .dport = 53, .data = "question"

static NET_BUFFER *nb_of(NET_BUFFER_LIST *nbl)
{
    return NET_BUFFER_LIST_FIRST_NB(nbl);
}

/* ---- NBL-01, 03, 05 --------------------------------------------------------------------------------------
 */

static void NBL_01_a_list_is_the_stacks_unless_it_is_referenced(void **state)
{
    struct packet_lab *l = *state;
    struct taker *t = packet_lab_take(l, "DD", &(struct taker){.how = TAKE_REFERENCE});
    uint8_t data[8];

    LAB_IN(&l->d.host, UDP_IN);
    assert_true(l->d.host.outcome.kept);
    memset(l->d.host.bytes, 0xee, sizeof(l->d.host.bytes)); /* the capture's bytes are gone */
    LAB_IN(&l->d.host, .sport = 1, .dport = 2, .data = "another");
    assert_int_equal(ndis_nbl_made(t->lists[0]), NDIS_MADE_FRAME);
    assert_int_equal(ndis_nb_read(nb_of(t->lists[0]), 0, data, 8), 8);
    assert_memory_equal(data, "question", 8);
    assert_ptr_not_equal(t->lists[0], t->lists[1]);
    assert_int_equal(l->released_count, 0);
    packet_lab_drop(l, t, 0);
    assert_int_equal(l->released_count, 1);
    assert_false(l->released[0].injected);
    t->only_looks = true;
    LAB_IN(&l->d.host, UDP_IN);
    assert_false(l->d.host.outcome.kept); /* whoever only looks keeps nothing */
    assert_int_equal(l->released_count, 1);
}

static void reference_twice(struct driver_lab_script *s, const struct driver_lab_call *c)
{
    bool *meant = s->ctx;

    c->out->actionType = FWP_ACTION_PERMIT;
    FwpsReferenceNetBufferList0(c->packet, FALSE);
    meant[0] = ndis_nbl_meant_to_modify(c->packet);
    FwpsReferenceNetBufferList0(c->packet, TRUE);
    meant[1] = ndis_nbl_meant_to_modify(c->packet);
    FwpsDereferenceNetBufferList0(c->packet, TRUE);
    FwpsDereferenceNetBufferList0(c->packet, TRUE);
}

static void NBL_03_a_reference_says_whether_a_clone_will_be_changed(void **state)
{
    struct packet_lab *l = *state;
    bool meant[2] = {true, false};

    driver_lab_callout(&l->d, "DD", SCRIPT(&l->d, .then = reference_twice, .ctx = meant));
    LAB_IN(&l->d.host, UDP_IN);
    assert_false(meant[0]);
    assert_true(meant[1]);
    assert_false(l->d.host.outcome.kept);
}

static void NBL_05_a_clone_keeps_its_parent(void **state)
{
    struct packet_lab *l = *state;
    struct taker *t = packet_lab_take(l, "DD", &(struct taker){.how = TAKE_REFERENCE});
    NET_BUFFER_LIST *original, *clone;
    uint8_t data[8];

    LAB_IN(&l->d.host, UDP_IN);
    original = t->lists[0];
    t->lists[0] = NULL;
    assert_int_equal(FwpsAllocateCloneNetBufferList0(original, NULL, NULL, 0, &clone), STATUS_SUCCESS);
    assert_ptr_equal(clone->ParentNetBufferList, original);
    assert_int_equal(original->ChildRefCount, 1);
    FwpsDereferenceNetBufferList0(original, FALSE);
    assert_int_equal(l->released_count, 0);
    LAB_OUT(&l->d.host, .sport = 1, .dport = 2, .data = "something else entirely");
    assert_int_equal(ndis_nbl_made(original), NDIS_MADE_FRAME);
    assert_int_equal(ndis_nb_read(nb_of(clone), 0, data, 8), 8);
    assert_memory_equal(data, "question", 8);
    FwpsFreeCloneNetBufferList0(clone, 0);
    assert_int_equal(l->released_count, 1);
    for (unsigned i = 0; i < LEDGER_FAULTS; i++)
        assert_int_equal(l->d.found[i], 0);
    t->taken = 2;
}

/* ---- NBL-06, 11 -------------------------------------------------------------------------------------------
 */

struct copies {
    bool deep;
    unsigned calls;
};

static void clone_it(struct driver_lab_script *s, const struct driver_lab_call *c)
{
    struct copies *x = s->ctx;
    NET_BUFFER_LIST *clone = NULL;
    NET_BUFFER *from = nb_of(c->packet), *nb;
    const LONG children = c->packet->ChildRefCount;
    uint8_t was[8], data[8];

    c->out->actionType = FWP_ACTION_PERMIT;
    x->calls++;
    if (!x->deep) {
        assert_int_equal(FwpsAllocateCloneNetBufferList0(c->packet, NULL, NULL, 1, &clone),
                         STATUS_INVALID_PARAMETER);
        assert_null(clone);
        assert_int_equal(FwpsAllocateCloneNetBufferList0(NULL, NULL, NULL, 0, &clone),
                         STATUS_FWP_NULL_POINTER);
        assert_int_equal(FwpsAllocateCloneNetBufferList0(c->packet, NULL, NULL, 0, &clone), STATUS_SUCCESS);
        assert_null(clone->Context);
    } else {
        assert_int_equal(FwpsAllocateDeepCloneNetBufferList0(c->packet, NULL, NULL, &clone), STATUS_SUCCESS);
        assert_non_null(clone->Context);
    }
    nb = nb_of(clone);
    assert_int_equal(c->packet->ChildRefCount, children + 1);
    assert_ptr_equal(clone->ParentNetBufferList, c->packet);
    assert_int_equal(NET_BUFFER_DATA_LENGTH(nb), NET_BUFFER_DATA_LENGTH(from));
    assert_int_equal(ndis_nb_read(nb, 0, data, 8), 8);
    assert_memory_equal(data, "question", 8);
    assert_int_equal(NET_BUFFER_DATA_OFFSET(nb), 0); /* the clone begins where the used data does */
    ndis_nb_read(from, 0, was, 8);
    assert_int_equal(ndis_nb_write(nb, 0, "Q", 1), 1);
    ndis_nb_read(from, 0, data, 8);
    assert_int_equal(memcmp(was, data, 8) == 0, x->deep); /* shared, or not */
    ndis_nb_write(from, 0, "q", 1);
    if (!x->deep)
        assert_ptr_equal(NdisGetDataBuffer(nb, 8, NULL, 1, 0), NdisGetDataBuffer(from, 8, NULL, 1, 0));
    FwpsFreeCloneNetBufferList0(clone, 0);
    assert_int_equal(c->packet->ChildRefCount, children);
}

static void NBL_06_a_clone_shares_the_data(void **state)
{
    struct packet_lab *l = *state;
    struct copies x = {.deep = false};

    driver_lab_callout(&l->d, "DD", SCRIPT(&l->d, .then = clone_it, .ctx = &x));
    LAB_IN(&l->d.host, UDP_IN);
    assert_int_equal(x.calls, 1);
    assert_false(l->d.host.outcome.kept);
    assert_null(l->d.host.outcome.changed);
}

static void NBL_11_a_deep_clone_has_its_own(void **state)
{
    struct packet_lab *l = *state;
    struct copies x = {.deep = true};

    driver_lab_callout(&l->d, "DD", SCRIPT(&l->d, .then = clone_it, .ctx = &x));
    LAB_IN(&l->d.host, UDP_IN);
    assert_int_equal(x.calls, 1);
    for (unsigned i = 0; i < LEDGER_FAULTS; i++)
        assert_int_equal(l->d.found[i], 0);
}

static void NBL_11_a_deep_clone_keeps_its_parent_too(void **state)
{
    struct packet_lab *l = *state;
    struct taker *t =
        packet_lab_take(l, "DD", &(struct taker){.how = TAKE_DEEP, .kind = HOST_INJECT_TRANSPORT_RECEIVE});

    LAB_IN(&l->d.host, UDP_IN);
    assert_true(l->d.host.outcome.kept);
    assert_int_equal(packet_lab_give(l, t, 0), STATUS_SUCCESS);
    assert_int_equal(l->emitted_count, 1);
    assert_true(l->emitted[0]->unchanged);
    assert_int_equal(l->released_count, 1);
}

/* A frame that is changed under the callouts' hands and permitted goes on as it is now. */
static void change_in_place(struct driver_lab_script *s, const struct driver_lab_call *c)
{
    (void)s;
    c->out->actionType = FWP_ACTION_PERMIT;
    ndis_nb_write(nb_of(c->packet), 0, "Q", 1);
}

static void NBL_01_what_is_changed_in_place_and_permitted_takes_effect(void **state)
{
    struct packet_lab *l = *state;

    driver_lab_callout(&l->d, "DD", SCRIPT(&l->d, .then = change_in_place));
    LAB_IN(&l->d.host, UDP_IN);
    assert_int_equal(l->d.host.outcome.fate, HOST_PASSED);
    assert_non_null(l->d.host.outcome.changed);
    assert_memory_equal(l->d.host.outcome.changed, l->d.host.bytes, 42);
    assert_memory_equal(l->d.host.outcome.changed + 42, "Question", 8);
    assert_memory_equal(l->d.host.bytes + 42, "question", 8); /* the capture's own are not touched */
}

/* ---- NBL-12
 * ------------------------------------------------------------------------------------------------ */

static NDIS_HANDLE a_pool(bool with_buffer, ULONG data)
{
    const NET_BUFFER_LIST_POOL_PARAMETERS p = {
        .Header = {NDIS_OBJECT_TYPE_DEFAULT, NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1,
                   NDIS_SIZEOF_NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1},
        .fAllocateNetBuffer = with_buffer,
        .DataSize = data,
    };
    NDIS_HANDLE pool = NdisAllocateNetBufferListPool(NULL, &p);

    assert_non_null(pool);
    return pool;
}

static void NBL_12_a_list_of_ones_own(void **state)
{
    struct packet_lab *l = *state;

    NDIS_HANDLE bare = a_pool(false, 0), data = a_pool(true, 64);
    static uint8_t bytes[100];
    MDL *mdl = IoAllocateMdl(bytes, sizeof(bytes), FALSE, FALSE, NULL);
    NET_BUFFER_LIST *nbl = NULL;

    assert_non_null(mdl);
    MmBuildMdlForNonPagedPool(mdl);
    assert_int_equal(FwpsAllocateNetBufferAndNetBufferList0(bare, 0, 0, mdl, 0, 100, &nbl),
                     STATUS_INVALID_PARAMETER);
    assert_int_equal(FwpsAllocateNetBufferAndNetBufferList0(data, 0, 0, mdl, 0, 100, &nbl),
                     STATUS_INVALID_PARAMETER);
    assert_int_equal(FwpsAllocateNetBufferAndNetBufferList0(NULL, 0, 0, mdl, 0, 100, &nbl),
                     STATUS_INVALID_PARAMETER);
    assert_int_equal(FwpsAllocateNetBufferAndNetBufferList0(l->pool, 8, 0, mdl, 0, 100, &nbl),
                     STATUS_INVALID_PARAMETER);
    assert_int_equal(FwpsAllocateNetBufferAndNetBufferList0(l->pool, 0, 8, mdl, 0, 100, &nbl),
                     STATUS_INVALID_PARAMETER);
    assert_null(nbl);
    assert_int_equal(FwpsAllocateNetBufferAndNetBufferList0(l->pool, 32, 16, mdl, 20, 80, &nbl),
                     STATUS_SUCCESS);
    assert_int_equal(nbl->Context->Offset, 16);
    assert_int_equal(nbl->Context->Size, 48);
    memset(NET_BUFFER_LIST_CONTEXT_DATA_START(nbl), 0x55, 32);
    assert_ptr_equal(NET_BUFFER_FIRST_MDL(nb_of(nbl)), mdl);
    assert_int_equal(NET_BUFFER_DATA_OFFSET(nb_of(nbl)), 20);
    assert_int_equal(NET_BUFFER_DATA_LENGTH(nb_of(nbl)), 80);
    assert_null(nbl->ParentNetBufferList);
    FwpsFreeNetBufferList0(nbl);
    assert_int_equal(MmGetMdlByteCount(mdl), 100); /* it stays the driver's */
    IoFreeMdl(mdl);
    NdisFreeNetBufferListPool(bare);
    NdisFreeNetBufferListPool(data);
    for (unsigned i = 0; i < LEDGER_FAULTS; i++)
        assert_int_equal(l->d.found[i], 0);
}

/* ---- NBL-17
 * ------------------------------------------------------------------------------------------------ */

static const UCHAR from4[4] = {192, 0, 2, 1}, to4[4] = {192, 0, 2, 2};
static const UCHAR from6[16] = {0x20, 1, 0xd, 0xb8, [15] = 1}, to6[16] = {0x20, 1, 0xd, 0xb8, [15] = 2};

static void assert_header(NET_BUFFER *nb, const UCHAR *from, const UCHAR *to, uint8_t version,
                          uint8_t protocol)
{
    static uint8_t bytes[2048];
    size_t size = ndis_nb_read(nb, 0, bytes, sizeof(bytes));
    struct wire_packet p;

    wire_parse_ip(bytes, (uint32_t)size, (uint32_t)size, &p);
    assert_int_equal(p.fault, WIRE_OK);
    assert_int_equal(p.reached, WIRE_TRANSPORT);
    assert_int_equal(p.version, version);
    assert_int_equal(p.protocol, protocol);
    assert_false(p.ip_checksum_wrong);
    assert_true(wire_verify(&p));
    assert_int_equal(p.ip_length, size);
    assert_memory_equal(bytes + (version == 4 ? 12 : 8), from, version == 4 ? 4 : 16);
    assert_memory_equal(bytes + (version == 4 ? 16 : 24), to, version == 4 ? 4 : 16);
}

static void NBL_17_a_header_is_put_before_each_transport_packet(void **state)
{
    struct packet_lab *l = *state;

    for (int six = 0; six < 2; six++) {
        uint8_t frame[256];
        size_t size = PACKET(frame, .link = PACKET_RAW, .src = "10.0.0.1", .dst = "10.0.0.2", .sport = 9,
                             .dport = 9, .data = "odd", .bad = PACKET_BAD_SUM);
        NET_BUFFER_LIST *nbl =
            packet_lab_own(l, frame + 20, size - 20, six ? 100 : 0); /* with and without room */
        NDIS_TCP_IP_CHECKSUM_NET_BUFFER_LIST_INFO info = {.Value = NULL};

        info.Transmit.UdpChecksum = 1;
        NET_BUFFER_LIST_INFO(nbl, TcpIpChecksumNetBufferListInfo) = info.Value;
        NET_BUFFER_LIST_INFO(nbl, TcpLargeSendNetBufferListInfo) = (PVOID)1;
        assert_int_equal(FwpsConstructIpHeaderForTransportPacket0(
                             nbl, 0, six ? AF_INET6 : AF_INET, six ? from6 : from4, six ? to6 : to4,
                             (IPPROTO)WIRE_PROTOCOL_UDP, 0, NULL, 0, 0, NULL, 0, 0),
                         STATUS_SUCCESS);
        assert_int_equal(NET_BUFFER_DATA_LENGTH(nb_of(nbl)), size - 20 + (six ? 40 : 20));
        assert_header(nb_of(nbl), six ? from6 : from4, six ? to6 : to4, six ? 6 : 4, WIRE_PROTOCOL_UDP);
        assert_null(NET_BUFFER_LIST_INFO(nbl, TcpIpChecksumNetBufferListInfo));
        assert_null(NET_BUFFER_LIST_INFO(nbl, TcpLargeSendNetBufferListInfo));
        packet_lab_free(l, nbl);
    }
}

static void NBL_17_a_header_is_rebuilt_with_its_options_and_without_extensions(void **state)
{
    struct packet_lab *l = *state;
    static const uint8_t options[4] = {1, 1, 1, 0};
    struct packet p4 = {.link = PACKET_RAW,
                        .src = "10.0.0.1",
                        .dst = "10.0.0.2",
                        .protocol = WIRE_PROTOCOL_TCP,
                        .tcp_flags = WIRE_TCP_ACK,
                        .ip_options = options,
                        .ip_options_size = 4,
                        .ttl = 9,
                        .id = 77,
                        .data = "payload"};
    struct packet p6 = {.link = PACKET_RAW,
                        .src = "fd00::1",
                        .dst = "fd00::2",
                        .sport = 1,
                        .dport = 2,
                        .ttl = 11,
                        .extensions = {{.type = 60}},
                        .extension_count = 1,
                        .data = "payload"};
    uint8_t frame[512], out[4];
    size_t size = packet_build(&p4, frame, sizeof(frame));
    NET_BUFFER_LIST *nbl = packet_lab_own(l, frame, size, 0);

    assert_int_equal(FwpsConstructIpHeaderForTransportPacket0(
                         nbl, 24, AF_INET, from4, to4, (IPPROTO)WIRE_PROTOCOL_TCP, 0, NULL, 0, 0, NULL, 0, 0),
                     STATUS_SUCCESS);
    assert_int_equal(NET_BUFFER_DATA_LENGTH(nb_of(nbl)), size);
    assert_header(nb_of(nbl), from4, to4, 4, WIRE_PROTOCOL_TCP);
    ndis_nb_read(nb_of(nbl), 20, out, 4);
    assert_memory_equal(out, options, 4);
    ndis_nb_read(nb_of(nbl), 8, out, 1);
    assert_int_equal(out[0], 9);
    packet_lab_free(l, nbl);
    size = packet_build(&p6, frame, sizeof(frame));
    nbl = packet_lab_own(l, frame, size, 0);
    assert_int_equal(FwpsConstructIpHeaderForTransportPacket0(nbl, 48, AF_INET6, from6, to6,
                                                              (IPPROTO)WIRE_PROTOCOL_UDP, 0, NULL, 0, 0, NULL,
                                                              0, 0),
                     STATUS_SUCCESS);
    assert_int_equal(NET_BUFFER_DATA_LENGTH(nb_of(nbl)), size - 8);
    assert_header(nb_of(nbl), from6, to6, 6, WIRE_PROTOCOL_UDP);
    packet_lab_free(l, nbl);
}

static void NBL_17_a_header_is_rebuilt_for_exactly_one_buffer(void **state)
{
    struct packet_lab *l = *state;

    uint8_t frame[128];
    size_t size =
        PACKET(frame, .link = PACKET_RAW, .src = "10.0.0.1", .dst = "10.0.0.2", .sport = 9, .dport = 9);
    NET_BUFFER_LIST *nbl = packet_lab_own(l, frame, size, 0), *other = packet_lab_own(l, frame, size, 0);

    nb_of(nbl)->Next = nb_of(other);
    assert_int_equal(FwpsConstructIpHeaderForTransportPacket0(
                         nbl, 20, AF_INET, from4, to4, (IPPROTO)WIRE_PROTOCOL_UDP, 0, NULL, 0, 0, NULL, 0, 0),
                     STATUS_INVALID_PARAMETER);
    nb_of(nbl)->Next = NULL;
    assert_int_equal(FwpsConstructIpHeaderForTransportPacket0(nbl, 20, AF_INET6, from6, to6,
                                                              (IPPROTO)WIRE_PROTOCOL_UDP, 0, NULL, 0, 0, NULL,
                                                              0, 0),
                     STATUS_INVALID_PARAMETER); /* it is no IPv6 header */
    assert_int_equal(FwpsConstructIpHeaderForTransportPacket0(
                         nbl, 20, AF_INET, from4, to4, (IPPROTO)WIRE_PROTOCOL_UDP, 0, NULL, 0, 0, nbl, 0, 0),
                     STATUS_INVALID_PARAMETER);
    assert_int_equal(FwpsConstructIpHeaderForTransportPacket0(
                         nbl, 20, AF_INET, NULL, to4, (IPPROTO)WIRE_PROTOCOL_UDP, 0, NULL, 0, 0, NULL, 0, 0),
                     STATUS_FWP_NULL_POINTER);
    packet_lab_free(l, nbl);
    packet_lab_free(l, other);
}

/* ---- NBL-21
 * ------------------------------------------------------------------------------------------------ */

static struct {
    char text[64];
    UINT64 context, tag;
    NET_BUFFER_LIST *other;
} told;

static NTSTATUS NTAPI notified(FWPS_NET_BUFFER_LIST_EVENT_TYPE0 type, NET_BUFFER_LIST *nbl,
                               NET_BUFFER_LIST *other, UINT16 layer, UINT64 context, UINT64 tag)
{
    static const char *const names[] = {"entered ", "cloned ", "api ", "duplicated ", "exit ", "removed "};

    (void)nbl;
    (void)layer;
    assert_true((unsigned)type < sizeof(names) / sizeof(*names));
    strcat(told.text, names[type]);
    told.context = context;
    told.tag = tag;
    told.other = other;
    return STATUS_SUCCESS;
}

static void tag_it(struct driver_lab_script *s, const struct driver_lab_call *c)
{
    const UINT64 *tag = s->ctx;
    UINT64 found = 0;

    c->out->actionType = FWP_ACTION_PERMIT;
    if (FwpsNetBufferListRetrieveContext0(c->packet, *tag, FALSE, 0, &found) == STATUS_SUCCESS) {
        assert_int_equal(found, 4711); /* it came again with its tag */
        return;
    }
    assert_int_equal(FwpsNetBufferListAssociateContext1(c->packet, FWPS_LAYER_STREAM_V4, 4711, *tag, NULL,
                                                        NULL, notified, 0),
                     STATUS_FWP_INCOMPATIBLE_LAYER);
    assert_int_equal(FwpsNetBufferListAssociateContext1(c->packet, c->values->layerId, 4711, *tag, NULL, NULL,
                                                        notified, 0),
                     STATUS_SUCCESS);
    assert_int_equal(
        FwpsNetBufferListAssociateContext1(c->packet, c->values->layerId, 1, *tag, NULL, NULL, notified, 0),
        STATUS_FWP_ALREADY_EXISTS);
}

static void NBL_21_a_tag_follows_its_packet(void **state)
{
    struct packet_lab *l = *state;

    UINT64 tag = FwpsNetBufferListGetTagForContext0(), found;
    struct taker *t = packet_lab_take(l, "DD", &(struct taker){.kind = HOST_INJECT_TRANSPORT_RECEIVE});

    assert_true(tag != 0 && tag != FwpsNetBufferListGetTagForContext0());
    memset(&told, 0, sizeof(told));
    driver_lab_callout(&l->d, "IT", SCRIPT(&l->d, .then = tag_it, .ctx = &tag));
    LAB_IN(&l->d.host, UDP_IN);
    assert_string_equal(told.text, "api ");
    assert_int_equal(told.context, 4711);
    assert_int_equal(told.tag, tag);
    assert_ptr_equal(told.other, t->lists[0]);
    assert_int_equal(FwpsNetBufferListRetrieveContext0(t->lists[0], tag, FALSE, 0, &found), STATUS_SUCCESS);
    assert_int_equal(found, 4711);
    assert_int_equal(packet_lab_give(l, t, 0), STATUS_SUCCESS);
    assert_string_equal(told.text, "api entered exit ");
}

static void NBL_21_a_tag_can_be_taken_away(void **state)
{
    struct packet_lab *l = *state;

    UINT64 tag = FwpsNetBufferListGetTagForContext0(), found = 0;
    struct taker *t = packet_lab_take(l, "DD", &(struct taker){.how = TAKE_REFERENCE});

    memset(&told, 0, sizeof(told));
    LAB_IN(&l->d.host, UDP_IN);
    assert_int_equal(FwpsNetBufferListAssociateContext1(t->lists[0], FWPS_LAYER_DATAGRAM_DATA_V4, 5, tag,
                                                        NULL, NULL, notified, 0),
                     STATUS_SUCCESS);
    assert_int_equal(FwpsNetBufferListRemoveContext0(t->lists[0], tag, 0), STATUS_SUCCESS);
    assert_string_equal(told.text, "removed ");
    assert_int_equal(FwpsNetBufferListRetrieveContext0(t->lists[0], tag, TRUE, 0, &found), STATUS_NOT_FOUND);
    assert_int_equal(FwpsNetBufferListAssociateContext1(t->lists[0], FWPS_LAYER_DATAGRAM_DATA_V4, 6, tag,
                                                        NULL, NULL, notified, 0),
                     STATUS_SUCCESS);
    assert_int_equal(FwpsNetBufferListRetrieveContext0(t->lists[0], tag, TRUE, 0, &found), STATUS_SUCCESS);
    assert_int_equal(found, 6);
    assert_int_equal(FwpsNetBufferListRetrieveContext0(t->lists[0], tag, TRUE, 0, &found), STATUS_NOT_FOUND);
}

static void NBL_21_an_outbound_packet_leaves_its_tags(void **state)
{
    struct packet_lab *l = *state;

    UINT64 tag = FwpsNetBufferListGetTagForContext0();

    memset(&told, 0, sizeof(told));
    driver_lab_callout(&l->d, "OT", SCRIPT(&l->d, .then = tag_it, .ctx = &tag));
    LAB_OUT(&l->d.host, UDP_IN);
    assert_string_equal(told.text, "exit removed ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(NBL_01_a_list_is_the_stacks_unless_it_is_referenced),
        ON_BOTH(NBL_01_what_is_changed_in_place_and_permitted_takes_effect),
        ON_BOTH(NBL_03_a_reference_says_whether_a_clone_will_be_changed),
        ON_BOTH(NBL_05_a_clone_keeps_its_parent),
        ON_BOTH(NBL_06_a_clone_shares_the_data),
        ON_BOTH(NBL_11_a_deep_clone_has_its_own),
        ON_BOTH(NBL_11_a_deep_clone_keeps_its_parent_too),
        ON_BOTH(NBL_12_a_list_of_ones_own),
        ON_BOTH(NBL_17_a_header_is_put_before_each_transport_packet),
        ON_BOTH(NBL_17_a_header_is_rebuilt_with_its_options_and_without_extensions),
        ON_BOTH(NBL_17_a_header_is_rebuilt_for_exactly_one_buffer),
        ON_BOTH(NBL_21_a_tag_follows_its_packet),
        ON_BOTH(NBL_21_a_tag_can_be_taken_away),
        ON_BOTH(NBL_21_an_outbound_packet_leaves_its_tags),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Section 16 at the MAC layers: which frames are seen there and where on their way (OTH-04), the flags (OTH-05), the
 * metadata (OTH-06); and that nothing is said to be secured where there is no IPsec (OTH-15, INJ-27). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fwpmk.h"
#include "fwpsk.h"

#include "packet_lab.h"
#include "policy/policy.h"
#include "wire/wire.h"

static const uint8_t our_mac[6] = {2, 0, 0, 0, 0, 1};

static int begin(void **state)
{
    const struct host_config config = {.knobs.l2_layers = true};
    struct packet_lab *l = calloc(1, sizeof(*l));

    assert_non_null(l);
    packet_lab_open(l, &config, false);
    l->d.host.l2 = true;
    *state = l;
    return 0;
}

/* ---- OTH-04 ------------------------------------------------------------------------------------------------ */

/* How often a layer was met. */
static unsigned times(const struct host_lab *l, UINT16 layer)
{
    unsigned n = 0;

    for (unsigned i = 0; i < l->event_count; i++)
        n += l->events[i].layer_id == layer;
    return n;
}

static void assert_met(const struct host_lab *l, bool in, unsigned often)
{
    assert_int_equal(times(l, FWPS_LAYER_INBOUND_MAC_FRAME_NATIVE), in ? often : 0);
    assert_int_equal(times(l, FWPS_LAYER_INBOUND_MAC_FRAME_ETHERNET), in ? often : 0);
    assert_int_equal(times(l, FWPS_LAYER_OUTBOUND_MAC_FRAME_NATIVE), in ? 0 : often);
    assert_int_equal(times(l, FWPS_LAYER_OUTBOUND_MAC_FRAME_ETHERNET), in ? 0 : often);
}

static void OTH_04_every_frame_is_seen_once(void **state)
{
    struct host_lab *l = &((struct packet_lab *)*state)->d.host;
    const struct packet frames[] = {
        {.ether_type = 0x0806, .no_transport = true, .data = "an ARP request"},
        {.ether_type = 0x88cc, .no_transport = true, .data = "LLDP"},
        {.snap = true, .dport = 53},
        {.vlan = 5, .dport = 53},
        {.dport = 53, .bad = PACKET_BAD_IP_SUM},
        {.dport = 53, .header_words = 3},
        {.dport = 53, .ip_length = 9},
        {.dport = 53, .udp_length = 3},
        {.dport = 53, .bad = PACKET_BAD_SUM},
        {.src = "10.0.0.2", .dst = "192.0.2.1", .mac_dst = our_mac, .fill = 8}, /* forwarded */
        {.src = "10.0.0.2", .dst = "192.0.2.1", .mac_dst = our_mac, .ttl = 1, .fill = 8},
        {.src = "10.0.0.2",
         .dst = "10.0.0.77",
         .mac_dst = (const uint8_t *)"\2\0\0\0\0\7",
         .fill = 8}, /* overheard */
        {.dst = "224.0.0.1", .src = "10.0.0.2", .dport = 5353, .fill = 8},
        {.src = "fd00::2", .dst = "fd00::1", .dport = 53, .fill = 8},
        {.dport = 53, .offset = 4000, .more = true, .fill = 12}, /* a fragment that cannot be one */
    };

    for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
        host_lab_packet(l, HOST_WAY_IN, &frames[i]);
        if (times(l, FWPS_LAYER_INBOUND_MAC_FRAME_ETHERNET) != 1)
            fail_msg("frame %zu: %s", i, l->seen);
        assert_met(l, true, 1);
        /* First of all that a frame causes, but for what its program did before it. */
        if (strstr(l->seen, "II") != NULL)
            assert_true(strstr(l->seen, "MAC_IN") < strstr(l->seen, "II"));
    }
}

static void OTH_04_every_sent_frame_is_seen_once(void **state)
{
    struct host_lab *l = &((struct packet_lab *)*state)->d.host;
    const struct packet frames[] = {
        {.ether_type = 0x0806, .no_transport = true, .data = "an ARP answer"},
        {.sport = 53, .dport = 5353},
        {.sport = 53, .dport = 5353, .header_words = 3},
        {.src = "fd00::1", .dst = "fd00::2", .sport = 53, .dport = 5353},
        /* on its way through, as the outgoing adapter shows it */
        {.src = "10.9.0.1",
         .dst = "10.0.0.2",
         .mac_src = our_mac,
         .mac_dst = (const uint8_t *)"\2\0\0\0\0\2",
         .fill = 8},
    };

    for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
        host_lab_packet(l, HOST_WAY_OUT, &frames[i]);
        if (times(l, FWPS_LAYER_OUTBOUND_MAC_FRAME_ETHERNET) != 1)
            fail_msg("frame %zu: %s", i, l->seen);
        assert_met(l, false, 1);
        assert_non_null(strstr(l->seen, "MAC_OUT MAC_OUT_NATIVE"));
        assert_string_equal(strstr(l->seen, "MAC_OUT_NATIVE"), "MAC_OUT_NATIVE"); /* last of all */
    }
}

static void OTH_04_before_reassembly_and_behind_fragmentation(void **state)
{
    struct host_lab *l = &((struct packet_lab *)*state)->d.host;
    const struct packet in = {
        .sport = 5353, .dport = 53, .fill = 100, .id = 7, .src = "10.0.0.2", .dst = "10.0.0.1"};
    const struct packet out = {
        .sport = 53, .dport = 5353, .fill = 100, .id = 8, .src = "10.0.0.1", .dst = "10.0.0.2"};
    struct packet_frame frames[2];

    assert_int_equal(packet_fragments(&in, 64, frames, 2), 2);
    for (unsigned i = 0; i < 2; i++) {
        host_lab_piece(l, HOST_WAY_IN, frames, 2, i);
        assert_met(l, true, 1);
    }
    assert_non_null(strstr(l->seen, "MAC_IN_NATIVE MAC_IN II II(FRAGMENT)"));
    assert_non_null(strstr(l->seen, "II(REASSEMBLED)"));
    assert_int_equal(packet_fragments(&out, 64, frames, 2), 2);
    for (unsigned i = 0; i < 2; i++) {
        host_lab_piece(l, HOST_WAY_OUT, frames, 2, i);
        assert_met(l, false, 1);
        assert_int_equal(times(l, FWPS_LAYER_OUTBOUND_IPPACKET_V4), i == 0); /* the datagram, once */
    }
}

/* ---- OTH-05, 06 -------------------------------------------------------------------------------------------- */

struct seen {
    UINT32 flags, l2, l2_flags, metadata, header;
    UINT16 vlan, ether_type;
    unsigned calls;
};

static void look(struct driver_lab_script *s, const struct driver_lab_call *c)
{
    const struct engine_layer *layer = engine_layer_by_id(c->values->layerId);
    struct seen *seen = s->ctx;
    int at;

    c->out->actionType = FWP_ACTION_PERMIT;
    seen->calls++;
    seen->flags = c->values->incomingValue[engine_layer_field(layer, &FWPM_CONDITION_L2_FLAGS)].value.uint32;
    seen->l2 = c->metadata->currentL2MetadataValues;
    seen->l2_flags = c->metadata->l2Flags;
    seen->metadata = c->metadata->currentMetadataValues;
    seen->header = c->metadata->ethernetMacHeaderSize;
    at = engine_layer_field(layer, &FWPM_CONDITION_VLAN_ID);
    seen->vlan = at >= 0 ? c->values->incomingValue[at].value.uint16 : 0;
    at = engine_layer_field(layer, &FWPM_CONDITION_ETHER_TYPE);
    seen->ether_type = at >= 0 ? c->values->incomingValue[at].value.uint16 : 0;
}

static struct seen *watch(struct packet_lab *l, const char *layer, struct seen *seen)
{
    driver_lab_callout(&l->d, layer, SCRIPT(&l->d, .then = look, .ctx = seen));
    return seen;
}

#define CONNECTOR FWP_CONDITION_L2_IF_CONNECTOR_PRESENT

static void OTH_05_flags_say_what_the_frame_is_and_came_by(void **state)
{
    static const struct {
        UINT32 type, flags;
    } types[] = {
        {6, FWP_CONDITION_L2_IS_NATIVE_ETHERNET | CONNECTOR},
        {71, FWP_CONDITION_L2_IS_WIFI | CONNECTOR},
        {243, FWP_CONDITION_L2_IS_MOBILE_BROADBAND | CONNECTOR},
        {244, FWP_CONDITION_L2_IS_MOBILE_BROADBAND | CONNECTOR},
        {53, FWP_CONDITION_L2_IS_NATIVE_ETHERNET}, /* virtual */
    };
    struct packet_lab *l = *state;
    struct seen native = {0}, ethernet = {0};
    uint8_t frame[256];
    size_t size;

    watch(l, "MAC_IN_NATIVE", &native);
    watch(l, "MAC_IN", &ethernet);
    for (unsigned i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        const struct host_interface_desc desc = {.name = "another", .index = 10 + i, .type = types[i].type};

        assert_int_equal(host_interface_add(l->d.host.host, &desc), 0);
        size = PACKET(frame, .ether_type = 0x0806, .no_transport = true, .data = "ARP");
        host_lab_bytes(&l->d.host, HOST_WAY_IN, WIRE_LINK_ETHERNET, frame, size, size, 10 + i);
        assert_int_equal(native.calls, i + 1);
        assert_int_equal(native.flags, types[i].flags);
        assert_int_equal(ethernet.flags, types[i].flags);
        assert_int_equal(ethernet.ether_type, 0x0806);
    }
    LAB_IN(&l->d.host, .dport = 53, .ip_length = 9);
    assert_int_equal(ethernet.flags,
                     FWP_CONDITION_L2_IS_NATIVE_ETHERNET | CONNECTOR | FWP_CONDITION_L2_IS_MALFORMED_PACKET);
    LAB_IN(&l->d.host, .dport = 53, .offset = 64, .more = true, .fill = 64);
    assert_int_equal(ethernet.flags,
                     FWP_CONDITION_L2_IS_NATIVE_ETHERNET | CONNECTOR | FWP_CONDITION_L2_IS_IP_FRAGMENT_GROUP);
}

static void OTH_06_of_the_second_layer_the_metadata_has_its_own_bits(void **state)
{
    struct packet_lab *l = *state;
    struct seen in = {0}, native = {0}, out = {0}, ip = {0};

    watch(l, "MAC_IN", &in);
    watch(l, "MAC_IN_NATIVE", &native);
    watch(l, "MAC_OUT", &out);
    LAB_IN(&l->d.host, .dport = 53, .vlan = 42);
    assert_int_equal(in.l2, FWPS_L2_METADATA_FIELD_ETHERNET_MAC_HEADER_SIZE);
    assert_int_equal(in.header, 18);
    assert_int_equal(in.vlan, 42);
    assert_int_equal(in.ether_type, 0x0800);
    assert_int_equal(in.metadata,
                     FWPS_METADATA_FIELD_ETHER_FRAME_LENGTH); /* its bit 0 means something else */
    assert_int_equal(native.l2, 0);                           /* the data begin at the header */
    LAB_OUT(&l->d.host, .sport = 53, .dport = 5353);
    assert_int_equal(out.l2, 0);
    assert_int_equal(out.l2_flags, 0);
    (void)ip;
}

/* ---- OTH-15, INJ-27 ---------------------------------------------------------------------------------------- */

struct secured {
    UINT32 flags;
    unsigned calls;
    FWPS_PACKET_LIST_INFORMATION0 information;
};

static void ask_security(struct driver_lab_script *s, const struct driver_lab_call *c)
{
    const struct engine_layer *layer = engine_layer_by_id(c->values->layerId);
    struct secured *seen = s->ctx;
    const int flags = engine_layer_field(layer, &FWPM_CONDITION_FLAGS);

    c->out->actionType = FWP_ACTION_PERMIT;
    seen->calls++;
    if (flags >= 0)
        seen->flags |= c->values->incomingValue[flags].value.uint32;
    if (c->packet == NULL)
        return;
    memset(&seen->information, 0xff, sizeof(seen->information));
    assert_int_equal(FwpsGetPacketListSecurityInformation0(c->packet,
                                                           FWPS_PACKET_LIST_INFORMATION_QUERY_IPSEC |
                                                               FWPS_PACKET_LIST_INFORMATION_QUERY_INBOUND |
                                                               FWPS_PACKET_LIST_INFORMATION_QUERY_FWP,
                                                           &seen->information),
                     STATUS_SUCCESS);
}

static void OTH_15_nothing_is_secured(void **state)
{
    static const char *const layers[] = {"II", "IT", "RA", "AC", "DD"};
    struct packet_lab *l = *state;
    struct secured seen[5] = {{0}};

    for (unsigned i = 0; i < 5; i++)
        driver_lab_callout(&l->d, layers[i], SCRIPT(&l->d, .then = ask_security, .ctx = &seen[i]));
    LAB_IN(&l->d.host, .sport = 5353, .dport = 53, .data = "question");
    LAB_OUT(&l->d.host, .sport = 54, .dport = 5354, .data = "question");
    for (unsigned i = 0; i < 5; i++) {
        const FWPS_PACKET_LIST_INBOUND_IPSEC_INFORMATION0 *in = &seen[i].information.ipsecInformation.inbound;

        assert_true(seen[i].calls > 0);
        assert_int_equal(seen[i].flags & FWP_CONDITION_FLAG_IS_IPSEC_SECURED, 0);
        assert_false(in->isSecure);
        assert_false(in->isTunnelMode);
        assert_false(in->isDeTunneled);
        assert_false(seen[i].information.fwpInformation.isReinjected);
    }
}

/* Windows' own IPsec callouts refuse nothing: of some it is known that they permit plain traffic; what the others said
 * hung on the state of a machine, and a result that needs them says so. */
static void OTH_15_no_IPsec_callout_of_Windows_blocks(void **state)
{
    const struct policy_builtin_callout *all;
    const size_t count = policy_builtin_callouts(&all);
    unsigned met = 0, permits = 0;

    (void)state;
    for (size_t i = 0; i < count; i++) {
        if (strncmp(all[i].name, "FWPM_CALLOUT_IPSEC_", 19) != 0)
            continue;
        met++;
        permits += all[i].answer == POLICY_BUILTIN_PERMIT;
        assert_int_not_equal(all[i].answer, POLICY_BUILTIN_BLOCK);
        if (strstr(all[i].name, "_OUTBOUND_") != NULL || strstr(all[i].name, "_ALE_") != NULL)
            assert_int_equal(all[i].answer, POLICY_BUILTIN_PERMIT);
    }
    assert_int_equal(met, 20);
    assert_int_equal(permits, 10);
}

/* Clones and lists of a driver's own are received without a question of how they were secured. */
static void INJ_27_nothing_that_is_injected_is_verified(void **state)
{
    struct packet_lab *l = *state;
    struct taker *t = packet_lab_take(l, "DD", &(struct taker){.kind = HOST_INJECT_TRANSPORT_RECEIVE});
    struct secured seen = {0};
    uint8_t frame[256];
    size_t size;

    driver_lab_callout(&l->d, "IT", SCRIPT(&l->d, .then = ask_security, .ctx = &seen));
    LAB_IN(&l->d.host, .sport = 5353, .dport = 53, .data = "question");
    assert_int_equal(l->d.host.outcome.fate, HOST_ABSORBED);
    assert_false(seen.information.fwpInformation.isReinjected);
    host_lab_reset(&l->d.host);
    assert_int_equal(packet_lab_give(l, t, 0), STATUS_SUCCESS); /* a clone */
    assert_int_equal(l->emitted_count, 1);
    assert_true(seen.information.fwpInformation.isReinjected);
    assert_false(seen.information.ipsecInformation.inbound.isSecure);
    size = PACKET(frame, .link = PACKET_RAW, .src = "10.0.0.2", .dst = "10.0.0.1", .sport = 5353, .dport = 53,
                  .data = "mine");
    assert_int_equal(
        FwpsInjectTransportReceiveAsync0(l->transport, NULL, NULL, 0, AF_INET, UNSPECIFIED_COMPARTMENT_ID, 1,
                                         0, packet_lab_own(l, frame, size, 0), packet_lab_completed, l),
        STATUS_SUCCESS); /* and one of its own */
    packet_lab_settle(l);
    assert_int_equal(l->emitted_count, 2);
    assert_int_equal(l->lost_count, 0);
    assert_int_equal(seen.flags & FWP_CONDITION_FLAG_IS_IPSEC_SECURED, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, packet_lab_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(OTH_04_every_frame_is_seen_once),
        TEST(OTH_04_every_sent_frame_is_seen_once),
        TEST(OTH_04_before_reassembly_and_behind_fragmentation),
        TEST(OTH_05_flags_say_what_the_frame_is_and_came_by),
        TEST(OTH_06_of_the_second_layer_the_metadata_has_its_own_bits),
        TEST(OTH_15_nothing_is_secured),
        cmocka_unit_test(OTH_15_no_IPsec_callout_of_Windows_blocks),
        TEST(INJ_27_nothing_that_is_injected_is_verified),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

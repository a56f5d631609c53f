/* SPDX-License-Identifier: Apache-2.0 */
/* Section 11: injection handles, what an injection is refused for, completions (INJ-01..08, IRQL-09). */
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

#define UDP_IN .sport = 5353, .dport = 53, .data = "question"

static uint8_t frame[256];

static NET_BUFFER_LIST *own(struct packet_lab *l, const char *src, const char *dst)
{
    size_t size =
        PACKET(frame, .link = PACKET_RAW, .src = src, .dst = dst, .sport = 9, .dport = 9, .data = "x");

    return packet_lab_own(l, frame, size, 0);
}

/* ---- INJ-01
 * ------------------------------------------------------------------------------------------------ */

static void INJ_01_each_layer_has_its_function(void **state)
{
    struct packet_lab *l = *state;
    NET_BUFFER_LIST *list = packet_lab_own(l, "data", 4, 0);
    static const struct {
        const char *layer;
        enum host_injection_kind kind;
        bool in;
    } rows[] = {
        {"II", HOST_INJECT_NETWORK_RECEIVE, true},   {"OI", HOST_INJECT_NETWORK_SEND, false},
        {"IT", HOST_INJECT_TRANSPORT_RECEIVE, true}, {"OT", HOST_INJECT_TRANSPORT_SEND, false},
        {"MAC_IN", HOST_INJECT_MAC_RECEIVE, true},   {"MAC_OUT", HOST_INJECT_MAC_SEND, false},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct taker *t = packet_lab_take(l, rows[i].layer, &(struct taker){.kind = rows[i].kind});
        const unsigned before = l->emitted_count;

        if (rows[i].in)
            LAB_IN(&l->d.host, .sport = (uint16_t)(1000 + i), .dport = 53, .data = "question");
        else
            LAB_OUT(&l->d.host, .sport = (uint16_t)(1000 + i), .dport = 53, .data = "question");
        assert_int_equal(packet_lab_give(l, t, 0), STATUS_SUCCESS);
        assert_int_equal(l->emitted_count, before + 1);
        t->only_looks = true;
    }
    /* into streams: with a handle of their own */
    assert_int_equal(FwpsStreamInjectAsync0(l->transport, NULL, 0, 1, 1, FWPS_LAYER_STREAM_V4,
                                            FWPS_STREAM_FLAG_RECEIVE, list, 4, packet_lab_completed, l),
                     STATUS_FWP_INJECT_HANDLE_STALE);
    packet_lab_free(l, list);
}

/* ---- INJ-02
 * ------------------------------------------------------------------------------------------------ */

static void INJ_02_a_handle_is_of_types_and_a_family(void **state)
{
    struct packet_lab *l = *state;
    static const struct {
        ADDRESS_FAMILY family;
        UINT32 types;
        NTSTATUS status;
    } rows[] = {
        {AF_UNSPEC, 0, STATUS_SUCCESS},
        {AF_UNSPEC, FWPS_INJECTION_TYPE_STREAM | FWPS_INJECTION_TYPE_TRANSPORT, STATUS_SUCCESS},
        {AF_INET, FWPS_INJECTION_TYPE_NETWORK | FWPS_INJECTION_TYPE_FORWARD, STATUS_SUCCESS},
        {AF_INET6, FWPS_INJECTION_TYPE_NETWORK, STATUS_SUCCESS},
        {AF_UNSPEC, FWPS_INJECTION_TYPE_NETWORK, STATUS_INVALID_PARAMETER},
        {AF_UNSPEC, FWPS_INJECTION_TYPE_L2, STATUS_SUCCESS},
        {AF_INET, FWPS_INJECTION_TYPE_L2, STATUS_SUCCESS},
        {AF_INET6, FWPS_INJECTION_TYPE_L2, STATUS_SUCCESS},
        {77, FWPS_INJECTION_TYPE_L2, STATUS_INVALID_PARAMETER},
        {AF_UNSPEC, FWPS_INJECTION_TYPE_L2 | FWPS_INJECTION_TYPE_NETWORK, STATUS_INVALID_PARAMETER},
        {AF_INET, 0x80000000, STATUS_INVALID_PARAMETER},
        {77, FWPS_INJECTION_TYPE_TRANSPORT, STATUS_INVALID_PARAMETER},
    };

    (void)l;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        HANDLE h = NULL;

        assert_int_equal(FwpsInjectionHandleCreate0(rows[i].family, rows[i].types, &h), rows[i].status);
        assert_true((h != NULL) == (rows[i].status == STATUS_SUCCESS));
        if (h != NULL)
            assert_int_equal(FwpsInjectionHandleDestroy0(h), STATUS_SUCCESS);
    }
}

static void INJ_02_type_zero_is_transport_stream_and_forward(void **state)
{
    struct packet_lab *l = *state;

    NET_BUFFER_LIST *nbl = own(l, "10.9.0.1", "10.0.0.2");
    HANDLE h;

    assert_int_equal(FwpsInjectionHandleCreate0(AF_UNSPEC, 0, &h), STATUS_SUCCESS);
    assert_int_equal(FwpsInjectForwardAsync0(h, NULL, 0, AF_INET, UNSPECIFIED_COMPARTMENT_ID, 1, nbl,
                                             packet_lab_completed, l),
                     STATUS_SUCCESS);
    packet_lab_settle(l);
    assert_int_equal(l->emitted_count, 1);
    nbl = own(l, "10.0.0.1", "10.0.0.2");
    assert_int_equal(
        FwpsInjectNetworkSendAsync0(h, NULL, 0, UNSPECIFIED_COMPARTMENT_ID, nbl, packet_lab_completed, l),
        STATUS_FWP_INJECT_HANDLE_STALE);
    packet_lab_free(l, nbl);
    assert_int_equal(FwpsInjectionHandleDestroy0(h), STATUS_SUCCESS);
}

/* ---- INJ-03
 * ------------------------------------------------------------------------------------------------ */

static void INJ_03_a_handle_of_another_type_is_stale(void **state)
{
    struct packet_lab *l = *state;

    NET_BUFFER_LIST *nbl = own(l, "10.0.0.1", "10.0.0.2");

    assert_int_equal(FwpsInjectNetworkSendAsync0(l->transport, NULL, 0, UNSPECIFIED_COMPARTMENT_ID, nbl,
                                                 packet_lab_completed, l),
                     STATUS_FWP_INJECT_HANDLE_STALE);
    assert_int_equal(FwpsInjectNetworkReceiveAsync0(l->forward, NULL, 0, UNSPECIFIED_COMPARTMENT_ID, 1, 0,
                                                    nbl, packet_lab_completed, l),
                     STATUS_FWP_INJECT_HANDLE_STALE);
    assert_int_equal(FwpsInjectTransportReceiveAsync0(l->net4, NULL, NULL, 0, AF_INET,
                                                      UNSPECIFIED_COMPARTMENT_ID, 1, 0, nbl,
                                                      packet_lab_completed, l),
                     STATUS_FWP_INJECT_HANDLE_STALE);
    assert_int_equal(FwpsInjectForwardAsync0(l->net4, NULL, 0, AF_INET, UNSPECIFIED_COMPARTMENT_ID, 1, nbl,
                                             packet_lab_completed, l),
                     STATUS_FWP_INJECT_HANDLE_STALE);
    packet_lab_settle(l);
    assert_int_equal(l->completed, 0); /* INJ-05: the list is still the caller's */
    packet_lab_free(l, nbl);
}

struct closing {
    struct packet_lab *l;
    HANDLE h;
    NTSTATUS status, other; /* other: what a function of another type says */
    bool asked;
};
static struct closing closing;

/* Runs while the handle is being destroyed: its destroyer waits for this. */
static void inject_once_more(struct packet_lab *l, NET_BUFFER_LIST *nbl)
{
    NET_BUFFER_LIST *more = own(l, "10.0.0.1", "10.0.0.2");

    packet_lab_free(l, nbl);
    closing.other = FwpsInjectTransportReceiveAsync0(
        closing.h, NULL, NULL, 0, AF_INET, UNSPECIFIED_COMPARTMENT_ID, 1, 0, more, packet_lab_completed, l);
    closing.status = FwpsInjectNetworkSendAsync0(closing.h, NULL, 0, UNSPECIFIED_COMPARTMENT_ID, more,
                                                 packet_lab_completed, l);
    closing.asked = true;
    if (closing.status != STATUS_SUCCESS)
        packet_lab_free(l, more);
}

/* A look at II holds the injector until the destroyer has begun to wait. */
static void wait_a_little(struct driver_lab_script *s, const struct driver_lab_call *c)
{
    (void)s;
    c->out->actionType = FWP_ACTION_PERMIT;
    for (int i = 0; i < 2000; i++)
        rt_yield();
}

static void INJ_03_a_handle_that_is_being_destroyed_takes_no_more(void **state)
{
    struct packet_lab *l = *state;

    closing = (struct closing){.l = l};
    assert_int_equal(FwpsInjectionHandleCreate0(AF_INET, FWPS_INJECTION_TYPE_NETWORK, &closing.h),
                     STATUS_SUCCESS);
    driver_lab_callout(&l->d, "OI", SCRIPT(&l->d, .then = wait_a_little));
    l->on_complete = inject_once_more;
    assert_int_equal(FwpsInjectNetworkSendAsync0(closing.h, NULL, 0, UNSPECIFIED_COMPARTMENT_ID,
                                                 own(l, "10.0.0.1", "10.0.0.2"), packet_lab_completed, l),
                     STATUS_SUCCESS);
    assert_int_equal(FwpsInjectionHandleDestroy0(closing.h), STATUS_SUCCESS);
    assert_true(closing.asked);
    assert_int_equal(closing.status, STATUS_FWP_INJECT_HANDLE_CLOSING);
    assert_int_equal(closing.other, STATUS_FWP_INJECT_HANDLE_STALE);
}

static void INJ_03_without_a_stack_nothing_is_ready(void **state)
{
    struct packet_lab *l = *state;
    struct api_config config = {.engine = l->d.bfe.engine, .bfe = l->d.bfe.bfe};
    struct api_context *bare, *before;
    NET_BUFFER_LIST *nbl = own(l, "10.0.0.1", "10.0.0.2");
    HANDLE h = NULL;

    assert_int_equal(api_context_create(&config, &bare), 0);
    before = api_set_current(bare);
    assert_int_equal(FwpsInjectionHandleCreate0(AF_INET, 0, &h), STATUS_FWP_TCPIP_NOT_READY);
    assert_int_equal(FwpsInjectNetworkSendAsync0(l->net4, NULL, 0, UNSPECIFIED_COMPARTMENT_ID, nbl,
                                                 packet_lab_completed, l),
                     STATUS_FWP_TCPIP_NOT_READY);
    api_set_current(before);
    api_context_destroy(bare);
    packet_lab_free(l, nbl);
}

/* ---- INJ-04
 * ------------------------------------------------------------------------------------------------ */

static void INJ_04_each_list_is_completed_once_at_DISPATCH_by_another_thread(void **state)
{
    struct packet_lab *l = *state;
    struct taker *t = packet_lab_take(l, "DD", &(struct taker){.kind = HOST_INJECT_TRANSPORT_RECEIVE});
    const uintptr_t me = rt_self();

    for (unsigned i = 0; i < 20; i++)
        LAB_IN(&l->d.host, .sport = (uint16_t)(2000 + i), .dport = 53, .data = "question");
    host_lab_reset(&l->d.host);
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(packet_lab_give_only(l, t, i), STATUS_SUCCESS);
    packet_lab_settle(l);
    packet_lab_settle(l);
    assert_int_equal(l->completed, 20);
    assert_int_equal(l->emitted_count, 20);
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(l->statuses[i], STATUS_SUCCESS);
    assert_int_equal(l->completion_irql, DISPATCH_LEVEL);
    assert_true(l->completion_dispatch);
    assert_true(l->completion_thread != me);
    for (unsigned i = 0; i < 20; i++) /* in the order in which they were injected */
        assert_int_equal(l->emitted[i]->e.origin, l->emitted[0]->e.origin + i);
}

static void INJ_04_wrong_arguments_are_told_at_once(void **state)
{
    struct packet_lab *l = *state;

    NET_BUFFER_LIST *nbl = own(l, "10.0.0.1", "10.0.0.2");

    assert_int_equal(
        FwpsInjectNetworkSendAsync0(l->net4, NULL, 0, UNSPECIFIED_COMPARTMENT_ID, nbl, NULL, NULL),
        STATUS_FWP_NULL_POINTER);
    assert_int_equal(FwpsInjectNetworkSendAsync0(l->net4, NULL, 1, UNSPECIFIED_COMPARTMENT_ID, nbl,
                                                 packet_lab_completed, l),
                     STATUS_INVALID_PARAMETER);
    nbl->FirstNetBuffer->DataLength += 1000; /* more than its MDLs have */
    assert_int_equal(FwpsInjectNetworkSendAsync0(l->net4, NULL, 0, UNSPECIFIED_COMPARTMENT_ID, nbl,
                                                 packet_lab_completed, l),
                     STATUS_INVALID_PARAMETER);
    nbl->FirstNetBuffer->DataLength -= 1000;
    packet_lab_settle(l);
    assert_int_equal(l->completed, 0);
    packet_lab_free(l, nbl);
}

static void IRQL_09_injections_walk_in_the_caller_if_asked_to(void **state)
{
    (void)state;
    for (int simulated = 0; simulated < 2; simulated++) {
        const struct host_config config = {.knobs = {.inject_in_caller = true}};
        struct packet_lab *l = calloc(1, sizeof(*l));
        struct taker *t;

        assert_non_null(l);
        packet_lab_open(l, &config, simulated);
        t = packet_lab_take(l, "DD", &(struct taker){.kind = HOST_INJECT_TRANSPORT_RECEIVE, .at_once = true});
        LAB_IN(&l->d.host, UDP_IN); /* injects within its own classify (IRQL-10) */
        assert_int_equal(l->completed, 1);
        assert_true(l->completion_thread == rt_self());
        assert_int_equal(t->seen, 2);
        assert_int_equal(l->emitted_count, 1);
        assert_true(l->emitted[0]->unchanged);
        assert_int_equal(l->d.host.outcome.fate, HOST_ABSORBED);
        packet_lab_close(l);
        free(l);
    }
}

/* ---- INJ-08
 * ------------------------------------------------------------------------------------------------ */

static void INJ_08_destroying_a_handle_waits_for_its_injections(void **state)
{
    struct packet_lab *l = *state;
    HANDLE h;

    assert_int_equal(FwpsInjectionHandleCreate0(AF_INET, FWPS_INJECTION_TYPE_NETWORK, &h), STATUS_SUCCESS);
    for (unsigned i = 0; i < 30; i++)
        assert_int_equal(FwpsInjectNetworkSendAsync0(h, NULL, 0, UNSPECIFIED_COMPARTMENT_ID,
                                                     own(l, "10.0.0.1", "10.0.0.2"), packet_lab_completed, l),
                         STATUS_SUCCESS);
    assert_int_equal(FwpsInjectionHandleDestroy0(h), STATUS_SUCCESS);
    assert_int_equal(l->completed, 30);
    assert_int_equal(
        FwpsInjectNetworkSendAsync0(h, NULL, 0, UNSPECIFIED_COMPARTMENT_ID, NULL, packet_lab_completed, l),
        STATUS_FWP_NULL_POINTER);
}

/* A handle after the other comes and goes while another thread injects with whichever there is. */
#define ROUNDS 2000
#define WANTED 100

struct coming {
    struct packet_lab *l;
    struct coming_round {
        struct coming *of;
        HANDLE handle;
        bool gone; /* atomic: its destruction has returned */
    } rounds[ROUNDS];
    unsigned now; /* atomic: the round whose handle is there */
    bool over;    /* atomic */
    unsigned accepted, refused, wrong, completed, late;
};

static void NTAPI came_back(void *context, NET_BUFFER_LIST *nbl, BOOLEAN dispatch)
{
    struct coming_round *r = context;

    (void)dispatch;
    r->of->late += __atomic_load_n(&r->gone, __ATOMIC_ACQUIRE);
    r->of->completed++; /* the injector's alone */
    packet_lab_free(r->of->l, nbl);
}

static void inject_all(void *arg)
{
    struct coming *c = arg;

    while (c->accepted < WANTED) {
        struct coming_round *r = &c->rounds[__atomic_load_n(&c->now, __ATOMIC_ACQUIRE)];
        NET_BUFFER_LIST *nbl = own(c->l, "10.9.0.1", "10.0.0.2");
        const NTSTATUS status = FwpsInjectForwardAsync0(r->handle, NULL, 0, AF_INET,
                                                        UNSPECIFIED_COMPARTMENT_ID, 1, nbl, came_back, r);

        c->accepted += status == STATUS_SUCCESS;
        c->refused += status != STATUS_SUCCESS;
        c->wrong += status != STATUS_SUCCESS && status != STATUS_FWP_INJECT_HANDLE_STALE &&
                    status != STATUS_FWP_INJECT_HANDLE_CLOSING;
        if (status != STATUS_SUCCESS)
            packet_lab_free(c->l, nbl);
        rt_yield();
    }
    __atomic_store_n(&c->over, true, __ATOMIC_RELEASE);
}

static void INJ_08_handles_come_and_go_beside_who_injects(void **state)
{
    struct packet_lab *l = *state;
    struct coming *c = calloc(1, sizeof(*c));
    struct rt_thread *thread;
    unsigned n = 0;

    assert_non_null(c);
    c->l = l;
    for (bool last = false; !last; n++) {
        struct coming_round *r = &c->rounds[n];

        r->of = c;
        assert_int_equal(FwpsInjectionHandleCreate0(AF_INET, FWPS_INJECTION_TYPE_FORWARD, &r->handle),
                         STATUS_SUCCESS);
        __atomic_store_n(&c->now, n, __ATOMIC_RELEASE);
        if (n == 0)
            assert_int_equal(rt_thread_start("injects", inject_all, c, &thread), 0);
        rt_yield();
        last = n + 1 == ROUNDS || __atomic_load_n(&c->over, __ATOMIC_ACQUIRE);
        if (last)
            rt_thread_join(thread);
        assert_int_equal(FwpsInjectionHandleDestroy0(r->handle), STATUS_SUCCESS);
        __atomic_store_n(&r->gone, true, __ATOMIC_RELEASE);
    }
    assert_int_equal(c->accepted, WANTED);
    assert_int_equal(c->completed, WANTED);
    assert_int_equal(c->wrong, 0);
    assert_int_equal(c->late, 0);
    free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(INJ_01_each_layer_has_its_function),
        ON_BOTH(INJ_02_a_handle_is_of_types_and_a_family),
        ON_BOTH(INJ_02_type_zero_is_transport_stream_and_forward),
        ON_BOTH(INJ_03_a_handle_of_another_type_is_stale),
        ON_BOTH(INJ_03_a_handle_that_is_being_destroyed_takes_no_more),
        ON_BOTH(INJ_03_without_a_stack_nothing_is_ready),
        ON_BOTH(INJ_04_each_list_is_completed_once_at_DISPATCH_by_another_thread),
        ON_BOTH(INJ_04_wrong_arguments_are_told_at_once),
        cmocka_unit_test(IRQL_09_injections_walk_in_the_caller_if_asked_to),
        ON_BOTH(INJ_08_destroying_a_handle_waits_for_its_injections),
        ON_BOTH(INJ_08_handles_come_and_go_beside_who_injects),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

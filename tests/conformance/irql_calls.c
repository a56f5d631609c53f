/* SPDX-License-Identifier: Apache-2.0 */
/* Section 14: at which level callouts are called, and from which level functions may be (IRQL); what of
 * section 4 needs a registered callout (CLS-21, 28, 31). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fwpmk.h"
#include "fwpsk.h"

#include "driver_lab.h"

#define TCP(...) .protocol = WIRE_PROTOCOL_TCP, .tcp_flags = (__VA_ARGS__)

/* ---- levels ----------------------------------------------------------------------------------------------
 */

static void IRQL_01_packets_at_dispatch_socket_calls_at_passive(void **state)
{
    static const struct {
        const char *layer;
        KIRQL level;
    } at[] = {{"RES", PASSIVE_LEVEL}, {"CR", PASSIVE_LEVEL},  {"AC", PASSIVE_LEVEL},  {"OT", DISPATCH_LEVEL},
              {"OI", DISPATCH_LEVEL}, {"II", DISPATCH_LEVEL}, {"IT", DISPATCH_LEVEL}, {"RA", DISPATCH_LEVEL}};
    struct driver_lab *l = *state;
    struct driver_lab_script *s[8], *lis = SCRIPT(l, .action = FWP_ACTION_PERMIT);
    const struct host_socket listener = {.version = 4, .protocol = WIRE_PROTOCOL_TCP, .port = 80};
    struct host_endpoint *e;

    for (unsigned i = 0; i < 8; i++) {
        s[i] = SCRIPT(l, .action = FWP_ACTION_PERMIT);
        driver_lab_callout(l, at[i].layer, s[i]);
    }
    driver_lab_callout(l, "LIS", lis);
    assert_int_equal(host_bind(l->host.host, &listener, &e), STATUS_SUCCESS);
    assert_int_equal(s[0]->irql, PASSIVE_LEVEL);
    assert_int_equal(host_listen(l->host.host, e), STATUS_SUCCESS);
    assert_int_equal(lis->irql, PASSIVE_LEVEL);
    LAB_OUT(&l->host, TCP(WIRE_TCP_SYN), .sport = 50000, .dport = 443); /* a connect() */
    LAB_IN(&l->host, TCP(WIRE_TCP_SYN), .sport = 50001, .dport = 80);
    for (unsigned i = 0; i < 8; i++) {
        assert_int_not_equal(s[i]->calls, 0);
        assert_int_equal(s[i]->irql, at[i].level);
    }
    assert_int_equal(rt_carried()->irql, PASSIVE_LEVEL); /* given back */
    host_close(l->host.host, e);
}

static void flow_level(struct driver_lab_script *s, UINT64 context)
{
    (void)context;
    s->ctx = (void *)(uintptr_t)(rt_carried()->irql + 1u);
}

static void associate(struct driver_lab_script *s, const struct driver_lab_call *c)
{
    FwpsFlowAssociateContext0(c->metadata->flowHandle, c->values->layerId, s->id, 5);
}

static void IRQL_01_flow_delete_up_to_dispatch(void **state)
{
    struct driver_lab *l = *state;
    struct driver_lab_script *s =
        SCRIPT(l, .action = FWP_ACTION_PERMIT, .then = associate, .deleted_then = flow_level);

    driver_lab_callout(l, "AC", s);
    LAB_OUT(&l->host, .sport = 4000, .dport = 53);
    host_lab_wait(&l->host, 120 * 1000);
    assert_non_null(s->ctx);
    assert_in_range((uintptr_t)s->ctx - 1, PASSIVE_LEVEL, DISPATCH_LEVEL);
}

/* Each of these at DISPATCH_LEVEL is told of, and nothing else happens to it. */
static void IRQL_02_passive_level_only(void **state)
{
    struct driver_lab *l = *state;
    FWPS_CALLOUT1 c = {0};
    GUID key = {1, 2, 3, {4}};
    HANDLE h = NULL;
    unsigned n = 0;
    UINT32 id;

    rt_carried()->irql = DISPATCH_LEVEL;
#define PASSIVE_ONLY(call)                                                                                   \
    do {                                                                                                     \
        (void)(call);                                                                                        \
        assert_int_equal(l->found[LEDGER_NOTE], ++n);                                                        \
    } while (0)
    PASSIVE_ONLY(FwpsCalloutRegister0(&l->device, (const FWPS_CALLOUT0 *)&c, &id));
    PASSIVE_ONLY(FwpsCalloutRegister1(&l->device, &c, &id));
    PASSIVE_ONLY(FwpsCalloutRegister2(&l->device, (const FWPS_CALLOUT2 *)&c, &id));
    PASSIVE_ONLY(FwpsCalloutRegister3(&l->device, (const FWPS_CALLOUT3 *)&c, &id));
    PASSIVE_ONLY(FwpsCalloutUnregisterById0(4711));
    PASSIVE_ONLY(FwpsCalloutUnregisterByKey0(&key));
    PASSIVE_ONLY(FwpmEngineOpen0(NULL, RPC_C_AUTHN_WINNT, NULL, NULL, &h));
    PASSIVE_ONLY(FwpmTransactionBegin0(h, 0));
    PASSIVE_ONLY(FwpmTransactionAbort0(h));
    PASSIVE_ONLY(FwpmCalloutDeleteByKey0(h, &key));
    PASSIVE_ONLY(FwpmFilterDeleteByKey0(h, &key));
    PASSIVE_ONLY(FwpmEngineClose0(h));
    PASSIVE_ONLY(FwpmBfeStateUnsubscribeChanges0(NULL));
    rt_carried()->irql = PASSIVE_LEVEL;
    assert_non_null(strstr(l->last, "IRQL 2"));
    FwpsCalloutUnregisterById0(4711);
    assert_int_equal(l->found[LEDGER_NOTE], n); /* at PASSIVE nothing is told */
}

static void IRQL_03_up_to_dispatch_level(void **state)
{
    struct driver_lab *l = *state;
    HANDLE context;

    rt_carried()->irql = DISPATCH_LEVEL;
    FwpsPendOperation0(NULL, &context);
    FwpsFlowAssociateContext0(1, 2, 3, 4);
    FwpsFlowRemoveContext0(1, 2, 3);
    FwpsFlowAbort0(99);
    FwpmBfeStateGet0();
    assert_int_equal(l->found[LEDGER_NOTE], 0);
    rt_carried()->irql = DISPATCH_LEVEL + 1;
    FwpsPendOperation0(NULL, &context);
    assert_int_equal(l->found[LEDGER_NOTE], 1);
    FwpsFlowAssociateContext0(1, 2, 3, 4);
    assert_int_equal(l->found[LEDGER_NOTE], 2);
    FwpsFlowRemoveContext0(1, 2, 3);
    assert_int_equal(l->found[LEDGER_NOTE], 3);
    FwpsFlowAbort0(99);
    assert_int_equal(l->found[LEDGER_NOTE], 4);
    rt_carried()->irql = PASSIVE_LEVEL;
}

/* ---- at once
 * -----------------------------------------------------------------------------------------------
 */

struct together {
    atomic_uint inside, most, go;
};

static void meet(struct driver_lab_script *s, const struct driver_lab_call *c)
{
    struct together *t = s->ctx;
    unsigned n = ++t->inside;

    (void)c;
    for (unsigned most = t->most; n > most && !atomic_compare_exchange_weak(&t->most, &most, n);)
        ;
    for (unsigned i = 0; i < 100000 && t->most < 2; i++)
        rt_yield();
    t->inside--;
}

static void complete_it(void *arg)
{
    FwpsCompleteOperation0(arg, NULL);
}

static void pend_then_meet(struct driver_lab_script *s, const struct driver_lab_call *c)
{
    static HANDLE context;
    UINT32 flags = c->values->incomingValue[FWPS_FIELD_ALE_AUTH_CONNECT_V4_FLAGS].value.uint32;

    if (flags & FWP_CONDITION_FLAG_IS_REAUTHORIZE || c->lab->device != 0) {
        c->out->actionType = FWP_ACTION_PERMIT;
        meet(s, c);
        return;
    }
    assert_int_equal(FwpsPendOperation0(c->metadata->completionHandle, &context), STATUS_SUCCESS);
    c->lab->device = 1;
    c->out->actionType = FWP_ACTION_BLOCK;
    c->out->flags |= FWPS_CLASSIFY_OUT_FLAG_ABSORB;
    s->deleted_filter_context = (uintptr_t)context;
}

static void IRQL_06_classifies_run_together(void **state)
{
    struct driver_lab *l = *state;
    struct together t = {0};
    struct driver_lab_script *s = SCRIPT(l, .then = pend_then_meet, .ctx = &t);
    struct rt_thread *thread;

    driver_lab_callout(l, "AC", s);
    LAB_OUT(&l->host, .sport = 4000, .dport = 53);
    assert_int_equal(
        rt_thread_start("complete", complete_it, (void *)(uintptr_t)s->deleted_filter_context, &thread), 0);
    LAB_OUT(&l->host, .sport = 4001, .dport = 53); /* its classify meets the completion's */
    rt_thread_join(thread);
    assert_int_equal(t.most, 2);
}

static void use_everything(struct driver_lab_script *s, const struct driver_lab_call *c)
{
    struct driver_lab *l = c->lab;
    FWPM_FILTER0 *f;

    if (s->ctx != NULL)
        return;
    s->ctx = s;
    /* no lock of the engine's is held: management and other flows are reached from here (IRQL-08) */
    assert_int_equal(FwpmFilterGetById0(l->engine, s->filter_id, &f), STATUS_SUCCESS);
    FwpmFreeMemory0((void **)&f);
    assert_int_equal(FwpsFlowAssociateContext0(c->metadata->flowHandle, c->values->layerId, s->id, 5),
                     STATUS_SUCCESS);
    assert_int_equal(FwpsFlowRemoveContext0(c->metadata->flowHandle, c->values->layerId, s->id),
                     STATUS_PENDING);
    host_reauthorize(l->host.host, FWP_CONDITION_REAUTHORIZE_REASON_SOCKET_PROPERTY_CHANGED);
    assert_int_equal(FwpmFilterDeleteById0(l->engine, s->filter_id), STATUS_SUCCESS);
    s->filter_id = 0;
}

static void IRQL_07_no_lock_is_held(void **state)
{
    struct driver_lab *l = *state;
    struct driver_lab_script *s = SCRIPT(l, .action = FWP_ACTION_PERMIT, .then = use_everything);

    driver_lab_callout(l, "AC", s);
    LAB_OUT(&l->host, .sport = 4000, .dport = 53);
    assert_ptr_equal(s->ctx, s);
    assert_int_equal(s->contexts_deleted, 1);
    assert_int_equal(l->host.outcome.fate, HOST_PASSED);
}

/* ---- what a callout is given
 * ---------------------------------------------------------------------------------
 */

/* Every member that a bit of currentMetadataValues stands for. */
#define MEMBER(bit, member)                                                                                  \
    {                                                                                                        \
        FWPS_METADATA_FIELD_##bit, offsetof(FWPS_INCOMING_METADATA_VALUES0, member),                         \
            sizeof(((FWPS_INCOMING_METADATA_VALUES0 *)0)->member)                                            \
    }
static const struct {
    UINT32 bit;
    size_t at, size;
} members[] = {
    MEMBER(DISCARD_REASON, discardMetadata),
    MEMBER(FLOW_HANDLE, flowHandle),
    MEMBER(IP_HEADER_SIZE, ipHeaderSize),
    MEMBER(PROCESS_PATH, processPath),
    MEMBER(TOKEN, token),
    MEMBER(PROCESS_ID, processId),
    MEMBER(SOURCE_INTERFACE_INDEX, sourceInterfaceIndex),
    MEMBER(DESTINATION_INTERFACE_INDEX, destinationInterfaceIndex),
    MEMBER(TRANSPORT_HEADER_SIZE, transportHeaderSize),
    MEMBER(COMPARTMENT_ID, compartmentId),
    MEMBER(FRAGMENT_DATA, fragmentMetadata),
    MEMBER(PATH_MTU, pathMtu),
    MEMBER(COMPLETION_HANDLE, completionHandle),
    MEMBER(TRANSPORT_ENDPOINT_HANDLE, transportEndpointHandle),
    MEMBER(TRANSPORT_CONTROL_DATA, controlData),
    MEMBER(REMOTE_SCOPE_ID, remoteScopeId),
    MEMBER(PACKET_DIRECTION, packetDirection),
    MEMBER(TRANSPORT_HEADER_INCLUDE_HEADER, headerIncludeHeader),
    MEMBER(DESTINATION_PREFIX, destinationPrefix),
    MEMBER(ETHER_FRAME_LENGTH, frameLength),
    MEMBER(PARENT_ENDPOINT_HANDLE, parentEndpointHandle),
    MEMBER(ICMP_ID_AND_SEQUENCE, icmpIdAndSequence),
    MEMBER(LOCAL_REDIRECT_TARGET_PID, localRedirectTargetPID),
    MEMBER(ORIGINAL_DESTINATION, originalDestination),
    MEMBER(REDIRECT_RECORD_HANDLE, redirectRecords),
    MEMBER(SUB_PROCESS_TAG, subProcessTag),
};

static void look_at_absent(struct driver_lab_script *s, const struct driver_lab_call *c)
{
    (void)s;
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        const UINT8 *bytes = (const UINT8 *)c->metadata + members[i].at;

        if (c->metadata->currentMetadataValues & members[i].bit)
            continue;
        for (size_t b = 0; b < members[i].size; b++)
            assert_int_equal(bytes[b], 0);
    }
}

static void CLS_19_absent_members_are_zero(void **state)
{
    static const char *const layers[] = {"RES", "CR", "AC", "FE", "DD", "OT",        "OI",
                                         "II",  "IT", "RA", "EC", "RR", "IT_DISCARD"};
    struct driver_lab *l = *state;
    struct driver_lab_script *s[13];

    for (unsigned i = 0; i < 13; i++) {
        s[i] = SCRIPT(l, .then = look_at_absent, .type = FWP_ACTION_CALLOUT_INSPECTION);
        driver_lab_callout(l, layers[i], s[i]);
    }
    LAB_OUT(&l->host, .sport = 4000, .dport = 53);
    LAB_IN(&l->host, .sport = 53, .dport = 4000);
    LAB_IN(&l->host, .sport = 60000, .dport = 54);
    LAB_IN(&l->host, TCP(WIRE_TCP_SYN), .sport = 50001, .dport = 80);
    LAB_OUT(&l->host, TCP(WIRE_TCP_SYN), .sport = 50000, .dport = 443);
    host_shutdown(l->host.host);
    for (unsigned i = 0; i < 12; i++)
        assert_int_not_equal(s[i]->calls, 0);
}

static void associate_for(struct driver_lab_script *s, const struct driver_lab_call *c)
{
    struct driver_lab_script *dd = s->ctx;

    assert_int_equal(
        FwpsFlowAssociateContext0(c->metadata->flowHandle, FWPS_LAYER_DATAGRAM_DATA_V4, dd->id, 42),
        STATUS_SUCCESS);
}

static void CLS_21_the_context_of_flow_layer_and_callout(void **state)
{
    struct driver_lab *l = *state;
    struct driver_lab_script *dd = SCRIPT(l, .action = FWP_ACTION_PERMIT),
                             *other = SCRIPT(l, .action = FWP_ACTION_CONTINUE),
                             *ac = SCRIPT(l, .action = FWP_ACTION_PERMIT, .then = associate_for, .ctx = dd);

    driver_lab_callout(l, "DD", dd);
    driver_lab_callout(l, "DD", other);
    driver_lab_callout(l, "AC", ac);
    LAB_OUT(&l->host, .sport = 4000, .dport = 53);
    assert_int_equal(dd->last_context, 42);
    assert_int_equal(other->last_context, 0); /* another callout's */
    assert_int_equal(ac->last_context, 0);    /* another layer's */
    ac->then = NULL;
    LAB_OUT(&l->host, .sport = 4001, .dport = 53);
    assert_int_equal(dd->last_context, 0); /* another flow's */
}

struct discards {
    FWPS_DISCARD_MODULE0 module;
    UINT32 reason;
};

static void note_discard(struct driver_lab_script *s, const struct driver_lab_call *c)
{
    struct discards *d = s->ctx;

    assert_true(c->metadata->currentMetadataValues & FWPS_METADATA_FIELD_DISCARD_REASON);
    d->module = c->metadata->discardMetadata.discardModule;
    d->reason = c->metadata->discardMetadata.discardReason;
}

static void CLS_28_module_and_reason_of_a_discard(void **state)
{
    struct driver_lab *l = *state;
    struct discards d = {0};
    struct driver_lab_script *stack,
        *block = SCRIPT(l, .action = FWP_ACTION_BLOCK, .clear_write = true),
        *seen = SCRIPT(l, .type = FWP_ACTION_CALLOUT_INSPECTION, .then = note_discard, .ctx = &d);

    driver_lab_callout(l, "IT", block);
    driver_lab_callout(l, "IT_DISCARD", seen);
    LAB_IN(&l->host, .sport = 4000, .dport = 53);
    assert_int_equal(seen->calls, 1);
    assert_int_equal(d.module, FWPS_DISCARD_MODULE_GENERAL);
    assert_int_equal(d.reason, FWPS_DISCARD_FIREWALL_POLICY);
    block->flags = FWPS_CLASSIFY_OUT_FLAG_ABSORB;
    LAB_IN(&l->host, .sport = 4000, .dport = 53);
    assert_int_equal(l->host.outcome.fate, HOST_ABSORBED);
    assert_int_equal(seen->calls, 1); /* silent */
    /* the stack's own: nobody waits on that port */
    block->flags = 0;
    block->action = FWP_ACTION_PERMIT;
    stack = SCRIPT(l, .type = FWP_ACTION_CALLOUT_INSPECTION, .then = note_discard, .ctx = &d);
    driver_lab_callout(l, "II_DISCARD", stack);
    l->host.closed[l->host.closed_count++] = 99;
    LAB_IN(&l->host, .sport = 4000, .dport = 99);
    assert_int_equal(stack->calls, 1);
    assert_int_equal(d.module, FWPS_DISCARD_MODULE_NETWORK);
    assert_int_equal(d.reason, IpDiscardPortUnreachable);
}

static void CLS_31_the_type_of_the_filter(void **state)
{
    struct driver_lab *l = *state;
    struct driver_lab_script *inspects =
                                 SCRIPT(l, .type = FWP_ACTION_CALLOUT_INSPECTION, .action = FWP_ACTION_BLOCK),
                             *decides = SCRIPT(l, .type = FWP_ACTION_CALLOUT_TERMINATING,
                                               .action = FWP_ACTION_BLOCK);

    driver_lab_callout(l, "AC", inspects);
    LAB_OUT(&l->host, .sport = 4000, .dport = 53);
    assert_int_equal(inspects->calls, 1);
    assert_int_equal(l->host.outcome.fate, HOST_PASSED); /* an inspection decides nothing */
    driver_lab_callout(l, "AC", decides);
    LAB_OUT(&l->host, .sport = 4001, .dport = 53);
    assert_int_equal(decides->calls, 1);
    assert_int_equal(l->host.outcome.fate, HOST_BLOCKED);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, driver_lab_setup, driver_lab_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(IRQL_01_packets_at_dispatch_socket_calls_at_passive),
        TEST(IRQL_01_flow_delete_up_to_dispatch),
        TEST(IRQL_02_passive_level_only),
        TEST(IRQL_03_up_to_dispatch_level),
        TEST(IRQL_06_classifies_run_together),
        TEST(IRQL_07_no_lock_is_held),
        TEST(CLS_19_absent_members_are_zero),
        TEST(CLS_21_the_context_of_flow_layer_and_callout),
        TEST(CLS_28_module_and_reason_of_a_discard),
        TEST(CLS_31_the_type_of_the_filter),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Section 16: events of virtual switches: who is told, who refuses, and what waits for an answer (OTH-10). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fwpmk.h"
#include "fwpsk.h"

#include "driver_lab.h"
#include "host/host_vswitch.h"

struct events {
    NTSTATUS answer;
    unsigned told[8]; /* by the table's members, in order */
    void *completion[8];
    unsigned pended;
    struct driver_lab *lab;
    bool complete_at_once;
    unsigned finished;
    NTSTATUS status;
};

static NTSTATUS told(struct events *e, unsigned which, void *completion)
{
    assert_ptr_equal(rt_current(), api_rt(e->lab->context));
    e->told[which]++;
    if (e->answer == STATUS_PENDING)
        e->completion[e->pended++] = completion;
    if (e->complete_at_once)
        FwpsvSwitchNotifyComplete0(completion, STATUS_ACCESS_DENIED, 0, NULL);
    return e->answer;
}

static NTSTATUS NTAPI on_life(void *ctx, FWPS_VSWITCH_EVENT_TYPE type, const NDIS_SWITCH_PARAMETERS *v,
                              const NDIS_SWITCH_PORT_ARRAY *ports, const NDIS_SWITCH_NIC_ARRAY *nics)
{
    assert_true(type == FWPS_VSWITCH_EVENT_VSWITCH_CREATE || type == FWPS_VSWITCH_EVENT_VSWITCH_DELETE);
    assert_ptr_equal(v, (void *)16);
    assert_ptr_equal(ports, (void *)32);
    assert_ptr_equal(nics, (void *)48);
    return told(ctx, 0, NULL);
}

static NTSTATUS NTAPI on_port(void *ctx, void *completion, FWPS_VSWITCH_EVENT_TYPE type,
                              const NDIS_SWITCH_PARAMETERS *v, const NDIS_SWITCH_PORT_PARAMETERS *port)
{
    (void)v;
    assert_true(type == FWPS_VSWITCH_EVENT_PORT_CREATE || type == FWPS_VSWITCH_EVENT_PORT_DELETE);
    assert_ptr_equal(port, (void *)64);
    return told(ctx, 1, completion);
}

static NTSTATUS NTAPI on_nic(void *ctx, void *completion, FWPS_VSWITCH_EVENT_TYPE type,
                             const NDIS_SWITCH_PARAMETERS *v, const NDIS_SWITCH_NIC_PARAMETERS *nic)
{
    (void)v;
    (void)type;
    assert_ptr_equal(nic, (void *)80);
    return told(ctx, 2, completion);
}

static NTSTATUS NTAPI on_reorder(void *ctx, void *completion, BOOLEAN in_position,
                                 const NDIS_ENUM_FILTERS *filters)
{
    assert_true(in_position);
    assert_ptr_equal(filters, (void *)96);
    return told(ctx, 3, completion);
}

static NTSTATUS NTAPI on_policy(void *ctx, void *completion, FWPS_VSWITCH_EVENT_TYPE type,
                                const NDIS_SWITCH_PARAMETERS *v,
                                const NDIS_SWITCH_PORT_PROPERTY_PARAMETERS *property,
                                const NDIS_SWITCH_PORT_PROPERTY_DELETE_PARAMETERS *deleted)
{
    (void)v;
    (void)type;
    assert_ptr_equal(property, (void *)112);
    assert_ptr_equal(deleted, (void *)128);
    return told(ctx, 4, completion);
}

static NTSTATUS NTAPI on_save(void *ctx, void *completion, FWPS_VSWITCH_EVENT_TYPE type,
                              const NDIS_SWITCH_PARAMETERS *v, NDIS_SWITCH_PORT_ID port, void **saved,
                              SIZE_T *size)
{
    (void)v;
    (void)type;
    assert_int_equal(port, 2);
    *saved = ctx;
    *size = 3;
    return told(ctx, 5, completion);
}

static NTSTATUS NTAPI on_restore(void *ctx, void *completion, FWPS_VSWITCH_EVENT_TYPE type,
                                 const NDIS_SWITCH_PARAMETERS *v, NDIS_SWITCH_PORT_ID port, void *state,
                                 SIZE_T size)
{
    (void)v;
    (void)type;
    assert_int_equal(port, 2);
    assert_ptr_equal(state, (void *)144);
    assert_int_equal(size, 7);
    return told(ctx, 6, completion);
}

static const FWPS_VSWITCH_EVENT_DISPATCH_TABLE0 table = {on_life,   on_port, on_nic,    on_reorder,
                                                         on_policy, on_save, on_restore};

static void finished(void *ctx, NTSTATUS status)
{
    struct events *e = ctx;

    e->finished++;
    e->status = status;
}

static UINT32 subscribe(struct driver_lab *l, struct events *e, const FWPS_VSWITCH_EVENT_DISPATCH_TABLE0 *t)
{
    UINT32 id = 0;

    e->lab = l;
    assert_int_equal(FwpsvSwitchEventsSubscribe0(NULL, e, 0, NULL, t, &id), STATUS_SUCCESS);
    assert_int_not_equal(id, 0);
    return id;
}

static NTSTATUS raise_event(struct driver_lab *l, FWPS_VSWITCH_EVENT_TYPE type, struct events *e)
{
    static void *saved;
    static SIZE_T saved_size;
    const struct host_vswitch_event event = {
        .type = type,
        .vswitch = (void *)16,
        .ports = (void *)32,
        .nics = (void *)48,
        .port = (void *)64,
        .nic = (void *)80,
        .filters = (void *)96,
        .property = (void *)112,
        .property_deleted = (void *)128,
        .restored = (void *)144,
        .restored_size = 7,
        .port_id = 2,
        .saved = &saved,
        .saved_size = &saved_size,
        .in_position = TRUE,
        .completed = finished,
        .ctx = e,
    };

    return host_vswitch_raise(l->host.host, &event);
}

static const struct {
    FWPS_VSWITCH_EVENT_TYPE type;
    unsigned which;
    bool may_pend;
} kinds[] = {
    {FWPS_VSWITCH_EVENT_VSWITCH_CREATE, 0, false},
    {FWPS_VSWITCH_EVENT_VSWITCH_DELETE, 0, false},
    {FWPS_VSWITCH_EVENT_PORT_CREATE, 1, true},
    {FWPS_VSWITCH_EVENT_PORT_DELETE, 1, true},
    {FWPS_VSWITCH_EVENT_INTERFACE_CREATE, 2, false},
    {FWPS_VSWITCH_EVENT_INTERFACE_DELETE, 2, false},
    {FWPS_VSWITCH_EVENT_INTERFACE_CONNECT, 2, false},
    {FWPS_VSWITCH_EVENT_INTERFACE_DISCONNECT, 2, false},
    {FWPS_VSWITCH_EVENT_VSWITCH_NONE, 3, false}, /* reorder */
    {FWPS_VSWITCH_EVENT_POLICY_ADD, 4, true},
    {FWPS_VSWITCH_EVENT_POLICY_UPDATE, 4, true},
    {FWPS_VSWITCH_EVENT_POLICY_DELETE, 4, true},
    {FWPS_VSWITCH_EVENT_RUNTIME_STATE_SAVE, 5, true},
    {FWPS_VSWITCH_EVENT_RUNTIME_STATE_RESTORE, 6, true},
};

static void OTH_10_each_event_has_its_entry(void **state)
{
    struct driver_lab *l = *state;
    struct events e = {.answer = STATUS_SUCCESS}, unwilling = {.answer = STATUS_ACCESS_DENIED}, none = {0};
    const FWPS_VSWITCH_EVENT_DISPATCH_TABLE0 empty = {0};
    UINT32 first = subscribe(l, &e, &table), second = subscribe(l, &none, &empty), third, id;
    unsigned before;

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        before = e.told[kinds[i].which];
        assert_int_equal(raise_event(l, kinds[i].type, &e), STATUS_SUCCESS);
        assert_int_equal(e.told[kinds[i].which], before + 1);
    }
    assert_int_equal(e.finished, 0); /* nobody waited */
    /* a refusal is the event's answer, and the others hear of it all the same */
    third = subscribe(l, &unwilling, &table);
    before = e.told[1];
    assert_int_equal(raise_event(l, FWPS_VSWITCH_EVENT_PORT_CREATE, &e), STATUS_ACCESS_DENIED);
    assert_int_equal(e.told[1], before + 1);
    assert_int_equal(unwilling.told[1], 1);
    FwpsvSwitchEventsUnsubscribe0(first, 0, NULL);
    FwpsvSwitchEventsUnsubscribe0(third, 0, NULL);
    assert_int_equal(raise_event(l, FWPS_VSWITCH_EVENT_PORT_CREATE, &e), STATUS_SUCCESS);
    assert_int_equal(e.told[1], before + 1);
    FwpsvSwitchEventsUnsubscribe0(second, 0, NULL);
    assert_int_equal(FwpsvSwitchEventsSubscribe0(NULL, NULL, 1, NULL, &table, &id), STATUS_INVALID_PARAMETER);
    assert_int_equal(FwpsvSwitchEventsSubscribe0(NULL, NULL, 0, NULL, NULL, &id), STATUS_FWP_NULL_POINTER);
    assert_int_equal(FwpsvSwitchEventsSubscribe0(NULL, NULL, 0, NULL, &table, NULL), STATUS_FWP_NULL_POINTER);
}

static void OTH_10_pending_where_it_may_be(void **state)
{
    struct driver_lab *l = *state;
    struct events e = {.answer = STATUS_PENDING};
    const UINT32 id = subscribe(l, &e, &table);

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        const unsigned notes = l->found[LEDGER_NOTE];

        e.pended = e.finished = 0;
        if (!kinds[i].may_pend) {
            assert_int_equal(raise_event(l, kinds[i].type, &e), STATUS_SUCCESS);
            assert_int_equal(l->found[LEDGER_NOTE], notes + 1);
            continue;
        }
        assert_int_equal(raise_event(l, kinds[i].type, &e), STATUS_PENDING);
        assert_int_equal(e.pended, 1);
        assert_int_equal(e.finished, 0);
        FwpsvSwitchNotifyComplete0(e.completion[0], STATUS_UNSUCCESSFUL, 0, NULL);
        assert_int_equal(e.finished, 1);
        assert_int_equal(e.status, STATUS_UNSUCCESSFUL);
        assert_int_equal(l->found[LEDGER_NOTE], notes);
        FwpsvSwitchNotifyComplete0(e.completion[0], STATUS_SUCCESS, 0, NULL); /* twice */
        assert_int_equal(e.finished, 1);
        assert_int_equal(l->found[LEDGER_NOTE], notes + 1);
    }
    FwpsvSwitchEventsUnsubscribe0(id, 0, NULL);
}

static void OTH_10_it_waits_for_all_of_them(void **state)
{
    struct driver_lab *l = *state;
    struct events a = {.answer = STATUS_PENDING}, b = {.answer = STATUS_PENDING};
    struct events c = {.answer = STATUS_PENDING, .complete_at_once = true};
    const UINT32 ids[] = {subscribe(l, &a, &table), subscribe(l, &b, &table), subscribe(l, &c, &table)};

    assert_int_equal(raise_event(l, FWPS_VSWITCH_EVENT_PORT_CREATE, &a), STATUS_PENDING);
    assert_int_equal(c.told[1], 1); /* it answered before it returned: a refusal */
    FwpsvSwitchNotifyComplete0(a.completion[0], STATUS_SUCCESS, 0, NULL);
    assert_int_equal(a.finished, 0);
    FwpsvSwitchNotifyComplete0(b.completion[0], STATUS_PENDING, 0, NULL); /* is no answer */
    assert_int_equal(a.finished, 0);
    assert_int_equal(l->found[LEDGER_NOTE], 1);
    FwpsvSwitchNotifyComplete0(b.completion[0], STATUS_SUCCESS, 0, NULL);
    assert_int_equal(a.finished, 1);
    assert_int_equal(a.status, STATUS_ACCESS_DENIED);
    /* one that is never completed */
    assert_int_equal(raise_event(l, FWPS_VSWITCH_EVENT_PORT_DELETE, &a), STATUS_PENDING);
    FwpsvSwitchNotifyComplete0(b.completion[1], STATUS_SUCCESS, 0, NULL);
    FwpsvSwitchEventsUnsubscribe0(ids[0], 0, NULL);
    assert_int_equal(a.finished, 2);
    assert_int_equal(l->found[LEDGER_NOTE], 2);
    assert_string_equal(l->last,
                        "a virtual switch's event was pended and never completed: its OID would hang");
    FwpsvSwitchEventsUnsubscribe0(ids[1], 0, NULL);
    FwpsvSwitchEventsUnsubscribe0(ids[2], 0, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, driver_lab_setup, driver_lab_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(OTH_10_each_event_has_its_entry),
        TEST(OTH_10_pending_where_it_may_be),
        TEST(OTH_10_it_waits_for_all_of_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

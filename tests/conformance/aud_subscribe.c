/* SPDX-License-Identifier: Apache-2.0 */
/* AUD-02, 12: who is told of net events, when and by whom. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "bfe/access.h"
#include "events_lab.h"

static void AUD_02_nobody_is_told_while_collection_is_off(void **state)
{
    struct bfe_lab *l = *state;
    FWPM_NET_EVENT_SUBSCRIPTION0 d = {.flags = 0};
    struct bfe_event_subscription *sub;
    struct events_heard h = {0};
    struct traffic t;

    bfe_lab_add_port(l->kernel, 80, FWP_ACTION_BLOCK);
    assert_int_equal(bfe_event_subscribe(l->kernel, &d, 5, (bfe_event_callback)events_on_event, &h, &sub),
                     STATUS_SUCCESS);
    traffic_connection(&t, l);
    for (UINT32 on = 0; on < 2; on++) {
        struct events_audited a = {0};

        assert_int_equal(events_option(l->kernel, FWPM_ENGINE_COLLECT_NET_EVENTS, on), STATUS_SUCCESS);
        assert_int_equal(traffic_classify(&t), FWP_ACTION_BLOCK);
        bfe_notify_flush(l->bfe);
        assert_int_equal(h.count, on);
        assert_int_equal(bfe_audit_set(l->bfe, BFE_AUDIT_CONNECTION, events_on_audit, &a), 0);
        assert_int_equal(traffic_classify(&t),
                         FWP_ACTION_BLOCK); /* another one's wish is no wish of this one's */
        bfe_notify_flush(l->bfe);
        assert_int_equal(a.count, 1);
        assert_int_equal(h.count, 2 * on);
        assert_int_equal(bfe_audit_set(l->bfe, 0, NULL, NULL), 0);
    }
    assert_int_equal(bfe_event_unsubscribe(l->kernel, sub), STATUS_SUCCESS);
}

/* Administrators may do exactly this with net events. */
static void only(struct bfe_lab *l, const char *right)
{
    char sddl[64];
    void *sd;
    size_t size;

    snprintf(sddl, sizeof(sddl), "D:P(A;;%s;;;BA)", right);
    assert_int_equal(security_sddl_parse(sddl, &sd, &size, NULL), 0);
    assert_int_equal(
        bfe_security_set(l->kernel, BFE_NET_EVENT, NULL,
                         DACL_SECURITY_INFORMATION | PROTECTED_DACL_SECURITY_INFORMATION, NULL, NULL,
                         (const ACL *)((UINT8 *)sd + ((SECURITY_DESCRIPTOR_RELATIVE *)sd)->Dacl)),
        STATUS_SUCCESS);
    free(sd);
}

static void AUD_12_events_come_asynchronously_to_those_who_may_read(void **state)
{
    struct bfe_lab *l = *state;
    struct bfe_session *user = bfe_lab_session(l, BFE_LAB_USER, 0, 0);
    FWPM_FILTER_CONDITION0 c = bfe_lab_condition(&FWPM_CONDITION_IP_REMOTE_PORT, FWP_MATCH_EQUAL,
                                                 (FWP_CONDITION_VALUE0){.type = FWP_UINT16, .uint16 = 80});
    FWPM_NET_EVENT_ENUM_TEMPLATE0 tmpl = {.numFilterConditions = 1, .filterCondition = &c};
    FWPM_NET_EVENT_SUBSCRIPTION0 d = {.enumTemplate = &tmpl}, flagged = {.flags = 1}, **list;
    struct bfe_event_subscription *sub;
    struct events_heard h = {0};
    struct traffic t;
    UINT32 count;

    bfe_lab_add_port(l->kernel, 0, FWP_ACTION_BLOCK);
    assert_int_equal(bfe_event_subscribe(user, NULL, 5, (bfe_event_callback)events_on_event, &h, &sub),
                     STATUS_FWP_NULL_POINTER);
    assert_int_equal(bfe_event_subscribe(user, &flagged, 5, (bfe_event_callback)events_on_event, &h, &sub),
                     STATUS_FWP_INVALID_FLAGS);
    assert_int_equal(bfe_event_subscribe(user, &d, 5, (bfe_event_callback)events_on_event, &h, &sub),
                     STATUS_SUCCESS);
    assert_int_equal(bfe_subscriptions_get(user, BFE_NET_EVENT, (void ***)&list, &count), STATUS_SUCCESS);
    assert_int_equal(count, 1);
    assert_int_equal(list[0]->enumTemplate->filterCondition[0].conditionValue.uint16, 80);
    bfe_free(list);
    traffic_connection(&t, l);
    traffic_classify(&t);
    traffic_value(&t, &FWPM_CONDITION_IP_REMOTE_PORT)->uint16 = 81; /* the template does not want it */
    traffic_classify(&t);
    bfe_notify_flush(l->bfe);
    assert_int_equal(h.count, 1);

    /* the right to read is asked when an event is delivered */
    only(l, "0x200"); /* SUBSCRIBE */
    traffic_value(&t, &FWPM_CONDITION_IP_REMOTE_PORT)->uint16 = 80;
    traffic_classify(&t);
    bfe_notify_flush(l->bfe);
    assert_int_equal(h.count, 1);
    assert_int_equal(bfe_event_unsubscribe(l->kernel, sub), STATUS_INVALID_HANDLE); /* another session's */
    assert_int_equal(bfe_event_unsubscribe(user, sub), STATUS_SUCCESS);
    assert_int_equal(bfe_event_unsubscribe(user, sub), STATUS_INVALID_HANDLE);
    /* the right to subscribe when it is subscribed */
    assert_int_equal(bfe_event_subscribe(user, &d, 5, (bfe_event_callback)events_on_event, &h, &sub),
                     STATUS_SUCCESS);
    assert_int_equal(bfe_event_unsubscribe(user, sub), STATUS_SUCCESS);
    only(l, "0x80"); /* READ */
    assert_int_equal(bfe_event_subscribe(user, &d, 5, (bfe_event_callback)events_on_event, &h, &sub),
                     STATUS_ACCESS_DENIED);
    bfe_session_close(user);
}

struct classifier {
    struct bfe_lab *l;
    struct engine_reader *reader;
};

static void classify_many(void *arg)
{
    struct classifier *c = arg;
    struct traffic t;

    traffic_connection(&t, c->l);
    struct engine_request q = {.values = &t.incoming, .metadata = &t.metadata};
    for (unsigned i = 0; i < 2000; i++)
        engine_classify(c->reader, &q, &t.verdict);
}

static void AUD_12_classifying_threads_and_subscribers_side_by_side(void **state)
{
    struct bfe_lab *l = *state;
    struct classifier c[2];
    struct rt_thread *threads[2];
    FWPM_NET_EVENT_SUBSCRIPTION0 d = {0};
    struct bfe_event_subscription *sub;
    struct events_audited a = {0};
    struct events_heard h = {0};

    bfe_lab_add_port(l->kernel, 80, FWP_ACTION_BLOCK);
    for (unsigned i = 0; i < 2; i++) {
        c[i].l = l;
        assert_int_equal(engine_reader_create(l->engine, &c[i].reader), 0);
        assert_int_equal(rt_thread_start("classify", classify_many, &c[i], &threads[i]), 0);
    }
    for (unsigned i = 0; i < 50; i++) {
        assert_int_equal(bfe_event_subscribe(l->kernel, &d, 5, (bfe_event_callback)events_on_event, &h, &sub),
                         STATUS_SUCCESS);
        assert_int_equal(bfe_audit_set(l->bfe, i % 2 ? BFE_AUDIT_CONNECTION : 0, events_on_audit, &a), 0);
        assert_true(events_count(l) <= 150);
        assert_int_equal(bfe_event_unsubscribe(l->kernel, sub), STATUS_SUCCESS);
    }
    assert_int_equal(bfe_audit_set(l->bfe, 0, NULL, NULL), 0);
    for (unsigned i = 0; i < 2; i++) {
        rt_thread_join(threads[i]);
        engine_reader_destroy(c[i].reader);
    }
    assert_in_range(events_count(l), 100, 150);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, bfe_lab_setup, bfe_lab_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(AUD_02_nobody_is_told_while_collection_is_off),
        TEST(AUD_12_events_come_asynchronously_to_those_who_may_read),
        TEST(AUD_12_classifying_threads_and_subscribers_side_by_side),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

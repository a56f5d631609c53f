/* SPDX-License-Identifier: Apache-2.0 */
/* OBJ-38 and the rules of objects through the exported functions: kernel and user flavour in one program. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "api/api.h"
#include "api_side.h"
#include "bfe/subscribe.h"
#include "bfe_lab.h"
#include "winerror.h"

static const struct api_side *const sides[] = {&api_kernel_side, &api_user_side};

/* The lab with a context for its engine, current in this thread. */
struct fixture {
    struct bfe_lab lab;
    struct api_context *context;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    bfe_lab_open(&f->lab, NULL);
    struct api_config config = {.engine = f->lab.engine, .bfe = f->lab.bfe, .user_name = u"alice"};
    if (api_context_create(&config, &f->context))
        return -1;
    api_set_current(f->context);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    api_set_current(NULL);
    api_context_destroy(f->context);
    bfe_lab_close(&f->lab);
    free(f);
    return 0;
}

static HANDLE open_side(const struct api_side *side, UINT32 flags)
{
    FWPM_SESSION0 s = {.flags = flags};
    HANDLE h = NULL;

    assert_int_equal(side->open(&s, &h), 0);
    assert_non_null(h);
    return h;
}

/* The code that each flavour returns. */
#define EXPECT(call, status, win32)                                                                          \
    assert_int_equal(call, side == &api_kernel_side ? (UINT32)(status) : (UINT32)(win32))
#define EACH_SIDE                                                                                            \
    const struct api_side *side = sides[0];                                                                  \
    for (size_t side_ = 0; side_ < 2; side_++, side = sides[side_ % 2])

static void OBJ_38_every_status_has_its_win32_code(void **state)
{
    unsigned pairs = 0;

    (void)state;
    for (UINT32 code = 1; code <= 0xff; code++) {
        const char *status = engine_status_name(0xC0220000u | code),
                   *win32 = engine_status_name(0x80320000u | code);
        if (!win32)
            continue;
        assert_non_null(status);
        assert_string_equal(status + strlen("STATUS_FWP_"), win32 + strlen("FWP_E_"));
        assert_int_equal(api_win32((NTSTATUS)(0xC0220000u | code)), 0x80320000u | code);
        pairs++;
    }
    assert_true(pairs >= 0x44);
    assert_int_equal(api_win32(STATUS_SUCCESS), ERROR_SUCCESS);
    assert_int_equal(api_win32(STATUS_ACCESS_DENIED), ERROR_ACCESS_DENIED);
    assert_int_equal(api_win32(STATUS_INVALID_HANDLE), ERROR_INVALID_HANDLE);
    assert_int_equal(api_win32(STATUS_NOT_SUPPORTED), ERROR_NOT_SUPPORTED);
    assert_int_equal(api_win32(STATUS_NO_MEMORY), ERROR_NOT_ENOUGH_MEMORY);
    assert_int_equal(api_win32(STATUS_FWP_DROP_NOICMP), (UINT32)FWP_E_DROP_NOICMP);
    assert_int_equal(api_win32((NTSTATUS)0xC0000999), ERROR_MR_MID_NOT_FOUND);
}

static void OBJ_38_one_rule_two_codes(void **state)
{
    struct fixture *fx = *state;
    GUID unknown = bfe_lab_guid(99), key = bfe_lab_guid(1), callout = bfe_lab_guid(2);

    EACH_SIDE
    {
        HANDLE h = open_side(side, 0);
        FWPM_PROVIDER0 p = bfe_lab_provider(&key);
        FWPM_CALLOUT0 c = bfe_lab_callout(&callout, &FWPM_LAYER_ALE_AUTH_CONNECT_V4);
        FWPM_FILTER0 f = bfe_lab_filter(&FWPM_LAYER_ALE_AUTH_CONNECT_V4, FWP_ACTION_CALLOUT_TERMINATING),
                     *got;
        UINT32 callout_id;
        UINT64 id;

        EXPECT(side->filter_get_by_id(h, 4711, &got), STATUS_FWP_FILTER_NOT_FOUND, FWP_E_FILTER_NOT_FOUND);
        EXPECT(side->provider_delete(h, &unknown), STATUS_FWP_PROVIDER_NOT_FOUND, FWP_E_PROVIDER_NOT_FOUND);
        EXPECT(side->commit(h), STATUS_FWP_NO_TXN_IN_PROGRESS, FWP_E_NO_TXN_IN_PROGRESS);
        EXPECT(side->begin(h, 0), 0, 0);
        EXPECT(side->begin(h, 0), STATUS_FWP_TXN_IN_PROGRESS, FWP_E_TXN_IN_PROGRESS);
        EXPECT(side->provider_add(h, &p, NULL), 0, 0);
        EXPECT(side->provider_add(h, &p, NULL), STATUS_FWP_ALREADY_EXISTS, FWP_E_ALREADY_EXISTS);
        EXPECT(side->abort(h), 0, 0);
        EXPECT(side->provider_add(h, NULL, NULL), STATUS_FWP_NULL_POINTER, FWP_E_NULL_POINTER);
        p.displayData.name = NULL;
        EXPECT(side->provider_add(h, &p, NULL), STATUS_FWP_NULL_DISPLAY_NAME, FWP_E_NULL_DISPLAY_NAME);
        EXPECT(side->provider_delete(h, &FWPM_PROVIDER_IKEEXT), STATUS_FWP_BUILTIN_OBJECT,
               FWP_E_BUILTIN_OBJECT);
        EXPECT(side->callout_add(h, &c, NULL, &callout_id), 0, 0);
        f.action.calloutKey = callout;
        EXPECT(side->filter_add(h, &f, NULL, &id), 0, 0);
        EXPECT(side->callout_delete_by_id(h, callout_id), STATUS_FWP_IN_USE, FWP_E_IN_USE);
        EXPECT(side->filter_get_by_id(h, id, NULL), STATUS_FWP_NULL_POINTER, FWP_E_NULL_POINTER);
        EXPECT(side->filter_get_by_key(h, NULL, &got), STATUS_FWP_NULL_POINTER, FWP_E_NULL_POINTER);
        EXPECT(side->filter_delete_by_id(h, id), 0, 0);
        EXPECT(side->callout_delete_by_id(h, callout_id), 0, 0);
        EXPECT(side->tunnel_delete(h, &key), STATUS_NOT_SUPPORTED, ERROR_NOT_SUPPORTED);
        EXPECT(side->close(h), 0, 0);
    }
    (void)fx;
}

static void OBJ_37_the_user_flavour_is_checked_the_kernels_is_not(void **state)
{
    struct fixture *fx = *state;
    UINT8 user[28];
    struct security_token *ordinary;
    struct api_context *c;
    GUID key = bfe_lab_guid(1);

    assert_int_equal(security_sid_parse("S-1-5-21-1-2-3-1001", (SID *)user, sizeof(user)), 0);
    assert_int_equal(security_token_plain_user((SID *)user, &ordinary), 0);
    struct api_config config = {.engine = fx->lab.engine, .bfe = fx->lab.bfe, .token = ordinary};
    assert_int_equal(api_context_create(&config, &c), 0);
    api_set_current(c);
    EACH_SIDE
    {
        HANDLE h = open_side(side, 0), e; /* everyone may open */
        FWPM_PROVIDER0 p = bfe_lab_provider(&key);
        EXPECT(side->provider_add(h, &p, NULL), 0, ERROR_ACCESS_DENIED);
        EXPECT(side->begin(h, 0), 0, ERROR_ACCESS_DENIED);
        EXPECT(side->filter_enum_create(h, NULL, &e), 0, ERROR_ACCESS_DENIED);
        EXPECT(side->close(h), 0, 0);
    }
    api_set_current(fx->context); /* the local administrator */
    HANDLE h = open_side(&api_user_side, 0);
    assert_int_equal(api_user_side.begin(h, 0), ERROR_SUCCESS);
    assert_int_equal(api_user_side.close(h), ERROR_SUCCESS);
    api_context_destroy(c);
    security_token_destroy(ordinary);
}

static void OBJ_03_close_is_harmless_and_old_handles_are_errors(void **state)
{
    struct fixture *fx = *state;
    GUID key = bfe_lab_guid(1);

    EACH_SIDE
    {
        HANDLE h, other;
        EXPECT(side->close(NULL), 0, 0);
        h = open_side(side, 0);
        EXPECT(side->close(h), 0, 0);
        EXPECT(side->close(h), STATUS_INVALID_HANDLE, ERROR_INVALID_HANDLE);
        EXPECT(side->begin(h, 0), STATUS_INVALID_HANDLE, ERROR_INVALID_HANDLE);
        other = open_side(side, 0); /* takes the same slot, but not the same number */
        assert_ptr_not_equal(h, other);
        EXPECT(side->begin(h, 0), STATUS_INVALID_HANDLE, ERROR_INVALID_HANDLE);
        EXPECT(side->begin((HANDLE)(intptr_t)-1, 0), STATUS_INVALID_HANDLE, ERROR_INVALID_HANDLE);
        EXPECT(side->begin((HANDLE)0x7fffdeadbeef, 0), STATUS_INVALID_HANDLE, ERROR_INVALID_HANDLE);
        EXPECT(side->begin(&key, 0), STATUS_INVALID_HANDLE, ERROR_INVALID_HANDLE);
        EXPECT(side->begin(NULL, 0), STATUS_INVALID_HANDLE, ERROR_INVALID_HANDLE);
        /* a handle of one flavour is none of the other's */
        assert_int_equal(sides[1 - side_]->begin(other, 0),
                         side_ ? (UINT32)STATUS_INVALID_HANDLE : ERROR_INVALID_HANDLE);

        /* the service stops: the session is aborted, but must still be closed */
        assert_int_equal(bfe_stop(fx->lab.bfe), 0);
        EXPECT(side->begin(other, 0), STATUS_FWP_SESSION_ABORTED, FWP_E_SESSION_ABORTED);
        HANDLE none = (HANDLE)1;
        EXPECT(side->open(NULL, &none), STATUS_DEVICE_NOT_READY, ERROR_NOT_READY);
        assert_null(none);
        assert_int_equal(bfe_start(fx->lab.bfe), 0);
        EXPECT(side->begin(other, 0), STATUS_FWP_SESSION_ABORTED, FWP_E_SESSION_ABORTED);
        EXPECT(side->close(other), 0, 0);
    }
}

static void OBJ_01_what_opening_asks(void **state)
{
    GUID key = bfe_lab_guid(7);

    (void)state;
    EACH_SIDE
    {
        FWPM_SESSION0 s = {.sessionKey = key}, odd = {.flags = 0x40};
        HANDLE h, again;
        EXPECT(side->open_with(u"server", RPC_C_AUTHN_WINNT, &h), STATUS_INVALID_PARAMETER,
               ERROR_INVALID_PARAMETER);
        EXPECT(side->open_with(NULL, 9, &h), STATUS_NOT_SUPPORTED, ERROR_NOT_SUPPORTED);
        EXPECT(side->open_with(NULL, RPC_C_AUTHN_DEFAULT, NULL), STATUS_FWP_NULL_POINTER, FWP_E_NULL_POINTER);
        EXPECT(side->open_with(NULL, RPC_C_AUTHN_DEFAULT, &h), 0, 0);
        EXPECT(side->close(h), 0, 0);
        EXPECT(side->open(&odd, &h), STATUS_FWP_INVALID_FLAGS, FWP_E_INVALID_FLAGS);
        EXPECT(side->open(&s, &h), 0, 0);
        EXPECT(side->open(&s, &again), STATUS_FWP_ALREADY_EXISTS, FWP_E_ALREADY_EXISTS);
        EXPECT(side->close(h), 0, 0);
        api_set_current(NULL); /* no engine is current here */
        EXPECT(side->open(&s, &h), STATUS_DEVICE_NOT_READY, ERROR_NOT_READY);
        api_set_current(((struct fixture *)*state)->context);
    }
}

static void OBJ_02_a_client_that_dies_leaves_no_dynamic_objects(void **state)
{
    struct fixture *fx = *state;

    EACH_SIDE
    {
        struct api_config config = {.engine = fx->lab.engine, .bfe = fx->lab.bfe};
        struct api_context *client;
        FWPM_FILTER0 f = bfe_lab_filter(&FWPM_LAYER_ALE_AUTH_CONNECT_V4, FWP_ACTION_BLOCK);
        UINT64 id;
        assert_int_equal(api_context_create(&config, &client), 0);
        api_set_current(client);
        HANDLE h = open_side(side, FWPM_SESSION_FLAG_DYNAMIC);
        EXPECT(side->filter_add(h, &f, NULL, &id), 0, 0);
        assert_true(bfe_lab_has(fx->lab.kernel, id));
        api_set_current(fx->context);
        api_context_destroy(client); /* without closing */
        assert_false(bfe_lab_has(fx->lab.kernel, id));
    }
}

static void OBJ_34_pages_through_both_flavours(void **state)
{
    (void)state;
    EACH_SIDE
    {
        HANDLE h = open_side(side, FWPM_SESSION_FLAG_DYNAMIC), e;
        FWPM_FILTER0 f = bfe_lab_filter(&FWPM_LAYER_ALE_AUTH_CONNECT_V4, FWP_ACTION_BLOCK), **page;
        FWPM_FILTER_ENUM_TEMPLATE0 never = {0};
        FWPM_CALLOUT0 **callouts;
        FWPM_SESSION0 **sessions;
        UINT32 count;

        for (unsigned i = 0; i < 5; i++)
            EXPECT(side->filter_add(h, &f, NULL, NULL), 0, 0);
        EXPECT(side->filter_enum_create(h, &never, &e), STATUS_FWP_NEVER_MATCH, FWP_E_NEVER_MATCH);
        EXPECT(side->filter_enum_create(h, NULL, NULL), STATUS_FWP_NULL_POINTER, FWP_E_NULL_POINTER);
        EXPECT(side->filter_enum_create(h, NULL, &e), 0, 0);
        EXPECT(side->callout_enum(h, e, 1, &callouts, &count), STATUS_INVALID_HANDLE, ERROR_INVALID_HANDLE);
        EXPECT(side->filter_enum(h, e, 3, &page, &count), 0, 0);
        assert_int_equal(count, 3);
        assert_int_equal(page[2]->action.type, FWP_ACTION_BLOCK);
        side->free_memory((void **)&page);
        assert_null(page);
        side->free_memory((void **)&page); /* again is harmless, as is NULL */
        side->free_memory(NULL);
        EXPECT(side->filter_enum(h, e, 3, &page, &count), 0, 0);
        assert_int_equal(count, 2);
        side->free_memory((void **)&page);
        EXPECT(side->filter_enum_destroy(h, e), 0, 0);
        EXPECT(side->filter_enum_destroy(h, e), STATUS_INVALID_HANDLE, ERROR_INVALID_HANDLE);
        EXPECT(side->filter_enum_destroy(h, NULL), STATUS_INVALID_HANDLE, ERROR_INVALID_HANDLE);

        EXPECT(side->session_enum_create(h, NULL, &e), 0, 0);
        EXPECT(side->session_enum(h, e, 100, &sessions, &count), 0, 0);
        bool found = false;
        for (UINT32 i = 0; i < count; i++) {
            if (sessions[i]->flags != FWPM_SESSION_FLAG_DYNAMIC)
                continue;
            found = true;
            assert_int_equal(sessions[i]->kernelMode, side == &api_kernel_side);
            assert_true(sessions[i]->processId != 0);
            assert_int_equal(sessions[i]->sid->SubAuthority[0], 18);
            assert_memory_equal(sessions[i]->username, u"alice", sizeof(u"alice"));
        }
        assert_true(found);
        side->free_memory((void **)&sessions);
        EXPECT(side->session_enum_destroy(h, e), 0, 0);
        EXPECT(side->close(h), 0, 0);
    }
}

static void OBJ_37_descriptors_absolute_and_self_relative(void **state)
{
    static const char sddl[] = "O:BAG:SYD:P(A;;CC;;;WD)(D;;DC;;;AN)";
    void *sd;
    size_t size;

    (void)state;
    assert_int_equal(security_sddl_parse(sddl, &sd, &size, NULL), 0);
    SECURITY_DESCRIPTOR_RELATIVE *r = sd;
    SECURITY_DESCRIPTOR absolute = {.Revision = 1,
                                    .Control = r->Control & (USHORT)~SE_SELF_RELATIVE,
                                    .Owner = (UINT8 *)sd + r->Owner,
                                    .Group = (UINT8 *)sd + r->Group,
                                    .Dacl = (PACL)((UINT8 *)sd + r->Dacl)};
    PSECURITY_DESCRIPTOR forms[] = {sd, &absolute};
    EACH_SIDE
    {
        for (unsigned i = 0; i < 2; i++) {
            HANDLE h = open_side(side, FWPM_SESSION_FLAG_DYNAMIC);
            FWPM_FILTER0 f = bfe_lab_filter(&FWPM_LAYER_ALE_AUTH_CONNECT_V4, FWP_ACTION_BLOCK);
            PSECURITY_DESCRIPTOR got = NULL;
            PSID owner, group;
            PACL dacl, sacl;
            f.filterKey = bfe_lab_guid(8);
            EXPECT(side->filter_add(h, &f, forms[i], NULL), 0, 0);
            if (side == &api_kernel_side) { /* the descriptor lets nobody read it, not even administrators */
                assert_int_equal(side->filter_security_get(h, &f.filterKey,
                                                           OWNER_SECURITY_INFORMATION |
                                                               GROUP_SECURITY_INFORMATION |
                                                               DACL_SECURITY_INFORMATION,
                                                           &owner, &group, &dacl, &sacl, &got),
                                 0);
                assert_int_equal(dacl->AceCount, 2);
                assert_true(security_sid_equal(owner, (SID *)((UINT8 *)sd + r->Owner)));
                assert_true(security_sid_equal(group, (SID *)((UINT8 *)sd + r->Group)));
                side->free_memory(&got);
            } else { /* ... but the owner, who is one */
                assert_int_equal(side->filter_security_get(h, &f.filterKey, DACL_SECURITY_INFORMATION, NULL,
                                                           NULL, &dacl, NULL, &got),
                                 0);
                side->free_memory(&got);
                FWPM_FILTER0 *read;
                assert_int_equal(side->filter_get_by_key(h, &f.filterKey, &read), ERROR_ACCESS_DENIED);
            }
            EXPECT(side->filter_security_set(h, NULL, DACL_SECURITY_INFORMATION, NULL, NULL, NULL, NULL),
                   STATUS_FWP_DYNAMIC_SESSION_IN_PROGRESS, FWP_E_DYNAMIC_SESSION_IN_PROGRESS);
            EXPECT(
                side->filter_security_get(h, NULL, DACL_SECURITY_INFORMATION, NULL, NULL, NULL, NULL, NULL),
                STATUS_FWP_NULL_POINTER, FWP_E_NULL_POINTER);
            EXPECT(side->close(h), 0, 0);
        }
    }
    absolute.Owner = (PSID) "\x09\x00\x00\x00";
    HANDLE h = open_side(&api_kernel_side, 0);
    FWPM_FILTER0 f = bfe_lab_filter(&FWPM_LAYER_ALE_AUTH_CONNECT_V4, FWP_ACTION_BLOCK);
    assert_int_equal(api_kernel_side.filter_add(h, &f, &absolute, NULL),
                     (UINT32)STATUS_INVALID_SECURITY_DESCR);
    free(sd);
}

static void OBJ_36_refused_inside_a_transaction_in_both_flavours(void **state)
{
    (void)state;
    EACH_SIDE
    {
        HANDLE h = open_side(side, 0);
        EXPECT(side->begin(h, 0), 0, 0);
        EXPECT(side->filter_security_set(h, NULL, DACL_SECURITY_INFORMATION, NULL, NULL, NULL, NULL),
               STATUS_FWP_TXN_IN_PROGRESS, FWP_E_TXN_IN_PROGRESS);
        EXPECT(side->close(h), 0, 0);
    }
}

static void OBJ_18_provider_contexts_in_older_versions(void **state)
{
    FWPM_CLASSIFY_OPTION0 option = {FWP_CLASSIFY_OPTION_MULTICAST_STATE, {.type = FWP_UINT32, .uint32 = 1}};
    FWPM_NETWORK_CONNECTION_POLICY_SETTING0 setting = {FWP_NETWORK_CONNECTION_POLICY_SOURCE_ADDRESS,
                                                       {.type = FWP_UINT32, .uint32 = 1}};
    FWPM_NETWORK_CONNECTION_POLICY_SETTINGS0 settings = {1, &setting};
    FWPM_CLASSIFY_OPTIONS0 options = {1, &option};

    (void)state;
    EACH_SIDE
    {
        HANDLE h = open_side(side, FWPM_SESSION_FLAG_DYNAMIC);
        FWPM_PROVIDER_CONTEXT0 old = {.displayData = {.name = (WCHAR *)u"c"},
                                      .type = FWPM_CLASSIFY_OPTIONS_CONTEXT,
                                      .classifyOptions = &options},
                               *seen;
        FWPM_PROVIDER_CONTEXT3 now = {.displayData = {.name = (WCHAR *)u"c"},
                                      .type = FWPM_NETWORK_CONNECTION_POLICY_CONTEXT,
                                      .networkConnectionPolicy = &settings},
                               *full;
        UINT64 id;

        EXPECT(side->context_add0(h, &old, NULL, &id), 0, 0);
        EXPECT(side->context_get3(h, id, &full), 0, 0);
        assert_int_equal(full->classifyOptions->options[0].value.uint32, 1);
        side->free_memory((void **)&full);
        EXPECT(side->context_add3(h, &now, NULL, &id), 0, 0);
        EXPECT(side->context_get0(h, id, &seen), 0,
               0); /* what version 0 does not know is marked and left out */
        assert_true(seen->flags & FWPM_PROVIDER_CONTEXT_FLAG_DOWNLEVEL);
        assert_null(seen->dataBuffer);
        assert_int_equal(seen->providerContextId, id);
        side->free_memory((void **)&seen);
        old.type = FWPM_NETWORK_CONNECTION_POLICY_CONTEXT;
        EXPECT(side->context_add0(h, &old, NULL, &id), STATUS_FWP_INVALID_ENUMERATOR,
               FWP_E_INVALID_ENUMERATOR);
        old.type = FWPM_IPSEC_KEYING_CONTEXT;
        EXPECT(side->context_add0(h, &old, NULL, &id), STATUS_NOT_SUPPORTED, ERROR_NOT_SUPPORTED);
        EXPECT(side->close(h), 0, 0);
    }
}

/* ---- what user programs alone have
 * ------------------------------------------------------------------------------------ */

struct heard {
    _Atomic unsigned count;
    FWPM_FILTER_CHANGE0 change;
    UINT32 inside; /* what a call from the callback returned */
    HANDLE engine;
};

static void on_filter(void *context, const FWPM_FILTER_CHANGE0 *change)
{
    struct heard *h = context;
    FWPM_FILTER0 *f;

    h->change = *change;
    /* the callback's thread has the subscriber's context, so that the API works there */
    h->inside = api_user_side.filter_get_by_key(h->engine, &change->filterKey, &f);
    if (!h->inside)
        api_user_side.free_memory((void **)&f);
    h->count++;
}

static void OBJ_35_subscriptions_through_the_api(void **state)
{
    struct fixture *fx = *state;
    HANDLE h = open_side(&api_user_side, 0), change = NULL;
    FWPM_FILTER_SUBSCRIPTION0 d = {.flags = FWPM_SUBSCRIPTION_FLAG_NOTIFY_ON_ADD};
    struct heard heard = {.engine = h, .inside = 99};

    assert_int_equal(api_user_only.filter_subscribe(h, &d, on_filter, &heard, NULL),
                     (UINT32)FWP_E_NULL_POINTER);
    assert_int_equal(api_user_only.filter_subscribe(h, NULL, on_filter, &heard, &change),
                     (UINT32)FWP_E_NULL_POINTER);
    assert_int_equal(api_user_only.filter_subscribe(h, &d, on_filter, &heard, &change), ERROR_SUCCESS);
    UINT64 id = bfe_lab_add_port(fx->lab.kernel, 5, FWP_ACTION_BLOCK);
    bfe_notify_flush(fx->lab.bfe);
    assert_int_equal(heard.count, 1);
    assert_int_equal(heard.change.filterId, id);
    assert_int_equal(heard.inside, ERROR_SUCCESS);
    assert_int_equal(api_user_only.filter_unsubscribe(h, change), ERROR_SUCCESS);
    assert_int_equal(api_user_only.filter_unsubscribe(h, change), ERROR_INVALID_HANDLE);
    assert_int_equal(api_user_side.close(h), ERROR_SUCCESS);
}

static void on_event(void *context, const FWPM_NET_EVENT1 *event)
{
    struct heard *h = context;

    h->change.filterId = event->classifyDrop->filterId;
    h->count++;
}

static void AUD_12_net_events_through_the_api(void **state)
{
    struct fixture *fx = *state;
    HANDLE h = open_side(&api_user_side, 0), sub = NULL, e;
    FWPM_NET_EVENT_SUBSCRIPTION0 d = {0};
    struct heard heard = {0};
    FWPM_NET_EVENT0 **events;
    FWP_ACTION_TYPE action;
    FWP_VALUE0 *value, off = {.type = FWP_UINT32};
    UINT32 count;
    UINT64 id = bfe_lab_add_port(fx->lab.kernel, 0, FWP_ACTION_BLOCK);

    assert_int_equal(api_user_only.event_subscribe0(h, &d, on_event, &heard, &sub), ERROR_SUCCESS);
    bfe_lab_decider(&fx->lab, 5, &action);
    bfe_notify_flush(fx->lab.bfe);
    assert_int_equal(heard.count, 1);
    assert_int_equal(heard.change.filterId, id);
    assert_int_equal(api_user_only.event_unsubscribe(h, sub), ERROR_SUCCESS);
    EACH_SIDE
    {
        HANDLE k = open_side(side, 0);
        EXPECT(side->event_enum_create(k, NULL, &e), 0, 0);
        EXPECT(side->event_enum0(k, e, 10, &events, &count), 0, 0);
        assert_int_equal(count, 1);
        assert_int_equal(events[0]->classifyDrop->filterId, id);
        side->free_memory((void **)&events);
        EXPECT(side->event_enum_destroy(k, e), 0, 0);
        EXPECT(side->option_get(k, FWPM_ENGINE_COLLECT_NET_EVENTS, &value), 0, 0);
        assert_int_equal(value->uint32, 1);
        side->free_memory((void **)&value);
        EXPECT(side->option_set(k, FWPM_ENGINE_COLLECT_NET_EVENTS, &off), 0, 0);
        EXPECT(side->event_enum_create(k, NULL, &e), STATUS_FWP_NET_EVENTS_DISABLED,
               FWP_E_NET_EVENTS_DISABLED);
        off.uint32 = 1;
        EXPECT(side->option_set(k, FWPM_ENGINE_COLLECT_NET_EVENTS, &off), 0, 0); /* empties the log */
        off.uint32 = 0;
        bfe_lab_decider(&fx->lab, 5, &action);
        EXPECT(side->close(k), 0, 0);
    }
    assert_int_equal(api_user_side.close(h), ERROR_SUCCESS);
}

static void MATCH_16_the_app_id_of_a_file(void **state)
{
    static const WCHAR sh[] = u"/bin/../bin/sh", missing[] = u"/no/such/Program",
                       windows[] = u"C:\\Dir\\App.EXE";
    static const WCHAR lone[] = {'/', 0xd800, 0};
    FWP_BYTE_BLOB *id = NULL;
    char *real = realpath("/bin/sh", NULL);

    (void)state;
    assert_int_equal(api_user_only.app_id(sh, &id), ERROR_SUCCESS);
    assert_int_equal(id->size, 2 * (strlen(real) + 1));
    for (size_t i = 0; i <= strlen(real); i++)
        assert_int_equal(((const UINT16 *)id->data)[i],
                         real[i] >= 'A' && real[i] <= 'Z' ? real[i] + 32 : real[i]);
    api_user_side.free_memory((void **)&id);
    assert_int_equal(api_user_only.app_id(missing, &id), ERROR_FILE_NOT_FOUND);
    assert_null(id);
    assert_int_equal(api_user_only.app_id(windows, &id),
                     ERROR_SUCCESS); /* another machine's: only normalised */
    assert_memory_equal(id->data, u"c:\\dir\\app.exe", sizeof(u"c:\\dir\\app.exe"));
    api_user_side.free_memory((void **)&id);
    assert_int_equal(api_user_only.app_id(lone, &id), (UINT32)FWP_E_INVALID_PARAMETER);
    assert_int_equal(api_user_only.app_id(NULL, &id), (UINT32)FWP_E_NULL_POINTER);
    assert_int_equal(api_user_only.app_id(sh, NULL), (UINT32)FWP_E_NULL_POINTER);
    free(real);
}

static void OBJ_38_what_is_not_supported_says_so(void **state)
{
    FWPM_SYSTEM_PORTS0 *ports;

    (void)state;
    assert_int_equal(api_user_only.system_ports(NULL, &ports), ERROR_NOT_SUPPORTED);
}

/* ---- closing under other threads
 * ------------------------------------------------------------------------------------------ */

struct caller {
    struct api_context *context;
    HANDLE handle;
    _Atomic unsigned *running;
    _Atomic UINT32 last;
};

static void call_until_closed(void *arg)
{
    struct caller *c = arg;
    FWPM_LAYER0 *layer;

    api_set_current(c->context);
    ++*c->running;
    do {
        c->last = api_kernel_side.layer_get_by_id(c->handle, 48, &layer);
        if (!c->last)
            api_kernel_side.free_memory((void **)&layer);
    } while (!c->last);
}

static void OBJ_01_closing_a_handle_while_others_call_on_it(void **state)
{
    struct fixture *fx = *state;

    for (unsigned round = 0; round < 20; round++) {
        struct caller callers[3];
        struct rt_thread *threads[3];
        _Atomic unsigned running = 0;
        HANDLE h = open_side(&api_kernel_side, 0);
        for (unsigned i = 0; i < 3; i++) {
            callers[i] = (struct caller){.context = fx->context, .handle = h, .running = &running};
            assert_int_equal(rt_thread_start("caller", call_until_closed, &callers[i], &threads[i]), 0);
        }
        while (running < 3)
            ;
        assert_int_equal(api_kernel_side.close(h), 0);
        for (unsigned i = 0; i < 3; i++) {
            rt_thread_join(threads[i]);
            assert_true(callers[i].last == (UINT32)STATUS_INVALID_HANDLE ||
                        callers[i].last == (UINT32)STATUS_FWP_SESSION_ABORTED);
        }
    }
}

static void wait_for_lock(void *arg)
{
    struct caller *c = arg;

    api_set_current(c->context);
    ++*c->running;
    c->last = api_user_side.begin(c->handle, 0);
}

static void OBJ_01_closing_wakes_a_call_that_waits(void **state)
{
    struct fixture *fx = *state;
    _Atomic unsigned running = 0;
    struct caller c = {.context = fx->context, .handle = open_side(&api_user_side, 0), .running = &running};
    struct rt_thread *thread;

    assert_int_equal(bfe_txn_begin(fx->lab.kernel, 0), STATUS_SUCCESS); /* holds the lock */
    assert_int_equal(rt_thread_start("waiter", wait_for_lock, &c, &thread), 0);
    rt_clock_manual_await(fx->lab.clock, 1); /* it waits, and its clock stands still */
    assert_int_equal(api_user_side.close(c.handle), ERROR_SUCCESS);
    rt_thread_join(thread);
    assert_int_equal(c.last, (UINT32)FWP_E_SESSION_ABORTED);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(OBJ_38_every_status_has_its_win32_code),
        TEST(OBJ_38_one_rule_two_codes),
        TEST(OBJ_37_the_user_flavour_is_checked_the_kernels_is_not),
        TEST(OBJ_03_close_is_harmless_and_old_handles_are_errors),
        TEST(OBJ_01_what_opening_asks),
        TEST(OBJ_02_a_client_that_dies_leaves_no_dynamic_objects),
        TEST(OBJ_34_pages_through_both_flavours),
        TEST(OBJ_37_descriptors_absolute_and_self_relative),
        TEST(OBJ_36_refused_inside_a_transaction_in_both_flavours),
        TEST(OBJ_18_provider_contexts_in_older_versions),
        TEST(OBJ_35_subscriptions_through_the_api),
        TEST(AUD_12_net_events_through_the_api),
        TEST(MATCH_16_the_app_id_of_a_file),
        TEST(OBJ_38_what_is_not_supported_says_so),
        TEST(OBJ_01_closing_a_handle_while_others_call_on_it),
        TEST(OBJ_01_closing_wakes_a_call_that_waits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* OBJ-36, OBJ-37, OTH-02 and the readable half of OBJ-34: who may do what. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "bfe/access.h"
#include "bfe/events.h"
#include "bfe/subscribe.h"
#include "bfe_lab.h"

/* ---- people
 * ------------------------------------------------------------------------------------------------------- */

struct sid {
    UINT8 bytes[SECURITY_MAX_SID_SIZE];
};

static struct sid sid_of(const char *text)
{
    struct sid s;

    memset(&s, 0, sizeof(s));
    assert_int_equal(security_sid_resolve(text, (SID *)s.bytes, sizeof(s.bytes)), 0);
    return s;
}

#define ALICE "S-1-5-21-1-2-3-1001"

/* A user's token with one more group (NULL: none). */
static struct security_token *token_of(const char *user, const char *group)
{
    struct sid u = sid_of(user), everyone = sid_of("WD"), g = group ? sid_of(group) : everyone;
    SID_AND_ATTRIBUTES groups[] = {{everyone.bytes, SE_GROUP_ENABLED}, {g.bytes, SE_GROUP_ENABLED}};
    struct security_token *t;

    assert_int_equal(
        security_token_create(
            &(struct security_token_spec){.user = (SID *)u.bytes, .groups = groups, .group_count = 2}, &t),
        0);
    return t;
}

static NTSTATUS try_open(struct bfe_lab *l, const struct security_token *t, UINT32 flags,
                         struct bfe_session **out)
{
    struct bfe_caller caller = {.token = t ? security_token_blob(t) : NULL};
    FWPM_SESSION0 session = {.flags = flags};

    return bfe_session_open(l->bfe, &caller, &session, out);
}

static struct bfe_session *open_as(struct bfe_lab *l, const struct security_token *t, UINT32 flags)
{
    struct bfe_session *s = NULL;

    assert_int_equal(try_open(l, t, flags, &s), STATUS_SUCCESS);
    return s;
}

/* The DACL of a descriptor in SDDL, in memory that lives until the next call. */
static const ACL *dacl_of(const char *sddl)
{
    static void *last;
    size_t size;

    free(last);
    assert_int_equal(security_sddl_parse(sddl, &last, &size, NULL), 0);
    return (const ACL *)((UINT8 *)last + ((SECURITY_DESCRIPTOR_RELATIVE *)last)->Dacl);
}

/* Says by the kernel, who may everything, what an object's or container's DACL is; protected. */
static void set_dacl(struct bfe_lab *l, unsigned secured, const GUID *key, const char *sddl)
{
    assert_int_equal(bfe_security_set(l->kernel, secured, key,
                                      DACL_SECURITY_INFORMATION | PROTECTED_DACL_SECURITY_INFORMATION, NULL,
                                      NULL, dacl_of(sddl)),
                     STATUS_SUCCESS);
}

static NTSTATUS enumerate(struct bfe_session *s, enum bfe_kind kind, UINT32 *count)
{
    struct bfe_enum *e = NULL;
    void **entries;
    NTSTATUS status = bfe_enum_create(s, kind, NULL, &e);

    *count = 0;
    if (status != STATUS_SUCCESS)
        return status;
    assert_int_equal(bfe_enum_next(s, e, 10000, &entries, count), STATUS_SUCCESS);
    bfe_free(entries);
    bfe_enum_destroy(s, e);
    return STATUS_SUCCESS;
}

static void no_change(void *context, const FWPM_FILTER_CHANGE0 *change)
{
    (void)change;
    if (context)
        ++*(unsigned *)context;
}

/* ---- the defaults
 * --------------------------------------------------------------------------------------------------- */

static void OBJ_37_everyone_may_open_and_no_more(void **state)
{
    struct bfe_lab *l = *state;
    struct security_token *t = token_of(ALICE, NULL);
    struct bfe_session *s = open_as(l, t, 0);
    GUID key = bfe_lab_guid(1);
    FWPM_PROVIDER0 p = bfe_lab_provider(&key), *got;
    FWPM_FILTER0 f = bfe_lab_filter(&FWPM_LAYER_ALE_AUTH_CONNECT_V4, FWP_ACTION_BLOCK), *fgot;
    FWPM_FILTER_SUBSCRIPTION0 d = {.flags = FWPM_SUBSCRIPTION_FLAG_NOTIFY_ON_ADD};
    struct bfe_subscription *sub;
    FWPM_LAYER0 *layer;
    FWP_VALUE0 *value, one = {.type = FWP_UINT32, .uint32 = 1};
    void **entries, *sd;
    UINT64 id = bfe_lab_add_port(l->kernel, 5, FWP_ACTION_BLOCK);
    UINT32 count;

    assert_int_equal(bfe_provider_add(s, &p, NULL, 0), STATUS_ACCESS_DENIED);
    assert_int_equal(bfe_filter_add(s, &f, NULL, 0, NULL), STATUS_ACCESS_DENIED);
    assert_int_equal(bfe_filter_delete(s, NULL, id), STATUS_ACCESS_DENIED);
    assert_int_equal(bfe_filter_get(s, NULL, id, &fgot), STATUS_ACCESS_DENIED);
    assert_int_equal(bfe_provider_get(s, &FWPM_PROVIDER_IKEEXT, &got), STATUS_ACCESS_DENIED);
    assert_int_equal(bfe_layer_get(s, &FWPM_LAYER_ALE_AUTH_CONNECT_V4, 0, &layer), STATUS_ACCESS_DENIED);
    assert_int_equal(enumerate(s, BFE_FILTER, &count), STATUS_ACCESS_DENIED);
    assert_int_equal(enumerate(s, BFE_SESSION, &count), STATUS_ACCESS_DENIED);
    assert_int_equal(enumerate(s, BFE_NET_EVENT, &count), STATUS_ACCESS_DENIED);
    assert_int_equal(bfe_subscribe(s, BFE_FILTER, &d, (bfe_change_callback)no_change, NULL, &sub),
                     STATUS_ACCESS_DENIED);
    assert_int_equal(bfe_subscriptions_get(s, BFE_FILTER, &entries, &count), STATUS_ACCESS_DENIED);
    assert_int_equal(bfe_txn_begin(s, 0), STATUS_ACCESS_DENIED);
    assert_int_equal(bfe_txn_begin(s, FWPM_TXN_READ_ONLY), STATUS_ACCESS_DENIED);
    assert_int_equal(bfe_option_get(s, FWPM_ENGINE_COLLECT_NET_EVENTS, &value), STATUS_ACCESS_DENIED);
    assert_int_equal(bfe_option_set(s, FWPM_ENGINE_COLLECT_NET_EVENTS, &one), STATUS_ACCESS_DENIED);
    assert_int_equal(
        bfe_security_get(s, BFE_SECURED_ENGINE, NULL, DACL_SECURITY_INFORMATION, NULL, NULL, NULL, NULL, &sd),
        STATUS_ACCESS_DENIED);
    assert_int_equal(bfe_session_close(s), STATUS_SUCCESS);
    security_token_destroy(t);
}

/* A caller with full use: adds one of each kind, reads, lists, subscribes, deletes. */
static void use_it_all(struct bfe_session *s)
{
    GUID key = bfe_lab_guid(1);
    FWPM_PROVIDER0 p = bfe_lab_provider(&key), *got;
    FWPM_FILTER0 f = bfe_lab_filter(&FWPM_LAYER_ALE_AUTH_CONNECT_V4, FWP_ACTION_BLOCK);
    FWPM_FILTER_SUBSCRIPTION0 d = {.flags = FWPM_SUBSCRIPTION_FLAG_NOTIFY_ON_ADD};
    struct bfe_subscription *sub;
    FWP_VALUE0 *value, one = {.type = FWP_UINT32, .uint32 = 1};
    UINT64 id;
    UINT32 count;

    assert_int_equal(bfe_txn_begin(s, 0), STATUS_SUCCESS);
    assert_int_equal(bfe_provider_add(s, &p, NULL, 0), STATUS_SUCCESS);
    f.providerKey = &key;
    id = bfe_lab_add(s, &f);
    assert_int_equal(bfe_txn_commit(s), STATUS_SUCCESS);
    assert_int_equal(bfe_provider_get(s, &key, &got), STATUS_SUCCESS);
    bfe_free(got);
    assert_int_equal(enumerate(s, BFE_FILTER, &count), STATUS_SUCCESS);
    assert_true(count >= 1);
    assert_int_equal(enumerate(s, BFE_LAYER, &count), STATUS_SUCCESS);
    assert_int_equal(count, ENGINE_LAYER_COUNT);
    assert_int_equal(bfe_subscribe(s, BFE_FILTER, &d, (bfe_change_callback)no_change, NULL, &sub),
                     STATUS_SUCCESS);
    assert_int_equal(bfe_unsubscribe(s, BFE_FILTER, sub), STATUS_SUCCESS);
    assert_int_equal(bfe_option_get(s, FWPM_ENGINE_COLLECT_NET_EVENTS, &value), STATUS_SUCCESS);
    bfe_free(value);
    assert_int_equal(bfe_option_set(s, FWPM_ENGINE_COLLECT_NET_EVENTS, &one), STATUS_SUCCESS);
    assert_int_equal(bfe_filter_delete(s, NULL, id), STATUS_SUCCESS);
    assert_int_equal(bfe_provider_delete(s, &key), STATUS_SUCCESS);
}

static void OBJ_37_administrators_operators_and_five_services_may_use_all(void **state)
{
    static const char *const services[] = {"MpsSvc", "NapAgent", "PolicyAgent", "RpcSs", "WdiServiceHost"};
    struct bfe_lab *l = *state;
    struct security_token *t[] = {token_of(ALICE, "BA"), token_of(ALICE, "NO")};

    for (size_t i = 0; i < ARRAYSIZE(t); i++) {
        struct bfe_session *s = open_as(l, t[i], 0);
        use_it_all(s);
        bfe_session_close(s);
        security_token_destroy(t[i]);
    }
    for (size_t i = 0; i < ARRAYSIZE(services);
         i++) { /* the numbers in the default descriptor are these services' */
        struct sid account = sid_of("LS");
        UINT8 service[SECURITY_MAX_SID_SIZE];
        const SID *list[] = {(SID *)service};
        struct security_token *token;
        assert_int_equal(security_service_sid(services[i], (SID *)service, sizeof(service)), 0);
        assert_int_equal(security_token_service((SID *)account.bytes, list, 1, false, &token), 0);
        struct bfe_session *s = open_as(l, token, 0);
        use_it_all(s);
        bfe_session_close(s);
        security_token_destroy(token);
    }
}

static void OBJ_37_only_administrators_may_change_descriptors(void **state)
{
    struct bfe_lab *l = *state;
    struct security_token *oper = token_of(ALICE, "NO");
    struct bfe_session *s = open_as(l, oper, 0), *admin = open_as(l, l->admin, 0);
    void *sd;

    assert_int_equal(bfe_security_set(s, BFE_FILTER, NULL, DACL_SECURITY_INFORMATION, NULL, NULL,
                                      dacl_of("D:(A;;0xf07ff;;;WD)")),
                     STATUS_ACCESS_DENIED);
    assert_int_equal(
        bfe_security_get(s, BFE_FILTER, NULL, DACL_SECURITY_INFORMATION, NULL, NULL, NULL, NULL, &sd),
        STATUS_SUCCESS);
    bfe_free(sd);
    assert_int_equal(bfe_security_set(admin, BFE_FILTER, NULL, DACL_SECURITY_INFORMATION, NULL, NULL,
                                      dacl_of("D:(A;;0xf07ff;;;WD)")),
                     STATUS_SUCCESS);
    bfe_session_close(s);
    bfe_session_close(admin);
    security_token_destroy(oper);
}

static void OBJ_37_kernel_callers_are_never_checked(void **state)
{
    struct bfe_lab *l = *state;
    struct bfe_session *s;

    set_dacl(l, BFE_SECURED_ENGINE, NULL, "D:P"); /* nobody may anything */
    set_dacl(l, BFE_FILTER, NULL, "D:P");
    s = bfe_lab_session(l, BFE_LAB_KERNEL, 0, 0);
    use_it_all(s);
    bfe_session_close(s);
}

static void OBJ_37_administrators_always_may_open_and_regain_access(void **state)
{
    struct bfe_lab *l = *state;
    struct security_token *alice = token_of(ALICE, NULL);
    struct sid admins = sid_of("BA");
    struct bfe_session *s = NULL;
    UINT32 count;

    assert_int_equal(bfe_security_set(l->kernel, BFE_SECURED_ENGINE, NULL, OWNER_SECURITY_INFORMATION,
                                      (SID *)sid_of("S-1-5-21-9-9-9-9").bytes, NULL, NULL),
                     STATUS_SUCCESS);
    set_dacl(l, BFE_SECURED_ENGINE, NULL, "D:P");
    assert_int_equal(try_open(l, alice, 0, &s), STATUS_ACCESS_DENIED);
    assert_int_equal(try_open(l, NULL, 0, &s), STATUS_ACCESS_DENIED); /* no token: nobody */
    s = open_as(l, l->admin, 0);
    assert_int_equal(enumerate(s, BFE_SESSION, &count), STATUS_ACCESS_DENIED);
    assert_int_equal(bfe_security_set(s, BFE_SECURED_ENGINE, NULL, DACL_SECURITY_INFORMATION, NULL, NULL,
                                      dacl_of("D:(A;OICI;0xf07ff;;;BA)")),
                     STATUS_ACCESS_DENIED);
    /* takes ownership; as owner changes the DACL; is back */
    assert_int_equal(bfe_security_set(s, BFE_SECURED_ENGINE, NULL, OWNER_SECURITY_INFORMATION,
                                      (SID *)admins.bytes, NULL, NULL),
                     STATUS_SUCCESS);
    assert_int_equal(bfe_security_set(s, BFE_SECURED_ENGINE, NULL, DACL_SECURITY_INFORMATION, NULL, NULL,
                                      dacl_of("D:(A;OICI;0xf07ff;;;BA)")),
                     STATUS_SUCCESS);
    assert_int_equal(enumerate(s, BFE_SESSION, &count), STATUS_SUCCESS);
    bfe_session_close(s);
    security_token_destroy(alice);
}

/* ---- rights one by one
 * ------------------------------------------------------------------------------------------------ */

/* Alice may exactly `rights` (in SDDL's notation) on a node. */
static void allow(struct bfe_lab *l, unsigned secured, const GUID *key, const char *rights)
{
    char sddl[200];

    snprintf(sddl, sizeof(sddl), "D:P(A;OICI;%s;;;%s)", rights, ALICE);
    set_dacl(l, secured, key, sddl);
}

static void OBJ_37_each_right_is_asked_for_where_it_belongs(void **state)
{
    struct bfe_lab *l = *state;
    struct security_token *t = token_of(ALICE, NULL);
    GUID key = bfe_lab_guid(1), filter_key = bfe_lab_guid(2),
         sublayer = bfe_lab_add_sublayer(l->kernel, 3, 1);
    FWPM_PROVIDER0 p = bfe_lab_provider(&key);
    FWPM_FILTER0 f = bfe_lab_filter(&FWPM_LAYER_ALE_AUTH_CONNECT_V4, FWP_ACTION_BLOCK), *got;
    FWPM_FILTER_SUBSCRIPTION0 d = {.flags = FWPM_SUBSCRIPTION_FLAG_NOTIFY_ON_ADD};
    struct bfe_subscription *sub;
    struct bfe_session *s = open_as(l, t, 0);
    UINT32 count;

    assert_int_equal(bfe_provider_add(l->kernel, &p, NULL, 0), STATUS_SUCCESS);
    f.providerKey = &key;
    f.subLayerKey = sublayer;
    f.filterKey = filter_key;

    allow(l, BFE_SECURED_ENGINE, NULL, "0x44"); /* OPEN, BEGIN_READ_TXN */
    assert_int_equal(bfe_txn_begin(s, 0), STATUS_ACCESS_DENIED);
    assert_int_equal(bfe_txn_begin(s, FWPM_TXN_READ_ONLY), STATUS_SUCCESS);
    assert_int_equal(bfe_txn_abort(s), STATUS_SUCCESS);
    allow(l, BFE_SECURED_ENGINE, NULL, "0x48"); /* OPEN, BEGIN_WRITE_TXN */
    assert_int_equal(bfe_txn_begin(s, 0), STATUS_SUCCESS);
    assert_int_equal(bfe_txn_abort(s), STATUS_SUCCESS);

    /* an add needs ADD on the container and ADD_LINK on everything that it refers to */
    allow(l, BFE_FILTER, NULL, "0x1");
    allow(l, BFE_PROVIDER, &key, "0x2");
    allow(l, BFE_SUBLAYER, &sublayer, "0x2");
    assert_int_equal(bfe_filter_add(s, &f, NULL, 0, NULL), STATUS_ACCESS_DENIED); /* the layer is missing */
    allow(l, BFE_LAYER, &FWPM_LAYER_ALE_AUTH_CONNECT_V4, "0x2");
    assert_int_equal(bfe_filter_add(s, &f, NULL, 0, NULL), STATUS_SUCCESS);
    assert_int_equal(bfe_filter_delete(l->kernel, &filter_key, 0), STATUS_SUCCESS);
    allow(l, BFE_SUBLAYER, &sublayer, "0x1");
    assert_int_equal(bfe_filter_add(s, &f, NULL, 0, NULL), STATUS_ACCESS_DENIED);
    allow(l, BFE_SUBLAYER, &sublayer, "0x2");
    allow(l, BFE_PROVIDER, &key, "0x1");
    assert_int_equal(bfe_filter_add(s, &f, NULL, 0, NULL), STATUS_ACCESS_DENIED);
    allow(l, BFE_PROVIDER, &key, "0x2");
    allow(l, BFE_FILTER, NULL, "0x2");
    assert_int_equal(bfe_filter_add(s, &f, NULL, 0, NULL), STATUS_ACCESS_DENIED); /* ADD on the container */

    assert_int_equal(bfe_filter_add(l->kernel, &f, NULL, 0, NULL), STATUS_SUCCESS);
    allow(l, BFE_FILTER, &filter_key, "0x80"); /* READ */
    assert_int_equal(bfe_filter_get(s, &filter_key, 0, &got), STATUS_SUCCESS);
    bfe_free(got);
    assert_int_equal(bfe_filter_delete(s, &filter_key, 0), STATUS_ACCESS_DENIED);
    allow(l, BFE_FILTER, &filter_key, "0x10000"); /* DELETE */
    assert_int_equal(bfe_filter_get(s, &filter_key, 0, &got), STATUS_ACCESS_DENIED);
    assert_int_equal(bfe_filter_delete(s, &filter_key, 0), STATUS_SUCCESS);

    allow(l, BFE_FILTER, NULL, "0x20"); /* ENUM */
    assert_int_equal(enumerate(s, BFE_FILTER, &count), STATUS_SUCCESS);
    assert_int_equal(bfe_subscribe(s, BFE_FILTER, &d, (bfe_change_callback)no_change, NULL, &sub),
                     STATUS_ACCESS_DENIED);
    allow(l, BFE_FILTER, NULL, "0x200"); /* SUBSCRIBE */
    assert_int_equal(enumerate(s, BFE_FILTER, &count), STATUS_ACCESS_DENIED);
    assert_int_equal(bfe_subscribe(s, BFE_FILTER, &d, (bfe_change_callback)no_change, NULL, &sub),
                     STATUS_SUCCESS);

    allow(l, BFE_SECURED_ENGINE, NULL, "0x4c0"); /* OPEN, READ, WRITE: options */
    FWP_VALUE0 *value, one = {.type = FWP_UINT32, .uint32 = 1};
    assert_int_equal(bfe_option_get(s, FWPM_ENGINE_COLLECT_NET_EVENTS, &value), STATUS_SUCCESS);
    bfe_free(value);
    assert_int_equal(bfe_option_set(s, FWPM_ENGINE_COLLECT_NET_EVENTS, &one), STATUS_SUCCESS);
    bfe_session_close(s);
    security_token_destroy(t);
}

static void OBJ_37_a_callout_and_a_context_need_the_link_too(void **state)
{
    struct bfe_lab *l = *state;
    struct security_token *t = token_of(ALICE, NULL);
    GUID callout = bfe_lab_guid(1), context = bfe_lab_guid(2);
    FWPM_CALLOUT0 c = bfe_lab_callout(&callout, &FWPM_LAYER_ALE_AUTH_CONNECT_V4);
    FWPM_PROVIDER_CONTEXT3 x = bfe_lab_context(&context);
    FWPM_FILTER0 f = bfe_lab_filter(&FWPM_LAYER_ALE_AUTH_CONNECT_V4, FWP_ACTION_CALLOUT_TERMINATING);
    struct bfe_session *s = open_as(l, t, 0);

    c.flags = FWPM_CALLOUT_FLAG_USES_PROVIDER_CONTEXT;
    assert_int_equal(bfe_callout_add(l->kernel, &c, NULL, 0, NULL), STATUS_SUCCESS);
    assert_int_equal(bfe_provider_context_add(l->kernel, &x, NULL, 0, NULL), STATUS_SUCCESS);
    f.flags = FWPM_FILTER_FLAG_HAS_PROVIDER_CONTEXT;
    f.providerContextKey = context;
    f.action.calloutKey = callout;
    allow(l, BFE_SECURED_ENGINE, NULL, "0x43"); /* inherited by all: OPEN, ADD, ADD_LINK */
    allow(l, BFE_CALLOUT, &callout, "0x1");
    assert_int_equal(bfe_filter_add(s, &f, NULL, 0, NULL), STATUS_ACCESS_DENIED);
    allow(l, BFE_CALLOUT, &callout, "0x2");
    allow(l, BFE_PROVIDER_CONTEXT, &context, "0x1");
    assert_int_equal(bfe_filter_add(s, &f, NULL, 0, NULL), STATUS_ACCESS_DENIED);
    allow(l, BFE_PROVIDER_CONTEXT, &context, "0x2");
    assert_int_equal(bfe_filter_add(s, &f, NULL, 0, NULL), STATUS_SUCCESS);
    bfe_session_close(s);
    security_token_destroy(t);
}

static void OBJ_34_only_readable_objects_appear(void **state)
{
    struct bfe_lab *l = *state;
    struct security_token *oper = token_of(ALICE, "NO");
    struct bfe_session *s = open_as(l, oper, 0);
    GUID key = bfe_lab_guid(1);
    FWPM_FILTER0 f = bfe_lab_filter(&FWPM_LAYER_ALE_AUTH_CONNECT_V4, FWP_ACTION_BLOCK);
    UINT32 count;
    void *sd;
    size_t size;

    bfe_lab_add_port(l->kernel, 5, FWP_ACTION_BLOCK);
    assert_int_equal(security_sddl_parse("O:BAD:P(A;;0xf07ff;;;BA)", &sd, &size, NULL), 0);
    f.filterKey = key;
    assert_int_equal(bfe_filter_add(l->kernel, &f, sd, size, NULL),
                     STATUS_SUCCESS); /* with a descriptor of its own */
    free(sd);
    assert_int_equal(enumerate(s, BFE_FILTER, &count), STATUS_SUCCESS);
    assert_int_equal(count, 1);
    struct bfe_session *admin = open_as(l, l->admin, 0);
    assert_int_equal(enumerate(admin, BFE_FILTER, &count), STATUS_SUCCESS);
    assert_int_equal(count, 2);
    set_dacl(l, BFE_LAYER, &FWPM_LAYER_ALE_AUTH_CONNECT_V4, "D:P(A;;0xf07ff;;;BA)");
    assert_int_equal(enumerate(s, BFE_LAYER, &count), STATUS_SUCCESS);
    assert_int_equal(count, ENGINE_LAYER_COUNT - 1);
    bfe_session_close(admin);
    bfe_session_close(s);
    security_token_destroy(oper);
}

static void OBJ_35_subscribers_see_only_what_they_may_read(void **state)
{
    struct bfe_lab *l = *state;
    struct security_token *oper = token_of(ALICE, "NO");
    struct bfe_session *s = open_as(l, oper, 0);
    FWPM_FILTER_SUBSCRIPTION0 d = {.flags = FWPM_SUBSCRIPTION_FLAG_NOTIFY_ON_ADD};
    FWPM_FILTER0 f = bfe_lab_filter(&FWPM_LAYER_ALE_AUTH_CONNECT_V4, FWP_ACTION_BLOCK);
    struct bfe_subscription *sub;
    unsigned told = 0;
    void *sd;
    size_t size;

    assert_int_equal(bfe_subscribe(s, BFE_FILTER, &d, (bfe_change_callback)no_change, &told, &sub),
                     STATUS_SUCCESS);
    assert_int_equal(security_sddl_parse("D:P(A;;0xf07ff;;;BA)", &sd, &size, NULL), 0);
    assert_int_equal(bfe_filter_add(l->kernel, &f, sd, size, NULL), STATUS_SUCCESS);
    free(sd);
    bfe_notify_flush(l->bfe);
    assert_int_equal(told, 0);
    assert_int_equal(bfe_filter_add(l->kernel, &f, NULL, 0, NULL), STATUS_SUCCESS);
    bfe_notify_flush(l->bfe);
    assert_int_equal(told, 1);
    bfe_session_close(s);
    security_token_destroy(oper);
}

/* ---- descriptors
 * ---------------------------------------------------------------------------------------------------- */

static void OBJ_37_what_is_not_said_is_inherited(void **state)
{
    struct bfe_lab *l = *state;
    UINT64 id = bfe_lab_add_port(l->kernel, 5, FWP_ACTION_BLOCK);
    FWPM_FILTER0 *f;
    SID *owner = NULL, *group = NULL;
    ACL *dacl = NULL, *sacl = (ACL *)1;
    void *sd;
    char *text;

    assert_int_equal(bfe_filter_get(l->kernel, NULL, id, &f), STATUS_SUCCESS);
    assert_int_equal(bfe_security_get(l->kernel, BFE_FILTER, &f->filterKey,
                                      OWNER_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION, &owner, &group,
                                      &dacl, &sacl, &sd),
                     STATUS_SUCCESS);
    assert_non_null(owner);
    assert_null(group); /* not asked for */
    assert_null(sacl);
    assert_int_equal(dacl->AceCount, 8); /* the engine's eight, all inherited */
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(((UINT8 *)dacl)[sizeof(ACL) + 1], INHERITED_ACE);
    assert_true((UINT8 *)owner > (UINT8 *)sd); /* into the one block */
    bfe_free(sd);

    /* what is said on the container reaches the object after what is said on the object itself */
    assert_int_equal(bfe_security_set(l->kernel, BFE_FILTER, NULL, DACL_SECURITY_INFORMATION, NULL, NULL,
                                      dacl_of("D:(A;OI;CC;;;AU)(A;;DC;;;SY)")),
                     STATUS_SUCCESS);
    assert_int_equal(bfe_security_set(l->kernel, BFE_FILTER, &f->filterKey, DACL_SECURITY_INFORMATION, NULL,
                                      NULL, dacl_of("D:(D;;GA;;;AN)")),
                     STATUS_SUCCESS);
    assert_int_equal(bfe_security_get(l->kernel, BFE_FILTER, &f->filterKey, DACL_SECURITY_INFORMATION, NULL,
                                      NULL, &dacl, NULL, &sd),
                     STATUS_SUCCESS);
    assert_int_equal(dacl->AceCount, 10); /* own, the container's inheritable one, the engine's */
    bfe_free(sd);
    assert_int_equal(bfe_security_set(l->kernel, BFE_FILTER, &f->filterKey,
                                      PROTECTED_DACL_SECURITY_INFORMATION, NULL, NULL, NULL),
                     STATUS_SUCCESS);
    assert_int_equal(bfe_security_get(l->kernel, BFE_FILTER, &f->filterKey, DACL_SECURITY_INFORMATION, NULL,
                                      NULL, &dacl, NULL, &sd),
                     STATUS_SUCCESS);
    assert_int_equal(dacl->AceCount, 1);
    assert_int_equal(security_sddl_format(sd, 20 + dacl->AclSize, &text), 0);
    assert_string_equal(text, "D:P(D;;0xf07ff;;;AN)"); /* generic rights as FWPM_GENERIC_* */
    free(text);
    bfe_free(sd);
    assert_int_equal(bfe_security_set(l->kernel, BFE_FILTER, &f->filterKey,
                                      UNPROTECTED_DACL_SECURITY_INFORMATION, NULL, NULL, NULL),
                     STATUS_SUCCESS);
    assert_int_equal(bfe_security_get(l->kernel, BFE_FILTER, &f->filterKey, DACL_SECURITY_INFORMATION, NULL,
                                      NULL, &dacl, NULL, &sd),
                     STATUS_SUCCESS);
    assert_int_equal(dacl->AceCount, 10);
    bfe_free(sd);
    bfe_free(f);
}

static void OBJ_37_faults_of_security_calls(void **state)
{
    struct bfe_lab *l = *state;
    GUID unknown = bfe_lab_guid(99);
    UINT8 bad[] = {9, 0, 0, 0, 0, 0, 0, 0};
    ACL short_acl = {.AclRevision = ACL_REVISION, .AclSize = sizeof(ACL), .AceCount = 1};
    void *sd;

    assert_int_equal(bfe_security_get(l->kernel, BFE_FILTER, &unknown, DACL_SECURITY_INFORMATION, NULL, NULL,
                                      NULL, NULL, &sd),
                     STATUS_FWP_FILTER_NOT_FOUND);
    assert_int_equal(bfe_security_get(l->kernel, BFE_LAYER, &unknown, DACL_SECURITY_INFORMATION, NULL, NULL,
                                      NULL, NULL, &sd),
                     STATUS_FWP_LAYER_NOT_FOUND);
    assert_int_equal(bfe_security_get(l->kernel, BFE_FILTER, NULL, DACL_SECURITY_INFORMATION, NULL, NULL,
                                      NULL, NULL, NULL),
                     STATUS_FWP_NULL_POINTER);
    assert_int_equal(
        bfe_security_set(l->kernel, BFE_FILTER, NULL, OWNER_SECURITY_INFORMATION, (SID *)bad, NULL, NULL),
        STATUS_INVALID_SID);
    assert_int_equal(
        bfe_security_set(l->kernel, BFE_FILTER, NULL, OWNER_SECURITY_INFORMATION, NULL, NULL, NULL),
        STATUS_INVALID_PARAMETER);
    assert_int_equal(
        bfe_security_set(l->kernel, BFE_FILTER, NULL, DACL_SECURITY_INFORMATION, NULL, NULL, &short_acl),
        STATUS_INVALID_ACL);
    assert_int_equal(bfe_security_set(l->kernel, BFE_FILTER, NULL, 0x100, NULL, NULL, NULL),
                     STATUS_INVALID_PARAMETER);
    assert_int_equal(bfe_security_set(l->kernel, BFE_SESSION, NULL, 0, NULL, NULL, NULL),
                     STATUS_INVALID_PARAMETER);
}

/* ---- OBJ-36
 * ------------------------------------------------------------------------------------------------------------
 */

static void OBJ_36_not_inside_an_explicit_transaction(void **state)
{
    struct bfe_lab *l = *state;

    assert_int_equal(bfe_txn_begin(l->kernel, 0), STATUS_SUCCESS);
    assert_int_equal(bfe_security_set(l->kernel, BFE_FILTER, NULL, DACL_SECURITY_INFORMATION, NULL, NULL,
                                      dacl_of("D:(A;;CC;;;WD)")),
                     STATUS_FWP_TXN_IN_PROGRESS);
    assert_int_equal(bfe_txn_abort(l->kernel), STATUS_SUCCESS);
    assert_int_equal(bfe_security_set(l->kernel, BFE_FILTER, NULL, DACL_SECURITY_INFORMATION, NULL, NULL,
                                      dacl_of("D:(A;;CC;;;WD)")),
                     STATUS_SUCCESS);
}

static void OBJ_36_a_dynamic_session_only_on_its_own_objects(void **state)
{
    struct bfe_lab *l = *state;
    struct bfe_session *mine = bfe_lab_session(l, BFE_LAB_KERNEL, FWPM_SESSION_FLAG_DYNAMIC, 0);
    struct bfe_session *theirs = bfe_lab_session(l, BFE_LAB_KERNEL, FWPM_SESSION_FLAG_DYNAMIC, 0);
    GUID own = bfe_lab_add_sublayer(mine, 1, 1), others = bfe_lab_add_sublayer(theirs, 2, 2);
    GUID fixed = bfe_lab_add_sublayer(l->kernel, 3, 3);
    const char *sddl = "D:(A;;CC;;;WD)";

#define SET(s, secured, key)                                                                                 \
    bfe_security_set(s, secured, key, DACL_SECURITY_INFORMATION, NULL, NULL, dacl_of(sddl))
    assert_int_equal(SET(mine, BFE_SUBLAYER, &own), STATUS_SUCCESS);
    assert_int_equal(SET(mine, BFE_SUBLAYER, &others), STATUS_FWP_WRONG_SESSION);
    assert_int_equal(SET(mine, BFE_SUBLAYER, &fixed), STATUS_FWP_DYNAMIC_SESSION_IN_PROGRESS);
    assert_int_equal(SET(mine, BFE_SUBLAYER, NULL), STATUS_FWP_DYNAMIC_SESSION_IN_PROGRESS);
    assert_int_equal(SET(mine, BFE_SECURED_ENGINE, NULL), STATUS_FWP_DYNAMIC_SESSION_IN_PROGRESS);
    assert_int_equal(SET(mine, BFE_LAYER, &FWPM_LAYER_STREAM_V4), STATUS_FWP_DYNAMIC_SESSION_IN_PROGRESS);
    assert_int_equal(SET(l->kernel, BFE_SUBLAYER, &own), STATUS_SUCCESS);
#undef SET
    bfe_session_close(mine);
    bfe_session_close(theirs);
}

/* ---- OTH-02
 * ------------------------------------------------------------------------------------------------------------
 */

static void OTH_02_a_user_mode_classify_needs_the_right(void **state)
{
    struct bfe_lab *l = *state;
    struct security_token *t = token_of(ALICE, NULL);
    struct bfe_session *s = open_as(l, t, 0);
    const struct engine_layer *layer = engine_layer_by_key(&FWPM_LAYER_RPC_UM);
    FWPS_INCOMING_VALUE0 values[ENGINE_MAX_FIELDS] = {{{0}}};
    FWPS_INCOMING_VALUES0 incoming = {layer->id, layer->field_count, values};
    struct engine_request q = {.values = &incoming};
    struct engine_verdict v;
    FWPM_FILTER0 f = bfe_lab_filter(&FWPM_LAYER_RPC_UM, FWP_ACTION_BLOCK);
    UINT64 id = bfe_lab_add(l->kernel, &f);

    assert_int_equal(bfe_classify(s, l->reader, &q, &v),
                     STATUS_SUCCESS); /* the default grants it to everyone */
    assert_int_equal(v.action, FWP_ACTION_BLOCK);
    assert_int_equal(v.filter_id, id);
    set_dacl(l, BFE_SECURED_ENGINE, NULL, "D:P(A;;0x40;;;WD)"); /* OPEN alone */
    assert_int_equal(bfe_classify(s, l->reader, &q, &v), STATUS_ACCESS_DENIED);
    assert_int_equal(bfe_classify(l->kernel, l->reader, &q, &v), STATUS_SUCCESS);
    incoming.layerId = FWPS_LAYER_ALE_AUTH_CONNECT_V4;
    assert_int_equal(bfe_classify(l->kernel, l->reader, &q, &v), STATUS_FWP_INCOMPATIBLE_LAYER);
    incoming.layerId = ENGINE_LAYER_COUNT;
    assert_int_equal(bfe_classify(l->kernel, l->reader, &q, &v), STATUS_FWP_LAYER_NOT_FOUND);
    bfe_session_close(s);
    security_token_destroy(t);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, bfe_lab_setup, bfe_lab_teardown)

static int free_dacl(void **state)
{
    (void)state;
    dacl_of("D:");
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(OBJ_37_everyone_may_open_and_no_more),
        TEST(OBJ_37_administrators_operators_and_five_services_may_use_all),
        TEST(OBJ_37_only_administrators_may_change_descriptors),
        TEST(OBJ_37_kernel_callers_are_never_checked),
        TEST(OBJ_37_administrators_always_may_open_and_regain_access),
        TEST(OBJ_37_each_right_is_asked_for_where_it_belongs),
        TEST(OBJ_37_a_callout_and_a_context_need_the_link_too),
        TEST(OBJ_34_only_readable_objects_appear),
        TEST(OBJ_35_subscribers_see_only_what_they_may_read),
        TEST(OBJ_37_what_is_not_said_is_inherited),
        TEST(OBJ_37_faults_of_security_calls),
        TEST(OBJ_36_not_inside_an_explicit_transaction),
        TEST(OBJ_36_a_dynamic_session_only_on_its_own_objects),
        TEST(OTH_02_a_user_mode_classify_needs_the_right),
    };

    return cmocka_run_group_tests(tests, NULL, free_dacl);
}

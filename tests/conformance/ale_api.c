/* SPDX-License-Identifier: Apache-2.0 */
/* The exported functions of section 7: endpoints' enumeration (ALE-39), flows, options (CLS-30). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fwpsk.h"

#include "ale_user.h"
#include "api/api.h"
#include "api_side.h"
#include "bfe/access.h"
#include "bfe_lab.h"
#include "host_lab.h"
#include "winerror.h"

#define TCP(...) .protocol = WIRE_PROTOCOL_TCP, .tcp_flags = (__VA_ARGS__)

struct fixture {
    struct bfe_lab bfe;
    struct host_lab host;
    struct api_context *context;
    HANDLE engine;
};

static UINT8 app[] = "a program";
static const FWP_BYTE_BLOB app_blob = {sizeof(app), app};
static const struct host_owner owner = {.process_id = 7, .app_id = &app_blob};

static const struct host_owner *owner_of(void *ctx, UINT64 time_ns, uint8_t version, uint8_t protocol,
                                         const union wire_addr *local, UINT16 local_port,
                                         const union wire_addr *remote, UINT16 remote_port)
{
    (void)ctx;
    (void)time_ns;
    (void)version;
    (void)protocol;
    (void)local;
    (void)remote;
    (void)remote_port;
    return local_port == 4000 ? &owner : NULL;
}

static int setup(void **state)
{
    const struct host_config c = {.owner_of = owner_of};
    struct fixture *f = calloc(1, sizeof(*f));
    struct api_config config;

    bfe_lab_open(&f->bfe, NULL);
    host_lab_open(&f->host, &c);
    config = (struct api_config){.engine = f->bfe.engine, .bfe = f->bfe.bfe, .host = f->host.host};
    assert_int_equal(api_context_create(&config, &f->context), 0);
    api_set_current(f->context);
    assert_int_equal(api_user_side.open(NULL, &f->engine), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(api_user_side.close(f->engine), 0);
    api_set_current(NULL);
    api_context_destroy(f->context);
    host_lab_close(&f->host);
    bfe_lab_close(&f->bfe);
    free(f);
    return 0;
}

static unsigned listed(struct fixture *f, const FWPS_ALE_ENDPOINT_ENUM_TEMPLATE0 *t, UINT64 *first)
{
    FWPS_ALE_ENDPOINT_PROPERTIES0 **e;
    HANDLE h;
    UINT32 n;

    assert_int_equal(ale_user_create(f->engine, t, &h), 0);
    assert_int_equal(ale_user_enum(f->engine, h, 100, &e, &n), 0);
    if (first != NULL)
        *first = n != 0 ? e[0]->endpointId : 0;
    api_user_side.free_memory((void **)&e);
    assert_int_equal(ale_user_destroy(f->engine, h), 0);
    return n;
}

static void ALE_39_endpoints_are_listed(void **state)
{
    struct fixture *f = *state;
    struct host_lab *l = &f->host;
    FWPS_ALE_ENDPOINT_ENUM_TEMPLATE0 t = {.ipProtocol = {.type = FWP_UINT8, .uint8 = 17}};
    FWP_V4_ADDR_AND_MASK net = {0x0a000000, 0xff000000}, other = {0x0b000000, 0xff000000};
    FWPS_ALE_ENDPOINT_PROPERTIES0 **e, *one;
    UINT64 handle, id;
    HANDLE h, none;
    UINT32 n;

    LAB_OUT(l, .sport = 4000, .dport = 53);
    handle = l->events[0].endpoint_id; /* TRANSPORT_ENDPOINT_HANDLE */
    LAB_OUT(l, TCP(WIRE_TCP_SYN), .sport = 50000, .dport = 443);
    LAB_OUT(l, .src = "fd00::1", .dst = "fd00::2", .sport = 4001, .dport = 53);

    assert_int_equal(ale_user_create(f->engine, NULL, &h), 0);
    LAB_OUT(l, .sport = 4002, .dport = 53); /* too late for that snapshot */
    assert_int_equal(ale_user_enum(f->engine, h, 2, &e, &n), 0);
    assert_int_equal(n, 2);
    assert_int_equal(e[0]->endpointId, handle);
    assert_int_equal(e[0]->ipVersion, FWP_IP_VERSION_V4);
    assert_int_equal(e[0]->ipProtocol, 17);
    assert_int_equal(e[0]->localPort, 4000);
    assert_int_equal(e[0]->localV4Address, 0x0a000001);
    assert_int_equal(e[0]->appId.size, sizeof(app));
    assert_memory_equal(e[0]->appId.data, app, sizeof(app));
    assert_int_equal(e[1]->remotePort, 443);
    assert_int_equal(e[1]->remoteV4Address, 0x0a000002);
    assert_int_equal(e[1]->appId.size, 0);
    api_user_side.free_memory((void **)&e);
    assert_int_equal(ale_user_enum(f->engine, h, 100, &e, &n), 0);
    assert_int_equal(n, 1);
    assert_int_equal(e[0]->ipVersion, FWP_IP_VERSION_V6);
    api_user_side.free_memory((void **)&e);
    assert_int_equal(ale_user_enum(f->engine, h, 100, &e, &n), 0);
    assert_int_equal(n, 0);
    api_user_side.free_memory((void **)&e);
    assert_int_equal(ale_user_destroy(f->engine, h), 0);
    assert_int_equal(ale_user_destroy(f->engine, h), ERROR_INVALID_HANDLE);
    assert_int_equal(ale_user_enum(f->engine, h, 1, &e, &n), ERROR_INVALID_HANDLE);

    /* templates */
    assert_int_equal(listed(f, NULL, NULL), 4);
    assert_int_equal(listed(f, &t, NULL), 3);
    t.localPort = (FWP_CONDITION_VALUE0){.type = FWP_UINT16, .uint16 = 4000};
    assert_int_equal(listed(f, &t, &id), 1);
    assert_int_equal(id, handle);
    memset(&t, 0, sizeof(t));
    t.localSubNet = (FWP_CONDITION_VALUE0){.type = FWP_V4_ADDR_MASK, .v4AddrMask = &net};
    assert_int_equal(listed(f, &t, NULL), 3);
    t.localSubNet.v4AddrMask = &other;
    assert_int_equal(listed(f, &t, NULL), 0);
    memset(&t, 0, sizeof(t));
    t.remotePort = (FWP_CONDITION_VALUE0){.type = FWP_UINT16, .uint16 = 443};
    assert_int_equal(listed(f, &t, NULL), 1);
    t.remotePort.type = FWP_UINT32;
    assert_int_equal(ale_user_create(f->engine, &t, &none), (DWORD)FWP_E_TYPE_MISMATCH);
    assert_null(none);

    /* one by its id */
    assert_int_equal(ale_user_get(f->engine, handle, &one), 0);
    assert_int_equal(one->endpointId, handle);
    assert_int_equal(one->localPort, 4000);
    api_user_side.free_memory((void **)&one);
    assert_int_equal(ale_user_get(f->engine, handle + 1000, &one), (UINT32)FWP_E_NOT_FOUND);
    assert_null(one);
    host_shutdown(l->host); /* current endpoints only */
    assert_int_equal(ale_user_get(f->engine, handle, &one), (UINT32)FWP_E_NOT_FOUND);
}

/* Who may list endpoints is said of all of them together. */
static void ALE_39_listing_endpoints_is_allowed_or_not(void **state)
{
    struct fixture *f = *state;
    FWPS_ALE_ENDPOINT_PROPERTIES0 **e, *one;
    ACL nobody = {.AclRevision = ACL_REVISION, .AclSize = sizeof nobody}, *dacl, *again;
    void *descriptor, *other;
    HANDLE h, none;
    UINT32 n;

    LAB_OUT(&f->host, .sport = 4000, .dport = 53);
    assert_int_equal(ale_user_create(f->engine, NULL, &h), 0);
    assert_int_equal(ale_user_security(f->engine, &dacl, &descriptor), 0);
    assert_true(dacl->AceCount > 0); /* the engine's, inherited */
    assert_int_equal(ale_user_secure(f->engine, &nobody), 0);
    assert_int_equal(ale_user_create(f->engine, NULL, &none), ERROR_ACCESS_DENIED);
    assert_int_equal(ale_user_enum(f->engine, h, 1, &e, &n), ERROR_ACCESS_DENIED);
    assert_int_equal(ale_user_get(f->engine, f->host.events[0].endpoint_id, &one), ERROR_ACCESS_DENIED);
    assert_int_equal(ale_user_destroy(f->engine, h), 0);
    assert_int_equal(bfe_security_set(f->bfe.kernel, BFE_SECURED_ENDPOINT, NULL,
                                      DACL_SECURITY_INFORMATION | UNPROTECTED_DACL_SECURITY_INFORMATION, NULL,
                                      NULL, &nobody),
                     STATUS_SUCCESS); /* what is inherited, again */
    assert_int_equal(ale_user_security(f->engine, &again, &other), 0);
    assert_int_equal(again->AceCount, dacl->AceCount);
    assert_int_equal(listed(f, NULL, NULL), 1);
    api_user_side.free_memory(&descriptor);
    api_user_side.free_memory(&other);
}

/* ---- flows and options ------------------------------------------------------------------------------------
 */

static void flows_through_the_exported_functions(void **state)
{
    struct fixture *f = *state;
    struct host_lab *l = &f->host;
    struct host_lab_callout c = {.action = FWP_ACTION_PERMIT};
    const UINT16 dd = FWPS_LAYER_DATAGRAM_DATA_V4;
    UINT64 flow;

    host_lab_callout(l, "DD", &c);
    LAB_OUT(l, .sport = 4000, .dport = 53);
    flow = l->outcome.flow_id;
    assert_int_equal(FwpsFlowAssociateContext0(flow, dd, c.id, (UINT64)(uintptr_t)&c), STATUS_SUCCESS);
    assert_int_equal(FwpsFlowAssociateContext0(flow, dd, c.id, (UINT64)(uintptr_t)&c),
                     STATUS_OBJECT_NAME_EXISTS);
    assert_int_equal(FwpsFlowRemoveContext0(flow, dd, c.id), STATUS_SUCCESS);
    assert_int_equal(FwpsFlowRemoveContext0(flow, dd, c.id), STATUS_UNSUCCESSFUL);
    assert_int_equal(FwpsFlowAbort0(flow), STATUS_SUCCESS);
    assert_int_equal(FwpsFlowAbort0(flow), STATUS_INVALID_PARAMETER);
    api_set_current(NULL);
    assert_int_equal(FwpsFlowAbort0(flow), STATUS_FWP_TCPIP_NOT_READY);
    assert_int_equal(FwpsFlowRemoveContext0(flow, dd, c.id), STATUS_FWP_TCPIP_NOT_READY);
    assert_int_equal(FwpsFlowAssociateContext0(flow, dd, c.id, 1), STATUS_FWP_TCPIP_NOT_READY);
    api_set_current(f->context);
}

struct set {
    FWP_CLASSIFY_OPTION_TYPE type;
    FWP_VALUE0 value;
    NTSTATUS status, again;
};
static void set_it(struct host_lab_callout *c, FWPS_CLASSIFY_OUT0 *out)
{
    struct set *s = c->ctx;

    (void)out;
    s->status = FwpsClassifyOptionSet0(c->metadata, s->type, &s->value);
    s->again = FwpsClassifyOptionSet0(c->metadata, s->type, &s->value);
}

static void options_have_statuses_of_their_own(void **state)
{
    static const struct {
        UINT32 type, value_type, value;
        NTSTATUS status;
    } cases[] = {
        {FWP_CLASSIFY_OPTION_MAX, FWP_UINT32, 1, STATUS_FWP_INVALID_ENUMERATOR},
        {FWP_CLASSIFY_OPTION_LOOSE_SOURCE_MAPPING, FWP_UINT16, 1, STATUS_OBJECT_TYPE_MISMATCH},
        {FWP_CLASSIFY_OPTION_LOOSE_SOURCE_MAPPING, FWP_UINT32, 2, STATUS_FWP_OUT_OF_BOUNDS},
        {FWP_CLASSIFY_OPTION_MULTICAST_STATE, FWP_UINT32, 3, STATUS_FWP_OUT_OF_BOUNDS},
        {FWP_CLASSIFY_OPTION_UNICAST_LIFETIME, FWP_UINT32, 0, STATUS_FWP_OUT_OF_BOUNDS},
        {FWP_CLASSIFY_OPTION_MULTICAST_STATE, FWP_UINT32, 2, STATUS_SUCCESS},
        {FWP_CLASSIFY_OPTION_UNICAST_LIFETIME, FWP_UINT32, 5, STATUS_SUCCESS},
    };
    struct fixture *f = *state;
    struct host_lab *l = &f->host;
    FWPS_INCOMING_METADATA_VALUES0 m = {0};
    struct set s = {0}, dd = {.type = FWP_CLASSIFY_OPTION_UNICAST_LIFETIME,
                              .value = {.type = FWP_UINT32, .uint32 = 5}};
    struct host_lab_callout c = {.action = FWP_ACTION_PERMIT, .also = set_it, .ctx = &s},
                            d = {.action = FWP_ACTION_PERMIT, .also = set_it, .ctx = &dd};

    host_lab_callout(l, "AC", &c);
    host_lab_callout(l, "DD", &d);
    for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        s.type = (FWP_CLASSIFY_OPTION_TYPE)cases[i].type;
        s.value = (FWP_VALUE0){.type = (FWP_DATA_TYPE)cases[i].value_type, .uint32 = cases[i].value};
        LAB_OUT(l, .sport = 4000, .dport = 100 + i);
        assert_int_equal(s.status, cases[i].status);
        if (s.status == STATUS_SUCCESS)
            assert_int_equal(s.again, STATUS_UNSUCCESSFUL); /* the first one's stands */
    }
    assert_int_equal(dd.status, STATUS_UNSUCCESSFUL);                                      /* not there */
    assert_int_equal(FwpsClassifyOptionSet0(&m, dd.type, &dd.value), STATUS_UNSUCCESSFUL); /* not now */
    assert_int_equal(FwpsClassifyOptionSet0(NULL, dd.type, &dd.value), STATUS_INVALID_PARAMETER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(ALE_39_endpoints_are_listed, setup, teardown),
        cmocka_unit_test_setup_teardown(ALE_39_listing_endpoints_is_allowed_or_not, setup, teardown),
        cmocka_unit_test_setup_teardown(flows_through_the_exported_functions, setup, teardown),
        cmocka_unit_test_setup_teardown(options_have_statuses_of_their_own, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Section 6: redirect handles, contexts, records: a local proxy, and several of them (RED). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "fwpmk.h"
#include "host/host_redirect.h"
#include "redirector.h"

#define CR4(name) FWPS_FIELD_ALE_CONNECT_REDIRECT_V4_##name

static FWP_BYTE_BLOB app = {6, (UINT8 *)"a\0p\0\0"}, proxy_app = {6, (UINT8 *)"x\0y\0\0"};
static const struct host_owner application = {.process_id = 100, .app_id = &app},
                               proxy = {.process_id = 4711, .app_id = &proxy_app};

static struct driver_lab *lab(void **state)
{
    return *state;
}

/* Local port 8080 and whatever connects from 60000 on are the proxy's, the rest is the application's. */
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
    return local_port == 8080 || local_port >= 60000 ? &proxy : &application;
}

static int setup(void **state)
{
    const struct host_config config = {.owner_of = owner_of};

    return redirector_setup(state, &config);
}

/* From 10.0.0.1:port, as accepted by the proxy at 10.0.0.1:8080. */
static struct host_redirect_ends accepted(UINT16 port)
{
    return (struct host_redirect_ends){.version = 4,
                                       .protocol = WIRE_PROTOCOL_TCP,
                                       .local.v4 = 0x0a000001,
                                       .remote.v4 = 0x0a000001,
                                       .local_port = 8080,
                                       .remote_port = port};
}

static struct redirector local_redirector(HANDLE h)
{
    return (struct redirector){
        .to = "10.0.0.1", .port = 8080, .pid = 4711, .handle = h, .context = "10.0.0.2:80"};
}

static struct host_endpoint *proxy_socket(struct driver_lab *l, UINT16 port)
{
    const struct host_socket s = {
        .version = 4, .protocol = WIRE_PROTOCOL_TCP, .local.v4 = 0x0a000001, .port = port, .owner = &proxy};
    struct host_endpoint *e;

    assert_int_equal(host_bind(l->host.host, &s, &e), STATUS_SUCCESS);
    return e;
}

/* ---- */

static void RED_19_create_and_destroy(void **state)
{
    struct driver_lab *l = lab(state);
    static const GUID provider = {0x77656972, 0x7265, 0x6469, {1}};
    HANDLE a = redirector_handle(), b = redirector_handle(), none = &none;
    const HANDLE gone[] = {a, b};

    assert_ptr_not_equal(a, b);
    assert_int_equal(FwpsRedirectHandleCreate0(NULL, 0, &none), STATUS_FWP_NULL_POINTER);
    assert_null(none);
    assert_int_equal(FwpsRedirectHandleCreate0(&provider, 0, NULL), STATUS_FWP_NULL_POINTER);
    FwpsRedirectHandleDestroy0(a);
    FwpsRedirectHandleDestroy0(b);
    assert_int_equal(l->found[LEDGER_TWICE] + l->found[LEDGER_UNKNOWN], 0);
    FwpsRedirectHandleDestroy0(a);
    assert_int_equal(l->found[LEDGER_TWICE], 1);
    assert_int_equal(host_redirect_handle_destroy(l->host.host, a), STATUS_INVALID_HANDLE);
    a = redirector_handle(); /* another, though in the place of one of them */
    for (unsigned i = 0; i < 2; i++) {
        assert_ptr_not_equal(a, gone[i]);
        assert_int_equal(host_redirect_handle_destroy(l->host.host, gone[i]), STATUS_INVALID_HANDLE);
    }
    FwpsRedirectHandleDestroy0(a);
}

static void RED_23_the_context_goes_with_the_flow(void **state)
{
    struct driver_lab *l = lab(state);
    HANDLE h = redirector_handle();
    struct redirector r = local_redirector(h);
    struct host_redirect_ends ends = accepted(50000);
    char context[64];
    SIZE_T size;

    redirector_put(l, "CR", &r);
    LAB_OUT(&l->host, SYN(.sport = 50000, .dport = 80));
    assert_int_equal(l->host.outcome.fate, HOST_PASSED);
    assert_int_equal(host_redirect_context(l->host.host, &ends, NULL, 0, &size), STATUS_BUFFER_TOO_SMALL);
    assert_int_equal(size, 12);
    assert_int_equal(host_redirect_context(l->host.host, &ends, context, sizeof(context), &size),
                     STATUS_SUCCESS);
    assert_string_equal(context, "10.0.0.2:80");
    assert_int_equal(ledger_open_count(ledger_current(), LEDGER_POOL), 0); /* it is no longer the driver's */
    ExFreePoolWithTag(r.given, 0x63747874);
    assert_int_equal(l->found[LEDGER_TWICE], 1); /* V: double free */
    assert_int_equal(host_redirect_context(l->host.host, &ends, context, sizeof(context), &size),
                     STATUS_SUCCESS);
    assert_string_equal(context, "10.0.0.2:80");
    assert_int_equal(host_flow_abort(l->host.host, l->host.outcome.sender_flow_id), STATUS_SUCCESS);
    host_lab_wait(&l->host, 700000);
    assert_int_equal(host_redirect_context(l->host.host, &ends, context, sizeof(context), &size),
                     STATUS_NOT_FOUND);
    FwpsRedirectHandleDestroy0(h);
}

static void RED_24_records_and_context_of_an_accepted_socket(void **state)
{
    struct driver_lab *l = lab(state);
    HANDLE h = redirector_handle();
    struct redirector r = local_redirector(h);
    struct host_redirect_ends ends = accepted(50000), other = accepted(50001);
    struct host_endpoint *e;
    UINT8 records[256];
    SIZE_T size, unused;

    redirector_put(l, "CR", &r);
    LAB_OUT(&l->host, SYN(.sport = 50000, .dport = 80));
    assert_int_equal(host_redirect_records(l->host.host, &other, records, sizeof(records), &size),
                     STATUS_NOT_FOUND);
    assert_int_equal(host_redirect_context(l->host.host, &other, records, sizeof(records), &size),
                     STATUS_NOT_FOUND);
    assert_int_equal(host_redirect_records(l->host.host, &ends, NULL, 0, &size), STATUS_BUFFER_TOO_SMALL);
    assert_true(size > 0 && size <= sizeof(records));
    assert_int_equal(host_redirect_records(l->host.host, &ends, records, size - 1, &unused),
                     STATUS_BUFFER_TOO_SMALL);
    assert_int_equal(host_redirect_records(l->host.host, &ends, records, size, &unused), STATUS_SUCCESS);
    assert_int_equal(unused, size);
    e = proxy_socket(l, 60000);
    assert_int_equal(host_redirect_set_records(l->host.host, e, "nonsense", 8), STATUS_INVALID_PARAMETER);
    assert_int_equal(host_redirect_set_records(l->host.host, e, records, size - 1), STATUS_INVALID_PARAMETER);
    assert_int_equal(host_redirect_set_records(l->host.host, e, NULL, 0), STATUS_INVALID_PARAMETER);
    assert_int_equal(host_redirect_set_records(l->host.host, e, records, size), STATUS_SUCCESS);
    r.only_looks = true;
    LAB_OUT(&l->host, SYN(.sport = 60000, .dport = 80));
    assert_int_equal(l->host.outcome.fate, HOST_PASSED);
    assert_int_equal(host_redirect_set_records(l->host.host, e, records, size), STATUS_ACCESS_DENIED);
    host_close(l->host.host, e);
    FwpsRedirectHandleDestroy0(h);
}

/* What a callout at CR or AC is told of the proxy's connection. */
struct told {
    UINT32 flags;
    FWP_BYTE_BLOB original, own;
    HANDLE records;
    bool has;
    FWPS_CONNECTION_REDIRECT_STATE states[3];
    HANDLE handles[3];
    void *contexts[3];
    UINT8 bytes[256];
    SIZE_T size, need;
    NTSTATUS format, small, none;
};

static void be_told(struct redirector *r, const struct driver_lab_call *c)
{
    struct told *t = r->ctx;

    t->flags = c->values->incomingValue[CR4(FLAGS)].value.uint32;
    t->original = *c->values->incomingValue[CR4(ALE_ORIGINAL_APP_ID)].value.byteBlob;
    t->own = *c->values->incomingValue[CR4(ALE_APP_ID)].value.byteBlob;
    t->has = c->metadata->currentMetadataValues & FWPS_METADATA_FIELD_REDIRECT_RECORD_HANDLE;
    t->records = c->metadata->redirectRecords;
    for (unsigned i = 0; i < 3; i++)
        t->states[i] =
            FwpsQueryConnectionRedirectState0(c->metadata->redirectRecords, t->handles[i], &t->contexts[i]);
    t->small = FwpsQueryConnectionSioFormatRedirectRecords0(t->records, NULL, 0, &t->need);
    t->format =
        FwpsQueryConnectionSioFormatRedirectRecords0(t->records, t->bytes, sizeof(t->bytes), &t->size);
    t->none = FwpsQueryConnectionSioFormatRedirectRecords0(NULL, t->bytes, sizeof(t->bytes), NULL);
}

static SIZE_T records_of(struct driver_lab *l, UINT16 port, UINT8 *out)
{
    const struct host_redirect_ends ends = accepted(port);
    SIZE_T size;

    assert_int_equal(host_redirect_records(l->host.host, &ends, out, 256, &size), STATUS_SUCCESS);
    return size;
}

static void RED_25_the_proxys_connection(void **state)
{
    struct driver_lab *l = lab(state);
    HANDLE h = redirector_handle();
    struct redirector r = local_redirector(h);
    struct told t = {.handles = {h}};
    struct host_endpoint *e;
    UINT8 records[256];
    SIZE_T size;

    redirector_put(l, "CR", &r);
    r.also = be_told;
    r.ctx = &t;
    LAB_OUT(&l->host, SYN(.sport = 50000, .dport = 80));
    assert_false(t.has);
    assert_null(t.records);
    assert_false(t.flags & FWP_CONDITION_FLAG_IS_PROXY_CONNECTION);
    assert_memory_equal(t.original.data, app.data, app.size);
    size = records_of(l, 50000, records);
    e = proxy_socket(l, 60000);
    assert_int_equal(host_redirect_set_records(l->host.host, e, records, size), STATUS_SUCCESS);
    r.only_looks = true;
    LAB_OUT(&l->host, SYN(.sport = 60000, .dport = 80));
    assert_true(t.has);
    assert_non_null(t.records);
    assert_true(t.flags & FWP_CONDITION_FLAG_IS_PROXY_CONNECTION);
    assert_memory_equal(t.original.data, app.data, app.size);
    assert_memory_equal(t.own.data, proxy_app.data, proxy_app.size);
    LAB_OUT(&l->host, SYN(.sport = 60001, .dport = 80)); /* another one of the proxy's: no proxied one */
    assert_false(t.flags & FWP_CONDITION_FLAG_IS_PROXY_CONNECTION);
    assert_memory_equal(t.original.data, proxy_app.data, proxy_app.size);
    host_close(l->host.host, e);
    FwpsRedirectHandleDestroy0(h);
}

static void RED_20_states(void **state)
{
    struct driver_lab *l = lab(state);
    HANDLE h = redirector_handle(), other = redirector_handle(), third = redirector_handle();
    struct redirector r = local_redirector(h);
    struct told t = {.handles = {h, other, third}};
    struct host_endpoint *e, *second;
    UINT8 records[256];
    SIZE_T size;

    redirector_put(l, "CR", &r);
    r.also = be_told;
    r.ctx = &t;
    LAB_OUT(&l->host, SYN(.sport = 50000, .dport = 80));
    assert_int_equal(t.states[0], FWPS_CONNECTION_NOT_REDIRECTED);
    size = records_of(l, 50000, records);
    e = proxy_socket(l, 60000);
    assert_int_equal(host_redirect_set_records(l->host.host, e, records, size), STATUS_SUCCESS);
    /* the other one redirects the first proxy's connection */
    r.handle = other;
    r.context = "second";
    LAB_OUT(&l->host, SYN(.sport = 60000, .dport = 80));
    assert_int_equal(t.states[0], FWPS_CONNECTION_REDIRECTED_BY_SELF);
    assert_string_equal(t.contexts[0], "10.0.0.2:80");
    assert_int_equal(t.states[1], FWPS_CONNECTION_REDIRECTED_BY_OTHER);
    assert_null(t.contexts[1]);
    size = records_of(l, 60000, records);
    second = proxy_socket(l, 60001);
    assert_int_equal(host_redirect_set_records(l->host.host, second, records, size), STATUS_SUCCESS);
    r.only_looks = true;
    LAB_OUT(&l->host, SYN(.sport = 60001, .dport = 80));
    assert_int_equal(t.states[0], FWPS_CONNECTION_PREVIOUSLY_REDIRECTED_BY_SELF);
    assert_string_equal(t.contexts[0], "10.0.0.2:80");
    assert_int_equal(t.states[1], FWPS_CONNECTION_REDIRECTED_BY_SELF);
    assert_string_equal(t.contexts[1], "second");
    assert_int_equal(t.states[2], FWPS_CONNECTION_REDIRECTED_BY_OTHER);
    assert_int_equal(FwpsQueryConnectionRedirectState0(NULL, h, NULL), FWPS_CONNECTION_NOT_REDIRECTED);
    host_close(l->host.host, e);
    host_close(l->host.host, second);
    FwpsRedirectHandleDestroy0(h);
    FwpsRedirectHandleDestroy0(other);
    FwpsRedirectHandleDestroy0(third);
}

static void RED_27_records_for_who_pends(void **state)
{
    struct driver_lab *l = lab(state);
    HANDLE h = redirector_handle();
    struct redirector r = local_redirector(h);
    struct told t = {.handles = {h}};
    struct host_endpoint *e;
    UINT8 records[256];
    SIZE_T size;

    redirector_put(l, "CR", &r);
    LAB_OUT(&l->host, SYN(.sport = 50000, .dport = 80));
    size = records_of(l, 50000, records);
    e = proxy_socket(l, 60000);
    assert_int_equal(host_redirect_set_records(l->host.host, e, records, size), STATUS_SUCCESS);
    r.only_looks = true;
    r.also = be_told;
    r.ctx = &t;
    LAB_OUT(&l->host, SYN(.sport = 60000, .dport = 80));
    assert_int_equal(t.none, STATUS_NOT_FOUND);
    assert_int_equal(t.small, STATUS_BUFFER_TOO_SMALL);
    assert_int_equal(t.need, size);
    assert_int_equal(t.format, STATUS_SUCCESS);
    assert_int_equal(t.size, size);
    assert_memory_equal(t.bytes, records, size);
    host_close(l->host.host, e);
    FwpsRedirectHandleDestroy0(h);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, redirector_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(RED_19_create_and_destroy),
        T(RED_20_states),
        T(RED_23_the_context_goes_with_the_flow),
        T(RED_24_records_and_context_of_an_accepted_socket),
        T(RED_25_the_proxys_connection),
        T(RED_27_records_for_who_pends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

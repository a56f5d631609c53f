/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What captures cannot show of operations that wait: binds and listens, several programs, programs that end, several
 * callouts that each keep the same operation. Each test is named after its requirement and goes all the way: a program's
 * call, a driver that keeps what it is asked about, a control code that lets it go.
 *
 *   weir_bind() ... --> classify(): kept by its waiter --WAITER_LET_GO, device--> FwpsCompleteOperation0 --> classify()
 *
 * The driver is linked in: what it does is the plan of its waiters, what it saw stands in them.
 */
#include "driver_suite.h"

#include <ntddk.h>
#include <fwpsk.h>
#include <fwpmk.h>

#define MOST          4 /* waiters */
#define KEPT          8
#define WAITER_LET_GO (0x22u << 16 | 0x800u << 2) /* all that the waiter of that number keeps, four bytes */
#define OTHER         "C:\\other.exe"

struct waiter {
    /* the plan */
    const char *at;      /* NULL: none; "AC", "RES", "LIS", "FE" */
    UINT16 weight;       /* of its sublayer */
    BOOLEAN hard;        /* clears WRITE with its pend */
    BOOLEAN refuses;     /* when it is asked again */
    BOOLEAN pends_again; /* tries to, when it is asked again */
    /* what it saw */
    HANDLE kept[KEPT];
    UINT64 processes[KEPT];
    unsigned asked, pended, asked_again;
    UINT32 flags_again;
    BOOLEAN had_packet;
    NTSTATUS status, status_again;
};

static struct waiter waiters[MOST];
static DEVICE_OBJECT *device;
static HANDLE engine;
static UINT32 ids[MOST];

/* ---- the driver ---------------------------------------------------------------------------------------- */

static const struct place {
    const char *name;
    UINT16 layer;
    const GUID *key;
    UINT16 flags;
} places[] = {
#define PLACE(name, layer)                                                                                   \
    {                                                                                                        \
        name, FWPS_LAYER_##layer, &FWPM_LAYER_##layer, FWPS_FIELD_##layer##_FLAGS                            \
    }
    PLACE("AC", ALE_AUTH_CONNECT_V4),
    PLACE("RES", ALE_RESOURCE_ASSIGNMENT_V4),
    PLACE("LIS", ALE_AUTH_LISTEN_V4),
    PLACE("FE", ALE_FLOW_ESTABLISHED_V4),
};

static const struct place *place_of(const char *name)
{
    for (unsigned i = 0; i < ARRAYSIZE(places); i++)
        if (strcmp(places[i].name, name) == 0)
            return &places[i];
    return NULL;
}

static void ask_again(struct waiter *w, UINT32 flags, const FWPS_INCOMING_METADATA_VALUES0 *metadata,
                      FWPS_CLASSIFY_OUT0 *out)
{
    HANDLE nothing = NULL;

    w->asked_again++;
    w->flags_again = flags;
    if (w->pends_again)
        w->status_again = FwpsPendOperation0(metadata->completionHandle, &nothing);
    if ((out->rights & FWPS_RIGHT_ACTION_WRITE) == 0)
        return;
    out->actionType = w->refuses ? FWP_ACTION_BLOCK : FWP_ACTION_PERMIT;
    if (w->refuses)
        out->rights &= ~(UINT32)FWPS_RIGHT_ACTION_WRITE;
}

static void NTAPI classify(const FWPS_INCOMING_VALUES0 *values,
                           const FWPS_INCOMING_METADATA_VALUES0 *metadata, void *layer_data,
                           const void *classify_context, const FWPS_FILTER3 *filter, UINT64 flow_context,
                           FWPS_CLASSIFY_OUT0 *out)
{
    struct waiter *w = &waiters[filter->context];
    const UINT32 flags = values->incomingValue[place_of(w->at)->flags].value.uint32;

    (void)classify_context;
    (void)flow_context;
    if ((flags & FWP_CONDITION_FLAG_IS_REAUTHORIZE) != 0) {
        ask_again(w, flags, metadata, out);
        return;
    }
    w->asked++;
    w->had_packet = (BOOLEAN)(layer_data != NULL);
    w->status = w->pended < KEPT ? FwpsPendOperation0(metadata->completionHandle, &w->kept[w->pended])
                                 : STATUS_INSUFFICIENT_RESOURCES;
    if (!NT_SUCCESS(w->status)) {
        out->actionType = FWP_ACTION_PERMIT;
        return;
    }
    w->processes[w->pended++] = metadata->processId;
    out->actionType = FWP_ACTION_BLOCK;
    out->flags |= FWPS_CLASSIFY_OUT_FLAG_ABSORB;
    if (w->hard)
        out->rights &= ~(UINT32)FWPS_RIGHT_ACTION_WRITE;
}

static NTSTATUS NTAPI notify(FWPS_CALLOUT_NOTIFY_TYPE type, const GUID *key, FWPS_FILTER3 *filter)
{
    (void)type;
    (void)key;
    (void)filter;
    return STATUS_SUCCESS;
}

static NTSTATUS let_go(struct waiter *w)
{
    for (unsigned i = 0; i < w->pended; i++)
        FwpsCompleteOperation0(w->kept[i], NULL);
    w->pended = 0;
    return STATUS_SUCCESS;
}

static NTSTATUS NTAPI dispatch(DEVICE_OBJECT *object, IRP *irp)
{
    const IO_STACK_LOCATION *stack = IoGetCurrentIrpStackLocation(irp);
    NTSTATUS status = STATUS_SUCCESS;

    (void)object;
    if (stack->MajorFunction == IRP_MJ_DEVICE_CONTROL)
        status = let_go(&waiters[*(const UINT32 *)irp->AssociatedIrp.SystemBuffer]);
    irp->IoStatus.Status = status;
    irp->IoStatus.Information = 0;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return status;
}

static NTSTATUS add(UINT32 number)
{
    const struct waiter *w = &waiters[number];
    const struct place *p = place_of(w->at);
    const GUID key = {0x4b4e2a7c, 0x93d1, 0x4a6b, {0x8e, 0x0f, 0x2c, 0x55, 0x71, 0xa9, 0x10, (UINT8)number}};
    FWPS_CALLOUT3 registered = {.calloutKey = key, .classifyFn = classify, .notifyFn = notify};
    FWPM_CALLOUT0 callout = {
        .calloutKey = key, .displayData.name = (WCHAR *)u"waiter", .applicableLayer = *p->key};
    FWPM_SUBLAYER0 sublayer = {
        .subLayerKey = key, .displayData.name = (WCHAR *)u"waiter", .weight = w->weight};
    FWPM_FILTER0 filter = {.displayData.name = (WCHAR *)u"waiter",
                           .layerKey = *p->key,
                           .subLayerKey = key,
                           .rawContext = number,
                           .action = {.type = FWP_ACTION_CALLOUT_TERMINATING, .calloutKey = key}};
    NTSTATUS status = FwpsCalloutRegister3(device, &registered, &ids[number]);

    if (NT_SUCCESS(status))
        status = FwpmSubLayerAdd0(engine, &sublayer, NULL);
    if (NT_SUCCESS(status))
        status = FwpmCalloutAdd0(engine, &callout, NULL, NULL);
    return NT_SUCCESS(status) ? FwpmFilterAdd0(engine, &filter, NULL, NULL) : status;
}

static void NTAPI unload(DRIVER_OBJECT *driver)
{
    UNICODE_STRING link;

    (void)driver;
    for (unsigned i = 0; i < MOST; i++)
        (void)let_go(&waiters[i]);
    FwpmEngineClose0(engine);
    for (unsigned i = 0; i < MOST; i++)
        if (waiters[i].at != NULL)
            (void)FwpsCalloutUnregisterById0(ids[i]);
    RtlInitUnicodeString(&link, (PCWSTR)u"\\DosDevices\\Waiter");
    IoDeleteSymbolicLink(&link);
    IoDeleteDevice(device);
}

static int32_t driver_entry(DRIVER_OBJECT *driver, UNICODE_STRING *path)
{
    FWPM_SESSION0 session = {.flags = FWPM_SESSION_FLAG_DYNAMIC};
    UNICODE_STRING name, link;
    NTSTATUS status;

    (void)path;
    RtlInitUnicodeString(&name, (PCWSTR)u"\\Device\\Waiter");
    RtlInitUnicodeString(&link, (PCWSTR)u"\\DosDevices\\Waiter");
    status = IoCreateDevice(driver, 0, &name, FILE_DEVICE_NETWORK, 0, FALSE, &device);
    if (NT_SUCCESS(status))
        status = IoCreateSymbolicLink(&link, &name);
    if (NT_SUCCESS(status))
        status = FwpmEngineOpen0(NULL, RPC_C_AUTHN_WINNT, NULL, &session, &engine);
    for (UINT32 i = 0; NT_SUCCESS(status) && i < MOST; i++)
        if (waiters[i].at != NULL)
            status = add(i);
    driver->DriverUnload = unload;
    driver->MajorFunction[IRP_MJ_CREATE] = dispatch;
    driver->MajorFunction[IRP_MJ_CLOSE] = dispatch;
    driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = dispatch;
    return status;
}

/* ---- the test's side ----------------------------------------------------------------------------------- */

static void open_with(struct suite *s, const struct waiter *plan, size_t count)
{
    memset(waiters, 0, sizeof waiters);
    memcpy(waiters, plan, count * sizeof *plan);
    suite_open_bare(s, NULL);
    s->driver = weir_driver_with(s->w, &(struct weir_driver_config){.entry = driver_entry, .name = "waiter"});
    if (s->driver == NULL)
        fail_msg("%s", weir_error());
    (void)suite_listens(s->peer, ":80");
}
#define OPEN(s, ...)                                                                                         \
    open_with(s, (const struct waiter[]){__VA_ARGS__},                                                       \
              sizeof((const struct waiter[]){__VA_ARGS__}) / sizeof(struct waiter))

/* That waiter completes what it keeps. */
static void completes(struct suite *s, uint32_t number)
{
    struct weir_device *d = weir_open(s->program, "\\\\.\\Waiter", NULL);

    assert_non_null(d);
    assert_int_equal(weir_control(d, WAITER_LET_GO, &number, sizeof number, NULL, 0, NULL, 0),
                     STATUS_SUCCESS);
    weir_device_close(d);
}

static uint64_t pended(struct suite *s)
{
    return weir_outstanding(s->w, "pended operation");
}

static struct weir_socket *tcp(struct weir_process *p)
{
    return weir_socket(p, WEIR_TCP);
}

static size_t asked_at(struct suite *s, const char *layer)
{
    return weir_count(s->w, &(struct weir_match){.layer = layer});
}

/* ---- PEND-11: somebody else blocks --------------------------------------------------------------------- */

static void PEND_11_a_connect_that_another_blocks_fails_at_once(void **state)
{
    struct weir_socket *c;
    struct suite s;

    (void)state;
    OPEN(&s, {.at = "AC", .weight = 0xffff});
    suite_block(&s, &FWPM_LAYER_ALE_AUTH_CONNECT_V4, 23);
    c = tcp(s.program);
    assert_int_equal(weir_connect(c, "10.0.0.2:23"), -EACCES);
    assert_true(weir_expect_state(c, WEIR_REFUSED));
    assert_int_equal(waiters[0].status, STATUS_SUCCESS);
    assert_int_equal(pended(&s), 1); /* the driver owes it all the same */
    completes(&s, 0);
    weir_run(s.w, WEIR_SECOND);
    assert_int_equal(waiters[0].asked_again, 0);
    assert_true(weir_expect_state(c, WEIR_REFUSED));
    assert_int_equal(suite_packets(&s), 0);
    /* Where nobody blocks it holds. */
    c = tcp(s.program);
    assert_int_equal(weir_connect(c, "10.0.0.2:80"), -EINPROGRESS);
    weir_run(s.w, WEIR_SECOND);
    assert_true(weir_expect_state(c, WEIR_PENDED));
    completes(&s, 0);
    assert_true(weir_wait(c, WEIR_CONNECTED, WEIR_SECOND));
    suite_close(&s);
}

static void PEND_11_binds_and_listens_that_another_blocks(void **state)
{
    struct weir_socket *c;
    struct suite s;

    (void)state;
    OPEN(&s, {.at = "RES", .weight = 0xffff});
    suite_block(&s, &FWPM_LAYER_ALE_RESOURCE_ASSIGNMENT_V4, 0);
    c = tcp(s.program);
    assert_int_equal(weir_bind(c, "10.0.0.1:8080"), -EACCES);
    assert_int_equal(pended(&s), 1);
    completes(&s, 0);
    assert_int_equal(waiters[0].asked_again, 0);
    assert_true(weir_expect_state(c, WEIR_REFUSED));
    suite_close(&s);

    OPEN(&s, {.at = "LIS", .weight = 0xffff});
    suite_block(&s, &FWPM_LAYER_ALE_AUTH_LISTEN_V4, 0);
    c = tcp(s.program);
    assert_int_equal(weir_bind(c, "10.0.0.1:8080"), 0);
    assert_int_equal(weir_listen(c), -EACCES);
    completes(&s, 0);
    assert_int_equal(waiters[0].asked_again, 0);
    suite_close(&s);
}

/* ---- PEND-36: several datagrams of one flow -------------------------------------------------------------- */

/* Each is an operation of its own: what becomes of the first does not decide about the second, which is asked about as well
 * when it is completed, and so is known to the driver as what it keeps. */
static void PEND_36_each_datagram_is_asked_about_again(void **state)
{
    static const char *const there[] = {"10.0.0.2:53", "10.0.0.2:54"};

    (void)state;
    for (unsigned refuses = 0; refuses < 2; refuses++) {
        struct weir_socket *c;
        struct suite s;

        OPEN(&s, {.at = "AC", .hard = TRUE, .refuses = (BOOLEAN)refuses});
        c = suite_bound(s.program, ":99");
        for (unsigned i = 0; i < 3; i++)
            assert_int_equal(weir_send_to(c, there[0], "datagram", 8), 8);
        assert_int_equal(weir_send_to(c, there[1], "other", 5), 5);
        assert_int_equal(pended(&s), 4);
        completes(&s, 0);
        assert_int_equal(waiters[0].asked_again, 4);
        assert_int_equal(pended(&s), 0);
        assert_true(
            weir_expect(s.w, &(struct weir_match){.kind = WEIR_EVENT_COMPLETED, .verdict = "cancelled"}, 0));
        assert_true(weir_expect(
            s.w, &(struct weir_match){.kind = WEIR_EVENT_COMPLETED, .verdict = refuses ? "block" : "permit"},
            4));
        if (!refuses) {
            assert_int_equal(weir_send_to(c, there[0], "datagram", 8), 8);
            assert_int_equal(pended(&s), 0); /* it has its flow */
        }
        suite_close(&s);
    }
}

/* ---- PEND-39, PEND-40: binds and listens --------------------------------------------------------------- */

static void PEND_39_asked_again_and_not_pended_again(void **state)
{
    struct weir_socket *c;
    struct suite s;

    (void)state;
    OPEN(&s, {.at = "RES", .hard = TRUE, .pends_again = TRUE},
         {.at = "LIS", .hard = TRUE, .pends_again = TRUE});
    c = tcp(s.program);
    assert_int_equal(weir_bind(c, "10.0.0.1:8080"), -EINPROGRESS);
    completes(&s, 0);
    assert_true(weir_expect_state(c, WEIR_BOUND));
    assert_int_equal(weir_listen(c), -EINPROGRESS);
    completes(&s, 1);
    assert_true(weir_expect_state(c, WEIR_LISTENING));
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(waiters[i].asked_again, 1);
        assert_true(waiters[i].flags_again & FWP_CONDITION_FLAG_IS_REAUTHORIZE);
        assert_false(waiters[i].flags_again & FWP_CONDITION_FLAG_IS_RECLASSIFY);
        assert_int_equal(waiters[i].status_again, STATUS_FWP_CANNOT_PEND);
        assert_false(waiters[i].had_packet);
    }
    suite_close(&s);
}

static void PEND_40_a_bind_waits_and_is_refused(void **state)
{
    struct weir_socket *c, *d;
    struct suite s;

    (void)state;
    OPEN(&s, {.at = "RES", .hard = TRUE, .refuses = TRUE});
    c = weir_socket(s.program, WEIR_UDP);
    assert_int_equal(weir_bind(c, "10.0.0.1:53"), -EINPROGRESS);
    weir_run(s.w, 3600 * WEIR_SECOND); /* nothing ends it by itself */
    assert_true(weir_expect_state(c, WEIR_PENDED));
    assert_int_equal(weir_send_to(c, "10.0.0.2:53", "x", 1), -EAGAIN);
    /* Another program is told that it waits as well: each of its own. */
    d = weir_socket(weir_process(s.w, OTHER, NULL), WEIR_UDP);
    assert_int_equal(weir_bind(d, "10.0.0.1:54"), -EINPROGRESS);
    assert_int_equal(pended(&s), 2);
    completes(&s, 0);
    assert_true(weir_expect_state(c, WEIR_REFUSED));
    assert_true(weir_expect_state(d, WEIR_REFUSED));
    assert_false(waiters[0].had_packet);
    assert_int_equal(suite_packets(&s), 0);
    assert_int_equal(asked_at(&s, "ALE_RESOURCE_RELEASE"), 0); /* nothing was assigned */
    suite_close(&s);
}

static void PEND_40_a_listen_waits_and_is_refused(void **state)
{
    struct weir_socket *c, *caller;
    struct suite s;

    (void)state;
    for (unsigned refused = 0; refused < 2; refused++) {
        OPEN(&s, {.at = "LIS", .hard = TRUE, .refuses = (BOOLEAN)refused});
        c = tcp(s.program);
        assert_int_equal(weir_bind(c, "10.0.0.1:8080"), 0);
        assert_int_equal(weir_listen(c), -EINPROGRESS);
        caller = tcp(s.peer); /* nobody listens yet */
        (void)weir_connect(caller, "10.0.0.1:8080");
        assert_false(weir_wait(caller, WEIR_CONNECTED, 100 * WEIR_MILLISECOND));
        completes(&s, 0);
        assert_true(weir_expect_state(c, refused ? WEIR_REFUSED : WEIR_LISTENING));
        caller = tcp(s.peer);
        (void)weir_connect(caller, "10.0.0.1:8080");
        assert_int_equal(weir_wait(caller, WEIR_CONNECTED, WEIR_SECOND), !refused);
        suite_close(&s);
    }
}

/* ---- PEND-41: who waits goes --------------------------------------------------------------------------- */

static struct weir_socket *waits(struct weir_process *p, const char *at)
{
    struct weir_socket *c = tcp(p);

    if (strcmp(at, "AC") == 0) {
        assert_int_equal(weir_connect(c, "10.0.0.2:80"), -EINPROGRESS);
    } else {
        assert_int_equal(weir_bind(c, "0.0.0.0:8080"), strcmp(at, "RES") == 0 ? -EINPROGRESS : 0);
        if (strcmp(at, "LIS") == 0)
            assert_int_equal(weir_listen(c), -EINPROGRESS);
    }
    assert_true(weir_expect_state(c, WEIR_PENDED));
    return c;
}

static void goes_while_it_waits(const char *at, unsigned how)
{
    struct weir_process *other;
    struct weir_socket *c;
    struct suite s;
    size_t kept;

    OPEN(&s, {.at = at, .hard = TRUE});
    other = weir_process(s.w, OTHER, NULL);
    c = waits(other, at);
    kept = waiters[0].pended; /* of both versions or one */
    assert_int_equal(pended(&s), kept);
    if (how == 0)
        weir_close(c);
    else if (how == 1)
        weir_abort(c);
    else
        weir_process_exit(other);
    assert_int_equal(pended(&s), kept);
    completes(&s, 0); /* accepted, and nobody is asked again */
    weir_settle(s.w);
    assert_int_equal(pended(&s), 0);
    assert_int_equal(waiters[0].asked_again, 0);
    assert_true(
        weir_expect(s.w, &(struct weir_match){.kind = WEIR_EVENT_COMPLETED, .verdict = "cancelled"}, kept));
    assert_int_equal(suite_packets(&s), 0);
    /* Its ends are told as of any endpoint. */
    assert_int_equal(weir_count(s.w, &(struct weir_match){.layer = "ALE_ENDPOINT_CLOSURE_V4", .protocol = 6}),
                     strcmp(at, "RES") != 0 && strcmp(at, "LIS") != 0);
    assert_int_equal(weir_count(s.w, &(struct weir_match){.layer = "ALE_RESOURCE_RELEASE_V4"}),
                     strcmp(at, "RES") != 0);
    /* The port is free for another. */
    assert_int_equal(weir_bind(tcp(s.program), "10.0.0.1:8080"), strcmp(at, "RES") == 0 ? -EINPROGRESS : 0);
    suite_close(&s);
}

static void PEND_41_the_socket_is_closed_while_it_waits(void **state)
{
    (void)state;
    for (unsigned how = 0; how < 2; how++) {
        goes_while_it_waits("AC", how);
        goes_while_it_waits("RES", how);
        goes_while_it_waits("LIS", how);
    }
}

static void PEND_41_the_process_ends_while_it_waits(void **state)
{
    (void)state;
    goes_while_it_waits("AC", 2);
    goes_while_it_waits("RES", 2);
    goes_while_it_waits("LIS", 2);
}

/* Two programs wait, one ends: the other's operation is not touched. */
static void PEND_41_only_that_process_ends(void **state)
{
    struct weir_process *one, *two;
    struct weir_socket *c;
    struct suite s;

    (void)state;
    OPEN(&s, {.at = "AC", .hard = TRUE});
    one = weir_process(s.w, "C:\\one.exe", NULL);
    two = weir_process(s.w, "C:\\two.exe", NULL);
    (void)waits(one, "AC");
    c = waits(two, "AC");
    assert_true(waiters[0].processes[0] == weir_process_id(one));
    assert_true(waiters[0].processes[1] == weir_process_id(two));
    weir_process_exit(one);
    assert_true(weir_expect_state(c, WEIR_PENDED));
    completes(&s, 0);
    assert_int_equal(waiters[0].asked_again, 1);
    assert_true(weir_wait(c, WEIR_CONNECTED, WEIR_SECOND));
    suite_close(&s);
}

/* ---- PEND-42: two wait for the same operation ---------------------------------------------------------- */

static void two_wait(const char *at, bool first)
{
    const unsigned one = first, other = !first;
    struct weir_socket *c;
    struct suite s;

    OPEN(&s, {.at = at, .weight = 0x8000}, {.at = at, .weight = 0x100, .hard = TRUE});
    c = waits(s.program, at);
    assert_true(waiters[0].pended > 0);
    assert_int_equal(waiters[0].pended, waiters[1].pended);
    completes(&s, one);
    weir_run(s.w, WEIR_SECOND);
    assert_true(weir_expect_state(c, WEIR_PENDED));
    assert_int_equal(waiters[0].asked_again + waiters[1].asked_again, 0);
    completes(&s, other);
    assert_true(waiters[0].asked_again > 0);
    assert_int_equal(waiters[0].asked_again, waiters[1].asked_again);
    assert_true(weir_wait(c,
                          strcmp(at, "AC") == 0    ? WEIR_CONNECTED
                          : strcmp(at, "RES") == 0 ? WEIR_BOUND
                                                   : WEIR_LISTENING,
                          WEIR_SECOND));
    suite_close(&s);
}

static void PEND_42_goes_on_when_both_have_completed(void **state)
{
    (void)state;
    for (unsigned first = 0; first < 2; first++) {
        two_wait("AC", first);
        two_wait("RES", first);
        two_wait("LIS", first);
    }
}

static void PEND_42_the_process_ends_while_both_wait(void **state)
{
    struct weir_process *other;
    struct suite s;

    (void)state;
    OPEN(&s, {.at = "AC", .weight = 0x8000}, {.at = "AC", .weight = 0x100, .hard = TRUE});
    other = weir_process(s.w, OTHER, NULL);
    (void)waits(other, "AC");
    completes(&s, 0);
    weir_process_exit(other);
    completes(&s, 1);
    weir_settle(s.w);
    assert_int_equal(waiters[0].asked_again + waiters[1].asked_again, 0);
    assert_int_equal(suite_packets(&s), 0);
    suite_close(&s);
}

/* ---- PEND-43, PEND-46 ---------------------------------------------------------------------------------- */

static void PEND_43_a_flow_that_is_established_does_not_wait(void **state)
{
    struct weir_socket *c;
    struct suite s;

    (void)state;
    OPEN(&s, {.at = "FE", .hard = TRUE});
    c = tcp(s.program);
    assert_int_equal(weir_connect(c, "10.0.0.2:80"), -EINPROGRESS);
    assert_true(weir_wait(c, WEIR_CONNECTED, WEIR_SECOND));
    assert_int_equal(waiters[0].asked, 1);
    assert_int_equal(waiters[0].status, STATUS_FWP_CANNOT_PEND);
    assert_int_equal(pended(&s), 0);
    suite_close(&s);
}

static void PEND_46_a_pend_that_fails_keeps_nothing(void **state)
{
    struct weir_socket *c;
    struct suite s;

    (void)state;
    OPEN(&s, {.at = "AC", .hard = TRUE});
    assert_int_equal(weir_fail(s.w, "FwpsPendOperation", 1, 0), 0);
    c = tcp(s.program);
    assert_int_equal(weir_connect(c, "10.0.0.2:80"), -EINPROGRESS);
    assert_true(!NT_SUCCESS(waiters[0].status));
    assert_int_equal(pended(&s), 0);
    assert_true(weir_wait(c, WEIR_CONNECTED, WEIR_SECOND)); /* it permits, then */
    suite_close(&s);
}

/* ---- ALE: several programs ----------------------------------------------------------------------------- */

static void ALE_36_each_program_is_known_as_the_owner(void **state)
{
    struct weir_process *p[4];
    struct suite s;

    (void)state;
    OPEN(&s, {.at = "AC", .hard = TRUE});
    for (unsigned i = 0; i < 4; i++) {
        p[i] = weir_process(s.w, i & 1 ? OTHER : "C:\\one.exe", i & 2 ? "S-1-5-21-1-2-3-1002" : NULL);
        (void)waits(p[i], "AC");
        assert_true(waiters[0].processes[i] == weir_process_id(p[i]));
        for (unsigned n = 0; n < i; n++)
            assert_true(weir_process_id(p[n]) != weir_process_id(p[i]));
    }
    suite_close(&s);
}

static void ALE_31_what_a_process_had_is_released_when_it_ends(void **state)
{
    struct weir_process *other;
    struct weir_socket *c;
    struct suite s;

    (void)state;
    suite_open_bare(&s, NULL);
    (void)suite_listens(s.peer, ":80");
    other = weir_process(s.w, OTHER, NULL);
    c = tcp(other);
    (void)weir_connect(c, "10.0.0.2:80");
    assert_true(weir_wait(c, WEIR_CONNECTED, WEIR_SECOND));
    (void)suite_listens(other, "10.0.0.1:8080");
    (void)suite_bound(other, "10.0.0.1:53");
    assert_int_equal(asked_at(&s, "ALE_RESOURCE_ASSIGNMENT"), 3);
    assert_int_equal(asked_at(&s, "ALE_RESOURCE_RELEASE"), 0);
    weir_process_exit(other);
    weir_settle(s.w);
    assert_int_equal(asked_at(&s, "ALE_RESOURCE_RELEASE"), 3);
    assert_int_equal(asked_at(&s, "ALE_ENDPOINT_CLOSURE"),
                     3); /* the connection, the listener, the UDP endpoint */
    suite_close(&s);
}

static void ALE_26_a_filter_that_is_added_ends_what_it_blocks(void **state)
{
    struct weir_process *other;
    struct weir_socket *a, *b;
    struct suite s;

    (void)state;
    suite_open_bare(&s, NULL);
    (void)suite_listens(s.peer, ":80");
    (void)suite_listens(s.peer, ":81");
    other = weir_process(s.w, OTHER, NULL);
    a = tcp(s.program);
    b = tcp(other);
    (void)weir_connect(a, "10.0.0.2:80");
    (void)weir_connect(b, "10.0.0.2:81");
    assert_true(weir_wait(a, WEIR_CONNECTED, WEIR_SECOND));
    assert_true(weir_wait(b, WEIR_CONNECTED, WEIR_SECOND));
    weir_run(s.w, WEIR_SECOND);
    suite_block(&s, &FWPM_LAYER_ALE_AUTH_CONNECT_V4, 80);
    weir_run(s.w, WEIR_SECOND);
    assert_true(weir_expect_state(a, WEIR_CONNECTED)); /* it is asked with its next packet (ALE-23) */
    (void)weir_send(a, "x", 1);
    (void)weir_send(b, "x", 1);
    weir_run(s.w, WEIR_SECOND);
    assert_true(
        weir_expect(s.w, &(struct weir_match){.layer = "ALE_AUTH_CONNECT_V4", .verdict = "block"}, 1));
    assert_true(weir_expect(
        s.w,
        &(struct weir_match){
            .kind = WEIR_EVENT_FLOW, .verdict = "deleted", .remote = ":80", .contains = "refused"},
        1));
    assert_true(weir_expect(
        s.w, &(struct weir_match){.kind = WEIR_EVENT_PACKET, .remote = "10.0.0.2:80", .contains = " PA "},
        0));
    assert_true(weir_expect_state(b, WEIR_CONNECTED));
    suite_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(PEND_11_a_connect_that_another_blocks_fails_at_once),
        cmocka_unit_test(PEND_11_binds_and_listens_that_another_blocks),
        cmocka_unit_test(PEND_36_each_datagram_is_asked_about_again),
        cmocka_unit_test(PEND_39_asked_again_and_not_pended_again),
        cmocka_unit_test(PEND_40_a_bind_waits_and_is_refused),
        cmocka_unit_test(PEND_40_a_listen_waits_and_is_refused),
        cmocka_unit_test(PEND_41_the_socket_is_closed_while_it_waits),
        cmocka_unit_test(PEND_41_the_process_ends_while_it_waits),
        cmocka_unit_test(PEND_41_only_that_process_ends),
        cmocka_unit_test(PEND_42_goes_on_when_both_have_completed),
        cmocka_unit_test(PEND_42_the_process_ends_while_both_wait),
        cmocka_unit_test(PEND_43_a_flow_that_is_established_does_not_wait),
        cmocka_unit_test(PEND_46_a_pend_that_fails_keeps_nothing),
        cmocka_unit_test(ALE_36_each_program_is_known_as_the_owner),
        cmocka_unit_test(ALE_31_what_a_process_had_is_released_when_it_ends),
        cmocka_unit_test(ALE_26_a_filter_that_is_added_ends_what_it_blocks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

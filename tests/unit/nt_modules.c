/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network module registrar: who meets whom and when, what each is told in which order, detaching that takes its
 * time, modules that go in the middle, drivers that forget.
 */
#include "nt_lab.h"

#include <stdio.h>
#include <string.h>

#include "netioddk.h"

static const NPIID one_npi = {0x6a1de870, 0x5c1e, 0x4d5b, {1, 2, 3, 4, 5, 6, 7, 8}};
static const NPIID other_npi = {0x6a1de870, 0x5c1e, 0x4d5b, {1, 2, 3, 4, 5, 6, 7, 9}};

/* A module of either side, and what it is to do. */
struct part {
    struct nt_lab *lab;
    const char *name;
    NPI_CLIENT_CHARACTERISTICS client;
    NPI_PROVIDER_CHARACTERISTICS provider;
    NPI_MODULEID id;
    HANDLE handle, binding; /* binding: the newest */
    const void *seen;       /* characteristics of the newest partner */
    void *partner;          /* its binding context */
    const void *dispatch;   /* and functions */
    NTSTATUS declines;      /* what it says in place of attaching */
    NTSTATUS claims; /* a client's: what it says in place of NmrClientAttachProvider's answer; 1: that */
    bool pends;      /* its detach callbacks return STATUS_PENDING */
    void (*meanwhile)(struct part *); /* in its attach callback */
    NTSTATUS attached;                /* what NmrClientAttachProvider returned */
};

static struct part *of_npi(PNPI_REGISTRATION_INSTANCE instance)
{
    return (struct part *)(uintptr_t)instance->NpiSpecificCharacteristics;
}

static NTSTATUS client_attach(HANDLE binding, PVOID context, PNPI_REGISTRATION_INSTANCE provider)
{
    struct part *p = context;

    lab_trace(p->lab, "%s sees %s", p->name, of_npi(provider)->name);
    LAB_CHECK(p->lab, KeGetCurrentIrql() == PASSIVE_LEVEL);
    p->binding = binding;
    p->seen = provider->NpiSpecificCharacteristics;
    if (p->declines != STATUS_SUCCESS)
        return p->declines;
    p->attached = NmrClientAttachProvider(binding, p, &p->client, &p->partner, &p->dispatch);
    return p->claims != 1 ? p->claims : p->attached;
}

static NTSTATUS provider_attach(HANDLE binding, PVOID context, PNPI_REGISTRATION_INSTANCE client,
                                PVOID client_context, const VOID *client_dispatch, PVOID *provider_context,
                                const VOID **provider_dispatch)
{
    struct part *p = context;

    lab_trace(p->lab, "%s gets %s", p->name, of_npi(client)->name);
    LAB_CHECK(p->lab, client_context == (PVOID)of_npi(client));
    if (p->meanwhile != NULL)
        p->meanwhile(p);
    if (p->declines != STATUS_SUCCESS)
        return p->declines;
    p->binding = binding;
    p->partner = client_context;
    p->dispatch = client_dispatch;
    *provider_context = p;
    *provider_dispatch = &p->provider;
    return STATUS_SUCCESS;
}

static NTSTATUS detach(PVOID context)
{
    struct part *p = context;

    lab_trace(p->lab, "%s detaches", p->name);
    return p->pends ? STATUS_PENDING : STATUS_SUCCESS;
}

static VOID cleanup(PVOID context)
{
    struct part *p = context;

    lab_trace(p->lab, "%s cleans up", p->name);
}

static struct part make(struct nt_lab *lab, const char *name)
{
    return (struct part){.lab = lab, .name = name, .claims = 1};
}

static void fill(NPI_REGISTRATION_INSTANCE *instance, struct part *p, const NPIID *npi)
{
    p->id.Length = sizeof p->id;
    p->id.Type = MIT_GUID;
    *instance = (NPI_REGISTRATION_INSTANCE){
        .Size = sizeof *instance, .NpiId = npi, .ModuleId = &p->id, .NpiSpecificCharacteristics = p};
}

static void join_as_client(struct part *p, const NPIID *npi)
{
    p->client = (NPI_CLIENT_CHARACTERISTICS){.Length = sizeof p->client,
                                             .ClientAttachProvider = client_attach,
                                             .ClientDetachProvider = detach,
                                             .ClientCleanupBindingContext = cleanup};
    fill(&p->client.ClientRegistrationInstance, p, npi);
    assert_int_equal(NmrRegisterClient(&p->client, p, &p->handle), STATUS_SUCCESS);
}

static void join_as_provider(struct part *p, const NPIID *npi)
{
    p->provider = (NPI_PROVIDER_CHARACTERISTICS){.Length = sizeof p->provider,
                                                 .ProviderAttachClient = provider_attach,
                                                 .ProviderDetachClient = detach,
                                                 .ProviderCleanupBindingContext = cleanup};
    fill(&p->provider.ProviderRegistrationInstance, p, npi);
    assert_int_equal(NmrRegisterProvider(&p->provider, p, &p->handle), STATUS_SUCCESS);
}

static void leave_client(struct part *p)
{
    assert_int_equal(NmrDeregisterClient(p->handle), STATUS_PENDING);
    assert_int_equal(NmrWaitForClientDeregisterComplete(p->handle), STATUS_SUCCESS);
}

static void leave_provider(struct part *p)
{
    assert_int_equal(NmrDeregisterProvider(p->handle), STATUS_PENDING);
    assert_int_equal(NmrWaitForProviderDeregisterComplete(p->handle), STATUS_SUCCESS);
}

static void expect_trace(struct nt_lab *lab, const char *text)
{
    assert_string_equal(lab->trace, text);
    lab->trace[0] = '\0';
    lab->traced = 0;
}

/* ---- meeting and parting ------------------------------------------------------------------------------------ */

static void meet_body(struct nt_lab *lab)
{
    struct part c = make(lab, "client"), p = make(lab, "provider"), far = make(lab, "far");
    KIRQL irql;

    join_as_provider(&far, &other_npi);
    join_as_provider(&p, &one_npi);
    expect_trace(lab, "");
    join_as_client(&c, &one_npi);
    expect_trace(lab, "client sees provider\nprovider gets client\n");
    assert_int_equal(c.attached, STATUS_SUCCESS);
    assert_ptr_equal(c.seen, &p);
    assert_ptr_equal(c.partner, &p);
    assert_ptr_equal(c.dispatch, &p.provider);
    assert_ptr_equal(p.partner, &c);
    assert_ptr_equal(p.dispatch, &c.client);
    assert_ptr_equal(p.binding, c.binding);

    assert_int_equal(NmrWaitForClientDeregisterComplete(c.handle),
                     STATUS_INVALID_PARAMETER);                                  /* not deregistered */
    assert_int_equal(NmrDeregisterProvider(c.handle), STATUS_INVALID_PARAMETER); /* a client's handle */
    assert_int_equal(NmrDeregisterClient(NULL), STATUS_INVALID_PARAMETER);
    assert_int_equal(NmrDeregisterClient(c.handle), STATUS_PENDING);
    expect_trace(lab, "client detaches\nprovider detaches\nclient cleans up\nprovider cleans up\n");
    assert_int_equal(NmrDeregisterClient(c.handle), STATUS_INVALID_PARAMETER);
    assert_int_equal(NmrWaitForClientDeregisterComplete(c.handle), STATUS_SUCCESS);
    assert_int_equal(NmrWaitForClientDeregisterComplete(c.handle), STATUS_INVALID_PARAMETER);

    join_as_client(&c, &one_npi); /* again; and this time the provider goes first, at DISPATCH_LEVEL */
    expect_trace(lab, "client sees provider\nprovider gets client\n");
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    assert_int_equal(NmrDeregisterProvider(p.handle), STATUS_PENDING);
    KeLowerIrql(irql);
    expect_trace(lab, "provider detaches\nclient detaches\nclient cleans up\nprovider cleans up\n");
    assert_int_equal(NmrWaitForProviderDeregisterComplete(p.handle), STATUS_SUCCESS);
    join_as_provider(&p, &one_npi); /* the client was first now */
    expect_trace(lab, "client sees provider\nprovider gets client\n");
    leave_provider(&p);
    leave_client(&c);
    leave_provider(&far);
    expect_trace(lab, "provider detaches\nclient detaches\nclient cleans up\nprovider cleans up\n");
}

static void both_meet_whoever_came_first(void **state)
{
    (void)state;
    nt_lab_both(meet_body, NULL);
}

static void many_body(struct nt_lab *lab)
{
    struct part a = make(lab, "a"), b = make(lab, "b"), x = make(lab, "x"), y = make(lab, "y");

    join_as_client(&a, &one_npi);
    join_as_provider(&x, &one_npi);
    join_as_client(&b, &one_npi);
    join_as_provider(&y, &one_npi);
    expect_trace(lab, "a sees x\nx gets a\nb sees x\nx gets b\na sees y\ny gets a\nb sees y\ny gets b\n");
    assert_int_equal(NmrDeregisterProvider(x.handle), STATUS_PENDING);
    assert_non_null(strstr(lab->trace, "a detaches\n"));
    assert_non_null(strstr(lab->trace, "b detaches\n"));
    assert_null(strstr(lab->trace, "y"));
    lab->traced = 0;
    lab->trace[0] = '\0';
    leave_client(&a);
    expect_trace(lab, "a detaches\ny detaches\na cleans up\ny cleans up\n");
    assert_int_equal(NmrWaitForProviderDeregisterComplete(x.handle), STATUS_SUCCESS);
    leave_client(&b);
    leave_provider(&y);
    expect_trace(lab, "b detaches\ny detaches\nb cleans up\ny cleans up\n");
}

static void every_client_meets_every_provider(void **state)
{
    (void)state;
    nt_lab_both(many_body, NULL);
}

static void decline_body(struct nt_lab *lab)
{
    struct part c = make(lab, "client"), p = make(lab, "provider");
    NPI_CLIENT_CHARACTERISTICS without = {.ClientAttachProvider = client_attach};

    c.declines = STATUS_NOINTERFACE;
    join_as_client(&c, &one_npi);
    join_as_provider(&p, &one_npi);
    leave_client(&c);
    expect_trace(lab, "client sees provider\n");
    assert_int_equal(NmrClientAttachProvider(c.binding, &c, NULL, &c.partner, &c.dispatch),
                     STATUS_INVALID_PARAMETER);
    c.declines = STATUS_SUCCESS;
    p.declines = STATUS_INSUFFICIENT_RESOURCES;
    c.partner = NULL;
    join_as_client(&c, &one_npi);
    assert_int_equal(c.attached, STATUS_INSUFFICIENT_RESOURCES);
    assert_null(c.partner);
    leave_client(&c);
    leave_provider(&p);
    expect_trace(lab, "client sees provider\nprovider gets client\n");
    assert_int_equal(NmrRegisterClient(NULL, NULL, &c.handle), STATUS_INVALID_PARAMETER);
    assert_int_equal(NmrRegisterClient(&without, NULL, &c.handle), STATUS_INVALID_PARAMETER);
    without.ClientDetachProvider = detach; /* but no interface */
    assert_int_equal(NmrRegisterClient(&without, NULL, &c.handle), STATUS_INVALID_PARAMETER);
}

static void either_may_decline(void **state)
{
    (void)state;
    nt_lab_both(decline_body, NULL);
}

/* ---- later ------------------------------------------------------------------------------------------------- */

static VOID completes(PVOID context)
{
    struct part *p = context;
    LARGE_INTEGER while_it_waits = lab_ms(20);
    KIRQL irql;

    KeDelayExecutionThread(KernelMode, FALSE, &while_it_waits);
    lab_trace(p->lab, "%s completes", p->name);
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    if (p->provider.ProviderDetachClient != NULL)
        NmrProviderDetachClientComplete(p->binding);
    else
        NmrClientDetachProviderComplete(p->binding);
    KeLowerIrql(irql);
}

static void pend_body(struct nt_lab *lab)
{
    struct part c = make(lab, "client"), p = make(lab, "provider");
    HANDLE thread;

    join_as_client(&c, &one_npi);
    join_as_provider(&p, &one_npi);
    expect_trace(lab, "client sees provider\nprovider gets client\n");
    NmrClientDetachProviderComplete(c.binding); /* nobody asked it to detach */
    lab_expect(lab, LEDGER_NOTE,
               "NmrClientDetachProviderComplete with a handle of no binding that waits for it");
    p.pends = true;
    assert_int_equal(NmrDeregisterClient(c.handle), STATUS_PENDING);
    expect_trace(lab, "client detaches\nprovider detaches\n");
    NmrClientDetachProviderComplete(c.binding); /* it did not pend */
    lab_expect(lab, LEDGER_NOTE, "NmrClientDetachProviderComplete");
    thread = lab_thread(completes, &p);
    assert_int_equal(NmrWaitForClientDeregisterComplete(c.handle), STATUS_SUCCESS);
    expect_trace(lab, "provider completes\nclient cleans up\nprovider cleans up\n");
    lab_join(thread);
    NmrProviderDetachClientComplete(p.binding); /* once more */
    lab_expect(lab, LEDGER_NOTE, "NmrProviderDetachClientComplete");
    p.pends = false;
    c.pends = true;
    join_as_client(&c, &one_npi);
    lab->traced = 0;
    assert_int_equal(NmrDeregisterProvider(p.handle), STATUS_PENDING);
    thread = lab_thread(completes, &c);
    assert_int_equal(NmrWaitForProviderDeregisterComplete(p.handle), STATUS_SUCCESS);
    expect_trace(
        lab, "provider detaches\nclient detaches\nclient completes\nclient cleans up\nprovider cleans up\n");
    lab_join(thread);
    leave_client(&c);
}

static void detaching_may_take_its_time(void **state)
{
    (void)state;
    nt_lab_both(pend_body, NULL);
}

static void client_leaves(struct part *p)
{
    struct part *c = p->lab->arg;

    assert_int_equal(NmrDeregisterClient(c->handle), STATUS_PENDING);
    lab_trace(p->lab, "client left");
}

/* Deregistered while it is being attached: it is attached to the end first, and detached before the registration is back. */
static void meanwhile_body(struct nt_lab *lab)
{
    struct part c = make(lab, "client"), p = make(lab, "provider");

    lab->arg = &c;
    join_as_client(&c, &one_npi);
    p.meanwhile = client_leaves;
    join_as_provider(&p, &one_npi);
    expect_trace(
        lab, "client sees provider\nprovider gets client\nclient left\nclient detaches\nprovider detaches\n"
             "client cleans up\nprovider cleans up\n");
    assert_int_equal(NmrWaitForClientDeregisterComplete(c.handle), STATUS_SUCCESS);
    leave_provider(&p);
    expect_trace(lab, "");
}

static void one_may_go_while_it_is_attached(void **state)
{
    (void)state;
    nt_lab_both(meanwhile_body, NULL);
}

/* ---- what drivers do wrong ----------------------------------------------------------------------------------- */

static void wrong_body(struct nt_lab *lab)
{
    struct part c = make(lab, "client"), p = make(lab, "provider");

    c.claims = STATUS_UNSUCCESSFUL; /* whatever came of it */
    join_as_client(&c, &one_npi);
    join_as_provider(&p, &one_npi);
    lab_expect(lab, LEDGER_NOTE, "it fails, though attached");
    expect_trace(lab, "client sees provider\nprovider gets client\nprovider detaches\nprovider cleans up\n");
    leave_client(&c);
    c.claims = STATUS_SUCCESS;
    p.declines = STATUS_NOINTERFACE;
    join_as_client(&c, &one_npi);
    lab_expect(lab, LEDGER_NOTE, "it succeeds without");
    leave_client(&c);
    leave_provider(&p);
    expect_trace(lab, "client sees provider\nprovider gets client\n");
}

static void a_client_that_says_what_is_not_so(void **state)
{
    (void)state;
    nt_lab_both(wrong_body, NULL);
}

static NTSTATUS other_entry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    (void)driver;
    (void)path;
    return STATUS_SUCCESS;
}

static VOID must_not_be_called(PVOID object, PVOID one, PVOID two)
{
    struct nt_lab *lab = object;

    (void)one;
    (void)two;
    LAB_CHECK(lab, !"a routine of a driver that is gone");
}

static struct nt_lab *now;

static VOID nor_this(HANDLE parent, HANDLE id, BOOLEAN create)
{
    (void)parent;
    (void)id;
    (void)create;
    LAB_CHECK(now, !"a routine of a driver that is gone");
}

/* Another driver provides, and goes without a word: its client is told, and nobody calls what is gone. */
static void gone_body(struct nt_lab *lab)
{
    struct part c = make(lab, "client"), late = make(lab, "late"), p = make(lab, "provider");
    struct rt_context context = {0};
    struct nt_driver_config config = {.name = "other", .entry = other_entry, .context = &context};
    UNICODE_STRING name = {.Buffer = (PWCH)(uintptr_t)u"\\Callback\\Weir", .Length = 28, .MaximumLength = 28};
    OBJECT_ATTRIBUTES attributes;
    PCALLBACK_OBJECT object;
    struct nt_driver *other;
    struct nt_entered was;

    now = lab;
    InitializeObjectAttributes(&attributes, &name, OBJ_CASE_INSENSITIVE, NULL, NULL);
    assert_int_equal(ExCreateCallback(&object, &attributes, TRUE, TRUE), STATUS_SUCCESS);
    assert_int_equal(nt_driver_create(lab->k, &config, &other), 0);
    assert_int_equal(nt_driver_start(other), STATUS_SUCCESS);
    was = nt_enter(&context, PASSIVE_LEVEL);
    join_as_provider(&p, &one_npi);
    assert_non_null(ExRegisterCallback(object, must_not_be_called, lab));
    assert_int_equal(PsSetCreateProcessNotifyRoutine(nor_this, FALSE), STATUS_SUCCESS);
    nt_leave(was, "the other driver");
    join_as_client(&c, &one_npi);
    c.pends = true;
    lab->traced = 0;
    ledger_settle(context.party);
    assert_true(lab_found(lab, LEDGER_LEFT) >= 3);
    nt_driver_destroy(other);
    expect_trace(lab, "client detaches\n");
    NmrClientDetachProviderComplete(c.binding);
    expect_trace(lab, "client cleans up\n");
    join_as_client(&late, &one_npi);
    expect_trace(lab, "");
    ExNotifyCallback(object, NULL, NULL);
    assert_int_equal(nt_process_add(lab->k, 4000, (const WCHAR *)u"x"), STATUS_SUCCESS);
    assert_int_equal(nt_process_remove(lab->k, 4000), STATUS_SUCCESS);
    leave_client(&c);
    leave_client(&late);
    expect_trace(lab, "");
    ObDereferenceObject(object);
}

static void nobody_calls_a_driver_that_is_gone(void **state)
{
    (void)state;
    nt_lab_both(gone_body, NULL);
}

/* ---- many at once ------------------------------------------------------------------------------------------- */

#define TAG     0x65695477u
#define THREADS 4
#define ROUNDS  40

/* Of one binding, one side: what was called, in order. */
struct tie {
    struct crowd *crowd;
    HANDLE binding;
    bool client;
    LONG attached, detached, cleaned;
};
struct crowd {
    struct nt_lab *lab;
    LONG made, ended;
};

static struct tie *tie_of(struct crowd *crowd, HANDLE binding, bool client)
{
    struct tie *t = ExAllocatePool2(POOL_FLAG_NON_PAGED, sizeof *t, TAG);

    LAB_CHECK(crowd->lab, t != NULL);
    if (t == NULL)
        return NULL;
    *t = (struct tie){.crowd = crowd, .binding = binding, .client = client};
    InterlockedIncrement(&crowd->made);
    return t;
}

static NTSTATUS crowd_client(HANDLE binding, PVOID context, PNPI_REGISTRATION_INSTANCE provider)
{
    struct tie *t = tie_of(context, binding, true);
    const VOID *dispatch;
    PVOID partner;
    NTSTATUS status;

    (void)provider;
    if (t == NULL)
        return STATUS_NOINTERFACE;
    t->attached = 1;
    status = NmrClientAttachProvider(binding, t, NULL, &partner, &dispatch);
    if (status != STATUS_SUCCESS) {
        InterlockedDecrement(&t->crowd->made);
        ExFreePoolWithTag(t, TAG);
    }
    return status;
}

static NTSTATUS crowd_provider(HANDLE binding, PVOID context, PNPI_REGISTRATION_INSTANCE client,
                               PVOID client_context, const VOID *client_dispatch, PVOID *provider_context,
                               const VOID **provider_dispatch)
{
    struct tie *t;

    (void)client;
    (void)client_context;
    (void)client_dispatch;
    if ((uintptr_t)binding % 7 == 3) /* not this one */
        return STATUS_NOINTERFACE;
    t = tie_of(context, binding, false);
    if (t == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    t->attached = 1;
    *provider_context = t;
    *provider_dispatch = NULL;
    return STATUS_SUCCESS;
}

static VOID crowd_complete(PVOID context)
{
    struct tie *t = context;
    HANDLE binding = t->binding;
    bool client = t->client;

    if (client)
        NmrClientDetachProviderComplete(binding);
    else
        NmrProviderDetachClientComplete(binding);
    PsTerminateSystemThread(STATUS_SUCCESS);
}

static NTSTATUS crowd_detach(PVOID context)
{
    struct tie *t = context;
    OBJECT_ATTRIBUTES attributes;
    HANDLE thread;

    LAB_CHECK(t->crowd->lab, InterlockedIncrement(&t->detached) == 1 && t->cleaned == 0);
    if ((uintptr_t)t->binding % 3 != (t->client ? 0u : 1u))
        return STATUS_SUCCESS;
    InitializeObjectAttributes(&attributes, NULL, OBJ_KERNEL_HANDLE, NULL, NULL);
    LAB_CHECK(t->crowd->lab, NT_SUCCESS(PsCreateSystemThread(&thread, THREAD_ALL_ACCESS, &attributes, NULL,
                                                             NULL, crowd_complete, t)));
    ZwClose(thread);
    return STATUS_PENDING;
}

static VOID crowd_cleanup(PVOID context)
{
    struct tie *t = context;

    LAB_CHECK(t->crowd->lab, t->detached == 1);
    LAB_CHECK(t->crowd->lab, InterlockedIncrement(&t->cleaned) == 1);
    InterlockedIncrement(&t->crowd->ended);
    ExFreePoolWithTag(t, TAG);
}

static VOID come_and_go(PVOID context)
{
    struct crowd *crowd = context;
    NPI_CLIENT_CHARACTERISTICS client = {.ClientAttachProvider = crowd_client,
                                         .ClientDetachProvider = crowd_detach,
                                         .ClientCleanupBindingContext = crowd_cleanup};
    NPI_PROVIDER_CHARACTERISTICS provider = {.ProviderAttachClient = crowd_provider,
                                             .ProviderDetachClient = crowd_detach,
                                             .ProviderCleanupBindingContext = crowd_cleanup};
    HANDLE c, p;

    client.ClientRegistrationInstance.NpiId = provider.ProviderRegistrationInstance.NpiId = &one_npi;
    for (int i = 0; i < ROUNDS; i++) {
        LAB_CHECK(crowd->lab, NmrRegisterClient(&client, crowd, &c) == STATUS_SUCCESS);
        LAB_CHECK(crowd->lab, NmrRegisterProvider(&provider, crowd, &p) == STATUS_SUCCESS);
        LAB_CHECK(crowd->lab, NmrDeregisterClient(c) == STATUS_PENDING);
        LAB_CHECK(crowd->lab, NmrDeregisterProvider(p) == STATUS_PENDING);
        LAB_CHECK(crowd->lab, NmrWaitForProviderDeregisterComplete(p) == STATUS_SUCCESS);
        LAB_CHECK(crowd->lab, NmrWaitForClientDeregisterComplete(c) == STATUS_SUCCESS);
    }
}

static void crowd_body(struct nt_lab *lab)
{
    struct crowd crowd = {.lab = lab};
    HANDLE threads[THREADS];

    for (int i = 0; i < THREADS; i++)
        threads[i] = lab_thread(come_and_go, &crowd);
    for (int i = 0; i < THREADS; i++)
        lab_join(threads[i]);
    assert_int_equal(crowd.made, crowd.ended);
    assert_true(crowd.made >= THREADS * ROUNDS); /* of each pair that registers one after the other, most */
}

static void modules_that_come_and_go_at_once(void **state)
{
    (void)state;
    nt_lab_both(crowd_body, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_meet_whoever_came_first),
        cmocka_unit_test(every_client_meets_every_provider),
        cmocka_unit_test(either_may_decline),
        cmocka_unit_test(detaching_may_take_its_time),
        cmocka_unit_test(one_may_go_while_it_is_attached),
        cmocka_unit_test(a_client_that_says_what_is_not_so),
        cmocka_unit_test(nobody_calls_a_driver_that_is_gone),
        cmocka_unit_test(modules_that_come_and_go_at_once),
    };

    return cmocka_run_group_tests_name("nt_modules", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "nt_lab.h"

#include <stdio.h>
#include <string.h>

#define START_NS 1700000000000000000ull

static NTSTATUS entry(PDRIVER_OBJECT driver, PUNICODE_STRING registry_path);

static VOID unload(PDRIVER_OBJECT driver)
{
    (void)driver;
}

static NTSTATUS entry(PDRIVER_OBJECT driver, PUNICODE_STRING registry_path)
{
    (void)registry_path;
    driver->DriverUnload = unload;
    return STATUS_SUCCESS;
}

static void found(void *ctx, const struct ledger_finding *f)
{
    struct nt_lab *lab = ctx;

    rt_mutex_lock(lab->trace_lock);
    if (lab->last[0] == '\0') {
        snprintf(lab->last, sizeof(lab->last), "%s", f->text == NULL ? "" : f->text);
        lab->last_kind = f->kind;
    }
    rt_mutex_unlock(lab->trace_lock);
    atomic_fetch_add(&lab->found[f->fault], 1);
}

static void bugcheck(void *ctx, const char *driver, uint32_t code, const uint64_t parameters[4])
{
    struct nt_lab *lab = ctx;

    (void)driver;
    (void)parameters;
    atomic_store(&lab->bug_code, code);
    atomic_fetch_add(&lab->bugchecks, 1);
}

static void print(void *ctx, const char *driver, uint32_t component, uint32_t level, const char *text)
{
    lab_trace(ctx, "%s %u %u %s", driver, component, level, text);
}

static unsigned take(struct nt_lab *lab, enum ledger_fault fault)
{
    return atomic_exchange(&lab->found[fault], 0);
}

unsigned lab_found(struct nt_lab *lab, enum ledger_fault fault)
{
    lab->last[0] = '\0';
    return take(lab, fault);
}

static void expect_text(struct nt_lab *lab, const char *text)
{
    if (strstr(lab->last, text) == NULL)
        fail_msg("%s: the finding says '%s', not '%s'", lab->name, lab->last, text);
    lab->last[0] = '\0';
}

void lab_expect(struct nt_lab *lab, enum ledger_fault fault, const char *text)
{
    assert_int_equal(take(lab, fault), 1);
    expect_text(lab, text);
}

void lab_expect_bug(struct nt_lab *lab, uint32_t code, const char *text)
{
    assert_int_equal(atomic_exchange(&lab->bugchecks, 0), 1);
    assert_int_equal(atomic_load(&lab->bug_code), code);
    lab_expect(lab, LEDGER_BUGCHECK, text);
}

void lab_trace(struct nt_lab *lab, const char *format, ...)
{
    va_list args;
    int n;

    va_start(args, format);
    rt_mutex_lock(lab->trace_lock);
    n = vsnprintf(lab->trace + lab->traced, sizeof(lab->trace) - lab->traced, format, args);
    if (n > 0 && lab->traced + (size_t)n + 2 < sizeof(lab->trace)) {
        lab->traced += (size_t)n;
        lab->trace[lab->traced++] = '\n';
        lab->trace[lab->traced] = '\0';
    }
    rt_mutex_unlock(lab->trace_lock);
    va_end(args);
}

void lab_check(struct nt_lab *lab, bool good, const char *what, const char *file, int line)
{
    if (good)
        return;
    print_error("%s: %s:%d: %s\n", lab->name, file, line, what);
    atomic_fetch_add(&lab->failed, 1);
}

HANDLE lab_thread(PKSTART_ROUTINE routine, void *arg)
{
    HANDLE thread = NULL;

    assert_int_equal(PsCreateSystemThread(&thread, THREAD_ALL_ACCESS, NULL, NULL, NULL, routine, arg),
                     STATUS_SUCCESS);
    return thread;
}

void lab_join(HANDLE thread)
{
    void *object;

    assert_int_equal(ObReferenceObjectByHandle(thread, THREAD_ALL_ACCESS, NULL, KernelMode, &object, NULL),
                     STATUS_SUCCESS);
    assert_int_equal(KeWaitForSingleObject(object, Executive, KernelMode, FALSE, NULL), STATUS_SUCCESS);
    ObDereferenceObject(object);
    assert_int_equal(ZwClose(thread), STATUS_SUCCESS);
}

LARGE_INTEGER lab_ms(int64_t ms)
{
    return (LARGE_INTEGER){.QuadPart = -ms * 10000};
}

static void open_lab(struct nt_lab *lab, const struct nt_lab_world *world)
{
    struct rt_sim_config sim = {
        .seed = world->seed, .start_ns = START_NS, .shuffle = world->shuffle, .preempt = world->preempt};
    struct ledger_config ledger = {.mode = LEDGER_FULL, .found = found, .ctx = lab};
    struct nt_config config = {.print = print, .bugcheck = bugcheck, .ctx = lab};
    struct nt_driver_config driver = {.name = "lab", .entry = entry, .context = &lab->context};

    lab->name = world->name;
    lab->simulated = world->simulated;
    lab->seed = world->seed;
    if (world->simulated) {
        assert_int_equal(rt_sim_create(&sim, &lab->sim), 0);
        assert_int_equal(rt_sim_enter(lab->sim), 0);
        lab->clock = rt_sim_clock(lab->sim);
    } else {
        lab->clock = rt_clock_real();
    }
    assert_int_equal(rt_mutex_create(&lab->trace_lock), 0);
    ledger.clock = config.clock = lab->clock;
    assert_int_equal(ledger_create(&ledger, &lab->ledger), 0);
    config.ledger = lab->ledger;
    assert_int_equal(nt_create(&config, &lab->k), 0);
    assert_int_equal(nt_driver_create(lab->k, &driver, &lab->driver), 0);
    assert_int_equal(nt_driver_start(lab->driver), STATUS_SUCCESS);
}

static void close_lab(struct nt_lab *lab)
{
    struct ledger_party *party = lab->context.party;

    lab->unload_status = nt_driver_unload(lab->driver, lab->keep_left ? 100 * LAB_MS : 10000 * LAB_MS);
    lab->settled = ledger_settle(party);
    if (!lab->keep_left) {
        assert_int_equal(lab->unload_status, STATUS_SUCCESS);
        if (lab->settled != 0)
            fail_msg("%s: the driver owes %u, first: %s %s", lab->name, (unsigned)lab->settled,
                     ledger_kind_name(lab->last_kind), lab->last);
        for (unsigned i = 0; i < LEDGER_FAULTS; i++) {
            if (lab->found[i] != 0)
                fail_msg("%s: %u findings of kind %u nobody asked for, the first: '%s'", lab->name,
                         lab->found[i], i, lab->last);
        }
        assert_int_equal(lab->bugchecks, 0);
    }
    nt_driver_destroy(lab->driver);
    nt_destroy(lab->k);
    ledger_destroy(lab->ledger);
    rt_mutex_destroy(lab->trace_lock);
    if (lab->sim != NULL) {
        rt_sim_leave(lab->sim);
        rt_sim_destroy(lab->sim);
    }
    assert_int_equal(lab->failed, 0);
}

void nt_lab_run(const struct nt_lab_world *world, nt_lab_body *body, void *arg, struct nt_lab *out)
{
    static struct nt_lab lab; /* too large for a stack that a sanitizer watches */
    struct nt_entered was;

    memset(&lab, 0, sizeof(lab));
    lab.arg = arg;
    open_lab(&lab, world);
    was = nt_enter(&lab.context, PASSIVE_LEVEL);
    body(&lab);
    nt_leave(was, "the body");
    lab_trace(&lab, "end at %llu", world->simulated ? (unsigned long long)rt_clock_now(lab.clock) : 0);
    close_lab(&lab);
    if (out != NULL)
        memcpy((void *)out, (void *)&lab, sizeof(lab));
}

void nt_lab_both(nt_lab_body *body, void *arg)
{
    static const struct nt_lab_world worlds[] = {
        {.name = "simulated in order", .simulated = true, .seed = 1},
        {.name = "simulated and shuffled", .simulated = true, .shuffle = true, .seed = 2, .preempt = 3},
        {.name = "real"},
    };

    for (size_t i = 0; i < sizeof(worlds) / sizeof(worlds[0]); i++)
        nt_lab_run(&worlds[i], body, arg, NULL);
}

unsigned nt_lab_same(nt_lab_body *body, void *arg, unsigned seeds)
{
    static struct nt_lab first, second, before;
    unsigned different = 0;

    for (unsigned i = 0; i < seeds; i++) {
        struct nt_lab_world world = {.name = "simulated, for its trace",
                                     .simulated = true,
                                     .shuffle = true,
                                     .seed = 100 + i,
                                     .preempt = 4};

        nt_lab_run(&world, body, arg, &first);
        nt_lab_run(&world, body, arg, &second);
        assert_string_equal(first.trace, second.trace);
        if (i > 0 && strcmp(first.trace, before.trace) != 0)
            different++;
        memcpy((void *)&before, (void *)&first, sizeof(first));
    }
    return different;
}

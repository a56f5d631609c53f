/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loader as a test program uses it: drivers linked into the program and images, several engines, findings
 * in words, a test program's steps; on both back ends.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "loader/loader.h"

struct lab {
    struct engine *engine;
    struct bfe *bfe;
    struct loader *loader;
    struct rt_sim *sim;
    char printed[1024];
};

static void print(void *ctx, const char *driver, const char *line)
{
    struct lab *lab = ctx;
    size_t size = strlen(lab->printed);

    snprintf(lab->printed + size, sizeof lab->printed - size, "%s:%s\n", driver, line);
}

static void lab_begin(struct lab *lab, bool simulated)
{
    struct rt_sim_config sim = {.seed = 1, .start_ns = 1000};
    struct loader_config config = {.mode = LEDGER_FULL, .print = print, .ctx = lab};

    *lab = (struct lab){0};
    if (simulated) {
        assert_int_equal(rt_sim_create(&sim, &lab->sim), 0);
        assert_int_equal(rt_sim_enter(lab->sim), 0);
    }
    assert_int_equal(engine_create(&lab->engine), 0);
    assert_int_equal(bfe_create(lab->engine, NULL, &lab->bfe), 0);
    config.engine = lab->engine;
    config.bfe = lab->bfe;
    assert_int_equal(loader_create(&config, &lab->loader), 0);
}

static void lab_end(struct lab *lab)
{
    loader_destroy(lab->loader);
    bfe_destroy(lab->bfe);
    engine_destroy(lab->engine);
    if (lab->sim != NULL) {
        rt_sim_leave(lab->sim);
        rt_sim_destroy(lab->sim);
    }
}

/* ---- drivers that are linked into this program ----------------------------------------------------------
 */

static void *kept;

static void unload(PDRIVER_OBJECT object)
{
    (void)object;
    DbgPrint("bye\n");
}

static NTSTATUS entry(PDRIVER_OBJECT object, PUNICODE_STRING path)
{
    (void)path;
    DbgPrint("hello %u\n", 5u);
    object->DriverUnload = unload;
    return STATUS_SUCCESS;
}

static NTSTATUS leaking_entry(PDRIVER_OBJECT object, PUNICODE_STRING path)
{
    (void)path;
    kept = ExAllocatePool2(POOL_FLAG_NON_PAGED, 80, 0x6b61654c);
    object->DriverUnload = unload;
    return STATUS_SUCCESS;
}

static NTSTATUS refusing_entry(PDRIVER_OBJECT object, PUNICODE_STRING path)
{
    (void)object;
    (void)path;
    return STATUS_NOT_FOUND;
}

static struct loader_driver *load(struct lab *lab, const struct loader_driver_config *config)
{
    struct loader_error error = {""};
    struct loader_driver *d;

    if (loader_driver_load(lab->loader, config, &d, &error) != 0)
        fail_msg("%s", error.text);
    return d;
}

static void lives_and_goes(bool simulated)
{
    struct loader_driver_config config = {.entry = entry, .name = "linked"};
    struct loader_counts counts;
    struct loader_error error;
    struct loader_driver *d;
    struct lab lab;

    lab_begin(&lab, simulated);
    d = load(&lab, &config);
    assert_string_equal(loader_driver_name(d), "linked");
    assert_int_equal(loader_driver_start(d, &error), STATUS_SUCCESS);
    assert_int_equal(loader_driver_unload(d, 0, &error), STATUS_SUCCESS);
    assert_string_equal(error.text, "");
    assert_string_equal(lab.printed, "linked:hello 5\nlinked:bye\n");
    loader_counts(lab.loader, &counts);
    assert_int_equal(counts.faults + counts.notes + counts.dropped, 0);
    lab_end(&lab);
}

static void a_driver_lives_and_goes(void **state)
{
    (void)state;
    lives_and_goes(true);
    lives_and_goes(false);
}

static void take_line(void *ctx, const struct ledger_finding *f, const char *line)
{
    char *to = ctx;

    assert_int_equal(f->fault, LEDGER_LEFT);
    snprintf(to, 512, "%s", line);
}

static void what_is_left_is_told(void **state)
{
    struct loader_driver_config config = {.entry = leaking_entry, .name = "leaks"};
    struct loader_counts counts;
    struct loader_error error;
    struct loader_driver *d;
    char line[512] = "";
    struct lab lab;

    (void)state;
    lab_begin(&lab, true);
    d = load(&lab, &config);
    assert_int_equal(loader_driver_start(d, &error), STATUS_SUCCESS);
    assert_int_equal(loader_driver_unload(d, 0, &error), STATUS_SUCCESS);
    loader_counts(lab.loader, &counts);
    assert_int_equal(counts.faults, 1);
    loader_findings_each(lab.loader, take_line, line);
    assert_non_null(strstr(line, "leaks: pool block 1 (80 bytes, Leak) left at unload: opened"));
    assert_non_null(strstr(line, "(leaking_entry)"));
    lab_end(&lab);
    ExFreePoolWithTag(kept, 0x6b61654c);
}

static void a_refusal_has_its_status(void **state)
{
    struct loader_driver_config config = {.entry = refusing_entry, .name = "refuses"};
    struct loader_error error;
    struct loader_driver *d;
    struct lab lab;

    (void)state;
    lab_begin(&lab, true);
    d = load(&lab, &config);
    assert_int_equal(loader_driver_start(d, &error), STATUS_NOT_FOUND);
    assert_string_equal(error.text, "refuses: DriverEntry failed: STATUS_NOT_FOUND");
    assert_int_equal(loader_driver_unload(d, 0, &error), STATUS_SUCCESS);
    lab_end(&lab);
}

/* ---- images ---------------------------------------------------------------------------------------------
 */

static char image[256];

static int make_image(void **state)
{
    char command[1024];

    (void)state;
    snprintf(image, sizeof image, "/tmp/weir-test-%d.so", (int)getpid());
    snprintf(command, sizeof command, "'%s' cc '%s/tests/idioms/counts.c' -o %s", getenv("WEIR_EXE"),
             getenv("WEIR_ROOT"), image);
    return system(command);
}

static int remove_image(void **state)
{
    (void)state;
    return unlink(image);
}

/* counts.c starts only where its global is 0. */
static void each_engine_has_its_own_copy(void **state)
{
    struct loader_driver_config config = {.path = image};
    enum { LABS = 4 };
    struct loader_driver *d[LABS + 1];
    struct loader_error error;
    struct lab lab[LABS];

    (void)state;
    for (unsigned i = 0; i < LABS; i++) {
        lab_begin(&lab[i], false);
        d[i] = load(&lab[i], &config);
    }
    for (unsigned i = 0; i < LABS; i++)
        assert_int_equal(loader_driver_start(d[i], &error), STATUS_SUCCESS);
    assert_int_equal(loader_driver_unload(d[0], 0, &error), STATUS_SUCCESS);
    d[LABS] = load(&lab[0], &config);
    assert_int_equal(loader_driver_start(d[LABS], &error), STATUS_SUCCESS);
    for (unsigned i = LABS; i-- > 0;) /* unloads what is left */
        lab_end(&lab[i]);
}

static void what_is_no_image_is_refused(void **state)
{
    struct loader_driver_config config = {.path = "/nowhere/at.so"};
    struct loader_driver *d;
    struct loader_error error;
    struct lab lab;

    (void)state;
    lab_begin(&lab, true);
    assert_int_equal(loader_driver_load(lab.loader, &config, &d, &error), -ENOENT);
    assert_non_null(strstr(error.text, "/nowhere/at.so: No such file"));
    config.path = "/etc/passwd";
    assert_int_equal(loader_driver_load(lab.loader, &config, &d, &error), -ENOEXEC);
    config.path = "/proc/self/exe";
    assert_int_equal(loader_driver_load(lab.loader, &config, &d, &error), -ENOEXEC);
    lab_end(&lab);
}

static void steps_are_read(void **state)
{
    static const char *const good[] = {
        "open \\\\.\\Device", "close",  "control 222003", "control 0x222003 00ff 16",
        "control 1 - 8",      "read 7", "write 0aFF",     "wait 1.5"};
    static const char *const bad[] = {"",
                                      "open",
                                      "control",
                                      "control xyz",
                                      "control 1 0",
                                      "control 1 0g",
                                      "control 1 00 x",
                                      "read",
                                      "read 70000",
                                      "write 123",
                                      "wait",
                                      "wait -1",
                                      "wait x",
                                      "destroy",
                                      "control 1ffffffff"};

    (void)state;
    for (unsigned i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_null(loader_control_check(good[i]));
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_non_null(loader_control_check(bad[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_driver_lives_and_goes),     cmocka_unit_test(what_is_left_is_told),
        cmocka_unit_test(a_refusal_has_its_status),    cmocka_unit_test(each_engine_has_its_own_copy),
        cmocka_unit_test(what_is_no_image_is_refused), cmocka_unit_test(steps_are_read),
    };

    return cmocka_run_group_tests(tests, make_image, remove_image);
}

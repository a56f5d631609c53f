/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of guard. Run from the folder that has guard.so; GUARD names another image. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <weir.h>

/* What does not hold fails the test, with weir's text. */
static void failed(void *ctx, const char *text)
{
    (void)ctx;
    fprintf(stderr, "%s\n", text);
    fail();
}

struct machine {
    struct weir *weir;
    struct weir_driver *guard;
    struct weir_process *browser;
};

static int setup(void **state)
{
    static struct machine m;
    const char *image = getenv("GUARD");

    if (weir_create_with(&(struct weir_config){.size = sizeof(struct weir_config), .failed = failed}, &m.weir) != 0)
        return -1;
    m.guard = weir_driver(m.weir, image != NULL ? image : "./guard.so");
    if (m.guard == NULL) {
        print_error("%s\n", weir_error());
        return -1;
    }
    m.browser = weir_process(m.weir, "C:\\Program Files\\Browser\\browser.exe", NULL);
    *state = &m;
    return 0;
}

static int teardown(void **state)
{
    struct machine *m = *state;

    weir_destroy(m->weir);
    return 0;
}

/* The peer on the first wire serves that port. */
static void serve(struct machine *m, const char *address)
{
    struct weir_socket *server = weir_socket(weir_peer(m->weir, 1), WEIR_TCP);

    assert_int_equal(weir_bind(server, address), 0);
    assert_int_equal(weir_listen(server), 0);
}

static void permitted(void **state)
{
    struct machine *m = *state;
    struct weir_socket *s = weir_socket(m->browser, WEIR_TCP);

    serve(m, "10.0.0.2:80");
    weir_connect(s, "10.0.0.2:80");
    weir_expect_state(s, WEIR_PENDED);
    weir_run(m->weir, WEIR_SECOND);
    weir_expect_state(s, WEIR_CONNECTED);
    assert_int_equal(weir_driver_unload(m->guard), 0);
    weir_expect_clean(m->weir);
}

static void refused(void **state)
{
    struct machine *m = *state;
    struct weir_socket *s = weir_socket(m->browser, WEIR_TCP);

    serve(m, "10.0.0.2:23");
    weir_connect(s, "10.0.0.2:23");
    weir_run(m->weir, WEIR_SECOND);
    weir_expect_state(s, WEIR_REFUSED);
    assert_int_equal(weir_driver_unload(m->guard), 0);
    weir_expect_clean(m->weir);
}

/* The user presses Stop before the decision is there. */
static void closed_meanwhile(void **state)
{
    struct machine *m = *state;
    struct weir_socket *s = weir_socket(m->browser, WEIR_TCP);

    weir_connect(s, "10.0.0.2:80");
    weir_run(m->weir, 50 * WEIR_MILLISECOND);
    weir_close(s);
    weir_run(m->weir, WEIR_SECOND);
    assert_int_equal(weir_driver_unload(m->guard), 0);
    weir_expect_clean(m->weir);
}

/* A name, or a pattern, chooses: ./test_guard closed_meanwhile */
int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(permitted, setup, teardown),
        cmocka_unit_test_setup_teardown(refused, setup, teardown),
        cmocka_unit_test_setup_teardown(closed_meanwhile, setup, teardown),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

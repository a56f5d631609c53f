/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One export in the place of another: what is in force then is what the other alone would give, in the bfe
 * and in the engine; a file that cannot be read changes nothing.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "explain/explain.h"
#include "support/skip.h"

static char *saved(const struct explain_state *s)
{
    char *text;
    size_t size;

    assert_int_equal(policy_save_memory(s->bfe, s->policy, &text, &size), 0);
    text = realloc(text, size + 1);
    assert_non_null(text);
    text[size] = '\0';
    return text;
}

static struct explain_state *opened(const char *path)
{
    struct policy_error error;
    struct explain_state *s;

    if (explain_state_open(path, &s, &error) != 0)
        fail_msg("%s", error.text);
    return s;
}

/* The engine's filters, layer by layer, in the order of evaluation. */
static void assert_same_engine(const struct explain_state *a, const struct explain_state *b)
{
    const struct engine_snapshot *x = engine_pin(a->reader), *y = engine_pin(b->reader);

    for (UINT16 layer = 0; layer < ENGINE_LAYER_COUNT; layer++) {
        const struct engine_filter *const *f, *const *g;
        size_t n = engine_snapshot_filters(x, layer, &f);

        assert_int_equal(n, engine_snapshot_filters(y, layer, &g));
        for (size_t i = 0; i < n; i++) {
            const FWPS_FILTER3 *p = engine_filter_fwps(f[i]), *q = engine_filter_fwps(g[i]);

            assert_true(p->filterId == q->filterId && p->subLayerWeight == q->subLayerWeight);
            assert_true(p->action.type == q->action.type && p->flags == q->flags);
            assert_memory_equal(&engine_filter_desc(f[i])->filter_key, &engine_filter_desc(g[i])->filter_key,
                                sizeof(GUID));
        }
    }
    engine_unpin(a->reader);
    engine_unpin(b->reader);
}

static void replace(struct explain_state *s, const char *path)
{
    struct policy_error error;

    if (explain_state_replace(s, path, &error) != 0)
        fail_msg("%s", error.text);
}

static void assert_like(struct explain_state *s, const char *path)
{
    struct explain_state *fresh = opened(path);
    char *is = saved(s), *should = saved(fresh);

    assert_string_equal(is, should);
    assert_same_engine(s, fresh);
    assert_int_equal(s->filter_count, fresh->filter_count);
    assert_int_equal(s->callout_count, fresh->callout_count);
    assert_int_equal(s->app_count, fresh->app_count);
    free(is);
    free(should);
    explain_state_close(fresh);
}

static void the_demo_in_place_of_nothing_and_of_itself(void **state)
{
    struct explain_state *s = opened(NULL);

    (void)state;
    assert_int_equal(s->filter_count, 0);
    for (unsigned i = 0; i < 2; i++) {
        replace(s, "data/demo/demo.wfpstate.xml");
        assert_like(s, "data/demo/demo.wfpstate.xml");
    }
    assert_true(s->generation == 2);
    explain_state_close(s);
}

static void real_states_in_place_of_each_other(void **state)
{
    static const char *const names[] = {
        "data/states/developer-laptop.wfpstate.xml", "data/states/server-minimal.wfpstate.xml",
        "data/states/vpn-desktop.filters.xml", "data/states/developer-laptop.wfpstate.xml"};
    struct explain_state *s = opened("data/demo/demo.wfpstate.xml");
    char path[512];

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        shared_path(names[i], path, sizeof path);
        if (access(path, R_OK) != 0) {
            explain_state_close(s);
            SKIP_BECAUSE("%s is not on this machine", names[i]);
        }
        replace(s, path);
        assert_like(s, path);
    }
    explain_state_close(s);
}

static void a_bad_file_changes_nothing(void **state)
{
    static const char broken[] = "<?xml version=\"1.0\"?><wfpstate><layers><item>";
    struct explain_state *s = opened("data/demo/demo.wfpstate.xml"),
                         *same = opened("data/demo/demo.wfpstate.xml");
    const struct policy *before = s->policy;
    struct policy_error error;
    struct policy *p;

    (void)state;
    assert_int_equal(policy_replace_memory(s->bfe, "broken.xml", broken, sizeof broken - 1, &p, &error),
                     -EINVAL);
    assert_null(p);
    assert_non_null(strstr(error.text, "broken.xml:1:"));
    assert_int_equal(explain_state_replace(s, "data/demo/there-is-none.xml", &error), -ENOENT);
    assert_true(s->policy == before && s->generation == 0);
    assert_same_engine(s, same);
    assert_like(s, "data/demo/demo.wfpstate.xml");
    explain_state_close(s);
    explain_state_close(same);
}

/* A reader that pinned the old policy keeps seeing it whole. */
static void a_pin_sees_one_policy(void **state)
{
    struct explain_state *s = opened("data/demo/demo.wfpstate.xml");
    const struct engine_snapshot *pinned = engine_pin(s->reader);
    const struct engine_filter *const *filters;
    size_t before[ENGINE_LAYER_COUNT], all = 0;

    (void)state;
    for (UINT16 layer = 0; layer < ENGINE_LAYER_COUNT; layer++)
        all += before[layer] = engine_snapshot_filters(pinned, layer, &filters);
    assert_true(all > 0);
    {
        struct policy_error error;
        struct policy *p;
        static const char none[] = "<?xml version=\"1.0\"?><wfpstate/>";

        assert_int_equal(policy_replace_memory(s->bfe, "none", none, sizeof none - 1, &p, &error), 0);
        for (UINT16 layer = 0; layer < ENGINE_LAYER_COUNT; layer++)
            assert_int_equal(engine_snapshot_filters(pinned, layer, &filters), before[layer]);
        engine_unpin(s->reader);
        pinned = engine_pin(s->reader);
        for (UINT16 layer = 0; layer < ENGINE_LAYER_COUNT; layer++)
            assert_int_equal(engine_snapshot_filters(pinned, layer, &filters), 0);
        engine_unpin(s->reader);
        policy_free(p);
    }
    explain_state_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_demo_in_place_of_nothing_and_of_itself),
        cmocka_unit_test(real_states_in_place_of_each_other),
        cmocka_unit_test(a_bad_file_changes_nothing),
        cmocka_unit_test(a_pin_sees_one_policy),
    };

    if (getenv("WEIR_ROOT") != NULL && chdir(getenv("WEIR_ROOT")) != 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}

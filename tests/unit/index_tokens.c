/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Token classes: found by many threads at once, more of them than there is room for, and right all the same.
 * Meant to be run under TSan as well.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "index_lab.h"
#include "rt/rt.h"

#define DESCRIPTORS 8 /* 256 subsets: more than an index has classes for */
#define TOKENS      200
#define THREADS     4

struct world {
    struct index_lab lab;
    struct engine_layer_snapshot *ls;
    struct engine_filter *filters[3 * DESCRIPTORS];
    struct security_token *tokens[TOKENS];
    atomic_uint wrong;
};

static struct engine_filter *descriptor_filter(unsigned k, FWP_MATCH_TYPE match, UINT64 id)
{
    char text[64];
    size_t size;
    FWP_BYTE_BLOB sd;
    void *raw;
    UINT64 weight = 1;
    FWPS_FILTER_CONDITION0 c = {.fieldId = FWPS_FIELD_ALE_AUTH_CONNECT_V4_ALE_USER_ID, .matchType = match};
    FWPS_FILTER3 s = {
        .filterId = id, .numFilterConditions = 1, .filterCondition = &c, .action.type = FWP_ACTION_PERMIT};
    struct engine_filter_desc d = {.layer_id = FWPS_LAYER_ALE_AUTH_CONNECT_V4, .fwps = &s};
    struct engine_filter *f = NULL;

    snprintf(text, sizeof(text), "D:(A;;CC;;;S-1-5-21-1-2-3-%u)", 2000 + k);
    assert_int_equal(security_sddl_parse(text, &raw, &size, NULL), 0);
    sd = (FWP_BYTE_BLOB){(UINT32)size, raw};
    c.conditionValue.type = FWP_SECURITY_DESCRIPTOR_TYPE;
    c.conditionValue.sd = &sd;
    s.weight = (FWP_VALUE0){.type = FWP_UINT64, .uint64 = &weight};
    assert_int_equal(engine_filter_create(&d, &f), 0);
    free(raw);
    return f;
}

/* A token that is in the groups whose bits are set. */
static struct security_token *token_of(unsigned groups)
{
    char text[512] = "{\"user\": \"S-1-5-18\", \"groups\": [\"S-1-1-0\"";
    struct security_token *t = NULL;
    char *error = NULL;

    for (unsigned k = 0; k < DESCRIPTORS; k++)
        if (groups >> k & 1)
            snprintf(text + strlen(text), sizeof(text) - strlen(text), ", \"S-1-5-21-1-2-3-%u\"", 2000 + k);
    strcat(text, "]}");
    assert_int_equal(security_token_from_json(text, strlen(text), &t, &error), 0);
    return t;
}

static int setup(void **state)
{
    static const struct engine_layer_delta none = {0};
    struct world *w = calloc(1, sizeof(*w));

    w->lab.layer = engine_layer_by_id(FWPS_LAYER_ALE_AUTH_CONNECT_V4);
    for (unsigned i = 0; i < 2 * DESCRIPTORS; i++)
        w->filters[i] = descriptor_filter(i / 2, i % 2 ? FWP_MATCH_NOT_EQUAL : FWP_MATCH_EQUAL, i + 1);
    w->ls = index_lab_snapshot(&w->lab, w->filters, 2 * DESCRIPTORS);
    assert_int_equal(engine_index_build(NULL, w->ls, &none), 0);
    for (unsigned i = 0; i < TOKENS; i++)
        w->tokens[i] = token_of(i);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    engine_index_destroy(w->ls->index);
    index_lab_snapshot_free(w->ls);
    for (unsigned i = 0; i < 2 * DESCRIPTORS; i++)
        engine_filter_unref(w->filters[i]);
    for (unsigned i = 0; i < TOKENS; i++)
        security_token_destroy(w->tokens[i]);
    free(w);
    return 0;
}

/* Every match of every token, each with a cache of its own, by the bits of its number. */
static void ask_all(void *arg)
{
    struct world *w = arg;

    for (unsigned i = 0; i < TOKENS; i++) {
        struct engine_class_cache cache = {0};
        FWPS_INCOMING_VALUE0 values[ENGINE_MAX_FIELDS] = {{{0}}};

        values[FWPS_FIELD_ALE_AUTH_CONNECT_V4_ALE_USER_ID].value = (FWP_VALUE0){
            .type = FWP_TOKEN_ACCESS_INFORMATION_TYPE,
            .tokenAccessInformation = (FWP_BYTE_BLOB *)(uintptr_t)security_token_blob(w->tokens[i])};
        for (int again = 0; again < 2; again++) {
            struct engine_cursor c;

            engine_index_begin(w->ls, values, &cache, &c);
            for (UINT32 k = 0; k < DESCRIPTORS; k++)
                if (engine_index_next(&c, 2 * k) != 2 * k + !(i >> k & 1))
                    atomic_fetch_add(&w->wrong, 1);
        }
    }
}

static void one_thread(void **state)
{
    struct world *w = *state;

    ask_all(w);
    assert_int_equal(atomic_load(&w->wrong), 0);
}

static void threads_together(void **state)
{
    struct world *w = *state;
    struct rt_thread *t[THREADS];

    for (int i = 0; i < THREADS; i++)
        assert_int_equal(rt_thread_start("asks", ask_all, w, &t[i]), 0);
    for (int i = 0; i < THREADS; i++)
        rt_thread_join(t[i]);
    assert_int_equal(atomic_load(&w->wrong), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_thread, setup, teardown),
        cmocka_unit_test_setup_teardown(threads_together, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

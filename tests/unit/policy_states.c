/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy: exports of real machines. Everything that a plain scan of the text finds is in the bfe (or noted),
 * and saving gives the file again, line for line.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <errno.h>
#include <cmocka.h>

#include "policy_lab.h"
#include "skip.h"

struct text {
    char *data;
    size_t size;
};

static struct text slurp(const char *path)
{
    struct text t = {0};
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    t.size = (size_t)ftell(f);
    rewind(f);
    t.data = malloc(t.size + 1);
    assert_non_null(t.data);
    assert_int_equal(fread(t.data, 1, t.size, f), t.size);
    t.data[t.size] = '\0';
    fclose(f);
    return t;
}

/* strstr() up to `to`, which under ASan measures all that is left of some megabytes at each call. */
static const char *find(const char *from, const char *to, const char *what)
{
    const size_t size = strlen(what);

    for (; from != NULL && (size_t)(to - from) >= size; from++) {
        from = memchr(from, what[0], (size_t)(to - from) - size + 1);
        if (from == NULL || memcmp(from, what, size) == 0)
            return from;
    }
    return NULL;
}

static UINT32 occurrences(const char *from, const char *to, const char *what)
{
    UINT32 n = 0;
    for (const char *p = from; (p = find(p, to, what)) != NULL; p += strlen(what))
        n++;
    return n;
}

/* How often `what` stands between <section and </section>, everywhere if section is NULL. */
static UINT32 scan(const struct text *t, const char *section, const char *what)
{
    char open[64], close[64];
    const char *from = t->data, *to = t->data + t->size;
    if (section != NULL) {
        snprintf(open, sizeof(open), "\t<%s", section);
        snprintf(close, sizeof(close), "</%s>", section);
        from = find(from, to, open);
        if (from == NULL)
            return 0;
        to = find(from, to, close);
        assert_non_null(to);
    }
    return occurrences(from, to, what);
}

/* Each key in the text opens an object of the bfe. */
static void every_key_is_there(struct policy_lab *l, const struct text *t, const char *section,
                               const char *tag, enum bfe_kind kind, enum engine_guid_kind names)
{
    char open[64], close[64], name[128];
    const char *from = t->data, *to = t->data + t->size;
    if (section != NULL) {
        snprintf(open, sizeof(open), "\t<%s", section);
        snprintf(close, sizeof(close), "</%s>", section);
        from = find(from, to, open);
        if (from == NULL)
            return;
        to = find(from, to, close);
        assert_non_null(to);
    }
    snprintf(open, sizeof(open), "<%s>", tag);
    for (const char *p = from; (p = find(p, to, open)) != NULL;) {
        p += strlen(open);
        size_t n = (size_t)((const char *)memchr(p, '<', (size_t)(to - p)) - p);
        GUID key;
        void *object = NULL;
        NTSTATUS status = -1;
        assert_true(n < sizeof(name));
        memcpy(name, p, n);
        name[n] = '\0';
        assert_int_equal(engine_guid_by_name(names, name, &key), 0);
        switch (kind) {
        case BFE_FILTER:
            status = bfe_filter_get(l->lab.kernel, &key, 0, (FWPM_FILTER0 **)&object);
            break;
        case BFE_CALLOUT:
            status = bfe_callout_get(l->lab.kernel, &key, 0, (FWPM_CALLOUT0 **)&object);
            break;
        case BFE_SUBLAYER:
            status = bfe_sublayer_get(l->lab.kernel, &key, (FWPM_SUBLAYER0 **)&object);
            break;
        case BFE_PROVIDER:
            status = bfe_provider_get(l->lab.kernel, &key, (FWPM_PROVIDER0 **)&object);
            break;
        default:
            status = bfe_provider_context_get(l->lab.kernel, &key, 0, (FWPM_PROVIDER_CONTEXT3 **)&object);
            break;
        }
        if (status != 0)
            fail_msg("%s %s: %08x", tag, name, (unsigned)status);
        bfe_free(object);
    }
}

static UINT32 conditions(struct policy_lab *l)
{
    struct bfe_enum *e;
    void **entries;
    UINT32 n, sum = 0;
    assert_int_equal(bfe_enum_create(l->lab.kernel, BFE_FILTER, NULL, &e), 0);
    assert_int_equal(bfe_enum_next(l->lab.kernel, e, UINT32_MAX, &entries, &n), 0);
    for (UINT32 i = 0; i < n; i++)
        sum += ((FWPM_FILTER0 *)entries[i])->numFilterConditions;
    bfe_free(entries);
    assert_int_equal(bfe_enum_destroy(l->lab.kernel, e), 0);
    return sum;
}

static void load_and_compare(const char *path, const struct text *t)
{
    struct policy_lab l = {0};
    pl_open(&l);
    int rc = policy_load_file(l.lab.bfe, path, &l.policy, &l.error);
    if (rc != 0)
        fail_msg("%s", l.error.text);
    const struct policy_counts *c = &l.policy->counts;
    assert_int_equal(c->layers, scan(t, "layers", "<layerId>"));
    assert_int_equal(c->filters, scan(t, NULL, "<filterKey>"));
    assert_int_equal(c->callouts, scan(t, NULL, "<calloutKey>"));
    assert_int_equal(c->sublayers, scan(t, "subLayers", "<subLayerKey>"));
    assert_int_equal(c->providers, scan(t, "providers", "\t\t\t<providerKey>"));
    assert_int_equal(c->provider_contexts, scan(t, "providerContexts", "<providerContextKey>"));
    assert_int_equal(c->sessions, scan(t, "sessions", "<sessionKey>"));
    assert_int_equal(c->endpoints, scan(t, NULL, "<endpointId>"));
    assert_int_equal(c->filters_boottime, scan(t, NULL, "<item>FWPM_FILTER_FLAG_BOOTTIME</item>"));
    assert_int_equal(c->filters_disabled, scan(t, NULL, "<item>FWPM_FILTER_FLAG_DISABLED</item>"));
    assert_int_equal(c->filters_unusable, 0);
    assert_int_equal(c->filters_applied, c->filters - c->filters_boottime - c->filters_disabled);
    assert_int_equal(c->unplaced, 0);
    /* what the bfe holds */
    assert_int_equal(pl_count(&l, BFE_FILTER), c->filters);
    assert_int_equal(pl_count(&l, BFE_CALLOUT), c->callouts + c->assumed_callouts);
    assert_int_equal(pl_count(&l, BFE_PROVIDER_CONTEXT), c->provider_contexts);
    if (c->sublayers > 0)
        assert_int_equal(pl_count(&l, BFE_SUBLAYER), c->sublayers + c->assumed_sublayers);
    assert_int_equal(conditions(&l),
                     scan(t, NULL, "<conditionValue>") - scan(t, "subscriptions", "<conditionValue>"));
    every_key_is_there(&l, t, NULL, "filterKey", BFE_FILTER, ENGINE_GUID_LAYER);
    every_key_is_there(&l, t, NULL, "calloutKey", BFE_CALLOUT, ENGINE_GUID_CALLOUT);
    every_key_is_there(&l, t, "providers", "providerKey", BFE_PROVIDER, ENGINE_GUID_PROVIDER);
    every_key_is_there(&l, t, "subLayers", "subLayerKey", BFE_SUBLAYER, ENGINE_GUID_SUBLAYER);
    every_key_is_there(&l, t, "providerContexts", "providerContextKey", BFE_PROVIDER_CONTEXT,
                       ENGINE_GUID_PROVIDER);
    /* places: an endpoint stands on the line before its id */
    unsigned long line = 1;
    const char *at = t->data;
    for (UINT32 i = 0; i < c->endpoints; i++) {
        const char *id = find(at, t->data + t->size, "<endpointId>");
        assert_non_null(id);
        line += occurrences(at, id, "\n");
        assert_int_equal(l.policy->endpoints[i].line, line - 1);
        at = id + 1;
    }
    /* filters that act are in the engine, one by one */
    const struct engine_snapshot *snapshot = engine_pin(l.lab.reader);
    size_t running = 0;
    for (UINT16 id = 0; id < ENGINE_LAYER_COUNT; id++) {
        const struct engine_filter *const *filters;
        running += engine_snapshot_filters(snapshot, id, &filters);
    }
    engine_unpin(l.lab.reader);
    assert_int_equal(running, c->filters_applied);
    /* nothing unknown but flags that Windows does not document */
    for (UINT32 i = 0; i < l.policy->note_count; i++) {
        if (l.policy->notes[i].kind == POLICY_NOTE_UNKNOWN)
            assert_non_null(strstr(l.policy->notes[i].text, "FWPM_FILTER_FLAG_HAS_FILTER_ORIGIN"));
    }
    pl_close(&l);
}

static char *save(struct policy_lab *l, bool with_policy, size_t *size)
{
    char *text;
    assert_int_equal(policy_save_memory(l->lab.bfe, with_policy ? l->policy : NULL, &text, size), 0);
    return text;
}

/* load, save, load again: equal policies, with and without what only the first one's policy knows. */
static void round_trip(const char *path)
{
    struct policy_lab a = {0}, b = {0};
    pl_open(&a);
    pl_open(&b);
    assert_int_equal(policy_load_file(a.lab.bfe, path, &a.policy, &a.error), 0);
    for (int with = 0; with < 2; with++) {
        size_t n, m;
        char *first = save(&a, with, &n);
        int rc = pl_try(&b, first, n);
        if (rc != 0)
            fail_msg("%s", b.error.text);
        char *second = save(&b, with, &m);
        assert_int_equal(n, m);
        assert_memory_equal(first, second, n);
        free(second);
        second = save(&b, false, &m); /* the bfes alone are equal, too */
        free(first);
        first = save(&a, false, &n);
        assert_int_equal(n, m);
        assert_memory_equal(first, second, n);
        free(first);
        free(second);
    }
    assert_int_equal(a.policy->counts.endpoints, b.policy->counts.endpoints);
    assert_int_equal(a.policy->counts.filters_applied, b.policy->counts.filters_applied);
    pl_close(&a);
    pl_close(&b);
}

/* The file again, but for line ends. */
static void saved_as_it_was(const char *path, const struct text *t)
{
    struct policy_lab l = {0};
    size_t size, n = 0, m = 0;
    unsigned line = 1;
    pl_open(&l);
    assert_int_equal(policy_load_file(l.lab.bfe, path, &l.policy, &l.error), 0);
    char *text = save(&l, true, &size);
    while (n < t->size && m < size) {
        n += t->data[n] == '\r';
        m += text[m] == '\r';
        if (t->data[n] != text[m])
            fail_msg("line %u differs: %.60s | %.60s", line, t->data + n, text + m);
        line += text[m] == '\n';
        n++;
        m++;
    }
    assert_int_equal(t->size - n, 0);
    assert_int_equal(size - m, 0);
    free(text);
    pl_close(&l);
}

static void one_machine(const char *relative, bool whole_state)
{
    char path[512];
    SHARED_OR_SKIP(relative, path);
    struct text t = slurp(path);
    load_and_compare(path, &t);
    round_trip(path);
    if (whole_state)
        saved_as_it_was(path, &t);
    free(t.data);
}

static void developer_laptop(void **state)
{
    (void)state;
    one_machine("data/states/developer-laptop.wfpstate.xml", true);
}

static void server_minimal(void **state)
{
    (void)state;
    one_machine("data/states/server-minimal.wfpstate.xml", true);
}

static void vpn_desktop(void **state)
{
    (void)state;
    one_machine("data/states/vpn-desktop.filters.xml", false);
}

/* The demo's weights are those that the bfe would give. */
static void weights_are_by_the_rule(const char *path)
{
    struct policy_lab l = {0};
    struct bfe_enum *e;
    void **entries;
    UINT32 n, automatic = 0;
    pl_open(&l);
    assert_int_equal(policy_load_file(l.lab.bfe, path, &l.policy, &l.error), 0);
    assert_null(pl_note(&l, "without an effective weight"));
    assert_int_equal(bfe_enum_create(l.lab.kernel, BFE_FILTER, NULL, &e), 0);
    assert_int_equal(bfe_enum_next(l.lab.kernel, e, UINT32_MAX, &entries, &n), 0);
    for (UINT32 i = 0; i < n; i++) {
        const FWPM_FILTER0 *f = entries[i];
        const struct engine_layer *layer = engine_layer_by_key(&f->layerKey);
        UINT64 weight = f->weight.type == FWP_UINT64
                            ? *f->weight.uint64
                            : bfe_weight_auto(layer, f->filterCondition, f->numFilterConditions);
        if (f->weight.type == FWP_UINT8)
            weight |= (UINT64)f->weight.uint8 << 60;
        automatic += f->weight.type != FWP_UINT64;
        if (weight != *f->effectiveWeight.uint64)
            fail_msg("filter %llu: %llu, expected %llu", f->filterId, *f->effectiveWeight.uint64, weight);
    }
    assert_true(automatic > 20);
    bfe_free(entries);
    assert_int_equal(bfe_enum_destroy(l.lab.kernel, e), 0);
    pl_close(&l);
}

/* The demo's own machine is held to the same. */
static void demo(void **state)
{
    char path[512];
    (void)state;
    snprintf(path, sizeof(path), "%s/data/demo/demo.wfpstate.xml",
             getenv("WEIR_ROOT") == NULL ? "." : getenv("WEIR_ROOT"));
    struct text t = slurp(path);
    load_and_compare(path, &t);
    round_trip(path);
    saved_as_it_was(path, &t);
    weights_are_by_the_rule(path);
    free(t.data);
}

/* Damaged copies of a real file end with one line and leave nothing, or load. */
static void damaged_copies(void **state)
{
    char path[512];
    struct policy_lab l = {0};
    unsigned seed = 12345;
    size_t refused = 0;
    (void)state;
    snprintf(path, sizeof(path), "%s/data/demo/demo.wfpstate.xml",
             getenv("WEIR_ROOT") == NULL ? "." : getenv("WEIR_ROOT"));
    struct text t = slurp(path);
    char *copy = malloc(t.size);
    assert_non_null(copy);
    for (int i = 0; i < 150; i++) {
        memcpy(copy, t.data, t.size);
        for (int k = 0; k <= i % 3; k++) {
            seed = seed * 1103515245u + 12345u;
            size_t at = (seed >> 8) % t.size;
            seed = seed * 1103515245u + 12345u;
            copy[at] = (char)(seed >> 16);
        }
        int rc = pl_try(&l, copy, t.size);
        if (rc == 0)
            continue;
        assert_int_equal(rc, -EINVAL);
        assert_null(l.policy);
        assert_non_null(strstr(l.error.text, "expected"));
        assert_null(strchr(l.error.text, '\n'));
        assert_int_equal(pl_count(&l, BFE_FILTER), 0);
        refused++;
    }
    assert_true(refused > 50);
    free(copy);
    free(t.data);
    pl_close(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(developer_laptop), cmocka_unit_test(server_minimal),
        cmocka_unit_test(vpn_desktop),      cmocka_unit_test(demo),
        cmocka_unit_test(damaged_copies),
    };
    return cmocka_run_group_tests_name("policy_states", tests, NULL, NULL);
}

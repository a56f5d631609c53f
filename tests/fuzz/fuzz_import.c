/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes the import of what netsh wrote: a file either loads whole, with counts that add up, and can be saved
 * and loaded again to the same counts; or it fails with a line that says so, and has changed nothing. A comment behind the
 * end makes it expat's instead of plain.c's: the same must come of it.
 */
#include "policy/policy.h"

#include "stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define KINDS 6
static const enum bfe_kind kinds[KINDS] = {BFE_PROVIDER, BFE_PROVIDER_CONTEXT, BFE_SUBLAYER,
                                           BFE_LAYER,    BFE_CALLOUT,          BFE_FILTER};

struct machine {
    struct engine *engine;
    struct bfe *bfe;
};

static void start(struct machine *m)
{
    REQUIRE(engine_create(&m->engine) == 0);
    REQUIRE(bfe_create(m->engine, NULL, &m->bfe) == 0);
}

static void stop(struct machine *m)
{
    bfe_destroy(m->bfe);
    engine_destroy(m->engine);
}

static void count(struct machine *m, UINT32 counts[KINDS])
{
    const struct bfe_caller kernel = {.kernel = true};
    struct bfe_session *s;
    REQUIRE(bfe_session_open(m->bfe, &kernel, NULL, &s) == STATUS_SUCCESS);
    for (unsigned i = 0; i < KINDS; i++) {
        struct bfe_enum *e;
        void **entries;
        REQUIRE(bfe_enum_create(s, kinds[i], NULL, &e) == STATUS_SUCCESS);
        REQUIRE(bfe_enum_next(s, e, UINT32_MAX, &entries, &counts[i]) == STATUS_SUCCESS);
        bfe_free(entries);
        REQUIRE(bfe_enum_destroy(s, e) == STATUS_SUCCESS);
    }
    REQUIRE(bfe_session_close(s) == STATUS_SUCCESS);
}

static void check_counts(const struct policy *p)
{
    const struct policy_counts *c = &p->counts;
    REQUIRE(c->filters_applied + c->filters_boottime + c->filters_disabled + c->filters_unusable ==
            c->filters);
    for (UINT32 i = 0; i < p->note_count; i++) {
        REQUIRE(p->notes[i].text != NULL && p->notes[i].count != 0);
        REQUIRE(i == 0 || p->notes[i - 1].line <= p->notes[i].line);
    }
}

static void again(struct machine *m, const struct policy *p)
{
    char *text;
    size_t size;
    struct machine other;
    struct policy *q;
    struct policy_error error = {0};
    REQUIRE(policy_save_memory(m->bfe, p, &text, &size) == 0);
    start(&other);
    int status = policy_load_memory(other.bfe, "saved", text, size, &q, &error);
    if (status != 0) {
        fprintf(stderr, "%s\n%.*s\n", error.text, (int)(size < 4000 ? size : 4000), text);
    }
    REQUIRE(status == 0);
    check_counts(q);
    REQUIRE(q->counts.filters == p->counts.filters);
    REQUIRE(q->counts.filters_applied == p->counts.filters_applied);
    REQUIRE(q->counts.endpoints == p->counts.endpoints);
    REQUIRE(q->counts.sessions == p->counts.sessions);
    policy_free(q);
    stop(&other);
    free(text);
}

/* In UTF-8. p: what came of it without the comment; NULL: nothing. */
static void by_expat(const struct policy *p, const char *text, size_t size)
{
    static const char comment[] = "<!---->";
    struct machine other;
    struct policy *q;
    struct policy_error error = {0};
    char *longer = malloc(size + sizeof(comment));
    REQUIRE(longer != NULL);
    memcpy(longer, text, size);
    memcpy(longer + size, comment, sizeof(comment));
    start(&other);
    int status = policy_load_memory(other.bfe, "input", longer, size + sizeof(comment) - 1, &q, &error);
    free(longer);
    REQUIRE((status == 0) == (p != NULL));
    if (status == 0) {
        REQUIRE(memcmp(&q->counts, &p->counts, sizeof(p->counts)) == 0);
        REQUIRE(q->note_count == p->note_count);
        for (UINT32 i = 0; i < p->note_count; i++) {
            REQUIRE(q->notes[i].kind == p->notes[i].kind && q->notes[i].line == p->notes[i].line);
            REQUIRE(q->notes[i].count == p->notes[i].count &&
                    strcmp(q->notes[i].text, p->notes[i].text) == 0);
        }
        policy_free(q);
    }
    stop(&other);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct machine m;
    struct policy *p = (void *)&p;
    struct policy_error error = {0};
    UINT32 before[KINDS], after[KINDS];
    char *exact = malloc(size != 0 ? size : 1);
    REQUIRE(exact != NULL);
    memcpy(exact, data, size);
    start(&m);
    count(&m, before);
    int status = policy_load_memory(m.bfe, "input", exact, size, &p, &error);
    if (size >= 2 && data[0] != 0 && data[1] != 0 && data[0] < 0xfe)
        by_expat(status == 0 ? p : NULL, exact, size);
    free(exact); /* the bytes are not needed afterwards */
    count(&m, after);
    if (status != 0) {
        REQUIRE(p == NULL);
        REQUIRE(error.text[0] != '\0' && memchr(error.text, '\0', sizeof(error.text)) != NULL);
        REQUIRE(strchr(error.text, '\n') == NULL);
        REQUIRE(memcmp(before, after, sizeof(before)) == 0);
    } else {
        check_counts(p);
        for (unsigned i = 0; i < KINDS; i++) {
            REQUIRE(after[i] >= before[i]);
        }
        again(&m, p);
        policy_free(p);
    }
    stop(&m);
    return 0;
}

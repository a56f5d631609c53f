/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Candidates: the tokens worth trying against a policy's descriptors.
 *
 * Collected are the distinct SIDs and attribute values the DACLs name. What a SID is decides which program
 * could carry it: an account runs it, a service hosts it, a capability is an AppContainer's. Nothing here
 * decides an access: the caller makes the tokens and asks the check.
 */
#include "security/internal.h"

#include <errno.h>
#include <stdlib.h>

#define ORDINARY_USER "S-1-5-21-0-0-0-1000" /* a user no descriptor names */

struct test {
    char *attribute, *value; /* value NULL: existence */
};
struct security_candidates {
    SID **sids;
    size_t sid_count, sid_room;
    struct test *tests;
    size_t test_count, test_room;
    int status; /* of adding, sticky */
};

int security_candidates_create(struct security_candidates **out)
{
    *out = calloc(1, sizeof(**out));
    return *out == NULL ? -ENOMEM : 0;
}

void security_candidates_destroy(struct security_candidates *c)
{
    if (c == NULL) {
        return;
    }
    for (size_t i = 0; i < c->sid_count; i++) {
        free(c->sids[i]);
    }
    for (size_t i = 0; i < c->test_count; i++) {
        free(c->tests[i].attribute);
        free(c->tests[i].value);
    }
    free(c->sids);
    free(c->tests);
    free(c);
}

static bool grow(void **items, size_t count, size_t *room, size_t each)
{
    if (count < *room) {
        return true;
    }
    size_t more = *room == 0 ? 16 : *room * 2;
    void *p = realloc(*items, more * each);
    if (p == NULL) {
        return false;
    }
    *items = p;
    *room = more;
    return true;
}

static void add_sid(void *ctx, const SID *sid, bool allow)
{
    struct security_candidates *c = ctx;
    (void)allow;
    for (size_t i = 0; i < c->sid_count; i++) {
        if (security_sid_equal(c->sids[i], sid)) {
            return;
        }
    }
    SID *copy = malloc(security_sid_size(sid));
    void *items = c->sids;
    if (copy == NULL || !grow(&items, c->sid_count, &c->sid_room, sizeof(*c->sids))) {
        free(copy);
        c->status = -ENOMEM;
        return;
    }
    c->sids = items;
    memcpy(copy, sid, security_sid_size(sid));
    c->sids[c->sid_count++] = copy;
}

static bool same_value(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static void add_test(void *ctx, const char *attribute, const char *value)
{
    struct security_candidates *c = ctx;
    for (size_t i = 0; i < c->test_count; i++) {
        if (strcmp(c->tests[i].attribute, attribute) == 0 && same_value(c->tests[i].value, value)) {
            return;
        }
    }
    struct test t = {.attribute = strdup(attribute), .value = value != NULL ? strdup(value) : NULL};
    void *items = c->tests;
    if (t.attribute == NULL || (value != NULL && t.value == NULL) ||
        !grow(&items, c->test_count, &c->test_room, sizeof(*c->tests))) {
        free(t.attribute);
        free(t.value);
        c->status = -ENOMEM;
        return;
    }
    c->tests = items;
    c->tests[c->test_count++] = t;
}

int security_candidates_add(struct security_candidates *c, const void *sd, size_t sd_size)
{
    const struct security_sd_visitor visitor = {.ctx = c, .sid = add_sid, .condition = add_test};
    security_sd_visit(sd, sd_size, &visitor);
    return c->status;
}

size_t security_candidates_sids(const struct security_candidates *c, const SID *const **sids)
{
    *sids = (const SID *const *)c->sids;
    return c->sid_count;
}

/* ---- the tokens ------------------------------------------------------------------------------- */
struct teller {
    bool (*fn)(void *ctx, const struct security_token_spec *spec, const char *description);
    void *ctx;
    bool stopped;
    int status;
};

static void describe_sid(struct sec_buf *b, const SID *sid)
{
    const char *name = security_sid_name(sid);
    if (name != NULL) {
        sec_buf_text(b, name);
    } else {
        sec_sid_write(b, (const uint8_t *)sid);
    }
}

/* A token of `account`, perhaps with one more group (a service's SID, if `service`), and what spec holds. */
static void tell(struct teller *t, struct security_token_spec spec, const SID *account, const SID *group,
                 bool service, struct sec_buf *description)
{
    struct sec_groups groups;
    sec_buf_add8(description, 0);
    if (t->stopped || t->status != 0) {
        return;
    }
    t->status = description->failed ? -ENOMEM : sec_groups_init(&groups, 1);
    if (t->status != 0) {
        return;
    }
    sec_groups_of(&groups, account, service);
    if (group != NULL) {
        sec_groups_add(&groups, group);
    }
    spec.user = account;
    spec.groups = groups.items;
    spec.group_count = groups.count;
    t->stopped = !t->fn(t->ctx, &spec, (const char *)description->data);
    sec_groups_free(&groups);
}

static void tell_sid(struct teller *t, const SID *ordinary, const SID *sid)
{
    static const char *const local_service = "S-1-5-19";
    struct sec_buf text = {0};
    uint8_t account[SECURITY_MAX_SID_SIZE] __attribute__((aligned(4)));
    struct security_token_spec spec = {0};
    switch (security_sid_kind(sid)) {
    case SECURITY_SID_ACCOUNT:
        sec_buf_text(&text, "the account ");
        describe_sid(&text, sid);
        tell(t, spec, sid, NULL, false, &text);
        break;
    case SECURITY_SID_SERVICE:
        sec_buf_text(&text, "the service ");
        describe_sid(&text, sid);
        if (security_sid_parse(local_service, (SID *)account, sizeof(account)) == 0) {
            tell(t, spec, (const SID *)account, sid, true, &text);
        }
        break;
    case SECURITY_SID_GROUP:
        sec_buf_text(&text, "a member of ");
        describe_sid(&text, sid);
        tell(t, spec, ordinary, sid, false, &text);
        break;
    default:
        break;
    }
    sec_buf_free(&text);
}

struct container {
    const SID *user, *package; /* package NULL: none, so no AppContainer */
    const SID_AND_ATTRIBUTES *capabilities;
    size_t count;
};

static void describe_container(struct sec_buf *text, const struct container *c, bool ordinary,
                               bool named_package, bool all)
{
    sec_buf_text(text, "an AppContainer");
    if (named_package) {
        sec_buf_text(text, " ");
        describe_sid(text, c->package);
    }
    if (all && c->count > 1) {
        sec_buf_text(text, " with all capabilities named");
    } else if (c->count != 0) {
        sec_buf_text(text, " with ");
        describe_sid(text, c->capabilities[0].Sid);
    }
    if (!ordinary) {
        sec_buf_text(text, " of ");
        describe_sid(text, c->user);
    }
}

static void tell_container(struct teller *t, const struct container *c, bool ordinary, bool named_package,
                           bool all)
{
    struct sec_buf text = {0};
    struct security_token_spec spec = {
        .package = c->package, .capabilities = c->capabilities, .capability_count = c->count};
    describe_container(&text, c, ordinary, named_package, all);
    tell(t, spec, c->user, NULL, false, &text);
    sec_buf_free(&text);
}

/* A program that meets the test, of the container's user and, if that has a package, in the AppContainer. */
static void tell_test(struct teller *t, const struct container *c, bool ordinary, const struct test *test)
{
    struct sec_buf text = {0};
    char *end = NULL;
    int64_t number = test->value != NULL ? strtoll(test->value, &end, 10) : 1;
    const char *value = test->value;
    struct security_attribute attribute = {.name = test->attribute, .values = &value, .value_count = 1};
    if (value == NULL || (*value != '\0' && *end == '\0')) {
        /* a number, or any value that is true */
        attribute.value_count = 0;
        attribute.integers = &number;
        attribute.integer_count = 1;
    }
    struct security_token_spec spec = {.attributes = &attribute,
                                       .attribute_count = 1,
                                       .package = c->package,
                                       .capabilities = c->capabilities,
                                       .capability_count = c->count};
    sec_buf_text(&text, "a program with ");
    sec_buf_text(&text, test->attribute);
    if (value != NULL) {
        sec_buf_text(&text, " ");
        sec_buf_text(&text, value);
    }
    if (c->package != NULL) {
        sec_buf_text(&text, ", ");
        describe_container(&text, c, ordinary, false, true);
    } else if (!ordinary) {
        sec_buf_text(&text, " of ");
        describe_sid(&text, c->user);
    }
    tell(t, spec, c->user, NULL, false, &text);
    sec_buf_free(&text);
}

static void tell_containers(struct teller *t, const struct security_candidates *c, const SID *user,
                            bool ordinary)
{
    /* a package no descriptor names */
    uint8_t other[SECURITY_MAX_SID_SIZE] __attribute__((aligned(4)));
    if (security_sid_parse("S-1-15-2-0-0-0-0-0-0-1", (SID *)other, sizeof(other)) != 0) {
        return;
    }
    SID_AND_ATTRIBUTES *all = calloc(c->sid_count + 1, sizeof(*all));
    size_t count = 0;
    if (all == NULL) {
        t->status = -ENOMEM;
        return;
    }
    for (size_t i = 0; i < c->sid_count; i++) {
        if (security_sid_kind(c->sids[i]) == SECURITY_SID_CAPABILITY) {
            all[count++] = (SID_AND_ATTRIBUTES){.Sid = c->sids[i], .Attributes = SE_GROUP_ENABLED};
        }
    }
    struct container container = {.user = user, .package = (const SID *)other};
    tell_container(t, &container, ordinary, false, false);
    for (size_t i = 0; i < count; i++) {
        container.capabilities = &all[i];
        container.count = 1;
        tell_container(t, &container, ordinary, false, false);
    }
    if (count > 1) {
        container.capabilities = all;
        container.count = count;
        tell_container(t, &container, ordinary, false, true);
    }
    /* Store apps carry attributes as well: each test met, with all capabilities and with none. */
    for (size_t i = 0; i < c->test_count; i++) {
        tell_test(t, &(struct container){.user = user}, ordinary, &c->tests[i]);
        tell_test(t, &(struct container){.user = user, .package = container.package}, ordinary, &c->tests[i]);
        if (count != 0) {
            container.capabilities = all;
            container.count = count;
            tell_test(t, &container, ordinary, &c->tests[i]);
        }
    }
    container.capabilities = NULL;
    container.count = 0;
    for (size_t i = 0; i < c->sid_count; i++) {
        if (security_sid_kind(c->sids[i]) == SECURITY_SID_PACKAGE) {
            container.package = c->sids[i];
            tell_container(t, &container, ordinary, true, false);
        }
    }
    free(all);
}

static bool is_named(const struct security_candidates *c, const SID *sid)
{
    for (size_t i = 0; i < c->sid_count; i++) {
        if (security_sid_equal(c->sids[i], sid)) {
            return true;
        }
    }
    return false;
}

int security_candidates_tokens(const struct security_candidates *c,
                               bool (*fn)(void *ctx, const struct security_token_spec *spec,
                                          const char *description),
                               void *ctx)
{
    static const char *const accounts[] = {"S-1-5-18", "S-1-5-19", "S-1-5-20"};
    struct teller t = {.fn = fn, .ctx = ctx};
    uint8_t bytes[SECURITY_MAX_SID_SIZE] __attribute__((aligned(4)));
    uint8_t well_known[SECURITY_MAX_SID_SIZE] __attribute__((aligned(4)));
    SID *ordinary = (SID *)bytes;
    struct sec_buf text = {0};
    int status = security_sid_parse(ORDINARY_USER, ordinary, sizeof(bytes));
    if (status != 0) {
        return status;
    }
    sec_buf_text(&text, "an ordinary user");
    tell(&t, (struct security_token_spec){0}, ordinary, NULL, false, &text);
    sec_buf_free(&text);
    for (size_t i = 0; i < sizeof(accounts) / sizeof(accounts[0]); i++) {
        if (security_sid_parse(accounts[i], (SID *)well_known, sizeof(well_known)) == 0 &&
            !is_named(c, (const SID *)well_known)) {
            tell_sid(&t, ordinary, (const SID *)well_known);
        }
    }
    for (size_t i = 0; i < c->sid_count; i++) {
        tell_sid(&t, ordinary, c->sids[i]);
    }
    tell_containers(&t, c, ordinary, true);
    for (size_t i = 0; i < c->sid_count; i++) {
        const uint8_t *sid = (const uint8_t *)c->sids[i];
        if (security_sid_kind(c->sids[i]) == SECURITY_SID_ACCOUNT && sec_get32(sid + 8) == 21) {
            tell_containers(&t, c, c->sids[i], false);
        }
    }
    return t.status;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening a state and looking things up in it. One enumeration of each kind is kept for the state's life:
 * what bfe_enum_next() gives is one block, its pointers are sorted here.
 */
#include "explain/state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int compare_id(const void *x, const void *y)
{
    const FWPM_FILTER0 *a = *(FWPM_FILTER0 *const *)x, *b = *(FWPM_FILTER0 *const *)y;

    return (a->filterId > b->filterId) - (a->filterId < b->filterId);
}

static NTSTATUS list_all(struct explain_state *s, enum bfe_kind kind, void **block, void ***entries,
                         UINT32 *count)
{
    struct bfe_enum *e;
    NTSTATUS status = bfe_enum_create(s->session, kind, NULL, &e);

    if (status != STATUS_SUCCESS)
        return status;
    status = bfe_enum_next(s->session, e, UINT32_MAX, entries, count);
    bfe_enum_destroy(s->session, e);
    if (status == STATUS_SUCCESS)
        *block = *entries;
    return status;
}

static int compare_blob(const void *x, const void *y)
{
    const FWP_BYTE_BLOB *a = *(const FWP_BYTE_BLOB *const *)x, *b = *(const FWP_BYTE_BLOB *const *)y;
    size_t n = a->size < b->size ? a->size : b->size;
    int d = n != 0 ? memcmp(a->data, b->data, n) : 0;

    return d != 0 ? d : (a->size > b->size) - (a->size < b->size);
}

/* Every program that a condition or an endpoint names. */
static int list_apps(struct explain_state *s)
{
    size_t most = s->policy->counts.endpoints, n = 0;
    UINT32 kept = 0;

    for (UINT32 i = 0; i < s->filter_count; i++)
        most += s->filters[i]->numFilterConditions;
    s->apps = explain_alloc(&s->arena, (most + 1) * sizeof *s->apps);
    if (s->apps == NULL)
        return -ENOMEM;
    for (UINT32 i = 0; i < s->filter_count; i++) {
        for (UINT32 k = 0; k < s->filters[i]->numFilterConditions; k++) {
            const FWPM_FILTER_CONDITION0 *c = &s->filters[i]->filterCondition[k];

            if (memcmp(&c->fieldKey, &FWPM_CONDITION_ALE_APP_ID, sizeof(GUID)) == 0 &&
                c->conditionValue.type == FWP_BYTE_BLOB_TYPE && c->conditionValue.byteBlob->size != 0)
                s->apps[n++] = c->conditionValue.byteBlob;
        }
    }
    for (UINT32 i = 0; i < s->policy->counts.endpoints; i++) {
        if (s->policy->endpoints[i].app_id.size != 0)
            s->apps[n++] = &s->policy->endpoints[i].app_id;
    }
    qsort(s->apps, n, sizeof *s->apps, compare_blob);
    for (size_t i = 0; i < n; i++) {
        if (kept == 0 || compare_blob(&s->apps[i], &s->apps[kept - 1]) != 0)
            s->apps[kept++] = s->apps[i];
    }
    s->app_count = kept;
    return 0;
}

static const char empty_policy[] = "<?xml version=\"1.0\"?><wfpstate/>";

/* The lists of all kinds, and the programs. */
static int list_objects(struct explain_state *s)
{
    if (list_all(s, BFE_FILTER, &s->blocks[0], (void ***)&s->filters, &s->filter_count) != STATUS_SUCCESS ||
        list_all(s, BFE_SUBLAYER, &s->blocks[1], (void ***)&s->sublayers, &s->sublayer_count) !=
            STATUS_SUCCESS ||
        list_all(s, BFE_CALLOUT, &s->blocks[2], (void ***)&s->callouts, &s->callout_count) !=
            STATUS_SUCCESS ||
        list_all(s, BFE_PROVIDER, &s->blocks[3], (void ***)&s->providers, &s->provider_count) !=
            STATUS_SUCCESS)
        return -EIO;
    if (s->filter_count != 0)
        qsort(s->filters, s->filter_count, sizeof(FWPM_FILTER0 *), compare_id);
    return list_apps(s);
}

static void forget_objects(struct explain_state *s)
{
    for (unsigned i = 0; i < 4; i++) {
        bfe_free(s->blocks[i]);
        s->blocks[i] = NULL;
    }
    s->filters = NULL;
    s->sublayers = NULL;
    s->callouts = NULL;
    s->providers = NULL;
    s->filter_count = s->sublayer_count = s->callout_count = s->provider_count = s->app_count = 0;
}

int explain_state_open(const char *path, struct explain_state **out, struct policy_error *error)
{
    static const struct bfe_caller kernel = {.kernel = true};
    struct explain_state *s = calloc(1, sizeof *s);
    int err = -ENOMEM;

    *out = NULL;
    *error = (struct policy_error){0};
    if (s == NULL)
        goto out;
    err = engine_create(&s->engine);
    if (err != 0)
        goto out;
    err = bfe_create(s->engine, NULL, &s->bfe);
    if (err != 0)
        goto out;
    err = path != NULL ? policy_load_file(s->bfe, path, &s->policy, error)
                       : policy_load_memory(s->bfe, "(no policy)", empty_policy, strlen(empty_policy),
                                            &s->policy, error);
    if (err != 0)
        goto out;
    err = engine_reader_create(s->engine, &s->reader);
    if (err != 0)
        goto out;
    err = bfe_session_open(s->bfe, &kernel, NULL, &s->session) == STATUS_SUCCESS ? list_objects(s) : -EIO;
    if (err == -EIO)
        snprintf(error->text, sizeof error->text, "%s: loaded, but its objects could not be listed",
                 s->policy->file);
out:
    if (err != 0) {
        if (error->text[0] == '\0')
            snprintf(error->text, sizeof error->text, "%s: %s", path != NULL ? path : "an empty policy",
                     strerror(-err));
        explain_state_close(s);
        return err;
    }
    *out = s;
    return 0;
}

int explain_state_replace(struct explain_state *s, const char *path, struct policy_error *error)
{
    struct policy **earlier = realloc(s->earlier, (s->earlier_count + 1) * sizeof(struct policy *));
    struct policy *policy;
    int err = -ENOMEM;

    *error = (struct policy_error){0};
    if (earlier != NULL) {
        s->earlier = earlier;
        err = policy_replace_file(s->bfe, path, &policy, error);
    }
    if (err == 0) {
        s->earlier[s->earlier_count++] = s->policy;
        s->policy = policy;
        s->generation++;
        forget_objects(s);
        err = list_objects(s);
    }
    if (err != 0 && error->text[0] == '\0')
        snprintf(error->text, sizeof error->text, "%s: %s", path, strerror(-err));
    return err;
}

void explain_state_close(struct explain_state *s)
{
    if (s == NULL)
        return;
    forget_objects(s);
    if (s->session != NULL)
        bfe_session_close(s->session);
    if (s->reader != NULL)
        engine_reader_destroy(s->reader);
    policy_free(s->policy);
    for (UINT32 i = 0; i < s->earlier_count; i++)
        policy_free(s->earlier[i]);
    free(s->earlier);
    if (s->bfe != NULL)
        bfe_destroy(s->bfe);
    if (s->engine != NULL)
        engine_destroy(s->engine);
    explain_arena_free(&s->arena);
    free(s);
}

/* ---- look-ups -------------------------------------------------------------------------------- */

const FWPM_FILTER0 *explain_state_filter(const struct explain_state *s, UINT64 id)
{
    FWPM_FILTER0 key = {.filterId = id}, *wanted = &key, **found;

    found = s->filter_count == 0
                ? NULL
                : bsearch(&wanted, s->filters, s->filter_count, sizeof(FWPM_FILTER0 *), compare_id);
    return found != NULL ? *found : NULL;
}

const FWPM_SUBLAYER0 *explain_state_sublayer(const struct explain_state *s, const GUID *key)
{
    for (UINT32 i = 0; i < s->sublayer_count; i++) {
        if (memcmp(&s->sublayers[i]->subLayerKey, key, sizeof *key) == 0)
            return s->sublayers[i];
    }
    return NULL;
}

const FWPM_CALLOUT0 *explain_state_callout(const struct explain_state *s, const GUID *key)
{
    for (UINT32 i = 0; i < s->callout_count; i++) {
        if (memcmp(&s->callouts[i]->calloutKey, key, sizeof *key) == 0)
            return s->callouts[i];
    }
    return NULL;
}

const FWPM_PROVIDER0 *explain_state_provider(const struct explain_state *s, const GUID *key)
{
    for (UINT32 i = 0; i < s->provider_count; i++) {
        if (memcmp(&s->providers[i]->providerKey, key, sizeof *key) == 0)
            return s->providers[i];
    }
    return NULL;
}

const char *explain_guid_text(struct explain_arena *a, enum engine_guid_kind kind, const GUID *key)
{
    const char *name = engine_guid_name(kind, key);
    char text[ENGINE_GUID_TEXT];
    char *copy;

    if (name != NULL)
        return name;
    copy = explain_strdup(a, engine_guid_format(key, text));
    return copy != NULL ? copy : "";
}

static const char *display_or_key(struct explain_arena *a, const FWPM_DISPLAY_DATA0 *display,
                                  enum engine_guid_kind kind, const GUID *key)
{
    if (display != NULL && display->name != NULL && display->name[0] != 0) {
        const char *name = explain_utf8(a, display->name);

        return name != NULL ? name : "";
    }
    return explain_guid_text(a, kind, key);
}

const char *explain_sublayer_name(const struct explain_state *s, struct explain_arena *a, const GUID *key)
{
    const FWPM_SUBLAYER0 *o = explain_state_sublayer(s, key);

    return display_or_key(a, o != NULL ? &o->displayData : NULL, ENGINE_GUID_SUBLAYER, key);
}

const char *explain_callout_name(const struct explain_state *s, struct explain_arena *a, const GUID *key)
{
    const FWPM_CALLOUT0 *o = explain_state_callout(s, key);

    return display_or_key(a, o != NULL ? &o->displayData : NULL, ENGINE_GUID_CALLOUT, key);
}

const char *explain_provider_name(const struct explain_state *s, struct explain_arena *a, const GUID *key)
{
    const FWPM_PROVIDER0 *o = explain_state_provider(s, key);

    return display_or_key(a, o != NULL ? &o->displayData : NULL, ENGINE_GUID_PROVIDER, key);
}

/* ---- text ------------------------------------------------------------------------------------ */

static size_t put_utf8(char *out, uint32_t c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

char *explain_utf8_n(struct explain_arena *a, const WCHAR *text, size_t units)
{
    char *out = explain_alloc(a, units * 3 + 1);
    size_t n = 0;

    for (size_t i = 0; out != NULL && i < units; i++) {
        uint32_t c = text[i];

        if (c >= 0xd800 && c < 0xdc00 && i + 1 < units && text[i + 1] >= 0xdc00 && text[i + 1] < 0xe000)
            c = 0x10000 + ((c - 0xd800) << 10) + (text[++i] - 0xdc00u);
        else if (c >= 0xd800 && c < 0xe000)
            c = 0xfffd;
        n += put_utf8(out + n, c);
    }
    return out;
}

char *explain_utf8(struct explain_arena *a, const WCHAR *text)
{
    size_t units = 0;

    while (text != NULL && text[units] != 0)
        units++;
    return explain_utf8_n(a, text, units);
}

/* One character; its length, or 0 for what is not UTF-8. */
static size_t take_utf8(const unsigned char *p, uint32_t *out)
{
    size_t n = p[0] < 0x80 ? 1 : p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    uint32_t c = n == 1 ? p[0] : p[0] & (0xffu >> (n + 1));

    if (n > 1 && (p[0] < 0xc2 || p[0] > 0xf4))
        return 0;
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (p[i] & 0x3f);
    }
    if ((n == 3 && c < 0x800) || (n == 4 && (c < 0x10000 || c > 0x10ffff)) || (c >= 0xd800 && c < 0xe000))
        return 0;
    *out = c;
    return n;
}

WCHAR *explain_utf16(struct explain_arena *a, const char *text, size_t *units)
{
    WCHAR *out = explain_alloc(a, (strlen(text) + 1) * sizeof *out);
    const unsigned char *p = (const unsigned char *)text;
    size_t n = 0;

    while (out != NULL && *p != '\0') {
        uint32_t c;
        size_t len = take_utf8(p, &c);

        if (len == 0)
            return NULL;
        p += len;
        if (c >= 0x10000) {
            out[n++] = (WCHAR)(0xd800 + ((c - 0x10000) >> 10));
            c = 0xdc00 + ((c - 0x10000) & 0x3ff);
        }
        out[n++] = (WCHAR)c;
    }
    if (units != NULL)
        *units = n;
    return out;
}

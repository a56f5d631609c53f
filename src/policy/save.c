/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bfe's objects as `netsh wfp show state` writes them: the same elements in the same order, tabs, CRLF, a
 * BOM, and a second root. What only the policy knows (sessions, endpoints, names of flags, parts kept as
 * text) comes from there when it is given. For an export that Weir read without a note, saving gives the same
 * lines again.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "save.h"

/* A kind's objects, in the bfe's order. */
struct listing {
    void **entries;
    UINT32 count;
};

/* ---- lists ------------------------------------------------------------------------------------------ */

static void list(struct saver *s, enum bfe_kind kind, struct listing *l)
{
    struct bfe_enum *e = NULL;
    NTSTATUS status = bfe_enum_create(s->session, kind, NULL, &e);
    if (NT_SUCCESS(status)) {
        status = bfe_enum_next(s->session, e, UINT32_MAX, &l->entries, &l->count);
        (void)bfe_enum_destroy(s->session, e);
    }
    if (!NT_SUCCESS(status))
        s->status = -ENOMEM;
}

/* Objects by key. */
static void index_listing(struct saver *s, const struct listing *l, struct key_set *set)
{
    for (UINT32 i = 0; i < l->count; i++) {
        bool fresh;
        struct key_slot *slot =
            key_add(set, l->entries[i], &fresh); /* the key is every object's first member */
        if (slot == NULL)
            s->status = -ENOMEM;
        else
            slot->value = l->entries[i];
    }
}

/* Records by key, the first of each. */
static void index_records(struct saver *s, enum record_kind kind, struct key_set *set)
{
    for (struct record *r = s->in == NULL ? NULL : s->in->records[kind].first; r != NULL; r = r->next) {
        bool fresh;
        struct key_slot *slot = key_add(set, (const GUID *)(const void *)r->object, &fresh);
        if (slot == NULL)
            s->status = -ENOMEM;
        else if (fresh)
            slot->value = r;
    }
}

/* A built-in object is the bfe's own where it was in use already; what the file says of it is in its record.
 */
static bool builtin(const GUID *key)
{
    const struct engine_builtin_provider *p;
    const struct engine_builtin_sublayer *l;
    for (size_t i = 0, n = engine_builtin_providers(&p); i < n; i++) {
        if (memcmp(p[i].key, key, sizeof(*key)) == 0)
            return true;
    }
    for (size_t i = 0, n = engine_builtin_sublayers(&l); i < n; i++) {
        if (memcmp(l[i].key, key, sizeof(*key)) == 0)
            return true;
    }
    return false;
}

/* All of a kind: those of the file in its order, as the bfe has them now, then what came since. */
static void save_list(struct saver *s, const char *element, enum bfe_kind kind, enum record_kind records,
                      save_fn *save)
{
    struct listing l = {0};
    struct key_set objects = {0}, known = {0};
    UINT32 count = 0;
    list(s, kind, &l);
    index_listing(s, &l, &objects);
    index_records(s, records, &known);
    struct record *first = s->in == NULL ? NULL : s->in->records[records].first;
    for (struct record *r = first; r != NULL; r = r->next)
        count += r->unplaced;
    count += l.count;
    if (s->status == 0 && save_open_list(s, element, count)) {
        for (struct record *r = first; r != NULL; r = r->next) {
            const GUID *key = (const GUID *)(const void *)r->object;
            if (r->unplaced)
                save(s, r->object, r);
            else if (key_get(&objects, key) != NULL && key_get(&known, key) == r)
                save(s, builtin(key) ? r->object : key_get(&objects, key), r);
        }
        for (UINT32 i = 0; i < l.count; i++) {
            if (key_get(&known, l.entries[i]) == NULL)
                save(s, l.entries[i], NULL);
        }
        save_close(s, element);
    }
    bfe_free(l.entries);
    key_free(&objects);
    key_free(&known);
}

/*
 * Callouts and filters are listed in their layers. Of one kind: what the bfe has, in its order, and what it
 * did not take.
 */
struct layered {
    const char *element;
    enum record_kind kind;
    size_t layer; /* offset of the layer's key in the object */
    save_fn *save;
    struct listing listing;
    struct key_set records;
    bool *done;
};

/* Those of one layer; of no known layer (and those that the bfe did not take) when `layer` is NULL. */
static void save_layered(struct saver *s, struct layered *all, const GUID *layer)
{
    struct record *first = layer == NULL && s->in != NULL ? s->in->records[all->kind].first : NULL;
    UINT32 count = 0;
    for (int writing = 0; writing < 2; writing++) {
        for (UINT32 i = 0; i < all->listing.count; i++) {
            const char *object = all->listing.entries[i];
            if (all->done[i] || (layer != NULL && memcmp(object + all->layer, layer, sizeof(GUID)) != 0))
                continue;
            count++;
            if (!writing)
                continue;
            all->done[i] = true;
            all->save(s, object, key_get(&all->records, (const GUID *)(const void *)object));
        }
        for (struct record *r = first; r != NULL; r = r->next) {
            count += r->unplaced;
            if (writing && r->unplaced)
                all->save(s, r->object, r);
        }
        if (!writing && ((layer == NULL && count == 0) || !save_open_list(s, all->element, count)))
            return;
    }
    save_close(s, all->element);
}

static void save_layer_item(struct saver *s, struct layered *callouts, struct layered *filters,
                            const FWPM_LAYER0 *layer, const struct record *r)
{
    save_open(s, "item");
    save_layer(s, layer, r);
    save_layered(s, callouts, &layer->layerKey);
    save_layered(s, filters, &layer->layerKey);
    save_close(s, "item");
}

static void layered_begin(struct saver *s, struct layered *all, enum bfe_kind kind)
{
    list(s, kind, &all->listing);
    index_records(s, all->kind, &all->records);
    all->done = calloc(all->listing.count + 1u, sizeof(bool));
    if (all->done == NULL)
        s->status = -ENOMEM;
}

static void layered_end(struct layered *all)
{
    bfe_free(all->listing.entries);
    key_free(&all->records);
    free(all->done);
}

/* Layers as the file listed them (another build's fields are part of what it says), otherwise as Weir has
 * them. */
static void save_layers(struct saver *s)
{
    struct layered callouts = {
        "callouts", R_CALLOUT, offsetof(FWPM_CALLOUT0, applicableLayer), save_callout, {0}, {0}, NULL};
    struct layered filters = {"filters", R_FILTER, offsetof(FWPM_FILTER0, layerKey), save_filter, {0},
                              {0},       NULL};
    const struct record_list *listed = s->in == NULL ? NULL : &s->in->records[R_LAYER];
    struct listing layers = {0};
    layered_begin(s, &callouts, BFE_CALLOUT);
    layered_begin(s, &filters, BFE_FILTER);
    list(s, BFE_LAYER, &layers);
    if (s->status != 0)
        goto out;
    if (listed != NULL && listed->count > 0) {
        save_open_list(s, "layers", listed->count);
        for (const struct record *r = listed->first; r != NULL; r = r->next)
            save_layer_item(s, &callouts, &filters, (const FWPM_LAYER0 *)(const void *)r->object, r);
        save_close(s, "layers");
    } else if (save_open_list(s, "layers", layers.count)) {
        for (UINT32 i = 0; i < layers.count; i++)
            save_layer_item(s, &callouts, &filters, layers.entries[i], NULL);
        save_close(s, "layers");
    }
    save_layered(s, &callouts, NULL);
    save_layered(s, &filters, NULL);
out:
    bfe_free(layers.entries);
    layered_end(&callouts);
    layered_end(&filters);
}

/* What only the policy keeps. */
static void save_records(struct saver *s, const char *element, enum record_kind kind, save_fn *save)
{
    const struct record_list *l = s->in == NULL ? NULL : &s->in->records[kind];
    if (!save_open_list(s, element, l == NULL ? 0 : l->count))
        return;
    for (const struct record *r = l->first; r != NULL; r = r->next)
        save(s, r->object, r);
    save_close(s, element);
}

/* Sections that Weir only keeps: these stand before the endpoints, all others behind. */
static bool early_section(const struct section *k)
{
    return strcmp(k->name, "subscriptions") == 0 || strcmp(k->name, "ipsecSaContexts") == 0;
}

static void save_sections(struct saver *s, bool early)
{
    for (const struct section *k = s->in == NULL ? NULL : s->in->sections; k != NULL; k = k->next) {
        if (!k->is_root && early_section(k) == early)
            save_kept(s, k->xml);
    }
}

int policy_save_memory(struct bfe *b, const struct policy *p, char **out, size_t *size)
{
    struct saver s = {.in = p == NULL ? NULL : p->internal};
    struct bfe_caller caller = {.kernel = true};
    FWPM_SESSION0 desc = {0};
    WCHAR name[] = u"Weir policy export";
    bool second = false;
    *out = NULL;
    *size = 0;
    desc.displayData.name = name;
    if (!NT_SUCCESS(bfe_session_open(b, &caller, &desc, &s.session)))
        return -ENOMEM;
    if (!NT_SUCCESS(
            bfe_txn_begin(s.session, FWPM_TXN_READ_ONLY))) { /* one version of the policy throughout */
        (void)bfe_session_close(s.session);
        return -EBUSY;
    }
    buffer_text(&s.out, "\xef\xbb\xbf<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\r\n");
    save_open(&s, "wfpstate");
    save_text(&s, "timeStamp", p == NULL ? NULL : p->time_stamp);
    save_records(&s, "sessions", R_SESSION, save_session);
    save_layers(&s);
    save_list(&s, "providers", BFE_PROVIDER, R_PROVIDER, save_provider);
    save_list(&s, "providerContexts", BFE_PROVIDER_CONTEXT, R_PROVIDER_CONTEXT, save_context);
    save_list(&s, "subLayers", BFE_SUBLAYER, R_SUBLAYER, save_sublayer);
    save_sections(&s, true);
    save_records(&s, "aleConnectedEndpoints", R_ENDPOINT, save_endpoint);
    save_sections(&s, false);
    save_close(&s, "wfpstate");
    for (const struct section *k = s.in == NULL ? NULL : s.in->sections; k != NULL; k = k->next) {
        if (k->is_root) {
            save_kept(&s, k->xml);
            second = true;
        }
    }
    if (!second) {
        save_open(&s, "firewallState");
        save_text(&s, "dynamicKeywordAddresses", NULL);
        save_close(&s, "firewallState");
    }
    (void)bfe_txn_abort(s.session);
    (void)bfe_session_close(s.session);
    if (s.status == 0 && s.out.failed)
        s.status = -ENOMEM;
    if (s.status != 0) {
        free(s.out.data);
        return s.status;
    }
    *out = s.out.data;
    *size = s.out.size;
    return 0;
}

int policy_save_file(struct bfe *b, const struct policy *p, const char *path, struct policy_error *err)
{
    char *text = NULL, *temporary = NULL;
    size_t size = 0, done = 0;
    int fd = -1, rc = policy_save_memory(b, p, &text, &size);
    size_t length = strlen(path) + sizeof(".XXXXXX");
    if (rc != 0)
        goto out;
    temporary = malloc(length);
    if (temporary == NULL) {
        rc = -ENOMEM;
        goto out;
    }
    snprintf(temporary, length, "%s.XXXXXX", path);
    fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0) {
        rc = -errno;
        goto out;
    }
    while (done < size) {
        ssize_t n = write(fd, text + done, size - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            rc = -errno;
            goto out;
        }
        done += (size_t)n;
    }
    if (fchmod(fd, 0644) != 0 || fsync(fd) != 0 || rename(temporary, path) != 0)
        rc = -errno;
out:
    if (fd >= 0) {
        close(fd);
        if (rc != 0)
            unlink(temporary);
    }
    if (rc != 0 && err != NULL) {
        *err = (struct policy_error){0};
        snprintf(err->text, sizeof(err->text), "%s: expected a place to write a policy, found: %s", path,
                 strerror(-rc));
    }
    free(temporary);
    free(text);
    return rc;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registry: a tree of keys and values in memory, one a kernel. Its root is \REGISTRY. Names are compared
 * without case; CurrentControlSet is ControlSet001. An open handle keeps a deleted key's memory
 * (STATUS_KEY_DELETED). All under io->lock; registry_open() takes it not, its callers hold it.
 */
#include <stdlib.h>

#include "nt/io_inside.h"
#include "nt/text.h"

static const WCHAR current[] = u"CurrentControlSet", first_set[] = u"ControlSet001",
                   root_name[] = u"REGISTRY";

static WCHAR *copy(const WCHAR *s, size_t units)
{
    WCHAR *to = malloc((units + 1) * sizeof *to);

    if (to != NULL) {
        if (units > 0)
            memcpy(to, s, units * sizeof *to);
        to[units] = 0;
    }
    return to;
}

static bool same(const WCHAR *a, size_t a_units, const WCHAR *b, size_t b_units)
{
    return a_units == b_units && rtl_compare_units(a, a_units, b, b_units, true) == 0;
}

static struct registry_key *child(struct registry_key *key, const WCHAR *name, size_t units)
{
    if (same(name, units, current, ARRAYSIZE(current) - 1)) {
        name = first_set;
        units = ARRAYSIZE(first_set) - 1;
    }
    for (struct registry_key *k = key->children; k != NULL; k = k->next)
        if (same(k->name, k->units, name, units))
            return k;
    return NULL;
}

static struct registry_key *add(struct io_room *io, struct registry_key *parent, const WCHAR *name,
                                size_t units)
{
    struct registry_key *k = calloc(1, sizeof *k), **at;

    if (k == NULL || (k->name = copy(name, units)) == NULL) {
        free(k);
        return NULL;
    }
    k->units = units;
    k->parent = parent;
    k->written = rt_clock_filetime(io->k->clock);
    if (parent != NULL) {
        for (at = &parent->children; *at != NULL; at = &(*at)->next)
            ;
        *at = k;
    }
    return k;
}

static NTSTATUS walk(struct io_room *io, struct registry_key *from, const WCHAR *path, size_t units,
                     bool make, struct registry_key **out, bool *made)
{
    size_t at = 0;

    if (made != NULL)
        *made = false;
    if (io->registry == NULL && (io->registry = add(io, NULL, root_name, ARRAYSIZE(root_name) - 1)) == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    if (from == NULL) {
        size_t n = ARRAYSIZE(root_name); /* with the backslash before it */
        if (units == 0 || path[0] != '\\')
            return STATUS_OBJECT_PATH_SYNTAX_BAD;
        if (units < n || !same(path + 1, n - 1, root_name, n - 1) || (units > n && path[n] != '\\'))
            return STATUS_OBJECT_NAME_NOT_FOUND;
        from = io->registry;
        at = n + (units > n);
    }
    if (from->deleted)
        return STATUS_KEY_DELETED;
    while (at < units) {
        size_t end = at;
        while (end < units && path[end] != '\\')
            end++;
        if (end == at)
            return STATUS_OBJECT_NAME_INVALID;
        struct registry_key *next = child(from, path + at, end - at);
        if (next == NULL && !make)
            return end < units ? STATUS_OBJECT_PATH_NOT_FOUND : STATUS_OBJECT_NAME_NOT_FOUND;
        if (next == NULL) {
            next = add(io, from, path + at, end - at);
            if (next == NULL)
                return STATUS_INSUFFICIENT_RESOURCES;
            if (made != NULL)
                *made = true;
        }
        from = next;
        at = end + (end < units);
    }
    *out = from;
    return STATUS_SUCCESS;
}

NTSTATUS registry_find(struct io_room *io, struct registry_key *from, const WCHAR *path, size_t units,
                       struct registry_key **out)
{
    NTSTATUS status = walk(io, from, path, units, false, out, NULL);

    return status == STATUS_OBJECT_PATH_NOT_FOUND ? STATUS_OBJECT_NAME_NOT_FOUND : status;
}

NTSTATUS registry_make(struct io_room *io, struct registry_key *from, const WCHAR *path, size_t units,
                       struct registry_key **out, bool *made)
{
    return walk(io, from, path, units, true, out, made);
}

struct registry_value *registry_value(struct registry_key *key, const WCHAR *name, size_t units)
{
    for (struct registry_value *v = key->values; v != NULL; v = v->next)
        if (same(v->name, v->units, name, units))
            return v;
    return NULL;
}

NTSTATUS registry_set(struct io_room *io, struct registry_key *key, const WCHAR *name, size_t units,
                      ULONG type, const void *data, size_t size)
{
    if (key->deleted)
        return STATUS_KEY_DELETED;
    unsigned char *bytes = malloc(size == 0 ? 1 : size);
    if (bytes == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    if (size > 0)
        memcpy(bytes, data, size);
    struct registry_value *v = registry_value(key, name, units), **at;
    if (v == NULL) {
        v = calloc(1, sizeof *v);
        if (v == NULL || (v->name = copy(name, units)) == NULL) {
            free(v);
            free(bytes);
            return STATUS_INSUFFICIENT_RESOURCES;
        }
        v->units = units;
        for (at = &key->values; *at != NULL; at = &(*at)->next)
            ;
        *at = v;
    }
    free(v->data);
    v->data = bytes;
    v->type = type;
    v->size = (ULONG)size;
    key->written = rt_clock_filetime(io->k->clock);
    return STATUS_SUCCESS;
}

static void free_value(struct registry_value *v)
{
    free(v->name);
    free(v->data);
    free(v);
}

bool registry_unset(struct registry_key *key, const WCHAR *name, size_t units)
{
    for (struct registry_value **at = &key->values; *at != NULL; at = &(*at)->next) {
        struct registry_value *v = *at;
        if (same(v->name, v->units, name, units)) {
            *at = v->next;
            free_value(v);
            return true;
        }
    }
    return false;
}

static void free_key(struct registry_key *key)
{
    while (key->values != NULL) {
        struct registry_value *v = key->values;
        key->values = v->next;
        free_value(v);
    }
    free(key->name);
    free(key);
}

NTSTATUS registry_delete(struct registry_key *key)
{
    if (key->deleted)
        return STATUS_KEY_DELETED;
    if (key->children != NULL || key->parent == NULL)
        return STATUS_CANNOT_DELETE;
    for (struct registry_key **at = &key->parent->children; *at != NULL; at = &(*at)->next) {
        if (*at == key) {
            *at = key->next;
            break;
        }
    }
    key->deleted = true;
    key->parent = NULL;
    if (key->references == 0)
        free_key(key);
    return STATUS_SUCCESS;
}

/* Deepest first, without recursion. */
void registry_destroy(struct registry_key *root)
{
    while (root != NULL) {
        struct registry_key *key = root;
        while (key->children != NULL)
            key = key->children;
        if (key == root)
            root = NULL;
        else
            key->parent->children = key->next;
        free_key(key);
    }
}

WCHAR *registry_path(const struct registry_key *key, size_t *units)
{
    size_t length = 0;

    for (const struct registry_key *k = key; k != NULL; k = k->parent)
        length += 1 + k->units;
    WCHAR *path = malloc((length + 1) * sizeof *path);
    if (path == NULL)
        return NULL;
    *units = length;
    path[length] = 0;
    for (const struct registry_key *k = key; k != NULL; k = k->parent) {
        length -= k->units;
        memcpy(path + length, k->name, k->units * sizeof *path);
        path[--length] = '\\';
    }
    return path;
}

/* ---- open keys
 * ------------------------------------------------------------------------------------------------ */
static void key_gone(void *object)
{
    struct io_key *open = object;

    rt_mutex_lock(open->io->lock);
    if (--open->key->references == 0 && open->key->deleted)
        free_key(open->key);
    rt_mutex_unlock(open->io->lock);
}

struct _OBJECT_TYPE ob_type_key = {.name = "Key", .gone = key_gone};

NTSTATUS registry_open(struct io_room *io, struct registry_key *key, struct io_key **out)
{
    struct io_key *open = ob_create(&ob_type_key, sizeof *open);

    if (open == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    open->io = io;
    open->key = key;
    key->references++;
    *out = open;
    return STATUS_SUCCESS;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A token described in JSON, as `weir explain --token` takes it (doc/json.md, "Tokens"). Every SID may be
 * written as S-1-..., as an SDDL alias or by name. The first thing wrong is told in one line, with the JSON's
 * line and column where it is the JSON that is wrong, and no token is made.
 */
#include "security/internal.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_LIST 4096

struct sid_slot {
    uint8_t bytes[SECURITY_MAX_SID_SIZE] __attribute__((aligned(4)));
};
struct sid_array {
    struct sid_slot *slots;
    SID_AND_ATTRIBUTES *items;
    size_t count;
};
struct reader {
    char **error;
    int status;
};

static bool wrong(struct reader *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool wrong(struct reader *r, const char *format, ...)
{
    if (r->status != 0) {
        return false;
    }
    r->status = -EINVAL;
    if (r->error != NULL) {
        va_list args;
        va_start(args, format);
        if (vasprintf(r->error, format, args) < 0) {
            *r->error = NULL;
        }
        va_end(args);
    }
    return false;
}

static bool no_memory(struct reader *r)
{
    r->status = -ENOMEM;
    return false;
}

static bool read_sid(struct reader *r, const char *what, json_t *value, struct sid_slot *out)
{
    if (!json_is_string(value)) {
        return wrong(r, "token: %s: expected a SID or a name as a string", what);
    }
    if (security_sid_resolve(json_string_value(value), (SID *)out->bytes, sizeof(out->bytes)) != 0) {
        return wrong(r, "token: %s: no SID and no known name: \"%s\"", what, json_string_value(value));
    }
    return true;
}

/* An element is a SID, or {"sid": ..., "enabled": bool, "deny_only": bool}. */
static bool read_group(struct reader *r, const char *what, json_t *value, struct sid_slot *slot,
                       SID_AND_ATTRIBUTES *out)
{
    bool enabled = true, deny_only = false;
    if (json_is_object(value)) {
        const char *key;
        json_t *member;
        json_object_foreach(value, key, member)
        {
            if (strcmp(key, "sid") == 0) {
                continue;
            }
            bool is_enabled = strcmp(key, "enabled") == 0;
            if (!is_enabled && strcmp(key, "deny_only") != 0) {
                return wrong(r, "token: %s: unknown member \"%s\"", what, key);
            }
            if (!json_is_boolean(member)) {
                return wrong(r, "token: %s: %s: expected true or false", what, key);
            }
            *(is_enabled ? &enabled : &deny_only) = json_is_true(member);
        }
        value = json_object_get(value, "sid");
    }
    if (!read_sid(r, what, value, slot)) {
        return false;
    }
    out->Sid = slot->bytes;
    out->Attributes = deny_only ? SE_GROUP_USE_FOR_DENY_ONLY
                      : enabled ? SE_GROUP_MANDATORY | SE_GROUP_ENABLED
                                : 0;
    return true;
}

static bool read_sids(struct reader *r, const char *what, json_t *list, struct sid_array *out)
{
    if (list == NULL) {
        return true;
    }
    size_t count = json_array_size(list);
    if (!json_is_array(list) || count > MAX_LIST) {
        return wrong(r, "token: %s: expected a list of at most %d", what, MAX_LIST);
    }
    out->slots = calloc(count + 1, sizeof(*out->slots));
    out->items = calloc(count + 1, sizeof(*out->items));
    if (out->slots == NULL || out->items == NULL) {
        return no_memory(r);
    }
    for (; out->count < count; out->count++) {
        if (!read_group(r, what, json_array_get(list, out->count), &out->slots[out->count],
                        &out->items[out->count])) {
            return false;
        }
    }
    return true;
}

static void free_sids(struct sid_array *a)
{
    free(a->slots);
    free(a->items);
}

struct attribute_array {
    struct security_attribute *items;
    size_t count;
};

static void free_attributes(struct attribute_array *a)
{
    for (size_t i = 0; i < a->count; i++) {
        free((void *)a->items[i].values);
        free((void *)a->items[i].integers);
    }
    free(a->items);
}

/* One value or a list; all strings, or all integers (true and false are 1 and 0). */
static bool read_values(struct reader *r, const char *name, json_t *value, struct security_attribute *out)
{
    size_t count = json_is_array(value) ? json_array_size(value) : 1;
    if (count > MAX_LIST) {
        return wrong(r, "token: attribute %s: more than %d values", name, MAX_LIST);
    }
    const char **strings = calloc(count + 1, sizeof(*strings));
    int64_t *integers = calloc(count + 1, sizeof(*integers));
    out->values = strings;
    out->integers = integers;
    if (strings == NULL || integers == NULL) {
        return no_memory(r);
    }
    for (size_t i = 0; i < count; i++) {
        json_t *one = json_is_array(value) ? json_array_get(value, i) : value;
        if (json_is_string(one) && out->integer_count == 0) {
            strings[out->value_count++] = json_string_value(one);
        } else if ((json_is_integer(one) || json_is_boolean(one)) && out->value_count == 0) {
            integers[out->integer_count++] =
                json_is_integer(one) ? json_integer_value(one) : json_is_true(one);
        } else {
            return wrong(r, "token: attribute %s: expected strings, or integers, not both", name);
        }
    }
    return true;
}

static bool read_attributes(struct reader *r, json_t *object, struct attribute_array *out)
{
    const char *name;
    json_t *value;
    if (object == NULL) {
        return true;
    }
    if (!json_is_object(object) || json_object_size(object) > MAX_LIST) {
        return wrong(r, "token: attributes: expected an object of at most %d names", MAX_LIST);
    }
    out->items = calloc(json_object_size(object) + 1, sizeof(*out->items));
    if (out->items == NULL) {
        return no_memory(r);
    }
    json_object_foreach(object, name, value)
    {
        if (*name == '\0') {
            return wrong(r, "token: attributes: a name is empty");
        }
        out->items[out->count].name = name;
        if (!read_values(r, name, value, &out->items[out->count++])) {
            return false;
        }
    }
    return true;
}

static bool known_members(struct reader *r, json_t *root)
{
    static const char *const known[] = {"user",         "groups",           "services",
                                        "restricted",   "write_restricted", "package",
                                        "capabilities", "attributes"};
    const char *key;
    json_t *value;
    json_object_foreach(root, key, value)
    {
        bool found = false;
        for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
            found |= strcmp(key, known[i]) == 0;
        }
        if (!found) {
            return wrong(r, "token: unknown member \"%s\"", key);
        }
    }
    return true;
}

/* Names without "NT SERVICE\\" too, since a service's name is any name. */
static bool read_services(struct reader *r, json_t *list, struct sid_array *out)
{
    if (list == NULL) {
        return true;
    }
    size_t count = json_array_size(list);
    if (!json_is_array(list) || count > MAX_LIST) {
        return wrong(r, "token: services: expected a list of at most %d names", MAX_LIST);
    }
    out->slots = calloc(count + 1, sizeof(*out->slots));
    out->items = calloc(count + 1, sizeof(*out->items));
    if (out->slots == NULL || out->items == NULL) {
        return no_memory(r);
    }
    for (; out->count < count; out->count++) {
        const char *name = json_string_value(json_array_get(list, out->count));
        SID *sid = (SID *)out->slots[out->count].bytes;
        if (name == NULL || *name == '\0') {
            return wrong(r, "token: services: expected a name as a string");
        }
        if (security_sid_parse(name, sid, SECURITY_MAX_SID_SIZE) != 0) {
            const char *bare = strrchr(name, '\\');
            if (security_service_sid(bare != NULL ? bare + 1 : name, sid, SECURITY_MAX_SID_SIZE) != 0) {
                return wrong(r, "token: services: no name of a service: \"%s\"", name);
            }
        }
        out->items[out->count].Sid = sid;
    }
    return true;
}

static void build(struct reader *r, json_t *root, struct security_token **out)
{
    struct sid_slot user, package;
    struct sid_array groups = {0}, services = {0}, restricted = {0}, capabilities = {0};
    struct attribute_array attributes = {0};
    struct sec_groups given = {0};
    json_t *json_package = json_object_get(root, "package"),
           *flag = json_object_get(root, "write_restricted");
    json_t *json_groups = json_object_get(root, "groups");
    if (!json_is_object(root)) {
        wrong(r, "token: expected an object");
        return;
    }
    if (!known_members(r, root) || !read_sid(r, "user", json_object_get(root, "user"), &user) ||
        !read_sids(r, "groups", json_groups, &groups) ||
        !read_services(r, json_object_get(root, "services"), &services) ||
        !read_sids(r, "restricted", json_object_get(root, "restricted"), &restricted) ||
        !read_sids(r, "capabilities", json_object_get(root, "capabilities"), &capabilities) ||
        !read_attributes(r, json_object_get(root, "attributes"), &attributes)) {
        goto out;
    }
    if (json_package != NULL && !read_sid(r, "package", json_package, &package)) {
        goto out;
    }
    if (flag != NULL && !json_is_boolean(flag)) {
        wrong(r, "token: write_restricted: expected true or false");
        goto out;
    }
    if (json_package == NULL && capabilities.count != 0) {
        wrong(r, "token: capabilities without a package");
        goto out;
    }
    if (sec_groups_init(&given, groups.count + services.count) != 0) {
        no_memory(r);
        goto out;
    }
    if (json_groups == NULL) {
        sec_groups_of(&given, (const SID *)user.bytes, services.count != 0);
    }
    for (size_t i = 0; i < groups.count; i++) {
        given.items[given.count++] = groups.items[i];
    }
    for (size_t i = 0; i < services.count; i++) {
        sec_groups_add(&given, services.items[i].Sid);
    }
    struct security_token_spec spec = {.user = (const SID *)user.bytes,
                                       .groups = given.items,
                                       .group_count = given.count,
                                       .restricted = restricted.items,
                                       .restricted_count = restricted.count,
                                       .write_restricted = json_is_true(flag),
                                       .package = json_package != NULL ? (const SID *)package.bytes : NULL,
                                       .capabilities = capabilities.items,
                                       .capability_count = capabilities.count,
                                       .attributes = attributes.items,
                                       .attribute_count = attributes.count};
    int status = security_token_create(&spec, out);
    if (status == -ENOMEM) {
        no_memory(r);
    } else if (status != 0) {
        wrong(r, "token: too large, or a text too long");
    }
out:
    sec_groups_free(&given);
    free_attributes(&attributes);
    free_sids(&capabilities);
    free_sids(&restricted);
    free_sids(&services);
    free_sids(&groups);
}

int security_token_from_json(const char *text, size_t size, struct security_token **out, char **error)
{
    struct reader r = {.error = error};
    json_error_t at;
    *out = NULL;
    if (error != NULL) {
        *error = NULL;
    }
    json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &at);
    if (root == NULL) {
        wrong(&r, "token: line %d, column %d: %s", at.line, at.column, at.text);
        return r.status;
    }
    build(&r, root, out);
    json_decref(root);
    return r.status;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing values: as value.c reads them, and for people. Names come from the tables of constants; a bit
 * without a name is written as its number, so nothing is ever left out.
 */
#include "explain/value.h"

#include "explain/state.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- numbers --------------------------------------------------------------------------------- */

static UINT64 number_of(const FWP_VALUE0 *v)
{
    switch (v->type) {
    case FWP_UINT8:
        return v->uint8;
    case FWP_UINT16:
        return v->uint16;
    case FWP_UINT32:
        return v->uint32;
    case FWP_UINT64:
        return v->uint64 != NULL ? *v->uint64 : 0;
    default:
        return 0;
    }
}

static const char *flags_text(struct explain_arena *a, const struct explain_field *e, UINT64 n)
{
    struct explain_text t = {0};
    const char *out;
    UINT64 rest = n;

    for (unsigned bit = 0; bit < 32; bit++) {
        const char *name = n >> bit & 1 ? engine_constant_name(e->flags_group, UINT64_C(1) << bit) : NULL;
        size_t prefix = strlen(e->flags_prefix);

        if (name == NULL)
            continue;
        explain_addf(&t, "%s%s", t.size != 0 ? "|" : "",
                     strncmp(name, e->flags_prefix, prefix) == 0 ? name + prefix : name);
        rest &= ~(UINT64_C(1) << bit);
    }
    if (rest != 0 || n == 0)
        explain_addf(&t, n == 0 ? "%s%llu" : "%s0x%llx", t.size != 0 ? "|" : "", (unsigned long long)rest);
    out = t.data != NULL ? explain_strdup(a, t.data) : NULL;
    explain_text_free(&t);
    return out;
}

static const char *protocol_name(UINT64 n)
{
    static const struct {
        UINT8 number;
        const char *name;
    } names[] = {{1, "ICMP"}, {2, "IGMP"}, {6, "TCP"}, {17, "UDP"},    {41, "IPv6"},
                 {47, "GRE"}, {50, "ESP"}, {51, "AH"}, {58, "ICMPv6"}, {132, "SCTP"}};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (names[i].number == n)
            return names[i].name;
    }
    return NULL;
}

/* A name for the number, where its field has names; else NULL. */
static const char *number_name(struct explain_arena *a, const struct engine_field *field, UINT64 n)
{
    static const char *const profiles[] = {"none", "public", "private", "domain"};
    static const char *const types[] = {"unspecified", "unicast", "anycast", "multicast", "broadcast"};
    const struct explain_field *e = explain_field_of(field);
    const char *name;

    switch (e->notation) {
    case WRITES_PROTOCOL:
        return protocol_name(n);
    case WRITES_DIRECTION:
        return n == FWP_DIRECTION_OUTBOUND ? "outbound" : n == FWP_DIRECTION_INBOUND ? "inbound" : NULL;
    case WRITES_PROFILE:
        return n < 4 ? profiles[n] : NULL;
    case WRITES_ADDRESS_TYPE:
        return n < 5 ? types[n] : NULL;
    case WRITES_FLAGS:
        return n == 0 ? "none" : flags_text(a, e, n);
    case WRITES_IF_TYPE:
        return n == 6     ? "Ethernet"
               : n == 24  ? "loopback"
               : n == 71  ? "Wi-Fi"
               : n == 131 ? "tunnel"
               : n == 23  ? "PPP"
                          : NULL;
    case WRITES_TUNNEL_TYPE:
        name = engine_constant_name("TUNNEL_TYPE", n);
        return n == 0 ? "no tunnel" : name;
    default:
        return NULL;
    }
}

const char *explain_v4_text(struct explain_arena *a, UINT32 n)
{
    return explain_printf(a, "%u.%u.%u.%u", n >> 24, n >> 16 & 255, n >> 8 & 255, n & 255);
}

const char *explain_v6_text(struct explain_arena *a, const UINT8 address[16])
{
    char text[INET6_ADDRSTRLEN];

    return explain_strdup(a, inet_ntop(AF_INET6, address, text, sizeof text) != NULL ? text : "?");
}

const char *explain_number_text(struct explain_arena *a, const struct engine_field *field, UINT64 n)
{
    const char *name;

    if (field->type == FWPM_FIELD_IP_ADDRESS)
        return explain_v4_text(a, (UINT32)n);
    name = number_name(a, field, n);
    return name != NULL ? explain_printf(a, "%s (%llu)", name, (unsigned long long)n)
                        : explain_printf(a, "%llu", (unsigned long long)n);
}

/* ---- blobs, SIDs, arrays --------------------------------------------------------------------- */

/* Zero-terminated UTF-16 without control characters? */
static bool is_text(const FWP_BYTE_BLOB *b)
{
    if (b->size < 4 || b->size % 2 != 0 || b->data[b->size - 1] != 0 || b->data[b->size - 2] != 0)
        return false;
    for (UINT32 i = 0; i + 2 < b->size; i += 2) {
        unsigned c = b->data[i] | (unsigned)b->data[i + 1] << 8;

        if (c < 0x20 || (c >= 0xd800 && c < 0xe000) || c == 0x7f)
            return false;
    }
    return true;
}

static const char *hex_text(struct explain_arena *a, const UINT8 *data, size_t size)
{
    char *out = explain_alloc(a, 5 + size * 2);

    if (out == NULL)
        return NULL;
    memcpy(out, "hex:", 4);
    for (size_t i = 0; i < size; i++)
        snprintf(out + 4 + i * 2, 3, "%02x", data[i]);
    return out;
}

/* Would value.c make the same bytes of this text? An app id is folded to lower case when it is read. */
static bool reads_back(struct explain_arena *a, const struct engine_field *field, const char *text,
                       const FWP_BYTE_BLOB *b)
{
    struct explain_value v;
    const char *error;

    return strncmp(text, "hex:", 4) != 0 && explain_value_parse(a, field, text, &v, &error) == 0 &&
           v.value.type == FWP_BYTE_BLOB_TYPE && v.value.byteBlob->size == b->size &&
           memcmp(v.value.byteBlob->data, b->data, b->size) == 0;
}

const char *explain_blob_text(struct explain_arena *a, const struct engine_field *field,
                              const FWP_BYTE_BLOB *b)
{
    const char *text = NULL;

    if (is_text(b)) {
        WCHAR *copy = explain_copy(a, b->data, b->size); /* aligned */

        text = copy != NULL ? explain_utf8_n(a, copy, b->size / 2 - 1) : NULL;
    }
    if (text != NULL && (field == NULL || reads_back(a, field, text, b)))
        return text;
    return hex_text(a, b->data, b->size);
}

const char *explain_sid_text(struct explain_arena *a, const SID *sid)
{
    char text[192];

    return security_sid_format(sid, text, sizeof text) < 0 ? "?" : explain_strdup(a, text);
}

const char *explain_sid_words(struct explain_arena *a, const SID *sid)
{
    const char *name = security_sid_name(sid);

    return name != NULL ? name : explain_sid_text(a, sid);
}

static const char *array_text(struct explain_arena *a, const struct engine_field *field, const FWP_VALUE0 *v)
{
    char text[ENGINE_GUID_TEXT];
    GUID guid;

    if (v->type == FWP_BYTE_ARRAY6_TYPE) {
        const UINT8 *m = v->byteArray6->byteArray6;

        return explain_printf(a, "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5]);
    }
    if (field->type == FWPM_FIELD_IP_ADDRESS)
        return explain_v6_text(a, v->byteArray16->byteArray16);
    memcpy(&guid, v->byteArray16->byteArray16, sizeof guid);
    return explain_strdup(a, engine_guid_format(&guid, text));
}

/* ---- whole values ---------------------------------------------------------------------------- */

const char *explain_value_text(struct explain_arena *a, const struct engine_field *field,
                               const struct explain_value *v)
{
    const FWP_VALUE0 *value = &v->value;
    UINT64 max;

    if (value->type == FWP_EMPTY)
        return "empty";
    if (explain_is_number(value->type, &max)) {
        const struct explain_field *e = explain_field_of(field);
        UINT64 n = number_of(value);

        if (field->type == FWPM_FIELD_IP_ADDRESS)
            return explain_v4_text(a, (UINT32)n);
        return e->notation == WRITES_FLAGS ? flags_text(a, e, n)
                                           : explain_printf(a, "%llu", (unsigned long long)n);
    }
    switch (value->type) {
    case FWP_BYTE_BLOB_TYPE:
        return explain_blob_text(a, field, value->byteBlob);
    case FWP_SID:
        return explain_sid_text(a, value->sid);
    case FWP_BYTE_ARRAY6_TYPE:
    case FWP_BYTE_ARRAY16_TYPE:
        return array_text(a, field, value);
    case FWP_TOKEN_ACCESS_INFORMATION_TYPE:
    case FWP_TOKEN_INFORMATION_TYPE:
        if (v->token == NULL)
            return "?";
        if (v->token[0] == '"') /* an account's plain token: its SID */
            return explain_strndup(a, v->token + 1, strlen(v->token) - 2);
        return v->token;
    default:
        return "?";
    }
}

json_t *explain_value_to_json(struct explain_arena *a, const struct engine_field *field,
                              const struct explain_value *v)
{
    const char *text;
    UINT64 max;

    if (v->value.type == FWP_EMPTY)
        return json_null();
    if (explain_is_number(v->value.type, &max) && field->type != FWPM_FIELD_IP_ADDRESS &&
        number_of(&v->value) <= INT64_MAX)
        return json_integer((json_int_t)number_of(&v->value));
    if (v->token != NULL)
        return json_loads(v->token, JSON_DECODE_ANY, NULL);
    text = explain_value_text(a, field, v);
    return text != NULL ? json_string(text) : NULL;
}

static const char *base_name(const char *path)
{
    const char *last = strrchr(path, '\\');

    return last != NULL && last[1] != '\0' ? last + 1 : path;
}

const char *explain_value_words(struct explain_arena *a, const struct engine_field *field,
                                const struct explain_value *v)
{
    const FWP_VALUE0 *value = &v->value;
    UINT64 max;
    const char *text;

    if (value->type == FWP_EMPTY)
        return "not present";
    if (v->label != NULL)
        return v->label;
    if (explain_is_number(value->type, &max))
        return explain_number_text(a, field, number_of(value));
    if (value->type == FWP_SID)
        return explain_sid_words(a, value->sid);
    text = explain_value_text(a, field, v);
    if (text != NULL && value->type == FWP_BYTE_BLOB_TYPE && explain_field_of(field)->notation == WRITES_APP)
        return base_name(text);
    return text;
}

/* ---- tokens ---------------------------------------------------------------------------------- */

static json_t *sid_json(const SID *sid)
{
    char text[192];

    return security_sid_format(sid, text, sizeof text) < 0 ? NULL : json_string(text);
}

static int sids_json(json_t *object, const char *key, const SID_AND_ATTRIBUTES *items, size_t count)
{
    json_t *list = json_array();
    int err = 0;

    for (size_t i = 0; i < count && err == 0; i++)
        err = json_array_append_new(list, sid_json(items[i].Sid));
    return json_object_set_new(object, key, list) != 0 || err != 0 ? -ENOMEM : 0;
}

static int attributes_json(json_t *object, const struct security_token_spec *spec)
{
    json_t *all = json_object();
    int err = 0;

    for (size_t i = 0; i < spec->attribute_count; i++) {
        const struct security_attribute *one = &spec->attributes[i];
        json_t *list = json_array();

        for (size_t k = 0; k < one->value_count; k++)
            err |= json_array_append_new(list, json_string(one->values[k]));
        for (size_t k = 0; one->value_count == 0 && k < one->integer_count; k++)
            err |= json_array_append_new(list, json_integer(one->integers[k]));
        err |= json_object_set_new(all, one->name, list);
    }
    return json_object_set_new(object, "attributes", all) != 0 || err != 0 ? -ENOMEM : 0;
}

/* All groups are written out, so that the text says what the token is without knowing what accounts usually
 * have. */
static char *token_json(const struct security_token_spec *spec)
{
    json_t *o = json_object();
    char *text = NULL;
    int err = json_object_set_new(o, "user", sid_json(spec->user));

    err |= sids_json(o, "groups", spec->groups, spec->group_count);
    if (spec->restricted_count != 0)
        err |= sids_json(o, "restricted", spec->restricted, spec->restricted_count);
    if (spec->write_restricted)
        err |= json_object_set_new(o, "write_restricted", json_true());
    if (spec->package != NULL)
        err |= json_object_set_new(o, "package", sid_json(spec->package));
    if (spec->capability_count != 0)
        err |= sids_json(o, "capabilities", spec->capabilities, spec->capability_count);
    if (spec->attribute_count != 0)
        err |= attributes_json(o, spec);
    if (err == 0)
        text = json_dumps(o, JSON_COMPACT);
    json_decref(o);
    return text;
}

static void destroy_token(void *t)
{
    security_token_destroy(t);
}

int explain_value_token(struct explain_arena *a, const struct security_token_spec *spec, const char *label,
                        struct explain_value *out)
{
    struct security_token *t;
    char *text;
    int err = security_token_create(spec, &t);

    if (err != 0)
        return err;
    if (!explain_defer(a, destroy_token, t))
        return -ENOMEM;
    text = token_json(spec);
    if (text == NULL)
        return -ENOMEM;
    out->value.type = FWP_TOKEN_ACCESS_INFORMATION_TYPE;
    out->value.tokenAccessInformation = (FWP_BYTE_BLOB *)security_token_blob(t);
    out->label = label != NULL ? explain_strdup(a, label) : NULL;
    out->token = explain_strdup(a, text);
    free(text);
    return a->failed ? -ENOMEM : 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading values. What a text can be follows from the field's data type and, for numbers, from what the field
 * means; each reader says in its error what it would have taken.
 */
#include "explain/value.h"

#include "explain/state.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct word {
    const char *word;
    UINT64 value;
};

static const struct word protocols[] = {
    {"hopopt", 0}, {"icmp", 1}, {"igmp", 2}, {"tcp", 6},     {"udp", 17},   {"ipv6", 41},  {"rsvp", 46},
    {"gre", 47},   {"esp", 50}, {"ah", 51},  {"icmpv6", 58}, {"icmp6", 58}, {"sctp", 132}, {NULL, 0}};
static const struct word directions[] = {{"out", 0}, {"outbound", 0}, {"in", 1}, {"inbound", 1}, {NULL, 0}};
static const struct word profiles[] = {{"none", 0}, {"public", 1}, {"private", 2}, {"domain", 3}, {NULL, 0}};
static const struct word address_types[] = {{"unspecified", 0}, {"unicast", 1},   {"anycast", 2},
                                            {"multicast", 3},   {"broadcast", 4}, {NULL, 0}};
static const struct word if_types[] = {{"other", 1},     {"ethernet", 6}, {"ppp", 23}, {"loopback", 24},
                                       {"wireless", 71}, {"tunnel", 131}, {NULL, 0}};

static const struct word *words_of(enum explain_notation n)
{
    switch (n) {
    case WRITES_PROTOCOL:
        return protocols;
    case WRITES_DIRECTION:
        return directions;
    case WRITES_PROFILE:
        return profiles;
    case WRITES_ADDRESS_TYPE:
        return address_types;
    case WRITES_IF_TYPE:
        return if_types;
    default:
        return NULL;
    }
}

bool explain_is_number(FWP_DATA_TYPE t, UINT64 *max)
{
    switch (t) {
    case FWP_UINT8:
        *max = UINT8_MAX;
        return true;
    case FWP_UINT16:
        *max = UINT16_MAX;
        return true;
    case FWP_UINT32:
        *max = UINT32_MAX;
        return true;
    case FWP_UINT64:
        *max = UINT64_MAX;
        return true;
    default:
        return false;
    }
}

bool explain_parse_number(const char *text, UINT64 max, UINT64 *out)
{
    char *end;

    if (!isdigit((unsigned char)text[0]))
        return false;
    errno = 0;
    *out = strtoull(text, &end, text[0] == '0' && (text[1] == 'x' || text[1] == 'X') ? 16 : 10);
    return errno == 0 && *end == '\0' && *out <= max;
}

bool explain_parse_protocol(const char *text, UINT8 *out)
{
    UINT64 n;

    for (const struct word *w = protocols; w->word != NULL; w++) {
        if (strcasecmp(w->word, text) == 0) {
            *out = (UINT8)w->value;
            return true;
        }
    }
    if (!explain_parse_number(text, UINT8_MAX, &n))
        return false;
    *out = (UINT8)n;
    return true;
}

static bool parse_flag(const struct explain_field *e, const char *name, UINT64 *out)
{
    char full[128];

    if (explain_parse_number(name, UINT32_MAX, out))
        return true;
    for (unsigned form = 0; form < 3; form++) {
        static const char *const between[] = {"", "IS_", NULL};
        size_t n = 0;

        if (between[form] != NULL)
            n = (size_t)snprintf(full, sizeof full, "%s%s%s", e->flags_prefix, between[form], name);
        else
            n = (size_t)snprintf(full, sizeof full, "%s", name);
        if (n >= sizeof full)
            return false;
        for (char *c = full; *c != '\0'; c++)
            *c = (char)toupper((unsigned char)*c);
        if (strncmp(full, "FWP_CONDITION_", 14) == 0 && engine_constant_value(full, out))
            return true;
    }
    return false;
}

static bool parse_flags(const struct explain_field *e, const char *text, UINT64 max, UINT64 *out)
{
    char name[128];

    *out = 0;
    for (;;) {
        size_t n = strcspn(text, "|+,");
        size_t from = 0;
        UINT64 bit;

        while (from < n && text[from] == ' ')
            from++;
        if (n - from >= sizeof name || n == from)
            return false;
        memcpy(name, text + from, n - from);
        name[n - from] = '\0';
        for (size_t i = n - from; i > 0 && name[i - 1] == ' '; i--)
            name[i - 1] = '\0';
        if (!parse_flag(e, name, &bit) || bit > max)
            return false;
        *out |= bit;
        if (text[n] == '\0')
            return true;
        text += n + 1;
    }
}

static bool set_number(struct explain_arena *a, FWP_DATA_TYPE t, UINT64 n, FWP_VALUE0 *out)
{
    out->type = t;
    switch (t) {
    case FWP_UINT8:
        out->uint8 = (UINT8)n;
        return true;
    case FWP_UINT16:
        out->uint16 = (UINT16)n;
        return true;
    case FWP_UINT32:
        out->uint32 = (UINT32)n;
        return true;
    default:
        out->uint64 = explain_copy(a, &n, sizeof n);
        return out->uint64 != NULL;
    }
}

static int parse_number(struct explain_arena *a, const struct engine_field *field, const char *text,
                        UINT64 max, struct explain_value *out, const char **error)
{
    const struct explain_field *e = explain_field_of(field);
    const struct word *words = words_of(e->notation);
    UINT64 n;
    bool ok = explain_parse_number(text, max, &n);

    for (const struct word *w = words; !ok && w != NULL && w->word != NULL; w++) {
        ok = strcasecmp(w->word, text) == 0;
        n = w->value;
    }
    if (!ok && e->notation == WRITES_FLAGS)
        ok = parse_flags(e, text, max, &n);
    if (!ok && words == NULL && e->notation != WRITES_FLAGS)
        ok = engine_constant_value(text, &n) && n <= max;
    if (ok)
        return set_number(a, field->data_type, n, &out->value) ? 0 : -ENOMEM;
    if (words != NULL) {
        struct explain_text list = {0};

        for (const struct word *w = words; w->word != NULL; w++)
            explain_addf(&list, "%s%s", list.size != 0 ? ", " : "", w->word);
        *error = explain_printf(a, "expected %s or a number up to %llu, found '%s'", list.data,
                                (unsigned long long)max, text);
        explain_text_free(&list);
    } else if (e->notation == WRITES_FLAGS) {
        *error = explain_printf(a, "expected a number or names such as %s joined by '|', found '%s'",
                                e->flags_prefix, text);
    } else {
        *error = explain_printf(a, "expected a number up to %llu, found '%s'", (unsigned long long)max, text);
    }
    return -EINVAL;
}

bool explain_parse_address(const char *text, size_t size, char *family, FWP_VALUE0 *out,
                           struct explain_arena *a)
{
    char copy[INET6_ADDRSTRLEN + 1];
    UINT8 bytes[16];

    if (size >= sizeof copy)
        return false;
    memcpy(copy, text, size);
    copy[size] = '\0';
    if (inet_pton(AF_INET, copy, bytes) == 1) {
        *family = '4';
        out->type = FWP_UINT32;
        out->uint32 = (UINT32)bytes[0] << 24 | (UINT32)bytes[1] << 16 | (UINT32)bytes[2] << 8 | bytes[3];
        return true;
    }
    if (inet_pton(AF_INET6, copy, bytes) != 1)
        return false;
    *family = '6';
    out->type = FWP_BYTE_ARRAY16_TYPE;
    out->byteArray16 = explain_copy(a, bytes, sizeof bytes);
    return out->byteArray16 != NULL;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Pairs of digits, with ':' or '-' between them or not. */
static bool parse_hex(const char *text, UINT8 *out, size_t room, size_t *size)
{
    *size = 0;
    while (*text != '\0') {
        int high = hex_digit(text[0]), low = high < 0 ? -1 : hex_digit(text[1]);

        if (low < 0 || *size == room)
            return false;
        out[(*size)++] = (UINT8)(high << 4 | low);
        text += 2;
        if ((*text == ':' || *text == '-') && text[1] != '\0')
            text++;
    }
    return true;
}

static int parse_blob(struct explain_arena *a, const struct engine_field *field, const char *text,
                      struct explain_value *out, const char **error)
{
    FWP_BYTE_BLOB *blob = explain_alloc(a, sizeof *blob);

    if (blob == NULL)
        return -ENOMEM;
    out->value.type = FWP_BYTE_BLOB_TYPE;
    out->value.byteBlob = blob;
    if (strncasecmp(text, "hex:", 4) == 0) {
        size_t room = strlen(text) / 2, size;

        blob->data = explain_alloc(a, room + 1);
        if (blob->data == NULL)
            return -ENOMEM;
        if (!parse_hex(text + 4, blob->data, room, &size)) {
            *error =
                explain_printf(a, "expected pairs of hexadecimal digits after hex:, found '%s'", text + 4);
            return -EINVAL;
        }
        blob->size = (UINT32)size;
        return 0;
    }
    if (explain_field_of(field)->notation == WRITES_APP) {
        const char *note;
        int err = explain_app_resolve(NULL, a, text, &blob, &note, error);

        out->value.byteBlob = blob;
        if (err == -EINVAL && *error == NULL)
            *error = "expected a program's path in UTF-8";
        return err;
    } else {
        size_t units;
        WCHAR *wide = explain_utf16(a, text, &units);

        if (wide == NULL) {
            *error = "expected text in UTF-8";
            return a->failed ? -ENOMEM : -EINVAL;
        }
        blob->data = (UINT8 *)wide;
        blob->size = (UINT32)((units + 1) * sizeof(WCHAR));
        return 0;
    }
}

static int parse_sid(struct explain_arena *a, const char *text, SID **out, const char **error)
{
    *out = explain_alloc(a, SECURITY_MAX_SID_SIZE);
    if (*out == NULL)
        return -ENOMEM;
    if (security_sid_resolve(text, *out, SECURITY_MAX_SID_SIZE) == 0)
        return 0;
    *error = explain_printf(
        a, "expected a SID (S-1-...) or the name of a well-known account or service, found '%s'", text);
    return -EINVAL;
}

static void destroy_token(void *t)
{
    security_token_destroy(t);
}

/* An account's ordinary token; a service's SID means a process that hosts it, a package's an AppContainer of
 * it. The JSON text is the SID as a string. */
static int token_of_sid(const SID *sid, struct security_token **out)
{
    _Alignas(4) uint8_t account[SECURITY_MAX_SID_SIZE];

    switch (security_sid_kind(sid)) {
    case SECURITY_SID_SERVICE:
        if (security_sid_parse("S-1-5-19", (SID *)account, sizeof account) != 0)
            return -EINVAL;
        return security_token_service((const SID *)account, &sid, 1, false, out);
    case SECURITY_SID_PACKAGE:
        if (security_sid_parse("S-1-5-21-0-0-0-1000", (SID *)account, sizeof account) != 0)
            return -EINVAL;
        return security_token_app_container((const SID *)account, sid, NULL, 0, out);
    default:
        return security_token_plain_user(sid, out);
    }
}

static int plain_token(struct explain_arena *a, const char *text, struct explain_value *out,
                       const char **error)
{
    struct security_token *t;
    char sid_text[192];
    SID *sid;
    int err = parse_sid(a, text, &sid, error);

    if (err != 0)
        return err;
    err = token_of_sid(sid, &t);
    if (err != 0)
        return err;
    if (!explain_defer(a, destroy_token, t))
        return -ENOMEM;
    out->value.type = FWP_TOKEN_ACCESS_INFORMATION_TYPE;
    out->value.tokenAccessInformation = (FWP_BYTE_BLOB *)security_token_blob(t);
    if (security_sid_format(sid, sid_text, sizeof sid_text) < 0)
        return -EINVAL;
    out->token = explain_printf(a, "\"%s\"", sid_text);
    out->label = explain_printf(a, "%s", explain_sid_words(a, sid));
    return a->failed ? -ENOMEM : 0;
}

static int json_token(struct explain_arena *a, const char *text, struct explain_value *out,
                      const char **error)
{
    struct security_token *t;
    char *why = NULL;
    int err = security_token_from_json(text, strlen(text), &t, &why);

    if (err != 0) {
        *error = why != NULL ? explain_strdup(a, why) : "the token's description is not understood";
        free(why);
        return err;
    }
    free(why);
    if (!explain_defer(a, destroy_token, t))
        return -ENOMEM;
    out->value.type = FWP_TOKEN_ACCESS_INFORMATION_TYPE;
    out->value.tokenAccessInformation = (FWP_BYTE_BLOB *)security_token_blob(t);
    out->token = explain_strdup(a, text);
    out->label = "the token given";
    return a->failed ? -ENOMEM : 0;
}

/* RPC's fields take the user and groups of a token alone. */
int explain_token_information(struct explain_arena *a, struct explain_value *v)
{
    TOKEN_ACCESS_INFORMATION info;
    FWP_TOKEN_INFORMATION *out = explain_alloc(a, sizeof *out);

    if (out == NULL)
        return -ENOMEM;
    memcpy(&info, v->value.tokenAccessInformation->data, sizeof info);
    if (info.SidHash != NULL) {
        out->sidCount = info.SidHash->SidCount;
        out->sids = info.SidHash->SidAttr;
    }
    if (info.RestrictedSidHash != NULL) {
        out->restrictedSidCount = info.RestrictedSidHash->SidCount;
        out->restrictedSids = info.RestrictedSidHash->SidAttr;
    }
    v->value.type = FWP_TOKEN_INFORMATION_TYPE;
    v->value.tokenInformation = out;
    return 0;
}

static int parse_token(struct explain_arena *a, const struct engine_field *field, const char *text,
                       struct explain_value *out, const char **error)
{
    int err = text[0] == '{' ? json_token(a, text, out, error) : plain_token(a, text, out, error);

    if (err == 0 && field->data_type == FWP_TOKEN_INFORMATION_TYPE)
        err = explain_token_information(a, out);
    return err;
}

static int parse_array(struct explain_arena *a, const struct engine_field *field, const char *text,
                       struct explain_value *out, const char **error)
{
    UINT8 bytes[16];
    size_t size;
    char family;

    out->value.type = field->data_type;
    if (field->data_type == FWP_BYTE_ARRAY6_TYPE) {
        if (!parse_hex(text, bytes, 6, &size) || size != 6) {
            *error = explain_printf(a, "expected a MAC address such as 00:15:5d:01:02:03, found '%s'", text);
            return -EINVAL;
        }
        out->value.byteArray6 = explain_copy(a, bytes, 6);
        return out->value.byteArray6 != NULL ? 0 : -ENOMEM;
    }
    if (explain_parse_address(text, strlen(text), &family, &out->value, a) && family == '6')
        return 0;
    out->value.type = field->data_type;
    if (field->type != FWPM_FIELD_IP_ADDRESS) {
        GUID guid;

        if (engine_guid_parse(text, &guid) == 0)
            memcpy(bytes, &guid, sizeof bytes);
        else if (strncasecmp(text, "hex:", 4) != 0 || !parse_hex(text + 4, bytes, 16, &size) || size != 16)
            goto bad;
        out->value.byteArray16 = explain_copy(a, bytes, 16);
        return out->value.byteArray16 != NULL ? 0 : -ENOMEM;
    }
bad:
    if (a->failed)
        return -ENOMEM;
    *error = explain_printf(
        a, "expected %s, found '%s'",
        field->type == FWPM_FIELD_IP_ADDRESS ? "an IPv6 address" : "a GUID or hex: and 32 digits", text);
    return -EINVAL;
}

int explain_value_parse(struct explain_arena *a, const struct engine_field *field, const char *text,
                        struct explain_value *out, const char **error)
{
    char family;
    UINT64 max;

    *out = (struct explain_value){0};
    *error = NULL;
    if (strcasecmp(text, "empty") == 0)
        return 0; /* FWP_EMPTY is 0 */
    if (field->type == FWPM_FIELD_IP_ADDRESS && field->data_type == FWP_UINT32 &&
        explain_parse_address(text, strlen(text), &family, &out->value, a) && family == '4')
        return 0;
    *out = (struct explain_value){0};
    if (explain_is_number(field->data_type, &max)) {
        int err = parse_number(a, field, text, max, out, error);

        if (err == -EINVAL && field->type == FWPM_FIELD_IP_ADDRESS)
            *error = explain_printf(a, "expected an IPv4 address, found '%s'", text);
        return err;
    }
    switch (field->data_type) {
    case FWP_BYTE_BLOB_TYPE:
        return parse_blob(a, field, text, out, error);
    case FWP_SID:
        out->value.type = FWP_SID;
        return parse_sid(a, text, &out->value.sid, error);
    case FWP_TOKEN_ACCESS_INFORMATION_TYPE:
    case FWP_TOKEN_INFORMATION_TYPE:
        return parse_token(a, field, text, out, error);
    case FWP_BYTE_ARRAY6_TYPE:
    case FWP_BYTE_ARRAY16_TYPE:
        return parse_array(a, field, text, out, error);
    default:
        *error = "values of this field cannot be written";
        return -EINVAL;
    }
}

int explain_value_from_json(struct explain_arena *a, const struct engine_field *field, const json_t *json,
                            struct explain_value *out, const char **error)
{
    UINT64 max;

    *out = (struct explain_value){0};
    *error = NULL;
    if (json_is_null(json))
        return 0;
    if (json_is_string(json))
        return explain_value_parse(a, field, json_string_value(json), out, error);
    if (json_is_integer(json) && explain_is_number(field->data_type, &max)) {
        json_int_t n = json_integer_value(json);

        if (n < 0 || (UINT64)n > max) {
            *error = explain_printf(a, "expected a number up to %llu, found %lld", (unsigned long long)max,
                                    (long long)n);
            return -EINVAL;
        }
        return set_number(a, field->data_type, (UINT64)n, &out->value) ? 0 : -ENOMEM;
    }
    if (json_is_boolean(json) && explain_is_number(field->data_type, &max))
        return set_number(a, field->data_type, json_is_true(json), &out->value) ? 0 : -ENOMEM;
    if (json_is_object(json) && (field->data_type == FWP_TOKEN_ACCESS_INFORMATION_TYPE ||
                                 field->data_type == FWP_TOKEN_INFORMATION_TYPE)) {
        char *text = json_dumps(json, JSON_COMPACT);
        int err = text != NULL ? parse_token(a, field, text, out, error) : -ENOMEM;

        free(text);
        return err;
    }
    *error = explain_printf(a, "expected %s, found %s",
                            explain_is_number(field->data_type, &max) ? "a number, a string or null"
                                                                      : "a string or null",
                            json_is_object(json)    ? "an object"
                            : json_is_array(json)   ? "an array"
                            : json_is_real(json)    ? "a number with a fraction"
                            : json_is_boolean(json) ? "a boolean"
                                                    : "a number");
    return -EINVAL;
}

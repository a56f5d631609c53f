/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A field's value as JSON text, in the notation of doc/json.md, "Values".
 *
 * Numbers and addresses, which are nearly all, are written here; the rest goes through explain's own
 * functions and is remembered where it can come again.
 */
#include <errno.h>
#include <stdlib.h>

#include "internal.h"

static void write_v4(struct out *o, UINT32 n)
{
    out_char(o, '"');
    for (int shift = 24; shift >= 0; shift -= 8) {
        out_number(o, n >> shift & 255);
        out_char(o, shift != 0 ? '.' : '"');
    }
}

static void write_number(struct out *o, const struct engine_field *field, UINT64 n)
{
    if (field->type == FWPM_FIELD_IP_ADDRESS) {
        write_v4(o, (UINT32)n);
    } else if (n > INT64_MAX) {
        out_char(o, '"');
        out_number(o, n);
        out_char(o, '"');
    } else {
        out_number(o, n);
    }
}

static void write_v6(struct out *o, const UINT8 address[16])
{
    union wire_addr a;
    char text[WIRE_ADDR_TEXT];

    memcpy(a.v6, address, 16);
    out_string(o, wire_addr_format(6, &a, text));
}

/* What explain makes of it; not remembered. NULL: no memory. */
static char *slow_text(const struct engine_field *field, const FWP_VALUE0 *v)
{
    struct explain_arena a = {0};
    struct explain_value value = {.value = *v};
    json_t *json = explain_value_to_json(&a, field, &value);
    char *text = json != NULL ? json_dumps(json, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;

    json_decref(json);
    explain_arena_free(&a);
    return text;
}

static void write_slow(struct out *o, const struct engine_field *field, const FWP_VALUE0 *v)
{
    char *text = slow_text(field, v);

    out_text(o, text != NULL ? text : "\"?\"");
    free(text);
}

static UINT32 hash_bytes(const UINT8 *bytes, UINT32 size)
{
    UINT32 h = 2166136261u;

    for (UINT32 i = 0; i < size; i++)
        h = (h ^ bytes[i]) * 16777619u;
    return h ^ h >> 15;
}

static void write_blob(struct out *o, struct value_memo *m, const struct engine_field *field,
                       const FWP_VALUE0 *v)
{
    const FWP_BYTE_BLOB *b = v->byteBlob;
    unsigned at = hash_bytes(b->data, b->size) % VALUE_CACHE;
    UINT8 *bytes;
    char *json;

    if (m->blobs[at].json != NULL && m->blobs[at].field == field && m->blobs[at].size == b->size &&
        memcmp(m->blobs[at].bytes, b->data, b->size) == 0) {
        out_text(o, m->blobs[at].json);
        return;
    }
    json = slow_text(field, v);
    out_text(o, json != NULL ? json : "\"?\"");
    bytes = b->size < 65536 ? malloc(b->size + 1u) : NULL;
    if (bytes == NULL || json == NULL) {
        free(bytes);
        free(json);
        return;
    }
    memcpy(bytes, b->data, b->size);
    free(m->blobs[at].bytes);
    free(m->blobs[at].json);
    m->blobs[at].bytes = bytes;
    m->blobs[at].json = json;
    m->blobs[at].size = b->size;
    m->blobs[at].field = field;
}

/* As its owner wrote it; else its user, which stands for an ordinary token of that account. */
static void write_token(struct out *o, const struct value_memo *m, const FWP_BYTE_BLOB *token)
{
    TOKEN_ACCESS_INFORMATION info;
    char text[192];

    for (size_t i = 0; i < m->token_count; i++) {
        if (m->tokens[i].token == token) {
            out_text(o, m->tokens[i].json);
            return;
        }
    }
    if (token->size >= sizeof info) {
        memcpy(&info, token->data, sizeof info);
        if (info.SidHash != NULL && info.SidHash->SidCount != 0 &&
            security_sid_format(info.SidHash->SidAttr[0].Sid, text, sizeof text) >= 0) {
            out_string(o, text);
            return;
        }
    }
    out_text(o, "\"?\"");
}

void value_write(struct out *o, struct value_memo *m, const struct engine_field *field, const FWP_VALUE0 *v)
{
    char text[192];

    switch (v->type) {
    case FWP_EMPTY:
        out_text(o, "null");
        break;
    case FWP_UINT8:
        write_number(o, field, v->uint8);
        break;
    case FWP_UINT16:
        write_number(o, field, v->uint16);
        break;
    case FWP_UINT32:
        write_number(o, field, v->uint32);
        break;
    case FWP_UINT64:
        write_number(o, field, v->uint64 != NULL ? *v->uint64 : 0);
        break;
    case FWP_BYTE_ARRAY16_TYPE:
        if (field->type == FWPM_FIELD_IP_ADDRESS)
            write_v6(o, v->byteArray16->byteArray16);
        else
            write_slow(o, field, v);
        break;
    case FWP_BYTE_BLOB_TYPE:
        write_blob(o, m, field, v);
        break;
    case FWP_SID:
        out_string(o, security_sid_format(v->sid, text, sizeof text) >= 0 ? text : "?");
        break;
    case FWP_TOKEN_ACCESS_INFORMATION_TYPE:
        write_token(o, m, v->tokenAccessInformation);
        break;
    case FWP_TOKEN_INFORMATION_TYPE:
        if (v->tokenInformation->sidCount != 0 &&
            security_sid_format(v->tokenInformation->sids[0].Sid, text, sizeof text) >= 0)
            out_string(o, text);
        else
            out_text(o, "\"?\"");
        break;
    default:
        write_slow(o, field, v);
        break;
    }
}

int value_memo_token(struct value_memo *m, const FWP_BYTE_BLOB *token, const char *json)
{
    void *more = realloc(m->tokens, (m->token_count + 1) * sizeof *m->tokens);
    char *copy = strdup(json);

    if (more != NULL)
        m->tokens = more;
    if (more == NULL || copy == NULL) {
        free(copy);
        return -ENOMEM;
    }
    m->tokens[m->token_count].token = token;
    m->tokens[m->token_count++].json = copy;
    return 0;
}

void value_memo_free(struct value_memo *m)
{
    for (unsigned i = 0; i < VALUE_CACHE; i++) {
        free(m->blobs[i].bytes);
        free(m->blobs[i].json);
    }
    for (size_t i = 0; i < m->token_count; i++)
        free(m->tokens[i].json);
    free(m->tokens);
}

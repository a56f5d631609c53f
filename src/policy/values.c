/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a leaf's text says, written where its row says. A text that is no value of its kind - a number that is
 * none, half a GUID - is a broken file and ends the import with its place. A name that Weir does not know is
 * no fault of the file: it is noted, and a filter that cannot be judged without it is marked unusable.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "security/security.h"

/* Kinds of memo texts; notes.c's start at 200. */
enum {
    MEMO_GUID = 0,      /* + engine_guid_kind */
    MEMO_CONSTANT = 32, /* + constant_group */
    MEMO_SID = 64,
    MEMO_SD,
    MEMO_HEX,
};

/* How the payload of each type is written. */
static const struct {
    UINT32 type;
    const char *element;
} forms[] = {
    {FWP_UINT8, "uint8"},
    {FWP_UINT16, "uint16"},
    {FWP_UINT32, "uint32"},
    {FWP_UINT64, "uint64"},
    {FWP_INT8, "int8"},
    {FWP_INT16, "int16"},
    {FWP_INT32, "int32"},
    {FWP_INT64, "int64"},
    {FWP_FLOAT, "float32"},
    {FWP_DOUBLE, "double64"},
    {FWP_BYTE_ARRAY16_TYPE, "byteArray16"},
    {FWP_BYTE_BLOB_TYPE, "byteBlob"},
    {FWP_SID, "sid"},
    {FWP_SECURITY_DESCRIPTOR_TYPE, "sd"},
    {FWP_TOKEN_INFORMATION_TYPE, "tokenInformation"},
    {FWP_TOKEN_ACCESS_INFORMATION_TYPE, "tokenAccessInformation"},
    {FWP_UNICODE_STRING_TYPE, "unicodeString"},
    {FWP_BYTE_ARRAY6_TYPE, "byteArray6"},
    {FWP_V4_ADDR_MASK, "v4AddrMask"},
    {FWP_V6_ADDR_MASK, "v6AddrMask"},
    {FWP_RANGE_TYPE, "rangeValue"},
};

static const char *form_of(UINT32 type)
{
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        if (forms[i].type == type)
            return forms[i].element;
    }
    return NULL;
}

/* "expected <what>, found ..." with the text cut to a readable length. */
static void refuse(struct import *im, size_t at, const char *expected, const char *text, size_t size)
{
    if (size == 0)
        import_fail(im, at, "expected %s, found nothing", expected);
    else
        import_fail(im, at, "expected %s, found \"%.*s%s\"", expected, size < 60 ? (int)size : 60, text,
                    size < 60 ? "" : "...");
}

static void unusable(struct import *im, struct frame *f, const char *why)
{
    if (f->record == NULL || f->record->unusable != NULL)
        return;
    f->record->unusable = arena_copy(&im->in->arena, why, strlen(why));
    if (f->record->unusable == NULL)
        import_no_memory(im);
}

/* `row`: the leaf's, whose last text is looked at first; NULL: none. */
static struct memo_entry *memo(struct import *im, const struct element *row, UINT8 kind, const char *text,
                               size_t size, bool *fresh)
{
    struct memo_entry *last = row == NULL ? NULL : im->last[row - schema_table];
    if (last != NULL && last->size == size && last->kind == kind && memcmp(last->text, text, size) == 0) {
        *fresh = false;
        return last;
    }
    struct memo_entry *e = memo_find(&im->memo, &im->in->arena, kind, text, size, fresh);
    if (e == NULL)
        import_no_memory(im);
    else if (row != NULL)
        im->last[row - schema_table] = e;
    return e;
}

/* ---- keys ------------------------------------------------------------------------------------------- */

/* A key for a name that Weir does not know: the same name gives the same key in every file. */
static GUID made_key(const char *name)
{
    UINT64 h[2] = {0xcbf29ce484222325u, 0x84222325cbf29ce4u};
    for (const char *c = name; *c != '\0'; c++) {
        h[0] = (h[0] ^ (unsigned char)*c) * 0x100000001b3u;
        h[1] = (h[1] ^ (unsigned char)*c ^ h[0] >> 32) * 0x100000001b3u;
    }
    GUID key;
    memcpy(&key, h, sizeof(key));
    key.Data3 = (UINT16)((key.Data3 & 0x0fff) | 0x8000); /* version 8: made by a rule of one's own */
    key.Data4[0] = (UINT8)((key.Data4[0] & 0x3f) | 0x80);
    return key;
}

static struct memo_entry *key_entry(struct import *im, const struct element *row, const char *text,
                                    size_t size, size_t at)
{
    enum engine_guid_kind kind = row->arg;
    bool fresh;
    struct memo_entry *e = memo(im, row, (UINT8)(MEMO_GUID + kind), text, size, &fresh);
    if (e == NULL || !fresh)
        return e;
    if (text_guid(text, size, &e->guid))
        return e;
    if (size > 0 && text[0] != '{' &&
        strspn(e->text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") == size) {
        for (int k = 0; k < ENGINE_GUID_KINDS; k++) {
            if ((kind == ENGINE_GUID_KINDS || k == (int)kind) &&
                engine_guid_by_name((enum engine_guid_kind)k, e->text, &e->guid) == 0)
                return e;
        }
        char key[ENGINE_GUID_TEXT];
        struct made_name *made = arena_alloc(&im->in->arena, sizeof(*made));
        if (made == NULL) {
            import_no_memory(im);
            return NULL;
        }
        e->guid = made_key(e->text);
        *made = (struct made_name){.next = im->in->made_names, .key = e->guid, .name = e->text};
        im->in->made_names = made;
        note_add(im, POLICY_NOTE_UNKNOWN, at, NULL, "the key named %s: unknown to Weir, %s stands for it",
                 e->text, engine_guid_format(&e->guid, key));
        return e;
    }
    refuse(im, at, "a GUID {xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx} or a name", text, size);
    return NULL;
}

static void guid_leaf(struct import *im, const struct element *e, char *to, const char *text, size_t size,
                      size_t at)
{
    if (size == 0)
        return; /* no key: zero, or NULL */
    if (e->kind == E_GUID && text[0] == '{') {
        if (!text_guid(text, size, (GUID *)(void *)to))
            refuse(im, at, "a GUID {xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx}", text, size);
        return;
    }
    struct memo_entry *entry = key_entry(im, e, text, size, at);
    if (entry == NULL)
        return;
    if (e->kind == E_GUID)
        memcpy(to, &entry->guid, sizeof(GUID));
    else
        *(GUID **)(void *)to = &entry->guid; /* shared; nobody writes to it */
}

/* ---- constants and flags ---------------------------------------------------------------------------- */

/* The number of a constant's name; entry->known says whether there is one. */
static struct memo_entry *constant(struct import *im, const struct element *row, const char *text,
                                   size_t size, size_t at)
{
    enum constant_group group = row->arg;
    bool fresh;
    struct memo_entry *e = memo(im, row, (UINT8)(MEMO_CONSTANT + group), text, size, &fresh);
    if (e == NULL || !fresh)
        return e;
    const char *prefix = constant_groups[group].prefix;
    e->known = strncmp(e->text, prefix, strlen(prefix)) == 0 && engine_constant_value(e->text, &e->number);
    if (!e->known && text_unsigned(text, size, UINT32_MAX, &e->number))
        e->known = true;
    if (!e->known)
        note_add(im, POLICY_NOTE_UNKNOWN, at, NULL, "the %s %.80s: unknown to Weir",
                 constant_groups[group].what, e->text);
    return e;
}

static void enum_leaf(struct import *im, const struct element *e, struct frame *f, const char *text,
                      size_t size, size_t at)
{
    if (size == 0) {
        char expected[64];
        snprintf(expected, sizeof(expected), "the name of a %s", constant_groups[e->arg].what);
        refuse(im, at, expected, text, size);
        return;
    }
    struct memo_entry *entry = constant(im, e, text, size, at);
    if (entry == NULL)
        return;
    bool value_type = f->context == C_VALUE || f->context == C_RANGE_VALUE;
    bool known = entry->known;
    if (e->arg == G_MATCH_TYPE)
        known = known && entry->number < FWP_MATCH_TYPE_MAX;
    if (value_type) {
        known = known && (entry->number == FWP_EMPTY || form_of((UINT32)entry->number) != NULL);
        f->typed = true;
        f->type_known = known;
    }
    if (known) {
        *(UINT32 *)(void *)((char *)f->object + e->offset) = (UINT32)entry->number;
        return;
    }
    char why[160];
    snprintf(why, sizeof(why), "Weir does not know the %s %.80s", constant_groups[e->arg].what, entry->text);
    unusable(im, f, why);
}

void value_flag(struct import *im, struct frame *list, const char *text, size_t size, size_t at)
{
    enum constant_group group = list->row->arg;
    UINT32 *flags = (UINT32 *)(void *)((char *)list->object + list->row->offset);
    while (size > 0 && (*text == ' ' || *text == '\t' || *text == '\n' || *text == '\r')) {
        text++;
        size--;
    }
    while (size > 0 && (text[size - 1] == ' ' || text[size - 1] == '\t' || text[size - 1] == '\n' ||
                        text[size - 1] == '\r'))
        size--;
    /* what has no name is left over as eight hex digits */
    if (size > 0 && size <= 8) {
        UINT8 bytes[4];
        char digits[9] = "00000000";
        memcpy(digits + 8 - size, text, size);
        if (text_hex(digits, 8, bytes)) {
            *flags |= (UINT32)bytes[0] << 24 | (UINT32)bytes[1] << 16 | (UINT32)bytes[2] << 8 | bytes[3];
            return;
        }
    }
    if (size == 0) {
        refuse(im, at, "the name of a flag or a hex number", text, size);
        return;
    }
    bool fresh;
    struct memo_entry *e = memo(im, NULL, (UINT8)(MEMO_CONSTANT + group), text, size, &fresh);
    if (e == NULL)
        return;
    if (fresh) {
        const char *prefix = constant_groups[group].prefix;
        e->known =
            strncmp(e->text, prefix, strlen(prefix)) == 0 && engine_constant_value(e->text, &e->number);
    }
    if (e->known) {
        *flags |= (UINT32)e->number;
        return;
    }
    note_add(im, POLICY_NOTE_UNKNOWN, at, NULL, "the %s %.80s: unknown to Weir, without effect",
             constant_groups[group].what, e->text);
    if (list->record != NULL)
        part_add(im, &list->record->flags, e->text, e->size);
}

/* ---- payloads --------------------------------------------------------------------------------------- */

static void *make(struct import *im, const void *from, size_t size)
{
    void *p = arena_alloc(&im->in->arena, size);
    if (p == NULL)
        import_no_memory(im);
    else
        memcpy(p, from, size);
    return p;
}

static SID *sid_of(struct import *im, const struct element *row, const char *text, size_t size, size_t at)
{
    bool fresh;
    struct memo_entry *e = memo(im, row, MEMO_SID, text, size, &fresh);
    if (e == NULL || !fresh)
        return e == NULL ? NULL : e->sid;
    SID *sid = arena_alloc(&im->in->arena, SECURITY_MAX_SID_SIZE);
    if (sid == NULL)
        import_no_memory(im);
    else if (security_sid_parse(e->text, sid, SECURITY_MAX_SID_SIZE) != 0)
        refuse(im, at, "a SID (S-1-...)", text, size);
    else
        e->sid = sid;
    return e->sid;
}

static FWP_BYTE_BLOB *sd_of(struct import *im, const struct element *row, struct frame *f, const char *text,
                            size_t size, size_t at)
{
    bool fresh;
    struct memo_entry *e = memo(im, row, MEMO_SD, text, size, &fresh);
    if (e == NULL)
        return NULL;
    if (fresh) {
        void *sd = NULL;
        size_t sd_size, error_at = 0;
        int rc = security_sddl_parse(e->text, &sd, &sd_size, &error_at);
        if (rc == -ENOMEM) {
            import_no_memory(im);
            return NULL;
        }
        if (rc == 0 && sd_size <= UINT32_MAX) {
            e->blob.data = make(im, sd, sd_size);
            e->blob.size = (UINT32)sd_size;
            e->known = true;
        } else {
            note_add(im, POLICY_NOTE_UNKNOWN, at, NULL,
                     "the security descriptor \"%.200s\": not understood from \"%.40s\" on", e->text,
                     e->text + (error_at < size ? error_at : size));
        }
        free(sd);
    }
    if (e->known)
        return &e->blob;
    unusable(im, f, "Weir does not understand a security descriptor in it");
    return NULL;
}

static bool byte_array6(const char *text, size_t size, UINT8 out[6])
{
    char digits[12];
    size_t n = 0;
    for (size_t i = 0; i < size; i++) {
        if ((text[i] == ':' || text[i] == '-') && i % 3 == 2)
            continue;
        if (n == sizeof(digits))
            return false;
        digits[n++] = text[i];
    }
    return n == sizeof(digits) && text_hex(digits, n, out);
}

static bool number_text(const char *text, size_t size, double *out)
{
    char copy[64], *end;
    if (size == 0 || size >= sizeof(copy))
        return false;
    memcpy(copy, text, size);
    copy[size] = '\0';
    *out = strtod(copy, &end);
    return *end == '\0';
}

static void value_payload(struct import *im, const struct element *e, struct frame *f, const char *text,
                          size_t size, size_t at)
{
    FWP_VALUE0 *v = f->object;
    UINT64 u = 0;
    INT64 i = 0;
    double d = 0;
    f->seen = e->arg;
    switch (e->arg) {
    case FWP_UINT8:
        if (!text_unsigned(text, size, UINT8_MAX, &u))
            refuse(im, at, "a number from 0 to 255", text, size);
        v->uint8 = (UINT8)u;
        break;
    case FWP_UINT16:
        if (!text_unsigned(text, size, UINT16_MAX, &u))
            refuse(im, at, "a number from 0 to 65535", text, size);
        v->uint16 = (UINT16)u;
        break;
    case FWP_UINT32:
        if (memchr(text, '.', size) != NULL) {
            if (!inet_v4_parse(text, size, &v->uint32))
                refuse(im, at, "an IPv4 address", text, size);
            break;
        }
        if (!text_unsigned(text, size, UINT32_MAX, &u))
            refuse(im, at, "a number from 0 to 4294967295 or an IPv4 address", text, size);
        v->uint32 = (UINT32)u;
        break;
    case FWP_UINT64:
        if (!text_unsigned(text, size, UINT64_MAX, &u))
            refuse(im, at, "a number from 0 to 18446744073709551615", text, size);
        v->uint64 = make(im, &u, sizeof(u));
        break;
    case FWP_INT8:
        if (!text_signed(text, size, INT8_MIN, INT8_MAX, &i))
            refuse(im, at, "a number from -128 to 127", text, size);
        v->int8 = (INT8)i;
        break;
    case FWP_INT16:
        if (!text_signed(text, size, INT16_MIN, INT16_MAX, &i))
            refuse(im, at, "a number from -32768 to 32767", text, size);
        v->int16 = (INT16)i;
        break;
    case FWP_INT32:
        if (!text_signed(text, size, INT32_MIN, INT32_MAX, &i))
            refuse(im, at, "a number from -2147483648 to 2147483647", text, size);
        v->int32 = (INT32)i;
        break;
    case FWP_INT64:
        if (!text_signed(text, size, INT64_MIN, INT64_MAX, &i))
            refuse(im, at, "a 64-bit number", text, size);
        v->int64 = make(im, &i, sizeof(i));
        break;
    case FWP_FLOAT:
        if (!number_text(text, size, &d))
            refuse(im, at, "a number", text, size);
        v->float32 = (float)d;
        break;
    case FWP_DOUBLE:
        if (!number_text(text, size, &d))
            refuse(im, at, "a number", text, size);
        v->double64 = make(im, &d, sizeof(d));
        break;
    case FWP_BYTE_ARRAY16_TYPE: {
        FWP_BYTE_ARRAY16 a = {{0}};
        if (!inet_v6_parse(text, size, a.byteArray16) && !(size == 32 && text_hex(text, size, a.byteArray16)))
            refuse(im, at, "an IPv6 address or 32 hex digits", text, size);
        v->byteArray16 = make(im, &a, sizeof(a));
        break;
    }
    case FWP_BYTE_ARRAY6_TYPE: {
        FWP_BYTE_ARRAY6 a = {{0}};
        if (!byte_array6(text, size, a.byteArray6))
            refuse(im, at, "12 hex digits", text, size);
        v->byteArray6 = make(im, &a, sizeof(a));
        break;
    }
    case FWP_SID:
        if (size > 0)
            v->sid = sid_of(im, e, text, size, at);
        else
            unusable(im, f, "it holds a SID without text");
        break;
    case FWP_SECURITY_DESCRIPTOR_TYPE:
        if (size > 0)
            v->sd = sd_of(im, e, f, text, size, at);
        else
            unusable(im, f, "it holds a security descriptor without text");
        break;
    case FWP_UNICODE_STRING_TYPE:
        v->unicodeString = text_wide(&im->in->arena, text, size);
        if (v->unicodeString == NULL)
            import_no_memory(im);
        break;
    default:
        break;
    }
}

void value_finish(struct import *im, struct frame *f)
{
    FWP_VALUE0 *v = f->object;
    if (!f->typed) {
        if (f->seen != 0)
            import_fail(im, f->at, "expected <type> in <%s>, found only <%s>", f->row->name,
                        form_of(f->seen));
        return;
    }
    const char *form = f->type_known ? form_of(v->type) : NULL;
    if (f->type_known && f->seen != v->type) {
        const char *name = engine_constant_name("FWP_DATA_TYPE", v->type);
        if (f->raw_inside)
            unusable(im, f, "it holds a value in a form that Weir does not know");
        else if (f->seen == 0)
            import_fail(im, f->at, "expected <%s> for the type %s in <%s>, found none", form, name,
                        f->row->name);
        else if (form == NULL)
            import_fail(im, f->at, "expected nothing beside the type %s in <%s>, found <%s>", name,
                        f->row->name, form_of(f->seen));
        else
            import_fail(im, f->at, "expected <%s> for the type %s in <%s>, found <%s>", form, name,
                        f->row->name, form_of(f->seen));
    }
    bool pointer = v->type == FWP_SID || v->type == FWP_SECURITY_DESCRIPTOR_TYPE;
    if (!f->type_known || f->seen != v->type || (pointer && v->sid == NULL))
        *v = (FWP_VALUE0){.type = FWP_EMPTY}; /* nothing half-read goes further; the filter is unusable */
}

/* ---- leaves ----------------------------------------------------------------------------------------- */

static void blob_leaf(struct import *im, const struct element *row, FWP_BYTE_BLOB *blob, const char *text,
                      size_t size, size_t at)
{
    bool fresh = true;
    struct memo_entry *e = NULL;
    if (size / 2 > UINT32_MAX) {
        refuse(im, at, "fewer hex digits", text, size);
        return;
    }
    if (size <= 4096) { /* application paths and the like, many times the same */
        e = memo(im, row, MEMO_HEX, text, size, &fresh);
        if (e == NULL)
            return;
    }
    if (fresh) {
        UINT8 *data = arena_alloc(&im->in->arena, size / 2 + 1);
        if (data == NULL) {
            import_no_memory(im);
            return;
        }
        if (!text_hex(text, size, data)) {
            refuse(im, at, "an even number of hex digits", text, size);
            return;
        }
        *blob = (FWP_BYTE_BLOB){.size = (UINT32)(size / 2), .data = data};
        if (e != NULL)
            e->blob = *blob;
    } else {
        *blob = e->blob;
    }
}

static void bool_leaf(struct import *im, const struct element *e, void *to, const char *text, size_t size,
                      size_t at)
{
    bool yes = (size == 4 && memcmp(text, "true", 4) == 0) || (size == 1 && text[0] == '1');
    if (!yes && !(size == 5 && memcmp(text, "false", 5) == 0) && !(size == 1 && text[0] == '0')) {
        refuse(im, at, "true or false", text, size);
        return;
    }
    if (e->kind == E_BOOL)
        *(BOOL *)to = yes;
    else
        *(bool *)to = yes;
}

static void address_leaf(struct import *im, const struct element *e, FWP_VALUE0 *v, const char *text,
                         size_t size, size_t at)
{
    if (size == 0)
        return;
    if (e->arg == 4) {
        if (!inet_v4_parse(text, size, &v->uint32))
            refuse(im, at, "an IPv4 address", text, size);
        v->type = FWP_UINT32;
        return;
    }
    FWP_BYTE_ARRAY16 a = {{0}};
    if (!inet_v6_parse(text, size, a.byteArray16))
        refuse(im, at, "an IPv6 address", text, size);
    v->byteArray16 = make(im, &a, sizeof(a));
    v->type = FWP_BYTE_ARRAY16_TYPE;
}

static void number_leaf(struct import *im, const struct element *e, void *to, const char *text, size_t size,
                        size_t at)
{
    UINT64 max = e->kind == E_UINT8    ? UINT8_MAX
                 : e->kind == E_UINT16 ? UINT16_MAX
                 : e->kind == E_UINT32 ? UINT32_MAX
                                       : UINT64_MAX;
    UINT64 u;
    if (e->arg != 0)
        max = e->arg;
    if (!text_unsigned(text, size, max, &u)) {
        char expected[64];
        snprintf(expected, sizeof(expected), "a number from 0 to %llu", max);
        refuse(im, at, expected, text, size);
        return;
    }
    if (e->kind == E_UINT8)
        *(UINT8 *)to = (UINT8)u;
    else if (e->kind == E_UINT16)
        *(UINT16 *)to = (UINT16)u;
    else if (e->kind == E_UINT32)
        *(UINT32 *)to = (UINT32)u;
    else
        *(UINT64 *)to = u;
}

void value_leaf(struct import *im, const struct element *e, struct frame *f, const char *text, size_t size,
                size_t at)
{
    void *to = (char *)f->object + e->offset;
    if (text == NULL)
        text = "";
    if (e->kind == E_WIDE) { /* names keep their blanks */
        if (size > 0 && (*(WCHAR **)to = text_wide(&im->in->arena, text, size)) == NULL)
            import_no_memory(im);
        return;
    }
    bool string = e->kind == E_VALUE && e->arg == FWP_UNICODE_STRING_TYPE;
    while (!string && size > 0 && (unsigned char)*text <= ' ') {
        text++;
        size--;
    }
    while (!string && size > 0 && (unsigned char)text[size - 1] <= ' ')
        size--;
    switch ((enum element_kind)e->kind) {
    case E_GUID:
    case E_GUID_PTR:
        guid_leaf(im, e, to, text, size, at);
        break;
    case E_UINT8:
    case E_UINT16:
    case E_UINT32:
    case E_UINT64:
        number_leaf(im, e, to, text, size, at);
        break;
    case E_BOOL:
    case E_BOOL8:
        bool_leaf(im, e, to, text, size, at);
        break;
    case E_TEXT:
        if (size > 0 && (*(char **)to = arena_copy(&im->in->arena, text, size)) == NULL)
            import_no_memory(im);
        break;
    case E_HEX:
        blob_leaf(im, e, to, text, size, at);
        break;
    case E_SID:
        if (size > 0)
            *(SID **)to = sid_of(im, e, text, size, at);
        break;
    case E_ENUM:
        enum_leaf(im, e, f, text, size, at);
        break;
    case E_ADDRESS:
        address_leaf(im, e, to, text, size, at);
        break;
    case E_V4:
        if (!inet_v4_parse(text, size, to))
            refuse(im, at, "an IPv4 address", text, size);
        break;
    case E_V6:
        if (!inet_v6_parse(text, size, to))
            refuse(im, at, "an IPv6 address", text, size);
        break;
    case E_VALUE:
        value_payload(im, e, f, text, size, at);
        break;
    default:
        break;
    }
}

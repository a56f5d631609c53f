/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SDDL, from text: O: G: D: S:, each at most once, in any order (MS-DTYP 2.5.1; win32 "Security Descriptor
 * String Format"). White space is taken between components, between ACEs and around an ACE's fields.
 *
 * The descriptor is built as header, SACL, DACL, owner, group. An error leaves the cursor on the character
 * that could not be read, and that is what is reported.
 */
#include "security/internal.h"
#include "security/sddl.h"

#include <errno.h>
#include <stdlib.h>

struct sddl_parser {
    const char *text;
    size_t size, pos;
    int status; /* sticky: -EINVAL with pos on the spot, or -ENOMEM */
};

static bool fail(struct sddl_parser *p, size_t at)
{
    if (p->status == 0) {
        p->status = -EINVAL;
        p->pos = at;
    }
    return false;
}

static void skip_space(struct sddl_parser *p)
{
    sec_skip_space(p->text, p->size, &p->pos);
}

static char peek(struct sddl_parser *p)
{
    skip_space(p);
    return p->pos < p->size ? p->text[p->pos] : '\0';
}

static bool take(struct sddl_parser *p, char c)
{
    if (peek(p) != c) {
        return false;
    }
    p->pos++;
    return true;
}

static bool expect(struct sddl_parser *p, char c)
{
    return take(p, c) || fail(p, p->pos);
}

static bool take_word(struct sddl_parser *p, const char *word)
{
    size_t n = strlen(word);
    if (p->size - p->pos < n || !sec_word_equal(p->text + p->pos, n, word)) {
        return false;
    }
    p->pos += n;
    return true;
}

static const struct sddl_word *take_one(struct sddl_parser *p, const struct sddl_word *words, size_t count,
                                        size_t length)
{
    for (size_t i = 0; i < count; i++) {
        if (strlen(words[i].text) == length && take_word(p, words[i].text)) {
            return &words[i];
        }
    }
    return NULL;
}

static bool parse_sid(struct sddl_parser *p, uint8_t sid[SECURITY_MAX_SID_SIZE], size_t *size)
{
    skip_space(p);
    size_t start = p->pos;
    *size = sec_sid_read(p->text, p->size, &p->pos, sid);
    return *size != 0 || fail(p, p->pos > start ? p->pos : start);
}

/* ---- the fields of an ACE --------------------------------------------------------------------- */
static bool parse_flags(struct sddl_parser *p, uint8_t *out)
{
    *out = 0;
    while (peek(p) != ';') {
        const struct sddl_word *w = take_one(p, sddl_ace_flags, sddl_ace_flag_count, 2);
        if (w == NULL) {
            return fail(p, p->pos);
        }
        *out |= (uint8_t)w->value;
    }
    return true;
}

static bool parse_rights(struct sddl_parser *p, uint32_t *out)
{
    *out = 0;
    char c = peek(p);
    if (c >= '0' && c <= '9') {
        uint64_t value;
        uint8_t sign, base;
        size_t start = p->pos;
        if (sec_read_integer(p->text, p->size, &p->pos, &value, &sign, &base) != 0 || value > UINT32_MAX) {
            return fail(p, start);
        }
        *out = (uint32_t)value;
        return true;
    }
    while (peek(p) != ';') {
        const struct sddl_word *w = take_one(p, sddl_rights, sddl_right_count, 2);
        if (w == NULL) {
            return fail(p, p->pos);
        }
        *out |= w->value;
    }
    return true;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* 8-4-4-4-12, as UuidToString writes it; its first three fields are stored little endian. */
static bool parse_guid(struct sddl_parser *p, uint8_t guid[16], bool *present)
{
    static const uint8_t order[16] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
    *present = peek(p) != ';';
    for (unsigned i = 0; *present && i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            if (p->pos == p->size || p->text[p->pos] != '-') {
                return fail(p, p->pos);
            }
            p->pos++;
        }
        int high = p->pos < p->size ? hex_digit(p->text[p->pos]) : -1;
        int low = p->pos + 1 < p->size ? hex_digit(p->text[p->pos + 1]) : -1;
        if (high < 0 || low < 0) {
            return fail(p, p->pos);
        }
        guid[order[i]] = (uint8_t)(high << 4 | low);
        p->pos += 2;
    }
    return true;
}

/* ---- resource attributes: ("name",TS,0x0,"value",...) ----------------------------------------- */
static bool parse_claim_number(struct sddl_parser *p, uint16_t type, struct sec_buf *b)
{
    uint64_t value;
    uint8_t sign, base;
    skip_space(p);
    size_t start = p->pos;
    if (sec_read_integer(p->text, p->size, &p->pos, &value, &sign, &base) != 0) {
        return fail(p, p->pos);
    }
    if ((type == CLAIM_SECURITY_ATTRIBUTE_TYPE_INT64 && sign != 2 && value > INT64_MAX) ||
        (type != CLAIM_SECURITY_ATTRIBUTE_TYPE_INT64 && sign == 2) ||
        (type == CLAIM_SECURITY_ATTRIBUTE_TYPE_BOOLEAN && value > 1)) {
        return fail(p, start);
    }
    sec_buf_add64(b, value);
    return true;
}

static bool parse_claim_value(struct sddl_parser *p, uint16_t type, struct sec_buf *b)
{
    uint8_t sid[SECURITY_MAX_SID_SIZE];
    size_t size, start;
    switch (type) {
    case CLAIM_SECURITY_ATTRIBUTE_TYPE_STRING:
        if (peek(p) != '"' || sec_read_string(p->text, p->size, &p->pos, b) != 0) {
            return fail(p, p->pos);
        }
        sec_buf_add16(b, 0);
        return true;
    case CLAIM_SECURITY_ATTRIBUTE_TYPE_SID:
        if (!parse_sid(p, sid, &size)) {
            return false;
        }
        sec_buf_add32(b, (uint32_t)size);
        sec_buf_add(b, sid, size);
        return true;
    case CLAIM_SECURITY_ATTRIBUTE_TYPE_OCTET_STRING:
        if (peek(p) != '#') {
            return fail(p, p->pos);
        }
        sec_buf_add32(b, 0);
        start = b->size;
        sec_read_octets(p->text, p->size, &p->pos, b);
        sec_buf_set32(b, start - 4, (uint32_t)(b->size - start));
        return true;
    default:
        return parse_claim_number(p, type, b);
    }
}

static bool parse_claim(struct sddl_parser *p, struct sec_buf *out)
{
    struct sec_buf name = {0}, values = {0}, offsets = {0};
    uint64_t flags;
    uint8_t sign, base;
    bool ok = false;
    if (!expect(p, '(') || !expect(p, '"')) {
        goto out;
    }
    if (sec_read_name(p->text, p->size, &p->pos, false, &name) != 0) {
        fail(p, p->pos);
        goto out;
    }
    if (p->pos == p->size || p->text[p->pos] != '"') {
        fail(p, p->pos);
        goto out;
    }
    p->pos++;
    if (!expect(p, ',')) {
        goto out;
    }
    skip_space(p);
    const struct sddl_word *type = take_one(p, sddl_claim_types, sddl_claim_type_count, 2);
    if (type == NULL) {
        fail(p, p->pos);
        goto out;
    }
    if (!expect(p, ',')) {
        goto out;
    }
    skip_space(p);
    size_t at_flags = p->pos;
    if (sec_read_integer(p->text, p->size, &p->pos, &flags, &sign, &base) != 0 || flags > UINT32_MAX) {
        fail(p, at_flags);
        goto out;
    }
    while (take(p, ',')) {
        sec_buf_align(&values, 8);
        sec_buf_add32(&offsets, (uint32_t)values.size);
        if (!parse_claim_value(p, (uint16_t)type->value, &values)) {
            goto out;
        }
    }
    if (!expect(p, ')')) {
        goto out;
    }
    if (name.failed || values.failed || offsets.failed) {
        p->status = -ENOMEM;
        goto out;
    }
    /* header, offsets, name, values: all relative to the header's start */
    size_t start = out->size;
    uint32_t count = (uint32_t)(offsets.size / 4);
    uint32_t at_name = 16 + 4 * count;
    uint32_t at_values = (at_name + (uint32_t)name.size + 2 + 7) / 8 * 8;
    sec_buf_add32(out, at_name);
    sec_buf_add16(out, (uint16_t)type->value);
    sec_buf_add16(out, 0);
    sec_buf_add32(out, (uint32_t)flags);
    sec_buf_add32(out, count);
    for (uint32_t i = 0; i < count; i++) {
        sec_buf_add32(out, at_values + sec_get32(offsets.data + 4 * i));
    }
    sec_buf_add(out, name.data, name.size);
    sec_buf_add16(out, 0);
    while (out->size - start < at_values && !out->failed) {
        sec_buf_add8(out, 0);
    }
    sec_buf_add(out, values.data, values.size);
    ok = true;
out:
    sec_buf_free(&name);
    sec_buf_free(&values);
    sec_buf_free(&offsets);
    return ok;
}

/* ---- ACEs and ACLs ---------------------------------------------------------------------------- */
static const struct sddl_word *parse_type(struct sddl_parser *p)
{
    size_t length = 0;
    skip_space(p);
    while (p->pos + length < p->size && p->text[p->pos + length] != ';' && p->text[p->pos + length] != ' ') {
        length++;
    }
    return take_one(p, sddl_ace_types, sddl_ace_type_count, length);
}

static bool is_object(uint32_t type)
{
    return (type >= ACCESS_ALLOWED_OBJECT_ACE_TYPE && type <= SYSTEM_ALARM_OBJECT_ACE_TYPE) ||
           type == ACCESS_ALLOWED_CALLBACK_OBJECT_ACE_TYPE;
}

static bool is_conditional(uint32_t type)
{
    return type == ACCESS_ALLOWED_CALLBACK_ACE_TYPE || type == ACCESS_DENIED_CALLBACK_ACE_TYPE ||
           type == SYSTEM_AUDIT_CALLBACK_ACE_TYPE || type == ACCESS_ALLOWED_CALLBACK_OBJECT_ACE_TYPE;
}

struct ace_fields {
    uint8_t type, flags;
    uint32_t rights, object_flags;
    uint8_t object[16], inherited[16];
    uint8_t sid[SECURITY_MAX_SID_SIZE];
    size_t sid_size;
};

static bool parse_fields(struct sddl_parser *p, struct ace_fields *f)
{
    bool object, inherited;
    const struct sddl_word *type = parse_type(p);
    if (type == NULL) {
        return fail(p, p->pos);
    }
    f->type = (uint8_t)type->value;
    if (!expect(p, ';') || !parse_flags(p, &f->flags) || !expect(p, ';') || !parse_rights(p, &f->rights) ||
        !expect(p, ';')) {
        return false;
    }
    size_t at_object = p->pos;
    if (!parse_guid(p, f->object, &object) || !expect(p, ';')) {
        return false;
    }
    size_t at_inherited = p->pos;
    if (!parse_guid(p, f->inherited, &inherited) || !expect(p, ';') || !parse_sid(p, f->sid, &f->sid_size)) {
        return false;
    }
    if ((object || inherited) && !is_object(f->type)) {
        return fail(p, object ? at_object : at_inherited);
    }
    f->object_flags =
        (object ? ACE_OBJECT_TYPE_PRESENT : 0) | (inherited ? ACE_INHERITED_OBJECT_TYPE_PRESENT : 0);
    if (f->type == ACCESS_ALLOWED_OBJECT_ACE_TYPE && f->object_flags == 0) {
        f->type = ACCESS_ALLOWED_ACE_TYPE; /* as documented for "OA" without GUIDs */
    }
    return true;
}

static bool parse_ace(struct sddl_parser *p, struct sec_buf *acl, bool *any_object)
{
    struct ace_fields f = {0};
    size_t start = acl->size, at = p->pos;
    if (!expect(p, '(') || !parse_fields(p, &f)) {
        return false;
    }
    sec_buf_add8(acl, f.type);
    sec_buf_add8(acl, f.flags);
    sec_buf_add16(acl, 0);
    sec_buf_add32(acl, f.rights);
    if (is_object(f.type)) {
        *any_object = true;
        sec_buf_add32(acl, f.object_flags);
        sec_buf_add(acl, f.object, f.object_flags & ACE_OBJECT_TYPE_PRESENT ? 16 : 0);
        sec_buf_add(acl, f.inherited, f.object_flags & ACE_INHERITED_OBJECT_TYPE_PRESENT ? 16 : 0);
    }
    sec_buf_add(acl, f.sid, f.sid_size);
    if (is_conditional(f.type) || f.type == SYSTEM_RESOURCE_ATTRIBUTE_ACE_TYPE) {
        if (!expect(p, ';')) {
            return false;
        }
        if (!is_conditional(f.type)) {
            if (!parse_claim(p, acl)) {
                return false;
            }
        } else if (sec_cond_parse(p->text, p->size, &p->pos, acl) != 0) {
            return fail(p, p->pos);
        }
    }
    sec_buf_align(acl, 4);
    if (!expect(p, ')')) {
        return false;
    }
    if (acl->failed) {
        p->status = -ENOMEM;
        return false;
    }
    if (acl->size > UINT16_MAX) {
        return fail(p, at); /* ACL sizes have 16 bits */
    }
    uint16_t size = (uint16_t)(acl->size - start);
    memcpy(acl->data + start + 2, &size, sizeof(size));
    return true;
}

struct acl_bits {
    uint16_t present, protected, auto_inherit_req, auto_inherited;
};
static const struct acl_bits dacl_bits = {SE_DACL_PRESENT, SE_DACL_PROTECTED, SE_DACL_AUTO_INHERIT_REQ,
                                          SE_DACL_AUTO_INHERITED};
static const struct acl_bits sacl_bits = {SE_SACL_PRESENT, SE_SACL_PROTECTED, SE_SACL_AUTO_INHERIT_REQ,
                                          SE_SACL_AUTO_INHERITED};

/* acl stays empty for NO_ACCESS_CONTROL: present and null. */
static bool parse_acl(struct sddl_parser *p, const struct acl_bits *bits, uint16_t *control,
                      struct sec_buf *acl)
{
    bool null_acl = false, any_object = false;
    *control |= bits->present;
    for (;;) {
        skip_space(p);
        if (take_word(p, "NO_ACCESS_CONTROL")) {
            null_acl = true;
        } else if (take_word(p, "AR")) {
            *control |= bits->auto_inherit_req;
        } else if (take_word(p, "AI")) {
            *control |= bits->auto_inherited;
        } else if (take_word(p, "P")) {
            *control |= bits->protected;
        } else {
            break;
        }
    }
    if (null_acl) {
        return peek(p) != '(' || fail(p, p->pos);
    }
    uint16_t count = 0;
    sec_buf_add64(acl, 0);
    while (peek(p) == '(') {
        if (!parse_ace(p, acl, &any_object)) {
            return false;
        }
        count++;
    }
    if (acl->failed) {
        p->status = -ENOMEM;
        return false;
    }
    uint16_t header[4] = {any_object ? ACL_REVISION_DS : ACL_REVISION, (uint16_t)acl->size, count, 0};
    memcpy(acl->data, header, sizeof(header));
    return true;
}

struct sddl_parts {
    uint16_t control;
    uint8_t owner[SECURITY_MAX_SID_SIZE], group[SECURITY_MAX_SID_SIZE];
    size_t owner_size, group_size;
    struct sec_buf sacl, dacl;
};

static bool parse_parts(struct sddl_parser *p, struct sddl_parts *parts)
{
    bool seen[4] = {0};
    while (peek(p) != '\0') {
        static const char letters[] = "OGDS";
        const char *letter = strchr(letters, sec_upcase((uint8_t)peek(p)));
        size_t at = p->pos++;
        if (letter == NULL || seen[letter - letters] || p->pos == p->size || p->text[p->pos] != ':') {
            return fail(p, at);
        }
        p->pos++;
        seen[letter - letters] = true;
        bool ok = false;
        switch (*letter) {
        case 'O':
            ok = parse_sid(p, parts->owner, &parts->owner_size);
            break;
        case 'G':
            ok = parse_sid(p, parts->group, &parts->group_size);
            break;
        case 'D':
            ok = parse_acl(p, &dacl_bits, &parts->control, &parts->dacl);
            break;
        default:
            ok = parse_acl(p, &sacl_bits, &parts->control, &parts->sacl);
            break;
        }
        if (!ok) {
            return false;
        }
    }
    return p->pos == p->size || fail(p, p->pos);
}

static uint32_t add_part(struct sec_buf *b, const void *data, size_t size)
{
    size_t at = b->size;
    sec_buf_add(b, data, size);
    return size == 0 ? 0 : (uint32_t)at;
}

int security_sddl_parse(const char *sddl, void **out, size_t *out_size, size_t *error_at)
{
    struct sddl_parser p = {.text = sddl, .size = strlen(sddl)};
    struct sddl_parts parts = {.control = SE_SELF_RELATIVE};
    struct sec_buf b = {0};
    *out = NULL;
    *out_size = 0;
    if (parse_parts(&p, &parts)) {
        sec_buf_add8(&b, SECURITY_DESCRIPTOR_REVISION);
        sec_buf_add8(&b, 0);
        sec_buf_add16(&b, parts.control);
        for (unsigned i = 0; i < 4; i++) {
            sec_buf_add32(&b, 0);
        }
        sec_buf_set32(&b, 12, add_part(&b, parts.sacl.data, parts.sacl.size));
        sec_buf_set32(&b, 16, add_part(&b, parts.dacl.data, parts.dacl.size));
        sec_buf_set32(&b, 4, add_part(&b, parts.owner, parts.owner_size));
        sec_buf_set32(&b, 8, add_part(&b, parts.group, parts.group_size));
        if (b.failed) {
            p.status = -ENOMEM;
        }
    }
    sec_buf_free(&parts.sacl);
    sec_buf_free(&parts.dacl);
    if (p.status != 0) {
        sec_buf_free(&b);
        if (error_at != NULL) {
            *error_at = p.pos;
        }
        return p.status;
    }
    *out = b.data;
    *out_size = b.size;
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SDDL, to text, as Windows writes it: aliases for SIDs that have one, rights as letters from the lowest bit
 * up, or as a number when a bit has no letters. What has no notation is an error, not an omission.
 */
#include "security/internal.h"
#include "security/sddl.h"

#include <errno.h>
#include <stdlib.h>

static const struct sddl_word *by_value(const struct sddl_word *words, size_t count, uint32_t value)
{
    for (size_t i = 0; i < count; i++) {
        if (words[i].value == value) {
            return &words[i];
        }
    }
    return NULL;
}

static void format_rights(struct sec_buf *b, uint8_t type, uint32_t mask)
{
    const struct sddl_word *first = sddl_rights;
    size_t count = sddl_right_bits;
    if (type == SYSTEM_MANDATORY_LABEL_ACE_TYPE) {
        first += sddl_right_bits + sddl_right_sets;
        count = sddl_right_count - sddl_right_bits - sddl_right_sets;
    } else {
        const struct sddl_word *set = by_value(sddl_rights + sddl_right_bits, sddl_right_sets, mask);
        if (set != NULL) {
            sec_buf_text(b, set->text);
            return;
        }
    }
    uint32_t known = 0;
    for (size_t i = 0; i < count; i++) {
        known |= first[i].value;
    }
    if (mask & ~known) {
        sec_buf_textf(b, "0x%x", mask);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (mask & first[i].value) {
            sec_buf_text(b, first[i].text);
        }
    }
}

static void format_guid(struct sec_buf *b, const uint8_t *g)
{
    if (g == NULL) {
        return;
    }
    sec_buf_textf(b, "%08x-%04x-%04x-%02x%02x-", sec_get32(g), sec_get16(g + 4), sec_get16(g + 6), g[8],
                  g[9]);
    for (unsigned i = 10; i < 16; i++) {
        sec_buf_textf(b, "%02x", g[i]);
    }
}

static int format_claim_string(struct sec_buf *b, const struct sec_value *v)
{
    for (size_t i = 0; i < v->size; i += 2) {
        if (sec_get16(v->data + i) == '"') {
            return -EINVAL;
        }
    }
    sec_buf_text(b, "\"");
    if (!sec_buf_utf16_as_utf8(b, v->data, v->size)) {
        return -EINVAL;
    }
    sec_buf_text(b, "\"");
    return 0;
}

static int format_claim(struct sec_buf *b, const struct sec_ace *ace)
{
    struct sec_claim c;
    struct sec_value v;
    if (!sec_claim_open_relative(ace->data, ace->data_size, &c) || c.name_size == 0) {
        return -EINVAL;
    }
    const struct sddl_word *type = by_value(sddl_claim_types, sddl_claim_type_count, c.type);
    if (type == NULL) {
        return -EINVAL;
    }
    sec_buf_text(b, "(\"");
    sec_cond_write_name(b, COND_RESOURCE, c.name, c.name_size);
    sec_buf_textf(b, "\",%s,0x%x", type->text, c.flags);
    for (uint32_t i = 0; i < c.count; i++) {
        if (!sec_claim_value(&c, i, &v)) {
            return -EINVAL;
        }
        sec_buf_text(b, ",");
        switch (c.type) {
        case CLAIM_SECURITY_ATTRIBUTE_TYPE_INT64:
            sec_buf_textf(b, "%lld", (long long)v.number);
            break;
        case CLAIM_SECURITY_ATTRIBUTE_TYPE_STRING:
            if (format_claim_string(b, &v) != 0) {
                return -EINVAL;
            }
            break;
        case CLAIM_SECURITY_ATTRIBUTE_TYPE_SID:
            sec_sid_write(b, v.data);
            break;
        case CLAIM_SECURITY_ATTRIBUTE_TYPE_OCTET_STRING:
            sec_buf_text(b, "#");
            for (size_t k = 0; k < v.size; k++) {
                sec_buf_textf(b, "%02x", v.data[k]);
            }
            break;
        case CLAIM_SECURITY_ATTRIBUTE_TYPE_BOOLEAN:
            if (v.number > 1) {
                return -EINVAL;
            }
            __attribute__((fallthrough));
        default:
            sec_buf_textf(b, "%llu", (unsigned long long)v.number);
            break;
        }
    }
    sec_buf_text(b, ")");
    return 0;
}

static int format_ace(struct sec_buf *b, const struct sec_ace *ace)
{
    const struct sddl_word *type = by_value(sddl_ace_types, sddl_ace_type_count, ace->type);
    uint8_t flags = ace->flags;
    if (type == NULL || ace->sid == NULL) {
        return -EINVAL;
    }
    /* SDDL tells which GUIDs are there by writing them, and has no word for other bits. */
    if (ace->object_flags & ~(uint32_t)(ACE_OBJECT_TYPE_PRESENT | ACE_INHERITED_OBJECT_TYPE_PRESENT)) {
        return -EINVAL;
    }
    sec_buf_textf(b, "(%s;", type->text);
    for (size_t i = 0; i < sddl_ace_flag_count; i++) {
        if (flags & sddl_ace_flags[i].value) {
            sec_buf_text(b, sddl_ace_flags[i].text);
            flags = (uint8_t)(flags & ~sddl_ace_flags[i].value);
        }
    }
    if (flags != 0) {
        return -EINVAL;
    }
    sec_buf_text(b, ";");
    format_rights(b, ace->type, ace->mask);
    sec_buf_text(b, ";");
    format_guid(b, ace->object_type);
    sec_buf_text(b, ";");
    format_guid(b, ace->inherited_type);
    sec_buf_text(b, ";");
    sec_sid_write(b, ace->sid);
    int status = 0;
    if (ace->callback) {
        sec_buf_text(b, ";");
        status = sec_cond_format(ace->data, ace->data_size, b);
    } else if (ace->type == SYSTEM_RESOURCE_ATTRIBUTE_ACE_TYPE) {
        sec_buf_text(b, ";");
        status = format_claim(b, ace);
    }
    sec_buf_text(b, ")");
    return status;
}

static int format_acl(struct sec_buf *b, const uint8_t *acl, char letter, bool protected,
                      bool auto_inherit_req, bool auto_inherited)
{
    sec_buf_textf(b, "%c:%s%s%s", letter, protected ? "P" : "", auto_inherit_req ? "AR" : "",
                  auto_inherited ? "AI" : "");
    if (acl == NULL) {
        sec_buf_text(b, "NO_ACCESS_CONTROL");
        return 0;
    }
    struct sec_acl_iter i;
    struct sec_ace ace;
    sec_acl_start(&i, acl);
    while (sec_acl_next(&i, &ace)) {
        int status = format_ace(b, &ace);
        if (status != 0) {
            return status;
        }
    }
    return 0;
}

int security_sddl_format(const void *sd, size_t sd_size, char **out)
{
    struct sec_sd view;
    struct sec_buf b = {0};
    int status = 0;
    *out = NULL;
    if (!sec_sd_open(sd, sd_size, &view)) {
        return -EINVAL;
    }
    if (view.owner != NULL) {
        sec_buf_text(&b, "O:");
        sec_sid_write(&b, view.owner);
    }
    if (view.group != NULL) {
        sec_buf_text(&b, "G:");
        sec_sid_write(&b, view.group);
    }
    if (view.control & SE_DACL_PRESENT) {
        status = format_acl(&b, view.dacl, 'D', view.control & SE_DACL_PROTECTED,
                            view.control & SE_DACL_AUTO_INHERIT_REQ, view.control & SE_DACL_AUTO_INHERITED);
    }
    if (status == 0 && (view.control & SE_SACL_PRESENT)) {
        status = format_acl(&b, view.sacl, 'S', view.control & SE_SACL_PROTECTED,
                            view.control & SE_SACL_AUTO_INHERIT_REQ, view.control & SE_SACL_AUTO_INHERITED);
    }
    sec_buf_add8(&b, 0);
    if (status == 0 && b.failed) {
        status = -ENOMEM;
    }
    if (status != 0) {
        sec_buf_free(&b);
        return status;
    }
    *out = (char *)b.data;
    return 0;
}

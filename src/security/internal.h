/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the security room share: the growing buffer, UTF-8 and UTF-16, the bounded views of a
 * security descriptor, an ACE, a claim and a token, and the conditional expressions' three halves.
 *
 * Descriptors and tokens come from anywhere and at any alignment: nothing here casts into their bytes; every
 * number is read by one of the sec_get functions from a range that was checked before.
 */
#ifndef WEIR_SECURITY_INTERNAL_H
#define WEIR_SECURITY_INTERNAL_H

#include <string.h>
#include <uchar.h>

#include "security/security.h"

/* ---- numbers in bytes (all formats here are little endian, as is every host we build for) ----- */
static inline uint16_t sec_get16(const uint8_t *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof(v));
    return v;
}

static inline uint32_t sec_get32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof(v));
    return v;
}

static inline uint64_t sec_get64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof(v));
    return v;
}

/* ---- buf.c: a buffer that grows; the first failure sticks, so that only the end has to look --- */
struct sec_buf {
    uint8_t *data;
    size_t size, capacity;
    bool failed;
};
void sec_buf_free(struct sec_buf *b);
void sec_buf_add(struct sec_buf *b, const void *data, size_t size);
void sec_buf_add8(struct sec_buf *b, uint8_t v);
void sec_buf_add16(struct sec_buf *b, uint16_t v);
void sec_buf_add32(struct sec_buf *b, uint32_t v);
void sec_buf_add64(struct sec_buf *b, uint64_t v);
void sec_buf_text(struct sec_buf *b, const char *text);
void sec_buf_textf(struct sec_buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void sec_buf_align(struct sec_buf *b, size_t to);
void sec_buf_set32(struct sec_buf *b, size_t at, uint32_t v);
/* Appends one code point in UTF-16. */
void sec_buf_utf16(struct sec_buf *b, uint32_t code_point);
/* Appends UTF-16 (size in bytes) as UTF-8; false on a lone surrogate or an odd size. */
bool sec_buf_utf16_as_utf8(struct sec_buf *b, const uint8_t *utf16, size_t size);
/* One code point of UTF-8: its length, or 0 if what stands there is not UTF-8. */
size_t sec_utf8_next(const char *text, size_t size, uint32_t *code_point);
/* Simple case mapping, as names and string values are compared: ASCII, Latin-1, Greek, Cyrillic. */
char16_t sec_upcase(char16_t c);
/* Compares UTF-16 of two byte sizes: <0, 0, >0. */
int sec_utf16_compare(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size, bool case_sensitive);
bool sec_word_equal(const char *text, size_t size, const char *word); /* ASCII, ignoring case */

/* ---- SIDs (sid.c) ------------------------------------------------------------------------------------- */
static inline size_t sec_sid_size(const uint8_t *sid)
{
    return 8 + 4 * (size_t)sid[1];
}

/* The size of the SID at p, or 0 if there is none within size bytes. */
static inline size_t sec_sid_at(const uint8_t *p, size_t size)
{
    if (size < 8 || p[0] != 1 || p[1] > 15 || size < sec_sid_size(p)) {
        return 0;
    }
    return sec_sid_size(p);
}

static inline bool sec_sid_equal(const uint8_t *a, const uint8_t *b)
{
    return a[1] == b[1] && memcmp(a, b, sec_sid_size(a)) == 0;
}

/* Reads a SID string or a two-letter alias at text[*pos]; advances *pos. Size of the SID in out, or 0. */
size_t sec_sid_read(const char *text, size_t size, size_t *pos, uint8_t out[SECURITY_MAX_SID_SIZE]);
/* Appends the alias, if there is one, or the S-1-... form. */
void sec_sid_write(struct sec_buf *b, const uint8_t *sid);
/* sid_names.c: rows of the table of well-known SIDs. */
struct sec_known_sid {
    const char *sid;   /* as S-1-... */
    const char *alias; /* of SDDL, or NULL */
    const char *name;  /* for people */
    bool capability;   /* `name` is a capability's, accepted without its prefix */
};
extern const struct sec_known_sid sec_known_sids[];
extern const size_t sec_known_sid_count;
/* sha1.c */
void sec_sha1(const void *data, size_t size, uint8_t digest[20]);

/* ---- descriptors (sd.c) -------------------------------------------------------------------------------- */
struct sec_sd {
    uint16_t control;
    const uint8_t *owner, *group; /* valid SIDs or NULL */
    const uint8_t *sacl, *dacl;   /* whole, valid ACLs (every ACE within bounds) or NULL */
};
bool sec_sd_open(const void *sd, size_t size, struct sec_sd *out);

enum sec_ace_kind { SEC_ACE_OTHER, SEC_ACE_ALLOW, SEC_ACE_DENY, SEC_ACE_AUDIT };
struct sec_ace {
    uint8_t type, flags;
    uint32_t mask;
    enum sec_ace_kind kind;
    bool object, callback;
    uint32_t object_flags;
    const uint8_t *object_type, *inherited_type; /* 16 bytes each, or NULL */
    const uint8_t *sid;                          /* NULL: a type whose body we do not know */
    const uint8_t *data;                         /* what follows the SID */
    size_t data_size, size;
};
bool sec_ace_open(const uint8_t *p, size_t size, struct sec_ace *out);

/* Walks a valid ACL: starts with offset 0, ends with false. */
struct sec_acl_iter {
    const uint8_t *acl;
    size_t offset;
    unsigned left;
};
void sec_acl_start(struct sec_acl_iter *i, const uint8_t *acl);
bool sec_acl_next(struct sec_acl_iter *i, struct sec_ace *out);

/* ---- claims (claim.c): of a token (TOKEN_SECURITY_ATTRIBUTE_V1) or of a resource, in a SACL's ACE
 * (CLAIM_SECURITY_ATTRIBUTE_RELATIVE_V1, MS-DTYP 2.4.10.1) ------------------------------------------------
 */
struct sec_claim {
    const uint8_t *base; /* the bytes in which everything must lie */
    size_t size;
    bool relative;         /* values by offset, or by pointer */
    const uint8_t *values; /* the array of offsets, or of the values themselves */
    uint16_t type;         /* CLAIM_SECURITY_ATTRIBUTE_TYPE_* */
    uint32_t flags, count;
    const uint8_t *name; /* UTF-16, name_size bytes, without its NUL */
    size_t name_size;
};
/* One value of a claim or of a literal. */
struct sec_value {
    uint16_t type; /* CLAIM_SECURITY_ATTRIBUTE_TYPE_* */
    bool case_sensitive;
    uint64_t number;
    const uint8_t *data; /* UTF-16, a SID or octets */
    size_t size;
};
bool sec_claim_open_relative(const uint8_t *p, size_t size, struct sec_claim *out);
/* The attribute at `attribute` of a token's blob. */
bool sec_claim_open_token(const uint8_t *blob, size_t size, const uint8_t *attribute, struct sec_claim *out);
bool sec_claim_value(const struct sec_claim *c, uint32_t index, struct sec_value *out);
/* The pointer p, if [p, p + need) lies within the blob: as an offset. */
bool sec_within(const uint8_t *blob, size_t size, const void *p, size_t need);

/* ---- tokens (token.c) ---------------------------------------------------------------------------------- */
struct sec_sid_list {
    const uint8_t *items; /* SID_AND_ATTRIBUTES, perhaps misaligned; their SIDs are valid */
    uint32_t count;
};
struct sec_token {
    struct sec_sid_list sids; /* the user is the first */
    struct sec_sid_list restricted, capabilities;
    bool write_restricted;
    const uint8_t *package;
    const uint8_t *blob;
    size_t blob_size;
    const uint8_t *attributes; /* TOKEN_SECURITY_ATTRIBUTE_V1s, perhaps misaligned */
    uint32_t attribute_count;
};
/* Views and validates a blob: every pointer must lead into it. */
bool sec_token_open(const FWP_BYTE_BLOB *blob, struct sec_token *out);
/* The claim of that name (UTF-16 bytes; `prefix` as "@User." or NULL), ignoring case. */
bool sec_token_attribute(const struct sec_token *t, const char *prefix, const uint8_t *name, size_t name_size,
                         struct sec_claim *out);
static inline SID_AND_ATTRIBUTES sec_sid_item(const struct sec_sid_list *l, uint32_t index)
{
    SID_AND_ATTRIBUTES item;
    memcpy(&item, l->items + index * sizeof(item), sizeof(item));
    return item;
}

#ifndef TOKEN_WRITE_RESTRICTED /* of a token's flags (mingw-w64, ddk/ntifs.h) */
#define TOKEN_WRITE_RESTRICTED 0x0008
#define TOKEN_IS_RESTRICTED    0x0010
#endif

/* ---- the groups a logon adds (token_kinds.c) -------------------------------------------------- */
#define SEC_KNOWN_GROUPS 16
struct sec_groups {
    uint8_t sids[SEC_KNOWN_GROUPS][SECURITY_MAX_SID_SIZE] __attribute__((aligned(4)));
    SID_AND_ATTRIBUTES *items; /* room for SEC_KNOWN_GROUPS and `extra` more */
    size_t count;
};
int sec_groups_init(struct sec_groups *g, size_t extra);
void sec_groups_free(struct sec_groups *g);
/* Those of the account, first of all; of a process that hosts services, if `service`. */
void sec_groups_of(struct sec_groups *g, const SID *account, bool service);
void sec_groups_add(struct sec_groups *g, const SID *sid); /* enabled; the SID is not copied */

/* ---- conditional expressions: "artx" and postfix tokens (MS-DTYP 2.4.4.17) -------------------- */
#define SEC_COND_DEPTH 64 /* of the evaluation stack, and of nested parentheses in text */

enum sec_cond_token {
    COND_PAD = 0x00,
    COND_INT8 = 0x01,
    COND_INT16 = 0x02,
    COND_INT32 = 0x03,
    COND_INT64 = 0x04,
    COND_STRING = 0x10,
    COND_OCTETS = 0x18,
    COND_COMPOSITE = 0x50,
    COND_SID = 0x51,
    COND_EQ = 0x80,
    COND_NE = 0x81,
    COND_LT = 0x82,
    COND_LE = 0x83,
    COND_GT = 0x84,
    COND_GE = 0x85,
    COND_CONTAINS = 0x86,
    COND_EXISTS = 0x87,
    COND_ANY_OF = 0x88,
    COND_MEMBER_OF = 0x89,
    COND_DEVICE_MEMBER_OF = 0x8a,
    COND_MEMBER_OF_ANY = 0x8b,
    COND_DEVICE_MEMBER_OF_ANY = 0x8c,
    COND_NOT_EXISTS = 0x8d,
    COND_NOT_CONTAINS = 0x8e,
    COND_NOT_ANY_OF = 0x8f,
    COND_NOT_MEMBER_OF = 0x90,
    COND_NOT_DEVICE_MEMBER_OF = 0x91,
    COND_NOT_MEMBER_OF_ANY = 0x92,
    COND_NOT_DEVICE_MEMBER_OF_ANY = 0x93,
    COND_AND = 0xa0,
    COND_OR = 0xa1,
    COND_NOT = 0xa2,
    COND_LOCAL = 0xf8,
    COND_USER = 0xf9,
    COND_RESOURCE = 0xfa,
    COND_DEVICE = 0xfb,
};
enum sec_cond_class {
    SEC_COND_BAD,
    SEC_COND_LITERAL,
    SEC_COND_ATTRIBUTE,
    SEC_COND_MEMBER,  /* unary, SIDs */
    SEC_COND_EXIST,   /* unary, an attribute */
    SEC_COND_COMPARE, /* binary */
    SEC_COND_LOGIC,   /* && and || */
    SEC_COND_INVERT,  /* ! */
};
enum sec_cond_class sec_cond_class(uint8_t token);
const char *sec_cond_word(uint8_t token);            /* "Member_of", "==" ... or NULL */
int sec_cond_keyword(const char *text, size_t size); /* the token of a word operator, or -1 */
const char *sec_cond_prefix(uint8_t token);          /* "@User." ..., or NULL for a local attribute */

struct sec_cond_item { /* one token of the postfix stream */
    uint8_t token;
    const uint8_t *data; /* the number's 10 bytes, or what stands after the length */
    size_t size;
};
/* Steps through literals, attributes and operators, padding skipped. 1, 0 at the end, -1 when malformed. */
int sec_cond_next(const uint8_t **p, const uint8_t *end, struct sec_cond_item *out);
/* A literal's value; false for composites and attributes. */
bool sec_cond_value(const struct sec_cond_item *item, struct sec_value *out);

/* Text to tokens: reads the expression in parentheses at text[*pos]. On failure -EINVAL, *pos stands where.
 */
int sec_cond_parse(const char *text, size_t size, size_t *pos, struct sec_buf *out);
/* Tokens (with "artx") to text in parentheses. */
int sec_cond_format(const uint8_t *data, size_t size, struct sec_buf *out);
/* An attribute's name as SDDL writes it, escapes included, without its prefix. */
void sec_cond_write_name(struct sec_buf *b, uint8_t token, const uint8_t *name, size_t name_size);
/* The pieces of text that resource attributes share with expressions. */
void sec_skip_space(const char *text, size_t size, size_t *pos);
int sec_read_integer(const char *text, size_t size, size_t *pos, uint64_t *value, uint8_t *sign,
                     uint8_t *base);
int sec_read_string(const char *text, size_t size, size_t *pos, struct sec_buf *utf16);
int sec_read_octets(const char *text, size_t size, size_t *pos, struct sec_buf *out);
/* A name up to a character that cannot stand in one, %XXXX decoded, as UTF-16. */
int sec_read_name(const char *text, size_t size, size_t *pos, bool local, struct sec_buf *utf16);

enum sec_tri { SEC_UNKNOWN = -1, SEC_FALSE = 0, SEC_TRUE = 1 };
struct sec_cond_env {
    const struct sec_token *token; /* or NULL: only the SIDs are known */
    const struct sec_sid_list *sids;
    const uint8_t *sacl; /* where resource attributes are, or NULL */
    bool deny;           /* for a deny ACE: deny-only SIDs and claims count */
};
/* Data without "artx" is UNKNOWN: an application's own callback. Allocates nothing. */
enum sec_tri sec_cond_evaluate(const uint8_t *data, size_t size, const struct sec_cond_env *env);
bool sec_sid_in_list(const struct sec_sid_list *l, const uint8_t *sid, bool first_is_user, bool deny);

#endif

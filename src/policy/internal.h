/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the policy room share: the arena, the record of one object, the note list, the import.
 *
 *   plain.c   a file as netsh writes it                                   -> import_start/text/end
 *   xml.c     all others: bytes, encodings, roots, positions; drives expat -> import_start/text/end
 *   schema.c  which element may stand where and what it means (a table)
 *   import.c  the stack of open elements; fills records as the schema says
 *   values.c  text to numbers, keys, addresses, SIDs, descriptors, flags
 *   load.c    records to bfe objects, in the order of their references; notes
 *   save.c    bfe objects to XML
 *
 * Everything that an import makes lives in one arena, freed with the policy.
 */
#ifndef WEIR_POLICY_INTERNAL_H
#define WEIR_POLICY_INTERNAL_H

#include <expat.h>

#include "policy/inet.h"
#include "policy/policy.h"

/* ---- arena.c ---------------------------------------------------------------------------------------- */
struct arena_chunk;
struct arena {
    struct arena_chunk *chunks;
    char *next, *end;
};
void *arena_alloc(struct arena *a, size_t size);                 /* zeroed, aligned to 16; NULL: no memory */
char *arena_copy(struct arena *a, const char *text, size_t len); /* and a NUL */
void arena_free(struct arena *a);

/* A growing buffer; `failed` sticks. */
struct buffer {
    char *data;
    size_t size, capacity;
    bool failed;
};
void buffer_add(struct buffer *b, const char *data, size_t size);
void buffer_text(struct buffer *b, const char *text);
void buffer_printf(struct buffer *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* As XML character data, or the value of an attribute in double quotes. */
void buffer_escaped(struct buffer *b, const char *text, size_t size, bool attribute);

/*
 * Texts seen before and what they mean: names of keys and constants, SIDs, descriptors, hex blobs. A state
 * repeats a few hundred of them thousands of times.
 */
struct memo_entry {
    const char *text;
    UINT32 hash, size;
    UINT8 kind;
    bool known; /* has a meaning; false: looked up in vain, or newly made */
    union {
        GUID guid;
        UINT64 number;
        FWP_BYTE_BLOB blob;
        SID *sid;
    };
};
struct memo {
    struct memo_entry **slots;
    UINT32 mask, used;
};
/* The entry for this text; *fresh when it was just made (then the caller fills it in). NULL: no memory. */
struct memo_entry *memo_find(struct memo *m, struct arena *a, UINT8 kind, const char *text, size_t size,
                             bool *fresh);
void memo_free(struct memo *m);

/* ---- keys.c ----------------------------------------------------------------------------------------- */
struct key_slot {
    const GUID *key;
    void *value;
};
struct key_set {
    struct key_slot *slots;
    size_t mask, used;
};
/* The slot of this key, made when it was not there (*fresh); the key is not copied. NULL: no memory. */
struct key_slot *key_add(struct key_set *s, const GUID *key, bool *fresh);
bool key_has(const struct key_set *s, const GUID *key);
void *key_get(const struct key_set *s, const GUID *key); /* NULL: not there */
void key_free(struct key_set *s);

/* ---- schema.c --------------------------------------------------------------------------------------- */

/* Where in the file we are: which children an element may have. */
enum context {
    C_DOCUMENT,
    C_STATE,
    C_LAYER_ITEM,
    C_LAYER,
    C_FIELD,
    C_CALLOUT,
    C_FILTER,
    C_CONDITION,
    C_VALUE,
    C_RANGE,
    C_RANGE_VALUE,
    C_V4_MASK,
    C_V6_MASK,
    C_BLOB,
    C_ACTION,
    C_PROVIDER,
    C_PROVIDER_CONTEXT,
    C_CLASSIFY_OPTIONS,
    C_CLASSIFY_OPTION,
    C_SUBLAYER,
    C_SESSION,
    C_ENDPOINT,
    C_EVENT,
    C_EVENT_HEADER,
    C_EVENT_CLASSIFY,
    C_DISPLAY,
    C_LIST,  /* only <item> (or <netEvent>) */
    C_FLAGS, /* <item>NAME</item>, or text */
    C_COUNT
};

/* What to do with an element. */
enum element_kind {
    E_UNKNOWN,
    /* containers */
    E_INTO,    /* go on in context `arg`, object + offset */
    E_NEW,     /* the same in a new zeroed struct of `size`; its address goes to offset */
    E_RECORDS, /* a list of records of kind `arg` */
    E_RECORD,  /* one record of kind `arg` */
    E_ITEMS,   /* a list of structs of `size` in context `arg`; array to offset, count to offset2 */
    E_FLAGS,   /* a UINT32 of named flags to offset */
    E_RAW,     /* known, not modelled: kept as text */
    /* leaves */
    E_IGNORE, /* says nothing that its neighbour does not (asString) */
    E_GUID,   /* of engine_guid_kind `arg`, to offset */
    E_GUID_PTR,
    E_UINT8,
    E_UINT16,
    E_UINT32,
    E_UINT64,
    E_BOOL,    /* BOOL to offset */
    E_BOOL8,   /* bool to offset */
    E_WIDE,    /* WCHAR * */
    E_TEXT,    /* char * */
    E_HEX,     /* FWP_BYTE_BLOB */
    E_SID,     /* SID * */
    E_ENUM,    /* a constant of group `arg`, UINT32 */
    E_ADDRESS, /* FWP_VALUE0: IPv4 or IPv6 as written */
    E_V4,      /* UINT32, host order */
    E_V6,      /* UINT8[16] */
    E_VALUE,   /* the payload of an FWP_VALUE0 (the frame's object), of FWP_DATA_TYPE `arg` */
};

/* Groups of constants (names that an E_ENUM or E_FLAGS may have). */
enum constant_group {
    G_DATA_TYPE,
    G_MATCH_TYPE,
    G_ACTION_TYPE,
    G_FIELD_TYPE,
    G_CONTEXT_TYPE,
    G_CLASSIFY_OPTION,
    G_IP_VERSION,
    G_FILTER_FLAG,
    G_CALLOUT_FLAG,
    G_LAYER_FLAG,
    G_PROVIDER_FLAG,
    G_CONTEXT_FLAG,
    G_SUBLAYER_FLAG,
    G_SESSION_FLAG,
    G_ENDPOINT_FLAG,
    G_EVENT_FLAG,
    G_COUNT
};
struct constant_names {
    const char *prefix; /* that a name must have to belong */
    const char *what;   /* "filter flag" */
};
extern const struct constant_names constant_groups[G_COUNT];

enum record_kind {
    R_SESSION,
    R_LAYER,
    R_CALLOUT,
    R_FILTER,
    R_PROVIDER,
    R_PROVIDER_CONTEXT,
    R_SUBLAYER,
    R_ENDPOINT,
    R_EVENT,
    R_COUNT
};

struct element {
    UINT8 context, kind, arg;
    UINT16 offset, offset2, size;
    const char *name;
};

/* Names to numbers, (context, number) to element: made once an import. */
#define SCHEMA_NAMES 512 /* slots; a power of two well above the number of names */
struct schema {
    const char *names[SCHEMA_NAMES];
    size_t sizes[SCHEMA_NAMES];
    UINT8 lengths[SCHEMA_NAMES];        /* of the name, by row */
    UINT16 rows[C_COUNT][SCHEMA_NAMES]; /* index into the table + 1 */
};
extern const struct element schema_table[]; /* fewer than SCHEMA_NAMES */
void schema_init(struct schema *s);
const struct element *schema_find(const struct schema *s, enum context context, const char *name,
                                  size_t size);

/* What a record of each kind is: its context and its size. */
struct record_type {
    UINT8 context;
    UINT16 size;
    const char *what; /* "filter" */
};
extern const struct record_type record_types[R_COUNT];

/* ---- the import ------------------------------------------------------------------------------------- */

/* A text kept in order of appearance. */
struct part {
    struct part *next;
    const char *text;
};
struct part_list {
    struct part *first, *last;
};

/* Before each object. */
struct record {
    struct record *next;
    size_t at;              /* byte offset in the file */
    struct part_list raw;   /* elements not modelled, as XML */
    struct part_list flags; /* names of flags that Weir does not know */
    const char *unusable;   /* why a filter cannot be judged; NULL: it can */
    const char *source;     /* unusable since read: the item's text in the file, to save it unharmed */
    bool unplaced;          /* the bfe would not take it */
    _Alignas(16) char object[];
};
#define RECORD_OF(pointer) ((struct record *)((char *)(pointer)-offsetof(struct record, object)))

struct record_list {
    struct record *first, **last;
    UINT32 count;
};

/* A part of the file that is kept as text. */
struct section {
    struct section *next;
    bool is_root; /* a root of its own, beside the first */
    const char *name, *xml;
};

struct note_entry {
    struct note_entry *next;
    size_t at;
    struct policy_note note;
};

/* A key that Weir made for a name it does not know. */
struct made_name {
    struct made_name *next;
    GUID key;
    const char *name;
};

/* policy->internal: what save needs beyond the bfe, and all memory. */
struct policy_internal {
    struct arena arena;
    struct record_list records[R_COUNT];
    struct section *sections, **last_section;
    struct made_name *made_names;
    bool plain; /* read by plain.c */
};

struct frame {
    const struct element *row; /* how we came here */
    UINT8 context;
    bool typed, type_known; /* values: <type> was there, and is one that Weir knows */
    bool raw_inside;        /* an element in it is kept as text */
    UINT16 seen;            /* values: FWP_DATA_TYPE of the payload that was there, 0: none; flags: text */
    void *object;
    struct record *record; /* the innermost */
    size_t at;
    UINT64 expected; /* lists: numItems; UINT64_MAX: not given */
    UINT32 count;
};
#define MAX_DEPTH 32 /* the schema nests 12 deep; only <wfpstate> in <wfpstate> could go further */

/* The array that an E_ITEMS list at some depth gathers; reused. */
struct item_array {
    char *data;
    size_t capacity;
};

struct import {
    struct policy *policy;
    struct policy_internal *in;
    struct policy_error *err;
    const char *name;
    const unsigned char *bytes; /* the file, after the BOM */
    size_t size;
    unsigned unit;                 /* bytes a code unit: 1 UTF-8, 2 UTF-16 */
    bool big_endian;               /* of UTF-16 */
    XML_Parser parser;             /* NULL: plain.c reads */
    size_t base;                   /* of the current root's document */
    size_t event_at, event_behind; /* where plain.c is */
    int status;                    /* sticks: 0 or negative errno */
    bool replace;                  /* what the bfe holds goes first, in the same transaction */
    bool root_done;
    bool any_root; /* a root that holds a policy was there */
    struct schema schema;
    struct memo memo;
    UINT16 last_row[C_COUNT];              /* of the schema, by context: the newest element's */
    UINT16 row_after[SCHEMA_NAMES];        /* by row: what came after it, and so probably comes again */
    struct memo_entry *last[SCHEMA_NAMES]; /* by row of the schema: neighbours often say the same */
    struct frame stack[MAX_DEPTH];
    struct item_array items[MAX_DEPTH + 1];
    unsigned depth;
    const struct element *leaf; /* open leaf; its text gathers in `text` */
    size_t leaf_at;
    struct buffer text;
    struct buffer raw; /* an element that is being kept as text */
    unsigned raw_depth;
    bool raw_known;
    size_t raw_at, raw_open; /* raw_open: size of `raw` right after a start tag */
    char raw_name[64];
    struct note_entry *notes;
    UINT32 note_count;
};

/* xml.c */
int xml_read(struct import *im);
void xml_position(const struct import *im, size_t at, unsigned long *line, unsigned long *column);
size_t xml_here(const struct import *im);                    /* offset of the current event */
size_t xml_behind(const struct import *im);                  /* of what follows it */
char *xml_source(struct import *im, size_t from, size_t to); /* the file's text as UTF-8, in the arena; LF */
/* Ends the import: "file:line:col: expected ..., found ...". `at` SIZE_MAX: not about a place. */
void import_fail(struct import *im, size_t at, const char *format, ...) __attribute__((format(printf, 3, 4)));
void import_no_memory(struct import *im);

/* plain.c: reads all of it. False: it is not plain, or something is wrong with it; what was made is of no use. */
bool plain_read(struct import *im);

/* import.c: a reader's events. Names and attributes (pairs, then NULL) end in NUL. Where a root is over is said by
 * `root_done`. */
void import_start(struct import *im, const char *name, size_t size, const char **attributes);
void import_text(struct import *im, const char *text, int size);
void import_end(struct import *im, const char *name, size_t size);
/* plain.c's, for what has no attributes. An element that its parent may have, whose start tag is "<NAME>": its row; *size is
 * NAME's. NULL: it is none, or is to be told of by import_start(). `name` is behind the '<'. */
const struct element *import_row(struct import *im, const char *name, size_t left, size_t *size);
static inline bool import_is_leaf(const struct element *row)
{
    return row->kind >= E_IGNORE;
}
/* In the place of import_start(), _text() and _end(): a leaf with its text, its start tag at `at`. */
void import_leaf(struct import *im, const struct element *row, size_t at, const char *text, size_t size);
/* In the place of import_start(): what is no leaf. */
void import_open(struct import *im, const struct element *row);
const char *import_open_name(const struct import *im); /* the innermost open element that we know of */

/* values.c: 0 or sets the import's status */
void value_leaf(struct import *im, const struct element *e, struct frame *f, const char *text, size_t size,
                size_t at);
/* One name (or hex number) of the flags `list`, a frame that an E_FLAGS row opened. */
void value_flag(struct import *im, struct frame *list, const char *text, size_t size, size_t at);
void value_finish(struct import *im, struct frame *f);
bool part_add(struct import *im, struct part_list *list, const char *text, size_t size);

/* load.c */
int load_records(struct import *im, struct bfe *b);

/* notes.c: a note about `at`; the same text again only counts. SIZE_MAX: the file as a whole. */
void note_add(struct import *im, enum policy_note_kind kind, size_t at, const char *raw, const char *format,
              ...) __attribute__((format(printf, 5, 6)));
int note_finish(struct import *im); /* sorts, finds the lines, hands over to the policy */

/* text.c */
WCHAR *text_wide(struct arena *a, const char *text,
                 size_t size);                            /* UTF-8 (checked by who read it) to UTF-16 */
void text_narrow(struct buffer *b, const WCHAR *text);    /* UTF-16 to UTF-8, unescaped */
bool text_guid(const char *text, size_t size, GUID *out); /* with or without braces */
bool text_hex(const char *text, size_t size, UINT8 *out); /* size / 2 bytes */
bool text_unsigned(const char *text, size_t size, UINT64 max, UINT64 *out); /* decimal or 0x... */
bool text_signed(const char *text, size_t size, INT64 min, INT64 max, INT64 *out);

#endif

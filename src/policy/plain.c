/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plain: an export as netsh writes it, read in one pass over its bytes.
 *
 *   file --plain_read()--> the events of import.c        expat's time is most of an import's
 *             |
 *             +--anything that is not plain, anything wrong--> false: all of it again, by expat (xml.c)
 *
 * Plain is UTF-8 without lone carriage returns, comments, CDATA, DOCTYPE and processing instructions but for the declaration at
 * the beginning; names of ASCII letters, digits, '_', '-' and '.'; at most one attribute, of plain ASCII, in double quotes;
 * of references the five named ones. What is well-formed here is so for expat, with the same events at the same places:
 * text comes in pieces that end where a line, a reference or a tag begins. An import that fails is told of by expat.
 *
 * Each byte is looked at once: blanks between tags are passed over where they stand, leaves without anything odd in them are
 * handed over as they stand.
 */
#include <endian.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "internal.h"

enum { NAME_MOST = 64, VALUE_MOST = 64, DEPTH_MOST = 64 };

/* What a byte is in text, and in a name. */
enum { TEXT = 1, NAME = 2, NAME_START = 4 };
static const UINT8 kinds[256] = {
    ['\t'] = TEXT,
    [' '] = TEXT,
    ['!' ... '%'] = TEXT,
    ['\'' ... ','] = TEXT,
    ['-' ... '.'] = TEXT | NAME,
    ['/'] = TEXT,
    ['0' ... '9'] = TEXT | NAME,
    [':' ... ';'] = TEXT,
    ['=' ... '@'] = TEXT,
    ['A' ... 'Z'] = TEXT | NAME | NAME_START,
    ['['] = TEXT,
    ['\\'] = TEXT,
    ['^'] = TEXT,
    ['_'] = TEXT | NAME | NAME_START,
    ['`'] = TEXT,
    ['a' ... 'z'] = TEXT | NAME | NAME_START,
    ['{' ... 0x7f] = TEXT,
};

struct plain {
    struct import *im;
    const UINT8 *at, *end;
    struct open {
        const UINT8 *name;
        size_t size;
    } open[DEPTH_MOST]; /* elements */
    unsigned depth;
    bool inside; /* of a root */
};

static bool is_blank(UINT8 c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* ---- eight bytes at a time --------------------------------------------------------------------------------- */

#define EACH(c) ((UINT64)(c)*0x0101010101010101u)

/* The first one in the lowest bits. */
static inline UINT64 word_at(const UINT8 *at)
{
    UINT64 w;

    memcpy(&w, at, sizeof(w));
    return le64toh(w);
}

/* Mostly the end of a line and the tabs behind it. */
static inline const UINT8 *skip_blanks(const UINT8 *at, const UINT8 *end)
{
    while (at < end && is_blank(*at)) {
        at++;
        while (end - at >= 8) {
            const UINT64 other = word_at(at) ^ EACH('\t');

            if (other != 0) {
                at += __builtin_ctzll(other) / 8;
                break;
            }
            at += 8;
        }
    }
    return at;
}

#ifdef __SSE2__
typedef signed char lanes __attribute__((vector_size(16)));

/* So many bytes are text that needs no second look: printable ASCII, none that means something. */
static inline size_t plain_size(const UINT8 *at, const UINT8 *end)
{
    const UINT8 *from = at;

    for (; end - at >= 16; at += 16) {
        lanes v;
        int stop;

        memcpy(&v, at, sizeof(v));
        /* as signed numbers, what is not ASCII is below ' ', too */
        stop = _mm_movemask_epi8((__m128i)((v < ' ') | (v == '<') | (v == '&') | (v == ']')));
        if (stop != 0)
            return (size_t)(at - from) + (size_t)__builtin_ctz((unsigned)stop);
    }
    return (size_t)(at - from);
}
#else
static inline size_t plain_size(const UINT8 *at, const UINT8 *end)
{
    const UINT8 *from = at;

    while (at < end && (kinds[*at] & TEXT) != 0 && *at != '\t')
        at++;
    return (size_t)(at - from);
}
#endif

static bool begins(const struct plain *p, const UINT8 *at, const char *with)
{
    const size_t size = strlen(with);

    return (size_t)(p->end - at) >= size && memcmp(at, with, size) == 0;
}

static void event(const struct plain *p, const UINT8 *at, const UINT8 *behind)
{
    p->im->event_at = (size_t)(at - p->im->bytes);
    p->im->event_behind = (size_t)(behind - p->im->bytes);
}

/* ---- text --------------------------------------------------------------------------------------------- */

/* The length of a character of several bytes that XML allows; 0: it is none. */
static size_t wide(const UINT8 *at, const UINT8 *end)
{
    const size_t size = *at >= 0xf0 ? 4 : *at >= 0xe0 ? 3 : 2;
    UINT32 c;

    if (*at < 0xc2 || *at > 0xf4 || (size_t)(end - at) < size)
        return 0;
    c = *at & (0xffu >> (size + 1));
    for (size_t i = 1; i < size; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (at[i] & 0x3f);
    }
    if ((size == 3 && (c < 0x800 || (c >= 0xd800 && c < 0xe000) || c == 0xfffe || c == 0xffff)) ||
        (size == 4 && (c < 0x10000 || c > 0x10ffff)))
        return 0;
    return size;
}

static bool reference(struct plain *p)
{
    static const struct {
        const char *text;
        char is;
    } known[] = {{"&lt;", '<'}, {"&gt;", '>'}, {"&amp;", '&'}, {"&quot;", '"'}, {"&apos;", '\''}};

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (begins(p, p->at, known[i].text)) {
            const UINT8 *behind = p->at + strlen(known[i].text);

            event(p, p->at, behind);
            import_text(p->im, &known[i].is, 1);
            p->at = behind;
            return true;
        }
    }
    return false;
}

/* Up to the next tag. */
static bool text(struct plain *p)
{
    const UINT8 *from;
    size_t size;

    while (p->at < p->end && *p->at != '<') {
        for (from = p->at; p->at < p->end;) {
            p->at += plain_size(p->at, p->end);
            if (p->at == p->end)
                break;
            if (kinds[*p->at] & TEXT)
                p->at++;
            else if (*p->at >= 0x80 && (size = wide(p->at, p->end)) != 0)
                p->at += size;
            else if (*p->at == ']' && !begins(p, p->at, "]]>"))
                p->at++;
            else
                break;
        }
        if (p->at != from) {
            event(p, from, p->at);
            import_text(p->im, (const char *)from, (int)(p->at - from));
            continue;
        }
        if (*p->at == '\n' || begins(p, p->at, "\r\n")) {
            p->at += *p->at == '\n' ? 1 : 2;
            event(p, from, p->at);
            import_text(p->im, "\n", 1);
        } else if (*p->at != '&' || !reference(p)) {
            return false;
        }
    }
    return p->im->status == 0;
}

/* ---- tags --------------------------------------------------------------------------------------------- */

static size_t name_size(const struct plain *p, const UINT8 *at)
{
    size_t n = 0;

    if (at == p->end || (kinds[*at] & NAME_START) == 0)
        return 0;
    while (at + n < p->end && (kinds[at[n]] & NAME) != 0)
        n++;
    return n < NAME_MOST ? n : 0;
}

/* The value between quotes, behind `at`; NULL: not plain. */
static const UINT8 *value(const struct plain *p, const UINT8 *at, char out[VALUE_MOST])
{
    size_t n = 0;

    for (; at < p->end && *at != '"'; at++) {
        if (((kinds[*at] & TEXT) == 0 && *at != ']') || *at == '\t' || n + 1 == VALUE_MOST)
            return NULL;
        out[n++] = (char)*at;
    }
    out[n] = '\0';
    return at == p->end ? NULL : at + 1;
}

static bool end_tag(struct plain *p)
{
    const UINT8 *from = p->at, *at = from + 2;
    const struct open *o = &p->open[p->depth - 1];

    if (p->depth == 0 || (size_t)(p->end - at) <= o->size || memcmp(at, o->name, o->size) != 0)
        return false;
    at = skip_blanks(at + o->size, p->end);
    if (at == p->end || *at != '>')
        return false;
    p->at = at + 1;
    p->depth--;
    event(p, from, p->at);
    import_end(p->im, (const char *)o->name, o->size);
    return p->im->status == 0;
}

static bool start_tag(struct plain *p)
{
    const UINT8 *from = p->at, *at = from + 1;
    const size_t size = name_size(p, at);
    char name[NAME_MOST], key[NAME_MOST], text_of[VALUE_MOST];
    const char *attributes[3] = {NULL, NULL, NULL};
    bool empty;

    if (size == 0 || p->depth == DEPTH_MOST)
        return false;
    memcpy(name, at, size);
    name[size] = '\0';
    at += size;
    if (at < p->end && is_blank(*at)) {
        size_t n;

        at = skip_blanks(at, p->end);
        n = name_size(p, at);
        if (n != 0) {
            memcpy(key, at, n);
            key[n] = '\0';
            if (!begins(p, at + n, "=\"") || (at = value(p, at + n + 2, text_of)) == NULL)
                return false;
            attributes[0] = key;
            attributes[1] = text_of;
            at = skip_blanks(at, p->end);
        }
    }
    empty = at < p->end && *at == '/';
    at += empty;
    if (at >= p->end || *at != '>')
        return false;
    at++;
    p->open[p->depth++] = (struct open){from + 1, size};
    p->at = at;
    event(p, from, at);
    import_start(p->im, name, size, attributes);
    if (empty && p->im->status == 0) {
        p->depth--;
        event(p, at, at);
        import_end(p->im, name, size);
    }
    return p->im->status == 0;
}

/*
 * Most elements: no attributes, their parent may have them; of leaves the text is plain, and both tags are read. False: nothing
 * was done, and it is read as all others.
 */
static bool known_element(struct plain *p)
{
    struct import *im = p->im;
    const UINT8 *from = p->at, *name = from + 1, *text, *behind;
    size_t size, length;
    const struct element *row = import_row(im, (const char *)name, (size_t)(p->end - name), &size);

    if (row == NULL || p->depth == DEPTH_MOST)
        return false;
    text = name + size + 1;
    if (!import_is_leaf(row)) {
        p->open[p->depth++] = (struct open){name, size};
        p->at = text;
        event(p, from, text);
        import_open(im, row);
        return true;
    }
    length = plain_size(text, p->end);
    behind = text + length;
    if ((size_t)(p->end - behind) < size + 3 || behind[0] != '<' || behind[1] != '/' ||
        behind[size + 2] != '>' || memcmp(behind + 2, name, size) != 0)
        return false;
    p->at = behind + size + 3;
    event(p, behind, p->at);
    import_leaf(im, row, (size_t)(from - im->bytes), (const char *)text, length);
    return true;
}

/* ---- the file ----------------------------------------------------------------------------------------- */

static bool declaration(struct plain *p)
{
    static const char *const known[] = {
        "<?xml version=\"1.0\"?>",
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>",
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>",
        "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>",
    };

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (begins(p, p->at, known[i])) {
            p->at += strlen(known[i]);
            return true;
        }
    }
    return false;
}

static bool root(struct plain *p)
{
    struct import *im = p->im;

    if (begins(p, p->at, "<?") && !declaration(p))
        return false;
    p->at = skip_blanks(p->at, p->end);
    im->root_done = false;
    if (p->at == p->end || *p->at != '<' || !start_tag(p))
        return false;
    while (!im->root_done) {
        if (im->leaf == NULL && im->raw_depth == 0) {
            /* between tags: nobody hears of blanks */
            const UINT8 *at = skip_blanks(p->at, p->end);

            if (at < p->end && *at == '<') {
                p->at = at;
                if (known_element(p)) {
                    if (im->status != 0)
                        return false;
                    continue;
                }
            }
        }
        if (p->at == p->end)
            return false;
        if (*p->at != '<') {
            if (!text(p))
                return false;
        } else if (p->at + 1 < p->end && p->at[1] == '/') {
            if (!end_tag(p))
                return false;
        } else if (!start_tag(p)) {
            return false;
        }
    }
    return p->depth == 0;
}

bool plain_read(struct import *im)
{
    static const UINT8 mark[3] = {0xef, 0xbb, 0xbf};
    struct plain p = {.im = im};

    if (im->size >= sizeof(mark) && memcmp(im->bytes, mark, sizeof(mark)) == 0) {
        im->bytes += sizeof(mark);
        im->size -= sizeof(mark);
    }
    p.at = im->bytes;
    p.end = im->bytes + im->size;
    do {
        if (!root(&p))
            return false;
        p.at = skip_blanks(p.at, p.end);
    } while (p.at < p.end);
    return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes to events by expat, for what is not plain.c's: encodings, the roots one after another, and where in the file we
 * are; and the door of the import: plain.c first.
 *
 * netsh writes two root elements into one file, which XML does not allow: expat is stopped where a root
 * closes and a fresh parse starts behind it. Places are kept as byte offsets of the whole file and only
 * turned into line and column when somebody is to read them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"

#define PIECE    (64 * 1024)
#define MAX_FILE ((size_t)1 << 30)

size_t xml_here(const struct import *im)
{
    if (im->parser == NULL)
        return im->event_at;
    XML_Index at = XML_GetCurrentByteIndex(im->parser);
    return im->base + (at < 0 ? 0 : (size_t)at);
}

size_t xml_behind(const struct import *im)
{
    if (im->parser == NULL)
        return im->event_behind;
    return xml_here(im) + (size_t)XML_GetCurrentByteCount(im->parser);
}

/* The code unit at `at`; 0 past the end. */
static unsigned unit_at(const struct import *im, size_t at)
{
    if (at + im->unit > im->size)
        return 0;
    if (im->unit == 1)
        return im->bytes[at];
    return (unsigned)im->bytes[at + !im->big_endian] << 8 | im->bytes[at + im->big_endian];
}

void xml_position(const struct import *im, size_t at, unsigned long *line, unsigned long *column)
{
    *line = *column = 1;
    if (at > im->size)
        at = im->size;
    for (size_t i = 0; i + im->unit <= at; i += im->unit) {
        unsigned c = unit_at(im, i);
        if (c == '\n') {
            ++*line;
            *column = 1;
        } else if (im->unit == 1 ? (c & 0xc0) != 0x80 : (c & 0xfc00) != 0xdc00) {
            ++*column; /* characters, not bytes */
        }
    }
}

char *xml_source(struct import *im, size_t from, size_t to)
{
    struct buffer b = {0};
    if (im->unit == 1) {
        buffer_add(&b, (const char *)im->bytes + from, to - from);
    } else {
        WCHAR *wide = malloc(to - from + sizeof(WCHAR));
        size_t n = 0;
        b.failed = wide == NULL;
        for (size_t at = from; wide != NULL && at + 2 <= to; at += 2)
            wide[n++] = (WCHAR)unit_at(im, at);
        if (wide != NULL) {
            wide[n] = 0;
            text_narrow(&b, wide);
        }
        free(wide);
    }
    char *text = b.failed ? NULL : arena_alloc(&im->in->arena, b.size + 1);
    size_t n = 0;
    for (size_t i = 0; text != NULL && i < b.size; i++) {
        if (b.data[i] != '\r' || i + 1 == b.size || b.data[i + 1] != '\n')
            text[n++] = b.data[i];
    }
    free(b.data);
    if (text == NULL)
        import_no_memory(im);
    return text;
}

void import_fail(struct import *im, size_t at, const char *format, ...)
{
    if (im->status != 0)
        return;
    im->status = -EINVAL;
    if (im->parser != NULL)
        XML_StopParser(im->parser, XML_FALSE);
    struct policy_error *err = im->err;
    int n;
    if (at == SIZE_MAX) {
        err->line = err->column = 0;
        n = snprintf(err->text, sizeof(err->text), "%s: ", im->name);
    } else {
        xml_position(im, at, &err->line, &err->column);
        n = snprintf(err->text, sizeof(err->text), "%s:%lu:%lu: ", im->name, err->line, err->column);
    }
    if (n < 0 || (size_t)n >= sizeof(err->text))
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(err->text + n, sizeof(err->text) - (size_t)n, format, args);
    va_end(args);
    /* one line, whatever stood in the file */
    for (char *c = err->text; *c != '\0'; c++) {
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = ' ';
    }
}

void import_no_memory(struct import *im)
{
    if (im->status != 0)
        return;
    im->status = -ENOMEM;
    if (im->parser != NULL)
        XML_StopParser(im->parser, XML_FALSE);
    im->err->line = im->err->column = 0;
    snprintf(im->err->text, sizeof(im->err->text), "%s: out of memory", im->name);
}

/* What stands at `at`, for a message: up to a few words of its line. */
static void excerpt(const struct import *im, size_t at, char out[48])
{
    size_t n = 0;
    for (; n < 40 && at + im->unit <= im->size; at += im->unit) {
        unsigned c = unit_at(im, at);
        if (c == '\n' || c == '\r')
            break;
        out[n++] = c >= ' ' && c < 0x7f ? (char)c : '?';
        if (c == '>')
            break;
    }
    out[n] = '\0';
}

/* expat gave up: say so in our words. */
static void syntax_error(struct import *im)
{
    enum XML_Error code = XML_GetErrorCode(im->parser);
    size_t at = xml_here(im);
    char found[48];
    if (code == XML_ERROR_TAG_MISMATCH && at >= 2 * im->unit)
        at -= 2 * im->unit; /* expat points behind "</" */
    excerpt(im, at, found);
    const char *open = import_open_name(im);
    if (code == XML_ERROR_NO_MEMORY) {
        import_no_memory(im);
    } else if (code == XML_ERROR_NO_ELEMENTS || code == XML_ERROR_UNCLOSED_TOKEN ||
               code == XML_ERROR_PARTIAL_CHAR || code == XML_ERROR_UNCLOSED_CDATA_SECTION || at >= im->size) {
        if (open[0] != '\0')
            import_fail(im, im->size, "expected </%s>, found the end of the file", open);
        else if (!im->any_root)
            import_fail(im, im->size,
                        "expected <wfpstate>, <wfpdiag> or <netEvents>, found the end of the file");
        else
            import_fail(im, im->size, "expected the end of a tag, found the end of the file");
    } else if (code == XML_ERROR_TAG_MISMATCH) {
        import_fail(im, at, "expected </%s>, found \"%s\"", open, found);
    } else if (code == XML_ERROR_UNKNOWN_ENCODING || code == XML_ERROR_INCORRECT_ENCODING) {
        import_fail(im, at, "expected UTF-8 or UTF-16, found another encoding in \"%s\"", found);
    } else if (!im->any_root) {
        import_fail(im, at, "expected XML (<wfpstate>, <wfpdiag> or <netEvents>), found \"%s\" (%s)", found,
                    XML_ErrorString(code));
    } else {
        import_fail(im, at, "expected well-formed XML, found \"%s\" (%s)", found, XML_ErrorString(code));
    }
}

/* ---- expat's handlers ---------------------------------------------------------------------------------- */

static void XMLCALL element_start(void *ctx, const XML_Char *name, const XML_Char **attributes)
{
    import_start(ctx, name, strlen(name), attributes);
}

static void XMLCALL element_end(void *ctx, const XML_Char *name)
{
    struct import *im = ctx;
    import_end(im, name, strlen(name));
    if (im->root_done)
        XML_StopParser(im->parser, XML_FALSE);
}

static void XMLCALL element_text(void *ctx, const XML_Char *text, int size)
{
    import_text(ctx, text, size);
}

static void XMLCALL no_doctype(void *ctx, const XML_Char *name, const XML_Char *system,
                               const XML_Char *public, int has)
{
    struct import *im = ctx;
    (void)system, (void)public, (void)has;
    /* netsh writes none; entities are only good for blowing up a reader */
    import_fail(im, xml_here(im), "expected an element, found a DOCTYPE (%.40s)", name);
}

static void set_handlers(struct import *im)
{
    XML_SetUserData(im->parser, im);
    XML_SetElementHandler(im->parser, element_start, element_end);
    XML_SetCharacterDataHandler(im->parser, element_text);
    XML_SetStartDoctypeDeclHandler(im->parser, no_doctype);
}

/* ---- roots ---------------------------------------------------------------------------------------------- */

/* One root element. Sets base for the next; *end when nothing but blanks and comments was left. */
static int read_root(struct import *im, const char *encoding, bool first, bool *end)
{
    *end = false;
    while (im->base + im->unit <=
           im->size) { /* an XML declaration may not follow blanks; nothing else minds */
        unsigned c = unit_at(im, im->base);
        if (c != ' ' && c != '\t' && c != '\r' && c != '\n' && !(c == 0 && !first))
            break;
        im->base += im->unit;
    }
    if (im->base + im->unit > im->size && !first) {
        *end = true;
        return 0;
    }
    if (im->parser == NULL) {
        im->parser = XML_ParserCreate(encoding);
    } else if (XML_ParserReset(im->parser, encoding) != XML_TRUE) {
        import_no_memory(im);
        return im->status;
    }
    if (im->parser == NULL) {
        import_no_memory(im);
        return im->status;
    }
    set_handlers(im);
    im->root_done = false;
    /* In one call: between calls expat would walk over all bytes once more to count lines. */
    enum XML_Status ok =
        XML_Parse(im->parser, (const char *)im->bytes + im->base, (int)(im->size - im->base), XML_TRUE);
    if (im->status != 0)
        return im->status;
    if (im->root_done) {
        im->base = xml_behind(im);
        return 0;
    }
    /* comments behind the last root are no root */
    if (ok != XML_STATUS_OK && !first && im->depth == 1 &&
        XML_GetErrorCode(im->parser) == XML_ERROR_NO_ELEMENTS) {
        *end = true;
        return 0;
    }
    syntax_error(im);
    return im->status;
}

int xml_read(struct import *im)
{
    const unsigned char *b = im->bytes;
    const char *encoding = NULL; /* as declared, UTF-8 otherwise */
    size_t bom = 0;
    im->unit = 1;
    if (im->size >= 3 && b[0] == 0xef && b[1] == 0xbb && b[2] == 0xbf) {
        bom = 3;
        encoding = "UTF-8";
    } else if (im->size >= 2 && ((b[0] == 0xff && b[1] == 0xfe) || (b[0] == '<' && b[1] == 0))) {
        bom = b[0] == '<' ? 0 : 2;
        im->unit = 2;
        encoding =
            "UTF-16LE"; /* a shell's redirection re-codes netsh's text and leaves "UTF-8" declared in it */
    } else if (im->size >= 2 && ((b[0] == 0xfe && b[1] == 0xff) || (b[0] == 0 && b[1] == '<'))) {
        bom = b[0] == 0 ? 0 : 2;
        im->unit = 2;
        im->big_endian = true;
        encoding = "UTF-16BE";
    }
    im->bytes += bom;
    im->size -= bom;
    for (bool first = true, end = false; !end; first = false) {
        int rc = read_root(im, encoding, first, &end);
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* ---- the door: loading ------------------------------------------------------------------------------ */

static void import_free(struct import *im)
{
    if (im == NULL)
        return;
    if (im->parser != NULL)
        XML_ParserFree(im->parser);
    for (size_t i = 0; i < sizeof(im->items) / sizeof(im->items[0]); i++)
        free(im->items[i].data);
    free(im->text.data);
    free(im->raw.data);
    memo_free(&im->memo);
    if (im->in != NULL) { /* nobody took it over */
        arena_free(&im->in->arena);
        free(im->in);
    }
    free(im);
}

/* An import at its beginning; NULL: no memory. */
static struct import *import_new(const char *name, const char *text, size_t size, bool replace,
                                 struct policy_error *err)
{
    struct import *im = calloc(1, sizeof(*im));

    if (im == NULL || (im->in = calloc(1, sizeof(*im->in))) == NULL)
        goto fail;
    im->policy = arena_alloc(&im->in->arena, sizeof(*im->policy));
    if (im->policy == NULL || (im->policy->file = arena_copy(&im->in->arena, name, strlen(name))) == NULL)
        goto fail;
    im->policy->internal = im->in;
    im->in->last_section = &im->in->sections;
    for (int i = 0; i < R_COUNT; i++)
        im->in->records[i].last = &im->in->records[i].first;
    im->err = err;
    im->name = name;
    im->replace = replace;
    im->bytes = (const unsigned char *)text;
    im->size = size;
    im->unit = 1;
    schema_init(&im->schema);
    im->stack[0] = (struct frame){.context = C_DOCUMENT, .object = im->policy, .expected = UINT64_MAX};
    im->depth = 1;
    return im;
fail:
    import_free(im);
    return NULL;
}

static int load_memory(struct bfe *b, const char *name, const char *text, size_t size, bool replace,
                       struct policy **out, struct policy_error *err)
{
    struct policy_error unread, unsaid; /* of plain.c: what is wrong is said by expat's reader */
    struct import *im;
    int rc = -ENOMEM;

    *out = NULL;
    if (err == NULL)
        err = &unread;
    *err = (struct policy_error){0};
    im = import_new(name, text, size, replace, &unsaid);
    if (im != NULL && size <= MAX_FILE && plain_read(im)) {
        im->in->plain = true;
    } else if (im != NULL) {
        import_free(im);
        im = import_new(name, text, size, replace, err);
        if (im != NULL && size > MAX_FILE)
            import_fail(im, SIZE_MAX, "expected at most 1 GiB, found %zu bytes", size);
        else if (im != NULL)
            (void)xml_read(im);
    }
    if (im == NULL) {
        snprintf(err->text, sizeof(err->text), "%s: out of memory", name);
        return rc;
    }
    im->err = err;
    rc = im->status == 0 ? load_records(im, b) : im->status;
    if (rc == 0) {
        *out = im->policy;
        im->in = NULL; /* belongs to the policy now */
    }
    import_free(im);
    return rc;
}

static int read_all(int fd, struct buffer *b)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return -errno;
    size_t want = S_ISREG(st.st_mode) && (size_t)st.st_size < MAX_FILE ? (size_t)st.st_size + 1 : PIECE;
    for (;;) {
        if (b->size > MAX_FILE)
            return -EFBIG;
        if (b->capacity - b->size < want) {
            char *data = realloc(b->data, b->size + want);
            if (data == NULL)
                return -ENOMEM;
            b->data = data;
            b->capacity = b->size + want;
        }
        ssize_t n = read(fd, b->data + b->size, b->capacity - b->size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return 0;
        b->size += (size_t)n;
        want = b->size < b->capacity ? 1 : b->size; /* the end may be next */
    }
}

static int load_file(struct bfe *b, const char *path, bool replace, struct policy **out,
                     struct policy_error *err)
{
    struct policy_error unread;
    struct buffer text = {0};
    *out = NULL;
    if (err == NULL)
        err = &unread;
    *err = (struct policy_error){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int rc = fd < 0 ? -errno : read_all(fd, &text);
    if (fd >= 0)
        close(fd);
    if (rc != 0)
        snprintf(err->text, sizeof(err->text), "%s: expected a readable file, found: %s", path,
                 strerror(-rc));
    else
        rc = load_memory(b, path, text.data, text.size, replace, out, err);
    free(text.data);
    return rc;
}

void policy_free(struct policy *p)
{
    if (p == NULL)
        return;
    struct policy_internal *in = p->internal;
    arena_free(&in->arena); /* the policy itself lies in it */
    free(in);
}

int policy_load_memory(struct bfe *b, const char *name, const char *text, size_t size, struct policy **out,
                       struct policy_error *err)
{
    return load_memory(b, name, text, size, false, out, err);
}

int policy_load_file(struct bfe *b, const char *path, struct policy **out, struct policy_error *err)
{
    return load_file(b, path, false, out, err);
}

int policy_replace_memory(struct bfe *b, const char *name, const char *text, size_t size, struct policy **out,
                          struct policy_error *err)
{
    return load_memory(b, name, text, size, true, out, err);
}

int policy_replace_file(struct bfe *b, const char *path, struct policy **out, struct policy_error *err)
{
    return load_file(b, path, true, out, err);
}

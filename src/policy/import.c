/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The import proper: a reader's events (plain.c, xml.c) against the schema. A stack of open containers, at most one open
 * leaf, and a mode (raw_depth) in which an element nobody models is written down as text until it closes.
 *
 * Invariant: a frame's `object` points to zeroed memory of the struct that its context describes, and a leaf
 * writes only within it. Once `status` is set nothing more happens: a reader may still deliver a few events.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

static const struct element flag_item = {.context = C_FLAGS, .kind = E_TEXT, .name = "item"};
static const struct element list_item = {.context = C_LIST, .kind = E_ITEMS, .name = "item"};

const char *import_open_name(const struct import *im)
{
    if (im->raw_depth > 0)
        return im->raw_name;
    if (im->leaf != NULL)
        return im->leaf->name;
    const struct frame *top = &im->stack[im->depth - 1];
    return top->row == NULL ? im->depth > 1 ? "item" : "" : top->row->name;
}

/* "a filter", or the element's name when it is in no record. */
static const char *where(const struct import *im, const struct frame *f)
{
    for (int i = 0; i < R_COUNT; i++) {
        for (unsigned d = im->depth; f->record != NULL && d-- > 0;) {
            if (im->stack[d].context == record_types[i].context)
                return record_types[i].what;
        }
    }
    return f->row == NULL ? "file" : f->row->name;
}

bool part_add(struct import *im, struct part_list *list, const char *text, size_t size)
{
    struct part *part = arena_alloc(&im->in->arena, sizeof(*part));
    char *copy = part == NULL ? NULL : arena_copy(&im->in->arena, text, size);
    if (copy == NULL) {
        import_no_memory(im);
        return false;
    }
    part->text = copy;
    if (list->last != NULL)
        list->last->next = part;
    else
        list->first = part;
    list->last = part;
    return true;
}

/* ---- an element kept as text ------------------------------------------------------------------------ */

static void raw_tag(struct import *im, const char *name, const char **attributes)
{
    buffer_text(&im->raw, "<");
    buffer_text(&im->raw, name);
    for (; attributes[0] != NULL; attributes += 2) {
        buffer_printf(&im->raw, " %s=\"", attributes[0]);
        buffer_escaped(&im->raw, attributes[1], strlen(attributes[1]), true);
        buffer_text(&im->raw, "\"");
    }
    buffer_text(&im->raw, ">");
    im->raw_open = im->raw.size;
}

static void raw_start(struct import *im, const char *name, const char **attributes)
{
    im->raw_depth++;
    raw_tag(im, name, attributes);
}

/* The element is complete: to its record, or a section of its own; and a note unless it is empty and known.
 */
static void raw_finish(struct import *im)
{
    struct frame *top = &im->stack[im->depth - 1];
    bool empty =
        im->raw.size >= 2 && im->raw.data[im->raw.size - 2] == '/' && strchr(im->raw.data, ' ') == NULL;
    const char *text;
    if (im->raw.failed) {
        import_no_memory(im);
        return;
    }
    if (top->record != NULL) {
        if (!part_add(im, &top->record->raw, im->raw.data, im->raw.size))
            return;
        text = top->record->raw.last->text;
    } else {
        struct section *section = arena_alloc(&im->in->arena, sizeof(*section));
        char *xml = section == NULL ? NULL : arena_copy(&im->in->arena, im->raw.data, im->raw.size);
        char *name = xml == NULL ? NULL : arena_copy(&im->in->arena, im->raw_name, strlen(im->raw_name));
        if (name == NULL) {
            import_no_memory(im);
            return;
        }
        *section = (struct section){.is_root = top->context == C_DOCUMENT, .name = name, .xml = xml};
        *im->in->last_section = section;
        im->in->last_section = &section->next;
        text = xml;
    }
    top->raw_inside = true;
    if (!im->raw_known)
        note_add(im, POLICY_NOTE_UNKNOWN, im->raw_at, text, "<%s> in a %s: unknown to Weir, kept as text",
                 im->raw_name, where(im, top));
    else if (!empty)
        note_add(im, POLICY_NOTE_KEPT, im->raw_at, text, "<%s>%s%s: kept as text, takes no part in decisions",
                 im->raw_name, top->record == NULL ? "" : " of a ",
                 top->record == NULL ? "" : where(im, top));
    if (top->context == C_DOCUMENT)
        im->root_done = true;
}

static void raw_end(struct import *im, const char *name, size_t size)
{
    if (im->raw.size == im->raw_open && im->raw.size > 0) {
        im->raw.data[im->raw.size - 1] = '/';
        buffer_text(&im->raw, ">");
        im->raw_open = 0; /* "/>" closes this one; the parent is not empty */
    } else {
        buffer_add(&im->raw, "</", 2);
        buffer_add(&im->raw, name, size);
        buffer_add(&im->raw, ">", 1);
    }
    if (--im->raw_depth > 0)
        return;
    buffer_add(&im->raw, "", 1); /* for strchr above */
    im->raw.size -= !im->raw.failed;
    raw_finish(im);
}

static void raw_begin(struct import *im, const char *name, const char **attributes, bool known)
{
    im->raw.size = 0;
    im->raw_depth = 1;
    im->raw_known = known;
    im->raw_at = xml_here(im);
    size_t n = strnlen(name, sizeof(im->raw_name) - 1);
    memcpy(im->raw_name, name, n);
    im->raw_name[n] = '\0';
    raw_tag(im, name, attributes);
}

/* ---- containers ------------------------------------------------------------------------------------- */

static struct frame *push(struct import *im, const struct element *row, enum context context, void *object)
{
    if (im->depth == MAX_DEPTH) {
        import_fail(im, xml_here(im), "expected at most %d nested elements, found another <%s>", MAX_DEPTH,
                    row == NULL ? "item" : row->name);
        return NULL;
    }
    struct frame *f = &im->stack[im->depth];
    *f = (struct frame){.row = row,
                        .context = (UINT8)context,
                        .object = object,
                        .record = im->depth > 0 ? f[-1].record : NULL,
                        .at = xml_here(im),
                        .expected = UINT64_MAX};
    im->depth++;
    return f;
}

static void begin_record(struct import *im, const struct element *row, enum record_kind kind)
{
    const struct record_type *type = &record_types[kind];
    struct record *r = arena_alloc(&im->in->arena, sizeof(*r) + type->size);
    if (r == NULL) {
        import_no_memory(im);
        return;
    }
    struct frame *f = push(im, row, type->context, r->object);
    if (f == NULL)
        return;
    struct record_list *list = &im->in->records[kind];
    r->at = f->at;
    f->record = r;
    *list->last = r;
    list->last = &r->next;
    list->count++;
}

/* The next item of the list `list` on top of the stack. */
static void begin_item(struct import *im, struct frame *list)
{
    const struct element *row = list->row;
    list->count++;
    if (row->kind == E_RECORDS) {
        if (row->arg == R_COUNT)
            push(im, NULL, C_LAYER_ITEM, im->policy);
        else
            begin_record(im, NULL, row->arg);
        return;
    }
    struct item_array *items = &im->items[im->depth];
    size_t needed = (size_t)list->count * row->size;
    if (needed > items->capacity) {
        size_t capacity = needed < 1024 ? 1024 : needed * 2;
        char *data = realloc(items->data, capacity);
        if (data == NULL) {
            import_no_memory(im);
            return;
        }
        items->data = data;
        items->capacity = capacity;
    }
    void *item = items->data + needed - row->size;
    memset(item, 0, row->size);
    push(im, NULL, row->arg, item);
}

static void end_list(struct import *im, struct frame *f)
{
    if (f->expected != UINT64_MAX && f->expected != f->count)
        note_add(im, POLICY_NOTE_DIFFERS, f->at, NULL, "<%s> says numItems=\"%llu\" and holds %u",
                 f->row->name, f->expected, f->count);
    if (f->row->kind != E_ITEMS || f->count == 0)
        return;
    size_t size = (size_t)f->count * f->row->size;
    void *array = arena_alloc(&im->in->arena, size);
    if (array == NULL) {
        import_no_memory(im);
        return;
    }
    /* the item array is of the depth that the items had: this frame is popped already */
    memcpy(array, im->items[im->depth + 1].data, size);
    /* a list may come twice only in a damaged file; the later one counts */
    *(void **)((char *)f->object + f->row->offset) = array;
    *(UINT32 *)((char *)f->object + f->row->offset2) = f->count;
}

static void begin_list(struct import *im, const struct element *row, void *object, const char **attributes)
{
    struct frame *f = push(im, row, row->kind == E_FLAGS ? C_FLAGS : C_LIST, object);
    if (f == NULL)
        return;
    if (row->kind == E_FLAGS)
        im->text.size = 0;
    for (; attributes[0] != NULL; attributes += 2) {
        if (strcmp(attributes[0], "numItems") == 0 &&
            !text_unsigned(attributes[1], strlen(attributes[1]), UINT32_MAX, &f->expected))
            import_fail(im, f->at, "expected a number in numItems, found \"%.40s\"", attributes[1]);
    }
}

/* ---- events ------------------------------------------------------------------------------------------- */

static void unknown_attributes(struct import *im, const char *name, const char **attributes)
{
    for (; attributes[0] != NULL; attributes += 2) {
        if (strcmp(attributes[0], "numItems") != 0)
            note_add(im, POLICY_NOTE_UNKNOWN, xml_here(im), NULL,
                     "attribute %s=\"%s\" of <%s>: unknown to Weir", attributes[0], attributes[1], name);
    }
}

/* An element that is modelled. */
static void row_start(struct import *im, const struct element *row, const char **attributes)
{
    struct frame *top = &im->stack[im->depth - 1];
    char *object = (char *)top->object + row->offset;
    switch ((enum element_kind)row->kind) {
    case E_INTO:
        push(im, row, row->arg, object);
        break;
    case E_NEW: {
        void *made = arena_alloc(&im->in->arena, row->size);
        if (made == NULL) {
            import_no_memory(im);
            break;
        }
        *(void **)object = made;
        top->seen = row->offset2;
        push(im, row, row->arg, made);
        break;
    }
    case E_RECORDS:
    case E_ITEMS:
    case E_FLAGS:
        begin_list(im, row, top->object, attributes);
        break;
    case E_RECORD:
        begin_record(im, row, row->arg);
        break;
    default:
        im->leaf = row;
        im->leaf_at = xml_here(im);
        im->text.size = 0;
        break;
    }
}

static void element_start(struct import *im, const char *name, size_t size, const char **attributes)
{
    struct frame *top = &im->stack[im->depth - 1];
    if (attributes[0] != NULL)
        unknown_attributes(im, name, attributes);

    if (im->leaf == NULL && (top->context == C_LIST || top->context == C_FLAGS)) {
        if (strcmp(name, "item") != 0 && (top->context == C_FLAGS || strcmp(name, "netEvent") != 0)) {
            raw_begin(im, name, attributes, false);
        } else if (top->context == C_LIST) {
            begin_item(im, top);
        } else {
            top->count++;
            im->leaf = &flag_item;
            im->leaf_at = xml_here(im);
            im->text.size = 0;
        }
        return;
    }

    const struct element *row = im->leaf == NULL ? schema_find(&im->schema, top->context, name, size) : NULL;
    if (row != NULL)
        im->last_row[top->context] = (UINT16)(row - schema_table);
    if (top->context == C_DOCUMENT && !im->any_root && (row == NULL || row->kind == E_RAW)) {
        import_fail(im, xml_here(im), "expected <wfpstate>, <wfpdiag> or <netEvents>, found <%.60s>", name);
        return;
    }
    if (row == NULL) {
        raw_begin(im, name, attributes, false);
        return;
    }
    if (row->kind == E_RAW)
        raw_begin(im, name, attributes, true);
    else
        row_start(im, row, attributes);
    if (top->context == C_DOCUMENT)
        im->any_root = true;
}

/* The row of "NAME>" in this context; first the one that came after the newest before. */
static const struct element *row_of(struct import *im, enum context context, const char *name, size_t left,
                                    size_t *size)
{
    UINT16 *guess = &im->row_after[im->last_row[context]];
    const struct element *row = &schema_table[*guess];
    size_t n = im->schema.lengths[*guess];

    if (row->context != context || n >= left || name[n] != '>' || memcmp(name, row->name, n) != 0) {
        const char *behind = memchr(name, '>', left < 64 ? left : 64);

        n = behind == NULL ? 0 : (size_t)(behind - name);
        row = n == 0 ? NULL : schema_find(&im->schema, context, name, n);
        if (row == NULL)
            return NULL;
        *guess = (UINT16)(row - schema_table);
    }
    *size = n;
    return row;
}

const struct element *import_row(struct import *im, const char *name, size_t left, size_t *size)
{
    const enum context context = im->stack[im->depth - 1].context;
    const struct element *row;

    switch (context) {
    case C_DOCUMENT:
        return NULL;
    case C_LIST:
    case C_FLAGS:
        *size = 4;
        if (left < 5 || memcmp(name, "item>", 5) != 0)
            return NULL;
        return context == C_LIST ? &list_item : &flag_item;
    default:
        row = row_of(im, context, name, left, size);
        if (row == NULL || row->kind == E_RAW)
            return NULL;
        im->last_row[context] = (UINT16)(row - schema_table);
        return row;
    }
}

void import_open(struct import *im, const struct element *row)
{
    static const char *const none[] = {NULL};

    if (row == &list_item)
        begin_item(im, &im->stack[im->depth - 1]);
    else
        row_start(im, row, (const char **)(uintptr_t)none);
}

void import_leaf(struct import *im, const struct element *row, size_t at, const char *text, size_t size)
{
    struct frame *top = &im->stack[im->depth - 1];

    if (row == &flag_item) {
        top->count++;
        im->text.size = 0;
        value_flag(im, top, text, size, at);
    } else if (row->kind != E_IGNORE) {
        value_leaf(im, row, top, text, size, at);
    }
}

static void element_end(struct import *im)
{
    if (im->leaf != NULL) {
        const struct element *leaf = im->leaf;
        struct frame *top = &im->stack[im->depth - 1];
        im->leaf = NULL;
        if (im->text.failed)
            import_no_memory(im);
        else if (leaf == &flag_item)
            value_flag(im, top, im->text.data, im->text.size, im->leaf_at);
        else if (leaf->kind != E_IGNORE)
            value_leaf(im, leaf, top, im->text.data, im->text.size, im->leaf_at);
        im->text.size = 0;
        return;
    }
    struct frame *f = &im->stack[--im->depth];
    switch (f->context) {
    case C_LIST:
        end_list(im, f);
        break;
    case C_FLAGS:
        if (f->seen)
            value_flag(im, f, im->text.data, im->text.size, f->at);
        end_list(im, f);
        break;
    case C_VALUE:
    case C_RANGE_VALUE:
        value_finish(im, f);
        break;
    case C_FILTER:
        if (f->record->unusable != NULL)
            f->record->source = xml_source(im, f->at, xml_behind(im));
        break;
    default:
        break;
    }
    im->root_done = im->depth == 1;
}

/* Nearly always a line end or the tabs behind one. */
static bool blank(const char *text, int size)
{
    static const char tabs[8] = {'\t', '\t', '\t', '\t', '\t', '\t', '\t', '\t'};
    int i = 0;
    for (; size - i >= (int)sizeof(tabs) && memcmp(text + i, tabs, sizeof(tabs)) == 0; i += (int)sizeof(tabs))
        continue;
    for (; i < size; i++) {
        if (text[i] != '\t' && text[i] != '\n' && text[i] != ' ' && text[i] != '\r')
            return false;
    }
    return true;
}

void import_text(struct import *im, const char *text, int size)
{
    if (im->status != 0)
        return;
    if (im->raw_depth > 0) {
        buffer_escaped(&im->raw, text, (size_t)size, false);
        return;
    }
    if (im->leaf != NULL) {
        if (im->leaf->kind != E_IGNORE)
            buffer_add(&im->text, text, (size_t)size);
        return;
    }
    if (blank(text, size))
        return;
    struct frame *top = &im->stack[im->depth - 1];
    if (top->context == C_FLAGS) { /* <flags>0</flags> */
        top->seen = 1;
        buffer_add(&im->text, text, (size_t)size);
        return;
    }
    note_add(im, POLICY_NOTE_UNKNOWN, xml_here(im), NULL, "the text \"%.*s\" in <%s>: unknown to Weir",
             size < 60 ? size : 60, text, import_open_name(im));
}

void import_start(struct import *im, const char *name, size_t size, const char **attributes)
{
    if (im->status != 0)
        return;
    if (im->raw_depth > 0)
        raw_start(im, name, attributes);
    else
        element_start(im, name, size, attributes);
}

void import_end(struct import *im, const char *name, size_t size)
{
    if (im->status != 0)
        return;
    if (im->raw_depth > 0)
        raw_end(im, name, size);
    else
        element_end(im);
}

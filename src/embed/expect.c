/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir.h: expectations, and what drivers owe. One that does not hold is told (weir_config.failed) with both sides:
 *
 *   weir_expect: expected 2 events, found 1:
 *       classify, layer ALE_AUTH_CONNECT_V4, verdict block
 *     found:      the events that fit
 *     nearest:    those that fit but for one member or two, and what is different in them
 *     before it:  the last events
 *     the same again: WEIR_SEED=7 ./test        (embed_failed() adds this)
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "embed/watch.h"

#define PAGE    32768u
#define LAST    12u /* events shown */
#define NEAREST 4u
#define SHOWN   8u /* of what fits */

/* ---- text that grows ----------------------------------------------------------------------------------- */

struct page {
    char *text; /* NULL: nothing, or out of memory */
    size_t size, room;
};

static void put(struct page *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(struct page *p, const char *format, ...)
{
    va_list args;
    char *line = NULL, *more;
    int size;

    va_start(args, format);
    size = vasprintf(&line, format, args);
    va_end(args);
    if (size < 0)
        return;
    if (p->size + (size_t)size + 1 > p->room) {
        more = realloc(p->text, 2 * (p->size + (size_t)size + 1));
        if (more == NULL) {
            free(line);
            return;
        }
        p->text = more;
        p->room = 2 * (p->size + (size_t)size + 1);
    }
    memcpy(p->text + p->size, line, (size_t)size + 1);
    p->size += (size_t)size;
    free(line);
}

static void put_tail(struct page *p, struct embed *e)
{
    char *tail = embed_watch_tail(e, LAST);

    if (tail == NULL || tail[0] == '\0')
        put(p, "  nothing has happened yet\n");
    else
        put(p, "  the last events:\n%s", tail);
    free(tail);
}

/* Tells it. The page is gone before, for who is told may leave by longjmp(). */
static bool fail(struct embed *e, const char *call, struct page *p)
{
    char text[PAGE];

    snprintf(text, sizeof text, "%s", p->text != NULL ? p->text : "out of memory");
    for (size_t size = strlen(text); size != 0 && text[size - 1] == '\n'; size--)
        text[size - 1] = '\0';
    free(p->text);
    embed_failed(e, call, "%s", text);
    return false;
}

/* ---- events -------------------------------------------------------------------------------------------- */

struct near {
    uint64_t number;
    unsigned differs;
};
struct search {
    struct embed *e;
    struct embed_matcher matcher;
    size_t found;
    uint64_t shown[SHOWN]; /* the last that fit */
    struct near nearest[NEAREST];
    unsigned near_count;
};

static unsigned how_far(unsigned differs)
{
    return (unsigned)__builtin_popcount(differs) + ((differs & MEMBER_KIND) != 0 ? 2 : 0);
}

static void keep_near(struct search *s, const struct embed_record *r, unsigned differs)
{
    unsigned at = s->near_count;

    if (differs == s->matcher.asked) /* nothing of it fits */
        return;
    while (at > 0 && how_far(s->nearest[at - 1].differs) >= how_far(differs))
        at--; /* of those as near the last */
    if (at == NEAREST)
        return;
    if (s->near_count < NEAREST)
        s->near_count++;
    memmove(&s->nearest[at + 1], &s->nearest[at], (s->near_count - 1 - at) * sizeof s->nearest[0]);
    s->nearest[at] = (struct near){r->number, differs};
}

static bool look(void *ctx, const struct embed_record *r)
{
    struct search *s = ctx;
    const unsigned differs = embed_matcher_differs(s->e, &s->matcher, r);

    if (differs == 0)
        s->shown[s->found++ % SHOWN] = r->number;
    else
        keep_near(s, r, differs);
    return true;
}

static bool count(void *ctx, const struct embed_record *r)
{
    struct search *s = ctx;

    s->found += embed_matcher_differs(s->e, &s->matcher, r) == 0;
    return true;
}

static void put_match(struct page *p, const struct embed_matcher *m)
{
    const struct weir_match *is = m->is;

    put(p, "    %s", embed_event_kind_name(m->kind));
    if (is->layer != NULL)
        put(p, ", layer %s", is->layer);
    if (is->verdict != NULL)
        put(p, ", verdict %s", is->verdict);
    if (is->protocol != 0)
        put(p, ", protocol %u", is->protocol);
    if (is->local != NULL)
        put(p, ", local %s", is->local);
    if (is->remote != NULL)
        put(p, ", remote %s", is->remote);
    if (is->filter_id != 0)
        put(p, ", filter %llu", (unsigned long long)is->filter_id);
    if (is->flow_id != 0)
        put(p, ", flow %llu", (unsigned long long)is->flow_id);
    if (is->process_id != 0)
        put(p, ", process %llu", (unsigned long long)is->process_id);
    if (is->contains != NULL)
        put(p, ", containing \"%s\"", is->contains);
    if (is->since != 0)
        put(p, ", after #%llu", (unsigned long long)is->since);
    put(p, "\n");
}

static void put_record(struct page *p, struct embed *e, uint64_t number, struct embed_record *r)
{
    char own[EMBED_LINE], line[EMBED_LINE];

    number--;
    if (embed_records_next(e, &number, r, own))
        put(p, "    %s\n", embed_record_text(e, r, line));
    r->text = NULL;
}

static void put_difference(struct page *p, unsigned differs, const struct embed_record *r)
{
    static const char *const members[] = {"kind",   "layer",  "verdict", "protocol", "local",
                                          "remote", "filter", "flow",    "process",  "text"};
    const char *between = "      differs in ";
    char text[WEIR_ADDRESS];

    for (unsigned i = 0; i < sizeof members / sizeof members[0]; i++) {
        const unsigned member = 1u << i;

        if ((differs & member) == 0)
            continue;
        put(p, "%s%s", between, members[i]);
        between = ", ";
        if (member == MEMBER_KIND)
            put(p, " (%s)", embed_event_kind_name(r->kind));
        else if (member == MEMBER_LAYER)
            put(p, " (%s)", r->layer != NULL ? r->layer : "none");
        else if (member == MEMBER_VERDICT)
            put(p, " (%s)", r->verdict != NULL ? r->verdict : "none");
        else if (member == MEMBER_PROTOCOL)
            put(p, " (%u)", r->protocol);
        else if (member == MEMBER_LOCAL && r->version != 0)
            put(p, " (%s)", embed_end_format(r->version, &r->local, r->local_port, text));
        else if (member == MEMBER_REMOTE && r->version != 0)
            put(p, " (%s)", embed_end_format(r->version, &r->remote, r->remote_port, text));
        else if (member == MEMBER_FILTER)
            put(p, " (%llu)", (unsigned long long)r->filter_id);
        else if (member == MEMBER_FLOW)
            put(p, " (%llu)", (unsigned long long)r->flow_id);
        else if (member == MEMBER_PROCESS)
            put(p, " (%llu)", (unsigned long long)r->process_id);
    }
    put(p, "\n");
}

static bool tell_events(struct search *s, const char *call, const char *wanted)
{
    const size_t shown = s->found < SHOWN ? s->found : SHOWN;
    struct embed_record r;
    struct page p = {0};

    put(&p, "expected %s, found %zu:\n", wanted, s->found);
    put_match(&p, &s->matcher);
    if (s->found != 0)
        put(&p, "  found%s:\n", s->found > SHOWN ? ", the last of them" : "");
    for (size_t i = 0; i < shown; i++)
        put_record(&p, s->e, s->shown[(s->found - shown + i) % SHOWN], &r);
    if (s->near_count != 0)
        put(&p, "  nearest:\n");
    for (unsigned i = 0; i < s->near_count; i++) {
        put_record(&p, s->e, s->nearest[i].number, &r);
        put_difference(&p, s->nearest[i].differs, &r);
    }
    if (embed_records_lost(s->e) != 0)
        put(&p, "  (%llu events are no longer kept: weir_config.keep_events)\n",
            (unsigned long long)embed_records_lost(s->e));
    put_tail(&p, s->e);
    return fail(s->e, call, &p);
}

static bool expect(const char *call, struct weir *w, const struct weir_match *match, size_t times, bool some)
{
    struct search s = {0};
    char wanted[64];

    if (embed_enter(call, EMBED_ENGINE, w, &s.e) == NULL || !embed_matcher_make(s.e, call, match, &s.matcher))
        return false;
    embed_records_each(s.e, match->since, count, &s);
    if (some ? s.found != 0 : s.found == times)
        return true;
    s.found = 0;
    embed_records_each(s.e, match->since, look, &s);
    if (some)
        snprintf(wanted, sizeof wanted, "an event");
    else
        snprintf(wanted, sizeof wanted, "%zu event%s", times, times == 1 ? "" : "s");
    return tell_events(&s, call, wanted);
}

bool weir_expect(struct weir *w, const struct weir_match *match, size_t times)
{
    return expect(__func__, w, match, times, false);
}

bool weir_expect_some(struct weir *w, const struct weir_match *match)
{
    return expect(__func__, w, match, 0, true);
}

/* ---- sockets ------------------------------------------------------------------------------------------- */

static void put_socket(struct page *p, struct weir_socket *s)
{
    char local[WEIR_ADDRESS], remote[WEIR_ADDRESS];

    put(p, "    %s, local %s, remote %s\n", weir_state_name(weir_state(s)), weir_local(s, local),
        weir_remote(s, remote));
}

bool weir_expect_state(struct weir_socket *s, enum weir_state state)
{
    struct embed *e;
    enum weir_state is;
    struct page p = {0};

    if (EMBED_ENTER(EMBED_SOCKET, s, &e) == NULL)
        return false;
    is = weir_state(s);
    if (is == state)
        return true;
    put(&p, "expected the socket to be %s, it is %s:\n", weir_state_name(state), weir_state_name(is));
    put_socket(&p, s);
    put_tail(&p, e);
    return fail(e, __func__, &p);
}

/* Bytes around the first difference, as text with what cannot be printed in hexadecimal. */
static void put_bytes(struct page *p, const char *whose, const uint8_t *bytes, size_t size, size_t at)
{
    const size_t from = at > 16 ? at - 16 : 0, to = size - from > 48 ? from + 48 : size;

    put(p, "    %s %zu bytes: %s\"", whose, size, from != 0 ? "... " : "");
    for (size_t i = from; i < to; i++) {
        if (bytes[i] == '"' || bytes[i] == '\\')
            put(p, "\\%c", bytes[i]);
        else if (bytes[i] >= ' ' && bytes[i] < 0x7f)
            put(p, "%c", bytes[i]);
        else
            put(p, "\\x%02x", bytes[i]);
    }
    put(p, "\"%s\n", to < size ? " ..." : "");
}

/* All that is there to receive, at most `most` bytes; of what keeps messages apart, one. *end: what came then. */
static size_t receive_all(struct weir_socket *s, bool stream, uint8_t *to, size_t most, long *end)
{
    size_t size = 0;

    *end = 0;
    while (size < most && (*end = weir_receive(s, to + size, most - size, NULL)) > 0) {
        size += (size_t)*end;
        if (!stream)
            break;
    }
    return size;
}

bool weir_expect_received(struct weir_socket *s, const void *bytes, size_t size)
{
    struct embed *e;
    const struct embed_socket *socket = EMBED_ENTER(EMBED_SOCKET, s, &e);
    const uint8_t *wanted = bytes;
    struct page p = {0};
    size_t got, at = 0;
    uint8_t *found;
    long end;

    if (socket == NULL)
        return false;
    if (bytes == NULL && size != 0) {
        embed_failed(e, __func__, "the bytes are NULL, and their size is not 0");
        return false;
    }
    found = malloc(size + 4096);
    if (found == NULL) {
        embed_failed(e, __func__, "out of memory");
        return false;
    }
    got = receive_all(s, socket->kind == WEIR_TCP, found, size + 4096, &end);
    while (at < got && at < size && found[at] == wanted[at])
        at++;
    if (got == size && at == size) {
        free(found);
        return true;
    }
    put(&p, "expected other bytes; they differ from byte %zu on:\n", at);
    put_bytes(&p, "expected", wanted != NULL ? wanted : found, size, at);
    put_bytes(&p, "received", found, got, at);
    if (end < 0 && end != -EAGAIN)
        put(&p, "    then: %s\n", strerror((int)-end));
    free(found);
    put_socket(&p, s);
    put_tail(&p, e);
    return fail(e, __func__, &p);
}

/* ---- what drivers owe ---------------------------------------------------------------------------------- */

struct owed {
    struct embed *e;
    int kind; /* enum ledger_kind; -1: all */
    uint64_t count;
    struct page *p; /* NULL: counted alone */
    unsigned shown;
};

static void owes(void *ctx, const struct ledger_finding *f)
{
    struct owed *o = ctx;

    if (o->kind >= 0 && (int)f->kind != o->kind)
        return;
    o->count++;
}

#define OWED_SHOWN 10

static void owes_in_words(void *ctx, const struct ledger_finding *f)
{
    struct owed *o = ctx;
    char site[256];

    if (o->shown++ < OWED_SHOWN)
        put(o->p, "    %s: %s %llu%s%s%s, since %s\n", f->driver, ledger_kind_name(f->kind),
            (unsigned long long)f->number, f->text != NULL ? " (" : "", f->text != NULL ? f->text : "",
            f->text != NULL ? ")" : "", loader_site(o->e->loader, f->opened, site, sizeof site));
}

static int kind_of(const char *name)
{
    for (int k = 0; k < LEDGER_KINDS; k++)
        if (strcasecmp(ledger_kind_name(k), name) == 0)
            return k;
    return -1;
}

uint64_t weir_outstanding(struct weir *w, const char *kind)
{
    struct owed o = {.kind = -1};
    struct page p = {0};

    if (EMBED_ENTER(EMBED_ENGINE, w, &o.e) == NULL)
        return 0;
    if (kind != NULL && (o.kind = kind_of(kind)) < 0) {
        put(&p, "nothing is called '%s' that drivers can owe; there are:", kind);
        for (int k = 0; k < LEDGER_KINDS; k++)
            put(&p, "%s %s", k != 0 ? "," : "", ledger_kind_name(k));
        (void)fail(o.e, __func__, &p);
        return 0;
    }
    ledger_each(loader_ledger(o.e->loader), NULL, owes, &o);
    return o.count;
}

struct told {
    void (*fn)(void *ctx, const char *line);
    void *ctx;
};

static void tell_line(void *ctx, const struct ledger_finding *f, const char *line)
{
    const struct told *t = ctx;
    char note[2100];

    if (f->fault == LEDGER_NOTE) {
        snprintf(note, sizeof note, "note: %s", line);
        line = note;
    }
    t->fn(t->ctx, line);
}

static size_t findings(struct embed *e, void (*fn)(void *ctx, const char *line), void *ctx)
{
    struct loader_counts c;
    struct told t = {fn, ctx};

    loader_counts(e->loader, &c);
    if (fn != NULL && c.faults + c.notes != 0)
        loader_findings_each(e->loader, tell_line, &t);
    return (size_t)(c.faults + c.notes);
}

size_t weir_findings(struct weir *w, void (*fn)(void *ctx, const char *line), void *ctx)
{
    struct embed *e;

    return EMBED_ENTER(EMBED_ENGINE, w, &e) != NULL ? findings(e, fn, ctx) : 0;
}

static void put_finding(void *ctx, const char *line)
{
    put(ctx, "    %s\n", line);
}

bool weir_expect_clean(struct weir *w)
{
    struct owed o = {.kind = -1};
    struct page p = {0};
    size_t found;

    if (EMBED_ENTER(EMBED_ENGINE, w, &o.e) == NULL)
        return false;
    ledger_each(loader_ledger(o.e->loader), NULL, owes, &o);
    found = findings(o.e, NULL, NULL);
    if (o.count == 0 && found == 0)
        return true;
    put(&p, "expected nothing outstanding and no findings; there are %llu and %zu:\n",
        (unsigned long long)o.count, found);
    if (found != 0)
        (void)findings(o.e, put_finding, &p);
    o.p = &p;
    if (o.count != 0)
        put(&p, "  outstanding:\n");
    ledger_each(loader_ledger(o.e->loader), NULL, owes_in_words, &o);
    if (o.shown > OWED_SHOWN)
        put(&p, "    ... and %u more\n", o.shown - OWED_SHOWN);
    put_tail(&p, o.e);
    return fail(o.e, __func__, &p);
}

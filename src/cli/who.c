/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who owns an endpoint: --who's rules, then what the capture says of a frame's process, then the connections
 * that the export recorded. The first that answers is believed.
 *
 * A who file has one rule a line, seven columns; the first rule that holds counts:
 *
 *   # protocol  local           remote          from      to        program                       user
 *   tcp         *               *:443           *         *         C:\Tools\curl.exe             *
 *   udp         10.0.0.5:*      *:53            *         *         C:\Windows\System32\svchost.exe  "NT
 * SERVICE\Dnscache"
 *   *           *               *               +10       +20       *                             {"user":
 * "SY"}
 *
 * `*` is anything, for program and user: unknown. Addresses may have a prefix length (10.0.0.0/8,
 * [fe80::]/10:*). Columns with spaces stand in double quotes; the user is the rest of the line.
 */
#include "cli/replay.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MOST_RULES 65536

struct end {
    uint8_t version, bits; /* 0: any address */
    bool any_port;
    UINT16 port;
    union wire_addr address;
};

struct rule {
    bool any_protocol;
    uint8_t protocol;
    struct end local, remote;
    UINT64 from, to;
    struct host_owner owner;
    const char *token_text; /* JSON */
};

/* A connection of the export's. */
struct recorded {
    uint8_t protocol;
    struct end local, remote;
    bool has_remote;
    struct host_owner owner;
};

struct process {
    uint32_t index;
    struct host_owner owner;
};

struct who {
    const struct explain_state *state;
    struct explain_arena arena;
    struct rule *rules;
    size_t rule_count, rule_room;
    struct recorded *recorded;
    size_t recorded_count;
    const struct policy *recorded_of;
    struct process **processes; /* by index */
    size_t process_room;
    const struct host_owner *current; /* of the frame worked on */
    const struct engine_field *user_field;
    struct who_counts counts;
};

int who_create(const struct explain_state *s, struct who **out)
{
    *out = calloc(1, sizeof **out);
    if (*out == NULL)
        return -ENOMEM;
    (*out)->state = s;
    (*out)->user_field =
        explain_field_find(engine_layer_by_id(FWPS_LAYER_ALE_AUTH_CONNECT_V4), "ALE_USER_ID");
    return 0;
}

void who_destroy(struct who *w)
{
    if (w == NULL)
        return;
    free(w->rules);
    free(w->processes);
    explain_arena_free(&w->arena);
    free(w);
}

/* ---- reading a line -------------------------------------------------------------------------------------
 */

struct line {
    struct who *w;
    const char *path;
    unsigned long number;
    const char *at;
    UINT64 start_ns;
};

static int bad(const struct line *l, const char *expected, const char *found)
{
    return complain(EXIT_DATA_ERROR, "%s:%lu: expected %s, found %s%s%s", l->path, l->number, expected,
                    *found != '\0' ? "'" : "", *found != '\0' ? found : "the end of the line",
                    *found != '\0' ? "'" : "");
}

/* The next column: a word, or what stands in double quotes. "" at the end; NULL: no memory. */
static const char *column(struct line *l)
{
    const char *from, *close;

    while (*l->at == ' ' || *l->at == '\t')
        l->at++;
    from = l->at;
    if (*from == '"' && (close = strchr(from + 1, '"')) != NULL) {
        l->at = close + 1;
        return explain_strndup(&l->w->arena, from + 1, (size_t)(close - from - 1));
    }
    while (*l->at != '\0' && *l->at != ' ' && *l->at != '\t')
        l->at++;
    return explain_strndup(&l->w->arena, from, (size_t)(l->at - from));
}

/* "*", "ADDRESS[/N][:PORT]", "*:PORT", "[V6][/N]:PORT", "[V6/N]:PORT". */
static bool parse_end(const char *text, struct end *out)
{
    char address[WIRE_ADDR_TEXT + 8];
    const char *port = NULL;
    unsigned bits;
    UINT64 n;
    size_t size = strlen(text);

    *out = (struct end){.any_port = true};
    if (text[0] == '[') {
        const char *close = strchr(text, ']'), *end;

        if (close == NULL)
            return false;
        end = close[1] == '/' ? close + 1 : NULL;
        port = strchr(close, ':');
        if (port == NULL && close[1] != '\0' && end == NULL)
            return false;
        if (end == NULL && port != NULL && port != close + 1)
            return false;
        size = (size_t)(close - text - 1);
        if (size + 5 >= sizeof address)
            return false;
        memcpy(address, text + 1, size);
        if (end != NULL) {
            size_t more = port != NULL ? (size_t)(port - end) : strlen(end);

            if (more > 4)
                return false;
            memcpy(address + size, end, more);
            size += more;
        }
        address[size] = '\0';
        port = port != NULL ? port + 1 : NULL;
    } else {
        const char *colon = strchr(text, ':');

        if (colon != NULL && strchr(colon + 1, ':') == NULL) {
            port = colon + 1;
            size = (size_t)(colon - text);
        }
        if (size >= sizeof address)
            return false;
        memcpy(address, text, size);
        address[size] = '\0';
    }
    if (port != NULL && strcmp(port, "*") != 0) {
        if (!explain_parse_number(port, UINT16_MAX, &n))
            return false;
        out->any_port = false;
        out->port = (UINT16)n;
    }
    if (strcmp(address, "*") == 0)
        return true;
    out->version = wire_addr_parse(address, &out->address, &bits);
    out->bits = (uint8_t)bits;
    return out->version != 0;
}

static int parse_program(struct line *l, const char *text, struct rule *r)
{
    const char *note, *error;
    FWP_BYTE_BLOB *blob;
    int err;

    if (strcmp(text, "*") == 0 || strcmp(text, "-") == 0) {
        r->owner.unknown |= HOST_THING_APP;
        return EXIT_PERMITTED;
    }
    err = explain_app_resolve(l->w->state, &l->w->arena, text, &blob, &note, &error);
    if (err == -ENOMEM)
        return complain(EXIT_OS_ERROR, "out of memory");
    if (err != 0)
        return error != NULL ? complain(EXIT_DATA_ERROR, "%s:%lu: %s", l->path, l->number, error)
                             : bad(l, "a program's path, or *", text);
    r->owner.app_id = blob;
    return EXIT_PERMITTED;
}

/* Who a token is of decides the package as well. */
static int parse_user(struct line *l, const char *text, struct rule *r)
{
    struct explain_value *v = explain_alloc(&l->w->arena, sizeof *v);
    TOKEN_ACCESS_INFORMATION info;
    const char *error = NULL;
    int err;

    r->owner.unknown |= HOST_THING_PROCESS;
    if (strcmp(text, "*") == 0 || strcmp(text, "-") == 0) {
        r->owner.unknown |= HOST_THING_USER | HOST_THING_PACKAGE;
        return EXIT_PERMITTED;
    }
    err = v == NULL ? -ENOMEM : explain_value_parse(&l->w->arena, l->w->user_field, text, v, &error);
    if (err == -ENOMEM)
        return complain(EXIT_OS_ERROR, "out of memory");
    if (err != 0 || v->value.type != FWP_TOKEN_ACCESS_INFORMATION_TYPE)
        return complain(EXIT_DATA_ERROR, "%s:%lu: %s", l->path, l->number,
                        error != NULL ? error : "expected a user: a SID, a name, a token as JSON, or *");
    r->owner.token = v->value.tokenAccessInformation;
    r->token_text = v->token;
    memcpy(&info, r->owner.token->data, sizeof info);
    r->owner.package = info.PackageSid;
    return EXIT_PERMITTED;
}

static int parse_when(struct line *l, const char *what, const char *text, UINT64 any, UINT64 *out)
{
    if (strcmp(text, "*") == 0) {
        *out = any;
        return EXIT_PERMITTED;
    }
    if (replay_time(text, l->start_ns, out))
        return EXIT_PERMITTED;
    return bad(l, what, text);
}

static const char *rest_of_line(struct line *l)
{
    size_t size;

    while (*l->at == ' ' || *l->at == '\t')
        l->at++;
    if (*l->at == '"')
        return column(l);
    size = strlen(l->at);
    return explain_strndup(&l->w->arena, l->at, size);
}

static int parse_rule(struct line *l, struct rule *r)
{
    const char *protocol = column(l), *local = column(l), *remote = column(l), *from = column(l),
               *to = column(l), *program = column(l), *user = rest_of_line(l);
    int status;

    if (l->w->arena.failed)
        return complain(EXIT_OS_ERROR, "out of memory");
    r->any_protocol = strcmp(protocol, "*") == 0;
    if (!r->any_protocol && !explain_parse_protocol(protocol, &r->protocol))
        return bad(l, "a protocol (tcp, udp, icmp, a number up to 255) or *", protocol);
    if (!parse_end(local, &r->local) || *local == '\0')
        return bad(l, "the local end, ADDRESS[/N][:PORT], *:PORT or *", local);
    if (!parse_end(remote, &r->remote) || *remote == '\0')
        return bad(l, "the remote end, ADDRESS[/N][:PORT], *:PORT or *", remote);
    status = parse_when(l, "a time to begin at (+SECONDS, HH:MM:SS, YYYY-MM-DDTHH:MM:SSZ) or *", from, 0,
                        &r->from);
    if (status == EXIT_PERMITTED)
        status = parse_when(l, "a time to end at (+SECONDS, HH:MM:SS, YYYY-MM-DDTHH:MM:SSZ) or *", to,
                            UINT64_MAX, &r->to);
    if (status == EXIT_PERMITTED && *program == '\0')
        return bad(l, "a program's path, or *", "");
    if (status == EXIT_PERMITTED && *user == '\0')
        return bad(l, "a user: a SID, a name, a token as JSON, or *", "");
    if (status == EXIT_PERMITTED)
        status = parse_program(l, program, r);
    return status == EXIT_PERMITTED ? parse_user(l, user, r) : status;
}

int who_read(struct who *w, const char *path, UINT64 start_ns)
{
    struct line l = {.w = w, .path = path, .start_ns = start_ns};
    FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "r");
    char *text = NULL;
    size_t room = 0;
    ssize_t size;
    int status = EXIT_PERMITTED;

    if (f == NULL)
        return complain(EXIT_NO_INPUT, "%s: %s", path, strerror(errno));
    while (status == EXIT_PERMITTED && (size = getline(&text, &room, f)) >= 0) {
        l.number++;
        while (size > 0 && strchr(" \t\r\n", text[size - 1]) != NULL)
            text[--size] = '\0';
        if (l.number == 1 && strncmp(text, "\xef\xbb\xbf", 3) == 0)
            memmove(text, text + 3, (size_t)size - 2);
        l.at = text + strspn(text, " \t");
        if (*l.at == '\0' || *l.at == '#')
            continue;
        if (w->rule_count == MOST_RULES) {
            status = complain(EXIT_DATA_ERROR, "%s:%lu: expected at most %d rules, found more", path,
                              l.number, MOST_RULES);
            break;
        }
        if (w->rule_count == w->rule_room) {
            size_t more = w->rule_room == 0 ? 64 : w->rule_room * 2;
            struct rule *rules = realloc(w->rules, more * sizeof *rules);

            if (rules == NULL) {
                status = complain(EXIT_OS_ERROR, "out of memory");
                break;
            }
            w->rules = rules;
            w->rule_room = more;
        }
        w->rules[w->rule_count] = (struct rule){0};
        status = parse_rule(&l, &w->rules[w->rule_count]);
        w->rule_count += status == EXIT_PERMITTED;
    }
    if (status == EXIT_PERMITTED && ferror(f))
        status = complain(EXIT_NO_INPUT, "%s: cannot be read", path);
    if (f != stdin)
        fclose(f);
    free(text);
    w->counts.rules = w->rule_count;
    return status;
}

/* ---- the export's own connections -------------------------------------------------------------------------
 */

static bool end_of(const FWP_VALUE0 *v, UINT16 port, struct end *out)
{
    *out = (struct end){.port = port};
    if (v->type == FWP_UINT32) {
        out->version = v->uint32 != 0 ? 4 : 0;
        out->bits = 32;
        out->address.v4 = v->uint32;
    } else if (v->type == FWP_BYTE_ARRAY16_TYPE) {
        memcpy(out->address.v6, v->byteArray16->byteArray16, 16);
        out->version = wire_addr_is_unspecified(6, &out->address) ? 0 : 6;
        out->bits = 128;
    }
    return out->version != 0;
}

int who_endpoints(struct who *w)
{
    const struct policy *p = w->state->policy;
    struct recorded *list;
    size_t n = 0;

    if (w->recorded_of == p)
        return 0;
    list = explain_alloc(&w->arena, (p->counts.endpoints + 1) * sizeof *list); /* owners are never freed */
    if (list == NULL)
        return -ENOMEM;
    for (UINT32 i = 0; i < p->counts.endpoints; i++) {
        const struct policy_endpoint *e = &p->endpoints[i];
        struct recorded *r = &list[n];

        if (e->app_id.size == 0)
            continue;
        *r = (struct recorded){.protocol = e->protocol};
        end_of(&e->local_address, e->local_port, &r->local);
        r->has_remote = end_of(&e->remote_address, e->remote_port, &r->remote);
        r->owner.unknown = HOST_THING_USER | HOST_THING_PACKAGE | HOST_THING_PROCESS;
        r->owner.app_id = &e->app_id;
        n++;
    }
    w->recorded = list;
    w->recorded_count = n;
    w->recorded_of = p;
    return 0;
}

/* ---- the capture's processes
 * -------------------------------------------------------------------------------- */

void who_process(struct who *w, uint32_t index, const struct capture_process *p)
{
    struct process *x;
    const char *note, *error;
    FWP_BYTE_BLOB *blob;

    w->current = NULL;
    if (p == NULL || p->name == NULL || index >= 1u << 20)
        return;
    if (index >= w->process_room) {
        size_t room = (size_t)index * 2 + 16;
        struct process **more = realloc(w->processes, room * sizeof *more);

        if (more == NULL)
            return;
        memset(more + w->process_room, 0, (room - w->process_room) * sizeof *more);
        w->processes = more;
        w->process_room = room;
    }
    x = w->processes[index];
    if (x == NULL) {
        x = explain_alloc(&w->arena, sizeof *x);
        if (x == NULL)
            return;
        w->processes[index] = x;
        x->owner.unknown = HOST_THING_USER | HOST_THING_PACKAGE;
        x->owner.process_id = p->pid;
        if (explain_app_resolve(w->state, &w->arena, p->name, &blob, &note, &error) == 0)
            x->owner.app_id = blob;
        else
            x->owner.unknown |= HOST_THING_APP;
    }
    w->current = &x->owner;
}

/* ---- the answer
 * ---------------------------------------------------------------------------------------------- */

static bool end_holds(const struct end *e, uint8_t version, const union wire_addr *a, UINT16 port)
{
    unsigned bits = e->bits;

    if (!e->any_port && e->port != port)
        return false;
    if (e->version == 0)
        return true;
    if (e->version != version || a == NULL)
        return false;
    if (version == 4)
        return bits == 0 || (e->address.v4 ^ a->v4) >> (32 - bits) == 0;
    for (unsigned i = 0; i < 16 && bits > 0; i++, bits = bits > 8 ? bits - 8 : 0) {
        if ((e->address.v6[i] ^ a->v6[i]) >> (bits < 8 ? 8 - bits : 0) != 0)
            return false;
    }
    return true;
}

const struct host_owner *who_owner(void *ctx, UINT64 time_ns, uint8_t version, uint8_t protocol,
                                   const union wire_addr *local, UINT16 local_port,
                                   const union wire_addr *remote, UINT16 remote_port)
{
    const struct recorded *listening = NULL;
    struct who *w = ctx;

    for (size_t i = 0; i < w->rule_count; i++) {
        const struct rule *r = &w->rules[i];

        if ((!r->any_protocol && r->protocol != protocol) || time_ns < r->from || time_ns > r->to ||
            !end_holds(&r->local, version, local, local_port) ||
            !end_holds(&r->remote, version, remote, remote_port))
            continue;
        w->counts.by_rule++;
        return &r->owner;
    }
    if (w->current != NULL) {
        w->counts.by_process++;
        return w->current;
    }
    for (size_t i = 0; i < w->recorded_count; i++) {
        const struct recorded *r = &w->recorded[i];

        if (r->protocol != protocol || !end_holds(&r->local, version, local, local_port))
            continue;
        if (r->has_remote && end_holds(&r->remote, version, remote, remote_port)) {
            w->counts.by_endpoint++;
            return &r->owner;
        }
        if (!r->has_remote && listening == NULL)
            listening = r;
    }
    if (listening != NULL)
        w->counts.by_endpoint++;
    else
        w->counts.unknown++;
    return listening != NULL ? &listening->owner : NULL;
}

int who_tokens(const struct who *w, struct report_events *e)
{
    for (size_t i = 0; i < w->rule_count; i++) {
        int err = w->rules[i].owner.token != NULL && w->rules[i].token_text != NULL
                      ? report_events_token(e, w->rules[i].owner.token, w->rules[i].token_text)
                      : 0;

        if (err != 0)
            return err;
    }
    return 0;
}

void who_counts(const struct who *w, struct who_counts *out)
{
    *out = w->counts;
}

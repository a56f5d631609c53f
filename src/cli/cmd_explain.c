/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir explain: a question to a machine's policy.
 *
 *   arguments -> struct options -> struct explain_question -> problem -> answer -> text or JSON
 *
 * `packet` without --direction is asked both ways; the answers are then put together.
 */
#include "cli/cli.h"
#include "cli/print_endpoints.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MAX_SETTINGS 64

struct options {
    const char *state, *app, *user, *token, *interface, *profile, *icmp, *why_not;
    char direction, family;
    bool endpoints, json, verbose;
    enum explain_assume assume;
    char *callouts[MAX_SETTINGS];
    unsigned callout_count;
    struct explain_setting settings[MAX_SETTINGS * 2];
    unsigned setting_count;
};

static const char usage[] =
    "usage: weir explain --state FILE connect|accept PROTO LOCAL REMOTE [OPTIONS]\n"
    "       weir explain --state FILE listen|bind PROTO LOCAL [OPTIONS]\n"
    "       weir explain --state FILE packet PROTO LOCAL REMOTE [--direction in|out|forward] [OPTIONS]\n"
    "       weir explain --state FILE --endpoints [OPTIONS]\n"
    "\n"
    "Says what happens to a connection on the machine whose policy FILE holds: PERMITTED, BLOCKED, or "
    "DEPENDS on\n"
    "what was not said. What is not given is unknown; nothing is assumed in silence (-v lists what was).\n"
    "\n"
    "  PROTO              tcp, udp, icmp, icmpv6, igmp ... or a number\n"
    "  LOCAL, REMOTE      10.0.0.1:80, [::1]:80, 10.0.0.1, *:80; - or ? for unknown. In listen and bind, * "
    "and\n"
    "                     0.0.0.0 mean bound to no address\n"
    "  --app PATH         the program: a device path, C:\\..., or the file's name alone if the state knows "
    "it\n"
    "  --user WHO         who runs it: a SID, SYSTEM, \"NT SERVICE\\Dhcp\" ...\n"
    "  --token FILE       the same in full: a token as JSON (- for standard input)\n"
    "  --interface LUID   the interface; or index=N, type=TYPE, tunnel=N, joined by commas\n"
    "  --profile WHICH    public, private, domain or a number\n"
    "  --icmp TYPE[/CODE] of ICMP\n"
    "  --set FIELD=VALUE  any field by its condition's name, with or without FWPM_CONDITION_; "
    "LAYER/FIELD=VALUE for\n"
    "                     one layer; `empty` for an absent value\n"
    "  --callout WHICH=permit|block|continue\n"
    "                     what a callout of that machine answers; WHICH is a key or a name\n"
    "  --assume default|plain|none\n"
    "                     plain: callouts decide nothing, programs are ordinary users' and no "
    "AppContainers;\n"
    "                     default: of Windows' own callouts what data/builtin_callouts.tsv says\n"
    "  --why-not FILTER   why this filter (id, key or name) does not decide\n"
    "  -4, -6             the address family, where no address tells\n"
    "  --endpoints        ask about every connection that the export recorded\n"
    "  --json             the answer as JSON (doc/json.md)\n"
    "  -v                 also the value of every field, and what was assumed\n"
    "\n"
    "Exit status: 0 permitted, 1 blocked, 2 depends, 3 not proved within the budget; 64 wrong usage, 65 bad "
    "input,\n"
    "66 no such file, 70 internal error. With --endpoints: 0, or 1 if any comes out blocked.\n";

/* ---- arguments
 * ---------------------------------------------------------------------------------------------------------
 */

static int add_setting(struct options *o, char *text)
{
    struct explain_setting *s = &o->settings[o->setting_count];
    char *equals = strchr(text, '='), *slash;

    if (o->setting_count >= MAX_SETTINGS)
        return complain_usage("explain", "more than %d --set", MAX_SETTINGS);
    if (equals == NULL || equals == text)
        return complain_usage("explain", "--set %s: expected FIELD=VALUE", text);
    *equals = '\0';
    slash = strchr(text, '/');
    *s = (struct explain_setting){.field = text, .text = equals + 1};
    if (slash != NULL) {
        *slash = '\0';
        s->layer = engine_layer_by_name(text);
        s->field = slash + 1;
        if (s->layer == NULL)
            return complain_usage("explain", "--set %s/%s: no layer is called so", text, s->field);
        if (explain_field_find(s->layer, s->field) == NULL)
            return complain_usage("explain", "--set %s/%s: the layer has no such field", text, s->field);
    } else if (!explain_field_exists(s->field)) {
        return complain_usage("explain", "--set %s: no field is called so", s->field);
    }
    o->setting_count++;
    return EXIT_PERMITTED;
}

static int parse_options(int argc, char **argv, struct options *o)
{
    enum {
        STATE = 256,
        APP,
        USER,
        TOKEN,
        INTERFACE,
        PROFILE,
        ICMP,
        SET,
        CALLOUT,
        ASSUME,
        WHY_NOT,
        ENDPOINTS,
        JSON,
        DIRECTION,
        HELP
    };
    static const struct option longs[] = {
        {"state", required_argument, NULL, STATE},
        {"app", required_argument, NULL, APP},
        {"user", required_argument, NULL, USER},
        {"token", required_argument, NULL, TOKEN},
        {"interface", required_argument, NULL, INTERFACE},
        {"profile", required_argument, NULL, PROFILE},
        {"icmp", required_argument, NULL, ICMP},
        {"set", required_argument, NULL, SET},
        {"callout", required_argument, NULL, CALLOUT},
        {"assume", required_argument, NULL, ASSUME},
        {"why-not", required_argument, NULL, WHY_NOT},
        {"endpoints", no_argument, NULL, ENDPOINTS},
        {"json", no_argument, NULL, JSON},
        {"direction", required_argument, NULL, DIRECTION},
        {"verbose", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, HELP},
        {NULL, 0, NULL, 0},
    };
    int c, status = EXIT_PERMITTED;

    opterr = 0;
    while (status == EXIT_PERMITTED && (c = getopt_long(argc, argv, ":v46h", longs, NULL)) != -1) {
        switch (c) {
        case STATE:
            o->state = optarg;
            break;
        case APP:
            o->app = optarg;
            break;
        case USER:
            o->user = optarg;
            break;
        case TOKEN:
            o->token = optarg;
            break;
        case INTERFACE:
            o->interface = optarg;
            break;
        case PROFILE:
            o->profile = optarg;
            break;
        case ICMP:
            o->icmp = optarg;
            break;
        case SET:
            status = add_setting(o, optarg);
            break;
        case CALLOUT:
            if (o->callout_count == MAX_SETTINGS)
                return complain_usage("explain", "more than %d --callout", MAX_SETTINGS);
            o->callouts[o->callout_count++] = optarg;
            break;
        case ASSUME:
            if (!parse_assume(optarg, &o->assume))
                return complain_usage("explain", "--assume %s: expected default, plain or none", optarg);
            break;
        case WHY_NOT:
            o->why_not = optarg;
            break;
        case ENDPOINTS:
            o->endpoints = true;
            break;
        case JSON:
            o->json = true;
            break;
        case DIRECTION:
            if (strcmp(optarg, "in") != 0 && strcmp(optarg, "out") != 0 && strcmp(optarg, "forward") != 0)
                return complain_usage("explain", "--direction %s: expected in, out or forward", optarg);
            o->direction = optarg[0];
            break;
        case 'v':
            o->verbose = true;
            break;
        case '4':
        case '6':
            o->family = (char)c;
            break;
        case 'h':
        case HELP:
            fputs(usage, stdout);
            return -1;
        case ':':
            return complain_usage("explain", "%s needs a value", argv[optind - 1]);
        default:
            return complain_usage("explain", "unknown option %s", argv[optind - 1]);
        }
    }
    return status;
}

/* ADDRESS[:PORT]. */
static int parse_end(struct explain_arena *a, const char *what, const char *text, bool bind, char *family,
                     struct explain_end *out)
{
    const char *port = NULL, *address = text;
    size_t size = strlen(text);
    char of = 0;
    UINT64 n;

    *out = (struct explain_end){0};
    if (text[0] == '[') {
        const char *close = strchr(text, ']');

        if (close == NULL)
            return complain_usage("explain", "%s %s: expected ']'", what, text);
        address = text + 1;
        size = (size_t)(close - address);
        if (close[1] == ':')
            port = close + 2;
        else if (close[1] != '\0')
            return complain_usage("explain", "%s %s: expected ':' and a port after ']'", what, text);
    } else if (strchr(text, ':') != NULL && strchr(text, ':') == strrchr(text, ':')) {
        port = strchr(text, ':') + 1;
        size = (size_t)(port - 1 - text);
    }
    if (port != NULL && strcmp(port, "*") != 0 && strcmp(port, "?") != 0 && strcmp(port, "-") != 0 &&
        *port != '\0') {
        if (!explain_parse_number(port, UINT16_MAX, &n))
            return complain_usage("explain", "%s %s: expected a port up to 65535, found '%s'", what, text,
                                  port);
        out->port = (UINT16)n;
        out->port_known = n != 0 || !bind; /* MATCH-24: a bind to port 0 is asked with the port chosen */
        if (n == 0)
            out->port_known = false;
    }
    if (size == 0 || (size == 1 && strchr("-?", *address) != NULL))
        return EXIT_PERMITTED;
    if (size == 1 && *address == '*') {
        out->wildcard = bind;
        return EXIT_PERMITTED;
    }
    if (!explain_parse_address(address, size, &of, &out->address, a))
        return complain_usage("explain", "%s %s: expected an IPv4 or IPv6 address, *, ? or -", what, text);
    if (*family != 0 && *family != of)
        return complain_usage("explain", "%s %s: the address is IPv%c, the rest of the question IPv%c", what,
                              text, of, *family);
    *family = of;
    out->address_known = true;
    if (of == '4' ? out->address.uint32 == 0
                  : memcmp(out->address.byteArray16->byteArray16, (UINT8[16]){0}, 16) == 0) {
        out->address_known = false;
        out->wildcard = bind;
        if (!bind)
            return complain_usage(
                "explain", "%s %s: an unspecified address is no end of a connection; use ? for unknown", what,
                text);
    }
    return EXIT_PERMITTED;
}

static int parse_operation(struct options *o, int argc, char **argv, struct explain_arena *a,
                           struct explain_question *q)
{
    int n = argc - optind, status;
    bool bind;

    if (n < 3)
        return complain_usage("explain",
                              n == 0 ? "what to ask about is missing" : "PROTO and addresses are missing");
    for (q->op = EXPLAIN_CONNECT; q->op <= EXPLAIN_PACKET; q->op++) {
        if (strcmp(argv[optind], explain_op_name(q->op)) == 0)
            break;
    }
    if (q->op > EXPLAIN_PACKET)
        return complain_usage("explain", "'%s': expected connect, accept, listen, bind or packet",
                              argv[optind]);
    bind = q->op == EXPLAIN_BIND || q->op == EXPLAIN_LISTEN;
    if (n != (bind ? 3 : 4))
        return complain_usage(
            "explain", bind ? "%s takes PROTO and LOCAL" : "%s takes PROTO, LOCAL and REMOTE", argv[optind]);
    if (!explain_parse_protocol(argv[optind + 1], &q->protocol))
        return complain_usage("explain",
                              "'%s': expected a protocol: tcp, udp, icmp ... or a number up to 255",
                              argv[optind + 1]);
    q->family = o->family;
    status = parse_end(a, "LOCAL", argv[optind + 2], bind, &q->family, &q->local);
    if (status == EXIT_PERMITTED && !bind)
        status = parse_end(a, "REMOTE", argv[optind + 3], false, &q->family, &q->remote);
    if (status == EXIT_PERMITTED && q->family == 0)
        q->family = q->protocol == 58 ? '6' : '4';
    q->direction = o->direction != 0 ? o->direction : q->op == EXPLAIN_ACCEPT ? 'i' : 'o';
    return status;
}

/* ---- what the machine and the program are
 * --------------------------------------------------------------------------------- */

static int parse_app(const struct options *o, const struct explain_state *s, struct explain_arena *a,
                     struct explain_question *q, const char **note)
{
    FWP_BYTE_BLOB *blob;
    const char *error;
    int err;

    if (o->app == NULL)
        return EXIT_PERMITTED;
    err = explain_app_resolve(s, a, o->app, &blob, note, &error);
    if (err == -ENOMEM)
        return complain(EXIT_OS_ERROR, "out of memory");
    if (err != 0)
        return complain_usage("explain", "--app %s: %s", o->app, error != NULL ? error : "no program's path");
    q->app = blob;
    return EXIT_PERMITTED;
}

static char *read_all(FILE *f)
{
    struct explain_text t = {0};
    char buf[4096];
    size_t n;

    while ((n = fread(buf, 1, sizeof buf, f)) > 0 && t.size < 1 << 20)
        explain_add(&t, buf, n);
    if (ferror(f) || t.failed) {
        explain_text_free(&t);
        return NULL;
    }
    return t.data != NULL ? t.data : calloc(1, 1);
}

static int parse_token(const struct options *o, struct explain_arena *a, struct explain_question *q)
{
    const struct engine_field *field =
        explain_field_find(engine_layer_by_id(FWPS_LAYER_ALE_AUTH_CONNECT_V4), "ALE_USER_ID");
    struct explain_value *v = explain_alloc(a, sizeof *v);
    const char *text = o->user, *error = NULL;
    char *read = NULL;
    FILE *f;
    int err;

    if (o->user == NULL && o->token == NULL)
        return EXIT_PERMITTED;
    if (o->user != NULL && o->token != NULL)
        return complain_usage("explain", "--user and --token: one of them is enough");
    if (o->token != NULL) {
        f = strcmp(o->token, "-") == 0 ? stdin : fopen(o->token, "r");
        if (f == NULL)
            return complain(EXIT_NO_INPUT, "%s: %s", o->token, strerror(errno));
        text = read = read_all(f);
        if (f != stdin)
            fclose(f);
        if (read == NULL)
            return complain(EXIT_NO_INPUT, "%s: cannot be read", o->token);
        while (isspace((unsigned char)*text))
            text++;
    }
    err = v == NULL || field == NULL ? -ENOMEM : explain_value_parse(a, field, text, v, &error);
    if (err == 0 && v->value.type != FWP_TOKEN_ACCESS_INFORMATION_TYPE)
        err = -EINVAL;
    free(read);
    if (err == -ENOMEM)
        return complain(EXIT_OS_ERROR, "out of memory");
    if (err != 0)
        return o->token != NULL
                   ? complain(EXIT_DATA_ERROR, "%s: %s", o->token, error != NULL ? error : "no token")
                   : complain_usage("explain", "--user %s: %s", o->user, error != NULL ? error : "nobody");
    q->token = v;
    return EXIT_PERMITTED;
}

static void soft_setting(struct options *o, const char *field, const char *text)
{
    if (o->setting_count < MAX_SETTINGS * 2)
        o->settings[o->setting_count++] =
            (struct explain_setting){.field = field, .text = text, .soft = true};
}

/* --interface and --profile speak of several fields at once. */
static int parse_machine(struct options *o, struct explain_arena *a)
{
    static const char *const luids[] = {"IP_LOCAL_INTERFACE", "IP_ARRIVAL_INTERFACE", "IP_NEXTHOP_INTERFACE"};
    static const char *const indexes[] = {"INTERFACE_INDEX", "ARRIVAL_INTERFACE_INDEX",
                                          "NEXTHOP_INTERFACE_INDEX"};
    static const char *const types[] = {"INTERFACE_TYPE", "ARRIVAL_INTERFACE_TYPE", "NEXTHOP_INTERFACE_TYPE"};
    static const char *const tunnels[] = {"TUNNEL_TYPE", "ARRIVAL_TUNNEL_TYPE", "NEXTHOP_TUNNEL_TYPE"};
    static const char *const profiles[] = {"ORIGINAL_PROFILE_ID", "CURRENT_PROFILE_ID",
                                           "LOCAL_INTERFACE_PROFILE_ID", "ARRIVAL_INTERFACE_PROFILE_ID",
                                           "NEXTHOP_INTERFACE_PROFILE_ID"};
    char *text = o->interface != NULL ? explain_strdup(a, o->interface) : NULL, *rest = NULL;

    for (char *part = text != NULL ? strtok_r(text, ",", &rest) : NULL; part != NULL;
         part = strtok_r(NULL, ",", &rest)) {
        const char *const *fields = luids;
        UINT64 n;

        if (strncmp(part, "index=", 6) == 0)
            fields = indexes;
        else if (strncmp(part, "type=", 5) == 0)
            fields = types;
        else if (strncmp(part, "tunnel=", 7) == 0)
            fields = tunnels;
        else if (strncmp(part, "luid=", 5) != 0 && !explain_parse_number(part, UINT64_MAX, &n))
            return complain_usage("explain",
                                  "--interface %s: expected a LUID, index=N, type=TYPE or tunnel=N", part);
        part = strchr(part, '=') != NULL ? strchr(part, '=') + 1 : part;
        for (unsigned i = 0; i < 3; i++)
            soft_setting(o, fields[i], part);
    }
    for (unsigned i = 0; i < 5 && o->profile != NULL; i++)
        soft_setting(o, profiles[i], o->profile);
    return EXIT_PERMITTED;
}

static int parse_icmp(const struct options *o, struct explain_question *q)
{
    const char *type = o->icmp;
    char *end;
    long n;

    if (type == NULL)
        return EXIT_PERMITTED;
    n = strtol(type, &end, 10);
    if (end == type || n < 0 || n > 255 || (*end != '\0' && *end != '/' && *end != ':'))
        return complain_usage("explain", "--icmp %s: expected TYPE or TYPE/CODE, each up to 255", type);
    q->icmp_type_known = true;
    q->icmp_type = (UINT8)n;
    if (*end == '\0')
        return EXIT_PERMITTED;
    type = end + 1;
    n = strtol(type, &end, 10);
    if (end == type || n < 0 || n > 255 || *end != '\0')
        return complain_usage("explain", "--icmp %s: expected TYPE or TYPE/CODE, each up to 255", o->icmp);
    q->icmp_code_known = true;
    q->icmp_code = (UINT8)n;
    return EXIT_PERMITTED;
}

/* ---- the question in words
 * --------------------------------------------------------------------------------------------------- */

static const char *end_words(struct explain_arena *a, const struct explain_question *q,
                             const struct explain_end *e)
{
    const char *address = e->wildcard ? "*" : "?";
    bool v6 = false;

    if (e->address_known) {
        v6 = e->address.type == FWP_BYTE_ARRAY16_TYPE;
        address = v6 ? explain_v6_text(a, e->address.byteArray16->byteArray16)
                     : explain_v4_text(a, e->address.uint32);
    }
    if (q->protocol != 6 && q->protocol != 17)
        return address;
    return explain_printf(a, v6 ? "[%s]:%s" : "%s:%s", address,
                          e->port_known ? explain_printf(a, "%u", e->port) : "?");
}

static const char *question_words(struct explain_arena *a, const struct explain_question *q)
{
    const struct engine_field *protocol =
        explain_field_find(engine_layer_by_id(FWPS_LAYER_ALE_AUTH_CONNECT_V4), "IP_PROTOCOL");
    const char *local = end_words(a, q, &q->local), *remote = end_words(a, q, &q->remote);
    const char *text = explain_printf(a, "%s %s, IPv%c: %s", explain_op_name(q->op),
                                      explain_number_text(a, protocol, q->protocol), q->family, local);

    if (q->op == EXPLAIN_CONNECT || (q->op == EXPLAIN_PACKET && q->direction != 'i'))
        text = explain_printf(a, "%s to %s", text, remote);
    else if (q->op == EXPLAIN_ACCEPT || q->op == EXPLAIN_PACKET)
        text = explain_printf(a, "%s from %s", text, remote);
    if (q->app != NULL)
        text = explain_printf(a, "%s, program %s", text, explain_blob_text(a, NULL, q->app));
    if (q->token != NULL)
        text = explain_printf(a, "%s, user %s", text, q->token->label);
    return text;
}

/* ---- asking
 * ----------------------------------------------------------------------------------------------------------------------
 */

struct asked {
    struct explain_problem p;
    struct explain_notes notes;
    struct explain_answer answer;
    const char *words;
};

static int ask(const struct explain_state *s, struct explain_question *q, struct asked *x)
{
    const char *error = NULL;
    int err = explain_problem_begin(s, &x->p);

    x->words = question_words(&x->p.arena, q);
    if (err == 0)
        err = explain_question_add(&x->p, q, 0, &x->notes, &error);
    if (err == -EINVAL)
        return complain_usage("explain", "%s", error != NULL ? error : "this cannot be asked");
    for (uint32_t i = 0; i < q->setting_count && err == 0; i++) {
        if (!q->settings[i].used && !q->settings[i].soft)
            return complain_usage("explain", "--set %s: no layer of this operation has the field",
                                  q->settings[i].field);
    }
    if (err == 0)
        err = explain_problem_build(&x->p, &error);
    if (err == -E2BIG)
        return complain(EXIT_UNDECIDED, "%s: too many different values matter; give some of what is unknown",
                        error);
    if (err == -EDOM)
        return complain_usage("explain", "%s: no value is possible with what was given", error);
    if (err == 0)
        err = explain_answer(&x->p, EXPLAIN_BUDGET, &x->answer, &error);
    if (err == -EPROTO)
        return complain(EXIT_INTERNAL, "%s", error);
    return err == 0 ? EXIT_PERMITTED
                    : complain(EXIT_OS_ERROR, "%s", err == -ENOMEM ? "out of memory" : strerror(-err));
}

static int tell_why_not(const struct options *o, struct asked *x, json_t *json)
{
    const struct explain_world *worlds[] = {x->answer.permit, x->answer.block};
    const FWPM_FILTER0 *const *filters;
    int n = explain_find_filters(x->p.state, &x->p.arena, o->why_not, &filters);
    json_t *list = json_array();

    if (n == 0) {
        json_decref(list);
        return complain_usage("explain", "--why-not %s: no filter has this id, key or name", o->why_not);
    }
    for (int i = 0; i < n; i++) {
        for (unsigned w = 0; w < 2; w++) {
            struct explain_why_not *all;
            int count;

            if (worlds[w] == NULL || (x->answer.verdict != EXPLAIN_DEPENDS && w == 1 && worlds[0] != NULL))
                continue;
            count = explain_why_not(&x->p, worlds[w], filters[i], &all);
            /* of several filters with one name only those on the way are of interest */
            if (count < 1 || (n > 1 && all[0].reason == WHY_NOT_ELSEWHERE))
                continue;
            if (json != NULL) {
                json_t *one = why_not_json(&x->p, worlds[w], all, count);

                json_array_extend(list, one);
                json_decref(one);
                continue;
            }
            if (x->answer.verdict == EXPLAIN_DEPENDS)
                printf("\n%s:", w == 0 ? "as PERMITTED" : "as BLOCKED");
            print_why_not(&x->p, worlds[w], all, count, stdout);
        }
    }
    if (json != NULL)
        json_object_set_new(json, "why_not", list);
    else
        json_decref(list);
    return EXIT_PERMITTED;
}

static int tell(const struct options *o, struct asked *x)
{
    struct report r = {&x->p, &x->answer, &x->notes, x->words, o->verbose};
    int status = EXIT_PERMITTED;

    if (o->json) {
        json_t *json = answer_json(&r);

        if (o->why_not != NULL)
            status = tell_why_not(o, x, json);
        if (status == EXIT_PERMITTED)
            status = print_json(json, true);
        else
            json_decref(json);
    } else {
        print_answer(&r, stdout);
        if (o->why_not != NULL)
            status = tell_why_not(o, x, NULL);
    }
    return status != EXIT_PERMITTED ? status : exit_status_of(x->answer.verdict);
}

/* A packet of which nobody said which way it goes. */
static int ask_both_ways(const struct options *o, const struct explain_state *s, struct explain_question *q)
{
    static const char directions[] = "oi";
    struct asked x[2] = {0};
    int status[2] = {0}, out;
    json_t *json = json_object();

    for (unsigned i = 0; i < 2; i++) {
        q->direction = directions[i];
        status[i] = ask(s, q, &x[i]);
        if (status[i] != EXIT_PERMITTED) {
            out = status[i];
            goto done;
        }
    }
    out = x[0].answer.verdict == x[1].answer.verdict ? exit_status_of(x[0].answer.verdict) : EXIT_DEPENDS;
    if (o->json) {
        for (unsigned i = 0; i < 2; i++) {
            struct report r = {&x[i].p, &x[i].answer, &x[i].notes, x[i].words, o->verbose};

            json_object_set_new(json, i == 0 ? "outbound" : "inbound", answer_json(&r));
        }
        json_object_set_new(json, "verdict",
                            json_string(x[0].answer.verdict == x[1].answer.verdict
                                            ? explain_verdict_name(x[0].answer.verdict)
                                            : "DEPENDS"));
        if (print_json(json_incref(json), true) != EXIT_PERMITTED)
            out = EXIT_OS_ERROR;
        goto done;
    }
    if (x[0].answer.verdict != x[1].answer.verdict)
        printf("DEPENDS on direction (DIRECTION): outbound %s, inbound %s\n\n",
               explain_verdict_name(x[0].answer.verdict), explain_verdict_name(x[1].answer.verdict));
    for (unsigned i = 0; i < 2; i++) {
        struct report r = {&x[i].p, &x[i].answer, &x[i].notes, x[i].words, o->verbose};

        print_answer(&r, stdout);
        if (i == 0)
            putchar('\n');
    }
done:
    json_decref(json);
    explain_problem_end(&x[0].p);
    explain_problem_end(&x[1].p);
    return out;
}

static int run(struct options *o, int argc, char **argv, const struct explain_state *s,
               struct explain_arena *a)
{
    struct explain_assumption assumptions[MAX_SETTINGS];
    struct explain_question q = {.assume = o->assume, .settings = o->settings, .callouts = assumptions};
    struct asked x = {0};
    const char *error, *note = NULL;
    int status;

    for (; q.callout_count < o->callout_count; q.callout_count++) {
        if (!parse_callout(s, a, o->callouts[q.callout_count], &assumptions[q.callout_count], &error))
            return complain_usage("explain", "%s", error);
    }
    if (o->endpoints) {
        if (argc > optind)
            return complain_usage("explain", "--endpoints takes no operation, found '%s'", argv[optind]);
        return print_endpoints(s, a, &q, o->json, o->verbose);
    }
    status = parse_operation(o, argc, argv, a, &q);
    if (status == EXIT_PERMITTED)
        status = parse_app(o, s, a, &q, &note);
    if (status == EXIT_PERMITTED)
        status = parse_token(o, a, &q);
    if (status == EXIT_PERMITTED)
        status = parse_icmp(o, &q);
    if (status == EXIT_PERMITTED)
        status = parse_machine(o, a);
    if (status != EXIT_PERMITTED)
        return status;
    q.setting_count = o->setting_count;
    if (q.op == EXPLAIN_PACKET && o->direction == 0)
        return ask_both_ways(o, s, &q);
    status = ask(s, &q, &x);
    if (status == EXIT_PERMITTED && note != NULL && x.notes.count < x.notes.room)
        x.notes.lines[x.notes.count++] = note;
    if (status == EXIT_PERMITTED)
        status = tell(o, &x);
    explain_problem_end(&x.p);
    return status;
}

int cmd_explain(int argc, char **argv)
{
    struct options o = {0};
    struct explain_state *s = NULL;
    struct explain_arena a = {0};
    int status = parse_options(argc, argv, &o);

    if (status != EXIT_PERMITTED)
        return status < 0 ? EXIT_PERMITTED : status;
    status = load_state("explain", o.state, &s);
    if (status == EXIT_PERMITTED)
        status = run(&o, argc, argv, s, &a);
    explain_state_close(s);
    explain_arena_free(&a);
    return status;
}

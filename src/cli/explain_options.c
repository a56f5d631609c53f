/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What weir explain is told: options and operands, read into a question. The first thing wrong is told in one
 * line.
 */
#include "cli/explain_options.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char usage[] =
    "usage: weir explain --state FILE connect|accept PROTO LOCAL REMOTE [OPTIONS]\n"
    "       weir explain --state FILE listen|bind PROTO LOCAL [OPTIONS]\n"
    "       weir explain --state FILE packet PROTO LOCAL REMOTE [--direction in|out|forward] [OPTIONS]\n"
    "       weir explain --state FILE --endpoints [OPTIONS]\n"
    "       weir explain --events FILE --flow N [--json] [-v]\n"
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
    "  --events FILE --flow N\n"
    "                     a flow of a replay, from what `weir replay --json FILE` wrote: who decided, and "
    "packet by\n"
    "                     packet what each layer said; -v: also layers without filters, and all values\n"
    "  --json             the answer as JSON (doc/json.md)\n"
    "  -v                 also the value of every field, and what was assumed\n"
    "\n"
    "Exit status: 0 permitted, 1 blocked, 2 depends, 3 not proved within the budget; 64 wrong usage, 65 bad "
    "input,\n"
    "66 no such file, 70 internal error. With --endpoints: 0, or 1 if any comes out blocked.\n";

/* ---- arguments ------------------------------------------------------------------------------- */

enum { APP = 256, USER, TOKEN, INTERFACES, PROFILE, ICMP, WHY_NOT, ENDPOINTS, DIRECTION, EVENTS, FLOW };

static int one_option(struct explain_options *o, int c, char **argv)
{
    const char **text = NULL;

    switch (c) {
    case APP:
        text = &o->app;
        break;
    case USER:
        text = &o->user;
        break;
    case TOKEN:
        text = &o->token;
        break;
    case INTERFACES:
        text = &o->interface;
        break;
    case PROFILE:
        text = &o->profile;
        break;
    case ICMP:
        text = &o->icmp;
        break;
    case WHY_NOT:
        text = &o->why_not;
        break;
    case EVENTS:
        text = &o->events;
        break;
    case FLOW:
        text = &o->flow;
        break;
    case ENDPOINTS:
        o->endpoints = true;
        return EXIT_PERMITTED;
    case DIRECTION:
        if (strcmp(optarg, "in") != 0 && strcmp(optarg, "out") != 0 && strcmp(optarg, "forward") != 0)
            return complain_usage("explain", "--direction %s: expected in, out or forward", optarg);
        o->direction = optarg[0];
        return EXIT_PERMITTED;
    case '4':
    case '6':
        o->family = (char)c;
        return EXIT_PERMITTED;
    default:
        return shared_option("explain", c, argv, &o->shared, usage);
    }
    *text = optarg;
    return EXIT_PERMITTED;
}

int explain_options_parse(int argc, char **argv, struct explain_options *o)
{
    static const struct option longs[] = {
        SHARED_STATE,
        SHARED_CALLOUTS,
        SHARED_SET,
        SHARED_JSON,
        SHARED_VERBOSE,
        {"app", required_argument, NULL, APP},
        {"user", required_argument, NULL, USER},
        {"token", required_argument, NULL, TOKEN},
        {"interface", required_argument, NULL, INTERFACES},
        {"profile", required_argument, NULL, PROFILE},
        {"icmp", required_argument, NULL, ICMP},
        {"why-not", required_argument, NULL, WHY_NOT},
        {"endpoints", no_argument, NULL, ENDPOINTS},
        {"direction", required_argument, NULL, DIRECTION},
        {"events", required_argument, NULL, EVENTS},
        {"flow", required_argument, NULL, FLOW},
        SHARED_END,
    };
    int c, status = EXIT_PERMITTED;

    opterr = 0;
    while (status == EXIT_PERMITTED && (c = getopt_long(argc, argv, ":v46h", longs, NULL)) != -1)
        status = one_option(o, c, argv);
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

static int parse_operation(struct explain_options *o, int argc, char **argv, struct explain_arena *a,
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

/* ---- what the machine and the program are ---------------------------------------------------- */

static int parse_app(const struct explain_options *o, const struct explain_state *s, struct explain_arena *a,
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

static int parse_token(const struct explain_options *o, struct explain_arena *a, struct explain_question *q)
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

static void soft_setting(struct explain_options *o, const char *field, const char *text)
{
    if (o->shared.setting_count < MAX_SETTINGS * 2)
        o->shared.settings[o->shared.setting_count++] =
            (struct explain_setting){.field = field, .text = text, .soft = true};
}

/* --interface and --profile speak of several fields at once. */
static int parse_machine(struct explain_options *o, struct explain_arena *a)
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

static int parse_icmp(const struct explain_options *o, struct explain_question *q)
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

/* What --set says of an end, the program or the user is the same as saying it in the question; the setting
 * goes. */
static int adopt(struct explain_question *q, struct explain_arena *a, const struct explain_setting *s,
                 bool *adopted)
{
    const struct engine_layer *layer =
        engine_layer_by_name(q->family == '6' ? "ALE_AUTH_CONNECT_V6" : "ALE_AUTH_CONNECT_V4");
    const struct engine_field *field = explain_field_find(layer, s->field);
    struct explain_value *v = explain_alloc(a, sizeof *v);
    bool icmp = strcasestr(s->field, "ICMP_TYPE") != NULL || strcasestr(s->field, "ICMP_CODE") != NULL;
    struct explain_end *end;
    const char *error;

    *adopted = false;
    if ((q->op == EXPLAIN_BIND || q->op == EXPLAIN_LISTEN) && strcasestr(s->field, "REMOTE") != NULL)
        return EXIT_PERMITTED;
    if (field == NULL || s->layer != NULL || s->soft || v == NULL ||
        explain_value_parse(a, field, s->text, v, &error) != 0 || v->value.type == FWP_EMPTY)
        return EXIT_PERMITTED; /* read again, and told of, when its layer is asked */
    switch (explain_field_of(field)->meaning) {
    case MEANS_LOCAL_ADDRESS:
    case MEANS_REMOTE_ADDRESS:
        end = explain_field_of(field)->meaning == MEANS_LOCAL_ADDRESS ? &q->local : &q->remote;
        end->address_known = true;
        end->wildcard = false;
        end->address = v->value;
        break;
    case MEANS_LOCAL_PORT:
    case MEANS_REMOTE_PORT:
        if (icmp || (q->protocol != 6 && q->protocol != 17)) {
            bool type = explain_field_of(field)->meaning == MEANS_LOCAL_PORT;

            if (!icmp || v->value.uint16 > 255)
                return EXIT_PERMITTED;
            *(type ? &q->icmp_type_known : &q->icmp_code_known) = true;
            *(type ? &q->icmp_type : &q->icmp_code) = (UINT8)v->value.uint16;
            break;
        }
        end = explain_field_of(field)->meaning == MEANS_LOCAL_PORT ? &q->local : &q->remote;
        end->port_known = true;
        end->port = v->value.uint16;
        break;
    case MEANS_PROTOCOL:
        if (v->value.uint8 != q->protocol)
            return complain_usage("explain", "--set %s=%s: PROTO says otherwise", s->field, s->text);
        break;
    case MEANS_APP:
        q->app = v->value.byteBlob;
        break;
    case MEANS_USER:
        q->token = v;
        break;
    default:
        return EXIT_PERMITTED;
    }
    *adopted = true;
    return EXIT_PERMITTED;
}

static int adopt_settings(struct explain_options *o, struct explain_question *q, struct explain_arena *a)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < o->shared.setting_count; i++) {
        bool adopted;
        int status = adopt(q, a, &o->shared.settings[i], &adopted);

        if (status != EXIT_PERMITTED)
            return status;
        if (!adopted)
            o->shared.settings[kept++] = o->shared.settings[i];
    }
    o->shared.setting_count = kept;
    return EXIT_PERMITTED;
}

int explain_options_question(struct explain_options *o, int argc, char **argv, const struct explain_state *s,
                             struct explain_arena *a, struct explain_question *q, const char **note)
{
    int status = parse_operation(o, argc, argv, a, q);

    if (status == EXIT_PERMITTED)
        status = parse_app(o, s, a, q, note);
    if (status == EXIT_PERMITTED)
        status = parse_token(o, a, q);
    if (status == EXIT_PERMITTED)
        status = parse_icmp(o, q);
    if (status == EXIT_PERMITTED)
        status = parse_machine(o, a);
    if (status == EXIT_PERMITTED)
        status = adopt_settings(o, q, a);
    q->settings = o->shared.settings;
    q->setting_count = o->shared.setting_count;
    return status;
}

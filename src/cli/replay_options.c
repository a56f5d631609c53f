/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What weir replay is told.
 */
#include "cli/replay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "loader/loader.h"

static const char usage[] =
    "usage: weir replay [--state FILE] [--local ADDR[/N]|auto]... IN.pcap[ng] [-w OUT.pcapng] [OPTIONS]\n"
    "\n"
    "Plays the part of the Windows host that recorded a capture, or would have seen it: every packet visits "
    "the\n"
    "documented layers in the documented order, under the policy that FILE holds; what survives is written.\n"
    "\n"
    "  IN                 pcap or pcapng; - for standard input\n"
    "  --state FILE       the policy, an export by `netsh wfp show state`; without it: no filter at all\n"
    "  --local ADDR[/N]   an address of the host's, or a network that is the host; several. auto (the "
    "default):\n"
    "                     found out from the capture's first 10,000 packets (of a pipe: 1,024), as the end "
    "of\n"
    "                     the table says\n"
    "  -w OUT             what survives, as pcapng (- for standard output)\n"
    "  --keep-blocked     write what was blocked too, with a comment that names layer and filter\n"
    "  --stack-drops      do not write what the TCP/IP stack itself discards\n"
    "  --checksums verify|trust\n"
    "                     what arrives with a wrong IPv4 header checksum is discarded (verify, the default), "
    "or "
    "taken\n"
    "                     as it is: the capture was made anonymous, or before an adapter filled sums in "
    "(trust)\n"
    "  --json FILE|-      every classification, flow and packet as JSON lines (doc/events.md)\n"
    "  --who FILE         whose connections are whose: a rule a line, of protocol, local, remote, from, to, "
    "program,\n"
    "                     user; * is anything (see weir-replay(1))\n"
    "  --set FIELD=VALUE  this value for the field wherever it is asked; LAYER/FIELD=VALUE for one layer\n"
    "  --depends permit|block\n"
    "                     how an answer that depends on what nobody said is carried out (permit)\n"
    "  --callout WHICH=permit|block|continue\n"
    "  --assume default|plain|none\n"
    "                     what callouts of that machine answer (see weir explain --help)\n"
    "  --at TIME load FILE\n"
    "                     from TIME on another policy; TIME is +SECONDS from the capture's beginning, "
    "HH:MM:SS or\n"
    "                     YYYY-MM-DDTHH:MM:SSZ\n"
    "  --at TIME reauthorize policy|profile|ipsec|mid-stream|socket|multicast|edp|proxy|offload\n"
    "  --at TIME profile public|private|domain\n"
    "                     flows are authorized again\n"
    "  --driver FILE.so   a callout driver that weir cc made; several\n"
    "  --param NAME=VALUE a registry parameter of the driver before it: a number, or text (string:TEXT in "
    "any "
    "case)\n"
    "  --control STEP|@FILE\n"
    "                     what a test program does with a driver's device, step by step (see "
    "weir-replay(1))\n"
    "  --defer-completion what completing an operation brings about comes later, on another thread\n"
    "  --seed N           another order of the drivers' threads; the same N, the same run\n"
    "  -v                 all flows and reasons, and where owners came from\n"
    "  -q                 no progress, no table\n"
    "\n"
    "Exit status: 0 nothing was blocked, 1 something was, 2 nothing was, but something depends; 4 a driver "
    "left "
    "or\n"
    "misused something, 5 it cannot be loaded or refused to start, 6 it faulted, 7 it does not come back; 64 "
    "wrong "
    "usage,\n"
    "65 bad input (everything before it was done and written), 66 no such file, 70 internal error, 71 no "
    "memory or\n"
    "output.\n";

enum { LOCAL = 256, KEEP, STACK, SUMS, EVENTS, WHO, DEPENDS, AT, DRIVER, PARAM, CONTROL, SEED, DEFER };

static int add_local(struct replay_options *o, const char *text)
{
    struct replay_local *l = &o->locals[o->local_count];
    unsigned bits;

    if (strcmp(text, "auto") == 0)
        return EXIT_PERMITTED;
    if (o->local_count == MAX_LOCALS)
        return complain_usage("replay", "more than %d --local", MAX_LOCALS);
    l->version = wire_addr_parse(text, &l->address, &bits);
    if (l->version == 0)
        return complain_usage("replay", "--local %s: expected an address, ADDRESS/BITS or auto", text);
    l->bits = (uint8_t)bits;
    o->local_count++;
    return EXIT_PERMITTED;
}

/* TIME is optarg; `load` and FILE are the two words behind it. */
struct word {
    const char *word;
    UINT32 number;
};

/* What only somebody else can know: policy, and interfaces, are noticed by themselves. */
static const struct word reasons[] = {
    {"policy", FWP_CONDITION_REAUTHORIZE_REASON_POLICY_CHANGE},
    {"profile", FWP_CONDITION_REAUTHORIZE_REASON_PROFILE_CROSSING},
    {"ipsec", FWP_CONDITION_REAUTHORIZE_REASON_IPSEC_PROPERTIES_CHANGED},
    {"mid-stream", FWP_CONDITION_REAUTHORIZE_REASON_MID_STREAM_INSPECTION},
    {"socket", FWP_CONDITION_REAUTHORIZE_REASON_SOCKET_PROPERTY_CHANGED},
    {"multicast", FWP_CONDITION_REAUTHORIZE_REASON_NEW_INBOUND_MCAST_BCAST_PACKET},
    {"edp", FWP_CONDITION_REAUTHORIZE_REASON_EDP_POLICY_CHANGED},
    {"proxy", FWP_CONDITION_REAUTHORIZE_REASON_PROXY_HANDLE_CHANGED},
    {"offload", FWP_CONDITION_REAUTHORIZE_REASON_CHECK_OFFLOAD},
    {NULL, 0},
};
static const struct word profiles[] = {{"public", 1}, {"private", 2}, {"domain", 3}, {NULL, 0}};

/* 0: no such word. */
static UINT32 number_of(const struct word *w, const char *word)
{
    while (w->word != NULL && strcmp(w->word, word) != 0)
        w++;
    return w->number;
}

static int add_at(struct replay_options *o, int argc, char **argv)
{
    struct replay_at *at = &o->at[o->at_count];
    UINT64 ns;

    if (o->at_count == MAX_CHANGES)
        return complain_usage("replay", "more than %d --at", MAX_CHANGES);
    if (!replay_time(optarg, 0, &ns))
        return complain_usage("replay", "--at %s: expected +SECONDS, HH:MM:SS or YYYY-MM-DDTHH:MM:SSZ",
                              optarg);
    if (optind + 1 < argc && strcmp(argv[optind], "load") == 0)
        *at = (struct replay_at){.time = optarg, .file = argv[optind + 1]};
    else if (optind + 1 < argc && strcmp(argv[optind], "reauthorize") == 0)
        *at = (struct replay_at){
            .time = optarg, .word = argv[optind + 1], .reason = number_of(reasons, argv[optind + 1])};
    else if (optind + 1 < argc && strcmp(argv[optind], "profile") == 0)
        *at = (struct replay_at){
            .time = optarg, .word = argv[optind + 1], .profile = number_of(profiles, argv[optind + 1])};
    else
        return complain_usage(
            "replay",
            "--at %s: expected 'load FILE', 'reauthorize REASON' or 'profile PROFILE' behind it%s%s", optarg,
            optind < argc ? ", found " : "", optind < argc ? argv[optind] : "");
    if (at->file == NULL && at->reason == 0 && at->profile == 0)
        return complain_usage("replay", "--at %s %s: unknown: %s", optarg, argv[optind], argv[optind + 1]);
    o->at_count++;
    optind += 2;
    return EXIT_PERMITTED;
}

static int set_depends(struct replay_options *o, const char *text)
{
    if (strcmp(text, "permit") != 0 && strcmp(text, "block") != 0)
        return complain_usage("replay", "--depends %s: expected permit or block", text);
    o->block = text[0] == 'b';
    return EXIT_PERMITTED;
}

static int set_checksums(struct replay_options *o, const char *text)
{
    if (strcmp(text, "verify") != 0 && strcmp(text, "trust") != 0)
        return complain_usage("replay", "--checksums %s: expected verify or trust", text);
    o->trust = text[0] == 't';
    return EXIT_PERMITTED;
}

static int add_driver(struct replay_options *o, const char *file)
{
    if (o->driver_count == MAX_DRIVERS)
        return complain_usage("replay", "more than %d --driver", MAX_DRIVERS);
    o->drivers[o->driver_count++] =
        (struct replay_driver){.file = file, .first_parameter = o->parameter_count};
    return EXIT_PERMITTED;
}

/* NAME=NUMBER or NAME=TEXT, of the last driver. */
static int add_parameter(struct replay_options *o, const char *text)
{
    struct nt_parameter *p = &o->parameters[o->parameter_count];
    char *name = o->parameter_names[o->parameter_count], *end;
    const char *value = strchr(text, '=');
    unsigned long long number;

    if (o->driver_count == 0)
        return complain_usage("replay", "--param %s: expected --driver before it", text);
    if (o->parameter_count == MAX_PARAMETERS)
        return complain_usage("replay", "more than %d --param", MAX_PARAMETERS);
    if (value == NULL || value == text || value - text >= (ptrdiff_t)sizeof o->parameter_names[0])
        return complain_usage("replay", "--param %s: expected NAME=VALUE", text);
    memcpy(name, text, (size_t)(value - text));
    *p = (struct nt_parameter){.name = name, .string = ++value};
    errno = 0;
    number = strtoull(value, &end, 0);
    p->is_string = end == value || *end != '\0' || errno != 0 || number > UINT32_MAX || value[0] == '-';
    p->number = p->is_string ? 0 : (uint32_t)number;
    if (strncmp(value, "string:", 7) == 0)
        p->string = value + 7;
    o->parameter_count++;
    o->drivers[o->driver_count - 1].parameter_count++;
    return EXIT_PERMITTED;
}

static int add_control(struct replay_options *o, const char *step)
{
    const char *wrong = loader_control_check(step);

    if (wrong != NULL)
        return complain_usage("replay", "--control %s: %s", step, wrong);
    if (o->control_count == MAX_CONTROLS)
        return complain_usage("replay", "more than %d --control", MAX_CONTROLS);
    o->controls[o->control_count++] = step;
    return EXIT_PERMITTED;
}

/* A step a line; # begins a comment. */
static int add_control_file(struct replay_options *o, const char *path)
{
    FILE *f = fopen(path, "re");
    char *text = NULL, *line, *after = NULL;
    size_t room = 0;
    int status = EXIT_PERMITTED;

    if (f == NULL)
        return complain(EXIT_NO_INPUT, "%s: %s", path, strerror(errno));
    if (getdelim(&text, &room, '\0', f) < 0 && ferror(f))
        status = complain(EXIT_NO_INPUT, "%s: %s", path, strerror(errno));
    fclose(f);
    if (o->control_text_count == MAX_CONTROL_FILES)
        status = complain_usage("replay", "more than %d --control @FILE", MAX_CONTROL_FILES);
    if (status != EXIT_PERMITTED || text == NULL) {
        free(text);
        return status;
    }
    o->control_texts[o->control_text_count++] = text;
    for (line = strtok_r(text, "\r\n", &after); line != NULL && status == EXIT_PERMITTED;
         line = strtok_r(NULL, "\r\n", &after)) {
        line += strspn(line, " \t");
        if (*line != '#' && *line != '\0')
            status = add_control(o, line);
    }
    return status;
}

static int set_seed(struct replay_options *o, const char *text)
{
    char *end;

    errno = 0;
    o->seed = strtoull(text, &end, 0);
    if (end == text || *end != '\0' || errno != 0 || text[0] == '-')
        return complain_usage("replay", "--seed %s: expected a number", text);
    return EXIT_PERMITTED;
}

static int one_option(struct replay_options *o, int c, int argc, char **argv)
{
    switch (c) {
    case LOCAL:
        return add_local(o, optarg);
    case 'w':
        o->output = optarg;
        return EXIT_PERMITTED;
    case KEEP:
        o->keep_blocked = true;
        return EXIT_PERMITTED;
    case STACK:
        o->stack_drops = true;
        return EXIT_PERMITTED;
    case SUMS:
        return set_checksums(o, optarg);
    case EVENTS:
        o->events = optarg;
        return EXIT_PERMITTED;
    case WHO:
        o->who = optarg;
        return EXIT_PERMITTED;
    case DEPENDS:
        return set_depends(o, optarg);
    case AT:
        return add_at(o, argc, argv);
    case DRIVER:
        return add_driver(o, optarg);
    case PARAM:
        return add_parameter(o, optarg);
    case CONTROL:
        return optarg[0] == '@' ? add_control_file(o, optarg + 1) : add_control(o, optarg);
    case SEED:
        return set_seed(o, optarg);
    case DEFER:
        o->defer = true;
        return EXIT_PERMITTED;
    case 'q':
        o->quiet = true;
        return EXIT_PERMITTED;
    default:
        return shared_option("replay", c, argv, &o->shared, usage);
    }
}

int replay_options_parse(int argc, char **argv, struct replay_options *o)
{
    static const struct option longs[] = {
        SHARED_STATE,
        SHARED_CALLOUTS,
        SHARED_SET,
        SHARED_VERBOSE,
        {"local", required_argument, NULL, LOCAL},
        {"write", required_argument, NULL, 'w'},
        {"keep-blocked", no_argument, NULL, KEEP},
        {"stack-drops", no_argument, NULL, STACK},
        {"checksums", required_argument, NULL, SUMS},
        {"json", required_argument, NULL, EVENTS},
        {"who", required_argument, NULL, WHO},
        {"depends", required_argument, NULL, DEPENDS},
        {"at", required_argument, NULL, AT},
        {"driver", required_argument, NULL, DRIVER},
        {"param", required_argument, NULL, PARAM},
        {"control", required_argument, NULL, CONTROL},
        {"seed", required_argument, NULL, SEED},
        {"defer-completion", no_argument, NULL, DEFER},
        {"quiet", no_argument, NULL, 'q'},
        SHARED_END,
    };
    int c, status = EXIT_PERMITTED;

    opterr = 0;
    while (status == EXIT_PERMITTED && (c = getopt_long(argc, argv, ":w:vqh", longs, NULL)) != -1)
        status = one_option(o, c, argc, argv);
    if (status != EXIT_PERMITTED)
        return status;
    if (optind == argc)
        return complain_usage("replay", "the capture is missing");
    if (argc - optind > 1)
        return complain_usage("replay", "expected one capture, found '%s' and '%s'", argv[optind],
                              argv[optind + 1]);
    o->input = argv[optind];
    if (o->output != NULL && o->events != NULL && strcmp(o->output, "-") == 0 && strcmp(o->events, "-") == 0)
        return complain_usage("replay", "-w and --json: one of them can have standard output");
    if (o->control_count != 0 && o->driver_count == 0)
        return complain_usage("replay", "--control: expected a --driver");
    return EXIT_PERMITTED;
}

void replay_options_free(struct replay_options *o)
{
    for (unsigned i = 0; i < o->control_text_count; i++)
        free(o->control_texts[i]);
}

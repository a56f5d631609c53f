/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The options of options.h.
 */
#include "cli/options.h"

#include <string.h>

/* FIELD=VALUE or LAYER/FIELD=VALUE; the text is taken apart where it stands. */
static int add_setting(const char *command, struct shared_options *o, char *text)
{
    struct explain_setting *s = &o->settings[o->setting_count];
    char *equals = strchr(text, '='), *slash;

    if (o->setting_count >= MAX_SETTINGS)
        return complain_usage(command, "more than %d --set", MAX_SETTINGS);
    if (equals == NULL || equals == text)
        return complain_usage(command, "--set %s: expected FIELD=VALUE", text);
    *equals = '\0';
    slash = strchr(text, '/');
    *s = (struct explain_setting){.field = text, .text = equals + 1};
    if (slash != NULL) {
        *slash = '\0';
        s->layer = engine_layer_by_name(text);
        s->field = slash + 1;
        if (s->layer == NULL)
            return complain_usage(command, "--set %s/%s: no layer is called so", text, s->field);
        if (explain_field_find(s->layer, s->field) == NULL)
            return complain_usage(command, "--set %s/%s: the layer has no such field", text, s->field);
    } else if (!explain_field_exists(s->field)) {
        return complain_usage(command, "--set %s: no field is called so", s->field);
    }
    o->setting_count++;
    return EXIT_PERMITTED;
}

int shared_option(const char *command, int c, char **argv, struct shared_options *o, const char *usage)
{
    switch (c) {
    case OPTION_STATE:
        o->state = optarg;
        return EXIT_PERMITTED;
    case OPTION_CALLOUT:
        if (o->callout_count == MAX_CALLOUTS)
            return complain_usage(command, "more than %d --callout", MAX_CALLOUTS);
        o->callouts[o->callout_count++] = optarg;
        return EXIT_PERMITTED;
    case OPTION_ASSUME:
        return parse_assume(optarg, &o->assume)
                   ? EXIT_PERMITTED
                   : complain_usage(command, "--assume %s: expected default, plain or none", optarg);
    case OPTION_SET:
        return add_setting(command, o, optarg);
    case OPTION_JSON:
        o->json = true;
        return EXIT_PERMITTED;
    case 'v':
        o->verbose = true;
        return EXIT_PERMITTED;
    case 'h':
    case OPTION_HELP:
        fputs(usage, stdout);
        return -1;
    case ':':
        return complain_usage(command, "%s needs a value", argv[optind - 1]);
    default:
        return complain_usage(command, "unknown option %s", argv[optind - 1]);
    }
}

int shared_callouts(const char *command, const struct shared_options *o, const struct explain_state *s,
                    struct explain_arena *a, struct explain_assumption *out, uint32_t *count)
{
    const char *error;

    for (*count = 0; *count < o->callout_count; ++*count) {
        char *text = explain_strdup(a, o->callouts[*count]);

        if (text == NULL)
            return complain(EXIT_OS_ERROR, "out of memory");
        if (!parse_callout(s, a, text, &out[*count], &error))
            return complain_usage(command, "%s", error);
    }
    return EXIT_PERMITTED;
}

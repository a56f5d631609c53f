/* SPDX-License-Identifier: Apache-2.0 */
/* weir show: what listing filters and listing everything else share. */
#ifndef WEIR_CLI_SHOW_H
#define WEIR_CLI_SHOW_H

#include "cli/cli.h"

#define MAX_MATCHES 16

struct match {
    const char *key, *value;
};

struct show {
    const struct explain_state *s;
    struct explain_arena a;
    const struct engine_layer *layer;
    struct match matches[MAX_MATCHES];
    unsigned match_count;
    bool json;
    json_t *list;
    struct table table;
};

void show_filters(struct show *w);

/* Is part in text, in any case? text may be NULL. */
bool show_contains(const char *text, const char *part);
const char *show_key_text(struct show *w, const GUID *key);
/* The documented name, or {...}; null for NULL. */
json_t *show_key_json(struct show *w, enum engine_guid_kind kind, const GUID *key);

#endif

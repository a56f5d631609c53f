/* SPDX-License-Identifier: Apache-2.0 */
/* What save.c (the file) and save_objects.c (one object) share. */
#ifndef WEIR_POLICY_SAVE_H
#define WEIR_POLICY_SAVE_H

#include "internal.h"

struct saver {
    struct buffer out;
    const struct policy_internal *in; /* NULL: nothing but the bfe */
    struct bfe_session *session;
    unsigned depth;
    int status; /* sticks */
};

void save_open(struct saver *s, const char *name);
void save_close(struct saver *s, const char *name);
/* A list's start tag; false (and the list is written) when it has no items. */
bool save_open_list(struct saver *s, const char *name, UINT32 count);
void save_text(struct saver *s, const char *name, const char *text); /* NULL: empty */
/* XML kept as it stood; its lines end in LF since they were read. */
void save_kept(struct saver *s, const char *xml);

/* One object; `r` is the record it came from, NULL when it came from no file. */
typedef void save_fn(struct saver *s, const void *object, const struct record *r);
save_fn save_filter, save_callout, save_layer, save_provider, save_context, save_sublayer, save_session,
    save_endpoint;

#endif

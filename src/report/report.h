/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report: what a run tells: the JSON lines of doc/events.md, the table for people, comments of blocked
 * packets; and JSON lines read back (`weir explain --events`).
 *
 *   host's observer, replay's frames --> events (JSON lines)      names: what filters are called,
 *                                    +-> tally --> table, JSON    looked up once, shared by all three
 *                                    +-> comment
 *   JSON lines --> story of one flow
 *
 * One thread. Nothing that is written depends on an address of memory: the same run gives the same bytes.
 */
#ifndef WEIR_REPORT_REPORT_H
#define WEIR_REPORT_REPORT_H

#include <jansson.h>
#include <stdio.h>

#include "bfe/bfe.h"
#include "host/host.h"
#include "host/host_inject.h"

#define REPORT_EVENTS_VERSION 1

/* ---- names ------------------------------------------------------------------------------------------ */

/* What a filter is called. Strings are UTF-8; they live as long as the names, also after the filter is gone.
 */
struct report_filter {
    UINT64 id;
    GUID guid;
    const char *key;               /* "{...}" */
    const char *name;              /* "" where it has none */
    const char *layer;             /* documented name */
    const char *action;            /* "PERMIT", "BLOCK", "CALLOUT_TERMINATING" ... */
    const char *sublayer;          /* documented name, or "{...}" */
    const char *sublayer_name;     /* display name, or "" */
    const char *provider;          /* NULL: none */
    const char *callout;           /* NULL: its action is no callout */
    const char *callout_name;      /* "" where it has none */
    const char *const *conditions; /* in words: "remote port is 80 or 443" */
    size_t condition_count;
};

struct report_names;
/* 0 or -ENOMEM, -EIO (no session). The bfe outlives it. */
int report_names_create(struct bfe *b, struct report_names **out);
void report_names_destroy(struct report_names *n);
/* The policy was replaced: ids may now be other filters'. What was handed out stays good. */
void report_names_forget(struct report_names *n);
/* NULL: id 0, or no memory. A filter that is not there any more has its id alone. */
const struct report_filter *report_names_filter(struct report_names *n, UINT64 id);

/* ---- JSON lines (doc/events.md) --------------------------------------------------------------------- */

struct report_events;

/* The stream stays the caller's; it is written in big pieces. 0 or -ENOMEM. */
int report_events_open(FILE *out, struct report_names *names, struct report_events **e);
/* Says of a token how its owner wrote it (JSON text), so that classifications show it so. Copied. */
int report_events_token(struct report_events *e, const FWP_BYTE_BLOB *token, const char *json);
/* The first line: version, and members of `run` (may be NULL; not taken). */
void report_events_header(struct report_events *e, const json_t *run);
/* What else is to be said: an object with its "event". Not taken. */
void report_events_object(struct report_events *e, const json_t *object);
/* 0 or the first write error. The last line is report_events_object()'s summary, if any. */
int report_events_close(struct report_events *e);
/* The observer that writes; ctx is the report_events. */
void report_events_classified(void *ctx, const struct host_event *e);
void report_events_flow(void *ctx, enum host_flow_change change, const struct host_flow_info *f);
/* delay_ns: it went so much later than it was captured, because of a driver. */
void report_events_frame(struct report_events *e, UINT64 frame, UINT64 time_ns, UINT64 delay_ns,
                         uint32_t length, const struct host_outcome *o, bool written);
/* A packet of a driver's. lost: why it did not get through; NULL: it did. stands: for the frame that it stems
 * from. */
void report_events_injected(struct report_events *e, const struct host_emitted *p,
                            const struct host_outcome *lost, bool stands, UINT64 time_ns, bool written);

/* ---- tally ------------------------------------------------------------------------------------------ */

struct report_tally;

/* Keeps at most max_flows flows (0: 100,000): when full, one that was simply permitted gives way to one that
 * was not; all are counted. 0 or -ENOMEM. */
int report_tally_create(struct report_names *names, size_t max_flows, struct report_tally **out);
void report_tally_destroy(struct report_tally *t);
void report_tally_classified(void *ctx, const struct host_event *e);
/* host_observer.repeated: as `classified` would have counted it. */
void report_tally_repeated(void *ctx, const struct engine_layer *layer, const struct host_answer *a,
                           UINT64 flow_id);
void report_tally_flow(void *ctx, enum host_flow_change change, const struct host_flow_info *f);
/* host_observer.changed: as `flow` would have counted it. */
bool report_tally_changed(void *ctx, enum host_flow_change change, UINT64 flow_id);
/* A frame of this flow is told of next, probably. */
void report_tally_soon(const struct report_tally *t, UINT64 flow_id);
void report_tally_frame(struct report_tally *t, const struct wire_packet *p, const struct host_outcome *o,
                        bool written);
/* A driver's packet that was lost and stands for no frame. */
void report_tally_lost(struct report_tally *t, uint32_t size, const struct host_outcome *o);
/* The table: flows, verdicts, deciding filters, drops by reason, what depends. At most 100 columns, names cut
 * where needed; long lists are cut unless verbose. */
void report_tally_print(struct report_tally *t, const struct host_counts *counts, bool verbose, FILE *out);
/* The same in full, but for single flows: {"event": "summary", ...}. NULL: no memory. */
json_t *report_tally_json(struct report_tally *t, const struct host_counts *counts);

struct report_totals {
    UINT64 flows, flows_permitted, flows_blocked, flows_depend; /* a flow counts once: blocked first */
    UINT64 flows_unlisted;                                      /* no longer kept, or never */
    UINT64 blocked, absorbed;                                   /* frames, by policy or a callout */
    UINT64 depends;                                             /* classifications */
};
void report_tally_totals(struct report_tally *t, struct report_totals *out);

/* ---- comments --------------------------------------------------------------------------------------- */

/* The comment of a blocked packet: "weir: blocked at FWPM_LAYER_... by filter 4711 \"name\" {key}". Returns
 * out; cut to size at a character's border. */
const char *report_comment(struct report_names *n, const struct host_outcome *o, char *out, size_t size);

/* ---- reading back ------------------------------------------------------------------------------------ */

#define REPORT_STORY_LINES 10000

/* One flow of a file of JSON lines. */
struct report_story {
    json_t *header; /* the first line */
    json_t *flow;   /* what the flow's "flow" lines say together; NULL: none tells of it */
    json_t *lines; /* array: its classify and frame lines, its endpoint's classify lines, and policy lines, in
                      the order of the file; at most REPORT_STORY_LINES */
    json_t *filters;  /* object: a filter's id as text to its "filter" line */
    UINT64 left_off;  /* lines beyond the limit */
    UINT64 last_flow; /* the highest number of a flow in the file */
};
struct report_error {
    char text[512]; /* "FILE: line 17: expected ..., found ..." */
};
/* 0; -ENOENT, -EACCES ...; -EINVAL: not such a file, error says where; -ESRCH: no such flow in it; -ENOMEM.
 * A pipe ("-": standard input) is read once, so that what the endpoint was asked before the flow began is not
 * told. */
int report_story_read(const char *path, UINT64 flow, struct report_story *out, struct report_error *error);
void report_story_free(struct report_story *s);

#endif

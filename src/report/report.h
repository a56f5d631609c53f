/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report: what a run tells: the JSON lines of doc/events.md, the table for people, comments of blocked
 * packets; and JSON lines read back (`weir explain --events`).
 *
 * A tally is fed by the host's observer and the replay's frames, in one thread; it keeps at most so many
 * flows (the ones with a refusal or DEPENDS longest), counts all.
 */
#ifndef WEIR_REPORT_REPORT_H
#define WEIR_REPORT_REPORT_H

#include <jansson.h>
#include <stdio.h>

#include "bfe/bfe.h"
#include "host/host.h"

#define REPORT_EVENTS_VERSION 1

struct report_events; /* writes JSON lines */

/* b: names of filters, sublayers, callouts. The stream stays the caller's. 0 or -ENOMEM. */
int report_events_open(FILE *out, struct bfe *b, struct report_events **e);
/* 0 or the first write error. */
int report_events_close(struct report_events *e);
/* The observer that writes; ctx is the report_events. */
void report_events_classified(void *ctx, const struct host_event *e);
void report_events_flow(void *ctx, enum host_flow_change change, const struct host_flow_info *f);
void report_events_frame(struct report_events *e, UINT64 frame, UINT64 time_ns, const struct host_outcome *o,
                         bool written);

struct report_tally;
int report_tally_create(struct bfe *b, size_t max_flows, struct report_tally **out);
void report_tally_destroy(struct report_tally *t);
void report_tally_classified(void *ctx, const struct host_event *e);
void report_tally_flow(void *ctx, enum host_flow_change change, const struct host_flow_info *f);
void report_tally_frame(struct report_tally *t, const struct wire_packet *p, const struct host_outcome *o,
                        bool written);
/* The table: flows, verdicts, deciding filters, drops by reason, what depends. */
void report_tally_print(const struct report_tally *t, const struct host_counts *counts, bool verbose,
                        FILE *out);
json_t *report_tally_json(const struct report_tally *t, const struct host_counts *counts);

/* The comment of a blocked packet: "weir: blocked at FWPM_LAYER_... by filter 4711 \"name\" {key}". */
const char *report_comment(struct bfe *b, const struct host_outcome *o, char *out, size_t size);

#endif

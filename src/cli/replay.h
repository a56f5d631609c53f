/* SPDX-License-Identifier: Apache-2.0 */
/* weir replay: what its files share. */
#ifndef WEIR_CLI_REPLAY_H
#define WEIR_CLI_REPLAY_H

#include "cli/options.h"
#include "datapath/replay.h"
#include "nt/nt.h"
#include "report/report.h"

#define MAX_LOCALS        64
#define MAX_CHANGES       64
#define MAX_DRIVERS       16
#define MAX_PARAMETERS    128
#define MAX_CONTROLS      1024
#define MAX_CONTROL_FILES 8

#define MAX_INTERFACES 64 /* whose profile --at sets */

struct replay_at {
    const char *time;
    const char *file;       /* load; NULL: */
    const char *word;       /* what is told to the host instead: */
    UINT32 reason, profile; /* one of them */
};

struct replay_driver {
    const char *file;
    unsigned first_parameter, parameter_count; /* of replay_options.parameters */
};

struct replay_options {
    struct shared_options shared;
    const char *input, *output, *events, *who;
    struct replay_local locals[MAX_LOCALS];
    unsigned local_count;
    struct replay_at at[MAX_CHANGES];
    unsigned at_count;
    struct replay_driver drivers[MAX_DRIVERS];
    unsigned driver_count;
    struct nt_parameter parameters[MAX_PARAMETERS];
    char parameter_names[MAX_PARAMETERS][64];
    unsigned parameter_count;
    const char *controls[MAX_CONTROLS]; /* steps (loader/loader.h) */
    char *control_texts[MAX_CONTROL_FILES];
    unsigned control_text_count;
    unsigned control_count;
    uint64_t seed;
    bool keep_blocked, stack_drops, block, quiet, trust, defer;
};

/* EXIT_PERMITTED; -1 after --help; else an exit status after a complaint. */
int replay_options_parse(int argc, char **argv, struct replay_options *o);
void replay_options_free(struct replay_options *o); /* in any case */

/* "+12.5", "14:03:05", "2026-11-22T14:03:05Z". False: none of these. */
bool replay_time(const char *text, UINT64 start_ns, UINT64 *out);
/* Does it count from the capture's beginning? */
static inline bool replay_time_relative(const char *text)
{
    return text[0] == '+' || (text[0] != '\0' && text[1] != '\0' && text[2] == ':');
}

/* ---- drivers (replay_drivers.c) --------------------------------------------------------------------------
 */

struct drivers;

/* Restarts the program if a driver needs a sanitizer's run-time. EXIT_PERMITTED, or a status after a
 * complaint. */
int drivers_restart(const struct replay_options *o);
/* flush: writes what there is of the caller's outputs when a driver ends the process. EXIT_PERMITTED, or a
 * status after a complaint; *out is to be destroyed in any case. */
int drivers_prepare(const struct replay_options *o, struct explain_state *state, void (*flush)(void *ctx),
                    void *ctx, struct drivers **out);
const struct replay_drivers *drivers_config(const struct drivers *d);
void drivers_begun(struct drivers *d, struct replay_run *run);
/* The run's exit status, given the one without drivers. */
int drivers_status(const struct drivers *d, int status);
void drivers_destroy(struct drivers *d);

/* ---- where all packets are (replay_sums.c) ----------------------------------------------------------------
 */

bool replay_sums_hold(const struct replay_sums *s);
void replay_sums_print(const struct replay_sums *s, FILE *out);
json_t *replay_sums_json(const struct replay_sums *s);
/* What stream callouts did to TCP's bytes; nothing where none saw any. */
void replay_streams_print(const struct replay_result *x, FILE *out);
json_t *replay_streams_json(const struct replay_result *x);

/* ---- who (who.c): owners of endpoints ---------------------------------------------------------------- */

struct who;

/* 0 or -ENOMEM. The state outlives it. */
int who_create(const struct explain_state *s, struct who **out);
void who_destroy(struct who *w); /* after the host */
/* Rules of a --who file, in their order. EXIT_PERMITTED, or an exit status after a complaint. start_ns: the
 * capture's beginning. */
int who_read(struct who *w, const char *path, UINT64 start_ns);
/* The connections that the state's policy recorded; again after it was replaced. 0 or -ENOMEM. */
int who_endpoints(struct who *w);
/* Whose frame the capture says is worked on now; NULL: does not say. */
void who_process(struct who *w, uint32_t index, const struct capture_process *p);
/* struct host_config's owner_of; ctx is the struct who. */
const struct host_owner *who_owner(void *ctx, UINT64 time_ns, uint8_t version, uint8_t protocol,
                                   const union wire_addr *local, UINT16 local_port,
                                   const union wire_addr *remote, UINT16 remote_port);
/* Each token that a rule made, with its text as it was given. */
int who_tokens(const struct who *w, struct report_events *e);
/* Any rule without an owner so far? For -v: how often each source answered. */
struct who_counts {
    UINT64 rules, by_rule, by_process, by_endpoint, unknown;
};
void who_counts(const struct who *w, struct who_counts *out);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine with an engine and a bfe for tests: a clock that stands still until told, a store that outlives
 * the service, sessions of either flavour, objects in one line each, and a classify to see what acts. What
 * is meant to work is asserted inside the helpers.
 */
#ifndef WEIR_TESTS_BFE_LAB_H
#define WEIR_TESTS_BFE_LAB_H

#include "bfe/bfe.h"
#include "security/security.h"

#define BFE_LAB_SECOND 1000000000ull /* of the lab's clock */

struct bfe_lab {
    struct rt_clock *clock; /* manual, starts at 1000 s */
    struct bfe_store *store;
    struct engine *engine;
    struct engine_reader *reader;
    struct bfe *bfe;
    struct bfe_config config;
    struct security_token *admin; /* of a user-mode caller who is an administrator */
    struct bfe_session *kernel;   /* open, static, default time-out; NULL while the bfe boots */
};

/* Opens everything; config may be NULL (clock, store are always the lab's). close ends what is still open. */
void bfe_lab_open(struct bfe_lab *l, const struct bfe_config *config);
void bfe_lab_close(struct bfe_lab *l);
/* The machine starts anew: bfe and engine are made again over the same store; l->kernel too. */
void bfe_lab_reboot(struct bfe_lab *l, bool boot);
/* cmocka fixtures: *state is a malloc'd lab */
int bfe_lab_setup(void **state);
int bfe_lab_teardown(void **state);

enum bfe_lab_flavour { BFE_LAB_KERNEL, BFE_LAB_USER };
/* flags: FWPM_SESSION_FLAG_*; wait_ms 0: the default. */
struct bfe_session *bfe_lab_session(struct bfe_lab *l, enum bfe_lab_flavour flavour, UINT32 flags,
                                    UINT32 wait_ms);

/* A GUID for tests, from a number; never zero. */
GUID bfe_lab_guid(UINT32 n);

/* Objects with a name and the given key (NULL: zero), to be changed before adding. */
FWPM_PROVIDER0 bfe_lab_provider(const GUID *key);
FWPM_PROVIDER_CONTEXT3 bfe_lab_context(const GUID *key); /* general, four bytes */
FWPM_SUBLAYER0 bfe_lab_sublayer(const GUID *key, UINT16 weight);
FWPM_CALLOUT0 bfe_lab_callout(const GUID *key, const GUID *layer);
FWPM_FILTER0 bfe_lab_filter(const GUID *layer, FWP_ACTION_TYPE action); /* no conditions, weight FWP_EMPTY */

/* Add and assert success; the filter's id. */
UINT64 bfe_lab_add(struct bfe_session *s, const FWPM_FILTER0 *f);
GUID bfe_lab_add_sublayer(struct bfe_session *s, UINT32 n, UINT16 weight);
/* A filter at AC v4 with one condition on the remote port, or none if port is 0. */
UINT64 bfe_lab_add_port(struct bfe_session *s, UINT16 port, FWP_ACTION_TYPE action);

/* What a get by id says: is there such a filter for this session? */
bool bfe_lab_has(struct bfe_session *s, UINT64 filter_id);

FWPM_FILTER_CONDITION0 bfe_lab_condition(const GUID *key, FWP_MATCH_TYPE match, FWP_CONDITION_VALUE0 value);

/* Classifies at AC v4 with everything zero but the remote port; the id of the deciding filter, 0: none. */
UINT64 bfe_lab_decider(struct bfe_lab *l, UINT16 remote_port, FWP_ACTION_TYPE *action);
/* The same at any layer, all values zero (EMPTY where they are behind a pointer). */
struct engine_verdict bfe_lab_classify(struct bfe_lab *l, UINT16 layer_id);

#endif

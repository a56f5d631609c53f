/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state: one machine's policy, loaded and ready to be asked about: the export (room policy) in a bfe of its
 * own, committed to an engine of its own, and the objects by id, key and name.
 *
 *   explain_state_open -> policy_load_file -> bfe -> engine
 *                                              |
 *                                              +--> filters, sublayers, callouts, providers as lists (here)
 *
 * Read only after opening. Objects belong to the state.
 */
#ifndef WEIR_EXPLAIN_STATE_H
#define WEIR_EXPLAIN_STATE_H

#include "policy/policy.h"

#include "explain/memory.h"

struct explain_state {
    struct engine *engine;
    struct engine_reader *reader;
    struct bfe *bfe;
    struct bfe_session *session;
    struct policy *policy;
    FWPM_FILTER0 **filters; /* by id */
    FWPM_SUBLAYER0 **sublayers;
    FWPM_CALLOUT0 **callouts;
    FWPM_PROVIDER0 **providers;
    UINT32 filter_count, sublayer_count, callout_count, provider_count;
    const FWP_BYTE_BLOB **apps; /* the programs that filters and endpoints name, distinct, by bytes */
    UINT32 app_count;
    UINT64 generation; /* raised by explain_state_replace() */
    struct explain_arena arena;
    void *blocks[4];
    struct policy **earlier; /* policies that were replaced */
    UINT32 earlier_count;
};

/* 0, or -ENOENT ... as policy_load_file(), with error->text set. path NULL: an empty policy. */
int explain_state_open(const char *path, struct explain_state **out, struct policy_error *error);
/* Another export in the place of this one, in one transaction (policy_replace_file()). The lists are new
 * afterwards; endpoints of earlier policies stay good until the state is closed. On error (as
 * explain_state_open()) nothing has changed, but after -ENOMEM: then the state is fit for closing only. */
int explain_state_replace(struct explain_state *s, const char *path, struct policy_error *error);
void explain_state_close(struct explain_state *s);

const FWPM_FILTER0 *explain_state_filter(const struct explain_state *s, UINT64 id);
const FWPM_SUBLAYER0 *explain_state_sublayer(const struct explain_state *s, const GUID *key);
const FWPM_CALLOUT0 *explain_state_callout(const struct explain_state *s, const GUID *key);
const FWPM_PROVIDER0 *explain_state_provider(const struct explain_state *s, const GUID *key);

/* UTF-16 to UTF-8 in the arena; "" for NULL. Unpaired surrogates become U+FFFD. */
char *explain_utf8(struct explain_arena *a, const WCHAR *text);
/* The same for a counted buffer that may lack its terminating zero. */
char *explain_utf8_n(struct explain_arena *a, const WCHAR *text, size_t units);
/* UTF-8 to UTF-16, zero-terminated; units: without the zero. NULL: no memory or not UTF-8. */
WCHAR *explain_utf16(struct explain_arena *a, const char *text, size_t *units);

/* Names for people: the display name, or the documented name of the key, or the key. */
const char *explain_sublayer_name(const struct explain_state *s, struct explain_arena *a, const GUID *key);
const char *explain_callout_name(const struct explain_state *s, struct explain_arena *a, const GUID *key);
const char *explain_provider_name(const struct explain_state *s, struct explain_arena *a, const GUID *key);
/* The documented name of a key, or {...}. */
const char *explain_guid_text(struct explain_arena *a, enum engine_guid_kind kind, const GUID *key);

/*
 * The program that `text` means: a device path as it is, in lower case; C:\... by what the state knows of
 * volumes; a bare file name by the one program of this state that is called so. *blob is zero-terminated
 * UTF-16 as filters have it (MATCH-16). 0; -ENOENT: several or none are meant, *error says which; -ENOMEM;
 * -EINVAL. *note (may come back NULL) says what was assumed.
 */
int explain_app_resolve(const struct explain_state *s, struct explain_arena *a, const char *text,
                        FWP_BYTE_BLOB **blob, const char **note, const char **error);

#endif

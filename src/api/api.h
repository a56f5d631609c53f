/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api: the door of the room that exports the documented functions.
 *
 * FwpmFilterAdd0 and the others are plain C functions without a place for an engine: which one they mean is
 * the current context of the thread (rt_current()). A host makes a context for each engine that drivers or
 * programs are to see and sets it before it calls into them; threads that rt starts inherit it.
 *
 *   fwpmk.h: FwpmFilterAdd0           --> api_FwpmFilterAdd0(API_KERNEL, ...) --+
 *   fwpmu.h: weir_user_FwpmFilterAdd0 --> api_FwpmFilterAdd0(API_USER, ...)   --+--> bfe_filter_add
 *
 * Engine handles are numbers that a context gives out and looks up, never addresses: a bad one is an error.
 */
#ifndef WEIR_API_API_H
#define WEIR_API_API_H

#include "bfe/bfe.h"
#include "host/host.h"
#include "security/security.h"

struct api_context;

struct api_config {
    struct engine *engine;
    struct bfe *bfe;
    /* Who user callers are; must outlive the context. NULL: a local administrator. */
    const struct security_token *token;
    UINT32 process_id;      /* what session enumeration shows; 0: this process */
    const WCHAR *user_name; /* copied; may be NULL */
    void *owner;            /* whoever made it: api_owner() */
    struct host *host;      /* flows and endpoints; outlives the context. NULL: there are none */
};

/* 0 or -ENOMEM. One context may be current in many threads. */
int api_context_create(const struct api_config *config, struct api_context **out);
/* The client dies: sessions that it left open are closed (OBJ-01). No call of it may be under way. */
void api_context_destroy(struct api_context *c);

/* The client is a driver that has gone, with its image: callouts that it left registered, and what flows carry for them,
 * are no more; none of its functions is called. None may be running. */
void api_callouts_abandon(struct api_context *c);

/* Makes it current for this thread; returns the one before. c may be NULL. */
struct api_context *api_set_current(struct api_context *c);

/* What to set as current (rt_set_current()) where this context is; its other members are the loader's to set.
 * The context's, as long as it lives. */
struct rt_context *api_rt(struct api_context *c);

struct engine *api_engine(struct api_context *c);
void *api_owner(struct api_context *c); /* NULL: none was given */
struct bfe *api_bfe(struct api_context *c);
struct host *api_host(struct api_context *c); /* NULL: none was given */

/* The Win32 code for a status, as the user flavour returns it: FWP_E_* for STATUS_FWP_*, else as Windows maps
 * it; ERROR_MR_MID_NOT_FOUND for what has none. */
UINT32 api_win32(NTSTATUS status);

#endif

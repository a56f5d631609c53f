/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api's inside: what the doors of both flavours and their common bodies share. The user doors include
 * fwpmu.h, the bodies fwpmk.h: whoever includes this has included one of the two.
 */
#ifndef WEIR_API_INTERNAL_H
#define WEIR_API_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fwpmtypes.h"
#include "fwpstypes.h"
#include "ntstatus.h"
#include "rpcauth.h"
#include "rt/rt.h"

enum api_flavour { API_KERNEL, API_USER };

#include "api_calls.h"

UINT32 api_win32(NTSTATUS status);

/* ---- handles (handles.c) ---------------------------------------------------------------------- */
struct api_context;
struct bfe;
struct bfe_session;

/* A call under way on an engine handle. */
struct api_call {
    struct api_context *context;
    size_t slot;
    struct bfe_session *session;
};

/* The context of this thread's calls, NULL if none is set. */
struct api_context *api_current(void);
struct bfe *api_current_bfe(void);

/* Enumerations of endpoints (ale_endpoint.c), the context's. create: 0 or -ENOMEM. */
struct api_endpoint_lists;
int api_endpoint_lists_create(struct api_endpoint_lists **out);
void api_endpoint_lists_destroy(struct api_endpoint_lists *t);
struct api_endpoint_lists *api_endpoint_lists(struct api_context *c);

/* What a driver has registered (callouts.c), the context's. create: 0 or -ENOMEM. */
struct api_callouts;
int api_callouts_create(struct api_callouts **out);
void api_callouts_destroy(struct api_callouts *t);
struct api_callouts *api_callouts(struct api_context *c);

/* Between these the session stays. STATUS_INVALID_HANDLE: no open handle of this flavour in the current
 * context. */
NTSTATUS api_enter(enum api_flavour flavour, HANDLE handle, struct api_call *call);
void api_leave(struct api_call *call);

/* The first thing that a driver's door of a management function does (nt/irql.h). */
#define API_DRIVER_CALL(irql)                                                                                \
    do {                                                                                                     \
        rt_carried()->site = __builtin_return_address(0);                                                    \
        NT_IRQL_MAX(irql);                                                                                   \
    } while (0)

/* The body of most functions: `status = call on c.session`, between enter and leave. */
#define API_SESSION_CALL(flavour, handle, expression)                                                        \
    do {                                                                                                     \
        struct api_call c;                                                                                   \
        NTSTATUS status_ = api_enter(flavour, handle, &c);                                                   \
        if (status_ != STATUS_SUCCESS)                                                                       \
            return status_;                                                                                  \
        status_ = (expression);                                                                              \
        api_leave(&c);                                                                                       \
        return status_;                                                                                      \
    } while (0)

/* ---- provider contexts by version (contexts.c) ------------------------------------------------ */
NTSTATUS api_context_add(struct bfe_session *s, unsigned version, const void *context, const void *sd,
                         size_t sd_size, UINT64 *id);
NTSTATUS api_context_get(struct bfe_session *s, unsigned version, const GUID *key, UINT64 id, void **out);
NTSTATUS api_context_enum(struct bfe_session *s, unsigned version, HANDLE enumHandle, UINT32 requested,
                          void ***entries, UINT32 *returned);

/* ---- security descriptors as callers give them (descriptor.c) --------------------------------- */
/* Absolute or self-relative, into self-relative and its size: *out is malloc'd, NULL for NULL.
 * STATUS_INVALID_SECURITY_DESCR, STATUS_NO_MEMORY. */
NTSTATUS api_descriptor(PSECURITY_DESCRIPTOR sd, void **out, size_t *size);

#endif

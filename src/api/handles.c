/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Contexts and their engine handles.
 *
 * A handle is a number: slot + 1 and the slot's generation, so that a closed one is not taken for its
 * successor.
 *
 *   FREE --open--> OPEN --close--> CLOSING --the last call has left--> FREE
 *
 * `calls` counts the calls under way on a slot. Closing makes the session refuse (and wake) those that wait
 * in it and waits for all to leave before the session goes; new ones no longer find it. A callback may close
 * its own session's handle, for it runs in no call of that session.
 */
#include "fwpmk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/api.h"
#include "api/internal.h"
#include "ledger/ledger.h"
#include "rt/rt.h"

enum slot_state { SLOT_FREE, SLOT_OPEN, SLOT_CLOSING };

struct slot {
    enum slot_state state;
    enum api_flavour flavour;
    UINT32 generation;
    UINT32 calls;
    struct bfe_session *session;
};

struct api_context {
    struct rt_context rt; /* what is current where this is; its members driver and party are the loader's */
    struct engine *engine;
    struct bfe *bfe;
    struct security_token *own_token; /* when none was given */
    const struct security_token *token;
    UINT32 process_id;
    WCHAR *user_name;
    void *owner;
    struct host *host;
    struct api_endpoint_lists *endpoint_lists;
    struct api_callouts *callouts;

    struct rt_mutex *lock;
    struct rt_cond *left; /* a call has left a closing slot */
    struct slot *slots;
    size_t slot_count;
};

/* ---- contexts --------------------------------------------------------------------------------- */

/* S-1-5-18 as a member of Administrators, Everyone and Authenticated Users: what a service or an elevated
 * administrator's program is to the access checks. */
static int administrator(struct security_token **out)
{
    static const char *const names[] = {"BA", "WD", "AU"};
    UINT8 sids[ARRAYSIZE(names) + 1][SECURITY_MAX_SID_SIZE];
    SID_AND_ATTRIBUTES groups[ARRAYSIZE(names)];

    if (security_sid_parse("SY", (SID *)sids[0], sizeof(sids[0])))
        return -EINVAL;
    for (size_t i = 0; i < ARRAYSIZE(names); i++) {
        if (security_sid_parse(names[i], (SID *)sids[i + 1], sizeof(sids[i + 1])))
            return -EINVAL;
        groups[i] = (SID_AND_ATTRIBUTES){sids[i + 1], SE_GROUP_ENABLED | SE_GROUP_ENABLED_BY_DEFAULT};
    }
    return security_token_create(&(struct security_token_spec){.user = (SID *)sids[0],
                                                               .groups = groups,
                                                               .group_count = ARRAYSIZE(groups)},
                                 out);
}

static WCHAR *copy_text(const WCHAR *text)
{
    size_t n = 0;
    WCHAR *copy;

    while (text[n])
        n++;
    copy = malloc((n + 1) * sizeof(*copy));
    if (copy)
        memcpy(copy, text, (n + 1) * sizeof(*copy));
    return copy;
}

int api_context_create(const struct api_config *config, struct api_context **out)
{
    struct api_context *c = calloc(1, sizeof(*c));

    if (!c)
        return -ENOMEM;
    c->rt.api = c;
    c->engine = config->engine;
    c->owner = config->owner;
    c->host = config->host;
    c->bfe = config->bfe;
    c->token = config->token;
    c->process_id = config->process_id ? config->process_id : (UINT32)getpid();
    if (!c->token && administrator(&c->own_token))
        goto fail;
    if (!c->token)
        c->token = c->own_token;
    if (config->user_name) {
        c->user_name = copy_text(config->user_name);
        if (!c->user_name)
            goto fail;
    }
    if (api_endpoint_lists_create(&c->endpoint_lists) || api_callouts_create(&c->callouts) ||
        rt_mutex_create(&c->lock) || rt_cond_create(rt_clock_real(), &c->left))
        goto fail;
    *out = c;
    return 0;
fail:
    api_context_destroy(c);
    return -ENOMEM;
}

void api_context_destroy(struct api_context *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->slot_count; i++)
        if (c->slots[i].state == SLOT_OPEN)
            bfe_session_close(c->slots[i].session);
    free(c->slots);
    api_endpoint_lists_destroy(c->endpoint_lists);
    api_callouts_destroy(c->callouts);
    if (c->left)
        rt_cond_destroy(c->left);
    if (c->lock)
        rt_mutex_destroy(c->lock);
    free(c->user_name);
    if (c->own_token)
        security_token_destroy(c->own_token);
    free(c);
}

struct api_context *api_set_current(struct api_context *c)
{
    struct rt_context *before = rt_set_current(c != NULL ? &c->rt : NULL);

    return before != NULL ? before->api : NULL;
}

struct api_context *api_current(void)
{
    struct rt_context *current = rt_current();

    return current != NULL ? current->api : NULL;
}

struct api_callouts *api_callouts(struct api_context *c)
{
    return c->callouts;
}

struct rt_context *api_rt(struct api_context *c)
{
    return &c->rt;
}

struct engine *api_engine(struct api_context *c)
{
    return c->engine;
}

void *api_owner(struct api_context *c)
{
    return c->owner;
}

struct host *api_host(struct api_context *c)
{
    return c->host;
}

struct api_endpoint_lists *api_endpoint_lists(struct api_context *c)
{
    return c->endpoint_lists;
}

struct bfe *api_bfe(struct api_context *c)
{
    return c->bfe;
}

struct bfe *api_current_bfe(void)
{
    struct api_context *c = api_current();

    return c ? c->bfe : NULL;
}

/* ---- handles ---------------------------------------------------------------------------------- */

#define SLOT_BITS 24
#define MAX_SLOTS ((1u << SLOT_BITS) - 1)

static HANDLE handle_of(const struct api_context *c, size_t slot)
{
    return (HANDLE)((uintptr_t)c->slots[slot].generation << SLOT_BITS | (slot + 1));
}

/* The open slot that a handle of this flavour names, or slot_count. Lock held. */
static size_t find_slot(const struct api_context *c, enum api_flavour flavour, HANDLE handle)
{
    uintptr_t number = (uintptr_t)handle;
    size_t slot = (number & MAX_SLOTS) - 1; /* wraps for 0 */

    if (slot >= c->slot_count || c->slots[slot].state != SLOT_OPEN || c->slots[slot].flavour != flavour ||
        c->slots[slot].generation != (UINT32)(number >> SLOT_BITS) || number >> SLOT_BITS > MAXUINT32)
        return c->slot_count;
    return slot;
}

NTSTATUS api_enter(enum api_flavour flavour, HANDLE handle, struct api_call *call)
{
    struct api_context *c = api_current();
    NTSTATUS status = STATUS_INVALID_HANDLE;

    if (!c)
        return status;
    rt_mutex_lock(c->lock);
    size_t slot = find_slot(c, flavour, handle);
    if (slot < c->slot_count) {
        c->slots[slot].calls++;
        *call = (struct api_call){c, slot, c->slots[slot].session};
        status = STATUS_SUCCESS;
    }
    rt_mutex_unlock(c->lock);
    return status;
}

void api_leave(struct api_call *call)
{
    struct api_context *c = call->context;

    rt_mutex_lock(c->lock);
    struct slot *s = &c->slots[call->slot];
    if (--s->calls == 0 && s->state == SLOT_CLOSING)
        rt_cond_broadcast(c->left);
    rt_mutex_unlock(c->lock);
}

/* A free slot, made if there is none; slot_count: no memory. Lock held. */
static size_t take_slot(struct api_context *c)
{
    size_t slot = 0, count;
    struct slot *more;

    while (slot < c->slot_count && c->slots[slot].state != SLOT_FREE)
        slot++;
    if (slot < c->slot_count)
        return slot;
    count = c->slot_count ? 2 * c->slot_count : 8;
    if (count > MAX_SLOTS || !(more = realloc(c->slots, count * sizeof(*more))))
        return c->slot_count;
    memset(more + c->slot_count, 0, (count - c->slot_count) * sizeof(*more));
    c->slots = more;
    c->slot_count = count;
    return slot;
}

/* The authentication services that the call allows; kernel callers may leave it to the default. */
static bool is_allowed_service(UINT32 service)
{
    return service == RPC_C_AUTHN_WINNT || service == RPC_C_AUTHN_DEFAULT;
}

NTSTATUS api_FwpmEngineOpen0(enum api_flavour flavour, const WCHAR *serverName, UINT32 authnService,
                             SEC_WINNT_AUTH_IDENTITY_W *authIdentity, const FWPM_SESSION0 *session,
                             HANDLE *engineHandle)
{
    struct api_context *c = api_current();
    struct bfe_session *opened;
    NTSTATUS status;

    (void)authIdentity; /* there is nobody to authenticate to: the context says who calls */
    if (!engineHandle)
        return STATUS_FWP_NULL_POINTER;
    *engineHandle = NULL;
    if (!c)
        return STATUS_DEVICE_NOT_READY; /* no engine runs for this thread */
    if (serverName)                     /* "must be NULL" */
        return STATUS_INVALID_PARAMETER;
    if (!is_allowed_service(authnService))
        return STATUS_NOT_SUPPORTED;
    const FWP_BYTE_BLOB *token = security_token_blob(c->token);
    const TOKEN_ACCESS_INFORMATION *t = (const void *)token->data;
    struct bfe_caller caller = {
        .kernel = flavour == API_KERNEL,
        .token = token,
        .process_id = c->process_id,
        .sid = t->SidHash && t->SidHash->SidCount ? t->SidHash->SidAttr[0].Sid : NULL,
        .user_name = c->user_name,
    };
    status = bfe_session_open(c->bfe, &caller, session, &opened);
    if (status != STATUS_SUCCESS)
        return status;
    rt_mutex_lock(c->lock);
    size_t slot = take_slot(c);
    if (slot < c->slot_count) {
        c->slots[slot].state = SLOT_OPEN;
        c->slots[slot].flavour = flavour;
        c->slots[slot].session = opened;
        *engineHandle = handle_of(c, slot);
    }
    rt_mutex_unlock(c->lock);
    if (!*engineHandle) {
        bfe_session_close(opened);
        return STATUS_NO_MEMORY;
    }
    if (flavour == API_KERNEL)
        ledger_open(LEDGER_ENGINE_HANDLE, (uintptr_t)*engineHandle, 0, NULL, rt_carried()->site);
    return STATUS_SUCCESS;
}

NTSTATUS api_FwpmEngineClose0(enum api_flavour flavour, HANDLE engineHandle)
{
    struct api_context *c = api_current();
    struct bfe_session *session;

    if (!engineHandle) /* OBJ-03 */
        return STATUS_SUCCESS;
    if (!c)
        return STATUS_INVALID_HANDLE;
    rt_mutex_lock(c->lock);
    size_t slot = find_slot(c, flavour, engineHandle);
    if (slot == c->slot_count) {
        rt_mutex_unlock(c->lock);
        return STATUS_INVALID_HANDLE;
    }
    c->slots[slot].state = SLOT_CLOSING;
    session = c->slots[slot].session;
    rt_mutex_unlock(c->lock);
    if (flavour == API_KERNEL)
        ledger_close(LEDGER_ENGINE_HANDLE, (uintptr_t)engineHandle, rt_carried()->site);

    bfe_session_cancel(session);

    rt_mutex_lock(c->lock);
    while (c->slots[slot].calls > 0)
        rt_cond_wait(c->left, c->lock, RT_FOREVER);
    c->slots[slot].state = SLOT_FREE;
    c->slots[slot].session = NULL;
    c->slots[slot].generation++;
    rt_mutex_unlock(c->lock);
    return bfe_session_close(session);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network module registrar: brings every client of a programming interface (an NPI: a GUID) and every provider of it
 * together, whichever drivers they are in and whichever came first, and takes them apart again.
 *
 * A pair is a binding. The module that registers later offers itself to all that were there:
 *
 *             NmrRegister*()                NmrClientAttachProvider(): ProviderAttachClient
 *   (none) -------------------> OFFERED -----------------------------------------------> JOINED
 *                                  | ClientAttachProvider returned without it, or it failed   |
 *                                  v                                                          | NmrDeregister*(), of either:
 *                               (none)                                                        v both sides' detach callbacks
 *   (none) <---- both sides' clean-up <--- each returned SUCCESS, or PENDING and called ... PARTING
 *                                          Nmr*Detach*Complete()
 *
 * The documents do not say which of the two is told to detach first, nor which cleans up first. Here it is the one that
 * deregisters, in the order in which its page names them, and the client.
 *
 * Attaching happens on the thread that registers, before its call returns; detaching on the one that deregisters;
 * cleaning up on that which was last. While callbacks of a binding are under way (`busy`) nobody else begins to take it
 * apart or frees it: a module that goes meanwhile is LEAVING, and who holds the binding looks when it comes back.
 *
 * Owners: the registrar owns modules and bindings, drivers hold their numbers as handles. A module lives until it was
 * waited for; it owes a debt (LEDGER_CALLBACK) that long. A binding lives until both have cleaned up; a module's `holds`
 * counts it that long, and the registration as long as that is under way, and is what is waited for. What a driver that is gone has left (DEAD) is not called
 * any more; its partners are told to detach.
 *
 * k->lock guards all of it and is not held while a driver runs.
 */
#include <errno.h>
#include <stdlib.h>

#include "netioddk.h"
#include "nt/fault.h"
#include "nt/internal.h"

enum side { CLIENT, PROVIDER, SIDES };
enum module_state { PRESENT, LEAVING, DEAD };

struct module {
    struct module *next; /* nmr->modules, in the order of registration */
    uintptr_t number;    /* its handle */
    enum side side;
    enum module_state state;
    struct rt_context *context; /* of the driver that registered it */
    PVOID argument;
    unsigned holds;
    union {
        PCNPI_CLIENT_CHARACTERISTICS as_client;
        PCNPI_PROVIDER_CHARACTERISTICS as_provider;
    };
};

struct binding {
    struct binding *next; /* nmr->bindings */
    uintptr_t number;     /* its handle */
    enum { OFFERED, JOINING, REFUSED, JOINED, PARTING } state;
    bool busy;
    struct module *of[SIDES];
    PVOID context[SIDES];
    bool absent[SIDES]; /* has no context to clean up: it says that it never attached */
    bool parted[SIDES]; /* has detached */
};

struct nmr {
    struct module *modules;
    struct binding *bindings;
    uintptr_t last; /* number that was given */
    struct rt_cond *changed;
};

int nmr_create(struct nt *k)
{
    struct nmr *r = calloc(1, sizeof(*r));

    if (r == NULL || rt_cond_create(k->clock, &r->changed) != 0) {
        free(r);
        return -ENOMEM;
    }
    k->nmr = r;
    return 0;
}

void nmr_destroy(struct nt *k)
{
    struct nmr *r = k->nmr;

    if (r == NULL)
        return;
    for (struct module *m; (m = r->modules) != NULL;) {
        r->modules = m->next;
        free(m);
    }
    for (struct binding *b; (b = r->bindings) != NULL;) {
        r->bindings = b->next;
        free(b);
    }
    rt_cond_destroy(r->changed);
    free(r);
}

/* ---- modules, bindings: under k->lock --------------------------------------------------------------------- */

static struct module *module_of(struct nmr *r, HANDLE handle, enum side side)
{
    for (struct module *m = r->modules; m != NULL; m = m->next) {
        if (m->number == (uintptr_t)handle && m->side == side)
            return m;
    }
    return NULL;
}

static struct binding *binding_of(struct nmr *r, HANDLE handle)
{
    for (struct binding *b = r->bindings; b != NULL; b = b->next) {
        if (b->number == (uintptr_t)handle)
            return b;
    }
    return NULL;
}

/* Callbacks are shown it without a const, as documented. */
static PNPI_REGISTRATION_INSTANCE instance_of(const struct module *m)
{
    return (PNPI_REGISTRATION_INSTANCE)(uintptr_t)(m->side == CLIENT
                                                       ? &m->as_client->ClientRegistrationInstance
                                                       : &m->as_provider->ProviderRegistrationInstance);
}

static struct binding *pair(struct nmr *r, struct module *client, struct module *provider)
{
    struct binding *b = calloc(1, sizeof(*b));

    if (b == NULL)
        return NULL;
    b->number = ++r->last;
    b->busy = true;
    b->of[CLIENT] = client;
    b->of[PROVIDER] = provider;
    b->next = r->bindings;
    r->bindings = b;
    client->holds++;
    provider->holds++;
    return b;
}

static void unbind(struct nmr *r, struct binding *b)
{
    for (struct binding **at = &r->bindings; *at != NULL; at = &(*at)->next) {
        if (*at == b) {
            *at = b->next;
            break;
        }
    }
    b->of[CLIENT]->holds--;
    b->of[PROVIDER]->holds--;
    free(b);
    rt_cond_broadcast(r->changed);
}

/* ---- detaching: under k->lock, which is given up while a driver runs ---------------------------------------- */

static NTSTATUS call_detach(struct nt *k, const struct binding *b, enum side side)
{
    const struct module *m = b->of[side];
    struct nt_entered was;
    NTSTATUS status;

    rt_mutex_unlock(k->lock);
    was = nt_enter(m->context, rt_carried()->irql);
    status = side == CLIENT ? m->as_client->ClientDetachProvider(b->context[CLIENT])
                            : m->as_provider->ProviderDetachClient(b->context[PROVIDER]);
    nt_leave(was, side == CLIENT ? "ClientDetachProvider" : "ProviderDetachClient");
    rt_mutex_lock(k->lock);
    return status;
}

static void call_cleanup(struct nt *k, const struct binding *b, enum side side)
{
    const struct module *m = b->of[side];
    VOID(NTAPI * cleanup)
    (PVOID) = side == CLIENT ? m->as_client->ClientCleanupBindingContext
                             : m->as_provider->ProviderCleanupBindingContext;
    struct nt_entered was;

    if (cleanup == NULL)
        return;
    rt_mutex_unlock(k->lock);
    was = nt_enter(m->context, rt_carried()->irql);
    cleanup(b->context[side]);
    nt_leave(was, side == CLIENT ? "ClientCleanupBindingContext" : "ProviderCleanupBindingContext");
    rt_mutex_lock(k->lock);
}

/* Both have detached, and nobody is busy with it: it goes. */
static void end_if_over(struct nt *k, struct binding *b)
{
    if (b->busy || !b->parted[CLIENT] || !b->parted[PROVIDER])
        return;
    b->busy = true;
    for (enum side side = CLIENT; side < SIDES; side++) {
        if (!b->absent[side] && b->of[side]->state != DEAD)
            call_cleanup(k, b, side);
    }
    unbind(k->nmr, b);
}

/* A binding that is JOINED and not busy. */
static void part(struct nt *k, struct binding *b, enum side first)
{
    b->state = PARTING;
    b->busy = true;
    for (unsigned i = 0; i < SIDES; i++) {
        enum side side = i == 0 ? first : (enum side)(SIDES - 1 - first);

        if (b->absent[side] || b->of[side]->state == DEAD || call_detach(k, b, side) != STATUS_PENDING)
            b->parted[side] = true;
    }
    b->busy = false;
    end_if_over(k, b);
}

static void part_all(struct nt *k, struct module *m)
{
    for (struct binding *b = k->nmr->bindings; b != NULL;) {
        if (b->of[m->side] != m || b->state != JOINED || b->busy) {
            b = b->next;
            continue;
        }
        part(k, b, m->side);
        b = k->nmr->bindings; /* anything may have gone meanwhile */
    }
}

/* ---- attaching: under k->lock, which is given up while a driver runs ---------------------------------------- */

static void offer(struct nt *k, struct module *client, struct module *provider)
{
    struct binding *b = pair(k->nmr, client, provider);
    struct nt_entered was;
    bool joined, says_so;
    HANDLE handle;

    if (b == NULL)
        return; /* as if the client had declined */
    handle = (HANDLE)b->number;
    rt_mutex_unlock(k->lock);
    was = nt_enter(client->context, PASSIVE_LEVEL);
    says_so = client->as_client->ClientAttachProvider(handle, client->argument, instance_of(provider)) ==
              STATUS_SUCCESS;
    rt_mutex_lock(k->lock);
    joined = b->state == JOINED;
    rt_mutex_unlock(k->lock);
    if (joined != says_so)
        nt_note((const void *)(uintptr_t)client->as_client->ClientAttachProvider,
                "ClientAttachProvider does not return what NmrClientAttachProvider did: it %s",
                joined ? "fails, though attached" : "succeeds without");
    nt_leave(was, "ClientAttachProvider");
    rt_mutex_lock(k->lock);
    b->busy = false;
    if (!joined) {
        unbind(k->nmr, b);
        return;
    }
    b->absent[CLIENT] = !says_so;
    if (b->absent[CLIENT] || client->state != PRESENT)
        part(k, b, CLIENT);
    else if (provider->state != PRESENT)
        part(k, b, PROVIDER);
}

/* To all of the other side that were there before it; who comes later offers itself. */
static void offer_all(struct nt *k, struct module *m)
{
    PNPIID npi = instance_of(m)->NpiId;

    for (struct module *other = k->nmr->modules; other != m;) {
        uintptr_t seen = other->number;

        if (m->state == PRESENT && other->state == PRESENT && other->side != m->side &&
            memcmp(instance_of(other)->NpiId, npi, sizeof(*npi)) == 0)
            offer(k, m->side == CLIENT ? m : other, m->side == CLIENT ? other : m);
        /* It may have gone meanwhile; m has not, its registration holds it. */
        for (other = k->nmr->modules; other != m && other->number <= seen;)
            other = other->next;
    }
}

/* ---- what both sides share ----------------------------------------------------------------------------------- */

static NTSTATUS add(struct module one, HANDLE *handle, const void *site)
{
    struct nt *k = nt_current();
    struct module *m, **at;

    if (k == NULL || instance_of(&one)->NpiId == NULL)
        return STATUS_INVALID_PARAMETER;
    m = malloc(sizeof(*m));
    if (m == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    *m = one;
    m->context = rt_current();
    m->holds = 1;
    ledger_open(LEDGER_CALLBACK, (uintptr_t)m, 0, "network module", site);
    rt_mutex_lock(k->lock);
    for (at = &k->nmr->modules; *at != NULL;)
        at = &(*at)->next;
    *at = m;
    m->number = ++k->nmr->last;
    *handle = (HANDLE)m->number;
    offer_all(k, m);
    m->holds--;
    rt_cond_broadcast(k->nmr->changed);
    rt_mutex_unlock(k->lock);
    return STATUS_SUCCESS;
}

/* The module of that handle, which is in that state; k->lock is held then. NULL: there is none, and no lock. */
static struct module *enter(struct nt *k, HANDLE handle, enum side side, enum module_state state)
{
    struct module *m;

    if (k == NULL)
        return NULL;
    rt_mutex_lock(k->lock);
    m = module_of(k->nmr, handle, side);
    if (m != NULL && m->state == state)
        return m;
    rt_mutex_unlock(k->lock);
    return NULL;
}

static NTSTATUS leave(HANDLE handle, enum side side)
{
    struct nt *k = nt_current();
    struct module *m = enter(k, handle, side, PRESENT);

    if (m == NULL)
        return STATUS_INVALID_PARAMETER;
    m->state = LEAVING;
    part_all(k, m);
    rt_mutex_unlock(k->lock);
    return STATUS_PENDING;
}

static NTSTATUS wait_for(HANDLE handle, enum side side, const void *site)
{
    struct nt *k = nt_current();
    struct module *m = enter(k, handle, side, LEAVING);

    if (m == NULL)
        return STATUS_INVALID_PARAMETER;
    rt_waits_for("network modules to detach from each other");
    while ((m = module_of(k->nmr, handle, side)) != NULL && m->holds != 0)
        rt_cond_wait(k->nmr->changed, k->lock, RT_FOREVER);
    rt_waits_for(NULL);
    for (struct module **at = &k->nmr->modules; m != NULL && *at != NULL; at = &(*at)->next) {
        if (*at == m) {
            *at = m->next;
            break;
        }
    }
    rt_cond_broadcast(k->nmr->changed); /* whoever waits for the same one */
    rt_mutex_unlock(k->lock);
    if (m != NULL)
        ledger_close(LEDGER_CALLBACK, (uintptr_t)m, site);
    free(m);
    return STATUS_SUCCESS;
}

static void complete(HANDLE handle, enum side side, const char *function, const void *site)
{
    struct nt *k = nt_current();
    struct binding *b;
    bool good;

    if (k == NULL)
        return;
    rt_mutex_lock(k->lock);
    b = binding_of(k->nmr, handle);
    good = b != NULL && b->state == PARTING && !b->parted[side];
    if (good) {
        b->parted[side] = true;
        end_if_over(k, b);
    }
    rt_mutex_unlock(k->lock);
    if (!good)
        nt_note(site, "%s with a handle of no binding that waits for it", function);
}

void nmr_forget(struct nt_driver *d)
{
    struct nt *k = d->k;

    rt_mutex_lock(k->lock);
    for (struct module *m = k->nmr->modules; m != NULL; m = m->next) {
        if (m->context != d->context)
            continue;
        m->state = DEAD;
        part_all(k, m);
        for (struct binding *b = k->nmr->bindings; b != NULL;) {
            bool over = b->of[m->side] == m && b->state == PARTING && !b->parted[m->side];

            if (!over) {
                b = b->next;
                continue;
            }
            b->parted[m->side] = true;
            end_if_over(k, b);
            b = k->nmr->bindings;
        }
    }
    rt_mutex_unlock(k->lock);
}

/* ---- what drivers call ----------------------------------------------------------------------------------- */

NTSTATUS NTAPI NmrRegisterClient(PCNPI_CLIENT_CHARACTERISTICS ClientCharacteristics, PVOID ClientContext,
                                 PHANDLE NmrClientHandle)
{
    NT_FAIL_STATUS(NmrRegisterClient);
    NT_IRQL_MAX(PASSIVE_LEVEL);
    if (ClientCharacteristics == NULL || NmrClientHandle == NULL ||
        ClientCharacteristics->ClientAttachProvider == NULL ||
        ClientCharacteristics->ClientDetachProvider == NULL)
        return STATUS_INVALID_PARAMETER;
    return add((struct module){.side = CLIENT, .argument = ClientContext, .as_client = ClientCharacteristics},
               NmrClientHandle, NT_SITE);
}

NTSTATUS NTAPI NmrRegisterProvider(PCNPI_PROVIDER_CHARACTERISTICS ProviderCharacteristics,
                                   PVOID ProviderContext, PHANDLE NmrProviderHandle)
{
    NT_FAIL_STATUS(NmrRegisterProvider);
    NT_IRQL_MAX(PASSIVE_LEVEL);
    if (ProviderCharacteristics == NULL || NmrProviderHandle == NULL ||
        ProviderCharacteristics->ProviderAttachClient == NULL ||
        ProviderCharacteristics->ProviderDetachClient == NULL)
        return STATUS_INVALID_PARAMETER;
    return add((struct module){.side = PROVIDER,
                               .argument = ProviderContext,
                               .as_provider = ProviderCharacteristics},
               NmrProviderHandle, NT_SITE);
}

NTSTATUS NTAPI NmrClientAttachProvider(HANDLE NmrBindingHandle, PVOID ClientBindingContext,
                                       const VOID *ClientDispatch, PVOID *ProviderBindingContext,
                                       const VOID **ProviderDispatch)
{
    struct nt *k = nt_current();
    NTSTATUS status = STATUS_INVALID_PARAMETER;
    const VOID *dispatch = NULL;
    PVOID context = NULL;
    struct module *provider;
    struct nt_entered was;
    struct binding *b;

    NT_IRQL_MAX(PASSIVE_LEVEL);
    if (k == NULL || ProviderBindingContext == NULL || ProviderDispatch == NULL)
        return STATUS_INVALID_PARAMETER;
    rt_mutex_lock(k->lock);
    b = binding_of(k->nmr, NmrBindingHandle);
    if (b == NULL || b->state != OFFERED)
        goto out;
    provider = b->of[PROVIDER];
    b->state = JOINING;
    b->context[CLIENT] = ClientBindingContext;
    status = STATUS_NOINTERFACE;
    if (provider->state == PRESENT) {
        rt_mutex_unlock(k->lock);
        was = nt_enter(provider->context, PASSIVE_LEVEL);
        status = provider->as_provider->ProviderAttachClient(NmrBindingHandle, provider->argument,
                                                             instance_of(b->of[CLIENT]), ClientBindingContext,
                                                             ClientDispatch, &context, &dispatch);
        nt_leave(was, "ProviderAttachClient");
        rt_mutex_lock(k->lock);
    }
    b->state = status == STATUS_SUCCESS ? JOINED : REFUSED;
    b->context[PROVIDER] = context;
    if (status == STATUS_SUCCESS) {
        *ProviderBindingContext = context;
        *ProviderDispatch = dispatch;
    }
out:
    rt_mutex_unlock(k->lock);
    return status;
}

NTSTATUS NTAPI NmrDeregisterClient(HANDLE NmrClientHandle)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    return leave(NmrClientHandle, CLIENT);
}

NTSTATUS NTAPI NmrDeregisterProvider(HANDLE NmrProviderHandle)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    return leave(NmrProviderHandle, PROVIDER);
}

VOID NTAPI NmrClientDetachProviderComplete(HANDLE NmrBindingHandle)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    complete(NmrBindingHandle, CLIENT, __func__, NT_SITE);
}

VOID NTAPI NmrProviderDetachClientComplete(HANDLE NmrBindingHandle)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    complete(NmrBindingHandle, PROVIDER, __func__, NT_SITE);
}

NTSTATUS NTAPI NmrWaitForClientDeregisterComplete(HANDLE NmrClientHandle)
{
    NT_IRQL_MAX(APC_LEVEL);
    return wait_for(NmrClientHandle, CLIENT, NT_SITE);
}

NTSTATUS NTAPI NmrWaitForProviderDeregisterComplete(HANDLE NmrProviderHandle)
{
    NT_IRQL_MAX(APC_LEVEL);
    return wait_for(NmrProviderHandle, PROVIDER, NT_SITE);
}

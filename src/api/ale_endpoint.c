/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FwpsAleEndpoint*0: the host's endpoints as programs list them (ALE-39). PASSIVE_LEVEL.
 *
 * An enumeration is a snapshot: what fits the template when its handle is made (as OBJ-34). Handles are
 * numbers that the context gives out; one that was left open goes with the context. Properties are handed out
 * in one block, freed with FwpmFreeMemory0. The endpoint's id is its TRANSPORT_ENDPOINT_HANDLE.
 */
#include "fwpmk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/internal.h"
#include "bfe/access.h"
#include "rt/rt.h"

struct listing {
    struct listing *next;
    uintptr_t number;
    HANDLE engine;
    struct host_endpoint_info *entries;
    size_t count, at;
};

struct api_endpoint_lists {
    struct rt_mutex *lock;
    struct listing *first;
    uintptr_t last_number;
};

int api_endpoint_lists_create(struct api_endpoint_lists **out)
{
    struct api_endpoint_lists *t = calloc(1, sizeof(*t));

    if (t == NULL || rt_mutex_create(&t->lock) != 0) {
        free(t);
        return -ENOMEM;
    }
    *out = t;
    return 0;
}

static void listing_free(struct listing *e)
{
    if (e == NULL)
        return;
    free(e->entries);
    free(e);
}

void api_endpoint_lists_destroy(struct api_endpoint_lists *t)
{
    if (t == NULL)
        return;
    while (t->first != NULL) {
        struct listing *e = t->first;

        t->first = e->next;
        listing_free(e);
    }
    rt_mutex_destroy(t->lock);
    free(t);
}

/* ---- templates --------------------------------------------------------------------------------------------
 */

static NTSTATUS check(const FWP_CONDITION_VALUE0 *c, FWP_DATA_TYPE a, FWP_DATA_TYPE b)
{
    if (c->type == FWP_EMPTY)
        return STATUS_SUCCESS;
    if (c->type != a && c->type != b)
        return STATUS_FWP_TYPE_MISMATCH;
    if ((a == FWP_V4_ADDR_MASK) && c->v4AddrMask == NULL)
        return STATUS_FWP_NULL_POINTER;
    return STATUS_SUCCESS;
}

static NTSTATUS template_check(const FWPS_ALE_ENDPOINT_ENUM_TEMPLATE0 *t)
{
    NTSTATUS status = STATUS_SUCCESS;

    if (t == NULL)
        return status;
    status = check(&t->localSubNet, FWP_V4_ADDR_MASK, FWP_V6_ADDR_MASK);
    if (status == STATUS_SUCCESS)
        status = check(&t->remoteSubNet, FWP_V4_ADDR_MASK, FWP_V6_ADDR_MASK);
    if (status == STATUS_SUCCESS)
        status = check(&t->ipProtocol, FWP_UINT8, FWP_UINT8);
    if (status == STATUS_SUCCESS)
        status = check(&t->localPort, FWP_UINT16, FWP_UINT16);
    return status == STATUS_SUCCESS ? check(&t->remotePort, FWP_UINT16, FWP_UINT16) : status;
}

static bool in_subnet(const FWP_CONDITION_VALUE0 *c, uint8_t version, const union wire_addr *a)
{
    FWP_VALUE0 v = {.type = FWP_UINT32, .uint32 = a->v4};
    FWP_BYTE_ARRAY16 bytes;

    if (c->type == FWP_EMPTY)
        return true;
    if ((c->type == FWP_V6_ADDR_MASK) != (version == 6))
        return false;
    if (version == 6) {
        memcpy(bytes.byteArray16, a->v6, sizeof(bytes.byteArray16));
        v = (FWP_VALUE0){.type = FWP_BYTE_ARRAY16_TYPE, .byteArray16 = &bytes};
    }
    return engine_match(FWP_MATCH_EQUAL, c, &v);
}

static bool fits(const FWPS_ALE_ENDPOINT_ENUM_TEMPLATE0 *t, const struct host_endpoint_info *e)
{
    if (t == NULL)
        return true;
    return in_subnet(&t->localSubNet, e->version, &e->local) &&
           in_subnet(&t->remoteSubNet, e->version, &e->remote) &&
           (t->ipProtocol.type == FWP_EMPTY || t->ipProtocol.uint8 == e->protocol) &&
           (t->localPort.type == FWP_EMPTY || t->localPort.uint16 == e->local_port) &&
           (t->remotePort.type == FWP_EMPTY || t->remotePort.uint16 == e->remote_port);
}

/* ---- gathering --------------------------------------------------------------------------------------------
 */

struct gathering {
    const FWPS_ALE_ENDPOINT_ENUM_TEMPLATE0 *tmpl;
    UINT64 id; /* only this one; 0: all that fit */
    struct host_endpoint_info *entries;
    size_t count, room;
    bool failed;
};

static void gather(void *ctx, const struct host_endpoint_info *e)
{
    struct gathering *g = ctx;

    if (g->failed || (g->id != 0 && g->id != e->id) || !fits(g->tmpl, e))
        return;
    if (g->count == g->room) {
        size_t room = g->room != 0 ? 2 * g->room : 32;
        struct host_endpoint_info *more = realloc(g->entries, room * sizeof(*more));

        if (more == NULL) {
            g->failed = true;
            return;
        }
        g->entries = more;
        g->room = room;
    }
    g->entries[g->count++] = *e;
}

static int by_age(const void *a, const void *b)
{
    UINT64 x = ((const struct host_endpoint_info *)a)->id, y = ((const struct host_endpoint_info *)b)->id;

    return x < y ? -1 : x > y;
}

static size_t app_size(const struct host_endpoint_info *e)
{
    return e->owner != NULL && e->owner->app_id != NULL ? e->owner->app_id->size : 0;
}

static void put(const struct host_endpoint_info *e, FWPS_ALE_ENDPOINT_PROPERTIES0 *p, UINT8 *bytes)
{
    size_t size = app_size(e);

    p->endpointId = e->id;
    p->ipVersion = e->version == 6 ? FWP_IP_VERSION_V6 : FWP_IP_VERSION_V4;
    p->ipProtocol = e->protocol;
    p->localPort = e->local_port;
    p->remotePort = e->remote_port;
    if (e->version == 6) {
        memcpy(p->localV6Address, e->local.v6, sizeof(p->localV6Address));
        memcpy(p->remoteV6Address, e->remote.v6, sizeof(p->remoteV6Address));
    } else {
        p->localV4Address = e->local.v4;
        p->remoteV4Address = e->remote.v4;
    }
    if (size == 0)
        return;
    memcpy(bytes, e->owner->app_id->data, size);
    p->appId.size = (UINT32)size;
    p->appId.data = bytes;
}

/* One block: `pointers` pointers, the properties, what these point to. */
static void *block_of(const struct host_endpoint_info *e, size_t count, bool pointers)
{
    size_t head = pointers ? (count * sizeof(void *) + 15) / 16 * 16 : 0, size = head;
    FWPS_ALE_ENDPOINT_PROPERTIES0 *p;
    UINT8 *bytes, *block;

    size += count * sizeof(*p);
    for (size_t i = 0; i < count; i++)
        size += app_size(&e[i]);
    block = calloc(1, size != 0 ? size : 1);
    if (block == NULL)
        return NULL;
    p = (void *)(block + head);
    bytes = (UINT8 *)(p + count);
    for (size_t i = 0; i < count; i++) {
        if (pointers)
            ((void **)block)[i] = &p[i];
        put(&e[i], &p[i], bytes);
        bytes += app_size(&e[i]);
    }
    return block;
}

/* ---- the doors --------------------------------------------------------------------------------------------
 */

/* STATUS_SUCCESS: the engine handle is open, its user has that right to all endpoints (FWPM_ACTRL_*; 0: none is
 * needed), and there is a host. */
static NTSTATUS enter(enum api_flavour flavour, HANDLE engineHandle, UINT32 right, struct api_context **c)
{
    struct api_call call;
    NTSTATUS status = api_enter(flavour, engineHandle, &call);

    if (status != STATUS_SUCCESS)
        return status;
    if (right != 0)
        status = bfe_security_check(call.session, BFE_SECURED_ENDPOINT, right);
    *c = call.context;
    api_leave(&call);
    if (status != STATUS_SUCCESS)
        return status;
    return api_host(*c) != NULL ? STATUS_SUCCESS : STATUS_FWP_TCPIP_NOT_READY;
}

NTSTATUS api_FwpsAleEndpointCreateEnumHandle0(enum api_flavour flavour, HANDLE engineHandle,
                                              const FWPS_ALE_ENDPOINT_ENUM_TEMPLATE0 *enumTemplate,
                                              HANDLE *enumHandle)
{
    struct gathering g = {.tmpl = enumTemplate};
    struct api_endpoint_lists *t;
    struct api_context *c;
    struct listing *e;
    NTSTATUS status;

    if (enumHandle == NULL)
        return STATUS_FWP_NULL_POINTER;
    *enumHandle = NULL;
    status = enter(flavour, engineHandle, FWPM_ACTRL_ENUM, &c);
    if (status == STATUS_SUCCESS)
        status = template_check(enumTemplate);
    if (status != STATUS_SUCCESS)
        return status;
    e = calloc(1, sizeof(*e));
    if (e == NULL)
        return STATUS_NO_MEMORY;
    host_endpoints(api_host(c), gather, &g);
    e->entries = g.entries;
    e->count = g.count;
    if (g.failed) {
        listing_free(e);
        return STATUS_NO_MEMORY;
    }
    if (g.count != 0)
        qsort(g.entries, g.count, sizeof(*g.entries), by_age);
    e->engine = engineHandle;
    t = api_endpoint_lists(c);
    rt_mutex_lock(t->lock);
    e->number = ++t->last_number;
    e->next = t->first;
    t->first = e;
    rt_mutex_unlock(t->lock);
    *enumHandle = (HANDLE)e->number;
    return STATUS_SUCCESS;
}

/* Where the listing of this handle is linked in; *returned NULL: there is none. Lock held. */
static struct listing **find(struct api_endpoint_lists *t, HANDLE engineHandle, HANDLE enumHandle)
{
    struct listing **at = &t->first;

    while (*at != NULL && ((*at)->number != (uintptr_t)enumHandle || (*at)->engine != engineHandle))
        at = &(*at)->next;
    return at;
}

NTSTATUS api_FwpsAleEndpointEnum0(enum api_flavour flavour, HANDLE engineHandle, HANDLE enumHandle,
                                  UINT32 numEntriesRequested, FWPS_ALE_ENDPOINT_PROPERTIES0 ***entries,
                                  UINT32 *numEntriesReturned)
{
    struct api_endpoint_lists *t;
    struct api_context *c;
    struct listing *e;
    NTSTATUS status;
    size_t count;

    if (entries == NULL || numEntriesReturned == NULL)
        return STATUS_FWP_NULL_POINTER;
    *entries = NULL;
    *numEntriesReturned = 0;
    status = enter(flavour, engineHandle, FWPM_ACTRL_READ, &c);
    if (status != STATUS_SUCCESS)
        return status;
    t = api_endpoint_lists(c);
    rt_mutex_lock(t->lock);
    e = *find(t, engineHandle, enumHandle);
    status = STATUS_INVALID_HANDLE;
    if (e != NULL) {
        count = e->count - e->at < numEntriesRequested ? e->count - e->at : numEntriesRequested;
        *entries = block_of(count != 0 ? e->entries + e->at : NULL, count, true);
        status = *entries != NULL ? STATUS_SUCCESS : STATUS_NO_MEMORY;
        if (status == STATUS_SUCCESS) {
            e->at += count;
            *numEntriesReturned = (UINT32)count;
        }
    }
    rt_mutex_unlock(t->lock);
    return status;
}

NTSTATUS api_FwpsAleEndpointDestroyEnumHandle0(enum api_flavour flavour, HANDLE engineHandle,
                                               HANDLE enumHandle)
{
    struct api_endpoint_lists *t;
    struct listing **at, *e;
    struct api_context *c;
    NTSTATUS status = enter(flavour, engineHandle, 0, &c);

    if (status != STATUS_SUCCESS)
        return status;
    t = api_endpoint_lists(c);
    rt_mutex_lock(t->lock);
    at = find(t, engineHandle, enumHandle);
    e = *at;
    if (e != NULL)
        *at = e->next;
    rt_mutex_unlock(t->lock);
    listing_free(e);
    return e != NULL ? STATUS_SUCCESS : STATUS_INVALID_HANDLE;
}

NTSTATUS api_FwpsAleEndpointGetById0(enum api_flavour flavour, HANDLE engineHandle, UINT64 endpointId,
                                     FWPS_ALE_ENDPOINT_PROPERTIES0 **properties)
{
    struct gathering g = {.id = endpointId};
    struct api_context *c;
    NTSTATUS status;

    if (properties == NULL)
        return STATUS_FWP_NULL_POINTER;
    *properties = NULL;
    status = enter(flavour, engineHandle, FWPM_ACTRL_READ, &c);
    if (status != STATUS_SUCCESS)
        return status;
    if (endpointId != 0)
        host_endpoints(api_host(c), gather, &g);
    if (g.failed || g.count == 0) {
        free(g.entries);
        return g.failed ? STATUS_NO_MEMORY : STATUS_FWP_NOT_FOUND;
    }
    *properties = block_of(g.entries, 1, false);
    free(g.entries);
    return *properties != NULL ? STATUS_SUCCESS : STATUS_NO_MEMORY;
}

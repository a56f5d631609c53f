/* SPDX-License-Identifier: Apache-2.0 */
/*
 * callouts: FwpsCalloutRegister0..3 and FwpsCalloutUnregisterById0 / ByKey0, the run-time half of a callout
 * (OBJ-21, LIFE-01..07, 18).
 *
 *   no entry --Register--> REGISTERED --Unregister, no contexts--> no entry
 *                              |
 *                              +--Unregister, flows carry contexts: STATUS_DEVICE_BUSY--> LEAVING
 *   LEAVING --Unregister--> no entry; or still LEAVING, STATUS_DEVICE_BUSY, while contexts are left
 *
 * The entry is bfe's (bfe_callout_hold()): it has the id that both halves share, and one caller at a time
 * works on it; others get STATUS_FWP_IN_USE. LEAVING is an entry whose callout the engine no longer knows: no
 * new classify, no new context, but the rest of flowDeleteFn is delivered (LIFE-05). Registering the key of
 * an entry that is LEAVING is refused.
 *
 * Unregistering returns when no classifyFn, notifyFn or flowDeleteFn of the callout runs (LIFE-06); asked
 * from inside one of them, where Windows would hang, it is STATUS_DEVICE_BUSY and reported (LIFE-07).
 * PASSIVE_LEVEL.
 *
 * A context knows the entries it has made. A driver that is unloaded with some left has broken its contract (LIFE-04), and on
 * Windows the next classify stops the machine; here they go without a call: filters find them unregistered.
 */
#include <errno.h>
#include <stdlib.h>

#include "fwpmk.h"
#include "fwpsk.h"

#include "api/api.h"
#include "api/internal.h"
#include "ledger/ledger.h"
#include "nt/fault.h"
#include "nt/irql.h"

#define KNOWN_FLAGS                                                                                          \
    (FWP_CALLOUT_FLAG_CONDITIONAL_ON_FLOW | FWP_CALLOUT_FLAG_ALLOW_OFFLOAD |                                 \
     FWP_CALLOUT_FLAG_ENABLE_COMMIT_ADD_NOTIFY | FWP_CALLOUT_FLAG_ALLOW_MID_STREAM_INSPECTION |              \
     FWP_CALLOUT_FLAG_ALLOW_RECLASSIFY | FWP_CALLOUT_FLAG_RESERVED1 | FWP_CALLOUT_FLAG_ALLOW_RSC |           \
     FWP_CALLOUT_FLAG_ALLOW_L2_BATCH_CLASSIFY | FWP_CALLOUT_FLAG_ALLOW_USO | FWP_CALLOUT_FLAG_ALLOW_URO)

/* What the context's driver has registered and not got rid of. */
struct api_callouts {
    struct rt_mutex *lock;
    UINT32 *ids;
    size_t count, room;
};

int api_callouts_create(struct api_callouts **out)
{
    struct api_callouts *t = calloc(1, sizeof(*t));

    if (t == NULL || rt_mutex_create(&t->lock) != 0) {
        free(t);
        return -ENOMEM;
    }
    *out = t;
    return 0;
}

void api_callouts_destroy(struct api_callouts *t)
{
    if (t == NULL)
        return;
    rt_mutex_destroy(t->lock);
    free(t->ids);
    free(t);
}

static bool note(struct api_callouts *t, UINT32 id)
{
    UINT32 *more;
    bool done = true;

    rt_mutex_lock(t->lock);
    if (t->count == t->room) {
        more = realloc(t->ids, (t->room * 2 + 8) * sizeof(*more));
        done = more != NULL;
        t->ids = done ? more : t->ids;
        t->room = done ? t->room * 2 + 8 : t->room;
    }
    if (done)
        t->ids[t->count++] = id;
    rt_mutex_unlock(t->lock);
    return done;
}

/* The entry may be another context's. */
static void strike(struct api_callouts *t, UINT32 id)
{
    rt_mutex_lock(t->lock);
    for (size_t i = 0; i < t->count; i++)
        if (t->ids[i] == id) {
            t->ids[i] = t->ids[--t->count];
            break;
        }
    rt_mutex_unlock(t->lock);
}

void api_callouts_abandon(struct api_context *c)
{
    struct api_callouts *t = api_callouts(c);
    struct bfe_callout_entry entry;

    while (t->count != 0) {
        const UINT32 id = t->ids[--t->count];

        if (bfe_callout_hold(api_bfe(c), NULL, id, false, &entry) != STATUS_SUCCESS)
            continue;
        engine_callout_unregister(api_engine(c), &entry.key);
        if (api_host(c) != NULL)
            host_callout_forget(api_host(c), id);
        bfe_callout_release(api_bfe(c), &entry.key, true);
    }
}

static const char *const doors[] = {"FwpsCalloutRegister0", "FwpsCalloutRegister1", "FwpsCalloutRegister2",
                                    "FwpsCalloutRegister3"};

static NTSTATUS do_register(const void *device, const FWPS_CALLOUT3 *callout, unsigned version, UINT32 *id,
                            const void *site)
{
    struct api_context *c = api_current();
    struct engine_callout e;
    struct bfe_callout_entry entry;
    NTSTATUS status;
    int rc;

    nt_irql_at_most(PASSIVE_LEVEL, doors[version], site);
    if (device == NULL || callout == NULL || callout->classifyFn == NULL || callout->notifyFn == NULL)
        return STATUS_FWP_NULL_POINTER;
    if (callout->flags & ~(UINT32)KNOWN_FLAGS)
        return STATUS_FWP_INVALID_FLAGS;
    if (c == NULL)
        return STATUS_FWP_TCPIP_NOT_READY;
    status = bfe_callout_hold(api_bfe(c), &callout->calloutKey, 0, true, &entry);
    if (status != STATUS_SUCCESS)
        return status;
    if (!entry.made) {
        bfe_callout_release(api_bfe(c), &entry.key, false);
        return STATUS_FWP_ALREADY_EXISTS;
    }
    e = (struct engine_callout){
        .key = callout->calloutKey,
        .flags = callout->flags,
        .version = version,
        .classify.v3 = callout->classifyFn, /* the union's member of this version has the same place */
        .notify.v3 = callout->notifyFn,
        .id = entry.id,
        .layer_id = ENGINE_ANY_LAYER,
        .flow_delete = callout->flowDeleteFn,
        .context = rt_current(),
    };
    rc = note(api_callouts(c), entry.id) ? engine_callout_register(api_engine(c), &e) : -ENOMEM;
    if (rc != 0)
        strike(api_callouts(c), entry.id);
    bfe_callout_release(api_bfe(c), &entry.key, rc != 0);
    if (rc != 0)
        return rc == -EEXIST ? STATUS_FWP_ALREADY_EXISTS : STATUS_NO_MEMORY;
    ledger_open(LEDGER_CALLOUT, entry.id, 0, NULL, site);
    if (id != NULL)
        *id = entry.id;
    return STATUS_SUCCESS;
}

/* The four structures differ in the types of what their members point to, not in their layout. */
_Static_assert(sizeof(FWPS_CALLOUT0) == sizeof(FWPS_CALLOUT3) &&
                   offsetof(FWPS_CALLOUT0, flowDeleteFn) == offsetof(FWPS_CALLOUT3, flowDeleteFn),
               "one body registers all versions");

NTSTATUS NTAPI FwpsCalloutRegister0(void *deviceObject, const FWPS_CALLOUT0 *callout, UINT32 *calloutId)
{
    NT_FAIL_STATUS(FwpsCalloutRegister0);
    return do_register(deviceObject, (const FWPS_CALLOUT3 *)callout, 0, calloutId,
                       __builtin_return_address(0));
}

NTSTATUS NTAPI FwpsCalloutRegister1(void *deviceObject, const FWPS_CALLOUT1 *callout, UINT32 *calloutId)
{
    NT_FAIL_STATUS(FwpsCalloutRegister1);
    return do_register(deviceObject, (const FWPS_CALLOUT3 *)callout, 1, calloutId,
                       __builtin_return_address(0));
}

NTSTATUS NTAPI FwpsCalloutRegister2(void *deviceObject, const FWPS_CALLOUT2 *callout, UINT32 *calloutId)
{
    NT_FAIL_STATUS(FwpsCalloutRegister2);
    return do_register(deviceObject, (const FWPS_CALLOUT3 *)callout, 2, calloutId,
                       __builtin_return_address(0));
}

NTSTATUS NTAPI FwpsCalloutRegister3(void *deviceObject, const FWPS_CALLOUT3 *callout, UINT32 *calloutId)
{
    NT_FAIL_STATUS(FwpsCalloutRegister3);
    return do_register(deviceObject, callout, 3, calloutId, __builtin_return_address(0));
}

static NTSTATUS unregister(const GUID *key, UINT32 id, const void *site)
{
    struct api_context *c = api_current();
    struct rt_carried *me = rt_carried();
    struct bfe_callout_entry entry;
    NTSTATUS status;

    nt_irql_at_most(PASSIVE_LEVEL, key != NULL ? "FwpsCalloutUnregisterByKey0" : "FwpsCalloutUnregisterById0",
                    site);
    if (c == NULL)
        return STATUS_FWP_CALLOUT_NOT_FOUND;
    if (me->in_classify != 0 || bfe_callouts_notifying(api_bfe(c))) {
        ledger_report(LEDGER_BUGCHECK, site,
                      "a callout is unregistered from inside a callout's function: it would wait for itself");
        return STATUS_DEVICE_BUSY;
    }
    status = bfe_callout_hold(api_bfe(c), key, id, false, &entry);
    if (status != STATUS_SUCCESS)
        return status;
    bfe_callouts_settle(api_bfe(c));
    engine_callout_unregister(api_engine(c), &entry.key); /* -ENOENT: it is LEAVING */
    if (api_host(c) != NULL && host_callout_contexts(api_host(c), entry.id) != 0)
        status = STATUS_DEVICE_BUSY;
    bfe_callout_release(api_bfe(c), &entry.key, status == STATUS_SUCCESS);
    if (status == STATUS_SUCCESS) {
        strike(api_callouts(c), entry.id);
        ledger_close(LEDGER_CALLOUT, entry.id, site);
    }
    return status;
}

NTSTATUS NTAPI FwpsCalloutUnregisterById0(const UINT32 calloutId)
{
    NT_FAIL_STATUS(FwpsCalloutUnregisterById0);
    return unregister(NULL, calloutId, __builtin_return_address(0));
}

NTSTATUS NTAPI FwpsCalloutUnregisterByKey0(const GUID *calloutKey)
{
    NT_FAIL_STATUS(FwpsCalloutUnregisterByKey0);
    return calloutKey == NULL ? STATUS_FWP_NULL_POINTER
                              : unregister(calloutKey, 0, __builtin_return_address(0));
}

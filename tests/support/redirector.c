/* SPDX-License-Identifier: Apache-2.0 */
/* See redirector.h. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "redirector.h"
#include "mstcpip.h"
#include "wire/wire.h"

static void set_end(SOCKADDR_STORAGE *end, const char *address, UINT16 port)
{
    SOCKADDR *a = (SOCKADDR *)end;
    union wire_addr to;

    if (address != NULL) {
        const uint8_t version = wire_addr_parse(address, &to, NULL);
        const UINT32 v4 = __builtin_bswap32(to.v4);

        const USHORT kept = INETADDR_PORT(a);

        memset(end, 0, sizeof(*end));
        end->ss_family = version == 6 ? AF_INET6 : AF_INET;
        INETADDR_SET_ADDRESS(a, version == 6 ? to.v6 : (const UCHAR *)&v4);
        INETADDR_SET_PORT(a, kept);
    }
    if (port != 0)
        INETADDR_SET_PORT(a, __builtin_bswap16(port));
}

static bool is_bind(const struct driver_lab_call *c)
{
    return c->values->layerId == FWPS_LAYER_ALE_BIND_REDIRECT_V4 ||
           c->values->layerId == FWPS_LAYER_ALE_BIND_REDIRECT_V6;
}

static bool is_closure(const struct driver_lab_call *c)
{
    return c->values->layerId == FWPS_LAYER_ALE_ENDPOINT_CLOSURE_V4 ||
           c->values->layerId == FWPS_LAYER_ALE_ENDPOINT_CLOSURE_V6;
}

static void look(struct redirector *r, const struct driver_lab_call *c)
{
    const struct engine_layer *layer = engine_layer_by_id(c->values->layerId);
    const unsigned n = r->calls < REDIRECTOR_CALLS ? r->calls : REDIRECTOR_CALLS - 1;

    for (UINT32 i = 0; i < layer->field_count; i++)
        if (IsEqualGUID(layer->fields[i].key, &FWPM_CONDITION_FLAGS))
            r->condition_flags[n] = c->values->incomingValue[i].value.uint32;
    r->rights[n] = c->out->rights;
    r->records = c->metadata->redirectRecords;
    r->filter_id = c->filter->filterId;
    r->previous_count[n] = 0;
    if (is_closure(c))
        return;
    if (is_bind(c)) {
        const FWPS_BIND_REQUEST0 *b = (const FWPS_BIND_REQUEST0 *)c->packet;

        r->bind_shown[n] = *b;
        for (b = b->previousVersion; b != NULL && r->previous_count[n] < 4; b = b->previousVersion)
            r->previous[n][r->previous_count[n]++] = b->modifierFilterId;
    } else {
        const FWPS_CONNECT_REQUEST0 *b = (const FWPS_CONNECT_REQUEST0 *)c->packet;

        r->shown[n] = *b;
        for (b = b->previousVersion; b != NULL && r->previous_count[n] < 4; b = b->previousVersion)
            r->previous[n][r->previous_count[n]++] = b->modifierFilterId;
    }
}

static void acquire(struct redirector *r, FWPS_CLASSIFY_OUT0 *out)
{
    const FWPS_CONNECT_REQUEST0 *b;

    r->got = FwpsAcquireWritableLayerDataPointer0(r->classify_handle, r->filter_id, 0, &r->writable, out);
    assert_int_equal(r->got, STATUS_SUCCESS);
    if (r->bind)
        return;
    r->behind_count = 0;
    for (b = ((FWPS_CONNECT_REQUEST0 *)r->writable)->previousVersion; b != NULL && r->behind_count < 4;
         b = b->previousVersion)
        r->behind[r->behind_count++] = b->modifierFilterId;
}

void redirector_change(struct redirector *r)
{
    if (r->writable == NULL)
        acquire(r, &r->out);
    if (r->bind) {
        FWPS_BIND_REQUEST0 *b = r->writable;

        set_end(&b->localAddressAndPort, r->to, r->port);
    } else {
        FWPS_CONNECT_REQUEST0 *b = r->writable;

        set_end(&b->remoteAddressAndPort, r->to, r->port);
        set_end(&b->localAddressAndPort, r->local, r->local_port);
        if (r->pid != 0)
            b->localRedirectTargetPID = r->pid;
        if (r->handle != NULL)
            b->localRedirectHandle = r->handle;
        if (r->context != NULL) {
            b->localRedirectContextSize = strlen(r->context) + 1;
            b->localRedirectContext =
                ExAllocatePool2(POOL_FLAG_NON_PAGED, strlen(r->context) + 1, 0x63747874 /* "txtc" */);
            assert_non_null(b->localRedirectContext);
            r->given = b->localRedirectContext;
            memcpy(b->localRedirectContext, r->context, strlen(r->context) + 1);
        }
    }
    FwpsApplyModifiedLayerData0(r->classify_handle, r->writable, r->flags);
    r->writable = NULL;
}

static void answer(struct redirector *r, FWPS_CLASSIFY_OUT0 *out)
{
    out->actionType = r->answer != 0 ? r->answer : FWP_ACTION_PERMIT;
    out->rights |= FWPS_RIGHT_ACTION_WRITE;
    if (out->actionType == FWP_ACTION_BLOCK)
        out->rights &= ~(UINT32)FWPS_RIGHT_ACTION_WRITE;
}

static void release(struct redirector *r)
{
    if (!r->keeps)
        FwpsReleaseClassifyHandle0(r->classify_handle);
}

void redirector_go(struct redirector *r)
{
    r->waits = false;
    if (r->to != NULL || r->port != 0 || r->pid != 0 || r->writable != NULL || r->local != NULL)
        redirector_change(r);
    answer(r, &r->out);
    FwpsCompleteClassify0(r->classify_handle, 0, &r->out);
}

void redirector_again(struct redirector *r)
{
    r->waits = false;
    FwpsCompleteClassify0(r->classify_handle, 0, NULL);
}

void redirector_play(struct driver_lab_script *s, const struct driver_lab_call *c)
{
    struct redirector *r = s->ctx;

    look(r, c);
    r->calls++;
    r->bind = is_bind(c);
    if (r->also != NULL)
        r->also(r, c);
    if (r->only_looks || (r->until != 0 && r->calls > r->until)) {
        if (c->out->rights & FWPS_RIGHT_ACTION_WRITE)
            c->out->actionType = r->answer != 0 ? r->answer : FWP_ACTION_PERMIT;
        return;
    }
    r->acquired = FwpsAcquireClassifyHandle0((void *)c->classify_context, 0, &r->classify_handle);
    assert_int_equal(r->acquired, STATUS_SUCCESS);
    r->writable = NULL;
    if (r->pends || r->pends_after) {
        if (r->pends_after)
            acquire(r, c->out);
        r->pended = FwpsPendClassify0(r->classify_handle, c->filter->filterId, 0, c->out);
        assert_int_equal(r->pended, STATUS_SUCCESS);
        r->waits = true;
        c->out->actionType = FWP_ACTION_BLOCK;
        c->out->rights &= ~(UINT32)FWPS_RIGHT_ACTION_WRITE;
        r->out = *c->out;
        release(r); /* the pend has its own reference (RED-12) */
        return;
    }
    if (!is_closure(c)) {
        acquire(r, c->out);
        redirector_change(r);
    }
    answer(r, c->out);
    release(r);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* See redirector.h. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "redirector.h"
#include "mstcpip.h"
#include "wire/wire.h"

#define AC4(name) FWPS_FIELD_ALE_AUTH_CONNECT_V4_##name

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

/* ---- what its tests have in common ------------------------------------------------------------------------------- */

int redirector_setup(void **state, const struct host_config *config)
{
    struct driver_lab *l = calloc(1, sizeof(*l));

    assert_non_null(l);
    driver_lab_open(l, config);
    *state = l;
    return 0;
}

int redirector_teardown(void **state)
{
    struct driver_lab *l = *state;
    struct host_counts c;

    host_counts(l->host.host, &c);
    assert_int_equal(c.impossible, 0);
    return driver_lab_teardown(state);
}

void redirector_put(struct driver_lab *l, const char *layer, struct redirector *r)
{
    driver_lab_callout(
        l, layer, SCRIPT(l, .then = redirector_play, .ctx = r, .type = r->type, .sublayer = r->sublayer));
}

HANDLE redirector_handle(void)
{
    static const GUID provider = {0x77656972, 0x7265, 0x6469, {1}};
    HANDLE h = NULL;

    assert_int_equal(FwpsRedirectHandleCreate0(&provider, 0, &h), STATUS_SUCCESS);
    assert_non_null(h);
    return h;
}

struct host_redirect_counts redirector_counts(struct driver_lab *l)
{
    struct host_redirect_counts c;

    host_redirect_counts(l->host.host, &c);
    return c;
}

unsigned redirector_findings(const struct driver_lab *l)
{
    unsigned n = 0;

    for (unsigned i = 0; i < LEDGER_FAULTS; i++)
        n += l->found[i];
    return n;
}

const char *redirector_text(const SOCKADDR_STORAGE *a)
{
    static char text[80];
    char address[WIRE_ADDR_TEXT];
    const SOCKADDR_IN *in = (const SOCKADDR_IN *)a;
    union wire_addr w = {.v4 = __builtin_bswap32(in->sin_addr.S_un.S_addr)};

    snprintf(text, sizeof text, "%s:%u", wire_addr_format(4, &w, address), __builtin_bswap16(in->sin_port));
    return text;
}

void redirector_goes(const struct driver_lab *l, const char *to, UINT16 port)
{
    const struct host_outcome *o = &l->host.outcome;
    struct wire_packet p;
    char address[WIRE_ADDR_TEXT];

    assert_int_equal(o->fate, HOST_PASSED);
    assert_non_null(o->changed);
    wire_parse(WIRE_LINK_ETHERNET, o->changed, 54, 54, &p);
    assert_int_equal(p.reached, WIRE_TRANSPORT);
    assert_string_equal(wire_addr_format(4, &p.destination, address), to);
    assert_int_equal(p.destination_port, port);
    assert_false(p.ip_checksum_wrong);
    assert_true(wire_verify(&p));
}

static void note_ac(struct driver_lab_script *s, const struct driver_lab_call *c)
{
    struct redirector_ac *a = s->ctx;
    const unsigned n = a->calls++ % 8;

    a->remote[n] = c->values->incomingValue[AC4(IP_REMOTE_ADDRESS)].value.uint32;
    a->port[n] = c->values->incomingValue[AC4(IP_REMOTE_PORT)].value.uint16;
    a->flags[n] = c->values->incomingValue[AC4(FLAGS)].value.uint32;
    a->target[n] = c->metadata->currentMetadataValues & FWPS_METADATA_FIELD_LOCAL_REDIRECT_TARGET_PID;
    a->original[n] = c->metadata->currentMetadataValues & FWPS_METADATA_FIELD_ORIGINAL_DESTINATION;
    a->pid[n] = c->metadata->localRedirectTargetPID;
    if (a->original[n])
        strcpy(a->from[n], redirector_text((const SOCKADDR_STORAGE *)c->metadata->originalDestination));
    if (a->answer[n] != 0) {
        c->out->actionType = a->answer[n];
        if (a->answer[n] == FWP_ACTION_BLOCK)
            c->out->rights &= ~(UINT32)FWPS_RIGHT_ACTION_WRITE;
    }
}

void redirector_watch(struct driver_lab *l, struct redirector_ac *a)
{
    driver_lab_callout(l, "AC", SCRIPT(l, .then = note_ac, .ctx = a));
}

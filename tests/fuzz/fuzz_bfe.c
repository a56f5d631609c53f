/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes management: calls in any order by a few sessions, some dynamic, over a few keys, so that objects
 * refer to each other, collide and go. After each call that changed something, and at the end: what a kind
 * enumerates can be got by its key, and nothing twice; what the enumeration says of filters is what the
 * engine runs; references hold: a filter's sublayer, provider, callout and context exist; and when all is
 * destroyed nothing is left (the leak sanitizer's part).
 */
#include "bfe/bfe.h"

#include "values.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SESSIONS   3
#define KEYS       5
#define MAX_CALLS  200
#define CONDITIONS 3

struct run {
    struct stream s;
    struct arena arena;
    struct engine *engine;
    struct engine_reader *reader;
    struct bfe *bfe;
    struct bfe_session *sessions[SESSIONS];
    bool in_txn[SESSIONS];
    UINT64 filter_ids[16];
    unsigned filter_count;
};

static GUID key_of(unsigned kind, unsigned n)
{
    GUID g = {.Data1 = 0xbfe00000 + kind, .Data2 = (unsigned short)n};
    return g;
}

static GUID take_key(struct run *r, enum bfe_kind kind)
{
    unsigned n = take_below(&r->s, KEYS + 1);
    return n == KEYS ? (GUID){0} : key_of(kind, n);
}

static GUID *take_reference(struct run *r, enum bfe_kind kind)
{
    if (take_below(&r->s, 3) != 0) {
        return NULL;
    }
    GUID *g = arena_new(&r->arena, sizeof(*g));
    *g = key_of(kind, take_below(&r->s, KEYS));
    return g;
}

static FWPM_DISPLAY_DATA0 display(struct run *r)
{
    FWPM_DISPLAY_DATA0 d = {.name = take_below(&r->s, 12) != 0 ? (WCHAR *)u"name" : NULL};
    return d;
}

static UINT32 take_flags(struct run *r)
{
    uint8_t b = take8(&r->s);
    return b < 128 ? 0 : b < 240 ? 1u << b % 6 : (UINT32)take_number(&r->s);
}

static const struct engine_layer *take_layer(struct run *r)
{
    static const UINT16 layers[] = {FWPS_LAYER_ALE_AUTH_CONNECT_V4, FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V6,
                                    FWPS_LAYER_INBOUND_TRANSPORT_V4};
    return engine_layer_by_id(layers[take_below(&r->s, 3)]);
}

static struct bfe_session *take_session(struct run *r, unsigned *n)
{
    *n = take_below(&r->s, SESSIONS);
    return r->sessions[*n];
}

/* ---- calls
 * ------------------------------------------------------------------------------------------------- */
static void open_session(struct run *r, unsigned n)
{
    const struct bfe_caller caller = {
        .kernel = take_below(&r->s, 2) != 0, .token = take_token(&r->s), .process_id = 4};
    FWPM_SESSION0 session = {.flags = take_below(&r->s, 2) ? FWPM_SESSION_FLAG_DYNAMIC : 0,
                             .txnWaitTimeoutInMSec = 1};
    if (r->sessions[n] == NULL) {
        NTSTATUS status = bfe_session_open(r->bfe, &caller, &session, &r->sessions[n]);
        REQUIRE((status == STATUS_SUCCESS) == (r->sessions[n] != NULL));
    }
}

static void add_provider(struct run *r, struct bfe_session *s)
{
    FWPM_PROVIDER0 p = {
        .providerKey = take_key(r, BFE_PROVIDER), .displayData = display(r), .flags = take_flags(r)};
    bfe_provider_add(s, &p, NULL, 0);
}

static void add_sublayer(struct run *r, struct bfe_session *s)
{
    FWPM_SUBLAYER0 l = {.subLayerKey = take_key(r, BFE_SUBLAYER),
                        .displayData = display(r),
                        .flags = take_flags(r),
                        .providerKey = take_reference(r, BFE_PROVIDER),
                        .weight = take_below(&r->s, 3)};
    bfe_sublayer_add(s, &l, NULL, 0);
}

static void add_callout(struct run *r, struct bfe_session *s)
{
    FWPM_CALLOUT0 c = {.calloutKey = take_key(r, BFE_CALLOUT),
                       .displayData = display(r),
                       .flags = take_flags(r),
                       .providerKey = take_reference(r, BFE_PROVIDER),
                       .applicableLayer = *take_layer(r)->key};
    UINT32 id;
    bfe_callout_add(s, &c, NULL, 0, &id);
}

static void add_context(struct run *r, struct bfe_session *s)
{
    uint8_t bytes[4] = {take8(&r->s)};
    FWPM_PROVIDER_CONTEXT3 c = {.providerContextKey = take_key(r, BFE_PROVIDER_CONTEXT),
                                .displayData = display(r),
                                .flags = take_flags(r),
                                .providerKey = take_reference(r, BFE_PROVIDER),
                                .type = FWPM_GENERAL_CONTEXT,
                                .dataBuffer = new_blob(&r->arena, bytes, take_below(&r->s, 5))};
    UINT64 id;
    bfe_provider_context_add(s, &c, NULL, 0, &id);
}

static void take_weight(struct run *r, FWP_VALUE0 *out)
{
    static const FWP_DATA_TYPE types[] = {FWP_EMPTY, FWP_UINT8, FWP_UINT64, FWP_UINT16};
    FWP_CONDITION_VALUE0 v;
    take_value(&r->s, &r->arena, types[take_below(&r->s, 4)], &v);
    memcpy(out, &v, sizeof(*out));
}

static void add_filter(struct run *r, struct bfe_session *s)
{
    static const FWP_ACTION_TYPE actions[] = {FWP_ACTION_PERMIT, FWP_ACTION_BLOCK,
                                              FWP_ACTION_CALLOUT_TERMINATING, FWP_ACTION_CALLOUT_UNKNOWN,
                                              FWP_ACTION_CONTINUE};
    const struct engine_layer *layer = take_layer(r);
    FWPM_FILTER_CONDITION0 conditions[CONDITIONS];
    FWPM_FILTER0 f = {.filterKey = take_key(r, BFE_FILTER),
                      .displayData = display(r),
                      .flags = take_flags(r),
                      .providerKey = take_reference(r, BFE_PROVIDER),
                      .layerKey = *layer->key,
                      .subLayerKey =
                          take_below(&r->s, 2) ? (GUID){0} : key_of(BFE_SUBLAYER, take_below(&r->s, KEYS)),
                      .numFilterConditions = take_below(&r->s, CONDITIONS + 1),
                      .filterCondition = conditions};
    UINT64 id = 0;
    take_weight(r, &f.weight);
    f.action.type = actions[take_below(&r->s, 5)];
    if (f.action.type & FWP_ACTION_FLAG_CALLOUT) {
        f.action.calloutKey = key_of(BFE_CALLOUT, take_below(&r->s, KEYS));
    }
    if (f.flags & FWPM_FILTER_FLAG_HAS_PROVIDER_CONTEXT) {
        f.providerContextKey = key_of(BFE_PROVIDER_CONTEXT, take_below(&r->s, KEYS));
    }
    for (UINT32 i = 0; i < f.numFilterConditions; i++) {
        const struct engine_field *field = &layer->fields[take_below(&r->s, layer->field_count)];
        FWP_DATA_TYPE type = take_condition_type(&r->s, field->data_type);
        memset(&conditions[i], 0, sizeof(conditions[i]));
        conditions[i].fieldKey = *field->key;
        conditions[i].matchType =
            (FWP_MATCH_TYPE)(type == FWP_RANGE_TYPE ? FWP_MATCH_RANGE : take_below(&r->s, 13));
        take_value(&r->s, &r->arena, type, &conditions[i].conditionValue);
    }
    if (bfe_filter_add(s, &f, NULL, 0, &id) == STATUS_SUCCESS) {
        REQUIRE(id != 0);
        r->filter_ids[r->filter_count++ % 16] = id;
    }
}

static void delete_something(struct run *r, struct bfe_session *s)
{
    unsigned kind = take_below(&r->s, 5);
    GUID key;
    switch (kind) {
    case 0:
        key = take_key(r, BFE_PROVIDER);
        bfe_provider_delete(s, &key);
        break;
    case 1:
        key = take_key(r, BFE_SUBLAYER);
        bfe_sublayer_delete(s, &key);
        break;
    case 2:
        key = take_key(r, BFE_CALLOUT);
        bfe_callout_delete(s, &key, 0);
        break;
    case 3:
        key = take_key(r, BFE_PROVIDER_CONTEXT);
        bfe_provider_context_delete(s, &key, 0);
        break;
    default:
        bfe_filter_delete(s, NULL, r->filter_ids[take_below(&r->s, 16)]);
        break;
    }
}

static void transact(struct run *r, struct bfe_session *s, unsigned n)
{
    switch (take_below(&r->s, 4)) {
    case 0:
    case 1:
        if (bfe_txn_begin(s, take_below(&r->s, 4) == 0 ? FWPM_TXN_READ_ONLY : 0) == STATUS_SUCCESS) {
            REQUIRE(!r->in_txn[n]);
            r->in_txn[n] = true;
        }
        break;
    case 2:
        if (bfe_txn_commit(s) == STATUS_SUCCESS) {
            REQUIRE(r->in_txn[n]);
            r->in_txn[n] = false;
        }
        break;
    default:
        if (bfe_txn_abort(s) == STATUS_SUCCESS) {
            REQUIRE(r->in_txn[n]);
            r->in_txn[n] = false;
        }
        break;
    }
}

/* ---- what must hold
 * ------------------------------------------------------------------------------------------ */
static bool is_null(const GUID *g)
{
    static const GUID null;
    return memcmp(g, &null, sizeof(null)) == 0;
}

static void check_filter(struct bfe_session *s, const FWPM_FILTER0 *f)
{
    FWPM_FILTER0 *got;
    FWPM_SUBLAYER0 *l;
    FWPM_PROVIDER0 *p;
    FWPM_CALLOUT0 *c;
    FWPM_PROVIDER_CONTEXT3 *pc;
    REQUIRE(bfe_filter_get(s, &f->filterKey, 0, &got) == STATUS_SUCCESS);
    REQUIRE(got->filterId == f->filterId && got->numFilterConditions == f->numFilterConditions);
    bfe_free(got);
    REQUIRE(bfe_filter_get(s, NULL, f->filterId, &got) == STATUS_SUCCESS);
    REQUIRE(memcmp(&got->filterKey, &f->filterKey, sizeof(GUID)) == 0 && !is_null(&f->filterKey));
    bfe_free(got);
    REQUIRE(f->effectiveWeight.type == FWP_UINT64);
    REQUIRE(bfe_sublayer_get(s, &f->subLayerKey, &l) == STATUS_SUCCESS);
    bfe_free(l);
    if (f->providerKey != NULL) {
        REQUIRE(bfe_provider_get(s, f->providerKey, &p) == STATUS_SUCCESS);
        bfe_free(p);
    }
    if (f->flags & FWPM_FILTER_FLAG_HAS_PROVIDER_CONTEXT) {
        REQUIRE(bfe_provider_context_get(s, &f->providerContextKey, 0, &pc) == STATUS_SUCCESS);
        bfe_free(pc);
    }
    /* OBJ-22: a filter may name a callout that is not added; if it is, it is for the filter's layer */
    if ((f->action.type & FWP_ACTION_FLAG_CALLOUT) &&
        bfe_callout_get(s, &f->action.calloutKey, 0, &c) == STATUS_SUCCESS) {
        REQUIRE(memcmp(&c->applicableLayer, &f->layerKey, sizeof(GUID)) == 0);
        bfe_free(c);
    }
}

static size_t engine_filters(struct run *r)
{
    const struct engine_snapshot *snapshot = engine_pin(r->reader);
    size_t total = 0;
    for (UINT16 i = 0; i < ENGINE_LAYER_COUNT; i++) {
        const struct engine_filter *const *filters;
        total += engine_snapshot_filters(snapshot, i, &filters);
    }
    engine_unpin(r->reader);
    return total;
}

/* By a kernel session of its own, outside every transaction. */
static void check_all(struct run *r)
{
    const struct bfe_caller kernel = {.kernel = true};
    const FWPM_SESSION0 quick = {.txnWaitTimeoutInMSec = 1};
    struct bfe_session *s;
    struct bfe_enum *e;
    void **entries;
    UINT32 count;
    size_t enabled = 0;
    REQUIRE(bfe_session_open(r->bfe, &kernel, &quick, &s) == STATUS_SUCCESS);
    REQUIRE(bfe_enum_create(s, BFE_FILTER, NULL, &e) == STATUS_SUCCESS);
    REQUIRE(bfe_enum_next(s, e, UINT32_MAX, &entries, &count) == STATUS_SUCCESS);
    for (UINT32 i = 0; i < count; i++) {
        const FWPM_FILTER0 *f = entries[i];
        check_filter(s, f);
        enabled += !(f->flags & (FWPM_FILTER_FLAG_BOOTTIME | FWPM_FILTER_FLAG_DISABLED));
        for (UINT32 k = 0; k < i; k++) {
            REQUIRE(((const FWPM_FILTER0 *)entries[k])->filterId != f->filterId);
        }
    }
    bfe_free(entries);
    REQUIRE(bfe_enum_destroy(s, e) == STATUS_SUCCESS);
    REQUIRE(engine_filters(r) == enabled);
    REQUIRE(bfe_session_close(s) == STATUS_SUCCESS);
}

static bool any_txn(const struct run *r)
{
    bool any = false;
    for (unsigned i = 0; i < SESSIONS; i++) {
        any |= r->in_txn[i];
    }
    return any;
}

static void close_session(struct run *r, unsigned n)
{
    if (r->sessions[n] != NULL) {
        REQUIRE(bfe_session_close(r->sessions[n]) == STATUS_SUCCESS);
        r->sessions[n] = NULL;
        r->in_txn[n] = false;
    }
}

static void one_call(struct run *r)
{
    static void (*const adders[])(struct run *, struct bfe_session *) = {
        add_provider, add_sublayer, add_callout, add_context, add_filter, add_filter};
    unsigned n, op = take_below(&r->s, 12);
    struct bfe_session *s = take_session(r, &n);
    if (s == NULL || op == 0) {
        open_session(r, n);
    } else if (op == 1) {
        close_session(r, n);
    } else if (op <= 3) {
        transact(r, s, n);
    } else if (op <= 5) {
        delete_something(r, s);
    } else {
        adders[op - 6](r, s);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct run r;
    r = (struct run){.s = {data, size}};
    REQUIRE(engine_create(&r.engine) == 0);
    REQUIRE(engine_reader_create(r.engine, &r.reader) == 0);
    REQUIRE(bfe_create(r.engine, NULL, &r.bfe) == 0);
    check_all(&r);
    for (unsigned calls = 0; calls < MAX_CALLS && stream_more(&r.s); calls++) {
        one_call(&r);
        if (!any_txn(&r) && calls % 8 == 7) {
            check_all(&r);
        }
    }
    for (unsigned i = 0; i < SESSIONS; i++) {
        close_session(&r, i);
    }
    check_all(&r);
    bfe_destroy(r.bfe);
    engine_reader_destroy(r.reader);
    engine_destroy(r.engine);
    arena_free(&r.arena);
    return 0;
}

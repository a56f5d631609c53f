/* SPDX-License-Identifier: Apache-2.0 */
/* See host_lab.h. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "host/internal.h"
#include "host_lab.h"

#define MS 1000000ull

/* ---- recording ---------------------------------------------------------------------------------------- */

__attribute__((format(printf, 3, 4))) static void append(char *to, size_t room, const char *format, ...)
{
    size_t used = strlen(to);
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(to + used, room - used, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= room - used)
        fail_msg("host_lab: no room for what was seen");
}

static const char *role_of(UINT16 id, bool *discard, enum host_layer *role)
{
    for (int r = 0; r < LAYER_ROLES; r++)
        for (uint8_t version = 4; version <= 6; version += 2) {
            *role = (enum host_layer)r;
            *discard = layer_discard_id(*role, version) == id && id != 0xffff;
            if (*discard || layer_id(*role, version) == id)
                return layer_short_name(*role);
        }
    fail_msg("host_lab: a classification at layer %u, which has no role", id);
    return NULL;
}

static UINT32 value_u32(const struct host_event *e, const GUID *key)
{
    int field = engine_layer_field(e->layer, key);
    const FWP_VALUE0 *v;

    if (field < 0)
        return 0;
    v = &e->request->values->incomingValue[field].value;
    return v->type == FWP_UINT32 ? v->uint32 : 0;
}

static void reason_name(const FWPS_DISCARD_METADATA0 *d, char *out, size_t room)
{
    static const struct {
        const char *group, *prefix;
    } modules[] = {
        [FWPS_DISCARD_MODULE_NETWORK] = {"IP_DISCARD_REASON", "IpDiscard"},
        [FWPS_DISCARD_MODULE_TRANSPORT] = {"INET_DISCARD_REASON", "InetDiscard"},
        [FWPS_DISCARD_MODULE_GENERAL] = {"FWPS_GENERAL_DISCARD_REASON", ""},
    };
    const char *name;

    assert_true((size_t)d->discardModule < sizeof(modules) / sizeof(*modules));
    name = engine_constant_name(modules[d->discardModule].group, d->discardReason);
    if (d->discardModule == FWPS_DISCARD_MODULE_GENERAL && d->discardReason == FWPS_DISCARD_FIREWALL_POLICY)
        name = "POLICY";
    if (name == NULL)
        name = modules[d->discardModule].group;
    else if (strncmp(name, modules[d->discardModule].prefix, strlen(modules[d->discardModule].prefix)) == 0)
        name += strlen(modules[d->discardModule].prefix);
    snprintf(out, room, "%s", name);
}

static void word(char *list, size_t room, const char *w)
{
    append(list, room, "%s%s", *list != '\0' ? "," : "", w);
}

static void on_classified(void *ctx, const struct host_event *e)
{
    static const struct {
        UINT32 flag;
        const char *name;
    } flags[] = {
        {FWP_CONDITION_FLAG_IS_REAUTHORIZE, "REAUTH"},
        {FWP_CONDITION_FLAG_IS_FRAGMENT, "FRAGMENT"},
        {FWP_CONDITION_FLAG_IS_REASSEMBLED, "REASSEMBLED"},
        {FWP_CONDITION_FLAG_IS_FRAGMENT_GROUP, "GROUP"},
        {FWP_CONDITION_FLAG_IS_INBOUND_PASS_THRU, "IN_PASS_THRU"},
        {FWP_CONDITION_FLAG_IS_OUTBOUND_PASS_THRU, "OUT_PASS_THRU"},
        {FWP_CONDITION_FLAG_IS_RECLASSIFY, "RECLASSIFY"},
    };
    struct host_lab *l = ctx;
    const FWPS_INCOMING_METADATA_VALUES0 *m;
    struct host_lab_event *to;
    enum host_layer role;
    bool discard;
    const bool beside = e->layer->id >= FWPS_LAYER_INGRESS_VSWITCH_ETHERNET &&
                        e->layer->id <= FWPS_LAYER_EGRESS_VSWITCH_TRANSPORT_V6; /* a switch's, no scene's */
    const char *name = beside ? NULL : role_of(e->layer->id, &discard, &role);
    char what[128] = "";
    unsigned n;

    if (beside)
        return;
    engine_request_complete(e->request);
    m = e->request->metadata;
    n = __atomic_fetch_add(&l->event_count, 1, __ATOMIC_RELAXED);
    if (n >= HOST_LAB_EVENTS)
        fail_msg("host_lab: too many events: %s", l->seen);
    to = &l->events[n];
    *to = (struct host_lab_event){.layer_id = e->layer->id,
                                  .cause = e->cause,
                                  .frame = e->frame,
                                  .flow_id = e->flow_id,
                                  .endpoint_id = e->endpoint_id,
                                  .parent_id = e->parent_id,
                                  .filter_id = e->answer->verdict.filter_id,
                                  .action = e->answer->verdict.action,
                                  .direction = e->packet_direction,
                                  .flags = value_u32(e, &FWPM_CONDITION_FLAGS),
                                  .reasons = value_u32(e, &FWPM_CONDITION_REAUTHORIZE_REASON),
                                  .has_packet = e->packet != NULL,
                                  .metadata = m != NULL ? m->currentMetadataValues : 0,
                                  .unknown = e->unknown};
    if (l->on_event != NULL)
        l->on_event(l, e);
    if (role >= LAYER_MAC_IN && !l->l2)
        return;
    if (discard) {
        assert_int_equal(e->cause, HOST_CAUSE_DISCARD);
        assert_non_null(m);
        assert_true(m->currentMetadataValues & FWPS_METADATA_FIELD_DISCARD_REASON);
        reason_name(&m->discardMetadata, what, sizeof(what));
    } else {
        if (m != NULL && (m->currentMetadataValues & FWPS_METADATA_FIELD_ALE_CLASSIFY_REQUIRED) != 0)
            word(what, sizeof(what), "ALE");
        for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++)
            if ((to->flags & flags[i].flag) != 0)
                word(what, sizeof(what), flags[i].name);
    }
    pthread_mutex_lock(&l->telling);
    append(l->seen, sizeof(l->seen), "%s%s%s%s%s%s", *l->seen != '\0' ? " " : "", name,
           discard ? "_DISCARD" : "", *what != '\0' ? "(" : "", what, *what != '\0' ? ")" : "");
    pthread_mutex_unlock(&l->telling);
}

static void on_flow(void *ctx, enum host_flow_change change, const struct host_flow_info *f)
{
    static const char *const changes[] = {[HOST_FLOW_CREATED] = "created",
                                          [HOST_FLOW_AUTHORIZED] = "authorized",
                                          [HOST_FLOW_REFUSED] = "refused",
                                          [HOST_FLOW_DELETED] = "deleted",
                                          [HOST_FLOW_REDIRECTED] = "redirected"};
    static const char *const ends[] = {
        [HOST_END_NONE] = "none",       [HOST_END_CLOSED] = "closed",   [HOST_END_RESET] = "reset",
        [HOST_END_IDLE] = "idle",       [HOST_END_REFUSED] = "refused", [HOST_END_ENDPOINT] = "endpoint",
        [HOST_END_EVICTED] = "evicted", [HOST_END_ABORTED] = "aborted", [HOST_END_REPLACED] = "replaced"};
    struct host_lab *l = ctx;

    pthread_mutex_lock(&l->telling);
    l->flow = *f;
    append(l->flows, sizeof(l->flows), "%s%s", *l->flows != '\0' ? " " : "", changes[change]);
    if (change == HOST_FLOW_DELETED)
        append(l->flows, sizeof(l->flows), "(%s)", ends[f->end]);
    pthread_mutex_unlock(&l->telling);
}

static void on_stream(void *ctx, UINT64 flow_id, bool out, const uint8_t *bytes, uint32_t size, uint32_t lost)
{
    struct host_lab *l = ctx;

    (void)flow_id;
    if (lost != 0)
        append(l->stream, sizeof(l->stream), "%s[%u]", out ? ">" : "<", lost);
    append(l->stream, sizeof(l->stream), "%s%.*s", out ? ">" : "<", (int)size, (const char *)bytes);
}

static void on_reassembled(void *ctx, UINT64 frame, const uint8_t *packet, uint32_t size)
{
    struct host_lab *l = ctx;

    (void)frame;
    (void)packet;
    l->reassembled = size;
}

void host_lab_reset(struct host_lab *l)
{
    l->seen[0] = l->flows[0] = l->stream[0] = '\0';
    l->event_count = 0;
    l->reassembled = 0;
}

/* ---- life --------------------------------------------------------------------------------------------- */

static const struct host_frame *following(void *ctx, unsigned n)
{
    const struct host_lab *l = ctx;

    return n < l->ahead_count ? &l->ahead[n] : NULL;
}

static bool listening(void *ctx, uint8_t version, uint8_t protocol, const union wire_addr *local, UINT16 port)
{
    const struct host_lab *l = ctx;

    (void)version;
    (void)protocol;
    (void)local;
    for (unsigned i = 0; i < l->closed_count; i++)
        if (l->closed[i] == port)
            return false;
    return true;
}

static void address(struct host_lab *l, UINT32 interface, const char *text)
{
    union wire_addr a;
    unsigned bits;
    uint8_t version = wire_addr_parse(text, &a, &bits);

    assert_true(version != 0);
    assert_int_equal(host_address_add(l->host, interface, version, &a, bits, false), 0);
}

void host_lab_open(struct host_lab *l, const struct host_config *config)
{
    static const struct host_interface_desc ethernet = {
        .name = "ethernet", .luid = 0x0006000001000000, .index = 1, .type = 6, .mac = {2, 0, 0, 0, 0, 1}};
    static const struct host_interface_desc loopback = {
        .name = "loopback", .luid = 0x0018000001000000, .index = 2, .type = 24, .mtu = 65535};

    memset(l, 0, sizeof(*l));
    pthread_mutex_init(&l->telling, NULL);
    l->now_ns = 1000 * 1000 * MS;
    l->next_filter = 1;
    l->next_callout = 1;
    if (config != NULL)
        l->config = *config;
    l->engine = l->config.engine;
    l->own_engine = l->engine == NULL;
    if (l->own_engine)
        assert_int_equal(engine_create(&l->engine), 0);
    l->config.engine = l->engine;
    l->config.observer = (struct host_observer){.ctx = l,
                                                .decisions_only = l->config.observer.decisions_only,
                                                .classified = on_classified,
                                                .flow = on_flow,
                                                .stream = on_stream,
                                                .reassembled = on_reassembled};
    l->config.listening = listening;
    l->config.following = following;
    l->config.ctx = l;
    l->config.start_ns = l->now_ns;
    assert_int_equal(host_create(&l->config, &l->host), 0);
    assert_int_equal(host_interface_add(l->host, &ethernet), 0);
    assert_int_equal(host_interface_add(l->host, &loopback), 0);
    address(l, 1, "10.0.0.1/24");
    address(l, 1, "fd00::1/64");
    address(l, 2, "127.0.0.1/8");
    address(l, 2, "::1/128");
}

/* One fate a frame, always. */
static void counts_add_up(const struct host_lab *l)
{
    struct host_counts c;
    UINT64 sum = 0;

    host_counts(l->host, &c);
    for (int i = 0; i < HOST_FATES; i++)
        sum += c.fates[i];
    assert_int_equal(sum, c.frames);
}

void host_lab_close(struct host_lab *l)
{
    counts_add_up(l);
    l->on_event = NULL;
    host_destroy(l->host);
    if (l->own_engine)
        engine_destroy(l->engine);
}

int host_lab_setup(void **state)
{
    struct host_lab *l = calloc(1, sizeof(*l));

    assert_non_null(l);
    host_lab_open(l, NULL);
    *state = l;
    return 0;
}

int host_lab_teardown(void **state)
{
    host_lab_close(*state);
    free(*state);
    return 0;
}

/* ---- rules -------------------------------------------------------------------------------------------- */

/* "RA", "RA6", "IT_DISCARD6" */
static const struct engine_layer *layer_named(const char *name)
{
    char text[64];
    size_t n = strlen(name);
    uint8_t version = 4;
    bool discard;

    assert_true(n > 0 && n < sizeof(text));
    memcpy(text, name, n + 1);
    if (text[n - 1] == '6' || text[n - 1] == '4') {
        version = (uint8_t)(text[n - 1] - '0');
        text[--n] = '\0';
    }
    discard = n > 8 && strcmp(text + n - 8, "_DISCARD") == 0;
    if (discard)
        text[n - 8] = '\0';
    for (int r = 0; r < LAYER_ROLES; r++)
        if (strcmp(text, layer_short_name((enum host_layer)r)) == 0)
            return engine_layer_by_id(discard ? layer_discard_id((enum host_layer)r, version)
                                              : layer_id((enum host_layer)r, version));
    fail_msg("host_lab: no layer %s", name);
    return NULL;
}

static UINT64 number_named(const char *text)
{
    static const char *const prefixes[] = {"", "FWP_CONDITION_FLAG_", "FWP_CONDITION_REAUTHORIZE_REASON_"};
    char name[96], *end;
    UINT64 value = strtoull(text, &end, 0);

    if (*text != '\0' && *end == '\0')
        return value;
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(*prefixes); i++) {
        snprintf(name, sizeof(name), "%s%s", prefixes[i], text);
        if (engine_constant_value(name, &value))
            return value;
    }
    fail_msg("host_lab: %s is no number", text);
    return 0;
}

struct values { /* what conditions point to */
    FWP_BYTE_ARRAY16 addresses[8];
    UINT64 words[8];
    FWP_BYTE_ARRAY6 macs[8];
    FWP_BYTE_BLOB blobs[8];
};

static void condition(const struct engine_layer *layer, char *text, FWPS_FILTER_CONDITION0 *out,
                      struct values *v, unsigned n)
{
    static const struct {
        char op;
        FWP_MATCH_TYPE match;
    } ops[] = {{'=', FWP_MATCH_EQUAL},   {'!', FWP_MATCH_NOT_EQUAL},     {'<', FWP_MATCH_LESS},
               {'>', FWP_MATCH_GREATER}, {'&', FWP_MATCH_FLAGS_ALL_SET}, {'~', FWP_MATCH_FLAGS_ANY_SET}};
    size_t at = strcspn(text, "=!<>&~");
    char op = text[at];
    const char *value = text + at + (op == '!' ? 2 : 1);
    union wire_addr address_value;
    FWP_CONDITION_VALUE0 *to = &out->conditionValue;
    GUID key;
    int field;

    assert_true(n < 8 && op != '\0');
    text[at] = '\0';
    if (engine_guid_by_name(ENGINE_GUID_CONDITION, text, &key) != 0)
        fail_msg("host_lab: no condition %s", text);
    field = engine_layer_field(layer, &key);
    if (field < 0)
        fail_msg("host_lab: %s has no %s", layer->name, text);
    out->fieldId = (UINT16)field;
    for (size_t i = 0; i < sizeof(ops) / sizeof(*ops); i++)
        if (ops[i].op == op)
            out->matchType = ops[i].match;
    to->type = layer->fields[field].data_type;
    switch (wire_addr_parse(value, &address_value, NULL)) {
    case 4:
        to->type = FWP_UINT32;
        to->uint32 = address_value.v4;
        return;
    case 6:
        memcpy(v->addresses[n].byteArray16, address_value.v6, 16);
        to->byteArray16 = &v->addresses[n];
        return;
    default:
        break;
    }
    switch (to->type) {
    case FWP_UINT8:
        to->uint8 = (UINT8)number_named(value);
        break;
    case FWP_UINT16:
        to->uint16 = (UINT16)number_named(value);
        break;
    case FWP_UINT32:
        to->uint32 = (UINT32)number_named(value);
        break;
    case FWP_UINT64:
        v->words[n] = number_named(value);
        to->uint64 = &v->words[n];
        break;
    case FWP_BYTE_BLOB_TYPE: /* the text as it stands */
        v->blobs[n] = (FWP_BYTE_BLOB){(UINT32)strlen(value), (UINT8 *)(uintptr_t)value};
        to->byteBlob = &v->blobs[n];
        break;
    default:
        fail_msg("host_lab: %s is of a type that rules cannot write", text);
    }
}

static UINT64 add(struct host_lab *l, const struct engine_layer *layer, FWP_ACTION_TYPE action,
                  char *conditions, struct host_lab_callout *c)
{
    FWPS_FILTER_CONDITION0 list[8] = {0};
    struct values values;
    UINT64 weight = c != NULL ? c->weight : l->next_filter;
    FWPS_FILTER3 fwps = {.filterId = l->next_filter++,
                         .weight = {.type = FWP_UINT64, .uint64 = &weight},
                         .subLayerWeight = (UINT16)(l->sublayer + 1),
                         .filterCondition = list,
                         .action = {.type = action, .calloutId = c != NULL ? c->id : 0},
                         .context = (UINT64)(uintptr_t)c};
    struct engine_filter_desc desc = {.layer_id = layer->id, .fwps = &fwps, .sublayer_seq = l->sublayer + 1u};
    struct engine_filter *filter;
    struct engine_txn *t;
    char *rest = conditions, *one;

    desc.sublayer_key.Data1 = 0x40570000 + l->sublayer;
    if (c != NULL)
        desc.callout_key = c->key;
    while ((one = strsep(&rest, " ")) != NULL)
        if (*one != '\0') {
            condition(layer, one, &list[fwps.numFilterConditions], &values, fwps.numFilterConditions);
            fwps.numFilterConditions++;
        }
    assert_int_equal(engine_filter_create(&desc, &filter), 0);
    assert_int_equal(engine_txn_begin(l->engine, &t), 0);
    assert_int_equal(engine_txn_add(t, filter), 0);
    assert_int_equal(engine_txn_commit(t), 0);
    engine_filter_unref(filter);
    return fwps.filterId;
}

UINT64 host_lab_rule(struct host_lab *l, const char *rule)
{
    char text[512], *rest = text, *action, *layer;

    snprintf(text, sizeof(text), "%s", rule);
    action = strsep(&rest, " ");
    layer = strsep(&rest, " ");
    assert_non_null(layer);
    if (strcmp(action, "block") != 0 && strcmp(action, "permit") != 0)
        fail_msg("host_lab: %s is no action", action);
    return add(l, layer_named(layer), *action == 'b' ? FWP_ACTION_BLOCK : FWP_ACTION_PERMIT, rest, NULL);
}

void host_lab_remove(struct host_lab *l, const char *layer, UINT64 id)
{
    struct engine_txn *t;

    assert_int_equal(engine_txn_begin(l->engine, &t), 0);
    assert_int_equal(engine_txn_remove(t, layer_named(layer)->id, id), 0);
    assert_int_equal(engine_txn_commit(t), 0);
}

/* ---- callouts ----------------------------------------------------------------------------------------- */

static void NTAPI play(const FWPS_INCOMING_VALUES0 *values, const FWPS_INCOMING_METADATA_VALUES0 *metadata,
                       void *layer_data, const void *classify_context, const FWPS_FILTER3 *filter,
                       UINT64 flow_context, FWPS_CLASSIFY_OUT0 *out)
{
    struct host_lab_callout *c = (struct host_lab_callout *)(uintptr_t)filter->context;

    c->calls++;
    c->values = values;
    c->metadata = metadata;
    c->layer_data = layer_data;
    c->classify_context = classify_context;
    c->flow_context = flow_context;
    if (c->action != 0)
        out->actionType = c->action;
    if (c->clear_write)
        out->rights &= ~(UINT32)FWPS_RIGHT_ACTION_WRITE;
    out->flags |= c->flags;
    if (c->also != NULL)
        c->also(c, out);
}

/* A context that tests give to a flow is the address of the script. */
static void NTAPI flow_deleted(UINT16 layer_id, UINT32 callout_id, UINT64 context)
{
    struct host_lab_callout *c = (struct host_lab_callout *)(uintptr_t)context;

    (void)layer_id;
    assert_int_equal(callout_id, c->id);
    c->deleted++;
    c->deleted_context = context;
    if (c->gone != NULL)
        c->gone(c);
}

UINT16 host_lab_layer(const char *name)
{
    return layer_named(name)->id;
}

UINT64 host_lab_callout_filter(struct host_lab *l, const char *where, struct host_lab_callout *c)
{
    char text[512], *rest = text, *name;

    snprintf(text, sizeof(text), "%s", where);
    name = strsep(&rest, " ");
    return add(l, layer_named(name),
               c->inspects ? FWP_ACTION_CALLOUT_INSPECTION : FWP_ACTION_CALLOUT_TERMINATING, rest, c);
}

UINT64 host_lab_callout(struct host_lab *l, const char *where, struct host_lab_callout *c)
{
    char text[512], *rest = text;
    struct engine_callout registered = {.version = 3, .classify.v3 = play, .flow_delete = flow_deleted};

    snprintf(text, sizeof(text), "%s", where);
    c->weight = l->next_filter;
    c->id = l->next_callout++;
    c->key = (GUID){.Data1 = 0xca110000, .Data2 = (UINT16)c->id};
    registered.key = c->key;
    registered.flags = c->registered;
    registered.context = c->runs_as;
    registered.id = c->id;
    registered.layer_id = layer_named(strsep(&rest, " "))->id;
    assert_int_equal(engine_callout_register(l->engine, &registered), 0);
    return host_lab_callout_filter(l, where, c);
}

/* ---- frames ------------------------------------------------------------------------------------------- */

const char *host_lab_bytes(struct host_lab *l, enum host_way way, uint16_t link_type, const uint8_t *bytes,
                           size_t size, size_t length, UINT32 interface)
{
    struct wire_packet w;
    struct host_frame f = {.packet = &w, .interface_index = interface, .way = way};

    l->now_ns += MS;
    f.number = ++l->frame;
    f.time_ns = l->now_ns;
    host_lab_reset(l);
    wire_parse(link_type, bytes, (uint32_t)size, (uint32_t)length, &w);
    host_frame(l->host, &f, &l->outcome);
    counts_add_up(l);
    return l->seen;
}

const char *host_lab_piece(struct host_lab *l, enum host_way way, const struct packet_frame *frames,
                           size_t count, size_t i)
{
    for (size_t n = i + 1; n < count; n++) {
        const unsigned at = l->ahead_count++;

        assert_true(at < sizeof(l->ahead) / sizeof(l->ahead[0]));
        wire_parse(WIRE_LINK_ETHERNET, frames[n].bytes, (uint32_t)frames[n].size, (uint32_t)frames[n].size,
                   &l->ahead_packets[at]);
        l->ahead[at] = (struct host_frame){.packet = &l->ahead_packets[at],
                                           .number = l->frame + 1 + (n - i),
                                           .time_ns = l->now_ns + (1 + n - i) * MS,
                                           .interface_index = 1,
                                           .way = way};
    }
    host_lab_bytes(l, way, WIRE_LINK_ETHERNET, frames[i].bytes, frames[i].size, frames[i].size, 1);
    l->ahead_count = 0;
    return l->seen;
}

static bool is_v6(const struct packet *p)
{
    return (p->src != NULL && strchr(p->src, ':') != NULL) || (p->dst != NULL && strchr(p->dst, ':') != NULL);
}

const char *host_lab_packet(struct host_lab *l, enum host_way way, const struct packet *p)
{
    static const uint8_t ours[6] = {2, 0, 0, 0, 0, 1}, peer[6] = {2, 0, 0, 0, 0, 2};
    struct packet q = *p;
    bool out = way == HOST_WAY_OUT;
    size_t n;

    if (q.src == NULL)
        q.src = is_v6(p) ? (out ? "fd00::1" : "fd00::2") : (out ? "10.0.0.1" : "10.0.0.2");
    if (q.dst == NULL)
        q.dst = is_v6(p) ? (out ? "fd00::2" : "fd00::1") : (out ? "10.0.0.2" : "10.0.0.1");
    if (q.mac_src == NULL)
        q.mac_src = out ? ours : peer;
    if (q.mac_dst == NULL)
        q.mac_dst = out ? peer : ours;
    n = packet_build(&q, l->bytes, sizeof(l->bytes));
    return host_lab_bytes(l, way, packet_link_type(q.link), l->bytes, n, n, 1);
}

const char *host_lab_wait(struct host_lab *l, UINT64 ms)
{
    host_lab_reset(l);
    l->now_ns += ms * MS;
    host_advance(l->host, l->now_ns);
    return l->seen;
}

/* ---- TCP ---------------------------------------------------------------------------------------------- */

const char *host_lab_segment(struct host_lab *l, struct host_lab_tcp *t, bool out, uint8_t flags,
                             const char *data)
{
    struct packet p = {.protocol = WIRE_PROTOCOL_TCP,
                       .src = out ? t->local_addr : t->remote_addr,
                       .dst = out ? t->remote_addr : t->local_addr,
                       .sport = out ? t->local : t->remote,
                       .dport = out ? t->remote : t->local,
                       .tcp_flags = flags,
                       .seq = out ? t->out : t->in,
                       .ack = (flags & WIRE_TCP_ACK) != 0 ? (out ? t->in : t->out) : 0,
                       .data = data,
                       .size = data != NULL ? strlen(data) : 0};
    uint32_t *next = out ? &t->out : &t->in;

    *next += (uint32_t)p.size + ((flags & WIRE_TCP_SYN) != 0) + ((flags & WIRE_TCP_FIN) != 0);
    return host_lab_packet(l, out ? HOST_WAY_OUT : HOST_WAY_IN, &p);
}

static const char *handshake(struct host_lab *l, struct host_lab_tcp *t, bool out)
{
    char all[sizeof(l->seen)] = "";
    char flows[sizeof(l->flows)] = "";

    t->out = 1000;
    t->in = 500000;
    for (int step = 0; step < 3; step++) {
        static const uint8_t flags[3] = {WIRE_TCP_SYN, WIRE_TCP_SYN | WIRE_TCP_ACK, WIRE_TCP_ACK};

        host_lab_segment(l, t, step == 1 ? !out : out, flags[step], NULL);
        append(all, sizeof(all), "%s%s", step != 0 ? " | " : "", l->seen);
        append(flows, sizeof(flows), "%s%s", *flows != '\0' && *l->flows != '\0' ? " " : "", l->flows);
    }
    memcpy(l->seen, all, sizeof(all));
    memcpy(l->flows, flows, sizeof(flows));
    return l->seen;
}

const char *host_lab_connect(struct host_lab *l, struct host_lab_tcp *t)
{
    return handshake(l, t, true);
}

const char *host_lab_accept(struct host_lab *l, struct host_lab_tcp *t)
{
    return handshake(l, t, false);
}

const char *host_lab_send(struct host_lab *l, struct host_lab_tcp *t, const char *data)
{
    return host_lab_segment(l, t, true, WIRE_TCP_ACK | WIRE_TCP_PSH, data);
}

const char *host_lab_receive(struct host_lab *l, struct host_lab_tcp *t, const char *data)
{
    return host_lab_segment(l, t, false, WIRE_TCP_ACK | WIRE_TCP_PSH, data);
}

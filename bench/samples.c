/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "samples.h"

uint64_t sample_random(uint64_t *seed)
{
    uint64_t x = *seed += 0x9e3779b97f4a7c15ULL;

    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
    return x ^ x >> 31;
}

static uint32_t below(uint64_t *seed, uint32_t n)
{
    return (uint32_t)(sample_random(seed) % n);
}

static bool chance(uint64_t *seed, uint32_t percent)
{
    return below(seed, 100) < percent;
}

/* ---- values ---------------------------------------------------------------------------------------- */

static const char *const token_texts[SAMPLE_TOKENS] = {
    "{\"user\": \"S-1-5-21-1-2-3-1001\", \"groups\": [\"S-1-1-0\", \"S-1-5-32-545\", \"S-1-5-4\", "
    "\"S-1-5-11\"]}",
    "{\"user\": \"S-1-5-18\", \"groups\": [\"S-1-5-32-544\", \"S-1-1-0\", \"S-1-5-11\"]}",
    "{\"user\": \"S-1-5-20\", \"groups\": [\"S-1-1-0\", \"S-1-5-6\", \"S-1-5-11\"]}",
    "{\"user\": \"S-1-5-19\", \"groups\": [\"S-1-1-0\", \"S-1-5-6\", \"S-1-5-11\"]}",
    "{\"user\": \"S-1-5-21-1-2-3-1002\", \"groups\": [\"S-1-5-32-544\", \"S-1-1-0\", \"S-1-5-11\"]}",
};

/* Points the value of a field at storage of the packet. */
static void put_number(struct sample_packet *p, UINT16 field, FWP_DATA_TYPE type, UINT64 n)
{
    FWP_VALUE0 *v = &p->of[field].value;

    *v = (FWP_VALUE0){.type = type};
    if (type == FWP_UINT8) {
        v->uint8 = (UINT8)n;
    } else if (type == FWP_UINT16) {
        v->uint16 = (UINT16)n;
    } else if (type == FWP_UINT32) {
        v->uint32 = (UINT32)n;
    } else {
        p->wide[field] = n;
        v->uint64 = &p->wide[field];
    }
}

static void put_default(struct samples *s, struct sample_packet *p, const struct engine_field *f,
                        unsigned token)
{
    FWP_VALUE0 *v = &p->of[f->index].value;

    *v = (FWP_VALUE0){.type = FWP_EMPTY};
    switch (f->data_type) {
    case FWP_UINT8:
        put_number(p, f->index, f->data_type, chance(&s->seed, 60) ? 6 : 17);
        break;
    case FWP_UINT16:
        put_number(p, f->index, f->data_type, 1024 + below(&s->seed, 60000));
        break;
    case FWP_UINT32:
        put_number(p, f->index, f->data_type,
                   f->type == FWPM_FIELD_IP_ADDRESS ? (UINT32)sample_random(&s->seed) : 0);
        break;
    case FWP_UINT64:
        put_number(p, f->index, f->data_type, 0x6008000000000ULL);
        break;
    case FWP_BYTE_ARRAY16_TYPE:
        for (int i = 0; i < 16; i++)
            p->array16[f->index].byteArray16[i] = (UINT8)sample_random(&s->seed);
        *v = (FWP_VALUE0){.type = f->data_type, .byteArray16 = &p->array16[f->index]};
        break;
    case FWP_BYTE_ARRAY6_TYPE:
        *v = (FWP_VALUE0){.type = f->data_type, .byteArray6 = &p->array6[f->index]};
        break;
    case FWP_SID:
        *v = (FWP_VALUE0){.type = f->data_type, .sid = (SID *)s->no_package};
        break;
    case FWP_TOKEN_ACCESS_INFORMATION_TYPE:
        *v = (FWP_VALUE0){.type = f->data_type,
                          .tokenAccessInformation =
                              (FWP_BYTE_BLOB *)(uintptr_t)security_token_blob(s->tokens[token])};
        break;
    default:
        break;
    }
}

/* Makes the value satisfy a condition, where that is simple. */
static void satisfy(struct sample_packet *p, const struct engine_field *f, const FWPS_FILTER_CONDITION0 *c)
{
    const FWP_CONDITION_VALUE0 *v = &c->conditionValue;
    FWP_VALUE0 *out = &p->of[c->fieldId].value;

    if (c->matchType == FWP_MATCH_RANGE) {
        *out = v->rangeValue->valueLow;
        return;
    }
    if (c->matchType != FWP_MATCH_EQUAL && c->matchType != FWP_MATCH_FLAGS_ALL_SET)
        return;
    if (v->type == FWP_V4_ADDR_MASK) {
        put_number(p, c->fieldId, FWP_UINT32, v->v4AddrMask->addr);
    } else if (v->type == FWP_V6_ADDR_MASK) {
        memcpy(p->array16[c->fieldId].byteArray16, v->v6AddrMask->addr, 16);
        *out = (FWP_VALUE0){.type = FWP_BYTE_ARRAY16_TYPE, .byteArray16 = &p->array16[c->fieldId]};
    } else if (v->type == f->data_type) {
        memcpy(out, v, sizeof(*out));
    }
}

static bool is_opaque(FWP_DATA_TYPE t)
{
    return t == FWP_BYTE_BLOB_TYPE || t == FWP_SID || t == FWP_TOKEN_ACCESS_INFORMATION_TYPE ||
           t == FWP_TOKEN_INFORMATION_TYPE;
}

/* The values of one endpoint's packets: opaque ones are the endpoint's. */
static void fill_endpoint(struct samples *s, const struct engine_layer_snapshot *ls, unsigned endpoint)
{
    unsigned token = below(&s->seed, SAMPLE_TOKENS);
    struct sample_packet *first = &s->packets[endpoint * SAMPLE_PACKETS];
    const struct engine_filter *own = ls->filters[below(&s->seed, ls->count)];

    for (unsigned i = 0; i < SAMPLE_PACKETS; i++) {
        struct sample_packet *p = first + i;
        const struct engine_filter *met = i % 2 ? own : ls->filters[below(&s->seed, ls->count)];

        p->incoming = (FWPS_INCOMING_VALUES0){ls->layer->id, ls->layer->field_count, p->of};
        for (unsigned f = 0; f < ls->layer->field_count; f++)
            put_default(s, p, &ls->layer->fields[f], token);
        for (UINT32 k = 0; k < own->fwps.numFilterConditions; k++) {
            const FWPS_FILTER_CONDITION0 *c = &own->fwps.filterCondition[k];

            if (is_opaque(ls->layer->fields[c->fieldId].data_type))
                satisfy(p, &ls->layer->fields[c->fieldId], c);
        }
        for (UINT32 k = 0; k < met->fwps.numFilterConditions; k++) {
            const FWPS_FILTER_CONDITION0 *c = &met->fwps.filterCondition[k];

            if (!is_opaque(ls->layer->fields[c->fieldId].data_type) && chance(&s->seed, 85))
                satisfy(p, &ls->layer->fields[c->fieldId], c);
        }
    }
}

struct samples *samples_create(const struct engine_layer_snapshot *ls, uint64_t seed)
{
    struct samples *s = calloc(1, sizeof(*s));
    char *error = NULL;

    s->seed = seed;
    for (unsigned i = 0; i < SAMPLE_TOKENS; i++)
        if (security_token_from_json(token_texts[i], strlen(token_texts[i]), &s->tokens[i], &error) != 0)
            bench_die("token: %s", error);
    if (security_sid_parse("S-1-0-0", (SID *)s->no_package, sizeof(s->no_package)) != 0)
        bench_die("no SID");
    for (unsigned i = 0; i < SAMPLE_ENDPOINTS; i++)
        fill_endpoint(s, ls, i);
    return s;
}

void samples_destroy(struct samples *s)
{
    for (unsigned i = 0; i < SAMPLE_TOKENS; i++)
        security_token_destroy(s->tokens[i]);
    free(s);
}

/* ---- a made-up layer -------------------------------------------------------------------------------- */

#define F(name) FWPS_FIELD_ALE_AUTH_RECV_ACCEPT_V4_##name

struct made {
    FWPS_FILTER_CONDITION0 c[16];
    UINT32 count;
    WCHAR path[128];
    FWP_BYTE_BLOB blob;
    void *sd;
    FWP_BYTE_BLOB sd_blob;
    FWP_V4_ADDR_AND_MASK mask[2];
    FWP_RANGE0 range[2];
    UINT8 sid[SECURITY_MAX_SID_SIZE];
    UINT64 luid;
};

static FWP_CONDITION_VALUE0 *add(struct made *m, UINT16 field, FWP_MATCH_TYPE match, FWP_DATA_TYPE type)
{
    m->c[m->count] = (FWPS_FILTER_CONDITION0){.fieldId = field, .matchType = match};
    m->c[m->count].conditionValue.type = type;
    return &m->c[m->count++].conditionValue;
}

static void add_app(struct made *m, unsigned k)
{
    char text[120];
    int n =
        snprintf(text, sizeof(text),
                 "\\device\\harddiskvolume3\\program files\\vendor %u\\product\\program%u.exe", k % 17, k);

    for (int i = 0; i <= n; i++)
        m->path[i] = (WCHAR)text[i];
    m->blob = (FWP_BYTE_BLOB){2 * (UINT32)(n + 1), (UINT8 *)m->path};
    add(m, F(ALE_APP_ID), FWP_MATCH_EQUAL, FWP_BYTE_BLOB_TYPE)->byteBlob = &m->blob;
}

static void add_user(struct made *m, unsigned k)
{
    char text[160];
    size_t size;

    if (k % 3 == 0)
        snprintf(text, sizeof(text), "D:(A;;CC;;;S-1-5-80-%u-2-3-4-5)", k);
    else if (k % 3 == 1)
        snprintf(text, sizeof(text), "D:(A;;CC;;;S-1-5-21-1-2-3-%u)", 1000 + k);
    else
        snprintf(text, sizeof(text), "D:(A;;CC;;;S-1-5-%u)(A;;CC;;;S-1-5-32-%u)", 18 + k % 3, 544 + k % 5);
    if (security_sddl_parse(text, &m->sd, &size, NULL) != 0)
        bench_die("no descriptor: %s", text);
    m->sd_blob = (FWP_BYTE_BLOB){(UINT32)size, m->sd};
    add(m, F(ALE_USER_ID), FWP_MATCH_EQUAL, FWP_SECURITY_DESCRIPTOR_TYPE)->sd = &m->sd_blob;
}

static void add_port(struct made *m, UINT16 field, uint64_t *seed, FWP_RANGE0 *range)
{
    static const UINT16 known[] = {80,  443,  53,   67,   68,   135,  137,  138,  139,  445,
                                   500, 1900, 2869, 3389, 4500, 5353, 5355, 5985, 7680, 9955};
    UINT16 port = known[below(seed, sizeof(known) / sizeof(known[0]))];

    if (chance(seed, 85)) {
        add(m, field, FWP_MATCH_EQUAL, FWP_UINT16)->uint16 = port;
        return;
    }
    *range = (FWP_RANGE0){{.type = FWP_UINT16, .uint16 = port},
                          {.type = FWP_UINT16, .uint16 = (UINT16)(port + 100)}};
    add(m, field, FWP_MATCH_RANGE, FWP_RANGE_TYPE)->rangeValue = range;
}

static void add_address(struct made *m, UINT16 field, uint64_t *seed, FWP_V4_ADDR_AND_MASK *mask)
{
    static const UINT32 nets[] = {0x0a000000, 0xac100000, 0xc0a80000, 0xe0000000, 0xe00000fb,
                                  0xe00000fc, 0xeffffffa, 0x7f000000, 0xa9fe0000, 0xffffffff};
    unsigned k = below(seed, 10);

    if (k >= 4 && k <= 6) {
        add(m, field, FWP_MATCH_EQUAL, FWP_UINT32)->uint32 = nets[k];
        return;
    }
    *mask = (FWP_V4_ADDR_AND_MASK){nets[k], k == 9             ? 0xffffffff
                                            : k == 3           ? 0xf0000000
                                            : k == 0 || k == 7 ? 0xff000000
                                                               : 0xffff0000};
    add(m, field, FWP_MATCH_EQUAL, FWP_V4_ADDR_MASK)->v4AddrMask = mask;
}

/* The mixture of conditions that real machines' filters have: app id, protocol, profile, user, ports ... */
static void add_conditions(struct made *m, uint64_t *seed)
{
    if (chance(seed, 60))
        add_app(m, below(seed, 110));
    if (chance(seed, 58))
        add(m, F(IP_PROTOCOL), FWP_MATCH_EQUAL, FWP_UINT8)->uint8 = chance(seed, 50)   ? 6
                                                                    : chance(seed, 80) ? 17
                                                                                       : 58;
    if (chance(seed, 30))
        add(m, F(ORIGINAL_PROFILE_ID), FWP_MATCH_EQUAL, FWP_UINT32)->uint32 = 1u << below(seed, 3);
    if (chance(seed, 28))
        add(m, F(CURRENT_PROFILE_ID), FWP_MATCH_EQUAL, FWP_UINT32)->uint32 = 1u << below(seed, 3);
    if (chance(seed, 25))
        add_user(m, below(seed, 24));
    if (chance(seed, 30))
        add_port(m, F(IP_LOCAL_PORT), seed, &m->range[0]);
    if (chance(seed, 14))
        add_port(m, F(IP_REMOTE_PORT), seed, &m->range[1]);
    if (chance(seed, 14))
        add(m, F(FLAGS), chance(seed, 70) ? FWP_MATCH_FLAGS_NONE_SET : FWP_MATCH_FLAGS_ALL_SET, FWP_UINT32)
            ->uint32 = chance(seed, 60)   ? 0x1
                       : chance(seed, 50) ? 0x400001
                                          : 0xc0000;
    if (chance(seed, 16))
        add_address(m, F(IP_REMOTE_ADDRESS), seed, &m->mask[0]);
    if (chance(seed, 5))
        add_address(m, F(IP_LOCAL_ADDRESS), seed, &m->mask[1]);
    if (chance(seed, 8)) {
        static const char *const sids[] = {"S-1-0-0", "S-1-15-2-1-2-3", "S-1-15-2-4-5-6", "S-1-15-2-7-8-9"};

        if (security_sid_parse(sids[below(seed, 4)], (SID *)m->sid, sizeof(m->sid)) != 0)
            bench_die("no SID");
        add(m, F(ALE_PACKAGE_ID), chance(seed, 80) ? FWP_MATCH_EQUAL : FWP_MATCH_NOT_EQUAL, FWP_SID)->sid =
            (SID *)m->sid;
    }
    if (chance(seed, 10))
        add(m, F(ARRIVAL_INTERFACE_TYPE), FWP_MATCH_EQUAL, FWP_UINT32)->uint32 = chance(seed, 50) ? 71 : 23;
    if (chance(seed, 10))
        add(m, F(ARRIVAL_TUNNEL_TYPE), FWP_MATCH_EQUAL, FWP_UINT32)->uint32 = 13 + below(seed, 3);
    if (chance(seed, 6)) {
        m->luid = 0x6008000000000ULL + below(seed, 4) * 0x1000000ULL;
        add(m, F(IP_LOCAL_INTERFACE), FWP_MATCH_EQUAL, FWP_UINT64)->uint64 = &m->luid;
    }
}

struct engine_filter *sample_filter(uint64_t *seed, UINT64 id)
{
    struct made *m = calloc(1, sizeof(*m));
    UINT64 weight = sample_random(seed) >> 4;
    UINT32 sublayer = below(seed, 100);
    FWPS_FILTER3 f = {.filterId = id, .filterCondition = m->c};
    struct engine_filter_desc d = {.layer_id = SAMPLE_LAYER, .fwps = &f};
    struct engine_filter *out;

    while (m->count == 0)
        add_conditions(m, seed);
    sublayer = sublayer < 70   ? 0
               : sublayer < 80 ? 1
               : sublayer < 88 ? 2
               : sublayer < 94 ? 3
               : sublayer < 98 ? 4
                               : 5;
    f.numFilterConditions = m->count;
    f.weight = (FWP_VALUE0){.type = FWP_UINT64, .uint64 = &weight};
    f.subLayerWeight = (UINT16)(6 - sublayer);
    f.action.type = chance(seed, 80) ? FWP_ACTION_PERMIT : FWP_ACTION_BLOCK;
    d.sublayer_key.Data1 = sublayer + 1;
    d.sublayer_seq = sublayer;
    if (engine_filter_create(&d, &out) != 0)
        bench_die("no filter");
    free(m->sd);
    free(m);
    return out;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Candidates for joint variables, and the constraints between variables, so that no impossible world is
 * invented: a loopback flag without a loopback connection, a Wi-Fi interface with an Ethernet LUID, an
 * AppContainer's loopback between two ordinary programs.
 */
#include "explain/joint.h"

#include <errno.h>
#include <string.h>

#define LOOPBACK_BITS                                                                                        \
    (FWP_CONDITION_FLAG_IS_LOOPBACK | FWP_CONDITION_FLAG_IS_APPCONTAINER_LOOPBACK |                          \
     FWP_CONDITION_FLAG_IS_NON_APPCONTAINER_LOOPBACK)

/* ---- addresses ------------------------------------------------------------------------------- */

bool explain_is_loopback(const FWP_VALUE0 *a)
{
    static const UINT8 v6[16] = {[15] = 1};

    if (a->type == FWP_UINT32)
        return a->uint32 >> 24 == 127;
    return a->type == FWP_BYTE_ARRAY16_TYPE && memcmp(a->byteArray16->byteArray16, v6, 16) == 0;
}

bool explain_same_address(const FWP_VALUE0 *a, const FWP_VALUE0 *b)
{
    if (a->type != b->type)
        return false;
    if (a->type == FWP_UINT32)
        return a->uint32 == b->uint32;
    return a->type == FWP_BYTE_ARRAY16_TYPE && memcmp(a->byteArray16, b->byteArray16, 16) == 0;
}

static bool is_multicast(const FWP_VALUE0 *a)
{
    return a->type == FWP_UINT32 ? a->uint32 >> 28 == 14 : a->byteArray16->byteArray16[0] == 0xff;
}

static bool is_unspecified(const FWP_VALUE0 *a)
{
    static const UINT8 zero[16];

    return a->type == FWP_UINT32 ? a->uint32 == 0 : memcmp(a->byteArray16->byteArray16, zero, 16) == 0;
}

uint64_t explain_address_tags(const FWP_VALUE0 *a)
{
    if (a->type == FWP_EMPTY)
        return 0;
    return (explain_is_loopback(a) ? TAG_LOOPBACK : 0) | (is_multicast(a) ? TAG_MULTICAST : 0) |
           (a->type == FWP_UINT32 && a->uint32 == UINT32_MAX ? TAG_BROADCAST : 0);
}

/* Addresses that can be an end's at all. 240/4 is nobody's. */
static bool is_possible(const struct explain_address_ctx *ctx, const FWP_VALUE0 *a)
{
    if (is_unspecified(a) || (a->type == FWP_UINT32 && a->uint32 >> 24 == 0))
        return false;
    if (a->type == FWP_UINT32 && a->uint32 >> 28 == 15)
        return ctx->may_be_group && a->uint32 == UINT32_MAX;
    return ctx->may_be_group || !is_multicast(a);
}

static void border(UINT8 **at, const UINT8 *bytes, size_t size)
{
    memset(*at, 0, 16);
    memcpy(*at + 16 - size, bytes, size);
    *at += 16;
}

/* Where the kinds of addresses begin and end, and the other end's own address, so that tags are true of all
 * of a class. */
static int address_values(struct explain_problem *p, struct explain_var *v,
                          const struct explain_address_ctx *ctx, const struct explain_value **values,
                          uint32_t *count)
{
    static const UINT8 v4[][4] = {{1, 0, 0, 0},   {127, 0, 0, 0}, {127, 0, 0, 1},      {128, 0, 0, 0},
                                  {224, 0, 0, 0}, {240, 0, 0, 0}, {255, 255, 255, 255}};
    static const UINT8 v6[][16] = {{[15] = 1}, {[15] = 2}, {0xff}};
    UINT8 *cuts = explain_alloc(&p->arena, 16 * 16), *at = cuts;
    FWP_VALUE0 *first = explain_alloc(&p->arena, 2 * sizeof *first);
    FWP_BYTE_ARRAY16 *wide = explain_alloc(&p->arena, sizeof *wide);
    struct explain_values preferred = {first, 0, cuts, 0};
    bool remote = v->field[ADDRESS_BOUND_SLOT] == NULL;

    if (p->arena.failed)
        return -ENOMEM;
    if (v->field[ADDRESS_SLOT] == NULL &&
        v->field[ADDRESS_BOUND_SLOT] == NULL) /* set otherwise; only flags ask */
        v->field[ADDRESS_SLOT] = explain_field_find(
            engine_layer_by_name(ctx->family == '4' ? "ALE_AUTH_CONNECT_V4" : "ALE_AUTH_CONNECT_V6"),
            "IP_REMOTE_ADDRESS");
    if (ctx->family == '4') {
        for (size_t i = 0; i < sizeof v4 / sizeof v4[0]; i++)
            border(&at, v4[i], 4);
        first[preferred.count++] =
            (FWP_VALUE0){.type = FWP_UINT32, .uint32 = remote ? 0xcb007101u : 0xc0a8010au};
    } else {
        for (size_t i = 0; i < sizeof v6 / sizeof v6[0]; i++)
            border(&at, v6[i], 16);
        memcpy(wide->byteArray16, (UINT8[16]){0x20, 0x01, 0x0d, 0xb8, [7] = remote, [15] = 1}, 16);
        first[preferred.count++] = (FWP_VALUE0){.type = FWP_BYTE_ARRAY16_TYPE, .byteArray16 = wide};
    }
    if (ctx->other_known) { /* a piece of its own: [other, other + 1) */
        UINT8 bytes[16];
        size_t size = ctx->family == '4' ? 4 : 16;

        if (size == 4) {
            for (unsigned i = 0; i < 4; i++)
                bytes[i] = (UINT8)(ctx->other.uint32 >> (24 - 8 * i));
        } else {
            memcpy(bytes, ctx->other.byteArray16, 16);
        }
        border(&at, bytes, size);
        for (size_t i = size; i > 0 && ++bytes[i - 1] == 0; i--)
            ;
        border(&at, bytes, size);
    }
    preferred.cut_count = (uint32_t)((at - cuts) / 16);
    return explain_slot_values(p, v, 1u << ADDRESS_SLOT | 1u << ADDRESS_BOUND_SLOT, &preferred, values,
                               count);
}

static FWP_VALUE0 number8(UINT8 n)
{
    return (FWP_VALUE0){.type = FWP_UINT8, .uint8 = n};
}

static UINT8 type_of(const FWP_VALUE0 *a)
{
    uint64_t tags = explain_address_tags(a);

    return tags & TAG_MULTICAST ? NlatMulticast : tags & TAG_BROADCAST ? NlatBroadcast : NlatUnicast;
}

/* One address, bound in each way that is possible. */
static int add_address(struct explain_problem *p, struct explain_var *v,
                       const struct explain_address_ctx *ctx, const FWP_VALUE0 *a, UINT8 type)
{
    bool bound = v->field[ADDRESS_BOUND_SLOT] != NULL || v->field[ADDRESS_BOUND_TYPE_SLOT] != NULL;
    uint64_t tags = explain_address_tags(a);

    if (ctx->other_known && explain_same_address(a, &ctx->other))
        tags |= TAG_SAME;
    for (int wildcard = 0; wildcard < 2; wildcard++) {
        struct explain_class *c;

        if (wildcard && (!bound || ctx->bound == BOUND_EXPLICIT))
            continue;
        if (!wildcard && bound && (ctx->bound == BOUND_WILDCARD || tags & (TAG_MULTICAST | TAG_BROADCAST)))
            continue; /* nobody binds to a group */
        c = explain_candidate(p, v);
        if (c == NULL)
            return -ENOMEM;
        c->tag = tags;
        c->v[ADDRESS_SLOT].value = *a;
        c->v[ADDRESS_TYPE_SLOT].value = number8(type);
        if (wildcard) {
            c->tag |= TAG_WILDCARD;
            c->v[ADDRESS_BOUND_TYPE_SLOT].value = number8(NlatUnspecified);
        } else {
            c->tag |= tags & TAG_LOOPBACK ? TAG_BIND_LOOPBACK : 0;
            c->v[ADDRESS_BOUND_SLOT].value = *a;
            c->v[ADDRESS_BOUND_TYPE_SLOT].value = number8(type);
        }
    }
    return 0;
}

int explain_generate_address(struct explain_problem *p, struct explain_var *v)
{
    const struct explain_address_ctx *ctx = v->ctx;
    struct explain_value given = {.value = ctx->address};
    const struct explain_value *values = &given;
    uint32_t count = 1;
    int err = ctx->known ? 0 : address_values(p, v, ctx, &values, &count);

    for (uint32_t i = 0; i < count && err == 0; i++) {
        const FWP_VALUE0 *a = &values[i].value;

        if (!ctx->known && !is_possible(ctx, a))
            continue;
        err = add_address(p, v, ctx, a, type_of(a));
        /* which address is a subnet's broadcast address depends on a mask that nobody told us */
        if (err == 0 && ctx->may_be_group && a->type == FWP_UINT32 && type_of(a) == NlatUnicast &&
            (a->uint32 & 255) == 255)
            err = add_address(p, v, ctx, a, NlatBroadcast);
    }
    return err;
}

/* ---- interfaces ------------------------------------------------------------------------------ */

/* A NET_LUID has the interface type in its highest 16 bits and a number in the 24 bits below. */
static UINT64 luid_of_type(UINT32 type)
{
    return (UINT64)type << 48 | UINT64_C(0x008000) << 24;
}

static int slot_numbers(struct explain_problem *p, struct explain_var *v, uint32_t slot, UINT32 ordinary,
                        const struct explain_value **values, uint32_t *count)
{
    FWP_VALUE0 *first = explain_alloc(&p->arena, sizeof *first);
    struct explain_value *one = explain_alloc(&p->arena, sizeof *one);
    struct explain_values preferred = {first, 1, NULL, 0};

    if (p->arena.failed)
        return -ENOMEM;
    *first = (FWP_VALUE0){.type = FWP_UINT32, .uint32 = ordinary};
    one->value = *first;
    *values = v->fixed[slot] != NULL ? v->fixed[slot] : one;
    *count = 1;
    if (v->fixed[slot] != NULL || v->field[slot] == NULL || !explain_slot_tested(p, v, slot))
        return 0;
    return explain_slot_values(p, v, 1u << slot, &preferred, values, count);
}

static int add_interface(struct explain_problem *p, struct explain_var *v, UINT64 luid, UINT32 tunnel,
                         const struct explain_value *index, const struct explain_value *sub)
{
    struct explain_class *c = explain_candidate(p, v);

    if (c == NULL)
        return -ENOMEM;
    c->v[INTERFACE_LUID_SLOT].value.type = FWP_UINT64;
    c->v[INTERFACE_LUID_SLOT].value.uint64 = explain_copy(&p->arena, &luid, sizeof luid);
    c->v[INTERFACE_TYPE_SLOT].value = (FWP_VALUE0){.type = FWP_UINT32, .uint32 = (UINT32)(luid >> 48)};
    c->v[INTERFACE_TUNNEL_SLOT].value = (FWP_VALUE0){.type = FWP_UINT32, .uint32 = tunnel};
    c->v[INTERFACE_INDEX_SLOT] = *index;
    c->v[INTERFACE_SUB_SLOT] = *sub;
    return p->arena.failed ? -ENOMEM : 0;
}

/* Everything that goes with one LUID. Only tunnels have a tunnel type. */
static int add_luid(struct explain_problem *p, struct explain_var *v, UINT64 luid)
{
    const struct explain_value *tunnels, *indexes, *subs;
    uint32_t tunnel_count, index_count, sub_count;
    int err = slot_numbers(p, v, INTERFACE_TUNNEL_SLOT, 0, &tunnels, &tunnel_count);

    if (err == 0)
        err = slot_numbers(p, v, INTERFACE_INDEX_SLOT, 12, &indexes, &index_count);
    if (err == 0)
        err = slot_numbers(p, v, INTERFACE_SUB_SLOT, 0, &subs, &sub_count);
    if (err != 0)
        return err;
    for (uint32_t t = 0; t < tunnel_count; t++) {
        if (tunnels[t].value.uint32 != 0 && luid >> 48 != IF_TYPE_TUNNEL &&
            v->fixed[INTERFACE_TUNNEL_SLOT] == NULL)
            continue;
        for (uint32_t i = 0; i < index_count; i++) {
            for (uint32_t s = 0; s < sub_count && err == 0; s++)
                err = add_interface(p, v, luid, tunnels[t].value.uint32, &indexes[i], &subs[s]);
        }
    }
    return err;
}

static int add_types(struct explain_problem *p, struct explain_var *v)
{
    const struct explain_value *types;
    uint32_t count;
    int err = slot_numbers(p, v, INTERFACE_TYPE_SLOT, IF_TYPE_ETHERNET_CSMACD, &types, &count);

    for (uint32_t i = 0; i < count && err == 0; i++) {
        if (types[i].value.type == FWP_UINT32 && types[i].value.uint32 <= UINT16_MAX)
            err = add_luid(p, v, luid_of_type(types[i].value.uint32));
    }
    return err;
}

int explain_generate_interface(struct explain_problem *p, struct explain_var *v)
{
    const struct explain_interface_ctx *ctx = v->ctx;
    const struct explain_value *luids = v->fixed[INTERFACE_LUID_SLOT];
    uint32_t count = luids != NULL;
    int err = 0;

    if (ctx->absent && luids == NULL && v->fixed[INTERFACE_TYPE_SLOT] == NULL)
        return explain_candidate(p, v) != NULL ? 0 : -ENOMEM;
    if (luids == NULL) {
        err = add_types(p, v);
        if (err == 0 && v->fixed[INTERFACE_TYPE_SLOT] == NULL && v->field[INTERFACE_LUID_SLOT] != NULL &&
            explain_slot_tested(p, v, INTERFACE_LUID_SLOT))
            err = explain_slot_values(p, v, 1u << INTERFACE_LUID_SLOT, NULL, &luids, &count);
    }
    for (uint32_t i = 0; i < count && err == 0; i++) {
        if (luids[i].value.type == FWP_UINT64)
            err = add_luid(p, v, *luids[i].value.uint64);
    }
    if (err == 0 && ctx->may_be_empty && v->fixed[INTERFACE_LUID_SLOT] == NULL &&
        explain_candidate(p, v) == NULL)
        err = -ENOMEM;
    return err;
}

/* ---- flags ----------------------------------------------------------------------------------- */

/* Loopback between programs is of exactly one kind; elsewhere of none (MATCH-21). */
static bool loopback_bits_agree(UINT32 flags, UINT32 free)
{
    bool container = flags & FWP_CONDITION_FLAG_IS_APPCONTAINER_LOOPBACK;
    bool other = flags & FWP_CONDITION_FLAG_IS_NON_APPCONTAINER_LOOPBACK;

    if (!(free & FWP_CONDITION_FLAG_IS_NON_APPCONTAINER_LOOPBACK))
        return true;
    return flags & FWP_CONDITION_FLAG_IS_LOOPBACK ? container != other : !container && !other;
}

int explain_generate_flags(struct explain_problem *p, struct explain_var *v)
{
    const struct explain_flags_ctx *ctx = v->ctx;
    UINT32 bits = 0;

    do {
        UINT32 flags = ctx->set | bits;

        if (loopback_bits_agree(flags, ctx->free)) {
            struct explain_class *c = explain_candidate(p, v);

            if (c == NULL)
                return -ENOMEM;
            c->v[0].value = (FWP_VALUE0){.type = FWP_UINT32, .uint32 = flags};
            c->tag = (uint64_t)flags << TAG_FLAGS_SHIFT;
        }
        bits = (bits - ctx->free) & ctx->free;
    } while (bits != 0);
    return 0;
}

static UINT32 flags_of(const struct explain_class *c)
{
    return (UINT32)(c->tag >> TAG_FLAGS_SHIFT);
}

bool explain_flags_with_local(const struct explain_class *flags, const struct explain_class *local,
                              uint64_t arg)
{
    bool loopback = flags_of(flags) & FWP_CONDITION_FLAG_IS_LOOPBACK;

    if (arg & EXPLAIN_LOCAL_BOUND) {
        bool wildcard = flags_of(flags) & FWP_CONDITION_FLAG_IS_WILDCARD_BIND;

        return wildcard == !!(local->tag & TAG_WILDCARD) && loopback == !!(local->tag & TAG_BIND_LOOPBACK);
    }
    if (local->tag & (TAG_LOOPBACK | TAG_SAME))
        return loopback;
    return !(arg & EXPLAIN_LOCAL_DECIDES) || !loopback;
}

bool explain_flags_with_remote(const struct explain_class *flags, const struct explain_class *remote,
                               uint64_t decides)
{
    bool loopback = flags_of(flags) & FWP_CONDITION_FLAG_IS_LOOPBACK;

    if (remote->tag & (TAG_LOOPBACK | TAG_SAME))
        return loopback;
    if (remote->tag & (TAG_MULTICAST | TAG_BROADCAST))
        return !loopback;
    return !decides || !loopback;
}

bool explain_flags_with_subject(const struct explain_class *flags, const struct explain_class *subject,
                                uint64_t other_is_plain)
{
    UINT32 f = flags_of(flags);

    if (!(f & FWP_CONDITION_FLAG_IS_LOOPBACK))
        return true;
    if (subject->tag & TAG_APPCONTAINER)
        return f & FWP_CONDITION_FLAG_IS_APPCONTAINER_LOOPBACK;
    return !other_is_plain || f & FWP_CONDITION_FLAG_IS_NON_APPCONTAINER_LOOPBACK;
}

bool explain_flags_with_peer(const struct explain_class *flags, const struct explain_class *peer,
                             uint64_t unused)
{
    UINT32 f = flags_of(flags);

    (void)unused;
    if (!(f & FWP_CONDITION_FLAG_IS_LOOPBACK) || !(peer->tag & TAG_APPCONTAINER))
        return true;
    return f & FWP_CONDITION_FLAG_IS_APPCONTAINER_LOOPBACK;
}

bool explain_local_with_remote(const struct explain_class *local, const struct explain_class *remote,
                               uint64_t unused)
{
    (void)unused;
    return !(local->tag & TAG_LOOPBACK) == !(remote->tag & TAG_LOOPBACK);
}

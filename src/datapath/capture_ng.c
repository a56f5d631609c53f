/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pcapng: blocks, each with its length at both ends.
 *
 *   type 4, total length 4, body, total length 4
 *   section:   magic 4 (says the byte order from here on), version 2+2, section length 8, options
 *   interface: link type 2, reserved 2, snap length 4, options
 *   enhanced:  interface 4, time high 4, time low 4, captured 4, length 4, bytes padded to 4, options
 *   packet (old): interface 2, drops 2, then as enhanced
 *   simple:    length 4, bytes; of interface 0, captured up to its snap length
 *   process (Darwin): process id 4, options
 *
 * All other blocks are passed over unread: names, statistics, secrets. Section lengths are not used. A
 * capture's interfaces and processes are numbered through, a section's begin at c->first_interface and
 * c->first_process.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "capture_inside.h"

#define BLOCK_MIN     12
#define SECTION_MIN   28
#define INTERFACE_MIN 20
#define ENHANCED_MIN  32
#define ENHANCED_HEAD 28
#define SIMPLE_MIN    16
#define PROCESS_MIN   16
#define ADDRESSES_MAX 1024

static size_t padded(size_t size)
{
    return (size + 3) & ~(size_t)3;
}

/* The whole of a block, whose length is said to be `total`; NULL: *result is the error. */
static const uint8_t *whole(struct capture *c, const char *what, uint32_t total, int *result,
                            struct capture_error *error)
{
    const uint8_t *b = source_need(&c->source, total);

    if (b == NULL) {
        *result = capture_fail_short(c, error, what, total);
        return NULL;
    }
    uint32_t again = get32(b + total - 4, c->swapped);
    if (again != total) {
        *result =
            capture_fail(c, error, "the same length at both ends of a block", "%u and %u", total, again);
        return NULL;
    }
    return b;
}

static int fail_options(struct capture *c, struct capture_error *error)
{
    return capture_fail(c, error, "options within their block", "one that runs over its end");
}

/* ---- sections ------------------------------------------------------------------------------------------ */

static int read_section(struct capture *c, struct capture_error *error)
{
    const uint8_t *b = source_need(&c->source, SECTION_MIN);
    int result;

    if (b == NULL)
        return capture_fail_short(c, error, "a section header", SECTION_MIN);
    uint32_t magic = get32(b + 8, false);
    if (magic != SECTION_MAGIC && magic != __builtin_bswap32(SECTION_MAGIC))
        return capture_fail(c, error, "a byte-order magic", "0x%08x", magic);
    c->swapped = magic != SECTION_MAGIC;
    uint32_t total = get32(b + 4, c->swapped);
    if (total < SECTION_MIN || total % 4 != 0 || total > CAPTURE_BLOCK_MAX)
        return capture_fail(c, error, "a section header of 28 bytes or more", "one of %u", total);
    unsigned major = get16(b + 12, c->swapped), minor = get16(b + 14, c->swapped);
    if (major != 1 || (minor != 0 && minor != 2))
        return capture_fail(c, error, "pcapng version 1.0", "%u.%u", major, minor);
    if (whole(c, "a section header", total, &result, error) == NULL)
        return result;
    c->source.at += total;
    c->first_interface = (uint32_t)c->interface_count;
    c->first_process = (uint32_t)c->described.count;
    return 0;
}

/* ---- interfaces ---------------------------------------------------------------------------------------- */

static int add_address(struct interface *i, const struct option *o)
{
    struct capture_address a = {.version = o->code == OPTION_IF_IPV4 ? 4 : 6};

    if (o->size != (a.version == 4 ? 8 : 17) || i->is.address_count == ADDRESSES_MAX)
        return 0;
    if (a.version == 4) {
        uint32_t mask = __builtin_bswap32(get32(o->value + 4, false));
        a.address.v4 = __builtin_bswap32(get32(o->value, false));
        a.bits = (~mask & (~mask + 1)) == 0 ? (uint8_t)__builtin_popcount(mask) : 0;
    } else {
        memcpy(a.address.v6, o->value, 16);
        a.bits = o->value[16] <= 128 ? o->value[16] : 0;
    }
    struct capture_address *more =
        realloc((void *)(uintptr_t)i->is.addresses, (i->is.address_count + 1) * sizeof(*more));
    if (more == NULL)
        return -ENOMEM;
    more[i->is.address_count++] = a;
    i->is.addresses = more;
    return 0;
}

static int set_text(const char **to, const struct option *o)
{
    if (*to == NULL)
        *to = strndup((const char *)o->value, o->size);
    return *to == NULL ? -ENOMEM : 0;
}

static int interface_option(struct interface *i, const struct option *o)
{
    switch (o->code) {
    case OPTION_IF_NAME:
        return set_text(&i->is.name, o);
    case OPTION_IF_DESCRIPTION:
        return set_text(&i->is.description, o);
    case OPTION_IF_IPV4:
    case OPTION_IF_IPV6:
        return add_address(i, o);
    case OPTION_IF_MAC:
        if (o->size == 6) {
            memcpy(i->is.mac, o->value, 6);
            i->is.has_mac = true;
        }
        return 0;
    case OPTION_IF_OFFSET:
        if (o->size == 8)
            i->is.time_offset = (int64_t)get64(o->value, i->swapped);
        return 0;
    case OPTION_IF_RESOLUTION:
        if (o->size == 1)
            i->is.resolution = o->value[0];
        return 0;
    }
    return 0;
}

static int interface_options(struct capture *c, struct interface *i, const uint8_t *options, uint32_t size,
                             struct capture_error *error)
{
    int result = 0, more;
    struct option o;

    i->options = malloc((size_t)size + 1);
    if (i->options == NULL)
        return -ENOMEM;
    memcpy(i->options, options, size);
    i->options_size = size;
    struct option_walk w = option_walk(i->options, size, c->swapped);
    while ((more = option_next(&w, &o)) > 0 && (result = interface_option(i, &o)) == 0)
        ;
    if (result != 0)
        return result;
    if (more < 0)
        return fail_options(c, error);
    if (!capture_interface_resolution(i, i->is.resolution))
        return capture_fail(c, error, "a time resolution within 64 bits", "0x%02x", i->is.resolution);
    return 0;
}

static int read_interface(struct capture *c, uint32_t total, struct capture_error *error)
{
    int result = 0;

    if (total < INTERFACE_MIN)
        return capture_fail(c, error, "an interface description of 20 bytes or more", "one of %u", total);
    if (c->interface_count == CAPTURE_INTERFACES_MAX)
        return capture_fail(c, error, "at most 65,536 interfaces", "one more");
    const uint8_t *b = whole(c, "an interface description", total, &result, error);
    if (b == NULL)
        return result;
    struct interface *i = capture_interface_new(c, get16(b + 8, c->swapped), get32(b + 12, c->swapped));
    if (i == NULL)
        return -ENOMEM;
    result = interface_options(c, i, b + 16, total - INTERFACE_MIN, error);
    if (result != 0) {
        capture_interface_drop(c);
        return result;
    }
    c->source.at += total;
    return 0;
}

/* ---- processes ----------------------------------------------------------------------------------------- */

static int read_process(struct capture *c, uint32_t total, struct capture_error *error)
{
    int result = 0, more;

    if (total < PROCESS_MIN)
        return capture_fail(c, error, "a process description of 16 bytes or more", "one of %u", total);
    const uint8_t *b = whole(c, "a process description", total, &result, error);
    if (b == NULL)
        return result;
    struct process *p = capture_process_new(&c->described);
    if (p == NULL) /* too many: packets of these have no process */
        goto out;
    p->is.pid = get32(b + 8, c->swapped);
    p->swapped = c->swapped;
    p->block_size = total - BLOCK_MIN;
    p->block = malloc(p->block_size);
    if (p->block == NULL)
        return -ENOMEM;
    memcpy(p->block, b + 8, p->block_size);

    struct option_walk w = option_walk(p->block + 4, p->block_size - 4, c->swapped);
    struct option o;
    while ((more = option_next(&w, &o)) > 0) {
        if (o.code == OPTION_PROCESS_PATH) { /* says more than the name */
            free((void *)(uintptr_t)p->is.name);
            p->is.name = NULL;
        }
        if ((o.code == OPTION_PROCESS_PATH || o.code == OPTION_PROCESS_NAME) &&
            set_text(&p->is.name, &o) != 0)
            return -ENOMEM;
    }
    if (more < 0)
        return fail_options(c, error);
out:
    c->source.at += total;
    return 0;
}

/* ---- packets ------------------------------------------------------------------------------------------- */

static uint32_t process_at(const struct capture *c, uint32_t index)
{
    return index < c->described.count - c->first_process ? c->first_process + index : CAPTURE_NONE;
}

static int packet_options(struct capture *c, struct capture_packet *out, struct capture_error *error)
{
    struct option_walk w = option_walk(out->options, out->options_size, c->swapped);
    struct option o;
    int more;

    while ((more = option_next(&w, &o)) > 0)
        switch (o.code) {
        case OPTION_COMMENT:
            if (out->comment == NULL) {
                out->comment = (const char *)o.value;
                out->comment_size = o.size;
            }
            break;
        case OPTION_PACKET_FLAGS:
            if (o.size == 4) {
                uint32_t way = get32(o.value, c->swapped) & 3;
                out->way = way == 1 ? CAPTURE_WAY_IN : way == 2 ? CAPTURE_WAY_OUT : CAPTURE_WAY_UNKNOWN;
            }
            break;
        case OPTION_PACKET_PROCESS:
            if (o.size == 8 && out->process == CAPTURE_NONE)
                out->process = capture_process_of(c, get32(o.value, c->swapped));
            break;
        case OPTION_PACKET_DARWIN_FIRST:
            if (o.size == 4 && process_at(c, get32(o.value, c->swapped)) != CAPTURE_NONE)
                out->process = process_at(c, get32(o.value, c->swapped));
            break;
        }
    return more < 0 ? fail_options(c, error) : 0;
}

static int fail_interface(struct capture *c, struct capture_error *error, uint32_t index)
{
    size_t count = c->interface_count - c->first_interface;

    return capture_fail(c, error, "a packet of an interface described before it", "interface %u of %zu",
                        index, count);
}

/* Enhanced and old packet blocks. */
static int read_packet(struct capture *c, uint32_t type, uint32_t total, struct capture_packet *out,
                       struct capture_error *error)
{
    const bool swapped = c->swapped;
    int result;

    if (total < ENHANCED_MIN)
        return capture_fail(c, error, "a packet block of 32 bytes or more", "one of %u", total);
    const uint8_t *b = source_need(&c->source, ENHANCED_HEAD);
    if (b == NULL)
        return capture_fail_short(c, error, "a packet block", total);
    uint32_t index = type == BLOCK_ENHANCED ? get32(b + 8, swapped) : get16(b + 8, swapped);
    uint32_t drops = type == BLOCK_ENHANCED ? 0 : get16(b + 10, swapped);
    uint32_t captured = get32(b + 20, swapped);
    if (index >= c->interface_count - c->first_interface)
        return fail_interface(c, error, index);
    index += c->first_interface;
    const struct interface *i = c->interfaces[index];
    if (captured > i->packet_max)
        return capture_fail_length(c, error, i, captured);
    if (ENHANCED_MIN + padded(captured) > total)
        return capture_fail(c, error, "a packet within its block", "%u bytes in a block of %u", captured,
                            total);
    size_t options_size = total - ENHANCED_MIN - padded(captured);
    if (options_size > CAPTURE_BLOCK_MAX)
        return capture_fail(c, error, "options of at most 16 MiB", "%zu bytes", options_size);
    b = whole(c, "a packet block", total, &result, error);
    if (b == NULL)
        return result;
    *out = (struct capture_packet){
        .number = c->packets + 1,
        .interface = index,
        .ticks = (uint64_t)get32(b + 12, swapped) << 32 | get32(b + 16, swapped),
        .has_time = true,
        .bytes = b + ENHANCED_HEAD,
        .captured = captured,
        .length = get32(b + 24, swapped),
        .process = CAPTURE_NONE,
        .drops = drops == 0xffff ? 0 : drops,
    };
    out->time_ns = c->last_ns = capture_time_ns(i, out->ticks);
    if (options_size != 0) {
        out->options = b + ENHANCED_HEAD + padded(captured);
        out->options_size = (uint32_t)options_size;
        result = packet_options(c, out, error);
        if (result != 0)
            return result;
    }
    c->packets++;
    c->source.at += total;
    source_fetch_next(&c->source);
    return 1;
}

static int read_simple(struct capture *c, uint32_t total, struct capture_packet *out,
                       struct capture_error *error)
{
    int result;

    if (total < SIMPLE_MIN)
        return capture_fail(c, error, "a simple packet block of 16 bytes or more", "one of %u", total);
    if (c->interface_count == c->first_interface)
        return fail_interface(c, error, 0);
    const struct interface *i = c->interfaces[c->first_interface];
    if (total > SIMPLE_MIN + padded(i->packet_max))
        return capture_fail_length(c, error, i, total - SIMPLE_MIN);
    const uint8_t *b = whole(c, "a simple packet block", total, &result, error);
    if (b == NULL)
        return result;
    uint32_t length = get32(b + 8, c->swapped), captured = length;
    if (i->is.snap_length != 0 && captured > i->is.snap_length)
        captured = i->is.snap_length;
    if (captured > total - SIMPLE_MIN)
        return capture_fail(c, error, "a packet within its block", "%u bytes in a block of %u", captured,
                            total);
    *out = (struct capture_packet){
        .number = ++c->packets,
        .interface = c->first_interface,
        .time_ns = c->last_ns,
        .bytes = b + 12,
        .captured = captured,
        .length = length,
        .process = CAPTURE_NONE,
    };
    c->source.at += total;
    return 1;
}

/* ---- blocks -------------------------------------------------------------------------------------------- */

static int skip_block(struct capture *c, uint32_t total, struct capture_error *error)
{
    if (total > CAPTURE_BLOCK_MAX)
        return capture_fail(c, error, "a block of at most 16 MiB", "one of %u", total);
    uint64_t body = total - 4, skipped = source_skip(&c->source, body);
    const uint8_t *b = skipped == body ? source_need(&c->source, 4) : NULL;
    if (b == NULL) {
        if (c->source.failed != 0)
            return capture_fail(c, error, "", "%s", "");
        skipped += source_left(&c->source, 4);
        return capture_fail(c, error, "a whole block", "the end of the file %llu bytes before the block's",
                            (unsigned long long)(total - skipped));
    }
    if (get32(b, c->swapped) != total)
        return capture_fail(c, error, "the same length at both ends of a block", "%u and %u", total,
                            get32(b, c->swapped));
    c->source.at += 4;
    return 0;
}

static int ng_next(struct capture *c, struct capture_packet *out, struct capture_error *error)
{
    for (;;) {
        const uint8_t *b = source_need(&c->source, BLOCK_MIN);
        if (b == NULL) {
            if (c->source.failed == 0 && source_left(&c->source, 1) == 0)
                return 0;
            return capture_fail_short(c, error, "a block", BLOCK_MIN);
        }
        uint32_t type = get32(b, c->swapped), total = get32(b + 4, c->swapped);
        if (type != BLOCK_SECTION && (total < BLOCK_MIN || total % 4 != 0))
            return capture_fail(c, error, "a block length of 12 or more, a multiple of 4", "%u", total);
        int result;
        switch (type) {
        case BLOCK_ENHANCED:
        case BLOCK_PACKET:
            return read_packet(c, type, total, out, error);
        case BLOCK_SIMPLE:
            return read_simple(c, total, out, error);
        case BLOCK_SECTION:
            result = read_section(c, error);
            break;
        case BLOCK_INTERFACE:
            result =
                total > CAPTURE_BLOCK_MAX ? skip_block(c, total, error) : read_interface(c, total, error);
            break;
        case BLOCK_DARWIN_PROCESS:
            result = total > CAPTURE_BLOCK_MAX ? skip_block(c, total, error) : read_process(c, total, error);
            break;
        default:
            result = skip_block(c, total, error);
        }
        if (result != 0)
            return result;
    }
}

int capture_ng_open(struct capture *c, struct capture_error *error)
{
    c->next = ng_next;
    return read_section(c, error);
}

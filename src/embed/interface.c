/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's interfaces, and who is on the other end of each one's wire: a peer (a stack of its own), nobody, or a
 * descriptor.
 *
 * They are made with the engine or come later, and never go. Each has two MAC addresses that its index says: mac[0] is the
 * host's, mac[1] the other end's. The loopback interface is the host's alone; it has no wire and stands in no list.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "embed/machine.h"

#define DELAY_NS       (1 * WEIR_MILLISECOND)
#define MTU            1500u
#define MTU_MOST       65535u
#define LOOPBACK_INDEX 65535u
#define IF_ETHERNET    6u
#define IF_LOOPBACK    24u
#define PRIVATE        2u

struct embed_links {
    struct embed_interface *first, *last;
    struct embed_interface loopback;
};

int embed_links_create(struct embed *e)
{
    e->links = calloc(1, sizeof *e->links);
    return e->links != NULL ? 0 : -ENOMEM;
}

void embed_links_destroy(struct embed *e)
{
    struct embed_links *l = e->links;

    if (l == NULL)
        return;
    while (l->first != NULL) {
        struct embed_interface *i = l->first;

        l->first = i->next;
        if (i->peer != NULL)
            stack_destroy(i->peer);
        free(i);
    }
    free(l);
    e->links = NULL;
}

/* ---- which one ----------------------------------------------------------------------------------------- */

struct embed_interface *embed_interfaces(struct embed *e)
{
    return e->links->first;
}

struct embed_interface *embed_interface_by_index(struct embed *e, uint32_t index)
{
    for (struct embed_interface *i = e->links->first; i != NULL; i = i->next)
        if (i->index == index)
            return i;
    return NULL;
}

struct embed_interface *embed_interface_towards(struct embed *e, uint32_t index, const uint8_t *bytes,
                                                uint32_t size)
{
    struct embed_interface *i = index != 0 ? embed_interface_by_index(e, index) : NULL;
    struct wire_packet p;

    if (i != NULL)
        return i;
    wire_parse_ip(bytes, size, size, &p);
    for (i = e->links->first; i != NULL; i = i->next)
        for (unsigned n = 0; n < 4; n++)
            if (i->addresses[n].version != 0 &&
                embed_address_has(&i->addresses[n], p.version, &p.destination))
                return i;
    return e->links->first; /* as a default route would have it */
}
/* ---- interfaces ---------------------------------------------------------------------------------------- */

static enum stack_sent peer_send(void *ctx, const struct stack_packet *p)
{
    struct embed_interface *i = ctx;

    embed_wire_send(i->e, i, true, p->bytes, p->size);
    embed_wire_echo(i->e, i, p->bytes, p->size);
    return STACK_SENT;
}

static bool parse_addresses(const char *const text[4], struct embed_address out[4])
{
    for (unsigned n = 0; n < 4 && text[n] != NULL; n++) {
        out[n].version = wire_addr_parse(text[n], &out[n].is, &out[n].bits);
        if (out[n].version == 0 || wire_addr_is_multicast(out[n].version, &out[n].is) ||
            wire_addr_is_unspecified(out[n].version, &out[n].is)) {
            embed_error("\"%s\" is no address of an interface, such as \"10.0.0.1/24\"", text[n]);
            return false;
        }
    }
    return true;
}

static int make_peer(struct embed *e, struct embed_interface *i, const struct embed_address peers[4])
{
    struct stack_config config = {.seed = e->seed ^ (uint64_t)i->index << 32,
                                  .start_ns = embed_now(e),
                                  .send = peer_send,
                                  .told = embed_socket_told,
                                  .ctx = i};
    static const union wire_addr all;
    int err = stack_create(&config, &i->peer);

    if (err == 0)
        err = stack_interface_add(i->peer, 1, i->mtu);
    for (unsigned n = 0; err == 0 && n < 4 && peers[n].version != 0; n++)
        err = stack_address_add(i->peer, 1, peers[n].version, &peers[n].is, peers[n].bits);
    if (err == 0)
        err = stack_route_add(i->peer, 1, 4, &all, 0);
    if (err == 0)
        err = stack_route_add(i->peer, 1, 6, &all, 0);
    return err;
}

static int make_ours(struct embed *e, const struct embed_interface *i, const struct host_interface_desc *desc,
                     const struct embed_address addresses[4])
{
    int err = host_interface_add(e->host, desc);

    if (err == 0)
        err = stack_interface_add(embed_gate_stack(e), i->index, i->mtu);
    for (unsigned n = 0; err == 0 && n < 4 && addresses[n].version != 0; n++) {
        const struct embed_address *a = &addresses[n];

        err = host_address_add(e->host, i->index, a->version, &a->is, a->bits, false);
        if (err == 0)
            err = stack_address_add(embed_gate_stack(e), i->index, a->version, &a->is, a->bits);
    }
    return err;
}

static int make_loopback(struct embed *e)
{
    struct embed_interface *i = &e->links->loopback;
    const struct host_interface_desc desc = {.name = "loopback",
                                             .luid = (uint64_t)IF_LOOPBACK << 48 | 1u << 24,
                                             .index = LOOPBACK_INDEX,
                                             .type = IF_LOOPBACK,
                                             .profile = PRIVATE,
                                             .mtu = MTU_MOST};
    struct embed_address own[4] = {{0}};

    (void)parse_addresses((const char *const[4]){"127.0.0.1/8", "::1/128"}, own);
    *i = (struct embed_interface){.e = e, .index = LOOPBACK_INDEX, .mtu = MTU_MOST, .fd = -1};
    return make_ours(e, i, &desc, own);
}

static bool is_sound(struct embed *e, const struct weir_interface *c)
{
    if (c->index == 0 || c->index == LOOPBACK_INDEX)
        embed_error("interface %u: an index is a number of its own, 1 to 65,534 and above 65,535", c->index);
    else if (c->mtu != 0 && (c->mtu < 1280 || c->mtu > MTU_MOST))
        embed_error("interface %u: an mtu of %u, where 1,280 to 65,535 is wanted", c->index, c->mtu);
    else if (c->profile > 3)
        embed_error("interface %u: a profile of %u, where 1 public, 2 private or 3 domain is wanted",
                    c->index, c->profile);
    else if (c->addresses[0] == NULL)
        embed_error("interface %u has no address", c->index);
    else if (embed_interface_by_index(e, c->index) != NULL)
        embed_error("interface %u is there already", c->index);
    else
        return true;
    return false;
}

int embed_interface_add(struct embed *e, const struct weir_interface *c)
{
    struct embed_links *l = e->links;
    struct embed_address ours[4] = {{0}}, peers[4] = {{0}};
    struct host_interface_desc desc = {.profile = c->profile != 0 ? c->profile : PRIVATE,
                                       .type = c->type != 0 ? c->type : IF_ETHERNET,
                                       .index = c->index,
                                       .mtu = c->mtu != 0 ? c->mtu : MTU,
                                       .forwarding = e->config.forwarding};
    struct embed_interface *i;
    char name[32];
    int err = 0;

    if (!is_sound(e, c))
        return embed_interface_by_index(e, c->index) != NULL ? -EEXIST : -EINVAL;
    if (!parse_addresses(c->addresses, ours) || !parse_addresses(c->peers, peers))
        return -EINVAL;
    if (l->loopback.index == 0 && (err = make_loopback(e)) != 0)
        return err;
    i = calloc(1, sizeof *i);
    if (i == NULL)
        return -ENOMEM;
    i->e = e;
    i->index = c->index;
    i->mtu = desc.mtu;
    i->delay_ns = c->delay_ns != 0 ? c->delay_ns : DELAY_NS;
    i->fd = -1;
    i->checksum_offload = c->checksum_offload;
    memcpy(i->addresses, ours, sizeof ours);
    for (unsigned side = 0; side < 2; side++)
        memcpy(i->mac[side],
               (const uint8_t[]){2, (uint8_t)(c->index >> 24), (uint8_t)(c->index >> 16),
                                 (uint8_t)(c->index >> 8), (uint8_t)c->index, (uint8_t)(side + 1)},
               6);
    snprintf(name, sizeof name, "interface %u", i->index);
    desc.name = name;
    desc.luid = (uint64_t)desc.type << 48 | (uint64_t)i->index << 24;
    memcpy(desc.mac, i->mac[0], 6);
    err = peers[0].version != 0 ? make_peer(e, i, peers) : 0;
    if (err == 0)
        err = make_ours(e, i, &desc, ours);
    if (err == 0)
        err = embed_capture_know(e, i);
    if (err != 0) {
        if (i->peer != NULL)
            stack_destroy(i->peer);
        free(i);
        return err;
    }
    *(l->last != NULL ? &l->last->next : &l->first) = i;
    l->last = i;
    return 0;
}

/* ---- weir.h -------------------------------------------------------------------------------------------- */

int weir_attach(struct weir *weir, uint32_t interface, int fd)
{
    struct embed_interface *i;
    struct embed *e;

    if (EMBED_ENTER(EMBED_ENGINE, weir, &e) == NULL)
        return -EINVAL;
    i = embed_interface_by_index(e, interface);
    if (i == NULL || fd < 0 || e->sim != NULL) {
        if (e->sim != NULL)
            embed_failed(e, __func__,
                         "time is simulated: what is outside does not live in it (config.real_time)");
        else
            embed_failed(e, __func__, i == NULL ? "there is no interface %u" : "interface %u: no descriptor",
                         interface);
        return -EINVAL;
    }
    if (i->program != NULL)
        embed_process_end(i->program);
    if (i->peer != NULL)
        stack_destroy(i->peer);
    i->peer = NULL;
    i->delay_ns = 0; /* it has its own */
    i->fd = fd;
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules of a test for packets on its wires: which packets they fit, and what becomes of those (wire.c does it).
 *
 * Rules are asked in the order in which they were made; one that passes over a packet (skip, count, chance, another
 * packet) leaves it to the next. Chances are drawn from the world's seed.
 */
#include <errno.h>
#include <stdlib.h>

#include "embed/machine.h"

#define REORDER_NS (10 * WEIR_MILLISECOND)

struct rule {
    struct rule *next;
    void *handle;
    struct weir_rule_config is;
    struct embed_end from, to;
    uint64_t seen, hits; /* fitted; acted upon */
};

struct embed_rules {
    struct embed *e;
    struct rule *first;
};

int embed_rules_create(struct embed *e, struct embed_rules **out)
{
    *out = calloc(1, sizeof **out);
    if (*out == NULL)
        return -ENOMEM;
    (*out)->e = e;
    return 0;
}

void embed_rules_destroy(struct embed_rules *r)
{
    while (r != NULL && r->first != NULL) {
        struct rule *one = r->first;

        r->first = one->next;
        free(one);
    }
    free(r);
}

/* ---- asking -------------------------------------------------------------------------------------------- */

static bool end_fits(const char *text, const struct embed_end *want, uint8_t version,
                     const union wire_addr *a, uint16_t port)
{
    if (text == NULL)
        return true;
    if (want->version != 0 && (want->version != version || !wire_addr_equal(&want->address, a)))
        return false;
    return !want->has_port || want->port == port;
}

static bool fits(struct embed *e, struct rule *r, const struct embed_interface *i, bool to_host,
                 const struct wire_packet *p)
{
    const struct weir_rule_config *c = &r->is;
    const void *out;
    bool is;

    if ((c->interface != 0 && c->interface != i->index) ||
        (c->way != WEIR_BOTH_WAYS && (c->way == WEIR_TO_HOST) != to_host))
        return false;
    if (p == NULL) /* no IP: what looks at packets does not fit */
        return c->protocol == 0 && c->tcp_mask == 0 && c->from == NULL && c->to == NULL && c->only == NULL;
    if ((c->protocol != 0 && c->protocol != p->protocol) ||
        (c->tcp_mask != 0 &&
         (p->protocol != WIRE_PROTOCOL_TCP || (p->tcp_flags & c->tcp_mask) != c->tcp_flags)))
        return false;
    if (!end_fits(c->from, &r->from, p->version, &p->source, p->source_port) ||
        !end_fits(c->to, &r->to, p->version, &p->destination, p->destination_port))
        return false;
    if (c->only == NULL)
        return true;
    out = embed_calls_out();
    is = c->only(c->ctx, p->frame, p->captured);
    embed_is_back(out);
    embed_again(e);
    return is;
}

static bool acts(struct rule *r)
{
    const struct weir_rule_config *c = &r->is;

    r->seen++;
    if (r->seen <= c->skip || (c->count != 0 && r->hits >= c->count))
        return false;
    if (c->one_in > 1 && rt_random() % c->one_in != 0)
        return false;
    r->hits++;
    return true;
}

struct embed_ruling embed_rules_ask(struct embed_rules *rules, const struct embed_interface *i, bool to_host,
                                    const uint8_t *bytes, uint32_t size)
{
    static const char *const verdicts[] = {
        [WEIR_DROP] = "dropped",      [WEIR_DELAY] = "delayed",     [WEIR_DUPLICATE] = "duplicated",
        [WEIR_REORDER] = "held back", [WEIR_CORRUPT] = "corrupted", [WEIR_CUT] = "cut",
    };
    struct wire_packet p;

    if (rules->first == NULL)
        return (struct embed_ruling){0};
    if (bytes != NULL)
        wire_parse_ip(bytes, size, size, &p);
    for (struct rule *r = rules->first; r != NULL; r = r->next)
        if (fits(rules->e, r, i, to_host, bytes != NULL ? &p : NULL) && acts(r))
            return (struct embed_ruling){.decided = true,
                                         .action = r->is.action,
                                         .delay_ns = r->is.delay_ns != 0            ? r->is.delay_ns
                                                     : r->is.action == WEIR_REORDER ? REORDER_NS
                                                                                    : 0,
                                         .verdict = verdicts[r->is.action]};
    return (struct embed_ruling){0};
}

/* ---- weir.h -------------------------------------------------------------------------------------------- */

/* What is wrong with it; NULL: nothing. */
static const char *fault_of(struct embed *e, const struct weir_rule_config *c, struct rule *r)
{
    if (c == NULL)
        return "the rule is NULL";
    if ((unsigned)c->action > WEIR_CUT)
        return "there is no such action";
    if ((unsigned)c->way > WEIR_FROM_HOST)
        return "there is no such way";
    if (c->interface != 0 && embed_interface_by_index(e, c->interface) == NULL)
        return "there is no such interface";
    if (c->protocol > 255)
        return "a protocol is a number below 256";
    if ((c->tcp_flags & ~c->tcp_mask) != 0)
        return "tcp_flags has flags that are not in tcp_mask: no packet could fit";
    if (c->action == WEIR_DELAY && c->delay_ns == 0)
        return "WEIR_DELAY wants a delay_ns";
    if (c->from != NULL && !embed_end_parse(c->from, &r->from))
        return "`from` is no address";
    if (c->to != NULL && !embed_end_parse(c->to, &r->to))
        return "`to` is no address";
    return NULL;
}

struct weir_rule *weir_rule(struct weir *w, const struct weir_rule_config *config)
{
    struct rule *r, **at;
    const char *fault;
    struct embed *e;

    if (EMBED_ENTER(EMBED_ENGINE, w, &e) == NULL)
        return NULL;
    r = calloc(1, sizeof *r);
    if (r == NULL) {
        embed_error("weir_rule: out of memory");
        return NULL;
    }
    fault = fault_of(e, config, r);
    if (fault != NULL) {
        free(r);
        embed_failed(e, __func__, "%s", fault);
        return NULL;
    }
    r->is = *config;
    r->handle = embed_handle_new(e, EMBED_RULE, r);
    if (r->handle == NULL) {
        free(r);
        embed_error("weir_rule: out of memory");
        return NULL;
    }
    for (at = &embed_wires_rules(e)->first; *at != NULL; at = &(*at)->next)
        ;
    *at = r;
    return r->handle;
}

uint64_t weir_rule_hits(struct weir_rule *rule)
{
    struct embed *e;
    const struct rule *r = EMBED_ENTER(EMBED_RULE, rule, &e);

    return r != NULL ? r->hits : 0;
}

void weir_rule_end(struct weir_rule *rule)
{
    struct embed *e;
    struct rule *r = EMBED_ENTER(EMBED_RULE, rule, &e);

    if (r == NULL)
        return;
    for (struct rule **at = &embed_wires_rules(e)->first; *at != NULL; at = &(*at)->next)
        if (*at == r) {
            *at = r->next;
            break;
        }
    embed_handle_end(e, rule);
    free(r);
}

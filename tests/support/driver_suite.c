/* SPDX-License-Identifier: Apache-2.0 */
/* The reference drivers' suites: the machine, who reads along, conversations (driver_suite.h). */
#include "driver_suite.h"

#include <fwpmu.h>

#define TCP    6
#define UDP    17
#define ICMP   1
#define ICMPV6 58

static const char *image; /* the program's argument */

int suite_main(int argc, char **argv, const char *group, const struct CMUnitTest *tests, size_t count)
{
    if (argc < 2) {
        fprintf(stderr, "%s: the driver's image is wanted\n", argv[0]);
        return 2;
    }
    image = argv[1];
    if (argc > 2)
        cmocka_set_test_filter(argv[2]);
    return _cmocka_run_group_tests(group, tests, count, NULL, NULL);
}

/* ---- reading along ------------------------------------------------------------------------------------- */

static uint32_t sum_up(uint32_t sum, const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i + 1 < size; i += 2)
        sum += (uint32_t)(bytes[i] << 8 | bytes[i + 1]);
    return size & 1 ? sum + (uint32_t)(bytes[size - 1] << 8) : sum;
}

static bool is_whole(uint32_t sum) /* with its checksum in it: RFC 1071 */
{
    while (sum >> 16 != 0)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum == 0xffff;
}

struct seen {
    uint8_t protocol, traffic_class;
    bool six, fragment;
    const uint8_t *addresses, *body; /* both addresses; what is behind the IP headers */
    size_t address_size, size;
};

static bool read_packet(const uint8_t *p, size_t size, struct seen *out)
{
    const bool six = size != 0 && p[0] >> 4 == 6;
    size_t head = six ? 40 : (size_t)(p[0] & 15) * 4;

    if (size < (six ? 40u : 20u) || size < head)
        return false;
    *out = (struct seen){.six = six, .addresses = p + (six ? 8 : 12), .address_size = six ? 32 : 8};
    out->traffic_class = six ? (uint8_t)(p[0] << 4 | p[1] >> 4) : p[1];
    out->protocol = six ? p[6] : p[9];
    out->fragment = !six && ((p[6] & 0x3f) != 0 || p[7] != 0);
    while (six && (out->protocol == 44 || out->protocol == 0 || out->protocol == 60) && size >= head + 8) {
        out->fragment |= out->protocol == 44;
        out->protocol = p[head];
        head += p[6] == 44 && head == 40 ? 8u : 8u + p[head + 1] * 8u;
    }
    out->body = p + head;
    out->size = size - head;
    return six || is_whole(sum_up(0, p, head));
}

static bool is_sum_right(const struct seen *p)
{
    uint32_t sum = p->protocol + (uint32_t)p->size;

    if (p->fragment ||
        (p->protocol != TCP && p->protocol != UDP && p->protocol != ICMP && p->protocol != ICMPV6))
        return true;
    if (p->protocol == UDP && p->size >= 8 && !p->six && p->body[6] == 0 && p->body[7] == 0)
        return true; /* there is none */
    if (p->protocol == ICMP)
        return is_whole(sum_up(0, p->body, p->size));
    sum = sum_up(sum, p->addresses, p->address_size);
    return is_whole(sum_up(sum, p->body, p->size));
}

static void keep_datagram(struct suite *s, const struct seen *p, bool from_host)
{
    struct suite_datagram *d = &s->datagrams[s->datagram_count % SUITE_KEPT];

    if (s->datagram_count++ >= SUITE_KEPT || p->size < 8)
        return;
    *d = (struct suite_datagram){.from_host = from_host,
                                 .fragment = p->fragment,
                                 .version = p->six ? 6 : 4,
                                 .traffic_class = p->traffic_class,
                                 .size = (uint16_t)(p->size - 8)};
    memcpy(d->payload, p->body + 8, d->size < sizeof d->payload ? d->size : sizeof d->payload);
}

static void tap(void *ctx, uint32_t interface, enum weir_way way, const uint8_t *packet, size_t size)
{
    struct suite *s = ctx;
    const bool from_host = way == WEIR_FROM_HOST;
    struct suite_traffic *t;
    struct seen p;

    (void)interface;
    if (!read_packet(packet, size, &p) || (from_host && !is_sum_right(&p))) {
        s->wrong_sums++;
        return;
    }
    t = &s->traffic[from_host][p.protocol];
    t->packets++;
    t->bytes += size;
    t->payload += p.size;
    s->classes[p.traffic_class] += from_host;
    if (p.protocol == UDP)
        keep_datagram(s, &p, from_host);
}

uint64_t suite_packets(const struct suite *s)
{
    uint64_t packets = 0;

    for (unsigned protocol = 0; protocol < 256; protocol++)
        packets += s->traffic[0][protocol].packets + s->traffic[1][protocol].packets;
    return packets;
}

/* ---- the machine --------------------------------------------------------------------------------------- */

void suite_open_bare(struct suite *s, const struct weir_config *config)
{
    memset(s, 0, sizeof *s);
    embed_lab_open(&s->l, config);
    s->w = s->l.w;
    s->program = s->l.program;
    s->peer = s->l.peer;
    weir_tap(s->w, tap, s);
}

struct weir_driver *suite_load_as(struct suite *s, const char *name, const struct weir_parameter *parameters,
                                  size_t count)
{
    return weir_driver_with(
        s->w, &(struct weir_driver_config){
                  .image = image, .name = name, .parameters = parameters, .parameter_count = count});
}

struct weir_driver *suite_load(struct suite *s, const struct weir_parameter *parameters, size_t count)
{
    s->driver = suite_load_as(s, NULL, parameters, count);
    return s->driver;
}

void suite_open(struct suite *s, const struct weir_config *config, const struct weir_parameter *parameters,
                size_t count)
{
    suite_open_bare(s, config);
    if (suite_load(s, parameters, count) == NULL)
        fail_msg("%s: %s", image, weir_error());
}

void suite_close(struct suite *s)
{
    if (s->driver != NULL)
        assert_int_equal(weir_driver_unload(s->driver), 0);
    assert_true(weir_expect_clean(s->w));
    assert_int_equal(s->wrong_sums, 0);
    embed_lab_close(&s->l);
}

/* ---- conversations ------------------------------------------------------------------------------------- */

struct weir_socket *suite_listens(struct weir_process *p, const char *address)
{
    struct weir_socket *s = weir_socket(p, WEIR_TCP);

    assert_int_equal(weir_bind(s, address), 0);
    assert_int_equal(weir_listen(s), 0);
    return s;
}

struct weir_socket *suite_bound(struct weir_process *p, const char *address)
{
    struct weir_socket *s = weir_socket(p, WEIR_UDP);

    assert_int_equal(weir_bind(s, address), 0);
    return s;
}

struct weir_socket *suite_accepted(struct suite *s, struct weir_socket *client, struct weir_socket *listener,
                                   uint64_t patience)
{
    struct weir_socket *accepted = NULL;

    assert_true(weir_wait(client, WEIR_CONNECTED, patience));
    for (unsigned i = 0; i < 1000 && accepted == NULL; i++) {
        accepted = weir_accept(listener);
        if (accepted == NULL)
            weir_run(s->w, 10 * WEIR_MILLISECOND);
    }
    assert_non_null(accepted);
    return accepted;
}

static uint8_t byte_at(size_t i)
{
    return (uint8_t)(i * 7 + i / 251);
}

void suite_transfer(struct weir_socket *from, struct weir_socket *to, size_t size)
{
    size_t sent = 0, got = 0;
    uint8_t part[4096];

    for (unsigned turns = 0; got < size; turns++) {
        size_t wanted = size - sent < sizeof part ? size - sent : sizeof part;
        long n;

        assert_true(turns < 100000);
        for (size_t i = 0; i < wanted; i++)
            part[i] = byte_at(sent + i);
        n = wanted != 0 ? weir_send(from, part, wanted) : -EAGAIN;
        assert_true(n > 0 || n == -EAGAIN);
        sent += n > 0 ? (size_t)n : 0;
        if (n > 0)
            continue;
        assert_true(weir_wait_readable(to, 100 * WEIR_SECOND));
        n = weir_receive(to, part, sizeof part, NULL);
        assert_true(n > 0);
        for (long i = 0; i < n; i++)
            assert_int_equal(part[i], byte_at(got + (size_t)i));
        got += (size_t)n;
    }
}

uint64_t suite_random(uint64_t *state) /* xorshift */
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

void suite_half_step(struct suite_half *h, uint64_t *random)
{
    if (h->at < h->size && suite_random(random) % 3 != 0) {
        size_t most = suite_random(random) % 8 == 0 ? 20000 : suite_random(random) % 2 == 0 ? 9 : 1500;
        size_t n = 1 + suite_random(random) % most;
        long taken = weir_send(h->from, h->sent + h->at, n < h->size - h->at ? n : h->size - h->at);

        assert_true(taken > 0 || taken == -EAGAIN);
        h->at += taken > 0 ? (size_t)taken : 0;
    } else if (h->at == h->size && !h->shut) {
        assert_int_equal(weir_shutdown(h->from), 0);
        h->shut = true;
    }
    if (!h->ended && suite_random(random) % 3 != 0) {
        long n;

        assert_true(h->room - h->got_size >= 4096);
        n = weir_receive(h->to, h->got + h->got_size, 1 + suite_random(random) % 4096, NULL);
        assert_true(n >= 0 || n == -EAGAIN);
        h->ended = n == 0;
        h->got_size += n > 0 ? (size_t)n : 0;
    }
}

void suite_receives(struct weir_socket *s, const void *bytes, size_t size, uint64_t patience)
{
    assert_true(weir_wait_readable(s, patience));
    assert_true(weir_expect_received(s, bytes, size));
}

/* ---- policy -------------------------------------------------------------------------------------------- */

void suite_block(struct suite *s, const GUID *layer, uint16_t remote_port)
{
    FWPM_FILTER_CONDITION0 condition = {.fieldKey = FWPM_CONDITION_IP_REMOTE_PORT,
                                        .matchType = FWP_MATCH_EQUAL,
                                        .conditionValue = {.type = FWP_UINT16, .uint16 = remote_port}};
    FWPM_FILTER0 filter = {.displayData.name = (WCHAR *)u"block",
                           .layerKey = *layer,
                           .subLayerKey = FWPM_SUBLAYER_UNIVERSAL,
                           .flags = FWPM_FILTER_FLAG_CLEAR_ACTION_RIGHT,
                           .action = {.type = FWP_ACTION_BLOCK},
                           .numFilterConditions = remote_port != 0,
                           .filterCondition = remote_port != 0 ? &condition : NULL};
    HANDLE engine;

    (void)weir_use(s->w);
    assert_int_equal(FwpmEngineOpen0(NULL, RPC_C_AUTHN_WINNT, NULL, NULL, &engine), ERROR_SUCCESS);
    assert_int_equal(FwpmFilterAdd0(engine, &filter, NULL, NULL), ERROR_SUCCESS);
    assert_int_equal(FwpmEngineClose0(engine), ERROR_SUCCESS);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir.h: virtual switches: which ports get a frame, what drivers at their layers see, block, absorb and let in again
 * (OTH-08, 12), and what subscribers are told of ports that come, are connected and go (OTH-10).
 */
#include <errno.h>

#include "embed_lab.h"
#include "switcher.h"

#define PENDING 0x103                 /* STATUS_PENDING */
#define DENIED  ((int32_t)0xc0000022) /* STATUS_ACCESS_DENIED */
/* FWPS_VSWITCH_EVENT_TYPE */
enum {
    SWITCH_CREATE = 1,
    SWITCH_DELETE,
    PORT_CREATE,
    PORT_DELETE,
    NIC_CREATE,
    NIC_DELETE,
    NIC_CONNECT,
    NIC_DISCONNECT
};

static const struct weir_port three[] = {
    {.id = 1, .nic = WEIR_NIC_SYNTHETIC, .nic_index = 5, .vm = "vm a", .mac = {2, 0, 0, 0, 1, 1}},
    {.id = 2, .nic = WEIR_NIC_SYNTHETIC, .nic_index = 6, .vm = "vm b", .mac = {2, 0, 0, 0, 1, 2}},
    {.id = 3, .nic = WEIR_NIC_EXTERNAL, .name = "outside"},
};
static const uint8_t all[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, stranger[6] = {2, 0, 0, 0, 9, 9};

struct lab {
    struct embed_lab l;
    struct weir_driver *driver;
    struct weir_vswitch *v;
    uint8_t frame[64];
};

static struct weir_vswitch *make(struct lab *l, const char *name)
{
    return weir_vswitch(l->l.w, &(struct weir_vswitch_config){.name = name, .ports = three, .port_count = 3});
}

#define LOAD(lab, ...)                                                                                       \
    do {                                                                                                     \
        const struct switcher_plan plans[] = {__VA_ARGS__};                                                  \
        (lab)->driver = switcher_load((lab)->l.w, plans, sizeof plans / sizeof plans[0]);                    \
        assert_non_null((lab)->driver);                                                                      \
    } while (0)

static void lab_open_in(struct lab *l, bool real_time)
{
    memset(l, 0, sizeof *l);
    embed_lab_open(&l->l, &(struct weir_config){.real_time = real_time});
    l->v = make(l, "lan");
    assert_non_null(l->v);
}

static void lab_open(struct lab *l)
{
    lab_open_in(l, false);
}

static void lab_close(struct lab *l)
{
    if (l->driver != NULL)
        assert_int_equal(weir_driver_unload(l->driver), 0);
    assert_true(weir_expect_clean(l->l.w));
    embed_lab_close(&l->l);
}

/* An IPv4 datagram that says `text`, or a frame of another type. */
static int send(struct lab *l, uint32_t port, const uint8_t *to, const uint8_t *from, bool ip,
                const char *text)
{
    static const uint8_t header[] = {0x45, 0, 0, 50, 0, 1, 0, 0, 64, 253, 0, 0, 10, 5, 0, 1, 10, 5, 0, 2};

    memset(l->frame, 0, sizeof l->frame);
    memcpy(l->frame, to, 6);
    memcpy(l->frame + 6, from, 6);
    l->frame[12] = ip ? 0x08 : 0x88;
    l->frame[13] = ip ? 0x00 : 0xb5;
    if (ip)
        memcpy(l->frame + 14, header, sizeof header);
    memcpy(l->frame + 34, text, strlen(text));
    return weir_port_send(l->v, port, l->frame, sizeof l->frame);
}

/* The ports that got it, as bits; each as it was sent. */
static unsigned got(struct lab *l)
{
    unsigned ports = 0;
    uint8_t bytes[128];

    for (uint32_t id = 1; id <= 8; id++) {
        if (weir_port_state(l->v, id) == WEIR_PORT_NONE)
            continue;
        if (weir_port_receive(l->v, id, bytes, sizeof bytes) == -EAGAIN)
            continue;
        assert_memory_equal(bytes, l->frame, sizeof l->frame);
        assert_int_equal(weir_port_receive(l->v, id, bytes, sizeof bytes), -EAGAIN);
        ports |= 1u << id;
    }
    return ports;
}

static bool is_text(const uint16_t *wide, const char *text)
{
    size_t n;

    for (n = 0; text[n] != '\0'; n++)
        if (wide[n] != (uint16_t)text[n])
            return false;
    return wide[n] == 0;
}

/* ---- who gets it --------------------------------------------------------------------------------------- */

static void frames_go_where_they_belong(void **state)
{
    struct lab l;

    (void)state;
    lab_open(&l);
    assert_int_equal(send(&l, 1, three[1].mac, three[0].mac, true, "to the other"), 1);
    assert_int_equal(got(&l), 1u << 2);
    assert_int_equal(send(&l, 1, all, three[0].mac, false, "to all"), 2);
    assert_int_equal(got(&l), 1u << 2 | 1u << 3);
    assert_int_equal(send(&l, 1, stranger, three[0].mac, true, "nobody knows"), 2);
    assert_int_equal(got(&l), 1u << 2 | 1u << 3);
    assert_int_equal(send(&l, 3, three[0].mac, stranger, true, "it is outside"), 1);
    assert_int_equal(got(&l), 1u << 1);
    assert_int_equal(send(&l, 1, stranger, three[0].mac, true, "known by now"), 1);
    assert_int_equal(got(&l), 1u << 3);
    assert_int_equal(send(&l, 1, stranger, three[0].mac, true, "again"), 1);
    assert_int_equal(send(&l, 3, three[0].mac, three[1].mac, true, "who moved"), 1);
    (void)weir_port_receive(l.v, 3, NULL, 0);
    assert_int_equal(got(&l), 1u << 1);
    assert_int_equal(send(&l, 1, three[1].mac, three[0].mac, true, "after it"), 1);
    assert_int_equal(got(&l), 1u << 3);
    assert_int_equal(send(&l, 0, three[0].mac, stranger, true, "the switch's own"), 1);
    assert_int_equal(got(&l), 1u << 1);
    assert_int_equal(weir_port_disconnect(l.v, 2), 0);
    assert_int_equal(send(&l, 2, all, three[1].mac, true, "not connected"), -ENOTCONN);
    assert_int_equal(send(&l, 1, all, three[0].mac, true, "to who is left"), 1);
    assert_int_equal(got(&l), 1u << 3);
    assert_true(weir_expect(
        l.l.w, &(struct weir_match){.kind = WEIR_EVENT_PACKET, .contains = "to port 3 of 'lan'"}, 6));
    lab_close(&l);
}

static void what_is_not_fetched_waits(void **state)
{
    uint8_t bytes[64];
    struct lab l;

    (void)state;
    lab_open(&l);
    for (unsigned n = 0; n < 1030; n++) {
        char text[16];

        snprintf(text, sizeof text, "%u", n);
        assert_int_equal(send(&l, 1, three[1].mac, three[0].mac, false, text), 1);
    }
    for (unsigned n = 0; n < 1024; n++) {
        assert_int_equal(weir_port_receive(l.v, 2, bytes, sizeof bytes), sizeof bytes);
        assert_int_equal(atoi((const char *)bytes + 34), n);
    }
    assert_int_equal(weir_port_receive(l.v, 2, bytes, sizeof bytes), -EAGAIN);
    assert_int_equal(send(&l, 1, three[1].mac, three[0].mac, false, "cut"), 1);
    assert_int_equal(weir_port_receive(l.v, 2, bytes, 6), 64); /* all of it, of which six */
    assert_memory_equal(bytes, three[1].mac, 6);
    lab_close(&l);
}

/* ---- drivers at its layers ----------------------------------------------------------------------------- */

static void layers_see_who_it_is_from_and_for(void **state)
{
    struct switcher_plan *in = &switcher_plans[0], *out = &switcher_plans[1], *in4 = &switcher_plans[2],
                         *out4 = &switcher_plans[3];
    struct lab l;

    (void)state;
    lab_open(&l);
    LOAD(&l, {.at = "IN"}, {.at = "OUT"}, {.at = "IN4"}, {.at = "OUT4"});
    assert_int_equal(send(&l, 1, three[1].mac, three[0].mac, true, "to the other"), 1);
    assert_int_equal(got(&l), 1u << 2);
    assert_int_equal(in->seen + in4->seen + out->seen + out4->seen, 4);
    assert_int_equal(in->source, 1);
    assert_int_equal(in->nic_index, 5);
    assert_int_equal(out->destination, 2);
    assert_int_equal(out4->destination, 2);
    assert_true(is_text(in->vm, "vm a"));
    assert_true(is_text(out4->vm, "vm a"));
    assert_int_equal(send(&l, 3, all, stranger, false, "to all"), 2);
    assert_int_equal(got(&l), 1u << 1 | 1u << 2);
    assert_int_equal(in4->seen, 1); /* not IP */
    assert_int_equal(out->seen, 3);
    assert_int_equal(out->again, 1); /* the second copy */
    assert_true(is_text(in->vm, ""));
    assert_true(
        weir_expect(l.l.w, &(struct weir_match){.layer = "EGRESS_VSWITCH_ETHERNET", .verdict = "permit"}, 3));
    assert_true(weir_expect(l.l.w,
                            &(struct weir_match){.layer = "INGRESS_VSWITCH_TRANSPORT_V4",
                                                 .remote = "10.5.0.1",
                                                 .contains = "10.5.0.1:0 -> 10.5.0.2:0"},
                            1));
    assert_true(weir_expect(l.l.w,
                            &(struct weir_match){.layer = "EGRESS_VSWITCH_TRANSPORT_V4",
                                                 .local = "10.5.0.1",
                                                 .contains = "10.5.0.1:0 -> 10.5.0.2:0"},
                            1));
    lab_close(&l);
}

static void frames_are_dropped(void **state)
{
    static const struct {
        const char *at, *layer;
        bool ingress;
    } places[] = {{"IN", "INGRESS_VSWITCH_ETHERNET", true},
                  {"IN4", "INGRESS_VSWITCH_TRANSPORT_V4", true},
                  {"OUT", "EGRESS_VSWITCH_ETHERNET", false},
                  {"OUT4", "EGRESS_VSWITCH_TRANSPORT_V4", false}};

    (void)state;
    for (unsigned run = 0; run < 8; run++) {
        const bool ingress = places[run / 2].ingress, loses = run & 1;
        struct lab l;

        lab_open(&l);
        LOAD(&l, {.at = places[run / 2].at,
                  .act = loses ? SWITCHER_LOSES : SWITCHER_BLOCKS,
                  .to = ingress ? 0 : 2});
        assert_int_equal(send(&l, 1, all, three[0].mac, true, "to all"), ingress ? -EACCES : 1);
        assert_int_equal(got(&l), ingress ? 0 : 1u << 3);
        /* at the transport layers of a switch there is no absorbing: it is a block (CLS-13) */
        assert_true(
            weir_expect(l.l.w,
                        &(struct weir_match){.layer = places[run / 2].layer,
                                             .verdict = loses && run / 2 % 2 == 0 ? "absorbed" : "block"},
                        1));
        assert_true(weir_expect(l.l.w,
                                &(struct weir_match){.kind = WEIR_EVENT_DROPPED,
                                                     .layer = places[run / 2].layer,
                                                     .contains = "from port 1 of 'lan'"},
                                ingress ? 1 : 0));
        lab_close(&l);
    }
}

/* Absorbed, and let in again at the top: it is the driver's own then, everywhere. */
static void frames_go_in_again(void **state)
{
    (void)state;
    for (unsigned run = 0; run < 8; run++) {
        const bool copies = run & 1, later = run & 2, out = run & 4;
        struct switcher_plan *plan = &switcher_plans[0];
        struct lab l;

        lab_open(&l);
        LOAD(&l,
             {.at = out ? "OUT" : "IN",
              .act = copies ? SWITCHER_COPIES : SWITCHER_CLONES,
              .later = later,
              .find = "to all",
              .write = "for us"},
             {.at = "IN4"}, {.at = out ? "IN" : "OUT"});
        assert_int_equal(send(&l, 1, all, three[0].mac, true, "to all"), out ? 0 : -EACCES);
        weir_settle(l.l.w);
        if (copies)
            memcpy(l.frame + 34, "for us", 6);
        assert_int_equal(got(&l), 1u << 2 | 1u << 3);
        assert_int_equal(plan->seen, out ? 2 : 1);
        assert_int_equal(plan->own, out ? 2 : 1);
        assert_int_equal(switcher_plans[1].own, 1);
        assert_int_equal(plan->completed, 1);
        assert_int_equal(plan->status, 0);
        lab_close(&l);
    }
}

/* The frame is with the driver when its switch ends: it goes nowhere. */
static void a_switch_ends_under_a_frame(void **state)
{
    struct lab l;

    (void)state;
    lab_open(&l);
    LOAD(&l, {.at = "IN", .act = SWITCHER_COPIES, .later = true});
    assert_int_equal(send(&l, 1, all, three[0].mac, true, "to all"), -EACCES);
    weir_vswitch_end(l.v);
    weir_settle(l.l.w);
    assert_int_equal(switcher_answers.told[SWITCH_DELETE], 1);
    assert_int_equal(switcher_plans[0].completed,
                     switcher_plans[0].status == 0); /* or refused: no such switch */
    embed_lab_expects(&l.l);
    assert_int_equal(send(&l, 1, all, three[0].mac, true, "to nobody"), -EINVAL);
    embed_lab_told(&l.l, "this virtual switch was ended before, by weir_vswitch_end");
    l.v = make(&l, "lan"); /* its name is free */
    assert_non_null(l.v);
    assert_int_equal(weir_port_state(l.v, 1), WEIR_PORT_CONNECTED);
    lab_close(&l);
}

/* ---- events -------------------------------------------------------------------------------------------- */

static void subscribers_are_told(void **state)
{
    struct switcher_answers *a = &switcher_answers;
    struct lab l;

    (void)state;
    lab_open(&l);
    LOAD(&l, {.at = "IN"});
    l.v = make(&l, "another");
    assert_int_equal(a->told[SWITCH_CREATE], 1); /* of this one, not of what there was */
    assert_int_equal(a->ports, 3);
    assert_int_equal(a->nics, 3);
    assert_int_equal(a->port, 3);
    assert_true(is_text(a->name, "another"));
    assert_true(is_text(a->nic, "outside"));
    assert_int_equal(weir_port_add(l.v, &(struct weir_port){.id = 7,
                                                            .nic = WEIR_NIC_EMULATED,
                                                            .name = "new one",
                                                            .vm = "vm c",
                                                            .mac = {2, 0, 0, 0, 1, 7}}),
                     0);
    assert_int_equal(a->told[PORT_CREATE], 1);
    assert_int_equal(a->told[NIC_CREATE], 1);
    assert_int_equal(a->told[NIC_CONNECT], 1);
    assert_int_equal(a->port, 7);
    assert_int_equal(a->nic_state, 2); /* connected */
    assert_true(is_text(a->nic, "new one"));
    assert_true(is_text(a->vm, "vm c"));
    assert_memory_equal(a->mac, "\2\0\0\0\1\7", 6);
    assert_int_equal(weir_port_state(l.v, 7), WEIR_PORT_CONNECTED);
    assert_int_equal(send(&l, 1, (const uint8_t *)"\2\0\0\0\1\7", three[0].mac, true, "to it"), 1);
    assert_int_equal(got(&l), 1u << 7);
    assert_int_equal(weir_port_disconnect(l.v, 7), 0);
    assert_int_equal(weir_port_disconnect(l.v, 7), 0);
    assert_int_equal(a->told[NIC_DISCONNECT], 1);
    assert_int_equal(a->nic_state, 3);
    assert_int_equal(weir_port_state(l.v, 7), WEIR_PORT_DISCONNECTED);
    assert_int_equal(weir_port_connect(l.v, 7), 0);
    assert_int_equal(a->told[NIC_CONNECT], 2);
    assert_int_equal(weir_port_remove(l.v, 7), 0);
    assert_int_equal(a->told[NIC_DISCONNECT], 2);
    assert_int_equal(a->told[NIC_DELETE], 1);
    assert_int_equal(a->told[PORT_DELETE], 1);
    assert_int_equal(weir_port_state(l.v, 7), WEIR_PORT_NONE);
    assert_int_equal(send(&l, 1, (const uint8_t *)"\2\0\0\0\1\7", three[0].mac, true, "to nobody"), 2);
    weir_vswitch_end(l.v);
    assert_int_equal(a->told[SWITCH_DELETE], 1);
    lab_close(&l);
}

static void subscribers_refuse(void **state)
{
    static const struct {
        unsigned event;
        enum weir_port_state then;
    } refusals[] = {
        {PORT_CREATE, WEIR_PORT_NONE}, {NIC_CREATE, WEIR_PORT_NONE}, {NIC_CONNECT, WEIR_PORT_DISCONNECTED}};
    struct switcher_answers *a = &switcher_answers;
    const struct weir_port port = {.id = 7};
    struct lab l;

    (void)state;
    lab_open(&l);
    LOAD(&l, {.at = "IN"});
    for (unsigned i = 0; i < 3; i++) {
        a->status[refusals[i].event] = DENIED;
        assert_int_equal(weir_port_add(l.v, &port), -EACCES);
        assert_int_equal(weir_port_state(l.v, 7), refusals[i].then);
        assert_int_equal(a->told[PORT_DELETE], i != 0); /* what was created for nothing */
        a->status[refusals[i].event] = 0;
    }
    a->status[NIC_CONNECT] = DENIED;
    assert_int_equal(weir_port_connect(l.v, 7), -EACCES);
    a->status[NIC_CONNECT] = 0;
    assert_int_equal(weir_port_connect(l.v, 7), 0);
    a->status[SWITCH_CREATE] = DENIED;
    assert_null(make(&l, "refused"));
    assert_non_null(strstr(weir_error(), "a driver refused the switch 'refused'"));
    a->status[SWITCH_CREATE] = 0;
    assert_non_null(make(&l, "refused"));
    lab_close(&l);
}

static void subscribers_decide_later(void **state)
{
    struct switcher_answers *a = &switcher_answers;
    const struct weir_port port = {.id = 7};
    struct lab l;

    (void)state;
    lab_open(&l);
    LOAD(&l, {.at = "IN"});
    a->status[PORT_CREATE] = a->status[PORT_DELETE] = PENDING;
    a->after_ms = 50;
    for (unsigned refused = 0; refused < 2; refused++) {
        a->with = refused ? DENIED : 0;
        assert_int_equal(weir_port_add(l.v, &port), -EINPROGRESS);
        assert_int_equal(weir_port_state(l.v, 7), WEIR_PORT_CREATING);
        assert_int_equal(weir_port_remove(l.v, 7), -EBUSY);
        assert_int_equal(weir_port_connect(l.v, 7), -EBUSY);
        assert_int_equal(send(&l, 7, all, stranger, true, "not yet"), -ENOTCONN);
        weir_run(l.l.w, 49 * WEIR_MILLISECOND);
        assert_int_equal(weir_port_state(l.v, 7), WEIR_PORT_CREATING);
        weir_run(l.l.w, 2 * WEIR_MILLISECOND);
        assert_int_equal(weir_port_state(l.v, 7), refused ? WEIR_PORT_NONE : WEIR_PORT_CONNECTED);
        assert_int_equal(a->told[NIC_CONNECT], 1);
        if (refused)
            continue;
        assert_int_equal(weir_port_remove(l.v, 7), -EINPROGRESS);
        assert_int_equal(weir_port_state(l.v, 7), WEIR_PORT_DELETING);
        weir_run(l.l.w, 51 * WEIR_MILLISECOND);
        assert_int_equal(weir_port_state(l.v, 7), WEIR_PORT_NONE);
    }
    a->after_ms = 0; /* before the callback returns */
    a->with = 0;
    assert_int_equal(weir_port_add(l.v, &port), 0);
    assert_int_equal(weir_port_remove(l.v, 7), 0);
    a->silent = true; /* never: the end of its driver cancels it, and says so */
    assert_int_equal(weir_port_add(l.v, &port), -EINPROGRESS);
    weir_settle(l.l.w);
    assert_int_equal(weir_port_state(l.v, 7), WEIR_PORT_CREATING);
    assert_int_equal(weir_driver_unload(l.driver), 0);
    assert_int_equal(weir_port_state(l.v, 7), WEIR_PORT_NONE);
    assert_true(weir_findings(l.l.w, NULL, NULL) > 0);
    embed_lab_close(&l.l);
}

/* On threads of their own: the injector, work items, timers. */
static void in_real_time_too(void **state)
{
    struct switcher_answers *a = &switcher_answers;
    struct lab l;

    (void)state;
    lab_open_in(&l, true);
    LOAD(&l, {.at = "IN", .act = SWITCHER_COPIES, .later = true, .find = "to all", .write = "for us"});
    for (unsigned n = 0; n < 10; n++) {
        assert_int_equal(send(&l, 1, all, three[0].mac, true, "to all"), -EACCES);
        memcpy(l.frame + 34, "for us", 6);
        weir_run(l.l.w, 20 * WEIR_MILLISECOND);
        assert_int_equal(got(&l), 1u << 2 | 1u << 3);
    }
    for (unsigned n = 0; n < 100 && __atomic_load_n(&switcher_plans[0].completed, __ATOMIC_SEQ_CST) != 10;
         n++)
        weir_run(l.l.w, 20 * WEIR_MILLISECOND); /* frames arrive before their injection is completed */
    assert_int_equal(__atomic_load_n(&switcher_plans[0].completed, __ATOMIC_SEQ_CST), 10);
    a->status[PORT_CREATE] = PENDING;
    a->after_ms = 20;
    assert_int_equal(weir_port_add(l.v, &(struct weir_port){.id = 7}), -EINPROGRESS);
    weir_run(l.l.w, 200 * WEIR_MILLISECOND);
    assert_int_equal(weir_port_state(l.v, 7), WEIR_PORT_CONNECTED);
    weir_vswitch_end(l.v);
    lab_close(&l);
}

/* ---- misuse -------------------------------------------------------------------------------------------- */

static void what_makes_no_sense_is_told(void **state)
{
    const struct weir_port twice[] = {{.id = 1}, {.id = 1}};
    char name[300];
    struct lab l;

    (void)state;
    lab_open(&l);
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
#define TOLD(expression, returned, words)                                                                    \
    do {                                                                                                     \
        embed_lab_expects(&l.l);                                                                             \
        assert_int_equal((long)(expression), (long)(returned));                                              \
        embed_lab_told(&l.l, words);                                                                         \
    } while (0)
    TOLD(weir_vswitch(l.l.w, NULL), 0, "a name of 1 to 256");
    TOLD(weir_vswitch(l.l.w, &(struct weir_vswitch_config){.name = name}), 0, "a name of 1 to 256");
    TOLD(weir_vswitch(l.l.w, &(struct weir_vswitch_config){.name = "x", .port_count = 2}), 0, "a name of");
    TOLD(make(&l, "lan"), 0, "there is a virtual switch of this name");
    TOLD(weir_vswitch(l.l.w, &(struct weir_vswitch_config){.name = "x", .ports = twice, .port_count = 2}), 0,
         "there is a port of this id");
    TOLD(weir_port_add(l.v, NULL), -EINVAL, "the port is NULL");
    TOLD(weir_port_add(l.v, &(struct weir_port){.id = 0}), -EINVAL, "a port's id is not 0");
    TOLD(weir_port_add(l.v, &three[0]), -EINVAL, "there is a port of this id");
    TOLD(weir_port_add(l.v, &(struct weir_port){.id = 9, .nic = 4}), -EINVAL, "no such kind");
    TOLD(weir_port_add(l.v, &(struct weir_port){.id = 9, .vm = name}), -EINVAL, "at most 256");
    TOLD(weir_port_remove(l.v, 9), -EINVAL, "there is no port 9");
    TOLD(weir_port_connect(l.v, 9), -EINVAL, "there is no port 9");
    TOLD(weir_port_disconnect(l.v, 9), -EINVAL, "there is no port 9");
    TOLD(weir_port_send(l.v, 9, name, 20), -EINVAL, "there is no port 9");
    TOLD(weir_port_send(l.v, 1, name, 13), -EINVAL, "14 to 65,549");
    TOLD(weir_port_send(l.v, 1, NULL, 20), -EINVAL, "14 to 65,549");
    TOLD(weir_port_receive(l.v, 9, name, 20), -EINVAL, "there is no port 9");
    TOLD(weir_port_receive(l.v, 1, NULL, 20), -EINVAL, "out is NULL");
    lab_close(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_go_where_they_belong),
        cmocka_unit_test(what_is_not_fetched_waits),
        cmocka_unit_test(layers_see_who_it_is_from_and_for),
        cmocka_unit_test(frames_are_dropped),
        cmocka_unit_test(frames_go_in_again),
        cmocka_unit_test(a_switch_ends_under_a_frame),
        cmocka_unit_test(subscribers_are_told),
        cmocka_unit_test(subscribers_refuse),
        cmocka_unit_test(subscribers_decide_later),
        cmocka_unit_test(in_real_time_too),
        cmocka_unit_test(what_makes_no_sense_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir.h: virtual switches: ports that come, are connected and go; frames from one port to others, through the filter
 * engine's layers.
 *
 *   weir_port_send() --> host_vswitch_frame() --ingress--> destinations(): whose address was learned, else all others
 *                                             --egress, each--> deliver(): it waits for weir_port_receive()
 *   a driver's FwpsInjectvSwitchEthernetIngressAsync0 --> the same, perhaps on the host's injector
 *
 * A switch learns: a source address is where its last frame came from; one that a port was given belongs to it from the
 * beginning. Ports that are not connected neither send nor get anything; nothing goes back to its source.
 *
 * The test's thread changes ports and states, under the lock as far as destinations() and deliver() look at them. Switches and
 * ports that have gone are kept until the engine ends: drivers may hold what they were shown.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "embed/vswitch.h"

#define KEPT 1024u /* frames that wait at a port; the next are lost */
#define NICS 4u

static const uint8_t no_mac[6];

/* ---- names --------------------------------------------------------------------------------------------- */

/* UTF-8 as drivers have it; bytes that are none are taken as Latin. False: longer than 256. */
static bool widen(const char *text, WCHAR out[257], FWP_BYTE_BLOB *blob)
{
    size_t n = 0;

    for (const uint8_t *at = (const uint8_t *)text; *at != 0; n++) {
        if (n == 256)
            return false;
        if (at[0] >= 0xe0 && (at[1] & 0xc0) == 0x80 && (at[2] & 0xc0) == 0x80) {
            out[n] = (WCHAR)((at[0] & 15) << 12 | (at[1] & 63) << 6 | (at[2] & 63));
            at += 3;
        } else if (at[0] >= 0xc0 && (at[1] & 0xc0) == 0x80) {
            out[n] = (WCHAR)((at[0] & 31) << 6 | (at[1] & 63));
            at += 2;
        } else {
            out[n] = *at++;
        }
    }
    *blob = (FWP_BYTE_BLOB){.size = (UINT32)(n * sizeof(WCHAR)), .data = (UINT8 *)out};
    return true;
}

/* ---- frames -------------------------------------------------------------------------------------------- */

static struct embed_port *port_of(const struct embed_vswitch *v, uint32_t id)
{
    struct embed_port *p = v->ports;

    while (p != NULL && p->is.id != id)
        p = p->next;
    return p;
}

/* Locked. */
static void learn(struct embed_vswitch *v, const uint8_t *mac, uint32_t port)
{
    unsigned at;

    if ((mac[0] & 1) != 0 || memcmp(mac, no_mac, 6) == 0)
        return;
    for (at = 0; at < LEARNED; at++)
        if (v->learned[at].port != 0 && memcmp(v->learned[at].mac, mac, 6) == 0)
            break;
    if (at == LEARNED)
        at = v->learns++ % LEARNED;
    memcpy(v->learned[at].mac, mac, 6);
    v->learned[at].port = port;
}

/* Locked. 0: nobody knows. */
static uint32_t learned(const struct embed_vswitch *v, const uint8_t *mac)
{
    for (unsigned at = 0; at < LEARNED; at++)
        if (v->learned[at].port != 0 && memcmp(v->learned[at].mac, mac, 6) == 0)
            return v->learned[at].port;
    return 0;
}

static unsigned destinations(void *ctx, const struct wire_packet *p, UINT32 source, UINT32 *ports,
                             unsigned most)
{
    struct embed_vswitch *v = ctx;
    const uint8_t *mac = p->frame + p->mac_at;
    uint32_t to = 0;
    unsigned n = 0;

    rt_mutex_lock(v->lock);
    learn(v, mac + 6, source);
    if ((mac[0] & 1) == 0)
        to = learned(v, mac);
    for (const struct embed_port *one = v->ports; one != NULL && n < most; one = one->next)
        if (one->state == WEIR_PORT_CONNECTED && one->is.id != source && (to == 0 || one->is.id == to))
            ports[n++] = one->is.id;
    rt_mutex_unlock(v->lock);
    return n;
}

static void tell_frame(struct embed_vswitch *v, enum weir_event_kind kind,
                       const struct host_vswitch_outcome *o, bool in, uint32_t port, uint32_t size)
{
    char text[400];

    snprintf(text, sizeof text, "%s port %u of '%.200s': %s%u bytes", in ? "from" : "to", port, v->text,
             o == NULL                  ? ""
             : o->fate == HOST_ABSORBED ? "absorbed, "
                                        : "blocked, ",
             size);
    embed_event(v->e, &(struct weir_event){.kind = kind,
                                           .verdict = o != NULL ? host_fate_name(o->fate) : NULL,
                                           .layer = o != NULL && o->layer != NULL ? o->layer->name : NULL,
                                           .filter_id = o != NULL ? o->filter_id : 0,
                                           .inbound = in,
                                           .text = text});
}

static void deliver(void *ctx, UINT64 number, UINT32 id, const uint8_t *frame, uint32_t size)
{
    struct embed_vswitch *v = ctx;
    struct got *g = malloc(sizeof *g + size);
    struct embed_port *p;

    (void)number;
    if (g == NULL)
        return;
    *g = (struct got){.size = size};
    memcpy(g->bytes, frame, size);
    rt_mutex_lock(v->lock);
    p = port_of(v, id);
    if (p != NULL && p->waiting < KEPT) {
        *p->end = g;
        p->end = &g->next;
        p->waiting++;
        g = NULL;
    }
    rt_mutex_unlock(v->lock);
    free(g);
    tell_frame(v, WEIR_EVENT_PACKET, NULL, false, id, size);
}

static void forget_frames(struct embed_port *p)
{
    for (struct got *g = p->first, *next; g != NULL; g = next) {
        next = g->next;
        free(g);
    }
    p->first = NULL;
    p->end = &p->first;
    p->waiting = 0;
}

/* ---- ports --------------------------------------------------------------------------------------------- */

static void set_state(struct embed_port *p, enum weir_port_state state)
{
    rt_mutex_lock(p->of->lock);
    p->state = state;
    rt_mutex_unlock(p->of->lock);
}

static const char *fault_of(const struct embed_vswitch *v, const struct weir_port *c)
{
    if (c->id == 0)
        return "a port's id is not 0: that is the switch's own";
    if (port_of(v, c->id) != NULL)
        return "there is a port of this id";
    if ((unsigned)c->nic >= NICS)
        return "there is no such kind of network adapter";
    if ((c->name != NULL && strlen(c->name) > 256) || (c->vm != NULL && strlen(c->vm) > 256))
        return "a name has at most 256 characters";
    return NULL;
}

/* Among the switch's, CREATING. NULL: out of memory. */
static struct embed_port *port_new(struct embed_vswitch *v, const struct weir_port *c)
{
    struct embed_port *p = calloc(1, sizeof *p), **at;
    char name[32];

    if (p == NULL)
        return NULL;
    snprintf(name, sizeof name, "nic %u", c->id);
    (void)widen(c->name != NULL ? c->name : name, p->nic, &p->nic_id);
    (void)widen(c->vm != NULL ? c->vm : "", p->vm, &p->vm_id);
    p->of = v;
    p->end = &p->first;
    p->state = WEIR_PORT_CREATING;
    memcpy(p->mac, c->mac, 6);
    p->is = (struct host_vswitch_port){.id = c->id,
                                       .nic_index = c->nic_index,
                                       .nic_type = (UINT8)c->nic,
                                       .bypasses_transport = c->trunk,
                                       .nic_id = &p->nic_id,
                                       .vm_id = c->vm != NULL ? &p->vm_id : NULL};
    rt_mutex_lock(v->lock);
    for (at = &v->ports; *at != NULL; at = &(*at)->next)
        ;
    *at = p;
    learn(v, p->mac, c->id);
    rt_mutex_unlock(v->lock);
    return p;
}

static void port_gone(struct embed_port *p)
{
    struct embed_vswitch *v = p->of;

    (void)host_vswitch_port_remove(v->e->host, v->is, p->is.id);
    rt_mutex_lock(v->lock);
    for (struct embed_port **at = &v->ports; *at != NULL; at = &(*at)->next)
        if (*at == p) {
            *at = p->next;
            break;
        }
    for (unsigned i = 0; i < LEARNED; i++)
        if (v->learned[i].port == p->is.id)
            v->learned[i].port = 0;
    p->state = WEIR_PORT_NONE;
    forget_frames(p);
    p->next = v->gone;
    v->gone = p;
    rt_mutex_unlock(v->lock);
}

/* The port may be: its network adapter is created and connected. 0, -EACCES, -ENOMEM. */
static int bring_up(struct embed_port *p)
{
    struct embed_vswitch *v = p->of;
    int err;

    if (!NT_SUCCESS(embed_vswitch_tell(v, FWPS_VSWITCH_EVENT_INTERFACE_CREATE, p))) {
        set_state(p, WEIR_PORT_DELETING);
        if (embed_vswitch_tell(v, FWPS_VSWITCH_EVENT_PORT_DELETE, p) != STATUS_PENDING)
            port_gone(p);
        return -EACCES;
    }
    err = host_vswitch_port_add(v->e->host, v->is, &p->is);
    if (err != 0) {
        port_gone(p);
        return err;
    }
    set_state(p, WEIR_PORT_CONNECTED);
    if (NT_SUCCESS(embed_vswitch_tell(v, FWPS_VSWITCH_EVENT_INTERFACE_CONNECT, p)))
        return 0;
    set_state(p, WEIR_PORT_DISCONNECTED);
    return -EACCES;
}

void embed_port_goes_on(struct embed_port *p, NTSTATUS status)
{
    if (p->state == WEIR_PORT_DELETING) /* too late to refuse */
        port_gone(p);
    else if (p->state == WEIR_PORT_CREATING && NT_SUCCESS(status))
        (void)bring_up(p);
    else if (p->state == WEIR_PORT_CREATING)
        port_gone(p);
}

bool embed_vswitches_drain(struct embed *e)
{
    for (struct embed_vswitch *v = e->vswitches; v != NULL; v = v->next)
        for (struct embed_port *p = v->ports; p != NULL; p = p->next)
            if (!p->telling && atomic_exchange(&p->answered, false)) {
                embed_port_goes_on(p, p->status);
                return true;
            }
    return false;
}

/* ---- life ---------------------------------------------------------------------------------------------- */

void embed_vswitches_destroy(struct embed *e)
{
    struct embed_vswitch *v;

    while ((v = e->vswitches) != NULL) {
        e->vswitches = v->next;
        for (unsigned gone = 0; gone < 2; gone++)
            for (struct embed_port *p = gone ? v->gone : v->ports, *next; p != NULL; p = next) {
                next = p->next;
                forget_frames(p);
                free(p);
            }
        if (v->lock != NULL)
            rt_mutex_destroy(v->lock);
        free(v);
    }
}

/* Nobody hears of it any more. */
static void discard(struct embed_vswitch *v)
{
    if (v->is != NULL)
        host_vswitch_remove(v->e->host, v->is);
    embed_handle_end(v->e, v->handle);
    v->handle = NULL;
}

static const char *make_ports(struct embed_vswitch *v, const struct weir_vswitch_config *c)
{
    for (size_t i = 0; i < c->port_count; i++) {
        const char *fault = fault_of(v, &c->ports[i]);
        struct embed_port *p;

        if (fault != NULL)
            return fault;
        p = port_new(v, &c->ports[i]);
        if (p == NULL || host_vswitch_port_add(v->e->host, v->is, &p->is) != 0)
            return "";
        set_state(p, WEIR_PORT_CONNECTED);
    }
    return NULL;
}

struct weir_vswitch *weir_vswitch(struct weir *w, const struct weir_vswitch_config *config)
{
    struct host_vswitch_desc desc = {.destinations = destinations, .deliver = deliver};
    const char *fault = NULL;
    struct embed_vswitch *v;
    struct embed *e;
    int err;

    if (EMBED_ENTER(EMBED_ENGINE, w, &e) == NULL)
        return NULL;
    if (config == NULL || config->name == NULL || config->name[0] == '\0' || strlen(config->name) > 256 ||
        (config->ports == NULL && config->port_count != 0)) {
        embed_failed(e, __func__, "a name of 1 to 256 characters is wanted, and ports where there are some");
        return NULL;
    }
    v = calloc(1, sizeof *v);
    if (v == NULL || rt_mutex_create(&v->lock) != 0) {
        free(v);
        embed_error("weir_vswitch: out of memory");
        return NULL;
    }
    v->e = e;
    (void)widen(config->name, v->name, &v->id);
    snprintf(v->text, sizeof v->text, "%s", config->name);
    v->next = e->vswitches;
    e->vswitches = v; /* what is told of it outlives it, also if it is refused */
    desc.id = &v->id;
    desc.network_type = config->network_type;
    desc.tenant_network_id = config->tenant;
    desc.ctx = v;
    err = host_vswitch_add(e->host, &desc, &v->is);
    if (err == -EEXIST)
        fault = "there is a virtual switch of this name";
    else if (err != 0 || (v->handle = embed_handle_new(e, EMBED_VSWITCH, v)) == NULL)
        fault = "";
    else
        fault = make_ports(v, config);
    if (fault != NULL) {
        discard(v);
        if (fault[0] == '\0')
            embed_error("weir_vswitch: out of memory");
        else
            embed_failed(e, __func__, "%s", fault);
        return NULL;
    }
    if (!NT_SUCCESS(embed_vswitch_tell(v, FWPS_VSWITCH_EVENT_VSWITCH_CREATE, NULL))) {
        discard(v);
        embed_error("weir_vswitch: a driver refused the switch '%s'", v->text);
        return NULL;
    }
    return v->handle;
}

void weir_vswitch_end(struct weir_vswitch *handle)
{
    struct embed *e;
    struct embed_vswitch *v = EMBED_ENTER(EMBED_VSWITCH, handle, &e);

    if (v == NULL)
        return;
    (void)embed_vswitch_tell(v, FWPS_VSWITCH_EVENT_VSWITCH_DELETE, NULL);
    discard(v);
    while (v->ports != NULL)
        port_gone(v->ports);
}

/* ---- weir.h: ports ------------------------------------------------------------------------------------- */

int weir_port_add(struct weir_vswitch *handle, const struct weir_port *port)
{
    struct embed *e;
    struct embed_vswitch *v = EMBED_ENTER(EMBED_VSWITCH, handle, &e);
    const char *fault;
    struct embed_port *p;
    NTSTATUS status;

    if (v == NULL)
        return -EINVAL;
    fault = port == NULL ? "the port is NULL" : fault_of(v, port);
    if (fault != NULL) {
        embed_failed(e, __func__, "%s", fault);
        return -EINVAL;
    }
    p = port_new(v, port);
    if (p == NULL)
        return -ENOMEM;
    status = embed_vswitch_tell(v, FWPS_VSWITCH_EVENT_PORT_CREATE, p);
    if (status == STATUS_PENDING) {
        embed_settle_call(e); /* it may be completed by now */
        return -EINPROGRESS;
    }
    if (NT_SUCCESS(status))
        return bring_up(p);
    port_gone(p);
    return -EACCES;
}

/* NULL: was told as a misuse. */
static struct embed_port *enter(const char *call, struct weir_vswitch *handle, uint32_t id,
                                struct embed_vswitch **v)
{
    struct embed *e;
    struct embed_port *p;

    *v = embed_enter(call, EMBED_VSWITCH, handle, &e);
    if (*v == NULL)
        return NULL;
    p = port_of(*v, id);
    if (p == NULL)
        embed_failed(e, call, "there is no port %u", id);
    return p;
}

int weir_port_remove(struct weir_vswitch *handle, uint32_t id)
{
    struct embed_vswitch *v;
    struct embed_port *p = enter(__func__, handle, id, &v);

    if (p == NULL)
        return -EINVAL;
    if (p->state == WEIR_PORT_CREATING || p->state == WEIR_PORT_DELETING)
        return -EBUSY;
    if (p->state == WEIR_PORT_CONNECTED) {
        set_state(p, WEIR_PORT_DISCONNECTED);
        (void)embed_vswitch_tell(v, FWPS_VSWITCH_EVENT_INTERFACE_DISCONNECT, p);
    }
    set_state(p, WEIR_PORT_DELETING);
    (void)embed_vswitch_tell(v, FWPS_VSWITCH_EVENT_INTERFACE_DELETE, p);
    if (embed_vswitch_tell(v, FWPS_VSWITCH_EVENT_PORT_DELETE, p) == STATUS_PENDING)
        return -EINPROGRESS;
    port_gone(p);
    return 0;
}

static int plug(struct embed_vswitch *v, struct embed_port *p, bool in)
{
    const enum weir_port_state to = in ? WEIR_PORT_CONNECTED : WEIR_PORT_DISCONNECTED,
                               from = in ? WEIR_PORT_DISCONNECTED : WEIR_PORT_CONNECTED;

    if (p->state == to)
        return 0;
    if (p->state != from)
        return -EBUSY;
    set_state(p, to);
    if (NT_SUCCESS(embed_vswitch_tell(
            v, in ? FWPS_VSWITCH_EVENT_INTERFACE_CONNECT : FWPS_VSWITCH_EVENT_INTERFACE_DISCONNECT, p)) ||
        !in)
        return 0;
    set_state(p, from);
    return -EACCES;
}

int weir_port_connect(struct weir_vswitch *handle, uint32_t id)
{
    struct embed_vswitch *v;
    struct embed_port *p = enter(__func__, handle, id, &v);

    return p != NULL ? plug(v, p, true) : -EINVAL;
}

int weir_port_disconnect(struct weir_vswitch *handle, uint32_t id)
{
    struct embed_vswitch *v;
    struct embed_port *p = enter(__func__, handle, id, &v);

    return p != NULL ? plug(v, p, false) : -EINVAL;
}

enum weir_port_state weir_port_state(struct weir_vswitch *handle, uint32_t id)
{
    struct embed *e;
    struct embed_vswitch *v = EMBED_ENTER(EMBED_VSWITCH, handle, &e);
    const struct embed_port *p = v != NULL ? port_of(v, id) : NULL;

    return p != NULL ? p->state : WEIR_PORT_NONE;
}

int weir_port_send(struct weir_vswitch *handle, uint32_t id, const void *frame, size_t size)
{
    struct embed *e;
    struct embed_vswitch *v = EMBED_ENTER(EMBED_VSWITCH, handle, &e);
    struct host_vswitch_outcome o = {.fate = HOST_IGNORED};
    const struct embed_port *p = v != NULL ? port_of(v, id) : NULL;
    const void *out;

    if (v == NULL)
        return -EINVAL;
    if ((p == NULL && id != 0) || frame == NULL || size < LINK || size > EMBED_FRAME_MOST ||
        rt_carried()->in_classify != 0) {
        if (p == NULL && id != 0)
            embed_failed(e, __func__, "there is no port %u", id);
        else if (rt_carried()->in_classify != 0)
            embed_failed(e, __func__, "called from within a classify");
        else
            embed_failed(e, __func__, "a frame of 14 to 65,549 bytes is wanted, from its Ethernet header on");
        return -EINVAL;
    }
    if (p != NULL && p->state != WEIR_PORT_CONNECTED)
        return -ENOTCONN;
    out = embed_calls_out();
    host_vswitch_frame(e->host, v->is,
                       &(struct host_vswitch_frame){.bytes = frame,
                                                    .size = (uint32_t)size,
                                                    .number = embed_gate_number(e),
                                                    .time_ns = embed_now(e),
                                                    .source_port = id},
                       &o);
    embed_is_back(out);
    if (o.fate == HOST_BLOCKED || o.fate == HOST_ABSORBED)
        tell_frame(v, WEIR_EVENT_DROPPED, &o, true, id, (uint32_t)size);
    embed_settle_call(e);
    return o.fate == HOST_BLOCKED || o.fate == HOST_ABSORBED ? -EACCES : (int)o.delivered;
}

long weir_port_receive(struct weir_vswitch *handle, uint32_t id, void *out, size_t size)
{
    struct embed_vswitch *v;
    struct embed_port *p = enter(__func__, handle, id, &v);
    struct got *g;
    long got;

    if (p == NULL)
        return -EINVAL;
    if (out == NULL && size != 0) {
        embed_failed(v->e, __func__, "there is no place for the frame: out is NULL");
        return -EINVAL;
    }
    rt_mutex_lock(v->lock);
    g = p->first;
    if (g != NULL) {
        p->first = g->next;
        if (p->first == NULL)
            p->end = &p->first;
        p->waiting--;
    }
    rt_mutex_unlock(v->lock);
    if (g == NULL)
        return -EAGAIN;
    got = g->size;
    if (size != 0)
        memcpy(out, g->bytes, size < g->size ? size : g->size);
    free(g);
    return got;
}

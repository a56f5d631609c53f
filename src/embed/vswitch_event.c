/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What subscribers to a virtual switch's events are told (OTH-10): the structures of ntddndis.h are made for each event,
 * and are the callbacks' while these run.
 *
 * The callbacks run at PASSIVE_LEVEL on a thread of their own, beside which the world goes on: they may wait.
 */
#include <stdlib.h>
#include <string.h>

#include "ntddndis.h"

#include "embed/vswitch.h"

#define PATIENCE_NS (60 * WEIR_SECOND)
#define REVISION    1
#define ETHERNET    1500u /* MTU */

struct telling {
    struct host *host;
    struct host_vswitch_event event;
    NTSTATUS status;
};

static NDIS_OBJECT_HEADER header(size_t size)
{
    return (NDIS_OBJECT_HEADER){.Type = NDIS_OBJECT_TYPE_DEFAULT, .Revision = REVISION, .Size = (USHORT)size};
}

static void put(IF_COUNTED_STRING *to, const FWP_BYTE_BLOB *name)
{
    to->Length = (USHORT)name->size;
    if (name->size != 0)
        memcpy(to->String, name->data, name->size);
}

static void describe_switch(const struct embed_vswitch *v, NDIS_SWITCH_PARAMETERS *out)
{
    out->Header = header(sizeof *out);
    put(&out->SwitchName, &v->id);
    put(&out->SwitchFriendlyName, &v->id);
    for (const struct embed_port *p = v->ports; p != NULL; p = p->next)
        out->NumSwitchPorts++;
    out->IsActive = TRUE;
}

static void describe_port(const struct embed_port *p, NDIS_SWITCH_PORT_PARAMETERS *out)
{
    static const NDIS_SWITCH_PORT_TYPE types[] = {NdisSwitchPortTypeExternal, NdisSwitchPortTypeSynthetic,
                                                  NdisSwitchPortTypeEmulated, NdisSwitchPortTypeInternal};

    out->Header = header(sizeof *out);
    out->PortId = p->is.id;
    put(&out->PortName, &p->nic_id);
    put(&out->PortFriendlyName, &p->nic_id);
    out->PortType = types[p->is.nic_type];
    out->PortState =
        p->state == WEIR_PORT_DELETING ? NdisSwitchPortStateTeardown : NdisSwitchPortStateCreated;
}

static void describe_nic(const struct embed_port *p, NDIS_SWITCH_NIC_PARAMETERS *out)
{
    out->Header = header(sizeof *out);
    put(&out->NicName, &p->nic_id);
    put(&out->NicFriendlyName, &p->nic_id);
    out->PortId = p->is.id;
    out->NicIndex = p->is.nic_index;
    out->NicType = (NDIS_SWITCH_NIC_TYPE)p->is.nic_type;
    out->NicState = p->state == WEIR_PORT_CONNECTED      ? NdisSwitchNicStateConnected
                    : p->state == WEIR_PORT_DISCONNECTED ? NdisSwitchNicStateDisconnected
                    : p->state == WEIR_PORT_DELETING     ? NdisSwitchNicStateDeleted
                                                         : NdisSwitchNicStateCreated;
    put(&out->VmName, &p->vm_id);
    put(&out->VmFriendlyName, &p->vm_id);
    out->MTU = ETHERNET;
    memcpy(out->PermanentMacAddress, p->mac, sizeof p->mac);
    memcpy(out->CurrentMacAddress, p->mac, sizeof p->mac);
    if (p->vm_id.size != 0)
        memcpy(out->VMMacAddress, p->mac, sizeof p->mac);
}

/* All of the switch's, behind their array's head. NULL: out of memory. */
static NDIS_SWITCH_PORT_ARRAY *all_ports(const struct embed_vswitch *v, ULONG count)
{
    NDIS_SWITCH_PORT_ARRAY *all = calloc(1, sizeof *all + count * sizeof(NDIS_SWITCH_PORT_PARAMETERS));

    if (all == NULL)
        return NULL;
    all->Header = header(sizeof *all);
    all->FirstElementOffset = sizeof *all;
    all->ElementSize = sizeof(NDIS_SWITCH_PORT_PARAMETERS);
    for (const struct embed_port *p = v->ports; p != NULL; p = p->next, all->NumElements++)
        describe_port(p, NDIS_SWITCH_PORT_AT_ARRAY_INDEX(all, all->NumElements));
    return all;
}

static NDIS_SWITCH_NIC_ARRAY *all_nics(const struct embed_vswitch *v, ULONG count)
{
    NDIS_SWITCH_NIC_ARRAY *all = calloc(1, sizeof *all + count * sizeof(NDIS_SWITCH_NIC_PARAMETERS));

    if (all == NULL)
        return NULL;
    all->Header = header(sizeof *all);
    all->FirstElementOffset = sizeof *all;
    all->ElementSize = sizeof(NDIS_SWITCH_NIC_PARAMETERS);
    for (const struct embed_port *p = v->ports; p != NULL; p = p->next, all->NumElements++)
        describe_nic(p, NDIS_SWITCH_NIC_AT_ARRAY_INDEX(all, all->NumElements));
    return all;
}

/* Any thread, up to DISPATCH_LEVEL. */
static void completed(void *ctx, NTSTATUS status)
{
    struct embed_port *p = ctx;

    p->status = status;
    atomic_store(&p->answered, true);
    embed_world_wake(p->of->e);
}

static void tell(void *arg)
{
    struct telling *t = arg;

    t->status = host_vswitch_raise(t->host, &t->event);
}

NTSTATUS embed_vswitch_tell(struct embed_vswitch *v, FWPS_VSWITCH_EVENT_TYPE type, struct embed_port *port)
{
    NDIS_SWITCH_PARAMETERS of = {0};
    NDIS_SWITCH_PORT_PARAMETERS one_port = {0};
    NDIS_SWITCH_NIC_PARAMETERS one_nic = {0};
    struct telling t = {.host = v->e->host,
                        .event = {.type = type, .vswitch = &of, .completed = completed, .ctx = port},
                        .status = STATUS_NO_MEMORY};
    NDIS_SWITCH_PORT_ARRAY *ports = NULL;
    NDIS_SWITCH_NIC_ARRAY *nics = NULL;

    describe_switch(v, &of);
    if (port == NULL) {
        ports = all_ports(v, of.NumSwitchPorts);
        nics = all_nics(v, of.NumSwitchPorts);
        if (ports == NULL || nics == NULL)
            goto out;
        t.event.ports = ports;
        t.event.nics = nics;
    } else {
        describe_port(port, &one_port);
        describe_nic(port, &one_nic);
        t.event.port = &one_port;
        t.event.nic = &one_nic;
        atomic_store(&port->answered, false);
        port->telling = true;
    }
    embed_beside(v->e, "a virtual switch's event", tell, &t, PATIENCE_NS);
    if (port != NULL)
        port->telling = false;
out:
    free(nics);
    free(ports);
    return t.status;
}

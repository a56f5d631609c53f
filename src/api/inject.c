/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FwpsInjectionHandle*, FwpsInject*Async and FwpsQueryPacketInjectionState (INJ): thin doors to
 * host_inject.h. Any thread; IRQL <= DISPATCH_LEVEL but for the handles' (PASSIVE_LEVEL).
 * STATUS_FWP_TCPIP_NOT_READY: the context has no host.
 */
#include "fwpmk.h"
#include "fwpsk.h"

#include "api/api.h"
#include "api/internal.h"
#include "host/host_inject.h"
#include "host/host_vswitch.h"
#include "ledger/ledger.h"
#include "nt/fault.h"

#define SITE __builtin_return_address(0)

static struct host *current_host(void)
{
    struct api_context *c = api_current();

    return c != NULL ? api_host(c) : NULL;
}

/* ---- handles --------------------------------------------------------------------------------------------
 */

NTSTATUS NTAPI FwpsInjectionHandleCreate0(ADDRESS_FAMILY addressFamily, UINT32 flags, HANDLE *injectionHandle)
{
    struct host *h = current_host();
    NTSTATUS status;

    NT_FAIL_STATUS(FwpsInjectionHandleCreate0);
    if (injectionHandle == NULL)
        return STATUS_FWP_NULL_POINTER;
    if (h == NULL)
        return STATUS_FWP_TCPIP_NOT_READY;
    status = host_injection_create(h, addressFamily, flags, injectionHandle);
    if (status == STATUS_SUCCESS)
        ledger_open(LEDGER_INJECTION_HANDLE, (uintptr_t)*injectionHandle, 0, NULL, SITE);
    return status;
}

NTSTATUS NTAPI FwpsInjectionHandleDestroy0(HANDLE injectionHandle)
{
    struct host *h = current_host();

    NT_FAIL_STATUS(FwpsInjectionHandleDestroy0);
    if (h == NULL)
        return STATUS_FWP_TCPIP_NOT_READY;
    if (!ledger_close(LEDGER_INJECTION_HANDLE, (uintptr_t)injectionHandle, SITE))
        return STATUS_INVALID_HANDLE;
    return host_injection_destroy(h, injectionHandle);
}

FWPS_PACKET_INJECTION_STATE NTAPI FwpsQueryPacketInjectionState0(HANDLE injectionHandle,
                                                                 const NET_BUFFER_LIST *netBufferList,
                                                                 HANDLE *injectionContext)
{
    struct host *h = current_host();

    if (h == NULL || netBufferList == NULL)
        return FWPS_PACKET_NOT_INJECTED;
    return host_injection_state(h, injectionHandle, netBufferList, injectionContext);
}

/* ---- network, forward, transport --------------------------------------------------------------------------
 */

static NTSTATUS inject(struct host_injection *what)
{
    struct host *h = current_host();

    return h != NULL ? host_inject(h, what) : STATUS_FWP_TCPIP_NOT_READY;
}

/* What the parameters that all of these functions have ask for, and what only some have. */
#define INJECT(what, ...)                                                                                    \
    inject(&(struct host_injection){.kind = HOST_INJECT_##what,                                              \
                                    .handle = injectionHandle,                                               \
                                    .context = injectionContext,                                             \
                                    .flags = flags,                                                          \
                                    .compartment = compartmentId,                                            \
                                    .list = netBufferList,                                                   \
                                    .complete = completionFn,                                                \
                                    .complete_context = completionContext,                                   \
                                    .site = SITE,                                                            \
                                    __VA_ARGS__})

/* Every adapter has one NDIS port, the default one. */
#define INJECT_FRAMES(what)                                                                                  \
    (NdisPortNumber != 0 ? STATUS_INVALID_PARAMETER                                                          \
                         : inject(&(struct host_injection){.kind = HOST_INJECT_##what,                       \
                                                           .handle = injectionHandle,                        \
                                                           .context = injectionContext,                      \
                                                           .flags = flags,                                   \
                                                           .layer = layerId,                                 \
                                                           .interface_index = interfaceIndex,                \
                                                           .list = netBufferLists,                           \
                                                           .complete = completionFn,                         \
                                                           .complete_context = completionContext,            \
                                                           .site = SITE}))

NTSTATUS NTAPI FwpsInjectNetworkSendAsync0(HANDLE injectionHandle, HANDLE injectionContext, UINT32 flags,
                                           COMPARTMENT_ID compartmentId, NET_BUFFER_LIST *netBufferList,
                                           FWPS_INJECT_COMPLETE0 completionFn, HANDLE completionContext)
{
    NT_FAIL_STATUS(FwpsInjectNetworkSendAsync0);
    return INJECT(NETWORK_SEND, .family = AF_UNSPEC);
}

NTSTATUS NTAPI FwpsInjectNetworkReceiveAsync0(HANDLE injectionHandle, HANDLE injectionContext, UINT32 flags,
                                              COMPARTMENT_ID compartmentId, IF_INDEX interfaceIndex,
                                              IF_INDEX subInterfaceIndex, NET_BUFFER_LIST *netBufferList,
                                              FWPS_INJECT_COMPLETE0 completionFn, HANDLE completionContext)
{
    NT_FAIL_STATUS(FwpsInjectNetworkReceiveAsync0);
    return INJECT(NETWORK_RECEIVE, .interface_index = interfaceIndex,
                  .sub_interface_index = subInterfaceIndex);
}

NTSTATUS NTAPI FwpsInjectForwardAsync0(HANDLE injectionHandle, HANDLE injectionContext, UINT32 flags,
                                       ADDRESS_FAMILY addressFamily, COMPARTMENT_ID compartmentId,
                                       IF_INDEX interfaceIndex, NET_BUFFER_LIST *netBufferList,
                                       FWPS_INJECT_COMPLETE0 completionFn, HANDLE completionContext)
{
    NT_FAIL_STATUS(FwpsInjectForwardAsync0);
    return INJECT(FORWARD, .family = addressFamily, .interface_index = interfaceIndex);
}

NTSTATUS NTAPI FwpsInjectTransportSendAsync0(HANDLE injectionHandle, HANDLE injectionContext,
                                             UINT64 endpointHandle, UINT32 flags,
                                             FWPS_TRANSPORT_SEND_PARAMS0 *sendArgs,
                                             ADDRESS_FAMILY addressFamily, COMPARTMENT_ID compartmentId,
                                             NET_BUFFER_LIST *netBufferList,
                                             FWPS_INJECT_COMPLETE0 completionFn, HANDLE completionContext)
{
    FWPS_TRANSPORT_SEND_PARAMS1 args = {0};

    NT_FAIL_STATUS(FwpsInjectTransportSendAsync0);
    if (sendArgs != NULL) {
        args.remoteAddress = sendArgs->remoteAddress;
        args.remoteScopeId = sendArgs->remoteScopeId;
        args.controlData = sendArgs->controlData;
        args.controlDataLength = sendArgs->controlDataLength;
    }
    return INJECT(TRANSPORT_SEND, .family = addressFamily, .endpoint = endpointHandle,
                  .send = sendArgs != NULL ? &args : NULL);
}

NTSTATUS NTAPI FwpsInjectTransportSendAsync1(HANDLE injectionHandle, HANDLE injectionContext,
                                             UINT64 endpointHandle, UINT32 flags,
                                             FWPS_TRANSPORT_SEND_PARAMS1 *sendArgs,
                                             ADDRESS_FAMILY addressFamily, COMPARTMENT_ID compartmentId,
                                             NET_BUFFER_LIST *netBufferList,
                                             FWPS_INJECT_COMPLETE0 completionFn, HANDLE completionContext)
{
    NT_FAIL_STATUS(FwpsInjectTransportSendAsync1);
    return INJECT(TRANSPORT_SEND, .family = addressFamily, .endpoint = endpointHandle, .send = sendArgs);
}

NTSTATUS NTAPI FwpsInjectTransportReceiveAsync0(HANDLE injectionHandle, HANDLE injectionContext,
                                                PVOID reserved, UINT32 flags, ADDRESS_FAMILY addressFamily,
                                                COMPARTMENT_ID compartmentId, IF_INDEX interfaceIndex,
                                                IF_INDEX subInterfaceIndex, NET_BUFFER_LIST *netBufferList,
                                                FWPS_INJECT_COMPLETE0 completionFn, HANDLE completionContext)
{
    NT_FAIL_STATUS(FwpsInjectTransportReceiveAsync0);
    if (reserved != NULL)
        return STATUS_INVALID_PARAMETER;
    return INJECT(TRANSPORT_RECEIVE, .family = addressFamily, .interface_index = interfaceIndex,
                  .sub_interface_index = subInterfaceIndex);
}

/* ---- MAC */

NTSTATUS NTAPI FwpsInjectMacReceiveAsync0(HANDLE injectionHandle, HANDLE injectionContext, UINT32 flags,
                                          UINT16 layerId, IF_INDEX interfaceIndex,
                                          NDIS_PORT_NUMBER NdisPortNumber, NET_BUFFER_LIST *netBufferLists,
                                          FWPS_INJECT_COMPLETE completionFn, HANDLE completionContext)
{
    NT_FAIL_STATUS(FwpsInjectMacReceiveAsync0);
    return INJECT_FRAMES(MAC_RECEIVE);
}

NTSTATUS NTAPI FwpsInjectMacSendAsync0(HANDLE injectionHandle, HANDLE injectionContext, UINT32 flags,
                                       UINT16 layerId, IF_INDEX interfaceIndex,
                                       NDIS_PORT_NUMBER NdisPortNumber, NET_BUFFER_LIST *netBufferLists,
                                       FWPS_INJECT_COMPLETE completionFn, HANDLE completionContext)
{
    NT_FAIL_STATUS(FwpsInjectMacSendAsync0);
    return INJECT_FRAMES(MAC_SEND);
}

/* ---- virtual switches */

NTSTATUS NTAPI FwpsInjectvSwitchEthernetIngressAsync0(
    HANDLE injectionHandle, HANDLE injectionContext, UINT32 flags, void *reserved,
    const FWP_BYTE_BLOB *vSwitchId, NDIS_SWITCH_PORT_ID vSwitchSourcePortId,
    NDIS_SWITCH_NIC_INDEX vSwitchSourceNicIndex, NET_BUFFER_LIST *netBufferLists,
    FWPS_INJECT_COMPLETE completionFn, HANDLE completionContext)
{
    struct host *h = current_host();

    if (reserved != NULL)
        return STATUS_INVALID_PARAMETER;
    return inject(&(struct host_injection){.kind = HOST_INJECT_VSWITCH,
                                           .handle = injectionHandle,
                                           .context = injectionContext,
                                           .flags = flags,
                                           .layer = FWPS_LAYER_INGRESS_VSWITCH_ETHERNET,
                                           .vswitch = h != NULL ? host_vswitch_by_id(h, vSwitchId) : NULL,
                                           .source_port = vSwitchSourcePortId,
                                           .source_nic = vSwitchSourceNicIndex,
                                           .list = netBufferLists,
                                           .complete = completionFn,
                                           .complete_context = completionContext,
                                           .site = SITE});
}

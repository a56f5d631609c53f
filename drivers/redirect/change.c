/* SPDX-License-Identifier: Apache-2.0 */
/* redirect: which requests are changed, and into what (inside.h). */
#include "inside.h"

static struct target *target_of(struct target *targets, const SOCKADDR_STORAGE *address)
{
    struct target *target = &targets[address->ss_family == AF_INET6];

    return target->address.ss_family == address->ss_family ? target : NULL;
}

/* An empty list names all. */
static BOOLEAN is_listed(const CHAR *ports, const SOCKADDR_STORAGE *address)
{
    return (BOOLEAN)(ports[0] == '\0' ||
                     number_listed(ports, RtlUshortByteSwap(INETADDR_PORT((const SOCKADDR *)address))));
}

static void lead_to(SOCKADDR_STORAGE *address, const struct target *target)
{
    USHORT port = INETADDR_PORT((SOCKADDR *)address);

    *address = target->address;
    if (target->any_port)
        INETADDR_SET_PORT((SOCKADDR *)address, port);
}

/* Which port the proxy has, for that program's connection; 0: not for this one. */
static UINT16 proxy_for(const struct asker *asker, DWORD *process)
{
    KLOCK_QUEUE_HANDLE held;
    UINT16 port = 0;

    KeAcquireInStackQueuedSpinLock(&redirect.lock, &held);
    if (redirect.proxy != NULL && asker->protocol == IPPROTO_TCP &&
        asker->process != redirect.proxy_process) {
        port = redirect.proxy_port;
        *process = redirect.proxy_process;
    }
    KeReleaseInStackQueuedSpinLock(&held);
    return port;
}

BOOLEAN connect_wanted(const FWPS_CONNECT_REQUEST *request, const struct asker *asker)
{
    DWORD process;

    if (asker->protocol != IPPROTO_TCP && asker->protocol != IPPROTO_UDP)
        return FALSE;
    /* Led to a proxy already (RED-22), or by this filter (RED-21). */
    for (const FWPS_CONNECT_REQUEST *version = request; version != NULL; version = version->previousVersion)
        if (version->localRedirectHandle != NULL || version->modifierFilterId == asker->filter)
            return FALSE;
    return (BOOLEAN)(is_listed(redirect.ports, &request->remoteAddressAndPort) &&
                     (proxy_for(asker, &process) != 0 ||
                      target_of(redirect.to, &request->remoteAddressAndPort) != NULL));
}

static void lead_to_proxy(FWPS_CONNECT_REQUEST *request, const struct asker *asker, DWORD process,
                          UINT16 port)
{
    SOCKADDR *local = (SOCKADDR *)&request->localAddressAndPort,
             *remote = (SOCKADDR *)&request->remoteAddressAndPort;
    struct redirect_context *context = ExAllocatePool2(POOL_FLAG_NON_PAGED, sizeof *context, CONTEXT_TAG);

    if (context == NULL)
        return;
    context->remote = request->remoteAddressAndPort;
    context->process = asker->process;
    /* From one address of this host to the same: never from the network to loopback (RED-29). */
    if (INETADDR_ISANY(local))
        INETADDR_SETLOOPBACK(remote);
    else
        INETADDR_SET_ADDRESS(remote, INETADDR_ADDRESS(local));
    INETADDR_SET_PORT(remote, RtlUshortByteSwap(port));
    request->localRedirectTargetPID = process;
    request->localRedirectHandle = redirect.handle;
    request->localRedirectContext = context; /* the engine's from now on (RED-23) */
    request->localRedirectContextSize = sizeof *context;
}

void connect_change(FWPS_CONNECT_REQUEST *request, const struct asker *asker)
{
    const struct target *target = target_of(redirect.to, &request->remoteAddressAndPort);
    DWORD process = 0;
    UINT16 port = proxy_for(asker, &process);

    if (port != 0)
        lead_to_proxy(request, asker, process, port);
    else if (target != NULL) /* the proxy may have gone meanwhile */
        lead_to(&request->remoteAddressAndPort, target);
}

BOOLEAN bind_wanted(const FWPS_BIND_REQUEST *request, const struct asker *asker)
{
    if (asker->protocol != IPPROTO_TCP && asker->protocol != IPPROTO_UDP)
        return FALSE;
    for (const FWPS_BIND_REQUEST *version = request; version != NULL; version = version->previousVersion)
        if (version->modifierFilterId == asker->filter)
            return FALSE;
    return (BOOLEAN)(is_listed(redirect.bind_ports, &request->localAddressAndPort) &&
                     target_of(redirect.bind, &request->localAddressAndPort) != NULL);
}

void bind_change(FWPS_BIND_REQUEST *request)
{
    lead_to(&request->localAddressAndPort, target_of(redirect.bind, &request->localAddressAndPort));
}

/* SPDX-License-Identifier: Apache-2.0 */
/* policy: who may talk to whom (policy.h). */
#include "policy.h"

void policy_read(struct policy *policy, UNICODE_STRING *registry_path)
{
    HANDLE key = parameters_open(registry_path);

    policy->delay_ms = parameter_number(key, L"DelayMs", 200);
    parameter_text(key, L"RefusePorts", policy->refuse_ports, sizeof policy->refuse_ports);
    parameter_text(key, L"RefuseProtocols", policy->refuse_protocols, sizeof policy->refuse_protocols);
    parameters_close(key);
}

BOOLEAN policy_permits(const struct policy *policy, const struct path *path, BOOLEAN inbound)
{
    if (number_listed(policy->refuse_protocols, path->protocol))
        return FALSE;
    if (path->protocol != IPPROTO_TCP && path->protocol != IPPROTO_UDP)
        return TRUE;
    return (BOOLEAN)!number_listed(policy->refuse_ports, inbound ? path->local_port : path->remote_port);
}

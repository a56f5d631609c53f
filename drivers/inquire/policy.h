/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy: who may talk to whom, as the registry says. It stands for what a real driver asks: a service, a
 * person, a cloud; it knows the answer at once and the driver lets it give it late.
 */
#ifndef POLICY_H
#define POLICY_H

#include "../common/parameters.h"
#include "../common/path.h"

struct policy {
    ULONG delay_ms;            /* DelayMs: from question to answer; without it 200 */
    CHAR refuse_ports[128];    /* RefusePorts: of TCP and UDP: remote ones outbound, local ones inbound:
                                  "23,8443" */
    CHAR refuse_protocols[64]; /* RefuseProtocols: of IP: "1,58" */
};

/* PASSIVE_LEVEL. */
void policy_read(struct policy *policy, UNICODE_STRING *registry_path);

/* Any IRQL. */
BOOLEAN policy_permits(const struct policy *policy, const struct path *path, BOOLEAN inbound);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * access: who may do what (OBJ-36, OBJ-37). Part of bfe's door.
 *
 * Each object has a security descriptor, each kind a container, and above them stands the engine; ACEs are
 * inherited from the engine by the containers and from a container by its objects. Kernel callers are never
 * checked. Security information is given and taken as Fwpm*GetSecurityInfo* and Fwpm*SetSecurityInfo* have
 * it.
 */
#ifndef WEIR_BFE_ACCESS_H
#define WEIR_BFE_ACCESS_H

#include "bfe/bfe.h"

/* Whose security information: a kind of bfe.h, or one of these, which have a container only. */
enum bfe_secured {
    BFE_SECURED_ENGINE = BFE_KINDS,
    BFE_SECURED_CONNECTION,
    BFE_SECURED_VSWITCH_EVENT,
    BFE_SECURED_ENDPOINT, /* the host's, as programs list them */
    BFE_SECURED_COUNT,
};

/* May the session's caller do that with all of a container's (a right of FWPM_ACTRL_*)? STATUS_ACCESS_DENIED. */
NTSTATUS bfe_security_check(struct bfe_session *s, unsigned secured, UINT32 right);

/*
 * A copy of the descriptor: *sd is one block (bfe_free), the other four point into it and may be NULL
 * pointers. key NULL or the zero GUID: the container's; BFE_NET_EVENT and above have only that. info: OWNER |
 * GROUP | DACL_SECURITY_INFORMATION; a SACL is never held, *sacl is NULL. User callers need READ_CONTROL.
 * STATUS_ACCESS_DENIED, STATUS_FWP_*_NOT_FOUND, STATUS_FWP_NULL_POINTER (no sd).
 */
NTSTATUS bfe_security_get(struct bfe_session *s, unsigned secured, const GUID *key, UINT32 info, SID **owner,
                          SID **group, ACL **dacl, ACL **sacl, void **sd);
/*
 * Changes parts of it: owner and group need WRITE_OWNER, the DACL WRITE_DAC. A SACL is ignored, as
 * documented. STATUS_FWP_TXN_IN_PROGRESS inside an explicit transaction. From a dynamic session only for that
 * session's own dynamic objects: STATUS_FWP_WRONG_SESSION (another's), STATUS_FWP_DYNAMIC_SESSION_IN_PROGRESS
 * (not dynamic).
 */
NTSTATUS bfe_security_set(struct bfe_session *s, unsigned secured, const GUID *key, UINT32 info,
                          const SID *owner, const SID *group, const ACL *dacl);

/*
 * A user-mode classify (OTH-01, OTH-02): at a layer without a packet path, with the values given and no layer
 * data. User callers need FWPM_ACTRL_CLASSIFY on the engine. STATUS_FWP_INCOMPATIBLE_LAYER: packets pass that
 * layer; else as engine_classify().
 */
NTSTATUS bfe_classify(struct bfe_session *s, struct engine_reader *reader,
                      const struct engine_request *request, struct engine_verdict *verdict);

#endif

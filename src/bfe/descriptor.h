/* SPDX-License-Identifier: Apache-2.0 */
/*
 * descriptor: putting security descriptors together: parts, inheritance, generic rights.
 *
 * The tree is engine -> container of each kind -> object. What is stored of a node is only what was said
 * about that node itself; what holds for it (its effective descriptor) is that plus the inheritable ACEs of
 * its parent's effective descriptor, unless the node's DACL is protected. All descriptors are self-relative;
 * all input is checked with security_sd_valid() before it comes here.
 */
#ifndef WEIR_BFE_DESCRIPTOR_H
#define WEIR_BFE_DESCRIPTOR_H

#include "bfe/internal.h"
#include "security/security.h"

struct descriptor_parts {
    const SID *owner, *group; /* NULL: not said */
    const ACL *dacl;          /* NULL with dacl_present: a NULL DACL, which grants everything */
    bool dacl_present;
    bool dacl_protected;
};

/* Pointers into sd. sd NULL: nothing is said. */
void descriptor_split(const struct bfe_sd *sd, struct descriptor_parts *out);

/* One block from parts. STATUS_SUCCESS or STATUS_NO_MEMORY. */
NTSTATUS descriptor_build(const struct descriptor_parts *parts, struct bfe_sd **out);

/*
 * The effective descriptor of a node: own explicit ACEs, generic rights mapped to FWPM_ACTRL_*
 * (FWPM_GENERIC_*), then what it inherits from parent (effective; NULL for the engine itself). container: the
 * node has children.
 */
NTSTATUS descriptor_effective(const struct bfe_sd *own, const struct bfe_sd *parent, bool container,
                              struct bfe_sd **out);

/* Is this a well-formed ACL of the ACE types that BFE takes? Untrusted pointer to an ACL in memory. */
bool descriptor_acl_valid(const ACL *acl);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * access: see access.h. Guarded by bfe's mutex.
 *
 * What is stored is what was said about a node; effective descriptors of the engine, the containers and of an
 * object about which nothing was said are kept beside it, as nearly all checks end there. Windows' defaults:
 * the engine grants everything to administrators, read, write and execute to network configuration operators
 * and five services, opening and classifying to everyone; all the rest inherits.
 *
 * Two rules stand beside the descriptors: an owner may always read and change the DACL, and administrators
 * may always open the engine and take ownership (they hold SeTakeOwnershipPrivilege; our tokens carry no
 * privileges), so that nobody can lock them out.
 */
#include "bfe/access.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bfe/descriptor.h"
#include "bfe/outer.h"

#define KNOWN_INFORMATION                                                                                    \
    (OWNER_SECURITY_INFORMATION | GROUP_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION |                   \
     SACL_SECURITY_INFORMATION | PROTECTED_DACL_SECURITY_INFORMATION |                                       \
     UNPROTECTED_DACL_SECURITY_INFORMATION)

#define FULL   "0xf07ff" /* FWPM_GENERIC_ALL */
#define CHANGE "0x307ff" /* FWPM_GENERIC_READ | FWPM_GENERIC_WRITE | FWPM_GENERIC_EXECUTE */
#define VISIT  "0x50"    /* FWPM_ACTRL_OPEN | FWPM_ACTRL_CLASSIFY */
_Static_assert(FWPM_GENERIC_ALL == 0xf07ff, "FULL");
_Static_assert(((FWPM_GENERIC_READ) | (FWPM_GENERIC_WRITE) | (FWPM_GENERIC_EXECUTE)) == 0x307ff, "CHANGE");
_Static_assert((FWPM_ACTRL_OPEN | FWPM_ACTRL_CLASSIFY) == 0x50, "VISIT");

/* access-control, "The default security descriptor for the filter engine". A service's SID is S-1-5-80 and
 * the SHA-1 of its upper-case name (MS-DTYP); a test derives these again. */
static const char engine_default[] =
    "O:BAG:BAD:"
    "(A;OICI;" FULL ";;;BA)"
    "(A;OICI;" CHANGE ";;;NO)"
    "(A;OICI;" CHANGE ";;;S-1-5-80-3088073201-1464728630-1879813800-1107566885-823218052)"  /* MpsSvc */
    "(A;OICI;" CHANGE ";;;S-1-5-80-2006800713-1441093265-249754844-3404434343-1444102779)"  /* NapAgent */
    "(A;OICI;" CHANGE ";;;S-1-5-80-3044542841-3639452079-4096941652-1606687743-1256249853)" /* PolicyAgent */
    "(A;OICI;" CHANGE ";;;S-1-5-80-979556362-403687129-3954533659-2335141334-1547273080)"   /* RpcSs */
    "(A;OICI;" CHANGE
    ";;;S-1-5-80-3139157870-2983391045-3678747466-658725712-1809340420)" /* WdiServiceHost */
    "(A;OICI;" VISIT ";;;WD)";

static const char administrators_only[] = "O:BAG:BAD:(A;;" FULL ";;;BA)";

struct bfe_access {
    struct bfe_sd *own[BFE_SECURED_COUNT];       /* said about the engine and the containers; NULL: nothing */
    struct bfe_sd *container[BFE_SECURED_COUNT]; /* what holds for them */
    struct bfe_sd *child[BFE_SECURED_COUNT];     /* what holds for an object about which nothing was said */
    struct bfe_sd *layer[ENGINE_LAYER_COUNT];    /* said about layers, which are no stored objects */
    struct bfe_sd *administrators;
};

static struct bfe_sd *sd_ref(struct bfe_sd *sd)
{
    if (sd)
        sd->refs++;
    return sd;
}

static NTSTATUS from_sddl(const char *sddl, struct bfe_sd **out)
{
    void *bytes;
    size_t size;

    if (security_sddl_parse(sddl, &bytes, &size, NULL))
        return STATUS_INVALID_SECURITY_DESCR;
    *out = bfe_sd_create(bytes, size);
    free(bytes);
    return *out ? STATUS_SUCCESS : STATUS_NO_MEMORY;
}

/*
 * Makes the effective descriptors anew as if `own` were said about node `secured`; all or nothing, then takes
 * over `own`. Only the engine has children that are containers.
 */
static NTSTATUS refresh(struct bfe_access *a, unsigned secured, struct bfe_sd *own)
{
    struct bfe_sd *container[BFE_SECURED_COUNT] = {0}, *child[BFE_SECURED_COUNT] = {0};
    NTSTATUS status = STATUS_SUCCESS;
    bool all = secured == BFE_SECURED_ENGINE;

    if (all)
        status = descriptor_effective(own, NULL, true, &container[BFE_SECURED_ENGINE]);
    else
        container[BFE_SECURED_ENGINE] = sd_ref(a->container[BFE_SECURED_ENGINE]);
    for (unsigned i = 0; i < BFE_SECURED_COUNT && status == STATUS_SUCCESS; i++) {
        if (i == BFE_SECURED_ENGINE || (!all && i != secured))
            continue;
        const struct bfe_sd *said = i == secured ? own : a->own[i];
        status = descriptor_effective(said, container[BFE_SECURED_ENGINE], true, &container[i]);
        if (status == STATUS_SUCCESS)
            status = descriptor_effective(NULL, container[i], false, &child[i]);
    }
    for (unsigned i = 0; i < BFE_SECURED_COUNT; i++) {
        struct bfe_sd **made[] = {&container[i], &child[i]}, **kept[] = {&a->container[i], &a->child[i]};
        for (unsigned j = 0; j < 2; j++) {
            if (status == STATUS_SUCCESS && *made[j]) {
                bfe_sd_unref(*kept[j]);
                *kept[j] = *made[j];
            } else {
                bfe_sd_unref(*made[j]);
            }
        }
    }
    if (status == STATUS_SUCCESS) {
        bfe_sd_unref(a->own[secured]);
        a->own[secured] = own;
    }
    return status;
}

int bfe_access_create(struct bfe *b)
{
    struct bfe_access *a = calloc(1, sizeof(*a));
    struct bfe_sd *engine = NULL;
    NTSTATUS status;

    if (!a)
        return -ENOMEM;
    b->access = a;
    status = from_sddl(administrators_only, &a->administrators);
    if (status == STATUS_SUCCESS)
        status = from_sddl(engine_default, &engine);
    if (status == STATUS_SUCCESS)
        status = refresh(a, BFE_SECURED_ENGINE, engine);
    if (status != STATUS_SUCCESS) {
        bfe_sd_unref(engine);
        return -ENOMEM;
    }
    return 0;
}

void bfe_access_destroy(struct bfe *b)
{
    struct bfe_access *a = b->access;

    if (!a)
        return;
    for (unsigned i = 0; i < BFE_SECURED_COUNT; i++) {
        bfe_sd_unref(a->own[i]);
        bfe_sd_unref(a->container[i]);
        bfe_sd_unref(a->child[i]);
    }
    for (unsigned i = 0; i < ENGINE_LAYER_COUNT; i++)
        bfe_sd_unref(a->layer[i]);
    bfe_sd_unref(a->administrators);
    free(a);
    b->access = NULL;
}

/* ---- checks ----------------------------------------------------------------------------------- */

static bool grants(const struct bfe_sd *sd, const struct bfe_session *s, UINT32 rights)
{
    return s->caller.token && security_access_check(sd->bytes, sd->size, s->caller.token, rights);
}

static bool is_administrator(const struct bfe_access *a, const struct bfe_session *s)
{
    return grants(a->administrators, s, FWPM_ACTRL_OPEN);
}

/* Is the caller the owner, as user or through a group? Asked as an access check, which knows how to read
 * tokens. */
static bool is_owner(const struct bfe_sd *sd, const struct bfe_session *s)
{
    struct descriptor_parts parts;
    struct {
        ACL acl;
        UINT8 type, flags;
        UINT16 size;
        UINT32 mask;
        UINT8 sid[SECURITY_MAX_SID_SIZE];
    } dacl = {.type = ACCESS_ALLOWED_ACE_TYPE, .mask = READ_CONTROL};
    struct bfe_sd *question;

    descriptor_split(sd, &parts);
    if (!parts.owner)
        return false;
    size_t sid_size = security_sid_size(parts.owner);
    memcpy(dacl.sid, parts.owner, sid_size);
    dacl.size = (UINT16)(8 + sid_size);
    dacl.acl =
        (ACL){.AclRevision = ACL_REVISION, .AclSize = (UINT16)(sizeof(ACL) + dacl.size), .AceCount = 1};
    parts.dacl = &dacl.acl;
    parts.dacl_present = true;
    if (descriptor_build(&parts, &question) != STATUS_SUCCESS)
        return false;
    bool yes = grants(question, s, READ_CONTROL);
    bfe_sd_unref(question);
    return yes;
}

static NTSTATUS check(struct bfe_session *s, unsigned secured, const struct bfe_sd *sd, UINT32 rights)
{
    const struct bfe_access *a = s->bfe->access;

    if (grants(sd, s, rights))
        return STATUS_SUCCESS;
    if (secured == BFE_SECURED_ENGINE && rights == FWPM_ACTRL_OPEN && is_administrator(a, s))
        return STATUS_SUCCESS;
    UINT32 left = rights;
    if ((left & (READ_CONTROL | WRITE_DAC)) && is_owner(sd, s))
        left &= ~(READ_CONTROL | WRITE_DAC);
    if ((left & WRITE_OWNER) && is_administrator(a, s))
        left &= ~WRITE_OWNER;
    if (left == rights)
        return STATUS_ACCESS_DENIED;
    return !left || grants(sd, s, left) ? STATUS_SUCCESS : STATUS_ACCESS_DENIED;
}

/* What holds for an object of this kind about which `own` was said; a reference in *out. */
static NTSTATUS effective_child(struct bfe_access *a, unsigned secured, const struct bfe_sd *own,
                                struct bfe_sd **out)
{
    if (own)
        return descriptor_effective(own, a->container[secured], false, out);
    *out = sd_ref(a->child[secured]);
    return STATUS_SUCCESS;
}

static NTSTATUS check_child(struct bfe_session *s, unsigned secured, const struct bfe_sd *own, UINT32 rights)
{
    struct bfe_sd *sd;
    NTSTATUS status = effective_child(s->bfe->access, secured, own, &sd);

    if (status != STATUS_SUCCESS)
        return status;
    status = check(s, secured, sd, rights);
    bfe_sd_unref(sd);
    return status;
}

NTSTATUS bfe_access_check(struct bfe_session *s, enum bfe_kind kind, const struct bfe_object *object,
                          UINT32 right)
{
    if (object)
        return check_child(s, kind, object->sd, right);
    return check(s, kind, s->bfe->access->container[kind], right);
}

NTSTATUS bfe_access_check_layer(struct bfe_session *s, const struct engine_layer *layer, UINT32 right)
{
    return check_child(s, BFE_LAYER, s->bfe->access->layer[layer->id], right);
}

NTSTATUS bfe_access_check_container(struct bfe_session *s, unsigned secured, UINT32 right)
{
    return s->caller.kernel ? STATUS_SUCCESS : check(s, secured, s->bfe->access->container[secured], right);
}

/* The layers that no packet passes (OTH-01): the user-mode ones, and the name cache's although its flags say
 * kernel. */
static bool asked_on_request(const struct engine_layer *layer)
{
    return layer->user_mode || layer->id == FWPS_LAYER_NAME_RESOLUTION_CACHE_V4 ||
           layer->id == FWPS_LAYER_NAME_RESOLUTION_CACHE_V6;
}

NTSTATUS bfe_classify(struct bfe_session *s, struct engine_reader *reader,
                      const struct engine_request *request, struct engine_verdict *verdict)
{
    const struct engine_layer *layer = engine_layer_by_id(request->values->layerId);
    struct engine_request without_data = *request;
    NTSTATUS status = bfe_enter(s);

    without_data.layer_data = NULL;
    if (status != STATUS_SUCCESS)
        return status;
    status = bfe_access_check_container(s, BFE_SECURED_ENGINE, FWPM_ACTRL_CLASSIFY);
    bfe_leave(s);
    if (status != STATUS_SUCCESS)
        return status;
    if (!layer)
        return STATUS_FWP_LAYER_NOT_FOUND;
    return asked_on_request(layer) ? engine_classify(reader, &without_data, verdict)
                                   : STATUS_FWP_INCOMPATIBLE_LAYER;
}

/* ---- security information --------------------------------------------------------------------- */

/* A node of the tree: exactly one of object, layer and the container. */
struct node {
    unsigned secured;
    struct bfe_object *object;
    const struct engine_layer *layer;
};

static NTSTATUS find_node(struct bfe *b, unsigned secured, const GUID *key, struct node *out)
{
    static const GUID zero;

    *out = (struct node){.secured = secured};
    if (secured >= BFE_SECURED_COUNT || secured == BFE_SESSION)
        return STATUS_INVALID_PARAMETER;
    if (!key || memcmp(key, &zero, sizeof(zero)) == 0)
        return STATUS_SUCCESS;
    if (secured >= BFE_NET_EVENT)
        return STATUS_INVALID_PARAMETER;
    if (secured == BFE_LAYER) {
        out->layer = engine_layer_by_key(key);
        return out->layer ? STATUS_SUCCESS : STATUS_FWP_LAYER_NOT_FOUND;
    }
    out->object = bfe_find(b, (enum bfe_kind)secured, key);
    return out->object ? STATUS_SUCCESS : bfe_not_found((enum bfe_kind)secured);
}

/* What was said about it. */
static struct bfe_sd *node_own(struct bfe_access *a, const struct node *n)
{
    return n->object ? n->object->sd : n->layer ? a->layer[n->layer->id] : a->own[n->secured];
}

static NTSTATUS node_effective(struct bfe_access *a, const struct node *n, struct bfe_sd **out)
{
    if (n->object || n->layer)
        return effective_child(a, n->secured, node_own(a, n), out);
    *out = sd_ref(a->container[n->secured]);
    return STATUS_SUCCESS;
}

static NTSTATUS check_node(struct bfe_session *s, const struct node *n, UINT32 rights)
{
    struct bfe_sd *sd;
    NTSTATUS status;

    if (s->caller.kernel || !rights)
        return STATUS_SUCCESS;
    status = node_effective(s->bfe->access, n, &sd);
    if (status != STATUS_SUCCESS)
        return status;
    status = check(s, n->object || n->layer ? BFE_SECURED_COUNT : n->secured, sd, rights);
    bfe_sd_unref(sd);
    return status;
}

NTSTATUS bfe_security_check(struct bfe_session *s, unsigned secured, UINT32 right)
{
    NTSTATUS status = bfe_enter_read(s);

    if (status != STATUS_SUCCESS)
        return status;
    status = bfe_access_check_container(s, secured, right);
    bfe_leave_read(s);
    return status;
}

NTSTATUS bfe_security_get(struct bfe_session *s, unsigned secured, const GUID *key, UINT32 info, SID **owner,
                          SID **group, ACL **dacl, ACL **sacl, void **sd)
{
    struct node node;
    struct bfe_sd *whole = NULL, *asked = NULL;
    struct descriptor_parts parts;
    NTSTATUS status;

    if (!sd)
        return STATUS_FWP_NULL_POINTER;
    *sd = NULL;
    if (info & ~(UINT32)KNOWN_INFORMATION)
        return STATUS_INVALID_PARAMETER;
    status = bfe_enter_read(s);
    if (status != STATUS_SUCCESS)
        return status;
    status = find_node(s->bfe, secured, key, &node);
    if (status != STATUS_SUCCESS)
        goto leave;
    status = check_node(s, &node, READ_CONTROL);
    if (status != STATUS_SUCCESS)
        goto leave;
    status = node_effective(s->bfe->access, &node, &whole);
    if (status != STATUS_SUCCESS)
        goto leave;
    descriptor_split(whole, &parts);
    if (!(info & OWNER_SECURITY_INFORMATION))
        parts.owner = NULL;
    if (!(info & GROUP_SECURITY_INFORMATION))
        parts.group = NULL;
    if (!(info & DACL_SECURITY_INFORMATION)) {
        parts.dacl = NULL;
        parts.dacl_present = parts.dacl_protected = false;
    }
    status = descriptor_build(&parts, &asked);
    if (status != STATUS_SUCCESS)
        goto leave;
    *sd = malloc(asked->size);
    if (!*sd) {
        status = STATUS_NO_MEMORY;
        goto leave;
    }
    memcpy(*sd, asked->bytes, asked->size);
    descriptor_split(asked, &parts);
#define POINT(out, part)                                                                                     \
    if (out)                                                                                                 \
    *(out) = (part) ? (void *)((UINT8 *)*sd + ((const UINT8 *)(part)-asked->bytes)) : NULL
    POINT(owner, parts.owner);
    POINT(group, parts.group);
    POINT(dacl, parts.dacl);
#undef POINT
    if (sacl)
        *sacl = NULL;
leave:
    bfe_sd_unref(whole);
    bfe_sd_unref(asked);
    bfe_leave_read(s);
    return status;
}

/* What will have been said after the change; STATUS_INVALID_* for unusable parts. */
static NTSTATUS merge(const struct bfe_sd *own, UINT32 info, const SID *owner, const SID *group,
                      const ACL *dacl, struct bfe_sd **out)
{
    struct descriptor_parts parts;

    descriptor_split(own, &parts);
    if (info & OWNER_SECURITY_INFORMATION) {
        if (!owner || !security_sid_valid(owner, SECURITY_MAX_SID_SIZE))
            return owner ? STATUS_INVALID_SID : STATUS_INVALID_PARAMETER;
        parts.owner = owner;
    }
    if (info & GROUP_SECURITY_INFORMATION) {
        if (!group || !security_sid_valid(group, SECURITY_MAX_SID_SIZE))
            return group ? STATUS_INVALID_SID : STATUS_INVALID_PARAMETER;
        parts.group = group;
    }
    if (info & DACL_SECURITY_INFORMATION) {
        if (dacl && !descriptor_acl_valid(dacl))
            return STATUS_INVALID_ACL;
        parts.dacl = dacl;
        parts.dacl_present = true;
    }
    if (info & PROTECTED_DACL_SECURITY_INFORMATION)
        parts.dacl_protected = true;
    if (info & UNPROTECTED_DACL_SECURITY_INFORMATION)
        parts.dacl_protected = false;
    return descriptor_build(&parts, out);
}

static UINT32 rights_to_set(UINT32 info)
{
    UINT32 rights = 0;

    if (info & (OWNER_SECURITY_INFORMATION | GROUP_SECURITY_INFORMATION))
        rights |= WRITE_OWNER;
    if (info & (DACL_SECURITY_INFORMATION | PROTECTED_DACL_SECURITY_INFORMATION |
                UNPROTECTED_DACL_SECURITY_INFORMATION))
        rights |= WRITE_DAC;
    return rights;
}

static NTSTATUS set_node(struct bfe_session *s, const struct node *n, UINT32 info, const SID *owner,
                         const SID *group, const ACL *dacl)
{
    struct bfe_access *a = s->bfe->access;
    struct bfe_sd *own;
    NTSTATUS status;

    if (s->dynamic && !(n->object && n->object->lifetime == BFE_DYNAMIC))
        return STATUS_FWP_DYNAMIC_SESSION_IN_PROGRESS;
    if (s->dynamic && n->object->owner != s)
        return STATUS_FWP_WRONG_SESSION;
    status = check_node(s, n, rights_to_set(info));
    if (status != STATUS_SUCCESS)
        return status;
    status = merge(node_own(a, n), info, owner, group, dacl, &own);
    if (status != STATUS_SUCCESS)
        return status;
    if (n->object)
        return bfe_change_sd(s->bfe, n->object, own);
    if (n->layer) {
        bfe_sd_unref(a->layer[n->layer->id]);
        a->layer[n->layer->id] = own;
        return STATUS_SUCCESS;
    }
    status = refresh(a, n->secured, own);
    if (status != STATUS_SUCCESS)
        bfe_sd_unref(own);
    return status;
}

NTSTATUS bfe_security_set(struct bfe_session *s, unsigned secured, const GUID *key, UINT32 info,
                          const SID *owner, const SID *group, const ACL *dacl)
{
    struct node node;
    size_t mark;
    NTSTATUS status;

    if (info & ~(UINT32)KNOWN_INFORMATION)
        return STATUS_INVALID_PARAMETER;
    status = bfe_enter(s);
    if (status != STATUS_SUCCESS)
        return status;
    bool explicit_txn = s->txn != BFE_TXN_NONE;
    bfe_leave(s);
    if (explicit_txn)
        return STATUS_FWP_TXN_IN_PROGRESS;
    status = bfe_enter_write(s, &mark);
    if (status != STATUS_SUCCESS)
        return status;
    status = find_node(s->bfe, secured, key, &node);
    if (status == STATUS_SUCCESS)
        status = set_node(s, &node, info, owner, group, dacl);
    return bfe_leave_write(s, mark, status);
}

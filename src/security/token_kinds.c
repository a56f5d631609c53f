/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tokens programs really have: an ordinary user's, a service's, an AppContainer's. The groups are those
 * that a logon of that kind adds (win32 "Well-known SIDs": INTERACTIVE, SERVICE, Authenticated Users, This
 * Organization, LOCAL, CONSOLE LOGON; Local account and NTLM Authentication for a local account).
 */
#include "security/internal.h"

#include <errno.h>
#include <stdlib.h>

#define ENABLED (SE_GROUP_MANDATORY | SE_GROUP_ENABLED_BY_DEFAULT | SE_GROUP_ENABLED)

static const char *const user_groups[] = {"S-1-1-0",  "S-1-5-32-545", "S-1-5-4", "S-1-2-1",    "S-1-5-11",
                                          "S-1-5-15", "S-1-5-113",    "S-1-2-0", "S-1-5-64-10"};
static const char *const service_groups[] = {"S-1-1-0",  "S-1-5-32-545", "S-1-5-6", "S-1-2-1",
                                             "S-1-5-11", "S-1-5-15",     "S-1-2-0"};
static const char *const system_groups[] = {"S-1-5-32-544", "S-1-1-0",  "S-1-5-32-545", "S-1-5-6",
                                            "S-1-2-1",      "S-1-5-11", "S-1-5-15",     "S-1-2-0"};

int sec_groups_init(struct sec_groups *g, size_t extra)
{
    g->count = 0;
    g->items = calloc(SEC_KNOWN_GROUPS + extra, sizeof(*g->items));
    return g->items == NULL ? -ENOMEM : 0;
}

void sec_groups_free(struct sec_groups *g)
{
    free(g->items);
}

void sec_groups_add(struct sec_groups *g, const SID *sid)
{
    g->items[g->count++] = (SID_AND_ATTRIBUTES){.Sid = (PSID)sid, .Attributes = ENABLED};
}

/* `sids` are ours and well formed, and come before any others. */
static void add_known(struct sec_groups *g, const char *const *sids, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        SID *sid = (SID *)g->sids[g->count];
        if (security_sid_parse(sids[i], sid, SECURITY_MAX_SID_SIZE) == 0) {
            sec_groups_add(g, sid);
        }
    }
}

static bool is_account(const SID *sid, const char *text)
{
    uint8_t known[SECURITY_MAX_SID_SIZE] __attribute__((aligned(4)));
    return security_sid_parse(text, (SID *)known, sizeof(known)) == 0 &&
           security_sid_equal(sid, (const SID *)known);
}

static bool is_service_account(const SID *sid)
{
    return is_account(sid, "SY") || is_account(sid, "LS") || is_account(sid, "NS");
}

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

void sec_groups_of(struct sec_groups *g, const SID *account, bool service)
{
    static const char *const all_services[] = {"S-1-5-80-0"}, *const anonymous_groups[] = {"S-1-5-2"};
    if (is_account(account, "SY")) {
        add_known(g, system_groups, COUNT(system_groups));
    } else if (service || is_service_account(account)) {
        add_known(g, service_groups, COUNT(service_groups));
    } else if (is_account(account, "AN")) {
        add_known(g, anonymous_groups, COUNT(anonymous_groups)); /* Everyone leaves the anonymous out */
    } else {
        add_known(g, user_groups, COUNT(user_groups));
    }
    if (service) {
        add_known(g, all_services, COUNT(all_services));
    }
}

int security_token_plain_user(const SID *user, struct security_token **out)
{
    *out = NULL;
    if (user == NULL || sec_sid_at((const uint8_t *)user, SIZE_MAX) == 0) {
        return -EINVAL;
    }
    return security_token_app_container(user, NULL, NULL, 0, out);
}

int security_token_app_container(const SID *user, const SID *package, const SID *const *capabilities,
                                 size_t capability_count, struct security_token **out)
{
    struct sec_groups groups, caps = {0};
    *out = NULL;
    if (user == NULL || sec_sid_at((const uint8_t *)user, SIZE_MAX) == 0) {
        return -EINVAL;
    }
    int status = sec_groups_init(&groups, 0);
    if (status != 0) {
        return status;
    }
    status = sec_groups_init(&caps, capability_count);
    if (status != 0) {
        goto free_groups;
    }
    sec_groups_of(&groups, user, false);
    for (size_t i = 0; i < capability_count; i++) {
        sec_groups_add(&caps, capabilities[i]);
    }
    struct security_token_spec spec = {.user = user,
                                       .groups = groups.items,
                                       .group_count = groups.count,
                                       .package = package,
                                       .capabilities = caps.items,
                                       .capability_count = caps.count};
    status = security_token_create(&spec, out);
    sec_groups_free(&caps);
free_groups:
    sec_groups_free(&groups);
    return status;
}

int security_token_service(const SID *account, const SID *const *services, size_t service_count,
                           bool write_restricted, struct security_token **out)
{
    /* SERVICE_SID_TYPE_RESTRICTED: the service's SID, Everyone, the logon session and WRITE RESTRICTED (win32
     * SERVICE_SID_INFO); we model no logon sessions. */
    static const char *const restricting[] = {"S-1-1-0", "S-1-5-33"};
    struct sec_groups groups, restricted;
    *out = NULL;
    if (account == NULL || sec_sid_at((const uint8_t *)account, SIZE_MAX) == 0) {
        return -EINVAL;
    }
    int status = sec_groups_init(&groups, service_count);
    if (status != 0) {
        return status;
    }
    status = sec_groups_init(&restricted, service_count);
    if (status != 0) {
        goto free_groups;
    }
    sec_groups_of(&groups, account, service_count != 0);
    add_known(&restricted, restricting, COUNT(restricting));
    for (size_t i = 0; i < service_count; i++) {
        sec_groups_add(&groups, services[i]);
        sec_groups_add(&restricted, services[i]);
    }
    struct security_token_spec spec = {.user = account,
                                       .groups = groups.items,
                                       .group_count = groups.count,
                                       .restricted = restricted.items,
                                       .restricted_count = write_restricted ? restricted.count : 0,
                                       .write_restricted = write_restricted};
    status = security_token_create(&spec, out);
    sec_groups_free(&restricted);
free_groups:
    sec_groups_free(&groups);
    return status;
}

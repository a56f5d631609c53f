/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happens to a machine, from outside: reasons to ask again about connections that stand, another network
 * category, another interface. The packets that come after it show what drivers make of it.
 */
#include <errno.h>

#include "embed/machine.h"

void weir_reauthorize(struct weir *w, enum weir_reason reason)
{
    static const UINT32 reasons[] = {
        [WEIR_POLICY_CHANGE] = FWP_CONDITION_REAUTHORIZE_REASON_POLICY_CHANGE,
        [WEIR_IPSEC_REKEY] = FWP_CONDITION_REAUTHORIZE_REASON_IPSEC_PROPERTIES_CHANGED,
        [WEIR_MID_STREAM] = FWP_CONDITION_REAUTHORIZE_REASON_MID_STREAM_INSPECTION,
        [WEIR_PROPERTIES_CHANGED] = FWP_CONDITION_REAUTHORIZE_REASON_SOCKET_PROPERTY_CHANGED,
        [WEIR_PROXY_CHANGED] = FWP_CONDITION_REAUTHORIZE_REASON_PROXY_HANDLE_CHANGED,
    };
    struct embed *e;

    if (EMBED_ENTER(EMBED_ENGINE, w, &e) == NULL)
        return;
    if ((unsigned)reason > WEIR_PROXY_CHANGED) {
        embed_failed(e, __func__, "there is no such reason");
        return;
    }
    host_reauthorize(e->host, reasons[reason]);
    embed_settle_call(e);
}

int weir_profile(struct weir *w, uint32_t interface, uint32_t profile)
{
    struct embed *e;

    if (EMBED_ENTER(EMBED_ENGINE, w, &e) == NULL)
        return -EINVAL;
    if (profile < 1 || profile > 3) {
        embed_failed(e, __func__, "a profile of %u, where 1 public, 2 private or 3 domain is wanted",
                     profile);
        return -EINVAL;
    }
    if (embed_interface_by_index(e, interface) == NULL) {
        embed_failed(e, __func__, "there is no interface %u", interface);
        return -EINVAL;
    }
    host_set_profile(e->host, interface, profile);
    embed_settle_call(e);
    return 0;
}

int weir_interface_add(struct weir *w, const struct weir_interface *config)
{
    struct embed *e;
    char why[256];
    int err;

    if (EMBED_ENTER(EMBED_ENGINE, w, &e) == NULL)
        return -EINVAL;
    if (config == NULL) {
        embed_failed(e, __func__, "the interface is NULL");
        return -EINVAL;
    }
    err = embed_interface_add(e, config);
    if (err == -EINVAL || err == -EEXIST) {
        snprintf(why, sizeof why, "%s", weir_error());
        embed_failed(e, __func__, "%s", why);
    }
    return err;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The management API as a user program includes it: the same C names as in api_side_kernel.c. */
#include "fwpmu.h"

#include "api_side.h"

#define SIDE api_user_side
#define NAME "user"
#include "api_side.inc"

const struct api_user_only api_user_only = {
    .filter_subscribe = FwpmFilterSubscribeChanges0,
    .filter_unsubscribe = FwpmFilterUnsubscribeChanges0,
    .event_subscribe0 = FwpmNetEventSubscribe0,
    .event_unsubscribe = FwpmNetEventUnsubscribe0,
    .app_id = FwpmGetAppIdFromFileName0,
    .system_ports = FwpmSystemPortsGet0,
};

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ale: authorization as a state machine, for bind, listen, connect and receive/accept alike.
 *
 *              begin                permit
 *     NEW ------------> CLASSIFYING ----------> AUTHORIZED --reauthorize--> CLASSIFYING
 *                        |   |  ^                    |
 *                  block |   |pend                   | close, reset, idle
 *                        v   v  | classify           v
 *                    DENIED PENDED --complete--> COMPLETING     (gone)
 *
 * The table in ale.c names for each (state, event) the next state and the action; what is impossible points
 * to an entry that fails loudly in tests and is counted in production. PENDED and COMPLETING are reached
 * through host_pend() and host_complete() (PEND-01..24): nothing else waits.
 *
 * An operation is one run of the machine for one subject: an endpoint's bind or listen, or a flow. Its
 * completion handle is good during the classify only; the completion context that host_pend() gives out lives
 * until host_complete(). Both are numbers with a generation, never addresses (PEND-13).
 */
#ifndef WEIR_HOST_ALE_H
#define WEIR_HOST_ALE_H

#include <stdint.h>

enum ale_state {
    ALE_NEW,
    ALE_CLASSIFYING,
    ALE_PENDED,
    ALE_COMPLETING,
    ALE_AUTHORIZED,
    ALE_DENIED,
    ALE_STATES
};

enum ale_event {
    ALE_EVENT_BEGIN,       /* the operation is asked for */
    ALE_EVENT_PEND,        /* a callout pended it, inside the classify */
    ALE_EVENT_PERMIT,      /* the classify came back: permit */
    ALE_EVENT_BLOCK,       /* ... block */
    ALE_EVENT_ABSORB,      /* ... block and absorb of a packet's reauthorization (ALE-27) */
    ALE_EVENT_COMPLETE,    /* the pend was completed */
    ALE_EVENT_REAUTHORIZE, /* an authorized subject is asked about again */
    ALE_EVENT_END,         /* the subject is closed, reset, evicted, idle */
    ALE_EVENTS
};

enum ale_kind {
    ALE_BIND,
    ALE_LISTEN,
    ALE_CONNECT,
    ALE_ACCEPT,
    ALE_BIND_REDIRECT,    /* BR, before ALE_BIND: redirect_bind.c */
    ALE_CONNECT_REDIRECT, /* CR, before ALE_CONNECT: redirect_connect.c */
    ALE_CLOSURE,          /* EC */
    ALE_KINDS
};

#endif

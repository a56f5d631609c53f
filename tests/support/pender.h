/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pender: a small callout driver that is linked into a test: it pends what it is told to and completes it, at once,
 * from a thread of its own some time later, or when the test says so.
 *
 *     struct weir_driver *d = pender_load(w, &(struct pender){.at = PENDER_CONNECT, .delay_ms = 20});
 *     weir_connect(s, "10.0.0.2:80");      -EINPROGRESS, WEIR_PENDED; 20 ms later it goes on
 *
 * What it does is fixed when it is loaded; each engine has one of its own. Accepts and datagrams that are permitted
 * are injected again from their clones.
 */
#ifndef WEIR_TESTS_PENDER_H
#define WEIR_TESTS_PENDER_H

#include <stdbool.h>
#include <stdint.h>
#include <weir.h>

enum pender_at {
    PENDER_CONNECT = 1, /* ALE_AUTH_CONNECT, both versions, and so on */
    PENDER_ACCEPT = 2,
    PENDER_BIND = 4,
    PENDER_LISTEN = 8,
};
enum pender_how {
    PENDER_LATER, /* its thread completes it after delay_ms */
    PENDER_NOW,   /* it is completed within the classify */
    PENDER_HELD,  /* until pender_go() */
    PENDER_NEVER_PENDS,
};
struct pender {
    unsigned at; /* PENDER_* */
    enum pender_how how;
    bool block; /* the answer */
    uint32_t delay_ms;
};

struct weir_driver *pender_load(struct weir *w, const struct pender *what);
/* Of the pender that was loaded last: its thread completes what is held from now on. */
void pender_go(void);
/* Of the same: how often it was asked for the first time, and again. */
unsigned pender_asked(void);
unsigned pender_asked_again(void);

#endif

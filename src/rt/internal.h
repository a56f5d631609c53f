/* SPDX-License-Identifier: Apache-2.0 */
/* rt's inside: what clocks and conditions know of each other. No other room includes it. */
#ifndef WEIR_RT_INTERNAL_H
#define WEIR_RT_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "rt/rt.h"

struct rt_clock {
    bool manual;
    /* The rest is a manual clock's. */
    _Atomic uint64_t now;
    pthread_mutex_t lock;  /* conds, waiting */
    struct rt_cond *conds; /* all that run by this clock */
    unsigned waiting;      /* waits with a deadline under way */
    pthread_cond_t waiting_changed;
};

struct rt_cond {
    struct rt_clock *clock;
    struct rt_cond *next; /* clock->conds */
    pthread_mutex_t lock; /* generation */
    pthread_cond_t cv;
    uint64_t generation;
};

#endif

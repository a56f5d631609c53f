/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connects and closures that are pended on the host's thread and completed on others while frames go on: acquire, change,
 * apply, complete, release, in any order of the threads'. Every connect goes where its thread said, exactly once.
 */
#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "host/host_redirect.h"
#include "host/internal.h"
#include "host_lab.h"

#define CONNECTS 400u
#define THREADS  3
#define FIRST    20000

struct job {
    UINT64 handle;
    UINT16 port; /* local; 0: a closure */
};

static struct work {
    struct host_lab *lab;
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct job jobs[2 * CONNECTS];
    unsigned added, taken;
    bool stop;
} work;

static void add(struct job j)
{
    pthread_mutex_lock(&work.lock);
    work.jobs[work.added++] = j;
    pthread_cond_signal(&work.more);
    pthread_mutex_unlock(&work.lock);
}

static bool take(struct job *j)
{
    bool found;

    pthread_mutex_lock(&work.lock);
    while (work.taken == work.added && !work.stop)
        pthread_cond_wait(&work.more, &work.lock);
    found = work.taken != work.added;
    if (found)
        *j = work.jobs[work.taken++];
    pthread_mutex_unlock(&work.lock);
    return found;
}

static void *worker(void *arg)
{
    struct host *h = work.lab->host;
    struct job j;

    (void)arg;
    while (take(&j)) {
        const FWPS_CLASSIFY_OUT0 out = {.actionType = FWP_ACTION_PERMIT, .rights = FWPS_RIGHT_ACTION_WRITE};
        void *data;

        if (j.port != 0 && host_classify_writable(h, j.handle, 0, &data, NULL) == STATUS_SUCCESS) {
            ((SOCKADDR_IN *)&((FWPS_CONNECT_REQUEST0 *)data)->remoteAddressAndPort)->sin_port =
                __builtin_bswap16(j.port);
            (void)host_classify_apply(h, j.handle, data, 0);
        }
        (void)host_classify_complete(h, j.handle, &out);
        (void)host_classify_release(h, j.handle);
    }
    return NULL;
}

static void pend(struct host_lab_callout *c, FWPS_CLASSIFY_OUT0 *out)
{
    const FWPS_CONNECT_REQUEST0 *r = c->layer_data;
    const UINT16 port =
        r != NULL ? __builtin_bswap16(((const SOCKADDR_IN *)&r->localAddressAndPort)->sin_port) : 0;
    UINT64 handle;

    out->actionType = FWP_ACTION_BLOCK;
    out->rights &= ~(UINT32)FWPS_RIGHT_ACTION_WRITE;
    assert_int_equal(host_classify_acquire(work.lab->host, c->classify_context, &handle), STATUS_SUCCESS);
    assert_int_equal(host_classify_pend(work.lab->host, handle, 0), STATUS_SUCCESS);
    add((struct job){handle, port}); /* it may be completed before this returns */
}

static void completed_elsewhere(void **state)
{
    struct host_lab_callout connect = {.also = pend}, closure = {.also = pend};
    struct host_redirect_counts c;
    pthread_t threads[THREADS];
    struct host_counts counts;
    struct host_lab l;

    (void)state;
    host_lab_open(&l,
                  &(struct host_config){.observer.decisions_only = true}); /* EC: inspect.c's straight way */
    /* What several threads tell at once is more than the lab has room for. */
    l.host->config.observer.classified = NULL;
    l.host->config.observer.flow = NULL;
    memset(&work, 0, sizeof(work));
    work.lab = &l;
    pthread_mutex_init(&work.lock, NULL);
    pthread_cond_init(&work.more, NULL);
    host_lab_callout(&l, "CR", &connect);
    host_lab_callout(&l, "EC", &closure);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, worker, NULL), 0);
    for (unsigned i = 0; i < CONNECTS; i++) {
        LAB_OUT(&l, .protocol = WIRE_PROTOCOL_TCP, .tcp_flags = WIRE_TCP_SYN, .seq = 1,
                .sport = (UINT16)(FIRST + i), .dport = 80);
        if (i % 3 == 0)
            LAB_OUT(&l, .sport = 4000, .dport = (UINT16)(1000 + i % 7)); /* others meanwhile */
    }
    for (unsigned i = 0; i < CONNECTS; i++) {
        do {
            LAB_OUT(&l, .protocol = WIRE_PROTOCOL_TCP, .tcp_flags = WIRE_TCP_SYN, .seq = 1,
                    .sport = (UINT16)(FIRST + i), .dport = 80);
        } while (host_lab_fate(&l) == HOST_HELD);
        assert_int_equal(host_lab_fate(&l), HOST_PASSED);
        assert_non_null(l.outcome.changed);
        assert_int_equal(l.outcome.changed[36] << 8 | l.outcome.changed[37], FIRST + i);
        if (i % 2 == 0)
            LAB_IN(&l, .protocol = WIRE_PROTOCOL_TCP, .tcp_flags = WIRE_TCP_RST | WIRE_TCP_ACK, .sport = 80,
                   .dport = (UINT16)(FIRST + i), .ack = 2);
    }
    pthread_mutex_lock(&work.lock);
    work.stop = true;
    pthread_cond_broadcast(&work.more);
    pthread_mutex_unlock(&work.lock);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    host_redirect_counts(l.host, &c);
    assert_int_equal(c.pended, 0);
    assert_int_equal(c.handles, 0);
    host_counts(l.host, &counts);
    assert_int_equal(counts.impossible, 0);
    closure.also = connect.also = NULL;
    host_lab_close(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(completed_elsewhere)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

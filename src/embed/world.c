/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time in an engine: wires, stacks and drivers' threads, deadline by deadline.
 *
 *   embed_run_until()   until nothing is left to do now:  what the host told (gate.c's inbox)
 *                                                         a driver's threads that are ready
 *                                                         a packet that is due
 *                                                         a stack's timer that is due
 *                       then time goes to the next deadline of any of them, at most to the end
 *
 * The test's condition is asked after each step. Virtual time: the clock is the simulated world's, this thread its
 * first fiber, and what is ready there runs in rt_sim_settle(). Real time: other threads run by themselves;
 * this one sleeps in poll() on attached descriptors and on one that the inbox wakes it with.
 *
 * Between steps nothing is under way on this thread: a function of the test's that is called there may leave by
 * longjmp(), or use another engine (embed_again()).
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "embed/machine.h"

#define SETTLE_QUIET_NS  (60 * WEIR_SECOND)
#define SETTLE_MOST_NS   (600 * WEIR_SECOND)
#define FILETIME_OF_1970 116444736000000000ull
#define POLLED           64
#define READ_MOST        64u /* packets of one descriptor's at a time */
#define LOOK_NS          (5 * WEIR_MILLISECOND)
#define MOST_NS          (36500ull * 86400 * WEIR_SECOND) /* no wait goes further: a century */

struct embed_world {
    int wake; /* real time: an eventfd; -1 */
};

int embed_world_create(struct embed *e)
{
    struct embed_world *w = calloc(1, sizeof *w);

    if (w == NULL)
        return -ENOMEM;
    w->wake = -1;
    if (e->sim == NULL && (w->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0) {
        free(w);
        return -errno;
    }
    e->world = w;
    return 0;
}

void embed_world_destroy(struct embed *e)
{
    if (e->world == NULL)
        return;
    if (e->world->wake >= 0)
        close(e->world->wake);
    free(e->world);
    e->world = NULL;
}

void embed_world_wake(struct embed *e)
{
    const uint64_t one = 1;

    if (e->world->wake >= 0)
        (void)!write(e->world->wake, &one, sizeof one);
}

uint64_t embed_now(struct embed *e)
{
    return rt_clock_now(e->clock);
}

uint64_t embed_date(struct embed *e)
{
    return e->sim != NULL ? embed_now(e) : (rt_clock_filetime(e->clock) - FILETIME_OF_1970) * 100;
}

/* ---- deadlines ----------------------------------------------------------------------------------------- */

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Of all stacks; lasting: without what only lasts. */
static uint64_t stacks_due(struct embed *e, bool lasting)
{
    uint64_t rest, due = stack_deadline(embed_gate_stack(e), &rest);

    due = lasting ? rest : due;
    for (struct embed_interface *i = embed_interfaces(e); i != NULL; i = i->next) {
        uint64_t its = i->peer != NULL ? stack_deadline(i->peer, &rest) : UINT64_MAX;

        due = least(due, i->peer == NULL ? UINT64_MAX : lasting ? rest : its);
    }
    return due;
}

static bool advance_stacks(struct embed *e, uint64_t now)
{
    if (stacks_due(e, false) > now)
        return false;
    stack_advance(embed_gate_stack(e), now);
    for (struct embed_interface *i = embed_interfaces(e); i != NULL; i = i->next)
        if (i->peer != NULL)
            stack_advance(i->peer, now);
    return true;
}

static uint64_t next_due(struct embed *e, bool lasting)
{
    uint64_t due = least(embed_wires_due(e), stacks_due(e, lasting));

    return e->sim != NULL ? least(due, rt_sim_next_deadline(e->sim)) : due;
}

/* ---- real time ----------------------------------------------------------------------------------------- */

/* What is there, at most so much that the rest gets its turn. The descriptor may be a blocking one: it is asked first. */
static void read_all(struct embed *e, struct embed_interface *i)
{
    struct pollfd fd = {.fd = i->fd, .events = POLLIN};
    uint8_t packet[65536];

    for (unsigned count = 0; count < READ_MOST; count++) {
        ssize_t size = read(i->fd, packet, sizeof packet);

        if (size > 0)
            embed_wire_send(e, i, true, packet, (uint32_t)size);
        if (size <= 0 || i->fd < 0 || poll(&fd, 1, 0) != 1 || (fd.revents & POLLIN) == 0)
            return;
    }
}

/* Sleeps until then, or until somebody has something; reads what attached descriptors have. */
static void sleep_until(struct embed *e, uint64_t until_ns)
{
    struct embed_interface *of[POLLED];
    struct pollfd fds[POLLED] = {{.fd = e->world->wake, .events = POLLIN}};
    const uint64_t now = embed_now(e), left = until_ns > now ? until_ns - now : 0;
    const struct timespec wait = {.tv_sec = (time_t)(left / WEIR_SECOND),
                                  .tv_nsec = (long)(left % WEIR_SECOND)};
    uint64_t count;
    nfds_t n = 1;

    for (struct embed_interface *i = embed_interfaces(e); i != NULL && n < POLLED; i = i->next)
        if (i->fd >= 0) {
            of[n] = i;
            fds[n++] = (struct pollfd){.fd = i->fd, .events = POLLIN};
        }
    if (ppoll(fds, n, left / WEIR_SECOND > 86400 ? NULL : &wait, NULL) <= 0)
        return;
    if (fds[0].revents != 0)
        (void)!read(fds[0].fd, &count, sizeof count);
    for (nfds_t k = 1; k < n; k++)
        if (fds[k].revents & POLLIN)
            read_all(e, of[k]);
}

/* ---- the pump ------------------------------------------------------------------------------------------ */

/* One thing that can happen without time going by. False: there is none. */
static bool one_step(struct embed *e)
{
    const uint64_t now = embed_now(e);

    if (embed_gate_drain(e) || embed_streams_drain(e) || embed_vswitches_drain(e))
        return true;
    if (e->sim != NULL && rt_sim_ready(e->sim)) {
        host_advance(e->host, now);
        rt_sim_settle(e->sim, now);
        return true;
    }
    return embed_wires_deliver(e, now) || advance_stacks(e, now);
}

static void go_to(struct embed *e, uint64_t to_ns)
{
    if (e->sim == NULL) {
        sleep_until(e, to_ns);
        host_advance(e->host, embed_now(e));
        return;
    }
    host_advance(e->host, to_ns);
    rt_sim_settle(e->sim, to_ns);
}

void embed_step(struct embed *e)
{
    while (one_step(e))
        ;
}

void embed_settle_call(struct embed *e)
{
    while (embed_gate_drain(e) || embed_streams_drain(e) || embed_vswitches_drain(e))
        ;
}

bool embed_run_until(struct embed *e, uint64_t until_ns, bool (*done)(void *ctx), void *ctx)
{
    uint64_t to;

    for (;;) {
        if (done != NULL && done(ctx))
            return true;
        if (one_step(e))
            continue;
        if (embed_now(e) >= until_ns)
            return false;
        to = least(until_ns, next_due(e, false));
        if (e->sim == NULL && done != NULL) /* what drivers' threads have done meanwhile is looked at */
            to = least(to, embed_now(e) + LOOK_NS);
        go_to(e, to);
    }
}

/* ---- weir.h -------------------------------------------------------------------------------------------- */

static uint64_t after(struct embed *e, uint64_t ns)
{
    const uint64_t now = embed_now(e);

    return now + least(ns, MOST_NS);
}

uint64_t weir_now(struct weir *w)
{
    struct embed *e;

    return EMBED_ENTER(EMBED_ENGINE, w, &e) != NULL ? embed_date(e) : 0;
}

void weir_run(struct weir *w, uint64_t ns)
{
    struct embed *e;

    if (EMBED_ENTER(EMBED_ENGINE, w, &e) != NULL)
        (void)embed_run_until(e, after(e, ns), NULL, NULL);
}

uint64_t weir_settle(struct weir *w)
{
    struct embed *e;
    uint64_t start, now;

    if (EMBED_ENTER(EMBED_ENGINE, w, &e) == NULL)
        return 0;
    start = embed_now(e);
    for (;;) {
        uint64_t due;

        embed_step(e);
        now = embed_now(e);
        due = next_due(e, true);
        if (due > now && due - now > SETTLE_QUIET_NS)
            break;
        if (due >= start + SETTLE_MOST_NS) {
            (void)embed_run_until(e, start + SETTLE_MOST_NS, NULL, NULL);
            now = embed_now(e);
            break;
        }
        (void)embed_run_until(e, due, NULL, NULL);
    }
    return now - start;
}

struct wanted {
    struct embed *e;
    bool (*reached)(void *ctx);
    void *ctx;
};

static bool is_wanted(void *ctx)
{
    struct wanted *w = ctx;
    const bool is = w->reached(w->ctx);

    embed_again(w->e);
    return is;
}

bool weir_wait_for(struct weir *w, bool (*reached)(void *ctx), void *ctx, uint64_t ns)
{
    struct wanted wanted = {.reached = reached, .ctx = ctx};

    if (EMBED_ENTER(EMBED_ENGINE, w, &wanted.e) == NULL)
        return false;
    if (reached == NULL) {
        embed_failed(wanted.e, __func__, "there is nothing to wait for: reached is NULL");
        return false;
    }
    return embed_run_until(wanted.e, after(wanted.e, ns), is_wanted, &wanted);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir.h: an engine's life: what is made with it, in which order, and how it ends.
 *
 *   weir_create_with()   handle, world (entered), engine, management service, what is recorded, host, wires, programs,
 *                        the test's own API context, drivers, faults
 *   weir_destroy()       processes exit, drivers are unloaded, then all of it the other way round
 *
 * The world is entered with the first call and stays so: what the test does itself with documented functions is
 * the world's, too.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "embed/internal.h"
#include "embed/machine.h"
#include "policy/policy.h"

#define START_NS    1767225600000000000ull /* 2026-01-01 */
#define FLOWS       16384u
#define SIM_STACK   (256u << 10)
#define SIM_STACK_S (1024u << 10) /* with a sanitizer's run-time */

static const struct weir_interface plain[] = {
    {.index = 1, .addresses = {"10.0.0.1/24", "fd00::1/64"}, .peers = {"10.0.0.2/24", "fd00::2/64"}},
    {.index = 2,
     .addresses = {"10.0.1.1/24", "fd00:0:0:1::1/64"},
     .peers = {"10.0.1.2/24", "fd00:0:0:1::2/64"}},
};

/* ---- making -------------------------------------------------------------------------------------------- */

static uint64_t seed_of(const struct weir_config *c)
{
    const char *text = getenv("WEIR_SEED");
    char *end = NULL;
    uint64_t seed = 0;

    if (c->seed != 0)
        return c->seed;
    if (text != NULL)
        seed = strtoull(text, &end, 0);
    return seed != 0 && end != NULL && *end == '\0' ? seed : 1;
}

/* The clock, and the simulated world that runs it. */
static int make_world(struct embed *e)
{
    const struct rt_sim_config sim = {.seed = e->seed,
                                      .start_ns = e->config.start_ns != 0 ? e->config.start_ns : START_NS,
                                      .shuffle = e->config.shuffle,
                                      .preempt = e->config.preempt,
                                      .stack_bytes = loader_sanitized() ? SIM_STACK_S : SIM_STACK,
                                      .watchdog_ns = embed_hang_ns(e) / 4 * 3,
                                      .stuck = embed_hang_stuck,
                                      .ctx = e};
    struct rt_sim *world;
    int err;

    if (e->config.real_time) {
        e->clock = rt_clock_real();
        return embed_world_create(e);
    }
    err = rt_sim_create(&sim, &world);
    if (err != 0)
        return err;
    err = rt_sim_enter(world);
    if (err != 0) {
        rt_sim_destroy(world);
        return err;
    }
    e->sim = world;
    e->clock = rt_sim_clock(world);
    e->thread = rt_self();
    return embed_world_create(e);
}

static int make_host(struct embed *e)
{
    struct host_config config = {
        .engine = e->engine,
        .limits = {.flows = FLOWS},
        .knobs = {.verify_checksums = true,
                  .defer_completion = e->config.defer_completion,
                  .inject_in_caller = e->config.inject_in_caller},
        .start_ns = embed_now(e),
        .seed = e->seed,
    };

    config.streams = HOST_STREAM_SOCKETS;
    config.stream_sink = &embed_stream_sink;
    embed_watch_host(e, &config.observer);
    embed_gate_host(e, &config);
    return host_create(&config, &e->host);
}

static int make_context(struct embed *e)
{
    const struct api_config config = {
        .engine = e->engine, .bfe = e->bfe, .host = e->host, .owner = e->handle};
    int err = api_context_create(&config, &e->context);

    if (err == 0)
        api_set_current(e->context);
    return err;
}

static int make(struct embed *e)
{
    const bool named = e->config.interfaces != NULL || e->config.interface_count != 0;
    const struct weir_interface *interfaces = named ? e->config.interfaces : plain;
    size_t count = named ? e->config.interface_count : sizeof plain / sizeof plain[0];
    struct bfe_config bfe = {0};
    int err = embed_handles_create(e);

    if (err == 0)
        err = embed_hang_create(e);
    if (err == 0)
        err = make_world(e);
    if (err == 0)
        err = engine_create(&e->engine);
    bfe.clock = e->clock;
    if (err == 0)
        err = bfe_create(e->engine, &bfe, &e->bfe);
    if (err == 0)
        err = embed_watch_create(e);
    if (err == 0)
        err = embed_links_create(e);
    if (err == 0)
        err = embed_wires_create(e);
    if (err == 0)
        err = embed_gate_create(e);
    if (err == 0)
        err = embed_streams_create(e);
    if (err == 0)
        err = make_host(e);
    if (err == 0)
        err = make_context(e);
    if (err == 0)
        err = embed_programs_create(e);
    for (size_t i = 0; err == 0 && i < count; i++)
        err = embed_interface_add(e, &interfaces[i]);
    if (err == 0)
        err = embed_drivers_create(e);
    return err == 0 ? embed_faults_create(e) : err;
}

static void unmake(struct embed *e)
{
    if (rt_sim_current() != e->sim)
        embed_again(e);
    if (e->programs != NULL)
        embed_programs_end(e);
    if (e->loader != NULL)
        embed_drivers_destroy(e);
    embed_faults_destroy(e);
    embed_wires_stop(e);
    if (e->context != NULL) {
        (void)api_set_current(NULL);
        api_context_destroy(e->context);
    }
    if (e->host != NULL)
        host_destroy(e->host);
    embed_vswitches_destroy(e);
    embed_programs_destroy(e);
    embed_streams_destroy(e);
    embed_gate_destroy(e);
    embed_wires_destroy(e);
    embed_links_destroy(e);
    embed_watch_destroy(e);
    if (e->bfe != NULL)
        bfe_destroy(e->bfe);
    if (e->engine != NULL)
        engine_destroy(e->engine);
    embed_world_destroy(e);
    if (e->sim != NULL) {
        rt_sim_leave(e->sim);
        rt_sim_destroy(e->sim);
    }
    embed_hang_destroy(e);
    embed_handles_destroy(e);
    free(e);
}

int weir_create_with(const struct weir_config *config, struct weir **out)
{
    struct rt_sim *before = rt_sim_current();
    struct api_context *current;
    char why[256] = "";
    struct embed *e;
    int err;

    if (out == NULL) {
        embed_failed(NULL, __func__, "there is no place for the engine: out is NULL");
        return -EINVAL;
    }
    *out = NULL;
    if (config != NULL && (config->size == 0 || config->size > sizeof *config)) {
        embed_failed(NULL, __func__, "config.size is %zu, where sizeof(struct weir_config), %zu, is wanted",
                     config->size, sizeof *config);
        return -EINVAL;
    }
    if (config != NULL && config->interfaces == NULL && config->interface_count != 0) {
        embed_failed_to_create(config, __func__,
                               "config.interface_count is %zu, but config.interfaces is NULL",
                               config->interface_count);
        return -EINVAL;
    }
    e = calloc(1, sizeof *e);
    if (e == NULL)
        return -ENOMEM;
    if (config != NULL)
        memcpy(&e->config, config, config->size);
    e->config.size = sizeof e->config;
    e->seed = seed_of(&e->config);
    if (before != NULL)
        rt_sim_leave(before);
    current = api_set_current(NULL);
    e->thread = rt_self();
    err = make(e);
    e->config.interfaces = NULL; /* the caller's */
    e->config.interface_count = 0;
    if (err != 0) {
        if (err == -EINVAL || err == -EEXIST)
            snprintf(why, sizeof why, "%s", weir_error());
        unmake(e);
        if (before != NULL)
            (void)rt_sim_enter(before);
        (void)api_set_current(current);
        if (why[0] != '\0')
            embed_failed_to_create(config, __func__, "%s", why);
        return err == -EEXIST ? -EINVAL : err;
    }
    *out = e->handle;
    return 0;
}

int weir_create(struct weir **out)
{
    return weir_create_with(NULL, out);
}

/* It was left in the middle of a call: nothing of it can be trusted to end in order, or to be nobody's. It is kept, so that
 * what it has is no leak; its drivers are not unloaded. */
static void put_aside(struct embed *e)
{
    static _Atomic(struct embed *) left;
    struct embed *first = atomic_load(&left);

    fprintf(stderr,
            "weir_destroy: %s was left by longjmp() in its midst: the engine is put aside as it is, no "
            "driver was unloaded\n",
            e->left);
    embed_hang_destroy(e);
    embed_handles_destroy(e);
    do
        e->next_left = first;
    while (!atomic_compare_exchange_weak(&left, &first, e));
}

void weir_destroy(struct weir *w)
{
    struct embed *e;

    if (w == NULL || EMBED_ENTER(EMBED_ENGINE, w, &e) == NULL)
        return;
    if (e->left != NULL)
        put_aside(e);
    else
        unmake(e);
}

/* ---- which one ----------------------------------------------------------------------------------------- */

struct weir *weir_use(struct weir *w)
{
    struct api_context *before = api_set_current(NULL);
    struct weir *was = before != NULL ? api_owner(before) : NULL;
    struct rt_sim *world = rt_sim_current();
    struct embed *e;

    (void)api_set_current(before);
    if (w != NULL) {
        (void)EMBED_ENTER(EMBED_ENGINE, w, &e);
        return was;
    }
    if (was != NULL && EMBED_ENTER(EMBED_ENGINE, was, &e) != NULL && world == e->sim && world != NULL)
        rt_sim_leave(world);
    (void)api_set_current(NULL);
    return was;
}

uint64_t weir_seed(struct weir *w)
{
    struct embed *e;

    return EMBED_ENTER(EMBED_ENGINE, w, &e) != NULL ? e->seed : 0;
}

/* ---- policy -------------------------------------------------------------------------------------------- */

int weir_load_policy(struct weir *w, const char *path, char *error, size_t size)
{
    struct policy_error why = {0};
    struct policy *p = NULL;
    struct embed *e;
    int rc;

    if (EMBED_ENTER(EMBED_ENGINE, w, &e) == NULL)
        return -EINVAL;
    if (path == NULL) {
        embed_failed(e, __func__, "the path is NULL");
        return -EINVAL;
    }
    rc = policy_load_file(e->bfe, path, &p, &why);
    if (rc != 0) {
        embed_error("%s", why.text);
        if (error != NULL && size != 0)
            snprintf(error, size, "%s", why.text);
    }
    policy_free(p);
    return rc;
}

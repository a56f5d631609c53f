/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir.h: calls that fail because a test says so, and drivers' work that is held back.
 *
 *   weir_fail("FwpsCalloutRegister", 2, 0) --> an aim: of these functions the second call from now on
 *   driver --documented function--> NT_FAIL_...() --> fails(): counted; does an aim hit?
 *
 * An aim is used up when it hits. What counts as fallible are the rows of data/fallible.tsv but those that give
 * something back, which fail only when they are named.
 *
 * Holds (a simulated world's alone). A hold names a routine by its symbol, or a kind ("thread", "work item", "dpc",
 * "timer"). A thread that is about to call such a routine stands aside (rt_sim_stand_aside()); those that run
 * one already stand somewhere and wait, for it is the test that calls weir_hold(): they do not go on from there
 * (rt_sim_hold()). Released: those that no other hold fits go on.
 *
 * Any fiber of the world; in real time any thread: counters are atomic, aims under a lock.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "embed/internal.h"
#include "nt/fault.h"

#define AIMS 64u

struct aim {
    bool live;
    bool of[NT_FALLIBLES];
    uint32_t left;
    NTSTATUS status; /* 0: the documented one */
};

struct hold {
    struct hold *next;
    void *handle;
    char who[128];
};

struct embed_faults {
    struct nt_faults nt;
    struct embed *e;
    struct rt_mutex *lock; /* real time; NULL: not needed */
    atomic_uint_fast64_t calls;
    atomic_uint live; /* aims */
    struct aim aims[AIMS];
    struct hold *holds;
};

static void lock(struct embed_faults *f)
{
    if (f->lock != NULL)
        rt_mutex_lock(f->lock);
}

static void unlock(struct embed_faults *f)
{
    if (f->lock != NULL)
        rt_mutex_unlock(f->lock);
}

/* ---- calls --------------------------------------------------------------------------------------------- */

static void tell(struct embed_faults *f, enum nt_fallible which, const void *site, NTSTATUS status)
{
    const struct nt_fallible_row *row = &nt_fallible_table[which];
    char name[64], text[256];

    (void)site;
    snprintf(text, sizeof text, "%s was made to fail: %s", row->name,
             row->status == 0 ? row->failure : loader_status_name(status, name, sizeof name));
    embed_event(f->e, &(struct weir_event){.kind = WEIR_EVENT_FAULT, .text = text});
}

static bool fails(void *ctx, enum nt_fallible which, const void *site, NTSTATUS *status)
{
    struct embed_faults *f = ctx;
    bool hit = false;

    if (nt_fallible_table[which].kind != NT_FALLIBLE_UNDO)
        atomic_fetch_add_explicit(&f->calls, 1, memory_order_relaxed);
    if (atomic_load_explicit(&f->live, memory_order_relaxed) == 0)
        return false;
    *status = nt_fallible_table[which].status;
    lock(f);
    for (unsigned i = 0; i < AIMS; i++) {
        struct aim *a = &f->aims[i];

        if (!a->live || !a->of[which] || --a->left != 0)
            continue;
        a->live = false;
        atomic_fetch_sub(&f->live, 1);
        hit = true;
        if (a->status != 0)
            *status = a->status;
    }
    unlock(f);
    if (hit)
        tell(f, which, site, *status);
    return hit;
}

/* False: too many aims are set. */
static bool take_aim(struct embed_faults *f, const struct aim *a)
{
    bool taken = false;

    lock(f);
    for (unsigned i = 0; i < AIMS && !taken; i++)
        if (!f->aims[i].live) {
            f->aims[i] = *a;
            f->aims[i].live = taken = true;
            atomic_fetch_add(&f->live, 1);
        }
    unlock(f);
    return taken;
}

/* "FwpsCalloutRegister3", or without its version. */
static bool is_named(const char *name, const char *asked)
{
    const size_t size = strlen(asked);

    return strncmp(name, asked, size) == 0 &&
           (name[size] == '\0' || (name[size] >= '0' && name[size] <= '9' && name[size + 1] == '\0'));
}

static bool is_documented(const char *asked)
{
    for (size_t i = 0; nt_documented[i] != NULL; i++)
        if (is_named(nt_documented[i], asked))
            return true;
    return false;
}

int weir_fail(struct weir *w, const char *function, uint32_t nth, int32_t status)
{
    struct aim a = {.left = nth, .status = status};
    bool any = false;
    struct embed *e;

    if (EMBED_ENTER(EMBED_ENGINE, w, &e) == NULL)
        return -EINVAL;
    if (nth == 0) {
        embed_failed(e, __func__, "nth is 0: the next call is 1");
        return -EINVAL;
    }
    if (NT_SUCCESS(status) && status != 0) {
        embed_failed(e, __func__, "status 0x%08x is no failure", (unsigned)status);
        return -EINVAL;
    }
    for (unsigned i = 0; i < NT_FALLIBLES; i++) {
        a.of[i] = function != NULL ? is_named(nt_fallible_table[i].name, function)
                                   : nt_fallible_table[i].kind != NT_FALLIBLE_UNDO;
        any |= a.of[i];
    }
    if (!any && is_documented(function)) {
        embed_error("%s cannot fail", function);
        return -ENOTSUP;
    }
    if (!any) {
        embed_error("no documented function is called %s", function);
        return -ENOENT;
    }
    if (take_aim(e->faults, &a))
        return 0;
    embed_failed(e, __func__, "%u calls are still to fail", AIMS);
    return -EINVAL;
}

void weir_fail_allocation(struct weir *w, uint32_t nth)
{
    struct aim a = {.left = nth};
    struct embed *e;

    if (EMBED_ENTER(EMBED_ENGINE, w, &e) == NULL)
        return;
    for (unsigned i = 0; i < NT_FALLIBLES; i++)
        a.of[i] = nt_fallible_table[i].kind == NT_FALLIBLE_MEMORY;
    if (nth == 0)
        embed_failed(e, __func__, "nth is 0: the next allocation is 1");
    else if (!take_aim(e->faults, &a))
        embed_failed(e, __func__, "%u calls are still to fail", AIMS);
}

void weir_fail_nothing(struct weir *w)
{
    struct embed *e;

    if (EMBED_ENTER(EMBED_ENGINE, w, &e) == NULL)
        return;
    lock(e->faults);
    for (unsigned i = 0; i < AIMS; i++)
        e->faults->aims[i].live = false;
    atomic_store(&e->faults->live, 0);
    unlock(e->faults);
}

uint64_t weir_fallible_calls(struct weir *w)
{
    struct embed *e;

    return EMBED_ENTER(EMBED_ENGINE, w, &e) != NULL ? atomic_load(&e->faults->calls) : 0;
}

void weir_fallible_functions(void (*fn)(void *ctx, const char *function, const char *failure), void *ctx)
{
    if (fn == NULL) {
        embed_failed(NULL, __func__, "there is nobody to give them to: fn is NULL");
        return;
    }
    for (unsigned i = 0; i < NT_FALLIBLES; i++)
        fn(ctx, nt_fallible_table[i].name, nt_fallible_table[i].failure);
}

/* ---- holds --------------------------------------------------------------------------------------------- */

static bool is_held(struct embed_faults *f, const char *kind, const void *routine)
{
    const char *name = f->holds != NULL && kind != NULL ? loader_function(f->e->loader, routine) : NULL;

    for (const struct hold *h = f->holds; h != NULL && kind != NULL; h = h->next)
        if (strcmp(h->who, kind) == 0 || (name != NULL && strcmp(h->who, name) == 0))
            return true;
    return false;
}

static bool held(void *ctx, const struct rt_carried *carried)
{
    return is_held(ctx, carried->doing, carried->routine);
}

static void begins(void *ctx, const char *kind, const void *routine)
{
    struct embed_faults *f = ctx;

    if (f->holds == NULL || !is_held(f, kind, routine))
        return;
    nt_held(true);
    rt_waits_for("a hold of the test's");
    rt_sim_stand_aside();
    rt_waits_for(NULL);
    nt_held(false);
}

static bool is_kind(const char *who)
{
    return strcmp(who, "thread") == 0 || strcmp(who, "work item") == 0 || strcmp(who, "dpc") == 0 ||
           strcmp(who, "timer") == 0;
}

struct weir_hold *weir_hold(struct weir *w, const char *who)
{
    struct embed *e;
    struct hold *h;

    if (EMBED_ENTER(EMBED_ENGINE, w, &e) == NULL)
        return NULL;
    if (who == NULL || strlen(who) >= sizeof h->who) {
        embed_failed(e, __func__, "expected a function's name, or thread, work item, dpc, timer");
        return NULL;
    }
    if (e->sim == NULL) {
        embed_failed(e, __func__, "threads of real time cannot be held");
        return NULL;
    }
    if (!is_kind(who) && embed_drivers_any(e) && !loader_has_function(e->loader, who)) {
        embed_failed(e, __func__, "no driver has a function called '%s'", who);
        return NULL;
    }
    h = calloc(1, sizeof *h);
    if (h == NULL)
        return NULL;
    snprintf(h->who, sizeof h->who, "%s", who);
    h->handle = embed_handle_new(e, EMBED_HOLD, h);
    if (h->handle == NULL) {
        free(h);
        return NULL;
    }
    h->next = e->faults->holds;
    e->faults->holds = h;
    rt_sim_hold(e->sim, held, e->faults);
    return h->handle;
}

static void release(struct embed *e, struct hold *h)
{
    for (struct hold **at = &e->faults->holds; *at != NULL; at = &(*at)->next)
        if (*at == h) {
            *at = h->next;
            break;
        }
    embed_handle_end(e, h->handle);
    free(h);
    rt_sim_hold(e->sim, held, e->faults);
}

void weir_release(struct weir_hold *hold)
{
    struct embed *e;
    struct hold *h = EMBED_ENTER(EMBED_HOLD, hold, &e);

    if (h != NULL)
        release(e, h);
}

void embed_holds_end(struct embed *e)
{
    while (e->faults != NULL && e->faults->holds != NULL)
        release(e, e->faults->holds);
}

void weir_defer_completion(struct weir *w, bool defer)
{
    struct embed *e;

    if (EMBED_ENTER(EMBED_ENGINE, w, &e) != NULL && host_defer_completion(e->host, defer) != 0)
        embed_failed(e, __func__, "out of memory");
}

static bool pends(void *ctx, HANDLE completion_handle, HANDLE *completion_context)
{
    struct embed_faults *f = ctx;

    return embed_classify_pends(f->e, completion_handle, completion_context);
}

/* ---- life ---------------------------------------------------------------------------------------------- */

int embed_faults_create(struct embed *e)
{
    struct embed_faults *f = calloc(1, sizeof *f);

    if (f == NULL)
        return -ENOMEM;
    if (e->config.real_time && rt_mutex_create(&f->lock) != 0) {
        free(f);
        return -ENOMEM;
    }
    f->e = e;
    f->nt = (struct nt_faults){.ctx = f, .fails = fails, .begins = begins, .pends = pends};
    e->faults = f;
    return 0;
}

void embed_faults_destroy(struct embed *e)
{
    struct embed_faults *f = e->faults;

    if (f == NULL)
        return;
    if (f->lock != NULL)
        rt_mutex_destroy(f->lock);
    free(f);
    e->faults = NULL;
}

void embed_faults_watch(struct embed *e, struct api_context *driver)
{
    api_rt(driver)->faults = &e->faults->nt;
}

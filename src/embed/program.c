/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs: processes of the host, which drivers are told of and which own what they bind, and the one program that
 * each peer is.
 *
 *   weir_process() --> nt_process_add(): notify routines --> weir_socket(), weir_open() ...
 *   its end        --> sockets aborted, what was pended cancelled --> devices closed --> notify routines
 *                      --> weir_process_exit() waits until closures that drivers have pended are completed (RED-31)
 *
 * A process stays in memory when it has ended: the host's endpoints and flows may still name their owner.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "embed/machine.h"
#include "host/host_redirect.h"

#define FIRST_ID       1000u /* as Windows': multiples of 4 */
#define SYSTEM_PROCESS 4u
#define ORDINARY       "S-1-5-21-1004336348-1177238915-682003330-1001"
#define SYSTEM         "S-1-5-18"
#define PATH_UNITS     32768u
#define EXIT_NS        60000000000ull /* so long is waited for closures */

struct embed_programs {
    struct embed_process *first; /* newest first; ended ones too */
    struct embed_process system; /* who owns what no socket call was made for */
    uint64_t next_id;
};

/* ---- who it is ----------------------------------------------------------------------------------------- */

static int make_token(const char *user, struct security_token **out)
{
    uint64_t sid[(SECURITY_MAX_SID_SIZE + 7) / 8];

    if (security_sid_parse(user, (SID *)sid, sizeof sid) != 0)
        return -EINVAL;
    return security_token_plain_user((const SID *)sid, out);
}

/* Who it is to the layers. *why: what is wrong with path or user. */
static int make_owner(struct embed_process *p, const char *path, const char *user, const char **why)
{
    int err = engine_app_id_from_path(path, &p->app);

    *why = err == -EINVAL ? "the path is empty, or no UTF-8" : NULL;
    if (err != 0)
        return err;
    err = make_token(user, &p->token);
    *why = err == -EINVAL ? "the user is no SID such as \"S-1-5-21-1-2-3-1001\"" : NULL;
    if (err != 0)
        return err;
    p->owner =
        (struct host_owner){.process_id = p->id, .app_id = p->app, .token = security_token_blob(p->token)};
    return 0;
}

static void free_owner(struct embed_process *p)
{
    free(p->app);
    security_token_destroy(p->token);
}

/* ---- life ---------------------------------------------------------------------------------------------- */

int embed_programs_create(struct embed *e)
{
    struct embed_programs *a = calloc(1, sizeof *a);
    const char *why;

    if (a == NULL)
        return -ENOMEM;
    e->programs = a;
    a->next_id = FIRST_ID;
    a->system.e = e;
    a->system.id = SYSTEM_PROCESS;
    return make_owner(&a->system, "System", SYSTEM, &why);
}

const struct host_owner *embed_system_owner(struct embed *e)
{
    return e->programs != NULL ? &e->programs->system.owner : NULL;
}

struct embed_process *embed_processes(struct embed *e)
{
    return e->programs != NULL ? e->programs->first : NULL;
}

void embed_programs_end(struct embed *e)
{
    for (struct embed_process *p = e->programs->first; p != NULL; p = p->next)
        embed_process_end(p);
    embed_settle_call(e);
}

void embed_programs_destroy(struct embed *e)
{
    struct embed_programs *a = e->programs;
    struct embed_process *p;

    if (a == NULL)
        return;
    while ((p = a->first) != NULL) {
        a->first = p->next;
        free_owner(p);
        free(p);
    }
    free_owner(&a->system);
    free(a);
    e->programs = NULL;
}

struct stack *embed_process_stack(const struct embed_process *p)
{
    return p->peer != NULL ? p->peer->peer : embed_gate_stack(p->e);
}

/* ---- processes ----------------------------------------------------------------------------------------- */

static struct embed_process *process_new(struct embed *e)
{
    struct embed_process *p = calloc(1, sizeof *p);

    if (p == NULL)
        return NULL;
    p->e = e;
    p->id = e->programs->next_id;
    p->handle = embed_handle_new(e, EMBED_PROCESS, p);
    if (p->handle == NULL) {
        free(p);
        return NULL;
    }
    e->programs->next_id += 4;
    p->next = e->programs->first;
    e->programs->first = p;
    return p;
}

/* It never was. */
static void process_undo(struct embed_process *p)
{
    p->e->programs->first = p->next;
    embed_handle_end(p->e, p->handle);
    free_owner(p);
    free(p);
}

/* Tells drivers; a routine of theirs may refuse it. */
static NTSTATUS tell_begin(struct embed_process *p, const char *path)
{
    const size_t bytes = strlen(path) * sizeof(WCHAR) + sizeof(WCHAR);
    WCHAR *image = calloc(1, bytes);
    ULONG size = 0;
    NTSTATUS status = STATUS_NO_MEMORY;

    if (image == NULL)
        return status;
    (void)RtlUTF8ToUnicodeN(image, (ULONG)(bytes - sizeof(WCHAR)), &size, path, (ULONG)strlen(path));
    status = nt_process_add(loader_nt(p->e->loader), p->id, image);
    free(image);
    return status;
}

struct weir_process *weir_process(struct weir *w, const char *path, const char *user)
{
    struct embed_process *p;
    const char *why = NULL;
    struct embed *e;
    NTSTATUS status;

    if (EMBED_ENTER(EMBED_ENGINE, w, &e) == NULL)
        return NULL;
    if (path == NULL || strlen(path) >= PATH_UNITS) {
        embed_failed(e, __func__,
                     path == NULL ? "the path is NULL" : "the path is longer than Windows has any");
        return NULL;
    }
    p = process_new(e);
    if (p == NULL || make_owner(p, path, user != NULL ? user : ORDINARY, &why) != 0) {
        if (p != NULL)
            process_undo(p);
        if (why != NULL)
            embed_failed(e, __func__, "%s", why);
        else
            embed_error("weir_process: out of memory");
        return NULL;
    }
    status = tell_begin(p, path);
    if (!NT_SUCCESS(status)) {
        embed_error("weir_process: %s: a driver refused the process: status 0x%08x", path, (unsigned)status);
        process_undo(p);
        return NULL;
    }
    embed_settle_call(e);
    return p->handle;
}

struct weir_process *weir_peer(struct weir *w, uint32_t interface)
{
    struct embed_interface *i;
    struct embed *e;

    if (EMBED_ENTER(EMBED_ENGINE, w, &e) == NULL)
        return NULL;
    i = embed_interface_by_index(e, interface);
    if (i == NULL || i->peer == NULL) {
        embed_failed(e, __func__,
                     i == NULL ? "there is no interface %u" : "nobody is on the wire of interface %u",
                     interface);
        return NULL;
    }
    if (i->program == NULL) {
        i->program = process_new(e);
        if (i->program == NULL) {
            embed_error("weir_peer: out of memory");
            return NULL;
        }
        i->program->peer = i;
    }
    return i->program->handle;
}

uint64_t weir_process_id(struct weir_process *process)
{
    struct embed *e;
    const struct embed_process *p = EMBED_ENTER(EMBED_PROCESS, process, &e);

    return p != NULL ? p->id : 0;
}

void embed_process_end(struct embed_process *p)
{
    struct embed *e = p->e;
    uint64_t before;

    if (p->handle == NULL)
        return;
    embed_handle_end(e, p->handle);
    p->handle = NULL;
    if (p->peer != NULL) {
        embed_sockets_abort(p);
        p->peer->program = NULL;
        return;
    }
    before = nt_process_attach(p->id);
    embed_sockets_abort(p);
    embed_devices_close(e, p->id);
    (void)nt_process_attach(before);
    if (e->loader != NULL)
        (void)nt_process_remove(loader_nt(e->loader), p->id);
}

/* Nothing of it is left on the host that its exit would wait for. */
static bool is_out(void *ctx)
{
    const struct embed_process *p = ctx;

    return p->peer != NULL || host_closures(p->e->host, &p->owner) == 0;
}

void weir_process_exit(struct weir_process *process)
{
    struct embed *e;
    struct embed_process *p = EMBED_ENTER(EMBED_PROCESS, process, &e);

    if (p == NULL)
        return;
    embed_process_end(p);
    embed_settle_call(e);
    if (!is_out(p) && !embed_run_until(e, embed_now(e) + EXIT_NS, is_out, p))
        embed_failed(e, __func__,
                     "%u of its sockets' closures are pended at ALE_ENDPOINT_CLOSURE and were not completed "
                     "within 60 s: the process would hang",
                     host_closures(e->host, &p->owner));
}

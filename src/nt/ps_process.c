/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes: names with an id, that connections are made for and drivers are told of. The first is the
 * system's (PsInitialSystemProcess). Which one a thread runs for travels with the thread
 * (rt_carried()->process).
 */
#include <errno.h>
#include <stdlib.h>

#include "nt/fault.h"
#include "nt/internal.h"
#include "nt/format.h"

static void process_gone(void *object)
{
    free(((struct nt_process *)object)->image);
}

struct _OBJECT_TYPE ob_type_process = {.name = "Process", .gone = process_gone};

static size_t length_of(const WCHAR *s)
{
    size_t n = 0;

    while (s[n] != 0)
        n++;
    return n;
}

/* The last part of the path, as much as fits, as PsGetProcessImageFileName() gives it. */
static void short_name(const WCHAR *image, char out[16])
{
    size_t n = length_of(image), from = n, o = 0;

    while (from > 0 && image[from - 1] != '\\' && image[from - 1] != '/')
        from--;
    for (; from < n && o < 15; from++)
        out[o++] = image[from] < 0x80 ? (char)image[from] : '?';
    out[o] = '\0';
}

static struct nt_process *process_make(struct nt *k, uint64_t id, const WCHAR *image)
{
    struct nt_process *p = ob_create(&ob_type_process, sizeof(*p));
    size_t bytes = (length_of(image) + 1) * sizeof(WCHAR);

    if (p == NULL)
        return NULL;
    p->image = malloc(bytes);
    if (p->image == NULL) {
        ob_dereference(p);
        return NULL;
    }
    memcpy(p->image, image, bytes);
    nt_header_init(&p->header, NT_PROCESS, 0);
    p->k = k;
    p->id = id;
    p->parent = id == NT_SYSTEM_PROCESS ? 0 : NT_SYSTEM_PROCESS;
    p->created = rt_clock_filetime(k->clock);
    short_name(image, p->file_name);
    return p;
}

int nt_process_create(struct nt *k)
{
    k->processes = process_make(k, NT_SYSTEM_PROCESS, (const WCHAR *)u"System");
    k->system = k->processes;
    return k->processes == NULL ? -ENOMEM : 0;
}

void nt_process_destroy(struct nt *k)
{
    struct nt_process *p;

    while ((p = k->processes) != NULL) {
        k->processes = p->next;
        ob_dereference(p);
    }
    nt_notify_destroy(k);
}

/* Under k->lock. */
static struct nt_process **place_of(struct nt *k, uint64_t id)
{
    struct nt_process **at = &k->processes;

    while (*at != NULL && (*at)->id != id)
        at = &(*at)->next;
    return at;
}

struct nt_process *nt_process_find(struct nt *k, uint64_t id)
{
    struct nt_process *p;

    rt_mutex_lock(k->lock);
    p = *place_of(k, id);
    if (p != NULL)
        ob_reference(p);
    rt_mutex_unlock(k->lock);
    return p;
}

/* Out of the list, and signalled: it has ended. */
static struct nt_process *process_end(struct nt *k, uint64_t id)
{
    struct nt_process **at, *p;

    rt_mutex_lock(k->lock);
    at = place_of(k, id);
    p = *at;
    if (p != NULL)
        *at = p->next;
    rt_mutex_unlock(k->lock);
    if (p == NULL)
        return NULL;
    rt_mutex_lock(k->dispatch);
    __atomic_store_n(&p->header.SignalState, 1, __ATOMIC_RELAXED);
    nt_header_signalled(k, &p->header);
    rt_mutex_unlock(k->dispatch);
    return p;
}

NTSTATUS nt_process_add(struct nt *k, uint64_t id, const WCHAR *image)
{
    struct nt_process *p, **at;
    NTSTATUS status;

    if (id == 0)
        return STATUS_INVALID_PARAMETER;
    p = process_make(k, id, image);
    if (p == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    rt_mutex_lock(k->lock);
    at = place_of(k, id);
    status = *at == NULL ? STATUS_SUCCESS : STATUS_OBJECT_NAME_COLLISION;
    if (*at == NULL) {
        *at = p;
        ob_reference(p); /* ours, beside the list's */
    }
    rt_mutex_unlock(k->lock);
    if (!NT_SUCCESS(status)) {
        ob_dereference(p);
        return status;
    }
    status = nt_notify_created(k, p);
    if (!NT_SUCCESS(status)) { /* a routine refused it */
        struct nt_process *out = process_end(k, id);

        if (out != NULL)
            ob_dereference(out);
    }
    ob_dereference(p);
    return status;
}

NTSTATUS nt_process_remove(struct nt *k, uint64_t id)
{
    struct nt_process *p;

    if (id == NT_SYSTEM_PROCESS || (p = nt_process_find(k, id)) == NULL)
        return STATUS_INVALID_CID;
    nt_notify_exited(k, p);
    ob_dereference(p);
    p = process_end(k, id);
    if (p != NULL)
        ob_dereference(p);
    return STATUS_SUCCESS;
}

uint64_t nt_process_attach(uint64_t id)
{
    struct rt_carried *carried = rt_carried();
    uint64_t was = carried->process;

    carried->process = id;
    return was;
}

/* ---- what drivers ask -----------------------------------------------------------------------------------
 */
/* No reference: a process in whose name a thread runs stays as long as it does. */
PEPROCESS IoGetCurrentProcess(VOID)
{
    uint64_t id = rt_carried()->process;
    struct nt *k = nt_current();
    struct nt_process *p;

    if (k == NULL)
        return NULL;
    rt_mutex_lock(k->lock);
    p = id == 0 ? NULL : *place_of(k, id);
    if (p == NULL)
        p = *place_of(k, NT_SYSTEM_PROCESS);
    rt_mutex_unlock(k->lock);
    return (PEPROCESS)p;
}

HANDLE PsGetCurrentProcessId(VOID)
{
    uint64_t id = rt_carried()->process;

    return (HANDLE)(uintptr_t)(id == 0 ? NT_SYSTEM_PROCESS : id);
}

PEPROCESS *WeirInitialSystemProcess(VOID)
{
    struct nt *k = nt_current();

    return k == NULL ? NULL : (PEPROCESS *)&k->system;
}

HANDLE PsGetProcessId(PEPROCESS Process)
{
    return (HANDLE)(uintptr_t)((struct nt_process *)Process)->id;
}

NTSTATUS PsLookupProcessByProcessId(HANDLE ProcessId, PEPROCESS *Process)
{
    struct nt *k = nt_current();
    struct nt_process *p;

    NT_FAIL_STATUS(PsLookupProcessByProcessId);
    NT_IRQL_MAX(APC_LEVEL);
    p = k == NULL ? NULL : nt_process_find(k, (uint64_t)(uintptr_t)ProcessId);
    *Process = (PEPROCESS)p;
    if (p == NULL)
        return STATUS_INVALID_CID;
    ledger_open(LEDGER_OBJECT_REFERENCE, (uintptr_t)p, 0, "process", NT_SITE);
    return STATUS_SUCCESS;
}

NTSTATUS PsGetProcessExitStatus(PEPROCESS Process)
{
    const struct nt_process *p = (struct nt_process *)Process;

    return __atomic_load_n(&p->header.SignalState, __ATOMIC_RELAXED) > 0 ? STATUS_SUCCESS : STATUS_PENDING;
}

LONGLONG PsGetProcessCreateTimeQuadPart(PEPROCESS Process)
{
    return (LONGLONG)((struct nt_process *)Process)->created;
}

HANDLE PsGetProcessInheritedFromUniqueProcessId(PEPROCESS Process)
{
    return (HANDLE)(uintptr_t)((struct nt_process *)Process)->parent;
}

PCHAR PsGetProcessImageFileName(PEPROCESS Process)
{
    return ((struct nt_process *)Process)->file_name;
}

NTSTATUS SeLocateProcessImageName(PEPROCESS Process, PUNICODE_STRING *pImageFileName)
{
    NT_FAIL_STATUS(SeLocateProcessImageName);
    const struct nt_process *p = (struct nt_process *)Process;
    size_t bytes = length_of(p->image) * sizeof(WCHAR);
    UNICODE_STRING *out;

    *pImageFileName = NULL;
    if (bytes > MAXUSHORT - sizeof(WCHAR))
        return STATUS_NAME_TOO_LONG;
    out = nt_pool_alloc(sizeof(*out) + bytes + sizeof(WCHAR), 0, NT_SITE);
    if (out == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    out->Buffer = (WCHAR *)(out + 1);
    out->Length = (USHORT)bytes;
    out->MaximumLength = (USHORT)(bytes + sizeof(WCHAR));
    memcpy(out->Buffer, p->image, bytes);
    *pImageFileName = out;
    return STATUS_SUCCESS;
}

/* Threads that the kernel started belong to the system; others run for whom they are attached to. */
PEPROCESS PsGetThreadProcess(PETHREAD Thread)
{
    const struct nt_thread *t = (struct nt_thread *)Thread;
    struct nt *k = t->k;
    struct nt_process *p;

    rt_mutex_lock(k->lock);
    p = *place_of(k, t->process == 0 ? NT_SYSTEM_PROCESS : t->process);
    rt_mutex_unlock(k->lock);
    return (PEPROCESS)p;
}

PEPROCESS IoThreadToProcess(PETHREAD Thread)
{
    return PsGetThreadProcess(Thread);
}

/* Other threads of the process are not looked at: there is one memory for all. */
VOID KeStackAttachProcess(PVOID Process, PRKAPC_STATE ApcState)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    *ApcState = (KAPC_STATE){.Process = (struct _KPROCESS *)(uintptr_t)rt_carried()->process};
    rt_carried()->process = ((struct nt_process *)Process)->id;
}

VOID KeUnstackDetachProcess(PRKAPC_STATE ApcState)
{
    NT_IRQL_MAX(DISPATCH_LEVEL);
    rt_carried()->process = (uint64_t)(uintptr_t)ApcState->Process;
}

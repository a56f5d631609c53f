/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names of devices and symbolic links. One list a kernel: there are few, and they are looked up when
 * something is opened. \DosDevices\, \GLOBAL??\ and \??\Global\ mean \??\ . A link's target is a path;
 * following is bounded. All under io->lock.
 */
#include <stdlib.h>

#include "nt/fault.h"
#include "nt/io_inside.h"
#include "nt/text.h"

enum { LINKS_MAX = 8 };

struct io_name {
    struct io_name *next;
    enum io_name_kind kind;
    WCHAR *path; /* normal form, its own case */
    size_t units;
    WCHAR *target; /* of a link */
    size_t target_units;
    struct io_device *device;
};

static bool begins(const WCHAR *path, size_t units, const WCHAR *with, size_t n)
{
    return units >= n && rtl_compare_units(path, n, with, n, true) == 0;
}

/* A new string; NULL: no memory. */
static WCHAR *normal(const WCHAR *path, size_t units, size_t *out)
{
    static const WCHAR front[] = u"\\??\\";
    static const struct {
        const WCHAR *text;
        size_t units;
    } means[] = {{u"\\DosDevices\\Global\\", 19},
                 {u"\\??\\Global\\", 11},
                 {u"\\??\\GLOBALROOT\\", 14} /* its last backslash stays */,
                 {u"\\DosDevices\\", 12},
                 {u"\\GLOBAL??\\", 10},
                 {u"\\\\.\\", 4},
                 {u"\\\\?\\", 4}};
    size_t skip = 0, front_units = 0;

    for (size_t i = 0; i < ARRAYSIZE(means); i++) {
        if (begins(path, units, means[i].text, means[i].units)) {
            skip = means[i].units;
            front_units = i == 2 ? 0 : 4; /* GLOBALROOT: what follows is a path by itself */
            break;
        }
    }
    WCHAR *s = malloc((units - skip + front_units + 1) * sizeof *s);
    if (s == NULL)
        return NULL;
    memcpy(s, front, front_units * sizeof *s);
    memcpy(s + front_units, path + skip, (units - skip) * sizeof *s);
    *out = units - skip + front_units;
    s[*out] = 0;
    return s;
}

static struct io_name *find(struct io_room *io, const WCHAR *path, size_t units)
{
    for (struct io_name *n = io->names; n != NULL; n = n->next)
        if (n->units == units && rtl_compare_units(n->path, units, path, units, true) == 0)
            return n;
    return NULL;
}

static void unlink_name(struct io_room *io, struct io_name *n)
{
    struct io_name **at = &io->names;

    while (*at != n)
        at = &(*at)->next;
    *at = n->next;
    free(n->path);
    free(n->target);
    free(n);
}

NTSTATUS io_name_add(struct io_room *io, const WCHAR *path, size_t units, enum io_name_kind kind,
                     struct io_device *device, const WCHAR *target, size_t target_units)
{
    if (units < 2 || path[0] != '\\')
        return units == 0 ? STATUS_OBJECT_NAME_INVALID : STATUS_OBJECT_PATH_SYNTAX_BAD;
    if (path[units - 1] == '\\')
        return STATUS_OBJECT_NAME_INVALID;
    struct io_name *n = calloc(1, sizeof *n);
    if (n == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    n->kind = kind;
    n->device = device;
    n->path = normal(path, units, &n->units);
    if (kind == IO_NAME_LINK)
        n->target = normal(target, target_units, &n->target_units);
    NTSTATUS status = n->path == NULL || (kind == IO_NAME_LINK && n->target == NULL)
                          ? STATUS_INSUFFICIENT_RESOURCES
                      : find(io, n->path, n->units) != NULL ? STATUS_OBJECT_NAME_COLLISION
                                                            : STATUS_SUCCESS;
    if (!NT_SUCCESS(status)) {
        free(n->path);
        free(n->target);
        free(n);
        return status;
    }
    n->next = io->names;
    io->names = n;
    return STATUS_SUCCESS;
}

bool io_name_remove_link(struct io_room *io, const WCHAR *path, size_t units)
{
    size_t length;
    WCHAR *s = normal(path, units, &length);
    struct io_name *n = s == NULL ? NULL : find(io, s, length);

    free(s);
    if (n == NULL || n->kind != IO_NAME_LINK)
        return false;
    unlink_name(io, n);
    return true;
}

void io_name_remove_device(struct io_room *io, const struct io_device *device)
{
    for (struct io_name *n = io->names; n != NULL; n = n->next) {
        if (n->device == device) {
            unlink_name(io, n);
            return;
        }
    }
}

bool io_name_of_device(struct io_room *io, const struct io_device *device, const WCHAR **path, size_t *units)
{
    for (const struct io_name *n = io->names; n != NULL; n = n->next) {
        if (n->device == device) {
            *path = n->path;
            *units = n->units;
            return true;
        }
    }
    return false;
}

bool io_name_link_to(struct io_room *io, const struct io_device *device, const WCHAR **path, size_t *units)
{
    const WCHAR *name;
    size_t n_units;

    if (!io_name_of_device(io, device, &name, &n_units))
        return false;
    for (const struct io_name *n = io->names; n != NULL; n = n->next) {
        if (n->kind == IO_NAME_LINK &&
            rtl_compare_units(n->target, n->target_units, name, n_units, true) == 0) {
            *path = n->path;
            *units = n->units;
            return true;
        }
    }
    return false;
}

bool io_name_target(struct io_room *io, const WCHAR *path, size_t units, const WCHAR **target,
                    size_t *target_units)
{
    size_t length;
    WCHAR *s = normal(path, units, &length);
    const struct io_name *n = s == NULL ? NULL : find(io, s, length);

    free(s);
    if (n == NULL || n->kind != IO_NAME_LINK)
        return false;
    *target = n->target;
    *target_units = n->target_units;
    return true;
}

/* The longest name that path begins with, whole components. */
static struct io_name *longest(struct io_room *io, const WCHAR *path, size_t units)
{
    struct io_name *best = NULL;

    for (struct io_name *n = io->names; n != NULL; n = n->next)
        if (begins(path, units, n->path, n->units) && (units == n->units || path[n->units] == '\\') &&
            (best == NULL || n->units > best->units))
            best = n;
    return best;
}

NTSTATUS io_name_resolve(struct io_room *io, const WCHAR *path, size_t units, struct io_device **device,
                         WCHAR **rest, size_t *rest_units)
{
    NTSTATUS status = STATUS_OBJECT_NAME_NOT_FOUND;
    size_t length;

    *rest = NULL;
    if (units == 0 || path[0] != '\\')
        return STATUS_OBJECT_PATH_SYNTAX_BAD;
    WCHAR *s = normal(path, units, &length);
    for (int links = 0; s != NULL; links++) {
        struct io_name *n = longest(io, s, length);
        if (n == NULL)
            break;
        size_t left = length - n->units;
        if (n->kind == IO_NAME_DEVICE) {
            memmove(s, s + n->units, (left + 1) * sizeof *s);
            *device = n->device;
            *rest = s;
            *rest_units = left;
            return STATUS_SUCCESS;
        }
        if (links == LINKS_MAX) {
            status = STATUS_REPARSE_POINT_NOT_RESOLVED;
            break;
        }
        WCHAR *target = malloc((n->target_units + left + 1) * sizeof *target);
        if (target != NULL) {
            memcpy(target, n->target, n->target_units * sizeof *target);
            memcpy(target + n->target_units, s + n->units, (left + 1) * sizeof *target);
            length = n->target_units + left;
        }
        free(s);
        s = target;
    }
    if (s == NULL)
        return STATUS_NO_MEMORY;
    free(s);
    return status;
}

void io_name_clear(struct io_room *io)
{
    while (io->names != NULL)
        unlink_name(io, io->names);
}

/* ---- what drivers call
 * ------------------------------------------------------------------------------------------ */
static NTSTATUS make_link(PUNICODE_STRING link, PUNICODE_STRING target, const void *site)
{
    struct nt *k = nt_current();

    if (k == NULL)
        return STATUS_UNSUCCESSFUL;
    rt_mutex_lock(k->io->lock);
    NTSTATUS status = io_name_add(k->io, link->Buffer, link->Length / sizeof(WCHAR), IO_NAME_LINK, NULL,
                                  target->Buffer, target->Length / sizeof(WCHAR));
    uint64_t key = 0;
    if (NT_SUCCESS(status))
        key = (uint64_t)(uintptr_t)k->io->names;
    rt_mutex_unlock(k->io->lock);
    if (NT_SUCCESS(status))
        ledger_open(LEDGER_SYMBOLIC_LINK, key, 0, NULL, site);
    return status;
}

NTSTATUS IoCreateSymbolicLink(PUNICODE_STRING SymbolicLinkName, PUNICODE_STRING DeviceName)
{
    NT_FAIL_STATUS(IoCreateSymbolicLink);
    NT_IRQL_MAX(PASSIVE_LEVEL);
    return make_link(SymbolicLinkName, DeviceName, NT_SITE);
}

NTSTATUS IoCreateUnprotectedSymbolicLink(PUNICODE_STRING SymbolicLinkName, PUNICODE_STRING DeviceName)
{
    NT_FAIL_STATUS(IoCreateUnprotectedSymbolicLink);
    NT_IRQL_MAX(PASSIVE_LEVEL);
    return make_link(SymbolicLinkName, DeviceName, NT_SITE);
}

NTSTATUS IoDeleteSymbolicLink(PUNICODE_STRING SymbolicLinkName)
{
    struct nt *k = nt_current();
    uint64_t key = 0;
    size_t length;

    NT_IRQL_MAX(PASSIVE_LEVEL);
    if (k == NULL)
        return STATUS_OBJECT_NAME_NOT_FOUND;
    rt_mutex_lock(k->io->lock);
    WCHAR *s = normal(SymbolicLinkName->Buffer, SymbolicLinkName->Length / sizeof(WCHAR), &length);
    struct io_name *n = s == NULL ? NULL : find(k->io, s, length);
    free(s);
    if (n != NULL && n->kind == IO_NAME_LINK) {
        key = (uint64_t)(uintptr_t)n;
        unlink_name(k->io, n);
    }
    rt_mutex_unlock(k->io->lock);
    if (key == 0)
        return STATUS_OBJECT_NAME_NOT_FOUND;
    ledger_close(LEDGER_SYMBOLIC_LINK, key, NT_SITE);
    return STATUS_SUCCESS;
}

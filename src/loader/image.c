/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images mapped. Each engine has a copy of its own: a driver's globals are not shared. The first is the file
 * itself, which debuggers and coverage find; while it is mapped, others are copies of it in memory. Loading
 * is one at a time in a process, for the dynamic linker gives out the same image twice if it is asked twice.
 *
 * A call site is the return address of a call. Images are compiled with calls through the GOT, so the six
 * bytes before it say which slot was called, and the slot which function.
 */
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "loader/internal.h"

static atomic_flag loading = ATOMIC_FLAG_INIT;

static void set_shown(struct image *i)
{
    const char *slash = strrchr(i->path, '/');

    i->shown = slash != NULL ? slash + 1 : i->path;
}

static struct image *image_new(void)
{
    struct image *i = calloc(1, sizeof *i);

    if (i != NULL)
        i->copy = -1;
    return i;
}

/* A copy of the file that is another to the dynamic linker, which knows files by their names: the descriptor's number
 * must not be another copy's while this one is mapped. */
static void *open_copy(struct image *i, struct loader_error *error)
{
    char name[64];
    void *handle = NULL;
    size_t done = 0;
    int fd = memfd_create(i->shown, MFD_CLOEXEC);

    while (fd >= 0 && done < i->elf.size) {
        ssize_t put = write(fd, i->elf.bytes + done, i->elf.size - done);

        if (put < 0 && errno != EINTR)
            break;
        done += put > 0 ? (size_t)put : 0;
    }
    if (fd >= 0 && done == i->elf.size) {
        snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
        handle = dlopen(name, RTLD_NOW | RTLD_LOCAL);
        if (handle == NULL)
            snprintf(error->text, sizeof error->text, "%s: %s", i->shown, dlerror());
    } else {
        snprintf(error->text, sizeof error->text, "%s: cannot be copied: %s", i->shown, strerror(errno));
    }
    if (handle != NULL)
        i->copy = fd;
    else if (fd >= 0)
        close(fd);
    return handle;
}

/* Instrumented code asks for its run-time. `name` begins with the prefix; the program is to be made with the option. */
static const struct {
    const char *prefix, *option;
} runtimes[] = {
    {"__asan_", "address"},
    {"__tsan_", "thread"},
    {"__ubsan_", "undefined"},
    {"__sanitizer_cov_", "fuzzer"},
};

static const char *runtime_of(const char *name)
{
    for (size_t i = 0; i < sizeof runtimes / sizeof runtimes[0]; i++)
        if (strncmp(name, runtimes[i].prefix, strlen(runtimes[i].prefix)) == 0)
            return runtimes[i].option;
    return NULL;
}

/* Those that nobody here has; false: there are such. */
static bool all_there(const struct image *i, struct loader_error *error)
{
    const char *option = NULL;
    size_t missing = 0;
    int size = 0;

    for (size_t n = 0; n < i->elf.wanted_count; n++) {
        const char *name = i->elf.wanted[n];

        if (dlsym(RTLD_DEFAULT, name) != NULL)
            continue;
        if (option == NULL)
            option = runtime_of(name);
        if (missing++ == 0)
            size = snprintf(error->text, sizeof error->text, "%s: asks for what is not here: %s", i->shown,
                            name);
        else if ((size_t)size < sizeof error->text - 80 && strlen(name) < 64)
            size += snprintf(error->text + size, sizeof error->text - (size_t)size, ", %s", name);
    }
    if (option != NULL)
        snprintf(error->text, sizeof error->text,
                 "%s: was made with --sanitize=%s; compile and link this program with -fsanitize=%s, too",
                 i->shown, option, option);
    return missing == 0;
}

/* libFuzzer reads the counters of an image as long as the process lives. */
static bool is_fuzzed(const struct image *i)
{
    for (size_t n = 0; n < i->elf.wanted_count; n++)
        if (strncmp(i->elf.wanted[n], "__sanitizer_cov_", strlen("__sanitizer_cov_")) == 0)
            return true;
    return false;
}

static int map(struct image *i, struct loader_error *error)
{
    void *before = NULL;
    struct link_map *m;

    while (atomic_flag_test_and_set(&loading))
        rt_yield();
    before = dlopen(i->path, RTLD_LAZY | RTLD_NOLOAD);
    if (before != NULL && is_fuzzed(i)) {
        dlclose(before);
        snprintf(error->text, sizeof error->text,
                 "%s: was made for libFuzzer, which does not let go of an image: load it once, not with each "
                 "input",
                 i->shown);
    } else if (before != NULL) {
        dlclose(before);
        i->private_copy = true;
        i->handle = open_copy(i, error);
    } else {
        i->handle = dlopen(i->path, RTLD_NOW | RTLD_LOCAL);
        if (i->handle == NULL)
            snprintf(error->text, sizeof error->text, "%s", dlerror());
    }
    atomic_flag_clear(&loading);
    if (i->handle == NULL || dlinfo(i->handle, RTLD_DI_LINKMAP, &m) != 0)
        return -ENOEXEC;
    i->bias = m->l_addr;
    i->from = i->bias + i->elf.low;
    i->to = i->bias + i->elf.high;
    return 0;
}

int image_open(const char *path, struct image **out, struct loader_error *error)
{
    struct image *i = image_new();
    void *slot;
    int err = -ENOMEM;

    *out = NULL;
    snprintf(error->text, sizeof error->text, "%s: %s", path, strerror(ENOMEM));
    if (i == NULL)
        return -ENOMEM;
    i->path = realpath(path, NULL);
    if (i->path == NULL && errno != ENOMEM) {
        err = -errno;
        snprintf(error->text, sizeof error->text, "%s: %s", path, strerror(errno));
    }
    if (i->path == NULL)
        goto out;
    set_shown(i);
    err = elf_read(i->path, &i->elf, error);
    if (err != 0)
        goto out;
    err = -ENOEXEC;
    if (i->elf.record == NULL) {
        snprintf(error->text, sizeof error->text, "%s: not made by weir cc", path);
        goto out;
    }
    if (!all_there(i, error))
        goto out;
    err = map(i, error);
    if (err != 0)
        goto out;
    slot = dlsym(i->handle, "weir_driver_image");
    if (slot == NULL) {
        err = -ENOEXEC;
        snprintf(error->text, sizeof error->text, "%s: it has no DriverEntry", path);
        goto out;
    }
    memcpy(&i->entry, slot, sizeof i->entry);
    crash_image_add(i);
    *out = i;
out:
    if (err != 0)
        image_free(i);
    return err;
}

static int first_object(struct dl_phdr_info *info, size_t size, void *ctx)
{
    struct image *i = ctx;

    (void)size;
    i->bias = info->dlpi_addr;
    i->from = UINTPTR_MAX;
    i->to = 0;
    for (int n = 0; n < info->dlpi_phnum; n++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[n];
        uintptr_t from = i->bias + p->p_vaddr;

        if (p->p_type != PT_LOAD)
            continue;
        i->from = from < i->from ? from : i->from;
        i->to = from + p->p_memsz > i->to ? from + p->p_memsz : i->to;
    }
    return 1;
}

int image_open_program(struct image **out)
{
    struct image *i = image_new();

    *out = NULL;
    if (i == NULL)
        return -ENOMEM;
    i->program = true;
    i->path = realpath("/proc/self/exe", NULL);
    (void)dl_iterate_phdr(first_object, i);
    if (i->path == NULL || i->from >= i->to) {
        image_free(i);
        return -ENOMEM;
    }
    set_shown(i);
    *out = i;
    return 0;
}

struct object {
    struct image *i;
    uintptr_t at;
};

static int object_at(struct dl_phdr_info *info, size_t size, void *ctx)
{
    struct object *o = ctx;

    (void)first_object(info, size, o->i);
    if (o->at < o->i->from || o->at >= o->i->to) {
        o->i->from = o->i->to = 0;
        return 0;
    }
    o->i->path =
        info->dlpi_name[0] != '\0' ? realpath(info->dlpi_name, NULL) : realpath("/proc/self/exe", NULL);
    return 1;
}

struct image *image_open_at(const void *address)
{
    struct image *i = image_new();
    struct object o = {i, (uintptr_t)address};

    if (i == NULL)
        return NULL;
    i->program = true;
    if (dl_iterate_phdr(object_at, &o) == 0 || i->path == NULL) {
        image_free(i);
        return NULL;
    }
    set_shown(i);
    return i;
}

const struct elf *image_elf(const struct image *i)
{
    struct image *program = (struct image *)i;
    struct loader_error error;

    if (!i->program)
        return &i->elf;
    while (atomic_flag_test_and_set(&loading))
        rt_yield();
    if (!program->read)
        (void)elf_read(i->path, &program->elf, &error);
    program->read = true;
    atomic_flag_clear(&loading);
    return &i->elf;
}

void image_unmap(struct image *i)
{
    crash_image_remove(i);
    if (i->handle != NULL && !is_fuzzed(i))
        dlclose(i->handle);
    if (i->copy >= 0)
        close(i->copy);
    i->copy = -1;
    i->handle = NULL;
    i->from = i->to = 0;
}

void image_free(struct image *i)
{
    if (i == NULL)
        return;
    image_unmap(i);
    elf_free(&i->elf);
    free(i->service);
    free(i->path);
    free(i);
}

/* ---- call sites -----------------------------------------------------------------------------------------
 */

static void name_called(const struct image *i, uintptr_t site, char *out, size_t size)
{
    const uint8_t *code = (const uint8_t *)site;
    uintptr_t target = 0;
    int32_t offset;
    Dl_info info;

    if (site - i->from < 6)
        return;
    memcpy(&offset, code - 4, sizeof offset);
    if (code[-6] == 0xff && code[-5] == 0x15) { /* call *slot(%rip) */
        uintptr_t slot = site + (uintptr_t)(intptr_t)offset;

        if (slot >= i->from && slot <= i->to - sizeof target)
            memcpy(&target, (const void *)slot, sizeof target);
    } else if (code[-5] == 0xe8) { /* call function */
        target = site + (uintptr_t)(intptr_t)offset;
    }
    if (target == 0)
        return;
    if (target >= i->from && target < i->to) {
        const struct elf_function *f = elf_function_at(image_elf(i), target - i->bias);

        if (f != NULL && f->at == target - i->bias)
            snprintf(out, size, "%s", f->name);
    } else if (dladdr((void *)target, &info) != 0 && info.dli_sname != NULL &&
               info.dli_saddr == (void *)target) {
        snprintf(out, size, "%s", info.dli_sname);
    }
}

struct site site_of(const struct image *images, const void *address)
{
    uintptr_t at = (uintptr_t)address;
    struct site s = {0};

    for (const struct image *i = images; i != NULL && address != NULL; i = i->next) {
        if (at <= i->from || at > i->to)
            continue;
        s.image = i;
        s.at = at - 1 - i->bias;
        name_called(i, at, s.called, sizeof s.called);
        break;
    }
    return s;
}

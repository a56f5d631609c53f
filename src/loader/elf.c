/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An image's file, read without running any of it: which addresses it takes, its functions' names (also the
 * hidden ones), what it wants from outside, and the record of weir cc. Every offset of the file is checked
 * before it is used.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loader/internal.h"

#define FILE_LIMIT (1u << 30)

static int read_file(const char *path, struct elf *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC), err = 0;
    struct stat st;
    size_t done = 0;

    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) != 0)
        err = -errno;
    else if (!S_ISREG(st.st_mode))
        err = S_ISDIR(st.st_mode) ? -EISDIR : -ENOEXEC;
    else if (st.st_size > FILE_LIMIT)
        err = -EFBIG;
    else if ((e->bytes = malloc((size_t)st.st_size + 1)) == NULL)
        err = -ENOMEM;
    while (err == 0 && done < (size_t)st.st_size) {
        ssize_t got = read(fd, e->bytes + done, (size_t)st.st_size - done);

        if (got < 0 && errno != EINTR)
            err = -errno;
        if (got == 0)
            break;
        done += got > 0 ? (size_t)got : 0;
    }
    close(fd);
    if (err == 0) {
        e->bytes[done] = '\0'; /* names end in the file */
        e->size = done;
    }
    return err;
}

/* count things of `each` bytes at `at`; NULL: not all of them are in the file. */
static const void *part(const struct elf *e, uint64_t at, uint64_t count, size_t each)
{
    if (at > e->size || (each != 0 && count > (e->size - at) / each) || at % 8 != 0)
        return NULL;
    return e->bytes + at;
}

static const Elf64_Shdr *section(const struct elf *e, const Elf64_Ehdr *h, uint32_t index)
{
    const Elf64_Shdr *all = part(e, h->e_shoff, h->e_shnum, sizeof *all);

    return all != NULL && index < h->e_shnum && h->e_shentsize == sizeof *all ? &all[index] : NULL;
}

static int by_place(const void *x, const void *y)
{
    const struct elf_function *a = x, *b = y;

    return a->at != b->at ? (a->at < b->at ? -1 : 1) : strcmp(a->name, b->name);
}

static int read_symbols(struct elf *e, const Elf64_Ehdr *h, const Elf64_Shdr *s)
{
    const Elf64_Shdr *names = section(e, h, s->sh_link);
    size_t count = s->sh_size / sizeof(Elf64_Sym);
    const Elf64_Sym *all = part(e, s->sh_offset, count, sizeof *all);

    if (all == NULL || names == NULL || names->sh_offset > e->size ||
        names->sh_size > e->size - names->sh_offset)
        return -ENOEXEC;
    if (s->sh_type == SHT_SYMTAB) {
        e->functions = calloc(count + 1, sizeof *e->functions);
        if (e->functions == NULL)
            return -ENOMEM;
    } else {
        e->wanted = calloc(count + 1, sizeof *e->wanted);
        if (e->wanted == NULL)
            return -ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        const char *name = e->bytes + names->sh_offset + all[i].st_name;

        if (all[i].st_name >= names->sh_size)
            continue;
        if (s->sh_type == SHT_DYNSYM && all[i].st_shndx == SHN_UNDEF && name[0] != '\0' &&
            ELF64_ST_BIND(all[i].st_info) == STB_GLOBAL)
            e->wanted[e->wanted_count++] = name;
        if (s->sh_type == SHT_SYMTAB && ELF64_ST_TYPE(all[i].st_info) == STT_FUNC &&
            all[i].st_shndx != SHN_UNDEF)
            e->functions[e->function_count++] = (struct elf_function){all[i].st_value, all[i].st_size, name};
    }
    if (s->sh_type == SHT_SYMTAB)
        qsort(e->functions, e->function_count, sizeof *e->functions, by_place);
    return 0;
}

static int read_sections(struct elf *e, const Elf64_Ehdr *h)
{
    const Elf64_Shdr *names = section(e, h, h->e_shstrndx), *s;
    int err = 0;

    if (h->e_shnum != 0 && section(e, h, 0) == NULL)
        return -ENOEXEC;
    for (uint32_t i = 0; i < h->e_shnum && err == 0; i++) {
        s = section(e, h, i);
        if ((s->sh_type == SHT_SYMTAB && e->functions == NULL) ||
            (s->sh_type == SHT_DYNSYM && e->wanted == NULL))
            err = read_symbols(e, h, s);
        if (names == NULL || names->sh_offset > e->size || s->sh_name >= names->sh_size ||
            names->sh_size > e->size - names->sh_offset || s->sh_type == SHT_NOBITS ||
            s->sh_offset > e->size || s->sh_size > e->size - s->sh_offset || e->record != NULL ||
            strcmp(e->bytes + names->sh_offset + s->sh_name, ".weir.cc") != 0)
            continue;
        e->record = strndup(e->bytes + s->sh_offset, s->sh_size);
        err = e->record == NULL ? -ENOMEM : err;
    }
    return err;
}

static int read_segments(struct elf *e, const Elf64_Ehdr *h)
{
    const Elf64_Phdr *all = part(e, h->e_phoff, h->e_phnum, sizeof *all);

    if (all == NULL || h->e_phentsize != sizeof *all)
        return -ENOEXEC;
    e->low = UINT64_MAX;
    for (uint32_t i = 0; i < h->e_phnum; i++) {
        if (all[i].p_type != PT_LOAD)
            continue;
        e->low = all[i].p_vaddr < e->low ? all[i].p_vaddr : e->low;
        e->high = all[i].p_vaddr + all[i].p_memsz > e->high ? all[i].p_vaddr + all[i].p_memsz : e->high;
    }
    return e->low < e->high ? 0 : -ENOEXEC;
}

int elf_read(const char *path, struct elf *out, struct loader_error *error)
{
    const Elf64_Ehdr *h;
    int err;

    *out = (struct elf){0};
    err = read_file(path, out);
    if (err == 0) {
        h = part(out, 0, 1, sizeof *h);
        if (h == NULL || memcmp(h->e_ident, ELFMAG, SELFMAG) != 0 || h->e_ident[EI_CLASS] != ELFCLASS64 ||
            h->e_ident[EI_DATA] != ELFDATA2LSB || (h->e_type != ET_DYN && h->e_type != ET_EXEC))
            err = -ENOEXEC;
        if (err == 0)
            err = read_segments(out, h);
        if (err == 0)
            err = read_sections(out, h);
    }
    if (err != 0) {
        snprintf(error->text, sizeof error->text, "%s: %s", path,
                 err == -ENOEXEC ? "no driver that weir cc made (expected a shared object for this machine)"
                                 : strerror(-err));
        elf_free(out);
    }
    return err;
}

void elf_free(struct elf *e)
{
    free(e->record);
    free(e->functions);
    free(e->wanted);
    free(e->bytes);
    *e = (struct elf){0};
}

const struct elf_function *elf_function_at(const struct elf *e, uint64_t at)
{
    size_t low = 0, high = e->function_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (e->functions[middle].at <= at)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return NULL;
    low--;
    if (e->functions[low].size != 0 && at >= e->functions[low].at + e->functions[low].size)
        return NULL;
    return &e->functions[low];
}

bool elf_record(const struct elf *e, const char *name, char *buf, size_t size)
{
    size_t length = strlen(name);

    for (const char *line = e->record; line != NULL && *line != '\0';) {
        size_t end = strcspn(line, "\n");

        if (end > length && memcmp(line, name, length) == 0 && line[length] == '=') {
            snprintf(buf, size, "%.*s", (int)(end - length - 1), line + length + 1);
            return true;
        }
        line += end + (line[end] == '\n');
    }
    return false;
}

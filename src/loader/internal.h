/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loader's inside: what its files know of each other (weir cc's part: cc_inside.h).
 *
 *   elf.c       an image's file: what made it, its functions' names; nothing of it runs
 *   image.c     mapped, as a private copy where one is mapped already; a call site as a place in it
 *   loader.c    one engine's drivers, from load to unload
 *   findings.c  what the ledger found, kept and put into words
 *   symbols.c   places as "file.c:12 (function)": addr2line, run once for many
 *   control.c   a test program's steps
 *   crash.c     faults, and drivers that do not come back
 *   sanitizer.c the run-time that an instrumented image needs
 */
#ifndef WEIR_LOADER_INTERNAL_H
#define WEIR_LOADER_INTERNAL_H

#include "loader/loader.h"

/* ---- an image's file ------------------------------------------------------------------------------------
 */
struct elf_function {
    uint64_t at, size; /* from the load bias */
    const char *name;
};
struct elf {
    char *bytes; /* the whole file */
    size_t size;
    uint64_t low, high;             /* of the loaded segments */
    struct elf_function *functions; /* by place */
    size_t function_count;
    char *record; /* .weir.cc; NULL: weir cc did not make it */
    /* of the dynamic symbols: those wanted from outside; names are in bytes */
    const char **wanted;
    size_t wanted_count;
};
/* 0, -ENOENT and the like, -ENOEXEC (it is no such file; error says why), -ENOMEM. */
int elf_read(const char *path, struct elf *out, struct loader_error *error);
void elf_free(struct elf *e);
/* NULL: none there. Async-signal-safe. */
const struct elf_function *elf_function_at(const struct elf *e, uint64_t at);
/* "NAME=" of the record into buf; false: it is not there. */
bool elf_record(const struct elf *e, const char *name, char *buf, size_t size);

/* ---- images ---------------------------------------------------------------------------------------------
 */
struct image {
    struct image *next;
    char *path;        /* of the file that gdb and addr2line find */
    const char *shown; /* its last part */
    char *service;     /* the driver's name, as the ledger has it; NULL: nobody's */
    struct elf elf;    /* the program's: of image_elf() alone */
    void *handle;      /* NULL: the program itself, or gone */
    uintptr_t bias;
    uintptr_t from, to; /* mapped; from == to: gone */
    PDRIVER_INITIALIZE entry;
    bool private_copy;
    int copy; /* its descriptor, open as long as it is mapped: the dynamic linker goes by its name; -1: none */
    bool program;
    bool read; /* of the program: elf is there, or cannot be had */
};
int image_open(const char *path, struct image **out, struct loader_error *error);
/* The program, whose functions are drivers' too (tests). Its file is read when somebody asks for names in it. */
int image_open_program(struct image **out);
/* Whatever object of the process this address is in, named by its file; NULL: none, or out of memory. */
struct image *image_open_at(const void *address);
/* Its file; the program's may be empty, where it could not be read. Any thread. */
const struct elf *image_elf(const struct image *i);
void image_unmap(struct image *i); /* what is known of it stays */
void image_free(struct image *i);

/* A call site, as it can be told once the image has gone. */
struct site {
    const struct image *image; /* NULL: nobody's, or there is none */
    uint64_t at;               /* in it: the call, not what follows */
    char called[64];           /* the function that was called there; "": not known */
};
struct site site_of(const struct image *images, const void *address);

/* ---- words for places (symbols.c) -----------------------------------------------------------------------
 */
struct symbols;
int symbols_create(struct symbols **out);
void symbols_destroy(struct symbols *s);
/* To be asked for: so that one run of addr2line answers for all. False: out of memory. */
bool symbols_want(struct symbols *s, const struct site *site);
/* "inspect.c:812 (function)" into buf. */
const char *symbols_text(struct symbols *s, const struct site *site, char *buf, size_t size);

/* ---- findings -------------------------------------------------------------------------------------------
 */
struct findings;
int findings_create(struct loader *l, struct findings **out);
void findings_destroy(struct findings *f);
/* struct ledger_config's found; ctx is the struct findings. */
void findings_add(void *ctx, const struct ledger_finding *found);

/* ---- the loader -----------------------------------------------------------------------------------------
 */
struct loader {
    struct loader_config config;
    struct ledger *ledger;
    struct nt *nt;
    struct findings *findings;
    struct symbols *symbols;
    struct image *images;          /* all that ever were, newest first */
    struct loader_driver *drivers; /* newest first */
};
struct loader_driver {
    struct loader_driver *next;
    struct loader *loader;
    struct image *image;
    struct api_context *api;
    struct nt_driver *nt;
    char *shown; /* the file's name, or the driver's */
    bool started;
};

/* ---- crash ----------------------------------------------------------------------------------------------
 */
const struct image *crash_image_at(uintptr_t at); /* of those added; NULL: none. Async-signal-safe */
void crash_image_add(const struct image *i);
void crash_image_remove(const struct image *i);
/* A driver called KeBugCheckEx or did what amounts to it: message, flush, end. */
void crash_bugcheck(void *ctx, const char *driver, uint32_t code, const uint64_t parameters[4]);

/* A function of a driver's waits and waits: message, flush, end. */
void crash_late(const char *driver, const char *function);

#endif

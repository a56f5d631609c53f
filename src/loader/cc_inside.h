/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir cc's inside: what its files know of each other.
 *
 *   cc.c           the run: sources side by side, what each wrote to standard error in the order given
 *   cc_options.c   what is ours, what is the compiler's, what is passed over
 *   cc_places.c    where headers and imports are: installed, or in a build tree
 *   cc_run.c       programs run, files read, the temporary folder
 *   cc_scan.c      includes in any case and with backslashes, .tmh files, WPP's trace functions: an overlay
 * folder cc_token.c     preprocessed text cut into tokens cc_rewrite.c   what only Microsoft's compiler
 * understands, put into words of GCC and Clang cc_link.c      who lacks what; the image
 *
 * Errors: the exit status of loader_cc(), with the complaint already written.
 */
#ifndef WEIR_LOADER_CC_INSIDE_H
#define WEIR_LOADER_CC_INSIDE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { CC_OK = 0, CC_REFUSED = 1, CC_USAGE = 64, CC_NO_INPUT = 66, CC_INTERNAL = 70, CC_OS_ERROR = 71 };

/* "weir: cc: ..." on standard error; returns status. */
int cc_complain(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- lists of words -------------------------------------------------------------------------------------
 */
struct cc_list {
    char **items; /* items[count] is NULL: an argv */
    size_t count, room;
    bool failed; /* out of memory: items are missing */
};
void cc_add(struct cc_list *l, const char *format, ...) __attribute__((format(printf, 2, 3)));
void cc_add_all(struct cc_list *l, const struct cc_list *other);
void cc_list_free(struct cc_list *l);

/* Text that grows; failed: out of memory, what follows is lost. */
struct cc_text {
    char *bytes; /* NUL behind */
    size_t size, room;
    bool failed;
};
void cc_text_add(struct cc_text *t, const char *bytes, size_t size);
void cc_text_print(struct cc_text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void cc_text_free(struct cc_text *t);

/* ---- options --------------------------------------------------------------------------------------------
 */
enum cc_sanitizer { CC_ADDRESS = 1, CC_UNDEFINED = 2, CC_THREAD = 4, CC_FUZZER = 8 /* Clang's alone */ };
enum cc_stop { CC_LINK, CC_OBJECTS, CC_PREPROCESSED };
struct cc_options {
    struct cc_list compiler; /* the words of --cc or $CC */
    struct cc_list sources, objects;
    struct cc_list preprocess; /* -I -D -U -include ... */
    struct cc_list compile;    /* all else of the compiler's */
    struct cc_list link;
    const char *output;
    unsigned sanitizers; /* enum cc_sanitizer */
    unsigned jobs;
    enum cc_stop stop;
    bool coverage, verbose;
};
/* CC_OK; -1 after --help; else a status. */
int cc_options_parse(int argc, char **argv, struct cc_options *o);
void cc_options_free(struct cc_options *o);
bool cc_is_cxx(const char *source);

/* ---- places ---------------------------------------------------------------------------------------------
 */
struct cc_places {
    char include[3][PATH_MAX]; /* wdk, wdk/crt, the generated headers; the last may be empty */
    char imports[PATH_MAX];
    char builtin[PATH_MAX]; /* the compiler's own headers */
};
int cc_places_find(const struct cc_options *o, struct cc_places *out);

/* ---- running --------------------------------------------------------------------------------------------
 */
/* The program's exit status; 70 with a complaint if it cannot be started or died of a signal. out, err: files
 * for its output and standard error; NULL: as ours. */
int cc_run(const struct cc_list *argv, const char *out, const char *err, bool verbose);
/* Standard output of a program, cut to size, without the last newline. False: it failed. */
bool cc_ask(const struct cc_list *argv, char *out, size_t size);
/* 0 or negative errno; at most 256 MiB. The text is the caller's to free. */
int cc_read(const char *path, struct cc_text *out);
int cc_write(const char *path, const char *bytes, size_t size);
int cc_folder_make(char path[PATH_MAX]); /* CC_OK or a status */
void cc_folder_remove(const char *path);

/* ---- the steps ------------------------------------------------------------------------------------------
 */
struct cc_run {
    const struct cc_options *o;
    const struct cc_places *places;
    char folder[PATH_MAX];
    bool clang;
};

/* Makes `overlay` (a folder that exists) hold what the source's includes will not find. CC_OK or a status. */
int cc_scan(const struct cc_run *r, const char *source, const char *overlay);

/* Preprocessed text of `path` -> what the compiler is given. Warnings go to `err`. 0, -ENOMEM. */
int cc_rewrite(const struct cc_run *r, const struct cc_text *in, bool cxx, struct cc_text *out, FILE *err);

enum cc_token_kind { CC_WORD, CC_NUMBER, CC_STRING, CC_PUNCT, CC_LINE, CC_END };
struct cc_token {
    uint32_t at, size; /* in the text */
    uint32_t line;     /* of the file */
    uint16_t file;     /* struct cc_tokens.files */
    uint8_t kind;      /* CC_LINE: a whole line that begins with '#', without its newline */
    bool ours;         /* stands in a header of Weir's or the compiler's */
    bool again;        /* a member's name that the struct around has already: cc_members.c */
    uint32_t pair;     /* of a bracket: its partner's index; 0: there is none */
};
struct cc_tokens {
    struct cc_token *list; /* the last is CC_END */
    size_t count;
    struct cc_list files;
};
int cc_tokens_make(const struct cc_run *r, const struct cc_text *text, struct cc_tokens *out);
void cc_tokens_free(struct cc_tokens *t);
void cc_members_mark(const char *text, struct cc_tokens *t);

int cc_link(const struct cc_run *r, const struct cc_list *objects);

#endif

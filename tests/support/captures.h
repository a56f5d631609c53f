/* SPDX-License-Identifier: Apache-2.0 */
/*
 * captures: small pcap and pcapng files for tests, in memory, in either byte order; own code that shares
 * nothing with the reader. Everything that is written can be written wrong: the lengths are arguments, or are
 * patched afterwards (made_patch32).
 *
 *   struct made m = {.big = true};
 *   made_section(&m);
 *   made_interface(&m, 1, 65535, NULL, 0);
 *   made_packet(&m, 0, 1500000000000000, "abc", 3, 60, NULL, 0);
 *   ... m.bytes, m.size ...
 *   made_free(&m);
 */
#ifndef WEIR_TESTS_CAPTURES_H
#define WEIR_TESTS_CAPTURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct made {
    uint8_t *bytes;
    size_t size, room;
    bool big;     /* most significant byte first */
    size_t block; /* where the last block or record began */
};

void made_free(struct made *m);
void made_bytes(struct made *m, const void *bytes, size_t size);
void made16(struct made *m, uint16_t v);
void made32(struct made *m, uint32_t v);
void made64(struct made *m, uint64_t v);
/* Zeros up to a multiple of 4. */
void made_pad(struct made *m);
void made_patch32(struct made *m, size_t at, uint32_t v);

/* ---- pcap ---------------------------------------------------------------------------------------------- */
#define MADE_MICRO    0xa1b2c3d4u
#define MADE_NANO     0xa1b23c4du
#define MADE_MODIFIED 0xa1b2cd34u
void made_pcap(struct made *m, uint32_t magic, uint32_t snap_length, uint32_t link);
void made_record(struct made *m, uint32_t seconds, uint32_t fraction, const void *bytes, uint32_t captured,
                 uint32_t length);
/* A modified pcap's, with Linux' packet type. */
void made_record_modified(struct made *m, uint32_t seconds, uint32_t fraction, uint8_t packet_type,
                          const void *bytes, uint32_t captured, uint32_t length);

/* ---- pcapng -------------------------------------------------------------------------------------------- */
/* Begins a block; made_end() writes both its lengths. */
void made_begin(struct made *m, uint32_t type);
void made_end(struct made *m);
void made_option(struct made *m, uint16_t code, const void *value, uint16_t size);
void made_option32(struct made *m, uint16_t code, uint32_t value);
void made_option64(struct made *m, uint16_t code, uint64_t value);

void made_section(struct made *m);
/* The options of both are bytes as made_option() writes them; may be NULL. */
void made_interface(struct made *m, uint16_t link, uint32_t snap_length, const void *options, size_t size);
void made_packet(struct made *m, uint32_t interface, uint64_t ticks, const void *bytes, uint32_t captured,
                 uint32_t length, const void *options, size_t size);
void made_simple(struct made *m, const void *bytes, uint32_t captured, uint32_t length);
void made_old_packet(struct made *m, uint16_t interface, uint16_t drops, uint64_t ticks, const void *bytes,
                     uint32_t captured, uint32_t length);

/* Writes bytes to a file of its own; the path is valid until made_file_remove(). */
const char *made_file(const void *bytes, size_t size, char path[64]);
/* A path that can be read once, as a pipe: a child writes the bytes there, `piece` at a time (0: all). */
const char *made_pipe(const void *bytes, size_t size, size_t piece, char path[64], int *fd, int *child);
void made_pipe_close(int fd, int child);

#endif

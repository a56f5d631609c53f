/* SPDX-License-Identifier: Apache-2.0 */
/*
 * capture: pcap and pcapng files, read and written. Part of the datapath room's door.
 *
 * Own code, and not libpcap's, because what is needed is what libpcap does not keep: several link types in
 * one pcapng, options (comments, process data, interface addresses, direction), time stamps in their own
 * resolution, a packet's bytes as they were; and because reading is on the packet path (perf: mmap, no copy).
 *
 * Reading is by a bounded cursor over the mapped file (or over a buffer for pipes); an error names file,
 * packet, what was expected and what was found, and everything before it stays good. Micro- and nanosecond
 * pcap in both byte orders, "modified" pcap (Kuznetzov) with its longer record header; pcapng: SHB (several
 * sections), IDB, EPB, SPB, the old packet block, NRB and unknown blocks passed over, DSB never shown.
 * Writing is pcapng always: an interface as in the input (link type, snap length, resolution), packets with
 * their bytes and time stamps bit for bit, a comment where there is something to say; buffered, in big
 * writes.
 */
#ifndef WEIR_DATAPATH_CAPTURE_H
#define WEIR_DATAPATH_CAPTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/wire.h"

struct capture;
struct capture_writer;

/* So many packets later a pipe's bytes are gone. */
#define CAPTURE_WINDOW 1024

struct capture_error {
    char text[256]; /* "FILE: packet 17: expected ..., found ..." */
};

struct capture_address {
    uint8_t version;
    uint8_t bits; /* of its prefix; 0: not said */
    union wire_addr address;
};

/* Strings belong to the capture. */
struct capture_interface {
    uint16_t link_type;
    uint32_t snap_length;           /* 0: none */
    const char *name, *description; /* NULL: not said */
    const struct capture_address *addresses;
    size_t address_count;
    uint8_t mac[6];
    bool has_mac;
    uint8_t resolution;  /* if_tsresol as written; pcap: 6 or 9 */
    uint64_t ticks;      /* a second */
    int64_t time_offset; /* if_tsoffset: seconds added to every time stamp */
};

enum capture_way { CAPTURE_WAY_UNKNOWN, CAPTURE_WAY_IN, CAPTURE_WAY_OUT };

struct capture_packet {
    uint64_t number;      /* from 1 */
    uint64_t time_ns;     /* since 1970; below the file's own resolution: truncated */
    uint64_t ticks;       /* the time stamp as written, in the interface's units */
    const uint8_t *bytes; /* until the capture is closed (mapped), or CAPTURE_WINDOW packets later (pipe) */
    uint32_t captured, length;
    uint32_t interface; /* index into capture_interface() */
    uint32_t
        process; /* index into capture_process() (Darwin's process blocks, epb options); UINT32_MAX: none */
    enum capture_way way; /* epb_flags */
    bool has_time;        /* SPB has none: the time of the packet before it */
    /* What else the record held; flags and what follows is the writer's, but for the comment. */
    uint32_t flags;      /* epb_flags where `options` do not say them: pcap that tells directions; 0: none */
    uint32_t drops;      /* of the old packet block: lost before it; 0: none or unknown */
    const char *comment; /* the first one; not terminated: comment_size bytes; NULL: none */
    const uint8_t *options; /* pcapng's, as written; NULL: none */
    uint32_t comment_size, options_size;
    uint64_t delay_ns; /* the writer's: it is written with a time so much later; 0 as read */
};

/* Who sent or received, where the capture says so. */
struct capture_process {
    uint64_t pid;
    const char *name; /* or path, as written; NULL: not said */
};

/* Opens and reads the file's beginning; "-" is standard input. 0; -ENOENT, -EACCES ...: cannot be read;
 * -EINVAL: no capture, *error says. */
int capture_open(const char *path, struct capture **out, struct capture_error *error);
int capture_open_memory(const char *name, const uint8_t *bytes, size_t size, struct capture **out,
                        struct capture_error *error);
/* A capture without a file and without packets, with interfaces made up: what the writer's packets belong to that
 * were never read. Times in nanoseconds. 0, -ENOMEM, -EINVAL (too many). */
int capture_made(const char *name, struct capture **out);
int capture_made_interface(struct capture *c, uint16_t link_type, const char *name, const uint8_t mac[6]);
void capture_close(struct capture *c);
/* 1: a packet; 0: the end; -EINVAL: broken here, *error says where (what was read before stays valid);
 * -ENOMEM. */
int capture_next(struct capture *c, struct capture_packet *out, struct capture_error *error);
const struct capture_interface *capture_interface(const struct capture *c, uint32_t index); /* NULL: none */
size_t capture_interface_count(const struct capture *c);                                    /* so far */
const struct capture_process *capture_process(const struct capture *c, uint32_t index);
/* How far through the file: bytes read and all; all 0 for a pipe. */
void capture_progress(const struct capture *c, uint64_t *done, uint64_t *all);

/* Writes to `path` ("-": standard output) through a temporary name beside it that becomes `path` at close, or
 * on error as far as it is whole. 0 or negative errno. */
int capture_writer_open(const char *path, struct capture_writer **out, struct capture_error *error);
/* Writes a packet of c, with c's interface described before its first packet; comment NULL: none, else it
 * comes before those that the packet had. A writer is for the packets of one capture. A packet without a time
 * stays one where pcapng can say so (a simple packet block: first interface, no comment), else it is given
 * the time of the packet before it. 0 or -errno; after an error nothing more is written. */
int capture_write(struct capture_writer *w, const struct capture *c, const struct capture_packet *p,
                  const char *comment);
/* The same with these bytes in place of the packet's own: as many. */
int capture_write_with(struct capture_writer *w, const struct capture *c, const struct capture_packet *p,
                       const uint8_t *bytes, const char *comment);
/* Describes those of c's interfaces that no packet described yet: a capture without packets still says its
 * link type. 0 or -errno. */
int capture_write_interfaces(struct capture_writer *w, const struct capture *c);
/* 0 or the first error that happened. keep false: the file is removed. */
int capture_writer_close(struct capture_writer *w, bool keep);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * capture's inside: what its files know of each other.
 *
 *   capture_source.c  bytes: a mapped file, a pipe in chunks, memory
 *   capture.c         the door: open, next, interfaces, processes, times, errors
 *   capture_pcap.c    pcap's header and records
 *   capture_ng.c      pcapng's blocks
 *   capture_option.c  pcapng's options: walked, read, put in the writer's byte order
 *   capture_write.c   the writer
 *   capture_reserve.c room on the disk ahead of it
 *
 * A format's next() asks the source for a whole record at a time (source_need) and reads it through the
 * bounded cursor; bytes that the source once gave stay where they are (a pipe's: CAPTURE_WINDOW packets).
 */
#ifndef WEIR_DATAPATH_CAPTURE_INSIDE_H
#define WEIR_DATAPATH_CAPTURE_INSIDE_H

#include "datapath/capture.h"
#include "wire/cursor.h"

/* ---- bytes (capture_source.c) -------------------------------------------------------------------------- */

/* A part of a pipe's bytes. */
struct chunk {
    struct chunk *next;
    uint64_t offset; /* of bytes[0] in the input */
    uint64_t last;   /* packets given out when the reader left this chunk */
    size_t capacity, filled;
    uint8_t bytes[];
};

#define FETCH_LINE  ((uintptr_t)64)
#define FETCH_AHEAD ((uintptr_t)2048)
#define FETCH_FAR   ((uintptr_t)32768) /* most batches of frames (replay.c), */
#define FETCH_STEP  ((uintptr_t)1024)  /* ... and one of them */

struct source {
    const uint8_t *at, *end; /* to be read without asking; there may be more */
    uintptr_t fetched;       /* asked for up to here */

    /* mapped files and memory; map NULL: a pipe */
    const uint8_t *map;
    size_t size;
    size_t mapped;  /* 0: not to be unmapped */
    size_t dropped; /* pages before this were given back */

    /* pipes */
    int fd; /* -1: none */
    bool fd_is_ours, over;
    struct chunk *first, *current, *spare;
    const uint64_t *packets; /* how many were given out so far */
    int failed;              /* negative errno: reading failed */
};

/* 0 or negative errno. */
int source_open(struct source *s, const char *path, const uint64_t *packets);
void source_open_memory(struct source *s, const uint8_t *bytes, size_t size);
void source_close(struct source *s);
/* Where in the input `at` stands. */
uint64_t source_offset(const struct source *s);
/* How many bytes can be had, at most `most`; waits for them. */
size_t source_left(struct source *s, size_t most);
/* Passes over bytes that were never asked for; how many there were. */
uint64_t source_skip(struct source *s, uint64_t size);

const uint8_t *source_more(struct source *s, size_t size);
/* The next `size` bytes in one piece; NULL: there are not so many (or s->failed). at is not moved. */
static inline const uint8_t *source_need(struct source *s, size_t size)
{
    return (size_t)(s->end - s->at) >= size ? s->at : source_more(s, size);
}

/* Behind a record: asks for the bytes to come, line by line, as far ahead as a few packets. Where the record after the next
 * stands the next one must tell first, and memory is slower than a packet's turn can be. */
static inline void source_fetch_next(struct source *s)
{
    const uintptr_t at = (uintptr_t)s->at, end = at + FETCH_AHEAD;
    uintptr_t from = s->fetched;

    if (from - at > FETCH_FAR + FETCH_LINE) /* behind what was read, or in another piece of memory */
        from = at;
    for (; from < end; from += FETCH_LINE)
        __builtin_prefetch((const void *)from);
    s->fetched = from;
}

/* While something else is done, between records that are read one right after the other: some of those to come, as far ahead as
 * many packets. */
static inline void source_fetch_some(struct source *s)
{
    const uintptr_t at = (uintptr_t)s->at, end = s->fetched + FETCH_STEP;
    uintptr_t from = s->fetched;

    if (from - at > FETCH_FAR - FETCH_STEP)
        return;
    for (; from < end; from += FETCH_LINE)
        __builtin_prefetch((const void *)from);
    s->fetched = from;
}

/* ---- the capture (capture.c) --------------------------------------------------------------------------- */

/* pcap's and Wireshark's bound of what a packet can hold; link types of whole messages have more. */
#define CAPTURE_PACKET_MAX     262144u
#define CAPTURE_PACKET_MAX_BIG 134217728u /* D-Bus, USB */
#define CAPTURE_BLOCK_MAX      16777216u  /* pcapng blocks that hold no packet */
#define CAPTURE_INTERFACES_MAX 65536u
#define CAPTURE_PROCESSES_MAX  65536u
#define CAPTURE_NONE           UINT32_MAX
#define CAPTURE_PCAP_RECORD    16u /* a pcap record's header */

struct interface {
    struct capture_interface is;
    uint8_t *options; /* as written: pcapng; a copy */
    uint32_t options_size;
    uint32_t first_process; /* of its section */
    bool swapped;
    uint8_t fcs_length; /* pcap says it in its header: bytes; 0: not said */
    uint32_t packet_max;
    uint32_t scale;      /* ns a tick, where that is a whole number and there is no offset; 0: not */
    uint64_t most_ticks; /* so many are within 64 bits of ns */
};

struct process {
    struct capture_process is;
    uint8_t *block; /* Darwin's process block, as written, without head and tail; NULL: from epb options */
    uint32_t block_size;
    bool swapped;
    uint32_t next; /* with the same hash */
};

struct processes {
    struct process *list;
    size_t count, room;
};

#define PROCESS_BUCKETS 256
#define PROCESS_BY_ID   0x40000000u /* in an index: known by its id alone */

struct capture {
    struct source source;
    char *name;
    int (*next)(struct capture *c, struct capture_packet *out, struct capture_error *error);
    bool swapped; /* the file's (section's) byte order is not this machine's */
    uint64_t packets;
    uint64_t last_ns;
    int broken; /* what next() returned when it failed; and again */
    struct capture_error error;

    struct interface **interfaces;
    size_t interface_count, interface_room;
    struct processes described;        /* by Darwin's blocks */
    struct processes by_id;            /* from epb options */
    uint32_t buckets[PROCESS_BUCKETS]; /* of by_id: index + 1 */

    /* pcap */
    const struct interface *plain; /* records as capture_pcap_plain() reads them; NULL: not */
    bool modified;
    enum { LENGTHS_AS_THEY_ARE, LENGTHS_SWAPPED, LENGTHS_PERHAPS_SWAPPED } lengths;

    /* pcapng: where this section's begin */
    uint32_t first_interface, first_process;
};

/* "FILE: packet N: expected ..., found ...", N the packet that would have been next. Returns -EINVAL; or, if
 * the source could not be read, says that and returns its error. */
int capture_fail(struct capture *c, struct capture_error *error, const char *expected, const char *found, ...)
    __attribute__((format(printf, 4, 5)));
/* As much, for a source that ended: "... of `what`, found the end of the file after `left`". */
int capture_fail_short(struct capture *c, struct capture_error *error, const char *what, uint64_t size);

/* The captured length is beyond what the interface's link type can have. */
int capture_fail_length(struct capture *c, struct capture_error *error, const struct interface *i,
                        uint32_t captured);

/* A new interface with these, resolution 6; NULL: out of memory. There are fewer than
 * CAPTURE_INTERFACES_MAX. */
struct interface *capture_interface_new(struct capture *c, uint16_t link_type, uint32_t snap_length);
/* Takes the last one back: its description is broken. */
void capture_interface_drop(struct capture *c);
/* The number of ticks a second from if_tsresol; false: more than 64 bits. */
bool capture_interface_resolution(struct interface *i, uint8_t resolution);
uint64_t capture_time_slow(const struct interface *i, uint64_t ticks);
static inline uint64_t capture_time_ns(const struct interface *i, uint64_t ticks)
{
    return i->scale != 0 && ticks <= i->most_ticks ? ticks * i->scale : capture_time_slow(i, ticks);
}
/* The other way round: for packets that have no time of their own. */
uint64_t capture_ticks(const struct interface *i, uint64_t time_ns);
/* Index of a process known by its id alone; CAPTURE_NONE: no room. */
uint32_t capture_process_of(struct capture *c, uint64_t pid);
struct process *capture_process_new(struct processes *all); /* NULL: no room */

/* Both read the file's head; 0 or the error as capture_next(). */
int capture_pcap_open(struct capture *c, struct capture_error *error);
int capture_ng_open(struct capture *c, struct capture_error *error);

/* ---- numbers ------------------------------------------------------------------------------------------- */

static inline uint16_t get16(const uint8_t *p, bool swapped)
{
    uint16_t v;
    __builtin_memcpy(&v, p, sizeof(v));
    return swapped ? __builtin_bswap16(v) : v;
}

static inline uint32_t get32(const uint8_t *p, bool swapped)
{
    uint32_t v;
    __builtin_memcpy(&v, p, sizeof(v));
    return swapped ? __builtin_bswap32(v) : v;
}

static inline uint64_t get64(const uint8_t *p, bool swapped)
{
    uint64_t v;
    __builtin_memcpy(&v, p, sizeof(v));
    return swapped ? __builtin_bswap64(v) : v;
}

static inline void put16(uint8_t *p, uint16_t v)
{
    __builtin_memcpy(p, &v, sizeof(v));
}

static inline void put32(uint8_t *p, uint32_t v)
{
    __builtin_memcpy(p, &v, sizeof(v));
}

static inline void put64(uint8_t *p, uint64_t v)
{
    __builtin_memcpy(p, &v, sizeof(v));
}

/* ---- pcap ---------------------------------------------------------------------------------------------- */

/* The next packet of a pcap file in this machine's byte order, if it is at hand and nothing about it is out of the
 * ordinary. False: capture_next() is to be asked. */
static inline bool capture_pcap_plain(struct capture *c, struct capture_packet *out)
{
    const struct interface *i = c->plain;
    const uint8_t *b = c->source.at;
    const size_t there = (size_t)(c->source.end - b);
    uint64_t ticks;
    uint32_t captured;

    if (i == NULL || there < CAPTURE_PCAP_RECORD)
        return false;
    captured = get32(b + 8, false);
    ticks = get32(b, false) * i->is.ticks + get32(b + 4, false);
    if (captured > i->packet_max || there - CAPTURE_PCAP_RECORD < captured || ticks > i->most_ticks)
        return false;
    c->source.at = b + CAPTURE_PCAP_RECORD + captured;
    source_fetch_next(&c->source);
    out->number = ++c->packets;
    out->time_ns = ticks * i->scale;
    out->ticks = ticks;
    out->bytes = b + CAPTURE_PCAP_RECORD;
    out->captured = captured;
    out->length = get32(b + 12, false);
    out->interface = 0;
    out->process = CAPTURE_NONE;
    out->way = CAPTURE_WAY_UNKNOWN;
    out->has_time = true;
    out->flags = out->drops = 0;
    out->comment = NULL;
    out->options = NULL;
    out->comment_size = out->options_size = 0;
    out->delay_ns = 0;
    return true;
}

/* ---- what is written (capture_reserve.c) --------------------------------------------------------------- */

struct reserve {
    uint64_t end; /* of the file, as far as it has room */
    bool over;
};
/* `size` bytes are about to be written behind `written` others, to a regular file that is nobody else's. */
void reserve_for(struct reserve *r, int fd, uint64_t written, uint64_t size);
/* All is written: gives back what is left over. */
void reserve_end(struct reserve *r, int fd, uint64_t written);

/* ---- pcapng ------------------------------------------------------------------------------------------- */

enum {
    BLOCK_INTERFACE = 1,
    BLOCK_PACKET = 2, /* the old one */
    BLOCK_SIMPLE = 3,
    BLOCK_NAMES = 4,
    BLOCK_STATISTICS = 5,
    BLOCK_ENHANCED = 6,
    BLOCK_SECTION = 0x0a0d0d0a,
};
#define BLOCK_DARWIN_PROCESS 0x80000001u
#define SECTION_MAGIC        0x1a2b3c4du

enum {
    OPTION_END = 0,
    OPTION_COMMENT = 1,
    OPTION_SECTION_APPLICATION = 4,

    OPTION_IF_NAME = 2,
    OPTION_IF_DESCRIPTION = 3,
    OPTION_IF_IPV4 = 4,
    OPTION_IF_IPV6 = 5,
    OPTION_IF_MAC = 6,
    OPTION_IF_SPEED = 8,
    OPTION_IF_RESOLUTION = 9,
    OPTION_IF_ZONE = 10,
    OPTION_IF_FCS_LENGTH = 13,
    OPTION_IF_OFFSET = 14,
    OPTION_IF_TX_SPEED = 16,
    OPTION_IF_RX_SPEED = 17,

    OPTION_PACKET_FLAGS = 2,
    OPTION_PACKET_HASH = 3,
    OPTION_PACKET_DROPS = 4,
    OPTION_PACKET_ID = 5,
    OPTION_PACKET_QUEUE = 6,
    OPTION_PACKET_VERDICT = 7,
    OPTION_PACKET_PROCESS = 8,           /* process and thread, 4 bytes each */
    OPTION_PACKET_DARWIN_FIRST = 0x8001, /* index of a process block of this section */
    OPTION_PACKET_DARWIN_EFFECTIVE = 0x8003,
    OPTION_PACKET_DARWIN_LAST = 0x800f, /* all 4 bytes */

    OPTION_PROCESS_NAME = 2,
    OPTION_PROCESS_PATH = 3,

    OPTION_CUSTOM_TEXT = 2988,
    OPTION_CUSTOM_BYTES = 2989,
    OPTION_CUSTOM_TEXT_STAYS = 19372,
    OPTION_CUSTOM_BYTES_STAYS = 19373,
};

/* One option; value is not padded. */
struct option {
    uint16_t code, size;
    const uint8_t *value;
};

/* Walks options: 1 and *out; 0: the end (of the option list or of the bytes); -1: it runs over the end. */
struct option_walk {
    struct cursor c;
    bool swapped;
};
static inline struct option_walk option_walk(const uint8_t *options, uint32_t size, bool swapped)
{
    return (struct option_walk){{options, 0, size, size}, swapped};
}
int option_next(struct option_walk *w, struct option *out);

/* Which block an option list is of. */
enum option_kind { OPTIONS_OF_INTERFACE, OPTIONS_OF_PACKET, OPTIONS_OF_PROCESS };

/* Room that an option takes. */
static inline size_t option_room(size_t size)
{
    return 4 + ((size + 3) & ~(size_t)3);
}
/* Writes one option; returns what is behind it. */
uint8_t *option_put(uint8_t *out, uint16_t code, const void *value, size_t size);
/* Writes one option of the input in this machine's byte order; one whose value's inside is unknown is left
 * out if the order has to change. Returns what is behind; never needs more room than the option had. */
uint8_t *option_copy(uint8_t *out, enum option_kind kind, const struct option *o, bool swapped);

#endif

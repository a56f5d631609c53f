/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the suites of the reference drivers share (tests/drivers/): a machine with the driver's image loaded, somebody
 * who reads along at the wires, conversations.
 *
 *     struct suite s;
 *     suite_open(&s, NULL, parameters, 1);                the image that the program was called with
 *     ...
 *     suite_close(&s);                                    unloads it: nothing is left; every checksum was right
 */
#ifndef WEIR_TESTS_DRIVER_SUITE_H
#define WEIR_TESTS_DRIVER_SUITE_H

#include <errno.h>

#include "embed_lab.h"

struct _GUID;

#define SUITE_KEPT 64 /* datagrams */

/* What the host has sent, or was sent, of one protocol. */
struct suite_traffic {
    uint64_t packets, bytes; /* with their IP headers */
    uint64_t payload;        /* behind IP's header, without its fragments' */
};
struct suite_datagram {
    bool from_host, fragment;
    uint8_t version, traffic_class; /* IPv4: the second byte */
    uint16_t size;                  /* of the payload of UDP */
    uint8_t payload[2048];          /* as much of it as fits */
};

struct suite {
    struct embed_lab l;
    struct weir *w;
    struct weir_process *program, *peer;
    struct weir_driver *driver;
    struct suite_traffic traffic[2][256]; /* [from the host?][protocol] */
    unsigned wrong_sums;                  /* packets of the host with a checksum that is not right */
    unsigned classes[256];                /* packets of the host by traffic class */
    struct suite_datagram datagrams[SUITE_KEPT];
    unsigned datagram_count; /* of UDP, both ways; kept are the first */
};

/* main(): runs the group with the image argv[1]; argv[2]: tests of that name. */
int suite_main(int argc, char **argv, const char *group, const struct CMUnitTest *tests, size_t count);
#define SUITE_MAIN(argc, argv, group, tests)                                                                 \
    suite_main(argc, argv, group, tests, sizeof(tests) / sizeof((tests)[0]))

/* Config: NULL, or what is wanted besides the messages. */
void suite_open(struct suite *s, const struct weir_config *config, const struct weir_parameter *parameters,
                size_t count);
/* The machine alone. */
void suite_open_bare(struct suite *s, const struct weir_config *config);
/* NULL: DriverEntry has failed. */
struct weir_driver *suite_load(struct suite *s, const struct weir_parameter *parameters, size_t count);
/* The same, beside the suite's own, under a name of its own; the caller unloads it. */
struct weir_driver *suite_load_as(struct suite *s, const char *name, const struct weir_parameter *parameters,
                                  size_t count);
/* The driver, if it is still there, is unloaded; it has left nothing; the host's checksums were right. */
void suite_close(struct suite *s);

/* A listening or bound socket of that program. */
struct weir_socket *suite_listens(struct weir_process *p, const char *address);
struct weir_socket *suite_bound(struct weir_process *p, const char *address);
/* Connected before so much time is over, and accepted there. */
struct weir_socket *suite_accepted(struct suite *s, struct weir_socket *client, struct weir_socket *listener,
                                   uint64_t patience);
/* So many bytes go from one end to the other and arrive as they were sent, whatever wires do. */
void suite_transfer(struct weir_socket *from, struct weir_socket *to, size_t size);
/* One direction of a connection under way, whose ends send, receive and close at random. */
struct suite_half {
    struct weir_socket *from, *to;
    uint8_t *sent, *got;
    size_t size, at, got_size, room; /* of sent: in all, so far; of got: so far, at most */
    bool shut, ended;
};
void suite_half_step(struct suite_half *h, uint64_t *random);
uint64_t suite_random(uint64_t *state); /* not 0 */
/* Exactly this datagram is the next to be received, within so much time. */
void suite_receives(struct weir_socket *s, const void *bytes, size_t size, uint64_t patience);
/* A filter that blocks at that layer what has this remote port (0: all). */
void suite_block(struct suite *s, const struct _GUID *layer, uint16_t remote_port);
/* Packets of either way that were on the wires so far. */
uint64_t suite_packets(const struct suite *s);

#endif

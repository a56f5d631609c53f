/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine inside embed: interfaces, wires, stacks, programs, and the gate between stack and host. What
 * interface.c, wire.c, gate.c, program.c, socket.c and world.c know of each other.
 *
 * What is under way is an Ethernet frame. A stack's packet gets LINK bytes of header that is made up; what a driver or the
 * test sends as a frame has its own, perhaps with VLAN tags, and need not hold IP. The host sees frames (its MAC layers
 * want them), stacks see packets.
 */
#ifndef WEIR_EMBED_MACHINE_H
#define WEIR_EMBED_MACHINE_H

#include "embed/internal.h"

#define LINK             14u
#define EMBED_FRAME_MOST (LINK + 65535u)

struct embed_process;
struct embed_socket;

/* ---- addresses (address.c) ----------------------------------------------------------------------------- */

struct embed_end {
    uint8_t version; /* 0: of either ("", ":53") */
    union wire_addr address;
    bool has_port;
    uint16_t port;
};
/* "10.0.0.2:443", "[fd00::2]:443", ":53", and without a port. False: it is none of them. */
bool embed_end_parse(const char *text, struct embed_end *out);
struct embed_address {
    uint8_t version; /* 0: none */
    union wire_addr is;
    unsigned bits; /* of its subnet */
};
bool embed_address_has(const struct embed_address *subnet, uint8_t version, const union wire_addr *a);
/* Text into WEIR_ADDRESS bytes. */
const char *embed_end_format(uint8_t version, const union wire_addr *a, uint16_t port, char *out);

/* ---- interfaces (interface.c) -------------------------------------------------------------------------- */

struct embed_interface {
    struct embed *e;
    struct embed_interface *next;
    uint32_t index, mtu;
    uint64_t delay_ns;
    uint8_t mac[2][6];             /* the host's, the peer's */
    struct stack *peer;            /* NULL: nobody is there */
    struct embed_process *program; /* the peer's; NULL: nobody asked for it */
    int fd;                        /* -1: none is attached */
    unsigned at;                   /* its place in the capture */
    bool checksum_offload;
    struct embed_address addresses[4]; /* the host's */
};
int embed_links_create(struct embed *e);
void embed_links_destroy(struct embed *e);
/* weir_interface_add()'s body, and that of the engine's making. 0, -EINVAL (told by embed_error()), -EEXIST, -ENOMEM. */
int embed_interface_add(struct embed *e, const struct weir_interface *config);
struct embed_interface *embed_interface_by_index(struct embed *e, uint32_t index); /* NULL: none */
struct embed_interface *embed_interfaces(struct embed *e);                         /* the first */
/* By which one this packet of the host's goes out, where the index does not say it; NULL: by none. */
struct embed_interface *embed_interface_towards(struct embed *e, uint32_t index, const uint8_t *bytes,
                                                uint32_t size);

/* ---- wires (wire.c, capture.c, rule.c) ----------------------------------------------------------------- */

int embed_wires_create(struct embed *e);
/* What is under way is gone, the capture is written. */
void embed_wires_stop(struct embed *e);
void embed_wires_destroy(struct embed *e);
/* A packet is put on a wire, from its IP header on; its link header is made. */
void embed_wire_send(struct embed *e, struct embed_interface *i, bool to_host, const uint8_t *bytes,
                     uint32_t size);
/* A frame is, as it is. */
void embed_wire_frame(struct embed *e, struct embed_interface *i, bool to_host, const uint8_t *frame,
                      uint32_t size);
/* A packet comes back to the host that sent it, at once: loopback. */
void embed_wire_loop(struct embed *e, uint32_t interface, const uint8_t *bytes, uint32_t size);
/* The same of a peer's, if it is sent to a group or to all. */
void embed_wire_echo(struct embed *e, struct embed_interface *i, const uint8_t *bytes, uint32_t size);
uint64_t embed_wires_due(const struct embed *e); /* UINT64_MAX: nothing is under way */
/* Delivers one packet that is due. False: none is. */
bool embed_wires_deliver(struct embed *e, uint64_t now);
/* Writes the link header before the packet, which stands behind it; size: of both. */
void embed_wire_link(const struct embed_interface *i, bool to_host, uint8_t *frame, uint32_t size);

/* Into the capture, if there is one: a frame; an interface that it is to know (0, -ENOMEM). */
void embed_capture_write(struct embed *e, const struct embed_interface *i, bool to_host, const uint8_t *frame,
                         uint32_t size);
int embed_capture_know(struct embed *e, struct embed_interface *i);
void embed_capture_stop(struct embed *e);

/* What becomes of a packet on its way by a rule of the test's (rule.c). */
struct embed_ruling {
    bool decided;
    enum weir_action action;
    uint64_t delay_ns;
    const char *verdict; /* "delayed"; NULL: nothing is */
};
struct embed_rules;
int embed_rules_create(struct embed *e, struct embed_rules **out);
void embed_rules_destroy(struct embed_rules *r);
/* bytes: from its IP header on; NULL: there is none, and rules that look at packets do not fit. */
struct embed_ruling embed_rules_ask(struct embed_rules *r, const struct embed_interface *i, bool to_host,
                                    const uint8_t *bytes, uint32_t size);
struct embed_rules *embed_wires_rules(struct embed *e);

/* ---- frames (frame.c) ---------------------------------------------------------------------------------- */

/* Where the frame's IP packet begins; `size`: it has none. */
uint32_t embed_frame_ip(const uint8_t *frame, uint32_t size);
/* Does an adapter of this address take it: sent to it, or to a group? */
bool embed_frame_is_for(const uint8_t mac[6], const uint8_t *frame);
/* weir_tap_frames()'s function hears of it. */
void embed_frame_tell(struct embed *e, const struct embed_interface *i, enum weir_way way, bool arrived,
                      const uint8_t *frame, uint32_t size);

/* ---- the gate (gate.c, inbox.c) ------------------------------------------------------------------------ */

int embed_gate_create(struct embed *e); /* the host's stack */
void embed_gate_destroy(struct embed *e);
void embed_gate_host(struct embed *e, struct host_config *config); /* its callbacks */
struct stack *embed_gate_stack(struct embed *e);
/* A frame came in by this interface. It may be changed. */
void embed_gate_arrive(struct embed *e, struct embed_interface *i, uint8_t *frame, uint32_t size);
/* The host itself sends this one, which holds no IP. 0; -EACCES: blocked or absorbed on its way. */
int embed_gate_send_frame(struct embed *e, struct embed_interface *i, const uint8_t *frame, uint32_t size);
/* A packet for the host's own stack, behind the layers. */
void embed_gate_give(struct embed *e, uint32_t interface, const uint8_t *bytes, uint32_t size);
/* What the host told meanwhile is carried out. False: nothing was told. */
bool embed_gate_drain(struct embed *e);
/* host_observer.flow's DELETED: what policy ended is ended in the stack, too. Any thread. */
void embed_gate_deleted(struct embed *e, const struct host_flow_info *f);
/* Its connect, if its first packet is held, is nobody's any more. */
void embed_gate_forget(struct embed *e, struct embed_socket *s);

/* The next frame's number. */
uint64_t embed_gate_number(struct embed *e);

/* ---- virtual switches (vswitch.c) ---------------------------------------------------------------------- */

void embed_vswitches_destroy(struct embed *e); /* after the host */
/* What subscribers had pended and completed is carried on. False: there was nothing. */
bool embed_vswitches_drain(struct embed *e);

/* ---- programs and their sockets (program.c, socket.c) -------------------------------------------------- */

struct embed_process {
    struct embed *e;
    struct embed_process *next;
    void *handle;                 /* NULL: it has ended */
    struct embed_interface *peer; /* NULL: of the host */
    uint64_t id;
    struct host_owner owner; /* outlives the host, as its endpoints refer to it */
    FWP_BYTE_BLOB *app;
    struct security_token *token;
    struct embed_socket *sockets, *orphans; /* orphans: closed, their streams are not through */
};
int embed_programs_create(struct embed *e);
void embed_programs_end(struct embed *e); /* all exit */
void embed_programs_destroy(struct embed *e);
void embed_process_end(struct embed_process *p); /* weir_process_exit()'s body */
struct stack *embed_process_stack(const struct embed_process *p);
struct embed_process *embed_processes(struct embed *e); /* newest first; with those that have ended */
const struct host_owner *embed_system_owner(struct embed *e);

enum embed_wish { EMBED_WISH_NOTHING, EMBED_WISH_LISTEN, EMBED_WISH_CONNECT };

struct embed_socket {
    struct embed *e;
    struct embed_process *process;
    struct embed_socket *next; /* of the process */
    void *handle;
    enum weir_kind kind;
    uint8_t protocol;               /* RAW's */
    struct stack_socket *at[2];     /* [1]: IPv6; NULL: not made yet, or none */
    struct host_endpoint *endpoint; /* the host's: what was bound by a call; NULL: none, or not the host's */
    bool bound, accepted, listens;  /* listens: it was asked for */
    bool pended;                    /* bind or listen waits for a driver */
    bool refused;                   /* by bind, listen, or connect before there was a connection */
    enum embed_wish wish;           /* what is to follow once it is bound */
    struct embed_end to;            /* of EMBED_WISH_CONNECT */
    int failed;                     /* of what followed a pended bind; 0 or -errno */
    enum weir_state told;           /* the state that was last told as an event */
    uint64_t held_frame;            /* gate.c's: the first packet of its connect waits; 0: none does */
    struct embed_socket *held_next;
    struct embed_stream *stream; /* stream.c's; NULL: its bytes go straight */
    void *records;               /* redirect.c's: until it connects */
    size_t records_size;
    /* What weir_wait_readable() found, for weir_receive(). */
    uint8_t *ahead;
    long ahead_size; /* < 0: -errno */
    size_t ahead_at;
    struct embed_end ahead_from;
    bool has_ahead;
};
/* One that went on without its program, and is through. */
void embed_socket_gone(struct embed_socket *s, bool abort);
/* Sockets that wait for bind or listen are asked how they stand. */
void embed_sockets_continue(struct embed *e);
/* The connect whose first packet was held was decided. */
void embed_socket_decided(struct embed_socket *s, bool permitted);
/* All of a process, as its end closes them. */
void embed_sockets_abort(struct embed_process *p);
/* stack_config.told of every stack. */
void embed_socket_told(void *ctx, struct stack_socket *s, enum stack_event event);
enum weir_state embed_socket_state(const struct embed_socket *s);

/* ---- a connection's bytes at the stream layer (stream.c) ------------------------------------------------ */

int embed_streams_create(struct embed *e);
void embed_streams_destroy(struct embed *e); /* after the sockets */
extern const struct host_stream_sink embed_stream_sink;
/* What came out of the layer, or may go into it now, is carried on. False: there was nothing. */
bool embed_streams_drain(struct embed *e);
/* The socket's, made now if a callout asks for the connection; NULL: its bytes go straight. */
struct embed_stream *embed_stream_of(struct embed_socket *s);
void embed_stream_free(struct embed_socket *s);
void embed_stream_told(struct embed_socket *s); /* by the stack: there is something to read, or room */
/* As stack_send(), stack_receive(), stack_shutdown(). */
long embed_stream_send(struct embed_stream *st, const void *bytes, size_t size);
long embed_stream_receive(struct embed_stream *st, void *out, size_t size);
int embed_stream_shutdown(struct embed_stream *st);
/* Its program is through with the socket. True: it goes on without, until embed_socket_gone(). */
bool embed_stream_close(struct embed_stream *st);

/* ---- time (world.c) ------------------------------------------------------------------------------------ */

int embed_world_create(struct embed *e);
void embed_world_destroy(struct embed *e);
/* Real time: something was put into the inbox; the thread that waits is to look. Any thread. */
void embed_world_wake(struct embed *e);
/* The end of every call that began something: what the host has told is carried out, time stands still. */
void embed_settle_call(struct embed *e);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir.h: what a program includes that embeds Weir: the filter engine, a Windows host under test with its drivers,
 * and plain peers on its wires, all inside one test program.
 *
 *     struct weir *w;                                         a machine with two interfaces, a peer on each wire
 *     weir_create(&w);
 *     struct weir_driver *d = weir_driver(w, "inspect.so");   DriverEntry has run
 *     struct weir_socket *s = weir_socket(weir_process(w, "C:\\Program Files\\app.exe", NULL), WEIR_TCP);
 *     weir_connect(s, "10.0.0.2:80");                         the driver pends it
 *     weir_run(w, 5 * WEIR_SECOND);                           virtual time: at once
 *     assert_int_equal(weir_state(s), WEIR_CONNECTED);
 *     assert_true(weir_expect(w, &(struct weir_match){.layer = "ALE_AUTH_CONNECT_V4"}, 2));
 *     weir_driver_unload(d);
 *     assert_true(weir_expect_clean(w));
 *     weir_destroy(w);
 *
 * The documented management functions (FwpmEngineOpen0, FwpmFilterAdd0 ... of fwpmu.h, or of fwpmk.h for a driver's
 * view) mean the engine that is current in the calling thread: weir_create() and every call here with a handle of an
 * engine make it so, and weir_use().
 *
 * The machine. Unless told otherwise the host has interface 1 (10.0.0.1/24, fd00::1/64) and interface 2
 * (10.0.1.1/24, fd00:0:0:1::1/64), and on the other end of each wire a plain peer, numbers 1 and 2: 10.0.0.2, fd00::2
 * and 10.0.1.2, fd00:0:0:1::2. A peer has the same TCP/IP and no filters; with weir_config.forwarding the
 * peers reach each other through the host. Wires are Ethernet, lose nothing and take 1 ms.
 *
 * Time. The world is simulated: drivers' threads, timers and waits, the wires and both ends' TCP live in virtual time,
 * which stands still between calls and moves only in weir_run(), weir_wait(), weir_settle() and in calls that wait for
 * a driver (device control, unload). What is begun by a call (a connect, a send) has its immediate consequences within
 * the call: layers are asked, classifyFn has returned. The same seed gives the same run. With
 * weir_config.real_time it is the machine's clock and real threads instead, and the same calls take real time.
 *
 * Threads. An engine belongs to the thread that created it; a process may have many engines, in one thread or
 * several, which do not see each other. Callbacks come on that thread, from within the calls.
 *
 * Assertions. A function that Weir calls (a tap, a rule's, a linked-in driver's) may fail an assertion, which leaves it by
 * longjmp(), as cmocka's do: the test has failed with its own message. The engine is in the midst of something then: every
 * call but weir_destroy() is a misuse, and weir_destroy() puts it aside as it is: its drivers are not unloaded, and what
 * it has is kept until the process ends. Other engines, also those made later, are as good as ever.
 *
 * Handles are owned by their engine and end with it; weir_close() and the others end them sooner. A handle that is no
 * longer valid, a call from another thread, an argument that makes no sense is a misuse: it is told to
 * weir_config.failed (standard error) with the call's name and what is wrong, changes nothing, and the call returns
 * -EINVAL, NULL, 0 or false (where it returns an NTSTATUS: STATUS_INVALID_HANDLE or STATUS_INVALID_PARAMETER).
 *
 * Errors are 0 or a negative errno; statuses of the kernel are NTSTATUS values as int32_t. Addresses are text:
 * "10.0.0.2:443", "[fd00::2]:443", "0.0.0.0:80", ":53" (any address of either version). Sizes are bytes, times
 * nanoseconds. Structures are used with designated initializers; what is zero has its default.
 *
 * Compile and link with what `pkg-config --cflags --libs weir` says.
 */
#ifndef WEIR_H
#define WEIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir;
struct weir_process;
struct weir_socket;
struct weir_driver;
struct weir_device;
struct weir_rule;
struct weir_hold;
struct weir_vswitch;
struct _DRIVER_OBJECT;
struct _UNICODE_STRING;

#define WEIR_MICROSECOND 1000ull
#define WEIR_MILLISECOND 1000000ull
#define WEIR_SECOND      1000000000ull

/* ---- life ---------------------------------------------------------------------------------------------- */

struct weir_interface {
    uint32_t index;           /* > 0, unique */
    uint32_t mtu;             /* 0: 1500 */
    uint32_t type;            /* IANA's ifType; 0: 6, Ethernet */
    uint32_t profile;         /* network category: 1 public, 2 private, 3 domain; 0: 2 */
    const char *addresses[4]; /* the host's: "10.0.0.1/24" */
    const char *peers[4];     /* of the peer on its wire: "10.0.0.2/24"; none: nobody is there */
    uint64_t delay_ns;        /* of the wire, one way; 0: 1 ms */
    /* The adapter computes checksums: what the host sends in TCP and UDP has the sum of the pseudo header alone, and its
     * TcpIpChecksumNetBufferListInfo says so, until it is put on the wire. Not of fragments. */
    bool checksum_offload;
};

struct weir_config {
    size_t size;   /* sizeof(struct weir_config) */
    uint64_t seed; /* 0: $WEIR_SEED, else 1 */
    bool real_time;
    uint64_t start_ns;                       /* the virtual clock's start since 1970; 0: 2026-01-01 */
    const struct weir_interface *interfaces; /* NULL: the two above */
    size_t interface_count;
    bool forwarding; /* the host routes */
    bool
        defer_completion; /* FwpsCompleteOperation0's consequences come on a thread of the host's (PEND-21) */
    bool inject_in_caller; /* injected packets walk their layers before the inject call returns (IRQL-09) */
    bool shuffle;          /* ready threads run in an order that the seed decides */
    uint32_t preempt;      /* n: switch threads at a scheduling point with a chance of 1 in n; 0: never */
    uint64_t
        hang_ns; /* so much real time in which a driver's function neither waits nor returns (others may run meanwhile), or the
                            * test asks and lets no time go by: then, before twice as much is over, the process ends with a
                            * message and every thread's stack, exit status 7. Not in a debugger. 0: 20 s */
    uint32_t keep_events; /* the last so many events are kept; 0: 65,536 */
    /* A line that a driver printed (DbgPrint); NULL: standard error. */
    void (*print)(void *ctx, const char *driver, const char *line);
    /* A misuse or an expectation that does not hold: a text of several lines, the last of which says how to run the
     * same again. Called last, with nothing held: it may leave by longjmp(), as cmocka's fail() does (which prints it
     * before: fail_msg() would cut it at 1,023 bytes). NULL: standard error, and the test goes on. */
    void (*failed)(void *ctx, const char *text);
    void *ctx;
};

/* An engine with its management service running and built-in layers, no filters; a host, peers and wires. It becomes
 * current. The caller owns it. 0; -ENOMEM, also where 1,024 are there; -EINVAL: the configuration makes no sense, which
 * config.failed is told. NULL: all defaults. */
int weir_create(struct weir **out);
int weir_create_with(const struct weir_config *config, struct weir **out);

/* Ends it: processes exit, the machine shuts down (IRP_MJ_SHUTDOWN to devices that registered for it), drivers are
 * unloaded, open sessions closed. What drivers left is lost unless asked for before (weir_findings()). NULL is
 * harmless. */
void weir_destroy(struct weir *w);

/* Makes w (NULL: none) the engine that the documented functions mean in this thread; returns the one before. */
struct weir *weir_use(struct weir *w);

/* The last failure that this thread was told of, one line or more; "" if none. Valid until the next call. */
const char *weir_error(void);
uint64_t weir_seed(struct weir *w);

/* ---- policy -------------------------------------------------------------------------------------------- */

/*
 * Loads what `netsh wfp show state` or `show filters` wrote on a machine into w, which must hold no policy
 * yet: all of it or nothing. On error `error` (may be NULL) receives one line, cut to `size` bytes: file,
 * place, expected, found. 0, -EINVAL (the file is broken), -ENOMEM, or why the file cannot be read.
 */
int weir_load_policy(struct weir *w, const char *path, char *error, size_t size);

/* ---- drivers ------------------------------------------------------------------------------------------- */

struct weir_parameter { /* of the service's Parameters key */
    const char *name;
    const char *string; /* REG_SZ; NULL: REG_DWORD */
    uint32_t number;
};
struct weir_driver_config {
    const char *image; /* a file that `weir cc` made; or NULL and */
    int32_t (*entry)(struct _DRIVER_OBJECT *driver,
                     struct _UNICODE_STRING *path); /* a DriverEntry linked in */
    const char *name; /* the service's; NULL: the image's without ".so", "driver" */
    const struct weir_parameter *parameters;
    size_t parameter_count;
};
/*
 * Loads it and calls DriverEntry. NULL: weir_error() says why (also where DriverEntry failed: its status; what it left
 * is in weir_findings()).
 *
 * A driver that is linked into the test is compiled by weir cc, which makes objects too:
 *     weir cc -c driver.c -o driver.o          with --coverage or --sanitize=... where the test is made with it
 * and its entry is declared as int32_t DriverEntry(struct _DRIVER_OBJECT *, struct _UNICODE_STRING *). Its variables
 * are the process's: engines with the same linked-in driver share them, and they keep their values from one load to
 * the next, where an image is a fresh copy each time. Which one a driver needs that counts on zeroed variables.
 */
struct weir_driver *weir_driver(struct weir *w, const char *image);
struct weir_driver *weir_driver_with(struct weir *w, const struct weir_driver_config *config);
/* DriverUnload, what it left becomes findings, the handle is gone. 0; -EBUSY: something of it still runs; -ENOTSUP: it
 * has no unload routine. */
int weir_driver_unload(struct weir_driver *d);

/* ---- programs ------------------------------------------------------------------------------------------ */

/* A process on the host: its executable's path as Windows has it, its user as a SID ("S-1-5-21-...") or NULL:
 * an ordinary user. Drivers are told of it (PsSetCreateProcessNotifyRoutine). */
struct weir_process *weir_process(struct weir *w, const char *path, const char *user);
uint64_t weir_process_id(struct weir_process *p);
/* Its sockets are closed, what it has pended is cancelled, drivers are told. The handle is gone. Where drivers have pended
 * closures of its sockets (FwpsPendClassify0 at ALE_ENDPOINT_CLOSURE) time goes by until they are completed, as the exit of
 * a process waits for them; that 60 s are not enough is told to weir_config.failed, and the sockets stay until then. */
void weir_process_exit(struct weir_process *p);
/* The only program of the peer on that interface's wire. */
struct weir_process *weir_peer(struct weir *w, uint32_t interface);

enum weir_kind { WEIR_TCP, WEIR_UDP, WEIR_PING, WEIR_RAW };
enum weir_state {
    WEIR_NEW,
    WEIR_PENDED, /* a bind, listen or connect waits for a driver's decision */
    WEIR_BOUND,
    WEIR_LISTENING,
    WEIR_CONNECTING, /* the handshake is under way */
    WEIR_CONNECTED,
    WEIR_CLOSING, /* one side has ended */
    WEIR_CLOSED,
    WEIR_REFUSED, /* access denied: by a filter or a callout */
    WEIR_RESET, /* by the other end; or by this one's policy, which ended the connection when it was asked again */
    WEIR_TIMED_OUT,
    WEIR_UNREACHABLE,
};
const char *weir_state_name(enum weir_state state);

/* WEIR_RAW: protocol says which; else 0. */
struct weir_socket *weir_socket(struct weir_process *p, enum weir_kind kind);
struct weir_socket *weir_socket_raw(struct weir_process *p, unsigned protocol);
/* 0; -EINPROGRESS: pended; -EACCES: refused; -EADDRINUSE, -EADDRNOTAVAIL. */
int weir_bind(struct weir_socket *s, const char *address);
/* The same; where the bind is still pended it follows as soon as that is permitted. */
int weir_listen(struct weir_socket *s);
/* Binds first where that was not done. TCP: -EINPROGRESS: begun, or pended; 0: UDP and others: the peer is set;
 * -EACCES, -ENETUNREACH, -EISCONN. */
int weir_connect(struct weir_socket *s, const char *address);
/* The oldest connection that is complete, owned by the same process; NULL: none now. */
struct weir_socket *weir_accept(struct weir_socket *s);
/* Bytes taken, or -EAGAIN (no room now; or the bind that it implied is pended: nothing was sent), -ENOTCONN, -EPIPE,
 * -ECONNRESET, -ECONNABORTED (this machine's policy ended the connection when it was asked about it again, or a driver by
 * FwpsFlowAbort0: WSAECONNABORTED; the other end gets a reset), -ECONNREFUSED, -EACCES (UDP: refused), -EMSGSIZE,
 * -ENETUNREACH, -ETIMEDOUT. A datagram that is pended counts as sent: whoever pended it injects it again.
 *
 * TCP: where a driver's callout asks for the connection's bytes at the stream layer they pass it first, both what is sent
 * and what is received: bytes that were taken may wait there, come out as others, or never; shutdown and close follow
 * them. What is deferred is not read from the peer, whose window closes (-EAGAIN there). */
long weir_send(struct weir_socket *s, const void *bytes, size_t size);
long weir_send_to(struct weir_socket *s, const char *address, const void *bytes, size_t size);
/* Bytes; 0: the other side has ended; -EAGAIN: nothing there; -ECONNRESET, -ECONNABORTED, -ECONNREFUSED, -ENOTCONN,
 * -ETIMEDOUT. from: NULL, or
 * WEIR_ADDRESS bytes. */
#define WEIR_ADDRESS 64
long weir_receive(struct weir_socket *s, void *out, size_t size, char *from);
int weir_shutdown(struct weir_socket *s); /* sends nothing more */
/* Multicast. What a machine sends to a group, or to all, its own members get as well (IP_MULTICAST_LOOP's default). */
int weir_join(struct weir_socket *s, const char *group);
int weir_leave(struct weir_socket *s, const char *group);
void weir_close(struct weir_socket *s); /* the handle is gone; TCP says farewell by itself */
void weir_abort(struct weir_socket *s); /* with a reset */
enum weir_state weir_state(struct weir_socket *s);
/* Text of the local or remote end into WEIR_ADDRESS bytes; returns it. */
const char *weir_local(struct weir_socket *s, char *out);
const char *weir_remote(struct weir_socket *s, char *out);

/*
 * For a local proxy, to whom a driver redirected connections (FWPS_CONNECT_REQUEST0.localRedirectHandle). Of a socket that
 * it accepted: the redirect records, opaque bytes to hand on, and what the driver said of the connection
 * (localRedirectContext). How many bytes there are, written if `room` is enough; -ENOENT: the connection was not redirected
 * here, or nothing was said of it. SIO_QUERY_WFP_CONNECTION_REDIRECT_RECORDS, _CONTEXT.
 */
long weir_redirect_records(struct weir_socket *s, void *out, size_t room);
long weir_redirect_context(struct weir_socket *s, void *out, size_t room);
/* Of its own socket, before it connects: whose connection this one carries on (SIO_SET_WFP_CONNECTION_REDIRECT_RECORDS).
 * 0, -EISCONN. */
int weir_set_redirect_records(struct weir_socket *s, const void *records, size_t size);

/* ---- time ---------------------------------------------------------------------------------------------- */

uint64_t weir_now(struct weir *w); /* since 1970 */
/* Lets so much time go by. */
void weir_run(struct weir *w, uint64_t ns);
/* Until nothing more happens by itself: no packet is under way, no thread is ready, nothing is retransmitted and no
 * timer ends within 60 s; at most 600 s. How much time went by. */
uint64_t weir_settle(struct weir *w);
/* Until the socket is in that state, or any of the four that end it; has something to receive; or the time is over.
 * Was it reached? */
bool weir_wait(struct weir_socket *s, enum weir_state state, uint64_t ns);
bool weir_wait_readable(struct weir_socket *s, uint64_t ns);
/* Until the function says so; it is asked after everything that happens. */
bool weir_wait_for(struct weir *w, bool (*reached)(void *ctx), void *ctx, uint64_t ns);

/* ---- wires --------------------------------------------------------------------------------------------- */

enum weir_action { WEIR_DROP, WEIR_DELAY, WEIR_DUPLICATE, WEIR_REORDER, WEIR_CORRUPT, WEIR_CUT };
enum weir_way { WEIR_BOTH_WAYS, WEIR_TO_HOST, WEIR_FROM_HOST };
struct weir_rule_config {
    uint32_t interface; /* 0: every wire */
    enum weir_way way;
    unsigned protocol;           /* 0: any */
    const char *from, *to;       /* addresses as above; NULL: any */
    uint8_t tcp_flags, tcp_mask; /* those in mask are as in flags */
    enum weir_action action;
    uint32_t one_in;      /* with a chance of 1 in n, by the seed; 0: always */
    uint32_t skip, count; /* passes over so many first; then so many, 0: all */
    uint64_t delay_ns; /* WEIR_DELAY; WEIR_REORDER: held back until so many ns later or the next one has gone,
                               * 0: 10 ms */
    /* May be NULL: only packets for which it says true. From the IP header on. */
    bool (*only)(void *ctx, const uint8_t *packet, size_t size);
    void *ctx;
};
/* From now on; the first rule that fits a packet decides. A frame that holds none is fitted by rules that look at
 * interface and way alone; it is neither corrupted nor cut. */
struct weir_rule *weir_rule(struct weir *w, const struct weir_rule_config *config);
uint64_t weir_rule_hits(struct weir_rule *r);
void weir_rule_end(struct weir_rule *r);
/* A packet (from its IP header on) arrives at the host by that interface now. Anything may be in it. */
int weir_deliver(struct weir *w, uint32_t interface, const void *packet, size_t size);
/* Everything that is on the wires from now on is written there (pcapng, Ethernet); NULL: no longer. */
int weir_capture(struct weir *w, const char *path);
/* Hears of each IP packet as it is put on a wire; NULL: nobody does. */
void weir_tap(struct weir *w,
              void (*tap)(void *ctx, uint32_t interface, enum weir_way way, const uint8_t *packet,
                          size_t size),
              void *ctx);

/*
 * Frames, from their Ethernet header on, whatever is in them: ARP and LLDP, VLAN tags, 802.3 lengths. (Stacks send and
 * receive IP alone, and know their neighbours: no ARP is needed.) What is sent to an adapter's own MAC address, to a group or to
 * all it takes; the rest goes no further than the wire. IP that is tagged is received as untagged IP is.
 */
struct weir_frame {
    uint32_t interface;
    enum weir_way way;
    bool
        arrived; /* false: it is put on the wire. true: it has come through: to the peer, or past the layers of the host */
    const uint8_t *bytes; /* valid during the call */
    size_t size;
};
/* One is sent by what is on the other end of that wire (WEIR_TO_HOST), from whatever address it says; or by something on the
 * host that is not TCP/IP (WEIR_FROM_HOST; no IP packet then): it meets the MAC layers, outbound. 14 to 65,549 bytes. 0;
 * -EACCES: blocked or absorbed there. Not from within a classify. */
int weir_frame_send(struct weir *w, uint32_t interface, enum weir_way way, const void *frame, size_t size);
/* Hears of every frame, also of those that hold IP packets; NULL: nobody does. */
void weir_tap_frames(struct weir *w, void (*tap)(void *ctx, const struct weir_frame *f), void *ctx);
/* The address of the host's end of that wire, or of the other: the six bytes. 0, -EINVAL. */
int weir_mac(struct weir *w, uint32_t interface, bool peer, uint8_t mac[6]);
/* The other end of the wire is this descriptor from now on (a TUN device's without packet information: an IP packet a
 * read, a write); the peer is gone, the wire has no delay of its own. real_time only. It stays the caller's. */
int weir_attach(struct weir *w, uint32_t interface, int fd);

/* ---- virtual switches ---------------------------------------------------------------------------------- */

/*
 * A switch with ports, beside the host's interfaces and apart from them: what a driver at the vSwitch layers filters. A frame
 * from a port passes INGRESS_VSWITCH_ETHERNET and, IP, _TRANSPORT, then for each port that gets it the EGRESS layers.
 * It goes where its destination was learned (the last source port of that address), else to all others.
 *
 *     struct weir_vswitch *v = weir_vswitch(w, &(struct weir_vswitch_config){
 *         .name = "lan", .ports = (struct weir_port[]){{.id = 1, .vm = "vm a"}, {.id = 2, .vm = "vm b"}}, .port_count = 2});
 *     assert_int_equal(weir_port_send(v, 1, frame, sizeof frame), 1);
 *     assert_int_equal(weir_port_receive(v, 2, got, sizeof got), sizeof frame);
 *
 * Who has subscribed (FwpsvSwitchEventsSubscribe0) is told of switches, ports and their network adapters as they come and go,
 * with the structures of ntddndis.h; who subscribes later is not told of what is there. Events of policies, of saved state and
 * of the filter engine's place are not raised. Ids of drivers' values are these names as UTF-16, without a terminator.
 */
enum weir_nic { WEIR_NIC_EXTERNAL, WEIR_NIC_SYNTHETIC, WEIR_NIC_EMULATED, WEIR_NIC_INTERNAL };
struct weir_port {
    uint32_t id; /* > 0, unique in its switch */
    enum weir_nic nic;
    uint16_t nic_index;
    const char *name; /* its network adapter's; NULL: "nic 1" */
    const char *vm;   /* whose it is; NULL: no virtual machine's */
    uint8_t mac[6];   /* its adapter's; zeros: it is learned */
    bool trunk;       /* or in private VLAN mode: frames from and to it pass the transport layers by */
};
struct weir_vswitch_config {
    const char *name; /* unique */
    uint8_t network_type;
    uint32_t tenant;
    const struct weir_port *ports; /* there and connected from the beginning */
    size_t port_count;
};
/* NULL: a misuse; or a driver refused it: weir_error(). */
struct weir_vswitch *weir_vswitch(struct weir *w, const struct weir_vswitch_config *config);
void weir_vswitch_end(struct weir_vswitch *v);
/* Created, then its adapter created and connected. 0; -EINPROGRESS: a driver pended it; -EACCES: refused (only its connection
 * was: WEIR_PORT_DISCONNECTED); -ENOMEM. */
int weir_port_add(struct weir_vswitch *v, const struct weir_port *port);
/* Disconnected, and deleted. 0; -EINPROGRESS: a driver pended it; -EBUSY: it is coming or going. */
int weir_port_remove(struct weir_vswitch *v, uint32_t id);
/* 0; -EBUSY; connect: -EACCES. */
int weir_port_connect(struct weir_vswitch *v, uint32_t id);
int weir_port_disconnect(struct weir_vswitch *v, uint32_t id);
enum weir_port_state {
    WEIR_PORT_NONE,     /* there is none: never was, was refused, is gone */
    WEIR_PORT_CREATING, /* a driver has pended it */
    WEIR_PORT_CONNECTED,
    WEIR_PORT_DISCONNECTED,
    WEIR_PORT_DELETING, /* a driver has pended it */
};
enum weir_port_state weir_port_state(struct weir_vswitch *v, uint32_t id);
/* A frame from its Ethernet header on, from that port; 0: from the switch's own. To how many ports it came by itself; -EACCES:
 * blocked or absorbed at ingress; -ENOTCONN. What a driver injects in its place comes after. */
int weir_port_send(struct weir_vswitch *v, uint32_t id, const void *frame, size_t size);
/* The oldest of the frames (1,024 at most are kept) that came out of that port: its size, of which up to `size` bytes are
 * written; -EAGAIN: there is none. */
long weir_port_receive(struct weir_vswitch *v, uint32_t id, void *out, size_t size);

/* ---- what happens to a machine ------------------------------------------------------------------------- */

/* Why connections that stand are asked about again: FWP_CONDITION_REAUTHORIZE_REASON_POLICY_CHANGE,
 * IPSEC_PROPERTIES_CHANGED, MID_STREAM_INSPECTION, SOCKET_PROPERTY_CHANGED, PROXY_HANDLE_CHANGED. */
enum weir_reason {
    WEIR_POLICY_CHANGE,
    WEIR_IPSEC_REKEY,
    WEIR_MID_STREAM,
    WEIR_PROPERTIES_CHANGED,
    WEIR_PROXY_CHANGED
};
/* Each flow that the reason concerns is asked about with its next packet. */
void weir_reauthorize(struct weir *w, enum weir_reason reason);
/* The network that the interface is on is now public (1), private (2) or a domain's (3). 0, -EINVAL. */
int weir_profile(struct weir *w, uint32_t interface, uint32_t profile);
/* Another interface, with its wire and peer. Config is copied. 0, -EINVAL, -EEXIST (that index), -ENOMEM. */
int weir_interface_add(struct weir *w, const struct weir_interface *config);

/* ---- devices ------------------------------------------------------------------------------------------- */

/* CreateFile of "\\\\.\\Name". NULL: *status says why (may be NULL). */
struct weir_device *weir_open(struct weir_process *p, const char *name, int32_t *status);
/* DeviceIoControl, ReadFile, WriteFile: the NTSTATUS; *done (may be NULL) bytes. They wait at most `patience` (0:
 * 60 s), then cancel. */
int32_t weir_control(struct weir_device *d, uint32_t code, const void *in, size_t in_size, void *out,
                     size_t out_size, size_t *done, uint64_t patience);
int32_t weir_read(struct weir_device *d, void *out, size_t size, size_t *done, uint64_t patience);
int32_t weir_write(struct weir_device *d, const void *in, size_t size, size_t *done, uint64_t patience);
void weir_device_close(struct weir_device *d);

/* ---- what happened ------------------------------------------------------------------------------------- */

enum weir_event_kind {
    WEIR_EVENT_CLASSIFY = 1, /* a layer was asked: one with filters; ALE's layers always */
    WEIR_EVENT_PENDED,
    WEIR_EVENT_COMPLETED,
    WEIR_EVENT_FLOW,    /* created, authorized, refused, deleted */
    WEIR_EVENT_PACKET,  /* on a wire */
    WEIR_EVENT_DROPPED, /* a packet was blocked, absorbed, or discarded by the stack */
    WEIR_EVENT_INJECTED,
    WEIR_EVENT_SOCKET,  /* a socket's state */
    WEIR_EVENT_FINDING, /* the ledger found something */
    WEIR_EVENT_PRINT,   /* a driver printed */
    WEIR_EVENT_FAULT,   /* a call was made to fail: weir_fail() */
};
struct weir_event {
    uint64_t number, time_ns;
    enum weir_event_kind kind;
    const char *layer; /* "ALE_AUTH_CONNECT_V4"; NULL */
    /* CLASSIFY: "permit", "block", "pended", "absorbed" (blocked, and silently dropped). FLOW: "created", "authorized",
     * "refused", "deleted". COMPLETED: "permit", "block", "cancelled" ... Others, or NULL. */
    const char *verdict;
    uint64_t filter_id; /* that decided; 0: none */
    uint64_t flow_id;
    uint64_t process_id;
    bool inbound;
    bool reauthorization;
    unsigned protocol;
    const char *local, *remote; /* "10.0.0.1:50000"; NULL, also of a frame that is not IP: its text says it */
    const char *text;           /* the whole of it, for people: one line */
};
/* Calls fn for each that is kept, oldest first; valid during the call. With WEIR_EVENTS=1 in the environment each is
 * printed on standard error as it happens. */
void weir_events(struct weir *w, void (*fn)(void *ctx, const struct weir_event *e), void *ctx);
/* Which events are meant: what is zero or NULL does not matter. */
struct weir_match {
    enum weir_event_kind kind; /* 0: WEIR_EVENT_CLASSIFY where layer or verdict is given */
    const char *layer;         /* "ALE_AUTH_CONNECT_V4"; without _V4: of either version */
    const char *verdict;
    const char *local, *remote; /* as text; without a port, any: "10.0.0.2"; without an address: ":80" */
    const char *contains;       /* in the text */
    uint64_t filter_id, flow_id, process_id;
    unsigned protocol;
    uint64_t since; /* number of an event: later ones only */
};
size_t weir_count(struct weir *w, const struct weir_match *match);
uint64_t weir_mark(struct weir *w); /* number of the last event: for `since` */
/* One question to a layer, as a host would ask it, with values as text by the fields' names; no packet. */
struct weir_field {
    const char *name;  /* "IP_REMOTE_PORT" */
    const char *value; /* "443", "10.0.0.2", as weir classify has them */
};
struct weir_verdict {
    bool permit;        /* neither blocked nor pended */
    uint64_t filter_id; /* 0: none decided */
    bool pended; /* a callout pended it. What it pended has ended: completing it is owed, and does nothing */
    char text[512]; /* who decided, for people */
};
/* Fields that are not given are empty (no value), but the program's path and its user, which are an ordinary one's.
 * 0, -EINVAL, -ENOMEM. */
int weir_classify(struct weir *w, const char *layer, const struct weir_field *fields, size_t count,
                  struct weir_verdict *out);

/* What drivers have taken on and not given back: "pended operation", "NET_BUFFER_LIST reference",
 * "NET_BUFFER_LIST clone", "injection", ... (as findings name them); NULL: all kinds. */
uint64_t weir_outstanding(struct weir *w, const char *kind);
/* What was left, closed twice or used after closing, so far: lines with driver, function and place. How many. fn may be
 * NULL. */
size_t weir_findings(struct weir *w, void (*fn)(void *ctx, const char *line), void *ctx);

/* ---- expectations: true, or told to weir_config.failed with both sides and the events that led there ---------------- */

bool weir_expect(struct weir *w, const struct weir_match *match, size_t times);
bool weir_expect_some(struct weir *w, const struct weir_match *match);
bool weir_expect_state(struct weir_socket *s, enum weir_state state);
bool weir_expect_received(struct weir_socket *s, const void *bytes,
                          size_t size); /* exactly this is there to receive */
bool weir_expect_clean(struct weir *w); /* nothing outstanding, no findings */

/* ---- faults -------------------------------------------------------------------------------------------- */

/* The nth (1: the next) call from now on of that documented function by a driver fails as documented, with `status`
 * (0: its documented failure; where it returns no status: NULL or FALSE). The function's name is as in the driver,
 * with its version or without ("FwpsCalloutRegister"); NULL: the nth call of any that can fail, but those that only
 * give something back. -ENOENT: no such function, -ENOTSUP: it cannot fail. */
int weir_fail(struct weir *w, const char *function, uint32_t nth, int32_t status);
/* The nth call from now on that takes memory or another resource, whichever function. */
void weir_fail_allocation(struct weir *w, uint32_t nth);
/* What has not failed by now is not going to. */
void weir_fail_nothing(struct weir *w);
/* How many calls that can fail have been made, by drivers, since the engine was created: to try each in turn. */
uint64_t weir_fallible_calls(struct weir *w);
/* Which functions can fail, and how: "NULL", "FALSE", "STATUS_...". */
void weir_fallible_functions(void (*fn)(void *ctx, const char *function, const char *failure), void *ctx);
/* Those of drivers' threads, work items, DPCs and timers whose function has that name (its symbol, or "thread",
 * "work item", "dpc", "timer") do not begin or go on until it is released. simulated only. */
struct weir_hold *weir_hold(struct weir *w, const char *who);
void weir_release(struct weir_hold *h);
void weir_defer_completion(struct weir *w, bool defer);

#ifdef __cplusplus
}
#endif

#endif

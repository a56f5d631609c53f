/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The run: a capture's frames through a host, in their order, and what is written of them.
 *
 *   open -> fill the window -> who is local -> host, interfaces, addresses
 *     -> { fetch ahead, BATCH frames: policy changes due, host_frame(), write, tell; read as many, learn } -> counts
 *
 * Invariants: every frame that was read is given to the host once and told of once; read == written + those
 * that their fate keeps out. A broken capture ends the reading, not the frames before it. One thread.
 *
 * Interfaces of the capture become the host's as their first frame comes (index n + 1); their addresses are
 * known before the first frame. A capture of several interfaces says seldom which address is whose: the host
 * is then a weak one on those that do not list their own addresses, or frames of its own would be strangers'.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture_inside.h"
#include "replay_inside.h"

#define BATCH          32u /* frames given to the host before as many are read */
#define SOON           4u  /* so many frames ahead */
#define BYTES_SOON     12u
#define BYTES_MOST     2048u
#define PROGRESS_EVERY 4096u
_Static_assert(WINDOW % BATCH == 0, "a batch stands in one piece");
_Static_assert(BYTES_SOON < BATCH, "it has been read");

/* ---- who is local -------------------------------------------------------------------------------------- */

static void see(struct replay_run *r, const struct capture_packet *p, const struct wire_packet *w)
{
    r->seen_count += sighting_of(p, w, &r->seen[r->seen_count]);
}

/* Reads the beginning of the file once more, beside the replay. Errors are met again by the replay. */
static int look_at_file(struct replay_run *r, struct capture **c)
{
    struct capture_error error;
    struct capture_packet p;
    struct wire_packet w;

    if (capture_open(r->config->input, c, &error) != 0)
        return -EINVAL;
    for (unsigned n = 0; n < LOCAL_LOOK_AT && capture_next(*c, &p, &error) == 1; n++) {
        wire_parse(capture_interface(*c, p.interface)->link_type, p.bytes, p.captured, p.length, &w);
        see(r, &p, &w);
    }
    return 0;
}

static int find_locals(struct replay_run *r)
{
    struct capture *again = NULL;
    uint64_t done, all;

    r->seen = malloc(LOCAL_LOOK_AT * sizeof(*r->seen));
    if (r->seen == NULL || locals_create(LOCAL_MAX + r->config->local_count, &r->locals) != 0)
        return -ENOMEM;
    capture_progress(r->capture, &done, &all);
    if (all == 0 || look_at_file(r, &again) != 0)
        for (uint64_t n = 0; n < r->window->head; n++)
            see(r, &r->window->packets[n], &r->window->wires[n]);
    int result = 0;
    if (r->config->local_count == 0) {
        result =
            locals_find(r->config, again != NULL ? again : r->capture, r->seen, r->seen_count, &r->locals);
    } else {
        for (size_t i = 0; i < r->config->local_count; i++)
            r->locals.list[r->locals.count++].is = r->config->locals[i];
        locals_place(r->seen, r->seen_count, &r->locals);
    }
    capture_close(again);
    return result;
}

/* What the caller is told of it. */
static int tell_locals(struct replay_run *r)
{
    struct replay_local *list = calloc(r->locals.count + 1, sizeof(*list));

    if (list == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < r->locals.count; i++)
        list[i] = r->locals.list[i].is;
    r->out->internal = list;
    r->out->locals = list;
    r->out->local_count = r->locals.count;
    r->out->guessed = r->locals.guessed;
    r->out->guessed_in = r->locals.guessed_in;
    r->out->guessed_of = r->locals.guessed_of;
    return 0;
}

/* ---- the host ------------------------------------------------------------------------------------------ */

static const struct host_owner *owner_of(void *ctx, UINT64 time_ns, uint8_t version, uint8_t protocol,
                                         const union wire_addr *local, UINT16 local_port,
                                         const union wire_addr *remote, UINT16 remote_port)
{
    const struct replay_run *r = ctx;
    const struct host_config *h = &r->config->host;
    const struct window *w = r->window;

    if (r->world == NULL && r->config->asked != NULL)
        r->config->asked(r->config->ctx, r->capture, &w->packets[w->tail % WINDOW]);
    return h->owner_of(h->ctx, time_ns, version, protocol, local, local_port, remote, remote_port);
}

static bool listening(void *ctx, uint8_t version, uint8_t protocol, const union wire_addr *local, UINT16 port)
{
    return window_listening(((struct replay_run *)ctx)->window, version, protocol, local, port);
}

static const struct host_frame *following(void *ctx, unsigned n)
{
    const struct window *w = ((struct replay_run *)ctx)->window;
    const uint64_t at = w->tail + 1 + n;

    return at < w->head ? &w->frames[at % WINDOW] : NULL;
}

/* 0: the link type does not tell. */
static uint32_t interface_type(uint16_t link_type)
{
    switch (link_type) {
    case WIRE_LINK_ETHERNET:
        return IF_TYPE_ETHERNET_CSMACD;
    case WIRE_LINK_NULL:
    case WIRE_LINK_LOOP:
        return IF_TYPE_SOFTWARE_LOOPBACK;
    }
    return 0;
}

static int add_interface(struct replay_run *r, uint32_t index)
{
    const struct capture_interface *f = capture_interface(r->capture, index);
    char name[32];
    struct host_interface_desc desc = {
        .name = f->name != NULL ? f->name : name,
        .unknown = HOST_THING_LUID | HOST_THING_INDEX | HOST_THING_PROFILE,
        .index = index + 1,
        .type = r->config->interface_type != 0 ? r->config->interface_type : interface_type(f->link_type),
        .weak_host_receive = f->address_count == 0,
        .weak_host_send = f->address_count == 0,
    };

    snprintf(name, sizeof(name), "interface %u", index + 1);
    if (desc.type == 0)
        desc.unknown |= HOST_THING_TYPE;
    if (f->has_mac)
        memcpy(desc.mac, f->mac, sizeof(desc.mac));
    else
        (void)locals_mac(&r->locals, r->seen, r->seen_count, index, desc.mac);
    int result = host_interface_add(r->host, &desc);
    /* a section that comes late can still say its addresses */
    for (size_t n = 0; result == 0 && r->config->local_count == 0 && n < f->address_count; n++) {
        const struct capture_address *a = &f->addresses[n];
        if (!wire_addr_is_multicast(a->version, &a->address) &&
            !wire_addr_is_unspecified(a->version, &a->address))
            result = host_address_add(r->host, desc.index, a->version, &a->address, a->bits, false);
    }
    for (size_t i = 0; result == 0 && i < r->locals.count; i++) {
        const struct local *l = &r->locals.list[i];
        if (l->interface == index)
            result = host_address_add(r->host, desc.index, l->is.version, &l->is.address, l->is.bits,
                                      l->is.bits < (l->is.version == 4 ? 32 : 128));
    }
    return result;
}

static int add_interfaces(struct replay_run *r)
{
    int result = 0;

    while (result == 0 && r->interfaces < capture_interface_count(r->capture))
        result = add_interface(r, r->interfaces++);
    return result;
}

static int create_host(struct replay_run *r)
{
    struct host_config config = r->config->host;

    config.listening = listening;
    config.following = following;
    config.owner_of = config.owner_of == NULL ? NULL : owner_of;
    config.ctx = r;
    config.lends_bytes = true; /* of what passes all is written, changed or not */
    if (r->world != NULL)
        world_host(&config);
    if (config.start_ns == 0 && r->window->head != 0)
        config.start_ns = r->window->frames[0].time_ns;
    return host_create(&config, &r->host);
}

/* ---- frames -------------------------------------------------------------------------------------------- */

int run_changes(struct replay_run *r, uint64_t now_ns)
{
    for (; r->changes < r->config->change_count && r->config->changes[r->changes].time_ns <= now_ns;
         r->changes++) {
        const struct replay_change *c = &r->config->changes[r->changes];
        int result = 0;
        if (c->tell != NULL)
            c->tell(c->ctx, r->host);
        else
            result = c->apply(c->ctx, r->error);
        if (result != 0)
            return result;
    }
    return 0;
}

/* Is it in the output? *kept: only because the user wants to see what was not. */
static inline bool is_written(const struct replay_config *config, enum host_fate fate, bool *kept)
{
    *kept = false;
    if (fate == HOST_PASSED || fate == HOST_IGNORED)
        return true;
    switch (fate) {
    case HOST_STACK:
        return !config->stack_drops;
    case HOST_REWRITTEN: /* its numbers are not those of what is written */
        return false;
    default:
        return *kept = config->keep_blocked;
    }
}

static int write_with(struct replay_run *r, const struct capture_packet *p, const uint8_t *bytes,
                      const char *comment)
{
    int result = capture_write_with(r->writer, r->capture, p, bytes, comment);
    if (result != 0)
        snprintf(r->error->text, sizeof(r->error->text), "%s: cannot be written: %s", r->config->output,
                 strerror(-result));
    return result;
}

int run_write(struct replay_run *r, const struct capture_packet *p, const char *comment)
{
    return r->writer != NULL ? write_with(r, p, p->bytes, comment) : 0;
}

/* Though it did not pass. */
static __attribute__((noinline)) int write_kept(struct replay_run *r, const struct capture_packet *p,
                                                const struct host_outcome *o)
{
    const struct replay_config *config = r->config;
    char room[512];

    return run_write(r, p,
                     config->comment != NULL ? config->comment(config->ctx, o, room, sizeof(room)) : NULL);
}

static inline __attribute__((always_inline)) int tell(struct replay_run *r, const struct capture_packet *p,
                                                      const struct wire_packet *w,
                                                      const struct host_outcome *o, bool already)
{
    const struct replay_config *config = r->config;
    bool kept, written = is_written(config, o->fate, &kept);

    if (written && !already && r->writer != NULL) {
        const uint8_t *bytes = o->changed != NULL ? o->changed : p->bytes; /* as callouts left it */
        int result = __builtin_expect(kept, 0) ? write_kept(r, p, o) : write_with(r, p, bytes, NULL);
        if (result != 0)
            return result;
    }
    if (r->world != NULL) {
        r->fates[o->fate]++;
        r->notes[o->note]++;
    }
    r->out->read++;
    r->out->written += written;
    r->out->blocked_kept += kept;
    if (config->frame != NULL)
        config->frame(config->ctx, r->capture, p, w, o, written);
    return 0;
}

int run_tell(struct replay_run *r, const struct capture_packet *p, const struct wire_packet *w,
             const struct host_outcome *o, bool already)
{
    return tell(r, p, w, o, already);
}

/* The frame at the window's tail; held: between host_hold() and host_let(). */
static inline int one_frame(struct replay_run *r, bool held)
{
    const struct replay_config *config = r->config;
    const struct window *w = r->window;
    const size_t at = w->tail % WINDOW;
    struct host_outcome o;

    if (!held && r->world != NULL)
        return world_frame(r);
    if (!held && r->changes < config->change_count) {
        int result = run_changes(r, w->frames[at].time_ns);
        if (result != 0)
            return result;
    }
    if (config->next != NULL)
        config->next(config->ctx, r->capture, &w->packets[at]);
    if (held)
        host_frame_held(r->host, &w->frames[at], &o);
    else
        host_frame(r->host, &w->frames[at], &o);
    return tell(r, &w->packets[at], &w->wires[at], &o, false);
}

static void progress(const struct replay_run *r)
{
    uint64_t done, all;

    if (r->config->progress == NULL)
        return;
    capture_progress(r->capture, &done, &all);
    r->config->progress(r->config->ctx, done, all, r->out->read);
}

/* All bytes of a packet that is probably written soon. What was read of it, its headers, was read a window ago; had all of it
 * been fetched then, it would not have stayed in the cache. A jumbo frame's rest the processor fetches itself. */
static inline void fetch_bytes(const struct wire_packet *p)
{
    const uint32_t size = p->captured < BYTES_MOST ? p->captured : BYTES_MOST;

    for (uint32_t at = 0; at < size; at += 64)
        __builtin_prefetch(p->frame + at);
}

/* Of frames that were read long ago: what host_prefetch() reads of one, of a nearer one what is written, and of one
 * nearer still what host_frame() and the writer read. */
static inline void fetch_frames(const struct window *w, bool writes)
{
    if (writes && w->head - w->tail > BATCH)
        fetch_bytes(&w->wires[(w->tail + BYTES_SOON) % WINDOW]);
    __builtin_prefetch(&w->wires[(w->tail + 2 * BATCH) % WINDOW]);
    __builtin_prefetch(&w->wires[(w->tail + SOON) % WINDOW].tcp_seq);
    __builtin_prefetch(&w->packets[(w->tail + SOON) % WINDOW]);
}

/* As many frames as a batch has are read in one go: quicker than one after each that is given to the host, whose code is more than
 * the processor keeps at hand. Their bytes come from memory before that, some with each frame given. */
static int read_batch(struct replay_run *r)
{
    struct window *w = r->window;
    int result = 0;

    for (unsigned i = 0; i < BATCH; i++)
        window_read(w);
    if (r->interfaces < capture_interface_count(r->capture))
        result = add_interfaces(r);
    window_learn(w, r->host);
    return result;
}

static int batch(struct replay_run *r)
{
    struct window *w = r->window;
    const bool holds = r->world == NULL && r->changes == r->config->change_count, writes = r->writer != NULL;
    const uint64_t end = w->tail + BATCH < w->head ? w->tail + BATCH : w->head;
    int result = 0;

    if (holds)
        host_hold(r->host);
    while (result == 0 && w->tail < end) {
        fetch_frames(w, writes);
        result = one_frame(r, holds);
        w->tail += result == 0;
        source_fetch_some(&r->capture->source);
    }
    if (holds)
        host_let(r->host);
    else if (r->world != NULL)
        world_let(r);
    return result == 0 ? read_batch(r) : result;
}

static int all_frames(struct replay_run *r)
{
    struct window *w = r->window;

    window_learn(w, r->host);
    while (w->tail < w->head) {
        if (w->head - w->tail >= 2 * BATCH)
            host_prefetch(r->host, &w->frames[(w->tail + BATCH) % WINDOW], BATCH);
        if (w->tail % PROGRESS_EVERY == 0)
            progress(r);
        int result = batch(r);
        if (result != 0)
            return result;
    }
    progress(r);
    if (w->result < 0)
        *r->error = w->error;
    return w->result;
}

/* ---- the run ------------------------------------------------------------------------------------------- */

/* Where all packets are. With drivers the host has had some frames twice: what was told of each counts. */
static void sum_up(struct replay_run *r)
{
    struct replay_sums *s = &r->out->sums;
    struct host_counts *c = &r->out->counts;

    if (r->world != NULL) {
        memcpy(c->fates, r->fates, sizeof(c->fates));
        memcpy(c->notes, r->notes, sizeof(c->notes));
        c->frames = r->out->read;
    }
    s->in = c->frames;
    s->out += c->fates[HOST_PASSED] + c->fates[HOST_IGNORED];
    s->dropped += c->fates[HOST_BLOCKED];
    *(r->config->stack_drops ? &s->dropped : &s->out) += c->fates[HOST_STACK];
    s->absorbed = c->fates[HOST_ABSORBED] + s->absorbed_made;
    s->rewritten = c->fates[HOST_REWRITTEN] + s->rewritten_injected;
    s->consequence = c->fates[HOST_CONSEQUENCE];
    s->held = c->fates[HOST_HELD];
}

int replay_run(const struct replay_config *config, struct replay_result *out, struct capture_error *error)
{
    struct replay_run r = {.config = config, .out = out, .error = error};
    int result;

    *out = (struct replay_result){0};
    error->text[0] = '\0';
    result = capture_open(config->input, &r.capture, error);
    if (result != 0)
        return result;
    if (config->output != NULL && (result = capture_writer_open(config->output, &r.writer, error)) != 0)
        goto out;
    result = -ENOMEM;
    r.window = aligned_alloc(_Alignof(struct window), sizeof(*r.window));
    if (r.window == NULL)
        goto out;
    memset(r.window, 0, sizeof(*r.window));
    r.window->capture = r.capture;
    while (!r.window->ended && r.window->head < WINDOW)
        window_read(r.window);
    if (config->begun != NULL)
        config->begun(config->ctx, &r);
    if ((config->drivers != NULL && (result = world_enter(&r)) != 0) || (result = find_locals(&r)) != 0 ||
        (result = create_host(&r)) != 0 || (result = tell_locals(&r)) != 0 ||
        (result = add_interfaces(&r)) != 0)
        goto out;
    if (r.world == NULL || (result = world_start(&r)) == 0)
        result = all_frames(&r);
    if (r.world != NULL) {
        int ended = world_end(&r);
        result = result == 0 ? ended : result;
    }
    host_counts(r.host, &out->counts);
    host_stream_counts(r.host, &out->streams);
    host_rewrite_counts(r.host, &out->rewrites);
    sum_up(&r);
out:
    if (r.writer != NULL) {
        (void)capture_write_interfaces(r.writer, r.capture);
        int closed = capture_writer_close(r.writer, r.host != NULL);
        if (closed != 0 && (result == 0 || result == -EINVAL)) {
            snprintf(error->text, sizeof(error->text), "%s: cannot be written: %s", config->output,
                     strerror(-closed));
            result = closed;
        }
    }
    if (result == -ENOMEM && error->text[0] == '\0')
        snprintf(error->text, sizeof(error->text), "%s: %s", config->input, strerror(ENOMEM));
    if (r.host != NULL)
        host_destroy(r.host);
    world_leave(&r);
    locals_destroy(&r.locals);
    free(r.seen);
    free(r.window);
    capture_close(r.capture);
    return result;
}

void replay_flush(struct replay_run *r)
{
    struct capture_writer *w = r->writer;

    r->writer = NULL;
    if (w != NULL)
        (void)capture_writer_close(w, true);
}

void replay_free(struct replay_result *r)
{
    free(r->internal);
    *r = (struct replay_result){0};
}

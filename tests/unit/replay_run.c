/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The replay as a whole, over small captures and all real ones: every frame once and in order, what is
 * written by its fate, policies that change on the way, broken input, failing output.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "captures.h"
#include "datapath/replay.h"
#include "host_lab.h"
#include "skip.h"

/* What a run told. */
struct told {
    uint64_t frames, written, last_number;
    uint64_t fates[HOST_FATES];
    enum host_fate fate[64]; /* of the first ones */
    uint64_t shown;          /* by next() */
    uint64_t comments;
    uint64_t progress;
    uint64_t change_after[4]; /* frames told before each change */
    unsigned changes;
};

static void on_next(void *ctx, const struct capture *c, const struct capture_packet *p)
{
    struct told *t = ctx;

    (void)c;
    assert_true(p->number == ++t->shown && t->frames == t->shown - 1);
}

static void on_frame(void *ctx, const struct capture *c, const struct capture_packet *p,
                     const struct wire_packet *w, const struct host_outcome *o, bool written)
{
    struct told *t = ctx;

    assert_true(p->number == ++t->last_number && w->frame == p->bytes && w->captured == p->captured);
    assert_true(w->link_type == capture_interface(c, p->interface)->link_type);
    if (t->frames < 64)
        t->fate[t->frames] = o->fate;
    t->frames++;
    t->written += written;
    t->fates[o->fate]++;
}

static const char *on_comment(void *ctx, const struct host_outcome *o, char *buf, size_t size)
{
    ((struct told *)ctx)->comments++;
    snprintf(buf, size, "was %s", host_fate_name(o->fate));
    return buf;
}

static void on_progress(void *ctx, uint64_t done, uint64_t all, uint64_t frames)
{
    struct told *t = ctx;

    assert_true(done <= all && frames == t->frames);
    t->progress++;
}

/* Runs it; what was told and what the result says must agree. */
static int run(struct replay_config *config, struct told *t, struct replay_result *out,
               struct capture_error *error)
{
    uint64_t fates = 0;

    *t = (struct told){0};
    config->next = on_next;
    config->frame = on_frame;
    config->comment = on_comment;
    config->progress = on_progress;
    config->ctx = t;
    int result = replay_run(config, out, error);
    for (unsigned i = 0; i < HOST_FATES; i++)
        fates += out->counts.fates[i];
    if (result == 0 || result == -EINVAL) {
        assert_true(out->read == t->frames && out->written == t->written);
        assert_true(out->counts.frames == out->read && fates == out->read);
        assert_memory_equal(t->fates, out->counts.fates, sizeof(t->fates));
    }
    return result;
}

/* Frames between 10.0.0.1, which is this host, and 10.0.0.2. */
static void add(struct made *m, uint32_t seconds, const struct packet *p)
{
    uint8_t bytes[2048];
    size_t size = packet_build(p, bytes, sizeof(bytes));

    made_record(m, seconds, 0, bytes, (uint32_t)size, (uint32_t)size);
}

#define GOT(m, seconds, ...)                                                                                 \
    add(m, seconds, &(struct packet){.src = "10.0.0.2", .dst = "10.0.0.1", __VA_ARGS__})
#define SENT(m, seconds, ...)                                                                                \
    add(m, seconds, &(struct packet){.src = "10.0.0.1", .dst = "10.0.0.2", __VA_ARGS__})

static const struct replay_local here = {.version = 4, .bits = 32, .address.v4 = 0x0a000001};

struct place {
    char in[64], folder[64], out[128];
};

static void place_make(struct place *p, const struct made *m)
{
    made_file(m->bytes, m->size, p->in);
    strcpy(p->folder, "/tmp/weir-replay-XXXXXX");
    assert_non_null(mkdtemp(p->folder));
    snprintf(p->out, sizeof(p->out), "%s/out.pcapng", p->folder);
}

static void place_remove(struct place *p)
{
    unlink(p->in);
    unlink(p->out);
    assert_int_equal(rmdir(p->folder), 0);
}

static uint64_t count_packets(const char *path, unsigned *comments)
{
    struct capture *c;
    struct capture_error error;
    struct capture_packet p;
    uint64_t n = 0;
    int result;

    *comments = 0;
    if (capture_open(path, &c, &error) != 0)
        fail_msg("%s", error.text);
    for (; (result = capture_next(c, &p, &error)) == 1; n++)
        *comments += p.comment != NULL;
    assert_int_equal(result, 0);
    capture_close(c);
    return n;
}

/* ---- fates --------------------------------------------------------------------------------------------- */

static void blocked_frames_are_left_out_or_kept_with_a_comment(void **state)
{
    struct host_lab *l = *state;
    struct made m = {0};
    struct place place;
    struct told t;
    struct replay_result r;
    struct capture_error error;
    unsigned comments;

    host_lab_rule(l, "block II ip_remote_address=10.0.0.2");
    made_pcap(&m, MADE_MICRO, 0, 1);
    SENT(&m, 1, .sport = 1000, .dport = 53);
    GOT(&m, 2, .sport = 53, .dport = 1000);
    SENT(&m, 3, .sport = 1000, .dport = 53);
    place_make(&place, &m);
    struct replay_config config = {
        .input = place.in, .output = place.out, .host.engine = l->engine, .locals = &here, .local_count = 1};
    for (unsigned keep = 0; keep < 2; keep++) {
        config.keep_blocked = keep;
        assert_int_equal(run(&config, &t, &r, &error), 0);
        assert_true(t.fate[0] == HOST_PASSED && t.fate[1] == HOST_BLOCKED && t.fate[2] == HOST_PASSED);
        assert_true(r.read == 3 && r.written == 2 + keep && r.blocked_kept == keep && t.comments == keep);
        assert_true(r.local_count == 1 && r.locals[0].address.v4 == here.address.v4 && !r.guessed);
        assert_int_equal(count_packets(place.out, &comments), r.written);
        assert_int_equal(comments, keep);
        replay_free(&r);
    }
    place_remove(&place);
    made_free(&m);
}

static void what_the_stack_discards_is_written_unless_told(void **state)
{
    struct host_lab *l = *state;
    struct made m = {0};
    struct place place;
    struct told t;
    struct replay_result r;
    struct capture_error error;
    unsigned comments;

    made_pcap(&m, MADE_MICRO, 0, 1);
    GOT(&m, 1, .sport = 1000, .dport = 53, .bad = PACKET_BAD_IP_SUM);
    GOT(&m, 2, .sport = 1000, .dport = 53);
    place_make(&place, &m);
    struct replay_config config = {
        .input = place.in, .output = place.out, .host.engine = l->engine, .locals = &here, .local_count = 1};
    for (unsigned drops = 0; drops < 2; drops++) {
        config.stack_drops = drops;
        assert_int_equal(run(&config, &t, &r, &error), 0);
        assert_true(t.fate[0] == HOST_STACK && t.fate[1] == HOST_PASSED);
        assert_true(r.written == 2 - drops && r.blocked_kept == 0);
        assert_int_equal(count_packets(place.out, &comments), r.written);
        replay_free(&r);
    }
    place_remove(&place);
    made_free(&m);
}

/* A port that the capture shows closed has no endpoint. */
static void closed_ports_are_seen_in_the_window(void **state)
{
    struct host_lab *l = *state;
    struct told t;
    struct replay_result r;
    struct capture_error error;

    for (unsigned refused = 0; refused < 2; refused++) {
        struct made m = {0};
        struct place place;
        made_pcap(&m, MADE_MICRO, 0, 1);
        GOT(&m, 1, .protocol = WIRE_PROTOCOL_TCP, .sport = 4000, .dport = 80, .tcp_flags = WIRE_TCP_SYN,
            .seq = 7);
        SENT(&m, 1, .protocol = WIRE_PROTOCOL_TCP, .sport = 80, .dport = 4000, .ack = 8,
             .tcp_flags = WIRE_TCP_ACK | (refused ? WIRE_TCP_RST : WIRE_TCP_SYN));
        place_make(&place, &m);
        struct replay_config config = {
            .input = place.in, .host.engine = l->engine, .locals = &here, .local_count = 1};
        assert_int_equal(run(&config, &t, &r, &error), 0);
        assert_int_equal(r.counts.flows_created, !refused);
        replay_free(&r);
        place_remove(&place);
        made_free(&m);
    }
}

/* ---- changes ------------------------------------------------------------------------------------------- */

static int change(void *ctx, struct capture_error *error)
{
    struct told *t = ctx;

    if (t->changes == 2) {
        strcpy(error->text, "the third is bad");
        return -EPROTO;
    }
    t->change_after[t->changes++] = t->frames;
    return 0;
}

static void changes_come_between_frames_at_their_time(void **state)
{
    struct host_lab *l = *state;
    struct made m = {0};
    struct place place;
    struct told t;
    struct replay_result r;
    struct capture_error error;
    struct replay_change changes[] = {{500000000, change, &t, NULL},
                                      {2000000000, change, &t, NULL},
                                      {2500000000, change, &t, NULL},
                                      {9000000000, change, &t, NULL}};
    unsigned comments;

    made_pcap(&m, MADE_MICRO, 0, 1);
    for (uint32_t s = 1; s <= 4; s++)
        SENT(&m, s, .sport = 1000, .dport = 53);
    place_make(&place, &m);
    struct replay_config config = {.input = place.in,
                                   .output = place.out,
                                   .host.engine = l->engine,
                                   .locals = &here,
                                   .local_count = 1,
                                   .changes = changes,
                                   .change_count = 2};
    assert_int_equal(run(&config, &t, &r, &error), 0);
    assert_true(t.changes == 2 && t.change_after[0] == 0 && t.change_after[1] == 1 && r.read == 4);
    replay_free(&r);
    /* one that fails ends the run; what was before is written */
    config.change_count = 4;
    assert_int_equal(run(&config, &t, &r, &error), -EPROTO);
    assert_string_equal(error.text, "the third is bad");
    assert_true(t.frames == 2 && r.read == 2);
    assert_int_equal(count_packets(place.out, &comments), 2);
    replay_free(&r);
    place_remove(&place);
    made_free(&m);
}

/* ---- input and output ---------------------------------------------------------------------------------- */

static void broken_input_is_told_after_what_was_sound(void **state)
{
    struct host_lab *l = *state;
    struct made m = {0};
    struct place place;
    struct told t;
    struct replay_result r;
    struct capture_error error;
    unsigned comments;

    made_pcap(&m, MADE_MICRO, 0, 1);
    for (uint32_t s = 0; s < 3000; s++) /* more than a window */
        SENT(&m, s, .sport = 1000, .dport = 53);
    m.size -= 3;
    place_make(&place, &m);
    struct replay_config config = {.input = place.in, .output = place.out, .host.engine = l->engine};
    assert_int_equal(run(&config, &t, &r, &error), -EINVAL);
    assert_non_null(
        strstr(error.text, ": packet 3000: expected 42 bytes of packet, found the end of the file after 39"));
    assert_true(t.frames == 2999 && t.progress >= 1);
    assert_int_equal(count_packets(place.out, &comments), 2999);
    assert_true(r.guessed && r.guessed_in == 2999 && r.guessed_of == 2999 &&
                r.locals[0].address.v4 == 0x0a000001);
    replay_free(&r);

    config.input = "/nonexistent";
    assert_int_equal(run(&config, &t, &r, &error), -ENOENT);
    replay_free(&r);
    config.input = place.in;
    config.output = "/nonexistent/out";
    assert_int_equal(run(&config, &t, &r, &error), -ENOENT);
    assert_string_equal(error.text, "/nonexistent/out: cannot be written: No such file or directory");
    replay_free(&r);
    config.output = "/dev/full";
    assert_int_equal(run(&config, &t, &r, &error), -ENOSPC);
    assert_string_equal(error.text, "/dev/full: cannot be written: No space left on device");
    replay_free(&r);
    place_remove(&place);
    made_free(&m);
}

static void a_pipe_is_replayed_as_a_file(void **state)
{
    struct host_lab *l = *state;
    struct made m = {0};
    struct told file, piped;
    struct replay_result a, b;
    struct capture_error error;
    struct place place;
    char path[64];
    int fd, child;

    made_pcap(&m, MADE_MICRO, 0, 1);
    for (uint32_t s = 0; s < 5000; s++)
        SENT(&m, s, .sport = (uint16_t)(1000 + s % 100), .dport = 53, .fill = s % 1400);
    place_make(&place, &m);
    struct replay_config config = {.input = place.in, .host.engine = l->engine};
    assert_int_equal(run(&config, &file, &a, &error), 0);
    config.input = made_pipe(m.bytes, m.size, 5000, path, &fd, &child);
    config.progress = NULL;
    assert_int_equal(run(&config, &piped, &b, &error), 0);
    assert_memory_equal(file.fates, piped.fates, sizeof(file.fates));
    assert_true(a.counts.flows_created == b.counts.flows_created && b.read == 5000);
    assert_true(a.guessed_of == 5000 &&
                b.guessed_of == CAPTURE_WINDOW); /* a pipe's window is what can be seen */
    made_pipe_close(fd, child);
    replay_free(&a);
    replay_free(&b);
    place_remove(&place);
    made_free(&m);
}

/* ---- real captures ------------------------------------------------------------------------------------- */

/* With an empty policy every packet's bytes, time and link type are unchanged. */
static void compare(const char *in, const char *out)
{
    struct capture *a, *b;
    struct capture_error error;
    struct capture_packet pa, pb;

    assert_int_equal(capture_open(in, &a, &error), 0);
    assert_int_equal(capture_open(out, &b, &error), 0);
    while (capture_next(a, &pa, &error) == 1) {
        if (capture_next(b, &pb, &error) != 1)
            fail_msg("%s: packet %llu is not there: %s", in, (unsigned long long)pa.number, error.text);
        assert_true(pa.captured == pb.captured && pa.length == pb.length && pa.time_ns == pb.time_ns);
        if (pa.captured != 0)
            assert_memory_equal(pa.bytes, pb.bytes, pa.captured);
        assert_true(capture_interface(a, pa.interface)->link_type ==
                    capture_interface(b, pb.interface)->link_type);
    }
    assert_int_equal(capture_next(b, &pb, &error), 0);
    capture_close(a);
    capture_close(b);
}

static void an_empty_policy_changes_no_real_capture(void **state)
{
    struct host_lab *l = *state;
    struct made none = {0};
    struct place place;
    char folder[512], path[1024];
    uint64_t packets = 0, fates[HOST_FATES] = {0};
    unsigned files = 0, broke = 0;

    SHARED_OR_SKIP("data/pcaps", folder);
    DIR *d = opendir(folder);
    assert_non_null(d);
    place_make(&place, &none);
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        const char *dot = strrchr(e->d_name, '.');
        struct replay_config config = {.input = path, .output = place.out, .host.engine = l->engine};
        struct told t;
        struct replay_result r;
        struct capture_error error;
        if (e->d_name[0] == '.' || dot == NULL || strncmp(dot, ".pcap", 5) != 0)
            continue;
        snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
        int result = run(&config, &t, &r, &error);
        assert_true(result == 0 || result == -EINVAL);
        assert_true(r.written == r.read &&
                    t.fates[HOST_BLOCKED] + t.fates[HOST_CONSEQUENCE] + t.fates[HOST_HELD] == 0);
        compare(path, place.out);
        files++;
        broke += result != 0;
        packets += r.read;
        for (unsigned f = 0; f < HOST_FATES; f++)
            fates[f] += t.fates[f];
        replay_free(&r);
    }
    closedir(d);
    place_remove(&place);
    printf("# %u captures, %llu packets: %llu passed, %llu ignored, %llu stack\n", files,
           (unsigned long long)packets, (unsigned long long)fates[HOST_PASSED],
           (unsigned long long)fates[HOST_IGNORED], (unsigned long long)fates[HOST_STACK]);
    assert_true(files >= 863 && packets > 20000 && fates[HOST_PASSED] > packets / 2);
    assert_int_equal(broke, 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, host_lab_setup, host_lab_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(blocked_frames_are_left_out_or_kept_with_a_comment),
        TEST(what_the_stack_discards_is_written_unless_told),
        TEST(closed_ports_are_seen_in_the_window),
        TEST(changes_come_between_frames_at_their_time),
        TEST(broken_input_is_told_after_what_was_sound),
        TEST(a_pipe_is_replayed_as_a_file),
        TEST(an_empty_policy_changes_no_real_capture),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

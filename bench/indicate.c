/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one classification costs the host, values and all: a received TCP segment of an established flow at
 * II, IT, SPK and ST, and the first one's RA, in a host
 *
 *   empty     without any filter
 *   policy    under each real machine's policy, everything about the program known
 *   observed  the same, with an observer that does nothing: values, metadata and the packet's list are made
 *
 * CPU time of the thread, the median of passes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "bfe/bfe.h"
#include "host/internal.h"
#include "policy/policy.h"
#include "security/security.h"

#define PASSES 9
#define ROUNDS 200000

static const enum host_layer roles[] = {LAYER_II, LAYER_IT, LAYER_SPK, LAYER_ST, LAYER_RA};

static const uint8_t frame[] = {
    2,    0,    0,    0,    0, 1, 2,    0, 0,  0, 0, 2, 8,    0,                       /* Ethernet */
    0x45, 0,    0,    44,   0, 1, 0x40, 0, 64, 6, 0, 0, 10,   0,    0, 2, 10, 0, 0, 1, /* IPv4 */
    0x9c, 0x40, 0x01, 0xbb, 0, 0, 0,    1, 0,  0, 0, 1, 0x50, 0x10, 1, 0, 0,  0, 0, 0, /* TCP */
    'd',  'a',  't',  'a'};

static void nothing(void *ctx, const struct host_event *e)
{
    (void)ctx;
    (void)e;
}

static const SID system_sid = {1, 1, {{0, 0, 0, 0, 0, 5}}, {18}};
static FWP_BYTE_BLOB *app;
static struct security_token *token;

static void run(struct engine *engine, const char *name, bool observed)
{
    const struct host_owner owner = {.process_id = 1, .app_id = app, .token = security_token_blob(token)};
    const struct host_interface_desc ethernet = {.name = "e", .luid = 1, .index = 1, .type = 6, .profile = 1};
    struct host_config config = {.engine = engine};
    struct party party = {.owner = &owner};
    struct host_endpoint endpoint = {.id = 1, .party = &party};
    struct wire_packet packet;
    struct host *h;
    struct scene s;
    double ns[ARRAYSIZE(roles)][PASSES], together[PASSES];

    if (observed)
        config.observer.classified = nothing;
    if (host_create(&config, &h) != 0 || host_interface_add(h, &ethernet) != 0)
        bench_die("no host");
    wire_parse(WIRE_LINK_ETHERNET, frame, sizeof(frame), sizeof(frame), &packet);
    s = (struct scene){.host = h,
                       .lane = &h->lanes[0],
                       .packet = &packet,
                       .interface = host_interface_by_index(h, 1),
                       .packet_direction = FWP_DIRECTION_INBOUND,
                       .connection_direction = FWP_DIRECTION_INBOUND,
                       .version = 4,
                       .protocol = 6,
                       .local = packet.destination,
                       .remote = packet.source,
                       .local_port = packet.destination_port,
                       .remote_port = packet.source_port,
                       .endpoint = &endpoint,
                       .flow_id = 1,
                       .stream = frame + 54,
                       .stream_size = 4,
                       .stream_flags = FWPS_STREAM_FLAG_RECEIVE};
    for (int pass = 0; pass < PASSES; pass++) {
        struct answer a;

        for (size_t r = 0; r < ARRAYSIZE(roles); r++) {
            double start = bench_cpu_ns();

            for (int i = 0; i < ROUNDS; i++)
                indicate(&s, roles[r], &a);
            ns[r][pass] = (bench_cpu_ns() - start) / ROUNDS;
        }
        double start = bench_cpu_ns();
        for (int i = 0; i < ROUNDS; i++)
            for (size_t r = 0; r < 4; r++)
                indicate(&s, roles[r], &a);
        together[pass] = (bench_cpu_ns() - start) / ROUNDS;
    }
    printf("%-34s %-9s", name, observed ? "observed" : "");
    for (size_t r = 0; r < ARRAYSIZE(roles); r++)
        printf(" %s %.0f", layer_short_name(roles[r]), bench_median(ns[r], PASSES));
    printf("; a segment (II IT SPK ST) %.0f ns\n", bench_median(together, PASSES));
    host_destroy(h);
}

static void with_state(const char *name)
{
    struct policy_error error = {0};
    struct policy *policy;
    struct engine *e;
    struct bfe *b;
    char path[512];
    FILE *f = fopen(bench_state_path(name, path, sizeof(path)), "r");

    if (f == NULL) {
        printf("%s is not on this machine\n", name);
        return;
    }
    fclose(f);
    if (engine_create(&e) != 0 || bfe_create(e, NULL, &b) != 0 ||
        policy_load_file(b, path, &policy, &error) != 0)
        bench_die("%s", error.text);
    run(e, name, false);
    run(e, name, true);
    policy_free(policy);
    bfe_destroy(b);
    engine_destroy(e);
}

int main(void)
{
    struct engine *e;

    if (engine_create(&e) != 0 || engine_app_id_from_path("/usr/bin/program", &app) != 0 ||
        security_token_plain_user(&system_sid, &token) != 0)
        bench_die("no engine");
    run(e, "empty", false);
    run(e, "empty", true);
    engine_destroy(e);
    with_state("developer-laptop.wfpstate.xml");
    with_state("server-minimal.wfpstate.xml");
    with_state("vpn-desktop.filters.xml");
    security_token_destroy(token);
    free(app);
    return 0;
}

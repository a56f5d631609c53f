/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DPDK's rte_acl as a peer of the index: the same rules, the same packets, the best match of each category.
 * Kept apart because DPDK's headers bring compiler flags of their own.
 */
#ifndef WEIR_BENCH_ACL_PEER_H
#define WEIR_BENCH_ACL_PEER_H

#include "bench.h"

struct acl_peer;

/* DPDK has been started (dpdk.h). categories: 1 or 8; rule r is in category r % categories. */
struct acl_peer *acl_peer_create(const struct bench_set *s, unsigned categories);
void acl_peer_destroy(struct acl_peer *p);
double acl_peer_build_seconds(const struct acl_peer *p);
size_t acl_peer_bytes(const struct acl_peer *p); /* of the built tries and the rules */

enum acl_way { ACL_SCALAR, ACL_SSE, ACL_AVX2, ACL_AVX512, ACL_WAYS };
bool acl_peer_has(struct acl_peer *p, enum acl_way way);
/* CPU time a packet over the trace, `batch` packets a call. The sum of results keeps the work alive. */
double acl_peer_pass(struct acl_peer *p, enum acl_way way, unsigned batch, uint64_t *sum);
/* The best rule of each category for a packet of the trace, SIZE_MAX: none. */
void acl_peer_best(struct acl_peer *p, size_t packet, size_t *rules);

#endif

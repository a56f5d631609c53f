/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DPDK's rte_hash as a peer of the flow table: the same keys, the same questions. Kept apart because DPDK's
 * headers bring compiler flags of their own.
 */
#ifndef WEIR_BENCH_HASH_PEER_H
#define WEIR_BENCH_HASH_PEER_H

#include <stddef.h>
#include <stdint.h>

struct hash_peer;

/* DPDK has been started (dpdk.h). Keys of `key_size` bytes, one behind the other: key i's value is i + 1. Its
 * own CRC32 hash. */
struct hash_peer *hash_peer_create(const void *keys, size_t key_size, uint32_t count);
void hash_peer_destroy(struct hash_peer *p);
/* CPU time a key; *sum: of the values found. */
double hash_peer_single(struct hash_peer *p, const void *keys, size_t n, uint64_t *sum);
double hash_peer_bulk(struct hash_peer *p, const void *keys, size_t n, uint64_t *sum);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include <rte_errno.h>
#include <rte_hash.h>
#include <rte_hash_crc.h>

#include "bench.h"
#include "hash_peer.h"

struct hash_peer {
    struct rte_hash *hash;
    size_t key_size;
};

struct hash_peer *hash_peer_create(const void *keys, size_t key_size, uint32_t count)
{
    struct hash_peer *p = calloc(1, sizeof(*p));
    struct rte_hash_parameters how = {.name = "flows",
                                      .entries = count < 8 ? 8 : count,
                                      .key_len = (uint32_t)key_size,
                                      .hash_func = rte_hash_crc,
                                      .hash_func_init_val = 1};

    if (p == NULL)
        bench_die("out of memory");
    p->key_size = key_size;
    p->hash = rte_hash_create(&how);
    if (p->hash == NULL)
        bench_die("rte_hash_create: %s", rte_strerror(rte_errno));
    for (uint32_t i = 0; i < count; i++) {
        const char *key = (const char *)keys + i * key_size;
        /* cuckoo hashing may find no place before `entries` are in: those are told, not timed differently */
        if (rte_hash_add_key_data(p->hash, key, (void *)(uintptr_t)(i + 1)) != 0)
            bench_die("rte_hash has no room for key %u of %u", i, count);
    }
    return p;
}

void hash_peer_destroy(struct hash_peer *p)
{
    rte_hash_free(p->hash);
    free(p);
}

double hash_peer_single(struct hash_peer *p, const void *keys, size_t n, uint64_t *sum)
{
    double start = bench_cpu_ns();

    for (size_t i = 0; i < n; i++) {
        void *value;
        if (rte_hash_lookup_data(p->hash, (const char *)keys + i * p->key_size, &value) >= 0)
            *sum += (uintptr_t)value;
    }
    return (bench_cpu_ns() - start) / (double)n;
}

double hash_peer_bulk(struct hash_peer *p, const void *keys, size_t n, uint64_t *sum)
{
    double start = bench_cpu_ns();

    for (size_t at = 0; at < n; at += 32) {
        const void *key[32];
        void *value[32];
        uint64_t hits = 0;
        uint32_t some = n - at < 32 ? (uint32_t)(n - at) : 32;
        for (uint32_t i = 0; i < some; i++)
            key[i] = (const char *)keys + (at + i) * p->key_size;
        rte_hash_lookup_bulk_data(p->hash, key, some, &hits, value);
        for (uint32_t i = 0; i < some; i++)
            *sum += (hits >> i & 1) != 0 ? (uintptr_t)value[i] : 0;
    }
    return (bench_cpu_ns() - start) / (double)n;
}

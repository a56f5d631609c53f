/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>

#include <rte_eal.h>
#include <rte_malloc.h>
#include <rte_memory.h>

#include "bench.h"
#include "dpdk.h"

static int want_huge(const struct rte_memseg_list *list, void *arg)
{
    (void)arg;
    (void)madvise(list->base_va, list->len, MADV_HUGEPAGE);
    return 0;
}

void bench_dpdk_start(const char *program, unsigned mebibytes, bool huge)
{
    static char memory[16];
    char *args[] = {(char *)(uintptr_t)program,
                    "--no-huge",
                    "--no-shconf",
                    "--no-pci",
                    "--no-telemetry",
                    "-m",
                    memory,
                    "-l",
                    "0",
                    "--log-level=lib.*:error",
                    "--force-max-simd-bitwidth=512"};
    cpu_set_t set;

    snprintf(memory, sizeof(memory), "%u", mebibytes);
    pthread_getaffinity_np(pthread_self(), sizeof(set), &set);
    if (rte_eal_init(sizeof(args) / sizeof(args[0]), args) < 0)
        bench_die("DPDK does not start");
    pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
    if (huge)
        rte_memseg_list_walk(want_huge, NULL);
}

size_t bench_dpdk_bytes(void)
{
    struct rte_malloc_socket_stats s;

    return rte_malloc_get_socket_stats(0, &s) == 0 ? s.heap_allocsz_bytes : 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* DPDK itself, for the peers that are parts of it. */
#ifndef WEIR_BENCH_DPDK_H
#define WEIR_BENCH_DPDK_H

#include <stdbool.h>
#include <stddef.h>

/* Starts DPDK, once, with so many MiB and none of its devices, without hugetlbfs; huge: of huge pages where
 * the system has them on demand. The thread stays where it may run. Ends the program if it cannot. */
void bench_dpdk_start(const char *program, unsigned mebibytes, bool huge);
size_t bench_dpdk_bytes(void); /* all that DPDK has allocated */

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What reading and writing a capture costs if nothing else is done: the limit that replay.py prints beside its ratios.
 * The input is mapped; each record's header and the frame's first byte are looked at; of every five frames three (of
 * bench_make_capture's capture under developer-laptop's policy 60 % pass) are copied as they are into a buffer, which is
 * written when full. No parsing, no flows, no policy, no telling. The caller takes the process' time.
 *
 * usage: bench_floor IN.pcap OUT
 */
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench.h"

#define FILE_HEADER   24u
#define RECORD_HEADER 16u
#define FLUSH         ((size_t)256 << 10)
#define AHEAD         4096u /* bytes: some six frames */

static uint8_t buffer[FLUSH + ((size_t)64 << 10)];
static volatile uint64_t sink;

static void put(int fd, const uint8_t *b, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, b, size);

        if (n <= 0)
            bench_die("the output cannot be written");
        b += n;
        size -= (size_t)n;
    }
}

int main(int argc, char **argv)
{
    struct stat st;
    uint64_t frames = 0, sum = 0;
    size_t used = FILE_HEADER;

    if (argc != 3)
        bench_die("usage: bench_floor IN.pcap OUT");
    int in = open(argv[1], O_RDONLY | O_CLOEXEC);
    (void)unlink(argv[2]);
    int out = open(argv[2], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (in < 0 || out < 0 || fstat(in, &st) != 0 || st.st_size <= (off_t)FILE_HEADER)
        bench_die("%s, %s: cannot be opened", argv[1], argv[2]);
    const size_t size = (size_t)st.st_size;
    const uint8_t *bytes = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, in, 0);
    if (bytes == MAP_FAILED)
        bench_die("%s: cannot be mapped", argv[1]);
    memcpy(buffer, bytes, FILE_HEADER);
    for (size_t at = FILE_HEADER; at + RECORD_HEADER < size; frames++) {
        uint32_t captured;

        memcpy(&captured, bytes + at + 8,
               sizeof(captured)); /* of this machine's byte order, as bench_make_capture writes */
        const size_t record = RECORD_HEADER + captured;
        if (captured > ((uint32_t)48 << 10) || at + record > size)
            bench_die("%s: no capture of bench_make_capture's", argv[1]);
        for (size_t line = 0; line < record; line += 64)
            __builtin_prefetch(bytes + at + AHEAD + line); /* a hint: past the end is no fault */
        sum += bytes[at + RECORD_HEADER];
        if (frames % 5 < 3) {
            memcpy(buffer + used, bytes + at, record);
            used += record;
            if (used >= FLUSH) {
                put(out, buffer, FLUSH);
                memcpy(buffer, buffer + FLUSH, used - FLUSH);
                used -= FLUSH;
            }
        }
        at += record;
    }
    put(out, buffer, used);
    sink += sum;
    return close(out) == 0 ? 0 : 1;
}

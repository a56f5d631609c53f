/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading and writing captures, against libpcap: ns a packet, CPU time of the thread, kernel included.
 *
 *   read        capture_next() over all packets, their first bytes looked at
 *   read+parse  and wire_parse()
 *   read+write  capture_next() and capture_write() of every packet
 *   ... 1 in 2  and of every second one, as a policy that blocks half
 *
 * An output's pages cost more when the system has not used them lately (a guest's are brought by its host):
 * each timed writing follows an untimed one.
 *
 * The peers: pcap_next_ex() over all, and with pcap_dump() of all.
 *
 * usage: bench_capture IN.pcap OUT [PASSES]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "datapath/capture.h"

#ifdef BENCH_HAVE_PCAP
#include <pcap/pcap.h>
#endif

enum task { READ, READ_PARSE, READ_WRITE, READ_WRITE_HALF, PCAP_READ, PCAP_WRITE, TASKS };

static const struct {
    const char *name;
    enum task peer;
} tasks[TASKS] = {
    [READ] = {"read", PCAP_READ},
    [READ_PARSE] = {"read, parse", PCAP_READ},
    [READ_WRITE] = {"read, write all", PCAP_WRITE},
    [READ_WRITE_HALF] = {"read, write every second", PCAP_WRITE},
    [PCAP_READ] = {"libpcap: read", PCAP_READ},
    [PCAP_WRITE] = {"libpcap: read, write all", PCAP_WRITE},
};

#define PASSES_MAX 100

static volatile uint64_t sink;

static uint64_t run_own(enum task task, const char *in, const char *out)
{
    struct capture *c;
    struct capture_writer *w = NULL;
    struct capture_error error;
    struct capture_packet p;
    struct wire_packet wire;
    uint64_t n = 0, sum = 0;

    if (capture_open(in, &c, &error) != 0)
        bench_die("%s", error.text);
    if (task >= READ_WRITE && capture_writer_open(out, &w, &error) != 0)
        bench_die("%s", error.text);
    for (; capture_next(c, &p, &error) == 1; n++) {
        if (p.captured >= 34)
            sum += p.bytes[33];
        if (task == READ_PARSE) {
            wire_parse(capture_interface(c, p.interface)->link_type, p.bytes, p.captured, p.length, &wire);
            sum += wire.source_port;
        }
        if (w != NULL && (task == READ_WRITE || n % 2 == 0) && capture_write(w, c, &p, NULL) != 0)
            bench_die("%s cannot be written", out);
    }
    if (capture_writer_close(w, true) != 0)
        bench_die("%s cannot be written", out);
    capture_close(c);
    sink += sum;
    return n;
}

#ifdef BENCH_HAVE_PCAP
static uint64_t run_pcap(enum task task, const char *in, const char *out)
{
    char error[PCAP_ERRBUF_SIZE];
    pcap_t *c = pcap_open_offline(in, error);
    struct pcap_pkthdr *head;
    const u_char *bytes;
    uint64_t n = 0, sum = 0;

    if (c == NULL)
        bench_die("%s", error);
    pcap_dumper_t *d = task == PCAP_WRITE ? pcap_dump_open(c, out) : NULL;
    for (; pcap_next_ex(c, &head, &bytes) == 1; n++) {
        if (head->caplen >= 34)
            sum += bytes[33];
        if (d != NULL)
            pcap_dump((u_char *)d, head, bytes);
    }
    if (d != NULL)
        pcap_dump_close(d);
    pcap_close(c);
    sink += sum;
    return n;
}
#endif

static double one(enum task task, const char *in, const char *out)
{
    uint64_t n;

    (void)unlink(out); /* giving old pages back is nobody's cost */
    double begin = bench_cpu_ns();
#ifdef BENCH_HAVE_PCAP
    n = task >= PCAP_READ ? run_pcap(task, in, out) : run_own(task, in, out);
#else
    n = run_own(task, in, out);
#endif
    return (bench_cpu_ns() - begin) / (double)(n == 0 ? 1 : n);
}

int main(int argc, char **argv)
{
    static double times[TASKS][PASSES_MAX], ratios[TASKS][PASSES_MAX];
    unsigned passes = argc > 3 ? (unsigned)atoi(argv[3]) : 5;
#ifdef BENCH_HAVE_PCAP
    const unsigned count = TASKS;
#else
    const unsigned count = PCAP_READ;
#endif

    if (argc < 3 || passes == 0 || passes > PASSES_MAX)
        bench_die("usage: bench_capture IN.pcap OUT [PASSES]");
    (void)one(READ, argv[1], argv[2]); /* the file is in memory from here on */
    for (unsigned pass = 0; pass < passes; pass++) {
        for (unsigned t = 0; t < count; t++) {
            if (t != READ && t != READ_PARSE && t != PCAP_READ)
                (void)one(READ_WRITE, argv[1], argv[2]);
            times[t][pass] = one(t, argv[1], argv[2]);
        }
        for (unsigned t = 0; t < count; t++)
            ratios[t][pass] = count == TASKS ? times[t][pass] / times[tasks[t].peer][pass] : 0;
    }
    (void)unlink(argv[2]);
    for (unsigned t = 0; t < count; t++) {
        printf("%-28s %7.1f ns a packet", tasks[t].name, bench_median(times[t], passes));
        if (t < PCAP_READ && count == TASKS)
            printf("   %.2f of libpcap's", bench_median(ratios[t], passes));
        printf("\n");
    }
    return 0;
}

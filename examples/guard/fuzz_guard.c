/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer decides what guard meets: each step of an input is a byte that says what happens, and what it needs.
 *
 *   0..127    so many milliseconds go by
 *   128..159  the browser connects; the next byte is the port
 *   160..191  the browser closes its oldest connection
 *   192..255  a packet comes from the wire: a byte for its size, then its bytes, from the IP header on
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <weir.h>

#define SOCKETS 8

static void failed(void *ctx, const char *text)
{
    (void)ctx;
    fprintf(stderr, "%s\n", text);
    abort();
}

static struct weir *machine;
static uint64_t owed; /* what guard holds as long as it is loaded */

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct weir_config config = {.size = sizeof config, .failed = failed};

    (void)argc;
    (void)argv;
    if (weir_create_with(&config, &machine) != 0 || weir_driver(machine, "./guard_fuzz.so") == NULL) {
        fprintf(stderr, "%s\n", weir_error());
        exit(1);
    }
    owed = weir_outstanding(machine, NULL);
    return 0;
}

static void play(struct weir_process *browser, const uint8_t *in, const uint8_t *end)
{
    struct weir_socket *sockets[SOCKETS];
    unsigned first = 0, last = 0;
    char address[WEIR_ADDRESS];

    while (in < end) {
        uint8_t step = *in++;

        if (step < 128) {
            weir_run(machine, step * WEIR_MILLISECOND);
        } else if (step < 160 && in < end && last - first < SOCKETS) {
            snprintf(address, sizeof address, "10.0.0.2:%u", *in++ + 1u);
            sockets[last % SOCKETS] = weir_socket(browser, WEIR_TCP);
            weir_connect(sockets[last++ % SOCKETS], address);
        } else if (step >= 160 && step < 192 && first < last) {
            weir_close(sockets[first++ % SOCKETS]);
        } else if (step >= 192 && in < end) {
            size_t size = *in++;

            if (size > (size_t)(end - in))
                size = (size_t)(end - in);
            if (size != 0)
                weir_deliver(machine, 1, in, size);
            in += size;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct weir_process *browser = weir_process(machine, "C:\\browser.exe", NULL);

    play(browser, bytes, bytes + size);
    weir_process_exit(browser);
    weir_settle(machine);
    if (weir_outstanding(machine, NULL) != owed || weir_findings(machine, NULL, NULL) != 0)
        weir_expect_clean(machine); /* says what it is */
    return 0;
}

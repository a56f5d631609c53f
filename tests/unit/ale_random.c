/* SPDX-License-Identifier: Apache-2.0 */
/* The fuzz target's events in random order, against the naive reference of the state machine. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "../fuzz/fuzz_ale.c"

static void random_events(void **state)
{
    const char *text = getenv("WEIR_RUNS");
    unsigned runs = text != NULL ? (unsigned)strtoul(text, NULL, 10) : 300;

    (void)state;
    for (unsigned seed = 1; seed <= runs; seed++) {
        uint64_t x = seed * 0x9e3779b97f4a7c15ull;
        uint8_t bytes[800];

        for (unsigned i = 0; i < sizeof(bytes); i++) {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            bytes[i] = (uint8_t)(x >> 24);
        }
        LLVMFuzzerTestOneInput(bytes, sizeof(bytes));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_events)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

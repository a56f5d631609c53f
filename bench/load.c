/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loading a machine's state into a committed, indexed policy, beside expat's bare parse (empty handlers) of
 * the same bytes.
 */
#include <expat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "policy/policy.h"

#define PASSES 15

static char *read_all(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    char *data;

    if (f == NULL)
        return NULL;
    fseek(f, 0, SEEK_END);
    *size = (size_t)ftell(f);
    rewind(f);
    data = malloc(*size + 1);
    if (data == NULL || fread(data, 1, *size, f) != *size)
        bench_die("%s cannot be read", path);
    fclose(f);
    return data;
}

static void XMLCALL start_element(void *ctx, const XML_Char *name, const XML_Char **attributes)
{
    (void)ctx;
    (void)name;
    (void)attributes;
}

static void XMLCALL end_element(void *ctx, const XML_Char *name)
{
    (void)ctx;
    (void)name;
}

static void XMLCALL text(void *ctx, const XML_Char *s, int n)
{
    (void)ctx;
    (void)s;
    (void)n;
}

/* An export has two roots, one after the other: expat is given an element around them, as the import does. */
static double bare_parse(const char *data, size_t size)
{
    double start = bench_cpu_ns();
    XML_Parser p = XML_ParserCreate("UTF-8");

    XML_SetElementHandler(p, start_element, end_element);
    XML_SetCharacterDataHandler(p, text);
    if (size >= 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0) {
        data += 3;
        size -= 3;
    }
    if (size >= 5 && memcmp(data, "<?xml", 5) == 0) {
        const char *end = memchr(data, '>', size);

        if (end != NULL) {
            size -= (size_t)(end + 1 - data);
            data = end + 1;
        }
    }
    if (XML_Parse(p, "<both>", 6, 0) == XML_STATUS_ERROR ||
        XML_Parse(p, data, (int)size, 0) == XML_STATUS_ERROR ||
        XML_Parse(p, "</both>", 7, 1) == XML_STATUS_ERROR)
        bench_die("expat: %s, line %lu", XML_ErrorString(XML_GetErrorCode(p)), XML_GetCurrentLineNumber(p));
    XML_ParserFree(p);
    return bench_cpu_ns() - start;
}

static double load(const char *name, const char *data, size_t size, UINT32 *filters)
{
    struct policy_error error = {0};
    struct policy *policy;
    struct engine *e;
    struct bfe *b;
    double start, ns;

    if (engine_create(&e) != 0 || bfe_create(e, NULL, &b) != 0)
        bench_die("no bfe");
    start = bench_cpu_ns();
    if (policy_load_memory(b, name, data, size, &policy, &error) != 0)
        bench_die("%s", error.text);
    ns = bench_cpu_ns() - start;
    *filters = policy->counts.filters_applied;
    policy_free(policy);
    bfe_destroy(b);
    engine_destroy(e);
    return ns;
}

int main(void)
{
    static const char *const names[] = {"developer-laptop.wfpstate.xml", "server-minimal.wfpstate.xml",
                                        "vpn-desktop.filters.xml"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        double loads[PASSES], parses[PASSES], ratios[PASSES];
        char path[512];
        size_t size = 0;
        UINT32 filters = 0;
        char *data = read_all(bench_state_path(names[i], path, sizeof(path)), &size);

        if (data == NULL) {
            printf("%s is not on this machine\n", names[i]);
            continue;
        }
        for (int k = 0; k < PASSES; k++) {
            parses[k] = bare_parse(data, size);
            loads[k] = load(names[i], data, size, &filters);
            ratios[k] = loads[k] / parses[k];
        }
        printf("%s: %zu KiB, %u filters applied: load %.1f ms, expat alone %.1f ms, ratio %.2f\n", names[i],
               size / 1024, filters, bench_median(loads, PASSES) / 1e6, bench_median(parses, PASSES) / 1e6,
               bench_median(ratios, PASSES));
        free(data);
    }
    return 0;
}

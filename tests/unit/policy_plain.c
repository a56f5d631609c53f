/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy: what plain.c reads it reads as expat does. A comment behind the end makes any file expat's, and changes nothing
 * else: exports, and many damaged copies of small ones, are loaded with and without it.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "policy/internal.h"
#include "policy_lab.h"
#include "skip.h"

static const char comment[] = "<!-- expat's -->";

static bool is_plain(const struct policy *p)
{
    return ((const struct policy_internal *)p->internal)->plain;
}

static void same_text(const char *a, const char *b)
{
    assert_true((a == NULL) == (b == NULL));
    if (a != NULL)
        assert_string_equal(a, b);
}

static void same(const struct policy_lab *a, const struct policy_lab *b)
{
    const struct policy *p = a->policy, *q = b->policy;
    char *x, *y;
    size_t n, m;

    assert_memory_equal(&p->counts, &q->counts, sizeof(p->counts));
    same_text(p->time_stamp, q->time_stamp);
    assert_int_equal(p->note_count, q->note_count);
    for (UINT32 i = 0; i < p->note_count; i++) {
        assert_int_equal(p->notes[i].kind, q->notes[i].kind);
        assert_int_equal(p->notes[i].line, q->notes[i].line);
        assert_int_equal(p->notes[i].count, q->notes[i].count);
        same_text(p->notes[i].text, q->notes[i].text);
        same_text(p->notes[i].raw, q->notes[i].raw);
    }
    for (UINT32 i = 0; i < p->counts.endpoints; i++)
        assert_int_equal(p->endpoints[i].line, q->endpoints[i].line);
    assert_int_equal(policy_save_memory(a->lab.bfe, p, &x, &n), 0);
    assert_int_equal(policy_save_memory(b->lab.bfe, q, &y, &m), 0);
    assert_int_equal(n, m);
    assert_memory_equal(x, y, n);
    free(x);
    free(y);
}

/* Both ways; was it plain? */
static bool compare(const char *text, size_t size)
{
    struct policy_lab a = {0}, b = {0};
    char *longer = malloc(size + sizeof(comment));
    bool plain = false;
    int status, by_expat;

    assert_non_null(longer);
    memcpy(longer, text, size);
    memcpy(longer + size, comment, sizeof(comment));
    status = pl_try(&a, text, size);
    by_expat = pl_try(&b, longer, size + sizeof(comment) - 1);
    assert_int_equal(status == 0, by_expat == 0);
    if (status == 0) {
        plain = is_plain(a.policy);
        assert_false(is_plain(b.policy));
        same(&a, &b);
    }
    pl_close(&a);
    pl_close(&b);
    free(longer);
    return plain;
}

static const char *const samples[] = {
    "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n" PL_ONE(
        PL_V4, PL_CONDITION("FWPM_CONDITION_IP_REMOTE_PORT", "FWP_MATCH_EQUAL",
                            "<type>FWP_UINT16</type><uint16>443</uint16>")),
    ("<wfpstate>\r\n\t<timeStamp>2024-10-22T20:48:53.891Z</timeStamp>\r\n\t<sessions "
     "numItems=\"1\">\r\n\t\t<item>\r\n"
     "\t\t\t<sessionKey>{00000000-0000-4000-8000-00000000f001}</sessionKey>\r\n\t\t\t<flags>0</flags>\r\n"
     "\t\t\t<news a=\"b\">x &amp; y]]\r\n&lt;z<deep/></news>\r\n\t\t\tstray &gt; "
     "text\r\n\t\t</item>\r\n\t</sessions>\r\n"
     "</wfpstate>\r\n<firewallState><a >1</a ><b/></firewallState>\r\n"),
    ("\xef\xbb\xbf<netEvents numItems=\"1\"><item><header><ipProtocol>6</ipProtocol></header>"
     "<type>\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80 &quot;&apos;</type></item></netEvents>"),
};

static void samples_are_plain_and_read_as_by_expat(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++)
        assert_true(compare(samples[i], strlen(samples[i])));
}

/* One byte taken away, put in, or another: nearly each may stand for a mistake. */
static void damaged_samples_are_read_as_by_expat(void **state)
{
    static const char bytes[] = "<>&;/\"'= \r\n\t]x0:-.\x01\x7f\x80\xc3\xef";
    unsigned plain = 0, loads = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        const size_t size = strlen(samples[i]);
        char *copy = malloc(size + 2);

        assert_non_null(copy);
        for (size_t at = 0; at < size; at++, loads++) {
            const char other = bytes[(at * 7 + i) % (sizeof(bytes) - 1)];

            memcpy(copy, samples[i], at);
            memcpy(copy + at, samples[i] + at + 1, size - at - 1);
            plain += compare(copy, size - 1);
            copy[at] = other;
            memcpy(copy + at + 1, samples[i] + at, size - at);
            plain += compare(copy, size + 1);
            memcpy(copy + at + 1, samples[i] + at + 1, size - at - 1);
            plain += compare(copy, size);
        }
        free(copy);
    }
    assert_true(plain > loads / 4); /* else nothing was compared */
}

static void real_exports_are_plain_and_read_as_by_expat(void **state)
{
    static const char *const names[] = {"developer-laptop.wfpstate.xml", "server-minimal.wfpstate.xml",
                                        "vpn-desktop.filters.xml"};
    char path[512], file[640];

    (void)state;
    SHARED_OR_SKIP("data/states", path);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        FILE *f;
        long size;
        char *text;

        snprintf(file, sizeof(file), "%s/%s", path, names[i]);
        f = fopen(file, "rb");
        assert_non_null(f);
        assert_int_equal(fseek(f, 0, SEEK_END), 0);
        size = ftell(f);
        rewind(f);
        text = malloc((size_t)size);
        assert_non_null(text);
        assert_int_equal(fread(text, 1, (size_t)size, f), size);
        fclose(f);
        assert_true(compare(text, (size_t)size));
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_are_plain_and_read_as_by_expat),
        cmocka_unit_test(damaged_samples_are_read_as_by_expat),
        cmocka_unit_test(real_exports_are_plain_and_read_as_by_expat),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

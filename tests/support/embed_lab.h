/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What tests of weir.h share: a failure that is expected is kept and can be read, any other ends the test.
 *
 *     struct embed_lab l;
 *     embed_lab_open(&l, NULL);
 *     embed_lab_expects(&l);                              what is told next is no failure of this test
 *     assert_false(weir_expect(l.w, &match, 1));
 *     embed_lab_told(&l, "found 0");                      it was told, and says that
 */
#ifndef WEIR_TESTS_EMBED_LAB_H
#define WEIR_TESTS_EMBED_LAB_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <weir.h>

struct embed_lab {
    struct weir *w;
    struct weir_process *program, *peer;
    bool expects;
    unsigned told;
    char text[32768];
    char printed[4096]; /* by drivers, a line each */
};

static inline void embed_lab_failed(void *ctx, const char *text)
{
    struct embed_lab *l = ctx;

    if (!l->expects)
        fail_msg("%s", text);
    l->told++;
    snprintf(l->text, sizeof l->text, "%s", text);
}

static inline void embed_lab_print(void *ctx, const char *driver, const char *line)
{
    struct embed_lab *l = ctx;
    size_t size = strlen(l->printed);

    snprintf(l->printed + size, sizeof l->printed - size, "%s|%s\n", driver, line);
}

static inline void embed_lab_open(struct embed_lab *l, const struct weir_config *config)
{
    struct weir_config c = config != NULL ? *config : (struct weir_config){0};

    memset(l, 0, sizeof *l);
    c.size = sizeof c;
    c.failed = embed_lab_failed;
    c.print = embed_lab_print;
    c.ctx = l;
    assert_int_equal(weir_create_with(&c, &l->w), 0);
    l->program = weir_process(l->w, "C:\\Program Files\\app.exe", NULL);
    l->peer = weir_peer(l->w, 1);
    assert_non_null(l->program);
    assert_non_null(l->peer);
}

static inline void embed_lab_close(struct embed_lab *l)
{
    weir_destroy(l->w);
}

static inline void embed_lab_expects(struct embed_lab *l)
{
    l->expects = true;
    l->told = 0;
    l->text[0] = '\0';
}

/* It was told once since embed_lab_expects(), with these words in it. */
static inline void embed_lab_told(struct embed_lab *l, const char *words)
{
    l->expects = false;
    if (l->told != 1)
        fail_msg("expected one message with '%s', %u were told: %s", words, l->told, l->text);
    if (strstr(l->text, words) == NULL)
        fail_msg("expected '%s' in:\n%s", words, l->text);
}

/* A server of the peer's. */
static inline struct weir_socket *embed_lab_serves(struct embed_lab *l, const char *address)
{
    struct weir_socket *s = weir_socket(l->peer, WEIR_TCP);

    assert_int_equal(weir_bind(s, address), 0);
    assert_int_equal(weir_listen(s), 0);
    return s;
}

#endif

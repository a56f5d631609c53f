/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A test program's side of a driver's device, as steps of text, on a thread of its own: what a step waits for
 * may take until much later, and packets go on meanwhile.
 *
 *   start --> thread: step, step ... --> done;  finish: no further step begins, the one under way is waited
 * for
 */
#include <ctype.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "loader/internal.h"

#define PATIENCE_NS 60000000000ull
#define MOST_BYTES  65536u
#define MOST_ANSWER (2 * MOST_BYTES + 1)
#define UNTIL_END   UINT64_MAX /* of wait_ns */

struct loader_control {
    struct loader *loader;
    char **steps;
    size_t count, failed;
    void (*told)(void *ctx, const char *step, NTSTATUS status, const char *answer);
    void *ctx;
    struct rt_thread *thread;
    struct rt_mutex *lock;
    struct rt_cond *changed;
    bool stop;   /* lock */
    bool at_end; /* the thread's: "wait end" is over, and the steps behind it are run */
    struct nt_file *file;
};

struct step {
    enum { STEP_OPEN, STEP_CLOSE, STEP_CONTROL, STEP_READ, STEP_WRITE, STEP_WAIT } what;
    const char *name; /* STEP_OPEN: the rest of the text */
    uint32_t code;
    uint8_t *in;
    size_t in_size, out_size;
    uint64_t wait_ns;
};

/* ---- text -----------------------------------------------------------------------------------------------
 */

static const char *word(const char **text, size_t *size)
{
    const char *from;

    *text += strspn(*text, " \t");
    from = *text;
    *size = strcspn(from, " \t");
    *text += *size;
    return from;
}

static int digit(char c)
{
    return isdigit((unsigned char)c)    ? c - '0'
           : isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10
                                        : -1;
}

/* Pairs of hexadecimal digits; "-" is nothing. */
static const char *bytes(const char *text, size_t size, struct step *s)
{
    if (size == 1 && text[0] == '-')
        return NULL;
    if (size % 2 != 0 || size / 2 > MOST_BYTES)
        return "expected pairs of hexadecimal digits";
    s->in = malloc(size / 2 + 1);
    if (s->in == NULL)
        return "out of memory";
    for (size_t i = 0; i < size; i += 2) {
        int high = digit(text[i]), low = digit(text[i + 1]);

        if (high < 0 || low < 0)
            return "expected pairs of hexadecimal digits";
        s->in[s->in_size++] = (uint8_t)(high << 4 | low);
    }
    return NULL;
}

static const char *number(const char *text, size_t size, int base, uint64_t most, uint64_t *out)
{
    char *end;

    errno = 0;
    *out = strtoull(text, &end, base);
    if (size == 0 || end != text + size || errno != 0 || *out > most || text[0] == '-')
        return base == 16 ? "expected a number in hexadecimal" : "expected a number";
    return NULL;
}

static const char *parse_control(const char *text, struct step *s)
{
    const char *wrong, *at;
    size_t size;
    uint64_t n;

    at = word(&text, &size);
    if ((wrong = number(at, size, 16, UINT32_MAX, &n)) != NULL)
        return wrong;
    s->code = (uint32_t)n;
    at = word(&text, &size);
    if (size != 0 && (wrong = bytes(at, size, s)) != NULL)
        return wrong;
    at = word(&text, &size);
    if (size == 0)
        return NULL;
    if ((wrong = number(at, size, 10, MOST_BYTES, &n)) != NULL)
        return wrong;
    s->out_size = (size_t)n;
    return NULL;
}

static const char *parse(const char *text, struct step *s)
{
    static const char *const names[] = {"open", "close", "control", "read", "write", "wait"};
    const char *at, *wrong = NULL;
    size_t size;
    unsigned n = 0;
    uint64_t value;

    *s = (struct step){0};
    at = word(&text, &size);
    while (n < 6 && (strlen(names[n]) != size || memcmp(names[n], at, size) != 0))
        n++;
    if (n == 6)
        return "expected open, close, control, read, write or wait";
    s->what = n;
    switch (s->what) {
    case STEP_OPEN:
        s->name = text + strspn(text, " \t");
        return s->name[0] != '\0' ? NULL : "expected a device's name";
    case STEP_CONTROL:
        return parse_control(text, s);
    case STEP_WRITE:
        at = word(&text, &size);
        return bytes(at, size, s);
    case STEP_READ:
        at = word(&text, &size);
        wrong = number(at, size, 10, MOST_BYTES, &value);
        s->out_size = (size_t)value;
        return wrong;
    case STEP_WAIT: {
        char *end;
        double seconds;

        at = word(&text, &size);
        if (size == 3 && memcmp(at, "end", 3) == 0) {
            s->wait_ns = UNTIL_END;
            return NULL;
        }
        text = at;
        seconds = strtod(text, &end);
        if (end == text || !(seconds >= 0 && seconds < 1e9))
            return "expected seconds, or end";
        s->wait_ns = (uint64_t)(seconds * 1e9);
        return NULL;
    }
    default:
        return NULL;
    }
}

const char *loader_control_check(const char *step)
{
    struct step s;
    const char *wrong = parse(step, &s);

    free(s.in);
    return wrong;
}

/* ---- steps ----------------------------------------------------------------------------------------------
 */

static bool pause_for(struct loader_control *c, uint64_t ns)
{
    uint64_t until = ns == UNTIL_END ? RT_FOREVER : rt_clock_now(c->loader->config.clock) + ns;
    bool stop;

    rt_mutex_lock(c->lock);
    rt_waits_for("a test program's next step");
    while (!c->stop && rt_cond_wait(c->changed, c->lock, until) == 0)
        ;
    stop = c->stop;
    rt_mutex_unlock(c->lock);
    rt_waits_for(NULL);
    return !stop;
}

static void answer_bytes(const uint8_t *from, size_t size, char *to, size_t room)
{
    size_t at = 0;

    for (size_t i = 0; i < size && at + 3 < room; i++)
        at += (size_t)snprintf(to + at, room - at, "%02x", from[i]);
}

static NTSTATUS run_step(struct loader_control *c, struct step *s, char *answer, size_t room)
{
    uint8_t *out = s->out_size != 0 ? calloc(1, s->out_size) : NULL;
    NTSTATUS status = STATUS_SUCCESS;
    size_t done = 0;

    if (s->out_size != 0 && out == NULL)
        return STATUS_NO_MEMORY;
    if (s->what == STEP_OPEN) {
        if (c->file != NULL)
            nt_close(c->file);
        c->file = NULL;
        status = nt_open(c->loader->nt, s->name, 0, &c->file);
    } else if (s->what == STEP_WAIT) {
        (void)pause_for(c, s->wait_ns);
        c->at_end |= s->wait_ns == UNTIL_END;
    } else if (c->file == NULL) {
        status = STATUS_INVALID_HANDLE;
    } else if (s->what == STEP_CLOSE) {
        nt_close(c->file);
        c->file = NULL;
    } else if (s->what == STEP_CONTROL) {
        status = nt_control(c->file, s->code, s->in, s->in_size, out, s->out_size, &done, PATIENCE_NS);
        answer_bytes(out, done < s->out_size ? done : s->out_size, answer, room);
    } else if (s->what == STEP_READ) {
        status = nt_read(c->file, out, s->out_size, &done, PATIENCE_NS);
        answer_bytes(out, done < s->out_size ? done : s->out_size, answer, room);
    } else {
        status = nt_write(c->file, s->in, s->in_size, &done, PATIENCE_NS);
    }
    free(out);
    return status;
}

static void steps(void *arg)
{
    struct loader_control *c = arg;

    for (size_t i = 0; i < c->count && (c->at_end || pause_for(c, 0)); i++) {
        char *answer = calloc(1, MOST_ANSWER);
        struct step s;
        NTSTATUS status = STATUS_INVALID_PARAMETER;

        if (answer != NULL && parse(c->steps[i], &s) == NULL) {
            status = run_step(c, &s, answer, MOST_ANSWER);
            free(s.in);
        }
        c->failed += !NT_SUCCESS(status);
        if (c->told != NULL)
            c->told(c->ctx, c->steps[i], status, answer != NULL ? answer : "");
        free(answer);
    }
    if (c->file != NULL)
        nt_close(c->file);
    c->file = NULL;
}

static void control_free(struct loader_control *c)
{
    for (size_t i = 0; c->steps != NULL && i < c->count; i++)
        free(c->steps[i]);
    free(c->steps);
    if (c->changed != NULL)
        rt_cond_destroy(c->changed);
    if (c->lock != NULL)
        rt_mutex_destroy(c->lock);
    free(c);
}

int loader_control_start(struct loader *l, const char *const *texts, size_t count,
                         void (*told)(void *ctx, const char *step, NTSTATUS status, const char *answer),
                         void *ctx, struct loader_control **out)
{
    struct loader_control *c = calloc(1, sizeof *c);
    int err = -ENOMEM;

    *out = NULL;
    if (c == NULL)
        return -ENOMEM;
    c->loader = l;
    c->told = told;
    c->ctx = ctx;
    c->steps = calloc(count + 1, sizeof *c->steps);
    for (size_t i = 0; c->steps != NULL && i < count; i++)
        if ((c->steps[c->count] = strdup(texts[i])) != NULL)
            c->count++;
    if (c->steps != NULL && c->count == count && rt_mutex_create(&c->lock) == 0 &&
        rt_cond_create(l->config.clock, &c->changed) == 0)
        err = rt_thread_start("control", steps, c, &c->thread);
    if (err != 0) {
        control_free(c);
        return err;
    }
    *out = c;
    return 0;
}

size_t loader_control_finish(struct loader_control *c)
{
    size_t failed;

    if (c == NULL)
        return 0;
    rt_mutex_lock(c->lock);
    c->stop = true;
    rt_mutex_unlock(c->lock);
    rt_cond_broadcast(c->changed);
    rt_thread_join(c->thread);
    failed = c->failed;
    control_free(c);
    return failed;
}

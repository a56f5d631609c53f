/* SPDX-License-Identifier: Apache-2.0 */
#include "tun_talk.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATIENCE_MS = 60000, COOKIE = 37 };

/* ---- waiting -------------------------------------------------------------------------------------------- */

static bool send_all(struct net_socket *s, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    uint64_t until = net_now_ms() + PATIENCE_MS;

    while (size != 0) {
        long n = net_send(s, at, size);

        if (n == -EAGAIN) {
            if (net_now_ms() > until)
                return false;
            net_step(20);
            continue;
        }
        if (n < 0)
            return false;
        at += n;
        size -= (size_t)n;
    }
    return true;
}

/* As net_receive(), but waits. */
static long receive(struct net_socket *s, void *out, size_t size)
{
    uint64_t until = net_now_ms() + PATIENCE_MS;
    long n;

    while ((n = net_receive(s, out, size)) == -EAGAIN && net_now_ms() < until)
        net_step(20);
    return n;
}

static bool receive_all(struct net_socket *s, void *out, size_t size)
{
    for (size_t at = 0; at < size;) {
        long n = receive(s, (uint8_t *)out + at, size - at);

        if (n <= 0)
            return false;
        at += (size_t)n;
    }
    return true;
}

static struct net_socket *accept_one(struct net_socket *l)
{
    uint64_t until = net_now_ms() + PATIENCE_MS;
    struct net_socket *s;

    while ((s = net_accept(l)) == NULL && net_now_ms() < until)
        net_step(20);
    return s;
}

/* FNV-1a: for both sides to compare what went through. */
static uint64_t hash(uint64_t h, const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        h = (h ^ bytes[i]) * 0x100000001b3ull;
    return h;
}
#define HASH_START 0xcbf29ce484222325ull

/* ---- web ------------------------------------------------------------------------------------------------ */

static size_t read_head(struct net_socket *s, char *text, size_t size, size_t *head)
{
    size_t at = 0;

    while (at + 1 < size) {
        long n = receive(s, text + at, size - 1 - at);
        char *end;

        if (n <= 0)
            return 0;
        at += (size_t)n;
        text[at] = '\0';
        end = strstr(text, "\r\n\r\n");
        if (end != NULL) {
            *head = (size_t)(end - text) + 4;
            return at;
        }
    }
    return 0;
}

/* GET /N: N bytes. PUT: how many came, and their hash. */
static void serve_web(struct net_socket *s)
{
    char text[8192], said[64], *length;
    uint8_t chunk[8192];
    size_t head = 0, got = read_head(s, text, sizeof(text), &head), size, at = 0;
    uint64_t h = HASH_START;

    if (got == 0)
        return;
    if (strncmp(text, "GET /", 5) == 0) {
        size = strtoul(text + 5, NULL, 10);
        snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n",
                 size);
        if (!send_all(s, text, strlen(text)))
            return;
        while (at < size) {
            size_t n = size - at < sizeof(chunk) ? size - at : sizeof(chunk);

            for (size_t i = 0; i < n; i++)
                chunk[i] = (uint8_t)((at + i) * 7 + (at + i) / 251);
            if (!send_all(s, chunk, n))
                return;
            at += n;
        }
        net_shutdown(s);
        return;
    }
    length = strstr(text, "Content-Length: ");
    size = length != NULL ? strtoul(length + 16, NULL, 10) : 0;
    h = hash(h, (uint8_t *)text + head, got - head);
    for (at = got - head; at < size;) {
        long n = receive(s, chunk, sizeof(chunk));

        if (n <= 0)
            return;
        h = hash(h, chunk, (size_t)n);
        at += (size_t)n;
    }
    snprintf(said, sizeof(said), "%zu %016llx\n", at, (unsigned long long)h);
    snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s",
             strlen(said), said);
    (void)send_all(s, text, strlen(text));
    net_shutdown(s);
}

static unsigned version_of(const char *address)
{
    return strchr(address, ':') != NULL ? 6 : 4;
}

static int get(const char *address, unsigned port, const char *path)
{
    struct net_socket *s = net_open(NET_TCP, version_of(address));
    int error = net_connect(s, address, port, PATIENCE_MS);
    char text[8192];
    size_t head = 0, got, total;
    uint64_t h;
    long n;

    if (error != 0) {
        printf("get: connect: %s\n", strerror(-error));
        return 1;
    }
    snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path);
    if (!send_all(s, text, strlen(text)))
        return 1;
    got = read_head(s, text, sizeof(text), &head);
    total = got - head;
    h = hash(HASH_START, (uint8_t *)text + head, total);
    while (got != 0 && (n = receive(s, text, sizeof(text))) > 0) {
        h = hash(h, (uint8_t *)text, (size_t)n);
        total += (size_t)n;
    }
    net_close(s);
    printf("get: %zu %016llx\n", total, (unsigned long long)h);
    return got == 0;
}

/* ---- names ---------------------------------------------------------------------------------------------- */

/* Answers a question for an address with 192.0.2.7, or 2001:db8::7. */
static void serve_name(struct net_socket *s)
{
    uint8_t q[512], a[600];
    long n = net_receive_from(s, q, sizeof(q));
    size_t at = 12, six;

    if (n < 17)
        return;
    while (at < (size_t)n && q[at] != 0)
        at += q[at] + 1u;
    at += 5; /* the end of the name, type, class */
    if (at > (size_t)n)
        return;
    six = q[at - 3] == 28;
    memcpy(a, q, at);
    memcpy(a + 2, "\x84\0\0\1\0\1\0\0\0\0", 10);
    memcpy(a + at, six ? "\xc0\x0c\0\x1c\0\1\0\0\0\x3c\0\x10" : "\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4", 12);
    if (six)
        memcpy(a + at + 12, "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\7", 16);
    else
        memcpy(a + at + 12, "\xc0\0\2\7", 4);
    (void)net_answer(s, a, at + (six ? 28 : 16));
}

/* ---- iperf3 --------------------------------------------------------------------------------------------- */

enum {
    TEST_START = 1,
    TEST_RUNNING = 2,
    TEST_END = 4,
    PARAM_EXCHANGE = 9,
    CREATE_STREAMS = 10,
    EXCHANGE_RESULTS = 13,
    DISPLAY_RESULTS = 14,
    IPERF_DONE = 16
};

static bool say(struct net_socket *s, uint8_t state)
{
    return send_all(s, &state, 1);
}

static bool hear(struct net_socket *s, uint8_t state)
{
    uint8_t got = 0;

    return receive_all(s, &got, 1) && got == state;
}

static bool send_text(struct net_socket *s, const char *text)
{
    uint32_t n = (uint32_t)strlen(text);
    uint8_t size[4] = {(uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n};

    return send_all(s, size, 4) && send_all(s, text, n);
}

static bool read_text(struct net_socket *s, char *text, size_t room)
{
    uint8_t size[4];
    uint32_t n;

    if (!receive_all(s, size, 4))
        return false;
    n = (uint32_t)size[0] << 24 | (uint32_t)size[1] << 16 | (uint32_t)size[2] << 8 | size[3];
    if (n >= room || !receive_all(s, text, n))
        return false;
    text[n] = '\0';
    return true;
}

static void results(char *out, size_t size, uint64_t bytes, double seconds)
{
    snprintf(
        out, size,
        "{\"cpu_util_total\":0,\"cpu_util_user\":0,\"cpu_util_system\":0,\"sender_has_retransmits\":0,"
        "\"streams\":[{\"id\":1,\"bytes\":%llu,\"retransmits\":0,\"jitter\":0,\"errors\":0,\"packets\":0,"
        "\"start_time\":0,\"end_time\":%.3f}]}",
        (unsigned long long)bytes, seconds);
}

/* Sends, or receives, until `until`, or until the control connection says so. */
static uint64_t pump(struct net_socket *data, struct net_socket *control, bool sends, uint64_t until)
{
    static uint8_t block[131072];
    uint64_t bytes = 0;

    while (net_now_ms() < until) {
        long n = sends ? net_send(data, block, sizeof(block)) : net_receive(data, block, sizeof(block));
        uint8_t state;

        if (n > 0)
            bytes += (uint64_t)n;
        if (control != NULL && net_receive(control, &state, 1) == 1 && state == TEST_END)
            break;
        if (n == -EAGAIN)
            net_step(20);
        else if (n <= 0)
            break;
        else
            net_step(0);
    }
    return bytes;
}

static int iperf(const char *address, unsigned seconds, bool reverse)
{
    char cookie[COOKIE] = "weirweirweirweirweirweirweirweirweir", text[4096];
    struct net_socket *control = net_open(NET_TCP, version_of(address)), *data;
    uint64_t bytes, before;
    bool good;

    if (net_connect(control, address, 5201, PATIENCE_MS) != 0)
        return 1;
    snprintf(
        text, sizeof(text),
        "{\"tcp\":true,\"omit\":0,\"time\":%u,\"parallel\":1,\"len\":131072,%s\"client_version\":\"3.12\"}",
        seconds, reverse ? "\"reverse\":true," : "");
    if (!send_all(control, cookie, COOKIE) || !hear(control, PARAM_EXCHANGE) || !send_text(control, text) ||
        !hear(control, CREATE_STREAMS))
        return 1;
    data = net_open(NET_TCP, version_of(address));
    if (net_connect(data, address, 5201, PATIENCE_MS) != 0 || !send_all(data, cookie, COOKIE) ||
        !hear(control, TEST_START) || !hear(control, TEST_RUNNING))
        return 1;
    before = net_now_ms();
    bytes = pump(data, NULL, !reverse, before + seconds * 1000);
    results(text, sizeof(text), bytes, (double)(net_now_ms() - before) / 1000);
    printf("iperf: %llu bytes in %llu ms\n", (unsigned long long)bytes,
           (unsigned long long)(net_now_ms() - before));
    good = say(control, TEST_END) && hear(control, EXCHANGE_RESULTS) && send_text(control, text) &&
           read_text(control, text, sizeof(text)) && hear(control, DISPLAY_RESULTS) &&
           say(control, IPERF_DONE);
    net_close(data);
    net_close(control);
    return good ? 0 : 1;
}

static void serve_iperf(struct net_socket *control, struct net_socket *listener)
{
    char cookie[COOKIE], text[4096], mine[512];
    struct net_socket *data = NULL;
    uint64_t before, bytes;
    bool sends;

    if (!receive_all(control, cookie, COOKIE) || !say(control, PARAM_EXCHANGE) ||
        !read_text(control, text, sizeof(text)) || !say(control, CREATE_STREAMS))
        return;
    sends = strstr(text, "\"reverse\"") != NULL;
    data = accept_one(listener);
    if (data == NULL || !receive_all(data, cookie, COOKIE) || !say(control, TEST_START) ||
        !say(control, TEST_RUNNING))
        goto out;
    before = net_now_ms();
    bytes = pump(data, control, sends, before + PATIENCE_MS);
    results(mine, sizeof(mine), bytes, (double)(net_now_ms() - before) / 1000);
    net_close(data); /* its end is what a client that pulls reads up to */
    data = NULL;
    if (say(control, EXCHANGE_RESULTS) && read_text(control, text, sizeof(text)) &&
        send_text(control, mine) && say(control, DISPLAY_RESULTS))
        (void)hear(control, IPERF_DONE);
out:
    if (data != NULL)
        net_close(data);
}

/* ---- both roles ----------------------------------------------------------------------------------------- */

static int ping(const char *address, unsigned count)
{
    struct net_socket *s = net_open(NET_PING, version_of(address));
    unsigned answers = 0;
    char got[64];

    if (net_connect(s, address, 0, 0) != 0)
        return 1;
    for (unsigned i = 0; i < count; i++) {
        uint64_t until = net_now_ms() + 300;

        (void)net_send(s, "is anybody there?", 17);
        while (net_now_ms() < until) {
            net_step(10);
            if (net_receive(s, got, sizeof(got)) == 17 && memcmp(got, "is anybody there?", 17) == 0) {
                answers++;
                break;
            }
        }
    }
    net_close(s);
    printf("ping: %u of %u\n", answers, count);
    return answers == 0;
}

/* Until standard input ends. */
static int serve(void)
{
    struct net_socket *web[2], *perf[2], *names[2], *s;
    struct pollfd input = {.fd = 0, .events = POLLIN};

    for (unsigned i = 0; i < 2; i++) {
        web[i] = net_open(NET_TCP, i == 0 ? 4 : 6);
        perf[i] = net_open(NET_TCP, i == 0 ? 4 : 6);
        names[i] = net_open(NET_UDP, i == 0 ? 4 : 6);
        if (net_listen(web[i], 80) != 0 || net_listen(perf[i], 5201) != 0 || net_listen(names[i], 53) != 0)
            return 1;
    }
    printf("serving\n");
    fflush(stdout);
    while (poll(&input, 1, 0) == 0) {
        net_step(20);
        for (unsigned i = 0; i < 2; i++) {
            if ((s = net_accept(web[i])) != NULL) {
                serve_web(s);
                net_close(s);
            }
            if ((s = net_accept(perf[i])) != NULL) {
                serve_iperf(s, perf[i]);
                net_close(s);
            }
            serve_name(names[i]);
        }
    }
    return 0;
}

int talk(int count, char **arguments)
{
    if (count >= 1 && strcmp(arguments[0], "serve") == 0)
        return serve();
    if (count >= 4 && strcmp(arguments[0], "get") == 0)
        return get(arguments[1], (unsigned)atoi(arguments[2]), arguments[3]);
    if (count >= 3 && strcmp(arguments[0], "iperf") == 0)
        return iperf(arguments[1], (unsigned)atoi(arguments[2]), count > 3);
    if (count >= 3 && strcmp(arguments[0], "ping") == 0)
        return ping(arguments[1], (unsigned)atoi(arguments[2]));
    fprintf(stderr, "what to do?\n");
    return 64;
}

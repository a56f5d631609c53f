/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What weir_error() says: the last failure of each thread, in words.
 *
 * The room for it is made with the thread's first failure and goes with the thread. It is not thread-local memory itself:
 * a library that reads its thread-local memory as fast as a program does (rt/internal.h) can be loaded late (dlopen())
 * only while it has little of that.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "embed/internal.h"

#define TEXT 32768 /* an expectation's message with its events */

static _Thread_local char *room; /* TEXT bytes; NULL: nothing was said yet */
static pthread_key_t key;
static bool keyed;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static const char out_of_memory[] = "out of memory";

/* The thread ends. */
static void leave(void *its)
{
    free(its);
    room = NULL;
}

static void make_key(void)
{
    keyed = pthread_key_create(&key, leave) == 0;
}

/* NULL: no memory. */
static char *text(void)
{
    if (room != NULL)
        return room;
    pthread_once(&once, make_key);
    room = keyed ? malloc(TEXT) : NULL;
    if (room != NULL && pthread_setspecific(key, room) != 0) {
        free(room);
        room = NULL;
    }
    if (room != NULL)
        room[0] = '\0';
    return room;
}

const char *embed_compose(const struct embed *e, const char *call, const char *format, va_list args)
{
    char *t = text(), again[512];
    size_t at;
    int n;

    if (t == NULL)
        return out_of_memory;
    at = (size_t)snprintf(t, TEXT, "%s: ", call);
    n = vsnprintf(t + at, TEXT - at, format, args);
    at += n > 0 ? (size_t)n : 0;
    embed_how_again(e, again, sizeof again);
    if (at > TEXT - sizeof again - 2) /* what is cut is the middle, not how to run it again */
        at = TEXT - sizeof again - 2;
    snprintf(t + at, TEXT - at, "\n%s", again);
    return t;
}

void embed_error(const char *format, ...)
{
    char *t = text();
    va_list args;

    va_start(args, format);
    if (t != NULL)
        vsnprintf(t, TEXT, format, args);
    va_end(args);
}

const char *weir_error(void)
{
    return room != NULL ? room : "";
}

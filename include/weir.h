/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir.h: what a program includes that embeds Weir.
 *
 * An engine is an object; a process may have many. The documented functions (FwpmEngineOpen0, FwpmFilterAdd0
 * ... of fwpmu.h, or of fwpmk.h for a driver's view) mean the engine that is current in the calling thread.
 *
 *     struct weir *w;
 *     HANDLE engine;
 *
 *     if (weir_create(&w) == 0) {
 *         weir_use(w);
 *         FwpmEngineOpen0(NULL, RPC_C_AUTHN_WINNT, NULL, NULL, &engine);
 *         ...
 *         FwpmEngineClose0(engine);
 *         weir_destroy(w);
 *     }
 *
 * Errors are 0 or a negative errno. Compile and link with what `pkg-config --cflags --libs --static weir`
 * says.
 */
#ifndef WEIR_H
#define WEIR_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir;

/* An engine with its management service running: built-in layers, sublayers and providers, no filters. The
 * caller owns it. Any thread. 0 or -ENOMEM. */
int weir_create(struct weir **out);

/* Ends it: sessions that are still open are closed first. No call into it may be under way in any thread, and
 * where it was current it must not be used again. NULL is harmless. */
void weir_destroy(struct weir *w);

/* Makes w (NULL: none) the engine that the documented functions mean in this thread; returns the one before.
 */
struct weir *weir_use(struct weir *w);

/*
 * Loads what `netsh wfp show state` or `show filters` wrote on a machine into w, which must hold no policy
 * yet: all of it or nothing. On error `error` (may be NULL) receives one line, cut to `size` bytes: file,
 * place, expected, found. 0, -EINVAL (the file is broken), -ENOMEM, or why the file cannot be read.
 */
int weir_load_policy(struct weir *w, const char *path, char *error, size_t size);

#ifdef __cplusplus
}
#endif

#endif

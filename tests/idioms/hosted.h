/* SPDX-License-Identifier: Apache-2.0 */
/* What programs say to the drivers of this folder that need a whole machine around them (tests/drivers/hosted.c). */
#ifndef HOSTED_H
#define HOSTED_H

/* taps: read from and written to \\.\Taps; bytes follow. */
enum { TAPS_PASS, TAPS_REPLACE, TAPS_DROP };
struct taps_record {
    unsigned long long id, flow;
    unsigned size;
    unsigned char sent, end, verdict, unused;
};

/* contexts: callout 1 at ALE_AUTH_CONNECT_V4, callout 2 at STREAM_V4 (conditional on flow), sublayer 3; the data of their
 * filters' provider contexts; read from \\.\Contexts. */
#define CONTEXTS_KEY(n)                                                                                      \
    {                                                                                                        \
        0x7b40a1c2, 0x11d8, 0x4c5e,                                                                          \
        {                                                                                                    \
            0x90, 0x3d, 0xe1, 0x62, 0x58, 0x0f, 0xaa, n                                                      \
        }                                                                                                    \
    }
struct contexts_rule {
    unsigned block; /* connections are refused; else permitted, and their bytes are counted */
};
struct contexts_total {
    unsigned filters, counters; /* with its callouts; their contexts, that flows have as well */
    unsigned long long asked, bytes;
};

/* hooks: written to and read from \\.\Hooks; bind, listen, connect, accept, established, received, sent: V4, V6 each. */
#define HOOKS_LAYERS 14
struct hooks_program {
    unsigned short attach, port;
};
struct hooks_counts {
    unsigned long long of[HOOKS_LAYERS];
};

#endif

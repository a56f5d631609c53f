/* SPDX-License-Identifier: Apache-2.0 */
/* fragment: datagrams put together. */
#include "host/internal.h"

#include <errno.h>
#include <stdlib.h>

struct fragments {
    UINT32 bytes, datagrams;
};

int fragments_create(const struct host_limits *limits, struct fragments **out)
{
    *out = calloc(1, sizeof(**out));
    if (*out == NULL)
        return -ENOMEM;
    (*out)->bytes = limits->fragment_bytes;
    (*out)->datagrams = limits->datagrams;
    return 0;
}

void fragments_destroy(struct fragments *f)
{
    free(f);
}

enum fragment_result fragments_add(struct fragments *f, const struct wire_packet *p, UINT32 interface_index,
                                   UINT64 now_ns, const uint8_t **out, uint32_t *size)
{
    (void)f, (void)p, (void)interface_index, (void)now_ns;
    *out = NULL;
    *size = 0;
    return FRAGMENT_NO_ROOM;
}

uint32_t fragments_expire(struct fragments *f, UINT64 now_ns)
{
    (void)f, (void)now_ns;
    return 0;
}

void fragments_counts(const struct fragments *f, struct host_counts *c)
{
    (void)f, (void)c;
}

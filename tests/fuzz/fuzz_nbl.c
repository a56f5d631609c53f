/* SPDX-License-Identifier: Apache-2.0 */
/* Operations on NET_BUFFER_LISTs that the input decides, beside the naive model (tests/support/nbl_model.h).
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "../support/nbl_model.h"

struct input {
    const uint8_t *at, *end;
};

static uint32_t next(void *ctx, uint32_t below)
{
    struct input *in = ctx;
    uint32_t value = 0;

    for (unsigned n = 0; n < (below > 256 ? 2 : 1) && in->at < in->end; n++)
        value = value << 8 | *in->at++;
    return value % below;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, data + (size < 4096 ? size : 4096)};
    struct model *m = calloc(1, sizeof(*m));

    if (m == NULL)
        return 0;
    m->number = next;
    m->ctx = &in;
    model_open(m);
    while (in.at < in.end)
        model_step(m);
    model_close(m);
    free(m);
    return 0;
}

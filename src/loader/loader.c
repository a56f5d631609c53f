/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loader of one engine.
 */
#include "loader/loader.h"

#include <errno.h>

int loader_create(const struct loader_config *config, struct loader **out)
{
    (void)config;
    *out = NULL;
    return -ENOSYS;
}

void loader_destroy(struct loader *l)
{
    (void)l;
}

int loader_driver_load(struct loader *l, const struct loader_driver_config *config,
                       struct loader_driver **out, struct loader_error *error)
{
    (void)l;
    (void)config;
    *out = NULL;
    snprintf(error->text, sizeof error->text, "drivers cannot be loaded yet");
    return -ENOSYS;
}

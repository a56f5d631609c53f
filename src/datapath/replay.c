/* SPDX-License-Identifier: Apache-2.0 */
/* replay: the loop of a capture through a host; not there yet, it fails. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "datapath/replay.h"

int replay_run(const struct replay_config *config, struct replay_result *out, struct capture_error *error)
{
    memset(out, 0, sizeof(*out));
    snprintf(error->text, sizeof(error->text), "%s: captures cannot be replayed yet", config->input);
    return -ENOSYS;
}

void replay_free(struct replay_result *r)
{
    memset(r, 0, sizeof(*r));
}

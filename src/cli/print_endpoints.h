/* SPDX-License-Identifier: Apache-2.0 */
/* weir explain --endpoints: the report, as text or JSON. */
#ifndef WEIR_CLI_PRINT_ENDPOINTS_H
#define WEIR_CLI_PRINT_ENDPOINTS_H

#include "cli/cli.h"

int print_endpoints(const struct explain_state *s, struct explain_arena *a,
                    const struct explain_question *like, bool json, bool verbose);

#endif

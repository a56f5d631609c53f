/* SPDX-License-Identifier: Apache-2.0 */
/* weir explain --events FILE --flow N: the story of a flow of a replay. */
#ifndef WEIR_CLI_EXPLAIN_EVENTS_H
#define WEIR_CLI_EXPLAIN_EVENTS_H

#include "cli/cli.h"

/* An exit status: the flow's verdict, or after a complaint. verbose: layers without filters too, and values.
 */
int explain_events(const char *path, const char *flow, bool json, bool verbose);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "report/report.h"

const char *report_comment(struct report_names *n, const struct host_outcome *o, char *out, size_t size)
{
    (void)n;
    snprintf(out, size, "weir: %s at %s by filter %llu", host_fate_name(o->fate),
             o->layer ? o->layer->name : "?", (unsigned long long)o->filter_id);
    return out;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "explain/judge.h"

#include <errno.h>
#include <stdlib.h>

struct explain_judge {
    struct explain_judge_config config;
    struct explain_judge_counts counts;
};

int explain_judge_create(const struct explain_judge_config *config, struct explain_judge **out)
{
    *out = calloc(1, sizeof **out);
    if (*out == NULL)
        return -ENOMEM;
    (*out)->config = *config;
    return 0;
}

void explain_judge_destroy(struct explain_judge *j)
{
    free(j);
}

NTSTATUS explain_judge(void *ctx, struct engine_reader *r, const struct host_question *q,
                       struct host_answer *a)
{
    (void)ctx;
    *a = (struct host_answer){0};
    return engine_classify(r, q->request, &a->verdict);
}

void explain_judge_counts(const struct explain_judge *j, struct explain_judge_counts *out)
{
    *out = j->counts;
}
